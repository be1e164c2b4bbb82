//! Writes turns as Gemini's contents: user and model alternate, and the system instruction stands apart.

use std::collections::HashMap;

use super::super::wire::content::{
    ContentBody, ContentPart, EmptyObject, FileData, FunctionCallPart, FunctionResponsePart, InlineBlob, PartData,
    ToolOutcome,
};
use crate::canonical::{Media, MediaKind, MediaSource, Part, Raw, Role, ToolCall, Turn};
use crate::error::{Error, Result};
use crate::formats::unsupported::UnsupportedFields;
use crate::wire::typed;

/// The signature that Gemini 3 accepts for a call that it did not make itself:
/// `skip_thought_signature_validator` in base64
/// (<https://ai.google.dev/gemini-api/docs/thought-signatures>).
const SKIP_SIGNATURE_VALIDATION: &str = "\"c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I=\"";

const USER: &str = "user";
const MODEL: &str = "model";

/// The text of a user's turn that is put before a conversation which begins with a call.
const OPENING: &str = "…";

/// A conversation in Gemini's form.
pub(crate) struct Conversation<'a> {
    /// The system instruction, if there is one.
    pub(crate) system: Option<ContentBody<'a>>,
    pub(crate) contents: Vec<ContentBody<'a>>,
    /// Whether a user's turn was put first.
    pub(crate) is_opened: bool,
    /// Whether the system instruction was all there was: it is the user's turn.
    pub(crate) is_system_alone: bool,
}

struct ContentsWriter<'a, 'd> {
    system: Vec<ContentPart<'a>>,
    contents: Vec<ContentBody<'a>>,
    /// The name of the tool by the id of its call.
    names: HashMap<&'a str, &'a str>,
    third_generation: bool,
    unsupported: &'d mut UnsupportedFields,
}

/// Writes turns as a system instruction and contents.
///
/// # Errors
/// 400 if a tool result belongs to no call before it.
pub(crate) fn write_contents<'a>(
    turns: &'a [Turn<'a>],
    third_generation: bool,
    unsupported: &mut UnsupportedFields,
) -> Result<Conversation<'a>> {
    let mut writer = ContentsWriter {
        system: Vec::new(),
        contents: Vec::new(),
        names: HashMap::new(),
        third_generation,
        unsupported,
    };
    for turn in turns {
        turn.parts.iter().try_for_each(|part| writer.part(turn.role, part))?;
    }
    let ContentsWriter { system, mut contents, .. } = writer;
    for content in contents.iter_mut().filter(|content| content.results) {
        content.parts.sort_by_key(|part| !matches!(part.data, PartData::FunctionResponse(_)));
    }
    let mut system =
        (!system.is_empty()).then_some(ContentBody { role: None, parts: system, results: false, calls: false });
    let is_opened = open(&mut contents);
    let is_system_alone = contents.is_empty() && system.is_some();
    if contents.is_empty() {
        contents.extend(system.take().map(|system| ContentBody { role: Some(USER), ..system }));
    }
    Ok(Conversation { system, contents, is_opened, is_system_alone })
}

/// Puts a user's turn before a first turn with a call, and returns whether it did. Gemini refuses a call that
/// does not follow a turn of the user: "function call turn comes immediately after a user turn".
fn open(contents: &mut Vec<ContentBody<'_>>) -> bool {
    let begins_with_call = contents.first().is_some_and(|first| first.calls);
    if begins_with_call {
        let parts = vec![ContentPart { data: PartData::Filler(OPENING), thought_signature: None }];
        contents.insert(0, ContentBody { role: Some(USER), parts, results: false, calls: false });
    }
    begins_with_call
}

