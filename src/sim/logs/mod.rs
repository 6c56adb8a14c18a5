//! CloudWatch Logs: log groups, how long they keep what is written, and their key. JSON 1.1. Nothing is written into them here.
//!
//! Codes and limits are those of the service model. The API reference speaks of no delay until a group is found, so there is
//! none.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::error::{AwsError, Reply};
use super::fork::Extent;
use super::read::{Read, Reader, Rows};
use super::select::{self, Paging};
use super::service::{Action, Service, no_secrets};
use super::table::Table;
use super::tags::Tags;
use super::tx::{Tx, resource};
use super::wire::{Params, Protocol};

pub const SERVICE: Service = Service {
    name: "logs",
    protocol: Protocol::Json("Logs_20140328"),
    namespace: "",
    actions: &[ACTIONS],
    sanitise: no_secrets,
};

const ACTIONS: &[Action] = &[
    Action { name: "CreateLogGroup", params: &["logGroupName kmsKeyId tags.* logGroupClass"], run: create_log_group },
    Action { name: "DeleteLogGroup", params: &["logGroupName"], run: delete_log_group },
    Action {
        name: "DescribeLogGroups",
        params: &["logGroupNamePrefix logGroupNamePattern nextToken limit"],
        run: describe_log_groups,
    },
    Action { name: "PutRetentionPolicy", params: &["logGroupName retentionInDays"], run: put_retention_policy },
    Action { name: "DeleteRetentionPolicy", params: &["logGroupName"], run: delete_retention_policy },
    Action { name: "AssociateKmsKey", params: &["logGroupName kmsKeyId"], run: associate_kms_key },
    Action { name: "DisassociateKmsKey", params: &["logGroupName"], run: disassociate_kms_key },
    Action { name: "TagResource", params: &["resourceArn tags.*"], run: tag_resource },
    Action { name: "UntagResource", params: &["resourceArn tagKeys[]"], run: untag_resource },
    Action { name: "ListTagsForResource", params: &["resourceArn"], run: list_tags_for_resource },
];

/// What CloudWatch Logs holds in a region.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Logs {
    log_groups: Table<LogGroup>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LogGroup {
    pub name: String,
    pub created: Timestamp,
    /// `None`: for ever.
    pub retention: Option<i64>,
    pub key: Option<String>,
    pub class: String,
    pub tags: Tags,
}

resource!(LogGroup, name, region.logs.log_groups, Extent::Row, |_: &str| {
    AwsError::new("ResourceNotFoundException", "The specified log group does not exist.")
});

pub const CALLS: &[&str] = &["logs:DescribeLogGroups", "logs:ListTagsForResource"];

/// A group with its tags, or all groups as a list shows them.
pub fn load(reader: &Reader, name: Option<&str>, rows: &mut Rows) -> Result<(), AwsError> {
    let params = match name {
        Some(name) => json!({ "logGroupNamePrefix": name }),
        None => json!({}),
    };
    for shown in reader.pages("logs", "DescribeLogGroups", params, "logGroups", ("nextToken", "nextToken"))? {
        let group = LogGroup::shown(&shown);
        match name {
            None => rows.listed(Read::of(group).shown(&shown)),
            // A prefix has others too.
            Some(name) if group.name == name => {
                let arn = json!({ "resourceArn": shown.text("arn").trim_end_matches(":*") });
                let tags = reader.get("logs", "ListTagsForResource", arn)?;
                let tags = tags.get("tags").and_then(Value::as_object).into_iter().flatten();
                let tags = tags.map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned()));
                rows.whole(Read::of(LogGroup { tags: tags.collect(), ..group }).shown(&shown));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

impl LogGroup {
    fn shown(shown: &Params) -> LogGroup {
        LogGroup {
            name: shown.text("logGroupName"),
            // Milliseconds, unlike elsewhere.
            created: Timestamp::from_millisecond(shown.number("creationTime", 0)).unwrap_or_default(),
            retention: shown.opt_int("retentionInDays").ok().flatten(),
            key: shown.opt_str("kmsKeyId").map(str::to_owned),
            class: shown.opt_str("logGroupClass").unwrap_or("STANDARD").to_owned(),
            tags: Tags::new(),
        }
    }

    fn view(&self, tx: &Tx) -> Value {
        let arn = tx.arn("logs", &format!("log-group:{}", self.name));
        json!({
            "logGroupName": self.name,
            "creationTime": self.created.as_millisecond(),
            "retentionInDays": self.retention,
            "metricFilterCount": 0,
            "arn": format!("{arn}:*"),
            "logGroupArn": arn,
            "storedBytes": 0,
            "kmsKeyId": self.key,
            "logGroupClass": self.class,
        })
    }
}

const PAGING: Paging = Paging {
    size: "limit",
    token: "nextToken",
    default: 50,
    sizes: 1..=50,
    invalid_token: "InvalidParameterException",
};

/// The days that can be set. Source: the service model, `Days`.
const DAYS: &[i64] =
    &[1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653];

fn invalid(message: impl Into<String>) -> AwsError {
    AwsError::new("InvalidParameterException", message)
}

/// The name that a request gives a group.
fn named(p: &Params) -> Result<&str, AwsError> {
    let name = p.str("logGroupName").map_err(|_| {
        invalid("1 validation error detected: Value at 'logGroupName' failed to satisfy constraint: Member must not be null")
    })?;
    let is_word = |c: char| c.is_ascii_alphanumeric() || "._-/#".contains(c);
    if name.is_empty() || name.len() > 512 || !name.chars().all(is_word) {
        return Err(invalid(format!(
            "1 validation error detected: Value '{name}' at 'logGroupName' failed to satisfy constraint: Member must satisfy \
             regular expression pattern: [\\.\\-_/#A-Za-z0-9]+"
        )));
    }
    Ok(name)
}

fn group<'t>(tx: &'t mut Tx, p: &Params) -> Result<&'t mut LogGroup, AwsError> {
    tx.get_mut::<LogGroup>(named(p)?)
}

