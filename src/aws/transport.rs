//! The one way out of the process for AWS requests.
//!
//! Guard: a request passes if its action is on the read-only list, or if it carries a permit for
//! exactly this action; everything else is refused before a byte leaves. Behind the guard is the
//! network, or the simulated AWS.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use aws_smithy_runtime_api::{
    client::{
        http::{
            HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
            SharedHttpConnector,
        },
        orchestrator::{HttpRequest, HttpResponse},
        result::ConnectorError,
        runtime_components::RuntimeComponents,
    },
    http::{Headers, StatusCode},
};
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use http_body_util::BodyExt;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{
    LiveAccounts,
    action::{Action, on_the_wire},
    memory,
    permit::{Outgoing, Permit, PermitError},
    read_only::{is_read_only, reads_secrets},
    routes,
    wire_log::{Noted, WireLog},
};
use crate::{
    clock::Clock,
    sim::{self, Exchange, Simulator},
};

/// The transport all clients of a run share.
#[derive(Clone, Debug)]
pub struct Transport {
    clock: Clock,
    behind: Behind,
    log: Option<Arc<WireLog>>,
}

/// What is behind the guard.
#[derive(Clone, Debug)]
enum Behind {
    Network(SharedHttpClient),
    Sim(Arc<Simulator>),
    /// A fork of live accounts.
    Fork(Arc<Simulator>, Arc<LiveAccounts>),
}

/// Rides on a request for a call that the simulated AWS does not model: what is taken for the reply, where nobody else has
/// one. In a fork AWS answers what only reads.
#[derive(Clone, Debug)]
pub struct Assumption(Arc<(Option<serde_json::Value>, AtomicBool)>);

impl Assumption {
    /// The header of a reply that was assumed.
    pub(super) const HEADER: &str = "x-runner-assumed";

    /// Without a reply, there is no answer.
    pub fn new(reply: Option<serde_json::Value>) -> Self {
        Self(Arc::new((reply, AtomicBool::new(false))))
    }

    /// Whether it was taken for a reply.
    pub fn was_made(&self) -> bool {
        self.0.1.load(Ordering::SeqCst)
    }

    fn make(&self) -> Option<serde_json::Value> {
        let reply = self.0.0.clone()?;
        self.0.1.store(true, Ordering::SeqCst);
        Some(reply)
    }
}

impl Transport {
    pub fn network(clock: Clock, client: SharedHttpClient) -> Self {
        Self { clock, behind: Behind::Network(client), log: WireLog::of_process() }
    }

    pub fn sim(clock: Clock, simulator: Arc<Simulator>) -> Self {
        Self { clock, behind: Behind::Sim(simulator), log: WireLog::of_process() }
    }

    pub fn fork(clock: Clock, simulator: Arc<Simulator>, live: Arc<LiveAccounts>) -> Self {
        Self { clock, behind: Behind::Fork(simulator, live), log: WireLog::of_process() }
    }

    /// Writes down what goes through it.
    pub fn recorded(self, log: Option<Arc<WireLog>>) -> Self {
        Self { log: log.or(self.log), ..self }
    }
}

impl HttpClient for Transport {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        let out = match &self.behind {
            Behind::Network(client) => Out::Network(client.http_connector(settings, components)),
            Behind::Sim(simulator) => Out::Sim(simulator.clone(), None),
            Behind::Fork(simulator, live) => Out::Sim(simulator.clone(), Some(live.clone())),
        };
        SharedHttpConnector::new(Guarded { clock: self.clock.clone(), out, log: self.log.clone() })
    }
}

#[derive(Clone, Debug)]
struct Guarded {
    clock: Clock,
    out: Out,
    log: Option<Arc<WireLog>>,
}

#[derive(Clone, Debug)]
enum Out {
    Network(SharedHttpConnector),
    /// With the accounts behind a fork.
    Sim(Arc<Simulator>, Option<Arc<LiveAccounts>>),
}

impl HttpConnector for Guarded {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let this = self.clone();
        HttpConnectorFuture::new(async move {
            if let Out::Sim(simulator, _) = &this.out {
                // The request takes half of the time to get there, the reply the other half. It leaves at the end of the
                // first: what is written down before is written at once.
                this.clock.sleep(simulator.latency() / 2).await;
            }
            let mut memory = None;
            if let Some(permit) = admit(&request).map_err(refused)? {
                permit.before_send(outgoing(&request)?).await.map_err(refused)?;
            } else if let Some(known) = memory::here() {
                let asked = digest(&request);
                if let Some(reply) = known.recall(&asked).and_then(memory::reply_of) {
                    return Ok(reply);
                }
                memory = Some((known, asked));
            }
            let noted = this.log.as_ref().map(|log| (log, Noted::of(&request)));
            let reply = match &this.out {
                Out::Network(connector) => this.clock.external(exchange(connector.clone(), request)).await,
                Out::Sim(_, live) if let Some(answer) = beyond(&request, live.as_deref()) => {
                    this.clock.external(answered(answer, request)).await
                }
                Out::Sim(simulator, _) => {
                    let Exchange { after, reply, crash } = simulator.exchange(&to_http(request)?, this.clock.now());
                    if crash {
                        return Err(refused("this process has crashed, as a fault had it"));
                    }
                    this.clock.sleep(simulator.latency() / 2 + after).await;
                    match reply {
                        Some(reply) => from_http(reply),
                        None if after.is_zero() => Err(ConnectorError::io("connection reset by peer".into())),
                        None => Err(ConnectorError::timeout("no reply".into())),
                    }
                }
            };
            // What was assumed is assumed again.
            let remembered = reply.as_ref().ok().filter(|reply| reply.headers().get(Assumption::HEADER).is_none());
            if let (Some((memory, asked)), Some(reply)) = (memory, remembered) {
                memory.note(asked, memory::answer_of(reply));
            }
            if let Some((log, noted)) = noted {
                log.write(noted, reply.as_ref().ok(), this.clock.now());
            }
            reply
        })
    }
}

