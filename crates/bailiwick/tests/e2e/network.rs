//! Network by name: programs that know nothing of us, behind the wall, to real servers with real names.
//!
//! Everything happens in a network namespace of the test's own, where a public address lies on `lo`.

use std::process::{Child, Command, Stdio};

use bailiwick_testkit::sdk::{Outcome, Sdk};
use serde_json::{Value, json};

use crate::ordinary::as_ordinary;
use crate::support::{Ended, PYTHON, World, kind};

const ADDRESS: &str = "93.184.216.34";
const NAMES: [&str; 3] = [
    "api.example.com",
    "other.example.com",
    "localtest.example.com",
];

/// Serves HTTPS on 443 (the folder `www`, what it was asked, redirects) and bytes on 5432.
const SERVER: &str = r#"
import gzip, http.server, json, os, socket, socketserver, ssl, sys, threading
www, cert, key = sys.argv[1:4]
seen = open(os.path.join(www, '..', 'seen'), 'a', buffering=1)
class Handler(http.server.SimpleHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    def __init__(self, *args): super().__init__(*args, directory=www)
    def log_message(self, *args): pass
    def answer(self, status, body, headers={}):
        self.send_response(status)
        for name, value in headers.items(): self.send_header(name, value)
        self.send_header('Content-Length', str(len(body))); self.end_headers(); self.wfile.write(body)
    def tell(self, body=b''):
        told = {'method': self.command, 'path': self.path, 'headers': dict(self.headers), 'body': body.decode()}
        seen.write(json.dumps(told) + '\n'); return json.dumps(told).encode()
    def do_GET(self):
        if self.path.startswith('/git/'): return super().do_GET()
        told = self.tell()
        if self.path.startswith('/v1/away'): return self.answer(302, b'', {'Location': 'https://other.example.com/v1/x'})
        if self.path.startswith('/v1/gzip'): return self.answer(200, gzip.compress(told), {'Content-Encoding': 'gzip'})
        self.answer(200, told)
    def do_POST(self): self.answer(200, self.tell(self.rfile.read(int(self.headers['Content-Length']))))
class Server(socketserver.ThreadingMixIn, http.server.HTTPServer): daemon_threads = True
server = Server(('93.184.216.34', 443), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER); context.load_cert_chain(cert, key)
server.socket = context.wrap_socket(server.socket, server_side=True)
def database():
    listener = socket.create_server(('93.184.216.34', 5432))
    while True:
        peer, _ = listener.accept()
        seen.write(json.dumps({'database': peer.recv(4096).hex()}) + '\n'); peer.close()
threading.Thread(target=database, daemon=True).start()
print('ready', flush=True); server.serve_forever()
"#;

/// A world with those servers, an authority that signed for them, and a table of their names.
struct Net {
    world: World,
    server: Child,
}

impl Drop for Net {
    fn drop(&mut self) {
        self.close();
    }
}

impl Net {
    fn new() -> Self {
        let world = World::new();
        let (authority, certificate, key) = certificates();
        world.file("ca.pem", &authority);
        let (certificate, key) = (
            world.file("cert.pem", &certificate),
            world.file("key.pem", &key),
        );
        let table: String = NAMES
            .iter()
            .map(|name| format!("{ADDRESS} {name}\n"))
            .collect();
        world.file("hosts", &format!("127.0.0.1 localhost\n{table}"));
        world.file("bailiwick.yaml", "trust: [ca.pem]\n");
        let www = world.folder("www");
        let script = world.file("server.py", SERVER);
        let mut server = Command::new(PYTHON)
            .args([script, www, certificate, key])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut out = std::io::BufReader::new(server.stdout.take().unwrap());
        std::io::BufRead::read_line(&mut out, &mut line).unwrap();
        assert_eq!(line, "ready\n");
        Self { world, server }
    }

    /// The command line with the servers' names in the machine's own table.
    fn run(&self, words: &[&str]) -> Ended {
        let mut command = Command::new("unshare");
        let mounted = "mount --bind \"$HOSTS\" /etc/hosts && exec \"$@\"";
        command
            .args(["--mount", "--", "sh", "-c", mounted, "sh"])
            .arg(self.world.bailiwick(&[]).get_program())
            .args(["--config", &self.world.path("bailiwick.yaml")])
            .args(words)
            .env("BAILIWICK_HOME", self.world.home())
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOSTS", self.world.path("hosts"))
            .current_dir(self.world.root());
        crate::support::run(command, "")
    }

    fn exec(&self, allow: &[&str], command: &[&str]) -> Ended {
        let allow = allow.iter().flat_map(|atom| ["--allow", atom]);
        let words: Vec<&str> = ["exec"]
            .into_iter()
            .chain(allow)
            .chain(["--"])
            .chain(command.iter().copied())
            .collect();
        self.run(&words)
    }

    /// Ends the servers.
    fn close(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }

    fn seen(&self) -> String {
        std::fs::read_to_string(self.world.path("seen")).unwrap_or_default()
    }
}

fn certificates() -> (String, String, String) {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
    let ours = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
        .distinguished_name
        .push(rcgen::DnType::CommonName, "company");
    let authority = params.self_signed(&ours).unwrap().pem();
    let issuer = Issuer::new(params, ours);
    let key = KeyPair::generate().unwrap();
    let names = NAMES.map(str::to_owned).to_vec();
    let leaf = CertificateParams::new(names)
        .unwrap()
        .signed_by(&key, &issuer)
        .unwrap();
    (authority, leaf.pem(), key.serialize_pem())
}

fn alone(test: &str, work: impl FnOnce()) {
    let test = format!("network::{test}");
    if bailiwick_testkit::netns::is_alone_or_rerun(&test, &[&format!("{ADDRESS}/32")]) {
        work();
    }
}

const NODE: &str = "fetch(process.argv[1]).then(r => r.ok ? r.text() : Promise.reject(r.status)).then(console.log, e => { console.error(e.cause ?? e); process.exit(1) })";
const URLLIB: &str =
    "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1]).read().decode())";
const HTTPX: &str = "import sys, httpx; print(httpx.get(sys.argv[1]).raise_for_status().text)";
const REQUESTS: &str =
    "import sys, requests; r = requests.get(sys.argv[1]); r.raise_for_status(); print(r.text)";
const URLLIB3: &str = "import sys, urllib3; r = urllib3.PoolManager().request('GET', sys.argv[1]); assert r.status == 200; print(r.data.decode())";

fn clients(url: &str) -> Vec<(&'static str, Vec<String>)> {
    let real = bailiwick_testkit::real::python().display().to_string();
    let python = |interpreter: &str, code: &str| {
        vec![
            interpreter.to_owned(),
            "-c".to_owned(),
            code.to_owned(),
            url.to_owned(),
        ]
    };
    vec![
        (
            "curl",
            ["curl", "-sS", "--fail", url].map(str::to_owned).to_vec(),
        ),
        (
            "node's fetch",
            ["node", "-e", NODE, url].map(str::to_owned).to_vec(),
        ),
        ("urllib", python(PYTHON, URLLIB)),
        ("httpx", python(&real, HTTPX)),
        ("requests", python(&real, REQUESTS)),
        ("urllib3", python(&real, URLLIB3)),
    ]
}

#[test]
fn programs_that_know_nothing_of_us_reach_what_is_granted_by_name() {
    alone(
        "programs_that_know_nothing_of_us_reach_what_is_granted_by_name",
        || {
            let mut net = Net::new();
            // Spliced: the program itself speaks TLS with the server. Terminated: the path is part of the grant.
            for grant in [
                "network_access:https://api.example.com",
                "network_access:https://api.example.com/v1/ GET",
            ] {
                for (name, command) in clients("https://api.example.com/v1/hello") {
                    let command: Vec<&str> = command.iter().map(String::as_str).collect();
                    let ended = net.exec(&[grant], &command);
                    assert_eq!(ended.status, 0, "{name} under {grant}: {ended:?}");
                    assert!(
                        ended.stdout.contains("/v1/hello"),
                        "{name} under {grant}: {ended:?}"
                    );
                }
            }
            net.close();
            net.world.settled();
        },
    );
}

#[test]
fn what_is_not_granted_is_not_reached_and_is_told() {
    alone("what_is_not_granted_is_not_reached_and_is_told", || {
        let net = Net::new();
        let narrow = "network_access:https://api.example.com/v1/ GET";
        for (grant, url) in [
            (narrow, "https://api.example.com/admin"),
            (narrow, "https://other.example.com/v1/hello"),
            (narrow, "https://93.184.216.34/v1/hello"),
            (narrow, "http://api.example.com:443/v1/hello"),
            (narrow, "https://api.example.com/v1/../admin"),
            (
                "network_access:https://api.example.com:8443",
                "https://api.example.com/v1/hello",
            ),
        ] {
            for (name, command) in clients(url) {
                let command: Vec<&str> = command.iter().map(String::as_str).collect();
                let ended = net.exec(&[grant], &command);
                assert_ne!(ended.status, 0, "{name} to {url} under {grant}: {ended:?}");
            }
        }
        let posted = net.exec(
            &[narrow],
            &[
                "curl",
                "-sS",
                "--fail",
                "-d",
                "x",
                "https://api.example.com/v1/hello",
            ],
        );
        assert_ne!(posted.status, 0, "{posted:?}");
        assert_eq!(net.seen(), "", "a request reached the server");
        let log = net.world.entries();
        let told: Vec<_> = log
            .iter()
            .filter(|entry| kind(entry) == "operation_denied")
            .collect();
        for part in ["other.example.com", "/admin", "93.184.216.34", "POST"] {
            assert!(
                told.iter().any(|entry| entry.to_string().contains(part)),
                "{part}: {told:?}"
            );
        }
    });
}

#[test]
fn l8_a_redirect_elsewhere_is_a_decision_of_its_own() {
    alone("l8_a_redirect_elsewhere_is_a_decision_of_its_own", || {
        let net = Net::new();
        let grant = "network_access:https://api.example.com/v1/ GET";
        let ended = net.exec(
            &[grant],
            &["curl", "-sSL", "--fail", "https://api.example.com/v1/away"],
        );
        assert_ne!(ended.status, 0, "{ended:?}");
        assert!(!net.seen().contains("other.example.com"), "{}", net.seen());
        let both = [grant, "network_access:https://other.example.com/v1/ GET"];
        let ended = net.exec(
            &both,
            &["curl", "-sSL", "--fail", "https://api.example.com/v1/away"],
        );
        assert!(ended.stdout.contains("other.example.com"), "{ended:?}");
    });
}

#[test]
fn git_clones_over_https() {
    alone("git_clones_over_https", || {
        let net = Net::new();
        let bare = net.world.path("www/git/repo");
        let script = format!(
            "set -e; git init -q --bare {bare}; git init -q work; cd work; git config user.email a@b; git config user.name n;
             echo hello > file; git add file; git commit -qm one; git push -q {bare} HEAD:refs/heads/main;
             git -C {bare} symbolic-ref HEAD refs/heads/main; git -C {bare} update-server-info"
        );
        let made = Command::new("sh")
            .args(["-c", &script])
            .current_dir(net.world.root())
            .status()
            .unwrap();
        assert!(made.success());
        let out = net.world.folder("out");
        let grants = [
            "network_access:https://api.example.com/git/ GET".to_owned(),
            format!("write_files:{out}/"),
            format!("read_files:{out}/"),
        ];
        let grants: Vec<&str> = grants.iter().map(String::as_str).collect();
        let target = format!("{out}/clone");
        let ended = net.exec(
            &grants,
            &[
                "git",
                "clone",
                "-q",
                "https://api.example.com/git/repo",
                &target,
            ],
        );
        assert_eq!(ended.status, 0, "{ended:?}");
        assert_eq!(
            std::fs::read_to_string(format!("{target}/file")).unwrap(),
            "hello\n"
        );
    });
}

#[test]
fn psql_dials_tcp_by_name() {
    alone("psql_dials_tcp_by_name", || {
        let net = Net::new();
        let words = [
            "psql",
            "host=api.example.com port=5432 sslmode=disable user=ann dbname=books connect_timeout=5",
            "-c",
            "select 1",
        ];
        let ended = net.exec(&["network_access:tcp://api.example.com:5432"], &words);
        assert_ne!(ended.status, 0, "that server only listens: {ended:?}");
        // The first message of PostgreSQL's protocol 3: `user\0ann\0database\0books`.
        let startup = hex("user\0ann\0database\0books");
        assert!(net.seen().contains(&startup), "{ended:?} {}", net.seen());
        let refused = net.exec(&["network_access:tcp://api.example.com:5433"], &words);
        assert_ne!(refused.status, 0);
        assert_eq!(net.seen().matches(&startup).count(), 1);
    });
}

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

const JAVA: &str = "import java.net.URI; import java.net.http.*;
public class Fetch { public static void main(String[] a) throws Exception {
    var request = HttpRequest.newBuilder(URI.create(a[0])).build();
    System.out.println(HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString()).body()); } }";

