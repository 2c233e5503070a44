use std::collections::BTreeSet;
use std::path::Path;

use crate::data::{DataSource, Dataset, Preprocessing, ReadRequest, Shape, fingerprint};
use crate::random::Random;
use crate::select::{SampleId, Visit};

/// Samples of a split that are looked at one by one: the first and the last.
const SOME: usize = 64;

/// Checks the contract that every dataset keeps. Call it from a test of your crate, with what it needs to be read.
///
/// * Reading it twice gives the same samples.
/// * There are training samples, and test samples of the same shape and classes if there are any; every label is a class.
/// * Every value is written, is finite, and is the same each time, augmented or not.
/// * Names of classes, if there are any, are as many as classes, and differ.
/// * The deviation of an input is finite and not negative.
/// * Training and test data have different fingerprints.
/// * Read as a run has read it, with its own [`Preprocessing`], it gives the same values; with other means and deviations it
///   is normalised by those, or does not say that it is.
/// * A dataset that is published says what is missing in an empty folder, instead of reading nothing.
///
/// # Panics
/// If the dataset breaks the contract; the message says how.
pub fn check_dataset(source: &dyn DataSource, request: &ReadRequest<'_>) {
    let splits = source.read(request).expect("the dataset can be read");
    let again = source.read(request).expect("it can be read again");
    let train = splits.train.as_ref();
    assert_eq!(fingerprint(train), fingerprint(again.train.as_ref()), "reading it twice gives the same training data");
    check_split(train, "training");
    assert_eq!(splits.test.is_some(), again.test.is_some(), "reading it twice gives the same splits");
    if let (Some(test), Some(again)) = (splits.test, again.test) {
        assert_eq!(
            fingerprint(test.as_ref()),
            fingerprint(again.as_ref()),
            "reading it twice gives the same test data"
        );
        assert_ne!(fingerprint(train), fingerprint(test.as_ref()), "training and test data differ");
        assert_eq!(train.shape(), test.shape(), "training and test data have one shape");
        assert_eq!(train.classes(), test.classes(), "training and test data have the same classes");
        check_split(test.as_ref(), "test");
    }
    check_preprocessing(source, request, train);
    if source.published().is_some() {
        let nowhere = Path::new("/nowhere/a/folder/that/is/not/there");
        let missing = ReadRequest { dir: Some(nowhere), ..*request };
        let error = source.read(&missing).err().expect("an empty folder is refused").to_string();
        assert!(error.contains("nowhere"), "an error names the folder: {error}");
        assert!(source.find(nowhere).is_err(), "`find` says that the files are missing");
        assert!(source.read(&ReadRequest { dir: None, ..*request }).is_err(), "without a folder it is refused");
    }
}

fn check_preprocessing(source: &dyn DataSource, request: &ReadRequest<'_>, train: &dyn Dataset) {
    let own = Preprocessing::of(train);
    let read = |given: &Preprocessing| {
        let request = ReadRequest { preprocessing: Some(given), ..*request };
        source.read(&request).expect("it can be read as it was read before").train
    };
    let again = read(&own);
    assert_eq!(own.lacking(&Preprocessing::of(again.as_ref())), None, "its own preprocessing is kept");
    let Shape::Image(sides) = train.shape() else { return };
    let first = |data: &dyn Dataset| {
        let mut out = vec![f32::NAN; sides.iter().product()];
        data.load(Visit { id: 0, epoch: 0, earlier: 0 }, None, &mut out).map(|_| out)
    };
    let (before, after) = (first(train), first(again.as_ref()));
    assert!(before.ok() == after.ok(), "with its own preprocessing it has the same values");
    let other = Preprocessing { mean: vec![0.25; sides[0]], deviation: vec![0.5; sides[0]], ..own };
    let moved = read(&other);
    if other.lacking(&Preprocessing::of(moved.as_ref())).is_some() {
        return; // It says that it cannot, and its reader refuses.
    }
    let (Ok(values), Ok(others)) = (first(train), first(moved.as_ref())) else { return };
    let places = sides[1] * sides[2];
    for (place, (value, other)) in values.iter().zip(others).enumerate() {
        let [mean, deviation] = train.normalisation()[place / places];
        let expected = (value * deviation + mean - 0.25) / 0.5;
        let close = (expected - other).abs() <= 1e-4 * (1.0 + expected.abs());
        assert!(close, "value {place}: {other} instead of {expected} by another mean and deviation");
    }
}

fn check_split(data: &dyn Dataset, which: &str) {
    let samples = data.samples();
    assert!(samples > 0, "there are {which} samples");
    let names = data.class_names();
    if !names.is_empty() {
        assert_eq!(names.len(), data.classes(), "each class has a name");
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "classes have different names");
    }
    let mean = data.mean_input_deviation();
    assert!(mean.is_finite() && mean >= 0.0, "mean deviation of {which} samples: {mean}");
    for id in (0..samples).filter(|id| *id < SOME || samples - id <= SOME).map(|id| id as SampleId) {
        assert!(data.label(id) < data.classes(), "{which} sample {id}: its label is a class");
        assert_eq!(data.content(id), data.content(id), "{which} sample {id}: its content is the same each time");
        match data.shape() {
            Shape::Image(sides) => check_image(data, id, sides),
            Shape::Tokens(context) => check_window(data, id, context),
        }
    }
}

fn check_image(data: &dyn Dataset, id: SampleId, sides: [usize; 3]) {
    let (size, places) = (sides.iter().product(), sides[1] * sides[2]);
    let written = |random| {
        let mut out = vec![f32::NAN; size];
        let visit = Visit { id, epoch: 3, earlier: 1 };
        let loaded = data.load(visit, random, &mut out).unwrap_or_else(|error| panic!("sample {id}: {error}"));
        assert!(
            loaded.input_deviation.is_finite() && loaded.input_deviation >= 0.0,
            "sample {id}: deviation {}",
            loaded.input_deviation
        );
        (loaded, out)
    };
    for random in [None, Some(Random::new(1))] {
        let (loaded, values) = written(random);
        assert!(values.iter().all(|value| value.is_finite()), "sample {id}: every value is written and finite");
        assert!((loaded, values) == written(random), "sample {id}: the same request gives the same values");
    }
    let normalisation = data.normalisation();
    assert!(normalisation.is_empty() || normalisation.len() == sides[0], "each channel has a mean and a deviation");
    if data.has_pixels() {
        let (_, values) = written(None);
        for (values, [mean, deviation]) in values.chunks_exact(places).zip(normalisation) {
            let mut pixels = values.iter().map(|value| value * deviation + mean);
            assert!(pixels.all(|pixel| (-1e-3..=1.001).contains(&pixel)), "sample {id}: its pixels are in 0..=1");
        }
    }
}

fn check_window(data: &dyn Dataset, id: SampleId, context: usize) {
    let mut tokens = vec![-1; context + 1];
    data.write_tokens(id, &mut tokens);
    let vocabulary = data.classes() as i32;
    assert!(tokens.iter().all(|token| (0..vocabulary).contains(token)), "window {id}: every token is written");
    let known = |token: &i32| data.token(*token as usize).is_some_and(|bytes| !bytes.is_empty());
    assert!(tokens.iter().all(known), "window {id}: every token stands for bytes");
}
