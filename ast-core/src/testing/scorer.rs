use crate::random::{Purpose, Random};
use crate::score::{Observation, ScoreContext, Scorer, Statistic};
use crate::select::SampleId;

/// A context as in the middle of a run.
#[must_use]
pub fn context() -> ScoreContext {
    ScoreContext { mean_loss: 1.7, mean_input_deviation: 0.24, random: Random::new(3), step: 42 }
}

/// A random observation of `batch` samples, every statistic present and within its range.
#[must_use]
pub fn observation(batch: usize, seed: u64) -> Observation {
    let mut stream = Random::new(seed).stream(Purpose::Data, 0, 0);
    let mut uniform = |from: f64, to: f64| -> Vec<f32> {
        (0..batch).map(|_| (from + (to - from) * stream.uniform()) as f32).collect()
    };
    let seen = Observation::new((0..batch as SampleId).map(|i| 1000 + i).collect(), uniform(0.0, 5.0));
    let each = |value: &dyn Fn(usize) -> f32| -> Vec<f32> { (0..batch).map(value).collect() };
    Statistic::ALL.into_iter().fold(seen, |seen, statistic| {
        let values = match statistic {
            Statistic::Correct => each(&|i| f32::from(u8::from(i % 3 != 0))),
            Statistic::WasCorrect => each(&|i| (i % 2) as f32),
            Statistic::Forgotten => each(&|i| i as f32 % 4.0),
            Statistic::LossChange => each(&|i| i as f32 / 10.0),
            Statistic::Entropy => uniform(0.0, std::f64::consts::LN_10),
            Statistic::Margin => uniform(-1.0, 1.0),
            Statistic::ErrorNorm => uniform(0.0, std::f64::consts::SQRT_2),
            Statistic::FeatureNorm => uniform(0.0, 20.0),
            Statistic::InputDeviation => uniform(0.1, 0.4),
            Statistic::LastLoss | Statistic::ReferenceLoss | Statistic::OnDevice => uniform(0.0, 5.0),
        };
        seen.with(statistic, values)
    })
}

/// The rows `order` of `seen`.
fn reorder(seen: &Observation, order: &[usize]) -> Observation {
    let rows = |values: &[f32]| -> Vec<f32> { order.iter().map(|i| values[*i]).collect() };
    let ids = order.iter().map(|i| seen.ids()[*i]).collect();
    Statistic::ALL.into_iter().fold(Observation::new(ids, rows(seen.loss())), |to, statistic| {
        to.with(statistic, rows(seen.get(statistic).expect("present")))
    })
}

/// The same observation with NaN for all statistics of one sample.
fn broken(seen: &Observation, sample: usize) -> Observation {
    let mut loss = seen.loss().to_vec();
    loss[sample] = f32::NAN;
    Statistic::ALL.into_iter().fold(Observation::new(seen.ids().to_vec(), loss), |to, statistic| {
        let mut values = seen.get(statistic).expect("present").to_vec();
        values[sample] = f32::NAN;
        to.with(statistic, values)
    })
}

fn scores(scorer: &dyn Scorer, seen: &Observation) -> Vec<f32> {
    let scores = scorer.score(seen, &context()).expect("the observation has every statistic");
    assert_eq!(scores.len(), seen.ids().len(), "one score a sample");
    scores
}

/// Checks the contract that every scorer keeps. Call it from a test of your crate.
///
/// One score per sample; finite scores for finite input; the same scores for the same input; batches of one work;
/// permuting the samples permutes the scores; NaN in one sample's statistics does not change the scores of others; only
/// statistics listed in `needs` are used.
///
/// # Panics
/// If the scorer breaks the contract; the message says how.
pub fn check_scorer(scorer: &dyn Scorer) {
    let seen = observation(7, 11);
    let all = scores(scorer, &seen);
    assert!(all.iter().all(|x| x.is_finite()), "not finite: {all:?}");
    assert_eq!(all, scores(scorer, &seen), "a scorer keeps no state: the same observation must give the same scores");

    let order = [3, 0, 6, 5, 1, 2, 4];
    let permuted = scores(scorer, &reorder(&seen, &order));
    for (place, i) in order.into_iter().enumerate() {
        assert!(close(permuted[place], all[i]), "permuting samples must permute scores: {permuted:?} {all:?}");
    }
    for (i, whole) in all.iter().enumerate() {
        let alone = scores(scorer, &reorder(&seen, &[i]));
        assert!(close(alone[0], *whole), "a sample's score must not depend on its batch: {alone:?} {whole}");
    }

    let with_nan = scores(scorer, &broken(&seen, 2));
    for i in [0, 1, 3, 4, 5, 6] {
        assert!(close(with_nan[i], all[i]), "NaN in sample 2 must not touch sample {i}: {with_nan:?} {all:?}");
    }

    let asked =
        scorer.needs().iter().fold(Observation::new(seen.ids().to_vec(), seen.loss().to_vec()), |to, statistic| {
            to.with(*statistic, seen.get(*statistic).expect("present").to_vec())
        });
    assert_eq!(scores(scorer, &asked), all, "`needs` must list every statistic that the scorer uses");
}

pub(super) fn close(a: f32, b: f32) -> bool {
    (a - b).abs() <= 1e-5 * b.abs().max(1.0)
}
