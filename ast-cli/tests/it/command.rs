//! Tests of the real binary: what it lists, trains, writes and refuses, and its exit codes.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use crate::common::LITTLE;
use serde_json::Value;

fn ast(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ast"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("AST_")) {
        command.env_remove(name);
    }
    command.args(args).output().expect("the binary starts")
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A run of a few steps into `out`.
fn train(out: &Path, more: &[&str]) -> Output {
    let out = out.to_str().unwrap();
    let small = ["--set", "data.train_limit=256", "--epochs", "4", "--activation", "0.25", "--batch-size", "16"];
    ast(&[&["train", "--out", out, "--json"], &LITTLE[..], &small, more].concat())
}

fn summary(output: &Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = stdout(output);
    assert_eq!(text.lines().count(), 1, "--json prints one line: {text}");
    serde_json::from_str(&text).unwrap()
}

fn metrics(folder: &Path) -> String {
    fs::read_to_string(folder.join("metrics.jsonl")).unwrap()
}

/// Asserts that the command fails with that code and one sentence with all these words, without a panic.
fn refused(args: &[&str], code: i32, words: &[&str]) {
    let output = ast(args);
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{args:?}: {message}");
    assert!(message.contains("error: "), "{args:?}: {message}");
    assert!(!message.contains("panicked"), "{args:?}: {message}");
    for word in words {
        assert!(message.contains(word), "{args:?} should mention {word}: {message}");
    }
}

/// Every scorer and policy compiled in is registered in the linked, optimised program.
#[test]
fn the_binary_lists_what_is_compiled_in() {
    let names = |output: Output| -> Vec<String> {
        stdout(&output).lines().map(|line| line.split_whitespace().next().unwrap().to_string()).collect()
    };
    let features = [
        ("el2n", cfg!(feature = "el2n")),
        ("entropy", cfg!(feature = "entropy")),
        ("forgetting", cfg!(feature = "forgetting")),
        ("grad-norm", cfg!(feature = "grad-norm")),
        ("loss", cfg!(feature = "loss")),
        ("loss-change", cfg!(feature = "loss-change")),
        ("loss-entropy", cfg!(feature = "loss-entropy")),
        ("loss-intensity", cfg!(feature = "loss-intensity")),
        ("margin", cfg!(feature = "margin")),
        ("random", cfg!(feature = "random")),
        ("reducible-loss", cfg!(feature = "reducible-loss")),
    ];
    let expected: Vec<&str> = features.iter().filter(|(_, on)| *on).map(|(name, _)| *name).collect();
    assert_eq!(names(ast(&["scorers"])), expected);
    // Every policy file defines a policy of the same name, and every policy is in one of these files.
    let files = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../ast-core/src/select/policies")).unwrap();
    let mut policies = Vec::new();
    for file in files.map(|file| file.unwrap().path()).filter(|path| path.extension().is_some_and(|end| end == "rs")) {
        let (stem, text) = (file.file_stem().unwrap().to_str().unwrap(), fs::read_to_string(&file).unwrap());
        let registered = text.split("register_policy! {").skip(1).map(|entry| entry.split('"').nth(1).unwrap());
        let registered: Vec<String> = registered.map(Into::into).collect();
        assert!(stem == "mod" || registered.contains(&stem.replace('_', "-")), "{stem}");
        policies.extend(registered);
    }
    policies.sort();
    assert!(policies.len() >= 16);
    assert_eq!(names(ast(&["policies"])), policies);
    // And every file of the zoo has a network, or several, whose names begin with its own.
    let files = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../ast-core/src/model/zoo")).unwrap();
    let stems = files.map(|file| file.unwrap().path().file_stem().unwrap().to_str().unwrap().replace('_', "-"));
    let models = names(ast(&["models"]));
    let mut families = stems.filter(|stem| stem != "mod");
    let is_listed = |family: String| models.iter().any(|model| model.starts_with(&family));
    assert!(!models.is_empty() && families.all(is_listed), "{models:?}");
    let listed: Value = serde_json::from_str(&stdout(&ast(&["policies", "--json"]))).unwrap();
    assert_eq!(listed[0]["params"][0]["name"], "lambda");
    assert!(stdout(&ast(&["scorers", "--markdown"])).starts_with("## Baselines\n\n| name |"));
}

