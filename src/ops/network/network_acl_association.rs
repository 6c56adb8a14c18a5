//! Which network ACL a subnet has: always one, at first the default one of the VPC.
//!
//! An association cannot be tagged. It belongs to who owns the ACL it is with: a subnet that has an ACL of somebody
//! else, the default one aside, is only taken with `adopt`.

use std::collections::BTreeMap;

use aws_sdk_ec2::types as ec2;
use serde::{Deserialize, Serialize};

use super::{
    common::filter,
    read,
    setting::{self, Setting, Undoing},
};
use crate::{
    event::Field,
    ops::{
        Error, all_of, ec2_tags,
        ownership::{Owned, changed},
    },
    run::{Ctx, LookUp, Mutation, UndoAction},
};

/// The subnets that should have an ACL, or nothing when that is left alone.
pub struct Wanted<'a> {
    pub subnets: Option<&'a [String]>,
    pub owned: &'a Owned,
    pub adopt: bool,
    pub undoing: Undoing,
}

/// The use of an ACL, known by the ACL.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Use {
    network_acl_id: String,
    /// AWS's handle on it, another one after each change.
    #[serde(skip)]
    association_id: String,
}

impl PartialEq for Use {
    fn eq(&self, other: &Self) -> bool {
        self.network_acl_id == other.network_acl_id
    }
}

fn by_subnet(acls: &[ec2::NetworkAcl]) -> BTreeMap<String, Use> {
    let one = |association: &ec2::NetworkAclAssociation| {
        let association_id = association.network_acl_association_id()?.to_owned();
        let network_acl_id = association.network_acl_id()?.to_owned();
        Some((association.subnet_id()?.to_owned(), Use { network_acl_id, association_id }))
    };
    acls.iter().flat_map(ec2::NetworkAcl::associations).filter_map(one).collect()
}

/// Refuses to take subnets from ACLs of others.
pub fn check(acls: &[ec2::NetworkAcl], wanted: &Wanted<'_>) -> Result<(), Error> {
    let present = by_subnet(acls);
    for subnet in wanted.subnets.unwrap_or_default() {
        let Some(Use { network_acl_id, .. }) = present.get(subnet) else {
            let hint = "a network ACL is for subnets of its own VPC".to_owned();
            return Err(Error::NotFound { what: format!("{subnet} in the VPC"), hint: Some(hint) });
        };
        let acl = acls.iter().find(|acl| acl.network_acl_id() == Some(network_acl_id));
        if let Some(acl) = acl.filter(|acl| acl.is_default() != Some(true)) {
            let resource = format!("the use of {network_acl_id} by {subnet}");
            wanted.owned.check(&resource, &ec2_tags::from_ec2(acl.tags()), wanted.adopt)?;
        }
    }
    Ok(())
}

/// Makes the subnets that have `acl` the wanted ones, which were checked. Those that no longer should get the default
/// one. Returns what changed.
pub async fn converge(
    ctx: &Ctx,
    acl: &str,
    acls: &[ec2::NetworkAcl],
    wanted: &Wanted<'_>,
) -> Result<Vec<Field>, Error> {
    let Some(subnets) = wanted.subnets else { return Ok(Vec::new()) };
    let present = by_subnet(acls);
    let default = acls.iter().find(|acl| acl.is_default() == Some(true)).and_then(|acl| acl.network_acl_id());
    let changes = present.iter().filter_map(|(subnet, used)| {
        let ours = match subnets.contains(subnet) {
            true => acl,
            false if used.network_acl_id == acl => default?,
            false => return None,
        };
        let ours = Use { network_acl_id: ours.to_owned(), association_id: String::new() };
        (*used != ours).then_some((subnet, used, ours))
    });
    let changes: Vec<_> = changes.collect();
    all_of(changes.iter().map(async |(subnet, before, ours)| {
        let setting = AclOf { subnet_id: (*subnet).clone() };
        setting::set(ctx, &setting, before, ours, wanted.undoing).await
    }))
    .await?;
    let field = |(subnet, before, ours): (&String, &Use, Use)| {
        changed(&format!("network_acl_of.{subnet}"), before.network_acl_id.clone(), ours.network_acl_id)
    };
    Ok(changes.into_iter().map(field).collect())
}

/// The ACL that a subnet has.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct AclOf {
    subnet_id: String,
}

impl Setting for AclOf {
    type Value = Use;
    const LOOK_UP: &'static LookUp = &NETWORK_ACL_ASSOCIATION_IS_SET;
    const UNDO: &'static UndoAction = &RESTORE_NETWORK_ACL_ASSOCIATION;

    fn subject(&self) -> String {
        format!("network acl of {}", self.subnet_id)
    }

    async fn now(&self, ctx: &Ctx, ours: &Use) -> Result<Option<Use>, Error> {
        let acl = read::network_acl(ctx, &ours.network_acl_id).await?;
        if let Some(used) = acl.and_then(|acl| by_subnet(&[acl]).remove(&self.subnet_id)) {
            return Ok(Some(used));
        }
        let acls = read::network_acls(ctx, &[], &[filter("association.subnet-id", &self.subnet_id)]).await?;
        Ok(by_subnet(&acls).remove(&self.subnet_id))
    }

    async fn send(
        &self,
        ctx: &Ctx,
        from: &Use,
        to: &Use,
        declare: impl FnOnce(&'static str) -> Mutation,
    ) -> Result<(), Error> {
        ctx.change(declare("ec2:ReplaceNetworkAclAssociation"), |permit| {
            let request = ctx.aws().ec2.replace_network_acl_association();
            let request = request.association_id(&from.association_id).network_acl_id(&to.network_acl_id);
            request.customize().interceptor(permit).send()
        })
        .await
    }
}

/// Finds out whether a subnet got the declared ACL.
pub const NETWORK_ACL_ASSOCIATION_IS_SET: LookUp = LookUp {
    name: "network_acl_association_is_set",
    run: |ctx, change| Box::pin(setting::is_set::<AclOf>(ctx, change)),
};

/// Gives a subnet its old ACL back.
pub const RESTORE_NETWORK_ACL_ASSOCIATION: UndoAction = UndoAction {
    name: "restore_network_acl_association",
    run: |ctx, change| Box::pin(setting::restore::<AclOf>(ctx, change)),
};
