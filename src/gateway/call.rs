//! One call of a provider: sends it, waits for the head of the response, and reads its body into memory as
//! far as there is room.

use super::live::ended_by_admin;
use super::memory::{self, MemoryReservation};
use super::platform::{CallError, Egress, Piece as _, Platform, ProviderRequest, ProviderResponse as _, ReadError};
use super::wait::{wait_for_room, within};
use crate::config::Millis;
use crate::error::Error;
use crate::formats::statement::StatedHeaders;
use crate::policy::region::{CallOutcome, OUTCOME};
use crate::wire::byte_order_mark::drop_byte_order_mark;
use crate::wire::sse;

/// A response of a known length up to this is read in one step, in bytes.
const AT_ONCE: usize = 4 << 20;

/// The code of a call for which an object has no room.
pub(super) const REGION_FULL: &str = "region_full";
/// The code of a call whose object is in a place to be avoided.
pub(super) const REGION_MISPLACED: &str = "region_misplaced";

/// So much of a refusal is read, in bytes.
const MAX_REFUSAL: usize = 64 << 10;

/// A provider's response, read.
pub enum GatheredBody<P: Platform> {
    /// All of it: a copy to look into, and the bytes to hand on, where they are kept outside as well.
    Whole(Vec<u8>, Option<P::Buffer>),
    /// It is longer than that: what is still to be read, and its beginning.
    Long(P::Stream, Vec<u8>),
}

/// Calls a provider and waits for the head of its response, `limit` milliseconds at most. `room` holds the
/// request's body, and is given back when that has been sent.
pub(super) async fn send<P: Platform>(
    platform: &P,
    request: ProviderRequest,
    limit: Millis,
    room: Option<MemoryReservation>,
) -> Result<P::Answer, CallError> {
    if !request.ends_with_client {
        platform.state().watches_client.set(true);
    }
    let is_in_region = matches!(request.egress, Egress::Region(..));
    let mut call = platform.call(request)?;
    if let Some(upload) = platform.take_upload(&mut call) {
        let (uploading, platform) = (platform.upload(upload), platform.clone());
        platform.clone().keep(async move {
            let _ = within(&platform, limit, uploading).await;
            drop(room);
        });
    }
    let answer = within(platform, limit, platform.head(&mut call)).await;
    if matches!(answer, Err(CallError::TimedOut | CallError::ClientLeft | CallError::Ended)) {
        platform.abort_call(&call);
    }
    if is_in_region { answer.and_then(|answer| in_region(platform, answer)) } else { answer }
}

/// The provider's response to a call that was made in a region.
fn in_region<P: Platform>(platform: &P, answer: P::Answer) -> Result<P::Answer, CallError> {
    let outcome = answer.header(OUTCOME).and_then(|text| CallOutcome::read(&text));
    let failed = match outcome {
        Some(CallOutcome::Answered(_)) | None => return Ok(answer),
        Some(CallOutcome::Full) => CallError::Egress(region_full()),
        Some(CallOutcome::Avoided(place)) => CallError::Egress(region_misplaced(&place.to_string())),
        Some(CallOutcome::Broken) => CallError::Broken,
    };
    platform.abort_answer(&answer);
    Err(failed)
}

/// The error of a call for which no object of a region has room.
pub(super) fn region_full() -> Error {
    let message = "Too many calls wait for this provider in its region. Send the request again in a moment.";
    Error::gateway(503, REGION_FULL, message).with_header("retry-after", "1")
}

/// The error of a call from a region whose objects are in places to be avoided.
pub(super) fn region_misplaced(places: &str) -> Error {
    let message = format!(
        "The platform has placed what calls this provider in {places}, where providers refuse calls. The gateway's operator can set another `region`."
    );
    Error::gateway(503, REGION_MISPLACED, message)
}

/// Reads a response within `limit` milliseconds, `most` bytes of it at most; of a longer one, the beginning.
/// `room` grows with what is read; where there is none, the response waits for some.
pub(super) async fn gather<P: Platform>(
    platform: &P,
    answer: P::Answer,
    limit: Millis,
    most: usize,
    room: &MemoryReservation,
) -> Result<GatheredBody<P>, CallError> {
    let length = answer.length();
    if let Some(length) = length.filter(|length| *length <= most.min(AT_ONCE)) {
        let read = match wait_for_room(platform, room, length).await {
            Ok(()) => within(platform, limit, platform.read_answer(&answer)).await,
            Err(error) => Err(error),
        };
        let (mut bytes, buffer) = read.inspect_err(|_| platform.abort_answer(&answer))?;
        let had_mark = drop_byte_order_mark(&mut bytes);
        return Ok(GatheredBody::Whole(bytes, Some(buffer).filter(|_| !had_mark)));
    }
    let stream = platform.open_answer(answer);
    gather_rest(platform, (stream, Vec::new()), limit, (most, length.unwrap_or(0)), room).await
}

