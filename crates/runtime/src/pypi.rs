//! Packages of the Python Package Index: wheels only, so that nothing of theirs runs while they are
//! installed, each in a virtual environment of its own.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::ask;
use crate::error::{RuntimeError, io};
use crate::lookup;
use crate::registries::Reach;
use crate::request::Asked;
use crate::settings::Settings;
use crate::spec::{PypiSpec, normal_name};
use crate::start::text;
use crate::steps::{self, Work};
use crate::store::{Ecosystem, Fresh, PackageRecord, Store, Stored};

const OPTIONS: &[&str] = &[
    "install",
    "--only-binary=:all:",
    "--no-input",
    "--disable-pip-version-check",
    "--no-warn-script-location",
    "--progress-bar=off",
    "--quiet",
    "--compile",
];
/// Has pip say where it looks when nothing is configured, and where that index keeps its files, a line each.
const OWN_INDEX: &str = "from pip._internal.models.index import PyPI as own
print(own.simple_url)
print('https://' + own.file_storage_domain)";

/// Enough for two lines with the longest path.
const MAX_HEAD: u64 = 8192;
const REPORT: &str = "pip-report.json";

/// Prepares the packages and finds the program: the environment's python, and the script.
pub(crate) fn prepare(
    asked: &Asked<PypiSpec>,
    settings: &Settings,
) -> Result<(Stored, PathBuf, PathBuf), RuntimeError> {
    let python = interpreter(settings)?;
    let store = Store::open(settings, Ecosystem::Pypi)?;
    let (name, words) = asked_for(asked, &python);
    let stored = store.get(&name, |fresh| {
        install(asked, &words, &python, fresh, settings)
    })?;
    let script = script(asked, &stored.folder)?;
    let python = stored.folder.join("bin/python");
    Ok((stored, python, script))
}

/// The name by which it is kept, and the packages that pip is asked for. An environment belongs to the
/// interpreter that made it.
pub(crate) fn asked_for(asked: &Asked<PypiSpec>, python: &Path) -> (String, Vec<String>) {
    let mut words: Vec<String> = asked.with.iter().map(ToString::to_string).collect();
    words.sort();
    words.insert(0, asked.package.to_string());
    (
        format!("{} with {}", words.join(" "), python.display()),
        words,
    )
}

/// The real interpreter that `python3` stands for on this machine.
pub(crate) fn interpreter(settings: &Settings) -> Result<PathBuf, RuntimeError> {
    let found = lookup::program("python3", settings)?;
    let real = match ask::behind_shim(&found, settings)? {
        Some(real) if crate::elf::Elf::read(&found)?.is_none() => real,
        _ => found,
    };
    real.canonicalize().map_err(io("resolve", &real))
}

fn install(
    asked: &Asked<PypiSpec>,
    words: &[String],
    python: &Path,
    fresh: &Fresh<'_>,
    settings: &Settings,
) -> Result<Vec<PackageRecord>, RuntimeError> {
    (settings.progress)(&format!(
        "fetching {} with pip, wheels only",
        words.join(", ")
    ));
    let bad = |why: String, mend: &str| RuntimeError::Package {
        package: asked.package.to_string(),
        why,
        mend: mend.to_owned(),
    };
    let cache = vec![("PIP_CACHE_DIR", text(fresh.downloads)?)];
    let step = |what: &str, args: &[&str], reach: Option<&Reach>| {
        let args = ["-I"].iter().chain(args).map(|word| (*word).to_owned());
        let work = Work {
            what,
            tool: python,
            args: args.collect(),
            reads: configuration(python, settings),
            folder: fresh.top,
            reach,
            env: cache.clone(),
        };
        steps::run(work, settings)
    };
    let folder = text(fresh.folder)?;
    let venv = step(
        "python3 -m venv",
        &["-m", "venv", "--without-pip", &folder],
        None,
    )?;
    if !venv.success() {
        return Err(bad(
            venv.why("python3 -m venv"),
            "install Python's `venv`, such as Debian's `python3-venv`",
        ));
    }
    let environment = fresh.folder.join("bin/python");
    let configuration = fresh.folder.join("pyvenv.cfg");
    let before = fs::read(&configuration).map_err(io("read", &configuration))?;
    let told = step("pip config", &["-m", "pip", "config", "list"], None)?;
    if !told.success() {
        return Err(failed(asked, &told.why("pip config")));
    }
    let own = step("pip's own index", &["-c", OWN_INDEX], None)?;
    let reach = Reach::of_pip(&told.said(), &own.said(), settings)
        .map_err(|why| bad(why, "check `pip config list`"))?;
    let inside = text(&environment)?;
    let mut args = vec!["-m", "pip", "--python", &inside];
    args.extend(OPTIONS);
    // Not in the environment: a wheel may put files there, and would write its own report.
    let report = fresh.downloads.join(REPORT);
    let place = text(&report)?;
    args.extend(["--report", &place, "--"]);
    args.extend(words.iter().map(String::as_str));
    let done = step("pip install", &args, Some(&reach))?;
    if !done.success() {
        return Err(failed(asked, &done.why("pip")));
    }
    // A wheel may name its scripts and data as it likes, also as what the environment stands on.
    let same = environment.canonicalize().is_ok_and(|real| real == python)
        && fs::read(&configuration).is_ok_and(|after| after == before);
    if !same {
        return Err(bad(
            "it, or what it depends on, replaces the interpreter of its environment".to_owned(),
            "do not use this package",
        ));
    }
    installed(&report, &asked.package.name)
        .map_err(|why| bad(why, "use another version of the package"))
}

