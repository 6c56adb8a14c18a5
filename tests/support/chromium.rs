//! A headless Chromium for tests that look at a page as a reader does: found, or installed from Debian's packages, and
//! spoken to over pipes in the DevTools protocol.

use std::{
    fs::File,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{self, Receiver},
    time::Duration,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use tempfile::TempDir;

const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
/// The browser, and letters to write with.
const PACKAGES: [&str; 3] = ["chromium", "fonts-dejavu-core", "fonts-liberation"];
/// For an answer: a small machine is slow when it builds at the same time.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the page is looked at with.
#[derive(Clone, Copy)]
pub struct View {
    pub width: u32,
    pub dark: bool,
    pub print: bool,
}

/// A browser with one page. It ends with the value.
pub struct Browser {
    process: Child,
    requests: ChildStdin,
    answers: Receiver<Value>,
    sent: u64,
    session: Option<String>,
    /// What was asked for over the network, and what the page complained about.
    pub loaded: Vec<String>,
    pub complaints: Vec<String>,
    page_is_loaded: bool,
    _profile: TempDir,
}

impl Browser {
    pub fn start() -> Self {
        let profile = tempfile::tempdir().expect("a temporary folder");
        // The protocol is spoken on the file descriptors 3 and 4.
        let mut process = Command::new("sh")
            .args(["-c", "exec \"$0\" \"$@\" 3<&0 4>&1 </dev/null >/dev/null 2>&1"])
            .arg(find())
            .args(["--headless=new", "--remote-debugging-pipe", "--no-first-run", "--disable-gpu", "--hide-scrollbars"])
            .args(["--disable-dev-shm-usage", "--disable-background-networking", "--force-color-profile=srgb"])
            // Chromium refuses to run as root with its sandbox. The pages are our own.
            .arg("--no-sandbox")
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a shell");
        let requests = process.stdin.take().expect("stdin is a pipe");
        let mut pipe = BufReader::new(process.stdout.take().expect("stdout is a pipe"));
        let (send, answers) = mpsc::channel();
        std::thread::spawn(move || {
            let mut message = Vec::new();
            while pipe.read_until(0, &mut message).is_ok_and(|read| read > 0) {
                message.pop();
                let value = serde_json::from_slice(&message).expect("the browser speaks JSON");
                if send.send(value).is_err() {
                    break;
                }
                message.clear();
            }
        });
        let (sent, session, page_is_loaded) = (0, None, false);
        let (loaded, complaints) = (Vec::new(), Vec::new());
        let mut browser =
            Self { process, requests, answers, sent, session, loaded, complaints, page_is_loaded, _profile: profile };
        let target = browser.ask("Target.createTarget", json!({ "url": "about:blank" }))["targetId"].take();
        let attached = browser.ask("Target.attachToTarget", json!({ "targetId": target, "flatten": true }));
        browser.session = attached["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.ask(&format!("{domain}.enable"), json!({}));
        }
        browser
    }

    /// Shows a file.
    pub fn open(&mut self, file: &Path, view: View) {
        let metrics = json!({ "width": view.width, "height": 844, "deviceScaleFactor": 1, "mobile": false });
        self.ask("Emulation.setDeviceMetricsOverride", metrics);
        let scheme = if view.dark { "dark" } else { "light" };
        let media = json!({
            "media": if view.print { "print" } else { "screen" },
            "features": [{ "name": "prefers-color-scheme", "value": scheme }],
        });
        self.ask("Emulation.setEmulatedMedia", media);
        self.loaded.clear();
        self.complaints.clear();
        self.page_is_loaded = false;
        let answer = self.ask("Page.navigate", json!({ "url": format!("file://{}", file.display()) }));
        assert!(answer.get("errorText").is_none(), "{answer}");
        while !self.page_is_loaded {
            let message = self.next();
            self.note(&message);
        }
    }

    /// The value of an expression in the page.
    pub fn evaluate(&mut self, expression: &str) -> Value {
        let question = json!({ "expression": expression, "returnByValue": true });
        let mut answer = self.ask("Runtime.evaluate", question);
        assert!(answer.get("exceptionDetails").is_none(), "{answer}");
        answer["result"]["value"].take()
    }

    /// The whole page as a PNG.
    pub fn picture(&mut self, file: &Path) {
        let mut answer = self.ask("Page.captureScreenshot", json!({ "captureBeyondViewport": true }));
        let data = answer["data"].take();
        let bytes = BASE64_STANDARD.decode(data.as_str().expect("a picture")).expect("base64");
        std::fs::write(file, bytes).expect("the folder is writable");
    }

    fn ask(&mut self, method: &str, params: Value) -> Value {
        self.sent += 1;
        let mut question = json!({ "id": self.sent, "method": method, "params": params });
        if let Some(session) = &self.session {
            question["sessionId"] = session.as_str().into();
        }
        self.requests.write_all(format!("{question}\0").as_bytes()).expect("the browser lives");
        loop {
            let mut message = self.next();
            if message["id"] == self.sent {
                assert!(message.get("error").is_none(), "{method}: {message}");
                return message["result"].take();
            }
            self.note(&message);
        }
    }

    fn next(&self) -> Value {
        self.answers.recv_timeout(PATIENCE).expect("the browser answers")
    }

    /// Remembers what happened in the page.
    fn note(&mut self, message: &Value) {
        let params = &message["params"];
        match message["method"].as_str() {
            Some("Page.loadEventFired") => self.page_is_loaded = true,
            Some("Network.requestWillBeSent") => self.loaded.push(params["request"]["url"].to_string()),
            Some("Log.entryAdded") => self.complaints.push(params["entry"]["text"].to_string()),
            Some("Runtime.consoleAPICalled" | "Runtime.exceptionThrown") => self.complaints.push(params.to_string()),
            _ => {}
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // `exec` made the shell the browser: its children end with it.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The browser's program; installed if need be, once also when several tests ask at the same time.
fn find() -> PathBuf {
    let lock = File::create(Path::new(env!("CARGO_TARGET_TMPDIR")).join("chromium.lock"));
    let lock = lock.expect("the target directory is writable");
    lock.lock().expect("the lock can be taken");
    if let Some(found) = on_path() {
        return found;
    }
    let what = format!("`apt-get install {}`", PACKAGES.join(" "));
    let apt = |arguments: &[&str]| {
        let run = Command::new("apt-get").args(arguments).env("DEBIAN_FRONTEND", "noninteractive").output();
        let output = run.unwrap_or_else(|error| panic!("Chromium is missing, and so is apt-get: {error}; like {what}"));
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "Chromium is missing, and apt-get {arguments:?} failed; run {what}\n{error}");
    };
    apt(&["update"]);
    apt(&[&["install", "--yes", "--no-install-recommends"], PACKAGES.as_slice()].concat());
    on_path().unwrap_or_else(|| panic!("{what} installed no browser"))
}

fn on_path() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    NAMES.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name))).find(|file| file.is_file())
}
