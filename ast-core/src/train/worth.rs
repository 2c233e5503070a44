//! What a pass on each sample of a batch is worth to the others, on the device. See `select::worth` for its use.

use burn::tensor::{Int, Tensor, TensorData};

use super::statistics::errors;

/// FLOPs of [`measure`] for a batch with so many rows: two products of a matrix with its transpose; for text those of the
/// gradients, and one.
pub(super) fn flops(batch: usize, rows: usize, classes: usize, width: usize) -> u64 {
    let multiply_adds = match rows == batch {
        true => batch * batch * (classes + width),
        false => (rows + batch * batch) * classes * (width + 1),
    };
    2 * multiply_adds as u64
}

/// The worth of each sample, `[samples]`, on the device: the mean of the inner products of its gradient with those of the
/// other coverage samples, which `coverage` marks. With several rows per sample, as for text, a sample's gradient is the mean over
/// them; then memory is taken for `samples x classes x (width + 1)` numbers.
pub(super) fn measure(
    logits: &Tensor<2>,
    features: &Tensor<2>,
    targets: &Tensor<1, Int>,
    coverage: &[bool],
) -> Tensor<1> {
    let (errors, features) = (errors(logits, targets), features.clone());
    let samples = coverage.len();
    let (kernel, squares) =
        if errors.dims()[0] == samples { by_rows(errors, features) } else { by_gradients(errors, features, samples) };
    let mask: Vec<f32> = coverage.iter().map(|is| f32::from(u8::from(*is))).collect();
    let mask = Tensor::<2>::from_data(TensorData::new(mask, [samples, 1]), &squares.device());
    let others = mask.clone().sum().reshape([1, 1]) - mask.clone();
    ((kernel.matmul(mask.clone()) - squares * mask) / others.clamp_min(1.0)).squeeze_dim(1)
}

/// The inner products of all pairs, `[samples, samples]`, and the squared norms, `[samples, 1]`, of gradients with one row
/// each. A gradient is an outer product, so it need not be computed.
fn by_rows(errors: Tensor<2>, features: Tensor<2>) -> (Tensor<2>, Tensor<2>) {
    let kernel = errors.clone().matmul(errors.clone().transpose())
        * (features.clone().matmul(features.clone().transpose()) + 1.0);
    let squares = (errors.clone() * errors).sum_dim(1) * ((features.clone() * features).sum_dim(1) + 1.0);
    (kernel, squares)
}

/// The same for gradients that are means over several rows.
fn by_gradients(errors: Tensor<2>, features: Tensor<2>, samples: usize) -> (Tensor<2>, Tensor<2>) {
    let ([rows, classes], [_, width]) = (errors.dims(), features.dims());
    let each = rows / samples;
    let features = Tensor::cat(vec![features, Tensor::ones([rows, 1], &errors.device())], 1);
    let of_rows = errors.reshape([samples, each, classes]).swap_dims(1, 2);
    let gradients = of_rows.matmul(features.reshape([samples, each, width + 1])) / each as f64;
    let gradients = gradients.reshape([samples, classes * (width + 1)]);
    let squares = (gradients.clone() * gradients.clone()).sum_dim(1);
    (gradients.clone().matmul(gradients.transpose()), squares)
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use crate::random::{Purpose, Random};

    const SAMPLES: usize = 7;
    const CLASSES: usize = 5;
    const WIDTH: usize = 4;

    /// Compared with explicit gradients: the outer product of error and features with a 1 appended, averaged over the rows
    /// of a sample.
    #[test]
    fn it_matches_explicit_gradients_of_the_last_layer() {
        for each in [1, 3] {
            check(each);
        }
    }

    fn check(each: usize) {
        let device = Device::flex();
        let mut stream = Random::new(3).stream(Purpose::Data, 0, 0);
        let mut normal = |n: usize| -> Vec<f32> { (0..n).map(|_| stream.normal() as f32).collect() };
        let rows = SAMPLES * each;
        let (logits, inputs) = (normal(rows * CLASSES), normal(rows * WIDTH));
        let labels: Vec<usize> = (0..rows).map(|i| i * 3 % CLASSES).collect();
        let of_row = |i: usize| -> Vec<f64> {
            let row: Vec<f64> = logits[CLASSES * i..][..CLASSES].iter().map(|x| f64::from(*x).exp()).collect();
            let sum: f64 = row.iter().sum();
            let error = |class: usize| row[class] / sum - f64::from(u8::from(labels[i] == class));
            let features = inputs[WIDTH * i..][..WIDTH].iter().map(|h| f64::from(*h)).chain([1.0]);
            features
                .flat_map(|h| (0..CLASSES).map(move |class| (class, h)))
                .map(|(class, h)| error(class) * h)
                .collect()
        };
        let gradient = |sample: usize| -> Vec<f64> {
            let mut mean = vec![0.0; CLASSES * (WIDTH + 1)];
            for row in (each * sample..each * (sample + 1)).map(of_row) {
                mean.iter_mut().zip(row).for_each(|(mean, value)| *mean += value / each as f64);
            }
            mean
        };
        let coverage = [true, false, true, true, false, false, true];
        let expected = (0..SAMPLES).map(|i| {
            let others: Vec<usize> = (0..SAMPLES).filter(|j| *j != i && coverage[*j]).collect();
            let product = |j: &usize| gradient(i).iter().zip(gradient(*j)).map(|(a, b)| a * b).sum::<f64>();
            others.iter().map(product).sum::<f64>() / others.len() as f64
        });
        let logits = Tensor::from_data(TensorData::new(logits.clone(), [rows, CLASSES]), &device);
        let features = Tensor::from_data(TensorData::new(inputs.clone(), [rows, WIDTH]), &device);
        let targets = TensorData::new(labels.iter().map(|y| *y as i32).collect::<Vec<_>>(), [rows]);
        let worth = measure(&logits, &features, &Tensor::from_data(targets, &device), &coverage);
        let worth: Vec<f32> = worth.into_data().try_into_vec().unwrap();
        for (got, expected) in worth.into_iter().zip(expected) {
            assert!((f64::from(got) - expected).abs() < 1e-4 * expected.abs().max(1.0), "{got} {expected}");
        }
    }
}
