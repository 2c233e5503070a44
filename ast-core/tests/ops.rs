//! The CPU backend's convolution against Burn's: all gradients, many shapes, several memory orders.
#![forbid(unsafe_code)]

use ast_core::burn::tensor::activation::relu;
use ast_core::burn::tensor::module::{conv2d, max_pool2d};
use ast_core::burn::tensor::ops::{ConvOptions, MaxPoolOptions};
use ast_core::burn::tensor::{Device, Int, Tensor, TensorData};
use ast_core::model::cross_entropy;
use ast_core::ops::{Block, conv_relu_pool};
use ast_core::random::{Purpose, Random, Stream};
use proptest::prelude::*;

type Operation = fn(Tensor<4>, Tensor<4>, Tensor<1>, Block) -> Tensor<4>;

/// The same function from Burn's own operations.
fn burns_own(x: Tensor<4>, weight: Tensor<4>, bias: Tensor<1>, block: Block) -> Tensor<4> {
    let options = ConvOptions::new(block.stride, block.padding, [1, 1], 1);
    let output = relu(conv2d(x, weight, Some(bias), options));
    if block.pool == 1 { output } else { max_pool2d(output, MaxPoolOptions::new([block.pool; 2])) }
}

/// Input, weights and bias of a block, and the gradient of its output.
#[derive(Debug, Clone)]
struct Case {
    x: Vec<f32>,
    weight: Vec<f32>,
    bias: Vec<f32>,
    upstream: Vec<f32>,
    sizes: Sizes,
}

#[derive(Debug, Clone, Copy)]
struct Sizes {
    images: usize,
    channels: [usize; 2],
    input: [usize; 2],
    kernel: [usize; 2],
    block: Block,
}

impl Sizes {
    fn x(&self) -> [usize; 4] {
        [self.images, self.channels[0], self.input[0], self.input[1]]
    }
    fn weight(&self) -> [usize; 4] {
        [self.channels[1], self.channels[0], self.kernel[0], self.kernel[1]]
    }
    fn output(&self) -> Option<[usize; 4]> {
        let mut output = [self.images, self.channels[1], 0, 0];
        for axis in [0, 1] {
            let room = (self.input[axis] + 2 * self.block.padding[axis]).checked_sub(self.kernel[axis])?;
            output[2 + axis] = (room / self.block.stride[axis] + 1) / self.block.pool;
        }
        output.iter().all(|side| *side > 0).then_some(output)
    }
}

impl Case {
    /// A case with values from `draw`.
    fn new(sizes: Sizes, mut draw: impl FnMut() -> f32) -> Self {
        let output = sizes.output().expect("something comes out");
        let mut values = |shape: &[usize]| (0..shape.iter().product()).map(|_| draw()).collect::<Vec<f32>>();
        let (x, weight) = (values(&sizes.x()), values(&sizes.weight()));
        Self { x, weight, bias: values(&[sizes.channels[1]]), upstream: values(&output), sizes }
    }

    /// A case with small multiples of 1/4. All sums of products are exact, so the order of summation cannot matter;
    /// many maxima are tied.
    fn exact(sizes: Sizes, seed: u64) -> Self {
        let mut stream = stream(seed);
        Self::new(sizes, || (stream.uniform() * 9.0).floor() as f32 / 4.0 - 1.0)
    }

    fn normal(sizes: Sizes, seed: u64) -> Self {
        let mut stream = stream(seed);
        Self::new(sizes, || stream.normal() as f32)
    }

    /// The output, and the gradients of the input, the weights and the bias.
    fn run(&self, operation: Operation, reorder: fn(Tensor<4>) -> Tensor<4>) -> [Vec<f32>; 4] {
        let device = Device::flex().autodiff();
        let tensor = |values: &[f32], shape| Tensor::<4>::from_data(TensorData::new(values.to_vec(), shape), &device);
        let x = reorder(tensor(&self.x, self.sizes.x())).require_grad();
        let weight = reorder(tensor(&self.weight, self.sizes.weight())).require_grad();
        let bias = Tensor::<1>::from_data(self.bias.as_slice(), &device).require_grad();
        let output = operation(x.clone(), weight.clone(), bias.clone(), self.sizes.block);
        assert_eq!(Some(output.dims()), self.sizes.output());
        let upstream = tensor(&self.upstream, output.dims());
        let gradients = (output.clone() * reorder(upstream)).sum().backward();
        let of = |tensor: &Tensor<4>| floats(tensor.grad(&gradients).expect("tracked").into_data());
        let of_bias = floats(bias.grad(&gradients).expect("tracked").into_data());
        [floats(output.into_data()), of(&x), of(&weight), of_bias]
    }

    /// `sum(output * upstream)` in f64.
    fn objective(&self) -> f64 {
        let [output, ..] = self.run(conv_relu_pool, |x| x);
        output.iter().zip(&self.upstream).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
    }
}

