//! `ensure_scheduled_action`: other sizes at a time, once or again and again.

use aws_sdk_autoscaling::types as autoscaling;
use aws_smithy_types::DateTime;
use jiff::{Timestamp, tz::TimeZone};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{
    AutoScalingGroup, ScheduledAction, asg,
    ensure_scaling_policy::{owned, policy_name},
};
use crate::{
    event::{Change, Field},
    ops::{Error, IdOf, Operation, Together, arguments, outcome, ownership::set},
    run::{Class, Ctx, Mutation, Undo, UndoAction, Undone},
};

/// Makes sure that a group of the stack gets these sizes at a time: once, or again and again.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EnsureScheduledAction {
    /// Its name; AWS shows `<group>-<name>`.
    name: String,
    /// The group, which must be the stack's.
    auto_scaling_group: IdOf<AutoScalingGroup>,
    /// Again and again: minute, hour, day of the month, month and day of the week, `"0 7 * * MON-FRI"`.
    recurrence: Option<String>,
    /// Where the recurrence has its hours, `"Europe/Berlin"`; UTC if not said.
    time_zone: Option<String>,
    /// Once, or for the first time: `"2027-01-01T06:00:00Z"`. With a recurrence, AWS shows the next time here.
    start_time: Option<String>,
    /// After that, no more.
    end_time: Option<String>,
    /// The least number of instances from then on; as before if not said.
    min_size: Option<i32>,
    /// The greatest number of instances; as before if not said.
    max_size: Option<i32>,
    /// How many there should be; as before if not said.
    desired_capacity: Option<i32>,
}

/// An action as it is compared and put back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Action {
    recurrence: Option<String>,
    time_zone: Option<String>,
    start_time: Option<Timestamp>,
    end_time: Option<Timestamp>,
    min_size: Option<i32>,
    max_size: Option<i32>,
    desired_capacity: Option<i32>,
}

impl Operation for EnsureScheduledAction {
    const NAME: &'static str = "ensure_scheduled_action";
    const AREA: &'static str = "Auto Scaling";
    const EXAMPLE: &'static str = r#"ensure_scheduled_action(#{
    name: "morning", auto_scaling_group: find_asg("web-blue"),
    recurrence: "0 7 * * MON-FRI", time_zone: "Europe/Berlin", min_size: 4,
})"#;

    type Options = Self;
    type Handle = ScheduledAction;

    fn subject(options: &Self) -> String {
        options.name.clone()
    }

    async fn run(ctx: &Ctx, options: Self) -> Result<ScheduledAction, Error> {
        let wanted = options.action()?;
        let group = options.auto_scaling_group.as_str();
        let name = policy_name(group, &options.name);
        let (row, found) = futures::join!(owned(ctx, group), read(ctx, group, &name)).together()?;
        asg::check_owner(ctx, &row)?;
        match found {
            Some(found) if wanted.is_met_by(&found) => ctx.did(Change::Unchanged, []),
            found => {
                let fields = match &found {
                    Some(found) => wanted.differences(found),
                    None => vec![set("scheduled_action_name", name.clone())],
                };
                let change = Restore {
                    auto_scaling_group_name: group.to_owned(),
                    scheduled_action_name: name.clone(),
                    before: found.clone(),
                    ours: wanted.clone(),
                };
                let undo =
                    Undo::new(&RESTORE_SCHEDULED_ACTION, format!("restore scheduled action {name}"), json!(change))
                        .key(format!("scheduled action {name}"));
                replace(ctx, group, &name, found.as_ref(), &wanted, Some(undo)).await?;
                ctx.did(if found.is_some() { Change::Updated } else { Change::Created }, fields);
            }
        }
        let auto_scaling_group_name = group.to_owned();
        Ok(ScheduledAction { scheduled_action_name: name, auto_scaling_group_name })
    }
}

