//! Defaults < preset < file < `AST__` variables < `--set` < flags, merged key by key.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::path::Path;

use toml::{Table, Value};

use super::{known_keys, presets};
use crate::args::{Key, TrainArgs};
use crate::failure::{Failure, Kind, did_you_mean};
use crate::input;
use crate::run_folder::CONFIG;

/// Upper bound for the size of a configuration file, which has about a kilobyte.
const LARGEST_FILE: u64 = 1 << 20;

/// The variable for `data.dir`.
const DATA_DIR: &str = "AST_DATA_DIR";

/// Sections that hold a name and the parameters of what has that name, which its plugin checks.
const OPEN: [&str; 5] = ["data", "model", "optimizer", "policy", "scorer"];

/// The key of `model` that belongs to one network, as its parameters do.
const WEIGHTS: &str = "weights";

/// The keys that set how much is trained.
const TARGET: Key = ("control", "target");
const BUDGET: Key = ("budget", "fraction");
const SECONDS: Key = ("budget", "seconds");
/// The end of what a run writes.
const LAST_SECTION: &str = "device";
/// Mutually exclusive keys: the second is removed if a higher layer sets the first.
const INSTEAD: [(Key, Key); 4] = [(TARGET, BUDGET), (BUDGET, TARGET), (BUDGET, SECONDS), (SECONDS, BUDGET)];

/// The layers of a run that has begun: its own file, and the present places of data, device and threads.
pub(super) fn of_run(run: &Path, args: &TrainArgs) -> Result<Table, Failure> {
    let file = run.join(CONFIG);
    let mut table = of_file(&file)?;
    // Whatever is missing would be taken for a default.
    if !table.contains_key(LAST_SECTION) {
        let what = "this is not the configuration of a run: it is cut off or was changed";
        return Err(Failure::new(Kind::Data, format!("{}: {what}", file.display())));
    }
    let place = std::env::var_os(DATA_DIR).map(|dir| (DATA_DIR.to_string(), dir));
    overlay(&mut table, of_environment(place.into_iter())?);
    overlay(&mut table, of_flags(args)?);
    Ok(table)
}

/// Merges the layers. Every key is checked to exist, or is a parameter in one of the [`OPEN`] sections.
pub(super) fn merge(args: &TrainArgs) -> Result<Table, Failure> {
    let mut merged = Table::new();
    for (_, layer) in layers(args)? {
        put(&mut merged, layer);
    }
    Ok(merged)
}

/// The layers above the defaults, the lowest first, each with its name.
pub(crate) fn layers(args: &TrainArgs) -> Result<Vec<(String, Table)>, Failure> {
    let mut layers = Vec::new();
    if let Some(name) = args.run.preset.as_deref().or(args.run.config.is_none().then_some("quickstart")) {
        layers.push((format!("preset {name}"), of_preset(name)?));
    }
    if let Some(file) = &args.run.config {
        layers.push((file.display().to_string(), of_file(file)?));
    }
    // Variables that are not UTF-8 are not ours.
    let variables = std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
    layers.push(("environment".into(), of_environment(variables)?));
    // Flags and --set are one layer, so that a parameter given with --set belongs to the policy given by a flag.
    let mut command_line = Table::new();
    for assignment in &args.run.set {
        overlay(&mut command_line, of_assignment(assignment)?);
    }
    overlay(&mut command_line, of_flags(args)?);
    layers.push(("command line".into(), command_line));
    Ok(layers)
}

/// The layers of an arm of a comparison: those of a run, then the arm's `own` keys. An arm that is not `limited`, the
/// dense run, ignores the shared keys that set how much is trained.
pub(super) fn of_arm(args: &TrainArgs, own: &Table, limited: bool) -> Result<Table, Failure> {
    let mut merged = merge(args)?;
    if !limited {
        merged.remove("budget");
        if let Some(Value::Table(control)) = merged.get_mut(TARGET.0) {
            control.remove(TARGET.1);
        }
    }
    put(&mut merged, own.clone());
    Ok(merged)
}

/// The tables of `--config` and the `AST__` variables, each with the name of its source.
pub(crate) fn of_surroundings(args: &TrainArgs) -> Result<Vec<(Table, String)>, Failure> {
    let file = args.run.config.as_deref().map(|path| Ok((of_file(path)?, path.display().to_string())));
    let variables = std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
    let variables = variables.map(|(name, value)| Ok((of_environment([(name.clone(), value)].into_iter())?, name)));
    file.into_iter().chain(variables).collect()
}

fn of_preset(name: &str) -> Result<Table, Failure> {
    let known = || presets::ALL.iter().map(|(name, _)| *name);
    let Some((_, text)) = presets::ALL.iter().find(|(known, _)| *known == name) else {
        let list = known().collect::<Vec<_>>().join(", ");
        return Err(Failure::usage(format!("no preset `{name}`; there are: {list}{}", did_you_mean(name, known()))));
    };
    parse(text, &format!("preset {name}"))
}

