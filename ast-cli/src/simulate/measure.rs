//! Computes the table from the traces: which policies hold the target, and how soon.

use ast_control::Ema;
use serde::Serialize;

use super::case::Case;
use super::policies::{Trace, Turn};

/// Number of chunks that settling is averaged over, to reduce the noise of single chunks.
pub(super) const STRETCH: usize = 20;

/// The measurements of a case.
#[derive(Debug, Serialize)]
pub(super) struct Measured {
    pub(super) case: &'static str,
    pub(super) chunks: usize,
    /// The target at the end.
    pub(super) target: f64,
    /// The chunk from which settling and overshoot are counted.
    pub(super) event: usize,
    /// Allowed error of a mean rate: three standard errors, or half a point.
    pub(super) tolerance: f64,
    /// Standard deviation of the rate of one chunk, by chance.
    pub(super) noise: f64,
    pub(super) policies: Vec<Row>,
}

/// The measurements of a policy in a case.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    pub(super) policy: &'static str,
    /// Mean rate over the last quarter.
    pub(super) mean_rate: f64,
    /// Root mean square error of the smoothed rate, over the whole run.
    pub(super) rms_error: f64,
    /// Number of chunks after the event; `None` if it never settles.
    pub(super) settled_after: Option<usize>,
    /// Largest excess of the smoothed rate over the target after the event.
    pub(super) overshoot: f64,
    /// Threshold at the end, on the policy's own scale.
    pub(super) threshold: f64,
    /// Mean rate in the second half of the chunks in which too few samples are free, if there are any.
    pub(super) starved_rate: Option<f64>,
}

pub(super) fn smoothed(turns: &[Turn], ema: f64) -> Vec<f64> {
    let mut average = Ema::new(ema);
    turns.iter().map(|turn| average.update(turn.rate)).collect()
}

fn mean_rate(turns: &[Turn]) -> f64 {
    turns.iter().map(|turn| turn.rate).sum::<f64>() / turns.len() as f64
}

/// Standard error of the mean over `candidates` independent candidates.
fn standard_error(target: f64, candidates: usize) -> f64 {
    (target * (1.0 - target) / candidates as f64).sqrt()
}

/// The first turn from which every mean over [`STRETCH`] turns is within `band` of the target. There must be more than
/// [`STRETCH`] such means: a policy that only passes the target at the end has not settled.
fn settled_after(turns: &[Turn], target: f64, band: f64) -> Option<usize> {
    let outside = |stretch: &[Turn]| (mean_rate(stretch) - target).abs() > band;
    let mut stretches = turns.windows(STRETCH);
    let count = stretches.len();
    let after = stretches.rposition(outside).map_or(0, |last| last + 1);
    (after + STRETCH < count).then_some(after)
}

impl Row {
    fn of(case: &Case, trace: &Trace, ema: f64) -> Self {
        let (turns, target, chunks) = (&trace.turns, case.target(), case.chunks.len());
        let chunk = case.chunk();
        let errors: Vec<f64> =
            smoothed(turns, ema).iter().zip(&case.targets).map(|(rate, target)| rate - target).collect();
        let starved = &turns[case.starved.start + case.starved.len() / 2..case.starved.end];
        Self {
            policy: trace.policy,
            mean_rate: mean_rate(&turns[chunks - chunks / 4..]),
            rms_error: (errors.iter().map(|error| error * error).sum::<f64>() / chunks as f64).sqrt(),
            settled_after: settled_after(&turns[case.event..], target, 5.0 * standard_error(target, STRETCH * chunk)),
            overshoot: errors[case.event..].iter().copied().fold(0.0, f64::max),
            threshold: turns.last().map_or(f64::NAN, |turn| turn.threshold),
            starved_rate: (!starved.is_empty()).then(|| mean_rate(starved)),
        }
    }

    fn cells(&self, case: &str, target: f64) -> Vec<String> {
        vec![
            case.to_string(),
            self.policy.to_string(),
            percent(target),
            percent(self.mean_rate),
            format!("{:.1}", 100.0 * self.rms_error),
            self.settled_after.map_or_else(|| "never".to_string(), |after| after.to_string()),
            format!("{:.1}", 100.0 * self.overshoot),
            format!("{:.3}", self.threshold),
        ]
    }
}

impl Measured {
    pub(super) fn of(case: &Case, traces: &[Trace], ema: f64) -> Self {
        let (chunks, target) = (case.chunks.len(), case.target());
        let chunk = case.chunk();
        Self {
            case: case.name,
            chunks,
            target,
            event: case.event,
            tolerance: (3.0 * standard_error(target, chunks / 4 * chunk)).max(0.005),
            noise: standard_error(target, chunk),
            policies: traces.iter().map(|trace| Row::of(case, trace, ema)).collect(),
        }
    }

    pub(super) fn cells(&self) -> Vec<Vec<String>> {
        self.policies.iter().map(|row| row.cells(self.case, self.target)).collect()
    }
}

pub(super) fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turns(rates: &[f64]) -> Vec<Turn> {
        rates.iter().map(|rate| Turn { rate: *rate, threshold: 0.9 }).collect()
    }

    /// 30 chunks at 1, then at the target: the last stretch of 20 with more than two ones starts at chunk 27.
    #[test]
    fn settling_starts_after_the_last_stretch_outside() {
        let rates: Vec<f64> = (0..100).map(|k| if k < 30 { 1.0 } else { 0.1 }).collect();
        assert_eq!(settled_after(&turns(&rates), 0.1, 0.1), Some(28));
        assert_eq!(settled_after(&turns(&[0.1; 50]), 0.1, 0.01), Some(0));
        assert_eq!(settled_after(&turns(&[0.5; 50]), 0.1, 0.01), None);
        let late: Vec<f64> = (0..100).map(|k| if k < 60 { 1.0 } else { 0.1 }).collect();
        assert_eq!(settled_after(&turns(&late), 0.1, 0.01), Some(60));
        assert_eq!(settled_after(&turns(&late[..95]), 0.1, 0.01), None);
    }
}
