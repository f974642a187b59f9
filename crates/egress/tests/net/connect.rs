//! TCP: by name, checked, carried whole.

use std::sync::atomic::Ordering;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{
    FIRST, METADATA, OTHER, PUBLIC, RESOLVER, SECOND, World, alone, echo, exchange, listener,
    lookup, serve,
};

#[test]
fn a_granted_name_is_reached_and_only_looked_up_when_it_is_dialled() {
    alone(
        "connect::a_granted_name_is_reached_and_only_looked_up_when_it_is_dialled",
        async {
            let came = echo(PUBLIC, 5432).await;
            let world = World::of(&[("db.example.com", &[PUBLIC])]);
            let net = serve(&["tcp://db.example.com:5432"], world, &[(FIRST, 5432)]).await;
            assert_eq!(lookup("DB.example.com").await, Some(FIRST.parse().unwrap()));
            assert_eq!((net.world.asked(), came.load(Ordering::SeqCst)), (0, 0));
            assert_eq!(exchange(FIRST, 5432, b"hello").await.unwrap(), b"hello");
            assert_eq!((net.world.asked(), came.load(Ordering::SeqCst)), (1, 1));
            assert_eq!(net.egress.counters().connections, 1);
            assert_eq!(net.refused(), []);
        },
    );
}

#[test]
fn a_large_transfer_arrives_whole_in_both_directions_after_one_side_has_ended() {
    alone(
        "connect::a_large_transfer_arrives_whole_in_both_directions_after_one_side_has_ended",
        async {
            // It hears everything before it says anything, and ends last.
            let server = listener(PUBLIC, 99).await;
            tokio::spawn(async move {
                let (mut stream, _) = server.accept().await.unwrap();
                let mut heard = Vec::new();
                stream.read_to_end(&mut heard).await.unwrap();
                heard.reverse();
                stream.write_all(&heard).await.unwrap();
            });
            let world = World::of(&[("a.example", &[PUBLIC])]);
            let _net = serve(&["tcp://a.example:99"], world, &[(FIRST, 99)]).await;
            let mut sent: Vec<u8> = (0..20_000_003u32).map(|n| (n % 251) as u8).collect();
            let answer = exchange(FIRST, 99, &sent).await.unwrap();
            sent.reverse();
            assert!(answer == sent, "{} of {} bytes", answer.len(), sent.len());
        },
    );
}

#[test]
fn a_transfer_that_breaks_off_does_not_look_finished() {
    alone(
        "connect::a_transfer_that_breaks_off_does_not_look_finished",
        async {
            let server = listener(PUBLIC, 99).await;
            tokio::spawn(async move {
                for size in [10, 1_000_000] {
                    let (mut stream, _) = server.accept().await.unwrap();
                    stream.write_all(&vec![b'x'; size]).await.unwrap();
                    let mut go = [0];
                    stream.read_exact(&mut go).await.unwrap();
                    stream.set_zero_linger().unwrap();
                }
            });
            let world = World::of(&[("a.example", &[PUBLIC])]);
            let _net = serve(&["tcp://a.example:99"], world, &[(FIRST, 99)]).await;
            for size in [10, 1_000_000] {
                let mut stream = TcpStream::connect((FIRST, 99)).await.unwrap();
                let mut start = vec![0; size];
                stream.read_exact(&mut start).await.unwrap();
                stream.write_all(b"g").await.unwrap();
                let end = stream.read(&mut start).await;
                assert!(end.is_err(), "{end:?} after {size} bytes");
            }
        },
    );
}

#[test]
fn l07_a_granted_name_leads_nowhere_inside() {
    alone("connect::l07_a_granted_name_leads_nowhere_inside", async {
        let mut canaries = Vec::new();
        for address in [METADATA, "10.0.0.1", "127.0.0.1"] {
            canaries.push(echo(address, 80).await);
            // Without the check it would be reached.
            assert_eq!(exchange(address, 80, b"direct").await.unwrap(), b"direct");
        }
        let public = echo(OTHER, 80).await;
        let world = World::of(&[]);
        let net = serve(&["tcp://a.example:80"], world, &[(FIRST, 80)]).await;
        for answers in [
            &[METADATA][..],
            &["10.0.0.1"],
            &["127.0.0.1"],
            &["0.0.0.0"],
            &["::1"],
            &["::ffff:127.0.0.1"],
            &["::ffff:169.254.169.254"],
            &["64:ff9b::a9fe:a9fe"],
            &[OTHER, METADATA],
            &[METADATA, OTHER],
        ] {
            net.world.set("a.example", answers);
            let answer = exchange(FIRST, 80, b"through").await;
            assert!(answer.is_err(), "{answers:?}: {answer:?}");
            let refused = net.refused();
            let told = refused.iter().any(|(target, reason)| {
                target == "tcp://a.example:80" && reason.contains("leads to")
            });
            assert!(told, "{answers:?}: {refused:?}");
        }
        assert_eq!(
            public.load(Ordering::SeqCst),
            0,
            "one bad answer spoils all"
        );
        for canary in canaries {
            assert_eq!(
                canary.load(Ordering::SeqCst),
                1,
                "reached but by the test itself"
            );
        }
    });
}

