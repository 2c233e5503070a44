//! The page of one run.

use std::collections::BTreeMap;

use askama::Template;
use ast_core::data::Dataset;
use ast_core::run::{Event, Ran, RunConfig, StepEvent, Summary};
use ast_core::train::Phase;

use super::chart::{Chart, Curve, Drawn};
use super::sheet::{Shown, shown};
use crate::config::{self, DenseResult};
use crate::confusion::Confusion;
use crate::interval;
use crate::ledger::{by, suspicion};
use crate::output::several;
use crate::plot::{Points, smooth};
use crate::records::{Predicted, Visited};
use crate::report::{Row, decision, savings};

/// Samples of a contact sheet.
const SHEET: usize = 24;
/// Windows of text in place of one.
const TEXTS: usize = 4;
/// Most classes with a confusion matrix.
const MATRIX: usize = 20;
/// Most bars of a histogram.
const BARS: usize = 24;

/// What a page is made from.
pub(super) struct RunData {
    pub(super) config: RunConfig,
    pub(super) summary: Summary,
    pub(super) events: Vec<Event>,
    pub(super) ledger: Vec<Visited>,
    pub(super) predictions: Vec<Predicted>,
    /// The command that started it.
    pub(super) command: String,
    /// `config.toml`.
    pub(super) file: String,
    /// When it was started, where and by which program.
    pub(super) provenance: String,
}

#[derive(Template)]
#[template(path = "run.html")]
pub(super) struct RunPage {
    title: String,
    sentences: Vec<String>,
    facts: Vec<Row>,
    notes: Vec<String>,
    charts: Vec<Drawn>,
    savings: Vec<Row>,
    against: String,
    phases: Vec<Bar>,
    phases_note: Option<String>,
    no_samples: Option<String>,
    sheets: Vec<Sheet>,
    visits: Vec<Bar>,
    groups: Vec<(String, String, String)>,
    classes: Vec<ClassRow>,
    matrix: Vec<MatrixRow>,
    command: String,
    provenance: String,
    config: String,
}

struct Bar {
    name: String,
    text: String,
    percent: f64,
}

struct Sheet {
    title: &'static str,
    meaning: &'static str,
    images: Vec<Card>,
    texts: Vec<Card>,
}

struct Card {
    shown: String,
    caption: String,
    description: String,
}

struct ClassRow {
    name: String,
    data: String,
    training: String,
    accuracy: String,
    percent: f64,
    mistake: String,
}

struct MatrixRow {
    name: String,
    /// Number, and share of the row.
    cells: Vec<(u64, f64)>,
}

impl RunPage {
    /// The page of a run. Without its data, which is then the reason, it has no samples to look at.
    pub(super) fn of(run: &RunData, data: Result<&dyn Dataset, String>) -> Result<Self, String> {
        let RunData { config, summary, .. } = run;
        let dense = config::dense_result(config);
        let (sheets, no_samples) = match data {
            _ if run.ledger.is_empty() => {
                (Vec::new(), Some("This run has no ledger.csv: older programs wrote none.".into()))
            }
            Ok(data) => (sheets(run, data)?, None),
            Err(reason) => (Vec::new(), Some(format!("The samples cannot be shown: {reason}."))),
        };
        let title = summary.ran.as_ref().map_or_else(|| config.policy.name.clone(), Ran::title);
        Ok(Self {
            title: format!("{title}: {} on {}, seed {}", config.model.name, config.data.name, config.train.seed),
            sentences: sentences(run, dense),
            facts: facts(run),
            notes: notes(run),
            charts: charts(run, dense)?,
            savings: savings(summary, config),
            against: match config.budget.seconds {
                None => format!(
                    "Against a dense run of {}, which trains on every sample in every epoch.",
                    several(summary.epochs as usize, "epoch")
                ),
                Some(_) => "Against training on every offered sample.".into(),
            },
            phases: phases(summary),
            phases_note: (!summary.seconds.phases_apart).then(|| {
                "Steps were not timed apart: `train` includes their scoring and all waiting for the device.".into()
            }),
            no_samples,
            sheets,
            visits: visits(&run.ledger),
            groups: summary
                .groups
                .iter()
                .map(|(name, group)| (name.clone(), percent(group.share), percent(group.passes)))
                .collect(),
            classes: classes(run),
            matrix: matrix(run),
            command: run.command.clone(),
            provenance: run.provenance.clone(),
            config: run.file.clone(),
        })
    }
}

