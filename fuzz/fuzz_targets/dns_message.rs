//! What we read, another reader reads alike; what we answer, it understands.
#![no_main]

use bailiwick_egress::fuzzing::dns_message;
use hickory_proto::op::Message;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((name, kind, answer)) = dns_message(bytes) else {
        return;
    };
    assert!(answer.len() <= 512);
    if let (Ok(query), Some(name)) = (Message::from_vec(bytes), &name) {
        let theirs = query.queries[0].name().to_ascii().to_ascii_lowercase();
        assert_eq!(theirs.trim_end_matches('.'), name.as_str());
        assert_eq!(u16::from(query.queries[0].query_type()), kind);
        let answer = Message::from_vec(&answer).expect("our answer is well-formed");
        assert_eq!(answer.queries, query.queries);
        assert_eq!(answer.metadata.id, query.metadata.id);
    }
});
