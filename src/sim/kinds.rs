//! The kinds of rows that a fork can read from an account, and how.
//!
//! Beside each kind's `view`, which writes it as AWS shows it, stands its inverse. What reads them here is given `None` for
//! all rows of a region and an id for one. The calls it makes are declared: they are the policy that a plan needs.

use super::error::AwsError;
use super::fork::{Extent, Want};
use super::read::{Reader, Rows};
use super::tx::{Resource, Scope, Tx};
use super::{
    acm, application_autoscaling, autoscaling, cloudwatch, ec2, ecr, ecs, elbv2, iam, logs, route53, secretsmanager,
    service, sns, ssm,
};

/// A kind of row with its type taken off.
pub struct Kind {
    name: &'static str,
    extent: Extent,
    global: bool,
    calls: &'static [&'static str],
    load: Load,
    ids: fn(&Tx) -> Vec<String>,
}

type Load = fn(&Reader, Option<&str>, &mut Rows) -> Result<(), AwsError>;

/// What an account has.
const KINDS: &[Kind] = &[
    Kind::of::<acm::Certificate>(acm::certificate::load, acm::certificate::CALLS),
    Kind::of::<autoscaling::Group>(autoscaling::load, autoscaling::CALLS),
    Kind::of::<ec2::Address>(ec2::address::load, &["ec2:DescribeAddresses"]),
    Kind::of::<ec2::Instance>(ec2::instance::load, &["ec2:DescribeInstances"]),
    Kind::of::<ec2::InternetGateway>(ec2::load::<ec2::InternetGateway>, &["ec2:DescribeInternetGateways"]),
    Kind::of::<ec2::LaunchTemplate>(
        ec2::launch_template::load,
        &["ec2:DescribeLaunchTemplates", "ec2:DescribeLaunchTemplateVersions"],
    ),
    Kind::of::<ec2::NatGateway>(ec2::load::<ec2::NatGateway>, &["ec2:DescribeNatGateways"]),
    Kind::of::<ec2::NetworkAcl>(ec2::load::<ec2::NetworkAcl>, &["ec2:DescribeNetworkAcls"]),
    Kind::of::<ec2::NetworkInterface>(ec2::load::<ec2::NetworkInterface>, &["ec2:DescribeNetworkInterfaces"]),
    Kind::of::<ec2::OwnImage>(ec2::own_image::load, &["ec2:DescribeImageAttribute", "ec2:DescribeImages"]),
    Kind::of::<ec2::RouteTable>(ec2::load::<ec2::RouteTable>, &["ec2:DescribeRouteTables"]),
    Kind::of::<ec2::SecurityGroup>(ec2::load::<ec2::SecurityGroup>, &["ec2:DescribeSecurityGroups"]),
    Kind::of::<ec2::SecurityGroupRule>(ec2::load::<ec2::SecurityGroupRule>, &["ec2:DescribeSecurityGroupRules"]),
    Kind::of::<ec2::Snapshot>(ec2::snapshot::load, &["ec2:DescribeSnapshots"]),
    Kind::of::<ec2::Subnet>(ec2::load::<ec2::Subnet>, &["ec2:DescribeSubnets"]),
    Kind::of::<ec2::Volume>(ec2::load::<ec2::Volume>, &["ec2:DescribeVolumes"]),
    Kind::of::<ec2::Vpc>(ec2::vpc::load, &["ec2:DescribeVpcs", "ec2:DescribeVpcAttribute"]),
    Kind::of::<elbv2::LoadBalancer>(elbv2::load_balancer::load, elbv2::load_balancer::CALLS),
    Kind::of::<elbv2::TargetGroup>(elbv2::target_group::load, elbv2::target_group::CALLS),
    Kind::of::<iam::InstanceProfile>(
        iam::instance_profile::load,
        &["iam:GetInstanceProfile", "iam:ListInstanceProfiles"],
    ),
    Kind::of::<iam::Policy>(iam::policy::load, iam::policy::CALLS),
    Kind::of::<iam::Role>(iam::role::load, iam::role::CALLS),
    Kind::of::<route53::Zone>(route53::zone::load, route53::zone::CALLS),
    Kind::of::<route53::HealthCheck>(route53::health_check::load, route53::health_check::CALLS),
    Kind::of::<route53::Watch>(route53::checker::load, route53::checker::CALLS),
    Kind::of::<application_autoscaling::ScalingPolicy>(
        application_autoscaling::policy::load,
        application_autoscaling::policy::CALLS,
    ),
    Kind::of::<application_autoscaling::ScheduledAction>(
        application_autoscaling::schedule::load,
        application_autoscaling::schedule::CALLS,
    ),
    Kind::of::<application_autoscaling::ScalableTarget>(application_autoscaling::load, application_autoscaling::CALLS),
    Kind::of::<ecr::ContainerImage>(ecr::image::load, &["ecr:DescribeImages"]),
    Kind::of::<ecr::Repository>(ecr::repository::load, ecr::repository::CALLS),
    Kind::of::<ecs::Cluster>(ecs::load_clusters, ecs::CLUSTER_CALLS),
    Kind::of::<ecs::Family>(ecs::task_definition::load_family, ecs::task_definition::FAMILY_CALLS),
    Kind::of::<ecs::Service>(ecs::load, ecs::CALLS),
    Kind::of::<ecs::TaskDefinition>(ecs::task_definition::load, ecs::task_definition::CALLS),
    Kind::of::<autoscaling::Scheduled>(autoscaling::load_scheduled, &["autoscaling:DescribeScheduledActions"]),
    Kind::of::<cloudwatch::Alarm>(cloudwatch::alarm::load, cloudwatch::alarm::CALLS),
    Kind::of::<cloudwatch::Dashboard>(cloudwatch::dashboard::load, cloudwatch::dashboard::CALLS),
    Kind::of::<logs::LogGroup>(logs::load, logs::CALLS),
    Kind::of::<sns::Topic>(sns::topic::load, sns::topic::CALLS),
    Kind::of::<secretsmanager::Secret>(secretsmanager::load, secretsmanager::CALLS),
    Kind::of::<ssm::Parameter>(ssm::parameter::load, ssm::parameter::CALLS),
];

