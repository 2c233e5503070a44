//! Extreme values through the real program: refused with the key named, or a run without a panic.

use std::process::{Command, Output};
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::common::LITTLE;
use serde_json::Value;

/// More values are tested in process, in `config/extremes.rs`.
const VALUES: [&str; 10] = ["0", "-1", "1.5", "inf", "1e18", "9223372036854775807", "\"\"", "true", "[0.5]", "5e-324"];

fn ast(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ast"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("AST_")) {
        command.env_remove(name);
    }
    command.args(args).output().expect("the binary starts")
}

/// A run of two or three steps with these settings.
fn tiny(set: &[String]) -> Output {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("run");
    let mut args =
        vec!["train", "--out", out.to_str().unwrap(), "--set=data.train_limit=24", "--set=train.batch_size=8"];
    args.extend(["--set=train.epochs=1", "--set=control.target=0.9", "--set=device.threads=1", "--progress=none"]);
    args.extend(LITTLE);
    // Evaluation on eight images instead of 500.
    args.push("--set=data.validation=8");
    for assignment in set {
        args.extend(["--set", assignment]);
    }
    ast(&args)
}

/// Runs all cases in separate processes, two at a time. Returns the number of accepted ones.
fn check(cases: &[Vec<String>]) -> usize {
    let (next, accepted) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let work = || {
        while let Some(set) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
            let output = tiny(set);
            let message = String::from_utf8_lossy(&output.stderr).into_owned();
            let last = set.last().unwrap();
            let key = last.split('=').next().unwrap().rsplit('.').next().unwrap();
            assert!(!message.contains("panicked"), "{set:?}: {message}");
            match output.status.code() {
                // Accepted and done; or the run diverged or selected no sample, with values that are allowed but
                // useless.
                Some(0 | 65) => accepted.fetch_add(1, Ordering::Relaxed),
                Some(2) if message.contains("no sample was selected") => accepted.fetch_add(1, Ordering::Relaxed),
                Some(2 | 69) if message.contains(key) || key == "name" => 0,
                code => panic!("{set:?}: {code:?}: {message}"),
            };
        }
    };
    std::thread::scope(|scope| {
        let (one, two) = (scope.spawn(work), scope.spawn(work));
        one.join().unwrap();
        two.join().unwrap();
    });
    accepted.into_inner()
}

/// The keys of a run's own config.toml, and the few it omits because they have no default.
#[test]
fn every_key_of_a_run() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("run");
    let small = ["--set=data.train_limit=24", "--epochs=1", "--activation=0.9", "--progress=none"];
    let output = ast(&[&["train", "--out", out.to_str().unwrap()], &LITTLE[..], &small].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let config: toml::Table = std::fs::read_to_string(out.join("config.toml")).unwrap().parse().unwrap();
    let of_section = |(section, keys): (&String, &toml::Value)| -> Vec<String> {
        keys.as_table().unwrap().keys().map(|key| format!("{section}.{key}")).collect()
    };
    let mut keys: Vec<String> = config.iter().flat_map(of_section).collect();
    keys.extend(["data.validation", "budget.fraction", "budget.seconds"].map(String::from));
    assert!(keys.len() >= 30, "{keys:?}");
    let cases: Vec<_> = keys.iter().flat_map(|key| VALUES.map(|value| vec![format!("{key}={value}")])).collect();
    let accepted = check(&cases);
    assert!(accepted >= 15, "{accepted} of {}", cases.len());
}

/// Every number of every policy and scorer: both ends of its range, just outside, and invalid values.
#[test]
fn every_parameter_of_a_run() {
    let mut cases = Vec::new();
    for (section, list) in [("policy", "policies"), ("scorer", "scorers")] {
        let listed: Value = serde_json::from_slice(&ast(&[list, "--json"]).stdout).unwrap();
        for entry in listed.as_array().unwrap() {
            for param in entry["params"].as_array().unwrap() {
                let (name, param, allowed) = (&entry["name"], &param["name"], param["allowed"].as_str().unwrap());
                let set = |value: &str| {
                    let text = |value: &Value| value.as_str().unwrap().to_string();
                    vec![format!("{section}.name={}", text(name)), format!("{section}.{}={value}", text(param))]
                };
                let ends = allowed.rsplit(' ').next().unwrap().split("..=");
                cases.extend(ends.map(set));
                cases.extend(["1.5", "nan"].map(set));
            }
        }
    }
    let accepted = check(&cases);
    assert!(cases.len() >= 90 && accepted >= 40, "{accepted} of {}", cases.len());
}

#[test]
fn errors_are_in_plain_words() {
    let refused = |set: &str, words: &[&str]| {
        let output = ast(&["train", "--set", set]);
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{set}: {message}");
        assert!(words.iter().all(|word| message.contains(word)), "{set}: {message}");
        for never in ["invalid type", "untagged", "f64", "u32", "there are: \n", "did you mean `train.seed`"] {
            assert!(!message.contains(never), "{set}: {message}");
        }
    };
    refused("train.lr=abc", &["`train.lr` = \"abc\" is not a number"]);
    refused("train.epochs=1.5", &["`train.epochs` = 1.5 is not an integer in 1..=1000000"]);
    refused("train.epochs=1e3", &["`train.epochs`", "write 1000"]);
    refused("train.on_nan=stop", &["`train.on_nan`", "\"stop\" is not one of abort, skip, rollback"]);
    refused("checkpoint.every_minutes=1e18", &["`checkpoint.every_minutes` = 1e18 is not a number in 0..=1000000"]);
    refused("policy.lambda=[0.5]", &["`policy.lambda` = [0.5] is not a number or a word"]);
    refused("policy.every=1.5", &["`every` = 1.5 is not an integer in 1..=1000"]);
    refused("train.weight_decay=0.1", &["there is no key `train.weight_decay`"]);
    refused("train.epoch=3", &["did you mean `train.epochs`?"]);
    refused("scorer.name=doubt", &["`doubt` is not compiled in", "`use my_crate as _;`", "--features"]);
    let output = ast(&["train", "--policy", "random", "--set", "policy.lambda=0.5"]);
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(message.contains("policy `random`: unknown parameter `lambda`; it has no parameters"), "{message}");
}

/// A batch larger than the dataset is allowed, with a warning that is also in the run's log.
#[test]
fn a_batch_larger_than_the_data_leads_to_a_warning() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("run");
    let args =
        ["train", "--batch-size=512", "--set=data.train_limit=200", "--epochs=4", "--out", out.to_str().unwrap()];
    let output = ast(&[&args[..], &LITTLE].concat());
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    let words = "a batch of 512 is larger than the 200 training samples";
    assert!(output.status.success() && message.contains(&format!("warning: {words}")), "{message}");
    assert!(std::fs::read_to_string(out.join("metrics.jsonl")).unwrap().contains(words));
}
