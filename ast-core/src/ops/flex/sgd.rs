use rayon::prelude::*;

use super::super::SgdStep;
use super::adam::without_subnormal;

/// Parameters per work item of a thread.
const CHUNK: usize = 1 << 14;

/// See [`sgd`](crate::ops::sgd). One pass over the memory.
pub(super) fn step(x: &mut [f32], gradient: &[f32], velocity: &mut [f32], step: SgdStep) {
    let chunks = x.par_chunks_mut(CHUNK).zip(gradient.par_chunks(CHUNK)).zip(velocity.par_chunks_mut(CHUNK));
    chunks.for_each(|((x, gradient), velocity)| {
        let SgdStep { momentum, nesterov, decay, lr } = step;
        for ((x, g), v) in x.iter_mut().zip(gradient).zip(velocity) {
            let g = *g + decay * *x;
            *v = without_subnormal(momentum * *v + g);
            *x -= lr * if nesterov { g + momentum * *v } else { *v };
        }
    });
}
