// (a) The bare Worker: passes bytes through in both directions and inspects nothing.

export default {
  fetch(request, env) {
    return fetch(env.UPSTREAM, { method: "POST", headers: request.headers, body: request.body });
  },
};
