/// Configurations in the binary, by name.
pub(super) const ALL: &[(&str, &str)] = &[
    ("quickstart", include_str!("../../presets/quickstart.toml")),
    ("cifar10", include_str!("../../presets/cifar10.toml")),
    ("cifar10-fast", include_str!("../../presets/cifar10-fast.toml")),
    ("cifar10-94", include_str!("../../presets/cifar10-94.toml")),
    ("shakespeare", include_str!("../../presets/shakespeare.toml")),
];
