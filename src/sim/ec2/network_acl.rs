//! Network ACLs. Every subnet has exactly one; a VPC brings a default one that lets everything through.

use super::*;

pub const ACTIONS: &[Action] = &[
    Action { name: "CreateNetworkAcl", params: &["VpcId", "ClientToken", TAGS], run: create_network_acl },
    Action { name: "DescribeNetworkAcls", params: &["NetworkAclId[]", FILTERS, PAGES], run: describe::<NetworkAcl> },
    Action { name: "DeleteNetworkAcl", params: &["NetworkAclId"], run: delete_network_acl },
    Action { name: "CreateNetworkAclEntry", params: &[ENTRY, RULE], run: create_network_acl_entry },
    Action { name: "ReplaceNetworkAclEntry", params: &[ENTRY, RULE], run: replace_network_acl_entry },
    Action { name: "DeleteNetworkAclEntry", params: &[ENTRY], run: delete_network_acl_entry },
    Action {
        name: "ReplaceNetworkAclAssociation",
        params: &["AssociationId", "NetworkAclId"],
        run: replace_network_acl_association,
    },
];

const ENTRY: &str = "NetworkAclId RuleNumber Egress";
const RULE: &str = "Protocol RuleAction CidrBlock PortRange.From PortRange.To Icmp.Type Icmp.Code";

