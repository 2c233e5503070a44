//! `comparison.md`: the table, the verdicts and the caveats.

use std::fmt::Write;

use super::comparison::Comparison;
use super::measured::Spent;
use super::statistics::LEAST_PAIRS;
use super::verdict::{Difference, LEVEL, Row, SAME_COST, Terms, brackets};
use crate::output::table;

impl Comparison {
    /// The Markdown table, the verdicts and the caveats.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = self.write(&mut text);
        text
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        out.push_str(&table(&self.rows()));
        writeln!(out, "\n{}\n\n{}\n", self.units(), established())?;
        for verdict in self.verdicts() {
            writeln!(out, "* {verdict}")?;
        }
        for caveat in &self.caveats {
            writeln!(out, "* {}", caveat.text)?;
        }
        Ok(())
    }

    /// Whether the runs are this program's.
    fn ours(&self) -> bool {
        self.arms.iter().any(|row| matches!(row.spent, Spent::Run { .. }))
    }

    /// The table, its head first.
    pub(super) fn rows(&self) -> Vec<Vec<String>> {
        let Terms { result, cost, decimals, .. } = &self.terms;
        let mut head = vec!["arm", "n", result, "- random", "- dense"];
        match self.ours() {
            true => head.extend(["activation", cost, "of these scoring", "seconds", "overhead", "joules"]),
            false => head.push(cost),
        }
        let head = head.into_iter().map(String::from).collect();
        std::iter::once(head).chain(self.arms.iter().map(|row| row.cells(*decimals))).collect()
    }

    /// What the columns are.
    pub(super) fn units(&self) -> String {
        let whole = &self.terms.whole;
        let costs = match self.ours() {
            true => format!(
                "Overhead is the measured share of the seconds spent on scoring and selecting. FLOPs are counted, as a share of \
                 those of {whole}. Seconds and joules exclude evaluation."
            ),
            false => format!("Costs are shares of the cost of {whole}."),
        };
        format!(
            "{costs}\nIn brackets: 95 % BCa bootstrap intervals. With few values they are too narrow: with six they contain the mean \
             about 86 times in 100, with ten 90. Differences are paired by seed, p is from the exact sign-flip test."
        )
    }

    /// A sentence for each difference.
    pub(super) fn verdicts(&self) -> impl Iterator<Item = String> {
        self.differences().map(|(row, difference)| self.verdict(row, difference))
    }

    pub(super) fn verdict(&self, row: &Row, difference: &Difference) -> String {
        difference.sentence(&row.arm, &self.terms, &self.but(row, difference))
    }

    pub(super) fn differences(&self) -> impl Iterator<Item = (&Row, &Difference)> {
        self.arms.iter().flat_map(|row| row.differences.iter().map(move |difference| (row, difference)))
    }

    /// What weakens a difference: unequal cost, except against `dense`, and accuracy near chance.
    fn but(&self, row: &Row, difference: &Difference) -> String {
        let Some(reference) = self.arms.iter().find(|other| other.arm == difference.to) else { return String::new() };
        let times = row.spent.cost() / reference.spent.cost();
        let known = difference.to != "dense" && times.is_finite();
        let unequal = known && !(1.0 / SAME_COST..=SAME_COST).contains(&times);
        let near = row.near_chance == Some(true) || reference.near_chance == Some(true);
        let cost = if unequal { format!(", at {times:.2} times its {}", self.terms.noun) } else { String::new() };
        format!("{cost}{}", if near { ", near chance" } else { "" })
    }
}

/// What established means.
pub(super) fn established() -> String {
    format!("Established means: {LEAST_PAIRS} pairs or more, an interval without 0, and p of at most {LEVEL}.")
}

impl Row {
    fn cells(&self, decimals: usize) -> Vec<String> {
        let difference = |to: &str| {
            let found = self.against(to);
            found.map_or_else(String::new, |d| format!("{:+.decimals$}{}", d.mean, brackets(d.interval, decimals)))
        };
        let percent = |share: f64| if share.is_finite() { format!("{:.1} %", 100.0 * share) } else { "unknown".into() };
        let mut cells = vec![
            self.arm.replace('|', "\\|"),
            self.seeds.len().to_string(),
            format!("{:.decimals$}{}", self.accuracy, brackets(self.accuracy_interval, decimals)),
            difference("random"),
            difference("dense"),
        ];
        match self.spent {
            Spent::Run { activation, flops, scoring, seconds, overhead, joules } => cells.extend([
                percent(activation),
                percent(flops),
                percent(scoring),
                format!("{seconds:.1}"),
                percent(overhead),
                joules.map_or_else(|| "unknown".to_string(), |joules| format!("{joules:.0}")),
            ]),
            Spent::Other { cost } => cells.push(percent(cost)),
        }
        cells
    }
}
