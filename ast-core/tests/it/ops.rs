//! The CPU backend's convolution against Burn's: all gradients, many shapes, several memory orders.

use ast_core::burn::tensor::activation::{self, relu};
use ast_core::burn::tensor::module::{BatchNormTrainOutput, batch_norm_train, conv2d, max_pool2d};
use ast_core::burn::tensor::ops::{ConvOptions, MaxPoolOptions};
use ast_core::burn::tensor::{Device, Int, Tensor, TensorData};
use ast_core::model::cross_entropy;
use ast_core::ops::{Activation, Block, Normalised, affine, batch_norm, conv, conv_affine, conv_batch_norm};
use ast_core::random::{Purpose, Random, Stream};
use proptest::prelude::*;

type Operation = fn(Tensor<4>, Tensor<4>, Tensor<1>, Block) -> Tensor<4>;

/// The same function from Burn's own operations.
fn burns_own(x: Tensor<4>, weight: Tensor<4>, bias: Tensor<1>, block: Block) -> Tensor<4> {
    let options = ConvOptions::new(block.stride, block.padding, [1, 1], 1);
    let output = conv2d(x, weight, Some(bias), options);
    let output = if block.relu { relu(output) } else { output };
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
        let [output, ..] = self.run(conv, |x| x);
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
    let block = ((1_usize..=3, 1_usize..=3), (0_usize..=2, 0_usize..=2), any::<bool>(), 1_usize..=3)
        .prop_map(|(stride, padding, relu, pool)| Block { stride: stride.into(), padding: padding.into(), relu, pool });
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

/// Equal to within 1e-4 of the largest value, or of 1, the size of the terms: a single sum may cancel.
fn close(ours: &[f32], theirs: &[f32]) -> Result<(), TestCaseError> {
    let scale = theirs.iter().fold(1.0_f32, |most, value| most.max(value.abs()));
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
        prop_assert_eq!(case.run(conv, |x| x), case.run(burns_own, |x| x));
    }

    #[test]
    fn rounding_differs_by_less_than_a_ten_thousandth(sizes in sizes(), seed in any::<u64>()) {
        let mut case = Case::normal(sizes, seed);
        let [ours, theirs] = [conv as Operation, burns_own].map(|operation| case.run(operation, |x| x));
        close(&ours[0], &theirs[0])?;
        // Gradients jump where rounding crosses the kink of ReLU or a tie of the maximum. A large bias keeps away from
        // the kink, and there is no pooling.
        case = Case::normal(Sizes { block: Block { pool: 1, ..sizes.block }, ..sizes }, seed);
        case.bias.fill(1e3);
        let [ours, theirs] = [conv as Operation, burns_own].map(|operation| case.run(operation, |x| x));
        for (ours, theirs) in ours.iter().zip(&theirs).skip(1) {
            close(ours, theirs)?;
        }
    }

    #[test]
    fn the_order_in_memory_does_not_matter(sizes in sizes(), seed in any::<u64>()) {
        let case = Case::normal(sizes, seed);
        let plain = bits(&case.run(conv, |x| x));
        prop_assert_eq!(&plain, &bits(&case.run(conv, channels_last)));
        prop_assert_eq!(&plain, &bits(&case.run(conv, backwards)));
    }
}

const SMALL: Sizes = Sizes {
    images: 21,
    channels: [5, 19],
    input: [9, 7],
    kernel: [3, 3],
    block: Block { stride: [1, 1], padding: [1, 1], relu: true, pool: 2 },
};

