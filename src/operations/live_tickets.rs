//! Tickets for watching: each opens one WebSocket, soon after it was issued.

use std::collections::VecDeque;

use crate::config::Millis;

/// How long a ticket is valid.
pub const TICKET_TIME: Millis = 30_000;
/// How many tickets are valid at once. The oldest one ends when there are more.
const MAX_TICKETS: usize = 100;

/// The tickets that are valid, by their hashes.
#[derive(Debug, Default)]
pub struct LiveTickets(VecDeque<Ticket>);

#[derive(Debug)]
struct Ticket {
    hash: String,
    actor: String,
    expires: Millis,
}

impl LiveTickets {
    /// Adds a ticket for the admin with this id. Returns when it expires.
    pub fn issue(&mut self, hash: String, actor: String, now: Millis) -> Millis {
        self.expire(now);
        if self.0.len() >= MAX_TICKETS {
            self.0.pop_front();
        }
        let expires = now.saturating_add(TICKET_TIME);
        self.0.push_back(Ticket { hash, actor, expires });
        expires
    }

    /// Uses a ticket up. Returns the admin whom it was issued to; `None` if it is not valid.
    pub fn redeem(&mut self, hash: &str, now: Millis) -> Option<String> {
        self.expire(now);
        let at = self.0.iter().position(|ticket| ticket.hash == hash)?;
        self.0.remove(at).map(|ticket| ticket.actor)
    }

    fn expire(&mut self, now: Millis) {
        self.0.retain(|ticket| ticket.expires > now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_is_valid_once_and_for_thirty_seconds() {
        let mut tickets = LiveTickets::default();
        assert_eq!(tickets.issue("a".into(), "key_1".into(), 1_000), 31_000);
        tickets.issue("b".into(), "key_2".into(), 1_000);
        assert_eq!(tickets.redeem("a", 30_999), Some("key_1".into()));
        assert_eq!(tickets.redeem("a", 30_999), None, "used");
        assert_eq!(tickets.redeem("b", 31_000), None, "expired");
        assert_eq!(tickets.redeem("c", 1_000), None, "never issued");
    }

    #[test]
    fn the_number_of_tickets_is_bounded() {
        let mut tickets = LiveTickets::default();
        for number in 0..150 {
            tickets.issue(number.to_string(), String::new(), 0);
        }
        assert_eq!(tickets.0.len(), 100);
        assert_eq!(tickets.redeem("49", 1), None);
        assert!(tickets.redeem("50", 1).is_some());
    }
}
