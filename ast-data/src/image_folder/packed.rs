//! The binary form of an image folder: one file of decoded pixels, each image at its own size.
//!
//! A line that names the format, the pixels of all images one after another (rows of red, green and blue bytes), the index,
//! and 32 bytes at the end: where the index begins, its length, and the line again. The index has a checksum (SHA-256), and
//! so has every image (CRC-32). It holds the names of the classes, the number of images in each split, and 16 bytes for each
//! image.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use ast_core::codec::{decode, encode, seal, unseal};
use ast_core::data::Reads;
use serde::{Deserialize, Serialize};

use super::error::{FolderError, ImageError};
use super::rgb::Rgb;
use super::store::Store;

pub(super) const MAGIC: &[u8; 16] = b"ast images v0001";
/// Bytes after the index.
const TRAILER: u64 = 32;
/// Bytes of an image in the index.
pub(super) const RECORD: usize = 16;
/// No longer index is read.
const LONGEST: u64 = 1 << 36;
const PART: &str = "index of images";

/// What the index says besides the images.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Contents {
    /// The names of the classes, sorted.
    pub(super) classes: Vec<String>,
    /// Number of training images, and of test images, which come after them; 0 if there are none.
    pub(super) images: [u64; 2],
}

/// An image in the file: 24 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Record {
    /// Where its pixels begin.
    pub(super) at: u64,
    pub(super) height: u32,
    pub(super) width: u32,
    pub(super) class: u32,
    /// CRC-32 of its pixels.
    pub(super) checksum: u32,
}

impl Record {
    pub(super) fn bytes(self) -> u64 {
        3 * u64::from(self.height) * u64::from(self.width)
    }

    fn to_bytes(self) -> [u8; RECORD] {
        let mut bytes = [0; RECORD];
        let numbers = [self.height, self.width, self.class, self.checksum];
        bytes.chunks_exact_mut(4).zip(numbers).for_each(|(bytes, number)| bytes.copy_from_slice(&number.to_le_bytes()));
        bytes
    }
}

/// The index, and what comes after it, for pixels that end at `at`.
pub(super) fn footer(contents: &Contents, records: &[Record], at: u64) -> Result<Vec<u8>, String> {
    let mut index = encode(PART, contents).map_err(|error| error.to_string())?;
    let head = index.len() as u64;
    index.extend(records.iter().flat_map(|record| record.to_bytes()));
    index.extend(head.to_le_bytes());
    let mut footer = seal(&index);
    let length = footer.len() as u64;
    footer.extend(at.to_le_bytes());
    footer.extend(length.to_le_bytes());
    footer.extend(MAGIC);
    Ok(footer)
}

/// The images of one split of an open file.
pub(super) struct Packed {
    path: PathBuf,
    file: File,
    records: Vec<Record>,
}

/// Opens a file: the names of its classes, its training images, and its test images if there are any.
///
/// # Errors
/// [`FolderError`] if it is not such a file, or is damaged. Pixels are checked when they are read.
pub(super) fn open(path: &Path) -> Result<(Vec<String>, Packed, Option<Packed>), FolderError> {
    let wrong = |reason: String| FolderError::new(path, reason);
    let failed = |error: io::Error| wrong(error.to_string());
    let about = std::fs::metadata(path).map_err(failed)?;
    if !about.is_file() {
        return Err(wrong("it is neither a folder nor a file".into()));
    }
    let (file, size) = (File::open(path).map_err(failed)?, about.len());
    let other = || wrong("it is no file of `ast data import`, or is cut off".into());
    let mut end = [0; TRAILER as usize];
    let footer = size.checked_sub(TRAILER).ok_or_else(other)?;
    read_at(&file, &mut end, footer).map_err(failed)?;
    let number = |at: usize| u64::from_le_bytes(std::array::from_fn(|i| end[at + i]));
    let (begin, length) = (number(0), number(8));
    let mut start = *MAGIC;
    read_at(&file, &mut start, 0).map_err(failed)?;
    if &start != MAGIC || &end[16..] != MAGIC || begin.checked_add(length) != Some(footer) || length > LONGEST {
        return Err(other());
    }
    let mut index = vec![0; length as usize];
    read_at(&file, &mut index, begin).map_err(failed)?;
    let index = unseal(PART, &index).map_err(|error| wrong(error.to_string()))?;
    let (contents, records) = parse(index).ok_or_else(|| wrong("its index is not one of this version".into()))?;
    if records.last().map(|last| last.at + last.bytes()) != Some(begin) {
        return Err(wrong("its index does not fit its pixels".into()));
    }
    let Contents { classes, images: [train, _] } = contents;
    let mut train_records = records;
    let test = train_records.split_off(train as usize);
    let packed = |file, records| Packed { path: path.to_path_buf(), file, records };
    let test = match test.is_empty() {
        true => None,
        false => Some(packed(file.try_clone().map_err(failed)?, test)),
    };
    Ok((classes, packed(file, train_records), test))
}

