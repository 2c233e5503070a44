use burn::module::Module;
use burn::store::{BurnToPyTorchAdapter, ModuleSnapshot, SafetensorsStore};

use crate::codec::SnapshotError;

/// A network's parameters in the safetensors format, laid out and named as PyTorch's modules have them: linear weights
/// are `[out, in]`.
///
/// # Errors
/// [`SnapshotError::Encode`].
pub fn safetensors<M: Module>(model: &M) -> Result<Vec<u8>, SnapshotError> {
    let failed = |error: String| SnapshotError::Encode("weights", error);
    // More than one entry would come out in any order, and the same weights in different bytes.
    let store = SafetensorsStore::from_bytes(None).clear_metadata().metadata("format", "pt");
    let mut store = store.with_to_adapter(BurnToPyTorchAdapter);
    model.save_into(&mut store).map_err(|error| failed(error.to_string()))?;
    store.get_bytes().map_err(|error| failed(error.to_string()))
}
