//! `ci/comment.py` against a server that stands for GitHub: one comment per plan, whatever happens.

use std::path::Path;

use serde_json::{Value, json};

use super::{Said, command, github, own, plan, pull_request};
use crate::{
    forge::{COMMIT, Forge, Instead, TOKEN},
    project::Project,
};

const BOT: &str = "github-actions[bot]";

/// Comments a plan as a job does that has this event and these other variables.
fn comment_as(forge: &Forge, event: &Value, plans: &[&str], variables: &[(&str, &str)]) -> Said {
    let mut project = Project::new().file("event.json", &event.to_string());
    for (index, plan) in plans.iter().enumerate() {
        project = project.file(&format!("plans/{index}/plan.md"), plan);
    }
    let mut command = command("python3");
    command.arg(own("ci/comment.py")).arg("plans").current_dir(project.path());
    command.envs(github(forge, &project.path().join("event.json"))).envs(variables.iter().copied());
    let said = Said::by(&mut command);
    assert!(!format!("{said}").contains(TOKEN), "the token is shown: {said}");
    said
}

fn comment(forge: &Forge, plan: &str) -> Said {
    comment_as(forge, &pull_request(), &[plan], &[])
}

#[track_caller]
fn commented(forge: &Forge, plan: &str) -> String {
    let said = comment(forge, plan);
    assert_eq!((said.code, said.stderr.as_str()), (Some(0), ""), "{said}");
    said.stdout
}

#[test]
fn a_plan_becomes_a_comment_and_the_next_one_takes_its_place() {
    let forge = Forge::start();
    let said = commented(&forge, &plan("prod", "2 to create"));
    assert_eq!(said, "runner:plan env=prod runbook=runbooks/deploy.rhai: commented\n");
    insta::assert_snapshot!(forge.bodies().join("\n=====\n"));
    assert_eq!(forge.writes(), ["POST /repos/acme/shop/issues/7/comments"]);

    let said = commented(&forge, &plan("prod", "nothing to change"));
    assert!(said.ends_with("brought the comment up to date\n"), "{said}");
    assert_eq!(forge.writes(), ["PATCH /repos/acme/shop/issues/comments/1"]);
    let bodies = forge.bodies();
    assert!(bodies.len() == 1 && bodies[0].contains("nothing to change") && !bodies[0].contains("2 to create"));
}

#[test]
fn the_same_plan_again_writes_nothing() {
    let forge = Forge::start();
    commented(&forge, &plan("prod", "2 to create"));
    // GitHub may give it back with other line ends.
    let body = forge.bodies()[0].replace('\n', "\r\n");
    forge.state().comments[0].body = body;
    forge.writes();
    let said = commented(&forge, &plan("prod", "2 to create"));
    assert!(said.ends_with("the comment says so already\n"), "{said}");
    assert!(forge.writes().is_empty());
}

#[test]
fn each_environment_has_its_own_comment() {
    let forge = Forge::start();
    let said = comment_as(&forge, &pull_request(), &[&plan("staging", "a"), &plan("prod", "b")], &[]);
    assert_eq!(said.code, Some(0), "{said}");
    commented(&forge, &plan("staging", "c"));
    let bodies = forge.bodies();
    assert_eq!(bodies.len(), 2);
    assert!(bodies[0].contains("env=staging") && bodies[0].contains("\nc\n"), "{}", bodies[0]);
    assert!(bodies[1].contains("env=prod") && bodies[1].contains("\nb\n"), "{}", bodies[1]);
}

#[test]
fn the_comment_is_found_on_a_later_page() {
    let forge = Forge::start();
    (0..5).for_each(|index| _ = forge.comment("alice", &format!("remark {index}")));
    commented(&forge, &plan("prod", "first"));
    forge.state().page = 2;
    forge.writes();
    commented(&forge, &plan("prod", "second"));
    assert_eq!(forge.writes(), ["PATCH /repos/acme/shop/issues/comments/6"]);
}

#[test]
fn of_several_comments_the_first_stays() {
    let forge = Forge::start();
    for text in ["first", "second", "third"] {
        forge.comment(BOT, &plan("prod", text));
    }
    commented(&forge, &plan("prod", "now"));
    let writes = forge.writes();
    let of = |method: &str| writes.iter().filter(|write| write.starts_with(method)).count();
    assert_eq!((of("DELETE"), of("PATCH"), of("POST")), (2, 1, 0), "{writes:?}");
    assert_eq!(forge.state().comments[0].id, 1);
    assert_eq!(forge.bodies().len(), 1);
}

