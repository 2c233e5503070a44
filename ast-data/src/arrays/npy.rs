//! Reads arrays of NumPy, alone or as members of an `.npz`.

use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use ast_core::data::{DataError, Remedy};
use npyz::{DType, NpyFile, Order, TypeChar};
use zip::ZipArchive;

/// No larger array is read.
const MOST_VALUES: u64 = 1 << 36;
/// As many classes can be told apart in a selection.
const LARGEST_LABEL: u16 = u16::MAX;
/// Images one after another, channels first.
pub(super) enum Values {
    Bytes(Vec<u8>),
    Floats(Vec<f32>),
}

impl Values {
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Bytes(_) => "bytes",
            Self::Floats(_) => "floats",
        }
    }

    pub(super) fn at(&self, place: usize) -> f64 {
        match self {
            Self::Bytes(values) => f64::from(values[place]) / 255.0,
            Self::Floats(values) => f64::from(values[place]),
        }
    }

    /// The smallest and the largest.
    pub(super) fn range(&self) -> [f64; 2] {
        let extend = |[least, most]: [f64; 2], place| [self.at(place).min(least), self.at(place).max(most)];
        (0..self.len()).fold([f64::INFINITY, f64::NEG_INFINITY], extend)
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Bytes(values) => values.len(),
            Self::Floats(values) => values.len(),
        }
    }
}

/// Reads an array with a function.
pub(super) fn alone<T>(file: &Path, read: impl Fn(&mut dyn Read) -> Result<T, String>) -> Result<T, ArrayError> {
    let wrong = |reason| ArrayError { file: file.to_path_buf(), reason };
    read(&mut open(file).map_err(|error| wrong(error.to_string()))?).map_err(wrong)
}

/// Reads an array of an `.npz` with a function.
pub(super) fn member<T>(
    file: &Path,
    name: &str,
    read: impl Fn(&mut dyn Read) -> Result<T, String>,
) -> Result<T, ArrayError> {
    let wrong = |reason| ArrayError { file: file.to_path_buf(), reason };
    let file = open(file).map_err(|error| wrong(error.to_string()))?;
    let mut archive = ZipArchive::new(file).map_err(|error| wrong(format!("it is not an .npz file: {error}")))?;
    let there: Vec<String> = archive.file_names().map(|name| name.trim_end_matches(".npy").to_string()).collect();
    if !there.iter().any(|found| found == name) {
        return Err(wrong(format!("there is no array `{name}`; there are: {}", there.join(", "))));
    }
    let mut array =
        archive.by_name(&format!("{name}.npy")).map_err(|error| wrong(format!("array `{name}`: {error}")))?;
    let wrong = |reason| wrong(format!("array `{name}`: {reason}"));
    let values = read(&mut array).map_err(wrong)?;
    // Where a member ends its checksum is compared.
    io::copy(&mut array, &mut io::sink()).map_err(|error| wrong(format!("it is damaged: {error}")))?;
    Ok(values)
}

/// Pipes and devices are refused before they are opened.
fn open(file: &Path) -> io::Result<BufReader<File>> {
    if !fs::metadata(file)?.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    Ok(BufReader::new(File::open(file)?))
}

/// Number of samples, `[channels, height, width]`, and the values, channels first.
pub(super) fn images(from: &mut dyn Read) -> Result<(usize, [usize; 3], Values), String> {
    let array = header(from)?;
    let dimensions: Vec<usize> = array.shape().iter().map(|side| *side as usize).collect();
    let few = |channels: usize| matches!(channels, 1 | 3 | 4);
    let (samples, sides, last) = match dimensions[..] {
        [samples, height, width] => (samples, [1, height, width], false),
        [samples, height, width, channels] if few(channels) => (samples, [channels, height, width], true),
        [samples, channels, height, width] if few(channels) => (samples, [channels, height, width], false),
        _ => {
            return Err(format!(
                "its shape is {dimensions:?}; images are [samples, height, width], or have 1, 3 or 4 channels last or second"
            ));
        }
    };
    if samples == 0 || sides.contains(&0) {
        return Err(format!("its shape is {dimensions:?}: there are no values"));
    }
    let values = match kind(&array)? {
        (TypeChar::Uint, 1) => Values::Bytes(channels_first(numbers::<u8, _>(array)?, sides, last)),
        (TypeChar::Float, 4) => Values::Floats(channels_first(numbers::<f32, _>(array)?, sides, last)),
        (TypeChar::Float, 8) => {
            let narrow = numbers::<f64, _>(array)?.into_iter().map(|value| value as f32).collect();
            Values::Floats(channels_first(narrow, sides, last))
        }
        _ => return Err(format!("its type is {}; images are uint8, float32 or float64", array.dtype().descr())),
    };
    if let Values::Floats(values) = &values
        && let Some(at) = values.iter().position(|value| !value.is_finite())
    {
        return Err(format!(
            "image {} has a value that is not finite: {}",
            at / sides.iter().product::<usize>(),
            values[at]
        ));
    }
    Ok((samples, sides, values))
}

