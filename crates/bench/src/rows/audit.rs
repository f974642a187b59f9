//! Appending to the log, against bare writes of the same bytes in the same folder.

use std::fs::File;
use std::io::Write as _;

use bailiwick_audit::{Event, Log, Options, Subject, tail};

use super::Effort;
use crate::Outcome;
use crate::sample::{Row, Side, compare};

pub(crate) fn measure(effort: Effort) -> Outcome<Vec<Row>> {
    let folder = tempfile::tempdir()?;
    let dir = folder.path().join("audit");
    let log = Log::open(&dir, Options::default())?;
    let subject = Subject::session("0af7651916cd43dd8448eb211c80319c")
        .with_plugin("bench", "00".repeat(32))
        .with_user("bench")
        .with_agent("bench 1");
    let event = Event::ToolResult {
        call: "0af7651916cd43dd8448eb211c80319c-17".to_owned(),
        tool: "echo".to_owned(),
        bytes: 200,
        sha256: "00".repeat(32),
        is_error: false,
        millis: 3,
    };
    log.append_durable(&subject, &event)?;
    let entry = tail(&dir, 1)?
        .pop()
        .map(|stored| stored.json.to_vec())
        .ok_or("nothing was appended")?;
    let bare = File::create(folder.path().join("bare"))?;

    let mut written = [
        Side::new("append", || Ok(log.append(&subject, &event).map(drop)?)),
        Side::new("write", || Ok((&bare).write_all(&entry)?)),
    ];
    let name = format!("audit entry of {} B, written", entry.len());
    let mut rows = compare(&name, effort.plan(5000, 1), &mut written)?;
    log.flush()?;

    let mut durable = [
        Side::new("append_durable", || {
            Ok(log.append_durable(&subject, &event).map(drop)?)
        }),
        Side::new("write + fdatasync", || {
            (&bare).write_all(&entry)?;
            Ok(bare.sync_data()?)
        }),
    ];
    let name = format!("audit entry of {} B, durable", entry.len());
    rows.extend(compare(&name, effort.plan(400, 1), &mut durable)?);
    Ok(rows)
}
