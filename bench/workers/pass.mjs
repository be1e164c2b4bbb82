// (a) The bare Worker: passes bytes through, both ways, and looks at nothing.

export default {
  fetch(request, env) {
    return fetch(env.UPSTREAM, { method: "POST", headers: request.headers, body: request.body });
  },
};
