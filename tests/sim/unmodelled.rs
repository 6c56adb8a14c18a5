//! What accounts have and the simulator has no model of: a fork shows it as the account does, and refuses by name to change
//! it.

use std::collections::BTreeMap;
use std::sync::Arc;

use runner::sim::{self, AwsError, Live, Scope, Simulator, ask};
use serde_json::{Value, json};

use crate::sdk;
use crate::support::Caller;

/// An account of which only some replies are known, as they are on the wire. To everything else it says that there is
/// nothing.
struct Canned(BTreeMap<&'static str, &'static str>);

impl Live for Canned {
    fn call(&self, _: &Scope, service: &'static str, action: &'static str, _: &Value) -> Result<Value, AwsError> {
        let service = sim::of_prefix(service).unwrap();
        let Some(result) = self.0.get(action) else { return Ok(json!({})) };
        let body = match service.name {
            "ec2" | "route53" => format!("<R>{result}</R>"),
            _ => format!("<R><{action}Result>{result}</{action}Result></R>"),
        };
        ask::reply(service, action, 200, body.as_bytes())
    }
}

fn account(replies: &[(&'static str, &'static str)]) -> Caller {
    let canned = Arc::new(Canned(replies.iter().copied().collect()));
    Caller { region: "eu-west-1", ..Caller::new(Simulator::fork(canned, "2026-03-01T00:00:00Z".parse().unwrap(), 1)) }
}

const VPC: (&str, &str) = (
    "DescribeVpcs",
    "<vpcSet><item><vpcId>vpc-1</vpcId><cidrBlock>10.0.0.0/16</cidrBlock><cidrBlockAssociationSet>
     <item><associationId>vpc-cidr-assoc-1</associationId><cidrBlock>10.0.0.0/16</cidrBlock><cidrBlockState><state>associated</state></cidrBlockState></item>
     <item><associationId>vpc-cidr-assoc-2</associationId><cidrBlock>100.64.0.0/16</cidrBlock><cidrBlockState><state>associated</state></cidrBlockState></item>
     <item><associationId>vpc-cidr-assoc-3</associationId><cidrBlock>100.65.0.0/16</cidrBlock><cidrBlockState><state>disassociated</state></cidrBlockState></item>
     </cidrBlockAssociationSet><instanceTenancy>default</instanceTenancy><isDefault>false</isDefault>
     <ipv6CidrBlockAssociationSet><item><ipv6CidrBlock>2001:db8::/56</ipv6CidrBlock></item></ipv6CidrBlockAssociationSet></item></vpcSet>",
);

const ZONES: (&str, &str) = (
    "DescribeAvailabilityZones",
    "<availabilityZoneInfo>
     <item><zoneName>eu-west-1-lon-1a</zoneName><zoneId>euw1-lon1-az1</zoneId><zoneType>local-zone</zoneType></item>
     <item><zoneName>eu-west-1a</zoneName><zoneId>euw1-az3</zoneId><zoneType>availability-zone</zoneType></item>
     <item><zoneName>eu-west-1d</zoneName><zoneId>euw1-az4</zoneId><zoneType>availability-zone</zoneType></item>
     </availabilityZoneInfo>",
);

#[test]
fn a_network_with_more_blocks_and_zones_than_here() {
    let aws = account(&[VPC, ZONES]);
    let shown = aws.ec2("DescribeVpcs", &[]).ok();
    assert_eq!(shown.one("ipv6CidrBlock"), "2001:db8::/56", "kept");
    let subnet =
        |block, zone| aws.ec2("CreateSubnet", &[("VpcId", "vpc-1"), ("CidrBlock", block), ("AvailabilityZone", zone)]);
    let made = subnet("100.64.1.0/24", "eu-west-1d");
    assert_eq!(
        (made.one("availabilityZoneId"), made.one("availabilityZone")),
        ("euw1-az4".into(), "eu-west-1d".into())
    );
    assert_eq!(subnet("100.65.1.0/24", "eu-west-1a").error(), "InvalidSubnet.Range", "this block is going");
    assert_eq!(subnet("10.0.1.0/24", "eu-west-1b").error(), "InvalidParameterValue", "there is no such zone");
    let made = aws.ec2("CreateSubnet", &[("VpcId", "vpc-1"), ("CidrBlock", "10.0.2.0/24")]);
    assert_eq!(made.one("availabilityZone"), "eu-west-1a", "not the local zone");
}

