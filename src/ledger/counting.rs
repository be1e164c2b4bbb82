//! Questions for counts of tokens: they have a window of their own, and share a key's room for requests under way. It knows no money.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::order::{Gauge, Gauges, Refusal, Reply};
use super::terms::Terms;
use super::window::{SPAN, Window};
use super::write::Write;
use crate::config::Millis;

/// Questions for each request that a key may make in a minute.
const EACH: u64 = 10;

/// A question that wants to be admitted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// The gateway's own id of it.
    pub id: String,
    /// The fingerprint of the key presented; none where a member's account has been asked already.
    pub hash: Option<String>,
    /// The names of the model: as the caller wrote it, and in full.
    pub models: Vec<String>,
    /// The length of its body in bytes.
    pub body: u64,
    /// After so many milliseconds it is taken for lost.
    pub life: Millis,
}

/// The questions of one account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counting {
    window: Window,
    /// Those under way, and when each is taken for lost. Only kept for a key that has a limit of them.
    open: BTreeMap<String, Millis>,
}

impl Counting {
    /// How many are under way.
    pub fn under_way(&self, now: Millis) -> u64 {
        self.open.values().filter(|until| now < **until).count() as u64
    }

    /// Admits a question, if it may go on beside `others` requests under way. That the key is good has been found out.
    pub fn admit(
        &mut self,
        question: &Question,
        terms: &Terms,
        others: u64,
        now: Millis,
        writes: &mut Vec<Write>,
    ) -> Reply {
        if let Err(refusal) = self.refuse(question, terms, others, now) {
            return Reply::Refused { refusal, gauges: self.gauges(terms, now) };
        }
        self.take(question, terms, now);
        if terms.requests_per_minute.is_some() || terms.concurrent.is_some() {
            writes.push(self.write());
        }
        Reply::Granted { terms: terms.clone(), gauges: self.gauges(terms, now), limit: None }
    }

    /// A question has been answered.
    pub fn end(&mut self, id: &str, writes: &mut Vec<Write>) -> Reply {
        if self.open.remove(id).is_some() {
            writes.push(self.write());
        }
        Reply::Done
    }

    fn refuse(&self, question: &Question, terms: &Terms, others: u64, now: Millis) -> Result<(), Refusal> {
        terms.refuse(&question.models, question.body, now)?;
        let under_way = others.saturating_add(self.under_way(now));
        if let Some(limit) = terms.concurrent.filter(|limit| under_way >= *limit) {
            return Err(Refusal::Concurrent { limit });
        }
        match terms.requests_per_minute.map(|limit| self.window.wait(now, 1, limit.saturating_mul(EACH))) {
            None | Some(Some(0)) => Ok(()),
            Some(wait) => Err(Refusal::Counts { wait: wait.unwrap_or(SPAN) }),
        }
    }

    fn take(&mut self, question: &Question, terms: &Terms, now: Millis) {
        self.open.retain(|_, until| now < *until);
        if terms.requests_per_minute.is_some() {
            self.window.take(now, 1);
        }
        if terms.concurrent.is_some() {
            self.open.insert(question.id.clone(), now.saturating_add(question.life));
        }
    }

    fn write(&self) -> Write {
        Write::Counting(serde_json::to_string(self).unwrap_or_default())
    }

    fn gauges(&self, terms: &Terms, now: Millis) -> Gauges {
        let gauge = |limit: u64| {
            let limit = limit.saturating_mul(EACH);
            Gauge { limit, left: limit.saturating_sub(self.window.taken(now)), reset: self.window.reset(now) }
        };
        Gauges { requests: terms.requests_per_minute.map(gauge), tokens: None }
    }
}

#[cfg(test)]
mod tests {
    use super::super::book::Book;
    use super::super::kept::Kept;
    use super::super::order::{Ask, Order};
    use super::*;

    fn question(id: &str) -> Question {
        Question { id: id.to_owned(), life: 1_000, ..Question::default() }
    }

