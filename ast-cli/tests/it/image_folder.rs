//! The real program on folders of images: what it reads, broken and missing files, resuming, and the binary form.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::SystemTime;

use crate::common::{
    LITTLE, assert_same, copy, logged, program, result, resume, stderr, stop_after, succeed, wait_until,
};
use serde_json::Value;

const CLASSES: [&str; 3] = ["blue", "green", "red"];
/// Training and test images of each class.
const IMAGES: [usize; 2] = [24, 4];

/// A picture of a class, as a PNG file: its colour, with noise, of its own size.
pub(crate) fn picture(class: usize, number: usize) -> Vec<u8> {
    let (height, width) = (14 + number % 7, 16 + number % 5);
    let mut noise = (31 * class + number) as u64 + 1;
    let mut pixels = Vec::new();
    for at in 0..3 * height * width {
        noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        pixels.push(if at % 3 == 2 - class { 180 } else { 60 } + (noise >> 58) as u8);
    }
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width as u32, height as u32);
    encoder.set_color(png::ColorType::Rgb);
    encoder.write_header().unwrap().write_image_data(&pixels).unwrap();
    file
}

pub(crate) struct Folder(tempfile::TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        for (split, images) in ["train", "val"].into_iter().zip(IMAGES) {
            for (class, name) in CLASSES.into_iter().enumerate() {
                fs::create_dir_all(folder.at(&format!("data/{split}/{name}"))).unwrap();
                for number in 0..images {
                    let number = number + if split == "val" { 500 } else { 0 };
                    fs::write(folder.at(&format!("data/{split}/{name}/{number:03}.png")), picture(class, number))
                        .unwrap();
                }
            }
        }
        folder
    }

    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Bytes of the files of a split.
    fn bytes(&self, split: &str) -> u64 {
        let files = CLASSES.iter().flat_map(|class| fs::read_dir(self.at(&format!("data/{split}/{class}"))).unwrap());
        files.map(|file| file.unwrap().metadata().unwrap().len()).sum()
    }

    /// A run into `out` on `data`, which may be the folder or its binary form.
    pub(crate) fn run(&self, data: &str, out: &str, more: &[&str]) -> Command {
        let mut command = program();
        command.env("XDG_CACHE_HOME", self.at("cache"));
        command.args([
            "--dataset=image-folder",
            "--set=data.size=16",
            "--batch-size=8",
            "--set=train.epochs=4",
            LITTLE[1],
        ]);
        command.args(["--seed=3", "--threads=1", "--progress=none", "--set=eval.every_epochs=2"]);
        command.args(["--set=checkpoint.every_steps=3"]).args(more);
        command.arg("--data-dir").arg(self.at(data)).arg("--out").arg(self.at(out));
        command
    }

    pub(crate) fn resume(&self, run: &str) -> Command {
        let mut command = resume(&self.at(run));
        command.env("XDG_CACHE_HOME", self.at("cache"));
        command
    }

    pub(crate) fn summary(&self, run: &str) -> Value {
        serde_json::from_slice(&fs::read(self.at(run).join("summary.json")).unwrap()).unwrap()
    }

    /// Other bytes in a file, of the same length and time: the start of a run does not see it, if it measured the folder
    /// before. Returns what puts the file back.
    fn spoil(&self, name: &str) -> impl Fn() + use<> {
        let path = self.at(name);
        let (bytes, time) = (fs::read(&path).unwrap(), fs::metadata(&path).unwrap().modified().unwrap());
        put(&path, &vec![b'x'; bytes.len()], time);
        move || put(&path, &bytes, time)
    }
}

fn put(path: &Path, bytes: &[u8], time: SystemTime) {
    fs::write(path, bytes).unwrap();
    fs::File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
}

fn ast(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ast"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("AST_")) {
        command.env_remove(name);
    }
    command.args(args).env("XDG_CACHE_HOME", "/dev/null/cache").output().unwrap()
}

fn number(summary: &Value, path: &str) -> u64 {
    summary.pointer(path).and_then(Value::as_u64).unwrap_or_else(|| panic!("{path}: {summary:#}"))
}

