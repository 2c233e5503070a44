//! What the program prints while it trains: into a file, on a terminal without cursor control, on narrow and wide
//! terminals.

use std::path::Path;
use std::process::{Command, Output};

use crate::common::LITTLE;

const TINY: [&str; 11] = [
    LITTLE[0],
    LITTLE[1],
    "--set",
    "data.train_limit=256",
    "--epochs=4",
    "--activation=0.25",
    "--batch-size=16",
    "--set",
    "eval.every_epochs=2",
    "--threads=1",
    "--progress",
];

fn plain(command: &mut Command) -> &mut Command {
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("AST_")) {
        command.env_remove(name);
    }
    command
}

/// Asserts warnings, progress and evaluations as lines without cursor movements.
fn has_everything(text: &str, what: &str) {
    for word in ["warning: ", "trained 2", "of offered", "test accuracy", "epoch   2."] {
        assert!(text.contains(word), "{what}: no {word:?} in {text}");
    }
    assert!(!text.contains('\u{1b}'), "{what}: {text}");
}

#[test]
fn a_file_always_gets_plain_lines() {
    let dir = tempfile::tempdir().unwrap();
    for progress in ["bar", "auto", "plain"] {
        let out = dir.path().join(progress);
        let mut command = Command::new(env!("CARGO_BIN_EXE_ast"));
        let output = plain(&mut command).arg("train").args(TINY).arg(progress).arg("--out").arg(&out).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        has_everything(&String::from_utf8_lossy(&output.stderr), progress);
    }
    let out = dir.path().join("none");
    let mut command = Command::new(env!("CARGO_BIN_EXE_ast"));
    let output = plain(&mut command).arg("train").args(TINY).arg("none").arg("--out").arg(&out).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.lines().count() == 1 && text.starts_with("warning: `ast` is `random` here"), "{text}");
}

/// A line is an event, as in metrics.jsonl; a step also says what was saved, and how long it will take.
#[test]
fn a_program_gets_json() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("run");
    let mut command = Command::new(env!("CARGO_BIN_EXE_ast"));
    let output = plain(&mut command).arg("train").args(TINY).arg("json").arg("--out").arg(&out).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let lines = String::from_utf8(output.stderr).unwrap();
    let events: Vec<serde_json::Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |kind: &str| events.iter().filter(|event| event["event"] == kind).count();
    assert_eq!((of("started"), of("warning"), of("evaluated")), (1, 1, 2), "{lines}");
    let steps: Vec<_> = events.iter().filter(|event| event["event"] == "step").collect();
    assert!(!steps.is_empty() && steps.len() < 16, "one a second at most: {lines}");
    let log = std::fs::read_to_string(out.join("metrics.jsonl")).unwrap();
    for step in steps {
        assert_eq!(step["epochs"], 4);
        assert!(step["seconds"].as_f64().unwrap() >= 0.0 && step.get("seconds_left").is_some(), "{step}");
        let mut logged = step.clone();
        for key in ["epochs", "seconds", "seconds_left", "saved"] {
            logged.as_object_mut().unwrap().remove(key).unwrap();
        }
        let is_it = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap() == logged;
        assert!(log.lines().any(is_it), "{step}");
    }
}

/// The output on a terminal with `columns` columns, simulated by util-linux's `script`.
#[cfg(target_os = "linux")]
fn on_a_terminal(term: &str, columns: usize, progress: &str, out: &Path) -> String {
    let ast = env!("CARGO_BIN_EXE_ast");
    let (tiny, out) = (TINY.join(" "), out.display());
    let line = format!("stty cols {columns} rows 24 && exec '{ast}' train {tiny} {progress} --out '{out}'");
    let mut script = Command::new("script");
    let output: Output = plain(&mut script)
        .args(["-qec", &line, "/dev/null"])
        .env("TERM", term)
        .output()
        .expect("script, of util-linux");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[cfg(target_os = "linux")]
#[test]
fn a_terminal_without_a_cursor_gets_plain_lines() {
    let dir = tempfile::tempdir().unwrap();
    for progress in ["bar", "auto"] {
        has_everything(&on_a_terminal("dumb", 80, progress, &dir.path().join(progress)), progress);
    }
}

/// A line wider than the terminal wraps, and the wrapped part is not cleared.
#[cfg(target_os = "linux")]
#[test]
fn the_bar_fits_the_terminal() {
    let dir = tempfile::tempdir().unwrap();
    for columns in [40, 57, 80, 110, 200] {
        let shown = on_a_terminal("xterm", columns, "auto", &dir.path().join(columns.to_string()));
        let drawn = between_controls(&shown);
        let bars: Vec<&str> = drawn.iter().copied().filter(|text| text.contains(" left")).collect();
        assert!(bars.len() > 3, "{columns}: {shown:?}");
        for bar in bars {
            // Lines printed above a bar are padded to full width.
            let begin = bar.chars().position(|c| "█░".contains(c)).unwrap();
            assert_eq!(begin % columns, 0, "{columns}: {bar:?}");
            assert!(bar.chars().count() - begin <= columns, "{columns}: {bar:?}");
        }
        for word in ["warning: ", "test accuracy"] {
            assert!(drawn.iter().any(|text| text.contains(word)), "{columns}: {shown}");
        }
    }
}

/// The pieces of text between line feeds, carriage returns and control sequences (`ESC [ parameters letter`).
#[cfg(target_os = "linux")]
fn between_controls(shown: &str) -> Vec<&str> {
    let parameters = |c: char| c.is_ascii_digit() || c == ';' || c == '?';
    let mut pieces = shown.split("\u{1b}[");
    let first = pieces.next();
    let rest = pieces.map(|piece| piece.trim_start_matches(parameters).get(1..).unwrap_or_default());
    first.into_iter().chain(rest).flat_map(|piece| piece.split(['\r', '\n'])).collect()
}
