//! Buffers that are reused from image to image.

use std::cell::RefCell;

/// A thread's buffers. New ones for each image would have to be paged in each time.
#[derive(Default)]
pub(super) struct Scratch {
    pub(super) padded: Buffer,
    pub(super) convolved: Buffer,
    pub(super) spread: Buffer,
    pub(super) input: Buffer,
    pub(super) row: Buffer,
}

#[derive(Default)]
pub(super) struct Buffer {
    pub(super) values: Vec<f32>,
}

impl Buffer {
    #[inline(always)]
    pub(super) fn zeros(&mut self, length: usize) -> &mut [f32] {
        let values = self.any(length);
        values.fill(0.0);
        values
    }

    #[inline(always)]
    pub(super) fn any(&mut self, length: usize) -> &mut [f32] {
        self.values.resize(length, 0.0);
        &mut self.values
    }
}

thread_local!(static SCRATCH: RefCell<Scratch> = RefCell::default());

// Not a closure: the code inside a closure would be compiled for the oldest processor.
impl Scratch {
    pub(super) fn take() -> Self {
        SCRATCH.take()
    }

    pub(super) fn keep(self) {
        SCRATCH.set(self);
    }
}
