"""Deploys the shop as runbooks/prod-deploy.rhai does, the way one writes it by hand: one boto3 call after the other.

It is what docs/performance.md compares with. Each resource is looked up by its name, made if it is not there, and left
as it is otherwise. Rules, routes and the like, which the look-up shows, are completed; settings that it does not show
(DNS of the VPC, attributes of target groups) are set when a resource is made, and not looked at again. A deploy that
fails is not taken back.

    python benches/boto3_deploy.py URL ACCOUNT IMAGE

Prints a line of JSON: what the deploy took in seconds, how many HTTP calls it made, and the colour that is live then.
Assuming the role and loading botocore's models come before that, and are in neither figure.
"""
import ipaddress, json, pathlib, sys, time, tomllib
from types import SimpleNamespace

import boto3

PROD = tomllib.loads((pathlib.Path(__file__).parents[1] / "runner.toml").read_text())["environments"]["prod"]
REGION, VARS = PROD["region"], PROD["vars"]
STACK, SERVICE, PORT = "shop-prod", "shop-prod-web", 8080
COLOURS = ("blue", "green")
ANYWHERE = "0.0.0.0/0"
# The endpoint has everything ready at once, so nobody sleeps between looks.
LOOKS = 100
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}
POLICY = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": ["ssm:GetParameter"], "Resource": "*"}],
}


def tags(name):
    return [{"Key": key, "Value": value} for key, value in {"Name": name, **PROD["default_tags"]}.items()]


def ec2_tags(kind, name):
    return [{"ResourceType": kind, "Tags": tags(name)}]


def filters(wanted):
    return [{"Name": name, "Values": values} for name, values in wanted.items()]


def named(name):
    return filters({"tag:Name": [name]})


def first(rows):
    return next(iter(rows), None)


def wait_for(what, look):
    for _ in range(LOOKS):
        if seen := look():
            return seen
    sys.exit(f"waited in vain for {what}")


# --- Network ---


def ensure_network(aws):
    ec2, name = aws.ec2, f"{STACK}-main"
    vpc = ensure_vpc(ec2, name)
    gateway = ensure_internet_gateway(ec2, name, vpc)
    zones = ec2.describe_availability_zones(Filters=filters({"state": ["available"]}))["AvailabilityZones"]
    zones = sorted(zone["ZoneName"] for zone in zones)[: VARS["availability_zones"]]
    blocks = ipaddress.ip_network(VARS["cidr_block"]).subnets(new_prefix=24)
    public = [ensure_subnet(ec2, vpc, "public", zone, str(next(blocks))) for zone in zones]
    private = [ensure_subnet(ec2, vpc, "private", zone, str(next(blocks))) for zone in zones]
    nat = ensure_nat_gateways(ec2, name, dict(zip(zones, public)))
    ensure_route_table(ec2, f"{name}-public", vpc, public, {"GatewayId": gateway})
    for zone, subnet in zip(zones, private):
        ensure_route_table(ec2, f"{name}-private-{zone}", vpc, [subnet], {"NatGatewayId": nat[zone]})
    return SimpleNamespace(vpc=vpc, public=public, private=private)


def ensure_vpc(ec2, name):
    if found := first(ec2.describe_vpcs(Filters=named(name))["Vpcs"]):
        return found["VpcId"]
    made = ec2.create_vpc(CidrBlock=VARS["cidr_block"], TagSpecifications=ec2_tags("vpc", name))["Vpc"]
    # One attribute a call.
    ec2.modify_vpc_attribute(VpcId=made["VpcId"], EnableDnsSupport={"Value": True})
    ec2.modify_vpc_attribute(VpcId=made["VpcId"], EnableDnsHostnames={"Value": True})
    return made["VpcId"]


def ensure_internet_gateway(ec2, name, vpc):
    gateway = first(ec2.describe_internet_gateways(Filters=named(name))["InternetGateways"])
    if gateway is None:
        gateway = ec2.create_internet_gateway(TagSpecifications=ec2_tags("internet-gateway", name))["InternetGateway"]
    if not gateway["Attachments"]:
        ec2.attach_internet_gateway(InternetGatewayId=gateway["InternetGatewayId"], VpcId=vpc)
    return gateway["InternetGatewayId"]


