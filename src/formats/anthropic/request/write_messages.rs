//! Writes a conversation as the API requires it: system prompt apart, turns that alternate, tool results
//! first in a turn.

use super::super::wire::api::PLACEHOLDER_PREFIX;
use super::super::wire::json::{arguments_object, escaped_text, is_empty_text, object};
use super::super::wire::request::{BlockSource, ContentBlock, MessageContent, NewBlock, RequestMessage};
use crate::canonical::{Media, MediaKind, MediaSource, ModelRequest, Part, Raw, Role, ToolCall, Turn};
use crate::formats::unsupported::UnsupportedFields;
use crate::wire::base64;

/// A conversation in the API's form.
pub(crate) struct Conversation<'a> {
    /// The system prompt, gathered from all turns.
    pub(crate) system: Option<MessageContent<'a>>,
    pub(crate) messages: Vec<RequestMessage<'a>>,
    /// Whether the system prompt was all there was: it is the user's message.
    pub(crate) is_system_alone: bool,
}

/// Writes a conversation.
pub(crate) fn write_conversation<'a>(
    request: &'a ModelRequest<'a>,
    unsupported: &mut UnsupportedFields,
) -> Conversation<'a> {
    let mut system = Vec::new();
    let mut turns: Vec<(Role, Vec<ContentBlock<'a>>)> = Vec::new();
    for turn in &request.turns {
        if turn.role == Role::System {
            add_blocks(turn, &mut system, unsupported);
            continue;
        }
        match turns.last_mut() {
            Some((role, blocks)) if *role == turn.role => add_blocks(turn, blocks, unsupported),
            _ => {
                let mut blocks = Vec::new();
                add_blocks(turn, &mut blocks, unsupported);
                // An empty turn does not separate its neighbours.
                if !blocks.is_empty() {
                    turns.push((turn.role, blocks));
                }
            }
        }
    }
    let messages = turns.into_iter().map(|(role, mut blocks)| {
        if role == Role::User {
            blocks.sort_by_key(|block| !is_result(block));
            RequestMessage { role: "user", content: content(blocks) }
        } else {
            RequestMessage { role: "assistant", content: content(blocks) }
        }
    });
    let mut messages: Vec<_> = messages.collect();
    let mut system = (!system.is_empty()).then(|| content(system));
    let is_system_alone = messages.is_empty() && system.is_some();
    if messages.is_empty() {
        messages.extend(system.take().map(|content| RequestMessage { role: "user", content }));
    }
    Conversation { system, messages, is_system_alone }
}

/// Whether the assistant turn that the last tool results belong to lacks its thinking at the beginning. With
/// a thinking budget, the API refuses that.
pub(crate) fn lacks_thinking(messages: &[RequestMessage<'_>]) -> bool {
    let has_result = |message: &&RequestMessage<'_>| matches!(&message.content, MessageContent::Blocks(blocks) if blocks.first().is_some_and(is_result));
    let since = messages.iter().rev().take_while(|message| message.role == "assistant" || has_result(message));
    let Some(first) = since.filter(|message| message.role == "assistant").last() else { return false };
    let MessageContent::Blocks(blocks) = &first.content else { return false };
    !blocks.first().is_some_and(is_thinking)
        && blocks.iter().any(|block| matches!(block, ContentBlock::New(NewBlock::ToolUse { .. })))
}

fn is_thinking(block: &ContentBlock<'_>) -> bool {
    matches!(
        block,
        ContentBlock::Replayed(_) | ContentBlock::New(NewBlock::Thinking { .. } | NewBlock::RedactedThinking { .. })
    )
}

fn is_result(block: &ContentBlock<'_>) -> bool {
    matches!(block, ContentBlock::New(NewBlock::ToolResult { .. }))
}

/// A single plain text is written without a block.
fn content(mut blocks: Vec<ContentBlock<'_>>) -> MessageContent<'_> {
    if let [ContentBlock::New(NewBlock::Text { text, cache_control: None })] = blocks.as_slice() {
        return MessageContent::Text(text);
    }
    blocks.shrink_to_fit();
    MessageContent::Blocks(blocks)
}

fn add_blocks<'a>(turn: &'a Turn<'a>, blocks: &mut Vec<ContentBlock<'a>>, unsupported: &mut UnsupportedFields) {
    let start = blocks.len();
    for part in &turn.parts {
        if let (Part::Call(call), Role::Assistant) = (part, turn.role) {
            insert_thinking(call, start, blocks);
        }
        blocks.extend(block(part, turn.role, unsupported).map(ContentBlock::New));
    }
}

/// Inserts the stored thinking blocks of a call before it; those of the turn's first call go to the start of
/// the turn.
fn insert_thinking<'a>(call: &'a ToolCall<'a>, start: usize, blocks: &mut Vec<ContentBlock<'a>>) {
    let Some(stored) = call.reasoning_state.as_ref().and_then(|state| thinking_blocks(state)) else { return };
    let at = if blocks.iter().skip(start).any(is_thinking) { blocks.len() } else { start };
    blocks.splice(at..at, stored.into_iter().map(ContentBlock::Replayed));
}

