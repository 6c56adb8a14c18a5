//! Traffic: what is moved, what is refused, and that no request is lost, there and back.

use runner::{event::Event, ops::Error};
use serde_json::{Value, json};

use crate::{
    account::{Account, Trial},
    load_balancing::{Network, balancer, forward, group, listener, network},
};

/// A service with a fleet behind it: its route and its two groups.
struct Service {
    network: Network,
    route: Value,
    blue: Value,
    green: Value,
}

impl Service {
    /// Blue is live, with two instances.
    fn live(account: &Account) -> Service {
        let mut run = account.run();
        let network = network(&mut run);
        let balancer = balancer(&mut run, &network);
        let (blue, green) = (group(&mut run, &network, "blue"), group(&mut run, &network, "green"));
        let route = listener(&mut run, &balancer, &forward(&[(&blue, 100)]));
        let service = Service { network, route, blue, green };
        service.fleet(&mut run, &service.blue, "ami-healthy-1");
        run.ok("wait_healthy", json!({ "target_groups": [service.blue], "auto_scaling_group": "shop-prod-blue" }));
        service
    }

    /// Two instances that register with a group.
    fn fleet(&self, run: &mut Trial<'_>, group: &Value, image: &str) -> Value {
        let name = group["target_group_name"].as_str().expect("a name").trim_start_matches("shop-prod-");
        let template = json!({ "name": name, "image_id": image, "instance_type": "t3.small" });
        let template = run.ok("ensure_launch_template", template);
        let options = json!({
            "name": name, "launch_template": template, "subnets": self.network.subnets, "min_size": 2, "max_size": 4,
            "target_groups": [group],
        });
        run.ok("launch_asg", options)
    }

    fn attach(&self) -> Value {
        json!({ "routes": [{ "route": self.route, "target_group": self.green }] })
    }

    fn shift(&self, steps: &Value) -> Value {
        let route = json!({ "route": self.route, "from": self.blue, "to": self.green });
        json!({ "routes": [route], "steps": steps, "min_healthy": 2 })
    }

    fn wait(&self) -> Value {
        json!({ "target_groups": [self.green], "auto_scaling_group": "shop-prod-green" })
    }

    /// Green is attached without weight, and healthy.
    fn make_green_ready(&self, run: &mut Trial<'_>) {
        run.ok("attach_target_group", self.attach());
        self.fleet(run, &self.green, "ami-healthy-2");
        run.ok("wait_healthy", self.wait());
    }

    /// A listener whose weights somebody sets.
    fn set(&self, blue: u32, green: u32) -> Value {
        json!({
            "load_balancer": self.route["load_balancer_arn"], "port": 80, "protocol": "HTTP", "weights": "set",
            "default_action": forward(&[(&self.blue, blue), (&self.green, green)]),
        })
    }

    fn active(&self, run: &mut Trial<'_>) -> String {
        let colours = json!({ "blue": self.blue, "green": self.green });
        let shown = run.ok("traffic", json!({ "route": self.route, "colours": colours }));
        shown["active"].as_str().expect("text").to_owned()
    }

    fn weights(&self, run: &mut Trial<'_>) -> Vec<(String, i64)> {
        let shown = run.ok("traffic", json!({ "route": self.route }));
        let weights = shown["weights"].as_array().expect("weights").iter();
        weights
            .map(|one| {
                let name = one["target_group"].as_str().expect("a name").trim_start_matches("shop-prod-");
                (name.to_owned(), one["weight"].as_i64().expect("a weight"))
            })
            .collect()
    }
}

fn owned(weights: &[(&str, i64)]) -> Vec<(String, i64)> {
    weights.iter().map(|(name, weight)| ((*name).to_owned(), *weight)).collect()
}

#[track_caller]
fn is_unsafe(result: Result<Value, Error>, words: &str) {
    match result.expect_err("refused") {
        Error::Unsafe(why) => assert!(why.contains(words), "{why}"),
        other => panic!("{other}"),
    }
}

#[track_caller]
fn nothing_failed(account: &Account) {
    let traffic = account.simulator().traffic();
    assert_eq!(traffic.failed, 0, "{traffic:?}");
    assert!(traffic.served > 0, "{traffic:?}");
}

