//! A run carries how its data was prepared: what lies in a folder later does not change what its network sees, and data that
//! is not the run's is refused by name.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::common::{LITTLE, logged, npy, program, result, resume, signal, stderr, stop_after, succeed, wait_until};
use crate::image_folder::{Folder, picture};

fn ast(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ast"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("AST_")) {
        command.env_remove(name);
    }
    command.args(args).stdin(Stdio::null()).env("XDG_CACHE_HOME", "/dev/null/cache").output().unwrap()
}

fn printed(args: &[&str]) -> String {
    let output = ast(args);
    assert!(output.status.success(), "{args:?}: {}", stderr(&output));
    String::from_utf8(output.stdout).unwrap()
}

fn refused(args: &[&str], code: i32, words: &[&str]) {
    let output = ast(args);
    let message = stderr(&output);
    assert_eq!(output.status.code(), Some(code), "{args:?}: {message}");
    assert!(words.iter().all(|word| message.contains(word)), "{args:?} should mention {words:?}: {message}");
}

fn read_json(file: &Path) -> Value {
    serde_json::from_slice(&fs::read(file).unwrap()).unwrap()
}

fn copy_class(folder: &Folder, from: &str, to: &str) {
    fs::create_dir_all(folder.at(to)).unwrap();
    for file in fs::read_dir(folder.at(from)).unwrap().map(|entry| entry.unwrap().path()) {
        fs::copy(&file, folder.at(to).join(file.file_name().unwrap())).unwrap();
    }
}

/// True class and answer by name, of each image, in the order of the files.
fn answers(folder: &Folder, data: &str) -> Vec<(String, String)> {
    let (run, data) = (folder.at("run"), folder.at(data));
    let csv = printed(&["eval", run.to_str().unwrap(), "--data-dir", data.to_str().unwrap(), "--csv", "/dev/stdout"]);
    let rows: Vec<Vec<&str>> = csv.lines().map(|line| line.split(',').collect()).collect();
    let at = |name: &str| rows[0].iter().position(|column| *column == name).unwrap();
    let (class, answer) = (at("class"), at("answer"));
    // What is printed after the table has other columns.
    let table = rows[1..].iter().take_while(|row| row.len() == rows[0].len());
    table.map(|row| (row[class].to_string(), row[answer].to_string())).collect()
}

/// One network and the same test images, after the training images became darker and more: the same answers.
#[test]
fn training_images_that_change_do_not_change_an_evaluation() {
    let folder = Folder::new();
    succeed(folder.run("data", "run", &["--policy=dense"]));
    let run = folder.at("run");
    let eval = || printed(&["eval", run.to_str().unwrap(), "--json"]);
    let before = eval();
    assert_eq!(
        read_json(&run.join("summary.json"))["accuracy"]["final"],
        serde_json::from_str::<Value>(&before).unwrap()["accuracy"]
    );
    for file in fs::read_dir(folder.at("data/train/red")).unwrap().map(|entry| entry.unwrap().path()) {
        // A bright blue picture instead of a red one: other means and deviations.
        fs::write(file, picture(0, 77)).unwrap();
    }
    fs::write(folder.at("data/train/blue/more.png"), picture(1, 5)).unwrap();
    assert_eq!(eval(), before);
    // From the file of weights alone, beside a configuration and no summary.
    fs::remove_file(run.join("summary.json")).unwrap();
    let weights = run.join("best.safetensors");
    printed(&["eval", weights.to_str().unwrap()]);
}

#[test]
fn classes_go_by_name_and_some_of_them_are_enough() {
    let folder = Folder::new();
    succeed(folder.run("data", "run", &["--policy=dense"]));
    let all = answers(&folder, "data");
    assert_eq!(all.len(), 12);
    let of = |class: &str| all.iter().filter(|(label, _)| label == class).cloned().collect::<Vec<_>>();
    // The test split alone; class folders alone; fewer classes, one class, another split.
    copy_class(&folder, "data/val/blue", "alone/val/blue");
    copy_class(&folder, "data/val/green", "alone/val/green");
    copy_class(&folder, "data/val/red", "alone/val/red");
    assert_eq!(answers(&folder, "alone"), all);
    assert_eq!(answers(&folder, "alone/val"), all);
    fs::remove_dir_all(folder.at("alone/val/blue")).unwrap();
    assert_eq!(answers(&folder, "alone"), [of("green"), of("red")].concat());
    fs::rename(folder.at("alone/val"), folder.at("alone/test")).unwrap();
    fs::remove_dir_all(folder.at("alone/test/green")).unwrap();
    assert_eq!(answers(&folder, "alone"), of("red"));
    // A class that the run does not know is named, whatever its place in the order.
    copy_class(&folder, "data/val/green", "alone/test/apple");
    let (run, alone) = (folder.at("run"), folder.at("alone"));
    let eval = ["eval", run.to_str().unwrap(), "--data-dir", alone.to_str().unwrap()];
    refused(&eval, 65, &["knows no class `apple`", "it knows blue, green, red"]);
    refused(&["eval", run.to_str().unwrap(), "--dataset", "procedural"], 65, &["knows no class `"]);
}

