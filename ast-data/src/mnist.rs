//! MNIST (LeCun, Bottou, Bengio, Haffner, *Gradient-Based Learning Applied to Document Recognition*, 1998) and
//! Fashion-MNIST (Xiao, Rasul, Vollgraf, arXiv 1708.07747, 2017): four files of the same names and form.
//!
//! Grey images of 28 x 28 pixels in ten classes, as IDX, packed or not. Other data in this form is read as well.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ast_core::data::{DataError, DataSource, Download, Published, ReadRequest, Remedy, Splits, Verified};

use crate::archive::differs;
use crate::idx::{self, Idx, IdxError};
use crate::images::Images;

const CLASSES: u8 = 10;

ast_core::register_dataset! {
    name: "mnist",
    summary: "70,000 handwritten digits of 28 x 28 grey pixels in ten classes (LeCun et al. 1998); `ast data fetch mnist` downloads it, 12 MB",
    params: &[],
    build: |_| {
        let folders = &["mnist", "MNIST/raw"];
        Ok(Box::new(Mnist {
            published: digits,
            folders,
            classes: &[],
            mean: 0.1307,
            deviation: 0.3081,
            mirrors: false,
        }))
    },
}

ast_core::register_dataset! {
    name: "fashion-mnist",
    summary: "70,000 pictures of clothes, in the form of MNIST (Xiao et al. 2017); `ast data fetch fashion-mnist` downloads it, 31 MB",
    params: &[],
    build: |_| {
        let folders = &["fashion-mnist", "FashionMNIST/raw"];
        Ok(Box::new(Mnist {
            published: clothes,
            folders,
            classes: CLOTHES,
            mean: 0.2860,
            deviation: 0.3530,
            mirrors: true,
        }))
    },
}

struct Mnist {
    published: fn() -> Published,
    /// Where its files may be, below the given folder: the second is torchvision's place.
    folders: &'static [&'static str],
    /// Names; digits need none.
    classes: &'static [&'static str],
    /// Of the training pixels in 0..1.
    mean: f32,
    deviation: f32,
    mirrors: bool,
}

const CLOTHES: &[&str] =
    &["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"];

/// A split's files, without endings.
struct Files {
    images: &'static str,
    labels: &'static str,
}

const TRAIN: Files = Files { images: "train-images-idx3-ubyte", labels: "train-labels-idx1-ubyte" };
const TEST: Files = Files { images: "t10k-images-idx3-ubyte", labels: "t10k-labels-idx1-ubyte" };

/// A download that is a file of the dataset itself.
fn whole(path: &'static str, bytes: u64, sha256: &'static str, url: &'static str) -> Download {
    Download { path, bytes, sha256, url, members: &[] }
}

fn digits() -> Published {
    Published {
        page: "http://yann.lecun.com/exdb/mnist/",
        licence: "Creative Commons Attribution-Share Alike 3.0",
        downloads: vec![
            whole(
                "mnist/train-images-idx3-ubyte.gz",
                9_912_422,
                "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
                "https://ossci-datasets.s3.amazonaws.com/mnist/train-images-idx3-ubyte.gz",
            ),
            whole(
                "mnist/train-labels-idx1-ubyte.gz",
                28_881,
                "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
                "https://ossci-datasets.s3.amazonaws.com/mnist/train-labels-idx1-ubyte.gz",
            ),
            whole(
                "mnist/t10k-images-idx3-ubyte.gz",
                1_648_877,
                "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
                "https://ossci-datasets.s3.amazonaws.com/mnist/t10k-images-idx3-ubyte.gz",
            ),
            whole(
                "mnist/t10k-labels-idx1-ubyte.gz",
                4_542,
                "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
                "https://ossci-datasets.s3.amazonaws.com/mnist/t10k-labels-idx1-ubyte.gz",
            ),
        ],
    }
}

fn clothes() -> Published {
    Published {
        page: "https://github.com/zalandoresearch/fashion-mnist",
        licence: "MIT",
        downloads: vec![
            whole(
                "fashion-mnist/train-images-idx3-ubyte.gz",
                26_421_880,
                "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
                "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/train-images-idx3-ubyte.gz",
            ),
            whole(
                "fashion-mnist/train-labels-idx1-ubyte.gz",
                29_515,
                "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
                "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/train-labels-idx1-ubyte.gz",
            ),
            whole(
                "fashion-mnist/t10k-images-idx3-ubyte.gz",
                4_422_102,
                "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
                "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/t10k-images-idx3-ubyte.gz",
            ),
            whole(
                "fashion-mnist/t10k-labels-idx1-ubyte.gz",
                5_148,
                "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
                "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/t10k-labels-idx1-ubyte.gz",
            ),
        ],
    }
}

