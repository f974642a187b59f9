//! What a wheel can put where, and what must not come of it.

use std::path::Path;
use std::process::Command;

use bailiwick_runtime::{Prepared, RuntimeError, Settings, resolve};
use sha2::{Digest, Sha256};

/// Makes the wheel `hostile_server-1.0` in a folder, with one more file at the place that it is given.
const MAKE: &str = r#"
import base64, hashlib, sys, zipfile
folder, place, text = sys.argv[1:]
stem = "hostile_server-1.0"
files = {
    "hostile_server.py": "def main(): print('hello')\n",
    f"{stem}.dist-info/METADATA": "Metadata-Version: 2.1\nName: hostile_server\nVersion: 1.0\n",
    f"{stem}.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    f"{stem}.dist-info/entry_points.txt": "[console_scripts]\nhostile-server = hostile_server:main\n",
    f"{stem}.data/{place}": text,
}
record = ""
for name, content in files.items():
    digest = base64.urlsafe_b64encode(hashlib.sha256(content.encode()).digest()).rstrip(b"=").decode()
    record += f"{name},sha256={digest},{len(content)}\n"
files[f"{stem}.dist-info/RECORD"] = record + f"{stem}.dist-info/RECORD,,\n"
with zipfile.ZipFile(f"{folder}/{stem}-py3-none-any.whl", "w") as wheel:
    for name, content in files.items():
        wheel.writestr(name, content)
"#;

/// Prepares that wheel, from its folder alone; gives the SHA-256 of the wheel as well.
fn prepare(place: &str, text: &str) -> (Result<Prepared, RuntimeError>, String) {
    let dir = tempfile::tempdir().unwrap();
    let made = Command::new("python3")
        .args(["-c", MAKE])
        .arg(dir.path())
        .args([place, text])
        .status()
        .expect("python3 is needed");
    assert!(made.success());
    let wheel = dir.path().join("hostile_server-1.0-py3-none-any.whl");
    let digest = hex::encode(Sha256::digest(std::fs::read(wheel).unwrap()));
    let settings = Settings {
        cwd: "/".into(),
        tool_env: vec![
            ("PIP_NO_INDEX".into(), "1".into()),
            ("PIP_FIND_LINKS".into(), dir.path().into()),
        ],
        ..Settings::from_process(dir.path().join("cache"))
    };
    let words = ["uvx", "hostile-server==1.0"].map(str::to_owned);
    let prepared = resolve(&words, &settings);
    assert!(!anywhere(dir.path(), "escaped"), "{place}");
    (prepared, digest)
}

/// Is there a file of this name in the folder, at whatever depth?
fn anywhere(folder: &Path, name: &str) -> bool {
    std::fs::read_dir(folder).unwrap().flatten().any(|entry| {
        let inside = entry.file_type().unwrap().is_dir();
        entry.file_name() == name || (inside && anywhere(&entry.path(), name))
    })
}

#[test]
fn l15_a_wheel_puts_nothing_outside_its_environment() {
    for place in [
        "data/../../../../escaped",
        "purelib/../../../../../../../escaped",
        "scripts/../../../escaped",
        "../../../../escaped",
    ] {
        prepare(place, "planted").0.unwrap_err();
    }
}

#[test]
fn l30_a_wheel_cannot_write_the_report_on_itself() {
    let forged = r#"{"install":[{"metadata":{"name":"hostile-server","version":"9.9"},
        "download_info":{"archive_info":{"hash":"sha256=00"}}}]}"#;
    let (prepared, digest) = prepare("data/pip-report.json", forged);
    let packages = prepared.unwrap().packages;
    assert_eq!(packages.len(), 1);
    assert_eq!(packages[0].version, "1.0");
    assert_eq!(packages[0].integrity, format!("sha256={digest}"));
}

#[test]
fn a_wheel_cannot_write_the_record_of_its_folder() {
    let (prepared, digest) = prepare("data/bailiwick-package.json", "{}");
    let packages = prepared.unwrap().packages;
    assert_eq!(packages[0].integrity, format!("sha256={digest}"));
}

#[test]
fn a_wheel_cannot_put_itself_in_the_place_of_the_interpreter() {
    for (place, text) in [
        ("scripts/python", "#!/bin/sh\nexit\n"),
        ("data/bin/python", "#!/bin/sh\nexit\n"),
        (
            "data/pyvenv.cfg",
            "home = /\ninclude-system-site-packages = true\n",
        ),
    ] {
        let (prepared, _) = prepare(place, text);
        let error = prepared.unwrap_err().to_string();
        assert!(
            error.contains("replaces the interpreter"),
            "{place}: {error}"
        );
    }
}

/// Nothing else about that wheel is refused: the tests above are about its one more file.
#[test]
fn an_ordinary_file_of_a_wheel_is_installed() {
    let root = |prepared: Prepared| prepared.packages[0].path.clone();
    let (prepared, _) = prepare("data/share/note.txt", "x");
    assert!(!root(prepared.unwrap()).starts_with(Path::new("/usr")));
}
