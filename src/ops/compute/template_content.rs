//! The content of a launch template version: as wanted, as sent to EC2, as read from it, and compared.
//!
//! A version never changes, so "the same content" is the only question. It is asked of meanings: lists in any order,
//! what is not said as EC2's default, and a version with anything that is not written here is another one.

use std::collections::BTreeMap;

use aws_sdk_ec2::types::{self as ec2, ResourceType};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Serialize;
use serde_json::json;

use super::template_options::{BlockDeviceMapping, CpuOptions, EnsureLaunchTemplate, Placement};
use crate::{
    event::Field,
    ops::{
        Error, outcome,
        ownership::{Owned, RUN_TAG, changed},
        require,
    },
    redact::user_data,
};

/// What instances of a version are made of.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Content {
    image_id: Option<String>,
    instance_type: Option<String>,
    security_groups: Vec<String>,
    associate_public_ip_address: Option<bool>,
    instance_profile: Option<String>,
    key_name: Option<String>,
    /// As EC2 has it: in base64. Shown nowhere.
    #[serde(skip)]
    user_data: Option<String>,
    metadata_options: Metadata,
    block_device_mappings: BTreeMap<String, Device>,
    monitoring: bool,
    ebs_optimized: Option<bool>,
    cpu_credits: Option<String>,
    cpu_options: Option<CpuOptions>,
    placement: Placement,
    instance_initiated_shutdown_behavior: Option<String>,
    disable_api_termination: bool,
    disable_api_stop: bool,
    enclave_options: bool,
    hibernation_options: bool,
    auto_recovery: Option<String>,
    /// By the type of resource that gets them.
    tags: BTreeMap<String, BTreeMap<String, String>>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
struct Metadata {
    http_tokens: Option<String>,
    http_put_response_hop_limit: Option<i32>,
    http_endpoint: Option<String>,
    http_protocol_ipv6: Option<String>,
    instance_metadata_tags: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
struct Device {
    volume_size: Option<i32>,
    volume_type: Option<String>,
    iops: Option<i32>,
    throughput: Option<i32>,
    encrypted: Option<bool>,
    kms_key_id: Option<String>,
    snapshot_id: Option<String>,
    delete_on_termination: Option<bool>,
}

/// The root volume of an image.
pub struct Root {
    device: String,
    /// In GiB.
    volume_size: Option<i32>,
}

impl Root {
    pub fn of(image: &ec2::Image) -> Self {
        let device = image.root_device_name().unwrap_or("/dev/xvda").to_owned();
        let mapping = image.block_device_mappings().iter().find(|mapping| mapping.device_name() == Some(&device));
        let volume_size = mapping.and_then(|mapping| mapping.ebs()?.volume_size());
        Self { device, volume_size }
    }
}

/// The types of resources that get the template's tags.
const TAGGED: [&str; 2] = ["instance", "volume"];

impl Content {
    /// Whether it is of that image.
    pub fn is_of(&self, image_id: &str) -> bool {
        self.image_id.as_deref() == Some(image_id)
    }

    /// Its volumes, each of which may be the root of its image.
    pub fn roots(&self) -> impl Iterator<Item = Root> {
        let devices = self.block_device_mappings.iter();
        devices.map(|(device, volume)| Root { device: device.clone(), volume_size: volume.volume_size })
    }

