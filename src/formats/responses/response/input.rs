//! The input of a custom tool, while the model writes the object that holds it: a text that is the only member.

use std::fmt::Write as _;

/// What stands before the text, without white space.
const HEAD: &str = "{\"input\":\"";

/// Reads the text as it comes. It stays escaped: what it holds is the contents of a JSON string.
#[derive(Debug, Default)]
pub(crate) struct TextInput {
    /// What has come before the text.
    head: String,
    text: String,
    place: Place,
    /// How much of the text ends between two characters, and how much was taken.
    whole: usize,
    taken: usize,
    /// The last character is the first half of a pair.
    is_half: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Head,
    Text,
    /// After a backslash.
    Escape,
    /// Within `\\u`, with so many digits to come.
    Digits(u8),
    /// After the text, or in an object of another form.
    Over,
}

impl TextInput {
    /// Takes the next character of the object.
    pub(crate) fn push(&mut self, c: char) {
        match self.place {
            Place::Head => self.begin(c),
            Place::Text if c == '"' => self.place = Place::Over,
            Place::Text if c == '\\' => self.add(c, Place::Escape),
            // Some models write control characters as they are, which no JSON string may hold.
            Place::Text if c.is_control() => {
                let _ = write!(self.text, "\\u{:04x}", u32::from(c));
                self.end_character();
            }
            Place::Text => {
                self.add(c, Place::Text);
                self.end_character();
            }
            Place::Escape if c == 'u' => self.add(c, Place::Digits(4)),
            Place::Escape => {
                self.add(c, Place::Text);
                self.end_character();
            }
            Place::Digits(left) => {
                self.add(c, if left > 1 { Place::Digits(left - 1) } else { Place::Text });
                if left == 1 {
                    self.end_escape();
                }
            }
            Place::Over => {}
        }
    }

    fn begin(&mut self, c: char) {
        if c.is_ascii_whitespace() {
            return;
        }
        self.head.push(c);
        if self.head == HEAD {
            self.place = Place::Text;
        } else if !HEAD.starts_with(&self.head) {
            self.place = Place::Over;
        }
    }

    fn add(&mut self, c: char, next: Place) {
        self.text.push(c);
        self.place = next;
    }

    fn end_character(&mut self) {
        self.is_half = false;
        self.whole = self.text.len();
    }

    /// A character is complete, unless it is the first half of a pair.
    fn end_escape(&mut self) {
        let last = self.text.get(self.text.len().saturating_sub(6)..).unwrap_or_default();
        let is_high =
            ["\\ud8", "\\ud9", "\\uda", "\\udb"].iter().any(|high| last.to_ascii_lowercase().starts_with(high));
        if is_high && !self.is_half {
            self.is_half = true;
        } else {
            self.end_character();
        }
    }

    /// What has come since the last time, up to the end of a character.
    pub(crate) fn take(&mut self) -> String {
        let piece = self.text.get(self.taken..self.whole).unwrap_or_default().to_owned();
        self.taken = self.whole;
        piece
    }

    /// All that was taken.
    pub(crate) fn all(&self) -> &str {
        self.text.get(..self.taken).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(object: &str) -> (String, Vec<String>) {
        let (mut input, mut pieces) = (TextInput::default(), Vec::new());
        for c in object.chars() {
            input.push(c);
            pieces.push(input.take());
        }
        (input.all().to_owned(), pieces)
    }

    #[test]
    fn the_text_is_taken_up_to_whole_characters() {
        let (all, pieces) = read(r#"{ "input" : "a\n\ud83d\ude00\\ud8aa\"" }"#);
        assert_eq!(all, r#"a\n\ud83d\ude00\\ud8aa\""#);
        for piece in pieces {
            serde_json::from_str::<String>(&format!("\"{piece}\"")).unwrap();
        }
        assert_eq!(read("{\"input\":\"a\nb").0, "a\\u000ab", "a line end that was not escaped");
        for other in [r#"{"cmd":"a"}"#, r#"["a"]"#, r#"{"input":7}"#, "", "plain"] {
            assert_eq!(read(other).0, "", "{other}");
        }
    }

    proptest! {
        #[test]
        fn any_text_comes_back(text in ".*") {
            let (all, pieces) = read(&serde_json::json!({ "input": text }).to_string());
            prop_assert_eq!(pieces.concat(), all.clone());
            prop_assert_eq!(serde_json::from_str::<String>(&format!("\"{all}\"")).unwrap(), text);
        }
    }
}
