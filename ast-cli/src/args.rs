mod compare;
mod config;
mod eval;
mod headings;
mod ledger;
mod report;
mod run;
mod sweep;

use std::path::PathBuf;

use ast_control::PiConfig;
use clap::{Parser, Subcommand, ValueEnum};

pub(crate) use compare::{CompareArgs, Shard};
pub(crate) use config::{ConfigCommand, ShowArgs};
pub(crate) use eval::EvalArgs;
use headings::{OUT, PLACE, SELECT, TRAIN};
pub(crate) use ledger::{LedgerArgs, SortBy};
pub(crate) use report::ReportArgs;
pub(crate) use run::{Key, PlaceArgs, RunArgs};
pub(crate) use sweep::SweepArgs;

/// Adaptive sparse training: train on the most significant samples, and measure whether that pays.
#[derive(Debug, Parser)]
#[command(name = "ast", version, max_term_width = 100, help_template = headings::template())]
#[command(after_help = "\
Examples:
  ast train                          a minute on two cores, no download; writes a page about the run
  ast compare                        is it better than random? dense, random and ast, six seeds each
  ast train --dataset image-folder --data-dir DIR        your own images

`ast COMMAND --help` says more.")]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// One run: train, measure, report
    Train(Box<TrainArgs>),
    /// Compare policies at equal cost, paired by seed, with statistics
    Compare(Box<CompareArgs>),
    /// Run every combination of some values, with every seed
    Sweep(Box<SweepArgs>),
    /// Write a page about a finished run: one HTML file
    Report(ReportArgs),
    /// Evaluate the weights of a run or of a file on a test set
    Eval(EvalArgs),
    /// Show what a run did with each training sample, and labels that may be wrong
    Ledger(LedgerArgs),
    /// Write text with the language model of a finished run
    Generate(GenerateArgs),
    /// List the runs in a folder: what, when, result, cost
    Runs {
        /// Folder to look in, with all folders below it
        #[arg(default_value = "runs")]
        folder: PathBuf,
    },
    /// Show configurations: of a run, of what differs, of what can be set
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Run policies in closed loop without a network: which hold the target, and how soon
    Simulate(SimulateArgs),
    /// List the scorers compiled in: the definitions of significance
    Scorers(CatalogueArgs),
    /// List the policies compiled in: the ways to select samples
    Policies(CatalogueArgs),
    /// List the networks compiled in
    Models(CatalogueArgs),
    /// List the datasets compiled in
    Datasets(CatalogueArgs),
    /// List the optimizers compiled in
    Optimizers(CatalogueArgs),
    /// Download a dataset's files, or check them
    #[command(subcommand)]
    Data(DataCommand),
    /// Show which devices, features, data and energy counters work here
    Doctor,
    /// Print what completes commands in a shell
    #[command(after_help = "\
Examples:
  ast completions bash > ~/.local/share/bash-completion/completions/ast
  ast completions zsh > ~/.zfunc/_ast
  ast completions fish > ~/.config/fish/completions/ast.fish")]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Write the manual pages
    #[command(after_help = "\
