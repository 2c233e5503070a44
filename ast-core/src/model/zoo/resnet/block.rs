use burn::module::Module;
use burn::tensor::Tensor;

use crate::model::conv::Conv;
use crate::model::cost::LayerCost;
use crate::model::mode::Mode;
use crate::model::network::Weights;
use crate::model::norm::BatchNorm;
use crate::ops::Activation;

/// Channels of a bottleneck's output for each of its inner channels.
const EXPANSION: usize = 4;

/// The two kinds of residual block (He et al. 2016).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Two 3x3 convolutions.
    Basic,
    /// Convolutions 1x1, 3x3 and 1x1, of which the last widens four times. A stride is that of the 3x3 convolution, as in
    /// torchvision; in the paper it is that of the first.
    Bottleneck,
}

impl Kind {
    /// Channels of the output of a block of this width.
    pub(super) fn outputs(self, width: usize) -> usize {
        match self {
            Self::Basic => width,
            Self::Bottleneck => EXPANSION * width,
        }
    }
}

/// A residual block: `relu(branch(x) + shortcut(x))`. The branch is the convolutions, each normalised, with ReLU between
/// them. The shortcut is `x`, or a normalised 1x1 convolution of it where the shape changes.
///
/// Names and shapes of the parameters are torchvision's.
#[derive(Module, Debug)]
pub(super) struct Residual {
    conv1: Conv,
    bn1: BatchNorm,
    conv2: Conv,
    bn2: BatchNorm,
    /// Only a bottleneck has a third convolution.
    conv3: Option<Conv>,
    bn3: Option<BatchNorm>,
    downsample: Option<(Conv, BatchNorm)>,
}

impl Residual {
    /// From `[channels in, width]`.
    pub(super) fn new(kind: Kind, [inputs, width]: [usize; 2], stride: usize, weights: &mut Weights<'_>) -> Self {
        let device = weights.device();
        let outputs = kind.outputs(width);
        let mut conv = |channels, kernel, stride| Conv::before_relu(channels, kernel, stride, kernel / 2, weights);
        let (conv1, conv2, conv3) = match kind {
            Kind::Basic => (conv([inputs, width], 3, stride), conv([width, width], 3, 1), None),
            Kind::Bottleneck => {
                (conv([inputs, width], 1, 1), conv([width, width], 3, stride), Some(conv([width, outputs], 1, 1)))
            }
        };
        let changes = stride != 1 || inputs != outputs;
        Self {
            bn1: BatchNorm::new(width, device),
            bn2: BatchNorm::new(width, device),
            bn3: conv3.is_some().then(|| BatchNorm::new(outputs, device)),
            downsample: changes.then(|| (conv([inputs, outputs], 1, stride), BatchNorm::new(outputs, device))),
            conv1,
            conv2,
            conv3,
        }
    }

    #[cfg(test)]
    pub(super) fn conv2(&self) -> &Conv {
        &self.conv2
    }

    pub(super) fn kind(&self) -> Kind {
        if self.conv3.is_some() { Kind::Bottleneck } else { Kind::Basic }
    }

    /// `[batch, channels, height, width]`, before and after.
    pub(super) fn forward(&self, x: Tensor<4>, mode: &mut Mode) -> Tensor<4> {
        let shortcut = match &self.downsample {
            Some((conv, norm)) => norm.after(conv, 1, x.clone(), None, Activation::None, mode),
            None => x.clone(),
        };
        let x = self.bn1.after(&self.conv1, 1, x, None, Activation::Relu, mode);
        match self.conv3.as_ref().zip(self.bn3.as_ref()) {
            None => self.bn2.after(&self.conv2, 1, x, Some(shortcut), Activation::Relu, mode),
            Some((conv3, bn3)) => {
                let x = self.bn2.after(&self.conv2, 1, x, None, Activation::Relu, mode);
                bn3.after(conv3, 1, x, Some(shortcut), Activation::Relu, mode)
            }
        }
    }

    /// The layers for inputs with these sides. Sets the sides to those of the output.
    pub(super) fn layers(&self, name: &str, sides: &mut [usize; 2]) -> Vec<LayerCost> {
        let mut input = *sides;
        let shortcut = self.downsample.as_ref().map(|(conv, _)| cost(conv, format!("{name}.downsample.0"), &mut input));
        let branch = [("conv1", Some(&self.conv1)), ("conv2", Some(&self.conv2)), ("conv3", self.conv3.as_ref())];
        let branch = branch.into_iter().filter_map(|(conv, layer)| Some((format!("{name}.{conv}"), layer?)));
        branch.map(|(name, conv)| cost(conv, name, sides)).chain(shortcut).collect()
    }
}

/// The cost of a convolution for inputs with these sides. Sets the sides to those of the output.
pub(super) fn cost(conv: &Conv, name: impl Into<String>, sides: &mut [usize; 2]) -> LayerCost {
    *sides = sides.map(|side| conv.side(side));
    LayerCost::convolution(name, conv.channels(), conv.kernel(), sides[0] * sides[1])
}
