//! `runner status`

use std::{path::PathBuf, sync::Arc};

use miette::miette;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{
    Console, Exit, Failure,
    drive::by_cause,
    execute::runtime,
    exit,
    inputs::Place as Where,
    place::Place,
    print,
    runs::stand,
    take_up::{Found, Journals, unreadable},
};
use crate::{
    api::FailureKind,
    event::{Events, Weight},
    ops::{
        catalog::Prepared,
        stack::{self, StackStatus},
    },
    report::{Ink, Look, lines},
    run::{Branch, History, Journal, Lock, Run, RunId},
    settings::{Environment, File, OnInterrupt, RunSettings, Target, WorldChoice, found_by, overrides},
};

/// Show how a stack stands, from AWS itself: traffic, fleets, versions, last run, lock
///
/// It needs no journal, and changes nothing.
#[derive(Clone, Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Args {
    /// The stack: application and environment, as in shop-prod [default: all of the environment]
    pub stack: Option<String>,

    /// The environment, if the name of the stack does not end with it
    #[arg(long, value_name = "NAME")]
    pub env: Option<String>,

    /// Write one JSON object
    #[arg(long)]
    pub json: bool,

    /// Read settings from this file instead of the nearest runner.toml
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    #[command(flatten)]
    pub place: Where,
}

const EXAMPLES: &str = "Examples:
  Which version has the traffic?
    runner status shop-prod

  All that is there:
    runner status --env prod

  Put the one before back:
    runner rollback --stack shop-prod";

pub fn status(args: &Args, console: &Console) -> Result<Exit, Failure> {
    let tokio = runtime()?;
    let _tokio = tokio.enter();
    let env = args.env.as_deref();
    let stacks = match &args.stack {
        Some(stack) => vec![stack.clone()],
        None => stacks(env, args.config.clone(), &args.place)?,
    };
    let mut texts = Vec::new();
    for stack in stacks {
        let looked = Looked::at(&stack, env, args.config.clone(), &args.place)?;
        texts.push(if args.json { format!("{}\n", looked.json()) } else { looked.text(&console.out) });
    }
    if texts.is_empty() && !args.json {
        texts.push("no stack has a load balancer or a fleet there\n".to_owned());
    }
    print(&texts.join(if args.json { "" } else { "\n" }))
}

/// The stacks of an environment.
fn stacks(env: Option<&str>, config: Option<PathBuf>, place: &Where) -> Result<Vec<String>, Failure> {
    let file = Journals { journal: place.journal.clone(), config }.file()?;
    let only = file.environments.keys().next().filter(|_| file.environments.len() == 1);
    let environment = environment(&file, "", env.or(only.map(String::as_str)))?;
    let found = look(&settings(&file, &environment, place)?, &environment, None)?;
    let mut stacks: Vec<String> = read_back(found)?;
    stacks.retain(|stack| stack.ends_with(&format!("-{}", environment.name)));
    Ok(stacks)
}

/// A stack, and what is known of its runs.
pub struct Looked {
    pub status: StackStatus,
    pub environment: Environment,
    pub file: File,
    pub settings: RunSettings,
    last_run: Option<Found>,
    /// Who has it, in words.
    lock: Option<String>,
}

impl Looked {
    pub fn at(stack: &str, env: Option<&str>, config: Option<PathBuf>, place: &Where) -> Result<Self, Failure> {
        let journals = Journals { journal: place.journal.clone(), config };
        let file = journals.file()?;
        let environment = environment(&file, stack, env)?;
        let settings = settings(&file, &environment, place)?;
        // `shop` in `prod` is what others call `shop-prod`.
        let suffix = format!("-{}", environment.name);
        let whole = if stack.ends_with(&suffix) { stack.to_owned() } else { format!("{stack}{suffix}") };
        let stack = whole.as_str();
        let status = look(&settings, &environment, Some(stack))?;
        let status = read_back(status)?;
        // AWS tells how the stack is, also where the journals cannot be reached.
        let (last_run, lock) = of_journals(&journals, &file, stack)
            .unwrap_or((None, Some("not known: the journals cannot be read".to_owned())));
        Ok(Self { status, environment, file, settings, last_run, lock })
    }

