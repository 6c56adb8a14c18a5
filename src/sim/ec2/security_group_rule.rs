//! Rules of security groups: authorised and revoked by what they permit, or by their own ids.

use super::permission::{self, PERMISSIONS, Peer, Permission};
use super::*;

pub const ACTIONS: &[Action] = &[
    Action {
        name: "AuthorizeSecurityGroupIngress",
        params: &["GroupId", PERMISSIONS, TAGS],
        run: |tx, p| authorize(tx, p, false),
    },
    Action {
        name: "AuthorizeSecurityGroupEgress",
        params: &["GroupId", PERMISSIONS, TAGS],
        run: |tx, p| authorize(tx, p, true),
    },
    Action {
        name: "RevokeSecurityGroupIngress",
        params: &["GroupId", "SecurityGroupRuleId[]", PERMISSIONS],
        run: |tx, p| revoke(tx, p, false),
    },
    Action {
        name: "RevokeSecurityGroupEgress",
        params: &["GroupId", "SecurityGroupRuleId[]", PERMISSIONS],
        run: |tx, p| revoke(tx, p, true),
    },
    Action {
        name: "UpdateSecurityGroupRuleDescriptionsIngress",
        params: &["GroupId", PERMISSIONS],
        run: |tx, p| describe_anew(tx, p, false),
    },
    Action {
        name: "UpdateSecurityGroupRuleDescriptionsEgress",
        params: &["GroupId", PERMISSIONS],
        run: |tx, p| describe_anew(tx, p, true),
    },
    Action {
        name: "DescribeSecurityGroupRules",
        params: &["SecurityGroupRuleId[]", FILTERS, PAGES],
        run: describe::<SecurityGroupRule>,
    },
];

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SecurityGroupRule {
    pub id: String,
    pub group: String,
    pub egress: bool,
    pub permission: Permission,
    pub description: Option<String>,
    pub tags: Tags,
}

kind!(SecurityGroupRule, security_group_rules);

impl Kind for SecurityGroupRule {
    const NAMES: Names = Names {
        prefix: "sgr",
        kind: "security-group-rule",
        ids: "SecurityGroupRuleId",
        set: "securityGroupRuleSet",
        sizes: 5..=1000,
        absent: ("InvalidSecurityGroupRuleId.NotFound", "The security group rule ID '{}' does not exist"),
    };
    const FILTERS: Filters<SecurityGroupRule> =
        &[("group-id", |rule, _| one(&rule.group)), ("security-group-rule-id", |rule, _| one(&rule.id))];

    fn view(&self, tx: &Tx) -> Value {
        let Permission { protocol, ports, peer } = &self.permission;
        json!({
            "securityGroupRuleId": self.id,
            "securityGroupRuleArn": tx.arn("ec2", &format!("security-group-rule/{}", self.id)),
            "groupId": self.group,
            "groupOwnerId": tx.scope.account,
            "isEgress": self.egress,
            "ipProtocol": protocol,
            "fromPort": ports.map_or(-1, |(from, _)| from),
            "toPort": ports.map_or(-1, |(_, to)| to),
            "cidrIpv4": peer.ipv4(),
            "cidrIpv6": peer.ipv6(),
            "prefixListId": peer.prefix_list(),
            "referencedGroupInfo": peer.group().map(|id| json!({ "groupId": id, "userId": tx.scope.account })),
            "description": self.description,
            "tagSet": tag_set(&self.tags),
        })
    }
}

impl Shown for SecurityGroupRule {
    const DESCRIBE: &'static str = "DescribeSecurityGroupRules";

    fn read(shown: &Params) -> Option<SecurityGroupRule> {
        let peer = |name: &str, peer: fn(String) -> Peer| optional(shown, name).map(peer);
        let peer = peer("cidrIpv4", Peer::Ipv4)
            .or_else(|| peer("cidrIpv6", Peer::Ipv6))
            .or_else(|| peer("prefixListId", Peer::PrefixList))
            .or_else(|| peer("referencedGroupInfo.groupId", Peer::Group))?;
        let protocol = shown.text("ipProtocol");
        // Protocols without ports are shown with -1.
        let ports = ["tcp", "udp", "icmp", "icmpv6"].contains(&&*protocol);
        let ports = ports.then(|| (shown.number("fromPort", -1), shown.number("toPort", -1)));
        Some(SecurityGroupRule {
            id: shown.text("securityGroupRuleId"),
            group: shown.text("groupId"),
            egress: shown.flag("isEgress"),
            permission: Permission { protocol, ports, peer },
            description: optional(shown, "description"),
            tags: tags_of(shown),
        })
    }
}