impl EnsureScheduledAction {
    /// What is asked for. Everything that needs no AWS to be wrong is found here.
    fn action(&self) -> Result<Action, Error> {
        if self.min_size.is_none() && self.max_size.is_none() && self.desired_capacity.is_none() {
            return Err(Error::option("", "expected `min_size`, `max_size` or `desired_capacity`"));
        }
        for (path, size) in
            [("min_size", self.min_size), ("max_size", self.max_size), ("desired_capacity", self.desired_capacity)]
        {
            if let Some(size) = size.filter(|size| *size < 0) {
                return Err(Error::option(path, format!("expected 0 or more, found {size}")));
            }
        }
        let (low, high) = (self.min_size.unwrap_or(0), self.max_size.unwrap_or(i32::MAX));
        if low > high || self.desired_capacity.is_some_and(|desired| !(low..=high).contains(&desired)) {
            return Err(Error::option("", "`min_size`, `desired_capacity` and `max_size` do not fit"));
        }
        if self.recurrence.is_none() && self.start_time.is_none() {
            return Err(Error::option("", "expected `recurrence` or `start_time`"));
        }
        if let Some(text) = self.recurrence.as_ref().filter(|text| text.split_whitespace().count() != 5) {
            let message = format!("expected five fields such as \"0 7 * * MON-FRI\", found {text:?}");
            return Err(Error::option("recurrence", message));
        }
        if let Some(name) = &self.time_zone {
            if self.recurrence.is_none() {
                return Err(Error::option("time_zone", "it is for a `recurrence`"));
            }
            if TimeZone::get(name).is_err() {
                return Err(Error::option(
                    "time_zone",
                    format!("expected a time zone such as \"Europe/Berlin\", found {name:?}"),
                ));
            }
        }
        let time = |path: &str, text: &Option<String>| {
            let Some(text) = text else { return Ok(None) };
            text.parse().map(Some).map_err(|_| {
                Error::option(path, format!("expected a time such as \"2027-01-01T06:00:00Z\", found {text:?}"))
            })
        };
        let (start_time, end_time) = (time("start_time", &self.start_time)?, time("end_time", &self.end_time)?);
        if matches!((start_time, end_time), (Some(start), Some(end)) if end <= start) {
            return Err(Error::option("end_time", "expected a time after `start_time`"));
        }
        Ok(Action {
            recurrence: self.recurrence.clone(),
            time_zone: self.time_zone.clone().filter(|name| name != "UTC"),
            start_time,
            end_time,
            min_size: self.min_size,
            max_size: self.max_size,
            desired_capacity: self.desired_capacity,
        })
    }
}

impl Action {
    fn found(action: &autoscaling::ScheduledUpdateGroupAction) -> Self {
        let time = |at: Option<&DateTime>| at.and_then(|at| Timestamp::from_millisecond(at.to_millis().ok()?).ok());
        let text = |text: Option<&str>| text.filter(|text| !text.is_empty()).map(str::to_owned);
        Self {
            recurrence: text(action.recurrence()),
            time_zone: text(action.time_zone()).filter(|name| name != "UTC"),
            start_time: time(action.start_time()),
            end_time: time(action.end_time()),
            min_size: action.min_size(),
            max_size: action.max_size(),
            desired_capacity: action.desired_capacity(),
        }
    }

    /// The members by their names. With a recurrence, AWS moves the start on each time.
    fn members(&self, with_start: bool) -> Map<String, Value> {
        let members = json!(self).as_object().cloned().unwrap_or_default().into_iter();
        members.filter(|(name, _)| with_start || name != "start_time").collect()
    }

    /// Whether `found` is what this asks for. When a recurrence begins has been decided once.
    fn is_met_by(&self, found: &Self) -> bool {
        let with_start = self.recurrence.is_none();
        self.members(with_start) == found.members(with_start)
    }

    fn differences(&self, found: &Self) -> Vec<Field> {
        outcome::differences(&found.members(true), &self.members(self.recurrence.is_none()))
    }

    /// Whether something of it would stay if `wanted` were put over it: what is not said is left as it is.
    fn outlives(&self, wanted: &Self) -> bool {
        let wanted = wanted.members(false);
        self.members(false).iter().any(|(name, value)| !value.is_null() && wanted[name].is_null())
    }
}

