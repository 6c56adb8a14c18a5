//! `runner plan`: what it shows, what it exits with, and that nothing of it stays.

use std::{collections::BTreeMap, fs, path::Path};

use base64::Engine as _;
use runner::{
    plan::{Outcome, Plan},
    run::hex,
};
use sha2::{Digest, Sha256};

use crate::{
    moto::moto,
    project::{Project, Ran},
};

const PROD: &str = "runbooks/prod-deploy.rhai";

/// The shipped runbooks with their settings, in a folder of their own.
fn shop() -> Project {
    Project::new()
        .file("runner.toml", include_str!("../../runner.toml"))
        .file(PROD, include_str!("../../runbooks/prod-deploy.rhai"))
}

fn plan(project: &Project, image: &str, more: &[&str]) -> Ran {
    let image = format!("image={image}");
    let args = ["plan", PROD, "--param", &image].iter().chain(more).copied().collect::<Vec<_>>();
    project.runner(&args)
}

fn as_data(ran: &Ran) -> Plan {
    serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}\n{ran}"))
}

/// Every file below a folder, by its digest.
fn files(dir: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut waiting = vec![dir.to_owned()];
    while let Some(dir) = waiting.pop() {
        for entry in fs::read_dir(dir).expect("a readable folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                waiting.push(path);
            } else {
                let text = fs::read(&path).expect("a readable file");
                found.insert(path.display().to_string(), hex(&Sha256::digest(text)));
            }
        }
    }
    found
}

#[test]
fn a_first_deploy_the_next_one_and_a_bad_one() {
    let project = shop();
    let first = plan(&project, "ami-healthy-1", &["--sim", "--detail", "summary"]);
    insta::assert_snapshot!("first", first);
    assert!(!project.path().join(".runner").exists(), "a plan leaves nothing behind");

    let deploy = |image: &str| {
        let ran = project.runner(&["run", PROD, "--sim", "--param", &format!("image={image}")]);
        assert_eq!(ran.code, Some(0), "{ran}");
    };
    deploy("ami-healthy-1");
    let before = files(project.path());
    let second = plan(&project, "ami-healthy-2", &["--sim"]);
    insta::assert_snapshot!("second", second);

    let nothing = plan(&project, "ami-healthy-1", &["--sim", "--detailed-exitcode"]);
    insta::assert_snapshot!("nothing", nothing);
    let changes = plan(&project, "ami-healthy-2", &["--sim", "--detailed-exitcode", "--format", "json"]);
    assert_eq!(changes.code, Some(2), "{changes}");

    let bad = plan(&project, "ami-never-healthy", &["--sim", "--detail", "summary"]);
    insta::assert_snapshot!("bad", bad);
    assert_eq!(files(project.path()), before, "a plan changes nothing");
}

#[test]
fn what_would_happen_to_a_fleet_that_never_becomes_healthy() {
    let project = shop();
    project.runner(&["run", PROD, "--sim", "--param", "image=ami-healthy-1"]);
    let plan = as_data(&plan(&project, "ami-healthy-2", &["--sim", "--format", "json"]));
    let [scenario] = plan.on_failure.as_slice() else { panic!("one scenario: {:?}", plan.on_failure) };
    assert_eq!(scenario.name, "shop-prod-web-green never becomes healthy");
    assert_eq!((scenario.exit_code, scenario.requests_lost), (10, 0));
    assert_eq!(scenario.final_state, "as before");
    assert!(scenario.requests_served > 1_000, "users were there: {scenario:?}");
    assert_eq!(plan.totals.peak_instances, 6, "both fleets");
    assert_eq!(plan.totals.traffic_shifts, 3);
    let weights: Vec<u32> =
        plan.timeline.weights.iter().map(|weights| weights.shares.last().map_or(0, |it| it.weight)).collect();
    assert_eq!(weights, [100, 0, 10, 50, 100], "as it is at first, and as it is moved");
    assert_eq!(plan.rollback.point_of_no_return.expect("it retires blue").label, "green is live, blue retires");
}

#[test]
fn without_credentials() {
    let ran = plan(&shop(), "ami-0123456789abcdef0", &["--offline", "--format", "json"]);
    assert_eq!(ran.code, Some(0), "{ran}");
    let plan = as_data(&ran);
    assert_eq!((plan.verdict.outcome, plan.totals.create), (Outcome::Changes, 33));
    assert_eq!(plan.target, "offline");
    assert_eq!(plan.warnings.len(), 1, "it says what was assumed");
}

#[test]
fn all_forms_in_a_folder() {
    let project = shop();
    let formats = ["--format", "markdown", "--format", "json", "--format", "html", "--out", "plans"];
    let ran = plan(&project, "ami-healthy-1", &[&["--offline"], &formats[..]].concat());
    assert_eq!(ran.code, Some(0), "{ran}");
    let read = |name: &str| fs::read_to_string(project.path().join("plans").join(name)).expect("it was written");
    assert!(ran.stdout.starts_with("✓ 33 to create"), "text still goes to stdout: {ran}");
    assert!(read("plan.md").starts_with("<!-- runner:plan runbook=runbooks/prod-deploy.rhai -->"));
    assert!(read("plan.html").starts_with("<!DOCTYPE html>"));
    assert!(serde_json::from_str::<Plan>(&read("plan.json")).is_ok());
    assert!(!project.path().join("plans/plan.txt").exists(), "only what was asked for");
}

