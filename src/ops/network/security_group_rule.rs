//! Rules of a security group: as options say them, and as EC2 shows and takes them.

use std::{collections::BTreeMap, fmt};

use aws_sdk_ec2::types::{IpPermission, IpRange, Ipv6Range, PrefixListId, SecurityGroup as Group, UserIdGroupPair};
use ipnet::{Ipv4Net, Ipv6Net};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    SecurityGroup,
    traffic::{Said, Traffic},
};
use crate::ops::{Cidr, Error, IdOf};

/// What a rule lets through, and from or to whom: one peer each.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleOptions {
    /// `tcp`, `udp`, `icmp`, `icmpv6`, `all`, or a number.
    #[serde(default = "tcp")]
    protocol: String,
    /// One port, of `tcp` and `udp`.
    port: Option<i32>,
    /// The first port of a range.
    from_port: Option<i32>,
    /// The last port of a range.
    to_port: Option<i32>,
    /// The ICMP type, all if left out.
    icmp_type: Option<i32>,
    /// The ICMP code, all if left out.
    icmp_code: Option<i32>,
    /// An IPv4 range.
    cidr_ip: Option<Cidr<Ipv4Net>>,
    /// An IPv6 range.
    cidr_ipv6: Option<Cidr<Ipv6Net>>,
    /// The members of a security group; `self` for those of this one.
    group_id: Option<IdOf<SecurityGroup>>,
    /// The ranges of a prefix list, by its id or name: `com.amazonaws.global.cloudfront.origin-facing`.
    prefix_list_id: Option<String>,
    /// What it is for.
    description: Option<String>,
}

fn tcp() -> String {
    "tcp".to_owned()
}

/// Who is on the other side.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Peer {
    CidrIp(String),
    CidrIpv6(String),
    GroupId(String),
    PrefixListId(String),
}

/// What two rules must not both be about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Permission {
    pub traffic: Traffic,
    pub peer: Peer,
}

impl Permission {
    /// Whether it lets in what is in a group, which cannot go before it.
    pub fn names_a_group(&self) -> bool {
        matches!(self.peer, Peer::GroupId(_))
    }
}

/// What else a rule has.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Details {
    pub description: Option<String>,
    /// The account of a peer group in another one. AWS shows it always, and wants it back for those.
    pub user_id: Option<String>,
}

impl PartialEq for Details {
    fn eq(&self, other: &Self) -> bool {
        self.description == other.description
    }
}

/// The rules of one direction.
pub type Rules = BTreeMap<Permission, Details>;

/// As a peer's id in options: this group itself.
pub const SELF: &str = "self";

impl RuleOptions {
    fn read(&self, path: &str) -> Result<(Permission, Details), Error> {
        let said = Said {
            protocol: &self.protocol,
            port: self.port,
            from_port: self.from_port,
            to_port: self.to_port,
            icmp_type: self.icmp_type,
            icmp_code: self.icmp_code,
        };
        let traffic = Traffic::read(&said, path)?;
        let peers = [
            self.cidr_ip.map(|range| Peer::CidrIp(range.0.trunc().to_string())),
            self.cidr_ipv6.map(|range| Peer::CidrIpv6(range.0.trunc().to_string())),
            self.group_id.as_ref().map(|group| Peer::GroupId(group.to_string())),
            self.prefix_list_id.clone().map(Peer::PrefixListId),
        ];
        let mut peers: Vec<Peer> = peers.into_iter().flatten().collect();
        match (peers.pop(), peers.len()) {
            (Some(peer), 0) => {
                let details = Details { description: self.description.clone(), user_id: None };
                Ok((Permission { traffic, peer }, details))
            }
            (_, others) => {
                let found = if others == 0 { 0 } else { others + 1 };
                let message =
                    format!("expected one of `cidr_ip`, `cidr_ipv6`, `group_id`, `prefix_list_id`, found {found}");
                Err(Error::option(path, message))
            }
        }
    }
}