fn stream(seed: u64) -> Stream {
    Random::new(seed).stream(Purpose::Data, 0, 0)
}

fn floats(data: TensorData) -> Vec<f32> {
    data.try_into_vec().expect("f32")
}

fn bits(results: &[Vec<f32>; 4]) -> Vec<Vec<u32>> {
    results.iter().map(|values| values.iter().map(|value| value.to_bits()).collect()).collect()
}

/// The same tensor with channels innermost in memory.
fn channels_last(x: Tensor<4>) -> Tensor<4> {
    let moved = x.permute([0, 2, 3, 1]);
    // Multiplying copies; a view would keep the old order.
    (moved * 1.0).permute([0, 3, 1, 2])
}

/// The same tensor with negative strides.
fn backwards(x: Tensor<4>) -> Tensor<4> {
    (x.flip([2, 3]) * 1.0).flip([2, 3])
}

fn sizes() -> impl Strategy<Value = Sizes> {
    let channels = || prop_oneof![1_usize..=5, Just(16), Just(33), Just(64), Just(80)];
    let kernel = || prop_oneof![Just(1_usize), Just(2), Just(3), Just(5)];
    let block = ((1_usize..=3, 1_usize..=3), (0_usize..=2, 0_usize..=2), 1_usize..=3)
        .prop_map(|(stride, padding, pool)| Block { stride: stride.into(), padding: padding.into(), pool });
    ((1_usize..=19), (channels(), channels()), (1_usize..=11, 1_usize..=11), (kernel(), kernel()), block)
        .prop_map(|(images, channels, input, kernel, block)| Sizes {
            images,
            channels: channels.into(),
            input: input.into(),
            kernel: kernel.into(),
            block,
        })
        .prop_filter("something comes out", |sizes| sizes.output().is_some())
}

/// Equal to within 1e-4 of the largest value.
fn close(ours: &[f32], theirs: &[f32]) -> Result<(), TestCaseError> {
    let scale = theirs.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
    for (ours, theirs) in ours.iter().zip(theirs) {
        prop_assert!((ours - theirs).abs() <= 1e-4 * scale, "{ours} {theirs} of {scale}");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn output_and_gradients_are_exactly_those_of_burns_own_operations(sizes in sizes(), seed in any::<u64>()) {
        let case = Case::exact(sizes, seed);
        prop_assert_eq!(case.run(conv_relu_pool, |x| x), case.run(burns_own, |x| x));
    }

    #[test]
    fn rounding_differs_by_less_than_a_ten_thousandth(sizes in sizes(), seed in any::<u64>()) {
        let mut case = Case::normal(sizes, seed);
        let [ours, theirs] = [conv_relu_pool as Operation, burns_own].map(|operation| case.run(operation, |x| x));
        close(&ours[0], &theirs[0])?;
        // Gradients jump where rounding crosses the kink of ReLU or a tie of the maximum. A large bias keeps away from
        // the kink, and there is no pooling.
        case = Case::normal(Sizes { block: Block { pool: 1, ..sizes.block }, ..sizes }, seed);
        case.bias.fill(1e3);
        let [ours, theirs] = [conv_relu_pool as Operation, burns_own].map(|operation| case.run(operation, |x| x));
        for (ours, theirs) in ours.iter().zip(&theirs).skip(1) {
            close(ours, theirs)?;
        }
    }

    #[test]
    fn the_order_in_memory_does_not_matter(sizes in sizes(), seed in any::<u64>()) {
        let case = Case::normal(sizes, seed);
        let plain = bits(&case.run(conv_relu_pool, |x| x));
        prop_assert_eq!(&plain, &bits(&case.run(conv_relu_pool, channels_last)));
        prop_assert_eq!(&plain, &bits(&case.run(conv_relu_pool, backwards)));
    }
}

const SMALL: Sizes = Sizes {
    images: 21,
    channels: [5, 19],
    input: [9, 7],
    kernel: [3, 3],
    block: Block { stride: [1, 1], padding: [1, 1], pool: 2 },
};

#[test]
fn gradients_agree_with_finite_differences() {
    let case = Case::normal(SMALL, 5);
    let [_, of_x, of_weight, of_bias] = case.run(conv_relu_pool, |x| x);
    let mut directions = stream(6);
    let mut direction = |length: usize| -> Vec<f32> { (0..length).map(|_| directions.normal() as f32).collect() };
    type Part = fn(&mut Case) -> &mut Vec<f32>;
    let parts: [(Part, Vec<f32>); 3] =
        [(|case| &mut case.x, of_x), (|case| &mut case.weight, of_weight), (|case| &mut case.bias, of_bias)];
    for (part, gradient) in parts {
        let towards = direction(gradient.len());
        let moved = |by: f32| {
            let mut case = case.clone();
            part(&mut case).iter_mut().zip(&towards).for_each(|(value, towards)| *value += by * towards);
            case.objective()
        };
        // The function is piecewise linear; steps this small cross few kinks.
        let by = 2e-4;
        let difference = (moved(by) - moved(-by)) / (2.0 * f64::from(by));
        let expected: f64 = gradient.iter().zip(&towards).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
        let scale = gradient.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt();
        assert!((difference - expected).abs() <= 1e-2 * scale, "{difference} {expected} of {scale}");
    }
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    let case = Case::normal(Sizes { channels: [16, 40], ..SMALL }, 7);
    let with = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
        pool.install(|| bits(&case.run(conv_relu_pool, |x| x)))
    };
    let one = with(1);
    for threads in [2, 3, 8] {
        assert_eq!(one, with(threads), "{threads} threads");
    }
}

