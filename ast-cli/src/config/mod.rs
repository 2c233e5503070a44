//! From layers of TOML to one checked configuration.

#[cfg(test)]
mod extremes;
mod kinds;
mod layers;
pub(crate) use layers::{assigned, differences, layers, leaves, of_surroundings, overlay};
pub(crate) use presets::DenseResult;
#[cfg(test)]
mod malformed;
mod presets;

use std::path::Path;

use ast_core::plugin::{ParamError, Registry, RegistryError};
use ast_core::run::RunConfig;
use ast_core::select::ScorerRule;
use ast_core::train::{DEFAULT_SCORER, ResolveError, Resolved};
use toml::{Table, Value};

use crate::args::TrainArgs;
use crate::device;
use crate::failure::{Failure, Kind, did_you_mean};
use crate::output::note;
use crate::run_folder::CONFIG;

/// Merges the layers, checks the values and resolves the names in the registries.
pub(crate) fn resolve(args: &TrainArgs) -> Result<Resolved, Failure> {
    let resolved = resolve_table(match &args.resume {
        Some(run) => layers::of_run(run, args)?,
        None => layers::merge(args)?,
    })?;
    if let (Some(scorer), ScorerRule::Unused) = (&args.run.scorer, resolved.policy.kind.scorer) {
        let policy = &resolved.config.policy.name;
        note(&format!("policy {policy} decides without scores: {scorer} has no influence on this run"));
    }
    Ok(resolved)
}

/// The configuration of an arm of a comparison: the shared layers, then the arm's `own` keys.
pub(crate) fn resolve_arm(args: &TrainArgs, own: &Table, limited: bool) -> Result<Resolved, Failure> {
    resolve_table(layers::of_arm(args, own, limited)?)
}

/// Nominal epochs of all arms of a comparison.
pub(crate) fn nominal_epochs(args: &TrainArgs) -> Result<u32, Failure> {
    Ok(read(layers::merge(args)?)?.train.epochs)
}

fn resolve_table(table: Table) -> Result<Resolved, Failure> {
    let config = read(table)?;
    device::known(&config.device.name)?;
    let resolved = config.resolve().map_err(|error| refusal(&error))?;
    match resolved.scorer_entry {
        Some((only, _)) if resolved.config.scorer.name.is_none() && is_the_only_one(only) => {
            note(&format!("scorer: {only}, the only one compiled in"));
        }
        _ => {}
    }
    Ok(resolved)
}

/// Whether `scorer` is the default because it is the only one compiled in.
fn is_the_only_one(scorer: &str) -> bool {
    let registry = Registry::<ast_core::score::BuildScorer>::linked();
    scorer != DEFAULT_SCORER && registry.is_ok_and(|scorers| scorers.iter().len() == 1)
}

fn read(table: Table) -> Result<RunConfig, Failure> {
    kinds::check(&table)?;
    serde_path_to_error::deserialize(toml::Value::Table(table)).map_err(|error| {
        let key = error.path().to_string();
        Failure::usage(format!("`{key}`: {}", error.into_inner().to_string().trim()))
    })
}

/// A name that is not found is an error that lists what is compiled in and how to get the rest.
fn refusal(error: &ResolveError) -> Failure {
    let hint = match error {
        ResolveError::Registry(_) => return Failure::new(Kind::Bug, error.to_string()),
        ResolveError::Unknown { kind, error: RegistryError::Unknown { name, known } } => {
            let feature = match *kind {
                "scorer" => "; each scorer comes with the cargo feature of its name (cargo run --features NAME)",
                _ => "",
            };
            let own = "; a crate of your own needs `use my_crate as _;` in the program, see docs/template/src/main.rs";
            match did_you_mean(name, known.iter().copied()) {
                meant if meant.is_empty() => format!("{feature}{own}"),
                meant => format!("{feature}{meant}"),
            }
        }
        ResolveError::Param { kind, error: ParamError::OutOfRange { key, .. }, .. } => {
            format!(" (key `{}.{key}`)", if *kind == "dataset" { "data" } else { kind })
        }
        ResolveError::Param { kind, error: ParamError::Unknown { key, known }, .. } => {
            // The section's own keys as well: `data.augmnt` is no parameter of a dataset.
            let section = known_keys().remove(if *kind == "dataset" { "data" } else { kind });
            let own: Vec<String> = section.iter().filter_map(Value::as_table).flat_map(Table::keys).cloned().collect();
            did_you_mean(key, known.iter().copied().chain(own.iter().map(String::as_str)))
        }
        _ => String::new(),
    };
    Failure::usage(format!("{error}{hint}"))
}

