//! Errors of the disk, one at a time, at every request: the log stops, for good, and nothing promised is lost.

use std::io::ErrorKind;
use std::path::Path;

use bailiwick_audit::{AuditError, Log, Subject};

use crate::disk::{End, Fault, Sim};
use crate::life::{Act, DIR, Promised, event, live_in, options, recover};

const ACTS: &[Act] = &[
    Act::Durable,
    Act::Append,
    Act::Durable,
    Act::Flush,
    Act::Append,
    Act::Reopen,
    Act::Append,
    Act::Durable,
    Act::Append,
];

/// Lives with a fault at each request in turn. After the first error everything else has to fail, and what is found
/// later, by the same machine and after power loss, has to be what was promised.
fn every_fault(error: ErrorKind, stays: bool, short: bool) {
    let mut failed = 0;
    for at in 0.. {
        let fault = Fault {
            at,
            error,
            stays,
            short,
        };
        let what = format!("{fault:?}");
        let disk = Sim::new().with_fault(fault);
        let mut promised = Promised::default();
        let mut last = None;
        let fine = live_in(&mut last, &disk, &options(&disk), ACTS, &mut promised);
        if !fine {
            failed += 1;
            if let Some(log) = last.take() {
                stays_stopped(&log, &what);
            }
        } else if disk.requests() <= at {
            break;
        }
        drop(last);
        let disk = disk.without_fault();
        let left = disk.after(End::PowerLoss(at));
        recover(&left, End::PowerLoss(at), &promised, &what);
        // Without a crash in between, what is read may be in memory alone: taken up, it has to be on the disk.
        let there = Promised::all(&recover(&disk, End::Kill, &promised, &what));
        for seed in 0..4 {
            let end = End::PowerLoss(seed);
            recover(&disk.after(end), end, &there, &what);
        }
    }
    assert!(failed > 10, "{failed} of the requests matter");
}

/// An error is no passing thing: nobody is told later that all is well.
fn stays_stopped(log: &Log, what: &str) {
    let stopped = |result: Result<(), AuditError>| {
        let error = result.expect_err(what);
        let known = matches!(error, AuditError::Poisoned { .. } | AuditError::Closed);
        assert!(known, "{what}: {error}");
    };
    let subject = Subject::default();
    for _ in 0..2 {
        stopped(log.append(&subject, &event(1)).map(drop));
        stopped(log.append_durable(&subject, &event(1)).map(drop));
    }
    assert!(log.close().is_err(), "{what}: closing says so");
    stopped(log.append(&subject, &event(1)).map(drop));
}

#[test]
fn an_io_error_at_any_request_stops_the_log_for_good() {
    every_fault(ErrorKind::Other, false, false);
}

#[test]
fn a_full_disk_at_any_request_stops_the_log() {
    every_fault(ErrorKind::StorageFull, true, true);
}

#[test]
fn a_disk_that_becomes_read_only_stops_the_log() {
    every_fault(ErrorKind::ReadOnlyFilesystem, true, false);
}

#[test]
fn a_write_that_takes_a_part_is_gone_on_with() {
    for at in 0.. {
        let fault = Fault {
            at,
            error: ErrorKind::Interrupted,
            stays: false,
            short: true,
        };
        let what = format!("{fault:?}");
        let disk = Sim::new().with_fault(fault);
        let mut promised = Promised::default();
        live_in(&mut None, &disk, &options(&disk), ACTS, &mut promised);
        let end = End::PowerLoss(0);
        recover(&disk.without_fault().after(end), end, &promised, &what);
        if disk.requests() <= at {
            break;
        }
    }
}

#[test]
fn room_that_does_not_fit_is_done_without() {
    // The first write asks for room as well and is refused; the record alone is not.
    let probe = Sim::new();
    let log = Log::open(Path::new(DIR), options(&probe)).expect("opens");
    let before = probe.requests();
    log.append(&Subject::default(), &event(1)).expect("appends");
    let fault = Fault {
        at: before + 1,
        error: ErrorKind::StorageFull,
        stays: false,
        short: false,
    };
    let disk = Sim::new().with_fault(fault);
    let log = Log::open(Path::new(DIR), options(&disk)).expect("opens");
    let leaf = log.append_durable(&Subject::default(), &event(1));
    leaf.expect("the record fits");
    assert!(disk.requests() > before + 2);
}

#[test]
fn somebody_who_publishes_beside_us_stops_the_log() {
    let disk = Sim::new();
    let open = |disk: &Sim| Log::open(Path::new(DIR), options(disk)).expect("opens");
    let ours = open(&disk);
    ours.append(&Subject::default(), &event(1))
        .expect("appends");
    // On a disk that does not know the lock, as some of a network do not.
    let theirs = disk.without_locks();
    let other = open(&theirs);
    other
        .append(&Subject::default(), &event(2))
        .expect("appends");
    other.close().expect("closes");
    let error = ours.close().expect_err("refused");
    assert!(
        error.to_string().contains("was written by another process"),
        "{error}"
    );
}

#[test]
fn a_second_writer_is_refused_on_any_disk() {
    let disk = Sim::new();
    let first = Log::open(Path::new(DIR), options(&disk)).expect("opens");
    let second = Log::open(Path::new(DIR), options(&disk)).expect_err("refused");
    assert!(matches!(second, AuditError::Locked { .. }), "{second}");
    drop(first);
    Log::open(Path::new(DIR), options(&disk)).expect("opens");
}
