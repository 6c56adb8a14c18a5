//! The composite action: its steps are done as `action.yml` has them, with a `runner` that does what a test tells it to
//! and a server that stands for GitHub. `tests/support/composite.py` stands for GitHub's own runner.

use std::{
    fs,
    io::{Read, Write},
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    process::{Child, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{Said, command, github, own, plan, pull_request};
use crate::{
    forge::{COMMIT, Forge},
    moto::python,
    project::Project,
};

/// Notes its arguments and does as the files in `fake/` say: what `check` and `plan` print and exit with, what a plan
/// leaves in its folder.
const FAKE: &str = r#"#!/usr/bin/env bash
verb="$1"
if [ "$verb" = --version ]; then echo "runner 0.0.0"; exit; fi
printf '<%s>' "$@" >>"$FAKE/calls"
echo >>"$FAKE/calls"
while [ $# -gt 0 ]; do
    [ "$1" != --out ] || cp "$FAKE"/plan/* "$2" 2>/dev/null || true
    shift
done
cat "$FAKE/$verb.says" 2>/dev/null || true
exit "$(cat "$FAKE/$verb.code" 2>/dev/null || echo 0)"
"#;

/// A job on a pull request whose repository has a runbook, and a server for GitHub.
struct Job {
    project: Project,
    forge: Forge,
    event: Value,
}

/// What became of the action.
struct Done {
    failed: bool,
    steps: Vec<Value>,
    outputs: Value,
    summary: String,
}

impl Done {
    fn log(&self, name: &str) -> &str {
        let step = self.steps.iter().find(|step| step["name"] == name);
        step.unwrap_or_else(|| panic!("no step {name}: {:?}", self.steps))["log"].as_str().expect("its output")
    }

    fn code(&self, name: &str) -> Option<i64> {
        self.steps.iter().find(|step| step["name"] == name)?["code"].as_i64()
    }
}

impl Job {
    fn new() -> Self {
        let project = Project::new()
            .file("runbooks/deploy.rhai", "")
            .file("temp/.keep", "")
            .file("fake/plan/.keep", "")
            .file("bin/runner", FAKE);
        executable(project.path().join("bin/runner"));
        Self { project, forge: Forge::start(), event: pull_request() }
    }

    fn file(self, name: &str, text: &str) -> Self {
        Self { project: self.project.file(name, text), ..self }
    }

    /// With a runner that plans this, prints `says`, and exits with `code`.
    fn planning(self, json: &Value, says: &str, code: u8) -> Self {
        self.file("fake/plan/plan.json", &json.to_string())
            .file("fake/plan/plan.md", &plan("prod", "the plan"))
            .file("fake/plan/plan.html", "<html>")
            .file("fake/plan.says", says)
            .file("fake/plan.code", &code.to_string())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.project.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// The variables of a step.
    fn variables(&self) -> Vec<(String, String)> {
        fs::write(self.path("event.json"), self.event.to_string()).expect("the temporary folder takes files");
        let mut variables = github(&self.forge, &self.path("event.json"));
        variables.retain(|(name, _)| name != "GITHUB_TOKEN");
        for (name, path) in
            [("RUNNER_TEMP", "temp"), ("FAKE", "fake"), ("GITHUB_STEP_SUMMARY", "summary"), ("HOME", ".")]
        {
            variables.push((name.to_owned(), self.path(path).display().to_string()));
        }
        variables
    }

    fn with(&self, inputs: &[(&str, &str)]) -> Done {
        let mut wanted = json!({ "runbook": "runbooks/deploy.rhai", "runner-path": self.path("bin/runner") });
        inputs.iter().for_each(|(name, value)| wanted[*name] = json!(value));
        let pull = self.event.get("pull_request").is_some();
        let github = json!({
            "token": crate::forge::TOKEN,
            "event_name": if pull { "pull_request" } else { "push" },
            "base_ref": if pull { "main" } else { "" },
        });
        let given = json!({ "inputs": wanted, "github": github, "runner": { "temp": self.path("temp") } });
        let mut stand_in = command(python());
        stand_in.args([own("tests/support/composite.py").as_str(), "run", &own("action.yml")]);
        stand_in.current_dir(self.project.path()).envs(self.variables());
        stand_in.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = stand_in.spawn().expect("the venv's python starts");
        child.stdin.take().expect("a pipe").write_all(given.to_string().as_bytes()).expect("it listens");
        let output = child.wait_with_output().expect("it ends");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let done: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert!(
            !done.to_string().contains(crate::forge::TOKEN) || done["steps"].to_string().contains("checkout"),
            "{done}"
        );
        Done {
            failed: done["failed"] == true,
            steps: done["steps"].as_array().expect("steps").clone(),
            outputs: done["outputs"].clone(),
            summary: self.read("summary"),
        }
    }

    fn plan(&self) -> Done {
        self.with(&[("env", "prod")])
    }
}

fn executable(path: PathBuf) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("our own file");
}

/// A plan.json: what the action reads of it, and what it does not know.
fn plan_json(outcome: &str, text: &str, failure: Value) -> Value {
    json!({
        "format": { "name": "runner-plan", "version": "1.7" },
        "verdict": { "outcome": outcome, "text": text },
        "environment": { "name": "prod" },
        "totals": { "create": 2, "update": 1, "replace": 1, "delete": 2, "shift": 1 },
        "failure": failure,
        "of a later version": [],
    })
}

fn changes() -> Value {
    plan_json("changes", "2 to create, 1 to change, 1 to replace, 2 to delete", Value::Null)
}

#[test]
fn a_plan_is_commented_summarised_and_given_to_later_steps() {
    let job = Job::new().planning(&changes(), "the plan as text\n", 0);
    let done = job.plan();
    assert!(!done.failed, "{:?}", done.steps);
    let outputs = &done.outputs;
    assert_eq!(outputs["exitcode"], "0");
    assert_eq!(outputs["verdict"], "2 to create, 1 to change, 1 to replace, 2 to delete");
    assert_eq!((&outputs["has-changes"], &outputs["destroy-count"]), (&json!("true"), &json!("3")));
    for (output, name) in [("plan-json", "plan.json"), ("plan-markdown", "plan.md"), ("plan-html", "plan.html")] {
        let path = outputs[output].as_str().expect("a path");
        assert!(path.ends_with(name) && fs::metadata(path).is_ok(), "{path}");
    }
    assert!(done.log("Run plan").contains("the plan as text"));
    assert_eq!(done.summary, plan("prod", "the plan"));
    let bodies = job.forge.bodies();
    assert!(bodies.len() == 1 && bodies[0].starts_with(plan("prod", "the plan").trim_end()), "{bodies:?}");
    assert!(bodies[0].contains(&COMMIT[..10]));
}

#[test]
fn a_plan_without_changes() {
    let mut json = plan_json("no_changes", "nothing to change", Value::Null);
    json["totals"] = json!({ "create": 0, "delete": 0 });
    let done = Job::new().planning(&json, "", 0).plan();
    assert_eq!((&done.outputs["has-changes"], &done.outputs["destroy-count"]), (&json!("false"), &json!("0")));
}

#[test]
fn a_plan_that_fails_keeps_its_exit_code_and_is_commented_all_the_same() {
    let failure = json!({
        "message": "no capacity: 100% of subnets\nare full", "help": "use a larger range", "exit_code": 5,
        "file": "runbooks/a,b:c.rhai", "line": 12, "column": 4,
    });
    let job = Job::new().planning(&plan_json("refused", "refused by policy", failure), "", 5);
    let done = job.plan();
    assert!(done.failed);
    assert_eq!(done.code("Run plan"), Some(5));
    assert_eq!(done.outputs["exitcode"], "5");
    let expected = "::error file=runbooks/a%2Cb%3Ac.rhai,line=12,col=4,title=plan refused::\
                    no capacity: 100%25 of subnets%0Aare full%0Ause a larger range\n";
    assert!(done.log("Run plan").ends_with(expected), "{}", done.log("Run plan"));
    assert_eq!((done.code("Comment"), job.forge.bodies().len()), (Some(0), 1));
}

#[test]
fn problems_of_the_script_are_annotated_once() {
    let failure = json!({ "message": "variable not found", "file": "runbooks/deploy.rhai", "line": 1, "column": 1 });
    let found = "::error file=runbooks/deploy.rhai,line=1,col=1::variable not found\n";
    let job = Job::new()
        .planning(&plan_json("fails", "fails", failure), "", 3)
        .file("fake/check.says", found)
        .file("fake/check.code", "3");
    let done = job.plan();
    assert_eq!(done.code("Run plan"), Some(3));
    assert_eq!(done.log("Run plan").matches("::error").count(), 1, "{}", done.log("Run plan"));
    assert!(done.log("Run plan").contains(found));
    assert_eq!(job.forge.bodies().len(), 1);
}

#[test]
fn a_plan_of_another_format_is_not_guessed_at() {
    let mut json = changes();
    json["format"]["version"] = json!("2.0");
    let done = Job::new().planning(&json, "", 0).plan();
    assert_eq!(done.code("Run plan"), Some(1));
    assert!(done.log("Run plan").contains("runner-plan 2.0: these scripts read runner-plan 1"));
}

#[test]
fn without_a_plan_the_comment_does_not_go_on_showing_the_last_one() {
    let job = Job::new().planning(&changes(), "", 0);
    job.plan();
    fs::remove_dir_all(job.path("fake/plan")).expect("it is there");
    let done = job.file("fake/plan.code", "70");
    let job = done;
    let done = job.plan();
    assert_eq!((done.code("Run plan"), &done.outputs["exitcode"]), (Some(70), &json!("70")));
    // The stand-in is of the same environment and runbook as the program's own: `plan` of these tests names another file.
    let body = job.forge.bodies().pop().expect("a comment");
    assert!(body.starts_with("<!-- runner:plan env=prod runbook=runbooks/deploy.rhai -->\n"), "{body}");
    assert!(body.contains("runner ended with exit code 70 before it could write one"), "{body}");
    assert_eq!(job.forge.bodies().len(), 1);
}

#[test]
fn what_a_runbook_logs_is_no_command_to_github() {
    let says = "::add-mask::a\n::error file=x::forged\n::stop-commands::x\nno newline at the end ::";
    let done = Job::new().planning(&changes(), says, 0).plan();
    let log = done.log("Run plan");
    let (_, after) = log.split_once("::stop-commands::").expect("commands are stopped");
    let (token, after) = after.split_once('\n').expect("a line");
    assert!(token.len() >= 32 && token.bytes().all(|byte| byte.is_ascii_hexdigit()), "{token}");
    let (between, after) =
        after.split_once(&format!("\n::{token}::\n")).expect("and begin again, on a line of their own");
    assert_eq!(between, says);
    assert!(!after.contains("forged"), "{after}");
}

#[test]
fn inputs_are_arguments_and_never_script() {
    let job = Job::new().planning(&changes(), "", 0);
    let done = job.with(&[
        ("runbook", "runbooks/$(touch pwned).rhai"),
        ("env", "prod; touch pwned"),
        ("params", "image=ami-1\nnote=a \"b\" 'c' $(touch pwned) `touch pwned` = d\n\n"),
        ("params-file", "deploys/my prod.toml"),
        ("config", "other.toml"),
        ("arguments", "--offline\n--detail=full\n"),
        ("base-policy", "false"),
    ]);
    assert!(!done.failed, "{:?}", done.steps);
    assert!(fs::metadata(job.path("pwned")).is_err());
    let calls = job.read("fake/calls");
    let [check, planned] = calls.lines().collect::<Vec<_>>()[..] else { panic!("{calls}") };
    assert_eq!(check, "<check><--format><github><--config><other.toml><--><runbooks/$(touch pwned).rhai>");
    let (before, after) = planned.split_once("<--out>").expect("a folder for the plan");
    assert_eq!(before, "<plan><--untrusted><--format><text><--format><markdown><--format><json><--format><html>");
    let (_, after) = after.split_once('>').expect("the folder");
    assert_eq!(
        after,
        "<--no-input><--env><prod; touch pwned><--params-file><deploys/my prod.toml><--config><other.toml>\
         <--param><image=ami-1><--param><note=a \"b\" 'c' $(touch pwned) `touch pwned` = d>\
         <--offline><--detail=full><--><runbooks/$(touch pwned).rhai>"
    );
}

/// The settings that a plan's policy is taken from.
fn policy_of(job: &Job, inputs: &[(&str, &str)]) -> Option<String> {
    let done = job.with(inputs);
    assert!(!done.failed, "{:?}", done.steps);
    let calls = job.read("fake/calls");
    let planned = calls.lines().rfind(|call| call.starts_with("<plan>")).expect("a plan").to_owned();
    Some(planned.split_once("<--policy-from><")?.1.split_once('>')?.0.to_owned())
}

#[test]
fn the_policy_is_the_base_branchs() {
    let base = |name: &str| format!(".runner/base/{name}");
    // The change has settings of its own everywhere.
    let job = Job::new()
        .planning(&changes(), "", 0)
        .file("runner.toml", "")
        .file("runbooks/runner.toml", "")
        .file(&base("runner.toml"), "");
    assert_eq!(policy_of(&job, &[]), Some(base("./runner.toml")));
    // The nearest to the runbook, as in the change itself.
    let job = job.file(&base("runbooks/runner.toml"), "");
    assert_eq!(policy_of(&job, &[]), Some(base("runbooks/runner.toml")));
    // Settings that the change has put elsewhere do not take it out of the base branch's.
    assert_eq!(policy_of(&job, &[("config", "elsewhere.toml")]), Some(base("runbooks/runner.toml")));
    let job = job.file(&base("elsewhere.toml"), "");
    assert_eq!(policy_of(&job, &[("config", "elsewhere.toml")]), Some(base("elsewhere.toml")));
}

#[test]
fn the_base_branch_is_fetched_beside_the_change() {
    let done = Job::new().planning(&changes(), "", 0).plan();
    let used = done.steps.iter().find(|step| step["uses"] == "actions/checkout@v7").expect("a checkout");
    let expected = json!({
        "ref": "main", "path": ".runner/base", "token": crate::forge::TOKEN, "persist-credentials": "false",
    });
    assert_eq!(used["with"], expected);
}

#[test]
fn a_base_branch_without_settings_is_said_to_have_none() {
    let job = Job::new().planning(&changes(), "", 0).file("runner.toml", "");
    let done = job.plan();
    assert!(!done.failed);
    assert!(done.log("Run plan").starts_with("::warning title=runner::the base branch has no runner.toml"));
    assert!(!job.read("fake/calls").contains("--policy-from"));
}

#[test]
fn a_check_annotates_and_keeps_its_exit_code() {
    let found = "::error file=a.rhai,line=1,col=1::unknown function\n";
    let job = Job::new().file("fake/check.says", found).file("fake/check.code", "3");
    let done = job.with(&[("command", "check"), ("runbook", "a b.rhai\nc.rhai\n")]);
    assert_eq!((done.code("Run check"), &done.outputs["exitcode"]), (Some(3), &json!("3")));
    assert_eq!(done.log("Run check"), found);
    job.with(&[("command", "check"), ("runbook", "")]);
    let calls = "<check><--format><github><--><a b.rhai><c.rhai>\n<check><--format><github>\n";
    assert_eq!(job.read("fake/calls"), calls);
    assert!(job.forge.bodies().is_empty());
}

#[test]
fn inputs_that_make_no_sense_are_refused_before_anything_is_built() {
    for (inputs, words) in [
        (vec![("command", "plann")], "`command` is `plann`, which is none of"),
        (vec![("command", "run"), ("runbook", "")], "`command: run` needs a `runbook`"),
        (vec![("command", "comment")], "`command: comment` needs `plans`"),
        (vec![("runbook", "../other/deploy.rhai")], "`../other/deploy.rhai` leaves the repository"),
        (vec![("config", "a/../../runner.toml")], "leaves the repository"),
    ] {
        let done = Job::new().with(&inputs);
        assert!(done.failed && done.steps.len() == 1, "{:?}", done.steps);
        assert!(done.log("Prepare").contains(words), "{}", done.log("Prepare"));
    }
}

#[test]
fn plans_of_another_workflow_are_commented_without_a_program() {
    let job = Job::new().file("artifacts/plan-prod/plan.md", &plan("prod", "x"));
    let done = job.with(&[("command", "comment"), ("plans", "artifacts"), ("runner-path", "")]);
    assert!(!done.failed, "{:?}", done.steps);
    assert_eq!(done.steps.len(), 2, "{:?}", done.steps);
    assert_eq!(job.forge.bodies().len(), 1);
    assert!(job.read("fake/calls").is_empty());
}

#[test]
fn a_comment_that_cannot_be_made_fails_the_job() {
    let job = Job::new().planning(&changes(), "", 0);
    job.forge.state().read_only = true;
    let done = job.plan();
    assert!(done.failed && done.outputs["exitcode"] == "0");
    assert!(done.log("Comment").contains("comment from a `workflow_run` workflow"), "{}", done.log("Comment"));
    assert!(!job.with(&[("comment", "false")]).failed);
}

#[test]
fn the_program_is_built_in_its_own_folder() {
    let cargo = "#!/usr/bin/env bash\npwd >\"$FAKE/cargo\"\necho \"$* $CARGO_TARGET_DIR\" >>\"$FAKE/cargo\"\n\
                 mkdir -p \"${@: -1}/bin\"\ncp \"$FAKE/../bin/runner\" \"${@: -1}/bin/runner\"\n";
    let job = Job::new().planning(&changes(), "", 0).file("tools/cargo", cargo);
    executable(job.path("tools/cargo"));
    let mut build = command("bash");
    build.arg(own("ci/build.sh")).envs(job.variables()).current_dir(job.project.path());
    build
        .env("PATH", format!("{}:{}", job.path("tools").display(), super::path()))
        .env("GITHUB_OUTPUT", job.path("output"));
    for _ in 0..2 {
        let said = Said::by(&mut build);
        assert_eq!((said.code, said.stdout.as_str()), (Some(0), "runner 0.0.0\n"), "{said}");
    }
    let program = job.path("temp/runner-program");
    let built = format!(
        "{}\ninstall --locked --path . --root {} {}\n",
        env!("CARGO_MANIFEST_DIR"),
        program.display(),
        job.path("temp/runner-target").display()
    );
    assert_eq!(job.read("fake/cargo"), built, "built once, in the source's folder");
    assert!(job.read("output").contains(&format!("path={}\n", program.join("bin/runner").display())));
}

#[test]
fn the_key_of_the_cache_follows_the_source() {
    let key = |inputs: &[(&str, &str)]| {
        let done = Job::new().planning(&changes(), "", 0).with(inputs);
        let cache = done.steps.iter().find(|step| step["uses"] == "actions/cache@v6").cloned();
        cache.map(|step| step["with"]["key"].as_str().expect("a key").to_owned())
    };
    assert_eq!(key(&[]), None, "nothing to cache when the program is given");
    let job = Job::new();
    let digest = |source: &str| {
        let copied = job.path(source);
        for name in ["Cargo.toml", "Cargo.lock", "src/main.rs", "stdlib/service.rhai", "ci/common.sh", "ci/prepare.sh"]
        {
            let to = copied.join(name);
            fs::create_dir_all(to.parent().expect("a folder")).expect("the temporary folder takes folders");
            fs::copy(own(name), to).expect("the temporary folder takes files");
        }
        move |job: &Job| {
            let mut prepare = command("bash");
            prepare.arg(copied.join("ci/prepare.sh")).envs(job.variables()).env("INPUT_COMMAND", "check");
            let said = Said::by(prepare.env("GITHUB_OUTPUT", job.path("key")));
            assert_eq!(said.code, Some(0), "{said}");
            let key = fs::read_to_string(job.path("key")).expect("a key");
            fs::remove_file(job.path("key")).expect("it is there");
            key
        }
    };
    let (one, other) = (digest("one"), digest("other"));
    assert!(one(&job).starts_with("key=runner-") && one(&job).trim().len() == "key=runner-".len() + 32);
    assert_eq!(one(&job), other(&job));
    fs::write(job.path("other/stdlib/service.rhai"), "").expect("our own file");
    assert_ne!(one(&job), other(&job));
}

/// With the program itself.
fn real(job: Job, runbook: &str) -> Job {
    real_with(job, runbook, "runner.toml")
}

fn real_with(job: Job, runbook: &str, settings: &str) -> Job {
    let script = format!("#!/usr/bin/env bash\nexec '{}' \"$@\"\n", env!("CARGO_BIN_EXE_runner"));
    let job = job
        .file("bin/runner", &script)
        .file("runbooks/deploy.rhai", runbook)
        .file(settings, "[environments.prod]\nregion = \"eu-central-1\"\n");
    executable(job.path("bin/runner"));
    Job { event: json!({ "ref": "refs/heads/main" }), ..job }
}

const VPC: &str =
    "environment(\"prod\");\nstack(\"shop\");\nensure_vpc(#{ name: \"main\", cidr_block: \"10.0.0.0/16\" });\n";

#[test]
fn settings_may_be_elsewhere() {
    let job = real_with(Job::new(), VPC, "settings/shop.toml");
    let inputs = [("config", "settings/shop.toml"), ("arguments", "--sim\n--world=fresh")];
    let run = job.with(&[&inputs[..], &[("command", "run")]].concat());
    assert_eq!((run.failed, &run.outputs["exitcode"]), (false, &json!("0")), "{:?}", run.steps);
    let job = Job { event: pull_request(), ..job };
    let plan = job.with(&[&inputs[..], &[("base-policy", "false")]].concat());
    assert_eq!((plan.failed, &plan.outputs["exitcode"]), (false, &json!("0")), "{:?}", plan.steps);
    assert_eq!(plan.outputs["has-changes"], "true");
}

#[test]
fn a_project_may_be_a_folder_of_the_repository() {
    let job = Job::new()
        .file("bin/runner", &format!("#!/usr/bin/env bash\nexec '{}' \"$@\"\n", env!("CARGO_BIN_EXE_runner")))
        .file(".git", "gitdir: elsewhere\n")
        .file("shop/runner.toml", "[environments.prod]\nregion = \"eu-central-1\"\n")
        .file("shop/runbooks/deploy.rhai", &format!("{VPC}fail(\"not today\");\n"));
    executable(job.path("bin/runner"));
    let done =
        job.with(&[("runbook", "./shop/runbooks/deploy.rhai"), ("arguments", "--offline"), ("base-policy", "false")]);
    let comments = job.forge.bodies();
    assert!(comments[0].starts_with("<!-- runner:plan runbook=shop/runbooks/deploy.rhai -->\n"), "{comments:?}");
    assert!(done.log("Run plan").contains("::error file=shop/runbooks/deploy.rhai,line=4,"), "{:?}", done.steps);
}

#[test]
fn a_run_says_how_it_ended() {
    let job = real(Job::new(), &format!("{VPC}output(\"url\", \"https://shop.example ```\");"));
    let done = job.with(&[("command", "run"), ("env", "prod"), ("arguments", "--sim\n--world=fresh")]);
    assert!(!done.failed, "{:?}", done.steps);
    let outputs = &done.outputs;
    assert_eq!((&outputs["exitcode"], &outputs["verdict"]), (&json!("0"), &json!("succeeded")));
    assert_eq!((&outputs["has-changes"], &outputs["destroy-count"]), (&json!("true"), &json!("0")));
    let run = outputs["run-id"].as_str().expect("a run");
    assert!(fs::metadata(job.path(".runner/journal/runs").join(run)).is_ok(), "{run}");
    let events = fs::read_to_string(outputs["events"].as_str().expect("a path")).expect("the events");
    assert!(events.lines().next().expect("a line").contains("run_started"));
    assert!(done.log("Run run").contains("ensure_vpc"), "people read along: {}", done.log("Run run"));
    insta::assert_snapshot!(done.summary.replace(run, "[run]"));
    assert!(done.steps.iter().all(|step| step["name"] != "Comment"));
}

#[test]
fn a_run_that_is_rolled_back_keeps_its_exit_code() {
    let job = real(Job::new(), &format!("{VPC}fail(\"on purpose\");"));
    let done = job.with(&[("command", "run"), ("arguments", "--sim\n--world=fresh")]);
    assert_eq!((done.code("Run run"), &done.outputs["exitcode"]), (Some(10), &json!("10")));
    assert_eq!(done.outputs["verdict"], "rolled back");
    let log = done.log("Run run");
    assert!(log.contains("\n::error file=runbooks/deploy.rhai,line=4,col=1,title=rolled back::on purpose\n"), "{log}");
    assert!(done.summary.contains("rolled back") && done.summary.contains("exit code: 10"), "{}", done.summary);
}

#[test]
fn a_runbook_with_problems_is_not_run() {
    let job = Job::new().file("fake/check.code", "3");
    let job = Job { event: json!({ "ref": "refs/heads/main" }), ..job };
    let done = job.with(&[("command", "run")]);
    assert_eq!((done.code("Run run"), &done.outputs["exitcode"]), (Some(3), &json!("3")));
    assert_eq!(done.outputs["verdict"], "not started");
    assert!(!job.read("fake/calls").contains("<run>"));
}

/// Waits for a line in a file.
fn until(job: &Job, file: &str, line: &str) {
    let begun = Instant::now();
    while !job.read(file).contains(line) {
        assert!(begun.elapsed() < Duration::from_secs(20), "{file} does not say {line}: {}", job.read(file));
        thread::sleep(Duration::from_millis(20));
    }
}

/// Starts a run whose program says what signals it gets, and returns its first process, as GitHub has it.
fn start_run(job: &Job) -> Child {
    let mut step = command("bash");
    step.args(["--noprofile", "--norc", "-eo", "pipefail", "-c", &format!("exec '{}'", own("ci/run.sh"))]);
    step.envs(job.variables()).env("RUNNER", job.path("bin/runner")).env("INPUT_RUNBOOK", "runbooks/deploy.rhai");
    step.env("GITHUB_OUTPUT", job.path("output")).current_dir(job.project.path());
    step.stdout(Stdio::piped()).spawn().expect("bash starts")
}

fn signal(child: &Child, name: &str) {
    let said = Said::by(command("kill").args(["-s", name, &child.id().to_string()]));
    assert_eq!(said.code, Some(0), "{said}");
}

#[test]
fn what_stops_the_job_reaches_the_program_and_its_exit_code_is_kept() {
    let runner = "#!/usr/bin/env bash\n[ \"$1\" = run ] || exit 0\n\
                  trap 'echo INT >>\"$FAKE/signals\"' INT\ntrap 'echo TERM >>\"$FAKE/signals\"; exit 11' TERM\n\
                  echo ready >>\"$FAKE/signals\"\nwhile :; do sleep 0.05; done\n";
    let job = Job::new().file("bin/runner", runner);
    executable(job.path("bin/runner"));
    let mut child = start_run(&job);
    until(&job, "fake/signals", "ready");
    signal(&child, "INT");
    until(&job, "fake/signals", "INT");
    assert!(child.try_wait().expect("our child").is_none(), "the step waits for the program");
    signal(&child, "TERM");
    let mut log = String::new();
    child.stdout.take().expect("a pipe").read_to_string(&mut log).expect("text");
    assert_eq!(child.wait().expect("our child").code(), Some(11), "{log}");
    assert_eq!(job.read("fake/signals"), "ready\nINT\nTERM\n");
    assert!(job.read("output").contains("\n11\n"), "{}", job.read("output"));
}
