//! Logs written by hand: what our writer would not write lies beside what it would.

use std::fs;
use std::path::Path;

use bailiwick_audit::{
    AtomDecision, Entry, Event, Filter, Moment, Opening, Outcome, Subject, encode_bundle_openings,
    format_time,
};
use bailiwick_tlog::{TileKind, TilePath, encode_entry};

/// A small generator of numbers, so that a seed says everything.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % sides
    }

    fn pick<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[usize::try_from(self.roll(of.len() as u64)).expect("small")]
    }

    fn maybe(&mut self, of: &[&str]) -> Option<String> {
        (self.roll(3) > 0).then(|| self.pick(of).to_owned())
    }
}

const PLUGINS: &[&str] = &["notes", "git", "no\"tes", "nötes", "note"];
const USERS: &[&str] = &["ann", "bob", "Ann", "a\nb", "ann\\"];
const SESSIONS: &[&str] = &["0af7651916cd", "0af7651916ce", "0af76519", "s1", "é2345678"];
const AGENTS: &[&str] = &["claude 2", "agent"];
const TOOLS: &[&str] = &["notes.search", "git.push", "t"];
const ATOMS: &[&str] = &[
    "read_files:/data/",
    "read_files:/data/hr/x",
    "write_files:/data/hr/ except /data/hr/y",
    "read_files",
    "network_access:https://api.example.com/v1/ GET",
    "network_access:https://*.example.com",
    "execute_code:/usr/bin/git status",
    "execute_code:git",
    "read_environment:APP_*",
    "use_secret:token",
    "read_files:… [70000 bytes, sha256:00]",
    "nonsense",
];
const CONCERNS: &[&str] = &[
    "read_files",
    "/data/hr/x",
    "/data/",
    "/usr/bin/git",
    "read_files:/data/**",
    "network_access:api.example.com",
    "network_access:https://api.example.com/v1/x",
    "network_access:*.example.com",
    "read_environment:APP_X",
    "read_environment:APP_*",
    "use_secret:token",
    "execute_code:git",
    "clock",
];
const TARGETS: &[&str] = &[
    "/data/hr/x",
    "/etc/shadow",
    "api.example.com:443",
    "rel\u{1b}[2J",
];
const TEXTS: &[&str] = &[
    "ann",
    "ANN",
    "hr/",
    "\"user\":\"ann\"",
    "\\n",
    "é",
    "Ö",
    "nothing of it",
    "sealed",
    "x\u{fffd}",
];

fn event(dice: &mut Dice) -> Event {
    let text = |dice: &mut Dice, of: &[&str]| dice.pick(of).to_owned();
    let outcomes = [
        Outcome::Grant,
        Outcome::Partial,
        Outcome::Deny,
        Outcome::Ask,
    ];
    let outcome = outcomes[usize::try_from(dice.roll(4)).expect("small")];
    match dice.roll(9) {
        0 => Event::GateStop {
            reason: text(dice, TEXTS),
        },
        1 => Event::Request {
            version: "1".into(),
            required: vec![text(dice, ATOMS)],
            optional: vec![text(dice, ATOMS)],
        },
        2 => {
            let moment = if dice.roll(2) == 0 {
                Moment::Call
            } else {
                Moment::Load
            };
            let asked = text(dice, if moment == Moment::Call { TOOLS } else { ATOMS });
            let atom = AtomDecision {
                asked,
                outcome,
                granted: vec![text(dice, ATOMS)],
                policies: vec![],
                reasons: vec![],
            };
            Event::Decision {
                outcome,
                moment,
                atoms: vec![atom],
                context: [].into(),
            }
        }
        3 => Event::PluginStart {
            wall: "native".into(),
            grant: vec![text(dice, ATOMS)],
            tools: vec![text(dice, TOOLS)],
            watched: false,
            program: None,
            arguments: vec![],
        },
        4 => Event::ToolCall {
            call: "c".into(),
            tool: text(dice, TOOLS),
            arguments: [].into(),
        },
        5 => Event::CallRefused {
            call: "c".into(),
            tool: text(dice, TOOLS),
            reason: text(dice, TEXTS),
            policies: vec![],
        },
        6 => Event::OperationDenied {
            operation: ["read_files", "network_access", "system_call"]
                [usize::try_from(dice.roll(3)).expect("small")]
            .into(),
            target: text(dice, TARGETS),
            reason: text(dice, TEXTS),
            dropped: dice.roll(2),
        },
        7 => Event::SecretUse {
            secret: "token".into(),
            destination: "https://api.example.com:443".into(),
        },
        _ => Event::OperationAllowed {
            operation: "read_files".into(),
            target: text(dice, TARGETS),
            granted: text(dice, ATOMS),
        },
    }
}