impl DataSource for Mnist {
    fn published(&self) -> Option<Published> {
        Some((self.published)())
    }

    fn read(&self, request: &ReadRequest<'_>) -> Result<Splits, DataError> {
        let folder = self.folder(request.dir.ok_or(DataError::NoFolder)?)?;
        let read = |files: &Files| -> Result<Arc<Images>, MnistError> {
            let images = read(&folder, files)?.normalised(request.preprocessing, &[self.mean], &[self.deviation]);
            Ok(Arc::new(images.with_mirrors(self.mirrors).with_class_names(self.classes)))
        };
        Ok(Splits { train: read(&TRAIN)?, test: Some(read(&TEST)?) })
    }

    fn find(&self, dir: &Path) -> Result<(), DataError> {
        let folder = self.folder(dir)?;
        for files in [TRAIN, TEST] {
            file(&folder, files.images)?;
            file(&folder, files.labels)?;
        }
        Ok(())
    }

    /// Unpacked files are not compared: no checksums of them are published.
    fn verify(&self, dir: &Path) -> Result<Verified, DataError> {
        let splits = self.read(&ReadRequest::of(dir))?;
        let folder = self.folder(dir)?;
        let (mut packed, mut modified) = (true, Vec::new());
        for published in (self.published)().files() {
            let at = file(&folder, published.name())?;
            packed &= at.extension().is_some_and(|extension| extension == "gz");
            modified.extend((differs(&published, &at) != Some(false)).then(|| published.name()));
        }
        Ok(Verified { splits, modified: packed.then_some(modified) })
    }
}

impl Mnist {
    /// The folder that has any of the files.
    fn folder(&self, dir: &Path) -> Result<PathBuf, MnistError> {
        let all = [TRAIN.images, TRAIN.labels, TEST.images, TEST.labels];
        let mut places = std::iter::once(dir.to_path_buf()).chain(self.folders.iter().map(|folder| dir.join(folder)));
        let found = places.find(|place| all.iter().any(|name| file(place, name).is_ok()));
        found.ok_or_else(|| MnistError::Missing { dir: dir.to_path_buf(), folders: self.folders })
    }
}

/// The file of that name, packed or not. Some copies have a point for the second hyphen.
fn file(folder: &Path, name: &str) -> Result<PathBuf, MnistError> {
    let pointed = name.replace("-idx", ".idx");
    let names = [name, &pointed].into_iter().flat_map(|name| [name.to_string(), format!("{name}.gz")]);
    let found = names.map(|name| folder.join(name)).find(|path| path.exists());
    found.ok_or_else(|| MnistError::Incomplete(folder.join(name)))
}

fn read(folder: &Path, files: &Files) -> Result<Images, MnistError> {
    let (of_images, of_labels) = (file(folder, files.images)?, file(folder, files.labels)?);
    let Idx { sides: [images, height, width], values } = idx::read(&of_images)?;
    let Idx { sides: [labels], values: classes } = idx::read(&of_labels)?;
    if [height, width] != [28, 28] || images == 0 {
        return Err(MnistError::Sides { file: of_images, images, height, width });
    }
    if labels != images {
        return Err(MnistError::Labels { file: of_labels, labels, images });
    }
    if let Some((number, found)) = classes.iter().enumerate().find(|(_, class)| **class >= CLASSES) {
        return Err(MnistError::Label { file: of_labels, number, found: *found });
    }
    Ok(Images::new([1, height, width], usize::from(CLASSES), values, classes))
}

/// An error while reading MNIST.
#[derive(Debug, thiserror::Error)]
enum MnistError {
    #[error(
        "{}: neither this folder nor {} in it has {} or another of the four files, packed (.gz) or not",
        dir.display(), folders.join(" or "), TRAIN.images
    )]
    Missing { dir: PathBuf, folders: &'static [&'static str] },
    #[error("{}: this file is missing, packed (.gz) or not, although other files of the dataset exist", .0.display())]
    Incomplete(PathBuf),
    #[error("{}: {images} images of {height} x {width} pixels instead of some of 28 x 28", file.display())]
    Sides { file: PathBuf, images: usize, height: usize, width: usize },
    #[error("{}: {labels} labels for {images} images", file.display())]
    Labels { file: PathBuf, labels: usize, images: usize },
    #[error("{}: label {found} of image {number}, expected 0 to 9", file.display())]
    Label { file: PathBuf, number: usize, found: u8 },
    #[error(transparent)]
    File(#[from] IdxError),
}

