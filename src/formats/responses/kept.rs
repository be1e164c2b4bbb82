//! Responses that are kept: what a request refers to, and what stands in its place.
//! Source: the OpenAI API reference, "Create a model response" (`previous_response_id`, `item_reference`), "Get a model
//! response", "List input items".

use serde_json::value::RawValue;

use super::request::is_reference;
use super::wire::fields::Fields;
use crate::error::{Error, Result};
use crate::formats::kept::{Earlier, KeptResponses, References};
use crate::wire::json::{Document, quote};
use crate::wire::list;

/// The most references to items in one request.
const MAX_REFERENCES: usize = 500;
/// The most items in one response whose ids are kept.
const MAX_ITEMS: usize = 200;
/// The most and the usual number of items in a list.
const MAX_LISTED: usize = 100;
const USUAL_LISTED: usize = 20;

pub(super) const KEPT: KeptResponses = KeptResponses {
    asks: |document| document.value("store") != Some("false") && document.value("background") != Some("true"),
    question: |document| document.value("input").map(str::to_owned),
    references,
    resolve,
    told,
    identify,
    item: |response, id| {
        let mut found = None;
        each_output(response, &mut |item| {
            if Fields::read(item, &"").ok().and_then(|mut item| item.word("id")).as_deref() == Some(id) {
                found = Some(item.to_owned());
            }
        });
        found
    },
    list: list_input,
    deleted: |id| format!("{{\"id\":{},\"object\":\"response\",\"deleted\":true}}", quote(id)).into_bytes(),
};

fn references(document: &Document<'_>) -> Result<References> {
    let mut references = References::default();
    if let Some(raw) = document.value("previous_response_id").filter(|raw| *raw != "null") {
        let id: String = serde_json::from_str(raw).map_err(|_| {
            let message = "`previous_response_id` must be a string.";
            Error::caller(400, "invalid_type", message).at("previous_response_id")
        })?;
        references.previous = Some(id);
    }
    let _ = list::each(document.value("input").unwrap_or_default(), |item: &RawValue| {
        if is_reference(item.get()) {
            references
                .items
                .extend(Fields::read(item.get(), &"").ok().and_then(|mut item| item.word("id")).map(Into::into));
        }
        references.items.len() <= MAX_REFERENCES
    });
    if references.items.len() > MAX_REFERENCES {
        let message = format!("`input` has more than {MAX_REFERENCES} references to items. Send the items themselves.");
        return Err(Error::caller(400, "too_many_pieces", message).at("input"));
    }
    Ok(references)
}

/// The request with the items of earlier turns before its own, and with items in place of references. Ids are left
/// out: no provider knows them.
fn resolve(document: &Document<'_>, earlier: &Earlier) -> Vec<u8> {
    let mut items = String::new();
    let mut push = |item: &str| {
        if !items.is_empty() {
            items.push(',');
        }
        items.push_str(item);
    };
    for (question, response) in &earlier.turns {
        each_input(question, &mut push);
        each_output(response, &mut |item| without_id(item).iter().for_each(|item| push(item)));
    }
    each_input(document.value("input").unwrap_or("[]"), &mut |item| {
        let own = Fields::read(item, &"").ok().and_then(|mut item| item.word("id"));
        match own.filter(|_| is_reference(item)).and_then(|id| earlier.items.get(id.as_ref())) {
            Some(found) => without_id(found).iter().for_each(|item| push(item)),
            None => push(item),
        }
    });
    let mut resolved = document.clone();
    resolved.remove("previous_response_id");
    resolved.set("input", ["[", &items, "]"].concat());
    resolved.render().into_owned()
}

/// The items of an input; a text is a message of the user.
fn each_input(input: &str, take: &mut dyn FnMut(&str)) {
    if input.starts_with('"') {
        return take(&format!("{{\"type\":\"message\",\"role\":\"user\",\"content\":{input}}}"));
    }
    let _ = list::each(input, |item: &RawValue| {
        take(item.get());
        true
    });
}

