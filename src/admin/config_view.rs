//! The configuration as it is served: every setting with its present value, by the names of config.yaml. What
//! can hold a secret is not written at all, or masked.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::json_response::json as respond;
use super::session::notes;
use crate::config::{
    Accounting, Alerting, Alias, Auth, CaSource, Catalogue, Clocks, Config, Cors, EgressRule, FileLog, FitScope,
    KeySource, LogFormat, Logging, Meaning, Millis, Model, ModelIndex, OnContentFilter, OnDisconnect, Otlp, OtlpFormat,
    Params, Provider, ProviderProxy, RelayKind, Reporting, RouteRow, StreamUsage,
};
use crate::gateway::{Bridge, Platform, Response};
use crate::policy::routing;

/// Stands for a value that is set and may be a secret.
const MASK: &str = "***";
/// A segment of a path is masked from this length on, unless it has no digit: tokens and ids are as long.
const MAX_SEGMENT: usize = 20;

/// The configuration with its notes. While it has faults, nothing is served, this not either.
pub fn read<P: Platform>(bridge: &Bridge) -> Response<P> {
    let config = bridge.config();
    let providers = config.providers.iter().enumerate();
    let providers: BTreeMap<&str, Value> =
        providers.map(|(index, row)| (row.name.as_str(), provider(bridge, index, row))).collect();
    let default = config.providers.get(config.default_provider).map(|provider| provider.name.as_str());
    let settings = json!({
        "providers": providers,
        "default_provider": default,
        "routes": named(&config.routes, |row| (row.name.as_str(), route(config, row))),
        "aliases": named(&config.aliases, |row| (row.name.as_str(), alias(config, row))),
        "auth": if config.auth == Auth::Keys { "keys" } else { "none" },
        "cors": {"origins": origins(&config.cors)},
        "limits": {
            "max_body_bytes": config.max_body_bytes,
            "max_answer_bytes": config.max_answer_bytes,
            "memory_bytes": config.memory_bytes,
        },
        "accounting": accounting(config.accounting),
        "reporting": reporting(&config.reporting),
        "dashboard": config.dashboard,
        "admin": admin(config),
        "websocket": websocket(config),
        "vault": {"enabled": config.vault.enabled, "keep_seconds": seconds(config.vault.life)},
        "logging": logging(&config.logging),
        "telemetry": telemetry(config),
        "alerts": alerts(&config.alerts),
        "proxy": proxy(config),
        "regions": {"trace": config.regions.trace.as_deref().map(address), "avoid": config.regions.avoid},
    });
    respond(200, &json!({"object": "config", "config": settings, "notes": notes(bridge)}))
}

fn named<'r, R>(rows: &'r [R], entry: impl Fn(&'r R) -> (&'r str, Value)) -> BTreeMap<&'r str, Value> {
    rows.iter().map(entry).collect()
}

#[expect(clippy::cast_precision_loss, reason = "settings are far below 2^52")]
fn seconds(time: Millis) -> Value {
    if time.is_multiple_of(1_000) { json!(time / 1_000) } else { json!(time as f64 / 1_000.0) }
}

fn provider(bridge: &Bridge, index: usize, row: &Provider) -> Value {
    json!({
        "adapter": row.adapter,
        "base_url": row.address.as_ref().map(|found| address(&found.join(""))),
        "key": key(&row.key, bridge.key_count(index)),
        "headers": row.headers.iter().map(|(name, _)| (name.as_str(), MASK)).collect::<BTreeMap<_, _>>(),
        "proxy": match &row.proxy {
            ProviderProxy::Unset => Value::Null,
            ProviderProxy::Shared => json!("shared"),
            ProviderProxy::Own(own) => json!(own.shown()),
            ProviderProxy::Never => json!("none"),
        },
        "relay": if row.streaming.relay == RelayKind::Native { "native" } else { "checked" },
        "stream_usage": match row.streaming.usage {
            StreamUsage::Hide => "hide",
            StreamUsage::Show => "show",
            StreamUsage::Leave => "leave",
        },
        "keep_alive": seconds(row.streaming.keep_alive),
        "on_disconnect": if row.streaming.on_disconnect == OnDisconnect::Cancel { "cancel" } else { "finish" },
        "catalogue": match row.catalogue {
            Catalogue::ByHost => json!(row.host.map(|host| host.name)),
            Catalogue::Named(host) => json!(host.name),
            Catalogue::Nothing => json!("none"),
        },
        "fit": match row.fit {
            FitScope::Translated => "translated",
            FitScope::Always => "always",
            FitScope::Never => "never",
        },
        "egress": egress(&row.egress),
        "facts": row.facts.len(),
        "models": row.models.iter().chain(&row.patterns).map(|row| (row.name.as_str(), model(row))).collect::<BTreeMap<_, _>>(),
    })
}