pub(super) fn of_file(path: &Path) -> Result<Table, Failure> {
    let origin = path.display().to_string();
    let bytes = input::read(path, LARGEST_FILE, Kind::Usage, ": too large for a configuration")?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let place = error.utf8_error().valid_up_to();
        Failure::usage(format!("{origin}: at byte {place}: it is not UTF-8 text"))
    })?;
    parse(&text, &origin)
}

pub(super) fn parse(text: &str, origin: &str) -> Result<Table, Failure> {
    let table: Table = text.parse().map_err(|error| Failure::usage(format!("{origin}: {error}")))?;
    check_keys(&table, origin)?;
    Ok(table)
}

/// `AST__TRAIN__EPOCHS=3` sets `train.epochs`; `AST_DATA_DIR` sets `data.dir`.
fn of_environment(variables: impl Iterator<Item = (String, OsString)>) -> Result<Table, Failure> {
    let mut table = Table::new();
    for (name, value) in variables {
        let text = || text_of(&value, &name);
        let (key, value) = match name.strip_prefix("AST__") {
            Some(key) => (key.to_lowercase().replace("__", "."), value_of(text()?)),
            None if name == DATA_DIR && value.is_empty() => continue,
            None if name == DATA_DIR => ("data.dir".to_string(), Value::from(text()?)),
            None => continue,
        };
        overlay(&mut table, nested(&key, value, &name)?);
    }
    Ok(table)
}

pub(super) fn of_assignment(assignment: &str) -> Result<Table, Failure> {
    assigned(assignment, &format!("--set {assignment}"))
}

/// Parses `KEY=VALUE`; errors name the `origin`.
pub(crate) fn assigned(assignment: &str, origin: &str) -> Result<Table, Failure> {
    let Some((key, value)) = assignment.split_once('=') else {
        return Err(Failure::usage(format!("{origin}: write it as KEY=VALUE, for example train.epochs=20")));
    };
    if value.trim().contains(['\n', '\r']) {
        return Err(Failure::usage(format!("{origin}: one value only, on one line")));
    }
    nested(key.trim(), value_of(value.trim()), origin)
}

/// Parses a TOML value. A bare word is a string, so that a command line needs no quotes.
fn value_of(text: &str) -> Value {
    let parsed = format!("value = {text}").parse::<Table>().ok().and_then(|mut table| table.remove("value"));
    parsed.unwrap_or_else(|| Value::String(text.to_string()))
}

fn nested(key: &str, value: Value, origin: &str) -> Result<Table, Failure> {
    let table = key.rsplit('.').fold(value, |inner, name| Value::Table(Table::from_iter([(name.to_string(), inner)])));
    let Value::Table(table) = table else { return Ok(Table::new()) };
    check_keys(&table, origin)?;
    Ok(table)
}

fn text_of<'a>(value: &'a OsStr, origin: &str) -> Result<&'a str, Failure> {
    value.to_str().ok_or_else(|| Failure::usage(format!("{origin}: {} is not UTF-8 text", value.display())))
}

fn of_flags(args: &TrainArgs) -> Result<Table, Failure> {
    let dir = args.place.data_dir.as_ref().map(|dir| text_of(dir.as_os_str(), "--data-dir")).transpose()?;
    let own = [
        (("data", "dir"), dir.map(Value::from)),
        (("policy", "name"), args.policy.clone().map(Value::from)),
        (("train", "seed"), args.seed.map(Value::from)),
    ];
    let own = own.into_iter().filter_map(|(key, value)| Some((key, value?)));
    let mut table = Table::new();
    for ((section, key), value) in args.run.keys().chain(args.place.keys()).chain(own) {
        let inner = Value::Table(Table::from_iter([(key.to_string(), value)]));
        overlay(&mut table, Table::from_iter([(section.to_string(), inner)]));
    }
    Ok(table)
}

/// Merges a layer over those below it: [`overlay`], and removal of the keys that it excludes.
fn put(base: &mut Table, layer: Table) {
    for ((section, key), (other, instead)) in INSTEAD {
        let given = |section: &str| layer.get(section).and_then(Value::as_table);
        if given(section).is_some_and(|table| table.contains_key(key))
            && let Some(Value::Table(below)) = base.get_mut(other)
        {
            below.remove(instead);
        }
    }
    overlay(base, layer);
}

/// All values of a table with their dotted keys.
pub(crate) fn leaves(table: &Table) -> Vec<(String, &Value)> {
    let mut found = Vec::new();
    for (key, value) in table {
        match value {
            Value::Table(inner) => {
                found.extend(leaves(inner).into_iter().map(|(rest, value)| (format!("{key}.{rest}"), value)));
            }
            value => found.push((key.clone(), value)),
        }
    }
    found
}

/// The keys whose values differ between two tables, in order, with both values; `None` where there is none.
pub(crate) fn differences<'a>(one: &'a Table, other: &'a Table) -> Vec<(String, [Option<&'a Value>; 2])> {
    let [one, other] = [one, other].map(|table| leaves(table).into_iter().collect::<BTreeMap<_, _>>());
    let keys: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
    let both = |key: &String| [one.get(key).copied(), other.get(key).copied()];
    let differ = |key: &String| Some((key.clone(), both(key))).filter(|(_, [one, other])| one != other);
    keys.into_iter().filter_map(differ).collect()
}

