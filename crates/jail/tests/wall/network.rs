//! A world with a network: `lo`, what is granted of it, and nothing behind.

use std::io::{Read, Write};
use std::net::{IpAddr, TcpListener};
use std::thread;

use bailiwick_jail::{Extras, Native, Network, Stdio, Watch};
use bailiwick_wall::{Limits, Program};

use crate::world::{grant, program};

/// Runs a script of bash inside; each connection that arrives is answered with the address it dialled.
fn scripted(script: &str, addresses: &[&str]) -> String {
    let extras = Extras {
        network: Some(Network {
            ports: [8443].into(),
            addresses: addresses.iter().map(|a| a.parse().unwrap()).collect(),
        }),
        files: vec![(
            "/etc/resolv.conf".into(),
            b"nameserver 198.18.0.1\n".to_vec(),
        )],
        watch: Watch::Everything,
        ..Extras::default()
    };
    let program = Program {
        args: vec!["-c".into(), script.into()],
        ..program("/bin/bash".as_ref())
    };
    let jail = Native::probe().unwrap();
    let mut jailed = jail
        .spawn_with(
            &program,
            &grant(&[]),
            &Limits::default(),
            Stdio::Piped,
            &extras,
        )
        .unwrap();
    for (port, listener) in jailed.listeners.take().unwrap().tcp {
        assert_eq!(port, 8443);
        let listener = TcpListener::from(listener);
        listener.set_nonblocking(false).unwrap();
        thread::spawn(move || {
            while let Ok((mut stream, _)) = listener.accept() {
                let dialled = stream.local_addr().unwrap().ip();
                stream.write_all(format!("{dialled}\n").as_bytes()).unwrap();
            }
        });
    }
    let mut text = String::new();
    let mut out = std::fs::File::from(jailed.stdout.take().unwrap());
    out.read_to_string(&mut text).unwrap();
    jailed.wait().unwrap();
    text
}

fn dial(address: &str, port: u16) -> String {
    format!("(exec 3<>/dev/tcp/{address}/{port} && cat <&3 && exit 0) 2>/dev/null || echo refused;")
}

#[test]
fn every_synthetic_and_granted_address_arrives_at_the_host() {
    let dialled = [
        "198.18.0.7",
        "198.19.255.254",
        "10.1.2.3",
        "127.0.0.1",
        "2001:db8::7",
    ];
    let script: String = dialled.iter().map(|address| dial(address, 8443)).collect();
    let said = scripted(&script, &["10.1.2.3", "127.0.0.1", "2001:db8::7"]);
    assert_eq!(said.lines().collect::<Vec<_>>(), dialled);
}

#[test]
fn l9_nothing_else_can_be_dialled() {
    let host = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = host.local_addr().unwrap().port();
    let targets = [
        ("127.0.0.1", port),
        ("198.18.0.7", 443),
        ("8.8.8.8", 8443),
        ("10.1.2.4", 8443),
        ("192.168.0.1", 8443),
    ];
    let script: String = targets
        .iter()
        .map(|(address, port)| dial(address, *port))
        .collect();
    let said = scripted(&script, &["10.1.2.3"]);
    assert_eq!(said.lines().collect::<Vec<_>>(), ["refused"; 5]);
    host.set_nonblocking(true).unwrap();
    assert!(host.accept().is_err(), "a connection reached the host");
}

#[test]
fn l6_the_resolver_inside_is_ours() {
    let said = scripted("cat /etc/resolv.conf", &[]);
    assert_eq!(said, "nameserver 198.18.0.1\n");
}

#[test]
fn what_cannot_be_listened_on_is_an_error() {
    let jail = Native::probe().unwrap();
    let spawn = |network: Network| {
        let extras = Extras {
            network: Some(network),
            ..Extras::default()
        };
        let program = program("/bin/true".as_ref());
        jail.spawn_with(
            &program,
            &grant(&[]),
            &Limits::default(),
            Stdio::Piped,
            &extras,
        )
    };
    let ports = |ports: &[u16]| Network {
        ports: ports.iter().copied().collect(),
        addresses: vec!["::1".parse::<IpAddr>().unwrap()],
    };
    assert!(spawn(ports(&[53])).is_err());
    let many: Vec<u16> = (1000..1200).collect();
    assert!(spawn(ports(&many)).is_err());
    spawn(ports(&[80, 443])).unwrap().wait().unwrap();
}
