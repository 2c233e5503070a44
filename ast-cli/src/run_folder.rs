//! What a run leaves behind: `config.toml`, `run.json`, `metrics.jsonl`, `summary.json` and `run.svg`.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use ast_core::{Event, RunConfig};
use serde::Serialize;

use crate::failure::{Failure, Kind};

/// Where runs go if not told.
const RUNS: &str = "runs";

pub(crate) struct RunFolder {
    path: PathBuf,
    metrics: File,
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
    pub(crate) scorer_origin: &'a str,
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
        let cannot =
            |error: io::Error| Failure::new(Kind::Create, format!("cannot create {}: {error}", path.display()));
        fs::create_dir_all(&path).map_err(cannot)?;
        if fs::read_dir(&path).map_err(cannot)?.next().is_some() {
            let message = format!("{} is not empty; name a new folder, nothing was changed", path.display());
            return Err(Failure::new(Kind::Create, message));
        }
        let metrics = File::create_new(path.join("metrics.jsonl")).map_err(cannot)?;
        let folder = Self { path, metrics };
        let text = toml::to_string(config).map_err(|error| Failure::new(Kind::Bug, error.to_string()))?;
        folder.write("config.toml", text.as_bytes())?;
        Ok(folder)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Appends one line; a line is written whole or not at all as far as the system allows.
    pub(crate) fn log(&mut self, event: &Event) -> io::Result<()> {
        let mut line = serde_json::to_vec(event)?;
        line.push(b'\n');
        self.metrics.write_all(&line)
    }

    pub(crate) fn write_json(&self, name: &str, value: &impl Serialize) -> Result<(), Failure> {
        let mut text = serde_json::to_vec_pretty(value).map_err(|error| Failure::new(Kind::Bug, error.to_string()))?;
        text.push(b'\n');
        self.write(name, &text)
    }

    /// Writes a file so that it appears whole or not at all.
    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> Result<(), Failure> {
        let write = || {
            let mut file = tempfile::NamedTempFile::new_in(&self.path)?;
            file.write_all(bytes)?;
            file.as_file().sync_all()?;
            file.persist(self.path.join(name)).map_err(|error| error.error)
        };
        let cannot = |error: io::Error| {
            Failure::new(Kind::Io, format!("cannot write {}: {error}", self.path.join(name).display()))
        };
        write().map(drop).map_err(cannot)
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
