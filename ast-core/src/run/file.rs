//! Reading a file that a person may have replaced by anything.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

/// The content of a file of at most `largest` bytes; `None` if it is larger, which is found without reading it to its end.
///
/// # Errors
/// What the system says. A folder, a pipe or a device is not a file and is refused before it is opened.
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
    fn what_is_not_a_file_is_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        for path in [folder.path(), &pipe, Path::new("/dev/zero")] {
            assert_eq!(read_file(path, u64::MAX).unwrap_err().to_string(), "it is not a file");
        }
    }
}
