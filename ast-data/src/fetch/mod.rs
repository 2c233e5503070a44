//! Downloads of files whose size and SHA-256 are known beforehand: whatever a server does, what is there in the end is the
//! file or nothing.

mod ask;

use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ask::{Refusal, ask};
use ast_core::data::Archive;
use sha2::{Digest, Sha256};
use ureq::Body;
use ureq::http::header;

const CHUNK: usize = 1 << 16;

/// How to go about it.
#[derive(Debug, Clone)]
pub struct FetchOptions {
    /// Folders at other servers that are asked first.
    pub mirrors: Vec<String>,
    /// Ask nobody.
    pub offline: bool,
    /// How often a server is asked for as long as it gives hope.
    pub attempts: u32,
    /// Before the second attempt; twice as long before each further one.
    pub pause: Duration,
    /// After so long without a byte an attempt is given up.
    pub stall: Duration,
}

impl Default for FetchOptions {
    fn default() -> Self {
        let (pause, stall) = (Duration::from_secs(1), Duration::from_secs(30));
        Self { mirrors: Vec::new(), offline: false, attempts: 5, pause, stall }
    }
}

/// Why a file could not be had.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// Nobody may be asked.
    #[error("AST_OFFLINE is set and {} is not there: get it elsewhere from {url} and put it there", path.display())]
    Offline {
        /// Where the file would be.
        path: PathBuf,
        /// Where it is published.
        url: String,
    },
    /// Another process is at it.
    #[error("{} is being downloaded by another process", .0.display())]
    Busy(PathBuf),
    /// The disk refused.
    #[error("{}: {source}", path.display())]
    Disk {
        /// Where.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Neither https nor this machine.
    #[error("{0}: only https is fetched, or http from this machine itself")]
    NotAllowed(String),
    /// The server answered with something else.
    #[error("{url}: {reason}")]
    Answer {
        /// What was asked.
        url: String,
        /// What is wrong.
        reason: String,
    },
    /// No answer, or no whole one: it may work later.
    #[error("{url}: {reason}; what has come is kept, try again later")]
    Unreachable {
        /// What was asked.
        url: String,
        /// What is wrong.
        reason: String,
    },
}

/// What an attempt came to.
enum Attempt {
    Whole,
    /// Ask again.
    Again(String),
    /// Ask somebody else.
    Never(FetchError),
}

/// Gets `archive` into `dir`, unless it is there. `progress` is told how many bytes are there.
///
/// What has come of an interrupted download is kept in `NAME.part` and gone on from. The file gets its name only when
/// size and SHA-256 are right.
///
/// # Errors
/// [`FetchError`]; of several servers that of the last one.
pub fn fetch(
    archive: &Archive,
    dir: &Path,
    options: &FetchOptions,
    progress: &mut dyn FnMut(u64),
) -> Result<PathBuf, FetchError> {
    let path = dir.join(archive.name);
    if is_whole(&path, archive) {
        return Ok(path);
    }
    if options.offline {
        return Err(FetchError::Offline { path, url: archive.url.clone() });
    }
    fs::create_dir_all(dir).map_err(disk(dir))?;
    let _lock = lock(&dir.join(format!("{}.lock", archive.name)), &path)?;
    let part = dir.join(format!("{}.part", archive.name));
    let mirrors = options.mirrors.iter().map(|mirror| format!("{}/{}", mirror.trim_end_matches('/'), archive.name));
    let mut outcome = Err(FetchError::NotAllowed(archive.url.clone()));
    for url in mirrors.chain([archive.url.clone()]) {
        outcome = from_server(&url, &part, archive, options, progress);
        if !matches!(
            outcome,
            Err(FetchError::Answer { .. } | FetchError::Unreachable { .. } | FetchError::NotAllowed(_))
        ) {
            break;
        }
    }
    outcome?;
    fs::rename(&part, &path).map_err(disk(&path))?;
    if cfg!(unix) {
        File::open(dir).and_then(|dir| dir.sync_all()).map_err(disk(dir))?;
    }
    Ok(path)
}

fn from_server(
    url: &str,
    part: &Path,
    archive: &Archive,
    options: &FetchOptions,
    progress: &mut dyn FnMut(u64),
) -> Result<(), FetchError> {
    let mut pause = options.pause;
    let mut reason = String::new();
    for attempt in 0..options.attempts.max(1) {
        if attempt > 0 {
            std::thread::sleep(pause);
            pause *= 2;
        }
        match once(url, part, archive, options, progress)? {
            Attempt::Whole => return Ok(()),
            Attempt::Again(why) => reason = why,
            Attempt::Never(error) => return Err(error),
        }
    }
    Err(FetchError::Unreachable { url: url.to_string(), reason })
}

