//! The folder of a run: `config.toml`, `run.json`, `metrics.jsonl`, `checkpoints/`, `best.safetensors`, and after the
//! end `summary.json`, `run.svg`, `model.safetensors`, `ledger.csv`, `predictions.csv` and `report.html`. Files that a resumed run could not use are in `aside-1/`,
//! `aside-2/` and so on. A `lock` keeps a second process out.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use ast_core::data::Preprocessing;
use ast_core::run::{Event, Fingerprint, Ran, RunConfig, RunningFingerprint, Summary};
use serde::Serialize;

use crate::claim::{Claim, LOCK, is_locked, lock, put_aside};
use crate::export;
use crate::failure::{Failure, Kind};
use crate::output::note;
use crate::records::{LEDGER, PREDICTIONS};
use crate::shell::quoted;
use crate::tensorboard;

/// Where run folders are created by default.
pub(crate) const RUNS: &str = "runs";
pub(crate) const CONFIG: &str = "config.toml";
pub(crate) const SUMMARY: &str = "summary.json";
pub(crate) const METRICS: &str = "metrics.jsonl";
pub(crate) const PROVENANCE: &str = "run.json";
/// The weights at the end of the run.
pub(crate) const MODEL: &str = "model.safetensors";
/// A page about the run.
pub(crate) const PAGE: &str = "report.html";
pub(crate) const CHECKPOINTS: &str = "checkpoints";
/// The files of a run besides its configuration, in the order in which they are moved aside. The checkpoints are last:
/// without them a resumed run starts its log again, so the log must be safe first.
const LEFT: [&str; 13] = [
    SUMMARY,
    METRICS,
    PROVENANCE,
    "best.safetensors",
    MODEL,
    "run.svg",
    PAGE,
    export::METRICS,
    export::EMISSIONS,
    tensorboard::FOLDER,
    LEDGER,
    PREDICTIONS,
    CHECKPOINTS,
];

/// The folder of a run, with its open log.
pub(crate) struct RunFolder {
    claim: Claim,
    metrics: File,
    /// Fingerprint of `metrics`.
    fingerprint: RunningFingerprint,
}

/// `run.json`: the origin of a result.
#[derive(Debug, Serialize)]
pub(crate) struct Provenance<'a> {
    pub(crate) schema: u32,
    pub(crate) version: &'a str,
    pub(crate) commit: &'a str,
    pub(crate) command: Vec<String>,
    pub(crate) device: &'a str,
    pub(crate) threads: usize,
    /// Policy and scorer of the run, and its warnings.
    pub(crate) ran: &'a Ran,
    /// The crate of the scorer, if a registered one is used.
    pub(crate) scorer_origin: Option<&'a str>,
    /// SHA-256 of the training data.
    pub(crate) data: &'a str,
    /// SHA-256 of names and classes of the training samples, and of the evaluation samples.
    pub(crate) layout: [String; 2],
    /// How samples become the input of the network.
    pub(crate) preprocessing: Preprocessing,
    pub(crate) seed: u64,
    /// Seconds since 1970.
    pub(crate) started: u64,
}

impl RunFolder {
    /// Creates the folder `out`, which must be new or empty, or else the next free one under `runs/`.
    pub(crate) fn create(out: Option<&Path>, config: &RunConfig) -> Result<Self, Failure> {
        let path = match out {
            Some(path) => path.to_path_buf(),
            None => next_free(Path::new(RUNS), &format!("{}-{}", config.data.name, config.policy.name))?,
        };
        if let Err(full) = new_or_empty(&path) {
            // A run that has just begun there is more to the point than the files that it has written.
            let in_use = path.join(LOCK).exists().then(|| Claim::of(&path).err()).flatten();
            return Err(in_use.unwrap_or(full));
        }
        let cannot =
            |error: io::Error| Failure::new(Kind::Create, format!("cannot create {}: {error}", path.display()));
        let claim = Claim::of(&path)?;
        let metrics = File::create_new(path.join(METRICS)).map_err(cannot)?;
        write_config(&path, config)?;
        Ok(Self { claim, metrics, fingerprint: RunningFingerprint::default() })
    }

    /// The folder of a resumed run, with its log cut to `keep`.
    pub(crate) fn go_on(claim: Claim, keep: &[u8]) -> Result<Self, Failure> {
        let file = claim.path().join(METRICS);
        let open = || {
            let metrics = File::options().append(true).create(true).open(&file)?;
            metrics.set_len(keep.len() as u64)?;
            Ok(metrics)
        };
        let cannot = |error: io::Error| Failure::new(Kind::Io, format!("cannot write {}: {error}", file.display()));
        let metrics = open().map_err(cannot)?;
        let mut fingerprint = RunningFingerprint::default();
        fingerprint.update(keep);
        Ok(Self { claim, metrics, fingerprint })
    }

