// A Worker that the gateway calls by a binding, as it would a server behind a tunnel: it passes calls on to TARGET,
// and says in `x-home-saw` which address it was called with.

export default {
  fetch(request, env) {
    const { pathname, search } = new URL(request.url);
    const passed = new Request(env.TARGET + pathname + search, request);
    passed.headers.set("x-home-saw", request.url);
    return fetch(passed, { redirect: "manual" });
  },
};