#[test]
fn green_is_attached_shifted_to_and_taken_out_again_without_losing_a_request() {
    let account = Account::new();
    let service = Service::live(&account);
    let before = account.observe();

    let mut run = account.run();
    assert_eq!(service.active(&mut run), "blue");
    assert_eq!(run.ok("attach_target_group", service.attach())["change"], "updated");
    assert_eq!(run.ok("attach_target_group", service.attach())["change"], "unchanged");
    assert_eq!(service.weights(&mut run), owned(&[("blue", 100), ("green", 0)]));
    service.fleet(&mut run, &service.green, "ami-healthy-2");
    run.ok("wait_healthy", service.wait());
    let steps = json!([{ "weight": 10, "hold": "2m" }, { "weight": 50, "hold": "2m" }, { "weight": 100 }]);
    assert_eq!(run.ok("shift_traffic", service.shift(&steps))["change"], "updated");
    assert_eq!(service.active(&mut run), "green");
    assert_eq!(run.ok("shift_traffic", service.shift(&steps))["change"], "unchanged", "again is nothing");
    let mut told: Vec<u32> = run
        .events()
        .into_iter()
        .filter_map(|event| match event {
            Event::Weights { weights, .. } => {
                weights.iter().find(|one| one.target_group.ends_with("green")).map(|one| one.weight)
            }
            _ => None,
        })
        .collect();
    // Each shift tells what is there at first, too.
    told.dedup();
    assert_eq!(told, [0, 10, 50, 100]);
    nothing_failed(&account);

    let report = run.roll_back();
    assert!(report.is_clean(), "{report:?}");
    let undone: Vec<String> = run
        .events()
        .into_iter()
        .filter_map(|event| match event {
            Event::UndoFinished { undo, .. } => Some(undo),
            _ => None,
        })
        .collect();
    assert!(undone[0].starts_with("move traffic"), "{undone:?}");
    assert_eq!(undone.iter().filter(|undo| undo.starts_with("move traffic")).count(), 1, "one for all steps");
    crate::contract::assert_same(&account.observe(), &before, "rolled back");
    nothing_failed(&account);
}

#[test]
fn weight_does_not_go_to_a_group_that_is_not_healthy_enough() {
    let account = Account::new();
    let service = Service::live(&account);
    let mut run = account.run();
    let all = json!([{ "weight": 100 }]);
    is_unsafe(run.op("shift_traffic", service.shift(&all)), "is not on");
    run.ok("attach_target_group", service.attach());
    is_unsafe(run.op("shift_traffic", service.shift(&all)), "no targets; 2 healthy needed");
    service.fleet(&mut run, &service.green, "ami-healthy-2");
    run.ok("wait_healthy", service.wait());
    let mut more = service.shift(&all);
    more["min_healthy"] = json!(3);
    is_unsafe(run.op("shift_traffic", more), "2 healthy; 3 healthy needed");
    run.ok(
        "swap_listener",
        json!({ "routes": [{ "route": service.route, "from": service.blue, "to": service.green }] }),
    );
    assert_eq!(service.active(&mut run), "green");
    nothing_failed(&account);
}

#[test]
fn a_version_that_breaks_during_a_hold_ends_the_shift_and_traffic_goes_back() {
    let account = Account::new();
    let service = Service::live(&account);
    let mut run = account.run();
    run.ok("attach_target_group", service.attach());
    // Answers with errors after three minutes.
    service.fleet(&mut run, &service.green, "ami-crashing-1");
    let mut wait = service.wait();
    wait["dwell"] = json!("10s");
    run.ok("wait_healthy", wait);
    let steps = json!([{ "weight": 10, "hold": "10m" }, { "weight": 100 }]);
    is_unsafe(run.op("shift_traffic", service.shift(&steps)), "unhealthy");
    assert!(run.roll_back().is_clean());
    let mut after = account.run();
    assert_eq!(service.weights(&mut after), owned(&[("blue", 100)]));
}

