//! `runner init`

use std::{fs, path::PathBuf};

use miette::miette;

use super::{Exit, Failure, exit, print};

/// Make a project from a template
///
/// It passes `runner check`, `runner plan --offline` and `runner run --sim` at once.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The folder to make it in; what is there already is not written over
    dir: PathBuf,

    /// What to begin with
    #[arg(long, value_enum, default_value_t)]
    template: Template,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Template {
    /// One service on EC2 behind a load balancer, blue/green
    #[default]
    Service,
    /// A container on Fargate, HTTPS only, in two environments, with a pipeline
    HelloWeb,
    /// An image that is baked, and instances that are replaced
    TimeService,
    /// A container in environments × regions, with approval in production
    ShoppingCart,
    /// A copy of everything for each branch
    BranchStack,
}

/// A file of a template: where it goes, and what is in it.
type File = (&'static str, &'static str);

/// The files of a folder of `runbooks/`.
macro_rules! files {
    ($folder:literal: $($file:literal)+) => {
        &[$(($file, include_str!(concat!("../../runbooks/", $folder, "/", $file)))),+]
    };
}

const IGNORED: File = (".gitignore", "# Journals, and the simulated world.\n.runner/\n");

impl Template {
    fn files(self) -> &'static [File] {
        match self {
            Self::Service => files!(
                "service": "runner.toml" "deploy.rhai" "remove.rhai" "README.md" ".github/workflows/deploy.yml"
            ),
            Self::HelloWeb => files!(
                "hello-web": "runner.toml" "web.rhai" "staging.rhai" "production.rhai" "images.rhai" "remove.rhai" "README.md"
                "app/Dockerfile" "app/index.html" ".github/workflows/deploy.yml" ".gitlab-ci.yml"
            ),
            Self::TimeService => files!(
                "time-service": "runner.toml" "time.rhai" "bake.rhai" "deploy.rhai" "health.rhai" "remove.rhai" "README.md"
            ),
            Self::ShoppingCart => files!(
                "shopping-cart": "runner.toml" "cart.rhai" "test-eu.rhai" "prod-eu.rhai" "prod-us.rhai" "global.rhai" "remove.rhai"
                "README.md" ".github/workflows/deploy.yml"
            ),
            Self::BranchStack => files!(
                "branch-stack": "runner.toml" "ecosystem.rhai" "up.rhai" "down.rhai" "sweep.rhai" "README.md"
                ".github/workflows/branches.yml"
            ),
        }
    }

    /// The runbook that deploys.
    fn runbook(self) -> &'static str {
        match self {
            Self::Service | Self::TimeService => "deploy.rhai",
            Self::HelloWeb => "staging.rhai",
            Self::ShoppingCart => "test-eu.rhai",
            Self::BranchStack => "up.rhai",
        }
    }
}

pub fn init(args: &Args) -> Result<Exit, Failure> {
    let files: Vec<File> = args.template.files().iter().copied().chain([IGNORED]).collect();
    // All is looked at before anything is written.
    if let Some(there) = files.iter().map(|(name, _)| args.dir.join(name)).find(|path| path.exists()) {
        let there = there.display();
        let help = "give another folder, or move it away";
        let failure = miette!(help = help, "`{there}` is there already; nothing was written");
        return Err(Failure::new(exit::USAGE, failure));
    }
    for (name, text) in &files {
        let path = args.dir.join(name);
        let folder = path.parent().unwrap_or(&args.dir);
        fs::create_dir_all(folder)
            .and_then(|()| fs::write(&path, text))
            .map_err(|error| Failure::new(exit::FAILED, miette!("`{}` cannot be written: {error}", path.display())))?;
    }
    let (dir, runbook) = (args.dir.display(), args.template.runbook());
    print(&format!(
        "made {} files in {dir}\n\n    cd {dir}\n    runner check\n    runner plan --offline {runbook}\n    runner run --sim {runbook}\n",
        files.len()
    ))
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, path::Path};

    use clap::ValueEnum as _;

    use super::*;

    /// A file that was added to a folder belongs to its template.
    #[test]
    fn a_template_has_all_files_of_its_folder() {
        fn walk(folder: &Path, root: &Path, into: &mut BTreeSet<String>) {
            for entry in fs::read_dir(folder).expect("a folder") {
                let path = entry.expect("an entry").path();
                match path.is_dir() {
                    true if path.ends_with(".runner") => {}
                    true => walk(&path, root, into),
                    false => {
                        into.insert(path.strip_prefix(root).expect("below it").to_str().expect("UTF-8").to_owned());
                    }
                }
            }
        }
        for template in Template::value_variants() {
            let name = template.to_possible_value().expect("none is hidden").get_name().to_owned();
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("runbooks").join(&name);
            let mut found = BTreeSet::new();
            walk(&folder, &folder, &mut found);
            let has: BTreeSet<String> = template.files().iter().map(|(name, _)| (*name).to_owned()).collect();
            assert_eq!(has, found, "{name}");
        }
    }
}
