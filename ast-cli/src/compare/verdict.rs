//! From summaries to a table and to sentences: what is established and what is not.

use std::fmt::Write;

use ast_core::{Phase, Summary};
use serde::Serialize;

use super::statistics::{Estimate, LEAST_PAIRS, estimate, sign_flip};
use crate::output::table;

const LEVEL: f64 = 0.05;
/// What the others are held against.
pub(super) const REFERENCES: [&str; 2] = ["random", "dense"];

/// `comparison.json`.
#[derive(Debug, Serialize)]
pub(super) struct Comparison {
    pub(super) arms: Vec<Row>,
    #[serde(flatten)]
    caveats: Caveats,
}

/// What a reader of the table has to know.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Caveats {
    /// Runs at once: with more than one, seconds say little.
    pub(super) jobs: usize,
    /// Whether seeds were added after the start.
    pub(super) seeds_raised: bool,
    /// Whether scoring was not charged to the budget.
    pub(super) free_scoring: bool,
}

#[derive(Debug, Serialize)]
pub(super) struct Row {
    pub(super) arm: String,
    seeds: Vec<u64>,
    /// On the test set or, if so configured, on a validation split, percent: the mean.
    pub(super) accuracy: f64,
    pub(super) accuracy_interval: Option<[f64; 2]>,
    /// Of each run.
    pub(super) accuracies: Vec<f64>,
    differences: Vec<Difference>,
    /// Means over the runs from here on. Trained over offered samples.
    activation: f64,
    /// FLOPs over those of a dense run, counted.
    flops: f64,
    /// Of those FLOPs, the share that was only for scoring, counted.
    scoring: f64,
    /// Measured, without evaluation.
    seconds: f64,
    /// Share of the seconds that scoring and selecting took, measured.
    overhead: f64,
    /// Measured, or nothing.
    joules: Option<f64>,
}

/// Of an arm to a reference, over the seeds that both have, in points of accuracy.
#[derive(Debug, Serialize)]
pub(super) struct Difference {
    to: &'static str,
    pairs: usize,
    /// Of each pair.
    pub(super) values: Vec<f64>,
    pub(super) mean: f64,
    pub(super) interval: Option<[f64; 2]>,
    p: Option<f64>,
    pub(super) established: bool,
}

impl Comparison {
    pub(super) fn of(results: &[(String, Vec<(u64, Summary)>)], caveats: Caveats) -> Self {
        let arms = results.iter().map(|(arm, runs)| Row::of(arm, runs, results)).collect();
        Self { arms, caveats }
    }

    /// A Markdown table and what follows from it.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = self.write(&mut text);
        text
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        let head = [
            "arm",
            "n",
            "accuracy %",
            "- random",
            "- dense",
            "activation",
            "FLOPs of dense",
            "of these scoring",
            "seconds",
            "overhead",
            "joules",
        ];
        let mut rows = vec![head.map(String::from).to_vec()];
        rows.extend(self.arms.iter().map(Row::cells));
        out.push_str(&table(&rows));
        writeln!(
            out,
            "\nIn brackets: 95 % BCa bootstrap intervals, which of six values hold the mean about 86 times in 100, of ten 90. \
             Differences are paired by seed, p by exact sign-flip; what is established satisfies both.\n"
        )?;
        let differences = || self.arms.iter().flat_map(|row| row.differences.iter().map(move |d| (row, d)));
        for (row, difference) in differences() {
            writeln!(out, "* {}", difference.sentence(&row.arm))?;
        }
        let tested = differences().filter(|(_, difference)| difference.pairs >= LEAST_PAIRS).count();
        if tested > 1 {
            writeln!(
                out,
                "* {tested} differences were tested at 5 % each: where there is nothing to find, up to {:.0} % of such tables \
                 have at least one that looks established.",
                100.0 * (1.0 - (1.0 - LEVEL).powi(tested as i32))
            )?;
        }
        let Caveats { jobs, seeds_raised, free_scoring } = self.caveats;
        if free_scoring {
            writeln!(
                out,
                "* An ablation: scoring was counted and not charged to the budget. No result at equal cost."
            )?;
        }
        let cost = |row: &&Row| row.flops;
        let limited = || self.arms.iter().filter(|row| row.arm.split(':').next() != Some("dense"));
        let (least, most) = (limited().min_by(by(cost)), limited().max_by(by(cost)));
        if let Some((least, most)) = least.zip(most).filter(|(least, most)| most.flops > 1.02 * least.flops) {
            writeln!(
                out,
                "* Costs differ: {} spent {:.1} % of a dense run's FLOPs, {} {:.1} %. --budget makes them equal.",
                least.arm,
                100.0 * least.flops,
                most.arm,
                100.0 * most.flops
            )?;
        }
        if seeds_raised {
            writeln!(out, "* Seeds were added after the start: p no longer means what it says.")?;
        }
        if jobs > 1 {
            writeln!(out, "* {} runs at once: the seconds and joules are those of a shared machine.", jobs)?;
        }
        Ok(())
    }
}

