//! One exchange: a request in, what becomes of it out. Faults that were asked for happen here.

use std::{
    hash::{Hash, Hasher},
    time::Duration,
};

use bytes::Bytes;
use jiff::Timestamp;

use super::Inner;
use super::fault::{Effect, FaultKind, Mishap};
use super::service::{self, Service};
use super::store::Change;
use super::wire::{self, Request};

/// What becomes of a request.
#[derive(Debug)]
pub struct Exchange {
    /// How much longer than usual it takes.
    pub after: Duration,
    /// `None`: the connection breaks, or stays silent.
    pub reply: Option<http::Response<Bytes>>,
    /// The caller is no more.
    pub crash: bool,
}

/// A call that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Called {
    pub service: &'static str,
    pub action: String,
    /// What could have befallen it.
    pub kinds: Vec<FaultKind>,
    /// A digest of its parameters.
    pub asks: u64,
}

impl Called {
    /// Whether it is one that changes something.
    pub fn changes(&self) -> bool {
        !service::reads(&self.action)
    }
}

impl Inner {
    pub(super) fn answer(&mut self, request: &http::Request<Bytes>, now: Timestamp) -> http::Response<Bytes> {
        self.world.advance(now);
        match self.read(request) {
            Ok((service, request, id)) => self.reply(service, request, &id),
            Err(reply) => *reply,
        }
    }

    pub(super) fn exchange(&mut self, request: &http::Request<Bytes>, now: Timestamp) -> Exchange {
        self.world.advance(now);
        let (service, request, id) = match self.read(request) {
            Ok(read) => read,
            Err(reply) => return Exchange { after: Duration::ZERO, reply: Some(*reply), crash: false },
        };
        self.note(service, &request);
        let (mut effect, mut lasts) = (None, false);
        for (place, kind, lasting) in self.faults.befall(service.prefix(), &request.action) {
            let happens = match kind.mishap(now, lasting) {
                Some(mishap) => self.suffer(mishap),
                None => kind.befalls(&request.action),
            };
            if happens {
                self.faults.happened(place);
                if effect.is_none() {
                    (effect, lasts) = (kind.effect(service, &request.action), lasting);
                }
            }
        }
        let crash = matches!(effect, Some(Effect::Crash { .. }));
        let action = request.action.clone();
        let write = |reply| wire::write(Some(service), &action, reply, &id);
        let (after, reply) = match effect {
            None => (Duration::ZERO, Some(self.reply(service, request, &id))),
            Some(Effect::Late(after)) => (after, Some(self.reply(service, request, &id))),
            Some(Effect::Refused(error)) => (Duration::ZERO, Some(write(Err(error)))),
            Some(Effect::Failed(error)) => {
                // What it says is not heard.
                let _ = self.call(service, request);
                (Duration::ZERO, Some(write(Err(error))))
            }
            Some(Effect::Crash { applied }) => {
                if applied {
                    let _ = self.call(service, request);
                }
                (Duration::ZERO, None)
            }
            Some(Effect::Lost { applied, after }) => {
                if applied {
                    let _ = self.call(service, request);
                }
                (after, None)
            }
            Some(Effect::Stale) => (Duration::ZERO, Some(self.stale_reply(service, request, &id, lasts))),
        };
        Exchange { after, reply, crash }
    }

    /// Reads a request and numbers it; the reply, if it cannot be read.
    fn read(
        &mut self,
        request: &http::Request<Bytes>,
    ) -> Result<(&'static Service, Request, String), Box<http::Response<Bytes>>> {
        self.world.requests += 1;
        let id = format!("{:08x}-0000-4000-8000-{:012x}", self.world.seed as u32, self.world.requests);
        let caller = wire::caller(request).map_err(|error| wire::refuse(request, error, &id))?;
        let service = caller.service;
        match wire::read(caller, request) {
            Ok(request) => Ok((service, request, id)),
            Err(error) => Err(wire::write(Some(service), "", Err(error), &id).into()),
        }
    }

    fn reply(&mut self, service: &'static Service, request: Request, id: &str) -> http::Response<Bytes> {
        let action = request.action.clone();
        wire::write(Some(service), &action, self.call(service, request), id)
    }

    /// The reply in the world as it was.
    fn stale_reply(
        &mut self,
        service: &'static Service,
        request: Request,
        id: &str,
        lasting: bool,
    ) -> http::Response<Bytes> {
        let seen = self.past.as_ref().and_then(|past| past.seen(self.world.now, lasting));
        let Some(seen) = seen else { return self.reply(service, request, id) };
        let now = std::mem::replace(&mut self.world, seen);
        let reply = self.reply(service, request, id);
        self.world = now;
        reply
    }

    /// Something happens to the world that nobody asked it for. Whether there was anything it could happen to.
    fn suffer(&mut self, mishap: Mishap) -> bool {
        mishap.happen(&mut self.world) && {
            // A log that cannot be written refuses the next change too, and says so there.
            let _ = self.log(Change::Mishap(mishap));
            true
        }
    }

    fn note(&mut self, service: &'static Service, request: &Request) {
        let Some(mut calls) = self.calls.take() else { return };
        let can_befall = |kind: &FaultKind| {
            let mishap = kind.mishap(self.world.now, false);
            kind.befalls(&request.action) && mishap.is_none_or(|mishap| mishap.could_happen(&mut self.world))
        };
        let kinds = FaultKind::ALL.into_iter().filter(can_befall).collect();
        let mut asks = std::hash::DefaultHasher::new();
        format!("{:?}", request.params).hash(&mut asks);
        let (action, asks) = (request.action.clone(), asks.finish());
        calls.push(Called { service: service.prefix(), action, kinds, asks });
        self.calls = Some(calls);
    }
}
