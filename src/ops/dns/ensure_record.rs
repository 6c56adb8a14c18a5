//! `ensure_record`: a name that leads somewhere.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::{Value, json};

use super::{
    HealthCheck, HostedZone, Record, bare_id, normal, plain,
    record_set::{Batch, Content, Key, RecordSet, Weighted, in_sync, seen},
};
use crate::{
    event::{Change, Field},
    ops::{
        Duration, Error, IdOf, Operation,
        options::describe,
        ownership::{STACK_TAG, changed, set},
    },
    run::Ctx,
};

/// Makes sure that a record set says this, and waits until all name servers have it.
///
/// Records have no tags. Whose one is says a TXT record beside it, as external-dns does it:
/// `_runner-a.shop.example.com` for the A record of `shop.example.com`, with the text
/// `heritage=runner,runner/stack=<stack>,runner/run=<run>`; for `*.example.com` it is `_runner-a._wildcard.example.com`, for one of
/// several `_runner-a.<set_identifier>.shop.example.com`.
/// Both are changed together. A record without it is somebody else's.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EnsureRecord {
    /// The zone: its id, or what `ensure_hosted_zone` or `find_hosted_zone` returned.
    hosted_zone_id: IdOf<HostedZone>,
    /// The whole name: `"shop.example.com"`.
    name: String,
    /// `A`, `AAAA`, `CNAME`, `TXT`, `MX`, `NS`, `SRV`, `CAA` or `PTR`.
    #[serde(rename = "type")]
    kind: Type,
    /// What it says. Texts of TXT records are put in quotation marks, and cut into pieces, where they need it.
    #[serde(default)]
    values: Vec<String>,
    /// How long resolvers may keep the values.
    #[serde(default = "five_minutes")]
    ttl: Duration,
    /// Leads to an AWS resource instead of having values: what `ensure_load_balancer` returned, or
    /// `#{ dns_name, hosted_zone_id, evaluate_target_health }`.
    alias: Option<Alias>,
    /// Makes it one of several records of this name and type, each with a part of the users: what tells it from the others.
    set_identifier: Option<String>,
    /// Its weight among the others when it is made, 0 to 255. One that is there keeps the weight it has: `shift_dns` moves it.
    weight: Option<u8>,
    /// Of one of several: it is not answered while this health check fails, as long as another one is healthy. What
    /// `ensure_health_check` returned, or an id. `false` takes it off; left out, one that is there stays.
    health_check: Option<Checked>,
    /// How long to wait for the name servers.
    #[serde(default = "five_minutes")]
    timeout: Duration,
    /// Takes over a record that the stack does not own.
    #[serde(default)]
    adopt: bool,
    /// Leaves it as it is when the run is rolled back.
    #[serde(default)]
    keep_on_rollback: bool,
}

/// Types of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
#[schemars(inline)]
pub(super) enum Type {
    A,
    Aaaa,
    Caa,
    Cname,
    Mx,
    Ns,
    Ptr,
    Srv,
    Txt,
}

impl Type {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::Aaaa => "AAAA",
            Self::Caa => "CAA",
            Self::Cname => "CNAME",
            Self::Mx => "MX",
            Self::Ns => "NS",
            Self::Ptr => "PTR",
            Self::Srv => "SRV",
            Self::Txt => "TXT",
        }
    }
}

/// What an alias leads to.
#[derive(Debug)]
struct Alias {
    dns_name: String,
    hosted_zone_id: String,
    evaluate_target_health: bool,
}

impl<'de> Deserialize<'de> for Alias {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Target {
            dns_name: String,
            hosted_zone_id: String,
            #[serde(default)]
            evaluate_target_health: bool,
        }
        const EXPECTED: &str = "a load balancer, or its `dns_name` and `hosted_zone_id`";
        let value = Value::deserialize(deserializer)?;
        let text = |name| value.get(name).and_then(Value::as_str).map(str::to_owned);
        if let (Some(dns_name), Some(hosted_zone_id)) = (text("dns_name"), text("canonical_hosted_zone_id")) {
            return Ok(Self { dns_name, hosted_zone_id, evaluate_target_health: false });
        }
        let found = describe(&value);
        let Target { dns_name, hosted_zone_id, evaluate_target_health } = serde_json::from_value(value)
            .map_err(|error| D::Error::custom(format!("expected {EXPECTED}, found {found}: {error}")))?;
        Ok(Self { dns_name, hosted_zone_id, evaluate_target_health })
    }
}

