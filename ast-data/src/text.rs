//! Text: your own, or Shakespeare's. A sample is a window of consecutive tokens, each the target of the one before it.
//!
//! The text is one file, or all `.txt` files of a folder in the order of their names. As in nanoGPT the first nine tenths
//! are trained on and the rest is evaluated on. Each part is cut into windows, which share one token with the next.

mod tokens;

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ast_core::data::{
    DataError, DataSource, Dataset, Download, Published, ReadRequest, Remedy, Shape, Splits, Verified, Vocabulary,
};
use ast_core::plugin::{ParamError, ParamKind, ParamSpec, Params};
use ast_core::run::read_file;
use ast_core::select::SampleId;

use self::tokens::{Kind, Tokens};
use crate::archive::differs;

/// No larger text is read: it is kept in memory, with two bytes for each token.
const MOST: u64 = 1 << 32;
/// One in so many tokens is evaluated on.
const EVALUATED: usize = 10;

const PARAMS: &[ParamSpec] = &[
    ParamSpec {
        name: "context",
        summary: "tokens that a window shows before the last one that it asks for",
        kind: ParamKind::Integer { default: 64, min: 1, max: 65_536 },
    },
    ParamSpec {
        name: "tokens",
        summary: "`characters`, all that occur in the text; `bytes`, whatever the text is; with the cargo feature `bpe` also `gpt2`, the 50,257 byte pairs of GPT-2",
        kind: ParamKind::Choice(Kind::NAMES),
    },
];

ast_core::register_dataset! {
    name: "text",
    summary: "your own text for a language model: a file, or a folder of .txt files, in UTF-8",
    params: PARAMS,
    build: |params| Ok(Box::new(Text::new(params, false)?)),
}

ast_core::register_dataset! {
    name: "tiny-shakespeare",
    summary: "a megabyte of Shakespeare's plays (Karpathy 2015) for a language model; `ast data fetch tiny-shakespeare` downloads it",
    params: PARAMS,
    build: |params| Ok(Box::new(Text::new(params, true)?)),
}

/// Where the file may be, below the given folder: the first is where it is downloaded to.
const SHAKESPEARE: [&str; 3] = ["tiny-shakespeare/input.txt", "tinyshakespeare.txt", "input.txt"];

fn shakespeare() -> Published {
    Published {
        page: "https://github.com/karpathy/char-rnn",
        licence: "the plays are in the public domain; none is stated for the file",
        downloads: vec![Download {
            path: SHAKESPEARE[0],
            bytes: 1_115_394,
            sha256: "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
            url: "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",
            members: &[],
        }],
    }
}

struct Text {
    context: usize,
    kind: Kind,
    /// Whether the text is Shakespeare's.
    shakespeare: bool,
}

impl Text {
    fn new(params: &Params, shakespeare: bool) -> Result<Self, ParamError> {
        let kind = Kind::named(params.word("tokens")?);
        Ok(Self { context: params.integer("context")? as usize, kind, shakespeare })
    }

    /// The files of the text, in order.
    fn files(&self, dir: &Path) -> Result<Vec<PathBuf>, TextError> {
        let wrong = |reason: String| TextError::Malformed { file: dir.to_path_buf(), reason };
        let about = fs::metadata(dir).map_err(|error| wrong(error.to_string()))?;
        if about.is_file() {
            return Ok(vec![dir.to_path_buf()]);
        }
        if !about.is_dir() {
            return Err(wrong("it is neither a file nor a folder".into()));
        }
        if self.shakespeare {
            let found = SHAKESPEARE.iter().map(|name| dir.join(name)).find(|file| file.is_file());
            return found.map(|file| vec![file]).ok_or_else(|| TextError::Missing(dir.to_path_buf()));
        }
        let entries = fs::read_dir(dir).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        let entries = entries.map_err(|error| wrong(error.to_string()))?;
        let paths = entries.into_iter().map(|entry| entry.path());
        let mut files: Vec<_> = paths.filter(|path| is_text(path)).collect();
        files.sort_unstable();
        if let Some(other) = files.iter().find(|file| !file.is_file()) {
            let (file, reason) = (other.clone(), "it has the name of a text, but is not a file".into());
            return Err(TextError::Malformed { file, reason });
        }
        if files.is_empty() {
            return Err(wrong("no .txt file is in this folder".into()));
        }
        Ok(files)
    }

    /// The tokens of the text, those of an earlier run if they are given.
    fn tokens(&self, dir: &Path, given: Option<&Vocabulary>) -> Result<Tokens, TextError> {
        let mut text = Vec::new();
        for file in self.files(dir)? {
            let wrong = |reason| TextError::Malformed { file: file.clone(), reason };
            let left = MOST - text.len() as u64;
            let read = read_file(&file, left).map_err(|error| wrong(error.to_string()))?;
            let read = read.ok_or_else(|| wrong(format!("with this file the text has more than {MOST} bytes")))?;
            if self.kind != Kind::Bytes
                && let Err(error) = std::str::from_utf8(&read)
            {
                let at = error.valid_up_to();
                let advice = "convert it, or read it as it is with --set data.tokens=bytes";
                return Err(wrong(format!("it is not UTF-8 at byte {at}; {advice}")));
            }
            text.extend(read);
        }
        Tokens::of(&text, self.kind, given).map_err(|reason| TextError::Malformed { file: dir.to_path_buf(), reason })
    }
}

