//! The binary with the plugin has the plugin's scorer beside ours, and trains with it.
#![forbid(unsafe_code)]

use std::process::Command;

#[test]
fn the_plugin_is_listed_and_used() {
    let listed = Command::new(env!("CARGO_BIN_EXE_ast-with-mine")).arg("scorers").output().unwrap();
    let text = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert!(text.contains("doubt") && text.contains("loss-intensity"), "{text}");

    let out = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("plugin-run");
    let _ = std::fs::remove_dir_all(&out);
    let args =
        ["train", "--scorer", "doubt", "--set", "scorer.power=2", "--set", "data.train_limit=64", "--epochs", "2"];
    let run = Command::new(env!("CARGO_BIN_EXE_ast-with-mine")).args(args).arg("--out").arg(&out).output().unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let provenance = std::fs::read_to_string(out.join("run.json")).unwrap();
    assert!(provenance.contains("\"scorer_origin\": \"ast-example-plugin\""), "{provenance}");
}
