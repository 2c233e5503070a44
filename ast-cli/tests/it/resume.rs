//! The real program killed, signalled, out of disk or memory, and run twice: a resumed run reaches the same end.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::common::{
    ENDLESS, SMALL, assert_same, copy, goes_on, logged, program, result, resume, signal, start, stderr, steps, stop_by,
    succeed, wait_until,
};

/// Deterministic pseudo-random numbers.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}

/// The usual size, or the full one, which takes an hour, with AST_TEST_FULL=1.
fn size(usual: usize, full: usize) -> usize {
    if std::env::var_os("AST_TEST_FULL").is_some() { full } else { usual }
}

/// A run killed by `kill -9` at random moments, again and again, reaches the same result as an uninterrupted one.
#[test]
fn a_run_that_is_killed_goes_on_to_the_same_bits() {
    let folder = tempfile::tempdir().unwrap();
    let reference = folder.path().join("reference");
    succeed(start(&reference, &[]));
    let (expected, log) = (result(&reference), logged(&reference));
    let (mut kills, mut runs, mut resumed, mut dice) = (0, 0, 0, Dice(1));
    while kills < size(60, 1000) {
        runs += 1;
        let run = folder.path().join(format!("run{runs}"));
        let mut command = start(&run, &[]);
        loop {
            let mut child = command.spawn().unwrap();
            // Kill moments are counted in logged events, from before the first file to the last line of the log, so
            // they do not depend on the machine's speed. One time in four the run is not killed.
            let until = dice.below(2 * log).saturating_sub(log / 2);
            while logged(&run) < until && child.try_wait().unwrap().is_none() {
                std::thread::sleep(Duration::from_micros(200));
            }
            std::thread::sleep(Duration::from_micros(dice.below(20_000)));
            if let Some(status) = child.try_wait().unwrap() {
                assert!(status.success(), "{}", stderr(&child.wait_with_output().unwrap()));
                break;
            }
            child.kill().unwrap();
            child.wait().unwrap();
            kills += 1;
            // Before the first file there is nothing to resume.
            command = if run.join("config.toml").exists() { resume(&run) } else { start(&run, &[]) };
            if !run.join("config.toml").exists() && run.exists() {
                fs::remove_dir_all(&run).unwrap();
            }
        }
        assert_same(&run, &expected, &format!("run {runs} after {kills} kills"));
        resumed += fs::read_to_string(run.join("metrics.jsonl")).unwrap().matches("\"resumed\"").count();
        fs::remove_dir_all(&run).unwrap();
    }
    println!("{kills} kills in {runs} runs, {resumed} resumed from a checkpoint");
    assert!(resumed >= kills / 10, "{resumed} of {kills}: hardly any kill was met in the run");
}

/// The policies listed by the program.
fn policies() -> Vec<String> {
    let listed = Command::new(env!("CARGO_BIN_EXE_ast")).arg("policies").output().unwrap().stdout;
    let names = String::from_utf8(listed).unwrap();
    names.lines().map(|line| line.split_whitespace().next().unwrap().to_string()).collect()
}

