//! SDK clients, and the transport they share.
//!
//! A [`Scope`] (region and role) has one set of [`Clients`]. All of them send through one
//! [`Transport`], which lets reads pass and refuses any other request that was not declared.
//! The SDK's own retries are off: [`retry`] is the one retry layer.

mod action;
pub mod bucket;
mod call;
mod connect;
mod known;
mod live;
pub mod memory;
mod permit;
mod read_only;
pub mod retry;
mod routes;
mod services;
mod transport;
mod wire_log;

pub use action::service_of;
pub use call::{ApiCall, ApiError, intern};
pub use connect::{ConnectError, Connections, Endpoint, Identity};
pub use known::actions;
pub use live::LiveAccounts;
pub use permit::{BeforeSend, Outgoing, Permit, PermitError};
pub use read_only::is_read_only;
pub use routes::{Misplaced, in_path, labels_of};
pub use services::{AwsService, Speaks};
pub use transport::{Assumption, Transport};
pub use wire_log::WireLog;

use aws_types::SdkConfig;
use serde::{Deserialize, Serialize};

/// Where calls of a block of the runbook go: the environment's own scope, or one named by `within`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Scope {
    pub region: String,
    pub role_arn: Option<String>,
    pub external_id: Option<String>,
}

/// One client per service, for one scope.
#[derive(Clone, Debug)]
pub struct Clients {
    pub region: String,
    pub account: String,
    pub partition: String,
    pub acm: aws_sdk_acm::Client,
    pub autoscaling: aws_sdk_autoscaling::Client,
    pub ec2: aws_sdk_ec2::Client,
    pub elbv2: aws_sdk_elasticloadbalancingv2::Client,
    pub iam: aws_sdk_iam::Client,
    pub route53: aws_sdk_route53::Client,
    pub ssm: aws_sdk_ssm::Client,
    pub sts: aws_sdk_sts::Client,
    /// For the services without a crate: see `call`.
    config: SdkConfig,
}

/// A client that says in each request which action it is.
macro_rules! client {
    ($sdk:ident, $config:expr) => {
        $sdk::Client::from_conf($sdk::config::Builder::from($config).interceptor(action::NameAction).build())
    };
}

impl Clients {
    /// The ARN of something of this account here: `arn:aws:SERVICE:REGION:ACCOUNT:RESOURCE`.
    pub fn arn(&self, service: &str, resource: &str) -> String {
        format!("arn:{}:{service}:{}:{}:{resource}", self.partition, self.region, self.account)
    }

    fn new(config: &SdkConfig, region: &str) -> Self {
        Self {
            region: region.to_owned(),
            account: String::new(),
            partition: "aws".to_owned(),
            acm: client!(aws_sdk_acm, config),
            autoscaling: client!(aws_sdk_autoscaling, config),
            ec2: client!(aws_sdk_ec2, config),
            elbv2: client!(aws_sdk_elasticloadbalancingv2, config),
            iam: client!(aws_sdk_iam, config),
            route53: client!(aws_sdk_route53, config),
            ssm: client!(aws_sdk_ssm, config),
            sts: Self::sts(config),
            config: config.clone(),
        }
    }

    /// The one that is needed to learn whose the others are.
    fn sts(config: &SdkConfig) -> aws_sdk_sts::Client {
        client!(aws_sdk_sts, config)
    }
}
