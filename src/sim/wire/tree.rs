//! XML as a tree of objects, arrays and text.

use quick_xml::Reader;
use quick_xml::events::Event;
use serde_json::{Map, Value};

#[derive(Default)]
struct Open {
    name: String,
    text: String,
    fields: Map<String, Value>,
    list: Option<Vec<Value>>,
}

impl Open {
    fn close(self, empty: impl FnOnce() -> Value) -> Value {
        match self.list {
            Some(list) => Value::Array(list),
            None if !self.fields.is_empty() => Value::Object(self.fields),
            // What stands between elements is layout.
            None if self.text.trim().is_empty() => empty(),
            None => Value::String(self.text),
        }
    }
}

/// The children of the root element. `is_element` is given an element's parent and its name, and says whether it is an
/// element of a list; `empty` is what an element with nothing in it becomes.
pub fn parse(text: &str, is_element: impl Fn(&str, &str) -> bool, empty: impl Fn() -> Value) -> Result<Value, String> {
    let mut reader = Reader::from_str(text);
    reader.config_mut().expand_empty_elements = true;
    let mut stack: Vec<Open> = Vec::new();
    loop {
        match reader.read_event().map_err(|error| error.to_string())? {
            Event::Start(start) => {
                let name: &str = start.local_name().into_inner();
                stack.push(Open { name: name.to_owned(), ..Open::default() });
            }
            Event::End(_) => {
                let Some(mut closed) = stack.pop() else { continue };
                let name = std::mem::take(&mut closed.name);
                let Some(parent) = stack.last_mut() else { return Ok(closed.close(&empty)) };
                if is_element(&parent.name, &name) {
                    parent.list.get_or_insert_default().push(closed.close(&empty));
                } else {
                    parent.fields.insert(name, closed.close(&empty));
                }
            }
            Event::Text(text) => {
                if let Some(open) = stack.last_mut() {
                    open.text.push_str(&text.xml10_content());
                }
            }
            Event::CData(text) => {
                if let Some(open) = stack.last_mut() {
                    open.text.push_str(&text.xml10_content());
                }
            }
            Event::GeneralRef(reference) => {
                let entity = format!("&{};", reference.xml10_content());
                let resolved = quick_xml::escape::unescape(&entity).map_err(|error| error.to_string())?;
                if let Some(open) = stack.last_mut() {
                    open.text.push_str(&resolved);
                }
            }
            Event::Eof => return Err("it ends early".to_owned()),
            Event::Empty(_) | Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
        }
    }
}
