//! A person's consent: asked for, waited for, given or not. What was answered stays answered.

use std::time::Duration;

use jiff::Timestamp;

use super::{Ctx, OnTimeout, Question, Record, Run, replay::QUESTION};
use crate::{
    event::{Change, Event},
    ops::{Divergence, Error},
};

/// Who is there to ask.
#[derive(Clone, Default)]
pub enum Consent {
    /// Nobody: the run is suspended until somebody answers from elsewhere.
    #[default]
    Elsewhere,
    /// Nobody has to be asked: a dry run, or a test.
    Assumed,
    /// A person, by this: whether the question is approved, or `None` if nobody answers.
    Person(fn(&str) -> Option<bool>),
}

/// What a runbook asks for.
#[derive(Clone, Debug)]
pub struct Request {
    pub question: String,
    pub timeout: Duration,
    pub then: OnTimeout,
    /// Whoever started the run may not answer.
    pub other_person: bool,
}

impl Run {
    /// Says who is there to ask.
    pub fn asks(&self, consent: Consent) {
        self.state().consent = consent;
    }
}

impl Ctx {
    /// Asks a person, and returns when they have approved.
    ///
    /// # Errors
    /// [`Error::Rejected`] if they have not; [`Error::Unanswered`] if nobody has in time; [`Error::Asks`] if the run has to be
    /// suspended until somebody does.
    pub async fn consent(&self, request: Request) -> Result<(), Error> {
        let id = self.id().to_owned();
        self.run.call(&id);
        let Request { question, timeout, then, other_person } = request;
        self.in_order(&format!("{QUESTION}`{question}`"))?;
        let known = self.run.past().and_then(|past| past.questions.get(&id)).cloned();
        let asked = match known {
            Some(known) if known.question != question => {
                let place = format!("approval {id}");
                return Err(Box::new(Divergence { place, recorded: known.question, now: question }).into());
            }
            Some(known) => known,
            None => {
                self.run.ends_here()?;
                let until = self.now().checked_add(timeout).unwrap_or(Timestamp::MAX);
                let other_person = other_person || self.run.wants_other_reviewer();
                let record = Record::Asked { id: id.clone(), question: question.clone(), until, then, other_person };
                self.run.journal().commit(record)?;
                Question { id: id.clone(), question, until, then, other_person, answer: None }
            }
        };
        let answer = match &asked.answer {
            Some(answer) => answer.clone(),
            None => {
                self.run.ends_here()?;
                let answer = self.ask(&asked).await?;
                let (approved, by, reason) = answer.clone();
                self.run.journal().commit(Record::Answered { id: id.clone(), approved, by, reason })?;
                answer
            }
        };
        let (approved, by, reason) = answer;
        if !approved {
            return Err(Error::Rejected { question: asked.question, by, reason });
        }
        if !self.run.is_replaying() {
            let subject = asked.question;
            self.emit(Event::OperationFinished {
                id,
                operation: "approve".to_owned(),
                subject: format!("{subject}: approved by {by}"),
                change: Change::Waited,
                fields: Vec::new(),
                elapsed: Duration::ZERO,
            });
        }
        Ok(())
    }

    /// The answer: whether it is approved, who says so, and why.
    async fn ask(&self, asked: &Question) -> Result<(bool, String, Option<String>), Error> {
        if self.now() >= asked.until {
            return match asked.then {
                OnTimeout::Approve => Ok((true, "nobody, in time".to_owned(), None)),
                OnTimeout::Rollback => Err(Error::Unanswered { question: asked.question.clone() }),
            };
        }
        let consent = self.run.state().consent.clone();
        match consent {
            Consent::Assumed => Ok((true, "nobody: it is only tried".to_owned(), None)),
            // The person here is the one who started it.
            Consent::Person(ask) if !asked.other_person => {
                let question = self.put(asked);
                let answer = self
                    .run
                    .clock()
                    .external(async move { tokio::task::spawn_blocking(move || ask(&question)).await.ok().flatten() });
                match answer.await {
                    Some(approved) => Ok((approved, crate::settings::actor(), None)),
                    None => Err(self.unanswered(asked)),
                }
            }
            Consent::Person(_) | Consent::Elsewhere => Err(self.unanswered(asked)),
        }
    }

    /// The question as it is put to a person, with what it is about.
    fn put(&self, asked: &Question) -> String {
        let defaults = self.run.defaults();
        let stack = defaults.stack.map(|stack| format!("stack {stack}, ")).unwrap_or_default();
        let environment = defaults.environment.map(|name| format!("environment {name}, ")).unwrap_or_default();
        let then = match asked.then {
            OnTimeout::Approve => "goes on without an answer",
            OnTimeout::Rollback => "is rolled back",
        };
        let until = asked.until.strftime("%Y-%m-%d %H:%M UTC");
        format!("{}\n  {stack}{environment}run {}; it {then} after {until}", asked.question, self.run_id())
    }

    fn unanswered(&self, asked: &Question) -> Error {
        Error::Asks { question: asked.question.clone(), run: self.run_id().to_owned() }
    }
}
