//! `ast compare` as a program: pairing, reuse, interruption and caveats.

mod caveats;
mod configurations;
mod from;

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::common::LITTLE;

fn command(out: &Path, more: &[&str]) -> Command {
    let mut command = Command::new("env");
    command.args(["--default-signal=HUP,INT,TERM", env!("CARGO_BIN_EXE_ast"), "compare", "--json", "--out"]).arg(out);
    command.args(["--set=data.train_limit=192", "--epochs=4", "--set=train.batch_size=16"]);
    // Of the network named beside it, other data has its own size.
    let own = more.iter().any(|arg| arg.starts_with("--preset"));
    command.args(if own { &LITTLE[1..] } else { &LITTLE[..] }).args(more);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("AST_")) {
        command.env_remove(name);
    }
    command
}

fn compare(out: &Path, more: &[&str]) -> Output {
    command(out, more).output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn result(output: &Output) -> Value {
    assert!(output.status.success(), "{}", stderr(output));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn accuracies(result: &Value) -> Vec<Value> {
    result["arms"].as_array().unwrap().iter().map(|arm| arm["accuracies"].clone()).collect()
}

/// Bytes that the runs of a comparison have logged, all together.
fn logged(out: &Path) -> u64 {
    let below = |folder: &Path| fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let runs = below(out).flat_map(|arm| below(&arm).collect::<Vec<_>>());
    runs.filter_map(|run| fs::metadata(run.join("metrics.jsonl")).ok()).map(|log| log.len()).sum()
}

#[test]
fn arms_are_paired_and_no_run_is_made_twice() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("comparison");
    let arms = ["--arms=dense,random,ast:lambda=0,ast:gate=hard", "--seeds=2", "--budget=0.5"];
    let output = compare(&out, &arms);
    let plan = "8 runs, 0 finished; the others cost at most as much as 5.0 dense runs";
    assert!(stderr(&output).contains(plan), "{}", stderr(&output));
    assert!(stderr(&output).contains(" left") && stderr(&output).contains("8/8  ast:gate=hard seed 1: "));
    let first = result(&output);
    let rows = first["arms"].as_array().unwrap();
    assert_eq!(rows.len(), 4);
    for (row, flops) in rows.iter().zip([1.0, 0.5, 0.5, 0.5]) {
        assert!((row["flops"].as_f64().unwrap() - flops).abs() < 0.05, "{row}");
        assert_eq!(row["seeds"], serde_json::json!([0, 1]));
        assert!(row["joules"].is_null() || row["joules"].as_f64().unwrap() > 0.0);
    }
    // With lambda = 0, `ast` is `random`, run for run.
    assert_eq!(rows[1]["accuracies"], rows[2]["accuracies"]);
    assert_eq!(
        rows[2]["differences"][0],
        serde_json::json!({
            "to": "random", "pairs": 2, "values": [0.0, 0.0], "mean": 0.0, "interval": null, "p": 1.0, "established": false
        })
    );
    let text = fs::read_to_string(out.join("comparison.md")).unwrap();
    for words in ["| arm", "| dense", "fewer than 6 pairs can establish nothing", "- random", "overhead"] {
        assert!(text.contains(words), "{words}: {text}");
    }
    // In the picture: three marks in the legend; per arm two runs and their mean; per arm except `random` and `dense`
    // two pairs and their mean.
    let picture = fs::read_to_string(out.join("comparison.svg")).unwrap();
    assert_eq!(picture.matches("<circle").count(), 3 + 4 * 3 + 2 * 3);
    for words in ["dense", "gate=hard", "difference to random, points"] {
        assert!(picture.contains(words), "{words}: {picture}");
    }
    // The page has them all, and a curve with a band for each arm.
    let page = fs::read_to_string(out.join("report.html")).unwrap();
    for words in
        ["fewer than 6 pairs can establish nothing", "ast:gate=hard", "difference to random, points", "--seeds=2"]
    {
        assert!(page.contains(words), "{words}: {page}");
    }
    assert_eq!(page.matches("<polygon").count(), 4, "{page}");
    assert!(!page.contains("https:") && page.len() < 2_000_000);

    // Repeating the comparison only reads the runs. A further arm only adds its runs.
    let written = || fs::metadata(out.join("dense/seed-0/summary.json")).unwrap().modified().unwrap();
    let before = written();
    assert_eq!(result(&compare(&out, &arms)), first);
    let more = compare(&out, &["--arms=random,pool-top", "--seeds=2", "--budget=0.5"]);
    assert_eq!(stderr(&more).lines().filter(|line| line.contains("pool-top seed")).count(), 2);
    assert_eq!(result(&more)["arms"][0]["accuracies"], first["arms"][1]["accuracies"]);
    assert_eq!(written(), before);

    // The same from the runs alone, wherever they are.
    let alone = |name: &str, runs: &[&str]| {
        let runs: Vec<String> = runs.iter().map(|run| out.join(run).display().to_string()).collect();
        let mut command = Command::new(env!("CARGO_BIN_EXE_ast"));
        command.args(["compare", "--json", "--runs", &runs.join(","), "--out"]).arg(folder.path().join(name));
        command.output().unwrap()
    };
    let same = result(&alone("alone", &["dense", "random/seed-0", "random/seed-1", "ast_gate=hard"]));
    let numbers = |row: &Value| ["accuracies", "differences", "seeds", "flops"].map(|key| row[key].clone());
    for (row, place) in same["arms"].as_array().unwrap().iter().zip([0, 1, 3]) {
        assert_eq!(numbers(row), numbers(&rows[place]), "{row}");
    }
    assert_eq!(same["arms"][2]["arm"], "ast");
    assert!(folder.path().join("alone/report.html").is_file());
    let both = result(&alone("both", &["random", "ast_gate=hard", "ast_lambda=0"]));
    assert_eq!(both["arms"][1]["arm"], "ast:gate=\"hard\"");
    assert_eq!(both["arms"][2]["arm"], "ast:gate=\"randomised\":lambda=0.0");
    for (runs, word) in [
        (&["dense", "dense/seed-0"][..], "the same configuration and the same seed"),
        (&["dense", "nowhere"], "nowhere"),
        (&["comparison.md"], "comparison.md"),
    ] {
        let refused = alone("refused", runs);
        assert!(!refused.status.success() && stderr(&refused).contains(word), "{}", stderr(&refused));
    }

    // Further seeds are run, and reported as a caveat.
    let raised = result(&compare(&out, &["--arms=random", "--seeds=3", "--budget=0.5"]));
    assert_eq!(raised["seeds_raised"], true);

    // Runs with other settings do not go into the same folder.
    let other = compare(&out, &["--arms=random", "--seeds=2", "--budget=0.4"]);
    assert_eq!(other.status.code(), Some(2));
    assert!(
        stderr(&other).contains("was run with other settings: `budget.fraction` was 0.5 and would be 0.4; name"),
        "{}",
        stderr(&other)
    );

    // Two runs on different data are not a pair.
    let file = out.join("random/seed-1/summary.json");
    let text = fs::read_to_string(&file).unwrap();
    let mut summary: Value = serde_json::from_str(&text).unwrap();
    let data = summary["origin"]["data"].as_str().unwrap().to_string();
    assert_eq!(data.len(), 64);
    summary["origin"]["data"] = Value::from(data.chars().rev().collect::<String>());
    fs::write(&file, summary.to_string()).unwrap();
    let mixed = compare(&out, &arms);
    assert_eq!(mixed.status.code(), Some(65), "{}", stderr(&mixed));
    assert!(stderr(&mixed).contains("random/seed-1 was trained on other data"), "{}", stderr(&mixed));
}

/// Without a lambda, `ast` is `random` in a run this short, and says so.
#[test]
fn by_default_ast_is_random_in_short_runs() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("short.toml");
    fs::write(&config, "[data]\nname = \"procedural\"\n").unwrap();
    let config = format!("--config={}", config.display());
    let output = compare(&folder.path().join("out"), &[&config, "--arms=random,ast", "--seeds=2", "--budget=0.5"]);
    let accuracies = accuracies(&result(&output));
    assert_eq!(accuracies[0], accuracies[1]);
    assert_eq!(stderr(&output).matches("ast: `ast` is `random` here").count(), 1, "{}", stderr(&output));
}

