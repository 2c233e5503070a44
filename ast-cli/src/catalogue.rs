//! `ast scorers`, `policies`, `models`, `datasets` and `optimizers`: lists what is compiled in, from the registries.

use std::io::IsTerminal;

use ast_core::data::BuildDataset;
use ast_core::inventory::Collect;
use ast_core::optim::BuildOptimizer;
use ast_core::plugin::{Entry, ParamSpec, Registry};
use ast_core::score::BuildScorer;
use ast_core::select::BuildPolicy;
use ast_core::train::BuildNetwork;
use serde_json::json;

use crate::args::{CatalogueArgs, Format};
use crate::failure::{Failure, Kind, did_you_mean};
use crate::output::{print, wrapped};

pub(crate) fn scorers(args: &CatalogueArgs) -> Result<(), Failure> {
    catalogue::<BuildScorer>(args)
}

pub(crate) fn policies(args: &CatalogueArgs) -> Result<(), Failure> {
    catalogue::<BuildPolicy>(args)
}

pub(crate) fn models(args: &CatalogueArgs) -> Result<(), Failure> {
    catalogue::<BuildNetwork>(args)
}

pub(crate) fn datasets(args: &CatalogueArgs) -> Result<(), Failure> {
    catalogue::<BuildDataset>(args)
}

pub(crate) fn optimizers(args: &CatalogueArgs) -> Result<(), Failure> {
    catalogue::<BuildOptimizer>(args)
}

fn catalogue<B>(args: &CatalogueArgs) -> Result<(), Failure>
where
    Entry<B>: Collect,
{
    let registry = Registry::<B>::linked().map_err(|error| Failure::new(Kind::Bug, error.to_string()))?;
    let Some(name) = &args.name else { return print(&list(registry.iter().map(Row::of), args.format)) };
    let entry = registry.get(name).map_err(|error| {
        Failure::usage(format!("{error}{}", did_you_mean(name, registry.iter().map(|entry| entry.name))))
    })?;
    let row = Row::of(entry);
    let plain = !args.format.json && !args.format.markdown;
    print(&if plain { row.whole() } else { list(std::iter::once(row), args.format) })
}

struct Row {
    name: &'static str,
    summary: &'static str,
    origin: &'static str,
    params: &'static [ParamSpec],
}

/// Columns of a line.
const COLUMNS: usize = 100;

/// A name and, beside it, a text of several lines.
fn hanging(name: &str, width: usize, text: &str, columns: usize) -> String {
    let lines = wrapped(text, columns - width - 2);
    format!("{name:width$}  {}", lines.join(&format!("\n{}", " ".repeat(width + 2))))
}

impl Row {
    /// Everything about it.
    fn whole(&self) -> String {
        let width = self.params.iter().map(|param| param.name.len()).max().unwrap_or(0) + 2;
        let param = |param: &ParamSpec| {
            let (default, allowed) = (param.kind.default_text(), param.kind.allowed());
            let text = format!("{}; {allowed} [default: {default}]", param.summary);
            hanging(&format!("  {}", param.name), width, &text, COLUMNS)
        };
        let params: Vec<String> = self.params.iter().map(param).collect();
        let params = if params.is_empty() {
            "It has no parameters.".into()
        } else {
            format!("Parameters:\n{}", params.join("\n"))
        };
        let summary = wrapped(self.summary, COLUMNS).join("\n");
        format!("{}, from {}\n\n{summary}\n\n{params}", self.name, self.origin)
    }

    fn of<B>(entry: &'static Entry<B>) -> Self {
        let Entry { name, summary, origin, params, .. } = entry;
        Self { name, summary, origin, params }
    }
}

fn list(rows: impl Iterator<Item = Row>, format: Format) -> String {
    let rows: Vec<Row> = rows.collect();
    if format.json {
        return serde_json::Value::Array(rows.iter().map(json).collect()).to_string();
    }
    let lines: Vec<String> = if format.markdown {
        let head = "| name | what it is | parameters | from |\n|---|---|---|---|".to_string();
        std::iter::once(head).chain(rows.iter().map(markdown_row)).collect()
    } else {
        let width = rows.iter().map(|row| row.name.len()).max().unwrap_or(0);
        // A person gets lines that fit, a program one for each.
        let columns = if std::io::stdout().is_terminal() { COLUMNS } else { usize::MAX };
        rows.iter().map(|row| hanging(row.name, width, row.summary, columns)).collect()
    };
    lines.join("\n")
}

fn json(row: &Row) -> serde_json::Value {
    let param = |param: &ParamSpec| {
        let (default, allowed) = (param.kind.default_text(), param.kind.allowed());
        json!({"name": param.name, "summary": param.summary, "default": default, "allowed": allowed})
    };
    let params: Vec<_> = row.params.iter().map(param).collect();
    json!({"name": row.name, "summary": row.summary, "origin": row.origin, "params": params})
}

fn markdown_row(row: &Row) -> String {
    let params: Vec<String> = row.params.iter().map(markdown).collect();
    let summary = row.summary.replace('|', "\\|");
    format!("| `{}` | {summary} | {} | {} |", row.name, params.join("<br>"), row.origin)
}

fn markdown(param: &ParamSpec) -> String {
    format!("`{}` = {} ({}): {}", param.name, param.kind.default_text(), param.kind.allowed(), param.summary)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_hangs_beside_its_name() {
        let text = "one two three four";
        assert_eq!(hanging("ab", 4, text, 15), "ab    one two\n      three\n      four");
        assert_eq!(hanging("ab", 4, text, usize::MAX), "ab    one two three four");
        let registry = Registry::<BuildPolicy>::linked().unwrap();
        for entry in registry.iter() {
            let lines = hanging(entry.name, 18, entry.summary, COLUMNS);
            assert!(lines.lines().all(|line| line.chars().count() <= COLUMNS), "{lines}");
        }
    }
}
