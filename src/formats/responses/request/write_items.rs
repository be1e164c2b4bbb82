//! Writes a conversation as items: messages, calls with the reasoning before them, and the results of calls.

use crate::canonical::{Media, MediaKind, MediaSource, Part, Raw, Role, ToolCall, Turn};
use crate::formats::unsupported::UnsupportedFields;
use crate::wire::json::quote;

/// Writes items.
pub(super) struct ItemWriter<'u> {
    items: String,
    unsupported: &'u mut UnsupportedFields,
}

impl<'u> ItemWriter<'u> {
    /// Writes the turns as a list of items.
    pub(super) fn write(turns: &[Turn<'_>], unsupported: &'u mut UnsupportedFields) -> String {
        let mut writer = Self { items: String::new(), unsupported };
        turns.iter().for_each(|turn| writer.turn(turn));
        ["[", &writer.items, "]"].concat()
    }

    fn turn(&mut self, turn: &Turn<'_>) {
        if turn.role == Role::User {
            turn.parts.iter().for_each(|part| self.result(part));
        }
        // Parts of a message so far.
        let mut parts = String::new();
        for part in &turn.parts {
            if let (Part::Call(call), Role::Assistant) = (part, turn.role) {
                self.message(turn.role, &mut parts);
                self.call(call);
            } else if let Some(written) = self.part(part, turn.role) {
                push(&mut parts, &written);
            }
        }
        self.message(turn.role, &mut parts);
    }

    /// Ends a message that has parts.
    fn message(&mut self, role: Role, parts: &mut String) {
        if parts.is_empty() {
            return;
        }
        let role = match role {
            Role::System => "system",
            Role::User => "user",
            Role::Assistant => "assistant",
        };
        let parts = std::mem::take(parts);
        push(&mut self.items, &format!("{{\"type\":\"message\",\"role\":\"{role}\",\"content\":[{parts}]}}"));
    }

    fn call(&mut self, call: &ToolCall<'_>) {
        self.note_cache_mark(call.cache.as_ref());
        if let Some(reasoning) = call.reasoning_state.as_ref().and_then(reasoning_items) {
            push(&mut self.items, reasoning);
        }
        let (id, name, arguments) = (quote(&call.id), quote(&call.name), quote(call.arguments.get()));
        let call = format!("{{\"type\":\"function_call\",\"call_id\":{id},\"name\":{name},\"arguments\":{arguments}}}");
        push(&mut self.items, &call);
    }

    /// Writes the result of a call: as a text, unless it holds media.
    fn result(&mut self, part: &Part<'_>) {
        let Part::Result { call, parts, failed, cache } = part else { return };
        self.note_cache_mark(cache.as_ref());
        self.unsupported.add_if(*failed, "messages[].content[].is_error");
        let output = if parts.iter().all(|part| matches!(part, Part::Text { .. })) {
            let texts: Vec<&str> = parts.iter().filter_map(|part| self.escaped(part)).collect();
            format!("\"{}\"", texts.join("\\n\\n"))
        } else {
            let written: Vec<String> = parts.iter().filter_map(|part| self.part(part, Role::User)).collect();
            format!("[{}]", written.join(","))
        };
        let call = quote(call);
        push(&mut self.items, &format!("{{\"type\":\"function_call_output\",\"call_id\":{call},\"output\":{output}}}"));
    }

    /// The contents of a text's JSON string.
    fn escaped<'p>(&mut self, part: &'p Part<'_>) -> Option<&'p str> {
        let Part::Text { text, cache } = part else { return None };
        self.note_cache_mark(cache.as_ref());
        text.get().strip_prefix('"')?.strip_suffix('"')
    }

    /// Writes a part of a message; `None` for what is written elsewhere, and for what the API does not have.
    fn part(&mut self, part: &Part<'_>, role: Role) -> Option<String> {
        match part {
            Part::Text { text, .. } => {
                self.escaped(part).filter(|text| !text.is_empty())?;
                Some(match role {
                    Role::Assistant => {
                        format!("{{\"type\":\"output_text\",\"text\":{},\"annotations\":[]}}", text.get())
                    }
                    Role::System | Role::User => format!("{{\"type\":\"input_text\",\"text\":{}}}", text.get()),
                })
            }
            Part::Media(media) => {
                self.note_cache_mark(media.cache.as_ref());
                let written = (role == Role::User).then(|| media_part(media)).flatten();
                if written.is_none() {
                    self.unsupported.add(match media.kind {
                        MediaKind::Image => "messages[].content[].image_url",
                        MediaKind::Audio => "messages[].content[].input_audio",
                        MediaKind::Document => "messages[].content[].file",
                    });
                }
                written
            }
            // Providers accept only reasoning that they have sealed.
            Part::Call(_) | Part::Result { .. } | Part::Thinking { .. } | Part::Redacted(_) => None,
        }
    }

    fn note_cache_mark(&mut self, cache: Option<&Raw<'_>>) {
        self.unsupported.add_if(cache.is_some(), "cache_control");
    }
}

fn push(list: &mut String, item: &str) {
    if !list.is_empty() {
        list.push(',');
    }
    list.push_str(item);
}

/// The reasoning items that were kept with a call, without the brackets around them; `None` if the state is not
/// of this format.
fn reasoning_items<'s>(state: &'s Raw<'_>) -> Option<&'s str> {
    let items = state.get().strip_prefix('[')?.strip_suffix(']')?;
    items.starts_with("{\"type\":\"reasoning\"").then_some(items)
}

/// An image, a recording or a file; `None` if the API does not have it.
fn media_part(media: &Media<'_>) -> Option<String> {
    Some(match (media.kind, &media.source) {
        (MediaKind::Image, source) => {
            format!("{{\"type\":\"input_image\",\"image_url\":{},\"detail\":\"auto\"}}", quote(&address(source)))
        }
        (MediaKind::Document, MediaSource::Url(url)) => {
            format!("{{\"type\":\"input_file\",\"file_url\":{}}}", quote(url))
        }
        (MediaKind::Document, source @ MediaSource::Data { .. }) => {
            let name = media.name.as_ref().map_or("\"document\"", Raw::get);
            format!("{{\"type\":\"input_file\",\"filename\":{name},\"file_data\":{}}}", quote(&address(source)))
        }
        (MediaKind::Audio, MediaSource::Data { mime, base64 }) => {
            let format = match mime.strip_prefix("audio/").unwrap_or(mime) {
                "mpeg" => "mp3",
                "x-wav" | "wave" => "wav",
                other => other,
            };
            let (data, format) = (quote(base64), quote(format));
            format!("{{\"type\":\"input_audio\",\"input_audio\":{{\"data\":{data},\"format\":{format}}}}}")
        }
        (MediaKind::Audio, MediaSource::Url(_)) => return None,
    })
}

fn address(source: &MediaSource<'_>) -> String {
    match source {
        MediaSource::Data { mime, base64 } => format!("data:{mime};base64,{base64}"),
        MediaSource::Url(url) => url.clone().into_owned(),
    }
}