/// As [`gather`], for a response whose beginning has been read. `length`: its announced length, or 0.
pub(super) async fn gather_rest<P: Platform>(
    platform: &P,
    (mut stream, mut bytes): (P::Stream, Vec<u8>),
    limit: Millis,
    (most, length): (usize, usize),
    room: &MemoryReservation,
) -> Result<GatheredBody<P>, CallError> {
    let until = platform.now().saturating_add(limit);
    let ended = read_pieces(platform, &mut stream, until, (&mut bytes, most, length), room).await;
    match ended.inspect_err(|_| platform.abort(&stream))? {
        true => {
            drop_byte_order_mark(&mut bytes);
            Ok(GatheredBody::Whole(bytes, None))
        }
        false => Ok(GatheredBody::Long(stream, bytes)),
    }
}

/// Reads piece by piece until the end or until there are more than `most` bytes; whether it has ended.
async fn read_pieces<P: Platform>(
    platform: &P,
    stream: &mut P::Stream,
    until: Millis,
    (bytes, most, length): (&mut Vec<u8>, usize, usize),
    room: &MemoryReservation,
) -> Result<bool, CallError> {
    loop {
        let left = until.saturating_sub(platform.now());
        let Some(piece) = within(platform, left, platform.next(stream)).await? else { return Ok(true) };
        let whole = bytes.len().saturating_add(piece.length());
        wait_for_room(platform, room, whole).await?;
        let expected = length.min(most).saturating_sub(bytes.len()).max(bytes.len() / 4);
        if bytes.capacity() - bytes.len() < piece.length() {
            bytes.try_reserve_exact(piece.length().max(expected)).map_err(|_| CallError::NoRoom)?;
        }
        piece.append_to(bytes);
        if whole > most {
            return Ok(false);
        }
    }
}

/// Reads at most `most` bytes of a response and aborts the rest. Returns nothing if reading takes longer than
/// `limit` milliseconds.
pub(super) async fn read_beginning<P: Platform>(
    platform: &P,
    answer: P::Answer,
    most: usize,
    limit: Millis,
) -> Vec<u8> {
    let mut stream = platform.open_answer(answer);
    let read = within(platform, limit, async {
        let mut bytes = Vec::new();
        while let Some(piece) = platform.next(&mut stream).await? {
            piece.append_to(&mut bytes);
            if bytes.len() > most {
                bytes.truncate(most);
                break;
            }
        }
        Ok::<_, ReadError>(bytes)
    })
    .await;
    platform.abort(&stream);
    read.unwrap_or_default()
}

/// Reads the error of a provider that refused a request, with all that it states of when to come again. Its
/// hints that clients know are passed on as headers of the error.
pub(super) async fn read_refusal<P: Platform>(
    platform: &P,
    answer: P::Answer,
    limit: Millis,
    read: fn(u16, &[u8]) -> Error,
) -> Error {
    let status = answer.status();
    let headers = StatedHeaders::of(|name| answer.header(name));
    let mut body = read_beginning(platform, answer, MAX_REFUSAL, limit).await;
    drop_byte_order_mark(&mut body);
    // Some hosts write the refusal of a stream as an event.
    let event = sse::first_data(&body);
    let error = read(status, event.as_deref().unwrap_or(&body));
    let hints = if error.status() == status { headers.passed_on() } else { Vec::new() };
    hints.into_iter().fold(headers.add_to(error), |error, (name, value)| error.with_header(name, value))
}

/// The error of a call that got no response.
pub fn call_failed(lost: CallError) -> Error {
    match lost {
        CallError::TimedOut => {
            Error::upstream(504, "upstream_timeout", "The provider did not answer in the time allowed.")
        }
        CallError::TooLarge => unpacked_too_large(),
        CallError::NoRoom => memory::full(),
        CallError::Ended => ended_by_admin(),
        // Nobody reads the message if the client has disconnected.
        CallError::Broken | CallError::ClientLeft => {
            Error::upstream(502, "upstream_unreachable", "The provider could not be reached, or broke the connection.")
        }
        CallError::Egress(error) => error,
    }
}

/// The error of a response that is longer than this gateway holds, in bytes.
pub(super) fn too_long(most: usize) -> Error {
    too_large(format!("The provider's answer is longer than this gateway holds ({most} bytes)."))
}

/// The error of a response that is longer than the frame of a WebSocket that has to hold all of it.
pub fn unframed(most: usize) -> Error {
    too_large(format!(
        "The answer is longer than a frame may be ({most} bytes). Ask for it with `stream`, or over HTTP, where it passes in pieces."
    ))
}

/// The error of a compressed response that holds more than this gateway unpacks.
pub(super) fn unpacked_too_large() -> Error {
    too_large("The provider compressed its answer, which is longer than this gateway unpacks.")
}

fn too_large(message: impl Into<String>) -> Error {
    Error::upstream(502, "answer_too_large", message)
}
