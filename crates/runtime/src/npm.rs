//! Packages of the npm registry: installed without running anything of theirs.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::error::{RuntimeError, io};
use crate::lookup;
use crate::registries::Reach;
use crate::request::Asked;
use crate::settings::Settings;
use crate::spec::NpmSpec;
use crate::start::text;
use crate::steps::{self, Work};
use crate::store::{Ecosystem, Fresh, PackageRecord, Store, Stored};

/// Said on the command line, where they win over every configuration file: nothing but registry
/// packages, nothing that runs.
const OPTIONS: &[&str] = &[
    "install",
    "--ignore-scripts",
    "--no-audit",
    "--no-fund",
    "--no-update-notifier",
    "--no-progress",
    "--no-global",
    "--no-workspaces",
    "--no-dry-run",
    "--no-package-lock-only",
    "--package-lock",
    "--save",
    "--save-exact",
    "--omit=dev",
    "--install-strategy=hoisted",
    "--install-links",
    "--engine-strict",
    "--loglevel=error",
    "--allow-git=none",
    "--allow-file=none",
    "--allow-directory=none",
    "--allow-remote=none",
    // Older clients do not know `--allow-git`, but without a git they fetch no repository either.
    "--git=/nonexistent/git",
    "--script-shell=/nonexistent/shell",
];

/// Prepares the packages and finds the program's script.
pub(crate) fn prepare(
    asked: &Asked<NpmSpec>,
    settings: &Settings,
) -> Result<(Stored, PathBuf), RuntimeError> {
    let store = Store::open(settings, Ecosystem::Npm)?;
    let (name, words) = asked_for(asked);
    let stored = store.get(&name, |fresh| install(asked, &words, fresh, settings))?;
    let script = script(asked, &stored.folder)?;
    Ok((stored, script))
}

/// The name by which it is kept, and the packages that npm is asked for.
pub(crate) fn asked_for(asked: &Asked<NpmSpec>) -> (String, Vec<String>) {
    let mut words: Vec<String> = asked.with.iter().map(ToString::to_string).collect();
    words.sort();
    words.insert(0, asked.package.to_string());
    (words.join(" "), words)
}

fn install(
    asked: &Asked<NpmSpec>,
    words: &[String],
    fresh: &Fresh<'_>,
    settings: &Settings,
) -> Result<Vec<PackageRecord>, RuntimeError> {
    let npm = lookup::bare("npm".as_ref(), settings).ok_or_else(|| RuntimeError::NotFound {
        program: "npm".to_owned(),
        searched: "the search path".to_owned(),
        mend: "install it where this user may run it, such as Debian's `nodejs` and `npm`"
            .to_owned(),
    })?;
    (settings.progress)(&format!(
        "fetching {} with npm, without running its scripts",
        words.join(", ")
    ));
    let bad = |why: String, mend: &str| RuntimeError::Package {
        package: asked.package.to_string(),
        why,
        mend: mend.to_owned(),
    };
    let manifest = fresh.folder.join("package.json");
    fs::write(&manifest, "{\"private\":true}\n").map_err(io("write", &manifest))?;
    let cache = vec![("npm_config_cache", text(fresh.downloads)?)];
    let work = |what, args, reach| Work {
        what,
        tool: &npm,
        args,
        reads: configuration(&npm, settings),
        folder: fresh.top,
        reach,
        env: cache.clone(),
    };
    let listed = ["config", "list", "--json"].map(str::to_owned).to_vec();
    let told = steps::run(work("npm config", listed, None), settings)?;
    if !told.success() {
        return Err(bad(
            told.why("npm config"),
            "check that `npm config list` works",
        ));
    }
    let reach = Reach::of_npm(&told.said(), settings)
        .map_err(|why| bad(why, "check `npm config get registry`"))?;
    let mut args: Vec<String> = OPTIONS.iter().map(|option| (*option).to_owned()).collect();
    args.extend(["--prefix".to_owned(), text(fresh.folder)?, "--".to_owned()]);
    args.extend(words.iter().cloned());
    let done = steps::run(work("npm install", args, Some(&reach)), settings)?;
    if !done.success() {
        return Err(bad(
            done.why("npm"),
            "check the package's name and version, and that the registry is reached (`npm ping`)",
        ));
    }
    installed(fresh.folder, &asked.package.name)
        .map_err(|why| bad(why, "use another version of the package"))
}

