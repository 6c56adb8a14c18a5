//! What watches a stack, and what it publishes: alarms, dashboards, topics, log groups, parameters.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Belonging, Rank, TagMap, tagged};
use crate::{
    ops::{
        Error, Together, arguments,
        monitoring::{
            alarm,
            ensure_log_group::{self, DELETE_LOG_GROUP},
            ensure_topic::DELETE_TOPIC,
            tags::{AlarmTags, LogGroupTags, TopicTags},
        },
        outcome::deleted,
        ownership::STACK_TAG,
        parameters::{store, tags::ParameterTags},
    },
    run::{Class, Ctx, Mutation, UndoAction, Undone},
};

/// What the stack owns. Lists of most have no tags, and cannot be asked for one: what is named as the stack's is looked at.
pub async fn of_stack(ctx: &Ctx, stack: &str) -> Result<Vec<Belonging>, Error> {
    let prefix = format!("{stack}-");
    let (alarms, dashboards, topics, groups, parameters) = futures::join!(
        alarms(ctx, &prefix),
        dashboards(ctx, stack),
        topics(ctx, &prefix),
        log_groups(ctx, &prefix),
        parameters(ctx, stack),
    )
    .together()?;
    Ok([alarms, dashboards, topics, groups, parameters].into_iter().flatten().collect())
}