    fn json(&self) -> Value {
        let mut all = serde_json::to_value(&self.status).unwrap_or_default();
        if let Value::Object(fields) = &mut all {
            fields.insert("last_run".to_owned(), self.last_run.as_ref().map(super::runs::in_json).into());
            fields.insert("lock".to_owned(), self.lock.clone().into());
        }
        all
    }

    fn text(&self, look: &Look) -> String {
        let status = &self.status;
        let mut text = vec![lines::pair(look, "stack", &status.stack)];
        if let Some(found) = &self.last_run {
            let (ink, stand) = stand(found);
            text.push(lines::pair(look, "last run", &format!("{} {}", found.id(), look.paint(ink, &stand))));
        }
        text.push(lines::pair(look, "lock", self.lock.as_deref().unwrap_or("free")));
        if status.routes.is_empty() && status.fleets.is_empty() && status.versions.is_empty() {
            text.push(format!("\n{} nothing of this stack is there", look.paint(Ink::Yellow, "!")));
        }
        for route in &status.routes {
            let weights: Vec<Weight> = (route.shares.iter())
                .map(|share| Weight { target_group: share.target_group.clone(), weight: share.weight.unsigned_abs() })
                .collect();
            text.push(String::new());
            text.push(look.paint(Ink::Bold, &route.name));
            text.push(format!(" {}", lines::shares(look, &weights).trim_end()));
            for share in &route.shares {
                text.push(format!("  {}: {} of {} targets healthy", share.target_group, share.healthy, share.targets));
            }
        }
        if !status.fleets.is_empty() {
            text.push(format!("\n{}", look.paint(Ink::Bold, "fleets")));
        }
        for fleet in &status.fleets {
            text.push(format!(
                "  {}: {} of {} in service (min {}, max {}), {}:{}",
                fleet.name,
                fleet.in_service,
                fleet.desired_capacity,
                fleet.min_size,
                fleet.max_size,
                fleet.launch_template,
                fleet.version,
            ));
        }
        if !status.versions.is_empty() {
            text.push(format!("\n{}", look.paint(Ink::Bold, "versions")));
        }
        for version in &status.versions {
            let is_running = status.fleets.iter().any(|fleet| {
                fleet.launch_template == version.launch_template && fleet.version == version.version.to_string()
            });
            let running = if is_running { ", running" } else { "" };
            text.push(format!(
                "  {}:{}  {} {} of {}{running}",
                version.launch_template, version.version, version.image_id, version.instance_type, version.created,
            ));
        }
        text.join("\n") + "\n"
    }
}

/// The last run of a stack, and who keeps others off it.
fn of_journals(journals: &Journals, file: &File, stack: &str) -> Result<(Option<Found>, Option<String>), Failure> {
    let (mut last_run, mut lock) = (None, None);
    for store in journals.stores(file)? {
        for run in History::runs(&store).map_err(|error| unreadable(&error.into()))?.into_iter().rev() {
            // One that is broken says nothing, and hides nothing.
            let Ok(found) = Found::read(store.clone(), &run) else { continue };
            let is_later = last_run.as_ref().is_none_or(|last: &Found| last.id() < found.id());
            if found.past.stack.as_deref() == Some(stack) && is_later {
                last_run = Some(found);
                break;
            }
        }
        let held = Lock::all(&store).map_err(|error| unreadable(&error.into()))?;
        let of_stack = held.into_iter().find(|(lock, _)| lock.name.ends_with(&format!("/stack {stack}")));
        lock = lock
            .or(of_stack.map(|(lock, stand)| format!("run {} of {}: {stand}", lock.holder.run, lock.holder.driver)));
    }
    Ok((last_run, lock))
}

