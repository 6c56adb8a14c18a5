//! Tasks: read, and what is said of those that failed.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::json;

use super::ecs::name_in;
use crate::{ops::Error, run::Ctx};

/// A task as ECS shows it, as far as it matters here.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Task {
    pub task_arn: String,
    pub task_definition_arn: String,
    pub last_status: String,
    pub desired_status: String,
    pub started_by: Option<String>,
    pub stop_code: Option<String>,
    pub stopped_reason: Option<String>,
    pub stopped_at: Option<f64>,
    pub containers: Vec<Container>,
    pub attachments: Vec<Attachment>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Container {
    pub name: String,
    pub exit_code: Option<i64>,
    pub reason: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Attachment {
    details: Vec<Detail>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Detail {
    name: String,
    value: String,
}

impl Container {
    /// Whether it was told to end, and did so (SIGTERM) or was ended (SIGKILL). One that had too little memory has a reason.
    pub fn was_ended(&self) -> bool {
        matches!(self.exit_code, Some(143 | 137)) && self.reason.is_none()
    }
}

impl Task {
    pub fn id(&self) -> &str {
        name_in(&self.task_arn)
    }

    /// Its address in the VPC, once it has one.
    pub fn ip(&self) -> Option<&str> {
        let mut details = self.attachments.iter().flat_map(|attachment| &attachment.details);
        details.find(|detail| detail.name == "privateIPv4Address").map(|detail| detail.value.as_str())
    }

    pub fn is_to_stop(&self) -> bool {
        self.desired_status == "STOPPED"
    }

    pub fn exit_codes(&self) -> BTreeMap<String, i64> {
        let code = |container: &Container| Some((container.name.clone(), container.exit_code?));
        self.containers.iter().filter_map(code).collect()
    }

    /// Why it ended: `Essential container in task exited (web exited with 1)`.
    pub fn why(&self) -> String {
        let reason = self.stopped_reason.as_deref().unwrap_or("stopped for a reason ECS does not say");
        let container = |container: &Container| {
            let code = container.exit_code.filter(|code| *code != 0).map(|code| format!("exited with {code}"));
            // Often the same words as the task's.
            let reason = container.reason.clone().filter(|words| self.stopped_reason.as_ref() != Some(words));
            let words: Vec<String> = code.into_iter().chain(reason).collect();
            (!words.is_empty()).then(|| format!("{} {}", container.name, words.join(": ")))
        };
        let containers: Vec<String> = self.containers.iter().filter_map(container).collect();
        match containers.is_empty() {
            true => reason.to_owned(),
            false => format!("{reason} ({})", containers.join(", ")),
        }
    }
}

/// Tasks by their ARNs. Those that ECS does not know are left out.
///
/// # Errors
/// If a call fails.
pub async fn describe(ctx: &Ctx, cluster: &str, arns: &[String]) -> Result<Vec<Task>, Error> {
    #[derive(Debug, Default, Deserialize)]
    #[serde(default)]
    struct Reply {
        tasks: Vec<Task>,
    }
    let mut all = Vec::new();
    for arns in arns.chunks(100) {
        let reply: Reply = ctx.fetch("ecs:DescribeTasks", &json!({ "cluster": cluster, "tasks": arns })).await?;
        all.extend(reply.tasks);
    }
    Ok(all)
}

/// The tasks of a service that are to run, or those that have stopped within the last hour.
///
/// # Errors
/// If a call fails.
pub async fn of_service(ctx: &Ctx, cluster: &str, service: &str, desired: &str) -> Result<Vec<Task>, Error> {
    #[derive(Debug, Default, Deserialize)]
    #[serde(default, rename_all = "camelCase")]
    struct Reply {
        task_arns: Vec<String>,
        next_token: Option<String>,
    }
    let (mut arns, mut next) = (Vec::new(), None);
    loop {
        let mut input = json!({ "cluster": cluster, "serviceName": service, "desiredStatus": desired });
        if let Some(token) = &next {
            input["nextToken"] = json!(token);
        }
        let reply: Reply = ctx.fetch("ecs:ListTasks", &input).await?;
        arns.extend(reply.task_arns);
        next = reply.next_token;
        if next.is_none() {
            break;
        }
    }
    describe(ctx, cluster, &arns).await
}

/// Why tasks of a deployment ended, the newest first and each reason once.
///
/// # Errors
/// If a call fails.
pub async fn failures(ctx: &Ctx, cluster: &str, service: &str, deployment: &str) -> Result<Vec<String>, Error> {
    const SHOWN: usize = 3;
    let mut stopped = of_service(ctx, cluster, service, "STOPPED").await?;
    stopped.retain(|task| task.started_by.as_deref() == Some(deployment));
    // Those that are still on their way out are the newest.
    stopped.sort_by(|a, b| {
        let at = |task: &Task| task.stopped_at.unwrap_or(f64::MAX);
        at(b).total_cmp(&at(a))
    });
    let mut reasons: Vec<String> = Vec::new();
    for task in &stopped {
        let why = task.why();
        if reasons.len() < SHOWN && !reasons.contains(&why) && !why.starts_with("Scaling activity") {
            reasons.push(why);
        }
    }
    Ok(reasons)
}
