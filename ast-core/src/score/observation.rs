use burn::tensor::activation::{log_softmax, softmax};
use burn::tensor::{Int, Tensor};

use crate::select::sample::SampleId;

/// What a forward pass showed of each sample of a batch. Never attached to a gradient.
#[derive(Debug, Clone)]
pub struct Observation {
    /// The samples, `batch` of them.
    pub ids: Vec<SampleId>,
    /// Cross-entropy, -log p_y, in nats, `[batch]`: plain, even where training smooths labels.
    pub loss: Tensor<1>,
    /// `[batch, classes]`.
    pub logits: Tensor<2>,
    /// Class of each sample, `[batch]`.
    pub targets: Tensor<1, Int>,
    /// The exact input of the last linear layer, after dropout, `[batch, width]`; present if the scorer [`Needs`] it.
    pub features: Option<Tensor<2>>,
    /// Standard deviation of the un-augmented pixels in 0..1, `[batch]`; present if the scorer [`Needs`] it.
    pub input_std: Option<Tensor<1>>,
    /// What earlier passes showed of each sample; present if the scorer [`Needs`] it.
    pub history: Option<History>,
    /// Loss of each sample under a small network that was not trained on it, in nats, `[batch]`; present if the scorer
    /// [`Needs`] it.
    pub reference: Option<Tensor<1>>,
}

/// What the ledger remembers of the samples of a batch, before this pass.
#[derive(Debug, Clone)]
pub struct History {
    /// Loss when the sample was last trained on, in nats, `[batch]`; `ln classes`, that of a guess, if it never was.
    pub loss: Tensor<1>,
    /// Smoothed absolute change of its loss from one time to the next, `[batch]`; 0 before the second time.
    pub change: Tensor<1>,
    /// How often it went from correct to wrong, `[batch]`.
    pub forgotten: Tensor<1>,
    /// 1 if it was correct when it was last trained on, else 0, `[batch]`.
    pub correct: Tensor<1>,
}

impl Observation {
    /// `softmax(logits)`, `[batch, classes]`.
    #[must_use]
    pub fn probabilities(&self) -> Tensor<2> {
        softmax(self.logits.clone(), 1)
    }

    /// 1 at each sample's target, else 0, `[batch, classes]`. Built without reading the targets back.
    #[must_use]
    pub fn one_hot(&self) -> Tensor<2> {
        let shape = self.logits.dims();
        let classes = Tensor::arange(0..shape[1] as i64, &self.logits.device()).unsqueeze::<2>().expand(shape);
        self.targets.clone().unsqueeze_dim::<2>(1).expand(shape).equal(classes).float()
    }

    /// 1 where the most likely class is the target, else 0, `[batch]`.
    #[must_use]
    pub fn correct(&self) -> Tensor<1> {
        hits(self.logits.clone(), self.targets.clone())
    }

    /// `H(p) = -sum p log p`, in nats, `[batch]`.
    #[must_use]
    pub fn entropy(&self) -> Tensor<1> {
        let log_p = log_softmax(self.logits.clone(), 1);
        (log_p.clone().exp() * log_p).sum_dim(1).neg().squeeze_dim(1)
    }
}

/// 1 where the most likely class is the target, else 0. Shapes: `[batch, classes]`, `[batch]`, result `[batch]`.
pub(crate) fn hits(logits: Tensor<2>, targets: Tensor<1, Int>) -> Tensor<1> {
    logits.argmax(1).squeeze_dim::<1>(1).equal(targets).float()
}

/// What a scorer wants in its [`Observation`] beyond loss and logits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Needs {
    /// [`Observation::features`].
    pub features: bool,
    /// [`Observation::input_std`].
    pub input_std: bool,
    /// [`Observation::history`].
    pub history: bool,
    /// [`Observation::reference`]: small networks are trained for it at the start of the run, and charged.
    pub reference: bool,
}

/// Cross-entropy of each sample, `-log softmax(logits)[target]`, in nats.
///
/// Shapes: logits `[batch, classes]`, targets `[batch]`, result `[batch]`. The only place it is computed (Burn's own
/// `CrossEntropyLoss` returns the mean).
#[must_use]
pub fn cross_entropy(logits: Tensor<2>, targets: Tensor<1, Int>) -> Tensor<1> {
    let rows = targets.unsqueeze_dim::<2>(1);
    log_softmax(logits, 1).gather(1, rows).neg().squeeze_dim::<1>(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    /// Against the textbook formula in f64.
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
