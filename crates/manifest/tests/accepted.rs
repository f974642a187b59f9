//! What a manifest means once it is read, however it was written.
#![expect(
    clippy::panic,
    clippy::expect_used,
    reason = "helpers of tests may end the test"
)]

use bailiwick_capability::{Capability, Kind};
use bailiwick_manifest::{
    ComponentError, Manifest, Necessity, Need, PluginId, SECTION, Start, embed, load_order,
};
use proptest::prelude::*;

const WHOLE: &str = r#"
$schema: https://example.com/manifest.schema.json
id: log-reader
version: 1.2.3
name: Log reader
description: Reads logs.
publisher: example
required_capabilities:
  - read_files:/var/log/
  - read_files: /etc/hosts
  - network_access: [https://api.example.com, "https://*.example.com/v1/ GET"]
  - clock
optional_capabilities:
  write_to_logs: stderr
  read_environment: [LANG, "APP_*"]
dependencies:
  other: "^1.0"
schema:
  tail: {type: object, properties: {lines: {type: integer, maximum: 1000}}}
runtime:
  command: [npx, -y, log-reader, "8080"]
  env: {APP_MODE: quiet}
  limits: {memory: 256MiB, call: 30s, start: 60s, output: 1MiB, processes: 32}
tools:
  tail:
    needs: [read_files, "read_files:/var/log/syslog"]
    arguments: {path: read_files, /urls/*: network_access}
    creates: {arguments: [path], result: [/made/*/id]}
"#;

fn parse(name: &str, text: &str) -> Manifest {
    Manifest::parse(name, text.as_bytes()).unwrap_or_else(|errors| panic!("{errors}"))
}

fn texts(manifest: &Manifest, necessity: Necessity) -> Vec<String> {
    manifest
        .atoms()
        .iter()
        .filter(|atom| atom.necessity == necessity)
        .map(|atom| atom.capability.to_string())
        .collect()
}

#[test]
fn every_key_is_read() {
    let manifest = parse("plugin.yaml", WHOLE);
    assert_eq!(manifest.id().as_str(), "log-reader");
    assert_eq!(manifest.version().to_string(), "1.2.3");
    assert_eq!(manifest.required().count(), 5);
    assert_eq!(
        texts(&manifest, Necessity::Optional),
        [
            "write_to_logs:stderr",
            "read_environment:LANG",
            "read_environment:APP_*"
        ]
    );
    assert_eq!(manifest.of_kind(Kind::ReadFiles).count(), 2);
    let Start::Command(words) = &manifest.runtime().start else {
        panic!("a command");
    };
    assert_eq!(words, &["npx", "-y", "log-reader", "8080"]);
    assert_eq!(manifest.runtime().env["APP_MODE"], "quiet");
    assert_eq!(manifest.runtime().limits.memory_bytes, Some(256 << 20));
    assert_eq!(manifest.runtime().limits.processes, Some(32));
    assert_eq!(
        manifest.schema()["tail"]["properties"]["lines"]["maximum"],
        1000
    );
    let tool = &manifest.tools()["tail"];
    assert!(matches!(tool.needs[0], Need::Kind(Kind::ReadFiles, _)));
    assert!(matches!(tool.needs[1], Need::Capability(..)));
    assert_eq!(tool.arguments[1].argument.to_string(), "/urls/*");
    assert_eq!(tool.arguments[1].kind, Kind::NetworkAccess);
    assert_eq!(tool.creates.arguments[0].to_string(), "/path");
    assert_eq!(tool.creates.result[0].to_string(), "/made/*/id");
}

#[test]
fn every_atom_knows_its_place() {
    let manifest = parse("plugin.yaml", WHOLE);
    for atom in manifest.atoms() {
        let written = &WHOLE[atom.span.start()..atom.span.end()];
        let printed = atom.capability.to_string();
        let scope = printed
            .split_once(':')
            .map_or(printed.as_str(), |(_, scope)| scope);
        assert!(written.contains(scope), "{written} for {printed}");
    }
    let late = manifest.diagnostic(manifest.atoms()[1].span, "it is a link", "name the target");
    assert_eq!(late.line_column(), (10, 17));
    assert_eq!(late.source().name(), "plugin.yaml");
}

#[test]
fn l2_absent_null_and_empty_lists_ask_for_nothing() {
    for list in [
        "",
        "required_capabilities:\n",
        "required_capabilities: []\n",
        "required_capabilities: {}\n",
        "required_capabilities: {read_files: []}\n",
    ] {
        let text = format!("id: a\nversion: 1.0.0\nruntime: {{command: [x]}}\n{list}");
        assert!(parse("a.yaml", &text).atoms().is_empty(), "{list}");
    }
}

