//! Auto Scaling groups: how instances come and go, what is refused, and what is said about it.

use crate::support::{Answer, Caller};

struct Fleet {
    aws: Caller,
    subnets: String,
}

impl Fleet {
    /// A group of two `web` instances of an image, just asked for.
    fn of(image: &str) -> Fleet {
        let fleet = Fleet::template(image, "t3.small");
        fleet.group(&[("DesiredCapacity", "2")]).ok();
        fleet
    }

    fn template(image: &str, kind: &str) -> Fleet {
        let aws = Caller::prompt();
        let shown = aws.ec2("DescribeSubnets", &[]).ok();
        let subnets = shown.all("subnetId").join(",");
        aws.ec2(
            "CreateLaunchTemplate",
            &[
                ("LaunchTemplateName", "web"),
                ("LaunchTemplateData.ImageId", image),
                ("LaunchTemplateData.InstanceType", kind),
                ("LaunchTemplateData.TagSpecification.1.ResourceType", "instance"),
                ("LaunchTemplateData.TagSpecification.1.Tag.1.Key", "from"),
                ("LaunchTemplateData.TagSpecification.1.Tag.1.Value", "template"),
            ],
        )
        .ok();
        Fleet { aws, subnets }
    }

    fn call(&self, action: &str, params: &[(&str, &str)]) -> Answer {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("Action", action).append_pair("Version", "2011-01-01").extend_pairs(params);
        self.aws.send("autoscaling", form.finish())
    }

    fn group(&self, more: &[(&str, &str)]) -> Answer {
        let usual = [
            ("AutoScalingGroupName", "web"),
            ("LaunchTemplate.LaunchTemplateName", "web"),
            ("LaunchTemplate.Version", "1"),
            ("MinSize", "0"),
            ("MaxSize", "4"),
            ("VPCZoneIdentifier", &self.subnets),
        ];
        let given = |name: &str| more.iter().any(|(given, _)| *given == name);
        let params: Vec<_> = usual.into_iter().filter(|(name, _)| !given(name)).chain(more.iter().copied()).collect();
        self.call("CreateAutoScalingGroup", &params)
    }

    fn of_web(&self, action: &str, params: &[(&str, &str)]) -> Answer {
        self.call(action, &[&[("AutoScalingGroupName", "web")], params].concat())
    }

    fn shown(&self) -> Answer {
        self.call("DescribeAutoScalingGroups", &[("AutoScalingGroupNames.member.1", "web")]).ok()
    }

    fn states(&self) -> Vec<String> {
        self.shown().all("LifecycleState").into_iter().map(str::to_owned).collect()
    }

    fn instances(&self) -> Vec<String> {
        self.shown().all("InstanceId").into_iter().map(str::to_owned).collect()
    }

    fn activities(&self) -> Answer {
        self.of_web("DescribeScalingActivities", &[]).ok()
    }
}

#[test]
fn a_group_launches_across_zones_and_says_why() {
    let fleet = Fleet::of("ami-healthy-1");
    assert_eq!(fleet.states(), [""; 0], "nothing is launched in the call itself");
    fleet.aws.pass(5);
    assert_eq!(fleet.states(), ["Pending", "Pending"]);
    fleet.aws.pass(25);
    assert_eq!(fleet.states(), ["InService", "InService"]);
    let shown = fleet.shown();
    let mut zones: Vec<_> = shown.all("AvailabilityZone").into_iter().filter(|zone| zone.len() < 20).collect();
    zones.dedup();
    assert!(zones.len() >= 2, "{zones:?}");
    let said = fleet.activities();
    assert_eq!(said.all("StatusCode"), ["Successful", "Successful"]);
    let causes = said.all("Cause");
    let asked = "a user request created an AutoScalingGroup changing the desired capacity from 0 to 2.";
    assert!(causes.iter().all(|cause| cause.contains(asked)), "{causes:?}");
    assert!(causes.iter().any(|cause| cause.ends_with("increasing the capacity from 0 to 1.")), "{causes:?}");
}

