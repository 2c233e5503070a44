use std::fmt;

use serde::{Deserialize, Serialize};

/// Shape of a sample: an image or a window of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shape {
    /// `[channels, height, width]`.
    Image([usize; 3]),
    /// A window of text, by its context in tokens. The target of each token is the next one.
    Tokens(usize),
}

impl Shape {
    /// Number of targets per sample: 1 for an image, 1 per token for text.
    #[must_use]
    pub fn targets(self) -> usize {
        match self {
            Self::Image(_) => 1,
            Self::Tokens(context) => context,
        }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Image([channels, height, width]) => {
                write!(f, "images of {height} x {width} pixels in {channels} channels")
            }
            Self::Tokens(context) => write!(f, "windows of {context} tokens"),
        }
    }
}
