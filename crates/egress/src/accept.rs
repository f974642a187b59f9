//! From an accepted connection to what becomes of it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bailiwick_capability::{DnsName, Host};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::context::Context;
use crate::dns::PAUSE;
use crate::pace::Pace;
use crate::replay::Replay;
use crate::rules::{Dialled, Tls, Treatment};
use crate::splice;
use crate::tls::hello::{self, HANDSHAKE, Hello, Reading};

/// Connections of one plugin at once. Each costs two to six descriptors of the host's.
pub(crate) const CONNECTIONS: usize = 256;
/// Connections accepted in a second, on each port.
const PER_SECOND: u32 = 500;
/// Longest wait for the first byte, where the plugin speaks first: clients open connections in advance.
const FIRST: Duration = Duration::from_secs(60);
/// Longest wait for the rest of a ClientHello.
const REST: Duration = Duration::from_secs(15);
/// A fatal alert, access_denied (RFC 8446 §6.2), in a record: clients tell it apart from a broken network.
const ACCESS_DENIED: [u8; 7] = [21, 3, 3, 0, 2, 2, 49];

/// Accepts on one port, for ever. `places` bounds the connections of all ports together.
pub(crate) async fn serve(
    context: Arc<Context>,
    port: u16,
    listener: TcpListener,
    places: Arc<Semaphore>,
) {
    let each = |stream| {
        let context = Arc::clone(&context);
        async move { connection(&context, port, stream).await }
    };
    accept(listener, PER_SECOND, places, each).await;
}

/// Accepts for ever, at most `per_second`, and does `each` beside the others. Beyond `places` nothing is
/// accepted until one ends.
pub(crate) async fn accept<F: Future<Output = ()> + Send + 'static>(
    listener: TcpListener,
    per_second: u32,
    places: Arc<Semaphore>,
    each: impl Fn(TcpStream) -> F,
) {
    let mut pace = Pace::per_second(per_second);
    let mut serving = JoinSet::new();
    loop {
        pace.wait().await;
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        while serving.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((stream, _)) => {
                let served = each(stream);
                serving.spawn(async move {
                    served.await;
                    drop(place);
                });
            }
            Err(_) => sleep(PAUSE).await,
        }
    }
}

async fn connection(context: &Arc<Context>, port: u16, stream: TcpStream) {
    let Ok(local) = stream.local_addr() else {
        return;
    };
    let _ = stream.set_nodelay(true);
    let Some(dialled) = dialled(context, local.ip().to_canonical(), port) else {
        let _ = stream.set_zero_linger();
        return;
    };
    let tcp = dialled
        .hosts()
        .find(|host| context.rules.treatment(host, port) == Treatment::Splice);
    match tcp {
        Some(host) => relay(context, host, &dialled, "tcp", &[], &stream).await,
        None => speak(context, &dialled, stream).await,
    }
}

/// What the plugin connected to, by the address that it arrived at. None, told as a denial, where nothing
/// there is granted.
fn dialled(context: &Context, address: IpAddr, port: u16) -> Option<Dialled> {
    let name = match address {
        IpAddr::V4(v4) => context.names.name(v4),
        IpAddr::V6(_) => None,
    };
    let mut hosts = vec![name.map_or(Host::Ip(address), Host::Name)];
    if address.is_loopback()
        && let Ok(localhost) = DnsName::parse("localhost")
    {
        hosts.push(Host::Name(localhost));
    }
    let shown = format!("tcp://{}:{port}", hosts.first()?);
    let mut granted = hosts
        .into_iter()
        .filter(|host| context.rules.treatment(host, port) != Treatment::Refuse);
    let Some(host) = granted.next() else {
        context.refuse(&shown, "not granted");
        return None;
    };
    Some(Dialled {
        host,
        also: granted.next(),
        port,
    })
}

