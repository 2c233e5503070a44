//! `ast report`: a page about a run, as one HTML file that needs nothing else.

mod chart;
mod compared;
mod run;
mod sheet;

use std::path::Path;

use askama::Template;
use ast_core::data::Dataset;
use ast_core::run::Event;
use serde_json::Value;

pub(crate) use self::compared::{ArmRuns, Compared};
use self::run::{RunData, RunPage};
use crate::args::ReportArgs;
use crate::config;
use crate::dataset;
use crate::failure::{Failure, Kind};
use crate::input;
use crate::output::note;
use crate::records::{self, LEDGER, PREDICTIONS};
use crate::run_folder::{CONFIG, METRICS, PAGE, PROVENANCE, summary_of, write};
use crate::shell::command_line;

/// Upper bound for the size of a log.
const LARGEST_LOG: u64 = 1 << 32;

pub(crate) fn report(args: &ReportArgs) -> Result<(), Failure> {
    let config = config::of_run_folder(&args.run)?;
    let splits = dataset::splits(&config);
    let data = splits.as_ref().map(|[train, _]| train.as_ref()).map_err(ToString::to_string);
    let out = args.out.clone().unwrap_or_else(|| args.run.join(PAGE));
    write(&out, page(&args.run, data)?.as_bytes())?;
    note(&format!("report: {}", out.display()));
    Ok(())
}

/// The page of a finished run.
pub(crate) fn page(run: &Path, data: Result<&dyn Dataset, String>) -> Result<String, Failure> {
    let bug = |error: String| Failure::new(Kind::Bug, format!("{PAGE}: {error}"));
    let page = RunPage::of(&read(run)?, data).map_err(bug)?;
    page.render().map_err(|error| bug(error.to_string()))
}

/// The events of a run; lines of a newer program are passed over, as is a last one that is torn.
fn events(run: &Path) -> Result<Vec<Event>, Failure> {
    let log = text(&run.join(METRICS), LARGEST_LOG)?;
    Ok(log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
}

fn text(file: &Path, most: u64) -> Result<String, Failure> {
    let bytes = input::read(file, most, Kind::Data, ": too large")?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn read(run: &Path) -> Result<RunData, Failure> {
    let origin = text(&run.join(PROVENANCE), 1 << 20).unwrap_or_default();
    let origin: Value = serde_json::from_str(&origin).unwrap_or_default();
    let of = |key: &str| origin[key].as_str().unwrap_or("unknown").to_string();
    let command: Vec<&str> = origin["command"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let threads = origin["threads"].as_u64().map_or(String::new(), |threads| format!(", {threads} threads"));
    Ok(RunData {
        config: config::of_run_folder(run)?,
        summary: summary_of(run)?,
        events: events(run)?,
        ledger: records::read(run, LEDGER)?.unwrap_or_default(),
        predictions: records::read(run, PREDICTIONS)?.unwrap_or_default(),
        command: command_line(command),
        file: text(&run.join(CONFIG), 1 << 20)?,
        provenance: format!("ast {}, commit {}, on {}{threads}.", of("version"), of("commit"), of("device")),
    })
}
