//! Record sets: changed in batches of which all or nothing happens, listed in the order of their names.

use std::collections::BTreeMap;

use serde_json::Map;

use super::name::{is_in, normal, reversed, shown};
use super::*;
use crate::sim::elbv2;

pub const ACTIONS: &[Action] = &[
    Action {
        name: "ChangeResourceRecordSets",
        params: &[
            "HostedZoneId ChangeBatch.Comment ChangeBatch.Changes[].Action",
            "ChangeBatch.Changes[].ResourceRecordSet.Name ChangeBatch.Changes[].ResourceRecordSet.Type",
            "ChangeBatch.Changes[].ResourceRecordSet.TTL",
            "ChangeBatch.Changes[].ResourceRecordSet.ResourceRecords[].Value",
            "ChangeBatch.Changes[].ResourceRecordSet.SetIdentifier ChangeBatch.Changes[].ResourceRecordSet.Weight",
            "ChangeBatch.Changes[].ResourceRecordSet.HealthCheckId",
            "ChangeBatch.Changes[].ResourceRecordSet.AliasTarget.HostedZoneId",
            "ChangeBatch.Changes[].ResourceRecordSet.AliasTarget.DNSName",
            "ChangeBatch.Changes[].ResourceRecordSet.AliasTarget.EvaluateTargetHealth",
        ],
        run: change_record_sets,
    },
    Action {
        name: "ListResourceRecordSets",
        params: &["HostedZoneId StartRecordName StartRecordType StartRecordIdentifier MaxItems"],
        run: list_record_sets,
    },
];

/// Where AWS's own names are that an alias can point at.
const AWS_DOMAINS: [&str; 3] = [".amazonaws.com.", ".amazonaws.com.cn.", ".cloudfront.net."];

/// Those whose values are checked at least roughly; others fail closed.
const TYPES: &[&str] = &["A", "AAAA", "CAA", "CNAME", "MX", "NS", "PTR", "SOA", "SPF", "SRV", "TXT"];

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RecordSet {
    pub name: String,
    pub kind: String,
    pub identifier: Option<String>,
    pub weight: Option<i64>,
    pub ttl: Option<i64>,
    pub values: Vec<String>,
    pub alias: Option<Alias>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health_check: Option<String>,
    /// What it has that is not modelled: a failover role, a latency region, … It can be read, and neither made nor changed
    /// here.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub other: Map<String, Value>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alias {
    zone: String,
    pub name: String,
    evaluate_health: bool,
}

impl RecordSet {
    pub fn plain(name: &str, kind: &str, ttl: i64, values: Vec<String>) -> RecordSet {
        let (name, kind) = (name.to_owned(), kind.to_owned());
        RecordSet {
            name,
            kind,
            identifier: None,
            weight: None,
            ttl: Some(ttl),
            values,
            alias: None,
            health_check: None,
            other: Map::new(),
        }
    }

    /// The inverse of `view`.
    fn shown(shown: &Params) -> RecordSet {
        const MODELLED: [&str; 8] =
            ["Name", "Type", "SetIdentifier", "Weight", "TTL", "ResourceRecords", "AliasTarget", "HealthCheckId"];
        let fields = shown.0.as_object().into_iter().flatten();
        let other = fields.filter(|(name, value)| !MODELLED.contains(&name.as_str()) && !value.is_null());
        let alias = shown.has("AliasTarget").then(|| Alias {
            zone: shown.text("AliasTarget.HostedZoneId"),
            name: normal(&shown.text("AliasTarget.DNSName")),
            evaluate_health: shown.flag("AliasTarget.EvaluateTargetHealth"),
        });
        RecordSet {
            name: normal(&shown.text("Name")),
            kind: shown.text("Type"),
            identifier: shown.opt_str("SetIdentifier").map(str::to_owned),
            weight: shown.opt_int("Weight").ok().flatten(),
            ttl: shown.opt_int("TTL").ok().flatten(),
            values: shown.list("ResourceRecords").iter().map(|record| record.text("Value")).collect(),
            alias,
            health_check: shown.opt_str("HealthCheckId").map(str::to_owned),
            other: other.map(|(name, value)| (name.clone(), value.clone())).collect(),
        }
    }

