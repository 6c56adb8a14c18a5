//! The one list of operations, undos and look-ups. Registration, documentation, completion and
//! checks all read it.

use schemars::{Schema, SchemaGenerator, generate::SchemaSettings};
use serde_json::Value;

use super::{
    Error, Kind, Operation, Pending, calls, certificate, checks, commands, compute, containers, dns, ec2_tags,
    identity, images, load_balancing, monitoring, network, outside, parameters, secrets, stacks, traffic,
};
use crate::run::{Ctx, IMPOSSIBLE, LookUp, UndoAction};

/// All operations, in the order in which the reference lists them.
pub const OPERATIONS: &[Entry] = &[
    Entry::of::<network::ensure_vpc::EnsureVpc>(),
    Entry::of::<network::ensure_subnets::EnsureSubnets>(),
    Entry::of::<network::ensure_internet_gateway::EnsureInternetGateway>(),
    Entry::of::<network::ensure_nat_gateways::EnsureNatGateways>(),
    Entry::of::<network::ensure_route_table::EnsureRouteTable>(),
    Entry::of::<network::find_vpc::FindVpc>(),
    Entry::of::<network::find_subnets::FindSubnets>(),
    Entry::of::<network::find_security_group::FindSecurityGroup>(),
    Entry::of::<network::ensure_security_group::EnsureSecurityGroup>(),
    Entry::of::<network::ensure_network_acl::EnsureNetworkAcl>(),
    Entry::of::<identity::ensure_role::EnsureRole>(),
    Entry::of::<identity::ensure_policy::EnsurePolicy>(),
    Entry::of::<identity::ensure_instance_profile::EnsureInstanceProfile>(),
    Entry::of::<certificate::ensure_certificate::EnsureCertificate>(),
    Entry::of::<certificate::find_certificate::FindCertificate>(),
    Entry::of::<load_balancing::ensure_load_balancer::EnsureLoadBalancer>(),
    Entry::of::<load_balancing::ensure_target_group::EnsureTargetGroup>(),
    Entry::of::<load_balancing::ensure_listener::EnsureListener>(),
    Entry::of::<load_balancing::ensure_listener_rule::EnsureListenerRule>(),
    Entry::of::<load_balancing::find_load_balancer::FindLoadBalancer>(),
    Entry::of::<load_balancing::find_listener::FindListener>(),
    Entry::of::<load_balancing::find_target_group::FindTargetGroup>(),
    Entry::of::<traffic::attach_target_group::AttachTargetGroup>(),
    Entry::of::<traffic::shift_traffic::ShiftTraffic>(),
    Entry::of::<traffic::swap_listener::SwapListener>(),
    Entry::of::<traffic::wait_healthy::WaitHealthy>(),
    Entry::of::<traffic::read_traffic::ReadTraffic>(),
    Entry::of::<checks::http_check::HttpCheck>(),
    Entry::of::<checks::wait_http::WaitHttp>(),
    Entry::of::<compute::find_image::FindImage>(),
    Entry::of::<compute::template_options::EnsureLaunchTemplate>(),
    Entry::of::<compute::template_options::CompareLaunchTemplate>(),
    Entry::of::<compute::asg_options::LaunchAsg>(),
    Entry::of::<compute::scale_asg::ScaleAsg>(),
    Entry::of::<compute::retire_asg::RetireAsg>(),
    Entry::of::<compute::find_asg::FindAsg>(),
    Entry::of::<dns::ensure_hosted_zone::EnsureHostedZone>(),
    Entry::of::<dns::find_hosted_zone::FindHostedZone>(),
    Entry::of::<dns::ensure_record::EnsureRecord>(),
    Entry::of::<dns::shift_dns::ShiftDns>(),
    Entry::of::<dns::ensure_health_check::EnsureHealthCheck>(),
    Entry::of::<dns::health_check_status::ReadHealthCheckStatus>(),
    Entry::of::<dns::health_check_status::WaitHealthCheck>(),
    Entry::of::<stacks::list_stack::ListStack>(),
    Entry::of::<stacks::destroy_stack::DestroyStack>(),
    Entry::of::<stacks::stale_stacks::StaleStacks>(),
    Entry::of::<calls::aws_call::AwsCall>(),
    Entry::of::<outside::exec::Exec>(),
    Entry::of::<outside::http_request::HttpRequest>(),
    Entry::of::<outside::notify::Notify>(),
    Entry::of::<containers::ensure_repository::EnsureRepository>(),
    Entry::of::<containers::build_image::BuildImage>(),
    Entry::of::<containers::push_image::PushImage>(),
    Entry::of::<containers::find_container_image::FindContainerImage>(),
    Entry::of::<containers::ensure_cluster::EnsureCluster>(),
    Entry::of::<containers::register_task_definition::RegisterTaskDefinition>(),
    Entry::of::<containers::service_options::DeployEcsService>(),
    Entry::of::<containers::retire_ecs_service::RetireEcsService>(),
    Entry::of::<containers::find_ecs_service::FindEcsService>(),
    Entry::of::<containers::ensure_service_scaling::EnsureServiceScaling>(),
    Entry::of::<containers::run_task::RunTask>(),
    Entry::of::<compute::ensure_scaling_policy::EnsureScalingPolicy>(),
    Entry::of::<compute::ensure_scheduled_action::EnsureScheduledAction>(),
    Entry::of::<monitoring::ensure_topic::EnsureTopic>(),
    Entry::of::<monitoring::ensure_alarm::EnsureAlarm>(),
    Entry::of::<monitoring::alarm_states::ReadAlarmStates>(),
    Entry::of::<monitoring::ensure_dashboard::EnsureDashboard>(),
    Entry::of::<monitoring::ensure_log_group::EnsureLogGroup>(),
    Entry::of::<parameters::ssm_parameter::SsmParameter>(),
    Entry::of::<parameters::put_ssm_parameter::PutSsmParameter>(),
    Entry::of::<parameters::publish_output::PublishOutput>(),
    Entry::of::<parameters::output_of::OutputOf>(),
    Entry::of::<secrets::secret::ReadSecret>(),
    Entry::of::<commands::run_command::RunCommand>(),
    Entry::of::<images::bake_image::BakeImage>(),
    Entry::of::<images::prune_images::PruneImages>(),
];

