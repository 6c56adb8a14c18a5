//! NAT gateways: pending for about 90 seconds, deleting for about a minute, shown as deleted for an hour.
//!
//! What is wrong with a new one shows late, as in AWS: it becomes `failed`, with the codes of "Troubleshoot NAT
//! gateways" in the VPC guide.

use super::address::Association;
use super::network_interface::{self, Wanted};
use super::*;
use crate::sim::wire::time;

pub const ACTIONS: &[Action] = &[
    Action {
        name: "CreateNatGateway",
        params: &["SubnetId", "AllocationId", "ConnectivityType", "ClientToken", TAGS],
        run: create_nat_gateway,
    },
    Action { name: "DescribeNatGateways", params: &["NatGatewayId[]", FILTERS, PAGES], run: describe::<NatGateway> },
    Action { name: "DeleteNatGateway", params: &["NatGatewayId"], run: delete_nat_gateway },
];

const START: Duration = Duration::from_secs(90);
const STOP: Duration = Duration::from_secs(60);
const SHOWN_AFTERWARDS: Duration = Duration::from_secs(3600);

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NatGateway {
    pub id: String,
    pub subnet: String,
    pub vpc: String,
    pub state: State,
    pub public: bool,
    pub created: jiff::Timestamp,
    pub deleted: Option<jiff::Timestamp>,
    pub failure: Option<(String, String)>,
    pub allocation: Option<String>,
    pub public_ip: Option<String>,
    pub association: Option<String>,
    pub private_ip: Option<String>,
    pub interface: Option<String>,
    pub tags: Tags,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    Pending,
    Available,
    Deleting,
    Deleted,
    Failed,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub enum Step {
    Start,
    Stop,
    Forget,
}

kind!(NatGateway, nat_gateways);

impl Kind for NatGateway {
    const NAMES: Names = Names {
        prefix: "nat",
        kind: "natgateway",
        ids: "NatGatewayId",
        set: "natGatewaySet",
        sizes: 5..=1000,
        absent: ("NatGatewayNotFound", "NatGateway {} was not found"),
    };
    const FILTERS: Filters<NatGateway> = &[
        ("nat-gateway-id", |nat, _| one(&nat.id)),
        ("state", |nat, _| one(nat.state)),
        ("subnet-id", |nat, _| one(&nat.subnet)),
        ("vpc-id", |nat, _| one(&nat.vpc)),
    ];

    fn view(&self, _: &Tx) -> Value {
        // The world knows before the caller may.
        let failure = self.failure.as_ref().filter(|_| self.state != State::Pending);
        json!({
            "natGatewayId": self.id,
            "subnetId": self.subnet,
            "vpcId": self.vpc,
            "state": self.state,
            "connectivityType": if self.public { "public" } else { "private" },
            "createTime": time(self.created),
            "deleteTime": self.deleted.map(time),
            "failureCode": failure.map(|(code, _)| code),
            "failureMessage": failure.map(|(_, message)| message),
            "natGatewayAddressSet": [{
                "allocationId": self.allocation,
                "associationId": self.association,
                "publicIp": self.public_ip,
                "privateIp": self.private_ip,
                "networkInterfaceId": self.interface,
                "isPrimary": true,
                "status": if self.state == State::Failed { "failed" } else { "succeeded" },
            }],
            "tagSet": tag_set(&self.tags),
        })
    }
}

impl Shown for NatGateway {
    const DESCRIBE: &'static str = "DescribeNatGateways";

    fn read(shown: &Params) -> Option<NatGateway> {
        let addresses = shown.list("natGatewayAddressSet");
        let primary = addresses.iter().find(|address| address.flag("isPrimary")).or(addresses.first());
        let of_primary = |name: &str| primary.and_then(|address| optional(address, name));
        Some(NatGateway {
            id: shown.text("natGatewayId"),
            // A regional one is in no subnet.
            subnet: shown.text("subnetId"),
            vpc: shown.text("vpcId"),
            state: match shown.opt_str("state")? {
                "pending" => State::Pending,
                "deleting" => State::Deleting,
                "deleted" => State::Deleted,
                "failed" => State::Failed,
                _ => State::Available,
            },
            public: shown.opt_str("connectivityType") != Some("private"),
            created: shown.time("createTime"),
            deleted: shown.has("deleteTime").then(|| shown.time("deleteTime")),
            failure: optional(shown, "failureCode").map(|code| (code, shown.text("failureMessage"))),
            allocation: of_primary("allocationId"),
            public_ip: of_primary("publicIp"),
            association: of_primary("associationId"),
            private_ip: of_primary("privateIp"),
            interface: of_primary("networkInterfaceId"),
            tags: tags_of(shown),
        })
    }

    fn go_on(&self, tx: &mut Tx) {
        let deleted = self.deleted.unwrap_or(self.created);
        let (step, after) = match self.state {
            State::Pending => (Step::Start, tx.left(self.created, START)),
            State::Deleting => (Step::Stop, tx.left(deleted, STOP)),
            State::Deleted | State::Failed => (Step::Forget, tx.left(deleted, SHOWN_AFTERWARDS)),
            State::Available => return,
        };
        tx.schedule(after, Event::NatGateway(self.id.clone(), step));
    }
}

impl std::fmt::Display for State {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str(match self {
            State::Pending => "pending",
            State::Available => "available",
            State::Deleting => "deleting",
            State::Deleted => "deleted",
            State::Failed => "failed",
        })
    }
}

