//! The resolver that the plugin sees. It asks nobody: no packet ever leaves for a question (L6).

pub(crate) mod message;

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bailiwick_capability::DnsName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use crate::accept::accept;
use crate::context::Context;
use crate::names::Address;
use crate::pace::Pace;
use message::{AAAA, Asked, Code, IN, MAX_MESSAGE, PTR, Question, Received, Record};

/// Questions answered in a second, over UDP and over each TCP connection.
const PER_SECOND: u32 = 2000;
/// TCP connections served at once.
const CONNECTIONS: usize = 16;
/// Longest silence on a TCP connection.
const SILENCE: Duration = Duration::from_secs(10);
/// Pause after a failed accept or receive, so that a lack of descriptors does not spin.
pub(crate) const PAUSE: Duration = Duration::from_millis(50);

/// Answers questions over UDP, for ever.
pub(crate) async fn serve_udp(context: Arc<Context>, socket: UdpSocket) {
    let mut pace = Pace::per_second(PER_SECOND);
    // One byte more, so that a longer message is seen to be one.
    let mut buffer = vec![0; MAX_MESSAGE + 1];
    loop {
        pace.wait().await;
        let Ok((len, from)) = socket.recv_from(&mut buffer).await else {
            sleep(PAUSE).await;
            continue;
        };
        let message = buffer.get(..len).unwrap_or_default();
        if let Some(answer) = answer(&context, message) {
            // An answer that cannot be sent is one that was lost: the client asks again.
            let _ = socket.send_to(&answer, from).await;
        }
    }
}

/// Answers questions over TCP (RFC 7766), for ever.
pub(crate) async fn serve_tcp(context: Arc<Context>, listener: TcpListener) {
    let each = |stream| {
        let context = Arc::clone(&context);
        async move {
            let _ = questions(&context, stream).await;
        }
    };
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    accept(listener, PER_SECOND, places, each).await;
}

async fn questions(context: &Context, mut stream: TcpStream) -> io::Result<()> {
    let mut pace = Pace::per_second(PER_SECOND);
    let mut buffer = [0; MAX_MESSAGE];
    loop {
        pace.wait().await;
        let reading = async {
            let len = usize::from(stream.read_u16().await?);
            let buffer = buffer.get_mut(..len).ok_or(io::ErrorKind::FileTooLarge)?;
            stream.read_exact(buffer).await
        };
        let len = timeout(SILENCE, reading).await??;
        let Some(answer) = answer(context, buffer.get(..len).unwrap_or_default()) else {
            return Ok(());
        };
        let mut framed = u16::try_from(answer.len())
            .unwrap_or_default()
            .to_be_bytes()
            .to_vec();
        framed.extend(answer);
        timeout(SILENCE, stream.write_all(&framed)).await??;
    }
}

/// The answer to one message, if it deserves any.
pub(crate) fn answer(context: &Context, message: &[u8]) -> Option<Vec<u8>> {
    let question = match message::read(message) {
        Received::Noise => return None,
        Received::Wrong { id, code } => return Some(message::error(id, code)),
        Received::Question(question) => question,
    };
    context.counts.questions.fetch_add(1, Ordering::Relaxed);
    let (code, record) = decide(context, &question);
    Some(question.answer(code, record))
}

fn decide(context: &Context, question: &Question<'_>) -> (Code, Option<Record>) {
    if question.class != IN {
        return (Code::Refused, None);
    }
    let name = match &question.name {
        Asked::Host(name) => name,
        Asked::Other(shown) => {
            // Many programs look up who connected to them, or their own address: no attempt to reach anything.
            if question.kind != PTR {
                context.refuse(shown, "no host has such a name");
            }
            return (Code::NxDomain, None);
        }
    };
    if name.as_str() == "localhost" {
        return (Code::NoError, loopback(question.kind));
    }
    match context.names.address(name, &context.rules) {
        // No AAAA, because what stands for a name is an IPv4 address; no HTTPS or SVCB, because they carry
        // keys to hide the name (L5); no TXT or any other, because nothing is to be carried (L6).
        Address::Is(address) => (
            Code::NoError,
            (question.kind == message::A).then_some(Record::A(address)),
        ),
        Address::TooMany => {
            context.refuse(name.as_str(), "too many different names were asked for");
            (Code::ServFail, None)
        }
        Address::NotGranted => {
            if question.kind != PTR || !is_reverse(name) {
                context.refuse(
                    name.as_str(),
                    "not granted; names that are not granted are not looked up",
                );
            }
            (Code::NxDomain, None)
        }
    }
}

