//! Load balancers: their place in the network, and how they come and go.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::sim::ec2::{NetworkInterface, SecurityGroup, Subnet, internet_gateway, network_interface};
use crate::sim::table::mix;
use jiff::Timestamp;

pub const ACTIONS: &[Action] = &[
    Action {
        name: "CreateLoadBalancer",
        params: &["Name Type Scheme IpAddressType Subnets[] SecurityGroups[]", MAPPINGS, TAGS],
        run: create_load_balancer,
    },
    Action {
        name: "DescribeLoadBalancers",
        params: &["LoadBalancerArns[] Names[]", PAGES],
        run: describe_load_balancers,
    },
    Action { name: "DeleteLoadBalancer", params: &["LoadBalancerArn"], run: delete_load_balancer },
    Action { name: "SetSubnets", params: &["LoadBalancerArn IpAddressType Subnets[]", MAPPINGS], run: set_subnets },
    Action { name: "SetSecurityGroups", params: &["LoadBalancerArn SecurityGroups[]"], run: set_security_groups },
    Action { name: "SetIpAddressType", params: &["LoadBalancerArn IpAddressType"], run: set_ip_address_type },
];

/// Of a mapping, only the subnet is modelled: no Elastic IP addresses on network load balancers.
const MAPPINGS: &str = "SubnetMappings[].SubnetId";

/// From `provisioning` to `active`: about two minutes for an application load balancer in practice.
const PROVISIONING: Duration = Duration::from_secs(120);

/// How long the network interfaces outlive their load balancer: "a few minutes" in practice, which is what makes
/// deleting a subnet or security group right after it fail.
const LINGER: Duration = Duration::from_secs(150);

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LoadBalancer {
    pub arn: String,
    pub name: String,
    /// `app/NAME/ID` or `net/NAME/ID`, which listeners and rules have in their ARNs too.
    pub path: String,
    pub network: bool,
    pub internal: bool,
    pub active: bool,
    pub created: Timestamp,
    pub dns_name: String,
    pub hosted_zone: String,
    pub vpc: String,
    pub ip_address_type: String,
    /// By subnet.
    pub places: BTreeMap<String, Place>,
    pub security_groups: Vec<String>,
    pub attributes: BTreeMap<String, String>,
    pub tags: Tags,
}

/// The interface in it is told by its description, as in AWS.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Place {
    pub zone: String,
}

resource!(LoadBalancer, arn, region.elbv2.load_balancers, Extent::Row, |arn: &str| AwsError::new(
    "LoadBalancerNotFound",
    format!("Load balancer '{arn}' not found")
));

impl LoadBalancer {
    pub fn type_name(&self) -> &'static str {
        if self.network { "network" } else { "application" }
    }

    pub fn is_in_zone(&self, zone: &str) -> bool {
        self.places.values().any(|place| place.zone == zone)
    }

    fn scheme(&self) -> &'static str {
        if self.internal { "internal" } else { "internet-facing" }
    }

    fn zones(&self) -> Value {
        let zone = |(subnet, place): (&String, &Place)| json!({ "ZoneName": place.zone, "SubnetId": subnet, "LoadBalancerAddresses": [] });
        self.places.iter().map(zone).collect()
    }

    fn view(&self) -> Value {
        json!({
            "LoadBalancerArn": self.arn,
            "LoadBalancerName": self.name,
            "DNSName": self.dns_name,
            "CanonicalHostedZoneId": self.hosted_zone,
            "CreatedTime": wire::time(self.created),
            "Scheme": self.scheme(),
            "Type": self.type_name(),
            "State": { "Code": if self.active { "active" } else { "provisioning" } },
            "VpcId": self.vpc,
            "AvailabilityZones": self.zones(),
            "SecurityGroups": self.security_groups,
            "IpAddressType": self.ip_address_type,
        })
    }

    /// The interfaces in its subnets.
    fn interfaces<'t>(&self, tx: &'t Tx) -> impl Iterator<Item = &'t NetworkInterface> {
        let description = self.interface_description();
        tx.all::<NetworkInterface>().filter(move |interface| interface.description == description)
    }

    fn interface_description(&self) -> String {
        format!("ELB {}", self.path)
    }

    /// "If you attempt to create multiple load balancers with the same settings, each call succeeds."
    fn is_same(&self, other: &LoadBalancer) -> bool {
        let settings = |one: &LoadBalancer| {
            let subnets: Vec<String> = one.places.keys().cloned().collect();
            let groups: BTreeSet<String> = one.security_groups.iter().cloned().collect();
            (one.network, one.internal, one.ip_address_type.clone(), subnets, groups, one.tags.clone())
        };
        settings(self) == settings(other)
    }
}

