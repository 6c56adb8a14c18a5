//! The way through, on VPCs: create, show, tag, filter, refuse, lag, observe.

use super::support::Caller;

#[test]
fn a_vpc_is_made_shown_tagged_and_deleted() {
    let aws = Caller::prompt();
    let untouched = aws.sim.observe();
    let made = aws.ec2(
        "CreateVpc",
        &[
            ("CidrBlock", "10.0.7.0/16"),
            ("TagSpecification.1.ResourceType", "vpc"),
            ("TagSpecification.1.Tag.1.Key", "Name"),
            ("TagSpecification.1.Tag.1.Value", "a <b> & c"),
        ],
    );
    let id = made.one("vpcId");
    assert_eq!(id, "vpc-00000000000000001");
    assert_eq!(made.one("cidrBlock"), "10.0.0.0/16");
    assert_eq!(made.one("value"), "a &lt;b&gt; &amp; c");

    aws.ec2("CreateTags", &[("ResourceId.1", &id), ("Tag.1.Key", "colour"), ("Tag.1.Value", "blue")]).ok();
    let by = |name: &str, value: &str| {
        aws.ec2("DescribeVpcs", &[("Filter.1.Name", name), ("Filter.1.Value.1", value)]).ok().all("vpcId").len()
    };
    assert_eq!(by("tag:colour", "bl*"), 1);
    assert_eq!(by("tag:colour", "green"), 0);
    assert_eq!(by("tag-key", "colour"), 1);
    assert_eq!(by("is-default", "true"), 1);
    assert_eq!(aws.ec2("DescribeTags", &[]).ok().all("key"), ["Name", "colour"]);

    aws.ec2("DeleteTags", &[("ResourceId.1", &id), ("Tag.1.Key", "colour"), ("Tag.1.Value", "green")]).ok();
    assert_eq!(by("tag-key", "colour"), 1, "another value is another tag");
    assert_ne!(aws.sim.observe(), untouched);

    aws.ec2("DeleteVpc", &[("VpcId", &id)]).ok();
    assert_eq!(aws.ec2("DeleteVpc", &[("VpcId", &id)]).error(), "InvalidVpcID.NotFound");
    assert_eq!(aws.sim.observe(), untouched);
}

#[test]
fn attributes_are_kept() {
    let aws = Caller::prompt();
    let id = aws.ec2("CreateVpc", &[("CidrBlock", "10.0.0.0/16")]).one("vpcId");
    let hostnames = || aws.ec2("DescribeVpcAttribute", &[("VpcId", &id), ("Attribute", "enableDnsHostnames")]);
    assert_eq!(hostnames().one("value"), "false");
    aws.ec2("ModifyVpcAttribute", &[("VpcId", &id), ("EnableDnsHostnames.Value", "true")]).ok();
    assert_eq!(hostnames().one("value"), "true");
}

#[test]
fn aws_refuses() {
    let aws = Caller::prompt();
    let create = |cidr: &str| aws.ec2("CreateVpc", &[("CidrBlock", cidr)]);
    assert_eq!(create("10.0.0.0/8").error(), "InvalidVpc.Range");
    assert_eq!(create("10.0.0.0/29").error(), "InvalidVpc.Range");
    assert_eq!(create("ten").error(), "InvalidParameterValue");
    assert_eq!(aws.ec2("CreateVpc", &[]).error(), "MissingParameter");
    assert_eq!(aws.ec2("DeleteVpc", &[("VpcId", "vpc-1")]).message(), "The vpc ID &apos;vpc-1&apos; does not exist");
    assert_eq!(aws.ec2("DeleteVpc", &[("VpcId", "shop")]).error(), "InvalidVpcID.Malformed");
    let dry = aws.ec2("CreateVpc", &[("CidrBlock", "10.0.0.0/16"), ("DryRun", "true")]);
    assert_eq!((dry.status, dry.error().as_str()), (412, "DryRunOperation"));
}

#[test]
fn what_is_not_modelled_is_refused_by_name() {
    let aws = Caller::prompt();
    let action = aws.ec2("CreateFleet", &[]);
    assert_eq!(action.error(), "InvalidAction");
    assert!(action.message().contains("`ec2:CreateFleet`"), "{}", action.body);
    let parameter = aws.ec2("CreateVpc", &[("CidrBlock", "10.0.0.0/16"), ("Ipv6Pool", "x")]);
    assert_eq!(parameter.error(), "UnknownParameter");
    assert!(parameter.message().contains("`Ipv6Pool` of ec2:CreateVpc"), "{}", parameter.body);
    let filter = aws.ec2("DescribeVpcs", &[("Filter.1.Name", "mood"), ("Filter.1.Value.1", "blue")]);
    assert!(filter.message().contains("`mood` of ec2:DescribeVpcs"), "{}", filter.body);
    let service = aws.send("sqs", "Action=ListQueues".to_owned());
    assert!(service.message().contains("`sqs`"), "{}", service.body);
}

#[test]
fn accounts_and_regions_are_apart() {
    let mut aws = Caller::prompt();
    let count = |aws: &Caller| aws.ec2("DescribeVpcs", &[]).ok().all("vpcId").len();
    aws.ec2("CreateVpc", &[("CidrBlock", "10.0.0.0/16")]).ok();
    assert_eq!(count(&aws), 2);
    aws.region = "us-east-1";
    assert_eq!(count(&aws), 1, "the default VPC only");
    aws.region = "eu-west-1";
    aws.key = "AKIAIOSFODNN7EXAMPLE";
    assert_eq!(aws.ec2("DescribeVpcs", &[]).one("ownerId"), "123456789012");
    assert_eq!(count(&aws), 1);
}

#[test]
fn pages_follow_each_other() {
    let aws = Caller::prompt();
    (0..6).for_each(|n| drop(aws.ec2("CreateVpc", &[("CidrBlock", &format!("10.{n}.0.0/16"))]).ok()));
    let first = aws.ec2("DescribeVpcs", &[("MaxResults", "5")]);
    let second = aws.ec2("DescribeVpcs", &[("MaxResults", "5"), ("NextToken", &first.one("nextToken"))]);
    assert_eq!((first.all("vpcId").len(), second.ok().all("vpcId").len()), (5, 2));
    assert_eq!(aws.ec2("DescribeVpcs", &[("MaxResults", "5000")]).error(), "InvalidParameterValue");
}

#[test]
fn a_new_id_is_not_found_for_a_moment() {
    let mut missed = 0;
    for seed in 0..20 {
        let aws = Caller::lagging(seed);
        let id = aws.ec2("CreateVpc", &[("CidrBlock", "10.0.0.0/16")]).one("vpcId");
        let look = aws.ec2("DescribeVpcs", &[("VpcId.1", &id)]);
        if look.status != 200 {
            assert_eq!(look.error(), "InvalidVpcID.NotFound");
            missed += 1;
        }
        aws.pass(2);
        aws.ec2("DescribeVpcs", &[("VpcId.1", &id)]).ok();
    }
    assert!((5..=15).contains(&missed), "{missed} of 20 missed");
}

#[test]
fn the_same_requests_get_the_same_bytes() {
    let run = || {
        let aws = Caller::lagging(3);
        let made = aws.ec2("CreateVpc", &[("CidrBlock", "10.0.0.0/16")]).body;
        [made, aws.ec2("DescribeVpcs", &[]).body, aws.sim.observe().to_string()].join("\n")
    };
    assert_eq!(run(), run());
}
