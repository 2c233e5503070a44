//! Does a nominal epoch at 10 % cost 10 %? Seconds of an `ast` epoch over seconds of a dense one, in one process, in turn.
//!
//! Not criterion: the two sides alternate, and what matters is the ratio of each pair. SimpleCNN, batch 128, 12,800
//! procedural images; the `ast` epoch is the third of four, with the gate fully in use.
#![forbid(unsafe_code)]

use std::sync::Arc;
use std::time::Instant;

use ast_benches::{BATCH, trainer};
use ast_core::{Dataset, Phase, Random};
use ast_data::{Difficulty, Split, procedural};

const PAIRS: usize = 5;
const EPOCHS: u32 = 4;
const WARM: u64 = 2;

fn main() {
    let check = std::env::args().any(|arg| arg == "--test");
    let (pairs, batches) = if check { (1, 20) } else { (PAIRS, 100) };
    let samples = batches * BATCH;
    let data: Arc<dyn Dataset> = Arc::new(procedural(Random::new(1), Split::Train, samples, Difficulty::default()));
    let (mut ratios, mut overheads) = (Vec::new(), Vec::new());
    for _ in 0..pairs {
        // Steps until half the budget is spent come first, untimed: with them the ledger is full and the gate open.
        let ast = Epoch::run("ast", EPOCHS / 2, batches as u64 / 10, &data);
        let dense = Epoch::run("dense", 0, batches as u64, &data);
        let ratio = ast.seconds / dense.seconds;
        println!(
            "ast {:.2} s for {} samples, {:.2} % of it not the step; dense {:.2} s for {}: {ratio:.4}",
            ast.seconds,
            ast.samples,
            100.0 * ast.overhead,
            dense.seconds,
            dense.samples,
        );
        ratios.push(ratio);
        overheads.push(ast.overhead);
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

/// What the steps of an epoch took.
struct Epoch {
    seconds: f64,
    samples: u64,
    /// The share of the seconds that is neither forward, backward nor optimizer: order, look-up, gate, controller,
    /// ledger, waiting for the loader, upload, scoring, read-back, metering.
    overhead: f64,
}

impl Epoch {
    /// `steps` steps, after `before` epochs' steps or at least a few that warm up the machine.
    fn run(policy: &str, before: u32, steps: u64, data: &Arc<dyn Dataset>) -> Self {
        let mut trainer = trainer(policy, EPOCHS, data);
        let mut advance = |steps: u64| {
            for _ in 0..steps {
                trainer.advance().expect("procedural data trains").expect("the run is longer");
            }
            let meter = trainer.meter();
            (meter.trained, meter.seconds(Phase::Train) + meter.seconds(Phase::Optimizer))
        };
        let (skipped, busy_before) = advance((u64::from(before) * steps).max(WARM));
        let begin = Instant::now();
        let (trained, busy) = advance(steps);
        let seconds = begin.elapsed().as_secs_f64();
        Self { seconds, samples: trained - skipped, overhead: 1.0 - (busy - busy_before) / seconds }
    }
}
