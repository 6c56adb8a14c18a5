//! Between HTTP and the services: any of AWS's protocols becomes one [`Request`], any [`Reply`] the protocol's bytes.
//!
//! Who is asked is read from the signature's credential scope, as AWS does:
//! `Authorization: AWS4-HMAC-SHA256 Credential=KEY/DATE/REGION/SERVICE/aws4_request, …`.

mod json;
mod params;
mod query;
pub mod rest_xml;
mod xml;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};

pub use params::Params;
pub use rest_xml::Route;

use super::error::{AwsError, INVALID_VALUE, MISSING_PARAMETER, Reply};
use super::service::{self, Service};

/// Account of a caller whose access key does not name one.
pub const DEFAULT_ACCOUNT: &str = "123456789012";

/// The protocol of a service, and what of it differs per service.
#[derive(Clone, Copy)]
pub enum Protocol {
    /// EC2's own dialect: lists are `Name.1`, replies have `<item>`s and no result element.
    Ec2,
    /// The query protocol of Auto Scaling, ELB, IAM and STS: lists are `Name.member.1`, in both directions.
    Query,
    /// Methods and paths, XML bodies: Route 53.
    RestXml(&'static [Route]),
    /// `X-Amz-Target` and a JSON body: ACM, SSM.
    Json,
}

/// One AWS call, whatever protocol it came in.
#[derive(Clone, Debug)]
pub struct Request {
    pub service: &'static str,
    pub action: String,
    pub account: String,
    pub region: String,
    pub params: Params,
}

/// What the signature says about a request.
pub struct Caller {
    pub service: &'static Service,
    pub account: String,
    pub region: String,
}

/// Reads who is asked by whom. This comes first: the service decides how everything else is read and answered.
pub fn caller(request: &http::Request<Bytes>) -> Result<Caller, AwsError> {
    let header = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let scope = header
        .split_once("Credential=")
        .map(|(_, rest)| rest.split([',', ' ']).next().unwrap_or_default())
        .unwrap_or_default();
    let mut parts = scope.split('/');
    let (Some(key), Some(_date), Some(region), Some(service)) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(AwsError::new("MissingAuthenticationToken", "Request is missing Authentication Token").status(403));
    };
    let service = service::find(service).ok_or_else(|| {
        AwsError::new("InvalidAction", format!("the simulator does not model the service `{service}`"))
    })?;
    let names_account = key.len() == 12 && key.bytes().all(|byte| byte.is_ascii_digit());
    let account = if names_account { key } else { DEFAULT_ACCOUNT };
    Ok(Caller { service, account: account.to_owned(), region: region.to_owned() })
}

/// Reads what is asked.
pub fn read(caller: Caller, request: &http::Request<Bytes>) -> Result<Request, AwsError> {
    let (action, params) = match caller.service.protocol {
        Protocol::Ec2 | Protocol::Query => query::read(request)?,
        Protocol::RestXml(routes) => rest_xml::read(routes, request)?,
        Protocol::Json => json::read(request)?,
    };
    let Caller { service, account, region } = caller;
    Ok(Request { service: service.name, action, account, region, params })
}

/// Writes the answer of `service`. A request that names no service we know is answered as the query protocol would.
pub fn write(service: Option<&Service>, action: &str, reply: Reply, id: &str) -> http::Response<Bytes> {
    let protocol = service.map_or(Protocol::Query, |service| service.protocol);
    let namespace = service.map_or("", |service| service.namespace);
    let reply = reply.map_err(|error| in_words_of(protocol, error));
    let mut status = reply.as_ref().map_or_else(|error| error.status, |_| 200);
    let (content_type, body) = match (protocol, &reply) {
        (Protocol::Ec2, Ok(value)) => ("text/xml;charset=UTF-8", xml::ec2(namespace, action, value, id)),
        (Protocol::Ec2, Err(error)) => ("text/xml;charset=UTF-8", xml::ec2_error(error, id)),
        (Protocol::Query, Ok(value)) => ("text/xml", xml::query(namespace, action, value, id)),
        (Protocol::Query, Err(error)) => ("text/xml", xml::error(namespace, error, id)),
        (Protocol::RestXml(routes), Ok(value)) => {
            status = rest_xml::status(routes, action);
            ("text/xml", xml::rest(namespace, action, value))
        }
        (Protocol::RestXml(_), Err(error)) => ("text/xml", xml::error(namespace, error, id)),
        (Protocol::Json, Ok(value)) => ("application/x-amz-json-1.1", json::reply(value)),
        (Protocol::Json, Err(error)) => ("application/x-amz-json-1.1", json::error(error)),
    };
    let mut response = http::Response::new(Bytes::from(body));
    *response.status_mut() = http::StatusCode::from_u16(status).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, http::HeaderValue::from_static(content_type));
    if let Ok(id) = http::HeaderValue::from_str(id) {
        headers.insert("x-amzn-requestid", id);
    }
    response
}

/// Handlers speak of missing and invalid parameters in EC2's words; the other protocols have one code for both.
fn in_words_of(protocol: Protocol, mut error: AwsError) -> AwsError {
    if [MISSING_PARAMETER, INVALID_VALUE].contains(&error.code.as_str()) {
        error.code = match protocol {
            Protocol::Ec2 => error.code,
            Protocol::Query => "ValidationError".to_owned(),
            Protocol::RestXml(_) => "InvalidInput".to_owned(),
            Protocol::Json => "ValidationException".to_owned(),
        };
    }
    error
}

/// A time as the XML protocols write it.
pub fn time(at: jiff::Timestamp) -> String {
    format!("{at:.3}")
}

/// A time as the JSON protocol writes it: seconds since 1970.
pub fn epoch(at: jiff::Timestamp) -> f64 {
    at.as_millisecond() as f64 / 1000.0
}
