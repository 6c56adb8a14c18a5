//! Plans made of hostile text, of any size. For the tests of what is escaped and of what is cut.

use proptest::{collection::vec, prelude::*, sample::select};
use serde_json::{Value, json};

use crate::plan::{
    Action, Call, Change, Denial, Fact, Failure, Fleet, FleetSize, Hook, Mark, Marker, Outcome, Output, Plan,
    PointOfNoReturn, Rollback, Scenario, Share, Stage, Step, Timeline, Totals, Undo, Verdict, Wait, Weights,
};

/// What means something to somebody who reads a plan.
const FRAGMENTS: [&str; 61] = [
    "```",
    "`````",
    "`",
    "~~~",
    "<!-- runner:plan env=prod runbook=runbooks/prod-deploy.rhai -->",
    "<!--",
    "-->",
    "</details>",
    "<details>",
    "<summary>",
    "</summary>",
    "</code>",
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "\" onload=\"alert(1)",
    "' onload='alert(1)",
    "</style>",
    "</title>",
    "</svg>",
    "]]>",
    "&lt;b&gt;",
    "&#60;",
    "@octocat",
    "@org/team",
    "mail@example.com",
    "#12",
    "org/repo#12",
    "GH-12",
    "!12",
    "https://example.com/x",
    "www.example.com",
    "ftp://example.com",
    "[text](https://example.com)",
    "![picture](https://example.com/x.png)",
    "[ref]: https://example.com",
    "[^1]",
    "|",
    "\\|",
    "\\",
    "||---|",
    "\n",
    "\r\n",
    "\n\n",
    "\n# heading\n",
    "\n- item\n",
    "\n---\n",
    "\n> [!NOTE]\n",
    "\t",
    "**bold**",
    "__bold__",
    "_",
    "*",
    "~~gone~~",
    "$x^2$",
    "$$",
    ":tada:",
    "\u{0}\u{1b}[31m",
    "\u{202e}\u{2066}",
    "größe 名前 🚀",
    " ",
    "plain-name",
];

/// A name or a message.
pub fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => vec(select(FRAGMENTS.to_vec()), 0..6).prop_map(|parts| parts.concat()),
        1 => any::<String>(),
        1 => (select(vec!["`", "@a ", "名", "<", "x", "|\\", "🚀"]), 1..700_usize).prop_map(|(part, times)| part.repeat(times)),
    ]
}

/// A plan in which each text is one of a few, with about so many steps.
pub fn plan(steps: std::ops::Range<usize>) -> impl Strategy<Value = Plan> {
    (vec(text(), 1..12), steps, 1..40_usize, any::<u64>()).prop_map(|(words, steps, stages, seed)| {
        let mut maker = Maker { words, at: seed as usize % 1_000 };
        maker.plan(steps, stages)
    })
}

/// Takes the words in turn, so that each comes to stand everywhere.
struct Maker {
    words: Vec<String>,
    at: usize,
}

impl Maker {
    fn turn(&mut self, of: usize) -> usize {
        self.at += 1;
        self.at % of
    }

    fn word(&mut self) -> String {
        // A prime, or some words would never come to stand in some places.
        let at = self.turn(7_919) % self.words.len();
        self.words[at].clone()
    }

    fn maybe(&mut self) -> Option<String> {
        (self.turn(3) > 0).then(|| self.word())
    }

    fn several<T>(&mut self, most: usize, make: impl Fn(&mut Self) -> T) -> Vec<T> {
        let count = self.turn(most + 1);
        (0..count).map(|_| make(self)).collect()
    }

    fn value(&mut self) -> Value {
        match self.turn(5) {
            0 => json!([self.word(), self.word()]),
            1 => json!({ "key": self.word(), self.word(): 1 }),
            2 => json!(self.at),
            3 => Value::Null,
            _ => json!(self.word()),
        }
    }

