//! What every form of a plan says in the same words: signs, head, banners, figures. What comes from the plan is one line
//! and otherwise as it is: each form escapes it.

use super::Detail;
use crate::{
    plan::{
        Action, Change, Hook, Outcome, Plan, PointOfNoReturn, Rollback, Scenario, Stage, Step, Totals, Undo, Verdict,
        Wait, Weights,
    },
    report::{
        Ink,
        words::{clean, count, kept_and_hooks, listed, plural, seconds, target},
    },
};

/// Names in a banner; more are counted.
const NAMES_SHOWN: usize = 8;
/// Lines of a new text for who does not want to see everything.
pub const NEW_TEXT_SHOWN: usize = 40;
/// Denials in banners; all of them are in the part about policy.
const DENIALS_SHOWN: usize = 4;

/// How an action looks.
#[derive(Clone, Copy, Debug)]
pub struct Sign {
    pub unicode: &'static str,
    pub ascii: &'static str,
    /// In the legend.
    pub word: &'static str,
    pub ink: Ink,
}

pub fn sign(action: Action) -> Sign {
    let (unicode, ascii, word, ink) = match action {
        Action::Create => ("+", "+", "create", Ink::Green),
        Action::Update => ("~", "~", "change", Ink::Yellow),
        Action::Replace => ("-/+", "-/+", "delete and create anew", Ink::Red),
        Action::Delete => ("-", "-", "delete", Ink::Red),
        Action::Shift => ("⇄", "=>", "move traffic", Ink::Cyan),
        Action::Wait => ("…", "..", "wait", Ink::Cyan),
        Action::Unchanged => ("=", "=", "unchanged", Ink::Dim),
        Action::Read => ("·", ".", "only looks", Ink::Dim),
        Action::Fail => ("✗", "x", "fails", Ink::Red),
    };
    Sign { unicode, ascii, word, ink }
}

/// In the order in which a legend lists them.
pub const ACTIONS: [Action; 9] = [
    Action::Create,
    Action::Update,
    Action::Replace,
    Action::Delete,
    Action::Shift,
    Action::Wait,
    Action::Unchanged,
    Action::Read,
    Action::Fail,
];

/// Whether a step has a row of its own; the others are counted.
pub fn is_shown(step: &Step, detail: Detail) -> bool {
    match step.action {
        Action::Read | Action::Unchanged => detail == Detail::Full,
        Action::Wait
        | Action::Shift
        | Action::Create
        | Action::Update
        | Action::Replace
        | Action::Delete
        | Action::Fail => true,
    }
}

/// `17 unchanged, 3 only look`, of the steps that have no row of their own.
pub fn folded(stage: &Stage, detail: Detail) -> Option<String> {
    let hidden = |action| stage.steps.iter().filter(|step| step.action == action && !is_shown(step, detail)).count();
    let parts = [(hidden(Action::Unchanged), "unchanged"), (hidden(Action::Read), "only looked at")];
    let parts: Vec<String> =
        parts.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")).collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

pub fn stage_name(stage: &Stage) -> String {
    let name = stage.name.as_deref().map(clean);
    match name.as_deref().map(str::trim) {
        None => "outside of any stage".to_owned(),
        Some("") => "a stage without a name".to_owned(),
        Some(name) => name.to_owned(),
    }
}

/// `3 steps, 17 unchanged, 3 only looked at`: what a stage does, in a few words.
pub fn stage_line(stage: &Stage) -> String {
    let steps = stage.steps.iter().filter(|step| is_shown(step, Detail::Changes)).count();
    let parts = [(steps > 0).then(|| plural(steps, "step")), folded(stage, Detail::Changes)];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    if parts.is_empty() { "empty".to_owned() } else { parts.join(", ") }
}

/// A few words about the run as a whole; `dot` stands between those of one line.
pub fn head(plan: &Plan, dot: &str) -> Vec<(&'static str, String)> {
    let place = [
        plan.environment.as_deref().map(clean),
        plan.region.as_deref().map(clean),
        plan.account.as_deref().map(|account| format!("account {}", clean(account))),
    ];
    let place: Vec<String> = place.into_iter().flatten().collect();
    let mut head = vec![("runbook", clean(&plan.runbook))];
    if !place.is_empty() {
        head.push(("environment", place.join(&format!(" {dot} "))));
    }
    head.extend(plan.stack.as_deref().map(|stack| ("stack", clean(stack))));
    head.push(("target", clean(target(&plan.target))));
    head
}

/// Something to know before anything else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Banner {
    /// Our words.
    pub lead: String,
    /// The plan's.
    pub text: String,
    /// Whether it stands in the way, or destroys something.
    pub grave: bool,
}