    /// What the options ask for, of an image with that root volume.
    pub fn wanted(options: &EnsureLaunchTemplate, owned: &Owned, root: &Root) -> Self {
        let on = |on: bool| Some(if on { "enabled" } else { "disabled" }.to_owned());
        let metadata = &options.metadata_options;
        let Root { device: root, volume_size } = root;
        let mut devices: BTreeMap<String, Device> = BTreeMap::new();
        for mapping in &options.block_device_mappings {
            let name = mapping.device_name.as_deref().unwrap_or(root).to_owned();
            devices.insert(name, Device::wanted(mapping, options.kms_key_id.as_ref()));
        }
        let usual = Device {
            volume_type: Some("gp3".to_owned()),
            encrypted: Some(true),
            kms_key_id: options.kms_key_id.clone(),
            delete_on_termination: Some(true),
            ..Device::default()
        };
        // The image's own size is written out: EC2 would take it, other endpoints want to be told.
        let device = devices.entry(root.clone()).or_insert(usual);
        if device.volume_size.is_none() && device.snapshot_id.is_none() {
            device.volume_size = *volume_size;
        }
        Self {
            image_id: Some(options.image_id.to_string()),
            instance_type: Some(options.instance_type.clone()),
            security_groups: sorted(options.security_groups.as_slice().to_vec()),
            associate_public_ip_address: options.associate_public_ip_address,
            instance_profile: options.instance_profile.as_ref().map(ToString::to_string),
            key_name: options.key_name.clone(),
            user_data: options.user_data.as_ref().map(|text| STANDARD.encode(text.expose())),
            metadata_options: Metadata {
                http_tokens: Some(metadata.http_tokens.as_str().to_owned()),
                http_put_response_hop_limit: Some(metadata.http_put_response_hop_limit),
                http_endpoint: on(metadata.http_endpoint),
                http_protocol_ipv6: metadata.http_protocol_ipv6.then_some("enabled".to_owned()),
                instance_metadata_tags: metadata.instance_metadata_tags.then_some("enabled".to_owned()),
            },
            block_device_mappings: devices,
            monitoring: options.monitoring,
            ebs_optimized: options.ebs_optimized,
            cpu_credits: options.cpu_credits.map(|credits| credits.as_str().to_owned()),
            cpu_options: options.cpu_options.clone(),
            placement: options.placement.clone().unwrap_or_default(),
            instance_initiated_shutdown_behavior: options
                .instance_initiated_shutdown_behavior
                .map(|behavior| behavior.as_str().to_owned()),
            disable_api_termination: options.disable_api_termination,
            disable_api_stop: options.disable_api_stop,
            enclave_options: options.enclave_options,
            hibernation_options: options.hibernation_options,
            auto_recovery: options.auto_recovery.map(|recovery| recovery.as_str().to_owned()),
            // Without the run: the same content from another run is the same content. Instances of a group get the
            // run from the group.
            tags: TAGGED.into_iter().map(|kind| (kind.to_owned(), owned.wanted.clone())).collect(),
        }
    }

