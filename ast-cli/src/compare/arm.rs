//! One of the things that are compared: a policy, and what else is set for it.

use super::statistics::MOST_PAIRS;
use crate::failure::Failure;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Arm {
    /// As it was given: its name everywhere.
    pub(super) name: String,
    pub(super) policy: String,
    /// Further assignments, as for `--set`.
    pub(super) set: Vec<String>,
}

impl Arm {
    /// `POLICY[:KEY=VALUE]...`; a key without a dot is one of the policy's.
    pub(super) fn parse(text: &str) -> Result<Self, Failure> {
        let mut parts = text.split(':').map(str::trim);
        let policy = parts.next().filter(|policy| !policy.is_empty());
        let policy = policy.ok_or_else(|| Failure::usage(format!("--arms: `{text}` names no policy")))?.to_string();
        let assignment = |part: &str| match part.split_once('=') {
            Some((key, _)) if key.contains('.') => Ok(part.to_string()),
            Some((key, value)) if !key.is_empty() => Ok(format!("policy.{key}={value}")),
            _ => Err(Failure::usage(format!("--arms {text}: `{part}` is not KEY=VALUE"))),
        };
        let set = parts.map(assignment).collect::<Result<_, _>>()?;
        Ok(Self { name: text.trim().to_string(), policy, set })
    }

    /// Its folder: the name, with what a file system may not like replaced.
    pub(super) fn folder(&self) -> String {
        let kept = |c: char| if c.is_ascii_alphanumeric() || "-._=".contains(c) { c } else { '_' };
        self.name.chars().map(kept).collect()
    }
}

/// `6` is 0 to 5, `10..16` is 10 to 15.
pub(super) fn seeds(text: &str) -> Result<Vec<u64>, Failure> {
    let number = |part: &str| part.trim().parse::<u32>().ok().map(u64::from);
    let range = match text.split_once("..") {
        Some((from, to)) => number(from).zip(number(to)),
        None => number(text).map(|n| (0, n)),
    };
    match range {
        Some((from, to)) if from < to && to - from <= MOST_PAIRS as u64 => Ok((from..to).collect()),
        _ => Err(Failure::usage(format!(
            "--seeds {text}: write 6 for the seeds 0 to 5, or 10..16 for 10 to 15; at most {MOST_PAIRS}"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arm_is_a_policy_with_assignments() {
        let arm = Arm::parse("ast:lambda=0.5:scorer.name=el2n").unwrap();
        assert_eq!((arm.policy.as_str(), arm.folder().as_str()), ("ast", "ast_lambda=0.5_scorer.name=el2n"));
        assert_eq!(arm.set, ["policy.lambda=0.5", "scorer.name=el2n"]);
        for wrong in ["", ":x=1", "ast:", "ast:lambda", "ast:=1"] {
            assert!(Arm::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn seeds_are_a_number_or_a_range() {
        assert_eq!(seeds("3").unwrap(), [0, 1, 2]);
        assert_eq!(seeds("10..12").unwrap(), [10, 11]);
        for wrong in ["0", "3..3", "-1", "a", "0..21", ""] {
            assert!(seeds(wrong).is_err(), "{wrong}");
        }
    }
}
