//! The one list of operations, undos and look-ups. Registration, documentation, completion and
//! checks all read it.

use schemars::{Schema, SchemaGenerator, generate::SchemaSettings};
use serde_json::Value;

use super::{
    Error, Kind, Operation, Pending,
    compute::{
        asg, asg_hooks, asg_metrics, asg_options, asg_policies, asg_settings, asg_targets, drain,
        ensure_launch_template, find_asg, find_image, launch_asg, retire_asg, scale_asg, sizes, template_options,
    },
    ec2_tags,
    identity::{self, ensure_instance_profile, ensure_policy, ensure_role},
    load_balancing::{
        self as lb, ensure_listener, ensure_listener_rule, ensure_load_balancer, ensure_target_group, find_listener,
        find_load_balancer, find_target_group,
    },
    network::{ensure_internet_gateway, ensure_subnets, ensure_vpc, find_subnets, find_vpc},
    traffic::{self, attach_target_group, read_traffic, shift_traffic, swap_listener, wait_healthy},
};
use crate::run::{Ctx, LookUp, UndoAction};

/// All operations, in the order in which the reference lists them.
pub const OPERATIONS: &[Entry] = &[
    Entry::of::<ensure_vpc::EnsureVpc>(),
    Entry::of::<ensure_subnets::EnsureSubnets>(),
    Entry::of::<ensure_internet_gateway::EnsureInternetGateway>(),
    Entry::of::<find_vpc::FindVpc>(),
    Entry::of::<find_subnets::FindSubnets>(),
    Entry::of::<ensure_role::EnsureRole>(),
    Entry::of::<ensure_policy::EnsurePolicy>(),
    Entry::of::<ensure_instance_profile::EnsureInstanceProfile>(),
    Entry::of::<ensure_load_balancer::EnsureLoadBalancer>(),
    Entry::of::<ensure_target_group::EnsureTargetGroup>(),
    Entry::of::<ensure_listener::EnsureListener>(),
    Entry::of::<ensure_listener_rule::EnsureListenerRule>(),
    Entry::of::<find_load_balancer::FindLoadBalancer>(),
    Entry::of::<find_listener::FindListener>(),
    Entry::of::<find_target_group::FindTargetGroup>(),
    Entry::of::<read_traffic::ReadTraffic>(),
    Entry::of::<attach_target_group::AttachTargetGroup>(),
    Entry::of::<wait_healthy::WaitHealthy>(),
    Entry::of::<shift_traffic::ShiftTraffic>(),
    Entry::of::<swap_listener::SwapListener>(),
    Entry::of::<find_image::FindImage>(),
    Entry::of::<template_options::EnsureLaunchTemplate>(),
    Entry::of::<template_options::CompareLaunchTemplate>(),
    Entry::of::<asg_options::LaunchAsg>(),
    Entry::of::<scale_asg::ScaleAsg>(),
    Entry::of::<retire_asg::RetireAsg>(),
    Entry::of::<find_asg::FindAsg>(),
];

/// All undos: how the journal's undo records find their code.
pub const UNDOS: &[&UndoAction] = &[
    &ec2_tags::RESTORE_TAGS,
    &ensure_vpc::DELETE_VPC,
    &ensure_vpc::RESTORE_VPC_ATTRIBUTE,
    &ensure_subnets::DELETE_SUBNET,
    &ensure_subnets::RESTORE_MAP_PUBLIC_IP,
    &ensure_internet_gateway::DETACH_INTERNET_GATEWAY,
    &ensure_internet_gateway::DELETE_INTERNET_GATEWAY,
    &ensure_role::DELETE_ROLE,
    &identity::RESTORE_ROLE,
    &identity::tags::RESTORE_ROLE_TAGS,
    &ensure_policy::DELETE_POLICY,
    &ensure_policy::RESTORE_POLICY_VERSION,
    &ensure_policy::RECREATE_POLICY_VERSION,
    &identity::tags::RESTORE_POLICY_TAGS,
    &ensure_instance_profile::DELETE_INSTANCE_PROFILE,
    &ensure_instance_profile::RESTORE_PROFILE_ROLE,
    &identity::tags::RESTORE_PROFILE_TAGS,
    &lb::tags::RESTORE_TAGS,
    &lb::attributes::RESTORE_ATTRIBUTES,
    &lb::placement::RESTORE_PLACEMENT,
    &lb::RESTORE_HEALTH_CHECK,
    &lb::route::RESTORE_ACTION,
    &lb::certificates::REMOVE_LISTENER_CERTIFICATES,
    &lb::listener_settings::RESTORE_LISTENER,
    &lb::rule_settings::RESTORE_CONDITIONS,
    &lb::rule_settings::RESTORE_PRIORITY,
    &ensure_load_balancer::DELETE_LOAD_BALANCER,
    &ensure_target_group::DELETE_TARGET_GROUP,
    &ensure_listener::DELETE_LISTENER,
    &ensure_listener_rule::DELETE_RULE,
    &attach_target_group::DETACH_TARGET_GROUP,
    &traffic::weights::RESTORE_WEIGHTS,
    &ensure_launch_template::DELETE_LAUNCH_TEMPLATE,
    &ensure_launch_template::DELETE_LAUNCH_TEMPLATE_VERSION,
    &ensure_launch_template::RESTORE_DEFAULT_VERSION,
    &drain::DELETE_GROUP,
    &asg::RESTORE_GROUP_TAGS,
    &asg_settings::RESTORE_SETTINGS,
    &asg_hooks::RESTORE_HOOK,
    &asg_metrics::RESTORE_METRICS,
    &asg_policies::RESTORE_POLICY,
    &asg_targets::RESTORE_TARGET_GROUPS,
    &sizes::RESTORE_SIZES,
    &scale_asg::UNPIN,
];