#[test]
fn a_subnet_without_ipv4() {
    let subnet = (
        "DescribeSubnets",
        "<subnetSet><item><subnetId>subnet-6</subnetId><vpcId>vpc-1</vpcId><availabilityZone>eu-west-1a</availabilityZone>
         <availableIpAddressCount>0</availableIpAddressCount><ipv6Native>true</ipv6Native><mapPublicIpOnLaunch>false</mapPublicIpOnLaunch>
         <ipv6CidrBlockAssociationSet><item><ipv6CidrBlock>2001:db8::/64</ipv6CidrBlock></item></ipv6CidrBlockAssociationSet>
         </item></subnetSet>",
    );
    let aws = account(&[VPC, ZONES, subnet]);
    let shown = aws.ec2("DescribeSubnets", &[("SubnetId.1", "subnet-6")]).ok();
    assert_eq!((shown.one("ipv6Native"), shown.one("ipv6CidrBlock")), ("true".into(), "2001:db8::/64".into()));
    assert_eq!(shown.all("cidrBlock"), [""; 0]);
    let refused = aws.ec2("CreateNatGateway", &[("SubnetId", "subnet-6"), ("ConnectivityType", "private")]);
    assert!(refused.message().contains("does not model subnets without IPv4, as subnet-6 is one"), "{}", refused.body);
    aws.ec2("CreateTags", &[("ResourceId.1", "subnet-6"), ("Tag.1.Key", "k"), ("Tag.1.Value", "v")]).ok();
    let shown = aws.ec2("DescribeSubnets", &[("Filter.1.Name", "tag:k"), ("Filter.1.Value.1", "v")]);
    assert_eq!(shown.one("ipv6Native"), "true", "also after a change");
}

#[test]
fn routes_to_what_is_not_modelled() {
    let table = (
        "DescribeRouteTables",
        "<routeTableSet><item><routeTableId>rtb-1</routeTableId><vpcId>vpc-1</vpcId><routeSet>
         <item><destinationCidrBlock>10.0.0.0/16</destinationCidrBlock><gatewayId>local</gatewayId><state>active</state><origin>CreateRouteTable</origin></item>
         <item><destinationIpv6CidrBlock>2001:db8::/56</destinationIpv6CidrBlock><gatewayId>local</gatewayId><state>active</state><origin>CreateRouteTable</origin></item>
         <item><destinationCidrBlock>172.16.0.0/12</destinationCidrBlock><transitGatewayId>tgw-1</transitGatewayId><state>active</state><origin>CreateRoute</origin></item>
         <item><destinationPrefixListId>pl-1</destinationPrefixListId><gatewayId>vpce-1</gatewayId><state>active</state><origin>CreateRoute</origin></item>
         <item><destinationCidrBlock>192.168.0.0/16</destinationCidrBlock><gatewayId>vgw-1</gatewayId><state>active</state><origin>EnableVgwRoutePropagation</origin></item>
         </routeSet><associationSet>
         <item><routeTableAssociationId>rtbassoc-1</routeTableAssociationId><routeTableId>rtb-1</routeTableId><gatewayId>igw-1</gatewayId><main>false</main><associationState><state>associated</state></associationState></item>
         </associationSet><propagatingVgwSet><item><gatewayId>vgw-1</gatewayId></item></propagatingVgwSet></item></routeTableSet>",
    );
    let gateways = (
        "DescribeInternetGateways",
        "<internetGatewaySet><item><internetGatewayId>igw-1</internetGatewayId><attachmentSet><item><vpcId>vpc-1</vpcId>
         <state>available</state></item></attachmentSet></item></internetGatewaySet>",
    );
    let aws = account(&[VPC, table, gateways]);
    let route = |to| [("RouteTableId", "rtb-1"), ("DestinationCidrBlock", to), ("GatewayId", "igw-1")];
    aws.ec2("CreateRoute", &route("0.0.0.0/0")).ok();
    let shown = aws.ec2("DescribeRouteTables", &[]).ok();
    assert_eq!(shown.one("transitGatewayId"), "tgw-1");
    assert_eq!(shown.all("destinationIpv6CidrBlock"), ["2001:db8::/56"]);
    assert_eq!(shown.all("state"), ["active", "active", "active", "active", "active", "active", "associated"]);
    assert_eq!(shown.all("main"), ["false"], "an edge association is no main table");
    assert!(shown.body.contains("<propagatingVgwSet><item><gatewayId>vgw-1</gatewayId></item></propagatingVgwSet>"));
    let by_gateway = [("Filter.1.Name", "route.gateway-id"), ("Filter.1.Value.1", "vgw-1")];
    assert_eq!(aws.ec2("DescribeRouteTables", &by_gateway).one("routeTableId"), "rtb-1");
    aws.ec2("ReplaceRoute", &route("172.16.0.0/12")).ok();
    assert_eq!(aws.ec2("DescribeRouteTables", &[]).all("transitGatewayId"), [""; 0]);
    let refused = aws.ec2("CreateRoute", &[route("172.20.0.0/16")[0], ("TransitGatewayId", "tgw-1")]);
    assert!(refused.message().contains("`TransitGatewayId`"), "{}", refused.body);
}

