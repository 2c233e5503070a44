//! The registry as another crate sees it: it lists exactly the scorers of the folder, and each keeps the contract.
#![forbid(unsafe_code)]

use std::collections::BTreeSet;

use ast_core::plugin::{Params, Registry};
use ast_core::score::ScorerEntry;
use ast_core::testing::check_scorer;
use ast_scoring as _;

fn linked() -> Vec<&'static ScorerEntry> {
    Registry::linked().expect("no name twice").iter().collect()
}

/// File stem (`-` for `_`), cargo feature and run-time name agree. Needs all features, as the test command sets them.
#[test]
fn file_feature_and_name_are_one() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src");
    let stems: BTreeSet<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path().file_stem().unwrap().to_str().unwrap().replace('_', "-"))
        .filter(|stem| stem != "lib")
        .collect();
    let manifest = include_str!("../Cargo.toml");
    let features: BTreeSet<String> =
        manifest.lines().filter_map(|line| line.strip_suffix(" = []")).map(str::to_string).collect();
    let names: BTreeSet<String> = linked().iter().map(|entry| entry.name.to_string()).collect();
    assert_eq!(stems, features);
    assert_eq!(stems, names);
}

#[test]
fn every_scorer_keeps_the_contract() {
    for entry in linked() {
        println!("{}", entry.name);
        let params = Params::resolve(entry.params, &Default::default()).unwrap();
        check_scorer((entry.build)(&params).unwrap().as_ref());
    }
}

#[test]
fn every_scorer_is_documented() {
    for entry in linked() {
        assert_eq!(entry.origin, "ast-scoring");
        assert!(entry.summary.len() > 20 && entry.summary.len() < 120, "{}: {}", entry.name, entry.summary);
        assert!(entry.params.iter().all(|param| !param.summary.is_empty()));
    }
}
