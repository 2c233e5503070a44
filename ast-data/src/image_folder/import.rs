//! Writes the binary form of an image folder, or of Parquet files.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;

use super::error::{FolderError, ImageError};
use super::packed::{Contents, MAGIC, RECORD, Record, footer};
use super::rgb::Rgb;
use super::store::Store;
use super::{Opened, is_binary, opened};

/// Images decoded before they are written.
const TOGETHER: usize = 256;

/// How far an import is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImportProgress {
    /// Images whose size is known.
    pub measured: usize,
    /// Images written.
    pub written: usize,
    /// All images.
    pub images: usize,
    /// Bytes that the file will have; 0 until every image is measured.
    pub bytes: u64,
}

/// What stopped an import. No file is left behind.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The folder cannot be read, or has the binary form.
    #[error("{0}")]
    Folder(String),
    /// One of its images cannot be read.
    #[error("{0}")]
    Image(String),
    /// There is a file of that name.
    #[error("{} is there already: remove it, or give another name", .0.display())]
    Exists(PathBuf),
    /// The file cannot be written.
    #[error("cannot write {}, which needs {bytes} bytes: {source}; nothing was kept", file.display())]
    Write {
        /// The file.
        file: PathBuf,
        /// Its size, as far as known.
        bytes: u64,
        /// Why not.
        source: io::Error,
    },
}

/// Writes the images of a folder, decoded, to a new file, and says whether there are test images among them. Training on it
/// gives the same bits as on the folder. `progress` is called between images, first once every image is measured.
///
/// # Errors
/// [`ImportError`].
pub fn import(folder: &Path, to: &Path, progress: &mut dyn FnMut(ImportProgress)) -> Result<bool, ImportError> {
    if to.symlink_metadata().is_ok() {
        return Err(ImportError::Exists(to.to_path_buf()));
    }
    let data = |error: FolderError| ImportError::Folder(error.to_string());
    let Opened { classes, train, test } = opened(folder, false).map_err(data)?;
    if is_binary(folder) {
        return Err(data(FolderError::new(folder, "it has the binary form already: train on it with --data-dir")));
    }
    let images = [train.samples(), test.as_ref().map_or(0, |test| test.samples())];
    let splits: Vec<Arc<dyn Store>> = std::iter::once(train).chain(test).collect();
    let all: usize = images.iter().sum();
    let mut state = ImportProgress { measured: 0, written: 0, images: all, bytes: 0 };

    let mut pixels = 0_u64;
    for split in &splits {
        for from in (0..split.samples()).step_by(TOGETHER) {
            let until = split.samples().min(from + TOGETHER);
            let sizes: Vec<u64> = (from..until)
                .into_par_iter()
                .map(|image| split.sides(image).map(|[height, width]| 3 * height as u64 * width as u64))
                .collect::<Result<_, _>>()
                .map_err(|error| ImportError::Image(error.to_string()))?;
            pixels += sizes.iter().sum::<u64>();
            state.measured += until - from;
            progress(state);
        }
    }
    let contents = Contents { classes, images: images.map(|images| images as u64) };
    let rest = footer(&contents, &[], 0).map_err(ImportError::Folder)?.len() + RECORD * all;
    state.bytes = MAGIC.len() as u64 + pixels + rest as u64;
    progress(state);

    let bytes = state.bytes;
    let failed = |source: io::Error| ImportError::Write { file: to.to_path_buf(), bytes, source };
    let place = to.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Removed again unless it is kept under its name.
    let part = tempfile::Builder::new().prefix(".ast-import-").tempfile_in(place).map_err(failed)?;
    write(part.as_file(), &splits, &contents, &mut |written| {
        state.written = written;
        progress(state);
    })
    .map_err(|error| match error {
        Stopped::Image(error) => ImportError::Image(error.to_string()),
        Stopped::Write(source) => failed(source),
    })?;
    part.as_file().sync_all().map_err(failed)?;
    allow_reading(part.as_file()).map_err(failed)?;
    part.persist_noclobber(to).map_err(|error| failed(error.error))?;
    Ok(images[1] > 0)
}

enum Stopped {
    Image(ImageError),
    Write(io::Error),
}

impl From<io::Error> for Stopped {
    fn from(error: io::Error) -> Self {
        Self::Write(error)
    }
}

fn write(
    file: &File,
    splits: &[Arc<dyn Store>],
    contents: &Contents,
    written: &mut dyn FnMut(usize),
) -> Result<(), Stopped> {
    let mut out = BufWriter::with_capacity(1 << 20, file);
    out.write_all(MAGIC)?;
    let (mut at, mut records) = (MAGIC.len() as u64, Vec::new());
    for split in splits {
        for from in (0..split.samples()).step_by(TOGETHER) {
            let until = split.samples().min(from + TOGETHER);
            let decoded: Vec<(Rgb, u32)> = (from..until)
                .into_par_iter()
                .map(|image| split.image(image).map(|(image, _)| (crc32fast::hash(&image.pixels), image)))
                .map(|image| image.map(|(checksum, image)| (image, checksum)))
                .collect::<Result<_, _>>()
                .map_err(Stopped::Image)?;
            for (image, (Rgb { height, width, pixels }, checksum)) in (from..until).zip(decoded) {
                out.write_all(&pixels)?;
                let class = split.class(image) as u32;
                records.push(Record { at, height: height as u32, width: width as u32, class, checksum });
                at += pixels.len() as u64;
            }
            written(records.len());
        }
    }
    let footer = footer(contents, &records, at).map_err(|error| Stopped::Write(io::Error::other(error)))?;
    out.write_all(&footer)?;
    Ok(out.flush()?)
}

/// Temporary files are for their owner alone; the file that stays is for whoever may read the folder.
#[cfg(unix)]
fn allow_reading(file: &File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(std::fs::Permissions::from_mode(0o644))
}

#[cfg(not(unix))]
fn allow_reading(_: &File) -> io::Result<()> {
    Ok(())
}
