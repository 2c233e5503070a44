//! Does a nominal epoch at 10 % cost 10 %? Measures the time of an `ast` epoch divided by that of a dense one.
//!
//! Criterion does not fit, because the ratio of each pair matters and the speed of a machine drifts within seconds.
//! Both runs therefore alternate in one process, five steps of `ast` and fifty dense ones, until each has done an
//! epoch. SimpleCNN, batch 128, 12,800 procedural images; the `ast` epoch is the third of four, where the gate is fully
//! used.
#![forbid(unsafe_code)]

use std::sync::Arc;
use std::time::Instant;

use ast_benches::{BATCH, trainer};
use ast_core::data::Dataset;
use ast_core::model::zoo::SimpleCnn;
use ast_core::random::Random;
use ast_core::train::{Phase, Trainer};
use ast_data::{Difficulty, Split, procedural};

const PAIRS: usize = 5;
const EPOCHS: u32 = 4;
const WARM: u64 = 2;
/// Number of turns per epoch: enough that both runs see the same machine; few, because the caches are cold after each
/// turn.
const TURNS: u64 = 2;

fn main() {
    let check = std::env::args().any(|arg| arg == "--test");
    let (pairs, batches) = if check { (1, 20) } else { (PAIRS, 100) };
    let samples = batches * BATCH;
    let data: Arc<dyn Dataset> = Arc::new(procedural(Random::new(1), Split::Train, samples, 32, Difficulty::default()));
    let (mut ratios, mut overheads) = (Vec::new(), Vec::new());
    for _ in 0..pairs {
        let (mut ast, mut dense) = (Run::new("ast", &data), Run::new("dense", &data));
        // Untimed steps until half the budget is spent: then the ledger is full and the gate open.
        ast.advance(u64::from(EPOCHS / 2) * batches as u64 / 10);
        dense.advance(WARM);
        let (from_ast, from_dense) = (ast.counts, dense.counts);
        for _ in 0..TURNS {
            ast.advance(batches as u64 / 10 / TURNS);
            dense.advance(batches as u64 / TURNS);
        }
        let (ast, dense) = (ast.counts.since(from_ast), dense.counts.since(from_dense));
        let (ratio, overhead) = (ast.seconds / dense.seconds, 1.0 - ast.busy / ast.seconds);
        println!(
            "ast {:.2} s for {} samples, {:.2} % of it not the step; dense {:.2} s for {}: {ratio:.4}",
            ast.seconds,
            ast.samples,
            100.0 * overhead,
            dense.seconds,
            dense.samples,
        );
        ratios.push(ratio);
        overheads.push(overhead);
    }
    println!(
        "an ast epoch takes {:.4} of a dense epoch, {:.2} % of it is not the training step (medians of {pairs} pairs, \
         batch {BATCH})",
        median(ratios),
        100.0 * median(overheads)
    );
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Time and samples of the timed steps.
#[derive(Clone, Copy, Default)]
struct Counts {
    seconds: f64,
    samples: u64,
    /// Seconds of forward pass, backward pass and optimizer. The rest is order, look-up, gate, controller, ledger,
    /// waiting for the loader, upload, scoring, read-back and metering.
    busy: f64,
}

impl Counts {
    fn since(self, earlier: Self) -> Self {
        Self {
            seconds: self.seconds - earlier.seconds,
            samples: self.samples - earlier.samples,
            busy: self.busy - earlier.busy,
        }
    }
}

struct Run {
    trainer: Trainer<SimpleCnn>,
    counts: Counts,
}

impl Run {
    fn new(policy: &str, data: &Arc<dyn Dataset>) -> Self {
        Self { trainer: trainer(policy, EPOCHS, data), counts: Counts::default() }
    }

    fn advance(&mut self, steps: u64) {
        let begin = Instant::now();
        for _ in 0..steps {
            self.trainer.advance().expect("procedural data trains").expect("the run is longer");
        }
        let clock = self.trainer.clock();
        self.counts = Counts {
            seconds: self.counts.seconds + begin.elapsed().as_secs_f64(),
            samples: self.trainer.counts().trained,
            busy: clock.seconds(Phase::Train) + clock.seconds(Phase::Optimizer),
        };
    }
}
