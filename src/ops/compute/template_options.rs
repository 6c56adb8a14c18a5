//! What an instance is made of, as a runbook says it: the options that `ensure_launch_template` and
//! `compare_launch_template` share.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Image;
use crate::ops::{Error, IdOf, IdsOf, Sensitive, Tags, identity::InstanceProfile, network::SecurityGroup};

/// Makes sure that the stack has a launch template of this name, with a version of exactly this content. A version that
/// has it already is used, whatever its number; else a new one is made. Its number is in the handle: what is launched
/// later does not change when somebody else adds a version.
///
/// Usual are: version 2 of the instance metadata service, and encrypted gp3 volumes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EnsureLaunchTemplate {
    /// What the stack calls it; AWS shows `<stack>-<name>`.
    pub(super) name: String,
    /// The image.
    pub(super) image_id: IdOf<Image>,
    /// The instance type, `t3.small`.
    pub(super) instance_type: String,
    /// The security groups of the instances; the VPC's default group if none is named.
    #[serde(default)]
    pub(super) security_groups: IdsOf<SecurityGroup>,
    /// Whether instances get a public address; if not said, their subnet decides.
    pub(super) associate_public_ip_address: Option<bool>,
    /// The instance profile: a handle, a name or an ARN.
    pub(super) instance_profile: Option<IdOf<InstanceProfile>>,
    /// The EC2 key pair for SSH.
    pub(super) key_name: Option<String>,
    /// The script or cloud-init document that runs at the first start, as plain text of at most 16 KiB.
    pub(super) user_data: Option<Sensitive>,
    /// The instance metadata service.
    #[serde(default)]
    pub(super) metadata_options: MetadataOptions,
    /// Volumes. Without an entry for the root device the image's size is taken. All are encrypted gp3 volumes that go with
    /// their instance, unless said otherwise.
    #[serde(default)]
    pub(super) block_device_mappings: Vec<BlockDeviceMapping>,
    /// The KMS key of all volumes that do not name one; the account's default key if not said.
    pub(super) kms_key_id: Option<String>,
    /// Detailed monitoring: a data point each minute.
    #[serde(default)]
    pub(super) monitoring: bool,
    /// Bandwidth of its own for volumes; if not said, as is usual for the instance type.
    pub(super) ebs_optimized: Option<bool>,
    /// CPU credits of burstable types: `standard` or `unlimited`.
    pub(super) cpu_credits: Option<CpuCredits>,
    /// Cores and threads.
    pub(super) cpu_options: Option<CpuOptions>,
    /// Where instances are placed.
    pub(super) placement: Option<Placement>,
    /// What a shutdown from inside does: `stop` (usual) or `terminate`.
    pub(super) instance_initiated_shutdown_behavior: Option<ShutdownBehavior>,
    /// Refuses to terminate instances through the EC2 API. Auto Scaling terminates them all the same.
    #[serde(default)]
    pub(super) disable_api_termination: bool,
    /// Refuses to stop instances through the EC2 API.
    #[serde(default)]
    pub(super) disable_api_stop: bool,
    /// Nitro Enclaves.
    #[serde(default)]
    pub(super) enclave_options: bool,
    /// Whether instances can hibernate.
    #[serde(default)]
    pub(super) hibernation_options: bool,
    /// Automatic recovery from hardware faults: `default` or `disabled`.
    pub(super) auto_recovery: Option<AutoRecovery>,
    /// What a new version is described as.
    pub(super) version_description: Option<String>,
    /// Also makes the version the template's default, for those who launch from it by hand.
    #[serde(default)]
    pub(super) set_default_version: bool,
    /// More tags, for the template, its instances and their volumes.
    #[serde(default)]
    pub(super) tags: Tags,
    /// Takes over a template of this name that the stack does not own.
    #[serde(default)]
    pub(super) adopt: bool,
    /// Leaves the template or version in place when the run is rolled back.
    #[serde(default)]
    pub(super) keep_on_rollback: bool,
}

/// Says whether a launch template has a version of exactly this content, and which one. Takes the options of
/// `ensure_launch_template`; nothing is changed.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(transparent)]
pub struct CompareLaunchTemplate(pub(super) EnsureLaunchTemplate);

