//! Load balancers, and how they come and go. Where they are is in `placement`.

use std::collections::{BTreeMap, BTreeSet};

use super::placement::{self, Place};
use super::*;
use crate::sim::ec2::SecurityGroup;
use jiff::Timestamp;

pub const ACTIONS: &[Action] = &[
    Action {
        name: "CreateLoadBalancer",
        params: &["Name Type Scheme IpAddressType Subnets[] SecurityGroups[]", placement::MAPPINGS, TAGS],
        run: create_load_balancer,
    },
    Action {
        name: "DescribeLoadBalancers",
        params: &["LoadBalancerArns[] Names[]", PAGES],
        run: describe_load_balancers,
    },
    Action { name: "DeleteLoadBalancer", params: &["LoadBalancerArn"], run: delete_load_balancer },
];

/// From `provisioning` to `active`: about two minutes for an application load balancer in practice.
const PROVISIONING: Duration = Duration::from_secs(120);

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LoadBalancer {
    pub arn: String,
    pub name: String,
    /// `app/NAME/ID` or `net/NAME/ID`, which listeners and rules have in their ARNs too.
    pub path: String,
    pub network: bool,
    pub internal: bool,
    pub active: bool,
    pub created: Timestamp,
    pub dns_name: String,
    pub hosted_zone: String,
    pub vpc: String,
    pub ip_address_type: String,
    /// By subnet.
    pub places: BTreeMap<String, Place>,
    pub security_groups: Vec<String>,
    pub attributes: BTreeMap<String, String>,
    pub tags: Tags,
}

resource!(LoadBalancer, arn, region.elbv2.load_balancers, Extent::Row, |arn: &str| {
    absent("load balancer", arn, "LoadBalancerNotFound")
});

impl LoadBalancer {
    pub fn type_name(&self) -> &'static str {
        if self.network { "network" } else { "application" }
    }

    pub fn is_in_zone(&self, zone: &str) -> bool {
        self.places.values().any(|place| place.zone == zone)
    }

    fn scheme(&self) -> &'static str {
        if self.internal { "internal" } else { "internet-facing" }
    }

    pub fn zones(&self) -> Value {
        let zone = |(subnet, place): (&String, &Place)| json!({ "ZoneName": place.zone, "SubnetId": subnet, "LoadBalancerAddresses": [] });
        self.places.iter().map(zone).collect()
    }

    fn view(&self) -> Value {
        json!({
            "LoadBalancerArn": self.arn,
            "LoadBalancerName": self.name,
            "DNSName": self.dns_name,
            "CanonicalHostedZoneId": self.hosted_zone,
            "CreatedTime": wire::time(self.created),
            "Scheme": self.scheme(),
            "Type": self.type_name(),
            "State": { "Code": if self.active { "active" } else { "provisioning" } },
            "VpcId": self.vpc,
            "AvailabilityZones": self.zones(),
            "SecurityGroups": self.security_groups,
            "IpAddressType": self.ip_address_type,
        })
    }

    /// "If you attempt to create multiple load balancers with the same settings, each call succeeds."
    fn is_same(&self, other: &LoadBalancer) -> bool {
        let settings = |one: &LoadBalancer| {
            let subnets: Vec<String> = one.places.keys().cloned().collect();
            let groups: BTreeSet<String> = one.security_groups.iter().cloned().collect();
            (one.network, one.internal, one.ip_address_type.clone(), subnets, groups, one.tags.clone())
        };
        settings(self) == settings(other)
    }
}

pub const CALLS: &[&str] = &[
    "elasticloadbalancing:DescribeListenerAttributes",
    "elasticloadbalancing:DescribeListenerCertificates",
    "elasticloadbalancing:DescribeListeners",
    "elasticloadbalancing:DescribeLoadBalancerAttributes",
    "elasticloadbalancing:DescribeLoadBalancers",
    "elasticloadbalancing:DescribeRules",
    "elasticloadbalancing:DescribeTags",
];

