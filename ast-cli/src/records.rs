//! Two tables of a finished run: `ledger.csv`, what it did with each training sample, and `predictions.csv`, what the
//! network answered for each test image.

use std::path::Path;

use ast_core::data::{Dataset, Shape};
use ast_core::run::{Answer, Summary};
use ast_core::select::{Ledger, SampleId};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::failure::{Failure, Kind};
use crate::input;

pub(crate) const LEDGER: &str = "ledger.csv";
pub(crate) const PREDICTIONS: &str = "predictions.csv";
/// Upper bound for the size of a table: 16 GiB would be 100 million samples.
const LARGEST: u64 = 1 << 34;

/// A line of `ledger.csv`: a training sample. Absent values are empty.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Visited {
    pub(crate) id: SampleId,
    /// The class; absent for text.
    pub(crate) label: Option<usize>,
    /// Its name; absent if the classes have none, and in tables of older programs.
    #[serde(default)]
    pub(crate) class: Option<String>,
    /// The group, if the data has groups.
    pub(crate) group: Option<String>,
    /// How often it was trained on.
    pub(crate) visits: u16,
    /// Loss at the last visit, nats.
    pub(crate) loss: Option<f32>,
    /// Moving average of the absolute change of the loss between visits, nats.
    pub(crate) loss_change: Option<f32>,
    /// How often its answer changed from right to wrong.
    pub(crate) forgotten: u16,
    /// Whether the answer was right at the last visit.
    pub(crate) correct: Option<bool>,
    /// Rank of the last score, 0..=1; 1 is the most significant.
    pub(crate) rank: Option<f64>,
    /// Where it comes from, such as its file.
    pub(crate) place: Option<String>,
}

/// A line of `predictions.csv`: a test image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Predicted {
    pub(crate) id: SampleId,
    pub(crate) label: usize,
    /// Its name; absent if the classes have none, and in tables of older programs.
    #[serde(default)]
    pub(crate) class: Option<String>,
    /// The most likely class.
    pub(crate) predicted: usize,
    /// Its name.
    #[serde(default)]
    pub(crate) answer: Option<String>,
    /// Its probability, 0..=1.
    pub(crate) confidence: f32,
    /// Cross-entropy, nats.
    pub(crate) loss: f32,
    /// Where it comes from, such as its file.
    pub(crate) place: Option<String>,
}

/// What a run did with the samples of its training data.
pub(crate) fn visited(ledger: &Ledger, data: &dyn Dataset) -> impl Iterator<Item = Visited> {
    let images = matches!(data.shape(), Shape::Image(_));
    let names = data.class_names();
    (0..data.samples() as SampleId).map(move |id| {
        let seen = ledger.visits(id) > 0;
        let label = images.then(|| data.label(id));
        Visited {
            id,
            label,
            class: label.and_then(|label| names.get(label).cloned()),
            group: data.group(id).map(String::from),
            visits: ledger.visits(id),
            loss: ledger.loss(id),
            loss_change: (ledger.visits(id) > 1).then(|| ledger.loss_change(id)),
            forgotten: ledger.forgotten(id),
            correct: seen.then(|| ledger.was_correct(id)),
            // Without fading.
            rank: ledger.score(id, f64::INFINITY),
            place: data.place(id),
        }
    })
}

/// The answers for the images of a dataset.
pub(crate) fn predicted(answers: &[Answer], data: &dyn Dataset) -> impl Iterator<Item = Predicted> {
    let names = data.class_names();
    answers.iter().map(move |answer| {
        let Answer { id, class: predicted, confidence, loss } = *answer;
        let (label, name) = (data.label(id), |class: usize| names.get(class).cloned());
        let (class, answer) = (name(label), name(predicted));
        Predicted { id, label, class, predicted, answer, confidence, loss, place: data.place(id) }
    })
}

/// A table as CSV, with a line of names.
pub(crate) fn csv(rows: impl Iterator<Item = impl Serialize>) -> Result<Vec<u8>, Failure> {
    let bug = |error: String| Failure::new(Kind::Bug, error);
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in rows {
        writer.serialize(row).map_err(|error| bug(error.to_string()))?;
    }
    writer.into_inner().map_err(|error| bug(error.to_string()))
}

/// What a run did with each training sample; `None` if there is no such table.
pub(crate) fn ledger(run: &Path, summary: &Summary) -> Result<Option<Vec<Visited>>, Failure> {
    let Some(all) = read::<Visited>(run, LEDGER)? else { return Ok(None) };
    let whole = all.iter().zip(0..).all(|(sample, id)| sample.id == id);
    let visits: u64 = all.iter().map(|sample| u64::from(sample.visits)).sum();
    // Undone steps and more visits than are counted may be apart.
    let exact = summary.skipped == 0 && all.iter().all(|sample| sample.visits < u16::MAX);
    match whole && (visits == summary.samples.trained || !exact) {
        true => Ok(Some(all)),
        false => Err(other(run, LEDGER)),
    }
}

/// What the network of a run answered; `None` if there is no such table.
pub(crate) fn predictions(run: &Path, summary: &Summary) -> Result<Option<Vec<Predicted>>, Failure> {
    let Some(all) = read::<Predicted>(run, PREDICTIONS)? else { return Ok(None) };
    let Some(test) = summary.test else { return Ok(Some(all)) };
    // Broken images have no answer, and their ids remain.
    let ids = test.samples + summary.left_out.map_or(0, |left_out| left_out.test);
    let known = |answer: &Predicted| (answer.id as usize) < ids && answer.label.max(answer.predicted) < test.classes;
    let right = all.iter().filter(|answer| answer.label == answer.predicted).count();
    let accuracy = 100.0 * right as f64 / all.len().max(1) as f64;
    let whole = all.len() == test.samples && all.is_sorted_by(|one, next| one.id < next.id);
    match whole && all.iter().all(known) && (accuracy - summary.accuracy.last).abs() < 1e-6 {
        true => Ok(Some(all)),
        false => Err(other(run, PREDICTIONS)),
    }
}

fn other(run: &Path, name: &str) -> Failure {
    let what = "this is not what summary.json tells of: it is cut off or was changed";
    Failure::new(Kind::Data, format!("{}: {what}", run.join(name).display()))
}

/// Reads the table `name` of a run's folder; `None` if there is no such file.
fn read<T: DeserializeOwned>(run: &Path, name: &str) -> Result<Option<Vec<T>>, Failure> {
    let file = run.join(name);
    if !file.exists() {
        return Ok(None);
    }
    let text = input::read(&file, LARGEST, Kind::Data, ": too large for a table of samples")?;
    let mut reader = csv::Reader::from_reader(text.as_slice());
    let damaged = |line: Option<u64>| {
        let place = line.map_or(String::new(), |line| format!(", line {line}"));
        let what = "this is no such table: it is cut off or was changed";
        Failure::new(Kind::Data, format!("{}{place}: {what}", file.display()))
    };
    if !reader.headers().is_ok_and(|names| names.iter().next() == Some("id")) {
        return Err(damaged(Some(1)));
    }
    let line = |error: csv::Error| damaged(error.position().map(csv::Position::line));
    reader.deserialize().collect::<Result<_, _>>().map(Some).map_err(line)
}
