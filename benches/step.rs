//! A whole step of the loop on SimpleCNN, batch 128. Dense training trains every offered sample, `ast` every tenth, so
//! a step of `ast` should be ten times as fast per *offered* sample.
#![forbid(unsafe_code)]
#![allow(missing_docs)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use ast_benches::{BATCH, Rate, Unit, criterion, trainer};
use ast_core::data::Dataset;
use ast_core::model::zoo::SimpleCnn;
use ast_core::random::Random;
use ast_core::train::{Clock, Phase, Trainer};
use ast_data::{Difficulty, Split, procedural};
use criterion::{Criterion, SamplingMode, Throughput, criterion_group, criterion_main};

const SAMPLES: usize = 100 * BATCH;
/// 4 epochs at 10 % have 40 steps. From epoch 2 on (half the budget) the gate is fully open.
const EPOCHS: u32 = 4;
const WARM_UP: u64 = 20;
const STEPS: u64 = 36;

/// A trainer that is restarted so that timed steps are from the middle of a run.
struct Middle<'a> {
    policy: &'a str,
    warm_up: u64,
    data: &'a Arc<dyn Dataset>,
    trainer: Trainer<SimpleCnn>,
    done: u64,
    /// Seconds of the timed steps, and of selecting and scoring within them.
    seconds: [f64; 2],
}

impl Middle<'_> {
    fn step(&mut self) -> Duration {
        if self.done == STEPS {
            (self.trainer, self.done) = (trainer(self.policy, EPOCHS, self.data), 0);
        }
        while self.done < self.warm_up {
            self.advance();
        }
        let selection = |clock: &Clock| clock.seconds(Phase::Select) + clock.seconds(Phase::Score);
        let (begin, before) = (Instant::now(), selection(self.trainer.clock()));
        self.advance();
        let elapsed = begin.elapsed();
        self.seconds[0] += elapsed.as_secs_f64();
        self.seconds[1] += selection(self.trainer.clock()) - before;
        elapsed
    }

    fn advance(&mut self) {
        self.trainer.advance().expect("procedural data trains").expect("the run is longer");
        self.done += 1;
    }
}

fn benches(c: &mut Criterion<Rate>) {
    let data: Arc<dyn Dataset> = Arc::new(procedural(Random::new(1), Split::Train, SAMPLES, 32, Difficulty::default()));
    let mut group = c.benchmark_group("step");
    group.sample_size(10).sampling_mode(SamplingMode::Flat).warm_up_time(Duration::from_millis(1));
    group.measurement_time(Duration::from_secs(5));
    for (policy, offered, warm_up) in [("dense", BATCH, 1), ("ast", 10 * BATCH, WARM_UP)] {
        group.throughput(Throughput::Elements(offered as u64));
        let mut middle = Middle {
            policy,
            warm_up,
            data: &data,
            trainer: trainer(policy, EPOCHS, &data),
            done: 0,
            seconds: [0.0; 2],
        };
        group.bench_function(policy, |bencher| {
            bencher.iter_custom(|iterations| (0..iterations).map(|_| middle.step()).sum());
        });
        let [all, selection] = middle.seconds;
        let share = 100.0 * selection / all;
        println!("{policy}: selecting and scoring take {share:.2} % of a step; the step itself the rest");
    }
    group.finish();
}

criterion_group!(name = group; config = criterion(Unit::Samples); targets = benches);
criterion_main!(group);
