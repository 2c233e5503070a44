//! `ast data`: downloads the files of a dataset and checks them; tells of folders of images, and imports them.

use std::fs;
use std::path::{Path, PathBuf};

use ast_core::data::{DataSource, Download, Published, Shape, Splits, Verified, VerifiedContents, fingerprint};
use ast_data::{
    ArchiveError, FetchError, FetchOptions, ImportError, ImportProgress, extract, fetch, import, modified_files,
};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::args::DataCommand;
use crate::config;
use crate::dataset::{Registered, is_generated, refusal, registered};
use crate::failure::{Failure, Kind, did_you_mean};
use crate::output::{note, print};
use crate::shell::quoted;

const BAR: &str = "{wide_bar} {percent:>3} % of {total_bytes}, {eta} left";

/// A dataset that has published files.
pub(crate) struct Offer {
    pub(crate) name: &'static str,
    summary: &'static str,
    pub(crate) source: Box<dyn DataSource>,
    published: Published,
}

pub(crate) fn data(command: &DataCommand) -> Result<(), Failure> {
    match command {
        DataCommand::List => list(),
        DataCommand::Info { name, data_dir } => match (named(name), data_dir) {
            (Err(_), Some(dir)) => tell(&of_files(name)?, dir),
            (offer, _) => info(&offer?),
        },
        DataCommand::Fetch { name, data_dir } => get(&named(name)?, folder(data_dir.as_deref())),
        DataCommand::Verify { name, data_dir, deep } => {
            let dir = folder(data_dir.as_deref());
            let Registered { name, source, .. } = of_files(name)?;
            // First, because reading the data as a run does stops at the first broken image.
            let every_image = *deep && verify_contents(name, source.as_ref(), dir)?;
            verify(name, source.as_ref(), dir)?;
            if *deep && !every_image { print("every sample was read") } else { Ok(()) }
        }
        DataCommand::Import { folder, to } => bring(folder, to),
    }
}

/// The folder of a dataset's files; `data` unless another one is named.
fn folder(named: Option<&Path>) -> &Path {
    named.filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("data"))
}

/// All registered datasets that can be downloaded.
pub(crate) fn offers() -> Result<Vec<Offer>, Failure> {
    let offer = |Registered { name, summary, source }| {
        let published = source.published()?;
        Some(Offer { name, summary, source, published })
    };
    Ok(registered()?.into_iter().filter_map(offer).collect())
}

/// A registered dataset that is read from files, published or not.
fn of_files(name: &str) -> Result<Registered, Failure> {
    let all = registered()?;
    let names: Vec<&str> = all.iter().map(|dataset| dataset.name).collect();
    let (list, hint) = (names.join(", "), did_you_mean(name, names.iter().copied()));
    let unknown = || Failure::usage(format!("there is no dataset `{name}`; available: {list}{hint}"));
    let found = all.into_iter().find(|dataset| dataset.name == name).ok_or_else(unknown)?;
    if is_generated(found.source.as_ref()) {
        return Err(Failure::usage(format!("dataset `{name}` has no files: it is generated")));
    }
    Ok(found)
}

/// Says what is in a folder of one's own.
fn tell(Registered { name, summary, source }: &Registered, dir: &Path) -> Result<(), Failure> {
    let told = source.describe(dir).map_err(|error| refusal(name, Some(dir), error))?;
    if told.is_empty() {
        return Err(Failure::usage(format!(
            "`{name}` says nothing of its files; `ast data verify {name} --data-dir {}` reads them",
            quoted(dir)
        )));
    }
    let lines = told.into_iter().map(|(what, text)| format!("{what:8} {text}"));
    print(&std::iter::once(format!("{name}: {summary}")).chain(lines).collect::<Vec<_>>().join("\n"))
}

fn named(name: &str) -> Result<Offer, Failure> {
    let all = offers()?;
    let names: Vec<&str> = all.iter().map(|offer| offer.name).collect();
    let (list, hint) = (names.join(", "), did_you_mean(name, names.iter().copied()));
    let unknown = || Failure::usage(format!("no dataset `{name}` has published files; available: {list}{hint}"));
    all.into_iter().find(|offer| offer.name == name).ok_or_else(unknown)
}

fn list() -> Result<(), Failure> {
    let offers = offers()?;
    let wide = offers.iter().map(|offer| offer.name.len()).max().unwrap_or_default();
    let line = |Offer { name, published, .. }: &Offer| {
        format!("{name:wide$}  {:>4} MB  licence: {}", published.megabytes(), published.licence)
    };
    let lines: Vec<String> = offers.iter().map(line).collect();
    print(&format!("{}\n`ast data info NAME` says more; `ast data fetch NAME` downloads", lines.join("\n")))
}

