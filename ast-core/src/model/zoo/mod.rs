//! One file per network.

mod simple_cnn;

pub use simple_cnn::SimpleCnn;
