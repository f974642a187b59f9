//! Values and their wire format (D-Bus Specification, "Type System" and "Marshaling").

/// Deepest nesting that is read or written; the specification allows 64.
const MAX_DEPTH: u32 = 16;

/// A value. Types that no Secret Service sends are left out, and a message that holds one is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    Byte(u8),
    Bool(bool),
    Int32(i32),
    Uint32(u32),
    Int64(i64),
    Uint64(u64),
    Text(String),
    Path(String),
    Signature(String),
    /// `ay`.
    Bytes(Vec<u8>),
    /// The elements' signature, then the elements.
    Array(String, Vec<Value>),
    /// An entry of a dictionary, which is an array of these.
    Entry(Box<Value>, Box<Value>),
    Struct(Vec<Value>),
    Variant(Box<Value>),
}

/// Bytes that are no message as it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed;

impl Value {
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    pub(crate) fn path(path: impl Into<String>) -> Self {
        Self::Path(path.into())
    }

    pub(crate) fn variant(value: Self) -> Self {
        Self::Variant(Box::new(value))
    }

    /// `ao`.
    pub(crate) fn paths(paths: &[String]) -> Self {
        Self::Array("o".to_owned(), paths.iter().map(Self::path).collect())
    }

    /// `a{ss}`.
    pub(crate) fn texts(pairs: &[(&str, &str)]) -> Self {
        let entry = |(key, value): &(&str, &str)| {
            Self::Entry(Box::new(Self::text(*key)), Box::new(Self::text(*value)))
        };
        Self::Array("{ss}".to_owned(), pairs.iter().map(entry).collect())
    }

    pub(crate) fn as_path(&self) -> Option<&str> {
        match self {
            Self::Path(path) => Some(path),
            _ => None,
        }
    }

    pub(crate) fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// The paths of `ao`.
    pub(crate) fn as_paths(&self) -> Option<Vec<String>> {
        match self {
            Self::Array(of, all) if of == "o" => all
                .iter()
                .map(|path| path.as_path().map(str::to_owned))
                .collect(),
            _ => None,
        }
    }

    pub(crate) fn signature(&self) -> String {
        match self {
            Self::Byte(_) => "y".to_owned(),
            Self::Bool(_) => "b".to_owned(),
            Self::Int32(_) => "i".to_owned(),
            Self::Uint32(_) => "u".to_owned(),
            Self::Int64(_) => "x".to_owned(),
            Self::Uint64(_) => "t".to_owned(),
            Self::Text(_) => "s".to_owned(),
            Self::Path(_) => "o".to_owned(),
            Self::Signature(_) => "g".to_owned(),
            Self::Bytes(_) => "ay".to_owned(),
            Self::Array(of, _) => format!("a{of}"),
            Self::Entry(key, value) => format!("{{{}{}}}", key.signature(), value.signature()),
            Self::Struct(parts) => {
                let parts: String = parts.iter().map(Self::signature).collect();
                format!("({parts})")
            }
            Self::Variant(_) => "v".to_owned(),
        }
    }

    /// Appends the value to a message that began with `out`, in little-endian order.
    pub(crate) fn put(&self, out: &mut Vec<u8>) -> Result<(), Malformed> {
        pad(out, alignment(&self.signature()));
        match self {
            Self::Byte(byte) => out.push(*byte),
            Self::Bool(is) => out.extend(u32::from(*is).to_le_bytes()),
            Self::Int32(number) => out.extend(number.to_le_bytes()),
            Self::Uint32(number) => out.extend(number.to_le_bytes()),
            Self::Int64(number) => out.extend(number.to_le_bytes()),
            Self::Uint64(number) => out.extend(number.to_le_bytes()),
            Self::Text(text) | Self::Path(text) => {
                if text.contains('\0') {
                    return Err(Malformed);
                }
                out.extend(length(text.len())?);
                out.extend(text.as_bytes());
                out.push(0);
            }
            Self::Signature(text) => put_signature(text, out)?,
            Self::Bytes(bytes) => {
                out.extend(length(bytes.len())?);
                out.extend(bytes);
            }
            Self::Array(of, all) => put_array(of, all, out)?,
            Self::Entry(key, value) => {
                key.put(out)?;
                value.put(out)?;
            }
            Self::Struct(parts) => parts.iter().try_for_each(|part| part.put(out))?,
            Self::Variant(value) => {
                put_signature(&value.signature(), out)?;
                value.put(out)?;
            }
        }
        Ok(())
    }
}

fn put_signature(text: &str, out: &mut Vec<u8>) -> Result<(), Malformed> {
    out.push(u8::try_from(text.len()).map_err(|_| Malformed)?);
    out.extend(text.as_bytes());
    out.push(0);
    Ok(())
}

fn put_array(of: &str, all: &[Value], out: &mut Vec<u8>) -> Result<(), Malformed> {
    let at = out.len();
    out.extend([0; 4]);
    pad(out, alignment(of));
    let begin = out.len();
    for one in all {
        if one.signature() != of {
            return Err(Malformed);
        }
        one.put(out)?;
    }
    let size = length(out.len() - begin)?;
    out.get_mut(at..at + 4)
        .ok_or(Malformed)?
        .copy_from_slice(&size);
    Ok(())
}

