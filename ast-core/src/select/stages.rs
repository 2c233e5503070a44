//! Stages of a run: which level its samples have, by the share of the budget spent.

use serde::{Deserialize, Serialize};

use super::counts::PassCost;
use super::sample::Level;

/// A part of a run, in which all samples have one level, such as an image size.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Stage {
    /// The level of its samples.
    pub level: Level,
    /// Its share of the budget, in (0, 1].
    pub share: f64,
}

/// Checks stages against the levels that have a cost.
pub(crate) fn check(stages: &[Stage], costs: &[PassCost]) -> Result<(), &'static str> {
    if stages.iter().any(|stage| usize::from(stage.level) >= costs.len()) {
        return Err("each level needs a cost: see `Selector::set_costs`");
    }
    if stages.iter().any(|stage| !(stage.share > 0.0 && stage.share <= 1.0)) {
        return Err("each share must be a number in (0, 1]");
    }
    let sum: f64 = stages.iter().map(|stage| stage.share).sum();
    if (sum - 1.0).abs() > 1e-6 {
        return Err("the shares must add up to 1");
    }
    Ok(())
}

/// The number of the stage after a share `spent` (0 and above) of the budget. The last stage has no end.
pub(crate) fn stage_at(stages: &[Stage], spent: f64) -> usize {
    let ends = stages.iter().scan(0.0, |end, stage| {
        *end += stage.share;
        Some(*end)
    });
    // The 1e-9 absorbs rounding: three tenths add up to more than 0.3.
    ends.take_while(|end| spent >= *end - 1e-9).count().min(stages.len().saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_ends_with_its_share() {
        let stages: Vec<Stage> = [0.1, 0.2, 0.7].iter().map(|share| Stage { level: 1, share: *share }).collect();
        for (spent, expected) in [(0.0, 0), (0.09, 0), (0.1, 1), (0.29, 1), (0.3, 2), (1.0, 2), (7.0, 2)] {
            assert_eq!(stage_at(&stages, spent), expected, "{spent}");
        }
        assert_eq!(stage_at(&[], 0.5), 0);
    }

    #[test]
    fn impossible_stages_are_refused() {
        let costs = [PassCost { forward: 1, step: 3 }; 2];
        let checked = |stages: &[(Level, f64)]| {
            let stages: Vec<Stage> =
                stages.iter().map(|(level, share)| Stage { level: *level, share: *share }).collect();
            check(&stages, &costs)
        };
        assert_eq!(checked(&[(1, 0.25), (0, 0.75)]), Ok(()));
        assert!(checked(&[(2, 1.0)]).unwrap_err().contains("a cost"));
        assert!(checked(&[(1, 0.0), (0, 1.0)]).unwrap_err().contains("each share"));
        assert!(checked(&[(1, f64::NAN), (0, 1.0)]).unwrap_err().contains("each share"));
        assert!(checked(&[(1, 0.5), (0, 0.6)]).unwrap_err().contains("add up to 1"));
        assert!(checked(&[]).is_err());
    }
}