pub const CALLS: &[&str] = &[
    "elasticloadbalancing:DescribeListenerAttributes",
    "elasticloadbalancing:DescribeListenerCertificates",
    "elasticloadbalancing:DescribeListeners",
    "elasticloadbalancing:DescribeLoadBalancerAttributes",
    "elasticloadbalancing:DescribeLoadBalancers",
    "elasticloadbalancing:DescribeRules",
    "elasticloadbalancing:DescribeTags",
];

/// A load balancer with its listeners and rules, or all load balancers as a list shows them.
pub fn load(reader: &Reader, arn: Option<&str>, rows: &mut Rows) -> Result<(), AwsError> {
    let (service, action) = ("elasticloadbalancing", "DescribeLoadBalancers");
    let Some(arn) = arn else {
        for shown in reader.pages(service, action, json!({ "PageSize": 400 }), "LoadBalancers", TOKEN)? {
            rows.listed(Read::of(read(&shown)).shown(&shown).except(unmodelled(&shown)));
        }
        return Ok(());
    };
    let absent = ["LoadBalancerNotFound", "ValidationError"];
    let Some(reply) = reader.find(service, action, json!({ "LoadBalancerArns": [arn] }), &absent)? else {
        return Ok(());
    };
    for shown in reply.list("LoadBalancers") {
        let mut balancer = read(&shown);
        balancer.attributes =
            read_attributes(reader, "DescribeLoadBalancerAttributes", json!({ "LoadBalancerArn": arn }))?;
        let mut listeners = listener::load(reader, arn)?;
        let mut rules = Vec::new();
        for (_, listener) in &mut listeners {
            rules.extend(rule::load(reader, listener)?);
        }
        let routes = listeners.iter().map(|(_, listener)| &listener.arn).chain(rules.iter().map(|(_, rule)| &rule.arn));
        rows.routes.extend(routes.cloned());
        let mut tags = read_tags(reader, &[&[arn.to_owned()], &rows.routes[..]].concat())?;
        balancer.tags = tags.remove(arn).unwrap_or_default();
        for (shown, mut listener) in listeners {
            listener.tags = tags.remove(&listener.arn).unwrap_or_default();
            rows.whole(Read::of(listener).shown(&shown));
        }
        for (shown, mut rule) in rules {
            rule.tags = tags.remove(&rule.arn).unwrap_or_default();
            rows.whole(Read::of(rule).shown(&shown));
        }
        let (created, arn) = (balancer.created, (!balancer.active).then(|| balancer.arn.clone()));
        rows.whole(Read::of(balancer).shown(&shown).except(unmodelled(&shown)));
        if let Some(arn) = arn {
            rows.then(move |tx| tx.schedule(tx.left(created, PROVISIONING), Event::Active(arn.clone())));
        }
    }
    Ok(())
}

fn unmodelled(shown: &Params) -> Option<String> {
    let kind = shown.opt_str("Type").filter(|kind| !["application", "network"].contains(kind))?;
    Some(format!("load balancers of the type `{kind}`"))
}

/// Without attributes and tags, which come by themselves.
fn read(shown: &Params) -> LoadBalancer {
    let arn = shown.text("LoadBalancerArn");
    let place = |zone: &Params| (zone.text("SubnetId"), Place { zone: zone.text("ZoneName") });
    LoadBalancer {
        name: shown.text("LoadBalancerName"),
        path: arn.split_once(":loadbalancer/").map(|(_, path)| path.to_owned()).unwrap_or_default(),
        network: shown.opt_str("Type").is_some_and(|kind| kind != "application"),
        internal: shown.opt_str("Scheme") == Some("internal"),
        active: shown.opt_str("State.Code").is_none_or(|state| state.starts_with("active")),
        created: shown.time("CreatedTime"),
        dns_name: shown.text("DNSName"),
        hosted_zone: shown.text("CanonicalHostedZoneId"),
        vpc: shown.text("VpcId"),
        ip_address_type: shown.opt_str("IpAddressType").unwrap_or("ipv4").to_owned(),
        places: shown.list("AvailabilityZones").iter().map(place).collect(),
        security_groups: shown.strings("SecurityGroups").into_iter().map(str::to_owned).collect(),
        attributes: BTreeMap::new(),
        tags: Tags::new(),
        arn,
    }
}

