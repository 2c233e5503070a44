//! A run that is resumed from a snapshot ends with the same bits as one that was not interrupted, for every policy,
//! from every step.

use crate::common::{Excess, Halves, Loss, Recorder, Tiny, config, policy_with, tiny, tiny_with};
use ast_core::optim::Fall;
use ast_core::plugin::{ParamValue, Registry};
use ast_core::run::{Checkpoints, Event, RunConfig, RunIdentity, Snapshot};
use ast_core::score::Scorer;
use ast_core::select::PolicyEntry;
use ast_core::train::{Callback, Flow, Trainer};

const SAMPLES: usize = 320;

fn policies() -> Vec<&'static str> {
    Registry::<ast_core::select::BuildPolicy>::linked().unwrap().iter().map(|entry: &PolicyEntry| entry.name).collect()
}

fn trainer(config: &RunConfig, policy: &str) -> Trainer<Tiny> {
    tiny(config, policy, Halves { samples: SAMPLES, broken: None }, Box::new(Loss))
}

/// The weights at the end of a run, and its summary without the clock's numbers.
fn finish(trainer: &mut Trainer<Tiny>, callback: &mut dyn Callback) -> (Vec<u32>, String) {
    let mut summary = trainer.run(callback).unwrap().unwrap();
    summary.seconds.total = 0.0;
    summary.seconds.dense_equivalent = None;
    summary.seconds.phases.clear();
    summary.savings.seconds = None;
    (trainer.model().values(), serde_json::to_string(&summary).unwrap())
}

#[test]
fn every_policy_resumes_with_the_same_bits_from_every_step() {
    let mut cases = 0;
    for policy in policies() {
        let mut config = config(0.2, 6);
        (config.eval.every_epochs, config.train.batch_size) = (2, 32);
        let mut whole = Recorder { every: 1, ..Recorder::default() };
        let expected = finish(&mut trainer(&config, policy), &mut whole);
        assert!(whole.snapshots.len() >= 5, "{policy}: {}", whole.snapshots.len());
        for (events, snapshot) in &whole.snapshots {
            let mut again = trainer(&config, policy);
            again.restore(snapshot).unwrap();
            let mut rest = Recorder::default();
            assert_eq!(finish(&mut again, &mut rest), expected, "{policy} from step {}", snapshot.step);
            assert_eq!(rest.events, whole.events[*events..], "{policy} from step {}", snapshot.step);
            cases += 1;
        }
    }
    assert!(cases >= 60, "{cases}");
    println!("resumed from {cases} steps");
}

/// Averages of weights, clipping, label smoothing, another schedule and other optimizers.
#[test]
fn every_option_of_a_step_resumes_with_the_same_bits() {
    for optimizer in ["sgd", "adamw"] {
        let mut config = config(0.2, 6);
        (config.eval.every_epochs, config.train.batch_size) = (2, 32);
        (config.train.lookahead, config.train.label_smoothing, config.train.clip_norm) = (true, 0.2, Some(0.5));
        (config.train.schedule, config.train.lr_end) = (Fall::Cosine, 0.1);
        config.optimizer.name = optimizer.into();
        let mut whole = Recorder { every: 1, ..Recorder::default() };
        let expected = finish(&mut trainer(&config, "ast"), &mut whole);
        let averaged = whole.snapshots.iter().filter(|(_, snapshot)| !snapshot.lookahead.is_empty()).count();
        assert_eq!(averaged, whole.snapshots.len() - 4, "from the fifth step on");
        for (events, snapshot) in &whole.snapshots {
            let mut again = trainer(&config, "ast");
            again.restore(snapshot).unwrap();
            let mut rest = Recorder::default();
            assert_eq!(finish(&mut again, &mut rest), expected, "{optimizer} from step {}", snapshot.step);
            assert_eq!(rest.events, whole.events[*events..], "{optimizer} from step {}", snapshot.step);
        }
    }
}

