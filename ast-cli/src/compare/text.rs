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
        let Terms { result, cost, whole, decimals, .. } = &self.terms;
        let ours = self.arms.iter().any(|row| matches!(row.spent, Spent::Run { .. }));
        let mut head = vec!["arm", "n", result, "- random", "- dense"];
        match ours {
            true => head.extend(["activation", cost, "of these scoring", "seconds", "overhead", "joules"]),
            false => head.push(cost),
        }
        let mut rows = vec![head.into_iter().map(String::from).collect()];
        rows.extend(self.arms.iter().map(|row| row.cells(*decimals)));
        out.push_str(&table(&rows));
        if ours {
            writeln!(
                out,
                "\nOverhead is the measured share of the seconds spent on scoring and selecting. FLOPs are counted, as a share of \
                 those of {whole}. Seconds and joules exclude evaluation."
            )?;
        } else {
            writeln!(out, "\nCosts are shares of the cost of {whole}.")?;
        }
        writeln!(
            out,
            "In brackets: 95 % BCa bootstrap intervals. With few values they are too narrow: with six they contain the mean about 86 \
             times in 100, with ten 90. Differences are paired by seed, p is from the exact sign-flip test.\n\nEstablished means: \
             {LEAST_PAIRS} pairs or more, an interval without 0, and p of at most {LEVEL}.\n"
        )?;
        for (row, difference) in self.differences() {
            writeln!(out, "* {}", difference.sentence(&row.arm, &self.terms, &self.but(row, difference)))?;
        }
        for caveat in &self.caveats {
            writeln!(out, "* {}", caveat.text)?;
        }
        Ok(())
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
