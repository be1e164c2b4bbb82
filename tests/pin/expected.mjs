// What differs between the base and the present build, and why. Each entry names cases (`*` stands for anything), the part of the record
// (provider, client, log, receipt), what stands there in the base (`from`: a text, or a regular expression), what stands there now (`to`, with `$1` for a
// group), and the reason.
// An entry that changes nothing fails the comparison, as a difference that no entry names does.
//
//   { cases: "faults/redirect/*", part: "client", from: /"code":"upstream_invalid_response"/g, to: '"code":"upstream_redirect"', reason: "…" },

export const EXPECTED = [];
