//! Certificates in PEM (RFC 7468).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// The certificates of a text in DER; text around them is passed over. `None` for a block that is not base64
/// or does not end.
pub fn certificates(text: &str) -> Option<Vec<Vec<u8>>> {
    let blocks = text.split(BEGIN).skip(1);
    let decode = |block: &str| {
        let (body, _) = block.split_once(END)?;
        let body: String = body.split_whitespace().collect();
        STANDARD.decode(body).ok()
    };
    blocks.map(decode).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_found_between_other_text() {
        let text = format!("# corporate\r\n{BEGIN}\r\nAQID\r\nBA==\r\n{END}\nx\n{BEGIN}BQ=={END}");
        assert_eq!(certificates(&text), Some(vec![vec![1, 2, 3, 4], vec![5]]));
        assert_eq!(certificates("nothing"), Some(Vec::new()));
    }

    #[test]
    fn broken_blocks_are_refused() {
        assert_eq!(certificates(&format!("{BEGIN}\nAQ==\n")), None);
        assert_eq!(certificates(&format!("{BEGIN}\n!\n{END}")), None);
    }
}
