//! A complete comparison: rows, terms and caveats.

use serde::Serialize;

use super::caveat::{self, Caveat, Limits};
use super::measured::Measured;
use super::verdict::{Row, Terms};

/// `comparison.json`.
#[derive(Debug, Serialize)]
pub(super) struct Comparison {
    pub(super) arms: Vec<Row>,
    #[serde(flatten)]
    pub(super) terms: Terms,
    /// The file of another program's runs, with `--from`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) from: Option<String>,
    /// Whether seeds were added after the first result.
    pub(super) seeds_raised: bool,
    /// What weakens the comparison.
    pub(super) caveats: Vec<Caveat>,
}

impl Comparison {
    /// The rows of `results`, their caveats, and further `caveats` after these.
    pub(super) fn of(results: &[(String, Vec<Measured>)], terms: Terms, limits: Limits, caveats: Vec<Caveat>) -> Self {
        let arms: Vec<Row> = results.iter().map(|(arm, runs)| Row::of(arm, runs, results)).collect();
        let caveats = caveat::of_rows(&arms, &terms, limits).into_iter().chain(caveats).collect();
        Self { arms, terms, from: None, seeds_raised: false, caveats }
    }
}
