//! What a tarball of the npm registry can put where, and what must not come of it.

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use bailiwick_runtime::{Prepared, RuntimeError, Settings, resolve};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha512};

use bailiwick_testkit::registry::Registry;

/// Makes a package with one more entry: its name, kind and link target, its mode, and the manifest.
const MAKE: &str = r##"
import io, sys, tarfile
out, name, kind, target, mode, manifest = sys.argv[1:]
kinds = {"file": tarfile.REGTYPE, "link": tarfile.SYMTYPE, "hard": tarfile.LNKTYPE,
         "device": tarfile.CHRTYPE, "pipe": tarfile.FIFOTYPE}
with tarfile.open(out, "w:gz", format=tarfile.PAX_FORMAT) as tar:
    def add(name, text, kind=tarfile.REGTYPE, target="", mode=0o644):
        info = tarfile.TarInfo(name)
        info.type, info.linkname, info.mode = kind, target, mode
        info.devmajor, info.devminor = 1, 3
        info.size = len(text) if kind == tarfile.REGTYPE else 0
        tar.addfile(info, io.BytesIO(text.encode()))
    add("package/package.json", manifest)
    add("package/index.js", "#!/usr/bin/env node\nconsole.log('hello')\n", mode=0o755)
    if name:
        add(eval('"' + name + '"'), "planted\n", kinds[kind], target, int(mode, 8))
"##;
const MANIFEST: &str = r#"{"name":"hostile-server","version":"1.0.0","bin":"index.js"}"#;

struct Made {
    dir: tempfile::TempDir,
    outcome: Result<Prepared, RuntimeError>,
}

impl Made {
    /// Everything that is left below the cache, with its metadata.
    fn left(&self) -> Vec<(PathBuf, std::fs::Metadata)> {
        let mut found = Vec::new();
        let mut folders = vec![self.dir.path().join("top/cache")];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                let meta = entry.path().symlink_metadata().unwrap();
                if meta.is_dir() {
                    folders.push(entry.path());
                }
                found.push((entry.path(), meta));
            }
        }
        found
    }
}

struct Entry<'a> {
    name: &'a str,
    kind: &'a str,
    target: &'a str,
    mode: &'a str,
    manifest: &'a str,
}

const NONE: Entry<'static> = Entry {
    name: "",
    kind: "file",
    target: "",
    mode: "644",
    manifest: MANIFEST,
};

/// Serves that package from a registry of its own, and prepares it.
fn prepare(entry: &Entry<'_>) -> Made {
    let dir = tempfile::tempdir().unwrap();
    let tarball = dir.path().join("p.tgz");
    let made = Command::new("python3")
        .args(["-c", MAKE])
        .arg(&tarball)
        .args([
            entry.name,
            entry.kind,
            entry.target,
            entry.mode,
            entry.manifest,
        ])
        .status();
    assert!(made.expect("python3 is needed").success());
    let bytes = std::fs::read(&tarball).unwrap();
    let integrity = format!("sha512-{}", STANDARD.encode(Sha512::digest(&bytes)));
    let manifest = entry.manifest.to_owned();
    let registry = Registry::serve(|address| {
        let mut version: serde_json::Value = serde_json::from_str(&manifest).unwrap();
        version["dist"] = serde_json::json!({
            "tarball": format!("http://{address}/p.tgz"), "integrity": integrity,
        });
        let page = serde_json::json!({
            "name": "hostile-server", "dist-tags": { "latest": "1.0.0" }, "versions": { "1.0.0": version },
        });
        BTreeMap::from([
            ("/hostile-server".to_owned(), page.to_string().into_bytes()),
            ("/p.tgz".to_owned(), bytes),
        ])
    });
    let settings = Settings {
        cwd: "/".into(),
        tool_env: vec![
            (
                "npm_config_registry".into(),
                format!("http://{}/", registry.address).into(),
            ),
            ("npm_config_fetch_retries".into(), "0".into()),
        ],
        ..Settings::new(dir.path().join("top/cache"))
    };
    let words = ["npx", "-y", "hostile-server@1.0.0"].map(str::to_owned);
    let outcome = resolve(&words, &settings);
    Made { dir, outcome }
}

#[test]
fn an_ordinary_tarball_is_prepared() {
    let made = prepare(&NONE);
    let packages = made.outcome.unwrap().packages;
    assert_eq!(packages[0].name, "hostile-server");
    assert!(packages[0].integrity.starts_with("sha512-"));
}

#[test]
fn l15_a_tarball_puts_nothing_outside_its_folder() {
    let elsewhere = tempfile::tempdir().unwrap();
    let absolute = elsewhere.path().join("escaped");
    let absolute = absolute.to_str().unwrap();
    for name in [
        "../escaped",
        "package/../../../../escaped",
        "package/a/../../../../../escaped",
        absolute,
    ] {
        let made = prepare(&Entry { name, ..NONE });
        assert!(!Path::new(absolute).exists(), "{name}");
        let beside = made.dir.path();
        for place in [
            beside.join("escaped"),
            beside.join("top/escaped"),
            beside.join("top/cache/escaped"),
        ] {
            assert!(!place.exists(), "{name}: {}", place.display());
        }
    }
}

