//! Selection in your own Burn loop: your network, your optimizer, your loop, without our trainer.
//!
//! A small network learns to classify two spirals. It trains on a quarter of the points, chosen by the policy `ast` or
//! at random.
//!
//! ```sh
//! cargo run --release -p ast-core --features flex --example own_burn_loop
//! ```
#![forbid(unsafe_code)]

use std::error::Error;

use ast_core::burn;
use ast_core::optim::learning_rate;
use ast_core::random::{Purpose, Random};
use ast_core::select::{Goal, Groups, NoProbe, Outcome, SampleId, Selector, policy};
use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::activation::{log_softmax, relu};
use burn::tensor::{Device, Int, Tensor, TensorData};

const SAMPLES: usize = 4000;
const EPOCHS: u32 = 60;

#[derive(Module, Debug)]
struct Net {
    first: Linear,
    second: Linear,
    last: Linear,
}

impl Net {
    fn new(device: &Device) -> Self {
        Self {
            first: LinearConfig::new(2, 64).init(device),
            second: LinearConfig::new(64, 64).init(device),
            last: LinearConfig::new(64, 2).init(device),
        }
    }

    /// `[batch, 2]` points to `[batch, 2]` logits.
    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        self.last.forward(relu(self.second.forward(relu(self.first.forward(x)))))
    }
}

/// A point on one of two spirals, and the index of the spiral.
fn spiral(split: u64, id: SampleId) -> ([f32; 2], usize) {
    let mut draw = Random::new(3).stream(Purpose::Data, split, u64::from(id));
    let (class, t) = (id as usize % 2, 3.0 * draw.uniform());
    let angle = t * 2.5 + std::f64::consts::PI * class as f64;
    let point = [angle.cos(), angle.sin()].map(|x| (t * x + 0.1 * draw.normal()) as f32);
    (point, class)
}

/// Points `[batch, 2]` and classes `[batch]` on a device.
fn batch_of(split: u64, ids: &[SampleId], device: &Device) -> (Tensor<2>, Tensor<1, Int>) {
    let (points, classes): (Vec<[f32; 2]>, Vec<usize>) = ids.iter().map(|id| spiral(split, *id)).unzip();
    let classes: Vec<i32> = classes.into_iter().map(|class| class as i32).collect();
    let points = TensorData::new(points.concat(), [ids.len(), 2]);
    (Tensor::from_data(points, device), Tensor::from_data(TensorData::new(classes, [ids.len()]), device))
}

/// `-log softmax(logits)[target]` of each sample, `[batch]`. A selector needs the loss of each sample, not the mean.
fn cross_entropy(logits: Tensor<2>, targets: Tensor<1, Int>) -> Tensor<1> {
    log_softmax(logits, 1).gather(1, targets.unsqueeze_dim::<2>(1)).neg().squeeze_dim(1)
}

/// 1 if the target has the larger logit, else 0, `[batch]`.
fn correct(logits: Tensor<2>, targets: Tensor<1, Int>) -> Tensor<1> {
    logits.argmax(1).squeeze_dim::<1>(1).equal(targets).float()
}

/// Trains under a policy. Returns the final accuracy in percent and the share of the offered samples that was trained
/// on.
fn train(name: &str, device: &Device) -> Result<(f64, f64), Box<dyn Error>> {
    device.seed(1);
    let mut model = Net::new(device);
    let mut optimizer = AdamConfig::new().init();
    let groups = Groups::of((0..SAMPLES as SampleId).map(|id| spiral(0, id).1))?;
    let mut selector = Selector::new(groups, policy(name, &[])?, Goal::activation(0.25, EPOCHS), 64, 1)?;

    while let Some(batch) = selector.next_batch(&mut NoProbe)? {
        let (points, targets) = batch_of(0, &batch.ids(), device);
        let logits = model.forward(points);
        let losses = cross_entropy(logits.clone(), targets.clone());
        let weights = Tensor::from_data(TensorData::new(batch.loss_weights(), [batch.len()]), device);
        let gradients = (losses.clone() * weights).mean().backward();
        let gradients = GradientsParams::from_grads(gradients, &model);
        model = optimizer.step(learning_rate(1e-2, batch.spent()), model, gradients);

        // One read-back for both columns.
        let seen = Tensor::cat(vec![losses.inner(), correct(logits, targets).inner()], 0);
        let seen: Vec<f32> = seen.into_data().try_into_vec()?;
        let (loss, correct) = seen.split_at(batch.len());
        let correct: Vec<bool> = correct.iter().map(|x| *x > 0.5).collect();
        selector.record(batch, &Outcome { score: loss, loss, correct: Some(&correct), ..Outcome::default() })?;
    }

    let ids: Vec<SampleId> = (0..2000).collect();
    let (points, targets) = batch_of(1, &ids, device);
    let right = correct(model.forward(points), targets).mean().into_scalar::<f32>();
    let counts = selector.counts();
    Ok((100.0 * f64::from(right), 100.0 * counts.trained as f64 / counts.offered as f64))
}

fn main() -> Result<(), Box<dyn Error>> {
    let device = Device::flex().autodiff();
    for name in ["random", "ast"] {
        let (accuracy, activation) = train(name, &device)?;
        println!("{name:<7} trained on {activation:.1} % of what was offered, accuracy {accuracy:.1} %");
    }
    Ok(())
}
