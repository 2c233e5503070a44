//! CIFAR-10: 50,000 training and 10,000 test images of 3 x 32 x 32 bytes in ten classes (Krizhevsky, *Learning Multiple
//! Layers of Features from Tiny Images*, 2009).
//!
//! Five training files and one test file hold 10,000 images each. In the binary version an image is a record of a label byte
//! and its pixels, channels first; the Python version is read by [`cifar_pickle`](crate::cifar_pickle).

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ast_core::data::{Archive, ArchiveFile, DataError, DataSource, Dataset, ReadRequest, Remedy, Splits, Verified};
use sha1::{Digest, Sha1};

use crate::images::Images;

const SHAPE: [usize; 3] = [3, 32, 32];
pub(crate) const CLASSES: u8 = 10;
pub(crate) const RECORD: usize = 1 + 3 * 32 * 32;
const RECORDS: usize = 10_000;
/// What a pickle may take beside the images: labels, file names and their frames, and every byte once more, because
/// Python 3 writes those above 127 as two in protocol 2.
const PICKLE_EXTRA: u64 = (4 << 20) + (RECORDS * RECORD) as u64;
/// Of the training pixels in 0..1, by channel.
const MEAN: [f32; 3] = [0.4914, 0.4822, 0.4465];
const DEVIATION: [f32; 3] = [0.2470, 0.2435, 0.2616];

const FILES: &[ArchiveFile] = &[
    file("cifar-10-batches-bin/data_batch_1.bin", "aadd24acce27caa71bf4b10992e9e7b2d74c2540"),
    file("cifar-10-batches-bin/data_batch_2.bin", "c0ba65cce70568cd57b4e03e9ac8d2a5367c1795"),
    file("cifar-10-batches-bin/data_batch_3.bin", "1dd00a74ab1d17a6e7d73e185b69dbf31242f295"),
    file("cifar-10-batches-bin/data_batch_4.bin", "aab85764eb3584312d3c7f65fd2fd016e36a258e"),
    file("cifar-10-batches-bin/data_batch_5.bin", "26e2849e66a845b7f1e4614ae70f4889ae604628"),
    file("cifar-10-batches-bin/test_batch.bin", "67eb016db431130d61cd03c7ad570b013799c88c"),
];

const fn file(path: &'static str, sha1: &'static str) -> ArchiveFile {
    ArchiveFile { path, bytes: (RECORDS * RECORD) as u64, sha1 }
}

ast_core::register_dataset! {
    name: "cifar10",
    summary: "60,000 photographs of 32 x 32 pixels in ten classes (Krizhevsky 2009); `ast data fetch cifar10` gets it, 170 MB",
    params: &[],
    build: |_| Ok(Box::new(Cifar10)),
}

struct Cifar10;

impl DataSource for Cifar10 {
    fn archive(&self) -> Option<Archive> {
        Some(Archive {
            name: "cifar-10-binary.tar.gz",
            bytes: 170_052_171,
            sha256: "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd".into(),
            url: "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz".into(),
            files: FILES,
        })
    }

    fn find(&self, dir: &Path) -> Result<(), DataError> {
        Ok(find(dir).map(drop)?)
    }

    fn read(&self, request: &ReadRequest<'_>) -> Result<Splits, DataError> {
        let (train, test) = images(request.dir.ok_or(DataError::NoFolder)?)?;
        Ok(Splits { train: Arc::new(train), test: Arc::new(test) })
    }

    /// Every class has 5,000 training and 1,000 test images: true of the original, and of nothing that lost a part.
    fn verify(&self, dir: &Path) -> Result<Verified, DataError> {
        let (train, test) = images(dir)?;
        for (images, what, expected) in [(&train, "training", 5000), (&test, "test", 1000)] {
            let mut counts = [0; CLASSES as usize];
            (0..images.samples() as u32).for_each(|id| counts[images.label(id)] += 1);
            if let Some((class, found)) = counts.into_iter().enumerate().find(|(_, found)| *found != expected) {
                return Err(CifarError::Classes { dir: dir.to_path_buf(), what, class, found, expected }.into());
            }
        }
        let modified = modified(&train, &test, FILES);
        Ok(Verified { splits: Splits { train: Arc::new(train), test: Arc::new(test) }, modified })
    }
}

/// The files whose labels or pixels are not those that were published.
fn modified(train: &Images, test: &Images, published: &[ArchiveFile]) -> Vec<&'static str> {
    let batches = (0..5).map(|number| (train, number)).chain([(test, 0)]);
    let differs = |(file, (images, number)): (&ArchiveFile, (&Images, usize))| {
        (records(images, number) != file.sha1).then(|| file.name())
    };
    published.iter().zip(batches).filter_map(differs).collect()
}

/// SHA-1 of the records of a batch.
fn records(images: &Images, number: usize) -> String {
    let mut hash = Sha1::new();
    for id in number * RECORDS..((number + 1) * RECORDS).min(images.samples()) {
        hash.update([images.label(id as u32) as u8]);
        hash.update(images.bytes(id as u32));
    }
    format!("{:x}", hash.finalize())
}

