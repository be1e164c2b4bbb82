//! A stream of the gateway's own, written with the pauses of its script.

use super::write::{push, write_within};
use crate::config::Millis;
use crate::gateway::deadlines::FLUSH_INTERVAL;
use crate::gateway::live::is_ended;
use crate::gateway::platform::Platform;
use crate::gateway::record::RequestRecord;
use crate::gateway::relay::{StreamEnd, StreamRelay};
use crate::gateway::script::EchoScript;
use crate::gateway::wait::{sleep, while_client_stays};

/// The first content leaves at once; from then on, what comes within [`FLUSH_INTERVAL`] leaves together.
pub(in crate::gateway) async fn write_script<P: Platform>(
    platform: &P,
    record: &RequestRecord,
    script: EchoScript,
    relay: &mut StreamRelay,
    sink: &mut P::Sink,
) -> StreamEnd {
    let (mut ready, mut owed) = (Vec::new(), 0);
    for (index, (pause, frames)) in script.enumerate() {
        owed += pause;
        if owed >= FLUSH_INTERVAL || (owed > 0 && index <= 2) {
            if let Err(end) = write_script_part(platform, relay, sink, &std::mem::take(&mut ready)).await {
                return end;
            }
            if let Err(end) = rest(platform, std::mem::take(&mut owed)).await {
                return end;
            }
        }
        let step = push(platform, record, relay, &frames);
        ready.extend_from_slice(&step.forward);
    }
    write_script_part(platform, relay, sink, &ready).await.map_or_else(|end| end, |()| StreamEnd::Closed)
}

async fn write_script_part<P: Platform>(
    platform: &P,
    relay: &StreamRelay,
    sink: &mut P::Sink,
    bytes: &[u8],
) -> Result<(), StreamEnd> {
    write_within(platform, sink, bytes, relay.left(platform.now()), relay.received()).await
}

/// Waits before the next event. A client that disconnects ends it, and so does an admin: the usage of the
/// gateway's own response is known.
async fn rest<P: Platform>(platform: &P, time: Millis) -> Result<(), StreamEnd> {
    let pause = async {
        sleep(platform, time).await;
        Ok(())
    };
    while_client_stays(platform, pause).await.map_err(|_| StreamEnd::ClientLeft)?;
    if is_ended(platform) { Err(StreamEnd::Ended) } else { Ok(()) }
}
