//! What is known of each AWS service: how it is asked, where it is, and what only reads.
//!
//! `services.txt` is generated from botocore's service models by `scripts/services.py`. A service is named as in boto3 and
//! in the aws CLI.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};

use aws_types::region::Region;

/// A service, as its line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AwsService {
    /// `stepfunctions`
    pub name: &'static str,
    /// Of its actions, in policies: `states`.
    pub prefix: &'static str,
    /// The name its requests are signed with.
    pub signing_name: &'static str,
    pub speaks: Speaks,
    endpoint: &'static str,
    reads: &'static str,
}

/// How a service is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaks {
    /// Forms, answers in XML. With the version of the API.
    Query(&'static str),
    /// EC2's dialect of it.
    Ec2(&'static str),
    /// JSON, with the version of the protocol and what the target begins with.
    Json(&'static str, &'static str),
    /// JSON over methods and paths.
    RestJson,
    /// XML over methods and paths.
    RestXml,
}

impl AwsService {
    /// The service of that name.
    pub fn find(name: &str) -> Option<Self> {
        all().find(|service| service.name == name)
    }

    /// Where it is, and the region that requests are signed for.
    pub fn endpoint(&self, region: &str, partition: &str) -> (String, Region) {
        if let Some((url, signed_for)) = self.endpoint.rsplit_once('@') {
            return (url.to_owned(), Region::from_static(signed_for));
        }
        // Source: `partitions.json` of the endpoint rules.
        let (home, dns, dualstack) = match partition {
            "aws-cn" => ("cn-northwest-1", "amazonaws.com.cn", "api.amazonwebservices.com.cn"),
            "aws-us-gov" => ("us-gov-west-1", "amazonaws.com", "api.aws"),
            _ => ("us-east-1", "amazonaws.com", "api.aws"),
        };
        let region = if self.endpoint.contains("{home}") { home } else { region };
        let url = self.endpoint.replace("{region}", region).replace("{home}", region);
        (url.replace("{dns}", dns).replace("{dualstack}", dualstack), Region::new(region.to_owned()))
    }
}

/// Whether `action` of the services with this prefix only reads. Those this program calls itself are in `read_only.txt`.
pub fn reads(prefix: &str, action: &str) -> bool {
    static READS: LazyLock<BTreeMap<&str, BTreeSet<&str>>> = LazyLock::new(|| {
        let mut reads = BTreeMap::<&str, BTreeSet<&str>>::new();
        all().for_each(|service| reads.entry(service.prefix).or_default().extend(service.reads.split(' ')));
        reads
    });
    READS.get(prefix).is_some_and(|reads| reads.contains(action))
}

/// The services whose actions begin with this in policies.
pub fn of_prefix(prefix: &str) -> impl Iterator<Item = AwsService> {
    all().filter(move |service| service.prefix == prefix)
}

/// Every service.
pub fn all() -> impl Iterator<Item = AwsService> {
    static ALL: LazyLock<Vec<AwsService>> = LazyLock::new(|| parse().collect());
    ALL.iter().copied()
}

fn parse() -> impl Iterator<Item = AwsService> {
    include_str!("services.txt").lines().filter_map(|line| {
        let mut fields = line.split('\t');
        let mut field = || fields.next();
        let (name, prefix, signing_name) = (field()?, field()?, field()?);
        let (protocol, how) = (field()?, field()?);
        let speaks = match protocol {
            "query" => Speaks::Query(how),
            "ec2" => Speaks::Ec2(how),
            "json" => how.split_once('/').map(|(version, target)| Speaks::Json(version, target))?,
            "rest-json" => Speaks::RestJson,
            _ => Speaks::RestXml,
        };
        Some(AwsService { name, prefix, signing_name, speaks, endpoint: field()?, reads: field()? })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_a_service() {
        assert_eq!(all().count(), include_str!("services.txt").lines().count());
        let functions = AwsService::find("stepfunctions").expect("a service");
        assert_eq!((functions.prefix, functions.speaks), ("states", Speaks::Json("1.0", "AWSStepFunctions")));
        assert!(reads("states", "DescribeExecution") && reads("lambda", "GetFunction"));
        assert!(!reads("states", "GetActivityTask"), "it takes the task");
        assert!(!reads("lambda", "Invoke"));
    }

    #[test]
    fn where_services_are() {
        let of = |name, region, partition| {
            let (url, signed_for) = AwsService::find(name).expect("a service").endpoint(region, partition);
            (url, signed_for.to_string())
        };
        let is = |url: &str, region: &str| (url.to_owned(), region.to_owned());
        assert_eq!(of("ecr", "eu-west-1", "aws"), is("https://api.ecr.eu-west-1.amazonaws.com", "eu-west-1"));
        assert_eq!(of("ecs", "cn-north-1", "aws-cn"), is("https://ecs.cn-north-1.amazonaws.com.cn", "cn-north-1"));
        assert_eq!(of("iam", "eu-west-1", "aws"), is("https://iam.amazonaws.com", "us-east-1"));
        assert_eq!(of("ce", "eu-west-1", "aws"), is("https://ce.us-east-1.amazonaws.com", "us-east-1"));
    }
}