/// All undos: how the journal's undo records find their code.
pub const UNDOS: &[&UndoAction] = &[
    &IMPOSSIBLE,
    &calls::aws_call::CALL_BACK,
    &ec2_tags::RESTORE_TAGS,
    &network::ensure_vpc::DELETE_VPC,
    &network::ensure_vpc::RESTORE_VPC_ATTRIBUTE,
    &network::ensure_subnets::DELETE_SUBNET,
    &network::ensure_subnets::RESTORE_MAP_PUBLIC_IP,
    &network::ensure_internet_gateway::DETACH_INTERNET_GATEWAY,
    &network::ensure_internet_gateway::DELETE_INTERNET_GATEWAY,
    &network::address::RELEASE_ADDRESS,
    &network::nat_gateway::DELETE_NAT_GATEWAY,
    &network::ensure_route_table::DELETE_ROUTE_TABLE,
    &network::route::RESTORE_ROUTE,
    &network::route_table_association::RESTORE_ROUTE_TABLE_ASSOCIATION,
    &network::ensure_network_acl::DELETE_NETWORK_ACL,
    &network::network_acl_rule::RESTORE_NETWORK_ACL_RULE,
    &network::network_acl_association::RESTORE_NETWORK_ACL_ASSOCIATION,
    &network::ensure_security_group::DELETE_SECURITY_GROUP,
    &network::security_group_rules::RESTORE_SECURITY_GROUP_RULES,
    &identity::ensure_role::DELETE_ROLE,
    &identity::RESTORE_ROLE,
    &identity::tags::RESTORE_ROLE_TAGS,
    &identity::ensure_policy::DELETE_POLICY,
    &identity::ensure_policy::RESTORE_POLICY_VERSION,
    &identity::ensure_policy::RECREATE_POLICY_VERSION,
    &identity::tags::RESTORE_POLICY_TAGS,
    &identity::ensure_instance_profile::DELETE_INSTANCE_PROFILE,
    &identity::ensure_instance_profile::RESTORE_PROFILE_ROLE,
    &identity::tags::RESTORE_PROFILE_TAGS,
    &certificate::DELETE_CERTIFICATE,
    &certificate::import::RESTORE_SELF_SIGNED,
    &certificate::RESTORE_CERTIFICATE_TAGS,
    &load_balancing::tags::RESTORE_TAGS,
    &load_balancing::attributes::RESTORE_ATTRIBUTES,
    &load_balancing::placement::RESTORE_PLACEMENT,
    &load_balancing::RESTORE_HEALTH_CHECK,
    &load_balancing::route::RESTORE_ACTION,
    &load_balancing::certificates::REMOVE_LISTENER_CERTIFICATES,
    &load_balancing::listener_settings::RESTORE_LISTENER,
    &load_balancing::rule_settings::RESTORE_CONDITIONS,
    &load_balancing::rule_settings::RESTORE_PRIORITY,
    &load_balancing::ensure_load_balancer::DELETE_LOAD_BALANCER,
    &load_balancing::ensure_target_group::DELETE_TARGET_GROUP,
    &load_balancing::ensure_listener::DELETE_LISTENER,
    &load_balancing::ensure_listener_rule::DELETE_RULE,
    &traffic::attach_target_group::DETACH_TARGET_GROUP,
    &traffic::weights::RESTORE_WEIGHTS,
    &compute::ensure_launch_template::DELETE_LAUNCH_TEMPLATE,
    &compute::ensure_launch_template::DELETE_LAUNCH_TEMPLATE_VERSION,
    &compute::ensure_launch_template::RESTORE_DEFAULT_VERSION,
    &compute::drain::DELETE_GROUP,
    &compute::asg::RESTORE_GROUP_TAGS,
    &compute::asg_settings::RESTORE_SETTINGS,
    &compute::asg_hooks::RESTORE_HOOK,
    &compute::asg_metrics::RESTORE_METRICS,
    &compute::asg_policies::RESTORE_POLICY,
    &compute::asg_targets::RESTORE_TARGET_GROUPS,
    &compute::sizes::RESTORE_SIZES,
    &compute::scale_asg::UNPIN,
    &dns::ensure_hosted_zone::DELETE_HOSTED_ZONE,
    &dns::ensure_hosted_zone::RESTORE_ZONE_COMMENT,
    &dns::tags::RESTORE_ZONE_TAGS,
    &dns::record_set::RESTORE_RECORDS,
    &dns::health_check::DELETE_HEALTH_CHECK,
    &dns::health_check::RESTORE_HEALTH_CHECK_SETTINGS,
    &dns::tags::RESTORE_HEALTH_CHECK_TAGS,
    &containers::ensure_repository::DELETE_REPOSITORY,
    &containers::repository_aspect::RESTORE_REPOSITORY,
    &containers::ecr::RESTORE_REPOSITORY_TAGS,
    &containers::push_image::RESTORE_IMAGE_TAG,
    &containers::ensure_cluster::DELETE_CLUSTER,
    &containers::cluster_settings::RESTORE_CLUSTER,
    &containers::ecs::RESTORE_ECS_TAGS,
    &containers::register_task_definition::DEREGISTER_TASK_DEFINITION,
    &containers::deploy_ecs_service::DELETE_SERVICE,
    &containers::deploy_ecs_service::RESTORE_SERVICE,
    &containers::scaling::RESTORE_SERVICE_SCALING,
    &containers::run_task::STOP_TASK,
    &compute::ensure_scaling_policy::RESTORE_STEP_POLICY,
    &compute::ensure_scheduled_action::RESTORE_SCHEDULED_ACTION,
    &monitoring::tags::RESTORE_TOPIC_TAGS,
    &monitoring::tags::RESTORE_ALARM_TAGS,
    &monitoring::tags::RESTORE_LOG_GROUP_TAGS,
    &monitoring::subscription::UNSUBSCRIBE,
    &monitoring::subscription::SUBSCRIBE_AGAIN,
    &monitoring::ensure_topic::DELETE_TOPIC,
    &monitoring::ensure_topic::RESTORE_TOPIC_ATTRIBUTE,
    &monitoring::alarm::RESTORE_ALARM,
    &monitoring::ensure_dashboard::RESTORE_DASHBOARD,
    &monitoring::ensure_log_group::DELETE_LOG_GROUP,
    &monitoring::ensure_log_group::RESTORE_RETENTION,
    &monitoring::ensure_log_group::RESTORE_LOG_GROUP_KEY,
    &parameters::store::DELETE_PARAMETER,
    &parameters::store::RESTORE_PARAMETER,
    &parameters::tags::RESTORE_PARAMETER_TAGS,
    &commands::run_command::RUN_UNDO_COMMANDS,
    &images::builder::TERMINATE_BUILDER,
    &images::register::DEREGISTER_IMAGE,
    &images::STOP_SHARING,
];

