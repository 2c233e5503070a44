//! Detects equal configurations: of two arms, or of an existing run and a planned one.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use ast_core::train::Resolved;
use toml::{Table, Value};

use super::arm::Arm;
use crate::args::TrainArgs;
use crate::config::{self, differences};
use crate::failure::Failure;
use crate::run_folder::CONFIG;

/// Refuses two arms with the same configuration, however they are spelled.
pub(super) fn are_different(arms: &[Arm], identity: impl Fn(&Arm) -> Result<Table, Failure>) -> Result<(), Failure> {
    let mut seen: Vec<(&Arm, Table)> = Vec::new();
    for arm in arms {
        let table = identity(arm)?;
        match seen.iter().find(|(other, others)| other.folder() == arm.folder() || *others == table) {
            Some((other, _)) if other.name == arm.name => {
                return Err(Failure::usage(format!("the arm `{}` is given twice", arm.name)));
            }
            Some((other, others)) if *others == table => {
                return Err(Failure::usage(format!(
                    "the arm `{}` is given twice: `{}` is the same configuration",
                    other.name, arm.name
                )));
            }
            Some((other, _)) => {
                let (one, two, folder) = (&other.name, &arm.name, arm.folder());
                return Err(Failure::usage(format!("the arms `{one}` and `{two}` would share the folder {folder}")));
            }
            None => seen.push((arm, table)),
        }
    }
    Ok(())
}

/// What decides the result of a run: its effective configuration without paths and checkpoint settings.
pub(super) fn identity(resolved: &Resolved) -> Table {
    let mut table = Table::try_from(resolved.effective()).unwrap_or_default();
    table.remove("device");
    table.remove("checkpoint");
    if let Some(Value::Table(data)) = table.get_mut("data") {
        data.remove("dir");
        data.remove("workers");
    }
    table
}

/// The [`identity`] of the run in a folder.
fn recorded(folder: &Path) -> Result<Table, Failure> {
    let of_folder = TrainArgs { resume: Some(folder.to_path_buf()), ..TrainArgs::default() };
    config::resolve(&of_folder).map(|resolved| identity(&resolved))
}

/// The folder with the arm's name; else one named by another spelling of it, or that holds a run of the same
/// configuration.
pub(super) fn folder_of(out: &Path, arm: &Arm, seeds: &[u64], identity: impl Fn(u64) -> Option<Table>) -> PathBuf {
    let own = out.join(arm.folder());
    if own.exists() {
        return own;
    }
    let mut others: Vec<PathBuf> =
        fs::read_dir(out).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    others.sort_unstable();
    let is_it = |folder: &PathBuf| {
        if folder.file_name().and_then(OsStr::to_str).is_some_and(|name| arm.is_spelled(name)) {
            return true;
        }
        let begun = |seed: &&u64| folder.join(format!("seed-{seed}")).join(CONFIG).is_file();
        let Some(seed) = seeds.iter().find(begun) else { return false };
        let found = recorded(&folder.join(format!("seed-{seed}"))).ok();
        found.is_some() && found == identity(*seed)
    };
    others.into_iter().find(is_it).unwrap_or(own)
}

/// Refuses a folder that holds a run with other settings.
pub(super) fn was_run_so(run: &Path, wanted: &Table) -> Result<(), Failure> {
    if !run.join(CONFIG).is_file() {
        return Ok(());
    }
    let folder = run.display();
    let found = recorded(run).map_err(|failure| {
        Failure::new(failure.kind, format!("{folder}: {failure}; name another --out, or remove it"))
    })?;
    let value = |value: Option<&Value>| value.map_or("not set".into(), ToString::to_string);
    let change = |(key, [was, would_be]): (String, [_; 2])| {
        format!("`{key}` was {} and would be {}", value(was), value(would_be))
    };
    let changes: Vec<String> = differences(&found, wanted).into_iter().map(change).collect();
    if changes.is_empty() {
        return Ok(());
    }
    let changes = changes.join(", ");
    let message = format!("{folder} was run with other settings: {changes}; name another --out, or remove it");
    Err(Failure::usage(message))
}
