//! Strict JSON (RFC 8259) to a tree with places. The YAML parser cannot stand in for it: it refuses surrogate pairs,
//! which every ASCII-only JSON writer makes.

use serde_json::Number;

use crate::Span;
use crate::tree::{Key, MAX_DEPTH, MAX_NODES, MapBuilder, Node, SyntaxError, Value};

/// Reads one JSON text.
pub(crate) fn parse(text: &str) -> Result<Node, SyntaxError> {
    let mut reader = Reader {
        text,
        at: 0,
        nodes: 0,
    };
    reader.blank();
    let node = reader.value(0)?;
    reader.blank();
    if reader.at < text.len() {
        return Err(reader.unexpected("the end of the file"));
    }
    Ok(node)
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    nodes: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn skip(&mut self, bytes: usize) {
        self.at = self.at.saturating_add(bytes);
    }

    fn blank(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.skip(1);
        }
    }

    fn unexpected(&self, wanted: &str) -> SyntaxError {
        let found = self.rest().chars().next();
        let width = found.map_or(0, char::len_utf8);
        let found = found.map_or_else(|| "the end of the file".to_owned(), |c| format!("{c:?}"));
        SyntaxError::new(
            Span::new(self.at, self.at.saturating_add(width)),
            format!("not valid JSON: {found} where {wanted} is expected"),
            "JSON has no comments, no trailing commas and double quotes only; use YAML for more comfort",
        )
    }

    fn value(&mut self, depth: usize) -> Result<Node, SyntaxError> {
        let start = self.at;
        self.nodes = self.nodes.saturating_add(1);
        if self.nodes > MAX_NODES {
            return Err(SyntaxError::too_many(Span::new(start, start)));
        }
        if depth > MAX_DEPTH {
            return Err(SyntaxError::too_deep(Span::new(start, start)));
        }
        let value = match self.peek() {
            Some(b'{') => self.map(depth)?,
            Some(b'[') => self.list(depth)?,
            Some(b'"') => Value::Text(self.string()?),
            Some(b'-' | b'0'..=b'9') => self.number()?,
            _ => self.word()?,
        };
        Ok(Node {
            span: Span::new(start, self.at),
            value,
        })
    }

    fn word(&mut self) -> Result<Value, SyntaxError> {
        for (word, value) in [
            ("null", Value::Null),
            ("true", Value::Bool(true)),
            ("false", Value::Bool(false)),
        ] {
            if self.rest().starts_with(word) {
                self.skip(word.len());
                return Ok(value);
            }
        }
        Err(self.unexpected("a value"))
    }

    fn map(&mut self, depth: usize) -> Result<Value, SyntaxError> {
        let mut map = MapBuilder::default();
        self.skip(1);
        self.blank();
        if self.peek() == Some(b'}') {
            self.skip(1);
            return Ok(map.finish());
        }
        loop {
            let start = self.at;
            if self.peek() != Some(b'"') {
                return Err(self.unexpected("a key in double quotes"));
            }
            let text = self.string()?;
            let key = Key {
                text,
                span: Span::new(start, self.at),
            };
            map.claim(&key)?;
            self.blank();
            self.expect(b':', "`:`")?;
            self.blank();
            let node = self.value(depth.saturating_add(1))?;
            map.push(key, node);
            if self.end_or_comma(b'}', "`,` or `}`")? {
                return Ok(map.finish());
            }
        }
    }

    fn list(&mut self, depth: usize) -> Result<Value, SyntaxError> {
        let mut items = Vec::new();
        self.skip(1);
        self.blank();
        if self.peek() == Some(b']') {
            self.skip(1);
            return Ok(Value::List(items));
        }
        loop {
            items.push(self.value(depth.saturating_add(1))?);
            if self.end_or_comma(b']', "`,` or `]`")? {
                return Ok(Value::List(items));
            }
        }
    }

    /// True at the closing bracket, false behind a comma.
    fn end_or_comma(&mut self, close: u8, wanted: &str) -> Result<bool, SyntaxError> {
        self.blank();
        if self.peek() == Some(close) {
            self.skip(1);
            return Ok(true);
        }
        self.expect(b',', wanted)?;
        self.blank();
        Ok(false)
    }

    fn expect(&mut self, byte: u8, wanted: &str) -> Result<(), SyntaxError> {
        if self.peek() == Some(byte) {
            self.skip(1);
            return Ok(());
        }
        Err(self.unexpected(wanted))
    }

    /// Finds the closing quote, then lets serde_json decode the escapes.
    fn string(&mut self) -> Result<String, SyntaxError> {
        let start = self.at;
        let mut escaped = false;
        let body = self.rest().bytes().skip(1);
        let Some(inner) = body.enumerate().find_map(|(index, byte)| {
            let ends = byte == b'"' && !escaped;
            escaped = byte == b'\\' && !escaped;
            ends.then_some(index)
        }) else {
            return Err(SyntaxError::new(
                Span::new(start, start.saturating_add(1)),
                "not valid JSON: this string never ends",
                "close it with a double quote",
            ));
        };
        let end = start.saturating_add(inner).saturating_add(2);
        let raw = self.text.get(start..end).unwrap_or_default();
        let decoded = serde_json::from_str(raw).map_err(|_| {
            SyntaxError::new(
                Span::new(start, end),
                "not valid JSON: a control character or a wrong escape in a string",
                "write control characters as \\n, \\t or \\u00XX",
            )
        })?;
        self.at = end;
        Ok(decoded)
    }

    fn number(&mut self) -> Result<Value, SyntaxError> {
        let width = self
            .rest()
            .bytes()
            .take_while(|byte| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E'))
            .count();
        let end = self.at.saturating_add(width);
        let raw = self.text.get(self.at..end).unwrap_or_default();
        let number: Number = serde_json::from_str(raw).map_err(|_| {
            SyntaxError::new(
                Span::new(self.at, end),
                "not valid JSON: a number that JSON does not know, or that does not fit 64 bits",
                "put it in quotes if it is meant as text",
            )
        })?;
        self.at = end;
        Ok(Value::Number(number))
    }
}
