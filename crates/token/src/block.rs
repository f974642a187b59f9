//! The content of a block: our facts in one fixed form, and nothing else.
//!
//! Every text is a byte-string term. Biscuit prints string terms without escaping, so a quote in a user's name could
//! otherwise become a fact when a block is read back.

use bailiwick_capability::{Capability, Grant};
use biscuit_auth::builder::{
    Binary, BlockBuilder, Check, CheckKind, Expression, Fact, Op, Term, bytes, constrained_rule,
    fact, int, pred, var,
};

use crate::approval::{Approving, Ask, Asks, MAX_PEOPLE};
use crate::facts::{Facts, TEXT};
use crate::{Claims, Narrowing, PublicKey, TokenError};

/// The most atoms of one block.
pub const MAX_ATOMS: usize = 1024;
/// Names the block's form; the number changes with it.
const AUTHORITY: &str = "bailiwick_grant";
/// The same for an appended block.
const ATTENUATION: &str = "bailiwick_attenuation";
/// The same for a block that an approver signed.
const APPROVAL: &str = "bailiwick_approval";
/// The form that this version writes and reads.
const FORM: i64 = 1;

/// The facts and the check of the authority block.
pub(crate) fn authority(claims: &Claims) -> Result<BlockBuilder, TokenError> {
    let mut facts = vec![
        fact(AUTHORITY, &[int(FORM)]),
        fact("plugin_digest", &[bytes(&claims.plugin_digest)]),
        fact("issued", &[int(claims.issued)]),
    ];
    facts.extend(claims.texts().map(|(name, value)| text(name, value)));
    asks(&claims.asks, &mut facts)?;
    body(facts, &claims.grant, Some(claims.expires))
}

fn text(name: &str, value: &str) -> Fact {
    fact(name, &[bytes(format!("{TEXT}{value}").as_bytes())])
}

fn asks(asks: &Asks, facts: &mut Vec<Fact>) -> Result<(), TokenError> {
    if asks.atoms.len() > MAX_ATOMS {
        return Err(TokenError::TooLarge("too many atoms"));
    }
    for (number, ask) in (0_i64..).zip(&asks.atoms) {
        if !(1..=MAX_PEOPLE).contains(&ask.people) {
            return Err(TokenError::Unsealable(format!(
                "an atom that {} people must approve, which is not between 1 and {MAX_PEOPLE}",
                ask.people
            )));
        }
        facts.push(atom("ask", number, ask.granted.capability())?);
        for hole in ask.granted.holes() {
            facts.push(atom("ask_hole", number, hole)?);
        }
        facts.push(fact("people", &[int(number), int(ask.people.into())]));
    }
    facts.extend(
        asks.approvers
            .iter()
            .map(|key| fact("approver", &[bytes(&key.to_bytes())])),
    );
    Ok(())
}

/// The facts and the check of an appended block.
pub(crate) fn attenuation(to: &Narrowing) -> Result<BlockBuilder, TokenError> {
    let mut facts = vec![fact(ATTENUATION, &[int(FORM)])];
    facts.extend(to.by.iter().map(|by| text("by", by)));
    body(facts, &to.grant, to.expires)
}

/// The facts of an approver's block. Its end is no check: when it is over, only the approval is.
pub(crate) fn approval(approving: &Approving) -> Result<BlockBuilder, TokenError> {
    let mut facts = vec![fact(APPROVAL, &[int(FORM)])];
    facts.extend(
        approving
            .call
            .iter()
            .map(|call| fact("call", &[bytes(call)])),
    );
    facts.extend(
        approving
            .until
            .iter()
            .map(|until| fact("until", &[int(*until)])),
    );
    body(facts, &approving.grant, None)
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
        asks: read_asks(&facts)?,
        issued: facts.int("issued")?,
        expires: facts.int("expires")?,
    };
    exactly(&builder, authority(&claims))?;
    Ok(claims)
}

fn read_asks(facts: &Facts<'_>) -> Result<Asks, String> {
    let mut atoms = Vec::new();
    for (number, granted) in facts.atoms("ask", "ask_hole")? {
        let people = facts.named("people").find_map(|terms| match terms {
            [Term::Integer(of), Term::Integer(people)] if *of == number => {
                u8::try_from(*people).ok()
            }
            _ => None,
        });
        let people = people.ok_or_else(|| "an atom that nobody can approve".to_owned())?;
        atoms.push(Ask { granted, people });
    }
    let approvers = facts.named("approver").map(|terms| match terms {
        [Term::Bytes(key)] => PublicKey::from_bytes(key).ok(),
        _ => None,
    });
    Ok(Asks {
        atoms,
        approvers: approvers
            .collect::<Option<_>>()
            .ok_or_else(|| "an approver that is no key".to_owned())?,
    })
}

/// Reads an appended block from its Datalog source.
pub(crate) fn read_attenuation(source: &str) -> Result<Narrowing, String> {
    let builder = parse(source)?;
    let facts = Facts(&builder.facts);
    let to = Narrowing {
        grant: facts.grant()?,
        expires: facts.optional_int("expires")?,
        by: facts.optional_text("by")?,
    };
    exactly(&builder, attenuation(&to))?;
    Ok(to)
}

/// Reads an approver's block from its Datalog source.
pub(crate) fn read_approval(source: &str) -> Result<Approving, String> {
    let builder = parse(source)?;
    let facts = Facts(&builder.facts);
    let call = match facts.named("call").next() {
        None => None,
        Some(_) => Some(
            facts
                .bytes("call")?
                .try_into()
                .map_err(|_| "a digest that is not 32 bytes long".to_owned())?,
        ),
    };
    let approving = Approving {
        grant: facts.grant()?,
        call,
        until: facts.optional_int("until")?,
    };
    exactly(&builder, approval(&approving))?;
    Ok(approving)
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
