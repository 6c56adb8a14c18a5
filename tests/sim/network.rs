//! The network half of EC2: what a deploy builds, what depends on what, and what AWS refuses.

use super::support::{Answer, Caller};

/// A VPC with one subnet, an internet gateway and an address.
struct Network {
    vpc: String,
    subnet: String,
    gateway: String,
    address: String,
}

fn build(aws: &Caller) -> Network {
    let vpc = aws.ec2("CreateVpc", &[("CidrBlock", "10.0.0.0/16")]).one("vpcId");
    let subnet = subnet(aws, &vpc, "10.0.0.0/24").one("subnetId");
    let gateway = aws.ec2("CreateInternetGateway", &[]).one("internetGatewayId");
    aws.ec2("AttachInternetGateway", &[("InternetGatewayId", &gateway), ("VpcId", &vpc)]).ok();
    let address = aws.ec2("AllocateAddress", &[("Domain", "vpc")]).one("allocationId");
    Network { vpc, subnet, gateway, address }
}

fn subnet(aws: &Caller, vpc: &str, cidr: &str) -> Answer {
    aws.ec2("CreateSubnet", &[("VpcId", vpc), ("CidrBlock", cidr)])
}

fn by(aws: &Caller, action: &str, filter: &str, value: &str) -> Answer {
    aws.ec2(action, &[("Filter.1.Name", filter), ("Filter.1.Value.1", value)])
}

#[test]
fn a_default_vpc_is_there_from_the_start() {
    let aws = Caller::prompt();
    let vpc = by(&aws, "DescribeVpcs", "is-default", "true").one("vpcId");
    let subnets = by(&aws, "DescribeSubnets", "vpc-id", &vpc).ok();
    assert_eq!(subnets.all("availabilityZone"), ["eu-west-1a", "eu-west-1b", "eu-west-1c"]);
    assert_eq!(subnets.all("availabilityZoneId"), ["euw1-az1", "euw1-az2", "euw1-az3"]);
    let routes = by(&aws, "DescribeRouteTables", "vpc-id", &vpc).ok();
    assert_eq!(routes.all("destinationCidrBlock"), ["172.31.0.0/16", "0.0.0.0/0"]);
    assert_eq!(aws.sim.observe(), serde_json::json!({}), "looking changes nothing");
}

#[test]
fn a_network_is_taken_down_in_order_and_leaves_nothing() {
    let aws = Caller::prompt();
    let untouched = aws.sim.observe();
    let Network { vpc, subnet, gateway, address } = build(&aws);
    let delete_vpc = || aws.ec2("DeleteVpc", &[("VpcId", &vpc)]);
    let delete_subnet = || aws.ec2("DeleteSubnet", &[("SubnetId", &subnet)]);
    let nat = aws.ec2("CreateNatGateway", &[("SubnetId", &subnet), ("AllocationId", &address)]).one("natGatewayId");
    assert_eq!(delete_vpc().error(), "DependencyViolation");
    assert_eq!(delete_subnet().error(), "DependencyViolation");
    let release = || aws.ec2("ReleaseAddress", &[("AllocationId", &address)]);
    assert_eq!(release().error(), "InvalidIPAddress.InUse");
    let detach = || aws.ec2("DetachInternetGateway", &[("InternetGatewayId", &gateway), ("VpcId", &vpc)]);
    assert_eq!(detach().error(), "DependencyViolation", "the NAT gateway has a public address");

    aws.pass(100);
    aws.ec2("DeleteNatGateway", &[("NatGatewayId", &nat)]).ok();
    assert_eq!(release().error(), "InvalidIPAddress.InUse", "still deleting");
    aws.pass(61);
    release().ok();
    delete_subnet().ok();
    let delete_gateway = || aws.ec2("DeleteInternetGateway", &[("InternetGatewayId", &gateway)]);
    assert_eq!(delete_gateway().error(), "DependencyViolation");
    detach().ok();
    assert_eq!(detach().error(), "Gateway.NotAttached");
    delete_gateway().ok();
    delete_vpc().ok();
    assert_eq!(aws.sim.observe(), untouched, "the NAT gateway that still shows does not count");
    assert_eq!(aws.ec2("DescribeNatGateways", &[("NatGatewayId.1", &nat)]).one("state"), "deleted");
    aws.pass(3600);
    assert_eq!(aws.ec2("DescribeNatGateways", &[("NatGatewayId.1", &nat)]).error(), "NatGatewayNotFound");
}

