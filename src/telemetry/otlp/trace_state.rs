//! The header `tracestate` (<https://www.w3.org/TR/trace-context/#tracestate-header>).

/// The longest header that is kept, in bytes. The specification asks for no more.
const LONGEST: usize = 512;
const MAX_MEMBERS: usize = 32;
const LONGEST_KEY: usize = 256;
const LONGEST_VALUE: usize = 256;

/// The header, if it is well-formed; otherwise empty. The trace goes on without it.
pub(super) fn read_trace_state(header: &str) -> String {
    let members = header.split(',').map(|member| member.trim_matches([' ', '\t'])).filter(|member| !member.is_empty());
    let members: Vec<&str> = members.collect();
    let is_sound = header.len() <= LONGEST
        && members.len() <= MAX_MEMBERS
        && members.iter().all(|member| is_member(member))
        && members
            .iter()
            .enumerate()
            .all(|(index, member)| members.iter().take(index).all(|other| key(other) != key(member)));
    if is_sound { members.join(",") } else { String::new() }
}

fn key(member: &str) -> &str {
    member.split('=').next().unwrap_or_default()
}

fn is_member(member: &str) -> bool {
    let Some((key, value)) = member.split_once('=') else { return false };
    let is_key = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-*/@".contains(&byte);
    let is_value = |byte: u8| matches!(byte, b' '..=b'~') && !b",=".contains(&byte);
    (1..=LONGEST_KEY).contains(&key.len())
        && key.starts_with(|first: char| first.is_ascii_lowercase() || first.is_ascii_digit())
        && key.bytes().all(is_key)
        && (1..=LONGEST_VALUE).contains(&value.len())
        && value.bytes().all(is_value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sound_state_is_kept() {
        assert_eq!(
            read_trace_state("rojo=00f067aa0ba902b7, congo=t61rcWkgMzE"),
            "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"
        );
        assert_eq!(read_trace_state("tenant@vendor=a b!,,"), "tenant@vendor=a b!");
        assert_eq!(read_trace_state(""), "");
    }

    #[test]
    fn a_malformed_state_is_dropped() {
        let many: Vec<String> = (0..33).map(|number| format!("a{number}=b")).collect();
        let long = format!("a={},b={},c=d", "x".repeat(256), "y".repeat(256));
        for header in ["a", "=b", "a=", "A=b", "a=b=c", "a=\u{7f}", "a=é", "a=b,a=c", "-a=b", &many.join(","), &long] {
            assert_eq!(read_trace_state(header), "", "{header}");
        }
    }
}
