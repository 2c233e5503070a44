//! Caveats of a comparison appear in the table, the JSON and the picture for as long as they apply.

use std::fs::{self, File};
use std::path::Path;

use serde_json::{Value, json};

use super::{compare, result, stderr};

fn has(json: &Value, kind: &str) -> bool {
    json["caveats"].as_array().unwrap().iter().any(|caveat| caveat["kind"] == kind)
}

/// Edits the summary of a run.
fn edit(run: &Path, change: impl Fn(&mut Value)) {
    let file = run.join("summary.json");
    let mut summary = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    change(&mut summary);
    fs::write(file, summary.to_string()).unwrap();
}

#[test]
fn runs_that_shared_the_machine_stay_marked() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let args = ["--arms=random", "--seeds=2", "--activation=0.2"];
    assert!(has(&result(&compare(&out, &[&args[..], &["--jobs=2"]].concat())), "shared-machine"));
    let again = result(&compare(&out, &[&args[..], &["--jobs=1"]].concat()));
    assert!(has(&again, "shared-machine"), "{again}");
    let text = fs::read_to_string(out.join("comparison.md")).unwrap();
    assert!(text.contains("2 of 2 runs were made while others ran"), "{text}");
    // Made again one at a time, they are not shared. Runs of other comparisons do not matter.
    for seed in ["seed-0", "seed-1"] {
        fs::remove_dir_all(out.join("random").join(seed)).unwrap();
    }
    assert!(!has(&result(&compare(&out, &args)), "shared-machine"));
    assert!(!has(&result(&compare(&out, &[&args[..], &["--jobs=2"]].concat())), "shared-machine"));
}

/// Two processes that work on one comparison share the machine as well.
#[test]
fn a_run_locked_by_another_process_counts_as_sharing_the_machine() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let args = ["--arms=random", "--seeds=2", "--activation=0.2"];
    let run = out.join("random/seed-0");
    fs::create_dir_all(&run).unwrap();
    fs::write(out.join("seeds"), "0 1\n").unwrap();
    let lock = File::create(run.join("lock")).unwrap();
    lock.lock().unwrap();
    let output = compare(&out, &args);
    assert_eq!(output.status.code(), Some(75), "{}", stderr(&output));
    drop(lock);
    let json = result(&compare(&out, &args));
    assert!(has(&json, "shared-machine"));
    let text = fs::read_to_string(out.join("comparison.md")).unwrap();
    assert!(text.contains("1 of 2 runs were made while others ran"), "{text}");
}

#[test]
fn the_seeds_are_fixed_by_the_first_result() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let failed = compare(&out, &["--preset=cifar10", "--data-dir=/nowhere", "--arms=random", "--seeds=1"]);
    assert_eq!(failed.status.code(), Some(65), "{}", stderr(&failed));
    assert!(!out.exists(), "a comparison that cannot run must not create its folder");
    // A comparison without a finished run has not started either.
    fs::create_dir_all(&out).unwrap();
    fs::write(out.join("seeds"), "0\n").unwrap();
    let begun = result(&compare(&out, &["--arms=random", "--seeds=2", "--activation=0.2"]));
    assert_eq!((&begun["seeds_raised"], has(&begun, "seeds-raised")), (&json!(false), false));
    let raised = result(&compare(&out, &["--arms=random", "--seeds=3", "--activation=0.2"]));
    assert_eq!((&raised["seeds_raised"], has(&raised, "seeds-raised")), (&json!(true), true));
}

#[test]
fn different_programs_devices_and_instruction_sets_are_reported() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let args = ["--arms=random,ast:lambda=0.5", "--seeds=1", "--budget=0.5"];
    let first = result(&compare(&out, &args));
    for kind in ["programs", "devices", "instruction-sets", "unknown-origin"] {
        assert!(!has(&first, kind), "{first}");
    }
    let run = out.join("random/seed-0");
    edit(&run, |summary| {
        let origin = &mut summary["origin"];
        assert_eq!(origin["evaluation"].as_str().unwrap().len(), 64);
        (origin["commit"], origin["device"], origin["instructions"]) =
            (json!("0123456789ab"), json!("cuda"), json!("x86-v2"));
    });
    let mixed = result(&compare(&out, &args));
    let (text, picture) = (out.join("comparison.md"), out.join("comparison.svg"));
    for (kind, word) in [("programs", "0123456789ab"), ("devices", "cuda"), ("instruction-sets", "x86-v2")] {
        assert!(has(&mixed, kind), "{kind}: {mixed}");
        for file in [&text, &picture] {
            assert!(fs::read_to_string(file).unwrap().contains(word), "{word} in {}", file.display());
        }
    }
    edit(&run, |summary| drop(summary.as_object_mut().unwrap().remove("origin")));
    let unknown = result(&compare(&out, &args));
    assert!(has(&unknown, "unknown-origin") && !has(&unknown, "programs"), "{unknown}");
}

