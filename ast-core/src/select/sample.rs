use serde::{Deserialize, Serialize};

/// Index of a sample in its dataset, 0..len.
pub type SampleId = u32;

/// A variant of computing a sample, such as the image size or the context length. 0 unless the run has stages or a policy
/// names levels.
pub type Level = u8;

/// A sample to train on, with the epoch in which it was selected and its earlier visits. Together they key its
/// augmentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Visit {
    /// Which sample.
    pub id: SampleId,
    /// In which nominal epoch it was chosen.
    pub epoch: u32,
    /// How often it was accepted before, in steps that were made or are still to be made. The selector sets it; skipped
    /// steps do not count.
    #[serde(default)]
    pub earlier: u32,
}

/// The samples of a dataset and their groups, if any. The mean score of a group stands in for the old score of a
/// sample. Class labels are such groups; text and regression have none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Groups {
    /// Group of each sample; empty without groups.
    of: Vec<u16>,
    samples: usize,
}

/// A group number is too large.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("sample {sample} is in group {group}; groups are 0..=65535: number them without gaps, or use `Groups::none`")]
pub struct GroupOutOfRange {
    /// The first such sample.
    pub sample: usize,
    /// Its group.
    pub group: usize,
}

impl Groups {
    /// `samples` samples without groups.
    #[must_use]
    pub fn none(samples: usize) -> Self {
        Self { of: Vec::new(), samples }
    }

    /// The group of each sample, e.g. its label, 0..=65,535.
    ///
    /// # Errors
    /// [`GroupOutOfRange`] if one is larger.
    pub fn of(labels: impl IntoIterator<Item = usize>) -> Result<Self, GroupOutOfRange> {
        let narrow = |(sample, group)| u16::try_from(group).map_err(|_| GroupOutOfRange { sample, group });
        let of = labels.into_iter().enumerate().map(narrow).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { samples: of.len(), of })
    }

    /// Number of samples.
    #[must_use]
    pub fn samples(&self) -> usize {
        self.samples
    }

    /// Number of groups, 1 and more.
    #[must_use]
    pub fn count(&self) -> usize {
        self.of.iter().max().map_or(1, |group| usize::from(*group) + 1)
    }

    /// The group of each sample.
    pub(crate) fn into_vec(self) -> Vec<u16> {
        if self.of.is_empty() { vec![0; self.samples] } else { self.of }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_counted_and_too_large_ones_refused() {
        let groups = Groups::of([3, 0, 1]).unwrap();
        assert_eq!((groups.samples(), groups.count()), (3, 4));
        assert_eq!((Groups::none(5).samples(), Groups::none(5).count()), (5, 1));
        assert_eq!(Groups::none(5).into_vec(), [0; 5]);
        let error = Groups::of([7, 65_536]).unwrap_err();
        assert_eq!(error, GroupOutOfRange { sample: 1, group: 65_536 });
    }
}
