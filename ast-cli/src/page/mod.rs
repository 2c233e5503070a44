//! `ast report`: a page about a run, as one HTML file that needs nothing else.

mod chart;
mod compared;
mod curves;
mod data;
mod run;
mod samples;
mod sheet;

use std::path::Path;

use askama::Template;
use ast_core::data::Dataset;

pub(crate) use self::compared::{ArmRuns, Compared};
use self::data::RunData;
use self::run::RunPage;
use crate::args::ReportArgs;
use crate::dataset;
use crate::failure::{Failure, Kind};
use crate::output::note;
use crate::records::LEDGER;
use crate::run_folder::{PAGE, is_a_run, write_named};

pub(crate) fn report(args: &ReportArgs) -> Result<(), Failure> {
    is_a_run(&args.run)?;
    let run = data::read(&args.run)?;
    let data = dataset::of_run(&run.config, &run.summary);
    if let Err(failure) = &data {
        note(&format!("warning: the page has no samples: {failure}"));
    }
    let samples = data.as_ref().map(AsRef::as_ref).map_err(ToString::to_string);
    let out = args.out.clone().unwrap_or_else(|| args.run.join(PAGE));
    write_named(&out, rendered(&run, samples)?.as_bytes())?;
    note(&format!("report: {}", out.display()));
    Ok(())
}

/// The page of a finished run.
pub(crate) fn page(run: &Path, samples: Result<&dyn Dataset, String>) -> Result<String, Failure> {
    rendered(&data::read(run)?, samples)
}

fn rendered(run: &RunData, samples: Result<&dyn Dataset, String>) -> Result<String, Failure> {
    if let Ok(data) = &samples
        && !run.ledger.is_empty()
        && run.ledger.len() != data.samples()
    {
        let counts = format!("{LEDGER} has {}, the data {}", run.ledger.len(), data.samples());
        return Err(Failure::new(Kind::Data, format!("the numbers of training samples differ: {counts}")));
    }
    let bug = |error: String| Failure::new(Kind::Bug, format!("{PAGE}: {error}"));
    let page = RunPage::of(run, samples).map_err(bug)?;
    page.render().map_err(|error| bug(error.to_string()))
}
