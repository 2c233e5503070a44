//! What a comparison takes of a run.

use ast_core::run::{Summary, TestSet};
use ast_core::train::Phase;
use serde::Serialize;

/// One run, as far as a comparison needs it.
#[derive(Debug, Clone)]
pub(super) struct Measured {
    pub(super) seed: u64,
    /// Larger is better.
    pub(super) result: f64,
    pub(super) spent: Spent,
    /// What an accuracy is of, if that is known.
    pub(super) test: Option<TestSet>,
}

/// What a run cost, or the runs of an arm on average.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(untagged)]
pub(super) enum Spent {
    /// One of ours.
    Run {
        /// Trained over offered samples.
        activation: f64,
        /// FLOPs over those of the comparison's dense run, counted.
        flops: f64,
        /// Of those FLOPs, the share that was only for scoring, counted.
        scoring: f64,
        /// Measured, without evaluation.
        seconds: f64,
        /// Share of the seconds that scoring and selecting took, measured.
        overhead: f64,
        /// Measured, or nothing.
        joules: Option<f64>,
    },
    /// One of another program.
    Other {
        /// Over that of the reference.
        cost: f64,
    },
}

impl Measured {
    /// Of a run of ours. The dense run that its cost is a share of has `epochs` nominal epochs, whatever its own.
    pub(super) fn of(seed: u64, summary: &Summary, epochs: u32) -> Self {
        let spent = |phase: Phase| summary.seconds.phases.get(phase.name()).copied().unwrap_or(0.0);
        let seconds = summary.seconds.total - spent(Phase::Eval);
        let dense = summary.flops.dense_run as f64 * (f64::from(epochs) / f64::from(summary.epochs));
        let total = summary.flops.total as f64;
        Self {
            seed,
            result: summary.accuracy.last,
            spent: Spent::Run {
                activation: summary.activation.realised,
                flops: total / dense,
                scoring: summary.flops.scoring as f64 / total,
                seconds,
                overhead: (spent(Phase::Score) + spent(Phase::Select)) / seconds,
                joules: summary.joules.total,
            },
            test: summary.test,
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

    /// The mean of each of them.
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
    fn means_are_of_runs_that_have_the_number() {
        let run =
            |joules| Spent::Run { activation: 0.5, flops: 0.25, scoring: 0.0, seconds: 2.0, overhead: 0.5, joules };
        let Spent::Run { flops, joules, .. } = Spent::mean(&[run(Some(1.0)), run(Some(3.0))]) else { panic!() };
        assert_eq!((flops, joules), (0.25, Some(2.0)));
        let Spent::Run { joules, .. } = Spent::mean(&[run(Some(1.0)), run(None)]) else { panic!() };
        assert_eq!(joules, None, "of an arm whose joules are not all known they are not known");
        assert_eq!(Spent::mean(&[Spent::Other { cost: 1.0 }, Spent::Other { cost: 2.0 }]).cost(), 1.5);
    }
}
