//! Installs what the tests need: system packages where this is root on a Debian-like system, real
//! third-party plugins and SDKs at pinned versions, and guest components.

use std::fs;
use std::path::{Path, PathBuf};

use crate::run::{run, run_with, top, works};

/// A program of the system, how to see that it works, and the Debian package that has it.
const SYSTEM: &[(&str, &[&str], &str)] = &[
    ("curl", &["--version"], "curl"),
    ("git", &["--version"], "git"),
    ("bwrap", &["--version"], "bubblewrap"),
    ("setpriv", &["--version"], "util-linux"),
    ("dbus-daemon", &["--version"], "dbus-daemon"),
    ("gnome-keyring-daemon", &["--version"], "gnome-keyring"),
    ("cc", &["--version"], "gcc"),
    ("make", &["--version"], "make"),
    // The SMT solver of `bailiwick policy analyze`; what PyPI has under this name is a library without a program.
    ("cvc5", &["--version"], "cvc5"),
    ("javac", &["-version"], "default-jdk-headless"),
    ("go", &["version"], "golang-go"),
    // Go's own reader of transparency logs.
    (
        "/usr/bin/env",
        &["test", "-d", "/usr/share/gocode/src/golang.org/x/mod/sumdb"],
        "golang-golang-x-mod-dev",
    ),
    // Opens the page that checks proofs.
    (
        "chromium-headless-shell",
        &["--version"],
        "chromium-headless-shell",
    ),
    ("/usr/sbin/rsyslogd", &["-v"], "rsyslog"),
    ("psql", &["--version"], "postgresql-client"),
    (
        "/usr/bin/python3",
        &["-m", "pytest", "--version"],
        "python3-pytest",
    ),
    ("vi", &["--version"], "vim-tiny"),
    ("less", &["--version"], "less"),
    // The attackers are linked statically.
    (
        "/usr/bin/env",
        &[
            "sh",
            "-c",
            "echo 'int main(){}' | cc -static -x c -o /dev/null -",
        ],
        "libc6-dev",
    ),
    ("/usr/sbin/ip", &["-V"], "iproute2"),
    ("node", &["--version"], "nodejs"),
    ("npm", &["--version"], "npm"),
    (
        "/usr/bin/python3",
        &["-c", "import venv, ensurepip"],
        "python3-venv",
    ),
    (
        "/usr/bin/python3",
        &["-m", "pip", "--version"],
        "python3-pip",
    ),
];

/// What could not be installed, and how to mend it.
#[derive(Debug, Default)]
pub(crate) struct Missing(Vec<String>);

impl Missing {
    /// In CI anything missing is a failure; elsewhere it is said, and the tests that need it fail.
    pub(crate) fn judge(self) -> Result<(), String> {
        for line in &self.0 {
            eprintln!("xtask: missing: {line}");
        }
        if !self.0.is_empty() && std::env::var_os("CI").is_some() {
            return Err("in CI everything has to be there".to_owned());
        }
        Ok(())
    }

    fn note(&mut self, what: &str, done: Result<(), String>, mend: &str) {
        if let Err(error) = done {
            self.0.push(format!("{what}: {error}; hint: {mend}"));
        }
    }
}

/// Installs everything that is not there yet.
pub(crate) fn install() -> Result<Missing, String> {
    let mut missing = Missing::default();
    system(&mut missing);
    let real = top().join(".cache/real");
    fs::create_dir_all(&real).map_err(|error| format!("{}: {error}", real.display()))?;
    let network = "are the package registries reached from here?";
    missing.note("npm servers and SDK", npm(&real), network);
    missing.note("Python servers and SDK", pypi(&real), network);
    missing.note("readers of transparency logs", tlog_readers(&real), network);
    if top().join("scripts/build-components.sh").is_file() {
        let built = run("bash", &["scripts/build-components.sh"]);
        missing.note(
            "guest components",
            built,
            "see the script's own words above",
        );
    }
    Ok(missing)
}

