//! `manifest.json`: identifies the run of a checkpoint and holds the checksums of its files.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Version of the format. Formats 1 and 2 were never released and are not read.
pub(super) const SCHEMA: u32 = 3;

/// The manifest of a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Version of the format.
    pub schema: u32,
    /// Steps done.
    pub step: u64,
    /// The run that the checkpoint belongs to.
    pub run: RunIdentity,
    /// Size and SHA-256 of every other file.
    pub files: BTreeMap<String, Fingerprint>,
    /// SHA-256 of this manifest as compact JSON, with this field empty.
    pub sha256: String,
}

/// What identifies a run. When a run is resumed, it is compared with the present data, configuration and log.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunIdentity {
    /// Fingerprint of the training data.
    pub data: String,
    /// Fingerprint of the evaluation data.
    pub evaluation: String,
    /// Keys and values, as text, of the configuration that decide results.
    pub config: BTreeMap<String, String>,
    /// Length of `metrics.jsonl`, in bytes.
    pub metrics: u64,
    /// SHA-256 of the first `metrics` bytes of `metrics.jsonl`.
    pub metrics_sha256: String,
}

/// Size and checksum of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fingerprint {
    /// Bytes.
    pub bytes: u64,
    /// SHA-256 in hexadecimal.
    pub sha256: String,
}

impl Fingerprint {
    /// The fingerprint of a file with this content.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let mut running = RunningFingerprint::default();
        running.update(bytes);
        running.fingerprint()
    }
}

/// The fingerprint of a file that grows, updated without reading the file again.
#[derive(Debug, Clone, Default)]
pub struct RunningFingerprint {
    bytes: u64,
    hash: Sha256,
}

impl RunningFingerprint {
    /// Adds appended bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        self.hash.update(bytes);
    }

    /// The fingerprint of all bytes so far.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        let sha256 = format!("{:x}", self.hash.clone().finalize());
        Fingerprint { bytes: self.bytes, sha256 }
    }
}

impl Manifest {
    pub(super) fn new<'a>(step: u64, run: &RunIdentity, files: impl Iterator<Item = (&'a str, &'a [u8])>) -> Self {
        let files = files.map(|(name, bytes)| (name.to_string(), Fingerprint::of(bytes))).collect();
        let mut manifest = Self { schema: SCHEMA, step, run: run.clone(), files, sha256: String::new() };
        manifest.sha256 = manifest.digest();
        manifest
    }

    /// The manifest as one line of JSON.
    pub(super) fn text(&self) -> Vec<u8> {
        let mut text = json(self);
        text.push(b'\n');
        text
    }

    /// Parses and checks the text.
    pub(super) fn parse(text: &[u8]) -> Result<Self, Unfit> {
        let json: serde_json::Value = read(text)?;
        match json.get("schema").and_then(serde_json::Value::as_u64) {
            // An earlier format that was released is migrated here, by an arm of its own.
            Some(found) if found != u64::from(SCHEMA) => Err(Unfit::Format(u32::try_from(found).unwrap_or(u32::MAX))),
            _ => {
                let manifest: Self = read(text)?;
                let reason = "its checksum does not match its content";
                if manifest.sha256 == manifest.digest() { Ok(manifest) } else { Err(Unfit::Broken(reason.into())) }
            }
        }
    }

    fn digest(&self) -> String {
        Fingerprint::of(&json(&Self { sha256: String::new(), ..self.clone() })).sha256
    }
}

/// Why a manifest cannot be used.
pub(super) enum Unfit {
    /// It has another format than this program's.
    Format(u32),
    /// It is damaged or not a manifest.
    Broken(String),
}

fn read<T: DeserializeOwned>(text: &[u8]) -> Result<T, Unfit> {
    serde_json::from_slice(text).map_err(|error| Unfit::Broken(error.to_string()))
}

fn json(manifest: &impl Serialize) -> Vec<u8> {
    // Numbers, text and maps with text keys always serialize.
    serde_json::to_vec(manifest).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_grows_with_its_file() {
        let mut running = RunningFingerprint::default();
        for part in [&b"ab"[..], b"", b"c"] {
            running.update(part);
        }
        // FIPS 180-2, appendix B.1.
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(running.fingerprint(), Fingerprint { bytes: 3, sha256: abc.into() });
        assert_eq!(Fingerprint::of(b"abc"), running.fingerprint());
    }

    /// A format that is not this program's is named by its number, whatever else the text holds.
    #[test]
    fn another_format_is_named() {
        for format in [0, 1, 2, SCHEMA + 1, u32::MAX] {
            let text = format!("{{\"schema\": {format}, \"of another time\": true}}");
            assert!(matches!(Manifest::parse(text.as_bytes()), Err(Unfit::Format(found)) if found == format));
        }
    }
}
