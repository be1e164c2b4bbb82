//! "Did you mean …?": how near a known name is to one that is not known.

/// From here on a name is near enough to be suggested.
pub const NEAR: f64 = 0.75;

/// How near two names are, letter case aside: from 0 to 1.
pub fn score(name: &str, known: &str) -> f64 {
    strsim::jaro_winkler(&name.to_lowercase(), &known.to_lowercase())
}

/// The nearest of some words as a half-sentence, or nothing.
pub fn hint(name: &str, known: &[&str]) -> String {
    let scored = known.iter().map(|known| (score(name, known), known));
    let nearest = scored.filter(|(score, _)| *score > NEAR).max_by(|a, b| a.0.total_cmp(&b.0));
    nearest.map(|(_, known)| format!(", did you mean `{known}`?")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #[test]
    fn typos_find_their_word() {
        assert_eq!(super::hint("modles", &["base_url", "models", "headers"]), ", did you mean `models`?");
        assert_eq!(super::hint("zzz", &["models"]), "");
    }
}
