//! The run as a picture: stages and waits, weights and fleet sizes over time, the point of no return.
//!
//! Places on the axis of time are percentages, so the picture fills whatever width there is and its text keeps its size.
//! All that changes does so at a moment and then stays, so everything is a rectangle.

use maud::{Markup, html};

use crate::{
    plan::{Fleet, Plan, Stage, Weights},
    report::{
        lines::common_prefix,
        plan::facts,
        words::{clean, seconds},
    },
};

/// Stages, routes and fleets that are drawn; a picture of more says less.
const LANES: usize = 12;
/// Characters that fit beside a bar on a small screen.
const LABEL: usize = 30;
/// Narrower than this, in percent, and there is nothing to see.
const NARROW: f64 = 0.05;
/// Wide enough for a number, in percent, on a small screen.
const WIDE: f64 = 9.0;

const STAGE_HEIGHT: f64 = 36.0;
const ROUTE_HEIGHT: f64 = 72.0;
const FLEET_HEIGHT: f64 = 48.0;
/// Where a label stands below the top of its lane.
const BASELINE: f64 = 13.0;

/// `None` if the run takes no time.
pub fn picture(plan: &Plan) -> Option<Markup> {
    let end = plan.stages.iter().map(|stage| stage.starts + stage.seconds).fold(plan.totals.seconds, f64::max);
    if !(end.is_finite() && end > 0.0) {
        return None;
    }
    let mut picture = Picture { plan, end, y: 0.0, lanes: Vec::new() };
    if plan.rollback.point_of_no_return.is_some() {
        picture.y += 20.0;
    }
    picture.stages();
    picture.routes();
    picture.fleets();
    Some(picture.draw())
}

struct Picture<'a> {
    plan: &'a Plan,
    /// Of the run, in seconds.
    end: f64,
    /// Where the next lane begins.
    y: f64,
    lanes: Vec<Markup>,
}

/// A stretch of time, in percent of the run.
struct Span {
    from: f64,
    width: f64,
}

impl Span {
    fn is_seen(&self) -> bool {
        self.width >= NARROW
    }

    fn x(&self) -> String {
        percent(self.from)
    }

    fn w(&self) -> String {
        percent(self.width)
    }

    fn middle(&self) -> String {
        percent(self.from + self.width / 2.0)
    }
}

fn percent(part: f64) -> String {
    format!("{part:.2}%")
}

/// The middle of the text, or the end that is nearer to the edge.
fn anchor(at: f64) -> &'static str {
    match at {
        ..8.0 => "start",
        92.0.. => "end",
        _ => "middle",
    }
}

