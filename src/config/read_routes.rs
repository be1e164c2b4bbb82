//! Reads `routes` and `aliases` of the configuration file.

use super::names::{self, NoMatch, find_row};
use super::near;
use super::provider::Provider;
use super::routes::{
    Alias, Meaning, ModelIndex, Needs, OnContentFilter, Recover, RouteRow, RouteTarget, Sticky, Strategy, When,
};
use super::yaml::{Node, Table};

/// The most attempts that a route may be configured with. A Worker may make 50 calls for one request on the
/// free plan, and needs some for accounts.
pub(super) const MAX_ATTEMPTS: u64 = 10;

/// The largest weight of a target: sums of weights stay exact.
const MAX_WEIGHT: u64 = 1_000;

pub(super) const ON_CONTENT_FILTER: &[(&str, OnContentFilter)] =
    &[("stop", OnContentFilter::Stop), ("next", OnContentFilter::Next)];
const ROUTE_KEYS: &[&str] = &[
    "strategy",
    "targets",
    "attempts",
    "first_token",
    "idle",
    "on_content_filter",
    "sticky",
    "recover",
    "hold",
    "continue_with",
];

/// The routes and aliases of the file.
pub(super) struct OwnNames {
    pub(super) routes: Vec<RouteRow>,
    pub(super) aliases: Vec<Alias>,
}

/// What names of models and routes are looked up in.
struct Known<'p> {
    providers: &'p [Provider],
    default: usize,
    /// The providers that the file names, also those with faults.
    written: Vec<String>,
    /// The routes, in the file's order.
    routes: Vec<String>,
    /// The aliases, and what each stands for.
    aliases: Vec<(String, String)>,
}

impl OwnNames {
    /// Reads both sections. `default` is the index of the default provider.
    pub(super) fn read(table: &Table<'_>, providers: &[Provider], default: usize) -> Self {
        let entries = |key: &str| table.at(key).and_then(|node| node.entries()).unwrap_or_default();
        let (routes, aliases) = (entries("routes"), entries("aliases"));
        let word = |(name, node): &(String, Node<'_>)| Some((name.clone(), node.word()?.to_owned()));
        let known = Known {
            providers,
            default,
            written: entries("providers").into_iter().map(|(name, _)| name).collect(),
            routes: routes.iter().map(|(name, _)| name.clone()).collect(),
            aliases: aliases.iter().filter_map(word).collect(),
        };
        for (name, node) in routes.iter().chain(&aliases) {
            check_name(name, node, &known.written);
        }
        for (name, node) in aliases.iter().filter(|(name, _)| known.routes.contains(name)) {
            node.fault(format!("`{name}` is already the name of a route"));
        }
        Self {
            routes: routes.into_iter().filter_map(|(name, node)| route(name, &node, &known)).collect(),
            aliases: aliases.into_iter().filter_map(|(name, node)| alias(name, &node, &known)).collect(),
        }
    }
}

/// A name of the gateway's own may hide a model that is called without its provider's name, but never
/// `provider/model`.
fn check_name(name: &str, node: &Node<'_>, providers: &[String]) {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':' | '/' | '@' | '<' | '>');
    if name.is_empty() || !name.chars().all(is_plain) {
        node.fault("expected a name of letters, digits and `-_.:/@<>`");
    }
    let prefix = name.split_once('/').map(|(prefix, _)| prefix);
    if let Some(provider) = prefix.filter(|prefix| providers.iter().any(|known| known == prefix)) {
        node.fault(format!("names that begin with `{provider}/` belong to the provider; choose another name"));
    }
}

fn route(name: String, node: &Node<'_>, known: &Known<'_>) -> Option<RouteRow> {
    let empty = RouteRow {
        name,
        strategy: Strategy::default(),
        targets: Vec::new(),
        attempts: None,
        first_token: None,
        idle: None,
        on_content_filter: OnContentFilter::default(),
        sticky: Sticky::default(),
        recover: Recover::default(),
        hold: None,
        continue_with: None,
    };
    if node.is_list() {
        return Some(RouteRow { targets: targets(node, Strategy::Priority, known), ..empty });
    }
    let table = node.table(ROUTE_KEYS)?;
    let Some(list) = table.at("targets") else {
        node.fault("`targets` is missing: the models that serve the route");
        return None;
    };
    let strategy = table.at("strategy").and_then(|node| node.choice(&Strategy::WORDS)).unwrap_or_default();
    let seconds = |key: &str| table.at(key).and_then(|node| node.seconds());
    let on_content_filter = table.at("on_content_filter").and_then(|node| node.choice(ON_CONTENT_FILTER));
    Some(RouteRow {
        strategy,
        targets: targets(&list, strategy, known),
        attempts: table.at("attempts").and_then(|node| up_to(&node, 1, MAX_ATTEMPTS)),
        first_token: seconds("first_token"),
        idle: seconds("idle"),
        on_content_filter: on_content_filter.unwrap_or_default(),
        sticky: table.at("sticky").and_then(|node| node.choice(&Sticky::WORDS)).unwrap_or_default(),
        recover: table.at("recover").and_then(|node| node.choice(&Recover::WORDS)).unwrap_or_default(),
        hold: seconds("hold"),
        continue_with: table.at("continue_with").and_then(|node| node.text()),
        ..empty
    })
}

fn targets(node: &Node<'_>, strategy: Strategy, known: &Known<'_>) -> Vec<RouteTarget> {
    let Some(items) = node.list() else { return Vec::new() };
    if items.is_empty() {
        node.fault("name at least one model");
    }
    let mut targets: Vec<RouteTarget> = Vec::new();
    for item in &items {
        let Some(found) = target(item, strategy, known) else { continue };
        let is_same = |other: &RouteTarget| other.model == found.model && other.when == found.when;
        if targets.iter().any(is_same) {
            item.fault("this model is listed twice");
        }
        targets.push(found);
    }
    if strategy == Strategy::Weighted && !targets.is_empty() && targets.iter().all(|target| target.weight == 0) {
        node.fault("at least one target needs a weight above 0");
    }
    targets
}

fn target(node: &Node<'_>, strategy: Strategy, known: &Known<'_>) -> Option<RouteTarget> {
    if node.word().is_some() {
        let model = known.model(&node.text()?, node)?;
        return Some(RouteTarget { model, weight: 1, when: When::default() });
    }
    let table = node.table(&["model", "weight", "when"])?;
    let Some(name) = table.at("model") else {
        node.fault("`model` is missing: the name of the model");
        return None;
    };
    let weight = table.at("weight").and_then(|node| {
        if strategy != Strategy::Weighted {
            node.note("this has no effect without `strategy: weighted`");
        }
        up_to(&node, 0, MAX_WEIGHT)
    });
    let when = table.at("when").and_then(|node| when(&node)).unwrap_or_default();
    Some(RouteTarget { model: known.model(&name.text()?, &name)?, weight: weight.unwrap_or(1), when })
}

fn when(node: &Node<'_>) -> Option<When> {
    let table = node.table(&["max_input_tokens", "needs"])?;
    let words = table.at("needs").and_then(|node| node.list()).unwrap_or_default();
    let needs = words.iter().filter_map(|word| word.choice(&Needs::WORDS)).fold(Needs::NONE, Needs::with);
    Some(When { max_input_tokens: table.at("max_input_tokens").and_then(|node| node.count(1)), needs })
}

fn up_to(node: &Node<'_>, least: u64, most: u64) -> Option<u32> {
    let count = node.count(least)?;
    if count > most {
        node.fault(format!("expected at most {most}"));
    }
    u32::try_from(count.min(most)).ok()
}

fn alias(name: String, node: &Node<'_>, known: &Known<'_>) -> Option<Alias> {
    let meaning = known.meaning(&node.text()?, node)?;
    Some(Alias { name, meaning })
}

impl Known<'_> {
    /// What a name in the file stands for. Reports a fault of `node` if it stands for nothing.
    fn meaning(&self, name: &str, node: &Node<'_>) -> Option<Meaning> {
        let mut path = vec![name];
        loop {
            let last = path.last().copied().unwrap_or_default();
            if let Some(route) = self.routes.iter().position(|route| route == last) {
                return Some(Meaning::Route(route));
            }
            let Some((_, next)) = self.aliases.iter().find(|(alias, _)| alias == last) else {
                return self.row(last, node).map(Meaning::Model);
            };
            if path.contains(&next.as_str()) {
                node.fault(format!("this alias stands for itself: {} → {next}", path.join(" → ")));
                return None;
            }
            path.push(next);
        }
    }

