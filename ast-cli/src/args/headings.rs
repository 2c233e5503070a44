//! The headings in helps: of commands, and of flags.

use clap::Subcommand;

use super::Command;

pub(super) const TRAIN: &str = "What to train";
pub(super) const SELECT: &str = "What to select";
pub(super) const RUNS: &str = "Which runs";
pub(super) const PLACE: &str = "Where";
pub(super) const OUT: &str = "What to show and write";

/// Every command, below its heading.
const COMMANDS: [(&str, &[&str]); 5] = [
    ("Train and compare", &["train", "compare", "sweep", "simulate"]),
    ("Look at what came out", &["report", "eval", "ledger", "generate", "runs"]),
    ("Look up what there is", &["policies", "scorers", "models", "datasets", "optimizers", "config"]),
    ("Data and machine", &["data", "doctor"]),
    ("Shell", &["completions", "man", "help"]),
];

/// The help of the program, with its commands under headings.
pub(super) fn template() -> String {
    let all = Command::augment_subcommands(clap::Command::new("ast"));
    let about = |name: &str| match all.find_subcommand(name) {
        Some(command) => command.get_about().map(ToString::to_string).unwrap_or_default(),
        None => "Print this, or the help of a command".into(),
    };
    let width = COMMANDS.iter().flat_map(|(_, names)| *names).map(|name| name.len()).max().unwrap_or(0);
    let group = |(heading, names): &(&str, &[&str])| {
        let lines = names.iter().map(|name| format!("  {name:width$}  {}\n", about(name)));
        format!("{heading}:\n{}\n", lines.collect::<String>())
    };
    let groups: String = COMMANDS.iter().map(group).collect();
    format!("{{about-with-newline}}\n{{usage-heading}} {{usage}}\n\n{groups}Options:\n{{options}}{{after-help}}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_is_under_one_heading() {
        let mut listed: Vec<&str> = COMMANDS.iter().flat_map(|(_, names)| *names).copied().collect();
        listed.sort_unstable();
        let all = Command::augment_subcommands(clap::Command::new("ast"));
        let mut names: Vec<&str> = all.get_subcommands().map(clap::Command::get_name).chain(["help"]).collect();
        names.sort_unstable();
        assert_eq!(listed, names);
    }
}
