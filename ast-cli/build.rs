//! Tells the program which commit it was built from, so that every run folder can say so.
use std::process::Command;

fn main() {
    let git = |args: &[&str]| {
        let output = Command::new("git").args(args).output().ok().filter(|output| output.status.success())?;
        Some(String::from_utf8_lossy(&output.stdout).trim().to_string())
    };
    let commit = git(&["describe", "--always", "--dirty", "--abbrev=12"]).unwrap_or_else(|| "unknown".into());
    println!("cargo::rustc-env=AST_COMMIT={commit}");
    // HEAD's log changes with every commit and every checkout; sources, for `-dirty`, are cargo's own default.
    if let Some(log) = git(&["rev-parse", "--git-path", "logs/HEAD"]).filter(|log| std::path::Path::new(log).exists()) {
        println!("cargo::rerun-if-changed={log}");
    }
    for folder in ["src", "../ast-core/src", "../ast-control/src", "../ast-data/src", "../ast-scoring/src"] {
        println!("cargo::rerun-if-changed={folder}");
    }
}
