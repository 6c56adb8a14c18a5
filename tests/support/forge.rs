//! Stands for GitHub and GitLab: their REST APIs as far as a comment needs them, on a local port.
//!
//! Both know one repository, `acme/shop` or project 42, with pull request 7. What is wrong with a request is answered as
//! they would answer it.

use std::{
    collections::VecDeque,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
};

use serde_json::{Value, json};

/// The only token that is accepted.
pub const TOKEN: &str = "ghs_canary0123456789";
/// The commit that the pull request is at.
pub const COMMIT: &str = "1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d";
/// What GitHub takes at most.
const LONGEST: usize = 65_536;

/// A server that lives as long as the test.
pub struct Forge {
    pub url: String,
    state: Arc<Mutex<State>>,
}

/// What it knows, and what was asked of it.
pub struct State {
    pub comments: Vec<Comment>,
    /// Of the pull request: `open` or `closed`.
    pub state: &'static str,
    /// Where the pull request is now.
    pub head: String,
    /// Who the token belongs to. An Actions token may not ask.
    pub login: Option<String>,
    /// Whether the token may write.
    pub read_only: bool,
    /// Comments per page, whatever is asked for.
    pub page: usize,
    /// Answers that come first, each for the next request with its method.
    pub instead: VecDeque<Instead>,
    /// Method and path of each request.
    pub requests: Vec<String>,
    next_id: u64,
}

#[derive(Clone, Debug)]
pub struct Comment {
    pub id: u64,
    pub login: String,
    pub body: String,
}

/// Another answer than the right one.
pub struct Instead {
    pub method: &'static str,
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Value,
    /// The request is obeyed all the same: its reply is lost.
    pub obeyed: bool,
}

struct Request {
    method: String,
    path: String,
    query: Vec<(String, String)>,
    token: String,
    body: Value,
}

struct Reply {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Value,
}

impl Forge {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let state = State {
            comments: Vec::new(),
            state: "open",
            head: COMMIT.to_owned(),
            login: None,
            read_only: false,
            page: 100,
            instead: VecDeque::new(),
            requests: Vec::new(),
            next_id: 1,
        };
        let state = Arc::new(Mutex::new(state));
        let (shared, base) = (state.clone(), url.clone());
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // A client that has gone is no concern of the server.
                let _ = serve(stream, &shared, &base);
            }
        });
        Self { url, state }
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Somebody else's comment, or an earlier one of ours.
    pub fn comment(&self, login: &str, body: &str) -> u64 {
        self.state().add(login, body)
    }

    pub fn instead(&self, method: &'static str, status: u16, headers: &[(&'static str, &str)], body: Value) {
        let headers = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        self.state().instead.push_back(Instead { method, status, headers, body, obeyed: false });
    }

    pub fn bodies(&self) -> Vec<String> {
        self.state().comments.iter().map(|comment| comment.body.clone()).collect()
    }

    /// The requests that change something, since the last time this was asked.
    pub fn writes(&self) -> Vec<String> {
        let mut state = self.state();
        std::mem::take(&mut state.requests).into_iter().filter(|request| !request.starts_with("GET")).collect()
    }
}

