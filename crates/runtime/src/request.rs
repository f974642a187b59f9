//! Which words of `npx …`, `uvx …`, `pipx run …` name the package, and which belong to its program.
//!
//! Strict: an option that is not known here is refused, because such options decide what runs.

use crate::error::RuntimeError;
use crate::spec::{NpmSpec, PypiSpec};

/// A command line that runs a package from a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Request {
    Npm(Asked<NpmSpec>),
    Pypi(Asked<PypiSpec>),
}

/// What was asked of a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asked<S> {
    /// The package that holds the program.
    pub(crate) package: S,
    /// More packages to install beside it.
    pub(crate) with: Vec<S>,
    /// The program, where it is not the package's own name.
    pub(crate) command: Option<String>,
    /// The program's arguments.
    pub(crate) args: Vec<String>,
}

impl Request {
    /// Recognises a launcher by its file name, wherever it lies; `None` for other programs.
    ///
    /// # Errors
    /// When a launcher's words are not understood in full.
    pub(crate) fn parse(command: &[String]) -> Result<Option<Self>, RuntimeError> {
        let Some((program, rest)) = command.split_first() else {
            return Err(RuntimeError::Empty);
        };
        let name = program.rsplit('/').next().unwrap_or_default();
        let second = rest.first().map(String::as_str);
        let after = |count: usize| rest.get(count..).unwrap_or_default();
        Ok(Some(match (name, second) {
            ("npx", _) => npx(rest)?,
            ("npm", Some("exec" | "x")) => npx(after(1))?,
            ("uvx", _) => uvx(rest)?,
            ("uv", Some("tool")) if rest.get(1).is_some_and(|word| word == "run") => uvx(after(2))?,
            ("pipx", Some("run")) => pipx(after(1))?,
            ("npm" | "uv" | "pipx", other) => {
                let words = format!("{name} {}", other.unwrap_or_default());
                return Err(refused(
                    words.trim(),
                    "it prepares and runs code in ways that cannot be pinned",
                    "start the program itself, such as `node server.js` or `.venv/bin/python -m server`",
                ));
            }
            ("bunx" | "bun" | "pnpm" | "pnpx" | "yarn" | "deno", _) => {
                return Err(refused(
                    name,
                    "this launcher is not supported",
                    "use `npx -y PACKAGE`, or `node` with the script",
                ));
            }
            _ => return Ok(None),
        }))
    }
}

fn npx(words: &[String]) -> Result<Request, RuntimeError> {
    let (mut packages, mut at) = (Vec::new(), 0);
    while let Some(word) = words.get(at) {
        at += 1;
        match word.as_str() {
            "-y" | "--yes" | "-q" | "--quiet" | "--silent" => {}
            "-p" | "--package" => {
                packages.push(NpmSpec::parse(value(words, at, word)?)?);
                at += 1;
            }
            "--" => break,
            "-c" | "--call" => {
                return Err(refused(
                    word,
                    "it hands a line to a shell",
                    "name the package and its arguments: `npx -y PACKAGE ARGS…`",
                ));
            }
            option if option.starts_with("--package=") => {
                packages.push(NpmSpec::parse(after_equals(option))?)
            }
            option if option.starts_with('-') => return Err(unknown("npx", option)),
            _ => {
                at -= 1;
                break;
            }
        }
    }
    let Some(first) = words.get(at) else {
        return Err(no_package("npx", "npx -y PACKAGE ARGS…"));
    };
    let args = words.get(at + 1..).unwrap_or_default().to_vec();
    if packages.is_empty() {
        return Ok(Request::Npm(Asked {
            package: NpmSpec::parse(first)?,
            with: Vec::new(),
            command: None,
            args,
        }));
    }
    let package = packages.remove(0);
    Ok(Request::Npm(Asked {
        package,
        with: packages,
        command: Some(program_name(first)?),
        args,
    }))
}