/// What is read is what is trained on and scored: a fifth of the visits reads a fifth of the bytes of all visits.
#[test]
fn only_selected_images_are_read() {
    let folder = Folder::new();
    let images = 3 * IMAGES[0] as u64;
    succeed(folder.run("data", "dense", &["--policy=dense"]));
    let dense = folder.summary("dense");
    assert_eq!(number(&dense, "/reads/training/decodes"), 4 * images);
    assert_eq!(number(&dense, "/reads/training/bytes"), 4 * folder.bytes("train"));
    // Evaluated in the middle and at the end.
    assert_eq!(number(&dense, "/reads/evaluation/decodes"), 2 * 3 * IMAGES[1] as u64);
    assert_eq!(number(&dense, "/reads/evaluation/bytes"), 2 * folder.bytes("val"));
    assert_eq!(number(&dense, "/reads/scoring/decodes"), 0);
    assert_eq!(dense["preprocessing"]["class_names"], serde_json::json!(CLASSES));

    succeed(folder.run("data", "fifth", &["--policy=random", "--activation=0.2"]));
    let fifth = folder.summary("fifth");
    assert_eq!(number(&fifth, "/reads/training/decodes"), number(&fifth, "/samples/trained"));
    let share = number(&fifth, "/reads/training/bytes") as f64 / number(&dense, "/reads/training/bytes") as f64;
    assert!((share - 0.2).abs() < 0.02, "{share}");

    for (policy, more) in [
        ("pool-top", "--set=policy.source=fresh"),
        ("proxy", "--set=data.workers=2"),
        ("original", "--set=data.workers=0"),
    ] {
        succeed(folder.run("data", policy, &[&format!("--policy={policy}"), "--activation=0.25", more]));
        let summary = folder.summary(policy);
        let samples =
            ["scored", "small_scored", "small_trained"].map(|what| number(&summary, &format!("/samples/{what}")));
        // The proxy scores what it was trained on in the same pass over the chunk.
        assert_eq!(number(&summary, "/reads/scoring/decodes"), samples.iter().sum::<u64>(), "{policy}");
        assert_eq!(number(&summary, "/reads/training/decodes"), number(&summary, "/samples/trained"), "{policy}");
    }
}

/// The number of workers changes nothing, and neither does the binary form; the report says what was read.
#[test]
fn workers_and_the_binary_form_give_the_same_bits() {
    let folder = Folder::new();
    let (data, file) = (folder.at("data"), folder.at("all.images"));
    let [data, file] = [data.to_str().unwrap(), file.to_str().unwrap()];
    let output = ast(&["data", "import", data, "--to", file]);
    assert!(output.status.success(), "{}", stderr(&output));
    let size = fs::metadata(file).unwrap().len();
    assert!(stderr(&output).contains(&format!("{file} will take {size} bytes (1 MB)")), "{}", stderr(&output));
    for (out, data, workers) in
        [("one", "data", 1), ("none", "data", 0), ("four", "data", 4), ("file", "all.images", 2)]
    {
        succeed(folder.run(data, out, &["--activation=0.3", &format!("--set=data.workers={workers}")]));
    }
    let expected = result(&folder.at("one"));
    for out in ["none", "four"] {
        assert_same(&folder.at(out), &expected, out);
    }
    let of_file = result(&folder.at("file"));
    assert!(of_file.weights == expected.weights && of_file.metrics == expected.metrics);
    let summary = folder.summary("file");
    assert_eq!(
        (number(&summary, "/reads/training/decodes"), &summary["preprocessing"]["class_names"]),
        (0, &serde_json::json!(CLASSES))
    );
}