#[test]
fn rules_for_ipv6_and_of_other_accounts() {
    let acl = (
        "DescribeNetworkAcls",
        "<networkAclSet><item><networkAclId>acl-1</networkAclId><vpcId>vpc-1</vpcId><default>true</default><entrySet>
         <item><ruleNumber>101</ruleNumber><protocol>-1</protocol><ruleAction>allow</ruleAction><egress>true</egress><ipv6CidrBlock>::/0</ipv6CidrBlock></item>
         <item><ruleNumber>100</ruleNumber><protocol>-1</protocol><ruleAction>allow</ruleAction><egress>true</egress><cidrBlock>0.0.0.0/0</cidrBlock></item>
         </entrySet></item></networkAclSet>",
    );
    let group = (
        "DescribeSecurityGroups",
        "<securityGroupInfo><item><groupId>sg-1</groupId><groupName>web</groupName><groupDescription>web</groupDescription><vpcId>vpc-1</vpcId>
         <ipPermissions><item><ipProtocol>tcp</ipProtocol><fromPort>80</fromPort><toPort>80</toPort><groups><item><groupId>sg-9</groupId>
         <userId>999999999999</userId><peeringStatus>active</peeringStatus></item></groups></item></ipPermissions></item></securityGroupInfo>",
    );
    let rules = (
        "DescribeSecurityGroupRules",
        "<securityGroupRuleSet><item><securityGroupRuleId>sgr-1</securityGroupRuleId><groupId>sg-1</groupId><isEgress>false</isEgress>
         <ipProtocol>tcp</ipProtocol><fromPort>80</fromPort><toPort>80</toPort><referencedGroupInfo><groupId>sg-9</groupId>
         <userId>999999999999</userId></referencedGroupInfo></item></securityGroupRuleSet>",
    );
    let aws = account(&[VPC, acl, group, rules]);
    let entry = [
        ("RuleNumber", "90"),
        ("Protocol", "all"),
        ("RuleAction", "deny"),
        ("CidrBlock", "192.0.2.0/24"),
        ("Egress", "true"),
    ];
    aws.ec2("CreateNetworkAclEntry", &[&[("NetworkAclId", "acl-1")], &entry[..]].concat()).ok();
    let shown = aws.ec2("DescribeNetworkAcls", &[]).ok();
    assert_eq!(shown.all("ruleNumber"), ["90", "100", "101"]);
    assert_eq!(shown.all("ipv6CidrBlock"), ["::/0"]);
    let shown = aws.ec2("DescribeSecurityGroups", &[]).ok();
    assert_eq!((shown.one("userId"), shown.one("peeringStatus")), ("999999999999".into(), "active".into()));
    assert_eq!(aws.ec2("DescribeSecurityGroupRules", &[]).one("userId"), "999999999999");
}

const BALANCER: (&str, &str) = (
    "DescribeLoadBalancers",
    "<LoadBalancers><member><LoadBalancerArn>arn:aws:elasticloadbalancing:eu-west-1:111122223333:loadbalancer/app/web/1</LoadBalancerArn>
     <LoadBalancerName>web</LoadBalancerName><Type>application</Type><Scheme>internal</Scheme><State><Code>active_impaired</Code></State><VpcId>vpc-1</VpcId>
     <EnforceSecurityGroupInboundRulesOnPrivateLinkTraffic>on</EnforceSecurityGroupInboundRulesOnPrivateLinkTraffic></member></LoadBalancers>",
);

