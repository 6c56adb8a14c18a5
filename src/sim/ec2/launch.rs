//! Launching an instance from launch template data: what EC2 checks first, and what comes into being.

use super::image::{self, Image, Service};
use super::instance::{App, Instance, State, Step};
use super::instance_type::{self, InstanceType};
use super::network_interface::{self, Wanted};
use super::volume::{self, Volume};
use super::*;
use crate::sim::iam;

/// One instance to be launched.
pub struct Launch<'a> {
    pub data: &'a Params,
    pub subnet: &'a str,
    /// Of the launcher; they win over those of the data.
    pub tags: Tags,
}

/// What EC2 refuses whatever the subnet: what Auto Scaling asks for (as a dry run) when it gets a template.
pub fn check(tx: &Tx, data: &Params) -> Result<(Image, InstanceType), AwsError> {
    // EC2 takes such a template, and launches nothing from it.
    if !data.list("NetworkInterface").is_empty() && !data.strings("SecurityGroupId").is_empty() {
        let message =
            "Invalid launch template: When a network interface is provided, the security groups must be a part of it.";
        return Err(AwsError::new("InvalidQueryParameter", message));
    }
    let image = image::find(tx, data.str("ImageId")?)?;
    if image.state != "available" {
        let message = format!("The image ID '{}' is not available", image.id);
        return Err(AwsError::new("InvalidAMIID.Unavailable", message));
    }
    let name = data.str("InstanceType")?;
    let kind = instance_type::find(tx, name)?;
    // Of an image that is only assumed, the architecture is not known.
    if !kind.architectures.contains(&image.architecture) && !tx.settings.assume_images {
        let message = format!(
            "The architecture '{}' of the specified instance type does not match the architecture '{}' of the specified \
             AMI. Specify an instance type and an AMI that have matching architectures, and try again. You can use \
             'describe-instance-types' or 'describe-images' to discover the architecture of the instance type or AMI.",
            kind.architectures.join(", "),
            image.architecture
        );
        return Err(AwsError::new("InvalidParameterValue", message));
    }
    for group in groups(data) {
        tx.get::<SecurityGroup>(&group)?;
    }
    check_profile(tx, data)?;
    Ok((image, kind))
}

/// The security groups the data names.
fn groups(data: &Params) -> Vec<String> {
    let interface = data.list("NetworkInterface").into_iter().next().unwrap_or_default();
    let named = [data.strings("SecurityGroupId"), interface.strings("SecurityGroupId")].concat();
    named.into_iter().map(str::to_owned).collect()
}

/// IAM tells EC2 of a new instance profile with a delay; until then EC2 says that it is invalid.
fn check_profile(tx: &Tx, data: &Params) -> Result<(), AwsError> {
    let (field, word) = match data.has("IamInstanceProfile.Arn") {
        true => ("arn", "ARN"),
        false => ("name", "name"),
    };
    match profile(data) {
        Some(given) if !iam::profile_is_known_to_ec2(tx, given) => {
            let why = format!("Invalid IAM Instance Profile {word}");
            Err(AwsError::invalid(&format!("iamInstanceProfile.{field}"), given, &why))
        }
        _ => Ok(()),
    }
}

fn profile(data: &Params) -> Option<&str> {
    data.opt_str("IamInstanceProfile.Arn").or(data.opt_str("IamInstanceProfile.Name"))
}

/// Launches one instance. Key pairs are not modelled: any name is good.
pub fn launch(tx: &mut Tx, Launch { data, subnet, tags }: Launch) -> Result<Instance, AwsError> {
    let (image, kind) = check(tx, data)?;
    let at = tx.get::<Subnet>(subnet)?.clone();
    let is_short = tx.settings.short_of_capacity_until.is_some_and(|until| tx.now < until);
    if kind.exhausted || is_short {
        return Err(no_capacity(tx, &kind.name, &at.zone));
    }
    let mut groups = groups(data);
    if let Some(foreign) = groups.iter().find(|id| tx.peek::<SecurityGroup>(id).is_none_or(|group| group.vpc != at.vpc))
    {
        let message = format!("Security group {foreign} and subnet {subnet} belong to different networks.");
        return Err(AwsError::new("InvalidParameter", message));
    }
    if groups.is_empty() {
        let default = tx.all::<SecurityGroup>().find(|group| group.vpc == at.vpc && group.is_default());
        groups.extend(default.map(|group| group.id.clone()));
    }
    let (id, reservation) = (tx.new_id("i"), tx.new_id("r"));
    let interface = data.list("NetworkInterface").into_iter().next().unwrap_or_default();
    let public = interface.opt_bool("AssociatePublicIpAddress")?.unwrap_or(at.map_public_ip);
    let wanted = Wanted {
        subnet,
        groups: groups.clone(),
        description: interface.opt_str("Description").unwrap_or_default().to_owned(),
        interface_type: "interface",
        instance: Some(&id),
        public_ip: public.then(|| address::public_ip(&id)),
        ..Wanted::default()
    };
    let interface = network_interface::attach(tx, wanted)?;
    let cores = kind.cores();
    let volumes = volumes(tx, data, &image, &id, &at.zone)?;
    let instance = Instance {
        reservation,
        image: image.id,
        architecture: image.architecture,
        instance_type: kind.name,
        zone: at.zone,
        subnet: at.id,
        vpc: at.vpc,
        groups,
        private_ip: interface.private_ip,
        public_ip: interface.public_ip,
        interface: Some(interface.id),
        volumes,
        root_device: image.root_device,
        launched: tx.now,
        state: State::Pending,
        reason: None,
        service: if tx.settings.never_healthy { Service::NeverHealthy } else { image.service },
        app: App::Booting,
        profile: profile(data).and_then(|given| iam::instance_profile(tx, given)),
        data: instance_options::at_launch(data, cores),
        tags: tags_of(data, "instance", tags)?,
        id,
    };
    schedule(tx, &instance);
    tx.put(instance.clone());
    Ok(instance)
}

