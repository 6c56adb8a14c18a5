//! `ensure_policy`: permissions that several roles share.

use std::collections::BTreeMap;

use aws_sdk_iam::types::{Policy as IamPolicy, PolicyVersion};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    GONE, Policy, PolicyDocument,
    document::same,
    ensure_role::check_path,
    tags::{PolicyTags, from_iam, to_iam},
};
use crate::{
    event::Change,
    ops::{
        Error, Operation, Tags, all_of, arguments, outcome,
        ownership::{Owned, STACK_TAG, changed, set},
        require, tagged,
    },
    run::{Class, Ctx, LookUp, Mutation, Undo, UndoAction, Undone},
};

/// Makes sure that the stack has a managed policy of this name that says this.
///
/// A document that means something else becomes a new default version. IAM keeps five: the oldest makes room. A
/// rollback brings the text of that one back, but not its number. Path and description cannot be changed later.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EnsurePolicy {
    /// What the stack calls it; IAM shows `<stack>-<name>`, cut to 128 characters.
    name: String,
    /// The policy document.
    policy_document: PolicyDocument,
    /// A path such as `"/shop/"`. It is part of the ARN.
    #[serde(default = "root")]
    path: String,
    /// Up to 1000 characters. Left out, it is not compared.
    description: Option<String>,
    /// More tags.
    #[serde(default)]
    tags: Tags,
    /// Takes over a policy of this name that the stack does not own.
    #[serde(default)]
    adopt: bool,
    /// Leaves it in place when the run is rolled back.
    #[serde(default)]
    keep_on_rollback: bool,
}

fn root() -> String {
    "/".into()
}

/// IAM's limit ("IAM and AWS STS quotas").
const VERSIONS: usize = 5;

/// What is kept of a created policy.
#[derive(Serialize, Deserialize)]
struct Made {
    arn: String,
    policy_name: String,
    policy_id: String,
}

impl Operation for EnsurePolicy {
    const NAME: &'static str = "ensure_policy";
    const AREA: &'static str = "IAM";
    const EXAMPLE: &'static str = r#"ensure_policy(#{
    name: "read-assets",
    policy_document: #{ Statement: [#{ Effect: "Allow", Action: "s3:GetObject", Resource: "arn:aws:s3:::shop-assets/*" }] },
})"#;

    type Options = Self;
    type Handle = Policy;

    fn subject(options: &Self) -> String {
        options.name.clone()
    }

    async fn run(ctx: &Ctx, options: Self) -> Result<Policy, Error> {
        check_path(&options.path)?;
        let owned = Owned::new(ctx, &options.name, &options.tags)?;
        let name = owned.name_within(128);
        let (partition, account) = (&ctx.aws().partition, &ctx.aws().account);
        let arn = format!("arn:{partition}:iam::{account}:policy{}{name}", options.path);
        match find(ctx, &arn).await? {
            Some(policy) => converge(ctx, &options, &owned, &policy).await,
            None => create(ctx, &options, &owned, &name, &arn).await,
        }
    }
}

async fn find(ctx: &Ctx, arn: &str) -> Result<Option<IamPolicy>, Error> {
    match ctx.read("iam:GetPolicy", || ctx.aws().iam.get_policy().policy_arn(arn).send()).await {
        Ok(reply) => Ok(reply.policy),
        Err(error) if error.is(GONE) => Ok(None),
        Err(error) => Err(error),
    }
}

fn made(policy: &IamPolicy) -> Result<Made, Error> {
    const CALL: &str = "iam:GetPolicy";
    Ok(Made {
        arn: require(CALL, "arn", policy.arn())?,
        policy_name: require(CALL, "policyName", policy.policy_name())?,
        policy_id: require(CALL, "policyId", policy.policy_id())?,
    })
}

fn handle(made: Made, default_version_id: String) -> Policy {
    let Made { arn, policy_name, policy_id } = made;
    Policy { arn, policy_name, policy_id, default_version_id }
}

