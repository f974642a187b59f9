//! Who may read questions and answer them: the gate's own user, and not from within the agent that asks.

use std::sync::Arc;

use bailiwick_approval::socket::Door;

use crate::person::name_of;

/// The longest chain of parents that is followed.
const MAX_CHAIN: usize = 256;

/// The door of this process's gate. The agent is whoever may have started it, and the whole session that it runs in.
pub(crate) fn door() -> Door {
    let us = rustix::process::geteuid().as_raw();
    // As they stand now: who started the gate may end and leave it to init.
    let inside = Inside::of(std::process::id(), parent, session);
    Arc::new(move |peer| {
        let uid = peer.uid();
        if uid != us && uid != 0 {
            return Err(format!("the gate belongs to {}", name_of(us)));
        }
        let pid = peer.pid().filter(|pid| *pid > 0);
        let pid = pid.ok_or("it cannot be told which process you are: come from the same machine, outside containers")?;
        let inside = inside.as_ref().map_err(Clone::clone)?;
        if inside.holds(pid, parent, session)? {
            return Err("the agent that asks cannot answer: use another terminal".to_owned());
        }
        Ok(name_of(uid))
    })
}

/// Where the agent is: no process that descends from these, or shares their session, is a person elsewhere.
#[derive(Debug)]
struct Inside {
    processes: Vec<i32>,
    sessions: Vec<i32>,
}

impl Inside {
    /// The gate, who started it, and so on up to the leader of the session that they run in. Which of these is the agent
    /// and which a wrapper cannot be told, so all of them count. What stands above that leader started other terminals
    /// too.
    fn of(
        gate: u32,
        parent: impl Fn(i32) -> Option<i32>,
        session: impl Fn(i32) -> Option<i32>,
    ) -> Result<Self, String> {
        let untold = || "it cannot be told who started the gate: start it again".to_owned();
        let gate = i32::try_from(gate).map_err(|_| untold())?;
        let own = session(gate).ok_or_else(untold)?;
        let (mut processes, mut sessions) = (vec![gate], vec![own]);
        for above in ancestors(gate, parent)?.into_iter().skip(1) {
            // What init started has nobody above it.
            if above <= 1 {
                break;
            }
            let theirs = session(above).ok_or_else(untold)?;
            if !sessions.contains(&theirs) {
                // A gate that was started into a session of its own was started from another one.
                if processes.len() > 1 {
                    break;
                }
                sessions.push(theirs);
            }
            processes.push(above);
            if above == theirs {
                break;
            }
        }
        Ok(Self {
            processes,
            sessions,
        })
    }

    fn holds(
        &self,
        peer: i32,
        parent: impl Fn(i32) -> Option<i32>,
        session: impl Fn(i32) -> Option<i32>,
    ) -> Result<bool, String> {
        let theirs =
            session(peer).ok_or("it cannot be told on which terminal you are: try again")?;
        let chain = ancestors(peer, parent)?;
        Ok(self.sessions.contains(&theirs) || chain.iter().any(|one| self.processes.contains(one)))
    }
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

fn session(pid: i32) -> Option<i32> {
    let session = rustix::process::getsid(Some(rustix::process::Pid::from_raw(pid)?)).ok()?;
    Some(session.as_raw_nonzero().get())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Process, parent, session: two terminals of one desktop, an agent on the first, a gate that its wrapper started.
    const TABLE: [(i32, i32, i32); 10] = [
        (10, 1, 10),
        (20, 10, 20),
        (21, 20, 20),
        (22, 21, 20),
        (23, 22, 20),
        (24, 21, 24),
        (25, 1, 20),
        (30, 10, 30),
        (31, 30, 30),
        (40, 22, 40),
    ];

    fn up(pid: i32) -> Option<i32> {
        TABLE.iter().find(|row| row.0 == pid).map(|row| row.1)
    }

    fn of(pid: i32) -> Option<i32> {
        TABLE.iter().find(|row| row.0 == pid).map(|row| row.2)
    }

    #[test]
    fn all_that_may_have_started_the_gate_and_their_session_are_the_agent() {
        let inside = Inside::of(23, up, of).unwrap();
        assert_eq!(inside.processes, [23, 22, 21, 20]);
        // A sibling in a session of its own, and one that init adopted, are the agent's all the same.
        for (pid, held) in [(22, true), (24, true), (25, true), (30, false), (31, false)] {
            assert_eq!(inside.holds(pid, up, of), Ok(held), "{pid}");
        }
        assert!(inside.holds(99, up, of).is_err(), "who cannot be traced");
        let alone = Inside::of(40, up, of).unwrap();
        assert_eq!(alone.processes, [40, 22, 21, 20]);
        assert_eq!(alone.holds(24, up, of), Ok(true));
        assert_eq!(alone.holds(31, up, of), Ok(false));
        assert!(Inside::of(99, up, of).is_err());
    }

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
