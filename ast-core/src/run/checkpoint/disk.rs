//! The file operations of a save. A test replaces them to make a save fail at any of them.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use super::CheckpointError;

pub(super) trait Disk {
    fn create_dir(&mut self, path: &Path) -> Result<(), CheckpointError>;
    fn write(&mut self, path: &Path, bytes: &[u8]) -> Result<(), CheckpointError>;
    fn sync_dir(&mut self, path: &Path) -> Result<(), CheckpointError>;
    fn rename(&mut self, from: &Path, to: &Path) -> Result<(), CheckpointError>;
    fn remove_dir(&mut self, path: &Path) -> Result<(), CheckpointError>;
}

pub(super) struct System;

impl Disk for System {
    fn create_dir(&mut self, path: &Path) -> Result<(), CheckpointError> {
        at(path, fs::create_dir_all(path))
    }

    fn write(&mut self, path: &Path, bytes: &[u8]) -> Result<(), CheckpointError> {
        let write = || {
            let mut file = File::create_new(path)?;
            file.write_all(bytes)?;
            file.sync_all()
        };
        at(path, write())
    }

    fn sync_dir(&mut self, path: &Path) -> Result<(), CheckpointError> {
        // Only Unix can open a folder, and only there must its entries be synchronised separately.
        if cfg!(unix) { at(path, File::open(path).and_then(|folder| folder.sync_all())) } else { Ok(()) }
    }

    fn rename(&mut self, from: &Path, to: &Path) -> Result<(), CheckpointError> {
        at(to, fs::rename(from, to))
    }

    fn remove_dir(&mut self, path: &Path) -> Result<(), CheckpointError> {
        at(path, fs::remove_dir_all(path))
    }
}

pub(super) fn at(path: &Path, outcome: io::Result<()>) -> Result<(), CheckpointError> {
    outcome.map_err(|source| CheckpointError::Io { path: path.to_path_buf(), source })
}
