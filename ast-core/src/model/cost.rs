/// FLOPs of one layer for one sample; a multiply-add counts as two.
///
/// Convolutions, linear layers and the matrix products of attention are counted. Element-wise work (activations,
/// normalisation, pooling, the optimizer) is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerCost {
    /// Its name in the model: that of its parameters without the last part, if it has parameters.
    pub name: String,
    /// Forward pass.
    pub forward: u64,
    /// Gradient with respect to the weights.
    pub weight_gradient: u64,
    /// Gradient with respect to the input; 0 for the first layer, which does not need it.
    pub input_gradient: u64,
}

impl LayerCost {
    /// A convolution with `[input channels, output channels]`, a `kernel` x `kernel` window and `places` outputs per
    /// channel.
    #[must_use]
    pub fn convolution(name: impl Into<String>, channels: [usize; 2], kernel: usize, places: usize) -> Self {
        Self::product(name, channels[0] * kernel * kernel * channels[1] * places)
    }

    /// A linear layer with `[input width, output width]`.
    #[must_use]
    pub fn linear(name: impl Into<String>, widths: [usize; 2]) -> Self {
        Self::product(name, widths[0] * widths[1])
    }

    /// A matrix product of two activations, such as queries and keys. It has no weights. Both factors have a gradient, and
    /// each of the two costs as much as the product, so the gradient with respect to the input costs twice as much.
    #[must_use]
    pub fn activations(name: impl Into<String>, multiply_adds: usize) -> Self {
        let layer = Self::product(name, multiply_adds);
        Self { weight_gradient: 0, input_gradient: 2 * layer.forward, ..layer }
    }

    /// The same layer as the first of a network, without the gradient with respect to its input.
    #[must_use]
    pub fn first(self) -> Self {
        Self { input_gradient: 0, ..self }
    }

    fn product(name: impl Into<String>, multiply_adds: usize) -> Self {
        let flops = 2 * multiply_adds as u64;
        Self { name: name.into(), forward: flops, weight_gradient: flops, input_gradient: flops }
    }
}