fn each_output(response: &str, take: &mut dyn FnMut(&str)) {
    let output = Fields::read(response, &"").ok().and_then(|mut response| response.take("output"));
    each_input(output.map_or("[]", RawValue::get), take);
}

/// An item of a response as a request takes it. Reasoning that its provider has not sealed cannot be sent again.
fn without_id(item: &str) -> Option<String> {
    let mut document = Document::read(item.as_bytes()).ok()?;
    let is_sealed = document.value("encrypted_content").is_some_and(|sealed| sealed != "null");
    if document.value("type") == Some("\"reasoning\"") && !is_sealed {
        return None;
    }
    document.remove("id");
    String::from_utf8(document.render().into_owned()).ok()
}

fn told(data: &[u8]) -> Option<String> {
    let mut event = Fields::read(std::str::from_utf8(data).ok()?, &"").ok()?;
    let kind = event.word("type")?;
    let is_last = matches!(kind.as_ref(), "response.completed" | "response.incomplete");
    event.take("response").filter(|_| is_last).map(|response| response.get().to_owned())
}

fn identify(response: &str) -> Option<(String, Vec<String>)> {
    let id = Fields::read(response, &"").ok()?.word("id").filter(|id| is_id(id))?.into_owned();
    let mut items = Vec::new();
    each_output(response, &mut |item| {
        let own = Fields::read(item, &"").ok().and_then(|mut item| item.word("id")).filter(|own| is_id(own));
        items.extend(own.map(Into::into).filter(|_| items.len() < MAX_ITEMS));
    });
    Some((id, items))
}

/// Whether an id has the form of those that are kept.
fn is_id(id: &str) -> bool {
    (1..=128).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
}

/// Gives a message the form that lists have: with a type, and with parts also where it was sent as one text.
fn spell_out(item: &mut Document<'_>) {
    if item.value("type").is_none() && item.value("role").is_some() {
        item.set("type", quote("message"));
    }
    let Some(text) = item.value("content").filter(|content| content.starts_with('"')) else { return };
    let parts = if item.value("role") == Some("\"assistant\"") {
        format!("[{{\"type\":\"output_text\",\"text\":{text},\"annotations\":[]}}]")
    } else {
        format!("[{{\"type\":\"input_text\",\"text\":{text}}}]")
    };
    item.set("content", parts);
}

fn list_input(question: &str, response: &str, query: &str) -> Result<Vec<u8>> {
    let given = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    let limit = given("limit").map_or(Some(USUAL_LISTED), |limit| limit.parse().ok());
    let limit = limit.filter(|limit| (1..=MAX_LISTED).contains(limit)).ok_or_else(|| {
        let message = format!("`limit` must be a whole number from 1 to {MAX_LISTED}.");
        Error::caller(400, "invalid_value", message).at("limit")
    })?;
    let mut items: Vec<(String, String)> = Vec::new();
    each_input(question, &mut |item| {
        let id = format!("item_{}_{}", response.trim_start_matches("resp_"), items.len());
        let Ok(mut document) = Document::read(item.as_bytes()) else { return };
        document.set("id", quote(&id));
        spell_out(&mut document);
        items.push((id, String::from_utf8_lossy(&document.render()).into_owned()));
    });
    if given("order") != Some("asc") {
        items.reverse();
    }
    let skipped = given("after").and_then(|after| items.iter().position(|(id, _)| id == after)).map_or(0, |at| at + 1);
    let has_more = items.len().saturating_sub(skipped) > limit;
    let page: Vec<&(String, String)> = items.iter().skip(skipped).take(limit).collect();
    let id = |item: Option<&&(String, String)>| item.map_or_else(|| "null".to_owned(), |(id, _)| quote(id));
    let data: Vec<&str> = page.iter().map(|(_, item)| item.as_str()).collect();
    let (data, first, last) = (data.join(","), id(page.first()), id(page.last()));
    let body = format!(
        "{{\"object\":\"list\",\"data\":[{data}],\"first_id\":{first},\"last_id\":{last},\"has_more\":{has_more}}}"
    );
    Ok(body.into_bytes())
}
