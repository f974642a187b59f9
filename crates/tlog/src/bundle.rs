//! Entry bundles: big-endian u16 length before each entry (C2SP tlog-tiles, "Log entries").

/// Longest entry that a bundle's length prefix can carry, in bytes.
pub const MAX_ENTRY_BYTES: usize = u16::MAX as usize;

/// What keeps bytes from being a bundle, or an entry from being put into one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// The entry does not fit the u16 prefix.
    #[error("an entry of {bytes} bytes does not fit a bundle: the limit is {MAX_ENTRY_BYTES}")]
    EntryTooLong {
        /// Its length.
        bytes: usize,
    },
    /// The bytes end inside a length prefix or inside an entry.
    #[error("the bundle ends inside entry {position} (counted from 0)")]
    CutShort {
        /// Which entry of the bundle, from 0.
        position: usize,
    },
}

/// Appends `entry` with its length prefix to `bundle`.
///
/// # Errors
/// [`BundleError::EntryTooLong`] above [`MAX_ENTRY_BYTES`]; `bundle` is then unchanged.
pub fn encode_entry(entry: &[u8], bundle: &mut Vec<u8>) -> Result<(), BundleError> {
    let length =
        u16::try_from(entry.len()).map_err(|_| BundleError::EntryTooLong { bytes: entry.len() })?;
    bundle.extend_from_slice(&length.to_be_bytes());
    bundle.extend_from_slice(entry);
    Ok(())
}

/// Splits a bundle into its entries, in order. How many there should be is the caller's to check.
///
/// # Errors
/// [`BundleError::CutShort`] when the bytes end inside an entry.
pub fn decode_bundle(mut bytes: &[u8]) -> Result<Vec<&[u8]>, BundleError> {
    let mut entries = Vec::new();
    while !bytes.is_empty() {
        let cut_short = BundleError::CutShort {
            position: entries.len(),
        };
        let Some((length, rest)) = bytes.split_first_chunk::<2>() else {
            return Err(cut_short);
        };
        let length = usize::from(u16::from_be_bytes(*length));
        let Some((entry, rest)) = rest.split_at_checked(length) else {
            return Err(cut_short);
        };
        entries.push(entry);
        bytes = rest;
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_longest_entry_fits_and_one_byte_more_does_not() {
        let mut bundle = Vec::new();
        encode_entry(&vec![7; MAX_ENTRY_BYTES], &mut bundle).expect("fits");
        let before = bundle.clone();
        assert_eq!(
            encode_entry(&vec![7; MAX_ENTRY_BYTES + 1], &mut bundle),
            Err(BundleError::EntryTooLong { bytes: 65_536 })
        );
        assert_eq!(bundle, before);
    }

    #[test]
    fn bytes_are_as_the_specification_draws_them() {
        let mut bundle = Vec::new();
        encode_entry(b"ab", &mut bundle).expect("fits");
        encode_entry(b"", &mut bundle).expect("fits");
        assert_eq!(bundle, [0, 2, b'a', b'b', 0, 0]);
    }

    proptest! {
        #[test]
        fn decode_undoes_encode_and_every_cut_is_noticed(
            entries in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..20),
        ) {
            let mut bundle = Vec::new();
            let mut ends = vec![0];
            for entry in &entries {
                encode_entry(entry, &mut bundle).expect("short");
                ends.push(bundle.len());
            }
            let decoded = decode_bundle(&bundle).expect("whole");
            prop_assert_eq!(decoded, entries.iter().map(Vec::as_slice).collect::<Vec<_>>());
            for cut in 0..bundle.len() {
                prop_assert_eq!(decode_bundle(&bundle[..cut]).is_ok(), ends.contains(&cut));
            }
        }
    }
}