Examples:
  ast man --out ~/.local/share/man/man1 && man ast-train")]
    Man {
        /// Folder for the pages, one for each command; must exist
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum DataCommand {
    /// List the datasets that can be downloaded, with size and licence
    List,
    /// Show where a dataset comes from, or what is in a folder of images
    Info {
        /// Name of the dataset; `ast data list` lists those that can be downloaded, `ast datasets` all
        name: String,
        /// Folder of your own images, for example of an image-folder
        #[arg(long, value_name = "DIR", env = "AST_DATA_DIR", hide_env_values = true)]
        data_dir: Option<PathBuf>,
    },
    /// Download a dataset, check it and unpack it
    #[command(after_help = "\
An interrupted download is resumed. AST_MIRROR has the addresses of mirrors (folders, separated by commas),
which are tried first. With AST_OFFLINE=1 nothing is downloaded. HTTPS_PROXY is respected.

Existing files that differ from the published ones are not changed; the exit code is then 65.

Exit codes: 0 the dataset is there, 2 usage, 65 its files differ, 74 cannot write, 75 try again.")]
    Fetch {
        /// Name of the dataset, for example cifar10; `ast data list` lists them
        name: String,
        /// Folder to download into [default: data]
        #[arg(long, value_name = "DIR", env = "AST_DATA_DIR", hide_env_values = true)]
        data_dir: Option<PathBuf>,
    },
    /// Check that a dataset is whole and, if it is published, unchanged, and print its checksums
    #[command(after_help = "\
A copy is complete if file sizes, labels and the number of images per class are right. A complete copy that
differs from the published files, such as a JPEG-compressed one, is reported as modified. It can be trained on.

The files of an image-folder are listed, and only some of them read. With --deep every file is read and decoded,
and each broken one is named.

Exit codes: 0 complete, 2 usage, 65 incomplete or damaged.")]
    Verify {
        /// Name of the dataset
        #[arg(default_value = "cifar10")]
        name: String,
        /// Folder of its files [default: data]
        #[arg(long, value_name = "DIR", env = "AST_DATA_DIR", hide_env_values = true)]
        data_dir: Option<PathBuf>,
        /// Read and decode every file
        #[arg(long)]
        deep: bool,
    },
    /// Write the images of an image-folder, decoded, into one file
    #[command(after_help = "\
Training on the file (--data-dir FILE) gives the same bits as training on the folder. The file holds every image at
its own size, 3 bytes for each pixel: its size is printed before anything is written.

Exit codes: 0 the file is there, 2 usage, 65 a folder or an image cannot be read, 74 cannot write.")]
    Import {
        /// The folder
        folder: PathBuf,
        /// The file to write; must not exist
        #[arg(long, value_name = "FILE")]
        to: PathBuf,
    },
}

/// Values are layered: defaults < preset < --config < AST__SECTION__KEY variables < --set < flags.
#[derive(Debug, Default, Clone, clap::Args)]
#[command(allow_negative_numbers = true)]
#[command(after_help = "\
Examples:
  ast train                                   a minute on two cores, no download
  ast train --scorer entropy --activation 0.2
  ast train --preset cifar10 --data-dir DIR   the standard run
  ast train --policy random                   the control: same budget, no significance
  ast train --set policy.lambda=0.5 --set train.lr=2e-3 --out runs/mine
  ast train --resume runs/mine                continue after Ctrl-C, a kill or a full disk

Ctrl-C finishes the batch, saves and stops; a second one stops at once. SIGUSR1 saves and continues.

The run folder then has a page about the run, report.html; `ast eval` and `ast ledger` say more.

docs/configuration.md lists every key; `ast policies --markdown` and its like list parameters.
AST__SECTION__KEY variables set keys as well.

Exit codes: 0 done, 2 usage, 65 data, 69 device, 70 bug, 73 cannot create, 74 cannot read or write,
75 try again, 129/130/143 stopped by HUP/INT/TERM.")]
pub(crate) struct TrainArgs {
    /// Policy, which selects the samples; `ast policies` lists them [key: policy.name]
    #[arg(long, help_heading = SELECT)]
    pub(crate) policy: Option<String>,
    /// Seed of all randomness [key: train.seed]
    #[arg(long, value_parser = clap::value_parser!(i64).range(0..), help_heading = TRAIN)]
    pub(crate) seed: Option<i64>,
    #[command(flatten)]
    pub(crate) run: RunArgs,
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
    /// Run folder; must be new or empty [default: runs/NNNN-DATA-POLICY]
    #[arg(long, value_name = "DIR", help_heading = PLACE)]
    pub(crate) out: Option<PathBuf>,
    /// Continue a stopped run from its last checkpoint; everything else comes from its folder
    #[arg(long, value_name = "RUN", conflicts_with_all = ["RunArgs", "policy", "seed", "out"], help_heading = PLACE)]
    pub(crate) resume: Option<PathBuf>,
    /// With --resume: start the run again from its config.toml; old files are moved to RUN/aside-N, nothing is removed
    #[arg(long, requires = "resume", help_heading = PLACE)]
    pub(crate) start_over: bool,
    /// With --resume: go on although files of the data have changed, as a repaired one has; the summary says so
    #[arg(long, requires = "resume", conflicts_with = "start_over", help_heading = PLACE)]
    pub(crate) other_data: bool,
    /// How to show progress
    #[arg(long, value_enum, default_value_t, help_heading = OUT)]
    pub(crate) progress: Progress,
    /// Also write event files for TensorBoard, into RUN/tensorboard
    #[arg(long, help_heading = OUT)]
    pub(crate) tensorboard: bool,
    /// Also write metrics.csv, and emissions.csv with the columns of CodeCarbon
    #[arg(long, help_heading = OUT)]
    pub(crate) csv: bool,
    /// Print the summary as one JSON line on standard output, everything else on standard error
    #[arg(long, help_heading = OUT)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
#[command(allow_negative_numbers = true)]
#[command(after_help = "\
Examples:
  ast train --preset shakespeare --data-dir DIR --out runs/text
  ast generate runs/text
  ast generate runs/text --prompt 'ROMEO:' --tokens 200 --temperature 0.5

The run folder is all that is needed: the text that the model was trained on is not read.

Exit codes: 0 done, 2 usage, 65 the run's files are damaged or missing, 69 device, 74 cannot read or write.")]
pub(crate) struct GenerateArgs {
    /// Folder of a finished run on text
    pub(crate) run: PathBuf,
    /// Text to go on from [default: a line feed, or the first token of a text without]
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub(crate) prompt: Option<String>,
    /// Tokens to write
    #[arg(long, value_name = "N", default_value_t = 500)]
    pub(crate) tokens: u32,
    /// Divides the logits, 0..=100: below 1 likely tokens become likelier still; 0 takes the most likely one
    #[arg(long, default_value_t = 0.8, value_parser = temperature, allow_hyphen_values = true)]
    pub(crate) temperature: f64,
    /// Draw from so many of the most likely tokens only
    #[arg(long, value_name = "K", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) top_k: u32,
    /// Seed of the draws
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u32,
    /// Weights to use instead of the last ones, such as RUN/best.safetensors
    #[arg(long, value_name = "FILE")]
    pub(crate) weights: Option<PathBuf>,
    /// Device: auto, flex (CPU), wgpu or cuda, of those compiled in
    #[arg(long)]
    pub(crate) device: Option<String>,
    /// Threads of the CPU backend, 0..=4096; 0: one per physical core
    #[arg(long, value_parser = clap::value_parser!(u32).range(0..=4096))]
    pub(crate) threads: Option<u32>,
}

fn temperature(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|number| (0.0..=100.0).contains(number));
    number.ok_or_else(|| "it is not a number in 0..=100".into())
}

#[derive(Debug, clap::Args)]
#[command(allow_negative_numbers = true)]
#[command(after_help = "\
Policies, always all four, as `ast train` runs them:
  ast              feed-forward and PI, with policy.lambda = 0.8 and policy.source = fresh
  quantile         the same with policy.controller = quantile: feed-forward only
  original         the original script's significance and controller
  fixed-threshold  a constant threshold, the quantile of the first 1,024 scores

Examples:
  ast simulate                                every case, a second, no download
  ast simulate --case step --ki 0.5 --out runs/step
  ast simulate --scores losses.txt --target 0.25

The folder has simulation.svg, simulation.csv (every chunk) and simulation.md (the printed text).

Exit codes: 0 done, 2 usage, 65 invalid scores, 73 cannot create, 74 cannot read or write.")]
pub(crate) struct SimulateArgs {
    /// Disturbance of the closed loop
    #[arg(long, value_enum, default_value_t, conflicts_with = "scores")]
    pub(crate) case: CaseName,
    /// Use recorded scores instead: one number per line, in the order they were offered
    #[arg(long, value_name = "FILE")]
    pub(crate) scores: Option<PathBuf>,
    /// Share of the offered samples to train on, in (0, 1] [key: control.target]
    #[arg(long, value_name = "SHARE", default_value_t = 0.1)]
    pub(crate) target: f64,
    /// Samples per chunk; a controller updates once per chunk
    #[arg(long, default_value_t = 128, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub(crate) chunk: u32,
    /// Chunks per case
    #[arg(long, default_value_t = 600, value_parser = clap::value_parser!(u32).range(120..=10_000), conflicts_with = "scores")]
    pub(crate) chunks: u32,
    /// Seed of all randomness
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
    /// Proportional gain of `ast` [key: control.kp]
    #[arg(long, value_name = "GAIN", default_value_t = PiConfig::default().kp)]
    pub(crate) kp: f64,
    /// Integral gain of `ast` per chunk [key: control.ki]
    #[arg(long, value_name = "GAIN", default_value_t = PiConfig::default().ki)]
    pub(crate) ki: f64,
    /// Weight of the newest chunk in the smoothed rate, in (0, 1] [key: control.ema]
    #[arg(long, value_name = "ALPHA", default_value_t = PiConfig::default().ema)]
    pub(crate) ema: f64,
    /// Folder for the picture and the numbers; must be new or empty [default: none, only print]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Print the result as one JSON line on standard output, everything else on standard error
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum CaseName {
    /// All cases in sequence
    #[default]
    All,
    /// Constant score distribution
    Start,
    /// Half-way, the target is tripled, to at most 0.5 (or rises half of the way to 1)
    Step,
    /// Scores fall exponentially to a tenth, as losses do
    Drift,
    /// For a third of the run most samples are already in the queue, too many for `ast` to reach the target
    Saturation,
    /// Half-way, the scores change to those of another scorer
    Swap,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Progress {
    /// A bar on a terminal, plain lines otherwise
    #[default]
    Auto,
    /// The same as auto: plain lines where no bar can be drawn (a file, TERM=dumb)
    Bar,
    /// Plain lines at intervals
    Plain,
    /// JSON lines: every event, and a step each second with what was saved so far
    Json,
    /// No progress, only warnings
    None,
}

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct CatalogueArgs {
    /// Show only this one, with its parameters
    pub(crate) name: Option<String>,
    #[command(flatten)]
    pub(crate) format: Format,
}

#[derive(Debug, Clone, Copy, clap::Args)]
#[group(multiple = false)]
pub(crate) struct Format {
    /// As one JSON array
    #[arg(long)]
    pub(crate) json: bool,
    /// As a Markdown table, with parameters
    #[arg(long)]
    pub(crate) markdown: bool,
}
