//! What an evaluation reports, through the real program.
#![forbid(unsafe_code)]
#![cfg(target_os = "linux")]

mod common;

use std::process::Stdio;

use common::{SMALL, program, result};
use serde_json::Value;

/// Test-time augmentation adds its accuracy to every evaluation, costs five passes more, and changes nothing else.
#[test]
fn test_time_augmentation_is_reported_beside_the_plain_accuracy() {
    let folder = tempfile::tempdir().unwrap();
    let run = |name: &str, more: &[&str]| {
        let out = folder.path().join(name);
        let mut command = program();
        command.args(SMALL.into_iter().filter(|flag| !flag.starts_with("--progress"))).args(more);
        command.args(["--set=train.lr=0.003", "--progress=plain"]).arg("--out").arg(&out).stdout(Stdio::piped());
        let output = command.output().unwrap();
        let progress = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{progress}");
        (result(&out), progress, String::from_utf8(output.stdout).unwrap())
    };
    let (plain, progress, report) = run("plain", &[]);
    assert!(plain.summary["accuracy"].get("tta").is_none() && !report.contains("six views"), "{report}");
    assert!(!progress.contains("augmented"), "{progress}");
    let (mut tta, progress, report) = run("tta", &["--set=eval.tta=true"]);
    assert!(tta.weights == plain.weights && tta.best == plain.best, "training does not change");

    let evaluated = |metrics: &[String]| -> Vec<Value> {
        let events = metrics.iter().map(|line| serde_json::from_str(line).unwrap());
        events.filter(|event: &Value| event["event"] == "evaluated").collect()
    };
    let (mut with, without) = (evaluated(&tta.metrics), evaluated(&plain.metrics));
    let accuracies: Vec<f64> =
        with.iter_mut().map(|event| event.as_object_mut().unwrap().remove("tta").unwrap().as_f64().unwrap()).collect();
    assert_eq!(with, without, "the plain figures stay");
    assert!(accuracies.iter().all(|accuracy| (0.0..=100.0).contains(accuracy)), "{accuracies:?}");
    assert!(with.iter().zip(&accuracies).any(|(event, tta)| event["accuracy"] != *tta), "{accuracies:?}");

    let last = accuracies.last().unwrap();
    let accuracy = tta.summary["accuracy"].as_object_mut().unwrap().remove("tta").unwrap();
    assert_eq!(accuracy, *last);
    assert_eq!(tta.summary["accuracy"], plain.summary["accuracy"]);
    let passes = |summary: &Value| summary["flops"]["eval"].as_u64().unwrap();
    assert_eq!(passes(&tta.summary), 6 * passes(&plain.summary));
    assert_eq!(tta.summary["flops"]["total"], plain.summary["flops"]["total"], "evaluation is not on the budget");
    assert!(report.contains(&format!("{last:.1} %   the same, averaged over six views")), "{report}");
    assert!(progress.contains(&format!("({last:.1} % augmented)")), "{progress}");
}
