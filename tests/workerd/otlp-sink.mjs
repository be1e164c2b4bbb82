// A back end of OpenTelemetry on loopback, which responds as the test says and keeps what it was sent.

import { createServer } from "node:http";
import { until } from "./client.mjs";

/** Takes everything. */
export const take = (_, res) => res.writeHead(200, { "content-type": "application/json" }).end("{}");

/** Responds with this status and these headers. */
export const respond = (status, headers = {}, body = "") => (_, res) => res.writeHead(status, headers).end(body);

/** Responds with this status, and breaks off in the body. */
export const breakOff = (status) => (_, res) => {
  res.writeHead(status, { "content-length": "100" });
  res.write("{", () => res.destroy());
};

/** An attribute's value, as JavaScript has it. */
const valueOf = ({ stringValue, boolValue, intValue, doubleValue }) => stringValue ?? boolValue ?? (intValue === undefined ? doubleValue : Number(intValue));

/** The attributes of a span, a record or a resource, by name. */
export const attributesOf = ({ attributes = [] }) => Object.fromEntries(attributes.map(({ key, value }) => [key, valueOf(value)]));

class Sink {
  /** All requests, oldest first: path, headers, bytes. */
  requests = [];
  /** Chooses the response to a request; everything is taken if it chooses none. */
  choose = () => undefined;
  #server = createServer((req, res) => this.#serve(req, res));

  async listen(port = 0) {
    this.#server.keepAliveTimeout = 0;
    await new Promise((resolve) => this.#server.listen(port, "127.0.0.1", resolve));
    this.port = this.#server.address().port;
    this.url = `http://127.0.0.1:${this.port}/otlp`;
    return this;
  }

  async #serve(req, res) {
    const pieces = [];
    try {
      for await (const piece of req) pieces.push(piece);
    } catch {
      // The gateway has aborted it.
      return;
    }
    const request = { path: req.url, headers: req.headers, bytes: Buffer.concat(pieces) };
    this.requests.push(request);
    (this.choose(request) ?? take)(request, res);
  }

  /** From now on, the first try of each batch with this word gets this response. */
  refuseOnce(word, response) {
    const isFirst = ({ bytes }) => this.requests.filter((other) => other.bytes.equals(bytes)).length === 1;
    this.choose = (request) => (request.bytes.includes(word) && isFirst(request) ? response : undefined);
  }

  /** The requests with this word, to the endpoint of this signal. */
  sent(word, signal = "") {
    return this.requests.filter(({ path, bytes }) => path.endsWith(signal) && bytes.includes(word));
  }

  /** What was sent to the endpoint of a signal: parsed bodies. */
  bodies(signal) {
    return this.requests.filter(({ path }) => path === `/otlp/v1/${signal}`).map(({ bytes }) => JSON.parse(bytes));
  }

  /** All spans, oldest first. A batch that was sent again counts again. */
  spans() {
    return this.bodies("traces").flatMap(({ resourceSpans }) => resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans)));
  }

  /** All log records. */
  records() {
    return this.bodies("logs").flatMap(({ resourceLogs }) => resourceLogs.flatMap(({ scopeLogs }) => scopeLogs.flatMap(({ logRecords }) => logRecords)));
  }

  /** The span of a request, and those of its attempts, once they have come. */
  async traceOf(id) {
    const server = await until(() => this.spans().find((span) => attributesOf(span)["llm_bridge.request_id"] === id), `the span of ${id}`);
    return { server, attempts: this.spans().filter(({ parentSpanId, traceId }) => parentSpanId === server.spanId && traceId === server.traceId) };
  }

  async stop() {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

/** Starts a back end; its `url` is what `telemetry.otlp.endpoint` wants. */
export const startSink = (port) => new Sink().listen(port);
