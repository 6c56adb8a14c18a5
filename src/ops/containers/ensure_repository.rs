//! `ensure_repository`: where images are kept.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    Repository,
    ecr::{self, Found, RepositoryTags, to_ecr},
    repository_aspect::{Aspect, Difference},
};
use crate::{
    event::Change,
    ops::{
        Error, Operation, Tags, Together, all_of, arguments,
        identity::PolicyDocument,
        outcome::{fixed, report},
        ownership::{Owned, STACK_TAG, set},
        tagged::{self, Tagged},
    },
    run::{Class, Ctx, LookUp, Mutation, Undo, UndoAction, Undone},
};

/// Makes sure that the stack has a repository of this name in ECR, with these settings.
///
/// Policies that are left out are left alone. How images are encrypted cannot be changed later.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EnsureRepository {
    /// What the stack calls it; ECR shows `<stack>-<name>`. Lower case, with `/` between groups.
    name: String,
    /// Looks for known vulnerabilities in each image that is pushed.
    #[serde(default = "yes")]
    scan_on_push: bool,
    /// `IMMUTABLE`: a tag that is there cannot be pushed again.
    #[serde(default)]
    image_tag_mutability: Mutability,
    /// `AES256`, or `KMS` for a key of KMS.
    #[serde(default)]
    encryption_type: EncryptionType,
    /// The ARN or id of the key, no alias; left out, the one AWS keeps for ECR.
    kms_key: Option<String>,
    /// Which images go after a while: `#{ rules: [...] }`, as ECR documents lifecycle policies.
    #[serde(default, deserialize_with = "lifecycle_policy")]
    #[schemars(extend("type" = "object", "x-type" = "object map"))]
    lifecycle_policy: Option<Value>,
    /// Who else may use it: a policy document.
    repository_policy: Option<PolicyDocument>,
    /// More tags.
    #[serde(default)]
    tags: Tags,
    /// Takes over a repository of this name that the stack does not own.
    #[serde(default)]
    adopt: bool,
    /// Leaves it in place when the run is rolled back.
    #[serde(default)]
    keep_on_rollback: bool,
    /// On rollback a repository that this run has made goes with the images that were pushed since. Otherwise one with images
    /// stays.
    #[serde(default)]
    force_delete: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
#[schemars(inline)]
enum Mutability {
    #[default]
    Mutable,
    Immutable,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[schemars(inline)]
enum EncryptionType {
    #[default]
    #[serde(rename = "AES256")]
    Aes256,
    #[serde(rename = "KMS")]
    Kms,
}

fn yes() -> bool {
    true
}

fn lifecycle_policy<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    use serde::de::Error as _;
    let policy = Value::deserialize(deserializer)?;
    match policy["rules"].as_array().is_some_and(|rules| !rules.is_empty()) {
        true => Ok(Some(policy)),
        false => Err(D::Error::custom("expected a lifecycle policy, `#{ rules: [...] }` with at least one rule")),
    }
}

/// What is kept of a created repository.
#[derive(Debug, Serialize, Deserialize)]
struct Made {
    repository_name: String,
    repository_arn: String,
}

impl Operation for EnsureRepository {
    const NAME: &'static str = "ensure_repository";
    const AREA: &'static str = "ECR";
    const EXAMPLE: &'static str = r#"ensure_repository(#{
    name: "web", image_tag_mutability: "IMMUTABLE",
    lifecycle_policy: #{ rules: [#{
        rulePriority: 1, action: #{ type: "expire" },
        selection: #{ tagStatus: "untagged", countType: "sinceImagePushed", countUnit: "days", countNumber: 14 },
    }] },
})"#;

    type Options = Self;
    type Handle = Repository;

    fn subject(options: &Self) -> String {
        options.name.clone()
    }

    async fn run(ctx: &Ctx, options: Self) -> Result<Repository, Error> {
        options.check()?;
        let owned = Owned::new(ctx, &options.name, &options.tags)?;
        check_name(&owned.name)?;
        let found = match ecr::find(ctx, &owned.name).await? {
            Some(found) => {
                converge(ctx, &options, &owned, &found).await?;
                found
            }
            None => create(ctx, &options, &owned).await?,
        };
        Ok(Repository {
            repository_name: found.repository_name,
            repository_arn: found.repository_arn,
            repository_uri: found.repository_uri,
        })
    }
}

