//! Managed policies of the account: up to five versions each, of which one is in force.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::document::{Grammar, check, decoded, encoded, size};
use super::holders::{Holders, attachments, boundaries};
use super::*;

pub const ACTIONS: &[Action] = &[
    Action { name: "CreatePolicy", params: &["PolicyName PolicyDocument Path Description", TAGS], run: create_policy },
    Action { name: "GetPolicy", params: &["PolicyArn"], run: get_policy },
    Action {
        name: "ListPolicies",
        params: &["Scope OnlyAttached PathPrefix PolicyUsageFilter", PAGES],
        run: list_policies,
    },
    Action { name: "DeletePolicy", params: &["PolicyArn"], run: delete_policy },
    Action { name: "CreatePolicyVersion", params: &["PolicyArn PolicyDocument SetAsDefault"], run: create_version },
    Action { name: "GetPolicyVersion", params: &["PolicyArn VersionId"], run: get_version },
    Action { name: "ListPolicyVersions", params: &["PolicyArn", PAGES], run: list_versions },
    Action { name: "SetDefaultPolicyVersion", params: &["PolicyArn VersionId"], run: set_default_version },
    Action { name: "DeletePolicyVersion", params: &["PolicyArn VersionId"], run: delete_version },
    Action {
        name: "ListEntitiesForPolicy",
        params: &["PolicyArn EntityFilter PathPrefix PolicyUsageFilter", PAGES],
        run: list_entities,
    },
    Action { name: "TagPolicy", params: &["PolicyArn", TAGS], run: tag_policy },
    Action { name: "UntagPolicy", params: &["PolicyArn TagKeys[]"], run: untag_policy },
    Action { name: "ListPolicyTags", params: &["PolicyArn", PAGES], run: list_policy_tags },
];

