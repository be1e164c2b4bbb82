//! What a client has got of a streamed response, as far as another attempt may go on with it.

use crate::canonical::{Raw, ResponseEvent};
use crate::config::Millis;
use crate::policy::seam::{Joint, Seam};

/// The longest text that is continued, in bytes.
const MAX_TEXT: usize = 256 << 10;

/// How a response went on that an attempt had left unfinished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recovered {
    /// It was held, and begun anew.
    Buffered,
    /// It was begun anew after thoughts alone.
    Restarted,
    /// The text was continued.
    Joined,
}

impl Recovered {
    /// Its name, for clients, logs and receipts.
    pub fn name(self) -> &'static str {
        match self {
            Self::Buffered => "buffered",
            Self::Restarted => "restarted",
            Self::Joined => "joined",
        }
    }
}

/// What a client gets of an event.
pub(super) enum Passed<'e, 'd> {
    /// An event.
    Event(&'e ResponseEvent<'d>),
    /// The news of how the response goes on.
    News(Recovered),
}

/// Where a client gets it.
type Each<'c> = &'c mut dyn FnMut(Passed<'_, '_>);

/// What a client has got of a streamed response.
#[derive(Debug, Default)]
pub(super) struct Shown {
    /// Text may be continued.
    continues: bool,
    /// The text.
    text: String,
    has_text: bool,
    /// Thoughts in plain text.
    has_thoughts: bool,
    /// Something that no other attempt can go on with.
    has_more: bool,
    /// An attempt was left unfinished, and nothing of the next one has been shown yet.
    is_left: bool,
    /// Where the present attempt has to join the text.
    seam: Option<Seam>,
    /// It does not.
    is_broken: bool,
    recovered: Option<Recovered>,
    first_byte: Option<Millis>,
}

impl Shown {
    /// Nothing has been shown. `continues`: text may be continued.
    pub(super) fn new(continues: bool) -> Self {
        Self { continues, ..Self::default() }
    }

    /// Whether an attempt has been left unfinished.
    pub(super) fn has_begun(&self) -> bool {
        self.is_left || self.recovered.is_some()
    }

    /// Whether another attempt can go on with it.
    pub(super) fn may_go_on(&self) -> bool {
        !self.has_more && (!self.has_text || self.continues && !self.text.trim().is_empty())
    }

    /// The text that another attempt has to continue.
    pub(super) fn text(&self) -> Option<&str> {
        self.has_text.then_some(&*self.text)
    }

    /// Whether the present attempt does not join what was shown.
    pub(super) fn is_broken(&self) -> bool {
        self.is_broken
    }

    /// How the response went on, if it did.
    pub(super) fn recovered(&self) -> Option<Recovered> {
        self.recovered
    }

    /// When the first bytes came, of an attempt that was left unfinished.
    pub(super) fn first_byte(&self) -> Option<Millis> {
        self.first_byte
    }

    /// The present attempt, whose first bytes came at `first_byte`, is left unfinished.
    pub(super) fn leave(&mut self, first_byte: Option<Millis>) {
        self.first_byte = self.first_byte.or(first_byte);
        (self.is_left, self.seam, self.is_broken) = (true, None, false);
    }

    /// An attempt begins that continues the text.
    pub(super) fn expect(&mut self, seam: Seam) {
        self.seam = Some(seam);
    }

    /// Takes an event of the present attempt, and gives what the client gets of it.
    pub(super) fn pass(&mut self, event: &ResponseEvent<'_>, each: Each<'_>) {
        match event {
            // The head of the response has left, and stands.
            ResponseEvent::Start { .. } if self.is_left || self.recovered.is_some() => {}
            // The response ends with it, unless another attempt follows.
            ResponseEvent::Failed(_) => {}
            ResponseEvent::Start { .. } | ResponseEvent::Usage(_) | ResponseEvent::Tier(_) | ResponseEvent::End => {
                each(Passed::Event(event));
            }
            ResponseEvent::Text { .. }
            | ResponseEvent::Thinking { .. }
            | ResponseEvent::Call { .. }
            | ResponseEvent::Arguments { .. }
            | ResponseEvent::ReasoningState { .. }
            | ResponseEvent::Logprobs { .. }
            | ResponseEvent::Finish { .. } => self.content(event, each),
        }
    }

    fn content(&mut self, event: &ResponseEvent<'_>, each: Each<'_>) {
        if self.is_broken || self.seam.is_some() && !self.join(event, each) {
            return;
        }
        let is_thought = matches!(event, ResponseEvent::Thinking { .. });
        // Thoughts about text that stands already would come too late.
        if is_thought && self.recovered == Some(Recovered::Joined) {
            return;
        }
        if std::mem::take(&mut self.is_left) {
            self.tell(Recovered::Restarted, each);
            if let ResponseEvent::Thinking { choice, .. } = event
                && self.has_thoughts
            {
                let text = Raw::quoted("\n\n");
                each(Passed::Event(&ResponseEvent::Thinking { choice: *choice, text }));
            }
        }
        match event {
            ResponseEvent::Thinking { .. } => self.has_thoughts = true,
            ResponseEvent::Text { choice: 0, text } => match text.text() {
                Some(text) => self.note(&text),
                None => self.has_more = true,
            },
            _ => self.has_more = true,
        }
        each(Passed::Event(event));
    }

    /// Takes an event before it is certain that the response joins the text. Returns whether the event is
    /// still to be shown.
    fn join(&mut self, event: &ResponseEvent<'_>, each: Each<'_>) -> bool {
        let Some(seam) = &mut self.seam else { return true };
        let (joint, is_text) = match event {
            ResponseEvent::Thinking { .. } => return false,
            ResponseEvent::Text { choice, text } => {
                (text.text().filter(|_| *choice == 0).map_or(Joint::Broken, |text| seam.push(&text)), true)
            }
            _ => (seam.finish(), false),
        };
        match joint {
            Joint::Held if is_text => return false,
            Joint::Held | Joint::Broken => {
                self.is_broken = true;
                return false;
            }
            Joint::Joined(text) => {
                (self.seam, self.is_left) = (None, false);
                self.tell(Recovered::Joined, each);
                if !text.is_empty() {
                    self.note(&text);
                    each(Passed::Event(&ResponseEvent::Text { choice: 0, text: Raw::quoted(&text) }));
                }
            }
        }
        !is_text
    }

    fn tell(&mut self, how: Recovered, each: Each<'_>) {
        self.recovered = Some(how);
        each(Passed::News(how));
    }

    fn note(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        self.has_text = true;
        if !self.continues {
            return;
        }
        if self.text.len().saturating_add(text.len()) > MAX_TEXT {
            (self.has_more, self.text) = (true, String::new());
        }
        if !self.has_more {
            self.text.push_str(text);
        }
    }
}
