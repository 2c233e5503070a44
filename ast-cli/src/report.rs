//! The report of a finished run, for a reader who sees it for the first time.

use std::fmt::Write;
use std::path::Path;

use ast_core::data::Reads;
use ast_core::plugin::ParamValue;
use ast_core::run::{Event, LeftOut, Ran, RunConfig, StepEvent, Summary, TextResult};
use ast_core::select::Worth;
use ast_core::train::Phase;

use crate::config::{self, DenseResult};
use crate::export;
use crate::interval::half_width;
use crate::output::several;
use crate::records::{LEDGER, PREDICTIONS};
use crate::run_folder::{CONFIG, PAGE};
use crate::shell::quoted;
use crate::tensorboard;

/// A run that saves less is a dense one: the last batch may be cut off.
const ALL_OF_IT: f64 = 5e-4;

/// Names of classes that are listed.
const CLASSES: usize = 5;

/// The files that a run leaves for its user.
const FILES: [&str; 13] = [
    PAGE,
    "run.svg",
    "summary.json",
    "model.safetensors",
    "best.safetensors",
    "metrics.jsonl",
    "config.toml",
    "run.json",
    LEDGER,
    PREDICTIONS,
    export::METRICS,
    export::EMISSIONS,
    tensorboard::FOLDER,
];

pub(crate) struct Run<'a> {
    pub(crate) config: &'a RunConfig,
    pub(crate) device: &'a str,
    pub(crate) classes: usize,
    pub(crate) test_samples: usize,
    pub(crate) folder: &'a Path,
    pub(crate) events: &'a [Event],
}

/// The result in a few words: the accuracy, or for text the loss.
pub(crate) fn outcome(summary: &Summary) -> String {
    match summary.text {
        None => format!("{:.2} %", summary.accuracy.last),
        Some(_) => format!("loss {:.4}", summary.loss.last),
    }
}

/// The training data in words.
pub(crate) fn data_of(config: &RunConfig) -> String {
    let limit = config.data.train_limit.map_or(String::new(), |limit| format!(" ({limit} samples)"));
    format!("{}{limit}", config.data.name)
}

/// The report as text.
pub(crate) fn report(summary: &Summary, run: &Run<'_>) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write(&mut text, summary, run);
    text
}