#[test]
fn a_fleet_that_never_gets_healthy_is_given_up_in_the_words_of_auto_scaling() {
    let account = Account::new();
    let service = Service::live(&account);
    let mut run = account.run();
    run.ok("attach_target_group", service.attach());
    service.fleet(&mut run, &service.green, "ami-never-healthy-1");
    match run.op("wait_healthy", service.wait()).expect_err("given up") {
        Error::Hopeless { reason, .. } => assert!(reason.contains("terminated"), "{reason}"),
        Error::TimedOut { seen, .. } => assert!(seen.contains("unhealthy"), "{seen}"),
        other => panic!("{other}"),
    }
    nothing_failed(&account);
}

#[test]
fn a_group_that_nothing_refers_to_is_not_waited_for() {
    let account = Account::new();
    let service = Service::live(&account);
    let mut run = account.run();
    service.fleet(&mut run, &service.green, "ami-healthy-2");
    match run.op("wait_healthy", service.wait()).expect_err("given up") {
        Error::Hopeless { reason, .. } => assert!(reason.contains("attach_target_group"), "{reason}"),
        other => panic!("{other}"),
    }
}

#[test]
fn a_shift_goes_on_from_where_it_is() {
    let account = Account::new();
    let service = Service::live(&account);
    let mut run = account.run();
    service.make_green_ready(&mut run);
    run.ok("shift_traffic", service.shift(&json!([{ "weight": 50 }])));
    assert_eq!(service.active(&mut run), "mixed");
    let mut next = account.run();
    let steps = json!([{ "weight": 10, "hold": "1h" }, { "weight": 50, "hold": "1h" }, { "weight": 100 }]);
    let started = next.run.clock().now();
    next.ok("shift_traffic", service.shift(&steps));
    assert!(next.run.clock().now().duration_since(started).as_secs() < 60, "what is behind is not done again");
    assert_eq!(service.active(&mut next), "green");
}

#[test]
fn weights_that_somebody_else_changed_are_not_overwritten() {
    let account = Account::new();
    let service = Service::live(&account);
    let mut run = account.run();
    service.make_green_ready(&mut run);
    run.ok("shift_traffic", service.shift(&json!([{ "weight": 50 }])));
    let mut other = account.run();
    other.ok("ensure_listener", service.set(7, 3));
    let report = run.roll_back();
    let left: Vec<&str> = report.left.iter().map(|(what, _)| what.split(' ').next().unwrap_or_default()).collect();
    assert_eq!(left, ["move", "delete", "delete", "take"], "what has traffic stays, with all it needs: {report:?}");
    assert_eq!(service.weights(&mut account.run()), owned(&[("blue", 7), ("green", 3)]));
}

#[test]
fn weights_that_a_stale_read_shows_are_nobody_elses() {
    let account = Account::new();
    let service = Service::live(&account);
    let mut run = account.run();
    service.make_green_ready(&mut run);
    let every_other =
        (2..40).step_by(2).map(|call| format!("elasticloadbalancing:DescribeListeners#{call}=stale-read"));
    account.simulator().ask_for(every_other.map(|fault| fault.parse().expect("a fault")));
    let steps = json!([{ "weight": 10, "hold": "5m" }, { "weight": 100 }]);
    run.ok("shift_traffic", service.shift(&steps));
    assert_eq!(service.active(&mut account.run()), "green");
}

#[test]
fn a_group_that_somebody_else_gave_traffic_is_not_taken_out() {
    let account = Account::new();
    let service = Service::live(&account);
    let mut run = account.run();
    run.ok("attach_target_group", service.attach());
    account.run().ok("ensure_listener", service.set(9, 1));
    let report = run.roll_back();
    assert!(report.left.iter().any(|(what, why)| what.starts_with("take") && why.contains("weight 1")), "{report:?}");
    assert_eq!(service.weights(&mut account.run()), owned(&[("blue", 9), ("green", 1)]));
}

