//! What a runbook does when nothing goes wrong: the measure for every case.

use std::{
    path::Path,
    sync::{Arc, OnceLock},
    time::Duration,
};

use crate::{
    api::ScriptFailure,
    cli::{
        exit,
        rehearse::{NotTakenUp, Purpose, Rehearsal, Stage, Verb, rehearse, rehearse_again},
    },
    event::{Event, Report, Stamped, Traffic},
    run::Store,
    script::Runbook,
    settings::{RunSettings, WorldChoice},
    sim::{Called, Fault, FaultKind, Shape, Simulator, WorldError},
};

/// After this long what goes by itself after a run has gone: interfaces, gateways, draining instances.
const AFTERWARDS: Duration = Duration::from_secs(15 * 60);

/// A runbook and the world it begins with, both tried.
pub struct Baseline {
    settings: RunSettings,
    runbook: Runbook,
    /// The world before the run. Nothing happens in it: cases run on copies.
    before: Arc<Simulator>,
    /// The calls of a run, in order.
    pub calls: Vec<Called>,
    /// What there is before a run.
    pub empty: Shape,
    /// What there is after it.
    pub deployed: Shape,
    /// What there is after one that failed at its last call, or at the last before its point of no return: all that it keeps.
    pub kept: Shape,
    /// What its users see.
    pub traffic: Traffic,
    /// Views of all further runs.
    views: Option<Views>,
}

/// Makes the views of one run.
pub type Views = Box<dyn Fn() -> Vec<Box<dyn Report>> + Send + Sync>;

/// Why there is nothing to compare with.
pub enum NoBaseline {
    World(WorldError),
    /// The runbook fails by itself.
    Fails(Box<ScriptFailure>),
    /// A second run changes something.
    Unstable(String),
    /// Requests fail without any fault.
    LosesRequests(u64),
    /// A run that fails at its end is not taken back.
    NotTakenBack(String),
}

/// How many calls there were at the point of no return.
#[derive(Clone)]
struct AtCommit {
    simulator: Arc<Simulator>,
    calls: Arc<OnceLock<usize>>,
}

impl Report for AtCommit {
    fn event(&mut self, stamped: &Stamped) {
        if let Event::Committed { .. } = stamped.event {
            // The first one counts.
            let _ = self.calls.set(self.simulator.calls().len());
        }
    }
}

impl Baseline {
    pub fn new(settings: RunSettings, runbook: Runbook) -> Result<Self, NoBaseline> {
        let before = match &settings.world {
            WorldChoice::Kept(dir) => Simulator::copy(dir, settings.seed),
            WorldChoice::Fresh => Simulator::copy(Path::new(""), settings.seed),
        };
        let before = Arc::new(before.map_err(NoBaseline::World)?);
        let mut this = Self {
            empty: Shape::default(),
            settings,
            runbook,
            before,
            calls: Vec::new(),
            deployed: Shape::default(),
            kept: Shape::default(),
            traffic: Traffic::default(),
            views: None,
        };
        this.empty = Self::settled(&this.stage([]));
        let stage = this.stage([]);
        stage.simulator.note_calls();
        let committed = AtCommit { simulator: Arc::clone(&stage.simulator), calls: Arc::default() };
        let first = this.watched(&stage, Box::new(committed.clone()));
        if let Some(failure) = first.failure {
            return Err(NoBaseline::Fails(Box::new(failure)));
        }
        if first.traffic.failed > 0 {
            return Err(NoBaseline::LosesRequests(first.traffic.failed));
        }
        this.calls = stage.simulator.calls();
        this.traffic = first.traffic;
        this.deployed = Self::settled(&stage);
        stage.simulator.note_calls();
        let again = this.run(&stage);
        if let Some(failure) = again.failure {
            return Err(NoBaseline::Unstable(format!("it fails: {}", failure.message)));
        }
        if let Some(change) = stage.simulator.calls().iter().find(|call| call.changes()) {
            return Err(NoBaseline::Unstable(format!("it sends {}:{}", change.service, change.action)));
        }
        let unlike = Self::settled(&stage).unlike(&this.deployed);
        if !unlike.is_nothing() {
            return Err(NoBaseline::Unstable(unlike.to_string()));
        }
        let last = committed.calls.get().copied().unwrap_or(this.calls.len());
        this.kept = this.taken_back(u32::try_from(last).unwrap_or(u32::MAX))?;
        Ok(this)
    }

    /// What is left of a run whose call `at` is refused.
    fn taken_back(&self, at: u32) -> Result<Shape, NoBaseline> {
        let any = || "*".to_owned();
        let refused = Fault { service: any(), action: any(), at, lasting: false, kind: FaultKind::Denied };
        let stage = self.stage([refused]);
        let run = self.run(&stage);
        if run.exit == exit::ROLLBACK_FAILED {
            let failure = run.failure.map(|failure| failure.message).unwrap_or_default();
            return Err(NoBaseline::NotTakenBack(failure));
        }
        Ok(Self::settled(&stage))
    }

    /// The world before the run once more, in which these faults will happen.
    pub fn stage(&self, faults: impl IntoIterator<Item = Fault>) -> Stage {
        let simulator = self.before.again(|_| {}).unwrap_or_else(|| unreachable!("it was opened as a copy"));
        simulator.ask_for(faults);
        Stage { name: "sim".to_owned(), simulator: Arc::new(simulator), live: None }
    }

    /// Runs the runbook.
    pub fn run(&self, stage: &Stage) -> Rehearsal {
        rehearse(&self.settings, &self.runbook, stage, Purpose::Trial, self.views())
    }

    /// Runs the runbook with a journal from which another process can go on.
    pub fn journaled(&self, stage: &Stage, store: &Store) -> Rehearsal {
        rehearse(&self.settings, &self.runbook, stage, Purpose::Journaled(store), self.views())
    }

    /// Has every run from here on shown to somebody.
    pub fn show(&mut self, views: Views) {
        self.views = Some(views);
    }

    fn views(&self) -> Vec<Box<dyn Report>> {
        self.views.as_ref().map(|views| views()).unwrap_or_default()
    }

    /// Whether the service is deployed for the first time.
    pub fn is_first(&self) -> bool {
        matches!(self.settings.world, WorldChoice::Fresh)
    }

    /// How many objects the journal of a run has.
    pub fn written(&self) -> u64 {
        self.journaled(&self.stage([]), &Store::in_memory()).written
    }

    /// Another process goes on with it, or takes it back.
    ///
    /// # Errors
    /// If it cannot be taken up.
    pub fn again(&self, stage: &Stage, store: &Store, verb: Verb) -> Result<Rehearsal, NotTakenUp> {
        rehearse_again(&self.settings, &self.runbook, stage, store, verb, self.views())
    }

    /// The same, watched by somebody.
    pub fn watched(&self, stage: &Stage, report: Box<dyn Report>) -> Rehearsal {
        rehearse(&self.settings, &self.runbook, stage, Purpose::Trial, vec![report])
    }

    /// What there is when everything that goes by itself has gone.
    pub fn settled(stage: &Stage) -> Shape {
        stage.simulator.advance(stage.simulator.clock() + AFTERWARDS);
        stage.simulator.shape()
    }
}

impl Rehearsal {
    /// Whether it came to its end.
    pub fn deployed(&self) -> bool {
        self.exit == exit::DONE
    }
}
