//! Every text of an entry, and how personal it is. Adding a field to the format without saying so does not compile:
//! everything is taken apart by name, and nothing is left out.

use std::collections::BTreeMap;

use crate::argument::Argument;
use crate::event::{AtomDecision, Entry, Event, Moment};
use crate::subject::Subject;

/// How personal a text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Privacy {
    /// Names and digests of ours and of plugins: never about a person.
    Own,
    /// What may name a person now and then: sealed where it does.
    Mixed,
    /// A person, what they asked for, or what was done on their behalf: always sealed.
    Personal,
}

use Privacy::{Mixed, Own, Personal};

/// Is shown each text and may replace it.
pub(crate) type Visit<'a> = &'a mut dyn FnMut(Privacy, &mut String);

/// Shows every text of the entry, but for its time, to `visit`.
pub(crate) fn visit(entry: &mut Entry, visit: Visit<'_>) {
    let Entry {
        v: _,
        time: _,
        subject,
        event,
    } = entry;
    of_subject(subject, visit);
    of_event(event, visit);
}

fn of_subject(subject: &mut Subject, visit: Visit<'_>) {
    let Subject {
        session,
        plugin,
        plugin_digest,
        user,
        agent,
        trace,
        span,
        parent_span,
    } = subject;
    let own = [session, plugin, plugin_digest, trace, span, parent_span];
    own.into_iter().flatten().for_each(|text| visit(Own, text));
    user.iter_mut().for_each(|text| visit(Personal, text));
    agent.iter_mut().for_each(|text| visit(Mixed, text));
}

fn of_event(event: &mut Event, visit: Visit<'_>) {
    match event {
        Event::GateStart {
            version,
            config_sha256,
            policy_sha256,
        } => each([version, config_sha256, policy_sha256], Own, visit),
        Event::GateStop { reason }
        | Event::SessionEnd { reason }
        | Event::PluginRefused { reason } => visit(Mixed, reason),
        // What a plugin answered that does not fit may be quoted.
        Event::PluginCrash { reason } => visit(Personal, reason),
        Event::PluginEnd { status } => visit(Mixed, status),
        Event::SessionStart { client, protocol } => {
            visit(Mixed, client);
            visit(Own, protocol);
        }
        Event::Request {
            version,
            required,
            optional,
        } => {
            visit(Own, version);
            each(required.iter_mut().chain(optional), Mixed, visit);
        }
        Event::Decision {
            outcome: _,
            moment,
            atoms,
            context,
        } => {
            // What is asked for at a single operation is what the person or the agent wants done.
            let asked = if *moment == Moment::Operation {
                Personal
            } else {
                Mixed
            };
            atoms
                .iter_mut()
                .for_each(|atom| of_atom(atom, asked, visit));
            of_map(context, Own, Mixed, visit);
        }
        Event::Approval {
            asked,
            outcome: _,
            approver,
            duration,
        } => {
            each(asked, Mixed, visit);
            visit(Personal, approver);
            visit(Own, duration);
        }
        Event::Question {
            id,
            asked,
            state: _,
            by,
            reason,
        } => {
            visit(Own, id);
            each(asked, Mixed, visit);
            each(by, Personal, visit);
            visit(Mixed, reason);
        }
        Event::PolicyChange {
            policy_sha256,
            loaded: _,
            reason,
        } => {
            visit(Own, policy_sha256);
            visit(Mixed, reason);
        }
        Event::PluginStart {
            wall,
            grant,
            tools,
            watched: _,
            program,
            arguments,
        } => {
            visit(Own, wall);
            each(grant, Mixed, visit);
            each(tools, Own, visit);
            // What a person types at a terminal.
            each(program, Personal, visit);
            for argument in arguments {
                of_argument(argument, visit);
            }
        }
        Event::ToolsListed { offered, withheld } => {
            each(offered, Own, visit);
            of_map(withheld, Mixed, Mixed, visit);
        }
        Event::ToolChanged {
            tool,
            pinned,
            found,
        } => each([tool, pinned, found], Own, visit),
        Event::Tamper { what, detail } => each([what, detail], Mixed, visit),
        other => of_acts(other, visit),
    }
}

