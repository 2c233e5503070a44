//! `ast ledger`: what a finished run did with each training sample, and which labels may be wrong.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;
use std::path::Path;

use ast_core::run::{Answer, Summary};
use ast_core::select::SampleId;

use crate::args::{LedgerArgs, SortBy};
use crate::config;
use crate::dataset;
use crate::failure::Failure;
use crate::inference;
use crate::output::{print, put, several, table};
use crate::records::{self, LEDGER, Visited};
use crate::run_folder::{is_a_run, not_yet, summary_of};

/// The group of the samples whose labels are known to be wrong.
const WRONG: &str = "mislabelled";
/// Most bars of a histogram.
const BARS: usize = 20;
/// Characters of the longest bar of a histogram.
const BAR: usize = 40;

pub(crate) fn ledger(args: &LedgerArgs) -> Result<(), Failure> {
    let run = &args.run;
    is_a_run(run)?;
    let summary = summary_of(run)?;
    let Some(all) = records::ledger(run, &summary)? else {
        return Err(not_yet(run, LEDGER));
    };
    let fresh = args.fresh.then(|| fresh_answers(run, &summary)).transpose()?;
    let answer = |sample: &Visited| fresh.as_ref()?.get(&sample.id);
    let fresh_loss = |sample: &Visited| Some(f64::from(answer(sample)?.loss));
    let sorted = match args.suspects {
        true if args.fresh => by(&all, fresh_loss),
        true => by(&all, suspicion),
        false => by(&all, |sample| value(sample, args.sort)),
    };
    if args.suspects && sorted.is_empty() {
        return Err(Failure::usage("--suspects is for images that were trained on: text has no labels"));
    }
    if args.csv {
        let rows = sorted.iter().take(args.top.unwrap_or(usize::MAX));
        return put(&records::csv(rows)?).map(drop);
    }
    let text =
        Text { all: &all, names: &summary.preprocessing.class_names, top: args.top.unwrap_or(20), answer: &answer };
    let mut out = format!("{}: ", run.display());
    // Writing to a string cannot fail.
    let _ = if args.suspects { text.suspects(&sorted, &mut out) } else { text.write(&sorted, args.sort, &mut out) };
    print(out.trim_end())
}

/// The samples that have the value, the largest first; equal ones by id.
pub(crate) fn by(all: &[Visited], value: impl Fn(&Visited) -> Option<f64>) -> Vec<&Visited> {
    let mut valued: Vec<_> = all.iter().filter_map(|sample| Some((value(sample)?, sample))).collect();
    valued.sort_by(|(a, one), (b, other)| b.total_cmp(a).then(one.id.cmp(&other.id)));
    valued.into_iter().map(|(_, sample)| sample).collect()
}

fn value(sample: &Visited, by: SortBy) -> Option<f64> {
    match by {
        SortBy::Visits => Some(sample.visits.into()),
        SortBy::Loss => sample.loss.map(f64::from),
        SortBy::Forgotten => Some(sample.forgotten.into()),
        SortBy::Rank => sample.rank,
    }
}

/// How much speaks for a wrong label: the loss at the last visit. `None` for a sample that was never trained on, or is
/// text.
pub(crate) fn suspicion(sample: &Visited) -> Option<f64> {
    sample.label.and(sample.loss).map(f64::from)
}

/// The answer for every training image under the weights at the end of the run.
fn fresh_answers(run: &Path, summary: &Summary) -> Result<HashMap<SampleId, Answer>, Failure> {
    let config = config::of_run_folder(run)?;
    let mut train = dataset::loader(dataset::of_run(&config, summary)?, &config)?;
    let what = format!("{} training images of {}", train.dataset().samples(), config.data.name);
    let weights = inference::weights(run, None)?;
    let evaluated = inference::evaluate(&config, &weights, train.as_mut(), &what, false)?;
    Ok(evaluated.answers.into_iter().map(|answer| (answer.id, answer)).collect())
}

/// How many of the first samples have a label that is known to be wrong, and how many of all; `None` if that is not known.
pub(crate) fn wrong(first: &[&Visited], all: &[Visited]) -> Option<(usize, usize)> {
    let is_wrong = |sample: &&Visited| sample.group.as_deref() == Some(WRONG);
    let total = all.iter().filter(is_wrong).count();
    (total > 0).then(|| (first.iter().filter(|sample| is_wrong(sample)).count(), total))
}

struct Text<'a> {
    all: &'a [Visited],
    /// Names of the classes; empty if they have none.
    names: &'a [String],
    top: usize,
    /// The answer under the final weights, if that was asked for.
    answer: &'a dyn Fn(&Visited) -> Option<&'a Answer>,
}

