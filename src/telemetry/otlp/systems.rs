//! The conventions' names of providers: `configs/gen-ai-providers.txt`.

/// A host of the catalogue and the conventions' name for it, a line each.
const NAMES: &str = include_str!("../../../configs/gen-ai-providers.txt");

/// The conventions' name for a host of the catalogue; the host's own where they have none.
pub fn system_of(host: &str) -> &str {
    let rows = NAMES.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once(' '));
    let mut names = rows.filter(|(name, _)| *name == host).map(|(_, system)| system.trim());
    names.next().unwrap_or(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_without_a_name_in_the_conventions_keeps_its_own() {
        assert_eq!(system_of("xai"), "x_ai");
        assert_eq!(system_of("vllm"), "vllm");
        assert_eq!(system_of("#"), "#");
    }
}
