//! What was done with each sample: contact sheets, visits, classes, and what the network took for what.

use std::collections::BTreeMap;

use ast_core::data::Dataset;
use ast_core::run::Summary;

use super::data::RunData;
use super::sheet::{Shown, shown};
use crate::confusion::Confusion;
use crate::ledger::{by, histogram, suspicion};
use crate::output::several;
use crate::records::Visited;

/// Samples of a contact sheet.
const SHEET: usize = 24;
/// Samples of one in the page of a comparison.
const SHEET_OF_ARM: usize = 12;
/// Windows of text in place of one.
const TEXTS: usize = 4;
/// Most classes with a confusion matrix.
const MATRIX: usize = 20;
/// Most bars of a histogram.
const BARS: usize = 24;

/// A value and its bar, in percent of the longest.
pub(super) struct Bar {
    pub(super) name: String,
    pub(super) text: String,
    pub(super) percent: f64,
}

pub(super) struct Sheet {
    pub(super) title: String,
    pub(super) meaning: String,
    pub(super) images: Vec<Card>,
    pub(super) texts: Vec<Card>,
}

pub(super) struct Card {
    pub(super) shown: String,
    pub(super) caption: String,
    pub(super) description: String,
}

pub(super) struct ClassRow {
    pub(super) name: String,
    pub(super) data: String,
    pub(super) training: String,
    pub(super) accuracy: String,
    pub(super) percent: f64,
    pub(super) mistake: String,
}

pub(super) struct MatrixRow {
    pub(super) name: String,
    /// Number, and share of the row.
    pub(super) cells: Vec<(u64, f64)>,
}

pub(super) fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

pub(super) fn visits(ledger: &[Visited]) -> Vec<Bar> {
    let bins = histogram(ledger, BARS);
    let largest = bins.iter().map(|(_, samples)| *samples).max().unwrap_or(1).max(1);
    let bar = |(name, samples): (String, usize)| Bar {
        name,
        text: samples.to_string(),
        percent: (100.0 * samples as f64 / largest as f64).round(),
    };
    bins.into_iter().map(bar).collect()
}

fn name_of(summary: &Summary, class: usize) -> String {
    summary.preprocessing.class_names.get(class).cloned().unwrap_or(class.to_string())
}

fn confusion(run: &RunData) -> Option<(Confusion, usize)> {
    let classes = run.summary.test?.classes;
    (!run.predictions.is_empty()).then(|| (Confusion::of(&run.predictions, classes), classes))
}

pub(super) fn classes(run: &RunData) -> Vec<ClassRow> {
    let mut shares: BTreeMap<usize, (u64, u64)> = BTreeMap::new();
    for sample in &run.ledger {
        if let Some(label) = sample.label {
            let (samples, visits) = shares.entry(label).or_default();
            *samples += 1;
            *visits += u64::from(sample.visits);
        }
    }
    let all = shares.values().fold((0, 0), |(samples, visits), (a, b)| (samples + a, visits + b));
    let known = confusion(run);
    let mistakes = known.as_ref().map(|(confusion, _)| confusion.mistakes()).unwrap_or_default();
    let share = |part: u64, whole: u64| percent(part as f64 / whole.max(1) as f64);
    let row = |(class, (samples, visits)): (&usize, &(u64, u64))| {
        let tested = known
            .as_ref()
            .filter(|(_, classes)| class < classes)
            .map(|(confusion, _)| (confusion.right(*class), confusion.samples(*class)));
        let right = tested.filter(|(_, samples)| *samples > 0).map(|(right, samples)| right as f64 / samples as f64);
        let mistake = mistakes.iter().find(|(of, ..)| of == class);
        ClassRow {
            name: name_of(&run.summary, *class),
            data: share(*samples, all.0),
            training: share(*visits, all.1),
            accuracy: right.map_or("unknown".into(), percent),
            percent: right.map_or(0.0, |right| (100.0 * right).round()),
            mistake: mistake
                .map_or(String::new(), |(_, answer, n)| format!("{} ({n})", name_of(&run.summary, *answer))),
        }
    };
    shares.iter().map(row).collect()
}

