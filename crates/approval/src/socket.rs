//! Questions and answers over a Unix socket: a JSON object a line, each way.
//!
//! | asked | answered |
//! |---|---|
//! | `{"op":"list"}` | `{"questions":[…]}` |
//! | `{"op":"watch"}` | the same, again after each change, until either end closes |
//! | `{"op":"answer","id":"…","choice":"once","signed":"…"}` | `{"verdict":…}` or `{"error":"…"}` |

use std::os::fd::AsFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf, UCred};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;

use crate::desk::{Desk, Verdict};
use crate::question::{Answer, Choice, Question};

/// The longest line, in bytes.
const MAX_LINE: u64 = 1024 * 1024;
/// The longest list of questions, in bytes.
const MAX_LIST: u64 = 16 * MAX_LINE;
/// Consoles that may be connected at the same time.
const MAX_PEERS: usize = 16;
/// How long a console may take to read a line of ours.
const PATIENCE: Duration = Duration::from_secs(10);
/// The ending of sockets' names.
pub const ENDING: &str = "sock";

/// What a console asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case", deny_unknown_fields)]
pub enum Ask {
    /// What waits.
    List {},
    /// What waits, and again after each change.
    Watch {},
    /// An answer.
    Answer {
        /// To which question.
        id: String,
        /// What was chosen.
        choice: Choice,
        /// A yes, signed, in base64.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        signed: Option<String>,
    },
}

/// What a console hears.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Told {
    /// What waits.
    Questions(Vec<Question>),
    /// What became of an answer.
    Verdict(Verdict),
    /// What is wrong with what was asked.
    Error(String),
}

/// Who may connect: told the peer as the kernel knows it, says who that is, or why not.
pub type Door = Arc<dyn Fn(&UCred) -> Result<String, String> + Send + Sync>;

/// A socket that nobody serves yet.
#[derive(Debug)]
pub struct Listening {
    listener: UnixListener,
    path: PathBuf,
}

/// A name of any length: the kernel takes 108 bytes, so the folder is named by its descriptor.
fn short(path: &Path) -> std::io::Result<(std::os::fd::OwnedFd, PathBuf)> {
    use rustix::fs::{Mode, OFlags};
    let invalid = || std::io::Error::from(std::io::ErrorKind::InvalidInput);
    let folder = path.parent().ok_or_else(invalid)?;
    let name = path.file_name().ok_or_else(invalid)?;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let folder = rustix::fs::open(folder, flags, Mode::empty())?;
    let number = std::os::fd::AsRawFd::as_raw_fd(&folder.as_fd());
    let short = Path::new("/proc/self/fd")
        .join(number.to_string())
        .join(name);
    Ok((folder, short))
}

/// Makes a socket that only its owner may connect to, in a folder that only its owner may enter.
///
/// # Errors
/// The system's own.
pub fn listen(path: &Path) -> std::io::Result<Listening> {
    let (_folder, short) = short(path)?;
    let listener = UnixListener::bind(short)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(Listening {
        listener,
        path: path.to_owned(),
    })
}

impl Drop for Listening {
    fn drop(&mut self) {
        // One that stays is seen to be dead by whoever connects.
        let _ = std::fs::remove_file(&self.path);
    }
}

impl Listening {
    /// Serves consoles until it is dropped.
    pub async fn serve(self, desk: Arc<Desk>, door: Door) {
        let seats = Arc::new(Semaphore::new(MAX_PEERS));
        loop {
            let Ok((stream, _)) = self.listener.accept().await else {
                // Out of descriptors, most likely: others end.
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            };
            let Ok(seat) = seats.clone().try_acquire_owned() else {
                continue;
            };
            let (desk, door) = (desk.clone(), door.clone());
            tokio::spawn(async move {
                let _seat = seat;
                // A console that breaks off is its own affair.
                let _ = attend(stream, &desk, &door).await;
            });
        }
    }
}

