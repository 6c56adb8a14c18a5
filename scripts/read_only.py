#!/usr/bin/env python3
"""Writes src/aws/read_only.txt: the actions that may leave the process undeclared.

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

data = pathlib.Path(botocore.__file__).parent / "data"
actions = []
for directory, prefix in SERVICES.items():
    newest = sorted((data / directory).iterdir())[-1]
    with gzip.open(newest / "service-2.json.gz") as model:
        operations = json.load(model)["operations"]
    actions += [f"{prefix}:{name}" for name in operations if name.startswith(READS)]
lines = sorted(set(actions) - NOT_READS)
target = pathlib.Path(__file__).resolve().parent.parent / "src/aws/read_only.txt"
text = "\n".join(lines) + "\n"
if "--check" in sys.argv:
    sys.exit(0 if target.read_text() == text else f"{target} is stale: run scripts/read_only.py")
target.write_text(text)
