//! What a run leaves behind: `config.toml`, `run.json`, `metrics.jsonl`, `checkpoints/`, and at its end `summary.json`,
//! `run.svg` and `model.safetensors`. A `lock` keeps two processes out of one folder.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use ast_core::{Event, Ran, RunConfig};
use serde::Serialize;

use crate::failure::{Failure, Kind};

/// Where runs go if not told.
const RUNS: &str = "runs";
pub(crate) const CONFIG: &str = "config.toml";
pub(crate) const SUMMARY: &str = "summary.json";
const METRICS: &str = "metrics.jsonl";
const LOCK: &str = "lock";

pub(crate) struct RunFolder {
    path: PathBuf,
    metrics: File,
    /// Bytes of `metrics`.
    length: u64,
    /// Held as long as the process lives.
    _lock: File,
}

/// `run.json`: where a result comes from.
#[derive(Debug, Serialize)]
pub(crate) struct Provenance<'a> {
    pub(crate) schema: u32,
    pub(crate) version: &'a str,
    pub(crate) commit: &'a str,
    pub(crate) command: Vec<String>,
    pub(crate) device: &'a str,
    pub(crate) threads: usize,
    /// What selects, and what was said about it at the start.
    pub(crate) ran: &'a Ran,
    /// The crate that the scorer comes from, where a registered one is used.
    pub(crate) scorer_origin: Option<&'a str>,
    /// sha256 of the training data.
    pub(crate) data: &'a str,
    pub(crate) seed: u64,
    /// Seconds since 1970.
    pub(crate) started: u64,
}

impl RunFolder {
    /// Creates the folder that was asked for, which must be new or empty, or the next free one under `runs/`.
    pub(crate) fn create(out: Option<&Path>, config: &RunConfig) -> Result<Self, Failure> {
        let path = match out {
            Some(path) => path.to_path_buf(),
            None => next_free(Path::new(RUNS), &format!("{}-{}", config.data.name, config.policy.name))?,
        };
        new_or_empty(&path)?;
        let cannot =
            |error: io::Error| Failure::new(Kind::Create, format!("cannot create {}: {error}", path.display()));
        let lock = lock(&path)?;
        let metrics = File::create_new(path.join(METRICS)).map_err(cannot)?;
        let folder = Self { path, metrics, length: 0, _lock: lock };
        let text = toml::to_string(config).map_err(|error| Failure::new(Kind::Bug, error.to_string()))?;
        folder.write(CONFIG, text.as_bytes())?;
        Ok(folder)
    }

    /// The folder of a run that was stopped.
    pub(crate) fn open(path: &Path) -> Result<Self, Failure> {
        let cannot = |error: io::Error| Failure::new(Kind::Io, format!("cannot open {}: {error}", path.display()));
        let lock = lock(path)?;
        let metrics = File::options().append(true).read(true).create(true).open(path.join(METRICS)).map_err(cannot)?;
        let length = metrics.metadata().map_err(cannot)?.len();
        Ok(Self { path: path.to_path_buf(), metrics, length, _lock: lock })
    }

    /// Bytes that `metrics.jsonl` has.
    pub(crate) fn metrics_length(&self) -> u64 {
        self.length
    }

    /// The events of the first `length` bytes of `metrics.jsonl`; what comes after them is cut off.
    pub(crate) fn rewind(&mut self, length: u64) -> Result<Vec<Event>, Failure> {
        let file = self.path.join(METRICS);
        let cannot = |error: io::Error| Failure::new(Kind::Io, format!("cannot read {}: {error}", file.display()));
        let mut bytes = vec![0; length as usize];
        self.metrics.seek(SeekFrom::Start(0)).map_err(cannot)?;
        self.metrics.read_exact(&mut bytes).map_err(cannot)?;
        let lines = bytes.split(|byte| *byte == b'\n').enumerate().filter(|(_, line)| !line.is_empty());
        let events = lines.map(|(number, line)| {
            serde_json::from_slice(line)
                .map_err(|error| Failure::new(Kind::Data, format!("{}, line {}: {error}", file.display(), number + 1)))
        });
        let events = events.collect::<Result<_, _>>()?;
        self.metrics.set_len(length).map_err(cannot)?;
        self.length = length;
        Ok(events)
    }