/// For every policy and any number of loader workers, a run resumed from a checkpoint reaches the same bits.
#[test]
fn checkpoints_of_every_policy_go_on_to_the_same_bits() {
    let folder = tempfile::tempdir().unwrap();
    let mut cases = 0;
    let every = format!("--set=checkpoint.every_steps={}", size(6, 2));
    let every_workers = [0, 1, 4];
    for (number, policy) in policies().iter().cycle().take(size(1, 3) * policies().len()).enumerate() {
        let workers = every_workers[(number + number / policies().len()) % 3];
        let whole = folder.path().join(policy);
        let workers = format!("--set=data.workers={workers}");
        succeed(start(&whole, &[&every, "--set=checkpoint.keep=99", "--policy", policy, &workers]));
        let expected = result(&whole);
        let few = steps(&whole).len().div_ceil(size(2, 5));
        for (number, step) in steps(&whole).iter().enumerate().skip(few / 2).step_by(few) {
            let run = folder.path().join("again");
            fs::create_dir_all(run.join("checkpoints")).unwrap();
            for file in ["config.toml", "run.json", "metrics.jsonl", "best.safetensors"] {
                fs::copy(whole.join(file), run.join(file)).unwrap();
            }
            copy(step, &run.join("checkpoints").join(step.file_name().unwrap()));
            // The number of workers may differ between the start and the resume.
            let config = fs::read_to_string(run.join("config.toml")).unwrap();
            let other = config
                .replace(&workers["--set=data.".len()..].replace('=', " = "), &format!("workers = {}", number % 3));
            assert!(number % 3 == 0 || other != config || workers.ends_with(&format!("{}", number % 3)), "{config}");
            fs::write(run.join("config.toml"), other).unwrap();
            let text = succeed(resume(&run));
            assert!(!text.contains("starting over"), "{text}");
            assert_same(&run, &expected, &format!("{policy} from {}", step.display()));
            fs::remove_dir_all(&run).unwrap();
            cases += 1;
        }
        fs::remove_dir_all(whole).unwrap();
    }
    assert!(cases >= size(28, 180), "{cases}");
    println!("{cases} checkpoints gone on from");
}

/// The same seed gives the same bits in every process, for any number of threads and loader workers.
#[test]
fn threads_and_workers_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = None;
    let every = [1, 2, 3, 4, 5, 6, 8].into_iter().flat_map(|threads| [0, 1, 2, 4].map(|workers| (threads, workers)));
    let few = [(1, 0), (1, 0), (2, 1), (3, 2), (8, 4)];
    for (number, (threads, workers)) in few.into_iter().chain(every).take(size(few.len(), 33)).enumerate() {
        let run = folder.path().join(number.to_string());
        let mut command = program();
        command.args(SMALL.iter().filter(|arg| !arg.starts_with("--threads")));
        command.args([&format!("--threads={threads}"), &format!("--set=data.workers={workers}")]);
        command.arg("--out").arg(&run);
        succeed(command);
        match &first {
            Some(first) => assert_same(&run, first, &format!("{threads} threads, {workers} workers")),
            None => first = Some(result(&run)),
        }
    }
}

#[test]
fn signals_save_and_stop_with_their_own_exit_codes() {
    let folder = tempfile::tempdir().unwrap();
    let reference = folder.path().join("reference");
    let long = ["--set=checkpoint.every_steps=0", "--set=train.epochs=40", "--set=eval.every_epochs=0"];
    succeed(start(&reference, &long));
    let expected = result(&reference);
    for (number, (name, code)) in
        [("INT", 130), ("TERM", 143), ("HUP", 129)].into_iter().cycle().take(size(9, 198)).enumerate()
    {
        let run = folder.path().join(format!("run{number}"));
        // 128 steps, so that it is stopped well before its end.
        let step = 1 + 32 * number / size(9, 198);
        let text = stop_by((name, code), start(&run, &long), &run, step as u64);
        assert!(text.contains("saved; go on with `ast train --resume"), "{text}");
        assert_eq!(steps(&run).len(), 1);
        succeed(resume(&run));
        assert_same(&run, &expected, name);
    }
}

#[test]
fn usr1_saves_and_goes_on_and_a_second_int_ends_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("usr1");
    let mut child = start(&run, &["--set=checkpoint.every_steps=0", ENDLESS]).spawn().unwrap();
    goes_on(&mut child, &run);
    assert!(!run.join("checkpoints").exists() || steps(&run).is_empty());
    signal(&child, "USR1");
    let saved = || fs::read_dir(run.join("checkpoints")).is_ok_and(|mut entries| entries.next().is_some());
    wait_until(&mut child, "it saved", saved);
    goes_on(&mut child, &run);
    assert_eq!(steps(&run).len(), 1, "saved once");
    signal(&child, "TERM");
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(143));

    // A slow batch, of seconds: the first signal waits for its end, the second does not.
    let run = folder.path().join("twice");
    let mut long = program();
    long.args(["--set=data.train_limit=2048", "--batch-size=2048", "--policy=dense", "--epochs=50", "--progress=none"]);
    let mut child = long.arg("--out").arg(&run).spawn().unwrap();
    wait_until(&mut child, "its first batch", || run.join("run.json").exists());
    // Signals that arrive before the program handles them merge into one: send more until it has ended.
    while child.try_wait().unwrap().is_none() {
        signal(&child, "INT");
        std::thread::sleep(Duration::from_millis(10));
    }
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", stderr(&output));
    assert!(!stderr(&output).contains("saved"), "at once means without saving");
}

