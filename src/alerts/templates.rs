//! Notices as HTTP messages, in the form that each kind of destination takes. Texts are sent as plain text
//! wherever that is possible, so that a name can neither mention people nor make links.

use serde_json::{Map, Value, json};

use super::destination::{Destination, DestinationKind, Signer};
use super::notice::Notice;
use super::signature::feishu_sign;
use crate::config::Millis;
use crate::wire::date::write_time;

/// The longest text of a section at Slack, in characters.
const SLACK_TEXT: usize = 3_000;
/// The longest text at WeCom, in bytes.
const WECOM_TEXT: usize = 2_048;
/// The longest text at Feishu, in bytes: its messages may have 20 KB.
const FEISHU_TEXT: usize = 16_000;

/// An HTTP POST request.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    /// The headers, `content-type` included.
    pub headers: Vec<(&'static str, String)>,
    /// The body, JSON.
    pub body: String,
}

/// The request that sends a notice at `now`, the time of this attempt. The body of a webhook is the same in
/// all attempts.
pub fn message(notice: &Notice, destination: &Destination, now: Millis) -> Message {
    let body = match destination.kind {
        DestinationKind::Webhook => webhook(notice),
        DestinationKind::Slack => slack(notice),
        DestinationKind::Feishu => feishu(notice, &destination.signer, now),
        DestinationKind::WeCom => wecom(notice),
    };
    let body = body.to_string();
    let mut headers = vec![("content-type", "application/json; charset=utf-8".to_owned())];
    if let Signer::Webhook(secret) = &destination.signer {
        let seconds = now / 1000;
        headers.push(("webhook-id", notice.id.clone()));
        headers.push(("webhook-timestamp", seconds.to_string()));
        headers.push(("webhook-signature", secret.sign(&notice.id, seconds, &body)));
    }
    Message { headers, body }
}

/// `type`, `timestamp` and `data`, as Standard Webhooks recommends.
fn webhook(notice: &Notice) -> Value {
    let facts: Map<String, Value> =
        notice.facts.iter().map(|(name, value)| (name.clone(), Value::String(value.clone()))).collect();
    json!({
        "type": notice.event_type(),
        "timestamp": write_time(notice.at),
        "data": {
            "id": notice.id,
            "phase": notice.phase,
            "subject": notice.subject,
            "title": notice.title,
            "facts": facts,
        },
    })
}

fn slack(notice: &Notice) -> Value {
    let section = |text: &str| {
        let text: String = text.chars().take(SLACK_TEXT).collect();
        json!({"type": "section", "text": {"type": "plain_text", "text": text, "emoji": false}})
    };
    json!({
        // Notifications show `text`, which is Slack's markup.
        "text": escape_slack(&notice.title),
        "blocks": [section(&notice.title), section(&lines(notice).join("\n"))],
    })
}

