"""EC2's networks: VPCs, subnets, gateways, routes, network ACLs, security groups, addresses, and their tags.

Codes are those of "Error codes for the Amazon EC2 API"; what else is expected is in the API reference of the action
named beside it, or in botocore's model of it.
"""
import unittest

from botocore.exceptions import ClientError

from support import Case, code_of, named, network, tag_list, tags_of

ABSENT = "0123456789abcdef0"

# EC2 says InvalidParameterValue ("The filter 'colour' is invalid"); its list of codes has InvalidFilter too.
BAD_FILTER = ("InvalidParameterValue", "InvalidFilter")


class Vpcs(Case):
    def setUp(self) -> None:
        self.ec2 = self.client("ec2")

    def vpc(self, cidr: str = "10.0.0.0/16", **tags: str) -> str:
        made = self.ec2.create_vpc(CidrBlock=cidr, TagSpecifications=named("vpc", **tags) if tags else [])["Vpc"]
        self.settle()
        return made["VpcId"]

    def test_a_new_vpc_is_pending_and_becomes_available(self) -> None:
        made = self.ec2.create_vpc(CidrBlock="10.1.0.0/16", InstanceTenancy="default",
                                   TagSpecifications=named("vpc", Name="first"))["Vpc"]
        self.assertEqual(made["State"], "pending")  # CreateVpc, the example response
        self.assertEqual((made["CidrBlock"], made["IsDefault"], made["InstanceTenancy"]),
                         ("10.1.0.0/16", False, "default"))
        self.assertEqual(tags_of(made), {"Name": "first"})
        self.has(made, "VpcId", "OwnerId", "DhcpOptionsId")
        self.assertEqual(made["OwnerId"], "210987654321")
        block = made["CidrBlockAssociationSet"][0]
        self.assertTrue(block["AssociationId"].startswith("vpc-cidr-assoc-"))
        # Right after its creation it may not be found: "Eventual consistency in the Amazon EC2 API".
        self.wait(self.ec2, "vpc_exists", VpcIds=[made["VpcId"]])
        self.wait(self.ec2, "vpc_available", VpcIds=[made["VpcId"]])
        shown = self.eventually(self.ec2.describe_vpcs, VpcIds=[made["VpcId"]])["Vpcs"][0]
        self.assertEqual(shown["State"], "available")
        self.assertEqual(shown["CidrBlockAssociationSet"][0]["CidrBlockState"], {"State": "associated"})

    def test_what_is_just_made_may_not_be_found(self) -> None:
        seen = set()
        for _ in range(20):
            made = self.ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
            try:
                self.ec2.describe_vpcs(VpcIds=[made])
                seen.add("found")
            except ClientError as error:
                seen.add(code_of(error))
            self.eventually(self.ec2.delete_vpc, VpcId=made)
        self.assertLessEqual(seen, {"found", "InvalidVpcID.NotFound"})
        self.assertIn("found", seen)

    def test_host_bits_are_cleared(self) -> None:
        # CreateVpc: "We modify the specified CIDR block to its canonical form".
        made = self.ec2.create_vpc(CidrBlock="100.68.0.18/18")["Vpc"]
        self.assertEqual(made["CidrBlock"], "100.68.0.0/18")

    def test_blocks_that_are_refused(self) -> None:
        for cidr in ["10.0.0.0/15", "10.0.0.0/29"]:  # "between a /28 netmask and /16 netmask"
            with self.refused("InvalidVpc.Range"):
                self.ec2.create_vpc(CidrBlock=cidr)
        with self.refused("InvalidParameterValue"):
            self.ec2.create_vpc(CidrBlock="ten")

    def test_a_vpc_brings_its_defaults_and_takes_them_along(self) -> None:
        vpc = self.vpc("10.2.0.0/16")
        of = [{"Name": "vpc-id", "Values": [vpc]}]
        tables = self.ec2.describe_route_tables(Filters=of)["RouteTables"]
        acls = self.ec2.describe_network_acls(Filters=of)["NetworkAcls"]
        groups = self.ec2.describe_security_groups(Filters=of)["SecurityGroups"]
        self.assertEqual(([table["Associations"][0]["Main"] for table in tables], [acl["IsDefault"] for acl in acls]),
                         ([True], [True]))
        self.assertEqual([group["GroupName"] for group in groups], ["default"])
        self.ec2.delete_vpc(VpcId=vpc)
        self.settle()
        self.assertFalse(self.ec2.describe_route_tables(Filters=of)["RouteTables"])
        self.assertFalse(self.ec2.describe_network_acls(Filters=of)["NetworkAcls"])
        self.assertFalse(self.ec2.describe_security_groups(Filters=of)["SecurityGroups"])
        with self.refused("InvalidVpcID.NotFound", status=400):
            self.ec2.describe_vpcs(VpcIds=[vpc])
        with self.refused("InvalidVpcID.NotFound"):
            self.ec2.delete_vpc(VpcId=vpc)
        self.wait(self.ec2, "vpc_exists", VpcIds=[self.vpc("10.2.0.0/16")])

    def test_each_that_depends_keeps_the_vpc(self) -> None:
        # DeleteVpc: "you must detach or delete all gateways and resources that are associated with the VPC".
        vpc = self.vpc("10.3.0.0/16")
        subnet = self.ec2.create_subnet(VpcId=vpc, CidrBlock="10.3.0.0/24")["Subnet"]["SubnetId"]
        table = self.ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
        acl = self.ec2.create_network_acl(VpcId=vpc)["NetworkAcl"]["NetworkAclId"]
        group = self.ec2.create_security_group(GroupName="web", Description="web", VpcId=vpc)["GroupId"]
        gateway = self.ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
        self.settle()
        self.ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
        for remove in [
            lambda: self.ec2.delete_subnet(SubnetId=subnet),
            lambda: self.ec2.delete_route_table(RouteTableId=table),
            lambda: self.ec2.delete_network_acl(NetworkAclId=acl),
            lambda: self.ec2.delete_security_group(GroupId=group),
            lambda: self.ec2.detach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc),
        ]:
            with self.refused("DependencyViolation", status=400):
                self.ec2.delete_vpc(VpcId=vpc)
            remove()
        self.ec2.delete_vpc(VpcId=vpc)

    def test_attributes(self) -> None:
        vpc = self.vpc("10.4.0.0/16")
        # CreateVpc: DNS support is on, DNS hostnames are off in a VPC that is not the default one.
        for attribute, default in [("DnsSupport", True), ("DnsHostnames", False),
                                   ("NetworkAddressUsageMetrics", False)]:
            small = f"enable{attribute}"
            shown = self.ec2.describe_vpc_attribute(VpcId=vpc, Attribute=small)
            self.assertEqual((shown["VpcId"], shown[f"Enable{attribute}"]), (vpc, {"Value": default}))
            self.ec2.modify_vpc_attribute(VpcId=vpc, **{f"Enable{attribute}": {"Value": not default}})
            shown = self.ec2.describe_vpc_attribute(VpcId=vpc, Attribute=small)
            self.assertEqual(shown[f"Enable{attribute}"], {"Value": not default})
            # Host names need DNS support, so it is on again for them.
            self.ec2.modify_vpc_attribute(VpcId=vpc, **{f"Enable{attribute}": {"Value": default}})
        with self.refused("InvalidVpcID.NotFound"):
            self.ec2.modify_vpc_attribute(VpcId=f"vpc-{ABSENT}", EnableDnsSupport={"Value": True})
        with self.refused("InvalidVpcID.NotFound"):
            self.ec2.describe_vpc_attribute(VpcId=f"vpc-{ABSENT}", Attribute="enableDnsSupport")
        # ModifyVpcAttribute: "You cannot modify the DNS resolution and DNS hostnames attributes in the same request."
        with self.refused("InvalidParameterCombination"):
            self.ec2.modify_vpc_attribute(VpcId=vpc, EnableDnsSupport={"Value": True},
                                          EnableDnsHostnames={"Value": True})

    def test_filters(self) -> None:
        blue, green = self.vpc("10.5.0.0/16", colour="blue", role="a*b"), self.vpc("10.6.0.0/16", colour="green")
        other = self.vpc("10.7.0.0/16")

        def found(name: str, *values: str) -> set[str]:
            vpcs = self.ec2.describe_vpcs(Filters=[{"Name": name, "Values": list(values)}])["Vpcs"]
            return {vpc["VpcId"] for vpc in vpcs}

        # "Using filtering" of the EC2 API reference: values are joined by or, filters by and; * and ? are wildcards, a
        # backslash takes their meaning away, and case matters.
        self.assertEqual(found("tag:colour", "blue"), {blue})
        self.assertEqual(found("tag:colour", "blue", "green"), {blue, green})
        self.assertEqual(found("tag:colour", "bl*"), {blue})
        self.assertEqual(found("tag:colour", "?lue"), {blue})
        self.assertEqual(found("tag:colour", "Blue"), set())
        self.assertEqual(found("tag:role", r"a\*b"), {blue})
        self.assertEqual(found("tag:role", r"a\?b"), set())
        self.assertEqual(found("tag-key", "colour"), {blue, green})
        self.assertEqual(found("cidr", "10.7.0.0/16"), {other})
        self.assertEqual(found("vpc-id", blue, other), {blue, other})
        self.assertEqual(found("owner-id", "111111111111"), set())
        self.assertEqual(len(found("is-default", "true")), 1)
        self.assertIn(green, found("state", "available"))
        self.assertIn(green, found("cidr-block-association.cidr-block", "10.6.0.0/16"))
        both = [{"Name": "tag-key", "Values": ["colour"]}, {"Name": "cidr", "Values": ["10.6.*"]}]
        self.assertEqual([vpc["VpcId"] for vpc in self.ec2.describe_vpcs(Filters=both)["Vpcs"]], [green])
        with self.refused(*BAD_FILTER):
            found("colour", "blue")

    def test_pages(self) -> None:
        for at in range(7):
            self.vpc(f"10.{10 + at}.0.0/16")
        self.paged(self.ec2, "describe_vpcs", "Vpcs", 5, lambda vpc: vpc["VpcId"])
        # "Error codes for the Amazon EC2 API": InvalidNextToken.
        with self.refused("InvalidNextToken", "InvalidParameterValue"):
            self.ec2.describe_vpcs(NextToken="nonsense")
        with self.refused("InvalidParameterValue"):
            self.ec2.describe_vpcs(MaxResults=1001)  # the model: at most 1000

    def test_ids_of_another_form(self) -> None:
        with self.refused("InvalidVpcID.Malformed", "InvalidVpcID.NotFound"):
            self.ec2.describe_vpcs(VpcIds=["network"])

    def test_accounts_and_regions_are_apart(self) -> None:
        vpc = self.vpc("10.8.0.0/16")
        for scope in [{"account": "111111111111"}, {"region": "us-east-1"}]:
            with self.refused("InvalidVpcID.NotFound"):
                self.client("ec2", **scope).describe_vpcs(VpcIds=[vpc])
            default = self.client("ec2", **scope).describe_vpcs()["Vpcs"]
            self.assertEqual([(vpc["IsDefault"], vpc["CidrBlock"]) for vpc in default], [(True, "172.31.0.0/16")])

    def test_a_dry_run_changes_nothing(self) -> None:
        before = len(self.ec2.describe_vpcs()["Vpcs"])
        # CreateVpc, DryRun: "If you have the required permissions, the error response is DryRunOperation".
        with self.refused("DryRunOperation", status=412):
            self.ec2.create_vpc(CidrBlock="10.0.0.0/16", DryRun=True)
        with self.refused("DryRunOperation", status=412):
            self.ec2.describe_vpcs(DryRun=True)
        self.settle()
        self.assertEqual(len(self.ec2.describe_vpcs()["Vpcs"]), before)

    def test_hostnames_need_dns(self) -> None:
        # ModifyVpcAttribute: "You can only enable DNS hostnames if you've enabled DNS support."
        vpc = self.ec2.create_vpc(CidrBlock="10.50.0.0/16")["Vpc"]["VpcId"]
        self.settle()
        self.ec2.modify_vpc_attribute(VpcId=vpc, EnableDnsSupport={"Value": False})
        with self.refused("InvalidParameterCombination", "InvalidParameterValue", "OperationNotPermitted"):
            self.ec2.modify_vpc_attribute(VpcId=vpc, EnableDnsHostnames={"Value": True})


