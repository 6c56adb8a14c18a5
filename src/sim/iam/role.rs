//! Roles, with their inline policies and the managed ones attached to them.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::document::{Grammar, check, decoded, encoded, size};
use super::*;

pub const ACTIONS: &[Action] = &[
    Action {
        name: "CreateRole",
        params: &["RoleName AssumeRolePolicyDocument Path Description MaxSessionDuration PermissionsBoundary", TAGS],
        run: create_role,
    },
    Action { name: "GetRole", params: &["RoleName"], run: get_role },
    Action { name: "ListRoles", params: &["PathPrefix", PAGES], run: list_roles },
    Action { name: "UpdateRole", params: &["RoleName Description MaxSessionDuration"], run: update_role },
    Action { name: "DeleteRole", params: &["RoleName"], run: delete_role },
    Action { name: "UpdateAssumeRolePolicy", params: &["RoleName PolicyDocument"], run: update_assume_role_policy },
    Action { name: "PutRolePermissionsBoundary", params: &["RoleName PermissionsBoundary"], run: put_boundary },
    Action { name: "DeleteRolePermissionsBoundary", params: &["RoleName"], run: delete_boundary },
    Action { name: "TagRole", params: &["RoleName", TAGS], run: tag_role },
    Action { name: "UntagRole", params: &["RoleName TagKeys[]"], run: untag_role },
    Action { name: "ListRoleTags", params: &["RoleName", PAGES], run: list_role_tags },
];

pub const POLICY_ACTIONS: &[Action] = &[
    Action { name: "PutRolePolicy", params: &["RoleName PolicyName PolicyDocument"], run: put_role_policy },
    Action { name: "GetRolePolicy", params: &["RoleName PolicyName"], run: get_role_policy },
    Action { name: "DeleteRolePolicy", params: &["RoleName PolicyName"], run: delete_role_policy },
    Action { name: "ListRolePolicies", params: &["RoleName", PAGES], run: list_role_policies },
    Action { name: "AttachRolePolicy", params: &["RoleName PolicyArn"], run: attach_role_policy },
    Action { name: "DetachRolePolicy", params: &["RoleName PolicyArn"], run: detach_role_policy },
    Action { name: "ListAttachedRolePolicies", params: &["RoleName PathPrefix", PAGES], run: list_attached },
];

/// Quotas of a new account ("IAM and AWS STS quotas").
const ATTACHED: usize = 10;
const TRUST_SIZE: usize = 2048;
const INLINE_SIZE: usize = 10_240;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Role {
    pub name: String,
    pub id: String,
    pub path: String,
    pub created: Timestamp,
    pub trust: String,
    pub description: Option<String>,
    pub max_session_duration: i64,
    pub boundary: Option<String>,
    pub inline: BTreeMap<String, String>,
    pub attached: BTreeSet<String>,
    pub tags: Tags,
}

resource!(Role, name, global.iam.roles, Extent::Row, |name| no_such_entity(format!(
    "The role with name {name} cannot be found."
)));

pub const CALLS: &[&str] =
    &["iam:GetRole", "iam:GetRolePolicy", "iam:ListAttachedRolePolicies", "iam:ListRolePolicies", "iam:ListRoles"];

/// A role with its policies and tags, or all roles as a list shows them.
pub fn load(reader: &Reader, name: Option<&str>, rows: &mut Rows) -> Result<(), AwsError> {
    let Some(name) = name else {
        let roles = reader.pages("iam", "ListRoles", json!({ "MaxItems": 1000 }), "Roles", TOKEN)?;
        roles.iter().for_each(|role| rows.listed(Read::of(read(role))));
        return Ok(());
    };
    let named = json!({ "RoleName": name });
    let absent = ["NoSuchEntity", "ValidationError"];
    let Some(reply) = reader.find("iam", "GetRole", named.clone(), &absent)? else { return Ok(()) };
    let shown = reply.part("Role");
    let mut role = read(&shown);
    let pages = |action, path| reader.pages("iam", action, named.clone(), path, TOKEN);
    for attached in pages("ListAttachedRolePolicies", "AttachedPolicies")? {
        role.attached.insert(attached.text("PolicyArn"));
    }
    for policy in pages("ListRolePolicies", "PolicyNames")?.iter().filter_map(|policy| policy.0.as_str()) {
        let params = json!({ "RoleName": name, "PolicyName": policy });
        let document = reader.get("iam", "GetRolePolicy", params)?.text("PolicyDocument");
        role.inline.insert(policy.to_owned(), decoded(&document));
    }
    rows.whole(Read::of(role).shown(&shown));
    Ok(())
}

