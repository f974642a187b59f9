//! What Node.js needs, and where a script's package is.

use std::path::{Path, PathBuf};

use crate::elf::Elf;
use crate::error::{RuntimeError, io};
use crate::start::{Resolver, Start, text};

/// Debian builds Node.js with some of its built-in modules kept here.
const DEBIAN_MODULES: &str = "/usr/share/nodejs";
/// Options that take the next word.
const WITH_VALUE: &[&str] = &[
    "-r",
    "--require",
    "--import",
    "--loader",
    "--experimental-loader",
    "-C",
    "--conditions",
    "--title",
    "--input-type",
    "--max-http-header-size",
    "--stack-trace-limit",
];
/// Options after which there is no script.
const CODE: &[&str] = &[
    "-e",
    "--eval",
    "-p",
    "--print",
    "-pe",
    "-v",
    "--version",
    "-h",
    "--help",
    "-i",
    "--interactive",
];

pub(crate) fn start(
    resolver: &mut Resolver<'_>,
    program: &Path,
    mut elf: Elf,
    mut args: Vec<String>,
) -> Result<Start, RuntimeError> {
    let real = resolver
        .look
        .real(program)
        .map_err(io("resolve", program))?;
    // It brings its own character sets and languages.
    elf.asks_locale = false;
    resolver.add_program(&real, elf, "Node.js")?;
    if real.starts_with("/usr/bin") && resolver.look.is_dir(Path::new(DEBIAN_MODULES)) {
        resolver
            .needs
            .read(DEBIAN_MODULES, "built-in modules of Debian's Node.js");
    }
    if let Some(word) = script(&args).and_then(|at| args.get_mut(at)) {
        let script = resolver.script_word(word)?;
        *word = text(&script)?;
        add_package(resolver, &script)?;
    }
    Ok(Start {
        program: real,
        args,
    })
}

/// The place of the script among node's arguments.
fn script(args: &[String]) -> Option<usize> {
    let mut skip = false;
    for (at, arg) in args.iter().enumerate() {
        if skip {
            skip = false;
        } else if arg == "--" {
            return (at + 1 < args.len()).then_some(at + 1);
        } else if CODE.iter().any(|code| arg == code)
            || arg.starts_with("--eval=")
            || arg.starts_with("--print=")
        {
            return None;
        } else if arg.starts_with('-') {
            skip = WITH_VALUE.iter().any(|option| arg == option);
        } else {
            return Some(at);
        }
    }
    None
}

fn add_package(resolver: &mut Resolver<'_>, script: &Path) -> Result<(), RuntimeError> {
    if let Some(root) = resolver.own_root(script)? {
        return resolver.add_tree(&root, "the package and what it depends on");
    }
    let above = |dir: &&Path| !resolver.too_wide(dir);
    let Some(package) = script
        .ancestors()
        .skip(1)
        .take_while(above)
        .find(|dir| resolver.look.is_file(&dir.join("package.json")))
    else {
        resolver.needs.read(script, "the script");
        return Ok(());
    };
    let package = package.to_owned();
    resolver.add_tree(&package, "the script's package")?;
    for dir in neighbours(resolver, &package) {
        resolver.add_tree(&dir, "packages installed beside the script's")?;
    }
    Ok(())
}

/// The `node_modules` folders above a package in which Node.js would look on. A global one
/// (`lib/node_modules`) is left out: packages there carry what they depend on.
fn neighbours(resolver: &Resolver<'_>, package: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for dir in package
        .ancestors()
        .skip(1)
        .take_while(|dir| !resolver.too_wide(dir))
    {
        let modules = if dir.ends_with("node_modules") {
            dir.to_owned()
        } else {
            dir.join("node_modules")
        };
        let global = modules
            .parent()
            .is_some_and(|parent| parent.ends_with("lib"));
        // Never a link: it could lead anywhere.
        if !global
            && resolver.look.link(&modules).is_none()
            && resolver.look.is_dir(&modules)
            && !found.contains(&modules)
        {
            found.push(modules);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;

    #[test]
    fn the_script_is_found_among_options() {
        let at = |line: &str| script(&line.split(' ').map(str::to_owned).collect::<Vec<_>>());
        assert_eq!(at("server.js --x"), Some(0));
        assert_eq!(at("--no-warnings -r ./hook.js server.js"), Some(3));
        assert_eq!(at("-e 1 server.js"), None);
        assert_eq!(at("-- server.js"), Some(1));
        assert_eq!(at("--"), None);
    }

    #[test]
    fn a_package_is_the_nearest_package_json_with_the_modules_above_it() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().canonicalize().unwrap().join("home/me");
        let project = base.join("project");
        std::fs::create_dir_all(project.join("servers/a/src")).unwrap();
        std::fs::create_dir_all(project.join("node_modules/zod")).unwrap();
        std::fs::create_dir_all(base.join("node_modules")).unwrap();
        std::fs::write(project.join("servers/a/package.json"), "{}").unwrap();
        std::fs::write(project.join("servers/a/src/index.js"), "").unwrap();
        let mut settings = Settings::new(base.join("cache"));
        settings.home = Some(base.clone());
        let mut resolver = Resolver::new(&settings);
        add_package(&mut resolver, &project.join("servers/a/src/index.js")).unwrap();
        let (closure, _) = resolver.needs.finish();
        assert_eq!(
            closure.read,
            [project.join("node_modules"), project.join("servers/a")],
            "and never the home"
        );
    }

    #[test]
    fn l15_a_linked_module_does_not_widen_the_closure() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().canonicalize().unwrap();
        let package = base.join("work/package");
        std::fs::create_dir_all(package.join("node_modules")).unwrap();
        std::fs::create_dir_all(base.join("secret")).unwrap();
        std::os::unix::fs::symlink(base.join("secret"), package.join("node_modules/x")).unwrap();
        std::os::unix::fs::symlink(base.join("secret"), base.join("work/node_modules")).unwrap();
        std::fs::write(package.join("package.json"), "{}").unwrap();
        std::fs::write(package.join("index.js"), "").unwrap();
        let settings = Settings::new(base.join("cache"));
        let mut resolver = Resolver::new(&settings);
        add_package(&mut resolver, &package.join("index.js")).unwrap();
        assert_eq!(resolver.needs.finish().0.read, [package]);
    }
}
