"""Route 53: hosted zones, record sets, changes, health checks, tags.

Codes and their HTTP statuses are those that the service model lists with the action. What else is expected is in the
API reference or in the developer guide's page named beside it.
"""
import unittest

from support import Case, tag_list, tags_of


def record(name: str, *values: str, kind: str = "A", ttl: int = 300, **more: object) -> dict:
    return {"Name": name, "Type": kind, "TTL": ttl, "ResourceRecords": [{"Value": value} for value in values], **more}


def alias(name: str, target: str, zone: str, kind: str = "A") -> dict:
    return {"Name": name, "Type": kind,
            "AliasTarget": {"HostedZoneId": zone, "DNSName": target, "EvaluateTargetHealth": False}}


class Zoned(Case):
    number = 0

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.dns = cls.client("route53")

    def zone(self, name: str, **params: object) -> str:
        Zoned.number += 1
        made = self.dns.create_hosted_zone(Name=name, CallerReference=f"call {Zoned.number}", **params)
        self.settle()
        return made["HostedZone"]["Id"].removeprefix("/hostedzone/")

    def vpc(self, cidr: str = "10.0.0.0/16") -> dict:
        made = self.client("ec2").create_vpc(CidrBlock=cidr)["Vpc"]["VpcId"]
        self.settle()
        return {"VPCRegion": "eu-central-1", "VPCId": made}

    def change(self, zone: str, *changes: tuple[str, dict]) -> dict:
        batch = {"Changes": [{"Action": action, "ResourceRecordSet": of} for action, of in changes]}
        return self.dns.change_resource_record_sets(HostedZoneId=zone, ChangeBatch=batch)["ChangeInfo"]

    def records(self, zone: str, **params: object) -> list[dict]:
        return self.dns.list_resource_record_sets(HostedZoneId=zone, **params)["ResourceRecordSets"]


