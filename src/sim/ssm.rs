//! SSM: the public parameters that name Amazon's current images.

use serde_json::{Value, json};

use super::error::{AwsError, Reply};
use super::service::{Action, Service, no_secrets};
use super::tx::{Tx, partition};
use super::wire::{Params, Protocol, epoch};

pub const SERVICE: Service =
    Service { name: "ssm", protocol: Protocol::Json, namespace: "", actions: &[ACTIONS], sanitise: no_secrets };

const ACTIONS: &[Action] = &[
    Action { name: "GetParameter", params: &["Name WithDecryption"], run: get_parameter },
    Action { name: "GetParameters", params: &["Names[] WithDecryption"], run: get_parameters },
];

/// Parameters under this path, and the images of the simulated EC2 they name.
const IMAGES_PATH: &str = "/aws/service/ami-amazon-linux-latest/";
const IMAGES: &[(&str, &str)] = &[
    ("al2023-ami-kernel-default-x86_64", "ami-al2023-x86-64"),
    ("al2023-ami-kernel-6.1-x86_64", "ami-al2023-x86-64"),
    ("al2023-ami-minimal-kernel-default-x86_64", "ami-al2023-x86-64"),
    ("al2023-ami-kernel-default-arm64", "ami-al2023-arm64"),
    ("al2023-ami-kernel-6.1-arm64", "ami-al2023-arm64"),
    ("al2023-ami-minimal-kernel-default-arm64", "ami-al2023-arm64"),
    ("amzn2-ami-hvm-x86_64-gp2", "ami-amzn2-x86-64"),
    ("amzn2-ami-kernel-5.10-hvm-x86_64-gp2", "ami-amzn2-x86-64"),
    ("amzn2-ami-kernel-5.10-hvm-arm64-gp2", "ami-amzn2-arm64"),
];

/// A parameter given by name or by ARN.
fn find(tx: &Tx, name: &str) -> Option<Value> {
    let name = name.split_once(":parameter").map_or(name, |(_, name)| name);
    let last = name.strip_prefix(IMAGES_PATH)?;
    let (_, image) = IMAGES.iter().find(|(known, _)| *known == last)?;
    let region = &tx.scope.region;
    Some(json!({
        "Name": name,
        "Type": "String",
        "Value": image,
        "Version": 1,
        "LastModifiedDate": epoch(jiff::Timestamp::constant(1_764_547_200, 0)), // before any world begins
        "ARN": format!("arn:{}:ssm:{region}::parameter{name}", partition(region)),
        "DataType": "text",
    }))
}

fn get_parameter(tx: &mut Tx, p: &Params) -> Reply {
    let parameter = find(tx, p.str("Name")?);
    // AWS says it with the code alone.
    let parameter = parameter.ok_or_else(|| AwsError::new("ParameterNotFound", ""))?;
    Ok(json!({ "Parameter": parameter }))
}

fn get_parameters(tx: &mut Tx, p: &Params) -> Reply {
    let names = p.strings("Names");
    if names.is_empty() || names.len() > 10 {
        let message = "1 validation error detected: 'names' must have between 1 and 10 members";
        return Err(AwsError::new("ValidationException", message));
    }
    let (found, missing): (Vec<_>, Vec<_>) = names.into_iter().partition(|name| find(tx, name).is_some());
    let found: Vec<Value> = found.into_iter().filter_map(|name| find(tx, name)).collect();
    Ok(json!({ "Parameters": found, "InvalidParameters": missing }))
}