def ensure_subnet(ec2, vpc, tier, zone, block):
    name = f"{STACK}-{tier}-{zone}"
    subnet = first(ec2.describe_subnets(Filters=named(name))["Subnets"])
    if subnet is None:
        subnet = ec2.create_subnet(
            VpcId=vpc, AvailabilityZone=zone, CidrBlock=block, TagSpecifications=ec2_tags("subnet", name)
        )["Subnet"]
    if tier == "public" and not subnet["MapPublicIpOnLaunch"]:
        ec2.modify_subnet_attribute(SubnetId=subnet["SubnetId"], MapPublicIpOnLaunch={"Value": True})
    return subnet["SubnetId"]


def ensure_nat_gateways(ec2, name, subnets):
    """One for each zone. They take minutes in AWS: all are begun before the first is waited for."""
    gateways = {zone: ensure_nat_gateway(ec2, f"{name}-{zone}", subnet) for zone, subnet in subnets.items()}
    ids = {zone: gateway["NatGatewayId"] for zone, gateway in gateways.items()}
    if any(gateway["State"] != "available" for gateway in gateways.values()):

        def are_available():
            seen = ec2.describe_nat_gateways(NatGatewayIds=list(ids.values()))["NatGateways"]
            return all(gateway["State"] == "available" for gateway in seen)

        wait_for("the NAT gateways", are_available)
    return ids


def ensure_nat_gateway(ec2, name, subnet):
    # By subnet, where there is only one: a deleted one keeps its name for an hour.
    wanted = filters({"subnet-id": [subnet], "state": ["pending", "available"]})
    if found := first(ec2.describe_nat_gateways(Filter=wanted)["NatGateways"]):
        return found
    address = first(ec2.describe_addresses(Filters=named(name))["Addresses"])
    if address is None:
        address = ec2.allocate_address(Domain="vpc", TagSpecifications=ec2_tags("elastic-ip", name))
    return ec2.create_nat_gateway(
        SubnetId=subnet, AllocationId=address["AllocationId"], TagSpecifications=ec2_tags("natgateway", name)
    )["NatGateway"]


def ensure_route_table(ec2, name, vpc, subnets, way_out):
    table = first(ec2.describe_route_tables(Filters=named(name))["RouteTables"])
    if table is None:
        table = ec2.create_route_table(VpcId=vpc, TagSpecifications=ec2_tags("route-table", name))["RouteTable"]
    if all(route.get("DestinationCidrBlock") != ANYWHERE for route in table["Routes"]):
        ec2.create_route(RouteTableId=table["RouteTableId"], DestinationCidrBlock=ANYWHERE, **way_out)
    have = {association.get("SubnetId") for association in table["Associations"]}
    for subnet in subnets:
        if subnet not in have:
            ec2.associate_route_table(RouteTableId=table["RouteTableId"], SubnetId=subnet)


def ensure_security_group(ec2, name, vpc, description, ingress):
    """`ingress` are ports, each with a range of addresses or a security group."""
    group = first(ec2.describe_security_groups(Filters=named(name))["SecurityGroups"])
    if group is None:
        group = ec2.create_security_group(
            GroupName=name, VpcId=vpc, Description=description, TagSpecifications=ec2_tags("security-group", name)
        )
    have = {
        (rule.get("FromPort"), source)
        for rule in group.get("IpPermissions", [])
        for source in [it["CidrIp"] for it in rule["IpRanges"]] + [it["GroupId"] for it in rule["UserIdGroupPairs"]]
    }
    if missing := [permission(*rule) for rule in ingress if rule not in have]:
        ec2.authorize_security_group_ingress(GroupId=group["GroupId"], IpPermissions=missing)
    return group["GroupId"]


def permission(port, source):
    sources = {"UserIdGroupPairs": [{"GroupId": source}]}
    if "/" in source:
        sources = {"IpRanges": [{"CidrIp": source}]}
    return {"IpProtocol": "tcp", "FromPort": port, "ToPort": port, **sources}


