//! The resolver over the wire.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{RESOLVER, World, alone, lookup, query, serve};

async fn over_tcp(stream: &mut TcpStream, message: &[u8]) -> Vec<u8> {
    let len = u16::try_from(message.len()).unwrap();
    stream.write_u16(len).await.unwrap();
    stream.write_all(message).await.unwrap();
    let mut answer = vec![0; usize::from(stream.read_u16().await.unwrap())];
    stream.read_exact(&mut answer).await.unwrap();
    answer
}

#[test]
fn l06_no_question_leaves_the_machine() {
    alone("dns::l06_no_question_leaves_the_machine", async {
        let world = World::of(&[]);
        let net = serve(
            &["https://api.example.com", "https://*.wild.example"],
            world,
            &[],
        )
        .await;
        assert!(lookup("api.example.com").await.is_some());
        assert!(lookup("any.wild.example").await.is_some());
        for name in [
            "data.evil.example",
            "x.api.example.com",
            "wild.example",
            "localhost.evil.example",
        ] {
            assert_eq!(lookup(name).await, None, "{name}");
        }
        assert_eq!(net.refused().len(), 4);
        assert_eq!(net.world.asked(), 0, "the host's resolver was asked");
        assert_eq!(net.egress.counters().questions, 6);
    });
}

#[test]
fn several_questions_are_answered_over_one_tcp_connection() {
    alone(
        "dns::several_questions_are_answered_over_one_tcp_connection",
        async {
            let net = serve(&["https://api.example.com"], World::of(&[]), &[]).await;
            let mut stream = TcpStream::connect((RESOLVER, 53)).await.unwrap();
            for _ in 0..3 {
                let answer = over_tcp(&mut stream, &query("api.example.com", 1)).await;
                assert_eq!(answer.last_chunk(), Some(&[198, 18, 0, 2]));
            }
            assert_eq!(
                over_tcp(&mut stream, &query("evil.example", 1)).await[3] & 15,
                3
            );
            assert_eq!(net.egress.counters().questions, 4);
            // Too long to be a question: it ends there.
            stream.write_u16(60_000).await.unwrap();
            assert!(matches!(stream.read(&mut [0; 2]).await, Ok(0) | Err(_)));
        },
    );
}
