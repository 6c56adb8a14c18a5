//! Route tables and their associations. A VPC has a main one, which serves the subnets that have no other.

use super::route::{Origin, Route, Target};
use super::*;

pub const ACTIONS: &[Action] = &[
    Action { name: "CreateRouteTable", params: &["VpcId", "ClientToken", TAGS], run: create_route_table },
    Action { name: "DescribeRouteTables", params: &["RouteTableId[]", FILTERS, PAGES], run: describe::<RouteTable> },
    Action { name: "DeleteRouteTable", params: &["RouteTableId"], run: delete_route_table },
    Action { name: "AssociateRouteTable", params: &["RouteTableId", "SubnetId"], run: associate_route_table },
    Action { name: "DisassociateRouteTable", params: &["AssociationId"], run: disassociate_route_table },
    Action {
        name: "ReplaceRouteTableAssociation",
        params: &["AssociationId", "RouteTableId"],
        run: replace_route_table_association,
    },
];

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RouteTable {
    pub id: String,
    pub vpc: String,
    pub routes: Vec<Route>,
    pub associations: Vec<Association>,
    pub tags: Tags,
}

/// With a subnet, or, without one, as the main table of the VPC.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Association {
    pub id: String,
    pub subnet: Option<String>,
    /// What comes in through a gateway takes this table. Such an association can be read, not made here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<String>,
}

impl Association {
    fn is_main(&self) -> bool {
        self.subnet.is_none() && self.gateway.is_none()
    }
}

kind!(RouteTable, route_tables);

impl Kind for RouteTable {
    const NAMES: Names = Names {
        prefix: "rtb",
        kind: "route-table",
        ids: "RouteTableId",
        set: "routeTableSet",
        sizes: 5..=100,
        absent: ("InvalidRouteTableID.NotFound", "The routeTable ID '{}' does not exist"),
    };
    const FILTERS: Filters<RouteTable> = &[
        ("association.main", |table, _| table.associations.iter().map(|each| each.is_main().to_string()).collect()),
        ("association.route-table-association-id", |table, _| {
            table.associations.iter().map(|each| each.id.clone()).collect()
        }),
        ("association.route-table-id", |table, _| table.associations.iter().map(|_| table.id.clone()).collect()),
        ("association.subnet-id", |table, _| {
            table.associations.iter().filter_map(|each| each.subnet.clone()).collect()
        }),
        ("owner-id", |_, tx| one(&tx.scope.account)),
        ("route-table-id", |table, _| one(&table.id)),
        ("route.destination-cidr-block", |table, _| {
            table.routes.iter().map(|route| route.destination.clone()).collect()
        }),
        ("route.gateway-id", |table, _| table.routes.iter().filter_map(|route| route.target.gateway()).collect()),
        ("route.nat-gateway-id", |table, _| table.routes.iter().filter_map(|route| route.target.nat()).collect()),
        ("vpc-id", |table, _| one(&table.vpc)),
    ];

    fn view(&self, tx: &Tx) -> Value {
        let association = |each: &Association| {
            json!({
                "routeTableAssociationId": each.id,
                "routeTableId": self.id,
                "subnetId": each.subnet,
                "gatewayId": each.gateway,
                "main": each.is_main(),
                "associationState": { "state": "associated" },
            })
        };
        json!({
            "routeTableId": self.id,
            "vpcId": self.vpc,
            "ownerId": tx.scope.account,
            "routeSet": self.routes.iter().map(|route| route.view(tx, &self.vpc)).collect::<Vec<_>>(),
            "associationSet": self.associations.iter().map(association).collect::<Vec<_>>(),
            "propagatingVgwSet": [],
            "tagSet": tag_set(&self.tags),
        })
    }
}

impl Shown for RouteTable {
    const DESCRIBE: &'static str = "DescribeRouteTables";

    fn read(shown: &Params) -> Option<RouteTable> {
        let association = |each: &Params| Association {
            id: each.text("routeTableAssociationId"),
            subnet: optional(each, "subnetId"),
            gateway: optional(each, "gatewayId"),
        };
        // One that ended is shown for a while.
        let holds = |each: &&Params| {
            !["disassociating", "disassociated", "failed"].contains(&&*each.text("associationState.state"))
        };
        Some(RouteTable {
            id: shown.text("routeTableId"),
            vpc: shown.text("vpcId"),
            routes: shown.list("routeSet").iter().map(Route::read).collect(),
            associations: shown.list("associationSet").iter().filter(holds).map(association).collect(),
            tags: tags_of(shown),
        })
    }
}

impl RouteTable {
    pub fn is_main(&self) -> bool {
        self.associations.iter().any(Association::is_main)
    }
}

/// The main table of a new VPC.
pub fn add_main(tx: &mut Tx, vpc: &Vpc) {
    let mut table = new(tx, vpc, Tags::new());
    table.associations.push(Association { id: tx.new_id("rtbassoc"), subnet: None, gateway: None });
    tx.put(table);
}

