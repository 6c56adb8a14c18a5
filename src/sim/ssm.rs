//! Systems Manager: the public parameters that name Amazon's newest images. An account's own parameters are not
//! modelled.

use serde_json::{Value, json};

use super::ec2::image;
use super::error::{AwsError, Reply};
use super::service::{Action, Service, no_secrets};
use super::tx::Tx;
use super::wire::{Params, Protocol, epoch};

pub const SERVICE: Service = Service {
    name: "ssm",
    protocol: Protocol::Json("AmazonSSM"),
    namespace: "",
    actions: &[ACTIONS],
    sanitise: no_secrets,
};

const ACTIONS: &[Action] = &[
    Action { name: "GetParameter", params: &["Name WithDecryption"], run: get_parameter },
    Action { name: "GetParameters", params: &["Names[] WithDecryption"], run: get_parameters },
];

/// Prefix of the parameter, and of the image it names. The rest of the parameter's name is the architecture.
/// Source: "Calling AMI public parameters in Parameter Store" in the Systems Manager guide.
const LATEST: [(&str, &str); 3] = [
    ("/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-", "al2023-ami-2023"),
    ("/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-6.1-", "al2023-ami-2023"),
    ("/aws/service/ami-amazon-linux-latest/amzn2-ami-hvm-", "amzn2-ami-hvm"),
];

fn parameter(tx: &Tx, name: &str) -> Option<Value> {
    let (rest, images) = LATEST.iter().find_map(|(prefix, images)| Some((name.strip_prefix(prefix)?, images)))?;
    let image = image::newest(images, rest.trim_end_matches("-gp2"))?;
    let region = &tx.scope.region;
    Some(json!({
        "Name": name,
        "Type": "String",
        "Value": image.id,
        "Version": 1,
        "LastModifiedDate": epoch(tx.now),
        "ARN": format!("arn:{}:ssm:{region}::parameter{name}", super::tx::partition(region)),
        "DataType": "text",
    }))
}

fn get_parameter(tx: &mut Tx, p: &Params) -> Reply {
    let name = p.str("Name")?;
    let found = parameter(tx, name)
        .ok_or_else(|| AwsError::new("ParameterNotFound", format!("Parameter {name} not found.")))?;
    Ok(json!({ "Parameter": found }))
}

fn get_parameters(tx: &mut Tx, p: &Params) -> Reply {
    let names = p.strings("Names");
    let (found, missing): (Vec<_>, Vec<_>) =
        names.into_iter().map(|name| (name, parameter(tx, name))).partition(|(_, found)| found.is_some());
    Ok(json!({
        "Parameters": found.into_iter().map(|(_, parameter)| parameter).collect::<Vec<_>>(),
        "InvalidParameters": missing.into_iter().map(|(name, _)| name).collect::<Vec<_>>(),
    }))
}
