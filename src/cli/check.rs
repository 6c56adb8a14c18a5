//! `runner check`, which also comes before every run.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    slice,
};

use super::{
    Console, Exit, Failure, Global, against,
    diagnostic::rendered,
    execute::runtime,
    exit,
    findings::{Findings, Format},
    inputs, print,
    take_up::{Again, Journals},
};
use crate::{
    api::{
        self, ScriptFailure,
        check::{Known, check as check_project, lints},
    },
    report::{Ink, Verbosity},
    settings::{self, CheckProject, CheckSettings, JournalPlace, RunSettings},
};

/// Find what is wrong with runbooks, without running them
///
/// Nothing is sent anywhere, and no credentials are needed. All problems are shown at once. `runner run` does the
/// same before it begins, and does not begin when there are errors.
#[derive(Clone, Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Args {
    /// Runbooks and modules, or folders of them [default: the `runbooks` folder beside the nearest runner.toml, or .]
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,

    /// How problems are written to stdout: text, json, or github, as annotations of a pull request
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    #[arg(hide_default_value = true, hide_possible_values = true)]
    pub format: Format,

    /// Exit with 3 for warnings, too
    #[arg(long)]
    pub deny_warnings: bool,

    /// Check the parameters of one runbook, too; repeatable
    #[arg(long, value_name = "NAME=VALUE", value_parser = inputs::param)]
    pub param: Vec<(String, String)>,

    /// Check parameters from a .toml or .json file; --param wins
    #[arg(long, value_name = "FILE")]
    pub params_file: Option<PathBuf>,

    /// Read settings from this file instead of the nearest runner.toml
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Also see whether the runbook still does what this run has done; repeatable, for one runbook
    #[arg(long, value_name = "RUN")]
    pub against: Vec<String>,

    /// The place of the journals of these runs [default: what runner.toml says, or .runner/journal]
    #[arg(long, value_name = "PLACE", requires = "against")]
    pub journal: Option<JournalPlace>,
}

const EXAMPLES: &str = "Examples:
  Check all runbooks of the project:
    runner check

  Annotate a pull request, and fail it for warnings:
    runner check --format github --deny-warnings";

pub fn check(args: Args, console: &Console) -> Result<Exit, Failure> {
    let (format, deny_warnings) = (args.format, args.deny_warnings);
    let against = Against::of(&args)?;
    let mut findings = Findings::default();
    let settings = match CheckSettings::resolve(args) {
        // Who reads findings has to be told of this one in their form.
        Err(settings::Error::Text(error)) if format != Format::Text => {
            findings.add(Path::new(""), 0, vec![error.found(lints::WRONG_SETTINGS)]);
            print(&findings.written(format, console.out, deny_warnings))?;
            return Ok(exit::USAGE);
        }
        settings => settings?,
    };
    for CheckProject { root, environments, files } in &settings.projects {
        let known = Known { environments, environment: None, params: settings.params.as_ref() };
        findings.add(root, files.len(), check_project(root, files, &known).map_err(bug)?);
    }
    print(&findings.written(format, console.out, deny_warnings))?;
    let fails = findings.errors() > 0 || deny_warnings && findings.warnings() > 0;
    if fails {
        return Ok(exit::USAGE);
    }
    against.map_or(Ok(exit::DONE), |against| against.check(console))
}

/// Runs that a runbook has to be able to go on with.
struct Against {
    runbook: PathBuf,
    runs: Vec<String>,
    journals: Journals,
    again: Again,
}

impl Against {
    fn of(args: &Args) -> Result<Option<Self>, Failure> {
        if args.against.is_empty() {
            return Ok(None);
        }
        let [runbook] = &args.paths[..] else {
            return Err(Failure::new(exit::USAGE, miette::miette!("`--against` needs one runbook")));
        };
        let (param, params_file) = (args.param.clone(), args.params_file.clone());
        Ok(Some(Self {
            runbook: runbook.clone(),
            runs: args.against.clone(),
            journals: Journals { journal: args.journal.clone(), config: args.config.clone() },
            again: Again { param, params_file, ..Again::default() },
        }))
    }

    /// # Errors
    /// With the first difference.
    fn check(&self, console: &Console) -> Result<Exit, Failure> {
        let tokio = runtime()?;
        let _tokio = tokio.enter();
        let file = self.journals.file()?;
        for run in &self.runs {
            let found = self.journals.find(&file, run)?;
            let runbook = api::load(&self.runbook, &file.root())
                .map_err(|failure| Failure::new(exit::USAGE, *failure.problem))?;
            against::matches(&found, &runbook, &file, &self.again)?;
            let done = console.out.paint(Ink::Green, console.out.done());
            print(&format!("{done} it does what run {} has done\n", found.id()))?;
        }
        Ok(exit::DONE)
    }
}

/// Checks the runbook of a run before anything else happens. Warnings are shown.
///
/// # Errors
/// With all problems, if one of them would make the run fail.
pub fn before(settings: &RunSettings, global: &Global, console: &Console) -> Result<(), Failure> {
    let findings = of_run(settings)?;
    if findings.errors() > 0 {
        return Err(findings.refusal());
    }
    warn(&findings, global, console);
    Ok(())
}

/// What is wrong with the runbook of a run.
pub fn of_run(settings: &RunSettings) -> Result<Findings, Failure> {
    let known = Known {
        environments: &settings.environments,
        environment: settings.environment.as_deref(),
        params: Some(&settings.params),
    };
    let root = &settings.project_root;
    let found = check_project(root, slice::from_ref(&settings.runbook), &known).map_err(bug)?;
    let mut findings = Findings::default();
    findings.add(root, 1, found);
    Ok(findings)
}

/// Shows what is wrong and does not stop a run.
pub fn warn(findings: &Findings, global: &Global, console: &Console) {
    if global.verbosity() > Verbosity::Errors {
        for report in findings.reports() {
            let text = rendered(&*report, console.err) + "\n";
            // Nobody is left to be told when this cannot be written.
            let _ = console.live.suspend(|| std::io::stderr().write_all(text.as_bytes()));
        }
    }
}

fn bug(failure: ScriptFailure) -> Failure {
    Failure::new(exit::BUG, *failure.problem)
}
