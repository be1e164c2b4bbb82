//! Writes the JavaScript that a wasm is called by. `scripts/build-wasm.mjs` and `scripts/build-tunnel.sh` call it.
//!
//! usage: bindgen module|web FILE.wasm FOLDER NAME

use std::error::Error;

use wasm_bindgen_cli_support::Bindgen;

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [target, wasm, folder, name] = words.as_slice() else {
        return Err("usage: bindgen module|web FILE.wasm FOLDER NAME".into());
    };
    let mut bindgen = Bindgen::new();
    if target == "module" {
        // The shim of the gateway starts a fresh instance after a panic.
        bindgen.module(true)?.force_enable_abort_handler(true);
    } else {
        bindgen.web(true)?;
    }
    bindgen.input_path(wasm).out_name(name).typescript(false).reset_state_function(true);
    Ok(bindgen.generate(folder)?)
}
