//! Made-up runs that show everything the views can show. For their tests.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    event::{Change, Event, Field, Outcome, Stamped, Summary, Traffic, UndoOutcome, Weight},
    policy::{Check, Level},
};

/// A stream that keeps what is written. Clones share it.
#[derive(Clone, Default)]
pub struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Buffer {
    pub fn text(&self) -> String {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8(bytes.clone()).expect("reports write UTF-8")
    }
}

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The first deploy into an empty account.
pub fn deploy_that_works() -> Vec<Stamped> {
    let mut run = Made::new();
    run.head("sim");
    run.stage("network");
    run.operation(
        "1",
        "ensure_vpc",
        "shop-prod",
        Change::Created,
        1.2,
        &[("cidr_block", None, json!("10.20.0.0/16")), ("enable_dns_hostnames", None, json!(true))],
    );
    run.operation("2", "find_subnets", "tier=private", Change::Read, 0.3, &[]);
    run.started("3", "ensure_nat_gateways", "shop-prod, per_az");
    run.waiting("3", "nat gateway nat-1 to be available", "pending", 0.0, 600.0);
    run.waiting("3", "nat gateway nat-1 to be available", "available", 92.0, 600.0);
    run.finished(
        "3",
        "ensure_nat_gateways",
        "shop-prod, per_az",
        Change::Created,
        93.0,
        &[("connectivity_type", None, json!("public"))],
    );
    run.finish_stage("network", 95.0);
    run.stage("service");
    run.operation("4", "ensure_role", "shop-prod-instance", Change::Unchanged, 0.2, &[]);
    run.started("5", "launch_asg", "shop-prod-blue");
    run.finished(
        "5",
        "launch_asg",
        "shop-prod-blue",
        Change::Created,
        74.0,
        &[
            ("min_size", None, json!(3)),
            ("max_size", None, json!(9)),
            ("launch_template", None, json!({ "launch_template_id": "lt-0001", "version": "1" })),
            ("vpc_zone_identifier", None, json!(["subnet-0001", "subnet-0002", "subnet-0003"])),
        ],
    );
    run.push(Event::Log { message: "blue is the first colour".into() });
    run.started("6", "shift_traffic", "shop-prod-https");
    run.weights("6", &[("shop-prod-blue", 100)]);
    run.finished(
        "6",
        "shift_traffic",
        "shop-prod-https",
        Change::Updated,
        2.0,
        &[("weight", Some(json!(0)), json!(100))],
    );
    run.push(Event::Output { name: "url".into(), value: json!("https://shop.example.com") });
    run.push(Event::Output { name: "colour".into(), value: json!("blue") });
    run.end(
        Outcome::Succeeded,
        0,
        None,
        Summary {
            created: 5,
            updated: 1,
            unchanged: 1,
            calls: 1182,
            mutations: 34,
            elapsed: seconds(724.0),
            wall: seconds(0.42),
            traffic: Some(Traffic { served: 36_204, failed: 0, died: 0 }),
            outputs: vec![
                ("url".into(), json!("https://shop.example.com")),
                ("colour".into(), json!("blue")),
                ("subnet_ids".into(), json!(["subnet-0001", "subnet-0002"])),
            ],
            ..stack()
        },
    );
    run.events
}

