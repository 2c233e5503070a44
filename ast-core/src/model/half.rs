//! The cheap scoring pass of a network that takes images of any size.

use burn::tensor::module::avg_pool2d;
use burn::tensor::ops::AvgPoolOptions;

use crate::data::Shape;
use crate::model::cost::LayerCost;
use crate::model::mode::Mode;
use crate::model::network::{Forward, Input, Model};

/// [`Model::forward_half`] of a network that takes images of any size: itself, in evaluation, on images of which blocks
/// of 2x2 pixels are averaged. `None` if a side is odd, or the network does not take images of half the size.
#[must_use]
pub fn forward_half(model: &impl Model, input: Input) -> Option<Forward> {
    let Input::Image(x) = input else { return None };
    let [_, channels, height, width] = x.dims();
    model.layers(half(Shape::Image([channels, height, width]))?).ok()?;
    let x = avg_pool2d(x, AvgPoolOptions::new([2, 2]));
    Some(model.forward(Input::Image(x), &mut Mode::Eval))
}

/// [`Model::layers_half`] of the same network: its layers for images of half the height and width. Empty if there is no
/// such pass.
#[must_use]
pub fn layers_half(model: &impl Model, shape: Shape) -> Vec<LayerCost> {
    half(shape).and_then(|shape| model.layers(shape).ok()).unwrap_or_default()
}

fn half(shape: Shape) -> Option<Shape> {
    match shape {
        Shape::Image([channels, height, width]) if height % 2 == 0 && width % 2 == 0 => {
            Some(Shape::Image([channels, height / 2, width / 2]))
        }
        _ => None,
    }
}
