//! A whole response from the chunks of a stream.
//! Source: <https://ai.google.dev/api/generate-content#generatecontentresponse>.

use crate::error::Result;
use crate::formats::assemble::{EventFold, Fields, Rule, Rules, Size, Value, each_item, malformed};
use crate::wire::json::{Document, parse_integer};

/// The members of a chunk besides its candidates and its token counts.
const RESPONSE: Rules = Rules { known: &[], other: Rule::Last };

/// The members of a candidate besides its content.
const CANDIDATE: Rules = Rules {
    known: &[("citationMetadata", Rule::Object(&LISTS)), ("logprobsResult", Rule::Object(&LISTS))],
    other: Rule::Last,
};

/// Each list goes on in the next chunk.
const LISTS: Rules = Rules { known: &[], other: Rule::Items };

/// The token counts of the prompt. A report without the first keeps those of the report before.
const PROMPT_COUNTS: &[&str] =
    &["promptTokenCount", "cachedContentTokenCount", "promptTokensDetails", "cacheTokensDetails"];

/// The token counts of the response. A report without the first two keeps those of the report before.
const OUTPUT_COUNTS: &[&str] = &["candidatesTokenCount", "thoughtsTokenCount", "candidatesTokensDetails"];

/// The sum of all counts of one report.
const TOTAL: &str = "totalTokenCount";

/// A response so far.
#[derive(Default)]
pub(super) struct ResponseFold {
    fields: Fields,
    candidates: Vec<CandidateBuilder>,
    counts: Option<Fields>,
}

#[derive(Default)]
struct CandidateBuilder {
    index: u64,
    fields: Fields,
    content: Fields,
    parts: Vec<Part>,
}

/// A part of a candidate's content.
enum Part {
    /// A text or a thought that has nothing else.
    Plain { is_thought: bool, fields: Fields },
    /// Any other part, as it was sent. A signature belongs to its own part.
    Whole(String),
}

impl EventFold for ResponseFold {
    fn event(&mut self, data: &[u8]) -> Result<()> {
        let json = std::str::from_utf8(data).map_err(|_| malformed())?.trim();
        let read = if json.starts_with('[') { each_item(json, |chunk| self.chunk(chunk)) } else { self.chunk(json) };
        read.ok_or_else(malformed)
    }

    fn size(&self) -> Size {
        let counts = self.counts.as_ref().map_or_else(Size::default, Fields::size);
        self.candidates.iter().map(CandidateBuilder::size).fold(self.fields.size().plus(counts), Size::plus)
    }

    fn into_response(self) -> Result<Fields> {
        let Self { mut fields, mut candidates, counts } = self;
        candidates.sort_by_key(|candidate| candidate.index);
        let candidates = candidates.into_iter().map(CandidateBuilder::into_value).collect();
        fields.set("candidates", Value::List(candidates));
        if let Some(counts) = counts {
            fields.set("usageMetadata", Value::Object(counts));
        }
        Ok(fields)
    }
}

impl ResponseFold {
    /// Takes a chunk; `None` if it is malformed.
    fn chunk(&mut self, json: &str) -> Option<()> {
        let chunk = Document::read(json.as_bytes()).ok()?;
        for (key, json) in chunk.members() {
            match key {
                "candidates" if json == "null" => {}
                "candidates" => {
                    // Its place is that of the first chunk's.
                    self.fields.set_missing("candidates", "[]");
                    let mut position = 0;
                    each_item(json, |candidate| {
                        position += 1;
                        self.candidate(candidate, position - 1)
                    })?;
                }
                "usageMetadata" if json.starts_with('{') => {
                    self.fields.set_missing("usageMetadata", "{}");
                    self.counts = Some(counts_after(json, self.counts.take().unwrap_or_default())?);
                }
                _ => self.fields.add(key, json, RESPONSE.of(key))?,
            }
        }
        Some(())
    }

