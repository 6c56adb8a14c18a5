//! What a security group rule lets through: a protocol, ports, and one peer. `IpPermissions` writes many at once.

use std::collections::BTreeMap;

use super::*;

/// The parameters of authorise and revoke.
pub const PERMISSIONS: &str = "IpPermissions[].IpProtocol IpPermissions[].FromPort IpPermissions[].ToPort \
    IpPermissions[].IpRanges[].CidrIp IpPermissions[].IpRanges[].Description \
    IpPermissions[].Ipv6Ranges[].CidrIpv6 IpPermissions[].Ipv6Ranges[].Description \
    IpPermissions[].Groups[].GroupId IpPermissions[].Groups[].UserId IpPermissions[].Groups[].Description \
    IpPermissions[].PrefixListIds[].PrefixListId IpPermissions[].PrefixListIds[].Description";

/// Two rules of a group that have the same permission are the same rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Permission {
    /// `tcp`, `udp`, `icmp`, `icmpv6`, a number, or -1 for all.
    pub protocol: String,
    /// None for all: only TCP, UDP and ICMP (type and code) have them.
    pub ports: Option<(i64, i64)>,
    pub peer: Peer,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Peer {
    Ipv4(String),
    Ipv6(String),
    Group(String),
    PrefixList(String),
}

/// The permissions of a request with their descriptions, checked.
pub fn read(tx: &Tx, p: &Params, vpc: &str) -> Result<Vec<(Permission, Option<String>)>, AwsError> {
    let mut all = Vec::new();
    for permission in p.list("IpPermissions") {
        let (protocol, ports) = protocol_and_ports(&permission)?;
        let before = all.len();
        let mut add = |peer: Peer, of: &Params| {
            let permission = Permission { protocol: protocol.clone(), ports, peer };
            all.push((permission, description(of)?));
            Ok::<_, AwsError>(())
        };
        for range in permission.list("IpRanges") {
            add(Peer::Ipv4(block::<ipnet::Ipv4Net>(range.str("CidrIp")?, |net| net.trunc())?), &range)?;
        }
        for range in permission.list("Ipv6Ranges") {
            add(Peer::Ipv6(block::<ipnet::Ipv6Net>(range.str("CidrIpv6")?, |net| net.trunc())?), &range)?;
        }
        for pair in permission.list("Groups") {
            let group = tx.get::<SecurityGroup>(pair.str("GroupId")?)?;
            if group.vpc != vpc {
                let message = "You have specified two resources that belong to different networks.";
                return Err(AwsError::new("InvalidGroup.NotFound", message));
            }
            add(Peer::Group(group.id.clone()), &pair)?;
        }
        for list in permission.list("PrefixListIds") {
            let id = list.str("PrefixListId")?;
            prefix_list::check(tx, id)?;
            add(Peer::PrefixList(id.to_owned()), &list)?;
        }
        if all.len() == before {
            let message = "The permission must name a CIDR block, a security group or a prefix list";
            return Err(AwsError::new("MissingParameter", message));
        }
    }
    if all.is_empty() { Err(AwsError::missing("ipPermissions")) } else { Ok(all) }
}

/// Up to 255 characters of a set (IpRange, Description).
fn description(of: &Params) -> Result<Option<String>, AwsError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || " ._-:/()#,@[]+=&;{}!$*".contains(c);
    match of.opt_str("Description") {
        Some(text) if text.len() > 255 || !text.chars().all(allowed) => {
            let message = "Invalid rule description. Valid descriptions are strings less than 256 characters from the \
                           following set:  a-zA-Z0-9. _-:/()#,@[]+=&;{}!$*";
            Err(AwsError::new("InvalidParameterValue", message))
        }
        text => Ok(text.map(str::to_owned)),
    }
}

