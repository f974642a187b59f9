//! `bailiwick policy` through the binary: what it prints, and its exit status. Analysis needs cvc5, which
//! `cargo xtask setup` installs.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::path::Path;
use std::process::{Command, Output};

use bailiwick_audit::{AtomDecision, Event, Log, Moment, Options, Outcome, Subject};
use serde_json::Value;

/// A folder with a configuration and policies, where the command is run.
struct Site(tempfile::TempDir);

const CONFIG: &str = "default_policies: false\npolicies: [site.cedar]\nclassification:\n  /data/hr/**: confidential\nusers:\n  alice: {roles: [analyst]}\n";
const SITE: &str = r#"@id("data") @reason("Analysts work on the data folder.")
permit (principal in Role::"analyst", action == Action::"read_files", resource in Dir::"/data");
@id("hr") forbid (principal, action == Action::"read_files", resource) when { resource.sensitivity == Sensitivity::"confidential" };
@id("calls") permit (principal, action == Action::"call", resource);
"#;
const WIDER: &str = r#"@id("data") permit (principal, action == Action::"read_files", resource in Dir::"/data");
@id("net") permit (principal, action == Action::"network_access", resource in Host::"api.example.com");
@id("push") forbid (principal, action == Action::"call", resource == Tool::"com.example.git/push");
@id("calls") permit (principal, action == Action::"call", resource);
"#;

impl Site {
    fn new() -> Self {
        let site = Self(tempfile::tempdir().unwrap());
        site.write("bailiwick.yaml", CONFIG);
        site.write("site.cedar", SITE);
        site.write("wider.cedar", WIDER);
        site
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path().join(name), text).unwrap();
    }

    fn run(&self, args: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_bailiwick"))
            .arg("policy")
            .args(args)
            .current_dir(self.path())
            .env("BAILIWICK_HOME", self.path().join("state"))
            .output()
            .unwrap()
    }

    /// Its exit status, and what it prints as JSON.
    fn json(&self, args: &[&str]) -> (i32, Value) {
        let out = self.run(&[args, &["--json"]].concat());
        let value = serde_json::from_slice(&out.stdout);
        let value = value.unwrap_or_else(|e| panic_with(&out, &e.to_string()));
        (out.status.code().unwrap(), value)
    }
}

fn panic_with(out: &Output, why: &str) -> Value {
    let shown = String::from_utf8_lossy(&out.stderr).into_owned();
    assert_eq!(why, "", "{shown}");
    Value::Null
}

fn text(out: &Output) -> String {
    String::from_utf8(out.stdout.clone()).unwrap()
}

#[test]
fn check_tells_errors_and_useless_rules_by_their_place() {
    let site = Site::new();
    let (status, found) = site.json(&["check"]);
    assert_eq!((status, &found["ok"]), (0, &Value::Bool(true)), "{found}");
    site.write("more.cedar", "permit (principal, action == Action::\"clock\", resource);\n@id(\"again\") permit (principal in Role::\"r\", action == Action::\"clock\", resource);");
    let (status, found) = site.json(&["check", "more.cedar"]);
    assert_eq!(
        (status, found["remarks"][0]["kind"].as_str()),
        (1, Some("shadowed")),
        "{found}"
    );
    assert_eq!(found["remarks"][0]["line"], 2);
    site.write(
        "more.cedar",
        "\n@qouta(\"1/day\") permit (principal, action == Action::\"call\", resource);",
    );
    let out = site.run(&["check", "more.cedar"]);
    assert_eq!(out.status.code(), Some(1));
    assert!(
        text(&out).contains("more.cedar:2:1: `@qouta`"),
        "{}",
        text(&out)
    );
}

#[test]
fn explain_says_why_and_what_would_help() {
    let site = Site::new();
    let (status, found) = site.json(&["explain", "read_files:/data/", "--user", "alice"]);
    assert_eq!(
        (status, found["answer"].as_str()),
        (1, Some("partial")),
        "{found}"
    );
    assert_eq!(found["granted"][0], "read_files:/data/ except /data/hr/");
    let (_, found) = site.json(&["explain", "read_files:/data/x", "--user", "bob"]);
    assert_eq!(found["changes"][0][0]["role"], "analyst");
    let (status, _) = site.json(&[
        "explain",
        "read_files:/data/x",
        "--user",
        "bob",
        "--role",
        "analyst",
    ]);
    assert_eq!(status, 0);
    let out = site.run(&[
        "explain",
        "--call",
        "push",
        "--plugin",
        "com.example.git",
        "--policy",
        "wider.cedar",
    ]);
    assert!(
        text(&out).contains("makes an exception: unless"),
        "{}",
        text(&out)
    );
    assert_eq!(
        site.run(&["explain", "read_fils:/x"]).status.code(),
        Some(2)
    );
}