pub fn banners(plan: &Plan) -> Vec<Banner> {
    let mut banners = Vec::new();
    let mut banner = |grave, lead: String, text: &str| banners.push(Banner { lead, text: clean(text), grave });
    if let Some(failure) = &plan.failure {
        banner(true, "fails".to_owned(), &failure.message);
        if let Some(file) = &failure.file {
            let position = [failure.line, failure.column].into_iter().flatten().map(|number| format!(":{number}"));
            banner(true, "at".to_owned(), &format!("{file}{}", position.collect::<String>()));
        }
        if let Some(help) = &failure.help {
            banner(false, "help".to_owned(), help);
        }
    }
    let denials: Vec<&str> =
        plan.policy.iter().filter(|denial| denial.overridden.is_none()).map(|denial| denial.message.as_str()).collect();
    for message in denials.iter().take(DENIALS_SHOWN) {
        banner(true, "policy says no".to_owned(), message);
    }
    if denials.len() > DENIALS_SHOWN {
        banner(true, "policy".to_owned(), &format!("and {} more", denials.len() - DENIALS_SHOWN));
    }
    if !is_good(plan) && plan.verdict.exit_code != 0 {
        let Verdict { exit_code, exit_meaning, .. } = &plan.verdict;
        banner(true, format!("a run would end with exit code {exit_code}"), exit_meaning);
    }
    for (action, verb, total) in [
        (Action::Delete, "deletes", plan.totals.delete),
        (Action::Replace, "deletes and creates anew", plan.totals.replace),
    ] {
        // What is about the stack of the run names nothing else.
        let name = |step: &'_ Step| if step.subject.is_empty() { step.operation.clone() } else { step.subject.clone() };
        let names: Vec<String> = plan.steps().filter(|step| step.action == action).map(name).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        if !names.is_empty() {
            banner(true, format!("{verb} {}", total.max(1)), &listed(names, NAMES_SHOWN));
        }
    }
    // Load balancers are open to everybody on the ports of the web; other things had better not be.
    let of_web = |what: &String| matches!(what.as_str(), "tcp 80" | "tcp 443");
    let opened = |step: &Step| step.calls.iter().flat_map(|call| call.opens.clone()).collect::<Vec<_>>();
    let grave = !plan.steps().flat_map(opened).all(|what| of_web(&what));
    let open = plan.steps().map(|step| (step, opened(step))).filter(|(_, what)| !what.is_empty());
    let open = open.map(|(step, what)| format!("{} ({})", step.subject, what.join(", "))).collect::<Vec<_>>();
    let powerful = plan.steps().flat_map(|step| {
        let calls = step.calls.iter().filter(|call| call.allows_all);
        calls.map(|call| {
            let named = ["PolicyName", "PolicyArn"].iter().find_map(|member| call.request.get(*member)?.as_str());
            format!("{} ({})", step.subject, named.unwrap_or(&call.resource))
        })
    });
    let powerful = powerful.collect::<Vec<_>>();
    for (grave, lead, names) in [(grave, "opens to everybody", open), (true, "may do everything", powerful)] {
        if !names.is_empty() {
            banner(grave, lead.to_owned(), &listed(names.iter().map(String::as_str), NAMES_SHOWN));
        }
    }
    if let Some(lost) = plan.requests.words() {
        banner(true, "loses requests".to_owned(), &format!("{lost} are not answered, as it was simulated"));
    }
    let lasting = plan.rollback.undos.iter().filter(|undo| undo.impossible && !undo.keep);
    let lasting: Vec<&str> = lasting.map(|undo| undo.description.as_str()).collect();
    if !lasting.is_empty() {
        banner(true, "a rollback cannot".to_owned(), &listed(lasting, NAMES_SHOWN));
    }
    if let Some(point) = &plan.rollback.point_of_no_return {
        banner(false, no_return(point), &point.label);
    }
    banners
}

