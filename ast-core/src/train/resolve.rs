//! Builds the parts that a configuration names.

use std::collections::BTreeMap;

use burn::optim::ModuleOptimizer;

use super::networks::BuildNetwork;
use crate::data::BuildDataset;
use crate::inventory::Collect;
use crate::optim::BuildOptimizer;
use crate::plugin::{Entry, ParamError, ParamValue, Params, Registry, RegistryError};
use crate::run::{BudgetConfig, Checked, ConfigError, ControlConfig, OptimizerConfig, Ran, RunConfig, ScorerConfig};
use crate::score::{BuildScorer, PlainLoss, ScoreError, Scorer, ScorerEntry};
use crate::select::{BoxedPolicy, BuildPolicy, PolicyError, PolicyKind, RunLength, ScorerRule};

/// The default scorer if several are compiled in and neither the configuration nor the policy names one.
pub const DEFAULT_SCORER: &str = "loss-intensity";

/// A checked configuration with the policy, scorer and optimizer that it names. A trainer is built from it.
pub struct Resolved {
    /// The configuration with the target and all parameters filled in. A default scorer is not filled in, because it
    /// depends on the policy.
    pub config: RunConfig,
    /// Its checked numbers.
    pub checked: Checked,
    /// The policy.
    pub policy: BoxedPolicy,
    /// The scorer. If the policy uses no scores and the configuration names no scorer, it is the loss.
    pub scorer: Box<dyn Scorer>,
    /// The optimizer before its first step.
    pub optimizer: ModuleOptimizer,
    /// Registered name and crate of the scorer; `None` if no registered scorer is used.
    pub scorer_entry: Option<(&'static str, &'static str)>,
    /// Parameters of the scorer, with defaults filled in.
    pub scorer_params: BTreeMap<String, ParamValue>,
}

/// An error in a configuration, or a missing part.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// A number is out of its range.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Two crates registered the same name.
    #[error(transparent)]
    Registry(RegistryError),
    /// No part of this kind has this name.
    #[error("{kind} {error}")]
    Unknown {
        /// `dataset`, `model`, `optimizer`, `policy` or `scorer`.
        kind: &'static str,
        /// The name, and the names that exist.
        error: RegistryError,
    },
    /// The policy needs scores, but no scorer is compiled in.
    #[error("no scorer is compiled in: build with a scorer's cargo feature, for example --features {DEFAULT_SCORER}")]
    NoScorers,
    /// Several scorers are compiled in, none is chosen, and the default scorer is not among them.
    #[error("the default scorer is missing: {0}; choose one with --scorer")]
    NoDefault(RegistryError),
    /// The policy requires another scorer.
    #[error("policy `{policy}` requires the scorer `{only}`, not `{given}`: remove the setting of the scorer")]
    OtherScorer {
        /// The policy.
        policy: &'static str,
        /// The scorer it requires.
        only: &'static str,
        /// The scorer of the configuration.
        given: String,
    },
    /// The policy trains on every sample and cannot stop at a limit.
    #[error(
        "`{key}`: policy `{policy}` trains on every sample in every epoch and cannot stop at a budget; leave it out{}",
        instead(policy)
    )]
    NoLimit {
        /// The policy.
        policy: &'static str,
        /// The key of the limit.
        key: &'static str,
    },
    /// A parameter is invalid.
    #[error("{kind} `{name}`: {error}")]
    Param {
        /// `dataset`, `model`, `optimizer`, `policy` or `scorer`.
        kind: &'static str,
        /// The name of the part.
        name: &'static str,
        /// The error of the parameter.
        error: ParamError,
    },
    /// The parameters of the policy do not fit together.
    #[error("policy `{0}`: {1}")]
    Policy(&'static str, PolicyError),
    /// The parameters of the scorer do not fit together.
    #[error("scorer `{0}`: {1}")]
    Scorer(&'static str, ScoreError),
}

fn instead(policy: &str) -> &'static str {
    if policy == "dense" { ", or use `random` (a shorter run) or `dense-stopped` (a run stopped early)" } else { "" }
}

