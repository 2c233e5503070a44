//! Every registered dataset keeps the contract, with its defaults and with other parameters.
#![forbid(unsafe_code)]

use std::collections::BTreeSet;
use std::path::PathBuf;

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

fn check((name, params): Case, dir: Option<PathBuf>) {
    println!("{name} {params:?}");
    let entry = Registry::<BuildDataset>::linked().unwrap().get(name).unwrap();
    let given = params.iter().map(|(key, value)| ((*key).to_string(), (*value).into())).collect();
    let source = (entry.build)(&Params::resolve(entry.params, &given).unwrap()).unwrap();
    check_dataset(source.as_ref(), &ReadRequest { dir: dir.as_deref(), random: Random::new(1), samples: Some(300) });
}

#[test]
fn every_dataset_is_checked() {
    let registered: BTreeSet<&str> =
        Registry::<BuildDataset>::linked().unwrap().iter().map(|entry| entry.name).collect();
    let checked: BTreeSet<&str> = GENERATED.iter().chain(OF_FILES).map(|(name, _)| *name).collect();
    assert_eq!(registered, checked, "every registered dataset has a line in GENERATED or OF_FILES");
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
