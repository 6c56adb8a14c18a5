"""Elastic Load Balancing v2: load balancers, listeners, rules, target groups, targets, and their attributes and tags.

Codes are those that the service model lists with the action; `ValidationError` is the API's common one. What else is
expected is in the API reference or the user guide named beside it.
"""
import unittest

from certificates import API, SHOP, WEB
from support import Case, Network, network, tag_list, tags_of

SMALL = {"ImageId": "ami-healthy-1", "InstanceType": "t3.small"}


def arn(kind: str, rest: str) -> str:
    return f"arn:aws:elasticloadbalancing:eu-central-1:210987654321:{kind}/{rest}"


NO_BALANCER = arn("loadbalancer", "app/none/0123456789abcdef")
NO_GROUP = arn("targetgroup", "none/0123456789abcdef")
NO_LISTENER = arn("listener", "app/none/0123456789abcdef/0123456789abcdef")
NO_RULE = arn("listener-rule", "app/none/0123456789abcdef/0123456789abcdef/0123456789abcdef")

OK = {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "200", "ContentType": "text/plain",
                                                        "MessageBody": "ok"}}


def to(*groups: str, **weights: int) -> dict:
    return {"Type": "forward", "TargetGroupArn": groups[0]} if len(groups) == 1 else {
        "Type": "forward", "ForwardConfig": {"TargetGroups": [
            {"TargetGroupArn": group, "Weight": weight} for group, weight in zip(groups, weights.values())]}}


class Balanced(Case):
    """With a network of two zones."""

    net: Network

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.elb, cls.ec2 = cls.client("elbv2"), cls.client("ec2")
        cls.net = network(cls)

    def balancer(self, name: str, **params: object) -> str:
        if params.get("Type") != "network":
            params.setdefault("SecurityGroups", [self.net.group])
        made = self.elb.create_load_balancer(Name=name, **{"Subnets": self.net.subnets, **params})["LoadBalancers"][0]
        self.settle()
        return made["LoadBalancerArn"]

    def group(self, name: str, **params: object) -> str:
        settings = {"Protocol": "HTTP", "Port": 80, "VpcId": self.net.vpc, **params}
        made = self.elb.create_target_group(Name=name, **settings)["TargetGroups"][0]["TargetGroupArn"]
        self.settle()
        return made

    def listener(self, balancer: str, port: int = 80, **params: object) -> str:
        settings = {"Protocol": "HTTP", "DefaultActions": [OK], **params}
        made = self.elb.create_listener(LoadBalancerArn=balancer, Port=port, **settings)["Listeners"][0]["ListenerArn"]
        self.settle()
        return made