#[test]
fn nan_reaches_everything_that_depends_on_it_and_nothing_else() {
    let mut case = Case::normal(SMALL, 8);
    // The corner of the second image, in its first channel.
    case.x[5 * 63] = f32::NAN;
    let [output, of_x, of_weight, of_bias] = case.run(conv_relu_pool, |x| x);
    let volume = 19 * 4 * 3;
    for (place, value) in output.iter().enumerate() {
        let corner = place / volume == 1 && place % 12 == 0;
        assert_eq!(value.is_nan(), corner, "output {place}");
    }
    assert!(of_x.iter().all(|value| value.is_finite()), "the input's gradient does not depend on the input's NaN");
    // Only the first channel's weights are affected: the corner is under four of the nine.
    assert!(of_weight[0..9].iter().any(|value| value.is_nan()));
    assert!(of_weight[9..45].iter().all(|value| value.is_finite()));
    assert!(of_bias.iter().all(|value| value.is_finite()));
}

#[test]
fn an_empty_batch_gives_an_empty_result() {
    let device = Device::flex();
    let x = Tensor::<4>::zeros([0, 3, 4, 4], &device);
    let block = Block { stride: [1, 1], padding: [0, 0], pool: 3 };
    let weight = Tensor::<4>::zeros([2, 3, 3, 3], &device);
    let output = conv_relu_pool(x, weight.clone(), Tensor::<1>::zeros([2], &device), block);
    assert_eq!(output.dims(), [0, 2, 0, 0]);
    let output = conv_relu_pool(Tensor::ones([1, 3, 4, 4], &device), weight, Tensor::<1>::zeros([2], &device), block);
    assert_eq!(output.dims(), [1, 2, 0, 0]);
}

/// Losses of a small network over 50 steps of gradient descent.
fn losses(operation: Operation) -> Vec<f32> {
    let device = Device::flex().autodiff();
    let mut stream = stream(9);
    let mut draw = |shape: &[usize], scale: f64| {
        let values = (0..shape.iter().product()).map(|_| (scale * stream.normal()) as f32).collect::<Vec<_>>();
        TensorData::new(values, shape.to_vec())
    };
    let images = Tensor::<4>::from_data(draw(&[32, 3, 16, 16], 1.0), &device);
    let targets = Tensor::<1, Int>::from_data((0..32).map(|i| i % 10).collect::<Vec<i32>>().as_slice(), &device);
    let mut first = Tensor::<4>::from_data(draw(&[32, 3, 3, 3], 0.2), &device).require_grad();
    let mut second = Tensor::<4>::from_data(draw(&[48, 32, 3, 3], 0.08), &device).require_grad();
    let mut last = Tensor::<2>::from_data(draw(&[48 * 16, 10], 0.03), &device).require_grad();
    let mut losses = Vec::new();
    for _ in 0..50 {
        let block = |pool| Block { stride: [1, 1], padding: [1, 1], pool };
        let x = operation(images.clone(), first.clone(), Tensor::zeros([32], &device), block(2));
        let x = operation(x, second.clone(), Tensor::zeros([48], &device), block(2));
        let loss = cross_entropy(x.flatten::<2>(1, 3).matmul(last.clone()), targets.clone()).mean();
        losses.push(loss.clone().into_scalar::<f32>());
        let gradients = loss.backward();
        let down = |value: &Tensor<4>| {
            Tensor::from_inner(value.clone().inner() - value.grad(&gradients).expect("tracked") * 0.05).require_grad()
        };
        let new = last.clone().inner() - last.grad(&gradients).expect("tracked") * 0.05;
        (first, second, last) = (down(&first), down(&second), Tensor::from_inner(new).require_grad());
    }
    losses
}

#[test]
fn fifty_steps_of_training_agree_with_burns_own_operations() {
    let (ours, theirs) = (losses(conv_relu_pool), losses(burns_own));
    assert!(ours[49] < 0.5 * ours[0], "nothing was learned: {ours:?}");
    for (step, (ours, theirs)) in ours.iter().zip(&theirs).enumerate() {
        assert!((ours - theirs).abs() <= 1e-4 * theirs, "step {step}: {ours} {theirs}");
    }
}
