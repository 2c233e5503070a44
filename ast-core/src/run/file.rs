//! Reads files that may have been replaced by anything, such as a pipe or a huge file.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

/// Reads a file of at most `largest` bytes. `None` if it is larger; then it is not read to its end.
///
/// # Errors
/// The system's error. Folders, pipes and devices are refused before they are opened.
pub fn read_file(path: &Path, largest: u64) -> io::Result<Option<Vec<u8>>> {
    // Opening a pipe would wait for a writer, and a device has no end.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(largest.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok((bytes.len() as u64 <= largest).then_some(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_up_to_its_limit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        assert_eq!(read_file(&path, 3).unwrap_err().kind(), io::ErrorKind::NotFound);
        fs::write(&path, "abc").unwrap();
        for largest in [3, 4, u64::MAX] {
            assert_eq!(read_file(&path, largest).unwrap(), Some(b"abc".to_vec()));
        }
        for largest in [0, 2] {
            assert_eq!(read_file(&path, largest).unwrap(), None);
        }
    }

    #[test]
    #[cfg(unix)]
    fn folders_and_devices_are_refused_before_they_are_opened() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        for path in [folder.path(), &pipe, Path::new("/dev/zero")] {
            assert_eq!(read_file(path, u64::MAX).unwrap_err().to_string(), "it is not a file");
        }
    }
}