/// The reply of actions that have no output in the model.
fn done() -> Reply {
    Ok(json!({}))
}

/// The map of tags in a request.
fn tags(p: &Params) -> Result<Tags, AwsError> {
    let given = p.get("tags").and_then(Value::as_object).into_iter().flatten();
    let tags: Tags = given.map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned())).collect();
    match tags.keys().find(|key| key.is_empty() || key.chars().count() > 128 || key.starts_with("aws:")) {
        Some(key) => Err(invalid(format!("1 validation error detected: Value '{key}' at 'tags' is no key of a tag"))),
        None => Ok(tags),
    }
}

fn create_log_group(tx: &mut Tx, p: &Params) -> Reply {
    let name = named(p)?;
    // "Log group names can't start with the string aws/".
    if name.starts_with("aws/") {
        return Err(invalid("Log groups starting with AWS/ are reserved for AWS."));
    }
    if tx.peek::<LogGroup>(name).is_some() {
        return Err(AwsError::new("ResourceAlreadyExistsException", "The specified log group already exists"));
    }
    let class = p.opt_str("logGroupClass").unwrap_or("STANDARD");
    if !["STANDARD", "INFREQUENT_ACCESS", "DELIVERY"].contains(&class) {
        return Err(invalid(format!("Value '{class}' at 'logGroupClass' failed to satisfy constraint")));
    }
    let group = LogGroup {
        name: name.to_owned(),
        created: tx.now,
        retention: None,
        key: key(p)?,
        class: class.to_owned(),
        tags: tags(p)?,
    };
    tx.put_at_once(group);
    done()
}

fn key(p: &Params) -> Result<Option<String>, AwsError> {
    match p.opt_str("kmsKeyId") {
        Some(key) if !key.starts_with("arn:") => Err(invalid(format!("KMS key '{key}' is not an ARN"))),
        key => Ok(key.map(str::to_owned)),
    }
}

fn delete_log_group(tx: &mut Tx, p: &Params) -> Reply {
    let name = group(tx, p)?.name.clone();
    tx.delete_at_once::<LogGroup>(&name);
    done()
}

fn describe_log_groups(tx: &mut Tx, p: &Params) -> Reply {
    let (prefix, pattern) = (p.opt_str("logGroupNamePrefix"), p.opt_str("logGroupNamePattern"));
    if prefix.is_some() && pattern.is_some() {
        return Err(invalid("LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters."));
    }
    let mut all: Vec<&LogGroup> = tx.all::<LogGroup>().collect();
    all.retain(|group| prefix.is_none_or(|prefix| group.name.starts_with(prefix)));
    all.retain(|group| pattern.is_none_or(|pattern| group.name.contains(pattern)));
    let (page, next) = select::page(&PAGING, p, all, |group| &group.name)?;
    let page: Vec<Value> = page.into_iter().map(|group| tx.shown(group, LogGroup::view)).collect();
    Ok(json!({ "logGroups": page, "nextToken": next }))
}

fn put_retention_policy(tx: &mut Tx, p: &Params) -> Reply {
    let days = p.int("retentionInDays")?;
    if !DAYS.contains(&days) {
        let days_of: Vec<String> = DAYS.iter().map(i64::to_string).collect();
        return Err(invalid(format!(
            "1 validation error detected: Value '{days}' at 'retentionInDays' failed to satisfy constraint: Member must \
             satisfy enum value set: [{}]",
            days_of.join(", ")
        )));
    }
    group(tx, p)?.retention = Some(days);
    done()
}

fn delete_retention_policy(tx: &mut Tx, p: &Params) -> Reply {
    group(tx, p)?.retention = None;
    done()
}

fn associate_kms_key(tx: &mut Tx, p: &Params) -> Reply {
    let key = key(p)?.ok_or_else(|| AwsError::missing("kmsKeyId"))?;
    group(tx, p)?.key = Some(key);
    done()
}

fn disassociate_kms_key(tx: &mut Tx, p: &Params) -> Reply {
    group(tx, p)?.key = None;
    done()
}

/// The group whose tags are meant: by its ARN without the `:*` at its end.
fn tagged<'t>(tx: &'t mut Tx, p: &Params) -> Result<&'t mut LogGroup, AwsError> {
    let arn = p.str("resourceArn")?;
    let name = arn.splitn(7, ':').nth(6).filter(|_| arn.contains(":log-group:"));
    let name = name.filter(|name| !name.contains(':')).ok_or_else(|| invalid(format!("'{arn}' is not a valid ARN")))?;
    tx.get_mut::<LogGroup>(name)
}

fn tag_resource(tx: &mut Tx, p: &Params) -> Reply {
    let given = tags(p)?;
    let group = tagged(tx, p)?;
    let mut tags = group.tags.clone();
    tags.extend(given);
    if tags.len() > 50 {
        return Err(AwsError::new("TooManyTagsException", "A resource can have no more than 50 tags."));
    }
    group.tags = tags;
    done()
}

fn untag_resource(tx: &mut Tx, p: &Params) -> Reply {
    let group = tagged(tx, p)?;
    for key in p.strings("tagKeys") {
        group.tags.remove(key);
    }
    done()
}

fn list_tags_for_resource(tx: &mut Tx, p: &Params) -> Reply {
    Ok(json!({ "tags": tagged(tx, p)?.tags }))
}