class LoadBalancers(Balanced):
    def test_a_new_one(self) -> None:
        made = self.elb.create_load_balancer(Name="new", Subnets=self.net.subnets, SecurityGroups=[self.net.group],
                                             Tags=tag_list(Name="new"))["LoadBalancers"][0]
        self.has(made, "LoadBalancerArn", "DNSName", "CanonicalHostedZoneId", "CreatedTime", "VpcId")
        self.assertEqual((made["State"]["Code"], made["Type"], made["Scheme"], made["IpAddressType"]),
                         ("provisioning", "application", "internet-facing", "ipv4"))
        self.assertRegex(made["LoadBalancerArn"], r":loadbalancer/app/new/[0-9a-f]{16}$")
        self.assertRegex(made["DNSName"], r"^new-\d+\.eu-central-1\.elb\.amazonaws\.com$")
        # General Reference, "Elastic Load Balancing endpoints and quotas": the zone of the region.
        self.assertEqual(made["CanonicalHostedZoneId"], "Z215JYRZR1TBD5")
        self.assertCountEqual([zone["SubnetId"] for zone in made["AvailabilityZones"]], self.net.subnets)
        self.assertEqual(made["SecurityGroups"], [self.net.group])
        one = [made["LoadBalancerArn"]]
        self.wait(self.elb, "load_balancer_exists", LoadBalancerArns=one)
        self.wait(self.elb, "load_balancer_available", LoadBalancerArns=one)
        self.settle()
        by_name = self.elb.describe_load_balancers(Names=["new"])["LoadBalancers"]
        self.assertEqual(by_name, self.elb.describe_load_balancers(LoadBalancerArns=one)["LoadBalancers"])
        self.assertEqual(by_name[0]["State"], {"Code": "active"})
        interfaces = self.ec2.describe_network_interfaces(
            Filters=[{"Name": "description", "Values": ["ELB app/new/*"]}])["NetworkInterfaces"]
        self.assertCountEqual([it["SubnetId"] for it in interfaces], self.net.subnets)
        self.assertEqual({(it["RequesterId"], it["RequesterManaged"]) for it in interfaces}, {("amazon-elb", True)})

    def test_the_same_again_is_the_same(self) -> None:
        # CreateLoadBalancer: "If you attempt to create multiple load balancers with the same settings, each call
        # succeeds."
        self.assertEqual(self.balancer("same"), self.balancer("same"))
        with self.refused("DuplicateLoadBalancerName"):
            self.balancer("same", Scheme="internal")

    def test_names(self) -> None:
        # CreateLoadBalancer, Name.
        for name in ["-new", "new-", "new_one", "internal-new", "n" * 33]:
            with self.refused("ValidationError"):
                self.balancer(name)

    def test_networks_that_are_refused(self) -> None:
        zone = self.ec2.describe_subnets(SubnetIds=self.net.subnets[:1])["Subnets"][0]["AvailabilityZone"]
        twin = self.ec2.create_subnet(VpcId=self.net.vpc, CidrBlock="10.0.50.0/24", AvailabilityZone=zone)
        closed = self.ec2.create_vpc(CidrBlock="10.60.0.0/16")["Vpc"]["VpcId"]
        self.settle()
        zones = [it["ZoneName"] for it in self.ec2.describe_availability_zones()["AvailabilityZones"]]
        inside = [self.ec2.create_subnet(VpcId=closed, CidrBlock=f"10.60.{at}.0/24", AvailabilityZone=zone)
                  ["Subnet"]["SubnetId"] for at, zone in enumerate(zones[:2])]
        self.settle()
        with self.refused("SubnetNotFound"):
            self.balancer("refused", Subnets=[*self.net.subnets, "subnet-0123456789abcdef0"])
        with self.refused("ValidationError", says="at least two subnets"):
            self.balancer("refused", Subnets=self.net.subnets[:1])
        with self.refused("InvalidConfigurationRequest"):
            self.balancer("refused", Subnets=[*self.net.subnets, twin["Subnet"]["SubnetId"]])
        with self.refused("InvalidSubnet", says="internet gateway"):
            self.balancer("refused", Subnets=inside, SecurityGroups=[])
        with self.refused("InvalidConfigurationRequest"):
            self.balancer("refused", Subnets=[self.net.subnets[0], inside[1]])
        with self.refused("InvalidSecurityGroup"):
            self.balancer("refused", SecurityGroups=["sg-0123456789abcdef0"])
        with self.refused("InvalidConfigurationRequest", "InvalidSecurityGroup"):
            self.balancer("refused", Subnets=inside, Scheme="internal")

    def test_an_internal_one(self) -> None:
        made = self.balancer("inside", Scheme="internal")
        shown = self.elb.describe_load_balancers(LoadBalancerArns=[made])["LoadBalancers"][0]
        self.assertEqual(shown["Scheme"], "internal")
        self.assertTrue(shown["DNSName"].startswith("internal-inside-"))

    def test_a_network_load_balancer(self) -> None:
        made = self.elb.create_load_balancer(Name="nlb", Type="network", SubnetMappings=[
            {"SubnetId": self.net.subnets[0]}])["LoadBalancers"][0]
        self.settle()
        self.assertEqual((made["Type"], made.get("SecurityGroups", [])), ("network", []))
        self.assertIn(":loadbalancer/net/nlb/", made["LoadBalancerArn"])
        self.assertRegex(made["DNSName"], r"^nlb-[0-9a-f]{16}\.elb\.eu-central-1\.amazonaws\.com$")
        self.assertEqual(made["CanonicalHostedZoneId"], "Z3F0SRJ5LGBH90")
        # SetSecurityGroups: "You can't perform this operation on a Network Load Balancer unless you specified a
        # security group for the load balancer when you created it."
        with self.refused("InvalidConfigurationRequest"):
            self.elb.set_security_groups(LoadBalancerArn=made["LoadBalancerArn"], SecurityGroups=[self.net.group])
        group = self.group("tcp", Protocol="TCP", Port=443)
        listener = self.elb.create_listener(LoadBalancerArn=made["LoadBalancerArn"], Protocol="TCP", Port=443,
                                            DefaultActions=[to(group)])["Listeners"][0]
        self.settle()
        shown = self.elb.describe_listener_attributes(ListenerArn=listener["ListenerArn"])["Attributes"]
        self.assertIn({"Key": "tcp.idle_timeout.seconds", "Value": "350"}, shown)  # ListenerAttribute: the default
        with self.refused("IncompatibleProtocols"):
            self.elb.create_listener(LoadBalancerArn=made["LoadBalancerArn"], Protocol="TCP", Port=80,
                                     DefaultActions=[to(self.group("http"))])
        with self.refused("ValidationError", "UnsupportedProtocol"):
            self.elb.create_listener(LoadBalancerArn=made["LoadBalancerArn"], Protocol="HTTP", Port=80,
                                     DefaultActions=[OK])

    def test_subnets_groups_and_addresses(self) -> None:
        made = self.balancer("moved")
        third = self.ec2.describe_availability_zones()["AvailabilityZones"][2]["ZoneName"]
        subnet = self.ec2.create_subnet(VpcId=self.net.vpc, CidrBlock="10.0.70.0/24", AvailabilityZone=third)
        other = self.ec2.create_security_group(GroupName="other", Description="d", VpcId=self.net.vpc)["GroupId"]
        self.settle()
        wanted = [self.net.subnets[0], subnet["Subnet"]["SubnetId"]]
        moved = self.elb.set_subnets(LoadBalancerArn=made, Subnets=wanted)
        self.assertCountEqual([zone["SubnetId"] for zone in moved["AvailabilityZones"]], wanted)
        changed = self.elb.set_security_groups(LoadBalancerArn=made, SecurityGroups=[other])
        self.assertEqual(changed["SecurityGroupIds"], [other])
        changed = self.elb.set_ip_address_type(LoadBalancerArn=made, IpAddressType="ipv4")
        self.assertEqual(changed["IpAddressType"], "ipv4")
        shown = self.elb.describe_load_balancers(LoadBalancerArns=[made])["LoadBalancers"][0]
        self.assertEqual((shown["SecurityGroups"], shown["IpAddressType"]), ([other], "ipv4"))
        self.assertCountEqual([zone["SubnetId"] for zone in shown["AvailabilityZones"]], wanted)
        with self.refused("DependencyViolation"):
            self.ec2.delete_security_group(GroupId=other)
        with self.refused("SubnetNotFound"):
            self.elb.set_subnets(LoadBalancerArn=made, Subnets=["subnet-0123456789abcdef0", *wanted])
        # SetSubnets, Subnets: "You must specify subnets from at least two Availability Zones."
        with self.refused("ValidationError", "InvalidConfigurationRequest"):
            self.elb.set_subnets(LoadBalancerArn=made, Subnets=wanted[:1])
        with self.refused("InvalidSecurityGroup"):
            self.elb.set_security_groups(LoadBalancerArn=made, SecurityGroups=["sg-0123456789abcdef0"])
        for call in [lambda: self.elb.set_subnets(LoadBalancerArn=NO_BALANCER, Subnets=wanted),
                     lambda: self.elb.set_security_groups(LoadBalancerArn=NO_BALANCER, SecurityGroups=[other]),
                     lambda: self.elb.set_ip_address_type(LoadBalancerArn=NO_BALANCER, IpAddressType="ipv4")]:
            with self.refused("LoadBalancerNotFound"):
                call()

    def test_attributes(self) -> None:
        made = self.balancer("attributes")

        def attributes() -> dict[str, str]:
            shown = self.elb.describe_load_balancer_attributes(LoadBalancerArn=made)["Attributes"]
            return {attribute["Key"]: attribute["Value"] for attribute in shown}

        # LoadBalancerAttribute: the defaults.
        defaults = {"deletion_protection.enabled": "false", "access_logs.s3.enabled": "false",
                    "idle_timeout.timeout_seconds": "60", "client_keep_alive.seconds": "3600",
                    "routing.http.desync_mitigation_mode": "defensive", "routing.http2.enabled": "true",
                    "routing.http.drop_invalid_header_fields.enabled": "false",
                    "routing.http.xff_header_processing.mode": "append", "waf.fail_open.enabled": "false"}
        self.assertEqual({key: attributes().get(key) for key in defaults}, defaults)
        self.assertEqual(attributes()["load_balancing.cross_zone.enabled"], "true", "always on for these")
        self.elb.modify_load_balancer_attributes(LoadBalancerArn=made, Attributes=[
            {"Key": "idle_timeout.timeout_seconds", "Value": "120"},
            {"Key": "deletion_protection.enabled", "Value": "true"}])
        self.assertEqual(attributes()["idle_timeout.timeout_seconds"], "120")
        with self.refused("OperationNotPermitted", says="deletion protection"):
            self.elb.delete_load_balancer(LoadBalancerArn=made)
        for key, value in [("colour", "blue"), ("idle_timeout.timeout_seconds", "4001"),
                           ("routing.http2.enabled", "perhaps")]:
            with self.refused("ValidationError", "InvalidConfigurationRequest"):
                self.elb.modify_load_balancer_attributes(LoadBalancerArn=made,
                                                         Attributes=[{"Key": key, "Value": value}])
        for call in (self.elb.describe_load_balancer_attributes,
                     lambda **it: self.elb.modify_load_balancer_attributes(**it, Attributes=[
                         {"Key": "routing.http2.enabled", "Value": "true"}])):
            with self.refused("LoadBalancerNotFound"):
                call(LoadBalancerArn=NO_BALANCER)

    def test_deletion(self) -> None:
        made, group = self.balancer("short-lived"), self.group("short-lived")
        listener = self.listener(made, DefaultActions=[to(group)])
        self.elb.delete_load_balancer(LoadBalancerArn=made)
        # "If the load balancer does not exist or has already been deleted, the call succeeds."
        self.elb.delete_load_balancer(LoadBalancerArn=made)
        self.elb.delete_load_balancer(LoadBalancerArn=NO_BALANCER)
        self.wait(self.elb, "load_balancers_deleted", LoadBalancerArns=[made])
        self.settle()
        with self.refused("LoadBalancerNotFound"):
            self.elb.describe_load_balancers(LoadBalancerArns=[made])
        with self.refused("LoadBalancerNotFound"):
            self.elb.describe_load_balancers(Names=["short-lived"])
        with self.refused("ListenerNotFound"):  # "Deleting a load balancer also deletes its listeners."
            self.elb.describe_listeners(ListenerArns=[listener])
        self.elb.delete_target_group(TargetGroupArn=group)

    def test_pages(self) -> None:
        for at in range(4):
            self.balancer(f"page-{at}")
        self.paged(self.elb, "describe_load_balancers", "LoadBalancers", 2, lambda it: it["LoadBalancerArn"])
        with self.refused("ValidationError"):
            self.elb.describe_load_balancers(Marker="nonsense")

    def test_an_arn_of_another_form(self) -> None:
        # The API answers ValidationError, "'…' is not a valid load balancer ARN", and so for the other kinds.
        calls = [
            ("load balancer", lambda it: self.elb.describe_load_balancers(LoadBalancerArns=[it])),
            ("target group", lambda it: self.elb.describe_target_groups(TargetGroupArns=[it])),
            ("listener", lambda it: self.elb.describe_listener_certificates(ListenerArn=it)),
        ]
        for kind, call in calls:
            with self.subTest(kind), self.refused("ValidationError", says=f"is not a valid {kind} ARN"):
                call("arn:aws:s3:::bucket")

    def test_addresses_of_both_kinds_need_networks_of_both_kinds(self) -> None:
        # User guide, "IP address types": "The virtual private cloud (VPC) and subnets that you specify for the load
        # balancer must have associated IPv6 CIDR blocks." No subnet here has one.
        codes = ("InvalidSubnet", "ValidationError", "InvalidConfigurationRequest")
        with self.subTest("new"), self.refused(*codes):
            self.balancer("dual", IpAddressType="dualstack")
        with self.subTest("changed"), self.refused(*codes):
            self.elb.set_ip_address_type(LoadBalancerArn=self.balancer("dualled"), IpAddressType="dualstack")

    def test_crossing_zones_cannot_be_switched_off(self) -> None:
        # LoadBalancerAttribute, load_balancing.cross_zone.enabled: "The default for Application Load Balancers is true,
        # and can't be changed."
        with self.refused("ValidationError", "InvalidConfigurationRequest"):
            self.elb.modify_load_balancer_attributes(LoadBalancerArn=self.balancer("crossing"), Attributes=[
                {"Key": "load_balancing.cross_zone.enabled", "Value": "false"}])

    def test_twenty_at_a_time(self) -> None:
        # DescribeLoadBalancers, LoadBalancerArns: "You can specify up to 20 load balancers in a single call."
        with self.refused("ValidationError"):
            self.elb.describe_load_balancers(LoadBalancerArns=[self.balancer("twenty")] * 21)


