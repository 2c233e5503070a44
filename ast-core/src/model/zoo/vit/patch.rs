use burn::module::{Module, Param};
use burn::tensor::module::linear;
use burn::tensor::{Device, Tensor, TensorData};

use crate::model::network::Weights;

/// The tokens of an image: a linear map of each patch.
#[derive(Module, Debug)]
pub(super) struct PatchEmbed {
    proj: Projection,
}

/// The parameters of a convolution whose stride is its kernel, as timm has it.
#[derive(Module, Debug)]
struct Projection {
    /// `[width, channels, patch, patch]`.
    weight: Param<Tensor<4>>,
    bias: Param<Tensor<1>>,
}

impl PatchEmbed {
    /// From `[channels, width of a token]` and the side of a patch, with PyTorch's default initial values.
    pub(super) fn new([channels, width]: [usize; 2], patch: usize, weights: &mut Weights<'_>) -> Self {
        let fan_in = channels * patch * patch;
        let weight = weights.draw([width, channels, patch, patch], fan_in);
        Self { proj: Projection { weight, bias: weights.draw([width], fan_in) } }
    }

    /// `[width, channels, patch, patch]`.
    pub(super) fn dims(&self) -> [usize; 4] {
        self.proj.weight.dims()
    }

    /// `[batch, channels, height, width]` to `[batch, patches, width]`, row by row.
    pub(super) fn forward(&self, x: Tensor<4>) -> Tensor<3> {
        let [batch, channels, height, width] = x.dims();
        let [outputs, _, patch, _] = self.dims();
        let (rows, columns) = (height / patch, width / patch);
        let x = x.reshape([batch, channels, rows, patch, columns, patch]).permute([0, 2, 4, 1, 3, 5]);
        let x = x.reshape([batch, rows * columns, channels * patch * patch]);
        let weight = self.proj.weight.val().reshape([outputs, channels * patch * patch]).transpose();
        linear(x, weight, Some(self.proj.bias.val()))
    }
}

/// The matrix `[to, from]` of linear interpolation between `from` places and `to` places on the same line, each in the
/// middle of its share of the line. Outside the first and the last place the value is theirs.
pub(super) fn interpolation(from: usize, to: usize, device: &Device) -> Tensor<2> {
    let mut matrix = vec![0.0_f32; to * from];
    for row in 0..to {
        let place = ((row as f64 + 0.5) * from as f64 / to as f64 - 0.5).clamp(0.0, (from - 1) as f64);
        let (below, share) = (place as usize, place.fract());
        matrix[row * from + below] += (1.0 - share) as f32;
        matrix[row * from + (below + 1).min(from - 1)] += share as f32;
    }
    Tensor::from_data(TensorData::new(matrix, [to, from]), device)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By hand: from two places to four, and to one.
    #[test]
    fn interpolation_is_linear_between_the_middles() {
        let matrix = |from, to| interpolation(from, to, &Device::flex()).into_data().try_into_vec::<f32>().unwrap();
        assert_eq!(matrix(2, 4), [1.0, 0.0, 0.75, 0.25, 0.25, 0.75, 0.0, 1.0]);
        assert_eq!(matrix(2, 1), [0.5, 0.5]);
        assert_eq!(matrix(1, 2), [1.0, 1.0]);
    }
}
