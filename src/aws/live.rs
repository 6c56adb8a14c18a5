//! The account behind a dry run: read requests of our own making, signed and sent. Nothing else can leave through here.
//!
//! The SDK is not used: rows are read as AWS shows them on the wire, which the simulated AWS writes and so can read.

use std::{
    collections::BTreeMap,
    error::Error as StdError,
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use aws_credential_types::{
    Credentials,
    provider::{ProvideCredentials, SharedCredentialsProvider},
};
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SigningSettings, sign},
    sign::v4,
};
use aws_smithy_http_client::{Connector, tls};
use aws_smithy_runtime_api::client::{
    http::{HttpConnector, SharedHttpConnector},
    orchestrator::{HttpRequest, HttpResponse},
    result::ConnectorError,
};
use aws_smithy_types::body::SdkBody;
use http::header::CONTENT_TYPE;
use http_body_util::BodyExt;
use serde_json::Value;

use super::{
    read_only::{is_read_only, reads_secrets},
    retry,
};
use crate::{
    ops::CallErrorKind,
    sim::{self, AwsError, Live, Service, ask},
};

/// How long one attempt may take.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(30);
/// How often a read is sent before it fails.
const ATTEMPTS: usize = 8;
/// Credentials that end sooner are asked for anew.
const RENEWAL: Duration = Duration::from_secs(60);

/// The accounts and regions a dry run reads.
pub struct LiveAccounts {
    /// Instead of AWS's own.
    endpoint_url: Option<String>,
    connector: SharedHttpConnector,
    tokio: tokio::runtime::Handle,
    callers: Mutex<BTreeMap<sim::Scope, Caller>>,
}

/// Who asks in an account and region.
#[derive(Clone)]
struct Caller {
    provider: SharedCredentialsProvider,
    credentials: Option<Credentials>,
}

impl std::fmt::Debug for LiveAccounts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LiveAccounts({})", self.endpoint_url.as_deref().unwrap_or("AWS"))
    }
}

