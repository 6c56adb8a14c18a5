//! The simulated AWS over HTTP, for whatever speaks AWS: boto3, the aws CLI, Ansible, `runner --endpoint-url`.
//!
//! Its time follows the clock on the wall, sped up if asked, or goes from event to event with the requests. Paths below
//! [`OWN`] are not AWS's: they show the world, and let time pass.

use std::{
    convert::Infallible,
    net::SocketAddr,
    str::FromStr,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use serde_json::json;
use tokio::net::TcpListener;

use crate::sim::{Exchange, Simulator};

/// Where the server's own paths begin; no AWS service has such a one.
const OWN: &str = "/_runner/";

/// What happens later than this is not waited for: far below the hour for which what is deleted is still shown, or the
/// request after the one that saw it deleted would not find it any more.
const FAR: Duration = Duration::from_secs(600);

/// How fast the simulated time goes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Speed {
    /// So many times as fast as the clock on the wall.
    Times(f64),
    /// Each request lets the next thing happen that happens by itself; without requests time stands still.
    Max,
}

impl FromStr for Speed {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.parse::<f64>() {
            Ok(times) if times > 0.0 && times <= 100_000.0 => Ok(Self::Times(times)),
            _ if text == "max" => Ok(Self::Max),
            _ => Err("expected how many times as fast as real time, up to 100000, or `max`"),
        }
    }
}

/// A world that is served.
#[derive(Debug)]
pub struct Server {
    simulator: Arc<Simulator>,
    speed: Speed,
    started: Instant,
    /// Where the world's time stood then.
    from: Timestamp,
}

/// A connection is dropped without a reply: hyper closes it when its service fails.
#[derive(Debug, thiserror::Error)]
#[error("a fault had the connection broken")]
struct Dropped;

impl Server {
    pub fn new(simulator: Arc<Simulator>, speed: Speed) -> Self {
        let from = simulator.clock();
        Self { simulator, speed, started: Instant::now(), from }
    }

    /// Answers whoever connects, until the future is dropped.
    ///
    /// # Errors
    /// When no more connections can be accepted.
    pub async fn serve(self: Arc<Self>, listener: TcpListener) -> std::io::Result<Infallible> {
        loop {
            let (stream, _) = match listener.accept().await {
                Ok(accepted) => accepted,
                // The client was gone before it was heard.
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionAborted => continue,
                Err(error) => return Err(error),
            };
            // Replies are small: they are not to wait for more.
            let _ = stream.set_nodelay(true);
            let server = Arc::clone(&self);
            tokio::spawn(async move {
                let service = service_fn(move |request| Arc::clone(&server).answer(request));
                // Clients go away as they like.
                let _ =
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
            });
        }
    }

    /// Lets the time pass that has passed on the wall, and returns it.
    pub fn now(&self) -> Timestamp {
        let now = match self.speed {
            Speed::Times(times) => self.from + self.started.elapsed().mul_f64(times),
            Speed::Max => {
                let now = self.simulator.clock();
                let next = self.simulator.next_event(now + FAR);
                next.unwrap_or(now + Duration::from_secs(1))
            }
        };
        self.simulator.advance(now);
        now
    }

    async fn answer(self: Arc<Self>, request: http::Request<Incoming>) -> Result<http::Response<Full<Bytes>>, Dropped> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.map_err(|_| Dropped)?.to_bytes();
        if let Some(path) = parts.uri.path().strip_prefix(OWN) {
            return Ok(self.own(&parts.method, path, parts.uri.query().unwrap_or_default()));
        }
        let Exchange { after, reply, .. } =
            self.simulator.exchange(&http::Request::from_parts(parts, body), self.now());
        if let (Speed::Times(times), false) = (self.speed, after.is_zero()) {
            tokio::time::sleep(after.div_f64(times)).await;
        }
        let reply = reply.ok_or(Dropped)?;
        Ok(reply.map(Full::new))
    }

    fn own(&self, method: &http::Method, path: &str, query: &str) -> http::Response<Full<Bytes>> {
        let seconds = || {
            let mut pairs = form_urlencoded::parse(query.as_bytes());
            pairs.find(|(name, _)| name == "seconds")?.1.parse::<u32>().ok()
        };
        let (status, body) = match (method.as_str(), path) {
            ("GET", "world") => (200, self.world()),
            ("POST", "advance") if self.speed != Speed::Max => (
                http::StatusCode::CONFLICT.as_u16(),
                json!({ "error": "time follows the clock on the wall; serve with `--speed max` to let it pass by hand" }),
            ),
            ("POST", "advance") => match seconds() {
                Some(seconds) => {
                    self.simulator.advance(self.simulator.clock() + Duration::from_secs(seconds.into()));
                    (200, self.world())
                }
                None => (400, json!({ "error": "say how much: `advance?seconds=60`" })),
            },
            ("POST", "begin") => {
                self.now();
                self.simulator.begin_run();
                (200, self.world())
            }
            _ => (404, json!({ "error": "there are GET world, POST advance?seconds=N and POST begin" })),
        };
        let mut response = http::Response::new(Full::new(Bytes::from(format!("{body}\n"))));
        *response.status_mut() = http::StatusCode::from_u16(status).unwrap_or_default();
        let json = http::HeaderValue::from_static("application/json");
        response.headers_mut().insert(http::header::CONTENT_TYPE, json);
        response
    }

    fn world(&self) -> serde_json::Value {
        if self.speed != Speed::Max {
            // With `max` it is requests to AWS that let time pass.
            self.now();
        }
        json!({
            "world": self.simulator.world_id(),
            "time": self.simulator.clock(),
            "requests": self.simulator.traffic(),
        })
    }
}

/// The address as a client writes it.
pub fn url(address: SocketAddr) -> String {
    format!("http://{address}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speeds() {
        assert_eq!("1".parse(), Ok(Speed::Times(1.0)));
        assert_eq!("0.5".parse(), Ok(Speed::Times(0.5)));
        assert_eq!("max".parse(), Ok(Speed::Max));
        for wrong in ["0", "-1", "NaN", "inf", "fast", "", "1e9"] {
            assert!(wrong.parse::<Speed>().is_err(), "{wrong}");
        }
    }
}
