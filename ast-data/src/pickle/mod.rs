//! Reads what Python's `pickle` writes for dictionaries, lists, numbers, text, bytes and numpy's arrays of bytes. Nothing else:
//! every other opcode and every other class is an error with its place in the file.
//!
//! A pickle is a program for a machine with a stack, and Python's own reader runs whatever it names. This one runs
//! nothing. It is our own because `serde-pickle` 1.2 puts an object's state in its place and drops what it was called
//! with: the type of an array would be lost, and with protocol 5 all of it.
//!
//! Nothing is allocated by a length that the file declares; bytes and text are slices of it. What a malicious file can
//! make it hold is bounded by [`MOST_VALUES`].

mod value;

use std::borrow::Cow;
use std::collections::HashMap;

pub(crate) use value::{Class, Value};
use value::{class, latin1, shallow};

/// A step that fails says why; where is known to who makes it.
type Step<T> = Result<T, String>;

/// Values on the stack, in containers and remembered. A CIFAR-10 batch has 30,000.
const MOST_VALUES: usize = 1 << 20;

/// Where a pickle stops making sense, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Nonsense {
    pub(crate) offset: usize,
    pub(crate) reason: String,
}

/// The one value that a pickle is.
pub(crate) fn parse(bytes: &[u8]) -> Result<Value<'_>, Nonsense> {
    let mut machine = Machine { bytes, at: 0, stack: Vec::new(), marks: Vec::new(), memo: HashMap::new(), values: 0 };
    loop {
        let offset = machine.at;
        match machine.step() {
            Ok(None) => {}
            Ok(Some(value)) => return Ok(value),
            Err(reason) => return Err(Nonsense { offset, reason }),
        }
    }
}

struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    stack: Vec<Value<'a>>,
    /// Heights of the stack.
    marks: Vec<usize>,
    /// Containers are remembered as nothing: they may grow after that, and no array's dictionary names one twice.
    memo: HashMap<usize, Option<Value<'a>>>,
    values: usize,
}