class Subnets(Case):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.net = network(cls)
        cls.ec2 = cls.client("ec2")

    def test_a_new_subnet(self) -> None:
        made = self.ec2.create_subnet(VpcId=self.net.vpc, CidrBlock="10.0.100.0/24",
                                      TagSpecifications=named("subnet", Name="web"))["Subnet"]
        self.has(made, "SubnetId", "SubnetArn", "AvailabilityZone", "AvailabilityZoneId", "OwnerId")
        # VPC guide, "Subnet sizing for IPv4": the first four addresses and the last one are AWS's.
        self.assertEqual(made["AvailableIpAddressCount"], 251)
        self.assertEqual((made["MapPublicIpOnLaunch"], made["DefaultForAz"]), (False, False))
        self.assertEqual(tags_of(made), {"Name": "web"})
        self.settle()  # this waiter gives up at the first error
        self.assertEqual(made["SubnetArn"],
                         f"arn:aws:ec2:eu-central-1:210987654321:subnet/{made['SubnetId']}")
        self.wait(self.ec2, "subnet_available", SubnetIds=[made["SubnetId"]])
        zones = self.ec2.describe_availability_zones(ZoneNames=[made["AvailabilityZone"]])["AvailabilityZones"]
        self.assertEqual(zones[0]["ZoneId"], made["AvailabilityZoneId"])

    def test_a_zone_can_be_named_by_its_id(self) -> None:
        zone = self.ec2.describe_availability_zones()["AvailabilityZones"][1]
        made = self.ec2.create_subnet(VpcId=self.net.vpc, CidrBlock="10.0.101.0/24",
                                      AvailabilityZoneId=zone["ZoneId"])["Subnet"]
        self.assertEqual(made["AvailabilityZone"], zone["ZoneName"])
        with self.refused("InvalidParameterValue"):
            self.ec2.create_subnet(VpcId=self.net.vpc, CidrBlock="10.0.102.0/24", AvailabilityZone="eu-central-1z")

    def test_blocks_that_are_refused(self) -> None:
        with self.refused("InvalidSubnet.Conflict"):
            self.ec2.create_subnet(VpcId=self.net.vpc, CidrBlock="10.0.0.128/25")
        for cidr in ["10.1.0.0/24", "10.0.103.0/29"]:
            with self.refused("InvalidSubnet.Range"):
                self.ec2.create_subnet(VpcId=self.net.vpc, CidrBlock=cidr)
        with self.refused("InvalidVpcID.NotFound"):
            self.ec2.create_subnet(VpcId=f"vpc-{ABSENT}", CidrBlock="10.0.104.0/24")

    def test_public_addresses_can_be_switched_on(self) -> None:
        subnet = self.net.subnets[0]
        for value in (True, False):
            self.ec2.modify_subnet_attribute(SubnetId=subnet, MapPublicIpOnLaunch={"Value": value})
            shown = self.ec2.describe_subnets(SubnetIds=[subnet])["Subnets"][0]
            self.assertEqual(shown["MapPublicIpOnLaunch"], value)
        with self.refused("InvalidSubnetID.NotFound"):
            self.ec2.modify_subnet_attribute(SubnetId=f"subnet-{ABSENT}", MapPublicIpOnLaunch={"Value": True})

    def test_filters_and_pages(self) -> None:
        in_vpc = {"Name": "vpc-id", "Values": [self.net.vpc]}

        def found(name: str, *values: str) -> set[str]:
            filters = [in_vpc, {"Name": name, "Values": list(values)}]
            return {subnet["SubnetId"] for subnet in self.ec2.describe_subnets(Filters=filters)["Subnets"]}

        first, second = self.net.subnets
        shown = self.ec2.describe_subnets(SubnetIds=[first])["Subnets"][0]
        self.assertIn(first, found("availability-zone", shown["AvailabilityZone"]))
        self.assertNotIn(second, found("availability-zone", shown["AvailabilityZone"]))
        self.assertIn(first, found("availability-zone-id", shown["AvailabilityZoneId"]))
        self.assertEqual(found("cidr-block", "10.0.0.0/24"), {first})
        self.assertEqual(found("default-for-az", "true"), set())
        self.assertEqual(found("subnet-id", first, second), {first, second})
        with self.refused(*BAD_FILTER):
            found("colour", "blue")
        for at in range(6):
            self.ec2.create_subnet(VpcId=self.net.vpc, CidrBlock=f"10.0.{110 + at}.0/24")
        self.settle()
        self.paged(self.ec2, "describe_subnets", "Subnets", 5, lambda subnet: subnet["SubnetId"], Filters=[in_vpc])

    def test_one_in_use_stays(self) -> None:
        made = self.ec2.create_subnet(VpcId=self.net.vpc, CidrBlock="10.0.105.0/24")["Subnet"]["SubnetId"]
        self.settle()
        nat = self.ec2.create_nat_gateway(SubnetId=made, ConnectivityType="private")["NatGateway"]["NatGatewayId"]
        shown = self.ec2.describe_subnets(SubnetIds=[made])["Subnets"][0]
        self.assertEqual(shown["AvailableIpAddressCount"], 250, "the gateway takes an address")
        with self.refused("DependencyViolation"):
            self.ec2.delete_subnet(SubnetId=made)
        self.settle()
        self.ec2.delete_nat_gateway(NatGatewayId=nat)
        self.wait(self.ec2, "nat_gateway_deleted", NatGatewayIds=[nat])
        self.ec2.delete_subnet(SubnetId=made)
        self.settle()
        with self.refused("InvalidSubnetID.NotFound"):
            self.ec2.delete_subnet(SubnetId=made)
        with self.refused("InvalidSubnetID.NotFound"):
            self.ec2.describe_subnets(SubnetIds=[made])


