//! `*` and `?` in names, as file globs and AWS's filters have them.

/// Whether `text` is what `pattern` describes: `*` is any text, `?` one character, and `\` takes the
/// next character for itself.
///
/// Takes at most the product of the two lengths: patterns come from scripts.
pub fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut at, mut here) = (0, 0);
    // Where to go on after the last `*`, should the rest not fit: it then takes one character more.
    let mut star: Option<(usize, usize)> = None;
    while here < text.len() {
        let (fits, length) = match pattern[at..] {
            ['*', ..] => {
                star = Some((at + 1, here));
                at += 1;
                continue;
            }
            ['?', ..] => (true, 1),
            ['\\', literal, ..] => (literal == text[here], 2),
            [literal, ..] => (literal == text[here], 1),
            [] => (false, 0),
        };
        if fits {
            (at, here) = (at + length, here + 1);
        } else if let Some((after, taken)) = star {
            star = Some((after, taken + 1));
            (at, here) = (after, taken + 1);
        } else {
            return false;
        }
    }
    pattern[at..].iter().all(|rest| *rest == '*')
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn names_match() {
        let table = [
            ("shop-*", "shop-prod", true),
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            (r"a\*", "a*", true),
            (r"a\*", "ab", false),
            ("*.toml", "shop.toml", true),
            ("*.toml", "shop.toml.bak", false),
            ("a*b*c", "axxbyyc", true),
            ("a*b*c", "axxbyycd", false),
            ("*ab", "aab", true),
            ("**", "x", true),
            ("?", "é", true),
        ];
        for (pattern, text, expected) in table {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn many_stars_are_no_trap() {
        assert!(!matches(&"*a".repeat(50), &("a".repeat(2_000) + "b")));
    }
}
