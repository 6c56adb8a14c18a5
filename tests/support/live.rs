//! A simulated account as a fork of it sees it: asked over the wire, and only by calls that read.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use runner::{
    aws::is_read_only,
    sim::{self, AwsError, Live, Scope, Simulator, ask},
};
use serde_json::Value;

/// The account behind a fork, and what it was asked.
pub struct Origin {
    simulator: Arc<Simulator>,
    calls: Mutex<Vec<String>>,
}

impl Origin {
    pub fn new(simulator: Arc<Simulator>) -> Arc<Origin> {
        Arc::new(Origin { simulator, calls: Mutex::default() })
    }

    /// A fork of it as it is now.
    pub fn fork(self: &Arc<Origin>) -> Simulator {
        Simulator::fork(self.clone(), self.simulator.clock(), 1)
    }

    /// All calls so far, in their order.
    pub fn calls(&self) -> Vec<String> {
        self.calls.lock().expect("no caller panicked").clone()
    }
}

impl Live for Origin {
    fn call(
        &self,
        scope: &Scope,
        service: &'static str,
        action: &'static str,
        params: &Value,
    ) -> Result<Value, AwsError> {
        let name = format!("{service}:{action}");
        assert!(is_read_only(&name), "{name} is not on the read-only list");
        assert!(sim::reads().contains(&name), "{name} is not declared as a read of a fork");
        self.calls.lock().expect("no caller panicked").push(name);
        send(&self.simulator, scope, service, action, params)
    }
}

/// Sends a request of any protocol to a simulated account, and returns the reply under AWS's names.
pub fn send(
    simulator: &Simulator,
    scope: &Scope,
    service: &'static str,
    action: &'static str,
    params: &Value,
) -> Result<Value, AwsError> {
    let service = sim::of_prefix(service).expect("a service");
    let ask = ask::request(service, action, params)?;
    let credential = format!("{}/20260101/{}/{}/aws4_request", scope.account, scope.region, service.name);
    let mut request = http::Request::builder()
        .method(ask.method)
        .uri(format!("https://{}.amazonaws.com{}", service.name, ask.path))
        .header("authorization", format!("AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host, Signature=00"))
        .body(Bytes::from(ask.body))
        .expect("a request");
    request.headers_mut().extend(ask.headers);
    let response = simulator.answer(&request, simulator.clock());
    ask::reply(service, action, response.status().as_u16(), response.body())
}

/// What of an account no API shows, so that a fork cannot have it as it is: the only differences between a fork in which
/// everything was read and its account. Table, path in a row (`*`: each), and why.
const NOT_SHOWN: &[(&str, &str, &str)] = &[
    ("auto_scaling_groups", "members/*/waits_for", "the tokens of lifecycle actions go to notifications only"),
    ("instances", "data/DisableApiTermination", "asked for instance by instance, and of no use to operations"),
    ("instances", "service", "what will become of the service is not known to AWS"),
    ("instances", "app", "what it answers is seen in target groups only"),
    ("listeners", "route/new", "which nodes have heard of a change is not shown"),
    ("listeners", "route/kept", "which nodes have heard of a change is not shown"),
    ("listeners", "route/before", "what a lagging read would show"),
    ("nat_gateways", "failure", "not shown before the gateway has failed"),
    ("rules", "route/new", "which nodes have heard of a change is not shown"),
    ("rules", "route/kept", "which nodes have heard of a change is not shown"),
    ("rules", "route/before", "what a lagging read would show"),
    ("target_groups", "checking", "whether checks of a group without targets have ended"),
    ("target_groups", "targets/*/answers", "stands for what is seen of the service, in a fork only"),
    ("target_groups", "targets/*/health/Initial/failed", "how many checks have failed so far"),
    ("target_groups", "targets/*/health/Healthy/failed", "how many checks have failed so far"),
    ("target_groups", "targets/*/health/Unhealthy/passed", "how many checks have passed so far"),
    ("target_groups", "targets/*/health/Draining/until", "when draining began"),
];

/// An observation without what no API shows.
pub fn shown(mut observed: Value) -> Value {
    for (table, path, _) in NOT_SHOWN {
        each_table(&mut observed, table, &mut |rows| {
            for row in rows.as_object_mut().into_iter().flat_map(|rows| rows.values_mut()) {
                remove(row, path);
            }
        });
    }
    observed
}

fn each_table(value: &mut Value, table: &str, then: &mut impl FnMut(&mut Value)) {
    for (name, value) in value.as_object_mut().into_iter().flatten() {
        if name == table { then(value) } else { each_table(value, table, then) }
    }
}

fn remove(value: &mut Value, path: &str) {
    let (first, rest) = path.split_once('/').unwrap_or((path, ""));
    match value {
        Value::Array(elements) if first == "*" => elements.iter_mut().for_each(|element| remove(element, rest)),
        Value::Object(fields) if rest.is_empty() => {
            fields.shift_remove(first);
        }
        Value::Object(fields) => fields.get_mut(first).into_iter().for_each(|field| remove(field, rest)),
        _ => {}
    }
}