class InternetGateways(Case):
    def test_from_creation_to_deletion(self) -> None:
        ec2 = self.client("ec2")
        net = network(self)
        made = ec2.create_internet_gateway(TagSpecifications=named("internet-gateway", Name="spare"))
        spare = made["InternetGateway"]
        self.assertEqual((spare["Attachments"], tags_of(spare)), ([], {"Name": "spare"}))
        self.settle()  # the waiter does not know the code that EC2 has for one that is not found yet
        self.wait(ec2, "internet_gateway_exists", InternetGatewayIds=[spare["InternetGatewayId"]])
        spare = spare["InternetGatewayId"]
        shown = ec2.describe_internet_gateways(InternetGatewayIds=[net.gateway])["InternetGateways"][0]
        # InternetGatewayAttachment: "For an internet gateway, the state is available when attached to a VPC".
        self.assertEqual(shown["Attachments"], [{"State": "available", "VpcId": net.vpc}])
        self.assertEqual(shown["OwnerId"], "210987654321")
        with self.refused("Resource.AlreadyAssociated"):
            ec2.attach_internet_gateway(InternetGatewayId=net.gateway, VpcId=net.vpc)
        with self.refused("InvalidParameterValue", says="already has an internet gateway attached"):
            ec2.attach_internet_gateway(InternetGatewayId=spare, VpcId=net.vpc)
        with self.refused("DependencyViolation"):
            ec2.delete_internet_gateway(InternetGatewayId=net.gateway)
        with self.refused("Gateway.NotAttached"):
            ec2.detach_internet_gateway(InternetGatewayId=spare, VpcId=net.vpc)
        with self.refused("InvalidVpcID.NotFound"):
            ec2.attach_internet_gateway(InternetGatewayId=spare, VpcId=f"vpc-{ABSENT}")
        for call in (ec2.attach_internet_gateway, ec2.detach_internet_gateway):
            with self.refused("InvalidInternetGatewayID.NotFound"):
                call(InternetGatewayId=f"igw-{ABSENT}", VpcId=net.vpc)
        attached = ec2.describe_internet_gateways(Filters=[{"Name": "attachment.vpc-id", "Values": [net.vpc]}])
        self.assertEqual([each["InternetGatewayId"] for each in attached["InternetGateways"]], [net.gateway])
        with self.refused(*BAD_FILTER):
            ec2.describe_internet_gateways(Filters=[{"Name": "vpc-id", "Values": [net.vpc]}])
        for _ in range(6):
            ec2.create_internet_gateway()
        self.settle()
        self.paged(ec2, "describe_internet_gateways", "InternetGateways", 5, lambda it: it["InternetGatewayId"])
        ec2.detach_internet_gateway(InternetGatewayId=net.gateway, VpcId=net.vpc)
        ec2.delete_internet_gateway(InternetGatewayId=net.gateway)
        self.settle()
        with self.refused("InvalidInternetGatewayID.NotFound"):
            ec2.delete_internet_gateway(InternetGatewayId=net.gateway)
        with self.refused("InvalidInternetGatewayID.NotFound"):
            ec2.describe_internet_gateways(InternetGatewayIds=[net.gateway])


class RouteTables(Case):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.net = network(cls)
        cls.ec2 = cls.client("ec2")

    def table(self, vpc: str | None = None) -> str:
        made = self.ec2.create_route_table(VpcId=vpc or self.net.vpc)["RouteTable"]["RouteTableId"]
        self.settle()
        return made

    def routes(self, table: str) -> dict[str, dict]:
        shown = self.ec2.describe_route_tables(RouteTableIds=[table])["RouteTables"][0]
        return {route.get("DestinationCidrBlock") or route["DestinationPrefixListId"]: route
                for route in shown["Routes"]}

    def test_a_new_table_has_the_local_route(self) -> None:
        made = self.ec2.create_route_table(VpcId=self.net.vpc, TagSpecifications=named("route-table", Name="out"))
        table = made["RouteTable"]
        self.assertEqual(table["Routes"], [{"DestinationCidrBlock": "10.0.0.0/16", "GatewayId": "local",
                                            "Origin": "CreateRouteTable", "State": "active"}])
        self.assertEqual((table["Associations"], table["PropagatingVgws"]), ([], []))
        self.assertEqual((table["OwnerId"], tags_of(table)), ("210987654321", {"Name": "out"}))
        self.has(made, "ClientToken")  # boto3 fills it in, and AWS says it back

    def test_a_token_makes_one_table(self) -> None:
        # "Ensuring idempotency in Amazon EC2 API requests"
        first = self.ec2.create_route_table(VpcId=self.net.vpc, ClientToken="one")["RouteTable"]["RouteTableId"]
        again = self.ec2.create_route_table(VpcId=self.net.vpc, ClientToken="one")["RouteTable"]["RouteTableId"]
        self.assertEqual(first, again)
        with self.refused("IdempotentParameterMismatch"):
            self.ec2.create_route_table(VpcId=self.net.vpc, ClientToken="one",
                                        TagSpecifications=named("route-table", Name="other"))

    def test_routes(self) -> None:
        table, ec2, net = self.table(), self.ec2, self.net
        ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", GatewayId=net.gateway)
        self.assertEqual(self.routes(table)["0.0.0.0/0"], {
            "DestinationCidrBlock": "0.0.0.0/0", "GatewayId": net.gateway, "Origin": "CreateRoute", "State": "active"})
        # CreateRoute: "We modify the specified CIDR block to its canonical form".
        ec2.create_route(RouteTableId=table, DestinationCidrBlock="192.168.1.7/24", GatewayId=net.gateway)
        self.assertIn("192.168.1.0/24", self.routes(table))
        nat = ec2.create_nat_gateway(SubnetId=net.subnets[0], ConnectivityType="private")["NatGateway"]["NatGatewayId"]
        self.settle()
        with self.refused("RouteAlreadyExists"):
            ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", NatGatewayId=nat)
        ec2.replace_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", NatGatewayId=nat)
        shown = self.routes(table)["0.0.0.0/0"]
        self.assertEqual((shown["NatGatewayId"], shown["State"]), (nat, "active"))
        self.assertNotIn("GatewayId", shown)
        by_nat = ec2.describe_route_tables(Filters=[{"Name": "route.nat-gateway-id", "Values": [nat]}])["RouteTables"]
        self.assertEqual([found["RouteTableId"] for found in by_nat], [table])
        # Route, State: "blackhole […] indicates that the route's target isn't available".
        ec2.delete_nat_gateway(NatGatewayId=nat)
        self.wait(ec2, "nat_gateway_deleted", NatGatewayIds=[nat])
        self.assertEqual(self.routes(table)["0.0.0.0/0"]["State"], "blackhole")
        ec2.delete_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0")
        self.assertNotIn("0.0.0.0/0", self.routes(table))
        with self.refused("InvalidRoute.NotFound"):
            ec2.delete_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0")
        with self.refused("InvalidParameterValue", says="Use CreateRoute instead"):
            ec2.replace_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", GatewayId=net.gateway)
        with self.refused("InvalidParameterValue", says="cannot remove local route"):
            ec2.delete_route(RouteTableId=table, DestinationCidrBlock="10.0.0.0/16")

    def test_a_route_to_a_prefix_list(self) -> None:
        table = self.table()
        lists = self.ec2.describe_managed_prefix_lists(
            Filters=[{"Name": "prefix-list-name", "Values": ["com.amazonaws.eu-central-1.s3"]}])["PrefixLists"]
        self.ec2.create_route(RouteTableId=table, DestinationPrefixListId=lists[0]["PrefixListId"],
                              GatewayId=self.net.gateway)
        self.assertIn(lists[0]["PrefixListId"], self.routes(table))
        with self.refused("InvalidPrefixListID.NotFound", "InvalidPrefixListId.NotFound"):
            self.ec2.create_route(RouteTableId=table, DestinationPrefixListId="pl-00000000",
                                  GatewayId=self.net.gateway)

    def test_targets_that_are_refused(self) -> None:
        table = self.table()
        absent = [("GatewayId", f"igw-{ABSENT}", "InvalidGatewayID.NotFound"),
                  ("NatGatewayId", f"nat-{ABSENT}", "InvalidNatGatewayID.NotFound"),
                  ("NetworkInterfaceId", f"eni-{ABSENT}", "InvalidNetworkInterfaceID.NotFound")]
        for name, target, code in absent:
            with self.refused(code, "NatGatewayNotFound"):
                self.ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", **{name: target})
        other = network(self, cidr="10.20.0.0/16", name="other")
        # A gateway of another network serves nobody here.
        with self.refused("InvalidParameterValue", says="belong to different networks"):
            self.ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", GatewayId=other.gateway)
        with self.refused("InvalidRouteTableID.NotFound"):
            self.ec2.create_route(RouteTableId=f"rtb-{ABSENT}", DestinationCidrBlock="0.0.0.0/0",
                                  GatewayId=other.gateway)
        with self.refused("InvalidRouteTableID.NotFound"):
            self.ec2.delete_route(RouteTableId=f"rtb-{ABSENT}", DestinationCidrBlock="0.0.0.0/0")
        with self.refused("MissingParameter", "InvalidParameterCombination"):
            self.ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0")

    def test_associations(self) -> None:
        ec2, (first, second) = self.ec2, self.net.subnets
        one, two = self.table(), self.table()
        made = ec2.associate_route_table(RouteTableId=one, SubnetId=first)
        self.assertEqual(made["AssociationState"]["State"], "associated")
        association = made["AssociationId"]
        self.assertTrue(association.startswith("rtbassoc-"))
        with self.refused("Resource.AlreadyAssociated"):
            ec2.associate_route_table(RouteTableId=two, SubnetId=first)
        with self.refused("DependencyViolation"):
            ec2.delete_route_table(RouteTableId=one)
        moved = ec2.replace_route_table_association(AssociationId=association, RouteTableId=two)
        # ReplaceRouteTableAssociation: "The operation also returns the new ID of the association".
        self.assertNotEqual(moved["NewAssociationId"], association)
        found = ec2.describe_route_tables(Filters=[{"Name": "association.subnet-id", "Values": [first]}])
        self.assertEqual([table["RouteTableId"] for table in found["RouteTables"]], [two])
        shown = found["RouteTables"][0]["Associations"][0]
        self.assertEqual((shown["Main"], shown["SubnetId"], shown["RouteTableId"]), (False, first, two))
        ec2.disassociate_route_table(AssociationId=moved["NewAssociationId"])
        with self.refused("InvalidAssociationID.NotFound"):
            ec2.disassociate_route_table(AssociationId=moved["NewAssociationId"])
        with self.refused("InvalidAssociationID.NotFound"):
            ec2.replace_route_table_association(AssociationId=association, RouteTableId=two)
        with self.refused("InvalidSubnetID.NotFound"):
            ec2.associate_route_table(RouteTableId=one, SubnetId=f"subnet-{ABSENT}")
        with self.refused("InvalidRouteTableID.NotFound"):
            ec2.associate_route_table(RouteTableId=f"rtb-{ABSENT}", SubnetId=second)
        for table in (one, two):
            ec2.delete_route_table(RouteTableId=table)
        self.settle()
        with self.refused("InvalidRouteTableID.NotFound"):
            ec2.delete_route_table(RouteTableId=one)
        with self.refused("InvalidRouteTableID.NotFound"):
            ec2.describe_route_tables(RouteTableIds=[one])

    def test_the_main_table(self) -> None:
        other = network(self, cidr="10.21.0.0/16", name="main")
        main = self.ec2.describe_route_tables(Filters=[
            {"Name": "vpc-id", "Values": [other.vpc]}, {"Name": "association.main", "Values": ["true"]}])["RouteTables"]
        self.assertEqual(len(main), 1)
        association = main[0]["Associations"][0]["RouteTableAssociationId"]
        # DeleteRouteTable: "You can't delete the main route table." DisassociateRouteTable likewise.
        with self.refused("DependencyViolation"):
            self.ec2.delete_route_table(RouteTableId=main[0]["RouteTableId"])
        with self.refused("InvalidParameterValue", says="cannot disassociate the main route table"):
            self.ec2.disassociate_route_table(AssociationId=association)
        new = self.table(other.vpc)
        # ReplaceRouteTableAssociation: "You can also use this operation to change which table is the main route table".
        self.ec2.replace_route_table_association(AssociationId=association, RouteTableId=new)
        self.ec2.delete_route_table(RouteTableId=main[0]["RouteTableId"])
        shown = self.ec2.describe_route_tables(RouteTableIds=[new])["RouteTables"][0]
        self.assertEqual([each["Main"] for each in shown["Associations"]], [True])

    def test_filters_and_pages(self) -> None:
        for _ in range(6):
            self.ec2.create_route_table(VpcId=self.net.vpc)
        self.settle()
        with self.refused(*BAD_FILTER):
            self.ec2.describe_route_tables(Filters=[{"Name": "subnet-id", "Values": ["x"]}])
        self.paged(self.ec2, "describe_route_tables", "RouteTables", 5, lambda table: table["RouteTableId"])


