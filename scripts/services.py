#!/usr/bin/env python3
"""Writes what is known of AWS's services, all from botocore's service models (pip install botocore==1.43.11):

src/aws/read_only.txt   the actions of the services this program calls that may leave the process undeclared
src/aws/actions.txt     all actions of these services
src/aws/services.txt    every service that `aws_call` can reach: how it is asked, where it is, and its reads
src/aws/routes.txt      of those that are asked by method and path: where each action is, which parameters go into the query (`?name`,
                        `?member=name`) or have another name in the path (`/member=label`), and which are neither there nor in
                        the body (`!member`: headers, and bodies that are one member)

An operation is read-only if AWS named it so; what hands out credentials is not.
"""
import gzip, json, pathlib, sys
import botocore

# Directory of the model -> action prefix.
SERVICES = {
    "acm": "acm", "application-autoscaling": "application-autoscaling", "autoscaling": "autoscaling",
    "cloudwatch": "cloudwatch", "ec2": "ec2", "ecr": "ecr", "ecs": "ecs", "elbv2": "elasticloadbalancing", "iam": "iam",
    "logs": "logs", "route53": "route53", "secretsmanager": "secretsmanager", "sns": "sns", "ssm": "ssm", "sts": "sts",
}
READS = ("Describe", "Get", "List", "Search", "BatchGet", "BatchDescribe")
# They return credentials, passwords or sessions, or take from a queue what they return.
NOT_READS = {"ec2:GetPasswordData", "sts:GetFederationToken", "sts:GetSessionToken",
             "sts:GetDelegatedAccessToken", "sts:GetWebIdentityToken", "ssm:GetAccessToken",
             "states:GetActivityTask", "codepipeline:GetThirdPartyJobDetails"}

# Other APIs whose actions have one of these prefixes.
ALSO = {"elb": "elasticloadbalancing"}

data = pathlib.Path(botocore.__file__).parent / "data"
partition = json.loads((data / "endpoints.json").read_text())["partitions"][0]


def newest(directory):
    return sorted(path for path in (data / directory).iterdir() if path.is_dir())[-1]


def model(directory):
    with gzip.open(newest(directory) / "service-2.json.gz") as text:
        return json.load(text)


def operations(services):
    for directory, prefix in services.items():
        yield from (f"{prefix}:{name}" for name in model(directory)["operations"])


def urls(node):
    """Every URL in the rules for a service's endpoint."""
    if isinstance(node, dict):
        if isinstance(node.get("url"), str):
            yield node["url"]
        node = list(node.values())
    if isinstance(node, list):
        for child in node:
            yield from urls(child)


def endpoint(directory, prefix):
    """Where a service is: its usual endpoint, without FIPS and dual stack, as a template."""
    # One place for all of AWS.
    service = partition["services"].get(prefix, {})
    one = service.get("endpoints", {}).get(service.get("partitionEndpoint"), {})
    signed_for = one.get("credentialScope", {}).get("region")
    if signed_for and not service.get("isRegionalized", True):
        return f"https://{one['hostname']}@{signed_for}"
    with gzip.open(newest(directory) / "endpoint-rule-set-1.json.gz") as text:
        found = {url for url in urls(json.load(text)) if "fips" not in url}
    regional, home = "{Region}", "{PartitionResult#implicitGlobalRegion}"
    for place in (regional, home):
        for suffix in ("{PartitionResult#dnsSuffix}", "{PartitionResult#dualStackDnsSuffix}"):
            for url in sorted(found, key=lambda url: (f"//{prefix}." not in url, url)):
                if url.count("{") == 2 and place in url and url.endswith(suffix):
                    return url.replace(regional, "{region}").replace(home, "{home}") \
                        .replace("{PartitionResult#dnsSuffix}", "{dns}") \
                        .replace("{PartitionResult#dualStackDnsSuffix}", "{dualstack}")
    return f"https://{one['hostname']}@{signed_for}" if signed_for else None


def services():
    for directory in sorted(path.name for path in data.iterdir() if path.is_dir()):
        if not (newest(directory) / "service-2.json.gz").exists():
            continue
        about = model(directory)
        metadata = about["metadata"]
        protocols = metadata.get("protocols", [metadata["protocol"]])
        # CloudWatch's endpoint takes forms as well as what newer clients write.
        protocol = next((known for known in ("query", "ec2", "json", "rest-json", "rest-xml") if known in protocols), None)
        url = endpoint(directory, metadata["endpointPrefix"])
        if protocol is None or url is None:
            continue
        signing = metadata.get("signingName", metadata["endpointPrefix"])
        prefix = SERVICES.get(directory, signing)
        how = {"query": metadata["apiVersion"], "ec2": metadata["apiVersion"],
               "json": f"{metadata.get('jsonVersion')}/{metadata.get('targetPrefix')}"}.get(protocol, "")
        reads = [name for name in sorted(about["operations"])
                 if directory not in SERVICES and name.startswith(READS) and f"{prefix}:{name}" not in NOT_READS]
        yield "\t".join([directory, prefix, signing, protocol, how, url, " ".join(reads)])


def routes(services):
    for directory in (line.split("\t")[0] for line in services if line.split("\t")[3] == "rest-json"):
        about = model(directory)
        line = [directory]
        for name, operation in sorted(about["operations"].items()):
            shape = about["shapes"][operation["input"]["shape"]] if "input" in operation else {}
            words = [name, operation["http"]["method"], operation["http"]["requestUri"]]
            for member, what in shape.get("members", {}).items():
                place, location = what.get("locationName", member), what.get("location")
                both = place if place == member else f"{member}={place}"
                if location == "querystring":
                    words.append(f"?{both}")
                elif location == "uri" and place != member:
                    words.append(f"/{both}")
                elif location in ("header", "headers") or member == shape.get("payload"):
                    words.append(f"!{member}")
            line.append(" ".join(words))
        yield "\t".join(line)


actions = set(operations(SERVICES))
reads = {action for action in actions if action.split(":")[1].startswith(READS)} - NOT_READS
known = list(services())
folder = pathlib.Path(__file__).resolve().parent.parent / "src/aws"
files = {"read_only.txt": sorted(reads), "actions.txt": sorted(actions | set(operations(ALSO))),
         "services.txt": known, "routes.txt": list(routes(known))}
for name, lines in files.items():
    target, text = folder / name, "\n".join(lines) + "\n"
    if "--check" not in sys.argv:
        target.write_text(text)
    elif target.read_text() != text:
        sys.exit(f"{target} is stale: run scripts/services.py")