#[test]
fn json_and_yaml_mean_the_same_and_meaning_is_what_the_digest_covers() {
    let yaml = parse("plugin.yaml", WHOLE);
    let json = bailiwick_manifest::to_json("plugin.yaml", WHOLE.as_bytes()).expect("a tree");
    let json = parse(
        "plugin.json",
        &serde_json::to_string_pretty(&json).expect("JSON"),
    );
    assert_eq!(yaml.digest(), json.digest());
    assert_eq!(
        yaml.digest(),
        parse("other.yaml", &format!("# comment\n{WHOLE}")).digest()
    );
    let moved = WHOLE.replace("[LANG, \"APP_*\"]", "[\"APP_*\", LANG]");
    assert_eq!(
        yaml.digest(),
        parse("a.yaml", &moved).digest(),
        "order means nothing"
    );
    for (from, to) in [
        ("1.2.3", "1.2.4"),
        ("Reads logs.", "Reads all logs."),
        ("/etc/hosts", "/etc/passwd"),
        ("optional_capabilities:\n", "x:\n"),
        ("8080", "8081"),
        ("APP_MODE: quiet", "APP_MODE: loud"),
        ("call: 30s", "call: 31s"),
        ("maximum: 1000", "maximum: 1001"),
        ("path: read_files", "file: read_files"),
        ("\"^1.0\"", "\"^1.1\""),
        ("needs: [read_files, ", "needs: ["),
        ("arguments: [path], result", "result"),
        ("/made/*/id", "/made/0/id"),
    ] {
        let text = WHOLE.replace(from, to);
        assert_ne!(text, WHOLE, "{from}");
        if let Ok(other) = Manifest::parse("a.yaml", text.as_bytes()) {
            assert_ne!(other.digest(), yaml.digest(), "{from} → {to}");
        } else {
            assert_eq!(to, "x:\n", "{from} → {to}");
        }
    }
}

#[test]
fn the_digest_of_a_known_manifest_stays() {
    let least = parse("a.yaml", "id: a\nversion: 1.0.0\nruntime: {command: [x]}\n");
    assert_eq!(
        least.digest_text(),
        "sha256:8cbd3726410b7253951be4bd477800bcb3d97ee18c82b89163440105f3bc5d5a"
    );
}

#[test]
fn surrogate_pairs_and_tabs_are_json() {
    let text = "{\n\t\"id\": \"a\",\n\t\"version\": \"1.0.0\",\n\t\"name\": \"\\ud83d\\ude00\",\n\t\"runtime\": {\"component\": \"./x/y.wasm\"}\n}\n";
    let manifest = parse("a.json", text);
    assert_eq!(manifest.name(), Some("😀"));
    assert_eq!(
        manifest.runtime().start,
        Start::Component("x/y.wasm".to_owned())
    );
}

#[test]
fn a_synthetic_manifest_asks_for_exactly_what_was_allowed() {
    let id: PluginId = "command".parse().expect("an id");
    let atoms = ["read_files:/data/docs/", "clock", "clock"]
        .map(|text| text.parse::<Capability>().expect(text));
    let command = vec!["npx".to_owned(), "server".to_owned()];
    let manifest = Manifest::synthetic(id.clone(), command, atoms).expect("a manifest");
    assert_eq!(
        texts(&manifest, Necessity::Required),
        ["read_files:/data/docs/", "clock"]
    );
    let late = manifest.diagnostic(manifest.atoms()[0].span, "is not there", "create it");
    assert_eq!(late.line_column(), (1, 1));
    assert!(Manifest::synthetic(id, Vec::new(), []).is_err());
}

fn component() -> Vec<u8> {
    wat::parse_str("(component (core module (@custom \"bailiwick:manifest\" \"inner\")))")
        .expect("WAT")
}

#[test]
fn a_component_carries_its_manifest() {
    let manifest = b"id: a\nversion: 1.0.0\nruntime: {limits: {memory: 1MiB}}\n";
    assert!(
        Manifest::from_component("x.wasm", &component())
            .expect("Wasm")
            .is_none(),
        "an inner module's section is not the component's"
    );
    for bare in [component(), wat::parse_str("(module)").expect("WAT")] {
        let whole = embed(&bare, manifest).expect("embedded");
        assert!(whole.starts_with(&bare));
        let read = Manifest::from_component("x.wasm", &whole)
            .expect("Wasm")
            .expect("a manifest");
        assert_eq!(read.runtime().start, Start::Embedded);
        assert_eq!(read.source().name(), format!("x.wasm#{SECTION}"));
        assert!(matches!(
            embed(&whole, manifest),
            Err(ComponentError::Present)
        ));
        let section = &whole[bare.len()..];
        let twice = [&whole[..], section].concat();
        assert!(matches!(
            Manifest::from_component("x.wasm", &twice),
            Err(ComponentError::Twice)
        ));
        assert!(Manifest::from_component("x.wasm", &whole[..whole.len() - 1]).is_err());
    }
    assert!(matches!(
        Manifest::from_component("x", b"no wasm"),
        Err(ComponentError::NotWasm(_))
    ));
    let wrong = embed(
        &component(),
        b"id: a\nversion: 1.0.0\nruntime: {command: [x]}\n",
    );
    assert!(
        matches!(&wrong, Err(ComponentError::Manifest(errors)) if errors.to_string().contains("the component itself is what runs")),
        "{wrong:?}"
    );
}

