//! How the samples of a dataset become the input of a network, and what its outputs stand for.

use serde::{Deserialize, Serialize};

use crate::data::{Dataset, Shape, Vocabulary};

/// How samples become the input of a network, and what its outputs stand for. A run keeps it with its weights, so that the
/// network can be used on other data, and so that data which has changed cannot change what the network sees.
///
/// As the part of a [`ReadRequest`](crate::data::ReadRequest) it may be incomplete: what is absent is chosen as usual.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Preprocessing {
    /// Shape of the input.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shape: Option<Shape>,
    /// Pixels of the shorter side of an image before its middle is cut out; absent if images are not resized.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resize: Option<usize>,
    /// Whether training images are cropped at random instead.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub crops: bool,
    /// Mean of each channel, which is subtracted from it: of pixels in 0..1, or of values in the unit of the data if they are
    /// not bytes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mean: Vec<f32>,
    /// Standard deviation of each channel, by which it is divided after that; as many as means.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub deviation: Vec<f32>,
    /// Mean of the input deviation over the training samples, which some scorers use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_deviation: Option<f64>,
    /// Number of classes; of text, the size of the vocabulary.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub classes: Option<usize>,
    /// The names of the classes, in their order; empty if they have none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub class_names: Vec<String>,
    /// The tokens of a text; absent for images.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vocabulary: Option<Vocabulary>,
}

impl Preprocessing {
    /// That of a dataset.
    #[must_use]
    pub fn of(data: &dyn Dataset) -> Self {
        let normalisation = data.normalisation();
        let is_text = matches!(data.shape(), Shape::Tokens(_));
        Self {
            shape: Some(data.shape()),
            resize: data.resize(),
            crops: data.crops(),
            mean: normalisation.iter().map(|[mean, _]| *mean).collect(),
            deviation: normalisation.iter().map(|[_, deviation]| *deviation).collect(),
            input_deviation: (!is_text).then(|| data.mean_input_deviation()),
            classes: Some(data.classes()),
            class_names: data.class_names().to_vec(),
            vocabulary: Vocabulary::of(data),
        }
    }

    /// Mean and standard deviation of each channel, if they are given for `channels` channels.
    #[must_use]
    pub fn normalisation(&self, channels: usize) -> Option<[&[f32]; 2]> {
        let both = [&self.mean[..], &self.deviation];
        both.iter().all(|values| values.len() == channels).then_some(both)
    }

    /// What of `self` is given and not so in `other`, in words; `None` if `other` has all of it.
    #[must_use]
    pub fn lacking(&self, other: &Self) -> Option<String> {
        let numbers = |values: &[f32]| values.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        if let (Some(one), Some(two)) = (self.shape, other.shape)
            && one != two
        {
            return Some(format!("{one} are needed, and these are {two}"));
        }
        for (what, one, two) in [("means", &self.mean, &other.mean), ("deviations", &self.deviation, &other.deviation)]
        {
            if !one.is_empty() && one != two {
                let (one, two) = (numbers(one), numbers(two));
                return Some(format!("the {what} of the channels are to be {one}, and these have {two}"));
            }
        }
        if let (Some(one), Some(two)) = (self.classes, other.classes)
            && one != two
        {
            return Some(format!("{one} classes are needed, and these have {two}"));
        }
        (self.vocabulary.is_some() && self.vocabulary != other.vocabulary)
            .then(|| "another vocabulary is needed".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again_to_the_bit() {
        let of_images = Preprocessing {
            shape: Some(Shape::Image([3, 224, 224])),
            resize: Some(256),
            crops: true,
            mean: vec![0.485, 1.0 / 3.0, f32::MIN_POSITIVE],
            deviation: vec![0.1, 0.2, 0.3],
            input_deviation: Some(0.1 + 0.2),
            classes: Some(2),
            class_names: vec!["cat".into(), "dog".into()],
            vocabulary: None,
        };
        let of_text = Preprocessing {
            shape: Some(Shape::Tokens(64)),
            classes: Some(2),
            vocabulary: Some(Vocabulary::Bytes(vec![vec![0xc3], vec![10]])),
            ..Preprocessing::default()
        };
        for given in [of_images, of_text, Preprocessing::default()] {
            let text = serde_json::to_string(&given).unwrap();
            assert_eq!(serde_json::from_str::<Preprocessing>(&text).unwrap(), given, "{text}");
        }
    }

    #[test]
    fn what_is_not_as_given_is_said() {
        let of = |mean: &[f32], classes| Preprocessing {
            mean: mean.to_vec(),
            classes,
            shape: Some(Shape::Image([1, 2, 2])),
            ..Preprocessing::default()
        };
        assert_eq!(Preprocessing::default().lacking(&of(&[0.5], Some(3))), None);
        assert_eq!(of(&[0.5], None).lacking(&of(&[0.5], Some(3))), None);
        assert!(of(&[0.5], None).lacking(&of(&[0.25], None)).unwrap().contains("to be 0.5, and these have 0.25"));
        assert!(of(&[], Some(2)).lacking(&of(&[], Some(3))).unwrap().contains("2 classes are needed"));
    }
}
