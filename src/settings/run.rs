//! What `runner run` is to do, with nothing left to decide.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde_json::Value;

use super::{Environment, Error, JournalPlace, Target, error::shown, file::File, params, policy};
use crate::{
    cli::inputs::{Inputs, Place},
    policy::Overrides,
    script::suggest,
    sim::Fault,
};

/// Without `--seed`, so that two simulated runs of one runbook are the same.
const DEFAULT_SEED: u64 = 1;

/// A resolved `runner run`.
#[derive(Clone, Debug)]
pub struct RunSettings {
    pub runbook: PathBuf,
    /// Imports of the runbook have to be below it.
    pub project_root: PathBuf,
    /// Journals, and the kept world of the simulated AWS.
    pub state_dir: PathBuf,
    pub environments: BTreeMap<String, Environment>,
    /// As typed: the runbook has to name the same one.
    pub environment: Option<String>,
    pub params: BTreeMap<String, Value>,
    pub target: Target,
    pub world: WorldChoice,
    pub seed: u64,
    pub endpoint_url: Option<String>,
    /// Checks of policy that are set aside.
    pub overrides: Overrides,
    /// What the simulated AWS is to do wrong.
    pub faults: Vec<Fault>,
    /// Where the journal is kept.
    pub journal: JournalPlace,
    /// What has to be typed beside its id to find the run in its journal.
    pub found_by: String,
    /// What a signal does.
    pub on_interrupt: OnInterrupt,
    /// Where all requests and replies are written.
    pub record_wire: Option<PathBuf>,
    /// Whether somebody is there to answer questions.
    pub interactive: bool,
}

/// What becomes of a run that is told to stop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum OnInterrupt {
    /// It goes on another time: `runner resume`
    #[default]
    Suspend,
    /// It is rolled back
    Rollback,
}

/// Which world the simulated AWS begins with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WorldChoice {
    /// The one in this folder, which the next run goes on with. Made when it is not there.
    Kept(PathBuf),
    /// An empty one, gone when the run ends.
    Fresh,
}

impl RunSettings {
    /// `declared` is the environment the runbook names, if that is known before it runs.
    pub fn resolve(inputs: &Inputs, place: &Place, declared: Option<&str>, interactive: bool) -> Result<Self, Error> {
        check_runbook(&inputs.runbook)?;
        if inputs.policy.reason.is_some() && inputs.policy.overrides.is_empty() {
            return Err(Error::ReasonForNothing);
        }
        let runbook_dir = absolute(parent(&inputs.runbook))?;
        let here = absolute(Path::new("."))?;
        let file = File::load(inputs.config.as_deref(), &[&runbook_dir, &here])?;
        let in_file = |target| file.journal(target);
        let (config, state_dir, mut environments) =
            (file.path.clone(), file.state_dir.clone(), file.environments.clone());
        if let Some(from) = &inputs.policy.policy_from {
            policy::replace(&mut environments, from)?;
        }

        let environment = inputs.env.as_deref().or(declared);
        if let Some(name) = &inputs.env
            && !environments.contains_key(name)
        {
            return Err(unknown_environment(name, config.as_deref(), &environments));
        }
        let typed = if place.sim { Some(Target::Sim) } else { place.target };
        let configured = environment.and_then(|name| environments.get(name)).and_then(|environment| environment.target);
        let target = typed.or(configured).unwrap_or(Target::Aws);
        let because = || environment.filter(|_| typed.is_none() && configured.is_some()).map(str::to_owned);
        if target == Target::Sim && place.endpoint_url.is_some() {
            return Err(Error::EndpointOfSim { environment: because() });
        }
        if target == Target::Aws && place.world.is_some() {
            return Err(Error::NeedsSim { flag: "--world", environment: because() });
        }

        let world = match place.world.clone() {
            None => WorldChoice::Kept(state_dir.join("sim")),
            Some(world) if world.as_os_str() == "fresh" => WorldChoice::Fresh,
            Some(world) => WorldChoice::Kept(world),
        };
        Ok(Self {
            project_root: project_root(config.as_deref(), &runbook_dir)?,
            runbook: inputs.runbook.clone(),
            state_dir,
            environment: inputs.env.clone(),
            environments,
            params: params::resolve(inputs.params_file.as_deref(), inputs.param.clone())?,
            target,
            world,
            seed: place.seed.unwrap_or(DEFAULT_SEED),
            endpoint_url: place.endpoint_url.clone(),
            overrides: policy::overrides(inputs.policy.clone()),
            faults: Vec::new(),
            journal: place.journal.clone().unwrap_or_else(|| in_file(target)),
            found_by: found_by(place.journal.as_ref(), inputs.config.as_deref()),
            on_interrupt: OnInterrupt::default(),
            record_wire: None,
            interactive,
        })
    }
}

/// The flags with which a run is found again, where they were typed.
pub fn found_by(journal: Option<&JournalPlace>, config: Option<&Path>) -> String {
    let journal = journal.map(|place| format!(" --journal {place}")).unwrap_or_default();
    let config = config.map(|file| format!(" --config {}", file.display())).unwrap_or_default();
    format!("{journal}{config}")
}

/// The folder that imports of a script in the folder `scripts` have to be below.
pub(super) fn project_root(config: Option<&Path>, scripts: &Path) -> Result<PathBuf, Error> {
    let root = absolute(config.map_or(Path::new("."), parent))?;
    Ok(if scripts.starts_with(&root) { root } else { scripts.to_owned() })
}