    fn read(action: &str, p: &Params) -> Result<RecordSet, AwsError> {
        let (name, kind) = (p.str("Name")?, p.str("Type")?);
        if !TYPES.contains(&kind) {
            return Err(AwsError::not_modelled("InvalidInput", "record type", kind, "ChangeResourceRecordSets"));
        }
        let values =
            p.list("ResourceRecords").iter().map(|r| r.str("Value").map(str::to_owned)).collect::<Result<_, _>>()?;
        let alias = match p.has("AliasTarget") {
            true => Some(Alias {
                zone: p.str("AliasTarget.HostedZoneId")?.to_owned(),
                name: normal(p.str("AliasTarget.DNSName")?),
                evaluate_health: p.bool("AliasTarget.EvaluateTargetHealth")?,
            }),
            false => None,
        };
        let record = RecordSet {
            name: normal(name),
            kind: kind.to_owned(),
            identifier: p.opt_str("SetIdentifier").map(str::to_owned),
            weight: p.opt_int("Weight")?,
            ttl: p.opt_int("TTL")?,
            values,
            alias,
            health_check: p.opt_str("HealthCheckId").map(str::to_owned),
            other: Map::new(),
        };
        // The model: SetIdentifier has 1 to 128 characters, Weight is 0 to 255, TTL is 0 to 2147483647.
        let within = |number: Option<i64>, most: i64| number.is_none_or(|number| (0..=most).contains(&number));
        let length = record.identifier.as_deref().map_or(1, |identifier| identifier.chars().count());
        for (name, good) in [
            ("setIdentifier", (1..=128).contains(&length)),
            ("weight", within(record.weight, 255)),
            ("tTL", within(record.ttl, i64::from(i32::MAX))),
        ] {
            if !good {
                return Err(invalid_input(format!(
                    "1 validation error detected: Value at 'changeBatch.changes.1.member.resourceRecordSet.{name}' \
                     failed to satisfy constraint: it is out of range"
                )));
            }
        }
        let plain = record.ttl.is_some() && !record.values.is_empty();
        let how_many = usize::from(plain) + usize::from(record.alias.is_some());
        if how_many != 1 || (record.alias.is_some() && (record.ttl.is_some() || !record.values.is_empty())) {
            let found = if how_many == 0 { "none" } else { "more than one" };
            let identifier = record.identifier.as_deref().unwrap_or("null");
            return Err(invalid_input(format!(
                "Invalid request: Expected exactly one of [AliasTarget, all of [TTL, and ResourceRecords], or \
                 TrafficPolicyInstanceId], but found {found} in Change with [Action={action}, Name={}, Type={kind}, \
                 SetIdentifier={identifier}]",
                record.name
            )));
        }
        if record.weight.is_some() != record.identifier.is_some() {
            let message = "Invalid request: a set identifier and a weight are both needed, or neither";
            return Err(invalid_input(message));
        }
        Ok(record)
    }

    pub fn key(&self) -> String {
        key(&self.name, &self.kind, self.identifier.as_deref().unwrap_or_default())
    }

    fn view(&self) -> Value {
        let values: Vec<Value> = self.values.iter().map(|value| json!({ "Value": value })).collect();
        let mut view = json!({
            "Name": shown(&self.name),
            "Type": self.kind,
            "SetIdentifier": self.identifier,
            "Weight": self.weight,
            "TTL": self.ttl,
            "ResourceRecords": self.alias.is_none().then(|| json!({ "ResourceRecord": values })),
            "AliasTarget": self.alias.as_ref().map(|alias| json!({
                "HostedZoneId": alias.zone,
                "DNSName": alias.name,
                "EvaluateTargetHealth": alias.evaluate_health,
            })),
            "HealthCheckId": self.health_check,
        });
        if let Some(fields) = view.as_object_mut() {
            fields.extend(self.other.clone());
        }
        view
    }

