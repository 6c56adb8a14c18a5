//! The reference systems against a moto server, as far as it goes: each runbook comes to what moto cannot do, is taken back
//! there, and leaves the account as it was.

use runner::event::Event;
use serde_json::{Value, json};

use crate::{
    account::{Account, Ran},
    contract::{assert_same, is_exempt},
    moto::moto,
};

struct System {
    account: Account,
    id: String,
}

impl System {
    fn new(project: &str) -> Self {
        let id = moto().new_account();
        let account = Account::moto(moto().url(), id.clone()).with_project(project);
        // What moto puts into an account, it makes when it is asked for the first time.
        moto().boto3(&id, "observe()");
        Self { account, id }
    }

    fn observe(&self) -> Value {
        moto().boto3(&self.id, "observe()")
    }

    #[track_caller]
    fn done(&self, runbook: &str, params: Value) -> Ran {
        // Nobody answers at the names of its load balancers.
        let text = without_check(&std::fs::read_to_string(self.account.runbooks.join(runbook)).expect("a runbook"));
        let ran = self.account.script(&text, params);
        assert_eq!(ran.failure, None, "{:?}", ran.rollback);
        ran
    }

    #[track_caller]
    fn unchanged(&self, runbook: &str, params: Value) {
        assert_eq!(self.done(runbook, params).mutations(), [""; 0]);
    }

    /// All but the network is gone: see why in the list of what moto cannot do.
    #[track_caller]
    fn is_removed(&self, ran: &Ran) {
        let failure = ran.failure.as_deref().expect("moto keeps the network");
        assert!(is_exempt("destroy_stack") && failure.contains("ec2:DeleteNetworkAcl for "), "{failure}");
        let left = self.observe();
        let of_the_stack =
            left.as_object().into_iter().flatten().filter(|(_, all)| all.to_string().contains("runner:stack"));
        let left: Vec<&str> = of_the_stack.map(|(kind, _)| kind.as_str()).collect();
        assert_eq!(left, ["vpcs", "internet gateways", "route tables", "network acls"]);
    }

    /// It ends at `operation`, which moto does not do, and is taken back. What stays is there already the second time: networks.
    #[track_caller]
    fn comes_to(&self, operation: &str, runbook: &str, params: &Value) {
        let failed_at = |ran: &Ran| {
            let failures = ran.forward().filter_map(|event| match event {
                Event::OperationFailed { operation, error, .. } => Some((operation.clone(), error.clone())),
                _ => None,
            });
            failures.last().expect("moto does not do all of it")
        };
        assert!(is_exempt(operation), "moto is to do it");
        let first = self.account.runbook(runbook, params.clone());
        let before = self.observe();
        let second = self.account.runbook(runbook, params.clone());
        for ran in [&first, &second] {
            let (failed, error) = failed_at(ran);
            assert_eq!(failed, operation, "{error}");
            let rollback = ran.rollback.as_ref().expect("there was something to take back");
            assert!(rollback.is_clean() && rollback.done > 0, "{rollback:?}");
        }
        assert_same(&self.observe(), &before, "taken back");
    }
}

/// The runbook without its stage `check`.
fn without_check(text: &str) -> String {
    const END: &str = "}));\n";
    match text.split_once("stage(\"check\"") {
        Some((before, after)) => format!("{before}{}", &after[after.find(END).expect("it ends") + END.len()..]),
        None => text.to_owned(),
    }
}

#[test]
fn service() {
    let system = System::new("service");
    system.done("deploy.rhai", json!({ "image": "ami-healthy-1" }));
    system.unchanged("deploy.rhai", json!({ "image": "ami-healthy-1" }));
    let second = system.done("deploy.rhai", json!({ "image": "ami-healthy-2" }));
    assert_eq!(second.outputs["colour"], "green");
    system.is_removed(&system.account.runbook("remove.rhai", json!({})));
}

#[test]
fn time_service() {
    let system = System::new("time-service");
    let image = |id: &str| json!({ "image": id });
    system.comes_to("wait_http", "deploy.rhai", &image("ami-healthy-1"));
    system.done("deploy.rhai", image("ami-healthy-1"));
    system.unchanged("deploy.rhai", image("ami-healthy-1"));
    assert_eq!(system.done("deploy.rhai", image("ami-healthy-2")).outputs["colour"], "green");
    system.is_removed(&system.account.runbook("remove.rhai", json!({})));
}

#[test]
fn hello_web() {
    let system = System::new("hello-web");
    system.comes_to("deploy_ecs_service", "staging.rhai", &json!({}));
    system.done("images.rhai", json!({}));
    system.unchanged("images.rhai", json!({}));
}

#[test]
fn shopping_cart() {
    let system = System::new("shopping-cart");
    system.comes_to("deploy_ecs_service", "test-eu.rhai", &json!({}));
    system.done("global.rhai", json!({}));
    system.unchanged("global.rhai", json!({}));
}

#[test]
fn branch_stack() {
    System::new("branch-stack").comes_to("deploy_ecs_service", "up.rhai", &json!({ "branch": "feature/cart" }));
}