impl NatGateway {
    pub fn is_there(&self) -> bool {
        matches!(self.state, State::Pending | State::Available)
    }
}

fn create_nat_gateway(tx: &mut Tx, p: &Params) -> Reply {
    tx.once(p, "ClientToken", TOKEN_LIFE, |tx| {
        let public = match p.opt_str("ConnectivityType").unwrap_or("public") {
            "public" => true,
            "private" => false,
            other => return Err(AwsError::invalid("ConnectivityType", other, "")),
        };
        if !public && p.has("AllocationId") {
            let message = "A private NAT gateway has no allocation ID";
            return Err(AwsError::new("InvalidParameterCombination", message));
        }
        let subnet = tx.get::<Subnet>(p.str("SubnetId")?)?.clone();
        let address = public.then(|| tx.get::<Address>(p.str("AllocationId")?).cloned()).transpose()?;
        let tags = tags_for::<NatGateway>(p)?;
        let mut nat = NatGateway {
            id: tx.new_id("nat"),
            subnet: subnet.id,
            vpc: subnet.vpc,
            state: State::Pending,
            public,
            created: tx.now,
            deleted: None,
            failure: None,
            allocation: address.as_ref().map(|address| address.id.clone()),
            public_ip: None,
            association: None,
            private_ip: None,
            interface: None,
            tags,
        };
        let taken = address.as_ref().filter(|address| address.association.is_some());
        if let Some(Address { id, .. }) = taken {
            let message = format!("Elastic IP address [{id}] is already associated");
            nat.failure = Some(("Resource.AlreadyAssociated".to_owned(), message));
        } else if public && !internet_gateway::serves(tx, &nat.vpc) {
            let message = format!("Network {} has no Internet gateway attached", nat.vpc);
            nat.failure = Some(("Gateway.NotAttached".to_owned(), message));
        } else {
            connect(tx, &mut nat, address)?;
        }
        tx.schedule(START, Event::NatGateway(nat.id.clone(), Step::Start));
        let view = nat.view(tx);
        tx.put(nat);
        Ok(json!({ "clientToken": p.opt_str("ClientToken"), "natGateway": view }))
    })
}

/// Gives the gateway its place in the subnet, and the address to it.
fn connect(tx: &mut Tx, nat: &mut NatGateway, address: Option<Address>) -> Result<(), AwsError> {
    let interface = network_interface::attach(
        tx,
        Wanted {
            subnet: &nat.subnet,
            description: format!("Interface for NAT Gateway {}", nat.id),
            interface_type: "nat_gateway",
            requester: Some("amazon-aws"),
            public_ip: address.as_ref().map(|address| address.public_ip.clone()),
            ..Wanted::default()
        },
    )?;
    if let Some(address) = address {
        let association = Association {
            id: tx.new_id("eipassoc"),
            interface: interface.id.clone(),
            private_ip: interface.private_ip.clone(),
        };
        nat.association = Some(association.id.clone());
        tx.get_mut::<Address>(&address.id)?.association = Some(association);
        nat.public_ip = Some(address.public_ip);
    }
    nat.interface = Some(interface.id);
    nat.private_ip = Some(interface.private_ip);
    Ok(())
}

fn delete_nat_gateway(tx: &mut Tx, p: &Params) -> Reply {
    let id = p.str("NatGatewayId")?;
    let now = tx.now;
    let nat = tx.get_mut::<NatGateway>(id)?;
    match nat.state {
        State::Deleted => return Err(NatGateway::absent(id)),
        State::Deleting => {}
        State::Pending | State::Available | State::Failed => {
            nat.state = State::Deleting;
            nat.deleted = Some(now);
            tx.schedule(STOP, Event::NatGateway(id.to_owned(), Step::Stop));
        }
    }
    Ok(json!({ "natGatewayId": id }))
}

pub fn happen(tx: &mut Tx, id: &str, step: Step) {
    let Some(nat) = tx.peek_mut::<NatGateway>(id) else {
        return;
    };
    match (step, nat.state) {
        (Step::Start, State::Pending) => {
            nat.state = if nat.failure.is_none() { State::Available } else { State::Failed };
            if nat.state == State::Failed {
                tx.schedule(SHOWN_AFTERWARDS, Event::NatGateway(id.to_owned(), Step::Forget));
            }
        }
        (Step::Stop, State::Deleting) => {
            nat.state = State::Deleted;
            if let Some(interface) = nat.interface.clone() {
                network_interface::detach(tx, &interface);
            }
            tx.schedule(SHOWN_AFTERWARDS, Event::NatGateway(id.to_owned(), Step::Forget));
        }
        (Step::Forget, State::Deleted | State::Failed) => tx.delete::<NatGateway>(id),
        (Step::Start | Step::Stop | Step::Forget, _) => {}
    }
}
