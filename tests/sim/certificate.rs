//! ACM: what it takes, what it lists, and that it keeps no keys.

use std::sync::Arc;

use aws_sdk_acm::{
    Client,
    error::ProvideErrorMetadata,
    primitives::Blob,
    types::{Filters, KeyAlgorithm, Tag},
};
use runner::sim::{Settings, Simulator, Source};

use super::sdk;

const RSA: &str = include_str!("../support/rsa.certificate.pem");
const RSA_KEY: &str = include_str!("../support/rsa.pkcs8.pem");

fn open(source: Source) -> (Arc<Simulator>, Client) {
    let sim = Arc::new(Simulator::open(source, 1).unwrap());
    sim.configure(Settings { lag: false, ..Settings::default() }).unwrap();
    let acm = Client::new(&sdk::config(&sim));
    (sim, acm)
}

/// A self-signed certificate and its key.
fn made(name: &str, days: u64) -> (String, String) {
    let day = std::time::Duration::from_secs(24 * 3600);
    let mut params = rcgen::CertificateParams::new([name.to_owned()]).unwrap();
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    params.not_before = rcgen::date_time_ymd(2025, 12, 1);
    params.not_after = rcgen::date_time_ymd(2026, 1, 1) + day * u32::try_from(days).unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

macro_rules! refused {
    ($call:expr) => {{
        let error = $call.send().await.expect_err("refused");
        (error.code().unwrap_or_default().to_owned(), error.message().unwrap_or_default().to_owned())
    }};
}

#[tokio::test]
async fn imports_are_checked() {
    let (_, acm) = open(Source::Fresh);
    let import = |certificate: &str, key: &str| {
        acm.import_certificate().certificate(Blob::new(certificate)).private_key(Blob::new(key))
    };
    let ((web, web_key), (api, api_key)) = (made("web.example.com", 90), made("api.example.com", 90));
    for (certificate, key, part) in [
        ("nothing", web_key.as_str(), "not in a valid PEM format"),
        (&format!("{web}{api}"), &web_key, "more than one certificate"),
        (&web, "nothing", "private key is not supported"),
        (&web, &api_key, "do not match"),
        (&made("web.example.com", 0).0, &web_key, "do not match"),
    ] {
        let (code, message) = refused!(import(certificate, key));
        assert!(code == "ValidationException" && message.contains(part), "{code}: {message}");
    }
    let (ended, key) = made("web.example.com", 0);
    assert!(refused!(import(&ended, &key)).1.contains("expired"));

    let tag = Tag::builder().key("Name").value("web").build().unwrap();
    let arn = import(&web, &web_key).tags(tag.clone()).send().await.unwrap().certificate_arn.unwrap();
    let (renewed, key) = made("shop.example.com", 180);
    let again = || import(&renewed, &key).certificate_arn(&arn);
    assert_eq!(refused!(again().tags(tag)).0, "InvalidParameterException");
    again().send().await.unwrap();
    assert!(refused!(import(RSA, RSA_KEY).certificate_arn(&arn)).1.contains("key type"));
    let shown = acm.describe_certificate().certificate_arn(&arn).send().await.unwrap().certificate.unwrap();
    assert_eq!((shown.domain_name(), shown.in_use_by().len()), (Some("shop.example.com"), 0));
    let tags = acm.list_tags_for_certificate().certificate_arn(&arn).send().await.unwrap();
    assert_eq!(tags.tags()[0].value(), Some("web"), "tags stay");
}

#[tokio::test]
async fn short_lists_have_rsa_keys_only() {
    let (_, acm) = open(Source::Fresh);
    let (web, key) = made("web.example.com", 90);
    for (certificate, key) in [(web.as_str(), key.as_str()), (RSA, RSA_KEY)] {
        let import = acm.import_certificate().certificate(Blob::new(certificate)).private_key(Blob::new(key));
        import.send().await.unwrap();
    }
    let names = async |filters: Option<Filters>| {
        let listed = acm.list_certificates().set_includes(filters).send().await.unwrap();
        let all = listed.certificate_summary_list.unwrap_or_default();
        all.into_iter().filter_map(|one| one.domain_name).collect::<Vec<_>>()
    };
    assert_eq!(names(None).await, ["rsa.example.com"]);
    let elliptic = Filters::builder().key_types(KeyAlgorithm::EcPrime256v1).build();
    assert_eq!(names(Some(elliptic)).await, ["web.example.com"]);
}

#[tokio::test]
async fn no_key_is_written_down() {
    let dir = tempfile::tempdir().unwrap();
    let (sim, acm) = open(Source::Dir(dir.path().to_owned()));
    let import = acm.import_certificate().certificate(Blob::new(RSA)).private_key(Blob::new(RSA_KEY));
    import.send().await.unwrap();
    let before = sim.observe();
    let secret = "PRIVATE KEY";
    let encoded = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, RSA_KEY);
    let written = |file: &str| std::fs::read_to_string(dir.path().join(file)).unwrap();
    assert!(written("log.jsonl").contains("ImportCertificate"));
    assert!(!written("log.jsonl").contains(secret) && !written("log.jsonl").contains(&encoded[..60]));
    drop((acm, sim));

    let (sim, _) = open(Source::Dir(dir.path().to_owned()));
    assert_eq!(sim.observe(), before, "the log alone brings it back");
    sim.close().unwrap();
    assert!(!written("snapshot.json").contains(secret));
}