class NetworkAcls(Case):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.net = network(cls)
        cls.ec2 = cls.client("ec2")

    def acl(self) -> str:
        made = self.ec2.create_network_acl(VpcId=self.net.vpc)["NetworkAcl"]["NetworkAclId"]
        self.settle()
        return made

    def entries(self, acl: str) -> list[dict]:
        return self.ec2.describe_network_acls(NetworkAclIds=[acl])["NetworkAcls"][0]["Entries"]

    def test_a_new_acl_denies_everything(self) -> None:
        # VPC guide, "Custom network ACLs": until there are rules, each denies all; the * rule is number 32767.
        made = self.ec2.create_network_acl(VpcId=self.net.vpc, TagSpecifications=named("network-acl", Name="dmz"))
        acl = made["NetworkAcl"]
        self.assertEqual((acl["IsDefault"], acl["Associations"], tags_of(acl)), (False, [], {"Name": "dmz"}))
        last = {"CidrBlock": "0.0.0.0/0", "Protocol": "-1", "RuleAction": "deny", "RuleNumber": 32767}
        self.assertCountEqual(acl["Entries"], [{**last, "Egress": True}, {**last, "Egress": False}])
        self.has(acl, "OwnerId", "VpcId")

    def test_the_default_acl_lets_everything_through(self) -> None:
        found = self.ec2.describe_network_acls(Filters=[
            {"Name": "vpc-id", "Values": [self.net.vpc]}, {"Name": "default", "Values": ["true"]}])["NetworkAcls"]
        allowed = [(entry["Egress"], entry["RuleNumber"]) for entry in found[0]["Entries"]
                   if entry["RuleAction"] == "allow"]
        self.assertCountEqual(allowed, [(True, 100), (False, 100)])
        # A new subnet is associated with it (CreateNetworkAcl's guide: "Each subnet must be associated").
        associated = {each["SubnetId"] for each in found[0]["Associations"]}
        self.assertLessEqual(set(self.net.subnets), associated)

    def test_entries(self) -> None:
        acl, ec2 = self.acl(), self.ec2
        https = {"NetworkAclId": acl, "RuleNumber": 100, "Egress": False, "Protocol": "6", "RuleAction": "allow",
                 "CidrBlock": "10.0.0.0/8", "PortRange": {"From": 443, "To": 443}}
        ec2.create_network_acl_entry(**https)
        with self.refused("NetworkAclEntryAlreadyExists"):
            ec2.create_network_acl_entry(**https)
        ec2.create_network_acl_entry(**{**https, "Egress": True})
        ec2.create_network_acl_entry(NetworkAclId=acl, RuleNumber=110, Egress=False, Protocol="1", RuleAction="deny",
                                     CidrBlock="0.0.0.0/0", IcmpTypeCode={"Type": 8, "Code": -1})
        shown = [entry for entry in self.entries(acl) if entry["RuleNumber"] < 32767]
        self.assertIn({"CidrBlock": "10.0.0.0/8", "Egress": False, "PortRange": {"From": 443, "To": 443},
                       "Protocol": "6", "RuleAction": "allow", "RuleNumber": 100}, shown)
        self.assertIn({"CidrBlock": "0.0.0.0/0", "Egress": False, "IcmpTypeCode": {"Code": -1, "Type": 8},
                       "Protocol": "1", "RuleAction": "deny", "RuleNumber": 110}, shown)
        self.assertEqual(len(shown), 3)
        ec2.replace_network_acl_entry(**{**https, "PortRange": {"From": 8000, "To": 8080}})
        self.assertIn({"From": 8000, "To": 8080}, [entry.get("PortRange") for entry in self.entries(acl)])
        ec2.delete_network_acl_entry(NetworkAclId=acl, RuleNumber=100, Egress=False)
        with self.refused("InvalidNetworkAclEntry.NotFound"):
            ec2.delete_network_acl_entry(NetworkAclId=acl, RuleNumber=100, Egress=False)
        with self.refused("InvalidNetworkAclEntry.NotFound"):
            ec2.replace_network_acl_entry(**https)
        with self.refused("InvalidNetworkAclID.NotFound"):
            ec2.create_network_acl_entry(**{**https, "NetworkAclId": f"acl-{ABSENT}"})

    def test_entries_that_are_refused(self) -> None:
        acl = self.acl()
        entry = {"NetworkAclId": acl, "RuleNumber": 100, "Egress": False, "Protocol": "6", "RuleAction": "allow",
                 "CidrBlock": "10.0.0.0/8", "PortRange": {"From": 443, "To": 443}}
        for wrong in [{"RuleNumber": 32767}, {"RuleNumber": 0}, {"CidrBlock": "ten"}, {"Protocol": "999"},
                      {"PortRange": {"From": 443, "To": 70000}}]:
            with self.refused("InvalidParameterValue"):
                self.ec2.create_network_acl_entry(**{**entry, **wrong})
        # CreateNetworkAclEntry, PortRange: "Required if specifying protocol 6 (TCP) or 17 (UDP)"; Icmp likewise for 1.
        del entry["PortRange"]
        for protocol in ["6", "17", "1"]:
            with self.refused("MissingParameter", "InvalidParameterValue"):
                self.ec2.create_network_acl_entry(**{**entry, "Protocol": protocol})

    def test_a_subnet_gets_another_acl(self) -> None:
        acl, ec2, subnet = self.acl(), self.ec2, self.net.subnets[0]

        def of_subnet() -> dict:
            found = ec2.describe_network_acls(Filters=[{"Name": "association.subnet-id", "Values": [subnet]}])
            return [each for each in found["NetworkAcls"][0]["Associations"] if each["SubnetId"] == subnet][0]

        before = of_subnet()
        new = ec2.replace_network_acl_association(AssociationId=before["NetworkAclAssociationId"], NetworkAclId=acl)
        self.assertNotEqual(new["NewAssociationId"], before["NetworkAclAssociationId"])
        self.assertEqual(of_subnet(), {"NetworkAclAssociationId": new["NewAssociationId"], "NetworkAclId": acl,
                                       "SubnetId": subnet})
        with self.refused("DependencyViolation"):
            ec2.delete_network_acl(NetworkAclId=acl)
        with self.refused("InvalidAssociationID.NotFound"):
            ec2.replace_network_acl_association(AssociationId=before["NetworkAclAssociationId"], NetworkAclId=acl)
        with self.refused("InvalidNetworkAclID.NotFound"):
            ec2.replace_network_acl_association(AssociationId=new["NewAssociationId"], NetworkAclId=f"acl-{ABSENT}")
        ec2.replace_network_acl_association(AssociationId=new["NewAssociationId"],
                                            NetworkAclId=before["NetworkAclId"])
        ec2.delete_network_acl(NetworkAclId=acl)
        self.settle()
        with self.refused("InvalidNetworkAclID.NotFound"):
            ec2.delete_network_acl(NetworkAclId=acl)
        with self.refused("InvalidNetworkAclID.NotFound"):
            ec2.describe_network_acls(NetworkAclIds=[acl])
        # DeleteNetworkAcl: "You can't delete the default network ACL."
        with self.refused("InvalidParameterValue", "OperationNotPermitted", says="default"):
            ec2.delete_network_acl(NetworkAclId=before["NetworkAclId"])

    def test_a_token_filters_and_pages(self) -> None:
        ec2, vpc = self.ec2, self.net.vpc
        first = ec2.create_network_acl(VpcId=vpc, ClientToken="acl")["NetworkAcl"]["NetworkAclId"]
        again = ec2.create_network_acl(VpcId=vpc, ClientToken="acl")["NetworkAcl"]["NetworkAclId"]
        self.assertEqual(first, again)
        for _ in range(6):
            ec2.create_network_acl(VpcId=vpc)
        self.settle()
        with self.refused(*BAD_FILTER):
            ec2.describe_network_acls(Filters=[{"Name": "subnet-id", "Values": ["x"]}])
        self.paged(ec2, "describe_network_acls", "NetworkAcls", 5, lambda acl: acl["NetworkAclId"])
        with self.refused("InvalidVpcID.NotFound"):
            ec2.create_network_acl(VpcId=f"vpc-{ABSENT}")


