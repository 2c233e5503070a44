//! From layers of TOML to one checked configuration.

mod layers;
pub(crate) use layers::{assigned, leaves, of_surroundings, overlay};
#[cfg(test)]
mod malformed;
mod presets;

use ast_core::{Checked, Params, Policy, PolicyEntry, Registry, RegistryError, RunConfig, Scorer, ScorerEntry, Scores};
use toml::Table;

use crate::args::TrainArgs;
use crate::failure::{Failure, Kind, did_you_mean};
use crate::output::note;
use crate::run_folder::CONFIG;

/// The scorer used where several are compiled in and none is named.
const DEFAULT_SCORER: &str = "loss-intensity";

/// A configuration in which every name is known and every number is in its range.
pub(crate) struct Resolved {
    pub(crate) config: RunConfig,
    pub(crate) checked: Checked,
    pub(crate) policy: Box<dyn Policy>,
    pub(crate) scorer: Box<dyn Scorer>,
    pub(crate) scorer_origin: &'static str,
}

/// Layers < checks < registries.
pub(crate) fn resolve(args: &TrainArgs) -> Result<Resolved, Failure> {
    let resolved = resolve_table(match &args.resume {
        Some(run) => layers::of_run(&run.join(CONFIG), args)?,
        None => layers::merge(args)?,
    })?;
    if let (Some(scorer), Scores::Unused) = (&args.scorer, resolved.policy.scores()) {
        let policy = &resolved.config.policy.name;
        note(&format!("policy {policy} decides without scores: {scorer} has no influence on this run"));
    }
    Ok(resolved)
}

/// An arm of a comparison: what holds for all, and over it the arm's `own`.
pub(crate) fn resolve_arm(args: &TrainArgs, own: &Table, limited: bool) -> Result<Resolved, Failure> {
    resolve_table(layers::of_arm(args, own, limited)?)
}

/// The nominal epochs that hold for all arms of a comparison.
pub(crate) fn nominal_epochs(args: &TrainArgs) -> Result<u32, Failure> {
    Ok(read(layers::merge(args)?)?.train.epochs)
}

fn resolve_table(table: Table) -> Result<Resolved, Failure> {
    let mut config = read(table)?;
    let checked = config.check().map_err(Failure::usage)?;
    if config.budget.fraction.is_none() {
        config.control.target = Some(checked.task().target);
    }
    let scorers = Registry::linked().map_err(|error| Failure::new(Kind::Bug, error.to_string()))?;
    let policies = Registry::linked().map_err(|error| Failure::new(Kind::Bug, error.to_string()))?;

    let policy: &PolicyEntry = policies.get(&config.policy.name).map_err(|error| unknown("policy", &error))?;
    let params =
        Params::resolve(policy.params, &config.policy.params).map_err(|e| in_section("policy", policy.name, &e))?;
    config.policy.params = params.iter().map(|(key, value)| (key.to_string(), value.clone())).collect();
    let built_policy = (policy.build)(&params, checked.task()).map_err(Failure::usage)?;

    let scorer = choose_scorer(&scorers, config.scorer.name.as_deref(), policy.name, built_policy.scores())?;
    config.scorer.name = Some(scorer.name.to_string());
    let params =
        Params::resolve(scorer.params, &config.scorer.params).map_err(|e| in_section("scorer", scorer.name, &e))?;
    config.scorer.params = params.iter().map(|(key, value)| (key.to_string(), value.clone())).collect();
    let built_scorer = (scorer.build)(&params).map_err(Failure::usage)?;

    Ok(Resolved { config, checked, policy: built_policy, scorer: built_scorer, scorer_origin: scorer.origin })
}

fn read(table: Table) -> Result<RunConfig, Failure> {
    serde_path_to_error::deserialize(toml::Value::Table(table)).map_err(|error| {
        let key = error.path().to_string();
        Failure::usage(format!("`{key}`: {}", error.into_inner().to_string().trim()))
    })
}

fn choose_scorer(
    scorers: &Registry<ast_core::BuildScorer>,
    name: Option<&str>,
    policy: &str,
    scores: Scores,
) -> Result<&'static ScorerEntry, Failure> {
    let mut all = scorers.iter();
    let name = match (name, scores) {
        (Some(name), Scores::Only(only)) if name != only => {
            return Err(Failure::usage(format!(
                "policy `{policy}` is defined by the scorer `{only}` and cannot be had with `{name}`: leave the scorer out"
            )));
        }
        (None, Scores::Only(only)) => Some(only),
        (None, Scores::Prefer(preferred)) => scorers.get(preferred).ok().map(|entry| entry.name),
        (name, _) => name,
    };
    match (name, all.len()) {
        (Some(name), _) => scorers.get(name).map_err(|error| unknown("scorer", &error)),
        (None, 0) => Err(Failure::usage(
            "no scorer is compiled in: build with a scorer's cargo feature, for example --features loss-intensity",
        )),
        (None, 1) => {
            let only = all.next().ok_or_else(|| Failure::new(Kind::Bug, "a registry of one was empty"))?;
            if only.name != DEFAULT_SCORER {
                note(&format!("scorer: {}, the only one compiled in", only.name));
            }
            Ok(only)
        }
        (None, _) => scorers.get(DEFAULT_SCORER).map_err(|error| {
            Failure::usage(format!("no scorer is named and the default is missing: {error}; choose one with --scorer"))
        }),
    }
}

/// A missing name is an error that lists what is compiled in and how to get the rest, never a fallback.
fn unknown(kind: &str, error: &RegistryError) -> Failure {
    let RegistryError::Unknown { name, known } = error else {
        return Failure::new(Kind::Bug, error.to_string());
    };
    let hint = match kind {
        "scorer" => "; each scorer comes with the cargo feature of its name (cargo run --features NAME)",
        _ => "",
    };
    Failure::usage(format!("{kind} {error}{hint}{}", did_you_mean(name, known.iter().copied())))
}