#[test]
fn doctor_says_what_works() {
    let output = ast(&["doctor"]);
    assert!(output.status.success());
    let text = stdout(&output);
    for word in ["flex       works", "cuda ", "wgpu ", "threads", "energy"] {
        assert!(text.contains(word), "{word}: {text}");
    }
}

/// A run ends when its budget in seconds is spent, for any number of epochs. Evaluation and checkpoints are not
/// counted.
#[test]
fn seconds_are_a_budget() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("run");
    let seconds = summary(&train(&folder, &["--budget-seconds", "3"]))["seconds"].clone();
    let phase = |name: &str| seconds["phases"][name].as_f64().unwrap();
    let spent = seconds["total"].as_f64().unwrap() - phase("eval") - phase("checkpoint");
    assert!(spent >= 3.0, "{seconds}");
    // The number of steps depends on the machine. At the end of the budget the learning rate is 0, and nothing selected
    // later is trained.
    let log = metrics(&folder);
    let steps: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let idle = steps.iter().filter(|event| event["event"] == "step" && event["lr"] == 0.0).count();
    assert!(idle <= 2, "{idle} steps after the end of the budget: {log}");
}

#[test]
fn a_run_that_selects_no_sample_fails() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("run");
    let few = ["--set", "data.train_limit=64", "--epochs", "1", "--activation", "1e-3"];
    let output = ast(&[&["train", "--out", out.to_str().unwrap()], &LITTLE[..], &few].concat());
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{message}");
    assert!(message.contains("no sample was selected"), "{message}");
    assert!(!message.contains("nothing is read from"), "{message}");
}

/// A folder of images, without the dataset that reads it.
#[test]
fn a_folder_that_nothing_reads_is_a_warning() {
    let dir = tempfile::tempdir().unwrap();
    let few = ["--set", "data.train_limit=64", "--epochs", "1", "--activation", "0.5", "--progress", "none"];
    let place = ["--out", "run", "--data-dir", "photos"].map(|part| match part {
        "run" => dir.path().join("run").to_str().unwrap().to_string(),
        part => part.to_string(),
    });
    let output = ast(&[&["train"], &LITTLE[..], &few, &place.each_ref().map(String::as_str)[..]].concat());
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.success() && message.contains("nothing is read from photos: dataset `procedural`"),
        "{message}"
    );
    assert!(message.contains("warning: `ast` is `random` here"), "warnings are not progress: {message}");
}

#[cfg(unix)]
#[test]
fn names_that_are_not_valid_text_do_not_panic() {
    use std::os::unix::ffi::OsStrExt;
    let broken = std::ffi::OsStr::from_bytes(b"\xff");
    let run = |command: &mut Command| command.arg("train").args(["--data-dir"]).arg(broken).output().unwrap();
    let output = run(Command::new(env!("CARGO_BIN_EXE_ast")).env("UNRELATED", broken));
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{message}");
    assert!(message.contains("--data-dir") && !message.contains("panicked"), "{message}");
}