#[test]
fn test_runs_cases_and_tells_which_fail() {
    let site = Site::new();
    let cases = r#"
tools:
  com.example.mail/send: {type: object, properties: {to: {type: string}}, required: [to]}
policies: [site.cedar, mail.cedar]
cases:
  - name: analysts read all but personal data
    as: {user: alice}
    ask: "read_files:/data/"
    expect: partial
    granted: ["read_files:/data/ except /data/hr/"]
    by: [hr]
  - name: others read nothing
    ask: "read_files:/data/"
    expect: deny
  - name: mail stays inside
    call: com.example.mail/send
    arguments: {to: a@example.org}
    expect: deny
    by: [inside]
"#;
    site.write("mail.cedar", "@id(\"inside\") forbid (principal, action == Action::\"call\", resource == Tool::\"com.example.mail/send\") unless { context.arguments.to like \"*@example.com\" };");
    site.write("cases.yaml", cases);
    let (status, found) = site.json(&["test", "cases.yaml"]);
    assert_eq!((status, &found["passed"]), (0, &Value::from(3)), "{found}");
    site.write(
        "wrong.yaml",
        &cases
            .replace("expect: partial", "expect: grant")
            .replace("by: [inside]", "by: [outside]"),
    );
    let (status, found) = site.json(&["test", "wrong.yaml"]);
    assert_eq!((status, &found["failed"]), (1, &Value::from(2)), "{found}");
    assert_eq!(
        found["cases"][0]["faults"][0],
        "expected grant, found partial"
    );
    for wrong in [
        "cases: []",
        "cases: [{name: x, expect: maybe, ask: clock}]",
        "cases: [{name: x, expect: deny}]",
        "case: []",
    ] {
        site.write("wrong.yaml", wrong);
        assert_eq!(
            site.run(&["test", "wrong.yaml"]).status.code(),
            Some(2),
            "{wrong}"
        );
    }
}