/// One entry and what opens it. Values are the bundle's own, but for bundles in which `strays` are.
fn leaf(dice: &mut Dice, time: u64, home: u64, strays: bool, odd: bool) -> (Vec<u8>, Vec<Opening>) {
    let mut own = Dice(home);
    let mut of = |dice: &mut Dice, values: &[&str]| {
        if !strays || dice.roll(8) > 0 {
            Some(own.pick(values).to_owned())
        } else {
            dice.maybe(values)
        }
    };
    let mut subject = Subject {
        session: of(dice, SESSIONS),
        plugin: of(dice, PLUGINS),
        ..Subject::default()
    };
    subject.agent = of(dice, AGENTS);
    subject.user = of(dice, USERS);
    let mut openings = Vec::new();
    if let Some(user) = subject.user.take_if(|_| dice.roll(2) == 0) {
        let mut salt = [0; 32];
        salt.fill_with(|| dice.roll(256).to_le_bytes()[0]);
        let opening = Opening::new(salt, user);
        subject.user = Some(opening.commitment().to_string());
        // Or it was erased.
        openings.extend((dice.roll(4) > 0).then_some(opening));
    }
    let v = if openings.is_empty() && dice.roll(2) == 0 {
        1
    } else {
        bailiwick_audit::ENTRY_VERSION
    };
    let time = format_time(std::time::Duration::from_secs(1_795_392_000 + time));
    let entry = Entry {
        v,
        time,
        subject,
        event: event(dice),
    };
    let json = serde_json::to_vec(&entry).expect("json");
    let text = String::from_utf8(json.clone()).expect("text");
    let bytes = match dice.roll(if odd { 60 } else { u64::MAX }) {
        0 => b"no JSON at all, of ann".to_vec(),
        1 => text.replacen("{\"v\":", "{\"v\":9", 1).into_bytes(),
        2 => text
            .replacen("\"kind\":\"", "\"kind\":\"un", 1)
            .into_bytes(),
        3 => json.split_at(json.len() - 1).0.to_vec(),
        4 => text.replacen("\"time\"", "\"time\" ", 1).into_bytes(),
        // The same to whoever parses it, and not as our writer spells it.
        5 => text.replace("notes", "no\\u0074es").into_bytes(),
        6 => text.replace("ann", "\\u0061nn").into_bytes(),
        7 => text
            .replace("hr\\/", "hr/")
            .replace('/', "\\/")
            .into_bytes(),
        9 => text.replace("\":", "\" : ").into_bytes(),
        8 => [b"\xff".as_slice(), &json].concat(),
        _ => json,
    };
    (bytes, openings)
}

/// Writes `bundles` full bundles and one of `rest` entries, all published.
pub(crate) fn write_log(dir: &Path, seed: u64, bundles: u64, rest: u64, odd: bool) {
    let mut dice = Dice(seed);
    let mut time = 0;
    let mut roots = Vec::new();
    for bundle in 0..=bundles {
        let count = if bundle == bundles { rest } else { 256 };
        let (home, strays) = (dice.roll(40), dice.roll(8) == 0);
        let odd = odd && dice.roll(4) == 0;
        let mut bytes = Vec::new();
        let mut private = Vec::new();
        for place in 0..count {
            time += dice.roll(3);
            let odd = odd && dice.roll(4) == 0;
            let (leaf, openings) = leaf(&mut dice, time, home, strays, odd);
            encode_entry(&leaf, &mut bytes).expect("fits");
            private.push((u8::try_from(place).expect("small"), openings));
        }
        let width = u16::try_from(count).expect("small");
        if count > 0 {
            put(
                dir,
                &TilePath::new(TileKind::Entries, bundle, width)
                    .expect("a tile")
                    .to_string(),
                &bytes,
            );
        }
        if count == 256 {
            put(
                dir,
                &format!("private/{bundle:012}"),
                &encode_bundle_openings(&private),
            );
            roots.extend_from_slice(&bailiwick_tlog::leaf_hash(&bytes).0);
        }
    }
    for (tile, roots) in roots.chunks(256 * 32).enumerate() {
        let width = u16::try_from(roots.len() / 32).expect("small");
        let name = TilePath::new(TileKind::Hashes(1), tile as u64, width).expect("a tile");
        put(dir, &name.to_string(), roots);
    }
    let size = bundles * 256 + rest;
    put(
        dir,
        "checkpoint",
        format!("example.com/log\n{size}\nAAAA\n\n").as_bytes(),
    );
}

pub(crate) fn put(dir: &Path, name: &str, bytes: &[u8]) {
    let path = dir.join(name);
    fs::create_dir_all(path.parent().expect("a folder")).expect("creates");
    fs::write(path, bytes).expect("writes");
}

/// A filter of values that occur.
pub(crate) fn filter(seed: u64) -> Filter {
    let mut dice = Dice(seed);
    let mut some = |of: &[&str], odds: u64| {
        let hit = dice.roll(odds) == 0;
        let value = dice.pick(of).to_owned();
        hit.then_some(value)
    };
    let times = &[
        "2026-11-23T00:05:00.000Z",
        "2026-11-23T00:00:30.000Z",
        "2026-11-23T03",
        "2026-11-24",
    ];
    Filter {
        plugin: some(PLUGINS, 4),
        user: some(USERS, 4),
        session: some(SESSIONS, 4),
        agent: some(AGENTS, 6),
        tool: some(TOOLS, 6),
        kind: some(
            &["tool_call", "request", "operation_denied", "secret_use"],
            6,
        ),
        capability: some(CONCERNS, 4).map(|text| text.parse().expect("a concern")),
        decision: some(&["grant", "deny", "partial", "ask"], 6).map(|text| match text.as_str() {
            "grant" => Outcome::Grant,
            "deny" => Outcome::Deny,
            "partial" => Outcome::Partial,
            _ => Outcome::Ask,
        }),
        since: some(times, 6),
        until: some(times, 6),
        text: some(TEXTS, 4),
        ignore_case: dice.roll(2) == 0,
        limit: None,
    }
}
