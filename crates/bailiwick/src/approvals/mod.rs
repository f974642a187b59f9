//! `bailiwick approvals`: what waits for a person, and their answers.

mod cli;
mod door;
mod shown;
mod standing;

use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail, ensure};
use bailiwick_approval::socket::{Ask, Console, Told, listen, sockets};
use bailiwick_approval::{Choice, Question, Verdict};
use bailiwick_gate::approve::{Approvals, Approver, signed};
use bailiwick_token::{Keys, PublicKey};
use serde_json::json;

pub(crate) use cli::ApprovalsArgs;
use cli::{AnswerArgs, ApprovalsCommand, KeyArgs, SignArgs};
pub(crate) use standing::{Policies, source};

use crate::changes::makes;
use crate::config::Config;
use crate::home::Home;
use crate::person::Person;
use crate::report::{FINE, FOUND, say};

/// The longest question that `sign` reads, in bytes.
const MAX_QUESTION: u64 = 1024 * 1024;

/// Who approves for a gate, and where their answers for good go. `own` is the key of the gate's own user.
pub(crate) fn approvals(
    config: &Config,
    own: PublicKey,
    policies: Policies,
) -> anyhow::Result<Approvals> {
    let named = &config.approvals.approvers;
    let mut approvers = named
        .iter()
        .map(|(name, key)| approver(name, key))
        .collect::<anyhow::Result<Vec<_>>>()?;
    if approvers.is_empty() {
        let name = Person::current().name;
        approvers.push(Approver { name, key: own });
    }
    Ok(Approvals {
        desk: std::sync::Arc::default(),
        approvers,
        client: config.approvals.client.then(Keys::generate),
        patience: config.approvals.patience()?,
        standing: Some(std::sync::Arc::new(policies)),
    })
}

fn approver(name: &str, key: &str) -> anyhow::Result<Approver> {
    let read = || PublicKey::from_bytes(&hex::decode(key).ok()?).ok();
    let key = read().with_context(|| {
        format!("approvals.approvers.{name}: that is no public key: write what `bailiwick approvals key` prints")
    })?;
    let name = name.to_owned();
    Ok(Approver { name, key })
}

/// Serves a gate's questions to consoles until it is dropped.
pub(crate) async fn serve(home: &Home, approvals: &Approvals) -> anyhow::Result<()> {
    let folder = home.approvals()?;
    let name = format!(
        "{}.{}",
        bailiwick_gate::host::session_id()?,
        bailiwick_approval::socket::ENDING
    );
    let path = folder.join(name);
    let listening =
        listen(&path).with_context(|| format!("cannot make the socket `{}`", path.display()))?;
    listening.serve(approvals.desk.clone(), door::door()).await;
    Ok(())
}

pub(crate) fn run(args: &ApprovalsArgs) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let home = Home::locate()?;
    match &args.command {
        None | Some(ApprovalsCommand::List) => runtime.block_on(list(&home, args.json)),
        Some(ApprovalsCommand::Watch) => runtime.block_on(watch(&home, args.json)),
        Some(ApprovalsCommand::Answer(given)) => runtime.block_on(answer(&home, given, args.json)),
        Some(ApprovalsCommand::Sign(given)) => sign(&home, given, args.json),
        Some(ApprovalsCommand::Key(given)) => key(&home, given, args.json),
    }
}

/// The gates that run, each with what waits there. What a gate left that runs no more is tidied away.
async fn waiting(home: &Home) -> anyhow::Result<Vec<(Console, Vec<Question>)>> {
    let mut gates = Vec::new();
    for path in sockets(&home.approvals_folder())? {
        let mut console = match Console::connect(&path).await {
            Ok(console) => console,
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
                // Somebody else may have tidied up at the same time.
                let _ = std::fs::remove_file(&path);
                continue;
            }
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => {
                return Err(error).with_context(|| format!("cannot reach `{}`", path.display()));
            }
        };
        match console.ask(&Ask::List {}).await {
            Ok(Told::Questions(questions)) => gates.push((console, questions)),
            Ok(Told::Error(why)) => bail!("the gate lets nobody in from here: {why}"),
            Ok(Told::Verdict(_)) => bail!("the gate answers something else than was asked"),
            // It ended meanwhile.
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => {}
            Err(error) => return Err(error).context("cannot ask a gate"),
        }
    }
    Ok(gates)
}

async fn list(home: &Home, as_json: bool) -> anyhow::Result<ExitCode> {
    let gates = waiting(home).await?;
    let questions: Vec<_> = gates
        .into_iter()
        .flat_map(|(_, questions)| questions)
        .collect();
    shown::all(&questions, as_json)?;
    Ok(ExitCode::from(FINE))
}

