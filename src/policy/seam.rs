//! The seam between the text of a response that broke off and the text by which another model continues it.
//! The beginning of the continuation is held until it is certain where the two join, or that they do not:
//! what a model repeats is cut, and a response that begins anew is told from one that goes on.

/// The end of what was sent that a continuation may repeat a part of, in bytes.
const TAIL: usize = 2 << 10;
/// The fewest characters that a repetition must have to show where the continuation belongs.
const LEAST: usize = 8;
/// The fewest characters that a model is asked to repeat.
const ANCHOR: usize = 24;
/// The longest word that is kept whole at the beginning of what a model is asked to repeat, in characters.
const LONGEST_WORD: usize = 40;

/// Where a continuation joins what was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Joint {
    /// Not known yet: what has come is held.
    Held,
    /// Known: this text, which may be empty, follows what was sent, and all that comes after it.
    Joined(String),
    /// They do not join, or it cannot be told where.
    Broken,
}

/// How a continuation was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    /// To repeat the last words first.
    ToRepeat,
    /// To go on behind so many bytes of the text, which the model took for its own.
    ToGoOn(usize),
}

/// The seam of a response.
#[derive(Clone, Debug)]
pub struct Seam {
    /// All text that was sent.
    sent: String,
    asked: Asked,
    /// What has come of the continuation.
    held: String,
    /// How much of it has been compared.
    compared: usize,
    /// Where in `sent` the continuation may begin, as far as it has come.
    starts: Vec<usize>,
}

impl Seam {
    /// The seam of a response after `sent`, whose continuation was asked to repeat the last words of it
    /// ([`anchor`]).
    pub fn to_repeat(sent: String) -> Self {
        let mut starts: Vec<usize> = repetitions(&sent).filter(|start| begins_word(&sent, *start)).collect();
        let whole = sent.len() - sent.trim_start().len();
        // Of white space alone, nothing can be repeated.
        if whole < sent.len() && !starts.contains(&whole) {
            starts.push(whole);
        }
        Self { sent, asked: Asked::ToRepeat, held: String::new(), compared: 0, starts }
    }

    /// The seam of a response after `sent`, of which the model that continues it has the first `given` bytes
    /// as the beginning of its own response. The rest is its own to repeat.
    pub fn to_go_on(sent: String, given: usize) -> Self {
        let given = if sent.is_char_boundary(given) { given } else { sent.len() };
        let mut starts: Vec<usize> = repetitions(&sent).collect();
        starts.extend([0, given]);
        starts.sort_unstable();
        starts.dedup();
        Self { sent, asked: Asked::ToGoOn(given), held: String::new(), compared: 0, starts }
    }

    /// Takes more of the continuation. To be asked no more once it is not held.
    pub fn push(&mut self, text: &str) -> Joint {
        let begins = self.held.is_empty() && self.asked == Asked::ToRepeat;
        // White space before the repeated words belongs to nothing.
        self.held.push_str(if begins { text.trim_start() } else { text });
        self.compare();
        self.judge(false)
    }

    /// The continuation is over, or something else than text follows.
    pub fn finish(&mut self) -> Joint {
        self.judge(true)
    }

    /// Forgets the places where the continuation cannot begin.
    fn compare(&mut self) {
        let (sent, held, compared) = (self.sent.as_bytes(), self.held.as_bytes(), self.compared);
        let fits = |start: &usize| {
            let there = sent.get(start.saturating_add(compared)..).unwrap_or_default();
            let new = held.get(compared..).unwrap_or_default();
            there.iter().zip(new).all(|(one, other)| one == other)
        };
        self.starts.retain(fits);
        self.compared = self.held.len();
    }

    fn judge(&self, is_over: bool) -> Joint {
        let is_pending = |start: &&usize| self.sent.len().saturating_sub(**start) > self.held.len();
        let pending = self.starts.iter().filter(is_pending).count();
        let complete: Vec<usize> = self.starts.iter().copied().filter(|start| !is_pending(&start)).collect();
        match self.asked {
            Asked::ToRepeat => self.judge_repeated(&complete, pending > 0 && !is_over),
            Asked::ToGoOn(given) => self.judge_continued(given, &complete, (pending, is_over)),
        }
    }