#[test]
fn what_only_contains_the_marker_is_left_alone() {
    let forge = Forge::start();
    let marker = "<!-- runner:plan env=prod runbook=runbooks/deploy.rhai -->";
    // The plan of another environment, whose runbook logs this one's marker; somebody who quotes it; somebody who
    // begins with it; another runbook's; a longer name.
    forge.comment(BOT, &plan("staging", &format!("log: {marker}\n{marker}")));
    forge.comment("alice", &format!("look at this:\n{marker}"));
    forge.comment("alice", &plan("prod", "mine"));
    forge.comment(BOT, "<!-- runner:plan env=prod runbook=runbooks/deploy.rhai.old -->\n");
    forge.comment(BOT, &format!(" {marker}\n"));
    let before = forge.bodies();
    commented(&forge, &plan("prod", "now"));
    assert_eq!(forge.writes(), ["POST /repos/acme/shop/issues/7/comments"]);
    assert_eq!(forge.bodies()[..5], before[..]);
}

#[test]
fn with_a_token_that_says_whose_it_is_only_its_comments_are_ours() {
    let forge = Forge::start();
    forge.state().login = Some("deployer".to_owned());
    forge.comment(BOT, &plan("prod", "of an other bot"));
    commented(&forge, &plan("prod", "first"));
    commented(&forge, &plan("prod", "second"));
    let bodies = forge.bodies();
    assert_eq!(bodies.len(), 2);
    assert!(bodies[0].contains("of an other bot") && bodies[1].contains("second"));
}

#[test]
fn a_plan_is_text_and_goes_into_the_body_as_it_is() {
    let forge = Forge::start();
    let text = "--> ``` ~~~~ @acme/owners <script>alert(1)</script> <!-- x --> </details>\n\
                ::error file=x::y\n%0A $(touch x) `touch x` \u{1F600} \"quotes\" \\n {\"body\": 1}\n\
                <!-- runner:plan env=staging runbook=runbooks/deploy.rhai -->";
    let said = commented(&forge, &plan("prod", text));
    assert!(!said.contains("::error"), "{said}");
    let head = plan("prod", text);
    let bodies = forge.bodies();
    assert!(bodies.len() == 1 && bodies[0].starts_with(head.trim_end()), "{}", bodies[0]);
}

#[test]
fn a_plan_longer_than_a_comment_is_cut_and_closed() {
    let forge = Forge::start();
    let line = "+ ensure_subnets \u{1F600}\u{1F600} public-a\n";
    let long = format!("<details><summary>All</summary>\n\n````diff\n{}````\n\n</details>", line.repeat(4_000));
    commented(&forge, &plan("prod", &long));
    let body = forge.bodies().remove(0);
    let length = body.chars().count();
    assert!((60_000..=65_536).contains(&length), "{length}");
    let end = "public-a\n````\n</details>\n\nThe plan goes on: the job's files have all of it.\n\n<sub>Commit ";
    assert!(body.contains(end), "{}", &body[body.len() - 400..]);
}

/// What is said, without the server's port.
#[track_caller]
fn refused(forge: &Forge, said: &Said) -> String {
    assert_eq!(said.code, Some(1), "{said}");
    assert!(forge.bodies().is_empty());
    said.stderr.replace(&forge.url, "[url]")
}

#[test]
fn a_fork_may_not_write_and_is_told_what_to_do() {
    let forge = Forge::start();
    forge.state().read_only = true;
    let said = comment(&forge, &plan("prod", "x"));
    insta::assert_snapshot!(refused(&forge, &said));
    assert!(said.stdout.starts_with("::error title=runner::POST /repos/acme/shop/issues/7/comments: 403"), "{said}");
}

#[test]
fn a_token_that_is_not_valid() {
    let forge = Forge::start();
    let said = comment_as(&forge, &pull_request(), &[&plan("prod", "x")], &[("GITHUB_TOKEN", "ghs_other")]);
    insta::assert_snapshot!(refused(&forge, &said));
    assert!(!said.stderr.contains("ghs_other") && !said.stdout.contains("ghs_other"), "{said}");
}