/// A second deploy whose image never becomes healthy. Everything that can happen happens to it.
pub fn deploy_that_fails() -> Vec<Stamped> {
    let error = "auto scaling group shop-prod-green: not healthy within 5m, last seen: 1 of 3 healthy";
    let mut run = Made::new();
    run.head("aws");
    run.push(Event::Override {
        check: Check::Freeze,
        reason: "the fix for the outage".into(),
        by: "anna@laptop".into(),
    });
    run.push(Event::Warning { message: "the credentials expire in 12m, the run may take 40m".into() });
    run.stage("green");
    run.started("1", "ensure_security_group", "shop-prod-instances");
    run.call("1", "ec2:DescribeSecurityGroups", false, 1, Some("Throttling"));
    run.push(Event::Retrying {
        id: "1".into(),
        call: "ec2:DescribeSecurityGroups".into(),
        reason: "Throttling: Rate exceeded".into(),
        delay: seconds(2.0),
    });
    run.call("1", "ec2:DescribeSecurityGroups", false, 2, None);
    run.call("1", "ec2:AuthorizeSecurityGroupIngress", true, 1, None);
    run.push(Event::UndoArmed {
        id: "1".into(),
        undo: "revoke the ingress rule of sg-0001 on port 8080".into(),
        keep: false,
        impossible: false,
    });
    run.finished(
        "1",
        "ensure_security_group",
        "shop-prod-instances",
        Change::Updated,
        3.4,
        &[
            ("ingress", Some(json!(["443 from 0.0.0.0/0"])), json!(["443 from 0.0.0.0/0", "8080 from sg-0002"])),
            ("description", Some(json!("instances")), json!("instances of the shop service, behind its load balancer")),
            ("tags.team", None, json!("checkout")),
            ("tags.cost_centre", Some(json!("")), json!("4711")),
            ("tags.tier", Some(json!("app")), json!("web")),
            ("tags.data", Some(json!("none")), json!("personal")),
        ],
    );
    run.operation("2", "launch_asg", "shop-prod-green", Change::Created, 31.0, &[("min_size", None, json!(3))]);
    run.policy("2", Check::MaxInstances, Level::Warn, "the groups would have 6 instances, and 5 are the most", None);
    run.policy("2", Check::Freeze, Level::Deny, "nothing may be changed on Friday", Some("the fix for the outage"));
    run.started("3", "shift_traffic", "shop-prod-https");
    run.weights("3", &[("shop-prod-blue", 90), ("shop-prod-green", 10)]);
    run.finished("3", "shift_traffic", "shop-prod-https", Change::Updated, 301.0, &[]);
    run.push(Event::Committed { label: "network ready".into() });
    run.operation("4", "retire_asg", "shop-prod-old", Change::Deleted, 0.8, &[]);
    run.started("5", "wait_healthy", "shop-prod-green");
    run.waiting("5", "3 healthy targets in shop-prod-green", "0 of 3", 0.0, 300.0);
    run.waiting("5", "3 healthy targets in shop-prod-green", "1 of 3", 61.0, 300.0);
    run.push(Event::OperationFailed {
        id: "5".into(),
        operation: "wait_healthy".into(),
        subject: "shop-prod-green".into(),
        error: error.into(),
    });
    run.push(Event::RollbackStarted { reason: error.into(), undos: 4, kept: 1, hooks: 2 });
    run.push(Event::HookFinished { hook: "on_rollback at line 12".into(), error: None });
    run.push(Event::HookFinished {
        hook: "on_rollback at line 31".into(),
        error: Some("variable not found: page".into()),
    });
    run.undone("weights of shop-prod-https back to blue 100, green 0", UndoOutcome::Undone, None);
    run.undone("delete auto scaling group shop-prod-green", UndoOutcome::AlreadyGone, None);
    run.undone("delete nat gateway nat-1", UndoOutcome::Kept, None);
    run.undone(
        "ingress of sg-0001 back to 1 rule",
        UndoOutcome::Foreign,
        Some("it now has port 9090, which this run did not set"),
    );
    run.undone(
        "delete target group shop-prod-green",
        UndoOutcome::Failed,
        Some("ResourceInUse: a listener still points at it\ndelete it by hand once the listener rule is gone"),
    );
    run.end(
        Outcome::RollbackFailed,
        11,
        Some(error),
        Summary {
            created: 1,
            updated: 2,
            deleted: 1,
            calls: 88,
            mutations: 12,
            elapsed: seconds(724.0),
            wall: seconds(724.0),
            ..stack()
        },
    );
    run.events
}

fn stack() -> Summary {
    Summary { stack: Some("shop-prod".into()), environment: Some("prod".into()), ..Summary::default() }
}

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