#[test]
fn l07_a_name_that_is_bound_anew_between_two_connections_is_checked_each_time() {
    alone(
        "connect::l07_a_name_that_is_bound_anew_between_two_connections_is_checked_each_time",
        async {
            let (public, inside) = (echo(PUBLIC, 80).await, echo(METADATA, 80).await);
            let world = World::of(&[("a.example", &[PUBLIC])]);
            let net = serve(&["tcp://a.example:80"], world, &[(FIRST, 80)]).await;
            assert_eq!(exchange(FIRST, 80, b"x").await.unwrap(), b"x");
            net.world.set("a.example", &[METADATA]);
            assert!(exchange(FIRST, 80, b"x").await.is_err());
            net.world.set("a.example", &[PUBLIC]);
            assert_eq!(exchange(FIRST, 80, b"x").await.unwrap(), b"x");
            let came = (public.load(Ordering::SeqCst), inside.load(Ordering::SeqCst));
            assert_eq!(came, (2, 0));
        },
    );
}

#[test]
fn l09_no_other_address_at_a_granted_port_leads_anywhere() {
    alone(
        "connect::l09_no_other_address_at_a_granted_port_leads_anywhere",
        async {
            let came = echo(PUBLIC, 80).await;
            let world = World::of(&[("a.example", &[PUBLIC]), ("b.example", &[PUBLIC])]);
            let unknown = [
                RESOLVER,
                "198.18.0.9",
                "198.19.255.254",
                "127.0.0.1",
                "127.9.9.9",
                "10.0.0.1",
            ];
            let listen: Vec<_> = [FIRST, SECOND]
                .iter()
                .chain(&unknown)
                .map(|at| (*at, 80))
                .collect();
            let net = serve(
                &["tcp://a.example:80", "tcp://b.example:81"],
                world,
                &listen,
            )
            .await;
            assert_eq!(exchange(FIRST, 80, b"x").await.unwrap(), b"x");
            for address in unknown {
                assert!(exchange(address, 80, b"x").await.is_err(), "{address}");
                let refused = net.refused();
                assert_eq!(refused[0].0, format!("tcp://{address}:80"), "{refused:?}");
            }
            // A granted name, at a port that is granted for another.
            let answer = exchange(SECOND, 80, b"x").await;
            assert!(answer.is_err(), "{answer:?}");
            let refused = net.refused();
            assert_eq!(
                refused.first().map(|told| told.0.as_str()),
                Some("tcp://b.example:80"),
                "{refused:?} {answer:?} {:?}",
                net.egress.counters()
            );
            assert_eq!(came.load(Ordering::SeqCst), 1);
            assert_eq!(net.world.asked(), 1);
        },
    );
}

#[test]
fn localhost_is_the_host_s_own_where_it_is_granted() {
    alone(
        "connect::localhost_is_the_host_s_own_where_it_is_granted",
        async {
            let came = echo("127.0.0.1", 5432).await;
            let world = World::of(&[("localhost", &["127.0.0.1"])]);
            let net = serve(
                &["tcp://localhost:5432", "tcp://localhost:99"],
                world,
                &[("::1", 5432)],
            )
            .await;
            assert_eq!(exchange("::1", 5432, b"x").await.unwrap(), b"x");
            assert_eq!(came.load(Ordering::SeqCst), 1);
            net.world.set("localhost", &[PUBLIC]);
            assert!(
                exchange("::1", 5432, b"x").await.is_err(),
                "a localhost that is not loopback"
            );
            assert_eq!(net.refused().len(), 1);
        },
    );
}
