//! `deploy_ecs_service`: a service, made or brought to what is wanted, and waited for.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    EcsService,
    deployment::{is_stable, wait_stable},
    ecs::{self, EcsTags, to_ecs},
    service::{self, Found},
    service_options::{DeployEcsService, Settings},
};
use crate::{
    event::{Change, Field},
    ops::{
        Error, Operation, arguments,
        compute::traffic_guard::check_idle_but_for_own,
        outcome::report,
        ownership::{Owned, STACK_TAG, changed, set},
        tagged,
        traffic::health::Health,
    },
    policy::Kind,
    run::{Class, Ctx, LookUp, Mutation, Phase, Seen, Undo, UndoAction, Undone, Wait},
};

/// How long tasks may take to drain and end: the longest deregistration delay, and then some.
pub const DRAIN: Duration = Duration::from_secs(90 * 60);

/// How long a service may take to be what it was in a rollback.
const RECOVERY: Duration = Duration::from_secs(30 * 60);

impl Operation for DeployEcsService {
    const NAME: &'static str = "deploy_ecs_service";
    const AREA: &'static str = "ECS";
    const EXAMPLE: &'static str = r#"deploy_ecs_service(#{
    name: "web-blue", cluster: "shop-prod-main", task_definition: "shop-prod-web:3", desired_count: 2,
    subnets: ["subnet-0abc"], security_groups: ["sg-0abc"],
    load_balancers: [#{ target_group: blue, container_name: "web", container_port: 8080 }],
})"#;

    type Options = Self;
    type Handle = EcsService;

    fn subject(options: &Self) -> String {
        options.name.clone()
    }

    async fn run(ctx: &Ctx, options: Self) -> Result<EcsService, Error> {
        options.check()?;
        let owned = Owned::new(ctx, &options.name, &options.tags)?;
        let name = owned.name_within(255);
        let arn = service::arn(ctx, options.cluster.as_str(), &name);
        let definition = match options.task_definition.as_str() {
            arn if arn.starts_with("arn:") => arn.to_owned(),
            name => ctx.aws().arn("ecs", &format!("task-definition/{name}")),
        };
        let wanted = options.settings(&definition);
        let found = match service::read(ctx, &arn).await? {
            // Of that name there can be no other until it is gone.
            Some(found) if found.status == "DRAINING" => gone(ctx, &arn, options.timeout.0).await.map(|()| None)?,
            found => found.filter(Found::is_active),
        };
        let now = match found {
            Some(found) => converge(ctx, &options, &owned, found, &wanted).await?,
            None => {
                let made = create(ctx, &options, &owned, &arn, &wanted).await?;
                wait_stable(ctx, &arn, &made, options.timeout.0).await?
            }
        };
        Ok(now.handle())
    }
}

/// What is kept of a created service.
#[derive(Debug, Serialize, Deserialize)]
struct Made {
    service_arn: String,
    stack: String,
}

/// What a call says of a service that it made or changed.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Reply {
    service: Found,
}

/// Makes the service. Returns the id of its deployment.
async fn create(
    ctx: &Ctx,
    options: &DeployEcsService,
    owned: &Owned,
    arn: &str,
    wanted: &Settings,
) -> Result<String, Error> {
    let name = ecs::name_in(arn);
    let undo = Undo::new(
        &DELETE_SERVICE,
        format!("delete service {name}"),
        json!({ "target_groups": options.target_groups() }),
    );
    let declared = Mutation::new("ecs:CreateService", Class::Token, format!("service {name}"))
        .look_up(&SERVICE_BY_ARN, json!({ "service_arn": arn, "stack": owned.stack }))
        .refers_to(
            [options.cluster.as_str(), options.task_definition.as_str()]
                .into_iter()
                .map(str::to_owned)
                .chain(options.target_groups()),
        )
        .undo(undo.rests().keep(options.keep_on_rollback));
    let mut input = Value::Object(without_empty(wanted));
    input["cluster"] = json!(options.cluster.as_str());
    input["serviceName"] = json!(name);
    input["tags"] = to_ecs(&owned.tags());
    if let Some(launch_type) = options.launch_type() {
        input["launchType"] = json!(launch_type);
    }
    if options.desired_count.is_none() {
        input["desiredCount"] = json!(1);
    }
    let send = |permit: crate::aws::Permit| {
        let mut input = input.clone();
        input["clientToken"] = json!(permit.token());
        ctx.aws().call("ecs:CreateService", &input).permit(permit).send::<Reply>()
    };
    let made = |_: &Reply| Ok(Made { service_arn: arn.to_owned(), stack: owned.stack.clone() });
    let made: Made = ctx.mutate(declared, send, made).await?;
    let mut fields = vec![set("service_name", name)];
    let shown = ["taskDefinition", "desiredCount", "loadBalancers", "networkConfiguration"];
    fields.extend(shown.iter().filter_map(|name| Some(set(&snake(name), input.get(*name)?.clone()))));
    ctx.did(Change::Created, fields);
    let found = service::existing(ctx, &made.service_arn).await?;
    found
        .primary()
        .map(|primary| primary.id.clone())
        .ok_or(Error::Reply { call: "ecs:DescribeServices", member: "deployments" })
}