async fn read(ctx: &Ctx, group: &str, name: &str) -> Result<Option<Action>, Error> {
    let reply = ctx
        .read("autoscaling:DescribeScheduledActions", || {
            let request = ctx.aws().autoscaling.describe_scheduled_actions().auto_scaling_group_name(group);
            request.scheduled_action_names(name).send()
        })
        .await?;
    let actions = reply.scheduled_update_group_actions();
    Ok(actions.iter().find(|action| action.scheduled_action_name() == Some(name)).map(Action::found))
}

/// Puts the action; one that has more than is wanted is deleted first.
async fn replace(
    ctx: &Ctx,
    group: &str,
    name: &str,
    found: Option<&Action>,
    wanted: &Action,
    undo: Option<Undo>,
) -> Result<(), Error> {
    if found.is_some_and(|found| found.outlives(wanted)) {
        delete(ctx, group, name, undo.clone()).await?;
    }
    put(ctx, group, name, wanted, undo).await
}

async fn put(ctx: &Ctx, group: &str, name: &str, action: &Action, undo: Option<Undo>) -> Result<(), Error> {
    let words = format!("scheduled action {name}");
    let declared = Mutation::new("autoscaling:PutScheduledUpdateGroupAction", Class::Idempotent, words).undo(undo);
    let time = |at: Option<Timestamp>| at.map(|at| DateTime::from_millis(at.as_millisecond()));
    // AWS refuses a time that has passed; the recurrence says the next one.
    let start = action.start_time.filter(|start| action.recurrence.is_none() || *start > ctx.now());
    ctx.change(declared, |permit| {
        ctx.aws()
            .autoscaling
            .put_scheduled_update_group_action()
            .auto_scaling_group_name(group)
            .scheduled_action_name(name)
            .set_recurrence(action.recurrence.clone())
            .set_time_zone(action.time_zone.clone())
            .set_start_time(time(start))
            .set_end_time(time(action.end_time))
            .set_min_size(action.min_size)
            .set_max_size(action.max_size)
            .set_desired_capacity(action.desired_capacity)
            .customize()
            .interceptor(permit)
            .send()
    })
    .await
}

async fn delete(ctx: &Ctx, group: &str, name: &str, undo: Option<Undo>) -> Result<(), Error> {
    let words = format!("scheduled action {name}");
    let declared = Mutation::new("autoscaling:DeleteScheduledAction", Class::Idempotent, words).undo(undo);
    ctx.change(declared, |permit| {
        let request = ctx.aws().autoscaling.delete_scheduled_action().auto_scaling_group_name(group);
        request.scheduled_action_name(name).customize().interceptor(permit).send()
    })
    .await
}

#[derive(Serialize, Deserialize)]
struct Restore {
    auto_scaling_group_name: String,
    scheduled_action_name: String,
    before: Option<Action>,
    ours: Action,
}

/// Puts a changed action back, or deletes a new one. One that was to happen once and has happened is gone.
pub const RESTORE_SCHEDULED_ACTION: UndoAction =
    UndoAction { name: "restore_scheduled_action", run: |ctx, arguments| Box::pin(restore(ctx, arguments)) };

async fn restore(ctx: &Ctx, change: Value) -> Result<Undone, Error> {
    let Restore { auto_scaling_group_name: group, scheduled_action_name: name, before, ours } = arguments(change)?;
    if asg::find(ctx, &group).await?.is_none() {
        return Ok(Undone::Already);
    }
    let found = read(ctx, &group, &name).await?;
    match (&found, &before) {
        (None, None) => Ok(Undone::Already),
        (Some(found), Some(before)) if before.is_met_by(found) => Ok(Undone::Already),
        // It was deleted to be put anew, and was not.
        (None, Some(before)) => put(ctx, &group, &name, before, None).await.map(|()| Undone::Done),
        (Some(found), before) if ours.is_met_by(found) => {
            match before {
                Some(before) => replace(ctx, &group, &name, Some(found), before, None).await?,
                None => delete(ctx, &group, &name, None).await?,
            }
            Ok(Undone::Done)
        }
        (Some(found), _) => Ok(Undone::Foreign(format!("expected {}, found {}", json!(ours), json!(found)))),
    }
}
