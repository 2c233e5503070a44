//! Images in Parquet files, as Hugging Face publishes datasets: a row for each image, with its file and its class.
//!
//! `DIR/data/train-00000-of-00001.parquet` or `DIR/train/0000.parquet`: the name of a file, or of its folder, tells the split.
//! Parquet packs many images into one page, so none can be read alone: the files are read whole at the start, and the images
//! stay in memory as they are in the files. An image is decoded when it was selected.

#[cfg(feature = "parquet")]
mod rows;

use std::fs;
use std::path::{Path, PathBuf};

use super::Opened;
use super::error::FolderError;
use super::index::is_hidden;

/// Files of more bytes together are not held in memory.
const LARGEST: u64 = 1 << 34;
/// Names of the split of training images.
const TRAIN: [&str; 2] = ["train", "training"];
/// Names of the splits that can be the test images; the first that is there counts.
const TEST: [&[&str]; 2] = [&["validation", "valid", "val", "dev"], &["test", "testing"]];

/// The Parquet files of a dataset, sorted by name.
#[derive(Debug, PartialEq, Eq)]
struct Shards {
    train: Vec<PathBuf>,
    test: Vec<PathBuf>,
}

/// The images of the Parquet files in a place, or `None` if there are no such files.
///
/// # Errors
/// [`FolderError`] for files whose split is not clear, or that cannot be read.
pub(super) fn open(place: &Path) -> Result<Option<Opened>, FolderError> {
    let Some(shards) = shards(place)? else { return Ok(None) };
    let all = shards.train.iter().chain(&shards.test);
    let bytes: u64 = all.map(|file| fs::metadata(file).map_or(0, |about| about.len())).sum();
    if bytes > LARGEST {
        let reason = format!("its Parquet files have {bytes} bytes, and at most {LARGEST} are held in memory");
        return Err(FolderError::new(place, format!("{reason}: write the images into folders, one for each class")));
    }
    read(place, &shards).map(Some)
}

#[cfg(feature = "parquet")]
fn read(_: &Path, shards: &Shards) -> Result<Opened, FolderError> {
    rows::open(shards)
}

#[cfg(not(feature = "parquet"))]
fn read(place: &Path, _: &Shards) -> Result<Opened, FolderError> {
    Err(FolderError::new(place, "it has Parquet files, which need another build: `--features parquet`"))
}

/// Whether a file has the name of a Parquet file.
pub(super) fn is_parquet(file: &Path) -> bool {
    file.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("parquet"))
}

/// The files of a place: a file, or those in a folder, in its folders and in theirs.
fn shards(place: &Path) -> Result<Option<Shards>, FolderError> {
    if place.is_file() {
        return Ok(is_parquet(place).then(|| Shards { train: vec![place.to_path_buf()], test: Vec::new() }));
    }
    let files = files(place, 2);
    let Some(first) = files.first() else { return Ok(None) };
    let wrong = |file: &Path, reason: String| Err(FolderError::new(file, reason));
    if let Some(other) = files.iter().map(|file| home(file)).find(|other| *other != home(first)) {
        let homes = format!("{} and {}", home(first).display(), other.display());
        return wrong(place, format!("it has Parquet files of several datasets: name one folder, such as {homes}"));
    }
    let of = |names: &[&str]| {
        let those = files.iter().filter(|file| split(file).is_some_and(|split| names.contains(&split.as_str())));
        those.cloned().collect::<Vec<_>>()
    };
    let train = of(&TRAIN);
    let test = TEST.into_iter().map(of).find(|files| !files.is_empty()).unwrap_or_default();
    match (train.is_empty(), test.is_empty()) {
        (true, true) => Ok(Some(Shards { train: files, test })),
        (true, false) => {
            wrong(place, "none of its Parquet files has training images: their names begin with `train`".into())
        }
        (false, _) => Ok(Some(Shards { train, test })),
    }
}

/// The Parquet files in a folder and `below` it, sorted by name, without hidden ones.
fn files(folder: &Path, below: usize) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let visible = entries.filter(|entry| !is_hidden(entry.file_name().as_encoded_bytes()));
    let mut found = Vec::new();
    for path in visible.map(|entry| entry.path()) {
        match path.is_dir() {
            true if below > 0 => found.extend(files(&path, below - 1)),
            false if is_parquet(&path) => found.push(path),
            _ => (),
        }
    }
    found.sort();
    found
}

/// The split that the name of a file tells, or else that of its folder: `train` of `train-00000-of-00001.parquet`.
fn split(file: &Path) -> Option<String> {
    let known = |word: &String| TRAIN.iter().chain(TEST.into_iter().flatten()).any(|name| name == word);
    let word = |name: &std::ffi::OsStr| {
        let name = name.to_string_lossy().to_ascii_lowercase();
        name.split(['-', '_', '.']).next().map(str::to_owned).filter(known)
    };
    word(file.file_name()?).or_else(|| word(file.parent()?.file_name()?))
}

/// The folder of a dataset: that of its files, or above the folders of its splits.
fn home(file: &Path) -> &Path {
    let folder = file.parent().unwrap_or(file);
    let of_split = split(folder).is_some() && split(Path::new(file.file_name().unwrap_or_default())).is_none();
    if of_split { folder.parent().unwrap_or(folder) } else { folder }
}

#[cfg(test)]
mod tests;