/// The folder of a file; `.` for a bare name.
pub(super) fn parent(path: &Path) -> &Path {
    path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

pub(super) fn absolute(dir: &Path) -> Result<PathBuf, Error> {
    dir.canonicalize().map_err(|cause| Error::Unreadable { what: "the folder", path: dir.to_owned(), cause })
}

pub(super) fn check_runbook(path: &Path) -> Result<(), Error> {
    if path.is_file() {
        return Ok(());
    }
    let typed = path.file_name().unwrap_or_default().to_string_lossy();
    let neighbours: Vec<String> = std::fs::read_dir(parent(path))
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.ends_with(".rhai"))
        .collect();
    let nearest = suggest::closest(&typed, neighbours.iter().map(String::as_str));
    let hint = nearest.map(|name| format!("did you mean `{}`?", path.with_file_name(name).display()));
    Err(Error::NoRunbook { path: path.to_owned(), hint })
}

fn unknown_environment(name: &str, config: Option<&Path>, environments: &BTreeMap<String, Environment>) -> Error {
    let names: Vec<&str> = environments.keys().map(String::as_str).collect();
    let known = match config {
        None => "no runner.toml was found beside the runbook, above it, or above the current folder".to_owned(),
        Some(config) if names.is_empty() => format!("`{}` has none", shown(config)),
        Some(config) => format!("`{}` has `{}`", shown(config), names.join("`, `")),
    };
    let hint =
        suggest::did_you_mean(name, names).unwrap_or_else(|| format!("add `[environments.{name}]` to runner.toml"));
    Error::UnknownEnvironment { name: name.to_owned(), known, hint }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use serde_json::json;

    use super::*;

    #[derive(clap::Parser)]
    struct Typed {
        #[command(flatten)]
        inputs: Inputs,
        #[command(flatten)]
        place: Place,
    }

    /// Resolves a command line for a project with two environments, in a folder of its own.
    fn resolve(flags: &[&str], declared: Option<&str>) -> (tempfile::TempDir, Result<RunSettings, Error>) {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = |name: &str| dir.path().join(name);
        let write = |name: &str, text: &str| std::fs::write(path(name), text).expect("it takes files");
        std::fs::create_dir(path("runbooks")).expect("it takes folders");
        write("runbooks/deploy.rhai", "");
        write("params.toml", "image = \"ami-1\"\nsize = 3\nzones = [\"a\"]\nfrom = 2026-01-01\n");
        write("runner.toml", "[environments.dev]\ntarget = \"sim\"\n[environments.prod]\nvars.sizes = { min = 3 }\n");
        let (runbook, params) = (path("runbooks/deploy.rhai"), path("params.toml"));
        let flags = flags.iter().map(|flag| if *flag == "PARAMS" { params.as_os_str() } else { flag.as_ref() });
        let words = ["runner".as_ref(), runbook.as_os_str()].into_iter().chain(flags);
        let Typed { inputs, place } = Typed::parse_from(words);
        let resolved = RunSettings::resolve(&inputs, &place, declared, false);
        (dir, resolved)
    }

    #[test]
    fn the_flag_wins_over_the_environment_and_the_environment_over_aws() {
        let target = |flags, declared| resolve(flags, declared).1.expect("it resolves").target;
        assert_eq!(target(&[], None), Target::Aws);
        assert_eq!(target(&[], Some("dev")), Target::Sim);
        assert_eq!(target(&["--env", "dev"], None), Target::Sim);
        assert_eq!(target(&["--env", "prod"], Some("dev")), Target::Aws);
        assert_eq!(target(&["--env", "prod", "--sim"], None), Target::Sim);
        assert_eq!(target(&["--env", "dev", "--target", "aws"], None), Target::Aws);
    }

    #[test]
    fn flags_win_over_the_parameter_file() {
        let (_dir, settings) =
            resolve(&["--params-file", "PARAMS", "--param", "image=ami-2=b", "--param", "empty="], None);
        let params = json!(settings.expect("it resolves").params);
        let expected = json!({ "image": "ami-2=b", "size": 3, "zones": ["a"], "from": "2026-01-01", "empty": "" });
        assert_eq!(params, expected);
    }

    #[test]
    fn state_and_imports_are_where_runner_toml_is() {
        let (dir, settings) = resolve(&["--sim"], None);
        let settings = settings.expect("it resolves");
        let root = dir.path().canonicalize().expect("it is there");
        assert_eq!(settings.project_root, root);
        assert_eq!(settings.state_dir, root.join(".runner"));
        assert_eq!(settings.world, WorldChoice::Kept(root.join(".runner/sim")));
        assert_eq!(settings.environments["prod"].vars["sizes"], json!({ "min": 3 }));
    }

    #[test]
    fn a_world_can_be_chosen() {
        let world = |flags| resolve(flags, None).1.expect("it resolves").world;
        assert_eq!(world(&["--sim", "--world", "fresh"]), WorldChoice::Fresh);
        assert_eq!(world(&["--env", "dev", "--world", "w"]), WorldChoice::Kept("w".into()));
    }

    #[test]
    fn the_shipped_settings_are_understood() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let file = File::load(Some(&root.join("runner.toml")), &[]).expect("it is understood");
        assert_eq!(file.environments.keys().collect::<Vec<_>>(), ["prod", "staging"]);
        assert_eq!(file.environments["prod"].vars["max_size"], 9);
    }
}
