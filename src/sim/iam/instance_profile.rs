//! Instance profiles: what carries one role onto instances.

use std::time::Duration;

use jiff::Timestamp;

use super::*;

pub const ACTIONS: &[Action] = &[
    Action { name: "CreateInstanceProfile", params: &["InstanceProfileName Path", TAGS], run: create_profile },
    Action { name: "GetInstanceProfile", params: &["InstanceProfileName"], run: get_profile },
    Action { name: "ListInstanceProfiles", params: &["PathPrefix", PAGES], run: list_profiles },
    Action { name: "ListInstanceProfilesForRole", params: &["RoleName", PAGES], run: list_profiles_for_role },
    Action { name: "DeleteInstanceProfile", params: &["InstanceProfileName"], run: delete_profile },
    Action { name: "AddRoleToInstanceProfile", params: &["InstanceProfileName RoleName"], run: add_role },
    Action { name: "RemoveRoleFromInstanceProfile", params: &["InstanceProfileName RoleName"], run: remove_role },
    Action { name: "TagInstanceProfile", params: &["InstanceProfileName", TAGS], run: tag_profile },
    Action { name: "UntagInstanceProfile", params: &["InstanceProfileName TagKeys[]"], run: untag_profile },
    Action { name: "ListInstanceProfileTags", params: &["InstanceProfileName", PAGES], run: list_profile_tags },
];

/// How long EC2 and Auto Scaling take to hear of a profile or of its role. terraform-provider-aws waits up to two
/// minutes for it; about ten seconds is usual.
const PROPAGATION: Duration = Duration::from_secs(10);

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct InstanceProfile {
    pub name: String,
    pub id: String,
    pub path: String,
    pub created: Timestamp,
    role: Option<String>,
    known_from: Timestamp,
    pub tags: Tags,
}

resource!(InstanceProfile, name, global.iam.instance_profiles, Extent::Row, |name| no_such_entity(format!(
    "Instance Profile {name} cannot be found."
)));

impl InstanceProfile {
    pub fn role(&self) -> Option<&str> {
        self.role.as_deref()
    }

    pub fn is_known_to_ec2(&self, now: Timestamp) -> bool {
        self.role.is_some() && now >= self.known_from
    }

    pub fn arn(&self, tx: &Tx) -> String {
        tx.global_arn("iam", &format!("instance-profile{}{}", self.path, self.name))
    }

    fn view(&self, tx: &Tx) -> Value {
        let roles: Vec<Value> =
            self.role.iter().filter_map(|name| tx.peek::<Role>(name)).map(|role| role.view(tx)).collect();
        json!({
            "Path": self.path,
            "InstanceProfileName": self.name,
            "InstanceProfileId": self.id,
            "Arn": self.arn(tx),
            "CreateDate": time(self.created),
            "Roles": roles,
        })
    }

    fn whole(&self, tx: &Tx) -> Value {
        let mut view = self.view(tx);
        view["Tags"] = tag_list(&self.tags);
        view
    }
}

/// A profile with its tags, or all as a list shows them. EC2 has known it for long.
pub fn load(reader: &Reader, name: Option<&str>, rows: &mut Rows) -> Result<(), AwsError> {
    let Some(name) = name else {
        let params = json!({ "MaxItems": 1000 });
        let profiles = reader.pages("iam", "ListInstanceProfiles", params, "InstanceProfiles", TOKEN)?;
        profiles.iter().for_each(|profile| rows.listed(Read::of(read(profile))));
        return Ok(());
    };
    let params = json!({ "InstanceProfileName": name });
    let reply = reader.find("iam", "GetInstanceProfile", params, &["NoSuchEntity", "ValidationError"])?;
    if let Some(shown) = reply.map(|reply| reply.part("InstanceProfile")) {
        rows.whole(Read::of(read(&shown)).shown(&shown));
    }
    Ok(())
}

fn read(shown: &Params) -> InstanceProfile {
    InstanceProfile {
        name: shown.text("InstanceProfileName"),
        id: shown.text("InstanceProfileId"),
        path: shown.text("Path"),
        created: shown.time("CreateDate"),
        role: shown.list("Roles").first().map(|role| role.text("RoleName")),
        known_from: Timestamp::UNIX_EPOCH,
        tags: shown.map("Tags", "Key", "Value"),
    }
}

