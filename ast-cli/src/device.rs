//! Backends: compiled in by cargo feature, chosen by `--device`, and tested before they are used.

use ast_core::burn::tensor::{Device, Tensor};

use crate::failure::{Failure, Kind, did_you_mean};

/// A backend and how to open it.
pub(crate) struct Backend {
    pub(crate) name: &'static str,
    needs: &'static str,
    open: fn() -> Result<Opened, String>,
}

/// A device that was opened.
pub(crate) struct Opened {
    pub(crate) device: Device,
    /// Whether the GPU is emulated by the CPU: results are right, but far slower than with the CPU backend.
    pub(crate) emulated: bool,
}

/// All backends that exist, in the order in which `auto` tries those compiled in.
pub(crate) const NAMES: [&str; 3] = ["cuda", "wgpu", "flex"];

/// The backends compiled in, fastest first.
pub(crate) const COMPILED: &[Backend] = &[
    #[cfg(feature = "cuda")]
    Backend { name: "cuda", needs: "an NVIDIA GPU and its driver", open: open_cuda },
    #[cfg(feature = "wgpu")]
    Backend { name: "wgpu", needs: "a GPU with Vulkan, Metal or DirectX 12, and its driver", open: open_wgpu },
    #[cfg(feature = "flex")]
    Backend { name: "flex", needs: "nothing", open: || Ok(Opened { device: Device::flex(), emulated: false }) },
];

#[cfg(feature = "cuda")]
fn open_cuda() -> Result<Opened, String> {
    Ok(Opened { device: Device::new(burn_cuda::CudaDevice::default()), emulated: false })
}

#[cfg(feature = "wgpu")]
fn open_wgpu() -> Result<Opened, String> {
    use burn_wgpu::{RuntimeOptions, WgpuDevice, graphics::AutoGraphicsApi, try_init_setup, wgpu::DeviceType};
    let device = WgpuDevice::default();
    let setup = try_init_setup::<AutoGraphicsApi>(&device, RuntimeOptions::default()).map_err(|e| e.to_string())?;
    let emulated = setup.adapter.get_info().device_type == DeviceType::Cpu;
    Ok(Opened { device: Device::new(device), emulated })
}

impl Backend {
    /// Opens the device and computes 1 + 1 on it. With missing drivers some backends panic, in threads of their own:
    /// the panic is caught and becomes an error message.
    pub(crate) fn probe(&self) -> Result<Opened, String> {
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(|_| {}));
        let open = self.open;
        let outcome = std::thread::spawn(move || {
            let opened = open()?;
            let two = (Tensor::<1>::ones([1], &opened.device) + 1.0).try_into_vec_as::<f32>();
            match two.map_err(|error| error.to_string())?.as_slice() {
                [2.0] => Ok(opened),
                other => Err(format!("1 + 1 gave {other:?}")),
            }
        })
        .join();
        std::panic::set_hook(hook);
        let panicked = |panic: Box<dyn std::any::Any + Send>| {
            let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
            Err(text.unwrap_or("no reason given").trim().to_string())
        };
        outcome.unwrap_or_else(panicked).map_err(|reason| format!("it needs {} ({reason})", self.needs))
    }
}

/// The instruction set of a backend, which affects rounding, if it is known.
pub(crate) fn instructions(backend: &str) -> Option<String> {
    #[cfg(feature = "flex")]
    if backend == "flex" {
        return Some(ast_core::ops::instruction_set().into());
    }
    let _ = backend;
    None
}

/// The names of what is compiled in.
fn list() -> String {
    COMPILED.iter().map(|backend| backend.name).collect::<Vec<_>>().join(", ")
}

/// Refuses a name that no backend has, in this build or another.
pub(crate) fn known(name: &str) -> Result<(), Failure> {
    if name == "auto" || NAMES.contains(&name) {
        return Ok(());
    }
    let hint = did_you_mean(name, COMPILED.iter().map(|backend| backend.name).chain(["auto"]));
    Err(Failure::usage(format!("no device `{name}`; there are: auto, {}{hint}", list())))
}

/// The device named `name`; for `auto` the first that works.
pub(crate) fn choose(name: &str) -> Result<(&'static str, Device), Failure> {
    if name == "auto" {
        let mut reasons = Vec::new();
        for backend in COMPILED {
            match backend.probe() {
                Ok(Opened { emulated: true, .. }) => {
                    reasons.push(format!("{}: only a GPU emulated by the CPU", backend.name));
                }
                Ok(opened) => return Ok((backend.name, opened.device)),
                Err(reason) => reasons.push(format!("{}: {reason}", backend.name)),
            }
        }
        let why = if reasons.is_empty() { "none is compiled in".into() } else { reasons.join("; ") };
        return Err(Failure::new(Kind::Device, format!("no device works here: {why}; build with --features flex")));
    }
    known(name)?;
    let Some(backend) = COMPILED.iter().find(|backend| backend.name == name) else {
        return Err(Failure::new(
            Kind::Device,
            format!("device `{name}` is not compiled in; there are: {}; build with --features {name}", list()),
        ));
    };
    match backend.probe() {
        Ok(opened) => Ok((backend.name, opened.device)),
        Err(reason) => Err(Failure::new(
            Kind::Device,
            format!("device `{name}` does not work here: {reason}; `ast doctor` shows what does"),
        )),
    }
}
