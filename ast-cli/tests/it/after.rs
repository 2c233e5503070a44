//! What can be done with a finished run: `ast eval`, `ast ledger`, `ast report`, through the real program.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::common::{self, LITTLE, SMALL, copy, npy, program, start, stderr, succeed};
use serde_json::Value;

fn ast(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ast"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("AST_")) {
        command.env_remove(name);
    }
    command.args(args).stdin(Stdio::null()).output().unwrap()
}

/// Standard output of a command that succeeds.
fn printed(args: &[&str]) -> String {
    let output = ast(args);
    assert!(output.status.success(), "{args:?}: {}", stderr(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// Exit code and message of a command that fails.
fn refused(args: &[&str]) -> (i32, String) {
    let output = ast(args);
    assert!(!output.status.success(), "{args:?}");
    (output.status.code().unwrap(), stderr(&output))
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn summary(run: &Path) -> Value {
    json(&fs::read_to_string(run.join("summary.json")).unwrap())
}

/// A column of a table, as text.
fn column(file: &str, name: &str) -> Vec<String> {
    let mut reader = csv::Reader::from_reader(file.as_bytes());
    let place = reader.headers().unwrap().iter().position(|header| header == name).unwrap();
    reader.records().map(|record| record.unwrap()[place].to_string()).collect()
}

/// The evaluation is the one that the run ended with, to the last bit: from its weights alone, and with any number of
/// threads.
#[test]
fn weights_are_evaluated_as_at_the_end_of_their_run() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    succeed(start(&run, &["--set=train.lr=0.003"]));
    let (path, answers) = (run.to_str().unwrap(), folder.path().join("answers.csv"));
    let result = json(&printed(&["eval", path, "--json", "--threads=2", "--csv", answers.to_str().unwrap()]));
    let summary = summary(&run);
    assert_eq!(result["accuracy"], summary["accuracy"]["final"]);
    assert_eq!(result["loss"], summary["loss"]["final"]);
    assert_eq!(result["samples"], summary["test"]["samples"]);
    assert_eq!(fs::read(&answers).unwrap(), fs::read(run.join("predictions.csv")).unwrap());

    // Independently of the program: from the table of answers.
    let text = fs::read_to_string(&answers).unwrap();
    let (labels, predicted) = (column(&text, "label"), column(&text, "predicted"));
    let names = summary["preprocessing"]["class_names"].as_array().unwrap();
    for (numbers, named) in [(&labels, "class"), (&predicted, "answer")] {
        let of = |number: &String| names[number.parse::<usize>().unwrap()].as_str().unwrap();
        assert!(numbers.iter().map(of).eq(column(&text, named)), "{named}");
    }
    let right = labels.iter().zip(&predicted).filter(|(label, predicted)| label == predicted).count();
    assert_eq!(100.0 * right as f64 / labels.len() as f64, result["accuracy"].as_f64().unwrap());
    let losses: f64 = column(&text, "loss").iter().map(|loss| loss.parse::<f64>().unwrap()).sum();
    assert!((losses / labels.len() as f64 - result["loss"].as_f64().unwrap()).abs() < 1e-6);
    for (class, row) in result["confusion"].as_array().unwrap().iter().enumerate() {
        for (answer, count) in row.as_array().unwrap().iter().enumerate() {
            let is_it = |(label, predicted): &(&String, &String)| {
                **label == class.to_string() && **predicted == answer.to_string()
            };
            assert_eq!(count.as_u64().unwrap() as usize, labels.iter().zip(&predicted).filter(is_it).count());
        }
    }

    let report = printed(&["eval", path]);
    let accuracy = format!("{:.1} +- ", result["accuracy"].as_f64().unwrap());
    assert!(report.contains(&accuracy) && report.contains("500 test images of procedural"), "{report}");
    let best = run.join("best.safetensors");
    let best = json(&printed(&["eval", best.to_str().unwrap(), "--json"]));
    assert_eq!(best["accuracy"], summary["accuracy"]["best"]);
    let held_out = json(&printed(&["eval", path, "--json", "--set=data.validation=100", "--set=data.train_limit=100"]));
    assert_eq!(held_out["samples"], 100);
}

/// What, where, and what to do.
#[test]
fn what_cannot_be_evaluated_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    succeed(start(&run, &["--epochs=1"]));
    let (path, weights) = (run.to_str().unwrap(), run.join("model.safetensors"));
    let file = weights.to_str().unwrap();

    let (code, message) = refused(&["eval", path, "--model", "resnet18", "--set=model.width=8"]);
    assert!(code == 65 && message.contains("model.safetensors") && message.contains("of this network"), "{message}");
    let alone = folder.path().join("alone.safetensors");
    fs::copy(&weights, &alone).unwrap();
    let (code, message) = refused(&["eval", alone.to_str().unwrap()]);
    assert!(code == 2 && message.contains("name the network with --config, --preset or --model"), "{message}");
    assert!(ast(&[&["eval", alone.to_str().unwrap(), "--model", "simple-cnn"], &LITTLE[..]].concat()).status.success());
    let (code, message) = refused(&["eval", "nowhere"]);
    assert!(code != 0 && message.contains("nowhere"), "{message}");
    let (code, message) = refused(&["eval", file, "--csv", "/nowhere/answers.csv"]);
    assert!(code == 74 && message.contains("/nowhere/answers.csv"), "{message}");

    let bytes = fs::read(&weights).unwrap();
    fs::write(&weights, &bytes[..bytes.len() / 2]).unwrap();
    let (code, message) = refused(&["eval", path]);
    assert!(code == 65 && message.contains("model.safetensors"), "{code} {message}");
    fs::remove_file(&weights).unwrap();
    fs::remove_file(run.join("summary.json")).unwrap();
    let (code, message) = refused(&["eval", path]);
    assert!(code == 65 && message.contains("ast train --resume"), "{message}");
}

/// By every command that wants a run, in the same words.
#[test]
fn a_folder_that_is_not_that_of_a_run_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    for command in [&["eval"][..], &["report"], &["ledger"], &["generate"], &["train", "--resume"]] {
        let (code, message) = refused(&[command, &[path]].concat());
        let expected =
            format!("error: {path}: there is no config.toml, so this is not the folder of a run; `ast runs {path}`");
        assert!(code == 2 && message.starts_with(&expected), "{command:?}: {code} {message}");
    }
    let run = folder.path().join("run");
    succeed(start(&run, &["--epochs=1"]));
    let path = run.to_str().unwrap();
    let removed = |name: &str, command: &str| {
        fs::remove_file(run.join(name)).unwrap();
        let (code, message) = refused(&[command, path]);
        assert!(code == 65 && message.contains(&format!("{name}: no such file: it was removed")), "{code} {message}");
    };
    removed("metrics.jsonl", "report");
    removed("model.safetensors", "eval");
    fs::write(run.join("summary.json"), r#"{"schema": 1, "loss": 1}"#).unwrap();
    let (code, message) = refused(&["ledger", path]);
    assert!(
        code == 65 && message.contains("summary.json: this is not the summary of a run, or it is damaged"),
        "{message}"
    );
}

/// The table agrees with the counts of the summary, is the same whatever the number of threads, and after a resume.
#[test]
fn the_ledger_is_written_and_read() {
    let folder = tempfile::tempdir().unwrap();
    let (run, again) = (folder.path().join("run"), folder.path().join("again"));
    succeed(start(&run, &[]));
    let mut other = common::program();
    other
        .args(SMALL.into_iter().filter(|flag| !flag.starts_with("--threads")))
        .args(["--threads=2", "--set=data.workers=3"]);
    other.arg("--out").arg(&again);
    succeed(other);
    let table = fs::read_to_string(run.join("ledger.csv")).unwrap();
    for name in ["ledger.csv", "predictions.csv"] {
        assert_eq!(fs::read(run.join(name)).unwrap(), fs::read(again.join(name)).unwrap(), "{name}");
    }
    fs::remove_file(again.join("summary.json")).unwrap();
    fs::remove_file(again.join("ledger.csv")).unwrap();
    succeed(common::resume(&again));
    assert_eq!(fs::read_to_string(again.join("ledger.csv")).unwrap(), table);

    let visits = column(&table, "visits");
    assert_eq!(visits.len(), 256);
    let total: u64 = visits.iter().map(|visits| visits.parse::<u64>().unwrap()).sum();
    assert_eq!(summary(&run)["samples"]["trained"], total);
    let groups = column(&table, "group");
    let hard = |values: &[String]| -> u64 {
        let of = groups.iter().zip(values).filter(|(group, _)| *group == "hard");
        of.map(|(_, visits)| visits.parse::<u64>().unwrap()).sum()
    };
    let share = summary(&run)["groups"]["hard"]["passes"].as_f64().unwrap();
    assert!((hard(&visits) as f64 / total as f64 - share).abs() < 1e-9);
    let never = visits.iter().filter(|visits| *visits == "0").count();
    let empty = |name: &str| column(&table, name).iter().filter(|value| value.is_empty()).count();
    assert_eq!((empty("loss"), empty("correct")), (never, never), "no loss without a visit");

    let path = run.to_str().unwrap();
    let report = printed(&["ledger", path]);
    assert!(report.contains(&format!("256 training samples, {total} visits")), "{report}");
    assert!(report.contains(&format!("{never} never trained on")) && report.contains("| hard"), "{report}");
    let sorted = column(&printed(&["ledger", path, "--csv", "--sort=loss"]), "loss");
    let losses: Vec<f64> = sorted.iter().map(|loss| loss.parse().unwrap()).collect();
    assert!(losses.len() == 256 - never && losses.is_sorted_by(|a, b| a >= b), "{losses:?}");

    // As programs wrote it that did not name the classes.
    let names = column(&table, "class");
    let older: String = table.replacen(",class", "", 1);
    let older = names.iter().fold(older, |text, name| text.replacen(&format!(",{name},"), ",", 1));
    fs::write(run.join("ledger.csv"), older).unwrap();
    assert_eq!(printed(&["ledger", path]), report);

    fs::write(run.join("ledger.csv"), &table[..table.len() / 2]).unwrap();
    let (code, message) = refused(&["ledger", path]);
    assert!(code == 65 && message.contains("ledger.csv, line ") && message.contains("cut off"), "{message}");
    fs::write(run.join("ledger.csv"), "").unwrap();
    let (code, message) = refused(&["ledger", path]);
    assert!(code == 65 && message.contains("ledger.csv, line 1"), "{message}");
    fs::write(run.join("ledger.csv"), &table).unwrap();
    let config = fs::read_to_string(run.join("config.toml")).unwrap();
    fs::write(run.join("config.toml"), config.replace("epochs = ", "epochs = -")).unwrap();
    for command in [&["report", path][..], &["ledger", path, "--suspects", "--fresh"]] {
        let (code, message) = refused(command);
        assert!(code == 65 && message.contains("config.toml") && message.contains("epochs"), "{message}");
    }
    fs::write(run.join("config.toml"), config).unwrap();
    fs::remove_file(run.join("ledger.csv")).unwrap();
    let (code, message) = refused(&["ledger", path]);
    assert!(code == 65 && message.contains("an older program made the run"), "{message}");
    fs::remove_file(run.join("summary.json")).unwrap();
    for command in ["ledger", "report"] {
        let (code, message) = refused(&[command, path]);
        assert!(code == 65 && message.contains("written at the end of a run; `ast train --resume "), "{message}");
    }
}

/// The shares that are printed, counted from the table.
#[test]
fn suspects_are_compared_with_the_labels_that_are_known_to_be_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    succeed(start(&run, &["--policy=dense", "--set=data.label_noise=0.3"]));
    let path = run.to_str().unwrap();
    let table = printed(&["ledger", path, "--suspects", "--csv"]);
    let wrong: Vec<bool> = column(&table, "group").iter().map(|group| group == "mislabelled").collect();
    let total = wrong.iter().filter(|wrong| **wrong).count();
    let found = |first: usize| wrong[..first].iter().filter(|wrong| **wrong).count();
    let report = printed(&["ledger", path, "--suspects", "--top=30"]);
    let line = format!("{} of these 30 ({:.1} %)", found(30), found(30) as f64 / 0.3);
    assert!(report.contains(&line), "{line}: {report}");
    assert!(
        report.contains(&format!("In all {total} are wrong. A list of as many has {} of them", found(total))),
        "{report}"
    );
}

/// A run on arrays whose training images are its test images.
fn run_on_arrays(folder: &Path) -> (PathBuf, PathBuf) {
    let (data, run) = (folder.join("data"), folder.join("run"));
    fs::create_dir(&data).unwrap();
    for split in ["train", "test"] {
        fs::write(data.join(format!("{split}_images.npy")), npy("(40, 16, 16)", &pixels(0))).unwrap();
        let labels: Vec<u8> = (0..40).map(|i| i % 4).collect();
        fs::write(data.join(format!("{split}_labels.npy")), npy("(40,)", &labels)).unwrap();
    }
    let mut command = program();
    command.args([LITTLE[1], "--dataset=arrays", "--epochs=8", "--batch-size=8", "--progress=none", "--data-dir"]);
    command.arg(&data).arg("--out").arg(&run);
    succeed(command);
    (data, run)
}

fn pixels(first: u8) -> Vec<u8> {
    std::iter::once(first).chain((1..40 * 256_u32).map(|i| (i / 256 * 97 % 251 + i % 7) as u8)).collect()
}

/// The losses under the final weights are those in predictions.csv, because the training images are the test images.
#[test]
fn fresh_suspects_are_ranked_by_their_loss_under_the_final_weights() {
    let folder = tempfile::tempdir().unwrap();
    let (_, run) = run_on_arrays(folder.path());
    let predictions = fs::read_to_string(run.join("predictions.csv")).unwrap();
    let losses: Vec<f64> = column(&predictions, "loss").iter().map(|loss| loss.parse().unwrap()).collect();
    let listed = printed(&["ledger", run.to_str().unwrap(), "--suspects", "--fresh", "--csv"]);
    let ids: Vec<usize> = column(&listed, "id").iter().map(|id| id.parse().unwrap()).collect();
    assert_eq!(ids.len(), 40);
    assert!(ids.windows(2).all(|pair| losses[pair[0]] >= losses[pair[1]]), "{ids:?} {losses:?}");
    let (first, report) = (losses[ids[0]], printed(&["ledger", run.to_str().unwrap(), "--suspects", "--fresh"]));
    assert!(report.contains("fresh loss") && report.contains(&format!("{first:.3}")), "{report}");
    let (code, message) = refused(&["ledger", run.to_str().unwrap(), "--fresh"]);
    assert!(code == 2 && message.contains("--suspects"), "{message}");
}

/// What is done to the lines of a table.
type Change<'a> = &'a dyn Fn(&mut Vec<String>);

/// Tables that end early, are shuffled, or were edited: each is still a table.
#[test]
fn tables_that_are_not_what_the_summary_tells_of_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (_, run) = run_on_arrays(folder.path());
    let path = run.to_str().unwrap();
    let check = |name: &str, commands: &[&str], change: Change<'_>| {
        let whole = fs::read_to_string(run.join(name)).unwrap();
        let mut lines: Vec<String> = whole.lines().map(|line| format!("{line}\n")).collect();
        change(&mut lines);
        assert_ne!(lines.concat(), whole);
        fs::write(run.join(name), lines.concat()).unwrap();
        for command in commands {
            let (code, message) = refused(&[command, path]);
            assert!(code == 65 && message.contains(name) && message.contains("cut off or was changed"), "{message}");
        }
        fs::write(run.join(name), whole).unwrap();
    };
    let both: [Change<'_>; 4] =
        [&|lines| drop(lines.pop()), &|lines| lines.push(lines[1].clone()), &|lines| lines.swap(3, 4), &|lines| {
            lines[40] = lines[40].replacen("39", "4000000000", 1)
        }];
    for change in both {
        check("ledger.csv", &["ledger", "report"], change);
        check("predictions.csv", &["report"], change);
    }
    // Another label and another answer.
    for column in [1, 3] {
        check("predictions.csv", &["report"], &|lines| {
            let mut cells: Vec<&str> = lines[1].split(',').collect();
            cells[column] = "77";
            lines[1] = cells.join(",");
        });
    }
    check("metrics.jsonl", &["report"], &|lines| lines.truncate(lines.len() / 2));
    check("metrics.jsonl", &["report"], &|lines| lines.clear());
    printed(&["report", path]);
}

