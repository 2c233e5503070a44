//! What loading a sample takes, and why one cannot be loaded.

use std::error::Error;
use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

use crate::select::SampleId;

/// Work of reading samples from files; 0 for samples in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Reads {
    /// Bytes read from files.
    pub bytes: u64,
    /// Images decoded.
    pub decodes: u64,
}

impl AddAssign for Reads {
    fn add_assign(&mut self, other: Self) {
        self.bytes += other.bytes;
        self.decodes += other.decodes;
    }
}

/// What is known of a sample once it is loaded.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct LoadedSample {
    /// Standard deviation of its pixels, as [`Dataset::input_deviation`](crate::data::Dataset::input_deviation).
    pub input_deviation: f32,
    /// What was read for it.
    pub reads: Reads,
}

/// Why a sample cannot be loaded. The message names its file.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct SampleError {
    /// The file and what is wrong.
    pub error: Box<dyn Error + Send + Sync>,
    /// Whether a run may go on without the sample.
    pub may_be_left_out: bool,
}

/// A sample that a batch goes on without, because it is broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadSample {
    /// Which sample.
    pub id: SampleId,
    /// The file and what is wrong.
    pub reason: String,
}

/// A batch could not be assembled.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A worker panicked.
    #[error("a loader worker stopped while it assembled a batch; this is a bug in the dataset")]
    Worker,
    /// A sample could not be loaded.
    #[error("sample {id}: {error}")]
    Sample {
        /// Which sample.
        id: SampleId,
        /// Why not.
        error: SampleError,
    },
}