/// Serves a connection on which the plugin speaks first: its first byte tells HTTP from TLS.
async fn speak(context: &Arc<Context>, dialled: &Dialled, mut stream: TcpStream) {
    let mut ahead = Vec::with_capacity(2048);
    match timeout(FIRST, stream.read_buf(&mut ahead)).await {
        Ok(Ok(1..)) => {}
        _ => return,
    }
    let treatments = || {
        dialled
            .hosts()
            .map(|host| context.rules.treatment(host, dialled.port))
    };
    let http = treatments().any(|how| matches!(how, Treatment::Speak { http: true, .. }));
    let tls = treatments().any(|how| matches!(how, Treatment::Speak { tls: Some(_), .. }));
    let is_tls = ahead.first() == Some(&HANDSHAKE);
    if is_tls && tls {
        return secure(context, dialled, stream, ahead).await;
    }
    if http && !is_tls {
        let stream = Replay::new(ahead, stream);
        return context.terminator.plain(context, stream, dialled).await;
    }
    let _ = stream.set_zero_linger();
    let (scheme, reason) = if is_tls {
        ("https", "TLS on a port that is granted for plain http")
    } else {
        ("http", "no TLS on a port that is granted for https")
    };
    context.refuse(&format!("{scheme}://{}", dialled.shown()), reason);
}

/// Serves a connection that begins like TLS.
async fn secure(context: &Arc<Context>, dialled: &Dialled, mut stream: TcpStream, ahead: Vec<u8>) {
    let target = format!("https://{}", dialled.shown());
    let mut ahead = ahead;
    let reading = async {
        loop {
            match hello::read(&ahead) {
                Reading::Hello(hello) => return Ok(hello),
                Reading::Wrong(why) => return Err(why),
                Reading::Incomplete => match stream.read_buf(&mut ahead).await {
                    Ok(1..) => {}
                    _ => return Err("it ended within the ClientHello"),
                },
            }
        }
    };
    let read = timeout(REST, reading)
        .await
        .unwrap_or(Err("it stopped within the ClientHello"));
    let decided = read
        .map_err(str::to_owned)
        .and_then(|hello| decide(context, dialled, &hello));
    match decided {
        Ok((host, Tls::Splice)) => relay(context, host, dialled, "https", &ahead, &stream).await,
        Ok((host, Tls::Terminate)) => {
            let stream = Replay::new(ahead, stream);
            context.terminator.tls(context, stream, dialled, host).await;
        }
        Err(reason) => {
            context.refuse(&target, &reason);
            let _ = stream.write_all(&ACCESS_DENIED).await;
            let _ = stream.shutdown().await;
        }
    }
}

/// The host that a ClientHello may reach, and how far it is looked into (L5).
fn decide<'a>(
    context: &Context,
    dialled: &'a Dialled,
    hello: &Hello,
) -> Result<(&'a Host, Tls), String> {
    let host = match &hello.server_name {
        Some(name) => dialled
            .host_named(&Host::Name(name.clone()))
            .ok_or_else(|| format!("TLS asks for `{name}`, which is not what was connected to"))?,
        // An address cannot be written as a server name (RFC 6066 §3).
        None => dialled
            .hosts()
            .find(|host| matches!(host, Host::Ip(_)))
            .ok_or("TLS without a server name (SNI) does not say whom it is for")?,
    };
    match context.rules.treatment(host, dialled.port) {
        Treatment::Speak {
            tls: Some(Tls::Splice),
            ..
        } if hello.encrypted => Err(
            "an encrypted ClientHello hides for whom it is; switch ECH off in the client"
                .to_owned(),
        ),
        Treatment::Speak { tls: Some(tls), .. } => Ok((host, tls)),
        _ => Err("TLS on a port that is granted for plain http".to_owned()),
    }
}