fn system(missing: &mut Missing) {
    let absent = || {
        SYSTEM
            .iter()
            .filter(|(program, args, _)| !works(program, args))
            .collect::<Vec<_>>()
    };
    let packages: Vec<&str> = absent().iter().map(|(_, _, package)| *package).collect();
    if packages.is_empty() {
        return;
    }
    if works(
        "/usr/bin/env",
        &["sh", "-c", "test $(id -u) = 0 && command -v apt-get"],
    ) {
        println!("installing {}", packages.join(", "));
        let quiet = [("DEBIAN_FRONTEND", "noninteractive")];
        let installed = run_with("apt-get", &["update", "-qq"], &quiet).and_then(|()| {
            let mut args = vec!["install", "-y", "-qq", "--no-install-recommends"];
            args.extend(&packages);
            run_with("apt-get", &args, &quiet)
        });
        missing.note("system packages", installed, "install them by hand");
    }
    for (program, _, package) in absent() {
        missing.0.push(format!(
            "`{program}`; hint: as root, `apt-get install {package}`, or your system's like"
        ));
    }
}

fn npm(real: &Path) -> Result<(), String> {
    let manifest = top().join("testdata/real/package.json");
    unless_done(real, "npm", &[&manifest], || {
        fs::copy(&manifest, real.join("package.json")).map_err(|error| error.to_string())?;
        let folder = real.to_string_lossy().into_owned();
        // No lock file: it would name the registry. The direct versions are pinned.
        run(
            "npm",
            &[
                "install",
                "--ignore-scripts",
                "--no-package-lock",
                "--no-audit",
                "--no-fund",
                "--prefix",
                &folder,
            ],
        )
    })
}

fn pypi(real: &Path) -> Result<(), String> {
    let requirements = top().join("testdata/real/requirements.txt");
    unless_done(real, "pypi", &[&requirements], || {
        let list = requirements.to_string_lossy().into_owned();
        venv(&real.join("venv"), &["--requirement", &list])
    })
}

/// Pure Python that says it wants a newer one than Debian's, and runs in that as well.
const TLOG_READERS: &[&str] = &[
    "--ignore-requires-python",
    "aics-tlog==0.2.1",
    "aics-witness==0.1.0",
];

fn tlog_readers(real: &Path) -> Result<(), String> {
    let folder = real.join("tlog-venv");
    let stamp = real.join("tlog.stamp");
    let wanted = TLOG_READERS.join("\n");
    if fs::read_to_string(&stamp).is_ok_and(|done| done == wanted) && folder.is_dir() {
        return Ok(());
    }
    println!("installing what the tests need: readers of transparency logs");
    venv(&folder, TLOG_READERS)?;
    fs::write(&stamp, wanted).map_err(|error| format!("{}: {error}", stamp.display()))
}

/// A fresh virtual environment with wheels in it, made by a Python that every user may run.
pub(crate) fn venv(folder: &Path, packages: &[&str]) -> Result<(), String> {
    let _ = fs::remove_dir_all(folder);
    let path = folder.to_string_lossy().into_owned();
    let python = ["/usr/bin/python3", "python3"]
        .into_iter()
        .find(|python| works(python, &["--version"]))
        .ok_or("there is no python3")?;
    run(python, &["-I", "-m", "venv", "--without-pip", &path])?;
    let inside = folder.join("bin/python").to_string_lossy().into_owned();
    let mut args = vec![
        "-I",
        "-m",
        "pip",
        "--python",
        &inside,
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--only-binary=:all:",
    ];
    args.extend(packages);
    run(python, &args)
}

/// Runs `work` unless a stamp says that it was done with the very same inputs.
fn unless_done(
    real: &Path,
    name: &str,
    inputs: &[&PathBuf],
    work: impl FnOnce() -> Result<(), String>,
) -> Result<(), String> {
    let stamp = real.join(format!("{name}.stamp"));
    let mut wanted = Vec::new();
    for input in inputs {
        wanted.extend(fs::read(input).map_err(|error| format!("{}: {error}", input.display()))?);
    }
    if fs::read(&stamp).is_ok_and(|done| done == wanted) {
        return Ok(());
    }
    println!("installing what the tests need: {name}");
    let _ = fs::remove_file(&stamp);
    work()?;
    fs::write(&stamp, wanted).map_err(|error| format!("{}: {error}", stamp.display()))
}
