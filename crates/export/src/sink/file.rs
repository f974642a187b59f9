//! Lines in a file that grows, and on standard output.

use std::fs;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::OFlags;

use super::{Failure, Sink};
use crate::error::ExportError;
use crate::format::{Format, encode_lines};
use crate::record::Record;

/// How much is read at once when the last line is looked for.
const STEP: u64 = 4096;

pub(crate) struct File {
    file: fs::File,
    /// Where the last whole batch ends.
    end: u64,
    format: Format,
    host: String,
}

impl File {
    /// Opens a file to go on after its last whole line. A line without an end was cut by a crash, before it counted as
    /// taken: it is removed, and comes again.
    pub(crate) fn grow(path: &Path, format: Format, host: String) -> Result<Self, ExportError> {
        // A pipe without a reader would hold us up.
        let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits();
        let mut file = fs::OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(i32::try_from(flags).unwrap_or_default())
            .open(path)
            .map_err(ExportError::io("open", path))?;
        let meta = file.metadata().map_err(ExportError::io("read", path))?;
        if !meta.is_file() {
            let why = "it is no regular file".to_owned();
            return Err(ExportError::Target {
                target: path.display().to_string(),
                why,
            });
        }
        let end = end_of_lines(&mut file, meta.len()).map_err(ExportError::io("read", path))?;
        let mut grown = Self {
            file,
            end,
            format,
            host,
        };
        grown.cut().map_err(ExportError::io("cut", path))?;
        Ok(grown)
    }

    fn cut(&mut self) -> std::io::Result<()> {
        self.file.set_len(self.end)?;
        self.file.seek(SeekFrom::Start(self.end)).map(drop)
    }
}

impl Sink for File {
    fn send(&mut self, batch: &[Record]) -> Result<(), Failure> {
        let lines = encode_lines(self.format, batch, &self.host);
        let written = self
            .file
            .write_all(&lines)
            .and_then(|()| self.file.sync_data());
        match written {
            Ok(()) => {
                self.end += lines.len() as u64;
                Ok(())
            }
            Err(error) => {
                // Half a batch must not stay before the whole one.
                let cut = self.cut();
                Err(Failure::later(cut.err().unwrap_or(error)))
            }
        }
    }
}

fn end_of_lines(file: &mut fs::File, size: u64) -> std::io::Result<u64> {
    let mut end = size;
    while end > 0 {
        let start = end.saturating_sub(STEP);
        file.seek(SeekFrom::Start(start))?;
        let mut bytes = Vec::new();
        (&mut *file).take(end - start).read_to_end(&mut bytes)?;
        if let Some(last) = bytes.iter().rposition(|byte| *byte == b'\n') {
            return Ok(start + last as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

pub(super) struct Stdout {
    pub(super) format: Format,
    pub(super) host: String,
}

impl Sink for Stdout {
    fn send(&mut self, batch: &[Record]) -> Result<(), Failure> {
        let lines = encode_lines(self.format, batch, &self.host);
        let mut out = std::io::stdout().lock();
        out.write_all(&lines)
            .and_then(|()| out.flush())
            .map_err(Failure::later)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_last_line_is_cut() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out");
        let long = "x".repeat(10_000);
        for (before, after) in [
            ("", ""),
            ("a\nb\n", "a\nb\n"),
            ("a\nb", "a\n"),
            ("torn", ""),
            (&format!("{long}\n{long}"), &format!("{long}\n")),
        ] {
            fs::write(&path, before).unwrap();
            File::grow(&path, Format::Ocsf, "h".into()).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), after);
        }
    }

    #[test]
    fn only_regular_files_grow() {
        let dir = tempfile::tempdir().unwrap();
        assert!(File::grow(dir.path(), Format::Ocsf, "h".into()).is_err());
        let link = dir.path().join("link");
        std::os::unix::fs::symlink("/dev/null", &link).unwrap();
        assert!(File::grow(&link, Format::Ocsf, "h".into()).is_err());
        assert!(File::grow(Path::new("/dev/null"), Format::Ocsf, "h".into()).is_err());
    }
}
