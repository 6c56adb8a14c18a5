//! The public parameters that name Amazon's newest images.

use super::super::ec2::image;
use super::super::tx::partition;
use super::*;

/// Prefix of the parameter, and of the image it names. The rest of the parameter's name is the architecture.
/// Source: "Calling AMI public parameters in Parameter Store" in the Systems Manager guide.
const LATEST: [(&str, &str); 3] = [
    ("/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-", "al2023-ami-2023"),
    ("/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-6.1-", "al2023-ami-2023"),
    ("/aws/service/ami-amazon-linux-latest/amzn2-ami-hvm-", "amzn2-ami-hvm"),
];

/// Whether somebody else publishes what is called so: AWS, or another account that shares it. A fork asks its account for it.
pub fn is_of_others(name: &str, account: &str) -> bool {
    match name.strip_prefix("arn:") {
        Some(arn) => arn.split(':').nth(3) != Some(account),
        None => name.starts_with("/aws/"),
    }
}

pub fn parameter(tx: &Tx, name: &str) -> Option<Value> {
    let (rest, images) = LATEST.iter().find_map(|(prefix, images)| Some((name.strip_prefix(prefix)?, images)))?;
    let image = image::newest(images, rest.trim_end_matches("-gp2"))?;
    let region = &tx.scope.region;
    Some(json!({
        "Name": name,
        "Type": "String",
        "Value": image.id,
        "Version": 1,
        "LastModifiedDate": epoch(tx.now),
        "ARN": format!("arn:{}:ssm:{region}::parameter{name}", partition(region)),
        "DataType": "text",
    }))
}
