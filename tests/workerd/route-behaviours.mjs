// What a provider on a raw socket does with a call: functions of its exchange (route-provider.mjs).

/** A good answer, whole or streamed as it was asked for. */
export const ok = (options = {}) => (exchange) => {
  const said = { text: `said by ${exchange.provider.name}`, ...options };
  if (!exchange.wantsStream) return exchange.whole(200, exchange.speech.whole(said));
  exchange.openStream();
  exchange.speech.stream(said).forEach((event) => exchange.write(event));
  exchange.end();
};

/** A whole response with this status. */
export const refuse = (status, body = "", headers = {}) => (exchange) => exchange.whole(status, body, headers);

/** What an entry of REFUSALS says: a refusal, or a success with an error inside. */
export const refusing = ([status, body, headers]) => refuse(status, body, headers);

/** A refusal with exactly these bytes after the status line. */
export const refuseRaw = (status, headLines, body) => (exchange) => {
  exchange.raw(`HTTP/1.1 ${status} Refused\r\n${headLines.map((line) => `${line}\r\n`).join("")}content-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`);
  exchange.end();
};

/** The connection breaks before a head. */
export const cut = (exchange) => exchange.reset();

/** Nothing comes, ever. */
export const silence = () => {};

/** A head of success comes, and nothing else. */
export const headAndSilence = (exchange) => (exchange.wantsStream ? exchange.openStream() : exchange.head(200, { "content-type": "application/json", "content-length": 1000 }));

/** A head comes, and the beginning of an answer without content; then the connection breaks. */
export const cutBeforeContent = (exchange) => {
  if (exchange.wantsStream) {
    exchange.openStream();
    exchange.write(exchange.speech.opening());
  } else {
    exchange.head(200, { "content-type": "application/json", "content-length": 1000 });
    exchange.raw('{"id":"1","cho');
  }
  setTimeout(() => exchange.reset(), 20);
};

/** Content comes; then the connection breaks. */
export const cutAfterContent = (exchange) => {
  exchange.openStream();
  exchange.speech.stream({ text: "first words" }).slice(0, exchange.speech.contentAt + 1).forEach((event) => exchange.write(event));
  setTimeout(() => exchange.reset(), 20);
};

/** A success whose body is this. */
export const succeed = (body, headers) => refuse(200, body, headers);

/** A stream of exactly these events. */
export const stream = (...texts) => (exchange) => {
  exchange.openStream();
  texts.forEach((text) => exchange.write(text));
  exchange.end();
};

/** A behaviour after so many milliseconds. */
export const later = (ms, behaviour) => (exchange) => void setTimeout(() => behaviour(exchange), ms);

/** One behaviour for whole answers, another for streams. */
export const either = (whole, streamed) => (exchange) => (exchange.wantsStream ? streamed : whole)(exchange);
