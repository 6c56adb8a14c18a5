//! The reference systems as projects of their own: from an empty account, again, with a new version, with a bad one, and removed.

use std::path::Path;

use runner::sim::{Simulator, Source};
use serde_json::Value;

use crate::project::{Project, Ran};

/// A project made from a template, and the world it runs in.
struct System {
    project: Project,
}

impl System {
    fn new(template: &str) -> Self {
        let project = Project::new();
        let made = project.runner(&["init", "--template", template, "."]);
        assert_eq!(made.code, Some(0), "{made}");
        Self { project }
    }

    fn run(&self, args: &[&str]) -> Ran {
        self.project.runner(&[&["run", "--sim", "--no-input"], args].concat())
    }

    #[track_caller]
    fn done(&self, args: &[&str]) -> Ran {
        let ran = self.run(args);
        assert_eq!(ran.code, Some(0), "{args:?}: {ran}");
        assert!(ran.stdout.contains(" 0 failed") || ran.stderr.contains(" 0 failed"), "{ran}");
        ran
    }

    /// Takes all of it away. Who still asks for it gets no answer any more.
    #[track_caller]
    fn removed(&self, args: &[&str]) -> Ran {
        let ran = self.run(args);
        assert_eq!(ran.code, Some(0), "{args:?}: {ran}");
        ran
    }

    #[track_caller]
    fn unchanged(&self, args: &[&str]) {
        let ran = self.done(args);
        assert!(format!("{ran}").contains("nothing to change"), "{ran}");
    }

    /// A version that is not well: taken back, and nobody's request is lost.
    #[track_caller]
    fn taken_back(&self, args: &[&str]) {
        let ran = self.goes_back(args);
        assert!(format!("{ran}").contains(" 0 failed"), "{ran}");
    }

    /// The same of a version that begins to fail when it has users.
    #[track_caller]
    fn goes_back(&self, args: &[&str]) -> Ran {
        let before = self.observe();
        let ran = self.run(args);
        assert_eq!(ran.code, Some(10), "{args:?}: {ran}");
        crate::same::assert_same(&self.observe(), &before, "taken back");
        ran
    }

    /// The account as it is once everything has settled.
    fn observe(&self) -> Value {
        let folder = Source::Dir(self.project.path().join(".runner/sim"));
        let world = Simulator::open(folder, 1).expect("a readable world");
        world.advance(world.clock() + std::time::Duration::from_secs(2 * 3600));
        world.observe()
    }

    /// Its policy lets nobody delete the zone.
    #[track_caller]
    fn has_only_its_zone(&self, stack: &str) {
        let look = r#"
        stack("STACK");
        let left = list_stack().resources.map(|one| one.kind);
        if left != ["hosted zone"] { fail(`${left} is left`); }
        "#;
        self.script("prod", &look.replace("STACK", stack));
    }