/// The totals in three lines. `detail` is how much of the plan is shown below them.
pub fn figures(plan: &Plan, detail: Detail) -> [(&'static str, String); 3] {
    let totals = &plan.totals;
    let Totals { create, update, replace, delete, unchanged, .. } = totals;
    let changes = format!(
        "{create} to create, {update} to change, {replace} to replace, {delete} to delete, {unchanged} unchanged"
    );
    let run = format!(
        "{}, {}, {}, {} at the peak",
        plural(totals.traffic_shifts as usize, "traffic shift"),
        waits(plan, detail),
        calls(totals),
        plural(totals.peak_instances as usize, "instance"),
    );
    let time = times(plan).map(|(what, time)| format!("{time} {what}")).collect::<Vec<_>>().join(", ");
    [("changes", changes), ("run", run), ("time", time)]
}

/// `8 waits (7 listed)`: the short ones have a line only for who wants to see everything.
fn waits(plan: &Plan, detail: Detail) -> String {
    let waits = plural(plan.totals.waits as usize, "wait");
    let steps = plan.steps().filter(|step| is_shown(step, detail));
    let moments = steps.flat_map(|step| moments(step, detail));
    let listed = moments.filter(|moment| matches!(moment, Moment::Wait(_))).count();
    if detail == Detail::Summary || listed == plan.totals.waits as usize {
        return waits;
    }
    format!("{waits} ({listed} listed)")
}

/// `221 calls (68 change something, 135 only read, 18 repeated)`
fn calls(totals: &Totals) -> String {
    let Totals { calls, reads, repeated, .. } = *totals;
    let changing = calls.saturating_sub(reads).saturating_sub(repeated);
    let parts = [(changing, "change something"), (reads, "only read"), (repeated, "repeated")];
    let parts: Vec<String> =
        parts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{} {what}", count((*n).into()))).collect();
    let parts = if parts.is_empty() { String::new() } else { format!(" ({})", parts.join(", ")) };
    format!("{}{parts}", counted(calls, "call"))
}

/// How long the run takes, and what that means. One that fails has no time in which all goes well.
pub fn times(plan: &Plan) -> impl Iterator<Item = (&'static str, String)> {
    let Totals { seconds: takes, seconds_at_most, .. } = plan.totals;
    let fails = plan.failure.is_some();
    let first = if fails { "until it fails" } else { "when all goes well" };
    let at_most = (!fails).then(|| ("at most", seconds(seconds_at_most)));
    [Some((first, seconds(takes))), at_most].into_iter().flatten()
}

fn counted(number: u32, noun: &str) -> String {
    format!("{} {noun}{}", count(number.into()), if number == 1 { "" } else { "s" })
}

/// `1m 33s, at most 10m`
pub fn wait_time(wait: &Wait) -> String {
    let (expected, at_most) = (seconds(wait.expected_seconds), seconds(wait.at_most_seconds));
    if expected == at_most { expected } else { format!("{expected}, at most {at_most}") }
}

/// What happens during a step, in the order of time.
pub enum Moment<'a> {
    Wait(&'a Wait),
    Weights(&'a Weights),
}

impl Moment<'_> {
    pub fn at(&self) -> f64 {
        match self {
            Moment::Wait(wait) => wait.starts,
            Moment::Weights(weights) => weights.at,
        }
    }
}

/// Waits shorter than this are those for a change to be seen: only for who wants to see everything.
const SHORT_WAIT: f64 = 2.0;

pub fn moments(step: &Step, detail: Detail) -> Vec<Moment<'_>> {
    let waits = step.waits.iter().filter(|wait| detail == Detail::Full || wait.expected_seconds >= SHORT_WAIT);
    let mut moments: Vec<Moment<'_>> =
        waits.map(Moment::Wait).chain(step.weights.iter().map(Moment::Weights)).collect();
    // A change and the wait that follows it are told within one second: the change comes first.
    let place = |moment: &Moment<'_>| (moment.at().floor(), matches!(moment, Moment::Wait(_)));
    moments.sort_by(|a, b| place(a).0.total_cmp(&place(b).0).then(place(a).1.cmp(&place(b).1)));
    moments
}

