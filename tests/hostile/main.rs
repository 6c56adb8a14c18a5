//! Scripts that want to do harm: each ends soon, with an error that says why, and changes nothing. They have a test binary of
//! their own, so that no other test keeps them waiting.
//!
//! Every file of tests/hostile begins with `// expect: ` and a part of the error, or several with
//! ` || ` between them where it depends on the machine which limit is met first; `ends` is for those
//! that may come to their end. Further lines can be `// args: ` for the command line, and `// repeat: N text`
//! for what is too long to be written down: the text comes N times, each on a line of its own, with `{n}` for its
//! number; `// last: text` comes after it.

use std::{
    fmt::Write as _,
    fs,
    io::Read,
    path::Path,
    process::{Child, Command, ExitStatus},
    sync::Mutex,
    thread,
    time::{Duration, Instant},
};

#[expect(dead_code, reason = "scripts are only started here")]
#[path = "../support/project.rs"]
mod project;

use project::Project;

/// How long a script may take to be refused or stopped.
const SOON: Duration = Duration::from_secs(2);
/// When one that does not end is killed.
const LATE: Duration = Duration::from_secs(10);
/// As somebody who trusts it would start it, and as CI does for a pull request of a stranger.
const WAYS: [&[&str]; 2] =
    [&["run", "--sim", "--world", "fresh", "--json"], &["plan", "--untrusted", "--offline", "--format", "markdown"]];
/// What no output may contain.
const SECRET: &str = "planted-secret";

const SETTINGS: &str = "[environments.prod]\nregion = \"eu-central-1\"\n[environments.test]\nregion = \"eu-west-1\"\n";

/// A file of tests/hostile, and what its head says.
struct Script {
    name: String,
    text: String,
    expected: Vec<String>,
    args: Vec<String>,
}

impl Script {
    fn read(path: &Path) -> Self {
        let name = path.file_name().expect("a file").to_string_lossy().into_owned();
        let bytes = fs::read(path).expect("a file");
        let mut text = String::from_utf8(bytes).expect("scripts are UTF-8");
        let head: Vec<String> = text.lines().map_while(|line| line.strip_prefix("// ")).map(str::to_owned).collect();
        let said = |key: &str| head.iter().find_map(|line| line.strip_prefix(key)).map(str::to_owned);
        let expected = said("expect: ").unwrap_or_else(|| panic!("{name} does not say what it expects"));
        if let Some((count, repeated)) = said("repeat: ").as_deref().and_then(|repeat| repeat.split_once(' ')) {
            for number in 0..count.parse::<u32>().expect("a number of times") {
                writeln!(text, "{}", repeated.replace("{n}", &number.to_string())).expect("a string takes everything");
            }
        }
        text += &said("last: ").unwrap_or_default();
        Self {
            name,
            text,
            expected: expected.split(" || ").map(str::to_lowercase).collect(),
            args: said("args: ").unwrap_or_default().split_whitespace().map(str::to_owned).collect(),
        }
    }
}

/// A project with all of tests/hostile in it, and with ways out of it.
struct Place {
    project: Project,
    _outside: tempfile::TempDir,
}

impl Place {
    fn new(hostile: &Path) -> Self {
        let project = Project::new().file("runner.toml", SETTINGS);
        let outside = tempfile::tempdir().expect("a temporary folder");
        fs::write(outside.path().join("evil.rhai"), "fn f() { 1 }").expect("a file");
        fs::write(outside.path().join("evil.toml"), format!("password = \"{SECRET}\"")).expect("a file");
        let into = project.path().join("hostile");
        for folder in ["", "lib", "data", "data/many"] {
            fs::create_dir_all(into.join(folder)).expect("a folder");
            for entry in fs::read_dir(hostile.join(folder)).into_iter().flatten() {
                let path = entry.expect("an entry").path();
                if path.is_file() {
                    fs::copy(&path, into.join(folder).join(path.file_name().expect("a file"))).expect("a copy");
                }
            }
        }
        for number in 0..101 {
            fs::write(into.join(format!("data/many/{number}.toml")), "").expect("a file");
        }
        let link = |target: &str, name: &str| {
            std::os::unix::fs::symlink(outside.path().join(target), into.join(name)).expect("a link");
        };
        link("evil.rhai", "lib/link.rhai");
        link("evil.toml", "data/link.toml");
        let pipes = [into.join("lib/pipe.rhai"), into.join("data/pipe.toml")];
        let made = Command::new("mkfifo").args(pipes).status().expect("mkfifo is there");
        assert!(made.success());
        Self { project, _outside: outside }
    }