/// What a run says of its samples is not said of others that have taken their place.
#[test]
fn data_that_has_changed_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let (data, run) = run_on_arrays(folder.path());
    let path = run.to_str().unwrap();
    let images = |page: &Path| fs::read_to_string(page).unwrap().matches("<img ").count();
    assert!(images(&run.join("report.html")) > 0);
    fs::write(data.join("train_images.npy"), npy("(40, 16, 16)", &pixels(1))).unwrap();
    let (code, message) = refused(&["ledger", path, "--suspects", "--fresh"]);
    assert!(code == 65 && message.contains("are not those of the run"), "{message}");
    let output = ast(&["report", path]);
    assert!(output.status.success() && stderr(&output).contains("are not those of the run"), "{}", stderr(&output));
    assert_eq!(images(&run.join("report.html")), 0);
    printed(&["ledger", path, "--suspects"]);
}

/// A link is followed, a pipe is written to, and no file of a run is lost.
#[test]
fn files_that_a_person_names_are_what_they_were() {
    let folder = tempfile::tempdir().unwrap();
    let (_, run) = run_on_arrays(folder.path());
    let (path, weights) = (run.to_str().unwrap(), fs::read(run.join("model.safetensors")).unwrap());
    let (real, link) = (folder.path().join("real.csv"), folder.path().join("link.csv"));
    fs::write(&real, "old").unwrap();
    std::os::unix::fs::symlink(&real, &link).unwrap();
    printed(&["eval", path, "--csv", link.to_str().unwrap()]);
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    let table = fs::read_to_string(&real).unwrap();
    assert!(table.starts_with("id,label,class,predicted,answer,confidence"), "{table}");
    assert!(printed(&["eval", path, "--csv", "/dev/stdout"]).starts_with(&table));
    assert!(fs::symlink_metadata("/dev/stdout").unwrap().is_symlink());
    for (command, option, name) in [("eval", "--csv", "model.safetensors"), ("report", "--out", "ledger.csv")] {
        let (code, message) = refused(&[command, path, option, run.join(name).to_str().unwrap()]);
        assert!(code == 2 && message.contains("a file of that run"), "{message}");
    }
    assert!(fs::read(run.join("model.safetensors")).unwrap() == weights);
    let (code, message) = refused(&["eval", path, "--csv", folder.path().join("none/a.csv").to_str().unwrap()]);
    assert!(code == 74 && message.contains("there is no folder"), "{message}");
}

