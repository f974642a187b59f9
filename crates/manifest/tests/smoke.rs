//! The whole format once, in YAML and in JSON.
use bailiwick_manifest::Manifest;

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
"#;

#[test]
fn the_whole_format_is_read() {
    let manifest = Manifest::parse("plugin.yaml", WHOLE.as_bytes()).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(manifest.atoms().len(), 7);
    assert_eq!(manifest.required().count(), 4);
    let atom = &manifest.atoms()[1];
    assert_eq!(manifest.source().line_column(atom.span.start()), (10, 17));
}