class TargetGroups(Balanced):
    def test_a_new_one(self) -> None:
        made = self.elb.create_target_group(Name="new", Protocol="HTTP", Port=8080, VpcId=self.net.vpc,
                                            Tags=tag_list(Name="new"))["TargetGroups"][0]
        self.assertRegex(made["TargetGroupArn"], r":targetgroup/new/[0-9a-f]{16}$")
        # CreateTargetGroup: the defaults.
        self.assertEqual(
            {name: made.get(name) for name in (
                "Protocol", "ProtocolVersion", "Port", "TargetType", "IpAddressType", "HealthCheckProtocol",
                "HealthCheckPort", "HealthCheckPath", "HealthCheckEnabled", "HealthCheckIntervalSeconds",
                "HealthyThresholdCount", "UnhealthyThresholdCount", "Matcher", "LoadBalancerArns")},
            {"Protocol": "HTTP", "ProtocolVersion": "HTTP1", "Port": 8080, "TargetType": "instance",
             "IpAddressType": "ipv4", "HealthCheckProtocol": "HTTP", "HealthCheckPort": "traffic-port",
             "HealthCheckPath": "/", "HealthCheckEnabled": True, "HealthCheckIntervalSeconds": 30,
             "HealthyThresholdCount": 5, "UnhealthyThresholdCount": 2, "Matcher": {"HttpCode": "200"},
             "LoadBalancerArns": []})
        self.settle()
        by_name = self.elb.describe_target_groups(Names=["new"])["TargetGroups"]
        by_arn = self.elb.describe_target_groups(TargetGroupArns=[made["TargetGroupArn"]])["TargetGroups"]
        self.assertEqual((by_name, by_arn), ([made], [made]))

    def test_the_same_again_is_the_same(self) -> None:
        self.assertEqual(self.group("same"), self.group("same"))  # CreateTargetGroup: "each call succeeds"
        with self.refused("DuplicateTargetGroupName"):
            self.group("same", Port=81)

    def test_settings_that_are_refused(self) -> None:
        for wrong in [{"Port": 65536}, {"HealthCheckPath": "health"}, {"VpcId": "vpc-0123456789abcdef0"},
                      {"HealthCheckIntervalSeconds": 10, "HealthCheckTimeoutSeconds": 10},
                      {"HealthCheckProtocol": "TCP"}, {"Matcher": {"HttpCode": "600"}},
                      {"HealthyThresholdCount": 11}, {"HealthCheckEnabled": False}, {"Protocol": "GOPHER"}]:
            with self.subTest(wrong), self.refused("ValidationError", "InvalidConfigurationRequest"):
                self.group("refused", **wrong)
        for name in ["-new", "new-", "new_one", "n" * 33]:
            with self.refused("ValidationError"):
                self.group(name)
        with self.refused("ValidationError"):  # CreateTargetGroup, VpcId: required for targets that are instances
            self.elb.create_target_group(Name="refused", Protocol="HTTP", Port=80)

    def test_checks_are_modified(self) -> None:
        group = self.group("checks")
        changes = {"HealthCheckPath": "/health", "HealthCheckIntervalSeconds": 10, "HealthCheckTimeoutSeconds": 5,
                   "HealthyThresholdCount": 2, "UnhealthyThresholdCount": 3, "Matcher": {"HttpCode": "200-299"},
                   "HealthCheckPort": "8081", "HealthCheckProtocol": "HTTPS"}
        modified = self.elb.modify_target_group(TargetGroupArn=group, **changes)["TargetGroups"][0]
        shown = self.elb.describe_target_groups(TargetGroupArns=[group])["TargetGroups"][0]
        self.assertEqual(modified, shown)
        self.assertEqual({name: shown[name] for name in changes}, changes)
        with self.refused("ValidationError", "InvalidConfigurationRequest"):
            self.elb.modify_target_group(TargetGroupArn=group, HealthCheckTimeoutSeconds=60)
        with self.refused("TargetGroupNotFound"):
            self.elb.modify_target_group(TargetGroupArn=NO_GROUP, HealthCheckPath="/")

    def test_attributes(self) -> None:
        group = self.group("attributes")

        def attributes() -> dict[str, str]:
            shown = self.elb.describe_target_group_attributes(TargetGroupArn=group)["Attributes"]
            return {attribute["Key"]: attribute["Value"] for attribute in shown}

        # TargetGroupAttribute: the defaults.
        defaults = {"deregistration_delay.timeout_seconds": "300", "stickiness.enabled": "false",
                    "stickiness.type": "lb_cookie", "stickiness.lb_cookie.duration_seconds": "86400",
                    "load_balancing.algorithm.type": "round_robin", "slow_start.duration_seconds": "0",
                    "load_balancing.cross_zone.enabled": "use_load_balancer_configuration"}
        self.assertEqual({key: attributes().get(key) for key in defaults}, defaults)
        self.elb.modify_target_group_attributes(TargetGroupArn=group, Attributes=[
            {"Key": "deregistration_delay.timeout_seconds", "Value": "30"}])
        self.assertEqual(attributes()["deregistration_delay.timeout_seconds"], "30")
        for key, value in [("colour", "blue"), ("deregistration_delay.timeout_seconds", "3601"),
                           ("slow_start.duration_seconds", "10")]:  # "The range is 30-900 seconds", or 0
            with self.refused("ValidationError", "InvalidConfigurationRequest"):
                self.elb.modify_target_group_attributes(TargetGroupArn=group,
                                                        Attributes=[{"Key": key, "Value": value}])
        with self.refused("TargetGroupNotFound"):
            self.elb.describe_target_group_attributes(TargetGroupArn=NO_GROUP)
        with self.refused("TargetGroupNotFound"):
            self.elb.modify_target_group_attributes(TargetGroupArn=NO_GROUP, Attributes=[
                {"Key": "stickiness.enabled", "Value": "false"}])

    def test_one_in_use_stays(self) -> None:
        balancer, group = self.balancer("user"), self.group("used")
        listener = self.listener(balancer, DefaultActions=[to(group)])
        used = self.elb.describe_target_groups(LoadBalancerArn=balancer)["TargetGroups"]
        self.assertEqual([(it["TargetGroupArn"], it["LoadBalancerArns"]) for it in used], [(group, [balancer])])
        with self.refused("ResourceInUse"):
            self.elb.delete_target_group(TargetGroupArn=group)
        # CreateListener, TargetGroupAssociationLimit: a target group is of one load balancer.
        with self.refused("TargetGroupAssociationLimit"):
            self.listener(self.balancer("other-user"), DefaultActions=[to(group)])
        self.elb.delete_listener(ListenerArn=listener)
        self.elb.delete_target_group(TargetGroupArn=group)
        self.settle()
        with self.refused("TargetGroupNotFound"):
            self.elb.describe_target_groups(TargetGroupArns=[group])
        with self.refused("TargetGroupNotFound"):
            self.elb.describe_target_groups(Names=["used"])
        with self.refused("LoadBalancerNotFound"):
            self.elb.describe_target_groups(LoadBalancerArn=NO_BALANCER)

    def test_pages(self) -> None:
        for at in range(4):
            self.group(f"page-{at}")
        self.paged(self.elb, "describe_target_groups", "TargetGroups", 2, lambda it: it["TargetGroupArn"])


