//! `ast eval`: evaluates the weights of a run, or of a file, on a test set.

use std::fmt::Write;
use std::path::Path;

use ast_core::data::{Dataset, Preprocessing, Shape};
use ast_core::run::{RunConfig, TextResult};
use ast_core::train::{Evaluated, text_result};
use serde_json::{Value, json};

use crate::args::EvalArgs;
use crate::config;
use crate::confusion::{Calibration, Confusion};
use crate::dataset;
use crate::failure::{Failure, Kind};
use crate::inference;
use crate::interval::{half_width, with_error};
use crate::output::{note, print, table};
use crate::records::{self, Predicted};
use crate::run_folder::{CONFIG, summary_of, write_named};

/// Most classes of which the whole confusion matrix is printed.
const MATRIX: usize = 20;
/// What is done for weights of another program.
const ASSUMED: &str =
    "they are normalised, and their classes numbered, as the data asks for; set data.mean and data.deviation";
/// Number of mistakes that are listed otherwise.
const MISTAKES: usize = 20;

pub(crate) fn eval(args: &EvalArgs) -> Result<(), Failure> {
    if !args.what.exists() {
        return Err(Failure::new(Kind::Io, format!("{}: there is no such file or folder", args.what.display())));
    }
    let of_run = args.of_run()?;
    let is_own = args.what.is_dir() && of_run.run.config.as_deref() == Some(&args.what.join(CONFIG));
    if is_own {
        // The file of a run is checked as such, before other settings are put on top.
        config::of_run_folder(&args.what)?;
    }
    let config = config::resolve(&of_run)?.effective();
    let weights = match args.what.is_dir() {
        true => inference::weights(&args.what, None)?,
        false => args.what.clone(),
    };
    let folder = if args.what.is_dir() { Some(args.what.as_path()) } else { args.what.parent() };
    if let (Some(_), Some(Ok(own))) = (config.data.validation, folder.map(config::of_run_folder))
        && own.data.name == config.data.name
        && own.data.validation != config.data.validation
    {
        note("warning: that run did not hold these images out: where it was trained on them, the accuracy is too good");
    }
    let of_run = of_run_of(&weights, folder)?;
    if of_run.is_none() {
        note(&format!("warning: {} does not say how its images were prepared: {ASSUMED}", weights.display()));
    }
    let (mut test, set) = dataset::to_evaluate(&config, of_run.as_ref())?;
    let data = test.dataset().clone();
    let what = set_of(set, &config, data.as_ref(), data.samples());
    let evaluated = inference::evaluate(&config, &weights, test.as_mut(), &what, config.eval.tta)?;
    let answers: Vec<Predicted> = records::predicted(&evaluated.answers, data.as_ref()).collect();
    if let Some(file) = &args.csv {
        if answers.is_empty() {
            return Err(Failure::usage("--csv is for images: of text there is one answer for every token"));
        }
        write_named(file, &records::csv(answers.iter())?)?;
        note(&format!("answers: {}", file.display()));
    }
    let result = Evaluation::of(set, &config, data.as_ref(), &evaluated, &answers);
    print(&if args.json { result.json().to_string() } else { result.report() })
}

/// What the weights tell of their preprocessing, or else the run that they lie in.
fn of_run_of(weights: &Path, folder: Option<&Path>) -> Result<Option<Preprocessing>, Failure> {
    let of_summary = || summary_of(folder?).ok().map(|summary| summary.preprocessing).filter(|of| of.shape.is_some());
    Ok(dataset::of_weights(weights)?.or_else(of_summary))
}

/// The evaluation data in words: `500 test images of procedural`.
fn set_of(set: Option<&str>, config: &RunConfig, data: &dyn Dataset, samples: usize) -> String {
    let what = if matches!(data.shape(), Shape::Tokens(_)) { "windows" } else { "images" };
    match set {
        None => format!("all {samples} {what} of {}", config.data.name),
        Some(set) => format!("{samples} {set} {what} of {}", config.data.name),
    }
}

struct Evaluation {
    /// What was evaluated on, in words.
    set: String,
    samples: usize,
    accuracy: f64,
    loss: f64,
    tta: Option<f64>,
    /// Of text.
    text: Option<TextResult>,
    /// Of images.
    images: Option<(Confusion, Calibration)>,
    /// The names of the classes, or their numbers.
    classes: Vec<String>,
}

impl Evaluation {
    fn of(
        set: Option<&str>,
        config: &RunConfig,
        data: &dyn Dataset,
        evaluated: &Evaluated,
        answers: &[Predicted],
    ) -> Self {
        let (classes, samples) = (data.classes(), data.samples() - evaluated.bad.len());
        let named = data.class_names();
        let Evaluated { accuracy, loss, tta, .. } = *evaluated;
        Self {
            set: set_of(set, config, data, samples),
            samples,
            accuracy,
            loss,
            tta,
            text: text_result(loss, data),
            images: (!answers.is_empty()).then(|| (Confusion::of(answers, classes), Calibration::of(answers))),
            classes: (0..classes).map(|class| named.get(class).cloned().unwrap_or(class.to_string())).collect(),
        }
    }

