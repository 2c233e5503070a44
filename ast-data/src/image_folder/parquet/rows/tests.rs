use std::fs;

use ast_core::data::{ReadRequest, SampleError, fingerprint};
use ast_core::select::Visit;
use ast_core::testing::check_dataset;

use super::super::super::tests::{Folder, read, source};
use super::super::super::{import, opened};
use super::*;

const TRAIN: [(&str, &str); 5] = [
    ("baseline.jpg", "cat"),
    ("cmyk.jpg", "ant"),
    ("exif6.jpg", "cat"),
    ("progressive.jpg", "ant"),
    ("greyscale.jpg", "cat"),
];
const TEST: [(&str, &str); 2] = [("colour.png", "ant"), ("palette.png", "cat")];

fn fixture(name: &str) -> PathBuf {
    Path::new("tests/parquet").join(name)
}

/// Whether images and names of classes are those of files.
fn check(store: &dyn Store, classes: &[String], expected: &[(&str, &str)]) {
    assert_eq!(store.samples(), expected.len());
    for (image, (file, class)) in expected.iter().enumerate() {
        let bytes = fs::read(Path::new("tests/image_folder").join(file)).unwrap();
        assert_eq!(classes[store.class(image)], *class, "{file}");
        let (decoded, reads) = store.image(image).unwrap();
        assert!(decoded == decode(&bytes).unwrap(), "{file}");
        assert_eq!(store.sides(image).unwrap(), [decoded.height, decoded.width], "{file}");
        assert_eq!(reads, Reads { bytes: 0, decodes: 1 });
    }
    let size = |(file, _): &(&str, &str)| fs::metadata(Path::new("tests/image_folder").join(file)).unwrap().len();
    assert_eq!(store.bytes(), expected.iter().map(size).sum::<u64>());
}

/// Whether a dataset has both splits.
fn check_whole(dataset: &str) {
    let Opened { classes, train, test } = opened(&fixture(dataset), false).unwrap();
    assert_eq!(classes, ["ant", "cat"]);
    check(train.as_ref(), &classes, &TRAIN);
    check(test.unwrap().as_ref(), &classes, &TEST);
}

/// As the `datasets` library publishes, in several files.
#[test]
fn a_published_dataset_is_read() {
    check_whole("published");
    for size in [16, 48] {
        let source = source(&[("size", size.into())]);
        let dir = fixture("published");
        check_dataset(&source, &ReadRequest::of(&dir));
    }
}

/// Classes as words, dictionaries, Snappy, groups of two rows; classes as numbers without names, values that cannot be
/// missing, pages of one value, version 2 of pages.
#[test]
fn files_of_other_writers_are_read() {
    check_whole("words");
    let Opened { classes, train, test } = opened(&fixture("numbers.parquet"), false).unwrap();
    assert_eq!(classes, ["0", "1"]);
    check(train.as_ref(), &["ant".into(), "cat".into()], &TRAIN);
    assert!(test.is_none());
}

#[test]
fn what_cannot_be_read_is_refused_by_name() {
    for (file, words) in [
        ("zstd.parquet", "it cannot be read: "),
        ("no-image.parquet", "row 2 has no image"),
        (
            "no-label.parquet",
            "it has no column of classes, called `label` or of the kind `ClassLabel`; its columns are id, img.bytes",
        ),
        ("negative.parquet", "row 1 has no class: its label is -1"),
    ] {
        let error = read(&fixture(file), &[]).err().unwrap();
        assert!(error.contains(&format!("tests/parquet/{file}: ")) && error.contains(words), "{error}");
    }
}

#[test]
fn a_broken_image_is_refused_or_left_out() {
    let load = |on_bad: &str| {
        let splits = read(&fixture("broken.parquet"), &[("on_bad", on_bad.into()), ("size", 16.into())])?;
        let mut out = vec![0.0; 3 * 16 * 16];
        let mut load = |id| splits.train.load(Visit { id, epoch: 0, earlier: 0 }, None, &mut out).map(drop);
        Ok::<_, String>((load(0), load(2)))
    };
    let refused = load("refuse").err().unwrap();
    assert!(refused.contains("broken.parquet, row 2: it is neither a JPEG nor a PNG image"), "{refused}");
    let (first, broken) = load("skip").unwrap();
    first.unwrap();
    let SampleError { may_be_left_out, error } = broken.unwrap_err();
    assert!(may_be_left_out && error.to_string().contains("row 2"), "{error}");
}

/// The fingerprint is of what is in the files: copies have the same, whatever their times.
#[test]
fn copies_have_the_same_fingerprint_and_changed_images_another() {
    let folder = Folder::new();
    let file = fixture("published/data/train-00000-of-00002.parquet");
    let bytes = fs::read(&file).unwrap();
    let print = |place: &Path| fingerprint(read(place, &[("size", 16.into())]).unwrap().train.as_ref());
    let print_of = |bytes: &[u8]| print(folder.write("copy.parquet", bytes).path());
    assert_eq!(print_of(&bytes), print(&file));
    // Within the pixels of the first image, which stand as they are.
    let at = bytes.windows(2).position(|two| two == [0xff, 0xda]).unwrap() + 40;
    let mut changed = bytes.clone();
    changed[at] ^= 1;
    assert_ne!(print_of(&changed), print(&file));
}

#[test]
fn the_binary_form_has_the_same_images() {
    let out = tempfile::tempdir().unwrap();
    let to = out.path().join("all.images");
    assert!(import(&fixture("published"), &to, &mut |_| ()).unwrap(), "there are test images");
    let Opened { classes, train, test } = opened(&to, false).unwrap();
    for (store, expected) in [(train, &TRAIN[..]), (test.unwrap(), &TEST)] {
        for (image, (file, class)) in expected.iter().enumerate() {
            let bytes = fs::read(Path::new("tests/image_folder").join(file)).unwrap();
            assert!(store.image(image).unwrap().0 == decode(&bytes).unwrap() && classes[store.class(image)] == *class);
        }
    }
    assert!(!import(&fixture("numbers.parquet"), &out.path().join("one.images"), &mut |_| ()).unwrap());
}

/// Cut off, or with a byte changed, every one of the footer: an error or other images, never a panic.
#[test]
fn damaged_files_do_no_harm() {
    for file in
        ["published/data/test-00000-of-00001.parquet", "words/default/validation/0000.parquet", "numbers.parquet"]
    {
        let whole = fs::read(fixture(file)).unwrap();
        let folder = Folder::new();
        let open = |bytes: &[u8]| opened(&folder.write("x.parquet", bytes).path().join("x.parquet"), false);
        for end in (0..whole.len()).step_by(13) {
            assert!(open(&whole[..end]).is_err(), "{file} cut off at {end}");
        }
        // The footer, and some of the pages before it.
        let footer = whole.len() - 2000;
        for at in (0..footer).step_by(7).chain(footer..whole.len()) {
            for flip in [0x01, 0x80, 0xff] {
                let mut damaged = whole.clone();
                damaged[at] ^= flip;
                if let Ok(Opened { classes, train, .. }) = open(&damaged) {
                    assert!((0..train.samples()).all(|image| train.class(image) < classes.len()));
                }
            }
        }
    }
}
