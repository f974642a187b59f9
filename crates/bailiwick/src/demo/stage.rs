//! The demonstration's stage: files, a key to steal, a server to talk to, and three plugins.

use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

const NOTEBOOK: &str = include_str!("../../../../examples/demo/notebook.wat");
const COURIER: &str = include_str!("../../../../examples/demo/courier.wat");
/// What nobody but the person should ever read.
pub(super) const KEY: &str = "DEMO-PRIVATE-KEY-b5bb9d8014a0f9b1";

/// A temporary folder with everything in it; removed at the end.
pub(super) struct Stage {
    root: PathBuf,
    /// What the server was asked.
    pub(super) requests: Requests,
    /// Where the server listens.
    pub(super) port: u16,
}

/// The first lines of requests to the server.
#[derive(Clone, Default)]
pub(super) struct Requests(Arc<Mutex<Vec<String>>>);

impl Requests {
    pub(super) fn saw(&self, text: &str) -> bool {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .any(|line| line.contains(text))
    }

    pub(super) fn forget(&self) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }
}

impl Stage {
    pub(super) async fn build() -> anyhow::Result<Self> {
        let id = bailiwick_gate::host::session_id()?;
        let name = format!("bailiwick-demo-{}", id.get(..6).unwrap_or(&id));
        let root = std::env::temp_dir().join(name);
        let mut folder = std::fs::DirBuilder::new();
        folder
            .mode(0o700)
            .create(&root)
            .with_context(|| format!("cannot make `{}`", root.display()))?;
        let root = root.canonicalize()?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let requests = Requests::default();
        tokio::spawn(answer_all(listener, requests.clone()));
        let stage = Self {
            root,
            requests,
            port,
        };
        stage.furnish()?;
        Ok(stage)
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// A path as text; the stage's own name is plain ASCII, its parent is the system's.
    pub(super) fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    fn furnish(&self) -> anyhow::Result<()> {
        let write = |name: &str, text: &[u8]| -> anyhow::Result<()> {
            let path = self.path(name);
            std::fs::create_dir_all(path.parent().unwrap_or(&self.root))?;
            std::fs::write(&path, text)
                .with_context(|| format!("cannot write `{}`", path.display()))
        };
        write(
            "docs/minutes.txt",
            b"The release is on Friday. Bring cake.\n",
        )?;
        write("keys/id_ed25519", KEY.as_bytes())?;
        write("home/profile", b"# what the shell runs at login\n")?;
        write("policies/demo.cedar", self.policy().as_bytes())?;
        write("plugins/notebook/plugin.wasm", &wat::parse_str(NOTEBOOK)?)?;
        write("plugins/notebook/plugin.yaml", self.notebook().as_bytes())?;
        write("plugins/courier/plugin.wasm", &wat::parse_str(COURIER)?)?;
        write("plugins/courier/plugin.yaml", self.courier().as_bytes())?;
        write("plugins/scribe/plugin.yaml", self.scribe()?.as_bytes())
    }

    fn policy(&self) -> String {
        let (docs, port) = (self.text("docs"), self.port);
        format!(
            r#"@id("docs-are-readable")
@reason("The documents are there to be read.")
permit (principal, action == Action::"read_files", resource in Dir::"{docs}");

@id("public-part-only")
@reason("Only the public part of our server, and only reading.")
permit (principal in Plugin::"courier", action == Action::"network_access", resource)
when {{ resource in Url::"http://127.0.0.1:{port}/public/" && resource.method == Method::"GET" }};
"#
        )
    }

    fn notebook(&self) -> String {
        let docs = self.text("docs");
        format!(
            "id: notebook\nversion: 1.0.0\nname: Notebook\nrequired_capabilities:\n  - read_files: {docs}/\n\
             optional_capabilities:\n  - read_environment: LANG\nruntime:\n  component: plugin.wasm\n"
        )
    }

    fn courier(&self) -> String {
        let port = self.port;
        format!(
            "id: courier\nversion: 1.0.0\nname: Courier\nrequired_capabilities:\n  \
             - network_access: http://127.0.0.1:{port}\nruntime:\n  component: plugin.wasm\n"
        )
    }

    fn scribe(&self) -> anyhow::Result<String> {
        let program = self.program()?;
        let (docs, home, port) = (self.text("docs"), self.text("home"), self.port);
        Ok(format!(
            "id: scribe\nversion: 1.0.0\nname: Scribe\nrequired_capabilities:\n  - read_files: {docs}/\n\
             optional_capabilities:\n  - write_files: {home}/\n  - network_access: http://127.0.0.1:{port}\n  \
             - execute_shell: /bin/sh\nruntime:\n  command: [{program:?}, demo-plugin]\n\
             tools:\n  read_note:\n    needs: [read_files]\n    arguments: {{path: read_files}}\n"
        ))
    }

    /// This program, which is the native plugin, too.
    pub(super) fn program(&self) -> anyhow::Result<String> {
        let path = std::env::current_exe()?.canonicalize()?;
        Ok(path
            .to_str()
            .context("this program's path is not UTF-8")?
            .to_owned())
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.root);
    }
}

/// Copies a folder of plain files.
pub(super) fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

async fn answer_all(listener: TcpListener, requests: Requests) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(answer(stream, requests.clone()));
    }
}

async fn answer(mut stream: TcpStream, requests: Requests) {
    let mut head = vec![0u8; 4096];
    let count = stream.read(&mut head).await.unwrap_or(0);
    let text = String::from_utf8_lossy(head.get(..count).unwrap_or_default()).into_owned();
    let line = text.lines().next().unwrap_or_default().to_owned();
    let body = format!("answer to {line}");
    requests
        .0
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(line);
    let length = body.len();
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    );
    let _ = stream.write_all(answer.as_bytes()).await;
    let _ = stream.shutdown().await;
}