pub(super) fn matrix(run: &RunData) -> Vec<MatrixRow> {
    let Some((confusion, classes)) = confusion(run).filter(|(_, classes)| *classes <= MATRIX) else {
        return Vec::new();
    };
    let row = |class: usize| {
        let samples = confusion.samples(class).max(1) as f64;
        let cells =
            confusion.row(class).iter().map(|count| (*count, (*count as f64 / samples * 100.0).round() / 100.0));
        MatrixRow { name: name_of(&run.summary, class), cells: cells.collect() }
    };
    (0..classes).map(row).collect()
}

pub(super) fn sheets(run: &RunData, data: &dyn Dataset) -> Result<Vec<Sheet>, String> {
    // Those that were never trained on come first, and those with the lowest rank among the others.
    let least = by(&run.ledger, |sample| Some(-f64::from(sample.visits) - sample.rank.unwrap_or(0.0) / 2.0));
    let loss = by(&run.ledger, |sample| suspicion(sample).or(sample.loss.map(f64::from)));
    let sheet = |title: &str, meaning: &str, samples: &[&Visited]| -> Result<Sheet, String> {
        let (images, texts) = cards(&samples[..SHEET.min(samples.len())], &run.summary, data)?;
        Ok(Sheet { title: title.into(), meaning: meaning.into(), images, texts })
    };
    let most = if selects_by_score(&run.summary) {
        "What significance thought most of."
    } else {
        "This run did not select by significance."
    };
    Ok(vec![
        sheet("Most often trained on", most, &most_visited(&run.ledger))?,
        sheet("Least often trained on", "Of those with as few visits, the ones whose last score was lowest.", &least)?,
        sheet(
            "Highest loss at the last visit",
            "Hard samples, and wrong labels. `ast ledger RUN --suspects` lists more.",
            &loss,
        )?,
    ])
}

/// Whether scores had a part in the choice of samples.
pub(super) fn selects_by_score(summary: &Summary) -> bool {
    summary.ran.as_ref().is_some_and(|ran| ran.scorer.is_some() && ran.acts_as.is_none())
}

/// What an arm of a comparison trained on most; `None` if it trained on all samples as often.
pub(super) fn sheet_of_arm(
    arm: &str,
    ledger: &[Visited],
    summary: &Summary,
    data: &dyn Dataset,
) -> Result<Option<Sheet>, String> {
    let sorted = most_visited(ledger);
    let (Some(most), Some(least)) = (sorted.first(), sorted.last()) else { return Ok(None) };
    if most.visits == least.visits {
        return Ok(None);
    }
    let meaning = format!("Visits of a sample: {} to {}.", least.visits, most.visits);
    let (images, texts) = cards(&sorted[..SHEET_OF_ARM.min(sorted.len())], summary, data)?;
    Ok(Some(Sheet { title: arm.into(), meaning, images, texts }))
}

fn most_visited(ledger: &[Visited]) -> Vec<&Visited> {
    by(ledger, |sample| Some(f64::from(sample.visits)))
}

/// Images or texts, with what is known of them.
fn cards(samples: &[&Visited], summary: &Summary, data: &dyn Dataset) -> Result<(Vec<Card>, Vec<Card>), String> {
    let (mut images, mut texts) = (Vec::new(), Vec::new());
    for sample in samples {
        if sample.id as usize >= data.samples() {
            return Err("ledger.csv and the data have other numbers of samples".to_string());
        }
        // A number alone would not say what it is.
        let named = |label| {
            if summary.preprocessing.class_names.is_empty() {
                format!("class {label}")
            } else {
                name_of(summary, label)
            }
        };
        let class = sample.label.map(named);
        let loss = sample.loss.map_or(String::new(), |loss| format!(", loss {loss:.2}"));
        let group = sample.group.as_ref().map_or(String::new(), |group| format!(", {group}"));
        let caption = format!(
            "{}{}{loss}{group}",
            class.as_ref().map_or(String::new(), |class| format!("{class}, ")),
            several(sample.visits.into(), "visit")
        );
        let place = sample.place.as_ref().map_or(String::new(), |place| format!(", {place}"));
        let description = format!("training sample {}: {caption}{place}", sample.id);
        match shown(data, sample.id) {
            Ok(Shown::Image(shown)) => images.push(Card { shown, caption, description }),
            Ok(Shown::Text(shown)) if texts.len() < TEXTS => texts.push(Card { shown, caption, description }),
            // A broken image cannot be shown.
            Ok(Shown::Text(_)) | Err(_) => {}
        }
    }
    Ok((images, texts))
}
