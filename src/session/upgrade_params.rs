//! The parameters of an upgrade request: its query and its subprotocols.

use crate::error::{Error, Result};

/// The subprotocol in which requests carry ids.
const WITH_IDS: &str = "llm-bridge.v1";
/// The subprotocol in which they carry none.
const WITHOUT_IDS: &str = "llm-bridge";
/// The prefix of an API key among the subprotocols. Browsers cannot set headers.
const BEARER: &str = "bearer.";

/// The parameters of an upgrade request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UpgradeParams {
    /// The subprotocol of the response.
    pub protocol: Option<&'static str>,
    /// Requests carry ids.
    pub with_ids: bool,
    /// An API key among the subprotocols. It is never sent back.
    pub key: Option<String>,
    /// The session to resume, and the number of the last of its frames that arrived.
    pub resumes: Option<(String, u64)>,
    /// The most that may be unacknowledged, in bytes.
    pub window: Option<usize>,
    /// Another isolate forwards the connection's frames. No client can ask for that: the edge sets it for its
    /// own requests.
    pub is_forwarded: bool,
}

impl UpgradeParams {
    /// Reads the query and the header `sec-websocket-protocol`.
    ///
    /// # Errors
    /// 400 if the query is not valid.
    pub fn read(query: &str, protocols: &str) -> Result<Self> {
        let offered = || protocols.split(',').map(str::trim);
        let protocol = [WITH_IDS, WITHOUT_IDS].into_iter().find(|known| offered().any(|offer| offer == *known));
        let key = offered().find_map(|offer| offer.strip_prefix(BEARER)).filter(|key| !key.is_empty());
        let value = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        let number = |name: &'static str| {
            let read = |text: &str| text.parse::<u64>().map_err(|_| wrong(name, format!("`{name}` must be a number.")));
            value(name).map(read).transpose()
        };
        let resumes = match value("session") {
            Some(id) if is_id(id) => {
                let missing =
                    || wrong("after", "`after` is missing. Send the number of the last frame that arrived.".into());
                Some((id.to_owned(), number("after")?.ok_or_else(missing)?))
            }
            Some(_) => {
                return Err(wrong(
                    "session",
                    "`session` must be the id of a session, as the `session` frame gave it.".into(),
                ));
            }
            None => None,
        };
        let window = number("window")?.map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
        let with_ids = protocol == Some(WITH_IDS) || resumes.is_some();
        Ok(Self { protocol, with_ids, key: key.map(str::to_owned), resumes, window, is_forwarded: false })
    }

    /// The header `authorization` for the key among the subprotocols; no other header.
    pub fn header(&self, name: &str) -> Option<String> {
        if name != "authorization" {
            return None;
        }
        self.key.as_ref().map(|key| format!("Bearer {key}"))
    }
}

fn wrong(field: &'static str, message: String) -> Error {
    Error::caller(400, "invalid_query", message).at(field)
}

/// Whether this can be the id of a Durable Object: 64 hex digits.
fn is_id(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_among_the_subprotocols_is_not_agreed_on() {
        let params = UpgradeParams::read("", "llm-bridge, llm-bridge.v1, bearer.sk-1").unwrap();
        assert_eq!(params.protocol, Some(WITH_IDS));
        assert!(params.with_ids);
        assert_eq!(params.key.as_deref(), Some("sk-1"));
        let params = UpgradeParams::read("", "bearer.sk-1,llm-bridge").unwrap();
        assert_eq!(params.protocol, Some(WITHOUT_IDS));
        assert!(!params.with_ids);
        assert_eq!(params.key.as_deref(), Some("sk-1"));
        assert_eq!(UpgradeParams::read("", "bearer.").unwrap(), UpgradeParams::default());
        assert_eq!(UpgradeParams::read("a=b", "soap").unwrap(), UpgradeParams::default());
    }

    #[test]
    fn a_session_is_resumed_after_a_frame() {
        let id = &"0123456789abcdef".repeat(4);
        let params = UpgradeParams::read(&format!("session={id}&after=7&window=1000"), "").unwrap();
        assert_eq!(params.resumes, Some((id.clone(), 7)));
        assert_eq!(params.window, Some(1000));
        assert!(params.with_ids);
        for (query, param) in [
            (format!("session={id}"), "after"),
            (format!("session={id}&after=x"), "after"),
            (format!("session={id}0&after=1"), "session"),
            ("session=".to_owned(), "session"),
            ("window=-1".to_owned(), "window"),
        ] {
            assert_eq!(UpgradeParams::read(&query, "").unwrap_err().param(), Some(param), "{query}");
        }
    }
}