/// The rule that refuses what no other rule decides. Nobody can change it.
const LAST: i64 = 32767;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NetworkAcl {
    pub id: String,
    pub vpc: String,
    pub is_default: bool,
    pub entries: Vec<Entry>,
    pub associations: Vec<Association>,
    pub tags: Tags,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Entry {
    pub number: i64,
    pub egress: bool,
    /// A number, -1 for all.
    pub protocol: String,
    pub action: String,
    /// A block of IPv4, or, as AWS's default ACLs have them, of IPv6.
    pub cidr: String,
    pub ports: Option<(i64, i64)>,
    /// Type and code.
    pub icmp: Option<(i64, i64)>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Association {
    pub id: String,
    pub subnet: String,
}

kind!(NetworkAcl, network_acls);

impl Kind for NetworkAcl {
    const NAMES: Names = Names {
        prefix: "acl",
        kind: "network-acl",
        ids: "NetworkAclId",
        set: "networkAclSet",
        sizes: 5..=1000,
        absent: ("InvalidNetworkAclID.NotFound", "The networkAcl ID '{}' does not exist"),
    };
    const FILTERS: Filters<NetworkAcl> = &[
        ("association.association-id", |acl, _| acl.associations.iter().map(|each| each.id.clone()).collect()),
        ("association.network-acl-id", |acl, _| acl.associations.iter().map(|_| acl.id.clone()).collect()),
        ("association.subnet-id", |acl, _| acl.associations.iter().map(|each| each.subnet.clone()).collect()),
        ("default", |acl, _| one(acl.is_default)),
        ("entry.cidr", |acl, _| acl.entries.iter().map(|entry| entry.cidr.clone()).collect()),
        ("entry.egress", |acl, _| acl.entries.iter().map(|entry| entry.egress.to_string()).collect()),
        ("entry.rule-action", |acl, _| acl.entries.iter().map(|entry| entry.action.clone()).collect()),
        ("entry.rule-number", |acl, _| acl.entries.iter().map(|entry| entry.number.to_string()).collect()),
        ("network-acl-id", |acl, _| one(&acl.id)),
        ("owner-id", |_, tx| one(&tx.scope.account)),
        ("vpc-id", |acl, _| one(&acl.vpc)),
    ];

    fn view(&self, tx: &Tx) -> Value {
        let association = |each: &Association| json!({ "networkAclAssociationId": each.id, "networkAclId": self.id, "subnetId": each.subnet });
        json!({
            "networkAclId": self.id,
            "vpcId": self.vpc,
            "ownerId": tx.scope.account,
            "default": self.is_default,
            "entrySet": self.entries.iter().map(Entry::view).collect::<Vec<_>>(),
            "associationSet": self.associations.iter().map(association).collect::<Vec<_>>(),
            "tagSet": tag_set(&self.tags),
        })
    }
}

impl Shown for NetworkAcl {
    const DESCRIBE: &'static str = "DescribeNetworkAcls";

    fn read(shown: &Params) -> Option<NetworkAcl> {
        let association =
            |each: &Params| Association { id: each.text("networkAclAssociationId"), subnet: each.text("subnetId") };
        let mut acl = NetworkAcl {
            id: shown.text("networkAclId"),
            vpc: shown.text("vpcId"),
            is_default: shown.flag("default"),
            entries: shown.list("entrySet").iter().map(Entry::shown).collect(),
            associations: shown.list("associationSet").iter().map(association).collect(),
            tags: tags_of(shown),
        };
        acl.entries.sort_by_key(Entry::place);
        Some(acl)
    }
}

impl Entry {
    fn view(&self) -> Value {
        let ipv6 = self.cidr.contains(':');
        json!({
            "ruleNumber": self.number,
            "egress": self.egress,
            "protocol": self.protocol,
            "ruleAction": self.action,
            "cidrBlock": (!ipv6).then_some(&self.cidr),
            "ipv6CidrBlock": ipv6.then_some(&self.cidr),
            "portRange": self.ports.map(|(from, to)| json!({ "from": from, "to": to })),
            "icmpTypeCode": self.icmp.map(|(kind, code)| json!({ "type": kind, "code": code })),
        })
    }

    /// The inverse of `view`.
    fn shown(shown: &Params) -> Entry {
        let pair =
            |first: &str, second: &str| shown.has(first).then(|| (shown.number(first, -1), shown.number(second, -1)));
        Entry {
            number: shown.number("ruleNumber", LAST),
            egress: shown.flag("egress"),
            protocol: shown.text("protocol"),
            action: shown.text("ruleAction"),
            cidr: optional(shown, "cidrBlock").unwrap_or_else(|| shown.text("ipv6CidrBlock")),
            ports: pair("portRange.from", "portRange.to"),
            icmp: pair("icmpTypeCode.type", "icmpTypeCode.code"),
        }
    }

    /// Egress first, then by number, as EC2 lists them.
    fn place(&self) -> (bool, i64) {
        (!self.egress, self.number)
    }

    fn any(number: i64, egress: bool, action: &str) -> Entry {
        let cidr = "0.0.0.0/0".to_owned();
        Entry { number, egress, protocol: "-1".to_owned(), action: action.to_owned(), cidr, ports: None, icmp: None }
    }

    fn read(p: &Params) -> Result<Entry, AwsError> {
        let number = number(p)?;
        let protocol = match p.str("Protocol")? {
            "tcp" => "6",
            "udp" => "17",
            "icmp" => "1",
            "all" => "-1",
            other if other.parse().is_ok_and(|number: i64| (-1..=255).contains(&number)) => other,
            other => return Err(AwsError::invalid("protocol", other, "Invalid protocol.")),
        };
        let action = p.str("RuleAction")?;
        if !["allow", "deny"].contains(&action) {
            return Err(AwsError::invalid("ruleAction", action, ""));
        }
        let pair = |first: &str, second: &str| -> Result<Option<(i64, i64)>, AwsError> {
            match (p.opt_int(first)?, p.opt_int(second)?) {
                (Some(first), Some(second)) => Ok(Some((first, second))),
                (None, None) => Ok(None),
                (None, Some(_)) => Err(AwsError::missing(first)),
                (Some(_), None) => Err(AwsError::missing(second)),
            }
        };
        let (ports, icmp) = (pair("PortRange.From", "PortRange.To")?, pair("Icmp.Type", "Icmp.Code")?);
        match protocol {
            "6" | "17" if ports.is_none() => return Err(AwsError::missing("portRange")),
            "1" if icmp.is_none() => return Err(AwsError::missing("icmpTypeCode")),
            _ => {}
        }
        if let Some((from, to)) =
            ports.filter(|(from, to)| !(0..=65535).contains(from) || !(*from..=65535).contains(to))
        {
            return Err(AwsError::invalid("portRange", format!("{from}-{to}"), ""));
        }
        Ok(Entry {
            number,
            egress: p.bool("Egress")?,
            protocol: protocol.to_owned(),
            action: action.to_owned(),
            cidr: Cidr::read("cidrBlock", p.str("CidrBlock")?)?.to_string(),
            ports: ports.filter(|_| matches!(protocol, "6" | "17")),
            icmp: icmp.filter(|_| protocol == "1"),
        })
    }
}

fn number(p: &Params) -> Result<i64, AwsError> {
    match p.int("RuleNumber")? {
        number @ 1..LAST => Ok(number),
        other => Err(AwsError::invalid("ruleNumber", other, "Must be between 1 and 32766.")),
    }
}

fn new(tx: &mut Tx, vpc: &str, tags: Tags) -> NetworkAcl {
    let entries = vec![Entry::any(LAST, true, "deny"), Entry::any(LAST, false, "deny")];
    let id = tx.new_id("acl");
    NetworkAcl { id, vpc: vpc.to_owned(), is_default: false, entries, associations: Vec::new(), tags }
}

/// The default ACL of a new VPC.
pub fn add_default(tx: &mut Tx, vpc: &str) {
    let mut acl = new(tx, vpc, Tags::new());
    acl.is_default = true;
    acl.insert(Entry::any(100, true, "allow"));
    acl.insert(Entry::any(100, false, "allow"));
    tx.put(acl);
}

/// A new subnet has the default ACL of its VPC.
pub fn associate_default(tx: &mut Tx, subnet: &Subnet) {
    let association = Association { id: tx.new_id("aclassoc"), subnet: subnet.id.clone() };
    if let Some(acl) = tx.find_mut::<NetworkAcl>(|acl| acl.vpc == subnet.vpc && acl.is_default) {
        acl.associations.push(association);
    }
}

impl NetworkAcl {
    fn insert(&mut self, entry: Entry) {
        self.entries.push(entry);
        self.entries.sort_by_key(Entry::place);
    }

    fn place(&self, number: i64, egress: bool) -> Option<usize> {
        self.entries.iter().position(|entry| entry.number == number && entry.egress == egress)
    }

    fn must_have(&self, number: i64, egress: bool) -> Result<usize, AwsError> {
        self.place(number, egress).ok_or_else(|| {
            let message = format!("The network acl entry identified by {number} does not exist.");
            AwsError::new("InvalidNetworkAclEntry.NotFound", message)
        })
    }
}

fn create_network_acl(tx: &mut Tx, p: &Params) -> Reply {
    tx.once(p, "ClientToken", TOKEN_LIFE, |tx| {
        let vpc = tx.get::<Vpc>(p.str("VpcId")?)?.id.clone();
        let tags = tags_for::<NetworkAcl>(p)?;
        let acl = new(tx, &vpc, tags);
        tx.put(acl.clone());
        Ok(json!({ "clientToken": p.opt_str("ClientToken"), "networkAcl": acl.view(tx) }))
    })
}

fn delete_network_acl(tx: &mut Tx, p: &Params) -> Reply {
    let id = p.str("NetworkAclId")?;
    let acl = tx.get::<NetworkAcl>(id)?;
    if acl.is_default {
        let message = format!("cannot delete default network ACL {id}");
        return Err(AwsError::new("InvalidParameterValue", message));
    }
    if !acl.associations.is_empty() {
        return Err(in_use("networkAcl", id));
    }
    tx.delete::<NetworkAcl>(id);
    done()
}

fn create_network_acl_entry(tx: &mut Tx, p: &Params) -> Reply {
    let acl = tx.get_mut::<NetworkAcl>(p.str("NetworkAclId")?)?;
    let entry = Entry::read(p)?;
    if acl.place(entry.number, entry.egress).is_some() {
        let message = format!("The network acl entry identified by {} already exists.", entry.number);
        return Err(AwsError::new("NetworkAclEntryAlreadyExists", message));
    }
    acl.insert(entry);
    done()
}

fn replace_network_acl_entry(tx: &mut Tx, p: &Params) -> Reply {
    let acl = tx.get_mut::<NetworkAcl>(p.str("NetworkAclId")?)?;
    let entry = Entry::read(p)?;
    let place = acl.must_have(entry.number, entry.egress)?;
    acl.entries[place] = entry;
    done()
}

fn delete_network_acl_entry(tx: &mut Tx, p: &Params) -> Reply {
    let acl = tx.get_mut::<NetworkAcl>(p.str("NetworkAclId")?)?;
    let place = acl.must_have(number(p)?, p.bool("Egress")?)?;
    acl.entries.remove(place);
    done()
}

/// Gives a subnet another ACL. The association gets a new id.
fn replace_network_acl_association(tx: &mut Tx, p: &Params) -> Reply {
    let id = p.str("AssociationId")?;
    let to = tx.get::<NetworkAcl>(p.str("NetworkAclId")?)?;
    let (to, vpc) = (to.id.clone(), to.vpc.clone());
    let place = |acl: &NetworkAcl| acl.associations.iter().position(|association| association.id == id);
    let found = tx.find_mut::<NetworkAcl>(|acl| place(acl).is_some());
    let Some((place, from)) = found.and_then(|acl| Some((place(acl)?, acl))) else {
        let message = format!("The association ID '{id}' does not exist");
        return Err(AwsError::new("InvalidAssociationID.NotFound", message));
    };
    if from.vpc != vpc {
        let message = format!("network ACL {to} and network ACL {} belong to different networks", from.id);
        return Err(AwsError::new("InvalidParameterValue", message));
    }
    let subnet = from.associations.remove(place).subnet;
    let id = tx.new_id("aclassoc");
    tx.get_mut::<NetworkAcl>(&to)?.associations.push(Association { id: id.clone(), subnet });
    Ok(json!({ "newAssociationId": id }))
}