    /// The content of a version, or `None` if it has something that these options cannot say.
    pub fn read(data: &ec2::ResponseLaunchTemplateData) -> Option<Self> {
        let mut rest = data.clone();
        let text = |value: Option<&str>| value.map(str::to_owned);
        let (mut groups, mut public) = (rest.security_group_ids.take().unwrap_or_default(), None);
        match rest.network_interfaces.take().unwrap_or_default().as_slice() {
            [] => {}
            [only] if is_ours(only) => {
                (groups, public) = (only.groups().to_vec(), only.associate_public_ip_address());
            }
            _ => return None,
        }
        let profile = rest.iam_instance_profile.take();
        let metadata = rest.metadata_options.take();
        let (placement, cpu) = (rest.placement.take(), rest.cpu_options.take());
        let placement = placement.map_or_else(Placement::default, |it| Placement {
            group_name: text(it.group_name()),
            tenancy: text(it.tenancy().map(ec2::Tenancy::as_str)),
        });
        let mut tags: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
        for of in rest.tag_specifications.take().unwrap_or_default() {
            // moto lists the template's own tags here.
            let kind = of.resource_type().filter(|kind| **kind != ResourceType::LaunchTemplate);
            let Some(kind) = kind else { continue };
            let mut given = crate::ops::ec2_tags::from_ec2(of.tags());
            given.remove(RUN_TAG);
            tags.insert(kind.as_str().to_owned(), given);
        }
        let content = Self {
            image_id: rest.image_id.take(),
            instance_type: rest.instance_type.take().map(|kind| kind.as_str().to_owned()),
            security_groups: sorted(groups),
            associate_public_ip_address: public,
            instance_profile: profile.and_then(|it| it.arn.or(it.name)),
            key_name: rest.key_name.take(),
            user_data: rest.user_data.take().filter(|text| !text.is_empty()),
            metadata_options: metadata.map_or_else(Metadata::default, |it| Metadata {
                http_tokens: text(it.http_tokens().map(|it| it.as_str())),
                http_put_response_hop_limit: it.http_put_response_hop_limit(),
                http_endpoint: text(it.http_endpoint().map(|it| it.as_str())),
                http_protocol_ipv6: text(it.http_protocol_ipv6().map(|it| it.as_str())).filter(enabled),
                instance_metadata_tags: text(it.instance_metadata_tags().map(|it| it.as_str())).filter(enabled),
            }),
            block_device_mappings: devices(&rest.block_device_mappings.take().unwrap_or_default())?,
            monitoring: rest.monitoring.take().and_then(|it| it.enabled).unwrap_or(false),
            ebs_optimized: rest.ebs_optimized.take(),
            cpu_credits: rest.credit_specification.take().and_then(|it| it.cpu_credits),
            cpu_options: cpu
                .and_then(|it| Some(CpuOptions { core_count: it.core_count?, threads_per_core: it.threads_per_core? })),
            placement,
            instance_initiated_shutdown_behavior: rest
                .instance_initiated_shutdown_behavior
                .take()
                .map(|it| it.as_str().to_owned()),
            disable_api_termination: rest.disable_api_termination.take().unwrap_or(false),
            disable_api_stop: rest.disable_api_stop.take().unwrap_or(false),
            enclave_options: rest.enclave_options.take().and_then(|it| it.enabled).unwrap_or(false),
            hibernation_options: rest.hibernation_options.take().and_then(|it| it.configured).unwrap_or(false),
            auto_recovery: rest
                .maintenance_options
                .take()
                .and_then(|it| it.auto_recovery)
                .map(|it| it.as_str().to_owned()),
            tags,
        };
        (without_empty_lists(rest) == ec2::ResponseLaunchTemplateData::builder().build()).then_some(content)
    }

