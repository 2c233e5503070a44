/// FLOPs of one layer for one sample; a multiply-add counts as two.
///
/// Convolutions and linear layers are counted. Element-wise work (activations, pooling, the optimizer) is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerCost {
    /// Its name in the model.
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
