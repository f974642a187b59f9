//! TLS by name, carried without being ended.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rcgen::{CertifiedKey, generate_simple_self_signed};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig, crypto::ring};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::support::{FIRST, PUBLIC, SECOND, World, alone, exchange, listener, serve};

/// A fatal alert: access_denied.
const ALERT: [u8; 7] = [21, 3, 3, 0, 2, 2, 49];

/// A TLS server for both names that sends back what it hears, its certificate, and how many came.
async fn server() -> (CertificateDer<'static>, Arc<AtomicUsize>) {
    let names = vec![
        "a.example".to_owned(),
        "b.example".to_owned(),
        "hidden.example".to_owned(),
    ];
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(names).unwrap();
    let key = PrivatePkcs8KeyDer::from(signing_key.serialize_der());
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key.into())
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = listener(PUBLIC, 443).await;
    let came = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&came);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            count.fetch_add(1, Ordering::SeqCst);
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else {
                    return;
                };
                let (mut from, mut to) = tokio::io::split(stream);
                let _ = tokio::io::copy(&mut from, &mut to).await;
                let _ = to.shutdown().await;
            });
        }
    });
    (cert.der().clone(), came)
}

/// Connects to `address`, asks TLS for `name`, and sends `word` there and back.
async fn speak(
    address: &str,
    name: &str,
    trusted: &CertificateDer<'static>,
    word: &[u8],
) -> std::io::Result<Vec<u8>> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect((address, 443)).await?;
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let stream = TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await?;
    let (mut from, mut to) = tokio::io::split(stream);
    let mut heard = vec![0; word.len()];
    tokio::try_join!(to.write_all(word), from.read_exact(&mut heard))?;
    Ok(heard)
}

#[test]
fn a_whole_host_is_reached_with_its_own_certificate() {
    alone(
        "tls::a_whole_host_is_reached_with_its_own_certificate",
        async {
            let (certificate, _) = server().await;
            let world = World::of(&[("a.example", &[PUBLIC])]);
            let net = serve(&["https://a.example"], world, &[(FIRST, 443)]).await;
            let word: Vec<u8> = (0..3_000_000u32).map(|n| (n % 253) as u8).collect();
            let heard = speak(FIRST, "a.example", &certificate, &word)
                .await
                .unwrap();
            assert!(heard == word);
            assert_eq!(net.refused(), []);
        },
    );
}

#[test]
fn l05_the_tls_name_must_be_the_dialled_name() {
    alone("tls::l05_the_tls_name_must_be_the_dialled_name", async {
        let (certificate, came) = server().await;
        let world = World::of(&[("a.example", &[PUBLIC]), ("b.example", &[PUBLIC])]);
        let atoms = ["https://a.example", "https://b.example"];
        let net = serve(&atoms, world, &[(FIRST, 443), (SECOND, 443)]).await;
        for (address, name) in [
            (FIRST, "a.example"),
            (SECOND, "b.example"),
            (FIRST, "A.EXAMPLE"),
        ] {
            let heard = speak(address, name, &certificate, b"x").await.unwrap();
            assert_eq!(heard, b"x", "{name}");
        }
        // A granted name in front of another granted one, of one that is not granted, and of none at all.
        let before = came.load(Ordering::SeqCst);
        for (name, reason) in [
            ("b.example", "asks for `b.example`"),
            ("hidden.example", "asks for `hidden.example`"),
            ("93.184.216.34", "without a server name"),
        ] {
            let error = speak(FIRST, name, &certificate, b"x").await.unwrap_err();
            assert!(
                error.to_string().contains("AccessDenied"),
                "{name}: {error}"
            );
            let refused = net.refused();
            assert_eq!(refused[0].0, "https://a.example:443");
            assert!(refused[0].1.contains(reason), "{refused:?}");
        }
        assert_eq!(came.load(Ordering::SeqCst), before, "nobody was dialled");
    });
}

#[test]
fn l03_l05_what_is_no_plain_tls_is_refused_on_an_https_port() {
    alone(
        "tls::l03_l05_what_is_no_plain_tls_is_refused_on_an_https_port",
        async {
            let (_, came) = server().await;
            let world = World::of(&[("a.example", &[PUBLIC])]);
            let net = serve(&["https://a.example"], world, &[(FIRST, 443)]).await;
            let plain: [&[u8]; 5] = [
                b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n",
                b"CONNECT evil.example:443 HTTP/1.1\r\n\r\n",
                b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
                b"\x05\x01\x00",
                b"SSH-2.0-OpenSSH_9.2\r\n",
            ];
            for bytes in plain {
                let answer = exchange(FIRST, 443, bytes).await;
                assert!(
                    !matches!(&answer, Ok(answer) if !answer.is_empty()),
                    "{answer:?}"
                );
                assert!(net.refused()[0].1.contains("no TLS"));
            }
            for hello in [
                &b"\x16\x03\x01\x00\x04\x02\x00\x00\x00"[..],
                b"\x16\x03\x01\x00\x00",
                b"\x16\x03\x01\x00\x05\x01",
            ] {
                let answer = exchange(FIRST, 443, hello).await.unwrap();
                assert_eq!(answer, ALERT, "{}", hello.escape_ascii());
                assert_eq!(net.refused().len(), 1);
            }
            let answer = exchange(FIRST, 443, &encrypted("a.example")).await.unwrap();
            assert_eq!(answer, ALERT);
            assert!(net.refused()[0].1.contains("encrypted ClientHello"));
            assert_eq!((came.load(Ordering::SeqCst), net.world.asked()), (0, 0));
        },
    );
}

/// A ClientHello whose outer name is granted, with an encrypted one inside.
fn encrypted(outer: &str) -> Vec<u8> {
    let vector = |bytes: &[u8]| {
        let len = u16::try_from(bytes.len()).unwrap().to_be_bytes();
        [&len[..], bytes].concat()
    };
    let name = [&[0][..], &vector(outer.as_bytes())].concat();
    let server_name = [&[0, 0][..], &vector(&vector(&name))].concat();
    let hidden = [&[0xfe, 0x0d][..], &vector(&[0; 60])].concat();
    let mut body = vec![3, 3];
    body.extend([5; 32]);
    body.extend([0, 0, 2, 0x13, 1, 1, 0]);
    body.extend(vector(&[server_name, hidden].concat()));
    let len = u32::try_from(body.len()).unwrap().to_be_bytes();
    let message = [&[1], &len[1..], &body].concat();
    [&[22, 3, 1][..], &vector(&message)].concat()
}