    /// The order of values says nothing.
    fn is_same(&self, other: &RecordSet) -> bool {
        let sorted = |record: &RecordSet| {
            let mut record = record.clone();
            record.values.sort();
            record
        };
        sorted(self) == sorted(other)
    }

    /// What is wrong with its name or its values by themselves.
    fn fault(&self) -> Option<String> {
        if let Some((what, why)) = name::fault(&self.name) {
            return Some(format!("FATAL problem: {what} ({why}) encountered with '{}'", self.name));
        }
        let twice = |(at, value): (usize, &String)| self.values[..at].contains(value);
        if let Some((_, value)) = self.values.iter().enumerate().find(|pair| twice(*pair)) {
            return Some(format!("Duplicate Resource Record: '{value}'"));
        }
        let fatal = |what: &str, why: &str, value: &str| {
            format!("Invalid Resource Record: 'FATAL problem: {what} ({why}) encountered with '{value}''")
        };
        let is_quoted = |value: &str| value.len() > 1 && value.starts_with('"') && value.ends_with('"');
        self.values.iter().find_map(|value| match self.kind.as_str() {
            "A" if value.parse::<std::net::Ipv4Addr>().is_err() => {
                Some(fatal("ARRDATAIllegalIPv4Address", "Value is not a valid IPv4 address", value))
            }
            "AAAA" if value.parse::<std::net::Ipv6Addr>().is_err() => {
                Some(fatal("AAAARRDATAIllegalIPv6Address", "Value is not a valid IPv6 address", value))
            }
            "TXT" | "SPF" if !is_quoted(value) => {
                Some(fatal("InvalidCharacterString", "Value should be enclosed in quotation marks", value))
            }
            // "A single string can include up to 255 characters"; more of them are written side by side.
            "TXT" | "SPF" if strings(value).into_iter().any(|length| length > 255) => {
                Some(fatal("CharacterStringTooLong", "Value is too long", value))
            }
            "MX" if !fields(value, &[Field::Number, Field::Text]) => {
                Some(fatal("MXRRDATANotTwoFields", "MX record doesn't have 2 fields", value))
            }
            "SRV" if !fields(value, &[Field::Number, Field::Number, Field::Number, Field::Text]) => {
                Some(fatal("SRVRRDATANotFourFields", "SRV record doesn't have 4 fields", value))
            }
            "CAA" if !fields(value, &[Field::Number, Field::Text, Field::Quoted]) => {
                Some(fatal("CAARRDATANotThreeFields", "CAA record doesn't have 3 fields", value))
            }
            _ => None,
        })
    }
}

/// A field of a value, as "Supported DNS record types" has them.
enum Field {
    Number,
    Text,
    /// The last of a value: it may have blanks.
    Quoted,
}

/// Whether a value has these fields and no more.
fn fields(value: &str, wanted: &[Field]) -> bool {
    let mut rest = value.trim();
    let good = wanted.iter().all(|field| {
        let (found, more) = match field {
            Field::Quoted => (rest, ""),
            Field::Number | Field::Text => rest.split_once(char::is_whitespace).unwrap_or((rest, "")),
        };
        rest = more.trim_start();
        match field {
            Field::Number => found.parse::<u16>().is_ok(),
            Field::Text => !found.is_empty(),
            Field::Quoted => found.len() > 1 && found.starts_with('"') && found.ends_with('"'),
        }
    });
    good && rest.is_empty()
}

/// The lengths of the strings in quotes. Behind a backslash is a character, or the octal code of one.
fn strings(value: &str) -> Vec<usize> {
    let (mut lengths, mut open) = (Vec::new(), None);
    let mut characters = value.chars().peekable();
    while let Some(character) = characters.next() {
        match (character, &mut open) {
            ('"', Some(length)) => {
                lengths.push(*length);
                open = None;
            }
            ('"', None) => open = Some(0),
            ('\\', Some(length)) => {
                let digits = (0..3).map_while(|_| characters.next_if(char::is_ascii_digit)).count();
                if digits == 0 {
                    characters.next();
                }
                *length += 1;
            }
            (_, Some(length)) => *length += character.len_utf8(),
            (_, None) => {}
        }
    }
    lengths
}

