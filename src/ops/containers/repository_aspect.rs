//! The parts of a repository that change one by one: read, written and put back in the same way.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::ecr;
use crate::{
    event::Field,
    ops::{Error, arguments, identity, ownership::changed},
    run::{Class, Ctx, Mutation, Undo, UndoAction, Undone},
};

/// One part of a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Aspect {
    /// `MUTABLE` or `IMMUTABLE`; with exclusions, both as PutImageTagMutability takes them.
    ImageTagMutability,
    ScanOnPush,
    /// The document, or null.
    LifecyclePolicy,
    /// The policy document, or null.
    RepositoryPolicy,
}

/// A part as it is and as it should be.
pub struct Difference {
    pub aspect: Aspect,
    pub found: Value,
    pub wanted: Value,
}

impl Aspect {
    fn label(self) -> &'static str {
        match self {
            Self::ImageTagMutability => "image_tag_mutability",
            Self::ScanOnPush => "scan_on_push",
            Self::LifecyclePolicy => "lifecycle_policy",
            Self::RepositoryPolicy => "repository_policy",
        }
    }

    fn same(self, a: &Value, b: &Value) -> bool {
        match self {
            Self::RepositoryPolicy if !a.is_null() && !b.is_null() => identity::same_policy(a, b),
            _ => a == b,
        }
    }

    /// The part as it is now.
    ///
    /// # Errors
    /// If a call fails.
    pub async fn read(self, ctx: &Ctx, name: &str, found: &ecr::Found) -> Result<Value, Error> {
        let (call, member, absent) = match self {
            Self::ImageTagMutability => {
                let (mutability, filters) =
                    (&found.image_tag_mutability, &found.image_tag_mutability_exclusion_filters);
                return Ok(match filters.as_array().is_none_or(Vec::is_empty) {
                    true => json!(mutability),
                    false => json!({ "imageTagMutability": mutability, "imageTagMutabilityExclusionFilters": filters }),
                });
            }
            Self::ScanOnPush => return Ok(json!(found.image_scanning_configuration.scan_on_push)),
            Self::LifecyclePolicy => {
                ("ecr:GetLifecyclePolicy", "lifecyclePolicyText", ["LifecyclePolicyNotFoundException"])
            }
            Self::RepositoryPolicy => ("ecr:GetRepositoryPolicy", "policyText", ["RepositoryPolicyNotFoundException"]),
        };
        let text = ecr::text(ctx, call, name, member, &absent).await?;
        match text.map(|text| serde_json::from_str(&text)) {
            None => Ok(Value::Null),
            Some(Ok(document)) => Ok(document),
            Some(Err(_)) => Err(Error::Reply { call, member: "readable policy" }),
        }
    }

    async fn write(self, ctx: &Ctx, name: &str, value: &Value, undo: Option<Undo>) -> Result<(), Error> {
        let (call, more) = match (self, value.is_null()) {
            (Self::ImageTagMutability, _) if value.is_object() => ("ecr:PutImageTagMutability", value.clone()),
            (Self::ImageTagMutability, _) => ("ecr:PutImageTagMutability", json!({ "imageTagMutability": value })),
            (Self::ScanOnPush, _) => {
                ("ecr:PutImageScanningConfiguration", json!({ "imageScanningConfiguration": { "scanOnPush": value } }))
            }
            (Self::LifecyclePolicy, false) => {
                ("ecr:PutLifecyclePolicy", json!({ "lifecyclePolicyText": value.to_string() }))
            }
            (Self::LifecyclePolicy, true) => ("ecr:DeleteLifecyclePolicy", json!({})),
            (Self::RepositoryPolicy, false) => ("ecr:SetRepositoryPolicy", json!({ "policyText": value.to_string() })),
            (Self::RepositoryPolicy, true) => ("ecr:DeleteRepositoryPolicy", json!({})),
        };
        let mut input = json!({ "repositoryName": name });
        if let (Some(input), Some(more)) = (input.as_object_mut(), more.as_object()) {
            input.extend(more.clone());
        }
        let declared =
            Mutation::new(call, Class::Idempotent, format!("{} of repository {name}", self.label())).undo(undo);
        ctx.change(declared, |permit| ctx.aws().call(call, &input).permit(permit).send::<Value>()).await
    }
}

impl Difference {
    pub fn is_one(&self) -> bool {
        !self.aspect.same(&self.found, &self.wanted)
    }

    /// Writes what is wanted. `undoable` is false for what a new repository gets: it goes with it.
    ///
    /// # Errors
    /// If AWS refuses.
    pub async fn apply(&self, ctx: &Ctx, name: &str, undoable: bool) -> Result<(), Error> {
        let undo = undoable.then(|| {
            let change = Change {
                repository_name: name.to_owned(),
                aspect: self.aspect,
                before: self.found.clone(),
                ours: self.wanted.clone(),
            };
            let label = self.aspect.label();
            Undo::new(&RESTORE_REPOSITORY, format!("restore {label} of repository {name}"), json!(change))
                .key(format!("repository {name}/{label}"))
        });
        self.aspect.write(ctx, name, &self.wanted, undo).await
    }

    /// For the progress line.
    pub fn field(&self) -> Field {
        changed(self.aspect.label(), self.found.clone(), self.wanted.clone())
    }
}

#[derive(Serialize, Deserialize)]
struct Change {
    repository_name: String,
    aspect: Aspect,
    before: Value,
    ours: Value,
}

/// Puts one part of a repository back.
pub const RESTORE_REPOSITORY: UndoAction =
    UndoAction { name: "restore_repository", run: |ctx, arguments| Box::pin(restore(ctx, arguments)) };

async fn restore(ctx: &Ctx, change: Value) -> Result<Undone, Error> {
    let Change { repository_name: name, aspect, before, ours } = arguments(change)?;
    let Some(repository) = ecr::find(ctx, &name).await? else { return Ok(Undone::Already) };
    let found = aspect.read(ctx, &name, &repository).await?;
    if aspect.same(&found, &before) {
        return Ok(Undone::Already);
    }
    if !aspect.same(&found, &ours) {
        return Ok(Undone::Foreign(format!("{}: expected {ours}, found {found}", aspect.label())));
    }
    aspect.write(ctx, &name, &before, None).await?;
    Ok(Undone::Done)
}