    /// The content as a request has it.
    pub fn request(&self) -> ec2::RequestLaunchTemplateData {
        let metadata = &self.metadata_options;
        let metadata = ec2::LaunchTemplateInstanceMetadataOptionsRequest::builder()
            .set_http_tokens(metadata.http_tokens.as_deref().map(Into::into))
            .set_http_put_response_hop_limit(metadata.http_put_response_hop_limit)
            .set_http_endpoint(metadata.http_endpoint.as_deref().map(Into::into))
            .set_http_protocol_ipv6(metadata.http_protocol_ipv6.as_deref().map(Into::into))
            .set_instance_metadata_tags(metadata.instance_metadata_tags.as_deref().map(Into::into))
            .build();
        let mut data = ec2::RequestLaunchTemplateData::builder()
            .set_image_id(self.image_id.clone())
            .set_instance_type(self.instance_type.as_deref().map(Into::into))
            .set_key_name(self.key_name.clone())
            .set_user_data(self.user_data.clone())
            .metadata_options(metadata)
            .set_ebs_optimized(self.ebs_optimized)
            .set_instance_initiated_shutdown_behavior(
                self.instance_initiated_shutdown_behavior.as_deref().map(Into::into),
            )
            .set_disable_api_termination(self.disable_api_termination.then_some(true))
            .set_disable_api_stop(self.disable_api_stop.then_some(true));
        data = match self.associate_public_ip_address {
            Some(_) => {
                data.network_interfaces(interface(self.security_groups.clone(), self.associate_public_ip_address))
            }
            None => data.set_security_group_ids(Some(self.security_groups.clone()).filter(|groups| !groups.is_empty())),
        };
        if let Some(profile) = &self.instance_profile {
            let of = ec2::LaunchTemplateIamInstanceProfileSpecificationRequest::builder();
            let of = if profile.starts_with("arn:") { of.arn(profile) } else { of.name(profile) };
            data = data.iam_instance_profile(of.build());
        }
        if self.monitoring {
            data = data.monitoring(ec2::LaunchTemplatesMonitoringRequest::builder().enabled(true).build());
        }
        if let Some(credits) = &self.cpu_credits {
            let credits = ec2::CreditSpecificationRequest::builder().cpu_credits(credits).build();
            data = data.credit_specification(credits);
        }
        if let Some(CpuOptions { core_count, threads_per_core }) = self.cpu_options {
            let cpu = ec2::LaunchTemplateCpuOptionsRequest::builder();
            data = data.cpu_options(cpu.core_count(core_count).threads_per_core(threads_per_core).build());
        }
        if self.placement != Placement::default() {
            let placement = ec2::LaunchTemplatePlacementRequest::builder()
                .set_group_name(self.placement.group_name.clone())
                .set_tenancy(self.placement.tenancy.as_deref().map(Into::into));
            data = data.placement(placement.build());
        }
        if self.enclave_options {
            data = data.enclave_options(ec2::LaunchTemplateEnclaveOptionsRequest::builder().enabled(true).build());
        }
        if self.hibernation_options {
            let hibernation = ec2::LaunchTemplateHibernationOptionsRequest::builder().configured(true);
            data = data.hibernation_options(hibernation.build());
        }
        if let Some(recovery) = &self.auto_recovery {
            let maintenance = ec2::LaunchTemplateInstanceMaintenanceOptionsRequest::builder();
            data = data.maintenance_options(maintenance.auto_recovery(recovery.as_str().into()).build());
        }
        for (name, device) in &self.block_device_mappings {
            let mapping =
                ec2::LaunchTemplateBlockDeviceMappingRequest::builder().device_name(name).ebs(device.request());
            data = data.block_device_mappings(mapping.build());
        }
        for (kind, tags) in &self.tags {
            let tags = tags.iter().map(|(key, value)| ec2::Tag::builder().key(key).value(value).build()).collect();
            let of = ec2::LaunchTemplateTagSpecificationRequest::builder().resource_type(kind.as_str().into());
            data = data.tag_specifications(of.set_tags(Some(tags)).build());
        }
        data.build()
    }

    /// What differs from `before`, for the progress line. Of user data that was marked as a secret nothing is shown, nor of
    /// what was there before: it may have been one too.
    pub fn differences(&self, before: Option<&Self>, secret_user_data: bool) -> Vec<Field> {
        let members = |content: &Self| json!(content).as_object().cloned().unwrap_or_default();
        let mut differences = outcome::differences(&before.map(members).unwrap_or_default(), &members(self));
        if before.is_some_and(|before| before.user_data != self.user_data) {
            differences.push(match before {
                Some(before) if !secret_user_data => {
                    let (old, new) = user_data::both_shown(before.user_data.as_deref(), self.user_data.as_deref());
                    changed("user_data", old, new)
                }
                _ => changed("user_data", "(not shown)", "(changed)"),
            });
        }
        differences
    }
}

impl Device {
    fn wanted(mapping: &BlockDeviceMapping, key: Option<&String>) -> Self {
        Self {
            volume_size: mapping.volume_size,
            volume_type: Some(mapping.volume_type.as_str().to_owned()),
            iops: mapping.iops,
            throughput: mapping.throughput,
            encrypted: Some(mapping.encrypted),
            kms_key_id: mapping.kms_key_id.clone().or_else(|| key.cloned().filter(|_| mapping.encrypted)),
            snapshot_id: mapping.snapshot_id.clone(),
            delete_on_termination: Some(mapping.delete_on_termination),
        }
    }

