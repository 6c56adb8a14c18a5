//! The last lines of a container's log, where it logs to CloudWatch.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::run::Ctx;

/// How many lines are shown.
const LINES: usize = 10;

/// The end of the log that a container with this log configuration has written, if it can be read: it is only told besides
/// what went wrong.
pub async fn tail(ctx: &Ctx, configuration: &Value, container: &str, task_id: &str) -> Vec<String> {
    #[derive(Debug, Default, Deserialize)]
    #[serde(default)]
    struct Reply {
        events: Vec<Line>,
    }
    #[derive(Debug, Default, Deserialize)]
    #[serde(default)]
    struct Line {
        message: String,
    }
    let option = |name: &str| configuration["options"][name].as_str();
    let here = option("awslogs-region").is_none_or(|region| region == ctx.aws().region);
    let (Some(group), Some(prefix)) = (option("awslogs-group"), option("awslogs-stream-prefix")) else {
        return Vec::new();
    };
    if configuration["logDriver"] != "awslogs" || !here {
        return Vec::new();
    }
    // "prefix-name/container-name/ecs-task-id" (LogConfiguration).
    let input = json!({
        "logGroupName": group,
        "logStreamName": format!("{prefix}/{container}/{task_id}"),
        "limit": LINES,
        "startFromHead": false,
    });
    let reply = ctx.fetch::<Reply>("logs:GetLogEvents", &input).await;
    reply.unwrap_or_default().events.into_iter().map(|line| line.message.trim_end().to_owned()).collect()
}