/// Where a provider's keys come from, and how many there are; never one of them.
fn key(source: &KeySource, found: usize) -> Value {
    match source {
        KeySource::Keyless => json!("none"),
        KeySource::Secrets { variables, inline } => json!({
            "variables": variables.iter().map(|variable| variable.name.as_str()).collect::<Vec<_>>(),
            "in_file": inline.as_ref().map(|_| MASK),
            "found": found,
        }),
    }
}

fn egress(rule: &EgressRule) -> Value {
    match rule {
        EgressRule::Direct => Value::Null,
        EgressRule::Binding(name) => json!({"binding": &**name}),
        EgressRule::Region(rule) if rule.is_fallback => json!({"region": {"fallback": rule.region.name()}}),
        EgressRule::Region(rule) => json!({"region": rule.region.name()}),
    }
}

fn model(row: &Model) -> Value {
    json!({
        "upstream": row.upstream,
        "max_tokens": row.max_tokens,
        "limit_fields": row.limit_fields,
        "service_tier": row.service_tier,
        "has_price": !row.prices.is_empty(),
        "strict": row.strict,
        "clocks": clocks(&row.clocks),
        "param_config": params(&row.params),
        "egress": row.egress.as_ref().map(egress),
        "facts": row.facts.len(),
    })
}

fn clocks(clocks: &Clocks) -> Value {
    let Clocks { connect, first_token, idle, total } = *clocks;
    json!({
        "connect": connect.map(seconds),
        "first_token": first_token.map(seconds),
        "idle": idle.map(seconds),
        "total": seconds(total),
    })
}

/// The edits of a request. Texts may hold anything, so only numbers and `true` or `false` are shown.
fn params(params: &Params) -> Value {
    let plain = |value: &str| match serde_json::from_str(value) {
        Ok(value @ (Value::Number(_) | Value::Bool(_) | Value::Null)) => value,
        _ => json!(MASK),
    };
    let edits = |edits: &[(String, String)]| -> BTreeMap<String, Value> {
        edits.iter().map(|(name, value)| (name.clone(), plain(value))).collect()
    };
    if params.is_empty() {
        return Value::Null;
    }
    json!({
        "update_params": edits(&params.update),
        "add_params": edits(&params.add),
        "rename_params": params.rename.iter().cloned().collect::<BTreeMap<_, _>>(),
        "delete_params": params.delete,
    })
}

fn route(config: &Config, row: &RouteRow) -> Value {
    let target = |target: &crate::config::RouteTarget| {
        let when = &target.when;
        let needs = crate::config::Needs::WORDS.into_iter().filter(|(_, need)| when.needs.contain(*need));
        json!({
            "model": model_name(config, &target.model),
            "weight": target.weight,
            "max_input_tokens": when.max_input_tokens,
            "needs": needs.map(|(word, _)| word).collect::<Vec<_>>(),
        })
    };
    json!({
        "strategy": row.strategy.name(),
        "targets": row.targets.iter().map(target).collect::<Vec<_>>(),
        "attempts": row.attempts,
        "first_token": row.first_token.map(seconds),
        "idle": row.idle.map(seconds),
        "on_content_filter": if row.on_content_filter == OnContentFilter::Stop { "stop" } else { "next" },
        "sticky": row.sticky.name(),
        "recover": row.recover.name(),
        "hold": row.hold.map(seconds),
        "continue_with": row.continue_with,
    })
}

fn alias(config: &Config, row: &Alias) -> Value {
    match &row.meaning {
        Meaning::Model(model) => json!(model_name(config, model)),
        Meaning::Route(index) => json!(config.routes.get(*index).map(|route| route.name.as_str())),
    }
}

fn model_name(config: &Config, model: &ModelIndex) -> Option<String> {
    config.row(model).map(|(provider, row)| {
        if row.is_pattern() { format!("{}/{}", provider.name, model.upstream) } else { routing::id(provider, row) }
    })
}

fn origins(cors: &Cors) -> Value {
    match cors {
        Cors::Any => json!("*"),
        Cors::Only(origins) => json!(origins),
    }
}

fn accounting(settings: Accounting) -> Value {
    let Accounting { receipts, keep_receipts_days, keep_usage_days } = settings;
    json!({"receipts": receipts, "keep_receipts_days": keep_receipts_days, "keep_usage_days": keep_usage_days})
}

fn reporting(settings: &Reporting) -> Value {
    json!({
        "enabled": settings.enabled,
        "timezone": settings.timezone,
        "tags": settings.tags.names(),
        "keep_requests_days": settings.keep_requests_days,
        "keep_sums_days": settings.keep_sums_days,
    })
}