#[test]
fn subnets_stay_in_their_vpc_and_apart() {
    let aws = Caller::prompt();
    let Network { vpc, .. } = build(&aws);
    assert_eq!(subnet(&aws, &vpc, "10.0.0.128/25").error(), "InvalidSubnet.Conflict");
    assert_eq!(subnet(&aws, &vpc, "10.1.0.0/24").error(), "InvalidSubnet.Range");
    assert_eq!(subnet(&aws, &vpc, "10.0.1.0/29").error(), "InvalidSubnet.Range");
    let elsewhere =
        aws.ec2("CreateSubnet", &[("VpcId", &vpc), ("CidrBlock", "10.0.1.0/24"), ("AvailabilityZone", "eu-west-1x")]);
    assert_eq!(elsewhere.error(), "InvalidParameterValue");
    let second = subnet(&aws, &vpc, "10.0.1.0/24").ok();
    assert_eq!(second.one("availableIpAddressCount"), "251");
    assert_eq!(second.one("mapPublicIpOnLaunch"), "false");
    let id = second.one("subnetId");
    aws.ec2("ModifySubnetAttribute", &[("SubnetId", &id), ("MapPublicIpOnLaunch.Value", "true")]).ok();
    let shown = aws.ec2("DescribeSubnets", &[("SubnetId.1", &id)]);
    assert_eq!(shown.one("mapPublicIpOnLaunch"), "true");
}

#[test]
fn one_internet_gateway_per_vpc() {
    let aws = Caller::prompt();
    let Network { vpc, gateway, .. } = build(&aws);
    let attach = |gateway: &str| aws.ec2("AttachInternetGateway", &[("InternetGatewayId", gateway), ("VpcId", &vpc)]);
    assert_eq!(attach(&gateway).error(), "Resource.AlreadyAssociated");
    let second = aws.ec2("CreateInternetGateway", &[]).one("internetGatewayId");
    assert_eq!(attach(&second).error(), "InvalidParameterValue");
    let found = by(&aws, "DescribeInternetGateways", "attachment.vpc-id", &vpc);
    assert_eq!(found.one("internetGatewayId"), gateway);
}

#[test]
fn a_nat_gateway_takes_its_time_and_its_token_is_kept() {
    let aws = Caller::prompt();
    let Network { vpc, subnet, address, .. } = build(&aws);
    let create = |subnet: &str| {
        aws.ec2("CreateNatGateway", &[("SubnetId", subnet), ("AllocationId", &address), ("ClientToken", "t1")])
    };
    let nat = create(&subnet).one("natGatewayId");
    assert_eq!(create(&subnet).one("natGatewayId"), nat);
    assert_eq!(create("subnet-1").error(), "IdempotentParameterMismatch");
    let state = |nat: &str| aws.ec2("DescribeNatGateways", &[("NatGatewayId.1", nat)]).one("state");
    assert_eq!(state(&nat), "pending");
    aws.pass(90);
    assert_eq!(state(&nat), "available");
    let used = aws.ec2("DescribeAddresses", &[("AllocationId.1", &address)]);
    let interface = used.one("networkInterfaceId");
    let shown = by(&aws, "DescribeNetworkInterfaces", "subnet-id", &subnet);
    assert_eq!(shown.one("networkInterfaceId"), interface);
    assert_eq!(shown.one("privateIpAddress"), "10.0.0.4");

    let twice = aws.ec2("CreateNatGateway", &[("SubnetId", &subnet), ("AllocationId", &address)]);
    let twice = twice.one("natGatewayId");
    assert_eq!(state(&twice), "pending");
    aws.pass(90);
    let failed = aws.ec2("DescribeNatGateways", &[("NatGatewayId.1", &twice)]);
    assert_eq!(
        (failed.one("state"), failed.one("failureCode")),
        ("failed".into(), "Resource.AlreadyAssociated".into())
    );
    let found = aws.ec2(
        "DescribeNatGateways",
        &[
            ("Filter.1.Name", "vpc-id"),
            ("Filter.1.Value.1", &vpc),
            ("Filter.2.Name", "state"),
            ("Filter.2.Value.1", "available"),
            ("Filter.2.Value.2", "pending"),
        ],
    );
    assert_eq!(found.ok().all("natGatewayId"), [nat.as_str()]);
}

