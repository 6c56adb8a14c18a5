//! VPCs. One comes with a main route table, a default network ACL and a default security group, and takes them along.

use super::*;

pub const ACTIONS: &[Action] = &[
    Action { name: "CreateVpc", params: &["CidrBlock", "InstanceTenancy", TAGS], run: create_vpc },
    Action { name: "DescribeVpcs", params: &["VpcId[]", FILTERS, PAGES], run: describe::<Vpc> },
    Action { name: "DeleteVpc", params: &["VpcId"], run: delete_vpc },
    Action { name: "DescribeVpcAttribute", params: &["VpcId", "Attribute"], run: describe_vpc_attribute },
    Action {
        name: "ModifyVpcAttribute",
        params: &[
            "VpcId",
            "EnableDnsHostnames.Value",
            "EnableDnsSupport.Value",
            "EnableNetworkAddressUsageMetrics.Value",
        ],
        run: modify_vpc_attribute,
    },
];

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Vpc {
    pub id: String,
    pub cidr: Cidr,
    pub association_id: String,
    /// More blocks, with the ids of their associations. They can be read, not added here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub more_cidrs: Vec<(Cidr, String)>,
    pub is_default: bool,
    pub tenancy: String,
    pub dns_support: bool,
    pub dns_hostnames: bool,
    pub usage_metrics: bool,
    pub tags: Tags,
}

kind!(Vpc, vpcs, Extent::Row);

impl Vpc {
    /// Its blocks, with the ids of their associations.
    fn cidrs(&self) -> impl Iterator<Item = (Cidr, &str)> {
        let more = self.more_cidrs.iter().map(|(cidr, association)| (*cidr, association.as_str()));
        std::iter::once((self.cidr, self.association_id.as_str())).chain(more)
    }

    pub fn contains(&self, cidr: Cidr) -> bool {
        self.cidrs().any(|(block, _)| block.contains(cidr))
    }
}

impl Kind for Vpc {
    const NAMES: Names = Names {
        prefix: "vpc",
        kind: "vpc",
        ids: "VpcId",
        set: "vpcSet",
        sizes: 5..=1000,
        absent: ("InvalidVpcID.NotFound", "The vpc ID '{}' does not exist"),
    };
    const FILTERS: Filters<Vpc> = &[
        ("cidr", |vpc, _| one(vpc.cidr)),
        ("cidr-block-association.cidr-block", |vpc, _| vpc.cidrs().map(|(cidr, _)| cidr.to_string()).collect()),
        ("is-default", |vpc, _| one(vpc.is_default)),
        ("isDefault", |vpc, _| one(vpc.is_default)),
        ("owner-id", |_, tx| one(&tx.scope.account)),
        ("state", |_, _| one("available")),
        ("vpc-id", |vpc, _| one(&vpc.id)),
    ];

    fn view(&self, tx: &Tx) -> Value {
        let block = |(cidr, association): (Cidr, &str)| json!({ "associationId": association, "cidrBlock": cidr, "cidrBlockState": { "state": "associated" } });
        json!({
            "vpcId": self.id,
            "ownerId": tx.scope.account,
            "state": "available",
            "cidrBlock": self.cidr,
            "cidrBlockAssociationSet": self.cidrs().map(block).collect::<Vec<_>>(),
            "dhcpOptionsId": "default",
            "instanceTenancy": self.tenancy,
            "isDefault": self.is_default,
            "tagSet": tag_set(&self.tags),
        })
    }
}

impl Shown for Vpc {
    const DESCRIBE: &'static str = "DescribeVpcs";

    fn read(shown: &Params) -> Option<Vpc> {
        let cidr = Cidr::try_from(shown.text("cidrBlock")).ok()?;
        let associated = |block: &&Params| block.opt_str("cidrBlockState.state") == Some("associated");
        let block = |block: &Params| Some((Cidr::try_from(block.text("cidrBlock")).ok()?, block.text("associationId")));
        let blocks: Vec<_> =
            shown.list("cidrBlockAssociationSet").iter().filter(associated).filter_map(block).collect();
        let (first, more): (Vec<_>, Vec<_>) = blocks.into_iter().partition(|(block, _)| *block == cidr);
        Some(Vpc {
            id: shown.text("vpcId"),
            cidr,
            association_id: first.into_iter().next().map(|(_, association)| association).unwrap_or_default(),
            more_cidrs: more,
            is_default: shown.flag("isDefault"),
            tenancy: shown.opt_str("instanceTenancy").unwrap_or("default").to_owned(),
            dns_support: true,
            dns_hostnames: false,
            usage_metrics: false,
            tags: tags_of(shown),
        })
    }
}

/// Lists do not show the attributes: they are asked for one by one.
pub fn load(reader: &Reader, id: Option<&str>, rows: &mut Rows) -> Result<(), AwsError> {
    for shown in shown::<Vpc>(reader, id)? {
        let Some(mut vpc) = Vpc::read(&shown) else { continue };
        if id.is_none() {
            rows.listed(Read::of(vpc).shown(&shown));
            continue;
        }
        let attribute = |name: &str| {
            let params = json!({ "VpcId": vpc.id, "Attribute": name });
            Ok::<_, AwsError>(reader.get("ec2", "DescribeVpcAttribute", params)?.flag(&format!("{name}.value")))
        };
        (vpc.dns_support, vpc.dns_hostnames, vpc.usage_metrics) = (
            attribute("enableDnsSupport")?,
            attribute("enableDnsHostnames")?,
            attribute("enableNetworkAddressUsageMetrics")?,
        );
        rows.whole(Read::of(vpc).shown(&shown));
    }
    Ok(())
}

