//! Commands on instances (Run Command). An instance takes them a while after it runs, if it has an instance profile with a
//! role. No shell runs them: [`shell`] says what is made of their lines.

use std::time::Duration;

use super::super::acm::uuid_of;
use super::super::ec2::Instance;
use super::super::iam::{self, InstanceProfile};
use super::shell::{self, Outcome};
use super::*;
use crate::sim::ec2::instance::State;
use crate::sim::wire::time;

pub const ACTIONS: &[Action] = &[
    Action {
        name: "SendCommand",
        params: &[
            "InstanceIds[] DocumentName DocumentVersion TimeoutSeconds Comment MaxConcurrency MaxErrors",
            "Parameters.commands[] Parameters.workingDirectory[] Parameters.executionTimeout[]",
        ],
        run: send_command,
    },
    Action { name: "GetCommandInvocation", params: &["CommandId InstanceId PluginName"], run: get_command_invocation },
    Action {
        name: "ListCommandInvocations",
        params: &["CommandId InstanceId Details MaxResults NextToken"],
        run: list_command_invocations,
    },
    Action {
        name: "DescribeInstanceInformation",
        params: &["Filters[].Key Filters[].Values[] MaxResults NextToken"],
        run: describe_instance_information,
    },
];

const PAGING: Paging =
    Paging { size: "MaxResults", token: "NextToken", default: 50, sizes: 1..=50, invalid_token: "InvalidNextToken" };

/// The agent starts with the instance, and registers: "a few minutes" at the most (SSM Agent technical reference).
const REGISTERED: Duration = Duration::from_secs(45);

/// Until the agent of an instance has heard of a command.
const DELIVERED: Duration = Duration::from_secs(1);

/// "If you don't specify a value, the default is 50" (SendCommand, MaxConcurrency).
const CONCURRENCY: i64 = 50;

const SHELL: &str = "AWS-RunShellScript";

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Command {
    pub id: String,
    document: String,
    parameters: Value,
    comment: String,
    requested: Timestamp,
    /// `Success` once all invocations have ended well, and so on.
    status: String,
    concurrency: usize,
    most_errors: usize,
    invocations: Vec<Invocation>,
}

/// The command on one instance.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Invocation {
    instance: String,
    status: String,
    details: String,
    started: Option<Timestamp>,
    ended: Option<Timestamp>,
    code: i32,
    output: String,
    errors: String,
}

resource!(Command, id, region.ssm.commands, Extent::Nothing, |_: &str| AwsError::new(
    "InvalidCommandId",
    "The specified command ID isn't valid. Verify the ID and try again."
));

/// What becomes of a command by itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Event {
    /// The agent of the instance at this place in the list begins.
    Begin(String, usize),
    End(String, usize),
}

impl Event {
    pub fn happen(self, tx: &mut Tx) {
        match self {
            Event::Begin(id, at) => begin(tx, &id, at),
            Event::End(id, at) => end(tx, &id, at),
        }
    }
}

impl From<Event> for super::super::world::Event {
    fn from(event: Event) -> Self {
        super::super::world::Event::Ssm(event)
    }
}

impl Invocation {
    fn is_over(&self) -> bool {
        self.ended.is_some()
    }
}

/// Whether Systems Manager manages the instance: commands can be sent to it.
fn is_managed(tx: &Tx, id: &str) -> bool {
    let Some(instance) = tx.peek::<Instance>(id) else { return false };
    let registered = tx.now.duration_since(instance.launched).unsigned_abs() >= REGISTERED;
    let has_role = || {
        let (arn, _) = instance.profile.as_ref()?;
        // Of an account that a fork was made of, the role is there.
        Some(iam::instance_profile::find(tx, arn).is_none_or(|profile: &InstanceProfile| profile.role().is_some()))
    };
    instance.state == State::Running && registered && has_role().unwrap_or(false)
}

/// A number, or a share of the instances.
fn count(p: &Params, name: &str, default: i64, of: usize) -> Result<usize, AwsError> {
    let text = p.opt_str(name).map_or_else(|| default.to_string(), str::to_owned);
    let number = |text: &str| text.parse::<usize>().ok();
    let share = |text: &str| number(text.strip_suffix('%')?).filter(|share| *share <= 100);
    let found = number(&text).or_else(|| share(&text).map(|share| (of * share).div_ceil(100)));
    found.ok_or_else(|| {
        invalid(format!("1 validation error detected: Value '{text}' at '{name}' failed to satisfy constraint"))
    })
}

