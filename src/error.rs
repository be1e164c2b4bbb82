//! The error of the whole gateway: its cause, its status, its code and its message. Wire formats render it.

use std::borrow::Cow;
use std::fmt;

/// The result of everything that can be refused.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Text that is usually a constant.
pub type Text = Cow<'static, str>;

/// Who has to act for the next try to succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The caller sent something that cannot be served.
    Caller,
    /// The gateway is not set up for it.
    Gateway,
    /// The provider refused, failed or fell silent.
    Upstream,
}

/// A refusal or failure, complete from birth; rendered once, in the caller's own format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error(Box<Details>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Details {
    fault: Fault,
    status: u16,
    kind: Text,
    code: Option<Text>,
    param: Option<Text>,
    message: String,
    headers: Vec<(&'static str, String)>,
    reported: bool,
    statement: Option<Statement>,
}

/// What a provider stated when it failed, whatever the caller is told. The failure's cause is found in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statement {
    /// The HTTP status. Of an error in a response with a success status: the status that it stands for.
    pub status: u16,
    /// Types and codes, in lower case.
    pub words: Vec<String>,
    /// Messages, in lower case: about 1 KB of them.
    pub texts: Vec<String>,
    /// The fields that say how long to wait, by their names in the table of causes.
    pub waits: Vec<(&'static str, String)>,
    /// The headers that say how long to wait, or what is left of a limit, by their names in that table.
    pub headers: Vec<(&'static str, String)>,
}

impl Error {
    /// The caller's fault: a 4xx of OpenAI's `invalid_request_error` family.
    pub fn caller(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Fault::Caller, status, "invalid_request_error", code, message)
    }

    /// A request without a key, where one is needed.
    pub fn key_missing() -> Self {
        Self::unauthorized("No API key was given. Send it as `Authorization: Bearer YOUR_KEY`.")
    }

    /// A request with a key that does not let it in. `why`: the end of a sentence about the key. The words
    /// before it are OpenAI's: LiteLLM, and so aider, takes a 401 without them for a bad request.
    pub fn key_refused(why: &str) -> Self {
        Self::unauthorized(["Incorrect API key provided: ", why].concat())
    }

    /// A request with a key that nobody knows.
    pub fn key_unknown() -> Self {
        Self::key_refused("it is not one of this gateway's.")
    }

    fn unauthorized(message: impl Into<String>) -> Self {
        Self::caller(401, "invalid_api_key", message).with_header("www-authenticate", "Bearer realm=\"llm-bridge\"")
    }

    /// The operator's fault: something that has to be set or mended.
    pub fn gateway(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Fault::Gateway, status, "configuration_error", code, message)
    }

    /// The provider's fault, or that of the way to it.
    pub fn upstream(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Fault::Upstream, status, "upstream_error", code, message)
    }

    fn new(fault: Fault, status: u16, kind: &'static str, code: &'static str, message: impl Into<String>) -> Self {
        let message = message.into();
        Self(Box::new(Details {
            fault,
            status,
            kind: kind.into(),
            code: Some(code.into()),
            param: None,
            message,
            headers: Vec::new(),
            reported: false,
            statement: None,
        }))
    }

    /// Names the request field at fault.
    #[must_use]
    pub fn at(mut self, param: impl Into<Text>) -> Self {
        self.0.param = Some(param.into());
        self
    }

    /// Gives it another family than its own.
    #[must_use]
    pub fn typed(mut self, kind: &'static str) -> Self {
        self.0.kind = kind.into();
        self
    }

    /// Adds a response header that belongs to this error, such as `Retry-After`.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.0.headers.push((name, value.into()));
        self
    }

    /// Removes a header of the response.
    #[must_use]
    pub fn without_header(mut self, name: &str) -> Self {
        self.0.headers.retain(|(known, _)| *known != name);
        self
    }

    /// Takes over the provider's own words, where it gave any.
    #[must_use]
    pub fn worded(mut self, kind: Option<String>, code: Option<String>, param: Option<String>) -> Self {
        if let Some(kind) = kind {
            self.0.kind = kind.into();
        }
        self.0.code = code.map(Text::from);
        self.0.param = param.map(Text::from);
        self.0.reported = true;
        self
    }

    /// Adds what the provider stated.
    #[must_use]
    pub fn stating(mut self, statement: Statement) -> Self {
        self.0.statement = Some(statement);
        self
    }

    /// Changes what the provider stated, if it stated anything.
    #[must_use]
    pub fn restated(mut self, change: impl FnOnce(&mut Statement)) -> Self {
        if let Some(statement) = &mut self.0.statement {
            change(statement);
        }
        self
    }

    /// Gives it a code that clients know.
    #[must_use]
    pub fn coded(mut self, code: &'static str) -> Self {
        self.0.code = Some(code.into());
        self
    }

    /// Gives a provider's error a code of the gateway's, and adds to its message what can be done about it.
    #[must_use]
    pub fn explained(mut self, code: &'static str, advice: &str) -> Self {
        self.0.code = Some(code.into());
        self.advised(advice)
    }

    /// Adds to its message what can be done about it.
    #[must_use]
    pub fn advised(mut self, advice: &str) -> Self {
        let separator = if self.0.message.trim_end().ends_with(['.', '!', '?']) { " " } else { ". " };
        self.0.message = [self.0.message.trim_end(), separator, advice].concat();
        self
    }

    /// Puts each of its words through a filter; `None` leaves a word as it is.
    #[must_use]
    pub fn reworded(mut self, filter: impl Fn(&str) -> Option<String>) -> Self {
        if let Some(message) = filter(&self.0.message) {
            self.0.message = message;
        }
        let mut word = |word: &mut Text| {
            if let Some(other) = filter(word) {
                *word = other.into();
            }
        };
        word(&mut self.0.kind);
        self.0.code.iter_mut().for_each(&mut word);
        self.0.param.iter_mut().for_each(&mut word);
        for text in self.0.statement.iter_mut().flat_map(|statement| &mut statement.texts) {
            if let Some(other) = filter(text) {
                *text = other;
            }
        }
        self
    }

    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        self.0.fault
    }

    /// Whether its type and code are a provider's own, and not the gateway's.
    pub fn is_reported(&self) -> bool {
        self.0.reported
    }

    /// What the provider stated, if the error is one of a provider.
    pub fn statement(&self) -> Option<&Statement> {
        self.0.statement.as_ref()
    }

    /// The HTTP status it earns.
    pub fn status(&self) -> u16 {
        self.0.status
    }

    /// The family of the error, OpenAI's `type`.
    pub fn kind(&self) -> &str {
        &self.0.kind
    }

    /// The error itself, OpenAI's `code`; a provider may have given none.
    pub fn code(&self) -> Option<&str> {
        self.0.code.as_deref()
    }

    /// The request field at fault, OpenAI's `param`.
    pub fn param(&self) -> Option<&str> {
        self.0.param.as_deref()
    }

    /// What a person should read.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Response headers that belong to this error.
    pub fn headers(&self) -> &[(&'static str, String)] {
        &self.0.headers
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.0.status, self.kind(), self.0.message)
    }
}

impl std::error::Error for Error {}
