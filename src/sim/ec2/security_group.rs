//! Security groups. Their rules are rows of their own, in `security_group_rule`.

use super::permission::{self, Peer, Permission};
use super::*;

pub const ACTIONS: &[Action] = &[
    Action {
        name: "CreateSecurityGroup",
        params: &["GroupName", "GroupDescription", "VpcId", TAGS],
        run: create_security_group,
    },
    Action { name: "DescribeSecurityGroups", params: &["GroupId[]", FILTERS, PAGES], run: describe::<SecurityGroup> },
    Action { name: "DeleteSecurityGroup", params: &["GroupId"], run: delete_security_group },
];

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SecurityGroup {
    pub id: String,
    pub name: String,
    pub description: String,
    pub vpc: String,
    pub tags: Tags,
}

kind!(SecurityGroup, security_groups);

impl Kind for SecurityGroup {
    const NAMES: Names = Names {
        prefix: "sg",
        kind: "security-group",
        ids: "GroupId",
        set: "securityGroupInfo",
        sizes: 5..=1000,
        absent: ("InvalidGroup.NotFound", "The security group '{}' does not exist"),
    };
    const FILTERS: Filters<SecurityGroup> = &[
        ("description", |group, _| one(&group.description)),
        ("egress.ip-permission.cidr", |group, tx| group.each(tx, true, cidr)),
        ("egress.ip-permission.group-id", |group, tx| group.each(tx, true, peer_group)),
        ("egress.ip-permission.protocol", |group, tx| group.each(tx, true, protocol)),
        ("group-id", |group, _| one(&group.id)),
        ("group-name", |group, _| one(&group.name)),
        ("ip-permission.cidr", |group, tx| group.each(tx, false, cidr)),
        ("ip-permission.from-port", |group, tx| group.each(tx, false, |of| Some(of.ports?.0.to_string()))),
        ("ip-permission.group-id", |group, tx| group.each(tx, false, peer_group)),
        ("ip-permission.protocol", |group, tx| group.each(tx, false, protocol)),
        ("ip-permission.to-port", |group, tx| group.each(tx, false, |of| Some(of.ports?.1.to_string()))),
        ("owner-id", |_, tx| one(&tx.scope.account)),
        ("vpc-id", |group, _| one(&group.vpc)),
    ];

    fn view(&self, tx: &Tx) -> Value {
        let permissions = |egress| {
            let rules = self.rules(tx).filter(move |rule| rule.egress == egress);
            permission::view(tx, rules.map(|rule| (&rule.permission, rule.description.as_ref())))
        };
        json!({
            "groupId": self.id,
            "securityGroupArn": self.arn(tx),
            "groupName": self.name,
            "groupDescription": self.description,
            "vpcId": self.vpc,
            "ownerId": tx.scope.account,
            "ipPermissions": permissions(false),
            "ipPermissionsEgress": permissions(true),
            "tagSet": tag_set(&self.tags),
        })
    }
}

impl Shown for SecurityGroup {
    const DESCRIBE: &'static str = "DescribeSecurityGroups";

    /// Its rules are read as rows of their own.
    fn read(shown: &Params) -> Option<SecurityGroup> {
        Some(SecurityGroup {
            id: shown.text("groupId"),
            name: shown.text("groupName"),
            description: shown.text("groupDescription"),
            vpc: shown.text("vpcId"),
            tags: tags_of(shown),
        })
    }
}

fn cidr(permission: &Permission) -> Option<String> {
    permission.peer.ipv4().map(str::to_owned)
}

fn peer_group(permission: &Permission) -> Option<String> {
    permission.peer.group().map(str::to_owned)
}

fn protocol(permission: &Permission) -> Option<String> {
    Some(permission.protocol.clone())
}

impl SecurityGroup {
    pub fn is_default(&self) -> bool {
        self.name == "default"
    }

    pub fn rules<'t>(&'t self, tx: &'t Tx) -> impl Iterator<Item = &'t SecurityGroupRule> {
        tx.all::<SecurityGroupRule>().filter(|rule| rule.group == self.id)
    }

    fn each(&self, tx: &Tx, egress: bool, part: fn(&Permission) -> Option<String>) -> Vec<String> {
        self.rules(tx).filter(|rule| rule.egress == egress).filter_map(|rule| part(&rule.permission)).collect()
    }