/// All look-ups: how a call whose reply was lost is found again.
pub const LOOK_UPS: &[&LookUp] = &[
    &commands::send::COMMAND_BY_COMMENT,
    &network::ensure_vpc::VPC_BY_NAME,
    &network::ensure_subnets::SUBNET_BY_NAME,
    &network::ensure_internet_gateway::INTERNET_GATEWAY_BY_NAME,
    &network::ensure_internet_gateway::INTERNET_GATEWAY_ATTACHED,
    &network::address::FREE_ADDRESS_BY_NAME,
    &network::route::ROUTE_IS_SET,
    &network::route_table_association::ROUTE_TABLE_ASSOCIATION_IS_SET,
    &network::network_acl_rule::NETWORK_ACL_RULE_IS_SET,
    &network::network_acl_association::NETWORK_ACL_ASSOCIATION_IS_SET,
    &network::ensure_route_table::ROUTE_TABLE_BY_TAGS,
    &network::ensure_network_acl::NETWORK_ACL_BY_TAGS,
    &network::nat_gateway::NAT_GATEWAY_BY_TAGS,
    &network::ensure_security_group::SECURITY_GROUP_BY_NAME,
    &network::security_group_rules::SECURITY_GROUP_RULES_ARE_SET,
    &identity::ensure_role::ROLE_BY_NAME,
    &identity::ensure_policy::POLICY_BY_ARN,
    &identity::ensure_policy::NEW_POLICY_VERSION,
    &identity::ensure_instance_profile::INSTANCE_PROFILE_BY_NAME,
    &identity::ensure_instance_profile::ROLE_IN_PROFILE,
    &certificate::CERTIFICATE_BY_TAGS,
    &load_balancing::ensure_load_balancer::LOAD_BALANCER_BY_NAME,
    &load_balancing::ensure_target_group::TARGET_GROUP_BY_NAME,
    &load_balancing::ensure_listener::LISTENER_ON_PORT,
    &load_balancing::ensure_listener_rule::RULE_BY_NAME,
    &compute::ensure_launch_template::LAUNCH_TEMPLATE_BY_TAGS,
    &compute::ensure_launch_template::LAUNCH_TEMPLATE_VERSION_NEWER_THAN,
    &compute::launch_asg::GROUP_BY_NAME,
    &dns::ensure_hosted_zone::ZONE_BY_REFERENCE,
    &dns::record_set::RECORDS_BY_CONTENT,
    &dns::health_check::HEALTH_CHECK_BY_REFERENCE,
    &dns::health_check::HEALTH_CHECK_IS_SET,
    &containers::ensure_repository::REPOSITORY_BY_NAME,
    &containers::ensure_cluster::CLUSTER_BY_NAME,
    &containers::register_task_definition::TASK_DEFINITION_NEWER_THAN,
    &containers::deploy_ecs_service::SERVICE_BY_ARN,
    &containers::run_task::TASK_STARTED_BY,
    &monitoring::subscription::SUBSCRIPTION_BY_ENDPOINT,
    &monitoring::ensure_log_group::LOG_GROUP_BY_NAME,
    &parameters::store::PARAMETER_BY_RUN,
    &parameters::store::PARAMETER_NEWER_THAN,
    &images::builder::INSTANCE_BY_TAGS,
    &images::register::IMAGE_BY_NAME,
];

/// An operation with its types taken off.
pub struct Entry {
    pub name: &'static str,
    pub area: &'static str,
    pub positional: &'static [&'static str],
    /// Whether a runbook gets the field `value` instead of a handle.
    pub plain: bool,
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
    /// What of the options is shown nowhere.
    pub secrets: Vec<String>,
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
            plain: O::PLAIN,
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
        secrets: O::secrets(&options),
        run: Box::new(move |ctx| {
            Box::pin(async move {
                let handle = O::run(ctx, options).await?;
                let value = serde_json::to_value(handle);
                Ok(value.expect("a handle is a struct of plain data"))
            })
        }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The journal finds them by their names.
    #[test]
    fn no_name_is_used_twice() {
        let twice = |mut names: Vec<&'static str>| {
            names.sort_unstable();
            names.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0])
        };
        assert_eq!(twice(OPERATIONS.iter().map(|entry| entry.name).collect()), None);
        assert_eq!(twice(UNDOS.iter().map(|undo| undo.name).collect()), None);
        assert_eq!(twice(LOOK_UPS.iter().map(|look_up| look_up.name).collect()), None);
    }
}