/// Includes the state of the score source, of its auxiliary network and of the scorer's reference losses.
#[test]
fn every_score_source_and_the_reference_resume_with_the_same_bits() {
    let word = |key, word: &str| (key, ParamValue::Word(word.into()));
    let number = |key, number| (key, ParamValue::Number(number));
    let variants = [
        ("pool-top", vec![word("source", "fresh"), word("resolution", "half")], false),
        ("pool-top", vec![word("source", "proxy"), number("every", 3.0)], false),
        ("curriculum", vec![word("source", "proxy")], false),
        ("ast", vec![word("source", "fresh"), number("every", 2.0)], false),
        ("ast", vec![word("source", "proxy")], true),
        ("selective-backprop", vec![number("stale", 2.0)], false),
        ("reducible", vec![], true),
    ];
    for (policy, given, reference) in variants {
        let mut config = config(0.2, 8);
        config.train.batch_size = 32;
        let trainer = || {
            let scorer: Box<dyn Scorer> = if reference { Box::new(Excess) } else { Box::new(Loss) };
            let policy = policy_with(policy, &given, &config);
            tiny_with(&config, policy, Halves { samples: SAMPLES, broken: None }, scorer)
        };
        let mut whole = Recorder { every: 1, ..Recorder::default() };
        let expected = finish(&mut trainer(), &mut whole);
        assert!(whole.snapshots.len() >= 8, "{policy}: {}", whole.snapshots.len());
        for (events, snapshot) in &whole.snapshots {
            let mut again = trainer();
            again.restore(snapshot).unwrap();
            let mut rest = Recorder::default();
            assert_eq!(finish(&mut again, &mut rest), expected, "{policy} {given:?} from step {}", snapshot.step);
            assert_eq!(rest.events, whole.events[*events..], "{policy} {given:?} from step {}", snapshot.step);
        }
    }
}

/// Saving after a restore gives the same bytes. State that a policy forgets to save shows here or above.
#[test]
fn saving_after_a_restore_gives_the_same_snapshot() {
    for policy in policies() {
        let config = config(0.2, 6);
        let mut first = trainer(&config, policy);
        for _ in 0..7 {
            first.advance().unwrap();
        }
        let snapshot = first.snapshot().unwrap();
        let mut second = trainer(&config, policy);
        second.restore(&snapshot).unwrap();
        let again = second.snapshot().unwrap();
        assert_eq!((snapshot.step, &snapshot.weights), (again.step, &again.weights));
        assert!(snapshot.selector == again.selector, "{policy}");
        assert_eq!(snapshot.state, again.state, "{policy}");
        assert_eq!(
            snapshot.auxiliary.is_empty(),
            policy != "proxy",
            "{policy}: auxiliary networks only where they are needed"
        );
        assert_eq!(again.auxiliary.is_empty(), policy != "proxy");
    }
}

/// The run of the golden checkpoints.
fn golden() -> RunIdentity {
    RunIdentity {
        data: "fingerprint".into(),
        evaluation: "another".into(),
        config: [("train.lr".to_string(), "0.001".to_string())].into(),
        metrics: 1234,
        metrics_sha256: "that of the log".into(),
    }
}

/// Checkpoints of earlier versions can still be resumed. AST_TEST_WRITE_GOLDEN=1 writes one in the current format; this
/// is done once per format.
#[test]
fn checkpoints_of_every_format_are_read() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/checkpoints");
    let config = config(0.2, 6);
    if std::env::var_os("AST_TEST_WRITE_GOLDEN").is_some() {
        let mut first = trainer(&config, "ast");
        (0..12).for_each(|_| drop(first.advance().unwrap()));
        let mut checkpoints = Checkpoints::new(folder.join("format-3"), 1);
        checkpoints.save(&first.snapshot().unwrap(), &golden()).unwrap();
    }
    let mut formats = 0;
    for format in std::fs::read_dir(folder).unwrap() {
        let format = format.unwrap().path();
        let found = Checkpoints::new(format.clone(), 1).latest().unwrap();
        assert!(found.refused.is_empty(), "{:?}", found.refused);
        let (manifest, snapshot) = found.latest.unwrap();
        assert_eq!((manifest.step, manifest.run), (12, golden()));
        let mut again = trainer(&config, "ast");
        again.restore(&snapshot).unwrap();
        // The bits may differ, because processors differ in rounding.
        let summary = again.run(&mut Recorder::default()).unwrap().unwrap();
        assert_eq!((summary.samples.offered, summary.steps), (6 * SAMPLES as u64, 23));
        assert!(summary.accuracy.last > 80.0, "{:?}", summary.accuracy);
        formats += 1;
    }
    assert_eq!(formats, 1, "one checkpoint per format");
}

