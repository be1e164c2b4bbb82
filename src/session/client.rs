//! Who uses a session, and from where.

use crate::ids::{AccountId, KeyHash};

/// Who showed the session's API key. The key itself is not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionOwner {
    /// The id of the key.
    pub key_id: AccountId,
    /// For a key made at run time: the key's SHA-256, in hex.
    pub hash: Option<KeyHash>,
}

/// Where a client connects from, as its requests to the gateway state it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientOrigin {
    /// The address that the client called: scheme and authority.
    pub address: String,
    /// The client's own IP address, if the platform reports one.
    pub ip: Option<String>,
}