    /// Takes a candidate of a chunk. `position`: its place there, which is its index where it has none.
    fn candidate(&mut self, json: &str, position: u64) -> Option<()> {
        let candidate = Document::read(json.as_bytes()).ok()?;
        let index = candidate.value("index").and_then(parse_integer).unwrap_or(position);
        let at = self.candidates.iter().position(|candidate| candidate.index == index).unwrap_or_else(|| {
            self.candidates.push(CandidateBuilder { index, ..CandidateBuilder::default() });
            self.candidates.len() - 1
        });
        self.candidates.get_mut(at)?.add(&candidate)
    }
}

/// A report of token counts, with the counts that only the report before has. The total is never carried
/// over.
fn counts_after(json: &str, before: Fields) -> Option<Fields> {
    let mut counts = Fields::default();
    counts.merge(json, &RESPONSE)?;
    let has = |key: &str| counts.json(key).is_some_and(|count| count != "null");
    let has_prompt = has("promptTokenCount");
    let has_output = has("candidatesTokenCount") || has("thoughtsTokenCount");
    let is_kept = |key: &str| {
        key != TOTAL && !(has_prompt && PROMPT_COUNTS.contains(&key)) && !(has_output && OUTPUT_COUNTS.contains(&key))
    };
    counts.fill(before, is_kept);
    Some(counts)
}

impl CandidateBuilder {
    fn add(&mut self, candidate: &Document<'_>) -> Option<()> {
        candidate.members().try_for_each(|(key, json)| match key {
            "content" if json.starts_with('{') => {
                self.fields.set_missing("content", "{}");
                self.add_content(json)
            }
            _ => self.fields.add(key, json, CANDIDATE.of(key)),
        })
    }

    fn add_content(&mut self, json: &str) -> Option<()> {
        let content = Document::read(json.as_bytes()).ok()?;
        content.members().try_for_each(|(key, json)| match key {
            "parts" if json.starts_with('[') => {
                self.content.set_missing("parts", "[]");
                each_item(json, |part| self.add_part(part))
            }
            _ => self.content.add(key, json, Rule::Last),
        })
    }

    /// Adds a part. Texts of one kind that follow each other are one.
    fn add_part(&mut self, json: &str) -> Option<()> {
        let part = Document::read(json.as_bytes()).ok()?;
        let is_plain = part.members().all(|(key, json)| match key {
            "text" => json.starts_with('"'),
            key => key == "thought",
        });
        let Some(text) = part.value("text").filter(|_| is_plain) else {
            self.parts.push(Part::Whole(json.to_owned()));
            return Some(());
        };
        let thought = part.value("thought") == Some("true");
        match self.parts.last_mut() {
            // Some streams end with an empty text.
            Some(_) if text == "\"\"" => Some(()),
            Some(Part::Plain { is_thought, fields }) if *is_thought == thought => fields.add("text", text, Rule::Text),
            _ => {
                let mut fields = Fields::default();
                fields.merge(json, &RESPONSE)?;
                self.parts.push(Part::Plain { is_thought: thought, fields });
                Some(())
            }
        }
    }

    fn size(&self) -> Size {
        let parts = self.parts.iter().map(|part| match part {
            Part::Plain { fields, .. } => fields.size(),
            Part::Whole(json) => Size { bytes: json.len(), nodes: 1 },
        });
        parts.fold(self.fields.size().plus(self.content.size()), Size::plus)
    }

    fn into_value(self) -> Value {
        let Self { mut fields, mut content, parts, .. } = self;
        if !parts.is_empty() {
            let parts = parts.into_iter().map(|part| match part {
                Part::Plain { fields, .. } => Value::Object(fields),
                Part::Whole(json) => Value::Json(json),
            });
            content.set("parts", Value::List(parts.collect()));
        }
        if fields.get("content").is_some() {
            fields.set("content", Value::Object(content));
        }
        Value::Object(fields)
    }
}
