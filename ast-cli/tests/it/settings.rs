//! `ast config`, `ast runs`, `ast policies NAME`, completions and manual pages, through the real program.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::common::{start, stderr, stop_after, succeed};

fn ast_in(folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ast"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("AST_")) {
        command.env_remove(name);
    }
    command.args(args).current_dir(folder).env("AST__TRAIN__LR", "0.5").stdin(Stdio::null()).output().unwrap()
}

fn printed(folder: &Path, args: &[&str]) -> String {
    let output = ast_in(folder, args);
    assert!(output.status.success(), "{args:?}: {}", stderr(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// The cells of a printed table, without its head.
fn cells(table: &str) -> Vec<Vec<&str>> {
    let rows = table.lines().skip(2).map(|line| line.trim_matches('|').split('|').map(str::trim).collect());
    rows.collect()
}

fn is_named(text: &str, key: &str) -> bool {
    text.split_whitespace().any(|word| word.trim_end_matches([',', '.']) == key)
}

/// What is printed is a configuration that gives the same one; every value has an origin, and it is the highest layer.
#[test]
fn a_configuration_is_shown_with_the_origin_of_every_value() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let flags = ["--preset", "cifar10", "--data-dir", "x", "--set", "policy.lambda=0.5", "--epochs=3"];
    let text = printed(here, &[&["config", "show"][..], &flags].concat());
    fs::write(here.join("mine.toml"), &text).unwrap();
    assert_eq!(printed(here, &["config", "show", "--config", "mine.toml"]), text);
    assert_eq!(printed(here, &["config", "diff", "mine.toml", "mine.toml"]).trim(), "They do not differ.");

    let shown = printed(here, &[&["config", "show", "--origin"][..], &flags].concat());
    let (table, unset) = shown.split_once("\n\n").unwrap();
    let rows = cells(table);
    let of = |key: &str| rows.iter().find(|row| row[0] == key).map(|row| (row[1], row[2])).unwrap();
    assert_eq!(of("data.name"), ("\"cifar10\"", "preset cifar10"));
    assert_eq!(of("train.lr"), ("0.5", "environment"), "over the preset");
    assert_eq!(of("train.epochs"), ("3", "command line"));
    assert_eq!(of("policy.lambda"), ("0.5", "command line"));
    assert_eq!(of("policy.kappa").1, "default");
    let keys: toml::Table = text.parse().unwrap();
    let count: usize = keys.values().map(|section| section.as_table().unwrap().len()).sum();
    assert_eq!(rows.len(), count, "every value once");
    assert!(
        is_named(unset, "train.clip_norm") && !is_named(unset, "policy.lambda") && !is_named(unset, "data.dir"),
        "{unset}"
    );
    let shown = printed(here, &["config", "show", "--origin"]);
    let (_, unset) = shown.split_once("\n\n").unwrap();
    assert!(
        unset.contains("\n  `ast policies ast`: policy.lambda") && unset.lines().all(|line| line.len() <= 100),
        "{unset}"
    );
    let refused = ast_in(here, &["config", "keys", "policy.lambda"]);
    assert!(refused.status.code() == Some(2) && stderr(&refused).contains("`ast policies NAME`"), "{refused:?}");

    fs::write(here.join("other.toml"), text.replace("epochs = 3", "epochs = 4")).unwrap();
    let table = printed(here, &["config", "diff", "mine.toml", "other.toml"]);
    assert_eq!(cells(&table), [["train.epochs", "3", "4"]]);
    let refused = ast_in(here, &["config", "diff", "mine.toml", "nowhere.toml"]);
    assert!(refused.status.code() == Some(74) && stderr(&refused).contains("nowhere.toml"), "{refused:?}");
}

/// Of every section, with the program's own default, in lines that fit.
#[test]
fn keys_are_listed_with_default_range_and_meaning() {
    let folder = tempfile::tempdir().unwrap();
    let all = printed(folder.path(), &["config", "keys"]);
    assert!(all.contains("train.label_smoothing = 0.0\n    share of the target that the loss spreads"), "{all}");
    assert!(all.lines().all(|line| line.chars().count() <= 100), "{all}");
    assert!(!all.contains("](") && !all.contains('`'), "{all}");
    assert!(all.contains("image sizes over the run, [20, 26, 32]: "), "{all}");
    let train = printed(folder.path(), &["config", "keys", "train"]);
    assert!(train.lines().filter(|line| !line.starts_with(' ')).all(|line| line.starts_with("train.")), "{train}");
    assert_eq!(ast_in(folder.path(), &["config", "keys", "nothing"]).status.code(), Some(2));
}

/// A finished one, one that was stopped, and one whose files are damaged.
#[test]
fn runs_are_listed_with_their_state() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    assert!(stderr(&ast_in(here, &["runs", "nowhere"])).contains("cannot read nowhere"));
    assert!(printed(here, &["runs"]).contains("There are no runs in runs"));
    let run = |name: &str| here.join("runs").join(name);
    succeed(start(&run("arm/seed-5"), &[]));
    stop_after(start(&run("stopped"), &["--set=train.epochs=100000"]), &run("stopped"), 3);
    succeed(start(&run("torn"), &["--epochs=1"]));
    fs::write(run("torn").join("summary.json"), "{").unwrap();
    let table = printed(here, &["runs"]);
    let rows = cells(&table);
    assert_eq!(rows.iter().map(|row| row[0]).collect::<Vec<_>>(), ["runs/arm/seed-5", "runs/stopped", "runs/torn"]);
    assert!(
        rows[0][2].starts_with("simple-cnn by ast (`random` in this run) on procedural (256 samples), seed 5"),
        "{table}"
    );
    assert!(rows[0][3].contains("+-") && rows[0][4] == "20.0 %" && rows[0][1].ends_with(" ago"), "{table}");
    assert_eq!((rows[1][3], rows[2][3]), ("stopped", "unreadable"), "{table}");
}

#[test]
fn one_of_a_list_is_shown_with_its_parameters() {
    let folder = tempfile::tempdir().unwrap();
    let ast = printed(folder.path(), &["policies", "ast"]);
    for words in ["ast, from ast-core", "PI-controlled gate", "  lambda ", "[default: "] {
        assert!(ast.contains(words), "{words}: {ast}");
    }
    assert!(ast.lines().all(|line| line.chars().count() <= 100) && !ast.contains("infobatch"), "{ast}");
    assert!(printed(folder.path(), &["scorers", "loss"]).contains("It has no parameters."));
    let refused = ast_in(folder.path(), &["policies", "rndom"]);
    assert!(refused.status.code() == Some(2) && stderr(&refused).contains("did you mean `random`?"), "{refused:?}");
}

/// Bash takes the completions and completes a command and a flag; a page has the flags.
#[test]
fn shells_complete_and_manual_pages_are_written() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("ast.bash");
    fs::write(&script, printed(folder.path(), &["completions", "bash"])).unwrap();
    let complete = |words: &str, last: usize| {
        let line = format!(
            "source '{}'; COMP_WORDS=({words}); COMP_CWORD={last}; _ast ast \"${{COMP_WORDS[{last}]}}\" x; echo \"${{COMPREPLY[*]}}\"",
            script.display()
        );
        let output = Command::new("bash").args(["-c", &line]).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(complete("ast tra", 1).trim(), "train");
    assert!(complete("ast train --act", 2).contains("--activation"));
    for shell in ["zsh", "fish", "powershell", "elvish"] {
        assert!(printed(folder.path(), &["completions", shell]).contains("activation"), "{shell}");
    }
    printed(folder.path(), &["man", "--out", "."]);
    let page = fs::read_to_string(folder.path().join("ast-train.1")).unwrap();
    assert!(page.starts_with(".ie") && page.contains(".TH") && page.contains("activation"), "{page}");
    assert_eq!(ast_in(folder.path(), &["man", "--out", "nowhere"]).status.code(), Some(73));
}
