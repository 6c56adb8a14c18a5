//! Worlds on disk: what was answered is there after a crash, what was not is gone, and what cannot be read is refused.

use runner::sim::{Simulator, Source, WorldError};

use super::support::Caller;

fn open(dir: &std::path::Path) -> Result<Simulator, WorldError> {
    Simulator::open(Source::Dir(dir.to_owned()), 1)
}

fn vpcs(aws: &Caller) -> usize {
    aws.pass(2);
    aws.ec2("DescribeVpcs", &[]).ok().all("vpcId").len()
}

#[test]
fn a_world_survives_its_process() {
    let dir = tempfile::tempdir().unwrap();
    let aws = Caller::new(open(dir.path()).unwrap());
    let id = aws.sim.world_id();
    aws.ec2("CreateVpc", &[("CidrBlock", "10.0.0.0/16")]).ok();
    assert_eq!(aws.ec2("CreateVpc", &[("CidrBlock", "10.0.0.0/8")]).error(), "InvalidVpc.Range");
    let before = aws.sim.observe();
    drop(aws); // no close: the log alone has it

    let aws = Caller::new(open(dir.path()).unwrap());
    assert_eq!(aws.sim.observe(), before);
    assert_eq!(aws.sim.world_id(), id);
    assert_eq!(aws.ec2("CreateVpc", &[("CidrBlock", "10.1.0.0/16")]).one("vpcId").len(), "vpc-".len() + 17);
    assert_eq!(vpcs(&aws), 3);
    let time = aws.now.get();
    aws.sim.advance(time);
    aws.sim.close().unwrap();
    drop(aws);

    assert_eq!(std::fs::read(dir.path().join("log.jsonl")).unwrap(), b"");
    let aws = Caller::new(open(dir.path()).unwrap());
    assert_eq!(aws.sim.clock(), time);
    assert_eq!(vpcs(&aws), 3);
}

#[test]
fn a_torn_last_line_was_never_answered() {
    let dir = tempfile::tempdir().unwrap();
    let aws = Caller::new(open(dir.path()).unwrap());
    aws.ec2("CreateVpc", &[("CidrBlock", "10.0.0.0/16")]).ok();
    aws.ec2("CreateVpc", &[("CidrBlock", "10.1.0.0/16")]).ok();
    drop(aws);
    let log = dir.path().join("log.jsonl");
    let text = std::fs::read(&log).unwrap();
    std::fs::write(&log, &text[..text.len() - 5]).unwrap();

    let aws = Caller::new(open(dir.path()).unwrap());
    assert_eq!(vpcs(&aws), 2);
    aws.ec2("CreateVpc", &[("CidrBlock", "10.2.0.0/16")]).ok();
    drop(aws);
    assert_eq!(vpcs(&Caller::new(open(dir.path()).unwrap())), 3);
}

#[test]
fn a_snapshot_that_has_the_log_already_does_not_take_it_twice() {
    let dir = tempfile::tempdir().unwrap();
    let aws = Caller::new(open(dir.path()).unwrap());
    aws.ec2("CreateVpc", &[("CidrBlock", "10.0.0.0/16")]).ok();
    let log = std::fs::read(dir.path().join("log.jsonl")).unwrap();
    aws.sim.close().unwrap();
    drop(aws);
    std::fs::write(dir.path().join("log.jsonl"), log).unwrap();
    assert_eq!(vpcs(&Caller::new(open(dir.path()).unwrap())), 2);
}

#[test]
fn a_newer_version_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("snapshot.json"), r#"{"version": 99, "shape": "unheard of"}"#).unwrap();
    let error = open(dir.path()).err().unwrap();
    assert!(matches!(error, WorldError::Newer { found: 99, .. }), "{error}");
    assert!(error.to_string().contains("version 99"), "{error}");
}

#[test]
fn damage_is_named() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()).unwrap());
    std::fs::write(dir.path().join("log.jsonl"), "{}\n").unwrap();
    let error = open(dir.path()).err().unwrap();
    assert!(error.to_string().contains("line 1"), "{error}");
}

#[test]
fn one_process_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let first = open(dir.path()).unwrap();
    let error = open(dir.path()).err().unwrap();
    assert!(matches!(error, WorldError::Locked(_)), "{error}");
    assert!(error.to_string().contains(&dir.path().display().to_string()), "{error}");
    drop(first);
    open(dir.path()).unwrap();
}

#[test]
fn what_was_under_way_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let aws = Caller::new(open(dir.path()).unwrap());
    let subnet = aws.ec2("DescribeSubnets", &[]).one("subnetId");
    let address = aws.ec2("AllocateAddress", &[]).one("allocationId");
    aws.pass(2);
    let nat = [("SubnetId", subnet.as_str()), ("AllocationId", &address), ("ClientToken", "t")];
    let id = aws.ec2("CreateNatGateway", &nat).one("natGatewayId");
    let time = aws.now.get();
    drop(aws);

    let aws = Caller::new(open(dir.path()).unwrap());
    aws.now.set(time);
    assert_eq!(aws.ec2("CreateNatGateway", &nat).one("natGatewayId"), id, "the token is known");
    aws.pass(2);
    let state = || aws.ec2("DescribeNatGateways", &[("NatGatewayId.1", &id)]).one("state");
    assert_eq!(state(), "pending");
    aws.pass(90);
    assert_eq!(state(), "available");
}