/// The fields to show. What a wait has found is no change, and weights that are shown as such need not be told twice.
pub fn changes(step: &Step, detail: Detail) -> Vec<&Change> {
    let is_told = |change: &&Change| !step.weights.is_empty() && change.field.starts_with("weights of ");
    let all = detail == Detail::Full;
    step.changes.iter().filter(|change| all || !(step.action == Action::Wait || is_told(change))).collect()
}

/// Whether it is the answer that the run would do what it should, and nobody would notice.
pub fn is_good(plan: &Plan) -> bool {
    match plan.verdict.outcome {
        Outcome::Changes | Outcome::NoChanges => plan.requests.lost == 0,
        Outcome::Fails | Outcome::Refused => false,
    }
}

/// Whether what goes wrong is noticed and taken back, and nobody else would notice.
pub fn ends_well(scenario: &Scenario) -> bool {
    scenario.exit_code != 0 && scenario.left.is_empty() && scenario.requests_lost == 0
}

/// `13 changes taken back, 26 kept, 36,204 requests served, none lost`
pub fn scenario_figures(scenario: &Scenario) -> String {
    let lost = match scenario.requests_lost {
        0 => "none".to_owned(),
        lost => count(lost),
    };
    let undone = plural(scenario.undone as usize, "change");
    let kept = kept_and_hooks(scenario.kept as usize, 0);
    format!("{undone} taken back{kept}, {} requests served, {lost} lost", count(scenario.requests_served))
}

/// `22 changes to take back, 26 kept, 1 hook, newest first`
pub fn rollback(rollback: &Rollback) -> String {
    let until = if rollback.point_of_no_return.is_some() { " until the point of no return" } else { "" };
    let kept = rollback.undos.iter().filter(|undo| undo.keep).count();
    let more = kept_and_hooks(kept, rollback.hooks.len());
    match rollback.undos.iter().filter(|undo| !undo.keep && !undo.impossible).count() {
        0 => format!("nothing to take back{more}{until}"),
        undone => format!("{} to take back{more}{until}, newest first", plural(undone, "change")),
    }
}

/// An undo or a hook, as lists have them.
pub struct Entry<'a> {
    /// The step whose change it takes back.
    pub step: Option<&'a str>,
    /// Our words before it.
    pub lead: &'static str,
    /// The plan's.
    pub text: &'a str,
}

/// Undos and hooks, newest first.
pub fn rollback_entries(rollback: &Rollback) -> Vec<Entry<'_>> {
    let mut entries = Vec::with_capacity(rollback.undos.len() + rollback.hooks.len());
    let mut hooks = rollback.hooks.iter().peekable();
    fn hook(hook: &Hook) -> Entry<'_> {
        Entry { step: None, lead: "hook ", text: &hook.label }
    }
    for (number, undo) in (0..).zip(&rollback.undos) {
        entries.extend(std::iter::from_fn(|| hooks.next_if(|hook| hook.after_undos <= number)).map(hook));
        let lead = match undo {
            Undo { keep: true, .. } => "kept, not run: ",
            Undo { impossible: true, .. } => "not possible: ",
            Undo { .. } => "",
        };
        entries.push(Entry { step: Some(&undo.step), lead, text: &undo.description });
    }
    entries.extend(hooks.map(hook));
    entries.reverse();
    entries
}

/// `point of no return after 22m 8s`
pub fn no_return(point: &PointOfNoReturn) -> String {
    format!("point of no return after {}", seconds(point.at))
}
