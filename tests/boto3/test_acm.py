"""ACM: certificates, imported and requested, their validation, tags, and who uses them.

Codes are those that the service model lists with the action. What else is expected is in the API reference or in the
user guide's page named beside it.
"""
import pathlib
import unittest

from certificates import API, OLD, SHOP, WEB, Pair
from support import Case, network, tag_list, tags_of

FILES = pathlib.Path(__file__).resolve().parent.parent / "support"
RSA = Pair((FILES / "rsa.certificate.pem").read_bytes(), (FILES / "rsa.pkcs8.pem").read_bytes())

ABSENT = "arn:aws:acm:eu-central-1:210987654321:certificate/01234567-89ab-cdef-0123-456789abcdef"
ALL_KEYS = ["RSA_1024", "RSA_2048", "RSA_3072", "RSA_4096", "EC_prime256v1", "EC_secp384r1", "EC_secp521r1"]


class Certified(Case):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.acm, cls.dns = cls.client("acm"), cls.client("route53")

    def imported(self, pair: Pair, **params: object) -> str:
        chain = {"CertificateChain": pair.chain} if pair.chain else {}
        made = self.acm.import_certificate(Certificate=pair.certificate, PrivateKey=pair.key, **chain, **params)
        self.settle()
        return made["CertificateArn"]

    def requested(self, name: str, **params: object) -> str:
        made = self.acm.request_certificate(DomainName=name, ValidationMethod="DNS", **params)["CertificateArn"]
        self.settle()
        return made

    def shown(self, arn: str) -> dict:
        return self.acm.describe_certificate(CertificateArn=arn)["Certificate"]

    def validation(self, arn: str) -> list[dict]:
        """The options, once all have their records."""
        def ready() -> list[dict] | None:
            options = self.shown(arn)["DomainValidationOptions"]
            return options if all("ResourceRecord" in option for option in options) else None
        return self.until(ready, "the validation records")

    def validate(self, zone: str, arn: str) -> None:
        records = {option["ResourceRecord"]["Name"]: option["ResourceRecord"] for option in self.validation(arn)}
        changes = [{"Action": "UPSERT", "ResourceRecordSet": {
            "Name": record["Name"], "Type": record["Type"], "TTL": 300,
            "ResourceRecords": [{"Value": record["Value"]}]}} for record in records.values()]
        self.dns.change_resource_record_sets(HostedZoneId=zone, ChangeBatch={"Changes": changes})

    def zone(self, name: str) -> str:
        made = self.dns.create_hosted_zone(Name=name, CallerReference=name)["HostedZone"]["Id"]
        self.settle()
        return made


class Imports(Certified):
    def test_one_signed_by_itself(self) -> None:
        arn = self.imported(WEB, Tags=tag_list(Name="web"))
        self.assertRegex(arn, r"^arn:aws:acm:eu-central-1:210987654321:certificate/[0-9a-f-]{36}$")
        shown = self.shown(arn)
        self.assertEqual((shown["DomainName"], shown["Status"], shown["Type"], shown["InUseBy"],
                          shown["RenewalEligibility"]), ("web.example.com", "ISSUED", "IMPORTED", [], "INELIGIBLE"))
        self.has(shown, "ImportedAt", "NotBefore", "NotAfter", "Serial", "Subject", "Issuer", "KeyAlgorithm")
        self.assertEqual(shown["SubjectAlternativeNames"], ["web.example.com"])
        self.assertNotIn("DomainValidationOptions", shown)  # "This field exists only when the certificate type is …"
        text = self.acm.get_certificate(CertificateArn=arn)
        self.assertEqual((text["Certificate"].encode().strip(), text.get("CertificateChain")),
                         (WEB.certificate.strip(), None))
        self.assertEqual(tags_of(self.acm.list_tags_for_certificate(CertificateArn=arn)), {"Name": "web"})

    def test_one_with_a_chain(self) -> None:
        arn = self.imported(SHOP)
        text = self.acm.get_certificate(CertificateArn=arn)
        assert SHOP.chain is not None
        self.assertEqual(text["CertificateChain"].encode().strip(), SHOP.chain.strip())
        self.assertIn("Example Root", self.shown(arn)["Issuer"])

    def test_what_is_refused(self) -> None:
        # "Prerequisites for importing certificates"
        cases = [
            ("no certificate", Pair(b"nothing", WEB.key)),
            ("two certificates", Pair(WEB.certificate + API.certificate, WEB.key)),
            ("no key", Pair(WEB.certificate, b"nothing")),
            ("another key", Pair(WEB.certificate, API.key)),
            ("expired", OLD),
            ("without its chain", Pair(SHOP.certificate, SHOP.key)),
            ("another chain", Pair(SHOP.certificate, SHOP.key, WEB.certificate)),
        ]
        for name, pair in cases:
            with self.subTest(name), self.refused("ValidationException", status=400):
                self.imported(pair)

    def test_again(self) -> None:
        arn = self.imported(WEB, Tags=tag_list(Name="web"))
        # "Reimport a certificate": under its ARN, with its tags, and with the same kind of key.
        self.assertEqual(self.imported(API, CertificateArn=arn), arn)
        self.assertEqual(self.shown(arn)["DomainName"], "api.example.com")
        self.assertEqual(tags_of(self.acm.list_tags_for_certificate(CertificateArn=arn)), {"Name": "web"})
        with self.refused("ValidationException"):
            self.imported(RSA, CertificateArn=arn)
        with self.refused("InvalidParameterException", "ValidationException"):
            self.imported(API, CertificateArn=arn, Tags=tag_list(a="b"))
        with self.refused("ResourceNotFoundException"):
            self.imported(API, CertificateArn=ABSENT)

    def test_descriptions_say_more(self) -> None:
        # The example response of DescribeCertificate has these; a pending certificate's too.
        self.has(self.shown(self.imported(WEB)), "SignatureAlgorithm", "KeyUsages", "ExtendedKeyUsages")


