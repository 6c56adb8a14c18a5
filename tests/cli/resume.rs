//! Runs that are killed, suspended, asked about, resumed and taken back, through the command line. Each command is a process
//! of its own, as it is on another machine.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    process::Command,
    thread,
};

use serde_json::Value;

use crate::{
    moto::moto,
    project::{Project, Ran},
};

const SETTINGS: &str = "[environments.prod]\nregion = \"eu-central-1\"\n[environments.prod.vars]\nsize = 1\n";
const HEAD: &str = "let env = environment(\"prod\");\nstack(\"shop\");\n";

/// A runbook that makes two things, and says so in between.
const TWO: &str = "let vpc = ensure_vpc(#{ name: \"main\", cidr_block: \"10.0.0.0/16\" });\n\
                   log(`size ${env.vars.size}`);\n\
                   ensure_security_group(#{ name: \"web\", vpc_id: vpc, description: \"web\" });\n";

fn project(body: &str) -> Project {
    Project::new().file("runner.toml", SETTINGS).file("deploy.rhai", &format!("{HEAD}{body}"))
}

fn run(project: &Project, arguments: &[&str]) -> Ran {
    project.runner(&[&["run", "deploy.rhai", "--sim"], arguments].concat())
}

/// The id of the newest run, and how it stands.
fn newest(project: &Project) -> (String, Value) {
    let ran = project.runner(&["runs", "--json", "--last", "1"]);
    let run: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran}"));
    (run["run"].as_str().expect("an id").to_owned(), run)
}

/// The time in the simulated AWS, as it was left.
fn world_time(project: &Project) -> String {
    let world = std::fs::read(project.path().join(".runner/sim/snapshot.json")).expect("the world is kept");
    let world: Value = serde_json::from_slice(&world).expect("it is JSON");
    world["now"].as_str().expect("a time").to_owned()
}

/// A run that was killed at this call.
fn killed(project: &Project, fault: &str) -> String {
    let ran = run(project, &["--sim-fault", fault]);
    assert_eq!(ran.code, None, "it was to be killed: {ran}");
    newest(project).0
}