fn with_error(accuracy: f64, samples: usize) -> String {
    interval::with_error(accuracy, samples).replace("+-", "\u{b1}")
}

fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

/// What was asked, what came out, and its price.
fn sentences(run: &RunData, dense: Option<&DenseResult>) -> Vec<String> {
    let RunData { config, summary, .. } = run;
    let policy = summary.ran.as_ref().map_or_else(|| config.policy.name.clone(), Ran::title);
    let share = match (config.budget.fraction, config.budget.seconds) {
        (Some(fraction), _) => {
            format!("for {} of the FLOPs of {} of {}", percent(fraction), epochs(summary), config.data.name)
        }
        (_, Some(seconds)) => format!("for {seconds} seconds on {}", config.data.name),
        _ if !summary.activation.kept => {
            format!("on what the policy takes from {} of {}", epochs(summary), config.data.name)
        }
        _ => format!(
            "on {} of the samples that {} of {} offer",
            percent(summary.activation.target),
            epochs(summary),
            config.data.name
        ),
    };
    let tested = summary.test.map_or(0, |test| test.samples);
    let result = match summary.text {
        None if tested > 0 => {
            format!("It answers {} of {tested} test images right", with_error(summary.accuracy.last, tested))
        }
        None => format!("It answers {:.2} % of the test images right", summary.accuracy.last),
        Some(_) => format!("Its loss on text that it has not seen is {:.4} nats a token", summary.loss.last),
    };
    let saved = summary.savings.flops;
    let cost = if saved.abs() < 0.0005 {
        "at the cost of a dense run".into()
    } else {
        format!("for {} of the FLOPs of a dense run", percent(1.0 - saved))
    };
    let samples = summary.samples.trained;
    let mut sentences = vec![
        format!("The network {} was to be trained by {policy} {share}.", config.model.name),
        format!("{result}, after {} on {samples} samples, {cost}.", several(summary.steps as usize, "step")),
    ];
    if saved > 0.0005 {
        sentences.push(match dense {
            Some(dense) => format!(
                "The dense run reaches {:.1} % ({}): {:.1} points is the price of the saving.",
                dense.accuracy,
                dense.provenance,
                dense.accuracy - summary.accuracy.last
            ),
            None => "What the dense run would reach is not known: `ast compare` measures it, and whether a random choice of as many samples would have done as well.".into(),
        });
    }
    sentences
}

fn epochs(summary: &Summary) -> String {
    several(summary.epochs as usize, "epoch")
}

fn facts(run: &RunData) -> Vec<Row> {
    let RunData { config, summary, .. } = run;
    let row = |name: &str, value: String, meaning: &str| Row { name: name.into(), value, meaning: meaning.into() };
    let set = if config.data.validation.is_some() { "held-out" } else { "test" };
    let mut facts = Vec::new();
    match summary.text {
        None => {
            let accuracy = summary.test.map_or(format!("{:.2} %", summary.accuracy.last), |test| {
                with_error(summary.accuracy.last, test.samples)
            });
            facts.push(row(&format!("{set} accuracy"), accuracy, "final weights, 95 % interval"));
            if let Some(tta) = summary.accuracy.tta {
                facts.push(row("with augmentation", format!("{tta:.2} %"), "six views of each image"));
            }
        }
        Some(text) => {
            facts.push(row(&format!("{set} loss"), format!("{:.4}", summary.loss.last), "nats a token"));
            facts.push(row("perplexity", format!("{:.2}", text.perplexity), "equally likely tokens"));
            facts.push(row("bits a character", format!("{:.3}", text.bits_per_character), ""));
        }
    }
    facts.push(row("activation", percent(summary.activation.realised), "trained of offered samples"));
    facts.push(row("FLOPs saved", percent(summary.savings.flops), "counted, scoring included"));
    facts.push(row("time", format!("{:.0} s", summary.seconds.total), "evaluation included"));
    facts
}