#[test]
fn a_token_that_is_none_is_not_shown_either() {
    let forge = Forge::start();
    for (token, words) in [("", "is empty"), (" \n", "is empty"), ("ghs_split\nin two", "characters that no token has")]
    {
        let said = comment_as(&forge, &pull_request(), &[&plan("prod", "x")], &[("GITHUB_TOKEN", token)]);
        assert!(refused(&forge, &said).contains(words), "{said}");
        assert!(!format!("{said}").contains("ghs_split"), "{said}");
    }
}

#[test]
fn a_repository_that_the_token_does_not_see() {
    let forge = Forge::start();
    let elsewhere = [("GITHUB_REPOSITORY", "acme/other")];
    let said = comment_as(&forge, &pull_request(), &[&plan("prod", "x")], &elsewhere);
    insta::assert_snapshot!(refused(&forge, &said));
}

#[test]
fn a_body_that_is_not_accepted() {
    let forge = Forge::start();
    forge.instead("POST", 422, &[], json!({ "message": "Validation Failed" }));
    let said = comment(&forge, &plan("prod", "x"));
    assert!(refused(&forge, &said).contains("422 Validation Failed"), "{said}");
}

#[test]
fn a_server_that_has_a_bad_moment_is_asked_again() {
    let forge = Forge::start();
    forge.instead("GET", 502, &[], Value::Null);
    forge.instead("POST", 503, &[("Retry-After", "0")], Value::Null);
    let said = comment(&forge, &plan("prod", "x"));
    assert_eq!(said.code, Some(0), "{said}");
    assert!(said.stderr.contains("502 Status: again in 1 s") && said.stderr.contains("again in 0 s"), "{said}");
    assert_eq!(forge.bodies().len(), 1);
}

#[test]
fn a_comment_whose_reply_was_lost_is_not_made_twice() {
    let forge = Forge::start();
    let headers = vec![("Retry-After", "0".to_owned())];
    forge.state().instead.push_back(Instead { method: "POST", status: 502, headers, body: Value::Null, obeyed: true });
    let said = comment(&forge, &plan("prod", "x"));
    assert_eq!(said.code, Some(0), "{said}");
    assert!(said.stdout.ends_with("the comment says so already\n"), "{said}");
    assert_eq!(forge.bodies().len(), 1);
}

#[test]
fn a_rate_limit_is_waited_out() {
    let forge = Forge::start();
    let limited = json!({ "message": "You have exceeded a secondary rate limit" });
    forge.instead("POST", 403, &[("Retry-After", "1")], limited.clone());
    forge.instead("POST", 429, &[("Retry-After", "0")], limited);
    let said = comment(&forge, &plan("prod", "x"));
    assert_eq!(said.code, Some(0), "{said}");
    assert!(said.stderr.contains("again in 1 s"), "{said}");
    assert_eq!(forge.bodies().len(), 1);
}

