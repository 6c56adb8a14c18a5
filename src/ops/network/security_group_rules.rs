//! Changes the rules of a security group, and changes them back.
//!
//! Rules that are added, removed or described anew go in one call each, because EC2 allows few of these calls a
//! second. They are still undone one by one: what somebody else has changed since is left alone.

use std::collections::BTreeSet;

use aws_sdk_ec2::types::{Filter, SecurityGroup};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    read,
    security_group_rule::{Details, Permission, Rules, of_group, to_ec2},
};
use crate::{
    event::Field,
    ops::{Error, Together, all_of, arguments},
    run::{Class, Ctx, LookUp, Mutation, Undo, UndoAction, Undone},
};

/// The rules of one direction of a group.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Direction {
    pub group_id: String,
    pub egress: bool,
}

/// One rule that is changed.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Change {
    permission: Permission,
    before: Option<Details>,
    ours: Option<Details>,
}

/// What look-up and undo get.
#[derive(Serialize, Deserialize)]
struct Changes {
    #[serde(flatten)]
    direction: Direction,
    changes: Vec<Change>,
}

impl Direction {
    /// Makes `wanted` of `found`. `undone` is whether that gets undos: the rules of a new group need none. Returns what
    /// changed.
    pub async fn converge(&self, ctx: &Ctx, found: &Rules, wanted: &Rules, undone: bool) -> Result<Vec<Field>, Error> {
        let permissions: BTreeSet<&Permission> = found.keys().chain(wanted.keys()).collect();
        let changes = permissions.into_iter().map(|permission| Change {
            permission: permission.clone(),
            before: found.get(permission).cloned(),
            ours: wanted.get(permission).cloned(),
        });
        let changes: Vec<Change> = changes.filter(|change| change.before != change.ours).collect();
        self.apply(ctx, &changes, undone).await?;
        let text = |details: &Details| details.description.clone().unwrap_or_else(|| "allowed".to_owned());
        let direction = self.name();
        let field = |change: Change| Field {
            name: format!("{direction}.{}", change.permission),
            before: change.before.as_ref().map(|before| json!(text(before))),
            after: json!(change.ours.as_ref().map(text)),
        };
        Ok(changes.into_iter().map(field).collect())
    }

    /// First lets in what is new, then shuts out what is not wanted: what both allow is never interrupted.
    async fn apply(&self, ctx: &Ctx, changes: &[Change], undone: bool) -> Result<(), Error> {
        futures::join!(self.send(ctx, What::Added, changes, undone), self.send(ctx, What::Described, changes, undone),)
            .together()?;
        self.send(ctx, What::Removed, changes, undone).await
    }

    /// Sends the changes of one sort, if there are any. Sent again, they are refused: so they are looked up.
    async fn send(&self, ctx: &Ctx, what: What, changes: &[Change], undone: bool) -> Result<(), Error> {
        let changes: Vec<Change> = changes.iter().filter(|change| change.what() == what).cloned().collect();
        if changes.is_empty() {
            return Ok(());
        }
        let permissions = to_ec2(&changes.iter().map(Change::to_send).collect());
        let subject = format!("{} rules of {}", self.name(), self.group_id);
        let data = json!(Changes { direction: self.clone(), changes });
        let declare = |call| {
            let declared =
                Mutation::new(call, Class::Unique, &subject).look_up(&SECURITY_GROUP_RULES_ARE_SET, data.clone());
            match undone {
                true => {
                    declared.undo(Undo::new(&RESTORE_SECURITY_GROUP_RULES, format!("restore {subject}"), data.clone()))
                }
                false => declared,
            }
        };
        macro_rules! call {
            ($name:literal, $request:ident) => {
                ctx.change(declare($name), |permit| {
                    let request = ctx.aws().ec2.$request().group_id(&self.group_id);
                    request.set_ip_permissions(Some(permissions.clone())).customize().interceptor(permit).send()
                })
                .await
            };
        }
        match (what, self.egress) {
            (What::Added, false) => call!("ec2:AuthorizeSecurityGroupIngress", authorize_security_group_ingress),
            (What::Added, true) => call!("ec2:AuthorizeSecurityGroupEgress", authorize_security_group_egress),
            (What::Removed, false) => call!("ec2:RevokeSecurityGroupIngress", revoke_security_group_ingress),
            (What::Removed, true) => call!("ec2:RevokeSecurityGroupEgress", revoke_security_group_egress),
            (What::Described, false) => {
                call!("ec2:UpdateSecurityGroupRuleDescriptionsIngress", update_security_group_rule_descriptions_ingress)
            }
            (What::Described, true) => {
                call!("ec2:UpdateSecurityGroupRuleDescriptionsEgress", update_security_group_rule_descriptions_egress)
            }
        }
    }

