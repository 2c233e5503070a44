//! The FLOPs that tests execute, for the gate, which bounds them.

/// Adds a line with a number of FLOPs to the file that `TEST_FLOPS` names, if the feature `testing` is on. One line for each
/// pass, so that a run that is killed counts too.
pub(super) fn executed(flops: u64) {
    #[cfg(feature = "testing")]
    if let Some(file) = std::env::var_os("TEST_FLOPS") {
        use std::io::Write;
        let file = std::fs::OpenOptions::new().append(true).create(true).open(file);
        // A line is written whole. Where it cannot be, the test goes on, and the gate finds too few.
        let _ = file.and_then(|mut file| file.write_all(format!("{flops}\n").as_bytes()));
    }
    #[cfg(not(feature = "testing"))]
    let _ = flops;
}
