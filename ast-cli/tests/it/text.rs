//! A language model on the real program: training, selection, exact resume, generation, and what is refused.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use crate::common::{LITTLE, assert_same, copy, program, result, resume, stderr, steps, succeed};
use serde_json::Value;

/// With `--set`, so that a test may use the flags.
const GPT: [&str; 7] = [
    "--set=data.name=text",
    "--set=data.context=8",
    "--set=model.name=gpt",
    "--set=model.width=8",
    "--set=model.depth=1",
    "--set=model.heads=2",
    "--set=device.threads=1",
];
const SHORT: [&str; 5] = [
    "--set=train.epochs=6",
    "--set=train.batch_size=8",
    "--set=train.lr=0.01",
    "--set=eval.every_epochs=3",
    "--progress=none",
];

/// 2,700 characters, 25 of them different, that are learned soon.
fn text() -> String {
    "the quick brown fox jumps over the lazy dog, and so on\n".chars().cycle().take(2700).collect()
}

fn start(data: &Path, out: &Path, more: &[&str]) -> Command {
    let mut command = program();
    command.args(GPT).args(SHORT).args(more).arg("--data-dir").arg(data).arg("--out").arg(out);
    command
}

fn written(dir: &Path, name: &str, content: impl AsRef<[u8]>) -> std::path::PathBuf {
    let file = dir.join(name);
    fs::write(&file, content).unwrap();
    file
}

fn ast(args: &[&str]) -> Output {
    let output = Command::new(env!("CARGO_BIN_EXE_ast")).args(args).env_remove("AST_DATA_DIR").output().unwrap();
    stderr(&output);
    output
}

fn summary(run: &Path) -> Value {
    serde_json::from_slice(&fs::read(run.join("summary.json")).unwrap()).unwrap()
}

fn close(got: &Value, expected: f64) {
    let got = got.as_f64().unwrap();
    assert!((got - expected).abs() < 1e-9 * expected.abs(), "{got} {expected}");
}

#[test]
fn a_language_model_learns_its_text_and_writes_it() {
    let folder = tempfile::tempdir().unwrap();
    let (data, run) = (written(folder.path(), "fox.txt", text()), folder.path().join("run"));
    let mut command = start(&data, &run, &["--policy=dense", "--epochs=20"]);
    let output = command.stdout(std::process::Stdio::piped()).output().unwrap();
    let report = String::from_utf8(output.stdout.clone()).unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    for words in [
        "test loss",
        "nats a token, 33 windows",
        "guessing gives 3.37",
        "perplexity",
        "bits a character",
        "ast generate",
    ] {
        assert!(report.contains(words) || report.contains("cargo run"), "{words}: {report}");
    }
    let summary = summary(&run);
    let loss = summary["loss"]["final"].as_f64().unwrap();
    assert!(loss < 0.5, "{loss}");
    close(&summary["text"]["perplexity"], loss.exp());
    close(&summary["text"]["bits_per_character"], loss / std::f64::consts::LN_2);

    let run = run.to_str().unwrap();
    let greedy = ["generate", run, "--temperature=0", "--threads=1", "--device=flex"];
    let output = ast(&[&greedy[..], &["--prompt=the quick", "--tokens=30"]].concat());
    let wrote = String::from_utf8(output.stdout).unwrap();
    assert_eq!(wrote.trim_end(), &text()[..39], "a text that it knows by heart");
    let drawn = |seed: &str| ast(&["generate", run, "--threads=1", "--tokens=60", "--temperature=2", seed]).stdout;
    assert_eq!(drawn("--seed=1"), drawn("--seed=1"));
    assert_ne!(drawn("--seed=1"), drawn("--seed=2"));
    // The text is not needed any more.
    fs::remove_file(&data).unwrap();
    assert!(ast(&["generate", run, "--tokens=1", "--weights", &format!("{run}/best.safetensors")]).status.success());
}

/// Without a prompt, writing begins with the first token of a text that has no line feeds.
#[test]
fn a_text_without_line_feeds_is_written_too() {
    let folder = tempfile::tempdir().unwrap();
    let data = written(folder.path(), "fox.txt", text().replace('\n', " "));
    let run = folder.path().join("run");
    succeed(start(&data, &run, &["--policy=dense", "--set=checkpoint.every_steps=20"]));
    let output = ast(&["generate", run.to_str().unwrap(), "--tokens=3"]);
    assert!(output.status.success() && output.stdout.len() == 5, "{output:?}");
}