class Zones(Zoned):
    def test_a_new_zone(self) -> None:
        made = self.dns.create_hosted_zone(Name="Example.com", CallerReference="new",
                                           HostedZoneConfig={"Comment": "c", "PrivateZone": False})
        self.assertEqual(made["ResponseMetadata"]["HTTPStatusCode"], 201)  # the model of CreateHostedZone
        zone = made["HostedZone"]
        self.assertRegex(zone["Id"], "^/hostedzone/Z[A-Z0-9]+$")
        self.assertEqual((zone["Name"], zone["CallerReference"], zone["Config"], zone["ResourceRecordSetCount"]),
                         ("example.com.", "new", {"Comment": "c", "PrivateZone": False}, 2))
        servers = made["DelegationSet"]["NameServers"]
        self.assertEqual(len(servers), 4)
        self.assertEqual(made["ChangeInfo"]["Status"], "PENDING")
        self.has(made["ChangeInfo"], "Id", "SubmittedAt")
        self.wait(self.dns, "resource_record_sets_changed", Id=made["ChangeInfo"]["Id"])
        change = self.dns.get_change(Id=made["ChangeInfo"]["Id"])["ChangeInfo"]
        self.assertEqual(change["Status"], "INSYNC")
        shown = self.dns.get_hosted_zone(Id=zone["Id"])
        self.assertEqual((shown["HostedZone"], shown["DelegationSet"]["NameServers"]), (zone, servers))
        # "NS and SOA records that Amazon Route 53 creates for a public hosted zone"
        sets = {it["Type"]: it for it in self.records(zone["Id"])}
        self.assertEqual((sets["NS"]["TTL"], sets["SOA"]["TTL"]), (172800, 900))
        self.assertEqual([it["Value"] for it in sets["NS"]["ResourceRecords"]], [f"{name}." for name in servers])
        with self.refused("HostedZoneAlreadyExists", status=409):
            self.dns.create_hosted_zone(Name="other.com", CallerReference="new")
        # "you can create more than one hosted zone with the same name" (CreateHostedZone)
        self.zone("example.com")

    def test_what_is_refused(self) -> None:
        with self.refused("InvalidDomainName", status=400):
            self.zone("a..com")
        with self.refused("InvalidDomainName", status=400):
            self.zone("a" * 64 + ".com")
        for call in [self.dns.get_hosted_zone, self.dns.delete_hosted_zone, self.dns.update_hosted_zone_comment]:
            with self.refused("NoSuchHostedZone", status=404):
                call(Id="Z0123456789ABCDEFGHIJ")
        with self.refused("NoSuchChange", status=404):
            self.dns.get_change(Id="C0123456789ABCDEFGHIJ")

    def test_deletion(self) -> None:
        zone = self.zone("deleted.com")
        self.change(zone, ("CREATE", record("www.deleted.com", "192.0.2.1")))
        with self.refused("HostedZoneNotEmpty", status=400):
            self.dns.delete_hosted_zone(Id=zone)
        self.change(zone, ("DELETE", record("www.deleted.com", "192.0.2.1")))
        change = self.dns.delete_hosted_zone(Id=zone)["ChangeInfo"]
        self.wait(self.dns, "resource_record_sets_changed", Id=change["Id"])
        with self.refused("NoSuchHostedZone", status=404):
            self.dns.get_hosted_zone(Id=zone)

    def test_comments(self) -> None:
        zone = self.zone("comment.com")
        shown = self.dns.update_hosted_zone_comment(Id=zone, Comment="new")["HostedZone"]
        self.assertEqual(shown["Config"]["Comment"], "new")
        # UpdateHostedZoneComment, Comment: "If you don't specify a value for Comment, Amazon Route 53 deletes the
        # existing value of the Comment element, if any."
        shown = self.dns.update_hosted_zone_comment(Id=zone)["HostedZone"]
        self.assertNotIn("Comment", shown["Config"])

    def test_pages(self) -> None:
        zones = [self.zone(f"{name}.org") for name in ("c", "a", "b", "x.a")]
        self.paged(self.dns, "list_hosted_zones", "HostedZones", 2, lambda zone: zone["Id"])
        first = self.dns.list_hosted_zones(MaxItems="1")
        self.assertEqual((first["IsTruncated"], first["MaxItems"]), (True, "1"))
        self.has(first, "NextMarker")
        # ListHostedZonesByName: in the order of the reversed labels, from a name on.
        listed = self.dns.list_hosted_zones_by_name(DNSName="a.org", MaxItems="3")
        self.assertEqual([zone["Name"] for zone in listed["HostedZones"]], ["a.org.", "x.a.org.", "b.org."])
        self.assertEqual((listed["DNSName"], listed["IsTruncated"], listed["NextDNSName"]), ("a.org", True, "c.org."))
        self.assertEqual(listed["NextHostedZoneId"], zones[0])
        rest = self.dns.list_hosted_zones_by_name(DNSName=listed["NextDNSName"],
                                                  HostedZoneId=listed["NextHostedZoneId"])
        self.assertEqual(rest["HostedZones"][0]["Name"], "c.org.")
        self.assertIs(rest["IsTruncated"], False)

    def test_tags(self) -> None:
        one, two = self.zone("one.net"), self.zone("two.net")
        self.dns.change_tags_for_resource(ResourceType="hostedzone", ResourceId=one,
                                          AddTags=tag_list(colour="blue", size="big"))
        self.dns.change_tags_for_resource(ResourceType="hostedzone", ResourceId=one, RemoveTagKeys=["size"],
                                          AddTags=tag_list(colour="green"))
        shown = self.dns.list_tags_for_resource(ResourceType="hostedzone", ResourceId=one)["ResourceTagSet"]
        self.assertEqual((shown["ResourceType"], shown["ResourceId"], tags_of(shown)),
                         ("hostedzone", one, {"colour": "green"}))
        sets = self.dns.list_tags_for_resources(ResourceType="hostedzone", ResourceIds=[one, two])["ResourceTagSets"]
        self.assertEqual({it["ResourceId"]: tags_of(it) for it in sets}, {one: {"colour": "green"}, two: {}})
        for call in [lambda: self.dns.list_tags_for_resource(ResourceType="hostedzone", ResourceId="Z0000"),
                     lambda: self.dns.list_tags_for_resources(ResourceType="hostedzone", ResourceIds=["Z0000"]),
                     lambda: self.dns.change_tags_for_resource(ResourceType="hostedzone", ResourceId="Z0000",
                                                               AddTags=tag_list(a="b"))]:
            with self.refused("NoSuchHostedZone", status=404):
                call()
        with self.refused("InvalidInput", "ValidationError", says="10"):  # ListTagsForResources takes ten
            self.dns.list_tags_for_resources(ResourceType="hostedzone", ResourceIds=[one] * 11)

    def test_a_new_zone_says_where_it_is(self) -> None:
        # CreateHostedZone, Location: "A unique URL that represents the new hosted zone", a header that the model
        # requires.
        made = self.dns.create_hosted_zone(Name="located.com", CallerReference="located")
        self.assertTrue(made.get("Location", "").endswith(made["HostedZone"]["Id"]), made.get("Location"))


