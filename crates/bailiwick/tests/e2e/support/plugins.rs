//! Plugins to put behind the gate.

use std::process::Command;

use bailiwick_testkit::real;

use super::World;

/// A Python that every user may run.
pub(crate) const PYTHON: &str = "/usr/bin/python3";

/// Puts a real plugin's manifest from `testdata/manifests` into the world, with the world's folders in the
/// place of `/srv` and the server as `cargo xtask setup` installed it in the place of its launcher.
pub(crate) fn real_plugin(world: &World, id: &str) -> String {
    let path = bailiwick_testkit::repository().join(format!("testdata/manifests/{id}/plugin.yaml"));
    let text = std::fs::read_to_string(&path).unwrap();
    let (launcher, installed) = match id {
        "git" | "time" => {
            let server = format!("mcp-server-{id}");
            let version = real::pypi_version(&server);
            (
                format!("uvx, \"{server}=={version}\""),
                real::pypi(&server).join(", "),
            )
        }
        _ => {
            let server = format!("server-{id}");
            let version = real::npm_version(&server);
            (
                format!("npx, -y, \"@modelcontextprotocol/{server}@{version}\""),
                real::npm(&server).join(", "),
            )
        }
    };
    assert!(
        text.contains(&launcher),
        "{id} does not start by {launcher}"
    );
    let text = text
        .replace("/srv", world.path("").trim_end_matches('/'))
        .replace(&launcher, &installed);
    world.file(&format!("plugins/{id}/plugin.yaml"), &text);
    format!("plugins/{id}")
}

/// A git repository with one commit of `subject`.
pub(crate) fn repository(world: &World, rest: &str, subject: &str) -> String {
    let path = world.folder(rest);
    world.file(&format!("{rest}/file.txt"), "content\n");
    let git = |args: &[&str]| {
        let output = Command::new("git")
            .args(["-c", "user.name=Test", "-c", "user.email=test@example.com"])
            .args([
                "-c",
                "init.defaultBranch=main",
                "-c",
                "core.hooksPath=/dev/null",
            ])
            .args(args)
            .current_dir(&path)
            .output()
            .expect("git is there; run `cargo xtask setup`");
        assert!(output.status.success(), "{output:?}");
    };
    git(&["init", "-q"]);
    git(&["add", "."]);
    git(&["commit", "-q", "-m", subject]);
    path
}

/// A plugin of `plugin.py` to put into the world.
pub(crate) struct Script<'a> {
    /// Its id and folder.
    pub(crate) id: &'a str,
    /// What it does at its start.
    pub(crate) how: &'a str,
    /// Manifest lines besides.
    pub(crate) lines: &'a str,
    /// `runtime.limits`, as a YAML flow map.
    pub(crate) limits: &'a str,
}

impl Script<'_> {
    /// One that behaves.
    pub(crate) const WELL: Script<'static> = Script {
        id: "good",
        how: "well",
        lines: "",
        limits: "{}",
    };

    /// Writes its folder. Gives the folder's name.
    pub(crate) fn put(&self, world: &World) -> String {
        let Self {
            id,
            how,
            lines,
            limits,
        } = self;
        world.file(&format!("{id}/plugin.py"), include_str!("../plugin.py"));
        world.file(
            &format!("{id}/plugin.yaml"),
            &format!(
                "id: {id}\nversion: 1.0.0\n{lines}\nruntime:\n  command: [{PYTHON}, ./plugin.py, {how}]\n  limits: {limits}\n"
            ),
        );
        (*id).to_owned()
    }

    /// Writes its folder, and grants it a file in which it keeps every line that it reads.
    pub(crate) fn put_noting(&self, world: &World) -> String {
        let seen = world.file(&format!("{}-seen", self.id), "");
        let folder = Script {
            how: &format!("{}, {seen}", self.how),
            lines: &format!(
                "{}\nrequired_capabilities: [\"read_files:{seen}\", \"write_files:{seen}\"]",
                self.lines
            ),
            ..*self
        };
        folder.put(world)
    }
}
