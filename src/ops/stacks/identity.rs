//! Roles, policies and instance profiles of a stack. Lists have no tags: those whose names begin as the stack's do are looked at.

use serde_json::json;

use super::{Belonging, Rank, tagged};
use crate::{
    ops::{
        Error, Together,
        identity::{
            ensure_instance_profile::DELETE_INSTANCE_PROFILE,
            ensure_policy::DELETE_POLICY,
            ensure_role::DELETE_ROLE,
            tags::{PolicyTags, ProfileTags, RoleTags},
        },
    },
    run::Ctx,
};

/// What the stack owns.
pub async fn of_stack(ctx: &Ctx, stack: &str) -> Result<Vec<Belonging>, Error> {
    let prefix = format!("{stack}-");
    let (roles, policies, profiles) =
        futures::join!(roles(ctx, &prefix), policies(ctx, &prefix), profiles(ctx, &prefix)).together()?;
    Ok([roles, policies, profiles].into_iter().flatten().collect())
}

async fn roles(ctx: &Ctx, prefix: &str) -> Result<Vec<Belonging>, Error> {
    let all = ctx
        .read("iam:ListRoles", || {
            ctx.aws().iam.list_roles().into_paginator().items().send().collect::<Result<Vec<_>, _>>()
        })
        .await?;
    let names = all.iter().map(|role| role.role_name()).filter(|name| name.starts_with(prefix));
    let found = tagged::<RoleTags>(ctx, names.map(str::to_owned), str::to_owned).await?;
    let found = found.into_iter().filter_map(|(name, tags)| {
        let found =
            Belonging::tagged(&tags, "IAM role", &name, Rank::Roles, ("iam:DeleteRole", "RoleName"))?.named(&name);
        // Its id and ARN are nothing to a deletion.
        Some(found.gone_by(&DELETE_ROLE, json!({ "role_name": name, "role_id": "", "arn": "" })))
    });
    Ok(found.collect())
}

async fn policies(ctx: &Ctx, prefix: &str) -> Result<Vec<Belonging>, Error> {
    let all = ctx
        .read("iam:ListPolicies", || {
            let request = ctx.aws().iam.list_policies().scope(aws_sdk_iam::types::PolicyScopeType::Local);
            request.into_paginator().items().send().collect::<Result<Vec<_>, _>>()
        })
        .await?;
    let named = all.iter().filter(|policy| policy.policy_name().is_some_and(|name| name.starts_with(prefix)));
    let arns = named.filter_map(|policy| policy.arn().map(str::to_owned));
    let found = tagged::<PolicyTags>(ctx, arns, str::to_owned).await?;
    let found = found.into_iter().filter_map(|(arn, tags)| {
        let name = arn.rsplit('/').next().unwrap_or_default().to_owned();
        let found = Belonging::tagged(&tags, "IAM policy", &arn, Rank::Policies, ("iam:DeletePolicy", "PolicyArn"))?
            .named(&name);
        Some(found.gone_by(&DELETE_POLICY, json!({ "arn": arn, "policy_name": name, "policy_id": "" })))
    });
    Ok(found.collect())
}

async fn profiles(ctx: &Ctx, prefix: &str) -> Result<Vec<Belonging>, Error> {
    let all = ctx
        .read("iam:ListInstanceProfiles", || {
            ctx.aws().iam.list_instance_profiles().into_paginator().items().send().collect::<Result<Vec<_>, _>>()
        })
        .await?;
    let names = all.iter().map(|profile| profile.instance_profile_name()).filter(|name| name.starts_with(prefix));
    let found = tagged::<ProfileTags>(ctx, names.map(str::to_owned), str::to_owned).await?;
    let found = found.into_iter().filter_map(|(name, tags)| {
        let found = Belonging::tagged(
            &tags,
            "instance profile",
            &name,
            Rank::Profiles,
            ("iam:DeleteInstanceProfile", "InstanceProfileName"),
        )?
        .named(&name);
        let arguments = json!({ "instance_profile_name": name, "instance_profile_id": "", "arn": "" });
        Some(found.gone_by(&DELETE_INSTANCE_PROFILE, arguments))
    });
    Ok(found.collect())
}
