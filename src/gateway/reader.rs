//! Reads the stream of one attempt: passes the provider's bytes on and taps them, or translates them for the
//! client's format.

use std::borrow::Cow;

use super::reasoning::{ReasoningCache, Unstored};
use super::shown::Shown;
use super::writer::ResponseWriter;
use crate::canonical::{ResponseEvent, Usage};
use crate::config::{RelayKind, StreamUsage, Streaming};
use crate::error::Error;
use crate::formats::summary::ResponseSummary;
use crate::formats::tap::{StreamTap, TapOptions, finish_tapped};
use crate::formats::{ClientFormat, ProviderFormat, StreamDecoder, ToolNames};
use crate::policy::tokens::estimate_from_bytes;

/// What ends an event.
const EVENT_END: &[u8] = b"\n\n";

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
    /// The length of the request in bytes.
    prompt_length: u64,
    /// The decoder knows that the stream is over.
    is_closed: bool,
}

/// What a translated stream is read with.
#[derive(Default)]
pub(super) struct TranslationContext {
    /// The text is kept for the log.
    pub(super) keeps_text: bool,
    /// Where reasoning state is stored that the provider wants back and the client cannot carry.
    pub(super) cache: Option<ReasoningCache>,
    /// The client carries that state itself, sealed.
    pub(super) carries_state: bool,
    /// The tools that were sent under other names than the client's.
    pub(super) tools: ToolNames,
    /// The length of the request in bytes.
    pub(super) prompt_length: u64,
}

impl ResponseReader {
    /// A reader of a stream whose bytes pass to a client of the same format.
    pub(super) fn tapped(
        format: &ProviderFormat,
        client: &ClientFormat,
        streaming: &Streaming,
        options: StreamOptions,
    ) -> Self {
        let tap = (format.tap)(options.tap(streaming));
        Self::Tapped(match client.retap {
            Some(write) => write(tap),
            None => tap,
        })
    }

    /// A reader of a stream that is translated.
    pub(super) fn translating(context: TranslationContext, format: &ProviderFormat) -> Self {
        let TranslationContext { keeps_text, cache, carries_state, tools, prompt_length } = context;
        let summary = ResponseSummary::default().keep_text(keeps_text);
        let decoder = (format.stream)();
        Self::Translating(Translation {
            decoder,
            summary,
            cache,
            carries_state,
            tools,
            prompt_length,
            is_closed: false,
        })
    }

    /// What belongs to the response of a translated call, for another reader.
    pub(super) fn into_kept(self) -> (Option<ReasoningCache>, ToolNames) {
        match self {
            Self::Tapped(_) => Default::default(),
            Self::Translating(translation) => (translation.cache, translation.tools),
        }
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
                if writer.shown().is_some() {
                    translation.read_lines(bytes, writer, &mut out);
                } else {
                    translation.read(writer, &mut out, |decoder, each| decoder.push(bytes, each));
                }
                Cow::Owned(out)
            }
        }
    }

    /// The provider's stream is over. Returns what may pass on to the client because of that; more may come
    /// of [`ResponseReader::finish`].
    pub(super) fn close(&mut self, writer: &mut ResponseWriter) -> Vec<u8> {
        let mut out = Vec::new();
        match self {
            Self::Tapped(tap) => {
                tap.close();
                // The last event may lack its line ends.
                if !tap.summary().is_complete() {
                    out.extend_from_slice(&tap.push(EVENT_END));
                }
            }
            Self::Translating(translation) => translation.close(writer, &mut out),
        }
        out
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
    pub(super) fn unstored(&mut self) -> Option<Unstored> {
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

    /// Reads line by line, so that nothing is read behind what cannot be read: what follows a gap must not
    /// pass for what follows the text.
    fn read_lines(&mut self, bytes: &[u8], writer: &mut ResponseWriter, out: &mut Vec<u8>) {
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            if self.has_gap(writer) {
                return;
            }
            self.read(writer, out, |decoder, each| decoder.push(line, each));
        }
    }

    /// Whether what comes cannot follow what has come.
    fn has_gap(&self, writer: &ResponseWriter) -> bool {
        let summary = &self.summary;
        let is_broken = writer.shown().is_some_and(Shown::is_broken);
        !summary.is_complete() && (summary.malformed > 0 || summary.error.is_some() || is_broken)
    }

    fn close(&mut self, writer: &mut ResponseWriter, out: &mut Vec<u8>) {
        let stands = writer.shown().is_some() && self.has_gap(writer);
        if stands || std::mem::replace(&mut self.is_closed, true) {
            return;
        }
        self.read(writer, out, |decoder, each| decoder.finish(each));
    }

    fn finish(&mut self, failure: &Error, writer: &mut ResponseWriter, out: &mut Vec<u8>) {
        self.close(writer, out);
        // What the provider reported has been kept back.
        if writer.shown().is_some() && self.summary.error.is_some() {
            writer.finish(self.summary.error.as_ref(), out);
        }
        if self.summary.error.is_none() {
            let failure = Some(failure).filter(|_| !self.summary.is_complete());
            if failure.is_none() && self.summary.usage.is_none() {
                let usage =
                    Usage::estimated(estimate_from_bytes(self.prompt_length), estimate_from_bytes(self.summary.length));
                writer.event(&ResponseEvent::Usage(usage), out);
            }
            self.summary.withheld_usage = writer.finish(failure, out);
        }
    }
}