fn admin(config: &Config) -> Value {
    let access = config.admin.access.as_ref().map(|access| {
        json!({
            "team_domain": access.origin,
            "audience": access.audience,
            "writers": access.writers,
            "readers": access.readers,
        })
    });
    json!({"keep_audit_days": config.admin.keep_audit_days, "access": access})
}

fn websocket(config: &Config) -> Value {
    let found = &config.websocket;
    json!({
        "enabled": found.enabled,
        "origins": origins(&found.origins),
        "idle_seconds": seconds(found.idle),
        "resume_seconds": seconds(found.resume),
        "buffer_bytes": found.buffer_bytes,
        "max_requests": found.max_requests,
        "key_seconds": seconds(found.key),
        "max_without_key": found.max_without_key,
    })
}

fn logging(settings: &Logging) -> Value {
    let file = settings.file.as_ref().map(|file| {
        let FileLog { path, max_size, backup_count, keep_days } = file;
        json!({"path": path, "max_size": max_size, "backup_count": backup_count, "keep_days": keep_days})
    });
    json!({
        "format": if settings.format == LogFormat::Json { "json" } else { "text" },
        "level": settings.level.name(),
        "output": {"console": settings.console, "file": file},
        "fields": settings.fields.all_shown(),
    })
}

fn telemetry(config: &Config) -> Value {
    let otlp = config.otlp.as_ref().map(|otlp| {
        let Otlp { traces, logs, metrics, export_unsampled, send_trace_context, .. } = *otlp;
        json!({
            "endpoint": address(&otlp.endpoint.join("")),
            "headers_env": otlp.headers_env,
            "traces": traces,
            "logs": logs,
            "metrics": metrics,
            "format": if otlp.format == OtlpFormat::Protobuf { "protobuf" } else { "json" },
            "export_unsampled": export_unsampled,
            "send_trace_context": send_trace_context,
            "service_name": otlp.service_name,
        })
    });
    json!({
        "otlp": otlp,
        "metrics": {"key_label": config.metrics.key_label, "max_samples": config.metrics.max_samples},
    })
}

fn alerts(settings: &Alerting) -> Value {
    let rate = settings
        .error_rate
        .as_ref()
        .map(|rate| json!({"percent": rate.percent, "min_requests": rate.min_requests, "minutes": rate.minutes}));
    json!({
        "budget": settings.budget_percents,
        "target": {"down_seconds": seconds(settings.target_down), "back_seconds": seconds(settings.target_back)},
        "error_rate": rate,
        "spend_per_hour": settings.spend_per_hour.map(crate::wire::dollars::dollars),
        "store_percent": settings.store_percent,
        "per_hour": settings.per_hour,
        "allow_private_addresses": settings.allow_private_addresses,
    })
}

fn proxy(config: &Config) -> Value {
    let shared = &config.proxy;
    json!({
        "http": shared.http.as_ref().map(|found| found.shown()),
        "https": shared.https.as_ref().map(|found| found.shown()),
        "ca": shared.ca.as_ref().map(|found| match found {
            CaSource::Pem(_) => json!("PEM"),
            CaSource::Variable(name) => json!({ "variable": name }),
        }),
    })
}

/// An address without what may be a secret: the values of its query, and long segments of its path.
fn address(url: &str) -> String {
    let (path, query) = url.split_once('?').map_or((url, None), |(path, query)| (path, Some(query)));
    let (scheme, rest) = path.split_once("://").unwrap_or(("", path));
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = authority.rsplit_once('@').map_or(authority.to_owned(), |(_, host)| format!("{MASK}@{host}"));
    let is_long = |part: &&str| part.len() >= MAX_SEGMENT && part.bytes().any(|byte| byte.is_ascii_digit());
    let path: Vec<&str> = path.split('/').map(|part| if is_long(&part) { MASK } else { part }).collect();
    let masked = |pair: &str| match pair.split_once('=') {
        Some((name, _)) => format!("{name}={MASK}"),
        None => MASK.to_owned(),
    };
    let query = query.map(|query| format!("?{}", query.split('&').map(masked).collect::<Vec<_>>().join("&")));
    format!("{scheme}://{host}{}{}", path.join("/"), query.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_secrets() {
        for (url, shown) in [
            ("https://api.example.com/v1", "https://api.example.com/v1"),
            ("https://h:8443/a/0123456789abcdef0123/v1", "https://h:8443/a/***/v1"),
            ("https://h/my-deployment-of-gateway", "https://h/my-deployment-of-gateway"),
            ("https://h/v1?api-version=1&key=abc&x", "https://h/v1?api-version=***&key=***&***"),
            ("https://user:pass@h/v1", "https://***@h/v1"),
            ("http://h", "http://h"),
        ] {
            assert_eq!(address(url), shown);
        }
    }
}
