//! `push_image`: an image of this machine into a repository, and its digest.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{
    ContainerImage, Repository,
    build_image::{docker, half_an_hour},
    docker::{Docker, Seen, With, check_tag},
    ecr::{self, Found},
};
use crate::{
    aws::Permit,
    event::Change,
    ops::{
        Duration, Error, IdOf, Operation, Together, arguments,
        ownership::{changed, set},
        require,
    },
    run::{Class, Ctx, Mutation, Undo, UndoAction, Undone, hex},
};

/// Pushes an image of this machine to a repository with the docker CLI, and returns it by its digest. An image that its tag names
/// there already is not pushed again. Only where `allowed_commands` of the environment's policy names the program. In a dry
/// run and on the simulated AWS it is only shown.
///
/// On rollback the tag goes back to the image it named, or away.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PushImage {
    /// The repository: what `ensure_repository` returned, or its name.
    repository: IdOf<Repository>,
    /// The tag: `"1.4.2"`.
    tag: String,
    /// The image on this machine, by a name or id of its own: it is tagged first. Left out, what `build_image` has made for this
    /// repository and tag.
    image: Option<String>,
    /// Logs the CLI in to the registry, for 12 hours. `false` where a credential helper does that.
    #[serde(default = "yes")]
    login: bool,
    /// The CLI: a name that is looked for in `PATH`, or a path. One that takes the words of docker will do.
    #[serde(default = "docker")]
    program: String,
    /// How long it may take.
    #[serde(default = "half_an_hour")]
    timeout: Duration,
    /// Leaves the tag as it is when the run is rolled back.
    #[serde(default)]
    keep_on_rollback: bool,
}

fn yes() -> bool {
    true
}

impl Operation for PushImage {
    const NAME: &'static str = "push_image";
    const AREA: &'static str = "ECR";
    const EXAMPLE: &'static str = r#"push_image(#{ repository: "shop-prod-web", tag: "1.4.2" })"#;

    type Options = Self;
    type Handle = ContainerImage;

    fn subject(options: &Self) -> String {
        format!("{}:{}", options.repository, options.tag)
    }

    async fn run(ctx: &Ctx, options: Self) -> Result<ContainerImage, Error> {
        options.check()?;
        let (name, tag) = (options.repository.as_str(), options.tag.as_str());
        let (repository, before) = futures::join!(ecr::get(ctx, name), ecr::digest_of(ctx, name, tag)).together()?;
        let target = format!("{}:{tag}", repository.repository_uri);
        let source = options.image.as_ref().unwrap_or(&target);
        let docker = Docker { program: &options.program, timeout: options.timeout.0 };
        let digest = match docker.look(ctx, source).await? {
            Seen::Absent => {
                let hint = Some("`build_image` makes one".to_owned());
                return Err(Error::NotFound { what: format!("the image {source} on this machine"), hint });
            }
            // A push only adds to what is known of the image here: a run that goes on decides as it did.
            Seen::There(local)
                if before.as_ref().is_some_and(|before| local.is(&repository.repository_uri, before)) =>
            {
                ctx.did(Change::Unchanged, []);
                before.unwrap_or_default()
            }
            Seen::There(local) => {
                check_mutability(&repository, tag, before.as_ref())?;
                options.push(ctx, &docker, &repository, Some(local.id), before).await?
            }
            Seen::NotLooked => options.push(ctx, &docker, &repository, None, before).await?,
        };
        Ok(ContainerImage::of(repository, options.tag, digest))
    }
}

impl PushImage {
    fn check(&self) -> Result<(), Error> {
        ecr::check_repository(self.repository.as_str())?;
        check_tag("tag", &self.tag)?;
        match &self.image {
            Some(image) if image.is_empty() || image.starts_with('-') => {
                let message = format!("expected the name or id of an image on this machine, found {image:?}");
                Err(Error::option("image", message))
            }
            _ => Ok(()),
        }
    }

