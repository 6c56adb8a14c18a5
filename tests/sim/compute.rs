//! Images, launch templates, and what becomes of instances.

use crate::support::Caller;

fn images(aws: &Caller, params: &[(&str, &str)]) -> Vec<String> {
    aws.ec2("DescribeImages", params).ok().all("imageId").into_iter().map(str::to_owned).collect()
}

#[test]
fn images_are_found_by_id_owner_and_name() {
    let aws = Caller::prompt();
    assert_eq!(images(&aws, &[("ImageId.1", "ami-healthy-42")]), ["ami-healthy-42"]);
    let amazons =
        images(&aws, &[("Owner.1", "amazon"), ("Filter.1.Name", "architecture"), ("Filter.1.Value.1", "arm64")]);
    assert_eq!(amazons, ["ami-0a1b2c3d4e5f60004"]);
    let own = images(&aws, &[("Owner.1", "self"), ("Filter.1.Name", "name"), ("Filter.1.Value.1", "shop-healthy-*")]);
    assert_eq!(own, ["ami-healthy-1", "ami-healthy-2", "ami-healthy-3"]);
    let absent = aws.ec2("DescribeImages", &[("ImageId.1", "ami-12345678")]);
    assert_eq!(absent.message(), "The image id &apos;[ami-12345678]&apos; does not exist");
    assert_eq!(aws.ec2("DescribeImages", &[("ImageId.1", "shop")]).error(), "InvalidAMIID.Malformed");
}

#[test]
fn instance_types_know_their_processor_and_place() {
    let aws = Caller::prompt();
    let small = aws.ec2("DescribeInstanceTypes", &[("InstanceType.1", "t4g.small")]).ok();
    assert_eq!((small.one("defaultVCpus"), small.one("sizeInMiB")), ("2".into(), "2048".into()));
    assert!(small.body.contains("arm64"));
    assert_eq!(aws.ec2("DescribeInstanceTypes", &[("InstanceType.1", "t9.small")]).error(), "InvalidInstanceType");
    let zones =
        [("LocationType", "availability-zone"), ("Filter.1.Name", "instance-type"), ("Filter.1.Value.1", "t3.small")];
    assert_eq!(aws.ec2("DescribeInstanceTypeOfferings", &zones).ok().all("location").len(), 3);
}

