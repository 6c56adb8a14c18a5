//! Replies of the XML protocols. They differ in what stands around the result and in how a list is written.

use quick_xml::escape::escape;
use serde_json::Value;

use crate::sim::error::AwsError;

const DECLARATION: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";

/// How an array under a name is written.
#[derive(Clone, Copy)]
enum Lists {
    /// `<vpcSet><item/><item/></vpcSet>`, `<Vpcs><member/><member/></Vpcs>`
    Wrapped(&'static str),
    /// `<HostedZone/><HostedZone/>`: the reply itself names the element around them.
    Repeated,
}

/// The one list whose elements EC2 calls by a name of their own: the security groups in the network interfaces of a launch
/// template. Other lists of that name hold structures.
pub const GROUPS: (&str, &str) = ("groupSet", "groupId");

pub fn ec2(namespace: &str, action: &str, value: &Value, id: &str) -> String {
    let mut out = format!("{DECLARATION}<{action}Response xmlns=\"{namespace}\"><requestId>{id}</requestId>");
    children(&mut out, value, Lists::Wrapped("item"));
    out + format!("</{action}Response>").as_str()
}

pub fn ec2_error(error: &AwsError, id: &str) -> String {
    let (code, message) = (escape(&error.code), escape(&error.message));
    format!(
        "{DECLARATION}<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors>\
         <RequestID>{id}</RequestID></Response>"
    )
}

/// Actions that have no output in the service model reply with null: AWS sends no result element for them.
pub fn query(namespace: &str, action: &str, value: &Value, id: &str) -> String {
    let mut out = format!("{DECLARATION}<{action}Response xmlns=\"{namespace}\">");
    if !value.is_null() {
        out.push_str(&format!("<{action}Result>"));
        children(&mut out, value, Lists::Wrapped("member"));
        out.push_str(&format!("</{action}Result>"));
    }
    out + format!("<ResponseMetadata><RequestId>{id}</RequestId></ResponseMetadata></{action}Response>").as_str()
}

pub fn rest(namespace: &str, action: &str, value: &Value) -> String {
    let mut out = format!("{DECLARATION}<{action}Response xmlns=\"{namespace}\">");
    children(&mut out, value, Lists::Repeated);
    out + format!("</{action}Response>").as_str()
}

/// The error of the query and the REST-XML protocol.
pub fn error(namespace: &str, error: &AwsError, id: &str) -> String {
    let fault = if error.status < 500 { "Sender" } else { "Receiver" };
    let (code, message) = (escape(&error.code), escape(&error.message));
    format!(
        "{DECLARATION}<ErrorResponse xmlns=\"{namespace}\"><Error><Type>{fault}</Type><Code>{code}</Code>\
         <Message>{message}</Message></Error><RequestId>{id}</RequestId></ErrorResponse>"
    )
}

fn children(out: &mut String, value: &Value, lists: Lists) {
    for (name, value) in value.as_object().into_iter().flatten() {
        element(out, name, value, lists);
    }
}

fn element(out: &mut String, name: &str, value: &Value, lists: Lists) {
    match (value, lists) {
        (Value::Null, _) => {}
        (Value::Bool(value), _) => leaf(out, name, &value.to_string()),
        (Value::Number(value), _) => leaf(out, name, &value.to_string()),
        (Value::String(value), _) => leaf(out, name, value),
        (Value::Object(_), _) => {
            out.push_str(&format!("<{name}>"));
            children(out, value, lists);
            out.push_str(&format!("</{name}>"));
        }
        (Value::Array(elements), Lists::Wrapped(member)) => {
            out.push_str(&format!("<{name}>"));
            let is_map = member == "member" && elements.iter().all(is_entry);
            let member = if is_map { "entry" } else { member };
            let texts = elements.first().is_some_and(Value::is_string);
            let member = if texts && name == GROUPS.0 { GROUPS.1 } else { member };
            elements.iter().for_each(|value| element(out, member, value, lists));
            out.push_str(&format!("</{name}>"));
        }
        (Value::Array(elements), Lists::Repeated) => {
            elements.iter().for_each(|value| element(out, name, value, lists));
        }
    }
}

/// An entry of a map, as the query protocol names its parts. No list of a service that speaks it has elements of these names.
fn is_entry(element: &Value) -> bool {
    let Some(fields) = element.as_object() else { return false };
    fields.len() == 2 && fields.contains_key("key") && fields.contains_key("value")
}

fn leaf(out: &mut String, name: &str, text: &str) {
    out.push_str(&format!("<{name}>{}</{name}>", escape(text)));
}
