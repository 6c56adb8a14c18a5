//! Routes: one per destination in a table. A route whose target is gone stays, as a blackhole.

use super::*;

pub const ACTIONS: &[Action] = &[
    Action { name: "CreateRoute", params: &[ROUTE, TARGET], run: create_route },
    Action { name: "ReplaceRoute", params: &[ROUTE, TARGET, "LocalTarget"], run: replace_route },
    Action { name: "DeleteRoute", params: &[ROUTE], run: delete_route },
];

const ROUTE: &str = "RouteTableId DestinationCidrBlock DestinationPrefixListId";
const TARGET: &str = "GatewayId NatGatewayId NetworkInterfaceId";

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Route {
    /// A block or the id of a prefix list.
    pub destination: String,
    pub target: Target,
    pub origin: Origin,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Target {
    Local,
    Gateway(String),
    Nat(String),
    Interface(String),
    /// A transit gateway, an endpoint, a peering connection, …: the whole route as AWS shows it. It can be read, replaced
    /// and deleted here, not made.
    Other(Value),
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Origin {
    CreateRouteTable,
    CreateRoute,
    EnableVgwRoutePropagation,
}

impl Route {
    pub fn view(&self, tx: &Tx, vpc: &str) -> Value {
        let (list, ipv6) = (self.destination.starts_with("pl-"), self.destination.contains(':'));
        let interface = match &self.target {
            Target::Interface(id) => Some(id),
            Target::Other(shown) => return shown.clone(),
            Target::Local | Target::Gateway(_) | Target::Nat(_) => None,
        };
        json!({
            "destinationCidrBlock": (!list && !ipv6).then_some(&self.destination),
            "destinationIpv6CidrBlock": ipv6.then_some(&self.destination),
            "destinationPrefixListId": list.then_some(&self.destination),
            "gatewayId": self.target.gateway(),
            "natGatewayId": self.target.nat(),
            "networkInterfaceId": interface,
            "state": if self.target.is_there(tx, vpc) { "active" } else { "blackhole" },
            "origin": self.origin,
        })
    }
}

impl Route {
    /// The inverse of `view`.
    pub fn read(shown: &Params) -> Route {
        let destination = ["destinationCidrBlock", "destinationIpv6CidrBlock", "destinationPrefixListId"]
            .map(|name| optional(shown, name));
        let named = |name: &str, target: fn(String) -> Target| optional(shown, name).map(target);
        let target = match shown.opt_str("gatewayId") {
            Some("local") => Some(Target::Local),
            Some(id) => id.starts_with("igw-").then(|| Target::Gateway(id.to_owned())),
            None => named("natGatewayId", Target::Nat).or_else(|| named("networkInterfaceId", Target::Interface)),
        };
        Route {
            destination: destination.into_iter().flatten().next().unwrap_or_default(),
            target: target.unwrap_or_else(|| Target::Other(shown.0.clone())),
            origin: match shown.opt_str("origin") {
                Some("CreateRouteTable") => Origin::CreateRouteTable,
                Some("EnableVgwRoutePropagation") => Origin::EnableVgwRoutePropagation,
                _ => Origin::CreateRoute,
            },
        }
    }
}

impl Target {
    pub fn gateway(&self) -> Option<String> {
        match self {
            Target::Local => Some("local".to_owned()),
            Target::Gateway(id) => Some(id.clone()),
            Target::Other(shown) => shown["gatewayId"].as_str().map(str::to_owned),
            Target::Nat(_) | Target::Interface(_) => None,
        }
    }

    pub fn nat(&self) -> Option<String> {
        match self {
            Target::Nat(id) => Some(id.clone()),
            Target::Local | Target::Gateway(_) | Target::Interface(_) | Target::Other(_) => None,
        }
    }

    fn is_there(&self, tx: &Tx, vpc: &str) -> bool {
        match self {
            Target::Local => true,
            Target::Gateway(id) => {
                tx.peek::<InternetGateway>(id).is_some_and(|gateway| gateway.vpc.as_deref() == Some(vpc))
            }
            Target::Nat(id) => tx.peek::<NatGateway>(id).is_some_and(NatGateway::is_there),
            Target::Interface(id) => tx.peek::<NetworkInterface>(id).is_some(),
            Target::Other(_) => true,
        }
    }
}

fn destination(tx: &Tx, p: &Params) -> Result<String, AwsError> {
    match (p.opt_str("DestinationCidrBlock"), p.opt_str("DestinationPrefixListId")) {
        (Some(block), None) => Ok(Cidr::read("destinationCidrBlock", block)?.to_string()),
        (None, Some(list)) => prefix_list::check(tx, list).map(|()| list.to_owned()),
        (None, None) => Err(AwsError::missing("destinationCidrBlock")),
        (Some(_), Some(_)) => {
            let message = "The request must contain exactly one of: destinationCidrBlock, destinationPrefixListId";
            Err(AwsError::new("InvalidParameterCombination", message))
        }
    }
}

/// The one target a request names. It must be there, and in the network of the table.
fn target(tx: &Tx, p: &Params, table: &RouteTable) -> Result<Target, AwsError> {
    let names = ["GatewayId", "NatGatewayId", "NetworkInterfaceId"];
    let given: Vec<(&str, &str)> = names.into_iter().filter_map(|name| Some((name, p.opt_str(name)?))).collect();
    let local = p.opt_bool("LocalTarget")?.unwrap_or(false);
    let (name, id) = match (&given[..], local) {
        ([], true) => return Ok(Target::Local),
        ([], false) => {
            let message = "The request must contain exactly one of gatewayId, natGatewayId, networkInterfaceId";
            return Err(AwsError::new("MissingParameter", message));
        }
        ([one], false) => *one,
        _ => {
            let message = "The request must contain exactly one target";
            return Err(AwsError::new("InvalidParameterCombination", message));
        }
    };
    // A route has words of its own for a gateway that is not there.
    let (network, target) = match name {
        "GatewayId" => {
            let absent = || AwsError::new("InvalidGatewayID.NotFound", format!("The gateway ID '{id}' does not exist"));
            let gateway = tx.get::<InternetGateway>(id).map_err(|_| absent())?;
            (gateway.vpc.clone().unwrap_or_default(), Target::Gateway(id.to_owned()))
        }
        "NatGatewayId" => {
            let absent =
                || AwsError::new("InvalidNatGatewayID.NotFound", format!("The natGateway ID '{id}' does not exist"));
            let nat = tx.get::<NatGateway>(id).ok().filter(|nat| nat.is_there()).ok_or_else(absent)?;
            (nat.vpc.clone(), Target::Nat(id.to_owned()))
        }
        _ => (tx.get::<NetworkInterface>(id)?.vpc.clone(), Target::Interface(id.to_owned())),
    };
    if network != table.vpc {
        let message = format!("route table {} and network gateway {id} belong to different networks", table.id);
        return Err(AwsError::new("InvalidParameterValue", message));
    }
    Ok(target)
}

fn create_route(tx: &mut Tx, p: &Params) -> Reply {
    let id = p.str("RouteTableId")?;
    let table = tx.get::<RouteTable>(id)?;
    let destination = destination(tx, p)?;
    if table.routes.iter().any(|route| route.destination == destination) {
        let message = format!("The route identified by {destination} already exists.");
        return Err(AwsError::new("RouteAlreadyExists", message));
    }
    let target = target(tx, p, table)?;
    tx.get_mut::<RouteTable>(id)?.routes.push(Route { destination, target, origin: Origin::CreateRoute });
    done()
}

fn replace_route(tx: &mut Tx, p: &Params) -> Reply {
    let id = p.str("RouteTableId")?;
    let destination = destination(tx, p)?;
    let target = target(tx, p, tx.get::<RouteTable>(id)?)?;
    let routes = &mut tx.get_mut::<RouteTable>(id)?.routes;
    let route = routes.iter_mut().find(|route| route.destination == destination).ok_or_else(|| {
        let message =
            format!("There is no route defined for '{destination}' in the route table. Use CreateRoute instead.");
        AwsError::new("InvalidParameterValue", message)
    })?;
    route.target = target;
    done()
}

fn delete_route(tx: &mut Tx, p: &Params) -> Reply {
    let id = p.str("RouteTableId")?;
    let destination = destination(tx, p)?;
    let routes = &mut tx.get_mut::<RouteTable>(id)?.routes;
    let place = routes.iter().position(|route| route.destination == destination).ok_or_else(|| {
        let message = format!("no route with destination-cidr-block {destination} in route table {id}");
        AwsError::new("InvalidRoute.NotFound", message)
    })?;
    if matches!(routes[place].origin, Origin::CreateRouteTable) {
        let message = format!("cannot remove local route {destination} in route table {id}");
        return Err(AwsError::new("InvalidParameterValue", message));
    }
    routes.remove(place);
    done()
}
