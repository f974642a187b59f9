//! The text of the store: JSON, sealed in a file or kept in the keyring, and never written otherwise.

use std::io::{Cursor, Write as _};

use bailiwick_capability::NetScope;
use bailiwick_wall::{Binding, MAX_SECRET, Place, SecretValue};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::binding;

/// The version that is written and read.
const VERSION: u32 = 1;
/// The most secrets of one store.
pub(crate) const MAX_SECRETS: usize = 1000;
/// Longest text, in bytes.
pub(crate) const MAX_TEXT: u64 = 32 << 20;

/// One secret of the store.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    pub(crate) name: String,
    /// RFC 3339 in UTC.
    pub(crate) set: String,
    pub(crate) binding: Binding,
    pub(crate) value: SecretValue,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document<'a> {
    v: u32,
    #[serde(borrow)]
    secrets: Vec<Line<'a>>,
}

/// `value` is borrowed both ways, so that no copy of it is made that nobody wipes.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<'a> {
    name: String,
    set: String,
    to: Vec<String>,
    places: Vec<String>,
    variable: String,
    /// Base64 (RFC 4648 §4): a secret need not be text.
    value: &'a str,
}

/// Writes secrets; wiped when dropped.
///
/// # Errors
/// A sentence: too many, or too long altogether.
pub(crate) fn encode(secrets: &[Kept]) -> Result<Zeroizing<Vec<u8>>, String> {
    if secrets.len() > MAX_SECRETS {
        return Err(format!(
            "holds at most {MAX_SECRETS} secrets: remove some with `bailiwick secret rm`"
        ));
    }
    let values: Vec<Zeroizing<String>> =
        secrets.iter().map(|kept| as_base64(&kept.value)).collect();
    let lines = secrets.iter().zip(&values).map(|(kept, value)| Line {
        name: kept.name.clone(),
        set: kept.set.clone(),
        to: kept.binding.to.iter().map(ToString::to_string).collect(),
        places: kept
            .binding
            .places
            .iter()
            .map(ToString::to_string)
            .collect(),
        variable: kept.binding.variable.clone(),
        value,
    });
    let document = Document {
        v: VERSION,
        secrets: lines.collect(),
    };
    // Sized beforehand: a buffer that grows leaves copies behind.
    let mut text = Zeroizing::new(vec![0; size(&document)?]);
    let mut room = Cursor::new(text.as_mut_slice());
    serde_json::to_writer(&mut room, &document)
        .map_err(|_| "cannot be written: a binding is too long".to_owned())?;
    let written = usize::try_from(room.position()).unwrap_or_default();
    text.truncate(written);
    Ok(text)
}

/// Bytes of the text, by writing it to nowhere.
fn size(document: &Document<'_>) -> Result<usize, String> {
    struct Count(usize);
    impl std::io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    let counted = serde_json::to_writer(&mut count, document)
        .and_then(|()| count.flush().map_err(serde_json::Error::io));
    if counted.is_err() || u64::try_from(count.0).unwrap_or(u64::MAX) > MAX_TEXT {
        return Err(format!(
            "holds at most {MAX_TEXT} bytes: remove some secrets"
        ));
    }
    Ok(count.0)
}

fn as_base64(value: &SecretValue) -> Zeroizing<String> {
    let bytes = value.expose();
    let mut text = Zeroizing::new(String::with_capacity(bytes.len().div_ceil(3) * 4));
    STANDARD.encode_string(bytes, &mut text);
    text
}

/// Reads what [`encode`] wrote, and nothing else.
///
/// # Errors
/// A sentence that quotes nothing of the text.
pub(crate) fn decode(text: &[u8]) -> Result<Vec<Kept>, String> {
    // Serde's own words may quote what they complain about.
    let document: Document<'_> = serde_json::from_slice(text).map_err(|error| {
        format!(
            "does not hold secrets as we write them (line {}, column {})",
            error.line(),
            error.column()
        )
    })?;
    if document.v != VERSION {
        return Err(format!(
            "is of version {}, and this is a `bailiwick` that reads {VERSION}: use the one that wrote it",
            document.v
        ));
    }
    if document.secrets.len() > MAX_SECRETS {
        return Err(format!("holds more than {MAX_SECRETS} secrets"));
    }
    let kept: Vec<Kept> = document
        .secrets
        .iter()
        .enumerate()
        .map(|(at, line)| {
            line.read()
                .ok_or_else(|| format!("holds a secret (the {}. one) that cannot be", at + 1))
        })
        .collect::<Result<_, _>>()?;
    let mut names: Vec<&str> = kept.iter().map(|kept| kept.name.as_str()).collect();
    names.sort_unstable();
    if names.windows(2).any(|pair| pair.first() == pair.last()) {
        return Err("holds two secrets of one name".to_owned());
    }
    Ok(kept)
}

