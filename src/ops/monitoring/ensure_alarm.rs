//! `ensure_alarm`: put as a whole, and only if something of it differs.

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use super::alarm_options::EnsureAlarm;
use super::{
    Alarm,
    alarm::{self, Definition, Shown},
    if_there,
    tags::{AlarmTags, listed},
};
use crate::{
    event::Change,
    ops::{
        Error, Operation, Together,
        ownership::{Owned, set as told},
        tagged::{self, Tagged},
    },
    run::{Class, Ctx, Mutation},
};

/// What is kept of a new alarm.
#[derive(Serialize, Deserialize)]
struct Made {
    alarm_name: String,
    alarm_arn: String,
}

impl Operation for EnsureAlarm {
    const NAME: &'static str = "ensure_alarm";
    const AREA: &'static str = "CloudWatch";
    const EXAMPLE: &'static str = r#"ensure_alarm(#{
    name: "cpu", namespace: "AWS/EC2", metric_name: "CPUUtilization", statistic: "Average",
    dimensions: #{ AutoScalingGroupName: find_asg("web-blue") }, period: "1m", evaluation_periods: 3,
    threshold: 80, comparison_operator: "GreaterThanThreshold", alarm_actions: [topic],
})"#;

    type Options = Self;
    type Handle = Alarm;

    fn subject(options: &Self) -> String {
        options.name.clone()
    }

    async fn run(ctx: &Ctx, options: Self) -> Result<Alarm, Error> {
        options.check()?;
        let owned = Owned::new(ctx, &options.name, &options.tags)?;
        let name = owned.name_within(255);
        let arn = alarm::arn_of(ctx, &name);
        let wanted = Definition::of(&options.definition());
        let tags = async { if_there(AlarmTags::read(ctx, &arn).await, AlarmTags::GONE) };
        let (found, tags) = futures::join!(alarm::find(ctx, &name), tags).together()?;
        let state = match found {
            None => {
                create(ctx, &options, &owned, &name, &arn, &wanted).await?;
                // "When this operation creates an alarm, the alarm state is immediately set to INSUFFICIENT_DATA."
                "INSUFFICIENT_DATA".to_owned()
            }
            Some(found) => {
                let tags = tags.unwrap_or_default();
                owned.check(&format!("alarm {name}"), &tags, options.adopt)?;
                converge(ctx, &owned, &arn, &found, &wanted, tags).await?;
                found.state
            }
        };
        Ok(Alarm { alarm_name: name, alarm_arn: arn, state })
    }
}

async fn create(
    ctx: &Ctx,
    options: &EnsureAlarm,
    owned: &Owned,
    name: &str,
    arn: &str,
    wanted: &Definition,
) -> Result<(), Error> {
    let (call, mut input) = wanted.request(name);
    input["Tags"] = listed(&owned.tags());
    let undo = alarm::undo(name, None, wanted).keep(options.keep_on_rollback);
    let declared = Mutation::new(call, Class::Idempotent, format!("alarm {name}")).undo(undo);
    let send = |permit| ctx.aws().call(call, &input).permit(permit).send::<Value>();
    let record = |_: &Value| Ok(Made { alarm_name: name.to_owned(), alarm_arn: arn.to_owned() });
    ctx.mutate(declared, send, record).await?;
    ctx.did(Change::Created, [told("alarm_name", name), told("alarm_arn", arn)]);
    Ok(())
}

async fn converge(
    ctx: &Ctx,
    owned: &Owned,
    arn: &str,
    found: &Shown,
    wanted: &Definition,
    tags: std::collections::BTreeMap<String, String>,
) -> Result<(), Error> {
    let name = &found.name;
    let kind = |of: &Definition| if of.is_composite() { "a rule over alarms" } else { "a metric" }.to_owned();
    if found.definition.is_composite() != wanted.is_composite() {
        let (found, wanted) = (kind(&found.definition), kind(wanted));
        return Err(Error::NeedsReplacement { resource: format!("alarm {name}"), field: "kind", found, wanted });
    }
    let mut fields = tagged::converge::<AlarmTags>(ctx, arn, owned, &tags).await?;
    let differences = found.definition.differences(wanted);
    if !differences.is_empty() {
        wanted.put(ctx, name, Some(alarm::undo(name, Some(&found.definition), wanted))).await?;
    }
    fields.extend(differences);
    ctx.did(if fields.is_empty() { Change::Unchanged } else { Change::Updated }, fields);
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn options_are_checked_before_anything_is_asked() {
        let good = json!({
            "name": "cpu", "namespace": "AWS/EC2", "metric_name": "CPUUtilization", "statistic": "Average", "threshold": 80,
            "comparison_operator": "GreaterThanThreshold",
        });
        let with = |more: Value| {
            let mut options = good.clone();
            options.as_object_mut().into_iter().zip(more.as_object()).for_each(|(all, more)| all.extend(more.clone()));
            let options: EnsureAlarm = serde_json::from_value(options).expect("options");
            options.check().err().map(|error| match error {
                Error::Option { path, .. } => path,
                other => other.to_string(),
            })
        };
        assert_eq!(with(json!({})), None);
        for (more, path) in [
            (json!({ "alarm_rule": "TRUE" }), ""),
            (json!({ "extended_statistic": "p99" }), "statistic"),
            (json!({ "statistic": null }), "statistic"),
            (json!({ "namespace": null }), "namespace"),
            (json!({ "threshold": null }), "threshold"),
            (json!({ "period": "45s" }), "period"),
            (json!({ "period": "5m", "evaluation_periods": 289 }), "evaluation_periods"),
            (json!({ "evaluation_periods": 2, "datapoints_to_alarm": 3 }), "datapoints_to_alarm"),
            (json!({ "alarm_actions": vec!["arn:aws:sns:eu-west-1:1:t"; 6] }), "alarm_actions"),
            (json!({ "metric_name": null, "alarm_rule": "TRUE", "threshold": null }), "namespace"),
        ] {
            assert_eq!(with(more.clone()).as_deref(), Some(path), "{more}");
        }
    }
}