class PrivateZones(Zoned):
    def test_with_its_networks(self) -> None:
        first, second, third = self.vpc(), self.vpc("10.1.0.0/16"), self.vpc("10.2.0.0/16")
        made = self.dns.create_hosted_zone(Name="internal.example.com", CallerReference="private", VPC=first)
        self.assertEqual(made["VPC"], first)
        self.assertIs(made["HostedZone"]["Config"]["PrivateZone"], True)
        self.settle()
        zone = made["HostedZone"]["Id"]
        # AssociateVPCWithHostedZone
        change = self.dns.associate_vpc_with_hosted_zone(HostedZoneId=zone, VPC=second, Comment="c")["ChangeInfo"]
        self.assertEqual((change["Status"], change["Comment"]), ("PENDING", "c"))
        self.assertCountEqual(self.dns.get_hosted_zone(Id=zone)["VPCs"], [first, second])
        with self.refused("VPCAssociationNotFound", status=404):
            self.dns.disassociate_vpc_from_hosted_zone(HostedZoneId=zone, VPC=third)
        self.dns.disassociate_vpc_from_hosted_zone(HostedZoneId=zone, VPC=first)
        self.assertEqual(self.dns.get_hosted_zone(Id=zone)["VPCs"], [second])
        # DisassociateVPCFromHostedZone: "You can't disassociate the last VPC from a private hosted zone."
        with self.refused("LastVPCAssociation", status=400):
            self.dns.disassociate_vpc_from_hosted_zone(HostedZoneId=zone, VPC=second)
        with self.refused("ConflictingDomainExists"):
            self.zone("internal.example.com", VPC=second)
        for call in [self.dns.associate_vpc_with_hosted_zone, self.dns.disassociate_vpc_from_hosted_zone]:
            with self.refused("NoSuchHostedZone", status=404):
                call(HostedZoneId="Z0123456789ABCDEFGHIJ", VPC=second)
        listed = self.dns.list_hosted_zones(HostedZoneType="PrivateHostedZone")["HostedZones"]
        self.assertIn(zone, [it["Id"] for it in listed])

    def test_public_ones_have_none(self) -> None:
        zone = self.zone("public.com")
        with self.refused("PublicZoneVPCAssociation", status=400):
            self.dns.associate_vpc_with_hosted_zone(HostedZoneId=zone, VPC=self.vpc("10.3.0.0/16"))
        # HostedZoneConfig, PrivateZone; CreateHostedZone, VPC: "(Private hosted zones only)"
        with self.refused("InvalidInput"):
            self.zone("nowhere.com", HostedZoneConfig={"PrivateZone": True})

    def test_a_network_that_is_absent(self) -> None:
        # InvalidVPCId: "The VPC ID that you specified either isn't a valid ID or the current account is not authorized
        # to access this VPC."
        absent = {"VPCRegion": "eu-central-1", "VPCId": "vpc-0123456789abcdef0"}
        with self.subTest("new"), self.refused("InvalidVPCId", status=400):
            self.zone("absent.example.com", VPC=absent)
        zone = self.zone("present.example.com", VPC=self.vpc())
        with self.subTest("associated"), self.refused("InvalidVPCId", status=400):
            self.dns.associate_vpc_with_hosted_zone(HostedZoneId=zone, VPC=absent)

    def test_names_that_conflict_by_association(self) -> None:
        # AssociateVPCWithHostedZone, ConflictingDomainExists: the VPC has another private zone of that name already.
        vpc, other = self.vpc("10.5.0.0/16"), self.vpc("10.6.0.0/16")
        self.zone("twice.example.com", VPC=vpc)
        second = self.zone("twice.example.com", VPC=other)
        with self.refused("ConflictingDomainExists"):
            self.dns.associate_vpc_with_hosted_zone(HostedZoneId=second, VPC=vpc)


