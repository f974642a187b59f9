//! One small world for each run: secrets, what is granted, and the gate's own state; all of the attacker's user, so
//! that nothing but the wall stands in the way.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::Read as _;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Outcome;
use crate::tools::Tools;

/// The ordinary user where the runner is root.
pub(crate) const NOBODY: u32 = 65534;

/// Who attacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum User {
    Root,
    Ordinary,
}

/// Does the runner itself belong to root?
pub(crate) fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    fs::metadata("/proc/self").is_ok_and(|meta| meta.uid() == 0)
}

/// The words that make a command run as `user`.
pub(crate) fn as_user(user: User) -> Vec<String> {
    if user == User::Root || !is_root() {
        return Vec::new();
    }
    let id = NOBODY.to_string();
    [
        "setpriv",
        "--reuid",
        &id,
        "--regid",
        &id,
        "--clear-groups",
        "--",
    ]
    .map(str::to_owned)
    .into()
}

#[derive(Debug)]
pub(crate) struct World<'t> {
    folder: tempfile::TempDir,
    pub(crate) tools: &'t Tools,
    pub(crate) user: User,
    /// What attacks may know.
    pub(crate) mark: String,
    /// What they must not bring out.
    pub(crate) secret: String,
    /// What `{name}` stands for.
    pub(crate) facts: BTreeMap<String, String>,
}

/// Unpredictable, and easily found in any output.
fn random(prefix: &str) -> Outcome<String> {
    let mut bytes = [0u8; 12];
    fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    let mut text = prefix.to_owned();
    for byte in bytes {
        write!(text, "{byte:02x}")?;
    }
    Ok(text)
}