    /// A model that was asked to repeat words has to repeat some, at one place alone.
    fn judge_repeated(&self, complete: &[usize], may_be_longer: bool) -> Joint {
        match complete {
            [_, _, ..] => Joint::Broken,
            _ if may_be_longer => Joint::Held,
            [start] => self.join(*start),
            [] => Joint::Broken,
        }
    }

    /// A model that goes on by itself repeats nothing, or all of it, as some hosts do. A part of it may be
    /// meant: that cannot be told.
    fn judge_continued(&self, given: usize, complete: &[usize], (pending, is_over): (usize, bool)) -> Joint {
        let repeated: Vec<usize> = complete.iter().copied().filter(|start| *start != given).collect();
        let may_repeat = pending > usize::from(!complete.contains(&given) && self.starts.contains(&given));
        match repeated.as_slice() {
            [0] if is_long(&self.sent) && !may_repeat => return self.join(0),
            [_, ..] => return Joint::Broken,
            [] if may_repeat && is_over && is_long(&self.held) => return Joint::Broken,
            [] if may_repeat && !is_over => return Joint::Held,
            [] => {}
        }
        let common = common_beginning(&self.sent, &self.held);
        // Of a few characters, none may come again.
        let begins_anew = is_long(common) || !is_long(&self.sent) && !common.is_empty();
        match (complete.contains(&given), self.starts.contains(&given)) {
            (true, _) if !begins_anew && self.fits_behind(given) => self.join(given),
            (false, true) if !is_over => Joint::Held,
            _ => Joint::Broken,
        }
    }

    /// Whether the text does not visibly begin anew where a word or a sentence that was sent has not ended.
    fn fits_behind(&self, given: usize) -> bool {
        let ends_inside = |last: char| last.is_lowercase() || ".,;:!?)".contains(last);
        let last = self.sent.chars().next_back();
        let next = self.rest(given).and_then(|rest| rest.chars().next());
        !(last.is_some_and(ends_inside) && next.is_some_and(char::is_uppercase))
    }

    fn join(&self, start: usize) -> Joint {
        self.rest(start).map_or(Joint::Broken, |rest| Joint::Joined(rest.to_owned()))
    }

    /// What has come behind what was sent from `start` on.
    fn rest(&self, start: usize) -> Option<&str> {
        self.held.get(self.sent.len().checked_sub(start)?..)
    }
}

/// The last words of a text, which a model is asked to repeat before it goes on.
pub fn anchor(sent: &str) -> &str {
    let before = |count: usize| sent.char_indices().rev().nth(count.saturating_sub(1)).map_or(0, |(at, _)| at);
    let (least, most) = (before(ANCHOR), before(ANCHOR + LONGEST_WORD));
    let words = sent.get(most..least).unwrap_or_default();
    let start = match words.rfind(char::is_whitespace) {
        Some(space) => most + space,
        None if most == 0 => 0,
        None => least,
    };
    sent.get(start..).unwrap_or(sent).trim_start()
}

/// Where in a text the repetition of its end may begin.
fn repetitions(sent: &str) -> impl Iterator<Item = usize> {
    let tail = sent.len().saturating_sub(TAIL);
    let last = sent.char_indices().rev().nth(LEAST - 1).map_or(0, |(at, _)| at);
    let is_long = is_long(sent);
    sent.char_indices().map(|(at, _)| at).filter(move |at| is_long && (tail..=last).contains(at))
}

/// Whether a repetition can begin here whose white space is skipped.
fn begins_word(sent: &str, start: usize) -> bool {
    sent.get(start..).is_some_and(|rest| !rest.starts_with(char::is_whitespace))
}

/// Whether a text has the fewest characters that show something.
fn is_long(text: &str) -> bool {
    text.chars().nth(LEAST - 1).is_some()
}

