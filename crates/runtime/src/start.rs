//! From a program file and its arguments to what has to be started, and what that needs.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::ask;
use crate::closure::Needs;
use crate::elf::Elf;
use crate::error::{RuntimeError, io};
use crate::families;
use crate::kept::{Changed, Kept, question};
use crate::libraries::Libraries;
use crate::look::Look;
use crate::lookup;
use crate::settings::Settings;
use crate::{node, python, tree};

/// What to start: a binary with its arguments. `#!` lines are taken apart here, so that nothing but
/// the binary itself has to be executable behind the wall.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Start {
    pub(crate) program: PathBuf,
    pub(crate) args: Vec<String>,
}

/// Collects the needs of one command.
pub(crate) struct Resolver<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) look: Look,
    pub(crate) libraries: Libraries,
    pub(crate) needs: Needs,
    /// The folder that holds the code, where it is known already (a prepared package).
    pub(crate) root: Option<PathBuf>,
}

impl<'a> Resolver<'a> {
    pub(crate) fn new(settings: &'a Settings) -> Self {
        Self {
            settings,
            look: Look::default(),
            libraries: Libraries::default(),
            needs: Needs::default(),
            root: None,
        }
    }

    /// Resolves a program file, whatever it is.
    pub(crate) fn start(
        &mut self,
        program: &Path,
        args: Vec<String>,
    ) -> Result<Start, RuntimeError> {
        self.at_depth(program, args, false)
    }

    fn at_depth(
        &mut self,
        program: &Path,
        args: Vec<String>,
        interprets: bool,
    ) -> Result<Start, RuntimeError> {
        let bad = |why: &str| RuntimeError::Program {
            path: program.to_owned(),
            why: why.to_owned(),
        };
        // Where other files decide what a name stands for, they are asked each time.
        if let Some(real) = families::behind(program, self.settings)? {
            return self.at_depth(&real, args, interprets);
        }
        let kept = Kept::new(&self.settings.cache, self.settings.keep);
        let asked = self.question(program, &args);
        if let Some((program, changed, needs)) =
            asked.as_deref().and_then(|asked| kept.recall(asked))
        {
            self.needs.add(needs);
            return Ok(Start {
                program,
                args: changed.apply(args),
            });
        }
        if let Some(elf) = Elf::read(program)? {
            let others = std::mem::take(&mut self.needs);
            self.look.take();
            self.look.meta(program);
            let start = self.binary(program, elf, args.clone())?;
            if let Some(asked) = asked {
                let changed = Changed::between(&args, &start.args);
                let found = (start.program.clone(), changed, self.needs.clone());
                kept.keep(asked, self.look.take(), found);
            }
            self.needs.add(others);
            return Ok(start);
        }
        let Some((interpreter, argument)) = lookup::interpreter_line(program)? else {
            return Err(bad(
                "it is neither an ELF program nor a script that begins with `#!` and its interpreter",
            ));
        };
        if let Some(real) = ask::behind_shim(program, self.settings)? {
            return self.at_depth(&real, args, true);
        }
        if program.parent().is_some_and(|dir| dir.ends_with("shims")) {
            return Err(bad(
                "it is a version manager's stand-in for another program; hint: name that program itself (such as `pyenv which NAME` tells it)",
            ));
        }
        // A plugin's script says what interprets it. A script of the host is not shown to it for that.
        if interprets {
            return Err(bad(
                "it is to interpret a script, but is itself a script and no program",
            ));
        }
        let (interpreter, mut words) = self.interpreter(program, &interpreter, argument)?;
        let script = program.canonicalize().map_err(io("resolve", program))?;
        let role = Role::of(&interpreter);
        if role == Role::Other {
            self.script_file(&script)?;
        }
        words.push(text(&script)?);
        words.extend(args);
        self.at_depth(&interpreter, words, true)
    }

    /// Everything besides the files themselves that decides on a closure.
    fn question(&self, program: &Path, args: &[String]) -> Option<String> {
        let settings = self.settings;
        // Of a plain program the arguments decide nothing.
        let args = if Role::of(program) == Role::Other {
            None
        } else {
            // Only their digest: arguments may hold what is nobody's to read.
            Some(hex::encode(Sha256::digest(serde_json::to_vec(args).ok()?)))
        };
        question(&(
            (program, args),
            (settings.base(), &settings.plugin_dir, &self.root),
            (&settings.home, &settings.search_path),
            (settings.network, &settings.terminal),
        ))
    }