#[test]
fn instances_carry_the_tags_of_template_and_group() {
    let fleet = Fleet::template("ami-healthy-1", "t3.small");
    let tags = [
        ("Tags.member.1.Key", "from"),
        ("Tags.member.1.Value", "group"),
        ("Tags.member.1.PropagateAtLaunch", "true"),
        ("Tags.member.2.Key", "books"),
        ("Tags.member.2.Value", "closed"),
        ("Tags.member.2.PropagateAtLaunch", "false"),
    ];
    fleet.group(&[&tags[..], &[("DesiredCapacity", "1")]].concat()).ok();
    fleet.aws.pass(30);
    let filter = [("Filter.1.Name", "tag:aws:autoscaling:groupName"), ("Filter.1.Value.1", "web")];
    let shown = fleet.aws.ec2("DescribeInstances", &filter).ok();
    assert!(shown.body.contains("<key>from</key><value>group</value>"), "{}", shown.body);
    assert!(!shown.body.contains("books"), "{}", shown.body);
    let volumes = fleet.aws.ec2("DescribeVolumes", &[]).ok();
    assert_eq!((volumes.all("volumeType"), volumes.all("device")), (vec!["gp3"], vec!["/dev/xvda"]));
    let status = fleet.aws.ec2("DescribeInstanceStatus", &[]).ok();
    assert_eq!(status.all("status")[0], "initializing");
}

#[test]
fn scaling_in_terminates_in_order_and_leaves_a_residue_for_an_hour() {
    let fleet = Fleet::of("ami-healthy-1");
    fleet.aws.pass(60);
    fleet.of_web("UpdateAutoScalingGroup", &[("DesiredCapacity", "1")]).ok();
    fleet.aws.pass(5);
    let mut states = fleet.states();
    states.sort();
    assert_eq!(states.len(), 2);
    assert!(states[1].starts_with("Terminating"), "{states:?}");
    fleet.aws.pass(60);
    assert_eq!(fleet.states(), ["InService"]);
    assert!(fleet.activities().all("Cause")[0].contains("shrinking the capacity from 2 to 1."));
    let listed = |fleet: &Fleet| fleet.aws.ec2("DescribeInstances", &[]).ok().all("instanceId").len();
    assert_eq!(listed(&fleet), 2, "a terminated instance is still shown");
    fleet.aws.pass(3700);
    assert_eq!(listed(&fleet), 1);
    fleet.of_web("UpdateAutoScalingGroup", &[("DesiredCapacity", "0")]).ok();
    fleet.aws.pass(120);
    assert_eq!(fleet.aws.ec2("DescribeVolumes", &[]).ok().all("volumeId"), [""; 0]);
    assert_eq!(fleet.aws.ec2("DescribeNetworkInterfaces", &[]).ok().all("networkInterfaceId"), [""; 0]);
}

#[test]
fn what_dies_is_replaced() {
    let fleet = Fleet::of("ami-healthy-1");
    fleet.aws.pass(60);
    let before = fleet.instances();
    fleet.aws.ec2("TerminateInstances", &[("InstanceId.1", &before[0])]).ok();
    fleet.aws.pass(180);
    let after = fleet.instances();
    assert_eq!(after.len(), 2);
    assert!(!after.contains(&before[0]));
    let causes = fleet.activities();
    let causes = causes.all("Cause");
    let gone = "in response to an EC2 health check indicating it has been terminated or stopped.";
    assert!(causes.iter().any(|cause| cause.ends_with(gone)), "{causes:?}");
    let new = "an instance was launched in response to an unhealthy instance needing to be replaced.";
    assert!(causes.iter().any(|cause| cause.ends_with(new)), "{causes:?}");
}

#[test]
fn a_crashing_image_shuts_its_instance_down() {
    let fleet = Fleet::of("ami-crashing-1");
    fleet.aws.pass(60);
    let before = fleet.instances();
    fleet.aws.pass(300);
    let reason = fleet.aws.ec2("DescribeInstances", &[("InstanceId.1", &before[0])]).one("reason");
    assert_eq!(reason, "Client.InstanceInitiatedShutdown: Instance initiated shutdown");
    assert!(!fleet.instances().contains(&before[0]));
}

#[test]
fn a_launch_that_fails_says_so_and_is_tried_again() {
    let fleet = Fleet::template("ami-healthy-1", "p5.48xlarge");
    fleet.group(&[("DesiredCapacity", "1")]).ok();
    fleet.aws.pass(300);
    let said = fleet.activities();
    assert!(said.all("StatusCode").len() > 1, "tried again");
    assert!(said.all("StatusCode").iter().all(|status| *status == "Failed"));
    let message = said.all("StatusMessage")[0];
    assert!(message.starts_with("We currently do not have sufficient p5.48xlarge capacity in the Availability Zone"));
    assert!(message.ends_with("Launching EC2 instance failed."), "{message}");
    assert!(said.all("Description")[0].starts_with("Launching a new EC2 instance.  Status Reason: We currently"));
}

