//! Policy: what it refuses, what it lets pass, who may set it aside, and that no script gets round it.

use runner::{
    event::{Event, Stamped},
    sim::{Simulator, Source},
};

use crate::project::{Project, Ran};

const HEAD: &str = "environment(\"prod\");\nstack(\"shop\");\n";
const VPC: &str = "ensure_vpc(#{ name: \"main\", cidr_block: \"10.0.0.0/16\" });\n";

/// A project whose production has this policy.
fn project(policy: &str, body: &str) -> Project {
    let settings = format!("[environments.prod]\nregion = \"eu-central-1\"\n\n[environments.prod.policy]\n{policy}\n");
    Project::new().file("runner.toml", &settings).file("deploy.rhai", &format!("{HEAD}{body}"))
}

fn run(project: &Project, arguments: &[&str]) -> Ran {
    project.runner(&[&["run", "deploy.rhai", "--sim", "--world", "fresh"], arguments].concat())
}

fn simulated(policy: &str, body: &str) -> Ran {
    run(&project(policy, body), &[])
}

fn events(ran: &Ran) -> Vec<Event> {
    let event = |line| serde_json::from_str::<Stamped>(line).unwrap_or_else(|error| panic!("{line}: {error}")).event;
    ran.stdout.lines().map(event).collect()
}

/// The calls that changed something.
fn mutations(ran: &Ran) -> Vec<String> {
    let mutation = |event| match event {
        Event::Call { call, mutation: true, .. } => Some(call),
        _ => None,
    };
    events(ran).into_iter().filter_map(mutation).collect()
}

fn snapshot(name: &str, ran: &Ran) {
    let mut settings = insta::Settings::clone_current();
    settings.add_filter(r"time .*", "time      [time]");
    settings.add_filter(r"by (uid )?\S+@\S+:", "by [user]@[host]:");
    settings.bind(|| insta::assert_snapshot!(name, ran));
}

/// Dates around today, as the clock of this machine has it: `freeze` obeys no other.
fn frozen() -> String {
    let today = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
    let (from, until) = (today.yesterday().expect("a date"), today.tomorrow().expect("a date"));
    format!("freeze = [{{ from = \"{from}\", until = \"{until}\", reason = \"holidays\" }}]")
}

#[track_caller]
fn is_refused(ran: &Ran, check: &str, words: &str) {
    assert_eq!(ran.code, Some(5), "{ran}");
    assert!(ran.stderr.contains(&format!("policy {check}: ")), "{ran}");
    assert!(unfolded(&ran.stderr).contains(words), "{words}: {ran}");
    assert!(unfolded(&ran.stderr).contains(&format!("(environments.prod.policy.{check} in runner.toml)")), "{ran}");
}

/// Without the line breaks and margins of a report, which also breaks lines after a hyphen.
fn unfolded(text: &str) -> String {
    let words = text.split_whitespace().filter(|word| *word != "│");
    words.collect::<Vec<_>>().join(" ").replace("- ", "-")
}

#[track_caller]
fn passes(policy: &str, body: &str) {
    let ran = simulated(policy, body);
    assert_eq!(ran.code, Some(0), "{policy}: {ran}");
    assert!(!ran.stderr.contains("policy"), "{policy}: {ran}");
}

#[test]
fn refused_before_anything_was_changed_5() {
    let ran = simulated("denied_actions = [\"ec2:Create*\"]", VPC);
    assert_eq!(ran.code, Some(5), "{ran}");
    snapshot("refused_before_anything_was_changed", &ran);
}

#[test]
fn refused_after_something_was_changed_10() {
    let body = format!("{VPC}ensure_internet_gateway(#{{ name: \"main\", vpc_id: find_vpc(\"shop-prod-main\") }});");
    let ran = simulated("denied_actions = [\"ec2:*InternetGateway\"]", &body);
    assert_eq!(ran.code, Some(10), "{ran}");
    snapshot("refused_after_something_was_changed", &ran);
}

