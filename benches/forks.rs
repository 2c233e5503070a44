//! What is a pass on a sample worth, by its score, and which free statistic tells it?
//!
//! One run trains on random samples. At some shares of its budget it is forked: each fork trains on for some steps, in
//! whose batches a part of the random samples is replaced by samples of one eighth of the ranks of a score, while the
//! learning rate falls to 0, and is then evaluated. The accuracy against forks that replace by random samples is the worth
//! of a pass. They are printed as CSV. What the steps of the run itself showed of each sample is written into a file, from
//! which `docs/results/worth/predict.py` computes what a run can know for nothing.
//!
//! ```sh
//! cargo bench --bench forks -- --data FOLDER --recipe sgd --seed 1 --score loss-intensity > forks.csv
//! ```
//!
//! Options: `--data`, a folder of the dataset `arrays`; `--recipe` sgd (default; airbench of width 8), adam (the same) or
//! simple-cnn; `--seed` (1); `--score`, one of [`SCORES`], several of them separated by commas, or none; `--at`, shares of
//! the budget (0.15,0.4,0.7); `--steps` of a fork (24); `--repeats` of each (1); `--lr`, the peak of the learning rate
//! instead of the recipe's; `--seen`, the file for what the steps showed: see [`Record`].
#![forbid(unsafe_code)]
#![allow(missing_docs)]

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use ast_benches::quick;
use ast_core::data::{Augment, Dataset, DatasetEntry, Flip, HostBatch, Padding, ReadRequest, Request, Values};
use ast_core::model::zoo::{Airbench, SimpleCnn};
use ast_core::model::{Input, Mode, Network, Weights, cross_entropy, top1, uniform_cross_entropy};
use ast_core::optim::{OptimizerEntry, Schedule};
use ast_core::plugin::{ParamValue, Params, Registry};
use ast_core::random::{Purpose, Random};
use ast_core::select::{SampleId, Visit, Window};
use ast_data::{Difficulty, Split, procedural};
use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::activation::softmax;
use burn::tensor::{Device, Int, Tensor, TensorData};

/// Parts of the ranks of a score.
const BUCKETS: usize = 8;
/// `robust` is `p_y^q |p - onehot(y)|` (Zhang & Sabuncu, NeurIPS 2018).
const SCORES: [&str; 5] = ["loss-intensity", "entropy", "robust-0.3", "robust-0.7", "robust-1"];
/// Number of recent samples among which ranks are taken.
const RECENT: usize = 1024;
/// Share of a fork's batches that is replaced.
const REPLACED: f64 = 1.0 / 3.0;
/// Training images are visited so often, on average.
const VISITS: f64 = 5.0;

struct Recipe {
    name: String,
    batch: usize,
    schedule: Schedule,
    smoothing: f64,
    flip: Flip,
    shift: usize,
    padding: Padding,
    optimizer: ModuleOptimizer,
}

struct Plan {
    task: String,
    seed: u64,
    scores: Vec<usize>,
    at: Vec<f64>,
    steps: usize,
    repeats: u64,
}

fn main() {
    let recipe: String = option("--recipe", "sgd".into());
    let scores: String = option("--score", SCORES[0].into());
    let at: String = option("--at", "0.15,0.4,0.7".into());
    let folder: String = option("--data", String::new());
    let plan = Plan {
        task: Path::new(&folder).file_name().map_or("procedural".into(), |name| name.to_string_lossy().into()),
        seed: option("--seed", 1),
        scores: (0..SCORES.len()).filter(|k| scores.split(',').any(|name| name == SCORES[*k])).collect(),
        at: at.split(',').map(|share| share.parse().expect("--at has shares separated by commas")).collect(),
        steps: option("--steps", 24),
        repeats: option("--repeats", 1),
    };
    if quick() {
        let data = |split| Arc::new(procedural(Random::new(1), split, 96, 16, Difficulty::default()));
        let (train, test, plan) = (data(Split::Train), data(Split::Test), Plan { steps: 2, repeats: 1, ..plan });
        measure::<Airbench>(&[("width", 8.0)], &Recipe { batch: 32, ..sgd() }, &plan, train, test);
        println!("Testing forks\nSuccess");
        return;
    }
    let entry: &DatasetEntry = Registry::linked().and_then(|all| all.get("arrays")).expect("linked");
    let source =
        (entry.build)(&Params::resolve(entry.params, &Default::default()).expect("defaults")).expect("defaults");
    let splits = source.read(&ReadRequest::of(Path::new(&folder))).unwrap_or_else(|error| panic!("{folder}: {error}"));
    let (train, test) = (splits.train, splits.test.expect("test.npz"));
    match recipe.as_str() {
        "sgd" => measure::<Airbench>(&[("width", 8.0)], &sgd(), &plan, train, test),
        "adam" => measure::<Airbench>(&[("width", 8.0)], &adam("adam", 256, 5e-3), &plan, train, test),
        "simple-cnn" => measure::<SimpleCnn>(&[], &adam("simple-cnn", 128, 2e-3), &plan, train, test),
        _ => panic!("--recipe is sgd, adam or simple-cnn"),
    }
}

