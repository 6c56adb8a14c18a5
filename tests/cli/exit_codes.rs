//! Every exit code that can be reached so far, on a runbook that reaches it.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    process::Command,
    thread,
    time::Duration,
};

use crate::project::{Project, Ran};

const SETTINGS: &str = "[environments.prod]\nregion = \"eu-central-1\"\n";
const HEAD: &str = "environment(\"prod\");\nstack(\"shop\");\n";

fn run(body: &str, arguments: &[&str]) -> Ran {
    let project = Project::new().file("runner.toml", SETTINGS).file("deploy.rhai", &format!("{HEAD}{body}"));
    project.runner(&[&["run", "deploy.rhai"], arguments].concat())
}

fn simulated(body: &str) -> Ran {
    run(body, &["--sim", "--world", "fresh"])
}

/// What is shown, but for the time it took here.
fn snapshot(name: &str, ran: &Ran) {
    let mut settings = insta::Settings::clone_current();
    settings.add_filter(r"time .*", "time      [time]");
    settings.bind(|| insta::assert_snapshot!(name, ran));
}

#[test]
fn done_0() {
    let ran = simulated("ensure_vpc(#{ name: \"main\", cidr_block: \"10.0.0.0/16\" });");
    assert_eq!(ran.code, Some(0), "{ran}");
}

#[test]
fn failed_before_anything_was_changed_1() {
    // The range is refused by AWS, not by us: it is a range, and too large a one.
    let ran = simulated("ensure_vpc(#{ name: \"main\", cidr_block: \"10.0.0.0/8\" });");
    assert_eq!(ran.code, Some(1), "{ran}");
    snapshot("failed_before_anything_was_changed", &ran);
}

#[test]
fn a_script_error_3() {
    let ran = simulated("let x = 1 + [];");
    assert_eq!(ran.code, Some(3), "{ran}");
}

#[test]
fn no_credentials_4() {
    let ran = run("", &[]);
    assert_eq!(ran.code, Some(4), "{ran}");
    assert!(ran.stderr.contains("add `--sim`"), "{ran}");
}

#[test]
fn an_endpoint_that_is_not_there_1() {
    let project = Project::new().file("runner.toml", SETTINGS).file("deploy.rhai", HEAD);
    let keys = [("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test")];
    let ran = project.runner_in(&["run", "deploy.rhai", "--endpoint-url", "http://127.0.0.1:1"], &keys);
    assert_eq!(ran.code, Some(1), "{ran}");
    assert!(ran.stderr.contains("cannot be reached"), "{ran}");
}

#[test]
fn failed_and_rolled_back_10() {
    let ran = simulated("ensure_vpc(#{ name: \"main\", cidr_block: \"10.0.0.0/16\" });\nfail(\"on purpose\");");
    assert_eq!(ran.code, Some(10), "{ran}");
    snapshot("failed_and_rolled_back", &ran);
}

#[test]
fn a_hook_that_fails_11() {
    let body =
        "on_rollback(|| throw \"no\");\nensure_vpc(#{ name: \"main\", cidr_block: \"10.0.0.0/16\" });\nfail(\"x\");";
    let ran = simulated(body);
    assert_eq!(ran.code, Some(11), "{ran}");
    assert!(ran.stderr.contains("delete vpc"), "the undos after it had their turn: {ran}");
    let quiet = run(body, &["--sim", "--world", "fresh", "-q"]);
    assert!(quiet.stderr.contains("hook deploy.rhai:3") && !quiet.stderr.contains("delete vpc"), "{quiet}");
}

#[test]
fn after_the_point_of_no_return_12() {
    let body = "ensure_vpc(#{ name: \"main\", cidr_block: \"10.0.0.0/16\" });\ncommit(\"live\");\nfail(\"clean-up\");";
    let ran = simulated(body);
    assert_eq!(ran.code, Some(12), "{ran}");
}

/// Nothing was deployed, so there is nothing to clean up.
#[test]
fn after_the_point_of_no_return_of_a_run_that_changed_nothing_3() {
    let ran = simulated("commit(\"live\");\nfail(\"the check after it\");");
    assert_eq!(ran.code, Some(3), "{ran}");
}

/// A server that answers one request. Its thread returns the request's head.
fn answer_once(status: &'static str, body: &'static str) -> (String, thread::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let server = thread::spawn(move || {
        let (stream, _) = listener.accept().expect("a connection");
        let mut reader = BufReader::new(stream);
        let lines = reader.by_ref().lines().map_while(Result::ok);
        let head: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        reader.get_mut().write_all(answer.as_bytes()).expect("sent");
        head
    });
    (url, server)
}

