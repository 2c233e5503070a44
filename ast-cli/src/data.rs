//! `ast data`: downloads the files of a dataset and compares them with the published ones.

use std::fs;
use std::path::{Path, PathBuf};

use ast_core::data::{Archive, BuildDataset, DataError, DataSource, Splits, Verified, fingerprint};
use ast_core::plugin::{Params, Registry};
use ast_data::{ArchiveError, FetchError, FetchOptions, extract, fetch, modified_files};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::args::DataCommand;
use crate::dataset::refusal;
use crate::failure::{Failure, Kind, did_you_mean};
use crate::output::{note, print};
use crate::shell::quoted;

const BAR: &str = "{wide_bar} {percent:>3} % of {total_bytes}, {eta} left";

/// A dataset that has published files.
pub(crate) struct Published {
    pub(crate) name: &'static str,
    pub(crate) source: Box<dyn DataSource>,
    archive: Archive,
}

pub(crate) fn data(command: &DataCommand) -> Result<(), Failure> {
    match command {
        DataCommand::Fetch { name, data_dir } => get(&named(name)?, folder(data_dir.as_deref())),
        DataCommand::Verify { name, data_dir } => verify(&named(name)?, folder(data_dir.as_deref())),
    }
}

/// The folder of a dataset's files; `data` unless another one is named.
fn folder(named: Option<&Path>) -> &Path {
    named.filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("data"))
}

/// All registered datasets that can be downloaded.
pub(crate) fn published() -> Result<Vec<Published>, Failure> {
    let bug = |error: String| Failure::new(Kind::Bug, error);
    let registry = Registry::<BuildDataset>::linked().map_err(|error| bug(error.to_string()))?;
    let mut found = Vec::new();
    for entry in registry.iter() {
        let params = Params::resolve(entry.params, &Default::default()).map_err(|error| bug(error.to_string()))?;
        let source = (entry.build)(&params).map_err(|error| bug(error.to_string()))?;
        found.extend(source.archive().map(|archive| Published { name: entry.name, source, archive }));
    }
    Ok(found)
}

fn named(name: &str) -> Result<Published, Failure> {
    let all = published()?;
    let names: Vec<&str> = all.iter().map(|dataset| dataset.name).collect();
    let (list, hint) = (names.join(", "), did_you_mean(name, names.iter().copied()));
    let unknown = || Failure::usage(format!("no dataset `{name}` has published files; available: {list}{hint}"));
    all.into_iter().find(|dataset| dataset.name == name).ok_or_else(unknown)
}

impl Published {
    /// The folder of its files in the archive.
    fn folder(&self) -> &'static str {
        self.archive.files.first().and_then(|file| file.path.split('/').next()).unwrap_or(self.name)
    }

    fn refused(&self, error: DataError) -> Failure {
        refusal(self.name, error)
    }
}

fn get(dataset: &Published, dir: &Path) -> Result<(), Failure> {
    let Published { name, source, archive } = dataset;
    let next = format!("ast train --preset {name} --data-dir {}", quoted(dir));
    if dir.is_file() {
        return Err(Failure::usage(format!("{} is a file: give the folder to download into", dir.display())));
    }
    let modified = modified_files(archive.files, dir);
    if !modified.is_empty() {
        let folder = dir.join(dataset.folder());
        if let Err(error) = source.verify(dir) {
            let what = format!("{error}; nothing was changed: move {} away and fetch again", folder.display());
            return Err(Failure::new(Kind::Data, what));
        }
        return Err(Failure::new(
            Kind::Data,
            format!(
                "{} holds a modified copy: it differs from the published files in {}; nothing was fetched or changed. \
                 Train on it as it is, or move that folder away and fetch again, or name another one with --data-dir",
                folder.display(),
                modified.join(", ")
            ),
        ));
    }
    let there = |path: &str, bytes: u64| fs::metadata(dir.join(path)).is_ok_and(|file| file.len() == bytes);
    if archive.files.iter().all(|file| there(file.path, file.bytes)) {
        verify(dataset, dir)?;
        return print(&format!("already there; next: {next}"));
    }
    let mirrors = std::env::var("AST_MIRROR").unwrap_or_default();
    let options = FetchOptions {
        mirrors: mirrors.split(',').map(str::trim).filter(|mirror| !mirror.is_empty()).map(Into::into).collect(),
        offline: std::env::var_os("AST_OFFLINE").is_some_and(|value| !value.is_empty() && value != "0"),
        ..FetchOptions::default()
    };
    note(&format!("fetching {} into {}", archive.name, dir.display()));
    let style = ProgressStyle::with_template(BAR).unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar =
        ProgressBar::with_draw_target(Some(archive.bytes), ProgressDrawTarget::stderr_with_hz(5)).with_style(style);
    let packed = fetch(archive, dir, &options, &mut |have| bar.set_position(have));
    bar.finish_and_clear();
    let packed: PathBuf = packed.map_err(|error| Failure::new(kind_of(&error), error.to_string()))?;
    extract(&packed, archive.files, dir).map_err(|error| {
        let kind = if matches!(error, ArchiveError::Io { .. }) { Kind::Io } else { Kind::Data };
        Failure::new(kind, error.to_string())
    })?;
    // The archive is not needed after it is unpacked.
    fs::remove_file(&packed)
        .map_err(|error| Failure::new(Kind::Io, format!("cannot remove {}: {error}", packed.display())))?;
    drop(fs::remove_file(dir.join(format!("{}.lock", archive.name))));
    verify(dataset, dir)?;
    print(&format!("next: {next}"))
}

fn kind_of(error: &FetchError) -> Kind {
    match error {
        FetchError::Offline { .. } | FetchError::Busy(_) | FetchError::Unreachable { .. } => Kind::TryAgain,
        FetchError::Disk { .. } => Kind::Io,
        FetchError::NotAllowed(_) => Kind::Usage,
        FetchError::Answer { .. } => Kind::Data,
    }
}

/// Checks that a dataset is complete and as published, and prints checksums to compare two machines.
fn verify(dataset: &Published, dir: &Path) -> Result<(), Failure> {
    let verified = dataset.source.verify(dir).map_err(|error| dataset.refused(error))?;
    let Verified { splits: Splits { train, test }, modified } = verified;
    let origin = match modified.as_slice() {
        [] => "the published files, by the SHA-1 of each".into(),
        modified => format!("a modified copy: differs from the published files in {}", modified.join(", ")),
    };
    print(&format!(
        "{} in {}: {} training and {} test samples in {} classes, with the right number per class\n\
         {origin}\n\
         sha256 of labels and pixels, training {}\n\
         sha256 of labels and pixels, test     {}",
        dataset.name,
        dir.display(),
        train.samples(),
        test.samples(),
        train.classes(),
        fingerprint(train.as_ref()),
        fingerprint(test.as_ref())
    ))
}