#[test]
fn routes_and_associations() {
    let aws = Caller::prompt();
    let Network { vpc, subnet, gateway, .. } = build(&aws);
    let table = aws.ec2("CreateRouteTable", &[("VpcId", &vpc), ("ClientToken", "a")]).one("routeTableId");
    let route = |action: &str, cidr: &str, to: &[(&str, &str)]| {
        let of = [("RouteTableId", table.as_str()), ("DestinationCidrBlock", cidr)];
        aws.ec2(action, &[&of, to].concat())
    };
    let out = [("GatewayId", gateway.as_str())];
    route("CreateRoute", "0.0.0.0/0", &out).ok();
    assert_eq!(route("CreateRoute", "0.0.0.0/0", &out).error(), "RouteAlreadyExists");
    assert_eq!(route("CreateRoute", "10.9.0.0/16", &[]).error(), "MissingParameter");
    let nowhere = [("NatGatewayId", "nat-1")];
    assert_eq!(route("CreateRoute", "10.9.0.0/16", &nowhere).error(), "InvalidNatGatewayID.NotFound");
    assert_eq!(route("ReplaceRoute", "10.9.0.0/16", &out).error(), "InvalidParameterValue");
    assert_eq!(route("DeleteRoute", "10.9.0.0/16", &[]).error(), "InvalidRoute.NotFound");
    assert_eq!(route("DeleteRoute", "10.0.0.0/16", &[]).error(), "InvalidParameterValue");

    let associate = |table: &str| aws.ec2("AssociateRouteTable", &[("RouteTableId", table), ("SubnetId", &subnet)]);
    let id = associate(&table).one("associationId");
    assert_eq!(associate(&table).one("associationId"), id, "again is the same");
    let other = aws.ec2("CreateRouteTable", &[("VpcId", &vpc)]).one("routeTableId");
    assert_eq!(associate(&other).error(), "Resource.AlreadyAssociated");
    let delete = |table: &str| aws.ec2("DeleteRouteTable", &[("RouteTableId", table)]);
    assert_eq!(delete(&table).error(), "DependencyViolation");
    let moved = aws.ec2("ReplaceRouteTableAssociation", &[("AssociationId", &id), ("RouteTableId", &other)]);
    let moved = moved.one("newAssociationId");
    assert_ne!(moved, id);
    delete(&table).ok();
    let serving = by(&aws, "DescribeRouteTables", "association.subnet-id", &subnet);
    assert_eq!(serving.one("routeTableId"), other);
    aws.ec2("DisassociateRouteTable", &[("AssociationId", &moved)]).ok();
    let main = aws.ec2(
        "DescribeRouteTables",
        &[
            ("Filter.1.Name", "association.main"),
            ("Filter.1.Value.1", "true"),
            ("Filter.2.Name", "vpc-id"),
            ("Filter.2.Value.1", &vpc),
        ],
    );
    let main = main.one("routeTableAssociationId");
    let refused = aws.ec2("DisassociateRouteTable", &[("AssociationId", &main)]);
    assert_eq!(refused.error(), "InvalidParameterValue");
}

#[test]
fn a_route_without_its_target_is_a_blackhole() {
    let aws = Caller::prompt();
    let Network { vpc, gateway, .. } = build(&aws);
    let table = aws.ec2("CreateRouteTable", &[("VpcId", &vpc)]).one("routeTableId");
    let route =
        [("RouteTableId", table.as_str()), ("DestinationCidrBlock", "0.0.0.0/0"), ("GatewayId", gateway.as_str())];
    aws.ec2("CreateRoute", &route).ok();
    aws.ec2("DetachInternetGateway", &[("InternetGatewayId", &gateway), ("VpcId", &vpc)]).ok();
    let shown = aws.ec2("DescribeRouteTables", &[("RouteTableId.1", &table)]);
    assert!(shown.body.contains("<state>blackhole</state>"));
}

