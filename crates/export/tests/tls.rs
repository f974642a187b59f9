//! TLS to syslog receivers and collectors: with an authority that is named, and not without.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests may end the test"
)]

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use bailiwick_audit::{Event, Filter, Log, Subject};
use bailiwick_export::{ExportError, Exporter, Format, Options, Target};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ServerConfig, ServerConnection, StreamOwned, crypto};

const LONG: Duration = Duration::from_secs(60);

/// A receiver that says what it got on each whole connection; as HTTP, it answers as a collector does.
fn receiver(http: bool) -> (u16, Vec<u8>, Receiver<Vec<u8>>) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let certificate = made.cert.der().to_vec();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![CertificateDer::from(certificate.clone())], key)
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("localhost:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (send, got) = channel();
    std::thread::spawn(move || {
        for socket in listener.incoming() {
            let connection = ServerConnection::new(config.clone()).unwrap();
            let mut stream = StreamOwned::new(connection, socket.unwrap());
            let mut bytes = Vec::new();
            let whole = if http {
                let mut some = [0; 1 << 16];
                stream
                    .read(&mut some)
                    .map(|read| bytes.extend_from_slice(&some[..read]))
            } else {
                stream.read_to_end(&mut bytes).map(drop)
            };
            if whole.is_err() || bytes.is_empty() {
                continue;
            }
            if http {
                let answer = "HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n";
                stream.write_all(answer.as_bytes()).unwrap();
            }
            let _ = send.send(bytes);
        }
    });
    (port, certificate, got)
}

fn options(dir: &Path, format: Format, target: &str, roots: Vec<Vec<u8>>) -> Options {
    let key_file = Some(dir.join("audit.key"));
    let log = Log::open(
        &dir.join("audit"),
        bailiwick_audit::Options {
            key_file,
            ..Default::default()
        },
    )
    .unwrap();
    log.append(
        &Subject::session("s"),
        &Event::GateStop {
            reason: "told".into(),
        },
    )
    .unwrap();
    log.close().unwrap();
    Options {
        log: dir.join("audit"),
        format,
        target: Target::parse(target, format).unwrap(),
        headers: vec![],
        roots,
        filter: Filter::default(),
        places: None,
        tell: Arc::new(|_| ()),
    }
}

#[test]
fn syslog_over_tls_reaches_a_receiver_that_is_trusted_and_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let (port, certificate, got) = receiver(false);
    let target = format!("tls://localhost:{port}");
    let trusted = options(dir.path(), Format::Syslog, &target, vec![certificate]);
    assert_eq!(Exporter::new(trusted.clone()).unwrap().run().unwrap(), 1);
    let bytes = String::from_utf8(got.recv_timeout(LONG).unwrap()).unwrap();
    assert!(
        bytes.contains(" <110>1 ") && bytes.contains("told"),
        "{bytes}"
    );
    let foreign = Options {
        roots: vec![],
        ..trusted
    };
    let error = Exporter::new(foreign).unwrap().run();
    assert!(
        matches!(error, Err(ExportError::Failed { .. })),
        "{error:?}"
    );
    assert!(got.try_recv().is_err(), "nothing was told to a stranger");
}

#[test]
fn otlp_over_https_reaches_a_collector_that_is_trusted_and_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let (port, certificate, got) = receiver(true);
    let trusted = options(
        dir.path(),
        Format::Otlp,
        &format!("https://localhost:{port}"),
        vec![certificate],
    );
    assert_eq!(Exporter::new(trusted.clone()).unwrap().run().unwrap(), 1);
    let bytes = got.recv_timeout(LONG).unwrap();
    assert!(bytes.starts_with(b"POST /v1/logs HTTP/1.1\r\n"));
    let foreign = Options {
        roots: vec![],
        ..trusted
    };
    assert!(matches!(
        Exporter::new(foreign).unwrap().run(),
        Err(ExportError::Failed { .. })
    ));
    assert!(got.try_recv().is_err(), "nothing was told to a stranger");
}
