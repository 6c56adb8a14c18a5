//! Sends a request over the network.

use std::{
    error::Error,
    net::{IpAddr, ToSocketAddrs},
    time::Instant,
};

use aws_smithy_http_client::{
    Connector,
    tls::{self, TlsContext, TrustStore, rustls_provider::CryptoMode},
};
use aws_smithy_runtime_api::client::{
    dns::{DnsFuture, ResolveDns, ResolveDnsError},
    http::HttpConnector,
    orchestrator::HttpRequest,
    result::ConnectorError,
};
use aws_smithy_types::body::SdkBody;
use http_body_util::BodyExt as _;

use super::{LONGEST_BODY, Reply, Request, Trouble};

/// Sends it once, and reads the reply. Redirects are not followed: where they go is part of the reply.
///
/// # Errors
/// If there is no reply.
pub async fn send(request: &Request) -> Result<Reply, Trouble> {
    let began = Instant::now();
    tokio::time::timeout(request.timeout, exchange(request, began))
        .await
        .map_err(|_| Trouble::TimedOut(request.timeout))?
}

async fn exchange(request: &Request, began: Instant) -> Result<Reply, Trouble> {
    let connector = connector(request)?;
    let other = |error: &dyn std::fmt::Display| Trouble::Other(error.to_string());
    let mut built = http::Request::builder().method(request.method.as_str()).uri(request.url.to_string());
    built = built.header("user-agent", concat!("runner/", env!("CARGO_PKG_VERSION")));
    for (name, value) in &request.headers {
        built = built.header(name, value);
    }
    let built = built
        .body(request.body.as_deref().map_or_else(SdkBody::empty, SdkBody::from))
        .map_err(|error| other(&error))?;
    let built = HttpRequest::try_from(built).map_err(|error| other(&error))?;
    let mut response = connector.call(built).await.map_err(|error| trouble(request, &error))?;
    let headers = response.headers().iter().map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect();
    let (status, mut body, mut bytes) = (response.status().as_u16(), response.take_body(), Vec::new());
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| other(&error))?;
        bytes.extend_from_slice(frame.data_ref().map_or(&[][..], |data| data));
        if bytes.len() >= LONGEST_BODY {
            bytes.truncate(LONGEST_BODY);
            break;
        }
    }
    let body = String::from_utf8_lossy(&bytes).into_owned();
    Ok(Reply { status, headers, body, latency: began.elapsed() })
}

fn connector(request: &Request) -> Result<Connector, Trouble> {
    let mut trusted = TrustStore::default();
    if let Some(ca) = &request.ca {
        trusted = trusted.with_pem_certificate(ca.as_bytes());
    }
    let context = TlsContext::builder().with_trust_store(trusted).build();
    let context = context.map_err(|error| Trouble::Tls(error.to_string()))?;
    Ok(Connector::builder()
        .tls_provider(tls::Provider::Rustls(CryptoMode::Ring))
        .tls_context(context)
        .build_with_resolver(ConnectTo(request.connect_to.clone())))
}

/// Resolves names, or one name for all of them.
#[derive(Clone, Debug)]
struct ConnectTo(Option<String>);

impl ResolveDns for ConnectTo {
    fn resolve_dns<'a>(&'a self, name: &'a str) -> DnsFuture<'a> {
        let name = self.0.clone().unwrap_or_else(|| name.to_owned());
        DnsFuture::new(async move {
            let found = tokio::task::spawn_blocking(move || {
                (name.as_str(), 0).to_socket_addrs().map(|all| all.map(|one| one.ip()).collect::<Vec<IpAddr>>())
            });
            found.await.map_err(ResolveDnsError::new)?.map_err(ResolveDnsError::new)
        })
    }
}

fn trouble(request: &Request, error: &ConnectorError) -> Trouble {
    if error.is_timeout() {
        return Trouble::TimedOut(request.timeout);
    }
    let mut causes: Vec<&(dyn Error + 'static)> = vec![error];
    let mut last: &(dyn Error + 'static) = error;
    while let Some(cause) = last.source() {
        causes.push(cause);
        last = cause;
    }
    let io = causes.iter().find_map(|cause| cause.downcast_ref::<std::io::Error>());
    let words = causes.last().map(ToString::to_string).unwrap_or_default();
    match io.map(std::io::Error::kind) {
        Some(std::io::ErrorKind::ConnectionRefused) => Trouble::Refused,
        _ if causes.iter().any(|cause| cause.is::<ResolveDnsError>()) => {
            Trouble::NoName(request.connect_to.clone().unwrap_or_else(|| request.url.host.clone()))
        }
        _ if words.contains("certificate") || words.contains("handshake") => Trouble::Tls(words),
        _ => Trouble::Other(words),
    }
}
