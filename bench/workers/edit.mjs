// (b) The simplest gateway in JavaScript: parses the body, replaces the model's name, and serializes the body
// again.

export default {
  async fetch(request, env) {
    const body = await request.json();
    body.model = body.model.slice(body.model.indexOf("/") + 1);
    return fetch(env.UPSTREAM, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${env.PROVIDER_KEY}` },
      body: JSON.stringify(body),
    });
  },
};
