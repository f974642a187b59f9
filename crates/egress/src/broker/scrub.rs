//! Takes secrets out of what comes back, and puts their placeholders there.

use std::sync::Arc;

use super::needles::{Hit, Lost, Needles, Search};

/// What is looked for, and what stands there afterwards.
#[derive(Debug)]
pub(crate) struct Scrubbed {
    needles: Needles,
    placeholders: Vec<Vec<u8>>,
}

impl Scrubbed {
    /// For pairs of a value and its placeholder.
    pub(crate) fn new<'a>(pairs: impl IntoIterator<Item = (&'a [u8], &'a str)>) -> Self {
        let (values, placeholders): (Vec<_>, Vec<_>) = pairs
            .into_iter()
            .map(|(value, placeholder)| (value, placeholder.as_bytes().to_vec()))
            .unzip();
        Self {
            needles: Needles::new(values),
            placeholders,
        }
    }

    /// The whole of a text without any value; none where it holds none.
    pub(crate) fn whole(self: &Arc<Self>, text: &[u8]) -> Result<Option<Vec<u8>>, Lost> {
        if self.needles.find(text)?.is_none() {
            return Ok(None);
        }
        let mut scrubber = Scrubber::new(self.clone());
        let mut out = Vec::new();
        scrubber.push(text, &mut out)?;
        scrubber.end(&mut out);
        Ok(Some(out))
    }
}

/// Scrubs one stream.
///
/// What may be the beginning of a value is held back until it is known to be none: not one byte of a
/// value leaves. Everything before it goes on at once.
#[derive(Debug)]
pub(crate) struct Scrubber {
    scrubbed: Arc<Scrubbed>,
    search: Search,
    /// What is held back.
    held: Vec<u8>,
    /// Offset of the first byte held back.
    base: u64,
    /// Occurrences that reach beyond `base`, in order, apart from each other.
    regions: Vec<Region>,
}

#[derive(Debug)]
struct Region {
    hit: Hit,
    /// Whether its placeholder is written.
    told: bool,
}

impl Scrubber {
    pub(crate) fn new(scrubbed: Arc<Scrubbed>) -> Self {
        Self {
            scrubbed,
            search: Search::default(),
            held: Vec::new(),
            base: 0,
            regions: Vec::new(),
        }
    }

    /// Takes the next piece; adds to `out` what is settled.
    pub(crate) fn push(&mut self, piece: &[u8], out: &mut Vec<u8>) -> Result<(), Lost> {
        let (base, regions) = (self.base, &mut self.regions);
        self.scrubbed
            .needles
            .search(&mut self.search, piece, |hit| note(regions, hit, base))?;
        self.held.extend_from_slice(piece);
        self.settle(self.search.settled(), out);
        Ok(())
    }

    /// The stream is over: what was held back was no value.
    pub(crate) fn end(&mut self, out: &mut Vec<u8>) {
        self.settle(self.search.offset(), out);
    }

    fn settle(&mut self, settled: u64, out: &mut Vec<u8>) {
        let mut at = self.base;
        let length = |from: u64, to: u64| usize::try_from(to.saturating_sub(from)).unwrap_or(0);
        let mut done = 0;
        for region in &mut self.regions {
            let until = region.hit.start.clamp(at, settled.max(at));
            let from = length(self.base, at);
            out.extend_from_slice(
                self.held
                    .get(from..from + length(at, until))
                    .unwrap_or_default(),
            );
            at = until;
            if region.hit.start > at {
                break;
            }
            // What lies inside is dropped at once, so that nothing piles up where values follow each other.
            if !region.told {
                let placeholder = self.scrubbed.placeholders.get(region.hit.of);
                out.extend_from_slice(placeholder.map_or(&[], Vec::as_slice));
                region.told = true;
            }
            at = at.max(region.hit.end);
            if region.hit.end <= settled {
                done += 1;
            }
        }
        self.regions.drain(..done);
        if self.regions.is_empty() && at < settled {
            let from = length(self.base, at);
            out.extend_from_slice(
                self.held
                    .get(from..from + length(at, settled))
                    .unwrap_or_default(),
            );
            at = settled;
        }
        self.held
            .drain(..length(self.base, at).min(self.held.len()));
        self.base = at;
    }
}