/// The pattern of the service model, in words of Rust.
fn check_name(name: &str) -> Result<(), Error> {
    let is_letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let is_part = |part: &str| {
        let inner = part.chars().all(|c| is_letter(c) || "._-".contains(c));
        inner && part.starts_with(is_letter) && part.ends_with(is_letter)
    };
    match (2..=256).contains(&name.len()) && name.split('/').all(is_part) {
        true => Ok(()),
        false => {
            let message = format!(
                "expected lower-case letters, digits and single `.`, `_`, `-` or `/` between them, found {name:?}, which is \
                 the name with the stack before it"
            );
            Err(Error::option("name", message))
        }
    }
}

impl EnsureRepository {
    fn check(&self) -> Result<(), Error> {
        match (self.encryption_type, &self.kms_key) {
            (EncryptionType::Aes256, Some(_)) => {
                Err(Error::option("kms_key", "expected `encryption_type: \"KMS\"` with it"))
            }
            // ECR shows the key that an alias stood for when the repository was made.
            (EncryptionType::Kms, Some(key)) if key.contains("alias/") => {
                let message = format!(
                    "expected the ARN or id of a key, found the alias {key:?}, which may be another key's by now"
                );
                Err(Error::option("kms_key", message))
            }
            _ => Ok(()),
        }
    }

    /// What is wanted, part by part; what is left out is not among it.
    fn wanted(&self) -> Vec<(Aspect, Value)> {
        let lifecycle = self.lifecycle_policy.clone().map(|policy| (Aspect::LifecyclePolicy, policy));
        let policy = self.repository_policy.as_ref().map(|policy| (Aspect::RepositoryPolicy, policy.0.clone()));
        let settings = [
            (Aspect::ImageTagMutability, json!(self.image_tag_mutability)),
            (Aspect::ScanOnPush, json!(self.scan_on_push)),
        ];
        settings.into_iter().chain(lifecycle).chain(policy).collect()
    }

    fn check_encryption(&self, found: &Found) -> Result<(), Error> {
        let resource = format!("repository {}", found.repository_name);
        let (kind, key) = (&found.encryption_configuration.encryption_type, &found.encryption_configuration.kms_key);
        let wanted = if self.encryption_type == EncryptionType::Kms { "KMS" } else { "AES256" };
        fixed(&resource, "encryption_type", kind, wanted)?;
        match &self.kms_key {
            Some(wanted) => {
                let found = key.as_deref().unwrap_or_default();
                let id = |key: &str| key.rsplit('/').next().unwrap_or(key).to_owned();
                match wanted.starts_with("arn:") {
                    true => fixed(&resource, "kms_key", found, wanted),
                    false => fixed(&resource, "kms_key", &id(found), wanted),
                }
            }
            None => Ok(()),
        }
    }
}

async fn create(ctx: &Ctx, options: &EnsureRepository, owned: &Owned) -> Result<Found, Error> {
    let name = &owned.name;
    let undo = Undo::new(
        &DELETE_REPOSITORY,
        format!("delete repository {name}"),
        json!({ "repository_name": name, "force": options.force_delete }),
    );
    let declared = Mutation::new("ecr:CreateRepository", Class::Unique, format!("repository {name}"))
        .look_up(&REPOSITORY_BY_NAME, json!({ "name": name, "stack": owned.stack }))
        .undo(undo.keep(options.keep_on_rollback));
    let mut input = json!({
        "repositoryName": name,
        "imageTagMutability": options.image_tag_mutability,
        "imageScanningConfiguration": { "scanOnPush": options.scan_on_push },
        "encryptionConfiguration": { "encryptionType": options.encryption_type },
        "tags": to_ecr(&owned.tags()),
    });
    if let Some(key) = &options.kms_key {
        input["encryptionConfiguration"]["kmsKey"] = json!(key);
    }
    #[derive(Debug, Default, Deserialize)]
    #[serde(default)]
    struct Reply {
        repository: Found,
    }
    let made: Made = ctx
        .mutate(
            declared,
            |permit| ctx.aws().call("ecr:CreateRepository", &input).permit(permit).send::<Reply>(),
            |reply| Ok(made(&reply.repository)),
        )
        .await?;
    let wanted = options
        .wanted()
        .into_iter()
        .filter(|(aspect, _)| matches!(aspect, Aspect::LifecyclePolicy | Aspect::RepositoryPolicy));
    let policies: Vec<Difference> =
        wanted.map(|(aspect, wanted)| Difference { aspect, found: Value::Null, wanted }).collect();
    all_of(policies.iter().map(|policy| policy.apply(ctx, name, false))).await?;
    let (name, arn) = (made.repository_name.clone(), made.repository_arn.clone());
    ctx.did(Change::Created, [set("repository_name", name), set("repository_arn", arn)]);
    // Its reply has the address, but one that was lost is known by name and ARN only.
    let found = ecr::find(ctx, &made.repository_name).await?;
    found.ok_or(Error::Reply { call: "ecr:DescribeRepositories", member: "repositories" })
}

