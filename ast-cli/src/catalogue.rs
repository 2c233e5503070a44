//! `ast scorers`, `policies`, `models`, `datasets` and `optimizers`: lists what is compiled in, from the registries.

use ast_core::data::BuildDataset;
use ast_core::inventory::Collect;
use ast_core::optim::BuildOptimizer;
use ast_core::plugin::{Entry, ParamSpec, Registry};
use ast_core::score::BuildScorer;
use ast_core::select::BuildPolicy;
use ast_core::train::BuildNetwork;
use serde_json::json;

use crate::args::Format;
use crate::failure::{Failure, Kind};
use crate::output::print;

pub(crate) fn scorers(format: Format) -> Result<(), Failure> {
    catalogue::<BuildScorer>(format)
}

pub(crate) fn policies(format: Format) -> Result<(), Failure> {
    catalogue::<BuildPolicy>(format)
}

pub(crate) fn models(format: Format) -> Result<(), Failure> {
    catalogue::<BuildNetwork>(format)
}

pub(crate) fn datasets(format: Format) -> Result<(), Failure> {
    catalogue::<BuildDataset>(format)
}

pub(crate) fn optimizers(format: Format) -> Result<(), Failure> {
    catalogue::<BuildOptimizer>(format)
}

fn catalogue<B>(format: Format) -> Result<(), Failure>
where
    Entry<B>: Collect,
{
    let registry = Registry::<B>::linked().map_err(|error| Failure::new(Kind::Bug, error.to_string()))?;
    print(&list(registry.iter().map(Row::of), format))
}

struct Row {
    name: &'static str,
    summary: &'static str,
    origin: &'static str,
    params: &'static [ParamSpec],
}

impl Row {
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
        rows.iter().map(|row| format!("{:width$}  {}", row.name, row.summary)).collect()
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