#[test]
fn network_acls() {
    let aws = Caller::prompt();
    let Network { vpc, subnet, .. } = build(&aws);
    let default = by(&aws, "DescribeNetworkAcls", "association.subnet-id", &subnet).ok();
    assert_eq!(default.one("default"), "true");
    assert_eq!(default.all("ruleNumber"), ["100", "32767", "100", "32767"]);
    let association = default.one("networkAclAssociationId");
    let acl = aws.ec2("CreateNetworkAcl", &[("VpcId", &vpc)]).one("networkAclId");
    let entry = |action: &str, number: &str, cidr: &str| {
        aws.ec2(
            action,
            &[
                ("NetworkAclId", &acl),
                ("RuleNumber", number),
                ("Egress", "false"),
                ("Protocol", "6"),
                ("RuleAction", "allow"),
                ("CidrBlock", cidr),
                ("PortRange.From", "443"),
                ("PortRange.To", "443"),
            ],
        )
    };
    entry("CreateNetworkAclEntry", "110", "0.0.0.0/0").ok();
    assert_eq!(entry("CreateNetworkAclEntry", "110", "0.0.0.0/0").error(), "NetworkAclEntryAlreadyExists");
    assert_eq!(entry("CreateNetworkAclEntry", "32767", "0.0.0.0/0").error(), "InvalidParameterValue");
    assert_eq!(entry("ReplaceNetworkAclEntry", "120", "0.0.0.0/0").error(), "InvalidNetworkAclEntry.NotFound");
    entry("ReplaceNetworkAclEntry", "110", "10.0.0.0/8").ok();
    let moved = aws.ec2("ReplaceNetworkAclAssociation", &[("AssociationId", &association), ("NetworkAclId", &acl)]);
    let association = moved.one("newAssociationId");
    let shown = aws.ec2("DescribeNetworkAcls", &[("NetworkAclId.1", &acl)]);
    assert_eq!(shown.one("networkAclAssociationId"), association);
    assert_eq!(shown.all("cidrBlock"), ["0.0.0.0/0", "10.0.0.0/8", "0.0.0.0/0"]);
    let delete = |acl: &str| aws.ec2("DeleteNetworkAcl", &[("NetworkAclId", acl)]);
    assert_eq!(delete(&acl).error(), "DependencyViolation");
    let default = default.one("networkAclId");
    assert_eq!(delete(&default).error(), "InvalidParameterValue");
    let back = [("AssociationId", association.as_str()), ("NetworkAclId", default.as_str())];
    aws.ec2("ReplaceNetworkAclAssociation", &back).ok();
    let gone = [("NetworkAclId", acl.as_str()), ("RuleNumber", "110"), ("Egress", "false")];
    aws.ec2("DeleteNetworkAclEntry", &gone).ok();
    delete(&acl).ok();
}

#[test]
fn security_groups_and_their_rules() {
    let aws = Caller::prompt();
    let Network { vpc, .. } = build(&aws);
    let create = |name: &str| {
        aws.ec2("CreateSecurityGroup", &[("GroupName", name), ("GroupDescription", "of the shop"), ("VpcId", &vpc)])
    };
    let (balancer, servers) = (create("balancer").one("groupId"), create("servers").one("groupId"));
    assert_eq!(create("servers").error(), "InvalidGroup.Duplicate");
    assert_eq!(create("default").error(), "InvalidGroup.Reserved");

    let rule = |action: &str, group: &str, peer: &[(&str, &str)]| {
        let of = [
            ("GroupId", group),
            ("IpPermissions.1.IpProtocol", "tcp"),
            ("IpPermissions.1.FromPort", "8080"),
            ("IpPermissions.1.ToPort", "8080"),
        ];
        aws.ec2(action, &[&of, peer].concat())
    };
    let from_balancer = [
        ("IpPermissions.1.Groups.1.GroupId", balancer.as_str()),
        ("IpPermissions.1.Groups.1.Description", "from the balancer"),
    ];
    let world = [("IpPermissions.1.IpRanges.1.CidrIp", "10.0.0.9/8")];
    let made = rule("AuthorizeSecurityGroupIngress", &servers, &from_balancer).ok();
    assert_eq!(made.one("isEgress"), "false");
    let id = made.one("securityGroupRuleId");
    let open = rule("AuthorizeSecurityGroupIngress", &servers, &world);
    assert_eq!(open.one("cidrIpv4"), "10.0.0.0/8");
    let again = rule("AuthorizeSecurityGroupIngress", &servers, &world);
    assert_eq!(again.error(), "InvalidPermission.Duplicate");
    assert!(again.message().contains("peer: 10.0.0.0/8, TCP, from port: 8080"));

    let shown = aws.ec2("DescribeSecurityGroups", &[("GroupId.1", &servers)]).ok();
    assert_eq!(shown.all("ipProtocol"), ["tcp", "-1"]);
    assert_eq!(shown.all("cidrIp"), ["10.0.0.0/8", "0.0.0.0/0"]);
    let rules = by(&aws, "DescribeSecurityGroupRules", "group-id", &servers).ok();
    assert_eq!(rules.all("securityGroupRuleId").len(), 3);
    aws.ec2("CreateTags", &[("ResourceId.1", &id), ("Tag.1.Key", "a"), ("Tag.1.Value", "b")]).ok();
    let tagged = by(&aws, "DescribeSecurityGroupRules", "tag:a", "b");
    assert_eq!(tagged.one("securityGroupRuleId"), id);

    let delete = |group: &str| aws.ec2("DeleteSecurityGroup", &[("GroupId", group)]);
    assert_eq!(delete(&balancer).error(), "DependencyViolation");
    let revoke = [("GroupId", servers.as_str()), ("SecurityGroupRuleId.1", id.as_str())];
    aws.ec2("RevokeSecurityGroupIngress", &revoke).ok();
    assert_eq!(aws.ec2("RevokeSecurityGroupIngress", &revoke).error(), "InvalidSecurityGroupRuleId.NotFound");
    rule("RevokeSecurityGroupIngress", &servers, &world).ok();
    assert_eq!(rule("RevokeSecurityGroupIngress", &servers, &world).error(), "InvalidPermission.NotFound");
    delete(&balancer).ok();
    delete(&servers).ok();
    let default = by(&aws, "DescribeSecurityGroups", "vpc-id", &vpc).one("groupId");
    assert_eq!(delete(&default).error(), "CannotDelete");
}

