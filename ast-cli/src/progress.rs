//! Progress on standard error: a bar on a terminal, else a line now and then, for a person or as JSON.

use std::time::{Duration, Instant};

use ast_core::run::{Event, StepEvent};
use ast_core::train::{Activity, OnScoring, SavedSoFar};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;

use crate::args::Progress;
use crate::output::{note, several};

/// Number of lines over a whole run, without a bar.
const LINES: u64 = 20;
/// Least time between two computations of what was saved, and between two steps as JSON.
const OFTEN: Duration = Duration::from_millis(200);
const EACH_SECOND: Duration = Duration::from_secs(1);
/// Least time between two lines on extra passes.
const A_WHILE: Duration = Duration::from_secs(10);
/// The message takes the rest of the line and is cut there. From 40 columns on there is room for it.
const BAR: &str = "{prefix}{bar:10} {percent:>3} %  {elapsed}, {eta} left  {wide_msg}";

pub(crate) struct ProgressView {
    bar: Option<ProgressBar>,
    plain: bool,
    json: bool,
    /// Whether there is only the bar, and no lines above it.
    quiet: bool,
    total: u64,
    epochs: u32,
    printed: u64,
    begin: Instant,
    /// Samples offered when this process began.
    from: Option<u64>,
    /// When the last step was printed as JSON.
    shown: Option<Instant>,
    /// What was saved, and when that was computed.
    saved: Option<(SavedSoFar, Instant)>,
    /// The last evaluation, in a few words.
    evaluated: Option<String>,
    /// Whether it is a language model.
    pub(crate) text: bool,
    /// Whether the run is evaluated on held-out training data instead of the test set.
    pub(crate) held_out: bool,
}