#[test]
fn template_versions_are_numbered_and_kept_as_given() {
    let aws = Caller::prompt();
    let make = [
        ("LaunchTemplateName", "web"),
        ("ClientToken", "one"),
        ("LaunchTemplateData.ImageId", "ami-healthy-1"),
        ("LaunchTemplateData.InstanceType", "t3.small"),
        ("LaunchTemplateData.UserData", "IyEvYmluL3No"),
        ("LaunchTemplateData.SecurityGroupId.1", "sg-1"),
        ("LaunchTemplateData.BlockDeviceMapping.1.DeviceName", "/dev/xvda"),
        ("LaunchTemplateData.BlockDeviceMapping.1.Ebs.Encrypted", "true"),
        ("LaunchTemplateData.TagSpecification.1.ResourceType", "instance"),
        ("LaunchTemplateData.TagSpecification.1.Tag.1.Key", "team"),
        ("LaunchTemplateData.TagSpecification.1.Tag.1.Value", "web"),
        ("LaunchTemplateData.MetadataOptions.HttpTokens", "required"),
    ];
    let id = aws.ec2("CreateLaunchTemplate", &make).one("launchTemplateId");
    assert_eq!(aws.ec2("CreateLaunchTemplate", &make).one("launchTemplateId"), id, "the same token");
    let again = aws.ec2("CreateLaunchTemplate", &[&make[..1], &make[2..]].concat());
    assert_eq!(again.error(), "InvalidLaunchTemplateName.AlreadyExistsException");

    let version = |data: &[(&str, &str)]| {
        let params = [&[("LaunchTemplateId", id.as_str()), ("SourceVersion", "1")], data].concat();
        aws.ec2("CreateLaunchTemplateVersion", &params)
    };
    let second = version(&[("LaunchTemplateData.ImageId", "ami-healthy-2")]).ok();
    assert_eq!((second.one("versionNumber"), second.one("imageId")), ("2".into(), "ami-healthy-2".into()));
    assert_eq!(second.one("instanceType"), "t3.small", "from the source");
    for part in
        ["<securityGroupIdSet><item>sg-1</item>", "<httpTokens>required", "<encrypted>true", "<resourceType>instance"]
    {
        assert!(second.body.contains(part), "{part} in {}", second.body);
    }
    let all = aws.ec2("DescribeLaunchTemplateVersions", &[("LaunchTemplateName", "web")]).ok();
    assert_eq!(all.all("versionNumber"), ["2", "1"], "newest first");

    aws.ec2("ModifyLaunchTemplate", &[("LaunchTemplateId", &id), ("SetDefaultVersion", "2")]).ok();
    let delete = |version: &str| {
        aws.ec2("DeleteLaunchTemplateVersions", &[("LaunchTemplateId", &id), ("LaunchTemplateVersion.1", version)]).ok()
    };
    assert!(delete("2").body.contains("The default version of a launch template cannot be deleted"));
    assert!(delete("7").body.contains("launchTemplateVersionDoesNotExist"));
    aws.ec2("ModifyLaunchTemplate", &[("LaunchTemplateId", &id), ("SetDefaultVersion", "1")]).ok();
    assert!(delete("2").body.contains("<successfullyDeletedLaunchTemplateVersionSet><item>"));
    assert_eq!(version(&[("LaunchTemplateData.KeyName", "ops")]).one("versionNumber"), "3", "no number twice");
    let absent =
        aws.ec2("DescribeLaunchTemplateVersions", &[("LaunchTemplateId", &id), ("LaunchTemplateVersion.1", "2")]);
    assert_eq!(absent.error(), "InvalidLaunchTemplateId.VersionNotFound");
    aws.ec2("DeleteLaunchTemplate", &[("LaunchTemplateName", "web")]).ok();
    let gone = aws.ec2("DeleteLaunchTemplate", &[("LaunchTemplateName", "web")]);
    assert_eq!(gone.error(), "InvalidLaunchTemplateName.NotFoundException");
}

#[test]
fn template_data_is_looked_at() {
    let aws = Caller::prompt();
    let make =
        |data: &[(&str, &str)]| aws.ec2("CreateLaunchTemplate", &[&[("LaunchTemplateName", "web")], data].concat());
    assert_eq!(make(&[]).error(), "MissingParameter");
    assert_eq!(make(&[("LaunchTemplateData.UserData", "not base64!")]).error(), "InvalidUserData.Malformed");
    assert_eq!(
        make(&[("LaunchTemplateData.MetadataOptions.HttpPutResponseHopLimit", "65")]).error(),
        "InvalidParameterValue"
    );
    let both =
        [("LaunchTemplateData.SecurityGroupId.1", "sg-1"), ("LaunchTemplateData.NetworkInterface.1.DeviceIndex", "0")];
    // It is taken, and is of no use.
    make(&both).ok();
    let subnet = aws.ec2("DescribeSubnets", &[]).one("subnetId");
    let group = [
        ("AutoScalingGroupName", "web"),
        ("MinSize", "0"),
        ("MaxSize", "1"),
        ("LaunchTemplate.LaunchTemplateName", "web"),
        ("VPCZoneIdentifier", subnet.as_str()),
    ];
    assert_eq!(aws.query("autoscaling", "CreateAutoScalingGroup", &group).error(), "InvalidQueryParameter");
    assert_eq!(make(&[("LaunchTemplateData.KernelId", "aki-1")]).error(), "UnknownParameter");
}