/// The rules that options describe; `direction` is the option they are in.
pub fn wanted(direction: &str, options: &[RuleOptions]) -> Result<Rules, Error> {
    let mut rules = Rules::new();
    for (index, rule) in options.iter().enumerate() {
        let path = format!("{direction}[{index}]");
        let (permission, details) = rule.read(&path)?;
        let said = permission.to_string();
        if rules.insert(permission, details).is_some() {
            return Err(Error::option(path, format!("there is another rule for {said}")));
        }
    }
    Ok(rules)
}

/// Everything to everywhere, by IPv4: what AWS gives a new group.
pub fn everything() -> Rules {
    let permission = Permission { traffic: Traffic::ALL, peer: Peer::CidrIp("0.0.0.0/0".to_owned()) };
    BTreeMap::from([(permission, Details::default())])
}

/// The same by IPv6, which a new group in a VPC with IPv6 has too.
pub fn is_everything_ipv6(permission: &Permission) -> bool {
    permission.traffic == Traffic::ALL && permission.peer == Peer::CidrIpv6("::/0".to_owned())
}

/// The rules of one direction of a group.
pub fn of_group(group: &Group, egress: bool) -> Rules {
    let permissions = if egress { group.ip_permissions_egress() } else { group.ip_permissions() };
    permissions.iter().flat_map(from_ec2).collect()
}

fn from_ec2(shown: &IpPermission) -> Vec<(Permission, Details)> {
    let traffic = Traffic::from_ec2(shown.ip_protocol().unwrap_or("-1"), shown.from_port().zip(shown.to_port()));
    let rule = |peer: Option<Peer>, description: Option<&str>, user_id: Option<&str>| {
        // An empty description is none.
        let description = description.filter(|text| !text.is_empty()).map(str::to_owned);
        Some((Permission { traffic, peer: peer? }, Details { description, user_id: user_id.map(str::to_owned) }))
    };
    let own = |text: &str| text.to_owned();
    let v4 = shown.ip_ranges().iter();
    let v4 = v4.map(|range| rule(range.cidr_ip().map(own).map(Peer::CidrIp), range.description(), None));
    let v6 = shown.ipv6_ranges().iter();
    let v6 = v6.map(|range| rule(range.cidr_ipv6().map(own).map(Peer::CidrIpv6), range.description(), None));
    let groups = shown.user_id_group_pairs().iter();
    let groups =
        groups.map(|pair| rule(pair.group_id().map(own).map(Peer::GroupId), pair.description(), pair.user_id()));
    let lists = shown.prefix_list_ids().iter();
    let lists =
        lists.map(|list| rule(list.prefix_list_id().map(own).map(Peer::PrefixListId), list.description(), None));
    v4.chain(v6).chain(groups).chain(lists).flatten().collect()
}

/// As calls take them, one each.
pub fn to_ec2(rules: &Rules) -> Vec<IpPermission> {
    let one = |(Permission { traffic, peer }, details): (&Permission, &Details)| {
        let description = details.description.clone();
        let (from, to) = traffic.range.unzip();
        let permission = IpPermission::builder().ip_protocol(traffic.name()).set_from_port(from).set_to_port(to);
        match peer {
            Peer::CidrIp(range) => {
                permission.ip_ranges(IpRange::builder().cidr_ip(range).set_description(description).build())
            }
            Peer::CidrIpv6(range) => {
                permission.ipv6_ranges(Ipv6Range::builder().cidr_ipv6(range).set_description(description).build())
            }
            Peer::GroupId(id) => permission.user_id_group_pairs(
                UserIdGroupPair::builder()
                    .group_id(id)
                    .set_user_id(details.user_id.clone())
                    .set_description(description)
                    .build(),
            ),
            Peer::PrefixListId(id) => permission
                .prefix_list_ids(PrefixListId::builder().prefix_list_id(id).set_description(description).build()),
        }
        .build()
    };
    rules.iter().map(one).collect()
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Peer::CidrIp(peer) | Peer::CidrIpv6(peer) | Peer::GroupId(peer) | Peer::PrefixListId(peer)) = &self.peer;
        write!(f, "{} {peer}", self.traffic)
    }
}
