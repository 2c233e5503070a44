//! Planning a nominal epoch, i.e. coverage and the order of all candidates, for the sizes of CIFAR-10 and ImageNet.
#![forbid(unsafe_code)]
#![allow(missing_docs)]

use ast_benches::{Rate, Unit, criterion};
use ast_core::random::Random;
use ast_core::select::Sampler;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

fn benches(c: &mut Criterion<Rate>) {
    let mut group = c.benchmark_group("plan");
    group.sample_size(20);
    for samples in [50_000, 1_281_167] {
        let mut sampler = Sampler::new(Random::new(1), samples, 128);
        let mut epoch = 0;
        group.throughput(Throughput::Elements(samples as u64));
        group.bench_function(BenchmarkId::from_parameter(samples), |bencher| {
            bencher.iter(|| {
                epoch += 1;
                sampler.plan(epoch, 0.02)
            });
        });
    }
    group.finish();
}

criterion_group!(name = group; config = criterion(Unit::Samples); targets = benches);
criterion_main!(group);