#[test]
fn saving_does_not_change_a_run() {
    let config = config(0.2, 6);
    let quiet = finish(&mut trainer(&config, "ast"), &mut Recorder::default());
    assert_eq!(finish(&mut trainer(&config, "ast"), &mut Recorder { every: 3, ..Recorder::default() }), quiet);
}

#[test]
fn a_callback_that_stops_the_run_gets_a_snapshot_and_no_summary() {
    struct Third(Option<u64>);
    impl Callback for Third {
        fn event(&mut self, _: &Event) -> std::io::Result<()> {
            Ok(())
        }
        fn flow(&mut self, step: u64) -> Flow {
            if step == 3 { Flow::Stop } else { Flow::Continue }
        }
        fn save(&mut self, snapshot: &Snapshot) -> std::io::Result<()> {
            self.0 = Some(snapshot.step);
            Ok(())
        }
    }
    let mut callback = Third(None);
    assert_eq!(trainer(&config(0.2, 6), "ast").run(&mut callback).unwrap(), None);
    assert_eq!(callback.0, Some(3));
}

#[test]
fn a_snapshot_of_another_run_is_refused() {
    let config = config(0.2, 6);
    let mut first = trainer(&config, "proxy");
    (0..3).for_each(|_| drop(first.advance().unwrap()));
    let snapshot = first.snapshot().unwrap();
    let mut larger = tiny(&config, "proxy", Halves { samples: SAMPLES + 1, broken: None }, Box::new(Loss));
    assert!(larger.restore(&snapshot).unwrap_err().to_string().contains("of 320 samples"));
    for part in 0..5 {
        let mut broken = snapshot.clone();
        let Snapshot { weights, optimizer, selector, state, auxiliary, .. } = &mut broken;
        let bytes = [weights, optimizer, selector, state, auxiliary].into_iter().nth(part).unwrap();
        bytes.truncate(bytes.len() / 2);
        assert!(trainer(&config, "proxy").restore(&broken).is_err(), "part {part}");
    }
}

/// A run spends its budget in FLOPs, scoring included, to within a batch.
#[test]
fn a_budget_is_spent_exactly() {
    for (policy, fraction) in [("random", 0.2), ("ast", 0.2), ("ast", 0.5), ("original", 0.5), ("fixed-threshold", 0.6)]
    {
        let mut config = config(0.2, 10);
        (config.control.target, config.budget.fraction) = (None, Some(fraction));
        let mut trainer = trainer(&config, policy);
        let summary = trainer.run(&mut Recorder::default()).unwrap().unwrap();
        let dense = (SAMPLES as u64 * 10) as f64;
        let spent = summary.flops.total as f64 / summary.flops.dense_run as f64;
        let batch = 2.0 * 16.0 / dense;
        assert!((spent - fraction).abs() < batch, "{policy} {fraction}: {spent}");
        assert!(
            (summary.savings.flops - (1.0 - spent)).abs() < 1e-12,
            "{policy} {fraction}: savings against the dense run"
        );
        if policy == "random" {
            assert_eq!(summary.samples.trained as f64 / dense, spent, "only training may cost anything");
        }
    }
    let mut config = config(0.2, 2);
    (config.control.target, config.budget.fraction) = (None, Some(0.2));
    let setup = || tiny(&config, "dense", Halves { samples: SAMPLES, broken: None }, Box::new(Loss));
    assert!(std::panic::catch_unwind(setup).is_err(), "dense ignores budgets, so a budget must be refused");
}
