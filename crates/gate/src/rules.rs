//! The decision on each call: policy, told what this session's tools take and how often quotas were used.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

use bailiwick_policy::{
    Call, CallDecision, CallVerdict, Context, Effect, Pdp, Principal, Tally, ToolSchema,
};
use serde_json::{Map, Value};

use crate::plugin::{Plugin, Withheld};
use crate::record::policies;
use crate::refusal::Refusal;
use crate::tool::BoundTool;

/// Who calls, and under which circumstances.
pub(crate) struct Caller {
    pub(crate) principal: Principal,
    pub(crate) context: Context,
}

/// What decides one session's calls.
pub(crate) struct CallRules {
    pdp: RwLock<Pdp>,
    tally: Mutex<Tally>,
}

impl CallRules {
    pub(crate) fn new(pdp: Pdp) -> Self {
        Self {
            pdp: RwLock::new(pdp),
            tally: Mutex::default(),
        }
    }

    /// Tells policy what a plugin's tools take. A tool that does not take what a policy asks of is not offered.
    pub(crate) fn tell(&self, plugin: &str, tools: &mut BTreeMap<String, BoundTool>) -> Withheld {
        let mut withheld = Withheld::new();
        let mut known = self.pdp.write().unwrap_or_else(PoisonError::into_inner);
        tools.retain(
            |name, bound| match known.with_tools(&[schema(plugin, name, bound)]) {
                Ok(pdp) => {
                    *known = pdp;
                    true
                }
                Err(error) => {
                    let why = format!("policy asks of arguments that it does not take: {error}");
                    withheld.push((name.clone(), why));
                    false
                }
            },
        );
        withheld
    }

    /// Other policies, told of these plugins' tools. What they ask of tools that do not take it, they deny.
    pub(crate) fn replace(&self, mut pdp: Pdp, plugins: &[Arc<Plugin>]) {
        for plugin in plugins {
            for (name, bound) in &plugin.tools {
                if let Ok(told) = pdp.with_tools(&[schema(plugin.id(), name, bound)]) {
                    pdp = told;
                }
            }
        }
        *self.pdp.write().unwrap_or_else(PoisonError::into_inner) = pdp;
    }

    /// Decides a call, and counts one that is allowed: in one step, so that calls side by side cannot all take the
    /// last of a quota.
    pub(crate) fn decide(
        &self,
        caller: &Caller,
        tool: &str,
        arguments: &Map<String, Value>,
    ) -> CallDecision {
        let mut tally = self.tally();
        let decision = self.asked(caller, tool, arguments, &tally);
        if decision.verdict == CallVerdict::Allow {
            tally.charge(&decision.charges, caller.context.now);
        }
        decision
    }

    /// Decides anew a call that people said yes to, and counts it unless something forbids it by now.
    pub(crate) fn decide_approved(
        &self,
        caller: &Caller,
        tool: &str,
        arguments: &Map<String, Value>,
    ) -> CallDecision {
        let mut tally = self.tally();
        let decision = self.asked(caller, tool, arguments, &tally);
        if decision.verdict != CallVerdict::Deny {
            tally.charge(&decision.charges, caller.context.now);
        }
        decision
    }

    /// Why a tool is not shown: no arguments, and nobody who can be asked, would change that it is refused.
    pub(crate) fn hidden(&self, caller: &Caller, tool: &str, askable: bool) -> Option<Refusal> {
        if self
            .pdp()
            .judges_arguments(&caller.principal.plugin.id, tool)
        {
            return None;
        }
        let decision = self.asked(caller, tool, &Map::new(), &self.tally());
        match decision.verdict {
            CallVerdict::Allow => None,
            CallVerdict::Ask if askable => None,
            _ => Some(denial(&decision, tool)),
        }
    }

    fn asked(
        &self,
        caller: &Caller,
        tool: &str,
        arguments: &Map<String, Value>,
        tally: &Tally,
    ) -> CallDecision {
        let call = Call {
            tool,
            arguments,
            created: &BTreeSet::new(),
            counts: tally,
        };
        self.pdp()
            .decide_call_with(&caller.principal, &caller.context, &call)
    }

    fn pdp(&self) -> RwLockReadGuard<'_, Pdp> {
        self.pdp.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn schema(plugin: &str, name: &str, bound: &BoundTool) -> ToolSchema {
    ToolSchema {
        plugin: plugin.to_owned(),
        tool: name.to_owned(),
        input: Value::Object(bound.tool.input_schema.clone()),
    }
}

/// What the agent hears of a decision that does not allow the call.
pub(crate) fn denial(decision: &CallDecision, tool: &str) -> Refusal {
    let code = match decision.verdict {
        CallVerdict::Ask => "approval_needed",
        CallVerdict::Allow | CallVerdict::Deny => "policy_denied",
    };
    let has = |effect| {
        decision
            .reasons
            .iter()
            .any(|reason| reason.effect == effect)
    };
    let why = match decision.verdict {
        CallVerdict::Ask => "a person must approve",
        _ if has(Effect::Forbid) => "policy forbids",
        _ => "no policy permits",
    };
    let mut refusal = Refusal::new(code, format!("{why} this call of `{tool}`"));
    refusal.policies = policies(&decision.reasons);
    refusal
}
