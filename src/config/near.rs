//! Suggests a known name for a misspelt one.

/// The lowest score of a name that is suggested.
pub const NEAR: f64 = 0.75;

/// The similarity of two names from 0 to 1, regardless of letter case (Jaro-Winkler).
pub fn score(name: &str, known: &str) -> f64 {
    strsim::jaro_winkler(&name.to_lowercase(), &known.to_lowercase())
}

/// ", did you mean `known`?" with the most similar of the known names, or an empty text if none is similar
/// enough.
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
