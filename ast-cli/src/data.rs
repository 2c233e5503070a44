//! `ast data`: get a dataset's files, and look whether they are what they should be.

use std::fs;
use std::path::{Path, PathBuf};

use ast_core::data::Dataset;
use ast_data::{
    ArchiveError, CIFAR10_FILES, FetchError, FetchOptions, Images, Pinned, cifar10_files_modified, cifar10_modified,
    extract, fetch,
};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::args::DataCommand;
use crate::dataset::read_cifar10;
use crate::failure::{Failure, Kind, did_you_mean};
use crate::output::{note, print};
use crate::shell::quoted;

const NAMES: [&str; 1] = ["cifar10"];
const BAR: &str = "{wide_bar} {percent:>3} % of {total_bytes}, {eta} left";
/// Images of each class in training and test data: true of the original, and of nothing that lost a part.
const PER_CLASS: [(&str, usize); 2] = [("training", 5000), ("test", 1000)];

pub(crate) fn data(command: &DataCommand) -> Result<(), Failure> {
    match command {
        DataCommand::Fetch { name, data_dir } => {
            if !NAMES.contains(&name.as_str()) {
                let (list, hint) = (NAMES.join(", "), did_you_mean(name, NAMES));
                return Err(Failure::usage(format!("no dataset `{name}` can be fetched; there are: {list}{hint}")));
            }
            get_cifar10(data_dir.as_deref().unwrap_or(Path::new("data")))
        }
        DataCommand::Verify { data_dir } => match data_dir {
            Some(dir) => verify(dir),
            None => {
                Err(Failure::usage("name the folder that holds cifar-10-batches-bin with --data-dir or AST_DATA_DIR"))
            }
        },
    }
}

fn get_cifar10(dir: &Path) -> Result<(), Failure> {
    let next = format!("ast train --preset cifar10 --data-dir {}", quoted(dir));
    if dir.is_file() {
        return Err(Failure::usage(format!("{} is a file: name the folder to put the dataset into", dir.display())));
    }
    let modified = cifar10_files_modified(dir);
    if !modified.is_empty() {
        let folder = dir.join("cifar-10-batches-bin");
        if let Err(error) = ast_data::cifar10(dir) {
            let what = format!("{error}; move {} away and fetch again: nothing was changed", folder.display());
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
    if CIFAR10_FILES.iter().all(|(file, bytes)| fs::metadata(dir.join(file)).is_ok_and(|file| file.len() == *bytes)) {
        verify(dir)?;
        return print(&format!("it is there already; next: {next}"));
    }
    let pinned = Pinned::cifar10();
    let mirrors = std::env::var("AST_MIRROR").unwrap_or_default();
    let options = FetchOptions {
        mirrors: mirrors.split(',').map(str::trim).filter(|mirror| !mirror.is_empty()).map(Into::into).collect(),
        offline: std::env::var_os("AST_OFFLINE").is_some_and(|value| !value.is_empty() && value != "0"),
        ..FetchOptions::default()
    };
    note(&format!("fetching {} into {}", pinned.name, dir.display()));
    let style = ProgressStyle::with_template(BAR).unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar =
        ProgressBar::with_draw_target(Some(pinned.bytes), ProgressDrawTarget::stderr_with_hz(5)).with_style(style);
    let archive = fetch(&pinned, dir, &options, &mut |have| bar.set_position(have));
    bar.finish_and_clear();
    let archive: PathBuf = archive.map_err(|error| Failure::new(kind_of(&error), error.to_string()))?;
    extract(&archive, &CIFAR10_FILES, dir).map_err(|error| {
        let kind = if matches!(error, ArchiveError::Io { .. }) { Kind::Io } else { Kind::Data };
        Failure::new(kind, error.to_string())
    })?;
    // Its content stands beside it now.
    fs::remove_file(&archive)
        .map_err(|error| Failure::new(Kind::Io, format!("cannot remove {}: {error}", archive.display())))?;
    drop(fs::remove_file(dir.join(format!("{}.lock", pinned.name))));
    verify(dir)?;
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

/// Sizes, labels, images a class, whether it is what was published, and what to compare between two machines.
fn verify(dir: &Path) -> Result<(), Failure> {
    let (train, test) = read_cifar10(dir)?;
    for (images, (what, expected)) in [&train, &test].into_iter().zip(PER_CLASS) {
        for (class, found) in per_class(images).into_iter().enumerate() {
            if found != expected {
                let message =
                    format!("{}: {found} {what} images of class {class} instead of {expected}", dir.display());
                return Err(Failure::new(Kind::Data, message));
            }
        }
    }
    let modified = cifar10_modified(&train, &test);
    let origin = match modified.as_slice() {
        [] => "the published files, by the SHA-1 of each".into(),
        modified => format!("a modified copy: differs from the published files in {}", modified.join(", ")),
    };
    print(&format!(
        "CIFAR-10 in {}: 50,000 training and 10,000 test images, as many of each class as there should be\n\
         {origin}\n\
         sha256 of labels and pixels, training {}\n\
         sha256 of labels and pixels, test     {}",
        dir.display(),
        train.fingerprint(),
        test.fingerprint()
    ))
}

fn per_class(images: &Images) -> Vec<usize> {
    let mut counts = vec![0; images.classes()];
    (0..images.samples() as u32).for_each(|id| counts[images.label(id)] += 1);
    counts
}
