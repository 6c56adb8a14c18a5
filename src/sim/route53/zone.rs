//! Hosted zones: made with four name servers, an SOA and an NS record; deleted only when nothing else is in them.

use std::collections::BTreeMap;

use super::name::{check, normal, reversed, shown};
use super::record::RecordSet;
use super::*;
use crate::sim::table::mix;

pub const ACTIONS: &[Action] = &[
    Action {
        name: "CreateHostedZone",
        params: &["Name CallerReference HostedZoneConfig.Comment HostedZoneConfig.PrivateZone VPC.VPCRegion VPC.VPCId"],
        run: create_hosted_zone,
    },
    Action { name: "GetHostedZone", params: &["Id"], run: get_hosted_zone },
    Action { name: "ListHostedZones", params: &["Marker MaxItems HostedZoneType"], run: list_hosted_zones },
    Action {
        name: "ListHostedZonesByName",
        params: &["DNSName HostedZoneId MaxItems"],
        run: list_hosted_zones_by_name,
    },
    Action { name: "UpdateHostedZoneComment", params: &["Id Comment"], run: update_comment },
    Action { name: "DeleteHostedZone", params: &["Id"], run: delete_hosted_zone },
    Action {
        name: "AssociateVPCWithHostedZone",
        params: &["HostedZoneId Comment VPC.VPCRegion VPC.VPCId"],
        run: associate_vpc,
    },
    Action {
        name: "DisassociateVPCFromHostedZone",
        params: &["HostedZoneId Comment VPC.VPCRegion VPC.VPCId"],
        run: disassociate_vpc,
    },
];

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Zone {
    pub id: String,
    pub name: String,
    pub caller_reference: String,
    pub comment: Option<String>,
    pub private: bool,
    pub vpcs: Vec<Vpc>,
    /// By name, type and set identifier, in the order of lists.
    pub records: BTreeMap<String, RecordSet>,
    /// Those a forked account shows, if they are others than a new zone of this id would get here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub name_servers: Vec<String>,
    pub tags: Tags,
}

/// Where a record leads, with which part of the users.
pub struct Lead<'r> {
    pub weight: u64,
    pub health_check: Option<&'r str>,
    pub to: &'r str,
}

/// It may be of any region.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Vpc {
    region: String,
    id: String,
}

resource!(Zone, id, global.route53.hosted_zones, Extent::Row, |id| AwsError::new(
    "NoSuchHostedZone",
    format!("No hosted zone found with ID: {id}")
)
.status(404));

impl Zone {
    fn view(&self) -> Value {
        json!({
            "Id": format!("/hostedzone/{}", self.id),
            "Name": shown(&self.name),
            "CallerReference": self.caller_reference,
            "Config": { "Comment": self.comment, "PrivateZone": self.private },
            "ResourceRecordSetCount": self.records.len(),
        })
    }

    fn delegation_set(&self) -> Value {
        if self.private { Value::Null } else { json!({ "NameServers": { "NameServer": self.name_servers() } }) }
    }

    fn name_servers(&self) -> Vec<String> {
        if self.name_servers.is_empty() { name_servers(&self.id) } else { self.name_servers.clone() }
    }

    /// Whether a record set of this zone has this value.
    pub fn says(&self, name: &str, kind: &str, value: &str) -> bool {
        let (name, value) = (normal(name), normal(value));
        self.records.values().any(|record| {
            record.name == name && record.kind == kind && record.values.iter().any(|found| normal(found) == value)
        })
    }

    /// The records of a name that lead somewhere: an alias, a CNAME, addresses.
    pub fn leads(&self, name: &str) -> Vec<Lead<'_>> {
        let of_name = self.records.values().filter(|record| record.name == name);
        let leads = of_name.filter_map(|record| {
            let to = match (&record.alias, record.kind.as_str()) {
                (Some(alias), "A") => &alias.name,
                (None, "A" | "CNAME") => record.values.first()?,
                _ => return None,
            };
            let weight = record.weight.map_or(1, i64::unsigned_abs);
            Some(Lead { weight, health_check: record.health_check.as_deref(), to })
        });
        leads.collect()
    }

    fn put(&mut self, record: RecordSet) {
        self.records.insert(record.key(), record);
    }
}