fn send_command(tx: &mut Tx, p: &Params) -> Reply {
    let document = p.str("DocumentName")?;
    if document != SHELL {
        return Err(AwsError::not_modelled("InvalidDocument", "document", document, "ssm:SendCommand"));
    }
    let ids: Vec<String> = p.strings("InstanceIds").into_iter().map(str::to_owned).collect();
    if ids.is_empty() || ids.len() > 50 {
        return Err(invalid(
            "1 validation error detected: Value at 'instanceIds' failed to satisfy constraint: 1 to 50",
        ));
    }
    let mut sorted = ids.clone();
    sorted.sort_unstable();
    if sorted.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(AwsError::new(
            "DuplicateInstanceId",
            "You can't specify an instance ID in more than one association.",
        ));
    }
    let parameters = p.part("Parameters");
    if parameters.strings("commands").is_empty() {
        return Err(AwsError::new("InvalidParameters", "The parameters do not fit the document."));
    }
    // The document's pattern: 1 to 172800.
    let longest = parameters.strings("executionTimeout").first().map(|text| text.parse::<u64>());
    if longest.is_some_and(|longest| !matches!(longest, Ok(1..=172_800))) {
        return Err(AwsError::new("InvalidParameters", "Parameter executionTimeout must be from 1 to 172800."));
    }
    if p.opt_int("TimeoutSeconds")?.is_some_and(|seconds| !(30..=2_592_000).contains(&seconds)) {
        return Err(invalid("Timeout seconds must be between 30 and 2592000."));
    }
    if let Some(id) = ids.iter().find(|id| !is_managed(tx, id)) {
        let message = format!("Instances [[{id}]] not in a valid state for account {}", tx.scope.account);
        return Err(AwsError::new("InvalidInstanceId", message));
    }
    let concurrency = count(p, "MaxConcurrency", CONCURRENCY, ids.len())?.max(1);
    let most_errors = count(p, "MaxErrors", 0, ids.len())?;
    let waiting = |instance: String| Invocation {
        instance,
        status: "Pending".to_owned(),
        details: "Pending".to_owned(),
        started: None,
        ended: None,
        code: -1,
        output: String::new(),
        errors: String::new(),
    };
    let command = Command {
        id: uuid_of(&tx.new_id("command")),
        document: document.to_owned(),
        parameters: parameters.0,
        comment: p.text("Comment"),
        requested: tx.now,
        status: "Pending".to_owned(),
        concurrency,
        most_errors,
        invocations: ids.into_iter().map(waiting).collect(),
    };
    let (id, view) = (command.id.clone(), command.view());
    let first = command.invocations.len().min(concurrency);
    tx.put(command);
    for at in 0..first {
        tx.schedule(DELIVERED, Event::Begin(id.clone(), at));
    }
    Ok(json!({ "Command": view }))
}

/// What a script makes of the parameters of a command.
fn outcome(parameters: &Value) -> Outcome {
    let parameters = Params(parameters.clone());
    let longest = parameters.strings("executionTimeout").first().and_then(|text| text.parse().ok()).unwrap_or(3600);
    shell::run(&parameters.strings("commands"), Duration::from_secs(longest))
}

fn begin(tx: &mut Tx, id: &str, at: usize) {
    let now = tx.now;
    let Some(command) = tx.peek_mut::<Command>(id) else { return };
    command.status = "InProgress".to_owned();
    let outcome = outcome(&command.parameters);
    let Some(invocation) = command.invocations.get_mut(at).filter(|invocation| !invocation.is_over()) else { return };
    invocation.started = Some(now);
    (invocation.status, invocation.details) = ("InProgress".to_owned(), "InProgress".to_owned());
    tx.schedule(outcome.takes, Event::End(id.to_owned(), at));
}

fn end(tx: &mut Tx, id: &str, at: usize) {
    let now = tx.now;
    let Some(command) = tx.peek::<Command>(id) else { return };
    let Some(instance) = command.invocations.get(at).map(|invocation| invocation.instance.clone()) else { return };
    let lives = tx.peek::<Instance>(&instance).is_some_and(|instance| instance.state == State::Running);
    let Some(command) = tx.peek_mut::<Command>(id) else { return };
    let Outcome { code, output, errors, timed_out, .. } = outcome(&command.parameters);
    if let Some(invocation) = command.invocations.get_mut(at) {
        let (status, details) = match (lives, timed_out, code) {
            // The agent is gone, and nobody says how it ended.
            (false, ..) => ("TimedOut", "DeliveryTimedOut"),
            (true, true, _) => ("TimedOut", "ExecutionTimedOut"),
            (true, false, 0) => ("Success", "Success"),
            (true, false, _) => ("Failed", "Failed"),
        };
        (invocation.status, invocation.details) = (status.to_owned(), details.to_owned());
        invocation.ended = Some(now);
        (invocation.code, invocation.output, invocation.errors) = (code, output, errors);
    }
    let failed = command.invocations.iter().filter(|one| one.is_over() && one.status != "Success").count();
    let mut next = command.invocations.iter().position(|one| one.status == "Pending" && one.started.is_none());
    if failed > command.most_errors {
        // "Terminated: the parent command exceeded its MaxErrors limit and subsequent command invocations were canceled".
        for waiting in command.invocations.iter_mut().filter(|one| one.started.is_none() && !one.is_over()) {
            (waiting.status, waiting.details) = ("Cancelled".to_owned(), "Terminated".to_owned());
            waiting.ended = Some(now);
        }
        next = None;
    }
    let under_way = command.invocations.iter().filter(|one| one.started.is_some() && !one.is_over()).count();
    if let Some(next) = next.filter(|_| under_way < command.concurrency) {
        // It is on its way to the next one.
        if let Some(invocation) = command.invocations.get_mut(next) {
            invocation.started = Some(now);
        }
        tx.schedule(DELIVERED, Event::Begin(id.to_owned(), next));
        return;
    }
    if command.invocations.iter().all(Invocation::is_over) {
        command.status = if failed == 0 { "Success" } else { "Failed" }.to_owned();
    }
}

