//! What is measured, a file each.

mod audit;
mod audit_durable;
mod audit_memory;
mod audit_query;
mod audit_verify;
mod call;
mod decision;
mod egress;
mod idle;
mod operation;
mod spawn;
mod token;
mod transfer;
mod wasm;
mod watch;

pub(crate) use audit_memory::once as audit_once;

use crate::Outcome;
use crate::sample::{Plan, Row};

/// How much to measure.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Effort {
    pub(crate) quick: bool,
    /// Entries of the long log, where it is to have another length.
    pub(crate) entries: Option<u64>,
}

impl Effort {
    /// `rounds` samples, each the mean of `batch` runs; a few where it has to be quick.
    pub(crate) fn plan(self, rounds: usize, batch: u32) -> Plan {
        if self.quick {
            return Plan {
                rounds: rounds.min(20),
                batch: batch.min(20),
            };
        }
        Plan { rounds, batch }
    }
}

/// Rows that are measured together.
pub(crate) struct Group {
    pub(crate) name: &'static str,
    pub(crate) measure: fn(Effort) -> Outcome<Vec<Row>>,
}

const GROUPS: &[Group] = &[
    Group {
        name: "spawn",
        measure: spawn::measure,
    },
    Group {
        name: "idle",
        measure: idle::measure,
    },
    Group {
        name: "wasm",
        measure: wasm::measure,
    },
    Group {
        name: "call",
        measure: call::measure,
    },
    Group {
        name: "call-node",
        measure: call::measure_node,
    },
    Group {
        name: "operation",
        measure: operation::measure,
    },
    Group {
        name: "watch",
        measure: watch::measure,
    },
    Group {
        name: "decision-load",
        measure: decision::measure_load,
    },
    Group {
        name: "decision-call",
        measure: decision::measure_call,
    },
    Group {
        name: "egress-request",
        measure: egress::measure,
    },
    Group {
        name: "egress-transfer",
        measure: transfer::measure,
    },
    Group {
        name: "audit",
        measure: audit::measure,
    },
    Group {
        name: "audit-durable",
        measure: audit_durable::measure,
    },
    Group {
        name: "audit-verify",
        measure: audit_verify::measure,
    },
    Group {
        name: "audit-memory",
        measure: audit_memory::measure,
    },
    Group {
        name: "audit-query",
        measure: audit_query::measure,
    },
    Group {
        name: "token",
        measure: token::measure,
    },
];

/// Where the system's programs and libraries lie.
pub(crate) fn libraries() -> Vec<std::path::PathBuf> {
    let usual = ["/usr", "/lib", "/lib64", "/bin"].map(std::path::PathBuf::from);
    usual.into_iter().filter(|path| path.exists()).collect()
}

/// The groups whose names begin with one of `names`; all where there are none.
pub(crate) fn choose(names: &[&str]) -> Outcome<Vec<&'static Group>> {
    if let Some(unknown) = names
        .iter()
        .find(|name| !GROUPS.iter().any(|group| group.name.starts_with(**name)))
    {
        let known: Vec<&str> = GROUPS.iter().map(|group| group.name).collect();
        return Err(format!("there is no `{unknown}`; there are {}", known.join(", ")).into());
    }
    let chosen =
        |group: &&Group| names.is_empty() || names.iter().any(|name| group.name.starts_with(name));
    Ok(GROUPS.iter().filter(chosen).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_chosen_by_the_beginning_of_their_names() {
        let names = |asked: &[&str]| -> Vec<&str> {
            choose(asked).unwrap().iter().map(|g| g.name).collect()
        };
        assert_eq!(names(&[]).len(), GROUPS.len());
        assert_eq!(names(&["decision"]), ["decision-load", "decision-call"]);
        assert_eq!(names(&["token", "spawn"]), ["spawn", "token"]);
        assert!(choose(&["nothing"]).is_err());
    }
}
