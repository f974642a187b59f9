//! What is not exactly right is not loaded (L27).

use bailiwick_policy::{Classification, Pdp, PolicySource, Problem};

use crate::support::*;

fn problem(text: &str) -> Problem {
    let error = load(text).expect_err(text);
    assert_eq!(error.problems().len(), 1, "{error}");
    let problem = error.problems()[0].clone();
    assert_eq!(problem.source, "test.cedar");
    assert!(problem.line > 0 && problem.column > 0, "{problem}");
    assert!(!problem.help.is_empty(), "{problem}");
    problem
}

#[test]
fn l27_a_policy_that_could_never_apply_is_a_load_error() {
    let never = [
        r#"permit (principal, action == Action::"read_file", resource);"#,
        r#"permit (principal, action == Action::"read_files", resource in Folder::"/data");"#,
        r#"permit (principal, action == Action::"read_files", resource) when { resource.sensitvity == Sensitivity::"secret" };"#,
        r#"permit (principal, action == Action::"read_files", resource == Dir::"/data");"#,
        r#"permit (principal, action == Action::"read_files", resource in Host::"example.com");"#,
        r#"permit (principal == User::"alice", action == Action::"clock", resource);"#,
        r#"permit (principal in Role::"a", action == Action::"execute_code", resource == Program::"/bin/ls");"#,
        r#"forbid (principal, action == Action::"network_access", resource) when { resource.scheme == Scheme::"htps" };"#,
        r#"forbid (principal, action == Action::"clock", resource) unless { context.machine.contains(Machine::"cgruop") };"#,
        r#"forbid (principal, action == Action::"clock", resource) unless { context.machine.contains("cgroup") };"#,
        r#"forbid (principal, action == Action::"clock", resource) when { context.enviroment == "production" };"#,
        r#"forbid (principal, action == Action::"clock", resource) when { principal.user.department == "hr" };"#,
        r#"forbid (principal, action == Action::"clock", resource) when { 1 == 2 };"#,
        r#"forbid (principal, action == Action::"clock", resource) when { context.arguments.path == "/etc" };"#,
        r#"forbid (principal, action, resource) when { context.arguments.path == "/etc" };"#,
        r#"forbid (principal, action == Action::"call", resource == File::"/x") when { context.arguments.path == "/etc" };"#,
        r#"forbid (principal, action == Action::"call", resource) when { context.enviroment == "x" } when { context.arguments.path == "/etc" };"#,
    ];
    for text in never {
        problem(text);
    }
}

