// (c) The usual way to read a stream's usage in JavaScript: a TransformStream that parses each event and
// passes its bytes on.

export default {
  async fetch(request, env) {
    const body = await request.json();
    body.model = body.model.slice(body.model.indexOf("/") + 1);
    body.stream_options = { ...body.stream_options, include_usage: true };
    const answer = await fetch(env.UPSTREAM, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${env.PROVIDER_KEY}` },
      body: JSON.stringify(body),
    });
    return new Response(answer.body.pipeThrough(listener()), answer);
  },
};

function listener() {
  const decoder = new TextDecoder();
  let rest = "";
  let usage = null;
  return new TransformStream({
    transform(bytes, controller) {
      const events = (rest + decoder.decode(bytes, { stream: true })).split("\n\n");
      rest = events.pop();
      for (const event of events) {
        if (event !== "data: [DONE]") usage = JSON.parse(event.slice("data: ".length)).usage ?? usage;
      }
      controller.enqueue(bytes);
    },
  });
}
