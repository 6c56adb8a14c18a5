//! The parts of a role that change one by one: read, written and put back in the same way.

use aws_sdk_iam::types::Role;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{GONE, PolicyDocument, document::same};
use crate::{
    event::Field,
    ops::{Error, arguments, outcome::differences, ownership::changed},
    run::{Class, Ctx, Mutation, Undo, UndoAction, Undone},
};

/// One part of a role.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Aspect {
    /// Who may assume it: a policy document.
    Trust,
    /// `{ description, max_session_duration }`: AWS sets both in one call.
    Settings,
    /// The ARN of the permissions boundary, or null.
    Boundary,
    /// The inline policy of that name: its document, or null.
    Inline(String),
    /// Whether the managed policy of that ARN is attached.
    Attached(String),
}

/// A part of a role, as it is and as it should be.
pub(super) struct Difference {
    pub aspect: Aspect,
    pub found: Value,
    pub wanted: Value,
}

impl Aspect {
    fn label(&self) -> String {
        match self {
            Self::Trust => "trust".into(),
            Self::Settings => "settings".into(),
            Self::Boundary => "permissions_boundary".into(),
            Self::Inline(name) => format!("inline_policies.{name}"),
            Self::Attached(arn) => format!("managed_policy_arns.{arn}"),
        }
    }

    fn same(&self, a: &Value, b: &Value) -> bool {
        match self {
            Self::Trust | Self::Inline(_) => same(a, b),
            Self::Settings | Self::Boundary | Self::Attached(_) => a == b,
        }
    }

    async fn read(&self, ctx: &Ctx, role: &str) -> Result<Value, Error> {
        match self {
            Self::Inline(name) => inline(ctx, role, name).await,
            Self::Attached(arn) => Ok(json!(attached(ctx, role).await?.contains(arn))),
            Self::Trust | Self::Settings | Self::Boundary => {
                let reply = ctx.read("iam:GetRole", || ctx.aws().iam.get_role().role_name(role).send()).await?;
                let role = reply.role().ok_or(Error::Reply { call: "iam:GetRole", member: "role" })?;
                self.of(role)
            }
        }
    }

    /// The part, where GetRole shows it.
    pub fn of(&self, role: &Role) -> Result<Value, Error> {
        Ok(match self {
            Self::Trust => {
                let document = role.assume_role_policy_document().unwrap_or_default();
                PolicyDocument::from_reply("iam:GetRole", document)?.0
            }
            Self::Settings => settings(role.description().unwrap_or_default(), role.max_session_duration()),
            Self::Boundary => {
                json!(role.permissions_boundary().and_then(|boundary| boundary.permissions_boundary_arn()))
            }
            Self::Inline(_) | Self::Attached(_) => Value::Null,
        })
    }

    async fn write(
        &self,
        ctx: &Ctx,
        role: &str,
        found: &Value,
        value: &Value,
        undo: Option<Undo>,
    ) -> Result<(), Error> {
        let iam = &ctx.aws().iam;
        let declare = |call| {
            let declared = Mutation::new(call, Class::Idempotent, format!("{} of role {role}", self.label()));
            match undo.clone() {
                Some(undo) => declared.undo(undo),
                None => declared,
            }
        };
        match self {
            Self::Trust => {
                ctx.change(declare("iam:UpdateAssumeRolePolicy"), |permit| {
                    let request = iam.update_assume_role_policy().role_name(role).policy_document(value.to_string());
                    request.customize().interceptor(permit).send()
                })
                .await
            }
            Self::Settings => {
                let description =
                    value["description"].as_str().filter(|_| value["description"] != found["description"]);
                let seconds = value["max_session_duration"].as_i64().and_then(|seconds| i32::try_from(seconds).ok());
                ctx.change(declare("iam:UpdateRole"), |permit| {
                    let request = iam.update_role().role_name(role).set_max_session_duration(seconds);
                    request.set_description(description.map(str::to_owned)).customize().interceptor(permit).send()
                })
                .await
            }
            Self::Boundary => match value.as_str() {
                Some(arn) => {
                    ctx.change(declare("iam:PutRolePermissionsBoundary"), |permit| {
                        let request = iam.put_role_permissions_boundary().role_name(role).permissions_boundary(arn);
                        request.customize().interceptor(permit).send()
                    })
                    .await
                }
                None => {
                    ctx.change(declare("iam:DeleteRolePermissionsBoundary"), |permit| {
                        let request = iam.delete_role_permissions_boundary().role_name(role);
                        request.customize().interceptor(permit).send()
                    })
                    .await
                }
            },
            Self::Inline(name) if value.is_null() => {
                ctx.change(declare("iam:DeleteRolePolicy"), |permit| {
                    let request = iam.delete_role_policy().role_name(role).policy_name(name);
                    request.customize().interceptor(permit).send()
                })
                .await
            }
            Self::Inline(name) => {
                ctx.change(declare("iam:PutRolePolicy"), |permit| {
                    let request = iam.put_role_policy().role_name(role).policy_name(name);
                    request.policy_document(value.to_string()).customize().interceptor(permit).send()
                })
                .await
            }
            Self::Attached(arn) if value == &json!(true) => {
                ctx.change(declare("iam:AttachRolePolicy"), |permit| {
                    let request = iam.attach_role_policy().role_name(role).policy_arn(arn);
                    request.customize().interceptor(permit).send()
                })
                .await
            }
            Self::Attached(arn) => {
                ctx.change(declare("iam:DetachRolePolicy"), |permit| {
                    let request = iam.detach_role_policy().role_name(role).policy_arn(arn);
                    request.customize().interceptor(permit).send()
                })
                .await
            }
        }
    }
}