/// The airbench recipe (preset `cifar10-94`) for small batches, without averaged weights.
fn sgd() -> Recipe {
    let params = [
        ("decayed", "all".into()),
        ("momentum", 0.85.into()),
        ("norm_bias_lr", 64.0.into()),
        ("weight_decay", 0.00133.into()),
    ];
    let schedule = Schedule { warm_up: 0.23, start: 0.2, end: 0.07, ..Schedule::triangle(option("--lr", 0.55)) };
    let optimizer = optimizer("sgd", &params);
    let (flip, padding) = (Flip::Alternate, Padding::Reflect);
    Recipe { name: "sgd".into(), batch: 256, schedule, smoothing: 0.2, flip, shift: 2, padding, optimizer }
}

/// The program's defaults.
fn adam(name: &str, batch: usize, lr: f64) -> Recipe {
    let (schedule, optimizer) = (Schedule::triangle(option("--lr", lr)), optimizer("adam", &[]));
    let (flip, padding) = (Flip::Random, Padding::Zeros);
    Recipe { name: name.into(), batch, schedule, smoothing: 0.0, flip, shift: 4, padding, optimizer }
}

fn optimizer(name: &str, params: &[(&str, ParamValue)]) -> ModuleOptimizer {
    let entry: &OptimizerEntry = Registry::linked().and_then(|all| all.get(name)).expect("registered");
    let given = params.iter().map(|(name, value)| ((*name).to_string(), value.clone())).collect();
    (entry.build)(&Params::resolve(entry.params, &given).expect("in their ranges")).expect("declared")
}

/// The value after an option, or the default.
fn option<T: FromStr>(name: &str, default: T) -> T {
    let Some(value) = std::env::args().skip_while(|arg| arg != name).nth(1) else { return default };
    value.parse().unwrap_or_else(|_| panic!("{name} cannot be `{value}`"))
}

/// A network with its optimizer: what is forked.
#[derive(Clone)]
struct Learner<M> {
    model: M,
    optimizer: ModuleOptimizer,
}

/// What a step showed of its samples, on the host: probabilities, the input of the last layer, losses. Rows are samples.
struct Seen {
    p: Vec<f32>,
    features: Vec<f32>,
    loss: Vec<f32>,
}

impl<M: Network> Learner<M> {
    /// One step on a batch. What it showed is read back only if it is wanted.
    fn step(
        &mut self,
        recipe: &Recipe,
        data: &HostBatch,
        mode: Mode,
        lr: f64,
        wanted: bool,
        device: &Device,
    ) -> Option<Seen> {
        let (mut mode, (images, targets)) = (mode, upload(data, device));
        let forward = self.model.forward(Input::Image(images), &mut mode);
        let losses = cross_entropy(forward.logits.clone(), targets);
        let spread = uniform_cross_entropy(forward.logits.clone());
        let objective = losses.clone() * (1.0 - recipe.smoothing) + spread * recipe.smoothing;
        let gradients = GradientsParams::from_grads(objective.mean().backward(), &self.model);
        self.model = mode.into_statistics().apply(self.optimizer.step(lr, self.model.clone(), gradients));
        wanted.then(|| {
            let features = forward.features.expect("both networks end in a linear layer").inner();
            Seen { p: host(softmax(forward.logits.inner(), 1)), features: host(features), loss: host(losses.inner()) }
        })
    }

    /// Accuracy in percent and mean loss in nats.
    fn evaluate(&self, data: &dyn Dataset, device: &Device) -> [f64; 2] {
        let (model, device, n) = (self.model.valid(), device.clone().without_autodiff(), data.samples());
        let mut sums = [0.0; 2];
        for from in (0..n as SampleId).step_by(250) {
            let visits = (from..(from + 250).min(n as SampleId)).map(|id| Visit { id, epoch: 0, earlier: 0 }).collect();
            let batch = Request { visits, augment: None, size: None }.collate(data).expect("in memory");
            let (images, targets) = upload(&batch, &device);
            let logits = model.forward(Input::Image(images), &mut Mode::Eval).logits;
            let columns = [top1(logits.clone(), targets.clone()), cross_entropy(logits, targets)];
            sums.iter_mut()
                .zip(columns)
                .for_each(|(sum, column)| *sum += host(column).into_iter().map(f64::from).sum::<f64>());
        }
        [100.0 * sums[0] / n as f64, sums[1] / n as f64]
    }
}