/// Every combination is an arm; the parts of two machines are together the whole.
#[test]
fn a_sweep_compares_every_combination_and_can_be_divided() {
    let folder = tempfile::tempdir().unwrap();
    let sweep = |out: &str, more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ast"));
        command.args(["sweep", "--json", "--seeds=2", "--epochs=2", "--set=data.train_limit=96", "--beside=random"]);
        command.args(["--set=control.target=0.25,0.5", "--set", "policy.lambda=0.4,0.8", "--batch-size=16"]);
        command.args(LITTLE);
        command.args(more).arg("--out").arg(folder.path().join(out)).output().unwrap()
    };
    let whole = result(&sweep("whole", &[]));
    let arms: Vec<&str> = whole["arms"].as_array().unwrap().iter().map(|row| row["arm"].as_str().unwrap()).collect();
    assert_eq!(
        arms,
        [
            "random",
            "ast:control.target=0.25:lambda=0.4",
            "ast:control.target=0.25:lambda=0.8",
            "ast:control.target=0.5:lambda=0.4",
            "ast:control.target=0.5:lambda=0.8"
        ]
    );
    let first = sweep("parts", &["--shard=1/2"]);
    assert!(first.status.success() && first.stdout.is_empty(), "{}", stderr(&first));
    assert!(stderr(&first).contains("this part is done; 5 of 10 runs"), "{}", stderr(&first));
    let second = result(&sweep("parts", &["--shard=2/2"]));
    assert_eq!(accuracies(&second), accuracies(&whole), "the last part makes the table");
    assert_eq!(accuracies(&result(&sweep("parts", &[]))), accuracies(&whole));
    for (more, word) in [
        (&["--shard=3/2"][..], "write it as I/N"),
        (&["--shard=0/2"], "write it as I/N"),
        (&["--set=model.width=8,16"], "cannot vary by arm"),
    ] {
        let refused = sweep("refused", more);
        assert!(refused.status.code() == Some(2) && stderr(&refused).contains(word), "{}", stderr(&refused));
        assert!(!stderr(&refused).contains("--arms"), "sweep has no such flag: {}", stderr(&refused));
    }
    let mut nothing = Command::new(env!("CARGO_BIN_EXE_ast"));
    let nothing = nothing.args(["sweep", "--set=control.target=0.5"]).output().unwrap();
    assert!(nothing.status.code() == Some(2) && stderr(&nothing).contains("nothing varies"), "{}", stderr(&nothing));
}