fn create_load_balancer(tx: &mut Tx, p: &Params) -> Reply {
    let name = p.str("Name")?;
    check_name("Load balancer", name)?;
    if name.starts_with("internal-") {
        let message = format!("Load balancer name '{name}' cannot begin with 'internal-'");
        return Err(AwsError::new("ValidationError", message));
    }
    let kind = choice(p, "Type", &["application", "network", "gateway"], "application")?;
    modelled(tx, "Type", kind, &["application", "network"])?;
    let network = kind == "network";
    let internal = choice(p, "Scheme", &["internet-facing", "internal"], "internet-facing")? == "internal";
    let ip_address_type = ip_address_type(p, network, "ipv4")?.to_owned();
    let (vpc, subnets) = subnets(tx, p, network, internal)?;
    let mut security_groups = security_groups(tx, p, &vpc)?;
    if security_groups.is_empty() && !network {
        let default = tx.all::<SecurityGroup>().find(|group| group.vpc == vpc && group.name == "default");
        security_groups.extend(default.map(|group| group.id.clone()));
    }
    // One that is there already tells the zone of a region that is not known here.
    let known = || tx.all::<LoadBalancer>().find(|known| known.network == network);
    let hosted_zone = region::hosted_zone(&tx.scope.region, network).map(str::to_owned);
    let Some(hosted_zone) = hosted_zone.or_else(|| known().map(|known| known.hosted_zone.clone())) else {
        return Err(AwsError::not_modelled(INVALID_VALUE, "region", &tx.scope.region, "CreateLoadBalancer"));
    };
    let id = arn_id(tx);
    let path = format!("{}/{name}/{id}", if network { "net" } else { "app" });
    let arn = tx.arn("elasticloadbalancing", &format!("loadbalancer/{path}"));
    let region = &tx.scope.region;
    let domain = region::domain(region);
    let digits = u32::from_str_radix(&id[8..], 16).unwrap_or_default();
    let digits = mix(u64::from(digits)) % 1_000_000_000 + 1_000_000_000;
    let dns_name = match (network, internal) {
        (true, _) => format!("{name}-{id}.elb.{region}.{domain}"),
        (false, false) => format!("{name}-{digits}.{region}.elb.{domain}"),
        (false, true) => format!("internal-{name}-{digits}.{region}.elb.{domain}"),
    };
    let made = LoadBalancer {
        arn,
        name: name.to_owned(),
        path,
        network,
        internal,
        active: false,
        created: tx.now,
        dns_name,
        hosted_zone,
        vpc,
        ip_address_type,
        places: subnets.iter().map(|(subnet, zone)| (subnet.clone(), Place { zone: zone.clone() })).collect(),
        security_groups,
        attributes: attributes::of_load_balancer(network, internal),
        tags: tag::given(p)?,
    };
    let known = tx.all::<LoadBalancer>().find(|known| known.name == name);
    // Lists do not show the tags.
    if let Some(known) = known.and_then(|known| tx.peek::<LoadBalancer>(&known.arn)) {
        if known.is_same(&made) {
            return Ok(json!({ "LoadBalancers": [known.view()] }));
        }
        let message = format!("A load balancer with the same name '{name}' exists, but with different settings");
        return Err(AwsError::new("DuplicateLoadBalancerName", message));
    }
    place(tx, &made, made.places.keys())?;
    let view = made.view();
    tx.schedule(PROVISIONING, Event::Active(made.arn.clone()));
    tx.put(made);
    Ok(json!({ "LoadBalancers": [view] }))
}

fn ip_address_type<'p>(p: &'p Params, network: bool, default: &'p str) -> Result<&'p str, AwsError> {
    let all = ["ipv4", "dualstack", "dualstack-without-public-ipv4"];
    let kind = choice(p, "IpAddressType", &all, default)?;
    if network && kind == "dualstack-without-public-ipv4" {
        let message = "The specified IP address type is not supported for network load balancers";
        return Err(invalid_configuration(message));
    }
    Ok(kind)
}

