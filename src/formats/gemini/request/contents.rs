//! Turns of a conversation as Gemini's contents: two sides that alternate, and instructions apart. It knows no other field of a request.

use std::collections::HashMap;

use super::super::thinking::is_third;
use super::super::wire::content::{
    Blob, Content, Datum, File, FunctionCall, FunctionResponse, Nothing, Outcome, Piece,
};
use crate::canonical::{Media, MediaKind, MediaSource, Part, Raw, Role, ToolCall, Turn};
use crate::error::{Error, Result};
use crate::formats::unsupported::Dropped;

/// What Gemini 3 takes for the signature of a call that it did not make itself: `skip_thought_signature_validator` in base64
/// (<https://ai.google.dev/gemini-api/docs/thought-signatures>).
const UNSIGNED: &str = "\"c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I=\"";

const USER: &str = "user";
const MODEL: &str = "model";

struct Writer<'a, 'd> {
    system: Vec<Piece<'a>>,
    contents: Vec<Content<'a>>,
    /// The name of the tool that belongs to a call's id.
    names: HashMap<&'a str, &'a str>,
    third: bool,
    dropped: &'d mut Dropped,
}

/// The instructions, if any, and what was said.
///
/// # Errors
/// 400 if a result belongs to no call before it.
pub(crate) fn contents<'a>(
    turns: &'a [Turn<'a>],
    model: &str,
    dropped: &mut Dropped,
) -> Result<(Option<Content<'a>>, Vec<Content<'a>>)> {
    let third = is_third(model);
    let mut writer = Writer { system: Vec::new(), contents: Vec::new(), names: HashMap::new(), third, dropped };
    for turn in turns {
        turn.parts.iter().try_for_each(|part| writer.part(turn.role, part))?;
    }
    let Writer { system, mut contents, .. } = writer;
    for content in contents.iter_mut().filter(|content| content.results) {
        content.parts.sort_by_key(|piece| !matches!(piece.datum, Datum::FunctionResponse(_)));
    }
    let system = (!system.is_empty()).then_some(Content { role: None, parts: system, results: false, calls: false });
    Ok((system, contents))
}

impl<'a> Writer<'a, '_> {
    fn part(&mut self, role: Role, part: &'a Part<'a>) -> Result<()> {
        match part {
            Part::Text { text, cache } => {
                self.dropped.add_if(cache.is_some(), "cache_control");
                // Gemini refuses an empty text.
                if !text.is_blank() {
                    self.say(role, Datum::Text(text));
                }
            }
            Part::Media(media) => {
                self.note_media(media);
                if role == Role::System {
                    self.dropped.add(place(media.kind));
                } else {
                    self.say(role, shown(media));
                }
            }
            Part::Call(call) => self.call(call),
            Part::Result { call, parts, failed, cache } => {
                self.dropped.add_if(cache.is_some(), "cache_control");
                return self.result(call, parts, *failed);
            }
            // Another provider's: Gemini's own thoughts are not wanted back, only the signatures of its calls.
            Part::Thinking { .. } | Part::Redacted(_) => {}
        }
        Ok(())
    }

    fn say(&mut self, role: Role, datum: Datum<'a>) {
        let piece = Piece { datum, thought_signature: None };
        match role {
            Role::System => self.system.push(piece),
            Role::User => self.push(USER, piece),
            Role::Assistant => self.push(MODEL, piece),
        }
    }

    fn push(&mut self, side: &'static str, piece: Piece<'a>) {
        if let Some(content) = self.side(side) {
            content.parts.push(piece);
        }
    }

    /// What this side says at last: more of it, if it is still its turn.
    fn side(&mut self, side: &'static str) -> Option<&mut Content<'a>> {
        if self.contents.last().is_none_or(|last| last.role != Some(side)) {
            self.contents.push(Content { role: Some(side), parts: Vec::new(), results: false, calls: false });
        }
        self.contents.last_mut()
    }

    fn call(&mut self, call: &'a ToolCall<'a>) {
        self.dropped.add_if(call.cache.is_some(), "cache_control");
        self.names.insert(&call.id, &call.name);
        let signature = call.reasoning_state.as_ref().filter(|memory| memory.is_text()).cloned();
        let first = self.side(MODEL).is_some_and(|content| !std::mem::replace(&mut content.calls, true));
        // Of parallel calls, only the first is signed.
        let thought_signature = signature.or_else(|| Raw::parse(UNSIGNED).filter(|_| self.third && first));
        let is_object = call.arguments.get().starts_with('{');
        let args = if is_object { call.arguments.clone() } else { Raw::of(&Nothing {}) };
        let datum = Datum::FunctionCall(FunctionCall { id: &call.id, name: &call.name, args });
        self.push(MODEL, Piece { datum, thought_signature });
    }

    /// All results of a turn's calls stand together at the beginning of the next turn, whatever else is said there.
    fn result(&mut self, id: &'a str, parts: &'a [Part<'a>], failed: bool) -> Result<()> {
        let Some(name) = self.names.get(id).copied() else {
            let message = format!("The tool result with the id {id:?} belongs to no tool call before it.");
            return Err(Error::caller(400, "unknown_tool_call", message).at("messages"));
        };
        let response = response(parts, failed);
        let (mut inside, mut beside) = (Vec::new(), Vec::new());
        for part in parts {
            match part {
                Part::Media(media) => {
                    self.note_media(media);
                    let piece = Piece { datum: shown(media), thought_signature: None };
                    if self.third && fits_inside(media) { inside.push(piece) } else { beside.push(piece) }
                }
                Part::Text { cache, .. } => self.dropped.add_if(cache.is_some(), "cache_control"),
                Part::Call(_) | Part::Result { .. } | Part::Thinking { .. } | Part::Redacted(_) => {}
            }
        }
        let datum = Datum::FunctionResponse(FunctionResponse { id, name, response, parts: inside });
        if let Some(content) = self.side(USER) {
            content.results = true;
            content.parts.push(Piece { datum, thought_signature: None });
            content.parts.append(&mut beside);
        }
        Ok(())
    }

    fn note_media(&mut self, media: &Media<'_>) {
        self.dropped.add_if(media.cache.is_some(), "cache_control");
        self.dropped.add_if(media.name.is_some(), "messages[].content[].file.filename");
    }
}

/// Where something stands in OpenAI's words.
fn place(kind: MediaKind) -> &'static str {
    match kind {
        MediaKind::Image => "messages[].content[].image_url",
        MediaKind::Audio => "messages[].content[].input_audio",
        MediaKind::Document => "messages[].content[].file",
    }
}

