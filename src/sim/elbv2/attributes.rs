//! Attributes of load balancers, target groups and listeners: all of them with AWS's defaults, and what each may be.
//!
//! Source: the service model's documentation of `LoadBalancerAttribute`, `TargetGroupAttribute`, `ListenerAttribute`.

use std::collections::BTreeMap;

use super::*;

pub const ACTIONS: &[Action] = &[
    Action {
        name: "DescribeLoadBalancerAttributes",
        params: &["LoadBalancerArn"],
        run: |tx, p| describe::<LoadBalancer>(tx, p, "LoadBalancerArn"),
    },
    Action {
        name: "ModifyLoadBalancerAttributes",
        params: &["LoadBalancerArn", CHANGES],
        run: |tx, p| modify::<LoadBalancer>(tx, p, "LoadBalancerArn"),
    },
    Action {
        name: "DescribeTargetGroupAttributes",
        params: &["TargetGroupArn"],
        run: |tx, p| describe::<TargetGroup>(tx, p, "TargetGroupArn"),
    },
    Action {
        name: "ModifyTargetGroupAttributes",
        params: &["TargetGroupArn", CHANGES],
        run: |tx, p| modify::<TargetGroup>(tx, p, "TargetGroupArn"),
    },
    Action {
        name: "DescribeListenerAttributes",
        params: &["ListenerArn"],
        run: |tx, p| describe::<Listener>(tx, p, "ListenerArn"),
    },
    Action {
        name: "ModifyListenerAttributes",
        params: &["ListenerArn", CHANGES],
        run: |tx, p| modify::<Listener>(tx, p, "ListenerArn"),
    },
];

const CHANGES: &str = "Attributes[].Key Attributes[].Value";

pub type Attributes = BTreeMap<String, String>;

/// A key, its default, and what it may be.
type Known = (&'static str, &'static str, May);

enum May {
    Flag,
    Number(i64, i64),
    /// A number or `off`.
    Threshold(i64, i64),
    OneOf(&'static [&'static str]),
    Text,
}
use May::{Flag, Number, OneOf, Text, Threshold};

const OF_BALANCERS: &[Known] = &[
    ("access_logs.s3.bucket", "", Text),
    ("access_logs.s3.enabled", "false", Flag),
    ("access_logs.s3.prefix", "", Text),
    ("deletion_protection.enabled", "false", Flag),
    ("ipv6.deny_all_igw_traffic", "false", Flag),
    ("zonal_shift.config.enabled", "false", Flag),
];

const OF_APPLICATION_BALANCERS: &[Known] = &[
    ("client_keep_alive.seconds", "3600", Number(60, 604_800)),
    ("connection_logs.s3.bucket", "", Text),
    ("connection_logs.s3.enabled", "false", Flag),
    ("connection_logs.s3.prefix", "", Text),
    ("health_check_logs.s3.bucket", "", Text),
    ("health_check_logs.s3.enabled", "false", Flag),
    ("health_check_logs.s3.prefix", "", Text),
    ("idle_timeout.timeout_seconds", "60", Number(1, 4000)),
    // "The default for Application Load Balancers is true, and can't be changed."
    ("load_balancing.cross_zone.enabled", "true", OneOf(&["true"])),
    ("routing.http.desync_mitigation_mode", "defensive", OneOf(&["monitor", "defensive", "strictest"])),
    ("routing.http.drop_invalid_header_fields.enabled", "false", Flag),
    ("routing.http.preserve_host_header.enabled", "false", Flag),
    ("routing.http.x_amzn_tls_version_and_cipher_suite.enabled", "false", Flag),
    ("routing.http.xff_client_port.enabled", "false", Flag),
    ("routing.http.xff_header_processing.mode", "append", OneOf(&["append", "preserve", "remove"])),
    ("routing.http2.enabled", "true", Flag),
    ("waf.fail_open.enabled", "false", Flag),
];

const OF_NETWORK_BALANCERS: &[Known] = &[
    (
        "dns_record.client_routing_policy",
        "any_availability_zone",
        OneOf(&["availability_zone_affinity", "partial_availability_zone_affinity", "any_availability_zone"]),
    ),
    ("load_balancing.cross_zone.enabled", "false", Flag),
    ("secondary_ips.auto_assigned.per_subnet", "0", Number(0, 7)),
];

