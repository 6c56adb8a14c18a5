//! `ensure_listener`: a port of a load balancer, and what becomes of requests that no rule takes.

use aws_sdk_elasticloadbalancingv2::types::{self as elb, ProtocolEnum};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    Listener, LoadBalancer,
    action::{Action, Answer, Weights},
    certificates,
    listener_settings::{self, Settings},
    name_in,
    protocol::Protocol,
    read,
    route::{self, Route},
    shared, tags,
};
use crate::{
    event::{Change, Field},
    ops::{
        Error, IdOf, Operation, Tags, Together, arguments,
        certificate::Certificate,
        network::common::only,
        outcome::{deleted, report},
        ownership::{Owned, STACK_TAG, changed, set},
        require, tagged,
    },
    run::{Class, Ctx, LookUp, Mutation, Undo, UndoAction, Undone},
};

/// What a new HTTPS or TLS listener gets when none is given: TLS 1.2 and 1.3, as AWS recommends. (Without one, the
/// API would take a policy of 2016 that allows TLS 1.0.)
const SSL_POLICY: &str = "ELBSecurityPolicy-TLS13-1-2-2021-06";

/// Makes sure that a load balancer listens on a port. The load balancer may be somebody else's; the listener is the
/// stack's.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EnsureListener {
    /// The load balancer.
    load_balancer: IdOf<LoadBalancer>,
    /// The port it listens on.
    port: u16,
    /// `HTTP` or `HTTPS` on an application load balancer, the others on a network one.
    protocol: Protocol,
    /// Certificates of HTTPS and TLS: the default one first, then more for other host names. Others that the listener
    /// has are left alone.
    #[serde(default)]
    certificates: Vec<IdOf<Certificate>>,
    /// The TLS versions and ciphers clients may use; a new listener begins with
    /// `ELBSecurityPolicy-TLS13-1-2-2021-06`.
    ssl_policy: Option<String>,
    /// The ALPN policy of a TLS listener: `HTTP2Preferred`, …
    alpn_policy: Option<String>,
    /// What becomes of requests that no rule takes.
    default_action: Action,
    /// Who owns the weights. With `keep`, a live action that forwards keeps its target groups and weights, whatever
    /// `default_action` says: they belong to `attach_target_group` and `shift_traffic`, and `default_action` is what a
    /// new listener begins with. With `set`, the action is made as given. Without this, `keep` if `default_action`
    /// forwards, else `set`.
    weights: Option<Weights>,
    /// What the stack calls it, if not by protocol and port; it becomes the tag `Name`.
    name: Option<String>,
    /// More tags.
    #[serde(default)]
    tags: Tags,
    /// Takes over a listener of this port that the stack does not own.
    #[serde(default)]
    adopt: bool,
    /// Leaves it in place when the run is rolled back.
    #[serde(default)]
    keep_on_rollback: bool,
}

/// What is kept of a created listener.
#[derive(Serialize, Deserialize)]
struct Made {
    listener_arn: String,
}

impl Operation for EnsureListener {
    const NAME: &'static str = "ensure_listener";
    const AREA: &'static str = "Elastic Load Balancing";
    const EXAMPLE: &'static str = r#"ensure_listener(#{
    load_balancer: web, port: 443, protocol: "HTTPS", certificates: [certificate],
    default_action: #{ forward: #{ target_groups: [#{ target_group: blue, weight: 100 }] } },
})"#;

    type Options = Self;
    type Handle = Listener;

    fn subject(options: &Self) -> String {
        format!("{}:{}", name_in(options.load_balancer.as_str()), options.port)
    }

    async fn run(ctx: &Ctx, options: Self) -> Result<Listener, Error> {
        options.check()?;
        let answer = options.default_action.answer("default_action")?;
        let name = options.name.clone();
        let name = name.unwrap_or_else(|| format!("{}-{}", options.protocol.as_str().to_lowercase(), options.port));
        let owned = Owned::new(ctx, &name, &options.tags)?;
        let balancer = options.load_balancer.as_str();
        let listeners = shared::listeners_of(ctx, balancer).await?;
        let there = match on_port(listeners, balancer, options.port)? {
            Some(found) => read::unless_gone(converge(ctx, &options, &owned, &answer, &found).await)?,
            None => None,
        };
        let listener_arn = match there {
            Some(arn) => arn,
            None => match create(ctx, &options, &owned, &answer).await {
                Ok(arn) => arn,
                // It is there after all: made by a run that was cut off, and slow to be listed.
                Err(error) if error.is(&["DuplicateListener"]) => {
                    let found = read::soon(ctx, error, async || {
                        on_port(read::listeners_of(ctx, balancer).await?, balancer, options.port)
                    })
                    .await?;
                    converge(ctx, &options, &owned, &answer, &found).await?
                }
                Err(error) => return Err(error),
            },
        };
        Ok(Listener {
            listener_arn,
            load_balancer_arn: options.load_balancer.into_string(),
            port: options.port.into(),
            protocol: options.protocol.as_str().to_owned(),
        })
    }
}

