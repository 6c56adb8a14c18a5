//! A bucket for journals and locks, reached with the credentials that everything else uses.
//!
//! It is always the real one, or the server that `AWS_ENDPOINT_URL_S3` or `AWS_ENDPOINT_URL` names: never the simulated AWS, and
//! on the real clock.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use aws_config::BehaviorVersion;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_smithy_http_client::{Connector, tls};
use aws_smithy_runtime_api::client::{
    http::{HttpConnectorSettings, SharedHttpClient, SharedHttpConnector},
    orchestrator::HttpRequest,
};
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use object_store::{
    ClientOptions, CredentialProvider, RetryConfig,
    aws::{AmazonS3Builder, AwsCredential, S3ConditionalPut},
    client::{HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpService},
    prefix::PrefixStore,
};

use crate::run::{Store, StoreError};

/// How long one request may take.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Opens a bucket. Nothing is sent yet.
///
/// # Errors
/// If there are no credentials, or no region.
pub fn open(bucket: &str, prefix: &str) -> Result<Store, StoreError> {
    let name = if prefix.is_empty() { format!("s3://{bucket}") } else { format!("s3://{bucket}/{prefix}") };
    let failed = |cause: String| StoreError::Failed { store: name.clone(), cause };
    let tokio = tokio::runtime::Handle::current();
    let config = tokio.block_on(aws_config::defaults(BehaviorVersion::v2026_01_12()).http_client(network()).load());
    let region = config.region().ok_or_else(|| failed("no AWS region is set: set AWS_REGION".to_owned()))?;
    let provider = config.credentials_provider().ok_or_else(|| failed("no AWS credentials were found".to_owned()))?;
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(bucket)
        .with_region(region.to_string())
        .with_conditional_put(S3ConditionalPut::ETagMatch)
        .with_credentials(Arc::new(Credentials(provider)))
        // Attempts are counted in one place: see `Store::make`.
        .with_retry(RetryConfig { max_retries: 0, ..RetryConfig::default() })
        .with_http_connector(Network);
    let endpoint = std::env::var("AWS_ENDPOINT_URL_S3").ok().filter(|url| !url.is_empty());
    if let Some(url) = endpoint.or_else(|| config.endpoint_url().map(str::to_owned)) {
        builder = builder.with_allow_http(url.starts_with("http://")).with_endpoint(url);
    }
    let store = builder.build().map_err(|error| failed(error.to_string()))?;
    Ok(match prefix {
        "" => Store::on(Arc::new(store), name),
        prefix => Store::on(Arc::new(PrefixStore::new(store, prefix)), name),
    })
}

fn network() -> SharedHttpClient {
    aws_smithy_http_client::Builder::new()
        .tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring))
        .build_https()
}

/// The SDK's credentials, which renew themselves.
#[derive(Debug)]
struct Credentials(SharedCredentialsProvider);

#[async_trait]
impl CredentialProvider for Credentials {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        let found = self
            .0
            .provide_credentials()
            .await
            .map_err(|error| object_store::Error::Generic { store: "S3", source: Box::new(error) })?;
        Ok(Arc::new(AwsCredential {
            key_id: found.access_key_id().to_owned(),
            secret_key: found.secret_access_key().to_owned(),
            token: found.session_token().map(str::to_owned),
        }))
    }
}

/// The SDK's connections.
#[derive(Debug)]
struct Network;

impl HttpConnector for Network {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        let settings = HttpConnectorSettings::builder().connect_timeout(TIMEOUT / 4).read_timeout(TIMEOUT).build();
        let mut connector = Connector::builder().connector_settings(settings);
        connector.set_sleep_impl(aws_smithy_async::rt::sleep::default_async_sleep());
        let connector = connector.tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring)).build();
        Ok(HttpClient::new(Connection(SharedHttpConnector::new(connector))))
    }
}

#[derive(Debug)]
struct Connection(SharedHttpConnector);

#[async_trait]
impl HttpService for Connection {
    async fn call(
        &self,
        request: object_store::client::HttpRequest,
    ) -> Result<object_store::client::HttpResponse, HttpError> {
        use aws_smithy_runtime_api::client::http::HttpConnector as _;
        let unsent =
            |error: Box<dyn std::error::Error + Send + Sync>| HttpError::new_boxed(HttpErrorKind::Request, error);
        let (parts, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        let request = http::Request::from_parts(parts, SdkBody::from(body));
        let request = HttpRequest::try_from(request).map_err(|error| unsent(Box::new(error)))?;
        let mut reply = self.0.call(request).await.map_err(|error| {
            let kind = if error.is_timeout() { HttpErrorKind::Timeout } else { HttpErrorKind::Request };
            HttpError::new(kind, error)
        })?;
        let body = reply.take_body().collect().await;
        let body: Bytes = body.map_err(|error| HttpError::new_boxed(HttpErrorKind::Interrupted, error))?.to_bytes();
        let reply = reply.try_into_http1x().map_err(|error| unsent(Box::new(error)))?;
        let (parts, _) = reply.into_parts();
        let body = Full::new(body).map_err(|never| match never {});
        Ok(http::Response::from_parts(parts, object_store::client::HttpResponseBody::new(body)))
    }
}
