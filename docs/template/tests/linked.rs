//! The program of this crate has its plugins beside those of AST, and trains with each.
#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};
use std::process::Command;

/// Runs the program and returns what it prints.
fn ast(args: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_my-plugin")).args(args).output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Trains into a folder of that name, which is emptied before.
fn train(name: &str, args: &[&str]) -> PathBuf {
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("my-plugin").join(name);
    let _ = std::fs::remove_dir_all(&out);
    ast(&[&["train", "--out", out.to_str().unwrap(), "--set", "data.train_limit=200"], args].concat());
    out
}

#[test]
fn plugins_are_listed_beside_those_of_ast() {
    for (kind, mine, theirs) in [
        ("scorers", "doubt", "loss"),
        ("scorers", "least-confident", "margin"),
        ("policies", "wrong-first", "random"),
        ("models", "two-conv", "simple-cnn"),
        ("datasets", "gratings", "procedural"),
        ("optimizers", "heavy-ball", "adam"),
    ] {
        let text = ast(&[kind]);
        let names: Vec<&str> = text.lines().filter_map(|line| line.split_whitespace().next()).collect();
        assert!(names.contains(&mine) && names.contains(&theirs), "{text}");
    }
}

#[test]
fn runs_use_the_scorers() {
    for (scorer, params) in [("doubt", &["--set", "scorer.power=2"][..]), ("least-confident", &[])] {
        let out = train(scorer, &[&["--scorer", scorer, "--epochs", "2"], params].concat());
        let provenance = std::fs::read_to_string(out.join("run.json")).unwrap();
        assert!(provenance.contains("\"scorer_origin\": \"my-plugin\""), "{scorer}: {provenance}");
    }
}

/// Dataset, network, optimizer and policy together, each with a parameter, learn the four angles: chance is 25 %.
#[test]
fn a_run_of_nothing_but_plugins_learns() {
    let names =
        ["--dataset", "gratings", "--model", "two-conv", "--optimizer", "heavy-ball", "--policy", "wrong-first"];
    let params = ["data.noise=0.1", "model.width=8", "optimizer.momentum=0.8", "policy.coverage=0.4"];
    let length = ["--activation", "0.5", "--epochs", "20", "--batch-size", "20", "--lr", "0.1"];
    let params: Vec<&str> = params.into_iter().flat_map(|param| ["--set", param]).collect();
    let out = train("all", &[&names[..], &params, &length].concat());
    let summary = std::fs::read_to_string(out.join("summary.json")).unwrap();
    let summary: serde_json::Value = serde_json::from_str(&summary).unwrap();
    let accuracy = summary["accuracy"]["final"].as_f64().unwrap();
    assert!(accuracy > 70.0, "{accuracy} %: {summary}");
}