#[test]
fn a_group_is_refused_what_ec2_would_refuse() {
    let refused = |image: &str, kind: &str| Fleet::template(image, kind).group(&[]).message();
    let template = "You must use a valid fully-formed launch template. ";
    assert_eq!(
        refused("ami-12345678", "t3.small"),
        format!("{template}The image id &apos;[ami-12345678]&apos; does not exist")
    );
    assert!(refused("ami-healthy-1", "t4g.small").starts_with(&format!("{template}The architecture")));
    let fleet = Fleet::template("ami-healthy-1", "t3.small");
    let version = fleet.group(&[("LaunchTemplate.Version", "9")]);
    assert_eq!(version.error(), "ValidationError");
    let sizes = fleet.group(&[("MinSize", "1"), ("MaxSize", "3"), ("DesiredCapacity", "5")]);
    assert_eq!(sizes.message(), "Desired capacity:5 must be between the specified min size:1 and max size:3");
    let targets =
        fleet.group(&[("TargetGroupARNs.member.1", "arn:aws:elasticloadbalancing:eu-west-1:1:targetgroup/x/1")]);
    assert!(targets.message().starts_with("Provided Target Groups may not be valid."));
    fleet.group(&[]).ok();
    assert_eq!(fleet.group(&[]).error(), "AlreadyExists");
    let above = fleet.of_web("SetDesiredCapacity", &[("DesiredCapacity", "9")]);
    assert_eq!(above.message(), "New SetDesiredCapacity value 9 is above max value 4 for the AutoScalingGroup.");
    let absent = fleet.call("UpdateAutoScalingGroup", &[("AutoScalingGroupName", "shop")]);
    assert_eq!(absent.message(), "AutoScalingGroup name not found - AutoScalingGroup &apos;shop&apos; not found");
}

#[test]
fn an_instance_profile_that_ec2_has_not_heard_of_is_invalid() {
    let fleet = Fleet::template("ami-healthy-1", "t3.small");
    let data =
        [("LaunchTemplateName", "web"), ("SourceVersion", "1"), ("LaunchTemplateData.IamInstanceProfile.Name", "web")];
    fleet.aws.ec2("CreateLaunchTemplateVersion", &data).ok();
    let refused = fleet.group(&[("LaunchTemplate.Version", "2")]);
    assert_eq!(
        refused.message(),
        "You must use a valid fully-formed launch template. Value (web) for parameter iamInstanceProfile.name is invalid. \
         Invalid IAM Instance Profile name"
    );
}

#[test]
fn a_group_with_instances_is_deleted_by_force_only() {
    let fleet = Fleet::of("ami-healthy-1");
    fleet.aws.pass(5);
    assert_eq!(fleet.of_web("DeleteAutoScalingGroup", &[]).error(), "ScalingActivityInProgress");
    fleet.aws.pass(60);
    assert_eq!(fleet.of_web("DeleteAutoScalingGroup", &[]).error(), "ResourceInUse");
    fleet.of_web("DeleteAutoScalingGroup", &[("ForceDelete", "true")]).ok();
    assert_eq!(fleet.shown().one("Status"), "Delete in progress");
    let update = fleet.of_web("UpdateAutoScalingGroup", &[("MinSize", "1")]);
    assert_eq!(update.message(), "The AutoScaling group may not be modified while it is pending delete");
    assert_eq!(fleet.group(&[]).error(), "AlreadyExists");
    fleet.aws.pass(120);
    assert_eq!(fleet.states(), [""; 0]);
    assert_eq!(fleet.shown().all("AutoScalingGroupName"), [""; 0]);
    fleet.group(&[]).ok();
}

const HOOK: [(&str, &str); 3] = [
    ("LifecycleHookSpecificationList.member.1.LifecycleHookName", "warm-up"),
    ("LifecycleHookSpecificationList.member.1.LifecycleTransition", "autoscaling:EC2_INSTANCE_LAUNCHING"),
    ("LifecycleHookSpecificationList.member.1.HeartbeatTimeout", "120"),
];

