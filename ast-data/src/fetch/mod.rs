//! Downloads of files with known size and SHA-256. Whatever a server does, the result is the exact file or an error.

mod ask;

use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ask::{Refusal, ask};
use ast_core::data::Download;
use sha2::{Digest, Sha256};
use ureq::Body;
use ureq::http::header;

const CHUNK: usize = 1 << 16;

/// How to download.
#[derive(Debug, Clone)]
pub struct FetchOptions {
    /// Folders at other servers, tried before the publisher.
    pub mirrors: Vec<String>,
    /// Do not use the network.
    pub offline: bool,
    /// Number of attempts per server, while its errors may be temporary.
    pub attempts: u32,
    /// Pause before the second attempt; it doubles with every further one.
    pub pause: Duration,
    /// An attempt is aborted after this time without data.
    pub stall: Duration,
}

impl Default for FetchOptions {
    fn default() -> Self {
        let (pause, stall) = (Duration::from_secs(1), Duration::from_secs(30));
        Self { mirrors: Vec::new(), offline: false, attempts: 5, pause, stall }
    }
}

/// An error of a download.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The network must not be used.
    #[error("AST_OFFLINE is set and {} does not exist: download it elsewhere from {url} and put it there", path.display())]
    Offline {
        /// Path of the file.
        path: PathBuf,
        /// Its address.
        url: String,
    },
    /// Another process is downloading the file.
    #[error("{} is being downloaded by another process", .0.display())]
    Busy(PathBuf),
    /// Reading or writing a file failed.
    #[error("{}: {source}", path.display())]
    Disk {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The address is neither https nor on this machine.
    #[error("{0}: only https is allowed, or http on this machine")]
    NotAllowed(String),
    /// The server sent something else than the file.
    #[error("{url}: {reason}")]
    Answer {
        /// The requested address.
        url: String,
        /// What is wrong.
        reason: String,
    },
    /// No response, or an incomplete one. A later attempt may succeed.
    #[error("{url}: {reason}; the downloaded part is kept, try again later")]
    Unreachable {
        /// The requested address.
        url: String,
        /// What is wrong.
        reason: String,
    },
}

/// The result of an attempt.
enum Attempt {
    Whole,
    /// Try this server again.
    Again(String),
    /// Try the next server.
    Never(FetchError),
}

/// Downloads a file into `dir`, unless it is there already. `progress` receives the number of bytes so far.
///
/// An interrupted download is kept in `NAME.part` and resumed. The file is renamed to its final name only after its
/// size and SHA-256 were checked.
///
/// # Errors
/// [`FetchError`]; with several servers, that of the last one.
pub fn fetch(
    download: &Download,
    dir: &Path,
    options: &FetchOptions,
    progress: &mut dyn FnMut(u64),
) -> Result<PathBuf, FetchError> {
    let path = dir.join(download.path);
    let dir = path.parent().unwrap_or(dir);
    if is_whole(&path, download) {
        return Ok(path);
    }
    if options.offline {
        return Err(FetchError::Offline { path, url: download.url.into() });
    }
    fs::create_dir_all(dir).map_err(disk(dir))?;
    let _lock = lock(&dir.join(format!("{}.lock", download.name())), &path)?;
    let part = dir.join(format!("{}.part", download.name()));
    let mirrors = options.mirrors.iter().map(|mirror| format!("{}/{}", mirror.trim_end_matches('/'), download.name()));
    let mut outcome = Err(FetchError::NotAllowed(download.url.into()));
    for url in mirrors.chain([download.url.to_string()]) {
        outcome = from_server(&url, &part, download, options, progress);
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
    download: &Download,
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
        match once(url, part, download, options, progress)? {
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
    download: &Download,
    options: &FetchOptions,
    progress: &mut dyn FnMut(u64),
) -> Result<Attempt, FetchError> {
    let answer = |reason: String| Ok(Attempt::Never(FetchError::Answer { url: url.to_string(), reason }));
    let mut have = fs::metadata(part).map_or(0, |part| part.len());
    if have > download.bytes {
        fs::remove_file(part).map_err(disk(part))?;
        have = 0;
    }
    let resumed = have > 0;
    if have < download.bytes {
        let response = match ask(url, have, options) {
            Ok(response) => response,
            Err(Refusal::Again(reason)) => return Ok(Attempt::Again(reason)),
            Err(Refusal::Never(error)) => return Ok(Attempt::Never(error)),
        };
        let number = |name| response.headers().get(name).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        let text = |name| response.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        have = match response.status().as_u16() {
            200 => 0, // the whole file, even if a range was requested
            206 if text(header::CONTENT_RANGE).starts_with(&format!("bytes {have}-")) => have,
            206 | 416 => {
                // The server and the partial file disagree: the next attempt starts from the beginning.
                fs::remove_file(part).map_err(disk(part))?;
                return Ok(Attempt::Again("the server cannot resume the download".into()));
            }
            status @ (408 | 425 | 429 | 500..=599) => {
                return Ok(Attempt::Again(format!("the server answers {status}")));
            }
            status => return answer(format!("the server answers {status}")),
        };
        if !matches!(text(header::CONTENT_ENCODING), "" | "identity") {
            return answer("the server sends compressed data, although uncompressed data was requested".into());
        }
        if text(header::CONTENT_TYPE).starts_with("text/html") {
            return answer("a web page instead of a file: the address has moved, or a network wants a login".into());
        }
        if let Some(length) = number(header::CONTENT_LENGTH)
            && have + length != download.bytes
        {
            return answer(format!("{} bytes instead of {}", have + length, download.bytes));
        }
        let outcome = receive(response.into_body(), part, have, download.bytes, progress)?;
        if let Some(reason) = outcome {
            return Ok(Attempt::Again(reason));
        }
    }
    if is_whole(part, download) {
        return Ok(Attempt::Whole);
    }
    fs::remove_file(part).map_err(disk(part))?;
    // The parts of a resumed download may come from different files: start again. A complete download will not improve.
    match resumed {
        true => Ok(Attempt::Again("the resumed download does not match its first part".into())),
        false => answer("its SHA-256 is wrong: it is another file, or it was changed on the way".into()),
    }
}

/// Appends the body to the first `have` bytes of `part`. Returns a reason if the body ends early.
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
            // A body that is too long is discarded.
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

/// Locks the download; the lock is held until the returned file is dropped.
fn lock(file: &Path, path: &Path) -> Result<File, FetchError> {
    let lock = File::options().write(true).create(true).truncate(false).open(file).map_err(disk(file))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(FetchError::Busy(path.to_path_buf())),
        Err(TryLockError::Error(source)) => Err(disk(file)(source)),
    }
}

fn is_whole(path: &Path, download: &Download) -> bool {
    let right_size = fs::metadata(path).is_ok_and(|file| file.is_file() && file.len() == download.bytes);
    right_size && sha256(path).is_ok_and(|found| found == download.sha256)
}

/// SHA-256 of a file, in hexadecimal.
///
/// # Errors
/// The system's error.
pub fn sha256(path: &Path) -> io::Result<String> {
    let mut hash = Sha256::new();
    io::copy(&mut File::open(path)?, &mut hash)?;
    Ok(format!("{:x}", hash.finalize()))
}

fn disk(path: &Path) -> impl Fn(io::Error) -> FetchError + use<> {
    let path = path.to_path_buf();
    move |source| FetchError::Disk { path: path.clone(), source }
}
