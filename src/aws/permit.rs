//! The right to send one mutation, once.
//!
//! A permit is made by [`Ctx::mutate`](crate::run::Ctx::mutate) for one attempt of one declared
//! call, and rides on the request as an interceptor. The transport spends it; before the bytes
//! leave, it has the intent written down.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{
        interceptors::{Intercept, context::BeforeTransmitInterceptorContextMut, dyn_dispatch_hint},
        runtime_components::RuntimeComponents,
    },
};
use aws_smithy_types::config_bag::ConfigBag;
use futures::future::BoxFuture;
use thiserror::Error;

/// Called with the request when it is about to leave.
pub type BeforeSend = Arc<dyn Fn(Outgoing) -> BoxFuture<'static, Result<(), BoxError>> + Send + Sync>;

/// A mutation whose bytes are ready.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// Of method, path and body.
    pub digest: String,
    /// What it asks for, under AWS's names and as the bytes have it; without private keys.
    pub parameters: serde_json::Value,
}

/// The right to send one request of one action.
#[derive(Clone)]
pub struct Permit(Arc<Inner>);

struct Inner {
    action: &'static str,
    token: String,
    spent: AtomicBool,
    before_send: BeforeSend,
}

/// A request and its declaration do not agree.
#[derive(Debug, Error)]
pub enum PermitError {
    #[error("{0} changes AWS and was not declared")]
    Undeclared(String),
    #[error("{declared} was declared, but {sent} is about to be sent")]
    Other { declared: &'static str, sent: String },
    #[error("{0} was declared once and is about to be sent twice")]
    Spent(&'static str),
    #[error("the request says {wire}, its metadata {action}")]
    Wire { wire: String, action: String },
    #[error("a request that names no action")]
    Nameless,
}

impl Permit {
    pub fn new(action: &'static str, token: String, before_send: BeforeSend) -> Self {
        Self(Arc::new(Inner { action, token, spent: AtomicBool::new(false), before_send }))
    }

    /// The client token of this call: the same for every attempt, another for every call.
    /// 32 characters of `[0-9a-f]`, within the limits of every service that takes one.
    pub fn token(&self) -> &str {
        &self.0.token
    }

    /// Uses the permit up for something that is not sent to AWS, and has it judged and written down.
    ///
    /// # Errors
    /// If it may not happen.
    pub async fn pass(&self, action: &str, outgoing: Outgoing) -> Result<(), BoxError> {
        self.spend(action)?;
        self.before_send(outgoing).await
    }

    /// Uses the permit up for a request of `action`.
    pub(super) fn spend(&self, action: &str) -> Result<(), PermitError> {
        if self.0.action != action {
            return Err(PermitError::Other { declared: self.0.action, sent: action.to_owned() });
        }
        if self.0.spent.swap(true, Ordering::SeqCst) {
            return Err(PermitError::Spent(self.0.action));
        }
        Ok(())
    }

    pub(super) async fn before_send(&self, outgoing: Outgoing) -> Result<(), BoxError> {
        (self.0.before_send)(outgoing).await
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Permit({})", self.0.action)
    }
}

#[dyn_dispatch_hint]
impl Intercept for Permit {
    fn name(&self) -> &'static str {
        "Permit"
    }

    fn modify_before_transmit(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        context.request_mut().add_extension(self.clone());
        Ok(())
    }
}
