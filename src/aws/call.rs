//! Calls of services without an SDK crate: the SDK's own machinery with our own bytes.
//!
//! A crate is worth its build time for a service of many calls (EC2) or of an intricate protocol (Route 53). For services of
//! which a runbook needs a few calls, the input is JSON under AWS's names, and so is the reply; signing, endpoints,
//! timeouts and errors are the SDK's. `docs/design.md` has the figures.

use std::{collections::BTreeSet, fmt, sync::Mutex, sync::PoisonError};

use aws_runtime::{
    auth::{
        HttpSignatureType, SigV4OperationSigningConfig, SigningOptions,
        sigv4::{SCHEME_ID, SigV4AuthScheme},
    },
    user_agent::{ApiMetadata, UserAgentInterceptor},
};
use aws_smithy_runtime::client::orchestrator::operation::Operation;
use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{
        auth::{AuthSchemeOptionResolverParams, SharedAuthScheme, static_resolver::StaticAuthSchemeOptionResolver},
        identity::SharedIdentityResolver,
        orchestrator::{HttpRequest, HttpResponse, OrchestratorError},
        result::SdkError,
        runtime_components::RuntimeComponentsBuilder,
        runtime_plugin::StaticRuntimePlugin,
        stalled_stream_protection::StalledStreamProtectionConfig,
    },
};
use aws_smithy_types::{
    body::SdkBody,
    config_bag::Layer,
    error::metadata::{ErrorMetadata, ProvideErrorMetadata},
};
use aws_types::{SdkConfig, SigningName, region::SigningRegion};
use http::{HeaderMap, HeaderValue, Method, header::CONTENT_TYPE};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::{
    Clients, Permit,
    action::NameAction,
    services::{AwsService, Speaks},
    transport::Assumption,
};
use crate::sim::{self, Protocol, Service, ask};

/// AWS's error, of a service without a crate.
#[derive(Debug)]
pub struct ApiError(ErrorMetadata);

