//! Packs the vocabularies that the gateway counts tokens with: `cargo run -p vocabularies -- FOLDER` writes a file
//! for each encoding. It holds, for each token in the order of the ranks, one byte of length and the token's bytes.
//! `src/tokens/vocabulary.rs` reads it.

use std::error::Error;
use std::path::Path;
use std::{env, fs};

use tiktoken_rs::CoreBPE;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let folder = env::args_os().nth(1).ok_or("usage: vocabularies FOLDER")?;
    let folder = Path::new(&folder);
    fs::create_dir_all(folder)?;
    write(folder, "o200k_base", &tiktoken_rs::o200k_base()?)?;
    // `make` takes this file for a proof that all exist, so it is written last.
    write(folder, "cl100k_base", &tiktoken_rs::cl100k_base()?)
}

fn write(folder: &Path, name: &str, encoding: &CoreBPE) -> Result<()> {
    let packed = pack(encoding).map_err(|error| format!("{name}: {error}"))?;
    // The file gets its name only when it is complete.
    let part = folder.join(format!("{name}.part"));
    fs::write(&part, packed)?;
    Ok(fs::rename(part, folder.join(format!("{name}.bin")))?)
}

/// Special tokens are left out. Their ranks follow those of the vocabulary after a gap.
fn pack(encoding: &CoreBPE) -> Result<Vec<u8>> {
    let special = encoding.special_tokens();
    let mut packed = Vec::new();
    for rank in 0.. {
        let Ok(token) = encoding.decode_bytes(&[rank]) else { break };
        if std::str::from_utf8(&token).is_ok_and(|text| special.contains(text)) {
            return Err(format!("rank {rank} is a special token, expected a gap before the first one").into());
        }
        let length = u8::try_from(token.len()).map_err(|_| format!("the token of rank {rank} exceeds 255 bytes"))?;
        packed.push(length);
        packed.extend(token);
    }
    Ok(packed)
}
