//! Requests and replies as they were on the wire, without secrets, one exchange per line: to hold them against the service
//! models, and the simulated AWS against AWS.
//!
//! `run --record-wire FILE` writes all of a run. `RUNNER_RECORD_WIRE=FOLDER` has every process write a file of its own
//! there, each exchange once whatever its ids: so much is left of a whole run of the tests.

use std::{
    collections::HashSet,
    env, fs,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    io::{self, Write as _},
    path::Path,
    process,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::action::Action;
use crate::{
    private,
    redact::{Edit as _, MASK, Secrets, members},
};

/// Names a folder, see above.
const VARIABLE: &str = "RUNNER_RECORD_WIRE";

/// Members that may hold secrets, besides those that are some.
const MAY_HOLD: &[&str] = &["UserData", "userData"];

/// A file of exchanges.
#[derive(Debug)]
pub struct WireLog {
    out: Mutex<Out>,
    secrets: Secrets,
}

#[derive(Debug)]
struct Out {
    file: fs::File,
    /// Exchanges that are in the file, apart from their ids; `None`: all are written.
    seen: Option<HashSet<u64>>,
    /// Why an exchange could not be written: the first time.
    failed: Option<io::Error>,
}

/// A request that is about to leave.
#[derive(Debug)]
pub(super) struct Noted(Value);

impl WireLog {
    /// A new file that only its owner can read.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn create(path: &Path, secrets: Secrets) -> io::Result<Self> {
        let file = private::open(fs::OpenOptions::new().write(true).truncate(true).create(true), path)?;
        Ok(Self { out: Mutex::new(Out { file, seen: None, failed: None }), secrets })
    }

    /// The one this process was told to write by its environment.
    pub(super) fn of_process() -> Option<Arc<Self>> {
        static LOG: OnceLock<Option<Arc<WireLog>>> = OnceLock::new();
        let open = || {
            let path = Path::new(&env::var_os(VARIABLE)?).join(format!("{}.jsonl", process::id()));
            let file = private::open(fs::OpenOptions::new().append(true).create(true), &path).ok()?;
            let out = Mutex::new(Out { file, seen: Some(HashSet::new()), failed: None });
            Some(Arc::new(WireLog { out, secrets: Secrets::default() }))
        };
        LOG.get_or_init(open).clone()
    }

    /// Writes an exchange down. That it cannot be written is no reason to stop a run: see `failure`.
    pub(super) fn write(&self, Noted(mut exchange): Noted, reply: Option<&HttpResponse>, now: Timestamp) {
        if let Some(reply) = reply {
            let header = |name: &str| reply.headers().get(name).map(str::to_owned);
            let headers = ["content-type", "location", "x-amzn-requestid"].map(|name| (name, header(name)));
            exchange["status"] = reply.status().as_u16().into();
            exchange["response_headers"] = headers_of(headers);
            exchange["response"] = text(reply.body().bytes()).into();
        }
        for body in ["request", "response"] {
            if let Some(text) = exchange[body].as_str() {
                exchange[body] = self.without_secrets(text).into();
            }
        }
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        let form = form_of(&exchange.to_string());
        if out.seen.as_mut().is_some_and(|seen| !seen.insert(form)) {
            return;
        }
        exchange["at"] = now.to_string().into();
        // One write per line: processes that share a file do not tear each other's lines.
        if let Err(error) = out.file.write_all(format!("{exchange}\n").as_bytes()) {
            out.failed.get_or_insert(error);
        }
    }

    /// Why not all that was sent is in the file, if it is not.
    pub fn failure(&self) -> Option<String> {
        let out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        out.failed.as_ref().map(ToString::to_string)
    }

    fn without_secrets(&self, body: &str) -> String {
        if body.starts_with(['{', '[']) {
            let Ok(mut tree) = serde_json::from_str::<Value>(body) else { return MASK.to_owned() };
            members::mask(&mut tree, MAY_HOLD);
            self.secrets.values(&mut tree);
            return tree.to_string();
        }
        if body.starts_with('<') {
            let masked = secret_names().fold(body.to_owned(), |body, name| mask_element(&body, name));
            return self.secrets.mask(&masked);
        }
        let pairs = form_urlencoded::parse(body.as_bytes()).map(|(name, value)| {
            let is_secret = secret_names().any(|secret| name.ends_with(secret));
            let value = if is_secret { MASK.to_owned() } else { self.secrets.mask(&value) };
            (name, value)
        });
        form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
    }
}