#[test]
fn gradients_agree_with_finite_differences() {
    let case = Case::normal(SMALL, 5);
    let [_, of_x, of_weight, of_bias] = case.run(conv, |x| x);
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
        pool.install(|| bits(&case.run(conv, |x| x)))
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
    let [output, of_x, of_weight, of_bias] = case.run(conv, |x| x);
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
    let block = Block { stride: [1, 1], padding: [0, 0], relu: true, pool: 3 };
    let weight = Tensor::<4>::zeros([2, 3, 3, 3], &device);
    let output = conv(x, weight.clone(), Tensor::<1>::zeros([2], &device), block);
    assert_eq!(output.dims(), [0, 2, 0, 0]);
    let output = conv(Tensor::ones([1, 3, 4, 4], &device), weight, Tensor::<1>::zeros([2], &device), block);
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
        let block = |pool| Block { stride: [1, 1], padding: [1, 1], relu: true, pool };
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
    let (ours, theirs) = (losses(conv), losses(burns_own));
    assert!(ours[49] < 0.5 * ours[0], "nothing was learned: {ours:?}");
    for (step, (ours, theirs)) in ours.iter().zip(&theirs).enumerate() {
        assert!((ours - theirs).abs() <= 1e-4 * theirs, "step {step}: {ours} {theirs}");
    }
}

/// Burn's own normalisation, addition and activation.
fn burns_norm(
    x: Tensor<4>,
    [weight, bias]: [Tensor<1>; 2],
    shortcut: Option<Tensor<4>>,
    activation: Activation,
) -> [Tensor<4>; 3] {
    let BatchNormTrainOutput { output, mean, variance } = batch_norm_train(x, weight, bias, 1e-3);
    let x = if let Some(shortcut) = shortcut { output + shortcut } else { output };
    let x = match activation {
        Activation::None => x,
        Activation::Relu => relu(x),
        Activation::Gelu => activation::gelu(x),
    };
    [x, mean.reshape([1, -1, 1, 1]), variance.reshape([1, -1, 1, 1])]
}

fn our_norm(
    x: Tensor<4>,
    parameters: [Tensor<1>; 2],
    shortcut: Option<Tensor<4>>,
    activation: Activation,
) -> [Tensor<4>; 3] {
    let Normalised { output, mean, variance } = batch_norm(x, parameters, shortcut, activation, 1e-3);
    [output, mean.reshape([1, -1, 1, 1]), variance.reshape([1, -1, 1, 1])]
}

/// A convolution and what follows it, in one operation of ours and in Burn's own.
fn our_conv_norm(
    x: Tensor<4>,
    parameters: [Tensor<1>; 2],
    shortcut: Option<Tensor<4>>,
    activation: Activation,
) -> [Tensor<4>; 3] {
    let weight = kernels(&x);
    let Normalised { output, mean, variance } =
        conv_batch_norm([x, weight], KEEPS_SIZE, parameters, shortcut, activation, 1e-3);
    [output, mean.reshape([1, -1, 1, 1]), variance.reshape([1, -1, 1, 1])]
}

fn burns_conv_norm(
    x: Tensor<4>,
    parameters: [Tensor<1>; 2],
    shortcut: Option<Tensor<4>>,
    activation: Activation,
) -> [Tensor<4>; 3] {
    let (weight, bias) = (kernels(&x), Tensor::zeros([x.dims()[1]], &x.device()));
    burns_norm(burns_own(x, weight, bias, KEEPS_SIZE), parameters, shortcut, activation)
}

/// Weights of a 3x3 convolution from the channels of `x` to as many.
fn kernels(x: &Tensor<4>) -> Tensor<4> {
    let [_, channels, ..] = x.dims();
    let (mut stream, scale) = (stream(11), (1.0 / (9.0 * channels as f64)).sqrt());
    let values: Vec<f32> = (0..channels * channels * 9).map(|_| (scale * stream.normal()) as f32).collect();
    Tensor::from_data(TensorData::new(values, [channels, channels, 3, 3]), &x.device())
}

const KEEPS_SIZE: Block = Block { stride: [1, 1], padding: [1, 1], relu: false, pool: 1 };

type Norm = fn(Tensor<4>, [Tensor<1>; 2], Option<Tensor<4>>, Activation) -> [Tensor<4>; 3];

