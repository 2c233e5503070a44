//! The rows of Parquet files.

use std::fs::File;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use ast_core::data::Reads;
use parquet::basic::Type;
use parquet::column::reader::get_typed_column_reader;
use parquet::data_type::{ByteArray, ByteArrayType, DataType, Int32Type, Int64Type};
use parquet::file::metadata::FileMetaData;
use parquet::file::reader::{FileReader, RowGroupReader, SerializedFileReader};
use serde_json::Value;

use super::super::decode::{decode, sides};
use super::super::error::{FolderError, ImageError};
use super::super::rgb::Rgb;
use super::super::store::Store;
use super::super::{Opened, differ};
use super::Shards;

/// Classes without names that are told apart.
const MOST_CLASSES: i64 = 65_536;

/// Reads all files.
pub(super) fn open(shards: &Shards) -> Result<Opened, FolderError> {
    let read = |files: &[PathBuf]| files.iter().map(|file| read(file)).collect::<Result<Vec<_>, _>>();
    let (train, test) = (read(&shards.train)?, read(&shards.test)?);
    let classes = classes(&train)?;
    differ(&train[0].file, &classes)?;
    let train = Rows::of(train, &classes)?;
    let test = (!test.is_empty()).then(|| Rows::of(test, &classes)).transpose()?;
    Ok(Opened::of(classes, train, test))
}

/// Reads a file. The reader panics on some damaged ones.
fn read(file: &Path) -> Result<Table, FolderError> {
    catch_unwind(|| Table::read(file)).unwrap_or_else(|_| Err(FolderError::new(file, "it is damaged")))
}

/// What a file holds.
struct Table {
    file: PathBuf,
    /// The encoded images.
    images: Vec<ByteArray>,
    /// Their classes.
    labels: Labels,
    /// The names of classes that are numbers, as the `datasets` library writes them.
    names: Option<Vec<String>>,
}

enum Labels {
    Numbers(Vec<i64>),
    Words(Vec<String>),
}

impl Table {
    fn read(file: &Path) -> Result<Self, FolderError> {
        let wrong = |reason: String| FolderError::new(file, reason);
        let open = File::open(file).map_err(|error| wrong(error.to_string()))?;
        let reader =
            SerializedFileReader::new(open).map_err(|error| wrong(format!("it is no Parquet file: {error}")))?;
        let columns = Columns::of(reader.metadata().file_metadata()).map_err(wrong)?;
        let (mut images, mut labels) = (Vec::new(), columns.no_labels());
        for group in 0..reader.num_row_groups() {
            let mut add = || {
                let group = reader.get_row_group(group).map_err(|error| error.to_string())?;
                let first = images.len();
                images.extend(values::<ByteArrayType>(group.as_ref(), columns.image, (first, "image"))?);
                columns.labels(group.as_ref(), first, &mut labels)
            };
            add().map_err(|reason| wrong(format!("it cannot be read: {reason}")))?;
        }
        if images.is_empty() {
            return Err(wrong("there are no images in it".into()));
        }
        Ok(Self { file: file.to_path_buf(), images, labels, names: columns.names })
    }
}

/// Which columns of a file are read.
struct Columns {
    image: usize,
    label: usize,
    kind: Type,
    names: Option<Vec<String>>,
}

