//! The work of the policy `ast` per chunk of candidates: look up scores, draw keys, threshold, gate, eligibility,
//! controller. At 10 % activation, with a ledger that has seen every sample.
#![forbid(unsafe_code)]
#![allow(missing_docs)]

use std::collections::BTreeMap;

use ast_benches::{Rate, Unit, criterion};
use ast_core::plugin::{ParamValue, Params, Registry};
use ast_core::random::Random;
use ast_core::select::{
    ChargedProbe, Counts, Groups, Ledger, NoProbe, PolicyEntry, Queue, SampleId, SampleOutcome, Sampler,
    SelectionContext,
};
use ast_core::testing::goal;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

fn benches(c: &mut Criterion<Rate>) {
    let mut group = c.benchmark_group("select");
    for chunk in [128usize, 1_024, 65_536] {
        let samples = chunk.max(50_000) * 2;
        let mut ledger = Ledger::new(Groups::of((0..samples).map(|i| i % 10)).expect("ten groups"));
        for id in 0..samples as SampleId {
            let score = (id * 7919 % 10_007) as f32;
            ledger.record(&[SampleOutcome {
                id,
                score,
                loss: score,
                correct: true,
                coverage: id % 64 == 0,
                worth: None,
            }]);
        }
        let bytes = ledger.bytes() / samples;
        println!("a ledger of {samples} samples, {bytes} bytes each; 10 % of a chunk of {chunk} are selected");
        let (queue, random) = (Queue::new(samples), Random::new(1));
        let entry: &PolicyEntry = Registry::linked().and_then(|r| r.get("ast")).expect("linked");
        let given = BTreeMap::from([("lambda".into(), ParamValue::Number(0.8))]);
        let params = Params::resolve(entry.params, &given).expect("in range");
        let mut policy = entry.build(&params, goal(0.1)).expect("in range");
        let coverage = policy.begin(0.5);
        let plan = Sampler::new(random, samples, chunk).plan(0, coverage);
        let (mut accepted, mut number) = (Vec::new(), 0);
        let (mut none, mut counts) = (NoProbe, Counts::default());
        group.throughput(Throughput::Elements(chunk as u64));
        group.bench_function(BenchmarkId::new("ast", chunk), |bencher| {
            bencher.iter(|| {
                accepted.clear();
                number = (number + 1) % (samples / chunk) as u32;
                let offer = plan.offer(0, number).expect("within the epoch");
                let probe = ChargedProbe::new(&mut none, &mut counts, &ledger, &queue);
                let mut context = SelectionContext { spent: 0.5, ledger: &ledger, queue: &queue, random, probe };
                policy.select(offer, &mut context, &mut accepted).expect("all numbers are finite");
            });
        });
    }
    group.finish();
}

criterion_group!(name = group; config = criterion(Unit::Samples); targets = benches);
criterion_main!(group);
