//! The page of one run.

use askama::Template;
use ast_core::data::Dataset;
use ast_core::run::{Ran, Summary};
use ast_core::train::Phase;

use super::chart::Drawn;
use super::curves::charts;
use super::data::RunData;
use super::samples::{Bar, ClassRow, MatrixRow, Sheet, classes, matrix, percent, selects_by_score, sheets, visits};
use crate::config::{self, DenseResult};
use crate::interval;
use crate::output::several;
use crate::report::{Row, data_of, guarded, savings};

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
            title: format!("{title}: {} on {}, seed {}", config.model.name, data_of(config), config.train.seed),
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
            "with a target of {} of the samples that {} of {} offer",
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
        format!("The network {} was trained by {policy} {share}.", config.model.name),
        format!("{result}, after {} on {samples} samples, {cost}.", several(summary.steps as usize, "step")),
    ];
    if saved > 0.0005 && summary.savings.samples > 0.0005 {
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
    let RunData { config, summary, events, .. } = run;
    let mut notes: Vec<String> = summary.ran.iter().flat_map(|ran| ran.warnings.clone()).collect();
    if let Some(guarded) = guarded(config, summary, events) {
        notes.push(format!("The guard, which measures what a pass is worth to other samples: {guarded}."));
    }
    if config.policy.name == "ast" && selects_by_score(summary) {
        notes.push(
            "How much significance selects is set at the start of each epoch: nothing in the first tenth of the budget, when there \
             are no scores yet, less and less after four fifths, and nothing in the last tenth, to end on all of the data."
                .into(),
        );
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