    /// Everything logged so far is on the disk when this returns.
    pub(crate) fn sync(&self) -> io::Result<()> {
        self.metrics.sync_data()
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Appends one line; a line is written whole or not at all as far as the system allows.
    pub(crate) fn log(&mut self, event: &Event) -> io::Result<()> {
        let mut line = serde_json::to_vec(event)?;
        line.push(b'\n');
        self.metrics.write_all(&line)?;
        self.length += line.len() as u64;
        Ok(())
    }

    pub(crate) fn write_json(&self, name: &str, value: &impl Serialize) -> Result<(), Failure> {
        let mut text = serde_json::to_vec_pretty(value).map_err(|error| Failure::new(Kind::Bug, error.to_string()))?;
        text.push(b'\n');
        self.write(name, &text)
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> Result<(), Failure> {
        write(&self.path.join(name), bytes)
    }
}

/// Removes what somebody left who was killed before there was a configuration.
pub(crate) fn clear(path: &Path) -> Result<(), Failure> {
    if !path.exists() {
        return Ok(());
    }
    let _mine = lock(path)?;
    let cannot = |error: io::Error| Failure::new(Kind::Io, format!("cannot remove {}: {error}", path.display()));
    fs::remove_dir_all(path).map_err(cannot)
}

/// Creates a folder, or makes sure that the one that is there is empty: there may be the lock of somebody who is just
/// beginning there, and then it is for the lock to say who may.
pub(crate) fn new_or_empty(path: &Path) -> Result<(), Failure> {
    let cannot = |error: io::Error| Failure::new(Kind::Create, format!("cannot create {}: {error}", path.display()));
    fs::create_dir_all(path).map_err(cannot)?;
    let mut entries = fs::read_dir(path).map_err(cannot)?.filter_map(Result::ok);
    if entries.any(|entry| entry.file_name() != LOCK) {
        if path.join(LOCK).is_file() {
            drop(lock(path)?);
        }
        let message = format!("{} is not empty; name a new folder, nothing was changed", path.display());
        return Err(Failure::new(Kind::Create, message));
    }
    Ok(())
}

/// Writes a file so that it appears whole or not at all.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let write = || {
        let mut file = tempfile::NamedTempFile::new_in(path.parent().unwrap_or(Path::new(".")))?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)
    };
    let cannot = |error: io::Error| Failure::new(Kind::Io, format!("cannot write {}: {error}", path.display()));
    write().map(drop).map_err(cannot)
}

/// Nobody else's while it is held; the system lets go of it whatever becomes of the process.
fn lock(path: &Path) -> Result<File, Failure> {
    let file = path.join(LOCK);
    let cannot = |error: io::Error| Failure::new(Kind::Io, format!("cannot open {}: {error}", file.display()));
    let lock = File::options().write(true).create(true).truncate(false).open(&file).map_err(cannot)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => {
            Err(Failure::new(Kind::TryAgain, format!("{} is in use by another process", path.display())))
        }
        Err(TryLockError::Error(error)) => Err(cannot(error)),
    }
}

/// `runs/0001-NAME`, or one more than the highest number there is.
fn next_free(runs: &Path, name: &str) -> Result<PathBuf, Failure> {
    let cannot = |error: io::Error| Failure::new(Kind::Create, format!("cannot create {}: {error}", runs.display()));
    fs::create_dir_all(runs).map_err(cannot)?;
    let number = |entry: io::Result<fs::DirEntry>| -> Option<u32> {
        entry.ok()?.file_name().to_str()?.split('-').next()?.parse().ok()
    };
    let highest = fs::read_dir(runs).map_err(cannot)?.filter_map(number).max().unwrap_or(0);
    // Two runs that start together must not share a folder: creating it is what claims the number.
    for number in highest + 1..highest + 1000 {
        let path = runs.join(format!("{number:04}-{name}"));
        match fs::create_dir(&path) {
            Ok(()) => return Ok(path),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(cannot(error)),
        }
    }
    Err(Failure::new(Kind::Create, format!("no free number under {}; name a folder with --out", runs.display())))
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::*;

    /// Whoever comes too late is told to try again, not that the folder is in the way: another run is using it.
    #[test]
    fn of_many_who_begin_in_one_folder_one_does() {
        let parent = tempfile::tempdir().unwrap();
        for round in 0..50 {
            let (path, barrier) = (parent.path().join(round.to_string()), Barrier::new(8));
            let begin = || {
                barrier.wait();
                RunFolder::create(Some(&path), &RunConfig::default())
            };
            let all: Vec<_> = std::thread::scope(|scope| {
                let threads: Vec<_> = (0..8).map(|_| scope.spawn(begin)).collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).collect()
            });
            assert_eq!(all.iter().filter(|begun| begun.is_ok()).count(), 1);
            assert!(all.iter().filter_map(|begun| begun.as_ref().err()).all(|why| why.kind == Kind::TryAgain));
            drop(all);
            let late = RunFolder::create(Some(&path), &RunConfig::default()).err().unwrap();
            assert!(late.kind == Kind::Create && late.to_string().contains("is not empty"), "{late}");
        }
    }
}
