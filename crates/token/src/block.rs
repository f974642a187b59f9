//! The content of a block: our facts in one fixed form, and nothing else.
//!
//! Every text is a byte-string term. Biscuit prints string terms without escaping, so a quote in a user's name could
//! otherwise become a fact when a block is read back.

use bailiwick_capability::{Capability, Grant, Granted};
use biscuit_auth::builder::{
    Binary, BlockBuilder, Check, CheckKind, Expression, Fact, Op, Term, bytes, constrained_rule,
    fact, int, pred, var,
};

use crate::{Claims, TokenError};

/// The most atoms of one block.
pub const MAX_ATOMS: usize = 1024;
/// Names the block's form; the number changes with it.
const AUTHORITY: &str = "bailiwick_grant";
/// The same for an appended block.
const ATTENUATION: &str = "bailiwick_attenuation";
/// Begins every text claim: Biscuit prints an empty byte string as something that it cannot read.
const TEXT: char = '=';
/// The form that this version writes and reads.
const FORM: i64 = 1;

/// The facts and the check of the authority block.
pub(crate) fn authority(claims: &Claims) -> Result<BlockBuilder, TokenError> {
    let mut facts = vec![
        fact(AUTHORITY, &[int(FORM)]),
        fact("plugin_digest", &[bytes(&claims.plugin_digest)]),
        fact("issued", &[int(claims.issued)]),
    ];
    facts.extend(
        claims
            .texts()
            .map(|(name, text)| fact(name, &[bytes(format!("{TEXT}{text}").as_bytes())])),
    );
    body(facts, &claims.grant, Some(claims.expires))
}

/// The facts and the check of an appended block.
pub(crate) fn attenuation(grant: &Grant, expires: Option<i64>) -> Result<BlockBuilder, TokenError> {
    body(vec![fact(ATTENUATION, &[int(FORM)])], grant, expires)
}

fn body(
    mut facts: Vec<Fact>,
    grant: &Grant,
    expires: Option<i64>,
) -> Result<BlockBuilder, TokenError> {
    if grant.atoms().len() > MAX_ATOMS {
        return Err(TokenError::TooLarge("too many atoms"));
    }
    for (number, granted) in (0_i64..).zip(grant.atoms()) {
        facts.push(atom("atom", number, granted.capability())?);
        for hole in granted.holes() {
            facts.push(atom("hole", number, hole)?);
        }
    }
    if let Some(expires) = expires {
        facts.push(fact("expires", &[int(expires)]));
    }
    Ok(BlockBuilder {
        facts,
        checks: expires.map(until).transpose()?.into_iter().collect(),
        ..BlockBuilder::default()
    })
}

fn atom(name: &str, number: i64, capability: &Capability) -> Result<Fact, TokenError> {
    let text = capability.to_string();
    if text.parse().as_ref() != Ok(capability) {
        return Err(TokenError::Unsealable(format!(
            "`{text}`, which does not read back as it was meant"
        )));
    }
    Ok(fact(name, &[int(number), bytes(text.as_bytes())]))
}

/// `check if time($time), $time < …`: so that any Biscuit verifier holds the expiry, too.
fn until(expires: i64) -> Result<Check, TokenError> {
    let date = u64::try_from(expires)
        .map_err(|_| TokenError::Unsealable("a time before 1970".to_owned()))?;
    let none: &[Term] = &[];
    let expression = Expression {
        ops: vec![
            Op::Value(var("time")),
            Op::Value(Term::Date(date)),
            Op::Binary(Binary::LessThan),
        ],
    };
    Ok(Check {
        queries: vec![constrained_rule(
            "query",
            none,
            &[pred("time", &[var("time")])],
            &[expression],
        )],
        kind: CheckKind::One,
    })
}

/// Reads the authority block from its Datalog source.
pub(crate) fn read_authority(source: &str) -> Result<Claims, String> {
    let builder = parse(source)?;
    let facts = Facts(&builder.facts);
    let claims = Claims {
        session: facts.text("session")?,
        plugin: facts.text("plugin")?,
        plugin_version: facts.text("plugin_version")?,
        plugin_digest: facts
            .bytes("plugin_digest")?
            .try_into()
            .map_err(|_| "a digest that is not 32 bytes long".to_owned())?,
        user: facts.text("user")?,
        agent: facts.text("agent")?,
        grant: facts.grant()?,
        issued: facts.int("issued")?,
        expires: facts.int("expires")?,
    };
    exactly(&builder, authority(&claims))?;
    Ok(claims)
}

