//! The programs and devices that a run was computed with: `run.json`, and the origin in the summary.

use std::path::Path;

use ast_core::data::Preprocessing;
use ast_core::run::Event;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::claim::{Claim, put_aside};
use crate::failure::{Failure, Kind};
use crate::output::note;
use crate::run_folder::PROVENANCE;

/// The content of `run.json`. Fields written by other versions are kept.
pub(crate) struct Builds(Value);

impl Builds {
    /// Of a new run.
    pub(crate) fn begin(provenance: &impl Serialize) -> Result<Self, Failure> {
        serde_json::to_value(provenance).map(Self).map_err(|error| Failure::new(Kind::Bug, error.to_string()))
    }

    /// Of a run that is resumed. A damaged `run.json` is moved aside; the run's origin is then unknown.
    pub(crate) fn of(claim: &Claim) -> Result<Self, Failure> {
        let text = claim.read(PROVENANCE)?.unwrap_or_default();
        if let Ok(Value::Object(object)) = serde_json::from_slice(&text) {
            return Ok(Self(Value::Object(object)));
        }
        note(&format!(
            "warning: {PROVENANCE} is missing or damaged: the program and device at the start of the run are unknown"
        ));
        put_aside(claim.path(), [PROVENANCE.as_ref()])?;
        Ok(Self(json!({})))
    }

    /// The fingerprint of the training data at the start of the run, if recorded.
    pub(crate) fn data(claim: &Claim) -> Result<Option<String>, Failure> {
        recorded(claim, "data")
    }

    /// The layout of training and evaluation data at the start of the run, if recorded.
    pub(crate) fn layout(claim: &Claim) -> Result<Option<[String; 2]>, Failure> {
        recorded(claim, "layout")
    }

    /// The preprocessing that a run began with, if recorded.
    pub(crate) fn preprocessing(run: &Path) -> Result<Option<Preprocessing>, Failure> {
        let file = run.join(PROVENANCE);
        let Ok(text) = std::fs::read(&file) else { return Ok(None) };
        // A damaged file is moved aside later, with a warning.
        let Ok(value) = serde_json::from_slice::<Value>(&text) else { return Ok(None) };
        let Some(recorded) = value.get("preprocessing") else { return Ok(None) };
        let wrong = |error| Failure::new(Kind::Data, format!("{}: `preprocessing`: {error}", file.display()));
        serde_json::from_value(recorded.clone()).map(Some).map_err(wrong)
    }

    /// Adds the program and device that continue the run after `step`, and whether on other data. Returns the event for
    /// the log.
    pub(crate) fn go_on(&mut self, step: u64, device: &str, other_data: bool) -> Event {
        let (version, commit) = (env!("CARGO_PKG_VERSION").to_string(), env!("AST_COMMIT").to_string());
        let threads = rayon::current_num_threads();
        let mut entry =
            json!({ "step": step, "version": version, "commit": commit, "device": device, "threads": threads });
        if other_data {
            entry["other_data"] = true.into();
        }
        match self.0.get_mut("resumed").and_then(Value::as_array_mut) {
            Some(resumed) => resumed.push(entry),
            None => self.0["resumed"] = json!([entry]),
        }
        Event::Resumed { step, version, commit, device: device.to_string() }
    }

    /// What continued the run, in order.
    fn resumed(&self) -> impl Iterator<Item = &Value> {
        self.0.get("resumed").and_then(Value::as_array).into_iter().flatten()
    }

    /// The warning for a run that went on with data that had changed.
    pub(crate) fn other_data(&self) -> Option<String> {
        let other = self.resumed().filter(|entry| entry.get("other_data").and_then(Value::as_bool) == Some(true));
        let steps: Vec<String> = other.filter_map(|entry| entry.get("step").map(Value::to_string)).collect();
        let text = format!("files of the data had changed when the run went on after step {}", steps.join(", "));
        (!steps.is_empty()).then_some(text)
    }

    /// All values that `key` had during the run, each once, in order.
    pub(crate) fn all(&self, key: &str) -> String {
        let mut values: Vec<&str> = Vec::new();
        for value in std::iter::once(&self.0).chain(self.resumed()).filter_map(|entry| entry.get(key)?.as_str()) {
            if !values.contains(&value) {
                values.push(value);
            }
        }
        values.join(", then ")
    }

    pub(crate) fn json(&self) -> &Value {
        &self.0
    }
}

/// What `run.json` has under a key, if it has it in this form.
fn recorded<T: DeserializeOwned>(claim: &Claim, key: &str) -> Result<Option<T>, Failure> {
    let text = claim.read(PROVENANCE)?.unwrap_or_default();
    let value: Value = serde_json::from_slice(&text).unwrap_or_default();
    Ok(value.get(key).and_then(|value| serde_json::from_value(value.clone()).ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_build_is_named_once() {
        let mut builds = Builds(json!({ "commit": "first", "unknown": 1 }));
        let here = env!("AST_COMMIT");
        builds.go_on(3, "flex", false);
        assert_eq!(builds.other_data(), None);
        builds.go_on(5, "cuda", true);
        assert!(builds.other_data().is_some_and(|warning| warning.ends_with("went on after step 5")));
        assert_eq!(builds.all("commit"), format!("first, then {here}"));
        assert_eq!(builds.all("device"), "flex, then cuda");
        assert_eq!(builds.json()["unknown"], 1);
        assert_eq!(builds.json()["resumed"].as_array().unwrap().len(), 2);
    }
}