/// Merges `top` over `base`, table by table. If `top` names something else in a section, the parameters of the old one are
/// removed.
pub(crate) fn overlay(base: &mut Table, top: Table) {
    for (key, value) in top {
        match (base.get_mut(&key), value) {
            (Some(Value::Table(below)), Value::Table(above)) => {
                let names = below.get("name").zip(above.get("name"));
                if OPEN.contains(&key.as_str()) && names.is_some_and(|(old, new)| old != new) {
                    let known = known_keys();
                    let own = known.get(&key).and_then(Value::as_table);
                    below.retain(|key, _| own.is_some_and(|own| own.contains_key(key)) && key != WEIGHTS);
                }
                overlay(below, above);
            }
            (_, value) => drop(base.insert(key, value)),
        }
    }
}

fn check_keys(table: &Table, origin: &str) -> Result<(), Failure> {
    let known = known_keys();
    for (section, value) in table {
        let Some(Value::Table(keys)) = known.get(section) else {
            let within = |(_, keys): &(&String, &Value)| keys.as_table().is_some_and(|keys| keys.contains_key(section));
            let hint = match known.iter().find(within) {
                Some((of, _)) => format!("; did you mean `{of}.{section}`?"),
                None => did_you_mean(section, known.keys().map(String::as_str)),
            };
            let all = known.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
            let message = format!("{origin}: there is no section `{section}`; there are {all}{hint}");
            return Err(Failure::usage(message));
        };
        let Value::Table(inner) = value else {
            return Err(Failure::usage(format!("{origin}: `{section}` is a section, not a value")));
        };
        let open = OPEN.contains(&section.as_str());
        if let Some(key) = inner.keys().find(|key| !open && !keys.contains_key(*key)) {
            let paths: Vec<String> = keys.keys().map(|key| format!("{section}.{key}")).collect();
            let given = format!("{section}.{key}");
            let hint = did_you_mean(&given, paths.iter().map(String::as_str));
            return Err(Failure::usage(format!("{origin}: there is no key `{given}`{hint}")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_setting_of_how_much_is_trained_wins() {
        let mut base: Table = "[control]\ntarget = 0.1\nkp = 1.0".parse().unwrap();
        put(&mut base, "[budget]\nfraction = 0.2".parse().unwrap());
        assert_eq!(base, "[control]\nkp = 1.0\n[budget]\nfraction = 0.2".parse().unwrap());
        put(&mut base, "[control]\ntarget = 0.3".parse().unwrap());
        assert_eq!(base, "[control]\nkp = 1.0\ntarget = 0.3\n[budget]".parse().unwrap());
        put(&mut base, "[budget]\nseconds = 9.0".parse().unwrap());
        assert_eq!(base, "[control]\nkp = 1.0\ntarget = 0.3\n[budget]\nseconds = 9.0".parse().unwrap());
        put(&mut base, "[budget]\nfraction = 0.2".parse().unwrap());
        assert_eq!(base, "[control]\nkp = 1.0\n[budget]\nfraction = 0.2".parse().unwrap());
    }

    #[test]
    fn later_layers_win_key_by_key() {
        let mut base: Table = "[train]\nepochs = 1\nlr = 0.1".parse().unwrap();
        overlay(&mut base, "[train]\nepochs = 2".parse().unwrap());
        assert_eq!(base, "[train]\nepochs = 2\nlr = 0.1".parse().unwrap());
    }

    #[test]
    fn another_policy_inherits_no_parameters() {
        let mut base: Table = "[policy]\nname = \"ast\"\nlambda = 0.5".parse().unwrap();
        overlay(&mut base, "[policy]\nname = \"random\"".parse().unwrap());
        assert_eq!(base, "[policy]\nname = \"random\"".parse().unwrap());
    }

    #[test]
    fn another_network_inherits_no_weights() {
        let mut base: Table = "[model]\nname = \"resnet18\"\nweights = \"a\"\nwidth = 8".parse().unwrap();
        overlay(&mut base, "[model]\nname = \"resnet18\"".parse().unwrap());
        assert!(base["model"].get("weights").is_some());
        overlay(&mut base, "[model]\nname = \"vit-tiny\"".parse().unwrap());
        assert_eq!(base, "[model]\nname = \"vit-tiny\"".parse().unwrap());
    }

    #[test]
    fn variables_name_keys() {
        let variables = [("AST__TRAIN__EPOCHS", "3"), ("AST_DATA_DIR", "2024"), ("HOME", "/")];
        let table = of_environment(variables.map(|(a, b)| (a.to_string(), b.into())).into_iter()).unwrap();
        assert_eq!(table, "[train]\nepochs = 3\n[data]\ndir = \"2024\"".parse().unwrap());
    }

    #[test]
    fn bare_words_are_strings() {
        assert_eq!(value_of("hard"), Value::from("hard"));
        assert_eq!(value_of("\"hard\""), Value::from("hard"));
        assert_eq!(value_of("1e-3"), Value::from(1e-3));
        assert_eq!(value_of("true"), Value::from(true));
    }
}
