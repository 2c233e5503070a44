//! From runs to differences, and to sentences that say which are established.

use ast_core::run::{Summary, TestSet};
use serde::Serialize;

use super::chance;
use super::measured::{Measured, Spent};
use super::statistics::{Estimate, LEAST_PAIRS, estimate, sign_flip};
use crate::output::several;

pub(super) const LEVEL: f64 = 0.05;
/// The arms that others are compared with.
pub(super) const REFERENCES: [&str; 2] = ["random", "dense"];
/// Costs within this ratio count as equal: a run ends on its budget to within a batch.
pub(super) const SAME_COST: f64 = 1.02;

/// What the numbers of a comparison are.
#[derive(Debug, Serialize)]
pub(super) struct Terms {
    /// Name of the result.
    pub(super) result: String,
    /// Whether a smaller result is the better one, as of a loss.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) lower_is_better: bool,
    /// Unit of a difference.
    #[serde(skip)]
    pub(super) unit: &'static str,
    /// Decimals of results.
    #[serde(skip)]
    pub(super) decimals: usize,
    /// Name of the cost column: `FLOPs of dense`.
    pub(super) cost: String,
    /// What is counted as cost: `FLOPs`.
    #[serde(skip)]
    pub(super) noun: &'static str,
    /// The run whose cost is 1: `a dense run of 40 epochs`.
    #[serde(skip)]
    pub(super) whole: String,
}

impl Terms {
    /// The terms of runs of this program, on the same data, whose dense run has so many nominal epochs.
    pub(super) fn of(runs: &[Summary], epochs: u32) -> Self {
        let text = runs.iter().any(|run| run.text.is_some());
        Self {
            result: if text { "loss" } else { "accuracy %" }.into(),
            lower_is_better: text,
            unit: if text { " nats" } else { " points" },
            decimals: if text { 4 } else { 2 },
            cost: "FLOPs of dense".into(),
            noun: "FLOPs",
            whole: format!("a dense run of {}", several(epochs as usize, "epoch")),
        }
    }
}

#[derive(Debug, Serialize)]
pub(super) struct Row {
    pub(super) arm: String,
    pub(super) seeds: Vec<u64>,
    /// The mean over the runs: accuracy on the test set or, if so configured, on a validation split, percent; for text the
    /// loss, nats a token; or another program's result.
    pub(super) accuracy: f64,
    pub(super) accuracy_interval: Option<[f64; 2]>,
    /// The result of each run.
    pub(super) accuracies: Vec<f64>,
    pub(super) differences: Vec<Difference>,
    /// Whether the accuracy is near chance; `None` if that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) near_chance: Option<bool>,
    #[serde(skip)]
    pub(super) test: Option<TestSet>,
    #[serde(flatten)]
    pub(super) spent: Spent,
}

/// The difference between an arm and a reference, over the seeds that both have.
#[derive(Debug, Serialize)]
pub(super) struct Difference {
    pub(super) to: &'static str,
    pub(super) pairs: usize,
    /// The difference of each pair.
    pub(super) values: Vec<f64>,
    pub(super) mean: f64,
    pub(super) interval: Option<[f64; 2]>,
    p: Option<f64>,
    pub(super) established: bool,
}

impl Row {
    pub(super) fn of(arm: &str, runs: &[Measured], results: &[(String, Vec<Measured>)]) -> Self {
        let accuracies: Vec<f64> = runs.iter().map(|run| run.result).collect();
        let Estimate { mean, interval } = estimate(&accuracies);
        // `dense` is not compared with `random`, because `random` is compared with `dense`.
        let references = REFERENCES.into_iter().filter(|reference| ![*reference, "dense"].contains(&arm));
        let reference = |name: &'static str| {
            let (_, others) = results.iter().find(|(arm, _)| arm == name)?;
            Difference::of(name, runs, others)
        };
        let test = runs.iter().find_map(|run| run.test);
        Self {
            arm: arm.to_string(),
            seeds: runs.iter().map(|run| run.seed).collect(),
            accuracy: mean,
            accuracy_interval: interval,
            accuracies,
            differences: references.filter_map(reference).collect(),
            near_chance: test.map(|test| mean < chance::bound(test)),
            test,
            spent: Spent::mean(&runs.iter().map(|run| run.spent).collect::<Vec<_>>()),
        }
    }

    pub(super) fn against(&self, reference: &str) -> Option<&Difference> {
        self.differences.iter().find(|difference| difference.to == reference)
    }
}

