//! `ensure_role`: what instances and services may do.

use std::collections::BTreeMap;

use aws_sdk_iam::types::Role as IamRole;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    GONE, Policy, PolicyDocument, Role,
    role_aspect::{Aspect, Difference, attached, inline, inline_names, settings},
    tags::{RoleTags, from_iam, to_iam},
};
use crate::{
    event::Change,
    ops::{
        Duration, Error, IdOf, Operation, Tags, Together, all_of, arguments,
        outcome::{deleted, fixed},
        ownership::{Owned, STACK_TAG, set},
        tagged,
    },
    run::{Class, Ctx, LookUp, Mutation, Undo, UndoAction, Undone},
};

/// Makes sure that the stack has a role of this name, with this trust and these permissions.
///
/// Of inline and attached policies exactly those given are there afterwards; an option that is left out leaves
/// what is there alone. The path cannot be changed later.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EnsureRole {
    /// What the stack calls it; IAM shows `<stack>-<name>`, cut to 64 characters.
    name: String,
    /// Who may assume it: a service (`"ec2.amazonaws.com"`), several, or a policy document.
    #[serde(deserialize_with = "PolicyDocument::trust")]
    #[schemars(schema_with = "PolicyDocument::trust_schema")]
    trust: PolicyDocument,
    /// Inline policies by name: a policy document each.
    inline_policies: Option<BTreeMap<String, PolicyDocument>>,
    /// Managed policies to attach: ARNs, or what `ensure_policy` returned.
    managed_policy_arns: Option<Vec<IdOf<Policy>>>,
    /// A path such as `"/shop/"`, for policies that speak of all roles under it.
    #[serde(default = "root")]
    path: String,
    /// The managed policy that limits what the role can be allowed. Left out, it is left alone.
    permissions_boundary: Option<IdOf<Policy>>,
    /// How long a session of the role may last, between `"1h"` and `"12h"`.
    #[serde(default = "an_hour")]
    max_session_duration: Duration,
    /// Up to 1000 characters.
    #[serde(default)]
    description: String,
    /// More tags.
    #[serde(default)]
    tags: Tags,
    /// Takes over a role of this name that the stack does not own.
    #[serde(default)]
    adopt: bool,
    /// Leaves it in place when the run is rolled back.
    #[serde(default)]
    keep_on_rollback: bool,
}

fn root() -> String {
    "/".into()
}

fn an_hour() -> Duration {
    Duration::from_secs(3600)
}

/// What is kept of a created role.
#[derive(Serialize, Deserialize)]
struct Made {
    role_name: String,
    role_id: String,
    arn: String,
}

impl Operation for EnsureRole {
    const NAME: &'static str = "ensure_role";
    const AREA: &'static str = "IAM";
    const EXAMPLE: &'static str = r#"ensure_role(#{
    name: "web", trust: "ec2.amazonaws.com",
    managed_policy_arns: ["arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"],
})"#;

    type Options = Self;
    type Handle = Role;

    fn subject(options: &Self) -> String {
        options.name.clone()
    }

    async fn run(ctx: &Ctx, options: Self) -> Result<Role, Error> {
        options.check()?;
        let owned = Owned::new(ctx, &options.name, &options.tags)?;
        let name = owned.name_within(64);
        let (role, policies) = futures::join!(find(ctx, &name), inline_of(ctx, &options, &name)).together()?;
        let made = match role {
            Some(role) => converge(ctx, &options, &owned, &role, policies).await?,
            None => create(ctx, &options, &owned).await?,
        };
        Ok(Role { role_name: made.role_name, arn: made.arn, role_id: made.role_id, path: options.path })
    }
}

impl EnsureRole {
    fn check(&self) -> Result<(), Error> {
        check_path(&self.path)?;
        if !(3600..=43_200).contains(&self.max_session_duration.as_secs()) {
            let message = format!("expected between 1h and 12h, found {}", self.max_session_duration);
            return Err(Error::option("max_session_duration", message));
        }
        for (at, arn) in self.managed_policy_arns.iter().flatten().enumerate() {
            check_arn(&format!("managed_policy_arns[{at}]"), arn)?;
        }
        self.permissions_boundary.iter().try_for_each(|arn| check_arn("permissions_boundary", arn))
    }

    fn settings(&self) -> Value {
        settings(&self.description, Some(self.max_session_duration.as_secs()))
    }

