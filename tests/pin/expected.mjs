// The intended differences between the base and the present build, and their reasons. Each entry names cases
// (`*` stands for any text), the part of the record (provider, client, log, receipt), the text of the base
// (`from`: a string or a regular expression), its replacement (`to`, with `$1` for a group), and the reason.
// An entry that changes nothing fails the comparison, as does a difference without an entry.
//
//   { cases: "faults/redirect/*", part: "client", from: /"code":"upstream_invalid_response"/g, to: '"code":"upstream_redirect"', reason: "…" },

export const EXPECTED = [
  { cases: "sockets/upgrade/*", part: "client", from: "`session` is the id of a session, as it was given.", to: "`session` must be the id of a session, as the `session` frame gave it.", reason: "reworded: says what was expected" },
  { cases: "sockets/upgrade/*", part: "log", from: "`session` is the id of a session, as it was given.", to: "`session` must be the id of a session, as the `session` frame gave it.", reason: "reworded: says what was expected" },
  { cases: "sockets/upgrade/*", part: "log", from: "`window` is a number.", to: "`window` must be a number.", reason: "reworded: says what was expected" },
  { cases: "sockets/*", part: "client", from: /The message is not JSON: /g, to: "The message is not valid JSON: ", reason: "reworded: says what was expected" },
  { cases: "sockets/*", part: "client", from: /A message is a JSON object\./g, to: "The message must be a JSON object.", reason: "reworded: says what was expected" },
  { cases: "sockets/*", part: "client", from: /Known are chat, cancel, ack, auth and ping\./g, to: "Expected chat, cancel, ack, auth or ping.", reason: "reworded: says what was expected" },
  { cases: "sockets/*", part: "client", from: /`type` is a string\./g, to: "`type` must be a string.", reason: "reworded: says what was expected" },
  { cases: "sockets/*", part: "client", from: /`payload` is an object: the body of a chat completion\./g, to: "`payload` must be an object: the body of a chat completion request.", reason: "reworded: says what was expected" },
  { cases: "sockets/*", part: "client", from: /`id` is a string or a number, of at most/g, to: "`id` must be a string or a number of at most", reason: "reworded: says what was expected" },
  { cases: "sockets/*", part: "client", from: /`(window|after)` is a number\./g, to: "`$1` must be a number.", reason: "reworded: says what was expected" },
  { cases: "sockets/*", part: "client", from: /(No request with the id \S+ is) under way\./g, to: "$1 in progress.", reason: "reworded: plain English" },
  { cases: "sockets/*", part: "client", from: /Messages are text, not bytes\./g, to: "Messages must be text, not binary.", reason: "reworded: says what was expected" },
  { cases: "sockets/*", part: "client", from: /This session has its key already; another key is another session\./g, to: "The session already has an API key. Open another session to use another key.", reason: "reworded: says what was expected" },
  { cases: "sockets/*", part: "client", from: /`seq` is the number of the last frame that has arrived\./g, to: "`seq` must be the number of the last frame that arrived.", reason: "reworded: says what was expected" },
  { cases: "sockets/*", part: "client", from: /`payload` is missing: the body of a chat completion\./g, to: "`payload` is missing. Send the body of a chat completion request.", reason: "reworded: says what was expected" },
  { cases: "sockets/*", part: "client", from: /The message has no `type`: chat, cancel, ack, auth or ping\./g, to: "The message has no `type`. Expected chat, cancel, ack, auth or ping.", reason: "reworded: says what was expected" },
];
