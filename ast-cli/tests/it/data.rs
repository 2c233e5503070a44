//! `ast data` through the real program.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output};

use crate::common::LITTLE;

fn ast(args: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ast"));
    for (name, _) in
        std::env::vars().filter(|(name, _)| name.starts_with("AST_") || name.to_lowercase().ends_with("_proxy"))
    {
        command.env_remove(name);
    }
    command.arg("data").args(args).envs(variables.iter().copied()).output().unwrap()
}

fn refused(output: &Output, code: i32, words: &[&str]) {
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{text}");
    assert!(words.iter().all(|word| text.contains(word)) && !text.contains("panicked"), "{text}");
}

/// A server that answers every request with `answer` and records the first line of each request.
fn server(answer: &'static str) -> (String, std::sync::mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map(Result::unwrap) {
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let first = lines.next().unwrap().unwrap();
            while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
            let _ = sender.send(first);
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    (url, receiver)
}

#[test]
fn download_errors_are_one_sentence() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().to_str().unwrap();
    let fetch = |name, variables: &[_]| ast(&["fetch", name, "--data-dir", at], variables);
    refused(&fetch("cifar11", &[]), 2, &["cifar11", "did you mean `cifar10`"]);
    refused(&fetch("cifar10", &[("AST_OFFLINE", "1")]), 75, &["AST_OFFLINE", "cs.toronto.edu", "put it there"]);
    // The proxy refuses everything, so that no request reaches the network.
    let (proxy, asked) = server("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
    let output = fetch("cifar10", &[("HTTPS_PROXY", &proxy), ("ALL_PROXY", &proxy)]);
    refused(&output, 75, &["cifar-10-binary.tar.gz"]);
    assert!(asked.recv().unwrap().starts_with("CONNECT www.cs.toronto.edu:443"));
    // A mirror on this machine is tried first, without the proxy.
    let (mirror, asked) = server("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nsomething");
    let output = fetch("cifar10", &[("AST_MIRROR", &mirror), ("HTTPS_PROXY", &proxy), ("ALL_PROXY", &proxy)]);
    refused(&output, 75, &[]);
    assert_eq!(asked.recv().unwrap(), "GET /cifar-10-binary.tar.gz HTTP/1.1");
    let left: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| name == "cifar-10-binary.tar.gz.lock"), "{left:?}");
}

/// A dataset of several files: each is asked for at the mirror by its own name, into a folder of the dataset's.
#[test]
fn several_files_are_fetched_one_by_one() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().to_str().unwrap();
    let (proxy, _) = server("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
    let (mirror, asked) = server("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nsomething");
    let output = ast(&["fetch", "mnist", "--data-dir", at], &[("AST_MIRROR", &mirror), ("HTTPS_PROXY", &proxy)]);
    refused(&output, 75, &["mnist: licence: Creative Commons", "fetching mnist/train-images-idx3-ubyte.gz into"]);
    assert_eq!(asked.recv().unwrap(), "GET /train-images-idx3-ubyte.gz HTTP/1.1");
    let left: Vec<_> =
        fs::read_dir(dir.path().join("mnist")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| name == "train-images-idx3-ubyte.gz.lock"), "{left:?}");
}

#[test]
fn datasets_are_listed_with_source_and_licence() {
    let text = |args: &[&str]| {
        let output = ast(args, &[]);
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    };
    let list = text(&["list"]);
    let lines: Vec<String> = list.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    for start in ["cifar10 170 MB licence: none is stated", "fashion-mnist 31 MB licence: MIT"] {
        assert!(lines.iter().any(|line| line.starts_with(start)), "{list}");
    }
    let info = text(&["info", "cifar100"]);
    for words in ["source   https://www.cs.toronto.edu/~kriz/cifar.html", "168513733 bytes", "sha256 58a81ae192c2"] {
        assert!(info.contains(words), "{info}");
    }
    refused(&ast(&["info", "procedural"], &[]), 2, &["no dataset `procedural` has published files"]);
}