fn parse(index: &[u8]) -> Option<(Contents, Vec<Record>)> {
    let (rest, head) = index.split_at_checked(index.len().checked_sub(8)?)?;
    let head = u64::from_le_bytes(head.try_into().ok()?);
    let (head, rest) = rest.split_at_checked(usize::try_from(head).ok()?)?;
    let contents: Contents = decode(PART, head).ok()?;
    let (numbers, []) = rest.as_chunks::<RECORD>() else { return None };
    let mut at = MAGIC.len() as u64;
    let record = |bytes: &[u8; RECORD]| {
        let [height, width, class, checksum] =
            [0, 4, 8, 12].map(|place| u32::from_le_bytes(std::array::from_fn(|i| bytes[place + i])));
        let record = Record { at, height, width, class, checksum };
        at = at.checked_add(record.bytes())?;
        (height > 0 && width > 0 && (class as usize) < contents.classes.len()).then_some(record)
    };
    let records: Vec<Record> = numbers.iter().map(record).collect::<Option<_>>()?;
    let [train, test] = contents.images;
    let whole = train > 0 && train.checked_add(test) == Some(records.len() as u64);
    (whole && u32::try_from(records.len()).is_ok()).then_some((contents, records))
}

impl Store for Packed {
    fn samples(&self) -> usize {
        self.records.len()
    }

    fn class(&self, image: usize) -> usize {
        self.records[image].class as usize
    }

    fn sides(&self, image: usize) -> Result<[usize; 2], ImageError> {
        let Record { height, width, .. } = self.records[image];
        Ok([height as usize, width as usize])
    }

    fn image(&self, image: usize) -> Result<(Rgb, Reads), ImageError> {
        let record = self.records[image];
        let failed = |reason: String, broken| ImageError { place: self.place(image), reason, broken };
        let mut pixels = vec![0; record.bytes() as usize];
        read_at(&self.file, &mut pixels, record.at).map_err(|error| failed(error.to_string(), false))?;
        if crc32fast::hash(&pixels) != record.checksum {
            return Err(failed("its pixels are damaged: their checksum is another".into(), true));
        }
        let reads = Reads { bytes: record.bytes(), decodes: 0 };
        Ok((Rgb { height: record.height as usize, width: record.width as usize, pixels }, reads))
    }

    fn place(&self, image: usize) -> String {
        format!("{}, image {image}, bytes from {}", self.path.display(), self.records[image].at)
    }

    fn content(&self, image: usize) -> Result<Vec<u8>, ImageError> {
        self.image(image).map(|(image, _)| image.pixels)
    }

    fn bytes(&self) -> u64 {
        self.records.iter().map(|record| record.bytes()).sum()
    }

    fn identity(&self, image: usize) -> Vec<u8> {
        self.records[image].to_bytes().to_vec()
    }

    fn identified(&self) -> &'static str {
        "labels, and sizes and checksums of images"
    }
}

/// Reads exactly, from a place: threads share an open file.
#[cfg(unix)]
fn read_at(file: &File, bytes: &mut [u8], at: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, at)
}

#[cfg(windows)]
fn read_at(file: &File, bytes: &mut [u8], at: u64) -> io::Result<()> {
    let mut done = 0;
    while done < bytes.len() {
        match std::os::windows::fs::FileExt::seek_read(file, &mut bytes[done..], at + done as u64)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            n => done += n,
        }
    }
    Ok(())
}