/// Signals that are ignored at the start, as by `nohup` or in the background of a script, must stay ignored.
#[test]
fn signals_that_were_ignored_stay_ignored() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let mut shell = Command::new("sh");
    let program = env!("CARGO_BIN_EXE_ast");
    shell.args(["-c", "trap '' HUP; exec \"$0\" train \"$@\"", program]).args(SMALL).args([ENDLESS, "--out"]).arg(&run);
    let mut child = shell.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    goes_on(&mut child, &run);
    signal(&child, "HUP");
    goes_on(&mut child, &run);
    // The exit code is not 129: SIGINT stops it, not SIGHUP.
    signal(&child, "TERM");
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(143));
}

#[test]
fn a_folder_belongs_to_one_process() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let mut child = start(&run, &[ENDLESS]).spawn().unwrap();
    goes_on(&mut child, &run);
    for mut other in [resume(&run), start(&run, &[])] {
        let other = other.output().unwrap();
        assert_eq!(other.status.code(), Some(75), "{}", stderr(&other));
        assert!(stderr(&other).contains("in use by another process"));
    }
    signal(&child, "TERM");
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(143));
}

/// With a full disk at any stage, a run ends with an error and its exit code, and can be resumed afterwards. The limit
/// is on the file size: a small one cuts the log, a larger one a checkpoint.
#[test]
fn a_run_recovers_from_a_full_disk() {
    let folder = tempfile::tempdir().unwrap();
    let reference = folder.path().join("reference");
    succeed(start(&reference, &[]));
    let expected = result(&reference);
    let mut stopped = 0;
    // In blocks of 512 bytes: from zero, over the few kilobytes of the log and the optimizer's 40, to those of the page.
    let few = [0, 1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 30, 40, 60, 80, 100, 150, 300, 1000];
    let more = (0..80).map(|i| (21.0 * 1.05_f64.powi(i)) as u64);
    for blocks in few.into_iter().chain(more).take(size(few.len(), 100)) {
        let run = folder.path().join(format!("run{blocks}"));
        let mut shell = Command::new("sh");
        let script = format!("ulimit -f {blocks}; exec \"$0\" train \"$@\"");
        shell.args(["-c", &script, env!("CARGO_BIN_EXE_ast")]).args(SMALL).arg("--out").arg(&run);
        let output = shell.stdout(Stdio::null()).stderr(Stdio::piped()).output().unwrap();
        let (code, text) = (output.status.code(), stderr(&output));
        assert!(matches!(code, Some(0 | 73 | 74)), "{blocks} blocks: {:?} {text}", output.status);
        if code == Some(0) {
            continue;
        }
        assert!(text.contains("error: ") && text.contains("arge"), "{blocks} blocks: {text}");
        stopped += 1;
        let left = fs::read_dir(run.join("checkpoints")).into_iter().flatten().map(|entry| entry.unwrap().path());
        assert!(left.into_iter().all(|path| path.extension().is_none()), "half a checkpoint is left on a full disk");
        if run.join("config.toml").exists() {
            succeed(resume(&run));
            assert_same(&run, &expected, &format!("{blocks} blocks"));
        }
    }
    assert!(stopped >= size(15, 90), "{stopped}");
}

