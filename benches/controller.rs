//! One update of each controller.
#![forbid(unsafe_code)]
#![allow(missing_docs)]

use ast_benches::{Rate, Unit, criterion};
use ast_control::{Controller, Fixed, OriginalController, PiConfig, Setpoint};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

fn benches(c: &mut Criterion<Rate>) {
    let mut group = c.benchmark_group("controller");
    group.throughput(Throughput::Elements(1));
    let controllers: [(&str, Box<dyn Controller>); 3] = [
        ("pi", Box::new(PiConfig::default().check(1.0).expect("the default is stable"))),
        ("original", Box::new(OriginalController::default())),
        ("fixed", Box::new(Fixed(0.9))),
    ];
    for (name, mut controller) in controllers {
        let mut rate = 0.1;
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                rate = 0.2 - rate;
                controller.update(rate, Setpoint { target: 0.1, bias: 0.9 })
            });
        });
    }
    group.finish();
}

criterion_group!(name = group; config = criterion(Unit::Updates); targets = benches);
criterion_main!(group);