def permission(port: int | None = 443, **peers: object) -> dict:
    ports = {} if port is None else {"FromPort": port, "ToPort": port}
    return {"IpProtocol": "-1" if port is None else "tcp", **ports, **peers}


def from_block(block: str = "10.0.0.0/8", port: int | None = 443, text: str | None = None) -> list[dict]:
    described = {"Description": text} if text else {}
    return [permission(port, IpRanges=[{"CidrIp": block, **described}])]


class SecurityGroups(Case):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.net = network(cls)
        cls.ec2 = cls.client("ec2")

    def group(self, vpc: str | None = None) -> str:
        number = SecurityGroups.number = getattr(SecurityGroups, "number", 0) + 1
        made = self.ec2.create_security_group(GroupName=f"group {number}", Description="d", VpcId=vpc or self.net.vpc)
        self.settle()
        return made["GroupId"]

    def shown(self, group: str) -> dict:
        return self.ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]

    def rules(self, group: str, egress: bool = False) -> list[dict]:
        rules = self.ec2.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [group]}])
        return [rule for rule in rules["SecurityGroupRules"] if rule["IsEgress"] == egress]

    def test_a_new_group_lets_everything_out(self) -> None:
        made = self.ec2.create_security_group(GroupName="new", Description="a new one", VpcId=self.net.vpc,
                                              TagSpecifications=named("security-group", Name="new"))
        self.assertEqual(tags_of(made), {"Name": "new"})
        self.has(made, "SecurityGroupArn")
        self.wait(self.ec2, "security_group_exists", GroupIds=[made["GroupId"]])
        self.settle()
        shown = self.shown(made["GroupId"])
        # VPC guide, "Security groups": a new one has no inbound rules, and one that allows all outbound traffic.
        self.assertEqual(shown["IpPermissions"], [])
        self.assertEqual(shown["IpPermissionsEgress"], [{
            "IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}], "Ipv6Ranges": [], "PrefixListIds": [],
            "UserIdGroupPairs": []}])
        self.assertEqual((shown["Description"], shown["OwnerId"], shown["VpcId"]),
                         ("a new one", "210987654321", self.net.vpc))
        rule = self.rules(made["GroupId"], egress=True)[0]
        # SecurityGroupRule: "If the protocol is -1 […] -1 indicates all ports".
        self.assertEqual((rule["IpProtocol"], rule["FromPort"], rule["ToPort"], rule["CidrIpv4"]),
                         ("-1", -1, -1, "0.0.0.0/0"))

    def test_names_are_unique_in_a_vpc(self) -> None:
        create, vpc = self.ec2.create_security_group, self.net.vpc
        create(GroupName="web", Description="d", VpcId=vpc)
        with self.refused("InvalidGroup.Duplicate"):
            create(GroupName="web", Description="other", VpcId=vpc)
        other = self.ec2.create_vpc(CidrBlock="10.30.0.0/16")["Vpc"]["VpcId"]
        self.settle()
        create(GroupName="web", Description="d", VpcId=other)
        with self.refused("InvalidVpcID.NotFound"):
            create(GroupName="web", Description="d", VpcId=f"vpc-{ABSENT}")
        # CreateSecurityGroup, GroupName: "Cannot start with sg-"; "default" is reserved.
        with self.refused("InvalidParameterValue"):
            create(GroupName="sg-web", Description="d", VpcId=vpc)
        with self.refused("InvalidParameterValue", "InvalidGroup.Reserved"):
            create(GroupName="default", Description="d", VpcId=vpc)
        with self.refused("InvalidParameterValue"):
            create(GroupName="größe", Description="d", VpcId=vpc)

    def test_without_a_vpc_it_is_the_default_one(self) -> None:
        made = self.ec2.create_security_group(GroupName="in default", Description="d")["GroupId"]
        self.settle()
        default = self.ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"][0]
        self.assertEqual(self.shown(made)["VpcId"], default["VpcId"])

    def test_rules_come_and_go(self) -> None:
        group, ec2 = self.group(), self.ec2
        added = ec2.authorize_security_group_ingress(
            GroupId=group, IpPermissions=from_block(text="office"),
            TagSpecifications=named("security-group-rule", Name="office"))
        self.assertIs(added["Return"], True)
        rule = added["SecurityGroupRules"][0]
        self.assertEqual((rule["IpProtocol"], rule["FromPort"], rule["ToPort"], rule["CidrIpv4"], rule["Description"],
                          rule["IsEgress"], rule["GroupId"], tags_of(rule)),
                         ("tcp", 443, 443, "10.0.0.0/8", "office", False, group, {"Name": "office"}))
        with self.refused("InvalidPermission.Duplicate"):
            ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=from_block(text="another word for it"))
        self.settle()
        self.assertEqual(self.shown(group)["IpPermissions"], [{
            "IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "IpRanges": [{"CidrIp": "10.0.0.0/8",
            "Description": "office"}], "Ipv6Ranges": [], "PrefixListIds": [], "UserIdGroupPairs": []}])
        # UpdateSecurityGroupRuleDescriptionsIngress: "You can remove a description by omitting the description".
        ec2.update_security_group_rule_descriptions_ingress(GroupId=group, IpPermissions=from_block(text="new"))
        self.assertEqual(self.rules(group)[0]["Description"], "new")
        ec2.update_security_group_rule_descriptions_ingress(GroupId=group, IpPermissions=from_block())
        self.assertNotIn("Description", self.rules(group)[0])
        with self.refused("InvalidPermission.NotFound"):
            ec2.update_security_group_rule_descriptions_ingress(GroupId=group, IpPermissions=from_block(port=1))
        gone = ec2.revoke_security_group_ingress(GroupId=group, IpPermissions=from_block())
        self.assertEqual((gone["Return"], gone["RevokedSecurityGroupRules"][0]["SecurityGroupRuleId"]),
                         (True, rule["SecurityGroupRuleId"]))
        # RevokeSecurityGroupIngress: not in a default VPC, so it is an error.
        with self.refused("InvalidPermission.NotFound"):
            ec2.revoke_security_group_ingress(GroupId=group, IpPermissions=from_block())
        self.settle()
        self.assertEqual(self.shown(group)["IpPermissions"], [])

    def test_rules_by_their_ids(self) -> None:
        group, ec2 = self.group(), self.ec2
        added = ec2.authorize_security_group_ingress(
            GroupId=group, IpPermissions=[permission(80, IpRanges=[{"CidrIp": "10.1.0.0/16"},
                                                                   {"CidrIp": "10.2.0.0/16"}])])
        ids = [rule["SecurityGroupRuleId"] for rule in added["SecurityGroupRules"]]
        self.settle()
        self.assertEqual(len(ids), 2)
        shown = ec2.describe_security_group_rules(SecurityGroupRuleIds=ids)["SecurityGroupRules"]
        self.assertEqual({rule["CidrIpv4"] for rule in shown}, {"10.1.0.0/16", "10.2.0.0/16"})
        ec2.revoke_security_group_ingress(GroupId=group, SecurityGroupRuleIds=ids)
        self.settle()
        with self.refused("InvalidSecurityGroupRuleId.NotFound"):
            ec2.revoke_security_group_ingress(GroupId=group, SecurityGroupRuleIds=ids)
        with self.refused("InvalidSecurityGroupRuleId.NotFound"):
            ec2.describe_security_group_rules(SecurityGroupRuleIds=ids)

    def test_egress(self) -> None:
        group, ec2 = self.group(), self.ec2
        out = self.rules(group, egress=True)[0]
        ec2.revoke_security_group_egress(GroupId=group, SecurityGroupRuleIds=[out["SecurityGroupRuleId"]])
        ec2.authorize_security_group_egress(GroupId=group, IpPermissions=from_block("0.0.0.0/0", text="web"))
        with self.refused("InvalidPermission.Duplicate"):
            ec2.authorize_security_group_egress(GroupId=group, IpPermissions=from_block("0.0.0.0/0"))
        described = from_block("0.0.0.0/0", text="x")
        ec2.update_security_group_rule_descriptions_egress(GroupId=group, IpPermissions=described)
        self.settle()
        self.assertEqual([(rule["FromPort"], rule["Description"]) for rule in self.rules(group, egress=True)],
                         [(443, "x")])
        with self.refused("InvalidPermission.NotFound"):
            ec2.revoke_security_group_egress(GroupId=group, IpPermissions=from_block("0.0.0.0/0", port=80))

    def test_peers(self) -> None:
        group, peer, ec2 = self.group(), self.group(), self.ec2
        lists = ec2.describe_managed_prefix_lists()["PrefixLists"]
        peers = {
            "UserIdGroupPairs": [{"GroupId": peer, "Description": "balancer"}],
            "Ipv6Ranges": [{"CidrIpv6": "2001:db8::/32"}],
            "PrefixListIds": [{"PrefixListId": lists[0]["PrefixListId"]}],
            "IpRanges": [{"CidrIp": "10.0.0.7/8"}],  # "AWS canonicalizes IPv4 and IPv6 CIDRs"
        }
        ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[permission(8080, **peers)])
        self.settle()
        shown = self.shown(group)["IpPermissions"][0]
        self.assertEqual(shown["IpRanges"], [{"CidrIp": "10.0.0.0/8"}])
        self.assertEqual(shown["UserIdGroupPairs"], [{"Description": "balancer", "GroupId": peer,
                                                      "UserId": "210987654321"}])
        self.assertEqual(shown["Ipv6Ranges"], [{"CidrIpv6": "2001:db8::/32"}])
        self.assertEqual(shown["PrefixListIds"], [{"PrefixListId": lists[0]["PrefixListId"]}])
        referenced = [rule["ReferencedGroupInfo"]["GroupId"] for rule in self.rules(group)
                      if "ReferencedGroupInfo" in rule]
        self.assertEqual(referenced, [peer])
        by_peer = ec2.describe_security_groups(Filters=[{"Name": "ip-permission.group-id", "Values": [peer]}])
        self.assertEqual([found["GroupId"] for found in by_peer["SecurityGroups"]], [group])
        # A group that another one's rules refer to stays.
        with self.refused("DependencyViolation"):
            ec2.delete_security_group(GroupId=peer)
        ec2.revoke_security_group_ingress(GroupId=group, IpPermissions=[permission(8080, **peers)])
        ec2.delete_security_group(GroupId=peer)
        with self.refused("InvalidGroup.NotFound"):
            pair = [permission(1, UserIdGroupPairs=[{"GroupId": f"sg-{ABSENT}"}])]
            ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=pair)

    def test_permissions_that_are_refused(self) -> None:
        group, ec2 = self.group(), self.ec2
        wrong = [
            [{"IpProtocol": "tcp", "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}],
            [{"IpProtocol": "tcp", "FromPort": 2, "ToPort": 1, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}],
            [{"IpProtocol": "tcp", "FromPort": 1, "ToPort": 70000, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}],
            [{"IpProtocol": "carrier-pigeon", "FromPort": 1, "ToPort": 1, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}],
            from_block("10.0.0.0"),
            from_block("ten"),
        ]
        for permissions in wrong:
            with self.refused("InvalidParameterValue", "InvalidPermission.Malformed", "MissingParameter"):
                ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=permissions)
        with self.refused("InvalidGroup.NotFound"):
            ec2.authorize_security_group_ingress(GroupId=f"sg-{ABSENT}", IpPermissions=from_block())

    def test_all_of_a_request_or_nothing(self) -> None:
        group = self.group()
        permissions = from_block("10.1.0.0/16") + from_block("ten")
        with self.refused("InvalidParameterValue", "InvalidPermission.Malformed"):
            self.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=permissions)
        self.settle()
        self.assertEqual(self.shown(group)["IpPermissions"], [])

    def test_in_a_default_vpc_revoking_forgives(self) -> None:
        made = self.ec2.create_security_group(GroupName="forgiving", Description="d")["GroupId"]
        self.settle()
        # RevokeSecurityGroupIngress: "no error is returned, and the output describes the security group rules that were
        # not revoked".
        reply = self.ec2.revoke_security_group_ingress(GroupId=made, IpPermissions=from_block())
        self.assertEqual(reply["UnknownIpPermissions"][0]["IpRanges"], [{"CidrIp": "10.0.0.0/8"}])

    def test_deletion(self) -> None:
        group, ec2 = self.group(), self.ec2
        self.assertEqual(ec2.delete_security_group(GroupId=group)["GroupId"], group)
        self.settle()
        with self.refused("InvalidGroup.NotFound"):
            ec2.delete_security_group(GroupId=group)
        with self.refused("InvalidGroup.NotFound"):
            ec2.describe_security_groups(GroupIds=[group])
        default = ec2.describe_security_groups(Filters=[
            {"Name": "vpc-id", "Values": [self.net.vpc]}, {"Name": "group-name", "Values": ["default"]}])
        with self.refused("CannotDelete"):  # "You cannot delete the 'default' security group in your VPC"
            ec2.delete_security_group(GroupId=default["SecurityGroups"][0]["GroupId"])
        with self.refused("InvalidGroupId.Malformed", "InvalidGroupID.Malformed"):
            ec2.delete_security_group(GroupId="group")

    def test_filters_and_pages(self) -> None:
        groups, ec2 = [self.group() for _ in range(6)], self.ec2
        ec2.authorize_security_group_ingress(GroupId=groups[0], IpPermissions=from_block("10.77.0.0/16", 7777))
        self.settle()

        def found(name: str, *values: str) -> list[str]:
            shown = ec2.describe_security_groups(Filters=[{"Name": name, "Values": list(values)}])
            return [group["GroupId"] for group in shown["SecurityGroups"]]

        for name, value in [("ip-permission.cidr", "10.77.0.0/16"), ("ip-permission.from-port", "7777"),
                            ("ip-permission.to-port", "7777")]:
            self.assertEqual(found(name, value), groups[:1], name)
        self.assertCountEqual(found("group-id", *groups[:2]), groups[:2])
        self.assertLessEqual(set(groups), set(found("group-name", "group *")))
        self.assertEqual(found("egress.ip-permission.cidr", "10.77.0.0/16"), [])
        with self.refused(*BAD_FILTER):
            found("colour", "blue")
        self.paged(ec2, "describe_security_groups", "SecurityGroups", 5, lambda group: group["GroupId"])
        self.paged(ec2, "describe_security_group_rules", "SecurityGroupRules", 5, lambda it: it["SecurityGroupRuleId"])

    def test_a_permission_twice_in_one_request(self) -> None:
        # EC2 answers InvalidParameterValue, "The same permission must not appear multiple times": not Duplicate, which
        # scripts take for a rule that is there already.
        with self.refused("InvalidParameterValue"):
            self.ec2.authorize_security_group_ingress(GroupId=self.net.group,
                                                      IpPermissions=from_block(port=1) + from_block(port=1))

    def test_descriptions_of_rules(self) -> None:
        # IpRange, Description: "Up to 255 characters in length. Allowed characters are a-z, A-Z, 0-9, spaces, and
        # ._-:/()#,@[]+=&;{}!$*".
        for port, text in [(2, "Büro"), (3, "why?"), (4, "d" * 256)]:
            with self.subTest(text[:5]), self.refused("InvalidParameterValue"):
                self.ec2.authorize_security_group_ingress(GroupId=self.net.group,
                                                          IpPermissions=from_block(port=port, text=text))


