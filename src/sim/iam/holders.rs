//! Who has a managed policy. Without a fork the roles tell; in a fork not every role was read.

use std::collections::BTreeMap;

use super::*;

/// Roles by name, with their ids, and how many users and groups.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Holders {
    attached: BTreeMap<String, String>,
    boundaries: BTreeMap<String, String>,
    pub others: usize,
}

impl Holders {
    pub fn is_empty(&self) -> bool {
        *self == Holders::default()
    }

    /// So many, of whom nothing else is known.
    pub fn unknown(count: i64) -> Holders {
        Holders { others: usize::try_from(count).unwrap_or_default(), ..Holders::default() }
    }

    /// Reads who has a policy, which is shown with how many.
    pub fn load(reader: &Reader, arn: &str, shown: &Params) -> Result<Holders, AwsError> {
        let mut holders = Holders::default();
        if shown.number("AttachmentCount", 0) > 0 {
            (holders.attached, holders.others) = self::holders(reader, arn, "PermissionsPolicy")?;
        }
        if shown.number("PermissionsBoundaryUsageCount", 0) > 0 {
            holders.boundaries = self::holders(reader, arn, "PermissionsBoundary")?.0;
        }
        Ok(holders)
    }
}

fn holders(reader: &Reader, arn: &str, usage: &str) -> Result<(BTreeMap<String, String>, usize), AwsError> {
    let (mut roles, mut others) = (BTreeMap::new(), 0);
    let params = json!({ "PolicyArn": arn, "PolicyUsageFilter": usage, "MaxItems": 1000 });
    reader.each_page("iam", "ListEntitiesForPolicy", params, TOKEN, |page| {
        roles.extend(page.map("PolicyRoles", "RoleName", "RoleId"));
        others += page.list("PolicyUsers").len() + page.list("PolicyGroups").len();
    })?;
    Ok((roles, others))
}

/// The roles that have a policy attached: names and ids.
pub fn attachments(tx: &Tx, arn: &str) -> BTreeMap<String, String> {
    holding(tx, arn, |role| role.attached.contains(arn), |held_by| &held_by.attached)
}

/// The roles whose permissions boundary it is.
pub fn boundaries(tx: &Tx, arn: &str) -> BTreeMap<String, String> {
    holding(tx, arn, |role| role.boundary.as_deref() == Some(arn), |held_by| &held_by.boundaries)
}

/// Of roles that were not read themselves, the policy's word stands.
fn holding(
    tx: &Tx,
    arn: &str,
    has: impl Fn(&Role) -> bool,
    read: fn(&Holders) -> &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let known = tx.all::<Role>().filter(|role| has(role)).map(|role| (role.name.clone(), role.id.clone()));
    let unread = tx.glance::<Policy>(arn).into_iter().flat_map(|policy| read(&policy.held_by));
    let unread = unread.filter(|(name, _)| !tx.is_known::<Role>(name));
    unread.map(|(name, id)| (name.clone(), id.clone())).chain(known).collect()
}