/// The entry named in a section of the configuration, and its parameters with defaults filled in.
struct Named<B: 'static> {
    kind: &'static str,
    entry: &'static Entry<B>,
    params: Params,
}

impl<B> Named<B>
where
    Entry<B>: Collect,
{
    fn find(kind: &'static str, name: &str, given: &BTreeMap<String, ParamValue>) -> Result<Self, ResolveError> {
        let registry = Registry::linked().map_err(ResolveError::Registry)?;
        let entry = registry.get(name).map_err(|error| ResolveError::Unknown { kind, error })?;
        Self::of(kind, entry, given)
    }

    fn of(
        kind: &'static str,
        entry: &'static Entry<B>,
        given: &BTreeMap<String, ParamValue>,
    ) -> Result<Self, ResolveError> {
        let refused = |error| ResolveError::Param { kind, name: entry.name, error };
        Ok(Self { kind, entry, params: Params::resolve(entry.params, given).map_err(refused)? })
    }

    /// Writes name and parameters into the configuration, so that it gives the same again.
    fn write(&self, name: &mut String, params: &mut BTreeMap<String, ParamValue>) {
        *name = self.entry.name.into();
        *params = self.params.given();
    }

    fn refused(&self, error: ParamError) -> ResolveError {
        ResolveError::Param { kind: self.kind, name: self.entry.name, error }
    }
}

fn build_optimizer(config: &OptimizerConfig) -> Result<(Named<BuildOptimizer>, ModuleOptimizer), ResolveError> {
    let named = Named::<BuildOptimizer>::find("optimizer", &config.name, &config.params)?;
    let optimizer = (named.entry.build)(&named.params).map_err(|error| named.refused(error))?;
    Ok((named, optimizer))
}

impl RunConfig {
    /// Looks up every name, checks every number, and builds policy, scorer and optimizer. Dataset and network are only
    /// looked up; they are built later, from files and for a device.
    ///
    /// # Errors
    /// [`ResolveError`], which names the key.
    pub fn resolve(mut self) -> Result<Resolved, ResolveError> {
        let checked = self.check()?;
        Named::<BuildDataset>::find("dataset", &self.data.name, &self.data.params)?
            .write(&mut self.data.name, &mut self.data.params);
        Named::<BuildNetwork>::find("model", &self.model.name, &self.model.params)?
            .write(&mut self.model.name, &mut self.model.params);
        let (named, optimizer) = build_optimizer(&self.optimizer)?;
        named.write(&mut self.optimizer.name, &mut self.optimizer.params);

        let named = Named::<BuildPolicy>::find("policy", &self.policy.name, &self.policy.params)?;
        let name = named.entry.name;
        let policy = named.entry.build(&named.params, checked.goal()).map_err(|error| match error {
            PolicyError::Param(error) => named.refused(error),
            error => ResolveError::Policy(name, error),
        })?;
        named.write(&mut self.policy.name, &mut self.policy.params);
        if self.budget.fraction.is_none() && policy.kind.keeps_target {
            self.control.target = Some(checked.goal.target);
        }
        if policy.kind.run_length == RunLength::Whole {
            let budget = self.budget;
            let keys = [("budget.fraction", budget.fraction.is_some()), ("budget.seconds", budget.seconds.is_some())];
            if let Some((key, _)) = keys.into_iter().find(|(_, given)| *given) {
                return Err(ResolveError::NoLimit { policy: name, key });
            }
        }

        let scorers = Registry::linked().map_err(ResolveError::Registry)?;
        let entry = choose_scorer(&scorers, self.scorer.name.as_deref(), name, policy.kind.scorer)?;
        let (mut scorer, mut scorer_entry, mut scorer_params): (Box<dyn Scorer>, _, _) =
            (Box::new(PlainLoss), None, BTreeMap::new());
        if let Some(entry) = entry {
            let named = Named::of("scorer", entry, &self.scorer.params)?;
            scorer = (entry.build)(&named.params).map_err(|error| match error {
                ScoreError::Param(error) => named.refused(error),
                error => ResolveError::Scorer(entry.name, error),
            })?;
            (scorer_entry, scorer_params) = (Some((entry.name, entry.origin)), named.params.given());
            if self.scorer.name.is_some() {
                self.scorer.name = Some(entry.name.into());
                self.scorer.params.clone_from(&scorer_params);
            }
        }
        Ok(Resolved { config: self, checked, policy, scorer, optimizer, scorer_entry, scorer_params })
    }
}

