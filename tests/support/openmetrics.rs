//! A strict reader of OpenMetrics 1.0 text, as far as the gateway writes it: counters, gauges, histograms,
//! without exemplars and timestamps. Whatever the specification forbids is an error.

use std::collections::{BTreeMap, BTreeSet};

/// Labels in their order.
pub type Labels = Vec<(String, String)>;

/// A family as it was read.
#[derive(Clone, Debug, Default)]
pub struct ReadFamily {
    pub kind: String,
    pub unit: Option<String>,
    pub help: String,
    /// Samples by the suffix of their name and their labels.
    pub samples: BTreeMap<(String, Labels), f64>,
}

/// Reads an exposition.
pub fn read(text: &str) -> Result<BTreeMap<String, ReadFamily>, String> {
    let body = text.strip_suffix("# EOF\n").ok_or("the end is missing")?;
    if body.contains('\r') || body.contains("# EOF") {
        return Err("there is a carriage return, or a second end".to_owned());
    }
    let mut reader = Reader::default();
    for line in body.split_terminator('\n') {
        reader.line(line).map_err(|fault| format!("{fault}: {line}"))?;
    }
    if !body.is_empty() && !body.ends_with('\n') {
        return Err("the last line does not end".to_owned());
    }
    reader.close()?;
    Ok(reader.families)
}

#[derive(Default)]
struct Reader {
    families: BTreeMap<String, ReadFamily>,
    current: String,
    /// The metadata of the present family that have come, by their keyword.
    metadata: Vec<&'static str>,
}

const KEYWORDS: &[&str] = &["TYPE", "UNIT", "HELP"];

impl Reader {
    fn line(&mut self, line: &str) -> Result<(), String> {
        match line.strip_prefix("# ") {
            Some(rest) => self.metadata(rest),
            None => self.sample(line),
        }
    }

    fn metadata(&mut self, rest: &str) -> Result<(), String> {
        let mut words = rest.splitn(3, ' ');
        let (keyword, name, value) = (words.next(), words.next(), words.next());
        let keyword = KEYWORDS.iter().find(|own| keyword == Some(**own)).ok_or("no comments are allowed")?;
        let (name, value) = name.zip(value).ok_or("metadata are incomplete")?;
        if *keyword == "TYPE" {
            self.close()?;
            if self.families.contains_key(name) {
                return Err("a family comes twice, or interleaved".to_owned());
            }
            self.families.insert(name.to_owned(), ReadFamily::default());
            name.clone_into(&mut self.current);
            self.metadata.clear();
        }
        let place = |keyword| KEYWORDS.iter().position(|own| *own == keyword);
        let is_in_order = self.metadata.last().is_none_or(|last| place(*last) < place(*keyword));
        let family = self.families.get_mut(name).filter(|family| family.samples.is_empty());
        let family = family.filter(|_| name == self.current && is_in_order).ok_or("metadata are out of place")?;
        match *keyword {
            "TYPE" => value.clone_into(&mut family.kind),
            "UNIT" if name.ends_with(&format!("_{value}")) => family.unit = Some(value.to_owned()),
            "UNIT" => return Err("the unit is not the suffix of the name".to_owned()),
            _ => value.clone_into(&mut family.help),
        }
        self.metadata.push(keyword);
        Ok(())
    }