/// Warnings, the guard's decisions, and what happened otherwise.
fn notes(run: &RunData) -> Vec<String> {
    let RunData { summary, events, .. } = run;
    let mut notes: Vec<String> = summary.ran.iter().flat_map(|ran| ran.warnings.clone()).collect();
    let decisions: Vec<String> = events.iter().filter_map(decision).collect();
    if !decisions.is_empty() {
        notes.push(format!("The guard, which watches whether selection pays: {}.", decisions.join(", ")));
    }
    if summary.skipped > 0 {
        notes.push(format!(
            "{} skipped or undone, because of NaN or infinity.",
            several(summary.skipped as usize, "step")
        ));
    }
    if let Some(left_out) = summary.left_out {
        notes.push(format!("Broken images left out: {} to train on, {} to test on.", left_out.training, left_out.test));
    }
    notes
}

fn charts(run: &RunData, dense: Option<&DenseResult>) -> Result<Vec<Drawn>, String> {
    let RunData { config, summary, events, .. } = run;
    let steps: Vec<&StepEvent> =
        events.iter().filter_map(|event| if let Event::Step(step) = event { Some(step) } else { None }).collect();
    let end = steps.last().map_or(1.0, |step| step.epoch);
    let over = |value: &dyn Fn(&StepEvent) -> Option<f64>| -> Points {
        steps.iter().filter_map(|step| Some((step.epoch, value(step)?))).collect()
    };
    let evaluated: Vec<(f64, u64, f64, f64)> = events
        .iter()
        .filter_map(|event| match event {
            Event::Evaluated { epoch, step, accuracy, loss, .. } => Some((*epoch, *step, *accuracy, *loss)),
            _ => None,
        })
        .collect();
    let across = || "nominal epochs".to_string();
    let text = summary.text.is_some();
    let value = |(_, _, accuracy, loss): &(f64, u64, f64, f64)| if text { *loss } else { *accuracy };
    let set = if config.data.validation.is_some() { "held-out" } else { "test" };

    let training = smooth(over(&|step| Some(if text { step.loss } else { step.accuracy })));
    let mut results = vec![
        Curve::new("training batches, smoothed", 5, thinned(training)),
        Curve::new(set, 0, evaluated.iter().map(|at| (at.0, value(at))).collect()),
    ];
    if let Some(dense) = dense {
        results.push(Curve::level("dense run, at its end", 2, dense.accuracy, end));
    }
    let target = steps.first().map_or(0.0, |step| 100.0 * step.control.target);
    let mut rate = vec![
        Curve::new("smoothed, as controlled", 1, thinned(over(&|step| Some(100.0 * step.control.rate?)))),
        Curve::new("so far, as counted", 0, thinned(over(&|step| Some(100.0 * step.activation)))),
    ];
    if summary.activation.kept {
        rate.push(Curve::level("target", 5, target, end));
    }
    let threshold = Curve::new("threshold", 3, thinned(over(&|step| step.control.threshold)));
    // Where coverage selected all of a batch, its share is absent.
    let selects = steps.iter().any(|step| step.selected.is_some());
    let selected = over(&|step| selects.then(|| 100.0 * step.selected.unwrap_or(0.0)));
    let selected = Curve::new("by significance", 4, thinned(smooth(selected)));
    // The share of a dense run's samples that was trained on when a step was done.
    let whole = (summary.samples.trained as f64 / (1.0 - summary.savings.samples)).max(1.0);
    let spent = |step: u64| {
        let at = steps.partition_point(|event| event.step < step).min(steps.len().saturating_sub(1));
        steps.get(at).map_or(0.0, |event| 100.0 * event.trained as f64 / whole)
    };
    let mut price = vec![Curve::new("this run", 0, evaluated.iter().map(|at| (spent(at.1), value(at))).collect())];
    if let Some(dense) = dense {
        price.push(Curve::new("dense run, at its end", 2, vec![(100.0, dense.accuracy)]));
    }
    let result = if text { "loss, nats a token" } else { "accuracy, %" };
    let unit = if text { "" } else { " %" };
    let chart = |title: String, across: String, bounds, unit, curves| Chart { title, across, bounds, unit, curves };
    let all = [
        chart(result.into(), across(), [None, None], unit, results),
        chart(format!("{result}, by cost"), "samples trained on, % of a dense run's".into(), [None, None], unit, price),
        chart("activation rate, % of offered samples".into(), across(), [Some(0.0), None], " %", rate),
        chart(
            "share of the trained samples that significance selected, %".into(),
            across(),
            [Some(0.0), Some(100.0)],
            " %",
            vec![selected],
        ),
        chart(
            "threshold (a rank for `ast`, else on the policy's own scale)".into(),
            across(),
            [None, None],
            "",
            vec![threshold],
        ),
        chart(
            "learning rate".into(),
            across(),
            [Some(0.0), None],
            "",
            vec![Curve::new("learning rate", 2, thinned(over(&|step| Some(step.lr))))],
        ),
    ];
    all.into_iter().filter_map(|chart| chart.drawn().transpose()).collect()
}

