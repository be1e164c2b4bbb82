//! Responses of the gateway's own, for the `echo` provider.

use super::attempt::{Attempt, sparse};
use super::deadlines::Deadlines;
use super::drive::{Answer, Drive};
use super::exchange::unknown_format;
use super::forward::{write_end, write_script};
use super::metering::{MeteredPrompt, Metering, Reported, ResponseUsage};
use super::platform::{Platform, StreamHead};
use super::reader::{ResponseReader, StreamOptions, TranslationContext};
use super::record::{Fact, ResponseFacts};
use super::relay::{StreamEnd, StreamRelay, StreamRules};
use super::response_context::response_head;
use super::script::EchoScript;
use super::writer::ResponseWriter;
use super::{Body, Response};
use crate::canonical::ResponseEvent;
use crate::config::{Millis, Streaming};
use crate::error::Result;
use crate::formats::{self, CHAT, ClientFormat, ResponseHead, UsageReport, echo};

/// A response of the gateway's own.
#[expect(clippy::large_enum_variant, reason = "it is taken apart at once; a box would be one allocation more")]
pub(super) enum LocalResponse<P: Platform> {
    /// A whole one.
    Whole(Response<P>),
    /// One that is streamed.
    Stream(EchoScript, StreamRelay),
}

impl<P: Platform> Drive<'_, P> {
    /// Makes a response without a provider.
    ///
    /// # Errors
    /// 400 for what the client's format does not allow.
    pub(super) fn prepare_locally(&mut self, attempt: &Attempt<'_, '_, '_>) -> Result<LocalResponse<P>> {
        let (envelope, target, client) = (attempt.envelope, attempt.target, self.client);
        let head = self.local_head(attempt, client);
        let request = envelope.operation.read_conversation(sparse(&envelope.document)?)?;
        let steps = echo::respond(&request, &target.model.echo);
        self.charge_locally(attempt, &steps);
        if !envelope.delivery.is_stream() {
            let head = ResponseHead { completed: Some(head.created), ..head };
            let events: Vec<ResponseEvent<'_>> = steps.into_iter().map(|(_, event)| event).collect();
            return Ok(LocalResponse::Whole(Response::json(200, Body::Bytes((client.whole)(&head, &events)))));
        }
        let cost = self.record.exact_cost().unwrap_or_else(|| "null".to_owned());
        if let Some(format) = formats::provider_format(client.name).filter(|_| client.retap.is_none()) {
            let options = self.local_options();
            let reader = ResponseReader::tapped(format, client, &Streaming::default(), options);
            let relay = self.local_relay(attempt, reader, ResponseWriter::passthrough(client));
            return Ok(LocalResponse::Stream(script(client, head, &steps, &cost), relay));
        }
        // No provider speaks the client's format, or none in its framing: the stream is one of another
        // format, and translated.
        let format = formats::provider_format(CHAT.name).ok_or_else(unknown_format)?;
        let spoken = ResponseHead { include_usage: true, include_cost: false, ..self.local_head(attempt, CHAT) };
        let text = self.local_options().text;
        let context = TranslationContext { keeps_text: text, ..TranslationContext::default() };
        let reader = ResponseReader::translating(context, format);
        let relay = self.local_relay(attempt, reader, ResponseWriter::encoding(client, head));
        Ok(LocalResponse::Stream(script(CHAT, spoken, &steps, &cost), relay))
    }

    /// The head of the gateway's own response in a format.
    fn local_head(&self, attempt: &Attempt<'_, '_, '_>, format: &ClientFormat) -> ResponseHead {
        let (model, fingerprint) = (attempt.target.upstream.clone().into_owned(), Some(echo::FINGERPRINT));
        ResponseHead { model, fingerprint, ..response_head(self.platform, format, attempt.envelope) }
    }

    /// What is read of the gateway's own stream.
    fn local_options(&self) -> StreamOptions {
        let text = self.bridge.config.logging.fields.shows("response");
        StreamOptions { usage: Some(true), cost: false, choices: 1, text }
    }

    /// Sends a response of the gateway's own, or returns it if it is whole.
    pub(super) async fn answer_locally(&mut self, response: LocalResponse<P>) -> Answer<P> {
        match response {
            LocalResponse::Whole(response) => Answer::Whole(response),
            LocalResponse::Stream(script, relay) => {
                self.play(script, relay).await;
                Answer::Streamed
            }
        }
    }

    /// The usage of the gateway's own response is known before it is sent.
    fn charge_locally(&mut self, attempt: &Attempt<'_, '_, '_>, steps: &[(Millis, ResponseEvent<'_>)]) {
        let called = self.platform.now();
        let metering = Metering::of(&attempt.card, MeteredPrompt::default(), called);
        self.record.apply(Fact::AttemptStarted { metering: Some(metering), dropped: None });
        let usage = steps.iter().find_map(|(_, event)| match event {
            ResponseEvent::Usage(usage) => Some(*usage),
            _ => None,
        });
        if let Some(usage) = usage {
            let usage = ResponseUsage { reported: Reported::Total(usage), ..ResponseUsage::default() };
            self.record.apply(Fact::AttemptEnded(ResponseFacts { usage: Some(usage), ..ResponseFacts::default() }));
        }
    }

    /// Reads the gateway's own stream as if a provider sent it.
    fn local_relay(
        &self,
        attempt: &Attempt<'_, '_, '_>,
        reader: ResponseReader,
        writer: ResponseWriter,
    ) -> StreamRelay {
        let target = attempt.target;
        let deadlines = Deadlines::new(target.clocks, 0, self.record.started(), self.platform.now());
        let rules =
            StreamRules { deadlines, outlives_client: self.outlives_client(target), keeper: None, is_followed: false };
        StreamRelay::new(self.bridge, target.index, reader, writer, rules)
    }

    /// Sends the events of a script with their pauses.
    async fn play(&mut self, script: EchoScript, mut relay: StreamRelay) {
        let Ok(mut sink) = self.begin(StreamHead::events(self.client.framing)) else {
            self.end_stream(relay.finish(StreamEnd::Broken, self.platform.now()).end);
            return;
        };
        let end = write_script(self.platform, &self.record, script, &mut relay, &mut sink).await;
        if let Some(at) = relay.first_byte() {
            self.record.apply(Fact::FirstByte { at });
        }
        let finished = relay.finish(end, self.platform.now());
        // Settled before the last bytes: a client may take them late, or never.
        let cost = self.end_stream(finished.end);
        if end != StreamEnd::ClientLeft {
            write_end(self.platform, &mut sink, &finished.tail.into_bytes(cost.as_deref())).await;
        }
    }
}

/// A response of the gateway's own as a stream, its end in one piece.
fn script(client: &ClientFormat, head: ResponseHead, steps: &[(Millis, ResponseEvent<'_>)], cost: &str) -> EchoScript {
    let mut stream = (client.stream)(head);
    let (mut frames, mut last) = (Vec::with_capacity(steps.len()), Vec::new());
    for (pause, event) in steps {
        if matches!(event, ResponseEvent::Finish { .. } | ResponseEvent::Usage(_) | ResponseEvent::End) {
            stream.event(event, &mut last);
            continue;
        }
        let mut frame = Vec::new();
        stream.event(event, &mut frame);
        frames.push((*pause, frame));
    }
    stream.finish(None, &mut last);
    if let Some(json) = stream.withheld_usage() {
        (client.insert_cost)(UsageReport { json, cost, is_complete: true }, &mut last);
    }
    frames.push((0, last));
    frames.into_iter()
}
