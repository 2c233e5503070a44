//! Extracts known files from a `.tar.gz`. The archive does not decide where files are written: a member is written only
//! if its path is exactly a requested one, and to the corresponding place.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use ast_core::data::PublishedFile;
use flate2::read::GzDecoder;
use tar::{Archive, EntryType};

use crate::fetch::sha256;

/// Number of unpacked bytes to read besides the wanted members, including headers.
const SLACK: u64 = 1 << 20;

/// An error while extracting an archive.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The archive cannot be read, or a file cannot be written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: io::Error,
    },
    /// A wanted member is missing or damaged.
    #[error("{}: {member}: {reason}", path.display())]
    Member {
        /// The archive.
        path: PathBuf,
        /// Path in the archive.
        member: String,
        /// What is wrong.
        reason: String,
    },
}

/// Names of the files below `dir` that have their published size but different content. Missing files and files of
/// another size are not listed.
#[must_use]
pub fn modified_files(files: &[PublishedFile], dir: &Path) -> Vec<&'static str> {
    let modified = |file: &&PublishedFile| differs(file, &dir.join(file.path)) == Some(true);
    files.iter().filter(modified).map(PublishedFile::name).collect()
}

/// Compares the file at `path` with the published one: `true` if its content is another. `None` if no file of that size is
/// there.
pub(crate) fn differs(published: &PublishedFile, path: &Path) -> Option<bool> {
    let size = fs::metadata(path).ok().filter(fs::Metadata::is_file)?.len();
    (size == published.bytes).then(|| sha256(path).ok().map(|found| found != published.sha256))?
}

/// Writes the `members` of `archive` into `dir` under the same paths. Other members are ignored.
///
/// # Errors
/// [`ArchiveError`]. Files written before the error are complete.
pub fn extract(archive: &Path, members: &[PublishedFile], dir: &Path) -> Result<(), ArchiveError> {
    let io = |path: &Path| {
        let path = path.to_path_buf();
        move |source| ArchiveError::Io { path, source }
    };
    let wrong = |member: &str, reason: &str| {
        let (path, member, reason) = (archive.to_path_buf(), member.to_string(), reason.to_string());
        Err(ArchiveError::Member { path, member, reason })
    };
    let file = File::open(archive).map_err(io(archive))?;
    // Bounds the work on an archive that unpacks to more than it should.
    let most = members.iter().map(|member| member.bytes).sum::<u64>() + SLACK;
    let mut unpacked = Archive::new(GzDecoder::new(io::BufReader::new(file)).take(most));
    let mut done: Vec<&str> = Vec::new();
    for entry in unpacked.entries().map_err(io(archive))? {
        let mut entry = entry.map_err(io(archive))?;
        let path = entry.path_bytes().into_owned();
        let Some(PublishedFile { path: member, bytes, .. }) =
            members.iter().find(|member| member.path.as_bytes() == path)
        else {
            continue;
        };
        if entry.header().entry_type() != EntryType::Regular {
            return wrong(member, "it is not a file");
        }
        if entry.size() != *bytes {
            return wrong(member, &format!("{} bytes instead of {bytes}", entry.size()));
        }
        if done.contains(member) {
            return wrong(member, "it occurs twice");
        }
        let target = dir.join(member);
        let folder = target.parent().unwrap_or(dir);
        fs::create_dir_all(folder).map_err(io(folder))?;
        let scratch = target.with_extension("part");
        let mut write = || {
            let mut out = File::create(&scratch)?;
            let written = io::copy(&mut entry, &mut out)?;
            out.sync_all()?;
            Ok(written)
        };
        match write() {
            Ok(written) if written == *bytes => fs::rename(&scratch, &target).map_err(io(&target))?,
            outcome => {
                drop(fs::remove_file(&scratch));
                let written: u64 = outcome.map_err(io(archive))?;
                return wrong(member, &format!("cut off after {written} of {bytes} bytes"));
            }
        }
        done.push(member);
    }
    match members.iter().find(|member| !done.contains(&member.path)) {
        Some(member) => wrong(member.path, "it is missing"),
        None => Ok(()),
    }
}