#[test]
fn l15_links_of_a_tarball_lead_nowhere() {
    for (kind, target) in [
        ("link", "/etc/passwd"),
        ("link", "../../../../../.."),
        ("hard", "/etc/passwd"),
    ] {
        let made = prepare(&Entry {
            name: "package/leak",
            kind,
            target,
            ..NONE
        });
        let leaks = made
            .left()
            .into_iter()
            .filter(|(path, _)| path.ends_with("leak"));
        for (path, _) in leaks {
            let root = made.dir.path().canonicalize().unwrap();
            assert!(
                path.canonicalize().is_ok_and(|real| real.starts_with(root)),
                "{kind} {target}"
            );
        }
    }
}

#[test]
fn devices_pipes_and_set_id_files_do_not_come_out_of_a_tarball() {
    for (kind, mode) in [
        ("device", "666"),
        ("pipe", "666"),
        ("file", "6755"),
        ("file", "2755"),
    ] {
        let made = prepare(&Entry {
            name: "package/odd",
            kind,
            mode,
            ..NONE
        });
        for (path, meta) in made.left() {
            let ordinary = meta.is_dir() || meta.is_file() || meta.is_symlink();
            assert!(
                ordinary && (meta.is_dir() || meta.mode() & 0o6000 == 0),
                "{kind} {mode}: {}",
                path.display()
            );
        }
    }
}

#[test]
fn names_that_terminals_obey_are_refused() {
    for name in ["package/a\\x1b[31m.js", "package/a\\nb.js"] {
        let made = prepare(&Entry { name, ..NONE });
        let error = made.outcome.as_ref().map(|_| ()).unwrap_err().to_string();
        assert!(error.contains("control characters"), "{error}");
        assert!(
            !error.contains(char::is_control),
            "and not repeated: {error:?}"
        );
    }
}

#[test]
fn names_that_differ_in_case_are_two_files_or_refused() {
    let made = prepare(&Entry {
        name: "package/INDEX.js",
        ..NONE
    });
    let prepared = made.outcome.as_ref().unwrap();
    let folder = &prepared.packages[0].path;
    assert_eq!(
        std::fs::read_to_string(folder.join("index.js")).unwrap(),
        "#!/usr/bin/env node\nconsole.log('hello')\n"
    );
    assert_eq!(
        std::fs::read_to_string(folder.join("INDEX.js")).unwrap(),
        "planted\n"
    );
}

#[test]
fn a_program_outside_its_package_is_not_started() {
    for bin in ["../../../../../../bin/sh", "/bin/sh", "../p.json"] {
        let manifest = format!(r#"{{"name":"hostile-server","version":"1.0.0","bin":"{bin}"}}"#);
        let made = prepare(&Entry {
            manifest: &manifest,
            ..NONE
        });
        if let Ok(prepared) = &made.outcome {
            let script = prepared.program.args[0].to_string_lossy().into_owned();
            let root = made.dir.path().canonicalize().unwrap();
            assert!(Path::new(&script).starts_with(root), "{bin}: {script}");
        }
    }
}

#[test]
fn l30_scripts_of_a_package_do_not_run() {
    let canary = tempfile::tempdir().unwrap();
    std::fs::set_permissions(canary.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
    let touch = format!("touch {}/ran", canary.path().display());
    let manifest = serde_json::json!({
        "name": "hostile-server", "version": "1.0.0", "bin": "index.js", "hasInstallScript": true,
        "scripts": { "preinstall": touch, "install": touch, "postinstall": touch, "prepare": touch },
    })
    .to_string();
    let made = prepare(&Entry {
        manifest: &manifest,
        ..NONE
    });
    assert!(made.outcome.is_ok(), "{:?}", made.outcome);
    assert!(!canary.path().join("ran").exists());
}

#[test]
fn l30_a_tarball_that_is_not_what_its_registry_said_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let registry = Registry::serve(|address| {
        let integrity = format!("sha512-{}", STANDARD.encode(Sha512::digest(b"another")));
        let page = serde_json::json!({
            "name": "hostile-server", "dist-tags": { "latest": "1.0.0" },
            "versions": { "1.0.0": { "name": "hostile-server", "version": "1.0.0",
                "dist": { "tarball": format!("http://{address}/p.tgz"), "integrity": integrity } } },
        });
        BTreeMap::from([
            ("/hostile-server".to_owned(), page.to_string().into_bytes()),
            ("/p.tgz".to_owned(), b"not that".to_vec()),
        ])
    });
    let settings = Settings {
        cwd: "/".into(),
        tool_env: vec![
            (
                "npm_config_registry".into(),
                format!("http://{}/", registry.address).into(),
            ),
            ("npm_config_fetch_retries".into(), "0".into()),
        ],
        ..Settings::new(dir.path().join("cache"))
    };
    let words = ["npx", "-y", "hostile-server@1.0.0"].map(str::to_owned);
    let error = resolve(&words, &settings).unwrap_err().to_string();
    assert!(error.contains("integrity"), "{error}");
}
