//! The registry of the keys that were made at run time.

mod command;
mod keys;
mod versions;

pub use command::{RegistryCommand, RegistryRefusal, RegistryResponse, RegistryWrite, SigningVersion};
pub use keys::KeyRegistry;
