//! The media types of data in requests, as providers know them. Clients write them in many ways.

use std::borrow::Cow;

/// The type of data in a URL that states none (RFC 2397).
const UNSTATED: &str = "text/plain";

/// The beginnings of files in base64, with their types.
const SIGNATURES: &[(&str, &str)] =
    &[("/9j/", "image/jpeg"), ("iVBORw0KGgo", "image/png"), ("R0lGODdh", GIF), ("R0lGODlh", GIF), ("JVBERi0", PDF)];

const GIF: &str = "image/gif";
const PDF: &str = "application/pdf";

/// Other names of types.
const ALIASES: &[(&str, &str)] = &[
    ("image/jpg", "image/jpeg"),
    ("image/pjpeg", "image/jpeg"),
    ("image/jfif", "image/jpeg"),
    ("image/x-png", "image/png"),
    ("image/x-webp", "image/webp"),
    ("application/x-pdf", PDF),
    ("audio/x-wav", "audio/wav"),
    ("audio/wave", "audio/wav"),
    ("audio/vnd.wave", "audio/wav"),
    ("audio/x-flac", "audio/flac"),
    ("audio/x-aiff", "audio/aiff"),
];

/// The media type of data in base64 that a client labelled: in lower case, without parameters, by its usual
/// name. An image or a PDF is what its first bytes say, because providers compare them with the label; only a
/// text is what its label says.
pub fn media_type<'a>(label: Cow<'a, str>, base64: &str) -> Cow<'a, str> {
    let essence = label.split(';').next().unwrap_or_default().trim();
    let is_text = essence.get(..5).is_some_and(|beginning| beginning.eq_ignore_ascii_case("text/"));
    let signature = if is_text { None } else { by_signature(base64) };
    let alias = || ALIASES.iter().find(|(name, _)| name.eq_ignore_ascii_case(essence)).map(|(_, usual)| *usual);
    let unstated = || essence.is_empty().then_some(UNSTATED);
    if let Some(known) = signature.or_else(alias).or_else(unstated) {
        return Cow::Borrowed(known);
    }
    if essence.len() == label.len() && !label.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return label;
    }
    Cow::Owned(essence.to_ascii_lowercase())
}

/// The type of a file by its first bytes.
fn by_signature(base64: &str) -> Option<&'static str> {
    // A WebP file has its length between two words: `RIFF` and `WEBP`, whose last three letters are these.
    if base64.starts_with("UklGR") && base64.get(12..16) == Some("RUJQ") {
        return Some("image/webp");
    }
    SIGNATURES.iter().find(|(beginning, _)| base64.starts_with(beginning)).map(|(_, kind)| *kind)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::base64;

    fn typed(label: &str, base64: &str) -> String {
        media_type(Cow::Borrowed(label), base64).into_owned()
    }

    #[test]
    fn a_label_is_written_as_providers_know_it() {
        for (label, expected) in [
            ("image/png", "image/png"),
            ("IMAGE/PNG", "image/png"),
            ("image/jpg", "image/jpeg"),
            ("Image/JPG", "image/jpeg"),
            ("image/pjpeg", "image/jpeg"),
            ("image/x-png", "image/png"),
            ("image/jpeg;charset=utf-8", "image/jpeg"),
            (" image/webp ; q=1", "image/webp"),
            ("image/jpg; name=a.jpg", "image/jpeg"),
            ("image/svg+xml", "image/svg+xml"),
            ("application/X-PDF", "application/pdf"),
            ("audio/x-wav", "audio/wav"),
            ("text/markdown; charset=UTF-8", "text/markdown"),
            ("", "text/plain"),
            (";charset=utf-8", "text/plain"),
        ] {
            assert_eq!(typed(label, "AA=="), expected, "{label}");
        }
        assert!(matches!(media_type(Cow::Borrowed("image/png"), "AA=="), Cow::Borrowed("image/png")));
    }

    #[test]
    fn an_image_or_a_pdf_is_what_its_first_bytes_say() {
        let webp = base64::encode(b"RIFF\x24\x10\x00\x00WEBPVP8 ");
        let wave = base64::encode(b"RIFF\x24\x10\x00\x00WAVEfmt ");
        for (label, bytes, expected) in [
            ("image/png", base64::encode(b"\xff\xd8\xff\xe0\x00\x10JFIF"), "image/jpeg"),
            ("image/jpeg", base64::encode(b"\x89PNG\r\n\x1a\n\x00\x00"), "image/png"),
            ("image/*", base64::encode(b"GIF89a\x01\x00"), "image/gif"),
            ("", base64::encode(b"GIF87a\x01\x00"), "image/gif"),
            ("image/jpeg", webp, "image/webp"),
            ("audio/wav", wave, "audio/wav"),
            ("application/octet-stream", base64::encode(b"%PDF-1.7\n"), "application/pdf"),
            ("text/plain", base64::encode(b"GIF89a is the name of a format"), "text/plain"),
            ("image/heic", base64::encode(b"\x00\x00\x00\x18ftypheic"), "image/heic"),
        ] {
            assert_eq!(typed(label, &bytes), expected, "{label} {bytes}");
        }
    }
}