fn write(out: &mut String, summary: &Summary, run: &Run<'_>) -> std::fmt::Result {
    let (config, samples, seconds) = (run.config, summary.samples, &summary.seconds);
    writeln!(
        out,
        "\n{} on {}, seed {}: {:.0} s",
        summary.ran.as_ref().map_or_else(|| config.policy.name.clone(), Ran::title),
        run.device,
        config.train.seed,
        seconds.total
    )?;
    writeln!(out)?;
    let set = if config.data.validation.is_some() { "held-out" } else { "test" };
    match summary.text {
        None => {
            writeln!(
                out,
                "  {:17} {:6.1} %   +- {:.1}: {} images, final weights; guessing gives {:.0} %",
                format!("{set} accuracy"),
                summary.accuracy.last,
                100.0 * half_width(summary.accuracy.last / 100.0, run.test_samples),
                run.test_samples,
                100.0 / run.classes as f64
            )?;
            // A dense run on smaller images saves FLOPs and no samples.
            if summary.savings.flops > ALL_OF_IT && summary.savings.samples > ALL_OF_IT {
                match config::dense_result(config) {
                    Some(DenseResult { accuracy, provenance }) => writeln!(
                        out,
                        "  dense run         {accuracy:6.1} %   the same epochs on every sample ({provenance})"
                    )?,
                    None => writeln!(
                        out,
                        "  dense run          unknown   the same epochs on every sample; `ast compare` measures it"
                    )?,
                }
            }
        }
        Some(TextResult { perplexity, bits_per_character }) => {
            writeln!(
                out,
                "  {:17} {:8.4}   nats a token, {} windows, final weights; guessing gives {:.2}",
                format!("{set} loss"),
                summary.loss.last,
                run.test_samples,
                (run.classes as f64).ln()
            )?;
            writeln!(out, "  perplexity        {perplexity:8.2}   as uncertain as among so many tokens")?;
            writeln!(out, "  bits a character  {bits_per_character:8.3}")?;
        }
    }
    if let Some(tta) = summary.accuracy.tta {
        writeln!(out, "  {:17} {tta:6.1} %   the same, averaged over six views of each image", "with augmentation")?;
    }
    writeln!(
        out,
        "  activation        {:>8}   trained on {} of {} offered samples ({})",
        percent(summary.activation.realised),
        samples.trained,
        samples.offered,
        match summary.activation.kept {
            true if summary.activation.warmup.is_some() => {
                format!("target after the warm-up {}", percent(summary.activation.target))
            }
            true => format!("target {}", percent(summary.activation.target)),
            false => format!("`{}` keeps no target", config.policy.name),
        }
    )?;
    // Where all is trained on anyway, there is nothing to say.
    if let Some(share) = summary.activation.warmup.filter(|_| summary.activation.realised < 1.0) {
        let share = percent(share);
        writeln!(
            out,
            "  warm-up           {share:>8}   of the budget on every offered sample, before the policy began"
        )?;
    }
    if let Some(sizes) = &config.train.sizes {
        let sizes: Vec<String> = sizes.iter().map(ToString::to_string).collect();
        writeln!(
            out,
            "  image sizes                  {} pixels over the run; evaluated at full size",
            sizes.join(", ")
        )?;
    }
    if summary.skipped > 0 {
        writeln!(
            out,
            "  skipped steps     {:>8}   or undone: a loss, score or gradient was NaN or infinite",
            summary.skipped
        )?;
    }
    if let Some(reads) = &summary.reads {
        let of = |reads: &Reads| format!("{:.1} MB", reads.bytes as f64 / 1e6);
        let all = [("training", &reads.training), ("scoring", &reads.scoring), ("evaluation", &reads.evaluation)];
        let parts: Vec<String> = all
            .iter()
            .filter(|(_, reads)| reads.bytes > 0)
            .map(|(what, reads)| format!("{} for {what}", of(reads)))
            .collect();
        let decodes = reads.training.decodes + reads.scoring.decodes;
        let parts = if parts.is_empty() { "all at the start".into() } else { parts.join(", ") };
        writeln!(out, "  read from files              {parts}; {decodes} images decoded outside evaluation")?;
    }
    if let Some(LeftOut { training, test }) = summary.left_out {
        writeln!(
            out,
            "  left out          {:>8}   broken images: {training} to train on, {test} to test on",
            training + test
        )?;
    }
    let names = &summary.preprocessing.class_names;
    if !names.is_empty() {
        let (first, more) = names.split_at(names.len().min(CLASSES));
        let more = if more.is_empty() { String::new() } else { format!(" and {} more", more.len()) };
        writeln!(out, "  classes           {:>8}   {}{more}", names.len(), first.join(", "))?;
    }
    if let Some(guarded) = guarded(config, summary, run.events) {
        writeln!(out, "  guard                        {guarded}")?;
    }
    match config.budget.seconds {
        None => writeln!(out, "\n  saved, against a dense run of {}:", several(summary.epochs as usize, "epoch"))?,
        Some(_) => writeln!(out, "\n  saved, against training on every offered sample:")?,
    }
    for Row { name, value, meaning } in savings(summary, config) {
        writeln!(out, "    {name:15} {value:>8}   {meaning}")?;
    }
    writeln!(out, "    (without evaluation)")?;
    writeln!(out, "\n  seconds by phase:")?;
    for phase in Phase::ALL {
        let spent = seconds.phases.get(phase.name()).copied().unwrap_or(0.0);
        writeln!(out, "    {:15} {spent:7.2} s {:>8}", phase.name(), percent(spent / seconds.total))?;
    }
    if !seconds.phases_apart {
        writeln!(
            out,
            "    (steps were not timed apart: `train` includes their scoring and all waiting for the device)"
        )?;
    }
    if !summary.groups.is_empty() {
        writeln!(out, "\n  what was trained on:          share of data    share of training")?;
        for (name, group) in &summary.groups {
            writeln!(out, "    {name:24} {:>16} {:>20}", percent(group.share), percent(group.passes))?;
        }
    }
    let files = FILES.into_iter().filter(|name| run.folder.join(name).exists()).collect::<Vec<_>>().join(", ");
    writeln!(out, "\n  files: {}/ ({files})", run.folder.display())?;
    let advice = advice(summary, &config.policy.name, run.folder);
    match summary.text {
        None => writeln!(out, "\nNext: {advice}"),
        Some(_) => {
            writeln!(out, "\nNext: `{} generate {}` writes a text;\n      {advice}", program(), quoted(run.folder))
        }
    }
}

/// A line of a table: a quantity, its value, and where that comes from.
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) value: String,
    pub(crate) meaning: String,
}