/// Reads all record sets of a zone.
pub fn load(reader: &Reader, zone: &str) -> Result<Vec<RecordSet>, AwsError> {
    let (mut all, mut from) = (Vec::new(), json!({ "HostedZoneId": zone, "MaxItems": 300 }));
    loop {
        let reply = reader.get("route53", "ListResourceRecordSets", from.clone())?;
        all.extend(reply.list("ResourceRecordSets").iter().map(RecordSet::shown));
        if !reply.flag("IsTruncated") || !reply.has("NextRecordName") {
            return Ok(all);
        }
        for part in ["Name", "Type", "Identifier"] {
            let next = reply.get(&format!("NextRecord{part}"));
            from[format!("StartRecord{part}")] = next.cloned().unwrap_or(Value::Null);
        }
    }
}

fn key(name: &str, kind: &str, identifier: &str) -> String {
    format!("{}\t{kind}\t{identifier}", reversed(name))
}

fn change_record_sets(tx: &mut Tx, p: &Params) -> Reply {
    let zone = tx.get::<Zone>(p.str("HostedZoneId")?.trim_start_matches("/hostedzone/"))?.clone();
    let mut batch = Vec::new();
    for change in p.list("ChangeBatch.Changes") {
        let action = change.str("Action")?.to_owned();
        let set = change.get("ResourceRecordSet").cloned().map(Params);
        batch.push((
            action.clone(),
            RecordSet::read(&action, &set.ok_or_else(|| AwsError::missing("ResourceRecordSet"))?)?,
        ));
    }
    if batch.is_empty() {
        return Err(invalid_input("1 validation error detected: ChangeBatch.Changes must have at least one member"));
    }
    if let Some(fault) = too_large(&batch) {
        return Err(AwsError::new("InvalidChangeBatch", format!("[{fault}]")));
    }
    for (_, record) in batch.iter().filter(|(action, _)| action != "DELETE") {
        if let Some(id) = &record.health_check {
            tx.get::<HealthCheck>(id)?;
        }
    }
    let mut records = zone.records.clone();
    let mut faults = twice(&batch);
    if faults.is_empty() {
        for (action, record) in batch {
            if let Err(fault) = apply(tx, &zone, &mut records, &action, record) {
                faults.push(fault);
            }
        }
    }
    faults.extend(incomplete(&zone, &records));
    if !faults.is_empty() {
        return Err(AwsError::new("InvalidChangeBatch", format!("[{}]", faults.join(", "))));
    }
    tx.get_mut::<Zone>(&zone.id)?.records = records;
    let change = change::submit(tx, p.opt_str("ChangeBatch.Comment"));
    Ok(json!({ "ChangeInfo": change }))
}

/// "A request cannot contain more than 1,000 ResourceRecord elements (including alias records)", nor more than 32,000
/// characters in their values; of an UPSERT, both count twice.
fn too_large(batch: &[(String, RecordSet)]) -> Option<String> {
    let (mut records, mut characters) = (0, 0);
    for (action, RecordSet { values, .. }) in batch {
        let times = if action == "UPSERT" { 2 } else { 1 };
        records += times * values.len().max(1);
        characters += times * values.iter().map(|value| value.chars().count()).sum::<usize>();
    }
    match (records > 1000, characters > 32_000) {
        (true, _) => Some("Number of records limit of 1000 exceeded.".to_owned()),
        (false, true) => Some("Number of characters limit of 32000 exceeded.".to_owned()),
        (false, false) => None,
    }
}