    #[test]
    fn a_book_that_is_opened_again_knows_what_was_counted_and_what_is_under_way() {
        let (mut book, mut kept) = (Book::default(), Kept::default());
        let mut obey = |order: Order, again: bool| {
            let mut writes = Vec::new();
            let reply = book.obey(order, 1_000, &mut writes);
            for write in writes {
                match write {
                    Write::Terms(terms) => kept.terms = Some(terms),
                    Write::Counting(counting) => kept.counting = Some(counting),
                    other => panic!("{other:?}"),
                }
            }
            if again {
                book = Book::open(kept.clone(), std::iter::empty(), 1_000);
            }
            match reply {
                Reply::Refused { refusal, .. } => Err(refusal),
                _ => Ok(()),
            }
        };
        let terms = Terms { requests_per_minute: Some(1), concurrent: Some(1), ..Terms::default() };
        let count = |id: &str| Order::Count(Question { hash: Some("hash".to_owned()), ..question(id) });
        obey(Order::Post { hash: "hash".to_owned(), terms, version: 1 }, true).unwrap();
        assert_eq!(
            obey(Order::Count(Question { hash: Some("x".to_owned()), ..question("x") }), true),
            Err(Refusal::Unknown)
        );
        for number in 0..10 {
            assert_eq!(obey(count(&number.to_string()), true), Ok(()));
            assert_eq!(obey(count("x"), true), Err(Refusal::Concurrent { limit: 1 }));
            // A chat has no room either, and a count takes nothing of its window.
            let ask = Ask { id: "chat".to_owned(), hash: Some("hash".to_owned()), ..Ask::default() };
            assert_eq!(obey(Order::Admit(ask), true), Err(Refusal::Concurrent { limit: 1 }));
            assert_eq!(obey(Order::Counted(number.to_string()), true), Ok(()));
        }
        assert_eq!(obey(count("x"), true), Err(Refusal::Counts { wait: 60_250 }));
        assert_eq!(obey(Order::Parent, true), Ok(()));
        let terms = Terms { enabled: false, ..Terms::default() };
        obey(Order::Post { hash: "hash".to_owned(), terms, version: 2 }, true).unwrap();
        assert_eq!((obey(Order::Parent, true), obey(count("x"), true)), (Err(Refusal::Ended), Err(Refusal::Ended)));
    }

    #[test]
    fn nobody_is_the_parent_that_was_never_made() {
        let reply = Book::default().obey(Order::Parent, 0, &mut Vec::new());
        assert_eq!(reply, Reply::Refused { refusal: Refusal::Unknown, gauges: Gauges::default() });
    }

    #[test]
    fn there_are_ten_for_each_request_in_any_minute() {
        let terms = Terms { requests_per_minute: Some(2), ..Terms::default() };
        let mut counting = Counting::default();
        for number in 0..20 {
            let question = question(&number.to_string());
            assert_eq!(counting.refuse(&question, &terms, 0, 1_000), Ok(()));
            counting.take(&question, &terms, 1_000);
        }
        assert_eq!(counting.refuse(&question("x"), &terms, 0, 31_000), Err(Refusal::Counts { wait: 30_250 }));
        assert_eq!(counting.gauges(&terms, 1_000).requests.map(|gauge| (gauge.limit, gauge.left)), Some((20, 0)));
        assert_eq!(counting.refuse(&question("x"), &terms, 0, 61_250), Ok(()));
        let mut writes = Vec::new();
        assert_eq!((counting.end("1", &mut writes), writes), (Reply::Done, Vec::new()), "no place was held");
    }

    #[test]
    fn they_share_the_room_for_requests_under_way_and_give_it_back() {
        let terms = Terms { concurrent: Some(2), ..Terms::default() };
        let mut counting = Counting::default();
        counting.take(&question("a"), &terms, 0);
        assert_eq!(counting.refuse(&question("b"), &terms, 0, 0), Ok(()));
        assert_eq!(counting.refuse(&question("b"), &terms, 1, 0), Err(Refusal::Concurrent { limit: 2 }));
        // Whoever never comes back holds it for its time, and no longer.
        assert_eq!((counting.under_way(999), counting.under_way(1_000)), (1, 0));
        let mut writes = Vec::new();
        counting.end("a", &mut writes);
        counting.end("a", &mut writes);
        assert_eq!(writes.len(), 1);
        assert_eq!(counting.refuse(&question("b"), &terms, 1, 0), Ok(()));
    }

    #[test]
    fn a_key_without_limits_has_nothing_written() {
        let mut counting = Counting::default();
        let mut writes = Vec::new();
        assert!(matches!(counting.admit(&question("a"), &Terms::default(), 9, 0, &mut writes), Reply::Granted { .. }));
        assert_eq!((counting, writes), (Counting::default(), Vec::new()));
    }

    #[test]
    fn models_and_bodies_are_the_keys() {
        let terms = Terms { models: vec!["a/*".to_owned()], max_body_bytes: Some(10), ..Terms::default() };
        let asked = |model: &str, body| Question { models: vec![model.to_owned()], body, ..question("a") };
        let counting = Counting::default();
        assert_eq!(counting.refuse(&asked("a/b", 10), &terms, 0, 0), Ok(()));
        assert_eq!(counting.refuse(&asked("b/b", 10), &terms, 0, 0), Err(Refusal::Model));
        assert_eq!(counting.refuse(&asked("a/b", 11), &terms, 0, 0), Err(Refusal::Body { limit: 10 }));
    }
}
