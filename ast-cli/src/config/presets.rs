/// Configurations in the binary, by name.
pub(super) const ALL: &[(&str, &str)] = &[
    ("quickstart", include_str!("../../presets/quickstart.toml")),
    ("cifar10", include_str!("../../presets/cifar10.toml")),
    ("cifar10-fast", include_str!("../../presets/cifar10-fast.toml")),
    ("cifar10-94", include_str!("../../presets/cifar10-94.toml")),
    ("shakespeare", include_str!("../../presets/shakespeare.toml")),
];

/// The accuracy of a dense run with the network, data and recipe of a preset.
#[derive(Debug, PartialEq)]
pub(crate) struct DenseResult {
    /// On the test set, final weights, percent: the mean over the seeds.
    pub(crate) accuracy: f64,
    /// Seeds and origin, in words.
    pub(crate) provenance: &'static str,
}

/// The dense results that are known, by preset; docs/results.md has them.
pub(super) const DENSE: &[(&str, DenseResult)] = &[
    ("quickstart", DenseResult { accuracy: 95.2, provenance: "mean of six seeds" }),
    ("cifar10-94", DenseResult { accuracy: 90.0, provenance: "mean of three seeds, on a JPEG-compressed copy" }),
    ("cifar10-fast", DenseResult { accuracy: 86.1, provenance: "mean of six seeds, on a JPEG-compressed copy" }),
];