/// A batch may delete and make a record set, and not make it twice.
fn twice(batch: &[(String, RecordSet)]) -> Vec<String> {
    let made: Vec<&RecordSet> =
        batch.iter().filter(|(action, _)| action != "DELETE").map(|(_, record)| record).collect();
    let again = |(at, record): (usize, &&RecordSet)| made[..at].iter().any(|other| other.key() == record.key());
    made.iter()
        .enumerate()
        .filter(|pair| again(*pair))
        .map(|(_, RecordSet { kind, name, .. })| {
            format!("The request contains an invalid set of changes for a resource record set '{kind} {}'", shown(name))
        })
        .collect()
}

/// A zone must keep what it was made with.
fn incomplete(zone: &Zone, records: &BTreeMap<String, RecordSet>) -> Vec<String> {
    let lacks = |kind: &str| !records.contains_key(&key(&zone.name, kind, ""));
    let mut faults = Vec::new();
    if lacks("SOA") {
        faults.push("A HostedZone must contain exactly one SOA record.".to_owned());
    }
    if lacks("NS") {
        faults.push("A HostedZone must contain at least one NS record for the zone itself.".to_owned());
    }
    faults
}

fn apply(
    tx: &Tx,
    zone: &Zone,
    records: &mut BTreeMap<String, RecordSet>,
    action: &str,
    record: RecordSet,
) -> Result<(), String> {
    let (name, kind) = (shown(&record.name), &record.kind);
    let what = match &record.identifier {
        Some(identifier) => format!("[name='{name}', type='{kind}', set-identifier='{identifier}']"),
        None => format!("[name='{name}', type='{kind}']"),
    };
    if !is_in(&record.name, &zone.name) {
        return Err(format!("RRSet with DNS name {name} is not permitted in zone {}", shown(&zone.name)));
    }
    let found = records.get(&record.key());
    if let Some(name) = found.and_then(|found| found.other.keys().next()) {
        return Err(format!("the simulator does not model `{name}`, which resource record set {what} has"));
    }
    match (action, found) {
        ("DELETE", None) => Err(format!("Tried to delete resource record set {what} but it was not found")),
        ("DELETE", Some(found)) if !found.is_same(&record) => Err(format!(
            "Tried to delete resource record set {what} but the values provided do not match the current values"
        )),
        ("DELETE", Some(_)) => {
            records.remove(&record.key());
            Ok(())
        }
        ("CREATE", Some(_)) => Err(format!("Tried to create resource record set {what} but it already exists")),
        ("CREATE" | "UPSERT", _) => {
            if let Some(fault) = record.fault().or_else(|| alias_fault(tx, zone, records, &record)) {
                return Err(fault);
            }
            conflict(zone, records, &record).map_or(Ok(()), Err)?;
            records.insert(record.key(), record);
            Ok(())
        }
        (other, _) => Err(format!("Invalid action {other}")),
    }
}

/// What of the zone stands against a record set.
fn conflict(zone: &Zone, records: &BTreeMap<String, RecordSet>, record: &RecordSet) -> Option<String> {
    let (name, kind, zone_name) = (shown(&record.name), &record.kind, shown(&zone.name));
    let same_name: Vec<&RecordSet> = records.values().filter(|other| other.name == record.name).collect();
    if kind == "CNAME" && record.name == zone.name {
        return Some(format!("RRSet of type CNAME with DNS name {name} is not permitted at apex in zone {zone_name}"));
    }
    if kind == "CNAME" && same_name.iter().any(|other| other.kind != "CNAME") {
        return Some(format!(
            "RRSet of type CNAME with DNS name {name} is not permitted as it conflicts with other records with the \
             same DNS name in zone {zone_name}"
        ));
    }
    if kind != "CNAME" && same_name.iter().any(|other| other.kind == "CNAME") {
        return Some(format!(
            "RRSet of type {kind} with DNS name {name} is not permitted because a conflicting RRSet of type CNAME with \
             the same DNS name already exists in zone {zone_name}"
        ));
    }
    let mut others = same_name.into_iter().filter(|other| other.kind == *kind && other.key() != record.key());
    let Some(identifier) = &record.identifier else {
        let why = "cannot be created as other RRSets exist with the same name and type.";
        return others.next().map(|_| format!("RRSet with DNS name {name}, type {kind} {why}"));
    };
    others.find_map(|other| {
        let why = match other {
            RecordSet { identifier: None, .. } => "a non-weighted set exists with the same name and type.",
            RecordSet { ttl, .. } if *ttl != record.ttl => "weighted sets must contain the same TTL.",
            _ => return None,
        };
        Some(format!("RRSet with DNS name {name}, type {kind}, SetIdentifier {identifier} cannot be created as {why}"))
    })
}

