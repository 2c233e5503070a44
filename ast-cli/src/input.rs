//! Reads files named by the user.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use crate::failure::{Failure, Kind};

/// The content of a file of at most `largest` bytes. A larger one is a failure of kind `wrong`; `so` ends its message.
pub(crate) fn read(file: &Path, largest: u64, wrong: Kind, so: &str) -> Result<Vec<u8>, Failure> {
    let origin = file.display();
    let cannot = |error: io::Error| Failure::new(Kind::Io, format!("cannot read {origin}: {error}"));
    if !fs::metadata(file).map_err(cannot)?.is_file() {
        // Reading a pipe would block, and a device has no end.
        return Err(Failure::new(Kind::Io, format!("cannot read {origin}: it is not a file")));
    }
    let mut bytes = Vec::new();
    File::open(file).and_then(|file| file.take(largest + 1).read_to_end(&mut bytes)).map_err(cannot)?;
    match bytes.len() as u64 > largest {
        true => Err(Failure::new(wrong, format!("{origin}: more than {largest} bytes{so}"))),
        false => Ok(bytes),
    }
}