fn upload(batch: &HostBatch, device: &Device) -> (Tensor<4>, Tensor<1, Int>) {
    let Values::Pixels(pixels, [channels, height, width]) = &batch.values else { panic!("these are images") };
    let shape = [batch.ids.len(), *channels, *height, *width];
    let images = Tensor::from_data(TensorData::new(pixels.clone(), shape), device);
    (images, Tensor::from_data(TensorData::new(batch.targets.clone(), [batch.ids.len()]), device))
}

fn host<const D: usize>(values: Tensor<D>) -> Vec<f32> {
    values.into_data().try_into_vec().expect("floats")
}

/// A file of what the steps of a run showed, 4-byte floats, little-endian: the number of classes c and the width w of the
/// last layer, then for each sample of each step the share of the budget spent, its number, class, input deviation, loss
/// and probabilities `[c]`, and the input of the last layer `[w]`.
struct Record(Option<BufWriter<File>>);

impl Record {
    fn create() -> Self {
        let path: String = option("--seen", String::new());
        Self(
            (!path.is_empty())
                .then(|| BufWriter::new(File::create(&path).unwrap_or_else(|error| panic!("{path}: {error}")))),
        )
    }

    fn write(&mut self, values: impl IntoIterator<Item = f32>) {
        let Self(Some(file)) = self else { return };
        values.into_iter().for_each(|value| file.write_all(&value.to_le_bytes()).expect("the disk is not full"));
    }
}

fn measure<M: Network>(
    params: &[(&str, f64)],
    recipe: &Recipe,
    plan: &Plan,
    train: Arc<dyn Dataset>,
    test: Arc<dyn Dataset>,
) {
    let (device, random) = (Device::flex().autodiff(), Random::new(plan.seed));
    let given = params.iter().map(|(name, value)| ((*name).to_string(), ParamValue::from(*value))).collect();
    let params = Params::resolve(M::PARAMS, &given).expect("in their ranges");
    let model =
        M::build(&params, train.shape(), train.classes(), Weights::new(random, &device)).expect("it takes images");
    let mut learner = Learner { model: model.adapt(train.as_ref()), optimizer: recipe.optimizer.clone() };
    let Recipe { flip, shift, padding, batch, .. } = *recipe;
    let augment = Some(Augment { random, flip, shift, padding });
    let collate = |visits| Request { visits, augment, size: None }.collate(train.as_ref()).expect("in memory");

    let n = train.samples();
    let (mut ranks, mut visits): (Vec<Option<[f32; SCORES.len()]>>, Vec<u32>) = (vec![None; n], vec![0; n]);
    let mut windows: Vec<Window> = (0..SCORES.len()).map(|_| Window::new(RECENT)).collect();
    let (mut mean_loss, deviation) = (None, train.mean_input_deviation());
    let mut record = Record::create();
    let (total, mut marks) = ((VISITS * n as f64) as usize, plan.at.iter().copied().peekable());
    let steps = total / batch;
    for step in 0..steps {
        let spent = (step * batch) as f64 / total as f64;
        if marks.next_if(|at| spent >= *at).is_some() {
            let base = learner.evaluate(test.as_ref(), &device);
            println!("base,{},{},{},{spent:.3},,,,{:.3},{:.5}", plan.task, recipe.name, plan.seed, base[0], base[1]);
            fork(recipe, plan, spent, &learner, &ranks, &visits, &collate, test.as_ref(), &device);
        }
        let order = |round: usize| random.stream(Purpose::Coverage, round as u64, 0).permutation(n);
        let places = step * batch..(step + 1) * batch;
        let rounds = [places.start / n, (places.end - 1) / n].map(|round| (round, order(round)));
        let ids: Vec<SampleId> =
            places.map(|place| rounds[usize::from(place / n != rounds[0].0)].1[place % n]).collect();
        let visit = |id: &SampleId| Visit { id: *id, epoch: step as u32, earlier: visits[*id as usize] };
        let data = collate(ids.iter().map(visit).collect());
        let mode = Mode::train(random.stream(Purpose::Dropout, step as u64, 0)).at(spent);
        let seen = learner.step(recipe, &data, mode, recipe.schedule.at(spent), true, &device).expect("wanted");

        let mean = seen.loss.iter().map(|loss| f64::from(*loss)).sum::<f64>() / batch as f64;
        let mean_loss = *mean_loss.insert(mean_loss.map_or(mean, |old: f64| old + 0.1 * (mean - old)));
        let (classes, width) = (seen.p.len() / batch, seen.features.len() / batch);
        let scores: Vec<[f32; SCORES.len()]> = (0..batch)
            .map(|i| {
                let p: Vec<f64> = seen.p[i * classes..][..classes].iter().map(|p| f64::from(*p)).collect();
                let intensity =
                    f64::from(seen.loss[i]) / mean_loss * 0.7 + 0.3 * f64::from(data.input_deviation[i]) / deviation;
                let entropy = -p.iter().map(|p| p * p.max(1e-30).ln()).sum::<f64>();
                let y = data.targets[i] as usize;
                let norm =
                    p.iter().enumerate().map(|(j, p)| (p - f64::from(u8::from(j == y))).powi(2)).sum::<f64>().sqrt();
                [intensity, entropy, p[y].powf(0.3) * norm, p[y].powf(0.7) * norm, p[y] * norm]
                    .map(|score| score as f32)
            })
            .collect();
        for (k, window) in windows.iter_mut().enumerate() {
            window.extend(scores.iter().map(|scores| scores[k]));
        }
        if step == 0 {
            record.write([classes as f32, width as f32]);
        }
        for (i, id) in ids.iter().enumerate() {
            ranks[*id as usize] = Some(std::array::from_fn(|k| windows[k].rank(scores[i][k])));
            visits[*id as usize] += 1;
            record.write([spent as f32, *id as f32, data.targets[i] as f32, data.input_deviation[i], seen.loss[i]]);
            record.write(seen.p[i * classes..][..classes].iter().chain(&seen.features[i * width..][..width]).copied());
        }
    }
    let end = learner.evaluate(test.as_ref(), &device);
    println!("base,{},{},{},1.000,,,,{:.3},{:.5}", plan.task, recipe.name, plan.seed, end[0], end[1]);
}

