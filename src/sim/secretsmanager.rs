//! Secrets Manager: secrets with their versions, without rotation and replicas. A fork has them without their values:
//! something else stands for these.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::acm::uuid_of;
use super::error::{AwsError, Reply};
use super::fork::Extent;
use super::read::{Read, Reader, Rows};
use super::select::{self, Paging};
use super::service::{Action, Service, no_secrets};
use super::table::Table;
use super::tags::{self, Tags};
use super::tx::{Tx, resource};
use super::wire::{Params, Protocol, epoch};
use crate::redact::placeholder;

pub const SERVICE: Service = Service {
    name: "secretsmanager",
    protocol: Protocol::Json("secretsmanager"),
    namespace: "",
    actions: &[ACTIONS],
    // The value is what the simulated AWS has to give back: it is masked where requests are shown.
    sanitise: no_secrets,
};

const ACTIONS: &[Action] = &[
    Action {
        name: "CreateSecret",
        params: &["Name ClientRequestToken Description SecretString Tags[].Key Tags[].Value"],
        run: create_secret,
    },
    Action { name: "PutSecretValue", params: &["SecretId ClientRequestToken SecretString"], run: put_secret_value },
    Action { name: "GetSecretValue", params: &["SecretId VersionId VersionStage"], run: get_secret_value },
    Action { name: "DescribeSecret", params: &["SecretId"], run: describe_secret },
    Action { name: "ListSecrets", params: &["MaxResults NextToken"], run: list_secrets },
    Action {
        name: "DeleteSecret",
        params: &["SecretId ForceDeleteWithoutRecovery RecoveryWindowInDays"],
        run: delete_secret,
    },
];

const PAGING: Paging = Paging {
    size: "MaxResults",
    token: "NextToken",
    default: 100,
    sizes: 1..=100,
    invalid_token: "InvalidNextTokenException",
};

const CURRENT: &str = "AWSCURRENT";
const PREVIOUS: &str = "AWSPREVIOUS";

/// What Secrets Manager holds in a region.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SecretsManager {
    secrets: Table<Secret>,
}

/// The recovery window of a secret ends, if it is the one of this time still.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Event {
    secret: String,
    window: Timestamp,
}

impl Event {
    pub fn happen(self, tx: &mut Tx) {
        if tx.peek::<Secret>(&self.secret).is_some_and(|secret| secret.deleted == Some(self.window)) {
            tx.delete::<Secret>(&self.secret);
        }
    }
}

impl From<Event> for super::world::Event {
    fn from(event: Event) -> Self {
        super::world::Event::SecretsManager(event)
    }
}

