//! Resolvers that others wrote, against ours.

use std::process::Command;

use crate::support::{World, alone, serve};

async fn output(mut command: Command) -> String {
    let output = tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{text}{errors}\nhint: `cargo xtask setup`"
    );
    text
}

/// c-ares, in Node.
#[test]
fn node_s_resolver_understands_every_answer() {
    alone("clients::node_s_resolver_understands_every_answer", async {
        let net = serve(&["https://api.example.com"], World::of(&[]), &[]).await;
        let mut node = Command::new("node");
        node.arg("-e").arg(
            r#"
            const resolver = new (require('node:dns').promises.Resolver)();
            resolver.setServers(['198.18.0.1']);
            const tried = async (kind, name) => {
                const answer = await resolver.resolve(name, kind).catch(error => error.code);
                console.log(kind, name, JSON.stringify(answer));
            };
            (async () => {
                await tried('A', 'api.example.com');
                await tried('A', 'API.EXAMPLE.COM.');
                for (const kind of ['AAAA', 'TXT', 'MX', 'SRV', 'CAA', 'NS', 'ANY'])
                    await tried(kind, 'api.example.com');
                await tried('A', 'evil.example');
                await tried('TXT', 'secret.evil.example');
                await tried('A', 'localhost');
            })();
            "#,
        );
        let expected = "\
A api.example.com [\"198.18.0.2\"]
A API.EXAMPLE.COM. [\"198.18.0.2\"]
AAAA api.example.com \"ENODATA\"
TXT api.example.com \"ENODATA\"
MX api.example.com \"ENODATA\"
SRV api.example.com \"ENODATA\"
CAA api.example.com \"ENODATA\"
NS api.example.com \"ENODATA\"
ANY api.example.com \"ENODATA\"
A evil.example \"ENOTFOUND\"
TXT secret.evil.example \"ENOTFOUND\"
A localhost [\"127.0.0.1\"]
";
        assert_eq!(output(node).await, expected);
        assert_eq!(net.refused().len(), 2);
        assert_eq!(net.world.asked(), 0);
    });
}

/// The C library's, with the files that a plugin is shown.
#[test]
fn the_c_library_s_resolver_is_led_by_our_files() {
    alone(
        "clients::the_c_library_s_resolver_is_led_by_our_files",
        async {
            let net = serve(&["https://api.example.com"], World::of(&[]), &[]).await;
            let dir = tempfile::tempdir().unwrap();
            let mut binds = String::new();
            for (place, bytes) in crate::support::files(&["https://api.example.com"]) {
                let file = dir.path().join(place.file_name().unwrap());
                std::fs::write(&file, bytes).unwrap();
                if place.exists() {
                    binds += &format!("mount --bind {} {}\n", file.display(), place.display());
                }
            }
            let ask = "\
import socket
for name in ['api.example.com', 'Api.Example.Com.', 'evil.example', 'localhost']:
    try:
        print(name, sorted({found[4][0] for found in socket.getaddrinfo(name, 443)}))
    except socket.gaierror as error:
        print(name, error.errno == socket.EAI_NONAME)
";
            let mut python = Command::new("unshare");
            python
                .args(["--mount", "--", "sh", "-ec"])
                .arg(format!("{binds}exec /usr/bin/python3 -c \"$0\""));
            python.arg(ask);
            let expected = "\
api.example.com ['198.18.0.2']
Api.Example.Com. ['198.18.0.2']
evil.example True
localhost ['127.0.0.1', '::1']
";
            assert_eq!(output(python).await, expected);
            let refused: Vec<_> = net
                .refused()
                .into_iter()
                .map(|(target, _)| target)
                .collect();
            assert_eq!(refused, ["evil.example"]);
        },
    );
}
