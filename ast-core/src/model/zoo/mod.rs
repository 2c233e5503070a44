//! One file per network.

mod airbench;
mod simple_cnn;

pub use airbench::Airbench;
pub use simple_cnn::SimpleCnn;
