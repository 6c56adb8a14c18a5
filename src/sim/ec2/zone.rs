//! Regions, those that need not be opted into, and their availability zones: every region has three, `a` to `c`. In a fork
//! they are the account's own.

use super::*;

pub const ACTIONS: &[Action] = &[
    Action {
        name: "DescribeAvailabilityZones",
        params: &["ZoneName[]", "ZoneId[]", "AllAvailabilityZones", FILTERS],
        run: describe_availability_zones,
    },
    Action { name: "DescribeRegions", params: &["RegionName[]"], run: describe_regions },
];

/// Those that are enabled in every account ("Regions and Zones" in the EC2 guide).
const REGIONS: [&str; 17] = [
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-south-1",
    "ap-southeast-1",
    "ap-southeast-2",
    "ca-central-1",
    "eu-central-1",
    "eu-north-1",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "sa-east-1",
    "us-east-1",
    "us-east-2",
    "us-west-1",
    "us-west-2",
];

fn describe_regions(_: &mut Tx, p: &Params) -> Reply {
    let names = p.strings("RegionName");
    if let Some(unknown) = names.iter().find(|name| !REGIONS.contains(name)) {
        return Err(AwsError::new("InvalidParameterValue", format!("Invalid region name: [{unknown}]")));
    }
    let view = |name: &&str| {
        json!({
            "regionName": name,
            "regionEndpoint": format!("ec2.{name}.amazonaws.com"),
            "optInStatus": "opt-in-not-required",
        })
    };
    let shown = REGIONS.iter().filter(|name| names.is_empty() || names.contains(name));
    Ok(json!({ "regionInfo": shown.map(view).collect::<Vec<_>>() }))
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AvailabilityZone {
    pub name: String,
    /// Of the place itself: in a real account the letters are shuffled, here they are not.
    pub id: String,
    /// `local-zone` or `wavelength-zone` for those outside of the region's own places.
    kind: String,
}

resource!(AvailabilityZone, name, region.ec2.availability_zones, Extent::Kind, |name: &str| AwsError::new(
    "InvalidParameterValue",
    format!("Invalid availability zone: [{name}]")
));

const ORDINARY: &str = "availability-zone";

/// The zones of the region, in the order of their names.
pub fn all(tx: &Tx) -> Vec<AvailabilityZone> {
    if tx.is_fork() {
        return tx.all::<AvailabilityZone>().cloned().collect();
    }
    let region = &tx.scope.region;
    let short = short(region);
    let zone = |(index, letter)| AvailabilityZone {
        name: format!("{region}{letter}"),
        id: format!("{short}-az{}", index + 1),
        kind: ORDINARY.to_owned(),
    };
    ["a", "b", "c"].into_iter().enumerate().map(zone).collect()
}

/// Reads those that the account may use. They have no pages.
pub fn load(reader: &Reader, _: Option<&str>, rows: &mut Rows) -> Result<(), AwsError> {
    for shown in reader.get("ec2", "DescribeAvailabilityZones", json!({}))?.list("availabilityZoneInfo") {
        let kind = optional(&shown, "zoneType").unwrap_or_else(|| ORDINARY.to_owned());
        rows.whole(Read::of(AvailabilityZone { name: shown.text("zoneName"), id: shown.text("zoneId"), kind }));
    }
    Ok(())
}

/// `eu-west-1` is `euw1` in zone ids, `ap-southeast-2` is `apse2`.
fn short(region: &str) -> String {
    let mut parts = region.split('-');
    let area = parts.next().unwrap_or_default();
    let rest: String = parts
        .map(|part| match part {
            "northeast" => "ne",
            "northwest" => "nw",
            "southeast" => "se",
            "southwest" => "sw",
            _ => part.get(..1).unwrap_or_default(),
        })
        .collect();
    format!("{area}{rest}")
}

/// The zone a request names by name or id; without either, AWS chooses (here: the first).
pub fn chosen(tx: &Tx, p: &Params) -> Result<AvailabilityZone, AwsError> {
    let zones = all(tx);
    let names = zones.iter().map(|zone| zone.name.as_str()).collect::<Vec<_>>().join(", ");
    let (parameter, wanted) = match (p.opt_str("AvailabilityZone"), p.opt_str("AvailabilityZoneId")) {
        (None, None) => {
            let own = zones.into_iter().find(|zone| zone.kind == ORDINARY);
            return own.ok_or_else(|| AvailabilityZone::absent(""));
        }
        (Some(name), _) => ("availabilityZone", name),
        (None, Some(id)) => ("availabilityZoneId", id),
    };
    let why = format!("Subnets can currently only be created in the following availability zones: {names}.");
    let found = zones.into_iter().find(|zone| zone.name == wanted || zone.id == wanted);
    found.ok_or_else(|| AwsError::invalid(parameter, wanted, &why))
}

/// "For Availability Zones, `us-east-1-zg-1`."
fn group_name(tx: &Tx) -> String {
    format!("{}-zg-1", tx.scope.region)
}

fn describe_availability_zones(tx: &mut Tx, p: &Params) -> Reply {
    const KNOWN: Filters<AvailabilityZone> = &[
        ("group-name", |_, tx| one(group_name(tx))),
        ("opt-in-status", |_, _| one("opt-in-not-required")),
        ("region-name", |_, tx| one(&tx.scope.region)),
        ("state", |_, _| one("available")),
        ("zone-id", |zone, _| one(&zone.id)),
        ("zone-name", |zone, _| one(&zone.name)),
        ("zone-type", |_, _| one("availability-zone")),
    ];
    let region = &tx.scope.region;
    let zones = all(tx);
    let (names, ids) = (p.strings("ZoneName"), p.strings("ZoneId"));
    let known = |wanted: &&str| zones.iter().any(|zone| zone.name == **wanted || zone.id == **wanted);
    if let Some(unknown) = names.iter().chain(&ids).find(|wanted| !known(wanted)) {
        return Err(AwsError::new("InvalidParameterValue", format!("Invalid availability zone: [{unknown}]")));
    }
    let asked = |zone: &&AvailabilityZone| {
        (names.is_empty() && ids.is_empty()) || names.contains(&&*zone.name) || ids.contains(&&*zone.id)
    };
    let rows = select::filter(tx, p, KNOWN, None, zones.iter().filter(asked).collect())?;
    let view = |zone: &AvailabilityZone| {
        json!({
            "zoneName": zone.name,
            "zoneId": zone.id,
            "zoneState": "available",
            "zoneType": "availability-zone",
            "regionName": region,
            "groupName": group_name(tx),
            "networkBorderGroup": region,
            "optInStatus": "opt-in-not-required",
            "messageSet": [],
        })
    };
    Ok(json!({ "availabilityZoneInfo": rows.into_iter().map(view).collect::<Vec<_>>() }))
}

#[cfg(test)]
mod tests {
    use super::short;

    #[test]
    fn zone_ids() {
        assert_eq!(short("us-east-1"), "use1");
        assert_eq!(short("eu-west-1"), "euw1");
        assert_eq!(short("ap-southeast-2"), "apse2");
        assert_eq!(short("eu-central-1"), "euc1");
    }
}
