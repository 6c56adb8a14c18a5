//! IAM: what it refuses, what depends on what, and what it hands back.

use std::sync::Arc;

use aws_sdk_iam::{Client, error::ProvideErrorMetadata, types::Tag};
use runner::sim::{Settings, Simulator, Source};

use super::sdk;

const TRUST: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}]}"#;
const READ: &str =
    r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}]}"#;

fn iam() -> Client {
    let sim = Arc::new(Simulator::open(Source::Fresh, 1).unwrap());
    sim.configure(Settings { lag: false, ..Settings::default() }).unwrap();
    Client::new(&sdk::config(&sim))
}

/// Code and message of what must be refused.
macro_rules! refused {
    ($call:expr) => {{
        let error = $call.send().await.expect_err("refused");
        (error.code().unwrap_or_default().to_owned(), error.message().unwrap_or_default().to_owned())
    }};
}

#[tokio::test]
async fn what_is_used_is_not_deleted() {
    let iam = iam();
    let role = iam.create_role().role_name("web").path("/shop/").assume_role_policy_document(TRUST);
    let tag = Tag::builder().key("Name").value("web").build().unwrap();
    let made = role.clone().tags(tag).send().await.unwrap();
    let made = made.role().unwrap();
    assert_eq!(made.arn(), "arn:aws:iam::111122223333:role/shop/web");
    assert!(made.role_id().starts_with("AROA") && made.role_id().len() == 21, "{}", made.role_id());
    let document = made.assume_role_policy_document().unwrap();
    assert!(document.starts_with("%7B%22Version%22%3A%222012-10-17%22"), "{document}");
    let upper = iam.create_role().role_name("WEB").assume_role_policy_document(TRUST);
    assert_eq!(refused!(upper).0, "EntityAlreadyExists", "names differ by more than case");

    let policy = iam.create_policy().policy_name("read").policy_document(READ).send().await.unwrap();
    let arn = policy.policy().unwrap().arn().unwrap();
    iam.attach_role_policy().role_name("web").policy_arn(arn).send().await.unwrap();
    assert_eq!(refused!(iam.delete_policy().policy_arn(arn)).0, "DeleteConflict");
    iam.create_instance_profile().instance_profile_name("web").send().await.unwrap();
    let add = iam.add_role_to_instance_profile().instance_profile_name("web").role_name("web");
    add.clone().send().await.unwrap();
    let (code, message) = refused!(add);
    assert_eq!((code.as_str(), message.contains("InstanceSessionsPerInstanceProfile: 1")), ("LimitExceeded", true));
    let shown = iam.get_instance_profile().instance_profile_name("web").send().await.unwrap();
    assert_eq!(shown.instance_profile().unwrap().roles()[0].role_name(), "web");

    let delete = || iam.delete_role().role_name("web");
    assert_eq!(refused!(delete()).1, "Cannot delete entity, must remove roles from instance profile first.");
    assert_eq!(refused!(iam.delete_instance_profile().instance_profile_name("web")).0, "DeleteConflict");
    iam.remove_role_from_instance_profile().instance_profile_name("web").role_name("web").send().await.unwrap();
    assert_eq!(refused!(delete()).1, "Cannot delete entity, must detach all policies first.");
    iam.detach_role_policy().role_name("web").policy_arn(arn).send().await.unwrap();
    iam.put_role_policy().role_name("web").policy_name("own").policy_document(READ).send().await.unwrap();
    assert_eq!(refused!(delete()).1, "Cannot delete entity, must delete policies first.");
    iam.delete_role_policy().role_name("web").policy_name("own").send().await.unwrap();
    delete().send().await.unwrap();
    assert_eq!(refused!(delete()), ("NoSuchEntity".into(), "The role with name web cannot be found.".into()));
}

#[tokio::test]
async fn a_policy_has_five_versions() {
    let iam = iam();
    let policy = iam.create_policy().policy_name("read").policy_document(READ).send().await.unwrap();
    let arn = policy.policy().unwrap().arn().unwrap();
    let version = || iam.create_policy_version().policy_arn(arn).policy_document(READ).set_as_default(true);
    for _ in 2..=5 {
        version().send().await.unwrap();
    }
    assert_eq!(refused!(version()).0, "LimitExceeded");
    assert_eq!(refused!(iam.delete_policy_version().policy_arn(arn).version_id("v5")).0, "DeleteConflict");
    assert_eq!(refused!(iam.delete_policy().policy_arn(arn)).0, "DeleteConflict");
    iam.delete_policy_version().policy_arn(arn).version_id("v1").send().await.unwrap();
    let made = version().send().await.unwrap();
    assert_eq!(made.policy_version().unwrap().version_id(), Some("v6"), "numbers are used once");
}

#[tokio::test]
async fn documents_and_policies_are_checked() {
    let iam = iam();
    iam.create_role().role_name("web").assume_role_policy_document(TRUST).send().await.unwrap();
    let trust = |document: &str| iam.create_role().role_name("api").assume_role_policy_document(document);
    for (document, message) in [
        ("{", "Syntax errors in policy."),
        (READ, "Has prohibited field Resource"),
        (&TRUST.replace("ec2.amazonaws.com", "ec2"), r#"Invalid principal in policy: "SERVICE":"ec2""#),
        (&TRUST.replace("sts:", "s3:"), "AssumeRole policy may only specify STS AssumeRole actions."),
    ] {
        assert_eq!(refused!(trust(document)), ("MalformedPolicyDocument".into(), message.into()));
    }
    let nobody = TRUST.replace(r#""Service":"ec2.amazonaws.com""#, r#""AWS":"arn:aws:iam::111122223333:role/nobody""#);
    assert!(refused!(trust(&nobody)).1.starts_with("Invalid principal in policy: \"AWS\""));
    trust(&nobody.replace("nobody", "web")).send().await.unwrap();
    let put = iam.put_role_policy().role_name("web").policy_name("own").policy_document(TRUST);
    assert_eq!(refused!(put).1, "Policy document should not specify a principal.");

    let attach = |arn: &str| iam.attach_role_policy().role_name("web").policy_arn(arn);
    attach("arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore").send().await.unwrap();
    assert_eq!(refused!(attach("arn:aws:iam::aws:policy/AmazonSSMManagedInstanceKernel")).0, "NoSuchEntity");
    let long = "x".repeat(65);
    assert_eq!(refused!(iam.create_role().role_name(long).assume_role_policy_document(TRUST)).0, "ValidationError");
}

#[tokio::test]
async fn lists_come_in_pages() {
    let iam = iam();
    for name in ["a", "b", "c"] {
        iam.create_role().role_name(name).assume_role_policy_document(TRUST).send().await.unwrap();
    }
    let first = iam.list_roles().max_items(2).send().await.unwrap();
    assert!(first.is_truncated() && first.roles().len() == 2);
    let second = iam.list_roles().max_items(2).set_marker(first.marker).send().await.unwrap();
    assert!(!second.is_truncated());
    assert_eq!(second.roles()[0].role_name(), "c");
}
