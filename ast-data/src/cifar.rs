//! The binary version of CIFAR-10 and CIFAR-100 (Krizhevsky, *Learning Multiple Layers of Features from Tiny Images*,
//! 2009): 50,000 training and 10,000 test images of 3 x 32 x 32 bytes.
//!
//! A record is a byte for each kind of label and the pixels, channels first.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ast_core::data::{DataError, DataSource, Dataset, Published, PublishedFile, ReadRequest, Remedy, Splits, Verified};
use ast_core::run::read_file;

use crate::archive::differs;
use crate::images::Images;

const SHAPE: [usize; 3] = [3, 32, 32];
const PIXELS: usize = 3 * 32 * 32;

/// A dataset in this form.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cifar {
    pub(crate) title: &'static str,
    pub(crate) published: fn() -> Published,
    /// The folder in the published archive.
    pub(crate) folder: &'static str,
    pub(crate) train: &'static [&'static str],
    pub(crate) test: &'static str,
    /// Images in a training file, and in the test file.
    pub(crate) records: [usize; 2],
    /// The classes of each kind of label, in the order of their bytes.
    pub(crate) kinds: &'static [&'static [&'static str]],
    /// The kind that is the label.
    pub(crate) kind: usize,
    /// Mean and standard deviation of the training pixels in 0..1, by channel.
    pub(crate) mean: [f32; 3],
    pub(crate) deviation: [f32; 3],
    /// How the names of the published archives begin: of the binary version, and of the Python version.
    pub(crate) archives: [&'static str; 2],
    /// Names that show the Python version: its folder, or its files.
    pub(crate) python: &'static [&'static str],
}

impl DataSource for Cifar {
    fn published(&self) -> Option<Published> {
        Some((self.published)())
    }

    fn find(&self, dir: &Path) -> Result<(), DataError> {
        let folder = self.folder(dir)?;
        for (name, records) in self.files() {
            let file = folder.join(name);
            let found = fs::metadata(&file).map_err(|_| self.error(Fault::Incomplete(file.clone())))?.len();
            if found != self.bytes(records) {
                return Err(self.wrong_size(file, records, found).into());
            }
        }
        Ok(())
    }

    fn read(&self, request: &ReadRequest<'_>) -> Result<Splits, DataError> {
        let (train, test) = self.images(request.dir.ok_or(DataError::NoFolder)?)?;
        let [train, test] =
            [train, test].map(|images| images.normalised(request.preprocessing, &self.mean, &self.deviation));
        Ok(Splits { train: Arc::new(train), test: Some(Arc::new(test)) })
    }

    /// Also checks that every class has as many training and test images as in the original.
    fn verify(&self, dir: &Path) -> Result<Verified, DataError> {
        let (train, test) = self.images(dir)?;
        let classes = train.classes();
        for (images, what) in [(&train, "training"), (&test, "test")] {
            let (mut counts, expected) = (vec![0; classes], images.samples() / classes);
            (0..images.samples() as u32).for_each(|id| counts[images.label(id)] += 1);
            if let Some((class, found)) = counts.into_iter().enumerate().find(|(_, found)| *found != expected) {
                let dir = dir.to_path_buf();
                return Err(self.error(Fault::Classes { dir, what, class, found, expected }).into());
            }
        }
        let modified = modified(&(self.published)().files(), &self.folder(dir)?);
        Ok(Verified { splits: Splits { train: Arc::new(train), test: Some(Arc::new(test)) }, modified: Some(modified) })
    }
}

/// The files in `folder` that differ from the published ones.
fn modified(published: &[PublishedFile], folder: &Path) -> Vec<&'static str> {
    let place = |file: &PublishedFile| folder.join(Path::new(file.path).file_name().unwrap_or_default());
    published.iter().filter(|file| differs(file, &place(file)) != Some(false)).map(PublishedFile::name).collect()
}

impl Cifar {
    /// Reads training and test images from the files in `dir`, or else in the archive's folder in it.
    pub(crate) fn images(&self, dir: &Path) -> Result<(Images, Images), CifarError> {
        let folder = self.folder(dir)?;
        let [train, test] = self.records;
        Ok((self.read_files(&folder, self.train, train)?, self.read_files(&folder, &[self.test], test)?))
    }

