//! Finds texts in a stream in whatever form they may come back.

use std::collections::{BTreeMap, HashSet};

use super::spelling::{DONE, Spellings, Symbol};

/// Partial matches followed at once; only a text that repeats itself comes near it.
const MAX_THREADS: usize = 16 << 10;

/// Texts to be found: as they are, reversed, in either case, escaped for URLs, JSON or HTML, in hexadecimal,
/// and in base64 wherever they begin inside what was encoded.
#[derive(Debug)]
pub(crate) struct Needles {
    spellings: Spellings,
    needles: Vec<Needle>,
    /// By first byte: the needles that may begin with it.
    starts: BTreeMap<u8, Vec<u16>>,
    begins: [bool; 256],
}

#[derive(Debug)]
struct Needle {
    /// Which text.
    of: usize,
    /// The roots of its symbols, one after the other.
    roots: Vec<u16>,
    /// So many symbols make a match; one more is taken along where it is there.
    enough: usize,
}

/// A match that has begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Thread {
    needle: u16,
    symbol: u32,
    node: u16,
}

/// One occurrence, in bytes of the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hit {
    /// Which of the texts.
    pub(crate) of: usize,
    /// Its first byte.
    pub(crate) start: u64,
    /// One past its last.
    pub(crate) end: u64,
}

/// What a search carries from one piece of a stream to the next.
#[derive(Debug, Default)]
pub(crate) struct Search {
    threads: Vec<(Thread, u64)>,
    next: Vec<(Thread, u64)>,
    known: HashSet<Thread>,
    offset: u64,
}

/// The text repeats itself too often to be followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("what came back cannot be searched")]
pub(crate) struct Lost;

impl Needles {
    /// For `texts`, which hits name by their number.
    pub(crate) fn new<'a>(texts: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut all = Self {
            spellings: Spellings::default(),
            needles: Vec::new(),
            starts: BTreeMap::new(),
            begins: [false; 256],
        };
        for (of, text) in texts.into_iter().enumerate() {
            for (symbols, enough) in forms(text) {
                all.add(of, &symbols, enough);
            }
        }
        all
    }

    fn add(&mut self, of: usize, symbols: &[Symbol], enough: usize) {
        let roots: Option<Vec<u16>> = symbols
            .iter()
            .map(|symbol| self.spellings.root(*symbol))
            .collect();
        let (Some(roots), Ok(number)) = (roots, u16::try_from(self.needles.len())) else {
            return;
        };
        let first = roots
            .first()
            .map_or(&[][..], |root| self.spellings.edges(*root));
        for (byte, _) in first.iter().filter(|(byte, _)| !byte.is_ascii_control()) {
            let needles = self.starts.entry(*byte).or_default();
            if !needles.contains(&number) {
                needles.push(number);
            }
            if let Some(begins) = self.begins.get_mut(usize::from(*byte)) {
                *begins = true;
            }
        }
        self.needles.push(Needle { of, roots, enough });
    }

    fn begins(&self, byte: u8) -> bool {
        self.begins.get(usize::from(byte)).copied().unwrap_or(true)
    }

    /// Searches the next piece of a stream. `hit` gets each occurrence as soon as it is whole, and again
    /// where it turns out longer.
    pub(crate) fn search(
        &self,
        search: &mut Search,
        piece: &[u8],
        mut hit: impl FnMut(Hit),
    ) -> Result<(), Lost> {
        let mut rest = piece;
        while !rest.is_empty() {
            if search.threads.is_empty() {
                let skip = rest
                    .iter()
                    .position(|byte| self.begins(*byte))
                    .unwrap_or(rest.len());
                rest = rest.get(skip..).unwrap_or_default();
                search.offset += u64::try_from(skip).unwrap_or(u64::MAX);
            }
            if let Some((byte, after)) = rest.split_first() {
                self.step(search, *byte, &mut hit)?;
                rest = after;
            }
        }
        Ok(())
    }

    fn step(&self, search: &mut Search, byte: u8, hit: &mut impl FnMut(Hit)) -> Result<(), Lost> {
        let Search {
            threads,
            next,
            known,
            offset,
        } = search;
        next.clear();
        known.clear();
        let (now, end) = (*offset, *offset + 1);
        *offset = end;
        let fresh = self.starts.get(&byte).into_iter().flatten().map(|needle| {
            let thread = Thread {
                needle: *needle,
                symbol: 0,
                node: self.root(*needle, 0).unwrap_or(DONE),
            };
            (thread, now)
        });
        // Oldest first, so that of two ways to one state the longer match stays.
        for (thread, start) in threads.drain(..).chain(fresh) {
            for (_, to) in self
                .spellings
                .edges(thread.node)
                .iter()
                .filter(|(on, _)| *on == byte)
            {
                let Some(thread) = self.follow(thread, *to, |of| hit(Hit { of, start, end }))
                else {
                    continue;
                };
                if known.insert(thread) {
                    next.push((thread, start));
                }
            }
        }
        std::mem::swap(threads, next);
        if threads.len() > MAX_THREADS {
            return Err(Lost);
        }
        Ok(())
    }

    fn root(&self, needle: u16, symbol: u32) -> Option<u16> {
        let needle = self.needles.get(usize::from(needle))?;
        needle.roots.get(usize::try_from(symbol).ok()?).copied()
    }

    /// Where a thread goes; none where it ends.
    fn follow(&self, thread: Thread, to: u16, hit: impl FnOnce(usize)) -> Option<Thread> {
        if to != DONE {
            return Some(Thread { node: to, ..thread });
        }
        let symbol = thread.symbol + 1;
        let needle = self.needles.get(usize::from(thread.needle))?;
        if usize::try_from(symbol).is_ok_and(|count| count >= needle.enough) {
            hit(needle.of);
        }
        let node = self.root(thread.needle, symbol)?;
        Some(Thread {
            symbol,
            node,
            ..thread
        })
    }

    /// The first occurrence in a whole text; nothing else is looked for.
    pub(crate) fn find(&self, text: &[u8]) -> Result<Option<usize>, Lost> {
        let mut found = None;
        self.search(&mut Search::default(), text, |hit| {
            found.get_or_insert(hit.of);
        })?;
        Ok(found)
    }
}

