//! The other side of the wire: a read as AWS wants to have it, and AWS's reply as a tree. For the account behind a fork.

use http::{HeaderMap, HeaderValue, Method, header::CONTENT_TYPE};
use serde_json::{Map, Value};

pub use super::params::without_nulls;
use super::{Protocol, Route, tree, xml};
use crate::sim::error::{AwsError, Reply};
use crate::sim::service::Service;

/// A request without host and signature.
#[derive(Debug)]
pub struct Ask {
    pub method: Method,
    /// With the query string.
    pub path: String,
    pub headers: HeaderMap,
    pub body: String,
}

/// The request for `action` of `service`. Lists are arrays, structures objects, under AWS's names.
pub fn request(service: &Service, action: &str, params: &Value) -> Result<Ask, AwsError> {
    let mut headers = HeaderMap::new();
    match service.protocol {
        Protocol::Ec2 | Protocol::Query => {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
            let mut form = form_urlencoded::Serializer::new(String::new());
            form.append_pair("Action", action).append_pair("Version", service.version());
            let member = if matches!(service.protocol, Protocol::Ec2) { "" } else { "member." };
            flatten("", params, member, &mut |name, text| {
                form.append_pair(name, text);
            });
            Ok(Ask { method: Method::POST, path: "/".to_owned(), headers, body: form.finish() })
        }
        Protocol::Json(target) => {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-amz-json-1.1"));
            let target = HeaderValue::from_str(&format!("{target}.{action}"))
                .map_err(|_| AwsError::new("InvalidAction", format!("`{action}` is no action")))?;
            headers.insert("x-amz-target", target);
            Ok(Ask { method: Method::POST, path: "/".to_owned(), headers, body: params.to_string() })
        }
        Protocol::RestXml(routes) => rest(routes, action, params, headers),
    }
}

/// `Filter.1.Value.2=x`: the inverse of [`Params::from_pairs`](super::Params). The query protocol writes a map as
/// `Attributes.entry.1.key=x`: the array below `entry` has no `member`.
fn flatten(path: &str, value: &Value, member: &str, pair: &mut impl FnMut(&str, &str)) {
    let dot = if path.is_empty() { "" } else { "." };
    match value {
        Value::Null => {}
        Value::Object(fields) => {
            fields.iter().for_each(|(name, value)| flatten(&format!("{path}{dot}{name}"), value, member, pair));
        }
        Value::Array(items) => {
            let between = if path.ends_with(".entry") { "" } else { member };
            for (index, item) in items.iter().enumerate() {
                flatten(&format!("{path}{dot}{between}{}", index + 1), item, member, pair);
            }
        }
        Value::String(text) => pair(path, text),
        Value::Bool(_) | Value::Number(_) => pair(path, &value.to_string()),
    }
}

/// Reads have no body: what is not in the path is in the query string.
fn rest(routes: &[Route], action: &str, params: &Value, headers: HeaderMap) -> Result<Ask, AwsError> {
    let unknown =
        || AwsError::unanswered("InvalidAction", format!("the simulator does not model the action `{action}`"));
    let route = routes.iter().find(|route| route.action == action).ok_or_else(unknown)?;
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let mut path = route.path.to_owned();
    let mut query = form_urlencoded::Serializer::new(String::new());
    let mut queried = false;
    for (name, value) in params.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null()) {
        let place = format!("{{{name}}}");
        if path.contains(&place) {
            path = path.replace(&place, &text(value));
        } else {
            let wire = route.query.iter().find(|(_, member)| member == name).map_or(name.as_str(), |(wire, _)| wire);
            query.append_pair(wire, &text(value));
            queried = true;
        }
    }
    if queried {
        path = format!("{path}?{}", query.finish());
    }
    let method = Method::from_bytes(route.method.as_bytes()).map_err(|_| unknown())?;
    Ok(Ask { method, path, headers, body: String::new() })
}

/// What AWS replied.
pub fn reply(service: &Service, action: &str, status: u16, body: &[u8]) -> Reply {
    let text = String::from_utf8_lossy(body);
    let unreadable = |why: String| {
        AwsError::new("InternalError", format!("an unreadable reply with status {status}: {why}")).status(500)
    };
    if let Protocol::Json(_) = service.protocol {
        let value: Value = serde_json::from_str(&text).map_err(|error| unreadable(error.to_string()))?;
        if status < 300 {
            return Ok(value);
        }
        let part =
            |names: [&str; 2]| names.iter().find_map(|name| value[*name].as_str()).unwrap_or_default().to_owned();
        let code = part(["__type", "code"]);
        let code = code.rsplit('#').next().unwrap_or_default();
        return Err(AwsError::new(code, part(["message", "Message"])).status(status));
    }
    // An empty element is null: whoever reads it knows what it is.
    let tree = tree::parse(&text, is_element, || Value::Null).map_err(unreadable)?;
    if status >= 300 {
        let error = tree.get("Error").or_else(|| tree.get("Errors")?.get(0));
        let part = |name: &str| error.and_then(|error| error[name].as_str()).unwrap_or_default().to_owned();
        return Err(AwsError::new(part("Code"), part("Message")).status(status));
    }
    Ok(match service.protocol {
        Protocol::Query => tree.get(format!("{action}Result")).cloned().unwrap_or_else(|| Value::Object(Map::new())),
        Protocol::Ec2 | Protocol::RestXml(_) | Protocol::Json(_) => tree,
    })
}

