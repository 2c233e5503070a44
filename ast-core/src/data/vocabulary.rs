//! The tokens of a text, so that a language model can be used without it.

use serde::{Deserialize, Serialize};

use crate::data::Dataset;

/// The bytes of every token, in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Vocabulary {
    /// Each is text.
    Words(Vec<String>),
    /// Some are not.
    Bytes(Vec<Vec<u8>>),
}

impl Vocabulary {
    /// That of a dataset; `None` if it is no text.
    #[must_use]
    pub fn of(data: &dyn Dataset) -> Option<Self> {
        let tokens: Vec<Vec<u8>> = (0..data.classes()).map_while(|token| data.token(token)).map(Vec::from).collect();
        if tokens.is_empty() {
            return None;
        }
        let words: Option<Vec<String>> = tokens.iter().map(|token| String::from_utf8(token.clone()).ok()).collect();
        Some(words.map_or(Self::Bytes(tokens), Self::Words))
    }

    /// Number of tokens.
    #[must_use]
    #[allow(clippy::len_without_is_empty)] // there is no empty one
    pub fn len(&self) -> usize {
        match self {
            Self::Words(words) => words.len(),
            Self::Bytes(bytes) => bytes.len(),
        }
    }

    /// The bytes of a token; nothing for one that does not exist.
    #[must_use]
    pub fn token(&self, token: usize) -> &[u8] {
        match self {
            Self::Words(words) => words.get(token).map(String::as_bytes),
            Self::Bytes(bytes) => bytes.get(token).map(Vec::as_slice),
        }
        .unwrap_or_default()
    }

    /// The tokens of a text, at each place the longest that fits.
    ///
    /// # Errors
    /// The place where none does.
    pub fn tokens(&self, text: &[u8]) -> Result<Vec<i32>, usize> {
        let (mut tokens, mut at) = (Vec::new(), 0);
        while at < text.len() {
            let fits = |token: &usize| !self.token(*token).is_empty() && text[at..].starts_with(self.token(*token));
            let longest = (0..self.len()).filter(fits).max_by_key(|token| self.token(*token).len()).ok_or(at)?;
            tokens.push(longest as i32);
            at += self.token(longest).len();
        }
        Ok(tokens)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_becomes_tokens_and_text_again() {
        let words = Vocabulary::Words(["a", "ab", "b", "é"].map(String::from).to_vec());
        assert_eq!(words.tokens("abéab".as_bytes()), Ok(vec![1, 3, 1]));
        assert_eq!(words.tokens(b"abx"), Err(2));
        let bytes = Vocabulary::Bytes((0..=255).map(|byte| vec![byte]).collect());
        let tokens = bytes.tokens("é".as_bytes()).unwrap();
        assert_eq!(tokens, [0xc3, 0xa9]);
        assert_eq!(
            tokens.iter().flat_map(|token| bytes.token(*token as usize).to_vec()).collect::<Vec<_>>(),
            "é".as_bytes()
        );
    }

    #[test]
    fn both_forms_are_read_again() {
        for vocabulary in
            [Vocabulary::Words(vec!["\n".into(), "é".into()]), Vocabulary::Bytes(vec![vec![0xc3], vec![10]])]
        {
            let text = serde_json::to_string(&vocabulary).unwrap();
            assert_eq!(serde_json::from_str::<Vocabulary>(&text).unwrap(), vocabulary);
        }
    }
}