const OF_GROUPS: &[Known] = &[
    ("deregistration_delay.timeout_seconds", "300", Number(0, 3600)),
    (
        "load_balancing.cross_zone.enabled",
        "use_load_balancer_configuration",
        OneOf(&["true", "false", "use_load_balancer_configuration"]),
    ),
    ("stickiness.enabled", "false", Flag),
    ("target_group_health.dns_failover.minimum_healthy_targets.count", "1", Threshold(1, 1_000_000)),
    ("target_group_health.dns_failover.minimum_healthy_targets.percentage", "off", Threshold(1, 100)),
    ("target_group_health.unhealthy_state_routing.minimum_healthy_targets.count", "1", Number(1, 1_000_000)),
    ("target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage", "off", Threshold(1, 100)),
];

const OF_APPLICATION_GROUPS: &[Known] = &[
    ("load_balancing.algorithm.anomaly_mitigation", "off", OneOf(&["on", "off"])),
    (
        "load_balancing.algorithm.type",
        "round_robin",
        OneOf(&["round_robin", "least_outstanding_requests", "weighted_random"]),
    ),
    ("slow_start.duration_seconds", "0", Number(0, 900)),
    ("stickiness.app_cookie.cookie_name", "", Text),
    ("stickiness.app_cookie.duration_seconds", "86400", Number(1, 604_800)),
    ("stickiness.lb_cookie.duration_seconds", "86400", Number(1, 604_800)),
    ("stickiness.type", "lb_cookie", OneOf(&["lb_cookie", "app_cookie"])),
];

const OF_NETWORK_GROUPS: &[Known] = &[
    ("deregistration_delay.connection_termination.enabled", "false", Flag),
    ("preserve_client_ip.enabled", "true", Flag),
    ("proxy_protocol_v2.enabled", "false", Flag),
    ("stickiness.type", "source_ip", OneOf(&["source_ip"])),
    ("target_health_state.unhealthy.connection_termination.enabled", "true", Flag),
    ("target_health_state.unhealthy.draining_interval_seconds", "0", Number(0, 360_000)),
];

const OF_APPLICATION_LISTENERS: &[Known] = &[
    ("routing.http.response.server.enabled", "true", Flag),
    ("routing.http.response.strict_transport_security.header_value", "", Text),
    ("routing.http.response.access_control_allow_origin.header_value", "", Text),
    ("routing.http.response.access_control_allow_methods.header_value", "", Text),
    ("routing.http.response.access_control_allow_headers.header_value", "", Text),
    ("routing.http.response.access_control_allow_credentials.header_value", "", Text),
    ("routing.http.response.access_control_expose_headers.header_value", "", Text),
    ("routing.http.response.access_control_max_age.header_value", "", Text),
    ("routing.http.response.content_security_policy.header_value", "", Text),
    ("routing.http.response.x_content_type_options.header_value", "", Text),
    ("routing.http.response.x_frame_options.header_value", "", Text),
];

const OF_NETWORK_LISTENERS: &[Known] = &[("tcp.idle_timeout.seconds", "350", Number(60, 6000))];

/// A row with attributes.
trait Attributed: Resource {
    const WHAT: &'static str;
    fn known(&self) -> Vec<&'static Known>;
    fn attributes(&mut self) -> &mut Attributes;
}

impl Attributed for LoadBalancer {
    const WHAT: &'static str = "Load balancer";
    fn known(&self) -> Vec<&'static Known> {
        of_balancers(self.network)
    }
    fn attributes(&mut self) -> &mut Attributes {
        &mut self.attributes
    }
}

impl Attributed for TargetGroup {
    const WHAT: &'static str = "Target group";
    fn known(&self) -> Vec<&'static Known> {
        of_groups(self.is_network())
    }
    fn attributes(&mut self) -> &mut Attributes {
        &mut self.attributes
    }
}

impl Attributed for Listener {
    const WHAT: &'static str = "Listener";
    fn known(&self) -> Vec<&'static Known> {
        of_listeners(&self.protocol)
    }
    fn attributes(&mut self) -> &mut Attributes {
        &mut self.attributes
    }
}