impl Search {
    /// Bytes searched so far.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// Where the earliest match begins that is not over; what lies before it is settled.
    pub(crate) fn settled(&self) -> u64 {
        self.threads
            .first()
            .map_or(self.offset, |(_, start)| *start)
    }
}

/// Every form of a text, each with how many of its symbols make a match.
fn forms(text: &[u8]) -> Vec<(Vec<Symbol>, usize)> {
    let plain: Vec<_> = text.iter().map(|byte| Symbol::Byte(*byte)).collect();
    let reversed: Vec<_> = plain.iter().rev().copied().collect();
    let nibbles: Vec<_> = text
        .iter()
        .flat_map(|byte| [Symbol::Nibble(byte >> 4), Symbol::Nibble(byte & 15)])
        .collect();
    let mut forms = Vec::new();
    for symbols in [plain, reversed, nibbles] {
        let enough = symbols.len();
        forms.push((symbols, enough));
    }
    forms.extend((0..3).map(|before| base64(text, before)));
    // A form of no symbols would be found everywhere.
    forms.retain(|(symbols, enough)| !symbols.is_empty() && *enough > 0);
    forms
}

/// The base64 digits that `text` decides where `before` bytes of the same group come before it. The last
/// one, which what follows decides as well, is not needed for a match.
fn base64(text: &[u8], before: usize) -> (Vec<Symbol>, usize) {
    let bit = |at: usize| -> u8 {
        let byte = text.get(at / 8).copied().unwrap_or(0);
        (byte >> (7 - at % 8)) & 1
    };
    // So many bits of the first digit that is wholly decided lie before it.
    let first = (6 - (8 * before) % 6) % 6;
    let bits = 8 * text.len();
    let mut symbols = Vec::new();
    let mut at = first;
    while at < bits {
        let known = (bits - at).min(6);
        let value = (0..6).fold(0, |value, offset| {
            let bit = if offset < known { bit(at + offset) } else { 0 };
            value << 1 | bit
        });
        symbols.push(Symbol::Sextet {
            known: u8::try_from(known).unwrap_or(6),
            value,
        });
        at += 6;
    }
    let whole = bits.saturating_sub(first) / 6;
    (symbols, whole)
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;
    use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};

    const SECRET: &str = "gh\"p_Tok/en+42=z";

    fn found(text: &str) -> bool {
        let needles = Needles::new([SECRET.as_bytes()]);
        needles.find(text.as_bytes()).unwrap().is_some()
    }

    #[test]
    fn every_form_is_found() {
        let percent: String = SECRET.bytes().map(|b| format!("%{b:02X}")).collect();
        let some = SECRET
            .replace('/', "%2f")
            .replace('+', "%2B")
            .replace('=', "%3D");
        let json = serde_json::to_string(SECRET).unwrap();
        for text in [
            SECRET.to_owned(),
            SECRET.to_uppercase(),
            SECRET.chars().rev().collect(),
            percent.clone(),
            percent.to_lowercase(),
            percent.replace('%', "%25"),
            some,
            json.clone(),
            serde_json::to_string(&json).unwrap(),
            SECRET.replace('/', "\\/").replace('"', "\\u0022"),
            SECRET
                .replace('"', "&quot;")
                .replace('+', "&#43;")
                .replace('=', "&#x3D;"),
            hex::encode(SECRET),
            hex::encode_upper(SECRET),
        ] {
            assert!(found(&text), "{text}");
            assert!(found(&format!("ggh\"gh{text}")), "{text}");
        }
        assert!(!found("gh\"p_Tok/en+42=y") && !found("gh\"p_Tok/en+4 2=z"));
    }

    #[test]
    fn base64_is_found_wherever_it_begins() {
        for user in ["", "u", "us", "user:", "someone:", "x:y:"] {
            for after in ["", "!", "!!", "and more"] {
                let text = format!("{user}{SECRET}{after}");
                for encoded in [
                    STANDARD.encode(&text),
                    STANDARD_NO_PAD.encode(&text),
                    URL_SAFE_NO_PAD.encode(&text),
                    STANDARD.encode(&text).replace('/', "\\/"),
                    STANDARD
                        .encode(&text)
                        .replace('/', "%2F")
                        .replace('+', "%2B"),
                ] {
                    assert!(found(&encoded), "{encoded}");
                    let (half, rest) = encoded.split_at(12);
                    assert!(found(&format!("{half}\r\n{rest}")), "{encoded}");
                }
            }
        }
    }

    #[test]
    fn a_text_that_repeats_itself_does_not_stop_the_search() {
        let needles = Needles::new([&[b'a'; 300][..]]);
        let mut search = Search::default();
        let mut hits = 0;
        needles
            .search(&mut search, &[b'a'; 500], |_| hits += 1)
            .unwrap();
        assert!(hits > 0);
        let slashes = Needles::new([&[b'\\'; 40][..]]);
        assert_eq!(slashes.find(&[b'\\'; 200]), Ok(Some(0)));
    }
}