#[test]
fn credentials_that_end_soon_are_warned_of() {
    let body = "<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn:aws:sts::123456789012:assumed-role/ci/run</Arn>\
                <UserId>U</UserId><Account>123456789012</Account></GetCallerIdentityResult>\
                <ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></GetCallerIdentityResponse>";
    let (url, server) = answer_once("200 OK", body);
    let expires = jiff::Timestamp::now() + Duration::from_secs(20 * 60);
    let keys = format!(
        r#"{{ "Version": 1, "AccessKeyId": "test", "SecretAccessKey": "test", "SessionToken": "t", "Expiration": "{}" }}"#,
        expires.strftime("%Y-%m-%dT%H:%M:%SZ")
    );
    let project = Project::new().file("runner.toml", SETTINGS).file("deploy.rhai", HEAD).file("keys.json", &keys);
    let keys = project.path().join("keys.json").display().to_string();
    let project = project.file("aws", &format!("[default]\ncredential_process = cat {keys}\n"));
    let config = project.path().join("aws").display().to_string();
    let variables = [("AWS_CONFIG_FILE", config.as_str()), ("PATH", "/usr/bin:/bin")];
    let ran = project.runner_in(&["run", "deploy.rhai", "--endpoint-url", &url], &variables);
    assert_eq!(ran.code, Some(0), "{ran}");
    assert!(ran.stderr.contains("the AWS credentials end in 19 min"), "{ran}");
    server.join().expect("the server ended");
}

/// Also: what AWS sees of us is in the user agent.
#[test]
fn refused_credentials_4() {
    let body = "<ErrorResponse><Error><Type>Sender</Type><Code>InvalidClientTokenId</Code>\
                <Message>The security token included in the request is invalid.</Message></Error>\
                <RequestId>7</RequestId></ErrorResponse>";
    let (url, server) = answer_once("403 Forbidden", body);
    let project = Project::new().file("runner.toml", SETTINGS).file("deploy.rhai", HEAD);
    let keys = [("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test")];
    let ran = project.runner_in(&["run", "deploy.rhai", "--endpoint-url", &url], &keys);
    assert_eq!(ran.code, Some(4), "{ran}");
    assert!(ran.stderr.contains("InvalidClientTokenId"), "{ran}");

    let run = ran.stderr.lines().find_map(|line| line.strip_prefix("run ")).expect("the run's id").trim().to_owned();
    let head = server.join().expect("the server ended");
    let agent = head.iter().find(|line| line.to_lowercase().starts_with("user-agent:")).expect("a user agent");
    assert!(agent.contains(&format!("app/runner-{}-{run}", env!("CARGO_PKG_VERSION"))), "{agent}");
}

/// Starts a run that does not end by itself, and sends it `signals` once it has changed something.
fn interrupted(hook: &str, signals: usize) -> (Option<i32>, String) {
    let body = format!(
        "ensure_vpc(#{{ name: \"main\", cidr_block: \"10.0.0.0/16\" }});\non_rollback(|| {{ {hook} }});\nlog(\"ready\");\nwhile true {{ find_vpc(\"default\"); }}\n"
    );
    let project = Project::new().file("runner.toml", SETTINGS).file("deploy.rhai", &format!("{HEAD}{body}"));
    let mut run = project.start(&["run", "deploy.rhai", "--sim", "--world", "fresh"]);
    let mut lines = BufReader::new(run.stderr.take().expect("stderr is a pipe")).lines().map_while(Result::ok);
    let mut seen = String::new();
    for line in lines.by_ref() {
        seen += &format!("{line}\n");
        if line.contains("ready") {
            break;
        }
    }
    for _ in 0..signals {
        let sent = Command::new("kill").args(["-INT", &run.id().to_string()]).status().expect("kill is there");
        assert!(sent.success());
        thread::sleep(Duration::from_millis(20));
    }
    seen.extend(lines.map(|line| line + "\n"));
    (run.wait().expect("it ends").code(), seen)
}

#[test]
fn one_ctrl_c_rolls_back_10() {
    let (code, stderr) = interrupted("log(\"hook\")", 1);
    assert_eq!(code, Some(10), "{stderr}");
    assert!(stderr.contains("delete vpc shop-prod-main"), "{stderr}");
    assert!(stderr.contains("interrupted"), "{stderr}");
}

#[test]
fn two_leave_at_once_8() {
    let (code, stderr) = interrupted("while true { }", 2);
    assert_eq!(code, Some(8), "{stderr}");
    assert!(!stderr.contains("delete vpc"), "{stderr}");
}
