//! Faults on request, and `runner test`, through the command line.

use crate::project::{Project, Ran};

/// A runbook of few calls, and one that has to take something back.
fn small() -> Project {
    Project::new().file("runner.toml", "[environments.prod]\nregion = \"eu-central-1\"\n").file(
        "vpc.rhai",
        "let env = environment(\"prod\");\nstack(\"shop\");\n\
             let vpc = ensure_vpc(#{ name: \"main\", cidr_block: \"10.0.0.0/16\" });\n\
             ensure_security_group(#{ name: \"web\", vpc_id: vpc, description: \"web\" });\n",
    )
}

fn run(project: &Project, faults: &[&str]) -> Ran {
    let faults = faults.iter().flat_map(|fault| ["--sim-fault", fault]);
    let args: Vec<&str> = ["run", "vpc.rhai", "--sim", "--world", "fresh", "-q"].into_iter().chain(faults).collect();
    project.runner(&args)
}

#[test]
fn what_aws_does_in_passing_is_overcome() {
    for fault in [
        "ec2:CreateVpc#1=throttle",
        "ec2:CreateVpc#1=500-applied",
        "ec2:CreateVpc#1=timeout-not-applied",
        "ec2:CreateVpc#1=timeout-applied",
        "ec2:CreateVpc#1=reset",
        "ec2:DescribeVpcs#1=stale-read",
        "ec2:CreateSecurityGroup#1=slow",
    ] {
        let ran = run(&small(), &[fault]);
        assert_eq!(ran.code, Some(0), "{fault}\n{ran}");
        assert!(!ran.stderr.contains("did not happen"), "{fault}\n{ran}");
    }
}

#[test]
fn what_stays_is_taken_back() {
    for fault in [
        "ec2:CreateSecurityGroup#1=denied",
        "ec2:CreateSecurityGroup#1=quota",
        "ec2:CreateSecurityGroup#1=expired-credentials",
        "ec2:CreateSecurityGroup#1+=throttle",
    ] {
        let ran = run(&small(), &[fault]);
        assert_eq!(ran.code, Some(10), "{fault}\n{ran}");
    }
}

/// What was refused has changed nothing.
#[test]
fn a_refused_change_is_none() {
    let ran = run(&small(), &["ec2:CreateVpc#1=denied"]);
    assert_eq!(ran.code, Some(4), "{ran}");
    assert!(ran.stdout.contains("nothing was changed") && ran.stdout.contains("(0 mutations)"), "{ran}");
}

/// What is left is told however quiet it is to be: somebody has to see to it.
#[test]
fn what_could_not_be_taken_back_is_told() {
    let faults = ["ec2:CreateSecurityGroup#1=denied", "ec2:DeleteVpc#1+=denied"];
    let faults = faults.iter().flat_map(|fault| ["--sim-fault", fault]);
    for quiet in ["-q", "-qq"] {
        let args = ["run", "vpc.rhai", "--sim", "--world", "fresh", quiet];
        let ran = small().runner(&args.into_iter().chain(faults.clone()).collect::<Vec<_>>());
        assert_eq!(ran.code, Some(11), "{ran}");
        assert!(ran.stderr.contains("delete vpc shop-prod-main: failed"), "{ran}");
    }
}

#[test]
fn a_fault_in_vain_is_told() {
    let run = ["run", "vpc.rhai", "--sim", "--world", "fresh", "--sim-fault"];
    for fault in ["ec2:CreateVpc#2=throttle", "ec2:CreateVpc#1=instance-death"] {
        let ran = small().runner(&[&run[..], &[fault]].concat());
        assert_eq!(ran.code, Some(0), "{ran}");
        assert!(ran.stderr.contains(&format!("the fault `{fault}` did not happen")), "{ran}");
    }
    let plan = ["plan", "vpc.rhai", "--sim", "--world", "fresh", "--sim-fault", "ec2:DeleteVpc#1=denied"];
    insta::assert_snapshot!(small().runner(&plan));
}

#[test]
fn a_plan_has_them_too() {
    let plan = ["plan", "vpc.rhai", "--sim", "--world", "fresh", "--sim-fault", "ec2:CreateVpc#1=quota"];
    let ran = small().runner(&plan);
    assert!(ran.stdout.contains("VpcLimitExceeded"), "{ran}");
}

#[test]
fn what_is_no_fault_is_refused() {
    insta::assert_snapshot!("no_kind", run(&small(), &["ec2:CreateVpc#1=explode"]));
    insta::assert_snapshot!("no_action", run(&small(), &["ec2:CreateVpcs#1=throttle"]));
    let aws = ["run", "vpc.rhai", "--sim-fault", "ec2:CreateVpc#1=throttle"];
    insta::assert_snapshot!("not_on_aws", small().runner(&aws));
}

#[test]
fn a_runbook_is_tried_without_faults() {
    insta::assert_snapshot!(small().runner(&["test", "vpc.rhai"]));
}

