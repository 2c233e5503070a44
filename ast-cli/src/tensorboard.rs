//! Event files of TensorBoard: records of length, checksum and a protocol buffer `Event`, written by hand, because no kept
//! crate does (tensorflow/core/lib/io/record_writer.h, tensorflow/core/util/event.proto).

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use ast_core::run::Event;

use crate::failure::{Failure, Kind};

/// Where the files of a run are.
pub(crate) const FOLDER: &str = "tensorboard";

/// An open event file. A resumed run writes another one, as TensorBoard expects.
pub(crate) struct EventFile(File);

impl EventFile {
    /// A new file in the folder of a run.
    pub(crate) fn create(run: &Path) -> Result<Self, Failure> {
        let folder = run.join(FOLDER);
        let cannot = |error| Failure::new(Kind::Create, format!("cannot write into {}: {error}", folder.display()));
        fs::create_dir_all(&folder).map_err(cannot)?;
        let name = format!("events.out.tfevents.{:010}.ast.{}", now().as_secs(), std::process::id());
        let mut file = Self(File::create(folder.join(name)).map_err(cannot)?);
        file.record(&[double(1, now().as_secs_f64()), bytes(3, b"brain.Event:2")].concat()).map_err(cannot)?;
        Ok(file)
    }

    /// Writes what an event says in numbers.
    pub(crate) fn write(&mut self, event: &Event) -> io::Result<()> {
        let (step, values) = match event {
            Event::Step(step) => {
                let control = step.control;
                let values = [
                    ("train/loss", Some(step.loss)),
                    ("train/accuracy", Some(step.accuracy)),
                    ("train/learning_rate", Some(step.lr)),
                    ("selection/activation", Some(step.activation)),
                    ("selection/target", Some(control.target)),
                    ("selection/rate", control.rate),
                    ("selection/threshold", control.threshold),
                    ("selection/by_significance", step.selected),
                    ("epoch", Some(step.epoch)),
                ];
                (step.step, values.to_vec())
            }
            Event::Evaluated { step, accuracy, loss, tta, .. } => {
                let values = [("test/accuracy", Some(*accuracy)), ("test/loss", Some(*loss)), ("test/tta", *tta)];
                (*step, values.to_vec())
            }
            _ => return Ok(()),
        };
        let value = |(tag, value): (&str, f64)| bytes(1, &[bytes(1, tag.as_bytes()), float(2, value as f32)].concat());
        let known = values.into_iter().filter_map(|(tag, number)| Some((tag, number?)));
        let summary: Vec<u8> = known.flat_map(value).collect();
        self.record(&[double(1, now().as_secs_f64()), integer(2, step), bytes(5, &summary)].concat())
    }

    fn record(&mut self, data: &[u8]) -> io::Result<()> {
        self.0.write_all(&framed(data))
    }
}

fn now() -> std::time::Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// A record: its length, the masked checksum of that, the data, and its masked checksum.
fn framed(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    [&length[..], &masked(&length), data, &masked(data)].concat()
}

/// CRC-32C, rotated by 15 bits, plus a constant.
fn masked(data: &[u8]) -> [u8; 4] {
    crc32c::crc32c(data).rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes()
}

fn key(field: u8, kind: u8) -> u8 {
    field << 3 | kind
}

fn double(field: u8, value: f64) -> Vec<u8> {
    [&[key(field, 1)], &value.to_le_bytes()[..]].concat()
}

fn float(field: u8, value: f32) -> Vec<u8> {
    [&[key(field, 5)], &value.to_le_bytes()[..]].concat()
}

fn integer(field: u8, value: u64) -> Vec<u8> {
    [vec![key(field, 0)], varint(value)].concat()
}

fn bytes(field: u8, value: &[u8]) -> Vec<u8> {
    [vec![key(field, 2)], varint(value.len() as u64), value.to_vec()].concat()
}

/// Seven bits a byte, the lowest first; the top bit says that another follows.
fn varint(mut value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From the documentation of protocol buffers (150), and the check value of CRC-32C for `123456789`, 0xe3069283.
    #[test]
    fn numbers_and_checksums_are_encoded_as_published() {
        assert_eq!(integer(1, 150), [0x08, 0x96, 0x01]);
        assert_eq!(bytes(2, b"testing"), *b"\x12\x07testing");
        assert_eq!(crc32c::crc32c(b"123456789"), 0xe306_9283);
        let mask = 0xe306_9283_u32.rotate_right(15).wrapping_add(0xa282_ead8);
        assert_eq!(masked(b"123456789"), mask.to_le_bytes());
        assert_eq!(framed(b"abc").len(), 8 + 4 + 3 + 4);
    }
}