fn in_section(section: &str, name: &str, error: &ast_core::ParamError) -> Failure {
    let hint = match error {
        ast_core::ParamError::Unknown { key, known } => did_you_mean(key, known.iter().copied()),
        _ => String::new(),
    };
    Failure::usage(format!("{section} `{name}`: {error}{hint}"))
}

/// The preset's text, to start a file of one's own from.
pub(crate) fn preset_names() -> impl Iterator<Item = &'static str> {
    presets::ALL.iter().map(|(name, _)| *name)
}

/// The keys of the default configuration with every optional one present: what exists to be set.
fn known_keys() -> Table {
    let mut full = RunConfig::default();
    full.data.dir = Some("".into());
    full.data.train_limit = Some(0);
    full.data.validation = Some(0);
    full.control.target = Some(0.0);
    full.budget.fraction = Some(0.0);
    full.budget.seconds = Some(0.0);
    full.scorer.name = Some(String::new());
    Table::try_from(full).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use ast_core::ParamValue;

    use super::*;
    use crate::args::TrainArgs;

    fn resolve_set(set: &[&str]) -> Result<Resolved, Failure> {
        resolve(&TrainArgs { set: set.iter().map(ToString::to_string).collect(), ..TrainArgs::default() })
    }

    fn refused(set: &[&str]) -> String {
        match resolve_set(set) {
            Ok(_) => panic!("{set:?} was accepted"),
            Err(failure) => failure.to_string(),
        }
    }

    #[test]
    fn every_preset_resolves() {
        for name in preset_names() {
            let args = TrainArgs { preset: Some(name.into()), ..TrainArgs::default() };
            assert!(resolve(&args).is_ok(), "{name}");
        }
    }

    #[test]
    fn parameters_go_with_the_name_given_beside_them() {
        let given = |flags: TrainArgs, set: &str| {
            let resolved = resolve(&TrainArgs { set: vec![set.into()], ..flags }).unwrap().config;
            (resolved.policy.params, resolved.scorer.params)
        };
        let policy = |name: &str| TrainArgs { policy: Some(name.into()), ..TrainArgs::default() };
        assert_eq!(given(policy("ast"), "policy.lambda=0.5").0["lambda"], ParamValue::Number(0.5));
        let fixed = given(policy("fixed-threshold"), "policy.threshold=2.5").0;
        assert_eq!(fixed["threshold"], ParamValue::Number(2.5));
        let scorer = TrainArgs { scorer: Some("loss-entropy".into()), ..TrainArgs::default() };
        assert_eq!(given(scorer, "scorer.loss_weight=1").1["loss_weight"], ParamValue::Number(1.0));
    }

    #[test]
    fn the_resolved_configuration_resolves_to_itself() {
        let resolved = resolve_set(&["train.seed=7", "policy.gate=\"hard\"", "scorer.loss_weight=0.5"]).unwrap();
        let again = read(Table::try_from(&resolved.config).unwrap()).unwrap();
        assert_eq!(again, resolved.config);
        assert_eq!(resolved.config.train.seed, 7);
    }

    /// A policy may have a scorer of its own, or need none.
    #[test]
    fn a_policy_may_say_which_scorer() {
        let scorer = |policy: &str, named: Option<&str>| {
            let (policy, scorer) = (Some(policy.into()), named.map(String::from));
            resolve(&TrainArgs { policy, scorer, ..TrainArgs::default() }).map(|got| got.config.scorer.name.unwrap())
        };
        assert_eq!(scorer("ast", None).unwrap(), "loss-intensity");
        assert_eq!(scorer("importance", None).unwrap(), "grad-norm");
        assert_eq!(scorer("importance", Some("margin")).unwrap(), "margin");
        assert_eq!(scorer("seed-package", None).unwrap(), "loss-entropy");
        assert_eq!(scorer("random", Some("margin")).unwrap(), "margin");
        assert_eq!(scorer("proxy", None).unwrap(), "loss");
        assert_eq!(scorer("proxy", Some("el2n")).unwrap(), "el2n");
        assert_eq!(scorer("reducible", None).unwrap(), "reducible-loss");
        assert_eq!(scorer("ast", Some("reducible-loss")).unwrap(), "reducible-loss");
        let refused = scorer("seed-package", Some("margin")).unwrap_err().to_string();
        assert!(refused.contains("loss-entropy") && refused.contains("margin"), "{refused}");
        let refused = scorer("reducible", Some("loss")).unwrap_err().to_string();
        assert!(refused.contains("`reducible-loss`"), "{refused}");
    }

    #[test]
    fn unknown_names_and_keys_come_with_a_suggestion() {
        for (set, hint) in [
            ("train.epoch=3", "`train.epochs`"),
            ("trian.epochs=3", "`train`"),
            ("policy.lamda=0.5", "`lambda`"),
            ("scorer.name=\"entopy\"", "`entropy`"),
            ("policy.name=\"rndom\"", "`random`"),
        ] {
            let message = refused(&[set]);
            assert!(message.contains("did you mean") && message.contains(hint), "{message}");
        }
    }

    #[test]
    fn bad_values_name_the_key() {
        for (set, key) in [
            ("train.epochs=-1", "train.epochs"),
            ("train.epochs=\"many\"", "train.epochs"),
            ("control.target=0", "control.target"),
            ("policy.lambda=2", "lambda"),
            ("train.lr", "KEY=VALUE"),
        ] {
            let message = refused(&[set]);
            assert!(message.contains(key), "{message}");
        }
    }
}