fn uvx(words: &[String]) -> Result<Request, RuntimeError> {
    let (mut from, mut with, mut at) = (None, Vec::new(), 0);
    while let Some(word) = words.get(at) {
        at += 1;
        match word.as_str() {
            "-q" | "--quiet" | "--isolated" | "--no-progress" => {}
            "--from" => {
                from = Some(PypiSpec::parse(value(words, at, word)?)?);
                at += 1;
            }
            "--with" | "-w" => {
                with.push(PypiSpec::parse(value(words, at, word)?)?);
                at += 1;
            }
            option if option.starts_with("--from=") => {
                from = Some(PypiSpec::parse(after_equals(option))?)
            }
            option if option.starts_with("--with=") => {
                with.push(PypiSpec::parse(after_equals(option))?)
            }
            "--" => break,
            option if option.starts_with('-') => return Err(unknown("uvx", option)),
            _ => {
                at -= 1;
                break;
            }
        }
    }
    let Some(first) = words.get(at) else {
        return Err(no_package("uvx", "uvx PACKAGE ARGS…"));
    };
    let args = words.get(at + 1..).unwrap_or_default().to_vec();
    Ok(Request::Pypi(match from {
        Some(package) => Asked {
            package,
            with,
            command: Some(program_name(first)?),
            args,
        },
        None => Asked {
            package: PypiSpec::parse(first)?,
            with,
            command: None,
            args,
        },
    }))
}

fn pipx(words: &[String]) -> Result<Request, RuntimeError> {
    let (mut from, mut at) = (None, 0);
    while let Some(word) = words.get(at) {
        at += 1;
        match word.as_str() {
            "-q" | "--quiet" => {}
            "--spec" => {
                from = Some(PypiSpec::parse(value(words, at, word)?)?);
                at += 1;
            }
            option if option.starts_with("--spec=") => {
                from = Some(PypiSpec::parse(after_equals(option))?)
            }
            "--" => break,
            option if option.starts_with('-') => return Err(unknown("pipx run", option)),
            _ => {
                at -= 1;
                break;
            }
        }
    }
    let Some(first) = words.get(at) else {
        return Err(no_package("pipx run", "pipx run PACKAGE ARGS…"));
    };
    let args = words.get(at + 1..).unwrap_or_default().to_vec();
    Ok(Request::Pypi(match from {
        Some(package) => Asked {
            package,
            with: Vec::new(),
            command: Some(program_name(first)?),
            args,
        },
        None => Asked {
            package: PypiSpec::parse(first)?,
            with: Vec::new(),
            command: None,
            args,
        },
    }))
}

fn value<'w>(words: &'w [String], at: usize, option: &str) -> Result<&'w str, RuntimeError> {
    words
        .get(at)
        .map(String::as_str)
        .ok_or_else(|| refused(option, "it lacks its value", "write the package after it"))
}

fn after_equals(option: &str) -> &str {
    option.split_once('=').map_or("", |(_, value)| value)
}

/// A program's name as packages may have it: a plain file name.
fn program_name(word: &str) -> Result<String, RuntimeError> {
    let plain = word
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    if plain && !word.starts_with(['.', '-']) && !word.is_empty() && word.len() <= 214 {
        return Ok(word.to_owned());
    }
    Err(refused(
        word,
        "it is not the name of a program",
        "write the name of one of the package's programs",
    ))
}

fn refused(command: &str, why: &str, mend: &str) -> RuntimeError {
    RuntimeError::Refused {
        command: command.to_owned(),
        why: why.to_owned(),
        mend: mend.to_owned(),
    }
}

fn unknown(launcher: &str, option: &str) -> RuntimeError {
    refused(
        option,
        &format!("this option of {launcher} is not known here, and options decide what runs"),
        "leave it out; the package's own options come after the package",
    )
}

