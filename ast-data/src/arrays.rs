//! Your own images and labels, as arrays of NumPy: in `.npz` files, or in pairs of `.npy` files.
//!
//! In a folder, `train.npz` and `test.npz` hold the arrays `images` and `labels`. Instead of `NAME.npz` there may be
//! `NAME_images.npy` and `NAME_labels.npy`, or `NAME/images.npy` and `NAME/labels.npy`. A single `.npz`, or `images.npy`
//! with `labels.npy`, has no test samples.
//!
//! `images` is `[samples, height, width]`, `[samples, height, width, channels]` or else `[samples, channels, height, width]`,
//! of bytes or of floats; there are 1, 3 or 4 channels. `labels` is `[samples]`, of integers from 0. Each channel is
//! normalised by the mean and the standard deviation of the training images.

mod normalised;
mod npy;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use ast_core::data::{DataError, DataSource, ReadRequest, Splits};
use ast_core::plugin::{ParamKind, ParamSpec};

use self::normalised::{Scale, Split};
use self::npy::{ArrayError, Values, alone, images, labels, member};

/// Test images whose values spread this much more, or less, than those for training were scaled otherwise: 255 is usual.
const SCALED: f64 = 100.0;
const TEST: [&str; 3] = ["test", "val", "validation"];

ast_core::register_dataset! {
    name: "arrays",
    summary: "your own images and labels as NumPy arrays: `train.npz` and `test.npz`, each with `images` and `labels`, or `.npy` files",
    params: &[ParamSpec {
        name: "mirrors",
        summary: "whether the mirror image of an image is of the same class; if not, augmentation does not flip",
        kind: ParamKind::Choice(&["yes", "no"]),
    }],
    build: |params| Ok(Box::new(Arrays { mirrors: params.word("mirrors")? == "yes" })),
}

struct Arrays {
    mirrors: bool,
}

impl DataSource for Arrays {
    fn read(&self, request: &ReadRequest<'_>) -> Result<Splits, DataError> {
        let known = request.preprocessing.and_then(|given| given.classes);
        let (train, test) = places(request.dir.ok_or(DataError::NoFolder)?, known.is_some())?;
        let (train, test) = (train.read()?, test.map(|place| place.read()).transpose()?);
        let splits = || std::iter::once(&train).chain(&test);
        match known {
            Some(classes) => splits().try_for_each(|split| of_these(split, classes))?,
            None => check(&train, test.as_ref())?,
        }
        let labels = splits().flat_map(|split| &split.labels);
        let classes = known.unwrap_or(labels.max().map_or(0, |label| *label as usize + 1));
        let scale = Scale::of(&train).given(request.preprocessing);
        let dataset = |split| scale.dataset(split, classes, self.mirrors);
        Ok(Splits { train: dataset(train), test: test.map(dataset) })
    }

    fn find(&self, dir: &Path) -> Result<(), DataError> {
        places(dir, false).map(drop).map_err(Into::into)
    }
}

/// Refuses samples of other classes than those of an earlier run.
fn of_these(split: &Split, classes: usize) -> Result<(), ArrayError> {
    match split.labels.iter().position(|label| *label as usize >= classes) {
        None => Ok(()),
        Some(sample) => {
            let label = split.labels[sample];
            let reason = format!("label {label} of sample {sample} is none of the {classes} classes of the run");
            Err(ArrayError { file: split.file.clone(), reason })
        }
    }
}