impl Picture<'_> {
    fn at(&self, seconds: f64) -> f64 {
        (seconds / self.end * 100.0).clamp(0.0, 100.0)
    }

    fn span(&self, from: f64, to: f64) -> Span {
        let from = self.at(from);
        Span { from, width: (self.at(to) - from).max(0.0) }
    }

    fn draw(self) -> Markup {
        let (bottom, height) = (self.y + 4.0, self.y + 30.0);
        let ticks = self.ticks();
        html! {
            svg.picture role="img" aria-label=(self.in_words()) width="100%" height=(height) {
                @for at in &ticks {
                    line.grid x1=(percent(self.at(*at))) x2=(percent(self.at(*at))) y1="0" y2=(bottom) {}
                }
                line.axis x1="0%" x2="100%" y1=(bottom) y2=(bottom) {}
                @for at in &ticks {
                    text.tick x=(percent(self.at(*at))) y=(bottom + 17.0) text-anchor=(anchor(self.at(*at))) { (seconds(*at)) }
                }
                @for lane in &self.lanes { (lane) }
                @for mark in &self.plan.timeline.marks {
                    circle.mark cx=(percent(self.at(mark.at).clamp(0.5, 99.5))) cy=(bottom) r="3.5" {
                        title { (format!("t+{}: {}", seconds(mark.at), clean(&mark.text))) }
                    }
                }
                @if let Some(point) = &self.plan.rollback.point_of_no_return {
                    @let at = self.at(point.at).clamp(0.2, 99.8);
                    g.no-return {
                        title { (facts::no_return(point)) ": " (clean(&point.label)) }
                        line x1=(percent(at)) x2=(percent(at)) y1="18" y2=(bottom) {}
                        text x=(percent(at)) y=(BASELINE) text-anchor=(if at < 50.0 { "start" } else { "end" }) {
                            "◆ point of no return"
                        }
                    }
                }
            }
        }
    }

    /// For who cannot see it.
    fn in_words(&self) -> String {
        let stages: Vec<String> = self
            .plan
            .stages
            .iter()
            .take(LANES)
            .map(|stage| {
                format!("{} from {} for {}", facts::stage_name(stage), seconds(stage.starts), seconds(stage.seconds))
            })
            .collect();
        format!("The run over time, {} in all. {}.", seconds(self.end), stages.join("; "))
    }

    /// Round moments, at most seven.
    fn ticks(&self) -> Vec<f64> {
        const STEPS: [f64; 18] = [
            0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1_800.0, 3_600.0, 7_200.0, 21_600.0,
            86_400.0, 604_800.0,
        ];
        let step = STEPS.into_iter().find(|step| self.end / step <= 6.0).unwrap_or(self.end / 5.0);
        (0..7).map(|number| f64::from(number) * step).take_while(|at| *at <= self.end).collect()
    }

    fn label(&self, text: &str) -> Markup {
        html! { text.lane x="0" y=(self.y + BASELINE) { (short(text)) } }
    }

    fn more(&mut self, all: usize, what: &str) {
        if all > LANES {
            let text = format!("and {} more {what}", all - LANES);
            self.lanes.push(html! { text.quiet x="0" y=(self.y + BASELINE) { (text) } });
            self.y += 22.0;
        }
    }

    fn stages(&mut self) {
        let plan = self.plan;
        for stage in plan.stages.iter().take(LANES) {
            let lane = self.stage(stage);
            self.lanes.push(lane);
            self.y += STAGE_HEIGHT;
        }
        self.more(plan.stages.len(), "stages");
        self.y += 8.0;
    }

    fn stage(&self, stage: &Stage) -> Markup {
        let span = self.span(stage.starts, stage.starts + stage.seconds);
        // However short it is, it can be seen.
        let span = Span { from: span.from.min(99.4), width: span.width.max(0.6) };
        let to = span.from + span.width;
        let (x, side) = match span.from {
            ..40.0 => (span.from, "start"),
            _ if to > 60.0 => (to, "end"),
            _ => (span.from + span.width / 2.0, "middle"),
        };
        let waits = stage.steps.iter().flat_map(|step| &step.waits);
        let waits = waits.map(|wait| (wait, self.span(wait.starts, wait.starts + wait.expected_seconds)));
        let name = facts::stage_name(stage);
        let when = format!("t+{}, {}", seconds(stage.starts), seconds(stage.seconds));
        let y = self.y + BASELINE + 5.0;
        html! {
            text.lane x=(percent(x)) y=(self.y + BASELINE) text-anchor=(side) { (short(&name)) }
            rect.stage x=(span.x()) y=(y) width=(span.w()) height="10" rx="2" { title { (name) ": " (when) } }
            @for (wait, span) in waits {
                @if span.is_seen() {
                    rect.wait x=(span.x()) y=(y) width=(span.w()) height="10" rx="2" {
                        title { (clean(&wait.what)) ": " (facts::wait_time(wait)) }
                    }
                }
            }
        }
    }

    fn routes(&mut self) {
        let plan = self.plan;
        let routes = grouped(&plan.timeline.weights, |weights| &weights.route);
        for (route, changes) in routes.iter().take(LANES) {
            let lane = self.route(route, changes);
            self.lanes.push(lane);
            self.y += 2.0 * BASELINE + ROUTE_HEIGHT + 22.0;
        }
        self.more(routes.len(), "routes");
    }

    /// Shares on top of each other, each in the colour of its name.
    fn route(&self, route: &str, changes: &[&Weights]) -> Markup {
        let mut groups: Vec<&str> = Vec::new();
        for share in changes.iter().flat_map(|change| &change.shares) {
            if !groups.contains(&share.target_group.as_str()) {
                groups.push(&share.target_group);
            }
        }
        let colours: Vec<String> = groups.iter().enumerate().map(|(at, group)| colour(group, at)).collect();
        let common = common_prefix(&groups);
        let top = self.y + 2.0 * BASELINE + 10.0;
        let mut areas = Vec::new();
        for (at, change) in changes.iter().enumerate() {
            let to = changes.get(at + 1).map_or(self.end, |next| next.at);
            let span = self.span(change.at, to);
            let total: f64 = change.shares.iter().map(|share| f64::from(share.weight)).sum();
            if !span.is_seen() || total <= 0.0 {
                continue;
            }
            let title = self.share_title(change, to);
            let mut y = top;
            // The first group at the bottom would turn the legend round: it is the first to be drawn, at the top.
            for share in change.shares.iter().filter(|share| share.weight > 0) {
                let part = f64::from(share.weight) / total;
                let colour = groups.iter().position(|group| *group == share.target_group).unwrap_or(0);
                let height = part * ROUTE_HEIGHT;
                areas.push(html! {
                    rect class=(format!("area {}", colours[colour])) x=(span.x()) y=(number(y)) width=(span.w()) height=(number(height)) {
                        title { (title) }
                    }
                    @if span.width >= WIDE && part >= 0.2 {
                        text class=(format!("part {}", colours[colour])) x=(span.middle()) y=(number(y + height / 2.0 + 4.0)) text-anchor="middle" {
                            (format!("{:.0} %", part * 100.0))
                        }
                    }
                });
                y += height;
            }
        }
        html! {
            (self.label(&format!("requests of {route}")))
            text.legend x="0" y=(self.y + 2.0 * BASELINE + 3.0) {
                @for (group, colour) in groups.iter().zip(&colours).take(3) {
                    tspan class=(format!("key {colour}")) { "■" } " " (short_to(&group[common..], 14)) "   "
                }
                @if groups.len() > 3 { "and " (groups.len() - 3) " more" }
            }
            @for area in &areas { (area) }
        }
    }

    fn share_title(&self, change: &Weights, to: f64) -> String {
        let shares: Vec<String> =
            change.shares.iter().map(|share| format!("{} {}", clean(&share.target_group), share.weight)).collect();
        format!("t+{} to t+{}: {}", seconds(change.at), seconds(to), shares.join(", "))
    }

    fn fleets(&mut self) {
        let plan = self.plan;
        let fleets = grouped(&plan.timeline.fleets, |fleet| &fleet.size.auto_scaling_group);
        // One scale for all, so that they can be compared.
        let most =
            plan.timeline.fleets.iter().map(|fleet| fleet.size.instances.max(fleet.size.desired)).max().unwrap_or(0);
        for (name, changes) in fleets.iter().take(LANES) {
            let lane = self.fleet(name, changes, most.max(1));
            self.lanes.push(lane);
            self.y += BASELINE + FLEET_HEIGHT + 20.0;
        }
        self.more(fleets.len(), "fleets");
    }

    /// What exists behind what is in service behind what is healthy, and what is desired as a line.
    fn fleet(&self, name: &str, changes: &[&Fleet], most: u32) -> Markup {
        let bottom = self.y + BASELINE + 8.0 + FLEET_HEIGHT;
        let height = |count: u32| f64::from(count) / f64::from(most) * FLEET_HEIGHT;
        let mut areas = Vec::new();
        for (at, change) in changes.iter().enumerate() {
            let to = changes.get(at + 1).map_or(self.end, |next| next.at);
            let (size, span) = (&change.size, self.span(change.at, to));
            if !span.is_seen() {
                continue;
            }
            let title = format!(
                "t+{} to t+{}: {} desired, {} there, {} in service, {} healthy",
                seconds(change.at),
                seconds(to),
                size.desired,
                size.instances,
                size.in_service,
                size.healthy
            );
            let desired = bottom - height(size.desired);
            areas.push(html! {
                g {
                    title { (title) }
                    @for (class, count) in [("there", size.instances), ("serving", size.in_service), ("healthy", size.healthy)] {
                        @if count > 0 {
                            rect class=(class) x=(span.x()) y=(number(bottom - height(count))) width=(span.w()) height=(number(height(count))) {}
                        }
                    }
                    line.desired x1=(span.x()) x2=(percent(span.from + span.width)) y1=(number(desired)) y2=(number(desired)) {}
                }
            });
        }
        let peak = changes.iter().map(|change| change.size.instances).max().unwrap_or(0);
        html! {
            (self.label(&format!("{} · {peak} at most", short_to(name, LABEL - 12))))
            line.axis x1="0%" x2="100%" y1=(bottom) y2=(bottom) {}
            @for area in &areas { (area) }
        }
    }
}

/// In the order of their first change.
fn grouped<T>(changes: &[T], key: impl Fn(&T) -> &String) -> Vec<(&str, Vec<&T>)> {
    let mut groups: Vec<(&str, Vec<&T>)> = Vec::new();
    for change in changes {
        match groups.iter_mut().find(|(name, _)| name == key(change)) {
            Some((_, group)) => group.push(change),
            None => groups.push((key(change), vec![change])),
        }
    }
    for (_, group) in &mut groups {
        group.truncate(5_000);
    }
    groups
}

fn colour(group: &str, at: usize) -> String {
    if group.ends_with("blue") {
        "blue".to_owned()
    } else if group.ends_with("green") {
        "green".to_owned()
    } else {
        format!("other-{}", at % 4)
    }
}

fn short(text: &str) -> String {
    short_to(text, LABEL)
}

/// The end of a name says more than its beginning.
fn short_to(text: &str, max: usize) -> String {
    let text = clean(text);
    let length = text.chars().count();
    if length <= max {
        return text;
    }
    format!("…{}", text.chars().skip(length - max + 1).collect::<String>())
}

/// As short as it can be in a file.
fn number(value: f64) -> String {
    format!("{value:.1}")
}
