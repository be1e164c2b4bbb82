//! How a model is asked to go on from a text that another one has left unfinished: it is given the text as
//! the beginning of its own response, or asked by one turn more. The caller's own turns and system prompt
//! stay as they are.

use crate::canonical::{ModelRequest, Part, Raw, Role, Thinking, Turn};
use crate::policy::seam::{Seam, anchor};
use crate::policy::tokens::estimate_from_bytes;

/// What asks for it, if the route is not configured with other words.
const ASKING: &str = "Your answer above was cut off at its end. Go on exactly where it ends, in the same language and form. \
Begin by repeating its last words, exactly as they stand in the following line, and write on from there:\n{words}\n\
Do not start anew, and do not mention the interruption.";

/// The shortest text that is given to a model as the beginning of its own response, in bytes. Of a shorter
/// one, the gateway could not tell whether the model goes on from it or begins anew.
const LEAST_GIVEN: usize = 32;

/// What stands for the last words of the text.
const WORDS: &str = "{words}";

/// A text that an attempt has to go on from.
#[derive(Clone, Debug)]
pub(super) struct Continuation {
    text: String,
    form: Form,
}

/// How a model is asked.
#[derive(Clone, Debug)]
enum Form {
    /// By a turn with this text.
    Asked(String),
    /// It gets so many bytes of the text as the beginning of its own response, marked by this member.
    Given(usize, Option<&'static str>),
}

impl Continuation {
    /// The text is given to the model as the beginning of its own response; `None` if the model takes none,
    /// or not in this request. `word`: how it takes one, as the catalogue says.
    pub(super) fn given(text: &str, word: &str, request: &ModelRequest<'_>) -> Option<Self> {
        let member = match word {
            "assistant" => None,
            "prefix" => Some("prefix"),
            "partial" => Some("partial"),
            _ => return None,
        };
        // White space at the end is refused. Hosts with a member of their own refuse it beside tools.
        let given = text.trim_end();
        let thinks = !matches!(request.thinking, None | Some(Thinking::Off));
        let is_taken = !thinks && (member.is_none() || request.tools.is_empty());
        let form = Form::Given(given.len(), member);
        (is_taken && given.len() >= LEAST_GIVEN).then(|| Self { text: text.to_owned(), form })
    }

    /// Whether the text is given to the model as the beginning of its own response.
    pub(super) fn is_given(&self) -> bool {
        matches!(self.form, Form::Given(..))
    }

    /// The model is asked by a turn. `asking`: the words of the route, if it has any.
    pub(super) fn asked(text: &str, asking: Option<&str>) -> Self {
        let (asking, words) = (asking.unwrap_or(ASKING), anchor(text));
        let asking = match asking.contains(WORDS) {
            true => asking.replace(WORDS, words),
            false => format!("{asking}\n{words}"),
        };
        Self { text: text.to_owned(), form: Form::Asked(asking) }
    }

    /// Where the response has to join the text.
    pub(super) fn seam(&self) -> Seam {
        match self.form {
            Form::Asked(_) => Seam::to_repeat(self.text.clone()),
            Form::Given(length, _) => Seam::to_go_on(self.text.clone(), length),
        }
    }

    /// Adds the text to a request, and lowers the output limit by the text's length; a repetition of its last
    /// words is added to the limit again.
    pub(super) fn ask(&self, request: &mut ModelRequest<'_>) {
        let tokens = |text: &str| estimate_from_bytes(text.len() as u64);
        let left = |most: u64| most.saturating_sub(tokens(&self.text)).max(1);
        let mut say = |role, text: &str| {
            request.turns.push(Turn { role, parts: vec![Part::Text { text: Raw::quoted(text), cache: None }] });
        };
        let repeated = match &self.form {
            Form::Asked(asking) => {
                say(Role::Assistant, &self.text);
                say(Role::User, asking);
                tokens(anchor(&self.text))
            }
            Form::Given(length, member) => {
                say(Role::Assistant, self.text.get(..*length).unwrap_or(&self.text));
                request.prefill = *member;
                0
            }
        };
        request.max_tokens = request.max_tokens.map(|most| left(most).saturating_add(repeated));
    }
}

/// Whether the response to a request is one text that can be continued.
pub(super) fn may_continue(request: &ModelRequest<'_>) -> bool {
    let ends_with_user = request.turns.last().is_some_and(|turn| turn.role == Role::User);
    ends_with_user && request.choice_count() == 1 && request.logprobs.is_none() && request.response_format.is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(max_tokens: u64) -> ModelRequest<'static> {
        let part = Part::Text { text: Raw::quoted("Hello"), cache: None };
        let turns = vec![Turn { role: Role::User, parts: vec![part] }];
        ModelRequest { max_tokens: Some(max_tokens), turns, ..ModelRequest::default() }
    }

    #[test]
    fn a_continuation_has_what_is_left_of_the_limit_and_the_words_that_it_repeats() {
        let text = "word ".repeat(80);
        let mut asked = request(500);
        Continuation::asked(&text, None).ask(&mut asked);
        assert_eq!(asked.max_tokens, Some(500 - 100 + 7));
        let mut short = request(50);
        Continuation::asked(&text, None).ask(&mut short);
        assert_eq!(short.max_tokens, Some(1 + 7));
    }

    #[test]
    fn the_turns_of_the_caller_stay_and_two_are_added() {
        let mut asked = request(500);
        Continuation::asked("The quick br", Some("Weiter nach {words}!")).ask(&mut asked);
        let roles: Vec<Role> = asked.turns.iter().map(|turn| turn.role).collect();
        assert_eq!(roles, [Role::User, Role::Assistant, Role::User]);
        let Some(Part::Text { text, .. }) = asked.turns.last().and_then(|turn| turn.parts.first()) else { panic!() };
        assert_eq!(text.text().unwrap(), "Weiter nach The quick br!");
        let Form::Asked(asking) = Continuation::asked("The quick br", Some("Weiter:")).form else { panic!() };
        assert_eq!(asking, "Weiter:\nThe quick br");
    }

    #[test]
    fn a_text_is_given_without_the_white_space_at_its_end() {
        let text = format!("{} ", "word ".repeat(20));
        let mut given = request(500);
        Continuation::given(&text, "partial", &given).unwrap().ask(&mut given);
        assert_eq!((given.prefill, given.max_tokens), (Some("partial"), Some(500 - 26)));
        let last = given.turns.last().unwrap();
        let [Part::Text { text, .. }] = last.parts.as_slice() else { panic!() };
        assert_eq!((last.role, text.text().unwrap().len()), (Role::Assistant, 99));
    }

    #[test]
    fn a_text_is_given_to_models_that_take_it_alone() {
        let text = "word ".repeat(20);
        let given = |word, request: &ModelRequest<'_>| Continuation::given(&text, word, request).is_some();
        let thinking = ModelRequest { thinking: Some(Thinking::Free), ..request(500) };
        assert!(given("assistant", &request(500)) && given("prefix", &request(500)));
        assert!(!given("no", &request(500)) && !given("assistant", &thinking));
        assert!(Continuation::given("Hello", "assistant", &request(500)).is_none());
    }
}
