//! What the page is made of. How it looks is seen in a browser: `tests/cli/html.rs`.

use std::{collections::BTreeSet, sync::LazyLock};

use proptest::prelude::*;

use super::*;
use crate::report::plan::{random, sample};

const DETAILS: [Detail; 3] = [Detail::Summary, Detail::Changes, Detail::Full];

/// Without the style, which is a file of its own.
fn body(page: &str) -> &str {
    page.split_once("</head>").map_or(page, |(_, body)| body)
}

#[test]
fn a_second_deploy() {
    insta::assert_snapshot!(body(&write(&sample::second_deploy(), Detail::Changes)).replace("><", ">\n<"));
}

#[test]
fn the_verdict_is_on_top_and_nothing_comes_from_elsewhere() {
    for (name, plan) in sample::all() {
        let page = write(&plan, Detail::Full);
        let start = body(&page).find("<h1>").expect("a title");
        assert!(body(&page)[start..].contains(&plan.verdict.text), "{name}");
        assert!(page.contains("default-src &#39;none&#39;") || page.contains("default-src 'none'"), "{name}");
        assert!(!page.contains("<script") && !page.contains("url(http") && !page.contains("@import"), "{name}");
    }
}

/// The names of all tags with those of their attributes; an error where text is not escaped.
fn tags(page: &str) -> Result<BTreeSet<String>, String> {
    let mut tags = BTreeSet::new();
    let page = page.replacen(STYLE, "", 1);
    let mut rest = page.as_str();
    while let Some(at) = rest.find('<') {
        let (tag, after) = rest[at + 1..].split_once('>').ok_or("a tag without an end")?;
        rest = after;
        let mut parts = tag.split('"');
        let mut names = String::new();
        while let Some(outside) = parts.next() {
            names += outside;
            // Between quotes: the value of an attribute.
            if let Some(value) = parts.next()
                && value.contains('<')
            {
                return Err(format!("unescaped: {value}"));
            }
        }
        tags.insert(names);
    }
    Ok(tags)
}

/// Those of the samples.
static SAMPLES: LazyLock<BTreeSet<String>> = LazyLock::new(|| {
    let pages = sample::all().into_iter().flat_map(|(_, plan)| DETAILS.map(|detail| write(&plan, detail)));
    pages.flat_map(|page| tags(&page).expect("the samples are in order")).collect()
});

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    /// A page of hostile text has no tag and no attribute that pages of ordinary text do not have.
    #[test]
    fn whatever_is_in_a_plan_stays_text(plan in random::plan(0..60)) {
        let mut known = SAMPLES.clone();
        known.append(&mut tags(&write(&ordinary(&plan), Detail::Full)).expect("ordinary words are in order"));
        for detail in DETAILS {
            let found = tags(&write(&plan, detail)).map_err(TestCaseError::fail)?;
            let new: Vec<_> = found.difference(&known).collect();
            prop_assert!(new.is_empty(), "{:?}", new);
        }
    }
}

/// The plan with each text replaced by an ordinary one.
fn ordinary(plan: &Plan) -> Plan {
    fn replace(value: &mut Value) {
        match value {
            Value::String(text) => *text = "ordinary\n+ more\n- less\n@@ @@\nsame".to_owned(),
            Value::Array(values) => values.iter_mut().for_each(replace),
            Value::Object(fields) => {
                for (key, value) in fields.iter_mut() {
                    let word_of_the_format =
                        matches!(value.as_str(), Some("changes" | "no_changes" | "fails" | "refused"));
                    // Which step the point of no return comes after is not text either.
                    if !["action", "id", "after"].contains(&key.as_str()) && !word_of_the_format {
                        replace(value);
                    }
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
    let mut value = serde_json::to_value(plan).expect("a plan is JSON");
    replace(&mut value);
    serde_json::from_value(value).expect("it is still a plan")
}

/// The test can fail: this is what unescaped text would look like.
#[test]
fn tags_are_seen() {
    assert!(tags("<p class=\"a<b\">x</p>").is_err());
    assert_eq!(tags("<p onload=\"x\">").map(|tags| tags.contains("p onload=")), Ok(true));
}
