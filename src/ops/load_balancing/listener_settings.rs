//! What a listener is besides its action: protocol, default certificate, policies. One call changes any of them.

use aws_sdk_elasticloadbalancingv2::types::{self as elb, ProtocolEnum};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::read;
use crate::{
    event::Field,
    ops::{Error, arguments, outcome::nothing_to_undo, ownership::changed},
    run::{Class, Ctx, Mutation, Undo, UndoAction, Undone},
};

/// `None` is: not asked for, or not there.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    pub protocol: Option<String>,
    pub certificate: Option<String>,
    pub ssl_policy: Option<String>,
    pub alpn_policy: Option<String>,
}

impl Settings {
    fn of(found: &elb::Listener) -> Self {
        let own = |text: Option<&str>| text.map(str::to_owned);
        let protocol = own(found.protocol().map(ProtocolEnum::as_str));
        // Without TLS there is no policy, whatever an endpoint makes up.
        let secure = protocol.as_deref().is_some_and(|protocol| ["HTTPS", "TLS"].contains(&protocol));
        Self {
            protocol,
            certificate: own(found.certificates().first().and_then(|one| one.certificate_arn())),
            ssl_policy: own(found.ssl_policy()).filter(|_| secure),
            alpn_policy: found.alpn_policy().first().cloned(),
        }
    }

    fn fields(&self) -> [(&'static str, &Option<String>); 4] {
        [
            ("protocol", &self.protocol),
            ("certificate", &self.certificate),
            ("ssl_policy", &self.ssl_policy),
            ("alpn_policy", &self.alpn_policy),
        ]
    }

    /// Only those that `wanted` has, too.
    fn only(&self, wanted: &Self) -> Self {
        let one = |own: &Option<String>, wanted: &Option<String>| own.clone().filter(|_| wanted.is_some());
        Self {
            protocol: one(&self.protocol, &wanted.protocol),
            certificate: one(&self.certificate, &wanted.certificate),
            ssl_policy: one(&self.ssl_policy, &wanted.ssl_policy),
            alpn_policy: one(&self.alpn_policy, &wanted.alpn_policy),
        }
    }

    /// Without those that are the same in `found`.
    fn without(&self, found: &Self) -> Self {
        let one = |own: &Option<String>, found: &Option<String>| own.clone().filter(|_| own != found);
        Self {
            protocol: one(&self.protocol, &found.protocol),
            certificate: one(&self.certificate, &found.certificate),
            ssl_policy: one(&self.ssl_policy, &found.ssl_policy),
            alpn_policy: one(&self.alpn_policy, &found.alpn_policy),
        }
    }
}

/// Sets what differs. Returns what changed.
pub async fn converge(ctx: &Ctx, found: &elb::Listener, wanted: &Settings) -> Result<Vec<Field>, Error> {
    let (arn, present) = (found.listener_arn().unwrap_or_default(), Settings::of(found));
    let ours = wanted.without(&present);
    let fields: Vec<Field> = ours
        .fields()
        .into_iter()
        .zip(present.fields())
        .filter_map(|((name, ours), (_, before))| Some(changed(name, json!(before), ours.clone()?)))
        .collect();
    if fields.is_empty() {
        return Ok(fields);
    }
    // With another protocol, certificate and policy go, too.
    let before = if ours.protocol.is_some() { present } else { present.only(&ours) };
    let undo = Undo::new(
        &RESTORE_LISTENER,
        format!("set listener {arn} back"),
        json!({ "arn": arn, "before": before, "ours": ours }),
    );
    modify(ctx, arn, &ours, Some(undo)).await?;
    Ok(fields)
}

async fn modify(ctx: &Ctx, arn: &str, settings: &Settings, undo: Option<Undo>) -> Result<(), Error> {
    let mut declared = Mutation::new("elasticloadbalancing:ModifyListener", Class::Idempotent, arn);
    if let Some(undo) = undo {
        declared = declared.undo(undo);
    }
    let Settings { protocol, certificate, ssl_policy, alpn_policy } = settings.clone();
    let certificate = certificate.map(|arn| vec![elb::Certificate::builder().certificate_arn(arn).build()]);
    ctx.change(declared, |permit| {
        ctx.aws()
            .elbv2
            .modify_listener()
            .listener_arn(arn)
            .set_protocol(protocol.as_deref().map(ProtocolEnum::from))
            .set_certificates(certificate.clone())
            .set_ssl_policy(ssl_policy.clone())
            .set_alpn_policy(alpn_policy.clone().map(|policy| vec![policy]))
            .customize()
            .interceptor(permit)
            .send()
    })
    .await
}

/// Sets changed settings back.
pub const RESTORE_LISTENER: UndoAction =
    UndoAction { name: "restore_listener", run: |ctx, arguments| Box::pin(restore_listener(ctx, arguments)) };

#[derive(Deserialize)]
struct RestoreListener {
    arn: String,
    before: Settings,
    ours: Settings,
}

async fn restore_listener(ctx: &Ctx, given: Value) -> Result<Undone, Error> {
    let RestoreListener { arn, before, ours } = arguments(given)?;
    let found = match read::listener(ctx, &arn).await {
        Err(error) if error.is(&["ListenerNotFound"]) => return Ok(Undone::Already),
        found => Settings::of(&found?),
    };
    if let Some(undone) = nothing_to_undo(&found.only(&ours), &before.only(&ours), &ours) {
        return Ok(undone);
    }
    modify(ctx, &arn, &before, None).await?;
    Ok(Undone::Done)
}
