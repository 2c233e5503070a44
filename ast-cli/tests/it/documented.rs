//! Checks that the commands in the documentation work and that the documented help and exit codes are right.

use std::process::{Command, Output};

use crate::common::little;

/// The pages whose commands a newcomer copies.
const PAGES: [&str; 2] = [include_str!("../../../README.md"), include_str!("../../../docs/first-steps.md")];

fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ast"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("AST_")) {
        command.env_remove(name);
    }
    command.args(args).env("AST_OFFLINE", "1");
    command
}

fn ast(args: &[&str]) -> Output {
    command(args).output().expect("the binary starts")
}

/// The arguments of every `cargo run --release -- ...` in these pages.
fn commands() -> Vec<Vec<&'static str>> {
    let lines =
        PAGES.iter().flat_map(|page| page.lines()).filter_map(|line| line.strip_prefix("cargo run --release -- "));
    lines.map(|line| line.split('#').next().unwrap().split_whitespace().collect()).collect()
}

#[test]
fn every_command_of_the_first_pages_runs() {
    let commands = commands();
    assert!(commands.len() >= 9, "{commands:?}");
    let folder = tempfile::tempdir().unwrap();
    let first = folder.path().join("0");
    for (number, args) in commands.iter().enumerate() {
        let out = folder.path().join(number.to_string());
        let small = ["--set", "data.train_limit=64", "--set", "train.epochs=2", "--progress", "none", "--out"];
        let mut args = args.clone();
        // The first command makes this run.
        for arg in args.iter_mut().filter(|arg| **arg == "runs/0001-procedural-ast") {
            *arg = first.to_str().unwrap();
        }
        if let Some(place) = args.iter().position(|arg| *arg == "--out") {
            args.drain(place..place + 2);
        }
        // Offline and without the files, two of the commands report what is missing.
        let expected = match args.as_slice() {
            ["data", "fetch", ..] => 75,
            args if args.contains(&"--data-dir") => 65,
            _ => 0,
        };
        let little = little(&args);
        match args[0] {
            _ if args.contains(&"--help") => {}
            "train" if args.contains(&"--resume") => {}
            "train" => args.extend(little.into_iter().chain(small).chain(out.to_str())),
            "compare" | "sweep" => args.extend(
                ["--seeds", "1"]
                    .into_iter()
                    .chain(little)
                    .chain(small.into_iter().filter(|arg| !["--progress", "none"].contains(arg)))
                    .chain(out.to_str()),
            ),
            _ => {}
        }
        let output = command(&args).current_dir(folder.path()).output().expect("the binary starts");
        assert_eq!(output.status.code(), Some(expected), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

/// docs/cli.md shows every help page exactly, and no page is wider than a terminal.
#[test]
fn the_documentation_shows_every_help_page() {
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/cli.md");
    let shown = std::fs::read_to_string(&file).unwrap();
    let mut now = shown.clone();
    for block in shown.split("```console\n$ ast").skip(1).map(|block| block.split("```").next().unwrap()) {
        let (line, text) = block.split_once('\n').unwrap();
        let output = ast(&line.split_whitespace().collect::<Vec<_>>());
        now = now.replace(text, &format!("{}\n\n", String::from_utf8_lossy(&output.stdout).trim_end()));
    }
    if std::env::var_os("AST_TEST_WRITE").is_some() {
        std::fs::write(&file, &now).unwrap();
    }
    let different = shown.lines().zip(now.lines()).find(|(shown, now)| shown != now);
    assert!(shown == now, "AST_TEST_WRITE=1 writes docs/cli.md anew: {different:?}");
    let mut pages = vec![String::new()];
    while let Some(page) = pages.pop() {
        let path: Vec<&str> = page.split_whitespace().collect();
        let output = ast(&[&path[..], &["--help"]].concat());
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success() && text.contains("Usage: ast"), "{page:?}: {text}");
        assert!(text.lines().all(|line| line.chars().count() <= 120), "{page:?}: {text}");
        assert!(
            shown.contains(&format!("$ {} --help", format!("ast {page}").trim())),
            "{page:?} is not in docs/cli.md"
        );
        let lists = text.split_once("Options:").map_or(text.as_str(), |(lists, _)| lists);
        // `  name  what it does`, under a heading, where flags have none.
        let commands = lists.lines().filter_map(|line| line.strip_prefix("  ")?.split_once("  "));
        let is_name = |name: &&str| !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase()) && *name != "help";
        let names = commands.map(|(name, _)| name).filter(is_name);
        pages.extend(names.map(|name| format!("{page} {name}").trim().to_string()));
    }
    assert_eq!(ast(&[]).status.code(), Some(2));
    assert!(String::from_utf8_lossy(&ast(&["--version"]).stdout).starts_with("ast 0."));
}

/// Every expected flag exists, and the examples in the help are accepted as far as their data is available.
#[test]
fn the_help_of_train_is_complete() {
    let text = String::from_utf8_lossy(&ast(&["train", "--help"]).stdout).into_owned();
    for flag in [
        "--preset",
        "--config",
        "--set",
        "--data-dir",
        "--model",
        "--policy",
        "--scorer",
        "--activation",
        "--budget",
        "--epochs",
        "--batch-size",
        "--lr",
        "--seed",
        "--device",
        "--threads",
        "--out",
        "--resume",
        "--json",
        "--progress",
    ] {
        assert!(text.contains(flag), "{flag}: {text}");
    }
    for code in
        ["0 done", "2 usage", "65 data", "69 device", "70 bug", "73 cannot create", "75 try again", "129/130/143"]
    {
        assert!(text.contains(code), "{code}: {text}");
    }
}
