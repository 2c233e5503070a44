//! What a run reports about its limit and its policy: at the start, in the report and in its files.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use crate::common::LITTLE;
use serde_json::Value;

const SMALL: [&str; 9] = [
    LITTLE[0],
    LITTLE[1],
    "--set=data.train_limit=200",
    "--epochs=8",
    "--batch-size=16",
    "--threads=1",
    "--seed=1",
    "--progress=plain",
    "--set=eval.every_epochs=0",
];

fn train(out: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ast"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("AST_")) {
        command.env_remove(name);
    }
    command.arg("train").args(SMALL).args(args).arg("--out").arg(out).output().unwrap()
}

struct Run {
    report: String,
    log: String,
    summary: Value,
    provenance: Value,
    config: toml::Table,
    metrics: String,
}

fn run(args: &[&str]) -> Run {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("run");
    let output = train(&out, args);
    let log = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{args:?}: {log}");
    let json = |name: &str| serde_json::from_slice(&fs::read(out.join(name)).unwrap()).unwrap();
    Run {
        report: String::from_utf8(output.stdout).unwrap(),
        log,
        summary: json("summary.json"),
        provenance: json("run.json"),
        config: fs::read_to_string(out.join("config.toml")).unwrap().parse().unwrap(),
        metrics: fs::read_to_string(out.join("metrics.jsonl")).unwrap(),
    }
}

fn refused(args: &[&str], words: &[&str]) {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("run");
    let output = train(&out, args);
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{args:?}: {message}");
    assert!(words.iter().all(|word| message.contains(word)), "{args:?}: {message}");
}

#[test]
fn a_budget_that_dense_cannot_keep_is_refused() {
    refused(&["--policy=dense", "--budget=0.1"], &["budget.fraction", "dense-stopped"]);
    refused(&["--policy=dense", "--budget-seconds=0.2"], &["budget.seconds", "every sample"]);
}

/// The warning is on the screen, in metrics.jsonl, in the summary and in the report.
#[test]
fn a_policy_without_a_target_is_reported_everywhere() {
    for (policy, words) in [("infobatch", "does not keep an activation of 10.0 %"), ("dense", "does not keep")] {
        let run = run(&["--policy", policy, "--activation=0.1"]);
        let activation = &run.summary["activation"];
        assert_eq!((&activation["target"], &activation["kept"]), (&0.1.into(), &false.into()), "{policy}");
        assert!(activation["realised"].as_f64().unwrap() > 0.5, "{policy}: {activation}");
        assert!(run.log.contains(words) && run.metrics.contains(words), "{policy}: {}", run.log);
        let warnings = run.summary["ran"]["warnings"].to_string();
        assert!(warnings.contains(words), "{policy}: {warnings}");
        assert!(run.report.contains("keeps no target") && !run.report.contains("(target"), "{}", run.report);
    }
    // No activation rate was set, so there is no warning.
    let dense = run(&["--policy=dense"]);
    assert!(
        !dense.log.contains("warning") && !dense.config["control"].as_table().unwrap().contains_key("target"),
        "{}",
        dense.log
    );
}

/// A default scorer is not written into the run's configuration.
#[test]
fn a_default_scorer_is_not_written_into_the_configuration() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("run");
    assert!(train(&out, &["--policy=random"]).status.success());
    let config = out.join("config.toml");
    let text = fs::read_to_string(&config).unwrap();
    assert!(!text.contains("loss-intensity"), "{text}");
    for (policy, scorer) in
        [("importance", "grad-norm"), ("original-package", "loss-entropy"), ("reducible", "reducible-loss")]
    {
        let run = run(&["--config", config.to_str().unwrap(), "--policy", policy]);
        assert!(run.report.contains(&format!("{policy} with scorer {scorer} on")), "{}", run.report);
        assert_eq!(run.provenance["ran"]["scorer"], scorer);
        assert!(!run.config["scorer"].as_table().unwrap().contains_key("name"));
    }
    for policy in ["random", "dense"] {
        let run = run(&["--policy", policy]);
        assert!(run.report.contains(&format!("\n{policy} on flex, seed 1")), "{}", run.report);
        assert_eq!((&run.summary["ran"]["scorer"], &run.provenance["scorer_origin"]), (&Value::Null, &Value::Null));
    }
}

