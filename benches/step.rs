//! A whole step of the loop on SimpleCNN, batch 128: dense trains every sample it offers, `ast` every tenth, so per
//! *offered* sample a step of `ast` should be ten times as fast.
#![forbid(unsafe_code)]
#![allow(missing_docs)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use ast_core::models::SimpleCnn;
use ast_core::{Dataset, Params, Parts, PolicyEntry, Random, Registry, RunConfig, ScorerEntry, Trainer, Weights};
use ast_data::{Difficulty, OrderedLoader, Split, procedural};
use ast_scoring as _;
use burn::tensor::Device;
use criterion::{Criterion, SamplingMode, Throughput, criterion_group, criterion_main};

const BATCH: usize = 128;
const SAMPLES: usize = 100 * BATCH;
/// With 4 epochs at 10 % there are 40 steps; the gate is fully open from epoch 2 (half the budget) on.
const EPOCHS: u32 = 4;
const WARM_UP: u64 = 20;
const STEPS: u64 = 36;

fn trainer(policy: &str, data: &Arc<dyn Dataset>) -> Trainer<SimpleCnn> {
    let mut config = RunConfig::default();
    (config.train.epochs, config.train.batch_size) = (EPOCHS, BATCH);
    let checked = config.check().expect("in range");
    let device = Device::flex().autodiff();
    let scorer: &ScorerEntry = Registry::linked().and_then(|r| r.get("loss-intensity")).expect("linked");
    let policy: &PolicyEntry = Registry::linked().and_then(|r| r.get(policy)).expect("linked");
    let params = |specs| Params::resolve(specs, &Default::default()).expect("defaults are in range");
    let loader = || Box::new(OrderedLoader::new(data.clone(), 1).expect("one thread"));
    Trainer::new(Parts {
        config: checked,
        train: loader(),
        test: loader(),
        model: SimpleCnn::new(data.shape(), data.classes(), Weights::new(checked.random(), &device)),
        policy: (policy.build)(&params(policy.params), checked.task()).expect("defaults build"),
        scorer: (scorer.build)(&params(scorer.params)).expect("defaults build"),
        device,
    })
}

/// A trainer that is always in the middle of its run.
struct Middle<'a> {
    policy: &'a str,
    warm_up: u64,
    data: &'a Arc<dyn Dataset>,
    trainer: Trainer<SimpleCnn>,
    done: u64,
}

impl Middle<'_> {
    fn step(&mut self) -> Duration {
        if self.done == STEPS {
            (self.trainer, self.done) = (trainer(self.policy, self.data), 0);
        }
        while self.done < self.warm_up {
            self.advance();
        }
        let begin = Instant::now();
        self.advance();
        begin.elapsed()
    }

    fn advance(&mut self) {
        self.trainer.advance().expect("procedural data trains").expect("the run is longer");
        self.done += 1;
    }
}

fn benches(c: &mut Criterion) {
    let data: Arc<dyn Dataset> = Arc::new(procedural(Random::new(1), Split::Train, SAMPLES, Difficulty::default()));
    let mut group = c.benchmark_group("step");
    group.sample_size(10).sampling_mode(SamplingMode::Flat).warm_up_time(Duration::from_millis(1));
    group.measurement_time(Duration::from_secs(5));
    for (policy, offered, warm_up) in [("dense", BATCH, 1), ("ast", 10 * BATCH, WARM_UP)] {
        group.throughput(Throughput::Elements(offered as u64));
        let mut middle = Middle { policy, warm_up, data: &data, trainer: trainer(policy, &data), done: 0 };
        group.bench_function(policy, |bencher| {
            bencher.iter_custom(|iterations| (0..iterations).map(|_| middle.step()).sum());
        });
    }
    group.finish();
}

criterion_group!(group, benches);
criterion_main!(group);