const VERSIONS: usize = 5;
const SIZE: usize = 6144;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Policy {
    pub arn: String,
    pub name: String,
    pub id: String,
    pub path: String,
    pub description: Option<String>,
    pub created: Timestamp,
    pub updated: Timestamp,
    /// Numbers are never used twice.
    pub last_version: u32,
    pub default_version: u32,
    pub versions: BTreeMap<u32, Version>,
    /// Who has it in a forked account: roles until they are read, and what is no role.
    #[serde(default, skip_serializing_if = "Holders::is_empty")]
    pub held_by: Holders,
    pub tags: Tags,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Version {
    document: String,
    created: Timestamp,
}

resource!(Policy, arn, global.iam.policies, Extent::Row, |arn| no_such_entity(format!("Policy {arn} was not found.")));

impl Policy {
    fn view(&self, tx: &Tx) -> Value {
        json!({
            "PolicyName": self.name,
            "PolicyId": self.id,
            "Arn": self.arn,
            "Path": self.path,
            "DefaultVersionId": format!("v{}", self.default_version),
            "AttachmentCount": attachments(tx, &self.arn).len() + self.held_by.others,
            "PermissionsBoundaryUsageCount": boundaries(tx, &self.arn).len(),
            "IsAttachable": true,
            "CreateDate": time(self.created),
            "UpdateDate": time(self.updated),
        })
    }

    /// With what lists leave out.
    fn whole(&self, tx: &Tx) -> Value {
        let mut view = self.view(tx);
        view["Description"] = json!(self.description);
        view["Tags"] = tag_list(&self.tags);
        view
    }

    fn version(&self, id: &str) -> Result<(u32, &Version), AwsError> {
        let number = id.strip_prefix('v').and_then(|number| number.parse().ok());
        let found = number.and_then(|number| Some((number, self.versions.get(&number)?)));
        let arn = &self.arn;
        found.ok_or_else(|| no_such_entity(format!("Policy {arn} version {id} does not exist or is not attachable.")))
    }

    fn version_view(&self, number: u32, with_document: bool) -> Value {
        let version = &self.versions[&number];
        json!({
            "Document": with_document.then(|| encoded(&version.document)),
            "VersionId": format!("v{number}"),
            "IsDefaultVersion": number == self.default_version,
            "CreateDate": time(version.created),
        })
    }
}

pub const CALLS: &[&str] = &[
    "iam:GetPolicy",
    "iam:GetPolicyVersion",
    "iam:ListEntitiesForPolicy",
    "iam:ListPolicies",
    "iam:ListPolicyVersions",
];

/// A policy with its versions and who has it, or all of the account as a list shows them. Of AWS's own policies, only that
/// they are there is asked for.
pub fn load(reader: &Reader, arn: Option<&str>, rows: &mut Rows) -> Result<(), AwsError> {
    let Some(arn) = arn else {
        let params = json!({ "Scope": "Local", "MaxItems": 1000 });
        let policies = reader.pages("iam", "ListPolicies", params, "Policies", TOKEN)?;
        policies.iter().for_each(|policy| rows.listed(Read::of(read(policy))));
        return Ok(());
    };
    let named = json!({ "PolicyArn": arn });
    let absent = ["NoSuchEntity", "InvalidInput", "ValidationError"];
    let Some(reply) = reader.find("iam", "GetPolicy", named.clone(), &absent)? else { return Ok(()) };
    let shown = reply.part("Policy");
    let mut policy = read(&shown);
    if !managed::is_aws(arn) {
        for version in reader.pages("iam", "ListPolicyVersions", named.clone(), "Versions", TOKEN)? {
            let params = json!({ "PolicyArn": arn, "VersionId": version.text("VersionId") });
            let document = reader.get("iam", "GetPolicyVersion", params)?.text("PolicyVersion.Document");
            let version = (number(&version, "VersionId"), version.time("CreateDate"));
            policy.versions.insert(version.0, Version { document: decoded(&document), created: version.1 });
        }
        policy.last_version = policy.versions.keys().copied().max().unwrap_or(policy.default_version);
        policy.held_by = Holders::load(reader, arn, &shown)?;
    }
    rows.whole(Read::of(policy).shown(&shown));
    Ok(())
}

fn read(shown: &Params) -> Policy {
    let default_version = number(shown, "DefaultVersionId");
    Policy {
        arn: shown.text("Arn"),
        name: shown.text("PolicyName"),
        id: shown.text("PolicyId"),
        path: shown.text("Path"),
        description: shown.opt_str("Description").map(str::to_owned),
        created: shown.time("CreateDate"),
        updated: shown.time("UpdateDate"),
        last_version: default_version,
        default_version,
        versions: BTreeMap::new(),
        held_by: Holders::unknown(shown.number("AttachmentCount", 0)),
        tags: shown.map("Tags", "Key", "Value"),
    }
}

/// The number in `v3`.
fn number(shown: &Params, path: &str) -> u32 {
    shown.text(path).trim_start_matches('v').parse().unwrap_or(1)
}

/// Refuses what cannot be attached to a role.
pub fn attachable(tx: &Tx, arn: &str) -> Result<(), AwsError> {
    if managed::find(tx, arn).is_some() || tx.get::<Policy>(arn).is_ok() {
        return Ok(());
    }
    if !arn.starts_with("arn:") {
        return Err(AwsError::new("InvalidInput", format!("ARN {arn} is not valid.")));
    }
    Err(no_such_entity(format!("Policy {arn} does not exist or is not attachable.")))
}

fn policy<'t>(tx: &'t mut Tx, p: &Params) -> Result<&'t mut Policy, AwsError> {
    tx.get_mut::<Policy>(p.str("PolicyArn")?)
}

fn checked(tx: &Tx, document: &str) -> Result<String, AwsError> {
    check(tx, document, Grammar::Identity)?;
    if size(document) > SIZE {
        return Err(limit(format!("Cannot exceed quota for PolicySize: {SIZE}")));
    }
    Ok(document.to_owned())
}

