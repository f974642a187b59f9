//! Which values of a tool call a binding means.

use std::fmt;

use serde_json::Value;

/// Longer pointers are refused.
const MAX_SEGMENTS: usize = 16;

/// One step into a call's arguments.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Segment {
    /// A member of an object, or an index of an array.
    Member(String),
    /// Every item of an array, every value of an object (`*`).
    Each,
}

/// A path into the arguments of a tool call: `path`, or a JSON pointer (RFC 6901) such as `/edits/0/path`, in which a
/// segment `*` means every item.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ArgumentPath(Vec<Segment>);

impl ArgumentPath {
    /// Reads a bare argument name or a pointer.
    ///
    /// # Errors
    /// An empty one, a wrong `~` escape, more than 16 segments: the reason as a sentence.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let Some(pointer) = text.strip_prefix('/') else {
            return match text {
                "" => Err("an argument's name is empty"),
                "*" => Ok(Self(vec![Segment::Each])),
                name => Ok(Self(vec![Segment::Member(name.to_owned())])),
            };
        };
        let segments = pointer
            .split('/')
            .map(segment)
            .collect::<Result<Vec<_>, _>>()?;
        if segments.len() > MAX_SEGMENTS {
            return Err("a pointer has more than 16 segments");
        }
        Ok(Self(segments))
    }

    /// The steps, never empty.
    #[must_use]
    pub fn segments(&self) -> &[Segment] {
        &self.0
    }

    /// Every value that the path means in `arguments`; empty when the argument is absent.
    ///
    /// A caller must refuse values that are not strings: a binding that cannot be checked is not fulfilled.
    #[must_use]
    pub fn select<'a>(&self, arguments: &'a Value) -> Vec<&'a Value> {
        self.0.iter().fold(vec![arguments], |found, segment| {
            found
                .into_iter()
                .flat_map(|value| step(value, segment))
                .collect()
        })
    }
}

fn segment(text: &str) -> Result<Segment, &'static str> {
    if text == "*" {
        return Ok(Segment::Each);
    }
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, c == '~') {
            (_, false) => plain.push(c),
            (_, true) => match chars.next() {
                Some('0') => plain.push('~'),
                Some('1') => plain.push('/'),
                _ => return Err("`~` in a pointer is written `~0`, `/` is written `~1`"),
            },
        }
    }
    Ok(Segment::Member(plain))
}

fn step<'a>(value: &'a Value, segment: &Segment) -> Vec<&'a Value> {
    match (value, segment) {
        (Value::Object(members), Segment::Member(name)) => members.get(name).into_iter().collect(),
        (Value::Object(members), Segment::Each) => members.values().collect(),
        (Value::Array(items), Segment::Each) => items.iter().collect(),
        (Value::Array(items), Segment::Member(index)) => index
            .parse::<usize>()
            .ok()
            .and_then(|index| items.get(index))
            .into_iter()
            .collect(),
        _ => Vec::new(),
    }
}

impl fmt::Display for ArgumentPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|segment| match segment {
            Segment::Each => f.write_str("/*"),
            Segment::Member(name) => {
                write!(f, "/{}", name.replace('~', "~0").replace('/', "~1"))
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn names_and_pointers_select_what_they_mean() {
        let call =
            json!({"path": "/a", "paths": ["/b", "/c"], "nested": {"x/y": {"p": "/d"}}, "n": 3});
        let select = |path: &str| -> Vec<Value> {
            ArgumentPath::parse(path)
                .expect("a path")
                .select(&call)
                .into_iter()
                .cloned()
                .collect()
        };
        assert_eq!(select("path"), [json!("/a")]);
        assert_eq!(select("/paths/*"), [json!("/b"), json!("/c")]);
        assert_eq!(select("/paths/1"), [json!("/c")]);
        assert_eq!(select("/nested/x~1y/p"), [json!("/d")]);
        assert_eq!(select("/nested/*/p"), [json!("/d")]);
        assert_eq!(
            select("n"),
            [json!(3)],
            "the caller refuses what is no string"
        );
        assert!(select("absent").is_empty());
        assert!(select("/path/deeper").is_empty());
    }

    #[test]
    fn wrong_pointers_are_refused() {
        assert!(ArgumentPath::parse("").is_err());
        assert!(ArgumentPath::parse("/a~2").is_err());
        assert!(ArgumentPath::parse("/a~").is_err());
        assert!(ArgumentPath::parse(&"/a".repeat(17)).is_err());
    }

    #[test]
    fn what_is_printed_reads_back() {
        for text in ["path", "/a/*/b", "/x~1y/~0", "/"] {
            let path = ArgumentPath::parse(text).expect("a path");
            assert_eq!(ArgumentPath::parse(&path.to_string()), Ok(path));
        }
    }
}
