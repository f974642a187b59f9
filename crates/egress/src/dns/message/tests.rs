use proptest::prelude::*;

use super::*;

/// A query as a client writes it.
fn query(labels: &[&[u8]], kind: u16) -> Vec<u8> {
    let mut out = vec![0xab, 0xcd, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in labels {
        out.push(u8::try_from(label.len()).unwrap());
        out.extend(*label);
    }
    out.push(0);
    put(&mut out, kind);
    put(&mut out, IN);
    out
}

fn with_opt(mut query: Vec<u8>, version: u8, options: &[u8]) -> Vec<u8> {
    query[11] = 1;
    query.extend([0, 0, 41, 4, 208, 0, version, 0, 0]);
    put(&mut query, u16::try_from(options.len()).unwrap());
    query.extend(options);
    query
}

fn asked(message: &[u8]) -> Option<Asked> {
    match read(message) {
        Received::Question(question) => Some(question.name),
        _ => None,
    }
}

fn code(message: &[u8]) -> Option<Code> {
    match read(message) {
        Received::Wrong { id: 0xabcd, code } => Some(code),
        _ => None,
    }
}

#[test]
fn l01_a_name_is_read_into_the_type_that_is_matched_and_dialled() {
    let host = |text| Some(Asked::Host(DnsName::parse(text).unwrap()));
    assert_eq!(
        asked(&query(&[b"API", b"eXample", b"COM"], A)),
        host("api.example.com")
    );
    let punycode = "xn--mnchen-3ya.example";
    assert_eq!(
        asked(&query(&[b"xn--mnchen-3ya", b"example"], A)),
        host(punycode)
    );
    for (odd, shown) in [
        (
            &[b"evil\0" as &[u8], b"example", b"com"][..],
            "evil\\x00.example.com",
        ),
        (&[b"evil.example.com", b"test"], "evil.example.com.test"),
        (&[b"a b", b"example"], "a b.example"),
        (&[b"_srv", b"example"], "_srv.example"),
        (
            &["münchen".as_bytes(), b"example"],
            "m\\xc3\\xbcnchen.example",
        ),
        (&[b"127", b"0", b"0", b"1"], "127.0.0.1"),
        (&[b"-a", b"example"], "-a.example"),
        (&[], ""),
    ] {
        assert_eq!(
            asked(&query(odd, A)),
            Some(Asked::Other(shown.to_owned())),
            "{shown}"
        );
    }
}

#[test]
fn what_is_no_plain_question_is_an_error_or_nothing() {
    let good = query(&[b"a", b"example"], A);
    assert!(matches!(read(&good), Received::Question(_)));
    for cut in 0..good.len() {
        let part = &good[..cut];
        let right = if cut < HEADER {
            read(part) == Received::Noise
        } else {
            code(part) == Some(Code::FormErr)
        };
        assert!(right, "{cut}: {:?}", read(part));
    }
    let with = |at: usize, value: u8| {
        let mut changed = good.clone();
        changed[at] = value;
        changed
    };
    assert_eq!(read(&with(2, 0x81)), Received::Noise, "an answer");
    assert_eq!(code(&with(2, 0x28)), Some(Code::NotImp), "an update");
    for (at, value) in [(5, 0), (5, 2), (7, 1), (9, 1), (11, 1), (11, 2)] {
        assert_eq!(code(&with(at, value)), Some(Code::FormErr), "count at {at}");
    }
    assert_eq!(
        code(&with(12, 0xc0)),
        Some(Code::FormErr),
        "a pointer to itself"
    );
    assert_eq!(
        code(&with(12, 64)),
        Some(Code::FormErr),
        "a label of another kind"
    );
    let more = [good.as_slice(), b"x"].concat();
    assert_eq!(code(&more), Some(Code::FormErr), "bytes after the end");
    let long = query(&[&[b'a'; 63] as &[u8]; 4], A);
    assert_eq!(code(&long), Some(Code::FormErr), "257 bytes of name");
    assert_eq!(read(&vec![0; MAX_MESSAGE + 1]), Received::Noise);
}

#[test]
fn edns_is_answered_by_edns() {
    let plain = with_opt(query(&[b"a", b"example"], A), 0, &[0, 10, 0, 2, 1, 2]);
    let Received::Question(question) = read(&plain) else {
        panic!("{:?}", read(&plain));
    };
    let answer = question.answer(Code::NoError, None);
    assert_eq!(
        &answer[8..12],
        [0, 1, 0, 1],
        "a start of authority and an OPT"
    );
    assert_eq!(
        &answer[answer.len() - 11..],
        [0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]
    );
    let newer = with_opt(query(&[b"a", b"example"], A), 1, &[]);
    assert_eq!(code(&newer), Some(Code::BadVers));
    let answer = error(0xabcd, Code::BadVers);
    assert_eq!(
        (answer[3] & 15, answer[HEADER + 5]),
        (0, 1),
        "BADVERS is 16 in two parts"
    );
    let twice = with_opt(plain, 0, &[]);
    assert_eq!(code(&twice), Some(Code::FormErr));
}

#[test]
fn an_answer_sends_the_question_back_as_it_came() {
    let sent = query(&[b"aPi", b"ExAmple"], A);
    let Received::Question(question) = read(&sent) else {
        panic!("{:?}", read(&sent));
    };
    let address = Ipv4Addr::new(198, 18, 0, 2);
    let answer = question.answer(Code::NoError, Some(Record::A(address)));
    assert_eq!(&answer[..4], [0xab, 0xcd, 0x81, 0x80]);
    assert_eq!(&answer[4..12], [0, 1, 0, 1, 0, 0, 0, 0]);
    assert_eq!(&answer[12..sent.len()], &sent[12..]);
    assert_eq!(
        &answer[sent.len()..],
        [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 198, 18, 0, 2]
    );
}

proptest! {
    #[test]
    fn no_bytes_make_it_fail(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let _ = read(&bytes);
    }

    /// Near a valid question, where the interesting branches are.
    #[test]
    fn no_change_of_a_question_makes_it_fail(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = with_opt(query(&[b"api", b"example", b"com"], A), 0, b"\0\x0a\0\x02ab");
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        bytes.truncate(cut.index(bytes.len()) + 1);
        if let Received::Question(question) = read(&bytes) {
            let answer = question.answer(Code::NxDomain, None);
            prop_assert!(answer.len() <= 512);
            prop_assert_eq!(&answer[..2], &bytes[..2]);
        }
    }

    #[test]
    fn a_host_name_is_read_back_whatever_its_case(
        name in "[a-z0-9]{1,10}(-[a-z0-9]{1,5})?(\\.[a-z][a-z0-9]{0,9}){1,4}",
        upper in any::<u64>(),
    ) {
        prop_assume!(DnsName::parse(&name).is_ok());
        let cased: Vec<Vec<u8>> = name.split('.').map(|label| {
            let flip = |(at, byte): (usize, u8)| if upper >> (at % 64) & 1 == 1 { byte.to_ascii_uppercase() } else { byte };
            label.bytes().enumerate().map(flip).collect()
        }).collect();
        let labels: Vec<&[u8]> = cased.iter().map(Vec::as_slice).collect();
        prop_assert_eq!(asked(&query(&labels, A)), Some(Asked::Host(DnsName::parse(&name).unwrap())));
    }
}
