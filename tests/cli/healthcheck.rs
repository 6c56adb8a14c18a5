//! `runner healthcheck` against real sockets.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::TcpListener,
    thread,
};

use crate::project::{Project, Ran};

/// A server that answers each request with the next of these replies, and with the last one from then on.
fn server(replies: &'static [&'static str]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    thread::spawn(move || {
        for (next, connection) in listener.incoming().enumerate() {
            let Ok(mut connection) = connection else { return };
            let mut reader = BufReader::new(connection.try_clone().expect("a socket"));
            let mut line = String::new();
            while reader.read_line(&mut line).is_ok_and(|read| read > 2) {}
            let _ = connection.write_all(replies[next.min(replies.len() - 1)].as_bytes());
        }
    });
    format!("http://{address}/health")
}

/// An error in one line, wherever it was broken.
fn error(ran: &Ran) -> String {
    ran.stderr.replace("\n  │", "")
}

const GOOD: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 28\r\nconnection: close\r\n\r\n{\"status\":\"ok\",\"version\": 7}";
const BAD: &str = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 5\r\nconnection: close\r\n\r\nsorry";

#[test]
fn a_good_answer_is_0_and_a_bad_one_1() {
    let project = Project::new();
    let url = server(&[GOOD]);
    let good =
        ["healthcheck", &url, "--json", "/status=ok", "--json", "/version=7", "--reply-header", "content-type=*/json"];
    let ran = project.runner(&good);
    assert!(ran.code == Some(0) && ran.stdout.contains(": 200 in "), "{ran}");
    let ran = project.runner(&["healthcheck", &url, "--body", "welcome", "--status", "204"]);
    assert_eq!(ran.code, Some(1), "{ran}");
    for words in ["wanted status 204, found 200", "wanted `welcome` in the body"] {
        assert!(error(&ran).contains(words), "{words}: {ran}");
    }
    let ran = project.runner(&["healthcheck", &url, "--closed"]);
    assert!(ran.code == Some(1) && error(&ran).contains("found status 200"), "{ran}");
}

#[test]
fn it_is_asked_again_and_elsewhere() {
    let project = Project::new();
    let url = server(&[BAD, GOOD]);
    assert_eq!(project.runner(&["healthcheck", &url, "--retries", "1", "--interval", "10ms"]).code, Some(0));
    let port = url.trim_start_matches("http://127.0.0.1:").trim_end_matches("/health").to_owned();
    let name = format!("http://shop.example.com:{port}/");
    let ran = project.runner(&["healthcheck", &name, "--connect-to", "127.0.0.1"]);
    assert_eq!(ran.code, Some(0), "{ran}");
}

#[test]
fn where_nobody_listens_it_is_closed() {
    let project = Project::new();
    let port = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port").port();
    let url = format!("http://127.0.0.1:{port}/");
    let ran = project.runner(&["healthcheck", &url]);
    assert!(ran.code == Some(1) && error(&ran).contains("the connection was refused"), "{ran}");
    let ran = project.runner(&["healthcheck", &url, "--closed"]);
    assert!(ran.code == Some(0) && ran.stdout.contains("nobody answers"), "{ran}");
    let ran = project.runner(&["healthcheck", "http://nobody.invalid/"]);
    assert!(ran.code == Some(1) && error(&ran).contains("the name nobody.invalid leads to nobody"), "{ran}");
    assert_eq!(project.runner(&["healthcheck", "nobody"]).code, Some(3));
}