/// The configuration of a run, with the defaults of all parameters. A run's own file is data, not usage.
pub(crate) fn of_run_folder(run: &Path) -> Result<RunConfig, Failure> {
    let read = || effective(layers::of_run(run, &TrainArgs::default())?, &run.join(CONFIG));
    read().map_err(|failure| match failure.kind {
        Kind::Usage => Failure::new(Kind::Data, failure.to_string()),
        _ => failure,
    })
}

/// The configuration in a file, with the defaults of all parameters.
pub(crate) fn of_file(file: &Path) -> Result<RunConfig, Failure> {
    effective(layers::of_file(file)?, file)
}

fn effective(table: Table, file: &Path) -> Result<RunConfig, Failure> {
    let wrong = |failure: Failure| Failure::new(failure.kind, format!("{}: {failure}", file.display()));
    Ok(resolve_table(table).map_err(wrong)?.effective())
}

/// The first preset that trains on a dataset.
pub(crate) fn preset_on(dataset: &str) -> Option<&'static str> {
    let on = |text: &str| text.parse::<Table>().is_ok_and(|table| table["data"]["name"].as_str() == Some(dataset));
    presets::ALL.iter().find(|(_, text)| on(text)).map(|(name, _)| *name)
}

/// What a dense run with the network, data and recipe of this one reaches, if that is known. Policy, budget and seed may
/// differ, and what does not decide the result.
pub(crate) fn dense_result(config: &RunConfig) -> Option<&'static DenseResult> {
    let recipe = |config: RunConfig| {
        let RunConfig { mut data, model, optimizer, mut train, .. } = config;
        (data.dir, data.workers, train.seed) = (None, 0, 0);
        RunConfig { data, model, optimizer, train, ..RunConfig::default() }
    };
    let of_preset = |name: &str| {
        let (_, text) = presets::ALL.iter().find(|(preset, _)| *preset == name)?;
        Some(resolve_table(text.parse().ok()?).ok()?.effective())
    };
    let own = recipe(config.clone().resolve().ok()?.effective());
    let is_own = |(preset, _): &&(&str, DenseResult)| of_preset(preset).is_some_and(|config| recipe(config) == own);
    presets::DENSE.iter().find(is_own).map(|(_, dense)| dense)
}

/// The names of the presets.
pub(crate) fn preset_names() -> impl Iterator<Item = &'static str> {
    presets::ALL.iter().map(|(name, _)| *name)
}

/// All keys that can be set: those of the default configuration and every optional one.
pub(crate) fn known_keys() -> Table {
    let mut full = RunConfig::default();
    full.data.dir = Some("".into());
    full.data.train_limit = Some(0);
    full.data.validation = Some(0);
    full.data.mean = Some(vec![0.5]);
    full.data.deviation = Some(vec![0.5]);
    full.model.weights = Some("".into());
    full.policy.warmup = 1.0;
    full.train.clip_norm = Some(1.0);
    full.train.sizes = Some(vec![32]);
    full.train.size_shares = Some(vec![1.0]);
    full.control.target = Some(0.0);
    full.budget.fraction = Some(0.0);
    full.budget.seconds = Some(0.0);
    full.scorer.name = Some(String::new());
    Table::try_from(full).unwrap_or_default()
}

#[cfg(test)]
fn args_of(run: crate::args::RunArgs) -> TrainArgs {
    TrainArgs { run, ..TrainArgs::default() }
}

#[cfg(test)]
mod tests {
    use ast_core::plugin::ParamValue;

    use super::*;
    use crate::args::{RunArgs, TrainArgs};

    fn resolve_set(set: &[&str]) -> Result<Resolved, Failure> {
        resolve(&args_of(RunArgs { set: set.iter().map(ToString::to_string).collect(), ..RunArgs::default() }))
    }

