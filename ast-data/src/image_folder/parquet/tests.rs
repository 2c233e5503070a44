use std::path::PathBuf;

use super::super::tests::Folder;
use super::*;

fn names(files: &[PathBuf], folder: &Folder) -> Vec<String> {
    files.iter().map(|file| file.strip_prefix(folder.path()).unwrap().display().to_string()).collect()
}

/// What is found among empty files: names of training and of test files, or why there are none.
fn found(files: &[&str]) -> Result<Option<[Vec<String>; 2]>, String> {
    let folder = Folder::new();
    for file in files {
        folder.write(file, b"");
    }
    match shards(folder.path()) {
        Ok(None) => Ok(None),
        Ok(Some(Shards { train, test })) => Ok(Some([names(&train, &folder), names(&test, &folder)])),
        Err(error) => Err(error.to_string()),
    }
}

/// The layouts of the Hub: files with the name of a split, folders with it, folders for datasets; in any order.
#[test]
fn the_names_of_files_tell_their_splits() {
    let split = |files: &[&str]| found(files).unwrap().unwrap();
    for dir in ["", "data/", "plain_text/"] {
        let names =
            ["train-00001-of-00002-ab12.parquet", "train-00000-of-00002-cd34.parquet", "test-00000-of-00001.parquet"];
        let names = names.map(|name| format!("{dir}{name}"));
        let [b, a, test] = names.each_ref().map(String::as_str);
        assert_eq!(split(&[b, a, test, "README.md", ".cache/train.parquet"]), [vec![a, b], vec![test]]);
    }
    let [train, test] = ["default/train/0000.parquet", "default/validation/0000.parquet"];
    assert_eq!(split(&[test, train, "default/test/0000.parquet"]), [vec![train], vec![test]]);
    assert_eq!(split(&["train.parquet", "Test.PARQUET"]), [vec!["train.parquet"], vec!["Test.PARQUET"]]);
    assert_eq!(split(&["b.parquet", "a.parquet"]), [vec!["a.parquet", "b.parquet"], vec![]]);
}

#[test]
fn what_is_not_clear_is_refused() {
    assert_eq!(found(&["a.txt", "data/b.csv", "x/y/z/train.parquet"]), Ok(None));
    let several = found(&["fine/train-0.parquet", "fine/test-0.parquet", "coarse/train/0.parquet"]).unwrap_err();
    assert!(
        several.contains("several datasets") && several.contains("coarse and ") && several.contains("fine"),
        "{several}"
    );
    let test = found(&["data/test-0.parquet"]).unwrap_err();
    assert!(test.contains("training images"), "{test}");
}

#[cfg(not(feature = "parquet"))]
#[test]
fn another_build_is_asked_for() {
    let error = super::super::opened(Path::new("tests/parquet/published"), false).err().unwrap().to_string();
    assert!(
        error.contains("published: it has Parquet files, which need another build: `--features parquet`"),
        "{error}"
    );
}