#[test]
fn a_run_that_is_not_there_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let (none, file) = (folder.path().join("none"), folder.path().join("file"));
    fs::write(&file, "").unwrap();
    for command in [&["ledger"][..], &["report"], &["generate"], &["eval"], &["train", "--resume"]] {
        let (code, message) = refused(&[command, &[none.to_str().unwrap()]].concat());
        assert!(code == 74 && message.contains("none: there is no such f"), "{command:?}: {message}");
    }
    for command in ["ledger", "report", "generate"] {
        let (code, message) = refused(&[command, file.to_str().unwrap()]);
        assert!(code == 74 && message.contains("file: this is not a folder"), "{command}: {message}");
    }
    let (code, message) = refused(&["eval", folder.path().to_str().unwrap()]);
    assert!(code == 2 && message.contains("this is not the folder of a run; `ast runs "), "{message}");
}

/// What is missing from a configuration is not taken for a default, and no run is passed over.
#[test]
fn a_configuration_that_is_cut_off_or_missing_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let runs = ["one", "two"].map(|name| folder.path().join(name));
    for (policy, run) in ["--policy=dense", "--policy=random"].into_iter().zip(&runs) {
        succeed(start(run, &[policy]));
    }
    let (path, file) = (runs[0].to_str().unwrap(), runs[0].join("config.toml"));
    let both = format!("{path},{}", runs[1].display());
    let compare = ["compare", "--runs", &both];
    let whole = fs::read_to_string(&file).unwrap();
    for cut in [0, whole.find("[train]").unwrap()] {
        fs::write(&file, &whole[..cut]).unwrap();
        let commands = [
            &["ledger", path, "--suspects", "--fresh"][..],
            &["report", path],
            &["eval", path],
            &["config", "diff", path, path],
        ];
        for command in commands.into_iter().chain([&["generate", path][..], &compare]) {
            let (code, message) = refused(command);
            assert!(
                code == 65 && message.contains("config.toml: this is not the configuration of a run"),
                "{command:?}: {message}"
            );
        }
        assert!(printed(&["runs", folder.path().to_str().unwrap()]).contains("unreadable"));
    }
    fs::remove_file(&file).unwrap();
    let listed = printed(&["runs", folder.path().to_str().unwrap()]);
    assert!(listed.contains("one") && listed.contains("unreadable"), "{listed}");
    let (code, message) = refused(&["compare", "--runs", folder.path().to_str().unwrap()]);
    assert!(code != 0 && message.contains("one/config.toml"), "{message}");
}