/// `ast train` reads what `ast data fetch` would have put there, and grey images of 28 x 28 pixels are trained on.
#[test]
fn grey_images_are_trained_on() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("mnist");
    fs::create_dir(&folder).unwrap();
    for (split, n) in [("train", 64_u8), ("t10k", 32)] {
        let head = [0, 0, 8, 3, 0, 0, 0, n, 0, 0, 0, 28, 0, 0, 0, 28];
        let images: Vec<u8> = head.into_iter().chain((0..n).flat_map(|i| [i % 10 * 25; 784])).collect();
        let labels: Vec<u8> = [0, 0, 8, 1, 0, 0, 0, n].into_iter().chain((0..n).map(|i| i % 10)).collect();
        fs::write(folder.join(format!("{split}-images-idx3-ubyte")), images).unwrap();
        fs::write(folder.join(format!("{split}-labels-idx1-ubyte")), labels).unwrap();
    }
    let at = dir.path().to_str().unwrap();
    let verified = ast(&["verify", "mnist", "--data-dir", at], &[]);
    let text = String::from_utf8_lossy(&verified.stdout).into_owned();
    assert!(text.contains("64 training and 32 test samples in 10 classes") && text.contains("not compared"), "{text}");
    for network in ["simple-cnn", "airbench"] {
        let output = Command::new(env!("CARGO_BIN_EXE_ast"))
            .args(["train", "--set", "data.name=mnist", "--data-dir", at, "--model", network, "--epochs", "1"])
            .args(["--set", "model.width=8"])
            .args(["--batch-size", "16", "--policy", "dense", "--json", "--out"])
            .arg(dir.path().join(network))
            .output()
            .unwrap();
        assert!(output.status.success(), "{network}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

/// Two arrays of NumPy are trained on; without test samples some are to be held out, and the message says how.
#[test]
fn arrays_are_trained_on() {
    let dir = tempfile::tempdir().unwrap();
    let arrays = Path::new("../ast-data/tests/arrays");
    let train = |data: &Path, name: &str, more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ast"));
        command.args([
            "train",
            "--set",
            "data.name=arrays",
            "--epochs",
            "1",
            "--batch-size",
            "16",
            "--policy",
            "dense",
            LITTLE[1],
        ]);
        command.arg("--data-dir").arg(data).arg("--out").arg(dir.path().join(name)).args(more).output().unwrap()
    };
    let output = train(arrays, "both", &["--json"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8_lossy(&output.stdout).contains("\"test\":{\"samples\":20,\"classes\":10}"));
    let alone = arrays.join("train.npz");
    refused(&train(&alone, "alone", &[]), 2, &["no test samples", "60 samples", "--set data.validation=6"]);
    let output = train(&alone, "alone", &["--json", "--set", "data.validation=12"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8_lossy(&output.stdout).contains("\"test\":{\"samples\":12,\"classes\":10}"));
    refused(&train(Path::new("/nowhere"), "x", &[]), 65, &["/nowhere: No such file or directory"]);
    let mut nowhere = Command::new(env!("CARGO_BIN_EXE_ast"));
    let output = nowhere.args(["train", "--set", "data.name=arrays"]).env_remove("AST_DATA_DIR").output().unwrap();
    refused(&output, 2, &["the files of arrays are needed: set their folder with --data-dir"]);
    assert!(!String::from_utf8_lossy(&output.stderr).contains("fetch"));
}

/// Writes six files of the right size; `label` gives the class of each record.
fn made_up(dir: &Path, label: impl Fn(usize) -> u8) {
    let folder = dir.join("cifar-10-batches-bin");
    fs::create_dir_all(&folder).unwrap();
    let bytes: Vec<u8> =
        (0..10_000).flat_map(|r| std::iter::once(label(r)).chain(std::iter::repeat_n(5, 3072))).collect();
    for name in ["data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch"] {
        fs::write(folder.join(format!("{name}.bin")), &bytes).unwrap();
    }
}

#[test]
fn verify_finds_damage() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().to_str().unwrap();
    refused(&ast(&["verify"], &[]), 65, &["data: there is no such folder", "--data-dir data"]);
    refused(&ast(&["verify", "procedural"], &[]), 2, &["dataset `procedural` has no files: it is generated"]);
    refused(&ast(&["verify", "cifar"], &[]), 2, &["there is no dataset `cifar`; available: arrays, cifar10,"]);
    refused(&ast(&["verify", "--data-dir", at], &[]), 65, &["cifar-10-batches-bin"]);
    made_up(dir.path(), |r| (r % 10) as u8);
    let output = ast(&["verify", "--data-dir", at], &[]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && text.contains("sha256"), "{text}");
    // The copy differs from the published one, and its owner may want to keep it.
    assert!(
        text.contains("a modified copy: differs from the published files in data_batch_1, data_batch_2,"),
        "{text}"
    );
    let output = ast(&["fetch", "cifar10"], &[("AST_DATA_DIR", at), ("AST_OFFLINE", "1")]);
    refused(&output, 65, &["a modified copy", "data_batch_1", "test_batch", "move that folder away", "nothing was"]);
    let again = ast(&["verify", "--data-dir", at], &[]);
    assert_eq!(String::from_utf8_lossy(&again.stdout), text, "fetch has changed nothing");
    made_up(dir.path(), |r| if r == 7 { 3 } else { (r % 10) as u8 });
    refused(&ast(&["verify", "--data-dir", at], &[]), 65, &["5005 training images of class 3 instead of 5000"]);
    let file = dir.path().join("cifar-10-batches-bin/data_batch_4.bin");
    let bytes = fs::read(&file).unwrap();
    fs::write(&file, &bytes[..1_000_000]).unwrap();
    refused(&ast(&["verify", "--data-dir", at], &[]), 65, &["data_batch_4.bin", "1000000 bytes instead of 30730000"]);
}

/// `ast train` and `ast data verify` report what they find instead of the files, and how to fix it.
#[test]
fn errors_name_the_missing_files_and_the_fix() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("my data");
    let train = |at: &Path| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ast"));
        command.args(["train", "--preset", "cifar10", "--data-dir"]).arg(at).output().unwrap()
    };
    let both = |at: &Path, words: &[&str]| {
        refused(&train(at), 65, words);
        refused(&ast(&["verify", "--data-dir", at.to_str().unwrap()], &[]), 65, words);
    };
    let fetch = format!("`ast data fetch cifar10 --data-dir '{}'`", folder.display());
    both(&folder, &["there is no such folder", &fetch]);
    fs::create_dir(&folder).unwrap();
    both(&folder, &["cifar-10-batches-bin", &fetch]);
    let archive = folder.join("cifar-10-binary.tar.gz");
    fs::write(&archive, "packed").unwrap();
    both(&folder, &["cifar-10-binary.tar.gz: this is an archive", &fetch, "unpacks it"]);
    both(&archive, &["cifar-10-binary.tar.gz: this is an archive", &fetch]);
    refused(&ast(&["fetch", "cifar10", "--data-dir", archive.to_str().unwrap()], &[]), 2, &["is a file"]);
    let python = folder.join("cifar-10-python.tar.gz");
    fs::rename(&archive, &python).unwrap();
    both(&python, &["the Python version of CIFAR-10", &fetch]);
    fs::rename(&python, folder.join("cifar-10-batches-py")).unwrap();
    both(&folder, &["cifar-10-batches-py: this is the Python version of CIFAR-10", &fetch]);
    fs::remove_file(folder.join("cifar-10-batches-py")).unwrap();
    let renamed = folder.join("cifar.tar.gz");
    fs::write(&renamed, "packed").unwrap();
    both(&renamed, &["this is an archive", "tar -xf '"]);
    fs::remove_file(&renamed).unwrap();
    made_up(&folder, |r| (r % 10) as u8);
    let batches = folder.join("cifar-10-batches-bin");
    fs::remove_file(batches.join("test_batch.bin")).unwrap();
    both(&folder, &["test_batch.bin: this file is missing", "ast data fetch cifar10"]);
    both(&batches, &["test_batch.bin: this file is missing", "ast data fetch cifar10"]);
    let output = Command::new(env!("CARGO_BIN_EXE_ast"))
        .args(["train", "--preset", "cifar10"])
        .env_remove("AST_DATA_DIR")
        .output()
        .unwrap();
    refused(&output, 2, &["--data-dir", "`ast data fetch cifar10`"]);
}

/// A limit above the number of samples is an error, not silently reduced.
#[test]
fn a_limit_beyond_the_data_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    made_up(dir.path(), |r| (r % 10) as u8);
    let train = |more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ast"));
        command.args(["train", "--preset", "cifar10", "--data-dir"]).arg(dir.path()).args(more).output().unwrap()
    };
    let limit = ["--set", "data.train_limit=50001"];
    refused(&train(&limit), 2, &["`data.train_limit` = 50001: the training data has 50000 samples"]);
    let held = ["--set", "data.train_limit=45000", "--set", "data.validation=10000"];
    refused(&train(&held), 2, &["`data.train_limit` = 45000: the training data has 40000 samples", "10000"]);
    refused(&train(&["--set", "data.validation=50000"]), 2, &["`data.validation` = 50000", "50000 samples"]);
}