impl ApiError {
    pub fn new(code: &str, message: impl Into<String>) -> Self {
        Self(ErrorMetadata::builder().code(code).message(message).build())
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for ApiError {}

impl ProvideErrorMetadata for ApiError {
    fn meta(&self) -> &ErrorMetadata {
        &self.0
    }
}

/// One request that is about to be made.
pub struct ApiCall {
    config: SdkConfig,
    partition: String,
    service: AwsService,
    action: &'static str,
    request: Result<Asked, BoxError>,
    permit: Option<Permit>,
}

/// What is asked for, without host and signature.
#[derive(Clone, Debug)]
struct Asked {
    method: Method,
    /// With the query string.
    path: String,
    headers: HeaderMap,
    body: String,
    /// Rides on the request where the simulated AWS has no such call.
    beyond: Option<Assumption>,
}

impl Clients {
    /// A call of a service that has no client here: `ecs:DescribeServices`. `input` is as AWS documents it.
    pub fn call(&self, call: &'static str, input: &impl Serialize) -> ApiCall {
        let (name, action) = call.split_once(':').unwrap_or((call, ""));
        let service = AwsService::find(name).expect("a call names a service of services.txt");
        self.call_of(service, action, input)
    }

    /// A call of any service that speaks JSON or takes forms.
    pub fn call_of(&self, service: AwsService, action: &'static str, input: &impl Serialize) -> ApiCall {
        let request = serde_json::to_value(input).map_err(BoxError::from).and_then(|input| {
            let mut ask = ask::request(&of_wire(service), action, &input)?;
            if let Speaks::Json(version, _) = service.speaks {
                let kind = HeaderValue::from_str(&format!("application/x-amz-json-{version}"))?;
                ask.headers.insert(CONTENT_TYPE, kind);
            }
            Ok(Asked { method: ask.method, path: ask.path, headers: ask.headers, body: ask.body, beyond: None })
        });
        self.api_call(service, action, request)
    }

    /// A call of a service whose actions are methods and paths.
    pub fn rest_call(
        &self,
        service: AwsService,
        action: &'static str,
        method: Method,
        path: String,
        body: Option<&Value>,
    ) -> ApiCall {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let body = body.map(Value::to_string).unwrap_or_default();
        self.api_call(service, action, Ok(Asked { method, path, headers, body, beyond: None }))
    }

    fn api_call(&self, service: AwsService, action: &'static str, request: Result<Asked, BoxError>) -> ApiCall {
        let (config, partition) = (self.config.clone(), self.partition.clone());
        ApiCall { config, partition, service, action, request, permit: None }
    }
}

impl ApiCall {
    /// With the right to change something.
    pub fn permit(self, permit: Permit) -> Self {
        Self { permit: Some(permit), ..self }
    }

    /// Where the simulated AWS has no such call, a read goes to the account behind a fork, and the assumption is taken for
    /// the reply of everything else.
    pub fn assuming(self, assumption: &Assumption) -> Self {
        let beyond = (!sim::models(self.service.signing_name, self.action)).then(|| assumption.clone());
        Self { request: self.request.map(|asked| Asked { beyond, ..asked }), ..self }
    }

    /// Sends it.
    pub async fn send<O>(self) -> Result<O, SdkError<ApiError, HttpResponse>>
    where
        O: DeserializeOwned + fmt::Debug + Send + Sync + 'static,
    {
        let asked = self.request.map_err(SdkError::construction_failure)?;
        let region = self.config.region().map(|region| region.to_string()).unwrap_or_default();
        let (own, signed_for) = self.service.endpoint(&region, &self.partition);
        let url = self.config.endpoint_url().unwrap_or(&own).trim_end_matches('/').to_owned();
        let (service, action) = (self.service, self.action);
        let mut operation = Operation::builder()
            .service_name(service.name)
            .operation_name(action)
            .endpoint_url(&url)
            .no_retry()
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .interceptor(UserAgentInterceptor::new())
            .interceptor(NameAction)
            .runtime_plugin(signing(&self.config, service, signed_for));
        if let Some(permit) = self.permit {
            operation = operation.interceptor(permit);
        }
        if let Some(behaviour) = self.config.behavior_version() {
            operation = operation.behavior_version(behaviour);
        }
        if let Some(timeouts) = self.config.timeout_config() {
            operation = operation.timeout_config(timeouts.clone());
        }
        if let Some(client) = self.config.http_client() {
            operation = operation.http_client(client);
        }
        if let Some(time) = self.config.time_source() {
            operation = operation.time_source(time);
        }
        if let Some(sleep) = self.config.sleep_impl() {
            operation = operation.sleep_impl(sleep);
        }
        let operation = operation
            .serializer(write)
            .deserializer(move |response: &HttpResponse| read::<O>(service, action, response))
            .build();
        operation.invoke(asked).await
    }
}

/// Signature, credentials and the name of this program.
fn signing(config: &SdkConfig, service: AwsService, region: aws_types::region::Region) -> StaticRuntimePlugin {
    let mut layer = Layer::new("signing");
    let mut options = SigningOptions::default();
    options.double_uri_encode = true;
    options.content_sha256_header = false;
    options.normalize_uri_path = true;
    options.signature_type = HttpSignatureType::HttpRequestHeaders;
    layer.store_put(SigV4OperationSigningConfig {
        region: Some(SigningRegion::from(region)),
        name: Some(SigningName::from_static(service.signing_name)),
        signing_options: options,
        ..SigV4OperationSigningConfig::default()
    });
    layer.store_put(AuthSchemeOptionResolverParams::new(()));
    layer.store_put(ApiMetadata::new(service.name, env!("CARGO_PKG_VERSION")));
    if let Some(name) = config.app_name() {
        layer.store_put(name.clone());
    }
    let mut components = RuntimeComponentsBuilder::new("signing")
        .with_auth_scheme(SharedAuthScheme::new(SigV4AuthScheme::new()))
        .with_auth_scheme_option_resolver(Some(StaticAuthSchemeOptionResolver::new(vec![SCHEME_ID])))
        .with_identity_cache(config.identity_cache());
    if let Some(provider) = config.credentials_provider() {
        components = components.with_identity_resolver(SCHEME_ID, SharedIdentityResolver::new(provider));
    }
    StaticRuntimePlugin::new().with_config(layer.freeze()).with_runtime_components(components)
}

/// The service as the wire formats need it.
fn of_wire(service: AwsService) -> Service {
    let (protocol, version) = match service.speaks {
        Speaks::Query(version) => (Protocol::Query, version),
        Speaks::Ec2(version) => (Protocol::Ec2, version),
        Speaks::Json(_, target) => (Protocol::Json(target), ""),
        // Its replies are JSON; nobody asks how it is asked.
        Speaks::RestJson | Speaks::RestXml => (Protocol::Json(""), ""),
    };
    Service { protocol, namespace: version, ..Service::nobody() }
}

fn write(asked: Asked) -> Result<HttpRequest, BoxError> {
    let mut request = http::Request::builder().method(asked.method).uri(asked.path).body(SdkBody::from(asked.body))?;
    request.headers_mut().extend(asked.headers);
    let mut request = HttpRequest::try_from(request)?;
    if let Some(beyond) = asked.beyond {
        request.add_extension(beyond);
    }
    Ok(request)
}

fn read<O: DeserializeOwned>(
    service: AwsService,
    action: &str,
    response: &HttpResponse,
) -> Result<O, OrchestratorError<ApiError>> {
    let status = response.status().as_u16();
    let body = response.body().bytes().unwrap_or_default();
    let is_assumed = response.headers().get(Assumption::HEADER).is_some();
    let body =
        if body.is_empty() && !matches!(service.speaks, Speaks::Query(_) | Speaks::Ec2(_)) { b"{}" } else { body };
    let reply = match is_assumed {
        true => Ok(serde_json::from_slice(body).map_err(OrchestratorError::other)?),
        false => ask::reply(&of_wire(service), action, status, body),
    };
    match reply {
        Ok(value) => serde_json::from_value(ask::without_nulls(&value)).map_err(OrchestratorError::other),
        Err(error) => {
            // REST-JSON says the code in a header.
            let header = response.headers().get("x-amzn-errortype").and_then(|code| code.split(':').next());
            let code = header.filter(|_| service.speaks == Speaks::RestJson).unwrap_or(&error.code);
            Err(OrchestratorError::operation(ApiError::new(code, error.message.clone())))
        }
    }
}

/// The name of a call, for as long as the process lives: names of calls are few.
pub fn intern(name: &str) -> &'static str {
    static NAMES: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = names.get(name) {
        return known;
    }
    let name: &'static str = Box::leak(name.to_owned().into_boxed_str());
    names.insert(name);
    name
}
