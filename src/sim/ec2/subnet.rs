//! Subnets: blocks of a VPC that do not overlap, each in one zone. A new one has the default network ACL.

use super::*;

pub const ACTIONS: &[Action] = &[
    Action {
        name: "CreateSubnet",
        params: &["VpcId", "CidrBlock", "AvailabilityZone", "AvailabilityZoneId", TAGS],
        run: create_subnet,
    },
    Action { name: "DescribeSubnets", params: &["SubnetId[]", FILTERS, PAGES], run: describe::<Subnet> },
    Action { name: "DeleteSubnet", params: &["SubnetId"], run: delete_subnet },
    Action {
        name: "ModifySubnetAttribute",
        params: &["SubnetId", "MapPublicIpOnLaunch.Value"],
        run: modify_subnet_attribute,
    },
];

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Subnet {
    pub id: String,
    pub vpc: String,
    /// A subnet with IPv6 only has none. It can be read, not made here.
    pub cidr: Option<Cidr>,
    pub zone: String,
    pub default_for_az: bool,
    pub map_public_ip: bool,
    pub tags: Tags,
}

kind!(Subnet, subnets);

impl Kind for Subnet {
    const NAMES: Names = Names {
        prefix: "subnet",
        kind: "subnet",
        ids: "SubnetId",
        set: "subnetSet",
        sizes: 5..=1000,
        absent: ("InvalidSubnetID.NotFound", "The subnet ID '{}' does not exist"),
    };
    const FILTERS: Filters<Subnet> = &[
        ("availability-zone", |subnet, _| one(&subnet.zone)),
        ("availabilityZone", |subnet, _| one(&subnet.zone)),
        ("availability-zone-id", |subnet, tx| one(subnet.zone_id(tx))),
        ("available-ip-address-count", |subnet, tx| one(subnet.free_addresses(tx))),
        ("cidr", |subnet, _| subnet.cidr.iter().map(Cidr::to_string).collect()),
        ("cidr-block", |subnet, _| subnet.cidr.iter().map(Cidr::to_string).collect()),
        ("cidrBlock", |subnet, _| subnet.cidr.iter().map(Cidr::to_string).collect()),
        ("default-for-az", |subnet, _| one(subnet.default_for_az)),
        ("defaultForAz", |subnet, _| one(subnet.default_for_az)),
        ("map-public-ip-on-launch", |subnet, _| one(subnet.map_public_ip)),
        ("owner-id", |_, tx| one(&tx.scope.account)),
        ("state", |_, _| one("available")),
        ("subnet-id", |subnet, _| one(&subnet.id)),
        ("vpc-id", |subnet, _| one(&subnet.vpc)),
    ];

    fn view(&self, tx: &Tx) -> Value {
        json!({
            "subnetId": self.id,
            "subnetArn": tx.arn("ec2", &format!("subnet/{}", self.id)),
            "ownerId": tx.scope.account,
            "vpcId": self.vpc,
            "state": "available",
            "cidrBlock": self.cidr,
            "availableIpAddressCount": self.free_addresses(tx),
            "availabilityZone": self.zone,
            "availabilityZoneId": self.zone_id(tx),
            "defaultForAz": self.default_for_az,
            "mapPublicIpOnLaunch": self.map_public_ip,
            "mapCustomerOwnedIpOnLaunch": false,
            "assignIpv6AddressOnCreation": false,
            "ipv6CidrBlockAssociationSet": [],
            "enableDns64": false,
            "ipv6Native": false,
            "privateDnsNameOptionsOnLaunch": {
                "hostnameType": "ip-name",
                "enableResourceNameDnsARecord": false,
                "enableResourceNameDnsAAAARecord": false,
            },
            "tagSet": tag_set(&self.tags),
        })
    }
}

impl Shown for Subnet {
    const DESCRIBE: &'static str = "DescribeSubnets";

    fn read(shown: &Params) -> Option<Subnet> {
        Some(Subnet {
            id: shown.text("subnetId"),
            vpc: shown.text("vpcId"),
            cidr: optional(shown, "cidrBlock").and_then(|block| Cidr::try_from(block).ok()),
            zone: shown.text("availabilityZone"),
            default_for_az: shown.flag("defaultForAz"),
            map_public_ip: shown.flag("mapPublicIpOnLaunch"),
            tags: tags_of(shown),
        })
    }
}