/// The subnets a request names, with their zones: of one VPC, one per zone, two zones at least for an application
/// load balancer.
fn subnets(tx: &Tx, p: &Params, network: bool, internal: bool) -> Result<(String, BTreeMap<String, String>), AwsError> {
    let mappings = p.list("SubnetMappings");
    let mut named: Vec<&str> = p.strings("Subnets");
    for mapping in &mappings {
        named.push(mapping.str("SubnetId")?);
    }
    if !mappings.is_empty() && p.has("Subnets") {
        return Err(AwsError::new(
            "ValidationError",
            "You can specify either subnets or subnet mappings, but not both",
        ));
    }
    let (mut zones, mut vpcs, mut found) = (BTreeSet::new(), BTreeSet::new(), BTreeMap::new());
    for id in named {
        let subnet = tx
            .get::<Subnet>(id)
            .map_err(|_| AwsError::new("SubnetNotFound", format!("The subnet ID '{id}' does not exist")))?;
        if found.insert(id.to_owned(), subnet.zone.clone()).is_none() && !zones.insert(&subnet.zone) {
            let message = "A load balancer cannot be attached to multiple subnets in the same Availability Zone";
            return Err(invalid_configuration(message));
        }
        vpcs.insert(subnet.vpc.clone());
        // "/27 bitmask … and at least eight free IP addresses" for application load balancers.
        if !network && (subnet.ipv4()?.0.prefix_len() > 27 || subnet.free_addresses(tx) < 8) {
            let message = format!(
                "Not enough IP space available in {id}. ELB requires at least 8 free IP addresses in each subnet."
            );
            return Err(AwsError::new("InvalidSubnet", message));
        }
    }
    let needed = if network { 1 } else { 2 };
    if zones.len() < needed {
        let message = match network {
            true => "At least one subnet must be specified",
            false => "At least two subnets in two different Availability Zones must be specified",
        };
        return Err(AwsError::new("ValidationError", message));
    }
    let mut vpcs = vpcs.into_iter();
    let (Some(vpc), None) = (vpcs.next(), vpcs.next()) else {
        return Err(invalid_configuration("All subnets must belong to the same VPC"));
    };
    if !internal && !internet_gateway::serves(tx, &vpc) {
        return Err(AwsError::new("InvalidSubnet", format!("VPC {vpc} has no internet gateway")));
    }
    Ok((vpc, found))
}

fn security_groups(tx: &Tx, p: &Params, vpc: &str) -> Result<Vec<String>, AwsError> {
    let one = |id: &str| match tx.get::<SecurityGroup>(id) {
        Ok(group) if group.vpc == vpc => Ok(id.to_owned()),
        Ok(_) => {
            let message = "One or more security groups are in a different VPC than the load balancer";
            Err(invalid_configuration(message))
        }
        Err(_) => Err(AwsError::new("InvalidSecurityGroup", format!("The security group '{id}' does not exist"))),
    };
    p.strings("SecurityGroups").into_iter().map(one).collect()
}

/// Puts an interface into each of these subnets.
fn place<'s>(tx: &mut Tx, balancer: &LoadBalancer, subnets: impl Iterator<Item = &'s String>) -> Result<(), AwsError> {
    let LoadBalancer { path, network, internal, security_groups, .. } = balancer;
    for subnet in subnets {
        let public_ip = (!*internal).then(|| {
            // Somewhere in AWS's 3.64.0.0/10: it only has to be an address, and no other's.
            let bits = subnet.bytes().chain(path.bytes()).fold(7, |bits, byte| mix(bits ^ u64::from(byte)));
            let [a, b, c, ..] = bits.to_be_bytes();
            format!("3.{}.{b}.{c}", 64 + a % 64)
        });
        network_interface::attach(
            tx,
            network_interface::Wanted {
                subnet,
                groups: security_groups.clone(),
                description: balancer.interface_description(),
                interface_type: if *network { "network_load_balancer" } else { "interface" },
                requester: Some("amazon-elb"),
                public_ip,
                ..Default::default()
            },
        )?;
    }
    Ok(())
}

pub fn activate(tx: &mut Tx, arn: &str) {
    if let Some(balancer) = tx.peek_mut::<LoadBalancer>(arn) {
        balancer.active = true;
    }
}

pub fn release(tx: &mut Tx, interfaces: &[String]) {
    interfaces.iter().for_each(|interface| network_interface::detach(tx, interface));
}

fn describe_load_balancers(tx: &mut Tx, p: &Params) -> Reply {
    let (arns, names) = (p.strings("LoadBalancerArns"), p.strings("Names"));
    if !arns.is_empty() && !names.is_empty() {
        return Err(AwsError::new("ValidationError", "Load balancer ARNs and names cannot be specified together"));
    }
    let mut rows = tx
        .select::<LoadBalancer>(&arns)
        .map_err(|_| AwsError::new("LoadBalancerNotFound", "One or more load balancers not found"))?;
    if let Some(absent) = names.iter().find(|name| !rows.iter().any(|row| row.name == **name)) {
        return Err(AwsError::new("LoadBalancerNotFound", format!("Load balancers '[{absent}]' not found")));
    }
    rows.retain(|row| names.is_empty() || names.contains(&&*row.name));
    pages(p, "LoadBalancers", rows.into_iter().map(|row| (row.arn.clone(), row)).collect(), |row| {
        tx.shown(row, |row, _| row.view())
    })
}