    fn request(&self) -> ec2::LaunchTemplateEbsBlockDeviceRequest {
        ec2::LaunchTemplateEbsBlockDeviceRequest::builder()
            .set_volume_size(self.volume_size)
            .set_volume_type(self.volume_type.as_deref().map(Into::into))
            .set_iops(self.iops)
            .set_throughput(self.throughput)
            .set_encrypted(self.encrypted)
            .set_kms_key_id(self.kms_key_id.clone())
            .set_snapshot_id(self.snapshot_id.clone())
            .set_delete_on_termination(self.delete_on_termination)
            .build()
    }
}

/// The one interface that is written when public addresses are asked for: EC2 takes them, and then the groups, there.
fn interface(
    groups: Vec<String>,
    public: Option<bool>,
) -> ec2::LaunchTemplateInstanceNetworkInterfaceSpecificationRequest {
    ec2::LaunchTemplateInstanceNetworkInterfaceSpecificationRequest::builder()
        .device_index(0)
        .set_associate_public_ip_address(public)
        .set_groups(Some(groups))
        .delete_on_termination(true)
        .build()
}

/// Whether the interface is one that [`interface`] writes.
fn is_ours(found: &ec2::LaunchTemplateInstanceNetworkInterfaceSpecification) -> bool {
    let mut found = found.clone();
    drop_empty(&mut found.ipv4_prefixes);
    drop_empty(&mut found.ipv6_addresses);
    drop_empty(&mut found.ipv6_prefixes);
    drop_empty(&mut found.private_ip_addresses);
    let ours = ec2::LaunchTemplateInstanceNetworkInterfaceSpecification::builder()
        .device_index(0)
        .set_associate_public_ip_address(found.associate_public_ip_address)
        .set_groups(found.groups.clone())
        .delete_on_termination(true);
    found == ours.build()
}

fn devices(mappings: &[ec2::LaunchTemplateBlockDeviceMapping]) -> Option<BTreeMap<String, Device>> {
    let one = |mapping: &ec2::LaunchTemplateBlockDeviceMapping| {
        let ebs = mapping.ebs().filter(|_| mapping.no_device().is_none() && mapping.virtual_name().is_none())?;
        let device = Device {
            volume_size: ebs.volume_size(),
            volume_type: ebs.volume_type().map(|kind| kind.as_str().to_owned()),
            iops: ebs.iops(),
            throughput: ebs.throughput(),
            encrypted: ebs.encrypted(),
            kms_key_id: ebs.kms_key_id().map(str::to_owned),
            snapshot_id: ebs.snapshot_id().map(str::to_owned),
            delete_on_termination: ebs.delete_on_termination(),
        };
        Some((mapping.device_name()?.to_owned(), device))
    };
    mappings.iter().map(one).collect()
}

fn enabled(word: &String) -> bool {
    word == "enabled"
}

fn sorted(mut list: Vec<String>) -> Vec<String> {
    list.sort();
    list
}

/// Replies have empty lists where nothing was said.
fn without_empty_lists(mut data: ec2::ResponseLaunchTemplateData) -> ec2::ResponseLaunchTemplateData {
    drop_empty(&mut data.elastic_gpu_specifications);
    drop_empty(&mut data.elastic_inference_accelerators);
    drop_empty(&mut data.license_specifications);
    drop_empty(&mut data.secondary_interfaces);
    drop_empty(&mut data.security_groups);
    data
}

fn drop_empty<T>(list: &mut Option<Vec<T>>) {
    *list = list.take().filter(|list| !list.is_empty());
}

/// The content of a version that a describe returned.
///
/// # Errors
/// If the reply has no data.
pub fn of_version(version: &ec2::LaunchTemplateVersion) -> Result<Option<Content>, Error> {
    let data = version.launch_template_data();
    let data: ec2::ResponseLaunchTemplateData =
        require("ec2:DescribeLaunchTemplateVersions", "launchTemplateData", data.cloned())?;
    Ok(Content::read(&data))
}
