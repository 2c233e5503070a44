//! `ast runs`: the runs in a folder, with what, when, result and cost.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ast_core::run::{Ran, Summary};
use indicatif::HumanDuration;
use serde_json::Value;

use crate::claim::is_locked;
use crate::config;
use crate::failure::{Failure, Kind};
use crate::interval::with_error;
use crate::output::{print, table};
use crate::report::data_of;
use crate::run_folder::{CONFIG, PROVENANCE, RUNS, SUMMARY, summary_of};

/// How deep runs are looked for: a comparison has COMPARISON/ARM/seed-N.
const DEPTH: usize = 4;

pub(crate) fn runs(folder: &Path) -> Result<(), Failure> {
    // The default folder is made by the first run.
    let found = if folder == Path::new(RUNS) && !folder.exists() { Vec::new() } else { found_in(folder)? };
    if found.is_empty() {
        return print(&format!("There are no runs in {}; `ast train` makes one.", folder.display()));
    }
    let head = ["run", "when", "what", "result", "FLOPs", "time"].map(String::from).to_vec();
    let rows = found.iter().map(|run| row(run));
    print(table(&std::iter::once(head).chain(rows).collect::<Vec<_>>()).trim_end())
}

/// The run folders in `folder` and below it, or itself.
pub(crate) fn found_in(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut found = Vec::new();
    look(folder, DEPTH, &mut found)
        .map_err(|error| Failure::new(Kind::Io, format!("cannot read {}: {error}", folder.display())))?;
    found.sort();
    Ok(found)
}

/// Adds the run folders in `folder` and below it.
fn look(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) -> std::io::Result<()> {
    // One whose configuration was removed is a run all the same: what wants that says so.
    if [CONFIG, SUMMARY].iter().any(|name| folder.join(name).is_file()) {
        found.push(folder.to_path_buf());
        return Ok(());
    }
    for entry in fs::read_dir(folder)?.filter_map(Result::ok).map(|entry| entry.path()) {
        if depth > 0 && entry.is_dir() {
            // A folder that cannot be read is not ours.
            let _ = look(&entry, depth - 1, found);
        }
    }
    Ok(())
}

fn row(run: &Path) -> Vec<String> {
    let config = config::of_run_folder(run).ok();
    let finished = run.join(SUMMARY).is_file();
    let summary = if finished { summary_of(run).ok() } else { None };
    let ran = summary.as_ref().and_then(|summary| summary.ran.as_ref()).map(Ran::title);
    let what = config.map_or("unreadable".into(), |config| {
        let policy = ran.unwrap_or_else(|| config.policy.name.clone());
        format!("{} by {policy} on {}, seed {}", config.model.name, data_of(&config), config.train.seed)
    });
    let state = match finished {
        true => "unreadable",
        false if is_locked(run) => "running",
        false => "stopped",
    };
    let [result, flops, time] = summary.map_or_else(
        || [state.into(), String::new(), String::new()],
        |summary| {
            let flops = 100.0 * (1.0 - summary.savings.flops);
            [result(&summary), format!("{flops:.1} %"), format!("{:.0} s", summary.seconds.total)]
        },
    );
    vec![run.display().to_string(), when(run).unwrap_or("unknown".into()), what, result, flops, time]
}

fn result(summary: &Summary) -> String {
    match (&summary.text, summary.test) {
        (Some(_), _) => format!("loss {:.4}", summary.loss.last),
        (None, Some(test)) => with_error(summary.accuracy.last, test.samples),
        (None, None) => format!("{:.2} %", summary.accuracy.last),
    }
}

/// How long ago the run was started.
fn when(run: &Path) -> Option<String> {
    let origin: Value = serde_json::from_slice(&fs::read(run.join(PROVENANCE)).ok()?).ok()?;
    let started = UNIX_EPOCH + Duration::from_secs(origin["started"].as_u64()?);
    let ago = SystemTime::now().duration_since(started).ok()?;
    Some(format!("{} ago", HumanDuration(ago)))
}