#[test]
fn an_interrupted_comparison_continues_and_jobs_do_not_change_results() {
    let folder = tempfile::tempdir().unwrap();
    let arms = ["--arms=random,ast,seed", "--seeds=2", "--activation=0.4", "--set=train.epochs=30"];
    let expected = accuracies(&result(&compare(&folder.path().join("whole"), &arms)));
    let jobs = compare(&folder.path().join("jobs"), &[&arms[..], &["--jobs=3"]].concat());
    assert_eq!(accuracies(&result(&jobs)), expected);
    assert!(fs::read_to_string(folder.path().join("jobs/comparison.md")).unwrap().contains("shared machine"));

    let out = folder.path().join("stopped");
    let (mut stops, part) = (0, logged(&folder.path().join("whole")) / 5);
    let finished = loop {
        let until = logged(&out) + part;
        let mut child = command(&out, &arms).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        while logged(&out) < until && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(2));
        }
        // Where it is already done there is nobody to be stopped.
        let _ = Command::new("kill").args(["-INT", &child.id().to_string()]).stderr(Stdio::null()).status();
        let output = child.wait_with_output().unwrap();
        match output.status.code() {
            Some(130) => assert!(stderr(&output).contains("run the same command again"), "{}", stderr(&output)),
            _ => break output,
        }
        stops += 1;
        // Each time it makes a fifth of the whole, so what was made before is not made again.
        assert!(stops <= 5);
    };
    assert!(stops > 0);
    assert_eq!(accuracies(&result(&finished)), expected, "after {stops} stops");
}

#[test]
fn invalid_comparisons_are_refused_before_anything_is_run() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("comparison");
    for (args, word) in [
        (&["--arms=random,rndom"][..], "did you mean `random`"),
        (&["--arms=random,random"], "twice"),
        (&["--arms=ast:lamda=0.5"], "lambda"),
        (&["--arms=ast:lambda"], "KEY=VALUE"),
        (&["--seeds=0"], "--seeds"),
        (&["--arms=original-package:scorer.name=margin"], "loss-entropy"),
    ] {
        let output = compare(&out, args);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(word), "{args:?}: {}", stderr(&output));
        let runs = fs::read_dir(&out).into_iter().flatten().filter(|entry| entry.as_ref().unwrap().path().is_dir());
        assert_eq!(runs.count(), 0);
        drop(fs::remove_dir_all(&out));
    }
    fs::create_dir(&out).unwrap();
    fs::write(out.join("precious.txt"), "mine").unwrap();
    let output = compare(&out, &["--arms=random"]);
    assert_eq!(output.status.code(), Some(73), "{}", stderr(&output));
}
