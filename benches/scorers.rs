//! Every registered scorer on the columns of a batch of 128.
#![forbid(unsafe_code)]
#![allow(missing_docs)]

use ast_benches::{Rate, Unit, criterion};
use ast_core::plugin::{Params, Registry};
use ast_core::score::ScorerEntry;
use ast_core::testing::{context, observation};
use ast_scoring as _;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const BATCH: usize = 128;

fn benches(c: &mut Criterion<Rate>) {
    let mut group = c.benchmark_group("scorer");
    group.throughput(Throughput::Elements(BATCH as u64));
    let seen = observation(BATCH, 1);
    let registry = Registry::linked().expect("no name twice");
    for entry in registry.iter() {
        let entry: &ScorerEntry = entry;
        let params = Params::resolve(entry.params, &Default::default()).expect("defaults are in range");
        let scorer = (entry.build)(&params).expect("defaults build");
        group.bench_function(entry.name, |bencher| {
            bencher.iter(|| scorer.score(&seen, &context()).expect("all columns are there"));
        });
    }
    group.finish();
}

criterion_group!(name = group; config = criterion(Unit::Samples); targets = benches);
criterion_main!(group);
