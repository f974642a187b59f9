//! `runtime`: what is started, with which constants and limits.

use std::collections::BTreeMap;

use bailiwick_capability::{Capability, Kind};

use super::{Carrier, Reader};
use crate::parts::{Atom, Limits, Runtime, Start};
use crate::tree::{Key, Node, Value};
use crate::units;

/// The most words of a command.
const MAX_WORDS: usize = 256;
/// The most constants in `env`.
const MAX_ENV: usize = 64;
/// The longest value of a constant, in bytes.
const MAX_ENV_VALUE: usize = 4096;
/// The most processes that a plugin may ask for.
const MAX_PROCESSES: u64 = 4096;
/// The keys of `runtime`.
pub(crate) const RUNTIME_KEYS: [&str; 4] = ["command", "component", "env", "limits"];
/// The keys of `runtime.limits`.
pub(crate) const LIMIT_KEYS: [&str; 5] = ["memory", "call", "start", "output", "processes"];
/// Variables with these beginnings steer the loader or the gate itself, never the plugin alone.
const RESERVED_ENV: [&str; 2] = ["LD_", "BAILIWICK_"];

/// Reads `runtime`.
pub(crate) fn runtime(
    reader: &mut Reader,
    node: &Node,
    carrier: Carrier,
    atoms: &[Atom],
) -> Option<Runtime> {
    let mut starts: Vec<(&Key, Option<Start>)> = Vec::new();
    let mut env = BTreeMap::new();
    let mut limits = Limits::default();
    for (key, value) in reader.map(node, "`runtime`") {
        match key.text.as_str() {
            "command" => starts.push((key, command(reader, value))),
            "component" => starts.push((key, component(reader, value))),
            "env" => env = environment(reader, value, atoms),
            "limits" => limits = read_limits(reader, value),
            _ => reader.unknown_key(key, &RUNTIME_KEYS),
        }
    }
    let start = match (starts.as_mut_slice(), carrier) {
        ([], Carrier::Component) => Some(Start::Embedded),
        ([(key, _), ..], Carrier::Component) => {
            reader.problem(
                key.span,
                format!("`{}` in a manifest that a component carries", key.text),
                "remove it: the component itself is what runs",
            );
            None
        }
        ([(_, start)], Carrier::File) => start.take(),
        ([], Carrier::File) => {
            reader.problem(
                node.span,
                "`runtime` says not what to start",
                "add `command: [npx, -y, my-server]` or `component: plugin.wasm`",
            );
            None
        }
        ([_, (key, _), ..], Carrier::File) => {
            reader.problem(
                key.span,
                "`runtime` has both `command` and `component`",
                "keep one of the two",
            );
            None
        }
    };
    Some(Runtime {
        start: start?,
        env,
        limits,
        span: node.span,
    })
}

fn command(reader: &mut Reader, node: &Node) -> Option<Start> {
    if let Value::Text(text) = &node.value {
        let words: Vec<&str> = text.split_whitespace().collect();
        reader.problem(
            node.span,
            "`command` is one string; no shell will split it",
            format!("write it as a list: `[{}]`", words.join(", ")),
        );
        return None;
    }
    let items = reader.list(node, "`command`");
    if items.len() > MAX_WORDS {
        reader.problem(
            node.span,
            format!("a command of more than {MAX_WORDS} words"),
            "move its arguments into a file of the plugin's own",
        );
        return None;
    }
    let mut words = Vec::with_capacity(items.len());
    for item in items {
        let word = reader.string(item, "a word of the command")?;
        if word.contains('\0') {
            reader.problem(item.span, "a NUL in the command", "remove it");
            return None;
        }
        words.push(word.to_owned());
    }
    let program = words.first().map_or("", String::as_str);
    if let Some(why) = wrong_program(program) {
        let span = items.first().map_or(node.span, |item| item.span);
        reader.problem(
            span,
            why,
            "name an absolute path, `./program` beside the manifest, or a bare name such as `npx`",
        );
        return None;
    }
    Some(Start::Command(words))
}

fn wrong_program(program: &str) -> Option<&'static str> {
    if program.is_empty() {
        return Some("the command is empty");
    }
    if program.split('/').any(|part| part == "..") {
        return Some("the program's path holds `..`");
    }
    if program.contains('/') && !program.starts_with('/') && !program.starts_with("./") {
        return Some("the program's path is relative to nothing in particular");
    }
    program
        .chars()
        .any(char::is_control)
        .then_some("a control character in the program's name")
}