impl EnsureListener {
    fn check(&self) -> Result<(), Error> {
        if self.protocol.is_secure() && self.certificates.is_empty() {
            let message = format!("a {} listener needs a certificate", self.protocol.as_str());
            return Err(Error::option("certificates", message));
        }
        let secured = !self.certificates.is_empty() || self.ssl_policy.is_some();
        if !self.protocol.is_secure() && secured {
            let message = format!("a {} listener has no certificates and no SSL policy", self.protocol.as_str());
            return Err(Error::option("protocol", message));
        }
        Ok(())
    }

    /// What is asked for, besides the action.
    fn settings(&self) -> Settings {
        Settings {
            protocol: Some(self.protocol.as_str().to_owned()),
            certificate: self.certificates.first().map(ToString::to_string),
            ssl_policy: self.ssl_policy.clone(),
            alpn_policy: self.alpn_policy.clone(),
        }
    }

    fn more_certificates(&self) -> Vec<String> {
        self.certificates.iter().skip(1).map(ToString::to_string).collect()
    }

    fn subject(&self) -> String {
        format!("listener {}", <Self as Operation>::subject(self))
    }
}

/// The answer a route should have: as given, or, where the weights are the traffic operations', with the live groups.
pub(super) fn wanted(given: &Answer, live: &Answer, weights: Option<Weights>) -> Answer {
    let keeps = match weights {
        Some(weights) => weights == Weights::Keep,
        None => given.is_forward(),
    };
    match (given, live) {
        (Answer::Forward { stickiness, .. }, Answer::Forward { target_groups, .. }) if keeps => {
            Answer::Forward { target_groups: target_groups.clone(), stickiness: *stickiness }
        }
        (_, Answer::Forward { .. }) if keeps => live.clone(),
        _ => given.clone(),
    }
}

fn on_port(mut found: Vec<elb::Listener>, balancer: &str, port: u16) -> Result<Option<elb::Listener>, Error> {
    found.retain(|listener| listener.port() == Some(port.into()));
    only(&format!("listener {}:{port}", name_in(balancer)), found, elb::Listener::listener_arn)
}

async fn create(ctx: &Ctx, options: &EnsureListener, owned: &Owned, answer: &Answer) -> Result<String, Error> {
    let (subject, balancer) = (options.subject(), options.load_balancer.as_str());
    let undo = Undo::new(&DELETE_LISTENER, format!("delete {subject}"), json!({})).keep(options.keep_on_rollback);
    let declared = Mutation::new("elasticloadbalancing:CreateListener", Class::Unique, subject)
        .look_up(&LISTENER_ON_PORT, json!({ "load_balancer": balancer, "port": options.port, "stack": owned.stack }))
        .undo(undo);
    let secure = options.protocol.is_secure();
    let certificate =
        options.certificates.first().map(|arn| elb::Certificate::builder().certificate_arn(arn.as_str()).build());
    let policy = secure.then(|| options.ssl_policy.clone().unwrap_or_else(|| SSL_POLICY.to_owned()));
    let Made { listener_arn } = ctx
        .mutate(
            declared,
            |permit| {
                ctx.aws()
                    .elbv2
                    .create_listener()
                    .load_balancer_arn(balancer)
                    .port(options.port.into())
                    .protocol(ProtocolEnum::from(options.protocol.as_str()))
                    .set_certificates(certificate.clone().map(|certificate| vec![certificate]))
                    .set_ssl_policy(policy.clone())
                    .set_alpn_policy(options.alpn_policy.clone().map(|policy| vec![policy]))
                    .set_default_actions(Some(answer.among(&[])))
                    .set_tags(Some(tags::to_elb(&owned.tags())))
                    .customize()
                    .interceptor(permit)
                    .send()
            },
            |reply| {
                let arn = reply.listeners().first().and_then(|made| made.listener_arn());
                let listener_arn = require("elasticloadbalancing:CreateListener", "Listeners[0].ListenerArn", arn)?;
                Ok(Made { listener_arn })
            },
        )
        .await?;
    let more = options.more_certificates();
    if !more.is_empty() {
        certificates::add(ctx, &listener_arn, &more).await?;
    }
    ctx.did(Change::Created, [set("listener_arn", listener_arn.clone())]);
    Ok(listener_arn)
}

