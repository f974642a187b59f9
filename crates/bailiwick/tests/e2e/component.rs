//! A component beside a native plugin: what its wall refuses is in the log.

use bailiwick_testkit::sdk::Sdk;
use serde_json::{Value, json};

use crate::support::{Family, Script, World, kind, text};

/// A component with its manifest, which asks for `atom`.
fn put(world: &World, id: &str, atom: &str) -> String {
    let wat = include_str!("../../../../testdata/components/files.wat");
    world.file(
        &format!("{id}/plugin.yaml"),
        &format!(
            "id: {id}\nversion: 1.0.0\nrequired_capabilities: [\"{atom}\"]\nruntime: {{component: files.wasm}}\n"
        ),
    );
    let bytes = wat::parse_str(wat).expect("the component's text is whole");
    std::fs::write(world.path(&format!("{id}/files.wasm")), bytes).unwrap();
    id.to_owned()
}

#[test]
fn an_operation_that_the_wall_refuses_is_in_the_log() {
    let world = World::new();
    world.file("data/docs/a.txt", "alpha");
    world.file("data/secret", "planted");
    let wide = put(
        &world,
        "wide",
        &format!("read_files:{}/", world.path("data")),
    );
    let narrow = put(
        &world,
        "narrow",
        &format!("read_files:{}/", world.path("data/docs")),
    );
    let native = Script::WELL.put(&world);
    world.configure(&[&wide, &narrow, &native], &world.files_policy());
    let mut gate = world.serve(Family::Modern, &[]);
    let mut read = |tool: &str, path: &str| {
        let result = gate.call(tool, json!({ "dir": 0, "path": path, "flags": 1 }));
        result["isError"] != true
    };
    assert!(read("wide__read", "secret"), "with a wide grant it works");
    assert!(read("narrow__read", "a.txt"), "what was granted is there");
    assert!(!read("narrow__read", "../secret"));
    let result = gate.call("good__echo", json!({ "text": "beside" }));
    assert_eq!(text(&result), "beside");
    gate.end();
    let entries = world.settled();
    let denied: Vec<&Value> = entries
        .iter()
        .filter(|entry| kind(entry) == "operation_denied")
        .map(|entry| &entry["entry"])
        .collect();
    assert_eq!(denied.len(), 1, "{denied:?}");
    assert_eq!(denied[0]["subject"]["plugin"], "narrow");
    assert_eq!(denied[0]["event"]["operation"], "read_files");
    let target = denied[0]["event"]["target"].as_str().unwrap();
    assert!(target.contains("secret"), "{target}");
}

/// What `scripts/build-components.sh` built; the set-up calls it.
fn built_by_a_toolchain() -> Vec<u8> {
    let usual = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/components");
    let folder = std::env::var("BAILIWICK_COMPONENTS").unwrap_or_else(|_| usual.to_owned());
    std::fs::read(format!("{folder}/text.wasm"))
        .expect("the JavaScript component is built; run `cargo xtask setup`")
}

#[test]
fn components_of_a_toolchain_and_of_text_stand_behind_one_endpoint() {
    let world = World::new();
    world.file("data/docs/a.txt", "alpha");
    world.file(
        "text/plugin.yaml",
        "id: text\nversion: 1.0.0\nrequired_capabilities: [clock, random]\nruntime: {component: text.wasm}\n",
    );
    std::fs::write(world.path("text/text.wasm"), built_by_a_toolchain()).unwrap();
    let atom = format!("read_files:{}/", world.path("data/docs"));
    let files = put(&world, "files", &atom);
    world.configure(&["text", &files], &world.files_policy());
    for sdk in Sdk::ALL {
        let outcome = world
            .session(&[])
            .call("text__text_shout", json!({ "text": "quiet", "times": 2 }))
            .call("text__text_shout", json!({ "text": "quiet", "times": 300 }))
            .call(
                "files__read",
                json!({ "dir": 0, "path": "a.txt", "flags": 1 }),
            )
            .run(sdk);
        assert_eq!(outcome.text(0), "QUIET!!", "{outcome:?}");
        assert!(outcome.failed(1), "300 is no u8: {outcome:?}");
        assert!(!outcome.failed(2), "{outcome:?}");
    }
    world.settled();
}
