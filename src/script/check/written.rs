//! What is written where a value is wanted, as far as that says what the value will be.

use rhai::{Array, Dynamic, Map, Position};

/// An expression, seen as a value.
#[derive(Clone, Debug)]
pub struct Written {
    pub position: Position,
    pub shape: Shape,
    /// It is written elsewhere: here is a variable that holds it.
    pub through_variable: bool,
}

#[derive(Clone, Debug)]
pub enum Shape {
    /// Only running the script tells.
    Computed,
    /// What the call with this index in the outline returns.
    Result(usize),
    /// What a variable holds. In a finished outline, only what is not known of it.
    Variable(String),
    /// A closure, with its index in the outline, or a function by its name.
    Function(Option<usize>),
    /// A literal that is neither an array nor a map.
    Plain(Dynamic),
    Array(Vec<Written>),
    Map(Vec<Entry>),
}

/// An entry of a literal map.
#[derive(Clone, Debug)]
pub struct Entry {
    pub key: String,
    /// Unknown if the key is added elsewhere.
    pub position: Position,
    pub value: Written,
}

impl Written {
    pub(super) fn new(position: Position, shape: Shape) -> Self {
        Self { position, shape, through_variable: false }
    }

    /// A map written at a place that is none.
    pub fn map(entries: Vec<Entry>) -> Self {
        Self::new(Position::NONE, Shape::Map(entries))
    }

    /// The value, if all of it is literal.
    pub fn literal(&self) -> Option<Dynamic> {
        match &self.shape {
            Shape::Computed | Shape::Result(_) | Shape::Variable(_) | Shape::Function(_) => None,
            Shape::Plain(value) => Some(value.clone()),
            Shape::Array(items) => items.iter().map(Self::literal).collect::<Option<Array>>().map(Into::into),
            Shape::Map(entries) => {
                let entries = entries.iter().map(|entry| Some((entry.key.as_str().into(), entry.value.literal()?)));
                entries.collect::<Option<Map>>().map(Into::into)
            }
        }
    }

    /// The text, if it is a literal string.
    pub fn text(&self) -> Option<String> {
        match &self.shape {
            Shape::Plain(value) => value.clone().into_string().ok(),
            _ => None,
        }
    }

    /// The entries, if it is a literal map.
    pub fn entries(&self) -> Option<&[Entry]> {
        match &self.shape {
            Shape::Map(entries) => Some(entries),
            _ => None,
        }
    }

    /// Where the value at `path` (`ingress[1].port`) is named, as far as the path leads: the key of an
    /// entry, the beginning of an element. `None`: not even the first step is written here.
    pub fn position_of(&self, path: &str) -> Option<Position> {
        let mut found = None;
        let mut here = self;
        let mut rest = path;
        while !rest.is_empty() {
            let (position, value, length) = match &here.shape {
                Shape::Map(entries) => {
                    // A key can contain dots: the longest that fits.
                    let fits = |entry: &&Entry| {
                        let after = rest.strip_prefix(entry.key.as_str());
                        after.is_some_and(|after| after.is_empty() || after.starts_with(['.', '[']))
                    };
                    let Some(entry) = entries.iter().filter(fits).max_by_key(|entry| entry.key.len()) else { break };
                    (entry.position, &entry.value, entry.key.len())
                }
                Shape::Array(items) => {
                    let Some((index, _)) = rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) else { break };
                    let Some(item) = index.parse().ok().and_then(|index: usize| items.get(index)) else { break };
                    (item.position, item, index.len() + 2)
                }
                _ => break,
            };
            found = Some(position).filter(|position| !position.is_none()).or(found);
            here = value;
            rest = rest[length..].trim_start_matches('.');
        }
        found
    }

    /// The closures in it.
    pub(super) fn closures(&self, found: &mut Vec<usize>) {
        match &self.shape {
            Shape::Function(Some(closure)) => found.push(*closure),
            Shape::Array(items) => items.iter().for_each(|item| item.closures(found)),
            Shape::Map(entries) => entries.iter().for_each(|entry| entry.value.closures(found)),
            Shape::Computed | Shape::Result(_) | Shape::Variable(_) | Shape::Function(None) | Shape::Plain(_) => {}
        }
    }
}
