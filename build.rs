//! Turns `configs/catalogue.yaml` into static Rust, so that no Worker parses it. A faulty catalogue fails the
//! build, and the message names the row.

use std::process::ExitCode;

#[path = "src/catalogue/calendar.rs"]
mod calendar;
#[path = "build_script/catalogue.rs"]
mod catalogue;
#[path = "src/config/decimal.rs"]
#[allow(dead_code, reason = "the gateway uses all of it")]
mod decimal;
#[path = "src/catalogue/field.rs"]
#[allow(dead_code, reason = "the gateway uses all of it")]
mod field;
#[path = "src/catalogue/pattern.rs"]
#[allow(dead_code, reason = "the gateway uses all of it")]
mod pattern;
#[path = "build_script/price.rs"]
mod price;
#[path = "build_script/source.rs"]
mod source;

const CATALOGUE: &str = "configs/catalogue.yaml";

fn main() -> ExitCode {
    println!("cargo::rerun-if-changed={CATALOGUE}");
    match catalogue::build(CATALOGUE) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            println!("cargo::error={CATALOGUE}: {fault}");
            ExitCode::FAILURE
        }
    }
}