def ensure_network_acl(ec2, name, vpc, subnets):
    acl = first(ec2.describe_network_acls(Filters=named(name))["NetworkAcls"])
    if acl is None:
        acl = ec2.create_network_acl(VpcId=vpc, TagSpecifications=ec2_tags("network-acl", name))["NetworkAcl"]
    numbers = {(entry["Egress"], entry["RuleNumber"]) for entry in acl["Entries"]}
    for egress in (False, True):
        if (egress, 100) not in numbers:
            ec2.create_network_acl_entry(
                NetworkAclId=acl["NetworkAclId"], Egress=egress, RuleNumber=100, RuleAction="allow", Protocol="-1",
                CidrBlock=ANYWHERE,
            )
    missing = set(subnets) - {association["SubnetId"] for association in acl["Associations"]}
    if not missing:
        return
    # A subnet always has one: its association moves.
    others = ec2.describe_network_acls(Filters=filters({"association.subnet-id": list(missing)}))["NetworkAcls"]
    for association in [association for other in others for association in other["Associations"]]:
        if association["SubnetId"] in missing:
            ec2.replace_network_acl_association(
                AssociationId=association["NetworkAclAssociationId"], NetworkAclId=acl["NetworkAclId"]
            )


# --- Names ---


def ensure_hosted_zone(route53, name):
    found = first(route53.list_hosted_zones_by_name(DNSName=name, MaxItems="1")["HostedZones"])
    # The list begins at the name, and goes on with others.
    if found and found["Name"] == f"{name}.":
        return found["Id"]
    zone = route53.create_hosted_zone(Name=name, CallerReference=f"{STACK}-{time.time_ns()}")["HostedZone"]["Id"]
    route53.change_tags_for_resource(ResourceType="hostedzone", ResourceId=zone.rpartition("/")[2], AddTags=tags(name))
    return zone


def find_record(route53, zone, name, kind):
    found = first(
        route53.list_resource_record_sets(
            HostedZoneId=zone, StartRecordName=name, StartRecordType=kind, MaxItems="1"
        )["ResourceRecordSets"]
    )
    return found if found and (found["Name"].rstrip("."), found["Type"]) == (name.rstrip("."), kind) else None


def upsert(route53, zone, record):
    """Puts a record into the zone, and waits until all name servers have it."""
    batch = {"Changes": [{"Action": "UPSERT", "ResourceRecordSet": record}]}
    change = route53.change_resource_record_sets(HostedZoneId=zone, ChangeBatch=batch)["ChangeInfo"]
    wait_for(record["Name"], lambda: route53.get_change(Id=change["Id"])["ChangeInfo"]["Status"] == "INSYNC")


def ensure_certificate(aws, name, domain, zone):
    pages = aws.acm.get_paginator("list_certificates").paginate(CertificateStatuses=["PENDING_VALIDATION", "ISSUED"])
    certificates = [row for page in pages for row in page["CertificateSummaryList"]]
    found = first(row for row in certificates if row["DomainName"] == domain)
    if found and found["Status"] == "ISSUED":
        return found["CertificateArn"]
    arn = found["CertificateArn"] if found else aws.acm.request_certificate(
        DomainName=domain, ValidationMethod="DNS", Tags=tags(name)
    )["CertificateArn"]

    def certificate():
        return aws.acm.describe_certificate(CertificateArn=arn)["Certificate"]

    # ACM decides on the record a moment after the request.
    proof = wait_for("the validation record", lambda: certificate()["DomainValidationOptions"][0].get("ResourceRecord"))
    upsert(aws.route53, zone, {
        "Name": proof["Name"], "Type": proof["Type"], "TTL": 300, "ResourceRecords": [{"Value": proof["Value"]}],
    })
    wait_for("the certificate", lambda: certificate()["Status"] == "ISSUED")
    return arn


def ensure_alias(route53, zone, name, balancer):
    host = balancer["DNSName"]
    found = find_record(route53, zone, name, "A")
    if found and found.get("AliasTarget", {}).get("DNSName", "").rstrip(".") == host:
        return
    target = {"HostedZoneId": balancer["CanonicalHostedZoneId"], "DNSName": host, "EvaluateTargetHealth": False}
    upsert(route53, zone, {"Name": name, "Type": "A", "AliasTarget": target})


# --- Service ---


