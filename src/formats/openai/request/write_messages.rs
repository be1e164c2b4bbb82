//! Writes turns as messages: tool results in messages of their own, texts joined.

use crate::canonical::{Media, MediaKind, MediaSource, Part, Raw, Role, ToolCall, Turn};
use crate::wire::json::quote;

/// The `messages` array that is being written.
#[derive(Default)]
pub(crate) struct MessagesWriter {
    out: String,
    /// The field for reasoning of earlier turns, if the host takes it.
    reasoning_field: Option<&'static str>,
    /// The names of unsupported fields, each once.
    pub(crate) unsupported: Vec<&'static str>,
}

impl MessagesWriter {
    /// A writer that writes reasoning of earlier turns in this field, if any.
    pub(crate) fn with_reasoning(field: Option<&'static str>) -> Self {
        Self { reasoning_field: field, ..Self::default() }
    }

    /// Adds a turn.
    pub(crate) fn turn(&mut self, turn: &Turn<'_>) {
        match turn.role {
            Role::System => self.message("system", &turn.parts.iter().collect::<Vec<_>>()),
            Role::User => self.user(&turn.parts),
            Role::Assistant => self.assistant(&turn.parts),
        }
    }

    /// Marks the last message by a member that is true.
    pub(crate) fn mark_last(&mut self, member: &str) {
        if self.out.pop().is_some() {
            self.push_all(&[",\"", member, "\":true}"]);
        }
    }

    /// The messages as a JSON array.
    pub(crate) fn finish(mut self) -> String {
        self.out.push_str(if self.out.is_empty() { "[]" } else { "]" });
        self.out
    }

    fn open_message(&mut self, role: &str) {
        let separator = if self.out.is_empty() { "[" } else { "," };
        self.push_all(&[separator, "{\"role\":\"", role, "\""]);
    }

    fn push_all(&mut self, pieces: &[&str]) {
        pieces.iter().for_each(|piece| self.out.push_str(piece));
    }

    /// Tool results come first, directly after the calls. Their media and the rest of the turn follow in a
    /// message of its own.
    fn user<'p>(&mut self, parts: &'p [Part<'p>]) {
        let (mut media, mut others): (Vec<&Part<'_>>, Vec<&Part<'_>>) = (Vec::new(), Vec::new());
        for part in parts {
            let Part::Result { call, parts, failed, cache } = part else {
                others.push(part);
                continue;
            };
            self.note_cache_mark(cache.as_ref());
            if *failed {
                self.note_unsupported("messages[].content[].is_error");
            }
            self.open_message("tool");
            self.push_all(&[",\"tool_call_id\":", &quote(call), ",\"content\":"]);
            let (shown, texts): (Vec<_>, Vec<_>) = parts.iter().partition(|part| matches!(part, Part::Media(_)));
            self.joined_texts(&texts);
            self.out.push('}');
            media.extend(shown);
        }
        media.append(&mut others);
        if !media.is_empty() || parts.is_empty() {
            self.message("user", &media);
        }
    }