    /// The folder of a run that starts over. All its files are moved aside, with a copy of its configuration.
    pub(crate) fn start_over(claim: Claim, config: &RunConfig) -> Result<Self, Failure> {
        let run = claim.path();
        // An empty log beside a run.json belongs to a run that had just started.
        let begun = fs::metadata(run.join(METRICS)).is_ok_and(|log| log.len() > 0);
        let left = LEFT.into_iter().any(|name| ![METRICS, PROVENANCE].contains(&name) && run.join(name).exists());
        let names = LEFT.map(Path::new).into_iter().filter(|_| begun || left);
        if let Some(aside) = put_aside(run, names)? {
            let cannot = |error: io::Error| {
                Failure::new(Kind::Io, format!("cannot copy {CONFIG} into {}: {error}", aside.display()))
            };
            fs::copy(run.join(CONFIG), aside.join(CONFIG)).map_err(cannot)?;
            note(&format!("the old files are in {}", aside.display()));
        }
        write_config(run, config)?;
        Self::go_on(claim, &[])
    }

    /// Length and SHA-256 of `metrics.jsonl`.
    pub(crate) fn log_fingerprint(&self) -> Fingerprint {
        self.fingerprint.fingerprint()
    }

    /// Returns when everything logged so far is on the disk.
    pub(crate) fn sync(&self) -> io::Result<()> {
        self.metrics.sync_data()
    }

    pub(crate) fn path(&self) -> &Path {
        self.claim.path()
    }

    /// Appends one line in one write, so that a line is complete or missing, as far as the operating system allows.
    pub(crate) fn log(&mut self, event: &Event) -> io::Result<()> {
        let mut line = serde_json::to_vec(event)?;
        line.push(b'\n');
        self.metrics.write_all(&line)?;
        self.fingerprint.update(&line);
        Ok(())
    }

    pub(crate) fn write_json(&self, name: &str, value: &impl Serialize) -> Result<(), Failure> {
        let mut text = serde_json::to_vec_pretty(value).map_err(|error| Failure::new(Kind::Bug, error.to_string()))?;
        text.push(b'\n');
        self.write(name, &text)
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> Result<(), Failure> {
        write(&self.path().join(name), bytes)
    }
}

fn write_config(run: &Path, config: &RunConfig) -> Result<(), Failure> {
    let text = toml::to_string(config).map_err(|error| Failure::new(Kind::Bug, error.to_string()))?;
    write(&run.join(CONFIG), text.as_bytes())
}

/// The failure for a file that a run has only at its end.
pub(crate) fn not_yet(run: &Path, name: &str) -> Failure {
    if let Err(missing) = is_a_run(run) {
        return missing;
    }
    let file = run.join(name);
    let hint = match run.join(SUMMARY).is_file() {
        true => "it was removed, or an older program made the run".to_string(),
        false if is_locked(run) => "it is written at the end of the run, which is still training".into(),
        false => format!("it is written at the end of a run; {}", how_resumed(run)),
    };
    Failure::new(Kind::Data, format!("{}: no such file: {hint}", file.display()))
}

/// What resuming a run without a summary does. A finished run has no checkpoints left.
pub(crate) fn how_resumed(run: &Path) -> String {
    let has_checkpoint = fs::read_dir(run.join(CHECKPOINTS)).is_ok_and(|mut entries| entries.next().is_some());
    let does = if has_checkpoint { "continues from the last checkpoint" } else { "trains it again from the start" };
    format!("`ast train --resume {}` {does}", quoted(run))
}

/// Reads the summary of a finished run.
pub(crate) fn summary_of(run: &Path) -> Result<Summary, Failure> {
    let file = run.join(SUMMARY);
    let text = fs::read_to_string(&file).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => not_yet(run, SUMMARY),
        _ => Failure::new(Kind::Io, format!("cannot read {}: {error}", file.display())),
    })?;
    let damaged = |error| {
        let what = "this is not the summary of a run, or it is damaged";
        format!("{}: {what} ({error}); move it away, then {}", file.display(), how_resumed(run))
    };
    serde_json::from_str(&text).map_err(|error: serde_json::Error| Failure::new(Kind::Data, damaged(error)))
}