fn once(
    url: &str,
    part: &Path,
    archive: &Archive,
    options: &FetchOptions,
    progress: &mut dyn FnMut(u64),
) -> Result<Attempt, FetchError> {
    let answer = |reason: String| Ok(Attempt::Never(FetchError::Answer { url: url.to_string(), reason }));
    let mut have = fs::metadata(part).map_or(0, |part| part.len());
    if have > archive.bytes {
        fs::remove_file(part).map_err(disk(part))?;
        have = 0;
    }
    let resumed = have > 0;
    if have < archive.bytes {
        let response = match ask(url, have, options) {
            Ok(response) => response,
            Err(Refusal::Again(reason)) => return Ok(Attempt::Again(reason)),
            Err(Refusal::Never(error)) => return Ok(Attempt::Never(error)),
        };
        let number = |name| response.headers().get(name).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        let text = |name| response.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        have = match response.status().as_u16() {
            200 => 0, // from the beginning, whatever was asked for
            206 if text(header::CONTENT_RANGE).starts_with(&format!("bytes {have}-")) => have,
            206 | 416 => {
                // It is at odds with us about what there is: next time from the beginning.
                fs::remove_file(part).map_err(disk(part))?;
                return Ok(Attempt::Again("the server cannot go on where the download was interrupted".into()));
            }
            status @ (408 | 425 | 429 | 500..=599) => {
                return Ok(Attempt::Again(format!("the server answers {status}")));
            }
            status => return answer(format!("the server answers {status}")),
        };
        if !matches!(text(header::CONTENT_ENCODING), "" | "identity") {
            return answer("the server packs what nobody asked it to pack".into());
        }
        if text(header::CONTENT_TYPE).starts_with("text/html") {
            return answer("a web page instead of a file: the address has moved, or a network wants a login".into());
        }
        if let Some(length) = number(header::CONTENT_LENGTH)
            && have + length != archive.bytes
        {
            return answer(format!("{} bytes instead of {}", have + length, archive.bytes));
        }
        let outcome = receive(response.into_body(), part, have, archive.bytes, progress)?;
        if let Some(reason) = outcome {
            return Ok(Attempt::Again(reason));
        }
    }
    if is_whole(part, archive) {
        return Ok(Attempt::Whole);
    }
    fs::remove_file(part).map_err(disk(part))?;
    // Two halves of different files: from the beginning it may fit. A whole file that does not fit never will.
    match resumed {
        true => Ok(Attempt::Again("what was gone on with does not fit its beginning".into())),
        false => answer("its SHA-256 is not what it must be: it is another file, or it was changed on the way".into()),
    }
}

/// Appends what comes to the first `have` bytes of `part`. The reason, if it ends early.
fn receive(
    body: Body,
    part: &Path,
    have: u64,
    bytes: u64,
    progress: &mut dyn FnMut(u64),
) -> Result<Option<String>, FetchError> {
    let mut file = File::options().create(true).truncate(false).write(true).open(part).map_err(disk(part))?;
    file.set_len(have).map_err(disk(part))?;
    io::Seek::seek(&mut file, io::SeekFrom::Start(have)).map_err(disk(part))?;
    let (mut reader, mut buffer, mut have) = (body.into_reader(), vec![0; CHUNK], have);
    loop {
        match reader.read(&mut buffer) {
            Ok(0) if have == bytes => {
                file.sync_all().map_err(disk(part))?;
                return Ok(None);
            }
            Ok(0) => return Ok(Some(format!("it ends after {have} of {bytes} bytes"))),
            // More than there is to come is not written down: SHA-256 will say that it does not fit.
            Ok(n) if have + n as u64 > bytes => {
                file.set_len(0).map_err(disk(part))?;
                return Ok(Some(format!("more than {bytes} bytes")));
            }
            Ok(n) => {
                file.write_all(&buffer[..n]).map_err(disk(part))?;
                have += n as u64;
                progress(have);
            }
            Err(error) => return Ok(Some(error.to_string())),
        }
    }
}

/// Held as long as the download takes.
fn lock(file: &Path, path: &Path) -> Result<File, FetchError> {
    let lock = File::options().write(true).create(true).truncate(false).open(file).map_err(disk(file))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(FetchError::Busy(path.to_path_buf())),
        Err(TryLockError::Error(source)) => Err(disk(file)(source)),
    }
}

fn is_whole(path: &Path, archive: &Archive) -> bool {
    let right_size = fs::metadata(path).is_ok_and(|file| file.is_file() && file.len() == archive.bytes);
    right_size && sha256(path).is_ok_and(|found| found == archive.sha256)
}

/// SHA-256 of a file, in hexadecimal.
///
/// # Errors
/// What the system says.
pub fn sha256(path: &Path) -> io::Result<String> {
    let mut hash = Sha256::new();
    io::copy(&mut File::open(path)?, &mut hash)?;
    Ok(format!("{:x}", hash.finalize()))
}

fn disk(path: &Path) -> impl Fn(io::Error) -> FetchError + use<> {
    let path = path.to_path_buf();
    move |source| FetchError::Disk { path: path.clone(), source }
}