/// A load balancer with its listeners and rules, or all load balancers as a list shows them.
pub fn load(reader: &Reader, arn: Option<&str>, rows: &mut Rows) -> Result<(), AwsError> {
    let (service, action) = ("elasticloadbalancing", "DescribeLoadBalancers");
    let Some(arn) = arn else {
        for shown in reader.pages(service, action, json!({ "PageSize": 400 }), "LoadBalancers", TOKEN)? {
            rows.listed(Read::of(read(&shown)).shown(&shown).except(unmodelled(&shown)));
        }
        return Ok(());
    };
    let absent = ["LoadBalancerNotFound", "ValidationError"];
    let Some(reply) = reader.find(service, action, json!({ "LoadBalancerArns": [arn] }), &absent)? else {
        return Ok(());
    };
    for shown in reply.list("LoadBalancers") {
        let mut balancer = read(&shown);
        balancer.attributes =
            read_attributes(reader, "DescribeLoadBalancerAttributes", json!({ "LoadBalancerArn": arn }))?;
        let mut listeners = listener::load(reader, arn)?;
        let mut rules = Vec::new();
        for (_, listener) in &mut listeners {
            rules.extend(rule::load(reader, listener)?);
        }
        let routes = listeners.iter().map(|(_, listener)| &listener.arn).chain(rules.iter().map(|(_, rule)| &rule.arn));
        rows.routes.extend(routes.cloned());
        let mut tags = read_tags(reader, &[&[arn.to_owned()], &rows.routes[..]].concat())?;
        balancer.tags = tags.remove(arn).unwrap_or_default();
        for (shown, mut listener) in listeners {
            listener.tags = tags.remove(&listener.arn).unwrap_or_default();
            rows.whole(Read::of(listener).shown(&shown));
        }
        for (shown, mut rule) in rules {
            rule.tags = tags.remove(&rule.arn).unwrap_or_default();
            rows.whole(Read::of(rule).shown(&shown));
        }
        let (created, arn) = (balancer.created, (!balancer.active).then(|| balancer.arn.clone()));
        rows.whole(Read::of(balancer).shown(&shown).except(unmodelled(&shown)));
        if let Some(arn) = arn {
            rows.then(move |tx| tx.schedule(tx.left(created, PROVISIONING), Event::Active(arn.clone())));
        }
    }
    Ok(())
}

fn unmodelled(shown: &Params) -> Option<String> {
    let kind = shown.opt_str("Type").filter(|kind| !["application", "network"].contains(kind))?;
    Some(format!("load balancers of the type `{kind}`"))
}

/// Without attributes and tags, which come by themselves.
fn read(shown: &Params) -> LoadBalancer {
    let arn = shown.text("LoadBalancerArn");
    let place = |zone: &Params| (zone.text("SubnetId"), Place { zone: zone.text("ZoneName") });
    LoadBalancer {
        name: shown.text("LoadBalancerName"),
        path: arn.split_once(":loadbalancer/").map(|(_, path)| path.to_owned()).unwrap_or_default(),
        network: shown.opt_str("Type").is_some_and(|kind| kind != "application"),
        internal: shown.opt_str("Scheme") == Some("internal"),
        active: shown.opt_str("State.Code").is_none_or(|state| state.starts_with("active")),
        created: shown.time("CreatedTime"),
        dns_name: shown.text("DNSName"),
        hosted_zone: shown.text("CanonicalHostedZoneId"),
        vpc: shown.text("VpcId"),
        ip_address_type: shown.opt_str("IpAddressType").unwrap_or("ipv4").to_owned(),
        places: shown.list("AvailabilityZones").iter().map(place).collect(),
        security_groups: shown.strings("SecurityGroups").into_iter().map(str::to_owned).collect(),
        attributes: BTreeMap::new(),
        tags: Tags::new(),
        arn,
    }
}

