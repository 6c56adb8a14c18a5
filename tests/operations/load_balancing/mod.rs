//! Load balancers, target groups, listeners and rules.

mod listeners;
mod load_balancers;
mod target_groups;

use serde_json::{Value, json};

use crate::account::Trial;

/// A VPC with two public subnets.
pub struct Network {
    pub vpc: Value,
    pub subnets: Value,
}

pub fn network(run: &mut Trial<'_>) -> Network {
    let vpc = run.ok("ensure_vpc", json!({ "name": "main", "cidr_block": "10.20.0.0/16" }));
    run.ok("ensure_internet_gateway", json!({ "name": "main", "vpc_id": vpc }));
    let options = json!({ "vpc_id": vpc, "tier": "public", "availability_zones": 2 });
    let subnets = run.ok("ensure_subnets", options);
    Network { vpc, subnets }
}

pub fn balancer(run: &mut Trial<'_>, network: &Network) -> Value {
    run.ok("ensure_load_balancer", json!({ "name": "web", "subnets": network.subnets }))
}

pub fn group(run: &mut Trial<'_>, network: &Network, name: &str) -> Value {
    let check = json!({ "path": "/healthz", "interval": "10s", "timeout": "5s" });
    let options = json!({ "name": name, "vpc_id": network.vpc, "port": 8080, "health_check": check });
    run.ok("ensure_target_group", options)
}

/// `#{ forward: … }` to one group or several.
pub fn forward(weights: &[(&Value, u32)]) -> Value {
    let groups: Vec<Value> =
        weights.iter().map(|(group, weight)| json!({ "target_group": group, "weight": weight })).collect();
    json!({ "forward": { "target_groups": groups } })
}

pub fn listener(run: &mut Trial<'_>, balancer: &Value, action: &Value) -> Value {
    let options = json!({ "load_balancer": balancer, "port": 80, "protocol": "HTTP", "default_action": action });
    run.ok("ensure_listener", options)
}
