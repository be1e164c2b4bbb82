//! How responses are kept, so that later requests can refer to them: what a format says of them.

use std::collections::HashMap;

use crate::error::Result;
use crate::wire::json::Document;

/// How a format's responses are kept.
pub struct KeptResponses {
    /// Whether a request asks for its response to be kept.
    pub asks: fn(&Document<'_>) -> bool,
    /// The part of a request that is kept with its response: JSON.
    pub question: fn(&Document<'_>) -> Option<String>,
    /// What a request refers to.
    ///
    /// # Errors
    /// 400 naming the reference that is none.
    pub references: fn(&Document<'_>) -> Result<References>,
    /// Writes a request with what it refers to in place of the references.
    pub resolve: fn(&Document<'_>, &Earlier) -> Vec<u8>,
    /// Reads the whole response in the data of an event; `None` if it is not the last event of a response.
    pub told: fn(&[u8]) -> Option<String>,
    /// The ids of a whole response and of its items.
    pub identify: fn(&str) -> Option<ResponseIds>,
    /// The item of a response with this id.
    pub item: fn(&str, &str) -> Option<String>,
    /// Writes the list of the items that a request had: the request's part, the response's id, and the query.
    ///
    /// # Errors
    /// 400 naming the parameter.
    pub list: fn(&str, &str, &str) -> Result<Vec<u8>>,
    /// Writes that a response was deleted.
    pub deleted: fn(&str) -> Vec<u8>,
}

/// The id of a response, and those of its items.
pub type ResponseIds = (String, Vec<String>);

/// What a request refers to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct References {
    /// The response that it goes on from.
    pub previous: Option<String>,
    /// Items of earlier responses.
    pub items: Vec<String>,
}

/// What was found of it.
#[derive(Clone, Debug, Default)]
pub struct Earlier {
    /// The parts of earlier requests with their responses, oldest first.
    pub turns: Vec<(String, String)>,
    /// Items by their ids.
    pub items: HashMap<String, String>,
}
