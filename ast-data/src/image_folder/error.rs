use std::path::{Path, PathBuf};

use ast_core::data::{DataError, Remedy};

/// Why a folder of images, or the binary form of one, cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{}: {reason}", file.display())]
pub(super) struct FolderError {
    file: PathBuf,
    reason: String,
}

impl FolderError {
    pub(super) fn new(file: &Path, reason: impl Into<String>) -> Self {
        Self { file: file.to_path_buf(), reason: reason.into() }
    }
}

impl From<FolderError> for DataError {
    fn from(error: FolderError) -> Self {
        Self::Files { error: Box::new(error), remedy: Remedy::None }
    }
}

/// Why an image cannot be loaded.
#[derive(Debug, thiserror::Error)]
#[error("{place}: {reason}")]
pub(super) struct ImageError {
    /// Its file.
    pub(super) place: String,
    pub(super) reason: String,
    /// Whether the image itself is broken. If not, it could not be read: a disk that is gone must not look like broken
    /// images.
    pub(super) broken: bool,
}
