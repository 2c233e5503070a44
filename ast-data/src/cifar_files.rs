//! What is in a place that holds no CIFAR-10, or not all of it.

use std::fs;
use std::io;
use std::path::Path;

use crate::cifar::{CifarError, Version};

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
