//! A long run takes no more memory than a short one.
#![forbid(unsafe_code)]
#![cfg(target_os = "linux")]

mod common;

use std::sync::Arc;

use ast_core::burn::tensor::Device;
use ast_core::model::Weights;
use ast_core::model::zoo::SimpleCnn;
use ast_core::testing::DirectLoader;
use ast_core::train::Resolved;
use ast_core::train::{Setup, Trainer};
use common::{Halves, Loss, SAMPLES, SIDE, config, policy};

/// Resident memory in bytes.
fn resident() -> f64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: f64 = text.split_whitespace().nth(1).unwrap().parse().unwrap();
    4096.0 * pages
}

/// AST_TEST_SOAK_STEPS sets how many steps; memory over the last quarter of them grows by less than 1 %.
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
        model: SimpleCnn::new([3, SIDE, SIDE], 2, Weights::new(random, &device)),
        device,
    })
    .unwrap();
    let mut advance = |steps| {
        // Batches of 16 are so small that what malloc leaves between them shows: the mean of many looks does not.
        let mut sum = 0.0;
        for _ in 0..steps {
            trainer.advance().unwrap().unwrap();
            sum += resident();
        }
        sum / f64::from(steps)
    };
    advance(steps / 2);
    let mut before = advance(steps / 4);
    // malloc takes a page or two more at any time; what leaks grows in every quarter.
    let settled = (0..4).any(|_| {
        let now = advance(steps / 4);
        let growth = now / before - 1.0;
        println!("{:.1} MB, {:.3} % more than in the quarter before", now / 1e6, 100.0 * growth);
        before = now;
        growth < 0.01
    });
    assert!(settled, "it grew by 1 % and more in each of four quarters");
}
