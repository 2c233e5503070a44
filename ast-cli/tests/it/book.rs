//! Checks the pages of the documentation: links, that the book has every page, and commands.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::common::{copy, little, npy};
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

/// What is in a page.
struct Page {
    links: Vec<String>,
    /// Where a link may lead within it.
    anchors: BTreeSet<String>,
    /// Whether it has HTML, which the book would not show as text.
    html: Option<String>,
    title: bool,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().canonicalize().unwrap()
}

fn page(file: &Path) -> Page {
    let text = fs::read_to_string(file).unwrap();
    let (mut links, mut anchors, mut heading, mut html) = (Vec::new(), BTreeSet::new(), None::<String>, None);
    for event in Parser::new_ext(&text, Options::ENABLE_TABLES) {
        match event {
            Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => links.push(dest_url.to_string()),
            Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
            Event::End(TagEnd::Heading(_)) => {
                let name = anchor(&heading.take().unwrap());
                let again = (1..).map(|n| format!("{name}-{n}"));
                let free = std::iter::once(name.clone()).chain(again).find(|name| !anchors.contains(name));
                anchors.insert(free.unwrap());
            }
            Event::Text(words) | Event::Code(words) => {
                if let Some(heading) = &mut heading {
                    heading.push_str(&words);
                }
            }
            // A line break within a cell of a table can be written in no other way.
            Event::InlineHtml(tag) | Event::Html(tag) if &*tag != "<br>" => html = html.or(Some(tag.to_string())),
            _ => {}
        }
    }
    Page { links, anchors, html, title: text.starts_with("# ") }
}

/// The anchor of a heading, as GitHub and mdBook make it.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

/// The Markdown files of a folder.
fn pages_in(folder: &Path) -> BTreeMap<PathBuf, Page> {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let pages = files.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    pages.map(|path| (path.clone(), page(&path))).collect()
}

#[test]
fn every_link_leads_somewhere() {
    let root = root();
    let mut pages = pages_in(&root);
    pages.extend(pages_in(&root.join("docs")));
    assert!(pages.len() > 20, "{:?}", pages.keys());
    let (mut checked, mut broken) = (0, Vec::new());
    for (file, page) in &pages {
        for link in page.links.iter().filter(|link| !link.contains("://")) {
            let (path, place) = link.split_once('#').map_or((link.as_str(), None), |(path, place)| (path, Some(place)));
            let target = if path.is_empty() { file.clone() } else { file.parent().unwrap().join(path) };
            let target = target.canonicalize().unwrap_or(target);
            let found = match place {
                None => target.exists(),
                Some(place) => pages.get(&target).is_some_and(|page| page.anchors.contains(place)),
            };
            // The book has nothing outside of its folder.
            let within = !file.starts_with(root.join("docs")) || target.starts_with(root.join("docs"));
            if !(found && within) {
                broken.push(format!("{}: {link}", file.strip_prefix(&root).unwrap().display()));
            }
            checked += 1;
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
    assert!(checked > 50, "{checked}");
}

#[test]
fn the_book_has_every_page_once() {
    let docs = root().join("docs");
    let mut pages = pages_in(&docs);
    let summary = pages.remove(&docs.join("SUMMARY.md")).expect("docs/SUMMARY.md");
    let mut listed = summary.links.clone();
    listed.sort_unstable();
    let names = pages.keys().map(|path| path.file_name().unwrap().to_str().unwrap().to_string());
    assert_eq!(listed, names.collect::<Vec<_>>());
    for (path, page) in pages {
        assert!(page.title, "{}: the first line is its title", path.display());
        assert!(page.html.is_none(), "{}: {:?}", path.display(), page.html);
    }
}

#[test]
fn anchors_are_those_of_github() {
    assert_eq!(anchor("What `--resume` does"), "what---resume-does");
    assert_eq!(anchor("NaN, memory, exit codes"), "nan-memory-exit-codes");
}

/// The commands in a page, each as it would be typed: `ast train ...`.
fn commands(text: &str) -> Vec<Vec<&str>> {
    let blocks = text.split("```sh\n").skip(1).map(|block| block.split("```").next().unwrap());
    let lines = blocks.flat_map(str::lines).filter_map(|line| line.strip_prefix("ast "));
    lines.map(|line| words(line.split(" #").next().unwrap())).collect()
}

/// The words of a command; quotes stand around one word here.
fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().map(|word| word.trim_matches('\'')).collect()
}

/// Small data of every kind, and the runs that pages name.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        let at = |name: &str| place.0.path().join(name);
        for (split, images) in [("train", 12), ("val", 4)] {
            for (class, name) in ["cat", "dog", "owl"].into_iter().enumerate() {
                let folder = at("images").join(split).join(name);
                fs::create_dir_all(&folder).unwrap();
                for number in 0..images {
                    let pixel = |i: usize| (80 * class + 7 * number + i % 11) as u8;
                    let pixels: Vec<u8> = (0..3 * 32 * 32).map(pixel).collect();
                    let mut file = Vec::new();
                    let mut encoder = png::Encoder::new(&mut file, 32, 32);
                    encoder.set_color(png::ColorType::Rgb);
                    encoder.write_header().unwrap().write_image_data(&pixels).unwrap();
                    fs::write(folder.join(format!("{number}.png")), file).unwrap();
                }
            }
        }
        fs::create_dir_all(at("arrays")).unwrap();
        for split in ["train", "test"] {
            let pixels: Vec<u8> = (0..24 * 16 * 16).map(|i| (i / 256 * 9 + i % 13) as u8).collect();
            let labels: Vec<u8> = (0..24).map(|i| i % 3).collect();
            fs::write(at(&format!("arrays/{split}_images.npy")), npy("(24, 16, 16)", &pixels)).unwrap();
            fs::write(at(&format!("arrays/{split}_labels.npy")), npy("(24,)", &labels)).unwrap();
        }
        fs::create_dir_all(at("texts")).unwrap();
        let text: String = "ROMEO: the quick brown fox, and so on\n".chars().cycle().take(4000).collect();
        fs::write(at("texts/input.txt"), text).unwrap();
        place.ast(&["train", "--out", "runs/procedural"], "", 0);
        place.ast(&["train", "--dataset", "image-folder", "--data-dir", "DIR", "--out", "runs/images"], "", 0);
        place
    }

    /// Another place with the same in it, for the commands of another page.
    fn again(&self) -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        copy(self.0.path(), place.0.path());
        place
    }

    /// Runs a command in this place, on small data for a short time.
    fn ast(&self, args: &[&str], page: &str, expected: i32) {
        let has = |words: &[&str]| args.iter().any(|arg| words.contains(arg));
        let data = match () {
            () if has(&["arrays"]) => "arrays",
            () if has(&["text", "shakespeare"]) => "texts",
            () if has(&["image-folder", "import"]) => "images",
            () => "nothing",
        };
        let run = if page == "own-data" || page == "image-folder" { "runs/images" } else { "runs/procedural" };
        let small = |arg: &&str| match *arg {
            "DIR" => data.to_string(),
            "data.validation=500" => "data.validation=6".to_string(),
            arg => arg.replace("runs/NAME", run).replace("runs/0001-procedural-ast", "runs/procedural"),
        };
        let mut given: Vec<String> = args.iter().map(small).collect();
        if let Some(place) = given.iter().position(|arg| arg == "--out").filter(|_| has(&["compare", "sweep"])) {
            given.drain(place..place + 2);
        }
        let mut brief = Vec::new();
        if ["train", "compare", "sweep"].contains(&args[0]) && !has(&["--resume"]) {
            brief.extend(["data.train_limit=24", "train.epochs=2", "train.batch_size=8"]);
            brief.extend(has(&["resnet18"]).then_some("model.width=8"));
            brief.extend(has(&["text", "shakespeare"]).then_some("model.width=16"));
            given.splice(1..1, brief.iter().flat_map(|set| ["--set".to_string(), set.to_string()]));
            given.splice(1..1, little(args).into_iter().map(String::from));
        }
        match args[0] {
            "train" => given.extend(["--progress".into(), "none".into()]),
            "compare" | "sweep" => {
                let number = fs::read_dir(self.0.path()).unwrap().count();
                given.extend(["--seeds".into(), "1".into(), "--out".into(), format!("comparison-{number}")]);
            }
            "generate" => given.extend(["--tokens".into(), "20".into()]),
            _ => {}
        }
        let mut command = Command::new(env!("CARGO_BIN_EXE_ast"));
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("AST_")) {
            command.env_remove(name);
        }
        let output = command.args(&given).env("AST_OFFLINE", "1").current_dir(self.0.path()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(expected), "{page}: {given:?}: {said}");
    }
}