type Fields<'a> = &'a [(&'a str, Option<Value>, Value)];

struct Made {
    events: Vec<Stamped>,
}

impl Made {
    fn new() -> Self {
        Self { events: Vec::new() }
    }

    fn push(&mut self, event: Event) {
        let seq = self.events.len() as u64 + 1;
        let at = Timestamp::from_second(1_767_225_600 + seq as i64).expect("a time in 2026");
        self.events.push(Stamped { seq, at, event });
    }

    fn policy(&mut self, id: &str, check: Check, level: Level, message: &str, overridden: Option<&str>) {
        self.push(Event::Policy {
            id: Some(id.into()),
            check,
            level,
            message: message.into(),
            rule: format!("environments.prod.policy.{check} in runner.toml"),
            place: Some("runbooks/prod-deploy.rhai:12:5".into()),
            overridden: overridden.map(str::to_owned),
        });
    }

    fn head(&mut self, target: &str) {
        self.push(Event::RunStarted {
            run: "20260101-000000-7f3a".into(),
            runbook: "runbooks/prod-deploy.rhai".into(),
            target: target.into(),
            version: "0.1.0".into(),
        });
        self.push(Event::Environment {
            environment: "prod".into(),
            region: "eu-central-1".into(),
            account: "123456789012".into(),
        });
        self.push(Event::Stack { stack: "shop-prod".into() });
    }

    fn stage(&mut self, stage: &str) {
        self.push(Event::StageStarted { stage: stage.into() });
    }

    fn finish_stage(&mut self, stage: &str, elapsed: f64) {
        self.push(Event::StageFinished { stage: stage.into(), elapsed: seconds(elapsed) });
    }

    fn operation(&mut self, id: &str, operation: &str, subject: &str, change: Change, elapsed: f64, fields: Fields) {
        self.started(id, operation, subject);
        self.finished(id, operation, subject, change, elapsed, fields);
    }

    fn started(&mut self, id: &str, operation: &str, subject: &str) {
        self.push(Event::OperationStarted {
            id: id.into(),
            operation: operation.into(),
            subject: subject.into(),
            stage: None,
            place: None,
        });
    }

    fn finished(&mut self, id: &str, operation: &str, subject: &str, change: Change, elapsed: f64, fields: Fields) {
        let field = |(name, before, after): &(&str, Option<Value>, Value)| Field {
            name: (*name).into(),
            before: before.clone(),
            after: after.clone(),
        };
        self.push(Event::OperationFinished {
            id: id.into(),
            operation: operation.into(),
            subject: subject.into(),
            change,
            fields: fields.iter().map(field).collect(),
            elapsed: seconds(elapsed),
        });
    }

    fn call(&mut self, id: &str, call: &str, mutation: bool, attempt: u32, error: Option<&str>) {
        self.push(Event::Call {
            id: id.into(),
            call: call.into(),
            mutation,
            poll: false,
            attempt,
            error: error.map(Into::into),
            elapsed: seconds(0.12),
        });
    }

    fn waiting(&mut self, id: &str, what: &str, seen: &str, elapsed: f64, timeout: f64) {
        self.push(Event::Waiting {
            id: id.into(),
            what: what.into(),
            seen: seen.into(),
            elapsed: seconds(elapsed),
            timeout: seconds(timeout),
        });
    }

    fn weights(&mut self, id: &str, weights: &[(&str, u32)]) {
        let weight =
            |(target_group, weight): &(&str, u32)| Weight { target_group: (*target_group).into(), weight: *weight };
        let weights = weights.iter().map(weight).collect();
        self.push(Event::Weights { id: id.into(), route: "shop-prod-https".into(), weights });
    }

    fn undone(&mut self, undo: &str, outcome: UndoOutcome, detail: Option<&str>) {
        self.push(Event::UndoFinished { undo: undo.into(), outcome, detail: detail.map(Into::into) });
    }

    fn end(&mut self, outcome: Outcome, exit_code: u8, error: Option<&str>, summary: Summary) {
        self.push(Event::RunFinished { outcome, exit_code, error: error.map(Into::into), summary: Box::new(summary) });
    }
}