/// Escapes what begins a mention or a link in Slack's markup.
fn escape_slack(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn feishu(notice: &Notice, signer: &Signer, now: Millis) -> Value {
    let text = cut(&lines(notice).join("\n"), FEISHU_TEXT).to_owned();
    let mut body = json!({
        "msg_type": "post",
        "content": {"post": {"zh_cn": {"title": notice.title, "content": [[{"tag": "text", "text": text}]]}}},
    });
    if let (Signer::Feishu(secret), Value::Object(fields)) = (signer, &mut body) {
        fields.insert("timestamp".to_owned(), (now / 1000).to_string().into());
        fields.insert("sign".to_owned(), feishu_sign(secret, now).into());
    }
    body
}

fn wecom(notice: &Notice) -> Value {
    let text = format!("{}\n{}", notice.title, lines(notice).join("\n"));
    json!({"msgtype": "text", "text": {"content": cut(&text, WECOM_TEXT)}})
}

/// The facts as lines of text.
fn lines(notice: &Notice) -> Vec<String> {
    let head = [("event", notice.event_type()), ("time", write_time(notice.at).as_str())].map(line);
    let facts = notice.facts.iter().map(|(name, value)| line((name.as_str(), value.as_str())));
    head.into_iter().chain(facts).collect()
}

fn line((name, value): (&str, &str)) -> String {
    format!("{name}: {value}")
}

/// The beginning of a text, at most `bytes` long, without a part of a character.
fn cut(text: &str, bytes: usize) -> &str {
    let mut end = bytes.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alerts::notice::{AlertKind, Phase};
    use crate::alerts::signature::WebhookSecret;

    const NOW: Millis = 1_599_360_473_999;

    fn notice() -> Notice {
        Notice {
            id: "alert_1".to_owned(),
            kind: AlertKind::Target,
            phase: Phase::Raised,
            at: 1_795_435_200_000,
            subject: "p/<!channel>".to_owned(),
            title: "The target p/<!channel> is down.".to_owned(),
            facts: vec![("target".to_owned(), "p/<!channel>".to_owned())],
        }
    }

    fn send(notice: &Notice, kind: DestinationKind, signer: Signer) -> (Message, Value) {
        let message = message(notice, &Destination { kind, url: "https://a.example".to_owned(), signer }, NOW);
        let body = serde_json::from_str(&message.body).unwrap();
        (message, body)
    }

    #[test]
    fn a_webhook_is_signed() {
        let secret = WebhookSecret::read("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let (message, body) = send(&notice(), DestinationKind::Webhook, Signer::Webhook(secret.clone()));
        let data = json!({"id": "alert_1", "phase": "raised", "subject": "p/<!channel>",
            "title": "The target p/<!channel> is down.", "facts": {"target": "p/<!channel>"}});
        assert_eq!(body, json!({"type": "target.down", "timestamp": "2026-11-23T12:00:00.000Z", "data": data}));
        let header = |name: &str| &message.headers.iter().find(|(other, _)| *other == name).unwrap().1;
        assert_eq!(header("webhook-id"), "alert_1");
        assert_eq!(header("webhook-timestamp"), "1599360473");
        assert_eq!(*header("webhook-signature"), secret.sign("alert_1", 1_599_360_473, &message.body));
        assert_eq!(header("content-type"), "application/json; charset=utf-8");
    }

    #[test]
    fn slack_gets_plain_text() {
        let (message, body) = send(&notice(), DestinationKind::Slack, Signer::None);
        let section =
            |text: &str| json!({"type": "section", "text": {"type": "plain_text", "text": text, "emoji": false}});
        let facts = "event: target.down\ntime: 2026-11-23T12:00:00.000Z\ntarget: p/<!channel>";
        let blocks = [section("The target p/<!channel> is down."), section(facts)];
        assert_eq!(body, json!({"text": "The target p/&lt;!channel&gt; is down.", "blocks": blocks}));
        assert_eq!(message.headers.len(), 1);
    }

    #[test]
    fn feishu_gets_a_post_signed_if_there_is_a_secret() {
        let (_, body) = send(&notice(), DestinationKind::Feishu, Signer::Feishu("demo".to_owned()));
        let text = "event: target.down\ntime: 2026-11-23T12:00:00.000Z\ntarget: p/<!channel>";
        let post = json!({"title": "The target p/<!channel> is down.", "content": [[{"tag": "text", "text": text}]]});
        let content = json!({"post": {"zh_cn": post}});
        let sign = "l1N0gAcBjdwBvGm1xMjOF0XSyaLRpR7tuO5dHfhAYc8=";
        assert_eq!(body, json!({"msg_type": "post", "content": content, "timestamp": "1599360473", "sign": sign}));
        let (_, unsigned) = send(&notice(), DestinationKind::Feishu, Signer::None);
        assert_eq!(unsigned, json!({"msg_type": "post", "content": content}));
    }

    #[test]
    fn wecom_gets_text() {
        let (_, body) = send(&notice(), DestinationKind::WeCom, Signer::None);
        let text = "The target p/<!channel> is down.\nevent: target.down\ntime: 2026-11-23T12:00:00.000Z\n\
                    target: p/<!channel>";
        assert_eq!(body, json!({"msgtype": "text", "text": {"content": text}}));
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        let long = Notice { facts: vec![("name".to_owned(), "价".repeat(50_000))], ..notice() };
        let (_, wecom) = send(&long, DestinationKind::WeCom, Signer::None);
        let text = wecom["text"]["content"].as_str().unwrap();
        assert!(text.len() <= 2_048 && text.len() > 2_044, "{}", text.len());
        let (_, slack) = send(&long, DestinationKind::Slack, Signer::None);
        assert_eq!(slack["blocks"][1]["text"]["text"].as_str().unwrap().chars().count(), 3_000);
        let (feishu, _) = send(&long, DestinationKind::Feishu, Signer::None);
        assert!(feishu.body.len() < 20_000, "{}", feishu.body.len());
    }
}
