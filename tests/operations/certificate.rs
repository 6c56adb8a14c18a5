//! Certificates.

use runner::{event::Event, ops::Error};
use serde_json::{Value, json};

use crate::{
    account::{Account, Trial},
    contract::{assert_same, contract},
    load_balancing::{balancer, network},
    moto::moto,
};

const RSA: &str = include_str!("../support/rsa.certificate.pem");
const RSA_KEY: &str = include_str!("../support/rsa.pkcs1.pem");

fn self_signed() -> Value {
    json!({ "name": "web", "method": "self_signed", "domain_name": "shop.example.com" })
}

fn imported() -> Value {
    json!({ "name": "own", "method": "imported", "certificate": RSA, "private_key": { "$secret": RSA_KEY } })
}

fn requested(run: &mut Trial<'_>, zone: &str) -> Value {
    let handle = run.ok("ensure_hosted_zone", json!({ "name": zone }));
    json!({
        "name": "web", "domain_name": format!("shop.{zone}"), "hosted_zone_id": handle,
        "subject_alternative_names": [zone, format!("*.{zone}")],
    })
}

#[test]
fn ensure_certificate() {
    let contract = contract("ensure_certificate", |_| {
        let mut changed = self_signed();
        changed["tags"] = json!({ "team": "web" });
        (self_signed(), changed)
    });
    assert_eq!(contract.created, ["acm:ImportCertificate"]);
    assert_eq!(contract.updated, ["acm:AddTagsToCertificate"]);
    assert_eq!((contract.created_depth, contract.unchanged_depth), (2, 3));
}

#[test]
fn a_self_signed_certificate_is_renewed_before_it_ends() {
    let account = Account::new();
    let mut options = self_signed();
    options["validity"] = json!("31d");
    let made = account.run().ok("ensure_certificate", options.clone());
    assert_eq!(account.run().ok("ensure_certificate", options.clone())["change"], "unchanged");
    let two_days = std::time::Duration::from_secs(2 * 24 * 3600);
    account.simulator().advance(account.simulator().clock() + two_days);
    let mut run = account.run();
    let renewed = run.ok("ensure_certificate", options.clone());
    assert_eq!((&renewed["change"], &renewed["certificate_arn"]), (&json!("updated"), &made["certificate_arn"]));
    assert_eq!(run.mutations(), ["acm:ImportCertificate"]);
    // It stays: what is there now is as good as what was, and ends later.
    assert!(run.roll_back().is_clean());
    assert_eq!(account.run().ok("ensure_certificate", options)["change"], "unchanged");
}

#[test]
fn changed_names_are_a_new_certificate_under_the_same_arn() {
    let account = Account::new();
    let made = account.run().ok("ensure_certificate", self_signed());
    let mut renamed = self_signed();
    renamed["domain_name"] = json!("www.example.com");
    renamed["subject_alternative_names"] = json!(["*.example.com"]);
    let mut run = account.run();
    let changed = run.ok("ensure_certificate", renamed.clone());
    assert_eq!((&changed["change"], &changed["certificate_arn"]), (&json!("updated"), &made["certificate_arn"]));
    assert_eq!(account.run().ok("ensure_certificate", renamed)["change"], "unchanged");
    assert!(run.roll_back().is_clean());
    assert_eq!(account.run().ok("ensure_certificate", self_signed())["change"], "unchanged");
}

#[test]
fn a_certificate_of_ones_own_is_imported() {
    let account = Account::new();
    let before = account.observe();
    let mut run = account.run();
    let made = run.ok("ensure_certificate", imported());
    assert_eq!((&made["change"], &made["domain_name"]), (&json!("created"), &json!("rsa.example.com")));
    assert_eq!(run.ok("ensure_certificate", imported())["change"], "unchanged");
    assert!(run.roll_back().is_clean());
    assert_same(&account.observe(), &before, "undone");
}

#[test]
fn a_key_goes_nowhere_but_into_its_request() {
    let account = Account::new();
    let mut run = account.run();
    run.ok("ensure_certificate", imported());
    run.ok("ensure_certificate", self_signed());
    let seen = format!("{:?} {} {}", run.events(), account.observe(), account.journals());
    assert!(seen.contains("acm:ImportCertificate"));
    let line_of_the_key = RSA_KEY.lines().nth(5).expect("a long key");
    assert!(!seen.contains(line_of_the_key) && !seen.contains("PRIVATE KEY"));
}

