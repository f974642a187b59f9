//! Consoles over a real socket, friendly and hostile ones.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use bailiwick_approval::socket::{Ask, Console, Door, Told, listen, sockets};
use bailiwick_approval::{About, Choice, Desk, Question, Shown, Verdict};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

fn question(id: &str) -> Question {
    Question {
        id: id.to_owned(),
        session: "s".to_owned(),
        plugin: "p".to_owned(),
        digest: "d".to_owned(),
        user: "ann".to_owned(),
        agent: "a".to_owned(),
        task: Vec::new(),
        hidden: false,
        about: About::Call {
            tool: id.to_owned(),
            arguments: Shown::of(&serde_json::json!({"to": "bob"})),
        },
        reasons: Vec::new(),
        policies: Vec::new(),
        people: 1,
        given: Vec::new(),
        asked: 0,
        until: 60,
        request: String::new(),
    }
}

struct Gate {
    desk: Arc<Desk>,
    path: PathBuf,
    serving: tokio::task::JoinHandle<()>,
    dir: tempfile::TempDir,
}

fn gate(door: Door) -> Gate {
    let dir = tempfile::tempdir().unwrap();
    // Longer than the kernel takes as a socket's name.
    let folder = dir.path().join("x".repeat(120));
    std::fs::create_dir(&folder).unwrap();
    let path = folder.join("gate.sock");
    let desk = Arc::new(Desk::default());
    let serving = tokio::spawn(listen(&path).unwrap().serve(desk.clone(), door));
    Gate {
        desk,
        path,
        serving,
        dir,
    }
}

fn open() -> Door {
    Arc::new(|_| Ok("ann".to_owned()))
}

async fn listed(console: &mut Console) -> Vec<String> {
    match console.ask(&Ask::List {}).await.unwrap() {
        Told::Questions(all) => all.into_iter().map(|one| one.id).collect(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_console_lists_and_answers() {
    let gate = gate(open());
    let mode = gate.path.metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let mut console = Console::connect(&gate.path).await.unwrap();
    assert!(listed(&mut console).await.is_empty());
    let mut ticket = gate.desk.ask(question("one"), 0).unwrap();
    assert_eq!(listed(&mut console).await, ["one"]);
    let asked = tokio::spawn(async move {
        let given = ticket.next().await;
        assert_eq!(given.who, "ann");
        let choice = given.answer.choice;
        given.judge(Verdict::More(1));
        choice
    });
    let answer = |id: &str| Ask::Answer {
        id: id.to_owned(),
        choice: Choice::Once,
        signed: None,
    };
    let told = console.ask(&answer("one")).await.unwrap();
    assert_eq!(told, Told::Verdict(Verdict::More(1)));
    assert_eq!(asked.await.unwrap(), Choice::Once);
    let told = console.ask(&answer("two")).await.unwrap();
    assert!(
        matches!(told, Told::Error(why) if why.contains("`two` waits")),
        "nobody asked that"
    );
}

#[tokio::test]
async fn who_watches_sees_questions_come_and_go() {
    let gate = gate(open());
    let mut console = Console::connect(&gate.path).await.unwrap();
    let told = console.ask(&Ask::Watch {}).await.unwrap();
    assert_eq!(told, Told::Questions(Vec::new()));
    let ticket = gate.desk.ask(question("one"), 0).unwrap();
    let told = console.next().await.unwrap();
    assert_eq!(told, Told::Questions(vec![question("one")]));
    drop(ticket);
    assert_eq!(
        console.next().await.unwrap(),
        Told::Questions(Vec::new()),
        "it was taken back"
    );
}

#[tokio::test]
async fn whom_the_door_refuses_learns_nothing() {
    let gate = gate(Arc::new(|peer| {
        assert_eq!(peer.uid(), rustix::process::geteuid().as_raw());
        assert_eq!(peer.pid(), i32::try_from(std::process::id()).ok());
        Err("not you".to_owned())
    }));
    let _ticket = gate.desk.ask(question("one"), 0).unwrap();
    let mut console = Console::connect(&gate.path).await.unwrap();
    let told = console.ask(&Ask::List {}).await.unwrap();
    assert_eq!(told, Told::Error("not you".to_owned()));
    assert!(console.ask(&Ask::List {}).await.is_err());
}

#[tokio::test]
async fn hostile_consoles_are_told_so_and_end_nothing_else() {
    let gate = gate(open());
    // By hand: the folder's name is too long for the kernel.
    let link = gate.dir.path().join("s");
    std::os::unix::fs::symlink(&gate.path, &link).unwrap();
    let raw = || tokio::net::UnixStream::connect(&link);
    for hostile in [
        "{}\n",
        "[]\n",
        "\n",
        "{\"op\":\"answer\",\"id\":\"x\",\"choice\":\"yes\"}\n",
        "{\"op\":\"list\",\"more\":1}\n",
        "null\n",
    ] {
        let mut peer = raw().await.unwrap();
        peer.write_all(hostile.as_bytes()).await.unwrap();
        let mut heard = [0; 8];
        peer.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"{\"error\"", "{hostile}");
    }
    let mut peer = raw().await.unwrap();
    let endless = vec![b'x'; 2 * 1024 * 1024];
    let _ = peer.write_all(&endless).await;
    let mut heard = Vec::new();
    let _ = peer.read_to_end(&mut heard).await;
    assert!(heard.is_empty(), "a line without an end is no question");
    let mut idle = Vec::new();
    for _ in 0..64 {
        idle.push(raw().await.unwrap());
    }
    drop(idle);
    for _ in 0..100 {
        let mut console = Console::connect(&gate.path).await.unwrap();
        if let Ok(Told::Questions(all)) = console.ask(&Ask::List {}).await {
            assert!(all.is_empty());
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("seats are free again once idle consoles are gone");
}

#[tokio::test]
async fn a_gate_that_ends_leaves_no_socket() {
    let gate = gate(open());
    let folder = gate.path.parent().unwrap();
    assert_eq!(sockets(folder).unwrap(), std::slice::from_ref(&gate.path));
    gate.serving.abort();
    assert!(gate.serving.await.is_err());
    assert!(sockets(folder).unwrap().is_empty());
    assert!(sockets(&folder.join("none")).unwrap().is_empty());
}
