//! The folder and the process of a run: file modes, names, recorded builds, glibc's settings, and commands that can be
//! copied.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use crate::common::{
    SMALL, assert_same, dense, logged, program, result, resume, stderr, stop_after, succeed, tree, unfinished,
    wait_until,
};
use serde_json::Value;

/// The program and device of a resumed run are recorded besides those of its start.
#[test]
fn another_build_goes_on_and_is_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let (run, expected) = unfinished(folder.path());
    let file = run.join("run.json");
    let mut provenance: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    let [here, version] = ["commit", "version"].map(|key| provenance[key].as_str().unwrap().to_string());
    (provenance["commit"], provenance["version"]) = ("of another build".into(), "0.0.9".into());
    fs::write(&file, provenance.to_string()).unwrap();
    succeed(resume(&run));
    let provenance: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    assert_eq!(provenance["commit"], "of another build");
    let resumed = provenance["resumed"].as_array().unwrap();
    assert_eq!(
        (resumed.len(), &resumed[0]["commit"], &resumed[0]["device"]),
        (1, &here.as_str().into(), &"flex".into())
    );
    let log = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let line = log.lines().find(|line| line.contains("\"resumed\"")).unwrap();
    assert!(line.contains(&format!("\"commit\":\"{here}\"")) && line.contains("\"device\":\"flex\""), "{line}");
    let mut got = result(&run);
    assert_eq!(got.summary["origin"]["commit"], format!("of another build, then {here}"));
    assert_eq!(got.summary["origin"]["version"], format!("0.0.9, then {version}"));
    (got.summary["origin"]["commit"], got.summary["origin"]["version"]) = (here.into(), version.into());
    assert!(got == expected);
}

/// A run gives glibc settings that keep memory, in the same process, unless somebody has set some; they change no result.
#[test]
#[cfg(target_env = "gnu")]
fn memory_is_kept_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let run = |name: &str, theirs: Option<&str>, expected: &str| {
        let out = folder.path().join(name);
        let mut command = dense(&out);
        match theirs {
            Some(settings) => command.env("GLIBC_TUNABLES", settings),
            None => command.env_remove("GLIBC_TUNABLES"),
        };
        let mut child = command.spawn().unwrap();
        wait_until(&mut child, "a step", || logged(&out) > 600);
        let environment = fs::read(format!("/proc/{}/environ", child.id())).unwrap();
        let environment = String::from_utf8_lossy(&environment);
        let settings = environment.split('\0').find_map(|pair| pair.strip_prefix("GLIBC_TUNABLES=")).unwrap();
        assert!(settings.starts_with(expected) && settings.is_empty() == expected.is_empty(), "{name}: {settings}");
        assert!(child.wait_with_output().unwrap().status.success(), "{name}");
        result(&out)
    };
    let kept = run("kept", None, "glibc.malloc.mmap_threshold=");
    assert!(kept == run("theirs", Some("glibc.malloc.arena_max=1"), "glibc.malloc.arena_max=1"));
    assert!(kept == run("none", Some(""), ""));
}

/// Every file of a run follows the umask, as with `touch`.
#[test]
fn files_follow_the_umask() {
    let folder = tempfile::tempdir().unwrap();
    for (umask, expected) in [("022", 0o644), ("027", 0o640), ("002", 0o664)] {
        let run = folder.path().join(umask);
        let mut shell = Command::new("sh");
        let script = format!("umask {umask}; exec \"$0\" train \"$@\"");
        shell.args(["-c", &script, env!("CARGO_BIN_EXE_ast")]).args(SMALL).arg("--out").arg(&run);
        succeed({
            shell.stdout(Stdio::null()).stderr(Stdio::piped());
            shell
        });
        for (path, content) in tree(&run) {
            let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
            let expected = if content.is_some() { expected } else { expected | (expected & 0o444) >> 2 };
            assert_eq!(mode, expected, "{}: {mode:o}", path.display());
        }
    }
}

