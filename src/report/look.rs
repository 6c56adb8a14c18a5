//! How a stream is to look: colour, characters, width. Decided by `cli/`, once per stream.

/// The looks of one stream.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    pub colour: bool,
    /// Whether characters beyond ASCII arrive as they are meant.
    pub unicode: bool,
    /// In columns.
    pub width: usize,
}

/// What a piece of text is painted with. Only the sixteen colours of the user's own theme.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ink {
    Bold,
    Dim,
    Red,
    Green,
    Yellow,
    Blue,
    Cyan,
}

impl Look {
    pub fn paint(&self, ink: Ink, text: &str) -> String {
        if !self.colour || text.is_empty() {
            return text.to_owned();
        }
        let code = match ink {
            Ink::Bold => 1,
            Ink::Dim => 2,
            Ink::Red => 31,
            Ink::Green => 32,
            Ink::Yellow => 33,
            Ink::Blue => 34,
            Ink::Cyan => 36,
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }

    /// The character that is meant, or its stand-in.
    pub fn pick(&self, unicode: &'static str, ascii: &'static str) -> &'static str {
        if self.unicode { unicode } else { ascii }
    }

    pub fn done(&self) -> &'static str {
        self.pick("✓", "v")
    }

    pub fn failed(&self) -> &'static str {
        self.pick("✗", "x")
    }

    pub fn arrow(&self) -> &'static str {
        self.pick("→", "->")
    }

    pub fn dot(&self) -> &'static str {
        self.pick("·", "-")
    }

    pub fn ellipsis(&self) -> &'static str {
        self.pick("…", "...")
    }
}
