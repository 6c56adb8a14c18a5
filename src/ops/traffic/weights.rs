//! Weights of a route: read, set, read back, put back.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{health::Health, tell};
use crate::{
    event::Event,
    ops::{
        Error, Together, arguments,
        load_balancing::{
            action::{Answer, Share},
            name_in,
            route::{self, Live, Route},
        },
    },
    run::{Ctx, Phase, Seen, Undo, UndoAction, Undone, Wait},
};

/// How long a changed weight may take to be read back.
const READ_BACK: Duration = Duration::from_secs(60);

/// How long the way back waits for the old targets, while the new ones serve well.
const OLD_TARGETS: Duration = Duration::from_secs(600);

/// The answer with these weights; groups that are not named keep theirs.
pub fn with(answer: &Answer, weights: &[Share]) -> Answer {
    let Answer::Forward { target_groups, stickiness } = answer else { return answer.clone() };
    let weight_of = |share: &Share| {
        let wanted = weights.iter().find(|wanted| wanted.target_group == share.target_group);
        wanted.unwrap_or(share).clone()
    };
    Answer::forward(target_groups.iter().map(weight_of).collect(), *stickiness)
}

/// Sets the weights of a route. All moves of a route in a run are one undo, to the weights before the first;
/// `moves` are those of this operation, the last is to be set now.
pub async fn set(ctx: &Ctx, route: &Route, live: &Live, moves: &[Vec<Share>]) -> Result<(), Error> {
    let Some(weights) = moves.last() else { return Ok(()) };
    let undo = Undo::new(
        &RESTORE_WEIGHTS,
        format!("move traffic of {} back to {}", live.name, words(live.answer.target_groups())),
        json!({ "route": route, "before": live.answer.target_groups(), "ours": moves }),
    )
    .phase(Phase::Traffic)
    .key(format!("weights of {route}"));
    route::set(ctx, route, live, &with(&live.answer, weights), Some(undo)).await
}

/// Waits until the route is read with these weights, and tells of them.
pub async fn read_back(ctx: &Ctx, route: &Route, wanted: &Answer) -> Result<Live, Error> {
    let what = format!("weights of {} to be {}", route.load_balancer(), words(wanted.target_groups()));
    let first = route::live(ctx, route).await?;
    if first.answer.target_groups() == wanted.target_groups() {
        tell(ctx, &first);
        return Ok(first);
    }
    let live = ctx
        .wait(Wait { what, timeout: READ_BACK, every: Duration::from_secs(1) }, async || {
            let live = route::live(ctx, route).await?;
            if live.answer.target_groups() == wanted.target_groups() {
                return Ok(Seen::Ready(live));
            }
            Ok(Seen::Pending(words(live.answer.target_groups())))
        })
        .await?;
    tell(ctx, &live);
    Ok(live)
}

/// `blue 90, green 10`
pub fn words(weights: &[Share]) -> String {
    let one = |share: &Share| format!("{} {}", name_in(&share.target_group), share.weight);
    if weights.is_empty() { "nobody".to_owned() } else { weights.iter().map(one).collect::<Vec<_>>().join(", ") }
}

/// Moves traffic back to where it was.
pub const RESTORE_WEIGHTS: UndoAction =
    UndoAction { name: "restore_weights", run: |ctx, arguments| Box::pin(restore_weights(ctx, arguments)) };

#[derive(Serialize, Deserialize)]
struct RestoreWeights {
    route: String,
    before: Vec<Share>,
    /// Everything that was set: if a reply was lost, any of them may be what is there.
    ours: Vec<Vec<Share>>,
}

async fn restore_weights(ctx: &Ctx, given: Value) -> Result<Undone, Error> {
    let RestoreWeights { route, before, ours } = arguments(given)?;
    let route = Route::new(route);
    let last = ours.last().cloned().unwrap_or_default();
    let live = match route::settled(ctx, &route, |answer| answer.target_groups() == last).await {
        Err(Error::NotFound { .. }) => return Ok(Undone::Already),
        live => live?,
    };
    let found = live.answer.target_groups();
    if found == before {
        return Ok(Undone::Already);
    }
    if !ours.iter().any(|ours| ours == found) {
        return Ok(Undone::Foreign(format!("expected {}, found {}", words(&last), words(found))));
    }
    wait_for_old_targets(ctx, found, &before).await;
    if let Some(gone) = gone(ctx, found, &before).await {
        return Err(Error::Unsafe(format!("{gone}, and what has the traffic answers: it stays there")));
    }
    let wanted = with(&live.answer, &before);
    route::set(ctx, &route, &live, &wanted, None).await?;
    read_back(ctx, &route, &wanted).await?;
    ctx.sleep(route::HEARD_OF).await?;
    Ok(Undone::Done)
}

/// The targets that traffic would go back to, in words, if there are none and others serve it: somebody has taken them away.
async fn gone(ctx: &Ctx, now: &[Share], before: &[Share]) -> Option<String> {
    let with_weight = |shares: &[Share]| -> Vec<String> {
        shares.iter().filter(|share| share.weight > 0).map(|share| share.target_group.clone()).collect()
    };
    let (old, now) = (with_weight(before), with_weight(now));
    let (old, now) = futures::join!(Health::read_all(ctx, &old), Health::read_all(ctx, &now));
    // Without knowing it, better back than not at all.
    let (old, now) = (old.ok()?, now.ok()?);
    let serves = now.iter().any(|group| group.healthy() > 0);
    old.iter().find(|group| serves && group.targets.is_empty()).map(Health::words)
}

/// The old targets may have to come back first. As long as those that have the traffic serve it well, there is no
/// hurry; and if the old ones do not come, traffic goes back all the same, as the new ones are about to be removed.
async fn wait_for_old_targets(ctx: &Ctx, now: &[Share], before: &[Share]) {
    let serving = |weights: &[Share]| -> Vec<String> {
        weights.iter().filter(|share| share.weight > 0).map(|share| share.target_group.clone()).collect()
    };
    let (new, old) = (serving(now), serving(before));
    let wait = Wait {
        what: format!("old targets before traffic goes back to {}", words(before)),
        timeout: OLD_TARGETS,
        every: Duration::from_secs(10),
    };
    let waited = ctx
        .wait(wait, async || {
            let (old, new) = futures::join!(Health::read_all(ctx, &old), Health::read_all(ctx, &new)).together()?;
            let ready = old.iter().all(|group| group.healthy() > 0);
            let hurry = new.iter().any(|group| group.healthy() == 0);
            if ready || hurry {
                return Ok(Seen::Ready(()));
            }
            Ok(Seen::Pending(old.iter().map(Health::words).collect::<Vec<_>>().join("; ")))
        })
        .await;
    match waited {
        Ok(()) | Err(Error::TimedOut { .. }) => {}
        // The old targets were well when they had the traffic, and were held since: better blind than not at all.
        Err(error) => {
            let message = format!("traffic goes back without knowing the health of the old targets: {error}");
            ctx.emit(Event::Warning { message });
        }
    }
}
