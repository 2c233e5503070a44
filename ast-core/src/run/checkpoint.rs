//! Checkpoints: snapshots on disk. The folder `step-00001234/` holds one file each for weights, optimizer, selector,
//! state and, if the run has any, auxiliary networks and averaged weights, and a `manifest.json`.
//!
//! Saving is atomic. All files are written into `step-00001234.tmp/` and synchronised, last the manifest with the size
//! and SHA-256 of every other. Then the folder is renamed and its parent is synchronised. A process that is killed in
//! between leaves a `.tmp` folder, which is never read and which the next save removes.

mod disk;
mod manifest;

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::run::file::read_file;
use crate::run::snapshot::{OPTIONAL, Snapshot};
use disk::{Disk, System};
use manifest::SCHEMA;
pub use manifest::{Fingerprint, Manifest, RunIdentity, RunningFingerprint};

const MANIFEST: &str = "manifest.json";
/// Upper bound for the size of a manifest, which has a few kilobytes: a larger file is not read.
const LARGEST_MANIFEST: u64 = 1 << 20;

/// Why a checkpoint could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// A file operation failed.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// A file is damaged, missing, or not a checkpoint's.
    #[error("{}: {reason}", path.display())]
    Broken {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The checkpoint was written by a version of this program that has another format.
    #[error("{}: format {found}, this program reads format {SCHEMA}: use the version that wrote it", path.display())]
    Format {
        /// Which file.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
}

/// The checkpoints of a run.
#[derive(Debug, Clone)]
pub struct Checkpoints {
    folder: PathBuf,
    keep: usize,
    /// Steps of the checkpoints that were written or read by this process. Others may be damaged and do not count as
    /// kept.
    good: BTreeSet<u64>,
}

/// The checkpoints found in a folder.
#[derive(Debug)]
pub struct LatestCheckpoint {
    /// The latest intact checkpoint.
    pub latest: Option<(Manifest, Snapshot)>,
    /// Later ones that are damaged, last one first.
    pub refused: Vec<Refused>,
}

/// A checkpoint that cannot be used.
#[derive(Debug)]
pub struct Refused {
    /// Its folder.
    pub folder: PathBuf,
    /// Why it cannot be used.
    pub error: CheckpointError,
}

impl Checkpoints {
    /// Checkpoints in `folder`; the last `keep` are kept.
    #[must_use]
    pub fn new(folder: PathBuf, keep: usize) -> Self {
        Self { folder, keep: keep.max(1), good: BTreeSet::new() }
    }

    /// Writes a checkpoint of `run`, then removes all before the last `keep` intact ones.
    ///
    /// # Errors
    /// [`CheckpointError::Io`]; earlier checkpoints are then unchanged.
    pub fn save(&mut self, snapshot: &Snapshot, run: &RunIdentity) -> Result<(), CheckpointError> {
        let outcome = self.save_to(&mut System, snapshot, run);
        if outcome.is_err() {
            // On a full disk, an incomplete checkpoint only takes space. If removing it fails too, the next save tries
            // again.
            let left_over = self.entries().unwrap_or_default().into_iter().filter(|(step, _)| step.is_none());
            left_over.for_each(|(_, path)| drop(fs::remove_dir_all(path)));
        }
        outcome
    }

    fn save_to(&mut self, disk: &mut dyn Disk, snapshot: &Snapshot, run: &RunIdentity) -> Result<(), CheckpointError> {
        let target = self.folder.join(format!("step-{:08}", snapshot.step));
        let (scratch, replaced) = (target.with_extension("tmp"), target.with_extension("replaced.tmp"));
        disk.create_dir(&self.folder)?;
        if let Some(run) = self.folder.parent() {
            disk.sync_dir(run)?;
        }
        for (_, path) in self.entries()?.into_iter().filter(|(step, _)| step.is_none()) {
            disk.remove_dir(&path)?;
        }
        disk.create_dir(&scratch)?;
        for (name, bytes) in snapshot.files() {
            disk.write(&scratch.join(name), bytes)?;
        }
        let manifest = Manifest::new(snapshot.step, run, snapshot.files().into_iter());
        disk.write(&scratch.join(MANIFEST), &manifest.text())?;
        disk.sync_dir(&scratch)?;
        // The same step can be saved again after a rollback, or after continuing from an earlier checkpoint.
        if target.exists() {
            disk.rename(&target, &replaced)?;
        }
        disk.rename(&scratch, &target)?;
        disk.sync_dir(&self.folder)?;
        if replaced.exists() {
            disk.remove_dir(&replaced)?;
        }
        self.good.insert(snapshot.step);
        let Some(oldest) = oldest_kept(&self.good, snapshot.step, self.keep) else { return Ok(()) };
        for (step, path) in self.entries()? {
            if step.is_some_and(|step| step < oldest) {
                disk.remove_dir(&path)?;
            }
        }
        self.good.retain(|step| *step >= oldest);
        Ok(())
    }

    /// The latest intact checkpoint.
    ///
    /// # Errors
    /// [`CheckpointError::Io`] if the folder cannot be read. A damaged checkpoint is not an error: it is listed in
    /// [`refused`](LatestCheckpoint::refused).
    pub fn latest(&mut self) -> Result<LatestCheckpoint, CheckpointError> {
        let mut refused = Vec::new();
        for (step, folder) in self.entries()?.into_iter().rev() {
            let Some(step) = step else { continue };
            match read(&folder, step) {
                Ok(latest) => {
                    self.good.insert(step);
                    return Ok(LatestCheckpoint { latest: Some(latest), refused });
                }
                Err(error) => refused.push(Refused { folder, error }),
            }
        }
        Ok(LatestCheckpoint { latest: None, refused })
    }

    /// All checkpoints in the folder, in order of steps. An entry without a step is an incomplete save.
    fn entries(&self) -> Result<Vec<(Option<u64>, PathBuf)>, CheckpointError> {
        let io = |source| CheckpointError::Io { path: self.folder.clone(), source };
        let entries = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(io)?,
        };
        let mut found = Vec::new();
        for entry in entries {
            let path = entry.map_err(io)?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let Some(rest) = name.strip_prefix("step-") else { continue };
            if rest.ends_with(".tmp") {
                found.push((None, path));
            } else if let Ok(step) = rest.parse() {
                found.push((Some(step), path));
            }
        }
        found.sort();
        Ok(found)
    }
}

