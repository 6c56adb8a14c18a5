//! Images that are built and pushed with the docker CLI. A stand-in has its words (`tests/support/docker.py`); ECR is moto's.

use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf};

use runner::event::{Change, Event};
use serde_json::{Value, json};

use crate::{
    account::{Account, Ran},
    moto::{moto, python},
};

/// A machine with docker, and an account on moto.
struct Machine {
    dir: tempfile::TempDir,
    account: Account,
    id: String,
}

impl Machine {
    fn new() -> Self {
        let id = moto().new_account();
        let account = Account::moto(moto().url(), id.clone());
        let machine = Self { dir: tempfile::tempdir().expect("a directory"), account, id };
        let stand_in = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/docker.py");
        let state = machine.file("state.json");
        let words = [python().display().to_string(), stand_in.to_owned(), state.display().to_string(), moto().url()];
        let script = format!("#!/bin/sh\nexec {} {} \"$@\"\n", words.join(" "), machine.id);
        fs::write(machine.docker(), script).expect("written");
        fs::set_permissions(machine.docker(), fs::Permissions::from_mode(0o755)).expect("its own file");
        machine.write_dockerfile("FROM scratch\n");
        machine
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn docker(&self) -> PathBuf {
        self.file("docker")
    }

    fn write_dockerfile(&self, text: &str) {
        fs::write(self.file("Dockerfile"), text).expect("written");
    }

    fn run(&self, body: &str) -> Ran {
        self.run_with(body, json!({}))
    }

    fn run_with(&self, body: &str, params: Value) -> Ran {
        let (docker, context) = (self.docker().display().to_string(), self.dir.path().display().to_string());
        let policy = format!("allowed_commands = [{docker:?}]");
        let ours = format!("let docker = {docker:?};\nlet context = {context:?};\n");
        self.account.script_under(&policy, &format!("environment(\"prod\");\nstack(\"shop\");\n{ours}{body}"), params)
    }

    /// The digest that a tag of the repository names.
    fn digest(&self, tag: &str) -> Value {
        let expression = format!(
            "next((image['imageDigest'] for image in client('ecr').describe_images(repositoryName='shop-prod-web')['imageDetails'] \
             if '{tag}' in image.get('imageTags', [])), None)"
        );
        moto().boto3(&self.id, &expression)
    }
}

const REPOSITORY: &str = r#"let repository = ensure_repository(#{ name: "web", keep_on_rollback: true });"#;

const RELEASE: &str = r#"
    let built = build_image(#{ repository: repository, tag: "1", context: context, program: docker, build_args: #{ VERSION: "1" } });
    let image = push_image(#{ repository: repository, tag: built.image_tag, program: docker });
    output("id", built.image_id);
    output("image", image.image);
"#;

fn release() -> String {
    format!("{REPOSITORY}\n{RELEASE}")
}

/// What became of images, in order.
fn told(ran: &Ran) -> Vec<(&str, Change)> {
    let images = ran.forward().filter_map(|event| match event {
        Event::OperationFinished { operation, change, .. } => Some((operation.as_str(), *change)),
        _ => None,
    });
    images.filter(|(operation, _)| operation.ends_with("_image")).collect()
}

#[test]
fn an_image_is_built_and_pushed_once() {
    let machine = Machine::new();
    let first = machine.run(&release());
    assert_eq!(first.failure, None);
    assert_eq!(told(&first), [("build_image", Change::Created), ("push_image", Change::Created)]);
    let digest = machine.digest("1");
    let image = first.outputs["image"].as_str().expect("text");
    let host = format!("{}.dkr.ecr.eu-central-1.amazonaws.com/shop-prod-web@", machine.id);
    assert_eq!(image, format!("{host}{}", digest.as_str().expect("it is there")));

    let again = machine.run(&release());
    assert_eq!(told(&again), [("build_image", Change::Unchanged), ("push_image", Change::Unchanged)]);
    let sent = |ran: &Ran, what: &str| ran.mutations().iter().filter(|call| call.contains(what)).count();
    assert_eq!((sent(&first, "exec:"), sent(&again, "exec:")), (3, 1), "build, login and push; then only build");
    assert_eq!(again.outputs, first.outputs);

    machine.write_dockerfile("FROM scratch\nLABEL colour=green\n");
    let changed = machine.run(&release());
    assert_eq!(told(&changed), [("build_image", Change::Updated), ("push_image", Change::Updated)]);
    assert_ne!(machine.digest("1"), digest);
}

#[test]
fn a_rollback_puts_the_tag_back() {
    let machine = Machine::new();
    let fail = |release: &str| format!("{release}\nfail(\"not today\");");
    let first = machine.run(&fail(&release()));
    assert!(first.rollback.is_some_and(|report| report.is_clean()));
    assert_eq!(machine.digest("1"), Value::Null, "it was not there before");

    // moto forgets an image whose last tag is moved; ECR keeps it.
    let kept = format!(
        r#"{}
        push_image(#{{ repository: repository, tag: "kept", image: built.image, program: docker }});"#,
        release()
    );
    assert_eq!(machine.run(&kept).failure, None);
    let digest = machine.digest("1");
    machine.write_dockerfile("FROM scratch\nLABEL colour=green\n");
    let second = machine.run(&fail(&release()));
    assert!(second.rollback.is_some_and(|report| report.is_clean()));
    assert_eq!(machine.digest("1"), digest, "the image that was there before");

    let keep = release().replace("image_tag, program", "image_tag, keep_on_rollback: true, program");
    assert!(machine.run(&fail(&keep)).rollback.is_some());
    assert_ne!(machine.digest("1"), digest);
}

/// Somebody else has pushed meanwhile.
#[test]
fn a_rollback_leaves_what_others_have_pushed() {
    let machine = Machine::new();
    let other = format!(
        r#"{}
        exec(docker, #{{ args: ["build", "--tag", built.image, "--label", "by=others", context] }});
        exec(docker, #{{ args: ["push", built.image] }});
        fail("not today");"#,
        release()
    );
    let ran = machine.run(&other);
    assert!(ran.rollback.is_some_and(|report| !report.is_clean()));
    assert_ne!(machine.digest("1"), Value::Null);
}

/// Not every CLI says what it has pushed: podman does not.
#[test]
fn a_rollback_asks_the_cli_what_it_has_pushed() {
    let machine = Machine::new();
    let script = fs::read_to_string(machine.docker()).expect("a script").replace("exec ", "");
    fs::write(machine.docker(), format!("{} | sed /digest:/d\n", script.trim_end())).expect("written");
    let fail = |more: &str| machine.run(&format!("{}\n{more}\nfail(\"not today\");", release()));
    assert!(fail("").rollback.is_some_and(|report| report.is_clean()));
    assert_eq!(machine.digest("1"), Value::Null);

    machine.write_dockerfile("FROM scratch\nLABEL colour=green\n");
    let others = r#"
        exec(docker, #{ args: ["build", "--tag", built.image, "--label", "by=others", context] });
        exec(docker, #{ args: ["push", built.image] });"#;
    let report = fail(others).rollback.expect("it failed");
    let why = format!("{:?}", report.left);
    assert!(why.contains("whether this run pushed it is not known"), "{why}");
    assert_ne!(machine.digest("1"), Value::Null);
}

/// What was there before does not come back by itself.
#[test]
fn a_tag_that_others_have_taken_away_is_not_said_to_be_back() {
    let machine = Machine::new();
    assert_eq!(machine.run(&release()).failure, None);
    machine.write_dockerfile("FROM scratch\nLABEL colour=green\n");
    let gone = format!(
        r#"{}
        aws_call("ecr", "BatchDeleteImage", #{{
            input: #{{ repositoryName: "shop-prod-web", imageIds: [#{{ imageTag: "1" }}] }}, irreversible: true, keep_on_rollback: true,
        }});
        fail("not today");"#,
        release()
    );
    let report = machine.run(&gone).rollback.expect("it is taken back");
    assert!(
        report.left.iter().any(|left| format!("{left:?}").contains("tag 1 of shop-prod-web is gone")),
        "{report:?}"
    );
}

#[test]
fn an_image_of_another_name_is_tagged_first() {
    let machine = Machine::new();
    let body = format!(
        r#"{REPOSITORY}
        exec(docker, #{{ args: ["build", "--tag", "built-by-make", context] }});
        let image = push_image(#{{ repository: repository, tag: "2", image: "built-by-make", program: docker }});
        output("tag", image.image_tag);"#
    );
    let ran = machine.run(&body);
    assert_eq!((ran.failure, &ran.outputs["tag"]), (None, &json!("2")));
    assert_ne!(machine.digest("2"), Value::Null);
}

#[test]
fn a_tag_that_cannot_be_pushed_again_is_refused_at_once() {
    let machine = Machine::new();
    let release = release().replace("name: \"web\"", "name: \"web\", image_tag_mutability: \"IMMUTABLE\"");
    assert_eq!(machine.run(&release).failure, None);
    assert_eq!(machine.run(&release).failure, None, "the same image is no push");
    machine.write_dockerfile("FROM scratch\nLABEL colour=green\n");
    let failure = machine.run(&release).failure.expect("another image");
    assert!(failure.contains("tags are IMMUTABLE: push another tag"), "{failure}");
}

#[test]
fn secrets_of_a_build_are_shown_nowhere() {
    let machine = Machine::new();
    let body = format!(
        r#"{REPOSITORY}
        let key = param("key", #{{ secret: true }});
        let built = build_image(#{{
            repository: repository, tag: "1", context: context, program: docker, secrets: #{{ npm: key }}, build_args: #{{ KEY: key }},
        }});
        push_image(#{{ repository: repository, tag: "1", program: docker }});"#
    );
    let ran = machine.run_with(&body, json!({ "key": "hunter2-hunter2" }));
    assert_eq!(ran.failure, None);
    let told = format!("{:?}", ran.events.iter().map(|stamped| &stamped.event).collect::<Vec<_>>());
    assert!(told.contains("#7 got (secret) for npm"), "{told}");
    // What moto's registry gives out as a password.
    let login = fs::read_to_string(machine.file("state.json")).expect("a state");
    assert!(login.contains("auth-token"), "{login}");
    for secret in ["hunter2", "auth-token"] {
        assert!(!told.contains(secret) && !machine.account.journals().contains(secret), "{secret}: {told}");
    }
}

#[test]
fn what_is_missing_is_said() {
    let machine = Machine::new();
    let push = r#"push_image(#{ repository: repository, tag: "1", program: docker });"#;
    let absent = RELEASE.replace("program: docker", "program: \"no-such-docker\"");
    let context = RELEASE.replace("context: context", "context: \"/nowhere\"");
    for (body, words) in [
        (push, "/shop-prod-web:1 on this machine was not found"),
        (&context, "failed to read dockerfile"),
        (r#"build_image(#{ repository: repository, tag: "a/b", program: docker });"#, "expected at most 128 letters"),
        (r#"build_image(#{ repository: "1.dkr.ecr.eu-central-1.amazonaws.com/web", tag: "1" });"#, "found the URI"),
        (r#"push_image(#{ repository: "1.dkr.ecr.eu-central-1.amazonaws.com/web", tag: "1" });"#, "found the URI"),
        (
            r#"find_container_image(#{ repository: "1.dkr.ecr.eu-central-1.amazonaws.com/web", tag: "1" });"#,
            "found the URI",
        ),
        (r#"build_image(#{ repository: "other", tag: "1", program: docker });"#, "repository other in eu-central-1"),
        (&absent, "the command `no-such-docker` is not among what is allowed"),
    ] {
        let failure = machine.run(&format!("{REPOSITORY}\n{body}")).failure.unwrap_or_else(|| panic!("{body}"));
        assert!(failure.contains(words), "{failure}");
    }
    let script = format!("environment(\"prod\");\nstack(\"shop\");\nlet context = \".\";\n{REPOSITORY}\n{absent}");
    let ran = machine.account.script_under("allowed_commands = [\"no-such-docker\"]", &script, json!({}));
    let failure = ran.failure.expect("it is not there");
    assert!(failure.contains("the program `no-such-docker` on this machine was not found"), "{failure}");
}

/// There the images of tags are there without a push; in a dry run of an account, something stands for what is not pushed.
#[test]
fn it_is_only_shown_where_aws_is_not_aws() {
    let (account, allowed) = (Account::prompt(), "allowed_commands = [\"no-such-docker\"]");
    let body = release()
        .replace("program: docker", "program: \"no-such-docker\"")
        .replace("context: context", "context: \".\"");
    let text = format!("environment(\"prod\");\nstack(\"shop\");\n{body}");
    let ran = account.script_under(allowed, &text, json!({}));
    assert_eq!(ran.failure, None);
    let host = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/shop-prod-web@sha256:";
    assert!(ran.outputs["image"].as_str().is_some_and(|image| image.starts_with(host)), "{:?}", ran.outputs);
    assert_eq!(ran.outputs["id"], json!(""));

    let machine = Machine::new();
    assert_eq!(machine.run(REPOSITORY).failure, None);
    let planned = machine.account.plan_script_under(allowed, &text);
    assert_eq!(planned.failure, None);
    assert!(planned.outputs["image"].as_str().is_some_and(|image| image.contains("/shop-prod-web@sha256:")));
    assert!(!machine.file("state.json").exists());
}