fn create_load_balancer(tx: &mut Tx, p: &Params) -> Reply {
    let name = p.str("Name")?;
    check_name("Load balancer", name)?;
    if name.starts_with("internal-") {
        let message = format!("Load balancer name '{name}' cannot begin with 'internal-'");
        return Err(AwsError::new("ValidationError", message));
    }
    let kind = choice(p, "Type", &["application", "network", "gateway"], "application")?;
    modelled(tx, "Type", kind, &["application", "network"])?;
    let network = kind == "network";
    let internal = choice(p, "Scheme", &["internet-facing", "internal"], "internet-facing")? == "internal";
    let ip_address_type = placement::ip_address_type(p, network, "ipv4")?.to_owned();
    let (vpc, subnets) = placement::subnets(tx, p, network, internal)?;
    placement::check_addresses(tx, &ip_address_type, subnets.keys())?;
    let mut security_groups = placement::security_groups(tx, p, &vpc)?;
    if security_groups.is_empty() && !network {
        let default = tx.all::<SecurityGroup>().find(|group| group.vpc == vpc && group.name == "default");
        security_groups.extend(default.map(|group| group.id.clone()));
    }
    // One that is there already tells the zone of a region that is not known here.
    let known = || tx.all::<LoadBalancer>().find(|known| known.network == network);
    let hosted_zone = region::hosted_zone(&tx.scope.region, network).map(str::to_owned);
    let Some(hosted_zone) = hosted_zone.or_else(|| known().map(|known| known.hosted_zone.clone())) else {
        return Err(AwsError::not_modelled(INVALID_VALUE, "region", &tx.scope.region, "CreateLoadBalancer"));
    };
    let id = arn_id(tx);
    let path = format!("{}/{name}/{id}", if network { "net" } else { "app" });
    let arn = tx.arn("elasticloadbalancing", &format!("loadbalancer/{path}"));
    let region = &tx.scope.region;
    let domain = region::domain(region);
    let digits = dns_digits(u64::from_str_radix(&id[8..], 16).unwrap_or_default());
    let dns_name = match (network, internal) {
        (true, _) => format!("{name}-{id}.elb.{region}.{domain}"),
        (false, false) => format!("{name}-{digits}.{region}.elb.{domain}"),
        (false, true) => format!("internal-{name}-{digits}.{region}.elb.{domain}"),
    };
    let made = LoadBalancer {
        arn,
        name: name.to_owned(),
        path,
        network,
        internal,
        active: false,
        created: tx.now,
        dns_name,
        hosted_zone,
        vpc,
        ip_address_type,
        places: subnets.iter().map(|(subnet, zone)| (subnet.clone(), Place { zone: zone.clone() })).collect(),
        security_groups,
        attributes: attributes::of_load_balancer(network, internal),
        tags: tag::given(p)?,
    };
    let known = tx.all::<LoadBalancer>().find(|known| known.name == name);
    // Lists do not show the tags.
    if let Some(known) = known.and_then(|known| tx.peek::<LoadBalancer>(&known.arn)) {
        if known.is_same(&made) {
            return Ok(json!({ "LoadBalancers": [known.view()] }));
        }
        let message = format!("A load balancer with the same name '{name}' exists, but with different settings");
        return Err(AwsError::new("DuplicateLoadBalancerName", message));
    }
    placement::place(tx, &made, made.places.keys())?;
    let view = made.view();
    tx.schedule(PROVISIONING, Event::Active(made.arn.clone()));
    tx.put(made);
    Ok(json!({ "LoadBalancers": [view] }))
}

pub fn activate(tx: &mut Tx, arn: &str) {
    if let Some(balancer) = tx.peek_mut::<LoadBalancer>(arn) {
        balancer.active = true;
    }
}

fn describe_load_balancers(tx: &mut Tx, p: &Params) -> Reply {
    let (arns, names) = (p.strings("LoadBalancerArns"), p.strings("Names"));
    if !arns.is_empty() && !names.is_empty() {
        return Err(AwsError::new("ValidationError", "Load balancer ARNs and names cannot be specified together"));
    }
    // "You can specify up to 20 load balancers in a single call."
    if arns.len() > 20 {
        return Err(AwsError::new("ValidationError", "Up to '20' load balancer ARNs can be specified"));
    }
    let mut rows = tx.select::<LoadBalancer>(&arns).map_err(|error| among_several(error, "load balancers"))?;
    if let Some(absent) = names.iter().find(|name| !rows.iter().any(|row| row.name == **name)) {
        return Err(AwsError::new("LoadBalancerNotFound", format!("Load balancers '[{absent}]' not found")));
    }
    rows.retain(|row| names.is_empty() || names.contains(&&*row.name));
    pages(p, "LoadBalancers", rows.into_iter().map(|row| (row.arn.clone(), row)).collect(), |row| {
        tx.shown(row, |row, _| row.view())
    })
}

/// "If the load balancer does not exist or has already been deleted, the call succeeds." Its listeners and rules go.
fn delete_load_balancer(tx: &mut Tx, p: &Params) -> Reply {
    let arn = p.str("LoadBalancerArn")?;
    check_arn("load balancer", arn)?;
    let Some(balancer) = tx.peek::<LoadBalancer>(arn) else { return Ok(json!({})) };
    if balancer.attributes.get("deletion_protection.enabled").is_some_and(|on| on == "true") {
        let message = format!("Load balancer '{arn}' cannot be deleted because deletion protection is enabled");
        return Err(AwsError::new("OperationNotPermitted", message));
    }
    let interfaces = balancer.interfaces(tx).map(|interface| interface.id.clone()).collect();
    let listeners: Vec<String> = tx
        .all::<Listener>()
        .filter(|listener| listener.load_balancer == arn)
        .map(|listener| listener.arn.clone())
        .collect();
    listeners.iter().for_each(|listener| listener::remove(tx, listener));
    tx.delete::<LoadBalancer>(arn);
    tx.schedule(placement::LINGER, Event::Release(interfaces));
    Ok(json!({}))
}