fn create_policy(tx: &mut Tx, p: &Params) -> Reply {
    let (name, path) = (name(p, "PolicyName", 128)?, path(p)?);
    if tx.all::<Policy>().any(|policy| policy.name.eq_ignore_ascii_case(name)) {
        let message = format!("A policy called {name} already exists. Duplicate names are not allowed.");
        return Err(conflict("EntityAlreadyExists", message));
    }
    let document = checked(tx, p.str("PolicyDocument")?)?;
    let policy = Policy {
        arn: tx.global_arn("iam", &format!("policy{path}{name}")),
        name: name.to_owned(),
        id: new_id(tx, "ANPA"),
        path: path.to_owned(),
        description: p.opt_str("Description").map(str::to_owned),
        created: tx.now,
        updated: tx.now,
        last_version: 1,
        default_version: 1,
        versions: BTreeMap::from([(1, Version { document, created: tx.now })]),
        held_by: Holders::default(),
        tags: new_tags(p)?,
    };
    let mut view = policy.view(tx);
    view["Tags"] = tag_list(&policy.tags);
    tx.put(policy);
    Ok(json!({ "Policy": view }))
}

fn get_policy(tx: &mut Tx, p: &Params) -> Reply {
    let arn = p.str("PolicyArn")?;
    if let Some(name) = managed::find(tx, arn) {
        return Ok(json!({ "Policy": managed_view(tx, arn, name) }));
    }
    let policy = tx.get::<Policy>(arn)?;
    Ok(json!({ "Policy": tx.shown(policy, Policy::whole) }))
}

/// The day of most of AWS's policies; here of all.
const AWS_MADE_THEM: &str = "2015-02-06T18:40:15Z";

fn managed_view(tx: &Tx, arn: &str, path_and_name: &str) -> Value {
    let (path, name) = path_and_name.rsplit_once('/').map_or(("", path_and_name), |(path, name)| (path, name));
    json!({
        "PolicyName": name,
        "PolicyId": format!("ANPA{}", "MANAGEDBYAWS00000"),
        "Arn": arn,
        "Path": if path.is_empty() { "/".to_owned() } else { format!("/{path}/") },
        "DefaultVersionId": "v1",
        "AttachmentCount": attachments(tx, arn).len(),
        "PermissionsBoundaryUsageCount": boundaries(tx, arn).len(),
        "IsAttachable": true,
        "CreateDate": AWS_MADE_THEM,
        "UpdateDate": AWS_MADE_THEM,
    })
}

fn list_policies(tx: &mut Tx, p: &Params) -> Reply {
    if p.opt_str("Scope") != Some("Local") {
        let message = "the simulator lists policies of the account only: Scope must be Local";
        return Err(AwsError::new("InvalidInput", message));
    }
    let prefix = p.opt_str("PathPrefix").unwrap_or("/");
    let only_attached = p.opt_bool("OnlyAttached")?.unwrap_or(false);
    let wanted = |policy: &&Policy| {
        let used = || match p.opt_str("PolicyUsageFilter") {
            Some("PermissionsBoundary") => boundaries(tx, &policy.arn).len(),
            _ => attachments(tx, &policy.arn).len() + policy.held_by.others,
        };
        policy.path.starts_with(prefix) && (!(only_attached || p.has("PolicyUsageFilter")) || used() > 0)
    };
    let policies = tx.select::<Policy>(&[])?.into_iter().filter(wanted).collect();
    page(p, "Policies", policies, |policy: &&Policy| &policy.arn, |policy| policy.view(tx))
}

fn delete_policy(tx: &mut Tx, p: &Params) -> Reply {
    let arn = p.str("PolicyArn")?;
    let policy = tx.get::<Policy>(arn)?;
    let used = attachments(tx, arn).len() + boundaries(tx, arn).len() + policy.held_by.others;
    if used > 0 {
        return Err(conflict("DeleteConflict", "Cannot delete a policy attached to entities."));
    }
    if policy.versions.len() > 1 {
        let message = "This policy has more than one version. Before you delete a policy, you must delete the \
                       policy's versions. The default version is deleted with the policy.";
        return Err(conflict("DeleteConflict", message));
    }
    tx.delete::<Policy>(arn);
    done()
}

