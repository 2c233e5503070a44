//! Every registered dataset keeps the contract, with its defaults and with other parameters.

use std::collections::BTreeSet;
use std::fs;
use std::iter::repeat_n;
use std::path::{Path, PathBuf};

use ast_core::data::{BuildDataset, ReadRequest};
use ast_core::plugin::{Params, Registry};
use ast_core::random::Random;
use ast_core::testing::check_dataset;
use ast_data as _;

/// A dataset with parameters.
type Case = (&'static str, &'static [(&'static str, f64)]);

/// Those that are generated.
const GENERATED: &[Case] = &[
    ("procedural", &[]),
    ("procedural", &[("hard", 0.0), ("mislabelled", 0.0)]),
    ("procedural", &[("hard", 1.0), ("mislabelled", 0.0)]),
    ("procedural", &[("hard", 0.0), ("mislabelled", 1.0)]),
];

/// Those that are read from the folder AST_DATA_DIR.
const OF_FILES: &[Case] = &[("cifar10", &[])];

/// Those whose files the tests make up, here and in the crate.
const MADE_UP: &[&str] = &["arrays", "cifar100", "fashion-mnist", "image-folder", "mnist", "text", "tiny-shakespeare"];

fn check((name, params): Case, dir: Option<PathBuf>) {
    println!("{name} {params:?}");
    let entry = Registry::<BuildDataset>::linked().unwrap().get(name).unwrap();
    let given = params.iter().map(|(key, value)| ((*key).to_string(), (*value).into())).collect();
    let source = (entry.build)(&Params::resolve(entry.params, &given).unwrap()).unwrap();
    check_dataset(
        source.as_ref(),
        &ReadRequest { dir: dir.as_deref(), random: Random::new(1), samples: Some(300), preprocessing: None },
    );
}

#[test]
fn every_dataset_is_checked() {
    let registered: BTreeSet<&str> =
        Registry::<BuildDataset>::linked().unwrap().iter().map(|entry| entry.name).collect();
    let checked = GENERATED.iter().chain(OF_FILES).map(|(name, _)| *name).chain(MADE_UP.iter().copied());
    assert_eq!(registered, checked.collect(), "every registered dataset has a line in GENERATED, OF_FILES or MADE_UP");
}

#[test]
fn generated_datasets_keep_the_contract() {
    GENERATED.iter().for_each(|case| check(*case, None));
}

/// With CI=true the files must be there.
#[test]
fn datasets_of_files_keep_the_contract() {
    let Some(dir) = std::env::var_os("AST_DATA_DIR").map(PathBuf::from) else {
        assert!(std::env::var_os("CI").is_none(), "CI must set AST_DATA_DIR to a folder with every dataset");
        println!("not run: AST_DATA_DIR is not set");
        return;
    };
    OF_FILES.iter().for_each(|case| check(*case, Some(dir.clone())));
}

#[test]
fn datasets_of_made_up_files_keep_the_contract() {
    let dir = tempfile::tempdir().unwrap();
    let at = |path: &str| {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        path
    };
    let cifar = |records: usize, shift: usize| -> Vec<u8> {
        let record = |r| [(r % 20) as u8, (r % 100) as u8].into_iter().chain(repeat_n(((r + shift) % 251) as u8, 3072));
        (0..records).flat_map(record).collect()
    };
    fs::write(at("cifar-100-binary/train.bin"), cifar(50_000, 0)).unwrap();
    fs::write(at("cifar-100-binary/test.bin"), cifar(10_000, 1)).unwrap();
    for folder in ["mnist", "fashion-mnist"] {
        for (split, n) in [("train", 70_u8), ("t10k", 80)] {
            let images = [0, 0, 8, 3, 0, 0, 0, n, 0, 0, 0, 28, 0, 0, 0, 28].into_iter();
            let images: Vec<u8> = images.chain((0..n).flat_map(|i| [i; 784])).collect();
            let labels: Vec<u8> = [0, 0, 8, 1, 0, 0, 0, n].into_iter().chain((0..n).map(|i| i % 10)).collect();
            fs::write(at(&format!("{folder}/{split}-images-idx3-ubyte")), images).unwrap();
            fs::write(at(&format!("{folder}/{split}-labels-idx1-ubyte")), labels).unwrap();
        }
    }
    for split in ["train.npz", "test.npz"] {
        fs::copy(Path::new("tests/arrays").join(split), at(split)).unwrap();
    }
    let line = |n: u32| format!("{n} of them are not what they seem to be.\n");
    fs::write(at("input.txt"), (0..99).map(line).collect::<String>()).unwrap();
    for name in ["train/a/1.jpg", "train/b/2.jpg", "val/a/3.jpg"] {
        fs::copy("tests/image_folder/baseline.jpg", at(name)).unwrap();
    }
    MADE_UP.iter().for_each(|name| check((name, &[]), Some(dir.path().to_path_buf())));
}