/// The blocks of a stored reasoning state; `None` if it is not of this format.
fn thinking_blocks<'a>(state: &'a Raw<'a>) -> Option<Vec<Raw<'a>>> {
    #[derive(serde::Deserialize)]
    struct Kind<'k> {
        #[serde(borrow, rename = "type")]
        kind: std::borrow::Cow<'k, str>,
    }
    let blocks: Vec<Raw<'a>> = serde_json::from_str(state.get()).ok()?;
    let is_thinking = |raw: &Raw<'_>| {
        object::<Kind<'_>>(raw.get().as_bytes())
            .is_some_and(|block| matches!(block.kind.as_ref(), "thinking" | "redacted_thinking"))
    };
    blocks.iter().all(is_thinking).then_some(blocks)
}

fn block<'a>(part: &'a Part<'a>, role: Role, unsupported: &mut UnsupportedFields) -> Option<NewBlock<'a>> {
    match (part, role) {
        (Part::Text { text, cache }, _) if !is_empty_text(text) => {
            Some(NewBlock::Text { text, cache_control: cache.as_ref() })
        }
        (Part::Media(media), Role::User) => media_block(media, unsupported),
        (Part::Media(media), Role::System | Role::Assistant) => {
            unsupported.add(field_of(media.kind));
            None
        }
        (Part::Call(call), Role::Assistant) => Some(NewBlock::ToolUse {
            id: &call.id,
            name: &call.name,
            input: input(call),
            cache_control: call.cache.as_ref(),
        }),
        (Part::Result { call, parts, failed, cache }, Role::User) => Some(NewBlock::ToolResult {
            tool_use_id: call,
            content: result(parts, unsupported),
            is_error: *failed,
            cache_control: cache.as_ref(),
        }),
        (Part::Thinking { text, signature: Some(signature) }, Role::Assistant)
            if !escaped_text(signature).starts_with(PLACEHOLDER_PREFIX) && !escaped_text(signature).is_empty() =>
        {
            Some(NewBlock::Thinking { thinking: text, signature })
        }
        (Part::Redacted(data), Role::Assistant) => Some(NewBlock::RedactedThinking { data }),
        // The API refuses thinking without a signature, and the model does not need it.
        (Part::Text { .. } | Part::Thinking { .. } | Part::Redacted(_), _) => None,
        (Part::Call(_), Role::User | Role::System) => {
            unsupported.add("messages[].tool_calls");
            None
        }
        (Part::Result { .. }, Role::Assistant | Role::System) => {
            unsupported.add("messages[].tool_call_id");
            None
        }
    }
}

/// A call's arguments as an object. Other JSON is kept in an object under a name that says so.
fn input<'a>(call: &'a ToolCall<'a>) -> Raw<'a> {
    if call.arguments.get().starts_with('{') { call.arguments.clone() } else { arguments_object(call.arguments.get()) }
}

fn result<'a>(parts: &'a [Part<'a>], unsupported: &mut UnsupportedFields) -> Option<MessageContent<'a>> {
    let blocks: Vec<_> =
        parts.iter().filter_map(|part| block(part, Role::User, unsupported).map(ContentBlock::New)).collect();
    (!blocks.is_empty()).then(|| content(blocks))
}

fn field_of(kind: MediaKind) -> &'static str {
    match kind {
        MediaKind::Image => "messages[].content[].image_url",
        MediaKind::Audio => "messages[].content[].input_audio",
        MediaKind::Document => "messages[].content[].file",
    }
}

fn media_block<'a>(media: &'a Media<'a>, unsupported: &mut UnsupportedFields) -> Option<NewBlock<'a>> {
    let cache_control = media.cache.as_ref();
    let source = source(media);
    if source.is_none() {
        unsupported.add(field_of(media.kind));
    }
    let source = source?;
    match media.kind {
        MediaKind::Image => Some(NewBlock::Image { source, cache_control }),
        MediaKind::Document => Some(NewBlock::Document { source, title: media.name.as_ref(), cache_control }),
        MediaKind::Audio => None,
    }
}

/// Images, PDF and plain text are supported; audio and other documents are not.
fn source<'a>(media: &'a Media<'a>) -> Option<BlockSource<'a>> {
    match (&media.source, media.kind) {
        (_, MediaKind::Audio) => None,
        (MediaSource::Url(url), _) => Some(BlockSource::Url { url }),
        (MediaSource::Data { mime, base64 }, MediaKind::Image) => {
            Some(BlockSource::Base64 { media_type: mime, data: base64 })
        }
        (MediaSource::Data { mime, base64 }, MediaKind::Document) if mime == "application/pdf" => {
            Some(BlockSource::Base64 { media_type: mime, data: base64 })
        }
        (MediaSource::Data { mime, base64: data }, MediaKind::Document) if mime.starts_with("text/") => {
            let data = String::from_utf8(base64::decode(data)?).ok()?;
            Some(BlockSource::Text { media_type: "text/plain", data })
        }
        (MediaSource::Data { .. }, MediaKind::Document) => None,
    }
}
