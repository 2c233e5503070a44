//! The memory of a run does not grow with its length.
#![forbid(unsafe_code)]
#![cfg(target_os = "linux")]

mod common;

use std::sync::Arc;

use ast_core::burn::tensor::Device;
use ast_core::model::Weights;
use ast_core::testing::DirectLoader;
use ast_core::train::Resolved;
use ast_core::train::{Setup, Trainer};
use common::{Halves, Loss, SAMPLES, config, little, policy};

/// Resident memory in bytes.
fn resident() -> f64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: f64 = text.split_whitespace().nth(1).unwrap().parse().unwrap();
    4096.0 * pages
}

/// AST_TEST_SOAK_STEPS sets the number of steps. In at least one quarter of the run, memory grows by less than 1 %.
#[test]
fn memory_does_not_grow() {
    let steps = std::env::var("AST_TEST_SOAK_STEPS").ok().and_then(|text| text.parse().ok()).unwrap_or(2000_u32);
    let mut config = config(0.2, 100_000);
    config.train.lr = 1e-4;
    let device = Device::flex().autodiff();
    let run = Resolved::of(config.clone(), policy("ast", None, &config), Box::new(Loss)).unwrap();
    let random = run.checked.random();
    let data = |samples| Box::new(DirectLoader::new(Arc::new(Halves { samples, broken: None })));
    let mut trainer = Trainer::new(Setup {
        energy: Err("not counted".into()),
        run,
        train: data(SAMPLES),
        test: data(100),
        model: little(Weights::new(random, &device)),
        device,
    })
    .unwrap();
    let mut advance = |steps| {
        // Allocator fragmentation shows in batches of 16. The mean over many readings smooths it out.
        let mut sum = 0.0;
        for _ in 0..steps {
            trainer.advance().unwrap().unwrap();
            sum += resident();
        }
        sum / f64::from(steps)
    };
    advance(steps / 2);
    let mut before = advance(steps / 4);
    // The allocator may take another page or two at any time. A leak grows in every quarter.
    let settled = (0..4).any(|_| {
        let now = advance(steps / 4);
        let growth = now / before - 1.0;
        println!("{:.1} MB, {:.3} % more than in the quarter before", now / 1e6, 100.0 * growth);
        before = now;
        growth < 0.01
    });
    assert!(settled, "memory grew by 1 % or more in each of four quarters");
}