/// `localhost` never leaves a machine (RFC 6761 §6.3).
fn loopback(kind: u16) -> Option<Record> {
    match kind {
        message::A => Some(Record::A(Ipv4Addr::LOCALHOST)),
        AAAA => Some(Record::Aaaa(Ipv6Addr::LOCALHOST)),
        _ => None,
    }
}

fn is_reverse(name: &DnsName) -> bool {
    [".in-addr.arpa", ".ip6.arpa"]
        .iter()
        .any(|zone| name.as_str().ends_with(zone))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(name: &str, kind: u16) -> Vec<u8> {
        let mut out = vec![0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        for label in name.split('.') {
            out.push(u8::try_from(label.len()).unwrap());
            out.extend(label.as_bytes());
        }
        out.push(0);
        out.extend(kind.to_be_bytes());
        out.extend(IN.to_be_bytes());
        out
    }

    /// Return code, number of answers, and the last four bytes of the answer.
    fn ask(context: &Context, name: &str, kind: u16) -> (u8, u8, [u8; 4]) {
        let answer = answer(context, &query(name, kind)).unwrap();
        (answer[3] & 15, answer[7], *answer.last_chunk().unwrap())
    }

    fn told(context: &Context) -> Vec<(String, u64)> {
        let all = context.denials.take().into_iter();
        all.map(|denied| (denied.target, denied.times)).collect()
    }

    const TXT: u16 = 16;
    const SVCB: u16 = 64;
    const HTTPS: u16 = 65;
    const ANY: u16 = 255;

    #[test]
    fn l06_only_granted_names_have_an_address_and_nothing_else_is_carried() {
        let context = Context::granting(&["https://api.example.com", "tcp://*.db.example:5432"]);
        let (code, count, address) = ask(&context, "api.example.com", message::A);
        assert_eq!((code, count, address), (0, 1, [198, 18, 0, 2]));
        assert_eq!(ask(&context, "API.Example.COM", message::A).2, address);
        assert_eq!(
            ask(&context, "one.db.example", message::A).2,
            [198, 18, 0, 3]
        );
        for kind in [
            AAAA, TXT, SVCB, HTTPS, ANY, PTR, 5, 6, 15, 33, 35, 257, 0, 65535,
        ] {
            let (code, count, _) = ask(&context, "api.example.com", kind);
            assert_eq!((code, count), (0, 0), "type {kind}");
        }
        assert_eq!(told(&context), []);
        let foreign = [
            "secret.evil.example",
            "example.com",
            "db.example",
            "a.b.db.example",
            "api.example.com.evil.example",
        ];
        for name in foreign {
            for kind in [message::A, TXT] {
                let (code, count, _) = ask(&context, name, kind);
                assert_eq!((code, count), (3, 0), "{name}");
            }
        }
        let expected: Vec<_> = foreign.iter().map(|name| ((*name).to_owned(), 2)).collect();
        assert_eq!(told(&context), expected);
        assert_eq!(context.counts.read().refused, 10);
    }

    #[test]
    fn l01_a_name_that_no_host_has_is_told_escaped() {
        let context = Context::granting(&["https://api.example.com"]);
        assert_eq!(ask(&context, "api\0.example.com", message::A).0, 3);
        assert_eq!(told(&context), [("api\\x00.example.com".to_owned(), 1)]);
    }

    #[test]
    fn localhost_is_loopback_and_looking_backwards_is_no_attempt() {
        let context = Context::granting(&["https://api.example.com"]);
        assert_eq!(
            ask(&context, "localhost", message::A),
            (0, 1, [127, 0, 0, 1])
        );
        assert_eq!(ask(&context, "localhost", AAAA), (0, 1, [0, 0, 0, 1]));
        assert_eq!(ask(&context, "localhost", TXT).1, 0);
        assert_eq!(ask(&context, "2.0.18.198.in-addr.arpa", PTR).0, 3);
        assert_eq!(told(&context), []);
        assert_eq!(ask(&context, "2.0.18.198.in-addr.arpa", TXT).0, 3);
        assert_eq!(told(&context).len(), 1);
    }

    #[test]
    fn another_class_is_refused() {
        let context = Context::granting(&["https://api.example.com"]);
        let mut chaos = query("api.example.com", message::A);
        *chaos.last_mut().unwrap() = 3;
        assert_eq!(answer(&context, &chaos).unwrap()[3] & 15, 5);
    }
}