#[test]
fn a_runbook_that_fails_has_a_plan_that_says_so() {
    let project = Project::new()
        .file("runner.toml", "[environments.dev]\ntarget = \"sim\"\n")
        .file("fails.rhai", "let env = environment(\"dev\");\nstack(\"shop\");\nensure_vpc(#{ name: \"a\", cidr_block: \"10.0.0.0/16\" });\nfail(\"not today\");\n");
    let ran = project.runner(&["plan", "fails.rhai", "--format", "json", "--out", "plan"]);
    insta::assert_snapshot!("fails", ran);
    let plan = fs::read_to_string(project.path().join("plan/plan.json")).expect("it was written all the same");
    let plan: Plan = serde_json::from_str(&plan).expect("a plan");
    let failure = plan.failure.expect("it fails");
    assert_eq!((failure.file.as_deref(), failure.line), (Some("fails.rhai"), Some(4)));
    assert!(!project.path().join(".runner").exists(), "nothing was kept");
}

/// A run stops where policy first says no; what it exits with depends on what it has done by then.
#[test]
fn a_plan_that_is_refused_says_what_a_run_would_exit_with() {
    let vpc = "ensure_vpc(#{ name: \"a\", cidr_block: \"10.0.0.0/16\" });\n";
    let role = "ensure_role(#{ name: \"x\", trust: \"ec2.amazonaws.com\" });\n";
    let table = [
        (format!("{role}{vpc}"), 5),
        (format!("{vpc}{role}"), 10),
        (format!("{vpc}commit(\"live\");\n{role}"), 12),
        (format!("{vpc}{role}fail(\"not today\");\n"), 10),
    ];
    let settings = "[environments.dev]\ntarget = \"sim\"\n[environments.dev.policy]\ndenied_actions = [\"iam:*\"]\n";
    for (body, code) in table {
        let runbook = format!("environment(\"dev\");\nstack(\"shop\");\n{body}");
        let project = Project::new().file("runner.toml", settings).file("p.rhai", &runbook);
        let ran = project.runner(&["plan", "p.rhai", "--detail", "summary"]);
        assert!(ran.stdout.contains(&format!("! a run would end with exit code {code}: ")), "{ran}");
        assert_eq!(project.runner(&["run", "p.rhai", "--sim", "--world", "fresh"]).code, Some(code), "{body}");
        let plan = as_data(&project.runner(&["plan", "p.rhai", "--format", "json"]));
        assert_eq!(i32::from(plan.verdict.exit_code), code);
    }
}

/// Before the runbook names its environment, what is written there is known all the same. The marker needs neither: with it,
/// a comment about a runbook that cannot be read takes the place of the one before.
#[test]
fn a_runbook_that_fails_early_has_a_head() {
    let settings = "[environments.dev]\ntarget = \"sim\"\n";
    let early = "fail(\"not today\");\nenvironment(\"dev\");\n";
    let unknown = "environment(\"dev\");\nensure_vcp(1);\n";
    let nowhere = "fail(\"not today\");\n";
    for (name, runbook) in [("early", early), ("cannot_be_run", unknown), ("nowhere", nowhere)] {
        let project = Project::new().file("runner.toml", settings).file("p.rhai", runbook);
        let ran = project.runner(&["plan", "p.rhai", "--sim", "--detail", "summary"]);
        insta::assert_snapshot!(format!("fails_{name}"), ran.stdout);
        let ran = project.runner(&["plan", "p.rhai", "--sim", "--format", "markdown"]);
        assert!(ran.stdout.starts_with("<!-- runner:plan runbook=p.rhai -->\n"), "{ran}");
        let ran = project.runner(&["plan", "./p.rhai", "--sim", "--env", "dev", "--format", "markdown"]);
        assert!(ran.stdout.starts_with("<!-- runner:plan env=dev runbook=p.rhai -->\n"), "{ran}");
    }
}

#[test]
fn a_project_in_a_folder_of_its_repository() {
    let project = Project::new()
        .file(".git", "gitdir: elsewhere\n")
        .file("shop/runner.toml", "[environments.dev]\ntarget = \"sim\"\n")
        .file("shop/runbooks/p.rhai", "environment(\"dev\");\nfail(\"not today\");\n");
    let ran =
        project.runner(&["plan", "shop/runbooks/p.rhai", "--format", "json", "--format", "markdown", "--out", "plan"]);
    let read =
        |name: &str| fs::read_to_string(project.path().join("plan").join(name)).unwrap_or_else(|_| panic!("{ran}"));
    assert!(read("plan.md").starts_with("<!-- runner:plan runbook=shop/runbooks/p.rhai -->\n"));
    let plan: Plan = serde_json::from_str(&read("plan.json")).expect("a plan");
    assert_eq!((plan.project.as_str(), plan.runbook.as_str()), ("shop", "runbooks/p.rhai"));
    assert_eq!(plan.failure.expect("it fails").file.as_deref(), Some("runbooks/p.rhai"));
}

