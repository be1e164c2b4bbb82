//! A format that exists in tests only, to prove that a format needs one folder and one row in the table. It
//! differs from the others where they agree: the model is named in the path, a stream consists of lines of
//! JSON, the limit is called `budget`, the usage comes in a trailer, an error may come with status 200, and
//! requests are signed.

mod assemble;
mod errors;
mod format;
mod operations;
mod request;
mod response;
mod rules;
mod sign;
mod stream;
mod wire;

pub use format::{CLIENT, KIND, PROVIDER};
