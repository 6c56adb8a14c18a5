"""read_back.py URL ACCOUNT EXPRESSION: prints the value of EXPRESSION as JSON.

The expression sees `client(service)`, a boto3 client in the account.
"""
import datetime, json, sys

import boto3

url, account, expression = sys.argv[1:]
options = {"endpoint_url": url, "region_name": "eu-central-1"}
keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
role = f"arn:aws:iam::{account}:role/reader"
session = boto3.client("sts", **options, **keys).assume_role(RoleArn=role, RoleSessionName="reader")["Credentials"]
session = {"aws_access_key_id": session["AccessKeyId"], "aws_secret_access_key": session["SecretAccessKey"],
           "aws_session_token": session["SessionToken"]}


def client(service):
    return boto3.client(service, **options, **session)


def plain(value):
    return value.isoformat() if isinstance(value, datetime.datetime) else str(value)


print(json.dumps(eval(expression), default=plain))
