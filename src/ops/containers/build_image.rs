//! `build_image`: an image from a Dockerfile, on this machine.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    BuiltImage, Repository,
    docker::{Docker, Seen, With, check_tag},
    ecr,
};
use crate::{
    event::Change,
    ops::{
        Duration, Error, IdOf, Operation, Sensitive,
        ownership::{changed, set},
    },
    run::Ctx,
};

/// Builds an image with the docker CLI of this machine, and tags it for a repository; `push_image` brings it there. Only where
/// `allowed_commands` of the environment's policy names the program. In a dry run and on the simulated AWS it is only shown.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BuildImage {
    /// The repository it is for: what `ensure_repository` returned, or its name.
    repository: IdOf<Repository>,
    /// The tag: `"1.4.2"`.
    tag: String,
    /// The folder whose files the build sees; where `runner` was started, if it is relative.
    #[serde(default = "here")]
    context: String,
    /// The Dockerfile, relative to where `runner` was started; left out, the one in `context`.
    dockerfile: Option<String>,
    /// The stage of the Dockerfile to build; left out, the last.
    target: Option<String>,
    /// `"linux/amd64"`, `"linux/arm64"`: what the tasks run on. Left out, what this machine is.
    platform: Option<String>,
    /// Values for `ARG` of the Dockerfile. They can be read in the image: secrets are for `secrets`. One that is secret is a
    /// variable of the CLI meanwhile, and cannot have the name of one that the CLI reads itself, such as `PATH`.
    #[serde(default)]
    build_args: BTreeMap<String, Sensitive>,
    /// What `RUN --mount=type=secret,id=NAME` reads, by name. It stays out of the image. Needs BuildKit.
    #[serde(default)]
    secrets: BTreeMap<String, Sensitive>,
    /// More labels.
    #[serde(default)]
    labels: BTreeMap<String, String>,
    /// Asks whether there are newer base images.
    #[serde(default)]
    pull: bool,
    /// The CLI: a name that is looked for in `PATH`, or a path. One that takes the words of docker will do.
    #[serde(default = "docker")]
    program: String,
    /// How long it may take.
    #[serde(default = "half_an_hour")]
    timeout: Duration,
}

fn here() -> String {
    ".".to_owned()
}

pub(super) fn docker() -> String {
    "docker".to_owned()
}

pub(super) fn half_an_hour() -> Duration {
    Duration::from_secs(1800)
}

impl Operation for BuildImage {
    const NAME: &'static str = "build_image";
    const AREA: &'static str = "ECR";
    const EXAMPLE: &'static str = r#"build_image(#{
    repository: "shop-prod-web", tag: "1.4.2", context: "app", platform: "linux/amd64", build_args: #{ VERSION: "1.4.2" },
})"#;

    type Options = Self;
    type Handle = BuiltImage;

    fn subject(options: &Self) -> String {
        format!("{}:{}", options.repository, options.tag)
    }

    async fn run(ctx: &Ctx, options: Self) -> Result<BuiltImage, Error> {
        options.check()?;
        let repository = ecr::get(ctx, options.repository.as_str()).await?;
        let image = format!("{}:{}", repository.repository_uri, options.tag);
        let docker = Docker { program: &options.program, timeout: options.timeout.0 };
        // What is found decides what is said, never what is done: a run that goes on may find the image of its own build.
        let before = docker.look(ctx, &image).await?;
        let (args, with) = options.words(&image);
        let assumed = docker.run(ctx, args, with).await?;
        let image_id = match docker.look(ctx, &image).await? {
            Seen::There(built) => built.id,
            Seen::NotLooked => String::new(),
            Seen::Absent => {
                let hint =
                    "its builder keeps images to itself: use one that loads them, such as `docker buildx use default`";
                let what = format!("the image {image} that `{}` has built", options.program);
                return Err(Error::NotFound { what, hint: Some(hint.to_owned()) });
            }
        };
        match before {
            Seen::There(before) if before.id == image_id => ctx.did(Change::Unchanged, []),
            Seen::There(before) => ctx.did(Change::Updated, [changed("image_id", before.id, image_id.clone())]),
            Seen::Absent => ctx.did(Change::Created, [set("image_id", image_id.clone())]),
            Seen::NotLooked => ctx.did(Change::Created, [set("image_id", "assumed")]),
        }
        let (repository_name, image_tag) = (repository.repository_name, options.tag);
        Ok(BuiltImage { image, repository_name, image_tag, image_id, assumed })
    }
}

