//! What a network answered, by class: right answers, the confusion matrix, and whether its confidence is justified.

use serde::Serialize;

use crate::records::Predicted;

/// Bins of confidence, of equal width, as in Guo et al., *On Calibration of Modern Neural Networks* (2017).
const BINS: usize = 15;

/// Answers by true class and by the class that was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Confusion {
    classes: usize,
    /// `counts[true * classes + answered]`.
    counts: Vec<u64>,
}

impl Confusion {
    /// Of answers in `classes` classes.
    pub(crate) fn of(answers: &[Predicted], classes: usize) -> Self {
        let mut counts = vec![0; classes * classes];
        for answer in answers {
            if let Some(count) = counts.get_mut(answer.label * classes + answer.predicted) {
                *count += 1;
            }
        }
        Self { classes, counts }
    }

    /// For a true class: how often each class was answered.
    pub(crate) fn row(&self, class: usize) -> &[u64] {
        &self.counts[class * self.classes..][..self.classes]
    }

    /// Test images of a class.
    pub(crate) fn samples(&self, class: usize) -> u64 {
        self.row(class).iter().sum()
    }

    /// Right answers for a class.
    pub(crate) fn right(&self, class: usize) -> u64 {
        self.row(class)[class]
    }

    /// The wrong answers: true class, answer and number, the most frequent first.
    pub(crate) fn mistakes(&self) -> Vec<(usize, usize, u64)> {
        let of = |(at, count): (usize, &u64)| (at / self.classes, at % self.classes, *count);
        let mut all: Vec<_> = self.counts.iter().enumerate().map(of).filter(|(a, b, n)| a != b && *n > 0).collect();
        all.sort_by_key(|(class, answer, count)| (u64::MAX - count, *class, *answer));
        all
    }
}

/// Whether confidence is justified.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Calibration {
    /// Expected calibration error, 0..=1: the mean over the answers of the difference between confidence and accuracy in
    /// their bin.
    pub(crate) expected_error: f64,
    /// Mean confidence, 0..=1.
    pub(crate) mean_confidence: f64,
}

impl Calibration {
    /// Of answers; 0 without any.
    pub(crate) fn of(answers: &[Predicted]) -> Self {
        // Confidence and right answers of each bin.
        let mut bins = [(0.0, 0.0); BINS];
        for answer in answers {
            let bin = ((f64::from(answer.confidence) * BINS as f64) as usize).min(BINS - 1);
            bins[bin].0 += f64::from(answer.confidence);
            bins[bin].1 += f64::from(u8::from(answer.label == answer.predicted));
        }
        let n = answers.len().max(1) as f64;
        Self {
            expected_error: bins.iter().map(|(confidence, right)| (confidence - right).abs()).sum::<f64>() / n,
            mean_confidence: bins.iter().map(|(confidence, _)| confidence).sum::<f64>() / n,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(label: usize, predicted: usize, confidence: f32) -> Predicted {
        Predicted { id: 0, label, class: None, predicted, answer: None, confidence, loss: 0.0, place: None }
    }

    #[test]
    fn answers_are_counted_by_class() {
        let answers = [(0, 0), (0, 1), (0, 1), (2, 1), (2, 2)].map(|(label, got)| answer(label, got, 0.5));
        let confusion = Confusion::of(&answers, 3);
        assert_eq!([0, 1, 2].map(|class| confusion.samples(class)), [3, 0, 2]);
        assert_eq!([0, 1, 2].map(|class| confusion.right(class)), [1, 0, 1]);
        assert_eq!(confusion.mistakes(), [(0, 1, 2), (2, 1, 1)]);
    }

    /// Two bins: 0.9 and 0.9 with one right of two, and 0.55 that is right: (|1.8 - 1| + |0.55 - 1|) / 3.
    #[test]
    fn the_calibration_error_is_the_gap_between_confidence_and_accuracy() {
        let answers = [answer(0, 0, 0.9), answer(0, 1, 0.9), answer(1, 1, 0.55)];
        let calibration = Calibration::of(&answers);
        assert!((calibration.expected_error - (0.8 + 0.45) / 3.0).abs() < 1e-7, "{calibration:?}");
        assert!((calibration.mean_confidence - 2.35 / 3.0).abs() < 1e-7);
        assert_eq!(Calibration::of(&[]), Calibration { expected_error: 0.0, mean_confidence: 0.0 });
        assert_eq!(Calibration::of(&[answer(0, 0, 1.0)]).expected_error, 0.0, "the last bin has its end");
    }
}
