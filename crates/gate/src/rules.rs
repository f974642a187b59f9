//! The decision on each call: policy, told what this session's tools take and how often quotas were used.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use bailiwick_policy::{
    Call, CallDecision, CallVerdict, Context, Counts, Effect, Pdp, Principal, Reason, ToolSchema,
    Uncounted,
};
use serde_json::{Map, Value};

use crate::created::Created;
use crate::ledger::Ledger;
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
    ledger: Arc<dyn Ledger>,
    pub(crate) created: Created,
}

impl CallRules {
    pub(crate) fn new(pdp: Pdp, ledger: Arc<dyn Ledger>) -> Self {
        Self {
            pdp: RwLock::new(pdp),
            ledger,
            created: Created::default(),
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

    /// Other policies, which were [`told`] of the tools.
    pub(crate) fn replace(&self, pdp: Pdp) {
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
        let counts = |verdict| verdict == CallVerdict::Allow;
        self.counted(&self.pdp(), caller, tool, arguments, counts)
    }

    /// Decides anew a call that people said yes to, and counts it unless something forbids it by now.
    pub(crate) fn decide_approved(
        &self,
        caller: &Caller,
        tool: &str,
        arguments: &Map<String, Value>,
    ) -> CallDecision {
        let counts = |verdict| verdict != CallVerdict::Deny;
        self.counted(&self.pdp(), caller, tool, arguments, counts)
    }

    /// Decides a call, and counts it if it `counts`. Where no policy counts, no count is looked at.
    fn counted(
        &self,
        pdp: &Pdp,
        caller: &Caller,
        tool: &str,
        arguments: &Map<String, Value>,
        counts: impl Fn(CallVerdict) -> bool,
    ) -> CallDecision {
        if !pdp.counts_calls() {
            return self.asked(pdp, caller, tool, arguments, &Uncounted);
        }
        let mut decided = None;
        let kept = self.ledger.settle(&mut |tally| {
            let decision = self.asked(pdp, caller, tool, arguments, tally);
            let is_charged = counts(decision.verdict) && !decision.charges.is_empty();
            if is_charged {
                tally.charge(&decision.charges, caller.context.now);
                tally.forget(caller.context.now);
            }
            decided = Some(decision);
            is_charged
        });
        match (kept, decided) {
            (Ok(()), Some(decision)) => decision,
            (Err(why), _) => uncounted(tool, &why),
            (Ok(()), None) => uncounted(tool, "nobody was asked"),
        }
    }

    /// Why a tool is not shown: no arguments, and nobody who can be asked, would change that it is refused.
    pub(crate) fn hidden(&self, caller: &Caller, tool: &str, askable: bool) -> Option<Refusal> {
        self.hidden_under(&self.pdp(), caller, tool, askable)
    }

    /// The same under other policies.
    pub(crate) fn hidden_under(
        &self,
        pdp: &Pdp,
        caller: &Caller,
        tool: &str,
        askable: bool,
    ) -> Option<Refusal> {
        if pdp.judges_arguments(&caller.principal.plugin.id, tool) {
            return None;
        }
        let decision = self.counted(pdp, caller, tool, &Map::new(), |_| false);
        match decision.verdict {
            CallVerdict::Allow => None,
            CallVerdict::Ask if askable => None,
            _ => Some(denial(&decision, tool)),
        }
    }

    fn asked(
        &self,
        pdp: &Pdp,
        caller: &Caller,
        tool: &str,
        arguments: &Map<String, Value>,
        counts: &dyn Counts,
    ) -> CallDecision {
        let call = Call {
            tool,
            arguments,
            created: &self.created.by(&caller.principal.plugin.id),
            counts,
        };
        pdp.decide_call_with(&caller.principal, &caller.context, &call)
    }

    fn pdp(&self) -> RwLockReadGuard<'_, Pdp> {
        self.pdp.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The decision where policies count and the counts cannot be had: whatever they limit is not done.
fn uncounted(tool: &str, why: &str) -> CallDecision {
    CallDecision {
        verdict: CallVerdict::Deny,
        reasons: vec![Reason {
            policy: "quota".to_owned(),
            effect: Effect::Error,
            text: Some(format!("calls cannot be counted: {why}")),
            remedy: None,
            about: tool.to_owned(),
        }],
        people: 0,
        charges: Vec::new(),
    }
}

/// Policies that know what these plugins' tools take. What they ask of tools that do not take it, they deny.
pub(crate) fn told(mut pdp: Pdp, plugins: &[Arc<Plugin>]) -> Pdp {
    for plugin in plugins {
        for (name, bound) in &plugin.tools {
            if let Ok(told) = pdp.with_tools(&[schema(plugin.id(), name, bound)]) {
                pdp = told;
            }
        }
    }
    pdp
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
