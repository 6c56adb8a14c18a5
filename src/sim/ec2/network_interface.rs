//! Network interfaces: how everything that lives in a subnet holds its subnet, its address and its security groups.
//!
//! Load balancers, instances and NAT gateways [`attach`] theirs and [`detach`] them when they go; the dependency checks
//! of subnets, security groups and internet gateways look only here.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use super::*;

pub const ACTIONS: &[Action] = &[Action {
    name: "DescribeNetworkInterfaces",
    params: &["NetworkInterfaceId[]", FILTERS, PAGES],
    run: describe_network_interfaces,
}];

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NetworkInterface {
    pub id: String,
    pub subnet: String,
    pub vpc: String,
    pub zone: String,
    pub groups: Vec<String>,
    pub private_ip: String,
    /// More addresses of the subnet. Nothing made here has any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secondary_ips: Vec<String>,
    pub public_ip: Option<String>,
    pub description: String,
    /// `interface` for instances and load balancers, `nat_gateway`, …
    pub interface_type: String,
    /// `amazon-elb`, …; none for what the account attached itself.
    pub requester: Option<String>,
    pub instance: Option<String>,
    pub tags: Tags,
}

/// What an owner says of its interface.
#[derive(Default)]
pub struct Wanted<'a> {
    pub subnet: &'a str,
    pub groups: Vec<String>,
    pub description: String,
    pub interface_type: &'a str,
    pub requester: Option<&'a str>,
    pub instance: Option<&'a str>,
    pub public_ip: Option<String>,
}

kind!(NetworkInterface, network_interfaces);

impl Kind for NetworkInterface {
    const NAMES: Names = Names {
        prefix: "eni",
        kind: "network-interface",
        ids: "NetworkInterfaceId",
        set: "networkInterfaceSet",
        sizes: 5..=1000,
        absent: ("InvalidNetworkInterfaceID.NotFound", "The networkInterface ID '{}' does not exist"),
    };
    const FILTERS: Filters<NetworkInterface> = &[
        ("attachment.instance-id", |interface, _| interface.instance.iter().cloned().collect()),
        ("availability-zone", |interface, _| one(&interface.zone)),
        ("description", |interface, _| one(&interface.description)),
        ("group-id", |interface, _| interface.groups.clone()),
        ("interface-type", |interface, _| one(&interface.interface_type)),
        ("network-interface-id", |interface, _| one(&interface.id)),
        ("private-ip-address", |interface, _| one(&interface.private_ip)),
        ("requester-managed", |interface, _| one(interface.requester.is_some())),
        ("status", |_, _| one("in-use")),
        ("subnet-id", |interface, _| one(&interface.subnet)),
        ("vpc-id", |interface, _| one(&interface.vpc)),
    ];

    fn view(&self, tx: &Tx) -> Value {
        let group = |id: &String| {
            let name = tx.peek::<SecurityGroup>(id).map(|group| &group.name);
            json!({ "groupId": id, "groupName": name })
        };
        let association = self.public_ip.as_ref().map(|ip| json!({ "publicIp": ip }));
        json!({
            "networkInterfaceId": self.id,
            "subnetId": self.subnet,
            "vpcId": self.vpc,
            "availabilityZone": self.zone,
            "description": self.description,
            "ownerId": tx.scope.account,
            "requesterId": self.requester,
            "requesterManaged": self.requester.is_some(),
            "status": "in-use",
            "macAddress": mac_address(&self.id),
            "privateIpAddress": self.private_ip,
            "privateIpAddressesSet": [
                { "privateIpAddress": self.private_ip, "primary": true, "association": association }
            ],
            "sourceDestCheck": self.interface_type != "nat_gateway",
            "groupSet": self.groups.iter().map(group).collect::<Vec<_>>(),
            "attachment": {
                "attachmentId": attachment_id(&self.id, self.instance.is_some()),
                // The first of an instance; those of load balancers and gateways are the second.
                "deviceIndex": if self.instance.is_some() { 0 } else { 1 },
                "networkCardIndex": 0,
                "instanceId": self.instance,
                "instanceOwnerId": self.requester.as_ref().unwrap_or(&tx.scope.account),
                "status": "attached",
                "deleteOnTermination": true,
            },
            "association": association,
            "interfaceType": self.interface_type,
            "tagSet": tag_set(&self.tags),
        })
    }
}

