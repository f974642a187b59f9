//! Programs with some arguments only, and workspaces with what steers other programs in them.

use std::process::Command;

use crate::support::{World, kind};

/// A repository in the world's folder `ws`.
fn repository(world: &World) -> String {
    let folder = world.folder("ws");
    let script = "git init -q . && git config user.email a@b && git config user.name n && echo hi > f && git add f \
                  && git commit -qm one && mkdir -p src .claude";
    let made = Command::new("sh")
        .args(["-c", script])
        .current_dir(&folder)
        .status();
    assert!(made.unwrap().success());
    folder
}

fn inside(world: &World, allow: &[String], script: &str) -> crate::support::Ended {
    let allow = allow.iter().flat_map(|atom| ["--allow", atom]);
    let words = ["exec"]
        .into_iter()
        .chain(allow)
        .chain(["--", "bash", "-c", script]);
    let words: Vec<&str> = words.collect();
    let mut command = world.bailiwick(&words);
    command.current_dir(world.path("ws"));
    crate::support::run(command, "")
}

#[test]
fn a_program_runs_with_the_arguments_that_were_granted_and_no_others() {
    let world = World::new();
    let folder = repository(&world);
    let allow = [
        "execute_code:git status".to_owned(),
        format!("read_files:{folder}/"),
    ];
    let script = "git status -s -b; echo \"first $?\"; git log; echo \"second $?\"; git -c alias.status=!id status | cat";
    let ended = inside(&world, &allow, script);
    assert!(
        ended.stdout.contains("## master") || ended.stdout.contains("## main"),
        "{ended:?}"
    );
    assert!(
        ended.stdout.contains("first 0") && ended.stdout.contains("second 126"),
        "{ended:?}"
    );
    assert!(!ended.stdout.contains("uid="), "{ended:?}");
    let log = world.settled();
    let said = |kind_of: &str, part: &str| {
        log.iter()
            .any(|entry| kind(entry) == kind_of && entry.to_string().contains(part))
    };
    assert!(said("operation_denied", "git log"), "{log:?}");
    assert!(
        said("decision", "git status -s -b"),
        "what ran was recorded before: {log:?}"
    );
}

#[test]
fn l14_a_workspace_is_written_but_not_what_steers_other_programs() {
    let world = World::new();
    let folder = repository(&world);
    let allow = [
        format!("read_files:{folder}/"),
        format!("write_files:{folder}/"),
    ];
    let script = "echo new > g; echo x > src/f; echo evil > .git/hooks/post-commit; echo evil > .mcp.json; \
                  echo evil > .claude/settings.json; echo evil >> .git/config; echo done";
    let ended = inside(&world, &allow, script);
    assert!(ended.stdout.contains("done"), "{ended:?}");
    assert_eq!(world.read("ws/g"), "new\n");
    assert_eq!(world.read("ws/src/f"), "x\n");
    assert!(!world.read("ws/.git/config").contains("evil"));
    for steering in [
        ".git/hooks/post-commit",
        ".mcp.json",
        ".claude/settings.json",
    ] {
        assert!(
            !std::path::Path::new(&format!("{folder}/{steering}")).exists(),
            "{steering}"
        );
    }
    let log = world.settled();
    let told = log.iter().filter(|entry| kind(entry) == "operation_denied");
    assert!(
        told.filter(|entry| entry.to_string().contains("write_files"))
            .count()
            >= 4,
        "{log:?}"
    );
}