/// `--other-data` is for files that were repaired or have other times.
#[test]
fn renamed_classes_are_not_other_data() {
    let folder = Folder::new();
    stop_after(folder.run("data", "run", &["--policy=dense", "--set=train.epochs=30"]), &folder.at("run"), 5);
    for split in ["train", "val"] {
        fs::rename(folder.at(&format!("data/{split}/blue")), folder.at(&format!("data/{split}/zebra"))).unwrap();
    }
    let mut other = folder.resume("run");
    let output = other.arg("--other-data").output().unwrap();
    assert!(output.status.code() == Some(65) && stderr(&output).contains("no class `zebra`"), "{}", stderr(&output));
    for split in ["train", "val"] {
        fs::rename(folder.at(&format!("data/{split}/zebra")), folder.at(&format!("data/{split}/blue"))).unwrap();
    }
    fs::rename(folder.at("data/train/blue/003.png"), folder.at("data/train/red/103.png")).unwrap();
    let mut other = folder.resume("run");
    let output = other.arg("--other-data").output().unwrap();
    let message = stderr(&output);
    assert!(output.status.code() == Some(65) && message.contains("not for renamed or sorted ones"), "{message}");
    fs::rename(folder.at("data/train/red/103.png"), folder.at("data/train/blue/003.png")).unwrap();
    succeed(folder.resume("run"));
}

/// What a run goes on with is what it began with, also where the pixels of its images are others now.
#[test]
fn a_resumed_run_keeps_its_preprocessing() {
    let folder = Folder::new();
    stop_after(folder.run("data", "run", &["--policy=dense", "--set=train.epochs=30"]), &folder.at("run"), 5);
    let began = read_json(&folder.at("run/run.json"))["preprocessing"].clone();
    fs::write(folder.at("data/train/red/000.png"), picture(0, 99)).unwrap();
    let mut other = folder.resume("run");
    other.arg("--other-data");
    succeed(other);
    let kept = folder.summary("run")["preprocessing"].clone();
    assert_eq!((&kept, kept["mean"].as_array().unwrap().len()), (&began, 3));
}

const GPT: [&str; 10] = [
    "--set=data.name=text",
    "--set=data.context=8",
    "--set=model.name=gpt",
    "--set=model.width=8",
    "--set=model.depth=1",
    "--set=model.heads=2",
    "--set=train.epochs=3",
    "--set=train.batch_size=8",
    "--set=policy.name=dense",
    "--progress=none",
];

