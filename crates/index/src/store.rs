//! The rows on disk. SQLite lives here only; whatever it says is looked through again by whoever asked.

use std::fs::{OpenOptions, Permissions};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, params};

use crate::error::IndexError;

/// Says that a file is one of ours, and of which form.
const APPLICATION_ID: i32 = 0x4257_4958;
const FORM: i32 = 1;
const SCHEMA: &str = "CREATE TABLE row (chunk INTEGER PRIMARY KEY, binding BLOB NOT NULL, body BLOB NOT NULL, \
                      tag BLOB NOT NULL) STRICT";
/// A body is far smaller; who writes a larger one is not we.
const MAX_BODY: i64 = 1 << 26;
/// Others hold the file for milliseconds.
const PATIENCE: Duration = Duration::from_secs(1);

/// A row as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) chunk: u64,
    pub(crate) binding: Vec<u8>,
    pub(crate) body: Vec<u8>,
    pub(crate) tag: Vec<u8>,
}

#[derive(Debug)]
pub(crate) struct Store {
    path: PathBuf,
    connection: Connection,
}

impl Store {
    /// Opens the file, or makes it. One that is damaged, of another form or no index is made anew.
    pub(crate) fn open(path: &Path) -> Result<Self, IndexError> {
        let failed = |why: &dyn std::fmt::Display| store_error(path, why);
        // SQLite follows no link anywhere on the way.
        let folder = path.parent().unwrap_or(Path::new("/"));
        let folder = folder.canonicalize().map_err(|error| failed(&error))?;
        let name = path.file_name().ok_or_else(|| failed(&"it has no name"))?;
        let path = folder.join(name);
        make_private(&path).map_err(|error| store_error(&path, &error))?;
        if let Ok(connection) = connect(&path) {
            return Ok(Self { path, connection });
        }
        for ending in ["", "-journal", "-wal", "-shm"] {
            let mut file = path.clone().into_os_string();
            file.push(ending);
            match std::fs::remove_file(&file) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(store_error(&path, &error));
                }
                _ => {}
            }
        }
        make_private(&path).map_err(|error| store_error(&path, &error))?;
        let connection = connect(&path).map_err(|error| store_error(&path, &error))?;
        Ok(Self { path, connection })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Hands over every row.
    pub(crate) fn each(&self, take: &mut dyn FnMut(Row)) -> Result<(), IndexError> {
        let mut read = || -> rusqlite::Result<()> {
            let mut select = self.connection.prepare(
                "SELECT chunk, binding, body, tag FROM row WHERE length(body) <= ?1 ORDER BY chunk",
            )?;
            let mut rows = select.query(params![MAX_BODY])?;
            while let Some(row) = rows.next()? {
                let chunk: i64 = row.get(0)?;
                take(Row {
                    chunk: u64::try_from(chunk).unwrap_or(u64::MAX),
                    binding: row.get(1)?,
                    body: row.get(2)?,
                    tag: row.get(3)?,
                });
            }
            Ok(())
        };
        read().map_err(|error| store_error(&self.path, &error))
    }

    /// Puts a row in the place of the one of its chunk.
    pub(crate) fn put(&self, row: &Row) -> Result<(), IndexError> {
        let chunk = i64::try_from(row.chunk).unwrap_or(i64::MAX);
        self.connection
            .prepare(
                "INSERT OR REPLACE INTO row (chunk, binding, body, tag) VALUES (?1, ?2, ?3, ?4)",
            )
            .and_then(|mut insert| insert.execute(params![chunk, row.binding, row.body, row.tag]))
            .map(drop)
            .map_err(|error| store_error(&self.path, &error))
    }

    /// Removes the rows of these chunks; what they held is overwritten.
    pub(crate) fn remove(&mut self, chunks: &[u64]) -> Result<(), IndexError> {
        let path = self.path.clone();
        let mut remove = || -> rusqlite::Result<()> {
            let transaction = self.connection.transaction()?;
            for chunk in chunks {
                let chunk = i64::try_from(*chunk).unwrap_or(i64::MAX);
                transaction.execute("DELETE FROM row WHERE chunk = ?1", params![chunk])?;
            }
            transaction.commit()
        };
        remove().map_err(|error| store_error(&path, &error))
    }
}

fn store_error(path: &Path, why: &dyn std::fmt::Display) -> IndexError {
    IndexError::Store {
        path: path.to_owned(),
        why: why.to_string(),
    }
}

/// Makes the file its owner's alone before anything is in it, or sees that it is.
fn make_private(path: &Path) -> std::io::Result<()> {
    let nofollow = i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).unwrap_or_default();
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(nofollow)
        .open(path)?;
    let found = file.metadata()?;
    if !found.is_file() || found.uid() != rustix::process::geteuid().as_raw() {
        return Err(std::io::Error::other("it is not a file of ours"));
    }
    if found.mode() & 0o077 != 0 {
        file.set_permissions(Permissions::from_mode(0o600))?;
    }
    Ok(())
}

/// A connection to a file that holds our table and nothing else: no view or trigger that somebody left there.
fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(PATIENCE)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    // What is removed is overwritten, and no copy of it stays in a log beside the file.
    for (name, value) in [
        ("cell_size_check", "on"),
        ("mmap_size", "0"),
        ("journal_mode", "delete"),
        ("synchronous", "normal"),
        ("secure_delete", "on"),
    ] {
        connection
            .pragma_update_and_check(None, name, value, |_| Ok(()))
            .or_else(no_answer)?;
    }
    let objects: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if objects == 0 {
        connection.pragma_update(None, "application_id", APPLICATION_ID)?;
        connection.pragma_update(None, "user_version", FORM)?;
        connection.execute(SCHEMA, [])?;
    }
    let number = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    let ours = (number("application_id")?, number("user_version")?) == (APPLICATION_ID, FORM);
    let schema: Vec<String> = connection
        .prepare("SELECT sql FROM sqlite_schema")?
        .query_map([], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    if ours && schema == [SCHEMA] {
        return Ok(connection);
    }
    Err(rusqlite::Error::InvalidQuery)
}

/// Some settings answer with their value and some do not.
fn no_answer(error: rusqlite::Error) -> rusqlite::Result<()> {
    match error {
        rusqlite::Error::QueryReturnedNoRows => Ok(()),
        other => Err(other),
    }
}
