//! `--untrusted`: work on a runbook that nobody has looked at is done in a child process that can
//! hold only so much.
//!
//! The limits of the script host keep a hostile runbook small and short. Should one find a way
//! around them, the operating system ends the child, and this process says what happened.

use std::{
    env,
    ffi::{OsStr, OsString},
    os::unix::process::ExitStatusExt as _,
    process::{Child, Command, ExitStatus},
};

use miette::miette;
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, setrlimit};
use tokio::signal::unix::{SignalKind, signal};

use super::{Exit, Failure, exit};

/// Tells the child that it is one.
const CHILD: &str = "RUNNER_UNTRUSTED_CHILD";

/// Bytes of address space: stacks of branches are reserved there, and hardly used.
const ADDRESS_SPACE: u64 = 4 << 30;
/// Seconds of the processor.
const PROCESSOR: u64 = 120;
/// Bytes of a file that is written.
const FILE: u64 = 256 << 20;

/// What the child finds in its environment: these, and what begins like [`KEPT_PREFIXES`].
const KEPT: [&str; 27] = [
    "HOME",
    "PATH",
    "TMPDIR",
    "TZ",
    "LANG",
    "LC_ALL",
    "TERM",
    "COLUMNS",
    "NO_COLOR",
    "CLICOLOR",
    "CLICOLOR_FORCE",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "CI",
    "GITHUB_ACTIONS",
    "GITHUB_WORKSPACE",
    "GITHUB_REPOSITORY",
    "GITHUB_SHA",
    "GITHUB_STEP_SUMMARY",
    "GITHUB_OUTPUT",
    "GITLAB_CI",
];
const KEPT_PREFIXES: [&str; 2] = ["AWS_", "RUNNER_"];

/// To be called before anything is read that is not trusted.
///
/// `None`: go on, in this process, which has its limits where `enabled`. Otherwise a child has done
/// the work, and this is how it ended.
pub fn guard(enabled: bool) -> Option<Result<Exit, Failure>> {
    if !enabled {
        return None;
    }
    if env::var_os(CHILD).is_some() {
        return limit().err().map(Err);
    }
    Some(command().and_then(supervise))
}

/// The same call of this program again, with little of its environment.
fn command() -> Result<Command, Failure> {
    let program = env::current_exe().map_err(|error| failed("this program cannot find itself", &error))?;
    let mut command = Command::new(program);
    command.args(env::args_os().skip(1)).env_clear().envs(env::vars_os().filter(is_kept)).env(CHILD, "1");
    // Each pool of the allocator reserves address space, and by default there are very many.
    command.env("MALLOC_ARENA_MAX", "2");
    Ok(command)
}

fn is_kept((name, _): &(OsString, OsString)) -> bool {
    let begins_like = |name: &str| KEPT_PREFIXES.iter().any(|prefix| name.starts_with(prefix));
    KEPT.iter().any(|kept| OsStr::new(kept) == name) || name.to_str().is_some_and(begins_like)
}

/// Limits this process, for good.
fn limit() -> Result<(), Failure> {
    let limits = [
        (Resource::As, ADDRESS_SPACE),
        (Resource::Cpu, PROCESSOR),
        (Resource::Fsize, FILE),
        // What a runbook knew should not lie around in a core dump.
        (Resource::Core, 0),
    ];
    for (resource, limit) in limits {
        // A limit can be lowered only.
        let limit = Some(getrlimit(resource).maximum.map_or(limit, |maximum| maximum.min(limit)));
        setrlimit(resource, Rlimit { current: limit, maximum: limit })
            .map_err(|error| failed("the limits of an untrusted runbook cannot be set", &error))?;
    }
    Ok(())
}

/// Waits for the child, and ends as it ended.
fn supervise(mut command: Command) -> Result<Exit, Failure> {
    let child = command.spawn().map_err(|error| failed("the process for an untrusted runbook cannot begin", &error))?;
    let status = wait(child).map_err(|error| failed("the process for an untrusted runbook is lost", &error))?;
    match status.code() {
        Some(code) => Ok(exit::ALL.into_iter().find(|exit| i32::from(exit.code) == code).unwrap_or(exit::BUG)),
        None => Err(ended_by_signal(status)),
    }
}