/// Output, mean and variance, then the gradients of `x`, weight, bias and shortcut.
fn normed(
    norm: Norm,
    shape: [usize; 4],
    seed: u64,
    adds: bool,
    activation: Activation,
    reorder: fn(Tensor<4>) -> Tensor<4>,
) -> Vec<Vec<f32>> {
    let device = Device::flex().autodiff();
    let mut stream = stream(seed);
    let mut draw = |shape: [usize; 4], scale: f64, offset: f64| {
        let values: Vec<f32> = (0..shape.iter().product()).map(|_| (scale * stream.normal() + offset) as f32).collect();
        Tensor::<4>::from_data(TensorData::new(values, shape), &device)
    };
    let x = draw(shape, 2.0, 3.0).require_grad();
    let [weight, bias] = [1.0, 0.2].map(|offset| draw([1, shape[1], 1, 1], 0.5, offset).reshape([shape[1]]));
    let (weight, bias) = (weight.detach().require_grad(), bias.detach().require_grad());
    let shortcut = draw(shape, 1.0, 0.0).require_grad();
    let upstream = draw(shape, 1.0, 0.0);
    let used = adds.then(|| reorder(shortcut.clone()));
    let [output, mean, variance] = norm(reorder(x.clone()), [weight.clone(), bias.clone()], used, activation);
    let gradients = (output.clone() * reorder(upstream)).sum().backward();
    let values = |x: Tensor<4>| x.into_data().try_into_vec::<f32>().unwrap();
    let mut all =
        vec![values(output), values(mean), values(variance), values(Tensor::from_inner(x.grad(&gradients).unwrap()))];
    for parameter in [weight, bias] {
        all.push(parameter.grad(&gradients).unwrap().into_data().try_into_vec().unwrap());
    }
    all.extend(shortcut.grad(&gradients).map(|gradient| values(Tensor::from_inner(gradient))));
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn normalisation_agrees_with_burns_own_operations(
        images in 2_usize..=9,
        channels in prop_oneof![1_usize..=5, Just(16), Just(33), Just(70)],
        sides in (1_usize..=9, 1_usize..=40),
        seed in any::<u64>(),
        adds in any::<bool>(),
        activation in prop_oneof![Just(Activation::None), Just(Activation::Relu), Just(Activation::Gelu)],
    ) {
        let shape = [images, channels, sides.0, sides.1];
        let pairs: [[Norm; 2]; 2] = [[our_norm, burns_norm], [our_conv_norm, burns_conv_norm]];
        for [ours, theirs] in pairs {
            if activation == Activation::Relu {
                // Gradients jump where rounding crosses the kink.
                let before = normed(theirs, shape, seed, adds, Activation::None, |x| x);
                prop_assume!(before[0].iter().all(|value| value.abs() > 1e-5));
            }
            let by_order = [|x| x, channels_last].map(|order| normed(ours, shape, seed, adds, activation, order));
            prop_assert_eq!(bits2(&by_order[0]), bits2(&by_order[1]), "the order in memory does not matter");
            let theirs = normed(theirs, shape, seed, adds, activation, |x| x);
            prop_assert_eq!(by_order[0].len(), theirs.len());
            for (ours, theirs) in by_order[0].iter().zip(&theirs) {
                let scale = theirs.iter().fold(1.0_f32, |most, value| most.max(value.abs()));
                for (ours, theirs) in ours.iter().zip(theirs) {
                    prop_assert!((ours - theirs).abs() <= 1e-3 * scale, "{ours} {theirs} of {scale}");
                }
            }
        }
    }

    /// One pass over the memory gives the bits of two, with and without pooling.
    #[test]
    fn a_convolution_and_the_function_after_it_are_those_apart(
        images in 0_usize..=9,
        channels in prop_oneof![Just(1), Just(16), Just(33), Just(70)],
        side in 1_usize..=20,
        pool in 1_usize..=2,
        seed in any::<u64>(),
        adds in any::<bool>(),
        activation in prop_oneof![Just(Activation::None), Just(Activation::Relu), Just(Activation::Gelu)],
    ) {
        let (device, mut stream, block) = (Device::flex(), stream(seed), Block { pool, ..KEEPS_SIZE });
        let mut draw = |shape: [usize; 4]| {
            let values: Vec<f32> = (0..shape.iter().product()).map(|_| stream.normal() as f32).collect();
            Tensor::<4>::from_data(TensorData::new(values, shape), &device)
        };
        let x = draw([images, channels, side, side]);
        let shortcut = adds.then(|| draw([images, channels, side / pool, side / pool]));
        let factors = [(); 2].map(|()| draw([1, channels, 1, 1]).reshape([channels]));
        let weight = kernels(&x);
        let apart = conv(x.clone(), weight.clone(), Tensor::zeros([channels], &device), block);
        let apart = affine(apart, factors.clone(), shortcut.clone(), activation);
        let together = conv_affine([x, weight], block, factors, shortcut, activation);
        prop_assert_eq!(together.dims(), apart.dims());
        let [together, apart] = [together, apart].map(|x| bits2(&[x.into_data().try_into_vec().unwrap()]));
        prop_assert_eq!(together, apart);
    }
}