/// The last tenth of both texts is the same; a character of the first is missing from the second, and moves the numbers of
/// all others by one.
#[test]
fn a_text_is_read_with_the_vocabulary_of_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let tail: String = "the quick brown fox jumps over the lazy dog, and so on\n".chars().cycle().take(2700).collect();
    fs::write(at("a.txt"), format!("!{}", &tail[1..])).unwrap();
    fs::write(at("b.txt"), &tail).unwrap();
    fs::write(at("c.txt"), tail.replace("fox", "f~x")).unwrap();
    fs::write(at("short.txt"), &tail[..50]).unwrap();
    let train = |data: &str, out: &str, more: &[&str]| {
        let mut command = program();
        command.args(GPT).args(more).arg("--data-dir").arg(at(data)).arg("--out").arg(at(out));
        command
    };
    succeed(train("a.txt", "run", &[]));
    let run = at("run");
    let loss = |data: &str| {
        let text = printed(&["eval", run.to_str().unwrap(), "--json", "--data-dir", at(data).to_str().unwrap()]);
        serde_json::from_str::<Value>(&text).unwrap()["loss"].as_f64().unwrap()
    };
    assert_eq!(loss("a.txt"), read_json(&run.join("summary.json"))["loss"]["final"].as_f64().unwrap());
    assert_eq!(loss("b.txt"), loss("a.txt"));
    assert!((loss("short.txt") - loss("a.txt")).abs() < 1.0, "a short text is evaluated on as a whole");
    refused(
        &["eval", run.to_str().unwrap(), "--data-dir", at("c.txt").to_str().unwrap()],
        65,
        &["character '~' at byte ", "does not occur in the text that the network was trained on"],
    );
    // The same for weights that a run begins with.
    let weights = format!("--set=model.weights={}", run.join("model.safetensors").display());
    succeed(train("b.txt", "more", &[&weights]));
    let vocabulary = |run: &str| read_json(&at(run).join("summary.json"))["preprocessing"]["vocabulary"].clone();
    assert_eq!(vocabulary("more"), vocabulary("run"));
    let output = train("c.txt", "other", &[&weights]).output().unwrap();
    assert!(output.status.code() == Some(65) && stderr(&output).contains("'~'"), "{}", stderr(&output));
}

/// Arrays of images of two classes, bright and dark, sorted by class; with every training label inverted if `wrong`.
fn arrays(folder: &Path, wrong: bool) -> PathBuf {
    fs::create_dir_all(folder).unwrap();
    for (split, is_wrong) in [("train", wrong), ("test", false)] {
        let pixels: Vec<u8> =
            (0..40 * 64_u32).map(|i| (if i < 20 * 64 { 40 } else { 200 }) + (i * 7 % 13) as u8).collect();
        let labels: Vec<u8> = (0..40).map(|i| u8::from((i < 20) == is_wrong)).collect();
        fs::write(folder.join(format!("{split}_images.npy")), npy("(40, 8, 8)", &pixels)).unwrap();
        fs::write(folder.join(format!("{split}_labels.npy")), npy("(40,)", &labels)).unwrap();
    }
    folder.to_path_buf()
}

/// Finished runs are not taken for the answer on other data, whatever is left to make.
#[test]
fn a_comparison_is_of_one_dataset() {
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (arrays(&folder.path().join("a"), false), arrays(&folder.path().join("b"), true));
    let out = folder.path().join("out");
    let compare = |data: &Path, out: &Path, seeds: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ast"));
        command.args(["compare", "--dataset=arrays", "--arms=dense", "--epochs=4", "--batch-size=8", LITTLE[1]]);
        command.arg("--data-dir").arg(data).arg("--out").arg(out).args(["--json", "--seeds", seeds]).output().unwrap()
    };
    assert!(compare(&a, &out, "1").status.success());
    for seeds in ["1", "2"] {
        let output = compare(&b, &out, seeds);
        let message = stderr(&output);
        assert!(
            output.status.code() == Some(65) && message.contains("dense/seed-0 was trained on other data"),
            "{message}"
        );
        assert!(!out.join("dense/seed-1").exists(), "nothing may be started");
    }
    // The same folder, with its labels corrected in place; and with another test set.
    let labels = fs::read(b.join("train_labels.npy")).unwrap();
    let before = fs::read(a.join("train_labels.npy")).unwrap();
    fs::write(a.join("train_labels.npy"), labels).unwrap();
    assert!(stderr(&compare(&a, &out, "1")).contains("was trained on other data"));
    fs::write(a.join("train_labels.npy"), before).unwrap();
    let tested = fs::read(a.join("test_images.npy")).unwrap();
    let mut other = tested.clone();
    *other.last_mut().unwrap() ^= 1;
    fs::write(a.join("test_images.npy"), other).unwrap();
    assert!(stderr(&compare(&a, &out, "1")).contains("was evaluated on other data"));
    fs::write(a.join("test_images.npy"), tested).unwrap();
    assert!(compare(&a, &out, "1").status.success());
    // The data is gone: the table can be made, and says what was not looked at.
    fs::rename(&a, folder.path().join("moved")).unwrap();
    let output = compare(&a, &out, "1");
    assert!(
        output.status.success() && stderr(&output).contains("not compared with the data as it is now"),
        "{}",
        stderr(&output)
    );

    // Finished runs of two datasets, one seed of each, are not a mean over seeds.
    let mut second = program();
    second.args(["--dataset=arrays", "--policy=dense", "--epochs=4", "--batch-size=8", LITTLE[1], "--seed=1"]);
    succeed({
        second.arg("--progress=none").arg("--data-dir").arg(&b).arg("--out").arg(folder.path().join("second"));
        second
    });
    let runs = format!("{},{}", out.join("dense/seed-0").display(), folder.path().join("second").display());
    refused(&["compare", "--runs", &runs], 65, &["second was trained on other data"]);
}

