use super::*;
use crate::archive::modified_files;
use crate::cifar10::CIFAR10;
use crate::cifar100::CIFAR100;

const FOLDER: &str = "cifar-10-batches-bin";
const TRAIN: [&str; 5] =
    ["data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin"];
const TEST: &str = "test_batch.bin";
const RECORDS: usize = 10_000;
const RECORD: usize = 3073;

fn images(dir: &Path) -> Result<(Images, Images), CifarError> {
    CIFAR10.images(dir)
}

/// A folder of synthetic files; record `r` of every file has label `r % 10` and pixels `r % 256`.
fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let inner = dir.path().join(FOLDER);
    std::fs::create_dir(&inner).unwrap();
    let bytes: Vec<u8> = (0..RECORDS)
        .flat_map(|r| std::iter::once((r % 10) as u8).chain(std::iter::repeat_n((r % 256) as u8, RECORD - 1)))
        .collect();
    for name in TRAIN.into_iter().chain([TEST]) {
        std::fs::write(inner.join(name), &bytes).unwrap();
    }
    dir
}

fn refused(dir: &Path) -> CifarError {
    images(dir).expect_err("must be refused")
}

#[test]
fn reads_the_files_from_either_folder() {
    let dir = folder();
    for dir in [dir.path().to_path_buf(), dir.path().join(FOLDER)] {
        let (train, test) = images(&dir).unwrap();
        assert_eq!((train.samples(), test.samples()), (50_000, 10_000));
        for id in [0u32, 7, 10_003, 49_999] {
            let record = id as usize % RECORDS;
            assert_eq!(train.label(id), record % 10);
            assert!(train.bytes(id).iter().all(|byte| usize::from(*byte) == record % 256));
        }
    }
}

#[test]
fn every_kind_of_damage_names_file_and_place() {
    let dir = folder();
    let path = |name: &str| dir.path().join(FOLDER).join(name);
    let good = std::fs::read(path("test_batch.bin")).unwrap();

    for cut in [0, 1, RECORD - 1, RECORD, RECORD + 1, good.len() - 1] {
        std::fs::write(path("data_batch_3.bin"), &good[..cut]).unwrap();
        let message = refused(dir.path()).to_string();
        assert!(message.contains("data_batch_3.bin") && message.contains(&cut.to_string()), "{message}");
    }
    std::fs::write(path("data_batch_3.bin"), [&good[..], &[0]].concat()).unwrap();
    assert!(matches!(refused(dir.path()).fault, Fault::Size { found, .. } if found == good.len() as u64 + 1));
    std::fs::write(path("data_batch_3.bin"), b"<html>404</html>").unwrap();
    assert!(matches!(refused(dir.path()).fault, Fault::Size { found: 16, .. }));

    let mut bad = good.clone();
    bad[5 * RECORD] = 10;
    std::fs::write(path("data_batch_3.bin"), &bad).unwrap();
    assert!(matches!(refused(dir.path()).fault, Fault::Label { offset, found: 10, .. } if offset == 5 * RECORD));

    std::fs::remove_file(path("data_batch_3.bin")).unwrap();
    assert!(matches!(refused(dir.path()).fault, Fault::Incomplete(file) if file == path("data_batch_3.bin")));
    std::fs::create_dir(path("data_batch_3.bin")).unwrap();
    assert!(matches!(refused(dir.path()).fault, Fault::Io { .. }));
    assert!(matches!(refused(&dir.path().join("nowhere")).fault, Fault::NoFolder(_)));
}

/// Reads the real files from AST_DATA_DIR, if set. With CI=true it must be set.
#[test]
fn reads_the_real_files() {
    let Some(dir) = std::env::var_os("AST_DATA_DIR") else {
        assert!(std::env::var_os("CI").is_none(), "CI must set AST_DATA_DIR to a folder with CIFAR-10");
        println!("not run: AST_DATA_DIR is not set");
        return;
    };
    let (train, test) = images(Path::new(&dir)).unwrap();
    let per_class = |images: &Images| -> Vec<usize> {
        (0..10).map(|c| (0..images.samples() as u32).filter(|id| images.label(*id) == c).count()).collect()
    };
    assert_eq!(per_class(&train), [5000; 10]);
    assert_eq!(per_class(&test), [1000; 10]);
    // The published mean and deviation of the channels, compared with the pixels.
    for channel in 0..3 {
        let bytes = (0..50_000u32).flat_map(|id| &train.bytes(id)[channel * 1024..(channel + 1) * 1024]);
        let (sum, squares) = bytes.fold((0f64, 0f64), |(s, q), b| {
            let x = f64::from(*b) / 255.0;
            (s + x, q + x * x)
        });
        let mean = sum / (50_000.0 * 1024.0);
        let deviation = (squares / (50_000.0 * 1024.0) - mean * mean).sqrt();
        assert!((mean - f64::from(CIFAR10.mean[channel])).abs() < 2e-3, "{mean}");
        assert!((deviation - f64::from(CIFAR10.deviation[channel])).abs() < 2e-3, "{deviation}");
    }
}

