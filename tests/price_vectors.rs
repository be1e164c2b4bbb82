//! What usages cost at a time, by the price lists of their providers: each sum was worked out by hand from
//! the page that is cited.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test may insist")]

use llm_bridge::canonical::Usage;
use llm_bridge::config::Config;
use llm_bridge::formats::KINDS;
use llm_bridge::policy::model_card::ModelCard;

const HOUR: u64 = 3_600_000;
const DAY: u64 = 24 * HOUR;
/// 27 November 2026, 00:00 UTC, a Friday.
const FRIDAY: u64 = 1_795_737_600_000;
/// 1 December 2026 and 1 January 2027.
const DECEMBER: u64 = FRIDAY + 4 * DAY;
const JANUARY: u64 = FRIDAY + 35 * DAY;

/// The cost in nano-dollars of a usage at a time; none if it is not known.
fn cost(provider: &str, model: &str, at: u64, tier: Option<&str>, usage: Usage) -> Option<u64> {
    let text = format!("providers: {{ p: {{ {provider}, models: '*' }} }}");
    let config = Config::read(&text, KINDS).unwrap();
    let row = &config.providers[0];
    ModelCard::of(row, row.pattern(model).unwrap(), model, at).price?.cost(&usage, tier)
}

fn tokens(uncached_input: u64, cache_read: u64, output: u64) -> Usage {
    Usage { uncached_input, cache_read, output, ..Usage::default() }
}

const OPENAI: &str = "base_url: 'https://api.openai.com/v1'";
const ANTHROPIC: &str = "adapter: anthropic, base_url: 'https://api.anthropic.com/v1'";
const GOOGLE: &str = "adapter: gemini, base_url: 'https://generativelanguage.googleapis.com/v1beta'";
const DEEPSEEK: &str = "base_url: 'https://api.deepseek.com'";
const XAI: &str = "base_url: 'https://api.x.ai/v1'";

#[test]
fn openai_by_tier_and_length() {
    // https://developers.openai.com/api/docs/pricing: gpt-5 at $1.25, $0.125 and $10.00; flex half, priority
    // double.
    let gpt_5 = |tier| cost(OPENAI, "gpt-5-2025-08-07", FRIDAY, tier, tokens(1_000, 2_000, 3_000));
    assert_eq!(gpt_5(None), Some(1_250_000 + 250_000 + 30_000_000));
    assert_eq!(gpt_5(Some("default")), gpt_5(None));
    assert_eq!(gpt_5(Some("flex")), Some(625_000 + 125_000 + 15_000_000));
    assert_eq!(gpt_5(Some("priority")), Some(2_500_000 + 500_000 + 60_000_000));
    assert_eq!(gpt_5(Some("scale")), None, "a tier that is not listed");
    // gpt-6-sol, "prompts above 272K tokens": $2.00 and $10.00, then $4.00 and $15.00 for the whole request.
    let long = |prompt| cost(OPENAI, "gpt-6-sol", FRIDAY, None, tokens(prompt, 0, 1_000));
    assert_eq!(long(272_000), Some(544_000_000 + 10_000_000));
    assert_eq!(long(272_001), Some(1_088_004_000 + 15_000_000));
    let embedding = cost(OPENAI, "text-embedding-3-small", FRIDAY, None, tokens(1_000_000, 0, 0));
    assert_eq!(embedding, Some(20_000_000));
}

#[test]
fn anthropic_by_cache_length_and_search() {
    // https://platform.claude.com/docs/en/about-claude/pricing: Haiku 4.5 at $1, $1.25 (5 minutes), $2 (an
    // hour),
    // $0.10 and $5; $10 for 1,000 searches.
    let haiku = |usage| cost(ANTHROPIC, "claude-haiku-4-5-20251001", FRIDAY, None, usage);
    let written = Usage { cache_write: 3_000, cache_write_1h: 1_000, ..tokens(1_000, 10_000, 100) };
    assert_eq!(haiku(written), Some(1_000_000 + 2_500_000 + 2_000_000 + 1_000_000 + 500_000));
    let searched = Usage { searches: 3, ..tokens(1_000, 0, 100) };
    assert_eq!(haiku(searched), Some(1_000_000 + 500_000 + 30_000_000));
    // Sonnet 4.5, prompts over 200K with what is cached: $6, $0.60 and $22.50.
    let sonnet = |input| cost(ANTHROPIC, "claude-sonnet-4-5", FRIDAY, None, tokens(input, 199_000, 10));
    assert_eq!(sonnet(1_000), Some(3_000_000 + 59_700_000 + 150_000));
    assert_eq!(sonnet(1_001), Some(6_006_000 + 119_400_000 + 225_000));
}