    /// All files, with their number of records.
    fn files(&self) -> impl Iterator<Item = (&'static str, usize)> + use<> {
        let [train, test] = self.records;
        self.train.iter().map(move |name| (*name, train)).chain([(self.test, test)])
    }

    /// The size of a record.
    fn record(&self) -> usize {
        self.kinds.len() + PIXELS
    }

    fn bytes(&self, records: usize) -> u64 {
        (records * self.record()) as u64
    }

    /// Finds the folder of the files.
    fn folder(&self, dir: &Path) -> Result<PathBuf, CifarError> {
        let mut folders = [dir.to_path_buf(), dir.join(self.folder)].into_iter();
        let found = folders.find(|folder| folder.join(self.test).exists());
        found.ok_or_else(|| self.error(self.missing(dir)))
    }

    fn read_files(&self, folder: &Path, names: &[&str], records: usize) -> Result<Images, CifarError> {
        let mut batch = Batch::default();
        for name in names {
            let file = folder.join(name);
            self.add(&mut batch, &file, &self.contents(&file, records)?)?;
        }
        let Batch { labels, pixels } = batch;
        let classes = self.kinds[self.kind];
        let images = Images::new(SHAPE, classes.len(), pixels, labels);
        Ok(images.with_class_names(classes))
    }

    /// Adds the records of a file. An incomplete last record is ignored.
    fn add(&self, batch: &mut Batch, file: &Path, bytes: &[u8]) -> Result<(), CifarError> {
        for (number, record) in bytes.chunks_exact(self.record()).enumerate() {
            let (labels, pixels) = record.split_at(self.kinds.len());
            for (kind, (label, classes)) in labels.iter().zip(self.kinds).enumerate() {
                if usize::from(*label) >= classes.len() {
                    let (offset, found, classes) = (number * self.record() + kind, *label, classes.len());
                    return Err(self.error(Fault::Label { file: file.to_path_buf(), offset, found, classes }));
                }
            }
            batch.labels.push(labels[self.kind]);
            batch.pixels.extend_from_slice(pixels);
        }
        Ok(())
    }

    /// Reads a file of exactly the right size. A larger file is not read to its end.
    fn contents(&self, file: &Path, records: usize) -> Result<Vec<u8>, CifarError> {
        let io = |source: io::Error| match source.kind() {
            io::ErrorKind::NotFound => self.error(Fault::Incomplete(file.to_path_buf())),
            _ => self.error(Fault::Io { file: file.to_path_buf(), source }),
        };
        let expected = self.bytes(records);
        match read_file(file, expected).map_err(io)? {
            Some(bytes) if bytes.len() as u64 == expected => Ok(bytes),
            _ => {
                let found = fs::metadata(file).map_err(io)?.len();
                Err(self.wrong_size(file.to_path_buf(), records, found))
            }
        }
    }

    fn wrong_size(&self, file: PathBuf, records: usize, found: u64) -> CifarError {
        self.error(Fault::Size { file, expected: self.bytes(records), found })
    }

    fn error(&self, fault: Fault) -> CifarError {
        let Self { title, folder, test, .. } = *self;
        CifarError { title, folder, test, fault }
    }

    /// What is there instead of a folder with a test batch.
    fn missing(&self, dir: &Path) -> Fault {
        match fs::metadata(dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Fault::NoFolder(dir.to_path_buf()),
            Err(source) => return Fault::Io { file: dir.to_path_buf(), source },
            Ok(about) if about.is_dir() => {}
            Ok(_) if is_archive(dir) => return self.packed(dir.to_path_buf()),
            Ok(_) => return Fault::NotAFolder(dir.to_path_buf()),
        }
        for folder in [dir.to_path_buf(), dir.join(self.folder)] {
            if self.train.iter().any(|name| folder.join(name).exists()) {
                return Fault::Incomplete(folder.join(self.test));
            }
        }
        // A folder that cannot be listed is treated as empty.
        let entries = fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path());
        let ours = |path: &PathBuf| self.archives.iter().any(|start| lower_name(path).starts_with(start));
        let mut archives: Vec<_> = entries.filter(|path| ours(path) && is_archive(path)).collect();
        // The binary version first, because it can be unpacked and read.
        archives.sort();
        if let Some(archive) = archives.into_iter().next() {
            return self.packed(archive);
        }
        let python = self.python.iter().map(|name| dir.join(name)).find(|path| path.exists());
        python.map_or_else(|| Fault::Missing(dir.to_path_buf()), Fault::Python)
    }

    fn packed(&self, archive: PathBuf) -> Fault {
        let [_, python] = self.archives;
        if lower_name(&archive).starts_with(python) { Fault::Python(archive) } else { Fault::Packed(archive) }
    }
}

