//! Decides whether a stopped run can be resumed, and from which step, before anything in its folder is changed.

mod keys;
mod log;

use std::path::Path;

use ast_core::run::{Checkpoints, Event, LatestCheckpoint, Refused, RunConfig, RunIdentity, Snapshot};

use crate::builds::Builds;
use crate::claim::{Claim, put_aside};
use crate::failure::{Failure, Kind};
use crate::output::note;
use crate::run_folder::{CHECKPOINTS, METRICS};
use crate::shell::quoted;

/// The state from which a run is resumed.
pub(crate) struct Point {
    pub(crate) snapshot: Snapshot,
    /// The part of the log that is kept.
    pub(crate) log: Vec<u8>,
    pub(crate) events: Vec<Event>,
    /// An event for lines of the log that were lost, if there are any.
    pub(crate) gap: Option<Event>,
    /// Whether the data are not those that the run started with.
    pub(crate) other_data: bool,
    refused: Vec<Refused>,
}

/// What matters of the present data besides their fingerprints.
#[derive(Debug, Clone)]
pub(crate) struct Data<'a> {
    /// What their fingerprints are of.
    pub(crate) fingerprinted: &'a str,
    /// The [`layout`](ast_core::data::layout) of training and evaluation data, to go on with other data than the run started
    /// with if that is the same.
    pub(crate) layout: Option<[String; 2]>,
}

/// The present identity of a run: configuration and data.
pub(crate) fn identity(config: &RunConfig, data: &str, evaluation: &str) -> Result<RunIdentity, Failure> {
    Ok(RunIdentity {
        data: data.to_string(),
        evaluation: evaluation.to_string(),
        config: keys::deciding(config)?,
        ..RunIdentity::default()
    })
}

/// The last intact checkpoint, if it belongs to the same run. `None` if there is no checkpoint at all: the run then
/// starts from the beginning.
pub(crate) fn find(
    claim: &Claim,
    checkpoints: &mut Checkpoints,
    config: &RunConfig,
    now: &RunIdentity,
    data: Data<'_>,
) -> Result<Option<Point>, Failure> {
    let run = claim.path();
    let folder = run.join(CHECKPOINTS);
    if folder.symlink_metadata().is_ok() && !folder.is_dir() {
        let what = "is not a folder, or is a link to a missing one: is a disk not mounted? Nothing was changed";
        return Err(Failure::new(Kind::Io, format!("{} {what}", folder.display())));
    }
    let LatestCheckpoint { latest, refused } =
        checkpoints.latest().map_err(|error| Failure::new(Kind::Io, error.to_string()))?;
    let Some((manifest, snapshot)) = latest else {
        if !refused.is_empty() {
            let reasons: Vec<String> = refused.iter().map(|refused| refused.error.to_string()).collect();
            return Err(refusal(run, &format!("no checkpoint can be used ({})", reasons.join("; "))));
        }
        let begun = Builds::data(claim)?.unwrap_or_else(|| now.data.clone());
        the_same_data("training data", &begun, &now.data, config, &data).map_err(|why| refusal(run, &why))?;
        return Ok(None);
    };
    let other_data = !is_the_same(&manifest.run, config, now, &data).map_err(|why| refusal(run, &why))?;
    if other_data && data.layout != Builds::layout(claim)? {
        let what = "the names or the classes of the samples are others than those that the run started with: `--other-data` is \
                    for files that were repaired or copied, not for renamed or sorted ones";
        return Err(refusal(run, what));
    }
    let log = claim.read(METRICS)?.unwrap_or_default();
    let kept = log::keep(&log, snapshot.step, &manifest.run).map_err(|why| {
        refusal(run, &format!("{METRICS} {why}; without the file the run continues, with a gap in the log"))
    })?;
    let log::Kept { bytes, events, gap } = kept;
    Ok(Some(Point { snapshot, log: log[..bytes].to_vec(), events, gap, other_data, refused }))
}

impl Point {
    /// Moves unusable checkpoints aside, because the run will write these steps again.
    pub(crate) fn put_refused_aside(&self, claim: &Claim) -> Result<(), Failure> {
        let folder = claim.path().join(CHECKPOINTS);
        for Refused { error, .. } in &self.refused {
            note(&format!("warning: checkpoint skipped: {error}"));
        }
        let names = self.refused.iter().filter_map(|refused| refused.folder.file_name()).map(Path::new);
        if let Some(aside) = put_aside(&folder, names)? {
            note(&format!("the skipped checkpoints are in {}", aside.display()));
        }
        Ok(())
    }
}

/// The error for a run that cannot be resumed.
pub(crate) fn refusal(run: &Path, why: &str) -> Failure {
    let message = format!(
        "{} cannot be resumed: {why}; nothing was changed. `ast train --resume {} --start-over` moves the old files \
         aside and begins again",
        run.display(),
        quoted(run)
    );
    Failure::new(Kind::Data, message)
}

/// Whether the data are the same too, if they `may_differ`.
fn is_the_same(then: &RunIdentity, config: &RunConfig, now: &RunIdentity, data: &Data<'_>) -> Result<bool, String> {
    let differing = keys::differing(&then.config, &now.config, &keys::defaults(config));
    if !differing.is_empty() {
        let rule = "these keys decide results and cannot change during a run";
        return Err(format!("{}: {rule}", differing.join(", ")));
    }
    let training = the_same_data("training data", &then.data, &now.data, config, data)?;
    let evaluation = the_same_data("evaluation data", &then.evaluation, &now.evaluation, config, data)?;
    Ok(training && evaluation)
}

fn the_same_data(what: &str, then: &str, now: &str, config: &RunConfig, data: &Data<'_>) -> Result<bool, String> {
    if then == now || data.layout.is_some() {
        return Ok(then == now);
    }
    let fingerprinted = data.fingerprinted;
    let place = config.data.dir.as_deref().map(|dir| format!(" in {}", dir.display())).unwrap_or_default();
    // Pixels stay the same when files are copied, times need not.
    let of = if fingerprinted.contains("times") { format!(" of {fingerprinted}") } else { String::new() };
    let copy = if of.is_empty() { "" } else { ", copy the files with their times (`cp -p`)" };
    Err(format!(
        "the {what}{place} (sha256 {now:.12}{of}) differ from those that the run started with ({then:.12}); name the right folder with \
         --data-dir or AST_DATA_DIR{copy}, or go on with these: --other-data"
    ))
}