/// What is going to happen to the instance by itself.
pub fn schedule(tx: &mut Tx, instance: &Instance) {
    let secs = Duration::from_secs;
    let mut steps = vec![(tx.between(&instance.id, secs(5), secs(15)), Step::Run)];
    let boot = |tx: &Tx, low, high| tx.between(&format!("{}/boot", instance.id), secs(low), secs(high));
    match instance.service {
        Service::Healthy | Service::Flapping => steps.push((boot(tx, 35, 45), Step::Answer(App::Healthy))),
        Service::Slow => steps.push((boot(tx, 220, 260), Step::Answer(App::Healthy))),
        Service::NeverHealthy => steps.push((boot(tx, 35, 45), Step::Answer(App::Unhealthy))),
        Service::Crashing => {
            steps.push((boot(tx, 35, 45), Step::Answer(App::Healthy)));
            steps.push((secs(180), Step::Answer(App::Unhealthy)));
            steps.push((secs(240), Step::ShutDown));
        }
    }
    for (after, step) in steps {
        tx.schedule(after, Event::Instance(instance.id.clone(), step));
    }
}

fn volumes(tx: &mut Tx, data: &Params, image: &Image, instance: &str, zone: &str) -> Result<Vec<String>, AwsError> {
    let mut mappings = data.list("BlockDeviceMapping");
    let root = |mapping: &Params| mapping.opt_str("DeviceName") == Some(&*image.root_device);
    if !mappings.iter().any(root) {
        mappings.insert(0, Params(json!({ "DeviceName": image.root_device })));
    }
    let tags = tags_of(data, "volume", Tags::new())?;
    let mut ids = Vec::new();
    for mapping in mappings.iter().filter(|mapping| !mapping.has("NoDevice") && !mapping.has("VirtualName")) {
        let volume_type = mapping.opt_str("Ebs.VolumeType").unwrap_or(if root(mapping) { "gp3" } else { "gp2" });
        let size = match mapping.opt_int("Ebs.VolumeSize")? {
            Some(size) if root(mapping) && size < image.root_size => {
                let message = format!(
                    "Volume of size {size}GB is smaller than snapshot 'snap-{}', expect size>= {}GB",
                    image.id.trim_start_matches("ami-"),
                    image.root_size
                );
                return Err(AwsError::new("InvalidBlockDeviceMapping", message));
            }
            Some(size) => size,
            None => image.root_size,
        };
        let gp3 = volume_type == "gp3";
        let iops = match volume_type {
            "gp2" => Some(volume::baseline(size)),
            _ => mapping.opt_int("Ebs.Iops")?.or(gp3.then_some(3000)),
        };
        let volume = Volume {
            id: tx.new_id("vol"),
            zone: zone.to_owned(),
            created: tx.now,
            size,
            volume_type: volume_type.to_owned(),
            iops,
            throughput: mapping.opt_int("Ebs.Throughput")?.or(gp3.then_some(125)),
            encrypted: mapping.opt_bool("Ebs.Encrypted")?.unwrap_or(false),
            kms_key: mapping.opt_str("Ebs.KmsKeyId").map(str::to_owned),
            instance: Some(instance.to_owned()),
            device: mapping.str("DeviceName")?.to_owned(),
            delete_on_termination: mapping.opt_bool("Ebs.DeleteOnTermination")?.unwrap_or(root(mapping)),
            tags: tags.clone(),
        };
        ids.push(volume.id.clone());
        tx.put(volume);
    }
    Ok(ids)
}

/// The tags that the data gives to a type of resource, with `over` on top.
fn tags_of(data: &Params, kind: &str, over: Tags) -> Result<Tags, AwsError> {
    let mut tags = Tags::new();
    for specification in data.list("TagSpecification") {
        if specification.str("ResourceType")? == kind {
            tags.extend(tags::read(&specification.list("Tag"))?);
        }
    }
    tags.extend(over);
    Ok(tags)
}

fn no_capacity(tx: &Tx, kind: &str, zone: &str) -> AwsError {
    let others: Vec<String> = zone::all(tx).into_iter().map(|zone| zone.name).filter(|name| name != zone).collect();
    let message = format!(
        "We currently do not have sufficient {kind} capacity in the Availability Zone you requested ({zone}). Our system \
         will be working on provisioning additional capacity. You can currently get {kind} capacity by not specifying an \
         Availability Zone in your request or choosing {}.",
        others.join(", ")
    );
    AwsError::new("InsufficientInstanceCapacity", message).status(500)
}
