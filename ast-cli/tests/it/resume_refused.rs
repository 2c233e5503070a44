//! `--resume` with damaged, missing or foreign files: it continues, or refuses without changing anything.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::common::{
    self, LITTLE, assert_same, copy, dense, logged, program, result, resume, start, stderr, steps, stop_after, succeed,
    tree, unfinished,
};
use serde_json::Value;

/// Asserts exit code 65, these words, and an unchanged folder.
fn refuse(mut command: Command, run: &Path, words: &[&str]) {
    let before = tree(run);
    let output = command.output().unwrap();
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(65), "{text}");
    for word in words.iter().chain(&["--start-over` moves the old files aside", "nothing was changed"]) {
        assert!(text.contains(word), "{word}: {text}");
    }
    assert!(tree(run) == before, "something was changed: {text}");
}

fn over(run: &Path) -> Command {
    let mut command = resume(run);
    command.arg("--start-over");
    command
}

fn numbers(run: &Path) -> Vec<u64> {
    let name = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().to_string();
    steps(run).iter().filter_map(|path| name(path).strip_prefix("step-")?.parse().ok()).collect()
}

fn append(file: PathBuf, bytes: &[u8]) {
    let content = [fs::read(&file).unwrap(), bytes.to_vec()].concat();
    fs::write(file, content).unwrap();
}

/// A run whose checkpoints are all damaged is refused. After --start-over it keeps what it writes, even if it is
/// stopped early.
#[test]
fn no_good_checkpoint_is_refused_and_start_over_begins_again() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, run) = (folder.path().join("whole"), folder.path().join("run"));
    succeed(dense(&whole));
    stop_after(dense(&run), &run, 11);
    let damaged = numbers(&run);
    assert_eq!(damaged.len(), 2);
    for step in steps(&run) {
        append(step.join("weights.bpk"), b"x");
    }
    refuse(resume(&run), &run, &["no checkpoint can be used", "weights.bpk"]);
    let log = fs::read(run.join("metrics.jsonl")).unwrap();

    let text = stop_after(over(&run), &run, 7);
    assert!(text.contains("aside-1"), "{text}");
    let kept = numbers(&run);
    // The step at which it was stopped, and the last multiple of five before.
    assert!(kept.len() == 2 && kept[1] >= 7 && kept[0] == (kept[1] - 1) / 5 * 5, "{kept:?}");
    let aside = run.join("aside-1");
    assert_eq!(numbers(&aside), damaged);
    assert_eq!(fs::read(aside.join("metrics.jsonl")).unwrap(), log);
    for file in ["run.json", "config.toml"] {
        assert!(aside.join(file).is_file(), "{file}");
    }
    succeed(resume(&run));
    assert_same(&run, &result(&whole), "begun again");

    // Unknown formats, a second time. It is also refused if the run is finished.
    let (summary, hidden) = (run.join("summary.json"), folder.path().join("hidden"));
    fs::rename(&summary, &hidden).unwrap();
    for step in steps(&run) {
        let manifest = step.join("manifest.json");
        let text = fs::read_to_string(&manifest).unwrap();
        fs::write(manifest, text.replace("\"schema\":3", "\"schema\":99")).unwrap();
    }
    refuse(resume(&run), &run, &["no checkpoint can be used", "format 99"]);
    fs::rename(hidden, summary).unwrap();
    succeed(over(&run));
    assert_same(&run, &result(&whole), "begun again twice");
    assert_eq!(numbers(&run.join("aside-2")).len(), 2);
    assert!(run.join("aside-2/summary.json").is_file());
    assert_eq!(numbers(&aside), damaged, "what was put aside first stays");
}

/// Checkpoints that were skipped are moved aside: they are kept, but not counted.
#[test]
fn a_skipped_checkpoint_is_put_aside() {
    let folder = tempfile::tempdir().unwrap();
    let (run, expected) = unfinished(folder.path());
    let steps = steps(&run);
    append(steps[1].join("state.cbor"), b"x");
    let text = succeed(resume(&run));
    assert!(text.contains("checkpoint skipped") && text.contains("state.cbor"), "{text}");
    assert_same(&run, &expected, "from the one before");
    let aside = run.join("checkpoints/aside-1").join(steps[1].file_name().unwrap());
    assert!(aside.join("state.cbor").is_file());
    assert_eq!(numbers(&run).len(), 2);
}

