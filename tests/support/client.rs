//! A gateway, and requests to it.

use std::rc::Rc;

use futures::executor::block_on;
use llm_bridge::gateway::platform::StreamHead;
use llm_bridge::gateway::{Body, Bridge, Opened, Request, Response};
use llm_bridge::server::serve;

use super::world::World;

/// A gateway with these secrets.
pub fn bridge(config: &str, secrets: &[(&str, &str)]) -> Opened {
    let secret = |name: &str| secrets.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
    Bridge::open(config, secret, 1_000).map(Rc::new)
}

/// A response as the client gets it.
pub struct Got {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
}

impl Got {
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
    }

    pub fn code(&self) -> String {
        self.json().pointer("/error/code").and_then(|code| code.as_str()).unwrap_or_default().to_owned()
    }
}

/// Sends a request and waits for the end of its response.
pub fn ask(bridge: &Opened, world: &World, line: &str, headers: &[(&str, &str)], body: &str) -> Got {
    block_on(asking(bridge, world, line, headers, body))
}

/// As [`ask`], for concurrent requests.
pub async fn asking(bridge: &Opened, world: &World, line: &str, headers: &[(&str, &str)], body: &str) -> Got {
    let (method, target) = line.split_once(' ').unwrap();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let header = |name: &str| headers.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
    let request = Request {
        method,
        path,
        query,
        scheme: "https",
        hostname: "gateway.example",
        header: &header,
        body: body.as_bytes().to_vec(),
        caller: None,
    };
    if let Ok(bridge) = bridge {
        world.logging.borrow_mut().clone_from(bridge.logging());
    }
    let world = World { state: Rc::default(), begun: Rc::default(), ..world.clone() };
    let response = serve(bridge, &world, request).await;
    let got = response.map_or_else(|| streamed(&world), whole);
    let next = || world.tasks.borrow_mut().pop();
    while let Some(task) = next() {
        task.await;
    }
    got
}

fn whole(response: Response<World>) -> Got {
    let Response { status, headers, body } = response;
    let body = match body {
        Body::Empty | Body::Socket(..) => Vec::new(),
        Body::Bytes(bytes) | Body::Buffer((), bytes) => bytes,
    };
    Got { status, headers, body: String::from_utf8(body).unwrap() }
}

fn streamed(world: &World) -> Got {
    let (StreamHead { status, headers, .. }, sink) = world.begun.take().unwrap();
    Got { status, headers, body: String::from_utf8(sink.take()).unwrap() }
}