async fn attend(stream: UnixStream, desk: &Arc<Desk>, door: &Door) -> std::io::Result<()> {
    let peer = stream.peer_cred();
    let (reader, mut writer) = stream.into_split();
    let welcome = peer
        .map_err(|error| error.to_string())
        .and_then(|peer| door(&peer));
    let who = match welcome {
        Ok(who) => who,
        Err(why) => return tell(&mut writer, &Told::Error(why)).await,
    };
    let mut reader = BufReader::new(reader);
    while let Some(line) = read_line(&mut reader, MAX_LINE).await? {
        let told = match serde_json::from_str(&line) {
            Err(error) => Told::Error(format!("that is no question of a console: {error}")),
            Ok(Ask::List {}) => Told::Questions(desk.waiting()),
            Ok(Ask::Watch {}) => return watch(&mut reader, &mut writer, desk).await,
            Ok(Ask::Answer { id, choice, signed }) => {
                match desk.answer(&id, Answer { choice, signed }, &who).await {
                    Ok(verdict) => Told::Verdict(verdict),
                    Err(error) => Told::Error(error.to_string()),
                }
            }
        };
        tell(&mut writer, &told).await?;
    }
    Ok(())
}

async fn watch(
    reader: &mut BufReader<OwnedReadHalf>,
    writer: &mut OwnedWriteHalf,
    desk: &Arc<Desk>,
) -> std::io::Result<()> {
    let mut changes = desk.changes();
    loop {
        changes.mark_unchanged();
        tell(writer, &Told::Questions(desk.waiting())).await?;
        tokio::select! {
            changed = changes.changed() => if changed.is_err() { return Ok(()) },
            // A console that watches says nothing more but that it goes.
            _ = reader.read_u8() => return Ok(()),
        }
    }
}

async fn tell(writer: &mut OwnedWriteHalf, told: &Told) -> std::io::Result<()> {
    let mut line = serde_json::to_vec(told)?;
    line.push(b'\n');
    let late = |_| std::io::Error::from(std::io::ErrorKind::TimedOut);
    tokio::time::timeout(PATIENCE, writer.write_all(&line))
        .await
        .map_err(late)?
}

async fn read_line(
    reader: &mut BufReader<OwnedReadHalf>,
    longest: u64,
) -> std::io::Result<Option<String>> {
    let mut line = String::new();
    let read = reader.take(longest).read_line(&mut line).await?;
    if read as u64 == longest && !line.ends_with('\n') {
        return Err(std::io::ErrorKind::InvalidData.into());
    }
    Ok((read > 0).then_some(line))
}

/// A console's end.
#[derive(Debug)]
pub struct Console {
    reader: BufReader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
}

impl Console {
    /// Connects to a gate's socket.
    ///
    /// # Errors
    /// The system's own; `ConnectionRefused` and `NotFound` where no gate serves it any more.
    pub async fn connect(path: &Path) -> std::io::Result<Self> {
        let (_folder, short) = short(path)?;
        let (reader, writer) = UnixStream::connect(short).await?.into_split();
        Ok(Self {
            reader: BufReader::new(reader),
            writer,
        })
    }

    /// Asks the gate.
    ///
    /// # Errors
    /// The system's own, and what is no answer of a gate's.
    pub async fn ask(&mut self, ask: &Ask) -> std::io::Result<Told> {
        let mut line = serde_json::to_vec(ask)?;
        line.push(b'\n');
        let sent = self.writer.write_all(&line).await;
        // A gate that lets nobody in says why before it hangs up.
        self.next()
            .await
            .map_err(|error| sent.err().unwrap_or(error))
    }

    /// The next that the gate tells, for whoever watches.
    ///
    /// # Errors
    /// As [`Console::ask`].
    pub async fn next(&mut self) -> std::io::Result<Told> {
        let line = read_line(&mut self.reader, MAX_LIST).await?;
        let gone = || std::io::Error::from(std::io::ErrorKind::UnexpectedEof);
        Ok(serde_json::from_str(&line.ok_or_else(gone)?)?)
    }
}

/// The sockets of a folder.
///
/// # Errors
/// The system's own; a folder that is not there has none.
pub fn sockets(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut found = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<std::io::Result<Vec<_>>>()?;
    found.retain(|path| path.extension().is_some_and(|ending| ending == ENDING));
    found.sort();
    Ok(found)
}