#[test]
fn phases_that_were_not_timed_apart_are_reported() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let args = ["--arms=random", "--seeds=1", "--budget=0.5"];
    assert!(!has(&result(&compare(&out, &args)), "phase-times"));
    let merged = folder.path().join("merged");
    let json = result(&compare(&merged, &[&args[..], &["--set=device.phase_times=off"]].concat()));
    assert!(has(&json, "phase-times"), "{json}");
}

#[test]
fn a_budget_is_advised_only_if_there_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    // A policy that forwards every sample costs more at the same activation rate.
    let args = ["--arms=random,original-package", "--seeds=1", "--activation=0.25"];
    let json = result(&compare(&out, &args));
    let advice = json["caveats"].as_array().unwrap().iter().find(|caveat| caveat["kind"] == "unequal-costs").unwrap();
    assert!(advice["text"].as_str().unwrap().ends_with("--budget makes them equal."), "{advice}");
}

/// Ten shapes seen a few times are not learned: every difference is then one near chance.
#[test]
fn near_chance_is_reported_and_the_terms_are_defined() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let args = ["--arms=random,ast:lambda=0.5", "--seeds=6", "--budget=0.25", "--set=train.epochs=1"];
    let json = result(&compare(&out, &args));
    assert!(has(&json, "near-chance"), "{json}");
    assert_eq!(json["arms"][0]["near_chance"], true);
    let set = |seed: usize, accuracy: f64| {
        edit(&out.join(format!("random/seed-{seed}")), |summary| summary["accuracy"]["final"] = json!(accuracy));
        edit(&out.join(format!("ast_lambda=0.5/seed-{seed}")), |summary| {
            assert_eq!(summary["test"], json!({"samples": 500, "classes": 10}));
            summary["accuracy"]["final"] = json!(accuracy + 3.6 + 0.1 * seed as f64);
        });
    };
    (0..6).for_each(|seed| set(seed, 17.9));
    assert!(has(&result(&compare(&out, &args)), "near-chance"));
    let text = || fs::read_to_string(out.join("comparison.md")).unwrap();
    for words in ["is ahead of random by 3.85 points", "p = 0.031, near chance.", "Near chance: guessing gives 10.0 %"]
    {
        assert!(text().contains(words), "{words}: {}", text());
    }
    let (text_of_it, place) = (text(), |words: &str| text().find(words).unwrap());
    assert!(place("Overhead is the measured share") < place("Established means: 6 pairs"), "{text_of_it}");
    assert!(place("Established means: 6 pairs") < place("Established: ast"), "{text_of_it}");
    assert!(fs::read_to_string(out.join("comparison.svg")).unwrap().contains("Near chance"));
    (0..6).for_each(|seed| set(seed, 47.9));
    assert!(!has(&result(&compare(&out, &args)), "near-chance"));
    assert!(text().contains("p = 0.031.") && !text().contains("ear chance"), "{}", text());
}

/// A file of CIFAR-10's size with black images of classes 0 and 1 in turn, the first of class `class`.
fn batch(folder: &Path, name: &str, class: u8) {
    let mut images = vec![0; 30_730_000];
    images.iter_mut().step_by(3073).zip([0, 1].into_iter().cycle()).for_each(|(label, class)| *label = class);
    images[0] = class;
    fs::write(folder.join(name), images).unwrap();
}

/// A test batch that was replaced between two calls is noticed before anything more is trained.
#[test]
fn the_runs_of_a_pair_have_the_same_test_images() {
    let folder = tempfile::tempdir().unwrap();
    let (data, out) = (folder.path().join("cifar-10-batches-bin"), folder.path().join("out"));
    fs::create_dir(&data).unwrap();
    (1..=5).for_each(|number| batch(&data, &format!("data_batch_{number}.bin"), 0));
    batch(&data, "test_batch.bin", 0);
    let data_dir = format!("--data-dir={}", folder.path().display());
    let args = ["--preset=cifar10", &data_dir, "--seeds=1", "--budget=0.5", "--set=data.train_limit=32"];
    assert!(compare(&out, &[&args[..], &["--arms=random"]].concat()).status.success());
    batch(&data, "test_batch.bin", 1);
    let refused = compare(&out, &[&args[..], &["--arms=random,ast:lambda=0.5"]].concat());
    assert_eq!(refused.status.code(), Some(65), "{}", stderr(&refused));
    assert!(stderr(&refused).contains("random/seed-0 was evaluated on other data"), "{}", stderr(&refused));
    assert!(!out.join("ast_lambda=0.5").exists(), "nothing may be started");
    // Finished runs on different test images are not a pair either.
    fs::create_dir(out.join("ast_lambda=0.5")).unwrap();
    let copied = out.join("ast_lambda=0.5/seed-0");
    fs::create_dir(&copied).unwrap();
    fs::copy(out.join("random/seed-0/summary.json"), copied.join("summary.json")).unwrap();
    edit(&copied, |summary| summary["origin"]["evaluation"] = json!("0".repeat(64)));
    let refused = compare(&out, &[&args[..], &["--arms=random,ast:lambda=0.5"]].concat());
    assert_eq!(refused.status.code(), Some(65), "{}", stderr(&refused));
}
