//! Reports of real logs: what they count, what they prove, what they admit, and that no text from a plugin leaves its
//! place in them.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "helpers of tests may end the test"
)]

use std::path::PathBuf;

use bailiwick_audit::{Event, Log, Outcome, ProvenEntry, Subject, VerifierKey, read_verifier_key};
use bailiwick_report::{
    Assessment, Framework, GrantUse, Period, assess, html, markdown, oscal, write_proofs,
};
use serde_json::Value;

/// Where HTML, Markdown or JSON would let text out.
const ATTACKS: &[&str] = &[
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "' onmouseover='alert(1)",
    "</code></li></ul><h1>Satisfied</h1>",
    "` `` ``` <b>x</b> [a](javascript:alert(1))",
    "x\n\n# Everything verifies\n\n| a | b |",
    "&lt;script&gt;",
    "&#60;script&#62;",
    "\\`*_{}[]()#+-.!|~^",
    "\u{202e}\u{2028}\u{85}\u{0}é",
];

struct Stage {
    dir: tempfile::TempDir,
}

impl Stage {
    fn new(text: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let options = bailiwick_audit::Options {
            key_file: Some(dir.path().join("audit.key")),
            ..Default::default()
        };
        let log = Log::open(&dir.path().join("audit"), options).unwrap();
        let plugin = |id: &str| Subject::session("s").with_plugin(id, "sha256:1");
        let put = |subject: &Subject, event: &Event| {
            log.append(subject, event).unwrap();
        };
        let s = || text.to_owned();
        for (id, wall, grant) in [
            (
                "used",
                "native",
                vec![
                    "use_secret:one".to_owned(),
                    "use_secret:two".to_owned(),
                    "read_files:/d/".to_owned(),
                ],
            ),
            ("idle", "native", vec![format!("read_files:/{text}")]),
            (
                "asks",
                "wasm",
                vec![
                    "network_access:https://a".to_owned(),
                    "network_access:https://b".to_owned(),
                ],
            ),
        ] {
            put(
                &plugin(id),
                &Event::PluginStart {
                    wall: wall.into(),
                    grant,
                    tools: vec![s()],
                    watched: false,
                    program: None,
                    arguments: vec![],
                },
            );
        }
        put(
            &plugin("idle"),
            &Event::ToolsListed {
                offered: vec![s()],
                withheld: Default::default(),
            },
        );
        let call = |tool: String| Event::ToolCall {
            call: "1".into(),
            tool,
            arguments: Default::default(),
        };
        put(&plugin("used"), &call(s()));
        put(
            &plugin("used"),
            &Event::SecretUse {
                secret: "one".into(),
                destination: s(),
            },
        );
        put(
            &plugin("asks"),
            &Event::OperationAllowed {
                operation: "network_access".into(),
                target: s(),
                granted: "network_access:https://a".into(),
            },
        );
        for _ in 0..300 {
            put(
                &plugin("used"),
                &Event::OperationDenied {
                    operation: "read_files".into(),
                    target: s(),
                    reason: s(),
                    dropped: 0,
                },
            );
        }
        put(
            &plugin("idle"),
            &Event::CallRefused {
                call: "2".into(),
                tool: s(),
                reason: s(),
                policies: vec![],
            },
        );
        put(
            &Subject::default(),
            &Event::Approval {
                asked: vec![s()],
                outcome: Outcome::Grant,
                approver: s(),
                duration: "once".into(),
            },
        );
        log.close().unwrap();
        Self { dir }
    }

    fn log(&self) -> PathBuf {
        self.dir.path().join("audit")
    }

    fn key(&self) -> VerifierKey {
        read_verifier_key(&self.log()).unwrap()
    }

    fn assess(&self, framework: &str, from: &str, to: &str) -> Assessment {
        let period = Period {
            from: from.into(),
            to: to.into(),
        };
        let log = self.log();
        assess(
            &[(log.as_path(), self.key())],
            Framework::named(framework).unwrap(),
            period,
            |_| (),
        )
        .unwrap()
    }

    fn now(&self, framework: &str) -> Assessment {
        self.assess(
            framework,
            "2020-01-01T00:00:00.000Z",
            "2100-01-01T00:00:00.000Z",
        )
    }
}

