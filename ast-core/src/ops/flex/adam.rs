use rayon::prelude::*;

use super::super::AdamStep;

/// Parameters per work item of a thread.
const CHUNK: usize = 1 << 14;

/// See [`adam`](crate::ops::adam). One pass over the memory; separate tensor operations would take a dozen.
pub(super) fn step(x: &mut [f32], gradient: &[f32], first: &mut [f32], second: &mut [f32], step: AdamStep) {
    let chunks = x.par_chunks_mut(CHUNK).zip(gradient.par_chunks(CHUNK));
    let moments = first.par_chunks_mut(CHUNK).zip(second.par_chunks_mut(CHUNK));
    chunks.zip(moments).for_each(|((x, gradient), (first, second))| {
        let AdamStep { beta: [one, two], correction, epsilon, lr, decay } = step;
        for (((x, g), m), v) in x.iter_mut().zip(gradient).zip(first).zip(second) {
            *m = without_subnormal(*m * one + *g * (1.0 - one));
            *v = without_subnormal(*v * two + *g * *g * (1.0 - two));
            *x = *x * (1.0 - lr * decay) - *m * correction / (v.sqrt() + epsilon) * lr;
        }
    });
}

/// Replaces a subnormal moment by 0. Behind a dead unit the gradient stays 0 and the moments decay for ever. Processors
/// are a hundred times slower on subnormal numbers, and these move no weight any more.
#[inline(always)]
pub(super) fn without_subnormal(moment: f32) -> f32 {
    if moment.abs() < f32::MIN_POSITIVE { 0.0 } else { moment }
}
