//! A call that waits for a person's yes: asked, verified, recorded.

use std::convert::Infallible;

use bailiwick_approval::{About, Choice, Given, Question, Shown, Ticket, Verdict, evident, line};
use bailiwick_audit::{Event, Outcome, Subject};
use bailiwick_policy::{CallDecision, Effect, Reason};
use bailiwick_token::{
    Approving, Keys, PublicKey, Token, Verified, append_approval, approval_request,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use crate::admit::Admitted;
use crate::approve::{AT_CLIENT, Approvals, AtClient, atoms, signed};
use crate::host::{GateError, Host, random};
use crate::refusal::Refusal;
use crate::world::Source;

/// What a yes may be that lasts beyond its call.
const LASTING: [Choice; 2] = [Choice::Session, Choice::Ever];

/// How a token that grew is verified.
pub(crate) type Verify<'a> = &'a (dyn Fn(&Token) -> Result<Verified, String> + Send + Sync);

/// Something that waits for a person.
pub(crate) struct Pending<'a> {
    pub(crate) host: &'a Host,
    pub(crate) subject: &'a Subject,
    pub(crate) question: Question,
    pub(crate) client: Option<&'a dyn AtClient>,
    /// What a yes is appended to.
    pub(crate) token: Token,
    pub(crate) verify: Verify<'a>,
}

/// What enough people said.
pub(crate) struct Yes {
    /// The token with all that they signed.
    pub(crate) token: Token,
    /// Whether it holds for the session.
    pub(crate) lasting: bool,
}

/// Whether people said so for the session before.
pub(crate) fn approved_before(host: &Host, admitted: &Admitted, question: &Question) -> bool {
    let statement = question.statement(Choice::Session);
    let token = statement.and_then(|statement| admitted.approved(&statement));
    let verified = token.and_then(|token| admitted.verify(host, &token).ok());
    let people = verified.map(|verified| people_of(&verified, question, &LASTING).len());
    people.is_some_and(|people| people >= usize::from(question.people))
}

/// What is asked about one call.
pub(crate) fn question(
    host: &Host,
    admitted: &Admitted,
    tool: &str,
    arguments: &Map<String, Value>,
    decision: &CallDecision,
) -> Result<Question, GateError> {
    let (policies, people) = asks(decision);
    let matter = Matter {
        about: About::Call {
            tool: tool.to_owned(),
            arguments: Shown::of(&Value::Object(arguments.clone())),
        },
        reasons: &decision.reasons,
        policies,
        people,
    };
    matter.question(host, &admitted.subject, &admitted.source)
}

/// What is asked, and why.
pub(crate) struct Matter<'a> {
    pub(crate) about: About,
    pub(crate) reasons: &'a [Reason],
    pub(crate) policies: Vec<String>,
    pub(crate) people: u8,
}

impl Matter<'_> {
    /// The question as people see it, from now until the gate's patience ends.
    ///
    /// # Errors
    /// A system without random numbers.
    pub(crate) fn question(
        self,
        host: &Host,
        subject: &Subject,
        source: &Source,
    ) -> Result<Question, GateError> {
        let now = host.judge.now();
        let facts = &host.judge.in_force.now().facts;
        let patience = i64::try_from(host.approvals.patience.as_secs()).unwrap_or(i64::MAX);
        let mut hidden = false;
        let mut evident = |text: &str| {
            let (text, found) = evident(text);
            hidden |= found;
            text
        };
        let user = evident(&facts.user.name);
        let agent = evident(subject.agent.as_deref().unwrap_or_default());
        let task = facts.labels.iter().map(|label| evident(label)).collect();
        let reasons = self.reasons.iter();
        let reasons = reasons.map(|reason| evident(&reason.to_string())).collect();
        Ok(Question {
            id: random::<16>()?,
            session: subject.session.clone().unwrap_or_default(),
            plugin: source.manifest.id().to_string(),
            digest: source.digest_hex(),
            user,
            agent,
            task,
            hidden,
            about: self.about,
            reasons,
            policies: self.policies,
            people: self.people,
            given: Vec::new(),
            asked: now,
            until: now.saturating_add(patience),
            request: String::new(),
        })
    }
}

/// The policies that want a person's yes to a call, and the number of people.
pub(crate) fn asks(decision: &CallDecision) -> (Vec<String>, u8) {
    let asking = |reason: &&Reason| reason.effect == Effect::Ask;
    let asking: Vec<_> = decision.reasons.iter().filter(asking).cloned().collect();
    (crate::record::policies(&asking), decision.people.max(1))
}

/// How a question ended.
enum Ended {
    Yes { lasting: bool },
    No,
    Late,
    Withdrawn,
}