fn create_version(tx: &mut Tx, p: &Params) -> Reply {
    let document = checked(tx, p.str("PolicyDocument")?)?;
    let (now, set_as_default) = (tx.now, p.opt_bool("SetAsDefault")?.unwrap_or(false));
    let policy = policy(tx, p)?;
    if policy.versions.len() >= VERSIONS {
        let message = format!(
            "A managed policy can have up to {VERSIONS} versions. Before you create a new version, you must delete an \
             existing version."
        );
        return Err(limit(message));
    }
    policy.last_version += 1;
    policy.updated = now;
    policy.versions.insert(policy.last_version, Version { document, created: now });
    if set_as_default {
        policy.default_version = policy.last_version;
    }
    Ok(json!({ "PolicyVersion": policy.version_view(policy.last_version, false) }))
}

fn get_version(tx: &mut Tx, p: &Params) -> Reply {
    let arn = p.str("PolicyArn")?;
    if managed::find(tx, arn).is_some() || (tx.is_fork() && managed::is_aws(arn)) {
        return Err(AwsError::not_modelled("InvalidInput", "document of", arn, "iam:GetPolicyVersion"));
    }
    let policy = tx.get::<Policy>(arn)?;
    let (number, _) = policy.version(p.str("VersionId")?)?;
    Ok(json!({ "PolicyVersion": policy.version_view(number, true) }))
}

/// The newest first, as AWS lists them. Five at most, so there is never a second page.
fn list_versions(tx: &mut Tx, p: &Params) -> Reply {
    let policy = policy(tx, p)?;
    let versions: Vec<Value> = policy.versions.keys().rev().map(|number| policy.version_view(*number, false)).collect();
    Ok(json!({ "Versions": versions, "IsTruncated": false }))
}

fn set_default_version(tx: &mut Tx, p: &Params) -> Reply {
    let now = tx.now;
    let policy = policy(tx, p)?;
    let (number, _) = policy.version(p.str("VersionId")?)?;
    policy.default_version = number;
    policy.updated = now;
    done()
}

fn delete_version(tx: &mut Tx, p: &Params) -> Reply {
    let policy = policy(tx, p)?;
    let (number, _) = policy.version(p.str("VersionId")?)?;
    if number == policy.default_version {
        return Err(conflict("DeleteConflict", "Cannot delete the default version of a policy."));
    }
    policy.versions.remove(&number);
    done()
}

fn list_entities(tx: &mut Tx, p: &Params) -> Reply {
    let arn = p.str("PolicyArn")?;
    if managed::find(tx, arn).is_none() {
        tx.get::<Policy>(arn)?;
    }
    let mut roles = match p.opt_str("PolicyUsageFilter") {
        Some("PermissionsBoundary") => boundaries(tx, arn),
        Some(_) | None => attachments(tx, arn),
    };
    if !p.has("PolicyUsageFilter") {
        roles.extend(boundaries(tx, arn));
    }
    let view = |(name, id): &(String, String)| json!({ "RoleName": name, "RoleId": id });
    page(p, "PolicyRoles", roles.into_iter().collect(), |(name, _)| name, view)
}

fn tag_policy(tx: &mut Tx, p: &Params) -> Reply {
    add_tags(&mut policy(tx, p)?.tags, p)?;
    done()
}

fn untag_policy(tx: &mut Tx, p: &Params) -> Reply {
    remove_tags(&mut policy(tx, p)?.tags, p);
    done()
}

fn list_policy_tags(tx: &mut Tx, p: &Params) -> Reply {
    let tags = policy(tx, p)?.tags.iter().collect();
    page(p, "Tags", tags, |(key, _)| key, |(key, value)| json!({ "Key": key, "Value": value }))
}
