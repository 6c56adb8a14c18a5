//! `alarm_states`: whether alarms are quiet, before traffic moves and between its steps.

use futures::{StreamExt, TryStreamExt, stream};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    Alarm, AlarmState, AlarmStates,
    alarm::{self, Shown},
    if_there,
    tags::AlarmTags,
};
use crate::{
    event::Change,
    ops::{
        Error, IdOf, Operation,
        ownership::{STACK_TAG, set},
        tagged::Tagged,
    },
    run::Ctx,
};

/// Reads the states of alarms as they are now: those that are named, those whose names begin alike, or all of the stack.
///
/// With `expect_ok` it fails if one of them is in the state `ALARM`, so that a shift stops and goes back. One without data is no
/// reason to: a new alarm has none.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReadAlarmStates {
    /// The alarms: what `ensure_alarm` returned, or the names CloudWatch knows them by.
    #[serde(default)]
    alarms: Vec<IdOf<Alarm>>,
    /// Instead: all alarms whose names begin so, whoever owns them.
    alarm_name_prefix: Option<String>,
    /// Fails if one is in the state `ALARM`.
    #[serde(default)]
    expect_ok: bool,
}

impl Operation for ReadAlarmStates {
    const NAME: &'static str = "alarm_states";
    const AREA: &'static str = "CloudWatch";
    const EXAMPLE: &'static str = "alarm_states(#{ expect_ok: true })";

    type Options = Self;
    type Handle = AlarmStates;

    fn subject(options: &Self) -> String {
        match &options.alarm_name_prefix {
            Some(prefix) => format!("{prefix}*"),
            None => options.alarms.iter().map(IdOf::as_str).collect::<Vec<_>>().join(", "),
        }
    }

    async fn run(ctx: &Ctx, options: Self) -> Result<AlarmStates, Error> {
        let found = match (&options.alarms[..], &options.alarm_name_prefix) {
            ([], None) => of_stack(ctx).await?,
            ([], Some(prefix)) => match alarm::with_prefix(ctx, prefix).await? {
                // What nobody watches is not well.
                none if none.is_empty() && options.expect_ok => {
                    let what = format!("an alarm whose name begins with {prefix}");
                    return Err(Error::NotFound { what, hint: None });
                }
                found => found,
            },
            (alarms, None) => named(ctx, alarms).await?,
            (_, Some(_)) => return Err(Error::option("", "expected `alarms` or `alarm_name_prefix`")),
        };
        let is_off = |alarm: &&Shown| alarm.state == "ALARM";
        let in_alarm: Vec<String> = found.iter().filter(is_off).map(|alarm| alarm.name.clone()).collect();
        ctx.did(Change::Read, [set("alarms", found.len()), set("in_alarm", in_alarm.clone())]);
        if options.expect_ok && !in_alarm.is_empty() {
            let of = |alarm: &Shown| {
                format!("alarm {} is in the state ALARM since {}: {}", alarm.name, alarm.since, alarm.reason)
            };
            let reasons: Vec<String> = found.iter().filter(is_off).map(of).collect();
            return Err(Error::Unsafe(reasons.join("; ")));
        }
        let state = |alarm: Shown| AlarmState {
            name: alarm.name,
            state: alarm.state,
            reason: alarm.reason,
            since: alarm.since,
        };
        Ok(AlarmStates { alarms: found.into_iter().map(state).collect(), in_alarm })
    }
}

async fn named(ctx: &Ctx, alarms: &[IdOf<Alarm>]) -> Result<Vec<Shown>, Error> {
    let names: Vec<String> = alarms.iter().map(ToString::to_string).collect();
    let found = alarm::named(ctx, &names).await?;
    match names.iter().find(|name| !found.iter().any(|alarm| alarm.name == **name)) {
        Some(name) => Err(Error::NotFound { what: format!("alarm {name}"), hint: None }),
        None => Ok(found),
    }
}

/// By name first, then by tag: another stack's name may begin with this one's.
async fn of_stack(ctx: &Ctx) -> Result<Vec<Shown>, Error> {
    let stack = ctx.stack()?;
    let found = alarm::with_prefix(ctx, &format!("{stack}-")).await?;
    let owner = async |alarm: Shown| {
        let tags = AlarmTags::read(ctx, &alarm::arn_of(ctx, &alarm.name)).await;
        let tags = if_there(tags, AlarmTags::GONE)?.unwrap_or_default();
        Ok::<_, Error>((tags.get(STACK_TAG) == Some(&stack)).then_some(alarm))
    };
    let found: Vec<Option<Shown>> = stream::iter(found).map(owner).buffered(8).try_collect().await?;
    Ok(found.into_iter().flatten().collect())
}