    fn refused(set: &[&str]) -> String {
        match resolve_set(set) {
            Ok(_) => panic!("{set:?} was accepted"),
            Err(failure) => failure.to_string(),
        }
    }

    /// Whatever the policy, the budget and the seed are, but not on other data.
    #[test]
    fn the_dense_result_of_a_preset_is_found_by_its_recipe() {
        let found = |preset: &str, set: &[&str]| {
            let set = set.iter().map(ToString::to_string).collect();
            let args = RunArgs { preset: Some(preset.into()), set, ..RunArgs::default() };
            dense_result(&resolve(&args_of(args)).unwrap().effective())
        };
        for (preset, known) in presets::DENSE {
            assert_eq!(found(preset, &[]), Some(known), "{preset}");
            let other = ["policy.name='random'", "control.target=0.5", "train.seed=9", "data.dir='somewhere'"];
            assert_eq!(found(preset, &other), Some(known), "{preset}");
            assert_eq!(found(preset, &["data.train_limit=100"]), None, "{preset}");
            assert_eq!(found(preset, &["train.epochs=5"]), None, "{preset}");
        }
    }

    #[test]
    fn every_preset_resolves() {
        for name in preset_names() {
            let args = RunArgs { preset: Some(name.into()), ..RunArgs::default() };
            assert!(resolve(&args_of(args)).is_ok(), "{name}");
        }
    }

    #[test]
    fn parameters_go_with_the_name_given_beside_them() {
        let given = |flags: TrainArgs, set: &str| {
            let run = RunArgs { set: vec![set.into()], ..flags.run };
            let resolved = resolve(&TrainArgs { run, ..flags }).unwrap().config;
            (resolved.policy.params, resolved.scorer.params)
        };
        let policy = |name: &str| TrainArgs { policy: Some(name.into()), ..TrainArgs::default() };
        assert_eq!(given(policy("ast"), "policy.lambda=0.5").0["lambda"], ParamValue::Number(0.5));
        let fixed = given(policy("fixed-threshold"), "policy.threshold=2.5").0;
        assert_eq!(fixed["threshold"], ParamValue::Number(2.5));
        let scorer = RunArgs { scorer: Some("loss-entropy".into()), ..RunArgs::default() };
        assert_eq!(given(args_of(scorer), "scorer.loss_weight=1").1["loss_weight"], ParamValue::Number(1.0));
    }

    #[test]
    fn the_resolved_configuration_resolves_to_itself() {
        let resolved = resolve_set(&["train.seed=7", "policy.gate=\"hard\"", "scorer.loss_weight=0.5"]).unwrap();
        let again = read(Table::try_from(&resolved.config).unwrap()).unwrap();
        assert_eq!(again, resolved.config);
        assert_eq!(resolved.config.train.seed, 7);
    }

    /// A policy may set its own scorer, or need none.
    #[test]
    fn a_policy_may_say_which_scorer() {
        let scorer = |policy: &str, named: Option<&str>| {
            let run = RunArgs { scorer: named.map(String::from), ..RunArgs::default() };
            let resolved = resolve(&TrainArgs { policy: Some(policy.into()), run, ..TrainArgs::default() })?;
            assert_eq!(
                resolved.config.scorer.name.as_deref(),
                named,
                "a default must not be written as if it were set"
            );
            Ok::<_, Failure>(resolved.scorer_entry.map_or("none", |(name, _)| name))
        };
        assert_eq!(scorer("ast", None).unwrap(), "loss-intensity");
        assert_eq!(scorer("importance", None).unwrap(), "grad-norm");
        assert_eq!(scorer("importance", Some("margin")).unwrap(), "margin");
        assert_eq!(scorer("original-package", None).unwrap(), "loss-entropy");
        assert_eq!(scorer("random", Some("margin")).unwrap(), "margin");
        assert_eq!(scorer("random", None).unwrap(), "none");
        assert_eq!(scorer("proxy", None).unwrap(), "loss");
        assert_eq!(scorer("proxy", Some("el2n")).unwrap(), "el2n");
        assert_eq!(scorer("reducible", None).unwrap(), "reducible-loss");
        assert_eq!(scorer("ast", Some("reducible-loss")).unwrap(), "reducible-loss");
        let refused = scorer("original-package", Some("margin")).unwrap_err().to_string();
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
