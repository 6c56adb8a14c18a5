//! A caller with a clock of its own.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use runner::sim::{Settings, Simulator, Source};

pub struct Caller {
    pub sim: Arc<Simulator>,
    pub now: Cell<Timestamp>,
    pub key: &'static str,
    pub region: &'static str,
}

pub struct Answer {
    pub status: u16,
    pub body: String,
}

impl Caller {
    pub fn new(sim: impl Into<Arc<Simulator>>) -> Caller {
        let sim = sim.into();
        let now = Cell::new(sim.clock());
        Caller { sim, now, key: "111122223333", region: "eu-west-1" }
    }

    /// A world of its own, in which every read sees everything.
    pub fn prompt() -> Caller {
        let caller = Caller::lagging(7);
        caller.sim.configure(Settings { lag: false, ..Settings::default() }).unwrap();
        caller
    }

    pub fn lagging(seed: u64) -> Caller {
        Caller::new(Simulator::open(Source::Fresh, seed).unwrap())
    }

    pub fn pass(&self, seconds: u64) {
        self.now.set(self.now.get() + Duration::from_secs(seconds));
        self.sim.advance(self.now.get());
    }

    /// Sends `Name=value` parameters to EC2.
    pub fn ec2(&self, action: &str, params: &[(&str, &str)]) -> Answer {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("Action", action).append_pair("Version", "2016-11-15").extend_pairs(params);
        self.send("ec2", form.finish())
    }

    /// Sends `Name=value` parameters to a service of the query protocol.
    pub fn query(&self, service: &str, action: &str, params: &[(&str, &str)]) -> Answer {
        let version = match service {
            "autoscaling" => "2011-01-01",
            "elasticloadbalancing" => "2015-12-01",
            _ => "2010-05-08",
        };
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("Action", action).append_pair("Version", version).extend_pairs(params);
        self.send(service, form.finish())
    }

    pub fn send(&self, service: &str, body: String) -> Answer {
        let scope = format!("{}/20260101/{}/{service}/aws4_request", self.key, self.region);
        let signature = format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=00");
        let request = http::Request::post(format!("https://{service}.{}.amazonaws.com/", self.region))
            .header("authorization", signature)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Bytes::from(body))
            .unwrap();
        let response = self.sim.answer(&request, self.now.get());
        self.now.set(self.now.get() + self.sim.latency());
        Answer { status: response.status().as_u16(), body: String::from_utf8(response.body().to_vec()).unwrap() }
    }
}

impl Answer {
    /// The texts of all elements of that name.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let (open, close) = (format!("<{name}>"), format!("</{name}>"));
        self.body.split(&open).skip(1).map(|rest| rest.split(&close).next().unwrap()).collect()
    }

    #[track_caller]
    pub fn one(&self, name: &str) -> String {
        assert_eq!(self.status, 200, "{}", self.body);
        self.all(name).first().unwrap_or_else(|| panic!("no <{name}> in {}", self.body)).to_string()
    }

    #[track_caller]
    pub fn ok(self) -> Answer {
        assert_eq!(self.status, 200, "{}", self.body);
        self
    }

    #[track_caller]
    pub fn error(&self) -> String {
        assert_ne!(self.status, 200, "{}", self.body);
        self.all("Code").first().expect("an error code").to_string()
    }

    #[track_caller]
    pub fn message(&self) -> String {
        self.error();
        self.all("Message").first().expect("an error message").to_string()
    }
}
