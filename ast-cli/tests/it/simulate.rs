//! `ast simulate` from outside: what it prints, writes and refuses.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

fn simulate(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ast")).arg("simulate").args(args).output().expect("the binary starts")
}

fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn json(args: &[&str]) -> Value {
    let text = stdout(&simulate(&[args, &["--json"]].concat()));
    assert_eq!(text.lines().count(), 1, "--json prints one line: {text}");
    serde_json::from_str(&text).unwrap()
}

/// One policy's row of a case.
fn row<'a>(simulation: &'a Value, case: &str, policy: &str) -> &'a Value {
    let rows = |case: &'a Value| case["policies"].as_array().unwrap();
    let case = simulation["cases"].as_array().unwrap().iter().find(|found| found["case"] == case).unwrap();
    rows(case).iter().find(|row| row["policy"] == policy).unwrap()
}

fn refused(args: &[&str], code: i32, words: &[&str]) {
    let output = simulate(args);
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{args:?}: {message}");
    assert!(message.starts_with("error: ") && !message.contains("panicked"), "{args:?}: {message}");
    for word in words {
        assert!(message.contains(word), "{args:?} should mention {word}: {message}");
    }
    assert!(output.stdout.is_empty(), "{args:?}");
}

/// The claims of docs/controller.md, for more seeds than it shows.
#[test]
fn policies_hold_the_target_as_documented() {
    for seed in ["0", "1", "2"] {
        let simulation = json(&["--seed", seed]);
        let rate = |case, policy| row(&simulation, case, policy)["mean_rate"].as_f64().unwrap();
        for (case, target) in [("start", 0.1), ("step", 0.3), ("drift", 0.1), ("saturation", 0.1), ("swap", 0.1)] {
            assert!((rate(case, "ast") - target).abs() < 0.01, "seed {seed}, {case}: {}", rate(case, "ast"));
            assert!(row(&simulation, case, "ast")["settled_after"].as_u64().unwrap() <= 60, "seed {seed}, {case}");
        }
        // The integral accumulated during the slow start keeps the gate closed to the end.
        assert!(rate("start", "original") < 0.05);
        assert_eq!(row(&simulation, "start", "original")["settled_after"], Value::Null);
        assert_eq!(row(&simulation, "step", "original")["settled_after"], Value::Null);
        // Calibrated on 1,024 scores, which is accurate to some points. It adapts to another target, but not to other
        // scores.
        assert!((rate("start", "fixed-threshold") - 0.1).abs() < 0.03);
        assert!((rate("step", "fixed-threshold") - 0.3).abs() < 0.05);
        assert!(rate("drift", "fixed-threshold") < 0.01 && rate("swap", "fixed-threshold") < 0.01);
        // On ranks, feedback has an effect only where samples are already queued.
        for (case, target) in [("start", 0.1), ("step", 0.3), ("drift", 0.1), ("swap", 0.1)] {
            assert!((rate(case, "quantile") - target).abs() < 0.01, "seed {seed}, {case}: {}", rate(case, "quantile"));
        }
        let starved = |policy| row(&simulation, "saturation", policy)["starved_rate"].as_f64().unwrap();
        assert!(starved("ast") > 0.055 && starved("quantile") < 0.03);
        assert!((starved("fixed-threshold") - 0.1).abs() < 0.03, "it does not ask which samples wait");
    }
}

#[test]
fn output_is_reproducible_and_its_text_matches_its_numbers() {
    let text = stdout(&simulate(&["--case", "drift"]));
    assert_eq!(text, stdout(&simulate(&["--case", "drift"])));
    assert_ne!(text, stdout(&simulate(&["--case", "drift", "--seed", "1"])));
    assert_eq!(text.lines().filter(|line| line.starts_with("| drift")).count(), 4);
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for sentence in [
        "fixed-threshold does not hold the target: 0.8 %",
        "quantile holds the target",
        "ast equals quantile to within noise",
    ] {
        assert!(words.contains(sentence), "{sentence}: {text}");
    }
    assert!(text.lines().all(|line| line.chars().count() <= 120), "{text}");
    // With zero gains only feed-forward is left, which equals `quantile`. The text follows the numbers.
    for (gains, sentence) in [
        (&[][..], "ast ends at the rate of quantile"),
        (&["--kp", "0", "--ki", "0.00001"], "ast equals quantile to within noise"),
    ] {
        let text = stdout(&simulate(&[&["--case", "saturation"], gains].concat()));
        let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words.contains(sentence), "{sentence}: {words}");
    }
}

