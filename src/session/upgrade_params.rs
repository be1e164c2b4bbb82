//! The request that opens a connection: what it asks for, and in which of the two languages it wants to be spoken to.

use crate::error::{Error, Result};

/// The language in which requests have names.
const NAMED: &str = "llm-bridge.v1";
/// The language in which they have none.
const PLAIN: &str = "llm-bridge";
/// What a key stands behind among the subprotocols: browsers can give no headers.
const BEARER: &str = "bearer.";

/// What a connection asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UpgradeParams {
    /// The subprotocol that is agreed on.
    pub protocol: Option<&'static str>,
    /// Requests have names.
    pub named: bool,
    /// A key among the subprotocols. It is never sent back.
    pub key: Option<String>,
    /// A session that is to go on, and the number of the last frame that arrived of it.
    pub resumes: Option<(String, u64)>,
    /// The most that may be on its way without having been acknowledged, in bytes.
    pub window: Option<usize>,
}

impl UpgradeParams {
    /// Reads the query and the header `sec-websocket-protocol`.
    ///
    /// # Errors
    /// 400 if the query cannot be understood.
    pub fn read(query: &str, protocols: &str) -> Result<Self> {
        let offered = || protocols.split(',').map(str::trim);
        let protocol = [NAMED, PLAIN].into_iter().find(|known| offered().any(|offer| offer == *known));
        let key = offered().find_map(|offer| offer.strip_prefix(BEARER)).filter(|key| !key.is_empty());
        let value = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        let number = |name: &'static str| {
            let read = |text: &str| text.parse::<u64>().map_err(|_| wrong(name, format!("`{name}` is a number.")));
            value(name).map(read).transpose()
        };
        let resumes = match value("session") {
            Some(id) if is_id(id) => {
                let missing =
                    || wrong("after", "`after` is missing: the number of the last frame that arrived.".into());
                Some((id.to_owned(), number("after")?.ok_or_else(missing)?))
            }
            Some(_) => return Err(wrong("session", "`session` is the id of a session, as it was given.".into())),
            None => None,
        };
        let window = number("window")?.map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
        let named = protocol == Some(NAMED) || resumes.is_some();
        Ok(Self { protocol, named, key: key.map(str::to_owned), resumes, window })
    }

    /// The header that the key among the subprotocols stands for.
    pub fn header(&self, name: &str) -> Option<String> {
        self.key.as_ref().filter(|_| name == "authorization").map(|key| format!("Bearer {key}"))
    }
}

fn wrong(field: &'static str, message: String) -> Error {
    Error::caller(400, "invalid_query", message).at(field)
}

/// Whether this could be the id of a session.
fn is_id(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_comes_with_the_subprotocols_and_is_none_of_them() {
        let entry = UpgradeParams::read("", "llm-bridge, llm-bridge.v1, bearer.sk-1").unwrap();
        assert_eq!((entry.protocol, entry.named, entry.key.as_deref()), (Some(NAMED), true, Some("sk-1")));
        let entry = UpgradeParams::read("", "bearer.sk-1,llm-bridge").unwrap();
        assert_eq!((entry.protocol, entry.named, entry.key.as_deref()), (Some(PLAIN), false, Some("sk-1")));
        assert_eq!(UpgradeParams::read("", "bearer.").unwrap(), UpgradeParams::default());
        assert_eq!(UpgradeParams::read("a=b", "soap").unwrap(), UpgradeParams::default());
    }

    #[test]
    fn a_session_is_named_with_the_last_frame_that_arrived() {
        let id = &"0123456789abcdef".repeat(4);
        let entry = UpgradeParams::read(&format!("session={id}&after=7&window=1000"), "").unwrap();
        assert_eq!((entry.resumes, entry.window, entry.named), (Some((id.clone(), 7)), Some(1000), true));
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