/// Clean-up that policy refuses is left: exit code 12, as whatever goes wrong after the point of no return.
#[test]
fn refused_after_the_point_of_no_return_12() {
    let body = format!("{VPC}commit(\"live\");\nensure_role(#{{ name: \"x\", trust: \"ec2.amazonaws.com\" }});");
    let ran = simulated("denied_operations = [\"ensure_role\"]", &body);
    assert_eq!(ran.code, Some(12), "{ran}");
}

#[test]
fn regions() {
    let rule = "allowed_regions = [\"eu-*\"]";
    passes(rule, VPC);
    let elsewhere = "within(#{ region: \"us-east-1\" }, || find_asg(#{ name: \"x\", required: false }));";
    is_refused(&simulated(rule, elsewhere), "allowed_regions", "calls would go to region us-east-1");
    let ran = simulated("allowed_regions = [\"us-*\"]", "");
    is_refused(&ran, "allowed_regions", "calls would go to region eu-central-1, and only `us-*` may be used");
    snapshot("an_environment_in_another_region", &ran);
}

#[test]
fn accounts() {
    let rule = "allowed_accounts = [\"111111111111\"]";
    passes(rule, VPC);
    let within = |account| format!("within(#{{ role_arn: \"arn:aws:iam::{account}:role/x\" }}, || {{ {VPC} }});");
    passes(rule, &within("111111111111"));
    let ran = simulated(rule, &within("222222222222"));
    is_refused(&ran, "allowed_accounts", "calls would go to account 222222222222, and only `111111111111` may be used");
}

#[test]
fn operations() {
    passes("allowed_operations = [\"ensure_*\"]\ndenied_operations = [\"ensure_role\"]", VPC);
    let ran = simulated("allowed_operations = [\"find_*\"]", VPC);
    is_refused(&ran, "allowed_operations", "the operation `ensure_vpc` is not among what is allowed: `find_*`");
    let ran = simulated("denied_operations = [\"find_a*\"]", "find_asg(#{ name: \"x\", required: false });");
    is_refused(&ran, "denied_operations", "the operation `find_asg` is denied by `find_a*`");
}

#[test]
fn actions() {
    passes("allowed_actions = [\"ec2:CreateVpc\", \"ec2:Modify*\"]", VPC);
    passes("denied_actions = [\"EC2:deleteVpc\", \"s3:DelteBucket\", \"*:Stop*\"]", VPC);
    let ran = simulated("allowed_actions = [\"iam:*\", \"ec2:Modify*\"]", VPC);
    is_refused(&ran, "allowed_actions", "ec2:CreateVpc for vpc shop-prod-main is not among what is allowed");
    // Reads need not be allowed, and can be denied.
    let ran = simulated("denied_actions = [\"autoscaling:Describe*\"]", "find_asg(#{ name: \"x\", required: false });");
    is_refused(&ran, "denied_actions", "autoscaling:DescribeAutoScalingGroups is denied by `autoscaling:Describe*`");
}

#[test]
fn required_tags() {
    let rule = "required_tags = { team = \"*\", tier = \"gold\" }";
    passes(
        rule,
        "ensure_vpc(#{ name: \"main\", cidr_block: \"10.0.0.0/16\", tags: #{ team: \"a\", tier: \"gold\" } });",
    );
    is_refused(&simulated(rule, VPC), "required_tags", "ec2:CreateVpc for vpc shop-prod-main has no tag team");
    let other = "ensure_vpc(#{ name: \"main\", cidr_block: \"10.0.0.0/16\", tags: #{ team: \"a\", tier: \"lead\" } });";
    is_refused(&simulated(rule, other), "required_tags", "has the tag tier = lead, and `gold` is required");
}

#[test]
fn freeze() {
    let ran = simulated(&frozen(), VPC);
    assert!(unfolded(&ran.stderr).contains("nothing may be changed before"), "{ran}");
    is_refused(&ran, "freeze", "(UTC): holidays");
    passes("freeze = [{ from = \"2020-01-01\", until = \"2020-01-31\" }]", VPC);
    passes(&frozen(), "find_asg(#{ name: \"x\", required: false });");
}

