//! Extreme values for every key of the configuration and every parameter of every policy and scorer: refused with the
//! key named, or accepted; never a panic.

use std::panic::catch_unwind;

use ast_core::plugin::{ParamKind, ParamSpec, Registry};
use ast_core::score::ScorerEntry;
use ast_core::select::PolicyEntry;

use super::*;
use crate::args::RunArgs;

const VALUES: [&str; 18] = [
    "0",
    "-1",
    "1",
    "1.5",
    "nan",
    "inf",
    "-inf",
    "1e18",
    "1e308",
    "-1e308",
    "5e-324",
    "9223372036854775807",
    "\"\"",
    "abc",
    "true",
    "[0.5]",
    "[]",
    "{x = 1}",
];

/// Whether the configuration was accepted.
fn tried(set: &[String]) -> bool {
    let args = args_of(RunArgs { set: set.to_vec(), ..RunArgs::default() });
    let what = set.join(" ");
    let key = set.last().and_then(|last| last.split('=').next()?.rsplit('.').next()).unwrap();
    match catch_unwind(|| resolve(&args).map(|resolved| resolved.config.check().is_ok())) {
        Ok(Ok(checks_again)) => {
            assert!(checks_again, "{what}: its own written configuration is refused");
            true
        }
        Ok(Err(failure)) => {
            let message = failure.to_string();
            assert!(failure.kind == Kind::Usage && (message.contains(key) || key == "name"), "{what}: {message}");
            for jargon in ["invalid type", "invalid value", "untagged", "variant", "f64", "u32", "usize"] {
                assert!(!message.contains(jargon), "{what}: {message}");
            }
            false
        }
        Err(_) => panic!("{what}: panicked"),
    }
}

#[test]
fn every_key() {
    let (mut accepted, mut refused) = (0, 0);
    for (section, keys) in known_keys() {
        for (key, example) in keys.as_table().unwrap() {
            for value in VALUES {
                let fits = tried(&[format!("{section}.{key}={value}")]);
                *(if fits { &mut accepted } else { &mut refused }) += 1;
                let whole = value.parse::<i64>().is_ok();
                assert!(!fits || whole || !example.is_integer(), "{section}.{key}={value} is not an integer");
            }
        }
    }
    assert!(accepted >= 40 && refused >= 350, "{accepted} {refused}");
}

#[test]
fn every_parameter() {
    let policies = Registry::linked().unwrap();
    let scorers = Registry::linked().unwrap();
    let mut cases = 0;
    let mut check = |section: &str, name: &str, params: &[ParamSpec]| {
        for ParamSpec { name: param, kind, .. } in params {
            for value in VALUES {
                let set = [format!("{section}.name={name}"), format!("{section}.{param}={value}")];
                let whole = value.parse::<f64>().is_ok_and(|number| number.fract() == 0.0);
                let fits = tried(&set);
                assert!(!fits || whole || !matches!(kind, ParamKind::Integer { .. }), "{set:?} is not an integer");
                cases += 1;
            }
        }
        assert!(!tried(&[format!("{section}.name={name}"), format!("{section}.no_such=1")]), "{name}");
    };
    policies.iter().for_each(|entry: &PolicyEntry| check("policy", entry.name, entry.params));
    scorers.iter().for_each(|entry: &ScorerEntry| check("scorer", entry.name, entry.params));
    assert!(cases >= 400, "{cases}");
}

/// A fraction must not be dropped silently.
#[test]
fn counts_are_integers() {
    for (policy, param) in
        [("pool-top", "every"), ("curriculum", "every"), ("ast", "every"), ("selective-backprop", "stale")]
    {
        let named = |value: &str| [format!("policy.name={policy}"), format!("policy.{param}={value}")];
        assert!(!tried(&named("1.5")) && tried(&named("1")) && tried(&named("1.0")), "{policy}.{param}");
    }
}
