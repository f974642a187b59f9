//! Ruling entries out by their bytes alone, so that most need not be parsed.
//!
//! Sound by construction: an entry is ruled out only where no reading of its bytes could match. What the values of a
//! filter are must stand in the JSON as our own writer writes strings; an entry with any escape, or with sealed values
//! that were opened, may spell them otherwise and is read.

use bailiwick_capability::Kind;
use memchr::memmem::Finder;
use serde::de::IgnoredAny;

use super::bundle::Sealed;
use super::filter::{EVENT_KINDS, Filter};
use crate::event::Outcome;
use crate::openings::Opening;

/// How every entry of our own writer begins, up to its version's digit.
const HEAD: &[u8] = b"{\"v\":";
const BEFORE_TIME: &[u8] = b",\"time\":\"";
const TIME_BYTES: usize = 24;
const BEFORE_KIND: &[u8] = b"\"event\":{\"kind\":\"";
/// What a sealed value begins with.
const SEALED: &[u8] = b"\"sealed:";

/// What must stand in the bytes of an entry for a filter to match it.
#[derive(Debug)]
pub(crate) struct Needles {
    /// Of each group one must be there.
    groups: Vec<Group>,
    text: Option<Text>,
    since: Option<String>,
    until: Option<String>,
    sealed: Finder<'static>,
}

/// One of these strings must be there.
#[derive(Debug)]
struct Group {
    /// As they stand in a leaf.
    any: Vec<Finder<'static>>,
    /// As they stand in an opened value; none for what is never sealed.
    opened: Vec<Finder<'static>>,
}

/// What the openings of a bundle may hold, found out once for all its entries.
#[derive(Debug)]
pub(crate) struct View {
    groups: Vec<bool>,
    text: bool,
}

#[derive(Debug)]
struct Text {
    text: String,
    lower: String,
    /// It may begin in one string and end in another.
    crosses: bool,
    ignore_case: bool,
    finder: Finder<'static>,
}

impl Needles {
    pub(crate) fn of(filter: &Filter) -> Self {
        let mut groups = Vec::new();
        let values = [&filter.plugin, &filter.user, &filter.agent, &filter.tool];
        for value in values.into_iter().flatten() {
            groups.push(Group::value(&quoted(value), value));
        }
        if let Some(session) = &filter.session {
            // The beginning of an id: without the closing quote.
            let text = quoted(session);
            groups.push(Group::value(
                text.strip_suffix('"').unwrap_or(&text),
                session,
            ));
        }
        if let Some(kind) = &filter.kind {
            groups.push(Group::names([quoted(kind)]));
        }
        match filter.decision {
            Some(Outcome::Grant) => groups.push(Group::names(["\"grant\"", "_allowed\""])),
            Some(Outcome::Deny) => {
                groups.push(Group::names(["\"deny\"", "_refused\"", "_denied\""]))
            }
            Some(other) => groups.push(Group::names([quoted(other.as_str())])),
            None => {}
        }
        if let Some(concern) = &filter.capability {
            let names: Vec<_> = concern.kinds().into_iter().flat_map(names_of).collect();
            groups.push(Group {
                any: names.iter().map(finder).collect(),
                opened: names.iter().map(finder).collect(),
            });
        }
        Self {
            groups,
            text: filter
                .text
                .as_deref()
                .map(|text| Text::of(text, filter.ignore_case)),
            since: filter.since.clone(),
            until: filter.until.clone(),
            sealed: Finder::new(SEALED),
        }
    }

    /// Looks at a bundle's openings.
    pub(crate) fn view(&self, sealed: &Sealed<'_>) -> View {
        let may_hold = |group: &Group| group.opened.iter().any(|name| sealed.may_hold(name));
        View {
            groups: self.groups.iter().map(may_hold).collect(),
            text: !sealed.is_empty(),
        }
    }

    /// Whether the entry in these bytes, which are those of its leaf, cannot match whatever of the bundle's openings are
    /// its own, and is one that we can read.
    pub(crate) fn rule_out(&self, leaf: &[u8], view: &View, lower: &mut Vec<u8>) -> bool {
        let opened = |group: usize| view.groups.get(group).copied().unwrap_or(true);
        (self.out_of_time(leaf)
            || self.lacks_a_value(leaf, opened)
            || self.lacks_the_text(leaf, lower, |_| view.text))
            && is_plainly_an_entry(leaf)
    }