/// The first of the last `keep` intact checkpoints up to step `written`. Everything before it is removed, damaged or
/// not. `None` while there are fewer than `keep`: nothing is then removed. Checkpoints of later steps do not count,
/// because they belong to an attempt that was abandoned.
fn oldest_kept(good: &BTreeSet<u64>, written: u64, keep: usize) -> Option<u64> {
    good.range(..=written).rev().nth(keep - 1).copied()
}

/// Reads a checkpoint and checks it against its manifest.
fn read(folder: &Path, step: u64) -> Result<(Manifest, Snapshot), CheckpointError> {
    let path = folder.join(MANIFEST);
    let broken = |reason: String| CheckpointError::Broken { path: path.clone(), reason };
    let manifest = Manifest::parse(&contents(&path, LARGEST_MANIFEST)?).map_err(|unfit| match unfit {
        manifest::Unfit::Format(found) => CheckpointError::Format { path: path.clone(), found },
        manifest::Unfit::Broken(reason) => broken(reason),
    })?;
    if manifest.step != step {
        return Err(broken(format!("it belongs to step {}", manifest.step)));
    }
    let snapshot = Snapshot::from_files(step, |name| {
        let expected = match manifest.files.get(name) {
            None if OPTIONAL.contains(&name) => return Ok(Vec::new()),
            found => found.ok_or_else(|| broken(format!("it does not list {name}")))?,
        };
        let path = folder.join(name);
        let bytes = contents(&path, expected.bytes)?;
        match Fingerprint::of(&bytes) == *expected {
            true => Ok(bytes),
            false => Err(CheckpointError::Broken { path, reason: "its checksum does not match the manifest".into() }),
        }
    })?;
    Ok((manifest, snapshot))
}

/// Reads a file of at most `largest` bytes.
fn contents(path: &Path, largest: u64) -> Result<Vec<u8>, CheckpointError> {
    let read = read_file(path, largest).map_err(|source| CheckpointError::Io { path: path.to_path_buf(), source })?;
    read.ok_or_else(|| CheckpointError::Broken {
        path: path.to_path_buf(),
        reason: format!("more than {largest} bytes"),
    })
}

#[cfg(test)]
mod tests;
