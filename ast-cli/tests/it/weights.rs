//! `model.weights` on the real program: a run that begins with PyTorch's weights, and files that are refused.

use std::fs;
use std::path::{Path, PathBuf};

use crate::common::{assert_same, result, resume, start, stderr, succeed};

/// Weights of a ResNet-18 of width 2 for three classes, made by PyTorch.
fn resnet18() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../ast-core/tests/pytorch/resnet18.safetensors")
}

const SHORT: [&str; 2] = ["--set=data.train_limit=64", "--epochs=4"];
const RESNET: [&str; 2] = ["--model=resnet18", "--set=model.width=2"];

/// The procedural images have ten classes, so the last layer starts anew. The file is read once: the run goes on without
/// it.
#[test]
fn a_run_begins_with_weights_from_pytorch_and_resumes_without_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let (run, file) = (folder.path().join("run"), folder.path().join("mine.safetensors"));
    fs::copy(resnet18(), &file).unwrap();
    let weights = format!("--set=model.weights={}", file.display());
    succeed(start(&run, &[&SHORT[..], &RESNET, &[&weights]].concat()));
    let expected = result(&run);
    let warning = "has 3 classes, the data 10: the last layer, fc, starts anew";
    assert!(expected.metrics.iter().any(|line| line.contains(warning)));
    assert!(expected.summary["ran"]["warnings"].to_string().contains(warning));
    assert!(fs::read_to_string(run.join("config.toml")).unwrap().contains("weights = "));

    fs::remove_file(run.join("summary.json")).unwrap();
    fs::remove_file(&file).unwrap();
    succeed(resume(&run));
    assert_same(&run, &expected, "without the file");
}

#[test]
fn other_files_are_refused_before_the_run_has_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("text");
    fs::write(&text, "these are not weights").unwrap();
    let refused = |file: &Path, model: [&str; 2], code: i32, words: &[&str]| {
        let (run, weights) = (folder.path().join("run"), format!("--set=model.weights={}", file.display()));
        let output = start(&run, &[&SHORT[..], &model, &[&weights]].concat()).output().unwrap();
        let message = stderr(&output);
        assert_eq!(output.status.code(), Some(code), "{message}");
        for word in ["`model.weights` = ", file.to_str().unwrap()].iter().chain(words) {
            assert!(message.contains(word), "{word}: {message}");
        }
        assert!(!run.exists());
    };
    refused(Path::new("no/such/file"), RESNET, 74, &["cannot read it"]);
    refused(&text, RESNET, 65, &["no safetensors file", "save_file("]);
    refused(
        &resnet18(),
        ["--model=resnet18", "--set=model.width=3"],
        65,
        &["of another shape: bn1.bias ([2] instead of [3])", " more"],
    );
    refused(
        &resnet18(),
        ["--model=vit-tiny", "--set=model.width=3"],
        65,
        &["missing: blocks.0", "unexpected: bn1.bias"],
    );
}