/// The result is that of the checkpoint, and the log says which steps are missing.
#[test]
fn a_lost_log_leaves_a_gap() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, mut expected) = unfinished(folder.path());
    let log = fs::read(whole.join("metrics.jsonl")).unwrap();
    let first = log.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    for (number, left) in [None, Some(0), Some(first), Some(first + 9), Some(log.len() / 2)].into_iter().enumerate() {
        let run = folder.path().join(number.to_string());
        copy(&whole, &run);
        match left {
            None => fs::remove_file(run.join("metrics.jsonl")).unwrap(),
            Some(left) => fs::write(run.join("metrics.jsonl"), &log[..left]).unwrap(),
        }
        // Killed at once and resumed again: by then the log has its old length but another content.
        let mut killed = resume(&run).spawn().unwrap();
        let is_longer = || logged(&run) > left.unwrap_or(0) as u64;
        while number % 2 == 0 && !is_longer() && killed.try_wait().unwrap().is_none() {}
        killed.kill().unwrap();
        killed.wait().unwrap();
        if run.join("summary.json").exists() {
            fs::remove_file(run.join("summary.json")).unwrap();
        }
        let mut again = program();
        again.args(["--threads=1", "--progress=plain", "--resume"]).arg(&run);
        let text = succeed(again);
        assert!(text.contains("bytes of metrics.jsonl are missing"), "{text}");
        let lines = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
        let events: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let gaps: Vec<&Value> = events.iter().filter(|event| event["event"] == "gap").collect();
        assert_eq!(gaps.len(), 1, "{lines}");
        let last = common::steps(&whole).pop().unwrap().join("manifest.json");
        let manifest: Value = serde_json::from_slice(&fs::read(last).unwrap()).unwrap();
        let kept = left.map_or(0, |left| log[..left].iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1));
        let missing = manifest["run"]["metrics"].as_u64().unwrap() - kept as u64;
        assert_eq!((&gaps[0]["step"], gaps[0]["bytes"].as_u64()), (&manifest["step"], Some(missing)));
        let mut got = result(&run);
        (got.metrics, expected.metrics) = (Vec::new(), Vec::new());
        assert!(got == expected, "another result with {left:?} bytes left");
        assert!(fs::read_to_string(run.join("run.svg")).unwrap().contains("accuracy"));
    }
}

/// If the whole log is lost and no step is left to train, there is nothing to draw.
#[test]
fn a_gap_up_to_the_end_is_not_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    succeed(start(&run, &["--set=checkpoint.every_steps=1"]));
    let mut expected = result(&run);
    fs::remove_file(run.join("summary.json")).unwrap();
    fs::remove_file(run.join("metrics.jsonl")).unwrap();
    succeed(resume(&run));
    let log = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    assert!(log.contains("{\"event\":\"gap\"") && !log.contains("{\"event\":\"step\""), "{log}");
    let mut got = result(&run);
    (got.metrics, expected.metrics) = (Vec::new(), Vec::new());
    assert!(got == expected);
}

#[test]
fn the_log_of_another_run_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (run, expected) = unfinished(folder.path());
    let log = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    // A log of the same length, with one digit changed.
    let same = log.replacen("\"loss\":0.", "\"loss\":1.", 1);
    let same = if same == log { log.replacen("\"loss\":2.", "\"loss\":1.", 1) } else { same };
    assert!(same != log && same.len() == log.len());
    let longer = log.lines().rev().map(|line| format!("{line}\n")).collect::<String>() + &log;
    let zeros = "\0".repeat(log.len());
    for other in [&same, &longer, &zeros] {
        fs::write(run.join("metrics.jsonl"), other).unwrap();
        refuse(resume(&run), &run, &["metrics.jsonl belongs to another run"]);
    }
    // The advice in the message works.
    fs::write(run.join("metrics.jsonl"), log).unwrap();
    succeed(resume(&run));
    assert_same(&run, &expected, "with its own log");
}

