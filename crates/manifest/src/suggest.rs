//! Did you mean …?

/// The candidate nearest to `word`, when it is near enough to be a slip of the fingers.
pub(crate) fn nearest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    /// Longer words than this are no slip, and the comparison is quadratic.
    const MAX_WORD: usize = 64;
    if word.len() > MAX_WORD {
        return None;
    }
    let plain = word.to_ascii_lowercase().replace(['-', ' '], "_");
    candidates
        .into_iter()
        .map(|candidate| (strsim::osa_distance(&plain, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= candidate.len().div_ceil(3).min(4))
        .min()
        .map(|(_, candidate)| candidate)
}

/// `did you mean …?`, or what there is to choose from.
pub(crate) fn help(word: &str, candidates: &[&str], what: &str) -> String {
    match nearest(word, candidates.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("{what}: {}", candidates.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognised_and_nonsense_is_not() {
        let keys = ["read_files", "write_files", "version"];
        assert_eq!(nearest("read_file", keys), Some("read_files"));
        assert_eq!(nearest("Read-Files", keys), Some("read_files"));
        assert_eq!(nearest("vresion", keys), Some("version"));
        assert_eq!(nearest("banana", keys), None);
        assert_eq!(nearest(&"v".repeat(10_000), keys), None);
    }
}
