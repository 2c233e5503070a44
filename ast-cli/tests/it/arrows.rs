//! Checks import directions: no cycles of `use` lines within a crate, and the rooms of `ast-core` import only allowed
//! rooms.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

const CRATES: [&str; 5] = ["ast-control", "ast-core", "ast-scoring", "ast-data", "ast-cli"];

/// The rooms of `ast-core`, and what each may import. Its tests may import anything.
const ROOMS: [(&str, &[&str]); 12] = [
    ("random", &[]),
    ("codec", &[]),
    ("plugin", &[]),
    ("select", &["codec", "plugin", "random"]),
    ("score", &["plugin", "random", "select"]),
    ("data", &["plugin", "random", "select"]),
    ("run", &["data", "optim", "plugin", "random", "select"]),
    ("ops", &[]),
    ("model", &["data", "ops", "plugin", "random"]),
    ("optim", &["ops", "plugin"]),
    ("train", &["codec", "data", "model", "optim", "plugin", "random", "run", "score", "select"]),
    ("testing", &["data", "model", "optim", "plugin", "random", "run", "score", "select", "train"]),
];

/// The text of every file of a crate by its module path, `a::b` for `a/b.rs`, without tests and comments.
fn modules(folder: &Path, path: &str, found: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        let stem = entry.file_stem().unwrap().to_str().unwrap().to_string();
        let below = |name: &str| if path.is_empty() { name.to_string() } else { format!("{path}::{name}") };
        if entry.is_dir() {
            modules(&entry, &below(&stem), found);
        } else if entry.extension().is_some_and(|extension| extension == "rs") {
            let module = if ["lib", "main", "mod"].contains(&stem.as_str()) { path.to_string() } else { below(&stem) };
            let text = fs::read_to_string(&entry).unwrap();
            let code = text.split("\n#[cfg(test)]\nmod tests").next().unwrap_or_default().lines();
            let code = code.filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
            found.entry(module).or_default().push_str(&code);
        }
    }
}

/// The modules that a file imports from, by `crate::a::b` or `super::a`.
fn imports(module: &str, code: &str, all: &BTreeMap<String, String>) -> BTreeSet<String> {
    let parent = module.rsplit_once("::").map_or("", |(parent, _)| parent);
    let mut found = BTreeSet::new();
    for (prefix, root) in [("crate::", ""), ("super::", parent)] {
        for (at, _) in code.match_indices(prefix) {
            let before = code[..at].chars().next_back().unwrap_or(' ');
            if before == '$' || before == ':' || before == '_' || before.is_alphanumeric() {
                continue; // `$crate::` of a macro, or part of another word
            }
            let mut target = root.to_string();
            let path = code[at + prefix.len()..].split(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':'));
            for segment in path.into_iter().next().unwrap_or_default().split("::") {
                let deeper = if target.is_empty() { segment.to_string() } else { format!("{target}::{segment}") };
                if !all.contains_key(&deeper) {
                    break;
                }
                target = deeper;
            }
            // An item re-exported by lib.rs counts as imported from its own module.
            if !target.is_empty() && target != module {
                found.insert(target);
            }
        }
    }
    found
}

/// A cycle of imports, if there is one.
fn circle(arrows: &BTreeMap<String, BTreeSet<String>>) -> Option<Vec<String>> {
    let mut left = arrows.clone();
    loop {
        let below = |from: &BTreeSet<String>, left: &BTreeMap<_, _>| from.iter().all(|to| !left.contains_key(to));
        let free: Vec<String> = left.iter().filter(|(_, to)| below(to, &left)).map(|(from, _)| from.clone()).collect();
        if free.is_empty() {
            break;
        }
        free.iter().for_each(|module| drop(left.remove(module)));
    }
    // Every remaining module imports a remaining one: follow the imports until a module repeats.
    let mut walk = vec![left.keys().next()?.clone()];
    loop {
        let next = left[walk.last()?].iter().find(|to| left.contains_key(*to))?.clone();
        if let Some(begin) = walk.iter().position(|module| *module == next) {
            return Some(walk.split_off(begin));
        }
        walk.push(next);
    }
}