pub const CALLS: &[&str] = &[
    "route53:GetHostedZone",
    "route53:ListHostedZones",
    "route53:ListResourceRecordSets",
    "route53:ListTagsForResource",
];

/// A zone with its record sets and tags, or all as a list shows them.
pub fn load(reader: &Reader, id: Option<&str>, rows: &mut Rows) -> Result<(), AwsError> {
    let Some(id) = id else {
        let params = json!({ "MaxItems": 100 });
        let zones = reader.pages("route53", "ListHostedZones", params, "HostedZones", ("NextMarker", "Marker"))?;
        zones.iter().for_each(|shown| rows.listed(Read::of(read(shown)).shown(shown)));
        return Ok(());
    };
    let absent = ["NoSuchHostedZone", "InvalidInput"];
    let Some(reply) = reader.find("route53", "GetHostedZone", json!({ "Id": id }), &absent)? else { return Ok(()) };
    let shown = reply.part("HostedZone");
    let mut zone = read(&shown);
    let vpc = |vpc: &Params| Vpc { region: vpc.text("VPCRegion"), id: vpc.text("VPCId") };
    zone.vpcs = reply.list("VPCs").iter().map(vpc).collect();
    let servers: Vec<String> = reply.strings("DelegationSet.NameServers").into_iter().map(str::to_owned).collect();
    zone.name_servers = if servers == name_servers(&zone.id) { Vec::new() } else { servers };
    let params = json!({ "ResourceType": "hostedzone", "ResourceId": id });
    zone.tags = reader.get("route53", "ListTagsForResource", params)?.map("ResourceTagSet.Tags", "Key", "Value");
    for record in record::load(reader, id)? {
        zone.put(record);
    }
    rows.whole(Read::of(zone).shown(&shown));
    Ok(())
}

fn read(shown: &Params) -> Zone {
    Zone {
        id: shown.text("Id").trim_start_matches("/hostedzone/").to_owned(),
        name: normal(&shown.text("Name")),
        caller_reference: shown.text("CallerReference"),
        comment: shown.opt_str("Config.Comment").map(str::to_owned),
        private: shown.flag("Config.PrivateZone"),
        vpcs: Vec::new(),
        records: BTreeMap::new(),
        name_servers: Vec::new(),
        tags: Tags::new(),
    }
}

/// Four, one of each top-level domain, as every zone has.
fn name_servers(id: &str) -> Vec<String> {
    let seed = id.bytes().fold(0, |seed, byte| mix(seed ^ u64::from(byte)));
    let server = |(at, domain): (u64, &str)| {
        let number = mix(seed ^ at) % 512;
        format!("ns-{}.awsdns-{:02}.{domain}", at * 512 + number, number % 64)
    };
    (0..).zip(["com", "net", "org", "co.uk"]).map(server).collect()
}

fn vpc(p: &Params) -> Result<Vpc, AwsError> {
    Ok(Vpc { region: p.str("VPC.VPCRegion")?.to_owned(), id: p.str("VPC.VPCId")?.to_owned() })
}

/// The VPC a request names, which is there and of this account, and has no other private zone of this name.
fn free_vpc(tx: &Tx, p: &Params, name: &str, own: Option<&str>) -> Result<Vpc, AwsError> {
    let vpc = vpc(p)?;
    if tx.vpc_in(&vpc.region, &vpc.id).is_none() {
        let message = format!("The VPC {} in region {} that you provided is not authorized", vpc.id, vpc.region);
        return Err(AwsError::new("InvalidVPCId", message));
    }
    // Lists do not show the VPCs.
    let others = tx.all::<Zone>().filter(|zone| zone.private && zone.name == name && Some(&*zone.id) != own);
    let mut others = others.filter_map(|zone| tx.peek::<Zone>(&zone.id));
    if others.any(|zone| zone.vpcs.contains(&vpc)) {
        let Vpc { id, region } = vpc;
        let message = format!(
            "The VPC {id} in region {region} has already been associated with a hosted zone of the name {name}"
        );
        return Err(AwsError::new("ConflictingDomainExists", message));
    }
    Ok(vpc)
}

