//! Recorded answers of real providers, where a folder of them is at hand.

use std::path::{Path, PathBuf};

use serde_json::Value;

/// One recorded exchange.
pub struct Recording {
    pub name: String,
    /// What its head says: `api`, `status`, `ct` (the content type), and the request, if it was recorded.
    pub about: Value,
    /// The answer's very bytes.
    pub body: Vec<u8>,
}

/// Those of one wire format, from `RECORDINGS_DIR`. Without the folder there are none, and that is said.
pub fn recordings(api: &str) -> Vec<Recording> {
    let folder = std::env::var_os("RECORDINGS_DIR")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/recordings"), PathBuf::from);
    let Ok(entries) = std::fs::read_dir(&folder) else {
        eprintln!("skipped: no recordings at {}", folder.display());
        return Vec::new();
    };
    let heads =
        entries.map(|entry| entry.unwrap().path()).filter(|path| path.extension().is_some_and(|kind| kind == "json"));
    let read = |head: PathBuf| Recording {
        name: head.file_stem().unwrap().to_string_lossy().into_owned(),
        about: serde_json::from_slice(&std::fs::read(&head).unwrap()).unwrap(),
        body: std::fs::read(head.with_extension("body")).unwrap(),
    };
    let found: Vec<_> = heads.map(read).filter(|recording| recording.about["api"] == api).collect();
    assert!(!found.is_empty(), "no recordings of {api} at {}", folder.display());
    found
}