impl Subnet {
    fn zone_id(&self, tx: &Tx) -> String {
        let zone = zone::all(tx).into_iter().find(|zone| zone.name == self.zone);
        zone.map(|zone| zone.id).unwrap_or_default()
    }

    /// EC2 keeps the first four addresses and the last one of every subnet.
    pub fn free_addresses(&self, tx: &Tx) -> usize {
        let size = self.cidr.map_or(0, |cidr| 1usize << (32 - cidr.0.prefix_len()));
        let used = tx.all::<NetworkInterface>().filter(|interface| interface.subnet == self.id);
        size.saturating_sub(5 + used.flat_map(NetworkInterface::ips).count())
    }

    pub fn holds(&self, ip: std::net::Ipv4Addr) -> bool {
        self.cidr.is_some_and(|cidr| cidr.0.contains(&ip))
    }

    /// Whether it has a block of IPv6. None that is made here does; in a fork the account's own may.
    pub fn has_ipv6(&self, tx: &Tx) -> bool {
        let shown = show(tx, self);
        shown["ipv6CidrBlockAssociationSet"].as_array().is_some_and(|blocks| !blocks.is_empty())
    }

    /// Its block of IPv4, which everything that is put into a subnet here needs.
    pub fn ipv4(&self) -> Result<Cidr, AwsError> {
        self.cidr.ok_or_else(|| {
            let message = format!("the simulator does not model subnets without IPv4, as {} is one", self.id);
            AwsError::unanswered("UnsupportedOperation", message)
        })
    }
}

pub fn furnish(tx: &mut Tx, vpc: &str, zone: String, cidr: Cidr) {
    let id = tx.new_id("subnet");
    add(
        tx,
        Subnet {
            id,
            vpc: vpc.to_owned(),
            cidr: Some(cidr),
            zone,
            default_for_az: true,
            map_public_ip: true,
            tags: Tags::new(),
        },
    );
}

fn add(tx: &mut Tx, subnet: Subnet) {
    network_acl::associate_default(tx, &subnet);
    tx.put(subnet);
}

fn create_subnet(tx: &mut Tx, p: &Params) -> Reply {
    let vpc = tx.get::<Vpc>(p.str("VpcId")?)?;
    let cidr = Cidr::read("cidrBlock", p.str("CidrBlock")?)?;
    if !cidr.is_network() || !vpc.contains(cidr) {
        return Err(AwsError::new("InvalidSubnet.Range", format!("The CIDR '{cidr}' is invalid.")));
    }
    if tx.all::<Subnet>().any(|other| other.vpc == vpc.id && other.cidr.is_some_and(|other| other.overlaps(cidr))) {
        let message = format!("The CIDR '{cidr}' conflicts with another subnet");
        return Err(AwsError::new("InvalidSubnet.Conflict", message));
    }
    let (vpc, zone) = (vpc.id.clone(), zone::chosen(tx, p)?.name);
    let tags = tags_for::<Subnet>(p)?;
    let id = tx.new_id("subnet");
    let subnet = Subnet { id, vpc, cidr: Some(cidr), zone, default_for_az: false, map_public_ip: false, tags };
    add(tx, subnet.clone());
    Ok(json!({ "subnet": subnet.view(tx) }))
}

fn delete_subnet(tx: &mut Tx, p: &Params) -> Reply {
    let id = p.str("SubnetId")?;
    tx.get::<Subnet>(id)?;
    if tx.all::<NetworkInterface>().any(|interface| interface.subnet == id) {
        return Err(in_use("subnet", id));
    }
    tx.change_each::<RouteTable>(
        |table| table.associations.iter().any(|association| association.subnet.as_deref() == Some(id)),
        |table| table.associations.retain(|association| association.subnet.as_deref() != Some(id)),
    );
    tx.change_each::<NetworkAcl>(
        |acl| acl.associations.iter().any(|association| association.subnet == id),
        |acl| acl.associations.retain(|association| association.subnet != id),
    );
    tx.delete::<Subnet>(id);
    done()
}

fn modify_subnet_attribute(tx: &mut Tx, p: &Params) -> Reply {
    let value = p.bool("MapPublicIpOnLaunch.Value")?;
    tx.get_mut::<Subnet>(p.str("SubnetId")?)?.map_public_ip = value;
    done()
}