impl<'a> Pending<'a> {
    /// Waits until enough people said yes. Each answer is recorded before anything follows from it.
    ///
    /// # Errors
    /// What stops the gate. Without a yes it is an `Ok(Err(refusal))`.
    pub(crate) async fn approved(
        mut self,
        cancel: &CancellationToken,
    ) -> Result<Result<Yes, Refusal>, GateError> {
        let approvals = &self.host.approvals;
        let mut token = self.token.clone();
        let client = self.client();
        if client.is_none() && approvals.approvers.len() < usize::from(self.question.people) {
            let why = "policy wants more people's yes for it than there are approvers";
            return Ok(Err(refusal(why)));
        }
        match request(&token) {
            Ok(request) => self.question.request = request,
            Err(why) => return Ok(Err(refusal(&why))),
        }
        let now = self.host.judge.now();
        let mut ticket = match approvals.desk.ask(self.question.clone(), now) {
            Ok(ticket) => ticket,
            Err(too_often) => return Ok(Err(refusal(&too_often.to_string()))),
        };
        let patience = tokio::time::sleep(approvals.patience);
        let question = self.question.clone();
        let ended = tokio::select! {
            never = at_client(approvals, client, &question) => match never {},
            ended = self.answers(&mut ticket, &mut token) => ended?,
            () = patience => Ended::Late,
            () = cancel.cancelled() => Ended::Withdrawn,
        };
        match ended {
            Ended::Yes { lasting } => Ok(Ok(Yes { token, lasting })),
            Ended::No => Ok(Err(refusal("a person said no"))),
            Ended::Withdrawn => Ok(Err(refusal("it was withdrawn before a person answered"))),
            Ended::Late => {
                approvals
                    .desk
                    .refused(&self.question, false, self.host.judge.now());
                self.record(Outcome::Deny, "nobody", "once").await?;
                Ok(Err(refusal("nobody answered in time")))
            }
        }
    }

    /// The agent's client, if it may answer this.
    fn client(&self) -> Option<(&'a dyn AtClient, &'a Keys)> {
        let (client, keys) = (self.client?, self.host.approvals.client.as_ref()?);
        (self.question.people == 1).then_some((client, keys))
    }

    async fn answers(
        &mut self,
        ticket: &mut Ticket,
        token: &mut Token,
    ) -> Result<Ended, GateError> {
        loop {
            let given = ticket.next().await;
            let ended = if given.answer.choice.is_yes() {
                self.yes(given, token, ticket).await?
            } else {
                self.no(given).await?
            };
            if let Some(ended) = ended {
                return Ok(ended);
            }
        }
    }

    async fn no(&self, given: Given) -> Result<Option<Ended>, GateError> {
        let choice = given.answer.choice;
        if let Err(why) = self.keepable(choice) {
            given.judge(Verdict::Refused(why));
            return Ok(None);
        }
        self.record(Outcome::Deny, &given.who, duration(choice))
            .await?;
        let for_good = choice == Choice::Never;
        let now = self.host.judge.now();
        let desk = &self.host.approvals.desk;
        desk.refused(&self.question, for_good, now);
        let kept = if for_good {
            self.keep(choice, &given.who).await?
        } else {
            Ok(())
        };
        // A no that cannot be kept for good is one for the session.
        given.judge(kept.map_or_else(Verdict::Refused, |()| Verdict::Settled));
        Ok(Some(Ended::No))
    }

    async fn yes(
        &mut self,
        given: Given,
        token: &mut Token,
        ticket: &Ticket,
    ) -> Result<Option<Ended>, GateError> {
        let choice = given.answer.choice;
        let counted = self.keepable(choice);
        let counted =
            counted.and_then(|()| self.count(token, choice, given.answer.signed.as_deref()));
        let (grown, people) = match counted {
            Ok(counted) => counted,
            Err(why) => {
                given.judge(Verdict::Refused(why));
                return Ok(None);
            }
        };
        let who = people.last().cloned().unwrap_or_default();
        let missing = usize::from(self.question.people).saturating_sub(people.len());
        let outcome = if missing == 0 {
            Outcome::Grant
        } else {
            Outcome::Partial
        };
        self.record(outcome, &who, duration(choice)).await?;
        *token = grown;
        if missing == 0 {
            return self.settled(given, token, &people.join(", ")).await;
        }
        match request(token) {
            Ok(request) => {
                self.question.given = people;
                self.question.request = request;
                let now = self.question.clone();
                ticket.update(|question| *question = now);
                given.judge(Verdict::More(u8::try_from(missing).unwrap_or(u8::MAX)));
                Ok(None)
            }
            Err(why) => {
                given.judge(Verdict::Refused(why));
                Ok(Some(Ended::No))
            }
        }
    }

    /// Everybody said yes. It lasts as long as all of them said.
    async fn settled(
        &self,
        given: Given,
        token: &Token,
        by: &str,
    ) -> Result<Option<Ended>, GateError> {
        let all = |choices: &[Choice]| {
            self.people(token, choices).len() >= usize::from(self.question.people)
        };
        let lasting = all(&LASTING);
        let kept = if all(&[Choice::Ever]) {
            self.keep(Choice::Ever, by).await?
        } else {
            Ok(())
        };
        self.host.approvals.desk.approved(&self.question);
        // A yes that cannot be kept for good is one for the session.
        given.judge(kept.map_or_else(Verdict::Refused, |()| Verdict::Settled));
        Ok(Some(Ended::Yes { lasting }))
    }