async fn converge(
    ctx: &Ctx,
    options: &EnsureListener,
    owned: &Owned,
    answer: &Answer,
    found: &elb::Listener,
) -> Result<String, Error> {
    let arn: String = require("elasticloadbalancing:DescribeListeners", "ListenerArn", found.listener_arn())?;
    let tags = shared::tags(ctx, &arn).await?;
    owned.check(&options.subject(), &tags, options.adopt)?;
    let wanted = options.settings();
    // The protocol first: HTTP has no certificates, and what a TCP listener may forward to differs.
    let mut fields = listener_settings::converge(ctx, found, &wanted).await?;
    let more = options.more_certificates();
    let (action, more, tags) = futures::join!(
        converge_action(ctx, options, answer, found),
        certificates::converge(ctx, &arn, &more),
        tagged::converge::<tags::Resource>(ctx, &arn, owned, &tags),
    )
    .together()?;
    fields.extend(action.into_iter().chain(more).chain(tags));
    report(ctx, fields);
    Ok(arn)
}

async fn converge_action(
    ctx: &Ctx,
    options: &EnsureListener,
    answer: &Answer,
    found: &elb::Listener,
) -> Result<Option<Field>, Error> {
    let actions = found.default_actions().to_vec();
    let name = <EnsureListener as Operation>::subject(options);
    let live = route::Live { name, answer: Answer::of(&actions), actions };
    let ours = wanted(answer, &live.answer, options.weights);
    if ours == live.answer {
        return Ok(None);
    }
    let listener = Route::new(found.listener_arn().unwrap_or_default());
    route::replace(ctx, &listener, &live, &ours).await?;
    Ok(Some(changed("default_action", json!(live.answer), json!(ours))))
}

/// Finds the listener of a port, if the stack owns it.
pub const LISTENER_ON_PORT: LookUp =
    LookUp { name: "listener_on_port", run: |ctx, arguments| Box::pin(listener_on_port(ctx, arguments)) };

#[derive(Deserialize)]
struct OnPort {
    load_balancer: String,
    port: u16,
    stack: String,
}

async fn listener_on_port(ctx: &Ctx, given: Value) -> Result<Option<Value>, Error> {
    let OnPort { load_balancer, port, stack } = arguments(given)?;
    let listeners = read::listeners_of(ctx, &load_balancer).await?;
    let Some(found) = on_port(listeners, &load_balancer, port)? else { return Ok(None) };
    let arn = found.listener_arn().unwrap_or_default();
    let ours = read::tags(ctx, arn).await?.get(STACK_TAG) == Some(&stack);
    Ok(ours.then(|| json!({ "listener_arn": arn })))
}

/// Deletes a listener this run made, with its rules.
pub const DELETE_LISTENER: UndoAction =
    UndoAction { name: "delete_listener", run: |ctx, arguments| Box::pin(delete_listener(ctx, arguments)) };

async fn delete_listener(ctx: &Ctx, made: Value) -> Result<Undone, Error> {
    let Made { listener_arn: arn } = arguments(made)?;
    let declared = Mutation::new("elasticloadbalancing:DeleteListener", Class::Idempotent, &arn);
    let gone = ctx.change(declared, |permit| {
        ctx.aws().elbv2.delete_listener().listener_arn(&arn).customize().interceptor(permit).send()
    });
    deleted(gone.await, &["ListenerNotFound"])
}
