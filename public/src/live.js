// Follows running requests over a WebSocket, which a ticket opens, because a browser sends no key with one. Beyond what
// is shown, the connection is kept: broken ones are opened again, and what was received is confirmed.

const RETRY_MS = [500, 1000, 2000, 5000, 10_000];
/** The gateway closes a connection after an hour; the next ticket opens another. */
const EXPIRED = 4401;
/** How many ended requests are kept. */
const KEPT = 100;

/** Watches with an admin API. `onChange` gets the state after each message, `onError` why there is no connection. */
export class LiveFeed {
  #api;
  #onChange;
  #onError;
  #socket = null;
  #timer;
  #attempt = 0;
  #isStopped = false;
  state = { isOpen: false, running: new Map(), ended: [], more: 0, dropped: 0 };

  constructor(api, { onChange, onError }) {
    this.#api = api;
    this.#onChange = onChange;
    this.#onError = onError;
  }

  async start() {
    try {
      const { ticket } = await this.#api.post("/live");
      if (this.#isStopped) return;
      this.#open(ticket);
    } catch (error) {
      this.#onError(error);
      // What the API refuses, it refuses again.
      if (error.status === 0 || error.status >= 500) this.#retry();
    }
  }

  stop() {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    this.#socket?.close();
  }

  #open(ticket) {
    const address = new URL(`/admin/api/live?ticket=${encodeURIComponent(ticket)}`, location.href);
    address.protocol = address.protocol.replace("http", "ws");
    const socket = (this.#socket = new WebSocket(address));
    socket.onopen = () => {
      this.#attempt = 0;
      this.#onError(null);
      this.#change({ isOpen: true });
    };
    socket.onmessage = ({ data }) => this.#receive(data, socket);
    socket.onclose = ({ code }) => {
      if (this.#isStopped) return;
      this.#change({ isOpen: false });
      this.#retry(code === EXPIRED ? 0 : undefined);
    };
  }

  #retry(pause = RETRY_MS[Math.min(this.#attempt++, RETRY_MS.length - 1)]) {
    if (!this.#isStopped) this.#timer = setTimeout(() => this.start(), pause);
  }

  #receive(text, socket) {
    const message = JSON.parse(text);
    if (message.type === "check") return socket.send(text);
    const { running, ended } = this.state;
    switch (message.type) {
      case "snapshot":
        this.#change({ running: new Map(message.open.map(({ run, request, first_token_at: first }) => [run, { run, ...request, ttft_ms: first && Date.parse(first) - Date.parse(request.started_at) }])), more: message.more, dropped: this.state.dropped + message.dropped });
        break;
      case "started":
        this.#change({ running: new Map([[message.run, { run: message.run, ...message.request }], ...running]) });
        break;
      case "first_token": {
        const known = running.get(message.run);
        if (known) this.#change({ running: new Map(running).set(message.run, { ...known, ttft_ms: message.ttft_ms, provider: message.provider, model: message.model }) });
        break;
      }
      case "ended": {
        const left = new Map(running);
        left.delete(message.run);
        this.#change({ running: left, ended: [message.request, ...ended].slice(0, KEPT) });
        break;
      }
    }
  }

  #change(changes) {
    this.state = { ...this.state, ...changes };
    this.#onChange(this.state);
  }
}