impl Resolved {
    /// A run with a policy and a scorer that need not be registered. The sections `policy`, `scorer`, `data` and
    /// `model` of the configuration are then only labels.
    ///
    /// # Errors
    /// [`ResolveError`] for a number or for the optimizer.
    pub fn of(
        config: RunConfig,
        policy: impl Into<BoxedPolicy>,
        scorer: Box<dyn Scorer>,
    ) -> Result<Self, ResolveError> {
        let (checked, (_, optimizer)) = (config.check()?, build_optimizer(&config.optimizer)?);
        let policy = policy.into();
        Ok(Self { config, checked, policy, scorer, optimizer, scorer_entry: None, scorer_params: BTreeMap::new() })
    }

    /// Warnings to show before the run starts, as far as they follow from the configuration alone.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let ignored = ignored_target(self.policy.kind, &self.config.policy.name, &self.checked);
        ignored.into_iter().chain(self.policy.warning()).collect()
    }

    /// Names of the parts, for reports before the run starts.
    #[must_use]
    pub fn ran(&self) -> Ran {
        let uses = self.policy.kind.scorer != ScorerRule::Unused;
        Ran {
            policy: self.config.policy.name.clone(),
            acts_as: self.policy.acts_as().map(Into::into),
            scorer: self.scorer_entry.filter(|_| uses).map(|(name, _)| name.into()),
            warnings: Vec::new(),
        }
    }

    /// The configuration with all defaults written out, including target and scorer, and without keys that the policy
    /// does not use. Two configurations with the same effective configuration are the same run.
    #[must_use]
    pub fn effective(&self) -> RunConfig {
        let mut config = self.config.clone();
        config.scorer = match self.scorer_entry {
            Some((name, _)) if self.policy.kind.scorer != ScorerRule::Unused => {
                ScorerConfig { name: Some(name.into()), params: self.scorer_params.clone() }
            }
            _ => ScorerConfig::default(),
        };
        if self.policy.kind.run_length == RunLength::Whole {
            (config.control, config.budget) = (ControlConfig::default(), BudgetConfig::default());
        } else if config.budget.fraction.is_none() {
            config.control.target = Some(self.checked.goal.target);
        }
        config
    }
}

/// The warning if an activation rate is set but the policy does not keep it.
pub(crate) fn ignored_target(kind: PolicyKind, name: &str, checked: &Checked) -> Option<String> {
    let (target, whole) = (checked.goal.target, kind.run_length == RunLength::Whole);
    let as_asked = kind.keeps_target || (whole && target == 1.0);
    (checked.target_is_given && !as_asked).then(|| {
        format!(
            "`{name}` decides by itself how much it trains and does not keep an activation of {:.1} %{}",
            100.0 * target,
            if whole { "" } else { "; use --budget to end the run at a given cost" }
        )
    })
}