/// Reads an appended block from its Datalog source.
pub(crate) fn read_attenuation(source: &str) -> Result<(Grant, Option<i64>), String> {
    let builder = parse(source)?;
    let facts = Facts(&builder.facts);
    let grant = facts.grant()?;
    let expires = if facts.named("expires").next().is_some() {
        Some(facts.int("expires")?)
    } else {
        None
    };
    exactly(&builder, attenuation(&grant, expires))?;
    Ok((grant, expires))
}

fn parse(source: &str) -> Result<BlockBuilder, String> {
    BlockBuilder::new()
        .code(source)
        .map_err(|_| "what cannot be read".to_owned())
}

/// The vocabulary is closed: what was read, written again, must be all that is there.
fn exactly(found: &BlockBuilder, ours: Result<BlockBuilder, TokenError>) -> Result<(), String> {
    let ours = ours.map_err(|error| error.to_string())?;
    let sorted = |builder: &BlockBuilder| {
        let mut facts: Vec<String> = builder.facts.iter().map(|one| format!("{one:?}")).collect();
        facts.sort_unstable();
        facts
    };
    if let Some(odd) = found.facts.iter().find(|one| !ours.facts.contains(one)) {
        return Err(format!("the unknown fact `{}`", odd.predicate.name));
    }
    if sorted(found) != sorted(&ours) {
        return Err("facts that are missing or stand twice".to_owned());
    }
    if !found.rules.is_empty() {
        return Err("a rule".to_owned());
    }
    if !found.scopes.is_empty() || found.context.is_some() {
        return Err("a scope or a context".to_owned());
    }
    let printed = |builder: &BlockBuilder| -> Vec<String> {
        builder.checks.iter().map(ToString::to_string).collect()
    };
    if printed(found) != printed(&ours) {
        return Err("an unknown check".to_owned());
    }
    Ok(())
}

struct Facts<'a>(&'a [Fact]);

impl<'a> Facts<'a> {
    fn named(&self, name: &'static str) -> impl Iterator<Item = &'a [Term]> {
        self.0
            .iter()
            .filter(move |one| one.predicate.name == name)
            .map(|one| one.predicate.terms.as_slice())
    }

    fn only(&self, name: &'static str) -> Result<&'a Term, String> {
        let mut found = self.named(name);
        match (found.next(), found.next()) {
            (Some([term]), None) => Ok(term),
            _ => Err(format!("not exactly one fact `{name}`")),
        }
    }

    fn bytes(&self, name: &'static str) -> Result<Vec<u8>, String> {
        match self.only(name)? {
            Term::Bytes(bytes) => Ok(bytes.clone()),
            _ => Err(format!("a `{name}` of another type")),
        }
    }

    fn text(&self, name: &'static str) -> Result<String, String> {
        String::from_utf8(self.bytes(name)?)
            .ok()
            .and_then(|text| text.strip_prefix(TEXT).map(str::to_owned))
            .ok_or_else(|| format!("a `{name}` that is no text"))
    }

    fn int(&self, name: &'static str) -> Result<i64, String> {
        match self.only(name)? {
            Term::Integer(number) => Ok(*number),
            _ => Err(format!("a `{name}` of another type")),
        }
    }

    fn numbered(&self, name: &'static str) -> Result<Vec<(i64, Capability)>, String> {
        self.named(name)
            .map(|terms| match terms {
                [Term::Integer(number), Term::Bytes(text)] => std::str::from_utf8(text)
                    .ok()
                    .and_then(|text| text.parse().ok())
                    .map(|capability| (*number, capability)),
                _ => None,
            })
            .collect::<Option<_>>()
            .ok_or_else(|| format!("a `{name}` that is no capability"))
    }

    fn grant(&self) -> Result<Grant, String> {
        let holes = self.numbered("hole")?;
        let mut atoms = Vec::new();
        for (number, capability) in self.numbered("atom")? {
            let cut = holes
                .iter()
                .filter(|(of, _)| *of == number)
                .map(|(_, hole)| hole.clone());
            atoms.push(
                Granted::with_holes(capability, cut)
                    .ok_or_else(|| "an atom of which nothing is left".to_owned())?,
            );
        }
        Ok(Grant::new(atoms))
    }
}
