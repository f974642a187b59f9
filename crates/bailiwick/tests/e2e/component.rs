//! A component beside a native plugin: what its wall refuses is in the log.

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
