//! On the simulated AWS, through the command line.

use std::path::Path;

use runner::{
    event::{Event, Outcome, Stamped, Summary},
    sim::{Simulator, Source},
};
use serde_json::Value;

use crate::project::{Project, Ran};

/// The shipped runbooks with their settings, in a folder of their own.
fn shop() -> Project {
    Project::new()
        .file("runner.toml", include_str!("../../runner.toml"))
        .file("runbooks/prod-deploy.rhai", include_str!("../../runbooks/prod-deploy.rhai"))
        .file("runbooks/staging-deploy.rhai", include_str!("../../runbooks/staging-deploy.rhai"))
}

fn deploy(project: &Project, runbook: &str, image: &str) -> Deployed {
    let ran = project.runner(&["run", runbook, "--sim", "--json", "--param", &format!("image={image}")]);
    Deployed::new(&ran)
}

/// A run as its events tell it.
struct Deployed {
    code: Option<i32>,
    events: Vec<Event>,
    stderr: String,
}

impl Deployed {
    fn new(ran: &Ran) -> Self {
        let events = ran.stdout.lines().map(|line| {
            let stamped: Stamped = serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"));
            stamped.event
        });
        Self { code: ran.code, events: events.collect(), stderr: ran.stderr.clone() }
    }

    fn end(&self) -> (Outcome, &Summary) {
        match self.events.last() {
            Some(Event::RunFinished { outcome, summary, .. }) => (*outcome, summary),
            other => panic!("the last event is {other:?}\n{}", self.stderr),
        }
    }

