use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::data::Dataset;
use crate::plugin::{Entry, ParamError, Params};
use crate::random::Random;

/// Where the samples of a dataset come from: its files, their published archive, and how they are read.
///
/// The contract is checked by `testing::check_dataset` (feature `testing`).
pub trait DataSource {
    /// Reads the training and the test samples.
    ///
    /// # Errors
    /// [`DataError`], naming the file.
    fn read(&self, request: &ReadRequest<'_>) -> Result<Splits, DataError>;

    /// The published archive of its files; `None` for data that is generated or that nobody may pass on.
    fn archive(&self) -> Option<Archive> {
        None
    }

    /// Whether its files are in `dir`, without reading them.
    ///
    /// # Errors
    /// [`DataError`], naming what is missing.
    fn find(&self, _dir: &Path) -> Result<(), DataError> {
        Ok(())
    }

    /// Reads everything in `dir` and compares it with what was published.
    ///
    /// # Errors
    /// [`DataError`] if it is damaged. A whole copy with another content is no error.
    fn verify(&self, dir: &Path) -> Result<Verified, DataError> {
        let splits = self.read(&ReadRequest { dir: Some(dir), random: Random::new(0), samples: None })?;
        Ok(Verified { splits, modified: Vec::new() })
    }
}

/// What a [`DataSource`] may use to read a dataset.
#[derive(Debug, Clone, Copy)]
pub struct ReadRequest<'a> {
    /// The folder of its files, if one was named.
    pub dir: Option<&'a Path>,
    /// For data that is generated.
    pub random: Random,
    /// Training samples that are needed: for data that is generated. Files are read whole.
    pub samples: Option<usize>,
}

/// The samples to train on, and those to test on.
#[derive(Clone)]
pub struct Splits {
    /// To train on.
    pub train: Arc<dyn Dataset>,
    /// To test on.
    pub test: Arc<dyn Dataset>,
}

/// A dataset that was read whole.
pub struct Verified {
    /// Its samples.
    pub splits: Splits,
    /// The published files from which it differs; empty for an exact copy.
    pub modified: Vec<&'static str>,
}

/// A published archive, known by size and checksum.
#[derive(Debug, Clone)]
pub struct Archive {
    /// Its name on disk and at mirrors.
    pub name: &'static str,
    /// Its length.
    pub bytes: u64,
    /// SHA-256 in hexadecimal.
    pub sha256: String,
    /// Where it is published.
    pub url: String,
    /// The files in it that make up the dataset.
    pub files: &'static [ArchiveFile],
}

/// A file in an [`Archive`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArchiveFile {
    /// Its path in the archive, and below the folder that the archive is unpacked into.
    pub path: &'static str,
    /// Its length.
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

/// Why a dataset cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// It is made of files, and no folder was named.
    #[error("no folder is named that holds its files")]
    NoFolder,
    /// Its files are missing or damaged.
    #[error("{error}")]
    Files {
        /// Which file, where in it, and what is wrong.
        error: Box<dyn std::error::Error + Send + Sync>,
        /// What helps.
        remedy: Remedy,
    },
    /// A parameter was refused.
    #[error(transparent)]
    Param(#[from] ParamError),
}

/// What a person can do about a dataset that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remedy {
    /// Fetch it into this folder.
    Fetch(PathBuf),
    /// Name the folder instead of a file.
    NameTheFolder,
    /// Unpack this archive.
    Unpack(PathBuf),
    /// Move the folder away and fetch it again.
    Replace,
    /// What the error itself says.
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
    (name: $name:expr, summary: $summary:expr, params: $params:expr, build: $build:expr $(,)?) => {
        $crate::inventory::submit! {
            $crate::data::DatasetEntry {
                name: $name,
                aliases: &[],
                summary: $summary,
                origin: env!("CARGO_PKG_NAME"),
                params: $params,
                build: $build,
            }
        }
    };
}