def ensure_service(aws, network):
    zone = ensure_hosted_zone(aws.route53, VARS["hosted_zone"])
    certificate = ensure_certificate(aws, SERVICE, VARS["record_name"], zone)
    front = ensure_security_group(
        aws.ec2, f"{SERVICE}-lb", network.vpc, "the load balancer: HTTP and HTTPS from everywhere",
        [(80, ANYWHERE), (443, ANYWHERE)],
    )
    balancer = ensure_load_balancer(aws.elbv2, SERVICE, network.public, front)
    ensure_network_acl(aws.ec2, f"{SERVICE}-lb", network.vpc, network.public)
    colours = {colour: ensure_colour(aws, f"{SERVICE}-{colour}", network.vpc, front) for colour in COLOURS}
    listener = ensure_listeners(aws.elbv2, balancer["LoadBalancerArn"], certificate, colours["blue"].target_group)
    ensure_alias(aws.route53, zone, VARS["record_name"], balancer)
    return listener, colours


def ensure_load_balancer(elbv2, name, subnets, group):
    try:
        balancer = elbv2.describe_load_balancers(Names=[name])["LoadBalancers"][0]
    except elbv2.exceptions.LoadBalancerNotFoundException:
        balancer = elbv2.create_load_balancer(
            Name=name, Subnets=subnets, SecurityGroups=[group], Scheme="internet-facing", Type="application",
            Tags=tags(name),
        )["LoadBalancers"][0]
    if balancer["State"]["Code"] != "active":
        arns = [balancer["LoadBalancerArn"]]

        def is_active():
            seen = elbv2.describe_load_balancers(LoadBalancerArns=arns)["LoadBalancers"][0]
            return seen["State"]["Code"] == "active"

        wait_for("the load balancer", is_active)
    return balancer


def ensure_colour(aws, name, vpc, front):
    """What one version of the service has to itself."""
    group = ensure_security_group(
        aws.ec2, name, vpc, f"{name.rpartition('-')[2]} instances: the load balancer only", [(PORT, front)]
    )
    ensure_role(aws.iam, name)
    ensure_instance_profile(aws.iam, name)
    return SimpleNamespace(name=name, security_group=group, target_group=ensure_target_group(aws.elbv2, name, vpc))


def ensure_target_group(elbv2, name, vpc):
    try:
        return elbv2.describe_target_groups(Names=[name])["TargetGroups"][0]["TargetGroupArn"]
    except elbv2.exceptions.TargetGroupNotFoundException:
        pass
    arn = elbv2.create_target_group(
        Name=name, VpcId=vpc, Protocol="HTTP", Port=PORT, TargetType="instance", HealthCheckPath="/healthz",
        HealthCheckIntervalSeconds=10, Tags=tags(name),
    )["TargetGroups"][0]["TargetGroupArn"]
    delay = {"Key": "deregistration_delay.timeout_seconds", "Value": "60"}
    elbv2.modify_target_group_attributes(TargetGroupArn=arn, Attributes=[delay])
    return arn


def ensure_role(iam, name):
    try:
        iam.get_role(RoleName=name)
    except iam.exceptions.NoSuchEntityException:
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST), Tags=tags(name))
    try:
        iam.get_role_policy(RoleName=name, PolicyName="service")
    except iam.exceptions.NoSuchEntityException:
        iam.put_role_policy(RoleName=name, PolicyName="service", PolicyDocument=json.dumps(POLICY))


def ensure_instance_profile(iam, name):
    try:
        profile = iam.get_instance_profile(InstanceProfileName=name)["InstanceProfile"]
    except iam.exceptions.NoSuchEntityException:
        profile = iam.create_instance_profile(InstanceProfileName=name, Tags=tags(name))["InstanceProfile"]
    if not profile["Roles"]:
        iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=name)


def ensure_listeners(elbv2, balancer, certificate, blue):
    """Returns the one for HTTPS. Its weights belong to the deploys from then on."""
    listeners = elbv2.describe_listeners(LoadBalancerArn=balancer)["Listeners"]
    by_port = {listener["Port"]: listener for listener in listeners}
    if 443 not in by_port:
        by_port[443] = elbv2.create_listener(
            LoadBalancerArn=balancer, Port=443, Protocol="HTTPS", Certificates=[{"CertificateArn": certificate}],
            SslPolicy="ELBSecurityPolicy-TLS13-1-2-2021-06", DefaultActions=[forward({blue: 0})],
            Tags=tags(f"{SERVICE}-https-443"),
        )["Listeners"][0]
    if 80 not in by_port:
        redirect = {"Protocol": "HTTPS", "Port": "443", "StatusCode": "HTTP_301"}
        elbv2.create_listener(
            LoadBalancerArn=balancer, Port=80, Protocol="HTTP", Tags=tags(f"{SERVICE}-http-80"),
            DefaultActions=[{"Type": "redirect", "RedirectConfig": redirect}],
        )
    return by_port[443]


