//! The examples of `docs/capabilities.md` are what they are said to be.

use bailiwick_capability::{Capability, Granted, Kind};

const TEXT: &str = include_str!("../../../docs/capabilities.md");

/// The lines between a fence of this name and the next fence.
fn fenced(name: &str) -> Vec<&'static str> {
    let lines = TEXT
        .lines()
        .skip_while(|line| *line != format!("```{name}"));
    lines
        .skip(1)
        .take_while(|line| !line.starts_with("```"))
        .collect()
}

#[test]
fn every_example_is_read_and_printed_as_it_is_written() {
    let examples = fenced("capabilities");
    for text in &examples {
        let capability: Capability = text.parse().expect(text);
        assert_eq!(capability.to_string(), *text);
    }
    for kind in Kind::ALL {
        let of_kind = |text: &&str| text.split(':').next() == Some(kind.as_str());
        assert!(examples.iter().any(of_kind), "{kind}");
        assert!(TEXT.contains(&format!("`{kind}`")), "{kind}");
    }
}

#[test]
fn every_refused_example_is_refused() {
    let examples = fenced("refused");
    assert!(examples.len() > 5, "{examples:?}");
    for text in examples {
        assert!(text.parse::<Capability>().is_err(), "{text}");
    }
}

#[test]
fn the_grant_with_a_hole_is_read() {
    let text = "read_files:/data/ except /data/hr/";
    assert!(TEXT.contains(text));
    let granted: Granted = text.parse().expect(text);
    assert_eq!(granted.to_string(), text);
}