class Lists(Certified):
    def test_lists(self) -> None:
        imported = [self.imported(RSA), self.imported(WEB), self.imported(API)]
        requested = self.requested("www.listed.com")

        def listed(**params: object) -> list[str]:
            return [it["CertificateArn"] for it in self.acm.list_certificates(**params)["CertificateSummaryList"]]

        # Filters, keyTypes: by default only RSA_1024 and RSA_2048 are listed.
        self.assertCountEqual(listed(), [imported[0], requested])
        self.assertCountEqual(listed(Includes={"keyTypes": ["EC_prime256v1"]}), imported[1:])
        self.assertEqual(listed(CertificateStatuses=["PENDING_VALIDATION"]), [requested])
        self.assertEqual(listed(CertificateStatuses=["REVOKED"]), [])
        rows = self.paged(self.acm, "list_certificates", "CertificateSummaryList", 2, lambda it: it["CertificateArn"],
                          Includes={"keyTypes": ALL_KEYS})
        for row in rows:
            self.has(row, "DomainName", "Status", "Type", "KeyAlgorithm", "CreatedAt")
            self.assertIs(row["InUse"], False)
        with self.refused("InvalidArgsException", "ValidationException"):
            self.acm.list_certificates(NextToken="nonsense")

    def test_an_arn_of_another_form(self) -> None:
        # The model's pattern for ARNs of ACM. ACM answers "1 validation error detected: Value '…' at 'certificateArn'
        # failed to satisfy constraint: Member must satisfy regular expression pattern: arn:…".
        for wrong in ["this is not an arn at all", "arn:aws:iam::210987654321:server-certificate/web"]:
            with self.subTest(wrong), self.refused("ValidationException", says="certificateArn"):
                self.acm.describe_certificate(CertificateArn=wrong)