/// The time in which the process is stopped is in no figure, and said.
#[test]
fn a_stopped_process_does_not_train() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let mut command = program();
    command.args(LITTLE).args(["--set=data.train_limit=256", "--epochs=100000", "--policy=random", "--progress=plain"]);
    let mut child = command.args(["--budget-seconds=3", "--threads=1", "--out"]).arg(&run).spawn().unwrap();
    wait_until(&mut child, "it trains", || logged(&run) > 2000);
    signal(&child, "STOP");
    std::thread::sleep(std::time::Duration::from_secs(4));
    signal(&child, "CONT");
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stderr(&output).contains("the process did not run for 4 s"), "{}", stderr(&output));
    let seconds = read_json(&run.join("summary.json"))["seconds"].clone();
    let of = |path: &str| seconds.pointer(path).and_then(Value::as_f64).unwrap();
    assert!((3.5..6.0).contains(&of("/stopped")), "{seconds}");
    let trained = of("/total") - of("/phases/eval") - of("/phases/checkpoint");
    assert!((3.0..4.0).contains(&trained), "the budget is spent on training: {seconds}");
    assert!(read_json(&run.join("summary.json"))["joules"]["total"].is_null());
}

#[test]
fn limits_and_held_out_images_are_of_every_class() {
    let folder = tempfile::tempdir().unwrap();
    let data = arrays(&folder.path().join("data"), false);
    let train = |out: &str, set: &[&str]| {
        let mut command = program();
        command.args([
            "--dataset=arrays",
            "--policy=dense",
            "--epochs=1",
            "--batch-size=4",
            LITTLE[1],
            "--progress=none",
        ]);
        command.args(set).arg("--data-dir").arg(&data).arg("--out").arg(folder.path().join(out)).output().unwrap()
    };
    let labels = |out: &str| {
        let table = fs::read_to_string(folder.path().join(out).join("ledger.csv")).unwrap();
        let label = table.lines().next().unwrap().split(',').position(|name| name == "label").unwrap();
        table.lines().skip(1).map(|line| line.split(',').nth(label).unwrap().to_string()).collect::<Vec<_>>()
    };
    // The first ten images are of one class.
    assert!(train("limited", &["--set=data.train_limit=10"]).status.success());
    assert_eq!(labels("limited").iter().filter(|label| *label == "0").count(), 5);
    assert!(train("held", &["--set=data.validation=36"]).status.success());
    assert_eq!(labels("held").iter().filter(|label| *label == "0").count(), 2);
    let output = train("alone", &["--set=data.train_limit=1"]);
    let message = stderr(&output);
    assert!(output.status.code() == Some(2) && message.contains("training needs two classes"), "{message}");
    assert!(message.contains("`data.train_limit` = 1"), "{message}");
    let output = train("alone", &["--set=data.validation=39"]);
    assert!(
        output.status.code() == Some(2) && stderr(&output).contains("`data.validation` = 39"),
        "{}",
        stderr(&output)
    );
    // Of ten classes, eight images have two at most.
    let few = folder.path().join("few");
    let mut command = program();
    command.args(LITTLE).args(["--set=data.train_limit=8", "--epochs=2", "--policy=dense", "--progress=none", "--out"]);
    let text = succeed({
        command.arg(&few);
        command
    });
    assert!(text.contains("no training sample is of class `"), "{text}");
}

#[test]
fn files_that_are_passed_over_are_counted() {
    let folder = Folder::new();
    for number in 0..3 {
        fs::write(folder.at(&format!("data/train/red/{number}.webp")), "x").unwrap();
    }
    fs::write(folder.at("data/train/blue/a.BMP"), "x").unwrap();
    fs::write(folder.at("data/train/blue/.hidden"), "x").unwrap();
    let data = folder.at("data");
    let data = data.to_str().unwrap();
    let words = format!("4 files are passed over in {data}/train: 1 .bmp, 3 .webp; JPEG and PNG are read");
    assert!(printed(&["data", "info", "image-folder", "--data-dir", data]).contains(&words));
    assert!(printed(&["data", "verify", "image-folder", "--data-dir", data]).contains(&words));
    let text = succeed(folder.run("data", "run", &[]));
    assert!(text.contains(&words), "{text}");
    assert!(folder.summary("run")["ran"]["warnings"].to_string().contains("passed over"));
}

