//! Versions of launch templates: what instances are made of. A version never changes.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::launch_template::{self, LaunchTemplate};
use super::*;
use crate::sim::wire::time;

pub const ACTIONS: &[Action] = &[
    Action {
        name: "CreateLaunchTemplateVersion",
        params: &["LaunchTemplateId LaunchTemplateName SourceVersion VersionDescription ClientToken", DATA],
        run: create_launch_template_version,
    },
    Action {
        name: "DescribeLaunchTemplateVersions",
        params: &["LaunchTemplateId LaunchTemplateName LaunchTemplateVersion[] MinVersion MaxVersion", PAGES],
        run: describe_launch_template_versions,
    },
    Action {
        name: "DeleteLaunchTemplateVersions",
        params: &["LaunchTemplateId LaunchTemplateName LaunchTemplateVersion[]"],
        run: delete_launch_template_versions,
    },
];

/// What of the launch template data is modelled: kept, returned, and used at launch.
pub const DATA: &str = "
    LaunchTemplateData.BlockDeviceMapping[].DeviceName
    LaunchTemplateData.BlockDeviceMapping[].Ebs.DeleteOnTermination
    LaunchTemplateData.BlockDeviceMapping[].Ebs.Encrypted
    LaunchTemplateData.BlockDeviceMapping[].Ebs.Iops
    LaunchTemplateData.BlockDeviceMapping[].Ebs.KmsKeyId
    LaunchTemplateData.BlockDeviceMapping[].Ebs.SnapshotId
    LaunchTemplateData.BlockDeviceMapping[].Ebs.Throughput
    LaunchTemplateData.BlockDeviceMapping[].Ebs.VolumeSize
    LaunchTemplateData.BlockDeviceMapping[].Ebs.VolumeType
    LaunchTemplateData.BlockDeviceMapping[].NoDevice
    LaunchTemplateData.BlockDeviceMapping[].VirtualName
    LaunchTemplateData.CapacityReservationSpecification.CapacityReservationPreference
    LaunchTemplateData.CpuOptions.CoreCount
    LaunchTemplateData.CpuOptions.ThreadsPerCore
    LaunchTemplateData.CreditSpecification.CpuCredits
    LaunchTemplateData.DisableApiStop
    LaunchTemplateData.DisableApiTermination
    LaunchTemplateData.EbsOptimized
    LaunchTemplateData.EnclaveOptions.Enabled
    LaunchTemplateData.HibernationOptions.Configured
    LaunchTemplateData.IamInstanceProfile.Arn
    LaunchTemplateData.IamInstanceProfile.Name
    LaunchTemplateData.ImageId
    LaunchTemplateData.InstanceInitiatedShutdownBehavior
    LaunchTemplateData.InstanceMarketOptions.MarketType
    LaunchTemplateData.InstanceMarketOptions.SpotOptions.MaxPrice
    LaunchTemplateData.InstanceType
    LaunchTemplateData.KeyName
    LaunchTemplateData.MaintenanceOptions.AutoRecovery
    LaunchTemplateData.MetadataOptions.HttpEndpoint
    LaunchTemplateData.MetadataOptions.HttpProtocolIpv6
    LaunchTemplateData.MetadataOptions.HttpPutResponseHopLimit
    LaunchTemplateData.MetadataOptions.HttpTokens
    LaunchTemplateData.MetadataOptions.InstanceMetadataTags
    LaunchTemplateData.Monitoring.Enabled
    LaunchTemplateData.NetworkInterface[].AssociatePublicIpAddress
    LaunchTemplateData.NetworkInterface[].DeleteOnTermination
    LaunchTemplateData.NetworkInterface[].Description
    LaunchTemplateData.NetworkInterface[].DeviceIndex
    LaunchTemplateData.NetworkInterface[].SecurityGroupId[]
    LaunchTemplateData.Placement.GroupName
    LaunchTemplateData.Placement.Tenancy
    LaunchTemplateData.PrivateDnsNameOptions.EnableResourceNameDnsAAAARecord
    LaunchTemplateData.PrivateDnsNameOptions.EnableResourceNameDnsARecord
    LaunchTemplateData.PrivateDnsNameOptions.HostnameType
    LaunchTemplateData.SecurityGroupId[]
    LaunchTemplateData.TagSpecification[].ResourceType
    LaunchTemplateData.TagSpecification[].Tag[].Key
    LaunchTemplateData.TagSpecification[].Tag[].Value
    LaunchTemplateData.UserData
";

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Version {
    pub number: u64,
    pub description: Option<String>,
    pub created: jiff::Timestamp,
    /// In the names of requests.
    pub data: Params,
    /// In AWS's own words, where it was read and `data` does not say it all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shown: Option<Value>,
}