/// Gemini 3 looks at pictures and documents within a result; all else, and for all others, stands beside it.
fn fits_inside(media: &Media<'_>) -> bool {
    matches!(media.source, MediaSource::Data { .. }) && media.kind != MediaKind::Audio
}

/// A result as the object that Gemini wants: itself, if it is one.
fn response<'a>(parts: &'a [Part<'a>], failed: bool) -> Raw<'a> {
    let mut texts = parts.iter().filter_map(|part| match part {
        Part::Text { text, .. } => text.text(),
        Part::Media(_) | Part::Call(_) | Part::Result { .. } | Part::Thinking { .. } | Part::Redacted(_) => None,
    });
    let mut text = texts.next().unwrap_or_default();
    texts.for_each(|next| {
        let all = text.to_mut();
        all.push('\n');
        all.push_str(&next);
    });
    if failed {
        return Raw::of(&Outcome::Error(&text));
    }
    let object = Some(text.trim()).filter(|text| text.starts_with('{')).and_then(Raw::parse);
    object.map_or_else(|| Raw::of(&Outcome::Result(&text)), |object| object.owned())
}

fn shown<'a>(media: &'a Media<'a>) -> Datum<'a> {
    match &media.source {
        MediaSource::Data { mime, base64 } => Datum::InlineData(Blob { mime_type: mime, data: base64 }),
        MediaSource::Url(url) => Datum::FileData(File { mime_type: mime_of(url), file_uri: url }),
    }
}

/// The media types that Gemini reads, by the ends of names.
const MIMES: &[(&str, &str)] = &[
    ("png", "image/png"),
    ("jpg", "image/jpeg"),
    ("jpeg", "image/jpeg"),
    ("webp", "image/webp"),
    ("gif", "image/gif"),
    ("heic", "image/heic"),
    ("heif", "image/heif"),
    ("pdf", "application/pdf"),
    ("txt", "text/plain"),
    ("md", "text/markdown"),
    ("html", "text/html"),
    ("csv", "text/csv"),
    ("json", "application/json"),
    ("mp3", "audio/mpeg"),
    ("wav", "audio/wav"),
    ("ogg", "audio/ogg"),
    ("flac", "audio/flac"),
    ("aac", "audio/aac"),
    ("m4a", "audio/mp4"),
    ("mp4", "video/mp4"),
    ("webm", "video/webm"),
    ("mov", "video/quicktime"),
];

fn mime_of(url: &str) -> Option<&'static str> {
    let path = url.split(['?', '#']).next()?;
    let (_, end) = path.rsplit_once('/')?.1.rsplit_once('.')?;
    MIMES.iter().find(|(known, _)| end.eq_ignore_ascii_case(known)).map(|(_, mime)| *mime)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_media_type_is_guessed_from_the_end_of_an_address() {
        assert_eq!(mime_of("https://a.b/c.PNG?x=y.pdf#z"), Some("image/png"));
        assert_eq!(mime_of("gs://bucket/of/x.jpeg"), Some("image/jpeg"));
        assert_eq!((mime_of("https://a.png/c"), mime_of("x"), mime_of("")), (None, None, None));
    }

    #[test]
    fn a_result_is_an_object_whatever_the_tool_gave() {
        let told = |text: &str, failed| {
            let parts = [Part::Text { text: Raw::quoted(text), cache: None }];
            response(&parts, failed).get().to_owned()
        };
        assert_eq!(told(r#"{"a":[1.50]}"#, false), r#"{"a":[1.50]}"#);
        assert_eq!(told("[1]", false), r#"{"result":"[1]"}"#);
        assert_eq!(told("{oops", false), r#"{"result":"{oops"}"#);
        assert_eq!(told("no \"luck\"", true), r#"{"error":"no \"luck\""}"#);
        assert_eq!(response(&[], false).get(), r#"{"result":""}"#);
    }
}
