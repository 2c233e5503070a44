//! Where the images of a split are: one file each.

use std::fs::File;
use std::io::{self, Read};

use ast_core::data::Reads;
use ast_core::run::read_file;

use super::decode::{decode, sides};
use super::error::ImageError;
use super::index::{Found, Index};
use super::rgb::Rgb;

/// Bytes of a file in which its headers are looked for first.
const HEAD: u64 = 1 << 16;

/// The images of a split, wherever they are.
pub(super) trait Store: Send + Sync {
    fn samples(&self) -> usize;
    fn class(&self, image: usize) -> usize;
    /// Height and width of an image, from its headers.
    fn sides(&self, image: usize) -> Result<[usize; 2], ImageError>;
    /// Reads and decodes an image.
    fn image(&self, image: usize) -> Result<(Rgb, Reads), ImageError>;
    /// Where an image is: its file, and its place in a file of several.
    fn place(&self, image: usize) -> String;
    /// The bytes that an image is stored as.
    fn content(&self, image: usize) -> Result<Vec<u8>, ImageError>;
    /// The bytes that all images are stored as.
    fn bytes(&self) -> u64;
    /// What identifies an image without reading it.
    fn identity(&self, image: usize) -> Vec<u8>;
    /// What that is, in words.
    fn identified(&self) -> &'static str;
    /// What names an image whatever its content: its path within the folder.
    fn name(&self, _image: usize) -> Vec<u8> {
        Vec::new()
    }
    /// Files that were passed over, in words.
    fn remark(&self) -> Option<String> {
        None
    }
}

/// Images in files of a folder.
pub(super) struct Files(pub(super) Index);

impl Files {
    /// The bytes of an image file, which must be as long as when it was listed.
    pub(super) fn read(&self, image: usize) -> Result<Vec<u8>, ImageError> {
        let Found { path, bytes, .. } = self.0.found(image);
        let place = self.place(image);
        let failed = |error: io::Error| ImageError { place: place.clone(), reason: error.to_string(), broken: false };
        let file = read_file(&path, bytes).map_err(failed)?;
        match file.filter(|file| file.len() as u64 == bytes) {
            Some(file) => Ok(file),
            None => {
                let reason = format!("the file had {bytes} bytes when it was listed, and now has another size");
                Err(ImageError { place, reason, broken: true })
            }
        }
    }
}

impl Store for Files {
    fn samples(&self) -> usize {
        self.0.len()
    }

    fn class(&self, image: usize) -> usize {
        self.0.class(image)
    }

    fn sides(&self, image: usize) -> Result<[usize; 2], ImageError> {
        let Found { path, bytes, .. } = self.0.found(image);
        let wrong = |reason: String, broken| ImageError { place: self.place(image), reason, broken };
        let read = |most: u64| {
            let mut bytes = Vec::new();
            let read = File::open(&path).and_then(|file| file.take(most).read_to_end(&mut bytes));
            read.map(|_| bytes).map_err(|error| wrong(error.to_string(), false))
        };
        let found = match sides(&read(HEAD)?) {
            Err(_) if bytes > HEAD => sides(&read(bytes)?),
            found => found,
        };
        found.map_err(|reason| wrong(reason, true))
    }

    fn image(&self, image: usize) -> Result<(Rgb, Reads), ImageError> {
        let file = self.read(image)?;
        let broken = |reason| ImageError { place: self.place(image), reason, broken: true };
        let reads = Reads { bytes: file.len() as u64, decodes: 1 };
        Ok((decode(&file).map_err(broken)?, reads))
    }

    fn place(&self, image: usize) -> String {
        self.0.found(image).path.display().to_string()
    }

    fn content(&self, image: usize) -> Result<Vec<u8>, ImageError> {
        self.read(image)
    }

    fn bytes(&self) -> u64 {
        self.0.bytes()
    }

    fn identity(&self, image: usize) -> Vec<u8> {
        self.0.identity(image)
    }

    fn identified(&self) -> &'static str {
        "labels, paths, sizes and times of files"
    }

    fn name(&self, image: usize) -> Vec<u8> {
        self.0.path_within(image)
    }

    fn remark(&self) -> Option<String> {
        self.0.passed_over()
    }
}
