//! The whole training loop on small images: which samples are trained, in which order and how often, with reproducible
//! results.

use std::sync::{Arc, Mutex};

use crate::common::{Halves, Loss, SAMPLES, config, little, policy, tiny};
use ast_core::burn::tensor::Device;
use ast_core::data::{Dataset, HostBatch, LoadError, Loader, Padding, Request};
use ast_core::model::Weights;
use ast_core::optim::Fall;
use ast_core::run::{Event, NotFinite, RunConfig, StepEvent, Summary, Switch};
use ast_core::select::{SampleId, Visit};
use ast_core::testing::DirectLoader;
use ast_core::train::{Callback, Resolved, SavedSoFar, Setup, TrainError, Trainer};

/// A loader that records every visit requested.
struct Recorder(DirectLoader, Arc<Mutex<Vec<Vec<Visit>>>>);

impl Loader for Recorder {
    fn dataset(&self) -> &Arc<dyn Dataset> {
        self.0.dataset()
    }
    fn request(&mut self, request: Request) {
        self.1.lock().unwrap().push(request.visits.clone());
        self.0.request(request);
    }
    fn receive(&mut self) -> Result<Option<HostBatch>, LoadError> {
        self.0.receive()
    }
}

struct Outcome {
    visits: Vec<Vec<Visit>>,
    events: Vec<Event>,
    result: Result<Summary, TrainError>,
}

impl Outcome {
    fn ids(&self) -> Vec<SampleId> {
        self.visits.iter().flatten().map(|visit| visit.id).collect()
    }
    fn summary(&self) -> &Summary {
        self.result.as_ref().expect("the run succeeds")
    }
}

fn run(config: &RunConfig, name: &str, lambda: Option<f64>, broken: Option<SampleId>) -> Outcome {
    let device = Device::flex().autodiff();
    let visits = Arc::new(Mutex::new(Vec::new()));
    let run = Resolved::of(config.clone(), policy(name, lambda, config), Box::new(Loss)).unwrap();
    let random = run.checked.random();
    let train = DirectLoader::new(Arc::new(Halves { samples: SAMPLES, broken }));
    let mut events: Vec<Event> = Vec::new();
    let mut trainer = Trainer::new(Setup {
        energy: Err("not counted".into()),
        run,
        train: Box::new(Recorder(train, visits.clone())),
        test: Box::new(DirectLoader::new(Arc::new(Halves { samples: 300, broken: None }))),
        model: little(Weights::new(random, &device)),
        device,
    })
    .unwrap();
    let result = trainer.run(&mut events).map(|summary| summary.expect("the run is not stopped"));
    let visits = std::mem::take(&mut *visits.lock().unwrap());
    Outcome { visits, events, result }
}

#[test]
fn ast_with_lambda_0_is_random_sample_for_sample() {
    let config = config(0.2, 5);
    let (random, ast) = (run(&config, "random", None, None), run(&config, "ast", Some(0.0), None));
    assert_eq!(ast.visits, random.visits);
    assert_eq!(ast.summary().accuracy, random.summary().accuracy);
    let selected = run(&config, "ast", Some(0.8), None);
    assert_ne!(selected.visits, random.visits);
}

#[test]
fn the_same_seed_gives_the_same_bits() {
    let mut config = config(0.2, 5);
    let outcome = |config: &RunConfig| {
        let run = run(config, "ast", None, None);
        (serde_json::to_string(&run.events).unwrap(), run.visits)
    };
    let first = outcome(&config);
    assert!(first == outcome(&config));
    config.train.seed += 1;
    assert!(first != outcome(&config));
}

/// Batches that are gathered on the device are those that the loader assembles.
#[test]
fn images_that_stay_on_the_device_change_no_bit() {
    let mut config = config(0.2, 5);
    let mut outcome = |hold| {
        config.device.hold_data = hold;
        run(&config, "ast", None, None)
    };
    let (host, device) = (outcome(Switch::Auto), outcome(Switch::On));
    assert!(!host.visits.is_empty() && device.visits.is_empty(), "the loader is asked for batches, or it is not");
    assert_eq!(serde_json::to_string(&host.events).unwrap(), serde_json::to_string(&device.events).unwrap());
}

/// Waiting for the device or not changes no result. Without it, a step has one phase and is as long.
#[test]
fn phases_that_are_not_timed_apart_are_booked_as_training() {
    let mut config = config(0.2, 5);
    let mut outcome = |times| {
        config.device.phase_times = times;
        run(&config, "ast", None, None)
    };
    let (auto, off) = (outcome(Switch::Auto), outcome(Switch::Off));
    assert_eq!(serde_json::to_string(&auto.events).unwrap(), serde_json::to_string(&off.events).unwrap());
    let (auto, off) = (&auto.summary().seconds, &off.summary().seconds);
    assert!(auto.phases_apart && auto.phases["score"] > 0.0, "{auto:?}");
    assert!(!off.phases_apart && off.phases["score"] == 0.0, "{off:?}");
    for seconds in [auto, off] {
        assert!((seconds.phases.values().sum::<f64>() - seconds.total).abs() < 1e-9 * seconds.total, "{seconds:?}");
    }
}