#[test]
fn a_changed_key_that_affects_results_is_refused_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let (run, expected) = unfinished(folder.path());
    let config = fs::read_to_string(run.join("config.toml")).unwrap();
    let changed = |from: &str, to: &str| {
        assert!(config.contains(from), "{from}: {config}");
        fs::write(run.join("config.toml"), config.replacen(from, to, 1)).unwrap();
    };
    for (from, to, words) in [
        ("lr = 0.001", "lr = 0.002", ["`train.lr` was 0.001 and is 0.002"].as_slice()),
        ("epochs = 8\n", "epochs = 9\n", &["`train.epochs` was 8 and is 9"]),
        ("batch_size = 16", "batch_size = 32", &["`train.batch_size` was 16 and is 32"]),
        ("target = 0.2", "target = 0.25", &["`control.target` was 0.2 and is 0.25"]),
        ("seed = 5", "seed = 6", &["`train.seed` was 5 and is 6"]),
        ("every_epochs = 3", "every_epochs = 2", &["`eval.every_epochs` was 3 and is 2"]),
        ("train_limit = 256", "train_limit = 255", &["`data.train_limit` was 256 and is 255"]),
        ("train_limit = 256", "train_limit = 256\nvalidation = 16", &["`data.validation` was not set and is 16"]),
        ("kappa = ", "kappa = 1", &["`policy.kappa` was"]),
        ("batch_size = 16\nlr = 0.001", "batch_size = 32\nlr = 0.002", &["`train.batch_size` was", "`train.lr` was"]),
    ] {
        changed(from, to);
        refuse(resume(&run), &run, words);
    }
    // Keys that do not affect results may change: threads, workers, checkpoints, progress, folder of the data.
    let config = fs::read_to_string(run.join("config.toml")).unwrap();
    fs::write(run.join("config.toml"), config.replace("batch_size = 32\nlr = 0.002", "batch_size = 16\nlr = 0.001"))
        .unwrap();
    for (from, to) in [
        ("every_steps = 2", "every_steps = 7"),
        ("keep = 2", "keep = 1"),
        ("every_minutes = 10.0", "every_minutes = 0.0"),
        ("workers = 1", "workers = 2"),
        ("threads = 1", "threads = 3"),
        ("on_nan = \"abort\"", "on_nan = \"skip\""),
        ("name = \"procedural\"", "name = \"procedural\"\ndir = \"elsewhere\""),
        ("name = \"auto\"", "name = \"flex\""),
    ] {
        let config = fs::read_to_string(run.join("config.toml")).unwrap();
        assert!(config.contains(from), "{from}: {config}");
        fs::write(run.join("config.toml"), config.replacen(from, to, 1)).unwrap();
    }
    let mut command = program();
    command.args(["--threads=2", "--progress=plain", "--resume"]).arg(&run);
    succeed(command);
    assert_same(&run, &expected, "with other keys that decide nothing");
}

/// Writes a CIFAR-10 that is black except for some images.
fn cifar(folder: &Path, tint: u8) {
    const RECORD: usize = 1 + 3 * 32 * 32;
    let inner = folder.join("cifar-10-batches-bin");
    fs::create_dir_all(&inner).unwrap();
    let names = (1..=5).map(|number| format!("data_batch_{number}.bin")).chain(["test_batch.bin".to_string()]);
    for (number, name) in names.enumerate() {
        let images: Vec<u8> = (0..300 * RECORD)
            .map(|i| match i % RECORD {
                0 => (i / RECORD % 10) as u8,
                place if number == 0 || number == 5 => (i / RECORD * 7 + place / 32) as u8 ^ tint,
                _ => 0,
            })
            .collect();
        fs::write(inner.join(&name), images).unwrap();
        let file = fs::File::options().write(true).open(inner.join(name)).unwrap();
        file.set_len(10_000 * RECORD as u64).unwrap();
    }
}