impl Noted {
    pub(super) fn of(request: &HttpRequest) -> Self {
        let header = |name: &str| request.headers().get(name).map(str::to_owned);
        let action = request.extension::<Action>().map(|action| action.0.clone()).unwrap_or_default();
        let (_, action) = action.split_once(':').unwrap_or_default();
        // Credential=KEY/DATE/REGION/SERVICE/aws4_request
        let signed = header("authorization").unwrap_or_default();
        let scope = signed.split_once("Credential=").map(|(_, scope)| scope).unwrap_or_default();
        let part = |at: usize| scope.split(['/', ',']).nth(at).unwrap_or_default();
        let headers = ["content-type", "x-amz-target"].map(|name| (name, header(name)));
        Self(json!({
            "service": part(3),
            "region": part(2),
            "action": action,
            "method": request.method(),
            "uri": request.uri(),
            "request_headers": headers_of(headers),
            "request": text(request.body().bytes()),
            // Until there is a reply.
            "status": 0,
        }))
    }
}

fn headers_of<const N: usize>(headers: [(&str, Option<String>); N]) -> Value {
    headers.into_iter().filter_map(|(name, value)| Some((name.to_owned(), Value::from(value?)))).collect()
}

fn text(body: Option<&[u8]>) -> String {
    String::from_utf8_lossy(body.unwrap_or_default()).into_owned()
}

fn secret_names() -> impl Iterator<Item = &'static str> {
    members::SECRET.iter().chain(MAY_HOLD).copied()
}

/// `body` with another text in each XML element of that name.
fn mask_element(body: &str, name: &str) -> String {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let mut parts = body.split(&open);
    let mut masked = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.find(&close).map_or("", |at| &part[at..]);
        masked = format!("{masked}{open}{MASK}{rest}");
    }
    masked
}

/// What is left of an exchange when the digits do not count: of two that differ in ids and times only, one will do.
fn form_of(exchange: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    for word in exchange.split(|c: char| !c.is_ascii_alphanumeric()) {
        if word.bytes().any(|byte| byte.is_ascii_digit()) { 0_u8.hash(&mut hasher) } else { word.hash(&mut hasher) }
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_stay_out() {
        let dir = tempfile::tempdir().expect("a folder");
        let secrets = Secrets::default();
        secrets.hide("hunter2");
        let log = WireLog::create(&dir.path().join("wire"), secrets).expect("a file");
        let written = |body: &str| log.without_secrets(body);
        assert_eq!(
            written("Action=X&Data.UserData=aHVudGVy&Name=hunter2"),
            "Action=X&Data.UserData=%28secret%29&Name=%28secret%29"
        );
        assert_eq!(written(r#"{"PrivateKey":"k","Name":"n"}"#), r#"{"PrivateKey":"(secret)","Name":"n"}"#);
        let parameter = r#"{"Parameter":{"Type":"SecureString","Value":"v","Name":"n"}}"#;
        assert_eq!(written(parameter), r#"{"Parameter":{"Type":"SecureString","Value":"(secret)","Name":"n"}}"#);
        assert_eq!(
            written("<a><userData>x</userData><b>hunter2</b><userData>y</userData></a>"),
            "<a><userData>(secret)</userData><b>(secret)</b><userData>(secret)</userData></a>"
        );
        assert_eq!(written("{torn"), "(secret)");
    }

    #[test]
    fn what_all_tests_send_is_kept_once() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("wire");
        let log = WireLog::create(&path, Secrets::default()).expect("a file");
        let send = |body: &str| log.write(Noted(json!({ "request": body })), None, Timestamp::UNIX_EPOCH);
        let lines = || fs::read_to_string(&path).expect("a file").lines().count();
        ["id=vpc-1", "id=vpc-2"].into_iter().for_each(send);
        assert_eq!(lines(), 2, "of a run, all is kept");
        log.out.lock().expect("nobody panicked").seen = Some(HashSet::new());
        ["id=vpc-3", "id=vpc-4", "name=x"].into_iter().for_each(send);
        assert_eq!(lines(), 4);
    }

    #[test]
    fn digits_do_not_count() {
        assert_eq!(form_of("vpc-0001 made"), form_of("vpc-0002 made"));
        assert_ne!(form_of("vpc-0001 made"), form_of("vpc-0001 gone"));
    }
}