/// Sends what leaves the VPC to the internet gateway: the main table of a default VPC does.
pub fn lead_out(tx: &mut Tx, vpc: &str, gateway: &str) {
    if let Some(main) = tx.find_mut::<RouteTable>(|table| table.vpc == vpc && table.is_main()) {
        let target = Target::Gateway(gateway.to_owned());
        main.routes.push(Route { destination: "0.0.0.0/0".to_owned(), target, origin: Origin::CreateRoute });
    }
}

fn new(tx: &mut Tx, vpc: &Vpc, tags: Tags) -> RouteTable {
    let local = Route { destination: vpc.cidr.to_string(), target: Target::Local, origin: Origin::CreateRouteTable };
    RouteTable { id: tx.new_id("rtb"), vpc: vpc.id.clone(), routes: vec![local], associations: Vec::new(), tags }
}

fn create_route_table(tx: &mut Tx, p: &Params) -> Reply {
    tx.once(p, "ClientToken", TOKEN_LIFE, |tx| {
        let vpc = tx.get::<Vpc>(p.str("VpcId")?)?.clone();
        let tags = tags_for::<RouteTable>(p)?;
        let table = new(tx, &vpc, tags);
        tx.put(table.clone());
        Ok(json!({ "clientToken": p.opt_str("ClientToken"), "routeTable": table.view(tx) }))
    })
}

fn delete_route_table(tx: &mut Tx, p: &Params) -> Reply {
    let id = p.str("RouteTableId")?;
    if !tx.get::<RouteTable>(id)?.associations.is_empty() {
        return Err(in_use("routeTable", id));
    }
    tx.delete::<RouteTable>(id);
    done()
}

fn associate_route_table(tx: &mut Tx, p: &Params) -> Reply {
    let table = tx.get::<RouteTable>(p.str("RouteTableId")?)?;
    let subnet = tx.get::<Subnet>(p.str("SubnetId")?)?;
    same_network(table, subnet)?;
    let (table, subnet) = (table.id.clone(), subnet.id.clone());
    let existing = tx.all::<RouteTable>().find_map(|other| {
        let association = other.associations.iter().find(|each| each.subnet.as_ref() == Some(&subnet))?;
        Some((other.id.clone(), association.id.clone()))
    });
    let id = match existing {
        Some((with, id)) if with == table => id,
        Some(_) => {
            let message =
                format!("the specified association for route table {table} conflicts with an existing association");
            return Err(AwsError::new("Resource.AlreadyAssociated", message));
        }
        None => associate(tx, &table, Some(subnet), None)?,
    };
    Ok(json!({ "associationId": id, "associationState": { "state": "associated" } }))
}

fn associate(tx: &mut Tx, table: &str, subnet: Option<String>, gateway: Option<String>) -> Result<String, AwsError> {
    let id = tx.new_id("rtbassoc");
    tx.get_mut::<RouteTable>(table)?.associations.push(Association { id: id.clone(), subnet, gateway });
    Ok(id)
}

/// The association of that id, and its table.
fn find(tx: &Tx, id: &str) -> Result<(String, Association), AwsError> {
    let found = tx.all::<RouteTable>().find_map(|table| {
        let association = table.associations.iter().find(|association| association.id == id)?;
        Some((table.id.clone(), association.clone()))
    });
    found.ok_or_else(|| {
        AwsError::new("InvalidAssociationID.NotFound", format!("The association ID '{id}' does not exist"))
    })
}

fn remove(tx: &mut Tx, table: &str, association: &str) {
    if let Some(table) = tx.peek_mut::<RouteTable>(table) {
        table.associations.retain(|each| each.id != association);
    }
}

fn disassociate_route_table(tx: &mut Tx, p: &Params) -> Reply {
    let id = p.str("AssociationId")?;
    let (table, association) = find(tx, id)?;
    if association.is_main() {
        let message = format!("cannot disassociate the main route table association {id}");
        return Err(AwsError::new("InvalidParameterValue", message));
    }
    remove(tx, &table, id);
    done()
}

/// Moves a subnet, or the role of main table, to another table. The association gets a new id.
fn replace_route_table_association(tx: &mut Tx, p: &Params) -> Reply {
    let id = p.str("AssociationId")?;
    let (from, association) = find(tx, id)?;
    let to = tx.get::<RouteTable>(p.str("RouteTableId")?)?;
    if tx.peek::<RouteTable>(&from).is_some_and(|from| from.vpc != to.vpc) {
        let message = format!("route table {} and route table {from} belong to different networks", to.id);
        return Err(AwsError::new("InvalidParameterValue", message));
    }
    let to = to.id.clone();
    remove(tx, &from, id);
    let id = associate(tx, &to, association.subnet, association.gateway)?;
    Ok(json!({ "newAssociationId": id, "associationState": { "state": "associated" } }))
}

fn same_network(table: &RouteTable, subnet: &Subnet) -> Result<(), AwsError> {
    if table.vpc == subnet.vpc {
        return Ok(());
    }
    let message = format!("route table {} and subnet {} belong to different networks", table.id, subnet.id);
    Err(AwsError::new("InvalidParameterValue", message))
}