class Listeners(Balanced):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        acm = cls.client("acm")
        cls.web, cls.api = (acm.import_certificate(Certificate=it.certificate, PrivateKey=it.key)["CertificateArn"]
                            for it in (WEB, API))
        cls.shop = acm.import_certificate(Certificate=SHOP.certificate, PrivateKey=SHOP.key,
                                          CertificateChain=SHOP.chain)["CertificateArn"]
        cls.settle()

    def test_a_new_one(self) -> None:
        balancer = self.balancer("new")
        made = self.elb.create_listener(LoadBalancerArn=balancer, Protocol="HTTP", Port=80, DefaultActions=[OK],
                                        Tags=tag_list(Name="new"))["Listeners"][0]
        self.assertRegex(made["ListenerArn"], r":listener/app/new/[0-9a-f]{16}/[0-9a-f]{16}$")
        self.assertEqual((made["LoadBalancerArn"], made["Protocol"], made["Port"]), (balancer, "HTTP", 80))
        self.assertEqual(made["DefaultActions"], [OK])
        self.settle()
        of_balancer = self.elb.describe_listeners(LoadBalancerArn=balancer)["Listeners"]
        by_arn = self.elb.describe_listeners(ListenerArns=[made["ListenerArn"]])["Listeners"]
        self.assertEqual((of_balancer, by_arn), ([made], [made]))
        self.assertEqual(tags_of(self.elb.describe_tags(ResourceArns=[made["ListenerArn"]])["TagDescriptions"][0]),
                         {"Name": "new"})

    def test_one_per_port(self) -> None:
        balancer = self.balancer("ports")
        first = self.listener(balancer)
        self.assertEqual(self.listener(balancer), first)  # CreateListener: "each call succeeds" with the same settings
        gone = {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "410"}}
        with self.refused("DuplicateListener"):
            self.listener(balancer, DefaultActions=[gone])
        second = self.listener(balancer, 81)
        with self.refused("DuplicateListener"):
            self.elb.modify_listener(ListenerArn=second, Port=80)
        self.paged(self.elb, "describe_listeners", "Listeners", 1, lambda it: it["ListenerArn"],
                   LoadBalancerArn=balancer)

    def test_actions(self) -> None:
        balancer = self.balancer("actions")
        blue, green = self.group("blue"), self.group("green")
        listener = self.listener(balancer, DefaultActions=[to(blue)])

        def action() -> dict:
            return self.elb.describe_listeners(ListenerArns=[listener])["Listeners"][0]["DefaultActions"][0]

        def put(wanted: dict) -> dict:
            modified = self.elb.modify_listener(ListenerArn=listener, DefaultActions=[wanted])["Listeners"][0]
            self.settle()  # readers hear of it when the nodes do
            self.assertEqual(modified["DefaultActions"][0], action())
            return action()

        # Action: TargetGroupArn with one target group only; the API shows ForwardConfig beside it.
        self.assertEqual((action()["TargetGroupArn"], action()["ForwardConfig"]["TargetGroups"]),
                         (blue, [{"TargetGroupArn": blue, "Weight": 1}]))
        shown = put(to(blue, green, blue=90, green=10))
        self.assertNotIn("TargetGroupArn", shown)
        self.assertEqual(shown["ForwardConfig"]["TargetGroups"], [{"TargetGroupArn": blue, "Weight": 90},
                                                                 {"TargetGroupArn": green, "Weight": 10}])
        self.assertIs(shown["ForwardConfig"]["TargetGroupStickinessConfig"]["Enabled"], False)
        sticky = to(blue, green, blue=0, green=999)
        sticky["ForwardConfig"]["TargetGroupStickinessConfig"] = {"Enabled": True, "DurationSeconds": 60}
        self.assertEqual(put(sticky)["ForwardConfig"], sticky["ForwardConfig"])
        redirect = {"Type": "redirect", "RedirectConfig": {"Protocol": "HTTPS", "Port": "443",
                                                           "StatusCode": "HTTP_301"}}
        # RedirectActionConfig: what is left out keeps its part of the URI.
        self.assertEqual(put(redirect)["RedirectConfig"], {**redirect["RedirectConfig"], "Host": "#{host}",
                                                           "Path": "/#{path}", "Query": "#{query}"})
        self.assertEqual(put(OK), OK)

    def test_actions_that_are_refused(self) -> None:
        listener, group = self.listener(self.balancer("refusing")), self.group("refused")
        other = network(self, cidr="10.80.0.0/16", name="other")
        foreign = self.group("foreign", VpcId=other.vpc)
        tcp = self.group("tcp", Protocol="TCP", Port=80)
        loop = {"Type": "redirect", "RedirectConfig": {"StatusCode": "HTTP_301"}}
        odd = {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "302"}}
        cases = [
            ([to(NO_GROUP)], ("TargetGroupNotFound",)),
            ([to(foreign)], ("InvalidConfigurationRequest", "ValidationError")),
            ([to(tcp)], ("IncompatibleProtocols",)),
            ([to(group, NO_GROUP, a=1, b=1)], ("TargetGroupNotFound",)),
            ([to(group, self.group("heavy"), a=1, b=1000)], ("ValidationError",)),  # TargetGroupTuple: 0 to 999
            ([to(group, group, a=1, b=1)], ("ValidationError", "InvalidLoadBalancerAction")),
            ([loop], ("InvalidLoadBalancerAction",)),
            ([odd], ("ValidationError", "InvalidLoadBalancerAction")),
            ([OK, OK], ("InvalidLoadBalancerAction", "TooManyActions", "ValidationError")),
        ]
        for actions, codes in cases:
            with self.subTest(actions), self.refused(*codes):
                self.elb.modify_listener(ListenerArn=listener, DefaultActions=actions)

    def test_https(self) -> None:
        balancer = self.balancer("secure")
        secure = {"Protocol": "HTTPS", "DefaultActions": [OK]}
        with self.refused("ValidationError", "CertificateNotFound", says="certificate"):
            self.listener(balancer, 443, **secure)
        absent = self.web[:-12] + "0" * 12
        with self.refused("CertificateNotFound"):
            self.listener(balancer, 443, **secure, Certificates=[{"CertificateArn": absent}])
        with self.refused("SSLPolicyNotFound"):
            self.listener(balancer, 443, **secure, Certificates=[{"CertificateArn": self.web}], SslPolicy="Best")
        listener = self.listener(balancer, 443, **secure, Certificates=[{"CertificateArn": self.web}],
                                 SslPolicy="ELBSecurityPolicy-TLS13-1-2-2021-06")
        shown = self.elb.describe_listeners(ListenerArns=[listener])["Listeners"][0]
        self.assertEqual((shown["Certificates"], shown["SslPolicy"]),
                         ([{"CertificateArn": self.web}], "ELBSecurityPolicy-TLS13-1-2-2021-06"))
        # DeleteCertificate: one that is in use stays.
        with self.refused("ResourceInUseException"):
            self.client("acm").delete_certificate(CertificateArn=self.web)

        def certificates() -> list[tuple[str, bool]]:
            shown = self.elb.describe_listener_certificates(ListenerArn=listener)["Certificates"]
            return [(it["CertificateArn"], it["IsDefault"]) for it in shown]

        more = [{"CertificateArn": self.api}]
        added = self.elb.add_listener_certificates(ListenerArn=listener, Certificates=more)["Certificates"]
        self.assertEqual([it["CertificateArn"] for it in added], [self.api])
        # "If the certificate in already in the certificate list, the call is successful but the certificate is not
        # added again."
        self.elb.add_listener_certificates(ListenerArn=listener, Certificates=more)
        self.elb.add_listener_certificates(ListenerArn=listener, Certificates=[{"CertificateArn": self.shop}])
        self.assertCountEqual(certificates(), [(self.web, True), (self.api, False), (self.shop, False)])
        self.paged(self.elb, "describe_listener_certificates", "Certificates", 2,
                   lambda it: (it["CertificateArn"], it["IsDefault"]), ListenerArn=listener)
        self.elb.remove_listener_certificates(ListenerArn=listener, Certificates=more)
        self.assertCountEqual(certificates(), [(self.web, True), (self.shop, False)])
        with self.refused("CertificateNotFound"):
            self.elb.add_listener_certificates(ListenerArn=listener, Certificates=[{"CertificateArn": absent}])
        with self.refused("OperationNotPermitted"):  # the default certificate is replaced, not removed
            self.elb.remove_listener_certificates(ListenerArn=listener, Certificates=[{"CertificateArn": self.web}])
        for call in (self.elb.add_listener_certificates, self.elb.remove_listener_certificates):
            with self.refused("ListenerNotFound"):
                call(ListenerArn=NO_LISTENER, Certificates=more)
        with self.refused("ListenerNotFound"):
            self.elb.describe_listener_certificates(ListenerArn=NO_LISTENER)
        # ModifyListener: "Changing the protocol from HTTPS to HTTP […] removes the security policy and default
        # certificate properties."
        plain = self.elb.modify_listener(ListenerArn=listener, Protocol="HTTP", Port=8443)["Listeners"][0]
        self.assertEqual((plain["Protocol"], plain["Port"], plain.get("Certificates"), plain.get("SslPolicy")),
                         ("HTTP", 8443, None, None))
        with self.refused("ValidationError"):
            self.elb.modify_listener(ListenerArn=listener, Protocol="HTTPS")

    def test_the_default_policy(self) -> None:
        listener = self.listener(self.balancer("default"), 443, Protocol="HTTPS",
                                 Certificates=[{"CertificateArn": self.web}])
        # User guide, "Security policies": ELBSecurityPolicy-2016-08 is what the CLI and API take by default.
        shown = self.elb.describe_listeners(ListenerArns=[listener])["Listeners"][0]
        self.assertEqual(shown["SslPolicy"], "ELBSecurityPolicy-2016-08")

    def test_attributes(self) -> None:
        listener = self.listener(self.balancer("attributes"))

        def attributes() -> dict[str, str]:
            shown = self.elb.describe_listener_attributes(ListenerArn=listener)["Attributes"]
            return {attribute["Key"]: attribute.get("Value", "") for attribute in shown}

        self.assertEqual(attributes()["routing.http.response.server.enabled"], "true")  # ListenerAttribute: the default
        self.elb.modify_listener_attributes(ListenerArn=listener, Attributes=[
            {"Key": "routing.http.response.server.enabled", "Value": "false"},
            {"Key": "routing.http.response.x_frame_options.header_value", "Value": "DENY"}])
        self.assertEqual((attributes()["routing.http.response.server.enabled"],
                          attributes()["routing.http.response.x_frame_options.header_value"]), ("false", "DENY"))
        with self.refused("ValidationError", "InvalidConfigurationRequest"):
            self.elb.modify_listener_attributes(ListenerArn=listener, Attributes=[{"Key": "colour", "Value": "blue"}])
        with self.refused("ListenerNotFound"):
            self.elb.describe_listener_attributes(ListenerArn=NO_LISTENER)
        with self.refused("ListenerNotFound"):
            self.elb.modify_listener_attributes(ListenerArn=NO_LISTENER, Attributes=[
                {"Key": "routing.http.response.server.enabled", "Value": "false"}])

    def test_those_that_are_absent(self) -> None:
        with self.refused("LoadBalancerNotFound"):
            self.listener(NO_BALANCER)
        with self.refused("LoadBalancerNotFound"):
            self.elb.describe_listeners(LoadBalancerArn=NO_BALANCER)
        with self.refused("ListenerNotFound"):
            self.elb.describe_listeners(ListenerArns=[NO_LISTENER])
        with self.refused("ListenerNotFound"):
            self.elb.modify_listener(ListenerArn=NO_LISTENER, Port=81)
        with self.refused("ListenerNotFound"):
            self.elb.delete_listener(ListenerArn=NO_LISTENER)
        with self.refused("ValidationError"):  # "You must specify either a load balancer or one or more listeners."
            self.elb.describe_listeners()

    def test_the_default_certificate_in_the_list(self) -> None:
        # DescribeListenerCertificates: "If the default certificate is also in the certificate list, it appears twice in
        # the results (once with IsDefault set to true and once with IsDefault set to false)."
        acm = self.client("acm")
        web = acm.import_certificate(Certificate=WEB.certificate, PrivateKey=WEB.key)["CertificateArn"]
        self.settle()
        listener = self.listener(self.balancer("twice"), 443, Protocol="HTTPS", Certificates=[{"CertificateArn": web}])
        self.elb.add_listener_certificates(ListenerArn=listener, Certificates=[{"CertificateArn": web}])
        shown = self.elb.describe_listener_certificates(ListenerArn=listener)["Certificates"]
        self.assertCountEqual([it["IsDefault"] for it in shown], [True, False])