impl ProgressView {
    pub(crate) fn new(progress: Progress) -> Self {
        let draw = || {
            let style = ProgressStyle::with_template(BAR).unwrap_or_else(|_| ProgressStyle::default_bar());
            ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(10)).with_style(style)
        };
        // A bar is hidden, with everything printed through it, if standard error is a file or a terminal that cannot
        // move its cursor (TERM=dumb).
        let bar = matches!(progress, Progress::Auto | Progress::Bar).then(draw).filter(|bar| !bar.is_hidden());
        let json = progress == Progress::Json;
        Self {
            plain: bar.is_none() && !json && progress != Progress::None,
            bar,
            json,
            quiet: false,
            total: 0,
            epochs: 0,
            printed: 0,
            begin: Instant::now(),
            from: None,
            shown: None,
            saved: None,
            evaluated: None,
            text: false,
            held_out: false,
        }
    }

    /// A bar among others that begins with these words, if there is a terminal, and nothing else.
    pub(crate) fn among(bars: &MultiProgress, words: &str) -> Self {
        let view = Self::new(Progress::Bar);
        let bar = view.bar.map(|bar| bars.add(bar.with_prefix(format!("{words}  "))));
        Self { bar, plain: false, quiet: true, ..view }
    }

    /// Whether the start of the run is to be told.
    pub(crate) fn tells_the_start(&self) -> bool {
        !self.quiet && (self.bar.is_some() || self.plain)
    }

    /// Sets the length of the run.
    pub(crate) fn of(&mut self, samples: usize, epochs: u32) {
        (self.total, self.epochs) = (samples as u64 * u64::from(epochs), epochs);
        if let Some(bar) = &self.bar {
            bar.set_length(self.total);
        }
    }

    pub(crate) fn event(&mut self, event: &Event) {
        if self.json {
            self.as_json(event);
        }
        match event {
            Event::Started { samples, epochs, .. } => self.of(*samples, *epochs),
            Event::Warning { message } => self.warn(message),
            Event::Step(step) => self.step(step),
            Event::Skipped { step, reason, .. } => self.warn(&format!("step {step} skipped: {reason}")),
            Event::RolledBack { step, to, lr_scale, reason } => {
                self.warn(&format!("{reason} at step {step}: back to step {to}, learning rate x {lr_scale}"));
            }
            Event::Worth { .. } => {}
            Event::Resumed { step, .. } => self.print(&format!("continued after step {step}")),
            Event::Gap { after, step, bytes, .. } => self.warn(&format!(
                "{bytes} bytes of metrics.jsonl are missing: between step {after} and step {step} the log has a gap; \
                 the result does not depend on it"
            )),
            Event::Evaluated { epoch, accuracy, loss, tta, .. } => {
                self.evaluated =
                    Some(if self.text { format!("test loss {loss:.3}") } else { format!("test {accuracy:.1} %") });
                let tta = tta.map(|tta| format!(" ({tta:.1} % augmented)")).unwrap_or_default();
                let (epochs, set) = (self.epochs, if self.held_out { "held-out" } else { "test" });
                let accuracy = if self.text { String::new() } else { format!("accuracy {accuracy:.1} %{tta}, ") };
                self.print(&format!("epoch {epoch:5.1}/{epochs}  {set} {accuracy}loss {loss:.3}"));
            }
        }
    }

    fn step(&mut self, step: &StepEvent) {
        let saved = self.saved.as_ref().map(|(saved, _)| describe_saved(saved)).unwrap_or_default();
        if let Some(bar) = &self.bar {
            bar.set_position(step.offered);
            let evaluated = self.evaluated.as_ref().map(|words| format!("{words}  ")).unwrap_or_default();
            // What a narrow terminal cuts off comes last.
            bar.set_message(format!("{evaluated}loss {:.3}{saved}  {}", step.loss, trained(step)));
        }
        let due = (LINES * step.offered / self.total.max(1)).max(1);
        if self.plain && due > self.printed {
            self.printed = due;
            note(&format!("epoch {:5.1}/{}  loss {:.3}  {}{saved}", step.epoch, self.epochs, step.loss, trained(step)));
        }
    }

    /// What was saved so far; computed only when it is to be shown.
    pub(crate) fn saved(&mut self, saved: &dyn Fn() -> SavedSoFar) {
        let shown = self.bar.is_some() || self.plain || self.json;
        // A line is printed seldom, and what it says is then to be of its own step.
        if shown && (self.plain || self.saved.is_none_or(|(_, at)| at.elapsed() > OFTEN)) {
            self.saved = Some((saved(), Instant::now()));
        }
    }

    /// Something begins that takes longer than a step.
    pub(crate) fn begins(&self, activity: Activity) {
        if let Some(bar) = &self.bar {
            bar.set_message(match activity {
                Activity::Evaluating => "evaluating ...",
                Activity::Saving => "saving ...",
            });
        }
    }

    /// What shows extra passes that take long.
    pub(crate) fn on_scoring(&self) -> OnScoring {
        let (bar, plain, mut shown) = (self.bar.clone(), self.plain, Instant::now());
        let (mut last, mut begun) = (0, Instant::now());
        Box::new(move |samples| {
            if samples <= last {
                begun = Instant::now();
            }
            last = samples;
            if begun.elapsed() < EACH_SECOND {
                return;
            }
            let text = format!("scoring: {} ...", several(samples as usize, "sample"));
            match &bar {
                Some(bar) => bar.set_message(text),
                None if plain && shown.elapsed() >= A_WHILE => {
                    shown = Instant::now();
                    note(&text);
                }
                None => {}
            }
        })
    }

    /// Events as in metrics.jsonl, but of steps only one a second, with what was saved and the time.
    fn as_json(&mut self, event: &Event) {
        let Ok(mut line) = serde_json::to_value(event) else { return };
        if let (Event::Step(step), Some(fields)) = (event, line.as_object_mut()) {
            let from = *self.from.get_or_insert(step.offered);
            if self.shown.is_some_and(|at| at.elapsed() < EACH_SECOND) {
                return;
            }
            self.shown = Some(Instant::now());
            let seconds = self.begin.elapsed().as_secs_f64();
            let done = step.offered.saturating_sub(from);
            let left = self.total.saturating_sub(step.offered) as f64 / done as f64 * seconds;
            fields.insert("epochs".into(), json!(self.epochs));
            fields.insert("seconds".into(), json!(seconds));
            fields.insert("seconds_left".into(), json!(Some(left).filter(|left| left.is_finite())));
            let saved = self.saved.map(|(saved, _)| {
                let SavedSoFar { samples, flops, seconds } = saved;
                json!({"samples": samples, "flops": flops, "seconds": seconds})
            });
            fields.insert("saved".into(), json!(saved));
        }
        note(&line.to_string());
    }

    /// A warning is printed without progress too; as JSON it is an event.
    fn warn(&self, message: &str) {
        let line = format!("warning: {message}");
        let silent = self.bar.is_none() && !self.plain && !self.json && !self.quiet;
        if silent { note(&line) } else { self.print(&line) }
    }

    fn print(&self, line: &str) {
        match &self.bar {
            Some(_) if self.quiet => {}
            Some(bar) => bar.println(line),
            None if self.plain => note(line),
            None => {}
        }
    }

    pub(crate) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// On a terminal, shows that something of unknown length goes on, until it is finished.
pub(crate) fn waiting(what: &str) -> ProgressBar {
    let style = ProgressStyle::with_template("{spinner} {msg}, {elapsed}");
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(5));
    let bar = bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner())).with_message(what.to_string());
    bar.enable_steady_tick(OFTEN);
    bar
}

/// The measured share that was trained, where the original claims a saving.
fn trained(step: &StepEvent) -> String {
    let rate = 100.0 * step.activation;
    let selected = step.selected.map(|share| format!(", {:.0} % of these by significance", 100.0 * share));
    let selected = selected.unwrap_or_default();
    let size = step.size.map(|[height, width]| format!("  {height} x {width} pixels")).unwrap_or_default();
    format!("trained {rate:.1} % of offered{selected}{size}")
}

fn describe_saved(SavedSoFar { samples, flops, seconds }: &SavedSoFar) -> String {
    let percent = |share: f64| format!("{:.0} %", 100.0 * share);
    let seconds = seconds.map_or(String::new(), |share| format!(", {} seconds", percent(share)));
    format!("  saved {} samples, {} FLOPs{seconds}", percent(*samples), percent(*flops))
}