    fn sample(&mut self, line: &str) -> Result<(), String> {
        let family = self.families.get_mut(&self.current).ok_or("a sample without a family")?;
        let rest = line.strip_prefix(&self.current).ok_or("a sample of another family")?;
        let end = rest.find(['{', ' ']).ok_or("a sample without a value")?;
        let (suffix, rest) = rest.split_at(end);
        let (labels, value) = match rest.strip_prefix('{') {
            Some(rest) => read_labels(rest)?,
            None => (Labels::new(), rest),
        };
        let value = value.strip_prefix(' ').ok_or("no space before the value")?;
        let number: f64 = value.parse().map_err(|_| "the value is no number")?;
        let is_decimal = value.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        let suffixes: &[&str] = match family.kind.as_str() {
            "counter" => &["_total"],
            "gauge" => &[""],
            "histogram" => &["_bucket", "_sum", "_count"],
            _ => return Err("the type is unknown".to_owned()),
        };
        if !suffixes.contains(&suffix) || !is_decimal {
            return Err("the suffix or the value does not fit the type".to_owned());
        }
        let whole = matches!(suffix, "_bucket" | "_count");
        if whole && value.contains('.') {
            return Err("a count is an integer".to_owned());
        }
        match family.samples.insert((suffix.to_owned(), labels), number) {
            Some(_) => Err("a sample comes twice".to_owned()),
            None => Ok(()),
        }
    }

    /// Checks the present family as a whole.
    fn close(&self) -> Result<(), String> {
        match self.families.get(&self.current) {
            Some(family) if family.samples.is_empty() => Err(format!("{} has no samples", self.current)),
            Some(family) if family.kind == "histogram" => check_histogram(family),
            _ => Ok(()),
        }
    }
}

/// The labels of a sample, from behind the opening brace, and what follows the closing one.
fn read_labels(mut rest: &str) -> Result<(Labels, &str), String> {
    let (mut labels, mut names) = (Labels::new(), BTreeSet::new());
    loop {
        let (name, after) = rest.split_once("=\"").ok_or("a label without a value")?;
        let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        if !is_name || !names.insert(name.to_owned()) {
            return Err("the name of a label is malformed, or comes twice".to_owned());
        }
        let (value, after) = read_value(after)?;
        labels.push((name.to_owned(), value));
        match after.split_at_checked(1) {
            Some((",", after)) => rest = after,
            Some(("}", after)) => return Ok((labels, after)),
            _ => return Err("labels do not end".to_owned()),
        }
    }
}

/// The value of a label, and what follows its quote.
fn read_value(rest: &str) -> Result<(String, &str), String> {
    let mut value = String::new();
    let mut characters = rest.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Ok((value, &rest[at + 1..])),
            '\\' => value.push(match characters.next().map(|(_, escaped)| escaped) {
                Some('n') => '\n',
                Some('\\') => '\\',
                Some('"') => '"',
                _ => return Err("an unknown escape".to_owned()),
            }),
            other => value.push(other),
        }
    }
    Err("the value of a label does not end".to_owned())
}

/// Buckets ascend, end with `+Inf`, have canonical bounds, and agree with the count.
fn check_histogram(family: &ReadFamily) -> Result<(), String> {
    let mut buckets: BTreeMap<Labels, Vec<(f64, f64)>> = BTreeMap::new();
    for ((suffix, labels), count) in &family.samples {
        let Some(((name, bound), own)) = labels.split_last() else { continue };
        if suffix == "_bucket" {
            if name != "le" || !(bound == "+Inf" || bound.contains('.')) {
                return Err(format!("the bound {bound} is not canonical"));
            }
            let bound: f64 = bound.parse().map_err(|_| "a bound is no number")?;
            buckets.entry(own.to_vec()).or_default().push((bound, *count));
        }
    }
    for (labels, mut buckets) in buckets {
        buckets.sort_by(|one, other| one.0.total_cmp(&other.0));
        let last = buckets.last().copied().unwrap_or_default();
        let count = family.samples.get(&("_count".to_owned(), labels.clone()));
        let has_sum = family.samples.contains_key(&("_sum".to_owned(), labels.clone()));
        if !buckets.windows(2).all(|pair| pair[0].1 <= pair[1].1) || last.0 != f64::INFINITY {
            return Err(format!("the buckets of {labels:?} do not ascend to +Inf"));
        }
        if count != Some(&last.1) || !has_sum {
            return Err(format!("the count of {labels:?} is not that of its last bucket, or the sum is missing"));
        }
    }
    Ok(())
}
