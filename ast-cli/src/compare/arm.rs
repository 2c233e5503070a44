//! An arm of a comparison: a policy and the settings that only this arm has.

use toml::{Table, Value};

use super::statistics::MOST_PAIRS;
use crate::config::{assigned, leaves, overlay};
use crate::failure::Failure;

/// The arms of a list: separated by commas, except those within brackets, as in `random:train.sizes=[20,26,32]`.
pub(super) fn split(arms: &str) -> Vec<&str> {
    let mut depth = 0_usize;
    arms.split(|c: char| {
        match c {
            '[' => depth += 1,
            ']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && depth == 0
    })
    .collect()
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Arm {
    /// Canonical name, `POLICY[:KEY=VALUE]...`; used in tables, files and messages.
    pub(super) name: String,
    pub(super) policy: String,
    /// The arm's own settings, by section. They override flags and files.
    pub(super) own: Table,
}

impl Arm {
    /// Parses `POLICY[:KEY=VALUE]...`; a key without a dot is a parameter of the policy.
    pub(super) fn parse(text: &str) -> Result<Self, Failure> {
        let mut parts = text.split(':').map(str::trim);
        let policy = parts.next().filter(|policy| !policy.is_empty());
        let policy = policy.ok_or_else(|| Failure::usage(format!("the arm `{text}` names no policy")))?.to_string();
        let origin = format!("the arm `{text}`");
        let mut own = Table::new();
        for part in parts {
            let part = match part.split_once('=') {
                Some((key, _)) if key.contains('.') => part.to_string(),
                Some((key, value)) if !key.is_empty() => format!("policy.{key}={value}"),
                _ => return Err(Failure::usage(format!("{origin}: `{part}` is not KEY=VALUE"))),
            };
            let given = assigned(&part, &origin)?;
            for (key, _) in leaves(&given) {
                if let Some(why) = cannot_vary(&key) {
                    return Err(Failure::usage(format!("{origin}: `{key}` cannot vary by arm: {why}")));
                }
                if leaves(&own).iter().any(|(other, _)| *other == key) {
                    return Err(Failure::usage(format!("{origin}: `{key}` is given twice")));
                }
            }
            overlay(&mut own, given);
        }
        Ok(Self { name: canonical(&policy, &own), policy, own })
    }

    /// Says which arm failed.
    pub(super) fn named(&self, failure: Failure) -> Failure {
        Failure::new(failure.kind, format!("arm {}: {failure}", self.name))
    }

    /// Name of the arm's folder: its name without characters that a file system may refuse.
    pub(super) fn folder(&self) -> String {
        let kept = |c: char| if c.is_ascii_alphanumeric() || "-._=".contains(c) { c } else { '_' };
        self.name.chars().map(kept).collect()
    }

    /// Whether `folder` is this arm's name in another spelling. Older programs used the spelling of the command line.
    pub(super) fn is_spelled(&self, folder: &str) -> bool {
        Self::parse(&folder.replace('_', ":")).is_ok_and(|arm| arm.name == self.name)
    }

    /// Whether budgets apply. They do not apply to the dense run, so that one dense run serves the comparisons at every
    /// budget.
    pub(super) fn is_limited(&self) -> bool {
        self.policy != "dense"
    }
}

/// Why a key cannot differ between arms. The two runs of a pair share data, initial network, order, augmentation and
/// evaluation. An arm may only change what selects, how much is trained, and how.
fn cannot_vary(key: &str) -> Option<String> {
    match (key, key.split('.').next().unwrap_or_default()) {
        ("train.seed", _) => Some("a pair is two runs of one seed; --seeds says which seeds".into()),
        ("policy.name", _) => Some("an arm begins with the name of its policy".into()),
        (_, "policy" | "scorer" | "control" | "budget" | "train") => None,
        _ => Some(format!("it is the same for both runs of a pair; for all arms it is --set {key}=VALUE")),
    }
}

/// For a key that the arms or the seeds decide: the flag to use instead.
pub(super) fn decided_elsewhere(key: &str) -> Option<&'static str> {
    match key {
        "train.seed" => Some("--seeds says which seeds are run"),
        "policy.name" => Some("its arms say which policies are run"),
        _ => None,
    }
}

/// Canonical name: keys in order, without `policy.`, numbers in their shortest form: `ast:gamma=2:lambda=0.5`.
fn canonical(policy: &str, own: &Table) -> String {
    let mut values: Vec<String> = leaves(own)
        .into_iter()
        .map(|(key, value)| format!(":{}={}", key.strip_prefix("policy.").unwrap_or(&key), word(value)))
        .collect();
    values.sort_unstable();
    format!("{policy}{}", values.concat())
}

/// The shortest spelling of a value that parses to the same value.
fn word(value: &Value) -> String {
    match value {
        Value::Float(number) if *number == 0.0 => "0".into(),
        Value::Float(number) if number.is_finite() => {
            [number.to_string(), format!("{number:e}")].into_iter().min_by_key(String::len).unwrap_or_default()
        }
        // A word that would parse as another type keeps its quotes.
        Value::String(text) if format!("value = {text}").parse::<Table>().is_err() => text.clone(),
        value => value.to_string(),
    }
}

/// `6` means the seeds 0 to 5, `10..16` means 10 to 15.
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
    fn an_arm_is_a_policy_with_values_of_its_own() {
        let arm = Arm::parse("ast:lambda=0.5:scorer.name=el2n").unwrap();
        assert_eq!((arm.policy.as_str(), arm.folder().as_str()), ("ast", "ast_lambda=0.5_scorer.name=el2n"));
        assert_eq!(arm.own, "policy.lambda = 0.5\nscorer.name = \"el2n\"".parse().unwrap());
        for wrong in ["", ":x=1", "ast:", "ast:lambda", "ast:=1", "ast:lambda=1:policy.lambda=2"] {
            assert!(Arm::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_comma_within_brackets_separates_no_arms() {
        assert_eq!(split("dense,random:train.sizes=[8,16],ast"), ["dense", "random:train.sizes=[8,16]", "ast"]);
        assert_eq!(split("random:a=[1,[2,3],4],ast]"), ["random:a=[1,[2,3],4]", "ast]"]);
        let arm = Arm::parse("random:train.sizes=[8,16]").unwrap();
        assert_eq!(arm.own, "train.sizes = [8, 16]".parse().unwrap());
        assert_eq!(Arm::parse(&arm.name).unwrap(), arm, "{}", arm.name);
    }

    #[test]
    fn one_configuration_has_one_name() {
        let name = |text: &str| Arm::parse(text).unwrap().name;
        for spelling in
            ["ast:lambda=0.5", "ast:lambda=0.50", "ast:lambda=5e-1", "ast:policy.lambda=0.5", "ast: lambda = +0.5 "]
        {
            assert_eq!(name(spelling), "ast:lambda=0.5");
        }
        for spelling in ["ast:gamma=2:gate=hard:lambda=1", "ast:lambda=1.0:gate=\"hard\":gamma=2e0"] {
            assert_eq!(name(spelling), "ast:gamma=2:gate=hard:lambda=1");
        }
        assert_eq!(name("random:train.lr=0.0000002:train.batch_size=0x10"), "random:train.batch_size=16:train.lr=2e-7");
        assert_eq!(name("random:train.epochs=-0.0"), "random:train.epochs=0");
        // A canonical name parses to the same settings and the same name.
        for text in ["ast:gate=\"1\"", "ast:gate=true", "ast:lambda=1e300", "ast:lambda=nan", "ast:gate=a b"] {
            let arm = Arm::parse(text).unwrap();
            assert_eq!(name(&arm.name), arm.name);
            assert_eq!(format!("{:?}", Arm::parse(&arm.name).unwrap().own), format!("{:?}", arm.own), "{text}");
        }
    }

    #[test]
    fn folders_of_older_programs_are_found() {
        let arm = Arm::parse("ast:lambda=0.80:scorer.name=loss:gamma=2:guard=off").unwrap();
        assert_eq!(arm.folder(), "ast_gamma=2_guard=off_lambda=0.8_scorer.name=loss");
        assert!(arm.is_spelled("ast_lambda=0.8_scorer.name=loss_gamma=2_guard=off"));
        for other in ["ast", "ast_lambda=0.8_gamma=2_guard=off", "seeds", "comparison.md", ""] {
            assert!(!arm.is_spelled(other), "{other}");
        }
    }

    #[test]
    fn settings_shared_by_a_pair_cannot_differ_between_arms() {
        for key in ["policy.lambda", "scorer.name", "control.ki", "budget.fraction", "train.epochs", "train.lr"] {
            assert_eq!(cannot_vary(key), None, "{key}");
        }
        let fixed = [
            "train.seed",
            "policy.name",
            "data.dir",
            "data.validation",
            "data.label_noise",
            "data.augment",
            "model.name",
            "eval.every_epochs",
            "checkpoint.keep",
            "device.threads",
        ];
        for key in fixed {
            assert!(Arm::parse(&format!("random:{key}=1")).unwrap_err().to_string().contains(key), "{key}");
        }
        assert!(Arm::parse("random:train.seed=7").unwrap_err().to_string().contains("--seeds"));
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
