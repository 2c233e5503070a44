use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::data::Dataset;
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

    /// The published archive of its files; `None` if the data is generated or may not be redistributed.
    fn archive(&self) -> Option<Archive> {
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
        let splits = self.read(&ReadRequest { dir: Some(dir), random: Random::new(0), samples: None })?;
        Ok(Verified { splits, modified: Vec::new() })
    }
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
}

/// The training and the test samples.
#[derive(Clone)]
pub struct Splits {
    /// The training samples.
    pub train: Arc<dyn Dataset>,
    /// The test samples.
    pub test: Arc<dyn Dataset>,
}

/// A dataset whose files were all read.
pub struct Verified {
    /// Its samples.
    pub splits: Splits,
    /// Names of the files that differ from the published ones; empty for an exact copy.
    pub modified: Vec<&'static str>,
}

/// A published archive, identified by size and checksum.
#[derive(Debug, Clone)]
pub struct Archive {
    /// Its file name, on disk and at mirrors.
    pub name: &'static str,
    /// Its size.
    pub bytes: u64,
    /// SHA-256 in hexadecimal.
    pub sha256: String,
    /// Its address.
    pub url: String,
    /// The files of the dataset in it.
    pub files: &'static [ArchiveFile],
}

/// A file in an [`Archive`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArchiveFile {
    /// Its path in the archive, and relative to the folder that the archive is unpacked into.
    pub path: &'static str,
    /// Its size.
    pub bytes: u64,
    /// SHA-1 in hexadecimal.
    pub sha1: &'static str,
}

impl ArchiveFile {
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
