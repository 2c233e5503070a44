//! Runs whose image size grows: costs, resuming, and evaluation at full size.

use std::sync::Arc;

use crate::common::normalised::Normalised;
use crate::common::{Halves, Loss, Recorder, SIDE, config, parameters, policy, policy_with};
use ast_core::burn::module::Module;
use ast_core::burn::tensor::{Device, Tensor, TensorData};
use ast_core::data::{Dataset, Resize, Shape};
use ast_core::model::zoo::SimpleCnn;
use ast_core::model::{Input, Mode, Model, Network, Weights};
use ast_core::plugin::{ParamValue, Params};
use ast_core::run::{Event, RunConfig, StepEvent, Summary};
use ast_core::select::{BoxedPolicy, Offer, Policy, PolicyError, RunLength, SampleId, ScoredBy, SelectionContext};
use ast_core::testing::DirectLoader;
use ast_core::train::{Callback, Resolved, Setup, Trainer, Training, safetensors};

/// Two batches of 250 and 150 for running statistics.
const SAMPLES: usize = 400;

fn grows(target: f64, epochs: u32) -> RunConfig {
    let mut config = config(target, epochs);
    (config.train.sizes, config.train.size_shares) = (Some(vec![4, 6, 8]), Some(vec![0.3, 0.3, 0.4]));
    config
}

fn trainer(config: &RunConfig, policy: impl Into<BoxedPolicy>) -> Trainer<Normalised> {
    let device = Device::flex().autodiff();
    let run = Resolved::of(config.clone(), policy, Box::new(Loss)).unwrap();
    let data = || Box::new(DirectLoader::new(Arc::new(Halves { samples: SAMPLES, broken: None })));
    let weights = Weights::new(run.checked.random(), &device);
    let model = Normalised::build(&Params::default(), Shape::Image([3, SIDE, SIDE]), 2, weights).unwrap();
    let energy = Err("not counted".into());
    Trainer::new(Setup { run, train: data(), test: data(), model, device, energy }).unwrap()
}

/// FLOPs of a forward pass and of a step on an image of this side.
fn flops(side: usize) -> [u64; 2] {
    let places = ((side - 2) * (side - 2)) as u64;
    let (conv, linear) = (2 * 27 * 4 * places, 2 * 4 * 2);
    // The first layer has no input gradient.
    [conv + linear, 2 * conv + 3 * linear]
}

fn steps(events: &[Event]) -> Vec<StepEvent> {
    events.iter().filter_map(|event| if let Event::Step(step) = event { Some(*step) } else { None }).collect()
}

/// Every step is charged at its size, the dense run at the full one; a budget in FLOPs is spent exactly.
#[test]
fn a_step_costs_what_its_size_costs() {
    for resize in [Resize::Scale, Resize::Crop] {
        for name in ["random", "dense", "ast"] {
            let mut config = grows(0.5, 6);
            config.train.resize = resize;
            if name != "dense" {
                (config.control.target, config.budget.fraction) = (None, Some(0.5));
            }
            let mut trainer = trainer(&config, policy(name, None, &config));
            let is_whole = trainer.selector().policy().kind.run_length == RunLength::Whole;
            let mut events = Vec::new();
            let summary = trainer.run(&mut events).unwrap().unwrap();
            let (steps, mut cost, mut before) = (steps(&events), 0, 0);
            for step in &steps {
                let [height, width] = step.size.unwrap();
                assert_eq!(height, width);
                cost += (step.trained - before) * flops(height)[1];
                before = step.trained;
            }
            assert_eq!(summary.flops.total - summary.flops.scoring, cost, "{name}");
            let dense = SAMPLES as u64 * 6 * flops(SIDE)[1];
            assert_eq!(summary.flops.dense_run, dense, "the dense run is of full size");
            let sides: Vec<usize> = steps.iter().map(|step| step.size.unwrap()[0]).collect();
            assert!(sides.is_sorted() && [4, 6, 8].iter().all(|side| sides.contains(side)), "{name}: {sides:?}");
            let spent = summary.flops.total as f64 / dense as f64;
            match is_whole {
                true => assert!(spent < 0.75, "{spent}"),
                false => assert!((spent - 0.5).abs() < 0.02, "{name}: {spent}"),
            }
            let Event::Started { planned_steps, .. } = events[0] else { panic!("{:?}", events[0]) };
            let (planned, made) = (planned_steps.unwrap() as f64, steps.len() as f64);
            assert!(name == "ast" || (planned - made).abs() <= 3.0, "{name}: planned {planned}, made {made}");
        }
    }
}

/// Probes every candidate and takes them all.
struct ProbesAll;

