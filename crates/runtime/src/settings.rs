//! Where things are: the cache, the search path, and what preparation may take from the machine.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::runner::{Runner, Unconfined};

/// The variables that preparation tools (npm, pip) may see: where the machine's registry is and how
/// to reach it. Everything else stays out, credentials of other systems above all.
const TOOL_VARIABLES: &[&str] = &[
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "https_proxy",
    "http_proxy",
    "all_proxy",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "NODE_EXTRA_CA_CERTS",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "NPM_CONFIG_REGISTRY",
    "npm_config_registry",
    "NPM_CONFIG_CAFILE",
    "npm_config_cafile",
    "NPM_CONFIG_USERCONFIG",
    "npm_config_userconfig",
    "NPM_CONFIG_GLOBALCONFIG",
    "npm_config_globalconfig",
    "PIP_INDEX_URL",
    "PIP_EXTRA_INDEX_URL",
    "PIP_FIND_LINKS",
    "PIP_NO_INDEX",
    "PIP_CERT",
    "PIP_CLIENT_CERT",
    "PIP_PROXY",
    "PIP_TRUSTED_HOST",
    "PIP_CONFIG_FILE",
    "PIP_DEFAULT_TIMEOUT",
    "XDG_CONFIG_HOME",
];

/// Called with one line for people whenever preparation begins something long.
pub type Progress = Arc<dyn Fn(&str) + Send + Sync>;

/// What [`resolve`](crate::resolve) may use of the machine.
#[derive(Clone)]
pub struct Settings {
    /// Folder for prepared packages; made with mode 0700 when absent, refused when another user's.
    pub cache: PathBuf,
    /// The plugin's own folder, when it has one: relative programs and scripts are looked up there.
    pub plugin_dir: Option<PathBuf>,
    /// Where relative paths start when there is no plugin folder.
    pub cwd: PathBuf,
    /// Folders in which bare program names are looked up, in order.
    pub search_path: Vec<PathBuf>,
    /// The person's home, only for the configuration of npm and pip; plugins never see it.
    pub home: Option<PathBuf>,
    /// The environment of npm and pip (not of the plugin). See [`Settings::from_process`].
    pub tool_env: Vec<(OsString, OsString)>,
    /// Never touch the network: what is not prepared already is an error.
    pub offline: bool,
    /// Wall-clock bound on one preparation step.
    pub timeout: Duration,
    /// May found closures be kept in the cache? They are read from it in any case.
    pub keep: bool,
    /// Is the network granted? Programs then also get what only serves it.
    pub network: bool,
    /// The name of the terminal (`TERM`) where the program has one; programs that draw then get its description.
    pub terminal: Option<String>,
    /// Runs npm and pip.
    pub runner: Arc<dyn Runner>,
    /// Told about long work.
    pub progress: Progress,
}

impl fmt::Debug for Settings {
    // The tools' environment may hold a registry credential: names only.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("cache", &self.cache)
            .field("plugin_dir", &self.plugin_dir)
            .field("cwd", &self.cwd)
            .field("search_path", &self.search_path)
            .field("offline", &self.offline)
            .finish_non_exhaustive()
    }
}

impl Settings {
    /// Settings with nothing taken from this process: the usual system folders, no home.
    #[must_use]
    pub fn new(cache: impl Into<PathBuf>) -> Self {
        Self {
            cache: cache.into(),
            plugin_dir: None,
            cwd: PathBuf::from("/"),
            search_path: SYSTEM_PATH.iter().map(PathBuf::from).collect(),
            home: None,
            tool_env: Vec::new(),
            offline: false,
            timeout: Duration::from_secs(300),
            runner: Arc::new(Unconfined),
            keep: true,
            network: false,
            terminal: None,
            progress: Arc::new(|_| {}),
        }
    }

    /// Settings for this process: its working directory, search path and home, and of its
    /// environment only what tells npm and pip where the machine's registries are.
    #[must_use]
    pub fn from_process(cache: impl Into<PathBuf>) -> Self {
        let mut settings = Self::new(cache);
        settings.cwd = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
        if let Some(path) = std::env::var_os("PATH") {
            settings.search_path = std::env::split_paths(&path)
                .filter(|dir| dir.is_absolute())
                .collect();
        }
        settings.home = std::env::var_os("HOME")
            .map(PathBuf::from)
            .filter(|home| home.is_absolute());
        settings.tool_env = std::env::vars_os()
            .filter(|(name, _)| is_tool_variable(name))
            .collect();
        settings
    }

    /// Where relative words of a command start.
    #[must_use]
    pub fn base(&self) -> &Path {
        self.plugin_dir.as_deref().unwrap_or(&self.cwd)
    }
}

const SYSTEM_PATH: &[&str] = &["/usr/local/bin", "/usr/bin", "/bin"];

fn is_tool_variable(name: &OsStr) -> bool {
    // npm reads a registry's credential by a variable that carries the registry in its name.
    TOOL_VARIABLES.iter().any(|known| name == *known)
        || name.to_str().is_some_and(|name| {
            name.starts_with("npm_config_//") || name.starts_with("NPM_CONFIG_//")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn l20_only_registry_settings_reach_the_preparation_tools() {
        for name in [
            "AWS_SECRET_ACCESS_KEY",
            "GITHUB_TOKEN",
            "NODE_OPTIONS",
            "PYTHONPATH",
            "npm_config_ignore_scripts",
            "npm_config_script_shell",
            "npm_config_git",
            "PIP_NO_BINARY",
            "PIP_TARGET",
            "LD_PRELOAD",
        ] {
            assert!(!is_tool_variable(OsStr::new(name)), "{name}");
        }
        assert!(is_tool_variable(OsStr::new("PIP_CERT")));
    }

    #[test]
    fn l35_debug_does_not_print_the_tools_environment() {
        let mut settings = Settings::new("/c");
        settings
            .tool_env
            .push(("PIP_INDEX_URL".into(), "canary-credential".into()));
        assert!(!format!("{settings:?}").contains("canary"));
    }
}