impl<'a> ContentsWriter<'a, '_> {
    fn part(&mut self, role: Role, part: &'a Part<'a>) -> Result<()> {
        match part {
            Part::Text { text, cache } => {
                self.unsupported.add_if(cache.is_some(), "cache_control");
                // Gemini refuses empty texts.
                if !text.is_blank() {
                    self.add(role, PartData::Text(text));
                }
            }
            Part::Media(media) => {
                self.note_unsupported_media(media);
                if role == Role::System {
                    self.unsupported.add(field_of(media.kind));
                } else {
                    self.add(role, media_part(media));
                }
            }
            Part::Call(call) => self.call(call),
            Part::Result { call, parts, failed, cache } => {
                self.unsupported.add_if(cache.is_some(), "cache_control");
                return self.result(call, parts, *failed);
            }
            // Thinking of another provider. Gemini wants back only the signatures of its calls.
            Part::Thinking { .. } | Part::Redacted(_) => {}
        }
        Ok(())
    }

    fn add(&mut self, role: Role, data: PartData<'a>) {
        let part = ContentPart { data, thought_signature: None };
        match role {
            Role::System => self.system.push(part),
            Role::User => self.push_part(USER, part),
            Role::Assistant => self.push_part(MODEL, part),
        }
    }

    fn push_part(&mut self, role: &'static str, part: ContentPart<'a>) {
        if let Some(content) = self.content_of(role) {
            content.parts.push(part);
        }
    }

    /// The last content, if it is of this role; else a new one.
    fn content_of(&mut self, role: &'static str) -> Option<&mut ContentBody<'a>> {
        if self.contents.last().is_none_or(|last| last.role != Some(role)) {
            self.contents.push(ContentBody { role: Some(role), parts: Vec::new(), results: false, calls: false });
        }
        self.contents.last_mut()
    }

    fn call(&mut self, call: &'a ToolCall<'a>) {
        self.unsupported.add_if(call.cache.is_some(), "cache_control");
        self.names.insert(&call.id, &call.name);
        let signature = call.reasoning_state.as_ref().filter(|state| state.is_text()).cloned();
        let first = self.content_of(MODEL).is_some_and(|content| !std::mem::replace(&mut content.calls, true));
        // Only the first of parallel calls is signed.
        let thought_signature =
            signature.or_else(|| Raw::parse(SKIP_SIGNATURE_VALIDATION).filter(|_| self.third_generation && first));
        let is_object = call.arguments.get().starts_with('{');
        let args = if is_object { call.arguments.clone() } else { Raw::of(&EmptyObject {}) };
        let data = PartData::FunctionCall(FunctionCallPart { id: &call.id, name: &call.name, args });
        self.push_part(MODEL, ContentPart { data, thought_signature });
    }

    /// The results of a turn's calls come first in the next user content.
    fn result(&mut self, id: &'a str, parts: &'a [Part<'a>], failed: bool) -> Result<()> {
        let Some(name) = self.names.get(id).copied() else {
            let message = format!("The tool result with the id {id:?} belongs to no tool call before it.");
            return Err(Error::caller(400, "unknown_tool_call", message).at("messages"));
        };
        let response = result_object(parts, failed);
        let (mut inside, mut beside) = (Vec::new(), Vec::new());
        for part in parts {
            match part {
                Part::Media(media) => {
                    self.note_unsupported_media(media);
                    let part = ContentPart { data: media_part(media), thought_signature: None };
                    if self.third_generation && fits_inside(media) { inside.push(part) } else { beside.push(part) }
                }
                Part::Text { cache, .. } => self.unsupported.add_if(cache.is_some(), "cache_control"),
                Part::Call(_) | Part::Result { .. } | Part::Thinking { .. } | Part::Redacted(_) => {}
            }
        }
        let data = PartData::FunctionResponse(FunctionResponsePart { id, name, response, parts: inside });
        if let Some(content) = self.content_of(USER) {
            content.results = true;
            content.parts.push(ContentPart { data, thought_signature: None });
            content.parts.append(&mut beside);
        }
        Ok(())
    }

    fn note_unsupported_media(&mut self, media: &Media<'_>) {
        self.unsupported.add_if(media.cache.is_some(), "cache_control");
        self.unsupported.add_if(media.name.is_some(), "messages[].content[].file.filename");
    }
}

/// The name of the unsupported field, in OpenAI's terms.
fn field_of(kind: MediaKind) -> &'static str {
    match kind {
        MediaKind::Image => "messages[].content[].image_url",
        MediaKind::Audio => "messages[].content[].input_audio",
        MediaKind::Document => "messages[].content[].file",
    }
}

/// Gemini 3 reads images and documents inside a tool result. Other media, and those of older models, stand
/// beside it.
fn fits_inside(media: &Media<'_>) -> bool {
    matches!(media.source, MediaSource::Data { .. }) && media.kind != MediaKind::Audio
}

/// Writes a tool result as an object, which Gemini requires. JSON objects are carried unchanged.
fn result_object<'a>(parts: &'a [Part<'a>], failed: bool) -> Raw<'a> {
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
        return Raw::of(&ToolOutcome::Error(&text));
    }
    let object =
        Some(text.trim()).filter(|text| text.starts_with('{')).and_then(|text| typed::from_str::<Raw<'_>>(text).ok());
    object.map_or_else(|| Raw::of(&ToolOutcome::Result(&text)), |object| object.owned())
}

fn media_part<'a>(media: &'a Media<'a>) -> PartData<'a> {
    match &media.source {
        MediaSource::Data { mime, base64 } => PartData::InlineData(InlineBlob { mime_type: mime, data: base64 }),
        MediaSource::Url(url) => PartData::FileData(FileData { mime_type: media_type_of(url), file_uri: url }),
    }
}

/// Media types that Gemini reads, by file name extension.
const MEDIA_TYPES: &[(&str, &str)] = &[
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

fn media_type_of(url: &str) -> Option<&'static str> {
    let path = url.split(['?', '#']).next()?;
    let (_, end) = path.rsplit_once('/')?.1.rsplit_once('.')?;
    MEDIA_TYPES.iter().find(|(known, _)| end.eq_ignore_ascii_case(known)).map(|(_, mime)| *mime)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_media_type_is_guessed_from_the_end_of_an_address() {
        assert_eq!(media_type_of("https://a.b/c.PNG?x=y.pdf#z"), Some("image/png"));
        assert_eq!(media_type_of("gs://bucket/of/x.jpeg"), Some("image/jpeg"));
        assert_eq!((media_type_of("https://a.png/c"), media_type_of("x"), media_type_of("")), (None, None, None));
    }

    #[test]
    fn a_result_is_an_object_whatever_the_tool_gave() {
        let written = |text: &str, failed| {
            let parts = [Part::Text { text: Raw::quoted(text), cache: None }];
            result_object(&parts, failed).get().to_owned()
        };
        assert_eq!(written(r#"{"a":[1.50]}"#, false), r#"{"a":[1.50]}"#);
        assert_eq!(written("[1]", false), r#"{"result":"[1]"}"#);
        assert_eq!(written("{oops", false), r#"{"result":"{oops"}"#);
        assert_eq!(written("no \"luck\"", true), r#"{"error":"no \"luck\""}"#);
        assert_eq!(result_object(&[], false).get(), r#"{"result":""}"#);
    }
}