/// The instance metadata service.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MetadataOptions {
    /// `required`: version 2 only. `optional`: version 1 too.
    pub(super) http_tokens: HttpTokens,
    /// How many network hops replies go, 1 to 64. 2 lets containers reach it, 1 does not.
    pub(super) http_put_response_hop_limit: i32,
    /// Whether it answers at all.
    pub(super) http_endpoint: bool,
    /// Whether it answers on IPv6 too.
    pub(super) http_protocol_ipv6: bool,
    /// Whether it shows the instance's tags.
    pub(super) instance_metadata_tags: bool,
}

impl Default for MetadataOptions {
    fn default() -> Self {
        Self {
            http_tokens: HttpTokens::Required,
            http_put_response_hop_limit: 2,
            http_endpoint: true,
            http_protocol_ipv6: false,
            instance_metadata_tags: false,
        }
    }
}

/// One volume.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BlockDeviceMapping {
    /// The device; the image's root device if not said.
    pub(super) device_name: Option<String>,
    /// GiB; for the root device, the image's size if not said.
    pub(super) volume_size: Option<i32>,
    /// The type.
    #[serde(default)]
    pub(super) volume_type: VolumeType,
    /// Operations a second, for io1, io2 and gp3.
    pub(super) iops: Option<i32>,
    /// MiB a second, for gp3.
    pub(super) throughput: Option<i32>,
    /// Encryption.
    #[serde(default = "yes")]
    pub(super) encrypted: bool,
    /// The KMS key; that of `kms_key_id` above, or the account's default key.
    pub(super) kms_key_id: Option<String>,
    /// The snapshot it begins as.
    pub(super) snapshot_id: Option<String>,
    /// Whether it goes with its instance.
    #[serde(default = "yes")]
    pub(super) delete_on_termination: bool,
}

/// Cores and threads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CpuOptions {
    pub core_count: i32,
    /// 1 switches hyper-threading off.
    pub threads_per_core: i32,
}

/// Where instances are placed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Placement {
    /// A placement group.
    pub group_name: Option<String>,
    /// `default`, `dedicated` or `host`.
    pub tenancy: Option<String>,
}

/// Words of AWS, as options and as AWS writes them.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$default:ident])? $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
        pub enum $name {
            $($(#[$default])? #[serde(rename = $word)] $variant),+
        }

        impl $name {
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word),+
                }
            }
        }
    };
}
pub(in crate::ops) use words;

words!(HttpTokens { Required = "required", Optional = "optional" });
words!(#[derive(Default)] VolumeType {
    #[default] Gp3 = "gp3", Gp2 = "gp2", Io1 = "io1", Io2 = "io2", St1 = "st1", Sc1 = "sc1", Standard = "standard",
});
words!(CpuCredits { Standard = "standard", Unlimited = "unlimited" });
words!(ShutdownBehavior { Stop = "stop", Terminate = "terminate" });
words!(AutoRecovery { Default = "default", Disabled = "disabled" });

fn yes() -> bool {
    true
}

impl EnsureLaunchTemplate {
    /// What needs no AWS to be wrong.
    pub(super) fn check(&self) -> Result<(), Error> {
        let hops = self.metadata_options.http_put_response_hop_limit;
        if !(1..=64).contains(&hops) {
            let message = format!("expected 1 to 64, found {hops}");
            return Err(Error::option("metadata_options.http_put_response_hop_limit", message));
        }
        // The limit is EC2's, before encoding.
        if let Some(size) = self.user_data.as_ref().map(|text| text.expose().len()).filter(|size| *size > 16 * 1024) {
            return Err(Error::option("user_data", format!("expected at most 16384 bytes, found {size}")));
        }
        let mut seen = Vec::new();
        for (index, mapping) in self.block_device_mappings.iter().enumerate() {
            let path = |field: &str| format!("block_device_mappings[{index}].{field}");
            if seen.contains(&&mapping.device_name) {
                return Err(Error::option(path("device_name"), "another entry has this device"));
            }
            seen.push(&mapping.device_name);
            if mapping.kms_key_id.is_some() && !mapping.encrypted {
                return Err(Error::option(path("kms_key_id"), "a volume with a key is encrypted"));
            }
            if mapping.throughput.is_some() && mapping.volume_type != VolumeType::Gp3 {
                return Err(Error::option(path("throughput"), "only gp3 volumes have it"));
            }
        }
        Ok(())
    }
}
