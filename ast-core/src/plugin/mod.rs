//! What registers itself by being linked, and its parameters.

pub(crate) mod params;
pub(crate) mod registry;

pub use params::{ParamError, ParamKind, ParamSpec, ParamValue, Params};
pub use registry::{Entry, Registry, RegistryError};
