use super::*;
use crate::archive::modified_files;

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
    assert!(matches!(refused(dir.path()), CifarError::Size { found, .. } if found == good.len() as u64 + 1));
    std::fs::write(path("data_batch_3.bin"), b"<html>404</html>").unwrap();
    assert!(matches!(refused(dir.path()), CifarError::Size { found: 16, .. }));

    let mut bad = good.clone();
    bad[5 * RECORD] = 10;
    std::fs::write(path("data_batch_3.bin"), &bad).unwrap();
    assert!(matches!(refused(dir.path()), CifarError::Label { offset, found: 10, .. } if offset == 5 * RECORD));

    std::fs::remove_file(path("data_batch_3.bin")).unwrap();
    assert!(matches!(refused(dir.path()), CifarError::Incomplete(file) if file == path("data_batch_3.bin")));
    std::fs::create_dir(path("data_batch_3.bin")).unwrap();
    assert!(matches!(refused(dir.path()), CifarError::Io { .. }));
    assert!(matches!(refused(&dir.path().join("nowhere")), CifarError::NoFolder(_)));
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
        assert!((mean - f64::from(MEAN[channel])).abs() < 2e-3, "{mean}");
        assert!((deviation - f64::from(DEVIATION[channel])).abs() < 2e-3, "{deviation}");
    }
}

#[test]
fn the_error_says_what_was_found_instead() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let error = |path: &Path| images(path).unwrap_err();
    assert!(matches!(error(&at.join("nowhere")), CifarError::NoFolder(_)));
    assert!(matches!(error(at), CifarError::Missing(_)));
    fs::write(at.join("cifar10-jpeg.tar.gz"), "of pictures").unwrap();
    assert!(matches!(error(at), CifarError::Missing(_)), "an archive of something else");
    let archive = at.join("cifar-10-binary.tar.gz");
    fs::write(&archive, "packed").unwrap();
    assert!(matches!(error(at), CifarError::Packed(path) if path == archive));
    assert!(matches!(error(&archive), CifarError::Packed(path) if path == archive));
    fs::write(at.join("notes.txt"), "").unwrap();
    assert!(matches!(error(&at.join("notes.txt")), CifarError::NotAFolder(_)));
    fs::create_dir(at.join(FOLDER)).unwrap();
    fs::write(at.join(FOLDER).join(TRAIN[0]), "").unwrap();
    let expected = at.join(FOLDER).join(TEST);
    assert!(matches!(error(at), CifarError::Incomplete(file) if file == expected));
    assert!(matches!(error(&at.join(FOLDER)), CifarError::Incomplete(file) if file == expected));
}

/// A short file is found without reading any.
#[test]
fn find_looks_at_sizes() {
    let dir = tempfile::tempdir().unwrap();
    for name in TRAIN.iter().chain([&TEST]) {
        fs::File::create(dir.path().join(name)).unwrap().set_len((RECORDS * RECORD) as u64).unwrap();
    }
    assert!(Cifar10.find(dir.path()).is_ok());
    fs::File::create(dir.path().join(TRAIN[2])).unwrap().set_len(1000).unwrap();
    let error = Cifar10.find(dir.path()).unwrap_err().to_string();
    assert!(error.contains("data_batch_3.bin: 1000 bytes instead of 30730000"), "{error}");
    fs::remove_file(dir.path().join(TRAIN[2])).unwrap();
    assert!(Cifar10.find(dir.path()).unwrap_err().to_string().contains("data_batch_3.bin: this file is missing"));
}

#[test]
fn the_python_version_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let named = |path: &Path, python: &Path| {
        assert!(matches!(images(path).unwrap_err(), CifarError::Python(found) if found == python));
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
    assert!(matches!(images(at).unwrap_err(), CifarError::Packed(_)));
}

/// A missing training file is reported like a missing test file.
#[test]
fn a_missing_training_batch_is_named() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("test_batch.bin"), "").unwrap();
    let error = images(dir.path()).unwrap_err();
    assert!(matches!(error, CifarError::Incomplete(file) if file.ends_with("data_batch_1.bin")));
}
/// SHA-1 of 10,000 records with label `r % 10` and 3,072 pixels `r % 256`, by Python's hashlib.
const MADE_UP: &str = "4b1e914537ff354ee662be50d7c1f51a0d2b4ae5";

fn made_up(records: usize) -> Images {
    let pixels = (0..records).flat_map(|r| std::iter::repeat_n((r % RECORDS % 256) as u8, 3072)).collect();
    Images::new([3, 32, 32], 10, pixels, (0..records).map(|r| (r % 10) as u8).collect())
}

#[test]
fn one_byte_makes_a_modified_copy_of_its_batch() {
    let (train, test) = (made_up(50_000), made_up(10_000));
    let same: Vec<_> = FILES.iter().map(|file| ArchiveFile { sha1: MADE_UP, ..*file }).collect();
    assert_eq!(modified(&train, &test, &same), [""; 0]);
    let all: Vec<&str> = FILES.iter().map(ArchiveFile::name).collect();
    assert_eq!(modified(&train, &test, FILES), all);

    let pixels: Vec<u8> = (0..50_000).flat_map(|id| train.bytes(id).to_vec()).collect();
    let labels: Vec<u8> = (0..50_000).map(|id| train.label(id) as u8).collect();
    let images = |pixels: &[u8], labels: &[u8]| Images::new([3, 32, 32], 10, pixels.to_vec(), labels.to_vec());
    let mut other = pixels.clone();
    *other.last_mut().unwrap() ^= 1;
    assert_eq!(modified(&images(&other, &labels), &test, &same), ["data_batch_5"]);
    let mut swapped = labels.clone();
    swapped.swap(10_000, 10_001);
    assert_eq!(modified(&images(&pixels, &swapped), &test, &same), ["data_batch_2"]);
}

#[test]
fn files_of_the_right_size_only() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(modified_files(FILES, dir.path()), [""; 0]);
    let folder = dir.path().join("cifar-10-batches-bin");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("data_batch_2.bin"), vec![0; 30_730_000]).unwrap();
    std::fs::write(folder.join("data_batch_3.bin"), "cut off").unwrap();
    assert_eq!(modified_files(FILES, dir.path()), ["data_batch_2"]);
}

#[test]
fn labels_out_of_range_are_found_in_every_record() {
    let good: Vec<u8> = (0..5 * RECORD).map(|i| if i % RECORD == 0 { 7 } else { 255 }).collect();
    for record in 0..5 {
        for label in [10, 11, 100, 127, 128, 255] {
            let mut bytes = good.clone();
            bytes[record * RECORD] = label;
            match Batch::default().add_binary(Path::new("f"), &bytes) {
                Err(CifarError::Label { offset, found, .. }) => assert_eq!((offset, found), (record * RECORD, label)),
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
