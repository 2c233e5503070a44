//! The files of CIFAR-10, and what is in a place that does not hold them, or not all of them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// One of the two versions that are published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    Binary,
    Python,
}

impl Version {
    pub(crate) const ALL: [Self; 2] = [Self::Binary, Self::Python];

    /// The folder in the published archive.
    pub(crate) fn folder(self) -> &'static str {
        match self {
            Self::Binary => "cifar-10-batches-bin",
            Self::Python => "cifar-10-batches-py",
        }
    }

    pub(crate) fn train(self) -> Vec<String> {
        (1..=5).map(|number| format!("data_batch_{number}{}", self.extension())).collect()
    }

    pub(crate) fn test(self) -> String {
        format!("test_batch{}", self.extension())
    }

    fn extension(self) -> &'static str {
        match self {
            Self::Binary => ".bin",
            Self::Python => "",
        }
    }
}

/// Why CIFAR-10 could not be read.
#[derive(Debug, thiserror::Error)]
pub enum CifarError {
    /// No such files.
    #[error(
        "{}: neither this folder nor its subfolders cifar-10-batches-bin and cifar-10-batches-py hold CIFAR-10 \
         (test_batch.bin or test_batch)",
        .0.display()
    )]
    Missing(PathBuf),
    /// There is no such folder.
    #[error("{}: there is no such folder; it should hold CIFAR-10 (test_batch.bin or test_batch)", .0.display())]
    NoFolder(PathBuf),
    /// It is a file.
    #[error("{}: this is a file, not a folder that holds CIFAR-10", .0.display())]
    NotAFolder(PathBuf),
    /// CIFAR-10 is there in an archive.
    #[error("{}: this is an archive, not a folder with the files in it", .0.display())]
    Packed(PathBuf),
    /// A file is missing where others of the same version are.
    #[error("{}: this file is missing, others of CIFAR-10 are there", .0.display())]
    Incomplete(PathBuf),
    /// A file could not be read.
    #[error("{}: {source}", file.display())]
    Io {
        /// Which file.
        file: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A file is too short or too long.
    #[error("{}: {found} bytes instead of {expected}: {}", file.display(), if found < expected { "it is cut off" } else { "it is not a CIFAR-10 file" })]
    Size {
        /// Which file.
        file: PathBuf,
        /// Bytes it should have, at most for a pickle.
        expected: u64,
        /// Bytes it has.
        found: u64,
    },
    /// A label is not a class.
    #[error("{}: label {found} at byte {offset}, expected 0 to 9", file.display())]
    Label {
        /// Which file.
        file: PathBuf,
        /// Where in it.
        offset: usize,
        /// What is there.
        found: u8,
    },
    /// A pickle is not one of CIFAR-10.
    #[error("{}: at byte {offset}: {reason}", file.display())]
    Pickle {
        /// Which file.
        file: PathBuf,
        /// Where in it.
        offset: usize,
        /// What is wrong.
        reason: String,
    },
}

/// Why `dir` cannot be read as CIFAR-10, where none of its folders has a test batch.
pub(crate) fn missing(dir: &Path) -> CifarError {
    match fs::metadata(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return CifarError::NoFolder(dir.to_path_buf()),
        Err(source) => return CifarError::Io { file: dir.to_path_buf(), source },
        Ok(about) if about.is_dir() => {}
        Ok(_) if is_archive(dir) => return CifarError::Packed(dir.to_path_buf()),
        Ok(_) => return CifarError::NotAFolder(dir.to_path_buf()),
    }
    let folders = Version::ALL.into_iter().flat_map(|v| [(v, dir.to_path_buf()), (v, dir.join(v.folder()))]);
    for (version, folder) in folders {
        if version.train().iter().any(|name| folder.join(name).exists()) {
            return CifarError::Incomplete(folder.join(version.test()));
        }
    }
    // A folder that cannot be listed holds nothing that can be read.
    let entries = fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut archives: Vec<_> = entries.filter(|path| is_cifar10(path) && is_archive(path)).collect();
    archives.sort();
    archives.into_iter().next().map_or_else(|| CifarError::Missing(dir.to_path_buf()), CifarError::Packed)
}

fn is_archive(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    path.is_file() && [".tar.gz", ".tgz", ".tar", ".zip", ".gz"].iter().any(|ending| name.ends_with(ending))
}

/// By the names of the published archives. Others may hold anything.
fn is_cifar10(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    name.starts_with("cifar-10-binary") || name.starts_with("cifar-10-python")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cifar10;

    #[test]
    fn what_is_there_instead_is_said() {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path();
        let error = |path: &Path| cifar10(path).unwrap_err();
        assert!(matches!(error(&at.join("nowhere")), CifarError::NoFolder(_)));
        assert!(matches!(error(at), CifarError::Missing(_)));
        fs::write(at.join("cifar10-jpeg.tar.gz"), "of pictures").unwrap();
        assert!(matches!(error(at), CifarError::Missing(_)), "an archive of something else");
        let archive = at.join("cifar-10-binary.tar.gz");
        fs::write(&archive, "packed").unwrap();
        assert!(matches!(error(at), CifarError::Packed(path) if path == archive));
        assert!(matches!(error(&archive), CifarError::Packed(path) if path == archive));
        fs::write(at.join("notes.txt"), "").unwrap();
        assert!(matches!(error(&at.join("notes.txt")), CifarError::NotAFolder(_)));
        for (folder, train, test) in [
            ("cifar-10-batches-py", "data_batch_3", "test_batch"),
            ("cifar-10-batches-bin", "data_batch_1.bin", "test_batch.bin"),
        ] {
            fs::create_dir(at.join(folder)).unwrap();
            fs::write(at.join(folder).join(train), "").unwrap();
            let expected = at.join(folder).join(test);
            assert!(matches!(error(at), CifarError::Incomplete(file) if file == expected));
            assert!(matches!(error(&at.join(folder)), CifarError::Incomplete(file) if file == expected));
        }
    }

    /// One of the training files: the file is named in the same words.
    #[test]
    fn a_missing_training_batch_is_named() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("test_batch.bin"), "").unwrap();
        let error = cifar10(dir.path()).unwrap_err();
        assert!(matches!(error, CifarError::Incomplete(file) if file.ends_with("data_batch_1.bin")));
    }
}
