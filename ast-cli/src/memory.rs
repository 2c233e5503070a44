//! Memory that a training step frees is kept for the next step.
//!
//! glibc by default returns large blocks to the kernel, which clears them again at each step: up to a quarter of the time
//! of a step on the CPU (docs/log.md). It reads its settings only when a program starts.

/// Where glibc looks for its settings.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const VARIABLE: &str = "GLIBC_TUNABLES";
/// Keep up to 8 GB, take blocks below 1 GB from what is kept, and ask the kernel for huge pages. In a file, because scripts
/// that measure give it to other programs.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const SETTINGS: &str = include_str!("../glibc-tunables").trim_ascii();

/// Starts this program again with glibc's settings: the same process, arguments and open files. Does nothing if
/// `GLIBC_TUNABLES` is set, even to nothing, or where there is no glibc. Call it before any thread is started.
pub(crate) fn keep() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    if std::env::var_os(VARIABLE).is_none() {
        use std::os::unix::process::CommandExt;
        let mut arguments = std::env::args_os();
        let mut program = std::process::Command::new("/proc/self/exe");
        if let Some(name) = arguments.next() {
            program.arg0(name);
        }
        // It returns only if it failed: training is then slower, and the same.
        let _ = program.args(arguments).env(VARIABLE, SETTINGS).exec();
    }
}