/// The four savings.
pub(crate) fn savings(summary: &Summary, config: &RunConfig) -> Vec<Row> {
    let (seconds, joules) = (&summary.seconds, &summary.joules);
    let tera = |flops: u64| flops as f64 / 1e12;
    let unknown = || "unknown".to_string();
    let row = |name: &str, value: String, meaning: String| Row { name: name.into(), value, meaning };
    let flops = format!(
        "counted: {:.2} of {:.2} TFLOP, {}",
        tera(summary.flops.total),
        tera(summary.flops.dense_equivalent),
        if config.budget.free_scoring {
            "an ablation: scoring was not charged to the budget"
        } else {
            "scoring included"
        }
    );
    let (saved, estimate) = match (summary.savings.seconds, seconds.dense_equivalent) {
        (Some(saved), Some(dense)) => {
            let spent = seconds.total - seconds.phases.get(Phase::Eval.name()).copied().unwrap_or(0.0);
            (percent(saved), format!("estimated: {spent:.1} s spent, {dense:.1} s at this run's median step"))
        }
        _ => (unknown(), "no batch was full and of full size".into()),
    };
    let joules = match joules.total {
        Some(total) => format!("{total:.0} J spent, {}; `ast compare` measures a dense run too", joules.method),
        None => joules.method.replacen("unavailable: ", "not measured: ", 1),
    };
    vec![
        row("samples", percent(summary.savings.samples), "counted".into()),
        row("FLOPs", percent(summary.savings.flops), flops),
        row("seconds", saved, estimate),
        row("joules", unknown(), joules),
    ]
}

fn percent(fraction: f64) -> String {
    format!("{:.1} %", 100.0 * fraction)
}

/// What the guard saw and did in a run, in words; `None` if there was none.
pub(crate) fn guarded(config: &RunConfig, summary: &Summary, events: &[Event]) -> Option<String> {
    let is_off = config.policy.params.get("guard") == Some(&ParamValue::Word("off".into()));
    let acts_as = summary.ran.as_ref().and_then(|ran| ran.acts_as.as_ref());
    if config.policy.name != "ast" || is_off || acts_as.is_some() {
        return None;
    }
    let selected = |event: &Event| matches!(event, Event::Step(StepEvent { selected: Some(_), .. }));
    // What was measured when the last selected samples were trained.
    let end = events.iter().rposition(selected).unwrap_or(0);
    let worth = events[..end].iter().rev().find_map(|event| match event {
        Event::Worth { worth, .. } => Some(worth),
        _ => None,
    });
    let nothing = || "nothing was selected: passes on a sample were not shown to help the others".into();
    Some(worth.map_or_else(nothing, held_back))
}

/// What a guard with this measurement does.
fn held_back(Worth { worth, gate, .. }: &Worth) -> String {
    let held: Vec<usize> = (0..gate.len()).filter(|part| gate[*part] < 0.5).collect();
    let highest = |part: &usize| match gate.len() - part {
        1 => "the highest eighth".to_string(),
        n => format!("eighth {n} from above"),
    };
    let list = held.iter().rev().map(|part| format!("{} ({:.1})", highest(part), worth[*part])).collect::<Vec<_>>();
    match list.is_empty() {
        true => "nothing was held back: at no score did passes make the other samples worse".into(),
        false => format!(
            "held back the scores at which passes made the other samples worse (the average is worth 1): {}",
            list.join(", ")
        ),
    }
}

/// What to do next.
fn advice(summary: &Summary, policy: &str, run: &Path) -> String {
    let ast = program();
    let config = quoted(&run.join(CONFIG));
    // Beside the run, and not where another comparison may be.
    let mut compared = run.as_os_str().to_owned();
    compared.push("-compared");
    let compared = quoted(Path::new(&compared));
    match summary.ran.as_ref().and_then(|ran| ran.acts_as.as_deref()).unwrap_or(policy) {
        "random" if policy == "ast" => {
            format!(
                "`{ast} train --config {config} --set policy.lambda=0.8` selects;\n      \
                 `{ast} compare --config {config} --arms random,ast:lambda=0.8 --out {compared}`\n      \
                 measures what that is worth"
            )
        }
        "random" | "dense" => format!(
            "`{ast} train --config {config} --policy ast --set policy.lambda=0.8` selects by significance;\n      \
             `{ast} policies` lists what else can select"
        ),
        other => {
            let arm = if other == policy { policy } else { other };
            format!(
                "is it better than random?{}\n      \
                 `{ast} compare --config {config} --arms dense,random,{arm} --out {compared}` answers",
                duration(summary).map_or(String::new(), |minutes| format!(" In about {minutes}, with six seeds,"))
            )
        }
    }
}

/// How long six runs like this one take, each beside a random and a dense one, roughly.
fn duration(summary: &Summary) -> Option<String> {
    let seconds = 6.0 * (2.0 * summary.seconds.total + summary.seconds.dense_equivalent?);
    let minutes = (seconds / 60.0).ceil();
    Some(if minutes < 90.0 { several(minutes as usize, "minute") } else { format!("{:.0} hours", minutes / 60.0) })
}

/// How the program is called. Under `cargo run` it is not on the path.
fn program() -> &'static str {
    if std::env::var_os("CARGO").is_some() { "cargo run --release --" } else { "ast" }
}
