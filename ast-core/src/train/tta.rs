//! Test-time augmentation: the logits of an image averaged over six views of it.

use burn::tensor::Tensor;

use crate::model::{Input, Mode, Model};

/// Forward passes of an evaluation with test-time augmentation, the plain one included.
pub(super) const VIEWS: u64 = 6;

/// The weighted mean of the logits of six views (K. Jordan, *94% on CIFAR-10 in 3.29 Seconds on a Single GPU*, 2024), `[batch,
/// classes]`: the images and their mirror images, with a weight of 1/4 each; and both moved by one pixel down and right,
/// and up and left, with a weight of 1/8 each, padded by reflection.
///
/// `images` are `[batch, channels, height, width]`, of 2 x 2 pixels and more; `plain` are their logits.
pub(super) fn averaged<M: Model>(model: &M, images: Tensor<4>, plain: Tensor<2>) -> Tensor<2> {
    let logits = |images| model.forward(Input::Image(images), &mut Mode::Eval).logits;
    let mirrored = |images: &Tensor<4>| logits(images.clone().flip([3]));
    let still = (plain + mirrored(&images)) * 0.25;
    [Move::ToTheEnd, Move::ToTheStart].into_iter().fold(still, |sum, by| {
        let moved = moved(moved(images.clone(), 2, by), 3, by);
        sum + (mirrored(&moved) + logits(moved)) * 0.125
    })
}

#[derive(Clone, Copy)]
enum Move {
    ToTheStart,
    ToTheEnd,
}

/// The images moved by one pixel along a dimension, padded by reflection without repeating the edge.
fn moved(images: Tensor<4>, dim: usize, by: Move) -> Tensor<4> {
    let side = images.dims()[dim];
    let part = |from, length| images.clone().narrow(dim, from, length);
    let parts = match by {
        Move::ToTheStart => vec![part(1, side - 1), part(side - 2, 1)],
        Move::ToTheEnd => vec![part(1, 1), part(0, side - 1)],
    };
    Tensor::cat(parts, dim)
}

#[cfg(test)]
mod tests {
    use burn::module::{Module, Param};
    use burn::tensor::{Device, TensorData, Tolerance};

    use super::*;
    use crate::data::Shape;
    use crate::model::{Forward, LayerCost, NetworkError};

    /// `tanh` of a linear layer: not linear, so that the mean of logits is not the logits of the mean.
    #[derive(Module, Debug)]
    struct Bent {
        weight: Param<Tensor<2>>,
    }

    impl Model for Bent {
        fn forward(&self, input: Input, _: &mut Mode) -> Forward {
            let Input::Image(images) = input else { unreachable!() };
            Forward { logits: images.flatten::<2>(1, 3).matmul(self.weight.val()).tanh(), features: None }
        }
        fn layers(&self, _: Shape) -> Result<Vec<LayerCost>, NetworkError> {
            Ok(Vec::new())
        }
    }

    fn values(n: usize, of: impl Fn(f64) -> f64) -> Vec<f32> {
        (0..n).map(|i| of(i as f64) as f32).collect()
    }

    /// One image of two rows and three columns, by hand.
    #[test]
    fn an_image_moves_by_one_pixel() {
        let image = Tensor::<4>::from_data([[[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]]], &Device::flex());
        let moved = |dim, by| -> Vec<f32> { moved(image.clone(), dim, by).into_data().try_into_vec().unwrap() };
        assert_eq!(moved(2, Move::ToTheStart), [4.0, 5.0, 6.0, 1.0, 2.0, 3.0]);
        assert_eq!(moved(2, Move::ToTheEnd), [4.0, 5.0, 6.0, 1.0, 2.0, 3.0]);
        assert_eq!(moved(3, Move::ToTheStart), [2.0, 3.0, 2.0, 5.0, 6.0, 5.0]);
        assert_eq!(moved(3, Move::ToTheEnd), [2.0, 1.0, 2.0, 5.0, 4.0, 5.0]);
    }

    /// Compared with PyTorch 2: `F.pad(x, (1, 1, 1, 1), "reflect")`, slices of it, and `flip(-1)`, in f64.
    #[test]
    fn the_mean_over_six_views_is_that_of_pytorch() {
        let device = Device::flex();
        let images = TensorData::new(values(48, |i| (0.37 * i).sin()), [2, 2, 3, 4]);
        let weight = TensorData::new(values(72, |i| (0.61 * i).cos()), [24, 3]);
        let model = Bent { weight: Param::from_tensor(Tensor::from_data(weight, &device)) };
        let images = Tensor::<4>::from_data(images, &device);
        let plain = model.forward(Input::Image(images.clone()), &mut Mode::Eval).logits;
        let expected = [[0.378_273_7_f32, 0.267_571_94, 0.125_932_95], [-0.466_526_13, -0.303_186_34, -0.026_836_865]];
        let got = averaged(&model, images, plain).into_data();
        got.assert_approx_eq::<f32>(&TensorData::from(expected), Tolerance::absolute(1e-5));
    }
}