#[test]
fn a_folder_gets_the_picture_and_every_chunk() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("new/folder");
    let args = ["--chunks", "120", "--out", out.to_str().unwrap()];
    let text = stdout(&simulate(&args));
    assert_eq!(fs::read_to_string(out.join("simulation.md")).unwrap(), text);
    let svg = fs::read_to_string(out.join("simulation.svg")).unwrap();
    for word in ["<svg", "start: ", "swap: threshold, a rank", "quantile"] {
        assert!(svg.contains(word), "{word}");
    }
    let csv = fs::read_to_string(out.join("simulation.csv")).unwrap();
    assert_eq!(csv.lines().count(), 1 + 5 * 4 * 120);
    let fields = csv.lines().next().unwrap().split(',').count();
    assert!(csv.lines().all(|line| line.split(',').count() == fields));
    // Existing files are not changed.
    refused(&args, 73, &["not empty", "nothing was changed"]);
    assert_eq!(fs::read_dir(&out).unwrap().count(), 3);
}

fn file(dir: &Path, text: &[u8]) -> String {
    let path = dir.join("scores.txt");
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_string()
}

/// 0, 1, ..., 99 repeated in steps of 37: ranks are uniform, so a fixed threshold stays right.
#[test]
fn recorded_scores_are_replayed() {
    let dir = tempfile::tempdir().unwrap();
    let text: String = (0..12_000).map(|i| format!("{}\n", (i * 37) % 100)).collect();
    let scores = file(dir.path(), text.as_bytes());
    let simulation = json(&["--scores", &scores, "--target", "0.25", "--chunk", "100"]);
    assert_eq!((&simulation["cases"][0]["chunks"], &simulation["cases"][0]["case"]), (&120.into(), &"recorded".into()));
    let fixed = row(&simulation, "recorded", "fixed-threshold");
    // The 768th of 1,024 values is 75, or a neighbour because 1,024 is not a multiple of 100.
    assert!((fixed["threshold"].as_f64().unwrap() - 75.0).abs() <= 1.0, "{fixed}");
    assert!((fixed["mean_rate"].as_f64().unwrap() - 0.25).abs() <= 0.0101, "{fixed}");
    let pi = row(&simulation, "recorded", "ast")["mean_rate"].as_f64().unwrap();
    assert!((pi - 0.25).abs() < 0.01, "{pi}");

    let odd = simulate(&["--scores", &scores, "--chunk", "97"]);
    assert!(String::from_utf8_lossy(&odd.stderr).contains("the last 69 of 12000 scores"), "{odd:?}");
}

#[test]
fn bad_arguments_are_refused_in_one_sentence() {
    refused(&["--target", "0"], 2, &["`control.target` = 0", "(0, 1]"]);
    refused(&["--target", "nan"], 2, &["`control.target`"]);
    refused(&["--kp", "1e308"], 2, &["`control.kp` = 1e308"]);
    refused(&["--ki", "99"], 2, &["unstable", "lower kp, ki or ema"]);
    refused(&["--kp=-1"], 2, &["`control.kp` = -1"]);
    refused(&["--ema", "0"], 2, &["ema", "(0, 1]"]);
    refused(&["--case", "strt"], 2, &["'start'"]);
    refused(&["--chunks", "3"], 2, &["120.."]);
    refused(&["--chunk", "60000"], 2, &["36000000"]);
    refused(&["--case", "step", "--scores", "x"], 2, &["--scores"]);
    refused(&["--scores", "no/such/file.txt"], 74, &["no/such/file.txt"]);
    refused(&["--out", "/proc/nowhere"], 73, &["/proc/nowhere"]);

    let dir = tempfile::tempdir().unwrap();
    let scores = file(dir.path(), &b"1\n".repeat(20_000));
    refused(&["--scores", &scores, "--chunk", "1"], 2, &["20000 chunks", "--chunk"]);
    refused(&["--scores", dir.path().to_str().unwrap()], 74, &["not a file"]);
    for (text, words) in [
        (&b""[..], &["it is empty"][..]),
        (b"1\n2\nthree\n4\n", &["scores.txt: line 3: `three` is not a number"]),
        (b"1\nNaN\n", &["line 2", "not a finite number"]),
        (b"1\n\n2\n", &["line 2", "empty"]),
        (b"1\n2\n", &["2 scores are 0 chunks", "lower --chunk"]),
        (b"\xff\xfe1\n", &["line 1", "not a number"]),
        (&b"1\n".repeat(1_100_000), &["1100000 scores, more than 1048576"]),
        (&b"0".repeat(40 << 20), &["bytes", "one per line"]),
    ] {
        let scores = file(dir.path(), text);
        refused(&["--scores", &scores], 65, words);
    }
}