/// Without memory the allocator ends the process at any point, like a kill, unless a library panics first. The run can
/// be resumed from what was saved. The limit is on the address space: a small one is reached at the start, a larger one
/// during the run.
#[test]
fn a_run_recovers_from_a_lack_of_memory() {
    let folder = tempfile::tempdir().unwrap();
    let reference = folder.path().join("reference");
    // Half a million parameters, and few images.
    let larger =
        ["--set=data.size=32", "--set=model.width=16", "--set=data.train_limit=64", "--set=data.validation=16"];
    let larger = [&larger[..], &["--set=train.epochs=2"]].concat();
    succeed(start(&reference, &larger));
    let expected = result(&reference);
    let mut stopped = 0;
    for megabytes in (30..=120).step_by(size(7, 1)) {
        let run = folder.path().join(format!("run{megabytes}"));
        let mut shell = Command::new("sh");
        let script = format!("ulimit -c 0; ulimit -v {}; exec \"$0\" train \"$@\"", megabytes * 1024);
        shell.args(["-c", &script, env!("CARGO_BIN_EXE_ast")]).args(SMALL).args(&larger).arg("--out").arg(&run);
        let output = shell.stdout(Stdio::null()).stderr(Stdio::piped()).output().unwrap();
        if output.status.success() {
            continue;
        }
        let (status, text) = (output.status, String::from_utf8_lossy(&output.stderr));
        assert!(status.signal() == Some(6) || status.code() == Some(70), "{megabytes} MB: {status:?} {text}");
        stopped += 1;
        if run.join("config.toml").exists() {
            succeed(resume(&run));
            assert_same(&run, &expected, &format!("{megabytes} MB"));
        }
    }
    assert!(stopped >= size(3, 20), "{stopped}");
}

#[test]
fn a_run_reports_that_its_folder_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let mut child = start(&run, &[ENDLESS]).spawn().unwrap();
    goes_on(&mut child, &run);
    // The program may be writing into the folder at the same time.
    while fs::write(&run, "in its place").is_err() {
        drop(fs::remove_dir_all(&run));
    }
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(74), "{}", stderr(&output));
    assert!(stderr(&output).contains("could not write"), "{}", stderr(&output));
}

#[test]
fn a_damaged_checkpoint_is_named_and_the_one_before_used() {
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("whole");
    // With an auxiliary network, whose state is one more file.
    succeed(start(&whole, &["--policy", "proxy"]));
    let expected = result(&whole);
    let files = ["manifest.json", "weights.bpk", "optimizer.bpk", "selector.cbor", "state.cbor", "auxiliary.cbor"];
    for (number, file) in files.iter().enumerate() {
        let run = folder.path().join(format!("run{number}"));
        copy(&whole, &run);
        fs::remove_file(run.join("summary.json")).unwrap();
        let last = steps(&run).pop().unwrap().join(file);
        let mut bytes = fs::read(&last).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x40;
        fs::write(&last, bytes).unwrap();
        let text = succeed(resume(&run));
        assert!(text.contains("checkpoint skipped") && text.contains(file), "{text}");
        assert_same(&run, &expected, file);
    }
    // With no checkpoint left, the run starts over and reaches the same end.
    let run = folder.path().join("none");
    copy(&whole, &run);
    fs::remove_file(run.join("summary.json")).unwrap();
    fs::remove_dir_all(run.join("checkpoints")).unwrap();
    assert!(succeed(resume(&run)).contains("starting over"));
    assert_same(&run, &expected, "from the beginning");
    // Already finished: nothing happens.
    let finished = resume(&run).stdout(Stdio::piped()).output().unwrap();
    assert!(finished.status.success() && String::from_utf8_lossy(&finished.stdout).contains("is finished"));
}

#[test]
fn what_cannot_be_resumed_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |mut command: Command, code: i32, word: &str| {
        let output = command.output().unwrap();
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(code), "{text}");
        assert!(text.contains(word), "{text}");
    };
    refused(resume(&folder.path().join("nowhere")), 74, "there is no such folder");
    let mut both = resume(folder.path());
    both.args(["--epochs", "3"]);
    refused(both, 2, "--epochs");
}
