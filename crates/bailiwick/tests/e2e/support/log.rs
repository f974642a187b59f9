//! The order that the log promises: nothing takes effect before its record.

use serde_json::Value;

/// The kind of an entry's event.
pub(crate) fn kind(entry: &Value) -> &str {
    entry["entry"]["event"]["kind"].as_str().unwrap()
}

/// The first entry from `from` on that fits.
pub(crate) fn index_of(
    entries: &[Value],
    from: usize,
    fits: impl Fn(&Value) -> bool,
) -> Option<usize> {
    let found = entries.iter().skip(from).position(fits)?;
    Some(found + from)
}

/// Asserts the order for every session: it starts; each plugin is requested, decided, sealed and started, in
/// this order; each call that ran comes after all of these and right after its own decision; nothing of a
/// session follows its end.
pub(crate) fn in_order(entries: &[Value]) {
    for (at, entry) in entries.iter().enumerate() {
        let version = entry["entry"]["v"].as_u64();
        assert!(
            version.is_some_and(|version| (1..=2).contains(&version)),
            "{entry}"
        );
        let before = &entries[..at];
        let same = |other: &Value, names: &[&str]| {
            names
                .iter()
                .all(|name| other["entry"]["subject"][name] == entry["entry"]["subject"][name])
        };
        let last = |wanted: &str, names: &[&str]| {
            before
                .iter()
                .rposition(|other| kind(other) == wanted && same(other, names))
                .unwrap_or_else(|| panic!("no {wanted} before {entry}"))
        };
        let plugin = ["session", "plugin", "plugin_digest", "user", "agent"];
        match kind(entry) {
            "token_minted" => {
                let decided = last("decision", &plugin);
                assert!(last("request", &plugin) < decided);
                assert_eq!(before[decided]["entry"]["event"]["moment"], "load");
                assert_ne!(before[decided]["entry"]["event"]["outcome"], "deny");
            }
            "plugin_start" => {
                let minted = last("token_minted", &plugin);
                assert_eq!(
                    before[minted]["entry"]["event"]["grant"], entry["entry"]["event"]["grant"],
                    "what starts is held to what was sealed"
                );
            }
            "tool_call" => {
                assert!(last("token_minted", &plugin) < last("plugin_start", &plugin));
                let decision = last("decision", &plugin);
                let decided = &before[decision]["entry"]["event"];
                if decided["outcome"] == "ask" {
                    let answer = last("approval", &plugin);
                    assert!(decision < answer, "{entry}");
                    let answer = &before[answer]["entry"]["event"];
                    assert_eq!(answer["outcome"], "grant", "{entry}");
                } else {
                    assert_eq!(decided["outcome"], "grant", "{entry}");
                }
                assert_eq!(decided["moment"], "call", "{entry}");
                assert_eq!(
                    decided["atoms"][0]["asked"],
                    entry["entry"]["event"]["tool"]
                );
            }
            "tool_result" => {
                let call = &before[last_call(before, entry)]["entry"]["event"];
                assert_eq!(call["tool"], entry["entry"]["event"]["tool"]);
            }
            _ => {}
        }
        let session = &entry["entry"]["subject"]["session"];
        if !session.is_null() && kind(entry) != "session_start" {
            last("session_start", &["session"]);
            let ended = before
                .iter()
                .any(|other| kind(other) == "session_end" && same(other, &["session"]));
            assert!(!ended, "after the session's end: {entry}");
        }
    }
}

fn last_call(before: &[Value], result: &Value) -> usize {
    let id = &result["entry"]["event"]["call"];
    before
        .iter()
        .rposition(|other| kind(other) == "tool_call" && other["entry"]["event"]["call"] == *id)
        .unwrap_or_else(|| panic!("a result without its call: {result}"))
}
