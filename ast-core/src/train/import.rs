use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;

use burn::store::{
    BurnToPyTorchAdapter, FloatCastAdapter, ModuleAdapter, ModuleSnapshot, ModuleStore, PyTorchToBurnAdapter,
    SafetensorsStore, SafetensorsStoreError, bridge,
};
use burn::tensor::{DType, TensorData};

use super::metadata::preprocessing;
use crate::data::Shape;
use crate::model::{Model, NetworkError};
use crate::run::read_file;

/// Upper bound for the size of a file, which is read into memory.
const LARGEST_FILE: u64 = 1 << 32;
/// Number of names that a message shows.
const SHOWN: usize = 3;
/// PyTorch's counter of batch normalisation, which plays no part with a fixed momentum.
const IGNORED: &str = "num_batches_tracked";
/// The end of the name of a variance.
const VARIANCE: &str = "running_var";

/// Why weights cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    /// The file cannot be read.
    #[error("cannot read it: {0}")]
    Read(#[from] io::Error),
    /// The file has another format, or its end is missing.
    #[error(
        "it is no safetensors file, or its end is missing ({0}); in PyTorch, \
         `safetensors.torch.save_file(model.state_dict(), FILE)` writes one"
    )]
    Format(String),
    /// The file has what cannot be read here.
    #[error("it cannot be used: {0}")]
    Unsupported(String),
    /// A parameter has another type.
    #[error("the parameter `{name}` has the type {found}, not one of floating-point numbers")]
    Type {
        /// Its name.
        name: String,
        /// Its type.
        found: String,
    },
    /// A value is not finite in single precision, or is a negative variance.
    #[error("value {at} of the parameter `{name}` is {value}: no network was trained to that")]
    Value {
        /// The parameter's name.
        name: String,
        /// The value's number in the file's order, from 0.
        at: usize,
        /// The value in single precision.
        value: f32,
    },
    /// The parameters are not those of the network.
    #[error("its parameters are not those of this network{}", .0.concat())]
    Differs(
        /// The differences in words.
        Vec<String>,
    ),
    /// The network does not take the data.
    #[error(transparent)]
    Network(#[from] NetworkError),
}

/// Shapes of parameters by name, in PyTorch's layout: linear weights are `[out, in]`.
type Shapes = BTreeMap<String, Vec<usize>>;

/// Loads a network's parameters from a safetensors file with PyTorch's names and layout, as torchvision, timm and
/// [`safetensors`](super::safetensors) write them. `shape` is that of the data. Numbers of other precision are converted
/// to single precision.
///
/// If the last of the network's [layers](Model::layers) has another number of classes in the file, or if the file says that
/// they have other names than `class_names`, that layer keeps its initial values, and a warning is returned. Otherwise the
/// file must have every parameter and no other.
///
/// # Errors
/// [`WeightsError`].
pub fn load_weights<M: Model>(
    mut model: M,
    shape: Shape,
    class_names: &[String],
    file: &Path,
) -> Result<(M, Option<String>), WeightsError> {
    let theirs = preprocessing(file)?.unwrap_or_default().class_names;
    let renamed = !theirs.is_empty() && !class_names.is_empty() && theirs != class_names;
    let layers = model.layers(shape)?;
    let last = layers.last().map(|layer| format!("{}.", layer.name)).unwrap_or_default();
    let bytes = read_file(file, LARGEST_FILE)?;
    let bytes = bytes.ok_or_else(|| io::Error::other(format!("more than {LARGEST_FILE} bytes")))?;

    let mut store = SafetensorsStore::from_bytes(Some(bytes));
    let all = store.get_all_tensors().map_err(|error| match error {
        SafetensorsStoreError::Safetensors(_) => WeightsError::Format(error.to_string()),
        _ => WeightsError::Unsupported(error.to_string()),
    })?;
    let mut tensors: Vec<_> = all.values().filter(|tensor| !tensor.name.ends_with(IGNORED)).cloned().collect();
    if let Some(tensor) = tensors.iter().find(|tensor| !tensor.dtype.is_float()) {
        return Err(WeightsError::Type { name: tensor.name.clone(), found: format!("{:?}", tensor.dtype) });
    }
    let own = model.collect(None, Some(Box::new(BurnToPyTorchAdapter)), false);
    let own = own.iter().map(|tensor| (tensor.name.clone(), tensor.shape.to_vec())).collect();
    let found = tensors.iter().map(|tensor| (tensor.name.clone(), tensor.shape.to_vec())).collect();

    let anew = match compare(&own, &found, &last)? {
        Some([theirs, ours]) => Some(warning(&last, &format!("{theirs} classes, the data {ours}"))),
        None => renamed.then(|| warning(&last, "classes of other names than the data")),
    };
    if anew.is_some() {
        tensors.retain(|tensor| !tensor.name.starts_with(&last));
    }
    for tensor in &tensors {
        let values = bridge::to_data(tensor).map_err(|error| WeightsError::Format(error.to_string()))?;
        check_values(&tensor.name, &values)?;
    }
    let adapter = PyTorchToBurnAdapter.chain(FloatCastAdapter::to(DType::F32));
    let applied = model.apply(tensors, None, Some(Box::new(adapter)), false);
    match applied.errors.first() {
        Some(error) => Err(WeightsError::Format(error.to_string())),
        None => Ok((model, anew)),
    }
}

