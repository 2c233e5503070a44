/// A decoded image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rgb {
    pub(super) height: usize,
    pub(super) width: usize,
    /// `[height, width, 3]`: red, green and blue.
    pub(super) pixels: Vec<u8>,
}
