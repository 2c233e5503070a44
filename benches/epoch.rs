//! Does a nominal epoch at 10 % cost 10 %? Seconds of an `ast` epoch over seconds of a dense one, in one process, in turn.
//!
//! Not criterion: the two sides alternate, and what matters is the ratio of each pair. SimpleCNN, batch 128, 12,800
//! procedural images; the `ast` epoch is the third of four, with the gate fully in use.
#![forbid(unsafe_code)]

use std::sync::Arc;
use std::time::Instant;

use ast_benches::{BATCH, trainer};
use ast_core::{Dataset, Random};
use ast_data::{Difficulty, Split, procedural};

const PAIRS: usize = 3;
const EPOCHS: u32 = 4;
const WARM: u64 = 2;

fn main() {
    let check = std::env::args().any(|arg| arg == "--test");
    let (pairs, batches) = if check { (1, 20) } else { (PAIRS, 100) };
    let samples = batches * BATCH;
    let data: Arc<dyn Dataset> = Arc::new(procedural(Random::new(1), Split::Train, samples, Difficulty::default()));
    let mut ratios = Vec::new();
    for _ in 0..pairs {
        // Steps until half the budget is spent come first, untimed: with them the ledger is full and the gate open.
        let (ast, ast_samples) = seconds("ast", EPOCHS / 2, batches as u64 / 10, &data);
        let (dense, dense_samples) = seconds("dense", 0, batches as u64, &data);
        println!(
            "ast {ast:.2} s for {ast_samples} samples, dense {dense:.2} s for {dense_samples}: {:.4}",
            ast / dense
        );
        ratios.push(ast / dense);
    }
    ratios.sort_unstable_by(f64::total_cmp);
    println!("an ast epoch takes {:.4} of a dense epoch (median of {pairs} pairs, batch {BATCH})", ratios[pairs / 2]);
}

/// Seconds and samples of one epoch's steps, after `before` epochs' steps or at least a few that warm up the machine.
fn seconds(policy: &str, before: u32, steps: u64, data: &Arc<dyn Dataset>) -> (f64, u64) {
    let mut trainer = trainer(policy, EPOCHS, data);
    let mut advance = || trainer.advance().expect("procedural data trains").expect("the run is longer").trained;
    let skipped = (0..(u64::from(before) * steps).max(WARM)).map(|_| advance()).last().unwrap_or(0);
    let begin = Instant::now();
    let trained = (0..steps).map(|_| advance()).last().unwrap_or(0);
    (begin.elapsed().as_secs_f64(), trained - skipped)
}