/// All look-ups: how a call whose reply was lost is found again.
pub const LOOK_UPS: &[&LookUp] = &[
    &ensure_vpc::VPC_BY_NAME,
    &ensure_subnets::SUBNET_BY_NAME,
    &ensure_internet_gateway::INTERNET_GATEWAY_BY_NAME,
    &ensure_internet_gateway::INTERNET_GATEWAY_ATTACHED,
    &ensure_role::ROLE_BY_NAME,
    &ensure_policy::POLICY_BY_ARN,
    &ensure_policy::NEW_POLICY_VERSION,
    &ensure_instance_profile::INSTANCE_PROFILE_BY_NAME,
    &ensure_instance_profile::ROLE_IN_PROFILE,
    &ensure_load_balancer::LOAD_BALANCER_BY_NAME,
    &ensure_target_group::TARGET_GROUP_BY_NAME,
    &ensure_listener::LISTENER_ON_PORT,
    &ensure_listener_rule::RULE_BY_NAME,
    &launch_asg::GROUP_BY_NAME,
];

/// An operation with its types taken off.
pub struct Entry {
    pub name: &'static str,
    pub area: &'static str,
    pub positional: Option<&'static str>,
    pub example: &'static str,
    /// The kind of handle it returns.
    pub returns: &'static str,
    /// The JSON schema of its options, with the doc comments in it.
    pub schema: fn() -> Schema,
    /// Decodes the options. Fails with [`Error::Option`] without doing anything.
    pub prepare: fn(Value) -> Result<Prepared, Error>,
}

/// A call of an operation whose options were understood.
pub struct Prepared {
    pub subject: String,
    pub run: Start,
}

/// Begins the prepared work.
pub type Start = Box<dyn for<'a> FnOnce(&'a Ctx) -> Pending<'a, Value>>;

impl Entry {
    /// The entry of operation `O`.
    pub const fn of<O: Operation>() -> Self {
        Self {
            name: O::NAME,
            area: O::AREA,
            positional: O::POSITIONAL,
            example: O::EXAMPLE,
            returns: O::Handle::KIND,
            schema: || {
                let settings = SchemaSettings::draft2020_12().with(|s| s.inline_subschemas = true);
                SchemaGenerator::new(settings).into_root_schema_for::<O::Options>()
            },
            prepare: prepare::<O>,
        }
    }
}

/// The operation of that name.
pub fn find(name: &str) -> Option<&'static Entry> {
    OPERATIONS.iter().find(|entry| entry.name == name)
}

fn prepare<O: Operation>(options: Value) -> Result<Prepared, Error> {
    let options: O::Options = serde_path_to_error::deserialize(options).map_err(|error| {
        let path = error.path().to_string();
        Error::option(if path == "." { String::new() } else { path }, error.inner().to_string())
    })?;
    Ok(Prepared {
        subject: O::subject(&options),
        run: Box::new(move |ctx| {
            Box::pin(async move {
                let handle = O::run(ctx, options).await?;
                let value = serde_json::to_value(handle);
                Ok(value.expect("a handle is a struct of plain data"))
            })
        }),
    })
}