/// Whether a file of this name is taken for a text: not a hidden one, such as `._a.txt`, which macOS puts beside `a.txt`.
fn is_text(path: &Path) -> bool {
    let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
    !hidden && path.extension().is_some_and(|end| end.eq_ignore_ascii_case("txt"))
}

impl DataSource for Text {
    fn published(&self) -> Option<Published> {
        self.shakespeare.then(shakespeare)
    }

    fn read(&self, request: &ReadRequest<'_>) -> Result<Splits, DataError> {
        let dir = request.dir.ok_or(DataError::NoFolder)?;
        let given = request.preprocessing.and_then(|given| given.vocabulary.as_ref());
        let (tokens, context) = (Arc::new(self.tokens(dir, given)?), self.context);
        let all = tokens.text.len();
        let trained = all - all.div_ceil(EVALUATED);
        let windows = |part| Windows { tokens: tokens.clone(), part, context };
        let (train, test) = (windows(0..trained), windows(trained..all));
        // A short text for a network that is trained already is evaluated on as a whole.
        if given.is_some() && test.samples() == 0 && windows(0..all).samples() > 0 {
            return Ok(Splits { train: Arc::new(windows(0..all)), test: None });
        }
        if train.samples() == 0 || test.samples() == 0 {
            let needed = EVALUATED * context + 1;
            let reason = format!(
                "a tenth of its {all} tokens has no window of {context} and one: there must be {needed} or more, or \
                 data.context less"
            );
            return Err(TextError::Malformed { file: dir.to_path_buf(), reason }.into());
        }
        Ok(Splits { train: Arc::new(train), test: Some(Arc::new(test)) })
    }

    fn find(&self, dir: &Path) -> Result<(), DataError> {
        self.files(dir).map(drop).map_err(Into::into)
    }

    fn verify(&self, dir: &Path) -> Result<Verified, DataError> {
        let splits = self.read(&ReadRequest::of(dir))?;
        let files = self.files(dir)?;
        let differing = |published: Published| {
            let of = |file: &ast_core::data::PublishedFile| differs(file, &files[0]) != Some(false);
            published.files().into_iter().filter(of).map(|file| file.name()).collect()
        };
        Ok(Verified { splits, modified: self.published().map(differing) })
    }
}

/// The windows of a part of a text.
struct Windows {
    tokens: Arc<Tokens>,
    part: Range<usize>,
    context: usize,
}

impl Dataset for Windows {
    fn samples(&self) -> usize {
        self.part.len().saturating_sub(1) / self.context
    }
    fn classes(&self) -> usize {
        self.tokens.vocabulary.len()
    }
    fn shape(&self) -> Shape {
        Shape::Tokens(self.context)
    }
    fn label(&self, _: SampleId) -> usize {
        0
    }
    fn write_tokens(&self, id: SampleId, out: &mut [i32]) {
        let from = self.part.start + self.context * id as usize;
        out.iter_mut().zip(&self.tokens.text[from..]).for_each(|(out, token)| *out = i32::from(*token));
    }
    fn token(&self, token: usize) -> Option<&[u8]> {
        self.tokens.vocabulary.get(token).map(Vec::as_slice)
    }
    fn fingerprinted(&self) -> &'static str {
        "all windows"
    }
}

/// An error while reading a text.
#[derive(Debug, thiserror::Error)]
enum TextError {
    #[error("{}: neither {} is in this folder", .0.display(), SHAKESPEARE.join(" nor "))]
    Missing(PathBuf),
    #[error("{}: {reason}", file.display())]
    Malformed { file: PathBuf, reason: String },
}

impl From<TextError> for DataError {
    fn from(error: TextError) -> Self {
        let remedy = match &error {
            TextError::Missing(dir) => Remedy::Fetch(dir.clone()),
            TextError::Malformed { .. } => Remedy::None,
        };
        Self::Files { error: Box::new(error), remedy }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ast_core::testing::check_dataset;

    fn source(context: usize, kind: Kind) -> Text {
        Text { context, kind, shakespeare: false }
    }

    fn read(source: &Text, dir: &Path) -> Result<Splits, String> {
        source.read(&ReadRequest::of(dir)).map_err(|error| error.to_string())
    }

    fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        files.iter().for_each(|(name, content)| fs::write(dir.path().join(name), content).unwrap());
        dir
    }

