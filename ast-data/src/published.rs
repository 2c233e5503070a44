//! What the published files of CIFAR-10 hold, to tell a modified copy by.
//!
//! The SHA-1 of the six files of the binary version are those by which Apache MXNet's loader (`gluon.data.vision.CIFAR10`)
//! recognises what it has unpacked of the author's archive. A file of it is its records one after the other, a label and
//! its pixels, and the Python version holds the same labels and pixels in the same order: so one list is for both.

use std::path::Path;

use ast_core::data::Dataset;
use sha1::{Digest, Sha1};

use crate::cifar::{CIFAR10_FILES, RECORDS};
use crate::images::Images;

/// Training batches 1 to 5 and the test batch.
const PUBLISHED: [(&str, &str); 6] = [
    ("data_batch_1", "aadd24acce27caa71bf4b10992e9e7b2d74c2540"),
    ("data_batch_2", "c0ba65cce70568cd57b4e03e9ac8d2a5367c1795"),
    ("data_batch_3", "1dd00a74ab1d17a6e7d73e185b69dbf31242f295"),
    ("data_batch_4", "aab85764eb3584312d3c7f65fd2fd016e36a258e"),
    ("data_batch_5", "26e2849e66a845b7f1e4614ae70f4889ae604628"),
    ("test_batch", "67eb016db431130d61cd03c7ad570b013799c88c"),
];

/// The batches whose labels or pixels are not those of the published files, of images read by [`cifar10`](crate::cifar10)
/// from either version.
#[must_use]
pub fn cifar10_modified(train: &Images, test: &Images) -> Vec<&'static str> {
    modified(train, test, &PUBLISHED)
}

/// The files of the binary version in `dir` that have the published size and another content. Those that are missing or of
/// another size are not among them.
#[must_use]
pub fn cifar10_files_modified(dir: &Path) -> Vec<&'static str> {
    let modified = |((file, bytes), (name, published)): (&(&str, u64), &(&'static str, &str))| {
        let content = std::fs::read(dir.join(file)).ok().filter(|content| content.len() as u64 == *bytes)?;
        (hex(Sha1::new().chain_update(content)) != *published).then_some(*name)
    };
    CIFAR10_FILES.iter().zip(&PUBLISHED).filter_map(modified).collect()
}

fn modified(train: &Images, test: &Images, published: &[(&'static str, &str); 6]) -> Vec<&'static str> {
    let batches = (0..5).map(|number| (train, number)).chain([(test, 0)]);
    let differs = |((name, sha1), (images, number)): (&(&'static str, &str), (&Images, usize))| {
        (records(images, number) != *sha1).then_some(*name)
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
    hex(hash)
}

fn hex(hash: Sha1) -> String {
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of 10,000 records with label `r % 10` and 3,072 pixels `r % 256`, by Python's hashlib.
    const MADE_UP: &str = "4b1e914537ff354ee662be50d7c1f51a0d2b4ae5";

    fn made_up(records: usize) -> Images {
        let pixels = (0..records).flat_map(|r| std::iter::repeat_n((r % RECORDS % 256) as u8, 3072)).collect();
        Images::new([3, 32, 32], 10, pixels, (0..records).map(|r| (r % 10) as u8).collect())
    }

    #[test]
    fn one_byte_makes_a_modified_copy_of_its_batch() {
        let (train, test) = (made_up(50_000), made_up(10_000));
        let same = PUBLISHED.map(|(name, _)| (name, MADE_UP));
        assert_eq!(modified(&train, &test, &same), [""; 0]);
        let all: Vec<&str> = PUBLISHED.iter().map(|(name, _)| *name).collect();
        assert_eq!(cifar10_modified(&train, &test), all);

        let pixels: Vec<u8> = (0..50_000).flat_map(|id| train.bytes(id).to_vec()).collect();
        let labels: Vec<u8> = (0..50_000).map(|id| train.label(id) as u8).collect();
        let images = |pixels: &[u8], labels: &[u8]| Images::new([3, 32, 32], 10, pixels.to_vec(), labels.to_vec());
        let mut other = pixels.clone();
        *other.last_mut().unwrap() ^= 1;
        assert_eq!(modified(&images(&other, &labels), &test, &same), ["data_batch_5"]);
        let mut swapped = labels.clone();
        swapped.swap(10_000, 10_001);
        assert_eq!(modified(&images(&pixels, &swapped), &test, &same), ["data_batch_2"]);
    }

    #[test]
    fn files_of_the_right_size_only() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(cifar10_files_modified(dir.path()), [""; 0]);
        let folder = dir.path().join("cifar-10-batches-bin");
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("data_batch_2.bin"), vec![0; 30_730_000]).unwrap();
        std::fs::write(folder.join("data_batch_3.bin"), "cut off").unwrap();
        assert_eq!(cifar10_files_modified(dir.path()), ["data_batch_2"]);
    }
}
