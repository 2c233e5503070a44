//! `ast doctor`: shows what works on this machine, and why the rest does not.

use std::path::Path;

use ast_core::data::DatasetEntry;
use ast_core::optim::OptimizerEntry;
use ast_core::plugin::Registry;
use ast_core::score::ScorerEntry;
use ast_core::select::PolicyEntry;
use ast_core::train::NetworkEntry;

use crate::config;
use crate::data::{Offer, offers};
use crate::device::{COMPILED, NAMES};
use crate::energy;
use crate::failure::{Failure, Kind};
use crate::output::print;
use crate::shell::quoted;

pub(crate) fn doctor() -> Result<(), Failure> {
    let mut lines = Vec::new();
    let mut line = |what: &str, state: String| lines.push(format!("{what:10} {state}"));
    line("version", format!("{} ({})", env!("CARGO_PKG_VERSION"), env!("AST_COMMIT")));
    for name in NAMES {
        line(name, backend_state(name));
    }
    line("threads", format!("{} (--threads N to change)", rayon::current_num_threads()));
    let scorers: Vec<&str> = linked(|entry: &ScorerEntry| entry.name)?;
    let policies: Vec<&str> = linked(|entry: &PolicyEntry| entry.name)?;
    line("scorers", if scorers.is_empty() { "none compiled in".into() } else { scorers.join(", ") });
    line("policies", policies.join(", "));
    line("models", linked(|entry: &NetworkEntry| entry.name)?.join(", "));
    line("datasets", linked(|entry: &DatasetEntry| entry.name)?.join(", "));
    line("optimizers", linked(|entry: &OptimizerEntry| entry.name)?.join(", "));
    line("presets", config::preset_names().collect::<Vec<_>>().join(", "));
    let dir = std::env::var_os("AST_DATA_DIR").filter(|dir| !dir.is_empty());
    line("data", data_state(dir.as_deref().map(Path::new)));
    let mut cifar10 = None;
    if let Some(dir) = &dir {
        let found = |offer: &Offer| offer.source.find(Path::new(dir)).is_ok();
        let there: Vec<&str> = offers()?.iter().filter(|offer| found(offer)).map(|offer| offer.name).collect();
        cifar10 = there.contains(&"cifar10").then(|| quoted(Path::new(dir)));
        line("", if there.is_empty() { "no dataset is there".into() } else { format!("there: {}", there.join(", ")) });
    }
    for backend in COMPILED {
        let state = energy::counter(backend.name).map_or_else(|reason| reason, |counter| counter.name());
        line("energy", format!("for runs on {}: {state}", backend.name));
    }
    let next = match cifar10 {
        _ if COMPILED.is_empty() => "build with a backend, such as the default feature flex".to_string(),
        Some(dir) => format!("`ast train --preset cifar10 --data-dir {dir}` is the standard run; `ast train` takes a minute"),
        None => "`ast train` takes a minute and needs no download; `ast data fetch cifar10` gets the data of the standard run".into(),
    };
    line("next", next);
    print(&lines.join("\n"))
}

fn linked<B>(name: impl Fn(&'static ast_core::plugin::Entry<B>) -> &'static str) -> Result<Vec<&'static str>, Failure>
where
    ast_core::plugin::Entry<B>: ast_core::inventory::Collect,
{
    let registry = Registry::<B>::linked().map_err(|error| Failure::new(Kind::Bug, error.to_string()))?;
    Ok(registry.iter().map(name).collect())
}

fn backend_state(name: &str) -> String {
    match COMPILED.iter().find(|backend| backend.name == name) {
        None => format!("not compiled in (--features {name})"),
        Some(backend) => match backend.probe() {
            Ok(opened) if opened.emulated => "works, emulated by the CPU and slow; `auto` skips it".into(),
            Ok(_) => "works".into(),
            Err(reason) => format!("compiled in, but does not work here: {reason}"),
        },
    }
}

fn data_state(dir: Option<&Path>) -> String {
    match dir {
        None => "AST_DATA_DIR is not set; procedural data does not need it".into(),
        Some(dir) if dir.is_dir() => format!("AST_DATA_DIR = {}", dir.display()),
        Some(dir) => format!("AST_DATA_DIR = {}, which is not a folder", dir.display()),
    }
}
