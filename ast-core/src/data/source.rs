use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::data::{Dataset, Preprocessing};
use crate::plugin::{Entry, ParamError, Params};
use crate::random::Random;

/// Reads a dataset from its files or generates it.
///
/// The contract is checked by `testing::check_dataset` (feature `testing`).
pub trait DataSource {
    /// Reads the training and the test samples.
    ///
    /// # Errors
    /// [`DataError`], naming the file.
    fn read(&self, request: &ReadRequest<'_>) -> Result<Splits, DataError>;

    /// What its publisher offers; `None` if the data is generated, is the user's own, or may not be redistributed.
    fn published(&self) -> Option<Published> {
        None
    }

    /// The folder in `dir` whose folders all become data, if there is one: nothing else may be put there.
    fn folder_of_classes(&self, _dir: &Path) -> Option<PathBuf> {
        None
    }

    /// Checks that its files are in `dir`, without reading them.
    ///
    /// # Errors
    /// [`DataError`], which names what is missing.
    fn find(&self, _dir: &Path) -> Result<(), DataError> {
        Ok(())
    }

    /// Reads all files in `dir` and compares them with the published ones.
    ///
    /// # Errors
    /// [`DataError`] if files are damaged. A complete copy with different content is not an error: see [`Verified`].
    fn verify(&self, dir: &Path) -> Result<Verified, DataError> {
        let splits = self.read(&ReadRequest::of(dir))?;
        Ok(Verified { splits, modified: None })
    }

    /// What is in `dir`, as lines of a name and a text for people; empty if it says nothing. No sample is read.
    ///
    /// # Errors
    /// [`DataError`].
    fn describe(&self, _dir: &Path) -> Result<Vec<(&'static str, String)>, DataError> {
        Ok(Vec::new())
    }

    /// Reads the contents of every sample in `dir`; `None` if [`verify`](Self::verify) does that already. `progress` gets
    /// the number of samples read, and of all.
    ///
    /// # Errors
    /// [`DataError`] if the samples cannot be listed. A broken sample is not an error: see [`VerifiedContents`].
    fn verify_contents(
        &self,
        _dir: &Path,
        _progress: &mut dyn FnMut(usize, usize),
    ) -> Result<Option<VerifiedContents>, DataError> {
        Ok(None)
    }
}

/// Samples whose contents were all read: see [`DataSource::verify_contents`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedContents {
    /// Number of samples of each split that has some, and the SHA-256 of their labels and contents, in hexadecimal.
    pub splits: Vec<(&'static str, usize, String)>,
    /// The broken samples, by file, and what is wrong with each.
    pub broken: Vec<String>,
}

/// The arguments for reading a dataset.
#[derive(Debug, Clone, Copy)]
pub struct ReadRequest<'a> {
    /// The folder of its files, if set.
    pub dir: Option<&'a Path>,
    /// Randomness of generated data.
    pub random: Random,
    /// Number of training samples to generate. Datasets in files are always read whole.
    pub samples: Option<usize>,
    /// How the samples are to be prepared, or a part of it, instead of as they ask for themselves: as an earlier run did, whose
    /// network they are for. It does not have to be possible: the reader compares it with that of the samples
    /// ([`Preprocessing::of`]). With the [classes](Preprocessing::classes) given, samples of some of them are enough, and those
    /// of one split.
    pub preprocessing: Option<&'a Preprocessing>,
}

impl<'a> ReadRequest<'a> {
    /// For the samples in `dir`, prepared as they ask for themselves.
    #[must_use]
    pub fn of(dir: &'a Path) -> Self {
        Self { dir: Some(dir), random: Random::new(0), samples: None, preprocessing: None }
    }
}

/// The training and the test samples.
#[derive(Clone)]
pub struct Splits {
    /// The training samples.
    pub train: Arc<dyn Dataset>,
    /// The test samples; `None` if there are none. A run then evaluates on training samples that it holds out.
    pub test: Option<Arc<dyn Dataset>>,
}

