//! Snapshots on disk: `step-00001234/` with a file each for weights, optimizer, policy, state and, where there are some, small
//! networks, and a `manifest.json`.
//!
//! A checkpoint is there as a whole or not at all. Everything is written into `step-00001234.tmp/`, the manifest with the
//! size and SHA-256 of every file last, each synchronised; then the folder gets its name, and the folder above is
//! synchronised. Whoever is killed in between leaves a `.tmp` that nobody reads and the next save removes.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::snapshot::Snapshot;

/// Version of the format. An older one is migrated when it is read, a newer one is refused.
const SCHEMA: u32 = 1;
const MANIFEST: &str = "manifest.json";
/// A manifest is a few hundred bytes; nobody reads a gigabyte to find that it is none.
const LARGEST_MANIFEST: u64 = 1 << 20;

/// What a checkpoint is, and how to tell that it is whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Version of the format.
    pub schema: u32,
    /// Steps done.
    pub step: u64,
    /// Length of `metrics.jsonl` then, in bytes.
    pub metrics: u64,
    /// Fingerprint of the training data.
    pub data: String,
    /// Size and SHA-256 of every file beside the manifest.
    pub files: BTreeMap<String, Fingerprint>,
    /// SHA-256 of this manifest as compact JSON, with this field empty.
    pub sha256: String,
}

/// Size and content of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fingerprint {
    /// Bytes.
    pub bytes: u64,
    /// SHA-256 in hexadecimal.
    pub sha256: String,
}

