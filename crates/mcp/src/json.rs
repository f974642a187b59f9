//! Strict JSON: one reading of the bytes, or none.
//!
//! Two parsers that disagree about one text are a hole (LESSONS L24): the gate would authorise one call and the
//! plugin run another. So a member name given twice is refused at any depth, names are compared byte for byte,
//! depth and size are bounded, and nothing of the original bytes is ever forwarded: what was parsed is written anew.
//!
//! Integers of 64 bits and all binary64 numbers survive exactly; an integer outside 64 bits becomes the nearest
//! binary64 number, which is then also what is authorised and what is sent.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Bounds on one JSON text. The peer controls both numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JsonLimits {
    /// How many arrays and objects may be nested in one another; at most 120 is of use, the parser's own stack guard.
    pub depth: usize,
    /// How many values and member names there may be in all; about 100 bytes of memory each.
    pub nodes: usize,
}

impl Default for JsonLimits {
    fn default() -> Self {
        Self {
            depth: 64,
            nodes: 500_000,
        }
    }
}

/// Why a text is not a JSON value that we accept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// The bytes are not UTF-8.
    #[error("not UTF-8 from byte {at} on; MCP messages are UTF-8 JSON")]
    NotUtf8 {
        /// Offset of the first bad byte.
        at: usize,
    },
    /// Not JSON, or JSON that breaks a bound or names a member twice.
    #[error("not acceptable JSON: {0}")]
    Syntax(String),
}

/// Reads exactly one JSON value from `text`; white space around it is fine, anything else is not.
///
/// # Errors
/// [`JsonError`] for bytes that are not UTF-8, for a syntax error, for a member name given twice in one object, and
/// for a text beyond `limits`.
pub fn parse(text: &[u8], limits: JsonLimits) -> Result<Value, JsonError> {
    let text = std::str::from_utf8(text).map_err(|error| JsonError::NotUtf8 {
        at: error.valid_up_to(),
    })?;
    let mut budget = limits.nodes;
    let mut reader = serde_json::Deserializer::from_str(text);
    let strict = Strict {
        depth: limits.depth,
        budget: &mut budget,
    };
    let value = strict
        .deserialize(&mut reader)
        .map_err(|error| JsonError::Syntax(error.to_string()))?;
    reader
        .end()
        .map_err(|error| JsonError::Syntax(error.to_string()))?;
    Ok(value)
}

/// Writes `value` with the members of every object in the order of their names: equal values give equal bytes.
#[must_use]
pub fn canonical(value: &Value) -> String {
    let mut out = String::new();
    write_canonical(value, &mut out);
    out
}

fn write_canonical(value: &Value, out: &mut String) {
    match value {
        Value::Object(members) => {
            let mut sorted: Vec<_> = members.iter().collect();
            sorted.sort_unstable_by_key(|(name, _)| *name);
            out.push('{');
            for (nth, (name, member)) in sorted.into_iter().enumerate() {
                if nth > 0 {
                    out.push(',');
                }
                out.push_str(&Value::from(name.as_str()).to_string());
                out.push(':');
                write_canonical(member, out);
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for (nth, item) in items.iter().enumerate() {
                if nth > 0 {
                    out.push(',');
                }
                write_canonical(item, out);
            }
            out.push(']');
        }
        leaf => out.push_str(&leaf.to_string()),
    }
}

struct Strict<'b> {
    depth: usize,
    budget: &'b mut usize,
}