/// The default VPC: a public subnet in each zone.
pub fn furnish(tx: &mut Tx) {
    let cidr = |text: &str| Cidr::read("CidrBlock", text).expect("a constant");
    let mut vpc = new(tx, cidr("172.31.0.0/16"), "default", Tags::new());
    vpc.is_default = true;
    vpc.dns_hostnames = true;
    add(tx, vpc.clone());
    let blocks = ["172.31.0.0/20", "172.31.16.0/20", "172.31.32.0/20"];
    for (zone, block) in zone::all(tx).into_iter().zip(blocks) {
        subnet::furnish(tx, &vpc.id, zone.name, cidr(block));
    }
    internet_gateway::furnish(tx, &vpc.id);
}

fn new(tx: &mut Tx, cidr: Cidr, tenancy: &str, tags: Tags) -> Vpc {
    Vpc {
        id: tx.new_id("vpc"),
        cidr,
        association_id: tx.new_id("vpc-cidr-assoc"),
        more_cidrs: Vec::new(),
        is_default: false,
        tenancy: tenancy.to_owned(),
        dns_support: true,
        dns_hostnames: false,
        usage_metrics: false,
        tags,
    }
}

fn add(tx: &mut Tx, vpc: Vpc) {
    route_table::add_main(tx, &vpc);
    network_acl::add_default(tx, &vpc.id);
    security_group::add_default(tx, &vpc.id);
    tx.put(vpc);
}

fn create_vpc(tx: &mut Tx, p: &Params) -> Reply {
    let cidr = Cidr::read("cidrBlock", p.str("CidrBlock")?)?;
    if !cidr.is_network() {
        return Err(AwsError::new("InvalidVpc.Range", format!("The CIDR '{cidr}' is invalid.")));
    }
    let tenancy = p.opt_str("InstanceTenancy").unwrap_or("default");
    if !["default", "dedicated"].contains(&tenancy) {
        return Err(AwsError::invalid("InstanceTenancy", tenancy, ""));
    }
    let vpc = new(tx, cidr, tenancy, tags_for::<Vpc>(p)?);
    add(tx, vpc.clone());
    let mut view = vpc.view(tx);
    view["state"] = json!("pending"); // available at the next look
    Ok(json!({ "vpc": view }))
}

fn delete_vpc(tx: &mut Tx, p: &Params) -> Reply {
    let id = p.str("VpcId")?;
    tx.get::<Vpc>(id)?;
    let used = tx.all::<Subnet>().any(|subnet| subnet.vpc == id)
        || tx.all::<InternetGateway>().any(|gateway| gateway.vpc.as_deref() == Some(id))
        || tx.all::<RouteTable>().any(|table| table.vpc == id && !table.is_main())
        || tx.all::<NetworkAcl>().any(|acl| acl.vpc == id && !acl.is_default)
        || tx.all::<SecurityGroup>().any(|group| group.vpc == id && !group.is_default());
    if used {
        return Err(in_use("vpc", id));
    }
    delete_where::<RouteTable>(tx, |table| table.vpc == id);
    delete_where::<NetworkAcl>(tx, |acl| acl.vpc == id);
    for group in delete_where::<SecurityGroup>(tx, |group| group.vpc == id) {
        delete_where::<SecurityGroupRule>(tx, |rule| rule.group == group);
    }
    tx.delete::<Vpc>(id);
    done()
}

fn describe_vpc_attribute(tx: &mut Tx, p: &Params) -> Reply {
    let vpc = tx.get::<Vpc>(p.str("VpcId")?)?;
    let (attribute, value) = match p.str("Attribute")? {
        attribute @ "enableDnsSupport" => (attribute, vpc.dns_support),
        attribute @ "enableDnsHostnames" => (attribute, vpc.dns_hostnames),
        attribute @ "enableNetworkAddressUsageMetrics" => (attribute, vpc.usage_metrics),
        other => return Err(AwsError::invalid("attribute", other, "")),
    };
    Ok(json!({ "vpcId": vpc.id, (attribute): { "value": value } }))
}

fn modify_vpc_attribute(tx: &mut Tx, p: &Params) -> Reply {
    let names = ["EnableDnsSupport", "EnableDnsHostnames", "EnableNetworkAddressUsageMetrics"];
    let given: Vec<&str> = names.into_iter().filter(|name| p.has(name)).collect();
    let [name] = given[..] else {
        let message = "The request must contain exactly one attribute to modify";
        return Err(AwsError::new("InvalidParameterCombination", message));
    };
    let value = p.bool(&format!("{name}.Value"))?;
    let vpc = tx.get_mut::<Vpc>(p.str("VpcId")?)?;
    // "You can only enable DNS hostnames if you've enabled DNS support."
    if name == "EnableDnsHostnames" && value && !vpc.dns_support {
        let message = "DNS hostnames cannot be enabled while DNS support is disabled";
        return Err(AwsError::new("InvalidParameterCombination", message));
    }
    match name {
        "EnableDnsSupport" => vpc.dns_support = value,
        "EnableDnsHostnames" => vpc.dns_hostnames = value,
        _ => vpc.usage_metrics = value,
    }
    done()
}
