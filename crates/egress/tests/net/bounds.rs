//! However much a plugin opens, it is bounded, and it ends with the plugin.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{FIRST, PUBLIC, RESOLVER, World, alone, echo, lookup, query, serve};

/// Connections at once, as the crate has it.
const MOST: usize = 256;

async fn said(stream: &mut TcpStream) -> u8 {
    stream.write_all(b"x").await.unwrap();
    let mut heard = [0];
    stream.read_exact(&mut heard).await.unwrap();
    heard[0]
}

#[test]
fn connections_beyond_the_bound_wait_for_one_to_end() {
    alone(
        "bounds::connections_beyond_the_bound_wait_for_one_to_end",
        async {
            let came = echo(PUBLIC, 80).await;
            let world = World::of(&[("a.example", &[PUBLIC])]);
            let _net = serve(&["tcp://a.example:80"], world, &[(FIRST, 80)]).await;
            let mut open = Vec::new();
            for _ in 0..MOST {
                let mut stream = TcpStream::connect((FIRST, 80)).await.unwrap();
                assert_eq!(said(&mut stream).await, b'x');
                open.push(stream);
            }
            let mut waiting = TcpStream::connect((FIRST, 80)).await.unwrap();
            waiting.write_all(b"x").await.unwrap();
            // Those that are open are served while it waits.
            for stream in &mut open {
                assert_eq!(said(stream).await, b'x');
            }
            assert_eq!(came.load(Ordering::SeqCst), MOST);
            open.pop();
            let mut heard = [0];
            waiting.read_exact(&mut heard).await.unwrap();
            assert_eq!(came.load(Ordering::SeqCst), MOST + 1);
        },
    );
}

#[test]
fn all_ends_when_it_is_dropped() {
    alone("bounds::all_ends_when_it_is_dropped", async {
        let _came = echo(PUBLIC, 80).await;
        let world = World::of(&[("a.example", &[PUBLIC])]);
        let net = serve(&["tcp://a.example:80"], world, &[(FIRST, 80)]).await;
        let mut stream = TcpStream::connect((FIRST, 80)).await.unwrap();
        assert_eq!(said(&mut stream).await, b'x');
        drop(net);
        assert!(matches!(stream.read(&mut [0]).await, Ok(0) | Err(_)));
        let again = async {
            while TcpStream::connect((FIRST, 80)).await.is_ok() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(30), again)
            .await
            .unwrap();
    });
}

#[test]
fn silent_and_babbling_dns_connections_keep_nobody_out() {
    alone(
        "bounds::silent_and_babbling_dns_connections_keep_nobody_out",
        async {
            let world = World::of(&[]);
            let _net = serve(&["tcp://a.example:80"], world, &[]).await;
            let resolver: SocketAddr = (RESOLVER.parse::<std::net::IpAddr>().unwrap(), 53).into();
            let mut silent = Vec::new();
            for _ in 0..40 {
                silent.push(TcpStream::connect(resolver).await.unwrap());
            }
            let socket = tokio::net::UdpSocket::bind("198.18.0.9:0").await.unwrap();
            for len in [0usize, 1, 11, 12, 600, 1233, 9000] {
                socket.send_to(&vec![0xff; len], resolver).await.unwrap();
            }
            for _ in 0..500 {
                socket
                    .send_to(&query("x.evil.example", 16), resolver)
                    .await
                    .unwrap();
            }
            assert_eq!(lookup("a.example").await, Some(FIRST.parse().unwrap()));
        },
    );
}