impl Shown for NetworkInterface {
    const DESCRIBE: &'static str = "DescribeNetworkInterfaces";

    fn read(shown: &Params) -> Option<NetworkInterface> {
        let secondary = shown.list("privateIpAddressesSet").into_iter().filter(|address| !address.flag("primary"));
        Some(NetworkInterface {
            id: shown.text("networkInterfaceId"),
            subnet: shown.text("subnetId"),
            vpc: shown.text("vpcId"),
            zone: shown.text("availabilityZone"),
            groups: super::ids(shown, "groupSet", "groupId"),
            private_ip: shown.text("privateIpAddress"),
            secondary_ips: secondary.map(|address| address.text("privateIpAddress")).collect(),
            public_ip: optional(shown, "association.publicIp"),
            description: shown.text("description"),
            interface_type: shown.opt_str("interfaceType").unwrap_or("interface").to_owned(),
            requester: shown.flag("requesterManaged").then(|| shown.text("requesterId")),
            instance: optional(shown, "attachment.instanceId"),
            tags: tags_of(shown),
        })
    }
}

impl NetworkInterface {
    /// Its addresses in its subnet.
    pub fn ips(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.private_ip).chain(&self.secondary_ips).map(String::as_str)
    }
}

/// Its hardware address: one that is administered locally.
pub fn mac_address(id: &str) -> String {
    let [_, a, b, c, d, e, ..] = digest(id).to_be_bytes();
    format!("02:{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}")
}

/// `eni-attach-…` on an instance, `ela-attach-…` on what AWS runs itself.
pub fn attachment_id(id: &str, on_instance: bool) -> String {
    format!("{}-attach-0{:016x}", if on_instance { "eni" } else { "ela" }, digest(id))
}

fn describe_network_interfaces(tx: &mut Tx, p: &Params) -> Reply {
    check_not_paged_by_id::<NetworkInterface>(p)?;
    describe::<NetworkInterface>(tx, p)
}

/// Puts an interface into a subnet, with its lowest free address.
pub fn attach(tx: &mut Tx, wanted: Wanted) -> Result<NetworkInterface, AwsError> {
    let subnet = tx.get::<Subnet>(wanted.subnet)?;
    let used: BTreeSet<&str> = tx
        .all::<NetworkInterface>()
        .filter(|interface| interface.subnet == subnet.id)
        .flat_map(NetworkInterface::ips)
        .collect();
    let cidr = subnet.ipv4()?;
    // The first four and the last address are EC2's.
    let (first, last) = (u32::from(cidr.0.network()) + 4, u32::from(cidr.0.broadcast()));
    let free = (first..last).map(|ip| Ipv4Addr::from(ip).to_string()).find(|ip| !used.contains(ip.as_str()));
    let private_ip = free.ok_or_else(|| {
        let message = format!("There are not enough free addresses in subnet '{}'.", subnet.id);
        AwsError::new("InsufficientFreeAddressesInSubnet", message)
    })?;
    let (subnet, vpc, zone) = (subnet.id.clone(), subnet.vpc.clone(), subnet.zone.clone());
    let interface = NetworkInterface {
        id: tx.new_id("eni"),
        subnet,
        vpc,
        zone,
        groups: wanted.groups,
        private_ip,
        secondary_ips: Vec::new(),
        public_ip: wanted.public_ip,
        description: wanted.description,
        interface_type: wanted.interface_type.to_owned(),
        requester: wanted.requester.map(str::to_owned),
        instance: wanted.instance.map(str::to_owned),
        tags: Tags::new(),
    };
    tx.put(interface.clone());
    Ok(interface)
}

/// Takes an interface away, and frees the Elastic IP address that is on it.
pub fn detach(tx: &mut Tx, id: &str) {
    let is_on_it = |address: &Address| address.association.as_ref().is_some_and(|used| used.interface == id);
    tx.change_each::<Address>(is_on_it, |address| address.association = None);
    tx.delete::<NetworkInterface>(id);
}
