//! How servers spell a byte: as it is, or escaped for a URL, JSON, HTML or source text.

use std::collections::HashMap;

/// Where a spelling ends.
pub(super) const DONE: u16 = u16::MAX;

/// One symbol of what is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Symbol {
    /// This byte, in either case and however escaped.
    Byte(u8),
    /// A base64 digit (RFC 4648 §4, §5) whose first `known` bits are those of `value`.
    Sextet {
        /// How many of the six bits are known: 2, 4 or 6.
        known: u8,
        /// The six bits; those not known are 0.
        value: u8,
    },
    /// A hexadecimal digit.
    Nibble(u8),
}

/// Small tries that read one symbol each, in one arena.
#[derive(Debug, Default)]
pub(super) struct Spellings {
    nodes: Vec<Vec<(u8, u16)>>,
    roots: HashMap<Symbol, u16>,
}

impl Spellings {
    /// The node at which reading `symbol` begins; none where the arena is full, which no set of symbols reaches.
    pub(super) fn root(&mut self, symbol: Symbol) -> Option<u16> {
        if let Some(root) = self.roots.get(&symbol) {
            return Some(*root);
        }
        let root = self.node()?;
        for spelling in spellings(symbol) {
            self.insert(root, &spelling)?;
        }
        if let Symbol::Byte(byte) = symbol {
            self.insert_backslashes(root, byte)?;
        } else {
            self.insert_line_break(root)?;
        }
        self.roots.insert(symbol, root);
        Some(root)
    }

    /// What may follow a node.
    pub(super) fn edges(&self, node: u16) -> &[(u8, u16)] {
        self.nodes.get(usize::from(node)).map_or(&[], Vec::as_slice)
    }

    fn node(&mut self) -> Option<u16> {
        let number = u16::try_from(self.nodes.len()).ok()?;
        self.nodes.push(Vec::new());
        (number != DONE).then_some(number)
    }

    fn edge(&mut self, from: u16, byte: u8, to: u16) {
        if let Some(edges) = self.nodes.get_mut(usize::from(from)) {
            edges.push((byte, to));
        }
    }

    /// Adds one way; both cases of letters.
    fn insert(&mut self, root: u16, spelling: &[Cased]) -> Option<()> {
        let mut at = root;
        for (number, cased) in spelling.iter().enumerate() {
            let next = if number + 1 == spelling.len() {
                DONE
            } else {
                let shared = self
                    .edges(at)
                    .iter()
                    .find(|(byte, to)| *byte == cased.lower && *to != DONE);
                match shared {
                    Some((_, to)) => *to,
                    None => self.node()?,
                }
            };
            for byte in cased.both() {
                if !self.edges(at).contains(&(byte, next)) {
                    self.edge(at, byte, next);
                }
            }
            at = next;
        }
        Some(())
    }

    /// `\"`, `\/`, `\u0041`, `\x41`, with any number of back-slashes: JSON inside JSON.
    fn insert_backslashes(&mut self, root: u16, byte: u8) -> Option<()> {
        let slash = self.node()?;
        self.edge(root, b'\\', slash);
        self.edge(slash, b'\\', slash);
        if matches!(byte, b'"' | b'\'' | b'/' | b'\\') {
            self.edge(slash, byte, DONE);
        }
        for escape in [format!("u00{byte:02x}"), format!("x{byte:02x}")] {
            self.insert(slash, &exactly_or_upper(&escape))?;
        }
        Some(())
    }

    /// One line break may stand before a base64 or hexadecimal digit (RFC 2045 §6.8).
    fn insert_line_break(&mut self, root: u16) -> Option<()> {
        let (after, carriage) = (self.node()?, self.node()?);
        for (byte, to) in self.edges(root).to_vec() {
            self.edge(after, byte, to);
        }
        self.edge(root, b'\n', after);
        self.edge(root, b'\r', carriage);
        self.edge(carriage, b'\n', after);
        Some(())
    }
}

/// One byte of a spelling; a letter in either case, or exactly.
#[derive(Debug, Clone, Copy)]
struct Cased {
    lower: u8,
    upper: u8,
}

impl Cased {
    fn both(self) -> impl Iterator<Item = u8> {
        std::iter::once(self.lower).chain((self.upper != self.lower).then_some(self.upper))
    }
}

fn exactly_or_upper(text: &str) -> Vec<Cased> {
    let cased = |byte: u8| Cased {
        lower: byte.to_ascii_lowercase(),
        upper: byte.to_ascii_uppercase(),
    };
    text.bytes().map(cased).collect()
}

fn exactly(byte: u8) -> Vec<Cased> {
    vec![Cased {
        lower: byte,
        upper: byte,
    }]
}

fn spellings(symbol: Symbol) -> Vec<Vec<Cased>> {
    match symbol {
        Symbol::Byte(byte) => byte_spellings(byte),
        Symbol::Nibble(nibble) => {
            let digit = char::from_digit(u32::from(nibble), 16).unwrap_or('0');
            vec![exactly_or_upper(&digit.to_string())]
        }
        Symbol::Sextet { known, value } => {
            let unknown = 6_u8.saturating_sub(known);
            (0..1_u8 << unknown)
                .flat_map(|low| sextet_spellings(value | low))
                .collect()
        }
    }
}

fn byte_spellings(byte: u8) -> Vec<Vec<Cased>> {
    let mut texts = vec![
        format!("%{byte:02x}"),
        format!("%25{byte:02x}"),
        format!("&#{byte};"),
        format!("&#{byte:03};"),
        format!("&#x{byte:x};"),
        format!("&#x{byte:02x};"),
    ];
    texts.dedup();
    let named: &[&str] = match byte {
        b'&' => &["&amp;"],
        b'<' => &["&lt;"],
        b'>' => &["&gt;"],
        b'"' => &["&quot;"],
        b'\'' => &["&apos;"],
        b' ' => &["+"],
        _ => &[],
    };
    let mut all: Vec<_> = texts.iter().map(|text| exactly_or_upper(text)).collect();
    all.extend(named.iter().map(|text| exactly_or_upper(text)));
    all.push(vec![Cased {
        lower: byte.to_ascii_lowercase(),
        upper: byte.to_ascii_uppercase(),
    }]);
    all
}

fn sextet_spellings(value: u8) -> Vec<Vec<Cased>> {
    match value {
        0..=25 => vec![exactly(b'A' + value)],
        26..=51 => vec![exactly(b'a' + (value - 26))],
        52..=61 => vec![exactly(b'0' + (value - 52))],
        62 => vec![exactly(b'+'), exactly(b'-'), exactly_or_upper("%2b")],
        _ => vec![
            exactly(b'/'),
            exactly(b'_'),
            exactly_or_upper("%2f"),
            exactly_or_upper("\\/"),
        ],
    }
}