/// The profile of that name or ARN, which ends in the name.
pub fn find<'t>(tx: &'t Tx, name_or_arn: &str) -> Option<&'t InstanceProfile> {
    let profile = tx.peek::<InstanceProfile>(name_or_arn.rsplit('/').next().unwrap_or(name_or_arn))?;
    (profile.name == name_or_arn || profile.arn(tx) == name_or_arn).then_some(profile)
}

fn profile<'t>(tx: &'t mut Tx, p: &Params) -> Result<&'t mut InstanceProfile, AwsError> {
    tx.get_mut::<InstanceProfile>(p.str("InstanceProfileName")?)
}

fn known_from(tx: &Tx) -> Timestamp {
    if tx.lag.on { tx.now + PROPAGATION } else { tx.now }
}

fn create_profile(tx: &mut Tx, p: &Params) -> Reply {
    let name = name(p, "InstanceProfileName", 128)?;
    if tx.all::<InstanceProfile>().any(|profile| profile.name.eq_ignore_ascii_case(name)) {
        return Err(exists(&format!("Instance Profile {name}")));
    }
    let profile = InstanceProfile {
        name: name.to_owned(),
        id: new_id(tx, "AIPA"),
        path: path(p)?.to_owned(),
        created: tx.now,
        role: None,
        known_from: known_from(tx),
        tags: new_tags(p)?,
    };
    let view = profile.whole(tx);
    tx.put(profile);
    Ok(json!({ "InstanceProfile": view }))
}

fn get_profile(tx: &mut Tx, p: &Params) -> Reply {
    let profile = tx.get::<InstanceProfile>(p.str("InstanceProfileName")?)?;
    Ok(json!({ "InstanceProfile": tx.shown(profile, InstanceProfile::whole) }))
}

fn list_profiles(tx: &mut Tx, p: &Params) -> Reply {
    let prefix = p.opt_str("PathPrefix").unwrap_or("/");
    let all = tx.select::<InstanceProfile>(&[])?;
    listed(tx, p, all.into_iter().filter(|profile| profile.path.starts_with(prefix)).collect())
}

fn list_profiles_for_role(tx: &mut Tx, p: &Params) -> Reply {
    let role = p.str("RoleName")?;
    tx.get::<Role>(role)?;
    let all = tx.select::<InstanceProfile>(&[])?;
    listed(tx, p, all.into_iter().filter(|profile| profile.role() == Some(role)).collect())
}

fn listed(tx: &Tx, p: &Params, profiles: Vec<&InstanceProfile>) -> Reply {
    page(p, "InstanceProfiles", profiles, |profile| &profile.name, |profile| profile.view(tx))
}

fn delete_profile(tx: &mut Tx, p: &Params) -> Reply {
    let profile = profile(tx, p)?;
    if profile.role.is_some() {
        let message = "Cannot delete entity, must remove roles from instance profile first.";
        return Err(conflict("DeleteConflict", message));
    }
    let name = profile.name.clone();
    tx.delete::<InstanceProfile>(&name);
    done()
}

fn add_role(tx: &mut Tx, p: &Params) -> Reply {
    let (role, known_from) = (p.str("RoleName")?, known_from(tx));
    tx.get::<Role>(role)?;
    let profile = profile(tx, p)?;
    if profile.role.is_some() {
        return Err(limit("Cannot exceed quota for InstanceSessionsPerInstanceProfile: 1"));
    }
    profile.role = Some(role.to_owned());
    profile.known_from = known_from;
    done()
}

fn remove_role(tx: &mut Tx, p: &Params) -> Reply {
    let role = p.str("RoleName")?;
    let profile = profile(tx, p)?;
    if profile.role.take_if(|held| held == role).is_none() {
        return Err(no_such_entity(format!("Role {role} is not in instance profile {}.", profile.name)));
    }
    done()
}

fn tag_profile(tx: &mut Tx, p: &Params) -> Reply {
    add_tags(&mut profile(tx, p)?.tags, p)?;
    done()
}

fn untag_profile(tx: &mut Tx, p: &Params) -> Reply {
    remove_tags(&mut profile(tx, p)?.tags, p);
    done()
}

fn list_profile_tags(tx: &mut Tx, p: &Params) -> Reply {
    let tags = profile(tx, p)?.tags.iter().collect();
    page(p, "Tags", tags, |(key, _)| key, |(key, value)| json!({ "Key": key, "Value": value }))
}