#[test]
fn the_error_says_what_was_found_instead() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let error = |path: &Path| images(path).unwrap_err().fault;
    assert!(matches!(error(&at.join("nowhere")), Fault::NoFolder(_)));
    assert!(matches!(error(at), Fault::Missing(_)));
    fs::write(at.join("cifar10-jpeg.tar.gz"), "of pictures").unwrap();
    assert!(matches!(error(at), Fault::Missing(_)), "an archive of something else");
    let archive = at.join("cifar-10-binary.tar.gz");
    fs::write(&archive, "packed").unwrap();
    assert!(matches!(error(at), Fault::Packed(path) if path == archive));
    assert!(matches!(error(&archive), Fault::Packed(path) if path == archive));
    fs::write(at.join("notes.txt"), "").unwrap();
    assert!(matches!(error(&at.join("notes.txt")), Fault::NotAFolder(_)));
    fs::create_dir(at.join(FOLDER)).unwrap();
    fs::write(at.join(FOLDER).join(TRAIN[0]), "").unwrap();
    let expected = at.join(FOLDER).join(TEST);
    assert!(matches!(error(at), Fault::Incomplete(file) if file == expected));
    assert!(matches!(error(&at.join(FOLDER)), Fault::Incomplete(file) if file == expected));
}

/// A short file is found without reading any.
#[test]
fn find_looks_at_sizes() {
    let dir = tempfile::tempdir().unwrap();
    for name in TRAIN.iter().chain([&TEST]) {
        fs::File::create(dir.path().join(name)).unwrap().set_len((RECORDS * RECORD) as u64).unwrap();
    }
    assert!(CIFAR10.find(dir.path()).is_ok());
    fs::File::create(dir.path().join(TRAIN[2])).unwrap().set_len(1000).unwrap();
    let error = CIFAR10.find(dir.path()).unwrap_err().to_string();
    assert!(error.contains("data_batch_3.bin: 1000 bytes instead of 30730000"), "{error}");
    fs::remove_file(dir.path().join(TRAIN[2])).unwrap();
    assert!(CIFAR10.find(dir.path()).unwrap_err().to_string().contains("data_batch_3.bin: this file is missing"));
}

#[test]
fn the_python_version_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let named = |path: &Path, python: &Path| {
        assert!(matches!(images(path).unwrap_err().fault, Fault::Python(found) if found == python));
    };
    let folder = at.join("cifar-10-batches-py");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("test_batch"), "pickled").unwrap();
    named(at, &folder);
    named(&folder, &folder.join("test_batch"));
    let archive = at.join("cifar-10-python.tar.gz");
    fs::write(&archive, "packed").unwrap();
    named(at, &archive);
    named(&archive, &archive);
    // The archive that can be read comes first.
    fs::write(at.join("cifar-10-binary.tar.gz"), "packed").unwrap();
    assert!(matches!(images(at).unwrap_err().fault, Fault::Packed(_)));
}

/// A missing training file is reported like a missing test file.
#[test]
fn a_missing_training_batch_is_named() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("test_batch.bin"), "").unwrap();
    let error = images(dir.path()).unwrap_err();
    assert!(matches!(error.fault, Fault::Incomplete(file) if file.ends_with("data_batch_1.bin")));
}
/// One byte makes a modified copy of its file, and a file that is missing is one that differs.
#[test]
fn one_byte_makes_a_modified_copy_of_its_file() {
    let dir = folder();
    let inner = dir.path().join(FOLDER);
    let all: Vec<&str> = CIFAR10.published().unwrap().files().iter().map(PublishedFile::name).collect();
    assert_eq!(modified(&CIFAR10.published().unwrap().files(), &inner), all);
    // SHA-256 of 10,000 records with label `r % 10` and 3,072 pixels `r % 256`, by Python's hashlib.
    let sha256 = "fdc36c18b36c6a865a12c8fa40e47066a4e245bf990280680ea726a32bce3388";
    let same: Vec<_> =
        CIFAR10.published().unwrap().files().iter().map(|file| PublishedFile { sha256, ..*file }).collect();
    assert_eq!(modified(&same, &inner), [""; 0]);
    let mut bytes = fs::read(inner.join(TRAIN[4])).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(inner.join(TRAIN[4]), bytes).unwrap();
    assert_eq!(modified(&same, &inner), ["data_batch_5"]);
    fs::remove_file(inner.join(TRAIN[1])).unwrap();
    assert_eq!(modified(&same, &inner), ["data_batch_2", "data_batch_5"]);
}

