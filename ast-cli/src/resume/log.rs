//! The part of a run's log that belongs to a checkpoint.

use ast_core::run::{Event, Fingerprint, RunIdentity, StepEvent};

/// The part of a log that is kept on resume.
#[derive(Debug, PartialEq)]
pub(super) struct Kept {
    /// Its length in bytes, from the start of the log.
    pub(super) bytes: usize,
    /// Its events.
    pub(super) events: Vec<Event>,
    /// An event for missing lines, if there are any.
    pub(super) gap: Option<Event>,
}

/// The part of `log` that existed at the checkpoint after `step`. A log that is too short is kept as far as it goes. A
/// log that starts differently belongs to another run.
pub(super) fn keep(log: &[u8], step: u64, then: &RunIdentity) -> Result<Kept, String> {
    let length = usize::try_from(then.metrics).unwrap_or(usize::MAX);
    let known_gap = lines(log).find(|(begin, line)| *begin < length && is_gap(line, step, then));
    let (bytes, proven) = match (known_gap, log.get(..length)) {
        // The log was already too short at an earlier resume, and no checkpoint was saved since.
        (Some((begin, _)), _) => (begin, false),
        // The last line may be incomplete.
        (None, None) => (log.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1), false),
        (None, Some(first)) => {
            if then.metrics_sha256 != Fingerprint::of(first).sha256 {
                return Err(format!(
                    "belongs to another run or was changed: its first {length} bytes differ from those at the checkpoint"
                ));
            }
            (length, true)
        }
    };
    let mut events = Vec::new();
    for (number, (_, line)) in lines(&log[..bytes]).enumerate() {
        match serde_json::from_slice(line) {
            Ok(event) => events.push(event),
            // An event of a newer program: the line stays in the file.
            Err(_) if proven => {}
            Err(error) => return Err(format!("is not the log of a run: line {}: {error}", number + 1)),
        }
    }
    let after = events.iter().rev().find_map(|event| match event {
        Event::Step(StepEvent { step, .. }) => Some(*step),
        _ => None,
    });
    let gap = (bytes < length).then(|| Event::Gap {
        step,
        after: after.unwrap_or(0),
        bytes: (length - bytes) as u64,
        sha256: Some(then.metrics_sha256.clone()),
    });
    Ok(Kept { bytes, events, gap })
}

/// Non-empty lines with their offsets.
fn lines(log: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let mut next = 0;
    let lines = log.split_inclusive(|byte| *byte == b'\n').map(move |line| {
        let begin = next;
        next += line.len();
        (begin, line)
    });
    lines.filter(|(_, line)| !line.trim_ascii().is_empty())
}

fn is_gap(line: &[u8], step: u64, then: &RunIdentity) -> bool {
    // A quick test first: logs are long, and gaps are rare.
    line.starts_with(b"{\"event\":\"gap\"")
        && serde_json::from_slice(line).is_ok_and(|event| match event {
            Event::Gap { step: of, sha256, .. } => of == step && sha256.as_ref() == Some(&then.metrics_sha256),
            _ => false,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(event: &Event) -> Vec<u8> {
        [serde_json::to_vec(event).unwrap(), vec![b'\n']].concat()
    }

    fn warning(message: &str) -> Event {
        Event::Warning { message: message.into() }
    }

    /// A log of some events, and the identity in a checkpoint at its end.
    fn logged(events: &[Event]) -> (Vec<u8>, RunIdentity) {
        let log: Vec<u8> = events.iter().flat_map(line).collect();
        let Fingerprint { bytes: metrics, sha256 } = Fingerprint::of(&log);
        (log, RunIdentity { metrics, metrics_sha256: sha256, ..RunIdentity::default() })
    }

    #[test]
    fn lines_after_the_checkpoint_are_cut_off() {
        let events = [warning("a"), warning("b")];
        let (log, then) = logged(&events);
        let longer = [&log[..], b"{\"event\":\"warn"].concat();
        for log in [&log, &longer] {
            let kept = keep(log, 3, &then).unwrap();
            assert_eq!(kept, Kept { bytes: then.metrics as usize, events: events.to_vec(), gap: None });
        }
    }

    #[test]
    fn a_short_log_is_kept_as_far_as_it_goes() {
        let (log, then) = logged(&[warning("a"), warning("b")]);
        let first = line(&warning("a")).len();
        for cut in 0..log.len() {
            let kept = keep(&log[..cut], 3, &then).unwrap();
            assert_eq!(kept.bytes, if cut < first { 0 } else { first }, "{cut}");
            assert_eq!(kept.events.len(), usize::from(cut >= first));
            let bytes = then.metrics - kept.bytes as u64;
            assert_eq!(
                kept.gap,
                Some(Event::Gap { step: 3, after: 0, bytes, sha256: Some(then.metrics_sha256.clone()) })
            );
        }
    }

    /// The run was killed before its next checkpoint: the gap stays where it was, even if the log has become longer.
    #[test]
    fn a_gap_is_recognised_again() {
        let (log, then) = logged(&[warning("a"), warning("b")]);
        let first = line(&warning("a"));
        let gap = keep(&first, 3, &then).unwrap().gap.unwrap();
        let longer = [first.clone(), line(&gap), log.clone(), log.clone()].concat();
        let kept = keep(&longer, 3, &then).unwrap();
        assert_eq!((kept.bytes, kept.gap), (first.len(), Some(gap)));
        assert!(keep(&longer, 4, &then).is_err(), "the gap belongs to another checkpoint");
    }

    #[test]
    fn a_log_of_another_run_is_refused() {
        let (log, then) = logged(&[warning("a"), warning("b")]);
        let (other, _) = logged(&[warning("a"), warning("c")]);
        let longer = [&other[..], &log[..]].concat();
        for other in [&other, &longer] {
            assert!(keep(other, 3, &then).unwrap_err().contains("another run"));
        }
        let rubbish = [b"rubbish\n", &log[..8]].concat();
        assert!(keep(&rubbish, 3, &then).unwrap_err().contains("line 1"));
    }

    /// Older programs did not record their version.
    #[test]
    fn lines_of_an_earlier_program_are_read() {
        let log = b"{\"event\":\"resumed\",\"step\":4}\n";
        let Fingerprint { bytes: metrics, sha256 } = Fingerprint::of(log);
        let then = RunIdentity { metrics, metrics_sha256: sha256, ..RunIdentity::default() };
        assert!(matches!(keep(log, 4, &then).unwrap().events[..], [Event::Resumed { step: 4, .. }]));
    }

    #[test]
    fn lines_of_a_later_program_stay() {
        let (mut log, _) = logged(&[warning("a")]);
        log.extend(b"{\"event\":\"of-tomorrow\"}\n");
        let Fingerprint { bytes: metrics, sha256 } = Fingerprint::of(&log);
        let then = RunIdentity { metrics, metrics_sha256: sha256, ..RunIdentity::default() };
        let kept = keep(&log, 3, &then).unwrap();
        assert_eq!((kept.bytes, kept.events), (log.len(), vec![warning("a")]));
    }
}
