//! The content of a message or of a tool's result: a text, or a list of parts.

use std::borrow::Cow;
use std::fmt::Display;

use serde_json::value::RawValue;

use super::super::wire::fields::{Fields, each, wrong};
use crate::canonical::{Media, MediaKind, MediaSource, Part, Raw, UniqueNames};
use crate::error::Result;
use crate::formats::media_type::media_type;
use crate::formats::ties::foreign_file;

/// Reads a content.
///
/// # Errors
/// 400 naming the place that violates the format.
pub(super) fn read_content<'a>(
    raw: &'a RawValue,
    at: &dyn Display,
    unmapped: &mut UniqueNames<'_>,
) -> Result<Vec<Part<'a>>> {
    let text = Raw::from(raw);
    if text.is_text() {
        return Ok(if text.is_blank() { Vec::new() } else { vec![Part::Text { text, cache: None }] });
    }
    let mut parts = Vec::with_capacity(1);
    each(raw.get(), at, |index, mut fields: Fields<'a>| {
        let at = format_args!("{at}[{index}]");
        let kind = fields.text("type", &at)?;
        let Some(part) = read_part(&kind, &mut fields, &at, unmapped)? else {
            unmapped.note(format!("input[].content[].{kind}"));
            return Ok(());
        };
        parts.push(part);
        // Probabilities were asked for once, and mean nothing to the next turn.
        let lost = fields.rest().filter(|name| *name != "logprobs");
        lost.for_each(|name| unmapped.note(format!("input[].content[].{name}")));
        Ok(())
    })?;
    Ok(parts)
}

/// Whether a list looks like one of parts; other lists are results of tools as JSON.
pub(super) fn is_parts(raw: &RawValue) -> bool {
    raw.get().starts_with('[')
        && each(raw.get(), &"", |_, mut fields: Fields<'_>| {
            let known =
                fields.word("type").is_some_and(|kind| kind.starts_with("input_") || kind == "encrypted_content");
            known.then_some(()).ok_or_else(|| wrong(&"", ""))
        })
        .is_ok()
}

fn read_part<'a>(
    kind: &str,
    fields: &mut Fields<'a>,
    at: &dyn Display,
    unmapped: &mut UniqueNames<'_>,
) -> Result<Option<Part<'a>>> {
    Ok(Some(match kind {
        "input_text" | "output_text" | "text" | "summary_text" | "reasoning_text" => {
            Part::Text { text: fields.json_text("text", at)?, cache: None }
        }
        "refusal" => Part::Text { text: fields.json_text("refusal", at)?, cache: None },
        "input_image" => {
            if fields.word("detail").is_some_and(|detail| detail != "auto") {
                unmapped.note("input[].content[].detail");
            }
            refuse_id(fields, at)?;
            let source = fields.word("image_url").and_then(read_source);
            let source = source.ok_or_else(|| {
                wrong(
                    &format_args!("{at}.image_url"),
                    "an http(s) address, or data in base64 (`data:image/png;base64,…`)",
                )
            })?;
            Part::Media(Media { kind: MediaKind::Image, source, name: None, cache: None })
        }
        "input_file" => Part::Media(read_file(fields, at)?),
        "input_audio" => Part::Media(read_audio(fields, at)?),
        _ => return Ok(None),
    }))
}

/// A file that is stored at one provider has no meaning for another.
fn refuse_id(fields: &mut Fields<'_>, at: &dyn Display) -> Result<()> {
    if fields.take("file_id").is_none() {
        return Ok(());
    }
    Err(foreign_file(&format_args!("{at}.file_id")))
}

fn read_file<'a>(fields: &mut Fields<'a>, at: &dyn Display) -> Result<Media<'a>> {
    refuse_id(fields, at)?;
    let name = fields.raw("filename").filter(Raw::is_text);
    let source = match (fields.word("file_data"), fields.word("file_url")) {
        (Some(data), _) if data.contains(':') => read_source(data),
        (Some(base64), _) => Some(MediaSource::Data { mime: media_type("application/pdf".into(), &base64), base64 }),
        (None, Some(url)) => read_source(url),
        (None, None) => None,
    };
    let source = source.ok_or_else(|| wrong(at, "a file with `file_data` (base64) or `file_url`"))?;
    let kind = match &source {
        MediaSource::Data { mime, .. } if mime.starts_with("image/") => MediaKind::Image,
        MediaSource::Data { mime, .. } if mime.starts_with("audio/") => MediaKind::Audio,
        MediaSource::Data { .. } | MediaSource::Url(_) => MediaKind::Document,
    };
    Ok(Media { kind, source, name, cache: None })
}

fn read_audio<'a>(fields: &mut Fields<'a>, at: &dyn Display) -> Result<Media<'a>> {
    let refuse = || wrong(&format_args!("{at}.input_audio"), "an object with `data` in base64 and a `format`");
    let inner = fields.take("input_audio").ok_or_else(refuse)?;
    let mut audio = Fields::read(inner.get(), at).map_err(|_| refuse())?;
    let base64 = audio.word("data").ok_or_else(refuse)?;
    let format = audio.word("format").ok_or_else(refuse)?;
    let mime = media_type(format!("audio/{format}").into(), &base64);
    Ok(Media { kind: MediaKind::Audio, source: MediaSource::Data { mime, base64 }, name: None, cache: None })
}

/// Reads a URL: base64 data that it holds itself (RFC 2397), or an address.
fn read_source(url: Cow<'_, str>) -> Option<MediaSource<'_>> {
    let is_data = url.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("data:"));
    if !is_data {
        return (!url.is_empty()).then_some(MediaSource::Url(url));
    }
    let (label, base64): (Cow<'_, str>, Cow<'_, str>) = match url {
        Cow::Borrowed(url) => split_data_url(url).map(|(label, base64)| (label.into(), base64.into())),
        Cow::Owned(url) => {
            split_data_url(&url).map(|(label, base64)| (label.to_owned().into(), base64.to_owned().into()))
        }
    }?;
    Some(MediaSource::Data { mime: media_type(label, &base64), base64 })
}

fn split_data_url(url: &str) -> Option<(&str, &str)> {
    let (head, base64) = url.get(5..)?.split_once(',')?;
    let (label, encoding) = head.rsplit_once(';')?;
    encoding.trim().eq_ignore_ascii_case("base64").then_some((label, base64.trim_ascii_start()))
}