impl State {
    fn add(&mut self, login: &str, body: &str) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        self.comments.push(Comment { id, login: login.to_owned(), body: body.to_owned() });
        id
    }

    fn answer(&mut self, request: &Request, base: &str) -> Reply {
        self.requests.push(format!("{} {}", request.method, request.path));
        if let Some(place) = self.instead.iter().position(|instead| instead.method == request.method)
            && let Some(Instead { status, headers, body, obeyed, .. }) = self.instead.remove(place)
        {
            if obeyed {
                self.obey(request, base);
            }
            return Reply { status, headers, body };
        }
        self.obey(request, base)
    }

    fn obey(&mut self, request: &Request, base: &str) -> Reply {
        if request.token != TOKEN {
            return refusal(401, "Bad credentials");
        }
        if self.read_only && request.method != "GET" {
            return refusal(403, "Resource not accessible by integration");
        }
        let parts: Vec<&str> = request.path.trim_start_matches('/').split('/').collect();
        match (request.method.as_str(), parts.as_slice()) {
            ("GET", ["user"]) => match &self.login {
                Some(login) => ok(json!({ "login": login, "username": login })),
                None => refusal(403, "Resource not accessible by integration"),
            },
            ("GET", ["repos", "acme", "shop", "pulls"]) => self.pulls(request),
            ("GET", ["repos", "acme", "shop", "pulls", "7"]) => ok(self.pull()),
            ("GET", ["projects", "42", "merge_requests", "7"]) => {
                let state = if self.state == "open" { "opened" } else { self.state };
                ok(json!({ "state": state, "sha": self.head }))
            }
            ("GET", ["repos", "acme", "shop", "issues", "7", "comments"])
            | ("GET", ["projects", "42", "merge_requests", "7", "notes"]) => self.list(request, base),
            ("POST", ["repos", "acme", "shop", "issues", "7", "comments"])
            | ("POST", ["projects", "42", "merge_requests", "7", "notes"]) => self.write(request, None),
            ("PATCH", ["repos", "acme", "shop", "issues", "comments", id])
            | ("PUT", ["projects", "42", "merge_requests", "7", "notes", id]) => self.write(request, id.parse().ok()),
            ("DELETE", ["repos", "acme", "shop", "issues", "comments", id])
            | ("DELETE", ["projects", "42", "merge_requests", "7", "notes", id]) => {
                let before = self.comments.len();
                self.comments.retain(|comment| comment.id.to_string() != *id);
                if self.comments.len() == before {
                    return refusal(404, "Not Found");
                }
                Reply { status: 204, headers: Vec::new(), body: Value::Null }
            }
            _ => refusal(404, "Not Found"),
        }
    }

    fn pull(&self) -> Value {
        json!({ "number": 7, "state": self.state, "head": { "sha": self.head } })
    }

    fn pulls(&self, request: &Request) -> Reply {
        let asked = |name: &str| request.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        let open = asked("state") == Some(self.state) && asked("head") == Some("stranger:topic");
        ok(if open { json!([self.pull()]) } else { json!([]) })
    }

    fn list(&self, request: &Request, base: &str) -> Reply {
        let number = |name: &str| request.query.iter().find(|(key, _)| key == name)?.1.parse::<usize>().ok();
        let (page, size) = (number("page").unwrap_or(1), number("per_page").unwrap_or(30).min(self.page));
        let shown = |comment: &Comment| {
            let kind = if comment.login.ends_with("[bot]") { "Bot" } else { "User" };
            let user = json!({ "login": comment.login, "username": comment.login, "type": kind });
            json!({ "id": comment.id, "body": comment.body, "user": user, "author": user })
        };
        let items: Vec<Value> = self.comments.iter().skip((page - 1) * size).take(size).map(shown).collect();
        let mut links = vec![format!("<{base}{}?page=1>; rel=\"first\"", request.path)];
        if page * size < self.comments.len() {
            links.push(format!("<{base}{}?page={}&per_page={size}>; rel=\"next\"", request.path, page + 1));
        }
        Reply { status: 200, headers: vec![("Link", links.join(", "))], body: Value::Array(items) }
    }

    fn write(&mut self, request: &Request, id: Option<u64>) -> Reply {
        let Some(body) = request.body["body"].as_str() else { return refusal(422, "Validation Failed") };
        if body.chars().count() > LONGEST {
            return refusal(422, "body is too long (maximum is 65536 characters)");
        }
        match id {
            None => {
                let login = self.login.clone().unwrap_or_else(|| "github-actions[bot]".to_owned());
                let id = self.add(&login, body);
                Reply { status: 201, headers: Vec::new(), body: json!({ "id": id }) }
            }
            Some(id) => match self.comments.iter_mut().find(|comment| comment.id == id) {
                Some(comment) => {
                    comment.body = body.to_owned();
                    ok(json!({ "id": id }))
                }
                None => refusal(404, "Not Found"),
            },
        }
    }
}

fn ok(body: Value) -> Reply {
    Reply { status: 200, headers: Vec::new(), body }
}

fn refusal(status: u16, message: &str) -> Reply {
    Reply { status, headers: Vec::new(), body: json!({ "message": message }) }
}

fn serve(stream: TcpStream, state: &Mutex<State>, base: &str) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let request = read(&mut reader)?;
    let reply = state.lock().unwrap_or_else(PoisonError::into_inner).answer(&request, base);
    let body = if reply.body.is_null() { String::new() } else { reply.body.to_string() };
    let mut text =
        format!("HTTP/1.1 {} Status\r\nConnection: close\r\nContent-Length: {}\r\n", reply.status, body.len());
    for (name, value) in &reply.headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    reader.into_inner().write_all(format!("{text}\r\n{body}").as_bytes())
}

fn read(reader: &mut BufReader<TcpStream>) -> std::io::Result<Request> {
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let (mut token, mut length) = (String::new(), 0);
    loop {
        let mut header = String::new();
        reader.read_line(&mut header)?;
        let Some((name, value)) = header.trim().split_once(": ") else { break };
        match name.to_ascii_lowercase().as_str() {
            "authorization" => token = value.trim_start_matches("Bearer ").to_owned(),
            "private-token" => token = value.to_owned(),
            "content-length" => length = value.parse().unwrap_or(0),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let query = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let body = serde_json::from_slice(&body).unwrap_or_default();
    Ok(Request { method, path: path.to_owned(), query, token, body })
}
