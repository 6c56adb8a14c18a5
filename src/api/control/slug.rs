//! `slug`: names for AWS from names of branches.

use rhai::{Engine, NativeCallContext};
use sha2::{Digest, Sha256};

use super::ControlDoc;
use crate::{api::session::Result, run::hex, script::Failure};

pub const SLUG: ControlDoc = ControlDoc {
    name: "slug",
    signatures: &["slug(text)", "slug(text, longest)"],
    description: "\
Makes a name of a text, of a branch for one: small letters, digits and single hyphens, with a letter first, at most 20
characters or as many as are said (8 to 63). A name that is not the text as it was ends with five characters that tell it from others: `Feature/A`
and `feature-a` do not become one stack. The same text always has the same name.",
    example: r#"stack(slug(param("branch")));"#,
    arity: 1..=2,
    options: None,
};

/// A stack is called `<name>-<environment>`, and load balancers after it: 32 characters.
const LONGEST: i64 = 20;
/// A hyphen and four digits of a digest.
const TELLS: usize = 5;

pub fn register(engine: &mut Engine) {
    SLUG.function(["text: string", "string"])
        .register_into_engine(engine, |context: NativeCallContext, text: &str| slug_of(&context, text, LONGEST));
    SLUG.function(["text: string", "longest: int", "string"])
        .register_into_engine(engine, |context: NativeCallContext, text: &str, longest: i64| {
            slug_of(&context, text, longest)
        });
}

fn slug_of(context: &NativeCallContext, text: &str, longest: i64) -> Result<String> {
    let fail = |message: String| Failure::new(message).at(context).into();
    let longest = usize::try_from(longest).ok().filter(|longest| (8..=63).contains(longest));
    let longest = longest.ok_or_else(|| fail("a name has 8 to 63 characters at most".to_owned()))?;
    if !text.chars().any(char::is_alphanumeric) {
        return Err(fail(format!("`{text}` has no letter or digit to make a name of")));
    }
    Ok(slug(text, longest))
}

fn slug(text: &str, longest: usize) -> String {
    let mut name = String::new();
    for c in text.chars().flat_map(char::to_lowercase) {
        match c {
            'a'..='z' | '0'..='9' => name.push(c),
            _ if name.ends_with('-') || name.is_empty() => {}
            _ => name.push('-'),
        }
    }
    let mut name = name.trim_end_matches('-').to_owned();
    if !name.starts_with(|c: char| c.is_ascii_lowercase()) {
        name.insert_str(0, if name.is_empty() { "x" } else { "x-" });
    }
    if name == text && name.len() <= longest {
        return name;
    }
    name.truncate(longest - TELLS);
    let digest = hex(&Sha256::digest(text));
    format!("{}-{}", name.trim_end_matches('-'), &digest[..TELLS - 1])
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::slug;

    #[test]
    fn what_is_a_name_already_stays() {
        for text in ["main", "release-7", "a"] {
            assert_eq!(slug(text, 20), text);
        }
    }

    #[test]
    fn names_are_names_and_differ() {
        let texts = [
            "Main",
            "feature/login",
            "feature-login/",
            "feature_login",
            "7-days",
            "übung",
            "日本",
            "a".repeat(80).as_str(),
            "-x-",
        ]
        .map(str::to_owned);
        let names: BTreeSet<String> = texts.iter().map(|text| slug(text, 20)).collect();
        assert_eq!(names.len(), texts.len(), "{names:?}");
        for name in &names {
            assert!(name.len() <= 20 && name.starts_with(|c: char| c.is_ascii_lowercase()), "{name}");
            assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'), "{name}");
            assert!(!name.contains("--") && !name.ends_with('-'), "{name}");
        }
        assert!(slug("feature/login", 20).starts_with("feature-login-"));
    }
}
