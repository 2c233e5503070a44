//! The seeds that a comparison started with. Adding seeds until a difference shows would make p invalid.

use std::fs;
use std::path::Path;

use crate::failure::{Failure, Kind};
use crate::run_folder::{SUMMARY, write};

/// The file that marks a folder as a comparison's.
pub(super) const SEEDS: &str = "seeds";

/// The seeds of the comparison in a folder; `None` if the folder is new or empty. Any other folder is refused.
pub(super) fn begun(out: &Path) -> Result<Option<Vec<u64>>, Failure> {
    if fs::read_dir(out).is_ok_and(|mut entries| entries.next().is_none()) || !out.exists() {
        return Ok(None);
    }
    let text = fs::read_to_string(out.join(SEEDS)).unwrap_or_default();
    let seeds: Vec<u64> = text.split_whitespace().map_while(|seed| seed.parse().ok()).collect();
    if seeds.is_empty() || seeds.len() != text.split_whitespace().count() {
        let message =
            format!("{} is not empty and holds no comparison; name a new folder, nothing was changed", out.display());
        return Err(Failure::new(Kind::Create, message));
    }
    Ok(Some(seeds))
}

/// Writes the seeds if the comparison starts now. Returns whether seeds were added since the start.
pub(super) fn fix(out: &Path, begun: Option<&[u64]>, seeds: &[u64]) -> Result<bool, Failure> {
    let cannot = |error| Failure::new(Kind::Create, format!("cannot create {}: {error}", out.display()));
    fs::create_dir_all(out).map_err(cannot)?;
    let begun = begun.filter(|_| has_results(out));
    if begun.is_none() {
        let text = seeds.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        write(&out.join(SEEDS), (text + "\n").as_bytes())?;
    }
    Ok(raised(begun, seeds))
}

/// Whether seeds were added since the start. A comparison starts with its first result: before that, there was nothing
/// to see that could influence the choice of seeds.
fn raised(begun: Option<&[u64]>, seeds: &[u64]) -> bool {
    begun.is_some_and(|begun| seeds.iter().any(|seed| !begun.contains(seed)))
}

/// Whether any run of any arm is finished.
fn has_results(out: &Path) -> bool {
    let inside = |folder: &Path| fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    inside(out).flat_map(|arm| inside(&arm).collect::<Vec<_>>()).any(|run| run.join(SUMMARY).is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seeds_are_fixed_by_the_first_result() {
        assert!(!raised(None, &[0, 1]));
        assert!(!raised(Some(&[0, 1]), &[1]));
        assert!(raised(Some(&[0, 1]), &[0, 1, 2]));

        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("new");
        assert_eq!(begun(&out).unwrap(), None);
        assert!(!fix(&out, None, &[0, 1]).unwrap());
        // No run was finished: the comparison has not started.
        let first = begun(&out).unwrap().unwrap();
        assert!(!fix(&out, Some(&first), &[0, 1, 2]).unwrap());
        assert_eq!(begun(&out).unwrap().unwrap(), [0, 1, 2]);
        let run = out.join("random/seed-0");
        fs::create_dir_all(&run).unwrap();
        fs::write(run.join(SUMMARY), "{}").unwrap();
        assert!(fix(&out, Some(&[0, 1, 2]), &[3]).unwrap());
        assert_eq!(begun(&out).unwrap().unwrap(), [0, 1, 2]);
    }

    #[test]
    fn a_folder_of_something_else_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("mine"), "").unwrap();
        assert_eq!(begun(folder.path()).unwrap_err().kind, Kind::Create);
        fs::write(folder.path().join(SEEDS), "sunflower\n").unwrap();
        assert_eq!(begun(folder.path()).unwrap_err().kind, Kind::Create);
    }
}