fn control<'a>(assessment: &'a Assessment, id: &str) -> (u64, Vec<(&'a str, u64)>) {
    let controls = assessment.controls();
    let found = controls
        .iter()
        .find(|assessed| assessed.control.id == id)
        .unwrap();
    (found.count, found.by_kind.clone())
}

#[test]
fn evidence_is_counted_by_kind_in_the_period_alone() {
    let stage = Stage::new("x");
    let all = stage.now("nist-800-53");
    assert!(all.is_sound());
    let (count, kinds) = control(&all, "SI-4");
    assert_eq!(
        (count, kinds),
        (301, vec![("operation_denied", 300), ("call_refused", 1)])
    );
    assert_eq!(control(&all, "IA-5").0, 1);
    assert_eq!(control(&all, "AU-12").0, all.evidence.entries);
    assert_eq!(all.evidence.denied, 301);
    let none = stage.assess(
        "soc2",
        "2001-01-01T00:00:00.000Z",
        "2002-01-01T00:00:00.000Z",
    );
    assert!(
        none.controls()
            .iter()
            .all(|assessed| assessed.count == 0 && assessed.examples.is_empty())
    );
    assert!(none.is_sound());
    for text in [markdown(&none), html(&none), oscal(&none).to_string()] {
        assert!(text.contains("There is no entry in this period."), "{text}");
    }
    assert!(markdown(&none).matches("None in this period.").count() >= 6);
    let empty = Period {
        from: "2026-01-01".into(),
        to: "2026-01-01".into(),
    };
    assert!(assess(&[], Framework::named("soc2").unwrap(), empty, |_| ()).is_err());
}

#[test]
fn grants_without_a_trace_of_use_are_listed_and_what_cannot_be_seen_is_said() {
    let stage = Stage::new("x");
    let assessment = stage.now("nist-800-53");
    let uses = assessment.grants.uses();
    let of = |atom: &str| uses.iter().find(|(_, found, _)| *found == atom).unwrap().2;
    assert_eq!(of("use_secret:one"), GrantUse::Used);
    assert_eq!(of("use_secret:two"), GrantUse::Unused);
    assert_eq!(of("read_files:/d/"), GrantUse::NotObservable);
    assert_eq!(of("read_files:/x"), GrantUse::NeverCalled);
    assert_eq!(of("network_access:https://a"), GrantUse::Used);
    assert_eq!(of("network_access:https://b"), GrantUse::NotObservable);
    let text = markdown(&assessment);
    assert!(
        text.contains("Of 6 granted capabilities, 4 show no use in this period."),
        "{text}"
    );
    assert!(text.contains("` used: use_secret:two `: unused"));
    assert!(!text.contains("use_secret:one `: "));
}

/// Starts of a plugin, each watched or not, with one atom; then what a report says of that atom.
fn after(starts: &[bool], wall: &str, more: &[Event]) -> GrantUse {
    const ATOM: &str = "network_access:https://a";
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("audit");
    let log = Log::open(&dir, bailiwick_audit::Options::default()).unwrap();
    let start = |watched: bool| Event::PluginStart {
        wall: wall.into(),
        grant: vec![ATOM.into()],
        tools: vec![],
        watched,
        program: None,
        arguments: vec![],
    };
    let of = |id: &str| Subject::session("s").with_plugin(id, "sha256:1");
    // Another plugin behind the same wall, which was watched, and used what it was granted.
    log.append(&of("other"), &start(true)).unwrap();
    let allowed = Event::OperationAllowed {
        operation: "network_access".into(),
        target: "https://a".into(),
        granted: ATOM.into(),
    };
    log.append(&of("other"), &allowed).unwrap();
    for event in starts.iter().map(|watched| start(*watched)) {
        log.append(&of("one"), &event).unwrap();
    }
    for event in more {
        log.append(&of("one"), event).unwrap();
    }
    log.close().unwrap();
    let key = read_verifier_key(&dir).unwrap();
    let period = Period {
        from: "2020-01-01T00:00:00.000Z".into(),
        to: "2100-01-01T00:00:00.000Z".into(),
    };
    let framework = Framework::named("soc2").unwrap();
    let assessment = assess(&[(dir.as_path(), key)], framework, period, |_| ()).unwrap();
    let uses = assessment.grants.uses();
    let of = |id: &str| uses.iter().find(|(found, _, _)| *found == id).unwrap().2;
    assert_eq!(of("other"), GrantUse::Used);
    of("one")
}

#[test]
fn nothing_is_called_unused_that_nobody_watched() {
    let listed = Event::ToolsListed {
        offered: vec!["t".into()],
        withheld: Default::default(),
    };
    let called = Event::ToolCall {
        call: "1".into(),
        tool: "t".into(),
        arguments: Default::default(),
    };
    let served = [listed.clone(), called];
    for wall in ["native", "wasm"] {
        // A program of `exec` offers no tools, and is not watched.
        assert_eq!(after(&[false], wall, &[]), GrantUse::NotObservable);
        assert_eq!(after(&[false], wall, &served), GrantUse::NotObservable);
        assert_eq!(
            after(&[false], wall, std::slice::from_ref(&listed)),
            GrantUse::NeverCalled
        );
        assert_eq!(after(&[true], wall, &served), GrantUse::Unused);
        // Once watched is not watched for ever.
        assert_eq!(
            after(&[true, false], wall, &served),
            GrantUse::UnusedWhileWatched
        );
    }
}

#[test]
fn every_example_has_a_proof_that_holds_offline_and_no_other_does() {
    let stage = Stage::new("personal");
    let mut assessment = stage.now("nist-800-53");
    let (log, out) = (stage.log(), stage.dir.path().join("proofs"));
    let count = write_proofs(
        &mut assessment,
        &[(log.as_path(), stage.key())],
        &out,
        "proofs",
    )
    .unwrap();
    assert!(count >= 8, "{count}");
    let text = markdown(&assessment);
    assert!(!text.contains("no proof written"));
    let controls = assessment.controls();
    for example in controls.iter().flat_map(|assessed| &assessed.examples) {
        let file = example.proof.as_ref().unwrap();
        let proof = std::fs::read_to_string(stage.dir.path().join(file)).unwrap();
        let proven = ProvenEntry::parse(&proof).unwrap();
        proven.verify(&stage.key()).unwrap();
        assert_eq!(proven.stored.index, example.index);
        assert_eq!(
            bailiwick_tlog::leaf_hash(&proven.stored.json).to_string(),
            example.leaf
        );
        let forged = proof.replacen("2026", "2025", 1);
        assert!(
            forged == proof
                || ProvenEntry::parse(&forged).is_err()
                || ProvenEntry::parse(&forged)
                    .unwrap()
                    .verify(&stage.key())
                    .is_err()
        );
    }
    assert!(out.join("log-0.verifier.key").is_file());
}

#[test]
fn a_log_that_does_not_verify_makes_a_report_that_says_so_on_top() {
    let stage = Stage::new("x");
    let bundle = stage.log().join("tile/entries/000");
    let mut bytes = std::fs::read(&bundle).unwrap();
    let at = bytes
        .windows(10)
        .position(|window| window == b"read_files")
        .unwrap();
    bytes[at] = b'R';
    std::fs::write(&bundle, bytes).unwrap();
    let assessment = stage.now("nist-800-53");
    assert!(!assessment.is_sound());
    let (text, page, json) = (markdown(&assessment), html(&assessment), oscal(&assessment));
    assert!(
        text.lines()
            .nth(2)
            .unwrap()
            .contains("Do not rely on this report"),
        "{text}"
    );
    assert!(page.find("role=\"alert\"").unwrap() < page.find("<h2>").unwrap());
    assert!(
        json["assessment-results"]["results"][0]["remarks"]
            .as_str()
            .unwrap()
            .starts_with("Do not rely")
    );
    valid(&json);
    let findings = json["assessment-results"]["results"][0]["findings"]
        .as_array()
        .unwrap();
    assert!(
        findings
            .iter()
            .all(|finding| finding["target"]["status"]["state"] == "not-satisfied")
    );
    // What does not verify is not proven.
    let (mut assessment, log) = (assessment, stage.log());
    let out = stage.dir.path().join("proofs");
    assert_eq!(
        write_proofs(
            &mut assessment,
            &[(log.as_path(), stage.key())],
            &out,
            "proofs"
        )
        .unwrap(),
        0
    );
}

fn valid(document: &Value) {
    let path =
        bailiwick_testkit::repository().join("testdata/oscal/oscal_assessment-results_schema.json");
    let schema: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let errors: Vec<String> = validator
        .iter_errors(document)
        .map(|error| format!("{error} at {}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{errors:#?}");
    let mut broken = document.clone();
    broken["assessment-results"]["uuid"] = "x".into();
    assert!(!validator.is_valid(&broken), "the validator can fail");
}

#[test]
fn the_oscal_document_is_one_of_the_published_schema_and_the_same_for_the_same_log() {
    for text in ATTACKS.iter().chain(&["x"]) {
        let stage = Stage::new(text);
        for framework in ["nist-800-53", "soc2"] {
            let mut assessment = stage.now(framework);
            valid(&oscal(&assessment));
            let log = stage.log();
            let proofs = stage.dir.path().join("proofs");
            write_proofs(
                &mut assessment,
                &[(log.as_path(), stage.key())],
                &proofs,
                "proofs",
            )
            .unwrap();
            let document = oscal(&assessment);
            valid(&document);
            assert_eq!(
                document["assessment-results"]["metadata"]["oscal-version"],
                bailiwick_report::OSCAL_VERSION
            );
            let mut again = stage.now(framework);
            write_proofs(
                &mut again,
                &[(log.as_path(), stage.key())],
                &proofs,
                "proofs",
            )
            .unwrap();
            assert_eq!(document, oscal(&again));
            assert_eq!(html(&assessment), html(&again));
        }
    }
    let schema =
        bailiwick_testkit::repository().join("testdata/oscal/oscal_assessment-results_schema.json");
    let schema = std::fs::read_to_string(schema).unwrap();
    assert!(schema.contains(&format!("/oscal/{}/", bailiwick_report::OSCAL_VERSION)));
}

#[test]
fn other_logs_and_periods_have_other_identifiers() {
    let (one, two) = (Stage::new("x"), Stage::new("x"));
    let id = |assessment: &Assessment| {
        oscal(assessment)["assessment-results"]["uuid"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let all = [
        id(&one.now("soc2")),
        id(&one.now("nist-800-53")),
        id(&two.now("soc2")),
        id(&one.assess(
            "soc2",
            "2020-01-01T00:00:00.000Z",
            "2099-01-01T00:00:00.000Z",
        )),
    ];
    let different: std::collections::BTreeSet<_> = all.iter().collect();
    assert_eq!(different.len(), all.len());
    assert!(all.iter().all(|id| id.as_bytes()[14] == b'5'), "version 5");
}

/// The elements and attributes of a page, by a tokenizer that knows no mercy: every `<` begins an element of ours.
fn elements(page: &str) -> Vec<String> {
    let mut found = Vec::new();
    for part in page.split('<').skip(1) {
        let (element, _) = part.split_once('>').expect("an element ends");
        found.push(element.to_owned());
    }
    found
}

#[test]
fn no_text_from_a_plugin_becomes_an_element_an_attribute_or_a_script() {
    let shape =
        |text: &str| -> Vec<String> { elements(&html(&Stage::new(text).now("nist-800-53"))) };
    let plain = shape("plain");
    let allowed = [
        "!doctype", "html", "head", "meta", "title", "style", "body", "main", "h1", "h2", "h3",
        "p", "ul", "li", "a", "code", "strong", "table", "caption", "thead", "tbody", "tr", "th",
        "td", "section",
    ];
    for element in &plain {
        let name = element.trim_start_matches('/').split(' ').next().unwrap();
        assert!(allowed.contains(&name), "{element}");
        assert!(
            !element.contains(" on")
                && !element.contains("javascript:")
                && !element.contains("style="),
            "{element}"
        );
    }
    for text in ATTACKS {
        assert_eq!(shape(text), plain, "{text}");
    }
}

#[test]
fn no_text_from_a_plugin_leaves_its_code_span() {
    let shape = |text: &str| -> Vec<String> {
        let text = markdown(&Stage::new(text).now("nist-800-53"));
        // Which log and when, in our own words, differs from stage to stage.
        let told = |line: &&str| !line.contains("the first of");
        text.lines().filter(told).map(outside).collect()
    };
    let plain = shape("plain");
    for text in ATTACKS {
        assert!(shape(text) == plain, "{text}");
    }
}

/// A line without its code spans, as CommonMark finds them: a run of backticks, up to the next run of that length.
fn outside(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some(at) = rest.find('`') {
        out.push_str(&rest[..at]);
        let run = rest[at..].bytes().take_while(|byte| *byte == b'`').count();
        let after = &rest[at + run..];
        let Some(end) = closing(after, run) else {
            return out + &rest[at..];
        };
        out.push('`');
        rest = &after[end + run..];
    }
    out + rest
}

fn closing(text: &str, run: usize) -> Option<usize> {
    let mut at = 0;
    while let Some(found) = text[at..].find('`') {
        let start = at + found;
        let length = text[start..]
            .bytes()
            .take_while(|byte| *byte == b'`')
            .count();
        if length == run {
            return Some(start);
        }
        at = start + length;
    }
    None
}

#[test]
fn the_page_needs_nothing_from_elsewhere_and_runs_nothing() {
    let page = html(&Stage::new("x").now("soc2"));
    assert!(page.contains("default-src 'none'; style-src 'sha256-"));
    assert!(
        !page.contains("<script") && !page.contains("http:") && !page.contains("https://fonts")
    );
    assert!(
        page.contains("lang=\"en\"")
            && page.contains("scope=\"col\"")
            && page.contains("<caption>")
    );
}