/// A dataset whose files were all read.
pub struct Verified {
    /// Its samples.
    pub splits: Splits,
    /// Names of the files that differ from the published ones; empty for an exact copy, and `None` if there is nothing to
    /// compare with.
    pub modified: Option<Vec<&'static str>>,
}

/// What the publisher of a dataset offers.
#[derive(Debug, Clone)]
pub struct Published {
    /// The publisher's page.
    pub page: &'static str,
    /// The licence, or that none is stated.
    pub licence: &'static str,
    /// What has to be downloaded.
    pub downloads: Vec<Download>,
}

impl Published {
    /// The size of all downloads.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.downloads.iter().map(|download| download.bytes).sum()
    }

    /// The same in megabytes, rounded.
    #[must_use]
    pub fn megabytes(&self) -> u64 {
        (self.bytes() + 500_000) / 1_000_000
    }

    /// The files of the dataset, after archives are unpacked.
    #[must_use]
    pub fn files(&self) -> Vec<PublishedFile> {
        self.downloads.iter().flat_map(Download::files).collect()
    }
}

/// A file at a server, identified by size and checksum.
#[derive(Debug, Clone, Copy)]
pub struct Download {
    /// Its path, relative to the folder that it is downloaded into. Mirrors have it under its last part.
    pub path: &'static str,
    /// Its size.
    pub bytes: u64,
    /// SHA-256 in hexadecimal.
    pub sha256: &'static str,
    /// Its address.
    pub url: &'static str,
    /// The files of the dataset in it, if it is an archive (`.tar.gz`). Without them it is such a file itself.
    pub members: &'static [PublishedFile],
}

impl Download {
    /// Its name at mirrors.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.path.rsplit('/').next().unwrap_or_default()
    }

    fn files(&self) -> Vec<PublishedFile> {
        let Self { path, bytes, sha256, members, .. } = *self;
        if members.is_empty() { vec![PublishedFile { path, bytes, sha256 }] } else { members.to_vec() }
    }
}

/// A file of a dataset, as it is published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublishedFile {
    /// Its path, relative to the folder that it is downloaded or unpacked into.
    pub path: &'static str,
    /// Its size.
    pub bytes: u64,
    /// SHA-256 in hexadecimal.
    pub sha256: &'static str,
}

impl PublishedFile {
    /// Its name without folder and extension.
    #[must_use]
    pub fn name(&self) -> &'static str {
        let name = self.path.rsplit('/').next().unwrap_or_default();
        name.split_once('.').map_or(name, |(stem, _)| stem)
    }
}

/// An error while reading a dataset.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// The dataset is read from files, but no folder is set.
    #[error("the folder of its files is not set")]
    NoFolder,
    /// Its files are missing or damaged.
    #[error("{error}")]
    Files {
        /// The file, the place in it, and what is wrong.
        error: Box<dyn std::error::Error + Send + Sync>,
        /// How to fix it.
        remedy: Remedy,
    },
    /// A parameter is invalid.
    #[error(transparent)]
    Param(#[from] ParamError),
}

/// How a person can fix a dataset that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remedy {
    /// Fetch it into this folder.
    Fetch(PathBuf),
    /// Give the folder instead of a file in it.
    NameTheFolder,
    /// Unpack this archive.
    Unpack(PathBuf),
    /// Move the folder away and fetch it again.
    Replace,
    /// The error message says it.
    None,
}

/// A registered dataset.
pub type DatasetEntry = Entry<BuildDataset>;
/// Its constructor.
pub type BuildDataset = fn(&Params) -> Result<Box<dyn DataSource>, ParamError>;
inventory::collect!(DatasetEntry);

/// Registers a dataset under a name. See `CONTRIBUTING.md` for the recipe.
#[macro_export]
macro_rules! register_dataset {
    ($($entry:tt)*) => {
        $crate::register_entry! { $crate::data::DatasetEntry, $($entry)* }
    };
}
