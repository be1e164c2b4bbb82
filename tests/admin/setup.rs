//! A gateway with an admin key on a scripted platform. Every response of the admin API is checked against its
//! OpenAPI description.

use std::cell::RefCell;
use std::collections::BTreeSet;

use llm_bridge::admin::{AuditCommand, AuditPage, AuditResponse, FailedSignIns};
use llm_bridge::gateway::Opened;
use serde_json::{Value, json};

use crate::support::schema::validate;
use crate::support::{Got, World, ask, bridge};

pub const CONFIG: &str = "
providers: { demo: { adapter: echo, models: { echo: {}, other: {} } } }
logging: { output: { file: { path: logs } } }
";
pub const SECRETS: &[(&str, &str)] = &[
    ("ACCESS_API_KEYS", "caller"),
    ("ADMIN_API_KEYS", "admin"),
    ("ALERT_SLACK_URL", "https://hooks.example.com/services/T/B/secret-path"),
    ("ALERT_WECOM_URL", "https://localhost/secret-robot"),
];
pub const ADMIN: &[(&str, &str)] = &[("authorization", "Bearer admin")];
/// Noon of 2026-11-23, in milliseconds since 1970.
const NOON: u64 = 1_795_435_200_000;

/// Has the platform keep an audit log, which returns all entries.
pub fn keep_audit_log(world: &World) {
    let mut page = AuditPage::default();
    let answer = move |command: &str| {
        let response = match serde_json::from_str(command).unwrap() {
            AuditCommand::Record { entry, failed_sign_ins } => {
                page.stored += 1;
                page.entries.insert(0, (page.stored, *entry));
                page.failed_sign_ins.push(FailedSignIns { day: 20_000, count: failed_sign_ins });
                AuditResponse::Recorded
            }
            AuditCommand::Read(_) => AuditResponse::Page(page.clone()),
        };
        serde_json::to_string(&response).unwrap()
    };
    world.operations.borrow_mut().insert("audit", Box::new(answer));
}

/// A gateway, its platform, and the OpenAPI description.
pub struct AdminSetup {
    pub gateway: Opened,
    pub world: World,
    pub document: Value,
    /// The described responses that were seen: method, path, status and content type.
    pub seen: RefCell<BTreeSet<String>>,
}

impl AdminSetup {
    pub fn open() -> Self {
        let (gateway, world) = (bridge(CONFIG, SECRETS), World::default());
        world.clock.set(NOON);
        keep_audit_log(&world);
        let document = ask(&gateway, &world, "GET /admin/api/openapi.json", ADMIN, "").json();
        Self { gateway, world, document, seen: RefCell::default() }
    }

    /// Sends a request with the admin key, and checks the response against the description.
    pub fn ask(&self, line: &str, body: &str) -> Got {
        let got = ask(&self.gateway, &self.world, &line.replacen(' ', " /admin/api", 1), ADMIN, body);
        self.check(line, &got);
        got
    }

    pub fn json(&self, line: &str, body: &Value) -> Got {
        self.ask(line, &body.to_string())
    }

    /// Creates a key and returns its text.
    pub fn key(&self, fields: &Value) -> String {
        let got = self.json("POST /keys", fields);
        assert_eq!(got.status, 201, "{}", got.body);
        got.json()["key"].as_str().unwrap().to_owned()
    }

    /// The status of a chat with a key.
    pub fn call(&self, key: &str, model: &str) -> u16 {
        let bearer = format!("Bearer {key}");
        let body = json!({"model": model, "messages": [{"role": "user", "content": "Hello!"}]}).to_string();
        // The gateway caches the limits of a key for a few seconds.
        self.world.clock.set(self.world.clock.get() + 5_000);
        ask(&self.gateway, &self.world, "POST /v1/chat/completions", &[("authorization", &bearer)], &body).status
    }

    /// The entries of the audit log, oldest first.
    pub fn audit(&self) -> Vec<Value> {
        let mut entries = self.ask("GET /audit?limit=500", "").json()["data"].as_array().unwrap().clone();
        entries.reverse();
        entries
    }

    fn check(&self, line: &str, got: &Got) {
        assert_eq!(got.header("cache-control"), Some("no-store"), "{line}");
        assert_eq!(got.header("access-control-allow-origin"), None, "{line}");
        let (method, target) = line.split_once(' ').unwrap();
        let path = format!("/admin/api{}", target.split('?').next().unwrap());
        let paths = self.document["paths"].as_object().unwrap();
        let fits = |known: &str| {
            let (known, path): (Vec<_>, Vec<_>) = (known.split('/').collect(), path.split('/').collect());
            known.len() == path.len() && known.iter().zip(&path).all(|(known, part)| *known == "{id}" || known == part)
        };
        let Some((known, methods)) = paths.iter().find(|(known, _)| fits(known)) else { return };
        let operation = &methods[method.to_lowercase()];
        if operation.is_null() {
            assert_eq!(got.status, 405, "{line}");
            return;
        }
        let exact = got.status.to_string();
        let class = format!("{}XX", got.status / 100);
        let responses = &operation["responses"];
        let response = responses.get(&exact).or_else(|| responses.get(&class)).unwrap();
        let kind = got.header("content-type").unwrap().split(';').next().unwrap();
        let schema = &response["content"][kind]["schema"];
        assert!(schema.is_object(), "{line}: {kind} is not described");
        match kind {
            "application/json" => self.validate(schema, &got.json(), line),
            "application/x-ndjson" => {
                got.body.lines().for_each(|row| self.validate(schema, &serde_json::from_str(row).unwrap(), line));
            }
            _ => assert_eq!(schema["type"], "string"),
        }
        self.seen.borrow_mut().insert(format!("{method} {known} {exact} {kind}"));
    }

    fn validate(&self, schema: &Value, value: &Value, at: &str) {
        assert_eq!(validate(&self.document, schema, value), Ok(()), "{at}");
    }
}