impl Text<'_> {
    fn write(&self, sorted: &[&Visited], sort: SortBy, out: &mut String) -> std::fmt::Result {
        let mut visits: Vec<u16> = self.all.iter().map(|sample| sample.visits).collect();
        visits.sort_unstable();
        let (Some(least), Some(most)) = (visits.first(), visits.last()) else { return writeln!(out, "no samples") };
        let (total, never) = (visits.iter().map(|n| u64::from(*n)).sum::<u64>(), visits.partition_point(|n| *n == 0));
        let median = visits[visits.len() / 2];
        writeln!(out, "{}, {total} visits", several(self.all.len(), "training sample"))?;
        writeln!(out, "\n  visits of a sample: {least} to {most}, median {median}; {never} never trained on\n")?;
        let bins = histogram(self.all, BARS);
        let largest = bins.iter().map(|(_, count)| *count).max().unwrap_or(1);
        for (range, count) in &bins {
            let bar = "#".repeat((BAR * count).div_ceil(largest));
            writeln!(out, "  {range:>12}  {count:8}  {bar}")?;
        }
        for (what, of) in
            [("class", Self::class as fn(&Self, &Visited) -> Option<String>), ("group", |_, x| x.group.clone())]
        {
            let rows = self.groups(what, of);
            if (2..=40).contains(&rows.len()) {
                write!(out, "\n{}", table(&rows))?;
            }
        }
        let by = match sort {
            SortBy::Visits => "most often trained on",
            SortBy::Loss => "with the highest loss",
            SortBy::Forgotten => "most often forgotten",
            SortBy::Rank => "with the highest last rank",
        };
        writeln!(out, "\nThe samples {by}:\n")?;
        write!(out, "{}", table(&self.rows(sorted)))
    }

    fn suspects(&self, sorted: &[&Visited], out: &mut String) -> std::fmt::Result {
        let suspects = &sorted[..self.top.min(sorted.len())];
        writeln!(out, "{} with the highest loss, whose labels may be wrong\n", several(suspects.len(), "sample"))?;
        write!(out, "{}", table(&self.rows(suspects)))?;
        let Some((found, total)) = wrong(suspects, self.all) else {
            let hint = "Which labels are wrong is not known here. A hard sample has a high loss as well: look at each.";
            return writeln!(out, "\n{hint}");
        };
        let percent = |part: usize, whole: usize| 100.0 * part as f64 / whole.max(1) as f64;
        let (listed, all) = (suspects.len(), self.all.len());
        writeln!(
            out,
            "\nLabels known to be wrong: {found} of these {listed} ({:.1} %); {:.1} % of a random list would be.",
            percent(found, listed),
            percent(total, all)
        )?;
        // Precision and recall are then the same number.
        let of_all = wrong(&sorted[..total.min(sorted.len())], self.all).map_or(0, |(found, _)| found);
        let all_found = percent(of_all, total);
        writeln!(out, "In all {total} are wrong. A list of as many has {of_all} of them ({all_found:.1} %).")
    }

    fn class(&self, sample: &Visited) -> Option<String> {
        sample.label.map(|label| self.name(label))
    }

    fn name(&self, class: usize) -> String {
        self.names.get(class).cloned().unwrap_or(class.to_string())
    }

    fn groups(&self, what: &str, of: impl Fn(&Self, &Visited) -> Option<String>) -> Vec<Vec<String>> {
        let mut groups: BTreeMap<(usize, String), Vec<&Visited>> = BTreeMap::new();
        for sample in self.all {
            if let Some(name) = of(self, sample) {
                // Classes in their order, groups by name.
                let place = if what == "class" { sample.label.unwrap_or_default() } else { 0 };
                groups.entry((place, name)).or_default().push(sample);
            }
        }
        let row = |((_, name), samples): (&(usize, String), &Vec<&Visited>)| {
            let n = samples.len() as f64;
            let mean = |of: &dyn Fn(&Visited) -> f64| samples.iter().map(|sample| of(sample)).sum::<f64>() / n;
            let losses: Vec<f64> = samples.iter().filter_map(|sample| sample.loss.map(f64::from)).collect();
            let loss = losses.iter().sum::<f64>() / losses.len().max(1) as f64;
            vec![
                name.clone(),
                samples.len().to_string(),
                format!("{:.2}", mean(&|sample| sample.visits.into())),
                if losses.is_empty() { String::new() } else { format!("{loss:.3}") },
                format!("{:.2}", mean(&|sample| sample.forgotten.into())),
            ]
        };
        let head = [what, "samples", "visits each", "last loss", "forgotten"].map(String::from).to_vec();
        std::iter::once(head).chain(groups.iter().map(row)).collect()
    }

    fn rows(&self, samples: &[&Visited]) -> Vec<Vec<String>> {
        let shown = &samples[..self.top.min(samples.len())];
        let has = |of: &dyn Fn(&Visited) -> bool| shown.iter().any(|sample| of(sample));
        let optional = |value: Option<f64>| value.map_or(String::new(), |value| format!("{value:.3}"));
        type Column<'a> = (&'a str, bool, Box<dyn Fn(&Visited) -> String + 'a>);
        let columns: [Column<'_>; 10] = [
            ("id", true, Box::new(|sample| sample.id.to_string())),
            ("label", has(&|sample| sample.label.is_some()), Box::new(|sample| self.class(sample).unwrap_or_default())),
            (
                "group",
                has(&|sample| sample.group.is_some()),
                Box::new(|sample| sample.group.clone().unwrap_or_default()),
            ),
            (
                "answer",
                has(&|sample| (self.answer)(sample).is_some()),
                Box::new(|sample| (self.answer)(sample).map_or(String::new(), |answer| self.name(answer.class))),
            ),
            (
                "fresh loss",
                has(&|sample| (self.answer)(sample).is_some()),
                Box::new(move |sample| optional((self.answer)(sample).map(|answer| f64::from(answer.loss)))),
            ),
            ("visits", true, Box::new(|sample| sample.visits.to_string())),
            ("last loss", true, Box::new(move |sample| optional(sample.loss.map(f64::from)))),
            ("forgotten", true, Box::new(|sample| sample.forgotten.to_string())),
            ("rank", has(&|sample| sample.rank.is_some()), Box::new(move |sample| optional(sample.rank))),
            (
                "place",
                has(&|sample| sample.place.is_some()),
                Box::new(|sample| sample.place.clone().unwrap_or_default()),
            ),
        ];
        let columns: Vec<_> = columns.into_iter().filter(|(_, there, _)| *there).collect();
        let head = columns.iter().map(|(name, ..)| name.to_string()).collect();
        let row = |sample: &&Visited| columns.iter().map(|(_, _, of)| of(sample)).collect();
        std::iter::once(head).chain(shown.iter().map(row)).collect()
    }
}

