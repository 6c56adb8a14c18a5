//! Target groups: what their targets speak, and how they are checked.

use super::*;
use crate::sim::ec2::Vpc;

pub const ACTIONS: &[Action] = &[
    Action {
        name: "CreateTargetGroup",
        params: &["Name Protocol ProtocolVersion Port VpcId TargetType IpAddressType", CHECK, TAGS],
        run: create_target_group,
    },
    Action {
        name: "DescribeTargetGroups",
        params: &["LoadBalancerArn TargetGroupArns[] Names[]", PAGES],
        run: describe_target_groups,
    },
    Action { name: "ModifyTargetGroup", params: &["TargetGroupArn", CHECK], run: modify_target_group },
    Action { name: "DeleteTargetGroup", params: &["TargetGroupArn"], run: delete_target_group },
];

const CHECK: &str = "HealthCheckProtocol HealthCheckPort HealthCheckEnabled HealthCheckPath \
    HealthCheckIntervalSeconds HealthCheckTimeoutSeconds HealthyThresholdCount UnhealthyThresholdCount \
    Matcher.HttpCode Matcher.GrpcCode";

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TargetGroup {
    pub arn: String,
    pub name: String,
    pub protocol: String,
    pub protocol_version: Option<String>,
    pub port: u16,
    pub vpc: String,
    pub target_type: String,
    pub ip_address_type: String,
    pub check: HealthCheck,
    /// Whether a [`Event::Check`] is due: from the first target on until there is none.
    pub checking: bool,
    pub targets: Vec<targets::Target>,
    pub attributes: attributes::Attributes,
    /// The load balancers that use it in a forked account: what is said of those that were not read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub held_by: Vec<String>,
    pub tags: Tags,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HealthCheck {
    pub protocol: String,
    pub port: String,
    pub path: Option<String>,
    pub interval: i64,
    pub timeout: i64,
    pub healthy: i64,
    pub unhealthy: i64,
    pub codes: Option<String>,
}

resource!(TargetGroup, arn, region.elbv2.target_groups, Extent::Row, |arn: &str| {
    absent("target group", arn, "TargetGroupNotFound")
});

pub const CALLS: &[&str] = &[
    "elasticloadbalancing:DescribeTags",
    "elasticloadbalancing:DescribeTargetGroupAttributes",
    "elasticloadbalancing:DescribeTargetGroups",
    "elasticloadbalancing:DescribeTargetHealth",
];

/// A target group with its targets, or all of them as a list shows them.
pub fn load(reader: &Reader, arn: Option<&str>, rows: &mut Rows) -> Result<(), AwsError> {
    let (service, action) = ("elasticloadbalancing", "DescribeTargetGroups");
    let Some(arn) = arn else {
        for shown in reader.pages(service, action, json!({ "PageSize": 400 }), "TargetGroups", TOKEN)? {
            rows.listed(Read::of(read(&shown)).shown(&shown).except(unmodelled(&shown)));
        }
        return Ok(());
    };
    let params = json!({ "TargetGroupArns": [arn] });
    let absent = ["TargetGroupNotFound", "ValidationError"];
    let Some(reply) = reader.find(service, action, params, &absent)? else { return Ok(()) };
    for shown in reply.list("TargetGroups") {
        let mut group = read(&shown);
        let named = json!({ "TargetGroupArn": arn });
        group.attributes = read_attributes(reader, "DescribeTargetGroupAttributes", named.clone())?;
        group.tags = read_tags(reader, &[arn.to_owned()])?.remove(arn).unwrap_or_default();
        let targets = reader.get(service, "DescribeTargetHealth", named)?.list("TargetHealthDescriptions");
        group.targets = targets.iter().map(|shown| targets::Target::read(shown, &group)).collect();
        group.targets.sort_by(|a, b| a.key.cmp(&b.key));
        // Groups of functions need not be checked.
        group.checking = !group.targets.is_empty() && shown.opt_bool("HealthCheckEnabled").ok() != Some(Some(false));
        rows.whole(Read::of(group).shown(&shown).except(unmodelled(&shown)));
        let arn = arn.to_owned();
        rows.then(move |tx| targets::go_on(tx, &arn));
    }
    Ok(())
}

fn unmodelled(shown: &Params) -> Option<String> {
    let other = |path: &str, modelled: &[&str]| {
        shown.opt_str(path).filter(|value| !modelled.contains(value)).map(str::to_owned)
    };
    let kind = other("TargetType", &["instance", "ip"]).map(|kind| format!("target groups of the type `{kind}`"));
    kind.or_else(|| {
        let protocol = other("Protocol", &["HTTP", "HTTPS", "TCP", "TLS", "UDP", "TCP_UDP"])?;
        Some(format!("target groups with the protocol `{protocol}`"))
    })
}

/// Without attributes, tags and targets, which come by themselves.
fn read(shown: &Params) -> TargetGroup {
    let optional = |path: &str| shown.opt_str(path).map(str::to_owned);
    TargetGroup {
        arn: shown.text("TargetGroupArn"),
        name: shown.text("TargetGroupName"),
        protocol: shown.text("Protocol"),
        protocol_version: optional("ProtocolVersion"),
        port: u16::try_from(shown.number("Port", 0)).unwrap_or_default(),
        vpc: shown.text("VpcId"),
        target_type: shown.opt_str("TargetType").unwrap_or("instance").to_owned(),
        ip_address_type: shown.opt_str("IpAddressType").unwrap_or("ipv4").to_owned(),
        check: HealthCheck {
            protocol: shown.text("HealthCheckProtocol"),
            port: shown.opt_str("HealthCheckPort").unwrap_or("traffic-port").to_owned(),
            path: optional("HealthCheckPath"),
            interval: shown.number("HealthCheckIntervalSeconds", 30),
            timeout: shown.number("HealthCheckTimeoutSeconds", 6),
            healthy: shown.number("HealthyThresholdCount", 5),
            unhealthy: shown.number("UnhealthyThresholdCount", 2),
            codes: optional("Matcher.HttpCode").or_else(|| optional("Matcher.GrpcCode")),
        },
        checking: false,
        targets: Vec::new(),
        attributes: attributes::Attributes::new(),
        held_by: shown.strings("LoadBalancerArns").into_iter().map(str::to_owned).collect(),
        tags: Tags::new(),
    }
}

impl TargetGroup {
    pub fn is_network(&self) -> bool {
        !["HTTP", "HTTPS"].contains(&&*self.protocol)
    }

    pub fn attribute(&self, key: &str) -> &str {
        self.attributes.get(key).map_or("", String::as_str)
    }

    pub fn deregistration_delay(&self) -> Duration {
        Duration::from_secs(self.attribute("deregistration_delay.timeout_seconds").parse().unwrap_or(300))
    }

    fn view(&self, tx: &Tx) -> Value {
        let grpc = self.protocol_version.as_deref() == Some("GRPC");
        let codes = self.check.codes.as_ref();
        json!({
            "TargetGroupArn": self.arn,
            "TargetGroupName": self.name,
            "Protocol": self.protocol,
            "ProtocolVersion": self.protocol_version,
            "Port": self.port,
            "VpcId": self.vpc,
            "TargetType": self.target_type,
            "IpAddressType": self.ip_address_type,
            "HealthCheckEnabled": true,
            "HealthCheckProtocol": self.check.protocol,
            "HealthCheckPort": self.check.port,
            "HealthCheckPath": self.check.path,
            "HealthCheckIntervalSeconds": self.check.interval,
            "HealthCheckTimeoutSeconds": self.check.timeout,
            "HealthyThresholdCount": self.check.healthy,
            "UnhealthyThresholdCount": self.check.unhealthy,
            "Matcher": codes.map(|codes| json!({ (if grpc { "GrpcCode" } else { "HttpCode" }): codes })),
            "LoadBalancerArns": route::balancers_of(tx, &self.arn),
        })
    }
}

fn create_target_group(tx: &mut Tx, p: &Params) -> Reply {
    let name = p.str("Name")?;
    check_name("Target group", name)?;
    let target_type = choice(p, "TargetType", &["instance", "ip", "lambda", "alb"], "instance")?;
    modelled(tx, "TargetType", target_type, &["instance", "ip"])?;
    let protocols = ["HTTP", "HTTPS", "TCP", "TLS", "UDP", "TCP_UDP", "GENEVE", "QUIC", "TCP_QUIC"];
    for (parameter, what) in [("Protocol", "protocol"), ("Port", "port"), ("VpcId", "VPC")] {
        if !p.has(parameter) {
            return Err(AwsError::new("ValidationError", format!("A {what} must be specified")));
        }
    }
    let protocol = choice(p, "Protocol", &protocols, "")?;
    modelled(tx, "Protocol", protocol, &["HTTP", "HTTPS", "TCP", "TLS", "UDP", "TCP_UDP"])?;
    let http = ["HTTP", "HTTPS"].contains(&protocol);
    if !http && p.has("ProtocolVersion") {
        let message = format!("Protocol version cannot be specified for target groups with protocol '{protocol}'");
        return Err(AwsError::new("ValidationError", message));
    }
    let version = choice(p, "ProtocolVersion", &["HTTP1", "HTTP2", "GRPC"], "HTTP1")?;
    let vpc = p.str("VpcId")?;
    if tx.get::<Vpc>(vpc).is_err() {
        return Err(AwsError::new("ValidationError", format!("The VPC ID '{vpc}' is not found")));
    }
    let id = arn_id(tx);
    let initial = HealthCheck::initial(protocol, version);
    let made = TargetGroup {
        arn: tx.arn("elasticloadbalancing", &format!("targetgroup/{name}/{id}")),
        name: name.to_owned(),
        protocol: protocol.to_owned(),
        protocol_version: http.then(|| version.to_owned()),
        port: u16::try_from(number(p, "Port", 1..=65_535, 0)?).unwrap_or_default(),
        vpc: vpc.to_owned(),
        target_type: target_type.to_owned(),
        ip_address_type: choice(p, "IpAddressType", &["ipv4", "ipv6"], "ipv4")?.to_owned(),
        check: initial.changed(p, http, version)?,
        checking: false,
        targets: Vec::new(),
        attributes: attributes::of_target_group(!http, target_type, protocol),
        held_by: Vec::new(),
        tags: tag::given(p)?,
    };
    let known = tx.all::<TargetGroup>().find(|known| known.name == name);
    // Lists do not show the tags.
    if let Some(known) = known.and_then(|known| tx.peek::<TargetGroup>(&known.arn)) {
        let settings = |group: &TargetGroup| {
            let TargetGroup { protocol, protocol_version, port, vpc, target_type, check, tags, .. } = group.clone();
            (protocol, protocol_version, port, vpc, target_type, check, tags)
        };
        if settings(known) == settings(&made) {
            return Ok(json!({ "TargetGroups": [known.view(tx)] }));
        }
        let message = format!("A target group with the same name '{name}' exists, but with different settings");
        return Err(AwsError::new("DuplicateTargetGroupName", message));
    }
    let view = made.view(tx);
    tx.put(made);
    Ok(json!({ "TargetGroups": [view] }))
}

impl HealthCheck {
    fn initial(protocol: &str, version: &str) -> HealthCheck {
        let http = ["HTTP", "HTTPS"].contains(&protocol);
        HealthCheck {
            protocol: if http { "HTTP" } else { "TCP" }.to_owned(),
            port: "traffic-port".to_owned(),
            path: http.then(|| if version == "GRPC" { "/AWS.ALB/healthcheck" } else { "/" }.to_owned()),
            interval: 30,
            timeout: if protocol == "HTTP" || protocol == "UDP" || protocol == "TCP_UDP" { 6 } else { 10 },
            healthy: 5,
            unhealthy: 2,
            codes: http.then(|| if version == "GRPC" { "12" } else { "200" }.to_owned()),
        }
    }

    /// With what the request says. `http` is of the group: a TCP group can be checked by HTTP, not the other way.
    fn changed(&self, p: &Params, http: bool, version: &str) -> Result<HealthCheck, AwsError> {
        let refuse = |message: String| Err(AwsError::new("ValidationError", message));
        if p.opt_bool("HealthCheckEnabled")? == Some(false) {
            return refuse(
                "Health check enabled must be true for target groups with target type 'instance' or 'ip'".into(),
            );
        }
        let mut check = self.clone();
        let allowed: &[&str] = if http { &["HTTP", "HTTPS"] } else { &["HTTP", "HTTPS", "TCP"] };
        let protocol = p.opt_str("HealthCheckProtocol").unwrap_or(&self.protocol);
        if !allowed.contains(&protocol) {
            return refuse(format!("Health check protocol '{protocol}' must be one of '{}'", allowed.join(", ")));
        }
        check.protocol = protocol.to_owned();
        let port = p.opt_str("HealthCheckPort").unwrap_or(&self.port);
        if port != "traffic-port" && !port.parse().is_ok_and(|port: u16| port > 0) {
            return refuse(format!("Health check port '{port}' must be either 'traffic-port' or in the range 1-65535"));
        }
        check.port = port.to_owned();
        check.interval = number(p, "HealthCheckIntervalSeconds", 5..=300, self.interval)?;
        check.timeout = number(p, "HealthCheckTimeoutSeconds", 2..=120, self.timeout)?;
        check.healthy = number(p, "HealthyThresholdCount", 2..=10, self.healthy)?;
        check.unhealthy = number(p, "UnhealthyThresholdCount", 2..=10, self.unhealthy)?;
        if check.timeout >= check.interval {
            let (timeout, interval) = (check.timeout, check.interval);
            return refuse(format!("Health check timeout '{timeout}' must be smaller than the interval '{interval}'"));
        }
        if protocol == "TCP" {
            if p.has("HealthCheckPath") || p.has("Matcher") {
                return refuse(
                    "Health check path and matcher cannot be specified for health check protocol TCP".into(),
                );
            }
            (check.path, check.codes) = (None, None);
            return Ok(check);
        }
        let path = p.opt_str("HealthCheckPath").or(self.path.as_deref()).unwrap_or("/");
        if !path.starts_with('/') || path.len() > 1024 {
            return refuse(format!("Health check path '{path}' must begin with a '/' character"));
        }
        check.path = Some(path.to_owned());
        let given = if version == "GRPC" { "Matcher.GrpcCode" } else { "Matcher.HttpCode" };
        let default = if http { "200" } else { "200-399" };
        let codes = p.opt_str(given).or(self.codes.as_deref()).unwrap_or(default);
        let range = match (version, http) {
            ("GRPC", _) => 0..=99,
            (_, true) => 200..=499,
            (_, false) => 200..=599,
        };
        let numbers = || codes.split([',', '-']);
        if !numbers().all(|code| code.trim().parse().is_ok_and(|code: i32| range.contains(&code))) {
            let (low, high) = (range.start(), range.end());
            return refuse(format!("Health check matcher '{codes}' must be within '{low}-{high}'"));
        }
        check.codes = Some(codes.to_owned());
        Ok(check)
    }
}

fn describe_target_groups(tx: &mut Tx, p: &Params) -> Reply {
    let (arns, names) = (p.strings("TargetGroupArns"), p.strings("Names"));
    let mut rows = tx.select::<TargetGroup>(&arns).map_err(|error| among_several(error, "target groups"))?;
    if !names.is_empty() {
        rows.retain(|row| names.contains(&&*row.name));
        if rows.len() < names.len() {
            return Err(AwsError::new("TargetGroupNotFound", "One or more target groups not found"));
        }
    }
    if let Some(balancer) = p.opt_str("LoadBalancerArn") {
        tx.get::<LoadBalancer>(balancer)?;
        rows.retain(|row| route::balancers_of(tx, &row.arn).iter().any(|arn| arn == balancer));
    }
    pages(p, "TargetGroups", rows.into_iter().map(|row| (row.arn.clone(), row)).collect(), |row| {
        tx.shown(row, TargetGroup::view)
    })
}

fn modify_target_group(tx: &mut Tx, p: &Params) -> Reply {
    let group = tx.get_mut::<TargetGroup>(p.str("TargetGroupArn")?)?;
    let version = group.protocol_version.clone().unwrap_or_default();
    group.check = group.check.changed(p, !group.is_network(), &version)?;
    let group = group.clone();
    Ok(json!({ "TargetGroups": [tx.shown(&group, TargetGroup::view)] }))
}

/// "You can delete a target group if it is not referenced by any actions." Deleting what is not there succeeds.
fn delete_target_group(tx: &mut Tx, p: &Params) -> Reply {
    let arn = p.str("TargetGroupArn")?;
    check_arn("target group", arn)?;
    if !route::balancers_of(tx, arn).is_empty() {
        let message = format!("Target group '{arn}' is currently in use by a listener or a rule");
        return Err(AwsError::new("ResourceInUse", message));
    }
    tx.delete::<TargetGroup>(arn);
    Ok(json!({}))
}
