//! Who may read questions and answer them: the gate's own user, and not from within the agent that asks.

use std::sync::Arc;

use bailiwick_approval::socket::Door;

use crate::person::name_of;

/// The longest chain of parents that is followed.
const MAX_CHAIN: usize = 256;

/// The door of this process's gate. The agent is who started it.
pub(crate) fn door() -> Door {
    let us = rustix::process::geteuid().as_raw();
    let gate = i32::try_from(std::process::id()).unwrap_or_default();
    let agent = rustix::process::getppid().map_or(0, |pid| pid.as_raw_nonzero().get());
    Arc::new(move |peer| {
        let uid = peer.uid();
        if uid != us && uid != 0 {
            return Err(format!("the gate belongs to {}", name_of(us)));
        }
        let pid = peer.pid().filter(|pid| *pid > 0);
        let pid = pid.ok_or("it cannot be told which process you are: come from the same machine, outside containers")?;
        let chain = ancestors(pid, parent)?;
        // What init started has no agent above it.
        let within = |one: &i32| *one > 1 && (*one == agent || *one == gate);
        if chain.iter().any(within) {
            return Err("the agent that asks cannot answer: use another terminal".to_owned());
        }
        Ok(name_of(uid))
    })
}

/// A process, its parent, that one's parent, and so on.
fn ancestors(pid: i32, parent: impl Fn(i32) -> Option<i32>) -> Result<Vec<i32>, String> {
    let mut chain = vec![pid];
    let mut at = pid;
    while at > 1 {
        at = parent(at).ok_or("it cannot be told who started you: try again")?;
        chain.push(at);
        if chain.len() > MAX_CHAIN {
            return Err("too many processes stand between you and the system".to_owned());
        }
    }
    Ok(chain)
}

/// As proc(5) says it: the fourth field, after a name that may hold anything.
fn parent(pid: i32) -> Option<i32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(") ")?;
    rest.split(' ').nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_started_whom_is_followed_to_the_end() {
        let own = i32::try_from(std::process::id()).unwrap();
        let chain = ancestors(own, parent).unwrap();
        let above = rustix::process::getppid().unwrap().as_raw_nonzero().get();
        assert_eq!(chain.get(1), Some(&above));
        assert!(
            ancestors(own, |_| None).is_err(),
            "who cannot be traced stays out"
        );
        assert!(
            ancestors(own, |pid| Some(pid + 1)).is_err(),
            "a chain has an end"
        );
    }
}