/// Whether one of these groups lets anybody in on a TCP port.
pub fn lets_in(tx: &Tx, groups: &[String], port: u16) -> bool {
    let port = i64::from(port);
    tx.all::<SecurityGroupRule>().filter(|rule| !rule.egress && groups.contains(&rule.group)).any(|rule| {
        let Permission { protocol, ports, peer } = &rule.permission;
        let is_for = match protocol.as_str() {
            "-1" => true,
            "tcp" => ports.is_none_or(|(from, to)| (from..=to).contains(&port)),
            _ => false,
        };
        is_for && matches!(peer, Peer::Ipv4(range) | Peer::Ipv6(range) if range == "0.0.0.0/0" || range == "::/0")
    })
}

pub fn add(
    tx: &mut Tx,
    group: &str,
    egress: bool,
    permission: Permission,
    description: Option<String>,
    tags: Tags,
) -> SecurityGroupRule {
    let id = tx.new_id("sgr");
    let rule = SecurityGroupRule { id, group: group.to_owned(), egress, permission, description, tags };
    tx.put(rule.clone());
    rule
}

fn authorize(tx: &mut Tx, p: &Params, egress: bool) -> Reply {
    let group = tx.get::<SecurityGroup>(p.str("GroupId")?)?.clone();
    let tags = tags_for::<SecurityGroupRule>(p)?;
    let permissions = permission::read(tx, p, &group.vpc)?;
    let twice = |at: usize| permissions[..at].iter().any(|(other, _)| *other == permissions[at].0);
    if (0..permissions.len()).any(twice) {
        let message = "The same permission must not appear multiple times";
        return Err(AwsError::new("InvalidParameterValue", message));
    }
    let mut added = Vec::new();
    for (permission, description) in permissions {
        if group.rules(tx).any(|rule| rule.egress == egress && rule.permission == permission) {
            let message = format!("the specified rule \"{permission}\" already exists");
            return Err(AwsError::new("InvalidPermission.Duplicate", message));
        }
        added.push(add(tx, &group.id, egress, permission, description, tags.clone()));
    }
    let rules: Vec<Value> = added.iter().map(|rule| rule.view(tx)).collect();
    Ok(json!({ "return": true, "securityGroupRuleSet": rules }))
}

fn revoke(tx: &mut Tx, p: &Params, egress: bool) -> Reply {
    let group = tx.get::<SecurityGroup>(p.str("GroupId")?)?.clone();
    let ids = p.strings("SecurityGroupRuleId");
    let (mut goes, mut unknown) = (Vec::new(), Vec::new());
    for id in &ids {
        let rule = tx.get::<SecurityGroupRule>(id).ok();
        let rule = rule.filter(|rule| rule.group == group.id && rule.egress == egress);
        goes.push(rule.cloned().ok_or_else(|| SecurityGroupRule::absent(id))?);
    }
    let permissions = if ids.is_empty() { permission::read(tx, p, &group.vpc)? } else { Vec::new() };
    for (permission, description) in permissions {
        match group.rules(tx).find(|rule| rule.egress == egress && rule.permission == permission) {
            Some(rule) => goes.push(rule.clone()),
            None => unknown.push((permission, description)),
        }
    }
    // "For a default VPC, […] no error is returned, and the output describes the security group rules that were not
    // revoked"; for others nothing is revoked.
    let forgiving = tx.peek::<Vpc>(&group.vpc).is_some_and(|vpc| vpc.is_default);
    if !unknown.is_empty() && !forgiving {
        let message = "The specified rule does not exist in this security group.";
        return Err(AwsError::new("InvalidPermission.NotFound", message));
    }
    goes.iter().for_each(|rule| tx.delete::<SecurityGroupRule>(&rule.id));
    let unknown = permission::view(tx, unknown.iter().map(|(permission, text)| (permission, text.as_ref())));
    let revoked = |rule: &SecurityGroupRule| {
        let mut view = rule.view(tx);
        view["referencedGroupId"] = json!(rule.permission.peer.group());
        for name in ["groupOwnerId", "referencedGroupInfo", "securityGroupRuleArn", "tagSet"] {
            view[name] = Value::Null; // this reply has less of a rule
        }
        view
    };
    let revoked: Vec<Value> = goes.iter().map(revoked).collect();
    Ok(json!({ "return": true, "unknownIpPermissionSet": unknown, "revokedSecurityGroupRuleSet": revoked }))
}

/// "You can remove a description by omitting the description parameter in the request."
fn describe_anew(tx: &mut Tx, p: &Params, egress: bool) -> Reply {
    let group = tx.get::<SecurityGroup>(p.str("GroupId")?)?.clone();
    for (permission, description) in permission::read(tx, p, &group.vpc)? {
        let rule = group.rules(tx).find(|rule| rule.egress == egress && rule.permission == permission);
        let id = rule.map(|rule| rule.id.clone()).ok_or_else(|| {
            let message = "The specified rule does not exist in this security group.";
            AwsError::new("InvalidPermission.NotFound", message)
        })?;
        if let Some(rule) = tx.peek_mut::<SecurityGroupRule>(&id) {
            rule.description = description;
        }
    }
    done()
}