/// Joins an occurrence with those that it touches or overlaps.
fn note(regions: &mut Vec<Region>, hit: Hit, base: u64) {
    let mut joined = Region { hit, told: false };
    while let Some(last) = regions.last() {
        if last.hit.end <= joined.hit.start {
            break;
        }
        if last.hit.start <= joined.hit.start {
            joined.hit.of = last.hit.of;
        }
        joined.told |= last.told;
        joined.hit.start = joined.hit.start.min(last.hit.start);
        joined.hit.end = joined.hit.end.max(last.hit.end);
        regions.pop();
    }
    // An occurrence that began inside one whose bytes are gone goes on from there.
    joined.hit.start = joined.hit.start.max(base.min(joined.hit.end));
    regions.push(joined);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECRET: &[u8] = b"ghp_4242424242abcab";
    const PLACEHOLDER: &str = "bw_placeholder";

    fn scrubbed() -> Arc<Scrubbed> {
        Arc::new(Scrubbed::new([(SECRET, PLACEHOLDER)]))
    }

    fn in_pieces(text: &[u8], pieces: &[usize]) -> Vec<u8> {
        let mut scrubber = Scrubber::new(scrubbed());
        let (mut out, mut rest) = (Vec::new(), text);
        for size in pieces.iter().chain(std::iter::repeat(&usize::MAX)) {
            let (piece, after) = rest.split_at((*size).min(rest.len()));
            scrubber.push(piece, &mut out).unwrap();
            rest = after;
            if rest.is_empty() {
                break;
            }
        }
        scrubber.end(&mut out);
        out
    }

    #[test]
    fn nothing_of_a_value_leaves_before_it_is_known() {
        let mut scrubber = Scrubber::new(scrubbed());
        let mut out = Vec::new();
        for byte in SECRET {
            scrubber.push(&[*byte], &mut out).unwrap();
        }
        assert_eq!(out, PLACEHOLDER.as_bytes());
        scrubber.push(b"\n\n", &mut out).unwrap();
        assert_eq!(out, [PLACEHOLDER.as_bytes(), b"\n\n"].concat());
    }

    #[test]
    fn ordinary_text_goes_on_at_once() {
        let mut scrubber = Scrubber::new(scrubbed());
        let mut out = Vec::new();
        scrubber
            .push(b"data: ghp_ is a prefix\n\n", &mut out)
            .unwrap();
        assert_eq!(out, b"data: ghp_ is a prefix\n\n");
    }

    #[test]
    fn occurrences_that_overlap_are_all_taken_out() {
        // The value ends as it begins with `ab`-like parts; here the second begins inside the first.
        let scrubbed = Arc::new(Scrubbed::new([(&b"abcab"[..], "P")]));
        let mut scrubber = Scrubber::new(scrubbed.clone());
        let mut out = Vec::new();
        for byte in b"xabcabcaby abcab" {
            scrubber.push(&[*byte], &mut out).unwrap();
        }
        scrubber.end(&mut out);
        assert_eq!(String::from_utf8(out).unwrap(), "xPy P");
        let endless = Arc::new(Scrubbed::new([(&b"aaaa"[..], "P")]));
        let mut scrubber = Scrubber::new(endless);
        let mut out = Vec::new();
        for _ in 0..100 {
            scrubber.push(&[b'a'; 100], &mut out).unwrap();
            assert!(
                scrubber.held.len() < 10,
                "what is replaced does not pile up"
            );
        }
        scrubber.end(&mut out);
        assert!(!out.contains(&b'a'), "{out:?}");
    }

    proptest! {
        #[test]
        fn no_cut_lets_a_value_through(
            parts in prop::collection::vec(
                prop_oneof![
                    Just(SECRET.to_vec()),
                    Just(b"ghp_42".to_vec()),
                    Just(b"bacba2424".to_vec()),
                    "[a-h4_2\\n%&]{0,8}".prop_map(String::into_bytes),
                ],
                0..8,
            ),
            pieces in prop::collection::vec(1_usize..9, 0..40),
        ) {
            let text = parts.concat();
            let out = in_pieces(&text, &pieces);
            prop_assert!(!out.windows(SECRET.len()).any(|window| window == SECRET));
            prop_assert_eq!(&out, &in_pieces(&text, &[]), "cuts change nothing");
            let holds = text.to_ascii_lowercase().windows(SECRET.len()).any(|window| {
                window == SECRET || window.iter().rev().eq(SECRET.iter())
            });
            if !holds {
                prop_assert_eq!(out, text);
            }
        }
    }
}
