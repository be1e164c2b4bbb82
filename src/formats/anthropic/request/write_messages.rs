//! A conversation as the API wants it: instructions apart, turns that alternate, results before what else a person says.

use super::super::wire::api::OURS;
use super::super::wire::json::{arguments, inside, is_empty_text, object};
use super::super::wire::request::{Block, Content, Message, Piece, Source as Wire};
use crate::canonical::{Media, MediaKind, MediaSource, ModelRequest, Part, Raw, Role, ToolCall, Turn};
use crate::formats::unsupported::Dropped;
use crate::wire::base64;

/// The instructions, wherever they stand, and the turns.
pub(crate) fn conversation<'a>(
    request: &'a ModelRequest<'a>,
    dropped: &mut Dropped,
) -> (Option<Content<'a>>, Vec<Message<'a>>) {
    let mut system = Vec::new();
    let mut sides: Vec<(Role, Vec<Piece<'a>>)> = Vec::new();
    for turn in &request.turns {
        if turn.role == Role::System {
            pieces(turn, &mut system, dropped);
            continue;
        }
        match sides.last_mut() {
            Some((role, said)) if *role == turn.role => pieces(turn, said, dropped),
            _ => {
                let mut said = Vec::new();
                pieces(turn, &mut said, dropped);
                // A turn that says nothing does not part its neighbours.
                if !said.is_empty() {
                    sides.push((turn.role, said));
                }
            }
        }
    }
    let messages = sides.into_iter().map(|(role, mut said)| {
        if role == Role::User {
            said.sort_by_key(|piece| !is_result(piece));
            Message { role: "user", content: content(said) }
        } else {
            Message { role: "assistant", content: content(said) }
        }
    });
    let messages = messages.collect();
    ((!system.is_empty()).then(|| content(system)), messages)
}

/// Whether the model's turn, which goes on with results, does not begin with what it thought: with a budget, the API refuses that.
pub(crate) fn forgot(messages: &[Message<'_>]) -> bool {
    let has_result = |message: &&Message<'_>| matches!(&message.content, Content::Blocks(said) if said.first().is_some_and(is_result));
    let since = messages.iter().rev().take_while(|message| message.role == "assistant" || has_result(message));
    let Some(first) = since.filter(|message| message.role == "assistant").last() else { return false };
    let Content::Blocks(said) = &first.content else { return false };
    !said.first().is_some_and(is_thought)
        && said.iter().any(|piece| matches!(piece, Piece::Made(Block::ToolUse { .. })))
}

fn is_thought(piece: &Piece<'_>) -> bool {
    matches!(piece, Piece::Kept(_) | Piece::Made(Block::Thinking { .. } | Block::RedactedThinking { .. }))
}

fn is_result(piece: &Piece<'_>) -> bool {
    matches!(piece, Piece::Made(Block::ToolResult { .. }))
}

/// One plain text needs no blocks.
fn content(mut pieces: Vec<Piece<'_>>) -> Content<'_> {
    if let [Piece::Made(Block::Text { text, cache_control: None })] = pieces.as_slice() {
        return Content::Text(text);
    }
    pieces.shrink_to_fit();
    Content::Blocks(pieces)
}

fn pieces<'a>(turn: &'a Turn<'a>, said: &mut Vec<Piece<'a>>, dropped: &mut Dropped) {
    let start = said.len();
    for part in &turn.parts {
        if let (Part::Call(call), Role::Assistant) = (part, turn.role) {
            remember(call, start, said);
        }
        said.extend(block(part, turn.role, dropped).map(Piece::Made));
    }
}

/// Puts back what the model thought before a call. The first of it opened the turn.
fn remember<'a>(call: &'a ToolCall<'a>, start: usize, said: &mut Vec<Piece<'a>>) {
    let Some(kept) = call.reasoning_state.as_ref().and_then(|memory| thoughts(memory)) else { return };
    let at = if said.iter().skip(start).any(is_thought) { said.len() } else { start };
    said.splice(at..at, kept.into_iter().map(Piece::Kept));
}

/// The blocks in a memory; `None` if it is not of this format.
fn thoughts<'a>(memory: &'a Raw<'a>) -> Option<Vec<Raw<'a>>> {
    #[derive(serde::Deserialize)]
    struct Kind<'k> {
        #[serde(borrow, rename = "type")]
        kind: std::borrow::Cow<'k, str>,
    }
    let blocks: Vec<Raw<'a>> = serde_json::from_str(memory.get()).ok()?;
    let ours = |raw: &Raw<'_>| {
        object::<Kind<'_>>(raw.get().as_bytes())
            .is_some_and(|block| matches!(block.kind.as_ref(), "thinking" | "redacted_thinking"))
    };
    blocks.iter().all(ours).then_some(blocks)
}

