//! Routes and aliases: names of the gateway's own, and the models that they stand for.

use super::units::Millis;

/// A route: a name that callers use as a model's, and the models that serve it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteRow {
    /// The name that callers use.
    pub name: String,
    /// How the order of its targets is chosen.
    pub strategy: Strategy,
    /// The models that serve it, in the file's order; at least one.
    pub targets: Vec<RouteTarget>,
    /// The most attempts for one request, if configured.
    pub attempts: Option<u32>,
    /// The time until the first content of an attempt, if configured.
    pub first_token: Option<Millis>,
    /// The time between two chunks of an attempt's stream, if configured.
    pub idle: Option<Millis>,
    /// What happens when a provider's content policy refuses a request.
    pub on_content_filter: OnContentFilter,
    /// What keeps its target and key.
    pub sticky: Sticky,
    /// What follows when a stream fails after its content has begun.
    pub recover: Recover,
    /// The longest that a stream is held by [`Recover::Buffer`], if configured; else to its end.
    pub hold: Option<Millis>,
    /// What asks a model to go on from a text that another one has left unfinished, if configured. `{words}`
    /// stands for the last words of the text, which follow at the end of one without it.
    pub continue_with: Option<String>,
}

/// A model that serves a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteTarget {
    /// The model.
    pub model: ModelIndex,
    /// Its share among the targets of a weighted route; 0 for a target that is only tried after others.
    pub weight: u32,
    /// The requests that it is tried for.
    pub when: When,
}

/// A model in the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelIndex {
    /// The index of the provider.
    pub provider: usize,
    /// The row of the model.
    pub row: RowIndex,
    /// The name that the provider uses for the model.
    pub upstream: String,
}

/// A model's row within its provider's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowIndex {
    /// An index into the listed models.
    Listed(usize),
    /// An index into the patterns.
    Pattern(usize),
}

/// An alias: another name for a model or a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alias {
    /// The name that callers use.
    pub name: String,
    /// What it stands for.
    pub meaning: Meaning,
}

/// What an alias stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// A model.
    Model(ModelIndex),
    /// An index into the routes.
    Route(usize),
}

/// How the order of a route's targets is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strategy {
    /// As in the file.
    #[default]
    Priority,
    /// By the targets' weights, the same order for all requests of a conversation.
    Weighted,
    /// By what the request will cost, about; unknown prices last.
    Cheapest,
    /// By how soon they begin to respond: the faster ones more often.
    Fastest,
}

impl Strategy {
    /// The values in the configuration file.
    pub const WORDS: [(&'static str, Self); 4] = [
        ("priority", Self::Priority),
        ("weighted", Self::Weighted),
        ("cheapest", Self::Cheapest),
        ("fastest", Self::Fastest),
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        Self::WORDS.iter().find(|(_, value)| *value == self).map_or("", |(name, _)| name)
    }
}

/// Which requests prefer the same target, as far as the strategy leaves a choice, and the same key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sticky {
    /// Those of a conversation.
    #[default]
    Conversation,
    /// Those of a user.
    User,
    /// None: each request is on its own.
    Off,
}

impl Sticky {
    /// The values in the configuration file.
    pub const WORDS: [(&'static str, Self); 3] =
        [("conversation", Self::Conversation), ("user", Self::User), ("off", Self::Off)];

    /// Its name.
    pub fn name(self) -> &'static str {
        Self::WORDS.iter().find(|(_, value)| *value == self).map_or("", |(name, _)| name)
    }
}

/// What happens when a provider's content policy refuses a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnContentFilter {
    /// The client gets the refusal.
    #[default]
    Stop,
    /// The next target is tried, if nothing of the response has been sent.
    Next,
}

/// What follows when a stream fails after its content has begun. A whole response always begins anew at the
/// next target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Recover {
    /// The client gets the error.
    #[default]
    Off,
    /// The stream is held until it is whole, so that another target can begin anew.
    Buffer,
    /// Another target begins anew, if nothing but thoughts in plain text has been sent.
    Restart,
    /// The same; and if text has been sent, another target goes on from it.
    Continue,
}

impl Recover {
    /// The values in the configuration file, and in a request's header.
    pub const WORDS: [(&'static str, Self); 4] =
        [("off", Self::Off), ("buffer", Self::Buffer), ("restart", Self::Restart), ("continue", Self::Continue)];

    /// The value with this name.
    pub fn named(word: &str) -> Option<Self> {
        Self::WORDS.iter().find(|(name, _)| *name == word).map(|(_, value)| *value)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        Self::WORDS.iter().find(|(_, value)| *value == self).map_or("", |(name, _)| name)
    }
}

/// The requests that a target is tried for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct When {
    /// The longest prompt, in tokens.
    pub max_input_tokens: Option<u64>,
    /// What a request has to need of its model, at least.
    pub needs: Needs,
}

impl When {
    /// Whether the target is tried for a request with a prompt of `input_tokens` that needs `needs` of its
    /// model.
    pub fn admits(&self, input_tokens: u64, needs: Needs) -> bool {
        self.max_input_tokens.is_none_or(|most| input_tokens <= most) && needs.contain(self.needs)
    }
}

/// What a request needs of its model: a set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs(u8);

impl Needs {
    /// Nothing but text.
    pub const NONE: Self = Self(0);
    /// Reading images.
    pub const VISION: Self = Self(1);
    /// Calling tools.
    pub const TOOLS: Self = Self(1 << 1);
    /// Reading or producing sound.
    pub const AUDIO: Self = Self(1 << 2);
    /// Reading PDF files.
    pub const PDF: Self = Self(1 << 3);
    /// Responses that follow a schema.
    pub const STRUCTURED_OUTPUT: Self = Self(1 << 4);
    /// Thinking before the response. A wish: a model that cannot still responds.
    pub const THINKING: Self = Self(1 << 5);

    /// The values in the configuration file.
    pub const WORDS: [(&'static str, Self); 6] = [
        ("vision", Self::VISION),
        ("tools", Self::TOOLS),
        ("audio", Self::AUDIO),
        ("pdf", Self::PDF),
        ("structured_output", Self::STRUCTURED_OUTPUT),
        ("thinking", Self::THINKING),
    ];

    /// What either set has.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What this set has and `other` has not.
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether this set has all that `other` has.
    pub fn contain(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether the two sets have something in common.
    pub fn overlap(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}