    /// The interpreter of a script as a file, with the arguments that the `#!` line gives it.
    fn interpreter(
        &self,
        script: &Path,
        named: &str,
        argument: Option<String>,
    ) -> Result<(PathBuf, Vec<String>), RuntimeError> {
        let bad = |why: String| RuntimeError::Program {
            path: script.to_owned(),
            why,
        };
        if Path::new(named).file_name() != Some(OsStr::new("env")) {
            let path = Path::new(named);
            if !path.is_absolute() || !lookup::is_program(path) {
                return Err(bad(format!(
                    "its interpreter `{named}` does not exist, or this user may not run it"
                )));
            }
            return Ok((path.to_owned(), argument.into_iter().collect()));
        }
        let line = argument.unwrap_or_default();
        let line = line.strip_prefix("-S").unwrap_or(&line).trim_start();
        let mut words = line.split_whitespace().map(str::to_owned);
        let name = words.next().unwrap_or_default();
        if name.is_empty() || name.starts_with('-') || name.contains(['=', '/']) {
            return Err(bad(format!(
                "its first line asks `env` for more than a program: `{line}`"
            )));
        }
        Ok((lookup::program(&name, self.settings)?, words.collect()))
    }

    fn binary(
        &mut self,
        program: &Path,
        elf: Elf,
        args: Vec<String>,
    ) -> Result<Start, RuntimeError> {
        match Role::of(program) {
            Role::Python => return python::start(self, program, elf, args),
            Role::Node => return node::start(self, program, elf, args),
            Role::Other => {}
        }
        // The path as written may be a link; the real one is what has to exist.
        let real = self.look.real(program).map_err(io("resolve", program))?;
        self.add_program(&real, elf, "the program itself")?;
        if let Some(root) = self.own_root(&real)? {
            self.add_tree(&root, "the folder of the plugin")?;
        }
        // Programs such as busybox do what the name says under which they are started.
        let program = if real.file_name() == program.file_name() {
            real
        } else {
            self.needs
                .run(program, "the program, under the name that it is started by");
            program.to_owned()
        };
        Ok(Start { program, args })
    }

    /// Adds a program with its libraries and its helpers. `path` is free of links.
    pub(crate) fn add_program(
        &mut self,
        path: &Path,
        elf: Elf,
        why: &str,
    ) -> Result<(), RuntimeError> {
        self.libraries
            .add_program(&self.look, &mut self.needs, path, elf, why)?;
        families::add(self, path)
    }

    /// Adds one more program that a program starts by itself, under the name by which it looks for it. One
    /// that is not there is left out: starting it fails inside as it would outside.
    pub(crate) fn add_helper(&mut self, path: &Path, why: &str) -> Result<(), RuntimeError> {
        let Ok(real) = self.look.real(path) else {
            return Ok(());
        };
        if self.needs.has_run(path) || self.needs.has_run(&real) {
            self.needs.run(path, why);
            return Ok(());
        }
        let Some(elf) = self.look.elf(&real)? else {
            return Ok(());
        };
        self.needs.run(path, why);
        self.add_program(&real, elf, why)
    }

    /// A bare name along the search path, noted.
    pub(crate) fn search(&self, name: &str) -> Option<PathBuf> {
        for folder in &self.settings.search_path {
            self.look.meta(&folder.join(name));
        }
        lookup::bare(name.as_ref(), self.settings)
    }

    /// Adds a folder of code: readable, and where it holds native modules also runnable, together with
    /// the libraries that those need.
    pub(crate) fn add_tree(&mut self, root: &Path, why: &str) -> Result<(), RuntimeError> {
        let modules = tree::modules(&self.look, root)?;
        for module in &modules {
            self.add_module(module)?;
        }
        if modules.is_empty() {
            self.needs.read(root, why);
        } else {
            self.needs.run(root, format!("{why}, with native modules"));
        }
        Ok(())
    }

    /// Adds the libraries of a module.
    pub(crate) fn add_module(&mut self, module: &Path) -> Result<(), RuntimeError> {
        self.libraries
            .add_module(&self.look, &mut self.needs, module)
    }