def path(*values: str) -> dict:
    return {"Field": "path-pattern", "PathPatternConfig": {"Values": list(values)}}


class Rules(Balanced):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        made = cls.elb.create_load_balancer(Name="ruled", Subnets=cls.net.subnets, SecurityGroups=[cls.net.group])
        cls.ruled = made["LoadBalancers"][0]["LoadBalancerArn"]
        cls.port = 8000
        cls.settle()

    def setUp(self) -> None:
        Rules.port += 1
        self.at = self.listener(self.ruled, Rules.port)

    def rule(self, priority: int, *conditions: dict, **params: object) -> str:
        made = self.elb.create_rule(ListenerArn=self.at, Priority=priority, Conditions=conditions or [path("/a*")],
                                    **{"Actions": [OK], **params})["Rules"][0]["RuleArn"]
        self.settle()
        return made

    def shown(self) -> list[dict]:
        return self.elb.describe_rules(ListenerArn=self.at)["Rules"]

    def test_the_default_rule(self) -> None:
        rules = self.shown()
        self.assertEqual([(rule["Priority"], rule["IsDefault"], rule["Actions"], rule["Conditions"])
                          for rule in rules], [("default", True, [OK], [])])
        default = rules[0]["RuleArn"]
        by_arn = self.elb.describe_rules(RuleArns=[default])["Rules"]
        self.assertEqual(by_arn, rules)
        for call in [lambda: self.elb.delete_rule(RuleArn=default),  # DeleteRule: "You can't delete the default rule."
                     lambda: self.elb.modify_rule(RuleArn=default, Actions=[OK]),
                     lambda: self.elb.set_rule_priorities(RulePriorities=[{"RuleArn": default, "Priority": 5}])]:
            with self.refused("OperationNotPermitted"):
                call()

    def test_a_new_one(self) -> None:
        made = self.elb.create_rule(ListenerArn=self.at, Priority=10, Conditions=[path("/img/*")], Actions=[OK],
                                    Tags=tag_list(Name="images"))["Rules"][0]
        self.assertEqual((made["Priority"], made["IsDefault"], made["Actions"]), ("10", False, [OK]))
        condition = made["Conditions"][0]
        # RuleCondition: hosts and paths are shown in Values too.
        self.assertEqual((condition["Field"], condition["Values"], condition["PathPatternConfig"]["Values"]),
                         ("path-pattern", ["/img/*"], ["/img/*"]))
        self.settle()
        shown = self.elb.describe_tags(ResourceArns=[made["RuleArn"]])["TagDescriptions"][0]
        self.assertEqual(tags_of(shown), {"Name": "images"})
        with self.refused("PriorityInUse"):
            self.rule(10)
        self.assertEqual([rule["Priority"] for rule in self.shown()], ["10", "default"])

    def test_conditions(self) -> None:
        conditions = [
            {"Field": "host-header", "HostHeaderConfig": {"Values": ["*.example.com"]}},
            {"Field": "http-header", "HttpHeaderConfig": {"HttpHeaderName": "X-Stage", "Values": ["test"]}},
            {"Field": "http-request-method", "HttpRequestMethodConfig": {"Values": ["GET"]}},
            {"Field": "query-string", "QueryStringConfig": {"Values": [{"Key": "v", "Value": "2"}]}},
            {"Field": "source-ip", "SourceIpConfig": {"Values": ["10.0.0.0/8"]}},
        ]
        rule = self.rule(20, *conditions)
        shown = self.elb.describe_rules(RuleArns=[rule])["Rules"][0]["Conditions"]
        for condition in conditions:
            found = [it for it in shown if it["Field"] == condition["Field"]]
            self.assertEqual(len(found), 1)
            self.assertLessEqual(condition.items(), found[0].items())
        wrong = [
            [{"Field": "weather", "Values": ["rain"]}],
            [path("/a"), path("/b")],
            [path()],
            [path(*"abcdef")],  # quota: five values per rule
            [{"Field": "source-ip", "SourceIpConfig": {"Values": ["ten"]}}],
        ]
        for conditions in wrong:
            with self.subTest(conditions), self.refused("ValidationError", "InvalidConfigurationRequest"):
                self.rule(21, *conditions)
        with self.refused("ValidationError"):
            self.rule(50001)  # CreateRule, Priority: "You can't have multiple rules with the same priority", 1 to 50000

    def test_modification(self) -> None:
        group = self.group(f"rules-{Rules.port}")
        rule = self.rule(30)
        modified = self.elb.modify_rule(RuleArn=rule, Conditions=[path("/b*")], Actions=[to(group)])["Rules"][0]
        self.settle()
        shown = self.elb.describe_rules(RuleArns=[rule])["Rules"][0]
        self.assertEqual(modified, shown)
        self.assertEqual((shown["Actions"][0]["TargetGroupArn"], shown["Conditions"][0]["Values"]), (group, ["/b*"]))
        with self.refused("ResourceInUse"):
            self.elb.delete_target_group(TargetGroupArn=group)
        # ModifyRule: "Any properties that you do not specify are unchanged."
        self.elb.modify_rule(RuleArn=rule, Conditions=[path("/c*")])
        self.settle()
        shown = self.elb.describe_rules(RuleArns=[rule])["Rules"][0]
        self.assertEqual((shown["Actions"][0]["TargetGroupArn"], shown["Conditions"][0]["Values"]), (group, ["/c*"]))
        with self.refused("TargetGroupNotFound"):
            self.elb.modify_rule(RuleArn=rule, Actions=[to(NO_GROUP)])

    def test_priorities(self) -> None:
        first, second, third = self.rule(1), self.rule(2), self.rule(3)
        # SetRulePriorities: "You can reorder the rules as long as there are no priority conflicts in the new order."
        swapped = self.elb.set_rule_priorities(RulePriorities=[{"RuleArn": first, "Priority": 2},
                                                               {"RuleArn": second, "Priority": 1}])["Rules"]
        self.assertEqual({rule["RuleArn"]: rule["Priority"] for rule in swapped}, {first: "2", second: "1"})
        self.assertEqual([rule["RuleArn"] for rule in self.shown()][:3], [second, first, third])
        with self.refused("PriorityInUse"):
            self.elb.set_rule_priorities(RulePriorities=[{"RuleArn": third, "Priority": 1}])
        with self.refused("RuleNotFound"):
            self.elb.set_rule_priorities(RulePriorities=[{"RuleArn": NO_RULE, "Priority": 9}])

    def test_deletion_and_pages(self) -> None:
        rules = [self.rule(at) for at in (1, 2, 3)]
        self.paged(self.elb, "describe_rules", "Rules", 2, lambda rule: rule["RuleArn"], ListenerArn=self.at)
        self.elb.delete_rule(RuleArn=rules[0])
        self.settle()
        for call in [lambda: self.elb.delete_rule(RuleArn=rules[0]),
                     lambda: self.elb.describe_rules(RuleArns=[rules[0]]),
                     lambda: self.elb.modify_rule(RuleArn=rules[0], Actions=[OK])]:
            with self.refused("RuleNotFound"):
                call()
        with self.refused("ListenerNotFound"):
            self.elb.describe_rules(ListenerArn=NO_LISTENER)
        with self.refused("ListenerNotFound"):
            self.elb.create_rule(ListenerArn=NO_LISTENER, Priority=1, Conditions=[path("/")], Actions=[OK])
        self.elb.delete_listener(ListenerArn=self.at)
        self.settle()
        with self.refused("RuleNotFound"):  # they go with their listener
            self.elb.describe_rules(RuleArns=rules[1:])