/// At most so many points that a picture shows each.
fn thinned(points: Points) -> Points {
    let step = points.len().div_ceil(400).max(1);
    let last = points.len().saturating_sub(1);
    points.into_iter().enumerate().filter(|(i, _)| i % step == 0 || *i == last).map(|(_, point)| point).collect()
}

fn phases(summary: &Summary) -> Vec<Bar> {
    let seconds = |phase: &Phase| summary.seconds.phases.get(phase.name()).copied().unwrap_or(0.0);
    let most = Phase::ALL.iter().map(seconds).fold(f64::MIN_POSITIVE, f64::max);
    let bar = |phase: &Phase| Bar {
        name: phase.name().into(),
        text: format!("{:.2} s", seconds(phase)),
        percent: (100.0 * seconds(phase) / most).round(),
    };
    Phase::ALL.iter().map(bar).collect()
}

fn visits(ledger: &[Visited]) -> Vec<Bar> {
    let Some(most) = ledger.iter().map(|sample| usize::from(sample.visits)).max() else { return Vec::new() };
    let width = (most + 1).div_ceil(BARS);
    let mut counts = vec![0_usize; most / width + 1];
    ledger.iter().for_each(|sample| counts[usize::from(sample.visits) / width] += 1);
    let largest = counts.iter().max().copied().unwrap_or(1).max(1);
    let bar = |(bin, count): (usize, &usize)| Bar {
        name: if width == 1 { bin.to_string() } else { format!("{} to {}", bin * width, (bin + 1) * width - 1) },
        text: count.to_string(),
        percent: (100.0 * *count as f64 / largest as f64).round(),
    };
    counts.iter().enumerate().map(bar).collect()
}

fn name_of(summary: &Summary, class: usize) -> String {
    summary.class_names.get(class).cloned().unwrap_or(class.to_string())
}

fn confusion(run: &RunData) -> Option<(Confusion, usize)> {
    let classes = run.summary.test?.classes;
    (!run.predictions.is_empty()).then(|| (Confusion::of(&run.predictions, classes), classes))
}

fn classes(run: &RunData) -> Vec<ClassRow> {
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

fn matrix(run: &RunData) -> Vec<MatrixRow> {
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

fn sheets(run: &RunData, data: &dyn Dataset) -> Result<Vec<Sheet>, String> {
    let visits = |sample: &Visited| Some(f64::from(sample.visits));
    let most = by(&run.ledger, visits);
    // Those that were never trained on come first, and those with the lowest rank among the others.
    let least = by(&run.ledger, |sample| Some(-f64::from(sample.visits) - sample.rank.unwrap_or(0.0) / 2.0));
    let loss = by(&run.ledger, |sample| suspicion(sample).or(sample.loss.map(f64::from)));
    let all = [
        ("Most often trained on", "What significance thought most of.", most),
        ("Least often trained on", "Of those with as few visits, the ones whose last score was lowest.", least),
        ("Highest loss at the last visit", "Wrong labels surface here. `ast ledger RUN --suspects` lists more.", loss),
    ];
    let sheet = |(title, meaning, samples): (&'static str, &'static str, Vec<&Visited>)| {
        let mut sheet = Sheet { title, meaning, images: Vec::new(), texts: Vec::new() };
        for sample in samples.into_iter().take(SHEET) {
            if sample.id as usize >= data.samples() {
                return Err("ledger.csv and the data have other numbers of samples".to_string());
            }
            let class = sample.label.map(|label| name_of(&run.summary, label));
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
                Ok(Shown::Image(shown)) => sheet.images.push(Card { shown, caption, description }),
                Ok(Shown::Text(shown)) if sheet.texts.len() < TEXTS => {
                    sheet.texts.push(Card { shown, caption, description })
                }
                // A broken image is none to look at.
                Ok(Shown::Text(_)) | Err(_) => {}
            }
        }
        Ok(sheet)
    };
    all.into_iter().map(sheet).collect()
}