/// One file, small, that refers to nothing outside, with a description of every picture; and without its data, the reason.
#[test]
fn the_page_stands_for_itself() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    succeed(start(&run, &["--set=train.lr=0.003"]));
    let page = fs::read_to_string(run.join("report.html")).unwrap();
    assert!(page.len() < 2_000_000, "{} bytes", page.len());
    // The name of a format is no address.
    let without = page.replace("http://www.w3.org/2000/svg", "");
    for outside in ["http:", "https:", "src=\"/", "@import", "url("] {
        assert!(!without.contains(outside), "{outside}");
    }
    let count = |what: &str| page.matches(what).count();
    assert!(count("<svg") >= 5 && count("<svg") == count("role=\"img\" aria-label=\""), "{} pictures", count("<svg"));
    assert!(count("<img ") == 72 && count("<img ") == count(" alt=\"training sample "), "{} images", count("<img "));
    let accuracy = summary(&run)["accuracy"]["final"].as_f64().unwrap();
    assert!(page.contains(&format!("It answers {accuracy:.1} \u{b1} ")), "the result in words");
    assert!(page.contains("what the network answered") && page.contains("the dense run would reach is not known"));

    let other = folder.path().join("other.html");
    let path = run.to_str().unwrap();
    printed(&["report", path, "--out", other.to_str().unwrap()]);
    assert_eq!(fs::read_to_string(&other).unwrap(), page, "the same page from the folder alone");
    // A run whose data is gone, and with a name that is no HTML.
    let moved = folder.path().join("moved");
    copy(&run, &moved);
    let config = fs::read_to_string(moved.join("config.toml")).unwrap();
    let sections =
        config.split("\n[").filter(|section| !section.starts_with("data]") && !section.starts_with("[data]"));
    let sections: Vec<&str> = sections.collect();
    let data = "[data]\nname = \"cifar10\"\ndir = \"/no<b>where\"\n";
    fs::write(moved.join("config.toml"), format!("{data}\n[{}", sections.join("\n[").trim_start_matches('['))).unwrap();
    printed(&["report", moved.to_str().unwrap()]);
    let page = fs::read_to_string(moved.join("report.html")).unwrap();
    assert!(page.contains("The samples cannot be shown: ") && !page.contains("no<b>where") && !page.contains("<img"));
    let (code, message) = refused(&["report", folder.path().to_str().unwrap()]);
    assert!(code != 0 && message.contains("config.toml"), "{message}");
}