impl Policy for ProbesAll {
    fn begin(&mut self, _: f64) -> f64 {
        0.0
    }
    fn select(
        &mut self,
        offer: Offer<'_>,
        context: &mut SelectionContext<'_>,
        accepted: &mut Vec<SampleId>,
    ) -> Result<(), PolicyError> {
        context.probe.score(&offer.visits(), ScoredBy::Network)?;
        accepted.extend_from_slice(offer.candidates);
        Ok(())
    }
    fn probes(&self) -> bool {
        true
    }
}

/// Each sample is scored once, at the size at which it is trained.
#[test]
fn scoring_passes_cost_what_their_size_costs() {
    let config = grows(1.0, 3);
    let mut events = Vec::new();
    let summary = trainer(&config, ProbesAll).run(&mut events).unwrap().unwrap();
    let expected: u64 = steps(&events).iter().map(|step| 16 * flops(step.size.unwrap()[0])[0]).sum();
    assert_eq!(summary.flops.scoring, expected);
}

/// From every step, changes of size included. Also with passes over candidates.
#[test]
fn a_run_resumes_with_the_same_bits_across_sizes() {
    let finish = |trainer: &mut Trainer<Normalised>, callback: &mut Recorder| {
        let mut summary: Summary = trainer.run(callback).unwrap().unwrap();
        (summary.seconds.total, summary.seconds.dense_equivalent, summary.savings.seconds) = (0.0, None, None);
        summary.seconds.phases.clear();
        (safetensors(trainer.model()).unwrap(), serde_json::to_string(&summary).unwrap())
    };
    let fresh = [("source", ParamValue::Word("fresh".into()))];
    for (name, params) in [("random", &[][..]), ("ast", &[]), ("ast", &fresh), ("dense", &[])] {
        let mut config = grows(0.3, 5);
        (config.train.batch_size, config.eval.every_epochs) = (32, 1);
        (config.train.resize, config.data.flip) = (Resize::Crop, ast_core::data::Flip::Alternate);
        let trainer = || trainer(&config, policy_with(name, params, &config));
        let mut whole = Recorder { every: 3, ..Recorder::default() };
        let expected = finish(&mut trainer(), &mut whole);
        assert!(whole.snapshots.len() >= 5, "{name}: {}", whole.snapshots.len());
        for (events, snapshot) in &whole.snapshots {
            let mut again = trainer();
            again.restore(snapshot).unwrap();
            let mut rest = Recorder::default();
            assert!(finish(&mut again, &mut rest) == expected, "{name} from step {}", snapshot.step);
            assert_eq!(rest.events, whole.events[*events..], "{name} from step {}", snapshot.step);
        }
    }
}

#[test]
fn a_snapshot_of_other_sizes_is_refused() {
    let config = grows(0.3, 5);
    let mut first = trainer(&config, policy("random", None, &config));
    (0..3).for_each(|_| drop(first.advance().unwrap()));
    let mut other = config.clone();
    other.train.sizes = Some(vec![4, 8, 8]);
    let error = trainer(&other, policy("random", None, &other)).restore(&first.snapshot().unwrap()).unwrap_err();
    assert!(error.to_string().contains("level 2 for 0.3 of the budget"), "{error}");
}

/// All images at full size, without augmentation, and their classes.
fn images(device: &Device) -> (Tensor<4>, Vec<usize>) {
    let data = Halves { samples: SAMPLES, broken: None };
    let mut pixels = vec![0.0; SAMPLES * 3 * SIDE * SIDE];
    let each = pixels.chunks_exact_mut(3 * SIDE * SIDE).enumerate();
    each.for_each(|(id, out)| data.write(id as SampleId, out));
    let images = Tensor::from_data(TensorData::new(pixels, [SAMPLES, 3, SIDE, SIDE]), device);
    (images, (0..SAMPLES as SampleId).map(|id| data.label(id)).collect())
}

/// Mean cross-entropy on the test set, in f64.
fn loss(model: &Normalised, device: &Device) -> f64 {
    let (images, labels) = images(device);
    let logits: Vec<f32> =
        model.forward(Input::Image(images), &mut Mode::Eval).logits.into_data().try_into_vec().unwrap();
    let of = |(row, label): (&[f32], usize)| {
        let sum: f64 = row.iter().map(|x| f64::from(*x).exp()).sum();
        sum.ln() - f64::from(row[label])
    };
    logits.chunks_exact(2).zip(labels).map(of).sum::<f64>() / SAMPLES as f64
}

