//! Requests of the EC2 and AWS query protocols: a form with `Action`, `Version` and flattened parameters.

use bytes::Bytes;

use super::Params;
use crate::sim::error::AwsError;
use crate::sim::service::Service;

pub fn read(service: &Service, request: &http::Request<Bytes>) -> Result<(String, Params), AwsError> {
    let mut action = None;
    let body = form_urlencoded::parse(request.body());
    let in_url = form_urlencoded::parse(request.uri().query().unwrap_or_default().as_bytes());
    let mut pairs = Vec::new();
    for (name, value) in in_url.chain(body) {
        match name.as_ref() {
            "Action" => action = Some(value.into_owned()),
            // Another version has other actions and parameters of the same names: ELB's 2012-06-01, of classic load
            // balancers, signs as 2015-12-01 does.
            "Version" if value != service.version() => {
                let message =
                    format!("the simulator does not model the service `{}` of version `{value}`", service.name);
                return Err(AwsError::unanswered("InvalidAction", message));
            }
            "Version" => {}
            _ => pairs.push((without_list_markers(&name), value.into_owned())),
        }
    }
    let action =
        action.ok_or_else(|| AwsError::new("MissingAction", "The request must contain the parameter Action"))?;
    Ok((action, Params::from_pairs(pairs.into_iter())))
}

/// `Subnets.member.1` and `Attributes.entry.1.key` say "list" and "map" in between: the number is enough.
fn without_list_markers(name: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in name.split('.') {
        let numbered = part.parse::<usize>().is_ok();
        if numbered && matches!(parts.last(), Some(&("member" | "entry"))) && parts.len() > 1 {
            parts.pop();
        }
        parts.push(part);
    }
    parts.join(".")
}