/// Tokens, calls, operations and preparations.
fn of_acts(event: &mut Event, visit: Visit<'_>) {
    match event {
        Event::TokenMinted { id, expiry, grant } => {
            each([id, expiry], Own, visit);
            each(grant, Mixed, visit);
        }
        Event::TokenRefused { id, reason } => {
            each(id, Own, visit);
            visit(Mixed, reason);
        }
        Event::TokenRevoked { id, reason } => {
            visit(Own, id);
            visit(Mixed, reason);
        }
        Event::ToolCall {
            call,
            tool,
            arguments,
        } => {
            each([call, tool], Own, visit);
            of_arguments(arguments, visit);
        }
        Event::ToolResult {
            call,
            tool,
            bytes: _,
            sha256,
            is_error: _,
            millis: _,
        } => {
            each([call, tool], Own, visit);
            // A short answer can be guessed from its digest.
            visit(Personal, sha256);
        }
        Event::CallRefused {
            call,
            tool,
            reason,
            policies,
        } => {
            visit(Own, call);
            // Whatever name an agent called, also of tools that there are not.
            visit(Mixed, tool);
            visit(Personal, reason);
            each(policies, Own, visit);
        }
        Event::OperationAllowed {
            operation,
            target,
            granted,
        } => {
            visit(Own, operation);
            visit(Personal, target);
            visit(Mixed, granted);
        }
        Event::OperationDenied {
            operation,
            target,
            reason,
            dropped: _,
        } => {
            visit(Own, operation);
            visit(Personal, target);
            visit(Mixed, reason);
        }
        Event::PreparationStart { step, wall, grant } => {
            visit(Mixed, step);
            visit(Own, wall);
            each(grant, Mixed, visit);
        }
        Event::PreparationEnd { step, status } => each([step, status], Mixed, visit),
        other => of_keeping(other, visit),
    }
}

/// Packages, secrets, keys, and the log itself. What was seen above has nothing more to show.
fn of_keeping(event: &mut Event, visit: Visit<'_>) {
    match event {
        Event::PackagePrepared {
            registry,
            package,
            version,
            integrity,
        } => each([registry, package, version, integrity], Own, visit),
        Event::SecretStored {
            secret,
            to,
            places,
            variable,
            keeper,
            replaced: _,
        } => {
            each([secret, variable, keeper], Mixed, visit);
            each(to.iter_mut().chain(places), Mixed, visit);
        }
        Event::SecretRemoved { secret } => visit(Mixed, secret),
        Event::SecretUse {
            secret,
            destination,
        } => each([secret, destination], Mixed, visit),
        Event::KeyChange { key, action, id } => each([key, action, id], Own, visit),
        Event::Erasure {
            of,
            by,
            reason,
            entries: _,
            values: _,
        } => {
            visit(Own, of);
            each(by, Personal, visit);
            visit(Mixed, reason);
        }
        Event::Archived {
            entries: _,
            root,
            to,
        } => {
            visit(Own, root);
            visit(Mixed, to);
        }
        Event::Pruned { entries: _, root } => visit(Own, root),
        Event::Recovery {
            kept: _,
            unsealed: _,
            cut_bytes: _,
            cut_sha256,
        } => each(cut_sha256, Own, visit),
        Event::GateStart { .. }
        | Event::GateStop { .. }
        | Event::SessionStart { .. }
        | Event::SessionEnd { .. }
        | Event::Request { .. }
        | Event::Decision { .. }
        | Event::TokenMinted { .. }
        | Event::TokenRefused { .. }
        | Event::TokenRevoked { .. }
        | Event::Approval { .. }
        | Event::Question { .. }
        | Event::PolicyChange { .. }
        | Event::PluginStart { .. }
        | Event::ToolsListed { .. }
        | Event::PluginRefused { .. }
        | Event::PluginEnd { .. }
        | Event::PluginCrash { .. }
        | Event::ToolCall { .. }
        | Event::ToolResult { .. }
        | Event::CallRefused { .. }
        | Event::OperationAllowed { .. }
        | Event::OperationDenied { .. }
        | Event::PreparationStart { .. }
        | Event::PreparationEnd { .. }
        | Event::ToolChanged { .. }
        | Event::Tamper { .. } => {}
    }
}

fn of_atom(atom: &mut AtomDecision, privacy: Privacy, visit: Visit<'_>) {
    let AtomDecision {
        asked,
        outcome: _,
        granted,
        policies,
        reasons,
    } = atom;
    visit(privacy, asked);
    each(granted.iter_mut().chain(reasons), Mixed, visit);
    each(policies, Own, visit);
}

fn of_arguments(arguments: &mut BTreeMap<String, Argument>, visit: Visit<'_>) {
    *arguments = std::mem::take(arguments)
        .into_iter()
        .map(|(mut name, mut argument)| {
            visit(Mixed, &mut name);
            of_argument(&mut argument, visit);
            (name, argument)
        })
        .collect();
}

fn of_argument(argument: &mut Argument, visit: Visit<'_>) {
    let Argument {
        json_type: _,
        sha256,
        value,
    } = argument;
    // The digest as well: what is short can be guessed from it.
    each(sha256.iter_mut().chain(value), Personal, visit);
}

fn of_map(map: &mut BTreeMap<String, String>, names: Privacy, values: Privacy, visit: Visit<'_>) {
    *map = std::mem::take(map)
        .into_iter()
        .map(|(mut name, mut value)| {
            visit(names, &mut name);
            visit(values, &mut value);
            (name, value)
        })
        .collect();
}

fn each<'t>(texts: impl IntoIterator<Item = &'t mut String>, privacy: Privacy, visit: Visit<'_>) {
    for text in texts {
        visit(privacy, text);
    }
}