fn without_empty(settings: &Settings) -> Settings {
    let said = |value: &Value| value.as_array().is_none_or(|list| !list.is_empty());
    settings.iter().filter(|(_, value)| said(value)).map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// `taskDefinition` as options name it.
fn snake(name: &str) -> String {
    let name = name.strip_suffix("Seconds").unwrap_or(name);
    let letter = |c: char| if c.is_ascii_uppercase() { format!("_{}", c.to_ascii_lowercase()) } else { c.to_string() };
    name.chars().map(letter).collect()
}

async fn converge(
    ctx: &Ctx,
    options: &DeployEcsService,
    owned: &Owned,
    found: Found,
    wanted: &Settings,
) -> Result<Found, Error> {
    let arn = found.service_arn.clone();
    let resource = format!("service {}", found.service_name);
    let tags = found.tags();
    owned.check(&resource, &tags, options.adopt)?;
    if let Some(wanted) = options.launch_type()
        && found.launch_type.as_deref() != Some(wanted)
    {
        let (found, wanted) =
            (found.launch_type.clone().unwrap_or_else(|| "capacity providers".to_owned()), wanted.to_owned());
        return Err(Error::NeedsReplacement { resource, field: "launch_type", found, wanted });
    }
    let mut fields = tagged::converge::<EcsTags>(ctx, &arn, owned, &tags).await?;
    let known = found.settings();
    let differ = |(name, value): &(&String, &Value)| known.get(*name) != Some(value);
    let ours: Settings = wanted.iter().filter(differ).map(|(name, value)| (name.clone(), value.clone())).collect();
    let mut deployment = found.primary().map(|primary| primary.id.clone()).unwrap_or_default();
    let is_settled = ours.is_empty() && is_stable(&found);
    if !ours.is_empty() {
        let before: Settings =
            ours.keys().map(|name| (name.clone(), known.get(name).cloned().unwrap_or_default())).collect();
        let undo = undo(&found, before.clone(), ours.clone());
        deployment = update(ctx, &arn, &ours, Some(undo), options.task_definition.as_str()).await?;
        let field = |(name, value): (&String, &Value)| changed(&snake(name), before[name].clone(), value.clone());
        fields.extend(ours.iter().map(field));
    }
    report(ctx, fields);
    match is_settled {
        true => Ok(found),
        false => wait_stable(ctx, &arn, &deployment, options.timeout.0).await,
    }
}

/// The undo of a change. What comes back has its turn before traffic moves onto it.
pub fn undo(found: &Found, before: Settings, ours: Settings) -> Undo {
    let count = |settings: &Settings| settings.get("desiredCount").and_then(Value::as_i64);
    let grows_back = count(&before).zip(count(&ours)).is_some_and(|(before, ours)| before > ours);
    let description = format!("give service {} back what it had", found.service_name);
    let change = ServiceChange { service_arn: found.service_arn.clone(), before, ours };
    Undo::new(&RESTORE_SERVICE, description, json!(change)).phase(if grows_back {
        Phase::Capacity
    } else {
        Phase::Rest
    })
}

/// Sets these of a service's settings. Returns the id of the deployment that this is: what is read next may not show it yet.
///
/// # Errors
/// If AWS refuses.
pub async fn update(
    ctx: &Ctx,
    arn: &str,
    settings: &Settings,
    undo: Option<Undo>,
    task_definition: &str,
) -> Result<String, Error> {
    let name = ecs::name_in(arn);
    let mut input = Value::Object(settings.clone());
    if settings.contains_key("capacityProviderStrategy") {
        // It "doesn't trigger a new service deployment" by itself, and is refused without one.
        input["forceNewDeployment"] = json!(true);
    }
    input["cluster"] = json!(service::cluster_in(arn)?);
    input["service"] = json!(arn);
    let declared = Mutation::new("ecs:UpdateService", Class::Idempotent, format!("service {name}"))
        .refers_to([arn, task_definition])
        .undo(undo);
    let send = |permit| ctx.aws().call("ecs:UpdateService", &input).permit(permit).send::<Reply>();
    let deployment = |reply: &Reply| {
        let primary = reply.service.primary().map(|primary| primary.id.clone());
        primary.ok_or(Error::Reply { call: "ecs:UpdateService", member: "deployments" })
    };
    ctx.mutate(declared, send, deployment).await
}

#[derive(Serialize, Deserialize)]
struct ServiceChange {
    service_arn: String,
    before: Settings,
    ours: Settings,
}

/// Gives a service back what it had, and waits for its tasks.
pub const RESTORE_SERVICE: UndoAction =
    UndoAction { name: "restore_ecs_service", run: |ctx, arguments| Box::pin(restore(ctx, arguments)) };

async fn restore(ctx: &Ctx, change: Value) -> Result<Undone, Error> {
    let ServiceChange { service_arn: arn, before, ours } = arguments(change)?;
    let Some(found) = service::find(ctx, &arn).await? else { return Ok(without(ctx, &arn)) };
    let known = found.settings();
    let is = |name: &String, wanted: &Value| known.get(name) == Some(wanted);
    // ECS may have rolled the task definition back itself.
    let (back, lost): (Vec<_>, Vec<_>) = before
        .iter()
        .filter(|(name, value)| !is(name, value) && ours.get(*name).is_some_and(|ours| is(name, ours)))
        .map(|(name, value)| (name.clone(), value.clone()))
        // A service that has a network configuration cannot be left without one.
        .partition(|(_, value)| !value.is_null());
    let back: Settings = back.into_iter().collect();
    let is_restored = back.is_empty();
    if is_restored {
        let now = service::existing(ctx, &arn).await?;
        if !is_stable(&now) {
            let id = now.primary().map(|primary| primary.id.clone()).unwrap_or_default();
            wait_stable(ctx, &arn, &id, RECOVERY).await?;
        }
    } else {
        let id = update(ctx, &arn, &back, None, "").await?;
        wait_stable(ctx, &arn, &id, RECOVERY).await?;
    }
    // How many tasks there are is what scaling, or a person, has made of it since.
    let foreign: Vec<&String> = before
        .iter()
        .filter(|(name, value)| *name != "desiredCount" && !is(name, value) && !back.contains_key(*name))
        .filter(|(name, _)| lost.iter().all(|(lost, _)| lost != *name))
        .map(|(name, _)| name)
        .collect();
    if !foreign.is_empty() {
        let value = |of: &Settings| -> Value {
            foreign
                .iter()
                .map(|name| ((*name).clone(), of.get(*name).cloned().unwrap_or_default()))
                .collect::<Settings>()
                .into()
        };
        return Ok(Undone::Foreign(format!("expected {}, found {}", value(&ours), value(&known))));
    }
    Ok(match (lost.is_empty(), is_restored) {
        (false, _) => Undone::Impossible,
        (true, true) => Undone::Already,
        (true, false) => Undone::Done,
    })
}

/// How an undo ends that finds no service.
pub fn without(ctx: &Ctx, arn: &str) -> Undone {
    // Without this run it would not be there either.
    match ctx.has_made(Kind::Ecs, arn) {
        true => Undone::Already,
        false => Undone::Foreign(format!("expected service {}, found none", ecs::name_in(arn))),
    }
}

/// Scales a service to zero, and waits until its tasks are drained and gone.
///
/// # Errors
/// If AWS refuses, or tasks are still there at the deadline.
pub async fn to_zero(ctx: &Ctx, found: &Found, undo: Option<Undo>, timeout: Duration) -> Result<(), Error> {
    let (arn, name) = (&found.service_arn, &found.service_name);
    if found.desired_count > 0 {
        let zero: Settings = [("desiredCount".to_owned(), json!(0))].into_iter().collect();
        update(ctx, arn, &zero, undo, "").await?;
    }
    let every = Duration::from_secs(10);
    ctx.wait(Wait { what: format!("the tasks of {name} to be drained"), timeout, every }, async || {
        let Some(found) = service::find(ctx, arn).await? else { return Ok(Seen::Ready(())) };
        Ok(match found.running_count + found.pending_count {
            0 if found.desired_count == 0 => Seen::Ready(()),
            left => Seen::Pending(format!("{left} left")),
        })
    })
    .await
}

/// Deletes a service without tasks, and waits until its name is free.
///
/// # Errors
/// If AWS refuses.
pub async fn delete(ctx: &Ctx, arn: &str, force: bool, undo: Option<Undo>, timeout: Duration) -> Result<(), Error> {
    let declared =
        Mutation::new("ecs:DeleteService", Class::Idempotent, format!("service {}", ecs::name_in(arn))).undo(undo);
    let mut input = json!({ "cluster": service::cluster_in(arn)?, "service": arn });
    if force {
        input["force"] = true.into();
    }
    let deleted =
        ctx.change(declared, |permit| ctx.aws().call("ecs:DeleteService", &input).permit(permit).send::<Value>());
    match deleted.await {
        Err(error) if error.is(ecs::GONE) => {}
        deleted => deleted?,
    }
    gone(ctx, arn, timeout).await
}

/// Waits until a deleted service is inactive: its tasks drain.
async fn gone(ctx: &Ctx, arn: &str, timeout: Duration) -> Result<(), Error> {
    let what = format!("service {} to be gone", ecs::name_in(arn));
    ctx.wait(Wait { what, timeout, every: Duration::from_secs(10) }, async || {
        Ok(match service::read(ctx, arn).await? {
            None => Seen::Ready(()),
            Some(found) if found.status == "INACTIVE" => Seen::Ready(()),
            Some(found) => Seen::Pending(format!("{}, {} running", found.status.to_lowercase(), found.running_count)),
        })
    })
    .await
}

/// Finds a service by its ARN.
pub const SERVICE_BY_ARN: LookUp =
    LookUp { name: "ecs_service_by_arn", run: |ctx, arguments| Box::pin(service_by_arn(ctx, arguments)) };

async fn service_by_arn(ctx: &Ctx, wanted: Value) -> Result<Option<Value>, Error> {
    let wanted: Made = arguments(wanted)?;
    let found = service::find(ctx, &wanted.service_arn).await?;
    let ours = found.is_some_and(|found| found.tags().get(STACK_TAG) == Some(&wanted.stack));
    Ok(ours.then(|| json!(wanted)))
}

/// Deletes a service this run made, unless it gets traffic.
pub const DELETE_SERVICE: UndoAction =
    UndoAction { name: "delete_ecs_service", run: |ctx, arguments| Box::pin(delete_service(ctx, arguments)) };

async fn delete_service(ctx: &Ctx, made: Value) -> Result<Undone, Error> {
    let Made { service_arn: arn, stack } = arguments(made)?;
    let found = match service::read(ctx, &arn).await? {
        None => return Ok(Undone::Already),
        Some(found) if found.status == "INACTIVE" => return Ok(Undone::Already),
        Some(found) => found,
    };
    if found.is_active() {
        if found.tags().get(STACK_TAG) != Some(&stack) {
            return Ok(Undone::Foreign(format!(
                "expected {} to be owned by {stack}, found another owner",
                found.service_name
            )));
        }
        // Whatever became of the undo of the weights: nobody's traffic is cut off. Where no target is healthy, there is none.
        let groups = found.target_groups();
        if Health::read_all(ctx, &groups).await?.iter().any(|group| group.healthy() > 0) {
            check_idle_but_for_own(ctx, &found.service_name, &groups).await?;
        }
        to_zero(ctx, &found, None, DRAIN).await?;
        delete(ctx, &arn, false, None, DRAIN).await?;
    } else {
        gone(ctx, &arn, DRAIN).await?;
    }
    Ok(Undone::Done)
}

/// What differs in a count, for the progress line.
pub fn count_field(before: i64, after: i64) -> Option<Field> {
    (before != after).then(|| changed("desired_count", before, after))
}