# --- Traffic ---


def forward(weights):
    groups = [{"TargetGroupArn": group, "Weight": weight} for group, weight in weights.items()]
    return {"Type": "forward", "ForwardConfig": {"TargetGroups": groups}}


def weights_of(listener):
    groups = listener["DefaultActions"][0]["ForwardConfig"]["TargetGroups"]
    return {group["TargetGroupArn"]: group["Weight"] for group in groups}


def set_weights(elbv2, listener, weights):
    """Sets them, and reads them back."""
    elbv2.modify_listener(ListenerArn=listener["ListenerArn"], DefaultActions=[forward(weights)])

    def are_there():
        seen = elbv2.describe_listeners(ListenerArns=[listener["ListenerArn"]])["Listeners"][0]
        return weights_of(seen) == weights

    wait_for(f"the weights {weights}", are_there)


def healthy(elbv2, group):
    targets = elbv2.describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"]
    return sum(target["TargetHealth"]["State"] == "healthy" for target in targets)


# --- Fleets ---


def find_fleets(autoscaling, names):
    groups = autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=names)["AutoScalingGroups"]
    return {group["AutoScalingGroupName"]: group for group in groups}


def retire(autoscaling, name):
    """Scales a fleet to nothing, which drains its targets, and deletes it."""
    autoscaling.update_auto_scaling_group(AutoScalingGroupName=name, MinSize=0, DesiredCapacity=0)
    wait_for(f"{name} to be empty", lambda: not find_fleets(autoscaling, [name])[name]["Instances"])
    autoscaling.delete_auto_scaling_group(AutoScalingGroupName=name)
    wait_for(f"{name} to be gone", lambda: not find_fleets(autoscaling, [name]))


def content(colour, image):
    """What a version of a launch template is known by."""
    return {
        "ImageId": image, "InstanceType": VARS["instance_type"], "SecurityGroupIds": [colour.security_group],
        "IamInstanceProfile": {"Name": colour.name},
    }


def has(version, wanted):
    return all(version["LaunchTemplateData"].get(key) == value for key, value in wanted.items())


def runs_already(ec2, fleet, colour, image):
    template = fleet["LaunchTemplate"]
    version = ec2.describe_launch_template_versions(
        LaunchTemplateId=template["LaunchTemplateId"], Versions=[template["Version"]]
    )["LaunchTemplateVersions"][0]
    return has(version, content(colour, image))


def ensure_launch_template(ec2, colour, image):
    """Returns its id and the number of the version with this content."""
    wanted = content(colour, image)
    template = first(ec2.describe_launch_templates(Filters=named(colour.name))["LaunchTemplates"])
    if template:
        all_of = ec2.get_paginator("describe_launch_template_versions")
        pages = all_of.paginate(LaunchTemplateId=template["LaunchTemplateId"])
        versions = [version for page in pages for version in page["LaunchTemplateVersions"]]
        if same := first(version for version in versions if has(version, wanted)):
            return same["LaunchTemplateId"], same["VersionNumber"]
    made_of = ec2.describe_images(ImageIds=[image])["Images"][0]
    root = made_of["RootDeviceName"]
    size = first(it["Ebs"]["VolumeSize"] for it in made_of["BlockDeviceMappings"] if it["DeviceName"] == root)
    volume = {"VolumeSize": size, "VolumeType": "gp3", "Encrypted": True, "DeleteOnTermination": True}
    data = {
        **wanted,
        "MetadataOptions": {"HttpTokens": "required", "HttpPutResponseHopLimit": 2, "HttpEndpoint": "enabled"},
        "BlockDeviceMappings": [{"DeviceName": root, "Ebs": volume}],
        "TagSpecifications": ec2_tags("instance", colour.name) + ec2_tags("volume", colour.name),
    }
    if template:
        made = ec2.create_launch_template_version(
            LaunchTemplateId=template["LaunchTemplateId"], LaunchTemplateData=data
        )["LaunchTemplateVersion"]
        return made["LaunchTemplateId"], made["VersionNumber"]
    made = ec2.create_launch_template(
        LaunchTemplateName=colour.name, LaunchTemplateData=data,
        TagSpecifications=ec2_tags("launch-template", colour.name),
    )["LaunchTemplate"]
    return made["LaunchTemplateId"], made["LatestVersionNumber"]