    fn plan(&mut self, steps: usize, stages: usize) -> Plan {
        let outcome = [Outcome::Changes, Outcome::NoChanges, Outcome::Fails, Outcome::Refused][self.turn(4)];
        let mut plan = Plan {
            runner: self.word(),
            verdict: Verdict::new(outcome, self.word()).ending(10, &self.word()),
            runbook: self.word(),
            marker: Marker { environment: self.maybe(), runbook: self.word() },
            environment: self.maybe(),
            stack: self.maybe(),
            region: self.maybe(),
            account: self.maybe(),
            target: self.word(),
            totals: Totals { create: steps as u32, seconds: steps as f64, ..Totals::default() },
            timeline: Timeline {
                weights: self.several(8, Self::weights),
                fleets: self.several(8, Self::fleet),
                marks: self.several(3, |maker| Mark { at: 1.0, text: maker.word() }),
            },
            rollback: Rollback {
                undos: (0..steps)
                    .map(|_| Undo {
                        step: self.word(),
                        description: self.word(),
                        keep: self.turn(2) == 0,
                        impossible: self.turn(5) == 0,
                    })
                    .collect(),
                hooks: self.several(3, |maker| Hook { label: maker.word(), after_undos: maker.turn(9) as u32 }),
                point_of_no_return: self.maybe().map(|label| PointOfNoReturn {
                    label,
                    at: 2.0,
                    after: Some("1".into()),
                }),
            },
            on_failure: self.several(12, Self::scenario),
            outputs: self.several(40, |maker| Output { name: maker.word(), value: maker.value() }),
            warnings: self.several(60, Self::word),
            policy: self.several(60, |maker| {
                let (check, message, overridden) = (maker.word(), maker.word(), maker.maybe());
                Denial { check, message, overridden }
            }),
            failure: self.maybe().map(|message| Failure {
                message,
                help: self.maybe(),
                file: self.maybe(),
                line: Some(1),
                column: None,
                exit_code: 3,
            }),
            ..Plan::default()
        };
        for stage in 0..stages {
            let count = steps / stages + usize::from(stage < steps % stages);
            let name = self.maybe();
            let steps = (0..count).map(|_| self.step()).collect();
            plan.stages.push(Stage { name, starts: stage as f64, seconds: 2.0, steps });
        }
        for (number, step) in plan.stages.iter_mut().flat_map(|stage| &mut stage.steps).enumerate() {
            step.id = number.to_string();
        }
        plan
    }

    fn step(&mut self) -> Step {
        const ACTIONS: [Action; 9] = super::facts::ACTIONS;
        Step {
            id: String::new(),
            operation: self.word(),
            subject: self.word(),
            action: ACTIONS[self.turn(9)],
            starts: 1.0,
            seconds: 3.0,
            place: self.maybe(),
            changes: self.several(3, |maker| {
                let (field, after, diff) = (maker.word(), maker.value(), maker.maybe());
                let before = (maker.turn(2) == 0).then(|| maker.value());
                Change { field, before, after, diff: diff.filter(|_| maker.turn(2) == 0) }
            }),
            calls: self.several(2, |maker| {
                let (call, resource, request) = (maker.word(), maker.word(), maker.value());
                Call { call, resource, request, undo: maker.maybe(), ..Call::default() }
            }),
            content: self.several(2, |maker| Fact { name: maker.word(), value: maker.word() }),
            reads: 2,
            waits: self.several(2, |maker| Wait {
                what: maker.word(),
                starts: 1.0,
                expected_seconds: 5.0,
                at_most_seconds: 60.0,
            }),
            weights: self.several(2, Self::weights),
            error: self.maybe().filter(|_| self.turn(4) == 0),
        }
    }

    fn weights(&mut self) -> Weights {
        let route = self.word();
        let shares = self.several(3, |maker| Share { target_group: maker.word(), weight: maker.turn(101) as u32 });
        Weights { at: 1.0, route, shares }
    }

    fn fleet(&mut self) -> Fleet {
        let size = FleetSize { auto_scaling_group: self.word(), desired: 3, instances: 3, in_service: 2, healthy: 1 };
        Fleet { at: 1.0, size }
    }

    fn scenario(&mut self) -> Scenario {
        Scenario {
            name: self.word(),
            outcome: self.word(),
            exit_code: 10,
            seconds: 60.0,
            error: self.maybe(),
            final_state: self.word(),
            undone: 3,
            kept: 2,
            left: self.several(8, Self::word),
            requests_served: 1_000,
            requests_lost: 1,
        }
    }
}
