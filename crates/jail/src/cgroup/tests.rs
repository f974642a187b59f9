use super::*;

#[test]
fn keys_are_read_as_whole_words() {
    let events = "low 0\noom 3\noom_kill 2\noom_group_kill 1\n";
    assert_eq!(value(events, "oom_kill"), Some(2));
    assert_eq!(value("max 7\n", "max"), Some(7));
    assert_eq!(value("oom_kill_disable 0\n", "oom_kill"), None);
}

#[test]
fn names_of_groups_differ() {
    assert_ne!(name(), name());
}