fn bits2(values: &[Vec<f32>]) -> Vec<u32> {
    values.iter().flatten().map(|value| value.to_bits()).collect()
}

#[test]
fn normalisation_does_not_depend_on_the_number_of_threads() {
    let with = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
        let norms: [Norm; 2] = [our_norm, our_conv_norm];
        pool.install(|| norms.map(|norm| bits2(&normed(norm, [9, 33, 20, 20], 3, true, Activation::Gelu, |x| x))))
    };
    let one = with(1);
    for threads in [2, 3, 8] {
        assert_eq!(one, with(threads), "{threads} threads");
    }
}

/// Equal to the textbook formula in f64 (`erf` by its series and its continued fraction), and to its finite difference.
#[test]
fn gelu_is_that_of_the_formula() {
    let phi = |x: f64| {
        // The integral of the density from 0, by Simpson's rule.
        let steps = 2000;
        let density = |t: f64| (-t * t / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
        let h = x / f64::from(steps);
        let sum: f64 = (0..=steps)
            .map(|i| {
                density(h * f64::from(i))
                    * if i == 0 || i == steps {
                        1.0
                    } else if i % 2 == 1 {
                        4.0
                    } else {
                        2.0
                    }
            })
            .sum();
        0.5 + sum * h / 3.0
    };
    let points: Vec<f32> = (-120..=120).map(|i| i as f32 / 15.0).collect();
    let x = Tensor::<1>::from_floats(points.as_slice(), &Device::flex().autodiff()).require_grad();
    let output = ast_core::ops::gelu(x.clone());
    let slopes: Vec<f32> = x.grad(&output.clone().sum().backward()).unwrap().into_data().try_into_vec().unwrap();
    let output: Vec<f32> = output.into_data().try_into_vec().unwrap();
    for ((x, output), slope) in points.into_iter().map(f64::from).zip(output).zip(slopes) {
        assert!((f64::from(output) - x * phi(x)).abs() < 2e-6, "{x}: {output} {}", x * phi(x));
        let difference = ((x + 1e-4) * phi(x + 1e-4) - (x - 1e-4) * phi(x - 1e-4)) / 2e-4;
        assert!((f64::from(slope) - difference).abs() < 2e-6, "{x}: {slope} {difference}");
    }
    let edge = Tensor::<1>::from_floats([f32::NAN, f32::INFINITY, 100.0, -100.0, 0.0], &Device::flex());
    let edge: Vec<f32> = ast_core::ops::gelu(edge).into_data().try_into_vec().unwrap();
    assert!(edge[0].is_nan());
    assert_eq!(edge[1..], [f32::INFINITY, 100.0, 0.0, 0.0]);
}

/// In evaluation a normalisation is a scale and a shift per channel.
#[test]
fn a_scale_and_a_shift_per_channel() {
    let device = Device::flex();
    let x = Tensor::<4>::from_floats([[[[1.0, -2.0]], [[3.0, 4.0]]]], &device);
    let [scale, shift] = [[2.0, -1.0], [0.5, 1.0]].map(|values| Tensor::<1>::from_floats(values, &device));
    let parameters = || [scale.clone(), shift.clone()];
    let values = |x: Tensor<4>| x.into_data().try_into_vec::<f32>().unwrap();
    assert_eq!(values(affine(x.clone(), parameters(), None, Activation::None)), [2.5, -3.5, -2.0, -3.0]);
    assert_eq!(values(affine(x.clone(), parameters(), Some(x.clone()), Activation::Relu)), [3.5, 0.0, 1.0, 1.0]);
}
