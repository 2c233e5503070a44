//! Which backend: compiled in by cargo feature, chosen by `--device`, and asked before anything relies on it.

use ast_core::burn::tensor::{Device, Tensor};

use crate::failure::{Failure, Kind, did_you_mean};

/// A backend and whether it works here.
pub(crate) struct Backend {
    pub(crate) name: &'static str,
    /// Makes the device; an error says why there is none.
    open: fn() -> Result<Device, String>,
}

/// All backends there are, in the order in which `auto` tries those compiled in.
pub(crate) const NAMES: [&str; 3] = ["cuda", "wgpu", "flex"];

/// The backends compiled in, fastest first.
pub(crate) const COMPILED: &[Backend] = &[
    #[cfg(feature = "cuda")]
    Backend { name: "cuda", open: || Ok(Device::new(burn_cuda::CudaDevice::default())) },
    #[cfg(feature = "wgpu")]
    Backend { name: "wgpu", open: open_wgpu },
    #[cfg(feature = "flex")]
    Backend { name: "flex", open: || Ok(Device::flex()) },
];

#[cfg(feature = "wgpu")]
fn open_wgpu() -> Result<Device, String> {
    use burn_wgpu::{RuntimeOptions, WgpuDevice, graphics::AutoGraphicsApi, try_init_setup};
    let device = WgpuDevice::default();
    try_init_setup::<AutoGraphicsApi>(&device, RuntimeOptions::default()).map_err(|error| error.to_string())?;
    Ok(Device::new(device))
}

impl Backend {
    /// Opens the device and computes 1 + 1 on it. Drivers that are missing make some backends panic, from threads of
    /// their own: that is caught here and becomes a sentence.
    pub(crate) fn probe(&self) -> Result<Device, String> {
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(|_| {}));
        let open = self.open;
        let outcome = std::thread::spawn(move || {
            let device = open()?;
            let two = (Tensor::<1>::ones([1], &device) + 1.0).try_into_vec_as::<f32>();
            match two.map_err(|error| error.to_string())?.as_slice() {
                [2.0] => Ok(device),
                other => Err(format!("1 + 1 gave {other:?}")),
            }
        })
        .join();
        std::panic::set_hook(hook);
        outcome.unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
            Err(format!("no usable driver or device ({})", text.unwrap_or("no reason given").trim()))
        })
    }
}

/// The device of that name, or the first that answers for `auto`.
pub(crate) fn choose(name: &str) -> Result<(&'static str, Device), Failure> {
    let compiled = || COMPILED.iter().map(|backend| backend.name);
    let list = || compiled().collect::<Vec<_>>().join(", ");
    if name == "auto" {
        let mut reasons = Vec::new();
        for backend in COMPILED {
            match backend.probe() {
                Ok(device) => return Ok((backend.name, device)),
                Err(reason) => reasons.push(format!("{}: {reason}", backend.name)),
            }
        }
        let why = if reasons.is_empty() { "none is compiled in".into() } else { reasons.join("; ") };
        return Err(Failure::new(Kind::Device, format!("no device works here: {why}; build with --features flex")));
    }
    let Some(backend) = COMPILED.iter().find(|backend| backend.name == name) else {
        return Err(match NAMES.contains(&name) {
            true => Failure::new(
                Kind::Device,
                format!("device `{name}` is not compiled in; there are: {}; build with --features {name}", list()),
            ),
            false => {
                let hint = did_you_mean(name, compiled().chain(["auto"]));
                Failure::usage(format!("no device `{name}`; there are: auto, {}{hint}", list()))
            }
        });
    };
    match backend.probe() {
        Ok(device) => Ok((backend.name, device)),
        Err(reason) => Err(Failure::new(Kind::Device, format!("device `{name}` does not work here: {reason}"))),
    }
}
