//! Compiles the table of system calls into a classic BPF program (seccomp(2), filter.h).
//!
//! A balanced search over runs of equal verdicts: a call costs about log2(runs) comparisons.

mod descriptors;
mod table;

use descriptors::UNGUARDED;
use libc::{c_long, sock_filter};
use table::{
    ALLOWED, JUDGED, LAST_KNOWN, LEGACY, NETWORK, Rule, TERMINALS, Test, WATCHED, Watched,
};

use crate::cgroup;
use crate::extras::Watch;
use crate::supervise::ASK;

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
pub(crate) const THIS_ARCH: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
pub(crate) const THIS_ARCH: u32 = 0xc000_00b7;

/// Which of the filters: all refuse the same but for sockets, which only a networked wall has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Profile {
    pub(crate) network: bool,
    /// Whether it has terminals of its own, and none of the host's.
    pub(crate) terminals: bool,
    pub(crate) watch: Watch,
}

/// The verdict on a run of numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// Passes when every test holds, past the host where it is watched.
    Pass(&'static [Test], Watched),
    /// Refused, with an event.
    Refuse(i32),
    /// Refused without one: callers only ask whether it exists.
    Absent(i32),
}

/// x32 numbers begin here.
pub(crate) const X32: u32 = 0x4000_0000;

fn verdict(number: u32, profile: Profile) -> Verdict {
    if number == ASK && profile.watch != Watch::Nothing {
        return Verdict::Pass(&[], Watched::Always);
    }
    let wanted = c_long::from(number);
    let find = |table: &[(c_long, Rule)]| {
        let found = table.iter().find(|(number, _)| *number == wanted);
        found.map(|(_, rule)| *rule)
    };
    // A memory file on its way between processes is nobody's memory: only a control group counts it.
    if wanted == libc::SYS_memfd_create && !cgroup::holds_memory() {
        return Verdict::Refuse(libc::ENOSYS);
    }
    let networked = profile.network.then(|| find(NETWORK)).flatten();
    let terminals = profile.terminals.then(|| find(TERMINALS)).flatten();
    let unguarded = (profile.watch == Watch::Nothing).then(|| find(UNGUARDED));
    let particular = networked.or(terminals).or(unguarded.flatten());
    let tests: &[Test] = match particular.or_else(|| find(JUDGED)) {
        Some(Rule::When(tests)) => tests,
        Some(Rule::Absent) => return Verdict::Absent(libc::ENOSYS),
        Some(Rule::Refused) => return Verdict::Refuse(libc::ENOSYS),
        Some(Rule::Unlocked) => return Verdict::Absent(libc::ENOLCK),
        Some(Rule::Unsupported) => return Verdict::Absent(libc::EOPNOTSUPP),
        None if ALLOWED.contains(&wanted) || LEGACY.contains(&wanted) => &[],
        None if number >= X32 => return Verdict::Refuse(libc::ENOSYS),
        None if number > LAST_KNOWN => return Verdict::Absent(libc::ENOSYS),
        None => return Verdict::Refuse(libc::EPERM),
    };
    let watched = WATCHED
        .iter()
        .find(|(number, level, _)| *number == wanted && profile.watch >= *level);
    Verdict::Pass(
        tests,
        watched.map_or(Watched::No, |(_, _, watched)| *watched),
    )
}

/// Runs of equal verdicts, by first number, covering every number.
fn runs(profile: Profile) -> Vec<(u32, Verdict)> {
    let mut runs: Vec<(u32, Verdict)> = Vec::new();
    for number in (0..=LAST_KNOWN + 1).chain([ASK, ASK + 1, X32]) {
        let verdict = verdict(number, profile);
        if runs.last().is_none_or(|(_, last)| *last != verdict) {
            runs.push((number, verdict));
        }
    }
    runs
}

/// What the filter says of a call, told again by the host for a call that waits for its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Judged {
    /// Refused by the filter with this error.
    Refused(i32),
    /// Not refused by the filter; the kernel decides on the rest.
    Watched,
}

/// Judges a call as the compiled filter did.
pub(crate) fn judge(profile: Profile, arch: u32, number: i32, arguments: &[u64; 6]) -> Judged {
    if arch != THIS_ARCH {
        return Judged::Refused(libc::ENOSYS);
    }
    let holds = |test: &Test| {
        let argument = arguments.get(test.argument as usize).copied().unwrap_or(0);
        // The lower half is what the kernel looks at, and the filter.
        let value = (argument & u64::from(u32::MAX)) as u32 & test.mask;
        test.any.contains(&value) != test.negated
    };
    match verdict(number.cast_unsigned(), profile) {
        Verdict::Refuse(errno) | Verdict::Absent(errno) => Judged::Refused(errno),
        Verdict::Pass(tests, _) if tests.iter().all(holds) => Judged::Watched,
        Verdict::Pass(..) => Judged::Refused(libc::EPERM),
    }
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

/// Hands the call to the host, which answers it.
fn ask() -> sock_filter {
    op(RETURN, libc::SECCOMP_RET_USER_NOTIF, 0, 0)
}

fn allow() -> sock_filter {
    op(RETURN, libc::SECCOMP_RET_ALLOW, 0, 0)
}

fn refuse(errno: i32, profile: Profile) -> sock_filter {
    match profile.watch {
        Watch::Nothing => fail(errno),
        Watch::Acts | Watch::Everything | Watch::Looks => ask(),
    }
}

/// Instructions that return `otherwise` unless the tested argument is one of the test's values, or none of them.
fn test(test: &Test, otherwise: sock_filter, out: &mut Vec<sock_filter>) {
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
    out.push(otherwise);
}

fn leaf(verdict: Verdict, profile: Profile) -> Vec<sock_filter> {
    let mut out = Vec::new();
    match verdict {
        Verdict::Absent(errno) => out.push(fail(errno)),
        Verdict::Refuse(errno) => out.push(refuse(errno, profile)),
        Verdict::Pass(tests, watched) => {
            let refusal = refuse(libc::EPERM, profile);
            tests.iter().for_each(|t| test(t, refusal, &mut out));
            match watched {
                Watched::No => out.push(allow()),
                Watched::Always => out.push(ask()),
                Watched::Unless(unwatched) => {
                    test(&unwatched, ask(), &mut out);
                    out.push(allow());
                }
            }
        }
    }
    out
}

fn search(runs: &[(u32, Verdict)], profile: Profile) -> Vec<sock_filter> {
    let (low, high) = runs.split_at(runs.len() / 2);
    let (Some(_), Some((first, verdict))) = (low.first(), high.first()) else {
        return high.first().map_or_else(
            || vec![fail(libc::EPERM)],
            |(_, verdict)| leaf(*verdict, profile),
        );
    };
    let _ = verdict;
    let (below, above) = (search(low, profile), search(high, profile));
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

/// The whole filter. A foreign architecture (i386 by `int 0x80`) kills, or is refused where that is told.
pub(crate) fn compile(profile: Profile) -> Vec<sock_filter> {
    let foreign = match profile.watch {
        Watch::Nothing => op(RETURN, libc::SECCOMP_RET_KILL_PROCESS, 0, 0),
        Watch::Acts | Watch::Everything | Watch::Looks => ask(),
    };
    let mut out = vec![
        op(LOAD, ARCH, 0, 0),
        op(IF_EQUAL, THIS_ARCH, 1, 0),
        foreign,
        op(LOAD, NUMBER, 0, 0),
    ];
    out.extend(search(&runs(profile), profile));
    out
}

#[cfg(test)]
mod tests;