fn read(shown: &Params) -> Role {
    Role {
        name: shown.text("RoleName"),
        id: shown.text("RoleId"),
        path: shown.text("Path"),
        created: shown.time("CreateDate"),
        trust: decoded(&shown.text("AssumeRolePolicyDocument")),
        description: shown.opt_str("Description").map(str::to_owned),
        max_session_duration: shown.number("MaxSessionDuration", 3600),
        boundary: shown.opt_str("PermissionsBoundary.PermissionsBoundaryArn").map(str::to_owned),
        inline: BTreeMap::new(),
        attached: BTreeSet::new(),
        tags: shown.map("Tags", "Key", "Value"),
    }
}

impl Role {
    pub fn view(&self, tx: &Tx) -> Value {
        json!({
            "Path": self.path,
            "RoleName": self.name,
            "RoleId": self.id,
            "Arn": tx.global_arn("iam", &format!("role{}{}", self.path, self.name)),
            "CreateDate": time(self.created),
            "AssumeRolePolicyDocument": encoded(&self.trust),
            "Description": self.description,
            "MaxSessionDuration": self.max_session_duration,
        })
    }

    /// With what lists leave out.
    fn whole(&self, tx: &Tx) -> Value {
        let mut view = self.view(tx);
        view["Tags"] = tag_list(&self.tags);
        view["RoleLastUsed"] = json!({});
        if let Some(arn) = &self.boundary {
            view["PermissionsBoundary"] = json!({ "PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": arn });
        }
        view
    }
}

fn role<'t>(tx: &'t mut Tx, p: &Params) -> Result<&'t mut Role, AwsError> {
    tx.get_mut::<Role>(p.str("RoleName")?)
}

fn create_role(tx: &mut Tx, p: &Params) -> Reply {
    let name = name(p, "RoleName", 64)?;
    if tx.all::<Role>().any(|role| role.name.eq_ignore_ascii_case(name)) {
        return Err(exists(&format!("Role with name {name}")));
    }
    check_unique(&p.list("Tags"), str::eq_ignore_ascii_case)?;
    let role = Role {
        name: name.to_owned(),
        id: new_id(tx, "AROA"),
        path: path(p)?.to_owned(),
        created: tx.now,
        trust: trust(tx, p.str("AssumeRolePolicyDocument")?)?,
        description: description(p)?,
        max_session_duration: max_session_duration(p)?.unwrap_or(3600),
        boundary: p.opt_str("PermissionsBoundary").map(|arn| boundary(tx, arn)).transpose()?,
        inline: BTreeMap::new(),
        attached: BTreeSet::new(),
        tags: new_tags(p)?,
    };
    let view = role.whole(tx);
    tx.put(role);
    Ok(json!({ "Role": view }))
}

fn trust(tx: &Tx, document: &str) -> Result<String, AwsError> {
    check(tx, document, Grammar::Trust)?;
    if size(document) > TRUST_SIZE {
        return Err(limit(format!("Cannot exceed quota for ACLSizePerRole: {TRUST_SIZE}")));
    }
    Ok(document.to_owned())
}

fn description(p: &Params) -> Result<Option<String>, AwsError> {
    let description = p.opt_str("Description").filter(|text| !text.is_empty());
    match description {
        Some(text) if text.chars().count() > 1000 => {
            Err(constraint("Description", text, "have length less than or equal to 1000"))
        }
        _ => Ok(description.map(str::to_owned)),
    }
}

fn max_session_duration(p: &Params) -> Result<Option<i64>, AwsError> {
    let seconds = p.opt_int("MaxSessionDuration")?;
    match seconds {
        Some(seconds) if !(3600..=43_200).contains(&seconds) => {
            let wanted = "have value between 3600 and 43200";
            Err(constraint("MaxSessionDuration", &seconds.to_string(), wanted))
        }
        _ => Ok(seconds),
    }
}

fn boundary(tx: &Tx, arn: &str) -> Result<String, AwsError> {
    policy::attachable(tx, arn)?;
    Ok(arn.to_owned())
}

fn get_role(tx: &mut Tx, p: &Params) -> Reply {
    let role = tx.get::<Role>(p.str("RoleName")?)?;
    Ok(json!({ "Role": tx.shown(role, Role::whole) }))
}

fn list_roles(tx: &mut Tx, p: &Params) -> Reply {
    let prefix = p.opt_str("PathPrefix").unwrap_or("/");
    let roles = tx.select::<Role>(&[])?.into_iter().filter(|role| role.path.starts_with(prefix)).collect();
    page(p, "Roles", roles, |role: &&Role| &role.name, |role| role.view(tx))
}

/// Only what is given is changed.
fn update_role(tx: &mut Tx, p: &Params) -> Reply {
    let (description, seconds) = (description(p)?, max_session_duration(p)?);
    let role = role(tx, p)?;
    if p.has("Description") {
        role.description = description;
    }
    if let Some(seconds) = seconds {
        role.max_session_duration = seconds;
    }
    // The model has an output for it, without members.
    Ok(json!({}))
}

