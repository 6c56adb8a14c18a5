//! A moto server for wire tests: installed under the target directory, pinned, started once per
//! test binary.
//!
//! Every test gets an account of its own by assuming a role in it, so tests share the server and
//! not their resources.

use std::{
    fs::File,
    io::{BufRead, BufReader, Lines, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::{
        Mutex, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use serde_json::{Value, json};

const REQUIREMENTS: &str = include_str!("../moto/requirements.txt");

/// The server all tests of this binary share. It ends when its stdin does, with this process.
pub struct Moto {
    port: u16,
    /// Questions to the server's process, one at a time.
    reader: Mutex<(ChildStdin, Lines<BufReader<ChildStdout>>)>,
    _server: Child,
    accounts: AtomicU64,
}

/// The server, started by whoever asks first.
pub fn moto() -> &'static Moto {
    static MOTO: OnceLock<Moto> = OnceLock::new();
    MOTO.get_or_init(Moto::start)
}

impl Moto {
    /// A server of one's own: for who looks at all of its state.
    pub fn own() -> Self {
        Self::start()
    }

    fn start() -> Self {
        // moto does not check signatures, but the SDK wants to sign.
        // SAFETY: all tests of this binary come through here before they look for credentials, and nothing else
        // reads the environment meanwhile.
        unsafe {
            std::env::set_var("AWS_ACCESS_KEY_ID", "test");
            std::env::set_var("AWS_SECRET_ACCESS_KEY", "test");
            std::env::set_var("AWS_EC2_METADATA_DISABLED", "true");
        }
        let mut server = Command::new(python())
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/moto/serve.py"))
            // With assertions on, templates with user data fail in moto itself.
            .env("PYTHONOPTIMIZE", "1")
            .env("MOTO_IAM_LOAD_MANAGED_POLICIES", "true")
            .env("MOTO_ENABLE_AMI_VALIDATION", "true")
            // Certificates are issued at once: the runs on it have a virtual clock, moto has the real one.
            .env("MOTO_ACM_VALIDATION_WAIT", "0")
            .env("MOTO_AMIS_PATH", concat!(env!("CARGO_MANIFEST_DIR"), "/tests/moto/amis.json"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the venv's python starts");
        let mut answers = BufReader::new(server.stdout.take().expect("stdout is a pipe")).lines();
        let mut line = || answers.next()?.ok();
        let port = std::iter::from_fn(&mut line).find_map(|line| line.trim().parse().ok()).expect("it prints its port");
        let questions = server.stdin.take().expect("stdin is a pipe");
        Self { port, reader: Mutex::new((questions, answers)), _server: server, accounts: AtomicU64::new(0) }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// An account nobody has used.
    pub fn new_account(&self) -> String {
        format!("{:012}", 100_000_000_000 + self.accounts.fetch_add(1, Ordering::SeqCst))
    }

    /// All that the server knows, as it shows it itself, but for what a mere question makes: the session of who assumes a role
    /// to ask, and the rules of security groups and the health of targets, which moto makes anew for each answer.
    pub fn dump(&self, account: &str) -> Value {
        let read = "__import__('urllib.request').request.urlopen(current.url + '/moto-api/data.json').read().decode()";
        let dump = self.boto3(account, read);
        let mut dump: Value = serde_json::from_str(dump.as_str().expect("a text")).expect("JSON");
        for (service, table) in
            [("iam", "AccessKey"), ("sts", "AssumedRole"), ("ec2", "SecurityGroupRule"), ("elbv2", "FakeHealthStatus")]
        {
            dump[service].as_object_mut().map(|tables| tables.remove(table));
        }
        dump
    }

    /// The value of a Python expression about `account`, which sees boto3: the way to look at what was made without
    /// trusting the program's own reads.
    pub fn boto3(&self, account: &str, expression: &str) -> Value {
        let mut reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        let (questions, answers) = &mut *reader;
        writeln!(questions, "{}", json!({ "account": account, "expression": expression })).expect("the server lives");
        let answer = answers.next().expect("the server lives").expect("text");
        let mut answer: Value = serde_json::from_str(&answer).expect("an answer is JSON");
        assert!(answer.get("error").is_none(), "{expression}: {}", answer["error"]);
        answer["value"].take()
    }
}

/// The venv's interpreter. Made once, also when several test binaries ask at the same time.
pub fn python() -> PathBuf {
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    PYTHON.get_or_init(install).clone()
}

fn install() -> PathBuf {
    let base = Path::new(env!("CARGO_TARGET_TMPDIR")).join("moto");
    std::fs::create_dir_all(&base).expect("the target directory is writable");
    let lock = File::create(base.join("lock")).expect("the target directory is writable");
    lock.lock().expect("the lock can be taken");
    let (venv, stamp) = (base.join("venv"), base.join("installed"));
    let python = venv.join("bin/python");
    if std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == REQUIREMENTS) {
        return python;
    }
    let _ = std::fs::remove_dir_all(&venv);
    run(Command::new("python3").args(["-m", "venv"]).arg(&venv));
    let requirements = base.join("requirements.txt");
    std::fs::write(&requirements, REQUIREMENTS).expect("the target directory is writable");
    run(Command::new(&python)
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"])
        .arg(&requirements));
    std::fs::write(&stamp, REQUIREMENTS).expect("the target directory is writable");
    python
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