fn length(size: usize) -> Result<[u8; 4], Malformed> {
    u32::try_from(size)
        .map(u32::to_le_bytes)
        .map_err(|_| Malformed)
}

pub(crate) fn pad(out: &mut Vec<u8>, to: usize) {
    out.resize(out.len().next_multiple_of(to), 0);
}

fn alignment(signature: &str) -> usize {
    match signature.bytes().next() {
        Some(b'y' | b'g' | b'v') => 1,
        Some(b'x' | b't' | b'(' | b'{') => 8,
        _ => 4,
    }
}

/// The first complete type of a signature, and the rest.
fn first_type(signature: &str, depth: u32) -> Result<(&str, &str), Malformed> {
    if depth > MAX_DEPTH {
        return Err(Malformed);
    }
    let split = |at: usize| signature.split_at_checked(at).ok_or(Malformed);
    let mut inner = signature.get(1..).ok_or(Malformed)?;
    match signature.bytes().next() {
        Some(b'y' | b'b' | b'i' | b'u' | b'x' | b't' | b's' | b'o' | b'g' | b'v') => split(1),
        Some(b'a') => split(1 + first_type(inner, depth + 1)?.0.len()),
        Some(open @ (b'(' | b'{')) => {
            let close = if open == b'(' { ')' } else { '}' };
            let mut count = 0;
            while !inner.starts_with(close) {
                inner = first_type(inner, depth + 1)?.1;
                count += 1;
            }
            let full = if open == b'(' { count > 0 } else { count == 2 };
            if !full {
                return Err(Malformed);
            }
            split(signature.len() - inner.len() + 1)
        }
        _ => Err(Malformed),
    }
}

/// Reads values from a message, which began at its first byte.
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    big: bool,
}

impl<'a> Reader<'a> {
    /// A reader; `big` for a message in big-endian order.
    pub(crate) fn new(bytes: &'a [u8], big: bool) -> Self {
        Self { bytes, at: 0, big }
    }

    /// How much was read.
    pub(crate) fn position(&self) -> usize {
        self.at
    }

    /// All values of a signature.
    pub(crate) fn all(&mut self, mut signature: &str) -> Result<Vec<Value>, Malformed> {
        let mut values = Vec::new();
        while !signature.is_empty() {
            let (first, rest) = first_type(signature, 0)?;
            values.push(self.one(first, 0)?);
            signature = rest;
        }
        Ok(values)
    }

