//! Tags of requests: names that the operator declares, and values that callers choose. They are what reports
//! can be grouped by besides keys and models.

use percent_encoding::percent_decode_str;

use crate::error::{Error, Result};

/// The request header with the tags: `team=search, env=prod`.
pub const TAGS: &str = "x-llm-bridge-tags";

/// How many tags may be declared. Each multiplies the rows that sums are kept in.
const MAX_TAGS: usize = 4;
/// The longest name of a tag, in bytes.
const MAX_NAME: usize = 32;
/// The longest value of a tag, in characters.
const MAX_VALUE: usize = 64;

/// The names of the declared tags.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TagNames(Vec<String>);

impl TagNames {
    /// The tags of these names.
    ///
    /// # Errors
    /// What is wrong with them, as the end of a sentence: `has more than 4 names`.
    pub fn new(names: Vec<String>) -> Result<Self, String> {
        if names.len() > MAX_TAGS {
            return Err(format!("has more than {MAX_TAGS} names"));
        }
        if let Some(name) = names.iter().find(|name| !is_tag_name(name)) {
            return Err(format!(
                "has the name `{name}`, but a name has 1 to {MAX_NAME} of the characters a-z, 0-9, _ and -"
            ));
        }
        let mut sorted: Vec<&String> = names.iter().collect();
        sorted.sort();
        match sorted.windows(2).find_map(|pair| pair.first().filter(|first| Some(*first) == pair.last())) {
            Some(name) => Err(format!("has the name `{name}` twice")),
            None => Ok(Self(names)),
        }
    }

    /// The names, in the order of the configuration.
    pub fn names(&self) -> &[String] {
        &self.0
    }

    /// Whether none are declared.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Reads the tags of a request from its header, in the order of their names.
    ///
    /// # Errors
    /// 400 if a tag is not declared or is given twice, or its value is empty, too long, or no text. A tag
    /// that is dropped silently would make reports wrong.
    pub fn read(&self, header: &str) -> Result<Vec<(String, String)>> {
        let mut tags: Vec<(String, String)> = Vec::new();
        for pair in header.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let tag = (self.declared(name.trim())?, read_value(name.trim(), value.trim())?);
            if tags.iter().any(|(known, _)| *known == tag.0) {
                return Err(refused(format!("`{TAGS}` has the tag `{}` twice. Give each tag once.", tag.0)));
            }
            tags.push(tag);
        }
        tags.sort();
        Ok(tags)
    }

    fn declared(&self, name: &str) -> Result<String> {
        if let Some(name) = self.0.iter().find(|declared| *declared == name) {
            return Ok(name.clone());
        }
        let shown: String = name.chars().take(MAX_NAME).collect();
        let known = if self.0.is_empty() { "none".to_owned() } else { self.0.join(", ") };
        Err(refused(format!("`{TAGS}` has the tag `{shown}`, which is not declared. Declared tags: {known}.")))
    }
}

/// Whether a tag may have this name.
pub fn is_tag_name(name: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-');
    (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(is_letter)
}

/// The value of a tag. Commas and other characters may be percent-encoded.
fn read_value(name: &str, value: &str) -> Result<String> {
    let value = percent_decode_str(value).decode_utf8().unwrap_or_default();
    let is_fit = (1..=MAX_VALUE).contains(&value.chars().count()) && !value.chars().any(char::is_control);
    if is_fit {
        return Ok(value.into_owned());
    }
    let shown: String = name.chars().take(MAX_NAME).collect();
    Err(refused(format!("`{TAGS}`: the value of `{shown}` must have 1 to {MAX_VALUE} printable characters.")))
}

fn refused(message: String) -> Error {
    Error::caller(400, "invalid_value", message).at(TAGS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Result<TagNames, String> {
        TagNames::new(names.iter().map(|name| (*name).to_owned()).collect())
    }

    fn read(header: &str) -> Result<Vec<(String, String)>> {
        names(&["team", "env"]).unwrap().read(header)
    }

    fn message(header: &str) -> String {
        read(header).unwrap_err().message().to_owned()
    }

    fn tags(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn tags_are_read_in_the_order_of_their_names() {
        assert_eq!(read("team=search, env = prod").unwrap(), tags(&[("env", "prod"), ("team", "search")]));
        assert!(read("").unwrap().is_empty());
        assert_eq!(read("team=a%2Cb%20%E4%B8%AD").unwrap(), tags(&[("team", "a,b 中")]));
        assert_eq!(read("team=a=b").unwrap(), tags(&[("team", "a=b")]));
    }

    #[test]
    fn tags_that_would_be_dropped_are_refused() {
        assert_eq!(
            message("user=1"),
            "`x-llm-bridge-tags` has the tag `user`, which is not declared. Declared tags: team, env."
        );
        assert!(message("team=a,team=b").contains("twice"));
        for header in ["team", "team=", "team=%00", "team=%ff", &format!("team={}", "x".repeat(65))] {
            assert!(message(header).contains("must have 1 to 64 printable characters"), "{header}");
        }
        assert_eq!(read("team=").unwrap_err().status(), 400);
    }

    #[test]
    fn a_refusal_quotes_little() {
        assert!(message(&"x".repeat(10_000)).len() < 200);
    }

    #[test]
    fn names_of_tags_are_few_and_short() {
        assert!(names(&["a", "b", "c", "d"]).is_ok());
        assert_eq!(names(&["a", "b", "c", "d", "e"]).unwrap_err(), "has more than 4 names");
        assert_eq!(names(&["b", "a", "b"]).unwrap_err(), "has the name `b` twice");
        for name in ["", "Team", "a b", &"x".repeat(33)] {
            assert!(names(&[name]).unwrap_err().contains("but a name has"), "{name}");
        }
    }
}
