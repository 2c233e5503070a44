//! `report.html`: the comparison as a page.

use super::comparison::Comparison;
use super::text::established;
use crate::output::several;
use crate::page::{ArmRuns, Compared};
use crate::shell::command_line;

impl Comparison {
    /// The page, with the picture of all pairs. An error is that of a drawing or of the template.
    pub(super) fn page(&self, runs: ArmRuns<'_>, picture: &str) -> Result<String, String> {
        let names: Vec<&str> = self.arms.iter().map(|row| row.arm.as_str()).collect();
        let seeds = self.arms.iter().map(|row| row.seeds.len()).max().unwrap_or(0);
        let decimals = self.terms.decimals;
        let means = self.arms.iter().map(|row| format!("{} {:.decimals$}", row.arm, row.accuracy));
        let better = self.differences().find(|(_, difference)| difference.to == "random");
        let question = match better {
            Some((row, difference)) => format!(
                "Is {} better than a random choice at this cost? {}",
                row.arm,
                self.verdict(row, difference)
            ),
            None => "There is no arm `random` and another beside it, so nothing says whether selecting by significance pays.".into(),
        };
        let from = self.from.as_ref().map_or(String::new(), |file| format!(" ({file})"));
        let compared = Compared {
            title: format!("{}: {}", names.join(", "), several(seeds, "seed")),
            sentences: vec![
                format!("Differences are between runs of the same seed{from}."),
                format!("Mean {}: {}.", self.terms.result, means.collect::<Vec<_>>().join(", ")),
                question,
            ],
            verdicts: self.verdicts().collect(),
            terms: format!("{} {}", established(), self.units()),
            caveats: self.caveats.iter().map(|caveat| caveat.text.clone()).collect(),
            table: self.rows(),
            picture,
            arms: runs,
            command: command_line(std::env::args_os()),
        };
        compared.page()
    }
}