/// Text has no classes: its page shows windows, and its evaluation a loss.
#[test]
fn a_language_model_is_evaluated_and_shown() {
    let folder = tempfile::tempdir().unwrap();
    let text: String = (0..400).map(|i| format!("line {} of <nothing> & more\n", i * i % 97)).collect();
    fs::write(folder.path().join("text.txt"), text).unwrap();
    let run = folder.path().join("run");
    let set = ["model.width=16", "model.depth=1", "model.heads=2", "data.context=16", "train.epochs=2"];
    let set: Vec<String> = set.iter().map(|set| format!("--set={set}")).collect();
    let mut args = vec!["train", "--preset=shakespeare", "--dataset=text", "--progress=none", "--data-dir"];
    args.push(folder.path().to_str().unwrap());
    args.extend(set.iter().map(String::as_str));
    args.extend(["--out", run.to_str().unwrap()]);
    printed(&args);
    let result = json(&printed(&["eval", run.to_str().unwrap(), "--json"]));
    assert_eq!(result["loss"], summary(&run)["loss"]["final"]);
    assert_eq!(result["text"], summary(&run)["text"]);
    assert!(!run.join("predictions.csv").exists());
    let page = fs::read_to_string(run.join("report.html")).unwrap();
    assert!(
        page.contains("<blockquote>") && !page.contains("<nothing>") && page.contains("&#60;nothing&#62;"),
        "escaped"
    );
    assert!(printed(&["ledger", run.to_str().unwrap()]).contains("training samples"));
    let (code, _) = refused(&["eval", run.to_str().unwrap(), "--csv", "x.csv"]);
    assert_eq!(code, 2);
}

