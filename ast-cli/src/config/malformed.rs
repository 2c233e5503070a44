//! Malformed configurations are refused with position or key, never with a panic.

use std::fs;
use std::panic::catch_unwind;
use std::path::PathBuf;

use super::*;
use crate::args::RunArgs;

fn refused(run: RunArgs, what: &str) -> String {
    match catch_unwind(|| resolve(&args_of(run.clone())).map(drop)) {
        Ok(Err(failure)) => {
            assert!(matches!(failure.kind, Kind::Usage | Kind::Io), "{what}: {failure}");
            failure.to_string()
        }
        Ok(Ok(())) => panic!("{what}: accepted"),
        Err(_) => panic!("{what}: panicked"),
    }
}

fn file(content: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("some.toml");
    fs::write(&path, content).unwrap();
    (dir, path)
}

fn refused_file(content: &[u8], what: &str) -> String {
    let (_dir, path) = file(content);
    refused(RunArgs { config: Some(path), ..RunArgs::default() }, what)
}

fn set(assignment: &str) -> RunArgs {
    RunArgs { set: vec![assignment.into()], ..RunArgs::default() }
}

#[test]
fn malformed_files_are_refused() {
    let mut cases = 0;
    let mut check = |content: &[u8]| {
        let what = String::from_utf8_lossy(&content[..content.len().min(60)]).into_owned();
        let message = refused_file(content, &what);
        assert!(message.contains("some.toml") || message.contains('`'), "{what}: {message}");
        cases += 1;
    };
    for text in [
        "[train",
        "[train]\nepochs",
        "[train]\nepochs =",
        "[train]\nepochs = = 3",
        "epochs = 3",
        "train = 3",
        "[train]\nepochs = 1\nepochs = 2",
        "[train]\nlr = 1\n[train]\nepochs = 2",
        "[[train]]\nepochs = 2",
        "[train.epochs]\nx = 1",
        "[train]\n\"epochs\" = [1]",
        "[policy]\nname = {}",
        "[policy]\nname = 3",
        "[policy]\nlambda = [0.5]",
        "[policy]\nlambda = \"much\"",
        "[scorer]\nname = true",
        "[model]\nname = []",
        "[nothing]\nx = 1",
        "[train]\nepoch = 1",
        "[data]\ntrain_limit = 1.5",
        "\u{feff}[trian]\nx=1",
        "\0",
        "[train]\nlr = 1_",
        "[train]\nlr = 0x",
        "[train]\nseed = 99999999999999999999999999",
        "[train]\nlr = \"\"\"never closed",
        "[train]\nlr = 'a\nb'",
        "[\"\"]\nx = 1",
        "[train]\n= 3",
        "<html></html>",
        "{\"train\": {\"epochs\": 3}}",
        "train:\n  epochs: 3",
        "[control]\ntarget = 0.1\n[budget]\nfraction = 0.1",
    ] {
        check(text.as_bytes());
    }
    check(&[0xff, 0xfe, 0x5b, 0x00]);
    check(b"[train]\nlr = \xff");
    check(&b"[".repeat(10_000));
    check(format!("[train]\nlr = {}", "[".repeat(50_000)).as_bytes());
    check(format!("[train]\nlr = {}", "{a=".repeat(50_000)).as_bytes());
    check(format!("[{}]", "a.".repeat(50_000)).as_bytes());
    check(format!("[train]\nlr = \"{}\"", "x".repeat(900_000)).as_bytes());
    check(&vec![b'#'; 2 << 20]);
    assert!(cases >= 40, "{cases}");
}

/// Every key with every wrong type of value and numbers far out of range.
#[test]
fn every_key_with_every_wrong_value() {
    let mut cases = 0;
    for (section, keys) in known_keys() {
        for (key, example) in keys.as_table().unwrap() {
            let wrong: &[&str] = match example {
                toml::Value::String(_) => &["3", "true", "[]", "{}", "1.5"],
                toml::Value::Boolean(_) => &["3", "\"yes\"", "[]", "{}", "1.5"],
                _ => &["\"many\"", "true", "[]", "{}", "nan", "inf", "-inf", "-1", "-1e300", "9223372036854775808"],
            };
            for value in wrong {
                let assignment = format!("{section}.{key}={value}");
                let message = refused(set(&assignment), &assignment);
                assert!(message.contains(key) || message.contains("--set"), "{assignment}: {message}");
                cases += 1;
            }
        }
    }
    assert!(cases >= 150, "{cases}");
}