/// The files from which npm takes its configuration, as far as they are not named otherwise.
fn configuration(npm: &Path, settings: &Settings) -> Vec<PathBuf> {
    let named = |name: &str| {
        let found = settings.tool_env.iter().find(|(known, _)| {
            known
                .to_str()
                .is_some_and(|known| known.eq_ignore_ascii_case(name))
        });
        found.map(|(_, value)| PathBuf::from(value))
    };
    let user = named("npm_config_userconfig")
        .or_else(|| settings.home.as_ref().map(|home| home.join(".npmrc")));
    let prefix = npm
        .ancestors()
        .nth(2)
        .map(|prefix| prefix.join("etc/npmrc"));
    let global = named("npm_config_globalconfig").or(prefix);
    [user, global, Some(PathBuf::from("/etc/npmrc"))]
        .into_iter()
        .flatten()
        .collect()
}

#[derive(Deserialize)]
struct Lock {
    packages: BTreeMap<String, Locked>,
}

#[derive(Deserialize)]
struct Locked {
    version: Option<String>,
    integrity: Option<String>,
    #[serde(default)]
    link: bool,
    #[serde(default)]
    optional: bool,
    name: Option<String>,
}

/// What npm wrote down about the packages that it unpacked, the asked-for one first.
fn installed(folder: &Path, wanted: &str) -> Result<Vec<PackageRecord>, String> {
    let text = fs::read(folder.join("package-lock.json"))
        .map_err(|error| format!("npm left no lock file: {error}"))?;
    let lock: Lock = serde_json::from_slice(&text)
        .map_err(|error| format!("npm's lock file is not understood: {error}"))?;
    let mut packages = Vec::new();
    for (place, locked) in lock.packages {
        // Optional packages for other systems are in the lock file, but not on the disk.
        if place.is_empty() || (locked.optional && !folder.join(&place).is_dir()) {
            continue;
        }
        let name = locked.name.or_else(|| {
            place
                .rsplit_once("node_modules/")
                .map(|(_, name)| name.to_owned())
        });
        let (Some(name), Some(version), Some(integrity), false) =
            (name, locked.version, locked.integrity, locked.link)
        else {
            return Err(format!(
                "`{place}` was not fetched from the registry, so its contents cannot be pinned"
            ));
        };
        packages.push(PackageRecord {
            ecosystem: Ecosystem::Npm,
            name,
            version,
            integrity,
            path: PathBuf::from(place),
        });
    }
    let main = PathBuf::from("node_modules").join(wanted);
    packages.sort_by_key(|package| (package.path != main, package.path.clone()));
    match packages.first() {
        Some(first) if first.path == main => Ok(packages),
        _ => Err(format!("npm did not install `{wanted}`")),
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Bin {
    One(String),
    Named(BTreeMap<String, String>),
}

#[derive(Deserialize)]
struct Manifest {
    bin: Option<Bin>,
}

/// The script that npx would run: the named program, else the only one, else the one of the
/// package's own name.
fn script(asked: &Asked<NpmSpec>, folder: &Path) -> Result<PathBuf, RuntimeError> {
    let name = &asked.package.name;
    let package = folder.join("node_modules").join(name);
    let bad = |why: String, mend: String| RuntimeError::Package {
        package: asked.package.to_string(),
        why,
        mend,
    };
    let path = package.join("package.json");
    let text = fs::read(&path).map_err(io("read", &path))?;
    let manifest: Manifest = serde_json::from_slice(&text).map_err(|error| {
        bad(
            format!("its package.json is not understood: {error}"),
            "use another version".to_owned(),
        )
    })?;
    let programs = match manifest.bin {
        None => BTreeMap::new(),
        Some(Bin::One(path)) => BTreeMap::from([(asked.package.short().to_owned(), path)]),
        Some(Bin::Named(named)) => named,
    };
    let names = programs
        .keys()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join(", ");
    let chosen = match &asked.command {
        Some(command) => programs.get(command),
        None if programs.len() == 1 => programs.values().next(),
        None => programs.get(asked.package.short()),
    };
    let Some(chosen) = chosen else {
        let mend = format!("write `npx -y -p {name} PROGRAM`, with one of: {names}");
        return Err(match programs.is_empty() {
            true => bad(
                "it holds no program".to_owned(),
                "it is a library; look for the package that starts the server".to_owned(),
            ),
            false => bad("it does not hold that program".to_owned(), mend),
        });
    };
    let script = package
        .join(chosen)
        .canonicalize()
        .map_err(io("find the program", &package.join(chosen)))?;
    let inside = package.canonicalize().map_err(io("resolve", &package))?;
    if !script.starts_with(inside) {
        return Err(bad(
            format!("its program `{chosen}` leads out of the package"),
            "do not use this package".to_owned(),
        ));
    }
    Ok(script)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(command: Option<&str>) -> Asked<NpmSpec> {
        let package = NpmSpec::parse("@s/p").unwrap();
        Asked {
            package,
            with: Vec::new(),
            command: command.map(str::to_owned),
            args: Vec::new(),
        }
    }

    fn package(bin: &str) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let package = dir.path().join("node_modules/@s/p");
        fs::create_dir_all(package.join("dist")).unwrap();
        fs::write(package.join("dist/a.js"), "").unwrap();
        fs::write(package.join("dist/b.js"), "").unwrap();
        fs::write(dir.path().join("node_modules/out.js"), "").unwrap();
        fs::write(package.join("package.json"), format!("{{\"bin\":{bin}}}")).unwrap();
        dir
    }

    #[test]
    fn the_program_is_chosen_as_npx_chooses_it() {
        let run = |bin: &str, command| {
            script(&asked(command), package(bin).path())
                .map(|path| path.file_name().unwrap().to_owned())
        };
        assert_eq!(run("\"dist/a.js\"", None).unwrap(), "a.js");
        assert_eq!(run("{\"other\":\"dist/b.js\"}", None).unwrap(), "b.js");
        assert_eq!(
            run("{\"other\":\"dist/b.js\",\"p\":\"dist/a.js\"}", None).unwrap(),
            "a.js"
        );
        assert_eq!(
            run(
                "{\"other\":\"dist/b.js\",\"p\":\"dist/a.js\"}",
                Some("other")
            )
            .unwrap(),
            "b.js"
        );
        let error = run("{\"x\":\"dist/b.js\",\"y\":\"dist/a.js\"}", None)
            .unwrap_err()
            .to_string();
        assert!(error.contains("x, y"), "{error}");
        assert!(
            run("null", None)
                .unwrap_err()
                .to_string()
                .contains("library")
        );
    }

    #[test]
    fn l15_a_program_outside_its_package_is_refused() {
        let error = script(&asked(None), package("\"../../out.js\"").path())
            .unwrap_err()
            .to_string();
        assert!(error.contains("leads out"), "{error}");
    }

    #[test]
    fn l30_every_package_is_pinned_by_content() {
        let lock = |inner: &str| {
            let dir = tempfile::tempdir().unwrap();
            fs::write(
                dir.path().join("package-lock.json"),
                format!("{{\"packages\":{{\"\":{{}},{inner}}}}}"),
            )
            .unwrap();
            installed(dir.path(), "p")
        };
        let main = r#""node_modules/p":{"version":"1.0.0","integrity":"sha512-AA"}"#;
        assert_eq!(lock(main).unwrap()[0].integrity, "sha512-AA");
        let first = lock(&format!(
            r#""node_modules/a":{{"version":"2.0.0","integrity":"sha512-BB"}},{main}"#
        ))
        .unwrap();
        assert_eq!((first[0].name.as_str(), first[1].name.as_str()), ("p", "a"));
        assert!(
            lock(&format!(r#""node_modules/a":{{"version":"2.0.0"}},{main}"#))
                .unwrap_err()
                .contains("node_modules/a")
        );
        assert!(
            lock(&format!(
                r#""node_modules/a":{{"version":"2.0.0","integrity":"x","link":true}},{main}"#
            ))
            .is_err()
        );
        assert!(
            lock(r#""node_modules/a":{"version":"2.0.0","integrity":"x"}"#)
                .unwrap_err()
                .contains("did not install")
        );
    }
}