fn vpc_view(vpc: &Vpc) -> Value {
    json!({ "VPCRegion": vpc.region, "VPCId": vpc.id })
}

fn zone<'t>(tx: &'t mut Tx, p: &Params, parameter: &str) -> Result<&'t mut Zone, AwsError> {
    tx.get_mut::<Zone>(p.str(parameter)?.trim_start_matches("/hostedzone/"))
}

fn create_hosted_zone(tx: &mut Tx, p: &Params) -> Reply {
    let (name, caller_reference) = (normal(p.str("Name")?), p.str("CallerReference")?.to_owned());
    check(&name)?;
    // The model: CallerReference has 1 to 128 characters.
    if !(1..=128).contains(&caller_reference.chars().count()) {
        return Err(invalid_input("The caller reference must have 1 to 128 characters"));
    }
    if tx.all::<Zone>().any(|zone| zone.caller_reference == caller_reference) {
        let message = "A hosted zone has already been created with the specified caller reference.";
        return Err(AwsError::new("HostedZoneAlreadyExists", message).status(409));
    }
    let vpcs = if p.has("VPC") { vec![free_vpc(tx, p, &name, None)?] } else { Vec::new() };
    if p.opt_bool("HostedZoneConfig.PrivateZone")? == Some(true) && vpcs.is_empty() {
        return Err(invalid_input("When you're creating a private hosted zone, you must specify a VPC"));
    }
    let mut zone = Zone {
        id: new_id(tx, "Z"),
        name,
        caller_reference,
        comment: p.opt_str("HostedZoneConfig.Comment").filter(|text| !text.is_empty()).map(str::to_owned),
        private: !vpcs.is_empty(),
        vpcs,
        records: BTreeMap::new(),
        name_servers: Vec::new(),
        tags: Tags::new(),
    };
    let servers: Vec<String> = name_servers(&zone.id).iter().map(|name| format!("{name}.")).collect();
    let soa = format!("{} awsdns-hostmaster.amazon.com. 1 7200 900 1209600 86400", servers[0]);
    zone.put(RecordSet::plain(&zone.name, "NS", 172_800, servers));
    zone.put(RecordSet::plain(&zone.name, "SOA", 900, vec![soa]));
    let (view, delegation_set) = (zone.view(), zone.delegation_set());
    let vpc = zone.vpcs.first().map(vpc_view);
    let location = format!("https://route53.amazonaws.com/2013-04-01/hostedzone/{}", zone.id);
    tx.put(zone);
    let change = change::submit(tx, None);
    Ok(json!({
        "Location": location,
        "HostedZone": view,
        "ChangeInfo": change,
        "DelegationSet": delegation_set,
        "VPC": vpc,
    }))
}

fn get_hosted_zone(tx: &mut Tx, p: &Params) -> Reply {
    let zone = tx.get::<Zone>(p.str("Id")?.trim_start_matches("/hostedzone/"))?;
    let vpcs: Vec<Value> = zone.vpcs.iter().map(vpc_view).collect();
    let vpcs = zone.private.then(|| json!({ "VPC": vpcs }));
    let shown = tx.shown(zone, |zone, _| zone.view());
    Ok(json!({ "HostedZone": shown, "DelegationSet": zone.delegation_set(), "VPCs": vpcs }))
}

fn list_hosted_zones(tx: &mut Tx, p: &Params) -> Reply {
    let (size, marker) = (page_size(p, 100)?, p.opt_str("Marker"));
    let mut zones = tx.select::<Zone>(&[])?;
    zones.retain(|zone| zone.private || p.opt_str("HostedZoneType") != Some("PrivateHostedZone"));
    zones.retain(|zone| marker.is_none_or(|marker| zone.id.as_str() >= marker));
    let next = zones.get(size).map(|zone| zone.id.clone());
    let zones: Vec<Value> = zones.iter().take(size).map(|zone| tx.shown(*zone, |zone, _| zone.view())).collect();
    Ok(json!({
        "HostedZones": { "HostedZone": zones },
        "Marker": marker,
        "IsTruncated": next.is_some(),
        "NextMarker": next,
        "MaxItems": size,
    }))
}