    /// The text of a window.
    fn window(data: &dyn Dataset, id: SampleId) -> String {
        let Shape::Tokens(context) = data.shape() else { panic!("text") };
        let mut tokens = vec![0; context + 1];
        data.write_tokens(id, &mut tokens);
        let bytes = tokens.into_iter().flat_map(|token| data.token(token as usize).unwrap().to_vec()).collect();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn windows_follow_each_other_and_share_a_token() {
        let dir =
            folder(&[("b.TXT", b"klmnopqrst"), ("a.txt", b"abcdefghij"), ("._a.txt", b"no text"), ("c.md", b"none")]);
        let Splits { train, test } = read(&source(1, Kind::Characters), dir.path()).unwrap();
        let test = test.unwrap();
        assert_eq!((train.samples(), test.samples(), train.classes()), (17, 1, 20));
        assert_eq!((window(train.as_ref(), 0), window(train.as_ref(), 16)), ("ab".into(), "qr".into()));
        assert_eq!(
            window(test.as_ref(), 0),
            "st",
            "the files in the order of their names, the last tenth evaluated on"
        );
    }

    #[test]
    fn characters_are_counted_and_bytes_are_not_asked() {
        let text = "für Ärzte, 例: ".repeat(9);
        let dir = folder(&[("a.txt", text.as_bytes())]);
        let Splits { train, test } = read(&source(4, Kind::Characters), dir.path()).unwrap();
        let different: std::collections::BTreeSet<char> = text.chars().collect();
        assert_eq!((train.classes(), train.token(0)), (different.len(), Some(&b" "[..])));
        assert_eq!(train.samples(), (text.chars().count() * 9 / 10 - 1) / 4);
        assert_eq!(window(train.as_ref(), 0), "für Ä");
        assert_eq!(test.unwrap().classes(), different.len(), "one vocabulary");
        let bytes = read(&source(4, Kind::Bytes), dir.path()).unwrap().train;
        assert_eq!((bytes.classes(), bytes.token(0xc3)), (256, Some(&[0xc3][..])));
        assert_eq!(bytes.samples(), (text.len() * 9 / 10 - 1) / 4);
    }

    #[test]
    fn text_keeps_the_contract() {
        let dir = folder(&[("a.txt", "To be, or not to be: that is the question.\n".repeat(40).as_bytes())]);
        for (context, kind) in [(1, Kind::Characters), (8, Kind::Characters), (8, Kind::Bytes)] {
            check_dataset(&source(context, kind), &ReadRequest::of(dir.path()));
            // A file alone is the same text.
            let alone = read(&source(context, kind), &dir.path().join("a.txt")).unwrap().train;
            let whole = read(&source(context, kind), dir.path()).unwrap().train;
            assert_eq!(ast_core::data::fingerprint(alone.as_ref()), ast_core::data::fingerprint(whole.as_ref()));
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        let error = |files: &[(&str, &[u8])]| read(&source(8, Kind::Characters), folder(files).path()).err().unwrap();
        assert!(error(&[("a.md", b"x")]).ends_with("no .txt file is in this folder"));
        let message = error(&[("a.txt", b"ab\xff")]);
        assert!(message.contains("a.txt: it is not UTF-8 at byte 2; convert it"), "{message}");
        let message = error(&[("a.txt", b"0123456789")]);
        assert!(message.contains("its 10 tokens") && message.contains("must be 81 or more"), "{message}");
        assert!(error(&[("a.txt", &[b'x'; 80])]).contains("its 80 tokens"));
        assert!(read(&source(8, Kind::Characters), folder(&[("a.txt", &[b'x'; 81])]).path()).is_ok());
        let dir = folder(&[]);
        let missing =
            Text { shakespeare: true, ..source(8, Kind::Characters) }.read(&ReadRequest::of(dir.path())).err().unwrap();
        assert!(matches!(missing, DataError::Files { remedy: Remedy::Fetch(_), .. }), "{missing}");
        assert!(
            matches!(read(&source(8, Kind::Characters), &dir.path().join("nowhere")), Err(message) if message.contains("nowhere"))
        );
        // Bytes take what characters do not.
        let dir = folder(&[("a.txt", &[0xff; 200])]);
        assert!(read(&source(8, Kind::Bytes), dir.path()).is_ok());
    }

    #[test]
    fn shakespeare_is_found_under_any_of_its_names() {
        for name in SHAKESPEARE {
            let dir = tempfile::tempdir().unwrap();
            let file = dir.path().join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(&file, "Before we proceed any further, hear me speak. ".repeat(20)).unwrap();
            fs::write(dir.path().join("other.txt"), "not read").unwrap();
            let source = Text { shakespeare: true, ..source(8, Kind::Characters) };
            assert!(source.find(dir.path()).is_ok());
            let Verified { splits, modified } = source.verify(dir.path()).unwrap();
            assert_eq!((window(splits.train.as_ref(), 0), modified.unwrap()), ("Before we".into(), vec!["input"]));
        }
    }
}
