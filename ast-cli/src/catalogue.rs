//! `ast scorers`, `policies`, `models`, `datasets` and `optimizers`: lists what is compiled in, from the registries.

use std::collections::BTreeMap;
use std::io::IsTerminal;

use ast_core::data::BuildDataset;
use ast_core::inventory::Collect;
use ast_core::optim::BuildOptimizer;
use ast_core::plugin::{Entry, Family, ParamSpec, Registry};
use ast_core::score::BuildScorer;
use ast_core::select::BuildPolicy;
use ast_core::train::BuildNetwork;
use serde_json::json;

use crate::args::{CatalogueArgs, Format};
use crate::failure::{Failure, Kind, did_you_mean};
use crate::output::{print, wrapped};

pub(crate) fn scorers(args: &CatalogueArgs) -> Result<(), Failure> {
    catalogue::<BuildScorer>(args, true)
}

pub(crate) fn policies(args: &CatalogueArgs) -> Result<(), Failure> {
    catalogue::<BuildPolicy>(args, true)
}

pub(crate) fn models(args: &CatalogueArgs) -> Result<(), Failure> {
    catalogue::<BuildNetwork>(args, false)
}

pub(crate) fn datasets(args: &CatalogueArgs) -> Result<(), Failure> {
    catalogue::<BuildDataset>(args, false)
}

pub(crate) fn optimizers(args: &CatalogueArgs) -> Result<(), Failure> {
    catalogue::<BuildOptimizer>(args, false)
}

fn catalogue<B>(args: &CatalogueArgs, grouped: bool) -> Result<(), Failure>
where
    Entry<B>: Collect,
{
    let registry = Registry::<B>::linked().map_err(|error| Failure::new(Kind::Bug, error.to_string()))?;
    let Some(name) = &args.name else {
        let rows: Vec<Row> = registry.iter().map(Row::of).collect();
        return print(&list(&rows, grouped, args.format, std::io::stdout().is_terminal()));
    };
    let entry = registry.get(name).map_err(|error| {
        Failure::usage(format!("{error}{}", did_you_mean(name, registry.iter().map(|entry| entry.name))))
    })?;
    let row = Row::of(entry);
    let plain = !args.format.json && !args.format.markdown;
    print(&if plain { row.whole() } else { list(&[row], false, args.format, false) })
}

struct Row {
    name: &'static str,
    summary: &'static str,
    origin: &'static str,
    family: Family,
    params: &'static [ParamSpec],
}

/// The crates of this project that register something.
const OURS: [&str; 3] = ["ast-core", "ast-scoring", "ast-data"];
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
        let Entry { name, summary, origin, family, params, .. } = entry;
        Self { name, summary, origin, family: *family, params }
    }

    /// The heading under which it is listed.
    fn group(&self) -> String {
        match self.family {
            Family::Baseline => "Baselines".into(),
            Family::Own if OURS.contains(&self.origin) => "Ours".into(),
            Family::Own => format!("From {}", self.origin),
            Family::Literature => "From the literature".into(),
        }
    }
}

/// Lists rows. A person at a terminal gets lines that fit, under headings if there are groups; a program one line for each.
fn list(rows: &[Row], grouped: bool, format: Format, terminal: bool) -> String {
    if format.json {
        return serde_json::Value::Array(rows.iter().map(json).collect()).to_string();
    }
    let table = |rows: &[&Row]| -> String {
        let head = "| name | what it is | parameters | from |\n|---|---|---|---|".to_string();
        std::iter::once(head).chain(rows.iter().map(|row| markdown_row(row))).collect::<Vec<_>>().join("\n")
    };
    let width = rows.iter().map(|row| row.name.len()).max().unwrap_or(0);
    let lines = |rows: &[&Row]| -> String {
        let columns = if terminal { COLUMNS } else { usize::MAX };
        rows.iter().map(|row| hanging(row.name, width, row.summary, columns)).collect::<Vec<_>>().join("\n")
    };
    if !grouped || !(format.markdown || terminal) {
        let rows: Vec<&Row> = rows.iter().collect();
        return if format.markdown { table(&rows) } else { lines(&rows) };
    }
    let mut groups: BTreeMap<(Family, String), Vec<&Row>> = BTreeMap::new();
    rows.iter().for_each(|row| groups.entry((row.family, row.group())).or_default().push(row));
    let group = |((_, name), rows): (&(Family, String), &Vec<&Row>)| match format.markdown {
        true => format!("## {name}\n\n{}", table(rows)),
        false => format!("{name}\n{}", lines(rows)),
    };
    groups.iter().map(group).collect::<Vec<_>>().join("\n\n")
}

fn json(row: &Row) -> serde_json::Value {
    let param = |param: &ParamSpec| {
        let (default, allowed) = (param.kind.default_text(), param.kind.allowed());
        json!({"name": param.name, "summary": param.summary, "default": default, "allowed": allowed})
    };
    let params: Vec<_> = row.params.iter().map(param).collect();
    let family = match row.family {
        Family::Baseline => "baseline",
        Family::Own => "own",
        Family::Literature => "literature",
    };
    json!({"name": row.name, "summary": row.summary, "origin": row.origin, "family": family, "params": params})
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

    /// A person sees three groups, a program a line for each name and nothing else.
    #[test]
    fn lists_are_grouped_for_people() {
        let rows: Vec<Row> = Registry::<BuildPolicy>::linked().unwrap().iter().map(Row::of).collect();
        let plain = Format { json: false, markdown: false };
        let shown = list(&rows, true, plain, true);
        let groups: Vec<&str> = shown.split("\n\n").map(|group| group.lines().next().unwrap()).collect();
        assert_eq!(groups, ["Baselines", "Ours", "From the literature"]);
        assert!(shown.contains("\n\nOurs\nast  "), "{shown}");
        assert_eq!(list(&rows, true, plain, false).lines().count(), rows.len());
        let mine = Row {
            origin: "my-plugin",
            family: Family::Own,
            ..Row::of(Registry::<BuildPolicy>::linked().unwrap().get("ast").unwrap())
        };
        assert_eq!(mine.group(), "From my-plugin");
    }
}
