//! `ensure_instance_profile`: what carries a role onto instances.

use std::collections::BTreeMap;

use aws_sdk_iam::types::InstanceProfile as IamProfile;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    GONE, InstanceProfile, Role,
    ensure_role::check_path,
    tags::{ProfileTags, from_iam, to_iam},
};
use crate::{
    event::Change,
    ops::{
        Error, IdOf, Operation, Tags, arguments,
        outcome::{deleted, fixed},
        ownership::{Owned, STACK_TAG, changed, set},
        tagged,
    },
    run::{Class, Ctx, LookUp, Mutation, Undo, UndoAction, Undone},
};

/// Makes sure that the stack has an instance profile of this name with this role in it.
///
/// EC2 and Auto Scaling hear of a new one some ten seconds late; what is refused for that is sent again. The path
/// cannot be changed later.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EnsureInstanceProfile {
    /// What the stack calls it; IAM shows `<stack>-<name>`, cut to 128 characters.
    name: String,
    /// The role: its name, or what `ensure_role` returned.
    role_name: IdOf<Role>,
    /// A path such as `"/shop/"`.
    #[serde(default = "root")]
    path: String,
    /// More tags.
    #[serde(default)]
    tags: Tags,
    /// Takes over an instance profile of this name that the stack does not own.
    #[serde(default)]
    adopt: bool,
    /// Leaves it in place when the run is rolled back.
    #[serde(default)]
    keep_on_rollback: bool,
}

fn root() -> String {
    "/".into()
}

/// What is kept of an instance profile. EC2 and Auto Scaling name it in either way when they do not know it yet.
#[derive(Serialize, Deserialize)]
struct Made {
    instance_profile_name: String,
    instance_profile_id: String,
    arn: String,
}

impl Operation for EnsureInstanceProfile {
    const NAME: &'static str = "ensure_instance_profile";
    const AREA: &'static str = "IAM";
    const EXAMPLE: &'static str = r#"ensure_instance_profile(#{ name: "web", role_name: role })"#;

    type Options = Self;
    type Handle = InstanceProfile;

    fn subject(options: &Self) -> String {
        options.name.clone()
    }

    async fn run(ctx: &Ctx, options: Self) -> Result<InstanceProfile, Error> {
        check_path(&options.path)?;
        let owned = Owned::new(ctx, &options.name, &options.tags)?;
        let made = match find(ctx, &owned.name_within(128)).await? {
            Some(profile) => converge(ctx, &options, &owned, &profile).await?,
            None => create(ctx, &options, &owned).await?,
        };
        let Made { instance_profile_name, instance_profile_id, arn } = made;
        let role_name = options.role_name.into_string();
        Ok(InstanceProfile { instance_profile_name, arn, instance_profile_id, role_name })
    }
}

async fn find(ctx: &Ctx, name: &str) -> Result<Option<IamProfile>, Error> {
    let reply = ctx
        .read("iam:GetInstanceProfile", || ctx.aws().iam.get_instance_profile().instance_profile_name(name).send())
        .await;
    match reply {
        Ok(reply) => Ok(reply.instance_profile),
        Err(error) if error.is(GONE) => Ok(None),
        Err(error) => Err(error),
    }
}

fn made(profile: &IamProfile) -> Made {
    Made {
        instance_profile_name: profile.instance_profile_name().to_owned(),
        instance_profile_id: profile.instance_profile_id().to_owned(),
        arn: profile.arn().to_owned(),
    }
}

/// A profile holds one role at most.
fn role_of(profile: &IamProfile) -> Option<&str> {
    profile.roles().first().map(|role| role.role_name())
}