impl Columns {
    fn of(file: &FileMetaData) -> Result<Self, String> {
        // What the `datasets` library says of the columns.
        let about = file.key_value_metadata().into_iter().flatten().find(|pair| pair.key == "huggingface");
        let about: Option<Value> = about.and_then(|pair| serde_json::from_str(pair.value.as_ref()?).ok());
        let features = about.as_ref().and_then(|about| about.pointer("/info/features"));
        let is = |column: &str, kind: &str| {
            features
                .and_then(|features| features.get(column)?.get("_type")?.as_str())
                .is_some_and(|found| found == kind)
        };
        let leaves = file.schema_descr().columns().iter().enumerate();
        let leaves: Vec<_> = leaves.filter(|(_, leaf)| leaf.max_rep_level() == 0).collect();

        let bytes = leaves.iter().filter_map(|(at, leaf)| match leaf.path().parts() {
            [column, part] if part == "bytes" && leaf.physical_type() == Type::BYTE_ARRAY => Some((*at, column)),
            _ => None,
        });
        let image = bytes.into_iter().find(|(_, column)| features.is_none() || is(column, "Image"));
        let (image, _) = image.ok_or("it has no column of images, each a structure of `bytes` and `path`")?;

        let labels = leaves.iter().filter_map(|(at, leaf)| match leaf.path().parts() {
            [column] => Some((*at, column, leaf.physical_type())),
            _ => None,
        });
        let labels = labels.filter(|(.., kind)| matches!(kind, Type::INT32 | Type::INT64 | Type::BYTE_ARRAY));
        // The first of several labels is the finest, by habit. The smallest key wins, and of equal ones the first.
        let rank = |column: &str| match (is(column, "ClassLabel"), column == "label") {
            (true, true) => Some(0),
            (true, false) => Some(1),
            (false, true) => Some(2),
            (false, false) => None,
        };
        let label = labels.filter_map(|label| Some((rank(label.1)?, label))).min_by_key(|(rank, _)| *rank);
        let none = || {
            let all: Vec<String> = leaves.iter().map(|(_, leaf)| leaf.path().string()).collect();
            format!(
                "it has no column of classes, called `label` or of the kind `ClassLabel`; its columns are {}",
                all.join(", ")
            )
        };
        let (_, (label, column, kind)) = label.ok_or_else(none)?;
        let names = features.and_then(|features| features.get(column)?.get("names")?.as_array());
        let names = names.and_then(|names| names.iter().map(|name| name.as_str().map(str::to_owned)).collect());
        Ok(Self { image, label, kind, names })
    }

    fn no_labels(&self) -> Labels {
        match self.kind {
            Type::BYTE_ARRAY => Labels::Words(Vec::new()),
            _ => Labels::Numbers(Vec::new()),
        }
    }

    /// Adds the labels of a group of rows, the first of which is row `first`.
    fn labels(&self, group: &dyn RowGroupReader, first: usize, labels: &mut Labels) -> Result<(), String> {
        let place = (first, "label");
        match labels {
            Labels::Numbers(numbers) if self.kind == Type::INT32 => {
                numbers.extend(values::<Int32Type>(group, self.label, place)?.into_iter().map(i64::from));
            }
            Labels::Numbers(numbers) => numbers.extend(values::<Int64Type>(group, self.label, place)?),
            Labels::Words(words) => {
                for word in values::<ByteArrayType>(group, self.label, place)? {
                    let word = word.as_utf8().map_err(|_| format!("the label of row {} is no text", words.len()))?;
                    words.push(word.to_owned());
                }
            }
        }
        Ok(())
    }
}

/// The values of a column in a group of rows, one for each row. A row without one is an error: row `first` is the group's
/// first, and the values are called `what`.
fn values<T: DataType>(
    group: &dyn RowGroupReader,
    column: usize,
    (first, what): (usize, &str),
) -> Result<Vec<T::T>, String> {
    let rows = usize::try_from(group.metadata().num_rows()).map_err(|error| error.to_string())?;
    let reader = group.get_column_reader(column).map_err(|error| error.to_string())?;
    let mut reader = get_typed_column_reader::<T>(reader);
    let there = group.metadata().column(column).column_descr().max_def_level();
    let (mut levels, mut values, mut read) = (Vec::new(), Vec::new(), 0);
    while read < rows {
        let more = reader.read_records(rows - read, Some(&mut levels), None, &mut values);
        match more.map_err(|error| error.to_string())? {
            (0, ..) => return Err(format!("{rows} rows are announced, and there are {read}")),
            (more, ..) => read += more,
        }
    }
    match levels.iter().position(|level| *level < there) {
        Some(row) => Err(format!("row {} has no {what}", first + row)),
        None if values.len() != rows => {
            Err(format!("{rows} rows are announced, and there are {} values", values.len()))
        }
        None => Ok(values),
    }
}