    /// Inline and attached policies, against what is there.
    fn policies(&self, inline: &BTreeMap<String, Value>, attached: &[String]) -> Vec<Difference> {
        let mut all = Vec::new();
        if let Some(wanted) = &self.inline_policies {
            let names = wanted.keys().chain(inline.keys().filter(|name| !wanted.contains_key(*name)));
            all.extend(names.map(|name| Difference {
                aspect: Aspect::Inline(name.clone()),
                found: inline.get(name).cloned().unwrap_or_default(),
                wanted: wanted.get(name).map(|document| document.0.clone()).unwrap_or_default(),
            }));
        }
        if let Some(wanted) = &self.managed_policy_arns {
            let wanted: Vec<&str> = wanted.iter().map(IdOf::as_str).collect();
            let others = attached.iter().map(String::as_str).filter(|arn| !wanted.contains(arn));
            all.extend(wanted.iter().copied().chain(others).map(|arn| Difference {
                aspect: Aspect::Attached(arn.to_owned()),
                found: json!(attached.iter().any(|found| found == arn)),
                wanted: json!(wanted.contains(&arn)),
            }));
        }
        all.retain(Difference::is_one);
        all
    }
}

/// A path begins and ends with a slash.
pub(super) fn check_path(path: &str) -> Result<(), Error> {
    match path.starts_with('/') && path.ends_with('/') && path.len() <= 512 {
        true => Ok(()),
        false => Err(Error::option("path", format!("expected a path such as \"/shop/\", found {path:?}"))),
    }
}

fn check_arn(path: &str, arn: &IdOf<Policy>) -> Result<(), Error> {
    match arn.as_str().starts_with("arn:") {
        true => Ok(()),
        false => Err(Error::option(path, format!("expected the ARN of a policy, found {:?}", arn.as_str()))),
    }
}

pub(super) async fn find(ctx: &Ctx, name: &str) -> Result<Option<IamRole>, Error> {
    match ctx.read("iam:GetRole", || ctx.aws().iam.get_role().role_name(name).send()).await {
        Ok(reply) => Ok(reply.role),
        Err(error) if error.is(GONE) => Ok(None),
        Err(error) => Err(error),
    }
}

fn made(role: &IamRole) -> Made {
    Made { role_name: role.role_name.clone(), role_id: role.role_id.clone(), arn: role.arn.clone() }
}

async fn create(ctx: &Ctx, options: &EnsureRole, owned: &Owned) -> Result<Made, Error> {
    let name = owned.name_within(64);
    let declared = Mutation::new("iam:CreateRole", Class::Unique, format!("role {name}"))
        .look_up(&ROLE_BY_NAME, json!({ "name": name, "stack": owned.stack }))
        .undo(Undo::new(&DELETE_ROLE, format!("delete role {name}"), json!({})).keep(options.keep_on_rollback));
    let description = Some(options.description.clone()).filter(|text| !text.is_empty());
    let made = ctx
        .mutate(
            declared,
            |permit| {
                ctx.aws()
                    .iam
                    .create_role()
                    .role_name(&name)
                    .path(&options.path)
                    .assume_role_policy_document(options.trust.to_string())
                    .max_session_duration(options.max_session_duration.as_secs())
                    .set_description(description.clone())
                    .set_permissions_boundary(options.permissions_boundary.as_ref().map(ToString::to_string))
                    .set_tags(Some(to_iam(&owned.tags())))
                    .customize()
                    .interceptor(permit)
                    .send()
            },
            |reply| reply.role().map(made).ok_or(Error::Reply { call: "iam:CreateRole", member: "role" }),
        )
        .await?;
    let policies = options.policies(&BTreeMap::new(), &[]);
    all_of(policies.iter().map(|policy| policy.apply(ctx, &name, false))).await?;
    ctx.did(Change::Created, [set("role_name", name), set("arn", made.arn.clone())]);
    Ok(made)
}

/// The names of the inline policies there are, if it matters. A role that is not there has none.
async fn inline_of(ctx: &Ctx, options: &EnsureRole, role: &str) -> Result<Vec<String>, Error> {
    if options.inline_policies.is_none() {
        return Ok(Vec::new());
    }
    match inline_names(ctx, role).await {
        Err(error) if error.is(GONE) => Ok(Vec::new()),
        names => names,
    }
}

