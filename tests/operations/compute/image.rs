//! `find_image`.

use runner::ops::Error;
use serde_json::{Value, json};

use crate::account::Account;

fn found(options: Value) -> Result<String, Error> {
    let account = Account::new();
    let mut run = account.run();
    let image = run.op("find_image", options)?;
    assert_eq!(run.mutations(), [""; 0]);
    Ok(image["image_id"].as_str().unwrap_or_default().to_owned())
}

#[test]
fn by_id() {
    assert_eq!(found(json!({ "image_id": "ami-healthy-7" })).unwrap(), "ami-healthy-7");
    let error = found(json!({ "image_id": "ami-12345678" })).unwrap_err();
    assert!(error.is(&["InvalidAMIID.NotFound"]), "{error}");
}

#[test]
fn the_newest_of_a_name() {
    assert_eq!(found(json!({ "name": "shop-healthy-?" })).unwrap(), "ami-healthy-3");
    let amazons = json!({ "name": "al2023-ami-2023.*", "owners": ["amazon"], "architecture": "x86_64" });
    assert_eq!(found(amazons).unwrap(), "ami-0a1b2c3d4e5f60003");
    let error = found(json!({ "name": "al2023-ami-2023.*" })).unwrap_err();
    assert_eq!(error.to_string(), "an available image al2023-ami-2023.* was not found");
    assert!(error.hint().unwrap_or_default().contains("owners"));
}

#[test]
fn by_tags() {
    assert_eq!(found(json!({ "tags": { "service": "shop", "version": "2" } })).unwrap(), "ami-healthy-2");
}

#[test]
fn by_parameter() {
    let arm = json!({ "ssm_parameter": "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64" });
    assert_eq!(found(arm).unwrap(), "ami-0a1b2c3d4e5f60004");
    let error = found(json!({ "ssm_parameter": "/shop/image" })).unwrap_err();
    assert!(error.is(&["ParameterNotFound"]), "{error}");
}

#[test]
fn what_cannot_be_launched_is_refused() {
    let error = found(json!({ "image_id": "ami-pending-1" })).unwrap_err();
    assert_eq!(error.to_string(), "refused: image ami-pending-1: its state is pending, not available");
    let error = found(json!({ "image_id": "ami-healthy-1", "architecture": "arm64" })).unwrap_err();
    assert_eq!(error.to_string(), "ami-healthy-1 is for x86_64, not arm64");
    let error = found(json!({ "image_id": "ami-healthy-1", "name": "shop-*" })).unwrap_err();
    assert!(matches!(error, Error::Option { .. }), "{error}");
}