const GO: &str = "package main\nimport (\"fmt\"; \"io\"; \"net/http\"; \"os\")\nfunc main() {\n\tr, err := http.Get(os.Args[1])\n\tif err != nil { fmt.Println(err); os.Exit(1) }\n\tb, _ := io.ReadAll(r.Body)\n\tfmt.Println(string(b))\n}\n";

#[test]
fn java_and_go_programs_reach_it_too() {
    alone("java_and_go_programs_reach_it_too", || {
        let net = Net::new();
        let url = "https://api.example.com/v1/hello";
        let grant = "network_access:https://api.example.com/v1/ GET";
        let source = net.world.file("src/Fetch.java", JAVA);
        let reads = format!("read_files:{}/", net.world.path("src"));
        let ended = net.exec(&[grant, &reads], &["java", &source, url]);
        assert!(ended.stdout.contains("/v1/hello"), "{ended:?}");
        let source = net.world.file("go/main.go", GO);
        let program = net.world.path("go/fetch");
        let built = Command::new("go")
            .args(["build", "-o", &program, &source])
            .env("GOCACHE", net.world.path("go-cache"))
            .env("GOFLAGS", "-mod=mod")
            .env("CGO_ENABLED", "0")
            .status();
        assert!(
            built.is_ok_and(|status| status.success()),
            "hint: `cargo xtask setup`"
        );
        let ended = net.exec(&[grant], &[&program, url]);
        assert!(ended.stdout.contains("/v1/hello"), "{ended:?}");
    });
}

