//! The check of one operation against a compiled grant of twenty atoms.

use std::collections::HashMap;
use std::hint::black_box;

use bailiwick_capability::{Capability, Grant, Granted};

use super::Effort;
use crate::Outcome;
use crate::sample::{Row, Side, compare};

pub(crate) fn measure(effort: Effort) -> Outcome<Vec<Row>> {
    let atoms = atoms();
    let grant = Grant::new(
        atoms
            .iter()
            .map(|atom| atom.parse::<Granted>())
            .collect::<Result<Vec<_>, _>>()?,
    );
    if grant.atoms().len() != atoms.len() {
        return Err("some atoms lie inside others".into());
    }
    let known: HashMap<String, usize> = atoms.into_iter().zip(0..).collect();
    let mut rows = Vec::new();
    for (name, point, key) in [
        (
            "check of a path",
            "read_files:/data/set4/2026/report.txt",
            "read_files:/data/set4/",
        ),
        (
            "check of a URL",
            "network_access:https://h4.example.com/v1/items/7 GET",
            "network_access:https://h4.example.com/v1/ GET",
        ),
        (
            "check that refuses a path",
            "read_files:/etc/shadow",
            "read_files:/etc/shadow",
        ),
    ] {
        let operation: Capability = point.parse()?;
        let wanted = known.contains_key(key);
        let answer = move |found: bool| {
            if found == wanted {
                Ok(())
            } else {
                Err(format!("`{point}`: {found}").into())
            }
        };
        let mut sides = [
            Side::new("Grant::permits", || {
                answer(black_box(&grant).permits(black_box(&operation)))
            }),
            Side::new("hash look-up", || {
                answer(black_box(&known).contains_key(black_box(key)))
            }),
        ];
        rows.extend(compare(name, effort.plan(1000, 200), &mut sides)?);
    }
    Ok(rows)
}

fn atoms() -> Vec<String> {
    let mut atoms = Vec::new();
    for i in 0..5 {
        atoms.push(format!("read_files:/data/set{i}/"));
        atoms.push(format!("write_files:/data/out{i}/"));
        atoms.push(format!("network_access:https://h{i}.example.com/v1/ GET"));
        atoms.push(format!("read_environment:NAME_{i}"));
    }
    atoms
}
