//! What tests of groups need around them.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::account::{Account, Trial};

/// A network and a launch template. Returns the options of a fleet called `blue`.
pub fn needs(run: &mut Trial<'_>) -> Value {
    let vpc = run.ok("ensure_vpc", json!({ "name": "main", "cidr_block": "10.20.0.0/16" }));
    let subnets = run.ok("ensure_subnets", json!({ "vpc_id": vpc, "tier": "private", "availability_zones": 2 }));
    let template = run.ok(
        "ensure_launch_template",
        json!({ "name": "web", "image_id": "ami-healthy-1", "instance_type": "t3.small" }),
    );
    json!({
        "name": "blue", "launch_template": template, "subnets": subnets,
        "min_size": 1, "max_size": 3, "desired_capacity": 2,
    })
}

/// A fleet of so many instances, all in service; and the options it was launched with.
pub fn fleet(run: &mut Trial<'_>, size: i32) -> (Value, Value) {
    let mut options = needs(run);
    options["max_size"] = json!(6);
    options["desired_capacity"] = json!(size);
    let blue = run.ok("launch_asg", options.clone());
    let serving = json!({ "auto_scaling_group": blue["name"], "desired_capacity": size, "wait_timeout": "10m" });
    run.ok("scale_asg", serving);
    (blue, options)
}

/// The group as it is now.
pub fn group(run: &mut Trial<'_>, group: &Value) -> Value {
    run.ok("find_asg", json!({ "auto_scaling_group_name": group["name"] }))
}

/// Sends a call of a query service past the program, as somebody else would.
pub fn call(account: &Account, service: &str, action: &str, params: &[(&str, &str)]) -> String {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("Action", action).append_pair("Version", "2011-01-01").extend_pairs(params);
    let scope = format!("123456789012/20260101/eu-central-1/{service}/aws4_request");
    let request = http::Request::post(format!("https://{service}.eu-central-1.amazonaws.com/"))
        .header("authorization", format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=00"))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Bytes::from(form.finish()))
        .expect("a request");
    let simulator = account.simulator();
    let response = simulator.answer(&request, simulator.clock());
    let body = String::from_utf8_lossy(response.body()).into_owned();
    assert!(response.status().is_success(), "{action}: {body}");
    body
}
