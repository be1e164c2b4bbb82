//! Recorded responses, read and written again.

use llm_bridge::canonical::{ResponseEvent, Usage};
use llm_bridge::formats::openai::tap::ChatTap;
use llm_bridge::formats::openai::{CLIENT, PROVIDER, summary};
use llm_bridge::formats::tap::{StreamTap as _, TapOptions};

use super::{Told, decoded, head};
use crate::recorded::{Recording, recordings};

#[test]
fn recorded_answers_are_read_as_they_were_meant() {
    for Recording { name, about, body } in recordings("openai-chat").into_iter().filter(|it| it.about["status"] == 200)
    {
        let streamed = about["ct"].as_str().is_some_and(|kind| kind.starts_with("text/event-stream"));
        if !streamed {
            let told = Told::whole(&body).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(told.usage, summary::of_completion(&body).unwrap().usage, "{name}");
            assert!(told.ended && !told.finish.is_empty(), "{name}");
            continue;
        }
        let mut tap = ChatTap::new(TapOptions { text: true, ..TapOptions::default() });
        tap.push(&body);
        tap.finish(&mut Vec::new());
        let heard = tap.summary();
        let told = Told::streamed(&body);
        assert_eq!((told.usage, told.failed), (heard.usage, heard.error.is_some()), "{name}");
        assert_eq!(told.texts.get(&0).map_or("", String::as_str), heard.text.as_deref().unwrap(), "{name}");
        let whole = decoded(&[&body]);
        assert_eq!(whole.1, 0, "{name}");
        for size in [1, 7, 1000] {
            assert_eq!(decoded(&body.chunks(size).collect::<Vec<_>>()), whole, "{name} in pieces of {size}");
        }
        assert_eq!(told.failed || told.ended || !told.finish.is_empty(), heard.is_complete() || told.failed, "{name}");
    }
}

#[test]
fn recorded_responses_can_be_written_again() {
    for Recording { name, about, body } in recordings("openai-chat").into_iter().filter(|it| it.about["status"] == 200)
    {
        let streamed = about["ct"].as_str().is_some_and(|kind| kind.starts_with("text/event-stream"));
        let (mut encode, mut out) = ((CLIENT.stream)(head()), Vec::new());
        let mut each = |event: ResponseEvent<'_>| encode.event(&event, &mut out);
        if streamed {
            let mut decode = (PROVIDER.stream)();
            decode.push(&body, &mut each);
            decode.finish(&mut each);
        } else {
            (PROVIDER.whole)(&body, &mut each).unwrap();
        }
        encode.finish(None, &mut out);
        let (again, mut first) =
            (Told::streamed(&out), if streamed { Told::streamed(&body) } else { Told::whole(&body).unwrap() });
        first.calls.values_mut().filter(|call| call.2.is_empty()).for_each(|call| call.2.push_str("{}"));
        first.ended = !first.failed;
        // A provider's own cost is not written: the gateway tells its own, where it is asked to.
        first.usage = first.usage.map(|usage| Usage { reported_cost: None, has_detailed_cost: false, ..usage });
        assert_eq!(again, first, "{name}");
    }
}