/// Images read from consecutive files.
#[derive(Debug, Default, PartialEq, Eq)]
struct Batch {
    labels: Vec<u8>,
    pixels: Vec<u8>,
}

/// An error while reading one of these datasets.
#[derive(Debug)]
pub(crate) struct CifarError {
    title: &'static str,
    folder: &'static str,
    test: &'static str,
    fault: Fault,
}

/// What is wrong.
#[derive(Debug)]
enum Fault {
    /// The folder has none of the files.
    Missing(PathBuf),
    /// The folder does not exist.
    NoFolder(PathBuf),
    /// The path is a file.
    NotAFolder(PathBuf),
    /// There is an archive instead of the files.
    Packed(PathBuf),
    /// There is the Python version, as a folder, a file or an archive.
    Python(PathBuf),
    /// A file is missing, although others exist.
    Incomplete(PathBuf),
    /// A file could not be read.
    Io { file: PathBuf, source: io::Error },
    /// A file is too short or too long, in bytes.
    Size { file: PathBuf, expected: u64, found: u64 },
    /// A label is not a class.
    Label { file: PathBuf, offset: usize, found: u8, classes: usize },
    /// A class has too many or too few images.
    Classes { dir: PathBuf, what: &'static str, class: usize, found: usize, expected: usize },
}

impl std::error::Error for CifarError {}

impl fmt::Display for CifarError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { title, folder, test, fault } = self;
        match fault {
            Fault::Missing(dir) => {
                write!(f, "{}: neither this folder nor its subfolder {folder} holds {title} ({test})", dir.display())
            }
            Fault::NoFolder(dir) => {
                write!(f, "{}: there is no such folder; it should hold {title} ({test})", dir.display())
            }
            Fault::NotAFolder(file) => write!(f, "{}: this is a file, not a folder that holds {title}", file.display()),
            Fault::Packed(file) => {
                write!(f, "{}: this is an archive, not a folder with the files in it", file.display())
            }
            Fault::Python(path) => {
                let only = "only the binary version can be read";
                write!(f, "{}: this is the Python version of {title}; {only}", path.display())
            }
            Fault::Incomplete(file) => {
                write!(f, "{}: this file is missing, although other files of {title} exist", file.display())
            }
            Fault::Io { file, source } => write!(f, "{}: {source}", file.display()),
            Fault::Size { file, expected, found } => {
                write!(f, "{}: {found} bytes instead of {expected}: ", file.display())?;
                if found < expected { f.write_str("it is cut off") } else { write!(f, "it is not a file of {title}") }
            }
            Fault::Label { file, offset, found, classes } => {
                write!(f, "{}: label {found} at byte {offset}, expected 0 to {}", file.display(), classes - 1)
            }
            Fault::Classes { dir, what, class, found, expected } => {
                write!(f, "{}: {found} {what} images of class {class} instead of {expected}", dir.display())
            }
        }
    }
}

impl From<CifarError> for DataError {
    fn from(error: CifarError) -> Self {
        let remedy = match &error.fault {
            Fault::Missing(dir) | Fault::NoFolder(dir) => Remedy::Fetch(dir.clone()),
            Fault::NotAFolder(_) => Remedy::NameTheFolder,
            Fault::Python(found) => Remedy::Fetch(folder_of(found).to_path_buf()),
            Fault::Packed(archive) => Remedy::Unpack(archive.clone()),
            Fault::Incomplete(_) | Fault::Size { .. } | Fault::Label { .. } => Remedy::Replace,
            Fault::Io { .. } | Fault::Classes { .. } => Remedy::None,
        };
        Self::Files { error: Box::new(error), remedy }
    }
}

/// The parent folder of `path`.
fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn lower_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().to_lowercase()
}

fn is_archive(path: &Path) -> bool {
    let name = lower_name(path);
    path.is_file() && [".tar.gz", ".tgz", ".tar", ".zip", ".gz"].iter().any(|ending| name.ends_with(ending))
}

#[cfg(test)]
mod tests;