async fn create(ctx: &Ctx, options: &EnsurePolicy, owned: &Owned, name: &str, arn: &str) -> Result<Policy, Error> {
    let declared = Mutation::new("iam:CreatePolicy", Class::Unique, format!("policy {name}"))
        .look_up(&POLICY_BY_ARN, json!({ "arn": arn, "stack": owned.stack }))
        .undo(Undo::new(&DELETE_POLICY, format!("delete policy {name}"), json!({})).keep(options.keep_on_rollback));
    let made = ctx
        .mutate(
            declared,
            |permit| {
                ctx.aws()
                    .iam
                    .create_policy()
                    .policy_name(name)
                    .path(&options.path)
                    .policy_document(options.policy_document.to_string())
                    .set_description(options.description.clone())
                    .set_tags(Some(to_iam(&owned.tags())))
                    .customize()
                    .interceptor(permit)
                    .send()
            },
            |reply| reply.policy().ok_or(Error::Reply { call: "iam:CreatePolicy", member: "policy" }).and_then(made),
        )
        .await?;
    ctx.did(Change::Created, [set("arn", made.arn.clone())]);
    Ok(handle(made, "v1".into()))
}

async fn converge(ctx: &Ctx, options: &EnsurePolicy, owned: &Owned, policy: &IamPolicy) -> Result<Policy, Error> {
    let made = made(policy)?;
    let resource = format!("policy {}", made.policy_name);
    let tags = from_iam(policy.tags());
    owned.check(&resource, &tags, options.adopt)?;
    let found = policy.description().unwrap_or_default();
    if let Some(wanted) = options.description.as_ref().filter(|wanted| *wanted != found) {
        let (found, wanted) = (format!("{found:?}"), format!("{wanted:?}"));
        return Err(Error::NeedsReplacement { resource, field: "description", found, wanted });
    }
    let default: String = require("iam:GetPolicy", "defaultVersionId", policy.default_version_id())?;
    let found = document(ctx, &made.arn, &default).await?;
    let mut fields = tagged::converge::<PolicyTags>(ctx, &made.arn, owned, &tags).await?;
    let version = if found == options.policy_document {
        default
    } else {
        make_room(ctx, &made.arn).await?;
        let version = create_version(ctx, &made.arn, &options.policy_document, &default).await?;
        fields.push(changed("policy_document", found.0, options.policy_document.0.clone()));
        fields.push(changed("default_version_id", default, version.clone()));
        version
    };
    ctx.did(if fields.is_empty() { Change::Unchanged } else { Change::Updated }, fields);
    Ok(handle(made, version))
}

async fn document(ctx: &Ctx, arn: &str, version: &str) -> Result<PolicyDocument, Error> {
    const CALL: &str = "iam:GetPolicyVersion";
    let reply =
        ctx.read(CALL, || ctx.aws().iam.get_policy_version().policy_arn(arn).version_id(version).send()).await?;
    let text = reply.policy_version().and_then(|version| version.document());
    PolicyDocument::from_reply(CALL, text.ok_or(Error::Reply { call: CALL, member: "document" })?)
}

/// The versions of a policy, the newest first. Five at most: never more than one page.
async fn versions(ctx: &Ctx, arn: &str) -> Result<Vec<PolicyVersion>, Error> {
    let reply =
        ctx.read("iam:ListPolicyVersions", || ctx.aws().iam.list_policy_versions().policy_arn(arn).send()).await?;
    let mut versions = reply.versions.unwrap_or_default();
    versions.sort_by_key(|version| std::cmp::Reverse(number(version.version_id())));
    Ok(versions)
}

