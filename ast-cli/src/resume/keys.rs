//! The keys of a configuration that decide results, and the differences between two configurations in them.

use std::collections::{BTreeMap, BTreeSet};

use ast_core::data::BuildDataset;
use ast_core::inventory::Collect;
use ast_core::optim::BuildOptimizer;
use ast_core::plugin::{Entry, ParamValue, Params, Registry};
use ast_core::run::RunConfig;
use ast_core::score::BuildScorer;
use ast_core::select::BuildPolicy;
use ast_core::train::BuildNetwork;
use toml::{Table, Value};

use crate::failure::{Failure, Kind};

/// Keys that may change when a run is resumed: paths, how the run is computed, and how future NaNs and broken files
/// are handled. All of
/// `checkpoint` may change as well.
const FREE: [&str; 8] = [
    "data.dir",
    "data.on_bad",
    "data.workers",
    "device.hold_data",
    "device.name",
    "device.phase_times",
    "device.threads",
    "train.on_nan",
];
const FREE_SECTION: &str = "checkpoint";

/// Every key that is set and decides results, as `section.key`, with its value as TOML.
pub(super) fn deciding(config: &RunConfig) -> Result<BTreeMap<String, String>, Failure> {
    let table = Table::try_from(config).map_err(|error| Failure::new(Kind::Bug, error.to_string()))?;
    let sections = table.into_iter().filter(|(section, _)| section != FREE_SECTION);
    let keys = sections.flat_map(|(section, value)| {
        let Value::Table(keys) = value else { return Vec::new() };
        keys.into_iter().map(|(key, value)| (format!("{section}.{key}"), value.to_string())).collect()
    });
    Ok(keys.filter(|(key, _)| !FREE.contains(&key.as_str())).collect())
}

/// The values of keys that are not set, with the names of `config`.
pub(super) fn defaults(config: &RunConfig) -> BTreeMap<String, String> {
    let mut defaults = RunConfig::default();
    defaults.data.name.clone_from(&config.data.name);
    defaults.data.params = of_name::<BuildDataset>(&config.data.name);
    defaults.model.name.clone_from(&config.model.name);
    defaults.model.params = of_name::<BuildNetwork>(&config.model.name);
    defaults.optimizer.name.clone_from(&config.optimizer.name);
    defaults.optimizer.params = of_name::<BuildOptimizer>(&config.optimizer.name);
    defaults.policy.name.clone_from(&config.policy.name);
    defaults.policy.params = of_name::<BuildPolicy>(&config.policy.name);
    defaults.scorer.name.clone_from(&config.scorer.name);
    defaults.scorer.params = config.scorer.name.as_deref().map(of_name::<BuildScorer>).unwrap_or_default();
    deciding(&defaults).unwrap_or_default()
}

/// The default parameters of what has this name; none where nothing has.
fn of_name<B>(name: &str) -> BTreeMap<String, ParamValue>
where
    Entry<B>: Collect,
{
    let registry = Registry::<B>::linked();
    registry.and_then(|all| all.get(name)).map(|entry| unset(entry.params)).unwrap_or_default()
}

fn unset(params: &'static [ast_core::plugin::ParamSpec]) -> BTreeMap<String, ParamValue> {
    let params = Params::resolve(params, &BTreeMap::new());
    params.iter().flat_map(Params::iter).map(|(key, value)| (key.to_string(), value.clone())).collect()
}

/// Describes each key whose value differs. A key that is not set, or not known to an older or newer program, has its
/// default.
pub(super) fn differing(
    then: &BTreeMap<String, String>,
    now: &BTreeMap<String, String>,
    defaults: &BTreeMap<String, String>,
) -> Vec<String> {
    let value = |of: &BTreeMap<String, String>, key: &str| of.get(key).or(defaults.get(key)).map(|v| present(key, v));
    let text = |value: Option<String>| value.unwrap_or_else(|| "not set".into());
    let keys: BTreeSet<&String> = then.keys().chain(now.keys()).collect();
    let differing = keys.into_iter().filter(|key| value(then, key) != value(now, key));
    differing.map(|key| format!("`{key}` was {} and is {}", text(value(then, key)), text(value(now, key)))).collect()
}

/// The value of a key, with a policy's former name replaced by its current one.
fn present(key: &str, value: &str) -> String {
    let name = value.trim_matches('"');
    let renamed = || Some(format!("\"{}\"", Registry::<BuildPolicy>::linked().ok()?.get(name).ok()?.name));
    (key == "policy.name").then(renamed).flatten().unwrap_or_else(|| value.to_string())
}

#[cfg(test)]
mod tests {
    use ast_core::run::Switch;

    use super::*;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
    }

    #[test]
    fn every_key_decides_results_except_paths_and_the_like() {
        let keys = deciding(&RunConfig::default()).unwrap();
        for key in
            ["data.name", "model.name", "policy.name", "control.kp", "train.lr", "train.seed", "eval.every_epochs"]
        {
            assert!(keys.contains_key(key), "{key}");
        }
        let free = |key: &&String| FREE.contains(&key.as_str()) || key.starts_with("checkpoint");
        assert_eq!(keys.keys().find(free), None);
        let mut moved = RunConfig::default();
        (moved.data.dir, moved.data.workers) = (Some("elsewhere".into()), 7);
        (moved.device.name, moved.device.threads, moved.checkpoint.keep) = ("cuda".into(), 3, 9);
        (moved.device.phase_times, moved.device.hold_data) = (Switch::Off, Switch::On);
        assert_eq!(deciding(&moved).unwrap(), keys);
    }

    #[test]
    fn differing_keys_are_named_with_both_values() {
        let then = map(&[("a.x", "1"), ("a.y", "2"), ("a.gone", "5"), ("a.old", "7")]);
        let now = map(&[("a.x", "1"), ("a.y", "3"), ("a.new", "6"), ("a.added", "8")]);
        // The earlier program did not know `new`; the present one does not know `old`.
        let defaults = map(&[("a.new", "6"), ("a.old", "7"), ("a.y", "2")]);
        let expected = ["`a.added` was not set and is 8", "`a.gone` was 5 and is not set", "`a.y` was 2 and is 3"];
        assert_eq!(differing(&then, &now, &defaults), expected);
    }

    /// Renaming a policy does not change a run.
    #[test]
    fn a_renamed_policy_is_the_same_policy() {
        let then = map(&[("policy.name", "\"seed\""), ("train.seed", "\"seed\"")]);
        let now = map(&[("policy.name", "\"original\""), ("train.seed", "\"original\"")]);
        assert_eq!(differing(&then, &now, &BTreeMap::new()), ["`train.seed` was \"seed\" and is \"original\""]);
    }

    /// The default of a policy's or scorer's parameter is known to its plugin only.
    #[test]
    fn parameters_that_are_not_set_are_at_their_default() {
        let mut config = RunConfig::default();
        (config.policy.name, config.scorer.name) = ("ast".into(), Some("loss-entropy".into()));
        let (known, unset) = (defaults(&config), deciding(&config).unwrap());
        for key in ["policy.kappa", "scorer.loss_weight"] {
            assert!(known.contains_key(key) && !unset.contains_key(key), "{key}: {known:?}");
        }
        assert_eq!(differing(&known, &unset, &known), Vec::<String>::new());
    }
}