#[test]
fn every_policy_trains_its_target_in_full_batches() {
    for (name, target, share) in [("dense", 0.1, 1.0), ("random", 0.1, 0.1), ("ast", 0.1, 0.1), ("ast", 0.33, 0.33)] {
        let run = run(&config(target, 10), name, None, None);
        let samples = run.summary().samples;
        assert_eq!(samples.offered, 10 * SAMPLES as u64, "{name}");
        let activation = run.summary().activation;
        assert_eq!((activation.target, activation.kept), (target, name != "dense"), "{name}");
        let trained = run.ids().len();
        assert_eq!(samples.trained, trained as u64, "{name}: counted samples must equal loaded samples");
        let expected = share * 6400.0;
        assert!((trained as f64 - expected).abs() < 0.05 * expected, "{name}: {trained} of {expected}");
        let (last, full) = run.visits.split_last().unwrap();
        assert!(full.iter().all(|batch| batch.len() == 16) && last.len() <= 16, "{name}");
        assert_eq!(run.summary().steps as usize, run.visits.len(), "{name}");
        assert_eq!(run.summary().activation.realised, trained as f64 / 6400.0);
    }
}

#[test]
fn dense_offers_each_sample_once_an_epoch() {
    let ids = run(&config(1.0, 2), "dense", None, None).ids();
    for epoch in ids.chunks(SAMPLES) {
        let mut sorted = epoch.to_vec();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..SAMPLES as u32).collect::<Vec<_>>());
    }
    assert_ne!(ids[..SAMPLES], ids[SAMPLES..]);
}

#[test]
fn it_learns() {
    for name in ["random", "ast"] {
        let mut config = config(0.2, 5);
        config.train.lr = 0.003;
        let run = run(&config, name, None, None);
        let accuracy = run.summary().accuracy.last;
        assert!(accuracy > 95.0, "{name}: {accuracy}");
    }
}

#[test]
fn savings_are_what_was_counted() {
    let begin = std::time::Instant::now();
    let run = run(&config(0.1, 10), "random", None, None);
    let wall = begin.elapsed().as_secs_f64();
    let summary = run.summary();
    assert!((summary.savings.samples - 0.9).abs() < 1e-9);
    assert!((summary.savings.flops - 0.9).abs() < 1e-9);
    // 3x3 convolutions on 8x8, 8x8 and 4x4 positions, then 128-64-2. A step is 3 forward passes less the first layer's
    // input gradient.
    let macs = 27 * 8 * 64 + 72 * 16 * 64 + 144 * 32 * 16 + 128 * 64 + 64 * 2;
    let step = 2 * (3 * macs - 27 * 8 * 64);
    assert_eq!(summary.flops.total, summary.samples.trained * step);
    assert_eq!(summary.flops.eval, 300 * 2 * macs);
    assert_eq!(summary.joules.total, None);
    assert_eq!(summary.savings.joules, None);
    assert_eq!(summary.seconds.phases.len(), 7);
    // The wall-clock time includes building the network.
    assert!(summary.seconds.total <= wall && summary.seconds.total > 0.5 * wall, "{wall} {:?}", summary.seconds);
}

#[test]
fn a_nan_loss_stops_the_run_and_names_the_sample() {
    let run = run(&config(1.0, 1), "dense", None, Some(17));
    match run.result {
        Err(TrainError::NotFinite { step, what: NotFinite::Loss(sample, loss) }) => {
            assert!(step >= 1 && loss.is_nan());
            // In later steps the broken weights give other samples NaN losses too.
            assert_eq!(sample, 17);
        }
        other => panic!("{other:?}"),
    }
}

/// The learning rate is taken at the middle of a chunk, so that even a run of one batch learns something.
#[test]
fn no_step_has_a_learning_rate_of_zero() {
    let mut config = config(1.0, 1);
    for batch_size in [SAMPLES, 16] {
        config.train.batch_size = batch_size;
        let run = run(&config, "dense", None, None);
        let rates =
            run.events.iter().filter_map(|event| if let Event::Step(step) = event { Some(step.lr) } else { None });
        assert!(rates.into_iter().all(|lr| lr > 0.0));
    }
}

#[test]
fn a_run_too_short_for_selection_says_so() {
    let warned = |epochs| {
        let run = run(&config(0.1, epochs), "pool-top", None, None);
        run.events.iter().any(|event| matches!(event, Event::Warning { .. }))
    };
    assert!(warned(10));
    assert!(!warned(20));
}

#[test]
fn the_test_set_is_evaluated_when_due_and_once_at_the_end() {
    let mut config = config(0.2, 10);
    config.eval.every_epochs = 4;
    let run = run(&config, "random", None, None);
    let epochs: Vec<f64> = run
        .events
        .iter()
        .filter_map(|event| if let Event::Evaluated { epoch, .. } = event { Some(*epoch) } else { None })
        .collect();
    assert_eq!(epochs.len(), 3, "{epochs:?}");
    assert!(epochs[0] >= 4.0 && epochs[0] < 5.0 && epochs[1] >= 8.0 && epochs[1] < 9.0 && epochs[2] == 10.0);
}

