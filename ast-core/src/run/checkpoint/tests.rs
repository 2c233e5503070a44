use std::collections::BTreeMap;

use super::disk::at;
use super::*;

fn run(metrics: u64) -> RunIdentity {
    let config = BTreeMap::from([("train.lr".to_string(), "0.001".to_string())]);
    RunIdentity { data: "fingerprint".into(), metrics, config, ..RunIdentity::default() }
}

fn snapshot(step: u64) -> Snapshot {
    let part = |tag: u8| (0..40).map(|i| tag ^ (step as u8) ^ i).collect();
    Snapshot {
        step,
        weights: part(1),
        optimizer: part(2),
        selector: part(3),
        state: part(4),
        auxiliary: part(5),
        lookahead: part(6),
    }
}

fn checkpoints(keep: usize) -> (tempfile::TempDir, Checkpoints) {
    let folder = tempfile::tempdir().unwrap();
    let checkpoints = Checkpoints::new(folder.path().join("checkpoints"), keep);
    (folder, checkpoints)
}

fn latest(checkpoints: &mut Checkpoints) -> (Option<Snapshot>, usize) {
    let found = checkpoints.latest().unwrap();
    (found.latest.map(|(_, snapshot)| snapshot), found.refused.len())
}

fn steps(checkpoints: &Checkpoints) -> Vec<Option<u64>> {
    checkpoints.entries().unwrap().into_iter().map(|(step, _)| step).collect()
}

#[test]
fn the_last_checkpoints_are_kept() {
    let (_folder, mut checkpoints) = checkpoints(2);
    assert_eq!(latest(&mut checkpoints), (None, 0));
    for step in [5, 10, 15, 100] {
        checkpoints.save(&snapshot(step), &run(7 * step)).unwrap();
    }
    assert_eq!(steps(&checkpoints), [Some(15), Some(100)]);
    assert_eq!(latest(&mut checkpoints), (Some(snapshot(100)), 0));
    let (manifest, _) = checkpoints.latest().unwrap().latest.unwrap();
    assert_eq!((manifest.step, manifest.run), (100, run(700)));
    // The same step again.
    checkpoints.save(&snapshot(100), &run(700)).unwrap();
    assert_eq!(steps(&checkpoints), [Some(15), Some(100)]);
}

/// The checkpoint written last is always kept. Refused ones are not counted, and not removed before `keep` intact ones
/// follow them.
#[test]
fn damaged_checkpoints_never_displace_intact_ones() {
    let (_folder, mut first) = checkpoints(2);
    for step in [10, 20, 30] {
        first.save(&snapshot(step), &run(1)).unwrap();
    }
    for step in [20, 30] {
        fs::write(first.folder.join(format!("step-000000{step}/weights.bpk")), "damaged").unwrap();
    }
    // A new process, which has not read or written any of them yet.
    let mut second = Checkpoints::new(first.folder.clone(), 2);
    assert_eq!(latest(&mut second), (None, 2));
    second.save(&snapshot(5), &run(1)).unwrap();
    assert_eq!(steps(&second), [Some(5), Some(20), Some(30)]);
    second.save(&snapshot(7), &run(1)).unwrap();
    second.save(&snapshot(12), &run(1)).unwrap();
    assert_eq!(steps(&second), [Some(7), Some(12), Some(20), Some(30)]);
    second.save(&snapshot(25), &run(1)).unwrap();
    assert_eq!(steps(&second), [Some(12), Some(20), Some(25), Some(30)]);
    second.save(&snapshot(40), &run(1)).unwrap();
    assert_eq!(steps(&second), [Some(25), Some(30), Some(40)]);
    assert_eq!(latest(&mut second), (Some(snapshot(40)), 0));
}

