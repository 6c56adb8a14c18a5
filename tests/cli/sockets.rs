//! Deploys with nothing simulated on the way of a request: `runner sim` says what is where, the instances are real HTTP
//! servers, a reverse proxy follows weights and health as a load balancer does, and users send requests all the while.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    process::{Child, ChildStdout},
    thread,
    time::Duration,
};

use crate::{
    control_plane::ControlPlane,
    instances::Instances,
    load::{Figures, Load},
    project::{Project, Ran},
    reverse_proxy::ReverseProxy,
};

/// Waits that are minutes in production are seconds here: the runs are on the clock on the wall.
const SETTINGS: &str = r#"
[environments.prod]
region = "eu-central-1"

[environments.prod.vars]
cidr_block = "10.20.0.0/16"
availability_zones = 2
nat_gateways = "none"
hosted_zone = "example.com"
record_name = "shop.example.com"
instance_type = "t3.small"
min_size = 2
max_size = 4
steps = [{ weight = 10, hold = "2s" }, { weight = 50, hold = "2s" }]
bake_time = "3s"
"#;

/// The shipped runbook, less patient.
fn runbook() -> String {
    let shipped = include_str!("../../runbooks/prod-deploy.rhai");
    let quick = shipped
        .replace("bake_time: env.vars.bake_time,", "bake_time: env.vars.bake_time, dwell: \"1s\", timeout: \"20s\",");
    assert_ne!(quick, shipped, "the runbook has another form now");
    quick
}

/// Takes the old fleet away at once, and moves the traffic after that.
const WRONG: &str = r#"
import "stdlib/network" as network;
import "stdlib/service" as service;

let env = environment("prod");
stack("shop");
let image = param("image");
let net = network::ensure(#{ cidr_block: env.vars.cidr_block, availability_zones: 2, nat_gateways: "none" });
let shop = service::ensure(#{
    name: "web", network: net, port: 8080, health_check: #{ path: "/healthz", interval: "10s" },
    hosted_zone: env.vars.hosted_zone, record_name: env.vars.record_name,
    policy: #{ Version: "2012-10-17", Statement: [#{ Effect: "Allow", Action: ["ssm:GetParameter"], Resource: "*" }] },
});
let next = if shop.live == "blue" { "green" } else { "blue" };
let to = shop.colours[next];
let fleet = launch_asg(#{
    name: to.name, target_groups: [to.target_group], subnets: net.private_subnets, min_size: 2, max_size: 4,
    launch_template: ensure_launch_template(#{
        name: to.name, image_id: image, instance_type: "t3.small",
        security_groups: [to.security_group], instance_profile: to.instance_profile,
    }),
});
ensure_listener(#{
    load_balancer: shop.load_balancer, port: 443, protocol: "HTTPS", weights: "set",
    certificates: [find_certificate(env.vars.record_name)],
    default_action: #{ forward: #{ target_groups: [#{ target_group: to.target_group, weight: 100 }] } },
});
sleep("3s");
"#;

/// The simulated AWS as a server, gone with the value.
struct Served {
    server: Child,
    url: String,
    _stdout: BufReader<ChildStdout>,
}

impl Served {
    /// Faster than the clock on the wall, but no faster than a slow request needs: the stdlib drains for 60 s.
    fn start(project: &Project) -> Self {
        let mut server = project.start(&["sim", "--listen", "127.0.0.1:0", "--speed", "20"]);
        let mut stdout = BufReader::new(server.stdout.take().expect("stdout is a pipe"));
        let mut url = String::new();
        stdout.read_line(&mut url).expect("it says where it listens");
        Self { server, url: url.trim().to_owned(), _stdout: stdout }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

fn deploy(project: &Project, served: &Served, runbook: &str, image: &str) -> Ran {
    let image = format!("image={image}");
    let args = ["run", runbook, "--endpoint-url", &served.url, "--param", &image, "--no-input", "-q"];
    project.runner_in(&args, &[("AWS_ACCESS_KEY_ID", "123456789012"), ("AWS_SECRET_ACCESS_KEY", "any")])
}

#[test]
fn no_request_fails_on_real_sockets() {
    let project = Project::new()
        .file("runner.toml", SETTINGS)
        .file("runbooks/deploy.rhai", &runbook())
        .file("runbooks/wrong.rhai", WRONG);
    let served = Served::start(&project);
    let plane = ControlPlane::at(&served.url, "eu-central-1");
    let instances = Instances::start(plane.clone());
    let first = deploy(&project, &served, "runbooks/deploy.rhai", "ami-healthy-1");
    assert_eq!(first.code, Some(0), "{first}");

    let proxy = ReverseProxy::start(plane, 443, instances.machines.clone());
    let under_load = |runbook: &str, image: &str| -> (Ran, Figures) {
        let load = Load::start(proxy.address);
        let ran = deploy(&project, &served, runbook, image);
        let figures = load.stop();
        println!("{runbook} {image}: exit code {:?}\n{figures}", ran.code);
        (ran, figures)
    };
    let (deployed, figures) = under_load("runbooks/deploy.rhai", "ami-healthy-2");
    assert_eq!((deployed.code, figures.failed()), (Some(0), 0), "{deployed}\n{figures}");
    let (rolled_back, figures) = under_load("runbooks/deploy.rhai", "ami-never-healthy");
    assert_eq!((rolled_back.code, figures.failed()), (Some(10), 0), "{rolled_back}\n{figures}");
    // A load that nothing can fail would prove nothing.
    let (wrong, figures) = under_load("runbooks/wrong.rhai", "ami-never-healthy");
    assert!(figures.failed() > 0, "{wrong}\n{figures}");
}

/// What is shown of the served world is of the moment in which it is asked for.
#[test]
fn the_time_that_is_shown_moves() {
    let project = Project::new();
    let served = Served::start(&project);
    let now = || {
        let address = served.url.trim_start_matches("http://");
        let mut stream = TcpStream::connect(address).expect("it listens");
        write!(stream, "GET /_runner/world HTTP/1.1\r\nHost: sim\r\nConnection: close\r\n\r\n")
            .expect("it takes requests");
        let mut reply = String::new();
        stream.read_to_string(&mut reply).expect("it answers");
        let body = reply.split("\r\n\r\n").nth(1).expect("a body");
        let world: serde_json::Value = serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {reply}"));
        world["time"].as_str().and_then(|now| now.parse::<jiff::Timestamp>().ok()).expect("a time")
    };
    let first = now();
    thread::sleep(Duration::from_millis(100));
    let passed = now().duration_since(first).as_secs_f64();
    assert!(passed >= 2.0, "twenty times as fast as the clock on the wall, {passed} s have passed");
}