#[test]
fn a_hook_holds_an_instance_until_somebody_says_go() {
    let fleet = Fleet::template("ami-healthy-1", "t3.small");
    fleet.group(&[&HOOK[..], &[("DesiredCapacity", "2")]].concat()).ok();
    fleet.aws.pass(40);
    assert_eq!(fleet.states(), ["Pending:Wait", "Pending:Wait"]);
    assert_eq!(fleet.activities().all("StatusCode"), ["MidLifecycleAction"; 2]);
    let instances = fleet.instances();
    let complete = |instance: &str, result: &str| {
        let of = [("LifecycleHookName", "warm-up"), ("InstanceId", instance), ("LifecycleActionResult", result)];
        fleet.of_web("CompleteLifecycleAction", &of)
    };
    complete(&instances[0], "CONTINUE").ok();
    fleet.aws.pass(3);
    let mut states = fleet.states();
    states.sort();
    assert_eq!(states, ["InService", "Pending:Wait"]);
    assert_eq!(complete(&instances[0], "CONTINUE").error(), "ValidationError");

    // Nobody speaks for the other one: the default is to give it up, and another one is launched.
    fleet.aws.pass(130);
    let said = fleet.activities();
    let message = said.all("StatusMessage");
    assert!(message[0].ends_with("was abandoned: Heartbeat Timeout"), "{message:?}");
    assert!(!fleet.instances().contains(&instances[1]) || fleet.states().iter().any(|state| state.starts_with("Term")));
}

#[test]
fn what_is_suspended_does_not_happen() {
    let fleet = Fleet::of("ami-healthy-1");
    fleet.aws.pass(60);
    fleet.of_web("SuspendProcesses", &[("ScalingProcesses.member.1", "Terminate")]).ok();
    fleet.of_web("SetDesiredCapacity", &[("DesiredCapacity", "0")]).ok();
    fleet.aws.pass(120);
    assert_eq!(fleet.states(), ["InService", "InService"]);
    fleet.of_web("ResumeProcesses", &[]).ok();
    fleet.aws.pass(120);
    assert_eq!(fleet.states(), [""; 0]);
}

#[test]
fn protected_instances_are_not_scaled_in() {
    let fleet = Fleet::of("ami-healthy-1");
    fleet.aws.pass(60);
    let instances = fleet.instances();
    let protect = [("InstanceIds.member.1", instances[0].as_str()), ("ProtectedFromScaleIn", "true")];
    fleet.of_web("SetInstanceProtection", &protect).ok();
    fleet.of_web("SetDesiredCapacity", &[("DesiredCapacity", "0")]).ok();
    fleet.aws.pass(120);
    assert_eq!(fleet.instances(), instances[..1]);
}

#[test]
fn policies_tags_and_metrics_are_kept() {
    let fleet = Fleet::of("ami-healthy-1");
    let policy = [
        ("PolicyName", "cpu"),
        ("PolicyType", "TargetTrackingScaling"),
        ("TargetTrackingConfiguration.PredefinedMetricSpecification.PredefinedMetricType", "ASGAverageCPUUtilization"),
        ("TargetTrackingConfiguration.TargetValue", "50"),
    ];
    let made = fleet.of_web("PutScalingPolicy", &policy).ok();
    assert_eq!(made.all("AlarmName").len(), 2);
    assert_eq!(fleet.of_web("PutScalingPolicy", &policy).one("PolicyARN"), made.one("PolicyARN"));
    let shown = fleet.of_web("DescribePolicies", &[]).ok();
    assert_eq!((shown.one("TargetValue"), shown.one("DisableScaleIn")), ("50".into(), "false".into()));
    fleet.of_web("DeletePolicy", &[("PolicyName", "cpu")]).ok();
    assert_eq!(fleet.of_web("DeletePolicy", &[("PolicyName", "cpu")]).error(), "ValidationError");

    let tag = [("Tags.member.1.ResourceId", "web"), ("Tags.member.1.Key", "team"), ("Tags.member.1.Value", "web")];
    fleet.call("CreateOrUpdateTags", &tag).ok();
    assert_eq!(fleet.call("DescribeTags", &[]).one("PropagateAtLaunch"), "false");
    fleet.call("DeleteTags", &tag).ok();
    let absent = [("Tags.member.1.ResourceId", "shop"), ("Tags.member.1.Key", "team")];
    assert_eq!(
        fleet.call("CreateOrUpdateTags", &absent).message(),
        "AutoScalingGroup not found - AutoScaling Group shop not found"
    );

    fleet.of_web("EnableMetricsCollection", &[("Granularity", "1Minute")]).ok();
    assert_eq!(fleet.shown().all("Metric").len(), 8);
    fleet.of_web("DisableMetricsCollection", &[]).ok();
    assert_eq!(fleet.shown().all("Metric"), [""; 0]);
}