/// Other training or test images are refused, wherever the folder is. The same images may be in another folder.
#[test]
fn other_data_is_refused_and_the_same_data_may_move() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    cifar(&path("data"), 0);
    cifar(&path("other"), 1);
    cifar(&path("tested"), 0);
    fs::copy(path("other/cifar-10-batches-bin/test_batch.bin"), path("tested/cifar-10-batches-bin/test_batch.bin"))
        .unwrap();
    let begin = |run: &Path| {
        let mut command = program();
        command.args([
            "--preset=cifar10",
            LITTLE[1],
            "--set=data.train_limit=64",
            "--epochs=2",
            "--policy=dense",
            "--batch-size=8",
        ]);
        command.args(["--set=checkpoint.every_steps=3", "--seed=5", "--threads=1", "--progress=none", "--data-dir"]);
        command.arg(path("data")).arg("--out").arg(run);
        command
    };
    let (run, whole) = (path("run"), path("whole"));
    let child = begin(&run);
    stop_after(child, &run, 4);
    let (flag, variable) = (
        |dir: &str| {
            let mut command = resume(&run);
            command.arg("--data-dir").arg(path(dir));
            command
        },
        |dir: &str| {
            let mut command = resume(&run);
            command.env("AST_DATA_DIR", path(dir));
            command
        },
    );
    refuse(flag("other"), &run, &["training data in", "other", "--data-dir or AST_DATA_DIR"]);
    refuse(variable("other"), &run, &["training data in", "other"]);
    refuse(flag("tested"), &run, &["evaluation data in", "tested"]);
    // The run is unchanged after all that. Its data has moved, and a variable has the new folder.
    fs::rename(path("data"), path("moved")).unwrap();
    let output = resume(&run).output().unwrap();
    assert!(!output.status.success());
    succeed(variable("moved"));
    fs::rename(path("moved"), path("data")).unwrap();
    // Both folders have the last batch, and the first batch needs no evaluation in between.
    succeed(begin(&whole));
    assert_same(&run, &result(&whole), "with moved data");

    // Without a checkpoint, only `run.json` identifies the data.
    fs::remove_file(run.join("summary.json")).unwrap();
    fs::remove_dir_all(run.join("checkpoints")).unwrap();
    refuse(flag("other"), &run, &["training data in"]);
    succeed(flag("data"));
    assert_same(&run, &result(&whole), "from the beginning");
}

/// A comparison with a run that cannot be resumed gives advice that works.
#[test]
fn a_comparison_says_what_to_do_with_a_damaged_run() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("com parison");
    let compare = || {
        let mut command = Command::new("env");
        command.args(["--default-signal=HUP,INT,TERM,USR1", env!("CARGO_BIN_EXE_ast"), "compare", "--arms=random"]);
        command.args(LITTLE).args(["--seeds=1", "--activation=0.5", "--epochs=12", "--set=data.train_limit=100"]);
        command.args(["--set=train.batch_size=16", "--set=checkpoint.every_steps=3", "--out"]).arg(&out);
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("AST_")) {
            command.env_remove(name);
        }
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        command
    };
    let run = out.join("random/seed-0");
    stop_after(compare(), &run, 10);
    for step in steps(&run) {
        append(step.join("selector.cbor"), b"x");
    }
    let output = compare().output().unwrap();
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(65), "{text}");
    let (_, copied) = text.split_once("`ast train ").unwrap();
    let script = format!("exec \"$0\" train {} --progress=none", copied.split('`').next().unwrap());
    let mut shell = Command::new("sh");
    shell.args(["-c", &script, env!("CARGO_BIN_EXE_ast")]).stdout(Stdio::null()).stderr(Stdio::piped());
    succeed(shell);
    succeed(compare());
}

#[test]
fn starting_over_needs_a_run() {
    let mut alone = program();
    let output = alone.arg("--start-over").output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    assert!(stderr(&output).contains("--resume"));
}
