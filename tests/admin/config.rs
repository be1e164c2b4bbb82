//! The configuration as it is served: all settings with their defaults, and no secret, wherever one may be.

use serde_json::Value;

use crate::setup::ADMIN;
use crate::support::{World, ask, bridge};

/// Every text in it that begins with `hush` is a secret.
const CONFIG: &str = r#"
default_provider: plain
providers:
  plain:
    base_url: https://api.example.com/hush0123456789abcdefghij/v1?api-key=hush-query&hush-flag
    api_key_env: SOME_KEY
    api_key: hush-in-file
    headers: { x-auth: Bearer hush-header, x-team: hush-team }
    proxy: http://hush-user:hush-password@proxy.example:8080
    timeout: 12.5
    models:
      m: &m
        max_tokens: 500
        price: { input: 1, output: 2 }
        param_config:
          update_params: { temperature: 0.5, user: hush-param, extra: { token: hush-nested } }
          add_params: { metadata: { key: hush-added }, top_p: 1 }
          rename_params: { max_tokens: max_completion_tokens }
      n: *m
  bound: { base_url: "https://inside.example", binding: INSIDE, keys: [{ env: KEY_ONE }, { env: KEY_TWO, weight: 2 }], models: "*" }
  far: { base_url: "https://far.example/v1", api_key_env: none, region: { fallback: wnam }, models: { m: { region: apac } } }
  near: { base_url: "https://near.example/v1", api_key_env: none, requires_proxy: true, models: { m: {} } }
routes: { smart: { targets: [plain/m, far/m] } }
aliases: { quick: smart, slow: plain/n }
cors: { origins: ["https://app.example.com"] }
reporting: { timezone: Asia/Kolkata, tags: [team] }
admin: { access: { team_domain: team.cloudflareaccess.com, audience: aud, writers: [a@example.com] } }
logging: { level: warning, output: { file: { path: logs } } }
telemetry: { otlp: { endpoint: "https://otlp.example/api/hush0123456789abcdefghij?token=hush-otlp", headers_env: OTLP_HEADERS } }
alerts: { spend_per_hour: 5, error_rate: false }
proxy: { https: "socks5://hush-login:hush-word@shared.example:1080", ca: PROXY_CA }
regions: { trace: "https://trace.example/t?q=hush-trace" }
"#;
const SECRETS: &[(&str, &str)] = &[
    ("ADMIN_API_KEYS", "admin"),
    ("ADMIN_READ_API_KEYS", "reader"),
    ("ACCESS_API_KEYS", "hush-access"),
    ("SOME_KEY", "hush-key,hush-key-two"),
    ("KEY_ONE", "hush-one"),
    ("OTLP_HEADERS", "authorization=hush-export"),
    ("ALERT_SLACK_URL", "https://hooks.example.com/services/hush-hook"),
    ("PLAIN_PROXY", "http://hush-env:hush-env-word@other.example:3128"),
    ("PROXY_CA", "-----BEGIN CERTIFICATE-----\nhush\n-----END CERTIFICATE-----"),
];

fn served(config: &str, key: &str) -> (u16, String) {
    let header = format!("Bearer {key}");
    let secrets: &[(&str, &str)] = if config == CONFIG { SECRETS } else { &SECRETS[..2] };
    let got =
        ask(&bridge(config, secrets), &World::default(), "GET /admin/api/config", &[("authorization", &header)], "");
    (got.status, got.body)
}

#[test]
fn no_secret_is_in_it_wherever_one_may_stand() {
    for key in ["admin", "reader"] {
        let (status, body) = served(CONFIG, key);
        assert_eq!(status, 200, "{body}");
        assert!(!body.contains("hush"), "{body}");
    }
}

#[test]
fn settings_are_those_that_hold() {
    let config: Value = serde_json::from_str::<Value>(&served(CONFIG, "admin").1).unwrap()["config"].take();
    let plain = &config["providers"]["plain"];
    assert_eq!(plain["base_url"], "https://api.example.com/***/v1?api-key=***&***");
    assert_eq!(plain["key"], serde_json::json!({"variables": ["SOME_KEY"], "in_file": "***", "found": 2}));
    assert_eq!(plain["headers"], serde_json::json!({"x-auth": "***", "x-team": "***"}));
    assert!(plain["proxy"].as_str().unwrap().ends_with("proxy.example:8080"), "{plain}");
    let edits = &plain["models"]["n"]["param_config"];
    assert_eq!(edits["update_params"], serde_json::json!({"temperature": 0.5, "user": "***", "extra": "***"}));
    assert_eq!(plain["models"]["n"]["clocks"]["total"], 12.5);
    assert_eq!(plain["keep_alive"], 15, "a default");
    assert_eq!(config["providers"]["bound"]["egress"]["binding"], "INSIDE");
    assert_eq!(config["providers"]["far"]["egress"]["region"]["fallback"], "wnam");
    assert_eq!(config["providers"]["near"]["proxy"], "shared");
    assert_eq!(config["aliases"], serde_json::json!({"quick": "smart", "slow": "plain/n"}));
    assert_eq!(config["routes"]["smart"]["targets"][1]["model"], "far/m");
    assert_eq!(config["limits"]["max_body_bytes"], 20_971_520, "a default");
    assert_eq!(config["telemetry"]["otlp"]["endpoint"], "https://otlp.example/api/***?token=***");
    assert_eq!(config["alerts"]["error_rate"], Value::Null);
}

#[test]
fn every_section_of_the_file_is_in_it() {
    let config: Value = serde_json::from_str::<Value>(&served(CONFIG, "admin").1).unwrap()["config"].take();
    let sections: Vec<&str> = CONFIG
        .lines()
        .filter(|line| !line.starts_with([' ', '#']))
        .filter_map(|line| line.split_once(':').map(|(name, _)| name))
        .collect();
    assert!(sections.len() > 10);
    for section in sections.into_iter().chain(["auth", "accounting", "dashboard", "websocket", "vault"]) {
        assert!(config.get(section).is_some(), "{section}");
    }
}

#[test]
fn a_faulty_configuration_says_so_instead() {
    let (status, body) = served("providers: { p: { adapter: echo, models: { m: {} } } }\nloging: {}\n", "admin");
    assert_eq!(status, 500);
    assert!(body.contains("invalid_configuration") && body.contains("loging"), "{body}");
}

#[test]
fn callers_may_not_read_it() {
    for key in ["hush-access", "unknown"] {
        assert_eq!(served(CONFIG, key).0, 401);
    }
    assert_eq!(ask(&bridge(CONFIG, SECRETS), &World::default(), "POST /admin/api/config", ADMIN, "").status, 405);
}
