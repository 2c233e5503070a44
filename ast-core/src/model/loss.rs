use burn::tensor::activation::log_softmax;
use burn::tensor::{Int, Tensor};

/// Cross-entropy of each sample, `-log softmax(logits)[target]`, in nats.
///
/// Shapes: logits `[batch, classes]`, targets `[batch]`, result `[batch]`. (Burn's `CrossEntropyLoss` returns the
/// mean.)
#[must_use]
pub fn cross_entropy(logits: Tensor<2>, targets: Tensor<1, Int>) -> Tensor<1> {
    let rows = targets.unsqueeze_dim::<2>(1);
    log_softmax(logits, 1).gather(1, rows).neg().squeeze_dim::<1>(1)
}

/// Cross-entropy of each sample against a uniform target, `-mean log softmax(logits)`, in nats. Label smoothing (Szegedy et
/// al. 2016) with a share `s` is `(1 - s)` times [`cross_entropy`] plus `s` times this, as in PyTorch.
///
/// Shapes: logits `[batch, classes]`, result `[batch]`.
#[must_use]
pub fn uniform_cross_entropy(logits: Tensor<2>) -> Tensor<1> {
    log_softmax(logits, 1).mean_dim(1).neg().squeeze_dim::<1>(1)
}

/// Averages the rows of each sample: `[batch * rows]` to `[batch]`.
#[must_use]
pub fn per_sample(rows: Tensor<1>, batch: usize) -> Tensor<1> {
    let each = rows.dims()[0] / batch.max(1);
    if each == 1 { rows } else { rows.reshape([batch, each]).mean_dim(1).squeeze_dim(1) }
}

/// 1 if the most likely class is the target, else 0. Shapes: `[batch, classes]`, `[batch]`, result `[batch]`.
#[must_use]
pub fn top1(logits: Tensor<2>, targets: Tensor<1, Int>) -> Tensor<1> {
    logits.argmax(1).squeeze_dim::<1>(1).equal(targets).float()
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    /// Compared with the mean of the cross-entropies of all classes.
    #[test]
    fn a_uniform_target_gives_the_mean_over_all_classes() {
        let device = Device::flex();
        let logits = || Tensor::from_data([[1.5_f32, -0.5, 3.0], [0.0, 0.2, -9.0]], &device);
        let of = |class: i32| cross_entropy(logits(), Tensor::from_data([class, class], &device));
        let expected = (of(0) + of(1) + of(2)) / 3.0;
        uniform_cross_entropy(logits())
            .into_data()
            .assert_approx_eq::<f32>(&expected.into_data(), burn::tensor::Tolerance::absolute(1e-5));
    }

    /// Compared with the textbook formula in f64.
    #[test]
    fn cross_entropy_is_log_sum_exp_minus_the_target_logit() {
        let device = Device::flex();
        let logits = [[1.5_f32, -0.5, 3.0], [0.0, 0.0, 0.0], [-80.0, 80.0, 0.0]];
        let targets = [2_i32, 0, 0];
        let got: Vec<f32> =
            cross_entropy(Tensor::from_data(logits, &device), Tensor::<1, Int>::from_data(targets, &device))
                .into_data()
                .try_into_vec()
                .unwrap();
        for ((row, target), got) in logits.iter().zip(targets).zip(got) {
            let expected = row.iter().map(|x| f64::from(*x).exp()).sum::<f64>().ln() - f64::from(row[target as usize]);
            assert!((f64::from(got) - expected).abs() < 1e-5 * expected.max(1.0), "{got} {expected}");
        }
    }
}
