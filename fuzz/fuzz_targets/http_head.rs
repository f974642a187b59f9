//! A request head that passes is read alike by the reader behind, and ends where that one says it ends.
#![no_main]

use bailiwick_egress::{Framing, http_head};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|head: &[u8]| {
    let Ok(framing) = http_head(head) else { return };
    let mut fields = [httparse::EMPTY_HEADER; 100];
    let mut request = httparse::Request::new(&mut fields);
    assert_eq!(request.parse(head), Ok(httparse::Status::Complete(head.len())));
    assert_eq!(request.version, Some(1));
    let named = |name: &str| {
        let fields = request.headers.iter();
        let named: Vec<_> = fields.filter(|field| field.name.eq_ignore_ascii_case(name)).collect();
        assert!(named.len() <= 1, "{name} is there twice");
        named.first().map(|field| field.value)
    };
    assert!(named("host").is_some());
    let length = named("content-length").map(|value| std::str::from_utf8(value).unwrap().trim().parse());
    let chunked = named("transfer-encoding");
    match framing {
        Framing::Chunked => assert!(chunked.is_some() && length.is_none()),
        Framing::Length(told) => {
            assert!(chunked.is_none());
            assert_eq!(length.unwrap_or(Ok(0)), Ok(told));
        }
        Framing::Upgrade => assert!(chunked.is_none() && length.is_none()),
    }
});