    fn assistant(&mut self, parts: &[Part<'_>]) {
        let texts: Vec<&Part<'_>> = parts.iter().filter(|part| matches!(part, Part::Text { .. })).collect();
        let calls: Vec<&ToolCall<'_>> =
            parts.iter().filter_map(|part| if let Part::Call(call) = part { Some(call) } else { None }).collect();
        if parts.iter().any(|part| matches!(part, Part::Media(_))) {
            self.note_unsupported("messages[].content[].image_url");
        }
        // A turn of thinking alone is left out.
        if texts.is_empty() && calls.is_empty() && !parts.is_empty() {
            return;
        }
        self.open_message("assistant");
        self.out.push_str(",\"content\":");
        if texts.is_empty() && !calls.is_empty() {
            self.out.push_str("null")
        } else {
            self.joined_texts(&texts)
        }
        self.reasoning(parts);
        for (at, call) in calls.iter().enumerate() {
            self.note_cache_mark(call.cache.as_ref());
            let (id, name, arguments) = (quote(&call.id), quote(&call.name), quote(call.arguments.get()));
            self.out.push_str(if at == 0 { ",\"tool_calls\":[" } else { "," });
            self.push_all(&[
                "{\"id\":",
                &id,
                ",\"type\":\"function\",\"function\":{\"name\":",
                &name,
                ",\"arguments\":",
            ]);
            self.push_all(&[&arguments, "}}"]);
        }
        self.out.push_str(if calls.is_empty() { "}" } else { "]}" });
    }

    /// Writes the reasoning of a turn, where the host takes it.
    fn reasoning(&mut self, parts: &[Part<'_>]) {
        let Some(field) = self.reasoning_field else { return };
        let texts =
            parts.iter().filter_map(|part| if let Part::Thinking { text, .. } = part { Some(text) } else { None });
        let texts: Vec<_> = texts.filter_map(Raw::text).collect();
        if !texts.is_empty() {
            self.push_all(&[",\"", field, "\":", &quote(&texts.concat())]);
        }
    }

    /// Writes a message of texts, or of texts and media.
    fn message(&mut self, role: &str, parts: &[&Part<'_>]) {
        let items: Vec<String> = if parts.iter().any(|part| matches!(part, Part::Media(_))) {
            parts.iter().filter_map(|part| self.content_item(part)).collect()
        } else {
            Vec::new()
        };
        // Texts alone are written as one text, because not every provider accepts lists.
        let is_text = items.iter().all(|item| item.starts_with("{\"type\":\"text\""));
        self.open_message(role);
        self.out.push_str(",\"content\":");
        if is_text {
            self.joined_texts(parts)
        } else {
            self.push_all(&["[", &items.join(","), "]"])
        }
        self.out.push('}');
    }

    /// Writes all texts as one, with an empty line between them.
    fn joined_texts(&mut self, parts: &[&Part<'_>]) {
        self.out.push('"');
        let mut first = true;
        for part in parts {
            let Part::Text { text, cache } = part else { continue };
            self.note_cache_mark(cache.as_ref());
            self.out.push_str(if std::mem::take(&mut first) { "" } else { "\\n\\n" });
            let inside = text.get().strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
            self.out.push_str(inside.unwrap_or_default());
        }
        self.out.push('"');
    }

    fn content_item(&mut self, part: &Part<'_>) -> Option<String> {
        match part {
            Part::Text { text, cache } => {
                self.note_cache_mark(cache.as_ref());
                Some(format!("{{\"type\":\"text\",\"text\":{}}}", text.get()))
            }
            Part::Media(media) => {
                self.note_cache_mark(media.cache.as_ref());
                let item = content_item(media);
                if item.is_none() {
                    let name = match media.kind {
                        MediaKind::Image => "messages[].content[].image_url",
                        MediaKind::Audio => "messages[].content[].input_audio",
                        MediaKind::Document => "messages[].content[].file",
                    };
                    self.note_unsupported(name);
                }
                item
            }
            Part::Call(_) | Part::Result { .. } | Part::Thinking { .. } | Part::Redacted(_) => None,
        }
    }

    fn note_cache_mark(&mut self, cache: Option<&Raw<'_>>) {
        if cache.is_some() {
            self.note_unsupported("cache_control");
        }
    }

    fn note_unsupported(&mut self, name: &'static str) {
        if !self.unsupported.contains(&name) {
            self.unsupported.push(name);
        }
    }
}

/// An image, audio or file part; `None` if the format does not support it.
fn content_item(media: &Media<'_>) -> Option<String> {
    Some(match (media.kind, &media.source) {
        (MediaKind::Image, source) => {
            format!("{{\"type\":\"image_url\",\"image_url\":{{\"url\":{}}}}}", quote(&data_url(source)))
        }
        (MediaKind::Audio, MediaSource::Data { mime, base64 }) => {
            let (data, format) = (quote(base64), quote(audio_format(mime)));
            format!("{{\"type\":\"input_audio\",\"input_audio\":{{\"data\":{data},\"format\":{format}}}}}")
        }
        (MediaKind::Document, source @ MediaSource::Data { .. }) => {
            let name = media.name.as_ref().map_or("\"document\"", Raw::get);
            let data = quote(&data_url(source));
            format!("{{\"type\":\"file\",\"file\":{{\"filename\":{name},\"file_data\":{data}}}}}")
        }
        (MediaKind::Audio | MediaKind::Document, MediaSource::Url(_)) => return None,
    })
}

fn data_url(source: &MediaSource<'_>) -> String {
    match source {
        MediaSource::Data { mime, base64 } => format!("data:{mime};base64,{base64}"),
        MediaSource::Url(url) => url.clone().into_owned(),
    }
}

/// The format's word for an audio type.
fn audio_format(mime: &str) -> &str {
    match mime.strip_prefix("audio/").unwrap_or(mime) {
        "mpeg" => "mp3",
        "x-wav" | "wave" => "wav",
        other => other,
    }
}
