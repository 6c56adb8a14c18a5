//! What is done outside AWS: allowed by name, done once, and only shown where AWS is not AWS.

use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
    sync::{Arc, Mutex},
    thread,
};

use runner::event::Event;
use serde_json::json;

use crate::{
    account::{Account, Ran},
    moto::moto,
};

const ALLOWED: &str = "allowed_commands = [\"sh\", \"cat\"]\nallowed_hosts = [\"127.0.0.1\"]";

/// On a moto server: effects are real ones.
fn live(policy: &str, body: &str) -> Ran {
    let account = Account::moto(moto().url(), moto().new_account());
    ran(&account, policy, body)
}

fn ran(account: &Account, policy: &str, body: &str) -> Ran {
    account.script_under(policy, &format!("environment(\"prod\");\nstack(\"shop\");\n{body}"), json!({}))
}

fn lines(ran: &Ran) -> Vec<&str> {
    fn line(event: &Event) -> Option<&str> {
        match event {
            Event::Log { message } => Some(message),
            _ => None,
        }
    }
    ran.forward().filter_map(line).collect()
}

#[test]
fn a_command_runs_without_a_shell() {
    let ran = live(
        ALLOWED,
        r#"
        let made = exec("sh", #{ args: ["-c", "echo one; echo two; echo '{\"a\": 1}' > /dev/null; exit 4"], allow_failure: true });
        output("code", made.exit_code);
        let read = exec("cat", #{ stdin: `{"digest": "sha256:$(id)"}` });
        output("digest", read.json.digest);
        output("assumed", read.assumed);
        "#,
    );
    assert_eq!(ran.failure, None);
    assert_eq!((&ran.outputs["code"], &ran.outputs["digest"]), (&json!(4), &json!("sha256:$(id)")));
    assert_eq!(ran.outputs["assumed"], json!(false));
    assert_eq!(lines(&ran)[..2], ["sh: one", "sh: two"]);
}

#[test]
fn a_command_that_fails_takes_the_run_back() {
    let ran = live(
        ALLOWED,
        r#"
        ensure_vpc(#{ name: "main", cidr_block: "10.9.0.0/16" });
        exec("sh", #{ args: ["-c", "echo no space left >&2; exit 1"] });
        "#,
    );
    let failure = ran.failure.expect("it failed");
    assert!(failure.contains("exit code 1") && failure.contains("no space left"), "{failure}");
    assert!(ran.rollback.is_some_and(|report| report.is_clean() && report.done == 1));
}

#[test]
fn what_is_not_named_does_not_run() {
    for (policy, words) in [
        ("", "the command `touch` is not allowed: no policy allows anything outside AWS"),
        ("max_size = 3", "the command `touch` is not allowed: nothing is"),
        (ALLOWED, "the command `touch` is not among what is allowed: `sh`, `cat`"),
    ] {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("made");
        let ran = live(policy, &format!("exec(\"touch\", #{{ args: [\"{}\"] }});", file.display()));
        let failure = ran.failure.expect("refused");
        assert!(failure.contains(words), "{failure}");
        assert!(!file.exists());
    }
}

#[test]
fn nothing_is_loaded_into_what_is_allowed() {
    for name in ["LD_PRELOAD", "LD_LIBRARY_PATH", "LD_AUDIT"] {
        let ran =
            live(ALLOWED, &format!("exec(\"sh\", #{{ args: [\"-c\", \"true\"], env: #{{ {name}: \"x.so\" }} }});"));
        let failure = ran.failure.expect("refused");
        assert!(failure.contains(&format!("env.{name}")) && failure.contains("loads code of others"), "{failure}");
    }
}

#[test]
fn secrets_are_shown_nowhere() {
    let account = Account::moto(moto().url(), moto().new_account());
    let ran = account.script_under(
        ALLOWED,
        r#"
        environment("prod");
        stack("shop");
        let key = param("key", #{ secret: true });
        exec("sh", #{ args: ["-c", "echo got $KEY"], env: #{ KEY: key } });
        "#,
        json!({ "key": "hunter2-hunter2" }),
    );
    assert_eq!(ran.failure, None);
    let told = format!("{:?}", ran.events.iter().map(|stamped| &stamped.event).collect::<Vec<_>>());
    assert!(told.contains("got (secret)") && !told.contains("hunter2"), "{told}");
    assert!(!account.journals().contains("hunter2"));
}

#[test]
fn on_the_simulated_aws_it_is_only_shown() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("made");
    let body = format!(
        r#"
        let made = exec("sh", #{{ args: ["-c", "touch {}"], assume: "sha256:1" }});
        output("stdout", made.stdout);
        output("assumed", made.assumed);
        let reply = http_request("http://127.0.0.1:1/", #{{ json: #{{ a: 1 }}, assume: #{{ id: 7 }} }});
        output("id", reply.json.id);
        notify("done", #{{ webhook: "http://127.0.0.1:1/key" }});
        "#,
        file.display()
    );
    let ran = ran(&Account::prompt(), ALLOWED, &body);
    assert_eq!(ran.failure, None);
    assert!(!file.exists());
    assert_eq!((&ran.outputs["stdout"], &ran.outputs["assumed"]), (&json!("sha256:1"), &json!(true)));
    assert_eq!(ran.outputs["id"], json!(7));
}

/// Answers each request with the next status, and keeps what it got.
fn server(statuses: &'static [u16]) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let got = Arc::new(Mutex::new(Vec::new()));
    let kept = got.clone();
    thread::spawn(move || {
        for (connection, status) in listener.incoming().zip(statuses) {
            let mut connection = connection.expect("a connection");
            let mut bytes = [0; 4096];
            let mut text = String::new();
            while !text.contains("}") {
                let count = connection.read(&mut bytes).expect("a request");
                text.push_str(&String::from_utf8_lossy(&bytes[..count]));
            }
            kept.lock().expect("no panic").push(text);
            let body = r#"{"id": 7}"#;
            write!(
                connection,
                "HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            )
            .expect("a reply");
        }
    });
    (format!("http://{address}/deploys"), got)
}

#[test]
fn requests_are_sent_with_what_they_carry() {
    let (url, got) = server(&[503, 201, 200, 500]);
    let ran = live(
        ALLOWED,
        &format!(
            r#"
            let reply = http_request("{url}", #{{
                json: #{{ version: "2" }}, headers: #{{ "X-Team": "web" }}, expect: #{{ status: 201 }}, retries: 1,
            }});
            output("id", reply.json.id);
            output("told", notify("shop is live", #{{ webhook: "{url}" }}).sent);
            let not_told = notify("shop is live", #{{ webhook: "{url}" }});
            output("not_told", not_told.sent);
            output("change", not_told.change);
            "#
        ),
    );
    assert_eq!(ran.failure, None);
    assert_eq!((&ran.outputs["id"], &ran.outputs["told"]), (&json!(7), &json!(true)));
    assert_eq!((&ran.outputs["not_told"], &ran.outputs["change"]), (&json!(false), &json!("unchanged")));
    let got = got.lock().expect("no panic");
    assert!(got[1].starts_with("POST /deploys") && got[1].contains("x-team: web"), "{}", got[1]);
    assert!(got[1].contains("content-type: application/json") && got[1].ends_with(r#"{"version":"2"}"#), "{}", got[1]);
    assert!(got[2].ends_with(r#"{"text":"shop is live"}"#), "{}", got[2]);
    let warned = |event: &Event| matches!(event, Event::Warning { message } if message.contains("nobody was told"));
    assert!(ran.forward().any(warned));
}

#[test]
fn hosts_that_are_not_named_get_nothing() {
    let (url, got) = server(&[200]);
    let ran = live("allowed_hosts = [\"*.example.com\"]", &format!("http_request(\"{url}\", #{{ json: #{{}} }});"));
    let failure = ran.failure.expect("refused");
    assert!(failure.contains("the host 127.0.0.1 is not among what is allowed: `*.example.com`"), "{failure}");
    assert!(got.lock().expect("no panic").is_empty());
}

/// From a store that AWS has nothing to do with: of use to options, and seen nowhere.
#[test]
fn a_command_hands_out_a_secret() {
    let account = Account::moto(moto().url(), moto().new_account());
    let body = r#"
        let key = secret(#{ command: ["sh", "-c", "echo hunter2-hunter2"] });
        exec("sh", #{ args: ["-c", "echo got $KEY"], env: #{ KEY: key } });
    "#;
    let live = ran(&account, ALLOWED, body);
    assert_eq!(live.failure, None);
    assert!(lines(&live).contains(&"sh: got (secret)"), "{:?}", lines(&live));
    assert!(!account.journals().contains("hunter2"));
    assert_eq!(ran(&Account::prompt(), ALLOWED, body).failure, None, "something else stands for it there");
    for (body, words) in [
        (r#"secret(#{ command: ["vault", "read"] })"#, "the command `vault` is not among what is allowed"),
        (r#"secret(#{ command: ["sh", "-c", "echo no >&2; exit 2"] })"#, "exit code 2; no"),
        (r#"secret(#{ command: ["sh", "-c", "true"] })"#, "it printed nothing"),
        (r#"secret(#{ command: [] })"#, "expected a program and its arguments"),
    ] {
        let failure = ran(&account, ALLOWED, body).failure.unwrap_or_else(|| panic!("{body}"));
        assert!(failure.contains(words), "{failure}");
    }
}