class Served(Balanced):
    """With instances that can be targets."""

    image = "ami-healthy-1"

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        scaling = cls.client("autoscaling")
        cls.ec2.create_launch_template(LaunchTemplateName="web", LaunchTemplateData={**SMALL, "ImageId": cls.image})
        cls.settle()
        scaling.create_auto_scaling_group(AutoScalingGroupName="web", MinSize=2, MaxSize=2,
                                          LaunchTemplate={"LaunchTemplateName": "web"},
                                          VPCZoneIdentifier=",".join(cls.net.subnets))

    def setUp(self) -> None:
        running = [{"Name": "instance-state-name", "Values": ["running"]}]

        def instances() -> list[dict]:
            found = self.ec2.describe_instances(Filters=running)["Reservations"]
            return [instance for reservation in found for instance in reservation["Instances"]]

        self.until(lambda: len(instances()) == 2, "two instances that run")
        self.instances = instances()
        self.ids = [instance["InstanceId"] for instance in self.instances]

    def health(self, group: str, *targets: str) -> dict[str, dict]:
        wanted = {"Targets": [{"Id": target} for target in targets]} if targets else {}
        shown = self.elb.describe_target_health(TargetGroupArn=group, **wanted)["TargetHealthDescriptions"]
        return {each["Target"]["Id"]: each["TargetHealth"] for each in shown}

    def registered(self, group: str, *ids: str) -> list[dict]:
        targets = [{"Id": target} for target in ids or self.ids]
        self.elb.register_targets(TargetGroupArn=group, Targets=targets)
        return targets