class Records(Zoned):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        made = cls.dns.create_hosted_zone(Name="shop.com", CallerReference="shop")
        cls.shop = made["HostedZone"]["Id"].removeprefix("/hostedzone/")
        cls.settle()

    def found(self, name: str, kind: str = "A") -> list[dict]:
        listed = self.records(self.shop, StartRecordName=name, StartRecordType=kind)
        return [it for it in listed if it["Name"] == f"{name}." and it["Type"] == kind]

    def test_create_upsert_delete(self) -> None:
        change = self.change(self.shop, ("CREATE", record("www.shop.com", "192.0.2.1", "192.0.2.2")))
        self.wait(self.dns, "resource_record_sets_changed", Id=change["Id"])
        shown = self.found("www.shop.com")
        self.assertEqual(shown, [record("www.shop.com.", "192.0.2.1", "192.0.2.2")])
        with self.refused("InvalidChangeBatch", status=400, says="already exists"):
            self.change(self.shop, ("CREATE", record("www.shop.com", "192.0.2.3")))
        self.change(self.shop, ("UPSERT", record("www.shop.com", "192.0.2.3", ttl=60)))
        self.assertEqual(self.found("www.shop.com"), [record("www.shop.com.", "192.0.2.3", ttl=60)])
        # ChangeResourceRecordSets, DELETE: it must be given as it is.
        with self.refused("InvalidChangeBatch", says="do not match the current values"):
            self.change(self.shop, ("DELETE", record("www.shop.com", "192.0.2.3", ttl=300)))
        self.change(self.shop, ("DELETE", record("www.shop.com", "192.0.2.3", ttl=60)))
        with self.refused("InvalidChangeBatch", says="not found"):
            self.change(self.shop, ("DELETE", record("www.shop.com", "192.0.2.3", ttl=60)))

    def test_all_of_a_batch_or_nothing(self) -> None:
        # "Change Batches and Transactional Changes": "Route 53 validates the changes […], either makes all or none".
        with self.refused("InvalidChangeBatch"):
            self.change(self.shop, ("CREATE", record("a.batch.shop.com", "192.0.2.1")),
                        ("DELETE", record("b.batch.shop.com", "192.0.2.1")))
        self.assertEqual(self.found("a.batch.shop.com"), [])
        self.change(self.shop, ("CREATE", record("a.batch.shop.com", "192.0.2.1")))
        self.change(self.shop, ("DELETE", record("a.batch.shop.com", "192.0.2.1")),
                    ("CREATE", record("a.batch.shop.com", "a.shop.com", kind="CNAME")))
        self.assertEqual(len(self.found("a.batch.shop.com", "CNAME")), 1)

    def test_kinds(self) -> None:
        sets = [
            record("four.shop.com.", "192.0.2.1"),
            record("six.shop.com.", "2001:db8::1", kind="AAAA"),
            record("name.shop.com.", "target.example.com", kind="CNAME"),
            record("mail.shop.com.", "10 mx.example.com", kind="MX"),
            record("text.shop.com.", '"v=spf1 -all"', kind="TXT"),
            record("ca.shop.com.", '0 issue "amazon.com"', kind="CAA"),
            record("srv.shop.com.", "1 1 443 target.example.com", kind="SRV"),
            record("sub.shop.com.", "ns.example.com", "ns.example.net", kind="NS"),
        ]
        self.change(self.shop, *[("CREATE", it) for it in sets])
        for it in sets:
            self.assertEqual(self.found(it["Name"].rstrip("."), it["Type"]), [it])

    def test_what_is_refused(self) -> None:
        self.change(self.shop, ("UPSERT", record("held.shop.com", "192.0.2.1")))
        self.change(self.shop, ("UPSERT", record("name-held.shop.com", "a.shop.com", kind="CNAME")))
        cases = [
            ("outside", record("www.other.com", "192.0.2.1"), "is not permitted in zone"),
            ("address", record("bad.shop.com", "www.shop.com"), "invalid resource record"),
            ("quotes", record("bad.shop.com", "text", kind="TXT"), "invalid resource record"),
            ("apex", record("shop.com", "www.example.com", kind="CNAME"), "not permitted at apex"),
            ("beside", record("held.shop.com", "www.example.com", kind="CNAME"), "conflicts with other records"),
            ("beside a name", record("name-held.shop.com", "192.0.2.1"), "cname"),
            ("target", alias("to.shop.com", "absent.shop.com", self.shop), "target was not found"),
        ]
        for name, of, why in cases:
            with self.subTest(name), self.refused("InvalidChangeBatch", status=400, says=why):
                self.change(self.shop, ("CREATE", of))
        # ResourceRecordSet: values with a TTL, or an alias; a weight needs a set identifier.
        for name, of in [("neither", {"Name": "x.shop.com", "Type": "A"}),
                         ("no ttl", {"Name": "x.shop.com", "Type": "A", "ResourceRecords": [{"Value": "192.0.2.1"}]}),
                         ("both", {**alias("x.shop.com", "held.shop.com", self.shop),
                                   **record("x.shop.com", "192.0.2.1")}),
                         ("nameless", record("x.shop.com", "192.0.2.1", Weight=1))]:
            with self.subTest(name), self.refused("InvalidInput", "InvalidChangeBatch", status=400):
                self.change(self.shop, ("CREATE", of))
        with self.refused("NoSuchHostedZone", status=404):
            self.change("Z0123456789ABCDEFGHIJ", ("CREATE", record("x.shop.com", "192.0.2.1")))
        with self.refused("NoSuchHostedZone", status=404):
            self.records("Z0123456789ABCDEFGHIJ")
        for kind in ("NS", "SOA"):
            of = [it for it in self.records(self.shop) if it["Name"] == "shop.com." and it["Type"] == kind][0]
            with self.subTest(kind), self.refused("InvalidChangeBatch", says="must contain"):
                self.change(self.shop, ("DELETE", of))

    def test_weights(self) -> None:
        blue = record("w.shop.com.", "192.0.2.1", SetIdentifier="blue", Weight=90)
        green = record("w.shop.com.", "192.0.2.2", SetIdentifier="green", Weight=10)
        self.change(self.shop, ("CREATE", blue), ("CREATE", green))
        self.assertCountEqual(self.found("w.shop.com"), [blue, green])
        self.change(self.shop, ("UPSERT", {**blue, "Weight": 0}), ("UPSERT", {**green, "Weight": 255}))
        self.assertEqual({it["SetIdentifier"]: it["Weight"] for it in self.found("w.shop.com")},
                         {"blue": 0, "green": 255})
        with self.refused("InvalidChangeBatch"):  # weighted and simple ones do not go together
            self.change(self.shop, ("CREATE", record("w.shop.com", "192.0.2.3")))

    def test_aliases(self) -> None:
        self.change(self.shop, ("CREATE", record("real.shop.com", "192.0.2.1")))
        inside = alias("alias.shop.com.", "real.shop.com.", self.shop)
        # "Values specific for simple alias records": the zone of a load balancer is its own.
        balancer = alias("shop.com.", "web-1234567890.eu-central-1.elb.amazonaws.com.", "Z215JYRZR1TBD5")
        self.change(self.shop, ("CREATE", inside), ("CREATE", balancer))
        self.assertEqual((self.found("alias.shop.com"), self.found("shop.com")), ([inside], [balancer]))

    def test_stars(self) -> None:
        self.change(self.shop, ("CREATE", record("*.star.shop.com", "192.0.2.1")))
        # "DNS domain name format": an asterisk is shown by its octal code.
        names = [it["Name"] for it in self.records(self.shop, StartRecordName="*.star.shop.com")]
        self.assertEqual(names[0], r"\052.star.shop.com.")

    def test_pages_and_order(self) -> None:
        zone = self.zone("paged.com")
        names = ["b.paged.com.", "a.paged.com.", "x.a.paged.com.", "c.paged.com."]
        self.change(zone, *[("CREATE", record(name, "192.0.2.1")) for name in names])
        rows = self.paged(self.dns, "list_resource_record_sets", "ResourceRecordSets", 2,
                          lambda it: (it["Name"], it["Type"]), HostedZoneId=zone)
        # ListResourceRecordSets: in the order of the reversed labels.
        self.assertEqual([it["Name"] for it in rows], ["paged.com.", "paged.com.", "a.paged.com.", "x.a.paged.com.",
                                                       "b.paged.com.", "c.paged.com."])
        page = self.dns.list_resource_record_sets(HostedZoneId=zone, StartRecordName="a.paged.com", MaxItems="1")
        self.assertEqual((page["IsTruncated"], page["NextRecordName"], page["NextRecordType"], page["MaxItems"]),
                         (True, "x.a.paged.com.", "A", "1"))
        with self.refused("InvalidInput"):  # "If you specify StartRecordType, you must specify StartRecordName"
            self.dns.list_resource_record_sets(HostedZoneId=zone, StartRecordType="A")
        self.assertEqual(self.dns.get_hosted_zone(Id=zone)["HostedZone"]["ResourceRecordSetCount"], 6)

    def test_aliases_of_load_balancers(self) -> None:
        # AliasTarget, HostedZoneId: the zone of the load balancer. Route 53 answers "Tried to create an alias that
        # targets …, but the alias target name does not lie within the target zone", a common mistake.
        zone = self.zone("alias.example.com")
        balancer = "web-1234567890.eu-central-1.elb.amazonaws.com"
        for name, of in [("nobody's", "Z0123456789ABCDEFGHIJ"), ("another region's", "Z35SXDOTRQ7X7K")]:
            with self.subTest(name), self.refused("InvalidChangeBatch", says="does not lie within the target zone"):
                self.change(zone, ("UPSERT", alias("alias.example.com", balancer, of)))

    def test_large_batches(self) -> None:
        # "Quotas", ChangeResourceRecordSets: "ResourceRecord elements: 1000 per request".
        zone = self.zone("large.example.com")
        with self.refused("InvalidChangeBatch"):
            self.change(zone, *[("CREATE", record(f"h{at}.large.example.com", "192.0.2.1")) for at in range(1001)])

    def test_limits_of_the_model(self) -> None:
        # ResourceRecordSet: SetIdentifier has 1 to 128 characters, Weight is 0 to 255, TTL is 0 to 2147483647.
        zone = self.zone("limits.example.com")
        for name, wrong in [("identifier", {"SetIdentifier": "s" * 129, "Weight": 1}),
                            ("weight", {"SetIdentifier": "s", "Weight": 256}), ("ttl", {"ttl": 2 ** 31})]:
            with self.subTest(name), self.refused("InvalidInput", "InvalidChangeBatch"):
                self.change(zone, ("CREATE", record(f"{name}.limits.example.com", "192.0.2.1", **wrong)))

    def test_values_that_are_refused(self) -> None:
        # Route 53 answers "Duplicate Resource Record: '192.0.2.1'", "FATAL problem: MXRRDATANotTwoFields" and
        # "CharacterStringTooLong". "Supported DNS record types" has the fields of the others.
        zone = self.zone("values.example.com")
        for name, kind, values in [("twice", "A", ["192.0.2.1", "192.0.2.1"]), ("mx", "MX", ["mx.example.com"]),
                                   ("srv", "SRV", ["443 target.example.com"]), ("caa", "CAA", ["amazon.com"]),
                                   ("txt", "TXT", ['"' + "t" * 256 + '"'])]:
            with self.subTest(name), self.refused("InvalidChangeBatch"):
                self.change(zone, ("CREATE", record(f"{name}.values.example.com", *values, kind=kind)))

    def test_names_that_are_refused(self) -> None:
        # "DNS domain name format": other characters than letters, digits, - and _ are written as octal codes.
        zone = self.zone("names.example.com")
        with self.subTest("blank"), self.refused("InvalidChangeBatch", "InvalidInput"):
            self.change(zone, ("CREATE", record("a b.names.example.com", "192.0.2.1")))
        with self.subTest("reference"), self.refused("InvalidInput"):  # CallerReference: 1 to 128 characters
            self.dns.create_hosted_zone(Name="reference.example.com", CallerReference="r" * 129)


