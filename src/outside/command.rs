//! A command of this machine: without a shell, with a deadline, its output line by line.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Read, Write as _},
    os::unix::{
        fs::PermissionsExt as _,
        process::{CommandExt as _, ExitStatusExt as _},
    },
    path::PathBuf,
    process::{Child, ExitStatus, Stdio},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

use super::Trouble;

/// How much of each output is kept, in bytes: its end, where errors stand.
const KEPT: usize = 64 << 10;
/// A line is cut here, in bytes: what has no end of lines is not held back.
const LONGEST_LINE: u64 = 16 << 10;
/// How often it is looked whether a command has ended.
const LOOK: Duration = Duration::from_millis(20);
/// How long a command that is told to end has for it.
const GRACE: Duration = Duration::from_secs(5);

/// A command to be run.
#[derive(Clone, Debug)]
pub struct Command {
    /// A name that is looked for in the `PATH` of this process, or a path.
    pub program: String,
    pub args: Vec<String>,
    /// Beside the environment of this process.
    pub env: BTreeMap<String, String>,
    /// Where it runs; the folder this process was started in.
    pub directory: Option<PathBuf>,
    /// What it reads.
    pub stdin: String,
    pub timeout: Duration,
}

/// How a command ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finished {
    pub exit_code: i32,
    /// The end of it.
    pub stdout: String,
    /// The end of it.
    pub stderr: String,
}

impl Finished {
    /// Why it failed, if it did: its exit code, and the last lines of what it said.
    pub fn faults(&self, lines: usize) -> Option<Vec<String>> {
        let said: Vec<&str> = self.stderr.lines().collect();
        let last = said[said.len().saturating_sub(lines)..].iter().map(|line| (*line).to_owned());
        (self.exit_code != 0).then(|| [format!("exit code {}", self.exit_code)].into_iter().chain(last).collect())
    }
}

/// A line with its end, if it has one, and whether it is an error's.
type Line = (String, bool);
type Lines = tokio::sync::mpsc::UnboundedSender<Line>;

impl Command {
    /// Runs it, and gives each line to `said` as it comes. Whatever its exit code is, it has ended.
    ///
    /// # Errors
    /// If it could not be started, or did not end in time.
    pub async fn run(&self, mut said: impl FnMut(&str, bool)) -> Result<Finished, Trouble> {
        let (lines, mut heard) = tokio::sync::mpsc::unbounded_channel::<Line>();
        let command = self.clone();
        let mut ended = tokio::task::spawn_blocking(move || command.run_here(&lines));
        let mut finished = Finished::default();
        let mut hear = |(line, is_error): Line| {
            said(line.trim_end_matches(['\n', '\r']), is_error);
            keep(if is_error { &mut finished.stderr } else { &mut finished.stdout }, &line);
        };
        // Somebody who has left the group of processes can hold the output for ever: the command's end counts.
        let status = loop {
            tokio::select! {
                biased;
                Some(line) = heard.recv() => hear(line),
                status = &mut ended => break status,
            }
        };
        while let Ok(line) = heard.try_recv() {
            hear(line);
        }
        let status = status.map_err(|error| Trouble::Unknown(error.to_string()))??;
        // As shells write it: 128 and the number of the signal.
        finished.exit_code = status.code().or_else(|| Some(128 + status.signal()?)).unwrap_or(-1);
        Ok(finished)
    }