#[test]
fn a_check_that_warns() {
    let ran = simulated(&format!("{}\nwarn = [\"freeze\"]", frozen()), VPC);
    assert_eq!(ran.code, Some(0), "{ran}");
    assert_eq!(ran.stderr.matches("policy freeze: nothing may be changed before").count(), 1, "said once: {ran}");
}

#[test]
fn a_person_sets_a_check_aside_where_policy_allows_it() {
    let rules = "denied_actions = [\"ec2:CreateVpc\"]\nmax_size = 3\noverridable = [\"denied_actions\"]";
    let project = project(rules, VPC);
    let ran = run(&project, &[]);
    is_refused(&ran, "denied_actions", "add `--override denied_actions --reason TEXT`");

    let ran = run(&project, &["--override", "denied_actions", "--reason", "the fix for the outage"]);
    assert_eq!(ran.code, Some(0), "{ran}");
    snapshot("a_check_set_aside", &ran);
    let journal = journal(&project);
    assert!(
        journal.contains(r#""record":"override","check":"denied_actions","reason":"the fix for the outage""#),
        "{journal}"
    );

    let told = run(&project, &["--json", "--override", "denied_actions", "--reason", "x"]);
    let told = events(&told);
    assert!(
        told.iter().any(|event| matches!(event, Event::Override { reason, by, .. } if reason == "x" && !by.is_empty()))
    );
    assert!(told.iter().any(|event| matches!(event, Event::Policy { overridden: Some(reason), .. } if reason == "x")));
}

fn journal(project: &Project) -> String {
    fn read(path: &std::path::Path, into: &mut String) {
        if path.is_dir() {
            let entries = std::fs::read_dir(path).expect("a readable folder");
            entries.for_each(|entry| read(&entry.expect("an entry").path(), into));
        } else {
            into.push_str(&std::fs::read_to_string(path).expect("a journal is text"));
        }
    }
    let mut text = String::new();
    read(&project.path().join(".runner/journal"), &mut text);
    text
}

#[test]
fn in_a_pipeline_the_record_names_who_started_it() {
    let project = project("max_size = 3\noverridable = [\"max_size\"]", VPC);
    let arguments = ["run", "deploy.rhai", "--sim", "--world", "fresh", "--override", "max_size", "--reason", "x"];
    let ran = project.runner_in(&arguments, &[("GITHUB_ACTOR", "octocat")]);
    assert!(ran.stderr.contains("override     max_size · by octocat (GitHub Actions): x"), "{ran}");
    assert!(ran.stderr.contains("`--override max_size` was not needed"), "{ran}");
}

#[test]
fn nobody_sets_aside_what_policy_does_not_let_them() {
    let project = project("max_size = 3\nmax_instances = 3\noverridable = [\"freeze\", \"max_size\"]", VPC);
    let ran = run(&project, &["--override", "max_instances", "--override", "max_size", "--reason", "x"]);
    assert_eq!(ran.code, Some(5), "{ran}");
    snapshot("an_override_that_is_not_allowed", &ran);

    let free = Project::new().file("runner.toml", "[environments.prod]\n").file("deploy.rhai", HEAD);
    let ran = run(&free, &["--override", "freeze", "--reason", "x"]);
    assert_eq!(ran.code, Some(5), "{ran}");
    assert!(ran.stderr.contains("there is nothing to override: `prod` has no policy"), "{ran}");
}

#[test]
fn an_override_needs_a_reason_and_a_check() {
    let project = project("", "");
    insta::assert_snapshot!("an_override_without_a_reason", run(&project, &["--override", "freeze"]));
    insta::assert_snapshot!("an_override_of_no_check", run(&project, &["--override", "frezze", "--reason", "x"]));
    let ran = run(&project, &["--reason", "x"]);
    assert!(ran.code == Some(3) && ran.stderr.contains("nothing is set aside"), "{ran}");
    let ran = run(&project, &["--override", "freeze", "--reason", " "]);
    assert_eq!(ran.code, Some(3), "{ran}");
    assert!(ran.stderr.contains("expected a reason"), "{ran}");
}

/// Whatever a script wraps around a refusal, it ends the run, and nothing is changed after it.
#[test]
fn no_script_catches_a_refusal() {
    let vpc = VPC.trim().trim_end_matches(';');
    let free = "ensure_role(#{ name: \"x\", trust: \"ec2.amazonaws.com\" })";
    let wraps = [
        format!("try {{ {vpc} }} catch {{ }}  {free};"),
        format!("try {{ [1].map(|x| {vpc}) }} catch {{ }}  {free};"),
        format!("[2, 1].sort(|a, b| {{ {vpc}; 1 }});  {free};"),
        format!("try {{ parallel([|| {vpc}]) }} catch {{ }}  {free};"),
        format!(
            "try {{ parallel([|| {vpc}, || {{ sleep(\"1s\"); {free} }}], #{{ on_failure: \"finish\" }}) }} catch {{ }}"
        ),
        format!("try {{ stage(\"s\", || {vpc}) }} catch (e) {{ log(e.message); }}  {free};"),
        format!("on_rollback(|| {{ try {{ {free} }} catch {{ }} }});  try {{ {vpc} }} catch {{ throw \"mine\"; }}"),
        format!("fn f() {{ try {{ {vpc} }} catch {{ f() }} }}  f();"),
    ];
    for body in wraps {
        let ran = run(&project("denied_actions = [\"ec2:CreateVpc\", \"iam:*\"]", &body), &["--json"]);
        assert!(matches!(ran.code, Some(5 | 11)), "{body}: {ran}");
        assert!(ran.stderr.contains("refused by policy"), "{body}: {ran}");
        assert_eq!(mutations(&ran), [""; 0], "{body}");
    }
}

/// A rollback of a run that was not allowed to change anything is no way round.
#[test]
fn hooks_obey_as_the_runbook_does() {
    let body = format!("on_rollback(\"sneak\", || {{ {VPC} }});\nfail(\"now\");");
    let ran = simulated(&frozen(), &body);
    assert_eq!(ran.code, Some(3), "{ran}");
    assert!(ran.stderr.contains("policy freeze: "), "{ran}");
    assert!(ran.stdout.contains("0 created") && ran.stdout.contains("(0 mutations)"), "{ran}");
}

/// What a run was allowed to make, its undo may delete: an account left half-way is worse.
#[test]
fn undos_are_not_refused() {
    let ran =
        simulated("denied_actions = [\"ec2:Delete*\"]\nprotected_names = [\"*\"]", &format!("{VPC}fail(\"now\");"));
    assert_eq!(ran.code, Some(10), "{ran}");
    assert!(ran.stderr.contains("✓ delete vpc shop-prod-main"), "{ran}");
}

#[test]
fn policy_of_the_base_branch() {
    let loosened =
        project("", VPC).file("base/runner.toml", "[environments.prod.policy]\ndenied_actions = [\"ec2:*\"]\n");
    for from in ["base", "base/runner.toml"] {
        let ran = run(&loosened, &["--policy-from", from]);
        assert_eq!(ran.code, Some(5), "{ran}");
        assert!(
            unfolded(&ran.stderr).contains("(environments.prod.policy.denied_actions in base/runner.toml)"),
            "{ran}"
        );
    }
    let tightened = project("denied_actions = [\"ec2:*\"]", VPC).file("base/runner.toml", "[environments.prod]\n");
    assert_eq!(run(&tightened, &["--policy-from", "base"]).code, Some(0), "it is the base's as a whole");

    let unknown = project("", VPC).file("base/runner.toml", "[environments.staging]\n");
    let ran = run(&unknown, &["--policy-from", "base"]);
    assert_eq!(ran.code, Some(5), "{ran}");
    snapshot("an_environment_that_the_base_does_not_have", &ran);
    let ran = run(&unknown, &["--policy-from", "nowhere"]);
    assert_eq!(ran.code, Some(3), "{ran}");
}

#[test]
fn a_policy_that_cannot_be_meant() {
    let table = [
        ("unknown_key", "max_sizes = 3"),
        ("unknown_check", "overridable = [\"freze\"]"),
        ("unknown_operation", "denied_operations = [\"ensure_vcp\"]"),
        ("no_action", "denied_actions = [\"DeleteVpc\"]"),
        ("unknown_action", "denied_actions = [\"ec2:CreateVpc\", \"ec2:DelteVpc\"]"),
        ("actions_of_no_such_name", "allowed_actions = [\"ec2:Explode*\"]"),
        ("no_account", "allowed_accounts = [\"12\"]"),
        ("no_step", "max_weight_step = 0"),
        ("no_share", "min_healthy = \"150%\""),
        ("no_number", "max_size = -1"),
        ("no_pattern", "protected_names = [\"\"]"),
        ("no_window", "freeze = [{ from = \"2026-12-20\" }]"),
        ("no_moment", "freeze = [{ from = \"tomorrow\", until = \"2026-12-21\" }]"),
        ("no_time_zone", "freeze = [{ days = [\"fri\"], time_zone = \"Berlin\" }]"),
        ("no_day", "freeze = [{ days = [\"friday\"] }]"),
    ];
    for (name, rule) in table {
        let ran = simulated(rule, "");
        assert_eq!(ran.code, Some(3), "{ran}");
        insta::assert_snapshot!(format!("a_policy_with_{name}"), ran);
    }
}

/// A policy that nobody is under.
#[test]
fn a_policy_of_a_misspelt_environment() {
    let settings = "[environments.staging]\nregion = \"eu-central-1\"\n\n[environments.stging.policy]\nmax_size = 1\n";
    let project = Project::new().file("runner.toml", settings).file("deploy.rhai", "environment(\"staging\");");
    let ran = project.runner(&["run", "deploy.rhai", "--sim"]);
    assert_eq!(ran.code, Some(3), "{ran}");
    insta::assert_snapshot!(ran);
}

/// The shipped project, whose production has this policy.
fn shop(policy: &str) -> Project {
    let settings = include_str!("../../runner.toml");
    Project::new()
        .file("runner.toml", settings)
        .file("policy/runner.toml", &format!("[environments.prod.policy]\n{policy}\n"))
        .file("deploy.rhai", include_str!("../../runbooks/prod-deploy.rhai"))
}

/// Deploys a version under the policy; events are told as JSON.
fn deploy(project: &Project, image: &str) -> Ran {
    let image = format!("image={image}");
    project.runner(&["run", "deploy.rhai", "--sim", "--json", "--policy-from", "policy", "--param", &image])
}

/// What of the kept world can be observed once all has settled.
fn world(project: &Project) -> serde_json::Value {
    let kept = Source::Dir(project.path().join(".runner/sim"));
    let simulator = Simulator::open(kept, 1).expect("the kept world");
    simulator.advance(simulator.clock() + std::time::Duration::from_secs(2 * 3600));
    simulator.observe()
}

/// Blue is live; the second deploy is refused with these words, and leaves everything as it was.
#[track_caller]
fn second_deploy_is_refused(policy: &str, code: i32, words: &str) {
    let project = shop("");
    assert_eq!(deploy(&project, "ami-healthy-1").code, Some(0));
    let before = world(&project);
    let project = project.file("policy/runner.toml", &format!("[environments.prod.policy]\n{policy}\n"));
    let ran = deploy(&project, "ami-healthy-2");
    assert_eq!(ran.code, Some(code), "{}", ran.stderr);
    assert!(unfolded(&ran.stderr).contains(words), "{words}: {}", ran.stderr);
    assert_eq!(world(&project), before, "{policy}");
}

#[test]
fn a_deploy_that_obeys() {
    let rules = "max_size = 9\nmax_instances = 6\nmax_weight_step = 50\nmin_healthy = \"100%\"\n\
                 protected_names = [\"other-*\"]\nprotected_tags = { protected = \"true\" }\n\
                 required_tags = { environment = \"prod\" }\nallowed_regions = [\"eu-central-1\"]";
    let project = shop(rules);
    for image in ["ami-healthy-1", "ami-healthy-2"] {
        let ran = deploy(&project, image);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        assert!(!events(&ran).iter().any(|event| matches!(event, Event::Policy { .. })), "{image}");
    }
}

#[test]
fn size_of_a_group() {
    let ran = deploy(&shop("max_size = 8"), "ami-healthy-1");
    assert_eq!(ran.code, Some(10), "{}", ran.stderr);
    let words = "Auto Scaling group shop-prod-web-blue would have a max_size of 9, and 8 is the most";
    assert!(unfolded(&ran.stderr).contains(words), "{}", ran.stderr);
}

#[test]
fn instances_of_all_groups() {
    let words = "would have 6 instances (shop-prod-web-green 3, shop-prod-web-blue 3), and 5 are the most";
    second_deploy_is_refused("max_instances = 5", 10, words);
}

/// The way back moves all of it at once: that is not refused.
#[test]
fn weight_in_one_step() {
    let words = "50 percentage points of shop-prod-web:443 would move at once";
    second_deploy_is_refused("max_weight_step = 45", 10, words);
}

#[test]
fn healthy_targets() {
    let words = "`min_healthy: 3` lets traffic go to a group with fewer than 4 healthy targets";
    second_deploy_is_refused("min_healthy = 4", 10, words);

    // Not only where the runbook asks for health itself.
    let project = shop("min_healthy = 1");
    assert_eq!(deploy(&project, "ami-healthy-1").code, Some(0));
    let set = "environment(\"prod\"); stack(\"shop\");\n\
               let balancer = find_load_balancer(\"shop-prod-web\");\n\
               let green = find_target_group(\"shop-prod-web-green\");\n\
               ensure_listener(#{ load_balancer: balancer, port: 80, protocol: \"HTTP\", weights: \"set\",\n\
                   default_action: #{ forward: #{ target_groups: [#{ target_group: green, weight: 100 }] } } });";
    let project = project.file("set.rhai", set);
    let ran = project.runner(&["run", "set.rhai", "--sim", "--policy-from", "policy"]);
    assert_eq!(ran.code, Some(5), "{ran}");
    let words = "shop-prod-web-green would get traffic with 0 of 0 targets healthy, and 1 have to be";
    assert!(unfolded(&ran.stderr).contains(words), "{ran}");
}

#[test]
fn protected_names() {
    let words = "autoscaling:CreateOrUpdateTags would change shop-prod-web-blue, which `*-blue` protects";
    second_deploy_is_refused("protected_names = [\"*-blue\"]", 5, words);
}

/// What a run makes is its own, whatever tags it gets; the next run finds it protected.
#[test]
fn protected_tags() {
    let project = shop("protected_tags = { environment = \"pr*\" }");
    let ran = deploy(&project, "ami-healthy-1");
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let before = world(&project);
    let ran = deploy(&project, "ami-healthy-2");
    assert_eq!(ran.code, Some(5), "{}", ran.stderr);
    let words = "would change shop-prod-web-blue, which is tagged environment = prod";
    assert!(unfolded(&ran.stderr).contains(words), "{}", ran.stderr);
    assert_eq!(world(&project), before);
}

/// Without an environment there is no policy: then nothing is changed either.
#[test]
fn an_environment_has_to_be_named_first() {
    let is_policy = |line: &&str| {
        ["[environments.prod.policy]", "max_size = 12", "denied_actions"].iter().any(|start| line.starts_with(start))
    };
    let shipped = include_str!("../../runner.toml").lines().filter(|line| !is_policy(line));
    let settings = shipped.collect::<Vec<_>>().join("\n").replace("eu-central-1", "us-east-1");
    let attach = "let route = find_listener(#{ load_balancer: find_load_balancer(\"shop-prod-web\"), port: 443 });\n\
                  let green = find_target_group(\"shop-prod-web-green\");\n\
                  try { attach_target_group(#{ routes: [#{ route: route, target_group: green }] }); } catch { }";
    let project = shop("max_size = 9").file("runner.toml", &settings).file("attach.rhai", attach);
    assert_eq!(deploy(&project, "ami-healthy-1").code, Some(0));
    let ran = project.runner(&["run", "attach.rhai", "--sim", "--policy-from", "policy"]);
    assert_eq!(ran.code, Some(5), "{ran}");
    snapshot("a_change_without_an_environment", &ran);
    let ran = project.runner(&["run", "attach.rhai", "--sim"]);
    assert_eq!(ran.code, Some(0), "no environment has a policy: {ran}");
}