#[test]
fn no_crate_has_a_circle_of_imports() {
    for name in CRATES {
        let mut all = BTreeMap::new();
        modules(&Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name).join("src"), "", &mut all);
        assert!(all.len() >= 3, "{name}: {all:?}");
        let arrows: BTreeMap<_, _> =
            all.iter().map(|(module, code)| (module.clone(), imports(module, code, &all))).collect();
        let count: usize = arrows.values().map(BTreeSet::len).sum();
        println!("{name}: {} files, {count} arrows", all.len());
        assert!(name == "ast-scoring" || count >= all.len() / 2, "{name}: the arrows are not found");
        assert_eq!(circle(&arrows), None, "{name}: which of these arrows runs the wrong way?");
    }
}

/// The rooms that the files of each room import.
fn rooms(all: &BTreeMap<String, String>) -> BTreeMap<String, BTreeSet<String>> {
    let room = |module: &str| module.split("::").next().unwrap_or_default().to_string();
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (module, code) in all.iter().filter(|(module, _)| !module.is_empty() && !module.ends_with("::tests")) {
        let to = imports(module, code, all).into_iter().map(|to| room(&to)).filter(|to| *to != room(module));
        found.entry(room(module)).or_default().extend(to);
    }
    found
}

#[test]
fn the_rooms_of_ast_core_import_only_what_they_may() {
    let mut all = BTreeMap::new();
    modules(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../ast-core/src"), "", &mut all);
    let found = rooms(&all);
    assert_eq!(
        found.keys().map(String::as_str).collect::<BTreeSet<_>>(),
        ROOMS.iter().map(|(room, _)| *room).collect()
    );
    for (room, allowed) in ROOMS {
        let wrong: Vec<&String> = found[room].iter().filter(|to| !allowed.contains(&to.as_str())).collect();
        assert!(wrong.is_empty(), "`{room}` must not import {wrong:?}");
        let idle: Vec<_> = allowed.iter().filter(|to| !found[room].contains(**to)).collect();
        assert!(idle.is_empty(), "`{room}` no longer imports {idle:?}: take it out of the table");
    }
}

#[test]
fn an_arrow_between_rooms_is_found() {
    let file = |module: &str, code: &str| (module.to_string(), code.to_string());
    let all = BTreeMap::from([
        file("a", "pub use b::C;"),
        file("a::b", "use crate::z::y::X;\nuse super::c;"),
        file("a::tests", "use crate::w::V;"),
        file("z", ""),
        file("z::y", ""),
        file("w", ""),
    ]);
    assert_eq!(rooms(&all)["a"], BTreeSet::from(["z".to_string()]));
}

#[test]
fn a_circle_is_found() {
    let arrows = |pairs: &[(&str, &[&str])]| {
        let set = |to: &[&str]| to.iter().map(ToString::to_string).collect();
        pairs.iter().map(|(from, to)| (from.to_string(), set(to))).collect()
    };
    assert_eq!(circle(&arrows(&[("a", &["b", "c"]), ("b", &["c"]), ("c", &[])])), None);
    let found = circle(&arrows(&[("a", &["b"]), ("b", &["c", "d"]), ("c", &["d"]), ("d", &["b"])])).unwrap();
    assert_eq!(found, ["b", "c", "d"]);

    let code = |text: &str| ("x::y".to_string(), text.to_string());
    let all = BTreeMap::from([
        code("use crate::a::Z;\nuse super::b;\n$crate::a"),
        ("a".into(), String::new()),
        ("x::b".into(), String::new()),
    ]);
    assert_eq!(imports("x::y", &all["x::y"], &all), ["a", "x::b"].map(String::from).into());
}
