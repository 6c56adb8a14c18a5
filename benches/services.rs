//! Many services in one run, and many branches that wait.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use runner::event::Event;
use serde_json::{Value, json};

use crate::{
    account::{Account, Ran},
    process::peak_memory,
};

/// Says that this process is to deploy as many services as the next argument says.
pub const CHILD: &str = "child-with-services";

/// Each a target group, a launch template and a fleet that is waited for.
const SERVICES: &str = r#"
    environment("prod");
    stack("shop");
    let vpc = ensure_vpc(#{ name: "main", cidr_block: "10.0.0.0/16" });
    let subnets = ensure_subnets(#{ vpc_id: vpc, tier: "private", availability_zones: 3, prefix_length: 20 });
    let numbers = [];
    for i in 0..COUNT { numbers.push(i); }
    parallel(numbers.map(|i| || {
        let group = ensure_target_group(#{ name: `s${i}`, vpc_id: vpc, port: 8080 });
        let template = ensure_launch_template(#{ name: `s${i}`, image_id: "ami-healthy-1", instance_type: "t3.small" });
        let fleet = launch_asg(#{
            name: `s${i}`, launch_template: template, subnets: subnets, target_groups: [group], min_size: 1, max_size: 1,
        });
        scale_asg(#{ auto_scaling_group: fleet, desired_capacity: 1, wait_timeout: "30m" });
    }));
"#;

fn deploy(count: usize) -> Ran {
    let ran = Account::prompt().script(&SERVICES.replace("COUNT", &count.to_string()), json!({}));
    assert_eq!(ran.failure, None);
    ran
}

/// Each count in a process of its own, so that its memory can be told.
pub fn measure() {
    println!(
        "| services | calls | looks of waits besides | deep | virtual time | on the wall | peak memory |\n|---|---|---|---|---|---|---|"
    );
    for count in [1, 10, 100, 1_000] {
        let this = std::env::current_exe().expect("this program");
        let output = Command::new(this).args([CHILD, &count.to_string()]).output().expect("it starts again");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let of: Value = serde_json::from_slice(&output.stdout).expect("what `child` prints");
        println!(
            "| {count} | {} | {} | {} | {} s | {:.1} s | {} MB |",
            of["calls"],
            of["looks"],
            of["depth"],
            of["virtual"],
            of["wall"].as_f64().unwrap_or_default(),
            of["memory"]
        );
    }
}

pub fn child(count: usize) {
    let started = Instant::now();
    let ran = deploy(count);
    let effort = ran.effort();
    let figures = json!({
        "calls": effort.calls,
        "depth": effort.depth,
        "looks": ran.looks(),
        "virtual": took(&ran).as_secs(),
        "wall": started.elapsed().as_secs_f64(),
        "memory": peak_memory("self").unwrap_or_default() / 1024,
    });
    println!("{figures}");
}

fn took(ran: &Ran) -> Duration {
    let (first, last) = (ran.events.first().expect("events"), ran.events.last().expect("events"));
    last.at.duration_since(first.at).unsigned_abs()
}

/// Branches that wait for fleets of their own at the same time.
pub fn waiting() {
    println!("| branches that wait | virtual time of the waits | looks |\n|---|---|---|");
    for count in [1, 8, 64] {
        let ran = deploy(count);
        let waits = ran.events.iter().filter_map(|stamped| match &stamped.event {
            Event::Waited { elapsed, .. } => Some(*elapsed),
            _ => None,
        });
        println!("| {count} | {} s | {} |", waits.max().unwrap_or_default().as_secs(), ran.looks());
    }
}
