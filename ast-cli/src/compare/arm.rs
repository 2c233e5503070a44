//! One of the things that are compared: a policy, and what else is set for it.

use toml::{Table, Value};

use super::statistics::MOST_PAIRS;
use crate::config::{assigned, leaves, overlay};
use crate::failure::Failure;

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Arm {
    /// The policy and its own values, in one spelling: its name everywhere.
    pub(super) name: String,
    pub(super) policy: String,
    /// Its own values, by section; they go over flags and files.
    pub(super) own: Table,
}

impl Arm {
    /// `POLICY[:KEY=VALUE]...`; a key without a dot is one of the policy's.
    pub(super) fn parse(text: &str) -> Result<Self, Failure> {
        let mut parts = text.split(':').map(str::trim);
        let policy = parts.next().filter(|policy| !policy.is_empty());
        let policy = policy.ok_or_else(|| Failure::usage(format!("--arms: `{text}` names no policy")))?.to_string();
        let origin = format!("--arms {text}");
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

    /// Its folder: the name, with what a file system may not like replaced.
    pub(super) fn folder(&self) -> String {
        let kept = |c: char| if c.is_ascii_alphanumeric() || "-._=".contains(c) { c } else { '_' };
        self.name.chars().map(kept).collect()
    }

    /// Whether a folder has its name in another spelling, as older programs took it from the command line.
    pub(super) fn is_spelled(&self, folder: &str) -> bool {
        Self::parse(&folder.replace('_', ":")).is_ok_and(|arm| arm.name == self.name)
    }

    /// Whether budgets are for it: the dense run costs 1 whatever they are, so that one run serves the comparisons at every
    /// budget.
    pub(super) fn is_limited(&self) -> bool {
        self.policy != "dense"
    }
}

/// Why an arm may not set a key for itself. Two runs of a pair have the same data, initial network, order and augmentation,
/// and are evaluated alike: what is left is what selects, how much is trained, and how.
fn cannot_vary(key: &str) -> Option<String> {
    match (key, key.split('.').next().unwrap_or_default()) {
        ("train.seed", _) => Some("a pair is two runs of one seed; --seeds says which seeds".into()),
        ("policy.name", _) => Some("an arm begins with the name of its policy".into()),
        (_, "policy" | "scorer" | "control" | "budget" | "train") => None,
        _ => Some(format!("it is the same for both runs of a pair; for all arms it is --set {key}=VALUE")),
    }
}

/// What to say instead of a key that the arms or the seeds decide.
pub(super) fn decided_elsewhere(key: &str) -> Option<&'static str> {
    match key {
        "train.seed" => Some("--seeds says which seeds are run"),
        "policy.name" => Some("--arms says which policies are run"),
        _ => None,
    }
}

/// Keys in order, without `policy.`, and numbers in their shortest form: `ast:gamma=2:lambda=0.5`.
fn canonical(policy: &str, own: &Table) -> String {
    let mut values: Vec<String> = leaves(own)
        .into_iter()
        .map(|(key, value)| format!(":{}={}", key.strip_prefix("policy.").unwrap_or(&key), word(value)))
        .collect();
    values.sort_unstable();
    format!("{policy}{}", values.concat())
}

/// A value in its shortest spelling that means the same.
fn word(value: &Value) -> String {
    match value {
        Value::Float(number) if *number == 0.0 => "0".into(),
        Value::Float(number) if number.is_finite() => {
            [number.to_string(), format!("{number:e}")].into_iter().min_by_key(String::len).unwrap_or_default()
        }
        // A word that would be read as something else keeps its quotes.
        Value::String(text) if format!("value = {text}").parse::<Table>().is_err() => text.clone(),
        value => value.to_string(),
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
    fn an_arm_is_a_policy_with_values_of_its_own() {
        let arm = Arm::parse("ast:lambda=0.5:scorer.name=el2n").unwrap();
        assert_eq!((arm.policy.as_str(), arm.folder().as_str()), ("ast", "ast_lambda=0.5_scorer.name=el2n"));
        assert_eq!(arm.own, "policy.lambda = 0.5\nscorer.name = \"el2n\"".parse().unwrap());
        for wrong in ["", ":x=1", "ast:", "ast:lambda", "ast:=1", "ast:lambda=1:policy.lambda=2"] {
            assert!(Arm::parse(wrong).is_err(), "{wrong}");
        }
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
        // A name means what it names.
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
    fn what_makes_a_pair_a_pair_cannot_vary_by_arm() {
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