impl LiveAccounts {
    /// Must be called inside a tokio runtime, which drives the I/O.
    pub fn new(endpoint_url: Option<String>) -> Self {
        let tls = tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring);
        Self {
            endpoint_url,
            connector: SharedHttpConnector::new(Connector::builder().tls_provider(tls).build()),
            tokio: tokio::runtime::Handle::current(),
            callers: Mutex::default(),
        }
    }

    pub(super) fn endpoint_url(&self) -> Option<&str> {
        self.endpoint_url.as_deref()
    }

    /// Who reads `account` in `region` from now on.
    pub(super) fn register(&self, account: &str, region: &str, provider: SharedCredentialsProvider) {
        let scope = sim::Scope { account: account.to_owned(), region: region.to_owned() };
        for scope in [scope.home(), scope] {
            self.callers().insert(scope, Caller { provider: provider.clone(), credentials: None });
        }
    }

    fn callers(&self) -> std::sync::MutexGuard<'_, BTreeMap<sim::Scope, Caller>> {
        self.callers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn credentials(&self, scope: &sim::Scope) -> Result<Credentials, AwsError> {
        let caller = self.callers().get(scope).cloned().ok_or_else(|| {
            let message = format!("nobody is known who may read account {} in {}", scope.account, scope.region);
            AwsError::new("UnrecognizedClientException", message)
        })?;
        let lasts =
            |credentials: &Credentials| credentials.expiry().is_none_or(|expiry| expiry > SystemTime::now() + RENEWAL);
        if let Some(credentials) = caller.credentials.filter(lasts) {
            return Ok(credentials);
        }
        let refused = |error: &dyn StdError| AwsError::new("UnrecognizedClientException", error.to_string());
        let credentials = caller.provider.provide_credentials().await.map_err(|error| refused(&error))?;
        if let Some(caller) = self.callers().get_mut(scope) {
            caller.credentials = Some(credentials.clone());
        }
        Ok(credentials)
    }

    async fn send(
        &self,
        scope: &sim::Scope,
        service: &'static Service,
        action: &'static str,
        params: &Value,
    ) -> Result<Value, AwsError> {
        let mut delays = retry::delays(0).take(ATTEMPTS - 1);
        loop {
            let error = match self.attempt(scope, service, action, params).await {
                Ok(reply) => return Ok(reply),
                Err(error) => error,
            };
            let passes = matches!(
                retry::of_reply(Some(&error.code), error.status),
                CallErrorKind::Throttled | CallErrorKind::Unknown | CallErrorKind::NotSent
            );
            match delays.next().filter(|_| passes) {
                Some(delay) => tokio::time::sleep(delay).await,
                None => return Err(error),
            }
        }
    }

    async fn attempt(
        &self,
        scope: &sim::Scope,
        service: &'static Service,
        action: &'static str,
        params: &Value,
    ) -> Result<Value, AwsError> {
        let broken = |why: &dyn std::fmt::Display| AwsError::new("InternalFailure", why.to_string()).status(500);
        let ask = ask::request(service, action, params)?;
        let (host, region) = host(service.name, &scope.region);
        let base = self.endpoint_url.clone().unwrap_or_else(|| format!("https://{host}"));
        let mut request = http::Request::builder()
            .method(ask.method)
            .uri(format!("{}{}", base.trim_end_matches('/'), ask.path))
            .body(ask.body)
            .map_err(|error| broken(&error))?;
        request.headers_mut().extend(ask.headers);
        let credentials = self.credentials(scope).await?;
        sign_with(&mut request, credentials, service.name, region).map_err(|error| broken(&error))?;
        let response = self.exchange(request).await.map_err(|error| broken(&retry::chain(&error)))?;
        ask::reply(service, action, response.status().as_u16(), response.body().bytes().unwrap_or_default())
    }

    /// Sends a read that was made for the simulated AWS, signed for the account it is about.
    pub(super) async fn forward(&self, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let request = request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?;
        let asked =
            sim::signed_for(&request).ok_or_else(|| ConnectorError::user("a request without signature".into()))?;
        let credentials = self.credentials(&asked.scope).await.map_err(|error| ConnectorError::user(error.into()))?;
        let (parts, body) = request.into_parts();
        let body = String::from_utf8_lossy(body.bytes().unwrap_or_default()).into_owned();
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        let uri = match &self.endpoint_url {
            Some(base) => format!("{}{path}", base.trim_end_matches('/')),
            None => parts.uri.to_string(),
        };
        let mut request = http::Request::builder().method(parts.method).uri(uri);
        for name in [CONTENT_TYPE.as_str(), "x-amz-target"] {
            if let Some(value) = parts.headers.get(name) {
                request = request.header(name, value);
            }
        }
        let mut request = request.body(body).map_err(|error| ConnectorError::user(error.into()))?;
        sign_with(&mut request, credentials, &asked.service, asked.scope.region).map_err(ConnectorError::user)?;
        self.exchange(request).await
    }

    /// The whole reply to a signed request.
    async fn exchange(&self, request: http::Request<String>) -> Result<HttpResponse, ConnectorError> {
        let request = request.map(SdkBody::from);
        let request = HttpRequest::try_from(request).map_err(|error| ConnectorError::user(error.into()))?;
        let exchange = async {
            let mut response = self.connector.call(request).await?;
            let body = response.take_body().collect().await.map_err(ConnectorError::io)?;
            *response.body_mut() = SdkBody::from(body.to_bytes());
            Ok(response)
        };
        let timed = tokio::time::timeout(ATTEMPT_TIMEOUT, exchange).await;
        timed.map_err(|_| ConnectorError::timeout("no reply in time".into()))?
    }
}

impl Live for LiveAccounts {
    fn call(
        &self,
        scope: &sim::Scope,
        service: &'static str,
        action: &'static str,
        params: &Value,
    ) -> Result<Value, AwsError> {
        let name = format!("{service}:{action}");
        if !is_read_only(&name) {
            return Err(AwsError::new(
                "UnauthorizedOperation",
                format!("{name} changes AWS: a dry run does not send it"),
            ));
        }
        if reads_secrets(&name, params) {
            let message = format!("a dry run reads no secret values: it does not send {name}");
            return Err(AwsError::unanswered("AccessDeniedException", message));
        }
        let service = sim::of_prefix(service).ok_or_else(|| {
            AwsError::unanswered("InvalidAction", format!("the simulator does not model the service `{service}`"))
        })?;
        self.tokio.block_on(self.send(scope, service, action, params)).map_err(|error| {
            // Where the words come from: the reader sees that a dry run's own read failed.
            let unanswered = retry::of_reply(Some(&error.code), error.status) != CallErrorKind::Refused;
            AwsError { message: format!("{name}: {}", error.message), unanswered, ..error }
        })
    }
}