    fn json(&self) -> Value {
        let Self { samples, accuracy, loss, tta, text, images, classes, .. } = self;
        let mut result = json!({"samples": samples, "accuracy": accuracy, "loss": loss});
        let mut put = |key: &str, value: Value| drop(result.as_object_mut().map(|all| all.insert(key.into(), value)));
        if let Some(tta) = tta {
            put("tta", json!(tta));
        }
        if let Some(text) = text {
            put("text", json!(text));
        }
        if let Some((confusion, calibration)) = images {
            put("accuracy_error", json!(100.0 * half_width(accuracy / 100.0, *samples)));
            put("calibration", json!(calibration));
            put("class_names", json!(classes));
            put("confusion", (0..classes.len()).map(|class| json!(confusion.row(class))).collect());
        }
        result
    }

    fn report(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = self.write(&mut text);
        text.truncate(text.trim_end().len());
        text
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        let guess = format!("{:.1}", 100.0 / self.classes.len() as f64);
        let mut line =
            |what: &str, value: String, meaning: String| writeln!(out, "  {what:18} {value:>16}   {meaning}");
        if let Some(TextResult { perplexity, bits_per_character }) = self.text {
            let guess = (self.classes.len() as f64).ln();
            line(
                "loss",
                format!("{:.4}", self.loss),
                format!("nats a token, {}; guessing gives {guess:.2}", self.set),
            )?;
            line("perplexity", format!("{perplexity:.2}"), "as uncertain as among so many tokens".into())?;
            line("bits a character", format!("{bits_per_character:.3}"), String::new())?;
            return line(
                "accuracy",
                format!("{:.1} %", self.accuracy),
                "of the tokens were those that the network held likeliest".into(),
            );
        }
        let Some((confusion, Calibration { expected_error, mean_confidence })) = &self.images else { return Ok(()) };
        let accuracy = with_error(self.accuracy, self.samples);
        line("accuracy", accuracy, format!("{}, 95 % interval; guessing gives {guess} %", self.set))?;
        if let Some(tta) = self.tta {
            line("with augmentation", with_error(tta, self.samples), "averaged over six views of each image".into())?;
        }
        line("loss", format!("{:.4}", self.loss), "nats".into())?;
        let gap = 100.0 * mean_confidence - self.accuracy;
        let judged = if gap > 0.0 { "too confident" } else { "too careful" };
        line(
            "mean confidence",
            format!("{:.1} %", 100.0 * mean_confidence),
            format!("{:.1} points {judged}", gap.abs()),
        )?;
        let meaning = "mean gap between confidence and accuracy, 15 bins".into();
        line("calibration error", format!("{:.1} %", 100.0 * expected_error), meaning)?;
        write!(out, "\n{}", table(&self.by_class(confusion)))?;
        if self.classes.len() <= MATRIX {
            writeln!(out, "\nAnswers by class: a row is a true class, a column what was answered.\n")?;
            return write!(out, "{}", table(&self.matrix(confusion)));
        }
        writeln!(out, "\nThe most frequent mistakes:\n")?;
        let mistake = |(class, answer, count): (usize, usize, u64)| {
            vec![self.classes[class].clone(), self.classes[answer].clone(), count.to_string()]
        };
        let mistakes = confusion.mistakes().into_iter().take(MISTAKES).map(mistake);
        let head = ["class", "taken for", "images"].map(String::from).to_vec();
        write!(out, "{}", table(&std::iter::once(head).chain(mistakes).collect::<Vec<_>>()))
    }

    fn by_class(&self, confusion: &Confusion) -> Vec<Vec<String>> {
        let mistakes = confusion.mistakes();
        let row = |(class, name): (usize, &String)| {
            let (samples, right) = (confusion.samples(class), confusion.right(class));
            let share = |count: u64| format!("{:.1} %", 100.0 * count as f64 / samples.max(1) as f64);
            let most = mistakes.iter().find(|(of, ..)| *of == class);
            let most = most.map_or(String::new(), |(_, as_, n)| format!("{}, {}", self.classes[*as_], share(*n)));
            let accuracy = if samples == 0 { "unknown".into() } else { share(right) };
            vec![name.clone(), samples.to_string(), accuracy, most]
        };
        let head = ["class", "images", "accuracy", "most often taken for"].map(String::from).to_vec();
        std::iter::once(head).chain(self.classes.iter().enumerate().map(row)).collect()
    }

    fn matrix(&self, confusion: &Confusion) -> Vec<Vec<String>> {
        let row = |(class, name): (usize, &String)| {
            let counts = confusion.row(class).iter().map(ToString::to_string);
            std::iter::once(name.clone()).chain(counts).collect()
        };
        let head = std::iter::once(String::new()).chain(self.classes.iter().cloned()).collect();
        std::iter::once(head).chain(self.classes.iter().enumerate().map(row)).collect()
    }
}
