//! Where load balancers are: subnets, the interfaces in them, security groups.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::sim::ec2::{NetworkInterface, SecurityGroup, Subnet, internet_gateway, network_interface};
use crate::sim::table::mix;

pub const ACTIONS: &[Action] = &[
    Action { name: "SetSubnets", params: &["LoadBalancerArn IpAddressType Subnets[]", MAPPINGS], run: set_subnets },
    Action { name: "SetSecurityGroups", params: &["LoadBalancerArn SecurityGroups[]"], run: set_security_groups },
    Action { name: "SetIpAddressType", params: &["LoadBalancerArn IpAddressType"], run: set_ip_address_type },
];

/// Of a mapping, only the subnet is modelled: no Elastic IP addresses on network load balancers.
pub const MAPPINGS: &str = "SubnetMappings[].SubnetId";

/// How long the network interfaces outlive their load balancer: "a few minutes" in practice, which is what makes
/// deleting a subnet or security group right after it fail.
pub const LINGER: Duration = Duration::from_secs(150);

/// The interface in it is told by its description, as in AWS.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Place {
    pub zone: String,
}

impl LoadBalancer {
    /// The interfaces in its subnets.
    pub fn interfaces<'t>(&self, tx: &'t Tx) -> impl Iterator<Item = &'t NetworkInterface> {
        let description = self.interface_description();
        tx.all::<NetworkInterface>().filter(move |interface| interface.description == description)
    }

    fn interface_description(&self) -> String {
        format!("ELB {}", self.path)
    }
}

pub fn ip_address_type<'p>(p: &'p Params, network: bool, default: &'p str) -> Result<&'p str, AwsError> {
    let all = ["ipv4", "dualstack", "dualstack-without-public-ipv4"];
    let kind = choice(p, "IpAddressType", &all, default)?;
    if network && kind == "dualstack-without-public-ipv4" {
        let message = "The specified IP address type is not supported for network load balancers";
        return Err(invalid_configuration(message));
    }
    Ok(kind)
}

/// "The virtual private cloud (VPC) and subnets that you specify for the load balancer must have associated IPv6 CIDR
/// blocks" ("IP address types").
pub fn check_addresses<'s>(
    tx: &Tx,
    ip_address_type: &str,
    mut subnets: impl Iterator<Item = &'s String>,
) -> Result<(), AwsError> {
    let lacks = |id: &String| tx.peek::<Subnet>(id).is_some_and(|subnet| !subnet.has_ipv6(tx));
    if ip_address_type != "ipv4" && subnets.any(lacks) {
        let message = "You must specify subnets with an associated IPv6 CIDR block.";
        return Err(AwsError::new("ValidationError", message));
    }
    Ok(())
}

/// The subnets a request names, with their zones: of one VPC, one per zone, two zones at least for an application
/// load balancer.
pub fn subnets(
    tx: &Tx,
    p: &Params,
    network: bool,
    internal: bool,
) -> Result<(String, BTreeMap<String, String>), AwsError> {
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

pub fn security_groups(tx: &Tx, p: &Params, vpc: &str) -> Result<Vec<String>, AwsError> {
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
pub fn place<'s>(
    tx: &mut Tx,
    balancer: &LoadBalancer,
    subnets: impl Iterator<Item = &'s String>,
) -> Result<(), AwsError> {
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

pub fn release(tx: &mut Tx, interfaces: &[String]) {
    interfaces.iter().for_each(|interface| network_interface::detach(tx, interface));
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
    check_addresses(tx, &balancer.ip_address_type, balancer.places.keys())?;
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
    tx.change_each::<NetworkInterface>(
        |interface| interface.description == description,
        |interface| interface.groups.clone_from(&groups),
    );
    Ok(json!({ "SecurityGroupIds": groups }))
}

fn set_ip_address_type(tx: &mut Tx, p: &Params) -> Reply {
    let arn = p.str("LoadBalancerArn")?;
    let balancer = tx.get::<LoadBalancer>(arn)?;
    p.str("IpAddressType")?;
    let kind = ip_address_type(p, balancer.network, "ipv4")?;
    check_addresses(tx, kind, balancer.places.keys())?;
    tx.get_mut::<LoadBalancer>(arn)?.ip_address_type = kind.to_owned();
    Ok(json!({ "IpAddressType": kind }))
}