#[test]
fn malformed_assignments_and_unknown_presets_are_refused() {
    for assignment in [
        "",
        "=",
        "train",
        "train.",
        ".epochs=1",
        "train..epochs=1",
        "train.epochs",
        "a.b.c=1",
        "train.epochs.x=1",
        "=3",
        "train=3",
    ] {
        refused(set(assignment), assignment);
    }
    for preset in ["", "nothing", "../cifar10", "cifar10.toml", "CIFAR10"] {
        let message = refused(RunArgs { preset: Some(preset.into()), ..RunArgs::default() }, preset);
        assert!(message.contains("quickstart"), "{message}");
    }
}

/// The shipped configurations, cut after every byte: refused, or accepted with fewer keys.
#[test]
fn cut_configurations() {
    for (_, text) in presets::ALL {
        let (_dir, path) = file(b"");
        for cut in 0..text.len() {
            fs::write(&path, &text[..cut]).unwrap();
            let args = RunArgs { config: Some(path.clone()), ..RunArgs::default() };
            if let Err(failure) = resolve(&args_of(args)) {
                assert!(failure.kind == Kind::Usage && failure.to_string().contains(['`', '/']), "{failure}");
            }
        }
    }
}

#[test]
#[cfg(unix)]
fn pipes_and_devices_are_refused_without_waiting() {
    let (dir, path) = file(b"");
    let pipe = dir.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    for no_file in [dir.path().to_path_buf(), pipe, "/dev/zero".into(), dir.path().join("nowhere"), path.join("below")]
    {
        let message = refused(RunArgs { config: Some(no_file.clone()), ..RunArgs::default() }, "no file");
        assert!(message.contains("cannot read") && message.contains(&*no_file.to_string_lossy()), "{message}");
    }
}

/// Random corruptions of the configuration and of log lines, for AST_FUZZ_SECONDS (default 1).
#[test]
fn fuzz() {
    let variable = |name, otherwise| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise);
    let (seconds, first) = (variable("AST_FUZZ_SECONDS", 1u64), variable("AST_FUZZ_SEED", 0u64));
    let log = r#"{"event":"step","step":3,"epoch":0.5,"offered":64,"trained":9,"loss":2.3,"accuracy":10.0,"lr":0.001,"activation":0.1,"control":{"target":0.1,"rate":0.1,"threshold":null}}"#;
    let corpus: Vec<&[u8]> = presets::ALL.iter().map(|(_, text)| text.as_bytes()).chain([log.as_bytes()]).collect();
    let (begin, mut seed) = (std::time::Instant::now(), first);
    while begin.elapsed().as_secs() < seconds {
        for _ in 0..200 {
            let bytes = mutate(&corpus, seed);
            let outcome = catch_unwind(|| {
                let _: Result<ast_core::run::Event, _> = serde_json::from_slice(&bytes);
                let Ok(text) = String::from_utf8(bytes.clone()) else { return };
                if let Ok(table) = layers::parse(&text, "fuzz").and_then(resolve_table) {
                    drop(table);
                }
                drop(layers::of_assignment(&text));
            });
            assert!(outcome.is_ok(), "seed {seed}: {}", String::from_utf8_lossy(&bytes));
            seed += 1;
        }
    }
    println!("{} executions", seed - first);
}

/// A text from the corpus with one to six random corruptions, determined by `seed`.
fn mutate(corpus: &[&[u8]], seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x1234_5678_9abc_def0;
    let mut below = |n: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % n.max(1) as u64) as usize
    };
    const TELLING: [&[u8]; 16] = [
        b"[",
        b"]",
        b"=",
        b"\"",
        b"'",
        b"{",
        b"}",
        b"\n",
        b"1e999",
        b"-0",
        b"nan",
        b"9999999999999999999",
        b"#",
        b".",
        b"null",
        b"\\u0000",
    ];
    let mut bytes = corpus[below(corpus.len())].to_vec();
    for _ in 0..=below(6) {
        let (a, b) = (below(bytes.len() + 1), below(bytes.len() + 1));
        let (from, to) = (a.min(b), a.max(b));
        match below(5) {
            0 => drop(bytes.drain(from..to.min(from + 12))),
            1 => drop(bytes.splice(from..from, TELLING[below(16)].iter().copied())),
            2 => bytes.truncate(to),
            3 if from < bytes.len() => bytes[from] ^= 1 << below(8),
            _ => {
                let other = corpus[below(corpus.len())];
                let piece = other[from.min(other.len())..to.min(other.len())].to_vec();
                drop(bytes.splice(from..from, piece));
            }
        }
    }
    bytes
}
