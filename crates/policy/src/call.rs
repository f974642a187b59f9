//! Call time: may this plugin's tool be called now, on behalf of this user?

use bailiwick_capability::Kind;
use cedar_policy::{Authorizer, Request, RestrictedExpression};

use crate::decision::{Effect, Reason};
use crate::error::Problem;
use crate::evaluate::{Level, with_actions};
use crate::pdp::Pdp;
use crate::schema::Type;
use crate::subject::{Context, Principal, entity, text};

/// The answer to one tool call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum CallVerdict {
    /// It may run.
    Allow,
    /// It may run once a person approved it.
    Ask,
    /// It may not run.
    Deny,
}

/// The decision on one tool call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallDecision {
    /// The answer.
    pub verdict: CallVerdict,
    /// The policies that determined it.
    pub reasons: Vec<Reason>,
}

impl Pdp {
    /// Decides one call of `tool`, a name within the principal's plugin. Policies see it as
    /// `Tool::"<plugin id>/<tool>"` in `Plugin::"<plugin id>"`, and of the arguments only the names of the
    /// top level, as `context.argument_names`: values are held by the grant, not by comparing texts.
    pub fn decide_call(
        &self,
        principal: &Principal,
        context: &Context,
        tool: &str,
        arguments: &serde_json::Map<String, serde_json::Value>,
    ) -> CallDecision {
        let about = format!("{}/{tool}", principal.plugin.id);
        self.judge_call(principal, context, &about, arguments)
            .unwrap_or_else(|problem| CallDecision {
                verdict: CallVerdict::Deny,
                reasons: vec![Reason {
                    policy: "evaluation".to_owned(),
                    effect: Effect::Error,
                    text: Some(problem.to_string()),
                    remedy: None,
                    about,
                }],
            })
    }

    fn judge_call(
        &self,
        principal: &Principal,
        context: &Context,
        tool: &str,
        arguments: &serde_json::Map<String, serde_json::Value>,
    ) -> Result<CallDecision, Problem> {
        let broken = |what: String| Problem::of("decision", what, "report this");
        let calls = self.calls();
        let phase = calls.at(context.now)?;
        let folders: Vec<_> = principal.folder()?.into_iter().collect();
        let mut entities = principal.entities(&folders)?;
        for folder in &folders {
            entities.push(entity(folder.uid.clone(), [], Default::default())?);
        }
        let uid = Type::Tool.uid(tool)?;
        let plugin = Type::Plugin.uid(&principal.plugin.id)?;
        entities.push(entity(uid.clone(), [], [plugin].into())?);
        let mut pairs = context.pairs(false)?;
        let names = arguments.keys().map(|name| text(name));
        pairs.insert(
            "argument_names".to_owned(),
            RestrictedExpression::new_set(names),
        );
        let context =
            cedar_policy::Context::from_pairs(pairs).map_err(|e| broken(e.to_string()))?;
        let request = Request::new(principal.uid()?, calls.action.clone(), uid, context, None)
            .map_err(|e| broken(e.to_string()))?;
        let entities = with_actions(entities)?;
        let response = Authorizer::new().is_authorized(&request, &phase.policies, &entities);
        let verdict = self.judge(&response);
        let missing = |effect| effect == Effect::Default;
        let reasons = verdict.causes.into_iter().map(|cause| Reason {
            text: if missing(cause.effect) {
                Some("no policy permits it".to_owned())
            } else {
                cause.text
            },
            remedy: missing(cause.effect).then(|| {
                let tool = calls_resource(tool);
                format!("permit (principal, action == Action::\"call\", resource == {tool});")
            }),
            policy: cause.policy,
            effect: cause.effect,
            about: tool.to_owned(),
        });
        Ok(CallDecision {
            reasons: reasons.collect(),
            verdict: match verdict.level {
                Level::Allow => CallVerdict::Allow,
                Level::Ask => CallVerdict::Ask,
                Level::Deny => CallVerdict::Deny,
            },
        })
    }
}

fn calls_resource(tool: &str) -> String {
    Type::Tool.uid(tool).map_or_else(
        |_| format!("{}:{tool}", Kind::CallTool),
        |uid| uid.to_string(),
    )
}