/// Titles, advice, summary and run.json name the policy that really ran.
#[test]
fn ast_that_is_random_is_called_random() {
    let defaults = tempfile::NamedTempFile::new().unwrap();
    let run = run(&["--config", defaults.path().to_str().unwrap()]);
    assert!(run.report.contains("ast (`random` in this run) on flex, seed 1"), "{}", run.report);
    let advice = run.report.split("Next:").nth(1).unwrap();
    assert!(advice.contains("policy.lambda=0.8") && !advice.contains("--policy random"), "{advice}");
    for ran in [&run.summary["ran"], &run.provenance["ran"]] {
        assert_eq!((&ran["policy"], &ran["acts_as"]), (&"ast".into(), &"random".into()), "{ran}");
        assert!(ran["warnings"].to_string().contains("`ast` is `random` here"), "{ran}");
    }
}

/// To select more than by default leads to a warning.
#[test]
fn selection_in_a_short_run_leads_to_a_warning() {
    let run = run(&["--set=policy.lambda=0.8"]);
    assert!(run.log.contains("because of policy.lambda = 0.8"), "{}", run.log);
    assert_eq!(run.summary["ran"]["acts_as"], Value::Null);
}

#[test]
fn a_target_of_one_trains_every_sample() {
    let run = run(&["--activation=1"]);
    assert_eq!(run.summary["activation"]["realised"], 1.0);
    assert_eq!(run.summary["ran"]["acts_as"], "random");
}

/// As much is trained as without it, and the summary and the report say what the target is of.
#[test]
fn a_warm_up_is_reported() {
    let run = run(&["--policy=random", "--activation=0.25", "--set=policy.warmup=0.5"]);
    assert_eq!(run.summary["activation"]["warmup"], 0.5);
    assert_eq!(run.summary["activation"]["target"], 0.25);
    let trained = run.summary["samples"]["trained"].as_f64().unwrap();
    assert!((trained - 0.25 * 8.0 * 200.0).abs() <= 16.0, "{trained}");
    assert!(run.report.contains("(target after the warm-up 25.0 %)"), "{}", run.report);
    assert!(run.report.contains("50.0 %   of the budget on every offered sample"), "{}", run.report);
    let run = self::run(&["--policy=dense", "--set=policy.warmup=0.5"]);
    assert!(!run.report.contains("warm-up  "), "{}", run.report);
}

#[test]
fn the_announced_number_of_steps_is_made() {
    for args in [
        &["--policy=random", "--activation=0.2", "--set=policy.warmup=0.3"][..],
        &["--policy=dense-stopped", "--activation=0.2"][..],
        &["--policy=dense-stopped", "--budget=0.2"],
        &["--policy=random", "--activation=0.2"],
        &["--policy=dense"],
        &["--policy=random", "--budget=0.3"],
    ] {
        let run = run(args);
        let started: Value = serde_json::from_str(run.metrics.lines().next().unwrap()).unwrap();
        let [planned, made] = [&started["planned_steps"], &run.summary["steps"]].map(|steps| steps.as_i64().unwrap());
        // A run ends within one batch of its limit.
        assert!((planned - made).abs() <= 1, "{args:?}: {planned} announced, {made} made");
    }
    let started = |args: &[&str]| -> Value { serde_json::from_str(run(args).metrics.lines().next().unwrap()).unwrap() };
    assert_eq!(started(&["--policy=infobatch"])["planned_steps"], Value::Null);
}

/// Equal scores all have the same rank; the activation rate still equals the target.
#[test]
fn tied_scores_do_not_change_the_rate() {
    let run = run(&["--policy=selective-backprop", "--scorer=forgetting", "--activation=0.2"]);
    let realised = run.summary["activation"]["realised"].as_f64().unwrap();
    // 1,600 draws: five standard deviations are 0.05.
    assert!((realised - 0.2).abs() < 0.05, "{realised}");
}

#[test]
fn a_budget_mostly_spent_on_scoring_leads_to_a_warning() {
    let words = ["scoring took the whole budget", "raise the budget"];
    refused(&["--policy=reducible", "--budget=0.002"], &words);
    refused(&["--policy=reducible", "--budget-seconds=1e-9"], &words);
}