impl JsonSchema for Alias {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "alias target".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "object", "x-type": "load balancer or #{ dns_name, hosted_zone_id }" })
    }
}

/// The health check of a record; none if it is taken off.
#[derive(Debug)]
struct Checked(Option<IdOf<HealthCheck>>);

impl<'de> Deserialize<'de> for Checked {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::Bool(false) => Ok(Self(None)),
            other => IdOf::deserialize(other).map(|id| Self(Some(id))).map_err(D::Error::custom),
        }
    }
}

impl JsonSchema for Checked {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "health check or false".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "object", "boolean"], "x-type": "health_check or false" })
    }
}

fn five_minutes() -> Duration {
    Duration::from_secs(300)
}

impl Operation for EnsureRecord {
    const NAME: &'static str = "ensure_record";
    const AREA: &'static str = "Route 53";
    const EXAMPLE: &'static str = r#"ensure_record(#{
    hosted_zone_id: zone, name: "shop.example.com", type: "A", alias: balancer,
})"#;

    type Options = Self;
    type Handle = Record;

    fn subject(options: &Self) -> String {
        let of_several = options.set_identifier.as_ref().map(|id| format!(" ({id})")).unwrap_or_default();
        format!("{} {}{of_several}", options.kind.as_str(), options.name)
    }

    async fn run(ctx: &Ctx, options: Self) -> Result<Record, Error> {
        let mut wanted = options.wanted()?;
        let stack = ctx.stack()?;
        let zone = bare_id(options.hosted_zone_id.as_str());
        let evidence_name = evidence_name(&wanted);
        let beside = Key { name: &evidence_name, r#type: "TXT", set_identifier: None };
        let [found, evidence] = seen(ctx, zone, [wanted.key(), beside]).await?;
        let resource = format!("record {}", Self::subject(&options));
        if let Some((now, wanted)) =
            found.as_ref().and_then(|found| found.weighted.clone()).zip(wanted.weighted.as_mut())
        {
            wanted.weight = now.weight;
        }
        if options.health_check.is_none() {
            wanted.health_check_id = found.as_ref().and_then(|found| found.health_check_id.clone());
        }
        let owner = evidence.as_ref().and_then(owner);
        if owner.as_ref() != Some(&stack) && (found.is_some() || owner.is_some()) && !options.adopt {
            return Err(Error::NotOwned { resource, stack, owner });
        }
        let fields = fields(found.as_ref(), &wanted);
        let record = Record {
            name: plain(&wanted.name),
            r#type: wanted.r#type.clone(),
            hosted_zone_id: zone.to_owned(),
            set_identifier: options.set_identifier.clone(),
            weight: wanted.weight(),
        };
        let known = owner.as_ref() == Some(&stack);
        if known && found.as_ref().is_some_and(|found| found.is_same(&wanted)) {
            ctx.did(Change::Unchanged, []);
            return Ok(record);
        }
        let new_evidence = match &evidence {
            Some(evidence) if known => evidence.clone(),
            _ => new_evidence(evidence_name, &stack, ctx.run_id()),
        };
        let is_new = found.is_none();
        let batch = Batch {
            zone,
            what: resource,
            sets: vec![(found, wanted), (evidence, new_evidence)],
            keep_on_rollback: options.keep_on_rollback,
        };
        if let Some(change) = batch.apply(ctx).await? {
            in_sync(ctx, &change, options.timeout.0).await?;
        }
        let owned = changed(STACK_TAG, owner, stack);
        let adopted = (!known && !is_new).then_some(owned);
        ctx.did(if is_new { Change::Created } else { Change::Updated }, fields.into_iter().chain(adopted));
        Ok(record)
    }
}

