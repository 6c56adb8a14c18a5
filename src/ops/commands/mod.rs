//! Commands on instances, by Systems Manager.

pub mod run_command;
pub mod send;

use serde::Serialize;

use super::Kind;

/// Commands that have ended, on all instances.
#[derive(Debug, Default, Serialize)]
pub struct CommandRun {
    /// Of each fifty instances one.
    pub command_ids: Vec<String>,
    /// Whether they ended well everywhere.
    pub succeeded: bool,
    pub instances: Vec<Invocation>,
}

impl Kind for CommandRun {
    const KIND: &'static str = "command";
    const ID: &'static str = "command_ids";
}

/// How they ended on one instance.
#[derive(Clone, Debug, Serialize)]
pub struct Invocation {
    pub instance_id: String,
    /// `Success`, `Failed`, `TimedOut`, `Cancelled`.
    pub status: String,
    /// More exactly: `ExecutionTimedOut`, `Terminated`.
    pub status_details: String,
    /// The exit code; -1 if there is none.
    pub response_code: i32,
    /// The end of what was written there.
    pub stdout: String,
    pub stderr: String,
}

impl Invocation {
    pub fn succeeded(&self) -> bool {
        self.status == "Success"
    }

    /// How it failed, in words.
    fn fault(&self) -> String {
        let said = [&self.stderr, &self.stdout].into_iter().find_map(|text| text.trim().lines().last());
        let code =
            if self.response_code > 0 { format!(" with exit code {}", self.response_code) } else { String::new() };
        let said = said.map(|line| format!(": {line}")).unwrap_or_default();
        format!("{} {}{code}{said}", self.instance_id, self.status_details)
    }
}

/// Those that failed, in words.
pub fn faults(instances: &[Invocation]) -> Vec<String> {
    const SHOWN: usize = 5;
    let failed: Vec<&Invocation> = instances.iter().filter(|one| !one.succeeded()).collect();
    let mut words: Vec<String> = failed.iter().take(SHOWN).map(|one| one.fault()).collect();
    if failed.len() > SHOWN {
        words.push(format!("{} more", failed.len() - SHOWN));
    }
    words
}