/// Who answers a request for a call that the simulated AWS does not model.
enum Answer<'a> {
    Live(&'a LiveAccounts),
    Assumed(Value),
}

/// None: the simulated AWS does, or says that it has no answer.
fn beyond<'a>(request: &HttpRequest, live: Option<&'a LiveAccounts>) -> Option<Answer<'a>> {
    let assumption = request.extension::<Assumption>()?;
    let is_read = request.extension::<Action>().is_some_and(|Action(action)| {
        let asked = || serde_json::from_slice(request.body().bytes().unwrap_or_default()).unwrap_or_default();
        is_read_only(action) && !reads_secrets(action, &asked())
    });
    match live.filter(|_| is_read) {
        Some(live) => Some(Answer::Live(live)),
        None => assumption.make().map(Answer::Assumed),
    }
}

async fn answered(answer: Answer<'_>, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
    match answer {
        Answer::Live(live) => live.forward(request).await,
        Answer::Assumed(reply) => {
            let mut response = HttpResponse::new(StatusCode::try_from(200).map_err(refused)?, reply.to_string().into());
            response.headers_mut().insert(Assumption::HEADER, "true");
            Ok(response)
        }
    }
}

/// The whole reply, not only its head: what comes later would come in nobody's time.
async fn exchange(connector: SharedHttpConnector, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
    let mut response = connector.call(request).await?;
    let body = response.take_body().collect().await.map_err(ConnectorError::io)?;
    *response.body_mut() = SdkBody::from(body.to_bytes());
    Ok(response)
}

/// Decides whether a request may leave. Returns the permit it spent, if it is a mutation.
fn admit(request: &HttpRequest) -> Result<Option<Permit>, PermitError> {
    let action = &request.extension::<Action>().ok_or(PermitError::Nameless)?.0;
    if let Some(wire) = on_the_wire(request)
        && action.split_once(':').is_none_or(|(_, name)| name != wire)
    {
        return Err(PermitError::Wire { wire, action: action.clone() });
    }
    if is_read_only(action) {
        return Ok(None);
    }
    let permit = request.extension::<Permit>().ok_or_else(|| PermitError::Undeclared(action.clone()))?;
    permit.spend(action)?;
    Ok(Some(permit.clone()))
}

/// What a mutation asks for. Bytes that cannot be read back are not sent: nobody could have judged them.
fn outgoing(request: &HttpRequest) -> Result<Outgoing, ConnectorError> {
    let copy = request.try_clone().ok_or_else(|| refused("a streaming body, which cannot be written down"))?;
    let mut parameters = sim::parameters(&to_http(copy)?).map_err(refused)?;
    // What a path names stands in it, not beside it.
    if let Some(Action(action)) = request.extension::<Action>()
        && let Some(path) = parameters.get("path").and_then(Value::as_str)
        && let Some(labels) = routes::labels_of(action, path)
    {
        parameters["labels"] = labels;
    }
    Ok(Outgoing { digest: digest(request), parameters })
}

/// Fingerprint of what a request asks for; headers (date, signature) are not part of it.
fn digest(request: &HttpRequest) -> String {
    let mut hash = Sha256::new();
    for part in [request.method().as_bytes(), request.uri().as_bytes(), request.body().bytes().unwrap_or_default()] {
        hash.update(part);
        hash.update([0]);
    }
    crate::run::hex(&hash.finalize())
}

/// `user` errors are never taken for a failure of the network, and never retried.
fn refused(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> ConnectorError {
    ConnectorError::user(error.into())
}

fn to_http(request: HttpRequest) -> Result<http::Request<Bytes>, ConnectorError> {
    let request = request.try_into_http1x().map_err(refused)?;
    let (parts, body) = request.into_parts();
    let bytes = body.bytes().ok_or_else(|| refused("a streaming body, which the simulated AWS does not take"))?;
    Ok(http::Request::from_parts(parts, Bytes::copy_from_slice(bytes)))
}

fn from_http(response: http::Response<Bytes>) -> Result<HttpResponse, ConnectorError> {
    let (parts, body) = response.into_parts();
    let status = StatusCode::try_from(parts.status.as_u16()).map_err(refused)?;
    let headers = Headers::try_from(parts.headers).map_err(refused)?;
    let mut response = HttpResponse::new(status, SdkBody::from(body));
    *response.headers_mut() = headers;
    Ok(response)
}
