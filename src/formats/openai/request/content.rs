//! Reads the content of a client's message: a text or a list of parts.

use std::borrow::Cow;
use std::fmt;

use serde_json::value::RawValue;

use super::super::wire::{ContentPartFields, each, members, object, string, text, thinking_text, unquote, wrong};
use crate::canonical::{Media, MediaKind, MediaSource, Part, Raw, UniqueNames};
use crate::error::Result;
use crate::formats::media_type::media_type;
use crate::formats::ties::foreign_file;
use crate::wire::typed;

object! {
    ImageFields { url: "url", detail: "detail" }
}

object! {
    AudioFields { data: "data", format: "format" }
}

object! {
    FileFields { data: "file_data", name: "filename", id: "file_id" }
}

/// The place of a part, for error messages.
#[derive(Clone, Copy)]
struct PartPlace {
    message: usize,
    part: usize,
}

impl fmt::Display for PartPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "messages[{}].content[{}]", self.message, self.part)
    }
}

/// Reads the content of the message with index `message` into `parts`.
///
/// # Errors
/// 400 naming the place that violates the format.
pub(crate) fn read_content<'a>(
    raw: &'a RawValue,
    message: usize,
    parts: &mut Vec<Part<'a>>,
    unmapped: &mut UniqueNames<'a>,
) -> Result<()> {
    if let Some(text) = string(raw) {
        parts.push(Part::Text { text, cache: None });
        return Ok(());
    }
    if !raw.get().starts_with('[') {
        return Err(wrong(format_args!("messages[{message}].content"), "a string or an array of parts"));
    }
    each(raw.get(), format_args!("messages[{message}].content"), |part, found: ContentPartFields<'a>| {
        for other in &found.others {
            unmapped.note(format!("messages[].content[].{other}"));
        }
        parts.extend(read_part(&found, PartPlace { message, part }, unmapped)?);
        Ok(())
    })
}

fn read_part<'a>(
    part: &ContentPartFields<'a>,
    place: PartPlace,
    unmapped: &mut UniqueNames<'a>,
) -> Result<Option<Part<'a>>> {
    let cache = part.cache.map(Raw::from);
    let kind = part.kind.and_then(text).ok_or_else(|| wrong(format_args!("{place}.type"), "a string"))?;
    let required = |raw: Option<&'a RawValue>, name: &str| {
        raw.and_then(string).ok_or_else(|| wrong(format_args!("{place}.{name}"), "a string"))
    };
    Ok(Some(match kind.as_ref() {
        // The Responses API calls them so, and clients of both mix them up.
        "text" | "input_text" | "output_text" => Part::Text { text: required(part.text, "text")?, cache },
        "refusal" => Part::Text { text: required(part.refusal, "refusal")?, cache },
        "image_url" | "input_image" => Part::Media(Media { cache, ..read_image(part.image, place, unmapped)? }),
        "input_audio" => Part::Media(Media { cache, ..read_audio(part.audio, place)? }),
        "file" => Part::Media(Media { cache, ..read_file(part.file, place)? }),
        "thinking" => match part.thinking.and_then(thinking_text) {
            Some(text) => Part::Thinking { text, signature: None },
            None => return Ok(None),
        },
        other => {
            unmapped.note(format!("messages[].content[].{other}"));
            return Ok(None);
        }
    }))
}

/// Reads an image: an object with a URL, or, as some clients write it, the URL alone.
fn read_image<'a>(raw: Option<&'a RawValue>, place: PartPlace, unmapped: &mut UniqueNames<'a>) -> Result<Media<'a>> {
    let refuse =
        || wrong(format_args!("{place}.image_url"), "an object with a `url`, which is http(s) or data in base64");
    let raw = raw.ok_or_else(refuse)?;
    let url = match text(raw) {
        Some(url) => url,
        None => {
            let image: ImageFields<'a> = members(Some(raw)).ok_or_else(refuse)?;
            if image.detail.is_some_and(|detail| detail.get() != "\"auto\"") {
                unmapped.note("messages[].content[].image_url.detail");
            }
            image.url.and_then(text).ok_or_else(refuse)?
        }
    };
    let source = read_source(url).ok_or_else(refuse)?;
    Ok(Media { kind: MediaKind::Image, source, name: None, cache: None })
}