/// The recommended command of a stopped run works as printed, for any name of the folder.
#[test]
fn the_recommended_command_can_be_copied() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, run) = (folder.path().join("whole"), folder.path().join("it's $(a) `run` & more"));
    succeed(dense(&whole));
    let text = stop_after(dense(&run), &run, 7);
    let copied = text.split_once("go on with `").unwrap().1.trim_end();
    let copied = copied.strip_suffix('`').unwrap().strip_prefix("ast").unwrap();
    let script = format!("\"$0\" {copied} --threads=1 --progress=none");
    let mut shell = Command::new("sh");
    shell.args(["-c", &script, env!("CARGO_BIN_EXE_ast")]).stderr(Stdio::piped()).stdout(Stdio::piped());
    let output = shell.output().unwrap();
    assert!(output.status.success(), "{copied}: {}", stderr(&output));
    assert_same(&run, &result(&whole), copied);
    // The report names every file that a run writes for its user.
    let report = String::from_utf8(output.stdout).unwrap();
    let files = report.lines().find(|line| line.contains("files:")).unwrap();
    for file in ["model.safetensors", "best.safetensors", "run.svg", "summary.json"] {
        assert!(files.contains(file) && run.join(file).is_file(), "{file}: {files}");
    }
}

/// `runs/` may have folders with any names.
#[test]
fn a_free_number_is_always_found() {
    let folder = tempfile::tempdir().unwrap();
    for (there, expected) in [
        ("4294967290-mine", "4294967291-procedural-random"),
        ("18446744073709551615-mine", "4294967292-procedural-random"),
        ("99999999999999999999999-mine", "4294967293-procedural-random"),
    ] {
        fs::create_dir_all(folder.path().join("runs").join(there)).unwrap();
        let mut command = program();
        command.current_dir(folder.path()).args(SMALL).args(["--policy=random", "--set=train.epochs=1"]);
        succeed(command);
        assert!(folder.path().join("runs").join(expected).join("summary.json").is_file(), "{expected}");
    }
}

/// A run without a checkpoint starts over with its present configuration and keeps its old files.
#[test]
fn starting_over_keeps_the_old_files() {
    let folder = tempfile::tempdir().unwrap();
    let (run, _) = unfinished(folder.path());
    fs::remove_dir_all(run.join("checkpoints")).unwrap();
    let log = fs::read(run.join("metrics.jsonl")).unwrap();
    let config = fs::read_to_string(run.join("config.toml")).unwrap();
    fs::write(run.join("config.toml"), config.replace("lr = 0.001", "lr = 0.002")).unwrap();
    let text = succeed(resume(&run));
    assert!(text.contains("starting over") && text.contains("aside-1"), "{text}");
    assert!(fs::read(run.join("aside-1/metrics.jsonl")).unwrap() == log);
}

/// If the disk of the checkpoints is missing, the run must not start over.
#[test]
fn a_run_with_checkpoints_on_a_missing_disk_does_not_start_over() {
    let folder = tempfile::tempdir().unwrap();
    let (run, _) = unfinished(folder.path());
    fs::remove_dir_all(run.join("checkpoints")).unwrap();
    std::os::unix::fs::symlink(folder.path().join("unmounted"), run.join("checkpoints")).unwrap();
    let log = fs::read(run.join("metrics.jsonl")).unwrap();
    let output = resume(&run).output().unwrap();
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(74), "{text}");
    assert!(text.contains("checkpoints") && text.contains("disk"), "{text}");
    assert!(fs::read(run.join("metrics.jsonl")).unwrap() == log);
}

/// A damaged summary must not lead to the removal of a run that can write it again.
#[test]
fn a_damaged_summary_is_written_again() {
    let folder = tempfile::tempdir().unwrap();
    let (run, expected) = unfinished(folder.path());
    fs::write(run.join("summary.json"), "").unwrap();
    let output = resume(&run).output().unwrap();
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(65), "{text}");
    assert!(text.contains("move it away") && text.contains("--resume") && !text.contains("remove"), "{text}");
    fs::remove_file(run.join("summary.json")).unwrap();
    succeed(resume(&run));
    assert_same(&run, &expected, "after the summary was moved away");
}