#[test]
fn a_listener_that_authenticates() {
    const LISTENER: &str = "arn:aws:elasticloadbalancing:eu-west-1:111122223333:listener/app/web/1/2";
    let listeners = (
        "DescribeListeners",
        "<Listeners><member><ListenerArn>arn:aws:elasticloadbalancing:eu-west-1:111122223333:listener/app/web/1/2</ListenerArn>
         <Protocol>HTTPS</Protocol><Port>443</Port><Certificates><member><CertificateArn>arn:c</CertificateArn></member></Certificates><MutualAuthentication><Mode>verify</Mode></MutualAuthentication><DefaultActions>
         <member><Type>forward</Type><Order>2</Order><TargetGroupArn>arn:tg</TargetGroupArn><ForwardConfig><TargetGroups><member><TargetGroupArn>arn:tg</TargetGroupArn></member></TargetGroups></ForwardConfig></member>
         <member><Type>authenticate-oidc</Type><Order>1</Order><AuthenticateOidcConfig><Issuer>https://id.example</Issuer></AuthenticateOidcConfig></member>
         </DefaultActions></member></Listeners>",
    );
    let aws = account(&[VPC, BALANCER, listeners]);
    let shown = aws.query("elasticloadbalancing", "DescribeListeners", &[("ListenerArns.member.1", LISTENER)]).ok();
    assert_eq!((shown.one("Issuer"), shown.one("Mode")), ("https://id.example".into(), "verify".into()));
    let modify = |issuer| {
        let mut actions = vec![
            ("ListenerArn", LISTENER),
            ("DefaultActions.member.2.Type", "fixed-response"),
            ("DefaultActions.member.2.FixedResponseConfig.StatusCode", "503"),
            ("DefaultActions.member.1.Type", "authenticate-oidc"),
        ];
        if issuer {
            actions.push(("DefaultActions.member.1.AuthenticateOidcConfig.Issuer", "https://id.example"));
        }
        aws.query("elasticloadbalancing", "ModifyListener", &actions)
    };
    assert!(
        modify(true).message().contains("`DefaultActions[].AuthenticateOidcConfig.Issuer`"),
        "{}",
        modify(true).body
    );
    assert!(modify(false).message().contains("`authenticate-oidc`"), "{}", modify(false).body);
    let shown = aws.query("elasticloadbalancing", "DescribeLoadBalancers", &[("Names.member.1", "web")]).ok();
    assert_eq!(shown.one("Code"), "active_impaired");
    assert_eq!(shown.one("EnforceSecurityGroupInboundRulesOnPrivateLinkTraffic"), "on");
}

#[test]
fn load_balancers_and_target_groups_of_other_types() {
    const GATEWAY: &str = "arn:aws:elasticloadbalancing:eu-west-1:111122223333:loadbalancer/gwy/fw/1";
    const FUNCTIONS: &str = "arn:aws:elasticloadbalancing:eu-west-1:111122223333:targetgroup/fn/1";
    let balancers = (
        "DescribeLoadBalancers",
        "<LoadBalancers><member><LoadBalancerArn>arn:aws:elasticloadbalancing:eu-west-1:111122223333:loadbalancer/gwy/fw/1</LoadBalancerArn>
         <LoadBalancerName>fw</LoadBalancerName><Type>gateway</Type><State><Code>active</Code></State></member></LoadBalancers>",
    );
    let groups = (
        "DescribeTargetGroups",
        "<TargetGroups><member><TargetGroupArn>arn:aws:elasticloadbalancing:eu-west-1:111122223333:targetgroup/fn/1</TargetGroupArn>
         <TargetGroupName>fn</TargetGroupName><TargetType>lambda</TargetType><HealthCheckEnabled>false</HealthCheckEnabled></member></TargetGroups>",
    );
    let health = (
        "DescribeTargetHealth",
        "<TargetHealthDescriptions><member><Target><Id>arn:aws:lambda:fn</Id></Target><TargetHealth><State>unavailable</State></TargetHealth></member></TargetHealthDescriptions>",
    );
    let aws = account(&[balancers, groups, health]);
    let elb = |action, name, arn| aws.query("elasticloadbalancing", action, &[(name, arn)]);
    assert_eq!(elb("DescribeLoadBalancers", "LoadBalancerArns.member.1", GATEWAY).one("Type"), "gateway");
    let attribute = [("Attributes.member.1.Key", "deletion_protection.enabled"), ("Attributes.member.1.Value", "true")];
    let params = [&[("LoadBalancerArn", GATEWAY)], &attribute[..]].concat();
    let refused = aws.query("elasticloadbalancing", "ModifyLoadBalancerAttributes", &params);
    assert!(refused.message().contains("does not model load balancers of the type `gateway`"), "{}", refused.body);
    let shown = elb("DescribeTargetGroups", "TargetGroupArns.member.1", FUNCTIONS);
    assert_eq!((shown.one("TargetType"), shown.one("HealthCheckEnabled")), ("lambda".into(), "false".into()));
    assert_eq!(elb("DescribeTargetHealth", "TargetGroupArn", FUNCTIONS).one("Id"), "arn:aws:lambda:fn");
    let refused = elb("ModifyTargetGroup", "TargetGroupArn", FUNCTIONS);
    assert!(refused.message().contains("does not model target groups of the type `lambda`"), "{}", refused.body);
}

