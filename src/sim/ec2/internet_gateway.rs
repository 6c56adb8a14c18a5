//! Internet gateways: attached to at most one VPC, at most one per VPC.

use super::*;

pub const ACTIONS: &[Action] = &[
    Action { name: "CreateInternetGateway", params: &[TAGS], run: create_internet_gateway },
    Action {
        name: "DescribeInternetGateways",
        params: &["InternetGatewayId[]", FILTERS, PAGES],
        run: describe::<InternetGateway>,
    },
    Action { name: "AttachInternetGateway", params: &["InternetGatewayId", "VpcId"], run: attach_internet_gateway },
    Action { name: "DetachInternetGateway", params: &["InternetGatewayId", "VpcId"], run: detach_internet_gateway },
    Action { name: "DeleteInternetGateway", params: &["InternetGatewayId"], run: delete_internet_gateway },
];

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct InternetGateway {
    pub id: String,
    pub vpc: Option<String>,
    pub tags: Tags,
}

kind!(InternetGateway, internet_gateways);

impl Kind for InternetGateway {
    const NAMES: Names = Names {
        prefix: "igw",
        kind: "internet-gateway",
        ids: "InternetGatewayId",
        set: "internetGatewaySet",
        sizes: 5..=1000,
        absent: ("InvalidInternetGatewayID.NotFound", "The internetGateway ID '{}' does not exist"),
    };
    const FILTERS: Filters<InternetGateway> = &[
        ("attachment.state", |gateway, _| gateway.vpc.iter().map(|_| "available".to_owned()).collect()),
        ("attachment.vpc-id", |gateway, _| gateway.vpc.iter().cloned().collect()),
        ("internet-gateway-id", |gateway, _| one(&gateway.id)),
        ("owner-id", |_, tx| one(&tx.scope.account)),
    ];

    fn view(&self, tx: &Tx) -> Value {
        let attachment = |vpc| json!({ "vpcId": vpc, "state": "available" });
        json!({
            "internetGatewayId": self.id,
            "ownerId": tx.scope.account,
            "attachmentSet": self.vpc.iter().map(attachment).collect::<Vec<_>>(),
            "tagSet": tag_set(&self.tags),
        })
    }
}

impl Shown for InternetGateway {
    const DESCRIBE: &'static str = "DescribeInternetGateways";

    fn read(shown: &Params) -> Option<InternetGateway> {
        let vpc = shown.list("attachmentSet").first().map(|attachment| attachment.text("vpcId"));
        Some(InternetGateway { id: shown.text("internetGatewayId"), vpc, tags: tags_of(shown) })
    }
}

/// Whether what is in this VPC can reach the internet.
pub fn serves(tx: &Tx, vpc: &str) -> bool {
    tx.all::<InternetGateway>().any(|gateway| gateway.vpc.as_deref() == Some(vpc))
}

pub fn furnish(tx: &mut Tx, vpc: &str) {
    let gateway = InternetGateway { id: tx.new_id("igw"), vpc: Some(vpc.to_owned()), tags: Tags::new() };
    let id = gateway.id.clone();
    tx.put(gateway);
    route_table::lead_out(tx, vpc, &id);
}

fn create_internet_gateway(tx: &mut Tx, p: &Params) -> Reply {
    let tags = tags_for::<InternetGateway>(p)?;
    let gateway = InternetGateway { id: tx.new_id("igw"), vpc: None, tags };
    tx.put(gateway.clone());
    Ok(json!({ "internetGateway": gateway.view(tx) }))
}

fn attach_internet_gateway(tx: &mut Tx, p: &Params) -> Reply {
    let (id, vpc) = (p.str("InternetGatewayId")?, p.str("VpcId")?);
    let gateway = tx.get::<InternetGateway>(id)?;
    if let Some(used) = &gateway.vpc {
        let message = format!("resource {id} is already attached to network {used}");
        return Err(AwsError::new("Resource.AlreadyAssociated", message));
    }
    tx.get::<Vpc>(vpc)?;
    if serves(tx, vpc) {
        let message = format!("Network {vpc} already has an internet gateway attached");
        return Err(AwsError::new("InvalidParameterValue", message));
    }
    tx.get_mut::<InternetGateway>(id)?.vpc = Some(vpc.to_owned());
    done()
}

fn detach_internet_gateway(tx: &mut Tx, p: &Params) -> Reply {
    let (id, vpc) = (p.str("InternetGatewayId")?, p.str("VpcId")?);
    if tx.get::<InternetGateway>(id)?.vpc.as_deref() != Some(vpc) {
        let message = format!("resource {id} is not attached to network {vpc}");
        return Err(AwsError::new("Gateway.NotAttached", message));
    }
    if tx.all::<NetworkInterface>().any(|interface| interface.vpc == vpc && interface.public_ip.is_some()) {
        let message = format!(
            "Network {vpc} has some mapped public address(es). Please unmap those public address(es) before \
             detaching the gateway."
        );
        return Err(AwsError::new("DependencyViolation", message));
    }
    tx.get_mut::<InternetGateway>(id)?.vpc = None;
    done()
}

fn delete_internet_gateway(tx: &mut Tx, p: &Params) -> Reply {
    let id = p.str("InternetGatewayId")?;
    if tx.get::<InternetGateway>(id)?.vpc.is_some() {
        return Err(in_use("internetGateway", id));
    }
    tx.delete::<InternetGateway>(id);
    done()
}
