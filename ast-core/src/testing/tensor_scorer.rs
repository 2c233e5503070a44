use burn::tensor::{Device, Int, Tensor, TensorData};

use super::scorer::{close, context};
use crate::random::{Purpose, Random};
use crate::score::{TensorScorer, Tensors};

/// Width of the features.
const WIDTH: usize = 16;

/// A batch's logits, features and targets on the host.
#[derive(Clone)]
struct Rows {
    logits: Vec<f32>,
    features: Vec<f32>,
    targets: Vec<i32>,
    classes: usize,
}

impl Rows {
    fn random(batch: usize, classes: usize, seed: u64) -> Self {
        let mut stream = Random::new(seed).stream(Purpose::Data, 0, 0);
        let mut normal = |n: usize| -> Vec<f32> { (0..n).map(|_| stream.normal() as f32).collect() };
        let logits = normal(batch * classes).into_iter().map(|x| 3.0 * x).collect();
        let features = normal(batch * WIDTH);
        Self { logits, features, targets: (0..batch).map(|i| (i * 7 % classes) as i32).collect(), classes }
    }

    fn on(self, device: &Device) -> Tensors {
        let batch = self.targets.len();
        Tensors {
            logits: Tensor::from_data(TensorData::new(self.logits, [batch, self.classes]), device),
            targets: Tensor::<1, Int>::from_data(TensorData::new(self.targets, [batch]), device),
            features: Tensor::from_data(TensorData::new(self.features, [batch, WIDTH]), device),
        }
    }

    fn reorder(&self, order: &[usize]) -> Self {
        let rows = |values: &[f32], width: usize| -> Vec<f32> {
            order.iter().flat_map(|i| &values[i * width..(i + 1) * width]).copied().collect()
        };
        Self {
            logits: rows(&self.logits, self.classes),
            features: rows(&self.features, WIDTH),
            targets: order.iter().map(|i| self.targets[*i]).collect(),
            classes: self.classes,
        }
    }
}

/// A random forward pass of `batch` samples on `device`.
#[must_use]
pub fn tensors(batch: usize, classes: usize, seed: u64, device: &Device) -> Tensors {
    Rows::random(batch, classes, seed).on(device)
}

fn scores(scorer: &dyn TensorScorer, tensors: &Tensors) -> Vec<f32> {
    let scores = scorer.score(tensors, &context()).expect("the scorer scores");
    assert_eq!(scores.dims()[0], tensors.targets.dims()[0], "shape must be [batch]");
    assert!(!scores.is_tracked(), "scores must not be attached to a gradient");
    scores.into_data().try_into_vec().expect("scores must be f32")
}

/// Checks the contract of [`check_scorer`](super::check_scorer) for a scorer on tensors, and that its scores are
/// detached from the graph.
///
/// # Panics
/// If the scorer breaks the contract; the message says how.
pub fn check_tensor_scorer(scorer: &dyn TensorScorer, device: &Device) {
    for classes in [2, 10] {
        let rows = Rows::random(7, classes, 11);
        let all = scores(scorer, &rows.clone().on(device));
        assert!(all.iter().all(|x| x.is_finite()), "not finite: {all:?}");
        assert_eq!(all, scores(scorer, &rows.clone().on(device)), "a scorer keeps no state");
        let order = [3, 0, 6, 5, 1, 2, 4];
        let permuted = scores(scorer, &rows.reorder(&order).on(device));
        for (place, i) in order.into_iter().enumerate() {
            assert!(close(permuted[place], all[i]), "permuting samples must permute scores: {permuted:?} {all:?}");
        }
        for (i, whole) in all.iter().enumerate() {
            let alone = scores(scorer, &rows.reorder(&[i]).on(device));
            assert!(close(alone[0], *whole), "a sample's score must not depend on its batch: {alone:?} {whole}");
        }
        let mut broken = rows.clone();
        broken.logits[2 * classes] = f32::NAN;
        let with_nan = scores(scorer, &broken.on(device));
        for i in [0, 1, 3, 4, 5, 6] {
            assert!(close(with_nan[i], all[i]), "NaN in sample 2 must not touch sample {i}: {with_nan:?} {all:?}");
        }
    }
}