    fn run_here(&self, lines: &Lines) -> Result<ExitStatus, Trouble> {
        let not_started = |code: &'static str, error: &dyn std::fmt::Display| Trouble::Failed {
            code,
            message: format!("`{}` could not be started: {error}", self.program),
        };
        let place = self.place().ok_or_else(|| not_started("NotFound", &"there is no such program in `PATH`"))?;
        let mut command = std::process::Command::new(place);
        command.arg0(&self.program).args(&self.args).envs(&self.env);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // Ctrl-C is for this process, which lets what it has begun come to its end.
        command.process_group(0);
        if let Some(directory) = &self.directory {
            command.current_dir(directory);
        }
        let mut child = command.spawn().map_err(|error| {
            let code = if error.kind() == std::io::ErrorKind::NotFound { "NotFound" } else { "NotStarted" };
            not_started(code, &error)
        })?;
        if let (Some(mut stdin), text) = (child.stdin.take(), self.stdin.clone()) {
            // A command that does not read to the end says by its exit code whether that is wrong.
            thread::spawn(move || stdin.write_all(text.as_bytes()));
        }
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let readers = [stdout.map(|out| listen(out, lines, false)), stderr.map(|out| listen(out, lines, true))];
        self.wait(&mut child, || readers.iter().flatten().all(JoinHandle::is_finished))
    }

    /// Where the program is. A `PATH` in `env` is for what it starts itself: it would put another program under a name that
    /// policy allows.
    fn place(&self) -> Option<PathBuf> {
        if self.program.contains('/') {
            return Some(PathBuf::from(&self.program));
        }
        let is_program = |file: &PathBuf| {
            file.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
        };
        // What systems take where there is none.
        let path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into());
        let found = std::env::split_paths(&path).map(|folder| folder.join(&self.program)).find(is_program)?;
        // It may run in another folder.
        std::path::absolute(found).ok()
    }

    /// Until it has ended, and all that it has started, as far as that has its output.
    fn wait(&self, child: &mut Child, is_silent: impl Fn() -> bool) -> Result<ExitStatus, Trouble> {
        let unknown = |error: std::io::Error| Trouble::Unknown(error.to_string());
        let deadline = Instant::now() + self.timeout;
        let (mut told, mut ended) = (None, None);
        loop {
            if ended.is_none() {
                ended = child.try_wait().map_err(unknown)?;
            }
            let is_given_up = told.is_some_and(|at| Instant::now() >= at + 2 * GRACE);
            if let Some(status) = ended.filter(|_| is_given_up || is_silent()) {
                return match told {
                    None => Ok(status),
                    Some(_) => Err(Trouble::Failed {
                        code: "TimedOut",
                        message: format!("`{}` did not end within {:?}, and was stopped", self.program, self.timeout),
                    }),
                };
            }
            let signal = match told {
                None if Instant::now() >= deadline => Some(rustix::process::Signal::TERM),
                Some(at) if Instant::now() >= at + GRACE => Some(rustix::process::Signal::KILL),
                _ => None,
            };
            if let Some((signal, group)) = signal.zip(rustix::process::Pid::from_raw(child.id().cast_signed())) {
                told = told.or(Some(Instant::now()));
                // It may have ended in between.
                let _ = rustix::process::kill_process_group(group, signal);
            }
            thread::sleep(LOOK);
        }
    }
}

/// Reads line by line, until nothing more comes.
fn listen(output: impl Read + Send + 'static, lines: &Lines, is_error: bool) -> JoinHandle<()> {
    let lines = lines.clone();
    thread::spawn(move || {
        let mut output = BufReader::new(output);
        let mut bytes = Vec::new();
        while output.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut bytes).is_ok_and(|count| count > 0) {
            // A letter that a cut goes through belongs to what follows.
            let whole = match std::str::from_utf8(&bytes) {
                Err(error) if error.error_len().is_none() && error.valid_up_to() > 0 => error.valid_up_to(),
                _ => bytes.len(),
            };
            let rest = bytes.split_off(whole);
            // Nobody listens any more when the run has ended.
            let _ = lines.send((String::from_utf8_lossy(&bytes).into_owned(), is_error));
            bytes = rest;
        }
        if !bytes.is_empty() {
            let _ = lines.send((String::from_utf8_lossy(&bytes).into_owned(), is_error));
        }
    })
}

