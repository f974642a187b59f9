//! The check of an operation is on the path of every file, request and variable: it takes nothing from the heap.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::hint::black_box;

use allocation_counter::measure;
use bailiwick_capability::{Capability, Grant};

fn grant() -> Grant {
    Grant::new(
        [
            "read_files:/data/ except /data/hr/ except /data/keys/id",
            "write_files:/data/out/",
            "network_access:https://*.example.com/v1/ GET,POST except https://x.example.com/v1/ GET,POST except https://y.example.com/v1/a POST",
            "network_access:tcp://10.0.0.1:5432",
            "network_listen:127.0.0.1:8080",
            "execute_code:/usr/bin/git except /usr/bin/git push",
            "read_environment:APP_* except APP_KEY",
            "call_tool:git__* except git__push",
            "use_secret:github",
            "clock",
        ]
        .map(|text| text.parse().unwrap()),
    )
}

#[test]
fn the_check_of_an_operation_takes_nothing_from_the_heap() {
    let grant = grant();
    for (operation, is_permitted) in [
        ("read_files:/data/a/b", true),
        ("read_files:/data/hr/pay", false),
        ("read_files:/etc/shadow", false),
        ("read_files:/data/hr/", false),
        ("write_files:/data/out/é", true),
        ("network_access:https://a.example.com/v1/items GET", true),
        ("network_access:https://y.example.com/v1/a GET", true),
        ("network_access:https://y.example.com/v1/a POST", false),
        ("network_access:https://x.example.com/v1/ GET", false),
        ("network_access:https://a.b.example.com/v1/ GET", false),
        ("network_access:tcp://10.0.0.1:5432", true),
        ("network_listen:127.0.0.1:8080", true),
        ("execute_code:/usr/bin/git status -s", true),
        ("execute_code:/usr/bin/git push --force", false),
        ("read_environment:APP_MODE", true),
        ("read_environment:APP_KEY", false),
        ("call_tool:git__log", true),
        ("call_tool:git__push", false),
        ("use_secret:github", true),
        ("use_secret:gitlab", false),
        ("clock", true),
        ("random", false),
    ] {
        let operation: Capability = operation.parse().unwrap();
        let mut answer = None;
        let taken = measure(|| answer = Some(black_box(&grant).permits(black_box(&operation))));
        assert_eq!(answer, Some(is_permitted), "{operation}");
        assert_eq!(taken.count_total, 0, "{operation}");
    }
}

#[test]
fn what_takes_from_the_heap_is_noticed() {
    let taken = measure(|| drop(black_box(grant())));
    assert!(taken.count_total > 0);
}
