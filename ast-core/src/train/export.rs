use burn::module::Module;
use burn::store::{BurnToPyTorchAdapter, ModuleSnapshot, SafetensorsStore};

use crate::codec::SnapshotError;

/// The network's parameters in the safetensors format, with PyTorch's names and layout: linear weights are `[out, in]`.
///
/// # Errors
/// [`SnapshotError::Encode`].
pub fn safetensors<M: Module>(model: &M) -> Result<Vec<u8>, SnapshotError> {
    let failed = |error: String| SnapshotError::Encode("weights", error);
    // Several metadata entries would be written in random order, so the same weights would give different bytes.
    let store = SafetensorsStore::from_bytes(None).clear_metadata().metadata("format", "pt");
    let mut store = store.with_to_adapter(BurnToPyTorchAdapter);
    model.save_into(&mut store).map_err(|error| failed(error.to_string()))?;
    store.get_bytes().map_err(|error| failed(error.to_string()))
}