impl EnsureRecord {
    fn wanted(&self) -> Result<RecordSet, Error> {
        let kind = self.kind.as_str();
        let content = match (&self.alias, self.values.is_empty()) {
            (Some(_), false) => return Err(Error::option("alias", "expected either `values` or `alias`, found both")),
            (None, true) => return Err(Error::option("values", "expected `values` or `alias`, found neither")),
            (Some(alias), true) => Content::Alias {
                dns_name: normal(&alias.dns_name),
                hosted_zone_id: bare_id(&alias.hosted_zone_id).to_owned(),
                evaluate_target_health: alias.evaluate_target_health,
            },
            (None, false) => {
                self.check_values()?;
                let quote = |value: &String| if self.kind == Type::Txt { quoted(value) } else { value.clone() };
                Content::Values { ttl: self.ttl.as_secs().into(), values: self.values.iter().map(quote).collect() }
            }
        };
        let weighted = match (&self.set_identifier, self.weight) {
            (None, None) => None,
            (None, Some(_)) => {
                let message = "a record with a weight is one of several: give it a `set_identifier`";
                return Err(Error::option("weight", message));
            }
            (Some(id), _) if !is_label(id) => {
                let message = format!("expected at most 63 letters, digits and hyphens, found {id:?}");
                return Err(Error::option("set_identifier", message));
            }
            (Some(id), weight) => {
                Some(Weighted { set_identifier: id.clone(), weight: weight.unwrap_or_default().into() })
            }
        };
        let health_check_id = self.health_check.as_ref().and_then(|Checked(id)| id.as_ref().map(ToString::to_string));
        if health_check_id.is_some() && weighted.is_none() {
            let message = "Route 53 chooses by it among several records: give this one a `set_identifier`";
            return Err(Error::option("health_check", message));
        }
        Ok(RecordSet { name: normal(&self.name), r#type: kind.to_owned(), content, weighted, health_check_id })
    }

    fn check_values(&self) -> Result<(), Error> {
        if self.kind == Type::Cname && self.values.len() > 1 {
            let message = format!("a CNAME has one value, found {}", self.values.len());
            return Err(Error::option("values", message));
        }
        for (at, value) in self.values.iter().enumerate() {
            let expected = match self.kind {
                Type::A if value.parse::<std::net::Ipv4Addr>().is_err() => "an IPv4 address",
                Type::Aaaa if value.parse::<std::net::Ipv6Addr>().is_err() => "an IPv6 address",
                _ => continue,
            };
            return Err(Error::option(format!("values[{at}]"), format!("expected {expected}, found {value:?}")));
        }
        Ok(())
    }
}

/// Quotation marks around pieces of at most 255 characters, unless they are there already.
fn quoted(text: &str) -> String {
    if text.len() > 1 && text.starts_with('"') && text.ends_with('"') {
        return text.to_owned();
    }
    let characters: Vec<char> = text.chars().collect();
    let piece = |piece: &[char]| {
        let text: String = piece.iter().collect();
        format!("\"{}\"", text.replace('\\', r"\\").replace('"', "\\\""))
    };
    if characters.is_empty() {
        "\"\"".to_owned()
    } else {
        characters.chunks(255).map(piece).collect::<Vec<_>>().join(" ")
    }
}

/// Whether a text can stand in a name: the evidence of a set is found by its identifier.
fn is_label(text: &str) -> bool {
    let is_good = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    (1..=63).contains(&text.len()) && text.bytes().all(is_good) && !text.starts_with('-') && !text.ends_with('-')
}

/// Where the TXT record stands that says whose a record set is.
pub fn evidence_name(set: &RecordSet) -> String {
    let name = set.name.strip_prefix("*.").map_or_else(|| set.name.clone(), |rest| format!("_wildcard.{rest}"));
    let one = set.weighted.as_ref().map(|weighted| format!("{}.", weighted.set_identifier.to_ascii_lowercase()));
    format!("_runner-{}.{}{name}", set.r#type.to_ascii_lowercase(), one.unwrap_or_default())
}

const HERITAGE: &str = "heritage=runner";

fn new_evidence(name: String, stack: &str, run: &str) -> RecordSet {
    let values = vec![format!("\"{HERITAGE},runner/stack={stack},runner/run={run}\"")];
    RecordSet {
        name,
        r#type: "TXT".into(),
        content: Content::Values { ttl: 300, values },
        weighted: None,
        health_check_id: None,
    }
}

/// The stack a TXT record names.
pub fn owner(evidence: &RecordSet) -> Option<String> {
    heritage(evidence, "runner/stack=")
}

/// The run that it names.
pub fn run_of(evidence: &RecordSet) -> Option<String> {
    heritage(evidence, "runner/run=")
}

fn heritage(evidence: &RecordSet, part: &str) -> Option<String> {
    let Content::Values { values, .. } = &evidence.content else { return None };
    let text = values.iter().map(|value| value.trim_matches('"')).find(|text| text.starts_with(HERITAGE))?;
    text.split(',').find_map(|found| found.strip_prefix(part)).map(str::to_owned)
}

/// What changes, for the progress line.
fn fields(found: Option<&RecordSet>, wanted: &RecordSet) -> Vec<Field> {
    let parts = |set: &RecordSet| {
        let mut parts = match &set.content {
            Content::Values { ttl, values } => [("values", json!(values)), ("ttl", json!(ttl))].to_vec(),
            Content::Alias { dns_name, .. } => [("alias", json!(plain(dns_name)))].to_vec(),
        };
        parts.extend(set.weighted.as_ref().map(|weighted| ("weight", json!(weighted.weight))));
        parts.extend(set.health_check_id.as_ref().map(|id| ("health_check", json!(id))));
        parts
    };
    let Some(found) = found else {
        return parts(wanted).into_iter().map(|(name, value)| set(name, value)).collect();
    };
    let before = parts(found);
    let before_of = |name: &str| before.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone());
    let after = parts(wanted).into_iter();
    let taken_off = found.health_check_id.as_ref().filter(|_| wanted.health_check_id.is_none());
    after
        .map(|(name, value)| (name, before_of(name).unwrap_or_default(), value))
        .filter(|(_, before, value)| before != value)
        .map(|(name, before, value)| changed(name, before, value))
        .chain(taken_off.map(|id| changed("health_check", id.as_str(), Value::Null)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_quoted_where_they_need_it() {
        assert_eq!(quoted("v=spf1 -all"), r#""v=spf1 -all""#);
        assert_eq!(quoted(r#""already""#), r#""already""#);
        assert_eq!(quoted(r#"say "hi""#), r#""say \"hi\"""#);
        let long = quoted(&"x".repeat(300));
        assert_eq!(long, format!("\"{}\" \"{}\"", "x".repeat(255), "x".repeat(45)));
    }

    #[test]
    fn whose_a_record_is_stands_beside_it() {
        let set = |name: &str| RecordSet {
            name: normal(name),
            r#type: "A".into(),
            content: Content::Values { ttl: 60, values: vec![] },
            weighted: None,
            health_check_id: None,
        };
        let one = RecordSet {
            weighted: Some(Weighted { set_identifier: "eu-West-1".into(), weight: 1 }),
            ..set("shop.example.com")
        };
        assert_eq!(evidence_name(&one), "_runner-a.eu-west-1.shop.example.com.");
        assert_eq!(evidence_name(&set("shop.example.com")), "_runner-a.shop.example.com.");
        assert_eq!(evidence_name(&set("*.example.com")), "_runner-a._wildcard.example.com.");
        let evidence = new_evidence("_runner-a.shop.example.com.".into(), "shop-prod", "r1");
        assert_eq!(owner(&evidence).as_deref(), Some("shop-prod"));
        assert_eq!(owner(&set("shop.example.com")), None);
    }
}