/// The environment of a stack: its name ends with it.
fn environment(file: &File, stack: &str, env: Option<&str>) -> Result<Environment, Failure> {
    let mut all = file.environments.values();
    let found = match env {
        Some(name) => all.find(|environment| environment.name == name),
        None => all.filter(|one| stack.ends_with(&format!("-{}", one.name))).max_by_key(|one| one.name.len()),
    };
    found.cloned().ok_or_else(|| {
        let names: Vec<&str> = file.environments.keys().map(String::as_str).collect();
        let help = format!("give it with `--env`; runner.toml has `{}`", names.join("`, `"));
        let message = match env {
            Some(name) => format!("there is no environment `{name}`"),
            None if stack.is_empty() => "it is not known which environment is meant".to_owned(),
            None => format!("the environment of the stack `{stack}` is not known"),
        };
        Failure::new(exit::USAGE, miette!(help = help, "{message}"))
    })
}

fn settings(file: &File, environment: &Environment, place: &Where) -> Result<RunSettings, Failure> {
    let typed = if place.sim { Some(Target::Sim) } else { place.target };
    let target = typed.or(environment.target).unwrap_or(Target::Aws);
    let world = match &place.world {
        None => WorldChoice::Kept(file.state_dir.join("sim")),
        Some(world) => WorldChoice::Kept(world.clone()),
    };
    let root = file.root();
    Ok(RunSettings {
        runbook: root.clone(),
        project_root: root,
        state_dir: file.state_dir.clone(),
        environments: file.environments.clone(),
        environment: Some(environment.name.clone()),
        params: std::collections::BTreeMap::new(),
        target,
        world,
        seed: place.seed.unwrap_or(1),
        endpoint_url: place.endpoint_url.clone(),
        overrides: overrides(super::policy::PolicyArgs::default()),
        faults: Vec::new(),
        journal: place.journal.clone().unwrap_or_else(|| file.journal(target)),
        found_by: found_by(place.journal.as_ref(), None),
        on_interrupt: OnInterrupt::Suspend,
        record_wire: None,
        interactive: false,
    })
}

fn read_back<T: DeserializeOwned>(found: Value) -> Result<T, Failure> {
    serde_json::from_value(found).map_err(|error| Failure::new(exit::BUG, miette!("{error}")))
}

/// Reads a stack from AWS, or the names of all. Nothing can be changed: nothing is declared.
fn look(settings: &RunSettings, environment: &Environment, stack: Option<&str>) -> Result<Value, Failure> {
    let place = Place::look_at(settings)?;
    let events = Events::new(place.clock.clone(), Vec::new());
    let id = RunId::known("status");
    let run =
        Run::new(id, place.clock.clone(), events, Journal::in_memory("status"), place.endpoint.clone(), settings.seed);
    let failed = |error: crate::ops::Error| {
        let help = error.hint().unwrap_or_default();
        let message = error.to_string();
        let exit = by_cause(&FailureKind::Operation(Arc::new(error))).1;
        Failure::new(exit, if help.is_empty() { miette!("{message}") } else { miette!(help = help, "{message}") })
    };
    let clock = place.clock.clone();
    clock.block_on(run.use_environment(environment)).map_err(failed)?;
    let (ctx, stack) = (run.context(&mut Branch::root()), stack.map(str::to_owned));
    if let Some(stack) = &stack {
        run.set_stack(stack.clone());
    }
    let prepared = Prepared {
        subject: stack.clone().unwrap_or_default(),
        secrets: Vec::new(),
        run: Box::new(move |ctx| {
            Box::pin(async move {
                let found = match stack {
                    Some(stack) => serde_json::to_value(stack::status(ctx, &stack).await?),
                    None => serde_json::to_value(stack::names(ctx).await?),
                };
                Ok(found.unwrap_or_default())
            })
        }),
    };
    clock.block_on(ctx.operation("status", Value::Null, prepared)).map_err(failed)
}