fn block<'a>(part: &'a Part<'a>, role: Role, dropped: &mut Dropped) -> Option<Block<'a>> {
    match (part, role) {
        (Part::Text { text, cache }, _) if !is_empty_text(text) => {
            Some(Block::Text { text, cache_control: cache.as_ref() })
        }
        (Part::Media(media), Role::User) => media_block(media, dropped),
        (Part::Media(media), Role::System | Role::Assistant) => {
            dropped.add(media_name(media.kind));
            None
        }
        (Part::Call(call), Role::Assistant) => Some(Block::ToolUse {
            id: &call.id,
            name: &call.name,
            input: input(call),
            cache_control: call.cache.as_ref(),
        }),
        (Part::Result { call, parts, failed, cache }, Role::User) => Some(Block::ToolResult {
            tool_use_id: call,
            content: result(parts, dropped),
            is_error: *failed,
            cache_control: cache.as_ref(),
        }),
        (Part::Thinking { text, signature: Some(signature) }, Role::Assistant)
            if !inside(signature).starts_with(OURS) && !inside(signature).is_empty() =>
        {
            Some(Block::Thinking { thinking: text, signature })
        }
        (Part::Redacted(data), Role::Assistant) => Some(Block::RedactedThinking { data }),
        // Thoughts without a proof are refused; the model does not miss them.
        (Part::Text { .. } | Part::Thinking { .. } | Part::Redacted(_), _) => None,
        (Part::Call(_), Role::User | Role::System) => {
            dropped.add("messages[].tool_calls");
            None
        }
        (Part::Result { .. }, Role::Assistant | Role::System) => {
            dropped.add("messages[].tool_call_id");
            None
        }
    }
}

/// A call's arguments; what is no object is kept, under a name that says so.
fn input<'a>(call: &'a ToolCall<'a>) -> Raw<'a> {
    if call.arguments.get().starts_with('{') { call.arguments.clone() } else { arguments(call.arguments.get()) }
}

fn result<'a>(parts: &'a [Part<'a>], dropped: &mut Dropped) -> Option<Content<'a>> {
    let pieces: Vec<_> = parts.iter().filter_map(|part| block(part, Role::User, dropped).map(Piece::Made)).collect();
    (!pieces.is_empty()).then(|| content(pieces))
}

fn media_name(kind: MediaKind) -> &'static str {
    match kind {
        MediaKind::Image => "messages[].content[].image_url",
        MediaKind::Audio => "messages[].content[].input_audio",
        MediaKind::Document => "messages[].content[].file",
    }
}

fn media_block<'a>(media: &'a Media<'a>, dropped: &mut Dropped) -> Option<Block<'a>> {
    let cache_control = media.cache.as_ref();
    let source = source(media);
    if source.is_none() {
        dropped.add(media_name(media.kind));
    }
    let source = source?;
    match media.kind {
        MediaKind::Image => Some(Block::Image { source, cache_control }),
        MediaKind::Document => Some(Block::Document { source, title: media.name.as_ref(), cache_control }),
        MediaKind::Audio => None,
    }
}

/// Pictures, PDF and plain text can be told; sound cannot, nor can documents of other kinds.
fn source<'a>(media: &'a Media<'a>) -> Option<Wire<'a>> {
    match (&media.source, media.kind) {
        (_, MediaKind::Audio) => None,
        (MediaSource::Url(url), _) => Some(Wire::Url { url }),
        (MediaSource::Data { mime, base64 }, MediaKind::Image) => Some(Wire::Base64 { media_type: mime, data: base64 }),
        (MediaSource::Data { mime, base64 }, MediaKind::Document) if mime == "application/pdf" => {
            Some(Wire::Base64 { media_type: mime, data: base64 })
        }
        (MediaSource::Data { mime, base64: data }, MediaKind::Document) if mime.starts_with("text/") => {
            let data = String::from_utf8(base64::decode(data)?).ok()?;
            Some(Wire::Text { media_type: "text/plain", data })
        }
        (MediaSource::Data { .. }, MediaKind::Document) => None,
    }
}
