//! The page of a plan in a real browser: on a phone, on a screen, in the dark, on paper.

use std::path::{Path, PathBuf};

use runner::{
    plan::Plan,
    report::{
        Look,
        plan::{Detail, Format, file_name, write},
    },
};
use serde_json::{Value, json};

use crate::chromium::{Browser, View};

#[path = "../../src/report/plan/sample.rs"]
mod sample;

const PHONE: View = View { width: 390, dark: false, print: false };
const SCREEN: View = View { width: 1280, dark: false, print: false };
const DARK: View = View { width: 1280, dark: true, print: false };
const PAPER: View = View { width: 794, dark: false, print: true };

/// Pages and pictures are left in the target directory, to be looked at.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("plan").join(name);
    std::fs::create_dir_all(&folder).expect("the target directory is writable");
    folder
}

fn page(name: &str, plan: &Plan, detail: Detail) -> PathBuf {
    let file = folder(name).join(file_name(Format::Html));
    let look = Look { colour: false, unicode: true, width: 80 };
    std::fs::write(&file, write(plan, Format::Html, detail, &look)).expect("the target directory is writable");
    file
}

/// What is wrong with the page as it is laid out. Everything is unfolded first: what is folded has no size.
const PROBE: &str = include_str!("html_probe.js");

fn problems(browser: &mut Browser, file: &Path, view: View) -> Vec<String> {
    browser.open(file, view);
    let found = browser.evaluate(PROBE);
    let mut problems: Vec<String> = serde_json::from_value(found).expect("a list of problems");
    problems.append(&mut browser.complaints);
    let only = [json!(format!("file://{}", file.display())).to_string()];
    if browser.loaded != only {
        problems.push(format!("it loads {:?}", browser.loaded));
    }
    problems
}

#[test]
fn every_page_is_in_order_on_every_screen() {
    let mut browser = Browser::start();
    for (name, plan) in sample::all() {
        for (detail, kind) in [(Detail::Changes, "changes"), (Detail::Full, "full"), (Detail::Summary, "summary")] {
            let name = format!("{name}-{kind}");
            let file = page(&name, &plan, detail);
            for (view, kind) in [(PHONE, "phone"), (SCREEN, "screen"), (DARK, "dark"), (PAPER, "paper")] {
                let problems = problems(&mut browser, &file, view);
                assert!(problems.is_empty(), "{name} on {kind}:\n{}", problems.join("\n"));
            }
        }
    }
}

/// The probe can see: each of these pages has one thing wrong with it.
#[test]
fn the_probe_finds_what_is_wrong() {
    let mut browser = Browser::start();
    let good = write(
        &sample::second_deploy(),
        Format::Html,
        Detail::Changes,
        &Look { colour: false, unicode: true, width: 80 },
    );
    let broken = [
        ("too wide", good.replace("<main>", "<main><p style=\"width: 2000px\">wide</p>")),
        ("contrast", good.replace("--quiet: #566174", "--quiet: #d0d0d0")),
        ("outside of the picture", good.replace("text-anchor=\"end\"", "text-anchor=\"start\"")),
        ("has no size", good.replace("class=\"there\"", "class=\"there\" style=\"display: none\"")),
        ("is cut", good.replace("<h1>", "<h1 style=\"width: 20px; overflow: hidden\">")),
        ("script", good.replace("<main>", "<main><script>1</script>")),
        (
            "it loads",
            good.replace("<main>", "<main><img src=\"x.png\" alt=\"\">").replace("img-src data:", "img-src *"),
        ),
    ];
    for (wanted, page) in broken {
        assert_ne!(page, good, "{wanted}: nothing was broken");
        let file = folder("broken").join(format!("{}.html", wanted.replace(' ', "-")));
        std::fs::write(&file, page).expect("the target directory is writable");
        let problems = problems(&mut browser, &file, SCREEN);
        assert!(problems.iter().any(|problem| problem.contains(wanted)), "{wanted}: {problems:#?}");
    }
}

