//! The person's standard streams as the program gets them.
//!
//! Pipes and sockets are handed over. A file is carried: from the descriptor of one that is handed over, its mode, owner
//! and times could be changed, and others kept from it.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};

use bailiwick_jail::can_be_handed_over;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{FileType, OFlags, fcntl_getfl, fcntl_setfl, fstat};
use rustix::io::ioctl_fionread;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::termios::isatty;

/// What fits into a pipe that can be written at all, without waiting (pipe(7), `PIPE_BUF`).
const ATOM: usize = 4096;

/// The streams of one program.
#[derive(Debug)]
pub(super) struct Handed {
    /// As the program gets them.
    pub(super) inside: [OwnedFd; 3],
    /// What it prints, and where that goes.
    pub(super) printed: Vec<(OwnedFd, File)>,
    pub(super) left: Left,
}

/// What is put in order once the program has ended.
#[derive(Debug)]
pub(super) struct Left {
    /// Flags of those that were handed over; who shares them would feel a change (fcntl(2), `F_SETFL`).
    flags: Vec<(OwnedFd, OFlags)>,
    input: Option<Input>,
}

/// A file that the program reads through a pipe.
#[derive(Debug)]
struct Input {
    file: Arc<Mutex<Option<File>>>,
    /// Whether it has a position; whoever reads something else waits, perhaps for ever.
    has_position: bool,
    /// What was carried and not read stays in there.
    pipe: OwnedFd,
}

impl Handed {
    /// Those of this process. With `bounded`, all that is printed is carried, to be counted; with `terminal`, the
    /// program has one of its own in place of the person's, and only standard error may be something else.
    ///
    /// # Errors
    /// When a stream is not open, or no pipe can be made.
    pub(super) fn new(bounded: bool, terminal: bool) -> io::Result<Self> {
        let (stdin, stdout, stderr) = (io::stdin(), io::stdout(), io::stderr());
        let mut left = Left {
            flags: Vec::new(),
            input: None,
        };
        let mut printed = Vec::new();
        let input = match can_be_handed_over(stdin.as_fd())? {
            _ if terminal => nothing()?,
            true => left.lend(stdin.as_fd())?,
            false => {
                let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
                left.input = Some(Input::carried(&stdin, &read, write)?);
                read
            }
        };
        let mut output = |stream: &dyn AsFd| match can_be_handed_over(stream.as_fd())? && !bounded {
            _ if terminal && isatty(stream.as_fd()) => nothing(),
            true => left.lend(stream.as_fd()),
            false => {
                let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
                printed.push((read, File::from(stream.as_fd().try_clone_to_owned()?)));
                Ok(write)
            }
        };
        let out = output(&stdout)?;
        // In one file, what is printed stays in the order in which it was.
        let errors = match is_carried_with(&stdout, &stderr)? && !bounded {
            true => out.try_clone()?,
            false => output(&stderr)?,
        };
        Ok(Self {
            inside: [input, out, errors],
            printed,
            left,
        })
    }
}

fn nothing() -> io::Result<OwnedFd> {
    Ok(File::open("/dev/null")?.into())
}

fn is_carried_with(stdout: impl AsFd, stderr: impl AsFd) -> io::Result<bool> {
    let (one, other) = (fstat(&stdout)?, fstat(&stderr)?);
    let same = (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino);
    Ok(same && !can_be_handed_over(stdout.as_fd())?)
}

impl Left {
    fn lend(&mut self, stream: impl AsFd) -> io::Result<OwnedFd> {
        let own = stream.as_fd().try_clone_to_owned()?;
        self.flags.push((own.try_clone()?, fcntl_getfl(&own)?));
        Ok(own)
    }

    /// Gives the streams back as they were. What was not read of a file can be read by who comes next.
    pub(super) fn give_back(self) {
        for (stream, flags) in &self.flags {
            let _ = fcntl_setfl(stream, *flags);
        }
        if let Some(input) = self.input {
            input.put_back();
        }
    }
}

impl Input {
    fn carried(stdin: impl AsFd, read: &OwnedFd, write: OwnedFd) -> io::Result<Self> {
        let file = File::from(stdin.as_fd().try_clone_to_owned()?);
        let shared = Arc::new(Mutex::new(Some(file)));
        let kind = FileType::from_raw_mode(fstat(&stdin)?.st_mode);
        let input = Self {
            file: Arc::clone(&shared),
            has_position: kind == FileType::RegularFile,
            pipe: read.try_clone()?,
        };
        std::thread::Builder::new()
            .name("input".to_owned())
            .spawn(move || feed(&shared, File::from(write)))?;
        Ok(input)
    }

    fn put_back(&self) {
        if !self.has_position {
            return;
        }
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(mut file) = file.take()
            && let Ok(unread) = ioctl_fionread(&self.pipe)
            && let Ok(unread @ 1..) = i64::try_from(unread)
        {
            let _ = file.seek(SeekFrom::Current(-unread));
        }
    }
}

/// Carries until the end of the file, or of the program.
fn feed(file: &Mutex<Option<File>>, mut pipe: File) {
    let mut chunk = [0; ATOM];
    loop {
        // With room for something there is room for so much; so nobody waits who holds the file.
        match poll(&mut [PollFd::new(&pipe, PollFlags::OUT)], None) {
            Err(rustix::io::Errno::INTR) => continue,
            Err(_) => return,
            Ok(_) => {}
        }
        let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(file) = file.as_mut() else { return };
        match file.read(&mut chunk) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Ok(0) | Err(_) => return,
            Ok(count) => {
                if pipe
                    .write_all(chunk.get(..count).unwrap_or_default())
                    .is_err()
                {
                    return;
                }
            }
        }
    }
}