#[test]
fn simulate_tells_what_would_have_changed_and_what_cannot_be_compared() {
    let site = Site::new();
    let dir = site.path().join("log");
    let log = Log::open(&dir, Options::default()).unwrap();
    let subject = |user: &str| {
        Subject::session("s")
            .with_user(user)
            .with_plugin("com.example.git", "sha256:00")
    };
    let decision = |moment, asked: &str, outcome, granted: &[&str]| Event::Decision {
        outcome,
        moment,
        atoms: vec![AtomDecision {
            asked: asked.to_owned(),
            outcome,
            granted: granted.iter().map(|&g| g.to_owned()).collect(),
            policies: Vec::new(),
            reasons: Vec::new(),
        }],
        context: [
            ("environment", "production"),
            ("now", "1790000000"),
            ("isolation", "native"),
            ("labels", ""),
            ("machine", ""),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into(),
    };
    for (user, event) in [
        (
            "alice",
            decision(
                Moment::Load,
                "read_files:/data/x",
                Outcome::Grant,
                &["read_files:/data/x"],
            ),
        ),
        (
            "bob",
            decision(Moment::Load, "read_files:/data/x", Outcome::Deny, &[]),
        ),
        (
            "bob",
            decision(Moment::Call, "com.example.git__push", Outcome::Grant, &[]),
        ),
        (
            "bob",
            decision(
                Moment::Load,
                "read_files:/etc/hosts",
                Outcome::Grant,
                &["read_files:/etc/hosts"],
            ),
        ),
    ] {
        log.append_durable(&subject(user), &event).unwrap();
    }
    log.close().unwrap();
    let log = dir.to_str().unwrap();
    let (status, found) = site.json(&["simulate", "wider.cedar", "--against", log]);
    assert_eq!(status, 1, "{found}");
    assert_eq!(found["same"], 1);
    let changed = found["changed"].as_array().unwrap();
    let told: Vec<_> = changed
        .iter()
        .map(|c| {
            (
                c["asked"].as_str().unwrap(),
                c["after"]["outcome"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("read_files:/data/x", "grant"),
            ("com.example.git__push", "deny")
        ]
    );
    let not: Vec<_> = found["not_compared"]
        .as_object()
        .unwrap()
        .values()
        .collect();
    assert_eq!(
        not,
        [&Value::from(1)],
        "an --allow that nobody knows of any more"
    );
    let nowhere = site.run(&["simulate", "site.cedar", "--against", "nowhere"]);
    assert_eq!(nowhere.status.code(), Some(2));
    let (status, found) = site.json(&["simulate", "site.cedar", "--against", log]);
    assert_eq!((status, &found["same"]), (0, &Value::from(3)), "{found}");
}

#[test]
fn analyze_answers_with_examples_or_no() {
    let site = Site::new();
    let (status, found) = site.json(&["analyze", "wider.cedar", "--against", "site.cedar"]);
    assert_eq!(status, 1, "{found}");
    let answers = found["answers"].as_array().unwrap();
    for answer in answers {
        let wider = ["read_files", "network_access"].contains(&answer["action"].as_str().unwrap());
        assert_eq!(
            answer["result"]["answer"],
            if wider { "yes" } else { "no" },
            "{answer}"
        );
    }
    let (status, found) = site.json(&["analyze", "wider.cedar", "--leaks", "confidential"]);
    assert_eq!(status, 1, "{found}");
    assert!(
        found["answers"][0]["result"]["asked"][0]
            .as_str()
            .unwrap()
            .starts_with("read_files:/data/hr"),
        "{found}"
    );
    let (status, found) = site.json(&["analyze", "--leaks", "confidential"]);
    assert_eq!(status, 0, "{found}");
    let missing = site.run(&[
        "analyze",
        "wider.cedar",
        "--against",
        "site.cedar",
        "--solver",
        "/nonexistent",
    ]);
    assert_eq!(missing.status.code(), Some(2));
}

#[test]
fn analyze_refuses_labels_that_there_are_not_and_tells_of_those_that_nothing_bears() {
    let site = Site::new();
    let out = site.run(&["analyze", "wider.cedar", "--leaks", "confidental"]);
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert_eq!(out.status.code(), Some(2), "{said}");
    assert!(
        said.contains("no label `confidental`") && said.contains("confidential"),
        "{said}"
    );
    let (status, found) = site.json(&["analyze", "wider.cedar", "--leaks", "public"]);
    assert_eq!(status, 0, "{found}");
    let note = found["note"].as_str().unwrap();
    assert!(note.contains("no path is classified `public`"), "{note}");
    let (_, found) = site.json(&["analyze", "wider.cedar", "--leaks", "confidential"]);
    assert_eq!(found["note"], Value::Null);
}

#[test]
fn check_holds_names_against_what_is_known_and_says_what_is_not() {
    let site = Site::new();
    let policy = "permit (principal, action == Action::\"call\", resource == Tool::\"good/echo\");
        permit (principal, action == Action::\"call\", resource in Plugin::\"other\");";
    site.write("names.cedar", policy);
    let out = site.run(&["check", "names.cedar"]);
    assert_eq!(out.status.code(), Some(0), "{}", text(&out));
    assert!(
        text(&out).contains("Not checked: names of plugins and tools: no plugins are configured.")
    );
    std::fs::create_dir(site.path().join("good")).unwrap();
    // It says of one tool what it needs, and has others.
    let manifest = "id: good\nversion: 1.0.0\noptional_capabilities: [clock]\ntools: {now: {needs: [clock]}}\nruntime: {command: [/bin/true]}\n";
    site.write("good/plugin.yaml", manifest);
    site.write("bailiwick.yaml", &format!("{CONFIG}plugins: [good]\n"));
    let (status, found) = site.json(&["check", "names.cedar"]);
    let remarks = found["remarks"].as_array().unwrap();
    let kinds: Vec<_> = remarks
        .iter()
        .map(|remark| remark["kind"].as_str().unwrap())
        .collect();
    assert_eq!((status, kinds), (1, vec!["unknown-plugin"]), "{found}");
    assert!(
        found["unchecked"]
            .as_str()
            .unwrap()
            .contains("names of tools"),
        "{found}"
    );
}
