//! Scheduled actions: kept, and not carried out.

use super::*;

pub const ACTIONS: &[Action] = &[
    Action {
        name: "PutScheduledAction",
        params: &[
            NAMED,
            "
            ScheduledActionName Schedule Timezone StartTime EndTime ScalableTargetAction.MinCapacity
            ScalableTargetAction.MaxCapacity
            ",
        ],
        run: put_scheduled_action,
    },
    Action {
        name: "DescribeScheduledActions",
        params: &["ScheduledActionNames[] ServiceNamespace ResourceId ScalableDimension", PAGES],
        run: describe_scheduled_actions,
    },
    Action { name: "DeleteScheduledAction", params: &["ScheduledActionName", NAMED], run: delete_scheduled_action },
];

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ScheduledAction {
    /// `resource/name`
    pub key: String,
    pub resource: String,
    pub name: String,
    pub arn: String,
    /// When it is, and what it does, as it is shown.
    pub content: Value,
    pub created: Timestamp,
}

resource!(ScheduledAction, key, region.application_autoscaling.scheduled_actions, Extent::Kind, |key: &str| {
    missing("scheduled action", "scheduled action name", key)
});

pub const CALLS: &[&str] = &["application-autoscaling:DescribeScheduledActions"];

/// Reads what is scheduled for all services.
pub fn load(reader: &Reader, _: Option<&str>, rows: &mut Rows) -> Result<(), AwsError> {
    let params = json!({ "ServiceNamespace": NAMESPACE, "MaxResults": 50 });
    let all = reader.pages("application-autoscaling", "DescribeScheduledActions", params, "ScheduledActions", TOKEN)?;
    for shown in all.iter().filter(|shown| shown.opt_str("ScalableDimension") == Some(DIMENSION)) {
        let (resource, name) = (shown.text("ResourceId"), shown.text("ScheduledActionName"));
        let action = ScheduledAction {
            key: format!("{resource}/{name}"),
            resource,
            name,
            arn: shown.text("ScheduledActionARN"),
            content: content(shown),
            created: shown.time("CreationTime"),
        };
        rows.whole(Read::of(action).shown(shown));
    }
    Ok(())
}

/// When a scheduled action is, and what it does.
fn content(action: &Params) -> Value {
    let members = ["Schedule", "Timezone", "StartTime", "EndTime", "ScalableTargetAction"];
    let said = members.iter().filter_map(|name| Some(((*name).to_owned(), action.get(name)?.clone())));
    Value::Object(said.collect())
}

impl ScheduledAction {
    fn view(&self, _: &Tx) -> Value {
        let mut view = self.content.clone();
        view["ScheduledActionName"] = json!(self.name);
        view["ScheduledActionARN"] = json!(self.arn);
        view["ServiceNamespace"] = json!(NAMESPACE);
        view["ResourceId"] = json!(self.resource);
        view["ScalableDimension"] = json!(DIMENSION);
        view["CreationTime"] = json!(epoch(self.created));
        view
    }
}

/// "Any parameters that you don't specify are not changed by this update request."
fn put_scheduled_action(tx: &mut Tx, p: &Params) -> Reply {
    let (resource, name) = (resource(tx, p)?.to_owned(), p.str("ScheduledActionName")?.to_owned());
    if tx.get::<ScalableTarget>(&resource).is_err() {
        return Err(unregistered(&resource));
    }
    let forms = ["at(", "rate(", "cron("];
    let schedule = p.opt_str("Schedule");
    if schedule.is_some_and(|text| !text.ends_with(')') || !forms.iter().any(|form| text.starts_with(form))) {
        return Err(invalid("Schedule must be an at, rate or cron expression"));
    }
    let key = format!("{resource}/{name}");
    let given = content(p);
    match tx.peek_mut::<ScheduledAction>(&key) {
        Some(known) => {
            let given = given.as_object().cloned().unwrap_or_default();
            known.content.as_object_mut().into_iter().for_each(|known| known.extend(given.clone()));
        }
        None if schedule.is_none() => return Err(invalid("Schedule is required for a new scheduled action")),
        None => {
            let id = tx.new_id("x");
            let id = id.trim_start_matches("x-");
            let arn = format!("scheduledAction:{id}:resource/{NAMESPACE}/{resource}:scheduledActionName/{name}");
            let (arn, created) = (tx.arn("autoscaling", &arn), tx.now);
            tx.put(ScheduledAction { key, resource, name, arn, content: given, created });
        }
    }
    Ok(json!({}))
}

fn describe_scheduled_actions(tx: &mut Tx, p: &Params) -> Reply {
    namespace(tx, p)?;
    let (names, resource) = (p.strings("ScheduledActionNames"), p.opt_str("ResourceId"));
    let rows = tx.select::<ScheduledAction>(&[])?.into_iter();
    let rows = rows.filter(|action| {
        (names.is_empty() || names.contains(&action.name.as_str()))
            && resource.is_none_or(|resource| action.resource == resource)
    });
    let (rows, next) = select::page(&PAGING, p, rows.collect(), |action: &&ScheduledAction| &action.key)?;
    let views: Vec<Value> = rows.into_iter().map(|action| tx.shown(action, ScheduledAction::view)).collect();
    Ok(json!({ "ScheduledActions": views, "NextToken": next }))
}

fn delete_scheduled_action(tx: &mut Tx, p: &Params) -> Reply {
    let key = format!("{}/{}", resource(tx, p)?, p.str("ScheduledActionName")?);
    tx.get::<ScheduledAction>(&key)?;
    tx.delete::<ScheduledAction>(&key);
    Ok(json!({}))
}

/// Deletes those of a target.
pub fn delete_all(tx: &mut Tx, resource: &str) {
    let of_it = tx.all::<ScheduledAction>().filter(|action| action.resource == resource);
    for key in of_it.map(|action| action.key.clone()).collect::<Vec<_>>() {
        tx.delete::<ScheduledAction>(&key);
    }
}
