// (c′) The cost of translation in JavaScript before anything is translated: parses and serializes every body
// and every event, and sends the request to its own path.

export default {
  async fetch(request, env) {
    const body = await request.json();
    body.model = body.model.slice(body.model.indexOf("/") + 1);
    const { pathname, search } = new URL(request.url);
    const answer = await fetch(env.BASE + pathname + search, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${env.PROVIDER_KEY}` },
      body: JSON.stringify(body),
    });
    if (body.stream) return new Response(answer.body.pipeThrough(rewriter()), answer);
    return new Response(JSON.stringify(await answer.json()), { headers: { "content-type": "application/json" } });
  },
};

function rewriter() {
  const [decoder, encoder] = [new TextDecoder(), new TextEncoder()];
  let rest = "";
  return new TransformStream({
    transform(bytes, controller) {
      const lines = (rest + decoder.decode(bytes, { stream: true })).split("\n");
      rest = lines.pop();
      let text = "";
      for (const line of lines) {
        const json = line.startsWith("data: ") && line !== "data: [DONE]";
        text += json ? `data: ${JSON.stringify(JSON.parse(line.slice("data: ".length)))}\n` : `${line}\n`;
      }
      if (text) controller.enqueue(encoder.encode(text));
    },
  });
}