async fn create(ctx: &Ctx, options: &EnsureInstanceProfile, owned: &Owned) -> Result<Made, Error> {
    const CALL: &str = "iam:CreateInstanceProfile";
    let name = owned.name_within(128);
    let undo = Undo::new(&DELETE_INSTANCE_PROFILE, format!("delete instance profile {name}"), json!({}));
    let declared = Mutation::new(CALL, Class::Unique, format!("instance profile {name}"))
        .look_up(&INSTANCE_PROFILE_BY_NAME, json!({ "name": name, "stack": owned.stack }))
        .undo(undo.keep(options.keep_on_rollback));
    let made = ctx
        .mutate(
            declared,
            |permit| {
                let request = ctx.aws().iam.create_instance_profile().instance_profile_name(&name);
                let request = request.path(&options.path).set_tags(Some(to_iam(&owned.tags())));
                request.customize().interceptor(permit).send()
            },
            |reply| reply.instance_profile().map(made).ok_or(Error::Reply { call: CALL, member: "instanceProfile" }),
        )
        .await?;
    add_role(ctx, &made, options.role_name.as_str(), None).await?;
    let role = options.role_name.as_str();
    ctx.did(Change::Created, [set("instance_profile_name", name), set("role_name", role)]);
    Ok(made)
}

async fn converge(
    ctx: &Ctx,
    options: &EnsureInstanceProfile,
    owned: &Owned,
    profile: &IamProfile,
) -> Result<Made, Error> {
    let made = made(profile);
    let name = &made.instance_profile_name;
    let resource = format!("instance profile {name}");
    let tags = from_iam(profile.tags());
    owned.check(&resource, &tags, options.adopt)?;
    fixed(&resource, "path", profile.path(), &options.path)?;
    let mut fields = tagged::converge::<ProfileTags>(ctx, name, owned, &tags).await?;
    let (found, wanted) = (role_of(profile), options.role_name.as_str());
    if found != Some(wanted) {
        if let Some(found) = found {
            remove_role(ctx, name, found, Some(put_back(name, Some(found), None))).await?;
        }
        add_role(ctx, &made, wanted, Some(put_back(name, found, Some(wanted)))).await?;
        fields.push(changed("role_name", found, wanted));
    }
    ctx.did(if fields.is_empty() { Change::Unchanged } else { Change::Updated }, fields);
    Ok(made)
}

/// The role before is one value, however many calls change it.
fn put_back(name: &str, before: Option<&str>, ours: Option<&str>) -> Undo {
    let arguments = json!({ "name": name, "before": before, "ours": ours });
    Undo::new(&RESTORE_PROFILE_ROLE, format!("restore the role in instance profile {name}"), arguments)
        .key(format!("role in instance profile {name}"))
}

async fn add_role(ctx: &Ctx, profile: &Made, role: &str, undo: Option<Undo>) -> Result<(), Error> {
    let name = &profile.instance_profile_name;
    // Sent twice, it is refused: a profile holds one role.
    let mut declared = Mutation::new("iam:AddRoleToInstanceProfile", Class::Unique, format!("{role} in {name}"))
        .look_up(&ROLE_IN_PROFILE, json!({ "name": name, "role_name": role }));
    if let Some(undo) = undo {
        declared = declared.undo(undo);
    }
    let added = ctx.mutate(
        declared,
        |permit| {
            let request = ctx.aws().iam.add_role_to_instance_profile().instance_profile_name(name).role_name(role);
            request.customize().interceptor(permit).send()
        },
        // The profile counts as new: EC2 hears of the role as late as of the profile.
        |_| Ok(json!({ "instance_profile_name": name, "arn": profile.arn })),
    );
    added.await.map(drop)
}

async fn remove_role(ctx: &Ctx, name: &str, role: &str, undo: Option<Undo>) -> Result<(), Error> {
    let mut declared =
        Mutation::new("iam:RemoveRoleFromInstanceProfile", Class::Idempotent, format!("{role} in {name}"));
    if let Some(undo) = undo {
        declared = declared.undo(undo);
    }
    ctx.change(declared, |permit| {
        let request = ctx.aws().iam.remove_role_from_instance_profile().instance_profile_name(name).role_name(role);
        request.customize().interceptor(permit).send()
    })
    .await
}

