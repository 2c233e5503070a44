//! CIFAR-10's binary version: five training files and one of test images, each 10,000 records of a label byte and
//! 3 x 32 x 32 pixel bytes, channels first (Krizhevsky, *Learning Multiple Layers of Features from Tiny Images*, 2009).

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::images::Images;

const SHAPE: [usize; 3] = [3, 32, 32];
const CLASSES: u8 = 10;
const RECORD: usize = 1 + 3 * 32 * 32;
const RECORDS: usize = 10_000;
const TRAIN: [&str; 5] =
    ["data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin"];
const TEST: &str = "test_batch.bin";
/// The folder in the published archive.
const INNER: &str = "cifar-10-batches-bin";
/// Of the training pixels in 0..1, by channel.
const MEAN: [f32; 3] = [0.4914, 0.4822, 0.4465];
const DEVIATION: [f32; 3] = [0.2470, 0.2435, 0.2616];

/// Why CIFAR-10 could not be read.
#[derive(Debug, thiserror::Error)]
pub enum CifarError {
    /// No such files.
    #[error("{}: neither this folder nor its subfolder {INNER} holds {TEST}", .0.display())]
    Missing(PathBuf),
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
        /// Bytes it should have.
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
}

/// Reads training and test images from `dir` or `dir/cifar-10-batches-bin`.
///
/// # Errors
/// [`CifarError`] with the file and, where it applies, the offset.
pub fn cifar10(dir: &Path) -> Result<(Images, Images), CifarError> {
    let folders = [dir.to_path_buf(), dir.join(INNER)];
    let folder = folders.iter().find(|folder| folder.join(TEST).is_file());
    let folder = folder.ok_or_else(|| CifarError::Missing(dir.to_path_buf()))?;
    Ok((read(folder, &TRAIN)?, read(folder, &[TEST])?))
}

fn read(folder: &Path, names: &[&str]) -> Result<Images, CifarError> {
    let mut pixels = Vec::with_capacity(names.len() * RECORDS * (RECORD - 1));
    let mut labels = Vec::with_capacity(names.len() * RECORDS);
    for name in names {
        let file = folder.join(name);
        for (number, record) in contents(&file)?.chunks_exact(RECORD).enumerate() {
            let (label, image) = (record[0], &record[1..]);
            if label >= CLASSES {
                return Err(CifarError::Label { file, offset: number * RECORD, found: label });
            }
            labels.push(label);
            pixels.extend_from_slice(image);
        }
    }
    Ok(Images::new(SHAPE, usize::from(CLASSES), pixels, labels).normalise(&MEAN, &DEVIATION))
}

/// A file of exactly the right size; a larger one is not read to its end.
fn contents(file: &Path) -> Result<Vec<u8>, CifarError> {
    let io = |source| CifarError::Io { file: file.to_path_buf(), source };
    let expected = (RECORDS * RECORD) as u64;
    let opened = File::open(file).map_err(io)?;
    let length = opened.metadata().map_err(io)?.len();
    let mut bytes = Vec::with_capacity(expected as usize);
    opened.take(expected + 1).read_to_end(&mut bytes).map_err(io)?;
    match bytes.len() as u64 {
        found if found == expected => Ok(bytes),
        found => Err(CifarError::Size { file: file.to_path_buf(), expected, found: found.max(length) }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ast_core::Dataset;

    /// A folder of made-up files; record `r` of every file has label `r % 10` and pixels `r % 256`.
    fn folder() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let inner = dir.path().join(INNER);
        std::fs::create_dir(&inner).unwrap();
        let bytes: Vec<u8> = (0..RECORDS)
            .flat_map(|r| std::iter::once((r % 10) as u8).chain(std::iter::repeat_n((r % 256) as u8, RECORD - 1)))
            .collect();
        for name in TRAIN.iter().chain([&TEST]) {
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
        for dir in [dir.path().to_path_buf(), dir.path().join(INNER)] {
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
        let path = |name: &str| dir.path().join(INNER).join(name);
        let good = std::fs::read(path(TEST)).unwrap();

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
        assert!(matches!(refused(dir.path()), CifarError::Io { .. }));
        std::fs::create_dir(path("data_batch_3.bin")).unwrap();
        assert!(matches!(refused(dir.path()), CifarError::Io { .. }));
        assert!(matches!(refused(&dir.path().join("nowhere")), CifarError::Missing(_)));
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
