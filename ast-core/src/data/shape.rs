use std::fmt;

/// What one sample is: an image or a window of text, and its size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// `[channels, height, width]`.
    Image([usize; 3]),
    /// So many tokens of context, each with the token after it as its target.
    Tokens(usize),
}

impl Shape {
    /// Targets of one sample: one, or one for each token.
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