impl<'a> Machine<'a> {
    fn step(&mut self) -> Step<Option<Value<'a>>> {
        let [opcode] = self.take_array()?;
        match opcode {
            0x80 => match self.take_array()? {
                [2..=5] => {}
                [version] => return Err(format!("pickle protocol {version}, this reader knows 2 to 5")),
            },
            0x95 => drop(self.take_array::<8>()?), // frames only tell how much to read ahead
            b'.' => return self.stop().map(Some),
            b'(' => self.marks.push(self.stack.len()),
            b'}' => self.push(Value::Dict(Vec::new()))?,
            b']' => self.push(Value::List(Vec::new()))?,
            b')' => self.push(Value::Tuple(Vec::new()))?,
            b't' => {
                let items = self.pop_mark()?;
                self.push(Value::Tuple(shallow(items)?))?;
            }
            0x85..=0x87 => {
                let items = self.pop_many(usize::from(opcode - 0x84))?;
                self.push(Value::Tuple(shallow(items)?))?;
            }
            b'a' => {
                let item = self.pop_many(1)?;
                self.extend_list(item)?;
            }
            b'e' => {
                let items = self.pop_mark()?;
                self.extend_list(items)?;
            }
            b's' => {
                let items = self.pop_many(2)?;
                self.extend_dict(items)?;
            }
            b'u' => {
                let items = self.pop_mark()?;
                self.extend_dict(items)?;
            }
            b'N' => self.push(Value::None)?,
            0x88 | 0x89 => self.push(Value::Bool(opcode == 0x88))?,
            b'K' => {
                let [byte] = self.take_array()?;
                self.push(Value::Int(i64::from(byte)))?;
            }
            b'M' => {
                let value = u16::from_le_bytes(self.take_array()?);
                self.push(Value::Int(i64::from(value)))?;
            }
            b'J' => {
                let value = i32::from_le_bytes(self.take_array()?);
                self.push(Value::Int(i64::from(value)))?;
            }
            0x8a => {
                let value = self.long()?;
                self.push(Value::Int(value))?;
            }
            b'U' | 0x8c => {
                let text = self.counted::<1>()?;
                self.push(Value::Text(text))?;
            }
            b'T' | b'X' => {
                let text = self.counted::<4>()?;
                self.push(Value::Text(text))?;
            }
            0x8d => {
                let text = self.counted::<8>()?;
                self.push(Value::Text(text))?;
            }
            b'C' => {
                let bytes = self.counted::<1>()?;
                self.push(Value::Bytes(bytes))?;
            }
            b'B' => {
                let bytes = self.counted::<4>()?;
                self.push(Value::Bytes(bytes))?;
            }
            0x8e | 0x96 => {
                let bytes = self.counted::<8>()?;
                self.push(Value::Bytes(bytes))?;
            }
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.push(Value::Class(class(module, name)?))?;
            }
            0x93 => match self.pop_many(2)?.as_slice() {
                [Value::Text(module), Value::Text(name)] => {
                    let class = class(module, name)?;
                    self.push(Value::Class(class))?;
                }
                _ => return Err("the name of a class is not text".into()),
            },
            b'R' => self.reduce()?,
            b'b' => self.build()?,
            b'q' => {
                let [key] = self.take_array()?;
                self.remember(usize::from(key))?;
            }
            b'r' => {
                let key = u32::from_le_bytes(self.take_array()?);
                self.remember(key as usize)?;
            }
            0x94 => self.remember(self.memo.len())?,
            b'h' => {
                let [key] = self.take_array()?;
                self.recall(usize::from(key))?;
            }
            b'j' => {
                let key = u32::from_le_bytes(self.take_array()?);
                self.recall(key as usize)?;
            }
            other => return Err(format!("opcode 0x{other:02x} has no place in a file of this kind")),
        }
        Ok(None)
    }

    fn stop(&mut self) -> Step<Value<'a>> {
        let value = self.stack.pop().ok_or("the pickle holds nothing")?;
        match self.bytes.len() - self.at {
            _ if !self.stack.is_empty() || !self.marks.is_empty() => Err("it ends with something left over".into()),
            0 => Ok(value),
            more => Err(format!("{more} bytes follow its end")),
        }
    }

    fn take(&mut self, length: usize) -> Step<&'a [u8]> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let taken =
            rest.get(..length).ok_or_else(|| format!("it is cut off: {length} bytes wanted, {} left", rest.len()))?;
        self.at += length;
        Ok(taken)
    }

    fn take_array<const N: usize>(&mut self) -> Step<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    /// Bytes after their number, which takes `N` bytes.
    fn counted<const N: usize>(&mut self) -> Step<Cow<'a, [u8]>> {
        let mut length = [0; 8];
        length[..N].copy_from_slice(&self.take_array::<N>()?);
        let length = usize::try_from(u64::from_le_bytes(length)).map_err(|_| "a length beyond all memory")?;
        self.take(length).map(Cow::Borrowed)
    }

    /// An integer of up to eight bytes, least significant first.
    fn long(&mut self) -> Step<i64> {
        let [length] = self.take_array()?;
        let bytes = self.take(usize::from(length))?;
        if bytes.len() > 8 {
            return Err("an integer of more than 64 bits".into());
        }
        let negative = bytes.last().is_some_and(|byte| byte & 0x80 != 0);
        let mut wide = [if negative { 0xff } else { 0 }; 8];
        wide[..bytes.len()].copy_from_slice(bytes);
        Ok(i64::from_le_bytes(wide))
    }

    fn line(&mut self) -> Step<&'a [u8]> {
        // No class that may occur has a longer name.
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let length = rest.iter().take(100).position(|byte| *byte == b'\n').ok_or("a name without an end")?;
        let line = self.take(length)?;
        self.take(1)?;
        Ok(line)
    }

    fn push(&mut self, value: Value<'a>) -> Step<()> {
        self.values += 1;
        if self.values > MOST_VALUES {
            return Err(format!("more than {MOST_VALUES} values"));
        }
        self.stack.push(value);
        Ok(())
    }

    /// The last so many values, none of them from below the last mark.
    fn pop_many(&mut self, number: usize) -> Step<Vec<Value<'a>>> {
        let bottom = self.marks.last().copied().unwrap_or(0);
        match self.stack.len().checked_sub(number).filter(|from| *from >= bottom) {
            Some(from) => Ok(self.stack.split_off(from)),
            None => Err("it takes more than there is".into()),
        }
    }

    fn pop_mark(&mut self) -> Step<Vec<Value<'a>>> {
        let from = self.marks.pop().ok_or("it goes back to a mark that is not there")?;
        Ok(self.stack.split_off(from))
    }

    fn extend_list(&mut self, items: Vec<Value<'a>>) -> Step<()> {
        match self.stack.last_mut() {
            Some(Value::List(list)) => list.extend(shallow(items)?),
            _ => return Err("something is appended to what is no list".into()),
        }
        Ok(())
    }

    fn extend_dict(&mut self, items: Vec<Value<'a>>) -> Step<()> {
        let Some(Value::Dict(dict)) = self.stack.last_mut() else {
            return Err("something is entered into what is no dictionary".into());
        };
        if !items.len().is_multiple_of(2) {
            return Err("a key without a value".into());
        }
        let mut items = shallow(items)?.into_iter();
        while let (Some(key), Some(value)) = (items.next(), items.next()) {
            dict.push((key, value));
        }
        Ok(())
    }

    fn reduce(&mut self) -> Step<()> {
        let mut both = self.pop_many(2)?.into_iter();
        let (Some(Value::Class(class)), Some(Value::Tuple(arguments))) = (both.next(), both.next()) else {
            return Err("a call of something that cannot be called".into());
        };
        match (class, arguments.as_slice()) {
            (Class::Encode, [Value::Text(text), Value::Text(code)]) if code.as_ref() == b"latin1" => {
                let bytes = latin1(text)?;
                self.push(Value::Bytes(Cow::Owned(bytes)))
            }
            (Class::Encode, _) => Err("text in a code other than latin1".into()),
            _ => self.push(Value::Object(class, shallow(arguments)?, None)),
        }
    }

    fn build(&mut self) -> Step<()> {
        let given = shallow(self.pop_many(1)?)?.pop();
        match (self.stack.last_mut(), given) {
            (Some(Value::Object(_, _, state)), Some(given)) if state.is_none() => *state = Some(Box::new(given)),
            _ => return Err("a state for what has none".into()),
        }
        Ok(())
    }

    fn remember(&mut self, key: usize) -> Step<()> {
        let value = self.stack.last().ok_or("nothing to be remembered")?;
        let scalar = match value {
            Value::List(_) | Value::Dict(_) | Value::Tuple(_) | Value::Object(..) => None,
            Value::Text(Cow::Owned(_)) | Value::Bytes(Cow::Owned(_)) => None,
            scalar => Some(scalar.clone()),
        };
        self.values += 1;
        if self.values > MOST_VALUES {
            return Err(format!("more than {MOST_VALUES} values"));
        }
        self.memo.insert(key, scalar);
        Ok(())
    }

    fn recall(&mut self, key: usize) -> Step<()> {
        match self.memo.get(&key) {
            Some(Some(value)) => {
                let value = value.clone();
                self.push(value)
            }
            Some(None) => Err("it refers back to a container".into()),
            None => Err(format!("it refers back to number {key}, which is not there")),
        }
    }
}