impl Command {
    fn view(&self) -> Value {
        let instances: Vec<&String> = self.invocations.iter().map(|invocation| &invocation.instance).collect();
        json!({
            "CommandId": self.id,
            "DocumentName": self.document,
            "Comment": self.comment,
            "Parameters": self.parameters,
            "InstanceIds": instances,
            "Targets": [],
            "RequestedDateTime": epoch(self.requested),
            "Status": self.status,
            "StatusDetails": self.status,
            "TargetCount": instances.len(),
        })
    }
}

fn get_command_invocation(tx: &mut Tx, p: &Params) -> Reply {
    let (command, id) = (tx.get::<Command>(p.str("CommandId")?)?, p.str("InstanceId")?);
    let invocation = command.invocations.iter().find(|invocation| invocation.instance == id).ok_or_else(|| {
        AwsError::new("InvocationDoesNotExist", format!("There is no invocation of {} on {id}.", command.id))
    })?;
    let when = |at: Option<Timestamp>| at.map(time).unwrap_or_default();
    let elapsed = match (invocation.started, invocation.ended) {
        (Some(start), Some(end)) => format!("PT{}S", end.duration_since(start).as_secs()),
        _ => String::new(),
    };
    Ok(json!({
        "CommandId": command.id,
        "InstanceId": invocation.instance,
        "Comment": command.comment,
        "DocumentName": command.document,
        "DocumentVersion": "$DEFAULT",
        "PluginName": "aws:runShellScript",
        "ResponseCode": invocation.code,
        "ExecutionStartDateTime": when(invocation.started),
        "ExecutionElapsedTime": elapsed,
        "ExecutionEndDateTime": when(invocation.ended),
        "Status": invocation.status,
        "StatusDetails": invocation.details,
        // The API shows so much of it.
        "StandardOutputContent": invocation.output.chars().take(24_000).collect::<String>(),
        "StandardErrorContent": invocation.errors.chars().take(8_000).collect::<String>(),
        "StandardOutputUrl": "",
        "StandardErrorUrl": "",
    }))
}

fn list_command_invocations(tx: &mut Tx, p: &Params) -> Reply {
    let commands = match p.opt_str("CommandId") {
        Some(id) => vec![tx.get::<Command>(id)?],
        None => tx.select::<Command>(&[])?,
    };
    let instance = p.opt_str("InstanceId");
    let all = commands.iter().flat_map(|command| command.invocations.iter().map(move |one| (command, one)));
    let rows: Vec<(String, Value)> = all
        .filter(|(_, one)| instance.is_none_or(|id| one.instance == id))
        .map(|(command, one)| {
            let view = json!({
                "CommandId": command.id,
                "InstanceId": one.instance,
                "Comment": command.comment,
                "DocumentName": command.document,
                "RequestedDateTime": epoch(command.requested),
                "Status": one.status,
                "StatusDetails": one.details,
                "CommandPlugins": [],
            });
            (format!("{}/{}", command.id, one.instance), view)
        })
        .collect();
    let (rows, next) = select::page(&PAGING, p, rows, |(key, _)| key)?;
    let rows: Vec<Value> = rows.into_iter().map(|(_, view)| view).collect();
    Ok(json!({ "CommandInvocations": rows, "NextToken": next }))
}

fn describe_instance_information(tx: &mut Tx, p: &Params) -> Reply {
    let filters = p.list("Filters");
    if let Some(other) = filters.iter().find(|filter| filter.text("Key") != "InstanceIds") {
        let key = other.text("Key");
        return Err(AwsError::not_modelled("InvalidFilterKey", "filter", &key, "ssm:DescribeInstanceInformation"));
    }
    let wanted = |id: &str| filters.iter().all(|filter| filter.strings("Values").contains(&id));
    let ids: Vec<String> = tx.all::<Instance>().map(|instance| instance.id.clone()).filter(|id| wanted(id)).collect();
    let rows: Vec<Value> = ids
        .iter()
        .filter(|id| is_managed(tx, id))
        .map(|id| {
            json!({
                "InstanceId": id,
                "PingStatus": "Online",
                "LastPingDateTime": epoch(tx.now),
                "AgentVersion": "3.3.3050.0",
                "PlatformType": "Linux",
                "ResourceType": "EC2Instance",
            })
        })
        .collect();
    let (rows, next) = select::page(&PAGING, p, rows, |row| row["InstanceId"].as_str().unwrap_or_default())?;
    Ok(json!({ "InstanceInformationList": rows, "NextToken": next }))
}