#[test]
fn groups_that_launch_what_is_not_modelled() {
    let groups = (
        "DescribeAutoScalingGroups",
        "<AutoScalingGroups><member><AutoScalingGroupName>old</AutoScalingGroupName><LaunchConfigurationName>lc</LaunchConfigurationName>
         <VPCZoneIdentifier>subnet-1</VPCZoneIdentifier><DesiredCapacity>1</DesiredCapacity><MaxSize>3</MaxSize><Instances><member><InstanceId>i-1</InstanceId>
         <LifecycleState>InService</LifecycleState><LaunchConfigurationName>lc</LaunchConfigurationName><WeightedCapacity>2</WeightedCapacity></member></Instances></member></AutoScalingGroups>",
    );
    let policies = (
        "DescribePolicies",
        "<ScalingPolicies><member><PolicyName>steps</PolicyName><PolicyARN>arn:p</PolicyARN><PolicyType>StepScaling</PolicyType>
         <StepAdjustments><member><ScalingAdjustment>2</ScalingAdjustment></member></StepAdjustments></member></ScalingPolicies>",
    );
    let aws = account(&[groups, policies]);
    let old = ("AutoScalingGroupName", "old");
    let shown =
        aws.query("autoscaling", "DescribeAutoScalingGroups", &[("AutoScalingGroupNames.member.1", "old")]).ok();
    assert_eq!(shown.all("LaunchConfigurationName"), ["lc", "lc"]);
    assert_eq!(shown.one("WeightedCapacity"), "2");
    assert_eq!(shown.all("LaunchTemplate"), [""; 0]);
    let shown = aws.query("autoscaling", "DescribePolicies", &[old]).ok();
    assert_eq!((shown.one("PolicyType"), shown.one("ScalingAdjustment")), ("StepScaling".into(), "2".into()));
    for (action, more) in
        [("SetDesiredCapacity", ("DesiredCapacity", "2")), ("UpdateAutoScalingGroup", ("MaxSize", "9"))]
    {
        let refused = aws.query("autoscaling", action, &[old, more]);
        let words = format!("does not model launch configurations, so autoscaling:{action} cannot be tried on old");
        assert!(refused.message().contains(&words), "{}", refused.body);
    }

    for (found, what) in [
        (
            "<MixedInstancesPolicy><LaunchTemplate><LaunchTemplateSpecification><LaunchTemplateId>lt-1</LaunchTemplateId></LaunchTemplateSpecification>
             <Overrides><member><InstanceType>t3.small</InstanceType><WeightedCapacity>2</WeightedCapacity></member></Overrides></LaunchTemplate></MixedInstancesPolicy>
             <VPCZoneIdentifier>subnet-1</VPCZoneIdentifier>",
            "`MixedInstancesPolicy.LaunchTemplate.Overrides[].WeightedCapacity`",
        ),
        ("<WarmPoolConfiguration><MinSize>1</MinSize></WarmPoolConfiguration><VPCZoneIdentifier>subnet-1</VPCZoneIdentifier>", "warm pools"),
        ("<LaunchTemplate><LaunchTemplateId>lt-1</LaunchTemplateId></LaunchTemplate>", "groups outside of subnets"),
    ] {
        let found = format!("<AutoScalingGroups><member><AutoScalingGroupName>old</AutoScalingGroupName><MaxSize>9</MaxSize>{found}</member></AutoScalingGroups>");
        let aws = account(&[("DescribeAutoScalingGroups", found.leak())]);
        let refused = aws.query("autoscaling", "SetDesiredCapacity", &[old, ("DesiredCapacity", "2")]);
        assert!(refused.message().contains(what), "{}", refused.body);
    }
    let protected = (
        "DescribeAutoScalingGroups",
        "<AutoScalingGroups><member><AutoScalingGroupName>old</AutoScalingGroupName><MaxSize>9</MaxSize><VPCZoneIdentifier>subnet-1</VPCZoneIdentifier>
         <LaunchTemplate><LaunchTemplateId>lt-1</LaunchTemplateId></LaunchTemplate><DeletionProtection>prevent-all-deletion</DeletionProtection></member></AutoScalingGroups>",
    );
    let refused = account(&[protected]).query("autoscaling", "DeleteAutoScalingGroup", &[old]);
    assert!(refused.message().contains("deletion protection `prevent-all-deletion` of old"), "{}", refused.body);
}