/// Both kinds of labels of CIFAR-100 are checked, and one of them is read.
#[test]
fn cifar100_has_two_kinds_of_labels() {
    let dir = tempfile::tempdir().unwrap();
    let record = |r: usize| [(r % 20) as u8, (r % 100) as u8].into_iter().chain(std::iter::repeat_n(r as u8, PIXELS));
    let bytes: Vec<u8> = (0..50_000).flat_map(record).collect();
    fs::write(dir.path().join("train.bin"), &bytes).unwrap();
    fs::write(dir.path().join("test.bin"), &bytes[..10_000 * (2 + PIXELS)]).unwrap();
    for (kind, classes) in [(0, 20), (1, 100)] {
        let cifar = Cifar { kind, ..CIFAR100 };
        let (train, test) = cifar.images(dir.path()).unwrap();
        assert_eq!((train.samples(), test.samples(), train.classes()), (50_000, 10_000, classes));
        assert!(train.class_names().is_sorted(), "as in the published lists of names");
        for id in [0_u32, 21, 119, 49_999] {
            assert_eq!(train.label(id), id as usize % classes);
            assert!(train.bytes(id).iter().all(|byte| *byte == id as u8));
        }
        assert!(cifar.verify(dir.path()).is_ok(), "every class has as many");
    }
    let mut wrong = bytes[..10_000 * (2 + PIXELS)].to_vec();
    for (at, found, expected) in
        [(0, 20, "label 20 at byte 0, expected 0 to 19"), (1, 100, "at byte 1, expected 0 to 99")]
    {
        let before = std::mem::replace(&mut wrong[at], found);
        fs::write(dir.path().join("test.bin"), &wrong).unwrap();
        let error = CIFAR100.images(dir.path()).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        wrong[at] = before;
    }
}

#[test]
fn files_of_the_right_size_only() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(modified_files(&CIFAR10.published().unwrap().files(), dir.path()), [""; 0]);
    let folder = dir.path().join("cifar-10-batches-bin");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("data_batch_2.bin"), vec![0; 30_730_000]).unwrap();
    std::fs::write(folder.join("data_batch_3.bin"), "cut off").unwrap();
    assert_eq!(modified_files(&CIFAR10.published().unwrap().files(), dir.path()), ["data_batch_2"]);
}

#[test]
fn labels_out_of_range_are_found_in_every_record() {
    let good: Vec<u8> = (0..5 * RECORD).map(|i| if i % RECORD == 0 { 7 } else { 255 }).collect();
    for record in 0..5 {
        for label in [10, 11, 100, 127, 128, 255] {
            let mut bytes = good.clone();
            bytes[record * RECORD] = label;
            match CIFAR10.add(&mut Batch::default(), Path::new("f"), &bytes).map_err(|error| error.fault) {
                Err(Fault::Label { offset, found, .. }) => assert_eq!((offset, found), (record * RECORD, label)),
                other => panic!("{other:?}"),
            }
        }
    }
}

/// Pipes and folders under the names of files must be refused without waiting for them.
#[test]
#[cfg(unix)]
fn pipes_and_folders_are_refused_at_once() {
    use std::fs;
    let dir = tempfile::tempdir().unwrap();
    let first = dir.path().join("data_batch_1.bin");
    fs::write(dir.path().join("test_batch.bin"), "present").unwrap();
    let error = || images(dir.path()).unwrap_err().to_string();
    assert!(error().contains("data_batch_1"));
    fs::create_dir(&first).unwrap();
    assert!(error().contains("data_batch_1.bin: it is not a file"), "{}", error());
    fs::remove_dir(&first).unwrap();
    std::os::unix::fs::symlink("nowhere", &first).unwrap();
    assert!(error().contains("data_batch_1"));
    fs::remove_file(&first).unwrap();
    std::os::unix::fs::symlink("/dev/zero", &first).unwrap();
    assert!(error().contains("data_batch_1.bin: it is not a file"), "{}", error());
    fs::remove_file(&first).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(&first).status().unwrap().success());
    assert!(error().contains("data_batch_1.bin: it is not a file"), "{}", error());
}