fn made(found: &Found) -> Made {
    Made { repository_name: found.repository_name.clone(), repository_arn: found.repository_arn.clone() }
}

async fn converge(ctx: &Ctx, options: &EnsureRepository, owned: &Owned, found: &Found) -> Result<(), Error> {
    let name = &owned.name;
    let wanted = options.wanted();
    let parts = all_of(wanted.iter().map(|(aspect, _)| aspect.read(ctx, name, found)));
    let (tags, parts) = futures::join!(RepositoryTags::read(ctx, name), parts).together()?;
    owned.check(&format!("repository {name}"), &tags, options.adopt)?;
    options.check_encryption(found)?;
    let differences = wanted.into_iter().zip(parts);
    let mut differences: Vec<Difference> =
        differences.map(|((aspect, wanted), found)| Difference { aspect, found, wanted }).collect();
    differences.retain(Difference::is_one);
    let mut fields = tagged::converge::<RepositoryTags>(ctx, name, owned, &tags).await?;
    all_of(differences.iter().map(|difference| difference.apply(ctx, name, true))).await?;
    fields.extend(differences.iter().map(Difference::field));
    report(ctx, fields);
    Ok(())
}

/// Finds a repository by its name, which is unique in a region.
pub const REPOSITORY_BY_NAME: LookUp =
    LookUp { name: "repository_by_name", run: |ctx, arguments| Box::pin(repository_by_name(ctx, arguments)) };

#[derive(Deserialize)]
struct ByName {
    name: String,
    stack: String,
}

async fn repository_by_name(ctx: &Ctx, wanted: Value) -> Result<Option<Value>, Error> {
    let ByName { name, stack } = arguments(wanted)?;
    let Some(found) = ecr::find(ctx, &name).await? else { return Ok(None) };
    let tags = RepositoryTags::read(ctx, &name).await?;
    Ok((tags.get(STACK_TAG) == Some(&stack)).then(|| json!(made(&found))))
}

/// Deletes a repository this run made; one that images were pushed to stays, unless that was asked for.
pub const DELETE_REPOSITORY: UndoAction =
    UndoAction { name: "delete_repository", run: |ctx, arguments| Box::pin(delete_repository(ctx, arguments)) };

#[derive(Deserialize)]
struct Delete {
    repository_name: String,
    force: bool,
}

async fn delete_repository(ctx: &Ctx, made: Value) -> Result<Undone, Error> {
    let Delete { repository_name: name, force } = arguments(made)?;
    let declared = Mutation::new("ecr:DeleteRepository", Class::Idempotent, format!("repository {name}"));
    let input = json!({ "repositoryName": name, "force": force });
    let deleted =
        ctx.change(declared, |permit| ctx.aws().call("ecr:DeleteRepository", &input).permit(permit).send::<Value>());
    match deleted.await {
        Ok(()) => Ok(Undone::Done),
        Err(error) if error.is(ecr::GONE) => Ok(Undone::Already),
        Err(error) if error.is(&["RepositoryNotEmptyException"]) => Ok(Undone::Foreign(format!(
            "images were pushed to {name} since it was made; `force_delete` would take them too"
        ))),
        Err(error) => Err(error),
    }
}
