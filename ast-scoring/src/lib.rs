//! Significance scorers: one file, one cargo feature and one run-time name each.
//!
//! Every scorer registers itself by being linked, so a crate that uses them through the registry names this one once:
//! `use ast_scoring as _;`. The recipe for another scorer is in `CONTRIBUTING.md`; it needs no change outside its own
//! file, a feature line and a `mod` line here.
#![forbid(unsafe_code)]

#[cfg(feature = "el2n")]
mod el2n;
#[cfg(feature = "entropy")]
mod entropy;
#[cfg(feature = "forgetting")]
mod forgetting;
#[cfg(feature = "grad-norm")]
mod grad_norm;
#[cfg(feature = "loss")]
mod loss;
#[cfg(feature = "loss-change")]
mod loss_change;
#[cfg(feature = "loss-entropy")]
mod loss_entropy;
#[cfg(feature = "loss-intensity")]
mod loss_intensity;
#[cfg(feature = "margin")]
mod margin;
#[cfg(feature = "random")]
mod random;
#[cfg(feature = "reducible-loss")]
mod reducible_loss;

/// Plain f64 arithmetic to check scorers against.
#[cfg(test)]
mod reference {
    use ast_core::burn::tensor::Tensor;
    use ast_core::score::Observation;

    pub(crate) fn values(tensor: Tensor<1>) -> Vec<f32> {
        tensor.into_data().try_into_vec().unwrap()
    }

    /// Softmax of each sample's logits, and its target.
    pub(crate) fn probabilities(seen: &Observation) -> Vec<(Vec<f64>, usize)> {
        let classes = seen.logits.dims()[1];
        let logits: Vec<f32> = seen.logits.to_data().try_into_vec().unwrap();
        let targets: Vec<i32> = seen.targets.to_data_as::<i32>().try_into_vec().unwrap();
        let softmax = |row: &[f32]| {
            let sum: f64 = row.iter().map(|x| f64::from(*x).exp()).sum();
            row.iter().map(|x| f64::from(*x).exp() / sum).collect()
        };
        logits.chunks(classes).map(softmax).zip(targets.into_iter().map(|y| y as usize)).collect()
    }
}