const AN_ADMIN: &str = r#"
stack("shop");
let vpc = ensure_vpc(#{ name: "main", cidr_block: "10.0.0.0/16" });
ensure_security_group(#{ name: "in", vpc_id: vpc, description: "d", ingress: [#{ protocol: "tcp", port: 22, cidr_ip: "0.0.0.0/0" }] });
ensure_role(#{ name: "a", trust: "ec2.amazonaws.com", managed_policy_arns: ["arn:aws:iam::aws:policy/AdministratorAccess"] });
"#;

/// Who writes the runbook chooses its secrets, and must not hide anything with them but themselves.
#[test]
fn secrets_hide_no_changes() {
    let settings = "[environments.dev]\ntarget = \"sim\"\n[environments.dev.policy]\ndenied_actions = [\"iam:*\"]\n";
    let words =
        ["event", "policy", "deny", "created", "ec2:CreateVpc", "operation_started", "ensure_role", "0.0.0.0/0"];
    for word in words.into_iter().chain(["AdministratorAccess", "sending", "GroupId", "IpPermissions"]) {
        let noise = format!(
            "environment(\"dev\");\nlet noise = param(\"noise\", #{{ secret: true, default_value: \"{word}\" }});\n"
        );
        let project = Project::new().file("runner.toml", settings).file("p.rhai", &format!("{noise}{AN_ADMIN}"));
        let ran = project.runner(&["plan", "p.rhai", "--sim", "--format", "json"]);
        assert_eq!(ran.code, Some(5), "{word}: {ran}");
        let seen = as_data(&ran);
        assert_eq!(seen.policy.len(), 3, "{word}: {:?}", seen.policy);
        assert_eq!(seen.totals.create, 3, "{word}");
        assert!(seen.steps().flat_map(|step| &step.calls).any(|call| call.opens == ["tcp 22"]), "{word}");
        assert!(seen.steps().flat_map(|step| &step.calls).any(|call| call.allows_all), "{word}");
        assert!(seen.warnings.is_empty(), "{word}: {:?}", seen.warnings);
    }
}

/// What has to be read again to take a change back cannot be a secret: it is refused before anything is sent.
#[test]
fn a_name_is_no_secret() {
    let runbook = "environment(\"dev\");\nlet noise = param(\"noise\", #{ secret: true });\nstack(\"shop\");\n\
                   ensure_vpc(#{ name: \"main\", cidr_block: \"10.0.0.0/16\" });\n";
    let project = Project::new().file("runner.toml", "[environments.dev]\ntarget = \"sim\"\n").file("p.rhai", runbook);
    let ran = project.runner(&["run", "p.rhai", "--param", "noise=main"]);
    assert_eq!(ran.code, Some(1), "{ran}");
    assert!(ran.stderr.contains("it cannot be a name") && ran.stdout.contains("nothing was changed"), "{ran}");
}

/// Nor from a journal: what takes changes back is found in it, whatever the secrets are.
#[test]
fn secrets_hide_nothing_from_a_journal() {
    let runbook = "environment(\"dev\");\nlet noise = param(\"noise\", #{ secret: true });\nstack(\"shop\");\n\
                   ensure_vpc(#{ name: \"main\", cidr_block: \"10.0.0.0/16\" });\n";
    for word in ["intent", "undo", "delete_vpc", "vpc_id", "record"] {
        let project =
            Project::new().file("runner.toml", "[environments.dev]\ntarget = \"sim\"\n").file("p.rhai", runbook);
        let ran = project.runner(&["run", "p.rhai", "--param", &format!("noise={word}")]);
        assert_eq!(ran.code, Some(0), "{ran}");
        let texts = files(&project.path().join(".runner/journal")).into_keys().map(fs::read_to_string);
        let journal: String = texts.map(|text| text.expect("a readable journal")).collect();
        assert!(journal.contains(r#""record":"intent""#), "{word}: {journal}");
        assert!(
            journal.contains(r#""action":"delete_vpc""#) && journal.contains(r#""vpc_id":"vpc-"#),
            "{word}: {journal}"
        );
    }
}

/// A runbook cannot go on from an answer that only AWS has, and the plan says nothing about how a run would end.
#[test]
fn what_the_simulator_cannot_answer_is_never_caught() {
    let runbook = r#"environment("dev");
stack("shop");
let vpc = ensure_vpc(#{ name: "main", cidr_block: "10.0.0.0/16" });
let subnets = find_subnets(#{ vpc_id: find_vpc("default") });
try { ensure_load_balancer(#{ name: "web", subnets: subnets }); } catch (error) { log(error.message); }
ensure_security_group(#{ name: "x", vpc_id: vpc, description: "d" });
"#;
    let settings = "[environments.dev]\ntarget = \"sim\"\nregion = \"xx-nowhere-1\"\n";
    let project = Project::new().file("runner.toml", settings).file("p.rhai", runbook);
    let ran = project.runner(&["plan", "p.rhai", "--detailed-exitcode"]);
    insta::assert_snapshot!("not_answered", ran);
    let seen = as_data(&project.runner(&["plan", "p.rhai", "--format", "json"]));
    assert_eq!((seen.verdict.exit_code, seen.on_failure.len()), (0, 0), "how a run ends is not known");
}

#[test]
fn a_plan_that_loses_requests_is_no_good_one() {
    let project = shop().file(
        "kill.rhai",
        r#"environment("prod");
stack("shop");
scale_asg(#{ auto_scaling_group: find_asg("web-blue"), min_size: 1, desired_capacity: 1 });
sleep("10m");
"#,
    );
    project.runner(&["run", PROD, "--sim", "--param", "image=ami-healthy-1"]);
    let ran = project.runner(&["plan", "kill.rhai", "--sim"]);
    insta::assert_snapshot!("loses_requests", ran);
    let seen = as_data(&project.runner(&["plan", "kill.rhai", "--sim", "--format", "json"]));
    assert!(seen.requests.lost > 1_000, "{:?}", seen.requests);
    let sizes: Vec<(bool, u32)> =
        seen.timeline.fleets.iter().map(|fleet| (fleet.at < 300.0, fleet.size.healthy)).collect();
    assert!(sizes.contains(&(true, 1)), "it falls when it falls, not when somebody looks: {sizes:?}");
    let html = project.runner(&["plan", "kill.rhai", "--sim", "--format", "html"]).stdout;
    assert!(html.contains("<header class=\"bad\">"), "{}", &html[..2000.min(html.len())]);
}

/// After the first `commit` nothing is taken back: a second one changes nothing about that.
#[test]
fn the_first_commit_counts() {
    let runbook = "environment(\"dev\");\nstack(\"shop\");\ncommit(\"first\");\n\
                   ensure_vpc(#{ name: \"main\", cidr_block: \"10.0.0.0/16\" });\ncommit(\"second\");\n";
    let project = Project::new().file("runner.toml", "[environments.dev]\ntarget = \"sim\"\n").file("p.rhai", runbook);
    let seen = as_data(&project.runner(&["plan", "p.rhai", "--format", "json"]));
    assert_eq!(seen.rollback.point_of_no_return.expect("one").label, "first");
    assert!(seen.rollback.undos.is_empty());
}

#[test]
fn what_is_not_modelled_stops_the_plan_by_name() {
    let runbook = r##"
let env = environment("dev");
stack("shop");
let vpc = find_vpc("default");
let subnets = find_subnets(#{ vpc_id: vpc });
ensure_load_balancer(#{ name: "web", subnets: subnets });
"##;
    let settings = "[environments.dev]\ntarget = \"sim\"\nregion = \"xx-nowhere-1\"\n";
    let project = Project::new().file("runner.toml", settings).file("p.rhai", runbook);
    let ran = project.runner(&["plan", "p.rhai"]);
    assert_eq!(ran.code, Some(1), "{ran}");
    assert!(
        ran.stdout.contains("the simulator does not model the region `xx-nowhere-1` of CreateLoadBalancer"),
        "{ran}"
    );
}

#[test]
fn run_can_be_dry() {
    let ran = shop().runner(&["run", PROD, "--sim", "--dry-run", "--param", "image=ami-healthy-1"]);
    assert_eq!(ran.code, Some(0), "{ran}");
    assert!(ran.stdout.starts_with("✓ 33 to create"), "{ran}");
    let options = ["--offline", "--format", "json", "--detail", "full", "--detailed-exitcode", "--untrusted"];
    let arguments = [&["run", PROD, "--dry-run", "--param", "image=ami-1"], &options[..]].concat();
    let ran = shop().runner(&arguments);
    assert_eq!(ran.code, Some(2), "{ran}");
    assert_eq!(as_data(&ran).target, "offline");
}

/// One after the other on stdout, they would be none.
#[test]
fn several_formats_need_a_folder() {
    let ran = plan(&shop(), "ami-healthy-1", &["--sim", "--format", "json", "--format", "markdown"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(3), ""), "{ran}");
    assert!(ran.stderr.contains("add `--out DIR`"), "{ran}");
}

/// What was caught is not why it failed; and a file of parameters is not shown, whatever is wrong with it.
#[test]
fn why_a_plan_fails() {
    let runbook =
        "environment(\"dev\");\nstack(\"shop\");\ntry { find_vpc(\"none\"); } catch { }\nfail(\"not today\");\n";
    let project = Project::new().file("runner.toml", "[environments.dev]\ntarget = \"sim\"\n").file("p.rhai", runbook);
    let ran = project.runner(&["plan", "p.rhai", "--detail", "summary"]);
    assert!(ran.stdout.starts_with("✗ would fail at p.rhai:4:1: not today\n"), "{ran}");
    let project =
        project.file("p.toml", "a = 1\npassword = \"hunter2\n").file("p.json", "{\"password\": \"hunter2\" 1}");
    for file in ["p.toml", "p.json"] {
        let ran = project.runner(&["plan", "p.rhai", "--params-file", file]);
        assert!(ran.code == Some(3) && !ran.stderr.contains("hunter2") && ran.stderr.contains("password"), "{ran}");
    }
}

#[test]
fn options_of_a_plan_are_for_a_dry_run_only() {
    let ran = shop().runner(&["run", PROD, "--format", "json"]);
    assert_eq!(ran.code, Some(3), "{ran}");
    insta::assert_snapshot!("options_of_a_plan", ran);
}

#[test]
fn a_world_that_is_not_there() {
    let project = shop();
    let ran = plan(&project, "ami-1", &["--offline", "--world", "fresh"]);
    assert_eq!(ran.code, Some(3), "{ran}");
    insta::assert_snapshot!("offline_and_fresh", ran);
    let ran = plan(&project, "ami-healthy-1", &["--sim", "--world", "wrold", "--detail", "summary"]);
    assert_eq!(ran.stderr, "! there is no simulated world in `wrold`: the plan begins with an empty one\n");
    let settings = "[environments.dev]\ntarget = \"sim\"\n";
    let project = Project::new().file("runner.toml", settings).file("p.rhai", "environment(\"dev\");");
    let run = |more: &[&str]| project.runner(&[&["run", "p.rhai"], more].concat()).stderr;
    let note = "! there is no simulated world in `wrold`: a new one is made there\n";
    assert!(!run(&["--sim"]).contains("no simulated world"), "the one that is always used");
    assert!(run(&["--sim", "--world", "wrold"]).starts_with(note));
    assert!(!run(&["--sim", "--world", "wrold"]).contains("no simulated world"), "now there is one");
}

#[test]
fn what_is_no_world() {
    let settings = "[environments.dev]\ntarget = \"sim\"\n";
    let project =
        Project::new().file("runner.toml", settings).file("p.rhai", "environment(\"dev\");").file("w/note", "");
    let ran = project.runner(&["plan", "p.rhai", "--offline", "--world", "runner.toml"]);
    insta::assert_snapshot!("a_file_that_is_no_world", ran);
    let ran = project.runner(&["run", "p.rhai", "--sim", "--world", "w"]);
    insta::assert_snapshot!("a_folder_that_is_no_world", ran);
    assert_eq!(files(&project.path().join("w")).len(), 1, "nothing is written there");
    let ran = project.runner(&["plan", "p.rhai", "--sim", "--world", "w"]);
    assert_eq!(ran.stderr, "! there is no simulated world in `w`: the plan begins with an empty one\n");
}

#[test]
fn the_environment_a_runbook_names_says_where() {
    let project = Project::new()
        .file("runner.toml", "[environments.dev]\ntarget = \"sim\"\n")
        .file("p.rhai", "environment(\"dev\");")
        .file("broken.rhai", "environment(\"dev\");\nnothing_like_it();");
    let ran = project.runner(&["run", "p.rhai", "--world", "w"]);
    assert_eq!(ran.code, Some(0), "{ran}");
    assert!(project.path().join("w/snapshot.json").exists(), "a world without `--sim`");
    let ran = project.runner(&["plan", "broken.rhai"]);
    assert!(ran.stdout.contains("target       sim"), "what cannot be run is not said to be on AWS: {ran}");
}

#[test]
fn how_much_is_said() {
    let project = shop();
    let [normal, quiet, summary, silent] = [&[][..], &["-q"], &["--detail", "summary"], &["-qq"]]
        .map(|more| plan(&project, "ami-1", &[&["--offline"], more].concat()).stdout);
    assert_eq!(quiet, summary);
    assert!(quiet.len() < normal.len());
    assert_eq!(silent, "");
    let data = plan(&project, "ami-1", &["--offline", "-qq", "--format", "json"]);
    assert_eq!(as_data(&data).verdict.outcome, Outcome::Changes);
}

#[test]
fn a_secret_where_none_is_wanted() {
    let settings = "[environments.dev]\ntarget = \"sim\"\n";
    let runbook = "environment(\"dev\");\nstack(\"shop\");\nlet secret = param(\"name\", #{ secret: true });\n\
                   ensure_vpc(#{ name: \"a\", cidr_block: \"10.0.0.0/16\", tags: #{ owner: secret } });\n";
    let project = Project::new().file("runner.toml", settings).file("p.rhai", runbook);
    let ran = project.runner(&["run", "p.rhai", "--sim", "--world", "fresh", "--param", "name=hunter2"]);
    insta::assert_snapshot!("a_secret_where_none_is_wanted", ran.stderr);
    let runbook = runbook.replace(
        "ensure_vpc(#{ name: \"a\", cidr_block: \"10.0.0.0/16\", tags: #{ owner: secret } })",
        "find_vpc(secret)",
    );
    let project = Project::new().file("runner.toml", settings).file("p.rhai", &runbook);
    let ran = project.runner(&["run", "p.rhai", "--sim", "--world", "fresh", "--param", "name=hunter2"]);
    assert!(ran.stderr.contains("of `find_vpc` cannot be a secret"), "{ran}");
    let runbook = "environment(\"dev\");\nstack(\"shop\");\nlet secret = param(\"name\", #{ secret: true });\n\
                   let statement = #{ Effect: \"Allow\", Action: \"s3:*\", Resource: [secret] };\n\
                   ensure_policy(#{ name: \"p\", policy_document: #{ Statement: [statement] } });\n";
    let project = Project::new().file("runner.toml", settings).file("p.rhai", runbook);
    let ran = project.runner(&["run", "p.rhai", "--sim", "--world", "fresh", "--param", "name=hunter2"]);
    assert_eq!(ran.code, Some(3), "{ran}");
    assert!(ran.stderr.contains("a policy document cannot"), "{ran}");
}

/// A planted secret is looked for in everything that comes out, and in every file but the simulated AWS itself.
#[test]
fn a_secret_is_in_no_output() {
    const SECRET: &str = "hunter2-\"canary\"/+";
    let runbook = r##"
let env = environment("dev");
stack("shop");
let password = param("password", #{ secret: true });
let vpc = find_vpc("default");
ensure_launch_template(#{ name: "web", image_id: "ami-healthy-1", instance_type: "t3.micro", user_data: password });
if param("fails", #{ "default": false }) {
    ensure_launch_template(#{ name: "bad", image_id: "ami-healthy-1", instance_type: "t3.nope", user_data: password });
}
"##;
    let project = Project::new()
        .file("runner.toml", "[environments.dev]\ntarget = \"sim\"\n")
        .file("secret.rhai", runbook)
        .file("params.json", &serde_json::json!({ "password": SECRET }).to_string());
    let formats = ["text", "markdown", "json", "html"].map(|format| format!("--format={format}"));
    let formats: Vec<&str> = formats.iter().map(String::as_str).collect();
    let inputs = ["--params-file", "params.json"];
    let mut outputs = String::new();
    for args in [
        [&["plan", "secret.rhai", "--detail", "full", "--out", "out"], &inputs[..], &formats].concat(),
        [&["plan", "secret.rhai", "--param", "fails=true"], &inputs[..]].concat(),
        [&["run", "secret.rhai", "-vvv"], &inputs[..]].concat(),
        [&["run", "secret.rhai", "--json", "-vvv"], &inputs[..]].concat(),
        [&["run", "secret.rhai", "-vvv", "--param", "fails=true"], &inputs[..]].concat(),
        [&["plan", "secret.rhai", "--detail", "full"], &inputs[..], &formats].concat(),
    ] {
        let ran = project.runner_in(&args, &[("RUNNER_LOG", "trace")]);
        assert!(!ran.stdout.is_empty() || !ran.stderr.is_empty(), "{args:?}");
        outputs += &ran.to_string();
    }
    for (file, _) in files(project.path()) {
        // The simulated AWS has the user data, as AWS would; the parameters were given in a file.
        if !file.contains("/.runner/sim/") && !file.ends_with("params.json") {
            outputs += &fs::read_to_string(&file).expect("text");
        }
    }
    let json = serde_json::Value::from(SECRET).to_string();
    let base64 = base64::engine::general_purpose::STANDARD.encode(SECRET);
    let url: String = form_urlencoded::byte_serialize(SECRET.as_bytes()).collect();
    for form in [SECRET, json.trim_matches('"'), &base64, &url, "hunter2-"] {
        let found = outputs.lines().find(|line| line.contains(form));
        assert_eq!(found, None, "the secret as {form}");
    }
    assert!(outputs.contains("user_data"), "it was about user data");
}

/// A reviewer reads the plan, not the requests: what is new says whom it lets in, what it grants and what it is made of.
#[test]
fn what_is_new_says_what_decides() {
    let project = shop();
    let formats = ["--format", "markdown", "--format", "json", "--format", "html", "--out", "plans"];
    let ran = plan(&project, "ami-0123456789abcdef0", &[&["--offline"], &formats[..]].concat());
    insta::assert_snapshot!("new", ran);
    for file in ["plan.md", "plan.html", "plan.json"] {
        let text = fs::read_to_string(project.path().join("plans").join(file)).expect("it was written");
        for fact in ["tcp 443 from 0.0.0.0/0", "Allow ssm:GetParameter on *", "internet-facing", "HTTPS 443"] {
            assert!(text.contains(fact), "{fact} in {file}");
        }
        let made_up = text.find("certificate/").map(|at| &text[at..at + 16]);
        assert_eq!(made_up, Some("certificate/new-"), "{file}");
        let url = text.find(".eu-central-1.elb.amazonaws.com").map(|at| &text[at - 19..at]);
        assert!(url.is_some_and(|url| url.contains("shop-prod-web-new-")), "{url:?} in {file}");
    }
}

/// Of a value that is left out a reviewer sees that it is another one; of the end of a line, that it is there.
#[test]
fn what_is_not_shown_is_told_to_change() {
    let runbook = r##"
let env = environment("dev");
stack("shop");
let version = param("version", #{ "default": 0 });
let texts = [
    "TOKEN=first\nrun\n", "TOKEN=second\nrun\n", "TOKEN=second\nrun", "TOKEN=second\r\nrun",
    "psql postgres://web:hunter2@db/shop\ncurl -H 'Authorization: Bearer abc' --token abc\n",
];
ensure_launch_template(#{
    name: "web", image_id: "ami-healthy-1", instance_type: "t3.micro", user_data: texts[version],
});
log("postgres://web:hunter2@db/shop");
"##;
    let project = Project::new().file("runner.toml", "[environments.dev]\ntarget = \"sim\"\n").file("p.rhai", runbook);
    let mut seen = String::new();
    for (version, next) in [(0, 1), (1, 2), (2, 3), (3, 4)] {
        let ran = project.runner(&["run", "p.rhai", "--param", &format!("version={version}")]);
        assert_eq!(ran.code, Some(0), "{ran}");
        let plan = project.runner(&["plan", "p.rhai", "--format", "json", "--param", &format!("version={next}")]);
        let plan = as_data(&plan);
        let changes = plan.steps().flat_map(|step| &step.changes).filter(|change| change.field == "user_data");
        let diffs: Vec<&str> = changes.filter_map(|change| change.diff.as_deref()).collect();
        seen += &format!("from {version} to {next}:\n{}", diffs.concat());
        let told = plan.timeline.marks.iter().any(|mark| mark.text == "postgres://web:(not shown)@db/shop");
        assert!(told, "{:?}", plan.timeline.marks);
    }
    insta::assert_snapshot!("user_data", seen);
}

/// What is kept of accounts is for its owner.
#[cfg(unix)]
#[test]
fn nobody_else_reads_what_is_kept() {
    use std::os::unix::fs::PermissionsExt;

    let runbook = "let env = environment(\"dev\");\nstack(\"shop\");\nensure_vpc(#{ name: \"a\", cidr_block: \"10.0.0.0/16\" });\n";
    let project = Project::new().file("runner.toml", "[environments.dev]\ntarget = \"sim\"\n").file("p.rhai", runbook);
    let ran = project.runner(&["run", "p.rhai"]);
    assert_eq!(ran.code, Some(0), "{ran}");
    let mode = |path: &Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    assert_eq!(mode(&project.path().join(".runner")), 0o700);
    for (file, _) in files(&project.path().join(".runner")) {
        let path = Path::new(&file);
        assert_eq!(mode(path.parent().expect("a folder")), 0o700, "the folder of {file}");
        assert_eq!(mode(path), 0o600, "{file}");
    }
}

/// A plan, and a run that fails, count alike what a rollback takes back, what it keeps, and what it calls.
#[test]
fn a_rollback_says_what_it_keeps() {
    let runbook = r##"
let env = environment("dev");
stack("shop");
on_rollback("first", || log("back"));
let vpc = ensure_vpc(#{ name: "a", cidr_block: "10.0.0.0/16", keep_on_rollback: true });
ensure_internet_gateway(#{ name: "a", vpc_id: vpc.vpc_id });
on_rollback(|| log("back"));
if param("fails", #{ "default": false }) { fail("not today"); }
commit("live");
on_rollback("too late", || log("back"));
"##;
    let project = Project::new().file("runner.toml", "[environments.dev]\ntarget = \"sim\"\n").file("p.rhai", runbook);
    let ran = project.runner(&["plan", "p.rhai", "--detail", "full"]);
    let seen = ran.stdout.split("\nrollback\n").nth(1).and_then(|rest| rest.split("\n\n").next()).unwrap_or_default();
    let data = as_data(&project.runner(&["plan", "p.rhai", "--format", "json"]));
    let kept: Vec<bool> = data.rollback.undos.iter().map(|undo| undo.keep).collect();
    let hooks: Vec<(&str, u32)> = data.rollback.hooks.iter().map(|it| (it.label.as_str(), it.after_undos)).collect();
    assert_eq!((kept.as_slice(), hooks.as_slice()), (&[true, false, false][..], &[("first", 0), ("p.rhai:7", 3)][..]));
    let failing = project.runner(&["plan", "p.rhai", "--param", "fails=true"]).stdout;
    let figures = failing.lines().filter(|line| line.contains(" kept")).collect::<Vec<_>>().join("\n");
    let ran = project.runner(&["run", "p.rhai", "--param", "fails=true"]);
    let heading = ran.stderr.lines().find(|line| line.starts_with("rolling back")).unwrap_or_default().to_owned();
    insta::assert_snapshot!("rollback", format!("{seen}\n\n{figures}\n\n{heading}\n"));
}

/// The error beside a plan is about the same things as the plan.
#[test]
fn a_failing_plan_has_one_name_for_each_new_thing() {
    let ran = plan(&shop(), "ami-never-healthy", &["--sim"]);
    assert!(ran.stderr.contains("i-new-1"), "{ran}");
    assert!(!ran.stderr.contains("0000000"), "an id that nobody will ever see: {ran}");
    let data = as_data(&plan(&shop(), "ami-never-healthy", &["--sim", "--format", "json"]));
    for stage in &data.stages {
        let ends = stage.steps.iter().map(|step| step.starts + step.seconds).fold(0.0, f64::max);
        assert!((stage.starts + stage.seconds - ends).abs() < 0.01, "{:?} lasts until its last step ends", stage.name);
    }
    assert!(ran.stdout.contains(" until it fails\n") && !ran.stdout.contains("when all goes well"), "{ran}");
}

/// What is sent again is neither a read nor a change: the rest is what a run counts.
#[test]
fn the_calls_of_a_plan_add_up() {
    let project = shop();
    let totals = as_data(&plan(&project, "ami-healthy-1", &["--sim", "--format", "json"])).totals;
    let ran = project.runner(&["run", PROD, "--sim", "--param", "image=ami-healthy-1"]);
    let wanted = format!("  {} ({} mutations)", totals.calls, totals.calls - totals.reads - totals.repeated);
    assert!(ran.stdout.contains(&wanted), "{wanted}\n{ran}");
}

/// A reviewer sees which elements of a list change, what is open to everybody, and what a new machine runs.
#[test]
fn what_a_reviewer_has_to_see() {
    let runbook = r##"
environment("dev");
stack("shop");
let vpc = find_vpc("default");
let zones = if param("next", #{ "default": false }) { ["us-east-1b", "us-east-1c"] } else { ["us-east-1a", "us-east-1b"] };
let subnets = find_subnets(#{ vpc_id: vpc, availability_zones: zones });
ensure_security_group(#{
    name: "a", vpc_id: vpc, description: "a",
    ingress: [#{ port: 22, cidr_ip: "0.0.0.0/0" }, #{ port: 443, cidr_ip: "0.0.0.0/0" }],
});
ensure_role(#{
    name: "a", trust: "ec2.amazonaws.com", managed_policy_arns: ["arn:aws:iam::aws:policy/AdministratorAccess"],
});
let script = "#!/bin/sh\nexport TOKEN=hunter2\nif true; then\n";
for number in 0..50 { script += "  echo " + number + "\n"; }
let template = ensure_launch_template(#{
    name: "a", image_id: "ami-healthy-1", instance_type: "t3.micro", user_data: script + "fi\n",
});
launch_asg(#{ name: "a", launch_template: template, subnets: subnets, min_size: 0, max_size: 2 });
"##;
    let project = Project::new().file("runner.toml", "[environments.dev]\ntarget = \"sim\"\n").file("p.rhai", runbook);
    let formats = ["--format", "markdown", "--format", "html", "--out", "plan"];
    let made = |more: &[&str]| {
        let ran = project.runner(&[&["plan", "p.rhai"], more, &formats].concat());
        let read = |name: &str| fs::read_to_string(project.path().join("plan").join(name)).expect("it was written");
        (ran.stdout, read("plan.md"), read("plan.html"))
    };
    let (text, markdown, html) = made(&[]);
    insta::assert_snapshot!("reviewer_first", text);
    for form in [&text, &markdown, &html] {
        assert!(form.contains("+  echo 3") || form.contains("+         echo 3"), "line by line: {form}");
        assert!(form.contains("opens to everybody") && form.contains("TOKEN=(not shown)"), "{form}");
        assert!(!form.contains("hunter2") && !form.contains("\"mixed\""), "{form}");
    }
    assert!(html.contains("echo 49") && !text.contains("echo 49") && !markdown.contains("echo 49"), "40 lines");
    let (full, markdown, _) = made(&["--detail", "full"]);
    assert!(full.contains("+  echo 49") && markdown.contains("echo 49"), "all of them: {full}");

    let ran = project.runner(&["run", "p.rhai"]);
    assert_eq!(ran.code, Some(0), "{ran}");
    let (text, markdown, html) = made(&["--param", "next=true"]);
    insta::assert_snapshot!("reviewer_next", text);
    let changed = markdown.find("subnets:").map(|at| markdown[at..].lines().take(4).collect::<Vec<_>>().join("\n"));
    insta::assert_snapshot!("reviewer_next_markdown", changed.unwrap_or_default());
    assert!(html.contains("1 unchanged"), "{html}");
}

/// From an account on a moto server: without its secrets, and good for the next image too.
#[test]
fn a_snapshot_and_plans_from_it() {
    let moto = moto();
    let settings = format!(
        "[environments.dev]\nregion = \"eu-central-1\"\nrole_arn = \"arn:aws:iam::{}:role/plan\"\n",
        moto.new_account()
    );
    let runbook = r##"
environment("dev");
stack("shop");
let template = |name, data| ensure_launch_template(#{ name: name, image_id: param("image"), instance_type: "t3.micro", user_data: data });
ensure_vpc(#{ name: "main", cidr_block: "10.0.0.0/16" });
template.call("web", "#!/bin/sh\nrun\n");
template.call("worker", "#!/bin/sh\nexport DB_PASSWORD=hunter2\nrun\n");
"##;
    let project = Project::new().file("runner.toml", &settings).file("p.rhai", runbook);
    let runner = |args: &[&str], image: &str| {
        let image = format!("image={image}");
        let variables = [("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test")];
        project.runner_in(&[args, &["--param", &image]].concat(), &variables)
    };
    let url = moto.url();
    let ran = runner(&["run", "p.rhai", "--endpoint-url", &url], "ami-healthy-1");
    assert_eq!(ran.code, Some(0), "{ran}");
    let ran = runner(&["snapshot", "p.rhai", "--endpoint-url", &url, "--out", "s.json"], "ami-healthy-1");
    assert_eq!(ran.code, Some(0), "{ran}");
    let written = fs::read_to_string(project.path().join("s.json")).expect("a snapshot");
    for secret in ["hunter2".to_owned(), base64("#!/bin/sh\nexport DB_PASSWORD=hunter2\nrun\n")] {
        assert!(!written.contains(&secret), "{secret}");
    }
    let from_it = ["plan", "p.rhai", "--offline", "--world", "s.json", "--format", "json"];
    let same = as_data(&runner(&from_it, "ami-healthy-1"));
    let changed: Vec<&str> =
        same.steps().filter(|step| !step.calls.is_empty()).map(|step| step.subject.as_str()).collect();
    assert_eq!(changed, ["worker"], "of what was left out nobody knows that it is the same");
    let next = as_data(&runner(&from_it, "ami-0123456789abcdef0"));
    assert_eq!((next.failure, next.totals.update), (None, 2));

    for (world, wanted) in [("nope.json", "the snapshot nope.json cannot be read"), ("/dev/zero", "not a regular file")]
    {
        let ran = runner(&["plan", "p.rhai", "--offline", "--world", world], "ami-1");
        assert!(ran.code == Some(3) && ran.stderr.contains(wanted), "{ran}");
    }
}

fn base64(text: &str) -> String {
    base64::engine::general_purpose::STANDARD.encode(text)
}

/// What SSM keeps encrypted is shown by nothing that looks at it: not as text, not in a file, not in an error.
#[test]
fn a_secure_string_is_in_no_output() {
    const SECRET: &str = "hunter2-canary";
    let moto = moto();
    let account = moto.new_account();
    let put = format!("client('ssm').put_parameter(Name='/shop/db', Value='{SECRET}', Type='SecureString')['Version']");
    assert_eq!(moto.boto3(&account, &put), 1);
    let settings =
        format!("[environments.dev]\nregion = \"eu-central-1\"\nrole_arn = \"arn:aws:iam::{account}:role/plan\"\n");
    let runbook = r##"
environment("dev");
stack("shop");
try { find_image(#{ ssm_parameter: "/shop/db" }); } catch (error) { output("said", error.message); }
ensure_vpc(#{ name: "main", cidr_block: "10.0.0.0/16" });
find_image(#{ ssm_parameter: "/shop/db" });
"##;
    let project = Project::new().file("runner.toml", &settings).file("p.rhai", runbook);
    let url = moto.url();
    let runner = |args: &[&str]| {
        let variables = [("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test"), ("RUNNER_LOG", "trace")];
        project.runner_in(&[args, &["--endpoint-url", &url]].concat(), &variables)
    };
    let formats = ["--format", "text", "--format", "markdown", "--format", "json", "--format", "html", "--out", "plan"];
    let mut said = String::new();
    for args in [
        &[&["plan", "p.rhai", "--detail", "full"], &formats[..]].concat()[..],
        &["run", "p.rhai", "--json-into", "events.jsonl"],
        &["snapshot", "p.rhai", "--out", "s.json"],
    ] {
        let ran = runner(args);
        assert!(ran.stderr.contains("holds no image id"), "{ran}");
        said += &ran.to_string();
    }
    assert!(!said.contains(SECRET));
    for file in files(project.path()).into_keys() {
        let text = String::from_utf8_lossy(&fs::read(&file).expect("a readable file")).into_owned();
        assert!(!text.contains(SECRET), "{file}");
    }
}
