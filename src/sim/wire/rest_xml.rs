//! Requests of the REST-XML protocol (Route 53): a route table says which action a method and a path mean.

use bytes::Bytes;
use serde_json::{Map, Value};

use super::{Params, tree};
use crate::sim::error::AwsError;

/// One action's place in the URL space, as the service model has it.
pub struct Route {
    pub action: &'static str,
    pub method: &'static str,
    /// `/2013-04-01/hostedzone/{Id}/rrset`: a name in braces becomes a parameter; the last one may hold slashes.
    pub path: &'static str,
    /// Query string names and the parameters they set: `("maxitems", "MaxItems")`.
    pub query: &'static [(&'static str, &'static str)],
    /// Elements of the body that are list members, after their parent, which becomes a list: `Changes/Change`.
    pub lists: &'static [&'static str],
    /// Status of a good reply.
    pub status: u16,
}

pub fn read(routes: &[Route], request: &http::Request<Bytes>) -> Result<(String, Params), AwsError> {
    let path = request.uri().path();
    let unknown = || {
        let what = format!("the simulator does not model {} {path}", request.method());
        AwsError::new("InvalidAction", what).status(404)
    };
    let (route, mut fields) = routes
        .iter()
        .filter(|route| route.method == request.method().as_str())
        .find_map(|route| Some((route, captures(route.path, path)?)))
        .ok_or_else(unknown)?;
    for (name, value) in form_urlencoded::parse(request.uri().query().unwrap_or_default().as_bytes()) {
        // A name the route does not list stays as it is, and is refused with the parameters the action does not list.
        let parameter = route.query.iter().find(|(wire, _)| *wire == name).map_or(name.as_ref(), |(_, member)| member);
        fields.insert(parameter.to_owned(), Value::String(value.into_owned()));
    }
    if !request.body().is_empty() {
        let body = std::str::from_utf8(request.body()).map_err(|error| malformed(&error))?;
        // `Key` is a member of `RemoveTagKeys` and a field of `Tag`.
        let is_member = |parent: &str, name: &str| route.lists.contains(&format!("{parent}/{name}").as_str());
        let body = tree::parse(body, is_member, || Value::String(String::new())).map_err(|why| malformed(&why))?;
        if let Value::Object(body) = body {
            fields.extend(body);
        }
    }
    Ok((route.action.to_owned(), Params(Value::Object(fields))))
}

pub fn status(routes: &[Route], action: &str) -> u16 {
    routes.iter().find(|route| route.action == action).map_or(200, |route| route.status)
}

fn captures(pattern: &str, path: &str) -> Option<Map<String, Value>> {
    let mut fields = Map::new();
    let mut parts = path.trim_end_matches('/').split('/');
    let mut expected = pattern.split('/').peekable();
    while let Some(name) = expected.next() {
        let part = parts.next()?;
        match name.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
            Some(name) => {
                let mut text = part.to_owned();
                if expected.peek().is_none() {
                    parts.by_ref().for_each(|rest| text = format!("{text}/{rest}"));
                }
                // A path is percent-encoded too, but "+" and "&" are themselves there.
                let form = format!("={}", text.replace('+', "%2B").replace('&', "%26"));
                let (_, decoded) = form_urlencoded::parse(form.as_bytes()).next()?;
                fields.insert(name.to_owned(), Value::String(decoded.into_owned()));
            }
            None if name == part => {}
            None => return None,
        }
    }
    parts.next().is_none().then_some(fields)
}

fn malformed(why: &dyn std::fmt::Display) -> AwsError {
    AwsError::new("MalformedInput", format!("the body is not XML: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const ROUTES: &[Route] = &[Route {
        action: "ChangeResourceRecordSets",
        method: "POST",
        path: "/2013-04-01/hostedzone/{Id}/rrset",
        query: &[("maxitems", "MaxItems")],
        lists: &["Changes/Change", "ResourceRecords/ResourceRecord"],
        status: 200,
    }];

    #[test]
    fn path_query_and_body_become_one_tree() {
        let body = "<R xmlns='x'><ChangeBatch><Comment>a &amp; b</Comment><Changes><Change><Action>UPSERT</Action>\
            </Change></Changes></ChangeBatch></R>";
        let request = http::Request::post("https://r53/2013-04-01/hostedzone/Z%201/rrset?maxitems=3")
            .body(Bytes::from(body))
            .unwrap();
        let (action, params) = read(ROUTES, &request).unwrap();
        assert_eq!(action, "ChangeResourceRecordSets");
        let expected = json!({
            "Id": "Z 1", "MaxItems": "3",
            "ChangeBatch": { "Comment": "a & b", "Changes": [{ "Action": "UPSERT" }] },
        });
        assert_eq!(params.0, expected);
    }
}
