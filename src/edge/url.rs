//! Parts of absolute URLs, without a copy.

/// Host name, path and query; the fragment is not sent.
pub(super) fn split_url(url: &str) -> (&str, &str, &str) {
    let rest = split_scheme(url).map_or(url, |(_, rest)| rest);
    let (authority, path) = rest.find('/').map_or((rest, "/"), |at| rest.split_at(at));
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let port = authority.rfind(':').filter(|at| !authority.get(*at..).unwrap_or_default().contains(']'));
    (port.and_then(|at| authority.get(..at)).unwrap_or(authority), path, query)
}

/// The scheme of an absolute URL.
pub(super) fn scheme(url: &str) -> &str {
    split_scheme(url).map_or("", |(scheme, _)| scheme)
}

/// The scheme of an absolute URL, and what follows `://`. No scheme has a colon.
fn split_scheme(url: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = url.split_at_checked(url.bytes().position(|byte| byte == b':')?)?;
    Some((scheme, rest.strip_prefix("://")?))
}

/// Scheme and authority of an absolute URL.
pub(super) fn origin(url: &str) -> String {
    let end = url.match_indices('/').nth(2).map_or(url.len(), |(at, _)| at);
    url.get(..end).unwrap_or_default().to_owned()
}