    /// Of all that a stack has, one security group lets everybody in, on one port: that of the load balancer.
    #[track_caller]
    fn is_open_on(&self, environment: &str, stack: &str, port: &str) {
        let look = r#"
        let ours = [#{ Name: "tag:runner:stack", Value: ["STACK"] }];
        let groups = aws_call("ec2", "DescribeSecurityGroups", #{ input: #{ Filter: ours } }).reply.securityGroupInfo;
        let open = [];
        for group in groups {
            for rule in group.ipPermissions {
                if "ipRanges" in rule || "ipv6Ranges" in rule { open.push(`${group.groupName} ${rule.fromPort}-${rule.toPort}`); }
            }
        }
        if groups.len() < 2 || open.len() != 1 || !open[0].ends_with("-lb PORT-PORT") { fail(`open: ${open}`); }
        "#;
        self.script(environment, &look.replace("STACK", stack).replace("PORT", port));
    }

    /// What a script says of the account.
    #[track_caller]
    fn script(&self, environment: &str, body: &str) -> Ran {
        let path = self.project.path().join("look.rhai");
        std::fs::write(&path, format!("environment(\"{environment}\");\n{body}")).expect("it takes files");
        let ran = self.run(&["look.rhai"]);
        assert_eq!(ran.code, Some(0), "{body}: {ran}");
        ran
    }
}

const IMAGE: &str = "image=public.ecr.aws/nginx/nginx-unprivileged:";

fn image(tag: &str) -> String {
    format!("{IMAGE}{tag}")
}

#[test]
fn every_template_passes_at_once() {
    for (template, runbook) in [
        ("service", "deploy.rhai"),
        ("hello-web", "staging.rhai"),
        ("time-service", "deploy.rhai"),
        ("shopping-cart", "test-eu.rhai"),
        ("branch-stack", "up.rhai"),
    ] {
        let system = System::new(template);
        for args in [&["check"][..], &["plan", "--offline", runbook]] {
            let ran = system.project.runner(args);
            assert_eq!(ran.code, Some(0), "{template}: {args:?}: {ran}");
        }
        system.done(&[runbook]);
        system.unchanged(&[runbook]);
    }
}

/// Lists of AWS still show what a rollback has deleted a moment ago.
#[test]
fn a_run_right_after_a_rollback_begins_anew() {
    let system = System::new("service");
    let refused = "elasticloadbalancing:CreateLoadBalancer#1=denied";
    let failed = system.run(&["deploy.rhai", "--seed", "3", "--sim-fault", refused]);
    assert_ne!(failed.code, Some(0), "{failed}");
    system.done(&["deploy.rhai", "--seed", "3"]);
}

#[test]
fn a_service_is_removed_but_for_its_zone() {
    let system = System::new("service");
    system.done(&["deploy.rhai"]);
    system.removed(&["remove.rhai"]);
    system.has_only_its_zone("app");
    system.unchanged(&["remove.rhai"]);
}

/// What cannot be changed in place is refused before anything that the live version needs is touched.
#[test]
fn another_port_is_refused_with_nothing_touched() {
    let system = System::new("service");
    system.done(&["deploy.rhai"]);
    let path = system.project.path().join("deploy.rhai");
    let script = std::fs::read_to_string(&path).expect("the runbook");
    std::fs::write(&path, script.replace("8080", "9090")).expect("it takes files");
    let refused = system.run(&["deploy.rhai"]);
    assert_eq!(refused.code, Some(1), "{refused}");
    assert!(!format!("{refused}").contains("SecurityGroupIngress"), "{refused}");
}

#[test]
fn nothing_is_written_over() {
    let system = System::new("service");
    let again = system.project.runner(&["init", "."]);
    assert_eq!(again.code, Some(3), "{again}");
    assert!(again.stderr.contains("is there already; nothing was written"), "{again}");
}

#[test]
fn hello_web() {
    let system = System::new("hello-web");
    let empty = system.observe();
    system.done(&["staging.rhai"]);
    // HTTPS answers, plain HTTP is closed.
    system.script(
        "staging",
        r#"
        stack("look");
        let lb = find_load_balancer("hello-staging-web");
        http_check(#{ url: `http://${lb.dns_name}/`, closed: true, timeout: "2s" });
        "#,
    );
    system.is_open_on("staging", "hello-staging", "443");
    system.done(&["staging.rhai", "--param", &image("healthy-2")]);
    system.unchanged(&["staging.rhai", "--param", &image("healthy-2")]);
    system.taken_back(&["staging.rhai", "--param", &image("never-healthy-3")]);
    system.goes_back(&["staging.rhai", "--param", &image("crashing-4")]);
    // Production waits for somebody to say yes, and changes nothing before.
    let before = system.observe();
    let asks = system.run(&["production.rhai", "--param", &image("healthy-2")]);
    assert_eq!(asks.code, Some(8), "{asks}");
    crate::same::assert_same(&system.observe(), &before, "nobody has said yes");
    system.removed(&["remove.rhai", "--env", "staging"]);
    crate::same::assert_same(&system.observe(), &empty, "removed");
    system.unchanged(&["remove.rhai", "--env", "staging"]);
}

#[test]
fn hello_web_from_a_repository() {
    let system = System::new("hello-web");
    system.done(&["images.rhai"]);
    let pushed = system.done(&["images.rhai", "--param", "version=1.4.2"]);
    assert!(pushed.stdout.contains("/hello-shared-web@sha256:"), "{pushed}");
    system.done(&["staging.rhai", "--param", "image=1.4.2"]);
    let missing = system.run(&["staging.rhai", "--param", "image=missing-1"]);
    assert!(missing.stderr.contains("missing-1"), "{missing}");
    assert_ne!(missing.code, Some(0));
}

#[test]
fn time_service() {
    let system = System::new("time-service");
    system.done(&["deploy.rhai"]);
    system.done(&["health.rhai"]);
    system.unchanged(&["deploy.rhai"]);
    system.is_open_on("prod", "time-prod", "80");
    // One that turns unhealthy is drained and replaced, and no request is lost.
    let replaced = system.script(
        "prod",
        r#"
        stack("time");
        let before = find_asg("time-blue").instance_ids;
        aws_call("autoscaling", "SetInstanceHealth", #{
            input: #{ InstanceId: before[0], HealthStatus: "Unhealthy" }, irreversible: true,
        });
        sleep("10m");
        let after = find_asg("time-blue").instance_ids;
        if after.len() != before.len() || after.contains(before[0]) { fail(`${before} → ${after}`); }
        "#,
    );
    assert!(format!("{replaced}").contains(" 0 failed"), "{replaced}");
    system.done(&["deploy.rhai", "--param", "version=2"]);
    system.taken_back(&["deploy.rhai", "--param", "image=ami-never-healthy-1"]);
    system.removed(&["remove.rhai"]);
    system.has_only_its_zone("time");
}

#[test]
fn shopping_cart() {
    let system = System::new("shopping-cart");
    let empty = system.observe();
    system.done(&["test-eu.rhai"]);
    system.unchanged(&["test-eu.rhai"]);
    system.done(&["test-eu.rhai", "--param", &image("healthy-2")]);
    system.taken_back(&["test-eu.rhai", "--param", &image("exits-1")]);
    system.is_open_on("test-eu", "cart-test-eu", "80");
    // Another region has a state and a lock of its own.
    let before = system.observe();
    let asks = system.run(&["prod-us.rhai", "--param", &image("healthy-2")]);
    assert_eq!(asks.code, Some(8), "{asks}");
    system.unchanged(&["test-eu.rhai", "--param", &image("healthy-2")]);
    crate::same::assert_same(&system.observe(), &before, "nobody has said yes");
    system.removed(&["remove.rhai", "--env", "test-eu"]);
    crate::same::assert_same(&system.observe(), &empty, "removed");
}

#[test]
fn branch_stack() {
    let system = System::new("branch-stack");
    let empty = system.observe();
    system.done(&["up.rhai", "--param", "branch=main"]);
    system.is_open_on("branches", "b-main-branches", "443");
    let one = system.observe();
    system.done(&["up.rhai", "--param", "branch=Feature/A"]);
    system.taken_back(&["up.rhai", "--param", "branch=main", "--param", &image("never-healthy-2")]);
    let swept = system.removed(&["sweep.rhai", "--param", "branches=[\"main\"]"]);
    assert!(format!("{swept}").contains("b-feature-a"), "{swept}");
    crate::same::assert_same(&system.observe(), &one, "the other branch is gone, and this one as it was");
    system.removed(&["down.rhai", "--param", "branch=main"]);
    crate::same::assert_same(&system.observe(), &empty, "both are gone");
}

/// The shop of the shipped runbooks, and the tasks around it.
#[test]
fn tasks_around_a_service() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/runbooks/tasks");
    let mut project = Project::new()
        .file("runner.toml", include_str!("../../runner.toml"))
        .file("runbooks/prod-deploy.rhai", include_str!("../../runbooks/prod-deploy.rhai"));
    for entry in std::fs::read_dir(folder).expect("the folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().and_then(|name| name.to_str()).expect("UTF-8").to_owned();
        project = project.file(&format!("tasks/{name}"), &std::fs::read_to_string(&path).expect("text"));
    }
    let system = System { project };
    let task = |name: &'static str, more: &[&str]| {
        system.run(&[&[name, "--config", "tasks/runner.toml", "--world", ".runner/sim"], more].concat())
    };
    system.done(&["runbooks/prod-deploy.rhai", "--param", "image=ami-healthy-1"]);
    let rotated = task("tasks/rotate-image.rhai", &[]);
    assert_eq!(rotated.code, Some(0), "{rotated}");
    assert!(format!("{rotated}").contains(" 0 failed"), "{rotated}");
    assert!(format!("{}", task("tasks/rotate-image.rhai", &[])).contains("nothing to change"));
    let before = system.observe();
    let bad = task("tasks/rotate-image.rhai", &["--param", "image=ami-never-healthy-1"]);
    assert_eq!(bad.code, Some(10), "{bad}");
    crate::same::assert_same(&system.observe(), &before, "taken back");
    for page in ["open", "open", "closed"] {
        let ran = task("tasks/maintenance.rhai", &["--param", &format!("page={page}")]);
        assert_eq!(ran.code, Some(0), "{ran}");
    }
    let primary = "primary=shop-prod-web-1.eu-central-1.elb.amazonaws.com";
    for (share, changes) in [("share=10", true), ("share=100", true), ("share=100", false), ("share=0", true)] {
        let moved =
            task("tasks/second-region.rhai", &["--param", "image=ami-healthy-1", "--param", primary, "--param", share]);
        assert_eq!(moved.code, Some(0), "{share}: {moved}");
        assert_eq!(!format!("{moved}").contains("nothing to change"), changes, "{share}: {moved}");
    }
}

/// The folders are what a team would take over: each has a page.
#[test]
fn every_system_has_a_page() {
    let all = Path::new(env!("CARGO_MANIFEST_DIR")).join("runbooks").read_dir().expect("the runbooks");
    let mut folders: Vec<String> = all
        .filter_map(|entry| entry.ok().filter(|entry| entry.path().is_dir()))
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| !name.starts_with('.'))
        .collect();
    folders.sort();
    // A new one is to be tried above.
    assert_eq!(folders, ["branch-stack", "hello-web", "service", "shopping-cart", "tasks", "time-service"]);
    for folder in folders {
        assert!(
            Path::new(env!("CARGO_MANIFEST_DIR")).join("runbooks").join(&folder).join("README.md").exists(),
            "{folder}"
        );
    }
}
