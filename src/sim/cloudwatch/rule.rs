//! What composite alarms are made of: `ALARM(a) AND NOT (OK("b") OR TRUE)`.

use std::collections::BTreeSet;

use super::alarm::State;

#[derive(Debug, PartialEq)]
pub enum Rule {
    Always(bool),
    /// Whether the alarm of that name is in that state.
    Is(State, String),
    Not(Box<Rule>),
    All(Vec<Rule>),
    Any(Vec<Rule>),
}

#[derive(Debug, PartialEq)]
enum Word {
    Open,
    Close,
    /// A name or a word of the language.
    Text(String),
}

impl Rule {
    /// Reads a rule; the error says what is wrong with it.
    pub fn read(text: &str) -> Result<Rule, String> {
        let words = words(text)?;
        let mut reader = Reader { words: &words, depth: 0 };
        let rule = reader.any()?;
        match reader.words.first() {
            None => Ok(rule),
            Some(word) => Err(format!("unexpected {word:?}")),
        }
    }

    /// The names of the alarms it speaks of.
    pub fn alarms(&self) -> BTreeSet<&str> {
        match self {
            Rule::Always(_) => BTreeSet::new(),
            Rule::Is(_, name) => BTreeSet::from([name.as_str()]),
            Rule::Not(rule) => rule.alarms(),
            Rule::All(rules) | Rule::Any(rules) => rules.iter().flat_map(Rule::alarms).collect(),
        }
    }

    /// Whether it holds.
    pub fn holds(&self, state: &impl Fn(&str) -> Option<State>) -> bool {
        match self {
            Rule::Always(holds) => *holds,
            Rule::Is(wanted, name) => state(name) == Some(*wanted),
            Rule::Not(rule) => !rule.holds(state),
            Rule::All(rules) => rules.iter().all(|rule| rule.holds(state)),
            Rule::Any(rules) => rules.iter().any(|rule| rule.holds(state)),
        }
    }
}

fn words(text: &str) -> Result<Vec<Word>, String> {
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (word, length) = match first {
            '(' => (Word::Open, 1),
            ')' => (Word::Close, 1),
            '"' => {
                let end = rest[1..].find('"').ok_or("a quote is not closed")?;
                (Word::Text(rest[1..=end].to_owned()), end + 2)
            }
            _ => {
                let end = rest.find(|c: char| c.is_whitespace() || "()\"".contains(c)).unwrap_or(rest.len());
                (Word::Text(rest[..end].to_owned()), end)
            }
        };
        words.push(word);
        rest = rest[length..].trim_start();
    }
    Ok(words)
}

/// How deep a rule may be nested: further than anybody nests one, and far from the end of the stack.
const DEEPEST: usize = 100;

struct Reader<'w> {
    words: &'w [Word],
    depth: usize,
}

impl Reader<'_> {
    fn takes(&mut self, word: &str) -> bool {
        let is_it = matches!(self.words.first(), Some(Word::Text(text)) if text == word);
        if is_it {
            self.words = &self.words[1..];
        }
        is_it
    }

    fn next(&mut self) -> Option<&Word> {
        let (first, rest) = self.words.split_first()?;
        self.words = rest;
        Some(first)
    }

    fn any(&mut self) -> Result<Rule, String> {
        let mut rules = vec![self.all()?];
        while self.takes("OR") {
            rules.push(self.all()?);
        }
        Ok(if rules.len() == 1 { rules.remove(0) } else { Rule::Any(rules) })
    }

    fn all(&mut self) -> Result<Rule, String> {
        let mut rules = vec![self.one()?];
        while self.takes("AND") {
            rules.push(self.one()?);
        }
        Ok(if rules.len() == 1 { rules.remove(0) } else { Rule::All(rules) })
    }

    fn one(&mut self) -> Result<Rule, String> {
        if self.depth == DEEPEST {
            return Err(format!("it is nested more than {DEEPEST} deep"));
        }
        self.depth += 1;
        let rule = self.term();
        self.depth -= 1;
        rule
    }

    fn term(&mut self) -> Result<Rule, String> {
        if self.takes("NOT") {
            return Ok(Rule::Not(Box::new(self.one()?)));
        }
        let state = match self.next() {
            Some(Word::Open) => {
                let rule = self.any()?;
                return self.close().map(|()| rule);
            }
            Some(Word::Text(text)) => match text.as_str() {
                "TRUE" => return Ok(Rule::Always(true)),
                "FALSE" => return Ok(Rule::Always(false)),
                "ALARM" => State::Alarm,
                "OK" => State::Ok,
                "INSUFFICIENT_DATA" => State::InsufficientData,
                other => return Err(format!("unexpected {other}")),
            },
            Some(Word::Close) => return Err("unexpected )".to_owned()),
            None => return Err("it ends early".to_owned()),
        };
        match (self.next() == Some(&Word::Open), self.next()) {
            (true, Some(Word::Text(name))) => {
                // "You can use either alarm names or ARNs".
                let name = name.split_once(":alarm:").map_or(name.as_str(), |(_, name)| name).to_owned();
                self.close().map(|()| Rule::Is(state, name))
            }
            _ => Err(format!("{} needs an alarm in parentheses", state.name())),
        }
    }

    fn close(&mut self) -> Result<(), String> {
        match self.next() {
            Some(Word::Close) => Ok(()),
            _ => Err("a parenthesis is not closed".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_read_and_evaluated() {
        let state = |name: &str| match name {
            "high" => Some(State::Alarm),
            "fine" => Some(State::Ok),
            _ => None,
        };
        for (text, holds) in [
            ("ALARM(high)", true),
            ("ALARM(\"high\") AND NOT ALARM(fine)", true),
            ("(ALARM(high) OR ALARM(fine)) AND OK(high)", false),
            ("FALSE OR TRUE", true),
            ("OK(arn:aws:cloudwatch:eu-west-1:123456789012:alarm:fine)", true),
            ("INSUFFICIENT_DATA(high)", false),
        ] {
            assert_eq!(Rule::read(text).map(|rule| rule.holds(&state)), Ok(holds), "{text}");
        }
        let rule = Rule::read("ALARM(b) OR (OK(a) AND OK(b))").unwrap();
        assert_eq!(rule.alarms().into_iter().collect::<Vec<_>>(), ["a", "b"]);
        assert!(Rule::read(&"(".repeat(10_000)).is_err() && Rule::read(&"NOT ".repeat(10_000)).is_err());
        for wrong in ["", "ALARM", "ALARM()", "ALARM(a", "ALARM(a) ALARM(b)", "(TRUE", "X(a)", "ALARM(\"a)", "TRUE)"] {
            assert!(Rule::read(wrong).is_err(), "{wrong}");
        }
    }
}
