//! Between HTTP and the services: any of AWS's protocols becomes one [`Request`], any [`Reply`] the protocol's bytes.
//!
//! Who is asked is read from the signature's credential scope, as AWS does:
//! `Authorization: AWS4-HMAC-SHA256 Credential=KEY/DATE/REGION/SERVICE/aws4_request, …`.

pub mod ask;
mod json;
mod params;
mod query;
pub mod rest_xml;
mod tree;
mod xml;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, LOCATION};

pub use params::Params;
pub use rest_xml::Route;

use super::error::{AwsError, INVALID_VALUE, MISSING_PARAMETER, Reply};
use super::service::{self, Service};
use super::tx::Scope;

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
    /// `X-Amz-Target`, which begins with this, and a JSON body: ACM, SSM.
    Json(&'static str),
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

/// The header of a reply that is not AWS's: the simulator had no answer.
pub const UNANSWERED: &str = "x-runner-unanswered";

/// What the signature says about a request.
pub struct Caller {
    pub service: &'static Service,
    pub account: String,
    pub region: String,
}

/// Whom a request was signed for.
pub struct SignedFor {
    pub scope: Scope,
    pub service: String,
}

/// Whom a request is signed for. An access key of twelve digits is an account.
pub fn signed_for<B>(request: &http::Request<B>) -> Option<SignedFor> {
    let [key, region, service] = signed(request)?;
    let scope = Scope { account: account_of(key).to_owned(), region: region.to_owned() };
    Some(SignedFor { scope, service: service.to_owned() })
}

/// Account of a caller with that access key.
fn account_of(key: &str) -> &str {
    let names_account = key.len() == 12 && key.bytes().all(|byte| byte.is_ascii_digit());
    if names_account { key } else { DEFAULT_ACCOUNT }
}

/// Access key, region and service of the credential scope.
fn signed<B>(request: &http::Request<B>) -> Option<[&str; 3]> {
    let header = request.headers().get(AUTHORIZATION)?.to_str().ok()?;
    let (_, rest) = header.split_once("Credential=")?;
    let mut parts = rest.split([',', ' ']).next()?.split('/');
    let (key, _date) = (parts.next()?, parts.next()?);
    Some([key, parts.next()?, parts.next()?])
}

/// Reads who is asked by whom. This comes first: the service decides how everything else is read and answered.
pub fn caller(request: &http::Request<Bytes>) -> Result<Caller, AwsError> {
    let [key, region, service] = signed(request).ok_or_else(|| {
        AwsError::new("MissingAuthenticationToken", "Request is missing Authentication Token").status(403)
    })?;
    let service = service::find(service).ok_or_else(|| {
        AwsError::unanswered("InvalidAction", format!("the simulator does not model the service `{service}`"))
    })?;
    let service = if request.headers().contains_key("x-amz-target") { service.in_json() } else { service };
    Ok(Caller { service, account: account_of(key).to_owned(), region: region.to_owned() })
}

/// Reads what is asked.
pub fn read(caller: Caller, request: &http::Request<Bytes>) -> Result<Request, AwsError> {
    let (action, params) = match caller.service.protocol {
        Protocol::Ec2 | Protocol::Query => query::read(caller.service, request)?,
        Protocol::RestXml(routes) => rest_xml::read(routes, request)?,
        Protocol::Json(_) => json::read(request)?,
    };
    let Caller { service, account, region } = caller;
    Ok(Request { service: service.name, action, account, region, params })
}

/// What a request for a service that is not modelled asks for, as its protocol has it.
pub fn unmodelled_parameters(request: &http::Request<Bytes>) -> Result<serde_json::Value, AwsError> {
    let is_form = |value: &http::HeaderValue| value.as_bytes().starts_with(FORM.as_bytes());
    if request.headers().get(CONTENT_TYPE).is_some_and(is_form) {
        let pairs = form_urlencoded::parse(request.body()).into_owned();
        return Ok(Params::from_pairs(pairs.filter(|(name, _)| !["Action", "Version"].contains(&name.as_str()))).0);
    }
    let body = match request.body().is_empty() {
        true => serde_json::Value::Null,
        false => json::body(request.body())?,
    };
    if request.headers().contains_key("x-amz-target") {
        return Ok(body);
    }
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    Ok(serde_json::json!({ "method": request.method().as_str(), "path": path, "body": body }))
}

const FORM: &str = "application/x-www-form-urlencoded";

/// The services of AWS that speak XML over methods and paths; all others that do so speak JSON.
const SPEAK_REST_XML: &[&str] = &["cloudfront", "route53", "s3", "s3-object-lambda", "s3-outposts", "s3express"];

/// Whether errors are read as REST-JSON: a request that is no form, names no target, and is for no service of XML.
fn is_rest_json(request: &http::Request<Bytes>) -> bool {
    let is = |value: &http::HeaderValue| value.as_bytes().starts_with(FORM.as_bytes());
    let is_form = request.headers().get(CONTENT_TYPE).is_some_and(is);
    let has_action = || {
        let query = request.uri().query().unwrap_or_default();
        form_urlencoded::parse(query.as_bytes()).any(|(name, _)| name == "Action")
    };
    signed(request).is_some_and(|[.., service]| !SPEAK_REST_XML.contains(&service)) && !is_form && !has_action()
}

/// The answer to a request for a service we do not know, in the protocol it was asked in.
pub fn refuse(request: &http::Request<Bytes>, error: AwsError, id: &str) -> Box<http::Response<Bytes>> {
    let has_target = request.headers().contains_key("x-amz-target");
    let is_rest = !has_target && is_rest_json(request);
    let is_json = has_target || is_rest;
    let service = Service { protocol: Protocol::Json(""), ..Service::nobody() };
    let error = match (error.code.as_str(), is_json) {
        ("InvalidAction", true) => AwsError { code: "UnknownOperationException".to_owned(), ..error },
        _ => error,
    };
    let code = http::HeaderValue::from_str(&error.code);
    let mut response = write(is_json.then_some(&service), "", Err(error), id);
    // Where errors of REST-JSON have their code.
    if let (true, Ok(code)) = (is_rest, code) {
        response.headers_mut().insert("x-amzn-errortype", code);
        response.headers_mut().insert(CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
    }
    Box::new(response)
}

/// Writes the answer of `service`. A request that names no service we know is answered as the query protocol would.
pub fn write(service: Option<&Service>, action: &str, reply: Reply, id: &str) -> http::Response<Bytes> {
    let protocol = service.map_or(Protocol::Query, |service| service.protocol);
    let namespace = service.map_or("", |service| service.namespace);
    let reply = reply.map_err(|error| in_words_of(service.unwrap_or(&Service::nobody()), error));
    let mut status = reply.as_ref().map_or_else(|error| error.status, |_| 200);
    let mut location = None;
    let (content_type, body) = match (protocol, &reply) {
        (Protocol::Ec2, Ok(value)) => ("text/xml;charset=UTF-8", xml::ec2(namespace, action, value, id)),
        (Protocol::Ec2, Err(error)) => ("text/xml;charset=UTF-8", xml::ec2_error(error, id)),
        (Protocol::Query, Ok(value)) => ("text/xml", xml::query(namespace, action, value, id)),
        (Protocol::Query, Err(error)) => ("text/xml", xml::error(namespace, error, id)),
        (Protocol::RestXml(routes), Ok(value)) => {
            status = rest_xml::status(routes, action);
            // The one member of Route 53's replies that is a header.
            let mut value = value.clone();
            location = value.as_object_mut().and_then(|fields| fields.remove("Location"));
            ("text/xml", xml::rest(namespace, action, &value))
        }
        (Protocol::RestXml(_), Err(error)) => ("text/xml", xml::error(namespace, error, id)),
        (Protocol::Json(_), Ok(value)) if !namespace.is_empty() => {
            ("application/x-amz-json-1.0", json::reply(&json::of_xml(value)))
        }
        (Protocol::Json(_), Ok(value)) => ("application/x-amz-json-1.1", json::reply(value)),
        (Protocol::Json(_), Err(error)) => ("application/x-amz-json-1.1", json::error(error)),
    };
    let mut response = http::Response::new(Bytes::from(body));
    *response.status_mut() = http::StatusCode::from_u16(status).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, http::HeaderValue::from_static(content_type));
    if reply.is_err_and(|error| error.unanswered) {
        headers.insert(UNANSWERED, http::HeaderValue::from_static("true"));
    }
    if let Some(Ok(location)) = location.as_ref().and_then(serde_json::Value::as_str).map(http::HeaderValue::from_str) {
        headers.insert(LOCATION, location);
    }
    if let Ok(id) = http::HeaderValue::from_str(id) {
        headers.insert("x-amzn-requestid", id);
    }
    response
}

/// Handlers speak of missing and invalid parameters in EC2's words; the other services have one code for both.
fn in_words_of(service: &Service, mut error: AwsError) -> AwsError {
    if [MISSING_PARAMETER, INVALID_VALUE].contains(&error.code.as_str())
        && let Some(code) = service.invalid()
    {
        error.code = code.to_owned();
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ROUTES: &[Route] =
        &[Route { action: "GetThing", method: "GET", path: "/things/{Id}", query: &[], lists: &[], status: 201 }];

    fn service(protocol: Protocol) -> Service {
        let namespace = if matches!(protocol, Protocol::Json(_)) { "" } else { "urn:x" };
        let actions = &[][..];
        Service { name: "thing", protocol, namespace, actions, sanitise: service::no_secrets }
    }

    fn written(protocol: Protocol, reply: Reply) -> (u16, String) {
        let response = write(Some(&service(protocol)), "GetThing", reply, "r1");
        let body = String::from_utf8(response.body().to_vec()).unwrap();
        (response.status().as_u16(), body.replace("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n", ""))
    }

    #[test]
    fn replies_by_protocol() {
        let reply = || Ok(json!({ "Things": [{ "Name": "a&b", "Size": 1, "Gone": null }] }));
        let (_, ec2) = written(Protocol::Ec2, reply());
        assert_eq!(
            ec2,
            "<GetThingResponse xmlns=\"urn:x\"><requestId>r1</requestId><Things><item><Name>a&amp;b</Name>\
             <Size>1</Size></item></Things></GetThingResponse>"
        );
        let (_, query) = written(Protocol::Query, reply());
        assert_eq!(
            query,
            "<GetThingResponse xmlns=\"urn:x\"><GetThingResult><Things><member><Name>a&amp;b</Name><Size>1</Size>\
             </member></Things></GetThingResult><ResponseMetadata><RequestId>r1</RequestId></ResponseMetadata>\
             </GetThingResponse>"
        );
        let (status, rest) = written(Protocol::RestXml(ROUTES), Ok(json!({ "Things": { "Thing": [1, 2] } })));
        assert_eq!(status, 201);
        assert_eq!(
            rest,
            "<GetThingResponse xmlns=\"urn:x\"><Things><Thing>1</Thing><Thing>2</Thing></Things></GetThingResponse>"
        );
        let (_, json) = written(Protocol::Json("Things"), reply());
        assert_eq!(json, r#"{"Things":[{"Name":"a&b","Size":1}]}"#);
        let (_, none) = written(Protocol::Query, Ok(serde_json::Value::Null));
        assert_eq!(
            none,
            "<GetThingResponse xmlns=\"urn:x\"><ResponseMetadata><RequestId>r1</RequestId></ResponseMetadata>\
             </GetThingResponse>"
        );
        let located = write(
            Some(&service(Protocol::RestXml(ROUTES))),
            "GetThing",
            Ok(json!({ "Location": "https://x/1", "Size": 1 })),
            "r1",
        );
        assert_eq!(located.headers()[LOCATION], "https://x/1");
        assert!(!located.body().windows(8).any(|part| part == b"Location"));
    }

    #[test]
    fn a_service_that_is_not_known_is_refused_in_its_protocol() {
        let refused = |service: &str, headers: &[(&str, &str)]| {
            let scope = format!("AWS4-HMAC-SHA256 Credential=KEY/20260101/eu-west-1/{service}/aws4_request, x");
            let mut request = http::Request::get("https://x/2015-03-31/functions").header(AUTHORIZATION, scope);
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            let request = request.body(Bytes::new()).unwrap();
            let error = caller(&request).err().unwrap();
            let response = refuse(&request, error, "r1");
            (response.headers().contains_key("x-amzn-errortype"), response.body().starts_with(b"{"))
        };
        assert_eq!(refused("lambda", &[]), (true, true));
        assert_eq!(refused("s3", &[]), (false, false));
        assert_eq!(refused("kms", &[("x-amz-target", "TrentService.ListKeys")]), (false, true));
        let form = [("content-type", "application/x-www-form-urlencoded; charset=utf-8")];
        assert_eq!(refused("redshift", &form), (false, false));
    }

    #[test]
    fn errors_by_protocol() {
        let error = || Err(AwsError::missing("Name"));
        assert!(written(Protocol::Ec2, error()).1.contains("<Errors><Error><Code>MissingParameter</Code>"));
        assert!(written(Protocol::Query, error()).1.contains("<Type>Sender</Type><Code>ValidationError</Code>"));
        assert!(written(Protocol::RestXml(ROUTES), error()).1.contains("<Code>InvalidInput</Code>"));
        assert!(written(Protocol::Json("Things"), error()).1.contains(r#""__type":"ValidationException""#));
        let (status, body) = written(Protocol::Query, Err(AwsError::new("InternalFailure", "").status(500)));
        assert_eq!(status, 500);
        assert!(body.contains("<Type>Receiver</Type>"));
    }

    #[test]
    fn requests_by_protocol() {
        let form = "Action=Make&Version=urn:x&Subnets.member.1=a&Subnets.member.2=b&Tags.member.1.Key=k&\
                    Attributes.entry.1.key=x&Attributes.entry.1.value=y&Empty=";
        let request = http::Request::post("https://thing/").body(Bytes::from(form)).unwrap();
        let (action, params) = query::read(&service(Protocol::Query), &request).unwrap();
        assert_eq!(action, "Make");
        assert_eq!(params.strings("Subnets"), ["a", "b"]);
        assert_eq!(params.list("Tags")[0].str("Key").unwrap(), "k");
        assert_eq!(params.list("Attributes")[0].0, json!({ "key": "x", "value": "y" }));
        assert!(params.list("Empty").is_empty());
        assert_eq!(params.paths(), ["Subnets[]", "Tags[].Key", "Attributes[].key", "Attributes[].value", "Empty"]);

        let form = "Action=Make&Version=2012-06-01";
        let request = http::Request::post("https://thing/").body(Bytes::from(form)).unwrap();
        let refused = query::read(&service(Protocol::Query), &request).unwrap_err();
        assert_eq!((&*refused.code, refused.unanswered), ("InvalidAction", true));

        let request = http::Request::post("https://thing/")
            .header("x-amz-target", "CertificateManager.ListThings")
            .body(Bytes::from(r#"{"MaxItems": 3, "Deep": {"On": true}}"#))
            .unwrap();
        let (action, params) = json::read(&request).unwrap();
        assert_eq!(action, "ListThings");
        assert_eq!((params.int("MaxItems").unwrap(), params.bool("Deep.On").unwrap()), (3, true));
    }

    #[test]
    fn times() {
        let at = jiff::Timestamp::constant(1_767_225_600, 500_000_000);
        assert_eq!(time(at), "2026-01-01T00:00:00.500Z");
    }
}