fn no_package(launcher: &str, usage: &str) -> RuntimeError {
    refused(launcher, "it names no package", &format!("write `{usage}`"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(line: &str) -> Result<Option<Request>, RuntimeError> {
        Request::parse(&line.split(' ').map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn usual_lines_are_understood() {
        let Some(Request::Npm(asked)) =
            parse("npx -y @scope/server-x@1.2.3 /data --flag -c").unwrap()
        else {
            panic!()
        };
        assert_eq!(
            (asked.package.to_string().as_str(), asked.args.len()),
            ("@scope/server-x@1.2.3", 3)
        );
        let Some(Request::Npm(asked)) = parse("/usr/bin/npx --package=typescript tsc -v").unwrap()
        else {
            panic!()
        };
        assert_eq!(
            (asked.package.to_string().as_str(), asked.command.as_deref()),
            ("typescript", Some("tsc"))
        );
        let Some(Request::Pypi(asked)) = parse("uvx --from mcp[cli]>=1,<2 mcp run").unwrap() else {
            panic!()
        };
        assert_eq!(
            (asked.command.as_deref(), asked.args.len()),
            (Some("mcp"), 1)
        );
        let Some(Request::Pypi(asked)) =
            parse("uv tool run mcp-server-git@latest --repository /r").unwrap()
        else {
            panic!()
        };
        assert_eq!(asked.package.to_string(), "mcp-server-git");
        assert!(matches!(
            parse("pipx run mcp-server-time==1.0"),
            Ok(Some(Request::Pypi(_)))
        ));
        assert!(matches!(
            parse("npm exec -- some-server x"),
            Ok(Some(Request::Npm(_)))
        ));
        assert_eq!(parse("node npx -c").unwrap(), None);
    }

    #[test]
    fn l30_options_that_change_what_runs_are_refused() {
        for line in [
            "npx -c id",
            "npx --call id",
            "npx --call=id",
            "npx -y -c id",
            "npx -yc id",
            "npx --prefix /x p",
            "npx --registry=r p",
            "/opt/bin/npx -c id",
            "npm exec -c id",
            "npm exec --call id",
            "npm run x",
            "npm start",
            "npm",
            "npx",
            "npx --",
            "npx -p p",
            "npx --script-shell=/x p",
            "npx --node-options=x p",
            "npx --node-arg=-e p",
            "npx --shell x p",
            "npx -n x p",
            "npx --ignore-scripts=false p",
            "uvx --python /x p",
            "uvx --index-url u p",
            "uvx --with-editable . p",
            "uvx --env-file f p",
            "uvx --directory d p",
            "uv run x",
            "uv tool install x",
            "uv",
            "uvx",
            "pipx install x",
            "pipx run --python x p",
            "pipx run --pip-args=x p",
            "bunx p",
            "pnpm dlx p",
            "yarn dlx p",
        ] {
            assert!(
                matches!(parse(line), Err(RuntimeError::Refused { .. })),
                "{line}: {:?}",
                parse(line)
            );
        }
    }

    #[test]
    fn l30_only_registry_packages_can_be_named() {
        for word in [
            "./local",
            "../x",
            "/abs",
            "file:x",
            "git+ssh://host/x",
            "github:user/repo",
            "user/repo",
            "https://host/x.tgz",
            "x@npm:other",
            "x@file:y",
            "x@git+ssh://h/y",
            "x@https://h/y.tgz",
            "x;id",
            "$(id)",
            "x y",
            "",
            "-x@1",
            "@scope",
            "@/x",
            "x@",
            "X@1;2",
            "x@$(id)",
            "x@user/repo",
            "x@../y",
        ] {
            let command = [
                "npx".to_owned(),
                "-p".to_owned(),
                word.to_owned(),
                "bin".to_owned(),
            ];
            assert!(Request::parse(&command).is_err(), "npx {word}");
        }
        for word in [
            "./local",
            "/abs",
            "git+https://host/x",
            "x @ https://h/y.whl",
            "https://h/y.whl",
            "x;id",
            "x==1;python_version>'3'",
            "-r",
            "x[",
            "x]",
            "x==",
            "x@../y",
            "",
        ] {
            let command = [
                "uvx".to_owned(),
                "--from".to_owned(),
                word.to_owned(),
                "bin".to_owned(),
            ];
            assert!(Request::parse(&command).is_err(), "uvx {word}");
        }
        for bin in ["../x", "/bin/sh", "", ".", "a b", "-c"] {
            let command = [
                "npx".to_owned(),
                "-p".to_owned(),
                "x".to_owned(),
                bin.to_owned(),
            ];
            assert!(Request::parse(&command).is_err(), "bin {bin}");
        }
    }

    proptest! {
        #[test]
        fn l30_words_after_the_package_never_change_what_is_installed(args in proptest::collection::vec("\\PC{0,12}", 0..5)) {
            let mut command = vec!["npx".to_owned(), "-y".to_owned(), "server@1.0.0".to_owned()];
            command.extend(args.iter().cloned());
            let Some(Request::Npm(asked)) = Request::parse(&command).unwrap() else { panic!() };
            prop_assert_eq!(asked.package.to_string(), "server@1.0.0");
            prop_assert_eq!(asked.args, args);
            prop_assert!(asked.with.is_empty() && asked.command.is_none());
        }
    }
}
