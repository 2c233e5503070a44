//! Reads files named by the user.

use std::path::Path;

use ast_core::run::read_file;

use crate::failure::{Failure, Kind};

/// The content of a file of at most `largest` bytes. A larger one is a failure of kind `wrong`; `so` ends its message.
pub(crate) fn read(file: &Path, largest: u64, wrong: Kind, so: &str) -> Result<Vec<u8>, Failure> {
    let origin = file.display();
    let read = read_file(file, largest);
    let bytes = read.map_err(|error| Failure::new(Kind::Io, format!("cannot read {origin}: {error}")))?;
    bytes.ok_or_else(|| Failure::new(wrong, format!("{origin}: more than {largest} bytes{so}")))
}
