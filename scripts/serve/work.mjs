// What is under way in the process, so that it can be stopped without losing any of it: requests, and the tasks
// that outlive them (receipts, reports, lines of the log), of the gateway and of its objects.

/** The requests that run, or have tasks. */
const requests = new Set();
/** The number of tasks of objects. */
let objectTasks = 0;
let isUnready = false;

/** The state of the process. */
export const work = {
  /** Whether a configuration has been loaded. */
  isLoaded: false,
  isRefusing: false,
  get isReady() {
    return this.isLoaded && !isUnready && !this.isRefusing;
  },
  state: () => ({ ready: work.isReady, requests: requests.size, object_tasks: objectTasks }),
};

/** The steps of a clean stop (stop.mjs). */
export const commands = {
  unready: () => void (isUnready = true),
  refuse: () => void (work.isRefusing = true),
  cut: () => requests.forEach((request) => request.cut()),
};

/** Stands for the context of a request, whose tasks it counts. */
export class RequestWork {
  #context;
  #tasks = 0;
  /** Fires when the client has left, or when the request is cut. */
  signal;
  cut;

  constructor(context, client) {
    this.#context = context;
    const controller = new AbortController();
    this.signal = AbortSignal.any([client, controller.signal]);
    // The callback runs in the context of this request, whoever calls `cut`.
    new Promise((resolve) => (this.cut = resolve)).then(() => controller.abort());
    requests.add(this);
  }

  waitUntil(task) {
    this.#tasks++;
    const done = () => {
      this.#tasks--;
      // Tasks begin others just before they end.
      queueMicrotask(() => this.#tasks === 0 && requests.delete(this));
    };
    Promise.resolve(task).then(done, done);
    this.#context.waitUntil(task);
  }

  abort(reason) {
    this.#context.abort?.(reason);
  }
}

const counting = new WeakSet();

/** The class of an object, whose tasks are counted from its first instance on. */
export const counted = (Class) => new Proxy(Class, {
  construct(target, words, newTarget) {
    countTasks(Object.getPrototypeOf(words[0]));
    return Reflect.construct(target, words, newTarget);
  },
});

/** `state`: the prototype of the state of objects. It is not a global. */
function countTasks(state) {
  if (counting.has(state)) return;
  counting.add(state);
  const { waitUntil } = state;
  state.waitUntil = function (task) {
    objectTasks++;
    const done = () => void objectTasks--;
    Promise.resolve(task).then(done, done);
    return waitUntil.call(this, task);
  };
}
