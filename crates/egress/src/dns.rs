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
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

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
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut pace = Pace::per_second(PER_SECOND);
    let mut serving = JoinSet::new();
    loop {
        pace.wait().await;
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        while serving.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((stream, _)) => {
                let context = Arc::clone(&context);
                serving.spawn(async move {
                    let _ = questions(&context, stream).await;
                    drop(place);
                });
            }
            Err(_) => sleep(PAUSE).await,
        }
    }
}

async fn questions(context: &Context, mut stream: TcpStream) -> io::Result<()> {
    let mut pace = Pace::per_second(PER_SECOND);
    let mut buffer = [0; MAX_MESSAGE];
    loop {
        pace.wait().await;
        let reading = async {
            let len = usize::from(stream.read_u16().await?);
            let buffer = buffer
                .get_mut(..len)
                .ok_or(io::ErrorKind::FileTooLarge)?;
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
                context.refuse(name.as_str(), "not granted; names that are not granted are not looked up");
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