fn of_balancers(network: bool) -> Vec<&'static Known> {
    OF_BALANCERS.iter().chain(if network { OF_NETWORK_BALANCERS } else { OF_APPLICATION_BALANCERS }).collect()
}

fn of_groups(network: bool) -> Vec<&'static Known> {
    OF_GROUPS.iter().chain(if network { OF_NETWORK_GROUPS } else { OF_APPLICATION_GROUPS }).collect()
}

fn of_listeners(protocol: &str) -> Vec<&'static Known> {
    match protocol {
        "HTTP" | "HTTPS" => OF_APPLICATION_LISTENERS.iter().collect(),
        "TCP" => OF_NETWORK_LISTENERS.iter().collect(),
        _ => Vec::new(),
    }
}

fn defaults(known: Vec<&'static Known>) -> Attributes {
    known.into_iter().map(|(key, default, _)| ((*key).to_owned(), (*default).to_owned())).collect()
}

pub fn of_load_balancer(network: bool, internal: bool) -> Attributes {
    let mut attributes = defaults(of_balancers(network));
    attributes.insert("ipv6.deny_all_igw_traffic".into(), internal.to_string());
    attributes
}

pub fn of_target_group(network: bool, target_type: &str, protocol: &str) -> Attributes {
    let mut attributes = defaults(of_groups(network));
    if network {
        let udp = ["UDP", "TCP_UDP"].contains(&protocol);
        attributes.insert("deregistration_delay.connection_termination.enabled".into(), udp.to_string());
        attributes.insert("preserve_client_ip.enabled".into(), (udp || target_type != "ip").to_string());
        attributes.insert("target_health_state.unhealthy.connection_termination.enabled".into(), (!udp).to_string());
    }
    attributes
}

pub fn of_listener(protocol: &str) -> Attributes {
    defaults(of_listeners(protocol))
}

fn view(attributes: &Attributes) -> Value {
    json!({ "Attributes": tags::write(attributes, "Key", "Value") })
}

fn describe<T: Attributed>(tx: &mut Tx, p: &Params, arn: &str) -> Reply {
    Ok(view(tx.get_mut::<T>(p.str(arn)?)?.attributes()))
}

fn modify<T: Attributed>(tx: &mut Tx, p: &Params, arn: &str) -> Reply {
    let row = tx.get_mut::<T>(p.str(arn)?)?;
    let known = row.known();
    for change in p.list("Attributes") {
        let (key, value) = (change.str("Key")?, change.opt_str("Value").unwrap_or_default());
        let Some((_, _, may)) = known.iter().find(|(name, ..)| *name == key) else {
            let message = format!("{} attribute key '{key}' is not recognized", T::WHAT);
            return Err(AwsError::new("ValidationError", message));
        };
        // Slow start is off, or at least 30 seconds long.
        let good = may.be(value) && !(key == "slow_start.duration_seconds" && matches!(value.parse(), Ok(1..=29)));
        if !good {
            let message = format!("{} attribute value '{value}' is not valid for key '{key}'", T::WHAT);
            return Err(AwsError::new("ValidationError", message));
        }
        row.attributes().insert(key.to_owned(), value.to_owned());
    }
    let attributes = row.attributes();
    for logs in ["access_logs", "connection_logs", "health_check_logs"] {
        let on = attributes.get(&format!("{logs}.s3.enabled")).is_some_and(|on| on == "true");
        if on && attributes.get(&format!("{logs}.s3.bucket")).is_none_or(String::is_empty) {
            let message = format!("The value of '{logs}.s3.bucket' cannot be empty when {logs} are enabled");
            return Err(invalid_configuration(message));
        }
    }
    Ok(view(attributes))
}

impl May {
    fn be(&self, value: &str) -> bool {
        let number = |low: &i64, high: &i64| value.parse().is_ok_and(|value: i64| (*low..=*high).contains(&value));
        match self {
            Flag => ["true", "false"].contains(&value),
            Number(low, high) => number(low, high),
            Threshold(low, high) => value == "off" || number(low, high),
            OneOf(values) => values.contains(&value),
            Text => value.len() <= 1024,
        }
    }
}