#[test]
fn a_secret_is_used_and_never_seen() {
    alone("a_secret_is_used_and_never_seen", || {
        let net = Net::new();
        let canary = "canary-5d1f7c2b9a";
        let set = [
            "secret",
            "set",
            "api_token",
            "--to",
            "https://api.example.com/v1/",
            "--as",
            "header:authorization",
            "--variable",
            "API_TOKEN",
        ];
        let kept = net.world.run_with_input(&set, &format!("{canary}\n"));
        assert_eq!(kept.status, 0, "{kept:?}");
        let grants = [
            "network_access:https://api.example.com/v1/",
            "network_access:https://other.example.com/v1/",
            "use_secret:api_token",
        ];
        let curl = |url: &str, more: &str| {
            let script = format!(
                "{} {url} {more}",
                "curl -sS --fail -H \"Authorization: Bearer $API_TOKEN\""
            );
            let allow = [grants[0], grants[1], grants[2], "execute_code:curl"];
            net.exec(&allow, &["sh", "-c", &script])
        };
        let used = curl("https://api.example.com/v1/me", "");
        assert_eq!(used.status, 0, "{used:?}");
        assert!(
            net.seen().contains(&format!("Bearer {canary}")),
            "{}",
            net.seen()
        );
        assert!(
            used.stdout.contains("bailiwick-secret-"),
            "the echo is scrubbed: {used:?}"
        );
        let zipped = curl("https://api.example.com/v1/gzip", "--compressed");
        assert!(zipped.stdout.contains("bailiwick-secret-"), "{zipped:?}");
        let before = net.seen().matches(canary).count();
        for (url, more) in [
            ("https://other.example.com/v1/me", ""),
            ("https://api.example.com/v1/me?token=$API_TOKEN", ""),
            ("https://api.example.com/v1/me", "-d \"$API_TOKEN\""),
            (
                "https://api.example.com/v1/me",
                "-H \"X-Other: $API_TOKEN\"",
            ),
        ] {
            let ended = curl(url, more);
            assert_ne!(ended.status, 0, "{url} {more}: {ended:?}");
        }
        let away = curl("https://api.example.com/v1/away", "-L --location-trusted");
        assert_ne!(away.status, 0, "{away:?}");
        // One more use: the request that was redirected.
        assert_eq!(net.seen().matches(canary).count(), before + 1);
        for ended in [&used, &zipped, &away] {
            assert!(
                !ended.stdout.contains(canary) && !ended.stderr.contains(canary),
                "{ended:?}"
            );
        }
        let environment = net.exec(&grants, &["sh", "-c", "cat /proc/self/environ"]);
        assert!(!environment.stdout.contains(canary), "{environment:?}");
        let log = net.world.entries();
        assert!(log.iter().any(|entry| kind(entry) == "secret_use"));
        assert!(log.iter().all(|entry| !entry.to_string().contains(canary)));
    });
}