/// "If the load balancer does not exist or has already been deleted, the call succeeds." Its listeners and rules go.
fn delete_load_balancer(tx: &mut Tx, p: &Params) -> Reply {
    let arn = p.str("LoadBalancerArn")?;
    let Some(balancer) = tx.peek::<LoadBalancer>(arn) else { return Ok(json!({})) };
    if balancer.attributes.get("deletion_protection.enabled").is_some_and(|on| on == "true") {
        let message = format!("Load balancer '{arn}' cannot be deleted because deletion protection is enabled");
        return Err(AwsError::new("OperationNotPermitted", message));
    }
    let interfaces = balancer.interfaces(tx).map(|interface| interface.id.clone()).collect();
    let listeners: Vec<String> = tx
        .all::<Listener>()
        .filter(|listener| listener.load_balancer == arn)
        .map(|listener| listener.arn.clone())
        .collect();
    listeners.iter().for_each(|listener| listener::remove(tx, listener));
    tx.delete::<LoadBalancer>(arn);
    tx.schedule(LINGER, Event::Release(interfaces));
    Ok(json!({}))
}

fn set_subnets(tx: &mut Tx, p: &Params) -> Reply {
    let arn = p.str("LoadBalancerArn")?;
    let mut balancer = tx.get::<LoadBalancer>(arn)?.clone();
    let (vpc, subnets) = subnets(tx, p, balancer.network, balancer.internal)?;
    if vpc != balancer.vpc {
        return Err(invalid_configuration("The subnets must belong to the VPC of the load balancer"));
    }
    let left: Vec<String> = balancer.places.keys().filter(|subnet| !subnets.contains_key(*subnet)).cloned().collect();
    for subnet in left {
        balancer.places.remove(&subnet);
        let there = balancer.interfaces(tx).filter(|interface| interface.subnet == subnet);
        let interfaces = there.map(|interface| interface.id.clone()).collect();
        tx.schedule(LINGER, Event::Release(interfaces));
    }
    let new: Vec<String> = subnets.keys().filter(|subnet| !balancer.places.contains_key(*subnet)).cloned().collect();
    for (subnet, zone) in subnets {
        balancer.places.entry(subnet).or_insert(Place { zone });
    }
    balancer.ip_address_type = ip_address_type(p, balancer.network, &balancer.ip_address_type)?.to_owned();
    place(tx, &balancer, new.iter())?;
    let reply = json!({ "AvailabilityZones": balancer.zones(), "IpAddressType": balancer.ip_address_type });
    *tx.get_mut::<LoadBalancer>(arn)? = balancer;
    Ok(reply)
}

fn set_security_groups(tx: &mut Tx, p: &Params) -> Reply {
    let arn = p.str("LoadBalancerArn")?;
    let balancer = tx.get::<LoadBalancer>(arn)?;
    // "You can't perform this operation on a Network Load Balancer unless you specified a security group … when you
    // created" it.
    if balancer.network && balancer.security_groups.is_empty() {
        let message = "You cannot set security groups on a network load balancer that was created without any";
        return Err(invalid_configuration(message));
    }
    let groups = security_groups(tx, p, &balancer.vpc.clone())?;
    if groups.is_empty() {
        return Err(invalid_configuration("At least one security group must be specified"));
    }
    let balancer = tx.get_mut::<LoadBalancer>(arn)?;
    balancer.security_groups.clone_from(&groups);
    let description = balancer.interface_description();
    for interface in tx.all_mut::<NetworkInterface>().filter(|interface| interface.description == description) {
        interface.groups.clone_from(&groups);
    }
    Ok(json!({ "SecurityGroupIds": groups }))
}

fn set_ip_address_type(tx: &mut Tx, p: &Params) -> Reply {
    let balancer = tx.get_mut::<LoadBalancer>(p.str("LoadBalancerArn")?)?;
    p.str("IpAddressType")?;
    balancer.ip_address_type = ip_address_type(p, balancer.network, "ipv4")?.to_owned();
    Ok(json!({ "IpAddressType": balancer.ip_address_type }))
}
