//! What moto can judge of operations whose contract it cannot try as a whole.

use serde_json::json;

use crate::{account::Account, moto::moto};

#[test]
fn a_launch_template_and_its_second_version() {
    let name = moto().new_account();
    let account = Account::moto(moto().url(), name.clone());
    let options = |image: &str| {
        json!({
            "name": "web", "image_id": image, "instance_type": "t3.small", "user_data": "#!/bin/sh\ntrue",
            "block_device_mappings": [{ "volume_size": 20 }], "tags": { "team": "web" },
        })
    };
    let mut run = account.run();
    assert_eq!(run.ok("ensure_launch_template", options("ami-healthy-1"))["version"], 1);
    let again = run.ok("ensure_launch_template", options("ami-healthy-1"));
    assert_eq!(again["change"], "unchanged", "{:?}", run.fields());
    assert_eq!(run.ok("ensure_launch_template", options("ami-healthy-2"))["version"], 2);
    assert_eq!(run.ok("ensure_launch_template", options("ami-healthy-1"))["version"], 1);

    let data = moto().boto3(
        &name,
        "client('ec2').describe_launch_template_versions(LaunchTemplateName='shop-prod-web', Versions=['2'])\
         ['LaunchTemplateVersions'][0]['LaunchTemplateData']",
    );
    assert_eq!(data["ImageId"], "ami-healthy-2");
    assert_eq!(data["MetadataOptions"]["HttpTokens"], "required");
    assert_eq!(data["BlockDeviceMappings"][0]["DeviceName"], "/dev/xvda");
    assert_eq!(data["BlockDeviceMappings"][0]["Ebs"]["Encrypted"], true);
    assert_eq!(data["UserData"], "IyEvYmluL3NoCnRydWU=");
}
