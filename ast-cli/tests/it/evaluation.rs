//! Options of a recipe through the real program: test-time augmentation, image sizes, augmentation.

use std::process::Stdio;

use crate::common::{SMALL, program, result, start, stderr, succeed};
use serde_json::Value;

/// Test-time augmentation adds its accuracy to every evaluation, costs five passes more, and changes nothing else.
#[test]
fn test_time_augmentation_is_reported_beside_the_plain_accuracy() {
    let folder = tempfile::tempdir().unwrap();
    let run = |name: &str, more: &[&str]| {
        let out = folder.path().join(name);
        let mut command = program();
        command.args(SMALL.into_iter().filter(|flag| !flag.starts_with("--progress"))).args(more);
        command
            .args(["--set=train.lr=0.01", "--set=data.size=16", "--set=model.width=8", "--progress=plain"])
            .arg("--out")
            .arg(&out)
            .stdout(Stdio::piped());
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

/// A list on the command line. A network for one size is refused before the run.
#[test]
fn image_sizes_are_a_list_of_sizes_that_the_network_takes() {
    let folder = tempfile::tempdir().unwrap();
    let run = |name: &str, more: &[&str]| {
        let out = folder.path().join(name);
        let output = start(&out, more).output().unwrap();
        (output.status.code(), stderr(&output), out)
    };
    let (code, message, out) = run("small", &["--set", "train.sizes=[4, 6, 8]"]);
    assert_eq!(code, Some(2), "{message}");
    assert!(message.contains("`train.sizes`: images of 4 x 4 pixels"), "{message}");
    assert!(message.contains("only images of the size it was built for") && !out.exists(), "{message}");
    let (code, message, _) = run("large", &["--set", "train.sizes=[9]"]);
    assert_eq!(code, Some(2), "{message}");
    assert!(message.contains("`train.sizes`: 9 is larger than the images, which have 8 x 8 pixels"), "{message}");
    let (plain, full) = (run("plain", &[]).2, run("full", &["--set", "train.sizes=[8,8]"]).2);
    assert!(result(&plain).weights == result(&full).weights, "the size of the data changes nothing");
    assert!(std::fs::read_to_string(full.join("config.toml")).unwrap().contains("sizes = [8, 8]"));
}

/// Each option of the augmentation is another run, and the defaults may be written out.
#[test]
fn augmentation_is_set_by_key() {
    let folder = tempfile::tempdir().unwrap();
    let weights = |set: &[&str]| {
        let out = folder.path().join(set.join("-").replace(['=', '.'], "-"));
        let set: Vec<String> = set.iter().map(|set| format!("--set={set}")).collect();
        succeed(start(&out, &set.iter().map(String::as_str).collect::<Vec<_>>()));
        result(&out).weights
    };
    let plain = weights(&["data.flip=random", "data.shift=4", "data.padding=zeros"]);
    assert!(weights(&["data.augment=true"]) == plain);
    let others = [
        weights(&["data.augment=false"]),
        weights(&["data.flip=alternate"]),
        weights(&["data.flip=off"]),
        weights(&["data.shift=2"]),
        weights(&["data.padding=reflect"]),
    ];
    assert!(others.iter().all(|other| *other != plain));
    assert!(weights(&["data.flip=off", "data.shift=0"]) == others[0], "nothing is left to augment");
}
