//! Turns `configs/catalogue.yaml` and `configs/causes.yaml` into static Rust, so that no Worker parses them. A
//! faulty file fails the build, and the message names the row.

use std::process::ExitCode;

#[path = "src/catalogue/calendar.rs"]
mod calendar;
#[path = "build_script/catalogue.rs"]
mod catalogue;
#[path = "src/catalogue/cause.rs"]
#[allow(dead_code, reason = "the gateway uses all of it")]
mod cause;
#[path = "build_script/causes.rs"]
mod causes;
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
const CAUSES: &str = "configs/causes.yaml";

fn main() -> ExitCode {
    println!("cargo::rerun-if-changed={CATALOGUE}");
    println!("cargo::rerun-if-changed={CAUSES}");
    let built = catalogue::build(CATALOGUE).map_err(|fault| format!("{CATALOGUE}: {fault}"));
    let built = built.and_then(|hosts| causes::build(CAUSES, &hosts).map_err(|fault| format!("{CAUSES}: {fault}")));
    match built {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            println!("cargo::error={fault}");
            ExitCode::FAILURE
        }
    }
}