/// "There is no guarantee of a specific time after the recovery window for the permanent delete to occur" (DeleteSecret).
fn go_after(tx: &mut Tx, secret: &str, window: Timestamp) {
    let late = tx.between(secret, Duration::from_secs(60), Duration::from_secs(3600));
    let after = window.duration_since(tx.now).unsigned_abs() + late;
    tx.schedule(after, Event { secret: secret.to_owned(), window });
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Secret {
    pub name: String,
    pub arn: String,
    description: Option<String>,
    created: Timestamp,
    /// When it is to be gone.
    deleted: Option<Timestamp>,
    /// Newest last.
    versions: Vec<Version>,
    tags: Tags,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Version {
    id: String,
    /// Under the name by which a snapshot knows secrets.
    #[serde(rename = "SecretString", default)]
    text: Option<String>,
    stages: Vec<String>,
    at: Timestamp,
}

resource!(Secret, name, region.secretsmanager.secrets, Extent::Row, |_: &str| AwsError::new(
    "ResourceNotFoundException",
    "Secrets Manager can't find the specified secret."
));

impl Secret {
    fn view(&self, _: &Tx) -> Value {
        let versions: serde_json::Map<String, Value> =
            self.versions.iter().map(|version| (version.id.clone(), json!(version.stages))).collect();
        json!({
            "ARN": self.arn,
            "Name": self.name,
            "Description": self.description,
            "CreatedDate": epoch(self.created),
            "LastChangedDate": self.versions.last().map(|version| epoch(version.at)),
            "DeletedDate": self.deleted.map(epoch),
            "Tags": tags::write(&self.tags, "Key", "Value"),
            "VersionIdsToStages": versions,
        })
    }

    fn entry(&self, tx: &Tx) -> Value {
        let mut entry = self.view(tx);
        if let Some(fields) = entry.as_object_mut()
            && let Some(versions) = fields.remove("VersionIdsToStages")
        {
            fields.insert("SecretVersionsToStages".to_owned(), versions);
        }
        entry
    }

    /// A new version takes the place of the current one; the one before is remembered.
    fn add(&mut self, id: String, text: String, at: Timestamp) {
        for version in &mut self.versions {
            version.stages = match version.stages.iter().any(|stage| stage == CURRENT) {
                true => vec![PREVIOUS.to_owned()],
                false => Vec::new(),
            };
        }
        self.versions.retain(|version| !version.stages.is_empty());
        self.versions.push(Version { id, text: Some(text), stages: vec![CURRENT.to_owned()], at });
    }
}

pub const CALLS: &[&str] = &["secretsmanager:DescribeSecret", "secretsmanager:ListSecrets"];

/// One secret, or all as a list shows them. Their values are not asked for.
pub fn load(reader: &Reader, name: Option<&str>, rows: &mut Rows) -> Result<(), AwsError> {
    let Some(name) = name else {
        let params = json!({ "MaxResults": 100 });
        let token = ("NextToken", "NextToken");
        let secrets = reader.pages("secretsmanager", "ListSecrets", params, "SecretList", token)?;
        secrets.iter().for_each(|shown| rows.listed(Read::of(read(shown, "SecretVersionsToStages"))));
        return Ok(());
    };
    let params = json!({ "SecretId": name });
    let reply = reader.find("secretsmanager", "DescribeSecret", params, &["ResourceNotFoundException"])?;
    if let Some(shown) = reply {
        rows.whole(Read::of(read(&shown, "VersionIdsToStages")).shown(&shown));
    }
    Ok(())
}

fn read(shown: &Params, versions: &str) -> Secret {
    let name = shown.text("Name");
    let changed = shown.time("LastChangedDate");
    let version = |(id, stages): (&String, &Value)| Version {
        id: id.clone(),
        text: Some(placeholder(&name)),
        stages: serde_json::from_value(stages.clone()).unwrap_or_default(),
        at: changed,
    };
    Secret {
        arn: shown.text("ARN"),
        description: shown.opt_str("Description").map(str::to_owned),
        created: shown.time("CreatedDate"),
        deleted: shown.has("DeletedDate").then(|| shown.time("DeletedDate")),
        versions: shown.get(versions).and_then(Value::as_object).into_iter().flatten().map(version).collect(),
        tags: shown.map("Tags", "Key", "Value"),
        name,
    }
}

/// The name of what a call asks for by name or ARN, which ends in the name, a hyphen and six characters.
fn name_of(asked: &str) -> &str {
    match asked.split_once(":secret:") {
        Some((_, name)) if asked.starts_with("arn:") => {
            let end = name.len().checked_sub(7).filter(|end| name.as_bytes()[*end] == b'-');
            end.map_or(name, |end| &name[..end])
        }
        _ => asked,
    }
}

fn secret<'t>(tx: &'t mut Tx, p: &Params) -> Result<&'t mut Secret, AwsError> {
    let secret = tx.get_mut::<Secret>(name_of(p.str("SecretId")?))?;
    match secret.deleted {
        None => Ok(secret),
        Some(_) => Err(AwsError::new(
            "InvalidRequestException",
            "You can't perform this operation on the secret because it was marked for deletion.",
        )),
    }
}

/// The id of the version that a call makes: its token.
fn version_id(tx: &mut Tx, p: &Params) -> String {
    p.opt_str("ClientRequestToken").map_or_else(|| uuid_of(&tx.new_id("secret-version")), str::to_owned)
}

fn create_secret(tx: &mut Tx, p: &Params) -> Reply {
    let name = p.str("Name")?;
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"/_+=.@-".contains(&byte);
    if name.is_empty() || name.len() > 512 || !name.bytes().all(allowed) {
        let message = "Invalid name. Must be a valid name containing alphanumeric characters, or any of the following: \
                       -/_+=.@!";
        return Err(AwsError::new("ValidationException", message));
    }
    if let Some(known) = tx.peek::<Secret>(name) {
        let message = match known.deleted {
            Some(_) => {
                return Err(AwsError::new(
                    "InvalidRequestException",
                    "You can't create this secret because a secret with this name is already scheduled for deletion.",
                ));
            }
            None => format!("The operation failed because the secret {name} already exists."),
        };
        return Err(AwsError::new("ResourceExistsException", message));
    }
    let tags = tags::read(&p.list("Tags"))?;
    let text = p.opt_str("SecretString").map(str::to_owned);
    let id = version_id(tx, p);
    let uuid = uuid_of(&tx.new_id("secret"));
    let suffix: String = uuid.chars().filter(|c| *c != '-').take(6).collect();
    let mut secret = Secret {
        name: name.to_owned(),
        arn: tx.arn("secretsmanager", &format!("secret:{name}-{suffix}")),
        description: p.opt_str("Description").map(str::to_owned),
        created: tx.now,
        deleted: None,
        versions: Vec::new(),
        tags,
    };
    let version = text.map(|text| {
        secret.add(id.clone(), text, tx.now);
        id
    });
    let reply = json!({ "ARN": secret.arn, "Name": name, "VersionId": version });
    tx.put(secret);
    Ok(reply)
}