impl Version {
    fn view(&self, tx: &Tx, template: &LaunchTemplate) -> Value {
        json!({
            "launchTemplateId": template.id,
            "launchTemplateName": template.name,
            "versionNumber": self.number,
            "versionDescription": self.description,
            "createTime": time(self.created),
            "createdBy": tx.global_arn("iam", "root"),
            "defaultVersion": self.number == template.default_version,
            "launchTemplateData": self.shown.clone().unwrap_or_else(|| in_reply("", &self.data.0)),
        })
    }

    /// The inverse of `view`.
    fn read(shown: &Params) -> Version {
        let told = shown.get("launchTemplateData").cloned().unwrap_or_else(|| json!({}));
        let data = in_request("", &told);
        Version {
            number: u64::try_from(shown.number("versionNumber", 1)).unwrap_or(1),
            description: optional(shown, "versionDescription"),
            created: shown.time("createTime"),
            shown: Some(told).filter(|told| in_reply("", &data) != *told),
            data: Params(data),
        }
    }
}

/// Reads all versions of a template.
pub fn load(reader: &Reader, template: &str) -> Result<BTreeMap<u64, Version>, AwsError> {
    let params = json!({ "LaunchTemplateId": template, "MaxResults": 200 });
    let shown = reader.pages("ec2", "DescribeLaunchTemplateVersions", params, "launchTemplateVersionSet", TOKEN)?;
    Ok(shown.iter().map(Version::read).map(|version| (version.number, version)).collect())
}

/// Replies have their own names: small, and lists are `…Set`. Source: botocore's model, `RequestLaunchTemplateData`
/// beside `ResponseLaunchTemplateData`.
fn in_reply(within: &str, value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let renamed = fields.iter().map(|(name, value)| (name_in_reply(within, name), in_reply(name, value)));
            Value::Object(renamed.collect())
        }
        Value::Array(elements) => elements.iter().map(|element| in_reply(within, element)).collect(),
        _ => value.clone(),
    }
}

fn name_in_reply(within: &str, name: &str) -> String {
    match name {
        "SecurityGroupId" if within == "NetworkInterface" => return "groupSet".to_owned(),
        _ => {}
    }
    let Some(first) = name.chars().next() else { return String::new() };
    let set = if LISTS.contains(&name) { "Set" } else { "" };
    format!("{}{}{set}", first.to_lowercase(), &name[first.len_utf8()..])
}

const LISTS: &[&str] = &["BlockDeviceMapping", "NetworkInterface", "SecurityGroupId", "TagSpecification", "Tag"];

/// The inverse of [`in_reply`]: what is not modelled gets the name it would most likely have.
fn in_request(within: &str, value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let renamed = fields.iter().filter(|(_, value)| !value.is_null());
            let renamed = renamed.map(|(name, value)| (name_in_request(within, name), in_request(name, value)));
            Value::Object(renamed.collect())
        }
        Value::Array(elements) => elements.iter().map(|element| in_request(within, element)).collect(),
        _ => value.clone(),
    }
}

fn name_in_request(within: &str, name: &str) -> String {
    if within == "networkInterfaceSet" && name == "groupSet" {
        return "SecurityGroupId".to_owned();
    }
    let name = name.strip_suffix("Set").unwrap_or(name);
    let Some(first) = name.chars().next() else { return String::new() };
    format!("{}{}", first.to_uppercase(), &name[first.len_utf8()..])
}

/// The data of a request, as far as EC2 looks at it before an instance is launched.
pub fn read(p: &Params) -> Result<Params, AwsError> {
    let data = Params(p.get("LaunchTemplateData").cloned().ok_or_else(|| AwsError::missing("LaunchTemplateData"))?);
    if let Some(text) = data.opt_str("UserData") {
        let decoded = STANDARD
            .decode(text)
            .map_err(|_| AwsError::new("InvalidUserData.Malformed", "Invalid BASE64 encoding of user data."))?;
        if decoded.len() > 16 * 1024 {
            return Err(AwsError::new("InvalidParameterValue", "User data is limited to 16384 bytes"));
        }
    }
    if let Some(hops) = data.opt_int("MetadataOptions.HttpPutResponseHopLimit")?
        && !(1..=64).contains(&hops)
    {
        return Err(AwsError::invalid("HttpPutResponseHopLimit", hops, "Expecting a value between 1 and 64."));
    }
    for specification in data.list("TagSpecification") {
        let kind = specification.str("ResourceType")?;
        if !["instance", "volume", "network-interface", "spot-instances-request", "elastic-gpu"].contains(&kind) {
            let message = format!("'{kind}' is not a valid taggable resource type.");
            return Err(AwsError::new("InvalidParameterValue", message));
        }
        tags::read(&specification.list("Tag"))?;
    }
    Ok(data)
}