fn protocol_and_ports(p: &Params) -> Result<(String, Option<(i64, i64)>), AwsError> {
    let protocol = match p.str("IpProtocol")?.to_ascii_lowercase().as_str() {
        "tcp" | "6" => "tcp".to_owned(),
        "udp" | "17" => "udp".to_owned(),
        "icmp" | "1" => "icmp".to_owned(),
        "icmpv6" | "58" => "icmpv6".to_owned(),
        "-1" | "all" => "-1".to_owned(),
        other if other.parse::<u8>().is_ok() => other.to_owned(),
        other => {
            return Err(AwsError::invalid("ipProtocol", other, "Invalid IP protocol."));
        }
    };
    let ports = p.opt_int("FromPort")?.zip(p.opt_int("ToPort")?);
    match (protocol.as_str(), ports) {
        ("tcp" | "udp", None) => {
            let message = "Invalid value for portRange. Must specify both from and to ports with TCP/UDP.";
            Err(AwsError::new("InvalidParameterValue", message))
        }
        ("tcp" | "udp", Some((from, to))) if !(0..=65535).contains(&from) || !(from..=65535).contains(&to) => {
            let name = protocol.to_uppercase();
            Err(AwsError::new("InvalidParameterValue", format!("Invalid {name} port range ({from}:{to})")))
        }
        ("tcp" | "udp", _) => Ok((protocol, ports)),
        ("icmp" | "icmpv6", _) => Ok((protocol, Some(ports.unwrap_or((-1, -1))))),
        _ => Ok((protocol, None)),
    }
}

/// Host bits are cleared ("AWS canonicalizes IPv4 and IPv6 CIDRs"), but there must be a prefix length.
fn block<N: std::str::FromStr + ToString>(text: &str, trunc: fn(&N) -> N) -> Result<String, AwsError> {
    text.parse::<N>()
        .map(|net| trunc(&net).to_string())
        .map_err(|_| AwsError::new("InvalidParameterValue", format!("CIDR block {text} is malformed")))
}

impl std::fmt::Display for Permission {
    /// As EC2 words it in errors.
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        let peer = self.peer.text();
        match (&*self.protocol, self.ports) {
            ("-1", _) => write!(f, "peer: {peer}, ALL, ALLOW"),
            (name @ ("icmp" | "icmpv6"), Some((kind, code))) => {
                write!(f, "peer: {peer}, {}, type: {kind}, code: {code}, ALLOW", name.to_uppercase())
            }
            (name, Some((from, to))) => {
                write!(f, "peer: {peer}, {}, from port: {from}, to port: {to}, ALLOW", name.to_uppercase())
            }
            (name, None) => write!(f, "peer: {peer}, {name}, ALLOW"),
        }
    }
}

impl Peer {
    pub fn text(&self) -> &str {
        match self {
            Peer::Ipv4(text) | Peer::Ipv6(text) | Peer::Group(text) | Peer::PrefixList(text) => text,
        }
    }

    pub fn ipv4(&self) -> Option<&str> {
        if let Peer::Ipv4(text) = self { Some(text) } else { None }
    }

    pub fn ipv6(&self) -> Option<&str> {
        if let Peer::Ipv6(text) = self { Some(text) } else { None }
    }

    pub fn group(&self) -> Option<&str> {
        if let Peer::Group(id) = self { Some(id) } else { None }
    }

    pub fn prefix_list(&self) -> Option<&str> {
        if let Peer::PrefixList(id) = self { Some(id) } else { None }
    }
}

/// As describe groups them: one entry per protocol and ports, its peers inside.
pub fn view<'a>(tx: &Tx, all: impl Iterator<Item = (&'a Permission, Option<&'a String>)>) -> Value {
    type Key<'a> = (&'a str, Option<(i64, i64)>);
    let mut by_ports: BTreeMap<Key, [Vec<Value>; 4]> = BTreeMap::new();
    for (permission, description) in all {
        let [v4, v6, groups, lists] = by_ports.entry((&permission.protocol, permission.ports)).or_default();
        match &permission.peer {
            Peer::Ipv4(block) => v4.push(json!({ "cidrIp": block, "description": description })),
            Peer::Ipv6(block) => v6.push(json!({ "cidrIpv6": block, "description": description })),
            Peer::Group(id) => {
                groups.push(json!({ "groupId": id, "userId": tx.scope.account, "description": description }));
            }
            Peer::PrefixList(id) => lists.push(json!({ "prefixListId": id, "description": description })),
        }
    }
    let entry = |((protocol, ports), [v4, v6, groups, lists]): (Key, [Vec<Value>; 4])| {
        json!({
            "ipProtocol": protocol,
            "fromPort": ports.map(|(from, _)| from),
            "toPort": ports.map(|(_, to)| to),
            "ipRanges": v4,
            "ipv6Ranges": v6,
            "groups": groups,
            "prefixListIds": lists,
        })
    };
    by_ports.into_iter().map(entry).collect()
}