fn delete_role(tx: &mut Tx, p: &Params) -> Reply {
    let name = p.str("RoleName")?;
    let role = tx.get::<Role>(name)?;
    let used = tx.all::<InstanceProfile>().any(|profile| profile.role() == Some(name));
    let why = match role {
        _ if used => "must remove roles from instance profile first.",
        Role { attached, .. } if !attached.is_empty() => "must detach all policies first.",
        Role { inline, .. } if !inline.is_empty() => "must delete policies first.",
        _ => {
            tx.delete::<Role>(name);
            return done();
        }
    };
    Err(conflict("DeleteConflict", format!("Cannot delete entity, {why}")))
}

fn update_assume_role_policy(tx: &mut Tx, p: &Params) -> Reply {
    let document = trust(tx, p.str("PolicyDocument")?)?;
    role(tx, p)?.trust = document;
    done()
}

fn put_boundary(tx: &mut Tx, p: &Params) -> Reply {
    let arn = boundary(tx, p.str("PermissionsBoundary")?)?;
    role(tx, p)?.boundary = Some(arn);
    done()
}

fn delete_boundary(tx: &mut Tx, p: &Params) -> Reply {
    let role = role(tx, p)?;
    if role.boundary.take().is_none() {
        return Err(no_such_entity(format!("Role {} does not have a permissions boundary.", role.name)));
    }
    done()
}

fn tag_role(tx: &mut Tx, p: &Params) -> Reply {
    let role = role(tx, p)?;
    // "You cannot have separate Department and department tag keys": the new one replaces the old.
    let given = p.list("Tags");
    check_unique(&given, str::eq_ignore_ascii_case)?;
    role.tags.retain(|key, _| !given.iter().any(|tag| tag.text("Key").eq_ignore_ascii_case(key)));
    add_tags(&mut role.tags, p)?;
    done()
}

fn untag_role(tx: &mut Tx, p: &Params) -> Reply {
    remove_tags(&mut role(tx, p)?.tags, p);
    done()
}

fn list_role_tags(tx: &mut Tx, p: &Params) -> Reply {
    let tags = role(tx, p)?.tags.iter().collect();
    page(p, "Tags", tags, |(key, _)| key, |(key, value)| json!({ "Key": key, "Value": value }))
}

fn put_role_policy(tx: &mut Tx, p: &Params) -> Reply {
    let (name, document) = (name(p, "PolicyName", 128)?, p.str("PolicyDocument")?);
    check(tx, document, Grammar::Identity)?;
    let role = role(tx, p)?;
    role.inline.insert(name.to_owned(), document.to_owned());
    if role.inline.values().map(|document| size(document)).sum::<usize>() > INLINE_SIZE {
        let message = format!("Maximum policy size of {INLINE_SIZE} bytes exceeded for role {}", role.name);
        return Err(limit(message));
    }
    done()
}

fn no_inline(name: &str) -> AwsError {
    no_such_entity(format!("The role policy with name {name} cannot be found."))
}

fn get_role_policy(tx: &mut Tx, p: &Params) -> Reply {
    let (role, name) = (role(tx, p)?, p.str("PolicyName")?);
    let document = role.inline.get(name).ok_or_else(|| no_inline(name))?;
    Ok(json!({ "RoleName": role.name, "PolicyName": name, "PolicyDocument": encoded(document) }))
}

fn delete_role_policy(tx: &mut Tx, p: &Params) -> Reply {
    let name = p.str("PolicyName")?;
    role(tx, p)?.inline.remove(name).ok_or_else(|| no_inline(name))?;
    done()
}

fn list_role_policies(tx: &mut Tx, p: &Params) -> Reply {
    let names = role(tx, p)?.inline.keys().collect();
    page(p, "PolicyNames", names, |name| name, |name| json!(name))
}

fn attach_role_policy(tx: &mut Tx, p: &Params) -> Reply {
    let arn = p.str("PolicyArn")?;
    policy::attachable(tx, arn)?;
    let role = role(tx, p)?;
    role.attached.insert(arn.to_owned());
    if role.attached.len() > ATTACHED {
        return Err(limit(format!("Cannot exceed quota for PoliciesPerRole: {ATTACHED}")));
    }
    done()
}

fn detach_role_policy(tx: &mut Tx, p: &Params) -> Reply {
    let arn = p.str("PolicyArn")?;
    if !role(tx, p)?.attached.remove(arn) {
        return Err(no_such_entity(format!("Policy {arn} was not found.")));
    }
    done()
}

fn list_attached(tx: &mut Tx, p: &Params) -> Reply {
    let prefix = p.opt_str("PathPrefix").unwrap_or("/");
    let in_path = |arn: &&String| {
        let path = arn.split_once(":policy").map_or("", |(_, path)| path);
        path.starts_with(prefix)
    };
    let arns = role(tx, p)?.attached.iter().filter(in_path).collect();
    let view = |arn: &&String| json!({ "PolicyName": arn.rsplit('/').next(), "PolicyArn": arn });
    page(p, "AttachedPolicies", arns, |arn| arn, view)
}