class Targets(Served):
    def test_they_become_healthy(self) -> None:
        group = self.group("healthy", HealthCheckIntervalSeconds=5, HealthCheckTimeoutSeconds=2)
        targets = self.registered(group)
        # TargetHealth, Reason: Target.NotInUse without a listener, Elb.* while it is looked at for the first time.
        self.assertEqual({(it["State"], it["Reason"]) for it in self.health(group).values()},
                         {("unused", "Target.NotInUse")})
        self.listener(self.balancer("healthy"), DefaultActions=[to(group)])
        for it in self.health(group).values():
            self.assertIn((it["State"], it.get("Reason")), {
                ("initial", "Elb.RegistrationInProgress"), ("initial", "Elb.InitialHealthChecking"), ("healthy", None)})
        self.wait(self.elb, "target_in_service", TargetGroupArn=group, Targets=targets)
        shown = self.elb.describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"]
        self.assertCountEqual([each["Target"] for each in shown], [{"Id": it, "Port": 80} for it in self.ids])
        self.assertEqual({each["HealthCheckPort"] for each in shown}, {"80"})
        self.assertEqual([each["TargetHealth"] for each in shown], [{"State": "healthy"}] * 2)
        self.registered(group)  # registering again changes nothing
        self.assertEqual({it["State"] for it in self.health(group).values()}, {"healthy"})

    def test_they_drain(self) -> None:
        group = self.group("draining", HealthCheckIntervalSeconds=5, HealthCheckTimeoutSeconds=2)
        self.elb.modify_target_group_attributes(TargetGroupArn=group, Attributes=[
            {"Key": "deregistration_delay.timeout_seconds", "Value": "60"}])
        targets = self.registered(group)
        self.listener(self.balancer("draining"), DefaultActions=[to(group)])
        self.wait(self.elb, "target_in_service", TargetGroupArn=group, Targets=targets)
        self.elb.deregister_targets(TargetGroupArn=group, Targets=targets[:1])
        first, second = self.ids
        shown = self.health(group)
        self.assertEqual((shown[first]["State"], shown[first]["Reason"], shown[second]["State"]),
                         ("draining", "Target.DeregistrationInProgress", "healthy"))
        self.wait(self.elb, "target_deregistered", TargetGroupArn=group, Targets=targets[:1])
        self.assertEqual(set(self.health(group)), {second})
        # Asked for by name, it is there as one that is not registered.
        self.assertEqual((self.health(group, first)[first]["State"], self.health(group, first)[first]["Reason"]),
                         ("unused", "Target.NotRegistered"))
        # DeregisterTargets: "If the specified target does not exist, the action returns successfully."
        self.elb.deregister_targets(TargetGroupArn=group, Targets=targets[:1])

    def test_ports_of_one_instance(self) -> None:
        group = self.group("ports")
        # RegisterTargets: "You can register each EC2 instance […] with the same target group multiple times using
        # different ports."
        self.elb.register_targets(TargetGroupArn=group, Targets=[{"Id": self.ids[0], "Port": 81},
                                                                 {"Id": self.ids[0], "Port": 82}])
        shown = self.elb.describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"]
        self.assertCountEqual([each["Target"]["Port"] for each in shown], [81, 82])
        self.elb.deregister_targets(TargetGroupArn=group, Targets=[{"Id": self.ids[0], "Port": 81}])
        shown = self.elb.describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"]
        self.assertEqual([each["Target"]["Port"] for each in shown], [82])

    def test_addresses(self) -> None:
        group = self.group("addresses", TargetType="ip", HealthCheckIntervalSeconds=5, HealthCheckTimeoutSeconds=2)
        addresses = [instance["PrivateIpAddress"] for instance in self.instances]
        targets = self.registered(group, *addresses)
        self.listener(self.balancer("addresses"), DefaultActions=[to(group)])
        self.wait(self.elb, "target_in_service", TargetGroupArn=group, Targets=targets)
        with self.refused("InvalidTarget", "ValidationError"):
            self.registered(group, self.ids[0])

    def test_those_that_are_refused(self) -> None:
        group = self.group("refusing")
        with self.refused("InvalidTarget"):
            self.registered(group, "i-0123456789abcdef0")
        for call in (self.elb.register_targets, self.elb.deregister_targets, self.elb.describe_target_health):
            with self.refused("TargetGroupNotFound"):
                call(TargetGroupArn=NO_GROUP, Targets=[{"Id": self.ids[0]}])

    def test_an_address_outside_of_the_network(self) -> None:
        # TargetDescription, AvailabilityZone: "If the IP address is outside the VPC, this parameter is required." The
        # API answers ValidationError: "You must specify a valid Availability Zone or select 'all' […]".
        group = self.group("outside", TargetType="ip")
        with self.refused("ValidationError", "InvalidTarget"):
            self.registered(group, "192.168.7.7")

    def test_a_public_address(self) -> None:
        # TargetDescription, Id: "You can't specify publicly routable IP addresses."
        group = self.group("public", TargetType="ip")
        with self.refused("ValidationError", "InvalidTarget"):
            self.registered(group, "8.8.8.8")

    def test_a_port_of_its_own_is_named_again(self) -> None:
        # DeregisterTargets, Targets: "If you specified a port override when you registered a target, you must specify
        # both the target ID and the port when you deregister it."
        group = self.group("override")
        self.elb.register_targets(TargetGroupArn=group, Targets=[{"Id": self.ids[0], "Port": 8081}])
        self.elb.deregister_targets(TargetGroupArn=group, Targets=[{"Id": self.ids[0]}])
        shown = self.elb.describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"]
        self.assertEqual([it["Target"].get("Port") for it in shown], [8081])

    def test_an_instance_of_another_network(self) -> None:
        # User guide, "Register targets with your target group": the instance must be in the VPC of the target group.
        other = network(self, cidr="10.90.0.0/16", name="other")
        group = self.group("foreign", VpcId=other.vpc)
        with self.refused("InvalidTarget"):
            self.registered(group, self.ids[0])


