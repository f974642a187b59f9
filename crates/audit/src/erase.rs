//! Erasing what is personal: openings are removed, the tree over the commitments stays as it was signed.
//!
//! In order: the log records how much of what is erased, durably; the commitments (which say nothing without their
//! openings) are noted in a file of their own; archives lose the openings; the log loses them while it is opened, before
//! anything else is read; the note goes. Whatever is interrupted is finished by whoever opens the log next.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::disk::{Disk, SystemDisk};
use crate::error::AuditError;
use crate::event::{ENTRY_VERSION, Entry, Event};
use crate::folders::Folders;
use crate::journal::{Record, Records, put_entry, put_openings, put_seal};
use crate::layout::{
    PRIVATE_DIR, list, private_path, read_on, remove_if_there, segment_path, segments_on,
};
use crate::log::{Log, Options};
use crate::openings::{
    Commitment, Opening, decode_bundle_openings, decode_openings, encode_bundle_openings,
    encode_openings,
};
use crate::query::{Filter, Stored, query};
use crate::seal::names;
use crate::subject::Subject;

/// The note of an erasure that is under way: commitments, one a line.
const ERASING_FILE: &str = "erasing";
const FIRST_LINE: &str = "bailiwick erasing 1";

/// Whose values are erased.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whose {
    /// Every sealed value of entries on this user's behalf, and every other sealed value that names them.
    User(String),
    /// Every sealed value of a session.
    Session(String),
    /// Every sealed value of one entry.
    Entry(u64),
}

impl Whose {
    fn shown(&self) -> String {
        match self {
            Self::User(_) => "a user".to_owned(),
            Self::Session(id) => format!("session {id}"),
            Self::Entry(index) => format!("entry {index}"),
        }
    }
}

/// What there is to erase.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Marked {
    /// The entries that lose values.
    pub entries: BTreeSet<u64>,
    /// What stands in their leaves, and stays there.
    pub commitments: BTreeSet<Commitment>,
    /// Entries of versions before sealing that hold what should be erased in the clear. They cannot be erased.
    pub in_the_clear: BTreeSet<u64>,
}

/// Who erases what, and why.
#[derive(Debug, Clone)]
pub struct Erasing<'a> {
    /// Whose values.
    pub whose: &'a Whose,
    /// Folders of archives of the same log.
    pub archives: &'a [PathBuf],
    /// Who erases.
    pub by: &'a str,
    /// Why, in their words.
    pub reason: &'a str,
}

/// Finds what there is to erase, and changes nothing.
///
/// # Errors
/// A log or an archive that cannot be read.
pub fn mark(dir: &Path, archives: &[PathBuf], whose: &Whose) -> Result<Marked, AuditError> {
    let mut marked = Marked::default();
    for folder in std::iter::once(dir).chain(archives.iter().map(PathBuf::as_path)) {
        for stored in query(folder, Filter::default()) {
            marked.look(&stored?, whose)?;
        }
    }
    Ok(marked)
}

impl Marked {
    fn look(&mut self, stored: &Stored, whose: &Whose) -> Result<(), AuditError> {
        let entry = stored.entry()?;
        let wanted = is_of(&entry, stored.index, whose);
        if entry.v < ENTRY_VERSION {
            let text = String::from_utf8_lossy(&stored.json);
            let named = matches!(whose, Whose::User(name) if names(&text, name));
            if wanted || named {
                self.in_the_clear.insert(stored.index);
            }
            return Ok(());
        }
        let named =
            |opening: &&Opening| matches!(whose, Whose::User(name) if names(opening.value(), name));
        for opening in stored
            .openings
            .iter()
            .filter(|opening| wanted || named(opening))
        {
            self.commitments.insert(opening.commitment());
            self.entries.insert(stored.index);
        }
        Ok(())
    }
}

fn is_of(entry: &Entry, index: u64, whose: &Whose) -> bool {
    match whose {
        Whose::User(name) => entry.subject.user.as_ref() == Some(name),
        Whose::Session(id) => entry.subject.session.as_ref() == Some(id),
        Whose::Entry(wanted) => index == *wanted,
    }
}

/// Erases, and gives what was erased. Indices and exports made from the log have to drop it as well.
///
/// # Errors
/// [`AuditError::Locked`] while a gate writes the log, [`AuditError::Erasure`] where the reason itself names the user,
/// and whatever keeps the log from being read or written. When this fails halfway, do it again; the log's own part is
/// finished by itself when it is opened next.
pub fn erase(dir: &Path, options: &Options, erasing: &Erasing<'_>) -> Result<Marked, AuditError> {
    let user = match erasing.whose {
        Whose::User(name) => Some(name.as_str()),
        Whose::Session(_) | Whose::Entry(_) => None,
    };
    let is_named = |text: &str| user.is_some_and(|name| names(text, name));
    if is_named(erasing.reason) {
        let why = "the reason names whom it is about, and would stay in the log: word it without the name";
        return Err(AuditError::Erasure(why.to_owned()));
    }
    let log = Log::open(dir, options.clone())?;
    log.flush()?;
    let marked = mark(dir, erasing.archives, erasing.whose)?;
    if marked.commitments.is_empty() {
        log.close()?;
        return Ok(marked);
    }
    let by = (!is_named(erasing.by)).then(|| erasing.by.to_owned());
    let subject = Subject {
        user: by.clone(),
        ..Subject::default()
    };
    let event = Event::Erasure {
        of: erasing.whose.shown(),
        by,
        reason: erasing.reason.to_owned(),
        entries: marked.entries.len() as u64,
        values: marked.commitments.len() as u64,
    };
    log.append_durable(&subject, &event)?;
    note(&*options.disk, dir, &marked.commitments)?;
    log.close()?;
    drop(log);
    for archive in erasing.archives {
        forget(&SystemDisk, archive, &marked.commitments)?;
    }
    Log::open(dir, options.clone())?.close()?;
    Ok(marked)
}