class Requests(Certified):
    def test_from_request_to_issue(self) -> None:
        zone = self.zone("shop.com")
        arn = self.requested("shop.com", SubjectAlternativeNames=["*.shop.com", "www.shop.com"],
                             Tags=tag_list(Name="shop"))
        shown = self.shown(arn)
        self.assertEqual((shown["Status"], shown["Type"], shown["DomainName"]),
                         ("PENDING_VALIDATION", "AMAZON_ISSUED", "shop.com"))
        self.assertCountEqual(shown["SubjectAlternativeNames"], ["shop.com", "*.shop.com", "www.shop.com"])
        for name in ("NotAfter", "IssuedAt", "Serial"):
            self.assertNotIn(name, shown)
        with self.refused("RequestInProgressException"):
            self.acm.get_certificate(CertificateArn=arn)
        options = {option["DomainName"]: option for option in self.validation(arn)}
        self.assertEqual({(it["ValidationMethod"], it["ValidationStatus"], it["ResourceRecord"]["Type"])
                          for it in options.values()}, {("DNS", "PENDING_VALIDATION", "CNAME")})
        # "DNS validation": a name and its wildcard have one record.
        self.assertEqual(options["shop.com"]["ResourceRecord"], options["*.shop.com"]["ResourceRecord"])
        self.assertRegex(options["shop.com"]["ResourceRecord"]["Name"], r"^_[0-9a-f]{32}\.shop\.com\.$")
        self.assertRegex(options["shop.com"]["ResourceRecord"]["Value"], r"^_[0-9a-f]{32}\..*\.acm-validations\.aws\.$")
        self.validate(zone, arn)
        self.wait(self.acm, "certificate_validated", CertificateArn=arn)
        self.until(lambda: self.shown(arn)["Status"] == "ISSUED", "it is issued")
        shown = self.shown(arn)
        self.has(shown, "IssuedAt", "NotBefore", "NotAfter", "Serial", "Subject", "Issuer")
        self.assertEqual({it["ValidationStatus"] for it in shown["DomainValidationOptions"]}, {"SUCCESS"})
        self.assertEqual(tags_of(self.acm.list_tags_for_certificate(CertificateArn=arn)), {"Name": "shop"})
        # The record is of the name, so a second certificate of it needs no other ("DNS validation").
        again = self.requested("shop.com")
        self.wait(self.acm, "certificate_validated", CertificateArn=again)

    def test_without_its_records_it_waits(self) -> None:
        arn = self.requested("www.waiting.com")
        with self.waiting_fails():
            self.wait(self.acm, "certificate_validated", attempts=5, CertificateArn=arn)
        # "Certificate status": after 72 hours ACM gives up.
        self.advance(73 * 3600)
        shown = self.shown(arn)
        self.assertEqual(shown["Status"], "VALIDATION_TIMED_OUT")
        self.assertEqual({it["ValidationStatus"] for it in shown["DomainValidationOptions"]}, {"FAILED"})

    def test_tokens(self) -> None:
        # RequestCertificate, IdempotencyToken: for one hour.
        first = self.requested("token.com", IdempotencyToken="one")
        self.assertEqual(self.requested("token.com", IdempotencyToken="one"), first)
        self.assertNotEqual(self.requested("token.com", IdempotencyToken="two"), first)
        self.advance(2 * 3600)
        self.assertNotEqual(self.requested("token.com", IdempotencyToken="one"), first)

    def test_what_is_refused(self) -> None:
        for name in ["not a name", "-www.example.com", "www", "a" * 64 + ".com"]:
            with self.subTest(name), self.refused("ValidationException", "InvalidParameterException",
                                                  "InvalidDomainValidationOptionsException"):
                self.requested(name)
        # "Quotas": ten names in a certificate.
        with self.refused("LimitExceededException"):
            self.requested("many.com", SubjectAlternativeNames=[f"{at}.many.com" for at in range(10)])

    def test_names_that_nobody_can_have(self) -> None:
        arn = self.requested("www.internal")
        self.until(lambda: self.shown(arn)["Status"] == "FAILED", "it fails")
        self.has(self.shown(arn), "FailureReason")
        with self.waiting_fails():
            self.wait(self.acm, "certificate_validated", CertificateArn=arn)

    def test_limits_of_the_model(self) -> None:
        # RequestCertificate: KeyAlgorithm is an enumeration, IdempotencyToken \w+; "the length of the domain name […]
        # cannot exceed 64 octets".
        codes = ("ValidationException", "InvalidParameterException", "InvalidDomainValidationOptionsException")
        for name, wrong in [("algorithm", {"KeyAlgorithm": "RSA_512"}), ("token", {"IdempotencyToken": "no-dash"})]:
            with self.subTest(name), self.refused(*codes):
                self.requested("limits.com", **wrong)
        with self.subTest("name"), self.refused(*codes):
            self.requested("a" * 60 + ".limits.com")
        with self.subTest("filter"), self.refused("ValidationException", "InvalidArgsException"):
            self.acm.list_certificates(Includes={"keyTypes": ["RSA_512"]})


