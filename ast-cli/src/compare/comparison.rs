//! The whole of a comparison: rows, what they are of, and what a reader has to know.

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
    /// The file that the runs of another program were read from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) from: Option<String>,
    /// Whether seeds were added after the first result.
    pub(super) seeds_raised: bool,
    /// What a reader of the table has to know.
    pub(super) caveats: Vec<Caveat>,
}

impl Comparison {
    /// The rows of `results`, and after what they say themselves the further `caveats`.
    pub(super) fn of(results: &[(String, Vec<Measured>)], terms: Terms, limits: Limits, caveats: Vec<Caveat>) -> Self {
        let arms: Vec<Row> = results.iter().map(|(arm, runs)| Row::of(arm, runs, results)).collect();
        let caveats = caveat::of_rows(&arms, &terms, limits).into_iter().chain(caveats).collect();
        Self { arms, terms, from: None, seeds_raised: false, caveats }
    }
}