impl Row {
    fn of(arm: &str, runs: &[(u64, Summary)], results: &[(String, Vec<(u64, Summary)>)]) -> Self {
        let accuracies: Vec<f64> = runs.iter().map(|(_, summary)| summary.accuracy.last).collect();
        let Estimate { mean, interval } = estimate(&accuracies);
        let average = |value: fn(&Summary) -> f64| runs.iter().map(|(_, s)| value(s)).sum::<f64>() / runs.len() as f64;
        // What `dense` is against `random` stands with `random`, the other way round.
        let references = REFERENCES.into_iter().filter(|reference| ![*reference, "dense"].contains(&arm));
        let reference = |name: &'static str| {
            let (_, others) = results.iter().find(|(arm, _)| arm == name)?;
            Difference::of(name, runs, others)
        };
        let joules: Option<Vec<f64>> = runs.iter().map(|(_, summary)| summary.joules.total).collect();
        Self {
            arm: arm.to_string(),
            seeds: runs.iter().map(|(seed, _)| *seed).collect(),
            accuracy: mean,
            accuracy_interval: interval,
            accuracies,
            differences: references.filter_map(reference).collect(),
            activation: average(|s| s.activation.realised),
            flops: average(|s| s.flops.total as f64 / s.flops.dense_run as f64),
            scoring: average(|s| s.flops.scoring as f64 / s.flops.total as f64),
            seconds: average(trained_seconds),
            overhead: average(|s| {
                let spent = |phase: Phase| s.seconds.phases.get(phase.name()).copied().unwrap_or(0.0);
                (spent(Phase::Score) + spent(Phase::Select)) / trained_seconds(s)
            }),
            joules: joules.map(|joules| joules.iter().sum::<f64>() / joules.len() as f64),
        }
    }

    pub(super) fn against(&self, reference: &str) -> Option<&Difference> {
        self.differences.iter().find(|difference| difference.to == reference)
    }

    fn cells(&self) -> Vec<String> {
        let difference = |to: &str| {
            let found = self.against(to);
            found.map_or_else(String::new, |d| format!("{:+.2}{}", d.mean, brackets(d.interval)))
        };
        let percent = |share: f64| format!("{:.1} %", 100.0 * share);
        vec![
            self.arm.clone(),
            self.seeds.len().to_string(),
            format!("{:.2}{}", self.accuracy, brackets(self.accuracy_interval)),
            difference("random"),
            difference("dense"),
            percent(self.activation),
            percent(self.flops),
            percent(self.scoring),
            format!("{:.1}", self.seconds),
            percent(self.overhead),
            self.joules.map_or_else(|| "unknown".to_string(), |joules| format!("{joules:.0}")),
        ]
    }
}

fn by(value: impl Fn(&&Row) -> f64) -> impl Fn(&&Row, &&Row) -> std::cmp::Ordering {
    move |a, b| value(a).total_cmp(&value(b))
}

fn trained_seconds(summary: &Summary) -> f64 {
    summary.seconds.total - summary.seconds.phases.get(Phase::Eval.name()).copied().unwrap_or(0.0)
}

fn brackets(interval: Option<[f64; 2]>) -> String {
    interval.map_or_else(String::new, |[low, high]| format!(" [{low:.2}, {high:.2}]"))
}

impl Difference {
    fn of(to: &'static str, runs: &[(u64, Summary)], others: &[(u64, Summary)]) -> Option<Self> {
        let paired = |(seed, summary): &(u64, Summary)| {
            let other = others.iter().find(|(other, _)| other == seed)?;
            Some(summary.accuracy.last - other.1.accuracy.last)
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

    fn sentence(&self, arm: &str) -> String {
        let Self { to, pairs, mean, interval, p, established, .. } = self;
        let p = p.map_or_else(String::new, |p| format!(", p = {p:.3}"));
        if *established {
            let side = if *mean > 0.0 { "ahead of" } else { "behind" };
            let (points, interval) = (mean.abs(), brackets(*interval));
            return format!("Established: {arm} is {side} {to} by {points:.2} points{interval}, {pairs} pairs{p}.");
        }
        if *pairs < LEAST_PAIRS {
            let runs = if *pairs == 1 { "one pair" } else { "these few pairs" };
            return format!(
                "Not established: {arm} against {to}, {mean:+.2} points in {runs} ({pairs}); fewer than {LEAST_PAIRS} pairs can \
                 establish nothing."
            );
        }
        format!("Not established: {arm} against {to}, {mean:+.2} points{}, {pairs} pairs{p}.", brackets(*interval))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn difference(values: &[f64]) -> Difference {
        Difference::of_values("random", values.to_vec()).unwrap()
    }

    #[test]
    fn six_of_one_sign_establish_what_five_cannot() {
        let six = difference(&[0.7, 1.2, 0.3, 0.9, 0.4, 1.0]);
        assert!(six.established);
        let sentence = six.sentence("ast");
        assert!(sentence.starts_with("Established: ast is ahead of random by 0.75 points [0.4"), "{sentence}");
        assert!(sentence.ends_with("6 pairs, p = 0.031."), "{sentence}");
        let five = difference(&[0.7, 1.2, 0.3, 0.9, 0.4]);
        assert!(!five.established && five.sentence("ast").contains("can establish nothing"));
        let behind = difference(&[-0.7, -1.2, -0.3, -0.9, -0.4, -1.0]);
        assert!(behind.sentence("ast").contains("is behind random by 0.75"));
    }

    #[test]
    fn a_null_result_is_called_one() {
        let none = difference(&[0.5, -0.2, 0.3, 0.1, -0.4, 0.6, 0.2]);
        assert!(!none.established);
        let sentence = none.sentence("ast");
        assert!(sentence.starts_with("Not established: ast against random, +0.16 points"), "{sentence}");
        assert!(Difference::of_values("random", Vec::new()).is_none());
    }
}