/// A plugin with one tool, which fetches.
const FETCHER: &str = r#"
import json, sys, urllib.request
def send(number, result): print(json.dumps({'jsonrpc': '2.0', 'id': number, 'result': result}), flush=True)
def fetch(host):
    try: return urllib.request.urlopen('https://' + host + '/v1/x', timeout=30).read().decode()
    except Exception as error: return 'failed: ' + repr(error)
for line in sys.stdin:
    asked = json.loads(line); number = asked.get('id')
    if asked['method'] == 'initialize':
        version = asked['params']['protocolVersion']
        send(number, {'protocolVersion': version, 'capabilities': {'tools': {}}, 'serverInfo': {'name': 'fetcher', 'version': '1'}})
    elif asked['method'] == 'tools/list':
        schema = {'type': 'object', 'properties': {'host': {'type': 'string'}}, 'required': ['host']}
        send(number, {'tools': [{'name': 'fetch', 'inputSchema': schema}]})
    elif asked['method'] == 'tools/call':
        send(number, {'content': [{'type': 'text', 'text': fetch(asked['params']['arguments']['host'])}]})
    elif number is not None:
        print(json.dumps({'jsonrpc': '2.0', 'id': number, 'error': {'code': -32601, 'message': 'unknown'}}), flush=True)
