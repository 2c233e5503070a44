//! The binary with the plugin has the plugin's scorers beside ours, and trains with each.
#![forbid(unsafe_code)]

use std::process::Command;

#[test]
fn the_plugin_is_listed_and_used() {
    let listed = Command::new(env!("CARGO_BIN_EXE_ast-with-mine")).arg("scorers").output().unwrap();
    let text = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert!(text.contains("loss-intensity"), "{text}");

    let of_each: [(&str, &[&str]); 2] = [("doubt", &["--set", "scorer.power=2"]), ("least-confident", &[])];
    for (scorer, params) in of_each {
        assert!(text.contains(scorer), "{text}");
        let out = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("plugin-run-{scorer}"));
        let _ = std::fs::remove_dir_all(&out);
        let args = ["train", "--scorer", scorer, "--set", "data.train_limit=64", "--epochs", "2"];
        let mut command = Command::new(env!("CARGO_BIN_EXE_ast-with-mine"));
        let run = command.args(args).args(params).arg("--out").arg(&out).output().unwrap();
        assert!(run.status.success(), "{scorer}: {}", String::from_utf8_lossy(&run.stderr));
        let provenance = std::fs::read_to_string(out.join("run.json")).unwrap();
        assert!(provenance.contains("\"scorer_origin\": \"ast-example-plugin\""), "{scorer}: {provenance}");
    }
}