pub(super) fn labels(from: &mut dyn Read) -> Result<Vec<u32>, String> {
    let array = header(from)?;
    if array.shape().len() != 1 {
        return Err(format!("its shape is {:?}; labels are [samples]", array.shape()));
    }
    let labels: Vec<i128> = match kind(&array)? {
        (TypeChar::Uint, 1) => numbers::<u8, _>(array)?.into_iter().map(Into::into).collect(),
        (TypeChar::Uint, 2) => numbers::<u16, _>(array)?.into_iter().map(Into::into).collect(),
        (TypeChar::Uint, 4) => numbers::<u32, _>(array)?.into_iter().map(Into::into).collect(),
        (TypeChar::Uint, 8) => numbers::<u64, _>(array)?.into_iter().map(Into::into).collect(),
        (TypeChar::Int, 1) => numbers::<i8, _>(array)?.into_iter().map(Into::into).collect(),
        (TypeChar::Int, 2) => numbers::<i16, _>(array)?.into_iter().map(Into::into).collect(),
        (TypeChar::Int, 4) => numbers::<i32, _>(array)?.into_iter().map(Into::into).collect(),
        (TypeChar::Int, 8) => numbers::<i64, _>(array)?.into_iter().map(Into::into).collect(),
        _ => return Err(format!("its type is {}; labels are integers", array.dtype().descr())),
    };
    let label = |(number, label): (usize, i128)| match u16::try_from(label) {
        Ok(label) => Ok(label.into()),
        Err(_) => Err(format!("label {label} of sample {number}; classes are integers from 0 to {LARGEST_LABEL}")),
    };
    labels.into_iter().enumerate().map(label).collect()
}

fn header(from: &mut dyn Read) -> Result<NpyFile<&mut dyn Read>, String> {
    let array = NpyFile::new(from).map_err(|error| format!("it is not an array of NumPy: {error}"))?;
    let length = array.shape().iter().try_fold(1_u64, |product, side| product.checked_mul(*side));
    if length.is_none_or(|length| length > MOST_VALUES) {
        return Err(format!("it claims to have the shape {:?}", array.shape()));
    }
    if array.order() == Order::Fortran && array.shape().len() > 1 {
        return Err("its axes are in Fortran's order; save `numpy.ascontiguousarray` of it".into());
    }
    Ok(array)
}

/// The type of the values, and their size in bytes.
fn kind<R: Read>(array: &NpyFile<R>) -> Result<(TypeChar, u64), String> {
    match array.dtype() {
        DType::Plain(plain) => Ok((plain.type_char(), plain.size_field())),
        other => Err(format!("its type is {}; it should have one number for each place", other.descr())),
    }
}

/// All values. Memory is taken as they come, whatever the header claims.
fn numbers<T: npyz::Deserialize, R: Read>(array: NpyFile<R>) -> Result<Vec<T>, String> {
    let expected = array.len();
    let mut values = Vec::new();
    for value in array.data::<T>().map_err(|error| error.to_string())? {
        values.push(value.map_err(|_| format!("it is cut off: {} of {expected} values are there", values.len()))?);
    }
    Ok(values)
}

/// From `[samples, height, width, channels]`, if the channels are last.
pub(super) fn channels_first<T: Copy>(values: Vec<T>, [channels, height, width]: [usize; 3], last: bool) -> Vec<T> {
    if !last || channels == 1 {
        return values;
    }
    let images = values.chunks_exact(channels * height * width);
    images.flat_map(|image| (0..channels).flat_map(|c| image[c..].iter().step_by(channels).copied())).collect()
}

/// An error while reading arrays.
#[derive(Debug, thiserror::Error)]
#[error("{}: {reason}", file.display())]
pub(super) struct ArrayError {
    pub(super) file: PathBuf,
    /// What is wrong, and with which array.
    pub(super) reason: String,
}

impl From<ArrayError> for DataError {
    fn from(error: ArrayError) -> Self {
        Self::Files { error: Box::new(error), remedy: Remedy::None }
    }
}
