//! The energy counter of the machine: the GPU's (NVML) for cuda, else the processor's (RAPL), else none, with the
//! reason.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use ast_core::run::EnergyCounter;

use crate::shell::quoted;

/// Where Linux exposes RAPL.
const POWERCAP: &str = "/sys/class/powercap";

/// The counter for runs on a backend.
pub(crate) fn counter(backend: &str) -> Result<Box<dyn EnergyCounter>, String> {
    match backend {
        "flex" => Ok(Box::new(Rapl::open(Path::new(POWERCAP))?)),
        "cuda" => nvml(),
        _ => Err(format!("no energy counter is supported for the device {backend}")),
    }
}

#[cfg(feature = "cuda")]
fn nvml() -> Result<Box<dyn EnergyCounter>, String> {
    use nvml_wrapper::Nvml;

    /// The first GPU's counter, in millijoules since its driver was loaded. It has 64 bits and does not wrap around.
    struct Gpu(Nvml, String);

    impl EnergyCounter for Gpu {
        fn name(&self) -> String {
            self.1.clone()
        }
        fn joules(&mut self) -> Result<f64, String> {
            let millijoules = self.0.device_by_index(0).and_then(|device| device.total_energy_consumption());
            millijoules.map(|energy| energy as f64 / 1000.0).map_err(|error| format!("NVML: {error}"))
        }
    }

    let nvml = Nvml::init().map_err(|error| format!("NVML: {error}"))?;
    // CUDA and NVML number GPUs differently.
    match nvml.device_count().map_err(|error| format!("NVML: {error}"))? {
        1 => {}
        gpus => return Err(format!("NVML: there are {gpus} GPUs, and it is unknown which of them trains")),
    }
    let name = nvml.device_by_index(0).and_then(|device| device.name()).map_err(|error| format!("NVML: {error}"))?;
    let mut gpu = Gpu(nvml, format!("NVML, {name}"));
    gpu.joules()?;
    Ok(Box::new(gpu))
}

#[cfg(not(feature = "cuda"))]
fn nvml() -> Result<Box<dyn EnergyCounter>, String> {
    Err("NVML is compiled in with the feature cuda only".into())
}

/// Running average power limit: the energy of every processor package of this machine, other programs included.
struct Rapl(Vec<Package>);

struct Package {
    name: String,
    file: PathBuf,
    /// The counter wraps around after this many microjoules.
    range: u64,
    last: u64,
    total: u64,
}

impl Rapl {
    /// `root` is [`POWERCAP`], except in tests.
    fn open(root: &Path) -> Result<Self, String> {
        let entries = fs::read_dir(root).map_err(|error| format!("RAPL: {}: {error}", root.display()))?;
        let mut zones: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        zones.sort();
        let mut packages = Vec::new();
        for zone in zones {
            let name = fs::read_to_string(zone.join("name")).unwrap_or_default().trim().to_string();
            // Subzones (core, uncore, dram) are part of their package or exist on some processors only. A package may
            // appear twice, by registers and by memory (intel-rapl-mmio).
            let known = packages.iter().any(|package: &Package| package.name == name);
            if name.starts_with("package-") && !known {
                packages.push(Package::open(&zone, name)?);
            }
        }
        if packages.is_empty() {
            return Err(format!(
                "RAPL: {} shows no processor package (a virtual machine or container?)",
                root.display()
            ));
        }
        Ok(Self(packages))
    }
}

impl Package {
    fn open(zone: &Path, name: String) -> Result<Self, String> {
        let file = zone.join("energy_uj");
        let range = number(&zone.join("max_energy_range_uj"))?;
        let last = number(&file)?;
        Ok(Self { name, file, range, last, total: 0 })
    }

    fn read(&mut self) -> Result<u64, String> {
        let now = number(&self.file)?;
        // A smaller value means that the counter wrapped around.
        self.total += if now >= self.last { now - self.last } else { self.range.saturating_sub(self.last) + now };
        self.last = now;
        Ok(self.total)
    }
}

fn number(file: &Path) -> Result<u64, String> {
    let text = fs::read_to_string(file).map_err(|error| match error.kind() {
        io::ErrorKind::PermissionDenied => {
            format!("RAPL: {} is readable by root only (as root: chmod a+r {})", file.display(), quoted(file))
        }
        _ => format!("RAPL: {}: {error}", file.display()),
    })?;
    text.trim().parse().map_err(|_| format!("RAPL: {}: `{}` is not a number", file.display(), text.trim()))
}

impl EnergyCounter for Rapl {
    fn name(&self) -> String {
        let names: Vec<&str> = self.0.iter().map(|package| package.name.as_str()).collect();
        format!("RAPL, {}", names.join(", "))
    }

    fn joules(&mut self) -> Result<f64, String> {
        let microjoules = self.0.iter_mut().map(Package::read).sum::<Result<u64, String>>()?;
        Ok(microjoules as f64 / 1e6)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone(root: &Path, zone: &str, name: &str, energy: u64) {
        let zone = root.join(zone);
        fs::create_dir_all(&zone).unwrap();
        fs::write(zone.join("name"), format!("{name}\n")).unwrap();
        fs::write(zone.join("energy_uj"), format!("{energy}\n")).unwrap();
        fs::write(zone.join("max_energy_range_uj"), "262143328850\n").unwrap();
    }

    /// Two packages, one of which wraps around. Subzones and the platform are not counted twice.
    #[test]
    fn packages_add_up_across_a_wrap_around() {
        let root = tempfile::tempdir().unwrap();
        zone(root.path(), "intel-rapl:0", "package-0", 1_000_000);
        zone(root.path(), "intel-rapl:0:0", "core", 7_000_000);
        zone(root.path(), "intel-rapl:1", "package-1", 262_143_000_000);
        zone(root.path(), "intel-rapl:2", "psys", 9_000_000);
        zone(root.path(), "mmio-rapl:0", "package-0", 5_000_000);
        let mut rapl = Rapl::open(root.path()).unwrap();
        assert_eq!(rapl.name(), "RAPL, package-0, package-1");
        assert_eq!(rapl.joules(), Ok(0.0));
        zone(root.path(), "intel-rapl:0", "package-0", 3_500_000);
        assert_eq!(rapl.joules(), Ok(2.5));
        zone(root.path(), "intel-rapl:1", "package-1", 671_150);
        // 262,143.328850 J - 262,143 J + 0.671150 J.
        assert!((rapl.joules().unwrap() - 3.5).abs() < 1e-9);
        fs::remove_file(root.path().join("intel-rapl:0/energy_uj")).unwrap();
        assert!(rapl.joules().unwrap_err().contains("energy_uj"));
    }

    #[test]
    fn the_reason_for_a_missing_counter_is_given() {
        let root = tempfile::tempdir().unwrap();
        assert!(Rapl::open(&root.path().join("none")).err().unwrap().contains("none"));
        assert!(Rapl::open(root.path()).err().unwrap().contains("no processor package"));
        zone(root.path(), "intel-rapl:0", "package-0", 1);
        fs::write(root.path().join("intel-rapl:0/energy_uj"), "much").unwrap();
        assert!(Rapl::open(root.path()).err().unwrap().contains("not a number"));
        assert!(counter("wgpu").err().unwrap().contains("wgpu"));
    }
}