    /// The model that a target names.
    fn model(&self, name: &str, node: &Node<'_>) -> Option<ModelIndex> {
        match self.meaning(name, node)? {
            Meaning::Model(model) => Some(model),
            Meaning::Route(_) => {
                node.fault(format!("`{name}` is a route; list its models instead"));
                None
            }
        }
    }

    /// The model of this name, as requests find it.
    fn row(&self, name: &str, node: &Node<'_>) -> Option<ModelIndex> {
        match find_row(self.providers, self.default, name) {
            Ok(found) => {
                let (_, upstream) = found.model(self.providers, name)?;
                Some(ModelIndex { provider: found.provider, row: found.row, upstream: upstream.into_owned() })
            }
            Err(NoMatch::Ambiguous(providers)) => {
                let choices = names::full(self.providers, &providers, name).join(", ");
                node.fault(format!("several providers have `{name}`; choose one of {choices}"));
                None
            }
            Err(NoMatch::Unknown) => {
                self.report_unknown(name, node);
                None
            }
        }
    }

    /// Reports a name that is not known, unless it belongs to a provider with faults of its own.
    fn report_unknown(&self, name: &str, node: &Node<'_>) {
        let prefix = name.split_once('/').map(|(prefix, _)| prefix);
        let is_read = |name: &str| self.providers.iter().any(|provider| provider.name == name);
        if prefix.is_some_and(|prefix| self.written.iter().any(|written| written == prefix) && !is_read(prefix)) {
            return;
        }
        let known: Vec<String> = self.providers.iter().flat_map(names::all).collect();
        let own = self.routes.iter().chain(self.aliases.iter().map(|(alias, _)| alias));
        let known: Vec<&str> = known.iter().map(String::as_str).chain(own.map(String::as_str)).collect();
        node.fault(format!("no model is known as `{name}`{}", near::hint(name, &known)));
    }
}