/// Where a service is in a region, and which region the signature names. Source: "AWS service endpoints" of the AWS
/// General Reference; IAM and Route 53 have one endpoint for each partition.
fn host(service: &str, region: &str) -> (String, String) {
    let (suffix, china, gov) =
        (if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" }, "cn-", "us-gov-");
    match service {
        "iam" if region.starts_with(china) => (format!("iam.cn-north-1.{suffix}"), "cn-north-1".to_owned()),
        "iam" if region.starts_with(gov) => (format!("iam.us-gov.{suffix}"), "us-gov-west-1".to_owned()),
        "route53" if region.starts_with(china) => (format!("route53.{suffix}"), "cn-northwest-1".to_owned()),
        "route53" if region.starts_with(gov) => (format!("route53.us-gov.{suffix}"), "us-gov-west-1".to_owned()),
        "iam" | "route53" => (format!("{service}.{suffix}"), "us-east-1".to_owned()),
        _ => (format!("{service}.{region}.{suffix}"), region.to_owned()),
    }
}

fn sign_with(
    request: &mut http::Request<String>,
    credentials: Credentials,
    service: &str,
    region: String,
) -> Result<(), Box<dyn StdError + Send + Sync>> {
    let identity = credentials.into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(&region)
        .name(service)
        .time(SystemTime::now())
        .settings(SigningSettings::default())
        .build()?;
    let uri = request.uri().to_string();
    let headers = request.headers().iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap_or_default()));
    let signable =
        SignableRequest::new(request.method().as_str(), uri, headers, SignableBody::Bytes(request.body().as_bytes()))?;
    let (instructions, _) = sign(signable, &params.into())?.into_parts();
    instructions.apply_to_request_http1x(request);
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{LiveAccounts, host};
    use crate::sim::{Live as _, Scope};

    /// Whatever the simulator would ask for.
    #[test]
    fn only_reads_leave() {
        let tokio = tokio::runtime::Runtime::new().expect("a runtime");
        let _context = tokio.enter();
        let live = LiveAccounts::new(Some("http://127.0.0.1:1".to_owned()));
        let scope = Scope { account: "1".to_owned(), region: "eu-central-1".to_owned() };
        for (service, action) in
            [("ec2", "CreateVpc"), ("iam", "PassRole"), ("ec2", "RunInstances"), ("ssm", "GetCommandInvocations")]
        {
            let error = live.call(&scope, service, action, &json!({})).expect_err("it is not on the list");
            assert_eq!(error.code, "UnauthorizedOperation", "{action}: {error}");
        }
        let decrypted = json!({ "Name": "/shop/password", "WithDecryption": true });
        for (service, action, params) in
            [("secretsmanager", "GetSecretValue", json!({ "SecretId": "shop" })), ("ssm", "GetParameter", decrypted)]
        {
            let error = live.call(&scope, service, action, &params).expect_err("a secret value");
            assert!(error.code == "AccessDeniedException" && error.unanswered, "{action}: {error}");
        }
        let error = live.call(&scope, "ec2", "DescribeVpcs", &json!({})).expect_err("nobody is there");
        assert_ne!(error.code, "UnauthorizedOperation", "{error}");
    }

    #[test]
    fn endpoints() {
        let of = |service, region| host(service, region).0;
        assert_eq!(of("ec2", "eu-central-1"), "ec2.eu-central-1.amazonaws.com");
        assert_eq!(of("ec2", "cn-north-1"), "ec2.cn-north-1.amazonaws.com.cn");
        assert_eq!(of("iam", "eu-central-1"), "iam.amazonaws.com");
        assert_eq!(host("route53", "us-gov-east-1"), ("route53.us-gov.amazonaws.com".into(), "us-gov-west-1".into()));
    }
}