/// Trains the forks of each score and bucket, and those that replace by random samples, which are bucket 8.
#[allow(clippy::too_many_arguments)]
fn fork<M: Network>(
    recipe: &Recipe,
    plan: &Plan,
    spent: f64,
    learner: &Learner<M>,
    ranks: &[Option<[f32; SCORES.len()]>],
    visits: &[u32],
    collate: &dyn Fn(Vec<Visit>) -> HostBatch,
    test: &dyn Dataset,
    device: &Device,
) {
    let all: Vec<SampleId> = (0..).zip(ranks).filter(|(_, ranks)| ranks.is_some()).map(|(id, _)| id).collect();
    let train = |repeat: u64, pool: &[SampleId]| {
        // The random part is the same in all forks of a repeat.
        let draw = |from: &[SampleId], number: usize, part: u64| -> Vec<SampleId> {
            let mut round = 0..;
            let orders = std::iter::from_fn(|| {
                let mut stream = Random::new(plan.seed).stream(Purpose::Subset, 2 * repeat + part, round.next()?);
                Some(stream.permutation(from.len()).into_iter().map(|k| from[k as usize]))
            });
            orders.flatten().take(number).collect()
        };
        let replaced = (REPLACED * recipe.batch as f64) as usize;
        let kept = recipe.batch - replaced;
        let (random, instead) = (draw(&all, kept * plan.steps, 0), draw(pool, replaced * plan.steps, 1));
        let mut fork = learner.clone();
        for step in 0..plan.steps {
            let ids = random[step * kept..][..kept].iter().chain(&instead[step * replaced..][..replaced]);
            let epoch = (1_000_000 + step) as u32;
            let batch = collate(ids.map(|id| Visit { id: *id, epoch, earlier: visits[*id as usize] }).collect());
            let masks = Random::new(plan.seed).stream(Purpose::Dropout, 1_000_000 + step as u64, repeat);
            let lr = recipe.schedule.at(spent) * (1.0 - step as f64 / plan.steps as f64);
            fork.step(recipe, &batch, Mode::train(masks).at(spent), lr, false, device);
        }
        fork.evaluate(test, device)
    };
    let print = |score: &str, bucket: usize, repeat: u64, [accuracy, loss]: [f64; 2]| {
        let Plan { task, seed, .. } = plan;
        println!("fork,{task},{},{seed},{spent:.3},{score},{bucket},{repeat},{accuracy:.3},{loss:.5}", recipe.name);
    };
    for repeat in 0..plan.repeats {
        if !plan.scores.is_empty() {
            print("random", BUCKETS, repeat, train(repeat, &all));
        }
        for k in &plan.scores {
            let mut ranked = all.clone();
            let rank = |id: &SampleId| ranks[*id as usize].map_or(0.5, |ranks| ranks[*k]);
            ranked.sort_by(|a, b| rank(a).total_cmp(&rank(b)));
            for (bucket, pool) in ranked.chunks(ranked.len().div_ceil(BUCKETS)).enumerate() {
                print(SCORES[*k], bucket, repeat, train(repeat, pool));
            }
        }
    }
}