class SickTargets(Served):
    image = "ami-never-healthy"

    def test_they_become_unhealthy(self) -> None:
        group = self.group("sick", HealthCheckIntervalSeconds=5, HealthCheckTimeoutSeconds=2)
        targets = self.registered(group)
        self.listener(self.balancer("sick"), DefaultActions=[to(group)])
        self.until(lambda: {it.get("Reason") for it in self.health(group).values()} == {"Target.ResponseCodeMismatch"},
                   "both are unhealthy")
        for it in self.health(group).values():
            self.assertEqual(it["State"], "unhealthy")
            self.assertIn("[503]", it["Description"])  # TargetHealth: "Health checks failed with these codes: [code]"
        with self.waiting_fails():
            self.wait(self.elb, "target_in_service", attempts=10, TargetGroupArn=group, Targets=targets)


class Tags(Balanced):
    def test_on_any_kind(self) -> None:
        balancer, group = self.balancer("tagged"), self.group("tagged")
        listener = self.listener(balancer)
        rule = self.elb.create_rule(ListenerArn=listener, Priority=1, Conditions=[path("/")], Actions=[OK])
        self.settle()
        arns = [balancer, group, listener, rule["Rules"][0]["RuleArn"]]
        self.elb.add_tags(ResourceArns=arns, Tags=tag_list(colour="blue", size="big"))
        self.elb.add_tags(ResourceArns=arns, Tags=tag_list(colour="green"))  # "AddTags updates its value"

        def shown() -> dict[str, dict[str, str]]:
            described = self.elb.describe_tags(ResourceArns=arns)["TagDescriptions"]
            return {each["ResourceArn"]: tags_of(each) for each in described}

        self.assertEqual(shown(), {arn: {"colour": "green", "size": "big"} for arn in arns})
        self.elb.remove_tags(ResourceArns=arns, TagKeys=["colour", "absent"])
        self.assertEqual(shown(), {arn: {"size": "big"} for arn in arns})
        with self.refused("DuplicateTagKeys"):
            self.elb.add_tags(ResourceArns=[balancer], Tags=tag_list(a="1") + tag_list(a="2"))
        with self.refused("TooManyTags"):
            self.elb.add_tags(ResourceArns=[balancer], Tags=tag_list(**{f"tag{at}": "" for at in range(51)}))
        for absent, code in [(NO_BALANCER, "LoadBalancerNotFound"), (NO_GROUP, "TargetGroupNotFound"),
                             (NO_LISTENER, "ListenerNotFound"), (NO_RULE, "RuleNotFound")]:
            with self.refused(code):
                self.elb.describe_tags(ResourceArns=[absent])
            with self.refused(code):
                self.elb.add_tags(ResourceArns=[absent], Tags=tag_list(a="b"))
            with self.refused(code):
                self.elb.remove_tags(ResourceArns=[absent], TagKeys=["a"])


if __name__ == "__main__":
    unittest.main()