/// Which elements are those of a list, their names tell: `<item>` and `<member>`, `<entry>` of a map, and `<Tag>` in `<Tags>`.
fn is_element(parent: &str, name: &str) -> bool {
    ["item", "member", "entry"].contains(&name)
        || parent.strip_suffix('s') == Some(name)
        || (parent, name) == xml::GROUPS
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::sim::service;

    fn service(name: &str) -> &'static Service {
        service::find(name).expect("a service")
    }

    #[test]
    fn requests_by_protocol() {
        let params = json!({ "VpcId": ["vpc-1", "vpc-2"], "Filter": [{ "Name": "a", "Value": ["b"] }] });
        let ask = request(service("ec2"), "DescribeVpcs", &params).expect("a request");
        assert_eq!(
            ask.body,
            "Action=DescribeVpcs&Version=2016-11-15&VpcId.1=vpc-1&VpcId.2=vpc-2&Filter.1.Name=a&Filter.1.Value.1=b"
        );
        let params = json!({ "Names": ["web"], "PageSize": 400 });
        let ask = request(service("elasticloadbalancing"), "DescribeLoadBalancers", &params).expect("a request");
        assert_eq!(ask.body, "Action=DescribeLoadBalancers&Version=2015-12-01&Names.member.1=web&PageSize=400");
        let params = json!({ "Attributes": { "entry": [{ "key": "a", "value": "b" }] }, "Names": ["c"] });
        let ask = request(service("elasticloadbalancing"), "X", &params).expect("a request");
        assert!(
            ask.body.ends_with("&Attributes.entry.1.key=a&Attributes.entry.1.value=b&Names.member.1=c"),
            "{}",
            ask.body
        );
        let ask = request(service("acm"), "ListCertificates", &json!({})).expect("a request");
        assert_eq!(ask.headers["x-amz-target"], "CertificateManager.ListCertificates");
        let params = json!({ "HostedZoneId": "Z1", "StartRecordName": "a b" });
        let ask = request(service("route53"), "ListResourceRecordSets", &params).expect("a request");
        assert_eq!((ask.method, ask.path.as_str()), (Method::GET, "/2013-04-01/hostedzone/Z1/rrset?name=a+b"));
    }

    #[test]
    fn replies_by_protocol() {
        let body = "<DescribeVpcsResponse><vpcSet>\n <item><vpcId>vpc-1</vpcId><tagSet/></item>\n</vpcSet></DescribeVpcsResponse>";
        let found = reply(service("ec2"), "DescribeVpcs", 200, body.as_bytes()).expect("a reply");
        assert_eq!(found, json!({ "vpcSet": [{ "vpcId": "vpc-1", "tagSet": null }] }));
        let body = "<GetRoleResponse><GetRoleResult><Role><Path>/</Path></Role></GetRoleResult></GetRoleResponse>";
        let found = reply(service("iam"), "GetRole", 200, body.as_bytes()).expect("a reply");
        assert_eq!(found, json!({ "Role": { "Path": "/" } }));
        let body = "<R><XResult><Attributes><entry><key>a</key><value/></entry></Attributes></XResult></R>";
        let found = reply(service("iam"), "X", 200, body.as_bytes()).expect("a reply");
        assert_eq!(found, json!({ "Attributes": [{ "key": "a", "value": null }] }));
        let body = "<R><HostedZones><HostedZone><Id>/hostedzone/Z1</Id></HostedZone></HostedZones></R>";
        let found = reply(service("route53"), "ListHostedZones", 200, body.as_bytes()).expect("a reply");
        assert_eq!(found, json!({ "HostedZones": [{ "Id": "/hostedzone/Z1" }] }));
    }

    #[test]
    fn errors_by_protocol() {
        let error = |name, body: &str| reply(service(name), "X", 400, body.as_bytes()).expect_err("an error");
        let body = "<Response><Errors><Error><Code>InvalidVpcID.NotFound</Code><Message>no</Message></Error></Errors></Response>";
        assert_eq!(error("ec2", body), AwsError::new("InvalidVpcID.NotFound", "no"));
        let body = "<ErrorResponse><Error><Type>Sender</Type><Code>NoSuchEntity</Code><Message>no</Message></Error></ErrorResponse>";
        assert_eq!(error("iam", body), AwsError::new("NoSuchEntity", "no"));
        let body = r#"{"__type":"com.amazonaws#ResourceNotFoundException","message":"no"}"#;
        assert_eq!(error("acm", body), AwsError::new("ResourceNotFoundException", "no"));
    }
}