#[test]
fn a_runbook_that_is_not_stable_is_told() {
    let project = small().file(
        "again.rhai",
        "let env = environment(\"prod\");\nstack(\"shop\");\n\
         let found = now();\nensure_vpc(#{ name: `v-${found}`, cidr_block: \"10.0.0.0/16\" });\n",
    );
    let ran = project.runner(&["test", "again.rhai"]);
    assert_eq!(ran.code, Some(1), "{ran}");
    assert!(ran.stderr.contains("a second run is not without changes"), "{ran}");
}

/// A full disk: nothing of the run is lost, and the file is not taken for whole.
#[test]
fn a_recording_that_is_not_whole_is_told() {
    let ran = small().runner(&["run", "vpc.rhai", "--sim", "--world", "fresh", "--record-wire", "/dev/full"]);
    assert_eq!(ran.code, Some(0), "{ran}");
    assert!(ran.stderr.contains("not all requests and replies are recorded: No space left"), "{ran}");
}

#[test]
fn a_shortage_ends_with_the_fault() {
    let image = ["--param", "image=ami-healthy-1"];
    let project = Project::new()
        .file("runner.toml", include_str!("../../runner.toml"))
        .file("prod.rhai", include_str!("../../runbooks/prod-deploy.rhai"));
    let short =
        ["run", "prod.rhai", "--sim", "-qq", "--sim-fault", "*:CreateAutoScalingGroup#1+=insufficient-capacity"];
    let ran = project.runner(&[&short[..], &image].concat());
    assert_eq!(ran.code, Some(10), "{ran}");
    let ran = project.runner(&[&["run", "prod.rhai", "--sim", "-qq"][..], &image].concat());
    assert_eq!(ran.code, Some(0), "{ran}");
}

#[test]
fn every_call_fails_in_every_way() {
    let ran = small().runner(&["test", "vpc.rhai", "--sweep", "--jobs", "2"]);
    assert_eq!(ran.code, Some(0), "{ran}");
    assert!(ran.stdout.contains("fault at each call"), "{ran}");
    assert!(ran.stdout.contains("0 requests failed"), "{ran}");
}

/// A slip in its name would try something else: the first deploy.
#[test]
fn a_world_that_is_not_there_is_not_tried() {
    let ran = small().runner(&["test", "vpc.rhai", "--world", "nowhere"]);
    assert_eq!(ran.code, Some(3), "{ran}");
    assert!(ran.stderr.contains("there is no simulated world in `nowhere`"), "{ran}");
}

#[test]
fn the_driver_crashes_everywhere() {
    let ran = small().runner(&["test", "vpc.rhai", "--crashes", "--jobs", "2"]);
    assert_eq!(ran.code, Some(0), "{ran}");
    for words in ["trouble of the driver", "crash after a call", "journal: overtaken", "0 requests failed"] {
        assert!(ran.stdout.contains(words), "{words}: {ran}");
    }
    let ran = small().runner(&["test", "vpc.rhai", "--crash", "call#3=crash-after,resume"]);
    assert!(ran.code == Some(0) && ran.stdout.contains("deployed"), "{ran}");
}

/// They end a process that another one could go on for.
#[test]
fn a_crash_is_of_a_run_alone() {
    let crash = "ec2:CreateVpc#1=crash-after";
    let plan = &["plan", "vpc.rhai", "--sim", "--sim-fault", crash][..];
    for words in
        [plan, &["sim", "--listen", "127.0.0.1:0", "--sim-fault", crash], &["test", "vpc.rhai", "--case", crash]]
    {
        let ran = small().runner(words);
        assert!(ran.code == Some(3) && ran.stderr.contains("ends a run, and here is none"), "{ran}");
    }
}

#[test]
fn one_case_is_replayed() {
    let ran = small().runner(&["test", "vpc.rhai", "--case", "ec2:CreateSecurityGroup#1=denied"]);
    assert_eq!(ran.code, Some(0), "{ran}");
    assert!(ran.stdout.contains("taken back"), "{ran}");
}

/// A sweep that could not find anything would be worth nothing: this runbook leaves something behind.
#[test]
fn what_is_left_behind_is_found() {
    let project = small().file(
        "careless.rhai",
        "let env = environment(\"prod\");\nstack(\"shop\");\n\
         try { ensure_vpc(#{ name: \"main\", cidr_block: \"10.0.0.0/16\" }); } catch { log(\"never mind\"); }\n",
    );
    let ran = project.runner(&["test", "careless.rhai", "--sweep", "--config", "runner.toml", "--policy-from", "."]);
    assert_eq!(ran.code, Some(1), "{ran}");
    assert!(ran.stdout.contains("deployed, but unlike without the fault: "), "{ran}");
    let replay = "runner test careless.rhai --config runner.toml --policy-from . --case 'ec2:";
    assert!(ran.stdout.contains(replay), "{ran}");
}