#[test]
fn instances_and_templates_with_more_than_is_modelled() {
    let instances = (
        "DescribeInstances",
        "<reservationSet><item><reservationId>r-1</reservationId><instancesSet><item><instanceId>i-1</instanceId><instanceState><code>80</code><name>stopped</name></instanceState>
         <cpuOptions><coreCount>1</coreCount></cpuOptions><instanceLifecycle>spot</instanceLifecycle></item></instancesSet></item></reservationSet>",
    );
    let templates = (
        "DescribeLaunchTemplates",
        "<launchTemplates><item><launchTemplateId>lt-1</launchTemplateId><launchTemplateName>web</launchTemplateName><latestVersionNumber>1</latestVersionNumber></item></launchTemplates>",
    );
    let versions = (
        "DescribeLaunchTemplateVersions",
        "<launchTemplateVersionSet><item><versionNumber>1</versionNumber><launchTemplateData><imageId>ami-1</imageId><licenseSet><item>
         <licenseConfigurationArn>arn:l</licenseConfigurationArn></item></licenseSet><networkInterfaceSet><item><groupSet><groupId>sg-1</groupId><groupId>sg-2</groupId></groupSet>
         </item></networkInterfaceSet></launchTemplateData></item></launchTemplateVersionSet>",
    );
    let aws = account(&[instances, templates, versions]);
    let shown = aws.ec2("DescribeInstances", &[("InstanceId.1", "i-1")]).ok();
    assert_eq!((shown.one("name"), shown.one("code")), ("stopped".into(), "80".into()));
    assert_eq!((shown.one("coreCount"), shown.one("instanceLifecycle")), ("1".into(), "spot".into()));
    aws.ec2("TerminateInstances", &[("InstanceId.1", "i-1")]).ok();
    let shown = aws.ec2("DescribeInstances", &[("InstanceId.1", "i-1")]).ok();
    assert_eq!((shown.one("name"), shown.one("coreCount")), ("shutting-down".into(), "1".into()));

    let shown = aws.ec2("DescribeLaunchTemplateVersions", &[("LaunchTemplateName", "web")]).ok();
    assert_eq!(shown.one("licenseConfigurationArn"), "arn:l");
    assert!(
        shown.body.contains("<groupSet><groupId>sg-1</groupId><groupId>sg-2</groupId></groupSet>"),
        "{}",
        shown.body
    );
}