const POLICY: &str = "@id(\"closed\") @reason(\"Salaries are closed.\")
forbid (principal, action, resource) when { resource in Dir::\"@/read/hr\" };
@id(\"trusted\") @reason(\"The suite may grant what is asked.\")
permit (principal, action, resource);
";

impl<'t> World<'t> {
    pub(crate) fn new(tools: &'t Tools, user: User) -> Outcome<Self> {
        let folder = tempfile::Builder::new()
            .prefix("escape-")
            .permissions(fs::Permissions::from_mode(0o755))
            .tempdir_in("/var/tmp")?;
        let (mark, secret) = (random("mk")?, random("secret-")?);
        let facts = BTreeMap::from([
            ("mark".to_owned(), mark.clone()),
            ("secret".to_owned(), secret.clone()),
        ]);
        let mut world = Self {
            folder,
            tools,
            user,
            mark,
            secret,
            facts,
        };
        let left = i64::from_str_radix(&world.left_key(), 16)?;
        world.facts.insert("key-hex".to_owned(), world.left_key());
        world.facts.insert("key-left".to_owned(), left.to_string());
        world.furnish()?;
        Ok(world)
    }

    pub(crate) fn root(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn path(&self, rest: &str) -> PathBuf {
        self.root().join(rest)
    }

    /// The number of the attacker's user.
    pub(crate) fn uid(&self) -> Option<u32> {
        use std::os::unix::fs::MetadataExt as _;
        fs::metadata(self.path("write")).ok().map(|meta| meta.uid())
    }

    /// A file of the machine's shared scratch space.
    fn in_tmp(&self) -> PathBuf {
        PathBuf::from(format!("/tmp/escape-{}", self.mark))
    }

    fn furnish(&self) -> Outcome {
        for folder in [
            "secret",
            "read",
            "read/hr",
            "write",
            "other",
            "home",
            "home/.ssh",
            "state",
            "conf",
            "conf/policies",
        ] {
            fs::create_dir(self.path(folder))?;
        }
        fs::set_permissions(self.path("state"), fs::Permissions::from_mode(0o700))?;
        let secret = &self.secret;
        for file in [
            "secret/key",
            "read/hr/salary",
            "home/.ssh/id",
            "state/planted",
        ] {
            fs::write(self.path(file), format!("{secret}\n"))?;
        }
        fs::write(self.in_tmp(), format!("{secret}\n"))?;
        fs::write(self.path("other").join(secret), "")?;
        fs::write(self.path("read/data"), "granted\n")?;
        fs::write(self.path("home/notes"), "granted\n")?;
        fs::write(self.path("other/input"), "granted\n")?;
        symlink("../secret/key", self.path("read/link"))?;
        symlink("hr/salary", self.path("read/to-hr"))?;
        fs::copy(self.tools.path("probe"), self.path("probe"))?;
        fs::copy(self.tools.path("probe"), self.path("read/tool"))?;
        fs::copy(self.tools.path("dynamic"), self.path("dynamic"))?;
        fs::copy(self.tools.path("dynamic"), self.path("read/tool-dynamic"))?;
        fs::copy(self.tools.path("preload.so"), self.path("write/preload.so"))?;
        let policy = POLICY.replace('@', &self.root().display().to_string());
        // Its own annotations have the sign as well.
        let policy = policy.replace(&format!("{}id(", self.root().display()), "@id(");
        let policy = policy.replace(&format!("{}reason(", self.root().display()), "@reason(");
        fs::write(self.path("conf/policies/suite.cedar"), policy)?;
        fs::write(
            self.path("conf/bailiwick.yaml"),
            format!(
                "policies: [policies]\nusers:\n{}",
                self.tools.role(self.user)
            ),
        )?;
        self.give_away(self.root())?;
        give(&self.in_tmp(), self.user)?;
        self.plant_set_id()
    }

    /// Everything to the attacker's user.
    fn give_away(&self, folder: &Path) -> Outcome {
        give(folder, self.user)?;
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() && !path.is_symlink() {
                self.give_away(&path)?;
            } else if !path.is_symlink() {
                give(&path, self.user)?;
            }
        }
        Ok(())
    }

    /// A program that makes whoever runs it root, and what only root may read.
    fn plant_set_id(&self) -> Outcome {
        if !is_root() {
            return Ok(());
        }
        fs::create_dir(self.path("set-id"))?;
        let (tool, key) = (self.path("set-id/tool"), self.path("set-id/key"));
        fs::copy(self.tools.path("probe"), &tool)?;
        fs::set_permissions(&tool, fs::Permissions::from_mode(0o4755))?;
        fs::write(&key, &self.secret)?;
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600))?;
        Ok(())
    }

    /// `@` and `{…}` replaced.
    pub(crate) fn fill(&self, text: &str) -> String {
        let mut filled = text.replace('@', &self.root().display().to_string());
        for (name, value) in &self.facts {
            filled = filled.replace(&format!("{{{name}}}"), value);
        }
        filled
    }

    /// What attacks call a piece of shared memory that they leave.
    pub(crate) fn left_key(&self) -> String {
        self.mark.get(2..9).unwrap_or("1").to_owned()
    }

    /// Without what differs from run to run.
    pub(crate) fn plain(&self, text: &str) -> String {
        text.replace(&self.root().display().to_string(), "@")
            .replace(&self.mark, "MARK")
            .replace(&self.secret, "SECRET")
    }

    /// Runs something as the attacker's user, from outside of every wall.
    pub(crate) fn ask(&self, words: &[&str]) -> Outcome<String> {
        let mut command = as_user(self.user);
        command.extend(words.iter().map(|word| (*word).to_owned()));
        let (program, args) = command.split_first().ok_or("no command")?;
        let output = Command::new(program).args(args).output()?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Runs the helper, as the runner's user.
    pub(crate) fn help(&self, words: &[&str]) -> Outcome<String> {
        let output = Command::new(self.tools.path("helper"))
            .args(words)
            .output()?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Takes away what attacks left mounted in here, so that the folder can go.
    fn unmount(&self) {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let root = self.root().display().to_string();
        let ours = mounts
            .lines()
            .filter_map(|line| line.split(' ').nth(4))
            .filter(|at| at.starts_with(&root));
        for at in ours {
            let _ = self.help(&["unmount", at]);
        }
    }
}

impl Drop for World<'_> {
    fn drop(&mut self) {
        self.unmount();
        let _ = fs::remove_file(self.in_tmp());
        let _ = fs::remove_file(format!("/dev/shm/left-{}", self.mark));
    }
}

fn give(path: &Path, user: User) -> Outcome {
    if is_root() && user == User::Ordinary {
        chown(path, Some(NOBODY), Some(NOBODY))?;
    }
    Ok(())
}