/// Writing to a closed pipe must not panic.
#[test]
fn a_closed_pipe_is_not_an_error() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output =
        Command::new(env!("CARGO_BIN_EXE_ast")).args(["scorers", "--markdown"]).stdout(writer).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_run_writes_all_its_files() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("run");
    let printed = summary(&train(&folder, &[]));
    let written: Value = serde_json::from_slice(&fs::read(folder.join("summary.json")).unwrap()).unwrap();
    assert_eq!(printed, written);
    for path in [
        "/accuracy/final",
        "/accuracy/best",
        "/epochs",
        "/steps",
        "/activation/target",
        "/activation/realised",
        "/samples/offered",
        "/samples/trained",
        "/samples/scored",
        "/flops/total",
        "/flops/dense_equivalent",
        "/seconds/total",
        "/seconds/phases/train",
        "/seconds/dense_equivalent",
        "/savings/samples",
        "/savings/flops",
        "/savings/seconds",
        "/schema",
    ] {
        assert!(written.pointer(path).is_some_and(Value::is_number), "{path}: {written}");
    }
    // Joules are measured if the machine has a readable counter. They are never 0; without a counter there is a reason.
    let method = written["joules"]["method"].as_str().unwrap();
    match written["joules"]["total"].as_f64() {
        Some(joules) => assert!(joules > 0.0 && method.starts_with("measured: "), "{method}"),
        None => assert!(method.starts_with("unavailable: "), "{method}"),
    }
    assert_eq!(written["savings"]["joules"], Value::Null);
    assert_eq!(written["samples"]["offered"], 1024);
    assert!((written["activation"]["realised"].as_f64().unwrap() - 0.25).abs() < 0.02);

    let events: Vec<Value> = metrics(&folder).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&events[0]["event"], &events[0]["schema"]), (&"started".into(), &1.into()));
    let steps = events.iter().filter(|event| event["event"] == "step").count();
    assert_eq!(written["steps"], steps);

    let run: Value = serde_json::from_slice(&fs::read(folder.join("run.json")).unwrap()).unwrap();
    assert_eq!(run["device"], "flex");
    assert_eq!(run["data"].as_str().unwrap().len(), 64);
    let picture = fs::read_to_string(folder.join("run.svg")).unwrap();
    for word in ["<svg", "activation rate", "accuracy"] {
        assert!(picture.contains(word), "{word}");
    }
}

/// A run repeated from its own config.toml gives the same bits, for any number of loader workers and threads.
#[test]
fn a_run_is_repeated_bit_for_bit_from_its_own_configuration() {
    let dir = tempfile::tempdir().unwrap();
    let folder = |name: &str| dir.path().join(name);
    summary(&train(&folder("first"), &["--seed", "5"]));
    let config = folder("first").join("config.toml");
    let expected = metrics(&folder("first"));
    for (name, more) in [
        ("again", ["--threads", "0"]),
        ("workers-0", ["--set", "data.workers=0"]),
        ("workers-4", ["--set", "data.workers=4"]),
        ("threads-1", ["--threads", "1"]),
        ("threads-3", ["--threads", "3"]),
    ] {
        let out = folder(name);
        let base = ["train", "--config", config.to_str().unwrap(), "--out", out.to_str().unwrap()];
        assert!(ast(&[&base[..], &more[..]].concat()).status.success());
        assert!(metrics(&out) == expected, "{name} differs");
    }
    let out = folder("other-seed");
    let base = ["train", "--config", config.to_str().unwrap(), "--out", out.to_str().unwrap(), "--seed", "6"];
    assert!(ast(&base).status.success());
    assert!(metrics(&out) != expected, "another seed must differ");
}

