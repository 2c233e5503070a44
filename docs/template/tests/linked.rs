//! The program of this crate has its plugins beside those of AST, and trains with each.
#![forbid(unsafe_code)]

use std::path::Path;
use std::process::Command;

/// One line for each plugin: the command that lists it, its name, and the flags of a run with it.
const PLUGINS: &[(&str, &str, &[&str])] = &[
    ("scorers", "doubt", &["--scorer", "doubt", "--set", "scorer.power=2"]),
    ("scorers", "least-confident", &["--scorer", "least-confident"]),
    ("policies", "wrong-first", &["--policy", "wrong-first", "--set", "policy.coverage=0.4"]),
    ("models", "two-conv", &["--model", "two-conv", "--set", "model.width=4"]),
    ("datasets", "gratings", &["--dataset", "gratings", "--set", "data.noise=0.1"]),
    ("optimizers", "heavy-ball", &["--optimizer", "heavy-ball", "--set", "optimizer.momentum=0.8"]),
];

/// Runs the program and returns what it prints.
fn ast(args: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_my-plugin")).args(args).output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Trains on 200 samples and returns the summary of the run.
fn train(name: &str, args: &[&str]) -> serde_json::Value {
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("my-plugin").join(name);
    let _ = std::fs::remove_dir_all(&out);
    ast(&[&["train", "--out", out.to_str().unwrap(), "--set", "data.train_limit=200"], args].concat());
    serde_json::from_str(&std::fs::read_to_string(out.join("summary.json")).unwrap()).unwrap()
}

#[test]
fn every_plugin_is_listed_and_used() {
    for &(kind, name, flags) in PLUGINS {
        let text = ast(&[kind]);
        let names: Vec<&str> = text.lines().filter_map(|line| line.split_whitespace().next()).collect();
        assert!(names.contains(&name) && names.len() > 1, "it is listed beside those of AST: {text}");
        let summary = train(name, &[flags, &["--epochs", "2"]].concat());
        assert!(summary["samples"]["trained"].as_u64() > Some(0), "{name}: {summary}");
    }
}

/// Dataset, network, optimizer and policy together learn the four angles: chance is 25 %.
#[test]
fn a_run_of_nothing_but_plugins_learns() {
    let plugins = PLUGINS[2..].iter().flat_map(|(_, _, flags)| flags.iter().copied());
    let run = ["--activation", "0.5", "--epochs", "20", "--batch-size", "20", "--lr", "0.1"];
    let summary = train("all", &plugins.chain(run).collect::<Vec<_>>());
    let accuracy = summary["accuracy"]["final"].as_f64().unwrap();
    assert!(accuracy > 70.0, "{accuracy} %: {summary}");
}