fn put_secret_value(tx: &mut Tx, p: &Params) -> Reply {
    let text = p.str("SecretString")?.to_owned();
    let (id, now) = (version_id(tx, p), tx.now);
    let secret = secret(tx, p)?;
    match secret.versions.iter().find(|version| version.id == id) {
        // The same token again.
        Some(version) if version.text.as_ref() == Some(&text) => {}
        Some(_) => {
            let message = "You can't use ClientRequestToken with a value that is already in use for another version.";
            return Err(AwsError::new("ResourceExistsException", message));
        }
        None => secret.add(id.clone(), text, now),
    }
    Ok(json!({ "ARN": secret.arn, "Name": secret.name, "VersionId": id, "VersionStages": [CURRENT] }))
}

fn get_secret_value(tx: &mut Tx, p: &Params) -> Reply {
    let secret = secret(tx, p)?;
    let (id, stage) = (p.opt_str("VersionId"), p.opt_str("VersionStage"));
    let wanted = stage.or(id.is_none().then_some(CURRENT));
    let version = secret.versions.iter().find(|version| {
        id.is_none_or(|id| version.id == id)
            && wanted.is_none_or(|wanted| version.stages.iter().any(|stage| stage == wanted))
    });
    let version = version.ok_or_else(|| {
        let of = match (id, wanted) {
            (Some(id), _) => format!("VersionId: {id}"),
            (None, stage) => format!("staging label: {}", stage.unwrap_or_default()),
        };
        let message = format!("Secrets Manager can't find the specified secret value for {of}");
        AwsError::new("ResourceNotFoundException", message)
    })?;
    Ok(json!({
        "ARN": secret.arn,
        "Name": secret.name,
        "VersionId": version.id,
        "SecretString": version.text,
        "VersionStages": version.stages,
        "CreatedDate": epoch(version.at),
    }))
}

fn describe_secret(tx: &mut Tx, p: &Params) -> Reply {
    let secret = tx.get::<Secret>(name_of(p.str("SecretId")?))?;
    Ok(tx.shown(secret, Secret::view))
}

fn list_secrets(tx: &mut Tx, p: &Params) -> Reply {
    let rows = tx.select::<Secret>(&[])?.into_iter().filter(|secret| secret.deleted.is_none()).collect();
    let (rows, next) = select::page(&PAGING, p, rows, |row: &&Secret| &row.name)?;
    let rows: Vec<Value> = rows.into_iter().map(|row| tx.shown(row, Secret::entry)).collect();
    Ok(json!({ "SecretList": rows, "NextToken": next }))
}

fn delete_secret(tx: &mut Tx, p: &Params) -> Reply {
    let force = p.opt_bool("ForceDeleteWithoutRecovery")?.unwrap_or(false);
    let days = p.opt_int("RecoveryWindowInDays")?;
    if force && days.is_some() {
        let message = "You can't use ForceDeleteWithoutRecovery in conjunction with RecoveryWindowInDays.";
        return Err(AwsError::new("InvalidParameterException", message));
    }
    let days = days.unwrap_or(30);
    if !(7..=30).contains(&days) {
        let message = "The RecoveryWindowInDays value must be between 7 and 30 days (inclusive).";
        return Err(AwsError::new("InvalidParameterException", message));
    }
    let at = if force { tx.now } else { tx.now + SignedDuration::from_hours(24 * days) };
    // By force it goes at once, even if it was to go later.
    let secret = if force { tx.get_mut::<Secret>(name_of(p.str("SecretId")?))? } else { secret(tx, p)? };
    let reply = json!({ "ARN": secret.arn, "Name": secret.name, "DeletionDate": epoch(at) });
    let name = secret.name.clone();
    match force {
        true => tx.delete::<Secret>(&name),
        false => {
            secret.deleted = Some(at);
            go_after(tx, &name, at);
        }
    }
    Ok(reply)
}
