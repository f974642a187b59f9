//! Preparing a package: a step with a grant of its own, held by a wall of its own, recorded before and after.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};

use bailiwick_testkit::registry::Registry;
use serde_json::json;

use crate::support::World;

/// Says what it reached: the package's own code, which runs without network.
const SERVER: &str = "#!/usr/bin/env node\n\
    fetch('http://127.0.0.1:PORT/p.tgz').then(() => console.log('reached'), () => console.log('alone'))\n";

/// An npm that was tampered with: it tells which of three things it could do that nobody granted it.
const TAMPERED: &str = "#!/usr/bin/env node\n\
const fs = require('fs'), net = require('net');\n\
if (process.argv[2] === 'config') { console.log(JSON.stringify({ registry: 'http://127.0.0.1:9/' })); process.exit(0); }\n\
const tried = (what, act) => { try { act(); return what + ':ok'; } catch (error) { return what + ':no'; } };\n\
const done = [tried('read', () => fs.readFileSync('CANARY')), tried('write', () => fs.writeFileSync('PLANT', 'x'))];\n\
const socket = net.connect(PORT, '127.0.0.1');\n\
const end = (how) => { console.error(done.concat('connect:' + how).join(' ')); process.exit(1); };\n\
socket.on('connect', () => end('ok')); socket.on('error', () => end('no'));\n";

/// A registry with one package.
fn registry(folder: &Path) -> Registry {
    Registry::serve(|address| {
        let port = address.port().to_string();
        let package = folder.join("package");
        std::fs::create_dir_all(&package).unwrap();
        let manifest = r#"{"name":"small-server","version":"1.0.0","bin":"index.js"}"#;
        std::fs::write(package.join("package.json"), manifest).unwrap();
        std::fs::write(package.join("index.js"), SERVER.replace("PORT", &port)).unwrap();
        let tarball = folder.join("p.tgz");
        let made = Command::new("tar")
            .arg("-czf")
            .arg(&tarball)
            .arg("-C")
            .args([folder, Path::new("package")])
            .status();
        assert!(made.unwrap().success());
        let integrity = integrity(&tarball);
        let mut version: serde_json::Value = serde_json::from_str(manifest).unwrap();
        version["dist"] =
            json!({ "tarball": format!("http://{address}/p.tgz"), "integrity": integrity });
        let page = json!({
            "name": "small-server", "dist-tags": { "latest": "1.0.0" }, "versions": { "1.0.0": version },
        });
        BTreeMap::from([
            ("/small-server".to_owned(), page.to_string().into_bytes()),
            ("/p.tgz".to_owned(), std::fs::read(tarball).unwrap()),
        ])
    })
}

fn integrity(path: &Path) -> String {
    let script = "import sys, hashlib, base64\n\
        print('sha512-' + base64.b64encode(hashlib.sha512(open(sys.argv[1], 'rb').read()).digest()).decode())";
    let said = Command::new("python3")
        .args(["-c", script])
        .arg(path)
        .output()
        .unwrap();
    String::from_utf8(said.stdout).unwrap().trim().to_owned()
}

