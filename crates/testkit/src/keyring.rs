//! A session bus and a real Secret Service (gnome-keyring) of a test's own, without a desktop.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A bus with a keyring on it; both end with it.
#[derive(Debug)]
pub struct Keyring {
    bus: Child,
    daemon: Option<Child>,
    address: String,
}

impl Keyring {
    /// Starts both. The keyring's files lie in `dir` and are opened with `password`; without one, what was there stays
    /// locked.
    #[must_use]
    pub fn start(dir: &Path, password: Option<&str>) -> Self {
        let mut keyring = Self::bus(dir, Command::new("dbus-daemon"));
        let mut command = Command::new("gnome-keyring-daemon");
        command.args(["--foreground", "--components=secrets"]);
        if password.is_some() {
            command.arg("--unlock");
        }
        command
            .env("DBUS_SESSION_BUS_ADDRESS", &keyring.address)
            .envs(["HOME", "XDG_DATA_HOME", "XDG_RUNTIME_DIR"].map(|name| (name, dir)))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut daemon = start(command);
        let mut stdin = daemon.stdin.take().expect("its input is piped");
        stdin
            .write_all(password.unwrap_or_default().as_bytes())
            .expect("it takes its password");
        keyring.daemon = Some(daemon);
        keyring
    }

    /// A bus alone, served by `daemon`, which is `dbus-daemon` as whoever should serve it.
    #[must_use]
    pub fn bus(dir: &Path, mut daemon: Command) -> Self {
        // No services to start: what answers is what the test started.
        let config = dir.join("bus.conf");
        std::fs::write(&config, CONFIG).expect("the bus's configuration can be written");
        let address = format!("unix:path={}", dir.join("bus").display());
        daemon
            .args(["--nofork", "--print-address=1"])
            .arg(format!("--config-file={}", config.display()))
            .arg(format!("--address={address}"))
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut bus = start(daemon);
        let mut line = String::new();
        let stdout = bus.stdout.take().expect("its output is piped");
        BufReader::new(stdout)
            .read_line(&mut line)
            .expect("the bus says where it is");
        assert!(line.starts_with("unix:"), "dbus-daemon does not start");
        Self {
            bus,
            daemon: None,
            address: line.trim_end().to_owned(),
        }
    }

    /// As in `DBUS_SESSION_BUS_ADDRESS`.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }
}

impl Drop for Keyring {
    fn drop(&mut self) {
        for child in self.daemon.iter_mut().chain(std::iter::once(&mut self.bus)) {
            // Whatever ended by itself is gone already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn start(mut command: Command) -> Child {
    command
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}; run `cargo xtask setup`"))
}

const CONFIG: &str = r#"<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:tmpdir=/tmp</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
    <allow user="*"/>
  </policy>
</busconfig>
"#;