fn note(disk: &dyn Disk, dir: &Path, commitments: &BTreeSet<Commitment>) -> Result<(), AuditError> {
    let mut text = format!("{FIRST_LINE}\n");
    for commitment in commitments {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{commitment}");
    }
    let mut folders = Folders::default();
    folders.replace(disk, dir, &dir.join(ERASING_FILE), text.as_bytes())?;
    folders.make(disk, dir, dir)?;
    folders.sync(disk)
}

/// Finishes an erasure that was begun, if one was. Called with the log locked, before its journal is read.
pub(crate) fn finish(disk: &dyn Disk, dir: &Path) -> Result<(), AuditError> {
    let path = dir.join(ERASING_FILE);
    let Some(bytes) = read_on(disk, &path)? else {
        return Ok(());
    };
    let text = String::from_utf8_lossy(&bytes);
    let mut lines = text.lines();
    let commitments: Option<BTreeSet<Commitment>> = (lines.next() == Some(FIRST_LINE))
        .then(|| lines.map(|line| line.parse().ok()).collect())
        .flatten();
    let commitments = commitments.ok_or_else(|| {
        let why = format!(
            "`{}` is no note of an erasure; remove it, and erase again what was being erased",
            path.display()
        );
        AuditError::Erasure(why)
    })?;
    forget(disk, dir, &commitments)?;
    remove_if_there(disk, &path)?;
    crate::folders::sync_folder(disk, dir)
}

/// Removes these openings from a log's folder, or an archive's, for good.
fn forget(
    disk: &dyn Disk,
    dir: &Path,
    commitments: &BTreeSet<Commitment>,
) -> Result<(), AuditError> {
    let mut folders = Folders::default();
    for (name, is_folder) in list(disk, &dir.join(PRIVATE_DIR))? {
        if let Some(bundle) = number(&name).filter(|_| !is_folder) {
            let path = private_path(dir, bundle);
            forget_in_file(disk, dir, &path, commitments, &mut folders)?;
        }
    }
    for segment in segments_on(disk, dir)? {
        let path = segment_path(dir, segment);
        if let Some(bytes) = read_on(disk, &path)?
            && let Some(less) =
                forget_in_segment(&bytes, commitments).map_err(|why| damaged(dir, &path, why))?
        {
            folders.replace(disk, dir, &path, &less)?;
        }
    }
    folders.sync(disk)
}

fn forget_in_file(
    disk: &dyn Disk,
    dir: &Path,
    path: &Path,
    commitments: &BTreeSet<Commitment>,
    folders: &mut Folders,
) -> Result<(), AuditError> {
    let Some(bytes) = read_on(disk, path)? else {
        return Ok(());
    };
    let mut entries = decode_bundle_openings(&bytes).map_err(|why| damaged(dir, path, why))?;
    let before: usize = entries.iter().map(|(_, openings)| openings.len()).sum();
    for (_, openings) in &mut entries {
        openings.retain(|opening| !commitments.contains(&opening.commitment()));
    }
    entries.retain(|(_, openings)| !openings.is_empty());
    let after: usize = entries.iter().map(|(_, openings)| openings.len()).sum();
    if after == before {
        return Ok(());
    }
    if after > 0 {
        return folders.replace(disk, dir, path, &encode_bundle_openings(&entries));
    }
    remove_if_there(disk, path)?;
    path.parent()
        .map_or(Ok(()), |folder| folders.make(disk, dir, folder))
}

/// The segment without these openings; `None` when it has none of them. What follows its last whole record stays.
fn forget_in_segment(
    bytes: &[u8],
    commitments: &BTreeSet<Commitment>,
) -> Result<Option<Vec<u8>>, crate::openings::OpeningError> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut changed = false;
    let mut records = Records::new(bytes);
    while let Some(record) = records.next() {
        match record {
            Record::Entry(entry, hash) => {
                let mut openings = decode_openings(records.openings())?;
                let before = openings.len();
                openings.retain(|opening| !commitments.contains(&opening.commitment()));
                changed |= openings.len() < before;
                put_openings(&encode_openings(&openings), &mut out);
                put_entry(entry, &hash, &mut out);
            }
            Record::Seal(note) => put_seal(note, &mut out),
        }
    }
    out.extend_from_slice(records.rest());
    Ok(changed.then_some(out))
}

fn damaged(dir: &Path, path: &Path, why: crate::openings::OpeningError) -> AuditError {
    AuditError::damaged(dir, format!("{}: {why}", path.display()))
}

fn number(name: &OsStr) -> Option<u64> {
    let name = name.to_str()?;
    name.parse()
        .ok()
        .filter(|number| format!("{number:012}") == name)
}
