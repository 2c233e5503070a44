//! Every kind of convolution of our networks, forward and backward, as a share of the machine's peak rate of fused
//! multiply-adds.
#![forbid(unsafe_code)]
#![allow(missing_docs)]

use std::time::Instant;

use ast_benches::{peak, quick};
use ast_core::ops::{Block, conv};
use ast_core::random::{Purpose, Random};
use burn::tensor::{Device, Tensor, TensorData};

const BATCH: usize = 128;

/// `[channels in, channels out]`, side, kernel, stride, padding and pooling of a layer.
type Layer = (&'static str, [usize; 2], usize, usize, usize, usize, usize);

const LAYERS: [Layer; 14] = [
    ("simple-cnn conv1", [3, 32], 32, 3, 1, 1, 1),
    ("simple-cnn conv2", [32, 64], 32, 3, 1, 1, 2),
    ("simple-cnn conv3", [64, 128], 16, 3, 1, 1, 2),
    ("airbench whiten", [3, 24], 32, 2, 1, 0, 1),
    ("airbench 1.1", [24, 64], 31, 3, 1, 1, 2),
    ("airbench 1.2", [64, 64], 15, 3, 1, 1, 1),
    ("airbench 2.1", [64, 256], 15, 3, 1, 1, 2),
    ("airbench 2.2", [256, 256], 7, 3, 1, 1, 1),
    ("airbench 3.1", [256, 256], 7, 3, 1, 1, 2),
    ("airbench 3.2", [256, 256], 3, 3, 1, 1, 1),
    ("resnet18 layer1", [64, 64], 32, 3, 1, 1, 1),
    ("resnet18 layer2.0", [64, 128], 32, 3, 2, 1, 1),
    ("resnet18 layer2 shortcut", [64, 128], 32, 1, 2, 0, 1),
    ("resnet18 layer4", [512, 512], 4, 3, 1, 1, 1),
];

fn main() {
    let peak = peak();
    println!("peak rate of fused multiply-adds: {:.0} GFLOP/s", peak / 1e9);
    println!("{:26} {:>10} {:>6} {:>10} {:>6}", "", "forward", "", "backward", "");
    let filter = std::env::args().skip(1).find(|arg| !arg.starts_with("--")).unwrap_or_default();
    for layer in LAYERS.iter().filter(|layer| layer.0.contains(&filter)) {
        let [forward, both] = time(layer);
        let (name, [inputs, outputs], side, kernel, stride, padding, _) = *layer;
        let out = (side + 2 * padding - kernel) / stride + 1;
        let flops = 2.0 * (BATCH * inputs * kernel * kernel * outputs * out * out) as f64;
        // The first layer's input has no gradient.
        let backward = if inputs == 3 { flops } else { 2.0 * flops };
        let share =
            |flops: f64, seconds: f64| format!("{:7.2} ms {:4.0} %", 1e3 * seconds, 100.0 * flops / seconds / peak);
        println!("{name:26} {} {}", share(flops, forward), share(backward, both - forward));
    }
}

/// Seconds of a forward pass, and of a forward and a backward pass.
fn time(&(_, [inputs, outputs], side, kernel, stride, padding, pool): &Layer) -> [f64; 2] {
    let device = Device::flex().autodiff();
    let mut stream = Random::new(0).stream(Purpose::Data, 0, 0);
    let mut draw = |shape: [usize; 4]| {
        let values: Vec<f32> = (0..shape.iter().product()).map(|_| stream.uniform() as f32 - 0.5).collect();
        Tensor::<4>::from_data(TensorData::new(values, shape), &device)
    };
    let block = Block { stride: [stride; 2], padding: [padding; 2], relu: false, pool };
    // Channels innermost, as in a network.
    let x = draw([BATCH, side, side, inputs]).permute([0, 3, 1, 2]);
    let x = if inputs == 3 { x } else { x.require_grad() };
    let out = ((side + 2 * padding - kernel) / stride + 1) / pool;
    let upstream = draw([BATCH, out, out, outputs]);
    let weight = draw([outputs, inputs, kernel, kernel]).require_grad();
    let bias = Tensor::<1>::zeros([outputs], &device);
    let forward = || conv(x.clone(), weight.clone(), bias.clone(), block);
    let loss = |output: Tensor<4>| output.permute([0, 2, 3, 1]).mul(upstream.clone()).sum_dim(0).sum();
    let output = forward().detach().require_grad();
    let others = fastest(&|| drop(loss(output.clone()).backward()));
    let (alone, all) = (fastest(&|| drop(forward())), fastest(&|| drop(loss(forward()).backward())));
    [alone, all - others]
}

/// The fastest of several runs: what the machine can do when nothing else runs on it.
fn fastest(work: &dyn Fn()) -> f64 {
    let times = if quick() { 1 } else { 12 };
    work();
    let seconds = (0..times).map(|_| {
        let begin = Instant::now();
        work();
        begin.elapsed().as_secs_f64()
    });
    seconds.fold(f64::INFINITY, f64::min)
}