    /// A script word of a command, as the absolute path without links of an existing file.
    pub(crate) fn script_word(&self, word: &str) -> Result<PathBuf, RuntimeError> {
        let path = self.settings.base().join(word);
        let real = self
            .look
            .real(&path)
            .map_err(io("find the script", &path))?;
        if let Some(dir) = &self.settings.plugin_dir
            && Path::new(word).is_relative()
            && !real.starts_with(self.look.real(dir).map_err(io("resolve", dir))?)
        {
            return Err(RuntimeError::Refused {
                command: word.to_owned(),
                why: format!("it leads out of the plugin's folder, to {}", real.display()),
                mend: "put the script itself into the folder, or name it by its absolute path"
                    .to_owned(),
            });
        }
        Ok(real)
    }

    /// The folder that is known to hold this code: a prepared package, or the plugin's own.
    pub(crate) fn own_root(&self, code: &Path) -> Result<Option<PathBuf>, RuntimeError> {
        for dir in [&self.root, &self.settings.plugin_dir]
            .into_iter()
            .flatten()
        {
            let real = self.look.real(dir).map_err(io("resolve", dir))?;
            if code.starts_with(&real) && !self.too_wide(&real) {
                return Ok(Some(real));
            }
        }
        Ok(None)
    }

    /// Is this a folder that never is one program's own: `/`, a top folder, a home or above?
    pub(crate) fn too_wide(&self, dir: &Path) -> bool {
        dir.components().count() <= 2
            || self
                .settings
                .home
                .as_deref()
                .is_some_and(|home| home.starts_with(dir))
    }

    fn script_file(&mut self, script: &Path) -> Result<(), RuntimeError> {
        match self.own_root(script)? {
            Some(root) => self.add_tree(&root, "the folder of the script"),
            None => {
                self.needs.read(script, "the script");
                Ok(())
            }
        }
    }
}

/// Programs whose arguments name more code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Node,
    Python,
    Other,
}

impl Role {
    fn of(program: &Path) -> Self {
        let real = program
            .canonicalize()
            .unwrap_or_else(|_| program.to_owned());
        let name = real
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        match name.as_str() {
            "node" | "nodejs" => Self::Node,
            name if python::version_in_name(name).is_some() => Self::Python,
            _ => Self::Other,
        }
    }
}

/// A path as an argument. Paths that are not UTF-8 are refused.
pub(crate) fn text(path: &Path) -> Result<String, RuntimeError> {
    path.to_str()
        .map(str::to_owned)
        .ok_or_else(|| RuntimeError::Program {
            path: path.to_owned(),
            why: "its path is not UTF-8".to_owned(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn l22_a_script_cannot_have_a_script_of_the_host_shown_to_it() {
        let dir = tempfile::tempdir().unwrap();
        let script = |name: &str, text: &str| {
            let path = dir.path().join(name);
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
            path
        };
        let secret = script("deploy", "#!/bin/sh\nTOKEN=canary\n");
        let server = script("server", &format!("#!{}\n", secret.display()));
        let settings = Settings::new(dir.path().join("cache"));
        let mut resolver = Resolver::new(&settings);
        assert!(resolver.start(&server, Vec::new()).is_err());
        let (closure, _) = resolver.needs.finish();
        assert!(
            !closure.read.contains(&secret) && !closure.run.contains(&secret),
            "{closure:?}"
        );
        assert!(
            Resolver::new(&settings).start(&secret, Vec::new()).is_ok(),
            "named by a person"
        );
    }

    #[test]
    fn a_stand_in_is_told_from_a_program() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("shims")).unwrap();
        let shim = dir.path().join("shims/server");
        std::fs::write(&shim, "#!/bin/sh\nexec manager server\n").unwrap();
        let settings = Settings::new("/x");
        let error = Resolver::new(&settings)
            .start(&shim, Vec::new())
            .unwrap_err();
        assert!(error.to_string().contains("pyenv which"), "{error}");
    }

    #[test]
    fn env_may_only_name_a_program() {
        let settings = Settings::new("/x");
        let resolver = Resolver::new(&settings);
        let with = |line: &str| {
            resolver.interpreter(Path::new("/s"), "/usr/bin/env", Some(line.to_owned()))
        };
        assert_eq!(with("-S sh -e -u").unwrap().1, ["-e", "-u"]);
        assert!(with("sh").unwrap().0.ends_with("sh"));
        for line in ["A=1 sh", "-i sh", "", "-S", "/bin/sh", "-u HOME sh"] {
            assert!(with(line).is_err(), "{line}");
        }
    }
}
