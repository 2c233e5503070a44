//! The numbers that a comparison takes from a run.

use ast_core::run::{Summary, TestSet};
use ast_core::train::Phase;
use serde::Serialize;

/// A run's numbers.
#[derive(Debug, Clone)]
pub(super) struct Measured {
    pub(super) seed: u64,
    /// The accuracy, percent; for text the loss, nats a token.
    pub(super) result: f64,
    pub(super) spent: Spent,
    /// The test set of an accuracy, if known.
    pub(super) test: Option<TestSet>,
}

/// Cost of a run, or mean cost of an arm's runs.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(untagged)]
pub(super) enum Spent {
    /// A run of this program.
    Run {
        /// Trained over offered samples.
        activation: f64,
        /// FLOPs as a share of the comparison's dense run, counted.
        flops: f64,
        /// Share of those FLOPs that was spent on scoring only, counted.
        scoring: f64,
        /// Seconds without evaluation, measured.
        seconds: f64,
        /// Share of the seconds spent on scoring and selecting, measured.
        overhead: f64,
        /// Joules, measured; `None` if unavailable.
        joules: Option<f64>,
    },
    /// A run of another program.
    Other {
        /// Cost as a share of the reference's.
        cost: f64,
    },
}

impl Measured {
    /// The numbers of a run of this program. Costs are shares of a dense run of `epochs` nominal epochs, whatever the
    /// run's own.
    pub(super) fn of(seed: u64, summary: &Summary, epochs: u32) -> Self {
        let spent = |phase: Phase| summary.seconds.phases.get(phase.name()).copied().unwrap_or(0.0);
        let seconds = summary.seconds.total - spent(Phase::Eval);
        let dense = summary.flops.dense_run as f64 * (f64::from(epochs) / f64::from(summary.epochs));
        let (total, text) = (summary.flops.total as f64, summary.text.is_some());
        Self {
            seed,
            result: if text { summary.loss.last } else { summary.accuracy.last },
            spent: Spent::Run {
                activation: summary.activation.realised,
                flops: total / dense,
                scoring: summary.flops.scoring as f64 / total,
                seconds,
                overhead: (spent(Phase::Score) + spent(Phase::Select)) / seconds,
                joules: summary.joules.total,
            },
            test: summary.test.filter(|_| !text),
        }
    }
}

impl Spent {
    pub(super) fn cost(&self) -> f64 {
        match self {
            Self::Run { flops, .. } => *flops,
            Self::Other { cost } => *cost,
        }
    }

    /// The mean of each number.
    pub(super) fn mean(all: &[Self]) -> Self {
        let mean = |value: &dyn Fn(&Self) -> f64| all.iter().map(value).sum::<f64>() / all.len() as f64;
        let ours = |pick: fn([f64; 4]) -> f64| {
            mean(&|spent| match *spent {
                Self::Run { activation, scoring, seconds, overhead, .. } => {
                    pick([activation, scoring, seconds, overhead])
                }
                Self::Other { .. } => f64::NAN,
            })
        };
        let joules = |spent: &Self| if let Self::Run { joules, .. } = spent { *joules } else { None };
        let cost = mean(&|spent| spent.cost());
        match all.first() {
            Some(Self::Run { .. }) => Self::Run {
                activation: ours(|[activation, ..]| activation),
                flops: cost,
                scoring: ours(|[_, scoring, ..]| scoring),
                seconds: ours(|[_, _, seconds, _]| seconds),
                overhead: ours(|[.., overhead]| overhead),
                joules: all.iter().map(joules).sum::<Option<f64>>().map(|sum| sum / all.len() as f64),
            },
            _ => Self::Other { cost },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mean_needs_the_number_of_every_run() {
        let run =
            |joules| Spent::Run { activation: 0.5, flops: 0.25, scoring: 0.0, seconds: 2.0, overhead: 0.5, joules };
        let Spent::Run { flops, joules, .. } = Spent::mean(&[run(Some(1.0)), run(Some(3.0))]) else { panic!() };
        assert_eq!((flops, joules), (0.25, Some(2.0)));
        let Spent::Run { joules, .. } = Spent::mean(&[run(Some(1.0)), run(None)]) else { panic!() };
        assert_eq!(joules, None, "the mean of joules needs the joules of all runs");
        assert_eq!(Spent::mean(&[Spent::Other { cost: 1.0 }, Spent::Other { cost: 2.0 }]).cost(), 1.5);
    }
}