/// A checkpoint that was not read may be damaged: it stays until `keep` intact ones follow it.
#[test]
fn unread_checkpoints_do_not_count_as_kept() {
    let (_folder, mut first) = checkpoints(3);
    for step in [10, 20, 30] {
        first.save(&snapshot(step), &run(1)).unwrap();
    }
    let mut second = Checkpoints::new(first.folder.clone(), 2);
    assert_eq!(latest(&mut second), (Some(snapshot(30)), 0));
    second.save(&snapshot(40), &run(1)).unwrap();
    assert_eq!(steps(&second), [Some(30), Some(40)]);
    let mut third = Checkpoints::new(first.folder.clone(), 2);
    third.save(&snapshot(50), &run(1)).unwrap();
    assert_eq!(steps(&third), [Some(30), Some(40), Some(50)]);
}

/// A disk that fails at one call: before it, or in the middle of a write. What was done before stays, as after a kill.
struct Failing {
    calls_left: usize,
    /// Bytes of the failing write that still reach the disk.
    partial: usize,
}

impl Failing {
    fn call(&mut self, path: &Path) -> Result<(), CheckpointError> {
        if self.calls_left == 0 {
            return at(path, Err(io::Error::other("killed")));
        }
        self.calls_left -= 1;
        Ok(())
    }
}

impl Disk for Failing {
    fn create_dir(&mut self, path: &Path) -> Result<(), CheckpointError> {
        self.call(path)?;
        System.create_dir(path)
    }
    fn write(&mut self, path: &Path, bytes: &[u8]) -> Result<(), CheckpointError> {
        if self.calls_left == 0 && self.partial > 0 {
            fs::write(path, &bytes[..self.partial.min(bytes.len())]).unwrap();
        }
        self.call(path)?;
        System.write(path, bytes)
    }
    fn sync_dir(&mut self, path: &Path) -> Result<(), CheckpointError> {
        self.call(path)?;
        System.sync_dir(path)
    }
    fn rename(&mut self, from: &Path, to: &Path) -> Result<(), CheckpointError> {
        self.call(to)?;
        System.rename(from, to)
    }
    fn remove_dir(&mut self, path: &Path) -> Result<(), CheckpointError> {
        self.call(path)?;
        System.remove_dir(path)
    }
}

/// A process that ends anywhere in a save, also in the middle of a write, leaves the old or the new checkpoint intact.
/// The next save works and removes what is incomplete.
#[test]
fn a_save_that_is_interrupted_anywhere_loses_nothing() {
    let mut points = 0;
    // A later step than any saved, and the same step again.
    for step in [30, 20] {
        for partial in [0, 1, 39, 4000] {
            for calls in 0.. {
                let (_folder, mut checkpoints) = checkpoints(2);
                checkpoints.save(&snapshot(10), &run(1)).unwrap();
                checkpoints.save(&snapshot(20), &run(1)).unwrap();
                let mut disk = Failing { calls_left: calls, partial };
                let outcome = checkpoints.save_to(&mut disk, &snapshot(step), &run(1));
                let (found, refused) = latest(&mut checkpoints);
                assert_eq!(
                    refused, 0,
                    "{calls} calls, {partial} bytes: an incomplete checkpoint must not have a final name"
                );
                let found = found.unwrap();
                let renaming = step == 20 && found == snapshot(10);
                assert!(found == snapshot(20) || found == snapshot(step) || renaming, "{calls} calls: {}", found.step);
                checkpoints.save(&snapshot(40), &run(1)).unwrap();
                assert_eq!(latest(&mut checkpoints), (Some(snapshot(40)), 0));
                assert!(!steps(&checkpoints).contains(&None), "incomplete checkpoints must be removed");
                points += 1;
                if outcome.is_ok() {
                    break;
                }
            }
        }
    }
    assert!(points >= 72, "{points}");
}