/// A run with growing images reads and crops them as usual, and scales them down.
#[test]
fn image_sizes_may_grow() {
    let folder = Folder::new();
    for (out, workers) in [("one", 1), ("three", 3)] {
        let workers = format!("--set=data.workers={workers}");
        let more =
            ["--model=resnet18", "--set=model.width=4", "--set=train.sizes=[8, 16]", "--activation=0.5", &workers];
        succeed(folder.run("data", out, &more));
    }
    assert_same(&folder.at("three"), &result(&folder.at("one")), "three workers");
    // The running statistics were measured again for an evaluation.
    let (summary, tested) = (folder.summary("one"), 2 * 3 * IMAGES[1] as u64);
    assert!(number(&summary, "/reads/evaluation/decodes") > tested, "{summary:#}");
}

/// A file that turns out to be broken in mid-run ends it by name; once it is back, the run continues from the step before
/// and reaches the same end.
#[test]
fn a_run_continues_once_a_broken_file_is_replaced() {
    let folder = Folder::new();
    succeed(folder.run("data", "whole", &["--policy=dense"]));
    let expected = result(&folder.at("whole"));
    let put_back = folder.spoil("data/train/green/007.png");
    let output = folder.run("data", "spoilt", &["--policy=dense"]).output().unwrap();
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(65), "{text}");
    assert!(text.contains("data/train/green/007.png: it is neither a JPEG nor a PNG image"), "{text}");
    assert!(text.contains("continues from the last checkpoint; add `--other-data` if"), "{text}");
    let checked = format!("`ast data verify image-folder --data-dir {} --deep`", folder.at("data").display());
    assert!(text.contains(&checked), "{text}");
    assert!(!folder.at("spoilt").join("summary.json").exists());
    let again = folder.resume("spoilt").output().unwrap();
    assert_eq!(again.status.code(), Some(65), "it is still broken: {}", stderr(&again));
    put_back();
    // Repaired, but of another time: that may be any file, so it has to be said.
    let file = fs::File::options().write(true).open(folder.at("data/train/green/007.png")).unwrap();
    file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
    let refused = folder.resume("spoilt").output().unwrap();
    let text = stderr(&refused);
    assert!(refused.status.code() == Some(65) && text.contains("or go on with these: --other-data"), "{text}");
    let copied = folder.at("copied");
    copy(&folder.at("spoilt"), &copied);
    let mut other = folder.resume("copied");
    other.arg("--other-data");
    succeed(other);
    assert_eq!(result(&copied).weights, expected.weights, "the picture is the same");
    let warnings = folder.summary("copied")["ran"]["warnings"].to_string();
    assert!(warnings.contains("files of the data had changed when the run went on after step"), "{warnings}");
    put_back();
    succeed(folder.resume("spoilt"));
    assert_same(&folder.at("spoilt"), &expected, "after it was replaced");
}

/// Weights are evaluated on folders of images of the same classes, where nothing is set apart for a test.
#[test]
fn weights_are_evaluated_on_all_images_of_another_folder() {
    let folder = Folder::new();
    succeed(folder.run("data", "run", &["--policy=dense"]));
    let others = folder.at("data/val");
    let [run, others] = [folder.at("run"), others].map(|path| path.to_str().unwrap().to_string());
    let both = [&["eval", &run][..], &["eval", &run, "--data-dir", &others]].map(|args| {
        let output = ast(args);
        assert!(output.status.success(), "{}", stderr(&output));
        String::from_utf8(output.stdout).unwrap()
    });
    assert!(both[0].contains("12 test images of image-folder"), "{}", both[0]);
    assert!(both[1].contains("all 12 images of image-folder"), "{}", both[1]);
}

/// The same for a test image: the run is saved before the evaluation, and its weights are those that it would have had.
#[test]
fn a_run_continues_once_a_broken_test_image_is_replaced() {
    let folder = Folder::new();
    let short = ["--policy=dense", "--set=eval.every_epochs=0", "--set=checkpoint.every_steps=0"];
    succeed(folder.run("data", "whole", &short));
    let put_back = folder.spoil("data/val/green/501.png");
    let output = folder.run("data", "spoilt", &short).output().unwrap();
    let text = stderr(&output);
    assert!(output.status.code() == Some(65) && text.contains("data/val/green/501.png"), "{text}");
    assert!(text.contains("continues from the last checkpoint"), "{text}");
    put_back();
    succeed(folder.resume("spoilt"));
    assert_same(&folder.at("spoilt"), &result(&folder.at("whole")), "after it was replaced");
}