class NatGateways(Case):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.net = network(cls)
        cls.ec2 = cls.client("ec2")

    def address(self, **tags: str) -> str:
        specified = {"TagSpecifications": named("elastic-ip", **tags)} if tags else {}
        made = self.ec2.allocate_address(Domain="vpc", **specified)["AllocationId"]
        self.settle()
        return made

    def shown(self, nat: str) -> dict:
        return self.eventually(self.ec2.describe_nat_gateways, NatGatewayIds=[nat])["NatGateways"][0]

    def test_addresses(self) -> None:
        ec2 = self.ec2
        made = ec2.allocate_address(Domain="vpc", TagSpecifications=named("elastic-ip", Name="out"))
        self.has(made, "AllocationId", "PublicIp", "PublicIpv4Pool", "NetworkBorderGroup")
        self.assertEqual(made["Domain"], "vpc")
        self.settle()
        shown = ec2.describe_addresses(AllocationIds=[made["AllocationId"]])["Addresses"][0]
        self.assertEqual((shown["PublicIp"], tags_of(shown)), (made["PublicIp"], {"Name": "out"}))
        self.assertNotIn("AssociationId", shown)
        by_ip = ec2.describe_addresses(PublicIps=[made["PublicIp"]])["Addresses"]
        by_tag = ec2.describe_addresses(Filters=[{"Name": "tag:Name", "Values": ["out"]}])["Addresses"]
        self.assertEqual((by_ip, by_tag), ([shown], [shown]))
        with self.refused("InvalidAddress.NotFound"):
            ec2.describe_addresses(PublicIps=["198.51.100.1"])
        with self.refused("InvalidAllocationID.NotFound"):
            ec2.describe_addresses(AllocationIds=[f"eipalloc-{ABSENT}"])
        with self.refused(*BAD_FILTER):
            ec2.describe_addresses(Filters=[{"Name": "colour", "Values": ["blue"]}])
        ec2.release_address(AllocationId=made["AllocationId"])
        self.settle()
        with self.refused("InvalidAllocationID.NotFound"):
            ec2.release_address(AllocationId=made["AllocationId"])

    def test_a_public_one(self) -> None:
        ec2, allocation, subnet = self.ec2, self.address(), self.net.subnets[0]
        made = ec2.create_nat_gateway(SubnetId=subnet, AllocationId=allocation, ClientToken="one",
                                      TagSpecifications=named("natgateway", Name="out"))
        nat = made["NatGateway"]["NatGatewayId"]
        self.assertEqual((made["NatGateway"]["State"], made["ClientToken"], tags_of(made["NatGateway"])),
                         ("pending", "one", {"Name": "out"}))
        self.assertEqual(made["NatGateway"]["ConnectivityType"], "public")
        again = ec2.create_nat_gateway(SubnetId=subnet, AllocationId=allocation, ClientToken="one",
                                       TagSpecifications=named("natgateway", Name="out"))
        self.assertEqual(again["NatGateway"]["NatGatewayId"], nat)
        with self.refused("IdempotentParameterMismatch"):
            ec2.create_nat_gateway(SubnetId=self.net.subnets[1], AllocationId=allocation, ClientToken="one")
        self.wait(ec2, "nat_gateway_available", NatGatewayIds=[nat])
        shown = ec2.describe_nat_gateways(NatGatewayIds=[nat])["NatGateways"][0]
        self.has(shown, "CreateTime", "SubnetId", "VpcId")
        address = shown["NatGatewayAddresses"][0]
        self.has(address, "PublicIp", "PrivateIp", "NetworkInterfaceId", "AllocationId", "AssociationId")
        held = ec2.describe_addresses(AllocationIds=[allocation])["Addresses"][0]
        self.assertEqual((held["AssociationId"], held["NetworkInterfaceId"]),
                         (address["AssociationId"], address["NetworkInterfaceId"]))
        with self.refused("InvalidIPAddress.InUse"):
            ec2.release_address(AllocationId=allocation)
        interface = ec2.describe_network_interfaces(NetworkInterfaceIds=[address["NetworkInterfaceId"]])
        interface = interface["NetworkInterfaces"][0]
        self.assertEqual((interface["InterfaceType"], interface["RequesterManaged"], interface["Status"]),
                         ("nat_gateway", True, "in-use"))
        self.assertEqual(interface["Association"]["PublicIp"], address["PublicIp"])
        # DetachInternetGateway: "The VPC must not contain any running instances with Elastic IP addresses".
        with self.refused("DependencyViolation"):
            ec2.detach_internet_gateway(InternetGatewayId=self.net.gateway, VpcId=self.net.vpc)
        self.assertEqual(ec2.delete_nat_gateway(NatGatewayId=nat)["NatGatewayId"], nat)
        # VPC guide, "Delete a NAT gateway": it is shown as deleted for about an hour, its address is free.
        seen = []
        self.until(lambda: seen.append(self.shown(nat)) or seen[-1]["State"] == "deleted", "it is deleted")
        self.assertIn(seen[0]["State"], {"deleting", "deleted"})
        self.has(seen[-1], "DeleteTime")
        ec2.release_address(AllocationId=allocation)
        self.advance(2 * 3600)
        with self.refused("NatGatewayNotFound"):
            ec2.describe_nat_gateways(NatGatewayIds=[nat])

    def test_without_a_way_out_it_fails_late(self) -> None:
        vpc = self.ec2.create_vpc(CidrBlock="10.40.0.0/16")["Vpc"]["VpcId"]
        self.settle()
        subnet = self.ec2.create_subnet(VpcId=vpc, CidrBlock="10.40.0.0/24")["Subnet"]["SubnetId"]
        allocation = self.address()
        made = self.ec2.create_nat_gateway(SubnetId=subnet, AllocationId=allocation)["NatGateway"]
        self.assertEqual(made["State"], "pending")
        with self.waiting_fails() as ended:  # the waiter ends with the state `failed`
            self.wait(self.ec2, "nat_gateway_available", NatGatewayIds=[made["NatGatewayId"]])
        shown = ended.exception.last_response["NatGateways"][0]
        # "Troubleshoot NAT gateways": Gateway.NotAttached.
        self.assertEqual((shown["State"], shown["FailureCode"]), ("failed", "Gateway.NotAttached"))
        self.has(shown, "FailureMessage")

    def test_a_private_one_has_no_address(self) -> None:
        made = self.ec2.create_nat_gateway(SubnetId=self.net.subnets[1], ConnectivityType="private")["NatGateway"]
        self.wait(self.ec2, "nat_gateway_available", NatGatewayIds=[made["NatGatewayId"]])
        shown = self.ec2.describe_nat_gateways(NatGatewayIds=[made["NatGatewayId"]])["NatGateways"][0]
        self.assertNotIn("PublicIp", shown["NatGatewayAddresses"][0])
        self.ec2.delete_nat_gateway(NatGatewayId=made["NatGatewayId"])

    def test_what_is_refused(self) -> None:
        with self.refused("InvalidSubnetID.NotFound"):
            self.ec2.create_nat_gateway(SubnetId=f"subnet-{ABSENT}", AllocationId=self.address())
        with self.refused("InvalidAllocationID.NotFound"):
            self.ec2.create_nat_gateway(SubnetId=self.net.subnets[0], AllocationId=f"eipalloc-{ABSENT}")
        # CreateNatGateway, AllocationId: "[Public NAT gateways only]", and required there.
        with self.refused("MissingParameter"):
            self.ec2.create_nat_gateway(SubnetId=self.net.subnets[0])
        with self.refused("NatGatewayNotFound"):
            self.ec2.delete_nat_gateway(NatGatewayId=f"nat-{ABSENT}")
        with self.refused("NatGatewayNotFound"):
            self.ec2.describe_nat_gateways(NatGatewayIds=[f"nat-{ABSENT}"])

    def test_filters_and_pages(self) -> None:
        made = [self.ec2.create_nat_gateway(SubnetId=self.net.subnets[1], ConnectivityType="private",
                                            TagSpecifications=named("natgateway", at=str(at)))["NatGateway"]
                for at in range(6)]
        self.settle()
        filters = [{"Name": "tag:at", "Values": ["3"]}, {"Name": "vpc-id", "Values": [self.net.vpc]}]
        found = self.ec2.describe_nat_gateways(Filters=filters)["NatGateways"]
        self.assertEqual([nat["NatGatewayId"] for nat in found], [made[3]["NatGatewayId"]])
        found = self.ec2.describe_nat_gateways(Filters=[{"Name": "subnet-id", "Values": [self.net.subnets[1]]},
                                                        {"Name": "state", "Values": ["pending", "available"]}])
        self.assertLessEqual({nat["NatGatewayId"] for nat in made},
                             {nat["NatGatewayId"] for nat in found["NatGateways"]})
        with self.refused(*BAD_FILTER):
            self.ec2.describe_nat_gateways(Filters=[{"Name": "colour", "Values": ["blue"]}])
        self.paged(self.ec2, "describe_nat_gateways", "NatGateways", 5, lambda nat: nat["NatGatewayId"])