#[test]
fn same_seed_same_events_although_keys_differ() {
    let events = || {
        let account = Account::seeded(5);
        let mut run = account.run();
        run.ok("ensure_certificate", self_signed());
        let events: Vec<Event> = run.events();
        format!("{events:?}")
    };
    assert_eq!(events(), events());
}

#[test]
fn acm_issues_once_the_zone_says_so() {
    let account = Account::new();
    let before = account.observe();
    let mut run = account.run();
    let options = requested(&mut run, "example.com");
    let made = run.ok("ensure_certificate", options.clone());
    assert_eq!(made["change"], "created");
    let names = json!(["shop.example.com", "example.com", "*.example.com"]);
    assert_eq!(made["subject_alternative_names"], names);
    let validation = run.mutations().into_iter().filter(|call| call == "route53:ChangeResourceRecordSets").count();
    assert_eq!(validation, 1, "all records in one change");
    assert_eq!(account.run().ok("ensure_certificate", options)["change"], "unchanged");
    let found = account.run().ok("find_certificate", json!({ "domain_name": "www.example.com" }));
    assert_eq!(found["certificate_arn"], made["certificate_arn"]);
    assert!(run.roll_back().is_clean());
    assert_same(&account.observe(), &before, "undone");
}

/// Without its records ACM could not renew it.
#[test]
fn an_issued_certificate_gets_its_records_back() {
    let account = Account::new();
    let options = requested(&mut account.run(), "example.com");
    account.simulator().ask_for(["acm:DeleteCertificate#1+=denied".parse().expect("a fault")]);
    let mut run = account.run();
    let made = run.ok("ensure_certificate", options.clone());
    let with_records = account.observe();
    assert!(!run.roll_back().is_clean(), "the certificate stays, its records do not");
    let without_records = account.observe();
    let mut run = account.run();
    let mended = run.ok("ensure_certificate", options.clone());
    assert_eq!((&mended["change"], &mended["certificate_arn"]), (&json!("updated"), &made["certificate_arn"]));
    assert_eq!(run.mutations(), ["route53:ChangeResourceRecordSets"]);
    assert_eq!(account.observe()["route53"], with_records["route53"]);
    assert_eq!(account.run().ok("ensure_certificate", options)["change"], "unchanged");
    assert!(run.roll_back().is_clean());
    assert_same(&account.observe(), &without_records, "undone");
}

#[test]
fn acm_issues_on_moto_too() {
    let name = moto().new_account();
    let account = Account::moto(moto().url(), name.clone());
    let before = moto().boto3(&name, "observe()");
    let mut run = account.run();
    let options = requested(&mut run, "example.com");
    assert_eq!(run.ok("ensure_certificate", options.clone())["change"], "created");
    let status = "[client('acm').describe_certificate(CertificateArn=c['CertificateArn'])['Certificate']['Status'] \
        for c in client('acm').list_certificates()['CertificateSummaryList']]";
    assert_eq!(moto().boto3(&name, status), json!(["ISSUED"]));
    let records = "sorted({r['Type'] for z in client('route53').list_hosted_zones()['HostedZones'] \
        for r in client('route53').list_resource_record_sets(HostedZoneId=z['Id'])['ResourceRecordSets']})";
    assert_eq!(moto().boto3(&name, records), json!(["CNAME", "NS", "SOA"]));
    assert_eq!(account.run().ok("ensure_certificate", options)["change"], "unchanged");
    assert!(run.roll_back().is_clean());
    assert_same(&moto().boto3(&name, "observe()"), &before, "undone");
}

#[test]
fn renewed_on_moto_it_keeps_its_tags() {
    let name = moto().new_account();
    let account = Account::moto(moto().url(), name.clone());
    let made = account.run().ok("ensure_certificate", self_signed());
    let mut renamed = self_signed();
    renamed["subject_alternative_names"] = json!(["www.example.com"]);
    let changed = account.run().ok("ensure_certificate", renamed.clone());
    assert_eq!((&changed["change"], &changed["certificate_arn"]), (&json!("updated"), &made["certificate_arn"]));
    assert_eq!(account.run().ok("ensure_certificate", renamed)["change"], "unchanged");
}