impl Difference {
    pub fn is_one(&self) -> bool {
        !self.aspect.same(&self.found, &self.wanted)
    }

    /// Whether it takes something away: that comes after everything else, so that the role is never without both.
    pub fn takes_away(&self) -> bool {
        self.wanted.is_null() || self.wanted == json!(false)
    }

    /// Writes what is wanted. `undoable` is false for what a new role gets: it goes with the role.
    pub async fn apply(&self, ctx: &Ctx, role: &str, undoable: bool) -> Result<(), Error> {
        let label = self.aspect.label();
        let undo = undoable.then(|| {
            let arguments =
                json!({ "role_name": role, "aspect": self.aspect, "before": self.found, "ours": self.wanted });
            Undo::new(&RESTORE_ROLE, format!("restore {label} of role {role}"), arguments)
                .key(format!("{role}/{label}"))
        });
        self.aspect.write(ctx, role, &self.found, &self.wanted, undo).await
    }

    /// For the progress line.
    pub fn fields(&self) -> Vec<Field> {
        match (&self.found, &self.wanted) {
            (Value::Object(found), Value::Object(wanted)) if self.aspect == Aspect::Settings => {
                differences(found, wanted)
            }
            (found, wanted) => vec![changed(&self.aspect.label(), found.clone(), wanted.clone())],
        }
    }
}

pub(super) fn settings(description: &str, max_session_duration: Option<i32>) -> Value {
    json!({ "description": description, "max_session_duration": max_session_duration.unwrap_or(3600) })
}

/// The document of an inline policy, or null.
pub(super) async fn inline(ctx: &Ctx, role: &str, name: &str) -> Result<Value, Error> {
    let reply = ctx
        .read("iam:GetRolePolicy", || ctx.aws().iam.get_role_policy().role_name(role).policy_name(name).send())
        .await;
    match reply {
        Ok(reply) => PolicyDocument::from_reply("iam:GetRolePolicy", reply.policy_document()).map(|found| found.0),
        Err(error) if error.is(GONE) => Ok(Value::Null),
        Err(error) => Err(error),
    }
}

/// The names of a role's inline policies.
pub(super) async fn inline_names(ctx: &Ctx, role: &str) -> Result<Vec<String>, Error> {
    let mut names = Vec::new();
    let mut marker = None;
    loop {
        let request = || ctx.aws().iam.list_role_policies().role_name(role).set_marker(marker.clone()).send();
        let reply = ctx.read("iam:ListRolePolicies", request).await?;
        names.extend_from_slice(reply.policy_names());
        marker = reply.marker().map(str::to_owned);
        if marker.is_none() {
            return Ok(names);
        }
    }
}

/// The ARNs of the managed policies attached to a role.
pub(super) async fn attached(ctx: &Ctx, role: &str) -> Result<Vec<String>, Error> {
    let mut arns = Vec::new();
    let mut marker = None;
    loop {
        let request = || ctx.aws().iam.list_attached_role_policies().role_name(role).set_marker(marker.clone()).send();
        let reply = ctx.read("iam:ListAttachedRolePolicies", request).await?;
        arns.extend(reply.attached_policies().iter().filter_map(|policy| policy.policy_arn()).map(str::to_owned));
        marker = reply.marker().map(str::to_owned);
        if marker.is_none() {
            return Ok(arns);
        }
    }
}

/// Puts one part of a role back.
pub const RESTORE_ROLE: UndoAction =
    UndoAction { name: "restore_role", run: |ctx, arguments| Box::pin(restore_role(ctx, arguments)) };

#[derive(Deserialize)]
struct RestoreRole {
    role_name: String,
    aspect: Aspect,
    before: Value,
    ours: Value,
}

async fn restore_role(ctx: &Ctx, restore: Value) -> Result<Undone, Error> {
    let RestoreRole { role_name, aspect, before, ours } = arguments(restore)?;
    let found = match aspect.read(ctx, &role_name).await {
        Ok(found) => found,
        Err(error) if error.is(GONE) => return Ok(Undone::Already),
        Err(error) => return Err(error),
    };
    if aspect.same(&found, &before) {
        return Ok(Undone::Already);
    }
    if !aspect.same(&found, &ours) {
        return Ok(Undone::Foreign(format!("{}: expected {ours}, found {found}", aspect.label())));
    }
    match aspect.write(ctx, &role_name, &found, &before, None).await {
        Err(error) if error.is(GONE) => Ok(Undone::Already),
        written => written.map(|()| Undone::Done),
    }
}
