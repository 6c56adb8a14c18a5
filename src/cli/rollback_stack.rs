//! `runner rollback --stack`: the version before, from what AWS has, without any journal of then.

use miette::miette;
use serde_json::{Value, json};

use super::{
    Console, Exit, Failure, Global, execute::execute, exit, inputs::Place as Where, run::reports, status::Looked,
};
use crate::{
    api,
    ops::stack::{FleetStatus, RouteStatus, ShareStatus, VersionStatus},
    script::Runbook,
};

const NAME: &str = "rollback-stack.rhai";
const SCRIPT: &str = include_str!("rollback_stack.rhai");

/// What is put back.
pub struct Wanted<'a> {
    pub stack: &'a str,
    pub env: Option<&'a str>,
    /// `shop-prod-web-green:3`, or as much of its end as is unique.
    pub version: Option<&'a str>,
}

pub fn rollback(
    wanted: &Wanted<'_>,
    config: Option<std::path::PathBuf>,
    place: &Where,
    json: bool,
    global: &Global,
    console: &Console,
) -> Result<Exit, Failure> {
    let mut looked = {
        let tokio = super::execute::runtime()?;
        let _tokio = tokio.enter();
        Looked::at(wanted.stack, wanted.env, config, place)?
    };
    let elsewhere = match &place.endpoint_url {
        Some(url) => format!(" --endpoint-url {url}"),
        None => {
            if place.sim {
                " --sim".to_owned()
            } else {
                String::new()
            }
        }
    };
    let way = Way::of(&looked, wanted, &format!("see `runner status {}{elsewhere}`", wanted.stack))?;
    let suffix = format!("-{}", looked.environment.name);
    let application = wanted.stack.strip_suffix(&suffix).ok_or_else(|| {
        let help = format!("a stack is called after its environment: `{}`", looked.environment.name);
        Failure::new(exit::USAGE, miette!(help = help, "`{}` does not end with `{suffix}`", wanted.stack))
    })?;
    let of_stack = |name: &str| name.strip_prefix(&format!("{}-", wanted.stack)).unwrap_or(name).to_owned();
    let params = [
        ("environment", json!(looked.environment.name)),
        ("application", json!(application)),
        ("listener", json!(way.route.arn)),
        ("groups", json!({ "from": way.from.arn, "to": way.to.arn })),
        ("fleets", json!({ "from": way.fleet.name, "to": of_stack(&way.to.target_group) })),
        ("template", json!({ "launch_template_id": way.version.launch_template_id, "version": way.version.version })),
        ("subnets", json!(way.fleet.subnets)),
        ("version", json!(format!("{}:{}", of_stack(&way.version.launch_template), way.version.version))),
    ];
    looked.settings.params = params.into_iter().map(|(name, value): (_, Value)| (name.to_owned(), value)).collect();
    looked.settings.interactive = console.interactive;
    let runbook = Runbook::from_text(NAME, SCRIPT, &looked.settings.project_root, api::vocabulary())
        .map_err(|refused| Failure::new(exit::BUG, miette!("{refused:?}")))?;
    execute(&looked.settings, &runbook, reports(json, global, console))
}

/// From which fleet to which version.
struct Way<'a> {
    route: &'a RouteStatus,
    from: &'a ShareStatus,
    to: &'a ShareStatus,
    fleet: &'a FleetStatus,
    version: &'a VersionStatus,
}

impl<'a> Way<'a> {
    /// `see` says where one sees what there is.
    fn of(looked: &'a Looked, wanted: &Wanted<'_>, see: &str) -> Result<Self, Failure> {
        let status = &looked.status;
        let usage =
            |help: &str, message: String| Failure::new(exit::USAGE, miette!(help = help.to_owned(), "{message}"));
        if status.versions.len() < 2 {
            let only = status.versions.first().map_or_else(
                || "nothing of it is there".to_owned(),
                |one| format!("there is only {}:{} ({})", one.launch_template, one.version, one.image_id),
            );
            return Err(usage(see, format!("{} has no version before: {only}", wanted.stack)));
        }
        let of_two: Vec<&RouteStatus> = status.routes.iter().filter(|route| route.shares.len() == 2).collect();
        let [route] = of_two[..] else {
            let message =
                format!("wanted one route of {} with two target groups, found {}", wanted.stack, of_two.len());
            return Err(usage(see, message));
        };
        let live: Vec<&ShareStatus> = route.shares.iter().filter(|share| share.weight > 0).collect();
        let [from] = live[..] else {
            let help = "a deploy is under way, or was left half-way: `runner resume` or `runner rollback RUN` first";
            return Err(usage(help, format!("the traffic of {} is split, or goes nowhere", route.name)));
        };
        let to = route.shares.iter().find(|share| share.arn != from.arn).unwrap_or(from);
        let fleet = status.fleets.iter().find(|fleet| fleet.target_groups.contains(&from.arn));
        let fleet = fleet.ok_or_else(|| usage(see, format!("no fleet of this stack serves {}", from.target_group)))?;
        let mut versions = status.versions.iter().filter(|version| {
            let name = format!("{}:{}", version.launch_template, version.version);
            match wanted.version {
                Some(wanted) => name == wanted || name.ends_with(&format!("-{wanted}")),
                // The colour that has no traffic was the one before; its newest version was.
                None => version.launch_template == to.target_group,
            }
        });
        let version = versions.next().ok_or_else(|| {
            let what = wanted.version.map_or_else(
                || format!("{} has no version before this one", wanted.stack),
                |version| format!("{} has no version `{version}`", wanted.stack),
            );
            usage(see, what)
        })?;
        if wanted.version.is_some() && versions.next().is_some() {
            return Err(usage(see, "more than one version is called so".to_owned()));
        }
        let live =
            status.versions.iter().filter(|one| one.launch_template == from.target_group).map(|one| &one.created);
        let is_newer = live.max().is_some_and(|live| version.created > *live);
        if wanted.version.is_none() && is_newer {
            let name = version.launch_template.strip_prefix(&format!("{}-", wanted.stack)).unwrap_or(&to.target_group);
            let name = format!("{name}:{}", version.version);
            let help = format!("if it is meant: `--to {name}`; {see}");
            return Err(usage(
                &help,
                format!("{name} is newer than what has the traffic: it may be what was taken back"),
            ));
        }
        Ok(Self { route, from, to, fleet, version })
    }
}