    fn name(&self) -> &'static str {
        if self.egress { "egress" } else { "ingress" }
    }
}

/// Takes away the rules of these groups that name a group, so that none of them keeps another one.
///
/// # Errors
/// If AWS refuses.
pub async fn revoke_references(ctx: &Ctx, groups: &[String]) -> Result<(), Error> {
    // By a filter: asked by ids, EC2 refuses all if lists still show one that is gone. It takes "up to 200 values".
    let read = groups.chunks(200).map(async |some| {
        let ids = Filter::builder().name("group-id").set_values(Some(some.to_vec())).build();
        read::security_groups(ctx, &[], &[ids]).await
    });
    let groups: Vec<SecurityGroup> = all_of(read).await?.into_iter().flatten().collect();
    let revoke = async |group: &SecurityGroup| {
        for egress in [false, true] {
            let found = of_group(group, egress);
            let kept = found.iter().filter(|(permission, _)| !permission.names_a_group());
            let kept: Rules = kept.map(|(permission, details)| (permission.clone(), details.clone())).collect();
            let group_id = group.group_id().unwrap_or_default().to_owned();
            Direction { group_id, egress }.converge(ctx, &found, &kept, false).await?;
        }
        Ok(())
    };
    all_of(groups.iter().map(revoke)).await.map(drop)
}

#[derive(Clone, Copy, PartialEq)]
enum What {
    Added,
    Described,
    Removed,
}

impl Change {
    fn what(&self) -> What {
        match (&self.before, &self.ours) {
            (None, _) => What::Added,
            (Some(_), Some(_)) => What::Described,
            (Some(_), None) => What::Removed,
        }
    }

    /// The rule as it should be, or as it was: to remove it, AWS wants no description.
    fn to_send(&self) -> (Permission, Details) {
        let user_id = self.before.as_ref().and_then(|before| before.user_id.clone());
        let description = self.ours.as_ref().and_then(|ours| ours.description.clone());
        (self.permission.clone(), Details { description, user_id })
    }
}

/// Finds out whether rules were changed as declared.
pub const SECURITY_GROUP_RULES_ARE_SET: LookUp = LookUp {
    name: "security_group_rules_are_set",
    run: |ctx, changes| Box::pin(security_group_rules_are_set(ctx, changes)),
};

async fn security_group_rules_are_set(ctx: &Ctx, changes: Value) -> Result<Option<Value>, Error> {
    let Changes { direction, changes } = arguments(changes)?;
    let Some(group) = read::security_group(ctx, &direction.group_id).await? else { return Ok(None) };
    let now = of_group(&group, direction.egress);
    let are_set = changes.iter().all(|change| now.get(&change.permission) == change.ours.as_ref());
    Ok(are_set.then_some(Value::Null))
}

/// Restores changed rules, except those that somebody else has changed since.
pub const RESTORE_SECURITY_GROUP_RULES: UndoAction = UndoAction {
    name: "restore_security_group_rules",
    run: |ctx, changes| Box::pin(restore_security_group_rules(ctx, changes)),
};

async fn restore_security_group_rules(ctx: &Ctx, changes: Value) -> Result<Undone, Error> {
    let Changes { direction, changes } = arguments(changes)?;
    let Some(group) = read::security_group(ctx, &direction.group_id).await? else { return Ok(Undone::Already) };
    let mut now = of_group(&group, direction.egress);
    let (mut back, mut foreign) = (Vec::new(), Vec::new());
    for Change { permission, before, ours } in changes {
        let found = now.remove(&permission);
        if found == before {
            continue;
        }
        match found == ours {
            true => back.push(Change { permission, before: found, ours: before }),
            false => foreign.push(permission.to_string()),
        }
    }
    direction.apply(ctx, &back, false).await?;
    match (foreign.is_empty(), back.is_empty()) {
        (false, _) => Ok(Undone::Foreign(format!("somebody else changed {}", foreign.join(", ")))),
        (true, true) => Ok(Undone::Already),
        (true, false) => Ok(Undone::Done),
    }
}
