//! `ast simulate`: policies in closed loop without a network, all with the same scores.

mod case;
mod measure;
mod picture;
mod policies;
mod scores;
mod words;

use std::fmt::{self, Write};
use std::path::Path;

use ast_control::PiConfig;
use ast_core::run::{ControlConfig, RunConfig};
use serde::Serialize;

use crate::args::SimulateArgs;
use crate::failure::{Failure, Kind};
use crate::output::{note, print, table};
use crate::run_folder::{new_or_empty, write};
use case::{Case, Size};
use measure::{Measured, STRETCH};
use policies::{LAMBDA, Trace, Turn};

/// Upper bound for the scores of a case, to bound the run time.
const MOST_SCORES: usize = 1 << 20;
/// Upper bound for the chunks of a recording, to bound the run time: each is sorted into the window.
const MOST_CHUNKS: usize = 10_000;
/// Smallest number of chunks, so that the end can be judged.
const LEAST_CHUNKS: usize = 6 * STRETCH;

/// The output of `--json`.
#[derive(Debug, Serialize)]
struct Simulation {
    schema: u32,
    /// The target at the start. All shares are in 0..1.
    target: f64,
    chunk: usize,
    seed: u64,
    control: PiConfig,
    cases: Vec<Measured>,
}

pub(crate) fn simulate(args: &SimulateArgs) -> Result<(), Failure> {
    let SimulateArgs { target, kp, ki, ema, seed, .. } = *args;
    let control = PiConfig { kp, ki, ema };
    // The ranges are those of a run's configuration.
    let config = RunConfig { control: ControlConfig { target: Some(target), kp, ki, ema }, ..RunConfig::default() };
    config.check().map_err(Failure::usage)?;
    let size = Size { target, chunk: args.chunk as usize, chunks: args.chunks as usize, seed };
    let cases = cases(args, size)?;
    if let Some(folder) = &args.out {
        new_or_empty(folder)?;
    }
    let mut run = Vec::new();
    for case in cases {
        let traces = policies::run(&case, control)?;
        run.push((case, traces));
    }
    let measured = run.iter().map(|(case, traces)| Measured::of(case, traces, ema)).collect();
    let simulation = Simulation { schema: 2, target, chunk: size.chunk, seed, control, cases: measured };
    let text = simulation.text();
    if let Some(folder) = &args.out {
        save(folder, &run, ema, &text)?;
        note(&format!("files: {}/ (simulation.svg, simulation.csv, simulation.md)", folder.display()));
    }
    if args.json {
        return print(&serde_json::to_string(&simulation).map_err(|error| Failure::new(Kind::Bug, error.to_string()))?);
    }
    print(&text)?;
    if args.out.is_none() {
        note("\nNext: --out DIR saves a picture and the numbers");
    }
    Ok(())
}

fn cases(args: &SimulateArgs, size: Size) -> Result<Vec<Case>, Failure> {
    let Some(file) = &args.scores else {
        let Size { chunk, chunks, .. } = size;
        if chunk * chunks > MOST_SCORES {
            let message = format!("--chunk x --chunks = {} scores, more than {MOST_SCORES}", chunk * chunks);
            return Err(Failure::usage(message));
        }
        return Ok(Case::named(args.case, size).collect());
    };
    let scores = scores::read(file)?;
    let (whole, left) = (scores.len() / size.chunk, scores.len() % size.chunk);
    if whole < LEAST_CHUNKS {
        return Err(Failure::new(
            Kind::Data,
            format!(
                "{}: {} scores are {whole} chunks of {}, but at least {LEAST_CHUNKS} chunks are needed; lower --chunk",
                file.display(),
                scores.len(),
                size.chunk
            ),
        ));
    }
    if whole > MOST_CHUNKS {
        let message = format!("--chunk {} makes {whole} chunks of these scores, more than {MOST_CHUNKS}", size.chunk);
        return Err(Failure::usage(message));
    }
    if left > 0 {
        note(&format!("the last {left} of {} scores do not fill a chunk and are left out", scores.len()));
    }
    Ok(vec![Case::recorded(&scores, size)])
}

impl Simulation {
    fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = self.write(&mut text);
        text
    }

    fn write(&self, out: &mut String) -> fmt::Result {
        let PiConfig { kp, ki, ema } = self.control;
        let chunks = self.cases.first().map_or(0, |case| case.chunks);
        writeln!(
            out,
            "{chunks} chunks of {} samples per case, seed {}; ast: lambda {LAMBDA}, kp {kp}, ki {ki}, ema {ema}\n",
            self.chunk, self.seed
        )?;
        let head = ["case", "policy", "target", "mean rate", "RMS error", "settled after", "overshoot", "threshold"];
        let mut rows = vec![head.map(String::from).to_vec()];
        rows.extend(self.cases.iter().flat_map(Measured::cells));
        out.push_str(&table(&rows));
        writeln!(
            out,
            "\n\
             mean rate      over the last quarter of the run\n\
             RMS error      of the smoothed rate (ema {ema}) from the target, over the whole run, in points\n\
             settled after  chunks after the last disturbance until means of {STRETCH} chunks stay within five\n\
             {0:15}standard errors of the target, to the end\n\
             overshoot      largest excess of the smoothed rate over the target after the last disturbance, in points\n\
             threshold      at the end: a rank for ast and quantile, a significance for original, a score for\n\
             {0:15}fixed-threshold\n",
            ""
        )?;
        for case in &self.cases {
            bullet(out, &words::sentences(case).join(" "))?;
        }
        // `print` ends the line.
        out.truncate(out.trim_end().len());
        Ok(())
    }
}

/// Writes a list item, wrapped.
fn bullet(out: &mut String, text: &str) -> fmt::Result {
    let mut line = "*".to_string();
    for word in text.split(' ') {
        if line.len() + 1 + word.len() > 100 {
            writeln!(out, "{line}")?;
            line = " ".to_string();
        }
        line = format!("{line} {word}");
    }
    writeln!(out, "{line}")
}

fn save(folder: &Path, run: &[(Case, Vec<Trace>)], ema: f64, text: &str) -> Result<(), Failure> {
    let svg = picture::svg(run).map_err(|error| Failure::new(Kind::Bug, format!("cannot draw: {error}")))?;
    write(&folder.join("simulation.svg"), svg.as_bytes())?;
    write(&folder.join("simulation.csv"), csv(run, ema).as_bytes())?;
    write(&folder.join("simulation.md"), format!("{text}\n").as_bytes())
}

/// The CSV file with every chunk of every policy.
fn csv(run: &[(Case, Vec<Trace>)], ema: f64) -> String {
    let mut text = "case,chunk,target,policy,rate,smoothed,threshold\n".to_string();
    for (case, traces) in run {
        for Trace { policy, turns } in traces {
            let smoothed = measure::smoothed(turns, ema);
            for (k, ((turn, target), smoothed)) in turns.iter().zip(&case.targets).zip(smoothed).enumerate() {
                let (name, Turn { rate, threshold }) = (case.name, turn);
                text += &format!("{name},{k},{target},{policy},{rate},{smoothed:.6},{threshold:.6}\n");
            }
        }
    }
    text
}
