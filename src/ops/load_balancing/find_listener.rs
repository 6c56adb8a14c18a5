//! `find_listener`: one that is there, whoever made it.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Listener, LoadBalancer, name_in, shared};
use crate::{
    ops::{Error, IdOf, Operation},
    run::Ctx,
};

/// Finds the listener of a load balancer on a port. It is used, and not changed by this.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FindListener {
    /// The load balancer.
    load_balancer: IdOf<LoadBalancer>,
    /// The port it listens on. May be left out if there is only one listener.
    port: Option<u16>,
}

impl Operation for FindListener {
    const NAME: &'static str = "find_listener";
    const AREA: &'static str = "Elastic Load Balancing";
    const EXAMPLE: &'static str = r#"find_listener(#{ load_balancer: web, port: 443 })"#;

    type Options = Self;
    type Handle = Listener;

    fn subject(options: &Self) -> String {
        let port = options.port.map(|port| format!(":{port}")).unwrap_or_default();
        format!("{}{port}", name_in(options.load_balancer.as_str()))
    }

    async fn run(ctx: &Ctx, options: Self) -> Result<Listener, Error> {
        let listeners = shared::listeners_of(ctx, options.load_balancer.as_str()).await?;
        let mut handles = listeners.iter().map(Listener::from_elb).collect::<Result<Vec<_>, _>>()?;
        let ports: Vec<String> = handles.iter().map(|handle| handle.port.to_string()).collect();
        handles.retain(|handle| options.port.is_none_or(|port| handle.port == i32::from(port)));
        let what = format!("listener {}", Self::subject(&options));
        match handles.len() {
            0 => {
                let hint = match ports.len() {
                    0 => "the load balancer has no listeners".into(),
                    _ => format!("it listens on {}", ports.join(", ")),
                };
                Err(Error::NotFound { what, hint: Some(hint) })
            }
            1 => Ok(handles.remove(0)),
            _ => Err(Error::Ambiguous { what, found: ports }),
        }
    }
}