#[test]
fn l27_ill_formed_and_misspelt_names_are_load_errors() {
    let when = |kind: &str, condition: &str| {
        format!(
            "forbid (principal, action == Action::\"{kind}\", resource) when {{ {condition} }};"
        )
    };
    for (kind, condition) in [
        ("read_files", r#"resource in Dir::"/data/""#),
        ("read_files", r#"resource in Dir::"data""#),
        ("read_files", r#"resource in Dir::"/data/../etc""#),
        ("read_files", r#"resource == File::"/data/*.key""#),
        ("read_files", r#"resource == File::"/""#),
        (
            "read_files",
            r#"resource.sensitivity == Sensitivity::"secrte""#,
        ),
        ("network_access", r#"resource in Host::"API.example.com""#),
        ("network_access", r#"resource in Host::"*.example.com""#),
        ("network_access", r#"resource in Domain::"example.com.""#),
        ("network_access", r#"resource in Network::"10.0.0.1/8""#),
        (
            "network_access",
            r#"resource in Url::"https://example.com/v1/ GET""#,
        ),
        (
            "network_access",
            r#"resource in Url::"https://example.com:443""#,
        ),
        ("network_access", r#"resource.method == Method::"get""#),
        ("network_access", r#"resource.port == Port::"0443""#),
        (
            "network_access",
            r#"resource == Endpoint::"https://example.com""#,
        ),
        ("execute_code", r#"resource in Program::"git""#),
        ("execute_code", r#"resource == Command::"/usr/bin/git""#),
        ("read_environment", r#"resource == Variable::"LC_*""#),
        ("read_environment", r#"resource in Variables::"LC_""#),
        ("use_secret", r#"resource == Secret::"git*""#),
        ("call_tool", r#"resource in Plugin::"com.example.git""#),
        ("call_tool", r#"resource == Tool::"com.example.git/log""#),
        ("call_tool", r#"resource == AgentTool::"git__*""#),
        ("call", r#"resource in AgentTools::"git__*""#),
        ("call", r#"resource == Tool::"log""#),
    ] {
        let text = when(kind, condition);
        let problem = problem(&text);
        assert_eq!(problem.line, 1, "{problem}");
    }
}

#[test]
fn l27_annotations_that_mean_nothing_are_load_errors_at_their_place() {
    let text = "permit (principal, action == Action::\"clock\", resource);\n\n  @resaon(\"x\")\npermit (principal, action == Action::\"random\", resource);";
    let found = problem(text);
    assert_eq!((found.line, found.column), (3, 3));
    assert!(found.message.contains("@resaon"), "{found}");
    let quota = "@quota(\"10/hour\") permit (principal, action == Action::\"clock\", resource);";
    assert!(problem(quota).message.contains("counts calls"));
}

#[test]
fn every_problem_is_told_with_line_and_column() {
    let text = "\npermit (principal, action == Action::\"clok\", resource);\n@ask forbid (principal, action == Action::\"clock\", resource);\n";
    let error = load(text).unwrap_err();
    let places: Vec<_> = error.problems().iter().map(|p| p.line).collect();
    assert_eq!(places, [2, 3], "{error}");
    let syntax = problem("permit (principal, action,\n  resouce);");
    assert_eq!(syntax.line, 2, "{syntax}");
}

#[test]
fn ids_are_unique_across_sources_and_some_are_reserved() {
    let one = PolicySource::new(
        "a.cedar",
        "@id(\"x\") permit (principal, action == Action::\"clock\", resource);",
    );
    let two = PolicySource::new("b.cedar", one.text.clone());
    let error = Pdp::load(&[one.clone(), two], &Classification::default()).unwrap_err();
    assert_eq!(error.problems()[0].source, "b.cedar");
    assert!(Pdp::load(&[one], &Classification::default()).is_ok());
    problem("@id(\"person:allow:1\") permit (principal, action == Action::\"clock\", resource);");
}

#[test]
fn policies_without_an_id_are_called_by_their_place() {
    let text = "permit (principal, action == Action::\"clock\", resource);";
    let pdp = load(&format!("{text} {text}\n{text}")).unwrap();
    let ids: Vec<_> = pdp.policy_ids().collect();
    assert_eq!(ids, ["test.cedar:1", "test.cedar:1:58", "test.cedar:2"]);
}

#[test]
fn templates_and_over_long_texts_are_refused() {
    let template = "permit (principal == ?principal, action == Action::\"clock\", resource);";
    problem(template);
    let long = " ".repeat((1 << 20) + 1);
    assert!(problem(&long).message.contains("1 MiB"));
}

#[test]
fn l27_a_policy_that_fails_when_evaluated_denies_everything_it_concerns() {
    let pdp = load(
        r#"permit (principal, action in [Action::"clock", Action::"random"], resource);
           @id("broken") forbid (principal, action == Action::"clock", resource) when {
             9223372036854775807 + (if context.unscoped then 0 else 1) == 0
           };"#,
    )
    .unwrap();
    let decision = decide(&pdp, "clock");
    assert!(decision.granted().is_empty());
    assert!(
        decision
            .reasons
            .iter()
            .any(|r| r.effect == bailiwick_policy::Effect::Error
                && r.text.as_deref().is_some_and(|t| t.contains("broken")))
    );
    assert_eq!(granted(&pdp, "random"), ["random"]);
}