fn failed(asked: &Asked<PypiSpec>, why: &str) -> RuntimeError {
    let mend = if why.contains("No module named pip") {
        "install pip for this Python, such as Debian's `python3-pip`"
    } else {
        "check the package's name and version; it needs wheels for this Python, because nothing of it is built here"
    };
    RuntimeError::Package {
        package: asked.package.to_string(),
        why: why.to_owned(),
        mend: mend.to_owned(),
    }
}

/// The files from which pip takes its configuration (pip's own documentation, "Location").
fn configuration(python: &Path, settings: &Settings) -> Vec<PathBuf> {
    let home = settings.home.iter();
    let user = home.flat_map(|home| {
        [
            home.join(".pip/pip.conf"),
            home.join(".config/pip/pip.conf"),
        ]
    });
    let folder = settings
        .tool_env
        .iter()
        .find(|(name, _)| name == "XDG_CONFIG_HOME")
        .map(|(_, value)| Path::new(value).join("pip/pip.conf"));
    let own = python
        .ancestors()
        .nth(2)
        .map(|prefix| prefix.join("pip.conf"));
    let machine = ["/etc/pip.conf", "/etc/xdg/pip/pip.conf"].map(PathBuf::from);
    user.chain(folder).chain(own).chain(machine).collect()
}

/// pip's installation report, version 1.
#[derive(Deserialize)]
struct Report {
    install: Vec<Installed>,
}

#[derive(Deserialize)]
struct Installed {
    metadata: Metadata,
    download_info: Download,
}

#[derive(Deserialize)]
struct Metadata {
    name: String,
    version: String,
}

#[derive(Deserialize)]
struct Download {
    archive_info: Option<Archive>,
}

#[derive(Deserialize)]
struct Archive {
    hash: Option<String>,
}

fn installed(report: &Path, wanted: &str) -> Result<Vec<PackageRecord>, String> {
    let text = fs::read(report)
        .map_err(|error| format!("pip left no report: {error}; pip 22.2 or newer is needed"))?;
    let report: Report = serde_json::from_slice(&text)
        .map_err(|error| format!("pip's report is not understood: {error}"))?;
    let mut packages = Vec::new();
    for Installed {
        metadata: Metadata { name, version },
        download_info,
    } in report.install
    {
        let hash = download_info
            .archive_info
            .and_then(|archive| archive.hash)
            .filter(|hash| hash.starts_with("sha256="));
        let Some(integrity) = hash else {
            return Err(format!(
                "`{name}` was not fetched as an archive with a SHA-256, so its contents cannot be pinned"
            ));
        };
        packages.push(PackageRecord {
            ecosystem: Ecosystem::Pypi,
            name,
            version,
            integrity,
            path: PathBuf::new(),
        });
    }
    let wanted = normal_name(wanted);
    packages.sort_by_key(|package| {
        (
            normal_name(&package.name) != wanted,
            normal_name(&package.name),
        )
    });
    match packages.first() {
        Some(first) if normal_name(&first.name) == wanted => Ok(packages),
        _ => Err(format!("pip did not install `{wanted}`")),
    }
}

