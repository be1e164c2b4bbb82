//! Where notices are sent. An address is a secret, because it gives access to the channel behind it: it comes
//! from a variable, and is never shown.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::address::check_address;
use super::signature::WebhookSecret;

/// The kinds of destinations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DestinationKind {
    /// A receiver of Standard Webhooks.
    Webhook,
    /// An incoming webhook of Slack.
    Slack,
    /// A custom bot of Feishu or Lark.
    Feishu,
    /// A group robot of WeCom.
    WeCom,
}

/// What signs the messages to a destination.
#[derive(Clone, PartialEq, Eq)]
pub enum Signer {
    /// Nothing.
    None,
    /// The secrets of Standard Webhooks.
    Webhook(WebhookSecret),
    /// The secret of a Feishu bot.
    Feishu(String),
}

/// A destination.
#[derive(Clone, PartialEq, Eq)]
pub struct Destination {
    /// Its kind.
    pub kind: DestinationKind,
    /// Its address, a secret.
    pub url: String,
    /// What signs messages to it.
    pub signer: Signer,
}

/// The variables of one kind.
struct Variables {
    kind: DestinationKind,
    url: &'static str,
    /// The secret, if the kind signs.
    secret: Option<&'static str>,
}

const VARIABLES: &[Variables] = &[
    Variables { kind: DestinationKind::Webhook, url: "ALERT_WEBHOOK_URL", secret: Some("ALERT_WEBHOOK_SECRET") },
    Variables { kind: DestinationKind::Slack, url: "ALERT_SLACK_URL", secret: None },
    Variables { kind: DestinationKind::Feishu, url: "ALERT_FEISHU_URL", secret: Some("ALERT_FEISHU_SECRET") },
    Variables { kind: DestinationKind::WeCom, url: "ALERT_WECOM_URL", secret: None },
];

/// The destinations that the variables name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Destinations {
    /// Those that can be used.
    pub usable: Vec<Destination>,
    /// What is wrong with the others. No value of a variable occurs in it.
    pub problems: Vec<String>,
}

impl Destinations {
    /// Reads the variables. `variable` returns the value of one; `allow_private` admits private hosts.
    pub fn read(variable: &dyn Fn(&str) -> Option<String>, allow_private: bool) -> Self {
        let set = |name: &str| variable(name).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        let mut destinations = Self::default();
        for row in VARIABLES {
            let Some(url) = set(row.url) else { continue };
            match open(row, url, row.secret.and_then(set), allow_private) {
                Ok(destination) => destinations.usable.push(destination),
                Err(problem) => destinations.problems.push(problem),
            }
        }
        destinations
    }
}

fn open(row: &Variables, url: String, secret: Option<String>, allow_private: bool) -> Result<Destination, String> {
    check_address(&url, allow_private).map_err(|fault| format!("{}: {fault}", row.url))?;
    let signer = match (row.kind, secret) {
        (DestinationKind::Webhook, secret) => {
            let name = row.secret.unwrap_or_default();
            let secret = secret.ok_or_else(|| format!("{name} is not set: notices to {} are signed", row.url))?;
            Signer::Webhook(WebhookSecret::read(&secret).map_err(|fault| format!("{name}: {fault}"))?)
        }
        (DestinationKind::Feishu, Some(secret)) => Signer::Feishu(secret),
        _ => Signer::None,
    };
    Ok(Destination { kind: row.kind, url, signer })
}

impl DestinationKind {
    /// Its name, as in the admin API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Slack => "slack",
            Self::Feishu => "feishu",
            Self::WeCom => "wecom",
        }
    }
}

impl Destination {
    /// What tells its address from others, without giving it away.
    pub fn fingerprint(&self) -> String {
        let digest = Sha256::digest(self.url.as_bytes());
        digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }

    /// Its address with everything but the host left out, for logs and pages.
    pub fn shown(&self) -> String {
        let (scheme, rest) = self.url.split_once("://").unwrap_or_default();
        let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
        format!("{scheme}://{host}/…")
    }
}

impl fmt::Debug for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Destination({:?}, {})", self.kind, self.shown())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    fn read(set: &[(&str, &str)], allow_private: bool) -> Destinations {
        let variable = |name: &str| set.iter().find(|(other, _)| *other == name).map(|(_, value)| (*value).to_owned());
        Destinations::read(&variable, allow_private)
    }

    #[test]
    fn each_kind_has_its_variables() {
        let set = [
            ("ALERT_WEBHOOK_URL", "https://a.example/hook"),
            ("ALERT_WEBHOOK_SECRET", SECRET),
            ("ALERT_SLACK_URL", " https://hooks.slack.com/services/T/B/secret\n"),
            ("ALERT_FEISHU_URL", "https://open.feishu.cn/open-apis/bot/v2/hook/secret"),
            ("ALERT_FEISHU_SECRET", "demo"),
            ("ALERT_WECOM_URL", "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=secret"),
        ];
        let destinations = read(&set, false);
        assert_eq!(destinations.problems, [""; 0]);
        let kinds: Vec<DestinationKind> = destinations.usable.iter().map(|destination| destination.kind).collect();
        assert_eq!(kinds, VARIABLES.iter().map(|row| row.kind).collect::<Vec<_>>());
        let shown = format!("{:?}", destinations.usable);
        assert!(!shown.contains("secret") && shown.contains("https://hooks.slack.com/…"), "{shown}");
        assert_eq!(read(&[], false), Destinations::default());
    }

    #[test]
    fn problems_name_the_variable_and_no_secret() {
        for (set, problem) in [
            (vec![("ALERT_WEBHOOK_URL", "https://a.example")], "ALERT_WEBHOOK_SECRET is not set"),
            (
                vec![("ALERT_WEBHOOK_URL", "https://a.example"), ("ALERT_WEBHOOK_SECRET", "hidden")],
                "ALERT_WEBHOOK_SECRET: expected `whsec_`",
            ),
            (vec![("ALERT_SLACK_URL", "https://10.0.0.1/hidden")], "ALERT_SLACK_URL: this is a private"),
            (vec![("ALERT_WECOM_URL", "hidden")], "ALERT_WECOM_URL: expected an address"),
        ] {
            let destinations = read(&set, false);
            assert!(destinations.usable.is_empty(), "{destinations:?}");
            let [reported] = destinations.problems.as_slice() else { panic!("{destinations:?}") };
            assert!(reported.starts_with(problem) && !reported.contains("hidden"), "{reported}");
        }
        assert_eq!(read(&[("ALERT_SLACK_URL", "http://10.0.0.1/")], true).usable.len(), 1);
    }
}
