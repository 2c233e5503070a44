//! The gate: compare every key with the chunk's threshold and keep the indices of those that pass. 10 % pass.
#![forbid(unsafe_code)]
#![allow(missing_docs)]

use ast_benches::{Rate, Unit, criterion};
use ast_core::random::{Purpose, Random};
use ast_core::select::{Window, gate};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

fn benches(c: &mut Criterion<Rate>) {
    let mut group = c.benchmark_group("gate");
    for size in [128, 1_024, 65_536, 1_048_576] {
        let mut stream = Random::new(1).stream(Purpose::Gate, 0, 0);
        let keys: Vec<f32> = (0..size).map(|_| stream.uniform() as f32).collect();
        let mut window = Window::new(4096);
        window.extend(keys.iter().copied());
        let quantile = window.quantile(0.9).expect("the window is not empty");
        let mut passed = Vec::with_capacity(size);
        gate::pass(&keys, quantile, &mut stream, &mut passed);
        println!("of {size} keys {:.1} % pass", 100.0 * passed.len() as f64 / size as f64);
        group.throughput(Throughput::Elements(size as u64));
        group.bench_with_input(BenchmarkId::new("pass", size), &keys, |bencher, keys| {
            bencher.iter(|| gate::pass(keys, quantile, &mut stream, &mut passed));
        });
    }
    // Once per chunk: add 128 keys, find the threshold among the last 4,096.
    let mut stream = Random::new(2).stream(Purpose::Gate, 0, 0);
    let mut window = Window::new(4096);
    window.extend((0..4096).map(|_| stream.uniform() as f32));
    let chunk: Vec<f32> = (0..128).map(|_| stream.uniform() as f32).collect();
    group.throughput(Throughput::Elements(128));
    group.bench_function("threshold/128", |bencher| {
        bencher.iter(|| {
            window.extend(chunk.iter().copied());
            window.quantile(0.9)
        });
    });
    group.finish();
}

criterion_group!(name = group; config = criterion(Unit::Keys); targets = benches);
criterion_main!(group);