/// Finds an instance profile by its name, which is unique in the account.
pub const INSTANCE_PROFILE_BY_NAME: LookUp = LookUp {
    name: "instance_profile_by_name",
    run: |ctx, arguments| Box::pin(instance_profile_by_name(ctx, arguments)),
};

async fn instance_profile_by_name(ctx: &Ctx, wanted: Value) -> Result<Option<Value>, Error> {
    let wanted: BTreeMap<String, String> = arguments(wanted)?;
    let (Some(name), stack) = (wanted.get("name"), wanted.get("stack")) else { return Ok(None) };
    let profile = find(ctx, name).await?.filter(|profile| from_iam(profile.tags()).get(STACK_TAG) == stack);
    Ok(profile.map(|profile| json!(made(&profile))))
}

/// Finds whether a role is in an instance profile.
pub const ROLE_IN_PROFILE: LookUp =
    LookUp { name: "role_in_instance_profile", run: |ctx, arguments| Box::pin(role_in_profile(ctx, arguments)) };

async fn role_in_profile(ctx: &Ctx, wanted: Value) -> Result<Option<Value>, Error> {
    let wanted: BTreeMap<String, String> = arguments(wanted)?;
    let Some(name) = wanted.get("name") else { return Ok(None) };
    let profile = find(ctx, name).await?;
    let role = wanted.get("role_name").map(String::as_str);
    let profile = profile.filter(|profile| role.is_some() && role_of(profile) == role);
    Ok(profile.map(|profile| json!({ "instance_profile_name": name, "arn": profile.arn() })))
}

/// Deletes an instance profile this run made.
pub const DELETE_INSTANCE_PROFILE: UndoAction = UndoAction {
    name: "delete_instance_profile",
    run: |ctx, arguments| Box::pin(delete_instance_profile(ctx, arguments)),
};

async fn delete_instance_profile(ctx: &Ctx, profile: Value) -> Result<Undone, Error> {
    let Made { instance_profile_name: name, .. } = arguments(profile)?;
    let Some(profile) = find(ctx, &name).await? else { return Ok(Undone::Already) };
    if let Some(role) = role_of(&profile) {
        remove_role(ctx, &name, role, None).await?;
    }
    let declared = Mutation::new("iam:DeleteInstanceProfile", Class::Idempotent, format!("instance profile {name}"))
        .patiently(&["DeleteConflict"], std::time::Duration::from_secs(60));
    let gone = ctx.change(declared, |permit| {
        let request = ctx.aws().iam.delete_instance_profile().instance_profile_name(&name);
        request.customize().interceptor(permit).send()
    });
    deleted(gone.await, GONE)
}

/// Puts the role back that was in an instance profile.
pub const RESTORE_PROFILE_ROLE: UndoAction =
    UndoAction { name: "restore_profile_role", run: |ctx, arguments| Box::pin(restore_profile_role(ctx, arguments)) };

#[derive(Deserialize)]
struct RestoreRole {
    name: String,
    before: Option<String>,
    ours: Option<String>,
}

async fn restore_profile_role(ctx: &Ctx, restore: Value) -> Result<Undone, Error> {
    let RestoreRole { name, before, ours } = arguments(restore)?;
    let Some(profile) = find(ctx, &name).await? else { return Ok(Undone::Already) };
    let found = role_of(&profile).map(str::to_owned);
    if found == before {
        return Ok(Undone::Already);
    }
    if found != ours {
        return Ok(Undone::Foreign(format!("expected role {ours:?}, found {found:?}")));
    }
    if let Some(role) = found {
        remove_role(ctx, &name, &role, None).await?;
    }
    if let Some(role) = before {
        add_role(ctx, &made(&profile), &role, None).await?;
    }
    Ok(Undone::Done)
}