impl Strict<'_> {
    fn spend<E: serde::de::Error>(&mut self) -> Result<(), E> {
        match self.budget.checked_sub(1) {
            Some(left) => {
                *self.budget = left;
                Ok(())
            }
            None => Err(E::custom("too many values in one message")),
        }
    }

    fn inner<E: serde::de::Error>(&mut self) -> Result<usize, E> {
        self.depth
            .checked_sub(1)
            .ok_or_else(|| E::custom("nested too deeply"))
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(mut self, reader: D) -> Result<Value, D::Error> {
        self.spend()?;
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value)
            .map(Value::Number)
            .ok_or_else(|| E::custom("a number that is not finite"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut reader: A) -> Result<Value, A::Error> {
        let depth = self.inner()?;
        let mut items = Vec::new();
        while let Some(item) = reader.next_element_seed(Strict {
            depth,
            budget: self.budget,
        })? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut reader: A) -> Result<Value, A::Error> {
        let depth = self.inner()?;
        let mut members = Map::new();
        while let Some(name) = reader.next_key::<String>()? {
            self.spend()?;
            if members.contains_key(&name) {
                return Err(A::Error::custom(format_args!(
                    "the member {} is given twice in one object",
                    crate::text::excerpt(&name)
                )));
            }
            let value = reader.next_value_seed(Strict {
                depth,
                budget: self.budget,
            })?;
            members.insert(name, value);
        }
        Ok(Value::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Result<Value, JsonError> {
        parse(text.as_bytes(), JsonLimits::default())
    }

    #[test]
    fn l24_duplicate_keys_are_refused_at_any_depth() {
        for text in [
            r#"{"a":1,"a":1}"#,
            r#"{"method":"ping","method":"tools/call"}"#,
            r#"[{"x":[{"b":1,"c":2,"b":3}]}]"#,
            "{\"a\":1,\"\\u0061\":2}",
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains("given twice"), "{text}: {error}");
        }
        assert!(read(r#"{"a":{"a":{"a":1}},"b":{"a":2}}"#).is_ok());
    }

    #[test]
    fn l24_names_are_compared_byte_for_byte() {
        let value = read(r#"{"method":"a","Method":"b","paramſ":{},"params":{}}"#).unwrap();
        assert_eq!(value["method"], "a");
        assert_eq!(value.as_object().unwrap().len(), 4);
    }

    #[test]
    fn numbers_keep_their_value() {
        for text in [
            "9007199254740993",
            "-9223372036854775808",
            "18446744073709551615",
            "0.1",
            "1.7976931348623157e308",
            "5e-324",
        ] {
            let value = read(text).unwrap();
            let again: f64 = value.to_string().parse().unwrap();
            assert_eq!(again.to_bits(), text.parse::<f64>().unwrap().to_bits());
        }
        assert_eq!(
            read("9007199254740993").unwrap().to_string(),
            "9007199254740993"
        );
        assert!(read("1e400").is_err());
        assert!(read("NaN").is_err());
    }

    #[test]
    fn odd_texts_are_refused() {
        for text in [
            "",
            " ",
            "{} {}",
            "{}x",
            "{'a':1}",
            "{\"a\":1,}",
            "[1 2]",
            "\u{feff}{}",
            "\"\\ud800\"",
            "\"a\nb\"",
            "01",
            "/**/{}",
        ] {
            assert!(read(text).is_err(), "{text:?}");
        }
        assert_eq!(
            parse(b"{\"a\":\"\xff\"}", JsonLimits::default()),
            Err(JsonError::NotUtf8 { at: 6 })
        );
        assert!(parse(b"{\"a\":\0}", JsonLimits::default()).is_err());
    }

    #[test]
    fn depth_and_nodes_are_bounded() {
        let limits = JsonLimits { depth: 3, nodes: 6 };
        assert!(parse(b"[[[1]]]", limits).is_ok());
        assert!(parse(b"[[[[1]]]]", limits).is_err());
        assert!(parse(b"[1,2,3,4,5]", limits).is_ok());
        assert!(parse(b"[1,2,3,4,5,6]", limits).is_err());
        let deep = "[".repeat(1_000_000);
        assert!(read(&deep).is_err());
    }

    #[test]
    fn canonical_form_ignores_order() {
        let one = read(r#"{"b":[1,{"y":1,"x":"\n"}],"a":null}"#).unwrap();
        let two = read(r#"{"a":null,"b":[1,{"x":"\n","y":1}]}"#).unwrap();
        assert_eq!(canonical(&one), canonical(&two));
        assert_eq!(canonical(&one), r#"{"a":null,"b":[1,{"x":"\n","y":1}]}"#);
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic_and_what_parses_is_stable(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(value) = parse(&bytes, JsonLimits::default()) {
                let again = parse(value.to_string().as_bytes(), JsonLimits::default()).unwrap();
                prop_assert_eq!(value, again);
            }
        }
    }
}