#[test]
fn a_zone_nobody_delegates_to_is_named_with_its_name_servers() {
    let account = Account::new();
    let mut run = account.run();
    let options = requested(&mut run, "undelegated.example.com");
    let error = run.op("ensure_certificate", options.clone()).expect_err("too late");
    assert!(matches!(&error, Error::TimedOut { timeout, .. } if timeout.as_secs() == 1800), "{error}");
    let message = error.to_string();
    assert!(message.contains("PENDING_VALIDATION") && message.contains(".awsdns-"), "{message}");
    assert!(run.roll_back().is_clean());
}

#[test]
fn a_request_that_was_left_waiting_is_taken_up_again() {
    let account = Account::new();
    let mut options = requested(&mut account.run(), "example.com");
    options["timeout"] = json!("10s");
    account.run().op("ensure_certificate", options.clone()).expect_err("too early");
    options["timeout"] = json!("10m");
    let mut run = account.run();
    assert_eq!(run.ok("ensure_certificate", options)["change"], "updated");
    assert_eq!(run.mutations(), [""; 0]);
}

#[test]
fn what_acm_cannot_issue_is_given_up_at_once() {
    let account = Account::new();
    let mut run = account.run();
    let options = requested(&mut run, "shop.test");
    let error = run.op("ensure_certificate", options).expect_err("hopeless");
    assert!(matches!(&error, Error::Hopeless { reason, .. } if reason.contains("INVALID_PUBLIC_DOMAIN")), "{error}");
}

#[test]
fn names_of_an_issued_certificate_cannot_be_changed() {
    let account = Account::new();
    let mut run = account.run();
    let mut options = requested(&mut run, "example.com");
    run.ok("ensure_certificate", options.clone());
    options["subject_alternative_names"] = json!([]);
    let error = account.run().op("ensure_certificate", options).expect_err("refused");
    assert!(matches!(error, Error::NeedsReplacement { field: "names", .. }), "{error}");
}

#[test]
fn a_certificate_of_another_stack_is_not_found_by_name() {
    let account = Account::new();
    let mut theirs = account.run();
    theirs.run.set_stack("shop-staging".into());
    let made = theirs.ok("ensure_certificate", self_signed());
    let ours = account.run().ok("ensure_certificate", self_signed());
    assert_eq!(ours["change"], "created");
    assert_ne!(ours["certificate_arn"], made["certificate_arn"]);
}

#[test]
fn what_a_listener_uses_goes_after_it() {
    let account = Account::new();
    let before = account.observe();
    let mut run = account.run();
    let certificate = run.ok("ensure_certificate", self_signed());
    let zone = run.ok("ensure_hosted_zone", json!({ "name": "example.com" }));
    let network = network(&mut run);
    let balancer = balancer(&mut run, &network);
    let listener = json!({
        "load_balancer": balancer, "port": 443, "protocol": "HTTPS", "certificates": [certificate],
        "default_action": { "fixed_response": { "status_code": 200 } },
    });
    run.ok("ensure_listener", listener);
    let name = json!({ "hosted_zone_id": zone, "name": "shop.example.com", "type": "A", "alias": balancer });
    run.ok("ensure_record", name);
    let observed = account.observe().to_string();
    assert!(observed.contains(balancer["canonical_hosted_zone_id"].as_str().expect("a zone")), "{observed}");
    let report = run.roll_back();
    assert!(report.is_clean(), "{report:?}");
    assert_same(&account.observe(), &before, "undone");
}

#[test]
fn wrong_options_say_where() {
    let account = Account::new();
    let mut run = account.run();
    let mut place = |options: Value| match run.op("ensure_certificate", options).expect_err("refused") {
        Error::Option { path, .. } => path,
        other => panic!("{other}"),
    };
    let with = |mut options: Value, field: &str, value: Value| {
        options[field] = value;
        options
    };
    assert_eq!(place(json!({ "name": "web", "domain_name": "shop.example.com" })), "hosted_zone_id");
    assert_eq!(place(with(self_signed(), "hosted_zone_id", json!("Z1"))), "hosted_zone_id");
    assert_eq!(place(with(self_signed(), "key_algorithm", json!("RSA_2048"))), "key_algorithm");
    assert_eq!(place(with(self_signed(), "validity", json!("20d"))), "validity");
    assert_eq!(place(with(self_signed(), "validity", json!("4000000d"))), "validity");
    assert_eq!(place(with(imported(), "certificate", json!("nothing"))), "certificate");
    assert_eq!(place(with(imported(), "private_key", json!("nothing"))), "private_key");
    assert_eq!(place(with(imported(), "domain_name", json!("shop.example.com"))), "domain_name");
}