/// Every command that a page of the book shows works, as far as its data is at hand.
#[test]
fn every_command_of_the_book_runs() {
    let (mut tried, made) = (0, Place::new());
    for (file, _) in pages_in(&root().join("docs")) {
        let (text, page) = (fs::read_to_string(&file).unwrap(), file.file_stem().unwrap().to_str().unwrap());
        let commands = commands(&text);
        if commands.is_empty() {
            continue;
        }
        let place = made.again();
        for args in &commands {
            let has = |word: &str| args.iter().any(|arg| arg.contains(word));
            let missing = ["mnist", "cifar10-fast", "cifar10"].iter().any(|name| has(name));
            let expected = match args[..] {
                ["data", "fetch", ..] => 75,                // offline
                ["train" | "compare", ..] if missing => 65, // not at hand
                _ if has("resnet18.safetensors") => 74,     // not at hand
                _ => 0,
            };
            place.ast(args, page, expected);
            tried += 1;
        }
    }
    assert!(tried > 40, "{tried}");
}

/// Code that a page shows is code that is compiled, line by line; `// ...` leaves some out.
#[test]
fn excerpts_are_as_in_their_sources() {
    let root = root();
    let sources: Vec<String> = ["docs/template/src", "ast-core/examples", "ast-scoring/src"]
        .iter()
        .flat_map(|folder| fs::read_dir(root.join(folder)).unwrap())
        .filter_map(|entry| fs::read_to_string(entry.unwrap().path()).ok())
        .collect();
    let (mut checked, mut strange) = (0, Vec::new());
    let is_own = |file: &Path| file.file_name().unwrap().to_str().unwrap().starts_with("own-");
    for (file, _) in pages_in(&root.join("docs")).into_iter().filter(|(file, _)| is_own(file)) {
        let text = fs::read_to_string(&file).unwrap();
        let blocks = text.split("```rust\n").skip(1).map(|block| block.split("```").next().unwrap());
        // The sketch of a loop has a step that is the reader's.
        for block in blocks.filter(|block| !block.contains("my_step")) {
            let known = |part: &str| sources.iter().any(|source| source.contains(part.trim_end()));
            let mut parts = block.split("    // ...");
            let first = parts.next().unwrap();
            if !(known(first) && parts.all(|part| known(part.split_once('\n').unwrap().1))) {
                strange.push(format!("{}: {block}", file.display()));
            }
            checked += 1;
        }
    }
    assert!(strange.is_empty(), "{strange:#?}");
    assert!(checked > 8, "{checked}");
}
