use serde::{Deserialize, Serialize};

/// A sample's place in its dataset, 0..len.
pub type SampleId = u32;

/// How a sample is computed: image size or context length. 0 unless a policy uses more than one.
pub type Level = u8;

/// A sample to be trained on, with the epoch that chose it: the two that key its augmentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Visit {
    /// Which sample.
    pub id: SampleId,
    /// In which nominal epoch it was chosen.
    pub epoch: u32,
}

/// The samples of a dataset, and the group of each, if there are groups: the mean score of its group stands for what was not
/// seen of a sample for long. Classes are such groups; text and regression have none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Groups {
    of: Vec<u16>,
    count: usize,
}

/// A group that no two bytes can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("group {0} is larger than 65535: leave groups out, or make fewer")]
pub struct TooManyGroups(
    /// The group.
    pub usize,
);

impl Groups {
    /// Samples without groups.
    #[must_use]
    pub fn none(samples: usize) -> Self {
        Self { of: vec![0; samples], count: 1 }
    }

    /// The group of each sample, e.g. its label, 0..=65,535.
    ///
    /// # Errors
    /// [`TooManyGroups`] if one is larger.
    pub fn of(labels: impl IntoIterator<Item = usize>) -> Result<Self, TooManyGroups> {
        let of = labels.into_iter().map(|label| u16::try_from(label).map_err(|_| TooManyGroups(label)));
        let of = of.collect::<Result<Vec<_>, _>>()?;
        let count = of.iter().max().map_or(1, |label| usize::from(*label) + 1);
        Ok(Self { of, count })
    }

    /// Number of samples.
    #[must_use]
    pub fn samples(&self) -> usize {
        self.of.len()
    }

    /// Number of groups, 1 and more.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    pub(crate) fn into_vec(self) -> Vec<u16> {
        self.of
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_counted_and_too_many_are_refused() {
        let groups = Groups::of([3, 0, 1]).unwrap();
        assert_eq!((groups.samples(), groups.count()), (3, 4));
        assert_eq!((Groups::none(5).samples(), Groups::none(5).count()), (5, 1));
        assert_eq!(Groups::of([65_536]), Err(TooManyGroups(65_536)));
        assert_eq!(Groups::of([]).unwrap(), Groups::none(0));
    }
}