    /// The token with a yes appended, and everybody who said yes so far, if this one is new and counts.
    fn count(
        &self,
        token: &Token,
        choice: Choice,
        signed: Option<&str>,
    ) -> Result<(Token, Vec<String>), String> {
        let signed = signed.ok_or("a yes must be signed with an approver's key")?;
        let signed = STANDARD
            .decode(signed)
            .map_err(|_| "the signature is no base64".to_owned())?;
        let grown = append_approval(token, &signed).map_err(|error| line(&error.to_string()))?;
        let verified = (self.verify)(&grown);
        let verified = verified.map_err(|why| format!("the yes does not count: {}", line(&why)))?;
        let mut people = self.people(token, &Choice::ALL);
        let new = |key: &&PublicKey| !people.contains(key);
        let now = people_of(&verified, &self.question, &[choice]);
        let Some(newcomer) = now.iter().find(new).copied() else {
            return Err(
                "it was signed for another question, or by somebody who said yes already"
                    .to_owned(),
            );
        };
        people.push(newcomer);
        let names = people.iter().map(|key| self.host.approvals.name(key));
        Ok((grown, names.collect()))
    }

    /// Who said yes to this, in one of these ways.
    fn people(&self, token: &Token, choices: &[Choice]) -> Vec<PublicKey> {
        let Ok(verified) = (self.verify)(token) else {
            return Vec::new();
        };
        people_of(&verified, &self.question, choices)
    }

    /// Whether an answer for good can be kept here at all.
    fn keepable(&self, choice: Choice) -> Result<(), String> {
        let for_good = matches!(choice, Choice::Ever | Choice::Never);
        // A yes to capabilities does not sign for how long, and somebody else may hand it in.
        if for_good && self.question.people > 1 && matches!(self.question.about, About::Atoms(_)) {
            return Err("capabilities that several people approve hold for the session".to_owned());
        }
        if for_good && self.host.approvals.standing.is_none() {
            return Err("answers for good cannot be kept here: answer for the session".to_owned());
        }
        Ok(())
    }

    /// Keeps an answer that was recorded; that it could not be kept is recorded too.
    async fn keep(&self, choice: Choice, by: &str) -> Result<Result<(), String>, GateError> {
        let Some(standing) = &self.host.approvals.standing else {
            return Ok(Ok(()));
        };
        let kept = standing.keep(&self.question, choice, by);
        if let Err(reason) = &kept {
            let event = Event::PolicyChange {
                policy_sha256: self.host.policy_digest.clone(),
                loaded: false,
                reason: line(reason),
            };
            self.host.recorder.durable(self.subject, event).await?;
        }
        Ok(kept)
    }

    async fn record(&self, outcome: Outcome, who: &str, how_long: &str) -> Result<(), GateError> {
        let asked = match &self.question.about {
            About::Atoms(atoms) => atoms.clone(),
            About::Call { tool, arguments } => vec![
                format!("call_tool:{tool}"),
                format!("arguments:sha256:{}", arguments.sha256),
            ],
        };
        let event = Event::Approval {
            asked,
            outcome,
            approver: line(who),
            duration: how_long.to_owned(),
        };
        Ok(self.host.recorder.durable(self.subject, event).await?)
    }
}

/// Hands what the agent's client says to the desk, where it is judged as any other answer.
async fn at_client(
    approvals: &Approvals,
    client: Option<(&dyn AtClient, &Keys)>,
    question: &Question,
) -> Infallible {
    if let Some((client, keys)) = client
        && let Some(choice) = client.ask(question).await
        && let Ok(answer) = signed(question, choice, keys)
    {
        // Somebody else may have been faster.
        let _ = approvals.desk.answer(&question.id, answer, AT_CLIENT).await;
    }
    std::future::pending().await
}

fn people_of(verified: &Verified, question: &Question, choices: &[Choice]) -> Vec<PublicKey> {
    let wanted: Vec<_> = choices
        .iter()
        .filter_map(|choice| question.statement(*choice))
        .collect();
    let whole = atoms(question);
    let counts = |approving: &Approving| match (approving.call, &whole) {
        (Some(call), _) => wanted.contains(&call),
        (None, Some(Ok(whole))) => approving.grant.contains(whole),
        (None, _) => false,
    };
    let mut people = Vec::new();
    for approval in verified.approvals() {
        if counts(&approval.approving) && !people.contains(&approval.approver) {
            people.push(approval.approver);
        }
    }
    people
}

fn duration(choice: Choice) -> &'static str {
    match choice {
        Choice::Once | Choice::No => "once",
        Choice::Session => "session",
        Choice::Ever | Choice::Never => "always",
    }
}

fn request(token: &Token) -> Result<String, String> {
    let request = approval_request(token).map_err(|error| line(&error.to_string()))?;
    Ok(STANDARD.encode(request))
}

fn refusal(why: &str) -> Refusal {
    let mut refusal = Refusal::new(
        "approval_needed",
        format!("a person must approve this, and {why}"),
    );
    refusal.remedy =
        Some("a person sees what waits with `bailiwick approvals`, and answers there".to_owned());
    refusal
}