    fn arn(&self, tx: &Tx) -> String {
        tx.arn("ec2", &format!("security-group/{}", self.id))
    }
}

/// The default group of a new VPC: its members reach each other and everything outside.
pub fn add_default(tx: &mut Tx, vpc: &str) {
    let description = "default VPC security group".to_owned();
    let id = tx.new_id("sg");
    let members = Permission { protocol: "-1".to_owned(), ports: None, peer: Peer::Group(id.clone()) };
    add(
        tx,
        SecurityGroup {
            id: id.clone(),
            name: "default".to_owned(),
            description,
            vpc: vpc.to_owned(),
            tags: Tags::new(),
        },
    );
    security_group_rule::add(tx, &id, false, members, None, Tags::new());
}

/// A new group lets everything out.
fn add(tx: &mut Tx, group: SecurityGroup) {
    let anywhere = Peer::Ipv4("0.0.0.0/0".to_owned());
    let all = Permission { protocol: "-1".to_owned(), ports: None, peer: anywhere };
    security_group_rule::add(tx, &group.id, true, all, None, Tags::new());
    tx.put(group);
}

fn create_security_group(tx: &mut Tx, p: &Params) -> Reply {
    let (name, description) = (p.str("GroupName")?, p.str("GroupDescription")?);
    let vpc = match p.opt_str("VpcId") {
        Some(id) => tx.get::<Vpc>(id)?.id.clone(),
        None => default_vpc(tx)?,
    };
    if name == "default" {
        let message = "Cannot use reserved security group name: default";
        return Err(AwsError::new("InvalidGroup.Reserved", message));
    }
    if name.starts_with("sg-") {
        let why = "Group names may not be in the format sg-*.";
        return Err(AwsError::invalid("GroupName", name, why));
    }
    // Both may hold 255 characters of a set given in the API reference.
    let allowed = |c: char| c.is_ascii_alphanumeric() || " ._-:/()#,@[]+=&;{}!$*".contains(c);
    for (parameter, text) in [("GroupName", name), ("GroupDescription", description)] {
        if text.is_empty() || text.len() > 255 || !text.chars().all(allowed) {
            let why = "Character sets beyond ASCII are not supported.";
            return Err(AwsError::invalid(parameter, text, why));
        }
    }
    if tx.all::<SecurityGroup>().any(|group| group.vpc == vpc && group.name == name) {
        let message = format!("The security group '{name}' already exists for VPC '{vpc}'");
        return Err(AwsError::new("InvalidGroup.Duplicate", message));
    }
    let tags = tags_for::<SecurityGroup>(p)?;
    let (name, description) = (name.to_owned(), description.to_owned());
    let group = SecurityGroup { id: tx.new_id("sg"), name, description, vpc, tags };
    add(tx, group.clone());
    Ok(json!({
        "groupId": group.id,
        "securityGroupArn": group.arn(tx),
        "tagSet": tag_set(&group.tags),
    }))
}

fn default_vpc(tx: &Tx) -> Result<String, AwsError> {
    let vpc = tx.all::<Vpc>().find(|vpc| vpc.is_default).map(|vpc| vpc.id.clone());
    vpc.ok_or_else(|| AwsError::new("VPCIdNotSpecified", "No default VPC for this user"))
}

fn delete_security_group(tx: &mut Tx, p: &Params) -> Reply {
    let id = p.str("GroupId")?;
    let group = tx.get::<SecurityGroup>(id)?;
    if group.is_default() {
        let message = format!("the specified group: \"{id}\" name: \"default\" cannot be deleted by a user");
        return Err(AwsError::new("CannotDelete", message));
    }
    let used = tx.all::<NetworkInterface>().any(|interface| interface.groups.iter().any(|group| group == id))
        || tx.all::<SecurityGroupRule>().any(|rule| rule.group != id && rule.permission.peer.group() == Some(id));
    if used {
        return Err(AwsError::new("DependencyViolation", format!("resource {id} has a dependent object")));
    }
    delete_where::<SecurityGroupRule>(tx, |rule| rule.group == id);
    tx.delete::<SecurityGroup>(id);
    Ok(json!({ "return": true, "groupId": id }))
}