#[test]
fn the_picture_shows_the_weights_the_fleets_and_the_point_of_no_return() {
    let mut browser = Browser::start();
    browser.open(&page("second_deploy", &sample::second_deploy(), Detail::Changes), SCREEN);
    let mut ask = |expression: &str| browser.evaluate(expression);
    let texts = ask("[...document.querySelectorAll('svg .part')].map(part => part.textContent).join(' ')");
    assert_eq!(texts, json!("90 % 50 % 50 % 100 %"));
    let names = ask("[...document.querySelectorAll('svg .lane')].map(lane => lane.textContent)");
    let wanted = json!([
        "network",
        "service",
        "deploy",
        "requests of shop-prod-web:443",
        "shop-prod-web-blue · 3 at most",
        "…op-prod-web-green · 3 at most",
    ]);
    assert_eq!(names, wanted);
    // Where green has half of the requests, its half is as high as blue's.
    let heights = ask(
        "[...document.querySelectorAll('svg .area')].map(area => area.textContent.includes('blue 50') && area.getBoundingClientRect().height).filter(height => height)",
    );
    assert_eq!(heights, json!([36, 36]));
    let line = ask("document.querySelector('svg .no-return line').getBoundingClientRect().height");
    assert!(line.as_f64().is_some_and(|height| height > 200.0), "it crosses the picture: {line}");
    let title = ask("document.querySelector('svg .no-return title').textContent");
    assert_eq!(title, json!("point of no return after 22m 10s: green is live, blue retires"));
}

#[test]
fn on_paper_everything_is_unfolded() {
    let mut browser = Browser::start();
    let file = page("paper", &sample::second_deploy(), Detail::Changes);
    let shown = "[...document.querySelectorAll('details.calls pre')].map(pre => pre.checkVisibility())";
    browser.open(&file, SCREEN);
    assert!(browser.evaluate(shown).as_array().is_some_and(|all| all.iter().all(|shown| shown == &json!(false))));
    browser.open(&file, PAPER);
    let on_paper = browser.evaluate(shown);
    assert!(
        on_paper.as_array().is_some_and(|all| all.len() > 5 && all.iter().all(|shown| shown == &json!(true))),
        "{on_paper}"
    );
}

/// Whatever names and messages are made of, they stay text.
#[test]
fn hostile_data_stays_text() {
    let mut browser = Browser::start();
    let hostile = [
        "<script>window.broken = 1</script>",
        "\"><img src=x onerror=\"window.broken = 1\">",
        "' onmouseover='window.broken = 1",
        "</style><script>window.broken = 1</script>",
        "</title><body onload=window.broken=1>",
        "]]><svg/onload=window.broken=1>",
        "javascript:window.broken=1",
    ];
    for (at, text) in hostile.iter().enumerate() {
        let plan = everywhere(&sample::refused(), text);
        let file = page(&format!("hostile-{at}"), &plan, Detail::Full);
        let problems = problems(&mut browser, &file, SCREEN);
        let serious: Vec<_> = problems.iter().filter(|problem| !problem.contains("outside of the picture")).collect();
        assert!(serious.is_empty(), "{text}: {serious:#?}");
        assert_eq!(browser.evaluate("String(window.broken)"), json!("undefined"));
        let seen = browser.evaluate("document.body.textContent");
        assert!(seen.as_str().is_some_and(|seen| seen.contains(text)), "{text} is shown as it is");
    }
}

/// The plan with a text in place of every text.
fn everywhere(plan: &Plan, text: &str) -> Plan {
    fn replace(value: &mut Value, text: &str) {
        match value {
            Value::String(old) => *old = text.to_owned(),
            Value::Array(values) => values.iter_mut().for_each(|value| replace(value, text)),
            Value::Object(fields) => {
                for (key, value) in fields {
                    // Words of the format.
                    if key != "action" && !(key == "outcome" && value == "refused") {
                        replace(value, text);
                    }
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
    let mut value = serde_json::to_value(plan).expect("a plan is JSON");
    replace(&mut value, text);
    serde_json::from_value(value).expect("it is still a plan")
}

/// The pages as somebody sees them: `target/…/tmp/plan/*/*.png`.
#[test]
fn pictures_to_look_at() {
    let mut browser = Browser::start();
    for (name, plan) in sample::all() {
        let file = page(name, &plan, Detail::Changes);
        for (view, kind) in [(PHONE, "phone"), (SCREEN, "screen"), (DARK, "dark")] {
            browser.open(&file, view);
            let picture = folder(name).join(format!("{kind}.png"));
            browser.picture(&picture);
            let bytes = std::fs::read(&picture).expect("it was written");
            assert!(bytes.len() > 10_000, "{name} on {kind}: a picture of {} bytes", bytes.len());
        }
    }
}