async fn watch(home: &Home, as_json: bool) -> anyhow::Result<ExitCode> {
    let mut known: Vec<String> = Vec::new();
    loop {
        let gates = waiting(home).await?;
        let questions: Vec<_> = gates
            .into_iter()
            .flat_map(|(_, questions)| questions)
            .collect();
        let is_new = |question: &&Question| !known.contains(&question.id);
        for question in questions.iter().filter(is_new) {
            shown::one(question, as_json)?;
        }
        known = questions.into_iter().map(|question| question.id).collect();
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    }
}

async fn answer(home: &Home, given: &AnswerArgs, as_json: bool) -> anyhow::Result<ExitCode> {
    let mut found = Vec::new();
    for (console, questions) in waiting(home).await? {
        let meant = questions
            .into_iter()
            .find(|one| one.id.starts_with(&given.id));
        found.extend(meant.map(|question| (console, question)));
    }
    ensure!(
        found.len() < 2,
        "several questions begin with `{}`: write more of the id",
        given.id
    );
    let (mut console, question) = found.pop().with_context(|| {
        format!(
            "no question `{}` waits: see `bailiwick approvals`",
            bailiwick_gate::line(&given.id)
        )
    })?;
    let signed = match &given.signed {
        Some(signed) => Some(signed.trim().to_owned()),
        None if given.choice.is_yes() => Some(signature(
            home,
            &question,
            given.choice,
            given.key.as_deref(),
        )?),
        None => None,
    };
    let ask = Ask::Answer {
        id: question.id,
        choice: given.choice,
        signed,
    };
    let told = console
        .ask(&ask)
        .await
        .context("the gate ended before it heard the answer")?;
    let (status, text) = match &told {
        Told::Verdict(Verdict::Settled) => (FINE, "answered".to_owned()),
        Told::Verdict(Verdict::More(1)) => (FINE, "one more person must say yes".to_owned()),
        Told::Verdict(Verdict::More(more)) => (FINE, format!("{more} more people must say yes")),
        Told::Verdict(Verdict::Refused(why)) | Told::Error(why) => (
            FOUND,
            format!("that answer does not count: {}", bailiwick_gate::line(why)),
        ),
        Told::Questions(_) => bail!("the gate answers something else than was asked"),
    };
    if as_json {
        say!("{}", serde_json::to_string(&told)?);
    } else if status == FINE {
        say!("{text}");
    } else {
        eprintln!("bailiwick: {text}");
    }
    Ok(ExitCode::from(status))
}

fn sign(home: &Home, given: &SignArgs, as_json: bool) -> anyhow::Result<ExitCode> {
    ensure!(
        given.choice.is_yes(),
        "a no needs no signature: answer it where the gate runs"
    );
    let mut text = String::new();
    match &given.question {
        Some(path) => std::fs::File::open(path)
            .and_then(|file| file.take(MAX_QUESTION).read_to_string(&mut text))
            .with_context(|| format!("cannot read a question from `{}`", path.display()))?,
        None => std::io::stdin()
            .take(MAX_QUESTION)
            .read_to_string(&mut text)?,
    };
    let question: Question = serde_json::from_str(&text).context(
        "that is no question: hand in one of those that `bailiwick approvals list --json` prints",
    )?;
    // Whoever signs sees what: the question came from elsewhere.
    eprintln!("{}", shown::text(&question));
    let signed = signature(home, &question, given.choice, given.key.as_deref())?;
    if as_json {
        say!(
            "{}",
            json!({ "id": question.id, "choice": given.choice, "signed": signed })
        );
    } else {
        say!("{signed}");
    }
    Ok(ExitCode::from(FINE))
}

fn signature(
    home: &Home,
    question: &Question,
    choice: Choice,
    key: Option<&Path>,
) -> anyhow::Result<String> {
    let answer = signed(question, choice, &keys(home, key)?)?;
    answer.signed.context("only a yes is signed")
}

fn keys(home: &Home, named: Option<&Path>) -> anyhow::Result<Keys> {
    match named {
        Some(path) => crate::home::read_keys(path),
        None => {
            home.make()?;
            home.approver_keys(&makes(home, "approver"))
        }
    }
}

fn key(home: &Home, given: &KeyArgs, as_json: bool) -> anyhow::Result<ExitCode> {
    let keys = match &given.file {
        None => keys(home, None)?,
        Some(path) => {
            home.make()?;
            crate::home::keys_at(&absolute(path)?, &makes(home, "approver"))?
        }
    };
    let public = keys.public();
    if as_json {
        say!("{}", json!({ "key": public.to_string() }));
    } else {
        say!("{public}");
    }
    Ok(ExitCode::from(FINE))
}

fn absolute(path: &Path) -> anyhow::Result<PathBuf> {
    Ok(std::path::absolute(path)?)
}
