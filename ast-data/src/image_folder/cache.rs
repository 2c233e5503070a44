//! What was measured of a folder, kept for its next run: decoding 2,048 large images takes many seconds.
//!
//! A file for each folder in `$XDG_CACHE_HOME/ast`, or else `~/.cache/ast`. It is a convenience: one that cannot be read or
//! written, is damaged, or is of other files is as good as none.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use ast_core::codec::{decode, encode, seal, unseal};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::statistics::Statistics;

/// Larger files are not ours.
const LARGEST: u64 = 1 << 16;
/// The version of what is measured, and how.
const VERSION: u32 = 1;
const PART: &str = "statistics of a folder";

/// The folder of the cache; `None` if the machine has none.
pub(super) fn folder() -> Option<PathBuf> {
    let of = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let caches = of("XDG_CACHE_HOME").or_else(|| Some(of("HOME")?.join(".cache")));
    Some(caches?.join("ast"))
}

/// The statistics of one folder in a cache.
pub(super) struct Cached {
    file: Option<PathBuf>,
    key: String,
}

#[derive(Serialize, Deserialize)]
struct Saved {
    version: u32,
    /// SHA-256 of names, sizes and times of all files.
    key: String,
    statistics: Statistics,
}

impl Cached {
    /// Of the images of `dir`, whose identities have the SHA-256 `key`.
    pub(super) fn new(cache: Option<&Path>, dir: &Path, key: String) -> Self {
        let dir = fs::canonicalize(dir).unwrap_or_else(|_| dir.to_path_buf());
        let name = format!("{:x}", Sha256::digest(dir.as_os_str().as_encoded_bytes()));
        Self { file: cache.map(|cache| cache.join(format!("images-{}.cbor", &name[..24]))), key }
    }

    /// The statistics, if they are there and the files are the same.
    pub(super) fn get(&self) -> Option<Statistics> {
        let bytes = ast_core::run::read_file(self.file.as_ref()?, LARGEST).ok()??;
        let saved: Saved = decode(PART, unseal(PART, &bytes).ok()?).ok()?;
        (saved.version == VERSION && saved.key == self.key).then_some(saved.statistics)
    }

    /// Keeps them. Another run may do the same at the same time: each writes a file of its own and then renames it.
    pub(super) fn put(&self, statistics: &Statistics) {
        let Some(file) = &self.file else { return };
        let saved = Saved { version: VERSION, key: self.key.clone(), statistics: statistics.clone() };
        let write = || -> Option<()> {
            let folder = file.parent()?;
            fs::create_dir_all(folder).ok()?;
            let mut part = tempfile::NamedTempFile::new_in(folder).ok()?;
            part.write_all(&seal(&encode(PART, &saved).ok()?)).ok()?;
            part.persist(file).ok().map(drop)
        };
        // Without a cache the next start measures again.
        let _ = write();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statistics(images: usize) -> Statistics {
        let (mean, deviation) = ([0.1, 0.2, 1.0 / 3.0], [0.25; 3]);
        Statistics { images, mean, deviation, input_deviation: 0.7, sides: Some([3, 5]) }
    }

    #[test]
    fn what_is_kept_is_found_again_for_the_same_files() {
        let folder = tempfile::tempdir().unwrap();
        let cached = |dir: &str, key: &str| Cached::new(Some(&folder.path().join("new")), Path::new(dir), key.into());
        assert_eq!(cached("a", "1").get(), None);
        cached("a", "1").put(&statistics(7));
        cached("b", "1").put(&statistics(8));
        assert_eq!(cached("a", "1").get(), Some(statistics(7)));
        assert_eq!(cached("b", "1").get(), Some(statistics(8)));
        assert_eq!(cached("a", "2").get(), None, "other files");
        cached("a", "2").put(&statistics(9));
        assert_eq!(cached("a", "2").get(), Some(statistics(9)));
    }

    /// Cut off anywhere, with any byte changed, or not a file at all.
    #[test]
    fn a_damaged_cache_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let cached = Cached::new(Some(folder.path()), Path::new("a"), "1".into());
        cached.put(&statistics(7));
        let file = cached.file.as_ref().unwrap();
        let whole = fs::read(file).unwrap();
        for at in 0..whole.len() {
            fs::write(file, &whole[..at]).unwrap();
            assert_eq!(cached.get(), None, "cut off at {at}");
            let mut damaged = whole.clone();
            damaged[at] ^= 0x10;
            fs::write(file, damaged).unwrap();
            assert_eq!(cached.get(), None, "byte {at}");
        }
        fs::remove_file(file).unwrap();
        fs::create_dir(file).unwrap();
        cached.put(&statistics(7));
        assert_eq!(cached.get(), None);
    }

    #[test]
    fn a_cache_that_cannot_be_written_is_no_error() {
        let folder = tempfile::tempdir().unwrap();
        let taken = folder.path().join("file");
        fs::write(&taken, "").unwrap();
        for cache in [None, Some(taken.as_path())] {
            let cached = Cached::new(cache, Path::new("a"), "1".into());
            cached.put(&statistics(7));
            assert_eq!(cached.get(), None);
        }
    }
}