/// Reads training and test images from `dir`, `dir/cifar-10-batches-bin` or `dir/cifar-10-batches-py`, whichever is there
/// first. The version makes no difference to what is read.
pub(crate) fn images(dir: &Path) -> Result<(Images, Images), CifarError> {
    read_folder(dir, RECORDS)
}

/// With so many images a file: small ones are quicker to test.
fn read_folder(dir: &Path, records: usize) -> Result<(Images, Images), CifarError> {
    let (version, folder) = find(dir)?;
    Ok((read(version, &folder, &version.train(), records)?, read(version, &folder, &[version.test()], records)?))
}

/// The version that is there, and its folder.
fn find(dir: &Path) -> Result<(Version, PathBuf), CifarError> {
    let mut folders = Version::ALL.into_iter().flat_map(|v| [(v, dir.to_path_buf()), (v, dir.join(v.folder()))]);
    let found = folders.find(|(version, folder)| folder.join(version.test()).exists());
    found.ok_or_else(|| missing(dir))
}

fn read(version: Version, folder: &Path, names: &[String], records: usize) -> Result<Images, CifarError> {
    let mut batch = Batch::default();
    for name in names {
        let file = folder.join(name);
        match version {
            Version::Binary => batch.add_binary(&file, &contents(&file, records, 0)?)?,
            Version::Python => batch.add_pickle(&file, &contents(&file, records, PICKLE_EXTRA)?, records)?,
        }
    }
    let Batch { labels, pixels } = batch;
    Ok(Images::new(SHAPE, usize::from(CLASSES), pixels, labels).normalise(&MEAN, &DEVIATION))
}

/// Images as they come from one file after the other.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Batch {
    pub(crate) labels: Vec<u8>,
    pub(crate) pixels: Vec<u8>,
}

impl Batch {
    /// Records of a label and its pixels; what is left over of the last is left out.
    pub(crate) fn add_binary(&mut self, file: &Path, bytes: &[u8]) -> Result<(), CifarError> {
        for (number, record) in bytes.chunks_exact(RECORD).enumerate() {
            let (label, image) = (record[0], &record[1..]);
            if label >= CLASSES {
                let (file, offset) = (file.to_path_buf(), number * RECORD);
                return Err(CifarError::Label { file, offset, found: label });
            }
            self.labels.push(label);
            self.pixels.extend_from_slice(image);
        }
        Ok(())
    }
}

/// A file of exactly the right size, or of up to `extra` bytes more if any are allowed; a larger one is not read to its
/// end.
fn contents(file: &Path, records: usize, extra: u64) -> Result<Vec<u8>, CifarError> {
    let io = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => CifarError::Incomplete(file.to_path_buf()),
        _ => CifarError::Io { file: file.to_path_buf(), source },
    };
    let expected = (records * RECORD) as u64 + extra;
    let about = fs::metadata(file).map_err(io)?;
    if !about.is_file() {
        // Opening a pipe would wait for a writer.
        return Err(io(io::Error::new(io::ErrorKind::InvalidInput, "it is not a file")));
    }
    let mut bytes = Vec::new();
    File::open(file).map_err(io)?.take(expected + 1).read_to_end(&mut bytes).map_err(io)?;
    match bytes.len() as u64 {
        found if found == expected || (extra > 0 && found < expected) => Ok(bytes),
        found => Err(CifarError::Size { file: file.to_path_buf(), expected, found: found.max(about.len()) }),
    }
}

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
pub(crate) enum CifarError {
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
    /// A class has too many or too few images.
    #[error("{}: {found} {what} images of class {class} instead of {expected}", dir.display())]
    Classes {
        /// Where.
        dir: PathBuf,
        /// `training` or `test`.
        what: &'static str,
        /// Which class.
        class: usize,
        /// Images it has.
        found: usize,
        /// Images it should have.
        expected: usize,
    },
}

impl From<CifarError> for DataError {
    fn from(error: CifarError) -> Self {
        let remedy = match &error {
            CifarError::Missing(dir) | CifarError::NoFolder(dir) => Remedy::Fetch(dir.clone()),
            CifarError::NotAFolder(_) => Remedy::NameTheFolder,
            CifarError::Packed(archive) => Remedy::Unpack(archive.clone()),
            CifarError::Incomplete(_)
            | CifarError::Size { .. }
            | CifarError::Label { .. }
            | CifarError::Pickle { .. } => Remedy::Replace,
            CifarError::Io { .. } | CifarError::Classes { .. } => Remedy::None,
        };
        Self::Files { error: Box::new(error), remedy }
    }
}

/// Why `dir` cannot be read as CIFAR-10, where none of its folders has a test batch.
fn missing(dir: &Path) -> CifarError {
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
mod tests;
