//! Effects outside AWS pass the gate that calls pass: declared, judged by policy, written down before they happen.

use std::future::Future;

use aws_smithy_runtime_api::{
    client::{
        orchestrator::HttpResponse,
        result::{ConnectorError, SdkError},
    },
    http::StatusCode,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{Ctx, Mutation, hex};
use crate::{
    aws::{ApiError, Outgoing},
    ops::Error,
    outside::Trouble,
};

/// What came of it.
pub struct Outcome<T> {
    pub value: T,
    /// It was only shown: a dry run, or the simulated AWS.
    pub assumed: bool,
}

impl Ctx {
    /// Does something outside AWS. In a dry run, and on the simulated AWS, it is only shown, and `assume` is taken for what
    /// comes back.
    ///
    /// `parameters` are what policy judges and people see: without secrets.
    ///
    /// # Errors
    /// As [`mutate`](Self::mutate): [`Error::Call`] if it failed, [`Error::Policy`] if it is not allowed.
    pub async fn outside<T, F>(
        &self,
        mutation: Mutation,
        parameters: Value,
        assume: T,
        effect: impl Fn() -> F,
    ) -> Result<Outcome<T>, Error>
    where
        T: Clone + Serialize + DeserializeOwned,
        F: Future<Output = Result<T, Trouble>>,
    {
        let (call, is_live) = (mutation.call, self.run.connections.is_live());
        let value = self
            .mutate(
                mutation,
                |permit| {
                    let outgoing = Outgoing { digest: digest(&parameters), parameters: parameters.clone() };
                    let (assume, effect) = (&assume, &effect);
                    async move {
                        permit.pass(call, outgoing).await.map_err(held)?;
                        match is_live {
                            true => self.run.clock().external(effect()).await.map_err(failed),
                            false => Ok(assume.clone()),
                        }
                    }
                },
                |value| Ok(value.clone()),
            )
            .await?;
        Ok(Outcome { value, assumed: !is_live })
    }
}

impl Ctx {
    /// A look at something outside AWS, which changes nothing there. In a dry run, and on the simulated AWS, `assume` is what is
    /// seen.
    ///
    /// # Errors
    /// As `look`.
    pub async fn look_outside<T, F>(&self, assume: T, look: impl FnOnce() -> F) -> Result<T, Trouble>
    where
        F: Future<Output = Result<T, Trouble>>,
    {
        match self.run.connections.is_live() {
            true => self.run.clock().external(look()).await,
            false => Ok(assume),
        }
    }
}

fn digest(parameters: &Value) -> String {
    hex(&Sha256::digest(parameters.to_string()))
}

/// It did not pass: in the form in which the transport says so.
fn held(error: Box<dyn std::error::Error + Send + Sync>) -> SdkError<ApiError, HttpResponse> {
    SdkError::dispatch_failure(ConnectorError::user(error))
}

fn failed(trouble: Trouble) -> SdkError<ApiError, HttpResponse> {
    match trouble {
        Trouble::Failed { code, message } => {
            let status = StatusCode::try_from(400).expect("a status");
            let raw = HttpResponse::new(status, aws_smithy_types::body::SdkBody::empty());
            SdkError::service_error(ApiError::new(code, message), raw)
        }
        Trouble::Unknown(message) => SdkError::dispatch_failure(ConnectorError::io(message.into())),
    }
}