def launch(aws, colour, image, subnets, size):
    template, version = ensure_launch_template(aws.ec2, colour, image)
    aws.autoscaling.create_auto_scaling_group(
        AutoScalingGroupName=colour.name, MinSize=VARS["min_size"], MaxSize=VARS["max_size"], DesiredCapacity=size,
        LaunchTemplate={"LaunchTemplateId": template, "Version": str(version)}, VPCZoneIdentifier=",".join(subnets),
        TargetGroupARNs=[colour.target_group], HealthCheckType="ELB", HealthCheckGracePeriod=300,
        Tags=[{**tag, "PropagateAtLaunch": True} for tag in tags(colour.name)],
    )


# --- Deploy ---


def deploy(aws, image):
    """Returns the colour that is live afterwards."""
    network = ensure_network(aws)
    listener, colours = ensure_service(aws, network)
    weights = weights_of(listener)
    live = [colour for colour in COLOURS if weights.get(colours[colour].target_group)]
    if len(live) > 1:
        sys.exit("traffic is split between both colours: another deploy is under way, or was left half-way")
    live = first(live)
    new = "green" if live == "blue" else "blue"
    to = colours[new]

    fleets = find_fleets(aws.autoscaling, [colour.name for colour in colours.values()])
    if to.name in fleets:  # Of a deploy that did not come to its end. It has no traffic.
        retire(aws.autoscaling, to.name)
    old = fleets[colours[live].name] if live else None
    if old and runs_already(aws.ec2, old, colours[live], image):
        return live
    size = VARS["min_size"]
    if old:
        size = max(size, old["DesiredCapacity"])
        if old["MinSize"] < old["DesiredCapacity"]:  # It must be able to carry everything until it goes.
            aws.autoscaling.update_auto_scaling_group(
                AutoScalingGroupName=old["AutoScalingGroupName"], MinSize=old["DesiredCapacity"]
            )

    # At weight 0 first: a target group that no listener refers to is never checked.
    if to.target_group not in weights:
        weights[to.target_group] = 0
        set_weights(aws.elbv2, listener, weights)
    launch(aws, to, image, network.private, size)
    wait_for(f"healthy targets of {new}", lambda: healthy(aws.elbv2, to.target_group) >= size)

    steps = [step["weight"] for step in VARS["steps"]] if live else []
    for weight in [*steps, 100]:
        weights[to.target_group] = weight
        if live:
            weights[colours[live].target_group] = 100 - weight
        set_weights(aws.elbv2, listener, weights)
        if healthy(aws.elbv2, to.target_group) < size:
            sys.exit(f"{new} got sick with {weight} % of the traffic")
    if old:
        retire(aws.autoscaling, old["AutoScalingGroupName"])
    return new


def main(url, account, image):
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": REGION}
    role = f"arn:aws:iam::{account}:role/runner"
    sts = boto3.client("sts", endpoint_url=url, **keys)
    assumed = sts.assume_role(RoleArn=role, RoleSessionName="deploy")["Credentials"]
    session = boto3.Session(assumed["AccessKeyId"], assumed["SecretAccessKey"], assumed["SessionToken"], REGION)
    calls = []
    session.events.register("before-send", lambda request, **_: calls.append(request.url))
    services = ("acm", "autoscaling", "ec2", "elbv2", "iam", "route53")
    aws = SimpleNamespace(**{service: session.client(service, endpoint_url=url) for service in services})
    started = time.perf_counter()
    colour = deploy(aws, image)
    print(json.dumps({"seconds": time.perf_counter() - started, "calls": len(calls), "colour": colour}))


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(f"usage: {sys.argv[0]} URL ACCOUNT IMAGE")
    main(*sys.argv[1:])
