//! Stand-ins of hosts: what they would say of a request, and what a caller would say of its loss.

use llm_bridge::canonical::{Effort, Raw, Thinking};
use llm_bridge::catalogue::Facts;
use llm_bridge::catalogue::field::{EFFORTS, Field, Fit, Value as Known};
use llm_bridge::config::{Config, Model};
use llm_bridge::formats::bounds::{Edit, LimitNames};
use llm_bridge::formats::{CHAT, KINDS};
use llm_bridge::wire::json::Document;
use serde_json::Value;

use super::Place;
use super::asks::{LIMIT, LONG_ID, THOUGHT, called, chat, thinking, written};
use super::documents::{HostDocument, ModelDocument, Taken};

/// A model at a host, and what is known of it.
struct Stage<'a> {
    host: &'a HostDocument,
    model: &'a ModelDocument,
    place: Place<'a>,
    facts: &'a Facts,
    faults: Vec<String>,
}

/// What a host refuses of what the gateway writes, and what is lost that it would have taken.
pub fn violations(host: &HostDocument, model: &ModelDocument, place: Place<'_>, facts: &Facts) -> Vec<String> {
    let mut stage = Stage { host, model, place, facts, faults: Vec::new() };
    stage.card();
    stage.apis();
    stage.money();
    stage.limit();
    for with_tools in [false, true] {
        for asked in asked_reasoning() {
            stage.reasoning(asked, with_tools);
        }
    }
    stage.users();
    stage.stop_texts();
    stage.history();
    stage.logprobs();
    stage.developer();
    stage.faults
}

fn asked_reasoning() -> Vec<Option<Thinking>> {
    let efforts = [Effort::Minimal, Effort::Low, Effort::Medium, Effort::High, Effort::Higher, Effort::Highest];
    let by_effort = efforts.into_iter().map(|effort| Some(Thinking::Effort(effort)));
    [None, Some(Thinking::Off), Some(Thinking::Budget(2_000))].into_iter().chain(by_effort).collect()
}

/// The word for what is asked for, if it is a word.
fn word(asked: Option<Thinking>) -> Option<&'static str> {
    Some(match asked? {
        Thinking::Off => "none",
        Thinking::Effort(Effort::Minimal) => "minimal",
        Thinking::Effort(Effort::Low) => "low",
        Thinking::Effort(Effort::Medium) => "medium",
        Thinking::Effort(Effort::High) => "high",
        Thinking::Effort(Effort::Higher) => "xhigh",
        Thinking::Effort(Effort::Highest) => "max",
        Thinking::Free | Thinking::Budget(_) => return None,
    })
}

/// The word that a caller of `asked` gets: that, or the next lower one, or the lowest.
fn next_best<'w>(asked: &str, words: &'w [String]) -> Option<&'w str> {
    let rank = |word: &str| EFFORTS.iter().position(|known| *known == word).unwrap();
    let mut sorted: Vec<&str> = words.iter().map(String::as_str).collect();
    sorted.sort_by_key(|word| rank(word));
    let lower = sorted.iter().rev().find(|word| rank(word) <= rank(asked));
    lower.or(sorted.first()).copied()
}

fn listed_words(facts: &Facts) -> String {
    match facts.get(Field::ReasoningEffort) {
        Some(Known::Fit(Fit::NearestOf(efforts))) => efforts.words().collect::<Vec<_>>().join(" "),
        Some(Known::Fit(Fit::Keep)) => "any".to_owned(),
        Some(_) => "dropped".to_owned(),
        None => "unknown".to_owned(),
    }
}