/// Ctrl-C reaches the child by itself, and it decides what becomes of the work. What is sent to this
/// process alone is passed on.
fn wait(mut child: Child) -> std::io::Result<ExitStatus> {
    let pid = Pid::from_child(&child);
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        let mut ended = tokio::task::spawn_blocking(move || child.wait());
        loop {
            tokio::select! {
                status = &mut ended => return status?,
                _ = interrupt.recv() => {}
                // It may have ended just now.
                _ = terminate.recv() => drop(kill_process(pid, Signal::TERM)),
            }
        }
    })
}

fn ended_by_signal(status: ExitStatus) -> Failure {
    let signal = status.signal().unwrap_or_default();
    let is = |known: Signal| known.as_raw() == signal;
    let why = if is(Signal::XCPU) {
        format!("it computed for more than {PROCESSOR} s")
    } else if is(Signal::XFSZ) {
        format!("it wrote a file of more than {} MiB", FILE >> 20)
    } else if is(Signal::ABORT) || is(Signal::SEGV) || is(Signal::BUS) {
        format!("it needed more than {} GiB of memory, or more stack than there is", ADDRESS_SPACE >> 30)
    } else {
        format!("signal {signal} ended its process")
    };
    Failure::new(
        exit::USAGE,
        miette!(
            help = "nothing was changed; the runbook asks for more than any should",
            "the runbook was stopped: {why}"
        ),
    )
}

fn failed(what: &str, error: &dyn std::fmt::Display) -> Failure {
    Failure::new(exit::FAILED, miette!("{what}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs one of the ignored tests below as the child.
    fn child(test: &str) -> Result<Exit, Failure> {
        let mut command = command().expect("the test binary knows itself");
        let path = format!("{}::{test}", module_path!().split_once("::").expect("below the crate").1);
        let program = command.get_program().to_owned();
        let variables: Vec<_> =
            command.get_envs().filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned()))).collect();
        command = Command::new(program);
        command.args(["--quiet", "--ignored", "--exact", &path, "--nocapture"]).env_clear().envs(variables);
        command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
        supervise(command)
    }

    fn words(ended: Result<Exit, Failure>) -> String {
        format!("{:?}", ended.expect_err("it is stopped"))
    }

    #[test]
    fn the_exit_code_is_passed_on() {
        assert_eq!(child("refused").ok(), Some(exit::REFUSED));
        assert_eq!(child("no_such_test").ok(), Some(exit::DONE));
    }

    #[test]
    fn memory_ends() {
        let words = words(child("takes_all_memory"));
        assert!(words.contains("it needed more than 4 GiB of memory"), "{words}");
        assert!(words.contains(&format!("{:?}", exit::USAGE)), "{words}");
    }

    #[test]
    fn time_ends() {
        let words = words(child("takes_all_time"));
        assert!(words.contains("it computed for more than 120 s"), "{words}");
    }

    #[test]
    fn little_of_the_environment_is_left() {
        assert_eq!(child("has_a_clean_environment").ok(), Some(exit::DONE));
        let kept = |name: &str| is_kept(&(name.into(), "".into()));
        assert!(kept("AWS_PROFILE") && kept("RUNNER_LOG") && kept("PATH"));
        assert!(!kept("GITHUB_TOKEN") && !kept("LD_PRELOAD") && !kept("SSH_AUTH_SOCK"));
    }

    #[test]
    fn who_trusts_needs_no_child() {
        assert!(guard(false).is_none());
    }

    #[test]
    #[ignore = "the child of another test"]
    fn refused() {
        std::process::exit(exit::REFUSED.code.into());
    }

    #[test]
    #[ignore = "the child of another test"]
    fn takes_all_memory() {
        assert!(guard(true).is_none(), "this is the child");
        let mut blocks: Vec<Vec<u8>> = Vec::new();
        loop {
            blocks.push(Vec::with_capacity(256 << 20));
        }
    }

    #[test]
    #[ignore = "the child of another test"]
    fn takes_all_time() {
        assert!(guard(true).is_none(), "this is the child");
        // What the kernel does after two minutes.
        kill_process(rustix::process::getpid(), Signal::XCPU).expect("a process may end itself");
        std::thread::sleep(std::time::Duration::from_secs(60));
    }

    #[test]
    #[ignore = "the child of another test"]
    fn has_a_clean_environment() {
        assert!(env::vars_os().all(|variable| is_kept(&variable) || variable.0 == "MALLOC_ARENA_MAX"));
    }
}
