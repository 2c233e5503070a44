//! CIFAR-10's Python version: six pickled dictionaries, each with `data`, 10,000 rows of 3,072 bytes as a numpy array, and
//! `labels`, a list of as many numbers. The same bytes in the same order as the binary version's.

use std::path::Path;

use crate::cifar10::CifarError;
use crate::cifar10::{Batch, CLASSES, RECORD};
use crate::pickle::{Class, Nonsense, Value, parse};

const PIXELS: usize = RECORD - 1;

impl Batch {
    /// What the pickle `bytes` holds, which must be `records` images.
    pub(crate) fn add_pickle(&mut self, file: &Path, bytes: &[u8], records: usize) -> Result<(), CifarError> {
        let broken = |Nonsense { offset, reason }| CifarError::Pickle { file: file.to_path_buf(), offset, reason };
        // What is wrong with the whole has its place at the end, where the whole is known.
        let wrong = |reason| broken(Nonsense { offset: bytes.len(), reason });
        let value = parse(bytes).map_err(broken)?;
        let labels = labels(&value, records).map_err(wrong)?;
        let pixels = entry(&value, "data").and_then(array).map_err(wrong)?;
        if pixels.shape != [records as i64, PIXELS as i64] || pixels.bytes.len() != records * PIXELS {
            let (shape, length) = (pixels.shape, pixels.bytes.len());
            return Err(wrong(format!(
                "`data` of shape {shape:?} with {length} bytes instead of [{records}, {PIXELS}]"
            )));
        }
        self.labels.extend(labels);
        self.pixels.extend_from_slice(pixels.bytes);
        Ok(())
    }
}

fn entry<'a, 'b>(value: &'a Value<'b>, name: &str) -> Result<&'a Value<'b>, String> {
    let Value::Dict(entries) = value else { return Err("it holds no dictionary".into()) };
    let named = |key: &Value<'_>| matches!(key, Value::Text(text) | Value::Bytes(text) if **text == *name.as_bytes());
    // As in Python, the last of several.
    let found = entries.iter().rev().find(|(key, _)| named(key)).map(|(_, value)| value);
    found.ok_or_else(|| format!("its dictionary has no `{name}`"))
}

fn labels(value: &Value<'_>, records: usize) -> Result<Vec<u8>, String> {
    let Value::List(list) = entry(value, "labels")? else { return Err("its `labels` are no list".into()) };
    if list.len() != records {
        return Err(format!("{} labels instead of {records}", list.len()));
    }
    let label = |(index, label): (usize, &Value<'_>)| match label {
        Value::Int(label) if (0..i64::from(CLASSES)).contains(label) => Ok(*label as u8),
        Value::Int(label) => Err(format!("label {label} of image {index}, expected 0 to 9")),
        _ => Err(format!("the label of image {index} is no integer")),
    };
    list.iter().enumerate().map(label).collect()
}

struct Array<'a> {
    shape: Vec<i64>,
    bytes: &'a [u8],
}

/// What numpy makes of an array of bytes, in its two ways.
fn array<'a>(value: &'a Value<'_>) -> Result<Array<'a>, String> {
    let (shape, kind, in_order, bytes) = match value {
        Value::Object(Class::Reconstruct, _, Some(state)) => match state.as_ref() {
            Value::Tuple(state) => match state.as_slice() {
                [Value::Int(_), shape, kind, Value::Bool(fortran), bytes] => (shape, kind, !fortran, bytes),
                _ => return Err("its `data` are an array in an unknown form".into()),
            },
            _ => return Err("its `data` are an array in an unknown form".into()),
        },
        Value::Object(Class::FromBuffer, arguments, None) => match arguments.as_slice() {
            [bytes, kind, shape, Value::Text(order)] => (shape, kind, order.as_ref() == b"C", bytes),
            _ => return Err("its `data` are an array in an unknown form".into()),
        },
        _ => return Err("its `data` are no numpy array".into()),
    };
    if !in_order {
        return Err("its `data` are in Fortran's order".into());
    }
    match kind {
        Value::Object(Class::Type, arguments, _) if matches!(arguments.first(), Some(Value::Text(code)) if code.as_ref() == b"u1") =>
            {}
        _ => return Err("its `data` are not of type uint8".into()),
    }
    let number = |value: &Value<'_>| if let Value::Int(number) = value { Some(*number) } else { None };
    let Value::Tuple(sides) = shape else { return Err("its `data` have no shape".into()) };
    let shape = sides.iter().map(number).collect::<Option<Vec<_>>>().ok_or("its `data` have no shape")?;
    // A string of Python 2 is bytes.
    let (Value::Bytes(bytes) | Value::Text(bytes)) = bytes else { return Err("its `data` have no bytes".into()) };
    Ok(Array { shape, bytes })
}