/// Where an option does not fit the data, the run is refused before its first step, with the key.
#[test]
fn options_that_do_not_fit_the_data_are_refused_by_key() {
    let refused = |change: fn(&mut RunConfig)| {
        let mut config = config(0.2, 10);
        change(&mut config);
        let device = Device::flex().autodiff();
        let run = Resolved::of(config.clone(), policy("random", None, &config), Box::new(Loss)).unwrap();
        let model = little(Weights::new(run.checked.random(), &device));
        let data = || Box::new(DirectLoader::new(Arc::new(Halves { samples: SAMPLES, broken: None })));
        let energy = Err("not counted".into());
        let error = Trainer::new(Setup { energy, run, train: data(), test: data(), model, device }).err();
        error.map_or(String::new(), |error| error.to_string())
    };
    assert_eq!(refused(|_| {}), "");
    assert!(refused(|config| config.eval.tta = true).starts_with("`eval.tta`: "), "its mirror images change class");
    let message = refused(|config| (config.data.shift, config.data.padding) = (8, Padding::Reflect));
    assert!(message.starts_with("`data.shift`: ") && message.contains("8 x 8 pixels"), "{message}");
}

/// The options of a step act: each changes the run, the first step's loss and score stay plain, and the learning rates are
/// those of the schedule.
#[test]
fn options_of_a_step_act() {
    let plain = config(0.2, 6);
    let steps = |outcome: &Outcome| -> Vec<StepEvent> {
        let step = |event: &Event| if let Event::Step(step) = event { Some(*step) } else { None };
        outcome.events.iter().filter_map(step).collect()
    };
    let before = steps(&run(&plain, "random", None, None));
    let changed = |change: fn(&mut RunConfig)| {
        let mut config = plain.clone();
        change(&mut config);
        let after = steps(&run(&config, "random", None, None));
        assert_eq!(after[0].loss, before[0].loss, "the loss of a step is the plain one, from before the update");
        // The task is easy: some losses are zero in both runs.
        assert!(after.iter().zip(&before).any(|(after, before)| after.loss != before.loss), "the option acts");
        after
    };
    changed(|config| config.train.label_smoothing = 0.3);
    changed(|config| config.train.clip_norm = Some(1e-3));
    changed(|config| config.train.lookahead = true);
    changed(|config| config.optimizer.name = "sgd".into());
    let rates = changed(|config| {
        (config.train.schedule, config.train.warm_up, config.train.lr_end) = (Fall::Cosine, 0.0, 0.5);
    });
    let peak = plain.train.lr;
    assert!(rates.windows(2).all(|pair| pair[0].lr > pair[1].lr), "without warm-up the rate only falls");
    assert!(rates[0].lr > 0.95 * peak && (0.5..0.55).contains(&(rates.last().unwrap().lr / peak)));
}

/// What is told of scoring adds up to all samples that were scored, and of the one pass of `static-el2n` to all there are.
#[test]
fn scoring_passes_are_told_as_they_go_on() {
    let told_of = |name: &str| {
        let config = config(0.25, 8);
        let mut trainer = tiny(&config, name, Halves { samples: SAMPLES, broken: None }, Box::new(Loss));
        let told: Arc<Mutex<Vec<u64>>> = Arc::default();
        let heard = told.clone();
        trainer.on_scoring(Box::new(move |samples| heard.lock().unwrap().push(samples)));
        trainer.run(&mut Vec::<Event>::new()).unwrap();
        let told = told.lock().unwrap().clone();
        // A number that does not grow begins anew after a step.
        let ends = told.iter().zip(told.iter().skip(1).chain([&0])).filter(|(now, next)| next <= now);
        (ends.map(|(now, _)| *now).collect::<Vec<_>>(), *trainer.counts())
    };
    let (passes, _) = told_of("static-el2n");
    assert_eq!(passes, [SAMPLES as u64]);
    let (passes, counts) = told_of("selective-backprop");
    assert!(passes.len() > 1, "{passes:?}");
    assert_eq!(passes.iter().sum::<u64>(), counts.scored);
    assert!(told_of("random").0.is_empty());
}

/// What is told of savings at a step is what that step's event says was trained of what was offered.
#[test]
fn savings_so_far_are_those_of_the_step() {
    #[derive(Default)]
    struct Told(f64, usize);
    impl Callback for Told {
        fn event(&mut self, event: &Event) -> std::io::Result<()> {
            if let Event::Step(step) = event {
                assert!((1.0 - self.0 - step.activation).abs() < 1e-12, "{} at {step:?}", self.0);
                self.1 += 1;
            }
            Ok(())
        }
        fn saved(&mut self, saved: &dyn Fn() -> SavedSoFar) {
            self.0 = saved().samples;
        }
    }
    let mut told = Told::default();
    let config = config(0.25, 8);
    tiny(&config, "random", Halves { samples: SAMPLES, broken: None }, Box::new(Loss)).run(&mut told).unwrap();
    assert!(told.1 > 10);
}
