use proptest::prelude::*;
use tokio_rustls::rustls;

use super::*;

/// A ClientHello's body with these extensions.
fn body(extensions: &[(u16, Vec<u8>)]) -> Vec<u8> {
    let mut out = vec![3, 3];
    out.extend([7; 32]);
    out.extend([1, 9, 0, 2, 0x13, 1, 1, 0]);
    let mut all = Vec::new();
    for (kind, data) in extensions {
        all.extend(kind.to_be_bytes());
        all.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
        all.extend(data);
    }
    out.extend(u16::try_from(all.len()).unwrap().to_be_bytes());
    out.extend(all);
    out
}

fn message(body: &[u8]) -> Vec<u8> {
    let len = u32::try_from(body.len()).unwrap().to_be_bytes();
    [&[CLIENT_HELLO], &len[1..], body].concat()
}

/// In records of at most `size` bytes.
fn records(message: &[u8], size: usize) -> Vec<u8> {
    let record = |part: &[u8]| {
        let len = u16::try_from(part.len()).unwrap().to_be_bytes();
        [&[HANDSHAKE, 3, 1], &len[..], part].concat()
    };
    message.chunks(size).flat_map(record).collect()
}

fn sni(names: &[(u8, &[u8])]) -> (u16, Vec<u8>) {
    let mut list = Vec::new();
    for (kind, name) in names {
        list.push(*kind);
        list.extend(u16::try_from(name.len()).unwrap().to_be_bytes());
        list.extend(*name);
    }
    let len = u16::try_from(list.len()).unwrap().to_be_bytes();
    (SERVER_NAME, [&len[..], &list].concat())
}

fn of(extensions: &[(u16, Vec<u8>)]) -> Reading {
    read(&records(&message(&body(extensions)), MAX_RECORD))
}

fn named(name: &str) -> Reading {
    Reading::Hello(Hello {
        server_name: Some(DnsName::parse(name).unwrap()),
        encrypted: false,
    })
}

/// What rustls, as a client, sends first.
fn from_rustls(name: &'static str) -> Vec<u8> {
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    let name = rustls::pki_types::ServerName::try_from(name).unwrap();
    let mut client = rustls::ClientConnection::new(config.into(), name).unwrap();
    let mut out = Vec::new();
    client.write_tls(&mut out).unwrap();
    out
}

#[test]
fn a_real_client_s_name_is_found_however_it_arrives() {
    let bytes = from_rustls("api.example.com");
    assert_eq!(read(&bytes), named("api.example.com"));
    for cut in 0..bytes.len() {
        assert_eq!(read(&bytes[..cut]), Reading::Incomplete, "{cut}");
    }
    for size in [4, 5, 7, 100, 511] {
        let again = records(&bytes[5..], size.max(bytes.len() / 60));
        assert_eq!(read(&again), named("api.example.com"), "records of {size}");
    }
    let Reading::Hello(hello) = read(&from_rustls("93.184.216.34")) else {
        panic!("an address is connected to without a name");
    };
    assert_eq!(hello.server_name, None);
}

#[test]
fn l01_l05_a_name_that_two_readers_may_read_differently_is_refused() {
    assert_eq!(of(&[sni(&[(0, b"a.example")])]), named("a.example"));
    assert_eq!(of(&[sni(&[(0, b"A.Example")])]), named("a.example"));
    for bad in [
        &b"a.example\0.evil.example"[..],
        b"a.example.",
        b"",
        b"a_b.example",
        b"127.0.0.1",
        b"::1",
        b"*.example",
        b"a..example",
        "münchen.example".as_bytes(),
        &[b'a'; 300],
    ] {
        assert!(
            matches!(of(&[sni(&[(0, bad)])]), Reading::Wrong(_)),
            "{}",
            bad.escape_ascii()
        );
    }
    let two = of(&[sni(&[(0, b"a.example"), (0, b"b.example")])]);
    assert!(matches!(two, Reading::Wrong(_)), "two names");
    let other = of(&[sni(&[(1, b"a.example")])]);
    assert!(matches!(other, Reading::Wrong(_)), "another kind of name");
    let twice = of(&[sni(&[(0, b"a.example")]), sni(&[(0, b"b.example")])]);
    assert!(matches!(twice, Reading::Wrong(_)), "two extensions");
}

#[test]
fn l05_a_hidden_name_is_seen() {
    for kind in [0xfe0d, 0xfe09, 0xffce] {
        let Reading::Hello(hello) = of(&[sni(&[(0, b"a.example")]), (kind, vec![0; 40])]) else {
            panic!("{kind:x}");
        };
        assert!(hello.encrypted, "{kind:x}");
    }
}

#[test]
fn what_is_no_client_hello_is_told_at_once() {
    for bytes in [
        &b"GET / HTTP/1.1\r\n"[..],
        b"SSH-2.0-x\r\n",
        &[0x80, 0x2e, 1, 3, 1],
        &[HANDSHAKE, 2, 0],
        &[HANDSHAKE, 3, 9, 0, 1, 1],
        &[HANDSHAKE, 3, 1, 0, 0],
        &[HANDSHAKE, 3, 1, 0x40, 1],
        &[HANDSHAKE, 3, 1, 0, 1, 2],
        &[HANDSHAKE, 3, 1, 0, 4, 1, 1, 0, 0],
        &[23, 3, 3, 0, 1, 0],
    ] {
        assert!(matches!(read(bytes), Reading::Wrong(_)), "{bytes:?}");
    }
    let good = message(&body(&[sni(&[(0, b"a.example")])]));
    let more = [good.as_slice(), b"x"].concat();
    assert!(matches!(
        read(&records(&more, MAX_RECORD)),
        Reading::Wrong(_)
    ));
    let crumbs = read(&records(&good, 1));
    assert!(
        matches!(crumbs, Reading::Wrong(_)),
        "{} records",
        good.len()
    );
    for cut in 5..good.len() - 4 {
        let short = message(&good[4..4 + cut - 4]);
        // Without extensions it is a whole one of old; with half of them it is none.
        let reading = read(&records(&short, MAX_RECORD));
        let no_name = matches!(&reading, Reading::Hello(hello) if hello.server_name.is_none());
        assert!(matches!(reading, Reading::Wrong(_)) || no_name, "{cut}");
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_fail(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = read(&bytes);
        let _ = read(&records(&message(&bytes), MAX_RECORD));
    }

    /// Whatever is changed in a hello, a name that is found is one that stands in it in plain letters.
    #[test]
    fn a_name_that_is_found_stands_there(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..5),
    ) {
        let mut body = body(&[(43, vec![2, 3, 4]), sni(&[(0, b"api.example.com")]), (16, vec![0, 3, 2, b'h', b'2'])]);
        for (at, value) in changes {
            let at = at.index(body.len());
            body[at] = value;
        }
        if let Reading::Hello(Hello { server_name: Some(name), .. }) = read(&records(&message(&body), MAX_RECORD)) {
            let lower = body.to_ascii_lowercase();
            let found = lower.windows(name.as_str().len()).any(|part| part == name.as_str().as_bytes());
            prop_assert!(found, "{}", name);
        }
    }
}
