//! The page of a comparison.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use askama::Template;
use ast_core::data::Dataset;
use ast_core::run::{Event, Summary};

use super::chart::{Chart, Curve, Drawn};
use super::data::events;
use super::samples::{Sheet, sheet_of_arm};
use crate::plot::Points;
use crate::records;
use crate::{config, dataset};

/// The runs of each arm, with their folders.
pub(crate) type ArmRuns<'a> = Vec<(&'a str, Vec<(PathBuf, &'a Summary)>)>;

/// What the page of a comparison is made from.
pub(crate) struct Compared<'a> {
    pub(crate) title: String,
    /// What was asked and what came out.
    pub(crate) sentences: Vec<String>,
    pub(crate) verdicts: Vec<String>,
    /// What established means.
    pub(crate) terms: String,
    pub(crate) caveats: Vec<String>,
    /// The table, its head first.
    pub(crate) table: Vec<Vec<String>>,
    /// The picture of all pairs, as SVG.
    pub(crate) picture: &'a str,
    /// The runs of each arm, if they are runs of this program.
    pub(crate) arms: ArmRuns<'a>,
    /// The command that repeats it.
    pub(crate) command: String,
}

#[derive(Template)]
#[template(path = "comparison.html")]
struct ComparisonPage<'a> {
    title: &'a str,
    sentences: &'a [String],
    verdicts: &'a [String],
    terms: &'a str,
    caveats: &'a [String],
    table: &'a [Vec<String>],
    picture: String,
    charts: Vec<Drawn>,
    sheets: Vec<Sheet>,
    command: &'a str,
}

impl Compared<'_> {
    /// The page. An error is that of a drawing or of the template.
    pub(crate) fn page(&self) -> Result<String, String> {
        // Of a fixed size it would not fit a phone.
        let picture = match self.picture.split_once("viewBox") {
            Some((_, rest)) => format!("<svg aria-hidden=\"true\" viewBox{rest}"),
            None => self.picture.to_string(),
        };
        let page = ComparisonPage {
            title: &self.title,
            sentences: &self.sentences,
            verdicts: &self.verdicts,
            terms: &self.terms,
            caveats: &self.caveats,
            table: &self.table,
            picture,
            charts: charts(&self.arms)?,
            sheets: sheets(&self.arms),
            command: &self.command,
        };
        page.render().map_err(|error| error.to_string())
    }
}

/// What the first run of each arm trained on most. Runs of older programs have no ledger, and data may be gone: then
/// there is nothing to show.
fn sheets<'a>(arms: &ArmRuns<'a>) -> Vec<Sheet> {
    // Runs of one seed share the data: it is read once.
    let mut known: BTreeMap<&str, Arc<dyn Dataset>> = BTreeMap::new();
    let of = |(arm, runs): &(&str, Vec<(PathBuf, &'a Summary)>)| {
        let (folder, summary) = runs.first()?;
        let ledger = records::ledger(folder, summary).ok()??;
        let fingerprint = summary.origin.as_ref().map_or("", |origin| origin.data.as_str());
        let data = match known.get(fingerprint) {
            Some(data) => data.clone(),
            None => dataset::of_run(&config::of_run_folder(folder).ok()?, summary).ok()?,
        };
        if !fingerprint.is_empty() {
            known.insert(fingerprint, data.clone());
        }
        sheet_of_arm(arm, &ledger, summary, data.as_ref()).ok()?
    };
    arms.iter().filter_map(of).collect()
}

/// An evaluation: nominal epoch and result.
type Evaluations = Vec<(f64, f64)>;

fn charts(arms: &ArmRuns<'_>) -> Result<Vec<Drawn>, String> {
    let text = arms.iter().flat_map(|(_, runs)| runs).any(|(_, summary)| summary.text.is_some());
    let (mut over, mut price) = (Vec::new(), Vec::new());
    for (colour, (arm, runs)) in (0..).zip(arms) {
        let evaluations: Vec<Evaluations> = runs.iter().map(|(folder, _)| evaluations(folder, text)).collect();
        over.push(averaged(arm, colour, &evaluations));
        let end = |(_, summary): &(PathBuf, &Summary)| {
            let cost = 100.0 * summary.flops.total as f64 / (summary.flops.dense_run.max(1)) as f64;
            (cost, if text { summary.loss.last } else { summary.accuracy.last })
        };
        price.push(Curve::new(*arm, colour, runs.iter().map(end).collect()));
    }
    let result = if text { "loss, nats a token" } else { "accuracy, %" };
    let unit = if text { "" } else { " %" };
    let chart = |title: String, across: &str, curves| Chart {
        title,
        across: across.into(),
        bounds: [None, None],
        unit,
        curves,
    };
    let all = [
        chart(result.into(), "nominal epochs", over),
        chart(format!("{result} at the end, by cost"), "FLOPs, % of a dense run's", price),
    ];
    all.into_iter().filter_map(|chart| chart.drawn().transpose()).collect()
}

fn evaluations(folder: &Path, text: bool) -> Evaluations {
    let of = |event| match event {
        Event::Evaluated { epoch, accuracy, loss, .. } => Some((epoch, if text { loss } else { accuracy })),
        _ => None,
    };
    // A run without a log has no curve.
    events(folder).unwrap_or_default().into_iter().filter_map(of).collect()
}

/// The mean of an arm's runs at each of their evaluations, with the lowest and the highest.
fn averaged(arm: &str, colour: u8, runs: &[Evaluations]) -> Curve {
    let least = runs.iter().map(Vec::len).filter(|n| *n > 0).min().unwrap_or(0);
    let at = |i: usize| -> (f64, f64, f64, f64) {
        let values: Points = runs.iter().filter_map(|run| run.get(i).copied()).collect();
        let mean = |of: fn(&(f64, f64)) -> f64| values.iter().map(of).sum::<f64>() / values.len() as f64;
        let results = || values.iter().map(|(_, result)| *result);
        let (low, high) = (results().fold(f64::INFINITY, f64::min), results().fold(f64::NEG_INFINITY, f64::max));
        (mean(|value| value.0), mean(|value| value.1), low, high)
    };
    let means: Vec<_> = (0..least).map(at).collect();
    let mut curve = Curve::new(arm, colour, means.iter().map(|(x, mean, ..)| (*x, *mean)).collect());
    if runs.len() > 1 {
        curve.band = means.iter().map(|(x, _, low, high)| (*x, *low, *high)).collect();
    }
    curve
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_runs_of_an_arm_are_averaged_where_all_were_evaluated() {
        let runs = [vec![(1.0, 10.0), (2.0, 30.0)], vec![(1.0, 20.0), (2.5, 50.0), (3.0, 60.0)], Vec::new()];
        let curve = averaged("a", 1, &runs);
        assert_eq!(curve.points, [(1.0, 15.0), (2.25, 40.0)]);
        assert_eq!(curve.band, [(1.0, 10.0, 20.0), (2.25, 30.0, 50.0)]);
        assert!(averaged("a", 1, &[]).points.is_empty());
    }
}
