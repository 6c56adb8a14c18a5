//! The sums, against numbers computed by hand: 50 requests a second, 200 ms each, so 10 under way at any time.

use super::*;

const ROUTE: &str = "listener/web";

fn at(milliseconds: i64) -> Timestamp {
    Timestamp::from_millisecond(milliseconds).expect("a time")
}

fn server(id: &str) -> Server {
    Server { group: "blue".into(), id: id.into(), port: 80 }
}

/// A route whose requests are answered by these servers in equal parts, well or not.
fn spread(serves: bool, servers: &[(&str, bool)]) -> BTreeMap<String, Spread> {
    let share = WHOLE / servers.len() as u64;
    let streams = servers.iter().map(|(id, good)| Stream { share, server: Some(server(id)), good: *good });
    BTreeMap::from([(ROUTE.to_owned(), Spread { serves, streams: streams.collect() })])
}

fn nobody() -> BTreeSet<(String, Server)> {
    BTreeSet::new()
}

fn cut(id: &str) -> BTreeSet<(String, Server)> {
    BTreeSet::from([(ROUTE.to_owned(), server(id))])
}

fn promised(routes: &BTreeMap<String, Spread>) -> Load {
    let mut load = Load::default();
    load.begin_run(routes);
    load
}

#[track_caller]
fn counted(load: &Load, served: u64, failed: u64) {
    assert_eq!(load.traffic(), Traffic { served, failed, died: 0 });
}

#[test]
fn a_server_carries_half_as_much_again_and_no_more() {
    let four = spread(true, &[("i-1", true), ("i-2", true), ("i-3", true), ("i-4", true)]);
    let mut load = promised(&four);
    load.elapse(at(0), at(20_000), &four, &nobody());
    counted(&load, 1000, 0);
    let two = spread(true, &[("i-1", true), ("i-2", true)]);
    load.elapse(at(20_000), at(40_000), &two, &nobody());
    counted(&load, 1750, 250);
    let mut pair = promised(&two);
    let one = spread(true, &[("i-1", true)]);
    pair.elapse(at(0), at(20_000), &one, &nobody());
    counted(&pair, 1000, 0);
}

#[test]
fn a_route_that_serves_is_fifty_requests_a_second() {
    let both = spread(true, &[("i-1", true), ("i-2", true)]);
    let mut load = promised(&both);
    load.elapse(at(0), at(60_000), &both, &nobody());
    counted(&load, 3000, 0);
}

#[test]
fn an_hour_cut_into_pieces_is_an_hour() {
    // A third of 50 a second goes to each: 60 000 requests each an hour, and one of the three answers badly.
    let routes = spread(true, &[("i-1", true), ("i-2", true), ("i-3", false)]);
    let (mut whole, mut pieces) = (promised(&routes), promised(&routes));
    whole.elapse(at(0), at(3_600_000), &routes, &nobody());
    let mut now = 0;
    for step in (1..).map(|step| step * 7 % 1009 + 1) {
        let next = (now + step).min(3_600_000);
        pieces.elapse(at(now), at(next), &routes, &nobody());
        now = next;
        if now == 3_600_000 {
            break;
        }
    }
    assert_eq!(whole.traffic(), pieces.traffic());
    assert_eq!((whole.served, whole.failed), (pieces.served, pieces.failed));
    // The third shares are a billionth short of a third: 119 999.9998 served.
    counted(&whole, 119_999, 60_000);
}

#[test]
fn an_instance_that_is_terminated_without_draining_fails_its_share() {
    let both = spread(true, &[("i-1", true), ("i-2", true)]);
    let mut load = promised(&both);
    load.elapse(at(0), at(10_000), &both, &nobody());
    counted(&load, 500, 0);
    // i-2 is terminated at 10 s. Five of the ten requests under way were on it. For 5 s nobody knows: half of 250
    // requests fail. Then i-1 has all.
    let dead = spread(true, &[("i-1", true), ("i-2", false)]);
    load.elapse(at(10_000), at(15_000), &dead, &cut("i-2"));
    counted(&load, 500 - 5 + 125, 5 + 125);
    load.elapse(at(15_000), at(16_000), &spread(true, &[("i-1", true)]), &cut("i-2"));
    counted(&load, 620 + 50, 130);
}

#[test]
fn what_was_sent_before_a_target_began_to_drain_is_cut_when_it_goes_too_soon() {
    let both = spread(true, &[("i-1", true), ("i-2", true)]);
    let mut load = promised(&both);
    load.elapse(at(0), at(1000), &both, &nobody());
    // i-2 drains from 1 s, and is terminated at 1.05 s: of its 5 requests, those of the last 150 ms are under way,
    // 25 a second * 0.15 s = 3.75.
    load.elapse(at(1000), at(1050), &spread(true, &[("i-1", true)]), &nobody());
    load.elapse(at(1050), at(2000), &spread(true, &[("i-1", true)]), &cut("i-2"));
    // 100 requests in 2 s: 96.25 and 3.75.
    counted(&load, 96, 4);
}

#[test]
fn a_target_that_has_drained_for_long_takes_nothing_along() {
    let both = spread(true, &[("i-1", true), ("i-2", true)]);
    let mut load = promised(&both);
    load.elapse(at(0), at(1000), &both, &nobody());
    load.elapse(at(1000), at(1200), &spread(true, &[("i-1", true)]), &nobody());
    load.elapse(at(1200), at(2000), &spread(true, &[("i-1", true)]), &cut("i-2"));
    counted(&load, 100, 0);
}

#[test]
fn a_group_without_targets_and_a_listener_that_is_gone_fail_all() {
    let one = spread(true, &[("i-1", true)]);
    let mut load = promised(&one);
    let empty = Stream { share: WHOLE, server: None, good: false };
    let empty = BTreeMap::from([(ROUTE.to_owned(), Spread { serves: false, streams: vec![empty] })]);
    load.elapse(at(0), at(1000), &empty, &nobody());
    counted(&load, 0, 50);
    load.elapse(at(1000), at(3000), &BTreeMap::new(), &nobody());
    counted(&load, 0, 150);
}

#[test]
fn nobody_was_promised_a_route_that_is_new() {
    let mut load = promised(&BTreeMap::new());
    // Healthy in part: what is answered counts, what is not does not.
    load.elapse(at(0), at(1000), &spread(true, &[("i-1", true), ("i-2", false)]), &nobody());
    counted(&load, 25, 0);
    // All unhealthy: the load is over.
    load.elapse(at(1000), at(2000), &spread(false, &[("i-1", false)]), &nobody());
    load.elapse(at(2000), at(3000), &BTreeMap::new(), &nobody());
    counted(&load, 25, 0);
    // From the next run on it is promised.
    load.begin_run(&spread(true, &[("i-1", true)]));
    counted(&load, 0, 0);
    load.elapse(at(3000), at(4000), &spread(false, &[("i-1", false)]), &nobody());
    counted(&load, 0, 50);
}