/// Each policy and scorer either trains on text or is refused by name before it has a folder.
#[test]
fn every_policy_and_scorer_trains_on_text_or_says_why_not() {
    let folder = tempfile::tempdir().unwrap();
    let data = written(folder.path(), "fox.txt", &text()[..900]);
    let names = |kind: &str| -> Vec<String> {
        let output = ast(&[kind, "--json"]);
        let all: Value = serde_json::from_slice(&output.stdout).unwrap();
        all.as_array().unwrap().iter().map(|entry| entry["name"].as_str().unwrap().to_string()).collect()
    };
    let mut refused = Vec::new();
    let mut attempt = |what: String, more: &[&str]| {
        let run = folder.path().join(&what);
        let output = start(&data, &run, &[&["--activation=0.5"], more].concat()).output().unwrap();
        if !output.status.success() {
            let message = stderr(&output);
            assert_eq!(output.status.code(), Some(2), "{what}: {message}");
            assert!(!run.exists(), "{what}: {message}");
            refused.push(format!("{what}: {}", message.trim()));
        } else {
            assert!(summary(&run)["text"]["perplexity"].as_f64().unwrap() > 1.0, "{what}");
        }
    };
    for scorer in names("scorers") {
        attempt(format!("scorer-{scorer}"), &["--policy=ast", "--set=policy.lambda=0.8", "--scorer", &scorer]);
    }
    for policy in names("policies") {
        // These name their scorer themselves.
        let own = ["importance", "original-package", "reducible"].contains(&policy.as_str());
        let scorer: &[&str] = if own { &[] } else { &["--scorer=loss"] };
        attempt(format!("policy-{policy}"), &[&["--policy", &policy], scorer].concat());
    }
    let [only] = refused.as_slice() else { panic!("{refused:#?}") };
    assert!(
        only.starts_with("scorer-loss-intensity:") && only.contains("scorer `loss-intensity`: it is for images"),
        "{only}"
    );
}

#[test]
fn a_run_on_text_resumes_exactly_at_any_step_with_any_number_of_workers() {
    let folder = tempfile::tempdir().unwrap();
    let (data, run) = (written(folder.path(), "fox.txt", &text()[..1200]), folder.path().join("run"));
    let selecting = [
        "--policy=ast",
        "--scorer=loss",
        "--set=policy.lambda=0.8",
        "--activation=0.5",
        "--set=checkpoint.every_steps=1",
        "--set=checkpoint.keep=1000",
    ];
    succeed(start(&data, &run, &selecting));
    let expected = result(&run);
    let all = steps(&run);
    assert!(all.len() > 20, "{}", all.len());
    for (place, step) in all.iter().enumerate().step_by(5) {
        let again = folder.path().join(format!("again-{place}"));
        copy(&run, &again);
        fs::remove_file(again.join("summary.json")).unwrap();
        for later in steps(&again).into_iter().filter(|other| other.file_name() > step.file_name()) {
            fs::remove_dir_all(later).unwrap();
        }
        succeed(resume(&again));
        assert_same(&again, &expected, &format!("after {}", step.display()));
    }
    for more in [["--set=data.workers=0", "--threads=1"], ["--set=data.workers=3", "--threads=3"]] {
        let again = folder.path().join(more[0]);
        succeed(start(&data, &again, &[&selecting[..], &more].concat()));
        assert!(result(&again).weights == expected.weights, "{more:?}");
    }
}

#[test]
fn a_comparison_of_language_models_is_by_loss() {
    let folder = tempfile::tempdir().unwrap();
    let (data, out) = (written(folder.path(), "fox.txt", &text()[..900]), folder.path().join("compared"));
    let mut args = vec!["compare", "--arms=random,dense", "--seeds=6", "--epochs=3", "--budget=0.34", "--batch-size=8"];
    args.extend(GPT);
    args.extend(["--data-dir", data.to_str().unwrap(), "--out", out.to_str().unwrap()]);
    let output = ast(&args);
    assert!(output.status.success(), "{}", stderr(&output));
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(table.contains("| loss "), "{table}");
    // A third of the training has the higher loss, and is behind for that.
    assert!(table.contains("Established: random is behind dense by 0.") && table.contains(" nats ["), "{table}");
    assert!(!table.contains("Near chance"), "{table}");
    let json: Value = serde_json::from_slice(&fs::read(out.join("comparison.json")).unwrap()).unwrap();
    assert_eq!(json["lower_is_better"], true);
}

