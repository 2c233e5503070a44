//! CIFAR-10: 50,000 training and 10,000 test images of 3 x 32 x 32 bytes in ten classes (Krizhevsky, *Learning Multiple
//! Layers of Features from Tiny Images*, 2009).
//!
//! Five training files and one test file hold 10,000 images each. Only the binary version is read. A record is a label
//! byte and the pixels, channels first.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ast_core::data::{Archive, ArchiveFile, DataError, DataSource, Dataset, ReadRequest, Remedy, Splits, Verified};
use sha1::{Digest, Sha1};

use ast_core::run::read_file;

use crate::images::Images;

const SHAPE: [usize; 3] = [3, 32, 32];
pub(crate) const CLASSES: u8 = 10;
pub(crate) const RECORD: usize = 1 + 3 * 32 * 32;
const RECORDS: usize = 10_000;
/// Mean and standard deviation of the training pixels in 0..1, by channel.
const MEAN: [f32; 3] = [0.4914, 0.4822, 0.4465];
const DEVIATION: [f32; 3] = [0.2470, 0.2435, 0.2616];

/// The folder in the published archive of the binary version.
const FOLDER: &str = "cifar-10-batches-bin";
const TRAIN: [&str; 5] =
    ["data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin"];
const TEST: &str = "test_batch.bin";
/// Names that show the Python version of CIFAR-10: its folder, or its files.
const PYTHON: [&str; 3] = ["cifar-10-batches-py", "data_batch_1", "test_batch"];

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
    summary: "60,000 photographs of 32 x 32 pixels in ten classes (Krizhevsky 2009); `ast data fetch cifar10` downloads it, 170 MB",
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
        let folder = find(dir)?;
        for file in TRAIN.iter().chain([&TEST]).map(|name| folder.join(name)) {
            let found = fs::metadata(&file).map_err(|_| CifarError::Incomplete(file.clone()))?.len();
            let expected = (RECORDS * RECORD) as u64;
            if found != expected {
                return Err(CifarError::Size { file, expected, found }.into());
            }
        }
        Ok(())
    }

    fn read(&self, request: &ReadRequest<'_>) -> Result<Splits, DataError> {
        let (train, test) = images(request.dir.ok_or(DataError::NoFolder)?)?;
        Ok(Splits { train: Arc::new(train), test: Arc::new(test) })
    }

    /// Also checks that every class has 5,000 training and 1,000 test images, as in the original.
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

/// The files whose labels or pixels differ from the published ones.
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

/// Reads training and test images from the files in `dir`, or else in `dir/cifar-10-batches-bin`.
pub(crate) fn images(dir: &Path) -> Result<(Images, Images), CifarError> {
    let folder = find(dir)?;
    Ok((read(&folder, &TRAIN)?, read(&folder, &[TEST])?))
}

/// Finds the folder of the files.
fn find(dir: &Path) -> Result<PathBuf, CifarError> {
    let mut folders = [dir.to_path_buf(), dir.join(FOLDER)].into_iter();
    folders.find(|folder| folder.join(TEST).exists()).ok_or_else(|| missing(dir))
}

fn read(folder: &Path, names: &[&str]) -> Result<Images, CifarError> {
    let mut batch = Batch::default();
    for name in names {
        let file = folder.join(name);
        batch.add_binary(&file, &contents(&file)?)?;
    }
    let Batch { labels, pixels } = batch;
    Ok(Images::new(SHAPE, usize::from(CLASSES), pixels, labels).normalise(&MEAN, &DEVIATION))
}

/// Images read from consecutive files.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Batch {
    pub(crate) labels: Vec<u8>,
    pub(crate) pixels: Vec<u8>,
}

impl Batch {
    /// Adds the records of a file. An incomplete last record is ignored.
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

/// Reads a file of exactly the right size. A larger file is not read to its end.
fn contents(file: &Path) -> Result<Vec<u8>, CifarError> {
    let io = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => CifarError::Incomplete(file.to_path_buf()),
        _ => CifarError::Io { file: file.to_path_buf(), source },
    };
    let expected = (RECORDS * RECORD) as u64;
    match read_file(file, expected).map_err(io)? {
        Some(bytes) if bytes.len() as u64 == expected => Ok(bytes),
        _ => {
            let found = fs::metadata(file).map_err(io)?.len();
            Err(CifarError::Size { file: file.to_path_buf(), expected, found })
        }
    }
}