/// The same for a file that is taken away while the program runs.
#[test]
fn a_run_continues_once_a_missing_file_is_back() {
    let folder = Folder::new();
    let long = ["--policy=dense", "--set=train.epochs=30", "--set=data.on_bad=skip"];
    succeed(folder.run("data", "whole", &long));
    let (path, aside) = (folder.at("data/train/red/011.png"), folder.at("aside.png"));
    let mut child = folder.run("data", "gone", &long).spawn().unwrap();
    wait_until(&mut child, "its first steps", || logged(&folder.at("gone")) > 2000);
    fs::rename(&path, &aside).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = stderr(&output);
    // Files that are gone are not skipped: a disk may be gone.
    assert!(output.status.code() == Some(65) && text.contains("data/train/red/011.png: No such file"), "{text}");
    fs::rename(&aside, &path).unwrap();
    succeed(folder.resume("gone"));
    assert_same(&folder.at("gone"), &result(&folder.at("whole")), "after it came back");
}

/// Broken files are left out, once each, with a warning; the run can be killed and resumed, to the same bits.
#[test]
fn a_run_goes_on_without_broken_files() {
    let folder = Folder::new();
    let skip = ["--set=data.on_bad=skip", "--activation=0.5", "--set=train.epochs=20"];
    succeed(folder.run("data", "whole", &skip));
    let spoilt = ["train/blue/000", "train/green/007", "train/red/023", "val/red/502"];
    let _: Vec<_> = spoilt.iter().map(|name| folder.spoil(&format!("data/{name}.png"))).collect();
    succeed(folder.run("data", "skipped", &skip));
    let text = fs::read_to_string(folder.at("skipped/metrics.jsonl")).unwrap();
    for name in spoilt {
        assert_eq!(text.matches(&format!("data/{name}.png: it is neither")).count(), 1, "{name}: {text}");
    }
    let summary = folder.summary("skipped");
    assert_eq!((number(&summary, "/left_out/training"), number(&summary, "/left_out/test")), (3, 1));
    assert_eq!(number(&summary, "/test/samples"), 3 * IMAGES[1] as u64 - 1, "those that were evaluated on");
    let (trained, decoded) = (number(&summary, "/samples/trained"), number(&summary, "/reads/training/decodes"));
    assert_eq!(trained, decoded, "broken files are not decoded");
    assert!(trained < number(&folder.summary("whole"), "/samples/trained"));
    assert_eq!(number(&summary, "/samples/offered"), number(&folder.summary("whole"), "/samples/offered"));

    let expected = result(&folder.at("skipped"));
    for step in [1, 2, 7, 23] {
        let run = format!("stopped-{step}");
        stop_after(folder.run("data", &run, &skip), &folder.at(&run), step);
        succeed(folder.resume(&run));
        assert_same(&folder.at(&run), &expected, &run);
    }
    // The tables lack those samples, and are whole.
    let report = ast(&["report", folder.at("skipped").to_str().unwrap()]);
    assert!(report.status.success(), "{}", stderr(&report));
    let output = folder.run("data", "strict", &skip[1..]).output().unwrap();
    assert_eq!(output.status.code(), Some(65), "{}", stderr(&output));
}

/// A file with another time is another file; the message says how to copy.
#[test]
fn a_folder_that_changed_is_not_resumed() {
    let folder = Folder::new();
    stop_after(folder.run("data", "stopped", &["--policy=dense"]), &folder.at("stopped"), 2);
    let path = folder.at("data/train/green/007.png");
    let (bytes, time) = (fs::read(&path).unwrap(), fs::metadata(&path).unwrap().modified().unwrap());
    put(&path, &bytes, SystemTime::UNIX_EPOCH);
    let output = folder.resume("stopped").output().unwrap();
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(65), "{text}");
    assert!(text.contains("of labels, paths, sizes and times of files) differ from"), "{text}");
    assert!(
        text.contains("copy the files with their times (`cp -p`), or go on with these: --other-data; nothing was"),
        "{text}"
    );
    put(&path, &bytes, time);
    succeed(folder.resume("stopped"));
}