fn create_launch_template_version(tx: &mut Tx, p: &Params) -> Reply {
    tx.once(p, "ClientToken", TOKEN_LIFE, |tx| {
        let template = launch_template::named(tx, p)?;
        let id = template.id.clone();
        let mut data = read(p)?;
        if let Some(source) = p.opt_str("SourceVersion") {
            // What is not given comes from the source, field by field of the first level.
            let mut merged = template.version(source)?.data.clone();
            if let (Some(merged), Some(given)) = (merged.0.as_object_mut(), data.0.as_object()) {
                merged.extend(given.clone());
            }
            data = merged;
        }
        let now = tx.now;
        let template = tx.get_mut::<LaunchTemplate>(&id)?;
        let version = template.add(now, p.opt_str("VersionDescription"), data);
        let template = tx.get::<LaunchTemplate>(&id)?;
        Ok(json!({ "launchTemplateVersion": version.view(tx, template) }))
    })
}

fn describe_launch_template_versions(tx: &mut Tx, p: &Params) -> Reply {
    let wanted = p.strings("LaunchTemplateVersion");
    let template = match (p.has("LaunchTemplateId"), p.has("LaunchTemplateName")) {
        (false, false) if wanted.is_empty() => {
            let message = "Either the launch template ID, the launch template name or the versions must be specified.";
            return Err(AwsError::new("MissingParameter", message));
        }
        (false, false) => {
            // The latest or default versions of all templates.
            let templates = tx.select::<LaunchTemplate>(&[])?;
            let of = |template: &&LaunchTemplate| {
                // A list does not show the versions.
                let template = tx.get::<LaunchTemplate>(&template.id)?;
                let found =
                    wanted.iter().map(|wanted| template.version(wanted).map(|version| version.view(tx, template)));
                found.collect::<Result<Vec<_>, _>>()
            };
            let set = templates.iter().map(of).collect::<Vec<Result<Vec<_>, AwsError>>>();
            let set = set.into_iter().collect::<Result<Vec<_>, _>>()?.concat();
            return Ok(json!({ "launchTemplateVersionSet": set }));
        }
        _ => launch_template::named(tx, p)?,
    };
    let bound = |name| p.opt_int(name).map(|bound| bound.and_then(|bound| u64::try_from(bound).ok()));
    let (low, high) = (bound("MinVersion")?.unwrap_or(0), bound("MaxVersion")?.unwrap_or(u64::MAX));
    let mut versions: Vec<&Version> = if wanted.is_empty() {
        template.versions.range(low..=high).map(|(_, version)| version).collect()
    } else {
        wanted.iter().map(|wanted| template.version(wanted)).collect::<Result<_, _>>()?
    };
    // Newest first, so pages go downwards.
    versions.sort_by_key(|version| std::cmp::Reverse(version.number));
    versions.dedup_by_key(|version| version.number);
    let keyed: Vec<(String, &Version)> =
        versions.into_iter().map(|version| (format!("{:020}", u64::MAX - version.number), version)).collect();
    let paging = Paging { default: 200, sizes: 1..=200, ..PAGING };
    let (versions, next) = select::page(&paging, p, keyed, |(key, _)| key)?;
    let set: Vec<Value> = versions.into_iter().map(|(_, version)| version.view(tx, template)).collect();
    Ok(json!({ "launchTemplateVersionSet": set, "nextToken": next }))
}

fn delete_launch_template_versions(tx: &mut Tx, p: &Params) -> Reply {
    let wanted = p.strings("LaunchTemplateVersion");
    if wanted.is_empty() {
        return Err(AwsError::missing("LaunchTemplateVersion"));
    }
    let template = launch_template::named(tx, p)?;
    let (id, name, default) = (template.id.clone(), template.name.clone(), template.default_version);
    let (mut deleted, mut kept) = (Vec::new(), Vec::new());
    for number in wanted {
        let known = number.parse::<u64>().ok().filter(|number| template.versions.contains_key(number));
        let item = json!({ "launchTemplateId": id, "launchTemplateName": name, "versionNumber": number });
        let refused = match known {
            None => Some(("launchTemplateVersionDoesNotExist", format!("Version {number} does not exist."))),
            Some(number) if number == default => {
                Some(("unexpectedError", "The default version of a launch template cannot be deleted.".to_owned()))
            }
            Some(_) => None,
        };
        match refused {
            None => deleted.push(item),
            Some((code, message)) => {
                let mut item = item;
                item["responseError"] = json!({ "code": code, "message": message });
                kept.push(item);
            }
        }
    }
    let template = tx.get_mut::<LaunchTemplate>(&id)?;
    for number in deleted.iter().filter_map(|item| item["versionNumber"].as_str()?.parse::<u64>().ok()) {
        template.versions.remove(&number);
    }
    Ok(json!({
        "successfullyDeletedLaunchTemplateVersionSet": deleted,
        "unsuccessfullyDeletedLaunchTemplateVersionSet": kept,
    }))
}