pub(super) fn brackets(interval: Option<[f64; 2]>, decimals: usize) -> String {
    interval.map_or_else(String::new, |[low, high]| format!(" [{low:.decimals$}, {high:.decimals$}]"))
}

impl Difference {
    fn of(to: &'static str, runs: &[Measured], others: &[Measured]) -> Option<Self> {
        let paired = |run: &Measured| {
            let other = others.iter().find(|other| other.seed == run.seed)?;
            Some(run.result - other.result)
        };
        Self::of_values(to, runs.iter().filter_map(paired).collect())
    }

    fn of_values(to: &'static str, values: Vec<f64>) -> Option<Self> {
        if values.is_empty() {
            return None;
        }
        let (Estimate { mean, interval }, p) = (estimate(&values), sign_flip(&values));
        let excludes_zero = interval.is_some_and(|[low, high]| low > 0.0 || high < 0.0);
        let established = values.len() >= LEAST_PAIRS && excludes_zero && p.is_some_and(|p| p <= LEVEL);
        Some(Self { to, pairs: values.len(), values, mean, interval, p, established })
    }

    /// Whether the arm is better than the reference on average.
    pub(super) fn is_ahead(&self, terms: &Terms) -> bool {
        (self.mean > 0.0) != terms.lower_is_better
    }

    /// The verdict as a sentence; `but` is what weakens it.
    pub(super) fn sentence(&self, arm: &str, terms: &Terms, but: &str) -> String {
        let Terms { unit, decimals, .. } = *terms;
        let Self { to, pairs, mean, interval, p, established, .. } = self;
        let p = p.map_or_else(String::new, |p| format!(", p = {p:.3}"));
        if *established {
            let side = if self.is_ahead(terms) { "ahead of" } else { "behind" };
            let (by, interval) = (mean.abs(), brackets(*interval, decimals));
            return format!(
                "Established: {arm} is {side} {to} by {by:.decimals$}{unit}{interval}, {pairs} pairs{p}{but}."
            );
        }
        if *pairs < LEAST_PAIRS {
            let runs = if *pairs == 1 { "one pair" } else { "these few pairs" };
            return format!(
                "Not established: {arm} against {to}, {mean:+.decimals$}{unit} in {runs} ({pairs}){but}; fewer than {LEAST_PAIRS} pairs \
                 can establish nothing."
            );
        }
        let why = if interval.is_none() { " (all pairs differ by the same, so there is no interval)" } else { "" };
        let interval = format!("{}{why}", brackets(*interval, decimals));
        format!("Not established: {arm} against {to}, {mean:+.decimals$}{unit}{interval}, {pairs} pairs{p}{but}.")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms() -> Terms {
        let (result, cost, whole) = Default::default();
        Terms { result, lower_is_better: false, unit: " points", decimals: 2, cost, noun: "", whole }
    }

    fn difference(values: &[f64]) -> Difference {
        Difference::of_values("random", values.to_vec()).unwrap()
    }

    #[test]
    fn six_pairs_of_one_sign_establish_a_difference_and_five_do_not() {
        let six = difference(&[0.7, 1.2, 0.3, 0.9, 0.4, 1.0]);
        assert!(six.established);
        let sentence = six.sentence("ast", &terms(), ", near chance");
        assert!(sentence.starts_with("Established: ast is ahead of random by 0.75 points [0.4"), "{sentence}");
        assert!(sentence.ends_with("6 pairs, p = 0.031, near chance."), "{sentence}");
        let five = difference(&[0.7, 1.2, 0.3, 0.9, 0.4]);
        assert!(!five.established && five.sentence("ast", &terms(), "").contains("can establish nothing"));
        let losses = Terms { lower_is_better: true, ..terms() };
        assert!(six.sentence("ast", &losses, "").contains("ast is behind random by 0.75"), "a loss that is higher");
        let behind = difference(&[-0.7, -1.2, -0.3, -0.9, -0.4, -1.0]);
        assert!(behind.sentence("ast", &terms(), "").contains("is behind random by 0.75 points ["));
    }

    #[test]
    fn no_difference_is_not_established() {
        let none = difference(&[0.5, -0.2, 0.3, 0.1, -0.4, 0.6, 0.2]);
        assert!(!none.established);
        let sentence = none.sentence("ast", &terms(), "");
        assert!(sentence.starts_with("Not established: ast against random, +0.16 points"), "{sentence}");
        assert!(Difference::of_values("random", Vec::new()).is_none());
    }
}