#[test]
fn a_killed_run_is_gone_on_with() {
    for fault in [
        "ec2:CreateVpc#1=crash-before",
        "ec2:CreateVpc#1=crash-after",
        "ec2:CreateSecurityGroup#1=crash-before",
        "ec2:CreateSecurityGroup#1=crash-after",
        "ec2:DescribeVpcs#1=crash-before",
    ] {
        let project = project(TWO);
        let id = killed(&project, fault);
        assert_eq!(newest(&project).1["state"], "forward", "{fault}");
        let ran = project.runner(&["resume", &id]);
        assert_eq!(ran.code, Some(0), "{fault}: {ran}");
        assert!(ran.stderr.contains("goes on"), "{ran}");
        // What is there is what a run without trouble makes, and the next one finds it so.
        let again = run(&project, &["--json"]);
        assert!(again.stdout.contains(r#""created":0,"updated":0,"deleted":0,"unchanged":2"#), "{fault}: {again}");
        let ran = project.runner(&["resume", &id]);
        assert_eq!(ran.code, Some(3), "{ran}");
        assert!(ran.stderr.contains("has ended: done"), "{ran}");
    }
}

/// What was waited for has happened in the simulated AWS as well, which keeps only the time of its last change.
#[test]
fn time_that_is_on_record_has_passed() {
    let project = project(&TWO.replace("log(", "sleep(\"5m\");\nlog("));
    let id = killed(&project, "ec2:CreateSecurityGroup#1=crash-before");
    let ran = project.runner(&["resume", &id]);
    assert_eq!(ran.code, Some(0), "{ran}");
    let time = world_time(&project);
    assert!(time.as_str() > "2026-01-01T00:05:00Z" && time.starts_with("2026-01-01T00:0"), "{time}");
}

/// Whoever answers has no simulated AWS at hand, and does not move its time to that of the real world.
#[test]
fn an_answer_takes_no_simulated_time() {
    let project = project(ASKS);
    assert_eq!(run(&project, &[]).code, Some(8));
    let (id, _) = newest(&project);
    assert_eq!(project.runner(&["approve", &id]).code, Some(0));
    assert_eq!(project.runner(&["resume", &id]).code, Some(0));
    assert!(world_time(&project).starts_with("2026-01-01T00:00:"), "{}", world_time(&project));
    let records = project.runner(&["show", &id, "--records"]);
    for line in records.stdout.lines() {
        assert!(line.starts_with(r#"{"at":"2026-01-01T00:00:"#), "{line}");
    }
}

#[test]
fn a_killed_run_is_taken_back_without_its_script() {
    let project = project(&format!("on_rollback(\"tell\", || log(\"taken back\"));\n{TWO}"));
    let id = killed(&project, "ec2:CreateSecurityGroup#1=crash-after");
    std::fs::remove_file(project.path().join("deploy.rhai")).expect("it was there");
    let plan = project.runner(&["show", &id, "--undo-plan"]);
    assert!(plan.stdout.contains("delete security group shop-prod-web"), "{plan}");
    let ran = project.runner(&["rollback", &id]);
    assert_eq!(ran.code, Some(0), "{ran}");
    assert!(ran.stderr.contains("delete vpc shop-prod-main"), "{ran}");
    // The journal has the script, and the hook is in it.
    assert!(ran.stderr.contains("taken back") && ran.stderr.contains("hook tell"), "{ran}");
    assert_eq!(newest(&project).1["exit_code"], 10);
    let ran = project.runner(&["rollback", &id]);
    assert!(ran.code == Some(3) && ran.stderr.contains("was rolled back already"), "{ran}");
}

#[test]
fn a_run_that_succeeded_is_taken_back_until_its_point_of_no_return() {
    let body = project(TWO);
    assert_eq!(run(&body, &[]).code, Some(0));
    let (id, _) = newest(&body);
    let ran = body.runner(&["rollback", &id, "--reason", "second thoughts"]);
    assert_eq!(ran.code, Some(0), "{ran}");
    assert!(run(&body, &["--json"]).stdout.contains(r#""created":2"#));

    let committed = project(&format!("{TWO}commit(\"it is live\");\n"));
    assert_eq!(run(&committed, &[]).code, Some(0));
    let ran = committed.runner(&["rollback", &newest(&committed).0]);
    assert!(ran.code == Some(3) && ran.stderr.contains("point of no return"), "{ran}");
}

/// The script of a run is the one it began with, and so are the settings it has seen.
#[test]
fn what_the_run_began_with_counts() {
    let project = project(TWO);
    let id = killed(&project, "ec2:CreateVpc#1=crash-after");
    let project = project
        .file("deploy.rhai", &format!("{HEAD}ensure_vpc(#{{ name: \"other\", cidr_block: \"10.9.0.0/16\" }});\n"))
        .file("runner.toml", &SETTINGS.replace("size = 1", "size = 2"));
    let checked = project.runner(&["check", "deploy.rhai", "--against", &id]);
    assert_eq!(checked.code, Some(3), "{checked}");
    assert!(checked.stderr.contains("is not what the journal has") && checked.stderr.contains("other"), "{checked}");
    let other = project.runner(&["resume", &id, "--script", "deploy.rhai"]);
    assert_eq!(other.code, Some(3), "{other}");
    let ran = project.runner(&["resume", &id]);
    assert_eq!(ran.code, Some(0), "{ran}");
    assert!(ran.stderr.contains("size 1"), "{ran}");
}

/// A script that has changed where the run has not come to yet is one that goes on.
#[test]
fn another_script_goes_on_if_it_does_what_was_done() {
    let project = project(TWO);
    let id = killed(&project, "ec2:CreateSecurityGroup#1=crash-before");
    let project = project.file("deploy.rhai", &format!("{HEAD}{TWO}log(\"more\");\n"));
    let checked = project.runner(&["check", "deploy.rhai", "--against", &id]);
    assert_eq!(checked.code, Some(0), "{checked}");
    let ran = project.runner(&["resume", &id, "--script", "deploy.rhai"]);
    assert_eq!(ran.code, Some(0), "{ran}");
    assert!(ran.stderr.contains("more"), "{ran}");
}

#[test]
fn a_secret_is_given_again_and_has_to_be_the_same() {
    let body = "let secret = param(\"token\", #{ secret: true });\nlet who = param(\"who\");\nensure_vpc(#{ name: \"main\", cidr_block: \"10.0.0.0/16\", tags: #{ who: who } });\n";
    let project = project(body);
    let ran = run(
        &project,
        &["--param", "token=hunter2hunter2", "--param", "who=anna", "--sim-fault", "ec2:CreateVpc#1=crash-after"],
    );
    assert_eq!(ran.code, None, "{ran}");
    let (id, _) = newest(&project);
    let records = project.runner(&["show", &id, "--records"]);
    assert!(!records.stdout.contains("hunter2") && records.stdout.contains("anna"), "{records}");
    let ran = project.runner(&["resume", &id]);
    assert!(ran.code == Some(3) && ran.stderr.contains("`token` is a secret"), "{ran}");
    let ran = project.runner(&["resume", &id, "--param", "token=other"]);
    assert!(ran.code == Some(3) && ran.stderr.contains("another value of the parameter `token`"), "{ran}");
    let ran = project.runner(&["resume", &id, "--param", "token=hunter2hunter2"]);
    assert_eq!(ran.code, Some(0), "{ran}");
}

const ASKS: &str = "ensure_vpc(#{ name: \"main\", cidr_block: \"10.0.0.0/16\" });\n\
                    approve(\"Go on?\", #{ timeout: \"1h\" });\n\
                    log(\"it went on\");\n";

#[test]
fn an_approval_suspends_keeps_the_lock_and_goes_on() {
    let project = project(ASKS);
    let ran = run(&project, &[]);
    assert_eq!(ran.code, Some(8), "{ran}");
    assert!(ran.stderr.contains("waits for approval: Go on?"), "{ran}");
    let (id, stands) = newest(&project);
    assert_eq!(stands["state"], "waiting_for_approval");

    let locked = run(&project, &[]);
    assert_eq!(locked.code, Some(6), "{locked}");
    assert!(locked.stderr.contains("stack shop-prod is locked by run"), "{locked}");
    assert!(project.runner(&["locks"]).stdout.contains("stack shop-prod"));
    assert_eq!(project.runner(&["plan", "deploy.rhai", "--sim"]).code, Some(0), "a plan takes no lock");

    // Nobody has answered: it is asked again.
    assert_eq!(project.runner(&["resume", &id]).code, Some(8));
    let ran = project.runner(&["approve", &id, "--reason", "fine"]);
    assert_eq!(ran.code, Some(0), "{ran}");
    let ran = project.runner(&["approve", &id]);
    assert!(ran.code == Some(3) && ran.stderr.contains("waits for no answer"), "{ran}");
    let ran = project.runner(&["resume", "--due"]);
    assert_eq!(ran.code, Some(0), "{ran}");
    assert!(ran.stderr.contains("it went on"), "{ran}");
    assert!(project.runner(&["locks"]).stdout.contains("nothing is locked"));
    let shown = project.runner(&["show", &id]);
    assert!(shown.stdout.contains("asks: Go on?") && shown.stdout.contains("fine"), "{shown}");
}

#[test]
fn a_rejection_takes_the_run_back() {
    let project = project(ASKS);
    assert_eq!(run(&project, &[]).code, Some(8));
    let (id, _) = newest(&project);
    assert_eq!(project.runner(&["reject", &id, "--reason", "not today"]).code, Some(0));
    let ran = project.runner(&["resume", &id]);
    assert_eq!(ran.code, Some(10), "{ran}");
    assert!(ran.stderr.contains("not today") && ran.stderr.contains("delete vpc"), "{ran}");
}

#[test]
fn whoever_started_it_may_not_approve_where_somebody_else_has_to() {
    let project = project(&ASKS.replace("timeout: \"1h\"", "other_person: true"));
    let by = |name: &str, arguments: &[&str]| project.runner_in(arguments, &[("USER", name)]);
    assert_eq!(by("anna", &["run", "deploy.rhai", "--sim"]).code, Some(8));
    let (id, _) = newest(&project);
    let ran = by("anna", &["approve", &id]);
    assert!(ran.code == Some(5) && ran.stderr.contains("was started by anna"), "{ran}");
    assert_eq!(by("ben", &["approve", &id]).code, Some(0));
    assert_eq!(by("anna", &["resume", &id]).code, Some(0));
}

#[test]
fn a_lock_is_taken_from_a_run_that_nobody_goes_on_with() {
    let project = project(&format!("lock(\"database\");\n{ASKS}"));
    assert_eq!(run(&project, &[]).code, Some(8));
    let (id, _) = newest(&project);
    let ran = project.runner(&["unlock", "stack shop-prod", "--reason", "anna is on holiday"]);
    assert_eq!(ran.code, Some(0), "{ran}");
    let locks = project.runner(&["locks"]);
    assert!(locks.stdout.contains("/database") && !locks.stdout.contains("/stack shop-prod"), "{locks}");
    assert_eq!(project.runner(&["rollback", &id]).code, Some(0));
    assert!(project.runner(&["locks"]).stdout.contains("nothing is locked"));
}

/// Ctrl-C suspends a run in a world that is kept; while it is driven, nobody else drives it.
#[test]
fn a_signal_suspends_and_a_live_driver_keeps_others_out() {
    let project = project(&format!("{TWO}log(\"ready\");\nwhile true {{ find_vpc(\"default\"); }}\n"));
    let mut driver = project.start(&["run", "deploy.rhai", "--sim"]);
    let mut lines = BufReader::new(driver.stderr.take().expect("stderr is a pipe")).lines().map_while(Result::ok);
    assert!(lines.by_ref().any(|line| line.contains("ready")), "it ended too early");
    let (id, _) = newest(&project);
    let ran = project.runner(&["resume", &id]);
    assert!(ran.code == Some(6) && ran.stderr.contains("is driven by"), "{ran}");
    let sent = Command::new("kill").args(["-TERM", &driver.id().to_string()]).status().expect("kill is there");
    assert!(sent.success());
    let told: Vec<String> = lines.collect();
    assert_eq!(driver.wait().expect("it ends").code(), Some(8), "{told:?}");
    assert!(told.iter().any(|line| line.contains(&format!("runner resume {id}"))), "{told:?}");
    assert_eq!(newest(&project).1["state"], "suspended");
    assert_eq!(project.runner(&["rollback", &id]).code, Some(0));
}

#[test]
fn a_run_in_another_world_is_refused() {
    let project = project(TWO);
    let id = killed(&project, "ec2:CreateVpc#1=crash-after");
    let ran = project.runner(&["resume", &id, "--world", "elsewhere"]);
    assert!(ran.code == Some(3) && ran.stderr.contains("it goes on only where it began"), "{ran}");
    let ran = project.runner(&["resume", "nothing"]);
    assert!(ran.code == Some(3) && ran.stderr.contains("there is no run nothing"), "{ran}");
}

#[test]
fn a_broken_journal_is_refused_by_the_number_of_its_object() {
    let project = project(TWO);
    let id = killed(&project, "ec2:CreateSecurityGroup#1=crash-after");
    let folder = project.path().join(format!(".runner/journal/runs/{id}/j"));
    let second = folder.join("0000000002");
    let text = std::fs::read_to_string(&second).expect("an object");
    std::fs::write(&second, text.replace("10.0.0.0", "10.1.0.0")).expect("it can be written");
    for verb in ["resume", "rollback", "show"] {
        let ran = project.runner(&[verb, &id]);
        assert!(ran.code == Some(1) && ran.stderr.contains("object 2 of the journal"), "{verb}: {ran}");
    }
    std::fs::remove_file(&second).expect("it is there");
    let ran = project.runner(&["resume", &id]);
    assert!(ran.stderr.contains("lacks object 2"), "{ran}");
}

#[test]
fn old_runs_are_removed_and_open_ones_stay() {
    let project = project(ASKS);
    assert_eq!(run(&project, &[]).code, Some(8));
    let other = project.runner(&["gc", "--keep", "0s"]);
    assert!(other.stdout.contains("removed 0 runs"), "{other}");
    let (id, _) = newest(&project);
    assert_eq!(project.runner(&["rollback", &id]).code, Some(0));
    let ran = project.runner(&["gc", "--keep", "0s", "--dry-run"]);
    assert!(ran.stdout.contains("would remove 1 run"), "{ran}");
    let ran = project.runner(&["gc", "--keep", "0s"]);
    assert!(ran.stdout.contains("removed 1 run"), "{ran}");
    assert!(project.runner(&["runs"]).stdout.contains("no such runs"));
}

/// The journal is in a bucket, and the process that goes on is in another folder: as on another machine.
#[test]
fn a_bucket_has_journals_too() {
    let moto = moto();
    let make = "client('s3').create_bucket(Bucket='journals', CreateBucketConfiguration={'LocationConstraint': 'eu-central-1'})";
    moto.boto3("123456789012", &format!("{make} and 1"));
    let (url, keys) = (moto.url(), ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"]);
    let variables: Vec<(&str, &str)> = keys
        .map(|key| (key, "test"))
        .into_iter()
        .chain([("AWS_REGION", "eu-central-1"), ("AWS_ENDPOINT_URL_S3", &url)])
        .collect();
    let first = project(ASKS);
    let place = ["--journal", "s3://journals/runner/test"];
    let killed = first.runner_in(
        &[&["run", "deploy.rhai", "--sim", "--sim-fault", "ec2:CreateVpc#1=crash-after"][..], &place].concat(),
        &variables,
    );
    assert_eq!(killed.code, None, "{killed}");

    let second = Project::new().file("runner.toml", SETTINGS);
    let listed = second.runner_in(&[&["runs", "--json"][..], &place].concat(), &variables);
    let run: Value = serde_json::from_str(&listed.stdout).unwrap_or_else(|error| panic!("{error}: {listed}"));
    let id = run["run"].as_str().expect("an id");
    let world = first.path().join(".runner/sim").display().to_string();
    let resume = [&["resume", id, "--takeover", "--world", &world][..], &place].concat();
    let ran = second.runner_in(&resume, &variables);
    assert_eq!(ran.code, Some(8), "{ran}");
    let locks = second.runner_in(&[&["locks"][..], &place].concat(), &variables);
    assert!(locks.stdout.contains("stack shop-prod"), "{locks}");
    assert_eq!(second.runner_in(&[&["approve", id][..], &place].concat(), &variables).code, Some(0));
    let ran = second.runner_in(&resume, &variables);
    assert_eq!(ran.code, Some(0), "{ran}");
    let locks = second.runner_in(&[&["locks"][..], &place].concat(), &variables);
    assert!(locks.stdout.contains("nothing is locked"), "{locks}");
}

/// A server that speaks some S3, and overwrites whatever it is told not to.
fn careless_bucket() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("it is bound"));
    thread::spawn(move || {
        let mut objects: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        for connection in listener.incoming() {
            let Ok(mut connection) = connection else { return };
            let mut reader = BufReader::new(connection.try_clone().expect("a socket"));
            let mut head = String::new();
            while reader.read_line(&mut head).is_ok_and(|read| read > 2) {}
            let length =
                head.to_lowercase().lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
            let mut body = vec![0; length.unwrap_or_default()];
            let _ = reader.read_exact(&mut body);
            let mut words = head.split(' ');
            let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default().to_owned());
            let reply = match method {
                "PUT" => {
                    objects.insert(target, body);
                    Vec::new()
                }
                "GET" => objects.get(&target).cloned().unwrap_or_default(),
                _ => Vec::new(),
            };
            let head = format!(
                "HTTP/1.1 200 OK\r\nETag: \"1\"\r\nLast-Modified: Fri, 27 Nov 2026 10:00:00 GMT\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                reply.len()
            );
            let _ = connection.write_all(&[head.into_bytes(), reply].concat());
        }
    });
    url
}

#[test]
fn a_store_that_overwrites_is_refused_at_the_first_use() {
    let url = careless_bucket();
    let project = project(TWO);
    let variables = [
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_REGION", "eu-central-1"),
        ("AWS_ENDPOINT_URL_S3", url.as_str()),
    ];
    let ran = project.runner_in(&["run", "deploy.rhai", "--sim", "--journal", "s3://journals"], &variables);
    assert_eq!(ran.code, Some(1), "{ran}");
    assert!(ran.stderr.contains("two runs could not be kept apart"), "{ran}");
}

/// A folder that takes nothing more: nothing is sent, and what was done can be gone on with.
#[test]
fn a_journal_that_cannot_be_written_stops_the_run() {
    let project = project(TWO);
    let ran = run(&project, &["--journal", "/dev/null/journal"]);
    assert_eq!(ran.code, Some(1), "{ran}");
    assert!(ran.stderr.contains("the journal cannot be used"), "{ran}");
}

const PROD: &str = "runbooks/prod-deploy.rhai";

fn prod() -> Project {
    Project::new()
        .file("runner.toml", include_str!("../../runner.toml"))
        .file(PROD, include_str!("../../runbooks/prod-deploy.rhai"))
}

/// A colleague at three in the morning, without the journal.
#[test]
fn the_version_before_is_put_back_from_what_aws_has() {
    let project = prod();
    let deploy = |image: &str| project.runner(&["run", PROD, "--sim", "-q", "--param", &format!("image={image}")]);
    let refused = project.runner(&["rollback", "--stack", "shop-prod", "--sim"]);
    assert!(refused.code == Some(3) && refused.stderr.contains("has no version before"), "{refused}");
    assert_eq!(deploy("ami-healthy-1").code, Some(0));
    assert_eq!(deploy("ami-healthy-2").code, Some(0));
    std::fs::remove_dir_all(project.path().join(".runner/journal")).expect("it is there");

    let live = || {
        let ran = project.runner(&["status", "shop-prod", "--sim", "--json"]);
        let status: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran}"));
        let share =
            status["routes"][0]["shares"].as_array().and_then(|shares| shares.iter().find(|one| one["weight"] == 100));
        share.expect("one has all of it")["target_group"].as_str().expect("a name").to_owned()
    };
    assert_eq!(live(), "shop-prod-web-green");
    let ran = project.runner(&["rollback", "--stack", "shop-prod", "--sim"]);
    assert_eq!(ran.code, Some(0), "{ran}");
    assert!(ran.stdout.contains(" 0 failed"), "{ran}");
    assert_eq!(live(), "shop-prod-web-blue");
    let shown = project.runner(&["status", "shop-prod", "--sim"]);
    for words in ["3 of 3 in service", "shop-prod-web-blue:1", "ami-healthy-1 t3.small", "lock         free"] {
        assert!(shown.stdout.contains(words), "{words}: {shown}");
    }
    // Once more would go forward again.
    let ran = project.runner(&["rollback", "--stack", "shop-prod", "--sim"]);
    assert!(ran.code == Some(3) && ran.stderr.contains("--to web-green:1"), "{ran}");
    let all = project.runner(&["status", "--env", "prod", "--sim", "--json"]);
    assert!(all.stdout.lines().count() == 1 && all.stdout.contains(r#""stack":"shop-prod""#), "{all}");
    let none = project.runner(&["status", "--env", "staging", "--sim"]);
    assert!(none.code == Some(0) && none.stdout.contains("no stack has"), "{none}");
    let ran = project.runner(&["rollback", "--stack", "shop-prod", "--sim", "--to", "web-green:7"]);
    assert!(ran.code == Some(3) && ran.stderr.contains("no version `web-green:7`"), "{ran}");
    assert_eq!(project.runner(&["rollback", "--stack", "shop-prod", "--sim", "--to", "web-green:1"]).code, Some(0));
    assert_eq!(live(), "shop-prod-web-green");
}

/// What a version has written, every later one reads: the journals in `tests/journals` are of this one and of those before.
#[test]
fn old_journals_are_gone_on_with() {
    let kept = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/journals");
    let mut tried = 0;
    for version in std::fs::read_dir(kept).expect("there are some") {
        let project = project(&format!("on_rollback(\"tell\", || log(\"taken back\"));\n{TWO}"));
        // Whoever looks whether a driver lives makes a file there.
        let copied = project.path().join("kept");
        let mut copy = Command::new("cp");
        copy.arg("-r").arg(version.expect("a folder").path()).arg(&copied);
        assert!(copy.status().expect("cp is there").success());
        let place = copied.display().to_string();
        let listed = project.runner(&["runs", "--json", "--journal", &place]);
        for line in listed.stdout.lines() {
            let run: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {listed}"));
            let id = run["run"].as_str().expect("an id");
            let checked = project.runner(&["check", "deploy.rhai", "--against", id, "--journal", &place]);
            assert_eq!(checked.code, Some(0), "{place}: {checked}");
            let plan = project.runner(&["show", id, "--undo-plan", "--journal", &place]);
            assert!(plan.stdout.contains("delete security group shop-prod-web"), "{place}: {plan}");
            tried += 1;
        }
    }
    assert!(tried > 0, "none was tried");
}

/// The script is run again for its hooks, and only as far as the run has come: what it would do next is not done.
#[test]
fn going_back_commits_nothing_and_asks_nothing() {
    let body = format!(
        "on_rollback(\"tell\", || log(\"taken back\"));\n{ASKS}commit(\"live\");\nensure_vpc(#{{ name: \"b\", cidr_block: \"10.9.0.0/16\" }});\n"
    );
    let project = project(&body);
    assert_eq!(run(&project, &[]).code, Some(8));
    let (id, _) = newest(&project);
    assert_eq!(project.runner(&["approve", &id]).code, Some(0));
    let ran = project.runner(&["rollback", &id]);
    assert_eq!(ran.code, Some(0), "{ran}");
    assert!(ran.stderr.contains("delete vpc shop-prod-main") && ran.stderr.contains("taken back"), "{ran}");
    let again = run(&project, &[]);
    assert!(again.code == Some(8) && again.stderr.contains("+ ensure_vpc"), "it was taken back: {again}");
}

/// What is wrong with whoever goes on is no reason to take back what another one has done.
#[test]
fn who_cannot_go_on_leaves_the_run_as_it_is() {
    let project = project(TWO);
    let id = killed(&project, "ec2:CreateSecurityGroup#1=crash-before");
    let project = project.file("runner.toml", "[environments.other]\nregion = \"eu-west-1\"\n");
    let ran = project.runner(&["resume", &id]);
    assert!(ran.code == Some(3) && ran.stderr.contains("no environment `prod`"), "{ran}");
    assert!(!ran.stderr.contains("rolling back"), "{ran}");
    assert_eq!(newest(&project).1["state"], "suspended");
    let project = project.file("runner.toml", SETTINGS);
    assert_eq!(project.runner(&["resume", &id]).code, Some(0));
}

#[test]
fn a_file_that_was_not_read_before_the_crash_is_read_after_it() {
    let body = format!("{TWO}log(config(\"late.toml\").word);\n");
    let project = project(&body).file("late.toml", "word = \"first\"\n");
    let id = killed(&project, "ec2:CreateVpc#1=crash-after");
    let project = project.file("late.toml", "word = \"now\"\n");
    let ran = project.runner(&["resume", &id]);
    assert!(ran.code == Some(0) && ran.stderr.contains("now"), "{ran}");
}

#[test]
fn a_rollback_needs_no_secret() {
    let body =
        format!("let secret = param(\"token\", #{{ secret: true }});\non_rollback(\"tell\", || log(\"hi\"));\n{TWO}");
    let project = project(&body);
    let fault = ["--param", "token=hunter2hunter2", "--sim-fault", "ec2:CreateSecurityGroup#1=crash-before"];
    assert_eq!(run(&project, &fault).code, None);
    let ran = project.runner(&["rollback", &newest(&project).0]);
    // The hook cannot be called, and that is said.
    assert_eq!(ran.code, Some(11), "{ran}");
    assert!(ran.stderr.contains("delete vpc") && ran.stderr.contains("its closure is in the script"), "{ran}");
}

/// A driver that hangs is overtaken, and can do nothing more.
#[test]
fn a_live_driver_is_overtaken() {
    let body = format!(
        "{TWO}log(\"ready\");\nlet n = 0;\nwhile true {{ n += 1; ensure_vpc(#{{ name: `v${{n}}`, cidr_block: \"10.9.0.0/16\" }}); }}\n"
    );
    let project = project(&body);
    let mut driver = project.start(&["run", "deploy.rhai", "--sim"]);
    let mut lines = BufReader::new(driver.stderr.take().expect("stderr is a pipe")).lines().map_while(Result::ok);
    assert!(lines.by_ref().any(|line| line.contains("ready")), "it ended too early");
    let (id, _) = newest(&project);
    // The world is the first driver's: what is shown here is that the journal is not.
    let ran = project.runner(&["unlock", "stack shop-prod", "--reason", "it hangs", "--takeover"]);
    assert_eq!(ran.code, Some(0), "{ran}");
    let told: Vec<String> = lines.collect();
    assert_eq!(driver.wait().expect("it ends").code(), Some(6), "{told:?}");
    assert!(told.iter().any(|line| line.contains("was taken over")), "{told:?}");
    assert_eq!(newest(&project).1["state"], "suspended");
    assert_eq!(project.runner(&["rollback", &id]).code, Some(0));
}

#[test]
fn nobody_goes_back_while_another_run_is_at_it() {
    let project = project(TWO);
    assert_eq!(run(&project, &[]).code, Some(0));
    let (first, _) = newest(&project);
    let project = project.file("deploy.rhai", &format!("{HEAD}{ASKS}"));
    assert_eq!(run(&project, &[]).code, Some(8));
    let ran = project.runner(&["rollback", &first]);
    assert!(ran.code == Some(6) && ran.stderr.contains("is locked by run"), "{ran}");
}

/// A run in a world that is not kept has the id of the first one in any other world, and does not take its place.
#[test]
fn a_run_in_a_fresh_world_leaves_other_journals_alone() {
    let project = project(TWO);
    let id = killed(&project, "ec2:CreateSecurityGroup#1=crash-after");
    assert_eq!(run(&project, &["--world", "fresh"]).code, Some(0));
    assert_eq!(run(&project, &["--world", "fresh"]).code, Some(0));
    assert_eq!(project.runner(&["resume", &id]).code, Some(0));
}

/// What is skipped, or is of another kind, is a difference, before anything is sent.
#[test]
fn a_script_that_does_something_else_is_refused() {
    let project = project(ASKS);
    assert_eq!(run(&project, &[]).code, Some(8));
    let (id, _) = newest(&project);
    assert_eq!(project.runner(&["approve", &id]).code, Some(0));
    let others = [
        format!(
            "{HEAD}on_rollback(\"x\", || log(\"x\"));\nensure_vpc(#{{ name: \"p\", cidr_block: \"10.9.0.0/16\" }});\n"
        ),
        format!(
            "{HEAD}ensure_vpc(#{{ name: \"main\", cidr_block: \"10.0.0.0/16\" }});\nensure_vpc(#{{ name: \"b\", cidr_block: \"10.9.0.0/16\" }});\nlog(\"no question\");\nfind_vpc(\"default\");\n"
        ),
        format!("{}{ASKS}", HEAD.replace("shop", "store")),
    ];
    for other in others {
        std::fs::write(project.path().join("other.rhai"), &other).expect("it can be written");
        let checked = project.runner(&["check", "other.rhai", "--against", &id]);
        assert_eq!(checked.code, Some(3), "{other}: {checked}");
        let ran = project.runner(&["resume", &id, "--script", "other.rhai"]);
        assert_eq!(ran.code, Some(3), "{other}: {ran}");
    }
    assert_eq!(project.runner(&["resume", &id]).code, Some(0));
}

#[test]
fn a_call_that_is_not_there_is_said_so() {
    let project = project(TWO);
    let id = killed(&project, "ec2:CreateSecurityGroup#1=crash-after");
    for flag in ["--skip", "--mark-done"] {
        let ran = project.runner(&["rollback", &id, flag, "nosuch", "--reason", "x"]);
        assert!(ran.code == Some(3) && ran.stderr.contains("`nosuch` is no change of this run"), "{ran}");
    }
    // What a call has made that can be looked for, nobody has to know.
    let path = "2/ec2:CreateSecurityGroup/security group shop-prod-web";
    assert!(project.runner(&["show", &id]).stdout.contains(path));
    let ran = project.runner(&["resume", &id, "--mark-not-done", path, "--reason", "x"]);
    assert!(ran.code == Some(3) && ran.stderr.contains("only a person could know"), "{ran}");
    assert_eq!(newest(&project).1["state"], "suspended");
    assert_eq!(project.runner(&["rollback", &id]).code, Some(0));
}

/// Nothing tells what became of such a call: a person does, and the run goes on.
#[test]
fn what_only_a_person_knows_is_said() {
    let call = r#"
let made = aws_call("iam", "CreateRole", #{
    input: #{ RoleName: "by-hand", AssumeRolePolicyDocument: `{"Version":"2012-10-17","Statement":[]}` },
    undo: #{ action: "DeleteRole", input: #{ RoleName: "by-hand" } }, assume: #{ Role: #{ RoleName: "by-hand" } },
});
output("role", made.reply.Role.RoleName);
"#;
    let project = project(&format!("{HEAD}{call}"));
    let id = killed(&project, "iam:CreateRole#1=crash-after");
    let asks = project.runner(&["resume", &id]);
    assert!(asks.code != Some(0) && asks.stderr.contains("--mark-done"), "{asks}");
    let path = "1/iam:CreateRole/by-hand";
    let ran = project.runner(&["resume", &id, "--mark-done", path, "--reason", "the console shows it"]);
    assert!(ran.code == Some(0) && ran.stdout.contains("by-hand"), "{ran}");
}

/// For a ticket, and for a browser.
#[test]
fn a_run_is_told_as_a_page() {
    let project = project(TWO);
    let id = killed(&project, "ec2:CreateSecurityGroup#1=crash-before");
    let ran = project.runner(&["show", &id, "--page", "markdown"]);
    for words in [&format!("# Run {id}"), "- **stack**: shop-prod", "ensure\\_vpc", "1. delete vpc shop-prod-main"] {
        assert!(ran.stdout.contains(words), "{words}: {ran}");
    }
    let ran = project.runner(&["show", &id, "--page", "html"]);
    assert!(ran.stdout.starts_with("<!DOCTYPE html>") && ran.stdout.contains("delete vpc shop-prod-main"), "{ran}");
}

/// Whoever is called at night types what is shown.
#[test]
fn the_lines_that_go_on_can_be_typed_as_they_are() {
    let project = project(ASKS);
    let ran = run(&project, &["--journal", "elsewhere"]);
    assert_eq!(ran.code, Some(8), "{ran}");
    let listed = project.runner(&["runs", "--json", "--journal", "elsewhere"]);
    let listed: Value = serde_json::from_str(&listed.stdout).unwrap_or_else(|error| panic!("{error}: {listed}"));
    let id = listed["run"].as_str().expect("an id");
    assert!(ran.stderr.contains(&format!("go on with: runner resume {id} --journal elsewhere\n")), "{ran}");
    let ran = project.runner(&["approve", id, "--journal", "elsewhere"]);
    assert!(ran.stdout.contains(&format!("runner resume {id} --journal elsewhere\n")), "{ran}");
    let ran = project.runner(&["approve", id, "--journal", "elsewhere"]);
    assert!(ran.code == Some(3) && ran.stderr.contains("has approved what it asked for"), "{ran}");
    let ran = project.runner(&["rollback", id, "--journal", "elsewhere"]);
    assert!(ran.code == Some(0) && ran.stdout.contains("✓ rolled back in"), "{ran}");
}

#[test]
fn what_is_left_comes_with_the_commands_for_it() {
    let project = project(TWO);
    let ran =
        run(&project, &["--sim-fault", "ec2:CreateSecurityGroup#1=denied", "--sim-fault", "ec2:DeleteVpc#1+=denied"]);
    assert_eq!(ran.code, Some(11), "{ran}");
    let (id, _) = newest(&project);
    for words in ["1 could not be taken back", &format!("runner rollback {id}\n"), "--mark-done '1/ec2:CreateVpc"] {
        assert!(ran.stderr.contains(words), "{words}: {ran}");
    }
}

/// Its lock was taken from it: an answer would not let it go on.
#[test]
fn a_run_that_was_unlocked_waits_for_nobody() {
    let project = project(ASKS);
    assert_eq!(run(&project, &[]).code, Some(8));
    let ran = project.runner(&["unlock", "stack shop-prod", "--reason", "gone"]);
    assert_eq!(ran.code, Some(0), "{ran}");
    let (id, listed) = newest(&project);
    assert_eq!(listed["state"], "suspended");
    assert_eq!(project.runner(&["approve", &id]).code, Some(3));
}

/// A run in the middle of its shift loses its lock, and somebody deploys: what it had decided before is of old.
#[test]
fn a_run_does_not_go_on_over_what_others_have_done_since() {
    let project = prod();
    let deploy = |image: &str, more: &[&str]| {
        let image = format!("image={image}");
        project.runner(&[&["run", PROD, "--sim", "--param", &image][..], more].concat())
    };
    assert_eq!(deploy("ami-healthy-1", &[]).code, Some(0));
    let killed = deploy("ami-healthy-2", &["--sim-fault", "autoscaling:CreateAutoScalingGroup#1=crash-after"]);
    assert_eq!(killed.code, None, "{killed}");
    let (id, _) = newest(&project);
    let locked = deploy("ami-healthy-2", &[]);
    assert!(locked.code == Some(6) && locked.stderr.contains(&format!("`runner resume {id}`")), "{locked}");
    assert_eq!(project.runner(&["unlock", "stack shop-prod", "--reason", "we deploy again"]).code, Some(0));
    assert_eq!(deploy("ami-healthy-2", &[]).code, Some(0));

    let ran = project.runner(&["resume", &id]);
    assert!(ran.code == Some(6) && ran.stderr.contains("has been at it since"), "{ran}");
    assert!(!ran.stderr.contains("rolling back"), "{ran}");
    // What it left is what the others go on with: a version that is in use stays.
    let ran = project.runner(&["rollback", &id]);
    assert_eq!(ran.code, Some(11), "{ran}");
    let path = "autoscaling:CreateAutoScalingGroup/Auto Scaling group shop-prod-web-green";
    let plan = project.runner(&["show", &id, "--undo-plan"]);
    let path = plan.stdout.lines().find_map(|line| {
        line.trim().trim_matches('\'').contains(path).then(|| line.trim().trim_matches('\'').to_owned())
    });
    let path = path.unwrap_or_else(|| panic!("{plan}"));
    let ran = project.runner(&["rollback", &id, "--mark-done", &path, "--reason", "wrongly"]);
    assert!(ran.stderr.contains("launches its instances from it"), "{ran}");
    let shown = project.runner(&["status", "shop", "--env", "prod", "--sim"]);
    for words in ["3 of 3 in service", "shop-prod-web-green:1", "ami-healthy-2"] {
        assert!(shown.stdout.contains(words), "{words}: {shown}");
    }
}

/// What users see is counted against what fleets can carry; a run that is refused meanwhile changes nothing about that.
#[test]
fn a_run_that_is_refused_in_the_middle_of_a_shift_loses_no_requests() {
    let project = prod();
    let deploy = |image: &str, more: &[&str]| {
        let image = format!("image={image}");
        project.runner(&[&["run", PROD, "--sim", "--param", &image][..], more].concat())
    };
    assert_eq!(deploy("ami-healthy-1", &[]).code, Some(0));
    let killed = deploy("ami-healthy-2", &["--sim-fault", "elasticloadbalancing:ModifyListener#3=crash-after"]);
    assert_eq!(killed.code, None, "{killed}");
    let (id, _) = newest(&project);
    assert_eq!(deploy("ami-healthy-3", &[]).code, Some(6));
    let ran = project.runner(&["resume", &id]);
    assert!(ran.code == Some(0) && ran.stdout.contains(" 0 failed"), "{ran}");
}

/// Ids and commands are copied from where they are shown.
#[test]
fn no_line_ends_within_a_command() {
    let project = project(ASKS);
    let ran = run(&project, &["--no-input"]);
    let (id, _) = newest(&project);
    for verb in ["approve", "reject", "resume"] {
        assert!(ran.stderr.contains(&format!("`runner {verb} {id}`")), "{verb}: {ran}");
    }
}
