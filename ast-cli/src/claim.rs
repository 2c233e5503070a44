//! Exclusive use of a run's folder, and reading its files before anything is changed.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use ast_core::run::read_file;

use crate::failure::{Failure, Kind};

pub(crate) const LOCK: &str = "lock";
/// Upper bound for the number of `aside-N` folders.
const MOST_ASIDE: u32 = 10_000;

/// Exclusive use of a folder for as long as the value lives. It changes nothing in the folder, except that it creates a
/// missing `lock`.
pub(crate) struct Claim {
    path: PathBuf,
    _lock: File,
}

impl Claim {
    /// Claims an existing folder.
    pub(crate) fn of(path: &Path) -> Result<Self, Failure> {
        Ok(Self { path: path.to_path_buf(), _lock: lock(path)? })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The content of a file in the folder; `None` if there is none.
    pub(crate) fn read(&self, name: &str) -> Result<Option<Vec<u8>>, Failure> {
        let file = self.path.join(name);
        match read_file(&file, u64::MAX) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            read => read.map_err(|error| Failure::new(Kind::Io, format!("cannot read {}: {error}", file.display()))),
        }
    }
}

/// Locks a folder. The operating system releases the lock when the process ends, however it ends.
pub(crate) fn lock(path: &Path) -> Result<File, Failure> {
    let file = path.join(LOCK);
    let cannot = |error: io::Error| Failure::new(Kind::Io, format!("cannot open {}: {error}", file.display()));
    let lock = File::options().write(true).create(true).truncate(false).open(&file).map_err(cannot)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => {
            Err(Failure::new(Kind::TryAgain, format!("{} is in use by another process", path.display())))
        }
        Err(TryLockError::Error(error)) => Err(cannot(error)),
    }
}

/// Whether another process is using a folder. Changes nothing there.
pub(crate) fn is_locked(path: &Path) -> bool {
    path.join(LOCK).is_file() && lock(path).is_err_and(|failure| failure.kind == Kind::TryAgain)
}

/// Moves the files `names` of `folder`, as far as they exist, into `aside-1` or the next free number, in that order.
/// Returns that folder; `None` if there was nothing to move. Moving within a folder copies nothing, so an interruption
/// loses nothing.
pub(crate) fn put_aside<'a>(
    folder: &Path,
    names: impl IntoIterator<Item = &'a Path>,
) -> Result<Option<PathBuf>, Failure> {
    let there: Vec<&Path> = names.into_iter().filter(|name| folder.join(name).symlink_metadata().is_ok()).collect();
    if there.is_empty() {
        return Ok(None);
    }
    let cannot =
        |path: &Path, error: io::Error| Failure::new(Kind::Io, format!("cannot put {} aside: {error}", path.display()));
    let aside = next_aside(folder).map_err(|error| cannot(folder, error))?;
    for name in there {
        let path = folder.join(name);
        fs::rename(&path, aside.join(name)).map_err(|error| cannot(&path, error))?;
    }
    Ok(Some(aside))
}

fn next_aside(folder: &Path) -> io::Result<PathBuf> {
    for number in 1..=MOST_ASIDE {
        let aside = folder.join(format!("aside-{number}"));
        match fs::create_dir(&aside) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            created => return created.map(|()| aside),
        }
    }
    Err(io::Error::other(format!("there are {MOST_ASIDE} folders aside-N already; remove some")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_put_aside_gets_its_own_folder() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let names = || ["a", "b"].map(Path::new);
        assert_eq!(put_aside(folder.path(), names()).unwrap(), None);
        assert!(!path("aside-1").exists());
        for (number, content) in ["first", "second"].into_iter().enumerate() {
            fs::write(path("b"), content).unwrap();
            let aside = put_aside(folder.path(), names()).unwrap().unwrap();
            assert_eq!(aside, path(&format!("aside-{}", number + 1)));
            assert!(!path("b").exists());
        }
        assert_eq!(fs::read_to_string(path("aside-1/b")).unwrap(), "first");
        assert_eq!(fs::read_to_string(path("aside-2/b")).unwrap(), "second");
    }
}