    fn take(&mut self, size: usize) -> Result<&'a [u8], Malformed> {
        let end = self.at.checked_add(size).ok_or(Malformed)?;
        let taken = self.bytes.get(self.at..end).ok_or(Malformed)?;
        self.at = end;
        Ok(taken)
    }

    pub(crate) fn align(&mut self, to: usize) -> Result<(), Malformed> {
        let padding = self.take(self.at.next_multiple_of(to) - self.at)?;
        if padding.iter().any(|byte| *byte != 0) {
            return Err(Malformed);
        }
        Ok(())
    }

    fn uint32(&mut self) -> Result<u32, Malformed> {
        let bytes = self.take(4)?.try_into().map_err(|_| Malformed)?;
        Ok(if self.big {
            u32::from_be_bytes(bytes)
        } else {
            u32::from_le_bytes(bytes)
        })
    }

    fn uint64(&mut self) -> Result<u64, Malformed> {
        let bytes = self.take(8)?.try_into().map_err(|_| Malformed)?;
        Ok(if self.big {
            u64::from_be_bytes(bytes)
        } else {
            u64::from_le_bytes(bytes)
        })
    }

    fn size(&mut self) -> Result<usize, Malformed> {
        usize::try_from(self.uint32()?).map_err(|_| Malformed)
    }

    /// Text with its closing zero.
    fn text(&mut self, size: usize) -> Result<String, Malformed> {
        let text = self.take(size)?;
        if self.take(1)? != [0] || text.contains(&0) {
            return Err(Malformed);
        }
        String::from_utf8(text.to_vec()).map_err(|_| Malformed)
    }

    fn one(&mut self, signature: &str, depth: u32) -> Result<Value, Malformed> {
        if depth > MAX_DEPTH {
            return Err(Malformed);
        }
        self.align(alignment(signature))?;
        let inner = signature.get(1..).unwrap_or_default();
        Ok(match signature.bytes().next() {
            Some(b'y') => Value::Byte(self.take(1)?.first().copied().ok_or(Malformed)?),
            Some(b'b') => match self.uint32()? {
                0 => Value::Bool(false),
                1 => Value::Bool(true),
                _ => return Err(Malformed),
            },
            Some(b'i') => Value::Int32(self.uint32()?.cast_signed()),
            Some(b'u') => Value::Uint32(self.uint32()?),
            Some(b'x') => Value::Int64(self.uint64()?.cast_signed()),
            Some(b't') => Value::Uint64(self.uint64()?),
            Some(b's') => {
                let size = self.size()?;
                Value::Text(self.text(size)?)
            }
            Some(b'o') => {
                let size = self.size()?;
                Value::Path(self.text(size)?)
            }
            Some(b'g') => Value::Signature(self.short_text()?),
            Some(b'v') => {
                let inner = self.short_text()?;
                let (first, rest) = first_type(&inner, depth)?;
                if !rest.is_empty() {
                    return Err(Malformed);
                }
                Value::variant(self.one(first, depth + 1)?)
            }
            Some(b'a') => self.array(inner, depth)?,
            Some(b'(') => Value::Struct(self.parts(inner, ')', depth)?),
            Some(b'{') => {
                let parts: [Value; 2] = self
                    .parts(inner, '}', depth)?
                    .try_into()
                    .map_err(|_| Malformed)?;
                let [key, value] = parts;
                Value::Entry(Box::new(key), Box::new(value))
            }
            _ => return Err(Malformed),
        })
    }

    fn short_text(&mut self) -> Result<String, Malformed> {
        let size = self.take(1)?.first().copied().ok_or(Malformed)?;
        self.text(usize::from(size))
    }

    fn parts(&mut self, mut inner: &str, close: char, depth: u32) -> Result<Vec<Value>, Malformed> {
        let mut parts = Vec::new();
        while !inner.starts_with(close) {
            let (first, rest) = first_type(inner, depth)?;
            parts.push(self.one(first, depth + 1)?);
            inner = rest;
        }
        Ok(parts)
    }

    fn array(&mut self, of: &str, depth: u32) -> Result<Value, Malformed> {
        let size = self.size()?;
        self.align(alignment(of))?;
        if of == "y" {
            return self.take(size).map(|bytes| Value::Bytes(bytes.to_vec()));
        }
        let end = self.at.checked_add(size).ok_or(Malformed)?;
        if end > self.bytes.len() {
            return Err(Malformed);
        }
        let mut all = Vec::new();
        while self.at < end {
            all.push(self.one(of, depth + 1)?);
        }
        if self.at != end {
            return Err(Malformed);
        }
        Ok(Value::Array(of.to_owned(), all))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn values() -> impl Strategy<Value = Value> {
        let text = "[a-zé/ ]{0,8}";
        let leaf = prop_oneof![
            any::<u8>().prop_map(Value::Byte),
            any::<bool>().prop_map(Value::Bool),
            any::<i32>().prop_map(Value::Int32),
            any::<u32>().prop_map(Value::Uint32),
            any::<i64>().prop_map(Value::Int64),
            any::<u64>().prop_map(Value::Uint64),
            text.prop_map(Value::Text),
            text.prop_map(Value::Path),
            Just(Value::Signature("a{sv}".to_owned())),
            proptest::collection::vec(any::<u8>(), 0..9).prop_map(Value::Bytes),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                inner.clone().prop_map(Value::variant),
                proptest::collection::vec(inner.clone(), 1..4).prop_map(Value::Struct),
                (inner.clone(), 0..4_usize).prop_map(|(one, count)| {
                    match one.signature().as_str() {
                        "y" => Value::Bytes(vec![7; count]),
                        of => Value::Array(of.to_owned(), vec![one.clone(); count]),
                    }
                }),
                ("[a-z]{0,4}", inner).prop_map(|(key, value)| {
                    let entry = Value::Entry(Box::new(Value::Text(key)), Box::new(value));
                    Value::Array(entry.signature(), vec![entry])
                }),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(all in proptest::collection::vec(values(), 0..4)) {
            let mut bytes = Vec::new();
            for value in &all {
                value.put(&mut bytes).unwrap();
            }
            let signature: String = all.iter().map(Value::signature).collect();
            let mut reader = Reader::new(&bytes, false);
            prop_assert_eq!(reader.all(&signature), Ok(all));
            prop_assert_eq!(reader.position(), bytes.len());
        }

        #[test]
        fn no_bytes_and_no_signature_break_the_reader(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            signature in "[ybiuxtsogva(){}q]{0,12}",
            big in any::<bool>(),
        ) {
            let mut reader = Reader::new(&bytes, big);
            let _ = reader.all(&signature);
            prop_assert!(reader.position() <= bytes.len());
        }
    }

    #[test]
    fn known_bytes_are_those_of_the_specification() {
        let mut bytes = Vec::new();
        Value::Byte(1).put(&mut bytes).unwrap();
        Value::Array("x".to_owned(), vec![Value::Int64(5)])
            .put(&mut bytes)
            .unwrap();
        assert_eq!(bytes, [1, 0, 0, 0, 8, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0]);
        let big = [0, 0, 0, 3, b'f', b'o', b'o', 0];
        assert_eq!(
            Reader::new(&big, true).all("s"),
            Ok(vec![Value::text("foo")])
        );
        for empty in [
            "()",
            "{}",
            "{s}",
            "{sss}",
            "a",
            "(s",
            "r",
            &"a".repeat(40),
            &format!("{}y", "a".repeat(17)),
        ] {
            assert!(Reader::new(&[0; 64], false).all(empty).is_err(), "{empty}");
        }
        assert!(Value::text("a\0b").put(&mut Vec::new()).is_err());
    }
}
