//! What the operations of a runbook look at first, read together before the first of them.
//!
//! One operation after the other, a run that changes nothing would wait for one describe after the other. Nothing here
//! decides anything: the operations find what was read among the [shared](crate::run::Reading) reads, and read for
//! themselves what is not there, not good any more, or could not be read.

use std::collections::BTreeSet;

use futures::join;

use super::{
    Error, Operation, all_of,
    certificate::{acm, ensure_certificate::EnsureCertificate},
    compute::{
        asg,
        asg_options::LaunchAsg,
        ensure_launch_template,
        find_asg::FindAsg,
        template_options::{CompareLaunchTemplate, EnsureLaunchTemplate},
    },
    load_balancing::{
        self, ensure_listener::EnsureListener, ensure_load_balancer::EnsureLoadBalancer,
        ensure_target_group::EnsureTargetGroup,
    },
    network::{
        self,
        common::is_of_stack,
        ensure_internet_gateway::EnsureInternetGateway,
        ensure_nat_gateways::EnsureNatGateways,
        ensure_network_acl::EnsureNetworkAcl,
        ensure_route_table::EnsureRouteTable,
        ensure_security_group::EnsureSecurityGroup,
        ensure_subnets::EnsureSubnets,
        ensure_vpc::{self, EnsureVpc},
    },
};
use crate::run::Ctx;

/// Of how many resources with the stack's name the details are read: as many as one call tells the tags of. A run that
/// has more to do with its many services than to look at them all reads them one by one.
const MOST: usize = 20;

/// Reads what these operations look at. What fails here is left to them.
pub async fn read(ctx: &Ctx, operations: &BTreeSet<&'static str>) {
    let survey = Survey { ctx, operations };
    // Each part ends where it fails; the others go on.
    let _ = join!(
        survey.network(),
        survey.internet_gateways(),
        survey.load_balancing(),
        survey.fleets(),
        survey.certificates()
    );
}

struct Survey<'a> {
    ctx: &'a Ctx,
    operations: &'a BTreeSet<&'static str>,
}

impl Survey<'_> {
    fn calls<O: Operation>(&self) -> bool {
        self.operations.contains(O::NAME)
    }

    async fn network(&self) -> Result<(), Error> {
        use network::shared;
        if !self.calls::<EnsureVpc>() {
            return Ok(());
        }
        let (ctx, stack) = (self.ctx, self.ctx.stack()?);
        let mut vpcs = shared::vpcs(ctx).await?;
        vpcs.retain(|vpc| is_of_stack(vpc.tags(), &stack));
        if vpcs.is_empty() {
            // What will be made needs to know these.
            let zones = when(self.calls::<EnsureSubnets>(), shared::zones(ctx));
            let addresses = when(self.calls::<EnsureNatGateways>(), shared::addresses_of(ctx, &stack));
            let _ = join!(zones, addresses);
        }
        let ids = vpcs.iter().take(MOST).filter_map(|vpc| vpc.vpc_id());
        all_of(ids.map(|id| self.vpc(id))).await.map(drop)
    }

    async fn vpc(&self, id: &str) -> Result<(), Error> {
        use network::shared;
        let ctx = self.ctx;
        let _ = join!(
            ensure_vpc::dns_attributes(ctx, id),
            when(self.calls::<EnsureSubnets>(), shared::subnets_of(ctx, id)),
            when(self.calls::<EnsureNatGateways>(), shared::nat_gateways_of(ctx, id)),
            when(self.calls::<EnsureRouteTable>(), shared::route_tables_of(ctx, id)),
            when(self.calls::<EnsureNetworkAcl>(), shared::network_acls_of(ctx, id)),
            when(self.calls::<EnsureSecurityGroup>(), shared::security_groups_of(ctx, id)),
        );
        Ok(())
    }

    async fn internet_gateways(&self) -> Result<(), Error> {
        when(self.calls::<EnsureInternetGateway>(), network::shared::internet_gateways(self.ctx)).await.map(drop)
    }

    async fn load_balancing(&self) -> Result<(), Error> {
        use load_balancing::shared;
        let ctx = self.ctx;
        let prefix = format!("{}-", ctx.stack()?);
        let ours = |name: Option<&str>, arn: Option<&str>| {
            Some(arn?.to_owned()).filter(|_| name.is_some_and(|name| name.starts_with(&prefix)))
        };
        let balancers = when(self.calls::<EnsureLoadBalancer>(), shared::load_balancers(ctx));
        let groups = when(self.calls::<EnsureTargetGroup>(), shared::target_groups(ctx));
        let (balancers, groups) = join!(balancers, groups);
        let balancers = balancers?.flatten().unwrap_or_default();
        let balancers: Vec<String> =
            balancers.iter().filter_map(|one| ours(one.load_balancer_name(), one.load_balancer_arn())).collect();
        let groups = groups?.flatten().unwrap_or_default();
        let groups: Vec<String> =
            groups.iter().filter_map(|one| ours(one.target_group_name(), one.target_group_arn())).collect();
        if balancers.len() + groups.len() > MOST {
            return Ok(());
        }
        let listeners =
            all_of(balancers.iter().map(|arn| when(self.calls::<EnsureListener>(), shared::listeners_of(ctx, arn))));
        let attributes = all_of(groups.iter().map(|arn| shared::attributes(ctx, arn)));
        let (listeners, _) = join!(listeners, attributes);
        let listeners = listeners?.into_iter().flatten().flatten();
        let listeners = listeners.filter_map(|listener| listener.listener_arn);
        let arns: Vec<String> = balancers.into_iter().chain(groups).chain(listeners).take(MOST).collect();
        if arns.is_empty() { Ok(()) } else { shared::read_tags(ctx, &arns).await }
    }

    async fn fleets(&self) -> Result<(), Error> {
        let templates = self.calls::<EnsureLaunchTemplate>() || self.calls::<CompareLaunchTemplate>();
        let groups = self.calls::<LaunchAsg>() || self.calls::<FindAsg>();
        let _ =
            join!(when(templates, ensure_launch_template::of_stack(self.ctx)), when(groups, asg::of_stack(self.ctx)),);
        Ok(())
    }

    async fn certificates(&self) -> Result<(), Error> {
        when(self.calls::<EnsureCertificate>(), acm::shared_list(self.ctx)).await.map(drop)
    }
}

async fn when<T>(wanted: bool, read: impl Future<Output = Result<T, Error>>) -> Result<Option<T>, Error> {
    if wanted { read.await.map(Some) } else { Ok(None) }
}
