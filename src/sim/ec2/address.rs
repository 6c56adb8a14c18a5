//! Elastic IP addresses. What uses one notes itself as the association, and takes it away when it goes.

use super::*;

pub const ACTIONS: &[Action] = &[
    Action { name: "AllocateAddress", params: &["Domain", TAGS], run: allocate_address },
    Action { name: "DescribeAddresses", params: &["AllocationId[]", "PublicIp[]", FILTERS], run: describe_addresses },
    Action { name: "ReleaseAddress", params: &["AllocationId"], run: release_address },
];

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Address {
    pub id: String,
    pub public_ip: String,
    pub association: Option<Association>,
    pub tags: Tags,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Association {
    pub id: String,
    pub interface: String,
    pub private_ip: String,
}

kind!(Address, addresses);

impl Kind for Address {
    const NAMES: Names = Names {
        prefix: "eipalloc",
        kind: "elastic-ip",
        ids: "AllocationId",
        set: "addressesSet",
        sizes: 5..=1000,
        absent: ("InvalidAllocationID.NotFound", "The allocation ID '{}' does not exist"),
    };
    const FILTERS: Filters<Address> = &[
        ("allocation-id", |address, _| one(&address.id)),
        ("association-id", |address, _| address.association.iter().map(|used| used.id.clone()).collect()),
        ("domain", |_, _| one("vpc")),
        ("network-interface-id", |address, _| address.association.iter().map(|used| used.interface.clone()).collect()),
        ("private-ip-address", |address, _| address.association.iter().map(|used| used.private_ip.clone()).collect()),
        ("public-ip", |address, _| one(&address.public_ip)),
    ];

    fn view(&self, tx: &Tx) -> Value {
        let used = self.association.as_ref();
        json!({
            "allocationId": self.id,
            "publicIp": self.public_ip,
            "domain": "vpc",
            "publicIpv4Pool": "amazon",
            "networkBorderGroup": tx.scope.region,
            "associationId": used.map(|used| &used.id),
            "networkInterfaceId": used.map(|used| &used.interface),
            "networkInterfaceOwnerId": used.map(|_| &tx.scope.account),
            "privateIpAddress": used.map(|used| &used.private_ip),
            "tagSet": tag_set(&self.tags),
        })
    }
}

impl Shown for Address {
    const DESCRIBE: &'static str = "DescribeAddresses";

    fn read(shown: &Params) -> Option<Address> {
        let association = shown.has("associationId").then(|| Association {
            id: shown.text("associationId"),
            interface: shown.text("networkInterfaceId"),
            private_ip: shown.text("privateIpAddress"),
        });
        let (id, public_ip) = (optional(shown, "allocationId")?, shown.text("publicIp"));
        Some(Address { id, public_ip, association, tags: tags_of(shown) })
    }
}

/// Reads all addresses: they have no pages.
pub fn load(reader: &Reader, _: Option<&str>, rows: &mut Rows) -> Result<(), AwsError> {
    let reply = reader.get("ec2", Address::DESCRIBE, json!({}))?;
    reply.list(Address::NAMES.set).iter().for_each(|shown| put::<Address>(shown, rows));
    Ok(())
}

fn allocate_address(tx: &mut Tx, p: &Params) -> Reply {
    let domain = p.opt_str("Domain").unwrap_or("vpc");
    if domain != "vpc" {
        return Err(AwsError::invalid("domain", domain, ""));
    }
    let tags = tags_for::<Address>(p)?;
    let id = tx.new_id("eipalloc");
    let address = Address { public_ip: public_ip(&id), id, association: None, tags };
    tx.put(address.clone());
    let mut view = address.view(tx);
    view["tagSet"] = Value::Null; // this reply has no tags
    Ok(view)
}

/// Of 198.18.0.0/15, which is reserved for tests of networks: no address here belongs to anybody.
pub fn public_ip(id: &str) -> String {
    let number = id.get(id.len().saturating_sub(4)..).and_then(|digits| u16::from_str_radix(digits, 16).ok());
    let [high, low] = number.unwrap_or_default().to_be_bytes();
    format!("198.18.{high}.{low}")
}

/// Addresses have no pages.
fn describe_addresses(tx: &mut Tx, p: &Params) -> Reply {
    let ips = p.strings("PublicIp");
    let mut rows = tx.select::<Address>(&p.strings("AllocationId"))?;
    if let Some(unknown) = ips.iter().find(|ip| !rows.iter().any(|row| row.public_ip == **ip)) {
        return Err(AwsError::new("InvalidAddress.NotFound", format!("Address '{unknown}' not found.")));
    }
    rows.retain(|row| ips.is_empty() || ips.contains(&&*row.public_ip));
    let rows = select::filter(tx, p, Address::FILTERS, Some(Address::tags), rows)?;
    Ok(json!({ "addressesSet": rows.into_iter().map(|row| show(tx, row)).collect::<Vec<_>>() }))
}

fn release_address(tx: &mut Tx, p: &Params) -> Reply {
    let id = p.str("AllocationId")?;
    let address = tx.get::<Address>(id)?;
    if address.association.is_some() {
        let message = format!("Address {} is in use.", address.public_ip);
        return Err(AwsError::new("InvalidIPAddress.InUse", message));
    }
    tx.delete::<Address>(id);
    done()
}