impl Line<'_> {
    fn read(&self) -> Option<Kept> {
        binding::name(&self.name).ok()?;
        let to = self.to.iter().map(|to| NetScope::parse(to).ok());
        let places = self.places.iter().map(|place| place.parse::<Place>().ok());
        let binding = Binding {
            to: to.collect::<Option<_>>()?,
            places: places.collect::<Option<_>>()?,
            variable: self.variable.clone(),
        };
        let mut bytes = Zeroizing::new(vec![0; self.value.len() / 4 * 3 + 3]);
        let length = STANDARD.decode_slice(self.value, &mut bytes).ok()?;
        if length > MAX_SECRET {
            return None;
        }
        bytes.truncate(length);
        Some(Kept {
            name: self.name.clone(),
            set: self.set.clone(),
            binding: binding::checked(binding).ok()?,
            value: SecretValue::new(std::mem::take(&mut bytes)).ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(name: &str, value: &[u8]) -> Kept {
        Kept {
            name: name.to_owned(),
            set: "2026-11-23T15:04:05Z".to_owned(),
            binding: Binding {
                to: vec![NetScope::parse("https://api.example.com/v1/ GET").unwrap()],
                places: binding::default_places(),
                variable: "TOKEN".to_owned(),
            },
            value: SecretValue::new(value.to_vec()).unwrap(),
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let all = [
            kept("a", b"one"),
            kept("team/b", &[0xff, 0x80, b'"']),
            kept("c", &vec![b'x'; MAX_SECRET]),
        ];
        let read = decode(&encode(&all).unwrap()).unwrap();
        assert_eq!(read.len(), 3);
        for (read, all) in read.iter().zip(&all) {
            assert_eq!(
                (&read.name, &read.set, &read.binding),
                (&all.name, &all.set, &all.binding)
            );
            assert_eq!(read.value.expose(), all.value.expose());
        }
        assert!(decode(&encode(&[]).unwrap()).unwrap().is_empty());
    }

    #[test]
    fn l35_what_cannot_be_read_is_not_quoted() {
        let whole = String::from_utf8(encode(&[kept("a", b"one")]).unwrap().to_vec()).unwrap();
        let canary = "Y2FuYXJ5";
        let spoiled = [
            whole.replace("b25l", &format!("{canary}\\u0041")),
            whole.replace("\"b25l\"", &format!("[\"{canary}\"]")),
            whole.replace("\"v\":1", &format!("\"v\":\"{canary}\"")),
            whole.replace("\"v\":1", "\"v\":2"),
            whole.replace("\"name\"", &format!("\"{canary}\"")),
            whole.replace("https", "http"),
            whole.replace("\"a\"", "\"*\""),
            whole.replace("basic", "cookie"),
            whole.replace("b25l", "b25"),
            whole.replace("b25l", "Cg=="),
            format!("{whole}{canary}"),
            canary.to_owned(),
        ];
        for text in spoiled {
            let error = decode(text.as_bytes()).expect_err(&text);
            assert!(!error.contains(canary) && !error.contains("b25"), "{error}");
        }
    }

    #[test]
    fn two_of_one_name_are_refused() {
        let text = encode(&[kept("a", b"one"), kept("b", b"two"), kept("a", b"three")]).unwrap();
        assert!(decode(&text).unwrap_err().contains("one name"));
    }

    #[test]
    fn there_is_a_bound() {
        let many: Vec<Kept> = (0..=MAX_SECRETS)
            .map(|n| kept(&n.to_string(), b"x"))
            .collect();
        assert!(encode(&many).unwrap_err().contains("secret rm"));
        let long = vec![b'x'; MAX_SECRET];
        let large: Vec<Kept> = (0..400).map(|n| kept(&n.to_string(), &long)).collect();
        assert!(encode(&large).is_err());
    }
}
