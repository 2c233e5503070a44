//! Registries of plugins that register themselves when linked, and their parameters.

mod params;
mod registry;

pub(crate) use params::short;
pub use params::{ParamError, ParamKind, ParamSpec, ParamValue, Params};
pub use registry::{Entry, Family, Registry, RegistryError};
