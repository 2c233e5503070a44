//! `ast config`: shows configurations, and what can be set.

use std::path::Path;

use ast_core::data::BuildDataset;
use ast_core::inventory::Collect;
use ast_core::optim::BuildOptimizer;
use ast_core::plugin::{Entry, Registry};
use ast_core::run::RunConfig;
use ast_core::score::BuildScorer;
use ast_core::select::BuildPolicy;
use ast_core::train::BuildNetwork;
use toml::{Table, Value};

use crate::args::{ConfigCommand, ShowArgs};
use crate::config;
use crate::failure::{Failure, Kind};
use crate::output::{print, table, wrapped};

/// The documentation of every key. A test holds it against the program.
const PAGE: &str = include_str!("../../docs/configuration.md");
/// Columns of a line.
const COLUMNS: usize = 100;

pub(crate) fn settings(command: &ConfigCommand) -> Result<(), Failure> {
    match command {
        ConfigCommand::Show(args) => show(args),
        ConfigCommand::Diff { one, other } => diff(one, other),
        ConfigCommand::Keys { prefix } => keys(prefix.as_deref().unwrap_or_default()),
    }
}

fn show(args: &ShowArgs) -> Result<(), Failure> {
    let run = args.of_run();
    let effective = config::resolve(&run)?.effective();
    let config = values(&effective)?;
    if !args.origin {
        let text = toml::to_string(&config).map_err(|error| Failure::new(Kind::Bug, error.to_string()))?;
        return print(text.trim_end());
    }
    let layers = config::layers(&run)?;
    let origin = |key: &str| {
        let has = |layer: &&(String, Table)| config::leaves(&layer.1).iter().any(|(of, _)| of == key);
        layers.iter().rev().find(has).map_or("default", |(name, _)| name.as_str())
    };
    let row = |(key, value): (String, &Value)| vec![origin(&key).to_string(), key, value.to_string()];
    let rows = config::leaves(&config).into_iter().map(row).map(|mut row| {
        row.rotate_left(1);
        row
    });
    print(table(&std::iter::once(head(["key", "value", "from"])).chain(rows).collect::<Vec<_>>()).trim_end())?;
    let mut lines = vec![String::new(), "Not set; what that means is said by".into()];
    for (command, keys) in unset(&effective, &config)? {
        let text = wrapped(&format!("`ast {command}`: {}", keys.join(", ")), COLUMNS - 4);
        lines.push(format!("  {}", text.join("\n    ")));
    }
    print(&lines.join("\n"))
}

/// The keys and parameters of this run that have no value, by the command that describes them.
fn unset(config: &RunConfig, values: &Table) -> Result<Vec<(String, Vec<String>)>, Failure> {
    let set: Vec<String> = config::leaves(values).into_iter().map(|(key, _)| key).collect();
    let keys = config::leaves(&config::known_keys()).into_iter().map(|(key, _)| key).collect();
    let groups = [
        ("config keys".to_string(), keys),
        params::<BuildDataset>("data", &config.data.name)?,
        params::<BuildNetwork>("model", &config.model.name)?,
        params::<BuildOptimizer>("optimizer", &config.optimizer.name)?,
        params::<BuildPolicy>("policy", &config.policy.name)?,
        params::<BuildScorer>("scorer", config.scorer.name.as_deref().unwrap_or_default())?,
    ];
    let unset = groups.into_iter().map(|(command, mut keys)| {
        keys.retain(|key| !set.contains(key));
        (command, keys)
    });
    Ok(unset.filter(|(_, keys)| !keys.is_empty()).collect())
}

/// The command that lists what a section names.
fn list_of(section: &str) -> Option<&'static str> {
    match section {
        "data" => Some("datasets"),
        "model" => Some("models"),
        "optimizer" => Some("optimizers"),
        "policy" => Some("policies"),
        "scorer" => Some("scorers"),
        _ => None,
    }
}

/// The keys of the parameters of what a section names, and the command that describes them.
fn params<B>(section: &str, name: &str) -> Result<(String, Vec<String>), Failure>
where
    Entry<B>: Collect,
{
    let registry = Registry::<B>::linked().map_err(|error| Failure::new(Kind::Bug, error.to_string()))?;
    let params = registry.get(name).map_or(&[][..], |entry| entry.params);
    let list = list_of(section).unwrap_or_default();
    Ok((format!("{list} {name}"), params.iter().map(|param| format!("{section}.{}", param.name)).collect()))
}

fn diff(one: &Path, other: &Path) -> Result<(), Failure> {
    let [first, second] = [of(one)?, of(other)?];
    let value = |value: Option<&Value>| value.map_or("none".into(), ToString::to_string);
    let row = |(key, [one, other]): (String, [_; 2])| vec![key, value(one), value(other)];
    let rows: Vec<Vec<String>> = config::differences(&first, &second).into_iter().map(row).collect();
    if rows.is_empty() {
        return print("They do not differ.");
    }
    let head = vec!["key".into(), one.display().to_string(), other.display().to_string()];
    print(table(&std::iter::once(head).chain(rows).collect::<Vec<_>>()).trim_end())
}

fn keys(prefix: &str) -> Result<(), Failure> {
    let mut lines = Vec::new();
    for row in PAGE.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<String> = row.trim_matches('|').split(" | ").map(|cell| cell.trim().replace('`', "")).collect();
        if let [key, default, allowed, meaning] = &cells[..]
            && key.starts_with(prefix)
        {
            lines.push(format!("{key} = {default}"));
            let text = format!("{}; {allowed}", plain(meaning));
            lines.extend(wrapped(&text, COLUMNS - 4).into_iter().map(|line| format!("    {line}")));
        }
    }
    if lines.is_empty() {
        let list = prefix.split('.').next().and_then(list_of);
        let hint =
            list.map_or(String::new(), |list| format!("; `ast {list} NAME` has those that belong to one of them"));
        return Err(Failure::usage(format!("no key begins with `{prefix}`; `ast config keys` lists all{hint}")));
    }
    print(&lines.join("\n"))
}

/// Text of a Markdown page without its links: `[text](address)` is `text`.
fn plain(text: &str) -> String {
    let link = |text: &str| {
        let (before, after) = text.split_once("](")?;
        let (start, words) = before.rsplit_once('[')?;
        let (_, rest) = after.split_once(')')?;
        Some(format!("{start}{words}{}", plain(rest)))
    };
    link(text).unwrap_or_else(|| text.into())
}

fn head<const N: usize>(names: [&str; N]) -> Vec<String> {
    names.map(String::from).to_vec()
}

fn values(config: &RunConfig) -> Result<Table, Failure> {
    Table::try_from(config).map_err(|error| Failure::new(Kind::Bug, error.to_string()))
}

/// The configuration of a run folder or a file, with the defaults of all parameters.
fn of(place: &Path) -> Result<Table, Failure> {
    values(&if place.is_dir() { config::of_run_folder(place) } else { config::of_file(place) }?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_read_as_their_text() {
        assert_eq!(plain("see [datasets](datasets.md), and [below](#x)."), "see datasets, and below.");
        assert_eq!(plain("sizes, as [20, 26]: see [x](y)"), "sizes, as [20, 26]: see x");
        assert_eq!(plain("none"), "none");
    }
}
