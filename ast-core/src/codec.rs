//! Exact serialization: values to bytes and back, for the saved state of policies, networks and runs.

use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

/// Why a snapshot could not be taken or restored.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// A part could not be encoded.
    #[error("cannot take a snapshot of the {0}: {1}")]
    Encode(&'static str, String),
    /// The bytes of a part cannot be decoded.
    #[error("the {0} in the snapshot cannot be read: {1}")]
    Decode(&'static str, String),
    /// The part was saved by an object that was made with other arguments.
    #[error("the {part} in the snapshot was made for {found}; this one is for {expected}")]
    Other {
        /// Which part.
        part: &'static str,
        /// What it should be made for.
        expected: String,
        /// What it was made for.
        found: String,
    },
    /// The snapshot is of a dataset of another size.
    #[error("the snapshot is of {found} samples, the dataset has {expected}")]
    Samples {
        /// Number of samples of the dataset.
        expected: usize,
        /// Number of samples in the snapshot.
        found: usize,
    },
}

/// Encodes a value. Every number survives exactly, except the payload of a NaN.
///
/// # Errors
/// [`SnapshotError::Encode`].
pub fn encode<T: Serialize>(part: &'static str, value: &T) -> Result<Vec<u8>, SnapshotError> {
    let mut bytes = Vec::new();
    ciborium::into_writer(value, &mut bytes).map_err(|error| SnapshotError::Encode(part, error.to_string()))?;
    Ok(bytes)
}

/// Decodes what [`encode`] wrote.
///
/// # Errors
/// [`SnapshotError::Decode`].
pub fn decode<T: DeserializeOwned>(part: &'static str, bytes: &[u8]) -> Result<T, SnapshotError> {
    ciborium::from_reader(bytes).map_err(|error| SnapshotError::Decode(part, error.to_string()))
}

/// Prepends a checksum (SHA-256) to `bytes`, so that damage is detected.
#[must_use]
pub fn seal(bytes: &[u8]) -> Vec<u8> {
    [Sha256::digest(bytes).as_slice(), bytes].concat()
}

/// Checks the checksum that [`seal`] prepended and returns the bytes after it.
///
/// # Errors
/// [`SnapshotError::Decode`] if the bytes are damaged, incomplete or not sealed.
pub fn unseal<'a>(part: &'static str, sealed: &'a [u8]) -> Result<&'a [u8], SnapshotError> {
    match sealed.split_at_checked(Sha256::output_size()) {
        Some((checksum, bytes)) if Sha256::digest(bytes).as_slice() == checksum => Ok(bytes),
        _ => Err(SnapshotError::Decode(part, "these bytes are damaged, cut short, or something else".into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_damage_is_detected() {
        let sealed = seal(b"selector");
        assert_eq!(unseal("test", &sealed).unwrap(), b"selector");
        for i in 0..sealed.len() {
            let mut broken = sealed.clone();
            broken[i] ^= 1;
            assert!(unseal("test", &broken).is_err());
            assert!(unseal("test", &sealed[..i]).is_err());
        }
        assert!(unseal("test", &[sealed, vec![0]].concat()).is_err());
    }

    proptest! {
        /// Finite and infinite floats, subnormal ones included, survive bit for bit.
        #[test]
        fn floats_survive(bits in prop::collection::vec(any::<u32>(), 0..50), wide in prop::collection::vec(any::<u64>(), 0..50)) {
            let narrow: Vec<f32> = bits.into_iter().map(f32::from_bits).filter(|x| !x.is_nan()).collect();
            let wide: Vec<f64> = wide.into_iter().map(f64::from_bits).filter(|x| !x.is_nan()).collect();
            let back: (Vec<f32>, Vec<f64>) = decode("test", &encode("test", &(&narrow, &wide)).unwrap()).unwrap();
            prop_assert!(back.0.iter().zip(&narrow).all(|(a, b)| a.to_bits() == b.to_bits()) && back.0.len() == narrow.len());
            prop_assert!(back.1.iter().zip(&wide).all(|(a, b)| a.to_bits() == b.to_bits()) && back.1.len() == wide.len());
        }
    }
}