async fn converge(
    ctx: &Ctx,
    options: &EnsureRole,
    owned: &Owned,
    role: &IamRole,
    policies: Vec<String>,
) -> Result<Made, Error> {
    let name = role.role_name();
    let resource = format!("role {name}");
    let tags = from_iam(role.tags());
    owned.check(&resource, &tags, options.adopt)?;
    fixed(&resource, "path", role.path(), &options.path)?;
    let differences = differences(ctx, options, role, policies).await?;
    let mut fields = tagged::converge::<RoleTags>(ctx, name, owned, &tags).await?;
    for takes_away in [false, true] {
        let these = differences.iter().filter(|difference| difference.takes_away() == takes_away);
        all_of(these.map(|difference| difference.apply(ctx, name, true))).await?;
    }
    fields.extend(differences.iter().flat_map(Difference::fields));
    ctx.did(if fields.is_empty() { Change::Unchanged } else { Change::Updated }, fields);
    Ok(made(role))
}

async fn differences(
    ctx: &Ctx,
    options: &EnsureRole,
    role: &IamRole,
    policies: Vec<String>,
) -> Result<Vec<Difference>, Error> {
    let name = role.role_name();
    let (inline, attached) = futures::join!(
        async {
            let documents = all_of(policies.iter().map(|policy| inline(ctx, name, policy))).await?;
            Ok(policies.into_iter().zip(documents).collect::<BTreeMap<_, _>>())
        },
        async {
            match &options.managed_policy_arns {
                Some(_) => attached(ctx, name).await,
                None => Ok(Vec::new()),
            }
        },
    )
    .together()?;
    let boundary = options.permissions_boundary.as_ref().map(|arn| (Aspect::Boundary, json!(arn.as_str())));
    let whole = [(Aspect::Trust, options.trust.0.clone()), (Aspect::Settings, options.settings())];
    let mut all = Vec::new();
    for (aspect, wanted) in whole.into_iter().chain(boundary) {
        let found = aspect.of(role)?;
        all.push(Difference { aspect, found, wanted });
    }
    all.retain(Difference::is_one);
    all.extend(options.policies(&inline, &attached));
    Ok(all)
}

/// Finds a role by its name, which is unique in the account.
pub const ROLE_BY_NAME: LookUp =
    LookUp { name: "role_by_name", run: |ctx, arguments| Box::pin(role_by_name(ctx, arguments)) };

async fn role_by_name(ctx: &Ctx, wanted: Value) -> Result<Option<Value>, Error> {
    let wanted: BTreeMap<String, String> = arguments(wanted)?;
    let (Some(name), stack) = (wanted.get("name"), wanted.get("stack")) else { return Ok(None) };
    let role = find(ctx, name).await?.filter(|role| from_iam(role.tags()).get(STACK_TAG) == stack);
    Ok(role.map(|role| json!(made(&role))))
}

/// Deletes a role this run made, with all that is in it.
pub const DELETE_ROLE: UndoAction =
    UndoAction { name: "delete_role", run: |ctx, arguments| Box::pin(delete_role(ctx, arguments)) };

async fn delete_role(ctx: &Ctx, made: Value) -> Result<Undone, Error> {
    let Made { role_name: name, .. } = arguments(made)?;
    deleted(empty_and_delete(ctx, &name).await, GONE)
}

async fn empty_and_delete(ctx: &Ctx, name: &str) -> Result<(), Error> {
    let (inline, attached) = futures::join!(inline_names(ctx, name), attached(ctx, name)).together()?;
    let inline = inline.into_iter().map(|name| (Aspect::Inline(name), Value::Null));
    let attached = attached.into_iter().map(|arn| (Aspect::Attached(arn), json!(false)));
    let all: Vec<Difference> =
        inline.chain(attached).map(|(aspect, wanted)| Difference { aspect, found: Value::Null, wanted }).collect();
    all_of(all.iter().map(|difference| difference.apply(ctx, name, false))).await?;
    // IAM may not have heard everywhere that they are gone.
    let declared = Mutation::new("iam:DeleteRole", Class::Idempotent, format!("role {name}"))
        .patiently(&["DeleteConflict"], std::time::Duration::from_secs(60));
    ctx.change(declared, |permit| ctx.aws().iam.delete_role().role_name(name).customize().interceptor(permit).send())
        .await
}
