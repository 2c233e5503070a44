//! Which configurations a comparison runs: arm over flag over file, each once, and nothing is ignored silently.

use std::fs;
use std::path::Path;

use super::{compare, result, stderr};

/// `section.key` of a run's `config.toml`.
fn value(run: &Path, key: &str) -> String {
    let text = fs::read_to_string(run.join("config.toml")).unwrap();
    let (section, key) = key.split_once('.').unwrap();
    let section = text.split(&format!("[{section}]\n")).nth(1).unwrap_or_default().split("\n[").next().unwrap();
    let line = section.lines().find_map(|line| line.strip_prefix(&format!("{key} = ")));
    line.unwrap_or("none").to_string()
}

#[test]
fn an_arm_overrides_flags_and_all_costs_have_one_denominator() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let arms = "--arms=dense,random,random:budget.fraction=0.5,random:train.epochs=16,random:control.target=0.125";
    let json = result(&compare(&out, &[arms, "--seeds=1", "--budget=0.25"]));
    let run = |arm: &str| out.join(arm).join("seed-0");
    assert_eq!(value(&run("random"), "budget.fraction"), "0.25");
    assert_eq!(value(&run("random"), "train.epochs"), "4");
    assert_eq!(value(&run("random_budget.fraction=0.5"), "budget.fraction"), "0.5");
    assert_eq!(value(&run("random_train.epochs=16"), "train.epochs"), "16");
    assert_eq!(value(&run("random_control.target=0.125"), "budget.fraction"), "none");
    for (row, flops) in json["arms"].as_array().unwrap().iter().zip([1.0, 0.25, 0.5, 1.0, 0.125]) {
        assert!((row["flops"].as_f64().unwrap() - flops).abs() < 0.03, "{row}");
    }
    let text = fs::read_to_string(out.join("comparison.md")).unwrap();
    for words in [
        "Costs differ: random:control.target=0.125 spent 12.5 % of the FLOPs of a dense run of 4 epochs, random:train.epochs=16 \
         100.0 %",
        "random:train.epochs=16 against random",
        "at 4.00 times its FLOPs",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert!(!text.contains("--budget makes"), "{text}");
    assert!(fs::read_to_string(out.join("comparison.svg")).unwrap().contains("Costs differ"));
    let caveats = json["caveats"].as_array().unwrap();
    assert!(caveats.iter().any(|caveat| caveat["kind"] == "unequal-costs"), "{json}");
}

#[test]
fn one_configuration_is_one_arm_however_it_is_spelled() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let given = |arms: &str| compare(&out, &[arms, "--seeds=1", "--budget=0.5", "--set=train.epochs=1"]);
    for (arms, words) in [
        ("--arms=ast:lambda=0.5,ast:lambda=0.50", "`ast:lambda=0.5` is given twice"),
        ("--arms=ast:lambda=0.5,ast:policy.lambda=5e-1", "`ast:lambda=0.5` is given twice"),
        ("--arms=ast,ast:gamma=2:guard=on", "`ast` is given twice: `ast:gamma=2:guard=on` is the same"),
        ("--arms=random,random:train.epochs=4", "`random` is given twice: `random:train.epochs=4` is the same"),
        ("--arms=ast:lambda=0.5:lambda=0.6", "`policy.lambda` is given twice"),
        // A policy without scores gives the same run with any scorer.
        ("--arms=random,random:scorer.name=margin", "`random` is given twice"),
    ] {
        let output = given(arms);
        assert_eq!(output.status.code(), Some(2), "{arms}: {}", stderr(&output));
        assert!(stderr(&output).contains(words), "{arms}: {}", stderr(&output));
    }
    assert!(!out.exists());

    let name = |json: &serde_json::Value| json["arms"][0]["arm"].as_str().unwrap().to_string();
    let first = given("--arms=ast:lambda=0.50:gate=hard");
    assert_eq!(name(&result(&first)), "ast:gate=hard:lambda=0.5");
    assert!(out.join("ast_gate=hard_lambda=0.5/seed-0/summary.json").is_file());
    // The folder of an older program has the keys in the order of the command line.
    fs::rename(out.join("ast_gate=hard_lambda=0.5"), out.join("ast_lambda=0.5_gate=hard")).unwrap();
    for spelling in ["--arms=ast:policy.gate=hard:lambda=5e-1", "--arms=ast:gate=hard:lambda=0.5:gamma=2"] {
        let again = given(spelling);
        assert_eq!(result(&again)["arms"][0]["accuracies"], result(&first)["arms"][0]["accuracies"]);
        assert!(!stderr(&again).contains("seed 0"), "it was run again: {}", stderr(&again));
    }
}

#[test]
fn keys_that_arms_and_seeds_decide_are_refused_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    for (args, words) in [
        (&["--set=train.seed=5"][..], "--seeds"),
        (&["--set=train={seed=5}"], "--seeds"),
        (&["--set=policy.name=infobatch"], "its arms say"),
        // With --set, a parameter must exist for every arm.
        (&["--arms=random,ast", "--set=policy.lambda=0.5"], "lambda"),
        (&["--arms=random,random:train.seed=7"], "--seeds"),
        (&["--arms=random,random:data.validation=32"], "--set data.validation"),
        (&["--arms=random,random:data.label_noise=0.5"], "--set data.label_noise"),
        (&["--arms=random,random:data.dir=elsewhere"], "data.dir"),
        (&["--arms=random,random:model.name=simple-cnn"], "model.name"),
        (&["--arms=random,random:device.threads=2"], "device.threads"),
        (&["--arms=random,random:checkpoint.keep=1"], "checkpoint.keep"),
        (&["--arms=random,random:policy.name=ast"], "policy.name"),
        (&["--arms=random,random:trian.epochs=8"], "did you mean `train`"),
    ] {
        let output = compare(&out, args);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(words), "{args:?}: {}", stderr(&output));
    }
    let variable = super::command(&out, &[]).env("AST__TRAIN__SEED", "5").output().unwrap();
    assert_eq!(variable.status.code(), Some(2));
    assert!(stderr(&variable).contains("AST__TRAIN__SEED") && stderr(&variable).contains("--seeds"));
    assert!(!out.exists());

    // Every configuration of a run has a seed. A note says that it is ignored.
    let config = folder.path().join("seven.toml");
    fs::write(&config, "[train]\nseed = 7\n[policy]\nname = \"infobatch\"\n").unwrap();
    let config = format!("--config={}", config.display());
    let output = compare(&out, &[&config, "--arms=random", "--seeds=1", "--activation=0.2"]);
    assert!(output.status.success());
    for words in ["`train.seed` = 7 is ignored", "`policy.name` = \"infobatch\" is ignored"] {
        assert!(stderr(&output).contains(words), "{}", stderr(&output));
    }
}