class Interfaces(Case):
    def test_those_of_gateways(self) -> None:
        net, ec2 = network(self), self.client("ec2")
        for at in range(6):
            ec2.create_nat_gateway(SubnetId=net.subnets[at % 2], ConnectivityType="private")
        self.settle()
        shown = ec2.describe_network_interfaces(Filters=[{"Name": "subnet-id", "Values": net.subnets[:1]}])
        shown = shown["NetworkInterfaces"]
        self.assertEqual(len(shown), 3)
        for interface in shown:
            self.has(interface, "NetworkInterfaceId", "SubnetId", "VpcId", "AvailabilityZone", "Description", "OwnerId",
                     "PrivateIpAddress", "Status", "InterfaceType")
            self.assertEqual([address["Primary"] for address in interface["PrivateIpAddresses"]], [True])
        first = shown[0]
        for name, value in [("private-ip-address", first["PrivateIpAddress"]),
                            ("network-interface-id", first["NetworkInterfaceId"])]:
            found = ec2.describe_network_interfaces(Filters=[{"Name": name, "Values": [value]},
                                                             {"Name": "subnet-id", "Values": net.subnets[:1]}])
            self.assertEqual(found["NetworkInterfaces"], [first], name)
        for name, value, count in [("vpc-id", net.vpc, 6), ("interface-type", "nat_gateway", 6),
                                   ("status", "in-use", 6), ("status", "available", 0),
                                   ("requester-managed", "true", 6),
                                   ("availability-zone", first["AvailabilityZone"], 3),
                                   ("description", "Interface for NAT Gateway *", 6)]:
            found = ec2.describe_network_interfaces(Filters=[{"Name": name, "Values": [value]}])
            self.assertEqual(len(found["NetworkInterfaces"]), count, (name, value))
        with self.refused("InvalidNetworkInterfaceID.NotFound"):
            ec2.describe_network_interfaces(NetworkInterfaceIds=[f"eni-{ABSENT}"])
        with self.refused(*BAD_FILTER):
            ec2.describe_network_interfaces(Filters=[{"Name": "colour", "Values": ["blue"]}])
        self.paged(ec2, "describe_network_interfaces", "NetworkInterfaces", 5, lambda it: it["NetworkInterfaceId"])


