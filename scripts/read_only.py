#!/usr/bin/env python3
"""Writes src/aws/read_only.txt, the actions that may leave the process undeclared, and src/aws/actions.txt, all actions
of these services.

Source: the operation names of botocore's service models (pip install botocore==1.43.11).
An operation is read-only if AWS named it so; what hands out credentials or secrets is not.
"""
import gzip, json, pathlib, sys
import botocore

# Directory of the model -> action prefix.
SERVICES = {
    "acm": "acm", "autoscaling": "autoscaling", "ec2": "ec2", "elbv2": "elasticloadbalancing",
    "iam": "iam", "route53": "route53", "ssm": "ssm", "sts": "sts",
}
READS = ("Describe", "Get", "List", "Search")
# They return credentials, passwords or sessions.
NOT_READS = {"ec2:GetPasswordData", "sts:GetFederationToken", "sts:GetSessionToken",
             "sts:GetDelegatedAccessToken", "sts:GetWebIdentityToken", "ssm:GetAccessToken"}

# Other APIs whose actions have one of these prefixes.
ALSO = {"elb": "elasticloadbalancing"}

data = pathlib.Path(botocore.__file__).parent / "data"


def operations(services):
    for directory, prefix in services.items():
        newest = sorted((data / directory).iterdir())[-1]
        with gzip.open(newest / "service-2.json.gz") as model:
            yield from (f"{prefix}:{name}" for name in json.load(model)["operations"])


actions = set(operations(SERVICES))
reads = {action for action in actions if action.split(":")[1].startswith(READS)} - NOT_READS
folder = pathlib.Path(__file__).resolve().parent.parent / "src/aws"
for name, lines in {"read_only.txt": reads, "actions.txt": actions | set(operations(ALSO))}.items():
    target, text = folder / name, "\n".join(sorted(lines)) + "\n"
    if "--check" not in sys.argv:
        target.write_text(text)
    elif target.read_text() != text:
        sys.exit(f"{target} is stale: run scripts/read_only.py")
