//! Shared parts of the benches. `cargo bench` runs all, `cargo bench --bench gate` one; `cargo bench -- --test` runs
//! each once, as a check.
#![forbid(unsafe_code)]

mod units;

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use ast_core::data::{Dataset, Shape};
use ast_core::model::Weights;
use ast_core::model::zoo::SimpleCnn;
use ast_core::plugin::ParamValue;
use ast_core::run::RunConfig;
use ast_core::train::{Setup, Trainer};
use ast_data::OrderedLoader;
use ast_scoring as _;
use burn::tensor::Device;
use pulp::{Simd, WithSimd};

pub use units::{Rate, Unit, criterion};

/// Samples per step.
pub const BATCH: usize = 128;

/// SimpleCNN under a policy on the CPU backend, as `ast train` would run it at 10 % activation.
///
/// # Panics
/// If the defaults do not build; tests cover this.
#[must_use]
pub fn trainer(policy: &str, epochs: u32, data: &Arc<dyn Dataset>) -> Trainer<SimpleCnn> {
    let mut config = RunConfig::default();
    (config.train.epochs, config.train.batch_size) = (epochs, BATCH);
    config.policy.name = policy.into();
    if policy == "ast" {
        // Set explicitly, because by default `ast` equals `random` in a short run.
        config.policy.params.insert("lambda".into(), ParamValue::Number(0.8));
    }
    let run = config.resolve().expect("linked and in range");
    let (random, device) = (run.checked.random(), Device::flex().autodiff());
    let Shape::Image(sides) = data.shape() else { panic!("these benches are of images") };
    let loader = || Box::new(OrderedLoader::new(data.clone(), 1).expect("one thread"));
    Trainer::new(Setup {
        run,
        train: loader(),
        test: loader(),
        model: SimpleCnn::new(sides, data.classes(), Weights::new(random, &device)),
        device,
        energy: Err("not counted".into()),
    })
    .expect("ten classes")
}

/// Whether each bench is to run once, as a check: `cargo bench -- --test`.
#[must_use]
pub fn quick() -> bool {
    std::env::args().any(|arg| arg == "--test")
}

/// The machine's peak rate in FLOP/s: independent chains of fused multiply-adds in registers, on all threads of the CPU
/// backend.
#[must_use]
pub fn peak() -> f64 {
    let rounds = if quick() { 1 } else { 2_000_000 };
    let run = || rayon::broadcast(|_| pulp::Arch::new().dispatch(Chains(rounds))).into_iter().sum::<u64>();
    let rate = || {
        let begin = Instant::now();
        run() as f64 / begin.elapsed().as_secs_f64()
    };
    (0..if quick() { 1 } else { 8 }).map(|_| rate()).fold(0.0, f64::max)
}

struct Chains(u64);

impl WithSimd for Chains {
    /// FLOPs.
    type Output = u64;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> u64 {
        const CHAINS: usize = 12;
        let mut sums = [simd.splat_f32s(0.0); CHAINS];
        let [factor, term] = [0.999, 0.1].map(|value| simd.splat_f32s(black_box(value)));
        for _ in 0..self.0 {
            for sum in &mut sums {
                *sum = simd.mul_add_f32s(*sum, factor, term);
            }
        }
        black_box(sums);
        2 * self.0 * (CHAINS * S::F32_LANES) as u64
    }
}
