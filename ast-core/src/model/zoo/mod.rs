//! One file per network, or per family of networks.

mod airbench;
mod gpt;
mod resnet;
mod simple_cnn;
mod vit;

pub use airbench::Airbench;
pub use gpt::Gpt;
pub use resnet::ResNet;
pub use simple_cnn::SimpleCnn;
pub use vit::VitTiny;
