//! What a page is made from: the files of a run.

use std::io;
use std::path::Path;

use ast_core::run::{Event, RunConfig, Summary};
use serde_json::Value;

use crate::config;
use crate::failure::{Failure, Kind};
use crate::input;
use crate::records::{self, Predicted, Visited};
use crate::run_folder::{CONFIG, METRICS, PROVENANCE, SUMMARY, not_yet, summary_of};
use crate::shell::command_line;

/// Upper bound for the size of a log.
const LARGEST_LOG: u64 = 1 << 32;

/// What a page is made from.
pub(super) struct RunData {
    pub(super) config: RunConfig,
    pub(super) summary: Summary,
    pub(super) events: Vec<Event>,
    pub(super) ledger: Vec<Visited>,
    pub(super) predictions: Vec<Predicted>,
    /// The command that started it.
    pub(super) command: String,
    /// `config.toml`.
    pub(super) file: String,
    /// When it was started, where and by which program.
    pub(super) provenance: String,
}

/// The events of a run; lines of a newer program are passed over, as is a last one that is torn.
pub(super) fn events(run: &Path) -> Result<Vec<Event>, Failure> {
    let file = run.join(METRICS);
    if file.symlink_metadata().is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
        return Err(not_yet(run, METRICS));
    }
    let log = text(&file, LARGEST_LOG)?;
    Ok(log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
}

/// The events of a finished run.
fn whole_log(run: &Path, summary: &Summary) -> Result<Vec<Event>, Failure> {
    let events = events(run)?;
    let step = |event: &Event| if let Event::Step(step) = event { Some(step.step) } else { None };
    let last = events.iter().rev().find_map(step).unwrap_or(0);
    if last != summary.steps {
        let what =
            format!("its last step is {last}, that of {SUMMARY} {}: it is cut off or was changed", summary.steps);
        return Err(Failure::new(Kind::Data, format!("{}: {what}", run.join(METRICS).display())));
    }
    Ok(events)
}

fn text(file: &Path, most: u64) -> Result<String, Failure> {
    let bytes = input::read(file, most, Kind::Data, ": too large")?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

pub(super) fn read(run: &Path) -> Result<RunData, Failure> {
    // A vocabulary of byte pairs takes some megabytes.
    let origin = text(&run.join(PROVENANCE), 1 << 26).unwrap_or_default();
    let origin: Value = serde_json::from_str(&origin).unwrap_or_default();
    let of = |key: &str| origin[key].as_str().unwrap_or("unknown").to_string();
    let command: Vec<&str> = origin["command"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let threads = origin["threads"].as_u64().map_or(String::new(), |threads| format!(", {threads} threads"));
    let config = config::of_run_folder(run)?;
    let summary = summary_of(run)?;
    Ok(RunData {
        config,
        events: whole_log(run, &summary)?,
        ledger: records::ledger(run, &summary)?.unwrap_or_default(),
        predictions: records::predictions(run, &summary)?.unwrap_or_default(),
        summary,
        command: command_line(command),
        file: text(&run.join(CONFIG), 1 << 20)?,
        provenance: format!("ast {}, commit {}, on {}{threads}.", of("version"), of("commit"), of("device")),
    })
}