fn component(reader: &mut Reader, node: &Node) -> Option<Start> {
    let text = reader.string(node, "`component`")?;
    let path = text.strip_prefix("./").unwrap_or(text);
    let inside = !path.is_empty()
        && path
            .split('/')
            .all(|part| !part.is_empty() && part != "." && part != "..")
        && !path.contains('\\')
        && !path.chars().any(char::is_control);
    if !inside {
        reader.problem(
            node.span,
            format!(
                "`{}` is no path inside the manifest's folder",
                text.escape_debug()
            ),
            "write it relative to the manifest, without `..`, such as `plugin.wasm`",
        );
        return None;
    }
    Some(Start::Component(path.to_owned()))
}

fn environment(reader: &mut Reader, node: &Node, atoms: &[Atom]) -> BTreeMap<String, String> {
    let entries = reader.map(node, "`env`");
    let mut found = BTreeMap::new();
    if entries.len() > MAX_ENV {
        reader.problem(
            node.span,
            format!("more than {MAX_ENV} constants in `env`"),
            "move them into a file of the plugin's own",
        );
        return found;
    }
    for (key, value) in entries {
        let Some(text) = reader.string(value, "a constant in `env`") else {
            continue;
        };
        if text.len() > MAX_ENV_VALUE || text.contains('\0') {
            reader.problem(
                value.span,
                format!("the value of `{}` is too long or holds a NUL", key.text),
                "at most 4096 bytes, no NUL",
            );
        }
        if variable(reader, key, atoms) {
            found.insert(key.text.clone(), text.to_owned());
        }
    }
    found
}

/// Whether a constant may have this name: a proper one, not reserved, and asked for.
fn variable(reader: &mut Reader, key: &Key, atoms: &[Atom]) -> bool {
    let name = key.text.as_str();
    let Some(wanted) = (!name.ends_with('*'))
        .then(|| Capability::parse_scope(Kind::ReadEnvironment, name).ok())
        .flatten()
    else {
        reader.problem(
            key.span,
            format!("`{}` is not a variable's name", name.escape_debug()),
            "use letters, digits and `_`, not beginning with a digit",
        );
        return false;
    };
    if RESERVED_ENV.iter().any(|begin| name.starts_with(begin)) {
        reader.problem(
            key.span,
            format!("`{name}` is not for a plugin to set"),
            "remove it: it would steer the loader or the gate",
        );
        return false;
    }
    if !atoms.iter().any(|atom| atom.capability.contains(&wanted)) {
        reader.problem(
            key.span,
            format!("`{name}` is set here but not asked for"),
            format!("add `- read_environment:{name}` to `required_capabilities` or `optional_capabilities`"),
        );
        return false;
    }
    true
}

fn read_limits(reader: &mut Reader, node: &Node) -> Limits {
    let mut limits = Limits::default();
    for (key, value) in reader.map(node, "`limits`") {
        match key.text.as_str() {
            "memory" => limits.memory_bytes = size(reader, key, value),
            "output" => limits.output_bytes = size(reader, key, value),
            "call" => limits.call = time(reader, key, value),
            "start" => limits.start = time(reader, key, value),
            "processes" => limits.processes = processes(reader, value),
            _ => reader.unknown_key(key, &LIMIT_KEYS),
        }
    }
    limits
}

/// A number may stand without quotes, for bytes.
fn written(node: &Node) -> String {
    match &node.value {
        Value::Text(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => String::new(),
    }
}

fn size(reader: &mut Reader, key: &Key, node: &Node) -> Option<u64> {
    let read = units::size(&written(node));
    if read.is_none() {
        reader.problem(
            node.span,
            format!("`{}` is not a size", key.text),
            "write bytes, or a whole number with KiB, MiB or GiB, such as `256MiB`; at most 1024GiB",
        );
    }
    read
}

fn time(reader: &mut Reader, key: &Key, node: &Node) -> Option<std::time::Duration> {
    let read = units::time(&written(node));
    if read.is_none() {
        reader.problem(
            node.span,
            format!("`{}` is not a time", key.text),
            "write a whole number with ms, s, m or h, such as `30s`; at most 24h",
        );
    }
    read
}

fn processes(reader: &mut Reader, node: &Node) -> Option<u32> {
    let read = match &node.value {
        Value::Number(number) => number.as_u64(),
        _ => None,
    };
    let fits = read
        .filter(|count| (1..=MAX_PROCESSES).contains(count))
        .and_then(|count| u32::try_from(count).ok());
    if fits.is_none() {
        reader.problem(
            node.span,
            "`processes` is not a count",
            format!("write a whole number from 1 to {MAX_PROCESSES}"),
        );
    }
    fits
}