class Use(Certified):
    def test_one_in_use_stays(self) -> None:
        net, elb, arn = network(self), self.client("elbv2"), self.imported(RSA)
        made = elb.create_load_balancer(Name="web", Subnets=net.subnets, SecurityGroups=[net.group])
        balancer = made["LoadBalancers"][0]["LoadBalancerArn"]
        self.settle()
        action = {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "200"}}
        listener = elb.create_listener(LoadBalancerArn=balancer, Protocol="HTTPS", Port=443, DefaultActions=[action],
                                       Certificates=[{"CertificateArn": arn}])["Listeners"][0]["ListenerArn"]
        self.assertEqual(self.shown(arn)["InUseBy"], [balancer])
        self.assertEqual([it["InUse"] for it in self.acm.list_certificates()["CertificateSummaryList"]], [True])
        with self.refused("ResourceInUseException", status=400):
            self.acm.delete_certificate(CertificateArn=arn)
        self.settle()
        elb.delete_listener(ListenerArn=listener)
        self.acm.delete_certificate(CertificateArn=arn)
        self.settle()
        for call in [self.acm.describe_certificate, self.acm.get_certificate, self.acm.delete_certificate,
                     self.acm.list_tags_for_certificate]:
            for absent in (arn, ABSENT):
                with self.refused("ResourceNotFoundException", status=400):
                    call(CertificateArn=absent)

    def test_one_that_is_not_issued_serves_nobody(self) -> None:
        net, elb, arn = network(self, cidr="10.1.0.0/16", name="waiting"), self.client("elbv2"), self.requested("w.com")
        made = elb.create_load_balancer(Name="waiting", Subnets=net.subnets, SecurityGroups=[net.group])
        self.settle()
        action = {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "200"}}
        with self.refused("UnsupportedCertificate", "CertificateNotFound"):
            elb.create_listener(LoadBalancerArn=made["LoadBalancers"][0]["LoadBalancerArn"], Protocol="HTTPS", Port=443,
                                DefaultActions=[action], Certificates=[{"CertificateArn": arn}])

    def test_what_is_in_use_is_renewed(self) -> None:
        # "Managed certificate renewal": "ELIGIBLE if associated with another AWS service, such as ELB or CloudFront."
        net, elb, zone = network(self), self.client("elbv2"), self.zone("renewed.com")
        arn = self.requested("renewed.com")
        self.validate(zone, arn)
        self.until(lambda: self.shown(arn)["Status"] == "ISSUED", "it is issued")
        self.assertEqual(self.shown(arn)["RenewalEligibility"], "INELIGIBLE", "nobody uses it")
        made = elb.create_load_balancer(Name="renewed", Subnets=net.subnets, SecurityGroups=[net.group])
        self.settle()
        action = {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "200"}}
        elb.create_listener(LoadBalancerArn=made["LoadBalancers"][0]["LoadBalancerArn"], Protocol="HTTPS", Port=443,
                            DefaultActions=[action], Certificates=[{"CertificateArn": arn}])
        self.assertEqual(self.shown(arn)["RenewalEligibility"], "ELIGIBLE")


class Tags(Certified):
    def test_tags(self) -> None:
        arn = self.imported(WEB)

        def shown() -> dict[str, str]:
            return tags_of(self.acm.list_tags_for_certificate(CertificateArn=arn))

        self.acm.add_tags_to_certificate(CertificateArn=arn, Tags=tag_list(colour="blue", size="big"))
        self.acm.add_tags_to_certificate(CertificateArn=arn, Tags=tag_list(colour="green"))
        self.assertEqual(shown(), {"colour": "green", "size": "big"})
        # RemoveTagsFromCertificate: "If you do not specify the value portion of the tag when calling this operation,
        # the tag will be removed regardless of value. If you specify a value, the tag is removed only if it is
        # associated with the specified value."
        self.acm.remove_tags_from_certificate(CertificateArn=arn, Tags=tag_list(colour="blue"))
        self.assertEqual(shown(), {"colour": "green", "size": "big"})
        self.acm.remove_tags_from_certificate(CertificateArn=arn, Tags=[{"Key": "colour"}])
        self.assertEqual(shown(), {"size": "big"})
        with self.refused("TooManyTagsException", "ValidationException"):
            self.acm.add_tags_to_certificate(CertificateArn=arn, Tags=tag_list(**{f"tag{at}": "" for at in range(50)}))
        for call in [self.acm.add_tags_to_certificate, self.acm.remove_tags_from_certificate]:
            with self.refused("ResourceNotFoundException"):
                call(CertificateArn=ABSENT, Tags=tag_list(a="b"))

    def test_tags_of_aws(self) -> None:
        # InvalidTagException: "One or both of the values that make up the key-value pair is not valid. For example, you
        # cannot specify a tag value that begins with aws:."
        arn = self.imported(WEB)
        with self.refused("InvalidTagException"):
            self.acm.add_tags_to_certificate(CertificateArn=arn, Tags=[{"Key": "aws:colour", "Value": "blue"}])


if __name__ == "__main__":
    unittest.main()