/// Numbers of samples by their visits, in at most so many intervals of one width, without gaps.
pub(crate) fn histogram(all: &[Visited], most: usize) -> Vec<(String, usize)> {
    let visits = || all.iter().map(|sample| usize::from(sample.visits));
    let (Some(least), Some(largest)) = (visits().min(), visits().max()) else { return Vec::new() };
    let width = (largest - least) / most + 1;
    let mut counts = vec![0; (largest - least) / width + 1];
    visits().for_each(|visits| counts[(visits - least) / width] += 1);
    let named = |(bin, count): (usize, usize)| {
        let first = least + bin * width;
        let last = (first + width - 1).min(largest);
        (if first == last { first.to_string() } else { format!("{first} to {last}") }, count)
    };
    counts.into_iter().enumerate().map(named).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(id: u32, loss: Option<f32>, group: Option<&str>) -> Visited {
        Visited {
            id,
            label: Some(0),
            class: None,
            group: group.map(String::from),
            visits: u16::from(loss.is_some()),
            loss,
            loss_change: None,
            forgotten: 0,
            correct: None,
            rank: None,
            place: None,
        }
    }

    #[test]
    fn suspects_are_the_samples_with_the_highest_loss() {
        let of = [(Some(0.5), "clean"), (None, WRONG), (Some(3.0), WRONG), (Some(3.0), "clean"), (Some(7.0), WRONG)];
        let all: Vec<Visited> = (0..).zip(of).map(|(id, (loss, group))| sample(id, loss, Some(group))).collect();
        let suspects = by(&all, suspicion);
        assert_eq!(suspects.iter().map(|sample| sample.id).collect::<Vec<_>>(), [4, 2, 3, 0], "equal ones by id");
        assert_eq!(wrong(&suspects[..3], &all), Some((2, 3)), "two of three found, of three that there are");
        let unknown = [sample(0, Some(1.0), None)];
        assert_eq!(wrong(&by(&unknown, suspicion), &unknown), None);
    }

    #[test]
    fn histograms_have_no_gaps() {
        let of = |visits: &[u16], most| {
            let all: Vec<Visited> = visits.iter().map(|n| Visited { visits: *n, ..sample(0, None, None) }).collect();
            histogram(&all, most).into_iter().map(|(name, n)| format!("{name}: {n}")).collect::<Vec<_>>()
        };
        assert_eq!(of(&[1, 4, 1], 4), ["1: 2", "2: 0", "3: 0", "4: 1"]);
        assert_eq!(of(&[9, 0, 3, 4], 3), ["0 to 3: 2", "4 to 7: 1", "8 to 9: 1"]);
        assert_eq!(of(&[7], 20), ["7: 1"]);
        assert!(of(&[], 4).is_empty());
    }
}