/// From a name on, in the order of the reversed labels.
fn list_hosted_zones_by_name(tx: &mut Tx, p: &Params) -> Reply {
    let size = page_size(p, 100)?;
    let place = |zone: &Zone| (reversed(&zone.name), zone.id.clone());
    let start = p.opt_str("DNSName").map(|name| {
        let id = p.opt_str("HostedZoneId").unwrap_or_default();
        (reversed(&normal(name)), id.trim_start_matches("/hostedzone/").to_owned())
    });
    let mut zones = tx.select::<Zone>(&[])?;
    zones.retain(|zone| start.as_ref().is_none_or(|start| place(zone) >= *start));
    zones.sort_by_key(|zone| place(zone));
    let next = zones.get(size);
    Ok(json!({
        "HostedZones": { "HostedZone": zones.iter().take(size).map(|zone| tx.shown(*zone, |zone, _| zone.view())).collect::<Vec<_>>() },
        "DNSName": p.opt_str("DNSName"),
        "HostedZoneId": p.opt_str("HostedZoneId"),
        "IsTruncated": next.is_some(),
        "NextDNSName": next.map(|zone| shown(&zone.name)),
        "NextHostedZoneId": next.map(|zone| &zone.id),
        "MaxItems": size,
    }))
}

fn update_comment(tx: &mut Tx, p: &Params) -> Reply {
    let zone = zone(tx, p, "Id")?;
    zone.comment = p.opt_str("Comment").filter(|text| !text.is_empty()).map(str::to_owned);
    Ok(json!({ "HostedZone": zone.view() }))
}

fn delete_hosted_zone(tx: &mut Tx, p: &Params) -> Reply {
    let zone = zone(tx, p, "Id")?;
    let required = |record: &RecordSet| record.name == zone.name && ["NS", "SOA"].contains(&record.kind.as_str());
    if !zone.records.values().all(required) {
        let message = "The specified hosted zone contains non-required resource record sets  and so cannot be deleted.";
        return Err(AwsError::new("HostedZoneNotEmpty", message));
    }
    let id = zone.id.clone();
    tx.delete::<Zone>(&id);
    let change = change::submit(tx, None);
    Ok(json!({ "ChangeInfo": change }))
}

fn associate_vpc(tx: &mut Tx, p: &Params) -> Reply {
    let found = zone(tx, p, "HostedZoneId")?;
    if !found.private {
        let message = "You're trying to associate a VPC with a public hosted zone.";
        return Err(AwsError::new("PublicZoneVPCAssociation", message));
    }
    let (id, name) = (found.id.clone(), found.name.clone());
    let vpc = free_vpc(tx, p, &name, Some(&id))?;
    let zone = zone(tx, p, "HostedZoneId")?;
    if !zone.vpcs.contains(&vpc) {
        zone.vpcs.push(vpc);
    }
    let change = change::submit(tx, p.opt_str("Comment"));
    Ok(json!({ "ChangeInfo": change }))
}

fn disassociate_vpc(tx: &mut Tx, p: &Params) -> Reply {
    let (vpc, zone) = (vpc(p)?, zone(tx, p, "HostedZoneId")?);
    if !zone.vpcs.contains(&vpc) {
        let message = "The specified VPC and hosted zone are not currently associated.";
        return Err(AwsError::new("VPCAssociationNotFound", message).status(404));
    }
    if zone.vpcs.len() == 1 {
        let message = "The VPC that you are trying to disassociate from the private hosted zone is the last VPC";
        return Err(AwsError::new("LastVPCAssociation", message));
    }
    zone.vpcs.retain(|held| *held != vpc);
    let change = change::submit(tx, p.opt_str("Comment"));
    Ok(json!({ "ChangeInfo": change }))
}