    /// Returns the digest.
    async fn push(
        &self,
        ctx: &Ctx,
        docker: &Docker<'_>,
        repository: &Found,
        image_id: Option<String>,
        before: Option<String>,
    ) -> Result<String, Error> {
        let (name, tag) = (&repository.repository_name, &self.tag);
        let target = format!("{}:{tag}", repository.repository_uri);
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        if self.login {
            let registry = repository.repository_uri.split('/').next().unwrap_or_default();
            let with = With { stdin: Some(password(ctx).await?), ..With::default() };
            docker.run(ctx, words(&["login", "--username", USER, "--password-stdin", registry]), with).await?;
        }
        if let Some(image) = &self.image {
            docker.run(ctx, words(&["image", "tag", image, &target]), With::default()).await?;
        }
        let undo = Undo::new(
            &RESTORE_IMAGE_TAG,
            format!("put tag {tag} of repository {name} back"),
            json!({
                "repository_name": name, "image_tag": tag, "before": before, "repository_uri": repository.repository_uri,
                "image_id": image_id, "program": self.program,
            }),
        );
        let with = With { undo: Some(undo.keep(self.keep_on_rollback)), ..With::default() };
        let assumed = docker.run(ctx, words(&["push", &target]), with).await?;
        let digest = match ecr::digest_of(ctx, name, tag).await? {
            Some(digest) => digest,
            // Something must stand for it: what follows in the plan names the image by its digest.
            None if assumed => format!("sha256:{}", hex(&Sha256::digest(&target))),
            None => {
                let what = format!("an image tagged {tag} in repository {name} after it was pushed");
                return Err(Error::NotFound { what, hint: None });
            }
        };
        match before {
            _ if assumed => ctx.did(Change::Updated, [set("image_digest", "assumed")]),
            None => ctx.did(Change::Created, [set("image_digest", digest.clone())]),
            Some(before) if before == digest => ctx.did(Change::Unchanged, []),
            Some(before) => ctx.did(Change::Updated, [changed("image_digest", before, digest.clone())]),
        }
        Ok(digest)
    }
}

/// Before anything is sent: docker would say it after a while.
fn check_mutability(repository: &Found, tag: &str, before: Option<&String>) -> Result<(), Error> {
    match before {
        Some(before) if repository.image_tag_mutability == "IMMUTABLE" => Err(Error::Unsafe(format!(
            "tag {tag} of repository {} names {before}, and its tags are IMMUTABLE: push another tag",
            repository.repository_name
        ))),
        _ => Ok(()),
    }
}

/// Whom ECR's tokens are for. Source: "Private registry authentication in Amazon ECR".
const USER: &str = "AWS";

/// What logs in to the registry of this account and region, for 12 hours.
async fn password(ctx: &Ctx) -> Result<String, Error> {
    const CALL: &str = "ecr:GetAuthorizationToken";
    const MEMBER: &str = "authorizationData.authorizationToken";
    #[derive(Default, Deserialize)]
    #[serde(default, rename_all = "camelCase")]
    struct Reply {
        authorization_data: Vec<Token>,
    }
    #[derive(Default, Deserialize)]
    #[serde(default, rename_all = "camelCase")]
    struct Token {
        authorization_token: String,
    }
    // The SDK writes replies down as they show themselves.
    impl std::fmt::Debug for Reply {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("(secret)")
        }
    }
    let reply = ctx.unremembered(ctx.fetch::<Reply>(CALL, &json!({}))).await?;
    let token = require(CALL, MEMBER, reply.authorization_data.into_iter().next())?;
    let Token { authorization_token: token } = token;
    ctx.hide(&token);
    let text = STANDARD.decode(&token).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let password = text.as_deref().and_then(|text| text.strip_prefix("AWS:")).map(str::to_owned);
    let password: String = require(CALL, MEMBER, password)?;
    ctx.hide(&password);
    Ok(password)
}

/// Puts a tag back to the image it named before this run pushed another one, or takes it away.
pub const RESTORE_IMAGE_TAG: UndoAction =
    UndoAction { name: "restore_image_tag", run: |ctx, arguments| Box::pin(restore_image_tag(ctx, arguments)) };

#[derive(Serialize, Deserialize)]
struct Pushed {
    repository_name: String,
    image_tag: String,
    /// The digest it named.
    before: Option<String>,
    #[serde(default)]
    repository_uri: String,
    /// What was pushed, as this machine has it.
    image_id: Option<String>,
    #[serde(default = "docker")]
    program: String,
    /// What the CLI said, if that is known.
    #[serde(default)]
    stdout: String,
}

