//! Turns as the messages that a provider of this format wants: results of tools in messages of their own, texts joined.

use crate::canonical::{Media, MediaKind, MediaSource, Part, Raw, Role, ToolCall, Turn};
use crate::wire::json::quote;

/// Messages that are being written.
#[derive(Default)]
pub(crate) struct Messages {
    out: String,
    /// What was left out, each by its name, once.
    pub(crate) dropped: Vec<&'static str>,
}

impl Messages {
    /// Adds a turn.
    pub(crate) fn turn(&mut self, turn: &Turn<'_>) {
        match turn.role {
            Role::System => self.said("system", &turn.parts.iter().collect::<Vec<_>>()),
            Role::User => self.user(&turn.parts),
            Role::Assistant => self.assistant(&turn.parts),
        }
    }

    /// All messages, as a list.
    pub(crate) fn finish(mut self) -> String {
        self.out.push_str(if self.out.is_empty() { "[]" } else { "]" });
        self.out
    }

    fn begin(&mut self, role: &str) {
        let mark = if self.out.is_empty() { "[" } else { "," };
        self.add(&[mark, "{\"role\":\"", role, "\""]);
    }

    fn add(&mut self, pieces: &[&str]) {
        pieces.iter().for_each(|piece| self.out.push_str(piece));
    }

    /// Results first, right after the calls; what they show, and what is said besides, in a message of its own.
    fn user<'p>(&mut self, parts: &'p [Part<'p>]) {
        let (mut shown, mut besides): (Vec<&Part<'_>>, Vec<&Part<'_>>) = (Vec::new(), Vec::new());
        for part in parts {
            let Part::Result { call, parts, failed, cache } = part else {
                besides.push(part);
                continue;
            };
            self.mark(cache.as_ref());
            if *failed {
                self.drop("messages[].content[].is_error");
            }
            self.begin("tool");
            self.add(&[",\"tool_call_id\":", &quote(call), ",\"content\":"]);
            let (media, texts): (Vec<_>, Vec<_>) = parts.iter().partition(|part| matches!(part, Part::Media(_)));
            self.joined(&texts);
            self.out.push('}');
            shown.extend(media);
        }
        shown.append(&mut besides);
        if !shown.is_empty() || parts.is_empty() {
            self.said("user", &shown);
        }
    }

    fn assistant(&mut self, parts: &[Part<'_>]) {
        let texts: Vec<&Part<'_>> = parts.iter().filter(|part| matches!(part, Part::Text { .. })).collect();
        let calls: Vec<&ToolCall<'_>> =
            parts.iter().filter_map(|part| if let Part::Call(call) = part { Some(call) } else { None }).collect();
        if parts.iter().any(|part| matches!(part, Part::Media(_))) {
            self.drop("messages[].content[].image_url");
        }
        // Of a turn that only thinks, nothing is left.
        if texts.is_empty() && calls.is_empty() && !parts.is_empty() {
            return;
        }
        self.begin("assistant");
        self.out.push_str(",\"content\":");
        if texts.is_empty() && !calls.is_empty() {
            self.out.push_str("null")
        } else {
            self.joined(&texts)
        }
        for (at, call) in calls.iter().enumerate() {
            self.mark(call.cache.as_ref());
            let (id, name, arguments) = (quote(&call.id), quote(&call.name), quote(call.arguments.get()));
            self.out.push_str(if at == 0 { ",\"tool_calls\":[" } else { "," });
            self.add(&["{\"id\":", &id, ",\"type\":\"function\",\"function\":{\"name\":", &name, ",\"arguments\":"]);
            self.add(&[&arguments, "}}"]);
        }
        self.out.push_str(if calls.is_empty() { "}" } else { "]}" });
    }

    /// A message of texts, or of texts and media.
    fn said(&mut self, role: &str, parts: &[&Part<'_>]) {
        let items: Vec<String> = if parts.iter().any(|part| matches!(part, Part::Media(_))) {
            parts.iter().filter_map(|part| self.item(part)).collect()
        } else {
            Vec::new()
        };
        // What has only texts in the end is one text: not every provider takes lists.
        let is_text = items.iter().all(|item| item.starts_with("{\"type\":\"text\""));
        self.begin(role);
        self.out.push_str(",\"content\":");
        if is_text {
            self.joined(parts)
        } else {
            self.add(&["[", &items.join(","), "]"])
        }
        self.out.push('}');
    }

    /// All texts as one, with an empty line between them.
    fn joined(&mut self, parts: &[&Part<'_>]) {
        self.out.push('"');
        let mut first = true;
        for part in parts {
            let Part::Text { text, cache } = part else { continue };
            self.mark(cache.as_ref());
            self.out.push_str(if std::mem::take(&mut first) { "" } else { "\\n\\n" });
            let inside = text.get().strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
            self.out.push_str(inside.unwrap_or_default());
        }
        self.out.push('"');
    }

    fn item(&mut self, part: &Part<'_>) -> Option<String> {
        match part {
            Part::Text { text, cache } => {
                self.mark(cache.as_ref());
                Some(format!("{{\"type\":\"text\",\"text\":{}}}", text.get()))
            }
            Part::Media(media) => {
                self.mark(media.cache.as_ref());
                let item = item(media);
                if item.is_none() {
                    let name = match media.kind {
                        MediaKind::Image => "messages[].content[].image_url",
                        MediaKind::Audio => "messages[].content[].input_audio",
                        MediaKind::Document => "messages[].content[].file",
                    };
                    self.drop(name);
                }
                item
            }
            Part::Call(_) | Part::Result { .. } | Part::Thinking { .. } | Part::Redacted(_) => None,
        }
    }

    fn mark(&mut self, cache: Option<&Raw<'_>>) {
        if cache.is_some() {
            self.drop("cache_control");
        }
    }

    fn drop(&mut self, name: &'static str) {
        if !self.dropped.contains(&name) {
            self.dropped.push(name);
        }
    }
}

/// A picture, sound or file; `None` if the format has no words for it.
fn item(media: &Media<'_>) -> Option<String> {
    Some(match (media.kind, &media.source) {
        (MediaKind::Image, source) => {
            format!("{{\"type\":\"image_url\",\"image_url\":{{\"url\":{}}}}}", quote(&address(source)))
        }
        (MediaKind::Audio, MediaSource::Data { mime, base64 }) => {
            let (data, format) = (quote(base64), quote(format(mime)));
            format!("{{\"type\":\"input_audio\",\"input_audio\":{{\"data\":{data},\"format\":{format}}}}}")
        }
        (MediaKind::Document, source @ MediaSource::Data { .. }) => {
            let name = media.name.as_ref().map_or("\"document\"", Raw::get);
            let data = quote(&address(source));
            format!("{{\"type\":\"file\",\"file\":{{\"filename\":{name},\"file_data\":{data}}}}}")
        }
        (MediaKind::Audio | MediaKind::Document, MediaSource::Url(_)) => return None,
    })
}

fn address(source: &MediaSource<'_>) -> String {
    match source {
        MediaSource::Data { mime, base64 } => format!("data:{mime};base64,{base64}"),
        MediaSource::Url(url) => url.clone().into_owned(),
    }
}

/// The word for a format of sound.
fn format(mime: &str) -> &str {
    match mime.strip_prefix("audio/").unwrap_or(mime) {
        "mpeg" => "mp3",
        "x-wav" | "wave" => "wav",
        other => other,
    }
}