    /// Runs or plans one, and says what is wrong with how it ended.
    fn judge(&self, script: &Script, way: &[&'static str]) -> (Duration, Vec<String>) {
        let file = format!("hostile/{}", script.name);
        fs::write(self.project.path().join(&file), &script.text).expect("a file");
        let mut args = vec![way[0], &file];
        args.extend(&way[1..]);
        args.extend(script.args.iter().map(String::as_str));
        let started = Instant::now();
        let Some((status, stdout, stderr)) = finish(self.project.start(&args)) else {
            return (started.elapsed(), vec!["it was killed".to_owned()]);
        };
        let took = started.elapsed();
        let mut wrong = Vec::new();
        let mut check = |fine: bool, what: &str| {
            if !fine {
                wrong.push(what.to_owned());
            }
        };
        let code = status.code();
        let ends = script.expected.iter().any(|expected| expected == "ends");
        check(matches!(code, Some(1 | 3 | 9)) || ends && code == Some(0), &format!("it ended with {status}"));
        let said = stderr.to_lowercase();
        let is_expected = code == Some(0) || script.expected.iter().any(|expected| said.contains(expected));
        check(is_expected, &format!("expected {:?}", script.expected));
        check(took < SOON, "it took too long");
        check(!stdout.contains(r#""mutation":true"#), "it changed something");
        check(!stdout.contains(r#""message":"went on""#), "it went on");
        check(!stdout.contains(SECRET) && !stderr.contains(SECRET), "it gave the secret away");
        check(!stderr.contains("panicked"), "it panicked");
        check(!stderr.contains('\u{1b}') && !stderr.contains('\u{202e}'), "it commands the terminal");
        check(stderr.len() < 20_000, "the error is too long to read");
        if !wrong.is_empty() {
            wrong.push(stderr.chars().take(1_500).collect());
        }
        (took, wrong)
    }
}

/// Waits for the end, and reads all output. `None`: it had to be killed.
fn finish(mut child: Child) -> Option<(ExitStatus, String, String)> {
    fn read(mut from: impl Read + Send + 'static) -> thread::JoinHandle<String> {
        thread::spawn(move || {
            let mut bytes = Vec::new();
            from.read_to_end(&mut bytes).expect("a pipe can be read");
            String::from_utf8_lossy(&bytes).into_owned()
        })
    }
    let stdout = read(child.stdout.take().expect("a pipe"));
    let stderr = read(child.stderr.take().expect("a pipe"));
    let started = Instant::now();
    loop {
        if let Some(status) = child.try_wait().expect("a child can be waited for") {
            return Some((status, stdout.join().expect("read"), stderr.join().expect("read")));
        }
        if started.elapsed() > LATE {
            child.kill().expect("a child can be killed");
            child.wait().expect("a child can be waited for");
            return None;
        }
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn hostile_scripts_end_soon_and_change_nothing() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hostile");
    let wanted = std::env::var("HOSTILE").unwrap_or_default();
    let mut scripts: Vec<Script> = fs::read_dir(&folder)
        .expect("the folder")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "rhai"))
        .map(|path| Script::read(&path))
        .filter(|script| script.name.starts_with(&wanted))
        .collect();
    scripts.sort_by(|a, b| b.name.cmp(&a.name));
    let count = scripts.len();
    assert!(count >= 60 || !wanted.is_empty());

    let waiting = Mutex::new(scripts);
    let report = Mutex::new((Duration::ZERO, String::new(), String::new()));
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let place = Place::new(&folder);
                loop {
                    let Some(script) = waiting.lock().expect("no panic").pop() else { return };
                    for way in WAYS {
                        let (mut took, mut wrong) = place.judge(&script, way);
                        for _ in 0..2 {
                            // What is slow once may have been kept waiting by something else on the machine.
                            if took >= SOON {
                                (took, wrong) = place.judge(&script, way);
                            }
                        }
                        let name = format!("{} {}", way[0], script.name);
                        let mut report = report.lock().expect("no panic");
                        if !wrong.is_empty() {
                            let _ = writeln!(report.2, "{name} ({took:?}): {}\n", wrong.join("\n    "));
                        }
                        if took > report.0 {
                            (report.0, report.1) = (took, name);
                        }
                    }
                }
            });
        }
    });
    let (slowest, name, wrong) = report.into_inner().expect("no panic");
    println!("{count} scripts; the slowest was {name}: {slowest:?}");
    assert!(wrong.is_empty(), "{wrong}");
}