#[test]
fn a_rate_limit_that_lasts_is_not_waited_out() {
    let forge = Forge::start();
    let headers = [("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "4102444800")];
    forge.instead("GET", 403, &headers, json!({ "message": "API rate limit exceeded" }));
    let said = comment(&forge, &plan("prod", "x"));
    assert!(refused(&forge, &said).contains("given up after 1 attempts"), "{said}");
}

#[test]
fn a_server_that_stays_down_is_given_up() {
    let forge = Forge::start();
    (0..9).for_each(|_| forge.instead("GET", 503, &[("Retry-After", "0")], Value::Null));
    let said = comment(&forge, &plan("prod", "x"));
    assert!(refused(&forge, &said).contains("given up after 6 attempts"), "{said}");
    assert_eq!(forge.state().requests.len(), 6);
}

#[test]
fn an_answer_that_is_not_from_the_api() {
    let forge = Forge::start();
    forge.instead("GET", 200, &[], Value::Null);
    let said = comment(&forge, &plan("prod", "x"));
    assert!(refused(&forge, &said).contains("the answer is not JSON; is [url] the address"), "{said}");
}

#[test]
fn the_token_goes_nowhere_else() {
    let (forge, other) = (Forge::start(), Forge::start());
    let location = format!("{}/repos/acme/shop/pulls/7", other.url);
    forge.instead("GET", 302, &[("Location", &location)], Value::Null);
    let said = comment(&forge, &plan("prod", "x"));
    assert!(refused(&forge, &said).contains("302"), "{said}");

    let next = format!("<{}/repos/acme/shop/issues/7/comments?page=2>; rel=\"next\"", other.url);
    let pull = json!({ "number": 7, "state": "open", "head": { "sha": COMMIT } });
    forge.instead("GET", 200, &[], pull);
    forge.instead("GET", 200, &[], json!({ "login": BOT }));
    forge.instead("GET", 200, &[("Link", &next)], json!([]));
    let said = comment(&forge, &plan("prod", "x"));
    assert!(refused(&forge, &said).contains("the next page of"), "{said}");
    assert!(other.state().requests.is_empty());
}

#[test]
fn a_closed_pull_request_is_left_alone() {
    let forge = Forge::start();
    forge.state().state = "closed";
    assert_eq!(commented(&forge, &plan("prod", "x")), "nothing to comment: pull request 7 is closed\n");
    assert!(forge.writes().is_empty());
}

#[test]
fn an_outdated_plan_does_not_take_the_place_of_a_newer_one() {
    let forge = Forge::start();
    forge.state().head = "f".repeat(40);
    let said = commented(&forge, &plan("prod", "x"));
    assert_eq!(said, "nothing to comment: pull request 7 has moved on from 1a2b3c4d5e to ffffffffff\n");
    assert!(forge.writes().is_empty());
}

#[test]
fn a_job_without_a_pull_request_is_told_so() {
    let forge = Forge::start();
    let said = comment_as(
        &forge,
        &json!({ "ref": "refs/heads/main" }),
        &[&plan("prod", "x")],
        &[("GITHUB_EVENT_NAME", "push")],
    );
    assert!(refused(&forge, &said).contains("`push` is not about a pull request"), "{said}");
    let mut bare = command("python3");
    let said = Said::by(bare.arg(own("ci/comment.py")).arg(Path::new("none")));
    assert_eq!((said.code, said.stdout.as_str()), (Some(0), "no plan: nothing to comment\n"), "{said}");
}

#[test]
fn a_file_that_is_no_plan_is_refused() {
    let forge = Forge::start();
    for text in ["", "hello\n", "<!-- runner:plan  -->", "<!-- other -->\n", "\n<!-- runner:plan env=a runbook=b -->\n"]
    {
        let said = comment(&forge, text);
        assert!(refused(&forge, &said).contains("is no plan"), "{said}");
    }
    assert!(forge.state().requests.is_empty());
}

/// What GitHub says to a job that follows a fork's.
fn fork(commit: &str) -> Value {
    json!({ "workflow_run": {
        "head_sha": commit, "head_branch": "topic", "html_url": "https://github.example/acme/shop/actions/runs/98",
        "head_repository": { "owner": { "login": "stranger" } },
        // Empty for forks; and what the artifact says of it would be the fork's word.
        "pull_requests": [],
    } })
}

#[test]
fn a_forks_plan_is_commented_by_the_job_that_follows_and_calls_nobody() {
    let forge = Forge::start();
    let said = comment_as(&forge, &fork(COMMIT), &[&plan("prod", "thanks @acme/owners, a@b.example")], &[]);
    assert_eq!(said.code, Some(0), "{said}");
    insta::assert_snapshot!(forge.bodies().join("\n=====\n"));
}

#[test]
fn a_forks_plan_of_another_commit_is_not_commented() {
    let forge = Forge::start();
    let said = comment_as(&forge, &fork(&"f".repeat(40)), &[&plan("prod", "x")], &[]);
    assert_eq!(said.code, Some(0), "{said}");
    assert!(said.stdout.starts_with("nothing to comment: no open pull request is at commit fff"), "{said}");
    assert!(forge.writes().is_empty());
}

#[test]
fn a_fork_cannot_flood_a_pull_request() {
    let forge = Forge::start();
    let plans: Vec<String> = (0..21).map(|index| plan(&format!("env{index}"), "x")).collect();
    let plans: Vec<&str> = plans.iter().map(String::as_str).collect();
    let said = comment_as(&forge, &fork(COMMIT), &plans, &[]);
    assert!(refused(&forge, &said).contains("21 plans are more than"), "{said}");
}