impl Pushed {
    /// As docker says it: `1.4.2: digest: sha256:… size: 1573`.
    fn digest(&self) -> Option<&str> {
        self.stdout.split_whitespace().rfind(|word| word.starts_with("sha256:"))
    }

    /// Whether this run has pushed what the tag names now; `None` if nobody knows.
    async fn is(&self, ctx: &Ctx, now: &str) -> Option<bool> {
        if let Some(digest) = self.digest() {
            return Some(digest == now);
        }
        // Not every CLI says it, and none has said it if the run was killed meanwhile.
        let docker = Docker { program: &self.program, timeout: half_an_hour().0 };
        match docker.look(ctx, self.image_id.as_ref()?).await {
            Ok(Seen::There(local)) if local.is(&self.repository_uri, now) => Some(true),
            _ => None,
        }
    }
}

async fn restore_image_tag(ctx: &Ctx, pushed: Value) -> Result<Undone, Error> {
    let pushed: Pushed = arguments(pushed)?;
    let Pushed { repository_name: name, image_tag: tag, before, .. } = &pushed;
    let now = ecr::digest_of(ctx, name, tag).await?;
    if now == *before {
        return Ok(Undone::Already);
    }
    let foreign = match &now {
        None => Some(format!("tag {tag} of {name} is gone")),
        Some(now) => match pushed.is(ctx, now).await {
            Some(true) => None,
            Some(false) => Some(format!("tag {tag} of {name} names {now}, which this run did not push")),
            None => Some(format!("tag {tag} of {name} names {now}, and whether this run pushed it is not known")),
        },
    };
    if let Some(why) = foreign {
        return Ok(Undone::Foreign(why));
    }
    match before {
        Some(before) => ecr::tag(ctx, name, tag, before).await,
        None => {
            let declared =
                Mutation::new("ecr:BatchDeleteImage", Class::Idempotent, format!("tag {tag} of repository {name}"));
            let input = json!({ "repositoryName": name, "imageIds": [{ "imageTag": tag }] });
            let send = |permit: Permit| ctx.aws().call("ecr:BatchDeleteImage", &input).permit(permit).send::<Deleted>();
            let deleted = ctx.mutate(declared, send, |deleted: &Deleted| Ok(deleted.clone())).await?;
            deleted.check(format!("deleting tag {tag} of {name}")).map(|()| Undone::Done)
        }
    }
}

/// What ECR answers to a deletion: also one that it refuses is answered with 200.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Deleted {
    failures: Vec<Failure>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Failure {
    failure_code: String,
    failure_reason: String,
}

impl Deleted {
    fn check(&self, what: String) -> Result<(), Error> {
        let failures = self.failures.iter().filter(|failure| failure.failure_code != "ImageNotFound");
        let words = |failure: &Failure| format!("{}: {}", failure.failure_code, failure.failure_reason);
        match failures.map(words).collect::<Vec<_>>() {
            none if none.is_empty() => Ok(()),
            faults => Err(Error::Failed { what, faults }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// "ImageReferencedByManifestList": an image for several platforms has it.
    #[test]
    fn what_is_not_deleted_is_no_success() {
        let check = |code: &str| {
            let failure =
                json!({ "imageId": { "imageTag": "1" }, "failureCode": code, "failureReason": "it is referenced" });
            let deleted: Deleted =
                serde_json::from_value(json!({ "imageIds": [], "failures": [failure] })).expect("a reply");
            deleted.check("deleting tag 1 of web".to_owned()).map_err(|error| error.to_string())
        };
        assert_eq!(check("ImageNotFound"), Ok(()));
        let error = check("ImageReferencedByManifestList").expect_err("it is there still");
        assert_eq!(error, "deleting tag 1 of web failed: ImageReferencedByManifestList: it is referenced");
    }

    #[test]
    fn what_docker_says_of_a_push() {
        let said = "The push refers to repository [r/web]\nabc: Pushed\n1.4.2: digest: sha256:12ab size: 1573\n";
        let pushed = |stdout: &str| Pushed {
            repository_name: "web".into(),
            image_tag: "1.4.2".into(),
            before: None,
            repository_uri: "r/web".into(),
            image_id: None,
            program: docker(),
            stdout: stdout.into(),
        };
        assert_eq!(pushed(said).digest(), Some("sha256:12ab"));
        assert_eq!(pushed("Writing manifest to image destination").digest(), None);
    }
}
