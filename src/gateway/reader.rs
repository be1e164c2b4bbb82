//! Reads the stream of one attempt: passes the provider's bytes on and taps them, or translates them for the
//! client's format.

use std::borrow::Cow;

use super::reasoning::{ReasoningCache, UnstoredSignature};
use super::writer::ResponseWriter;
use crate::canonical::ResponseEvent;
use crate::config::{RelayKind, StreamUsage, Streaming};
use crate::error::Error;
use crate::formats::summary::ResponseSummary;
use crate::formats::tap::{StreamTap, TapOptions, finish_tapped};
use crate::formats::{ProviderFormat, StreamDecoder, ToolNames};

/// What the client wants of a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct StreamOptions {
    /// The usage, if the client says whether it wants it.
    pub(super) usage: Option<bool>,
    /// The cost, within the usage.
    pub(super) cost: bool,
    /// How many choices were asked for.
    pub(super) choices: u64,
    /// The text is kept for the log.
    pub(super) text: bool,
}

impl StreamOptions {
    /// What a tap has to do on a stream of this provider.
    fn tap(self, streaming: &Streaming) -> TapOptions {
        let hides_usage = match streaming.usage {
            StreamUsage::Show => self.usage == Some(false),
            StreamUsage::Hide => self.usage != Some(true),
            StreamUsage::Leave => false,
        };
        TapOptions {
            text: self.text,
            checked: hides_usage || self.cost || streaming.relay == RelayKind::Checked,
            choices: self.choices,
            hides_usage,
            withholds_usage: self.cost && !hides_usage,
        }
    }
}

/// Reads one attempt's stream.
#[expect(clippy::large_enum_variant, reason = "one for each response; a box would be one allocation more")]
pub(super) enum ResponseReader {
    /// The client gets the provider's bytes, all of them or those of sound events.
    Tapped(Box<dyn StreamTap>),
    /// The events are written in the client's format.
    Translating(Translation),
}

/// A stream that is written in another format.
pub(super) struct Translation {
    decoder: Box<dyn StreamDecoder>,
    summary: ResponseSummary,
    /// Where reasoning state is stored that the provider wants back and the client cannot carry.
    cache: Option<ReasoningCache>,
    /// The client carries that state itself, sealed.
    carries_state: bool,
    /// The tools that were sent under other names than the client's.
    tools: ToolNames,
}

impl ResponseReader {
    /// A reader of a stream whose bytes pass to a client of the same format.
    pub(super) fn tapped(format: &ProviderFormat, streaming: &Streaming, options: StreamOptions) -> Self {
        Self::Tapped((format.tap)(options.tap(streaming)))
    }

    /// A reader of a stream that is translated. `text`: it is kept for the log. Beside the cache: whether the
    /// client carries the state.
    pub(super) fn translating(
        format: &ProviderFormat,
        text: bool,
        (cache, carries_state): (Option<ReasoningCache>, bool),
        tools: ToolNames,
    ) -> Self {
        let summary = ResponseSummary::default().keep_text(text);
        Self::Translating(Translation { decoder: (format.stream)(), summary, cache, carries_state, tools })
    }

    /// Whether all bytes have to be read before they pass on; if not, the runtime may pipe them once content
    /// has come.
    pub(super) fn is_checked(&self) -> bool {
        match self {
            Self::Tapped(tap) => tap.is_checked(),
            Self::Translating(_) => true,
        }
    }

    /// Whether the client gets other bytes than the provider's.
    pub(super) fn is_translating(&self) -> bool {
        matches!(self, Self::Translating(_))
    }

    /// Reads more of the stream. Returns what may pass on to the client, after [`ResponseReader::unstored`]
    /// has been stored.
    pub(super) fn push<'b>(&mut self, bytes: &'b [u8], writer: &mut ResponseWriter) -> Cow<'b, [u8]> {
        match self {
            Self::Tapped(tap) => tap.push(bytes),
            Self::Translating(translation) => {
                let mut out = Vec::new();
                translation.read(writer, &mut out, |decoder, each| decoder.push(bytes, each));
                Cow::Owned(out)
            }
        }
    }

    /// The stream has ended. Returns what the client still has to get; `failure` is reported to it if the
    /// response is incomplete.
    pub(super) fn finish(&mut self, failure: &Error, writer: &mut ResponseWriter) -> Vec<u8> {
        let mut out = Vec::new();
        match self {
            Self::Tapped(tap) => finish_tapped(tap.as_mut(), writer.passthrough_end(), failure, &mut out),
            Self::Translating(translation) => translation.finish(failure, writer, &mut out),
        }
        out
    }

    /// The reasoning state that came since the last call, to be stored before the client gets what came with
    /// it.
    pub(super) fn unstored(&mut self) -> Option<UnstoredSignature> {
        let Self::Translating(Translation { summary, cache: Some(cache), .. }) = self else { return None };
        cache.seal_all(std::mem::take(&mut summary.reasoning_states))
    }

    /// Whether what has passed ends between two events, so that a comment may be inserted.
    pub(super) fn is_between_events(&self) -> bool {
        match self {
            Self::Tapped(tap) => tap.is_between_events(),
            Self::Translating(_) => true,
        }
    }

    /// What is known of the response so far.
    pub(super) fn summary(&self) -> &ResponseSummary {
        match self {
            Self::Tapped(tap) => tap.summary(),
            Self::Translating(translation) => &translation.summary,
        }
    }
}

impl Translation {
    fn read(
        &mut self,
        writer: &mut ResponseWriter,
        out: &mut Vec<u8>,
        read: impl FnOnce(&mut dyn StreamDecoder, &mut dyn FnMut(ResponseEvent<'_>)),
    ) {
        let (summary, tools, cache, carries) = (&mut self.summary, &self.tools, &mut self.cache, self.carries_state);
        read(self.decoder.as_mut(), &mut |mut event| {
            tools.restore(&mut event);
            if summary.error.is_some() {
                return;
            }
            if let ResponseEvent::ReasoningState { id, memory } = &event {
                if !carries {
                    summary.record(&event);
                } else if let Some(sealed) = cache.as_mut().and_then(|cache| cache.seal_for_client(id.clone(), memory))
                {
                    writer.event(&sealed, out);
                }
                return;
            }
            summary.record(&event);
            writer.event(&event, out);
        });
        self.summary.malformed = self.decoder.malformed();
    }

    fn finish(&mut self, failure: &Error, writer: &mut ResponseWriter, out: &mut Vec<u8>) {
        self.read(writer, out, |decoder, each| decoder.finish(each));
        if self.summary.error.is_none() {
            let failure = Some(failure).filter(|_| !self.summary.is_complete());
            self.summary.withheld_usage = writer.finish(failure, out);
        }
    }
}