impl Stage<'_> {
    fn insist(&mut self, holds: bool, fault: impl FnOnce() -> String) {
        if !holds {
            self.faults.push(fault());
        }
    }

    fn write(&self, request: llm_bridge::canonical::ModelRequest<'static>) -> Value {
        written(self.place.format, self.place.model, request, self.facts)
    }

    fn refuses(&self, setting: &str) -> bool {
        self.model.refuses.iter().any(|refused| refused == setting)
    }

    fn same(&mut self, what: &str, known: &str, documented: Option<&str>) {
        let is_same = documented.is_none_or(|documented| documented == known);
        self.insist(is_same, || format!("{what}: {known} instead of {documented:?}"));
    }

    /// Which APIs of the host take the model.
    fn apis(&mut self) {
        let documented = self.model.apis.as_ref().or(self.host.apis.as_ref());
        for api in ["chat", "responses"] {
            let known = self.facts.has(Field::Endpoints, api);
            let expected = documented.map(|apis| apis.iter().any(|known| known == api));
            if known != expected {
                self.faults.push(format!("{api}: {known:?} instead of {expected:?}"));
            }
        }
    }

    /// What lists of models show.
    fn card(&mut self) {
        let (facts, model) = (self.facts, self.model);
        let list = |field: Field, words: &[&str]| {
            if facts.get(field).is_none() {
                return "unknown".to_owned();
            }
            let known: Vec<&str> = words.iter().copied().filter(|word| facts.has(field, word) == Some(true)).collect();
            known.join(" ")
        };
        let sorted = |words: &[&str], some: &Option<Vec<String>>| {
            let some = some.as_ref()?;
            Some(words.iter().copied().filter(|word| some.iter().any(|one| one == word)).collect::<Vec<_>>().join(" "))
        };
        let (kinds, forms) = (["text", "image", "audio", "video", "pdf"], ["effort", "budget", "adaptive"]);
        self.same("input", &list(Field::Input, &kinds), sorted(&kinds, &model.input).as_deref());
        self.same("thinking", &list(Field::Thinking, &forms), sorted(&forms, &model.forms).as_deref());
        if self.place.format != "openai" {
            let documented = self.documented_words();
            self.same("the words of effort", &listed_words(facts), Some(&documented));
        }
        for (field, documented) in [
            (Field::Thinks, model.thinks),
            (Field::Tools, model.tools),
            (Field::StructuredOutput, model.schema),
            (Field::ExactCallId, Some(self.host.exact_call_id)),
        ] {
            let documented = documented.map(|flag| flag.to_string());
            self.same(&format!("{field:?}"), &facts.flag(field).to_string(), documented.as_deref());
        }
    }

    /// What reservations, charges and counts take from the catalogue.
    fn money(&mut self) {
        let (facts, model, host) = (self.facts, self.model, self.host);
        let word = |field: Field| facts.word(field).unwrap_or("none");
        let cost = host.cost.as_deref().map_or("none", |cost| if cost == "details" { "usd_if_detailed" } else { cost });
        self.same("reports_cost", word(Field::ReportsCost), Some(cost));
        self.same("limit_field", word(Field::DemandedLimit), model.limit.as_deref());
        self.same("encoding", word(Field::Encoding), model.encoding.as_deref());
        self.same("near_encoding", word(Field::NearEncoding), model.near.as_deref());
        let least = facts.count(Field::LeastBudget).unwrap_or(0).to_string();
        self.same("least_budget", &least, model.least.map(|least| least.to_string()).as_deref());
        let fee = facts.count(Field::SearchFee).unwrap_or(0).to_string();
        self.same("search_fee", &fee, Some(&host.search.unwrap_or(0).to_string()));
    }

    /// The words that lists of models show. Where only budgets are documented, each word is one.
    fn documented_words(&self) -> String {
        let has_budgets = self.model.forms.as_ref().is_none_or(|forms| !forms.is_empty());
        match self.model.efforts(self.place.host, false) {
            Some(words) => {
                EFFORTS.iter().copied().filter(|word| words.iter().any(|one| one == word)).collect::<Vec<_>>().join(" ")
            }
            None if has_budgets => "any".to_owned(),
            None => "dropped".to_owned(),
        }
    }

    /// The limit goes out under a name that is honoured, and only such names reduce a reservation.
    fn limit(&mut self) {
        let names = LimitNames::of(&[], self.facts.names(Field::LimitFields));
        let documented = &self.host.limit;
        for name in ["max_tokens", "max_completion_tokens"] {
            let is_honoured = documented.iter().any(|own| own == name);
            let expected = if documented.is_empty() { name == "max_tokens" } else { is_honoured };
            self.insist(names.honours(name) == expected, || format!("the limit {name} counts wrongly"));
        }
        if self.place.format != "openai" {
            return;
        }
        let body = self.write(chat());
        if let Some(name) = documented.first() {
            self.insist(body[name] == LIMIT, || format!("the limit is not sent as {name}"));
        }
    }

    fn reasoning(&mut self, asked: Option<Thinking>, with_tools: bool) {
        let request = thinking(asked, with_tools);
        let (mut without_top_p, mut without_temperature) = (request.clone(), request.clone());
        (without_top_p.sampling.top_p, without_temperature.sampling.temperature) = (None, None);
        let alone = [self.write(without_top_p), self.write(without_temperature)];
        let body = self.write(request);
        match self.place.format {
            "openai" => {
                self.words_of_effort(asked, with_tools, &body);
                self.settings_of_chats(asked, with_tools, &body);
            }
            "anthropic" => {
                self.anthropic_thinking(asked, &body);
                self.anthropic_settings(asked, &body, &alone);
            }
            _ => self.gemini_thinking(asked, &body),
        }
    }

    fn words_of_effort(&mut self, asked: Option<Thinking>, with_tools: bool, body: &Value) {
        let Some(words) = self.model.efforts(self.place.host, with_tools).map(<[String]>::to_vec) else { return };
        let sent = body.get("reasoning_effort").and_then(Value::as_str);
        let context = || format!("asked for {asked:?}, tools {with_tools}");
        if let Some(sent) = sent {
            self.insist(words.iter().any(|word| word == sent), || format!("effort {sent} is refused: {}", context()));
        }
        let default = self.model.default_effort();
        if sent.is_none() && with_tools && self.model.with_tools.is_some() {
            let is_taken = words.iter().any(|word| word == default);
            self.insist(is_taken, || format!("the default effort {default} is refused beside tools"));
        }
        if let Some(asked) = word(asked) {
            let expected = next_best(asked, &words);
            self.insist(sent == expected, || format!("effort {sent:?} instead of {expected:?}: {}", context()));
        }
        if asked.is_none() && !with_tools {
            self.insist(sent.is_none(), || format!("effort {sent:?} that nobody asked for"));
        }
    }

    fn settings_of_chats(&mut self, asked: Option<Thinking>, with_tools: bool, body: &Value) {
        let effort = body.get("reasoning_effort").and_then(Value::as_str).unwrap_or(self.model.default_effort());
        let is_free = self.model.free_at_none && effort == "none";
        for setting in ["temperature", "top_p", "presence_penalty", "frequency_penalty", "stop"] {
            let is_sent = body.get(setting).is_some();
            let is_refused = self.refuses(setting) && (setting == "stop" || !is_free);
            self.insist(is_sent != is_refused, || format!("{setting} sent {is_sent}: {asked:?}, tools {with_tools}"));
        }
        let is_streamed = self.write(llm_bridge::canonical::ModelRequest { stream: true, ..chat() });
        let asks_for_usage = is_streamed["stream_options"]["include_usage"] == true;
        self.insist(asks_for_usage, || "the usage of a stream is not asked for".to_owned());
    }

    fn anthropic_thinking(&mut self, asked: Option<Thinking>, body: &Value) {
        let Some(forms) = self.model.forms.clone() else { return };
        let takes = |form: &str| forms.iter().any(|own| own == form);
        let kind = body["thinking"]["type"].as_str().unwrap_or("none").to_owned();
        let context = || format!("thinking {kind}: {asked:?}");
        let is_taken = match kind.as_str() {
            "enabled" => takes("budget") && body["thinking"]["budget_tokens"].as_u64() >= Some(1_024),
            "adaptive" => takes("adaptive"),
            _ => true,
        };
        self.insist(is_taken, || format!("refused: {}", context()));
        let wants = matches!(asked, Some(Thinking::Effort(_) | Thinking::Budget(_)));
        self.insist((kind != "none") == (wants && !forms.is_empty()), || format!("lost: {}", context()));
        let budget = body["thinking"]["budget_tokens"].as_u64();
        if let (Some(Thinking::Budget(asked)), true) = (asked, takes("budget")) {
            self.insist(budget == Some(asked), || format!("the budget is {budget:?}"));
        }
        let sent = body["output_config"]["effort"].as_str();
        let words = self.model.efforts(self.place.host, false).map(<[String]>::to_vec).unwrap_or_default();
        if let (Some(Thinking::Effort(_)), Some(asked)) = (asked, word(asked)) {
            let expected = if takes("adaptive") { next_best(asked, &words) } else { None };
            self.insist(sent == expected, || format!("effort {sent:?} instead of {expected:?} for {asked}"));
        }
        if let Some(sent) = sent {
            self.insist(words.iter().any(|word| word == sent), || format!("effort {sent} is refused"));
        }
    }

    /// Settings are asked for where nothing else excludes them: without reasoning.
    fn anthropic_settings(&mut self, asked: Option<Thinking>, both: &Value, alone: &[Value; 2]) {
        for setting in ["temperature", "top_p", "top_k"] {
            let is_sent = alone.iter().any(|body| body.get(setting).is_some());
            self.insist(!(is_sent && self.refuses(setting)), || format!("{setting} is refused: {asked:?}"));
            if matches!(asked, None | Some(Thinking::Off)) && !self.refuses(setting) {
                self.insist(is_sent, || format!("{setting} is lost: {asked:?}"));
            }
        }
        let clash = self.model.exclusive && both.get("temperature").is_some() && both.get("top_p").is_some();
        self.insist(!clash, || "temperature and top_p cannot both be specified".to_owned());
        let is_lost = both.get("temperature").is_none() && !self.refuses("temperature") && asked.is_none();
        self.insist(!is_lost, || "temperature is lost beside top_p".to_owned());
        let is_both = both.get("top_p").is_some() || self.refuses("top_p") || self.model.exclusive || asked.is_some();
        self.insist(is_both, || "top_p is lost beside temperature".to_owned());
        self.insist(both.get("stop_sequences").is_some(), || "the stop text is lost".to_owned());
    }

    fn gemini_thinking(&mut self, asked: Option<Thinking>, body: &Value) {
        let Some(forms) = self.model.forms.clone() else { return };
        let config = &body["generationConfig"]["thinkingConfig"];
        let (level, budget) = (config["thinkingLevel"].as_str(), config["thinkingBudget"].as_i64());
        let context = || format!("level {level:?}, budget {budget:?}: {asked:?}");
        let takes = |form: &str| forms.iter().any(|own| own == form);
        if forms.is_empty() {
            self.insist(config.is_null(), || format!("thinkingConfig is refused: {}", context()));
            return;
        }
        let words = self.model.efforts(self.place.host, false).map(<[String]>::to_vec).unwrap_or_default();
        if let Some(level) = level {
            let is_known = takes("effort") && words.iter().any(|word| word == level);
            self.insist(is_known, || format!("refused: {}", context()));
        }
        match asked {
            Some(Thinking::Effort(_)) if takes("effort") => {
                let expected = next_best(word(asked).unwrap(), &words);
                self.insist(level == expected, || format!("not {expected:?}: {}", context()));
            }
            Some(Thinking::Effort(_)) => self.insist(budget > Some(0), || format!("lost: {}", context())),
            Some(Thinking::Off) if takes("budget") => {
                let least = self.model.least.and_then(|least| i64::try_from(least).ok());
                self.insist(budget == least, || format!("not {least:?}: {}", context()));
            }
            _ => {}
        }
        for setting in ["temperature", "topP", "topK", "stopSequences"] {
            let is_sent = body["generationConfig"].get(setting).is_some();
            self.insist(is_sent, || format!("{setting} is lost: {asked:?}"));
        }
    }

    fn users(&mut self) {
        if self.place.format == "gemini" {
            return;
        }
        let most = self.model.user.or(self.host.user);
        let lengths = [Some(6), most, most.map(|most| most + 1), Some(500)];
        let names = lengths.into_iter().flatten().map(|length| "u".repeat(length));
        for name in names.chain(["a@b.example".to_owned(), "+49 30 1234567".to_owned()]) {
            let body = self.write(llm_bridge::canonical::ModelRequest { user: Some(Raw::quoted(&name)), ..chat() });
            let sent = if self.place.format == "anthropic" { &body["metadata"]["user_id"] } else { &body["user"] };
            let sent = sent.as_str().unwrap_or_default().to_owned();
            let is_personal = !name.starts_with('u') && self.host.personal == Taken::Refused;
            let is_taken = !is_personal && most.is_none_or(|most| name.len() <= most);
            self.insist((sent == name) == is_taken, || format!("the user {name} is sent as {sent}"));
            let fits = most.is_none_or(|most| sent.len() <= most) && !sent.is_empty();
            self.insist(fits, || format!("the user {sent} is refused"));
        }
    }

    fn stop_texts(&mut self) {
        if self.refuses("stop") {
            return;
        }
        let most = self.host.stop;
        for count in [Some(1), most, most.map(|most| most + 1), Some(20)].into_iter().flatten() {
            let stop = (0..count).map(|number| Raw::quoted(&format!("s{number}"))).collect();
            let body = self.write(llm_bridge::canonical::ModelRequest { stop, ..chat() });
            let sent = match self.place.format {
                "openai" => &body["stop"],
                "anthropic" => &body["stop_sequences"],
                _ => &body["generationConfig"]["stopSequences"],
            };
            let sent = sent.as_array().map_or(0, Vec::len);
            let expected = most.map_or(count, |most| count.min(most));
            self.insist(sent == expected, || format!("{sent} stop texts of {count}"));
        }
    }

    /// A tool's name, a call's id, and what the model thought before it called.
    fn history(&mut self) {
        if self.place.format != "openai" {
            return;
        }
        let most = self.host.tool_name;
        for length in [Some(8), most, most.map(|most| most + 1), Some(90)].into_iter().flatten() {
            let name = "f".repeat(length);
            let body = self.write(called(&name, "call_1"));
            let sent = body["tools"][0]["function"]["name"].as_str().unwrap().to_owned();
            let in_history = &body["messages"][1]["tool_calls"][0]["function"]["name"];
            self.insist(*in_history == sent.as_str(), || "a call of another name".to_owned());
            let expected = most.map_or(length, |most| length.min(most));
            self.insist(sent.len() == expected, || format!("a name of {length} is sent as {}", sent.len()));
        }
        self.ids();
        let body = self.write(called("f", "call_1"));
        let turn = &body["messages"][1];
        for field in ["reasoning_content", "reasoning"] {
            let is_wanted = self.host.thoughts.as_deref() == Some(field);
            let is_sent = turn.get(field).is_some_and(|sent| *sent == THOUGHT);
            self.insist(is_sent == is_wanted, || format!("{field} of earlier turns sent {is_sent}"));
        }
    }

    fn ids(&mut self) {
        let most = self.host.call_id;
        let fitting = most.map_or_else(|| "call_1".to_owned(), |most| "a".repeat(most));
        let longer = most.map(|most| "a".repeat(most + 1));
        for id in
            [Some(fitting.clone()), longer, Some("call_1".to_owned()), Some(LONG_ID.to_owned())].into_iter().flatten()
        {
            let body = self.write(called("f", &id));
            let sent = body["messages"][1]["tool_calls"][0]["id"].as_str().unwrap().to_owned();
            self.insist(body["messages"][2]["tool_call_id"] == sent.as_str(), || "a result of another call".to_owned());
            let Some(most) = most else {
                self.insist(sent == id, || format!("the id {id} is sent as {sent}"));
                continue;
            };
            let is_plain = sent.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
            let is_bare = sent.bytes().all(|byte| byte.is_ascii_alphanumeric());
            let is_taken = if self.host.exact_call_id { sent.len() == most && is_bare } else { sent.len() <= most };
            self.insist(is_taken && is_plain, || format!("the id {sent} is refused"));
            self.insist(id != fitting || sent == id, || format!("the id {id} is sent as {sent}"));
        }
    }

    fn logprobs(&mut self) {
        if self.place.format != "openai" {
            return;
        }
        let body = self.write(llm_bridge::canonical::ModelRequest { logprobs: Some(2), ..chat() });
        let is_sent = body.get("logprobs").is_some();
        let is_taken = self.host.logprobs == Taken::Taken;
        self.insist(is_sent == is_taken, || format!("logprobs sent {is_sent}"));
    }

    /// Between equal formats, the role is all that is changed.
    fn developer(&mut self) {
        if self.place.format != "openai" {
            return;
        }
        let role = if let Fit::Rename(role) = self.facts.fit(Field::DeveloperRole) { Some(role) } else { None };
        let row = model_row();
        let mut document = Document::read(br#"{"messages":[{"role":"developer","content":"Be brief."}]}"#).unwrap();
        let edit = Edit {
            row: &row,
            model: "m",
            model_place: llm_bridge::formats::operation::ModelPlace::Path,
            limit_names: LimitNames::Unknown,
            allows_zero_limit: false,
            developer_role: role,
            asks_for_usage: false,
            streams: true,
            seals_reasoning: false,
            prompt_only: false,
            asks_for_stream: false,
        };
        (CHAT.rules.edit)(&mut document, &edit);
        let body: Value = serde_json::from_slice(&document.render()).unwrap();
        let expected = if self.host.developer == Taken::Taken { "developer" } else { "system" };
        let sent = body["messages"][0]["role"].as_str().unwrap().to_owned();
        self.insist(sent == expected, || format!("the role developer is sent as {sent}"));
    }
}

fn model_row() -> Model {
    let config = Config::read("providers: { p: { base_url: 'https://a.b', models: { m: {} } } }", KINDS).unwrap();
    config.providers[0].models[0].clone()
}
