//! The settings of the admin API (`admin` in the file).

use super::yaml::{Node, Table};

/// The settings of the admin API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminSettings {
    /// Days for which an entry of the audit log is kept.
    pub keep_audit_days: u64,
    /// Cloudflare Access as an identity of administrators, if it is one.
    pub access: Option<AccessSettings>,
}

/// The application of Cloudflare Access whose identities may call the admin API
/// (<https://developers.cloudflare.com/cloudflare-one/identity/authorization-cookie/validating-json/>).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessSettings {
    /// The origin of the team: `https://<team>.cloudflareaccess.com`. It is the issuer of tokens, and has the
    /// keys that sign them.
    pub origin: String,
    /// The Application Audience (AUD) Tag: a token for another application is refused.
    pub audience: String,
    /// The identities that may change something, in lower case: addresses of email, or the client ids of
    /// service tokens. All others may read.
    pub writers: Vec<String>,
    /// The identities that may read, besides the writers; `None`: all that Access lets through.
    pub readers: Option<Vec<String>>,
}

impl Default for AdminSettings {
    fn default() -> Self {
        Self { keep_audit_days: 400, access: None }
    }
}

impl AdminSettings {
    pub(super) fn read(node: &Node<'_>) -> Option<Self> {
        let table = node.table(&["keep_audit_days", "access"])?;
        let default = Self::default();
        let days = table.at("keep_audit_days").and_then(|node| node.count(1));
        Some(Self {
            keep_audit_days: days.unwrap_or(default.keep_audit_days),
            access: table.at("access").and_then(|node| AccessSettings::read(&node)),
        })
    }
}

impl AccessSettings {
    fn read(node: &Node<'_>) -> Option<Self> {
        let table = node.table(&["team_domain", "audience", "writers", "readers"])?;
        let origin = required(&table, "team_domain", "<team>.cloudflareaccess.com").and_then(|node| read_origin(&node));
        let audience = required(&table, "audience", "the Application Audience (AUD) Tag of the application")
            .and_then(|node| read_word(&node));
        Some(Self {
            origin: origin?,
            audience: audience?,
            writers: table.at("writers").map(|node| read_identities(&node)).unwrap_or_default(),
            readers: table.at("readers").map(|node| read_identities(&node)),
        })
    }
}

fn required<'a>(table: &Table<'a>, key: &str, what: &str) -> Option<Node<'a>> {
    let node = table.at(key);
    if node.is_none() {
        table.node().fault(format!("`{key}` is missing: {what}"));
    }
    node
}

/// The origin of a team's domain. Another host can have no say in who is an administrator, except one on this
/// machine: there tests have their own keys.
fn read_origin(node: &Node<'_>) -> Option<String> {
    let text = node.text()?;
    let domain = text.strip_prefix("https://").unwrap_or(&text).trim_end_matches('/');
    let team = domain.strip_suffix(".cloudflareaccess.com").unwrap_or_default();
    let is_label =
        |label: &str| !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if !team.is_empty() && team.split('.').all(is_label) {
        return Some(format!("https://{}", domain.to_ascii_lowercase()));
    }
    let port = text.strip_prefix("http://127.0.0.1:").unwrap_or_default();
    if port.parse::<u16>().is_ok() && port.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(text);
    }
    node.fault("expected the domain of your team: <team>.cloudflareaccess.com");
    None
}

fn read_word(node: &Node<'_>) -> Option<String> {
    let word = node.text()?;
    if word.is_empty() || word.contains(char::is_whitespace) {
        node.fault("expected one word");
        return None;
    }
    Some(word)
}

fn read_identities(node: &Node<'_>) -> Vec<String> {
    let items = node.list().unwrap_or_default();
    items.iter().filter_map(read_word).map(|identity| identity.to_lowercase()).collect()
}

#[cfg(test)]
mod tests {
    use serde_yaml::Value;

    use super::super::yaml::Report;
    use super::*;

    fn read(text: &str) -> (Option<AccessSettings>, usize) {
        let value: Value = serde_yaml::from_str(text).unwrap();
        let report = Report::new(text);
        let settings = AdminSettings::read(&Node::root(&value, &report));
        (settings.and_then(|settings| settings.access), report.take().0.len())
    }

    #[test]
    fn identities_may_read_unless_they_are_listed() {
        let (settings, faults) = read(
            "access: { team_domain: My-Team.cloudflareaccess.com, audience: 4714c1, writers: [Alice@example.com] }",
        );
        let expected = AccessSettings {
            origin: "https://my-team.cloudflareaccess.com".to_owned(),
            audience: "4714c1".to_owned(),
            writers: vec!["alice@example.com".to_owned()],
            readers: None,
        };
        assert_eq!((settings, faults), (Some(expected), 0));
        let (settings, _) = read("access: { team_domain: a.cloudflareaccess.com, audience: b, readers: [] }");
        assert_eq!(settings.unwrap().readers, Some(Vec::new()));
    }

    #[test]
    fn keys_come_from_the_team_or_from_this_machine() {
        let origin = |domain: &str| {
            let (settings, faults) = read(&format!("access: {{ team_domain: '{domain}', audience: a }}"));
            assert_eq!(faults, usize::from(settings.is_none()), "{domain}");
            settings.map(|settings| settings.origin)
        };
        let team = Some("https://team.cloudflareaccess.com".to_owned());
        assert_eq!(origin("team.cloudflareaccess.com"), team);
        assert_eq!(origin("https://team.cloudflareaccess.com/"), team);
        assert_eq!(origin("http://127.0.0.1:8080").as_deref(), Some("http://127.0.0.1:8080"));
        for domain in [
            "",
            "team",
            "cloudflareaccess.com",
            ".cloudflareaccess.com",
            "evil.example",
            "evil.example/.cloudflareaccess.com",
            "evil.example#.cloudflareaccess.com",
            "user@evil.cloudflareaccess.com",
            "http://team.cloudflareaccess.com",
            "http://127.0.0.1",
            "http://127.0.0.1:80@evil.example",
            "http://127.0.0.1:80/path",
            "http://127.0.0.2:80",
        ] {
            assert_eq!(origin(domain), None, "{domain}");
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        assert_eq!(read("access: {}"), (None, 2));
        assert_eq!(read("access: { team_domain: a.cloudflareaccess.com }"), (None, 1));
        assert_eq!(read("access: { audience: a, team: b }"), (None, 2));
    }
}