/// An error while reading CIFAR-10.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CifarError {
    /// The folder has no files of CIFAR-10.
    #[error("{}: neither this folder nor its subfolder {FOLDER} holds CIFAR-10 ({TEST})", .0.display())]
    Missing(PathBuf),
    /// The folder does not exist.
    #[error("{}: there is no such folder; it should hold CIFAR-10 ({TEST})", .0.display())]
    NoFolder(PathBuf),
    /// The path is a file.
    #[error("{}: this is a file, not a folder that holds CIFAR-10", .0.display())]
    NotAFolder(PathBuf),
    /// There is an archive of CIFAR-10 instead of its files.
    #[error("{}: this is an archive, not a folder with the files in it", .0.display())]
    Packed(PathBuf),
    /// There is the Python version of CIFAR-10, as a folder, a file or an archive.
    #[error("{}: this is the Python version of CIFAR-10; only the binary version can be read", .0.display())]
    Python(PathBuf),
    /// A file is missing, although other files of CIFAR-10 exist.
    #[error("{}: this file is missing, although other files of CIFAR-10 exist", .0.display())]
    Incomplete(PathBuf),
    /// A file could not be read.
    #[error("{}: {source}", file.display())]
    Io {
        /// The file.
        file: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// A file is too short or too long.
    #[error("{}: {found} bytes instead of {expected}: {}", file.display(), if found < expected { "it is cut off" } else { "it is not a CIFAR-10 file" })]
    Size {
        /// The file.
        file: PathBuf,
        /// Bytes expected.
        expected: u64,
        /// Bytes found.
        found: u64,
    },
    /// A label is not a class.
    #[error("{}: label {found} at byte {offset}, expected 0 to 9", file.display())]
    Label {
        /// The file.
        file: PathBuf,
        /// Offset of the label.
        offset: usize,
        /// The label.
        found: u8,
    },
    /// A class has too many or too few images.
    #[error("{}: {found} {what} images of class {class} instead of {expected}", dir.display())]
    Classes {
        /// The folder.
        dir: PathBuf,
        /// `training` or `test`.
        what: &'static str,
        /// The class.
        class: usize,
        /// Images found.
        found: usize,
        /// Images expected.
        expected: usize,
    },
}

impl From<CifarError> for DataError {
    fn from(error: CifarError) -> Self {
        let remedy = match &error {
            CifarError::Missing(dir) | CifarError::NoFolder(dir) => Remedy::Fetch(dir.clone()),
            CifarError::NotAFolder(_) => Remedy::NameTheFolder,
            CifarError::Python(found) => Remedy::Fetch(folder_of(found).to_path_buf()),
            CifarError::Packed(archive) => Remedy::Unpack(archive.clone()),
            CifarError::Incomplete(_) | CifarError::Size { .. } | CifarError::Label { .. } => Remedy::Replace,
            CifarError::Io { .. } | CifarError::Classes { .. } => Remedy::None,
        };
        Self::Files { error: Box::new(error), remedy }
    }
}

/// The parent folder of `path`.
fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The error for `dir`, if none of its folders has a test batch.
fn missing(dir: &Path) -> CifarError {
    match fs::metadata(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return CifarError::NoFolder(dir.to_path_buf()),
        Err(source) => return CifarError::Io { file: dir.to_path_buf(), source },
        Ok(about) if about.is_dir() => {}
        Ok(_) if is_archive(dir) => return packed(dir.to_path_buf()),
        Ok(_) => return CifarError::NotAFolder(dir.to_path_buf()),
    }
    for folder in [dir.to_path_buf(), dir.join(FOLDER)] {
        if TRAIN.iter().any(|name| folder.join(name).exists()) {
            return CifarError::Incomplete(folder.join(TEST));
        }
    }
    // A folder that cannot be listed is treated as empty.
    let entries = fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut archives: Vec<_> = entries.filter(|path| is_cifar10(path) && is_archive(path)).collect();
    // The binary version first, because it can be unpacked and read.
    archives.sort();
    if let Some(archive) = archives.into_iter().next() {
        return packed(archive);
    }
    let python = PYTHON.iter().map(|name| dir.join(name)).find(|path| path.exists());
    python.map_or_else(|| CifarError::Missing(dir.to_path_buf()), CifarError::Python)
}

fn packed(archive: PathBuf) -> CifarError {
    match lower_name(&archive).starts_with("cifar-10-python") {
        true => CifarError::Python(archive),
        false => CifarError::Packed(archive),
    }
}

fn lower_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().to_lowercase()
}

fn is_archive(path: &Path) -> bool {
    let name = lower_name(path);
    path.is_file() && [".tar.gz", ".tgz", ".tar", ".zip", ".gz"].iter().any(|ending| name.ends_with(ending))
}

/// Checks the names of the published archives. Other archives may contain anything.
fn is_cifar10(path: &Path) -> bool {
    let name = lower_name(path);
    name.starts_with("cifar-10-binary") || name.starts_with("cifar-10-python")
}

#[cfg(test)]
mod tests;
