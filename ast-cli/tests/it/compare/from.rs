//! `ast compare --from`: comparisons of another program's runs.

use std::fs;
use std::process::{Command, Output};

use serde_json::{Value, json};

use super::{compare, result, stderr};

/// Six pairs with the differences of `compare/statistics.rs` (values from SciPy), and two dense runs.
const RUNS: &str = "\
arm,seed,result,cost,host
random,0,60.0,10,a
random,1,61.0,10,a
random,2,62.0,10,a
random,3,60.5,10,a
random,4,61.5,10,a
random,5,62.5,10,a
mine,5,63.5,10,b
mine,4,61.9,10,b
mine,3,61.4,10,b
mine,2,62.3,10,b
mine,1,62.2,10,b
mine,0,60.7,10,b
dense,0,70,40,b
dense,1,71,40,b
";

fn from(csv: &str, more: &[&str]) -> (tempfile::TempDir, Output) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("results.csv"), csv).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_ast"));
    command.current_dir(folder.path()).args(["compare", "--from=results.csv", "--out=out"]).args(more);
    let output = command.output().unwrap();
    (folder, output)
}

#[test]
fn a_table_of_runs_gives_the_same_verdicts() {
    let (folder, output) = from(RUNS, &["--json"]);
    let json = result(&output);
    assert!(stderr(&output).contains("results.csv: not used: `host`"), "{}", stderr(&output));
    assert_eq!(json["from"], "results.csv");
    let mine = &json["arms"][1];
    assert_eq!(
        (&mine["arm"], &mine["seeds"], &mine["cost"]),
        (&json!("mine"), &json!([0, 1, 2, 3, 4, 5]), &json!(0.25))
    );
    let difference = &mine["differences"][0];
    assert_eq!((&difference["to"], &difference["p"]), (&json!("random"), &json!(0.03125)));
    assert_eq!(difference["established"], true);
    let near = |value: &Value, expected: f64| assert!((value.as_f64().unwrap() - expected).abs() < 0.02, "{value}");
    near(&difference["mean"], 0.75);
    near(&difference["interval"][0], 0.4833);
    near(&difference["interval"][1], 1.0);
    assert!(json["caveats"].as_array().unwrap().iter().any(|caveat| caveat["kind"] == "unpaired"), "{json}");

    let text = fs::read_to_string(folder.path().join("out/comparison.md")).unwrap();
    for words in
        ["| result", "cost of dense", "Established: mine is ahead of random by 0.75 [0.48, 1.00], 6 pairs, p = 0.031."]
    {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert!(!text.contains("activation") && !text.contains("verhead"), "{text}");
    let picture = fs::read_to_string(folder.path().join("out/comparison.svg")).unwrap();
    assert_eq!(picture.matches("<circle").count(), 3 + (14 + 3) + (6 + 1), "{picture}");

    // The order of lines and columns does not matter.
    let mut lines: Vec<&str> = RUNS.lines().skip(1).collect();
    lines[..6].reverse();
    let (_, again) = from(&format!("arm,seed,result,cost,host\n{}\n", lines.join("\n")), &["--json"]);
    assert_eq!(result(&again), json);
}

#[test]
fn without_dense_the_costliest_arm_is_the_reference_and_small_results_keep_their_digits() {
    let (_folder, output) = from("arm,seed,cost,result\nrandom,0,1,0.6125\nbig,0,4,0.6250\n", &[]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    for words in [
        "cost of costliest",
        "shares of the cost of `big`, the costliest arm",
        "0.6125",
        "+0.0125",
        "25.0 %",
        "at 4.00 times its cost",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
}

#[test]
fn errors_name_file_and_line() {
    for (csv, words) in [
        ("", "results.csv, line 1: the file is empty"),
        ("arm,seed,cost,result\n", "results.csv: there are no runs after the header"),
        ("arm,seed,cost,accuracy\nrandom,0,1,60\n", "results.csv, line 1: there is no column `result`"),
        ("arm,seed,cost,result\nrandom,0,1,60\nast,0,1,good\n", "results.csv, line 3: `result` = \"good\""),
        ("arm,seed,cost,result\nrandom,zero,1,60\n", "results.csv, line 2: `seed` = \"zero\""),
        ("arm,seed,cost,result\nrandom,0,0,60\n", "results.csv: the cost of `random`"),
        ("arm,seed,cost,result\nrandom,0,1,60\nrandom,0,1,60\n", "line 3: `random` with seed 0 is already in line 2"),
    ] {
        let (folder, output) = from(csv, &[]);
        assert_eq!(output.status.code(), Some(65), "{csv}: {}", stderr(&output));
        assert!(stderr(&output).contains(words), "{csv}: {}", stderr(&output));
        assert!(!folder.path().join("out").exists());
    }
    let (_folder, output) = from(RUNS, &["--budget=0.5"]);
    assert_eq!(output.status.code(), Some(2));
    let (folder, _) = from(RUNS, &[]);
    let mut command = Command::new(env!("CARGO_BIN_EXE_ast"));
    let missing = command.current_dir(folder.path()).args(["compare", "--from=other.csv"]).output().unwrap();
    assert_eq!(missing.status.code(), Some(74), "{}", stderr(&missing));
}

/// A comparison of one kind does not overwrite one of the other kind.
#[test]
fn a_folder_of_runs_is_not_overwritten() {
    let (folder, output) = from(RUNS, &[]);
    assert!(output.status.success());
    let again = |out: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ast"));
        command.current_dir(folder.path()).args(["compare", "--from=results.csv", out]).output().unwrap()
    };
    assert!(again("--out=out").status.success());
    let runs = folder.path().join("runs");
    assert!(compare(&runs, &["--arms=random", "--seeds=1", "--activation=0.2"]).status.success());
    let before = fs::read(runs.join("comparison.md")).unwrap();
    assert_eq!(again("--out=runs").status.code(), Some(73));
    assert_eq!(fs::read(runs.join("comparison.md")).unwrap(), before);
    let over = compare(&folder.path().join("out"), &["--arms=random", "--seeds=1"]);
    assert_eq!(over.status.code(), Some(73), "{}", stderr(&over));
}