fn info(Offer { name, summary, published: Published { page, licence, downloads }, .. }: &Offer) -> Result<(), Failure> {
    let mut lines = vec![format!("{name}: {summary}"), format!("source   {page}"), format!("licence  {licence}")];
    for Download { path, bytes, sha256, url, .. } in downloads {
        lines.push(format!("file     {path}, {bytes} bytes\n         sha256 {sha256}\n         {url}"));
    }
    print(&lines.join("\n"))
}

impl Offer {
    /// The folder of its files, below the one that they are downloaded into.
    fn folder(&self) -> &'static str {
        let files = self.published.files();
        files.first().and_then(|file| file.path.split('/').next()).unwrap_or(self.name)
    }

    /// What trains on it.
    fn command(&self, dir: &Path) -> String {
        let chosen = match config::preset_on(self.name) {
            Some(preset) => format!("--preset {preset}"),
            None => format!("--dataset {}", self.name),
        };
        format!("ast train {chosen} --data-dir {}", quoted(dir))
    }
}

fn get(offer: &Offer, dir: &Path) -> Result<(), Failure> {
    let Offer { name, source, published, .. } = offer;
    let (files, next) = (published.files(), format!("next: {}", offer.command(dir)));
    if dir.is_file() {
        return Err(Failure::usage(format!("{} is a file: give the folder to download into", dir.display())));
    }
    let modified = modified_files(&files, dir);
    if !modified.is_empty() {
        let folder = dir.join(offer.folder());
        if let Err(error) = source.verify(dir) {
            let what = format!("{error}; nothing was changed: move {} away and fetch again", folder.display());
            return Err(Failure::new(Kind::Data, what));
        }
        return Err(Failure::new(
            Kind::Data,
            format!(
                "{} holds a modified copy: it differs from the published files in {}; nothing was fetched or changed. \
                 Train on it as it is, or move that folder away and fetch again, or name another one with --data-dir",
                folder.display(),
                modified.join(", ")
            ),
        ));
    }
    let there = |path: &str, bytes: u64| fs::metadata(dir.join(path)).is_ok_and(|file| file.len() == bytes);
    if files.iter().all(|file| there(file.path, file.bytes)) {
        verify(name, source.as_ref(), dir)?;
        return print(&format!("already there; {next}"));
    }
    note(&format!("{name}: licence: {}; {}", published.licence, published.page));
    for download in &published.downloads {
        one(download, dir)?;
    }
    verify(name, source.as_ref(), dir)?;
    print(&next)
}

/// Downloads a file, and unpacks it if it is an archive.
fn one(download: &Download, dir: &Path) -> Result<(), Failure> {
    let mirrors = std::env::var("AST_MIRROR").unwrap_or_default();
    let options = FetchOptions {
        mirrors: mirrors.split(',').map(str::trim).filter(|mirror| !mirror.is_empty()).map(Into::into).collect(),
        offline: std::env::var_os("AST_OFFLINE").is_some_and(|value| !value.is_empty() && value != "0"),
        ..FetchOptions::default()
    };
    note(&format!("fetching {} into {}", download.path, dir.display()));
    let bar = bar(BAR);
    bar.set_length(download.bytes);
    let file = fetch(download, dir, &options, &mut |have| bar.set_position(have));
    bar.finish_and_clear();
    let file: PathBuf = file.map_err(|error| Failure::new(kind_of(&error), error.to_string()))?;
    if !download.members.is_empty() {
        extract(&file, download.members, dir).map_err(|error| {
            let kind = if matches!(error, ArchiveError::Io { .. }) { Kind::Io } else { Kind::Data };
            Failure::new(kind, error.to_string())
        })?;
        // The archive is not needed after it is unpacked.
        fs::remove_file(&file)
            .map_err(|error| Failure::new(Kind::Io, format!("cannot remove {}: {error}", file.display())))?;
    }
    drop(fs::remove_file(dir.join(format!("{}.lock", download.path))));
    Ok(())
}

fn kind_of(error: &FetchError) -> Kind {
    match error {
        FetchError::Offline { .. } | FetchError::Busy(_) | FetchError::Unreachable { .. } => Kind::TryAgain,
        FetchError::Disk { .. } => Kind::Io,
        FetchError::NotAllowed(_) => Kind::Usage,
        FetchError::Answer { .. } => Kind::Data,
    }
}

