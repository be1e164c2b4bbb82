//! A validator of the JSON Schema of configuration files.

use boon::{Compiler, SchemaIndex, Schemas};
use llm_bridge::config;
use llm_bridge::formats::KINDS;
use serde_json::Value;

/// The schema, ready to judge files.
pub struct Judge {
    schemas: Schemas,
    index: SchemaIndex,
}

impl Judge {
    /// A judge by the present schema.
    pub fn new() -> Self {
        let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
        compiler.add_resource("config.json", config::schema(KINDS)).unwrap();
        let index = compiler.compile("config.json", &mut schemas).unwrap();
        Self { schemas, index }
    }

    /// What the schema refuses in a document.
    pub fn faults(&self, document: &Value) -> Option<String> {
        self.schemas.validate(document, self.index).err().map(|fault| fault.to_string())
    }

    /// The same of a file, with its anchors and merges resolved as an editor does.
    #[allow(dead_code, reason = "one of the suites has documents only")]
    pub fn faults_of_text(&self, text: &str) -> Option<String> {
        let mut value: serde_yaml::Value = serde_yaml::from_str(text).unwrap();
        value.apply_merge().unwrap();
        self.faults(&serde_json::to_value(value).unwrap())
    }
}
