//! `attach_target_group`: the next version is put beside the one that serves, without a single request.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Moved, Traffic, tell, weights};
use crate::{
    event::Field,
    ops::{
        Error, IdOf, Operation, all_of, arguments,
        load_balancing::{
            TargetGroup,
            action::{Answer, Share},
            name_in,
            route::{self, Live, Route},
        },
        outcome::report,
        ownership::changed,
    },
    run::{Ctx, Undo, UndoAction, Undone},
};

/// Puts target groups onto routes at weight 0: the load balancer begins to check their targets, and sends them
/// nothing. A group that is on its route already keeps its weight. Rolled back, the group is taken out again.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AttachTargetGroup {
    /// Which group onto which route.
    routes: Vec<Attach>,
    /// Turns an action that does not forward (the fixed response of a service that was never deployed) into a forward
    /// to the group. Without it, such a route is refused.
    #[serde(default)]
    replace_action: bool,
}

/// A target group, onto a route.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Attach {
    /// A listener, for its default action, or a listener rule.
    route: Route,
    /// The target group.
    target_group: IdOf<TargetGroup>,
}

impl Operation for AttachTargetGroup {
    const NAME: &'static str = "attach_target_group";
    const AREA: &'static str = "Traffic";
    const EXAMPLE: &'static str = r#"attach_target_group(#{ routes: [#{ route: https, target_group: green }] })"#;

    type Options = Self;
    type Handle = Moved;

    fn subject(options: &Self) -> String {
        let names = options.routes.iter().map(|one| name_in(one.target_group.as_str()).to_owned());
        names.collect::<Vec<_>>().join(", ")
    }

    async fn run(ctx: &Ctx, options: Self) -> Result<Moved, Error> {
        if options.routes.is_empty() {
            return Err(Error::option("routes", "expected at least one route, found none"));
        }
        for (index, one) in options.routes.iter().enumerate() {
            if options.routes[..index].iter().any(|other| other.route == one.route) {
                let message = "this route is listed twice; attach one group after the other";
                return Err(Error::option(format!("routes[{index}].route"), message));
            }
        }
        for one in &options.routes {
            route::lock(ctx, &one.route).await?;
        }
        // All are looked at before any is changed, and what is changed by what it shows is read again.
        let mut lives = all_of(options.routes.iter().map(|one| route::seen(ctx, &one.route))).await?;
        let mut plans = options.plans(&lives)?;
        if plans.iter().any(Option::is_some) {
            lives = all_of(options.routes.iter().map(|one| route::live(ctx, &one.route))).await?;
            plans = options.plans(&lives)?;
        }
        let all = options.routes.iter().zip(&lives).zip(plans).map(|((one, live), plan)| one.attach(ctx, live, plan));
        let done = all_of(all).await?;
        let (traffic, fields): (Vec<Traffic>, Vec<Option<Field>>) = done.into_iter().unzip();
        report(ctx, fields.into_iter().flatten().collect());
        Ok(Moved { routes: options.routes.into_iter().map(|one| one.route).collect(), traffic })
    }
}

impl AttachTargetGroup {
    fn plans(&self, lives: &[Live]) -> Result<Vec<Option<Answer>>, Error> {
        let routes = self.routes.iter().zip(lives);
        routes.map(|(one, live)| one.plan(live, self.replace_action)).collect()
    }
}

impl Attach {
    /// The answer with the group in it; `None` if it is there.
    fn plan(&self, live: &Live, replace_action: bool) -> Result<Option<Answer>, Error> {
        let group = self.target_group.as_str();
        let own = Share { target_group: group.to_owned(), weight: 0 };
        match &live.answer {
            answer if answer.target_groups().iter().any(|share| share.target_group == group) => Ok(None),
            Answer::Forward { target_groups, .. } if target_groups.len() >= 5 => Err(Error::Unsafe(format!(
                "{} forwards to five target groups, and AWS allows no more: take one out first",
                live.name
            ))),
            Answer::Forward { target_groups, stickiness } => {
                let groups = target_groups.iter().cloned().chain([own]).collect();
                Ok(Some(Answer::forward(groups, *stickiness)))
            }
            _ if replace_action => Ok(Some(Answer::forward(vec![own], None))),
            other => Err(Error::Unsafe(format!(
                "{} {}, it does not forward; `replace_action: true` turns it into a forward to {}",
                live.name,
                other.words(),
                name_in(group)
            ))),
        }
    }

    async fn attach(&self, ctx: &Ctx, live: &Live, plan: Option<Answer>) -> Result<(Traffic, Option<Field>), Error> {
        let name = |arn: &str| name_in(arn).to_owned();
        let Some(ours) = plan else { return Ok((Traffic::of(&self.route, &live.answer, name), None)) };
        let undo = Undo::new(
            &DETACH_TARGET_GROUP,
            format!("take {} out of {}", name_in(self.target_group.as_str()), live.name),
            json!({ "route": self.route, "target_group": self.target_group.as_str(), "before": live.answer }),
        );
        tell(ctx, live);
        route::set(ctx, &self.route, live, &ours, Some(undo)).await?;
        let after = weights::read_back(ctx, &self.route, &ours).await?;
        let (before, words) = (weights::words(live.answer.target_groups()), weights::words(ours.target_groups()));
        let field = changed(&format!("weights of {}", live.name), before, words);
        Ok((Traffic::of(&self.route, &after.answer, name), Some(field)))
    }
}

/// Takes a group out that this run put in; an action that did not forward comes back.
pub const DETACH_TARGET_GROUP: UndoAction =
    UndoAction { name: "detach_target_group", run: |ctx, arguments| Box::pin(detach_target_group(ctx, arguments)) };

#[derive(Deserialize)]
struct Detach {
    route: String,
    target_group: String,
    before: Answer,
}

async fn detach_target_group(ctx: &Ctx, given: Value) -> Result<Undone, Error> {
    let Detach { route, target_group, before } = arguments(given)?;
    let route = Route::new(route);
    let idle = Share { target_group: target_group.clone(), weight: 0 };
    let live = match route::settled(ctx, &route, |answer| answer.target_groups().contains(&idle)).await {
        Err(Error::NotFound { .. }) => return Ok(Undone::Already),
        live => live?,
    };
    let Answer::Forward { target_groups, stickiness } = &live.answer else { return Ok(Undone::Already) };
    let (own, others): (Vec<Share>, Vec<Share>) =
        target_groups.iter().cloned().partition(|share| share.target_group == target_group);
    match own.first() {
        None => return Ok(Undone::Already),
        Some(share) if share.weight > 0 => {
            return Ok(Undone::Foreign(format!("it has weight {} by now", share.weight)));
        }
        Some(_) => {}
    }
    let wanted = match (&before, others.is_empty()) {
        (Answer::Forward { .. }, false) => Answer::forward(others, *stickiness),
        (Answer::Redirect { .. } | Answer::FixedResponse { .. }, true) => before,
        // Nothing that could be put in its place, or others have come who would be thrown out.
        _ => return Ok(Undone::Foreign(format!("the route forwards to {} by now", weights::words(target_groups)))),
    };
    route::set(ctx, &route, &live, &wanted, None).await?;
    Ok(Undone::Done)
}
