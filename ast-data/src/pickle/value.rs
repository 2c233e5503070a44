//! What a pickle may hold, and which classes it may name.

use std::borrow::Cow;

use super::Step;

/// Containers within containers. A CIFAR-10 batch has four; what is nested without end would be taken down without end.
const DEEPEST: usize = 8;

/// What a pickle holds.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value<'a> {
    None,
    Bool(bool),
    Int(i64),
    /// Text, or a string of Python 2.
    Text(Cow<'a, [u8]>),
    Bytes(Cow<'a, [u8]>),
    Tuple(Vec<Self>),
    List(Vec<Self>),
    Dict(Vec<(Self, Self)>),
    Class(Class),
    /// A call that is noted and not made: class, arguments, state.
    Object(Class, Vec<Self>, Option<Box<Self>>),
}

/// The few names that may occur.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// `numpy.ndarray`
    Array,
    /// `numpy.dtype`
    Type,
    /// `numpy.core.multiarray._reconstruct`
    Reconstruct,
    /// `numpy.core.numeric._frombuffer`
    FromBuffer,
    /// `_codecs.encode`: how Python 3 writes bytes in protocol 2.
    Encode,
}

/// Items that may go into one more container.
pub(super) fn shallow(items: Vec<Value<'_>>) -> Step<Vec<Value<'_>>> {
    fn fits(value: &Value<'_>, levels: usize) -> bool {
        let all = |items: &[Value<'_>]| levels > 0 && items.iter().all(|item| fits(item, levels - 1));
        match value {
            Value::Tuple(items) | Value::List(items) => all(items),
            Value::Dict(pairs) => levels > 0 && pairs.iter().all(|(a, b)| fits(a, levels - 1) && fits(b, levels - 1)),
            Value::Object(_, arguments, state) => {
                all(arguments) && state.as_ref().is_none_or(|state| levels > 0 && fits(state, levels - 1))
            }
            _ => true,
        }
    }
    match items.iter().all(|item| fits(item, DEEPEST)) {
        true => Ok(items),
        false => Err(format!("more than {DEEPEST} containers within one another")),
    }
}

pub(super) fn class(module: &[u8], name: &[u8]) -> Step<Class> {
    match (module, name) {
        (b"numpy", b"ndarray") => Ok(Class::Array),
        (b"numpy", b"dtype") => Ok(Class::Type),
        (b"numpy.core.multiarray" | b"numpy._core.multiarray", b"_reconstruct") => Ok(Class::Reconstruct),
        (b"numpy.core.numeric" | b"numpy._core.numeric", b"_frombuffer") => Ok(Class::FromBuffer),
        (b"_codecs", b"encode") => Ok(Class::Encode),
        _ => {
            let text = |bytes: &[u8]| String::from_utf8_lossy(&bytes[..bytes.len().min(60)]).into_owned();
            Err(format!("it names {}.{}, which a file of this kind has no use for", text(module), text(name)))
        }
    }
}

/// The bytes that text stands for, one a character.
pub(super) fn latin1(text: &[u8]) -> Step<Vec<u8>> {
    let text = std::str::from_utf8(text).map_err(|_| "text that is not UTF-8")?;
    text.chars()
        .map(|c| u8::try_from(u32::from(c)).map_err(|_| "a character that latin1 does not have".into()))
        .collect()
}
