//! IDX, the format of MNIST's files (<http://yann.lecun.com/exdb/mnist/>).
//!
//! Two zero bytes, the type of the values (8: unsigned bytes), the number of dimensions, each dimension in four bytes,
//! the highest first, then the values. The file may be packed by gzip.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use ast_core::run::read_file;
use flate2::read::MultiGzDecoder;

/// No published file of this kind has a fifth of it.
const MOST: u64 = 1 << 30;
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Values in `D` dimensions, row-major.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Idx<const D: usize> {
    pub(crate) sides: [usize; D],
    pub(crate) values: Vec<u8>,
}

/// An error while reading a file.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IdxError {
    /// The file could not be read.
    #[error("{}: {source}", file.display())]
    Io {
        /// The file.
        file: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// It is not what its name says.
    #[error("{}: {reason}", file.display())]
    Malformed {
        /// The file.
        file: PathBuf,
        /// What is wrong, and where.
        reason: String,
    },
}

/// Reads a file with `D` dimensions, packed or not.
///
/// # Errors
/// [`IdxError`].
pub(crate) fn read<const D: usize>(file: &Path) -> Result<Idx<D>, IdxError> {
    let io = |source| IdxError::Io { file: file.to_path_buf(), source };
    let malformed = |reason| IdxError::Malformed { file: file.to_path_buf(), reason };
    let stored = read_file(file, MOST).map_err(io)?;
    let stored =
        stored.ok_or_else(|| malformed(format!("more than {MOST} bytes: it is not a file of MNIST's kind")))?;
    if !stored.starts_with(&GZIP) {
        return parse(&mut stored.as_slice()).map_err(malformed);
    }
    parse(&mut MultiGzDecoder::new(stored.as_slice())).map_err(|reason| malformed(format!("unpacked: {reason}")))
}

fn parse<const D: usize>(from: &mut dyn Read) -> Result<Idx<D>, String> {
    let start = take(from, 4)?;
    if start[..3] != [0, 0, 8] {
        return Err(format!("it begins with {start:?}, not with [0, 0, 8, {D}]: it is not IDX with unsigned bytes"));
    }
    if usize::from(start[3]) != D {
        return Err(format!("{} dimensions instead of {D}, at byte 3", start[3]));
    }
    let mut sides = [0; D];
    for side in &mut sides {
        let bytes = take(from, 4)?;
        *side = u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) as usize;
    }
    let length = sides.iter().try_fold(1_u64, |product, side| product.checked_mul(*side as u64));
    let length =
        length.filter(|length| *length <= MOST).ok_or_else(|| format!("it claims to hold {sides:?} values"))?;
    let values = take(from, length)?;
    match from.take(1).read_to_end(&mut Vec::new()).map_err(|error| error.to_string())? {
        0 => Ok(Idx { sides, values }),
        _ => Err(format!("there is more after byte {}, where {sides:?} values end", 4 + 4 * D as u64 + length)),
    }
}

/// The next bytes. Memory is taken as they come, whatever the file claims.
fn take(from: &mut dyn Read, length: u64) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    from.take(length).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    match bytes.len() as u64 == length {
        true => Ok(bytes),
        false => Err(format!("it is cut off: {} of {length} bytes are there", bytes.len())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::io::Write;

    /// Two images of 2 x 3 pixels, as the format's description has them.
    const GOOD: [u8; 28] = [0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn of(bytes: &[u8]) -> Result<Idx<3>, String> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("images");
        std::fs::write(&file, bytes).unwrap();
        read(&file).map_err(|error| {
            let message = error.to_string();
            message.strip_prefix(&format!("{}: ", file.display())).expect("the file is named").to_string()
        })
    }

    #[test]
    fn reads_packed_and_unpacked() {
        let expected = Idx { sides: [2, 2, 3], values: (1..=12).collect() };
        assert_eq!(of(&GOOD).unwrap(), expected);
        assert_eq!(of(&packed(&GOOD)).unwrap(), expected);
        // Several parts one after another are one file (RFC 1952, 2.2).
        assert_eq!(of(&[packed(&GOOD[..9]), packed(&GOOD[9..])].concat()).unwrap(), expected);
    }

    #[test]
    fn every_cut_is_refused() {
        let whole = packed(&GOOD);
        (0..GOOD.len()).for_each(|cut| assert!(of(&GOOD[..cut]).is_err(), "{cut}"));
        (0..whole.len()).for_each(|cut| assert!(of(&whole[..cut]).is_err(), "packed, {cut}"));
        assert_eq!(of(&GOOD[..20]).unwrap_err(), "it is cut off: 4 of 12 bytes are there");
    }

    #[test]
    fn what_is_wrong_is_said() {
        let with = |at: usize, byte| {
            let mut bytes = GOOD;
            bytes[at] = byte;
            of(&bytes).unwrap_err()
        };
        assert!(with(0, b'<').contains("it is not IDX"));
        assert!(with(2, 13).contains("unsigned bytes"), "floats");
        assert_eq!(with(3, 1), "1 dimensions instead of 3, at byte 3");
        assert!(with(4, 255).contains("cut off") || with(4, 255).contains("it claims"));
        assert!(of(&[&[0, 0, 8, 3], &[255; 12][..]].concat()).unwrap_err().contains("it claims to hold"));
        assert_eq!(
            of(&[&GOOD[..], &[0]].concat()).unwrap_err(),
            "there is more after byte 28, where [2, 2, 3] values end"
        );
        assert!(of(&packed(&[&GOOD[..], &[0]].concat())).unwrap_err().starts_with("unpacked: there is more"));
        assert!(of(b"<html>404</html>").unwrap_err().contains("it is not IDX"));
    }

    /// A file that claims a gigabyte of values and holds none takes no memory.
    #[test]
    fn a_claim_is_not_believed() {
        assert!(of(&[0, 0, 8, 3, 0, 0, 4, 0, 0, 0, 4, 0, 0, 0, 4, 0]).unwrap_err().contains("cut off"));
    }

    #[test]
    fn a_folder_is_not_a_file() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(read::<1>(dir.path()), Err(IdxError::Io { .. })));
        assert!(matches!(read::<1>(&dir.path().join("nowhere")), Err(IdxError::Io { .. })));
    }
}
