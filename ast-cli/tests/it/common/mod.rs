//! Helpers that start, resume and signal the program on a small run and read its files.
#![allow(dead_code)] // each test uses its part

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// A network of four thousand parameters on generated images of 8 x 8 pixels, for tests that only need some run: a sample
/// costs a thousandth of what it costs by default.
pub(crate) const LITTLE: [&str; 2] = ["--set=data.size=8", "--set=model.width=4"];

/// The part of [`LITTLE`] that fits a command: all of it, where it names neither data nor a network of its own.
pub(crate) fn little(args: &[&str]) -> Vec<&'static str> {
    // Networks for ImageNet take no small images.
    let is_large = args.contains(&"model.stem=imagenet");
    let names = |flag: &str| args.contains(&flag) || args.contains(&"--preset") || is_large;
    [("--dataset", LITTLE[0]), ("--model", LITTLE[1])]
        .into_iter()
        .filter(|(flag, _)| !names(flag))
        .map(|(_, set)| set)
        .collect()
}

pub(crate) const SMALL: [&str; 11] = [
    LITTLE[0],
    LITTLE[1],
    "--set=data.train_limit=256",
    "--set=train.epochs=8",
    "--activation=0.2",
    "--batch-size=16",
    "--set=checkpoint.every_steps=2",
    "--set=eval.every_epochs=3",
    "--seed=5",
    "--threads=1",
    "--progress=none",
];

/// The program with default signal handling. A shell that starts the tests in the background may have ignored some
/// signals, and the program would respect that.
pub(crate) fn program() -> Command {
    let mut command = Command::new("env");
    command.args(["--default-signal=HUP,INT,TERM,USR1", env!("CARGO_BIN_EXE_ast")]);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("AST_")) {
        command.env_remove(name);
    }
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).arg("train");
    command
}

pub(crate) fn start(out: &Path, more: &[&str]) -> Command {
    let mut command = program();
    command.args(SMALL).args(more).arg("--out").arg(out);
    command
}

pub(crate) fn resume(run: &Path) -> Command {
    let mut command = program();
    command.args(["--threads=1", "--progress=none", "--resume"]).arg(run);
    command
}

pub(crate) fn stderr(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!text.contains("panicked") && !text.contains("bug in ast"), "{text}");
    text
}

pub(crate) fn succeed(mut command: Command) -> String {
    let output = command.output().unwrap();
    let text = stderr(&output);
    assert!(output.status.success(), "{:?}: {text}", output.status);
    text
}

/// The result of a finished run, without clocks and without the record that it was resumed.
#[derive(PartialEq)]
pub(crate) struct Result {
    pub(crate) weights: Vec<u8>,
    pub(crate) best: Vec<u8>,
    pub(crate) metrics: Vec<String>,
    pub(crate) summary: Value,
}

pub(crate) fn result(run: &Path) -> Result {
    let metrics = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let mut summary: Value = serde_json::from_slice(&fs::read(run.join("summary.json")).unwrap()).unwrap();
    for path in ["/seconds/total", "/seconds/phases", "/seconds/dense_equivalent", "/savings/seconds"] {
        *summary.pointer_mut(path).unwrap() = Value::Null;
    }
    Result {
        weights: fs::read(run.join("model.safetensors")).unwrap(),
        best: fs::read(run.join("best.safetensors")).unwrap(),
        metrics: metrics.lines().filter(|line| !line.contains("\"resumed\"")).map(ToString::to_string).collect(),
        summary,
    }
}

pub(crate) fn assert_same(run: &Path, expected: &Result, what: &str) {
    let got = result(run);
    assert_eq!(got.metrics, expected.metrics, "{what}");
    assert_eq!(got.summary, expected.summary, "{what}");
    assert!(got.weights == expected.weights && got.best == expected.best, "{what}: other weights");
}

pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(|entry| entry.unwrap().path()) {
        let target = to.join(entry.file_name().unwrap());
        if entry.is_dir() {
            copy(&entry, &target);
        } else {
            fs::copy(&entry, &target).unwrap();
        }
    }
}

pub(crate) fn steps(run: &Path) -> Vec<PathBuf> {
    let mut steps: Vec<_> = fs::read_dir(run.join("checkpoints")).unwrap().map(|entry| entry.unwrap().path()).collect();
    steps.sort();
    steps
}

pub(crate) fn signal(child: &Child, name: &str) {
    assert!(Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status().unwrap().success());
}

/// A run that ends only when it is told to.
pub(crate) const ENDLESS: &str = "--set=train.epochs=100000";

/// Only for a program that hangs: what a test asserts does not depend on how fast the machine is.
const HUNG: Duration = Duration::from_secs(600);

/// Waits until it is so, which it must be before the program ends.
pub(crate) fn wait_until(child: &mut Child, what: &str, is_so: impl Fn() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(child.try_wait().unwrap().is_none(), "the program ended before {what}");
        assert!(begin.elapsed() < HUNG, "the program hangs before {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Bytes of the log of a run.
pub(crate) fn logged(run: &Path) -> u64 {
    fs::metadata(run.join("metrics.jsonl")).map_or(0, |file| file.len())
}

/// Waits until the run has logged some steps more.
pub(crate) fn goes_on(child: &mut Child, run: &Path) {
    let before = logged(run);
    wait_until(child, "it went on", || logged(run) > before + 600);
}

/// Thirty-one steps of a run that selects nothing.
pub(crate) const DENSE: [&str; 10] = [
    LITTLE[0],
    LITTLE[1],
    "--policy=dense",
    "--epochs=10",
    "--set=data.train_limit=100",
    "--batch-size=32",
    "--set=checkpoint.every_steps=5",
    "--seed=5",
    "--threads=1",
    "--progress=none",
];

pub(crate) fn dense(out: &Path) -> Command {
    let mut command = program();
    command.args(DENSE).arg("--out").arg(out);
    command
}

/// Runs until its log tells of a step, then sends SIGTERM.
pub(crate) fn stop_after(command: Command, run: &Path, step: u64) -> String {
    stop_by(("TERM", 143), command, run, step)
}

/// Runs until its log tells of a step, then sends a signal, at which the program is to end with that code.
pub(crate) fn stop_by((name, code): (&str, i32), mut command: Command, run: &Path, step: u64) -> String {
    let log = || fs::read_to_string(run.join("metrics.jsonl")).unwrap_or_default();
    let (before, line) = (log(), format!("{{\"event\":\"step\",\"step\":{step},"));
    let mut child = command.spawn().unwrap();
    wait_until(&mut child, &format!("step {step}"), || {
        let now = log();
        now != before && now.contains(&line)
    });
    signal(&child, name);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(code), "{name}: {}", stderr(&output));
    stderr(&output)
}

/// Every file and folder, except the operating system's own.
pub(crate) fn tree(folder: &Path) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
    let mut found = BTreeMap::new();
    for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            found.extend(tree(&path));
            found.insert(path, None);
        } else {
            found.insert(path.clone(), Some(fs::read(path).unwrap()));
        }
    }
    found
}

/// A run of [`SMALL`] just before its end, with two checkpoints, and the result of the finished run.
pub(crate) fn unfinished(folder: &Path) -> (PathBuf, Result) {
    let whole = folder.join("whole");
    succeed(start(&whole, &[]));
    let expected = result(&whole);
    fs::remove_file(whole.join("summary.json")).unwrap();
    (whole, expected)
}

/// A file of NumPy with bytes.
pub(crate) fn npy(shape: &str, values: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}");
    let header = format!("{header:117}\n");
    let length = u16::try_from(header.len()).unwrap().to_le_bytes();
    [b"\x93NUMPY\x01\x00", &length[..], header.as_bytes(), values].concat()
}