class HealthChecks(Zoned):
    def config(self, **more: object) -> dict:
        config = {"Type": "HTTPS", "FullyQualifiedDomainName": "eu.example.com", "ResourcePath": "/healthz", **more}
        return {name: value for name, value in config.items() if value is not None}

    def made(self, **more: object) -> str:
        Zoned.number += 1
        made = self.dns.create_health_check(CallerReference=f"check {Zoned.number}",
                                            HealthCheckConfig=self.config(**more))["HealthCheck"]
        self.settle()
        return made["Id"]

    def test_a_new_one(self) -> None:
        made = self.dns.create_health_check(CallerReference="new", HealthCheckConfig=self.config())
        self.assertEqual(made["ResponseMetadata"]["HTTPStatusCode"], 201)  # the model of CreateHealthCheck
        check = made["HealthCheck"]
        self.assertRegex(check["Id"], "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$")
        self.assertTrue(made["Location"].endswith(check["Id"]))
        self.assertEqual((check["CallerReference"], check["HealthCheckVersion"]), ("new", 1))
        # HealthCheckConfig: "the default value is 30 seconds", "the default value is three health checks".
        config = check["HealthCheckConfig"]
        self.assertEqual((config["RequestInterval"], config["FailureThreshold"], config["Port"]), (30, 3, 443))
        self.assertEqual([config[name] for name in ("MeasureLatency", "Inverted", "Disabled")], [False] * 3)
        self.settle()
        self.assertEqual(self.dns.get_health_check(HealthCheckId=check["Id"])["HealthCheck"], check)

    def test_caller_references(self) -> None:
        # CreateHealthCheckRequest, CallerReference.
        create = self.dns.create_health_check
        first = create(CallerReference="once", HealthCheckConfig=self.config())["HealthCheck"]
        again = create(CallerReference="once", HealthCheckConfig=self.config())["HealthCheck"]
        self.assertEqual(again, first)
        with self.refused("HealthCheckAlreadyExists", status=409):
            create(CallerReference="once", HealthCheckConfig=self.config(Port=8443))
        twin = create(CallerReference="twin", HealthCheckConfig=self.config())["HealthCheck"]
        self.assertNotEqual(twin["Id"], first["Id"])
        self.settle()
        self.dns.delete_health_check(HealthCheckId=first["Id"])
        with self.refused("HealthCheckAlreadyExists", status=409):
            create(CallerReference="once", HealthCheckConfig=self.config())
        # "… will be deleted after a number of days."
        self.advance(8 * 24 * 3600)
        create(CallerReference="once", HealthCheckConfig=self.config())
        with self.refused("InvalidInput", "ValidationError", says="64"):  # HealthCheckNonce
            create(CallerReference="r" * 65, HealthCheckConfig=self.config())

    def test_what_is_refused(self) -> None:
        # HealthCheckConfig: the descriptions and the limits of its members.
        child = self.made()
        for name, wrong in [
            ("endpoint", {"FullyQualifiedDomainName": None}), ("private", {"IPAddress": "10.0.0.1"}),
            ("shared", {"IPAddress": "100.64.0.1"}), ("address", {"IPAddress": "eu.example.com"}),
            ("port", {"Type": "TCP", "ResourcePath": None}), ("interval", {"RequestInterval": 20}),
            ("threshold", {"FailureThreshold": 11}), ("region", {"Regions": ["us-east-1", "eu-west-1", "eu-central-1"]}),
            ("string", {"Type": "HTTPS_STR_MATCH"}), ("no string", {"SearchString": "ok"}),
            ("children", {"ChildHealthChecks": [child], "HealthThreshold": 1}),
            ("calculated", {"Type": "CALCULATED", "ChildHealthChecks": [child], "HealthThreshold": 1}),
            ("nobody", {"Type": "CALCULATED", "FullyQualifiedDomainName": None, "ResourcePath": None,
                        "HealthThreshold": 1}),
            ("absent", {"Type": "CALCULATED", "FullyQualifiedDomainName": None, "ResourcePath": None,
                        "ChildHealthChecks": ["51fbac21-c998-4b3d-9d4c-b0f27125a426"], "HealthThreshold": 1}),
        ]:
            with self.subTest(name), self.refused("InvalidInput", status=400):
                self.made(**wrong)
        absent = "51fbac21-c998-4b3d-9d4c-b0f27125a426"
        for call in [self.dns.get_health_check, self.dns.delete_health_check, self.dns.update_health_check,
                     self.dns.get_health_check_status]:
            with self.refused("NoSuchHealthCheck", status=404):
                call(HealthCheckId=absent)
        for call in [lambda: self.dns.list_tags_for_resource(ResourceType="healthcheck", ResourceId=absent),
                     lambda: self.dns.change_tags_for_resource(ResourceType="healthcheck", ResourceId=absent,
                                                               AddTags=tag_list(a="b"))]:
            with self.refused("NoSuchHealthCheck", status=404):
                call()
        with self.not_modelled("InvalidInput"):
            self.made(Type="RECOVERY_CONTROL")

    def test_updates(self) -> None:
        check = self.made(Type="HTTP_STR_MATCH", SearchString="ok", IPAddress="192.0.2.44")
        update = self.dns.update_health_check
        shown = update(HealthCheckId=check, HealthCheckVersion=1, Port=8080, Inverted=True,
                       Regions=["us-east-1", "eu-west-1", "sa-east-1"])["HealthCheck"]
        config = shown["HealthCheckConfig"]
        self.assertEqual((shown["HealthCheckVersion"], config["Port"], config["Inverted"], config["SearchString"]),
                         (2, 8080, True, "ok"))
        self.assertCountEqual(config["Regions"], ["us-east-1", "eu-west-1", "sa-east-1"])
        with self.refused("HealthCheckVersionMismatch", status=409):
            update(HealthCheckId=check, HealthCheckVersion=1, Port=80)
        # UpdateHealthCheck, ResetElements.
        config = update(HealthCheckId=check, ResetElements=["Regions", "ResourcePath", "FullyQualifiedDomainName"])
        self.assertFalse({"Regions", "ResourcePath", "FullyQualifiedDomainName"} & set(config["HealthCheck"]["HealthCheckConfig"]))
        with self.refused("InvalidInput"):
            update(HealthCheckId=check, FailureThreshold=11)
        # "You can't update an existing health check to add or remove the value of IPAddress."
        with self.refused("InvalidInput"):
            update(HealthCheckId=self.made(), IPAddress="192.0.2.44")

    def test_pages_and_count(self) -> None:
        before = self.dns.get_health_check_count()["HealthCheckCount"]
        [self.made() for _ in range(3)]
        self.assertEqual(self.dns.get_health_check_count()["HealthCheckCount"], before + 3)
        self.paged(self.dns, "list_health_checks", "HealthChecks", 2, lambda check: check["Id"])
        first = self.dns.list_health_checks(MaxItems="1")
        self.assertEqual((first["IsTruncated"], first["MaxItems"]), (True, "1"))
        self.has(first, "NextMarker")

    def test_deletion_and_records(self) -> None:
        zone, check = self.zone("checked.com"), self.made()
        of = record("www.checked.com.", "192.0.2.1", SetIdentifier="eu", Weight=1, HealthCheckId=check)
        self.change(zone, ("CREATE", of))
        self.assertIn(of, self.records(zone))
        # ChangeResourceRecordSets has NoSuchHealthCheck among its errors.
        with self.refused("NoSuchHealthCheck", status=404):
            self.change(zone, ("UPSERT", {**of, "HealthCheckId": "51fbac21-c998-4b3d-9d4c-b0f27125a426"}))
        with self.refused("InvalidChangeBatch", says="do not match the current values"):
            self.change(zone, ("DELETE", {name: value for name, value in of.items() if name != "HealthCheckId"}))
        # "Amazon Route 53 does not prevent you from deleting a health check even if the health check is associated with
        # one or more resource record sets."
        self.dns.delete_health_check(HealthCheckId=check)
        self.change(zone, ("DELETE", of))
        with self.refused("NoSuchHealthCheck", status=404):
            self.dns.delete_health_check(HealthCheckId=check)

    def test_status(self) -> None:
        check = self.made(IPAddress="192.0.2.44", RequestInterval=10)
        self.advance(11)
        seen = self.dns.get_health_check_status(HealthCheckId=check)["HealthCheckObservations"]
        self.assertEqual(len({it["Region"] for it in seen}), 8)
        for it in seen:
            self.assertTrue(it["StatusReport"]["Status"].startswith("Success"), it)
            self.has(it["StatusReport"], "CheckedTime")
        counted = self.made(Type="CALCULATED", FullyQualifiedDomainName=None, ResourcePath=None,
                            ChildHealthChecks=[check], HealthThreshold=1)
        # "You can't use GetHealthCheckStatus to get the status of a calculated health check."
        with self.refused("InvalidInput"):
            self.dns.get_health_check_status(HealthCheckId=counted)

    def test_tags(self) -> None:
        one, two = self.made(), self.made()
        self.dns.change_tags_for_resource(ResourceType="healthcheck", ResourceId=one,
                                          AddTags=tag_list(colour="blue", size="big"))
        self.dns.change_tags_for_resource(ResourceType="healthcheck", ResourceId=one, RemoveTagKeys=["size"])
        shown = self.dns.list_tags_for_resource(ResourceType="healthcheck", ResourceId=one)["ResourceTagSet"]
        self.assertEqual((shown["ResourceType"], shown["ResourceId"], tags_of(shown)),
                         ("healthcheck", one, {"colour": "blue"}))
        sets = self.dns.list_tags_for_resources(ResourceType="healthcheck", ResourceIds=[one, two])["ResourceTagSets"]
        self.assertEqual({it["ResourceId"]: tags_of(it) for it in sets}, {one: {"colour": "blue"}, two: {}})

    def test_how_many(self) -> None:
        # "Quotas": "Health checks: 200 active health checks per AWS account".
        dns = self.client("route53", account="333333333333")
        for number in range(200):
            dns.create_health_check(CallerReference=f"many {number}", HealthCheckConfig=self.config())
        with self.refused("TooManyHealthChecks"):
            dns.create_health_check(CallerReference="one more", HealthCheckConfig=self.config())


if __name__ == "__main__":
    unittest.main()