    fn output(&self, name: &str) -> Option<&Value> {
        self.end().1.outputs.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    fn mutations(&self) -> usize {
        let mutation = |event: &&Event| matches!(event, Event::Call { mutation: true, error: None, .. });
        self.events.iter().filter(mutation).count()
    }

    fn failed_requests(&self) -> u64 {
        self.end().1.traffic.expect("a simulated run has traffic").failed
    }
}

fn world(project: &Project) -> Value {
    let simulator = Simulator::open(Source::Dir(project.path().join(".runner/sim")), 1).expect("the kept world");
    simulator.advance(simulator.clock() + std::time::Duration::from_secs(2 * 3600));
    simulator.observe()
}

#[test]
fn blue_then_green_then_nothing_then_a_bad_version() {
    let project = shop();
    let prod = "runbooks/prod-deploy.rhai";

    let first = deploy(&project, prod, "ami-healthy-1");
    assert_eq!(first.code, Some(0), "{}", first.stderr);
    assert_eq!(first.output("colour"), Some(&"blue".into()));

    let second = deploy(&project, prod, "ami-healthy-2");
    assert_eq!(second.code, Some(0), "{}", second.stderr);
    assert_eq!(second.output("colour"), Some(&"green".into()));
    assert_eq!(second.failed_requests(), 0);
    assert!(second.end().1.traffic.expect("traffic").served > 10_000, "there was a load meanwhile");

    let again = deploy(&project, prod, "ami-healthy-2");
    assert_eq!(again.code, Some(0), "{}", again.stderr);
    assert_eq!(again.mutations(), 0);
    assert_eq!(again.output("colour"), Some(&"green".into()));

    let before = world(&project);
    let bad = deploy(&project, prod, "ami-never-healthy");
    assert_eq!(bad.code, Some(10), "{}", bad.stderr);
    assert_eq!(bad.end().0, Outcome::RolledBack);
    assert_eq!(bad.failed_requests(), 0);
    assert_eq!(world(&project), before);
}

/// A wait that ends nothing: exit code 9, and nothing was changed.
#[test]
fn a_wait_that_times_out() {
    let wait = "environment(\"prod\");\nwait_healthy(#{ auto_scaling_group: \"shop-prod-web-blue\", target_groups: [], count: 50, timeout: \"2m\" });";
    let project = shop().file("runbooks/wait.rhai", wait);
    assert_eq!(deploy(&project, "runbooks/prod-deploy.rhai", "ami-healthy-1").code, Some(0));
    let ran = project.runner(&["run", "runbooks/wait.rhai", "--sim"]);
    assert_eq!(ran.code, Some(9), "{ran}");
}

#[test]
fn staging_differs_in_settings_only() {
    let project = shop();
    let ran = deploy(&project, "runbooks/staging-deploy.rhai", "ami-healthy-1");
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let lines = |text: &str| text.lines().count();
    let (prod, staging) =
        (include_str!("../../runbooks/prod-deploy.rhai"), include_str!("../../runbooks/staging-deploy.rhai"));
    assert!(lines(prod) < 60 && lines(staging) < 60);
}

#[test]
fn the_same_seed_gives_the_same_events() {
    let project = shop();
    let run = || {
        let arguments = [
            "run",
            "runbooks/prod-deploy.rhai",
            "--sim",
            "--world",
            "fresh",
            "--seed",
            "7",
            "--json",
            "--param",
            "image=ami-slow-1",
        ];
        let ran = project.runner(&arguments);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        // The last event tells the time on the wall.
        let lines: Vec<String> = ran.stdout.lines().map(str::to_owned).collect();
        lines[..lines.len() - 1].join("\n")
    };
    assert_eq!(run(), run());
}

/// Fails the prod runbook after each of its top-level statements, on the second deploy: production is
/// as it was, and nobody noticed.
#[test]
fn failure_at_each_stage_comes_back_clean() {
    let text = include_str!("../../runbooks/prod-deploy.rhai");
    let ends: Vec<usize> = text.match_indices("));\n").map(|(at, end)| at + end.len()).collect();
    let stages: Vec<usize> = ends.into_iter().filter(|&at| text[..at].contains("let net = stage")).collect();
    assert!(stages.len() >= 3, "the runbook has stages");
    for at in stages {
        let (head, tail) = text.split_at(at);
        let project = shop().file("runbooks/broken.rhai", &format!("{head}fail(\"on purpose\");\n{tail}"));
        let first = deploy(&project, "runbooks/prod-deploy.rhai", "ami-healthy-1");
        assert_eq!(first.code, Some(0), "{}", first.stderr);
        let before = world(&project);
        let broken = deploy(&project, "runbooks/broken.rhai", "ami-healthy-2");
        let committed = broken.events.iter().any(|event| matches!(event, Event::Committed { .. }));
        assert_eq!(broken.failed_requests(), 0, "after {head}");
        if committed {
            assert_eq!(broken.code, Some(12), "{}", broken.stderr);
            let next = deploy(&project, "runbooks/prod-deploy.rhai", "ami-healthy-2");
            assert_eq!(next.code, Some(0), "{}", next.stderr);
        } else {
            assert!(matches!(broken.code, Some(10 | 3)), "{:?}: {}", broken.code, broken.stderr);
            assert_eq!(world(&project), before, "after {head}");
        }
    }
}

/// A clean-up that was not finished is finished by the next run, of the same version or of another one; and what it removes
/// is not missed when that one fails.
#[test]
fn what_an_unfinished_clean_up_left_is_removed_by_the_next_run() {
    let settings = include_str!("../../runner.toml");
    let unwilling =
        settings.replace("denied_actions = [", "denied_actions = [\"autoscaling:DeleteAutoScalingGroup\", ");
    let unfinished = || {
        let project = shop();
        assert_eq!(deploy(&project, "runbooks/prod-deploy.rhai", "ami-healthy-1").code, Some(0));
        let project = project.file("runner.toml", &unwilling);
        let second = deploy(&project, "runbooks/prod-deploy.rhai", "ami-healthy-2");
        assert_eq!(second.code, Some(12), "{}", second.stderr);
        project.file("runner.toml", settings)
    };
    let is_there = |project: &Project| {
        let group = "/123456789012/regions/eu-central-1/autoscaling/auto_scaling_groups/shop-prod-web-blue";
        world(project).pointer(group).is_some()
    };

    let project = unfinished();
    assert!(is_there(&project));
    let again = deploy(&project, "runbooks/prod-deploy.rhai", "ami-healthy-2");
    assert_eq!(again.code, Some(0), "{}", again.stderr);
    assert!(!is_there(&project));
    let third = deploy(&project, "runbooks/prod-deploy.rhai", "ami-healthy-2");
    assert_eq!((third.code, third.mutations()), (Some(0), 0));

    let project = unfinished();
    let bad = deploy(&project, "runbooks/prod-deploy.rhai", "ami-never-healthy");
    assert_eq!(bad.code, Some(10), "{}", bad.stderr);
    assert!(!is_there(&project));
    assert_eq!(bad.failed_requests(), 0);
}

/// The same on the first deploy: the account is empty again, but for what was to be kept.
#[test]
fn a_first_deploy_that_fails_leaves_only_what_was_to_be_kept() {
    let project = shop();
    let bad = deploy(&project, "runbooks/prod-deploy.rhai", "ami-never-healthy");
    assert_eq!(bad.code, Some(10), "{}", bad.stderr);
    assert_eq!(bad.failed_requests(), 0);
    let good = deploy(&project, "runbooks/prod-deploy.rhai", "ami-healthy-1");
    assert_eq!(good.code, Some(0), "{}", good.stderr);
}

#[test]
fn the_stdlib_is_where_the_user_can_read_it() {
    for module in ["network", "service", "bluegreen"] {
        assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("stdlib/{module}.rhai")).exists());
    }
}