/// Refuses what cannot be learned from, and test samples that are not like those for training.
fn check(train: &Split, test: Option<&Split>) -> Result<(), ArrayError> {
    let there: BTreeSet<u32> = train.labels.iter().copied().collect();
    if let [only] = there.iter().collect::<Vec<_>>()[..] {
        let reason = format!("every label is {only}: training needs two classes");
        return Err(ArrayError { file: train.file.clone(), reason });
    }
    let gap = (0..).zip(&there).find(|(label, there)| label != *there);
    if let Some((label, _)) = gap {
        let reason = format!(
            "no image has label {label}, but one has a larger one; number the classes 0, 1, 2, ... \
             (`np.unique(labels, return_inverse=True)[1]`)"
        );
        return Err(ArrayError { file: train.file.clone(), reason });
    }
    let Some(test) = test else { return Ok(()) };
    let wrong = |reason| ArrayError { file: test.file.clone(), reason };
    let other = train.file.display();
    if train.sides != test.sides || train.values.kind() != test.values.kind() {
        let kinds = [train, test].map(|split| format!("{} {:?}", split.values.kind(), split.sides));
        return Err(wrong(format!("{} (channels, height, width), but {} in {other}", kinds[1], kinds[0])));
    }
    if let Some(sample) = test.labels.iter().position(|label| !there.contains(label)) {
        let reason = format!("label {} of sample {sample} is that of no image in {other}", test.labels[sample]);
        return Err(wrong(reason));
    }
    let ranges = [test, train].map(|split| split.values.range());
    let [here, there] = ranges.map(|[least, most]| most - least);
    if matches!(train.values, Values::Floats(_)) && (here > SCALED * there || there > SCALED * here) {
        let [[a, b], [c, d]] = ranges;
        return Err(wrong(format!("its values are {a} to {b}, those of {other} {c} to {d}: scale both alike")));
    }
    Ok(())
}

/// Where the arrays of a split are.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    Npz(PathBuf),
    Npy { images: PathBuf, labels: PathBuf },
}

/// The training samples, and the test samples if there are any. If `one` split is enough, these may be alone.
fn places(dir: &Path, one: bool) -> Result<(Place, Option<Place>), ArrayError> {
    let wrong = |reason: &str| ArrayError { file: dir.to_path_buf(), reason: reason.into() };
    let about = fs::metadata(dir).map_err(|error| wrong(&error.to_string()))?;
    if !about.is_dir() {
        let is_npz = dir.extension().is_some_and(|extension| extension == "npz");
        return is_npz.then(|| (Place::Npz(dir.to_path_buf()), None)).ok_or_else(|| wrong("this is not an .npz file"));
    }
    if let Some(train) = named(dir, "train") {
        return Ok((train, TEST.iter().find_map(|name| named(dir, name))));
    }
    if let Some(test) = TEST.iter().find_map(|name| named(dir, name)).filter(|_| one) {
        return Ok((test, None));
    }
    if let Some(alone) = pair(dir.join("images.npy"), dir.join("labels.npy")) {
        return Ok((alone, None));
    }
    let entries = fs::read_dir(dir).map_err(|error| wrong(&error.to_string()))?;
    let paths = entries.flatten().map(|entry| entry.path());
    let mut archives: Vec<_> = paths.filter(|path| path.extension().is_some_and(|end| end == "npz")).collect();
    match (archives.pop(), archives.pop()) {
        (Some(alone), None) => Ok((Place::Npz(alone), None)),
        (Some(_), Some(_)) => Err(wrong("several .npz files, none of which is train.npz")),
        _ => {
            Err(wrong("neither train.npz, nor train_images.npy with train_labels.npy, nor images.npy with labels.npy"))
        }
    }
}

fn named(dir: &Path, name: &str) -> Option<Place> {
    let npz = dir.join(format!("{name}.npz"));
    if npz.exists() {
        return Some(Place::Npz(npz));
    }
    let flat = || pair(dir.join(format!("{name}_images.npy")), dir.join(format!("{name}_labels.npy")));
    flat().or_else(|| pair(dir.join(name).join("images.npy"), dir.join(name).join("labels.npy")))
}

fn pair(images: PathBuf, labels: PathBuf) -> Option<Place> {
    (images.exists() && labels.exists()).then_some(Place::Npy { images, labels })
}

impl Place {
    fn read(self) -> Result<Split, ArrayError> {
        let ((samples, sides, values), labels, [file, of_labels]) = match self {
            Self::Npz(file) => {
                (member(&file, "images", images)?, member(&file, "labels", labels)?, [file.clone(), file])
            }
            Self::Npy { images: of_images, labels: of_labels } => {
                (alone(&of_images, images)?, alone(&of_labels, labels)?, [of_images, of_labels])
            }
        };
        if labels.len() != samples {
            let reason = format!("{} labels for {samples} images", labels.len());
            return Err(ArrayError { file: of_labels, reason });
        }
        Ok(Split { file, sides, values, labels })
    }
}