/// Adds a line, and lets go of what is too long ago.
fn keep(kept: &mut String, line: &str) {
    kept.push_str(line);
    if kept.len() > 2 * KEPT {
        let from = kept.len() - KEPT;
        let from = (from..kept.len()).find(|at| kept.is_char_boundary(*at)).unwrap_or(kept.len());
        kept.drain(..from);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(program: &str, args: &[&str], timeout: Duration) -> Command {
        Command {
            program: program.to_owned(),
            args: args.iter().map(|arg| (*arg).to_owned()).collect(),
            env: [("NAME".to_owned(), "shop".to_owned())].into(),
            directory: None,
            stdin: "read\n".to_owned(),
            timeout,
        }
    }

    fn run(program: &str, args: &[&str], timeout: Duration) -> (Result<Finished, Trouble>, Vec<Line>) {
        run_it(&command(program, args, timeout))
    }

    fn run_it(command: &Command) -> (Result<Finished, Trouble>, Vec<Line>) {
        let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let mut lines = Vec::new();
        let ended = tokio.block_on(command.run(|line, is_error| lines.push((line.to_owned(), is_error))));
        (ended, lines)
    }

    #[test]
    fn output_comes_line_by_line() {
        let script = "cat; echo $NAME; echo wrong >&2; exit 3";
        let (ended, mut lines) = run("sh", &["-c", script], Duration::from_secs(10));
        let (stdout, stderr) = ("read\nshop\n".to_owned(), "wrong\n".to_owned());
        assert_eq!(ended, Ok(Finished { exit_code: 3, stdout, stderr }));
        lines.sort();
        assert_eq!(lines, [("read".into(), false), ("shop".into(), false), ("wrong".into(), true)]);
    }

    #[test]
    fn what_does_not_end_is_stopped_with_all_it_has_started() {
        let (ended, _) = run("sh", &["-c", "sleep 60 & sleep 60"], Duration::from_millis(200));
        let message = "`sh` did not end within 200ms, and was stopped".to_owned();
        assert_eq!(ended, Err(Trouble::Failed { code: "TimedOut", message }));
    }

    #[test]
    fn what_goes_on_when_its_parent_has_ended_is_stopped_too() {
        // It does not listen to the first signal, either.
        let script = "trap '' TERM; sleep 60 & exit 0";
        let began = Instant::now();
        let (ended, _) = run("sh", &["-c", script], Duration::from_millis(200));
        assert!(matches!(ended, Err(Trouble::Failed { code: "TimedOut", .. })), "{ended:?}");
        assert!(began.elapsed() < 4 * GRACE);
    }

    #[test]
    fn a_long_line_stays_one() {
        let text = "é".repeat(20_000);
        let (ended, lines) = run("sh", &["-c", &format!("printf x%s {text}")], Duration::from_secs(10));
        assert_eq!(ended.expect("it runs").stdout, format!("x{text}"));
        assert!(lines.len() > 1);
    }

    /// Policy allows a program by its name.
    #[test]
    fn its_own_path_does_not_decide_which_program_runs() {
        let folder = tempfile::tempdir().expect("a folder");
        let fake = folder.path().join("sh");
        std::fs::write(&fake, "#!/bin/sh\necho another\n").expect("written");
        std::fs::set_permissions(&fake, std::fs::Permissions::from_mode(0o755)).expect("its own file");
        let path = folder.path().display().to_string();
        let with_path = |program: &str| Command {
            env: [("PATH".to_owned(), path.clone())].into(),
            ..command(program, &["-c", "echo $PATH"], Duration::from_secs(10))
        };
        assert_eq!(run_it(&with_path("sh")).0.expect("it runs").stdout, format!("{path}\n"));
        std::fs::rename(&fake, folder.path().join("only-there")).expect("renamed");
        let (ended, _) = run_it(&with_path("only-there"));
        assert!(matches!(ended, Err(Trouble::Failed { code: "NotFound", .. })), "{ended:?}");
    }

    #[test]
    fn what_is_not_there_is_said() {
        let (ended, _) = run("no-such-program", &[], Duration::from_secs(1));
        assert!(matches!(ended, Err(Trouble::Failed { code: "NotFound", .. })), "{ended:?}");
    }

    #[test]
    fn the_end_of_much_output_is_kept() {
        let mut kept = String::new();
        (0..20_000).for_each(|line| keep(&mut kept, &format!("line é {line}\n")));
        assert!(kept.ends_with("line é 19999\n") && kept.len() <= 2 * KEPT);
    }
}