#[test]
fn a_package_is_fetched_behind_a_wall_of_its_own_and_runs_without_network() {
    let world = World::new();
    let registry = registry(&world.root().join("made"));
    let address = format!("http://{}", registry.address);
    let mut command = world.bailiwick(&["exec", "--", "npx", "-y", "small-server@1.0.0"]);
    command.env("npm_config_registry", format!("{address}/"));
    let ended = crate::support::run(command, "");
    assert_eq!(ended.stdout, "alone\n", "{ended:?}");
    let steps = world.events("preparation_start");
    let named: Vec<&str> = steps
        .iter()
        .filter_map(|step| step["step"].as_str())
        .collect();
    assert_eq!(named, ["npm config", "npm install"]);
    for step in &steps {
        assert_eq!(step["wall"], "native");
    }
    let grant = |at: usize| steps[at]["grant"].as_array().unwrap().clone();
    let of = |at: usize, kind: &str| {
        let atoms = grant(at)
            .into_iter()
            .map(|atom| atom.as_str().unwrap().to_owned());
        atoms
            .filter(|atom| atom.starts_with(kind))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        of(0, "network_access"),
        Vec::<String>::new(),
        "asking npm needs no network"
    );
    assert_eq!(
        of(1, "network_access"),
        [format!("network_access:{address}")]
    );
    let written = of(1, "write_files");
    assert_eq!(written.len(), 1);
    assert!(
        written[0].contains(&world.path("home/cache/npm/.")),
        "a fresh folder: {written:?}"
    );
    let packages = world.events("package_prepared");
    assert_eq!(packages[0]["package"], "small-server");
    assert!(
        packages[0]["integrity"]
            .as_str()
            .unwrap()
            .starts_with("sha512-")
    );
    let again = world.run(&["exec", "--", "npx", "-y", "small-server@1.0.0"]);
    assert_eq!(again.stdout, "alone\n", "{again:?}");
    assert_eq!(world.events("preparation_start").len(), 2, "fetched once");
    world.settled();
}

#[test]
fn l30_a_tampered_npm_is_held_to_the_grant_of_its_step() {
    let world = World::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let canary = world.file("private/canary", "canary");
    let plant = world.path("planted");
    let script = TAMPERED
        .replace("CANARY", &canary)
        .replace("PLANT", &plant)
        .replace("PORT", &port.to_string());
    let npm = world.file("bin/npm", &script);
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&npm, mode).unwrap();
    let search = format!("{}:/usr/local/bin:/usr/bin:/bin", world.path("bin"));

    // Without the wall it does all three.
    let settings = bailiwick_runtime::Settings {
        search_path: std::env::split_paths(&search).collect(),
        ..bailiwick_runtime::Settings::new(world.root().join("bare"))
    };
    let words = ["npx", "-y", "small-server@1.0.0"].map(str::to_owned);
    let bare = bailiwick_runtime::resolve(&words, &settings)
        .unwrap_err()
        .to_string();
    assert!(bare.contains("read:ok write:ok connect:ok"), "{bare}");
    std::fs::remove_file(&plant).unwrap();

    let mut command = world.bailiwick(&["exec", "--", "npx", "-y", "small-server@1.0.0"]);
    command.env("PATH", &search);
    let held = crate::support::run(command, "");
    // It may write to a `/tmp` of its own: what counts is what is there outside.
    let said = &held.stderr;
    assert!(
        said.contains("read:no") && said.contains("connect:no"),
        "{held:?}"
    );
    assert!(!Path::new(&plant).exists());
    let refused = world.events("operation_denied");
    let about = |kind: &str| refused.iter().any(|event| event["operation"] == kind);
    assert!(about("network_access") || about("connect"), "{refused:?}");
    world.settled();
}

#[test]
fn check_says_what_would_be_fetched_and_fetches_nothing() {
    let world = World::new();
    let plugin = world.file(
        "plugin/plugin.yaml",
        "id: small\nversion: 1.0.0\nname: Small\ndescription: A test.\n\
         runtime:\n  command: [npx, -y, small-server@1.0.0]\n",
    );
    let ended = world.run(&["check", "--json", &plugin]);
    let report: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    let own = &report["plugins"][0]["runtime"]["own"];
    assert_eq!(
        own["to_fetch"]["packages"],
        json!(["small-server@1.0.0"]),
        "{report}"
    );
    assert!(!world.home().join("cache").exists(), "nothing was made");
    let shown = world.run(&["check", &plugin]).stdout;
    assert!(
        shown.contains("Not fetched yet") && shown.contains("small-server@1.0.0"),
        "{shown}"
    );
}