/// The run itself, at its end, shows the error of its accuracy, the price and the next question.
#[test]
fn a_report_has_the_price_beside_the_savings() {
    let folder = tempfile::tempdir().unwrap();
    let train = |more: &[&str], out: &str| {
        let out = folder.path().join(out);
        let mut args = vec!["train", "--out", out.to_str().unwrap()];
        args.extend(SMALL);
        args.extend(more);
        printed(&args)
    };
    let report = train(&["--set=policy.lambda=0.8"], "own");
    assert!(report.contains("500 images, final weights"), "{report}");
    assert!(report.contains("dense run          unknown"), "{report}");
    assert!(report.contains("is it better than random?") && report.contains("compare --config "), "{report}");
    // So short a run shows nothing, and the guard says so.
    assert!(report.contains("guard                        nothing was selected"), "{report}");
    let unguarded = train(&["--set=policy.lambda=0.8", "--set=policy.guard=off"], "off");
    assert!(!unguarded.contains("  guard  "), "{unguarded}");
    assert!(!train(&["--policy=dense"], "dense").contains("dense run  "), "a dense run has no price");
}

/// The log as tables. The columns of energy are CodeCarbon's (3.3.2, `EmissionsData`), empty where nothing was measured.
#[test]
fn a_run_is_exported_as_tables() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    succeed(start(&run, &["--csv"]));
    let metrics = fs::read_to_string(run.join("metrics.csv")).unwrap();
    let log = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let events: Vec<Value> = log.lines().map(json).collect();
    let of = |kind: &str| events.iter().filter(|event| event["event"] == kind).collect::<Vec<_>>();
    let numbers = |column: &str| -> Vec<f64> {
        let values = self::column(&metrics, column);
        values.iter().filter(|value| !value.is_empty()).map(|value| value.parse().unwrap()).collect()
    };
    let logged = |kind: &str, key: &str| of(kind).iter().map(|event| event[key].as_f64().unwrap()).collect::<Vec<_>>();
    assert_eq!(numbers("loss"), logged("step", "loss"));
    assert_eq!(numbers("lr"), logged("step", "lr"));
    assert_eq!(numbers("test_accuracy"), logged("evaluated", "accuracy"));
    assert_eq!(numbers("step").len(), of("step").len() + of("evaluated").len());

    let emissions = fs::read_to_string(run.join("emissions.csv")).unwrap();
    let columns = "timestamp,project_name,run_id,experiment_id,duration,emissions,emissions_rate,cpu_power,gpu_power,ram_power,\
                   cpu_energy,gpu_energy,ram_energy,energy_consumed,water_consumed,country_name,country_iso_code,region,\
                   cloud_provider,cloud_region,os,python_version,codecarbon_version,cpu_count,cpu_model,gpu_count,gpu_model,\
                   longitude,latitude,ram_total_size,tracking_mode,cpu_utilization_percent,gpu_utilization_percent,\
                   ram_utilization_percent,ram_used_gb,on_cloud,pue,wue";
    assert_eq!(emissions.lines().next().unwrap(), columns);
    assert_eq!(column(&emissions, "run_id"), ["run"]);
    let joules = summary(&run)["joules"]["total"].as_f64();
    let energy = column(&emissions, "energy_consumed")[0].parse::<f64>().ok();
    assert_eq!(energy.map(|kwh| (kwh * 3.6e6).round()), joules.map(f64::round), "{emissions}");
    assert_eq!(column(&emissions, "emissions"), [""], "the carbon intensity is not known");
}

/// Every record of the event file has the checksums of its format; what the records say is read by TensorBoard itself, in
/// `tensorboard/read`.
#[test]
fn event_files_are_whole_records() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    succeed(start(&run, &["--tensorboard"]));
    let file = fs::read_dir(run.join("tensorboard")).unwrap().next().unwrap().unwrap();
    assert!(file.file_name().to_str().unwrap().starts_with("events.out.tfevents."));
    let bytes = fs::read(file.path()).unwrap();
    let (mut at, mut records) = (0, 0);
    while at < bytes.len() {
        let length = u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap()) as usize;
        assert!(records > 0 || bytes[at + 12..][..length].ends_with(b"brain.Event:2"));
        (at, records) = (at + 8 + 4 + length + 4, records + 1);
    }
    let log = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let numbers = log.lines().filter(|line| line.contains("\"step\"") && !line.contains("\"skipped\""));
    assert_eq!((at, records), (bytes.len(), 1 + numbers.count()));
}