#[cfg(test)]
mod tests {
    use super::npy::channels_first;
    use super::*;
    use ast_core::data::{Dataset, Shape};
    use ast_core::select::SampleId;
    use npyz::WriterBuilder;
    use std::io::{Cursor, Write};
    use zip::write::{SimpleFileOptions, ZipWriter};

    fn npy<T: npyz::AutoSerialize>(shape: &[u64], values: &[T]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut writer = npyz::WriteOptions::new().default_dtype().shape(shape).writer(&mut bytes).begin_nd().unwrap();
        values.iter().for_each(|value| writer.push(value).unwrap());
        writer.finish().unwrap();
        bytes
    }

    fn npz(arrays: &[(&str, Vec<u8>)]) -> Vec<u8> {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, bytes) in arrays {
            writer.start_file(format!("{name}.npy"), SimpleFileOptions::default()).unwrap();
            writer.write_all(bytes).unwrap();
        }
        writer.finish().unwrap().into_inner()
    }

    /// Of `[2, 2, 5, 3]`, the channels last: place `p` of an image has `100 i + 10 p + c`.
    fn bytes_last() -> Vec<u8> {
        let value = |i: u8, p: u8, c: u8| 100 * i + 10 * p + c;
        (0..2).flat_map(|i| (0..10).flat_map(move |p| (0..3).map(move |c| value(i, p, c)))).collect()
    }

    fn splits(dir: &Path) -> Result<Splits, String> {
        Arrays { mirrors: true }.read(&ReadRequest::of(dir)).map_err(|error| error.to_string())
    }

    fn written(dataset: &dyn Dataset, id: SampleId) -> Vec<f32> {
        let Shape::Image(sides) = dataset.shape() else { panic!("images") };
        let mut out = vec![f32::NAN; sides.iter().product()];
        dataset.write(id, &mut out);
        out
    }

    /// Writes these files and reads the folder.
    fn of(files: &[(&str, Vec<u8>)]) -> Result<Splits, String> {
        let dir = tempfile::tempdir().unwrap();
        for (name, bytes) in files {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        splits(dir.path())
    }

    fn error(files: &[(&str, Vec<u8>)]) -> String {
        of(files).err().expect("must be refused")
    }

    /// An `.npz` with these images, and labels 0 and 1.
    fn with_images(images: Vec<u8>) -> (&'static str, Vec<u8>) {
        ("train.npz", npz(&[("images", images), ("labels", npy(&[2], &[0_i64, 1]))]))
    }

    #[test]
    fn channels_are_found_last_and_second() {
        let (last, second) = (bytes_last(), channels_first(bytes_last(), [3, 2, 5], true));
        assert_eq!(second[..11], [0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 1]);
        let [a, b] = [(&[2, 2, 5, 3], last), (&[2, 3, 2, 5], second.clone())]
            .map(|(shape, values)| of(&[with_images(npy(shape, &values))]).unwrap());
        assert_eq!((a.train.samples(), a.train.classes(), a.train.label(1)), (2, 2, 1));
        assert_eq!(a.train.shape(), Shape::Image([3, 2, 5]));
        assert!(a.test.is_none());
        assert_eq!(a.train.content(1), b.train.content(1));
        assert_eq!(*a.train.content(1), second[30..]);
    }

    /// Mean 0 and deviation 1 of each channel, for bytes and for floats alike.
    #[test]
    fn training_images_are_normalised() {
        let bytes = channels_first(bytes_last(), [3, 2, 5], true);
        let floats: Vec<f64> = bytes.iter().map(|byte| f64::from(*byte) / 255.0).collect();
        let images = [npy(&[2, 3, 2, 5], &bytes), npy(&[2, 3, 2, 5], &floats)];
        let [of_bytes, of_floats] = images.map(|images| of(&[with_images(images)]).unwrap().train);
        for channel in 0..3 {
            let values: Vec<f32> =
                (0..2).flat_map(|id| written(of_bytes.as_ref(), id)[channel * 10..][..10].to_vec()).collect();
            let mean = values.iter().sum::<f32>() / 20.0;
            let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f32>() / 20.0;
            assert!(mean.abs() < 1e-5 && (variance - 1.0).abs() < 1e-5, "{mean} {variance}");
        }
        for id in 0..2 {
            let both = written(of_bytes.as_ref(), id).into_iter().zip(written(of_floats.as_ref(), id));
            assert!(both.into_iter().all(|(a, b)| (a - b).abs() < 1e-5));
        }
        // Floats may have any range: their deviation is that of values in 0..1, as scorers need it. Here they are
        // 0 to 192/255.
        let ratio = of_floats.input_deviation(1) / of_bytes.input_deviation(1);
        assert!((ratio - 255.0 / 192.0).abs() < 1e-4, "{ratio}");
    }

    #[test]
    fn every_place_is_found() {
        let (images, labels) = (npy(&[2, 1, 1], &[1_u8, 2]), npy(&[2], &[1_u8, 0]));
        let archive = npz(&[("labels", labels.clone()), ("images", images.clone())]);
        for test in TEST {
            let both = of(&[("train.npz", archive.clone()), (&format!("{test}.npz"), archive.clone())]).unwrap();
            assert!(both.test.is_some(), "{test}");
        }
        let flat = |name: &str| {
            [(format!("{name}_images.npy"), images.clone()), (format!("{name}_labels.npy"), labels.clone())]
        };
        let deep = |name: &str| {
            [(format!("{name}/images.npy"), images.clone()), (format!("{name}/labels.npy"), labels.clone())]
        };
        for pairs in [[flat("train"), flat("test")], [deep("train"), deep("val")]] {
            let files: Vec<(&str, Vec<u8>)> =
                pairs.iter().flatten().map(|(name, bytes)| (&**name, bytes.clone())).collect();
            assert!(of(&files).unwrap().test.is_some());
        }
        assert!(of(&[("images.npy", images), ("labels.npy", labels)]).unwrap().test.is_none());
        assert!(of(&[("mine.npz", archive.clone())]).unwrap().test.is_none());
        assert!(error(&[("a.npz", archive.clone()), ("b.npz", archive.clone())]).contains("several .npz files"));
        assert!(error(&[]).contains("neither train.npz"));
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("mine.npz");
        fs::write(&file, archive).unwrap();
        assert!(splits(&file).is_ok(), "the file itself may be named");
        fs::rename(&file, dir.path().join("mine.txt")).unwrap();
        assert!(splits(&dir.path().join("mine.txt")).err().unwrap().contains("not an .npz file"));
        assert!(splits(&dir.path().join("nowhere")).is_err());
    }

    #[test]
    fn what_is_wrong_is_said() {
        let images = || npy(&[2, 1, 1], &[1_u8, 2]);
        let labels = |labels: Vec<u8>| error(&[("train.npz", npz(&[("images", images()), ("labels", labels)]))]);
        assert!(labels(npy(&[3], &[0_u8, 1, 1])).contains("train.npz: 3 labels for 2 images"));
        assert!(labels(npy(&[2], &[0_i32, -1])).contains("array `labels`: label -1 of sample 1"));
        assert!(labels(npy(&[2], &[0_u64, u64::MAX])).contains("label 18446744073709551615 of sample 1"));
        assert!(
            labels(npy(&[2], &[0_i32, 65_536]))
                .contains("label 65536 of sample 1; classes are integers from 0 to 65535")
        );
        assert!(labels(npy(&[2], &[3_u8, 3])).contains("train.npz: every label is 3"));
        assert!(labels(npy(&[2], &[1_u8, 2])).contains("train.npz: no image has label 0, but one has a larger one"));
        assert!(labels(npy(&[2], &[0_u8, 2])).contains("no image has label 1"));
        assert!(labels(npy(&[2], &[0_f32, 1.0])).contains("labels are integers"));
        assert!(labels(npy(&[2, 1], &[0_u8, 1])).contains("its shape is [2, 1]; labels are [samples]"));
        assert!(labels(b"<html>".to_vec()).contains("it is not an array of NumPy"));

        let images = |images: Vec<u8>| error(&[with_images(images)]);
        assert!(images(npy(&[2, 5], &[0_u8; 10])).contains("its shape is [2, 5]"));
        assert!(images(npy(&[2, 2, 2, 2], &[0_u8; 16])).contains("1, 3 or 4 channels"));
        assert!(images(npy::<u8>(&[0, 2, 2], &[])).contains("there are no values"));
        assert!(images(npy(&[2, 1, 1], &[0_i64, 1])).contains("images are uint8, float32 or float64"));
        assert!(images(npy(&[2, 1, 1], &[0.0, f64::NAN])).contains("image 1 has a value that is not finite: NaN"));
        let whole = npy(&[2, 2, 2], &[7_u8; 8]);
        assert!(images(whole[..whole.len() - 1].to_vec()).contains("it is cut off: 7 of 8 values are there"));
        (0..whole.len()).for_each(|cut| assert!(of(&[with_images(whole[..cut].to_vec())]).is_err(), "{cut}"));
        let at = whole.windows(5).position(|word| word == b"False").unwrap();
        assert!(images([&whole[..at], b"True ", &whole[at + 5..]].concat()).contains("numpy.ascontiguousarray"));

        let good = npz(&[("images", whole), ("labels", npy(&[2], &[0_u8, 1]))]);
        (0..good.len())
            .step_by(7)
            .for_each(|cut| assert!(of(&[("train.npz", good[..cut].to_vec())]).is_err(), "{cut}"));
        assert!(
            error(&[("train.npz", npz(&[("x", vec![]), ("y", vec![])]))])
                .contains("no array `images`; there are: x, y")
        );
        let other = npz(&[("images", npy(&[1, 3, 3], &[0_u8; 9])), ("labels", npy(&[1], &[0_u8]))]);
        let message = error(&[("train.npz", good.clone()), ("test.npz", other)]);
        assert!(message.contains("test.npz: bytes [1, 3, 3]") && message.contains("but bytes [1, 2, 2]"), "{message}");
    }

    /// The value that changes is the first of the images: nothing but the archive's checksum knows.
    #[test]
    fn a_changed_byte_is_found() {
        let stored = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, bytes) in [("images", npy(&[2, 1, 1], &[171_u8, 2])), ("labels", npy(&[2], &[0_u8, 1]))] {
            writer.start_file(format!("{name}.npy"), stored).unwrap();
            writer.write_all(&bytes).unwrap();
        }
        let mut archive = writer.finish().unwrap().into_inner();
        assert!(of(&[("train.npz", archive.clone())]).is_ok());
        let at = archive.iter().position(|byte| *byte == 171).unwrap();
        archive[at] ^= 1;
        let message = error(&[("train.npz", archive)]);
        assert!(message.contains("train.npz: array `images`: it is damaged"), "{message}");
    }

    #[test]
    fn test_samples_are_like_those_for_training() {
        let split =
            |images: &[f32], labels: &[u8]| npz(&[("images", npy(&[2, 1, 1], images)), ("labels", npy(&[2], labels))]);
        let both = |images: &[f32], labels| {
            of(&[("train.npz", split(&[0.0, 1.0], &[0, 1])), ("test.npz", split(images, labels))]).map(drop)
        };
        both(&[-1.0, 1.0], &[1, 1]).unwrap();
        let message = both(&[0.0, 255.0], &[0, 1]).unwrap_err();
        assert!(message.contains("test.npz: its values are 0 to 255, those of"), "{message}");
        assert!(both(&[0.0, 0.001], &[0, 1]).is_err());
        let message = both(&[0.0, 1.0], &[0, 2]).unwrap_err();
        assert!(message.contains("test.npz: label 2 of sample 1 is that of no image in"), "{message}");
    }

    /// Made by NumPy 2: `numpy.savez_compressed(name, images=..., labels=...)`, see `tests/arrays/make`.
    #[test]
    fn files_of_numpy_are_read() {
        let Splits { train, test } = splits(Path::new("tests/arrays")).unwrap();
        assert_eq!((train.samples(), test.unwrap().samples(), train.classes()), (60, 20, 10));
        // (7 i + 31 y + 17 x) % 256, and i % 10.
        let expected: Vec<u8> = (0..64).map(|p| ((7 * 59 + 31 * (p / 8) + 17 * (p % 8)) % 256) as u8).collect();
        assert_eq!((train.label(59), &*train.content(59)), (9, &expected[..]));
    }
}