/// A folder beside the classes would be one of them.
#[test]
fn a_run_folder_does_not_become_a_class() {
    let folder = Folder::new();
    for out in ["data/train/run", "data/train/red/run"] {
        let output = folder.run("data", out, &[]).output().unwrap();
        let message = stderr(&output);
        assert!(output.status.code() == Some(2) && message.contains("every folder is a class"), "{message}");
        assert!(!folder.at(out).exists());
    }
    succeed(folder.run("data", "data/run", &[]));
    let output = folder.run("data/val", "data/val/run", &["--set=data.validation=3"]).output().unwrap();
    assert!(output.status.code() == Some(2) && stderr(&output).contains("--out"), "{}", stderr(&output));
}

/// A network that is trained further keeps the normalisation of its weights, or gets the one that is set.
#[test]
fn weights_bring_their_normalisation_along() {
    let folder = Folder::new();
    succeed(folder.run("data", "first", &["--policy=dense"]));
    fs::create_dir(folder.at("other")).unwrap();
    for split in ["train", "val"] {
        copy_class(&folder, &format!("data/{split}/green"), &format!("other/{split}/green"));
        copy_class(&folder, &format!("data/{split}/red"), &format!("other/{split}/red"));
        copy_class(&folder, &format!("data/{split}/red"), &format!("other/{split}/rose"));
    }
    let weights = format!("--set=model.weights={}", folder.at("first/model.safetensors").display());
    let of = |run: &str| folder.summary(run)["preprocessing"].clone();
    let text = succeed(folder.run("other", "second", &["--policy=dense", &weights]));
    assert_eq!((&of("second")["mean"], &of("second")["deviation"]), (&of("first")["mean"], &of("first")["deviation"]));
    assert!(text.contains("has classes of other names than the data: the last layer, linear2, starts anew"), "{text}");
    succeed(folder.run("other", "own", &["--policy=dense"]));
    assert_ne!(of("own")["mean"], of("first")["mean"]);
    let set = ["--policy=dense", "--set=data.mean=[0.485, 0.456, 0.406]", "--set=data.deviation=[0.229, 0.224, 0.225]"];
    succeed(folder.run("data", "set", &set));
    assert_eq!(of("set")["mean"], serde_json::json!([0.485, 0.456, 0.406]));
    // One value for three channels, and one list without the other.
    for (more, words) in [
        (&["--set=data.mean=[0.5]", "--set=data.deviation=[0.5]"][..], "the means of the channels are to be 0.5"),
        (&["--set=data.mean=[0.5, 0.5, 0.5]"], "set data.mean and data.deviation"),
        (&["--set=data.mean=[0.5]", "--set=data.deviation=[0.0]"], "data.deviation"),
    ] {
        let output = folder.run("data", "wrong", more).output().unwrap();
        assert!(!output.status.success() && stderr(&output).contains(words), "{more:?}: {}", stderr(&output));
    }
    // What PyTorch finds in the file: the length of the header, then JSON.
    let file = fs::read(folder.at("set/model.safetensors")).unwrap();
    let length = u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;
    let header: Value = serde_json::from_slice(&file[8..8 + length]).unwrap();
    let metadata: Value = serde_json::from_str(header["__metadata__"]["ast.preprocessing"].as_str().unwrap()).unwrap();
    assert_eq!(metadata, of("set"));
    assert_eq!(metadata["class_names"], serde_json::json!(["blue", "green", "red"]));
    // A run that was stopped needs the file of weights no more.
    stop_after(
        folder.run("other", "third", &["--policy=dense", "--set=train.epochs=30", &weights]),
        &folder.at("third"),
        3,
    );
    fs::remove_dir_all(folder.at("first")).unwrap();
    succeed(resume(&folder.at("third")));
    assert!(result(&folder.at("third")).summary["preprocessing"]["mean"] == of("second")["mean"]);
}