/// A page of a list.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Page {
    #[serde(rename = "DashboardEntries")]
    dashboards: Vec<Dashboard>,
    #[serde(rename = "Topics")]
    topics: Vec<Topic>,
    #[serde(rename = "logGroups")]
    log_groups: Vec<LogGroup>,
    #[serde(rename = "NextToken", alias = "nextToken")]
    next: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Dashboard {
    dashboard_name: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Topic {
    topic_arn: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct LogGroup {
    log_group_name: String,
}

async fn all<T>(
    ctx: &Ctx,
    call: &'static str,
    mut input: Value,
    token: &str,
    of: impl Fn(Page) -> Vec<T>,
) -> Result<Vec<T>, Error> {
    let mut found = Vec::new();
    loop {
        let mut page: Page = ctx.fetch(call, &input).await?;
        let next = page.next.take();
        found.extend(of(page));
        match next {
            Some(next) => input[token] = next.into(),
            None => return Ok(found),
        }
    }
}

async fn alarms(ctx: &Ctx, prefix: &str) -> Result<Vec<Belonging>, Error> {
    let alarms = alarm::with_prefix(ctx, prefix).await?;
    let names = alarms.into_iter().map(|shown| shown.name);
    let found = tagged::<AlarmTags>(ctx, names, |name| alarm::arn_of(ctx, name)).await?;
    let found = found.into_iter().filter_map(|(name, tags)| {
        // Before what it watches, or it would call somebody.
        let found = Belonging::tagged(&tags, "alarm", &name, Rank::Names, ("cloudwatch:DeleteAlarms", "AlarmNames"))?
            .named(&name);
        Some(found.gone_by(&DELETE_ALARM, json!({ "name": name })))
    });
    Ok(found.collect())
}

/// They have no tags: their name is the evidence.
async fn dashboards(ctx: &Ctx, stack: &str) -> Result<Vec<Belonging>, Error> {
    let input = json!({ "DashboardNamePrefix": format!("{stack}-") });
    let found = all(ctx, "cloudwatch:ListDashboards", input, "NextToken", |page| page.dashboards).await?;
    let tags = TagMap::from([(STACK_TAG.to_owned(), stack.to_owned())]);
    let found = found.into_iter().filter_map(|Dashboard { dashboard_name: name }| {
        let found = Belonging::tagged(
            &tags,
            "dashboard",
            &name,
            Rank::Names,
            ("cloudwatch:DeleteDashboards", "DashboardNames"),
        )?
        .named(&name);
        Some(found.gone_by(&DELETE_DASHBOARD, json!({ "name": name })))
    });
    Ok(found.collect())
}

async fn topics(ctx: &Ctx, prefix: &str) -> Result<Vec<Belonging>, Error> {
    let topics = all(ctx, "sns:ListTopics", json!({}), "NextToken", |page| page.topics).await?;
    let name = |arn: &str| arn.rsplit(':').next().unwrap_or_default().to_owned();
    let named = topics.into_iter().map(|topic| topic.topic_arn).filter(|arn| name(arn).starts_with(prefix));
    let found = tagged::<TopicTags>(ctx, named, str::to_owned).await?.into_iter().filter_map(|(arn, tags)| {
        let found =
            Belonging::tagged(&tags, "topic", &arn, Rank::Parts, ("sns:DeleteTopic", "TopicArn"))?.named(name(&arn));
        Some(found.gone_by(&DELETE_TOPIC, json!({ "topic_arn": arn })))
    });
    Ok(found.collect())
}

async fn log_groups(ctx: &Ctx, prefix: &str) -> Result<Vec<Belonging>, Error> {
    let groups = all(ctx, "logs:DescribeLogGroups", json!({}), "nextToken", |page| page.log_groups).await?;
    // A name that begins with a slash is the runbook's own.
    let may_be = |name: &String| name.starts_with(prefix) || name.starts_with('/');
    let named = groups.into_iter().map(|group| group.log_group_name).filter(may_be);
    let found = tagged::<LogGroupTags>(ctx, named, |name| ensure_log_group::arn_of(ctx, name)).await?;
    let found = found.into_iter().filter_map(|(name, tags)| {
        // Of tasks that write to it to their end.
        let found =
            Belonging::tagged(&tags, "log group", &name, Rank::Profiles, ("logs:DeleteLogGroup", "logGroupName"))?
                .named(&name);
        Some(found.gone_by(&DELETE_LOG_GROUP, json!({ "log_group_name": name })))
    });
    Ok(found.collect())
}

async fn parameters(ctx: &Ctx, stack: &str) -> Result<Vec<Belonging>, Error> {
    let all = store::described(ctx, &format!("tag:{STACK_TAG}"), stack).await?;
    let names = all.into_iter().filter_map(|parameter| parameter.name);
    let found = tagged::<ParameterTags>(ctx, names, str::to_owned).await?;
    let found = found.into_iter().filter_map(|(name, tags)| {
        let found =
            Belonging::tagged(&tags, "parameter", &name, Rank::Names, ("ssm:DeleteParameter", "Name"))?.named(&name);
        Some(found.gone_by(&DELETE_PARAMETER, json!({ "name": name })))
    });
    Ok(found.collect())
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

/// Deletes an alarm, whatever it is by now.
const DELETE_ALARM: UndoAction =
    UndoAction { name: "delete_alarm", run: |ctx, arguments| Box::pin(delete_alarm(ctx, arguments)) };

async fn delete_alarm(ctx: &Ctx, of: Value) -> Result<Undone, Error> {
    let Named { name } = arguments(of)?;
    let declared = Mutation::new("cloudwatch:DeleteAlarms", Class::Idempotent, format!("alarm {name}"));
    let input = json!({ "AlarmNames": [name] });
    let gone =
        ctx.change(declared, |permit| ctx.aws().call("cloudwatch:DeleteAlarms", &input).permit(permit).send::<Value>());
    deleted(gone.await, &["ResourceNotFound"])
}

/// Deletes a dashboard, whatever is on it by now.
const DELETE_DASHBOARD: UndoAction =
    UndoAction { name: "delete_dashboard", run: |ctx, arguments| Box::pin(delete_dashboard(ctx, arguments)) };

async fn delete_dashboard(ctx: &Ctx, of: Value) -> Result<Undone, Error> {
    let Named { name } = arguments(of)?;
    let declared = Mutation::new("cloudwatch:DeleteDashboards", Class::Idempotent, format!("dashboard {name}"));
    let input = json!({ "DashboardNames": [name] });
    let gone = ctx.change(declared, |permit| {
        ctx.aws().call("cloudwatch:DeleteDashboards", &input).permit(permit).send::<Value>()
    });
    deleted(gone.await, &["ResourceNotFound", "DashboardNotFoundError"])
}

/// Deletes a parameter, whatever it says by now.
const DELETE_PARAMETER: UndoAction =
    UndoAction { name: "delete_parameter", run: |ctx, arguments| Box::pin(delete_parameter(ctx, arguments)) };

async fn delete_parameter(ctx: &Ctx, of: Value) -> Result<Undone, Error> {
    let Named { name } = arguments(of)?;
    let declared = Mutation::new("ssm:DeleteParameter", Class::Idempotent, format!("parameter {name}"));
    let gone = ctx
        .change(declared, |permit| ctx.aws().ssm.delete_parameter().name(&name).customize().interceptor(permit).send());
    deleted(gone.await, &["ParameterNotFound"])
}