/// What AWS has for everybody, of which an account is asked as far as its behaviour needs it.
const CATALOGUE: &[Kind] = &[
    Kind::of::<ec2::AvailabilityZone>(ec2::zone::load, &["ec2:DescribeAvailabilityZones"]),
    Kind::of::<ec2::Image>(ec2::image::load, &["ec2:DescribeImages"]),
    Kind::of::<ec2::InstanceType>(ec2::instance_type::load, &["ec2:DescribeInstanceTypes"]),
    Kind::of::<ec2::PrefixList>(ec2::prefix_list::load, &["ec2:DescribeManagedPrefixLists"]),
];

impl Kind {
    const fn of<T: Resource>(load: Load, calls: &'static [&'static str]) -> Kind {
        Kind {
            name: T::KIND,
            extent: T::EXTENT,
            global: T::GLOBAL,
            calls,
            load,
            ids: |tx| T::table(tx).all().map(|row| row.id().to_owned()).collect(),
        }
    }

    /// All its rows.
    pub fn all(&self, scope: &Scope) -> Want {
        Want::of(scope, self.name, self.global, None)
    }

    /// Each of its rows that are known, if each is read by itself.
    pub fn rows(&self, tx: &Tx) -> Vec<Want> {
        match self.extent {
            Extent::Row => {
                let ids = (self.ids)(tx).into_iter();
                ids.map(|id| Want::of(tx.scope, self.name, self.global, Some(id))).collect()
            }
            Extent::Kind | Extent::With { .. } | Extent::Nothing => Vec::new(),
        }
    }
}

/// The kinds of what an account has.
pub fn all() -> impl Iterator<Item = &'static Kind> {
    KINDS.iter()
}

fn find(name: &str) -> Option<&'static Kind> {
    KINDS.iter().chain(CATALOGUE).find(|kind| kind.name == name)
}

/// The calls that a kind is read with.
pub fn calls(kind: &str) -> &'static [&'static str] {
    find(kind).map_or(&[], |kind| kind.calls)
}

/// All calls that a fork makes of its account, as IAM names them.
pub fn reads() -> std::collections::BTreeSet<String> {
    let own = KINDS.iter().chain(CATALOGUE).flat_map(|kind| kind.calls).map(|call| (*call).to_owned());
    own.chain(service::PASSED_ON.iter().map(|(service, action)| format!("{service}:{action}"))).collect()
}

/// Reads the rows of a kind from an account.
pub fn read(reader: &Reader, want: &Want, rows: &mut Rows) -> Result<(), AwsError> {
    let kind = find(&want.kind).ok_or_else(|| {
        let message = format!("the simulator cannot read rows of the kind `{}` from an account", want.kind);
        AwsError::new("UnknownKind", message)
    })?;
    (kind.load)(reader, want.id.as_deref(), rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_have_names_of_their_own() {
        let mut names: Vec<&str> = KINDS.iter().chain(CATALOGUE).map(|kind| kind.name).collect();
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "{names:?}");
    }
}