/// Checks that a dataset is complete and as published, and prints checksums to compare two machines.
fn verify(name: &str, source: &dyn DataSource, dir: &Path) -> Result<(), Failure> {
    let verified = source.verify(dir).map_err(|error| refusal(name, Some(dir), error))?;
    let Verified { splits: Splits { train, test }, modified } = verified;
    let origin = match modified.as_deref() {
        None if source.published().is_none() => "your own: there is nothing published to compare with".into(),
        None => "not compared with the published files, which are packed".into(),
        Some([]) => "the published files, by the SHA-256 of each".into(),
        Some(modified) => format!("a modified copy: differs from the published files in {}", modified.join(", ")),
    };
    let (of_test, sum) = match &test {
        Some(test) => (test.samples(), fingerprint(test.as_ref())),
        None => (0, "none".into()),
    };
    let of = train.fingerprinted();
    let remarks = train.remarks().into_iter().chain(test.iter().flat_map(|test| test.remarks()));
    let remarks: String = remarks.map(|remark| format!("\n{remark}")).collect();
    print(&format!(
        "{name} in {}: {} training and {of_test} test samples {}\n\
         {origin}\n\
         sha256 of {of}, training {}\n\
         sha256 of {of}, test     {sum}{remarks}",
        dir.display(),
        train.samples(),
        match train.shape() {
            Shape::Image([channels, height, width]) => {
                let classes = train.classes();
                format!("in {classes} classes, {channels} x {height} x {width} (channels, height, width)")
            }
            Shape::Tokens(_) => format!("of a vocabulary of {} tokens", train.classes()),
        },
        fingerprint(train.as_ref()),
    ))
}

/// Reads every image of a dataset that leaves this to the loader; `false` if [`verify`] reads everything itself.
fn verify_contents(name: &str, source: &dyn DataSource, dir: &Path) -> Result<bool, Failure> {
    let bar = bar("{wide_bar} {pos} of {len} images, {eta} left");
    let contents = source.verify_contents(dir, &mut |done, all| {
        bar.set_length(all as u64);
        bar.set_position(done as u64);
    });
    bar.finish_and_clear();
    let Some(VerifiedContents { splits, broken }) = contents.map_err(|error| refusal(name, Some(dir), error))? else {
        return Ok(false);
    };
    for (split, samples, sha256) in &splits {
        print(&format!("sha256 of labels and contents, {split:8} {sha256}, {samples} images read"))?;
    }
    if broken.is_empty() {
        return print("every image can be decoded").map(|()| true);
    }
    broken.iter().for_each(|broken| note(broken));
    let them = match broken.len() {
        1 => "1 image is broken: replace or remove it, or train without it".into(),
        images => format!("{images} images are broken: replace or remove them, or train without them"),
    };
    Err(Failure::new(Kind::Data, format!("{them}, with --set data.on_bad=skip")))
}

/// Writes the binary form of a folder.
fn bring(folder: &Path, to: &Path) -> Result<(), Failure> {
    let bar = bar("{wide_bar} {pos} of {len} images, {eta} left");
    let mut announced = false;
    let result = import(folder, to, &mut |progress: ImportProgress| {
        let ImportProgress { measured, written, images, bytes } = progress;
        bar.set_length(images as u64);
        if bytes > 0 && !announced {
            announced = true;
            let megabytes = bytes.div_ceil(1_000_000);
            bar.suspend(|| note(&format!("{} will take {bytes} bytes ({megabytes} MB)", to.display())));
        }
        bar.set_position(if bytes > 0 { written } else { measured } as u64);
    });
    bar.finish_and_clear();
    let tested = result.map_err(|error| {
        let (kind, more) = match &error {
            ImportError::Exists(_) => (Kind::Usage, ""),
            ImportError::Folder(_) => (Kind::Data, ""),
            ImportError::Image(_) => {
                (Kind::Data, "; `ast data verify image-folder --data-dir DIR --deep` names every broken image")
            }
            ImportError::Write { .. } => (Kind::Io, ""),
        };
        Failure::new(kind, format!("{error}{more}"))
    })?;
    let validation = if tested { "" } else { " --set data.validation=IMAGES" };
    print(&format!("next: ast train --dataset image-folder --data-dir {}{validation}", quoted(to)))
}

fn bar(template: &str) -> ProgressBar {
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(5)).with_style(style)
}
