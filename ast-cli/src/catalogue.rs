//! `ast scorers` and `ast policies`: what is compiled in, from the registries themselves.

use ast_core::{Entry, ParamSpec, PolicyEntry, Registry, ScorerEntry};
use serde_json::json;

use crate::args::Format;
use crate::failure::{Failure, Kind};

pub(crate) fn scorers(format: Format) -> Result<(), Failure> {
    let registry = Registry::linked().map_err(|error| Failure::new(Kind::Bug, error.to_string()))?;
    print(registry.iter().map(|entry: &ScorerEntry| Row::of(entry)), format);
    Ok(())
}

pub(crate) fn policies(format: Format) -> Result<(), Failure> {
    let registry = Registry::linked().map_err(|error| Failure::new(Kind::Bug, error.to_string()))?;
    print(registry.iter().map(|entry: &PolicyEntry| Row::of(entry)), format);
    Ok(())
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

fn print(rows: impl Iterator<Item = Row>, format: Format) {
    let rows: Vec<Row> = rows.collect();
    if format.json {
        let param = |param: &ParamSpec| {
            let (default, allowed) = (param.kind.default_text(), param.kind.allowed());
            json!({"name": param.name, "summary": param.summary, "default": default, "allowed": allowed})
        };
        let row = |row: &Row| {
            let params: Vec<_> = row.params.iter().map(param).collect();
            json!({"name": row.name, "summary": row.summary, "origin": row.origin, "params": params})
        };
        println!("{}", serde_json::Value::Array(rows.iter().map(row).collect()));
    } else if format.markdown {
        println!("| name | what it is | parameters | from |\n|---|---|---|---|");
        for row in rows {
            let params: Vec<String> = row.params.iter().map(markdown).collect();
            println!("| `{}` | {} | {} | {} |", row.name, row.summary, params.join("<br>"), row.origin);
        }
    } else {
        let width = rows.iter().map(|row| row.name.len()).max().unwrap_or(0);
        for row in rows {
            println!("{:width$}  {}", row.name, row.summary);
        }
    }
}

fn markdown(param: &ParamSpec) -> String {
    format!("`{}` = {} ({}): {}", param.name, param.kind.default_text(), param.kind.allowed(), param.summary)
}