"#;

/// What came of fetching from a granted host and from another, through a gate of this command.
fn fetched(net: &Net, command: &[&str], grant: &str) -> Outcome {
    let script = net.world.file("fetcher.py", FETCHER);
    let binary = net.world.bailiwick(&[]);
    let binary = binary.get_program().to_str().unwrap();
    let mounted = "mount --bind \"$HOSTS\" /etc/hosts && exec \"$@\"";
    let (config, read) = (
        net.world.path("bailiwick.yaml"),
        format!("read_files:{script}"),
    );
    let outside = ["unshare", "--mount", "--", "sh", "-c", mounted, "sh"];
    let before = [binary, "--config", &config];
    let after = ["--allow", grant, "--allow", &read, "--", PYTHON, &script];
    let words = [&outside[..], &before[..], command, &after[..]].concat();
    bailiwick_testkit::sdk::Session::new(words)
        .env("BAILIWICK_HOME", net.world.home().to_str().unwrap())
        .env("HOSTS", &net.world.path("hosts"))
        .cwd(net.world.root())
        .call("fetch", json!({ "host": "api.example.com" }))
        .call("fetch", json!({ "host": "other.example.com" }))
        .run(Sdk::PythonLegacy)
}

#[test]
fn a_host_is_learnt_and_not_its_requests() {
    alone("a_host_is_learnt_and_not_its_requests", || {
        let net = Net::new();
        let learn = ["learn", "--to", "learnt.yaml"];
        let bound = "network_access:https://api.example.com/v1/";
        let part = fetched(&net, &learn, bound);
        assert!(part.text(0).contains("/v1/x"), "{part:?}");
        let read = |file: &str| net.world.read(file);
        let (asked, never) = (read("learnt.yaml"), "other.example.com");
        assert!(asked.contains(&format!("  - \"{bound}\"\n")), "{asked}");
        assert!(!asked.contains(never), "{asked}");
        let whole = fetched(
            &net,
            &["learn", "--to", "whole.yaml"],
            "network_access:https://api.example.com",
        );
        assert!(whole.text(0).contains("/v1/x"), "{whole:?}");
        let asked = read("whole.yaml");
        let line = "  - \"network_access:https://api.example.com\"\n";
        assert!(
            asked.contains("while fetch ran:\n  # https://api.example.com\n"),
            "{asked}"
        );
        assert!(asked.contains(line), "{asked}");
    });
}