#[test]
fn a_first_deploy_turns_a_fixed_response_into_a_forward_and_back() {
    let account = Account::new();
    let mut run = account.run();
    let network = network(&mut run);
    let balancer = balancer(&mut run, &network);
    let (blue, green) = (group(&mut run, &network, "blue"), group(&mut run, &network, "green"));
    let sorry = json!({ "fixed_response": { "status_code": 503, "message_body": "not yet" } });
    let route = listener(&mut run, &balancer, &sorry);
    let service = Service { network, route, blue, green };
    let before = account.observe();

    let mut run = account.run();
    assert_eq!(service.active(&mut run), "none");
    let mut attach = service.attach();
    is_unsafe(run.op("attach_target_group", attach.clone()), "replace_action");
    attach["replace_action"] = json!(true);
    run.ok("attach_target_group", attach);
    assert_eq!(service.active(&mut run), "none");
    service.fleet(&mut run, &service.green, "ami-healthy-1");
    run.ok("wait_healthy", service.wait());
    run.ok("swap_listener", json!({ "routes": [{ "route": service.route, "from": null, "to": service.green }] }));
    assert_eq!(service.active(&mut run), "green");

    assert!(run.roll_back().is_clean());
    crate::contract::assert_same(&account.observe(), &before, "rolled back");
    assert_eq!(account.simulator().traffic().failed, 0, "nobody was promised anything");
}

#[test]
fn routes_move_as_one() {
    let account = Account::new();
    let service = Service::live(&account);
    let mut run = account.run();
    let rule = run.ok(
        "ensure_listener_rule",
        json!({
            "name": "api", "listener": service.route, "conditions": [{ "path_pattern": ["/api/*"] }],
            "action": forward(&[(&service.blue, 100)]),
        }),
    );
    let each = |options: Value| {
        let on = |route: &Value| {
            let mut options = options.clone();
            options["route"] = route.clone();
            options
        };
        json!([on(&service.route), on(&rule)])
    };
    run.ok("attach_target_group", json!({ "routes": each(json!({ "target_group": service.green })) }));
    service.fleet(&mut run, &service.green, "ami-healthy-2");
    run.ok("wait_healthy", service.wait());
    let routes = each(json!({ "from": service.blue, "to": service.green }));
    let calls = run.depth();
    let moved = run.ok("shift_traffic", json!({ "routes": routes }));
    // Read; guard; set; read back, twice; all routes together.
    assert!(run.depth() - calls <= 6, "{}", run.depth() - calls);
    let active: Vec<&Value> = moved["traffic"].as_array().expect("routes").iter().map(|one| &one["active"]).collect();
    assert_eq!(active, ["shop-prod-green", "shop-prod-green"]);
}

#[test]
fn steps_must_rise_and_routes_be_given() {
    let account = Account::new();
    let route = "arn:aws:elasticloadbalancing:eu-central-1:1:listener/app/web/1/2";
    let refused = |operation: &str, options| match account.run().op(operation, options).expect_err("refused") {
        Error::Option { path, .. } => path,
        other => panic!("{other}"),
    };
    let routes = json!([{ "route": route, "from": "blue", "to": "green" }]);
    let steps = json!([{ "weight": 50 }, { "weight": 10 }]);
    assert_eq!(refused("shift_traffic", json!({ "routes": routes, "steps": steps })), "steps[1].weight");
    assert_eq!(refused("shift_traffic", json!({ "routes": [] })), "routes");
    let same = json!([{ "route": route, "from": "blue", "to": "blue" }]);
    assert_eq!(refused("swap_listener", json!({ "routes": same })), "routes[0].to");
    assert_eq!(refused("traffic", json!({ "route": "web" })), "route");
    assert_eq!(refused("wait_healthy", json!({})), "");
}

/// Somebody has taken the old fleet away since: those who have the traffic keep it.
#[test]
fn traffic_does_not_go_back_to_a_group_without_targets() {
    let account = Account::new();
    let service = Service::live(&account);
    let mut green = account.run();
    service.make_green_ready(&mut green);
    let mut shifts = account.run();
    shifts.ok("shift_traffic", service.shift(&json!([{ "weight": 100 }])));
    let mut other = account.run();
    other.ok("retire_asg", json!({ "auto_scaling_group": "shop-prod-blue", "to": "delete" }));

    let report = shifts.roll_back();
    let why = report.left.iter().map(|(_, why)| why.as_str()).collect::<Vec<_>>().join("; ");
    assert!(why.contains("shop-prod-blue: no targets") && why.contains("it stays there"), "{why}");
    assert_eq!(service.weights(&mut account.run()), owned(&[("blue", 0), ("green", 100)]));
    nothing_failed(&account);
}