/// Why a checkpoint could not be written, or is not to be trusted.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// What it says.
        source: io::Error,
    },
    /// Not what was written.
    #[error("{}: {reason}", path.display())]
    Broken {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Of a later version of this program.
    #[error("{}: format {found}, this program reads up to {SCHEMA}: use a newer one", path.display())]
    TooNew {
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
}

/// What there is to go on from.
#[derive(Debug)]
pub struct Found {
    /// The latest that is whole.
    pub latest: Option<(Manifest, Snapshot)>,
    /// Later ones that are not, and why.
    pub refused: Vec<CheckpointError>,
}

impl Checkpoints {
    /// In `folder`, of which the last `keep` are kept.
    #[must_use]
    pub fn new(folder: PathBuf, keep: usize) -> Self {
        Self { folder, keep: keep.max(1) }
    }

    /// Writes a snapshot, then removes those that are too many. `metrics` is the length of `metrics.jsonl`, `data` the
    /// fingerprint of the training data.
    ///
    /// # Errors
    /// [`CheckpointError::Io`]; earlier checkpoints are then as they were.
    pub fn save(&self, snapshot: &Snapshot, metrics: u64, data: &str) -> Result<(), CheckpointError> {
        let outcome = self.save_to(&mut System, snapshot, metrics, data);
        if outcome.is_err() {
            // Half a checkpoint on a disk that is full helps nobody. If even this fails, the next save tries again.
            let left_over = self.entries().unwrap_or_default().into_iter().filter(|(step, _)| step.is_none());
            left_over.for_each(|(_, path)| drop(fs::remove_dir_all(path)));
        }
        outcome
    }

    fn save_to(
        &self,
        disk: &mut dyn Disk,
        snapshot: &Snapshot,
        metrics: u64,
        data: &str,
    ) -> Result<(), CheckpointError> {
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
        disk.write(&scratch.join(MANIFEST), &manifest(snapshot, metrics, data))?;
        disk.sync_dir(&scratch)?;
        // The same step again, after a rollback or from a checkpoint before it.
        if target.exists() {
            disk.rename(&target, &replaced)?;
        }
        disk.rename(&scratch, &target)?;
        disk.sync_dir(&self.folder)?;
        if replaced.exists() {
            disk.remove_dir(&replaced)?;
        }
        let steps = self.entries()?.into_iter().filter(|(step, _)| step.is_some());
        for (_, path) in steps.rev().skip(self.keep) {
            disk.remove_dir(&path)?;
        }
        Ok(())
    }

    /// The latest checkpoint that is whole and that `accept` does not object to.
    ///
    /// # Errors
    /// [`CheckpointError::Io`] if the folder cannot be read. A broken checkpoint is no error: it is
    /// [`refused`](Found::refused).
    pub fn latest(&self, accept: impl Fn(&Manifest) -> Result<(), String>) -> Result<Found, CheckpointError> {
        let mut refused = Vec::new();
        for (step, path) in self.entries()?.into_iter().rev() {
            let Some(step) = step else { continue };
            let accepted = read(&path, step).and_then(|(manifest, snapshot)| match accept(&manifest) {
                Ok(()) => Ok((manifest, snapshot)),
                Err(reason) => Err(CheckpointError::Broken { path, reason }),
            });
            match accepted {
                Ok(latest) => return Ok(Found { latest: Some(latest), refused }),
                Err(error) => refused.push(error),
            }
        }
        Ok(Found { latest: None, refused })
    }

    /// Everything in the folder that is ours, in order of steps; those without a step are left-overs.
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

fn manifest(snapshot: &Snapshot, metrics: u64, data: &str) -> Vec<u8> {
    let fingerprint = |bytes: &[u8]| Fingerprint { bytes: bytes.len() as u64, sha256: sha256(bytes) };
    let files = snapshot.files().into_iter().map(|(name, bytes)| (name.to_string(), fingerprint(bytes))).collect();
    let (step, data) = (snapshot.step, data.to_string());
    let mut manifest = Manifest { schema: SCHEMA, step, metrics, data, files, sha256: String::new() };
    manifest.sha256 = manifest.digest();
    let mut text = json(&manifest);
    text.push(b'\n');
    text
}

impl Manifest {
    fn digest(&self) -> String {
        sha256(&json(&Self { sha256: String::new(), ..self.clone() }))
    }
}

fn json(manifest: &Manifest) -> Vec<u8> {
    // Numbers, text and maps with text for keys: there is nothing in it that JSON could refuse.
    serde_json::to_vec(manifest).unwrap_or_default()
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A checkpoint, if it is what was written.
fn read(folder: &Path, step: u64) -> Result<(Manifest, Snapshot), CheckpointError> {
    let path = folder.join(MANIFEST);
    let broken = |reason: String| CheckpointError::Broken { path: path.clone(), reason };
    let text = contents(&path, LARGEST_MANIFEST)?;
    let schema = serde_json::from_slice::<serde_json::Value>(&text).ok().and_then(|json| json.get("schema")?.as_u64());
    if let Some(found) = schema.filter(|schema| *schema > u64::from(SCHEMA)) {
        return Err(CheckpointError::TooNew { path, found: u32::try_from(found).unwrap_or(u32::MAX) });
    }
    let manifest: Manifest = serde_json::from_slice(&text).map_err(|error| broken(error.to_string()))?;
    if manifest.sha256 != manifest.digest() {
        return Err(broken("its checksum does not fit".into()));
    }
    if manifest.step != step {
        return Err(broken(format!("it is of step {}", manifest.step)));
    }
    let snapshot = Snapshot::from_files(step, |name| {
        let expected = match manifest.files.get(name) {
            None if name == Snapshot::OPTIONAL => return Ok(Vec::new()),
            expected => expected.ok_or_else(|| broken(format!("it does not name {name}")))?,
        };
        let path = folder.join(name);
        let bytes = contents(&path, expected.bytes)?;
        match sha256(&bytes) == expected.sha256 {
            true => Ok(bytes),
            false => Err(CheckpointError::Broken { path, reason: "its checksum does not fit the manifest".into() }),
        }
    })?;
    Ok((manifest, snapshot))
}

/// A file of at most so many bytes; one that is larger is not read to its end.
fn contents(path: &Path, largest: u64) -> Result<Vec<u8>, CheckpointError> {
    let io = |source| CheckpointError::Io { path: path.to_path_buf(), source };
    // Opening a pipe would wait for a writer.
    if !fs::metadata(path).map_err(io)?.is_file() {
        return Err(CheckpointError::Broken { path: path.to_path_buf(), reason: "it is not a file".into() });
    }
    let mut bytes = Vec::new();
    File::open(path).map_err(io)?.take(largest + 1).read_to_end(&mut bytes).map_err(io)?;
    match bytes.len() as u64 > largest {
        true => Err(CheckpointError::Broken { path: path.to_path_buf(), reason: format!("more than {largest} bytes") }),
        false => Ok(bytes),
    }
}

/// What a save asks of the system, one call each, so that a test can end it between any two.
trait Disk {
    fn create_dir(&mut self, path: &Path) -> Result<(), CheckpointError>;
    fn write(&mut self, path: &Path, bytes: &[u8]) -> Result<(), CheckpointError>;
    fn sync_dir(&mut self, path: &Path) -> Result<(), CheckpointError>;
    fn rename(&mut self, from: &Path, to: &Path) -> Result<(), CheckpointError>;
    fn remove_dir(&mut self, path: &Path) -> Result<(), CheckpointError>;
}

struct System;

impl Disk for System {
    fn create_dir(&mut self, path: &Path) -> Result<(), CheckpointError> {
        at(path, fs::create_dir_all(path))
    }

    fn write(&mut self, path: &Path, bytes: &[u8]) -> Result<(), CheckpointError> {
        let write = || {
            let mut file = File::create_new(path)?;
            file.write_all(bytes)?;
            file.sync_all()
        };
        at(path, write())
    }

    fn sync_dir(&mut self, path: &Path) -> Result<(), CheckpointError> {
        // Only here can a folder be opened, and only here does its content have to be synchronised by itself.
        if cfg!(unix) { at(path, File::open(path).and_then(|folder| folder.sync_all())) } else { Ok(()) }
    }

    fn rename(&mut self, from: &Path, to: &Path) -> Result<(), CheckpointError> {
        at(to, fs::rename(from, to))
    }

    fn remove_dir(&mut self, path: &Path) -> Result<(), CheckpointError> {
        at(path, fs::remove_dir_all(path))
    }
}

fn at(path: &Path, outcome: io::Result<()>) -> Result<(), CheckpointError> {
    outcome.map_err(|source| CheckpointError::Io { path: path.to_path_buf(), source })
}

#[cfg(test)]
mod tests;