/// What would read the whole folder is refused.
#[test]
fn images_in_files_are_not_held_on_the_device() {
    let folder = Folder::new();
    let output = folder.run("data", "held", &["--set=device.hold_data=on"]).output().unwrap();
    let text = stderr(&output);
    assert!(
        output.status.code() == Some(2) && text.contains("`device.hold_data`: the training images are read"),
        "{text}"
    );
}

/// When nothing can be loaded, the run ends.
#[test]
fn a_run_on_broken_files_alone_ends() {
    let folder = Folder::new();
    succeed(folder.run("data", "whole", &["--policy=dense"]));
    for class in CLASSES {
        (0..IMAGES[0]).for_each(|number| drop(folder.spoil(&format!("data/train/{class}/{number:03}.png"))));
    }
    for policy in ["dense", "random", "ast", "pool-top"] {
        let policy = format!("--policy={policy}");
        let output = folder.run("data", &policy[2..], &[&policy, "--set=data.on_bad=skip"]).output().unwrap();
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(65), "{text}");
        assert!(
            text.contains("none of the training samples can be loaded: ") && text.contains(".png: it is"),
            "{text}"
        );
    }
}

#[test]
fn the_data_commands_tell_of_a_folder() {
    let folder = Folder::new();
    let data = folder.at("data");
    let data = data.to_str().unwrap();
    let output = ast(&["data", "info", "image-folder", "--data-dir", data]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains(&format!("training 72 images, 24 to 24 of a class; {} bytes", folder.bytes("train"))),
        "{text}"
    );
    assert!(text.contains("classes  3: blue, green, red"), "{text}");
    let output = ast(&["data", "verify", "image-folder", "--data-dir", data]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("72 training and 12 test samples in 3 classes"), "{text}");
    assert!(text.contains("sha256 of labels, paths, sizes and times of files, training "), "{text}");
    drop(folder.spoil("data/val/red/502.png"));
    let verify = |more: &[&str]| ast(&[&["data", "verify", "image-folder", "--data-dir", data], more].concat());
    assert!(verify(&[]).status.success());
    let output = verify(&["--deep"]);
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(65), "{text}");
    assert!(text.contains("data/val/red/502.png: it is neither") && text.contains("1 image is broken"), "{text}");
    // Those that a run would measure at its start and stop at, too.
    for broken in ["train/blue/003.png", "train/red/004.png"] {
        drop(folder.spoil(&format!("data/{broken}")));
    }
    let text = stderr(&verify(&["--deep"]));
    let named = |file: &str| text.contains(&format!("data/{file}: it is neither"));
    let all = ["train/blue/003.png", "train/red/004.png", "val/red/502.png"];
    assert!(all.iter().all(|file| named(file)) && text.contains("3 images are broken"), "{text}");
    let to = folder.at("x.images");
    let output = ast(&["data", "import", data, "--to", to.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(65), "{}", stderr(&output));
    assert!(!to.exists());
}

/// A full disk ends an import, and leaves nothing behind.
#[test]
fn an_import_to_a_full_disk_leaves_nothing() {
    let folder = Folder::new();
    fs::create_dir(folder.at("out")).unwrap();
    let command = format!(
        "ulimit -f 20; trap '' XFSZ; exec {} data import {} --to {}",
        env!("CARGO_BIN_EXE_ast"),
        folder.at("data").display(),
        folder.at("out/x.images").display()
    );
    let output = Command::new("bash").args(["-c", &command]).output().unwrap();
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(74), "{text}");
    assert!(text.contains("out/x.images, which needs ") && text.contains("nothing was kept"), "{text}");
    assert_eq!(fs::read_dir(folder.at("out")).unwrap().count(), 0);
}
