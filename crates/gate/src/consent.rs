//! People's consent to one call, and what may stand against it by the time they give it.

use bailiwick_approval::{Choice, Question};
use bailiwick_audit::Subject;
use bailiwick_policy::{CallDecision, CallVerdict};
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use crate::approve::AtClient;
use crate::host::GateError;
use crate::matter::asks;
use crate::pending::{Pending, approved_before};
use crate::plugin::Plugin;
use crate::refusal::Refusal;
use crate::rules::denial;
use crate::session::Session;
use crate::tool::BoundTool;

impl Session {
    /// Whether people say yes to a call, or said so for the session.
    pub(crate) async fn approved(
        &self,
        subject: &Subject,
        plugin: &Plugin,
        question: Question,
        cancel: &CancellationToken,
        client: Option<&dyn AtClient>,
    ) -> Result<Result<(), Refusal>, GateError> {
        let (host, admitted) = (&*self.host, &plugin.admitted);
        if approved_before(host, admitted, &question) {
            return Ok(Ok(()));
        }
        let lasting = question.statement(Choice::Session);
        let pending = Pending {
            host,
            subject,
            question,
            client,
            token: admitted.token().clone(),
            verify: &|token| admitted.verify(host, token),
        };
        let yes = match pending.approved(cancel).await? {
            Ok(yes) => yes,
            Err(refusal) => return Ok(Err(refusal)),
        };
        if let (true, Some(statement)) = (yes.lasting, lasting) {
            admitted.keep_approved(statement, yes.token);
        }
        Ok(Ok(()))
    }

    /// Whether nothing stands against a call once people said yes to it.
    pub(crate) async fn still(
        &self,
        plugin: &Plugin,
        bound: &BoundTool,
        arguments: &Map<String, Value>,
        decision: &CallDecision,
    ) -> Result<Result<(), Refusal>, GateError> {
        let (admitted, tool) = (&plugin.admitted, bound.tool.name.as_str());
        if let Err(lapse) = admitted.holds(&self.host) {
            plugin.lapse(&self.host, &lapse).await?;
            return Ok(Err(Refusal::new(lapse.code(), lapse.to_string())));
        }
        let again = self
            .rules
            .decide_approved(&self.caller(plugin), tool, arguments);
        Ok(match again.verdict {
            CallVerdict::Deny => Err(denial(&again, tool)),
            CallVerdict::Ask if asks(&again) != asks(decision) => Err(Refusal::new(
                "approval_needed",
                "what policy asks people about this call changed while they were asked: call again",
            )),
            CallVerdict::Ask | CallVerdict::Allow => Ok(()),
        })
    }
}
