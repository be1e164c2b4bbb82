//! The Durable Object of what operators are shown and told.

mod object;
mod part;
mod parts;