#[test]
fn a_plugin_of_serve_has_the_same_network() {
    alone("a_plugin_of_serve_has_the_same_network", || {
        let net = Net::new();
        let grant = "network_access:https://api.example.com/v1/";
        let outcome = fetched(&net, &["serve"], grant);
        assert!(
            outcome.text(0).contains("\"path\": \"/v1/x\""),
            "{outcome:?}"
        );
        assert!(outcome.text(1).starts_with("failed: "), "{outcome:?}");
        assert!(!net.seen().contains("other.example.com"));
        let log = net.world.entries();
        let told = |entry: &Value| {
            kind(entry) == "operation_denied" && entry.to_string().contains("other.example.com")
        };
        assert!(log.iter().any(told), "{log:?}");
    });
}

#[test]
fn an_ordinary_user_reaches_what_is_granted_by_name() {
    let test = "an_ordinary_user_reaches_what_is_granted_by_name";
    // In a user namespace of its own the same user has another number.
    if bailiwick_testkit::netns::is_alone() || as_ordinary(&format!("network::{test}")) {
        alone(test, || {
            let net = Net::new();
            let url = "https://api.example.com/v1/x";
            let curl = ["curl", "-sS", "--fail", url];
            let ended = net.exec(&["network_access:https://api.example.com/v1/"], &curl);
            assert_eq!(ended.status, 0, "{ended:?}");
            let other = net.exec(&["network_access:https://other.example.com"], &curl);
            assert_ne!(other.status, 0, "{other:?}");
        });
    }
}

/// A person says where a name of a private network leads; to that and to nothing else.
#[test]
fn l7_a_private_name_leads_where_a_person_said() {
    alone("l7_a_private_name_leads_where_a_person_said", || {
        let net = Net::new();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        net.world
            .file("hosts", "127.0.0.1 localhost\n127.0.0.1 db.internal\n");
        let reach = |ranges: &str, grant: &str| {
            net.world
                .file("bailiwick.yaml", &format!("private_names: {{{ranges}}}\n"));
            let dial = format!(
                "import socket; socket.create_connection(('db.internal', {port})).sendall(b'hello')"
            );
            let grant = format!("network_access:tcp://{grant}:{port}");
            let ended = net.exec(&[&grant], &[PYTHON, "-c", &dial]);
            listener.set_nonblocking(true).unwrap();
            std::iter::from_fn(|| listener.accept().ok()).count() > 0 && ended.status == 0
        };
        assert!(!reach("", "db.internal"));
        assert!(!reach("db.internal: [10.0.0.0/8]", "db.internal"));
        assert!(!reach("other.internal: [127.0.0.0/8]", "db.internal"));
        assert!(reach("db.internal: [127.0.0.1]", "db.internal"));
    });
}

#[test]
fn l7_a_name_that_leads_into_the_machine_is_refused() {
    alone("l7_a_name_that_leads_into_the_machine_is_refused", || {
        let net = Net::new();
        net.world.file(
            "hosts",
            "127.0.0.1 localhost\n127.0.0.1 api.example.com\n10.0.0.1 other.example.com\n",
        );
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        for name in ["api.example.com", "other.example.com"] {
            let grant = format!("network_access:tcp://{name}:{port}");
            let ended = net.exec(
                &[&grant],
                &[
                    "curl",
                    "-sS",
                    "--max-time",
                    "10",
                    &format!("http://{name}:{port}/"),
                ],
            );
            assert_ne!(ended.status, 0, "{ended:?}");
        }
        listener.set_nonblocking(true).unwrap();
        assert!(
            listener.accept().is_err(),
            "it reached the machine's own loopback"
        );
        let told = net.world.entries();
        let told: Vec<_> = told
            .iter()
            .filter(|entry| kind(entry) == "operation_denied")
            .collect();
        assert!(
            told.iter()
                .any(|entry| entry.to_string().contains("loopback")),
            "{told:?}"
        );
    });
}