class Catalogue(Case):
    def setUp(self) -> None:
        self.ec2 = self.client("ec2")

    def test_zones(self) -> None:
        ec2 = self.client("ec2")
        zones = ec2.describe_availability_zones()["AvailabilityZones"]
        for zone in zones:
            self.has(zone, "ZoneName", "ZoneId", "State", "RegionName", "ZoneType", "OptInStatus", "GroupName",
                     "NetworkBorderGroup")
            self.assertEqual((zone["RegionName"], zone["State"], zone["ZoneType"], zone["OptInStatus"]),
                             ("eu-central-1", "available", "availability-zone", "opt-in-not-required"))
        by_id = ec2.describe_availability_zones(ZoneIds=[zones[1]["ZoneId"]])["AvailabilityZones"]
        by_filter = ec2.describe_availability_zones(Filters=[{"Name": "zone-name", "Values": [zones[1]["ZoneName"]]}])
        self.assertEqual((by_id, by_filter["AvailabilityZones"]), ([zones[1]], [zones[1]]))
        with self.refused("InvalidParameterValue"):
            ec2.describe_availability_zones(ZoneNames=["eu-central-1z"])
        with self.refused(*BAD_FILTER):
            ec2.describe_availability_zones(Filters=[{"Name": "colour", "Values": ["blue"]}])

    def test_regions(self) -> None:
        ec2 = self.client("ec2")
        regions = ec2.describe_regions()["Regions"]
        for region in regions:
            self.has(region, "RegionName", "Endpoint", "OptInStatus")
        names = [region["RegionName"] for region in regions]
        self.assertTrue({"eu-central-1", "us-east-1"} <= set(names), names)
        [shown] = ec2.describe_regions(RegionNames=["us-east-1"])["Regions"]
        self.assertEqual(shown["RegionName"], "us-east-1")
        with self.refused("InvalidParameterValue"):
            ec2.describe_regions(RegionNames=["eu-central-9"])

    def test_prefix_lists(self) -> None:
        ec2 = self.client("ec2")
        lists = ec2.describe_managed_prefix_lists(Filters=[{"Name": "owner-id", "Values": ["AWS"]}])["PrefixLists"]
        self.assertIn("com.amazonaws.eu-central-1.s3", [each["PrefixListName"] for each in lists])
        for each in lists:
            self.has(each, "PrefixListId", "PrefixListArn", "AddressFamily", "State", "OwnerId")
        one = ec2.describe_managed_prefix_lists(PrefixListIds=[lists[0]["PrefixListId"]])["PrefixLists"]
        self.assertEqual(one, lists[:1])
        with self.refused("InvalidPrefixListID.NotFound", "InvalidPrefixListId.NotFound"):
            ec2.describe_managed_prefix_lists(PrefixListIds=["pl-00000000"])

    def test_pages_of_prefix_lists_may_have_one_row(self) -> None:
        # The model: PrefixListMaxResults is 1 to 100.
        self.paged(self.ec2, "describe_managed_prefix_lists", "PrefixLists", 1, lambda each: each["PrefixListId"])
        with self.refused("InvalidParameterValue", "InvalidMaxResults"):
            self.ec2.describe_managed_prefix_lists(MaxResults=101)

    def test_kinds_without_tags_have_no_filter_for_them(self) -> None:
        # DescribeAvailabilityZones, Filters: there is no tag:<key>.
        with self.refused(*BAD_FILTER):
            self.ec2.describe_availability_zones(Filters=[{"Name": "tag:Name", "Values": ["a"]}])

    def test_a_zone_group_is_not_the_region(self) -> None:
        # AvailabilityZone, GroupName: "Availability Zones - us-east-1-zg-1".
        zone = self.ec2.describe_availability_zones()["AvailabilityZones"][0]
        self.assertEqual(zone["GroupName"], "eu-central-1-zg-1")


class Tags(Case):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.net = network(cls)
        cls.ec2 = cls.client("ec2")

    def test_on_any_kind(self) -> None:
        ec2, net = self.ec2, self.net
        allocation = ec2.allocate_address(Domain="vpc")["AllocationId"]
        self.settle()
        nat = ec2.create_nat_gateway(SubnetId=net.subnets[0], AllocationId=allocation)["NatGateway"]
        of = [{"Name": "vpc-id", "Values": [net.vpc]}]
        self.settle()
        interface = ec2.describe_network_interfaces(Filters=of)["NetworkInterfaces"][0]["NetworkInterfaceId"]
        rule = ec2.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [net.group]}])
        kinds = {
            net.vpc: "vpc",
            net.subnets[0]: "subnet",
            net.gateway: "internet-gateway",
            net.group: "security-group",
            ec2.describe_route_tables(Filters=of)["RouteTables"][0]["RouteTableId"]: "route-table",
            ec2.describe_network_acls(Filters=of)["NetworkAcls"][0]["NetworkAclId"]: "network-acl",
            allocation: "elastic-ip",
            nat["NatGatewayId"]: "natgateway",
            interface: "network-interface",
            rule["SecurityGroupRules"][0]["SecurityGroupRuleId"]: "security-group-rule",
        }
        ec2.create_tags(Resources=list(kinds), Tags=tag_list(team="shop", stage="test"))
        self.settle()
        filters = [{"Name": "key", "Values": ["team"]}, {"Name": "value", "Values": ["shop"]}]
        shown = ec2.describe_tags(Filters=filters)["Tags"]
        # The names of types are those of TagSpecification, ResourceType.
        self.assertEqual({tag["ResourceId"]: tag["ResourceType"] for tag in shown}, kinds)
        self.paged(ec2, "describe_tags", "Tags", 5, lambda tag: (tag["ResourceId"], tag["Key"]))
        ec2.delete_tags(Resources=list(kinds), Tags=[{"Key": "team"}])
        self.assertFalse(ec2.describe_tags(Filters=filters)["Tags"])

    def test_values(self) -> None:
        ec2, vpc = self.ec2, self.net.vpc
        ec2.create_tags(Resources=[vpc], Tags=tag_list(colour="blue", size="big"))
        ec2.create_tags(Resources=[vpc], Tags=tag_list(colour="green"))  # "overwrites […] the existing tag value"

        def shown() -> dict[str, str]:
            return tags_of(ec2.describe_vpcs(VpcIds=[vpc])["Vpcs"][0])

        self.assertEqual(shown()["colour"], "green")
        # DeleteTags: "If you specify a tag key without a tag value, we delete any tag with this key regardless of its
        # value"; a value must match.
        ec2.delete_tags(Resources=[vpc], Tags=tag_list(colour="blue"))
        self.assertEqual(shown()["colour"], "green")
        ec2.delete_tags(Resources=[vpc], Tags=tag_list(colour="green"))
        self.assertNotIn("colour", shown())
        ec2.delete_tags(Resources=[vpc])  # "If you omit this parameter, we delete all user-defined tags"
        self.assertEqual(shown(), {})

    def test_what_is_refused(self) -> None:
        ec2, vpc = self.ec2, self.net.vpc
        with self.refused("InvalidVpcID.NotFound"):
            ec2.create_tags(Resources=[f"vpc-{ABSENT}"], Tags=tag_list(a="b"))
        with self.refused("InvalidID"):
            ec2.create_tags(Resources=["network"], Tags=tag_list(a="b"))
        with self.refused("InvalidParameterValue"):  # "The aws: prefix is reserved for AWS use."
            ec2.create_tags(Resources=[vpc], Tags=[{"Key": "aws:colour", "Value": "blue"}])
        with self.refused("TagLimitExceeded"):  # "Each resource can have a maximum of 50 tags."
            ec2.create_tags(Resources=[vpc], Tags=tag_list(**{f"tag{at}": "" for at in range(51)}))
        with self.refused("InvalidParameterValue"):
            ec2.create_vpc(CidrBlock="10.0.0.0/16", TagSpecifications=named("subnet", Name="web"))

    def test_tags_are_described_by_tag(self) -> None:
        # DescribeTags, Filters: "tag:<key> - The key/value combination of the tag."
        self.ec2.create_tags(Resources=[self.net.vpc], Tags=tag_list(Owner="TeamA"))
        shown = self.ec2.describe_tags(Filters=[{"Name": "tag:Owner", "Values": ["TeamA"]}])["Tags"]
        self.assertEqual([(tag["ResourceId"], tag["Key"], tag["Value"]) for tag in shown],
                         [(self.net.vpc, "Owner", "TeamA")])

    def test_keys_of_tags_are_given_once(self) -> None:
        # EC2 answers InvalidParameterValue, "Duplicate tag key 'a' specified", and "Tag specification must have at
        # least one tag".
        twice = tag_list(a="1") + tag_list(a="2")
        with self.subTest("CreateTags"), self.refused("InvalidParameterValue"):
            self.ec2.create_tags(Resources=[self.net.vpc], Tags=twice)
        for tags in (twice, []):
            with self.subTest(len(tags)), self.refused("InvalidParameterValue"):
                self.ec2.create_vpc(CidrBlock="10.0.0.0/16",
                                    TagSpecifications=[{"ResourceType": "vpc", "Tags": tags}])

    def test_lists_that_are_required(self) -> None:
        # CreateTags: both are required, and an empty list is not sent.
        with self.subTest("Resources"), self.refused("MissingParameter"):
            self.ec2.create_tags(Resources=[], Tags=tag_list(a="b"))
        with self.subTest("Tags"), self.refused("MissingParameter"):
            self.ec2.create_tags(Resources=[self.net.vpc], Tags=[])


class PrivateGateways(Case):
    """The interfaces of gateways, as they are shown."""

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.net = network(cls)
        cls.ec2 = cls.client("ec2")

    def test_interfaces_are_not_paged_by_id(self) -> None:
        # DescribeNetworkInterfaces, MaxResults: "You cannot specify this parameter and the network interface IDs
        # parameter in the same request."
        self.ec2.create_nat_gateway(SubnetId=self.net.subnets[0], ConnectivityType="private")
        self.settle()
        ids = [it["NetworkInterfaceId"] for it in self.ec2.describe_network_interfaces()["NetworkInterfaces"]]
        with self.refused("InvalidParameterCombination"):
            self.ec2.describe_network_interfaces(NetworkInterfaceIds=ids, MaxResults=5)

    def test_interfaces_have_a_hardware_address(self) -> None:
        # NetworkInterface and NetworkInterfaceAttachment, the example response of DescribeNetworkInterfaces.
        self.ec2.create_nat_gateway(SubnetId=self.net.subnets[1], ConnectivityType="private")
        self.settle()
        for shown in self.ec2.describe_network_interfaces()["NetworkInterfaces"]:
            self.has(shown, "MacAddress", "Attachment.AttachmentId", "Attachment.DeviceIndex")


if __name__ == "__main__":
    unittest.main()