fn check_values(name: &str, values: &TensorData) -> Result<(), WeightsError> {
    let least = if name.ends_with(VARIANCE) { 0.0 } else { f32::MIN };
    match values.iter::<f32>().enumerate().find(|(_, value)| !(least..=f32::MAX).contains(value)) {
        Some((at, value)) => Err(WeightsError::Value { name: name.into(), at, value }),
        None => Ok(()),
    }
}

fn warning(last: &str, has: &str) -> String {
    let last = last.trim_end_matches('.');
    format!("the file of `model.weights` has {has}: the last layer, {last}, starts anew")
}

/// Compares the network's parameters with those found. If the last layer, whose names begin with `last`, differs in the
/// number of classes only, returns the number found and the network's.
fn compare(own: &Shapes, found: &Shapes, last: &str) -> Result<Option<[usize; 2]>, WeightsError> {
    let missing: Vec<String> = own.keys().filter(|name| !found.contains_key(*name)).cloned().collect();
    let unexpected: Vec<String> = found.keys().filter(|name| !own.contains_key(*name)).cloned().collect();
    let both = own.iter().filter_map(|(name, own)| Some((name, own, found.get(name)?)));
    // A file whose last layer does not agree with itself is for no number of classes.
    let theirs: BTreeSet<usize> = both
        .clone()
        .filter(|(name, ..)| name.starts_with(last))
        .filter_map(|(.., found)| found.first().copied())
        .collect();
    let one = theirs.len() == 1 && !theirs.contains(&0);
    let (classes, shapes): (Vec<_>, Vec<_>) = both
        .filter(|(_, own, found)| own != found)
        .partition(|(name, own, found)| one && name.starts_with(last) && own.get(1..) == found.get(1..));
    let shapes: Vec<String> =
        shapes.iter().map(|(name, own, found)| format!("{name} ({found:?} instead of {own:?})")).collect();
    let differences = [("missing", missing), ("unexpected", unexpected), ("of another shape", shapes)];
    let differences: Vec<String> = differences
        .into_iter()
        .filter(|(_, names)| !names.is_empty())
        .map(|(what, names)| format!("; {what}: {}", first_of(&names)))
        .collect();
    if !differences.is_empty() {
        return Err(WeightsError::Differs(differences));
    }
    Ok(classes.first().and_then(|(_, own, found)| Some([*found.first()?, *own.first()?])))
}

fn first_of(names: &[String]) -> String {
    let shown = names.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    let more = names.len().saturating_sub(SHOWN);
    if more == 0 { shown } else { format!("{shown} and {more} more") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shapes(all: &[(&str, &[usize])]) -> Shapes {
        all.iter().map(|(name, shape)| ((*name).to_string(), shape.to_vec())).collect()
    }

    #[test]
    fn a_last_layer_with_other_classes_is_left_out_and_nothing_else() {
        let own = shapes(&[("body", &[4, 2]), ("fc.weight", &[10, 4]), ("fc.bias", &[10])]);
        let compared = |weight: &[usize], bias: &[usize], body: &[usize]| {
            compare(&own, &shapes(&[("body", body), ("fc.weight", weight), ("fc.bias", bias)]), "fc.")
        };
        assert_eq!(compared(&[10, 4], &[10], &[4, 2]).unwrap(), None);
        assert_eq!(compared(&[1000, 4], &[1000], &[4, 2]).unwrap(), Some([1000, 10]));
        let error = compared(&[1000, 5], &[1000], &[4, 2]).unwrap_err().to_string();
        assert!(error.ends_with("; of another shape: fc.weight ([1000, 5] instead of [10, 4])"), "{error}");
        let error = compared(&[1000, 4], &[1000], &[5, 2]).unwrap_err().to_string();
        assert!(error.ends_with("; of another shape: body ([5, 2] instead of [4, 2])"), "{error}");
        for (weight, bias) in [(1000, &[][..]), (1000, &[10]), (10, &[1000]), (1000, &[1001]), (0, &[0])] {
            assert!(compared(&[weight, 4], bias, &[4, 2]).is_err(), "{weight} {bias:?}");
        }
    }

    #[test]
    fn an_error_names_the_first_parameters_that_differ() {
        let own = shapes(&[("a", &[1]), ("b", &[1]), ("c", &[1]), ("d", &[1]), ("e", &[1])]);
        let found = shapes(&[("a", &[2]), ("f", &[1])]);
        assert_eq!(
            compare(&own, &found, "fc.").unwrap_err().to_string(),
            "its parameters are not those of this network; missing: b, c, d and 1 more; unexpected: f; of another shape: \
             a ([2] instead of [1])"
        );
    }
}