#[tokio::test]
async fn record_sets_with_other_routing_policies() {
    let aws = account(&[
        ("GetHostedZone", "<HostedZone><Id>/hostedzone/Z1</Id><Name>example.com.</Name></HostedZone><DelegationSet><NameServers><NameServer>ns-1.example.org</NameServer></NameServers></DelegationSet>"),
        ("ListHostedZones", "<HostedZones><HostedZone><Id>/hostedzone/Z1</Id><Name>example.com.</Name></HostedZone></HostedZones>"),
        ("ListResourceRecordSets", "<ResourceRecordSets>
            <ResourceRecordSet><Name>example.com.</Name><Type>NS</Type><TTL>60</TTL><ResourceRecords><ResourceRecord><Value>ns-1.example.org.</Value></ResourceRecord></ResourceRecords></ResourceRecordSet>
            <ResourceRecordSet><Name>example.com.</Name><Type>SOA</Type><TTL>60</TTL><ResourceRecords><ResourceRecord><Value>soa</Value></ResourceRecord></ResourceRecords></ResourceRecordSet>
            <ResourceRecordSet><Name>www.example.com.</Name><Type>A</Type><SetIdentifier>one</SetIdentifier><Failover>PRIMARY</Failover><HealthCheckId>hc-1</HealthCheckId><TTL>60</TTL>
            <ResourceRecords><ResourceRecord><Value>192.0.2.1</Value></ResourceRecord></ResourceRecords></ResourceRecordSet></ResourceRecordSets>"),
    ]);
    let r53 = aws_sdk_route53::Client::new(&sdk::config(&aws.sim));
    let zone = r53.get_hosted_zone().id("Z1").send().await.unwrap();
    assert_eq!(zone.delegation_set().unwrap().name_servers(), ["ns-1.example.org"]);
    let sets = r53.list_resource_record_sets().hosted_zone_id("Z1").send().await.unwrap();
    let set = sets.resource_record_sets().iter().find(|set| set.set_identifier() == Some("one")).unwrap();
    assert_eq!((set.failover().unwrap().as_str(), set.health_check_id()), ("PRIMARY", Some("hc-1")));
    use aws_sdk_route53::error::ProvideErrorMetadata;
    use aws_sdk_route53::types::{Change, ChangeAction, ChangeBatch, ResourceRecord, ResourceRecordSet, RrType};
    let record = ResourceRecord::builder().value("192.0.2.2").build().unwrap();
    let set =
        ResourceRecordSet::builder().name("www.example.com").r#type(RrType::A).set_identifier("one").weight(1).ttl(60);
    let change = Change::builder().action(ChangeAction::Upsert);
    let change = change.resource_record_set(set.resource_records(record).build().unwrap()).build().unwrap();
    let batch = ChangeBatch::builder().changes(change).build().unwrap();
    let refused = r53.change_resource_record_sets().hosted_zone_id("Z1").change_batch(batch).send().await.unwrap_err();
    assert!(refused.message().unwrap().contains("does not model `Failover`"), "{refused:?}");
}

/// Nothing in a reply has to be there.
#[test]
fn empty_replies_are_read() {
    let rows = [
        ("DescribeAddresses", "addressesSet"),
        ("DescribeAutoScalingGroups", "AutoScalingGroups"),
        ("DescribeInstances", "reservationSet"),
        ("DescribeInternetGateways", "internetGatewaySet"),
        ("DescribeLaunchTemplateVersions", "launchTemplateVersionSet"),
        ("DescribeLaunchTemplates", "launchTemplates"),
        ("DescribeLifecycleHooks", "LifecycleHooks"),
        ("DescribeListeners", "Listeners"),
        ("DescribeLoadBalancers", "LoadBalancers"),
        ("DescribeNatGateways", "natGatewaySet"),
        ("DescribeNetworkAcls", "networkAclSet"),
        ("DescribeNetworkInterfaces", "networkInterfaceSet"),
        ("DescribePolicies", "ScalingPolicies"),
        ("DescribeRouteTables", "routeTableSet"),
        ("DescribeRules", "Rules"),
        ("DescribeScalingActivities", "Activities"),
        ("DescribeSecurityGroupRules", "securityGroupRuleSet"),
        ("DescribeSecurityGroups", "securityGroupInfo"),
        ("DescribeSubnets", "subnetSet"),
        ("DescribeTargetGroups", "TargetGroups"),
        ("DescribeTargetHealth", "TargetHealthDescriptions"),
        ("DescribeVolumes", "volumeSet"),
        ("DescribeVpcs", "vpcSet"),
        ("ListHostedZones", "HostedZones"),
        ("ListInstanceProfiles", "InstanceProfiles"),
        ("ListPolicies", "Policies"),
        ("ListRoles", "Roles"),
    ];
    let member = |action: &str| match action {
        "ListHostedZones" => "HostedZone",
        _ if action.starts_with("Describe") => "item",
        _ => "member",
    };
    let replies = rows.map(|(action, set)| {
        let member = member(action);
        let text: &'static str = format!("<{set}><{member}><odd>1</odd></{member}></{set}>").leak();
        (action, text)
    });
    let aws = account(&replies);
    aws.sim.read_all("111122223333", "eu-west-1").unwrap();
    aws.pass(3600);
    for (action, _) in rows.iter().filter(|(action, _)| action.starts_with("Describe")) {
        let shown = aws.ec2(action, &[]);
        assert!(
            shown.status == 200 || shown.body.contains("does not model the action") || shown.body.contains("Missing"),
            "{action}: {}",
            shown.body
        );
    }
}
