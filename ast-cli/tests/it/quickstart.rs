//! Runs the first command of the README to its end, in about a minute.

use std::process::Command;

use serde_json::Value;

#[test]
fn the_first_run_learns_holds_its_target_and_reports_savings() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("run");
    let mut command = Command::new(env!("CARGO_BIN_EXE_ast"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("AST_")) {
        command.env_remove(name);
    }
    let output = command.arg("train").arg("--out").arg(&out).output().unwrap();
    let (report, log) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{log}");
    println!("{log}{report}");
    for word in ["test accuracy", "activation", "samples", "FLOPs", "seconds", "joules", "mislabelled", "Next:"] {
        assert!(report.contains(word), "{word}");
    }
    let summary: Value = serde_json::from_slice(&std::fs::read(out.join("summary.json")).unwrap()).unwrap();
    let number = |path: &str| summary.pointer(path).and_then(Value::as_f64).unwrap_or(f64::NAN);
    assert!(number("/accuracy/final") > 60.0, "guessing gives 10 %: {summary}");
    assert!((number("/activation/realised") - 0.1).abs() < 0.005, "{summary}");
    assert!((number("/savings/flops") - 0.9).abs() < 0.005, "{summary}");
    assert_eq!(number("/samples/scored"), 0.0, "the default never pays for a forward pass that does not train");
    // Selection favours hard images: they get more than their share.
    assert!(number("/groups/hard/passes") > number("/groups/hard/share"), "{summary}");
}
