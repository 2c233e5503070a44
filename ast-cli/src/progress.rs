//! Progress on standard error: a bar on a terminal, else a line now and then.

use ast_core::run::{Event, StepEvent};
use ast_core::select::{Decision, Evidence};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::args::Progress;
use crate::output::note;

/// Number of lines over a whole run, without a bar.
const LINES: u64 = 20;
/// The message takes the rest of the line and is cut there. From 40 columns on there is room for it.
const BAR: &str = "{bar:10} {percent:>3} %  {elapsed}, {eta} left  {wide_msg}";

pub(crate) struct ProgressView {
    bar: Option<ProgressBar>,
    plain: bool,
    total: u64,
    epochs: u32,
    printed: u64,
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
        let plain = bar.is_none() && progress != Progress::None;
        Self { bar, plain, total: 0, epochs: 0, printed: 0, evaluated: None, text: false, held_out: false }
    }

    /// Sets the length of the run.
    pub(crate) fn of(&mut self, samples: usize, epochs: u32) {
        (self.total, self.epochs) = (samples as u64 * u64::from(epochs), epochs);
        if let Some(bar) = &self.bar {
            bar.set_length(self.total);
        }
    }

    pub(crate) fn event(&mut self, event: &Event) {
        match event {
            Event::Started { samples, epochs, .. } => self.of(*samples, *epochs),
            Event::Warning { message } => self.print(&format!("warning: {message}")),
            Event::Step(step) => self.step(step),
            Event::Skipped { step, reason, .. } => self.print(&format!("warning: step {step} skipped: {reason}")),
            Event::RolledBack { step, to, lr_scale, reason } => {
                self.print(&format!("warning: {reason} at step {step}: back to step {to}, learning rate x {lr_scale}"));
            }
            Event::Decided { epoch, decision, .. } => {
                self.print(&format!("epoch {epoch:5.1}/{}  {}", self.epochs, describe_decision(decision)));
            }
            Event::Resumed { step, .. } => self.print(&format!("continued after step {step}")),
            Event::Gap { after, step, bytes, .. } => self.print(&format!(
                "warning: {bytes} bytes of metrics.jsonl are missing: between step {after} and step {step} the log has a gap; \
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
        let text = describe(step, self.epochs);
        if let Some(bar) = &self.bar {
            bar.set_position(step.offered);
            let evaluated = self.evaluated.as_ref().map(|words| format!("{words}  ")).unwrap_or_default();
            bar.set_message(format!("{evaluated}{text}"));
        }
        let due = (LINES * step.offered / self.total.max(1)).max(1);
        if self.plain && due > self.printed {
            self.printed = due;
            note(&text);
        }
    }

    fn print(&self, line: &str) {
        match &self.bar {
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

fn describe_decision(Decision { selecting, evidence }: &Decision) -> String {
    let state = if *selecting { "selection is on" } else { "selection is paused" };
    match evidence {
        Some(Evidence { gain, standard_errors }) => format!(
            "{state}: a step makes {gain:.2} times the progress of a uniform one ({standard_errors:+.1} standard errors)"
        ),
        None => format!("{state} again, on trial"),
    }
}

/// The epoch line of the original, but with the measured share that was trained instead of a claimed saving.
fn describe(step: &StepEvent, epochs: u32) -> String {
    let rate = 100.0 * step.activation;
    let threshold = step.control.threshold.map(|t| format!("  threshold {t:.3}")).unwrap_or_default();
    let size = step.size.map(|[height, width]| format!("  {height} x {width} pixels")).unwrap_or_default();
    format!("epoch {:5.1}/{epochs}  loss {:.3}  trained {rate:.1} % of offered{threshold}{size}", step.epoch, step.loss)
}