/// Removes what a process left that was killed before it wrote a configuration.
pub(crate) fn clear(path: &Path) -> Result<(), Failure> {
    if !path.exists() {
        return Ok(());
    }
    let _mine = lock(path)?;
    let cannot = |error: io::Error| Failure::new(Kind::Io, format!("cannot remove {}: {error}", path.display()));
    fs::remove_dir_all(path).map_err(cannot)
}

/// Creates a folder, or checks that an existing one is empty. A lone lock file is allowed: another process may be
/// starting here, and the lock decides.
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

/// Writes a file atomically. A link is followed; a pipe or a device is written to and not replaced.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let write = || {
        if fs::metadata(path).is_ok_and(|there| !there.is_file()) {
            return fs::write(path, bytes);
        }
        let mut file = with_the_usual_mode().tempfile_in(folder)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
        file.persist(path).map(drop).map_err(|error| error.error)
    };
    let cannot = |error: io::Error| match folder.is_dir() {
        true => Failure::new(Kind::Io, format!("cannot write {}: {error}", path.display())),
        false => {
            Failure::new(Kind::Io, format!("cannot write {}: there is no folder {}", path.display(), folder.display()))
        }
    };
    write().map_err(cannot)
}

/// Writes a file that a person has named: not over one that belongs to a run.
pub(crate) fn write_named(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let mut owned = LEFT.iter().chain(&[CONFIG, LOCK]).filter(|name| **name != PAGE);
    let of_a_run = path.parent().is_some_and(|folder| folder.join(CONFIG).is_file());
    if of_a_run && owned.any(|name| path.file_name().is_some_and(|given| given == *name)) {
        return Err(Failure::usage(format!("{} is a file of that run: give another name", path.display())));
    }
    write(path, bytes)
}

/// Checks that a folder is there and that of a run.
pub(crate) fn is_a_run(run: &Path) -> Result<(), Failure> {
    let wrong = match fs::metadata(run) {
        Ok(found) if found.is_dir() => match fs::read_dir(run) {
            Ok(_) if run.join(CONFIG).symlink_metadata().is_ok() => return Ok(()),
            Ok(_) => {
                let what = format!("{}: there is no {CONFIG}, so this is not the folder of a run", run.display());
                return Err(Failure::usage(format!("{what}; `ast runs {}` lists those in it", quoted(run))));
            }
            Err(error) => error.to_string(),
        },
        Ok(_) => "this is not a folder; give that of the run".into(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            "there is no such folder; `ast runs` lists the runs".into()
        }
        Err(error) => error.to_string(),
    };
    Err(Failure::new(Kind::Io, format!("{}: {wrong}", run.display())))
}

/// Temporary files are readable by their owner only. These are renamed to final files, so they get the usual
/// permissions (umask).
fn with_the_usual_mode() -> tempfile::Builder<'static, 'static> {
    #[cfg_attr(not(unix), allow(unused_mut))]
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder
}

/// `runs/NNNN-NAME`, numbered from 0001: one more than the highest number in use.
fn next_free(runs: &Path, name: &str) -> Result<PathBuf, Failure> {
    let cannot = |error: io::Error| Failure::new(Kind::Create, format!("cannot create {}: {error}", runs.display()));
    fs::create_dir_all(runs).map_err(cannot)?;
    let number = |entry: io::Result<fs::DirEntry>| -> Option<u64> {
        entry.ok()?.file_name().to_str()?.split('-').next()?.parse().ok()
    };
    // Numbers that large are not ours, and cannot be counted on from.
    let ours = |number: &u64| *number < 1 << 62;
    let highest = fs::read_dir(runs).map_err(cannot)?.filter_map(number).filter(ours).max().unwrap_or(0);
    // Two runs may start at the same time: creating the folder claims the number.
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
    use std::time::Duration;

    use super::*;

    /// A process that comes too late is told to try again, because another run is using the folder; not that the folder
    /// is not empty.
    #[test]
    fn only_one_of_many_processes_gets_the_folder() {
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
            // A process that another test is starting has the lock too, until its program begins.
            let late = || {
                std::thread::sleep(Duration::from_millis(1));
                RunFolder::create(Some(&path), &RunConfig::default()).err().unwrap()
            };
            let late = std::iter::repeat_with(late).take(10_000).find(|late| late.kind != Kind::TryAgain).unwrap();
            assert!(late.kind == Kind::Create && late.to_string().contains("is not empty"), "{late}");
        }
    }
}