/// Damages every file of a checkpoint in many ways: each bit and byte flipped, cut at any length, lengthened, deleted,
/// replaced by the one of another step. The checkpoint before is used instead, without a panic.
#[test]
fn a_damaged_checkpoint_is_replaced_by_the_one_before() {
    let (_folder, mut checkpoints) = checkpoints(2);
    checkpoints.save(&snapshot(10), &run(1)).unwrap();
    checkpoints.save(&snapshot(20), &run(1)).unwrap();
    let whole = checkpoints.folder.join("step-00000020");
    let mut cases = 0;
    let mut files: Vec<PathBuf> = fs::read_dir(&whole).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert_eq!(files.len(), 7);
    for file in &files {
        let bytes = fs::read(file).unwrap();
        let other = fs::read(checkpoints.folder.join("step-00000010").join(file.file_name().unwrap())).unwrap();
        let masks = || (0..8).map(|bit| 1 << bit).chain([0xff_u8]);
        let flipped = (0..bytes.len()).flat_map(|i| masks().map(move |mask| (i, mask))).map(|(i, mask)| {
            let mut bytes = bytes.clone();
            bytes[i] ^= mask;
            bytes
        });
        let cut = (0..bytes.len()).map(|length| bytes[..length].to_vec());
        let grown = [[bytes.clone(), vec![0]].concat(), [bytes.clone(), bytes.clone()].concat(), other];
        for damaged in flipped.chain(cut).chain(grown) {
            fs::write(file, &damaged).unwrap();
            let (found, refused) = latest(&mut checkpoints);
            // White space after the JSON does not change a manifest.
            let same = found == Some(snapshot(20)) && damaged.trim_ascii_end() == bytes.trim_ascii_end();
            assert!(same || (found == Some(snapshot(10)) && refused == 1), "{file:?}: {damaged:?}");
            cases += 1;
        }
        fs::remove_file(file).unwrap();
        assert_eq!(latest(&mut checkpoints), (Some(snapshot(10)), 1));
        fs::create_dir(file).unwrap();
        assert_eq!(latest(&mut checkpoints), (Some(snapshot(10)), 1));
        fs::remove_dir(file).unwrap();
        fs::write(file, &bytes).unwrap();
        assert_eq!(latest(&mut checkpoints), (Some(snapshot(20)), 0));
        cases += 2;
    }
    assert!(cases >= 5000, "{cases}");
    println!("{cases} damaged checkpoints");
    fs::rename(whole, checkpoints.folder.join("step-00000021")).unwrap();
    assert_eq!(latest(&mut checkpoints), (Some(snapshot(10)), 1), "a folder under another step's name");
}

/// Some files are optional. If the manifest lists one and it is missing, the checkpoint is refused.
#[test]
fn optional_files_are_read_if_the_manifest_lists_them() {
    let (_folder, mut checkpoints) = checkpoints(2);
    let without = Snapshot { auxiliary: Vec::new(), lookahead: Vec::new(), ..snapshot(10) };
    checkpoints.save(&without, &run(1)).unwrap();
    assert_eq!(latest(&mut checkpoints), (Some(without.clone()), 0));
    for (step, name) in (20..).step_by(10).zip(OPTIONAL) {
        assert!(!checkpoints.folder.join("step-00000010").join(name).exists());
        checkpoints.save(&snapshot(step), &run(1)).unwrap();
        assert_eq!(latest(&mut checkpoints).0, Some(snapshot(step)));
        fs::remove_file(checkpoints.folder.join(format!("step-{step:08}")).join(name)).unwrap();
        assert_ne!(latest(&mut checkpoints).0, Some(snapshot(step)), "{name}");
    }
}

#[test]
fn another_format_is_reported_as_such() {
    let (_folder, mut checkpoints) = checkpoints(2);
    checkpoints.save(&snapshot(10), &run(1)).unwrap();
    let file = checkpoints.folder.join("step-00000010").join(MANIFEST);
    let text = fs::read_to_string(&file).unwrap().replace("\"schema\":3", "\"schema\":99");
    fs::write(&file, text).unwrap();
    let found = checkpoints.latest().unwrap();
    assert!(matches!(found.refused[0].error, CheckpointError::Format { found: 99, .. }), "{:?}", found.refused);
}