fn read_audio(raw: Option<&RawValue>, place: PartPlace) -> Result<Media<'_>> {
    let refuse = || wrong(format_args!("{place}.input_audio"), "an object with `data` in base64 and a `format`");
    let audio: AudioFields<'_> = members(raw).ok_or_else(refuse)?;
    let base64 = audio.data.and_then(text).ok_or_else(refuse)?;
    let format = audio.format.and_then(text).ok_or_else(refuse)?;
    let mime = media_type(format!("audio/{format}").into(), &base64);
    let source = MediaSource::Data { mime, base64 };
    Ok(Media { kind: MediaKind::Audio, source, name: None, cache: None })
}

/// Reads a file sent in the request. An uploaded file has only an id, which means nothing to another
/// provider.
fn read_file<'a>(raw: Option<&'a RawValue>, place: PartPlace) -> Result<Media<'a>> {
    let refuse = || wrong(format_args!("{place}.file"), "an object with `file_data`: data in base64");
    let file: FileFields<'a> = members(raw).ok_or_else(refuse)?;
    let Some(data) = file.data else {
        file.id.ok_or_else(refuse)?;
        return Err(foreign_file(&format_args!("{place}.file.file_id")));
    };
    let data = text(data).ok_or_else(refuse)?;
    let source = if data.contains(':') {
        read_source(data).ok_or_else(refuse)?
    } else {
        MediaSource::Data { mime: "application/pdf".into(), base64: data }
    };
    let kind = match &source {
        MediaSource::Data { mime, .. } if mime.starts_with("image/") => MediaKind::Image,
        MediaSource::Data { mime, .. } if mime.starts_with("audio/") => MediaKind::Audio,
        MediaSource::Data { .. } | MediaSource::Url(_) => MediaKind::Document,
    };
    Ok(Media { kind, source, name: file.name.and_then(string), cache: None })
}

/// Reads a URL: base64 data that it holds itself (RFC 2397), or an address.
fn read_source(url: Cow<'_, str>) -> Option<MediaSource<'_>> {
    let scheme = url.get(..5).unwrap_or_default();
    if !scheme.eq_ignore_ascii_case("data:") {
        return Some(MediaSource::Url(url));
    }
    let (label, base64): (Cow<'_, str>, Cow<'_, str>) = match url {
        Cow::Borrowed(url) => split_data_url(url).map(|(label, base64)| (label.into(), base64.into())),
        Cow::Owned(url) => {
            split_data_url(&url).map(|(label, base64)| (label.to_owned().into(), base64.to_owned().into()))
        }
    }?;
    Some(MediaSource::Data { mime: media_type(label, &base64), base64 })
}

/// The label of the data in a URL, and the data in base64.
fn split_data_url(url: &str) -> Option<(&str, &str)> {
    let (head, base64) = url.get(5..)?.split_once(',')?;
    let (label, encoding) = head.rsplit_once(';')?;
    encoding.trim().eq_ignore_ascii_case("base64").then_some((label, base64.trim_ascii_start()))
}

/// Reads the arguments of a call, a JSON object in a string. `Err` holds a substitute object if they are
/// anything else.
pub(crate) fn read_arguments(raw: Option<&RawValue>) -> std::result::Result<Raw<'_>, Raw<'static>> {
    let Some(raw) = raw else { return Ok(empty_object()) };
    if raw.get().starts_with('{') {
        return Ok(Raw::from(raw));
    }
    let Some(json) = unquote(raw.get()) else { return Err(invalid_arguments(raw.get())) };
    if json.trim().is_empty() {
        return Ok(empty_object());
    }
    let object = match json {
        Cow::Borrowed(json) => typed::from_str::<Raw<'_>>(json).ok(),
        Cow::Owned(json) => typed::from_str::<Raw<'_>>(&json).ok().map(|json| json.owned()),
    };
    let object = object.filter(|json| json.get().starts_with('{'));
    object.ok_or_else(|| invalid_arguments(&unquote(raw.get()).unwrap_or_default()))
}

fn invalid_arguments(text: &str) -> Raw<'static> {
    #[derive(serde::Serialize)]
    struct Invalid<'a> {
        #[serde(rename = "_invalid_json")]
        text: &'a str,
    }
    Raw::of(&Invalid { text })
}

/// `{}`.
pub(crate) fn empty_object() -> Raw<'static> {
    Raw::parse("{}").unwrap_or_else(|| Raw::of(&()))
}
