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

/// Accepts on one port, for ever. `places` bounds the connections of all ports together: beyond it nothing is
/// accepted until one ends.
pub(crate) async fn serve(
    context: Arc<Context>,
    port: u16,
    listener: TcpListener,
    places: Arc<Semaphore>,
) {
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
                    connection(&context, port, stream).await;
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