/// Chooses the scorer. `None` if the policy uses no scores and no scorer is set.
fn choose_scorer(
    scorers: &Registry<BuildScorer>,
    named: Option<&str>,
    policy: &'static str,
    scores: ScorerRule,
) -> Result<Option<&'static ScorerEntry>, ResolveError> {
    let name = match (named, scores) {
        (Some(given), ScorerRule::Only(only)) if given != only => {
            return Err(ResolveError::OtherScorer { policy, only, given: given.to_string() });
        }
        (None, ScorerRule::Unused) => return Ok(None),
        (None, ScorerRule::Only(only)) => Some(only),
        (None, ScorerRule::Prefer(preferred)) => scorers.get(preferred).ok().map(|entry| entry.name),
        (name, _) => name,
    };
    let mut all = scorers.iter();
    match (name, all.len(), all.next()) {
        (Some(name), _, _) => {
            scorers.get(name).map(Some).map_err(|error| ResolveError::Unknown { kind: "scorer", error })
        }
        (None, _, None) => Err(ResolveError::NoScorers),
        (None, 1, only) => Ok(only),
        (None, _, _) => scorers.get(DEFAULT_SCORER).map(Some).map_err(ResolveError::NoDefault),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    crate::register_dataset! {
        name: "procedural",
        summary: "placeholder for the dataset of the default configuration, which is in another crate",
        params: &[],
        build: |_| Err(ParamError::Undeclared("never built")),
    }

    fn resolve(change: impl FnOnce(&mut RunConfig)) -> Result<Resolved, ResolveError> {
        let mut config = RunConfig::default();
        change(&mut config);
        config.resolve()
    }

    fn refused(change: impl FnOnce(&mut RunConfig)) -> String {
        resolve(change).map(|_| ()).unwrap_err().to_string()
    }

    /// The policy is the configured one, with its parameters.
    #[test]
    fn the_policy_is_the_configured_one() {
        let mut random = resolve(|config| config.policy.name = "random".into()).unwrap();
        assert_eq!(random.policy.begin(0.5), 0.1);
        assert!(random.config.scorer.name.is_none() && random.scorer_entry.is_none());
        // `ast` needs a scorer, but no scorer is linked here.
        assert!(matches!(resolve(|_| {}), Err(ResolveError::NoScorers)));
        let pruned = resolve(|config| {
            config.policy.name = "infobatch".into();
            config.policy.params.insert("ratio".into(), ParamValue::Number(0.0));
        })
        .unwrap();
        assert_eq!(pruned.policy.stats(&pruned.checked.goal).target, 1.0);
        assert_eq!(pruned.config.policy.params["dense_tail"], ParamValue::Number(0.125), "defaults are filled in");
    }

    #[test]
    fn an_earlier_name_becomes_the_current_one() {
        let run = resolve(|config| (config.policy.name, config.budget.seconds) = ("seed".into(), Some(1.0)));
        assert_eq!(run.unwrap().config.policy.name, "original");
    }

    #[test]
    fn unknown_names_and_impossible_limits_are_refused() {
        fn missing<B>(what: &str) -> String
        where
            Entry<B>: Collect,
        {
            let there: Vec<&str> = Registry::<B>::linked().unwrap().iter().map(|entry| entry.name).collect();
            format!("{what} is not compiled in; there are: {}", there.join(", "))
        }
        let message = refused(|config| config.model.name = "nowhere".into());
        assert_eq!(message, missing::<BuildNetwork>("model `nowhere`"));
        let message = refused(|config| config.optimizer.name = "nowhere".into());
        assert_eq!(message, missing::<BuildOptimizer>("optimizer `nowhere`"));
        let message = refused(|config| config.data.name = "nowhere".into());
        assert_eq!(message, missing::<BuildDataset>("dataset `nowhere`"));
        assert!(message.ends_with(": procedural"), "{message}");
        let message = refused(|config| drop(config.model.params.insert("depth".into(), 64.into())));
        assert!(message.starts_with("model `simple-cnn`: unknown parameter `depth`; "), "{message}");
        let message = refused(|config| drop(config.optimizer.params.insert("beta1".into(), 1.into())));
        assert_eq!(message, "optimizer `adam`: `beta1` = 1 is not a number in 0..=0.9999");
        assert!(refused(|config| config.policy.name = "rndom".into()).starts_with("policy `rndom` is not compiled in"));
        let limited = |set: fn(&mut RunConfig)| {
            refused(|config| {
                config.policy.name = "dense".into();
                set(config);
            })
        };
        assert!(limited(|config| config.budget.fraction = Some(0.1)).starts_with("`budget.fraction`: policy `dense`"));
        assert!(limited(|config| config.budget.seconds = Some(1.0)).starts_with("`budget.seconds`: policy `dense`"));
        let message = refused(|config| {
            config.policy.name = "random".into();
            config.policy.params.insert("lambda".into(), ParamValue::Number(0.5));
        });
        assert!(message.starts_with("policy `random`: "), "{message}");
    }
}