/// `v12` is the 12th: dates may be equal.
fn number(version: Option<&str>) -> u32 {
    version.and_then(|id| id.strip_prefix('v')).and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// Deletes the oldest version that is not in force, when there are as many as IAM keeps.
async fn make_room(ctx: &Ctx, arn: &str) -> Result<(), Error> {
    let versions = versions(ctx, arn).await?;
    let oldest = versions.iter().rev().find(|version| !version.is_default_version());
    let Some(oldest) = oldest.and_then(|version| version.version_id()).filter(|_| versions.len() >= VERSIONS) else {
        return Ok(());
    };
    let text = document(ctx, arn, oldest).await?;
    let undo = Undo::new(
        &RECREATE_POLICY_VERSION,
        format!("bring the text of version {oldest} of policy {arn} back"),
        json!({ "arn": arn, "document": text.0 }),
    );
    delete_version(ctx, arn, oldest, Some(undo)).await
}

async fn delete_version(ctx: &Ctx, arn: &str, version: &str, undo: Option<Undo>) -> Result<(), Error> {
    let mut declared =
        Mutation::new("iam:DeletePolicyVersion", Class::Idempotent, format!("version {version} of {arn}"));
    if let Some(undo) = undo {
        declared = declared.undo(undo);
    }
    ctx.change(declared, |permit| {
        let request = ctx.aws().iam.delete_policy_version().policy_arn(arn).version_id(version);
        request.customize().interceptor(permit).send()
    })
    .await
}

/// What is kept of a created version.
#[derive(Serialize, Deserialize)]
struct MadeVersion {
    version_id: String,
}

async fn create_version(ctx: &Ctx, arn: &str, document: &PolicyDocument, before: &str) -> Result<String, Error> {
    let declared = Mutation::new("iam:CreatePolicyVersion", Class::Unique, format!("policy {arn}"))
        .look_up(&NEW_POLICY_VERSION, json!({ "arn": arn, "before": before, "document": document.0 }))
        .undo(Undo::new(
            &RESTORE_POLICY_VERSION,
            format!("make version {before} of policy {arn} the default again"),
            json!({ "arn": arn, "before": before }),
        ));
    let made: MadeVersion = ctx
        .mutate(
            declared,
            |permit| {
                let request = ctx.aws().iam.create_policy_version().policy_arn(arn).set_as_default(true);
                request.policy_document(document.to_string()).customize().interceptor(permit).send()
            },
            |reply| {
                let version = reply.policy_version().and_then(|version| version.version_id());
                Ok(MadeVersion { version_id: require("iam:CreatePolicyVersion", "versionId", version)? })
            },
        )
        .await?;
    Ok(made.version_id)
}

/// Finds a policy by its ARN, which its name makes unique in the account.
pub const POLICY_BY_ARN: LookUp =
    LookUp { name: "policy_by_arn", run: |ctx, arguments| Box::pin(policy_by_arn(ctx, arguments)) };

async fn policy_by_arn(ctx: &Ctx, wanted: Value) -> Result<Option<Value>, Error> {
    let wanted: BTreeMap<String, String> = arguments(wanted)?;
    let (Some(arn), stack) = (wanted.get("arn"), wanted.get("stack")) else { return Ok(None) };
    let policy = find(ctx, arn).await?.filter(|policy| from_iam(policy.tags()).get(STACK_TAG) == stack);
    policy.map(|policy| Ok(json!(made(&policy)?))).transpose()
}

/// Finds the version that took the place of an older default version.
pub const NEW_POLICY_VERSION: LookUp =
    LookUp { name: "new_policy_version", run: |ctx, arguments| Box::pin(new_policy_version(ctx, arguments)) };

#[derive(Deserialize)]
struct NewVersion {
    arn: String,
    before: String,
    document: Value,
}

async fn new_policy_version(ctx: &Ctx, wanted: Value) -> Result<Option<Value>, Error> {
    let NewVersion { arn, before, document: wanted } = arguments(wanted)?;
    let policy = find(ctx, &arn).await?;
    let default = policy.as_ref().and_then(|policy| policy.default_version_id()).filter(|id| *id != before);
    let Some(default) = default else { return Ok(None) };
    let found = document(ctx, &arn, default).await?;
    Ok(same(&found.0, &wanted).then(|| json!({ "version_id": default })))
}

/// Deletes a policy this run made, with all its versions.
pub const DELETE_POLICY: UndoAction =
    UndoAction { name: "delete_policy", run: |ctx, arguments| Box::pin(delete_policy(ctx, arguments)) };

async fn delete_policy(ctx: &Ctx, made: Value) -> Result<Undone, Error> {
    let Made { arn, .. } = arguments(made)?;
    let deleted = async {
        let versions = versions(ctx, &arn).await?;
        let others = versions.iter().filter(|version| !version.is_default_version());
        let ids = others.filter_map(|version| version.version_id());
        all_of(ids.map(|id| delete_version(ctx, &arn, id, None))).await?;
        // IAM may not have heard everywhere that nothing uses it any more.
        let declared = Mutation::new("iam:DeletePolicy", Class::Idempotent, &arn)
            .patiently(&["DeleteConflict"], std::time::Duration::from_secs(60));
        ctx.change(declared, |permit| {
            ctx.aws().iam.delete_policy().policy_arn(&arn).customize().interceptor(permit).send()
        })
        .await
    };
    outcome::deleted(deleted.await, GONE)
}

/// Makes an earlier version the default again, and deletes the one that took its place.
pub const RESTORE_POLICY_VERSION: UndoAction = UndoAction {
    name: "restore_policy_version",
    run: |ctx, arguments| Box::pin(restore_policy_version(ctx, arguments)),
};

#[derive(Deserialize)]
struct RestoreVersion {
    arn: String,
    before: String,
    version_id: String,
}

async fn restore_policy_version(ctx: &Ctx, restore: Value) -> Result<Undone, Error> {
    let RestoreVersion { arn, before, version_id: ours } = arguments(restore)?;
    let Some(policy) = find(ctx, &arn).await? else { return Ok(Undone::Already) };
    let found = policy.default_version_id().unwrap_or_default();
    if found != ours && found != before {
        return Ok(Undone::Foreign(format!("expected {ours} as the default version, found {found}")));
    }
    if found == ours {
        let declared = Mutation::new("iam:SetDefaultPolicyVersion", Class::Idempotent, &arn);
        ctx.change(declared, |permit| {
            let request = ctx.aws().iam.set_default_policy_version().policy_arn(&arn).version_id(&before);
            request.customize().interceptor(permit).send()
        })
        .await?;
    }
    outcome::deleted(delete_version(ctx, &arn, &ours, None).await, GONE)
}

/// Brings the text of a deleted version back, under a new number: IAM uses none twice.
pub const RECREATE_POLICY_VERSION: UndoAction = UndoAction {
    name: "recreate_policy_version",
    run: |ctx, arguments| Box::pin(recreate_policy_version(ctx, arguments)),
};

#[derive(Deserialize)]
struct RecreateVersion {
    arn: String,
    document: Value,
}

async fn recreate_policy_version(ctx: &Ctx, recreate: Value) -> Result<Undone, Error> {
    let RecreateVersion { arn, document: text } = arguments(recreate)?;
    let versions = match versions(ctx, &arn).await {
        Ok(versions) => versions,
        Err(error) if error.is(GONE) => return Ok(Undone::Already),
        Err(error) => return Err(error),
    };
    if versions.len() >= VERSIONS {
        return Ok(Undone::Foreign(format!("expected room for a version, found {}", versions.len())));
    }
    let ids = versions.iter().filter_map(|version| version.version_id());
    let texts = all_of(ids.map(|id| document(ctx, &arn, id))).await?;
    if texts.iter().any(|found| same(&found.0, &text)) {
        return Ok(Undone::Already);
    }
    // A second one of the same text would only take up room: sending it again is harmless.
    ctx.change(Mutation::new("iam:CreatePolicyVersion", Class::Idempotent, &arn), |permit| {
        let request = ctx.aws().iam.create_policy_version().policy_arn(&arn).set_as_default(false);
        request.policy_document(text.to_string()).customize().interceptor(permit).send()
    })
    .await?;
    Ok(Undone::Done)
}