fn plugin(id: &str, version: &str, dependencies: &str) -> Manifest {
    parse(
        &format!("{id}.yaml"),
        &format!(
            "id: {id}\nversion: {version}\nruntime: {{command: [x]}}\ndependencies: {{{dependencies}}}\n"
        ),
    )
}

#[test]
fn plugins_load_after_what_they_depend_on() {
    let all = [
        plugin("a", "1.0.0", "c: '*', b: ^2"),
        plugin("b", "2.1.0", "c: '*'"),
        plugin("c", "0.1.0", ""),
    ];
    let order: Vec<&str> = load_order(&all)
        .expect("an order")
        .into_iter()
        .map(|one| one.id().as_str())
        .collect();
    assert_eq!(order, ["c", "b", "a"]);
}

#[test]
fn missing_wrong_circular_and_duplicate_plugins_are_named() {
    for (all, message, line) in [
        (
            vec![plugin("a", "1.0.0", "b: '*'")],
            "`a` depends on `b`, which is not there",
            4,
        ),
        (
            vec![plugin("a", "1.0.0", "b: ^2"), plugin("b", "1.0.0", "")],
            "`a` depends on `b` ^2, but 1.0.0 is there",
            4,
        ),
        (
            vec![plugin("a", "1.0.0", "a: '*'")],
            "in a circle: a → a",
            4,
        ),
        (
            vec![
                plugin("a", "1.0.0", "b: '*'"),
                plugin("b", "1.0.0", "c: '*'"),
                plugin("c", "1.0.0", "b: '*'"),
            ],
            "in a circle: b → c → b",
            4,
        ),
        (
            vec![plugin("a", "1.0.0", ""), plugin("a", "2.0.0", "")],
            "the id `a` is taken by a.yaml",
            1,
        ),
    ] {
        let errors = load_order(&all).expect_err(message);
        assert_eq!(errors.problems().len(), 1, "{errors}");
        assert!(errors.problems()[0].message().contains(message), "{errors}");
        assert_eq!(errors.problems()[0].line_column().0, line);
    }
}

#[test]
fn a_long_chain_of_dependencies_needs_no_deep_stack() {
    let all: Vec<Manifest> = (0..3_000)
        .map(|n| plugin(&format!("p{n}"), "1.0.0", &format!("p{}: '*'", n + 1)))
        .chain([plugin("p3000", "1.0.0", "")])
        .collect();
    assert_eq!(
        load_order(&all).expect("an order")[0].id().as_str(),
        "p3000"
    );
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        for name in ["a.yaml", "a.json", "a"] {
            let _ = Manifest::parse(name, &bytes);
        }
        let _ = Manifest::from_component("a", &bytes);
    }

    #[test]
    fn no_broken_manifest_makes_it_panic(at in 0..WHOLE.len(), len in 0_usize..40, put in "[-{}\\[\\]:,&*!'\"#|>\n a-c0-9é]{0,8}") {
        let end = (at + len).min(WHOLE.len());
        if WHOLE.is_char_boundary(at) && WHOLE.is_char_boundary(end) {
            let text = format!("{}{put}{}", &WHOLE[..at], &WHOLE[end..]);
            if let Err(errors) = Manifest::parse("a.yaml", text.as_bytes()) {
                prop_assert!(!errors.problems().is_empty());
                for problem in errors.problems() {
                    prop_assert!(problem.span().end() <= text.len());
                }
            }
        }
    }

    #[test]
    fn json_reads_as_serde_json_does(text in "[\\[\\]{}:, \"a\\\\u0-9.eE+-]{0,24}") {
        let ours = bailiwick_manifest::to_json("a.json", text.as_bytes());
        let theirs = serde_json::from_str::<serde_json::Value>(&text);
        match (&ours, &theirs) {
            (Ok(ours), Ok(theirs)) => prop_assert_eq!(ours, theirs),
            (Err(errors), Ok(_)) => prop_assert!(errors.to_string().contains("duplicate key"), "{}", errors),
            (Ok(_), Err(error)) => prop_assert!(false, "{text}: {error}"),
            (Err(_), Err(_)) => {}
        }
    }

    #[test]
    fn printed_atoms_read_back(
        paths in prop::collection::btree_set("/[a-z0-9._-]{1,8}x/?", 1..6),
        hosts in prop::collection::btree_set("https://[a-z]{1,8}\\.example\\.com", 0..3),
    ) {
        let mut text = "id: a\nversion: 1.0.0\nruntime: {command: [x]}\nrequired_capabilities:\n".to_owned();
        let wanted: Vec<Capability> = paths.iter().map(|path| format!("read_files:{path}"))
            .chain(hosts.iter().map(|host| format!("network_access:{host}")))
            .map(|one| one.parse().expect("an atom"))
            .collect();
        for atom in &wanted {
            text.push_str(&format!("  - {}\n", serde_json::Value::from(atom.to_string())));
        }
        let read: Vec<Capability> = parse("a.yaml", &text).required().map(|atom| atom.capability.clone()).collect();
        prop_assert_eq!(read, wanted);
    }
}
