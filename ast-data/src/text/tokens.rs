use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use ast_core::data::Vocabulary;

/// A token is kept in two bytes.
const MOST: usize = 1 << 16;

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A character of the text.
    Characters,
    /// A byte.
    Bytes,
    /// A byte pair of GPT-2 (Radford et al. 2019).
    #[cfg(feature = "bpe")]
    Gpt2,
}

impl Kind {
    /// The first is the default.
    #[cfg(not(feature = "bpe"))]
    pub(super) const NAMES: &[&str] = &["characters", "bytes"];
    #[cfg(feature = "bpe")]
    pub(super) const NAMES: &[&str] = &["characters", "bytes", "gpt2"];

    /// The kind of one of these names.
    pub(super) fn named(name: &str) -> Self {
        match name {
            "bytes" => Self::Bytes,
            #[cfg(feature = "bpe")]
            "gpt2" => Self::Gpt2,
            _ => Self::Characters,
        }
    }
}

/// A text as numbers.
pub(super) struct Tokens {
    pub(super) text: Vec<u16>,
    /// The bytes of each token.
    pub(super) vocabulary: Vec<Vec<u8>>,
}

impl Tokens {
    /// Those of a text, which is UTF-8 unless they are bytes; characters are those of the vocabulary if it is `given`. An error
    /// says why they cannot be.
    pub(super) fn of(text: &[u8], kind: Kind, given: Option<&Vocabulary>) -> Result<Self, String> {
        match (kind, given) {
            (Kind::Bytes, _) => Ok(Self::bytes(text)),
            (Kind::Characters, Some(given)) => Self::characters_of(&String::from_utf8_lossy(text), given),
            (Kind::Characters, None) => Self::characters(&String::from_utf8_lossy(text)),
            #[cfg(feature = "bpe")]
            (Kind::Gpt2, _) => Self::byte_pairs(&String::from_utf8_lossy(text)),
        }
    }

    fn bytes(text: &[u8]) -> Self {
        const ALL: RangeInclusive<u8> = 0..=255;
        Self { text: text.iter().map(|byte| u16::from(*byte)).collect(), vocabulary: ALL.map(|b| vec![b]).collect() }
    }

    /// The characters that occur, in the order of their code points, as in nanoGPT.
    fn characters(text: &str) -> Result<Self, String> {
        // One place for every character that there can be.
        let mut number = vec![None; char::MAX as usize + 1];
        text.chars().for_each(|character| number[character as usize] = Some(0));
        let occurring: Vec<char> =
            ('\0'..=char::MAX).filter(|character| number[*character as usize].is_some()).collect();
        if occurring.len() > MOST {
            return Err(format!("it has more than {MOST} different characters; read it with --set data.tokens=bytes"));
        }
        (0..=u16::MAX).zip(&occurring).for_each(|(token, character)| number[*character as usize] = Some(token));
        Ok(Self {
            text: text.chars().filter_map(|character| number[character as usize]).collect(),
            vocabulary: occurring.into_iter().map(|character| character.to_string().into_bytes()).collect(),
        })
    }

    /// The same characters as in an earlier text.
    fn characters_of(text: &str, given: &Vocabulary) -> Result<Self, String> {
        let vocabulary: Vec<Vec<u8>> = (0..given.len()).map(|token| given.token(token).to_vec()).collect();
        let numbers: BTreeMap<&[u8], u16> = vocabulary.iter().map(Vec::as_slice).zip(0..=u16::MAX).collect();
        let mut tokens = Vec::with_capacity(text.len());
        for (at, character) in text.char_indices() {
            let bytes = &text.as_bytes()[at..][..character.len_utf8()];
            tokens.push(*numbers.get(bytes).ok_or_else(|| {
                format!("the character {character:?} at byte {at} does not occur in the text that the network was trained on")
            })?);
        }
        Ok(Self { text: tokens, vocabulary })
    }

    /// All byte pairs of GPT-2, whether they occur or not, as in nanoGPT.
    #[cfg(feature = "bpe")]
    fn byte_pairs(text: &str) -> Result<Self, String> {
        let encoder = tiktoken_rs::r50k_base().map_err(|error| format!("the byte pairs of GPT-2: {error}"))?;
        let tokens = encoder.encode_ordinary(text);
        // The last is the end of a text, which does not occur within one.
        let piece = |token| encoder.decode_bytes(&[token]).map_err(|error| format!("byte pair {token}: {error}"));
        let vocabulary = (0..=50_256).map(piece).collect::<Result<_, _>>()?;
        Ok(Self { text: tokens.into_iter().map(|token| token as u16).collect(), vocabulary })
    }
}

#[cfg(all(test, feature = "bpe"))]
mod tests {
    use super::*;

    /// As OpenAI's tiktoken has them.
    #[test]
    fn byte_pairs_are_those_of_gpt2() {
        let Tokens { text, vocabulary } =
            Tokens::of("Hello, world! \u{e9}t\u{e9}".as_bytes(), Kind::Gpt2, None).unwrap();
        assert_eq!(text[..4], [15_496, 11, 995, 0]);
        assert_eq!(vocabulary.len(), 50_257);
        let bytes: Vec<u8> = text.iter().flat_map(|token| vocabulary[usize::from(*token)].clone()).collect();
        assert_eq!(String::from_utf8(bytes).unwrap(), "Hello, world! \u{e9}t\u{e9}");
        assert_eq!(vocabulary[50_256], b"<|endoftext|>");
    }
}
