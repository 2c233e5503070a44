//! The preprocessing in the metadata of a safetensors file, so that weights alone say what their network sees.
//!
//! Such a file begins with the length of its header (eight bytes, little-endian), then the header, as JSON: an entry for each
//! tensor, and `__metadata__`, whose values are texts. Places of tensors are counted from the end of the header.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use serde_json::{Map, Value};

use crate::codec::SnapshotError;
use crate::data::Preprocessing;

const METADATA: &str = "__metadata__";
/// The key of the preprocessing: JSON, as in `summary.json`.
const KEY: &str = "ast.preprocessing";
/// Bytes of the length of the header.
const LENGTH: usize = 8;
/// No longer header is read, as in the safetensors library.
const LONGEST: u64 = 100_000_000;

/// The same file with the preprocessing in its metadata. The same arguments give the same bytes.
///
/// # Errors
/// [`SnapshotError::Encode`] if it is no safetensors file.
pub(super) fn with_preprocessing(file: &[u8], preprocessing: &Preprocessing) -> Result<Vec<u8>, SnapshotError> {
    let failed = |error: &str| SnapshotError::Encode("weights", error.into());
    let text = serde_json::to_string(preprocessing).map_err(|error| failed(&error.to_string()))?;
    let begin = file.first_chunk().map_or(0, |length| u64::from_le_bytes(*length)) as usize;
    let header = file.get(LENGTH..).and_then(|rest| rest.get(..begin)).ok_or_else(|| failed("there is no header"))?;
    let mut header: Map<String, Value> = serde_json::from_slice(header).map_err(|error| failed(&error.to_string()))?;
    let metadata = header.entry(METADATA).or_insert_with(|| Value::Object(Map::new()));
    metadata[KEY] = text.into();
    let mut header = serde_json::to_vec(&header).map_err(|error| failed(&error.to_string()))?;
    // Tensors begin at a multiple of eight bytes.
    header.resize(header.len().next_multiple_of(LENGTH), b' ');
    Ok([&(header.len() as u64).to_le_bytes(), &header[..], &file[LENGTH + begin..]].concat())
}

/// The preprocessing in the metadata of a safetensors file; `None` if it has none, as a file of PyTorch, or is no such file.
///
/// # Errors
/// [`io::Error`] if the file cannot be read, or what is there is not a preprocessing.
pub fn preprocessing(file: &Path) -> io::Result<Option<Preprocessing>> {
    let mut file = File::open(file)?;
    let mut length = [0; LENGTH];
    if let Err(error) = file.read_exact(&mut length) {
        return if error.kind() == io::ErrorKind::UnexpectedEof { Ok(None) } else { Err(error) };
    }
    let length = u64::from_le_bytes(length);
    let mut header = Vec::new();
    file.take(length.min(LONGEST)).read_to_end(&mut header)?;
    let Ok(header) = serde_json::from_slice::<Value>(&header) else { return Ok(None) };
    let Some(text) = header.get(METADATA).and_then(|metadata| metadata.get(KEY)).and_then(Value::as_str) else {
        return Ok(None);
    };
    let wrong = |error| io::Error::new(io::ErrorKind::InvalidData, format!("`{KEY}` in its metadata: {error}"));
    serde_json::from_str(text).map(Some).map_err(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file of one tensor with four bytes.
    fn file(header: &str) -> Vec<u8> {
        [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &[1, 2, 3, 4]].concat()
    }

    #[test]
    fn what_is_put_in_is_found_and_the_tensors_stay() {
        let tensor = r#"{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"__metadata__":{"format":"pt"}}"#;
        let given = Preprocessing { mean: vec![0.1], class_names: vec!["\"a\"".into()], ..Preprocessing::default() };
        let with = with_preprocessing(&file(tensor), &given).unwrap();
        assert!(with.ends_with(&[1, 2, 3, 4]) && (with.len() - 4).is_multiple_of(8));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("w.safetensors");
        let found = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            preprocessing(&path)
        };
        assert_eq!(found(&with).unwrap(), Some(given.clone()));
        let header: Value = serde_json::from_slice(&with[8..with.len() - 4]).unwrap();
        assert_eq!((&header["__metadata__"]["format"], &header["w"]["shape"][0]), (&"pt".into(), &1.into()));
        for other in [&b""[..], b"text", &file(tensor), &file("{}"), &u64::MAX.to_le_bytes()] {
            assert_eq!(found(other).unwrap(), None);
        }
        assert!(found(&file(r#"{"__metadata__":{"ast.preprocessing":"{\"mean\": 1}"}}"#)).is_err());
        assert!(with_preprocessing(b"text", &given).is_err());
    }
}