#[test]
fn google_by_day_length_and_audio() {
    // https://ai.google.dev/gemini-api/docs/pricing: "$0.75 through December 31, 2026", "$1.50 starting
    // January 1, 2027".
    let flash = |at| cost(GOOGLE, "gemini-3.8-flash", at, None, tokens(1_000, 0, 1_000));
    assert_eq!(flash(JANUARY - 1), Some(750_000 + 3_750_000));
    assert_eq!(flash(JANUARY), Some(1_500_000 + 7_500_000));
    let argon = |at| cost(GOOGLE, "gemini-4-argon", at, None, tokens(1_000, 1_000, 1_000));
    assert_eq!(argon(DECEMBER - 1), Some(2_000_000 + 100_000 + 10_000_000));
    assert_eq!(argon(DECEMBER), Some(4_000_000 + 200_000 + 20_000_000));
    // "$1.25, prompts <= 200k tokens; $2.50, prompts > 200k".
    let pro = |prompt| cost(GOOGLE, "gemini-2.5-pro", FRIDAY, None, tokens(prompt, 0, 1_000));
    assert_eq!(pro(200_000), Some(250_000_000 + 10_000_000));
    assert_eq!(pro(200_001), Some(500_002_500 + 15_000_000));
    // Input and cache of text and of audio: $0.30, $1.00, $0.03, $0.10; 3.1 Flash-Lite $0.25, $0.50, $0.025,
    // $0.05.
    let audio = Usage { audio_input: 1_000, cached_audio: 1_000, ..tokens(3_000, 3_000, 0) };
    let heard = |model| cost(GOOGLE, model, FRIDAY, None, audio);
    assert_eq!(heard("gemini-2.5-flash"), Some(600_000 + 1_000_000 + 60_000 + 100_000));
    assert_eq!(heard("gemini-3.1-flash-lite"), Some(500_000 + 500_000 + 50_000 + 50_000));
    assert_eq!(heard("gemini-2.0-flash"), Some(200_000 + 700_000 + 50_000 + 175_000));
    // "$0.30 (text / image / video / audio)".
    assert_eq!(heard("gemini-3.5-flash-lite"), Some(900_000 + 90_000));
}

#[test]
fn deepseek_by_the_hour() {
    // https://api-docs.deepseek.com/quick_start/pricing: $0.66, $0.022 and $1.98; double from 01:00 to 04:00
    // and from
    // 06:00 to 10:00 UTC, Monday to Friday.
    let pro = |at| cost(DEEPSEEK, "deepseek-v4-pro", at, None, tokens(1_000, 1_000, 1_000)).unwrap();
    let usual = 660_000 + 22_000 + 1_980_000;
    for (hour, times) in [(0, 1), (1, 2), (3, 2), (4, 1), (5, 1), (6, 2), (9, 2), (10, 1), (23, 1)] {
        assert_eq!(pro(FRIDAY + hour * HOUR), times * usual, "{hour}:00");
    }
    assert_eq!(pro(FRIDAY + 4 * HOUR - 1), 2 * usual, "until the last moment");
    for day in [1, 2] {
        assert_eq!(pro(FRIDAY + day * DAY + 2 * HOUR), usual, "at the weekend");
    }
    assert_eq!(pro(FRIDAY + 3 * DAY + 2 * HOUR), 2 * usual, "on Monday");
}

#[test]
fn others_by_cache_and_length() {
    // https://docs.x.ai/developers/pricing: grok-4.3 at $1.25, $0.20 and $2.50, double from 200,000 tokens
    // on.
    let grok = |prompt| cost(XAI, "grok-4.3", FRIDAY, None, tokens(prompt, 100_000, 1_000));
    assert_eq!(grok(99_999), Some(124_998_750 + 20_000_000 + 2_500_000));
    assert_eq!(grok(100_000), Some(250_000_000 + 40_000_000 + 5_000_000));
    for (provider, model, sum) in [
        // https://groq.com/pricing: $0.15, half of it cached, $0.60.
        ("base_url: 'https://api.groq.com/openai/v1'", "openai/gpt-oss-120b", 150_000 + 75_000 + 600_000),
        // https://mistral.ai/pricing/api: $1.50, a tenth of it cached, $7.50.
        ("base_url: 'https://api.mistral.ai/v1'", "mistral-medium-latest", 1_500_000 + 150_000 + 7_500_000),
        // https://platform.kimi.ai/docs/pricing/chat: $3.00, $0.30 and $15.00.
        ("base_url: 'https://api.moonshot.ai/v1'", "kimi-k3", 3_000_000 + 300_000 + 15_000_000),
    ] {
        assert_eq!(cost(provider, model, FRIDAY, None, tokens(1_000, 1_000, 1_000)), Some(sum), "{model}");
    }
    let yuan = cost("base_url: 'https://api.moonshot.cn/v1'", "kimi-k3", FRIDAY, None, tokens(1, 0, 0));
    assert_eq!(yuan, None, "billed in yuan");
}