/// The console script that uvx would run: the named one, else the one of the package's name.
fn script(asked: &Asked<PypiSpec>, folder: &Path) -> Result<PathBuf, RuntimeError> {
    let name = asked.command.as_deref().unwrap_or(&asked.package.name);
    let bin = folder.join("bin");
    let mut programs = Vec::new();
    for entry in fs::read_dir(&bin).map_err(io("list", &bin))?.flatten() {
        let program = entry.file_name().to_string_lossy().into_owned();
        if is_console_script(&entry.path()) {
            programs.push(program);
        }
    }
    programs.sort();
    let same = |program: &&String| {
        *program == name || (asked.command.is_none() && normal_name(program) == normal_name(name))
    };
    match programs.iter().find(same) {
        Some(program) => Ok(bin.join(program)),
        None => Err(RuntimeError::Package {
            package: asked.package.to_string(),
            why: format!("it installs no program `{name}`"),
            mend: format!(
                "write `uvx --from {} PROGRAM`, with one of: {}",
                asked.package,
                programs.join(", ")
            ),
        }),
    }
}

/// Is it Python's own, and not a part of the environment? Installers begin a script with its
/// interpreter, or, where that path is too long for a first line, with a shell line that is also Python.
fn is_console_script(path: &Path) -> bool {
    let mut head = Vec::new();
    let read = fs::File::open(path).and_then(|file| file.take(MAX_HEAD).read_to_end(&mut head));
    let head = String::from_utf8_lossy(&head);
    let mut lines = head.lines();
    let (first, second) = (
        lines.next().unwrap_or_default(),
        lines.next().unwrap_or_default(),
    );
    read.is_ok()
        && first.starts_with("#!")
        && (first.contains("python") || second.starts_with("'''exec'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn l30_every_wheel_is_pinned_by_content() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("r");
        let with = |download: &str| {
            let text = format!(
                r#"{{"install":[{{"metadata":{{"name":"Mcp_Server","version":"1"}},"download_info":{download}}}]}}"#
            );
            fs::write(&path, text).unwrap();
            installed(&path, "mcp-server")
        };
        assert_eq!(
            with(r#"{"archive_info":{"hash":"sha256=ab"}}"#).unwrap()[0].integrity,
            "sha256=ab"
        );
        assert!(with(r#"{"archive_info":{}}"#).is_err());
        assert!(
            with(r#"{"vcs_info":{"vcs":"git"}}"#)
                .unwrap_err()
                .contains("cannot be pinned")
        );
        assert!(with(r#"{"archive_info":{"hash":"md5=ab"}}"#).is_err());
    }

    #[test]
    fn the_console_script_is_chosen_by_name() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("bin")).unwrap();
        for name in ["mcp_server", "other"] {
            fs::write(dir.path().join("bin").join(name), "#!/x/bin/python\n").unwrap();
        }
        fs::write(dir.path().join("bin/activate"), "# sh").unwrap();
        fs::write(dir.path().join("bin/helper"), "#!/bin/sh\necho\n").unwrap();
        let long = "#!/bin/sh\n'''exec' /a/very/long/path/bin/python \"$0\" \"$@\"\n' '''\n";
        fs::write(dir.path().join("bin/third"), long).unwrap();
        let with = |command: Option<&str>| {
            let package = PypiSpec::parse("mcp-server").unwrap();
            script(
                &Asked {
                    package,
                    with: Vec::new(),
                    command: command.map(str::to_owned),
                    args: Vec::new(),
                },
                dir.path(),
            )
        };
        assert!(with(None).unwrap().ends_with("mcp_server"));
        assert!(with(Some("other")).unwrap().ends_with("other"));
        assert!(with(Some("third")).unwrap().ends_with("third"));
        let error = with(Some("activate")).unwrap_err().to_string();
        assert!(error.contains("mcp_server, other, third"), "{error}");
    }
}
