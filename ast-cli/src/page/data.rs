//! What a page is made from: the files of a run.

use std::path::Path;

use ast_core::run::{Event, RunConfig, Summary};
use serde_json::Value;

use crate::config;
use crate::failure::{Failure, Kind};
use crate::input;
use crate::records::{self, LEDGER, PREDICTIONS, Predicted, Visited};
use crate::run_folder::{CONFIG, METRICS, PROVENANCE, summary_of};
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
    let log = text(&run.join(METRICS), LARGEST_LOG)?;
    Ok(log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
}

fn text(file: &Path, most: u64) -> Result<String, Failure> {
    let bytes = input::read(file, most, Kind::Data, ": too large")?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

pub(super) fn read(run: &Path) -> Result<RunData, Failure> {
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