#[test]
fn check_shows_a_runtime_apart_from_the_grant() {
    let world = World::new();
    let plugin = world.file(
        "plugin/plugin.yaml",
        "id: sh\nversion: 1.0.0\nname: Shell\ndescription: A test.\nruntime:\n  command: [/bin/cat]\n",
    );
    let ended = world.run(&["check", "--json", &plugin]);
    let report: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    let needs = report["plugins"][0]["runtime"]["own"]["needs"]
        .as_array()
        .unwrap()
        .clone();
    let libc = needs
        .iter()
        .find(|need| need["path"].as_str().unwrap().contains("libc.so"));
    assert_eq!(libc.unwrap()["run"], true, "{report}");
    assert!(
        needs
            .iter()
            .all(|need| !need["why"].as_str().unwrap().is_empty())
    );
    let shown = world.run(&["check", &plugin]).stdout;
    assert!(
        shown.contains("To run at all it is also shown") && shown.contains("the dynamic loader"),
        "{shown}"
    );
}

/// The programs that people start, each at a task of its own behind the real wall.
fn task(world: &World, allow: &[&str], words: &[&str], input: &str, says: &str) {
    let allow = allow.iter().flat_map(|atom| ["--allow", atom]);
    let args: Vec<&str> = ["exec"]
        .into_iter()
        .chain(allow)
        .chain(["--"])
        .chain(words.iter().copied())
        .collect();
    let ended = world.run_with_input(&args, input);
    assert_eq!(ended.status, 0, "{words:?}: {ended:?}");
    assert!(ended.stdout.contains(says), "{words:?}: {ended:?}");
}

#[test]
fn toolchains_and_interpreters_work_behind_the_wall() {
    let world = World::new();
    let source = world.file(
        "src/a.c",
        "#include <stdio.h>\nint main(void) { puts(\"made\"); return 0; }\n",
    );
    let java = world.file(
        "src/Main.java",
        "public class Main { public static void main(String[] a) { System.out.println(\"from java\"); } }\n",
    );
    let out = world.folder("out");
    let read = format!("read_files:{}/", world.path("src"));
    let (write, back) = (format!("write_files:{out}/"), format!("read_files:{out}/"));
    let object = format!("{out}/a");
    let all = [read.as_str(), &write, &back];
    task(
        &world,
        &all,
        &["/usr/bin/gcc", "-o", &object, &source],
        "",
        "",
    );
    let made = Command::new(&object).stdin(Stdio::null()).output().unwrap();
    assert_eq!(made.stdout, b"made\n");
    let rule = format!("{object}: {source}\n\tgcc -o {object} {source}\n");
    std::fs::remove_file(&object).unwrap();
    let with = [read.as_str(), &write, &back, "execute_code:/usr/bin/gcc"];
    task(
        &world,
        &with,
        &["/usr/bin/make", "-f", "-"],
        &rule,
        "gcc -o",
    );
    if Path::new("/usr/bin/java").exists() {
        task(&world, &[&read], &["/usr/bin/java", &java], "", "from java");
    }
    task(
        &world,
        &[],
        &[
            "/usr/bin/python3",
            "-c",
            "import ssl, sqlite3, zoneinfo; print(zoneinfo.ZoneInfo('UTC'))",
        ],
        "",
        "UTC",
    );
    task(
        &world,
        &[],
        &[
            "node",
            "-e",
            "console.log(require('crypto').randomUUID().length)",
        ],
        "",
        "36",
    );
    task(
        &world,
        &[],
        &["/usr/bin/perl", "-MPOSIX", "-e", "print 6 * 7"],
        "",
        "42",
    );
    let mut lines = std::io::Cursor::new(Vec::new());
    writeln!(lines, "shown").unwrap();
    let shown = world.file("src/data", &String::from_utf8(lines.into_inner()).unwrap());
    task(
        &world,
        &[&read],
        &["curl", "-s", &format!("file://{shown}")],
        "",
        "shown",
    );
}
