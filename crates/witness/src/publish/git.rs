//! Publishing to a git repository on this machine, by git's own plumbing.
//!
//! The repository may be somebody else's to configure. So nothing of its configuration that runs programs is heeded:
//! only plumbing is used, which knows no aliases, filters, signing or pagers, hooks are looked for where there are none,
//! and neither the system's nor the user's configuration nor the environment is read.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

use bailiwick_tlog::{Checkpoint, SignedNote};

use super::{PublishError, may_follow};

/// Another gate may publish to the same branch at the same time.
const TRIES: usize = 8;

pub(super) struct Repository {
    path: PathBuf,
    branch: String,
}

impl Repository {
    pub(super) fn new(path: &Path, branch: &str) -> Self {
        Self {
            path: path.to_owned(),
            branch: branch.to_owned(),
        }
    }

    /// Adds a commit in which `<id>/checkpoint` is this one, unless it is already.
    pub(super) fn publish(
        &self,
        id: &str,
        note: &SignedNote,
        checkpoint: &Checkpoint,
    ) -> Result<(), PublishError> {
        let reference = format!("refs/heads/{}", self.branch);
        self.run("check-ref-format", &["check-ref-format", &reference], b"")?;
        let file = format!("{id}/checkpoint");
        let mut outcome = Ok(());
        for _ in 0..TRIES {
            let head = self.head(&reference)?;
            if let Some(head) = &head
                && let Some(published) = self.show(head, &file)?
                && !may_follow(&published, &self.path.display(), note, checkpoint)?
            {
                return Ok(());
            }
            let commit = self.commit(head.as_deref(), &file, note, checkpoint)?;
            let before = head.as_deref().unwrap_or("");
            // Only if the branch is still where it was.
            let update = ["update-ref", &reference, &commit, before];
            outcome = self.run("update-ref", &update, b"").map(drop);
            if outcome.is_ok() {
                break;
            }
        }
        outcome
    }

    /// The commit that the branch is at, if there is one.
    fn head(&self, reference: &str) -> Result<Option<String>, PublishError> {
        let args = ["for-each-ref", "--format=%(objectname)", reference];
        let found = self.run("for-each-ref", &args, b"")?;
        Ok(Some(found).filter(|found| !found.is_empty()))
    }

    /// A file of a commit, if it has it.
    fn show(&self, commit: &str, file: &str) -> Result<Option<String>, PublishError> {
        let listed = self.run("ls-tree", &["ls-tree", commit, "--", file], b"")?;
        let Some(blob) = listed.split([' ', '\t']).nth(2) else {
            return Ok(None);
        };
        let bytes = self.output("cat-file", &["cat-file", "blob", blob], b"", &[])?;
        let text = String::from_utf8(bytes).unwrap_or_default();
        Ok(Some(text))
    }

    /// A commit on top of `head` in which the file is this note. Nothing points at it yet.
    fn commit(
        &self,
        head: Option<&str>,
        file: &str,
        note: &SignedNote,
        checkpoint: &Checkpoint,
    ) -> Result<String, PublishError> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("bailiwick-{}-{number}.index", std::process::id());
        // In the repository: nobody else puts a file there for git to read.
        let index = self.dir("commit-tree")?.join(name);
        let _ = std::fs::remove_file(&index);
        let with = [("GIT_INDEX_FILE", index.to_string_lossy().into_owned())];
        let built = self.tree(head, file, note, &with);
        let _ = std::fs::remove_file(&index);
        let tree = built?;
        let message = format!(
            "{} entries of {}\n\nroot {}\n",
            checkpoint.size, checkpoint.origin, checkpoint.root
        );
        let mut args = vec!["commit-tree", &tree];
        args.extend(head.iter().flat_map(|head| ["-p", head]));
        self.run("commit-tree", &args, message.as_bytes())
    }

    fn tree(
        &self,
        head: Option<&str>,
        file: &str,
        note: &SignedNote,
        with: &[(&str, String)],
    ) -> Result<String, PublishError> {
        let note = note.to_string();
        let hash = ["hash-object", "-w", "--no-filters", "--stdin"];
        let blob = self.run("hash-object", &hash, note.as_bytes())?;
        if let Some(head) = head {
            self.output("read-tree", &["read-tree", head], b"", with)?;
        }
        let entry = format!("100644,{blob},{file}");
        let add = ["update-index", "--add", "--cacheinfo", &entry];
        self.output("update-index", &add, b"", with)?;
        let tree = self.output("write-tree", &["write-tree"], b"", with)?;
        Ok(String::from_utf8_lossy(&tree).trim().to_owned())
    }

    /// The repository's own folder, bare or beside a work tree.
    fn dir(&self, doing: &'static str) -> Result<PathBuf, PublishError> {
        let found = [self.path.clone(), self.path.join(".git")];
        let found = found.into_iter().find(|dir| dir.join("HEAD").is_file());
        found.ok_or_else(|| PublishError::Git {
            doing,
            why: format!("`{}` is no git repository", self.path.display()),
        })
    }

    fn run(
        &self,
        doing: &'static str,
        args: &[&str],
        stdin: &[u8],
    ) -> Result<String, PublishError> {
        let output = self.output(doing, args, stdin, &[])?;
        Ok(String::from_utf8_lossy(&output).trim().to_owned())
    }

    fn output(
        &self,
        doing: &'static str,
        args: &[&str],
        stdin: &[u8],
        with: &[(&str, String)],
    ) -> Result<Vec<u8>, PublishError> {
        let dir = self.dir(doing)?;
        let failed = |source| PublishError::Io {
            doing: format!("cannot run git {doing}"),
            source,
        };
        let mut child = Command::new("git")
            .args([
                "-c",
                "core.hooksPath=/dev/null",
                "-c",
                "core.fsmonitor=false",
            ])
            .args([
                "-c",
                "gc.auto=0",
                "-c",
                "core.pager=cat",
                "--no-replace-objects",
            ])
            .args(args)
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .env("GIT_DIR", &dir)
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_ATTR_NOSYSTEM", "1")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("LC_ALL", "C")
            .envs(["AUTHOR", "COMMITTER"].map(|who| (format!("GIT_{who}_NAME"), "Bailiwick")))
            .envs(
                ["AUTHOR", "COMMITTER"]
                    .map(|who| (format!("GIT_{who}_EMAIL"), "bailiwick@localhost")),
            )
            .envs(with.iter().map(|(name, value)| (*name, value.as_str())))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        if let Some(mut pipe) = child.stdin.take() {
            // What is written is small, and git may have ended for a reason that it says.
            let _ = pipe.write_all(stdin);
        }
        let output = child.wait_with_output().map_err(failed)?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let said = said.trim().chars().take(300);
        Err(PublishError::Git {
            doing,
            why: said.flat_map(char::escape_debug).collect(),
        })
    }
}