impl From<MnistError> for DataError {
    fn from(error: MnistError) -> Self {
        let remedy = match &error {
            MnistError::Missing { dir, .. } => Remedy::Fetch(dir.clone()),
            MnistError::Incomplete(_) | MnistError::Labels { .. } => Remedy::Replace,
            _ => Remedy::None,
        };
        Self::Files { error: Box::new(error), remedy }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn idx(sides: &[u32], values: &[u8]) -> Vec<u8> {
        let head = [0, 0, 8, sides.len() as u8];
        head.into_iter().chain(sides.iter().flat_map(|side| side.to_be_bytes())).chain(values.iter().copied()).collect()
    }

    /// Three training images and two test images; image `i` has pixels `i` and label `9 - i`.
    fn write(folder: &Path) {
        fs::create_dir_all(folder).unwrap();
        for (Files { images, labels }, n) in [(TRAIN, 3_u8), (TEST, 2)] {
            let pixels: Vec<u8> = (0..n).flat_map(|i| [i; 784]).collect();
            fs::write(folder.join(images), idx(&[n.into(), 28, 28], &pixels)).unwrap();
            fs::write(folder.join(labels), idx(&[n.into()], &(0..n).map(|i| 9 - i).collect::<Vec<_>>())).unwrap();
        }
    }

    fn source(mirrors: bool) -> Mnist {
        Mnist { published: digits, folders: &["mnist", "MNIST/raw"], classes: &[], mean: 0.5, deviation: 0.25, mirrors }
    }

    fn read(dir: &Path) -> Result<Splits, DataError> {
        source(false).read(&ReadRequest::of(dir))
    }

    #[test]
    fn reads_the_files_wherever_they_are() {
        for place in ["", "mnist", "MNIST/raw"] {
            let dir = tempfile::tempdir().unwrap();
            write(&dir.path().join(place));
            let Splits { train, test } = read(dir.path()).unwrap();
            let test = test.unwrap();
            assert_eq!((train.samples(), test.samples(), train.classes()), (3, 2, 10));
            assert!(!train.mirrors(), "a mirrored digit is another sign");
            let mut values = vec![0.0; 784];
            train.write(2, &mut values);
            assert_eq!((train.label(2), values), (7, vec![(2.0 / 255.0 - 0.5) / 0.25; 784]));
            assert!(source(true).find(dir.path()).is_ok());
        }
    }

    #[test]
    fn both_spellings_are_read() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path());
        fs::rename(dir.path().join(TRAIN.images), dir.path().join("train-images.idx3-ubyte")).unwrap();
        assert!(read(dir.path()).is_ok());
    }

    #[test]
    fn what_is_wrong_is_said() {
        let dir = tempfile::tempdir().unwrap();
        let error = || read(dir.path()).err().unwrap().to_string();
        assert!(error().contains("neither this folder nor mnist or MNIST/raw in it has train-images-idx3-ubyte"));
        let damage = |name: &str, bytes: Vec<u8>| {
            write(dir.path());
            fs::write(dir.path().join(name), bytes).unwrap();
            error()
        };
        assert!(damage(TRAIN.labels, idx(&[2], &[1, 2])).contains("train-labels-idx1-ubyte: 2 labels for 3 images"));
        assert!(damage(TEST.labels, idx(&[2], &[1, 10])).contains("label 10 of image 1, expected 0 to 9"));
        assert!(damage(TEST.images, idx(&[2, 2, 2], &[0; 8])).contains("2 images of 2 x 2 pixels"));
        assert!(damage(TEST.images, idx(&[0, 28, 28], &[])).contains("0 images of 28 x 28"));
        assert!(damage(TEST.images, idx(&[2], &[0; 2])).contains("1 dimensions instead of 3"));
        write(dir.path());
        fs::remove_file(dir.path().join(TEST.labels)).unwrap();
        assert!(error().contains("t10k-labels-idx1-ubyte: this file is missing"));
        assert!(source(false).find(dir.path()).is_err());
    }

    /// Files are compared with the published ones if all are packed, as those are.
    #[test]
    fn unpacked_files_are_not_compared() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path());
        assert_eq!(source(false).verify(dir.path()).unwrap().modified, None);
        for name in [TRAIN.images, TRAIN.labels, TEST.images, TEST.labels] {
            let bytes = fs::read(dir.path().join(name)).unwrap();
            let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            std::io::Write::write_all(&mut packed, &bytes).unwrap();
            fs::write(dir.path().join(format!("{name}.gz")), packed.finish().unwrap()).unwrap();
            fs::remove_file(dir.path().join(name)).unwrap();
        }
        let all = [TRAIN.images, TRAIN.labels, TEST.images, TEST.labels];
        assert_eq!(source(false).verify(dir.path()).unwrap().modified.unwrap(), all);
    }
}