#[test]
fn a_refused_request_changes_nothing() {
    let aws = Caller::prompt();
    let Network { vpc, .. } = build(&aws);
    let group = by(&aws, "DescribeSecurityGroups", "vpc-id", &vpc).one("groupId");
    let before = aws.sim.observe();
    // The first permission is new, the second is there already.
    let both = aws.ec2(
        "AuthorizeSecurityGroupEgress",
        &[
            ("GroupId", &group),
            ("IpPermissions.1.IpProtocol", "udp"),
            ("IpPermissions.1.FromPort", "53"),
            ("IpPermissions.1.ToPort", "53"),
            ("IpPermissions.1.IpRanges.1.CidrIp", "10.0.0.0/8"),
            ("IpPermissions.2.IpProtocol", "-1"),
            ("IpPermissions.2.IpRanges.1.CidrIp", "0.0.0.0/0"),
        ],
    );
    assert_eq!(both.error(), "InvalidPermission.Duplicate");
    assert_eq!(aws.sim.observe(), before);
}

#[test]
fn rules_are_described_anew_and_keep_their_ids() {
    let aws = Caller::prompt();
    let Network { vpc, .. } = build(&aws);
    let group = by(&aws, "DescribeSecurityGroups", "vpc-id", &vpc).one("groupId");
    let describe = |cidr: &str, more: &[(&str, &str)]| {
        let rule = [
            ("GroupId", group.as_str()),
            ("IpPermissions.1.IpProtocol", "-1"),
            ("IpPermissions.1.IpRanges.1.CidrIp", cidr),
        ];
        aws.ec2("UpdateSecurityGroupRuleDescriptionsEgress", &[&rule, more].concat())
    };
    let rules = || by(&aws, "DescribeSecurityGroupRules", "group-id", &group).ok();
    let before = rules();
    let ids = before.all("securityGroupRuleId");
    describe("0.0.0.0/0", &[("IpPermissions.1.IpRanges.1.Description", "out")]).ok();
    assert_eq!(rules().all("description"), ["out"]);
    describe("0.0.0.0/0", &[]).ok();
    assert!(rules().all("description").is_empty(), "one that is left out is removed");
    assert_eq!(rules().all("securityGroupRuleId"), ids);
    assert_eq!(describe("10.0.0.0/8", &[]).error(), "InvalidPermission.NotFound");
}

#[test]
fn prefix_lists_can_be_rule_peers() {
    let aws = Caller::prompt();
    let list =
        by(&aws, "DescribeManagedPrefixLists", "prefix-list-name", "*.cloudfront.origin-facing").one("prefixListId");
    let group = aws.ec2("DescribeSecurityGroups", &[]).one("groupId");
    let made = aws.ec2(
        "AuthorizeSecurityGroupIngress",
        &[
            ("GroupId", &group),
            ("IpPermissions.1.IpProtocol", "tcp"),
            ("IpPermissions.1.FromPort", "443"),
            ("IpPermissions.1.ToPort", "443"),
            ("IpPermissions.1.PrefixListIds.1.PrefixListId", &list),
        ],
    );
    assert_eq!(made.one("prefixListId"), list);
}

#[test]
fn tags_are_given_at_creation() {
    let aws = Caller::prompt();
    let tagged = |action: &str, kind: &str, params: &[(&str, &str)]| {
        let tags = [
            ("TagSpecification.1.ResourceType", kind),
            ("TagSpecification.1.Tag.1.Key", "Name"),
            ("TagSpecification.1.Tag.1.Value", "shop"),
        ];
        aws.ec2(action, &[params, &tags].concat())
    };
    tagged("CreateInternetGateway", "internet-gateway", &[]).ok();
    tagged("AllocateAddress", "elastic-ip", &[]).ok();
    let wrong = tagged("CreateInternetGateway", "vpc", &[]);
    assert_eq!(wrong.error(), "InvalidParameterValue");
    let found = by(&aws, "DescribeTags", "value", "shop").ok();
    assert_eq!(found.all("resourceType"), ["elastic-ip", "internet-gateway"]);
}