fn common_beginning<'t>(one: &'t str, other: &str) -> &'t str {
    let same = one.char_indices().zip(other.chars()).take_while(|((_, one), other)| one == other);
    let length = same.map(|((at, one), _)| at + one.len_utf8()).last().unwrap_or(0);
    one.get(..length).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SENT: &str = "The quick brown fox jumps over the lazy d";

    fn pushed(mut seam: Seam, pieces: &[&str]) -> Joint {
        for (index, piece) in pieces.iter().enumerate() {
            match seam.push(piece) {
                Joint::Held => {}
                Joint::Joined(text) => return Joint::Joined(text + &pieces[index + 1..].concat()),
                Joint::Broken => return Joint::Broken,
            }
        }
        seam.finish()
    }

    fn repeated(sent: &str, pieces: &[&str]) -> Joint {
        pushed(Seam::to_repeat(sent.to_owned()), pieces)
    }

    fn continued(sent: &str, pieces: &[&str]) -> Joint {
        pushed(Seam::to_go_on(sent.to_owned(), sent.trim_end().len()), pieces)
    }

    fn joined(text: &str) -> Joint {
        Joint::Joined(text.to_owned())
    }

    #[test]
    fn repeated_words_are_cut() {
        assert_eq!(repeated(SENT, &["over the lazy dog."]), joined("og."));
        assert_eq!(repeated(SENT, &["\n", " ju", "mps over", " the lazy d", "og."]), joined("og."));
        assert_eq!(repeated(SENT, &[SENT, "og."]), joined("og."));
        assert_eq!(repeated(SENT, &["the lazy d"]), joined(""));
        assert_eq!(repeated("The", &["The quick fox"]), joined(" quick fox"));
        assert_eq!(repeated("\n\n", &["The fox"]), Joint::Broken);
    }

    #[test]
    fn what_repeats_nothing_where_it_was_asked_to_does_not_join() {
        for other in ["og.", "lazy dog.", "Sure! The quick", "The slow brown fox", "", "the lazy c"] {
            assert_eq!(repeated(SENT, &[other]), Joint::Broken, "{other}");
        }
    }

    #[test]
    fn a_seam_that_could_be_at_two_places_is_none() {
        assert_eq!(repeated("ha ha ha ha ha ", &["ha ha ha ha ha ha"]), Joint::Broken);
        assert_eq!(repeated("| --- | --- | --- |", &[" --- | --- | --- | --- |"]), Joint::Broken);
        assert_eq!(continued("| --- | --- |", &[" --- | --- |"]), Joint::Broken);
    }

    #[test]
    fn a_model_that_goes_on_repeats_no_more_than_it_was_not_given() {
        assert_eq!(continued(SENT, &["og."]), joined("og."));
        assert_eq!(continued("The quick ", &[" ", "fox"]), joined("fox"));
        assert_eq!(continued("The quick \n", &[" \nfox"]), joined("fox"));
        assert_eq!(continued("The quick\n", &["\n", "\nfox"]), joined("\nfox"));
        assert_eq!(continued(SENT, &[]), joined(""));
    }

    #[test]
    fn a_host_that_repeats_the_whole_beginning_is_understood() {
        assert_eq!(continued(SENT, &["The quick brown fox jumps ", "over the lazy dog."]), joined("og."));
    }

    #[test]
    fn a_response_that_begins_anew_does_not_join() {
        for other in ["The quick red fox", "The quick", "Sure! Here", "over the", "jumps over the lazy dog"] {
            assert_eq!(continued(SENT, &[other]), Joint::Broken, "{other}");
        }
        assert_eq!(continued("The quick ", &["brown"]), Joint::Broken);
        assert_eq!(continued("The cat", &["The dog"]), Joint::Broken);
        assert_eq!(continued("It sat.", &["The dog"]), Joint::Broken);
    }

    #[test]
    fn the_anchor_is_a_few_whole_words() {
        assert_eq!(anchor(SENT), "fox jumps over the lazy d");
        assert_eq!(anchor("The quick"), "The quick");
        let long = "x".repeat(100);
        assert_eq!(anchor(&long), "x".repeat(24));
        assert_eq!(anchor(""), "");
    }
}
