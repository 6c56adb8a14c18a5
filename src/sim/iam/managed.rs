//! Policies that AWS manages and every account has: the common ones, by path and name.
//!
//! Only that they exist is modelled, not what they say.

use super::*;

/// From the "AWS managed policy reference".
const KNOWN: &[&str] = &[
    "AdministratorAccess",
    "AmazonEC2ContainerRegistryFullAccess",
    "AmazonEC2ContainerRegistryPowerUser",
    "AmazonEC2ContainerRegistryPullOnly",
    "AmazonEC2ContainerRegistryReadOnly",
    "AmazonEC2FullAccess",
    "AmazonEC2ReadOnlyAccess",
    "AmazonDynamoDBFullAccess",
    "AmazonDynamoDBReadOnlyAccess",
    "AmazonRDSReadOnlyAccess",
    "AmazonS3FullAccess",
    "AmazonS3ReadOnlyAccess",
    "AmazonSNSFullAccess",
    "AmazonSQSFullAccess",
    "AmazonSSMFullAccess",
    "AmazonSSMManagedInstanceCore",
    "AmazonSSMPatchAssociation",
    "AmazonSSMReadOnlyAccess",
    "AutoScalingFullAccess",
    "AWSCodeDeployFullAccess",
    "AWSXrayReadOnlyAccess",
    "AWSXrayWriteOnlyAccess",
    "AWSXRayDaemonWriteAccess",
    "CloudWatchAgentAdminPolicy",
    "CloudWatchAgentServerPolicy",
    "CloudWatchFullAccess",
    "CloudWatchLogsFullAccess",
    "CloudWatchReadOnlyAccess",
    "ElasticLoadBalancingFullAccess",
    "IAMFullAccess",
    "IAMReadOnlyAccess",
    "PowerUserAccess",
    "ReadOnlyAccess",
    "SecretsManagerReadWrite",
    "SecurityAudit",
    "job-function/ViewOnlyAccess",
    "service-role/AmazonEC2ContainerServiceforEC2Role",
    "service-role/AmazonEC2RoleforAWSCodeDeploy",
    "service-role/AmazonEC2RoleforAWSCodeDeployLimited",
    "service-role/AmazonECSTaskExecutionRolePolicy",
    "service-role/AWSCodeDeployRole",
    "service-role/AWSLambdaBasicExecutionRole",
];

/// Path and name of a policy of AWS's own, given by ARN. In a fork they are rows like the account's policies.
pub fn find<'a>(tx: &Tx, arn: &'a str) -> Option<&'a str> {
    let partition = super::super::tx::partition(&tx.scope.region);
    let name = arn.strip_prefix(&format!("arn:{partition}:iam::aws:policy/"))?;
    (!tx.is_fork() && KNOWN.contains(&name)).then_some(name)
}

/// Whether a policy is AWS's own, whatever is known of it.
pub fn is_aws(arn: &str) -> bool {
    arn.split(':').nth(4) == Some("aws")
}