    /// The same, with the entry's own openings.
    pub(crate) fn rule_out_opened(
        &self,
        leaf: &[u8],
        own: &[Opening],
        lower: &mut Vec<u8>,
    ) -> bool {
        let opened = |group: usize| {
            self.groups.get(group).is_none_or(|group| {
                let holds = |name: &Finder<'_>| {
                    own.iter()
                        .any(|opening| name.find(opening.value().as_bytes()).is_some())
                };
                group.opened.iter().any(holds)
            })
        };
        let text = |text: &Text| own.iter().any(|opening| text.may_stand_in(opening.value()));
        (self.lacks_a_value(leaf, opened) || self.lacks_the_text(leaf, lower, text))
            && is_plainly_an_entry(leaf)
    }

    fn out_of_time(&self, leaf: &[u8]) -> bool {
        if self.since.is_none() && self.until.is_none() {
            return false;
        }
        let Some(time) = time(leaf) else {
            return false;
        };
        self.since
            .as_ref()
            .is_some_and(|since| time < since.as_bytes())
            || self
                .until
                .as_ref()
                .is_some_and(|until| time >= until.as_bytes())
    }

    fn lacks_a_value(&self, leaf: &[u8], opened: impl Fn(usize) -> bool) -> bool {
        let absent =
            |(_, group): &(usize, &Group)| group.any.iter().all(|name| name.find(leaf).is_none());
        let mut absent = self.groups.iter().enumerate().filter(absent).peekable();
        absent.peek().is_some()
            && memchr::memchr(b'\\', leaf).is_none()
            && absent.any(|(place, group)| {
                group.opened.is_empty() || self.sealed.find(leaf).is_none() || !opened(place)
            })
    }

    fn lacks_the_text(
        &self,
        leaf: &[u8],
        lower: &mut Vec<u8>,
        opened: impl Fn(&Text) -> bool,
    ) -> bool {
        self.text.as_ref().is_some_and(|text| {
            // With opened values it is shown as our writer spells it, so otherwise spelt bytes say nothing.
            !text.stands_in(leaf, lower)
                && (self.sealed.find(leaf).is_none()
                    || (memchr::memchr(b'\\', leaf).is_none() && !is_spaced(leaf) && !opened(text)))
        })
    }
}

impl Group {
    fn value(needle: &str, value: &str) -> Self {
        Self {
            any: vec![finder(needle)],
            opened: vec![finder(value)],
        }
    }

    fn names<T: AsRef<str>>(names: impl IntoIterator<Item = T>) -> Self {
        Self {
            any: names.into_iter().map(finder).collect(),
            opened: Vec::new(),
        }
    }
}

impl Text {
    fn of(text: &str, ignore_case: bool) -> Self {
        let lower = text.to_lowercase();
        let finder = finder(if ignore_case { &lower } else { text });
        Self {
            text: text.to_owned(),
            lower,
            crosses: text.contains('"'),
            ignore_case,
            finder,
        }
    }

    fn stands_in(&self, leaf: &[u8], scratch: &mut Vec<u8>) -> bool {
        if !self.ignore_case {
            return self.finder.find(leaf).is_some();
        }
        if leaf.is_ascii() {
            scratch.clear();
            scratch.extend_from_slice(leaf);
            scratch.make_ascii_lowercase();
            return self.finder.find(scratch).is_some();
        }
        String::from_utf8_lossy(leaf)
            .to_lowercase()
            .contains(&self.lower)
    }

    /// Whether it may stand in the JSON of an entry in which this value is opened, and did not before.
    fn may_stand_in(&self, value: &str) -> bool {
        let json = quoted(value);
        self.crosses
            || if self.ignore_case {
                json.to_lowercase().contains(&self.lower)
            } else {
                json.contains(&self.text)
            }
    }
}

fn finder(needle: impl AsRef<str>) -> Finder<'static> {
    Finder::new(needle.as_ref().as_bytes()).into_owned()
}

/// A string as our writer puts it into JSON.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// What an entry that names an atom of this kind holds. Of secrets and connections their own events tell as well.
fn names_of(kind: Kind) -> Vec<String> {
    let mut names = vec![kind.as_str().to_owned()];
    if matches!(kind, Kind::UseSecret | Kind::NetworkAccess) {
        names.push("\"secret_".to_owned());
    }
    names
}

/// The time of an entry that begins as our writer lets it begin.
pub(crate) fn time(leaf: &[u8]) -> Option<&[u8]> {
    let rest = after_version(leaf)?.strip_prefix(BEFORE_TIME)?;
    let (time, rest) = rest.split_at_checked(TIME_BYTES)?;
    (rest.starts_with(b"\"") && memchr::memchr2(b'\\', b'"', time).is_none()).then_some(time)
}

fn after_version(leaf: &[u8]) -> Option<&[u8]> {
    let (version, rest) = leaf.strip_prefix(HEAD)?.split_first()?;
    let version = u32::from(version.checked_sub(b'0')?);
    (1..=crate::ENTRY_VERSION)
        .contains(&version)
        .then_some(rest)
}

/// Whether there may be white space between the parts of this JSON. Our writer puts none there.
fn is_spaced(leaf: &[u8]) -> bool {
    let between = |byte: Option<&u8>| byte.is_none_or(|byte| b"{}[],:".contains(byte));
    let other = memchr::memchr3(b'\n', b'\t', b'\r', leaf).is_some();
    other
        || memchr::memchr_iter(b' ', leaf).any(|at| {
            let before = at.checked_sub(1).and_then(|before| leaf.get(before));
            between(before) || between(leaf.get(at + 1))
        })
}

/// Whether these bytes are JSON that begins with a version which we read and holds a kind of event which we know.
/// What is not is parsed in full, to be found wanting and shown.
fn is_plainly_an_entry(leaf: &[u8]) -> bool {
    let Some(text) = time(leaf).and_then(|_| std::str::from_utf8(leaf).ok()) else {
        return false;
    };
    let kind = text.split_once(std::str::from_utf8(BEFORE_KIND).unwrap_or_default());
    let kind = kind.and_then(|(_, rest)| rest.split_once('"'));
    kind.is_some_and(|(kind, _)| EVENT_KINDS.contains(&kind))
        && serde_json::from_str::<IgnoredAny>(text).is_ok()
}