/// Carries bytes between the plugin and a decided host.
async fn relay(
    context: &Context,
    host: &Host,
    dialled: &Dialled,
    scheme: &str,
    ahead: &[u8],
    stream: &TcpStream,
) {
    let target = format!("{scheme}://{}", dialled.shown());
    let Ok(mut outside) = context.dial(host, dialled.port, &target).await else {
        let _ = stream.set_zero_linger();
        return;
    };
    let _ = outside.set_nodelay(true);
    if outside.write_all(ahead).await.is_ok() {
        let _ = splice::both(stream, &outside).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(context: &Context, address: &str, port: u16) -> Option<(String, Option<String>)> {
        let dialled = dialled(context, address.parse().unwrap(), port)?;
        let also = dialled.also.as_ref().map(Host::to_string);
        Some((dialled.host.to_string(), also))
    }

    fn decided(context: &Context, address: &str, hello: &Hello) -> Result<(String, Tls), String> {
        let dialled = dialled(context, address.parse().unwrap(), 443).unwrap();
        decide(context, &dialled, hello).map(|(host, tls)| (host.to_string(), tls))
    }

    fn hello(name: Option<&str>, encrypted: bool) -> Hello {
        Hello {
            server_name: name.map(|name| DnsName::parse(name).unwrap()),
            encrypted,
        }
    }

    #[test]
    fn an_address_inside_means_what_is_granted_there() {
        let context = Context::granting(&[
            "https://a.example",
            "tcp://10.0.0.1:5432",
            "tcp://[2606:4700::1111]:443",
            "http://localhost:80",
            "http://127.0.0.1:80",
            "http://[::1]:8080",
        ]);
        let alone = |host: &str| Some((host.to_owned(), None));
        assert_eq!(at(&context, "198.18.0.2", 443), alone("a.example"));
        assert_eq!(at(&context, "10.0.0.1", 5432), alone("10.0.0.1"));
        assert_eq!(
            at(&context, "2606:4700::1111", 443),
            alone("[2606:4700::1111]")
        );
        let both = Some(("127.0.0.1".to_owned(), Some("localhost".to_owned())));
        assert_eq!(at(&context, "127.0.0.1", 80), both);
        assert_eq!(at(&context, "::1", 80), alone("localhost"));
        assert_eq!(at(&context, "::1", 8080), alone("[::1]"));
        assert!(context.denials.is_empty());
        for (address, port) in [
            ("198.18.0.2", 80),
            ("198.18.0.3", 443),
            ("10.0.0.1", 443),
            ("10.0.0.2", 5432),
            ("127.0.0.1", 8080),
            ("127.0.0.2", 443),
        ] {
            assert_eq!(at(&context, address, port), None, "{address}:{port}");
            assert_eq!(context.denials.take().len(), 1);
        }
    }

    #[test]
    fn l05_a_server_name_decides_for_nothing_but_what_was_dialled() {
        let context = Context::granting(&[
            "https://a.example",
            "https://b.example/v1/",
            "https://10.0.0.1",
            "https://localhost",
            "https://127.0.0.1/x",
        ]);
        let (first, second) = ("198.18.0.2", "198.18.0.3");
        let ok = |host: &str, tls| Ok((host.to_owned(), tls));
        for (address, name, expected) in [
            (first, "a.example", ok("a.example", Tls::Splice)),
            (second, "b.example", ok("b.example", Tls::Terminate)),
            ("127.0.0.1", "localhost", ok("localhost", Tls::Splice)),
        ] {
            assert_eq!(
                decided(&context, address, &hello(Some(name), false)),
                expected
            );
        }
        let nameless = hello(None, false);
        assert_eq!(
            decided(&context, "10.0.0.1", &nameless),
            ok("10.0.0.1", Tls::Splice)
        );
        assert_eq!(
            decided(&context, "127.0.0.1", &nameless),
            ok("127.0.0.1", Tls::Terminate)
        );
        for (address, name) in [
            (first, "b.example"),
            (first, "x.a.example"),
            ("10.0.0.1", "a.example"),
            ("10.0.0.1", "localhost"),
            ("::1", "a.example"),
        ] {
            assert!(
                decided(&context, address, &hello(Some(name), false)).is_err(),
                "{name}"
            );
        }
        assert!(decided(&context, first, &nameless).is_err());
        assert!(
            decided(&context, first, &hello(Some("a.example"), true)).is_err(),
            "ECH"
        );
        // Where TLS ends here there is nothing to hide: the encrypted part is not for us to read.
        let ended = decided(&context, second, &hello(Some("b.example"), true));
        assert_eq!(ended, ok("b.example", Tls::Terminate));
    }
}