/// The network with running statistics by hand: for each batch of 250 the mean and the unbiased variance of every channel in
/// f64, then their means over the batches.
fn by_hand(model: Normalised, device: &Device) -> Normalised {
    let (images, _) = images(device);
    let [mut mean, mut variance] = [[0.0; 4]; 2];
    for (from, samples) in [(0, 250), (250, 150)] {
        let x = model.before_norm(images.clone().narrow(0, from, samples));
        let x: Vec<f32> = x.into_data().try_into_vec().unwrap();
        let places = (SIDE - 2) * (SIDE - 2);
        for channel in 0..4 {
            let values =
                || (0..samples).flat_map(|i| &x[(4 * i + channel) * places..][..places]).map(|x| f64::from(*x));
            let n = (samples * places) as f64;
            let batch_mean = values().sum::<f64>() / n;
            mean[channel] += batch_mean / 2.0;
            variance[channel] += values().map(|x| (x - batch_mean).powi(2)).sum::<f64>() / (n - 1.0) / 2.0;
        }
    }
    let tensor = |values: [f64; 4]| Tensor::from_data(values.map(|x| x as f32), device);
    model.with_statistics(tensor(mean), tensor(variance))
}

/// Evaluations during and soon after steps on smaller images use running statistics of full-size images. The network of the
/// run keeps its own.
#[test]
fn an_evaluation_is_at_full_size_with_statistics_of_full_size() {
    struct Evaluated(Vec<(u64, f64)>);
    impl Callback for Evaluated {
        fn event(&mut self, event: &Event) -> std::io::Result<()> {
            if let Event::Evaluated { step, loss, .. } = event {
                self.0.push((*step, *loss));
            }
            Ok(())
        }
    }
    let device = Device::flex();
    let mut config = grows(1.0, 10);
    config.eval.every_epochs = 1;
    let mut evaluated = Evaluated(Vec::new());
    let mut whole = trainer(&config, policy("dense", None, &config));
    whole.run(&mut evaluated).unwrap().unwrap();
    // The same run without evaluations, step by step.
    config.eval.every_epochs = 0;
    let mut quiet = trainer(&config, policy("dense", None, &config));
    let (mut small, mut checked, mut last) = (0, [0, 0], 0);
    while let Some(events) = quiet.advance().unwrap() {
        let step = steps(&events)[0];
        if step.size != Some([SIDE, SIDE]) {
            last = step.step;
        }
        let Some((_, found)) = evaluated.0.iter().find(|(at, _)| *at == step.step) else { continue };
        let model = quiet.model().valid();
        let naive = loss(&model, &device);
        let remeasured = loss(&by_hand(model, &device), &device);
        let expected = if step.step - last < 44 { remeasured } else { naive };
        assert!((found - expected).abs() < 1e-4, "step {}: {found} {expected}", step.step);
        checked[usize::from(step.step - last < 44)] += 1;
        small += u32::from(last == step.step && (naive - remeasured).abs() > 1e-3);
    }
    assert!(checked[0] >= 2 && checked[1] >= 5, "{checked:?}");
    assert!(small >= 4, "the statistics of smaller images do not fit: {small}");
    assert!(safetensors(quiet.model()).unwrap() == safetensors(whole.model()).unwrap(), "evaluating changes nothing");
}

/// The exported weights of a run that ends on smaller images have the running statistics with which it was evaluated.
#[test]
fn exported_weights_are_those_that_were_evaluated() {
    for (sizes, remeasured) in [([8, 4], true), ([8, 8], false)] {
        let mut config = config(1.0, 2);
        config.train.sizes = Some(sizes.to_vec());
        let mut trainer = trainer(&config, policy("dense", None, &config));
        trainer.run(&mut Vec::new()).unwrap().unwrap();
        let own = parameters(safetensors(trainer.model()).unwrap());
        assert_eq!(parameters(Training::weights(&trainer).unwrap()) != own, remeasured, "{sizes:?}");
    }
}

/// A network that takes one size only is refused before the run, with its own message.
#[test]
fn a_network_for_one_size_is_refused() {
    let mut config = grows(0.3, 5);
    let refused = |config: &RunConfig| {
        let device = Device::flex().autodiff();
        let run = Resolved::of(config.clone(), policy("random", None, config), Box::new(Loss)).unwrap();
        let model = SimpleCnn::new([3, SIDE, SIDE], 2, Weights::new(run.checked.random(), &device));
        let data = || Box::new(DirectLoader::new(Arc::new(Halves { samples: SAMPLES, broken: None })));
        let energy = Err("not counted".into());
        let error = Trainer::new(Setup { run, train: data(), test: data(), model, device, energy }).err();
        error.map_or(String::new(), |error| error.to_string())
    };
    let message = refused(&config);
    assert!(
        message.starts_with("`train.sizes`: ")
            && message.contains("4 x 4 pixels")
            && message.contains("only images of the size it was built for"),
        "{message}"
    );
    (config.train.sizes, config.train.size_shares) = (Some(vec![8]), None);
    assert_eq!(refused(&config), "", "its own size it takes");
    config.train.sizes = Some(vec![4, 9]);
    assert!(refused(&config).starts_with("`train.sizes`: 9 is larger"), "{}", refused(&config));
}
