//! Checks from outside, answered by the simulated service.

use serde_json::json;

use crate::account::{Account, Ran};

const PROD: &str = "prod-deploy.rhai";

/// The shop of the prod runbook, live with this image.
fn shop(image: &str) -> Account {
    let account = Account::prompt();
    let ran = account.runbook(PROD, json!({ "image": image }));
    assert_eq!(ran.failure, None);
    account
}

fn checked(account: &Account, body: &str) -> Ran {
    account.script(&format!("environment(\"prod\");\nstack(\"shop\");\n{body}"), json!({}))
}

/// The failure of a check.
fn wrong(account: &Account, body: &str) -> String {
    checked(account, body).failure.unwrap_or_else(|| panic!("{body} is as expected"))
}

#[test]
fn the_service_answers_by_its_name() {
    let account = shop("ami-healthy-1");
    let ran = checked(
        &account,
        r#"
        let reply = http_check(#{
            url: "https://shop.example.com/health?full=1",
            expect: #{ status: 200, headers: #{ "content-type": "application/*" }, json: #{ "/status": "ok" }, max_latency: "1s" },
        });
        output("image", reply.json.image);
        output("status", reply.status);
        // As a load balancer without a name of its own is asked.
        let lb = find_load_balancer("shop-prod-web");
        http_check(#{ url: "https://shop.example.com/", connect_to: lb });
        // Plain HTTP goes to HTTPS.
        http_check(#{ url: "http://shop.example.com/a?b=c", expect: #{ status: 301, headers: #{ location: "https://shop.example.com:443/a?b=c" } } });
        http_check(#{ url: "https://shop.example.com:8443/", closed: true, timeout: "2s" });
        wait_http(#{ url: "https://shop.example.com/", expect: #{ body: "ami-healthy-1" }, every: "2s" });
        "#,
    );
    assert_eq!(ran.failure, None);
    assert_eq!((&ran.outputs["image"], &ran.outputs["status"]), (&json!("ami-healthy-1"), &json!(200)));
    assert_eq!(ran.mutations(), [""; 0], "a check changes nothing");
}

#[test]
fn what_is_wrong_is_said() {
    let account = shop("ami-healthy-1");
    for (body, words) in [
        (r#"http_check("https://nobody.example.com/")"#, "the name nobody.example.com leads to nobody"),
        (r#"http_check("https://shop.example.com:8443/")"#, "there was no reply within 10s"),
        (
            r#"http_check(#{ url: "https://shop.example.com/", expect: #{ status: "3xx" } })"#,
            "wanted status 3xx, found 200",
        ),
        (
            r#"http_check(#{ url: "https://shop.example.com/", expect: #{ body: "ami-2" } })"#,
            "wanted `ami-2` in the body",
        ),
        (r#"http_check(#{ url: "https://shop.example.com/", closed: true })"#, "wanted no reply, found status 200"),
        (
            r#"http_check(#{ url: "https://other.example.com/", connect_to: "shop.example.com" })"#,
            "not for other.example.com",
        ),
        (r#"http_check(#{ url: "ftp://shop.example.com/" })"#, "expected a URL as"),
        (
            r#"wait_http(#{ url: "https://shop.example.com/", expect: #{ status: 500 }, timeout: "20s" })"#,
            "not within 20s, last seen: wanted status 500, found 200",
        ),
    ] {
        let failure = wrong(&account, body);
        assert!(failure.contains(words), "{body}: {failure}");
    }
}

/// A deploy that checks what its users get is taken back when that is wrong.
#[test]
fn a_wrong_answer_takes_a_deploy_back() {
    let account = shop("ami-healthy-1");
    let ran = checked(
        &account,
        r#"
        ensure_vpc(#{ name: "other", cidr_block: "10.99.0.0/16" });
        http_check(#{ url: "https://shop.example.com/", expect: #{ json: #{ "/image": "ami-healthy-2" } }, retries: 2 });
        "#,
    );
    assert!(ran.failure.is_some_and(|failure| failure.contains(r#"wanted "ami-healthy-2" at /image"#)));
    assert!(ran.rollback.is_some_and(|report| report.is_clean() && report.done == 1));
}