#[test]
fn what_is_no_text_or_no_language_model_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (data, run) = (written(folder.path(), "fox.txt", text()), folder.path().join("run"));
    let refused = |data: &Path, more: &[&str], code: i32, words: &str| {
        let mut command = program();
        command
            .args(["--dataset=text", "--set=data.context=8", "--set=policy.name=dense", "--progress=none"])
            .args(more);
        let output = command.arg("--data-dir").arg(data).arg("--out").arg(&run).output().unwrap();
        let message = stderr(&output);
        assert!(output.status.code() == Some(code) && message.contains(words), "{words}: {message}");
        assert!(!run.exists());
    };
    let gpt = "--model=gpt";
    refused(&data, &["--model=simple-cnn"], 2, "windows of 8 tokens: it takes images");
    refused(&data, &[gpt, "--set=data.context=400"], 65, "there must be 4001 or more");
    refused(&data, &[gpt, "--set=data.label_noise=0.1"], 2, "`data.label_noise`");
    refused(&data, &[gpt, "--set=eval.tta=true"], 2, "for images only");
    refused(&data, &[gpt, "--set=train.sizes=[4, 8]"], 2, "for images only");
    let broken = written(folder.path(), "broken.txt", b"abc\xff");
    refused(&broken, &[gpt], 65, "broken.txt: it is not UTF-8 at byte 3");
    refused(&folder.path().join("nowhere"), &[gpt], 65, "nowhere");
    let texts = folder.path().join("texts");
    fs::create_dir_all(texts.join("b.txt")).unwrap();
    written(&texts, "a.txt", text());
    refused(&texts, &[gpt], 65, "b.txt: it has the name of a text, but is not a file");
    refused(Path::new("/dev/null"), &[gpt], 65, "/dev/null: it is neither a file nor a folder");
    refused(&data, &[gpt, "--policy=ast"], 2, "error: scorer `loss-intensity`: it is for images");
    // A comparison notices before its first run.
    let mut compare = Command::new(env!("CARGO_BIN_EXE_ast"));
    compare.args(["compare", "--dataset=text", "--set=data.context=8", "--seeds=1", "--epochs=1", gpt, "--data-dir"]);
    let output = compare.arg(&data).args(["--arms=random,ast:lambda=0.5", "--out"]).arg(&run).output().unwrap();
    let message = stderr(&output);
    let expected = "error: arm ast:lambda=0.5: scorer `loss-intensity`: it is for images";
    assert!(output.status.code() == Some(2) && message.contains(expected), "{message}");
    assert!(!run.exists());
    let mut on_images = program();
    on_images.args(["--model=gpt", "--policy=dense", "--out"]).arg(&run);
    let message = stderr(&on_images.output().unwrap());
    assert!(message.contains("it takes windows of text"), "{message}");
    let no_run = ast(&["generate", folder.path().to_str().unwrap()]);
    assert_eq!(no_run.status.code(), Some(2), "{}", stderr(&no_run));
    let images = folder.path().join("images");
    let mut command = program();
    command
        .args(LITTLE)
        .args(["--set=data.train_limit=32", "--epochs=1", "--policy=dense", "--progress=none", "--out"])
        .arg(&images);
    succeed(command);
    let no_text = ast(&["generate", images.to_str().unwrap()]);
    assert!(no_text.status.code() == Some(2) && stderr(&no_text).contains("not the weights of a run on text"));

    succeed(start(&data, &run, &["--policy=dense"]));
    let path = run.to_str().unwrap();
    let unknown = ast(&["generate", path, "--prompt=the €"]);
    assert!(unknown.status.code() == Some(2) && stderr(&unknown).contains("\"€\" does not occur"));
    for odd in [["--temperature", "-1"], ["--threads", "99999"]] {
        assert_eq!(ast(&[&["generate", path][..], &odd].concat()).status.code(), Some(2), "{odd:?}");
    }
    let hyphen = ast(&["generate", path, "--prompt", "-"]);
    assert!(stderr(&hyphen).contains("\"-\" does not occur"), "{}", stderr(&hyphen));
    let nowhere = ast(&["generate", path, "--weights", path]);
    assert!(nowhere.status.code() == Some(65) && stderr(&nowhere).contains("is not a file"), "{}", stderr(&nowhere));
    // All weights NaN, behind the header, whose length comes first.
    let mut damaged = fs::read(run.join("model.safetensors")).unwrap();
    let header = 8 + u64::from_le_bytes(damaged[..8].try_into().unwrap()) as usize;
    damaged[header..].fill(0xff);
    let damaged = written(folder.path(), "damaged.safetensors", damaged);
    let damaged = ast(&["generate", path, "--weights", damaged.to_str().unwrap()]);
    assert!(
        damaged.status.code() == Some(65) && stderr(&damaged).contains("is NaN: no network"),
        "{}",
        stderr(&damaged)
    );
    fs::remove_file(run.join("model.safetensors")).unwrap();
    let unfinished = ast(&["generate", path, "--prompt=a"]);
    assert!(unfinished.status.code() == Some(65) && stderr(&unfinished).contains("it was removed"));
}