#[test]
fn bad_arguments_are_refused_in_one_sentence() {
    refused(&["train", "--scorer", "entrpy"], 2, &["entrpy", "did you mean `entropy`", "--features"]);
    refused(&["train", "--policy", "rand"], 2, &["did you mean `random`", "ast, curriculum, dense"]);
    refused(&["train", "--preset", "quickstrat"], 2, &["did you mean `quickstart`"]);
    refused(&["train", "--model", "simple-cn"], 2, &["did you mean `simple-cnn`"]);
    refused(&["train", "--set", "train.epoch=3"], 2, &["train.epoch", "did you mean `train.epochs`"]);
    refused(
        &["train", "--set", "data.name=cifar"],
        2,
        &["dataset `cifar` is not compiled in; there are: arrays, cifar10, ", "did you mean `cifar10`"],
    );
    refused(&["train", "--activation", "0"], 2, &["control.target", "(0, 1]"]);
    refused(&["train", "--activation", "1.01"], 2, &["control.target"]);
    refused(&["train", "--activation", "nan"], 2, &["control.target"]);
    refused(&["train", "--set", "control.ki=99"], 2, &["unstable"]);
    refused(&["train", "--set", "policy.lambda=2"], 2, &["lambda", "0..=0.95"]);
    let p_min = ["train", "--policy", "selective-backprop", "--set", "policy.p_min=0.5"];
    refused(&p_min, 2, &["`p_min` = 0.5 is not at most the rate, 0.1"]);
    refused(&["train", "--set", "data.train_limit=0"], 2, &["data.train_limit"]);
    refused(&["train", "--set", "data.train_limit=9223372036854775807"], 2, &["data.train_limit"]);
    refused(&["train", "--seed", "9223372036854775808"], 2, &["--seed"]);
    refused(&["train", "--seed=-1"], 2, &["--seed"]);
    refused(&["train", "--preset", "cifar10"], 2, &["--data-dir", "AST_DATA_DIR"]);
    refused(&["train", "--preset", "cifar10", "--data-dir", "/nowhere"], 65, &["/nowhere", "test_batch.bin"]);
    refused(&["train", "--device", "tpu"], 2, &["no device `tpu`"]);
    refused(&["config", "show", "--set", "device.name=tpu"], 2, &["no device `tpu`"]);
    refused(&["config", "show", "--seed", "-1"], 2, &["'--seed <SEED>'"]);
    refused(
        &["train", "--set", "epochs.train=3"],
        2,
        &["no section `epochs`", "there are budget, ", "`train.epochs`?"],
    );
    refused(&["train", "--device", "cuda"], 69, &["cuda"]);
    refused(&["train", "--config", "no/such/file.toml"], 74, &["no/such/file.toml"]);
    refused(&["train", "--out", "/proc/nowhere"], 73, &["/proc/nowhere"]);
    let unknown = ast(&["train", "--scorr", "loss"]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("--scorer"));
}

#[test]
fn a_folder_that_is_not_empty_is_not_changed() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("precious.txt"), "mine").unwrap();
    refused(&["train", "--out", dir.path().to_str().unwrap()], 73, &["not empty", "nothing was changed"]);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn the_error_for_divergence_names_step_and_sample() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("run");
    let output = train(&folder, &["--lr", "1e30"]);
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(65), "{message}");
    assert!(message.contains("at step") && message.contains("lower learning rate"), "{message}");
    assert!(folder.join("metrics.jsonl").exists() && !folder.join("summary.json").exists());
}

/// Layers: preset < file < variable < --set < flag.
#[test]
fn layers_override_each_other_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("mine.toml");
    fs::write(&file, "[train]\nepochs = 2\nseed = 2\nlr = 2e-3\nbatch_size = 2\n[data]\ntrain_limit = 64\n").unwrap();
    let out = dir.path().join("run");
    let output = Command::new(env!("CARGO_BIN_EXE_ast"))
        .args(["train", "--config", file.to_str().unwrap(), "--out", out.to_str().unwrap()])
        .args(LITTLE)
        .args(["--set", "train.lr=4e-3", "--set", "train.batch_size=4", "--batch-size", "8"])
        .env("AST__TRAIN__SEED", "3")
        .env("AST__TRAIN__LR", "3e-3")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let config: toml::Table = fs::read_to_string(out.join("config.toml")).unwrap().parse().unwrap();
    let train = &config["train"];
    assert_eq!(train["epochs"].as_integer(), Some(2), "from the file");
    assert_eq!(train["seed"].as_integer(), Some(3), "from the variable");
    assert_eq!(train["lr"].as_float(), Some(4e-3), "from --set");
    assert_eq!(train["batch_size"].as_integer(), Some(8), "from the flag");
}
