//! CIFAR-10: five training files and one of test images, each of 10,000 images of 3 x 32 x 32 bytes, channels first (Krizhevsky,
//! *Learning Multiple Layers of Features from Tiny Images*, 2009). In the binary version an image is a record of a label
//! byte and its pixels; the Python version is in [`cifar_pickle`](crate::cifar_pickle).

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use crate::cifar_files::{CifarError, Version, missing};
use crate::images::Images;

const SHAPE: [usize; 3] = [3, 32, 32];
pub(crate) const CLASSES: u8 = 10;
pub(crate) const RECORD: usize = 1 + 3 * 32 * 32;
pub(crate) const RECORDS: usize = 10_000;
/// What a pickle may take beside the images: labels, file names and their frames, and every byte once more, because
/// Python 3 writes those above 127 as two in protocol 2.
const PICKLE_EXTRA: u64 = (4 << 20) + (RECORDS * RECORD) as u64;
/// Of the training pixels in 0..1, by channel.
const MEAN: [f32; 3] = [0.4914, 0.4822, 0.4465];
const DEVIATION: [f32; 3] = [0.2470, 0.2435, 0.2616];

/// The files of the binary version in its published archive, 30,730,000 bytes each.
pub const CIFAR10_FILES: [(&str, u64); 6] = [
    ("cifar-10-batches-bin/data_batch_1.bin", (RECORDS * RECORD) as u64),
    ("cifar-10-batches-bin/data_batch_2.bin", (RECORDS * RECORD) as u64),
    ("cifar-10-batches-bin/data_batch_3.bin", (RECORDS * RECORD) as u64),
    ("cifar-10-batches-bin/data_batch_4.bin", (RECORDS * RECORD) as u64),
    ("cifar-10-batches-bin/data_batch_5.bin", (RECORDS * RECORD) as u64),
    ("cifar-10-batches-bin/test_batch.bin", (RECORDS * RECORD) as u64),
];

/// Reads training and test images from `dir`, `dir/cifar-10-batches-bin` or `dir/cifar-10-batches-py`, whichever is there
/// first. The version makes no difference to what is read.
///
/// # Errors
/// [`CifarError`] with the file and, where it applies, the offset.
pub fn cifar10(dir: &Path) -> Result<(Images, Images), CifarError> {
    read_folder(dir, RECORDS)
}

/// With so many images a file: small ones are quicker to test.
fn read_folder(dir: &Path, records: usize) -> Result<(Images, Images), CifarError> {
    let mut folders = Version::ALL.into_iter().flat_map(|v| [(v, dir.to_path_buf()), (v, dir.join(v.folder()))]);
    let found = folders.find(|(version, folder)| folder.join(version.test()).exists());
    let (version, folder) = found.ok_or_else(|| missing(dir))?;
    Ok((read(version, &folder, &version.train(), records)?, read(version, &folder, &[version.test()], records)?))
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

#[cfg(test)]
mod tests {
    use super::*;
    use ast_core::data::Dataset;

    /// A folder of made-up files; record `r` of every file has label `r % 10` and pixels `r % 256`.
    fn folder() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let inner = dir.path().join(Version::Binary.folder());
        std::fs::create_dir(&inner).unwrap();
        let bytes: Vec<u8> = (0..RECORDS)
            .flat_map(|r| std::iter::once((r % 10) as u8).chain(std::iter::repeat_n((r % 256) as u8, RECORD - 1)))
            .collect();
        for name in Version::Binary.train().into_iter().chain([Version::Binary.test()]) {
            std::fs::write(inner.join(name), &bytes).unwrap();
        }
        dir
    }

    fn refused(dir: &Path) -> CifarError {
        cifar10(dir).expect_err("must be refused")
    }

    #[test]
    fn reads_what_is_there_from_either_folder() {
        let dir = folder();
        for dir in [dir.path().to_path_buf(), dir.path().join(Version::Binary.folder())] {
            let (train, test) = cifar10(&dir).unwrap();
            assert_eq!((train.samples(), test.samples()), (50_000, 10_000));
            for id in [0u32, 7, 10_003, 49_999] {
                let record = id as usize % RECORDS;
                assert_eq!(train.label(id), record % 10);
                assert!(train.bytes(id).iter().all(|byte| usize::from(*byte) == record % 256));
            }
        }
    }

    #[test]
    fn every_kind_of_damage_names_file_and_place() {
        let dir = folder();
        let path = |name: &str| dir.path().join(Version::Binary.folder()).join(name);
        let good = std::fs::read(path("test_batch.bin")).unwrap();

        for cut in [0, 1, RECORD - 1, RECORD, RECORD + 1, good.len() - 1] {
            std::fs::write(path("data_batch_3.bin"), &good[..cut]).unwrap();
            let message = refused(dir.path()).to_string();
            assert!(message.contains("data_batch_3.bin") && message.contains(&cut.to_string()), "{message}");
        }
        std::fs::write(path("data_batch_3.bin"), [&good[..], &[0]].concat()).unwrap();
        assert!(matches!(refused(dir.path()), CifarError::Size { found, .. } if found == good.len() as u64 + 1));
        std::fs::write(path("data_batch_3.bin"), b"<html>404</html>").unwrap();
        assert!(matches!(refused(dir.path()), CifarError::Size { found: 16, .. }));

        let mut bad = good.clone();
        bad[5 * RECORD] = 10;
        std::fs::write(path("data_batch_3.bin"), &bad).unwrap();
        assert!(matches!(refused(dir.path()), CifarError::Label { offset, found: 10, .. } if offset == 5 * RECORD));

        std::fs::remove_file(path("data_batch_3.bin")).unwrap();
        assert!(matches!(refused(dir.path()), CifarError::Incomplete(file) if file == path("data_batch_3.bin")));
        std::fs::create_dir(path("data_batch_3.bin")).unwrap();
        assert!(matches!(refused(dir.path()), CifarError::Io { .. }));
        assert!(matches!(refused(&dir.path().join("nowhere")), CifarError::NoFolder(_)));
    }

    /// The real files, where there are any: AST_DATA_DIR. With CI=true they must be there.
    #[test]
    fn reads_the_real_files() {
        let Some(dir) = std::env::var_os("AST_DATA_DIR") else {
            assert!(std::env::var_os("CI").is_none(), "CI must set AST_DATA_DIR to a folder with CIFAR-10");
            println!("not run: AST_DATA_DIR is not set");
            return;
        };
        let (train, test) = cifar10(Path::new(&dir)).unwrap();
        let per_class = |images: &Images| -> Vec<usize> {
            (0..10).map(|c| (0..images.samples() as u32).filter(|id| images.label(*id) == c).count()).collect()
        };
        assert_eq!(per_class(&train), [5000; 10]);
        assert_eq!(per_class(&test), [1000; 10]);
        // The published mean and deviation of the channels, against the pixels themselves.
        for channel in 0..3 {
            let bytes = (0..50_000u32).flat_map(|id| &train.bytes(id)[channel * 1024..(channel + 1) * 1024]);
            let (sum, squares) = bytes.fold((0f64, 0f64), |(s, q), b| {
                let x = f64::from(*b) / 255.0;
                (s + x, q + x * x)
            });
            let mean = sum / (50_000.0 * 1024.0);
            let deviation = (squares / (50_000.0 * 1024.0) - mean * mean).sqrt();
            assert!((mean - f64::from(MEAN[channel])).abs() < 2e-3, "{mean}");
            assert!((deviation - f64::from(DEVIATION[channel])).abs() < 2e-3, "{deviation}");
        }
    }
}