/// An alias points at a record set of the same zone or of another one of the account, or at something AWS names.
fn alias_fault(tx: &Tx, zone: &Zone, records: &BTreeMap<String, RecordSet>, record: &RecordSet) -> Option<String> {
    let alias = record.alias.as_ref()?;
    let what = format!(
        "Tried to create an alias that targets {}, type {} in zone {}, but",
        shown(&alias.name),
        record.kind,
        alias.zone
    );
    // A zone of AWS's own, or of somebody else, is not asked for.
    let ours = tx.all::<Zone>().any(|zone| zone.id == alias.zone);
    let (target, records) = match ours.then(|| tx.peek::<Zone>(&alias.zone)).flatten() {
        Some(target) if target.id == zone.id => (target, records),
        Some(target) => (target, &target.records),
        // The names of load balancers are each in a zone of their region.
        None if elbv2::hosted_zone_of(&alias.name).is_some_and(|zone| zone != alias.zone) => {
            return Some(format!("{what} the alias target name does not lie within the target zone"));
        }
        None if AWS_DOMAINS.iter().any(|domain| alias.name.ends_with(domain)) => return None,
        None => return Some(format!("{what} the alias target name does not lie within the target zone")),
    };
    if !is_in(&alias.name, &target.name) {
        return Some(format!("{what} the alias target name does not lie within the target zone"));
    }
    let found = records.values().any(|other| other.name == alias.name && other.kind == record.kind);
    (!found).then(|| format!("{what} that target was not found"))
}

fn list_record_sets(tx: &mut Tx, p: &Params) -> Reply {
    let zone = tx.get::<Zone>(p.str("HostedZoneId")?.trim_start_matches("/hostedzone/"))?;
    let size = page_size(p, 300)?;
    let start = match (p.opt_str("StartRecordName"), p.opt_str("StartRecordType"), p.opt_str("StartRecordIdentifier")) {
        (None, None, None) => String::new(),
        (Some(name), None, None) => reversed(&normal(name)),
        (Some(name), Some(kind), identifier) => key(&normal(name), kind, identifier.unwrap_or_default()),
        _ => return Err(invalid_input("A start type needs a start name, and a start identifier needs both")),
    };
    let mut rest = zone.records.range(start..).map(|(_, record)| record);
    let page: Vec<Value> = rest.by_ref().take(size).map(RecordSet::view).collect();
    let next = rest.next();
    Ok(json!({
        "ResourceRecordSets": { "ResourceRecordSet": page },
        "IsTruncated": next.is_some(),
        "NextRecordName": next.map(|record| shown(&record.name)),
        "NextRecordType": next.map(|record| &record.kind),
        "NextRecordIdentifier": next.and_then(|record| record.identifier.as_ref()),
        "MaxItems": size,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_values() {
        let mx = |value| fields(value, &[Field::Number, Field::Text]);
        assert!(mx("10 mail.example.com") && mx("10  mail.example.com."));
        assert!(!mx("mail.example.com") && !mx("10") && !mx("10 a b") && !mx("high mail"));
        let caa = |value| fields(value, &[Field::Number, Field::Text, Field::Quoted]);
        assert!(caa("0 issue \"amazon.com\"") && caa("0 issue \"amazon.com; a=b\""));
        assert!(!caa("amazon.com") && !caa("0 issue amazon.com"));
    }

    #[test]
    fn strings_of_values() {
        assert_eq!(strings("\"a b\" \"c\""), [3, 1]);
        assert_eq!(strings(r#""say \"x\" \101""#), [9]);
    }
}
