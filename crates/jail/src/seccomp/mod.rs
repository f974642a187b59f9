//! Compiles the table of system calls into a classic BPF program (seccomp(2), filter.h).
//!
//! A balanced search over runs of equal verdicts: a call costs about log2(runs) comparisons.

mod table;

use libc::sock_filter;
use table::{ALLOWED, JUDGED, LAST_KNOWN, LEGACY, Rule, Test};

const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
const JUMP: u16 = (libc::BPF_JMP | libc::BPF_JA) as u16;
const IF_EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
const IF_AT_LEAST: u16 = (libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K) as u16;
const AND: u16 = (libc::BPF_ALU | libc::BPF_AND | libc::BPF_K) as u16;
const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;

/// Offsets in `struct seccomp_data`.
const NUMBER: u32 = 0;
const ARCH: u32 = 4;
const ARGUMENTS: u32 = 16;

#[cfg(target_arch = "x86_64")]
const THIS_ARCH: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const THIS_ARCH: u32 = 0xc000_00b7;

/// The verdict on a run of numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Allow,
    When(&'static [Test]),
    Fail(i32),
}

/// Runs of equal verdicts, by first number, covering every number.
fn runs() -> Vec<(u32, Verdict)> {
    let mut verdicts = vec![Verdict::Fail(libc::EPERM); LAST_KNOWN as usize + 1];
    let judged = JUDGED.iter().map(|(number, rule)| {
        let verdict = match rule {
            Rule::When(tests) => Verdict::When(tests),
            Rule::Absent => Verdict::Fail(libc::ENOSYS),
        };
        (*number, verdict)
    });
    let allowed = ALLOWED
        .iter()
        .chain(LEGACY)
        .map(|number| (*number, Verdict::Allow));
    for (number, verdict) in allowed.chain(judged) {
        if let Some(slot) = usize::try_from(number)
            .ok()
            .and_then(|n| verdicts.get_mut(n))
        {
            *slot = verdict;
        }
    }
    let mut runs: Vec<(u32, Verdict)> = Vec::new();
    let beyond = (LAST_KNOWN + 1, Verdict::Fail(libc::ENOSYS));
    for (first, verdict) in (0u32..).zip(verdicts).chain([beyond]) {
        if runs.last().is_none_or(|(_, last)| *last != verdict) {
            runs.push((first, verdict));
        }
    }
    runs
}

fn op(code: u16, k: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter { code, jt, jf, k }
}

fn fail(errno: i32) -> sock_filter {
    op(
        RETURN,
        libc::SECCOMP_RET_ERRNO | errno.cast_unsigned(),
        0,
        0,
    )
}

/// Instructions that return unless the tested argument is one of the test's values, or none of them.
fn test(test: &Test, out: &mut Vec<sock_filter>) {
    out.push(op(LOAD, ARGUMENTS + 8 * test.argument, 0, 0));
    if test.mask != u32::MAX {
        out.push(op(AND, test.mask, 0, 0));
    }
    let values = u8::try_from(test.any.len()).unwrap_or(0);
    for (index, value) in (0u8..values).zip(test.any) {
        let left = values - index;
        out.push(match (test.negated, left) {
            (false, _) => op(IF_EQUAL, *value, left, 0),
            // Equal: to the failure, which stands behind the last value; else on, past it.
            (true, 1) => op(IF_EQUAL, *value, 0, 1),
            (true, _) => op(IF_EQUAL, *value, left - 1, 0),
        });
    }
    out.push(fail(libc::EPERM));
}

fn leaf(verdict: Verdict) -> Vec<sock_filter> {
    let mut out = Vec::new();
    match verdict {
        Verdict::Fail(errno) => out.push(fail(errno)),
        Verdict::Allow => out.push(op(RETURN, libc::SECCOMP_RET_ALLOW, 0, 0)),
        Verdict::When(tests) => {
            tests.iter().for_each(|t| test(t, &mut out));
            out.push(op(RETURN, libc::SECCOMP_RET_ALLOW, 0, 0));
        }
    }
    out
}

fn search(runs: &[(u32, Verdict)]) -> Vec<sock_filter> {
    let (low, high) = runs.split_at(runs.len() / 2);
    let (Some(_), Some((first, verdict))) = (low.first(), high.first()) else {
        return high
            .first()
            .map_or_else(|| vec![fail(libc::EPERM)], |(_, verdict)| leaf(*verdict));
    };
    let _ = verdict;
    let (below, above) = (search(low), search(high));
    let mut out = Vec::with_capacity(below.len() + above.len() + 2);
    match u8::try_from(below.len()) {
        Ok(skip) => out.push(op(IF_AT_LEAST, *first, skip, 0)),
        Err(_) => {
            out.push(op(IF_AT_LEAST, *first, 0, 1));
            out.push(op(
                JUMP,
                u32::try_from(below.len()).unwrap_or(u32::MAX),
                0,
                0,
            ));
        }
    }
    out.extend(below);
    out.extend(above);
    out
}

/// The whole filter. A foreign architecture (i386 by `int 0x80`) kills; x32 numbers are beyond the table.
pub(crate) fn compile() -> Vec<sock_filter> {
    let mut out = vec![
        op(LOAD, ARCH, 0, 0),
        op(IF_EQUAL, THIS_ARCH, 1, 0),
        op(RETURN, libc::SECCOMP_RET_KILL_PROCESS, 0, 0),
        op(LOAD, NUMBER, 0, 0),
    ];
    out.extend(search(&runs()));
    out
}

#[cfg(test)]
mod tests;