/// The names of the classes.
fn classes(train: &[Table]) -> Result<Vec<String>, FolderError> {
    if let Some(names) = train.iter().find_map(|table| table.names.clone()) {
        return Ok(names);
    }
    let (mut most, mut names) = (-1, std::collections::BTreeSet::new());
    for table in train {
        match &table.labels {
            Labels::Numbers(numbers) => most = most.max(numbers.iter().copied().max().unwrap_or(-1)),
            Labels::Words(words) => names.extend(words.iter().cloned()),
        }
    }
    if most >= MOST_CLASSES {
        return Err(FolderError::new(&train[0].file, format!("a label is {most}: that is no class")));
    }
    Ok(if most < 0 { names.into_iter().collect() } else { (0..=most).map(|number| number.to_string()).collect() })
}

/// The images of a split, encoded.
struct Rows {
    /// Each file, and the number of its first image.
    files: Vec<(PathBuf, usize)>,
    images: Vec<ByteArray>,
    classes: Vec<u32>,
}

impl Rows {
    fn of(tables: Vec<Table>, classes: &[String]) -> Result<Self, FolderError> {
        let mut rows = Self { files: Vec::new(), images: Vec::new(), classes: Vec::new() };
        for Table { file, images, labels, names } in tables {
            if names.is_some_and(|names| names != classes) {
                return Err(FolderError::new(&file, "its classes have other names than those of the first file"));
            }
            let wrong = |row: usize, reason: String| FolderError::new(&file, format!("row {row} {reason}"));
            let number = |(row, number): (usize, i64)| match usize::try_from(number) {
                Ok(number) if number < classes.len() => Ok(number as u32),
                _ => Err(wrong(row, format!("has no class: its label is {number}"))),
            };
            let word = |(row, word): (usize, String)| match classes.binary_search(&word) {
                Ok(number) => Ok(number as u32),
                Err(_) => Err(wrong(row, format!("is of the class `{word}`, which no training image is of"))),
            };
            let numbers: Vec<u32> = match labels {
                Labels::Numbers(numbers) => numbers.into_iter().enumerate().map(number).collect::<Result<_, _>>()?,
                Labels::Words(words) => words.into_iter().enumerate().map(word).collect::<Result<_, _>>()?,
            };
            rows.files.push((file, rows.images.len()));
            rows.images.extend(images);
            rows.classes.extend(numbers);
        }
        match u32::try_from(rows.images.len()) {
            Ok(_) => Ok(rows),
            Err(_) => Err(FolderError::new(&rows.files[0].0, "there are more images than can be numbered")),
        }
    }

    fn broken(&self, image: usize, reason: String) -> ImageError {
        ImageError { place: self.place(image), reason, broken: true }
    }
}

impl Store for Rows {
    fn samples(&self) -> usize {
        self.images.len()
    }

    fn class(&self, image: usize) -> usize {
        self.classes[image] as usize
    }

    fn image(&self, image: usize) -> Result<(Rgb, Reads), ImageError> {
        let decoded = decode(self.images[image].data()).map_err(|reason| self.broken(image, reason))?;
        // The bytes were read at the start.
        Ok((decoded, Reads { bytes: 0, decodes: 1 }))
    }

    fn sides(&self, image: usize) -> Result<[usize; 2], ImageError> {
        sides(self.images[image].data()).map_err(|reason| self.broken(image, reason))
    }

    fn place(&self, image: usize) -> String {
        let of = self.files.partition_point(|(_, first)| *first <= image) - 1;
        let (file, first) = &self.files[of];
        format!("{}, row {}", file.display(), image - first)
    }

    fn content(&self, image: usize) -> Result<Vec<u8>, ImageError> {
        Ok(self.images[image].data().to_vec())
    }

    fn bytes(&self) -> u64 {
        self.images.iter().map(|image| image.len() as u64).sum()
    }

    fn identity(&self, image: usize) -> Vec<u8> {
        let bytes = self.images[image].data();
        let mut identity = (bytes.len() as u64).to_le_bytes().to_vec();
        identity.extend(crc32fast::hash(bytes).to_le_bytes());
        identity
    }

    fn identified(&self) -> &'static str {
        "labels, and sizes and checksums of images"
    }
}

#[cfg(test)]
mod tests;