impl BuildImage {
    fn check(&self) -> Result<(), Error> {
        ecr::check_repository(self.repository.as_str())?;
        check_tag("tag", &self.tag)?;
        let paths = [("context", Some(&self.context)), ("dockerfile", self.dockerfile.as_ref())];
        let words = [("target", self.target.as_ref()), ("platform", self.platform.as_ref())];
        for (option, text) in paths.into_iter().chain(words) {
            if text.is_some_and(|text| text.is_empty() || text.starts_with('-')) {
                return Err(Error::option(
                    option,
                    format!("expected text that does not begin with `-`, found {text:?}"),
                ));
            }
        }
        // They become parts of `NAME=VALUE` and `id=NAME,env=…`.
        let names = [("build_args", &self.build_args), ("secrets", &self.secrets)];
        for (option, name) in names.iter().flat_map(|(option, given)| given.keys().map(move |name| (option, name))) {
            let is_good = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
            if name.is_empty() || !name.chars().all(is_good) {
                let message = format!("expected names of letters, digits, `_`, `-` and `.`, found {name:?}");
                return Err(Error::option(*option, message));
            }
        }
        let secret = self.build_args.iter().filter(|(_, value)| value.is_secret()).map(|(name, _)| name);
        if let Some(name) = secret.into_iter().find(|name| is_read_by_the_cli(name)) {
            let message = "it is secret, and so a variable of the CLI, which reads this one itself: give it another name, or to \
                           `secrets`";
            return Err(Error::option(format!("build_args.{name}"), message));
        }
        match self.labels.keys().find(|name| name.is_empty() || name.contains('=')) {
            Some(name) => Err(Error::option("labels", format!("expected names without `=`, found {name:?}"))),
            None => Ok(()),
        }
    }

    /// The arguments, and what goes along in the environment.
    fn words(&self, image: &str) -> (Vec<String>, With) {
        let mut args = vec!["build".to_owned(), "--tag".to_owned(), image.to_owned()];
        let mut say = |flag: &str, value: &str| args.extend([flag.to_owned(), value.to_owned()]);
        let given = [("--file", &self.dockerfile), ("--target", &self.target), ("--platform", &self.platform)];
        given.into_iter().filter_map(|(flag, value)| Some((flag, value.as_ref()?))).for_each(|(flag, v)| say(flag, v));
        self.labels.iter().for_each(|(name, value)| say("--label", &format!("{name}={value}")));
        let mut env = BTreeMap::new();
        for (name, value) in &self.build_args {
            if value.is_secret() {
                // Without a value it is taken from the environment.
                say("--build-arg", name);
                env.insert(name.clone(), value.expose().to_owned());
            } else {
                say("--build-arg", &format!("{name}={}", value.expose()));
            }
        }
        for (at, (name, value)) in self.secrets.iter().enumerate() {
            let variable = format!("RUNNER_BUILD_SECRET_{at}");
            say("--secret", &format!("id={name},env={variable}"));
            env.insert(variable, value.expose().to_owned());
        }
        if self.pull {
            args.push("--pull".to_owned());
        }
        args.push(self.context.clone());
        (args, With { env, ..With::default() })
    }
}

/// Whether a variable decides which CLI runs, what is loaded into it, or where it sends the build.
fn is_read_by_the_cli(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    ["PATH", "HOME"].contains(&name.as_str())
        || ["LD_", "DOCKER_", "BUILDKIT_", "RUNNER_"].iter().any(|start| name.starts_with(start))
        || name.ends_with("_PROXY")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn with(build_args: Value) -> BuildImage {
        let options = json!({ "repository": "web", "tag": "1", "build_args": build_args });
        serde_json::from_value(options).expect("options")
    }

    /// A variable would replace the CLI, or send the build elsewhere.
    #[test]
    fn arguments_of_a_build_are_no_variables_of_the_cli() {
        let (args, With { env, .. }) =
            with(json!({ "PATH": "/app/bin", "http_proxy": "http://10.0.0.1" })).words("r/web:1");
        assert!(args.contains(&"PATH=/app/bin".to_owned()) && args.contains(&"http_proxy=http://10.0.0.1".to_owned()));
        assert!(env.is_empty(), "{env:?}");
    }

    #[test]
    fn secret_arguments_of_a_build_have_names_of_their_own() {
        let secret = |name: &str| with(json!({ name: { "$secret": "hunter2" } }));
        for name in
            ["PATH", "home", "LD_PRELOAD", "DOCKER_HOST", "BUILDKIT_HOST", "https_proxy", "Runner_Build_Secret_0"]
        {
            let error = secret(name).check().expect_err(name).to_string();
            assert!(error.contains("give it another name"), "{error}");
        }
        let (args, With { env, .. }) = secret("NPM_TOKEN").words("r/web:1");
        assert!(secret("NPM_TOKEN").check().is_ok() && args.contains(&"NPM_TOKEN".to_owned()));
        assert_eq!(env["NPM_TOKEN"], "hunter2");
    }
}
