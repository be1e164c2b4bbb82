// Routes in the fragment of the address: #/requests/ID?status=4xx. So every view and its filters have a link, and
// none needs a path of the server.

import { useEffect, useState } from "preact/hooks";

/** The view, the name in its path, and the parameters of a fragment. */
export function parse(hash) {
  const [path, search = ""] = hash.replace(/^#\/?/, "").split("?");
  const [view = "", ...rest] = path.split("/").map(decode);
  return { view, id: rest.join("/"), params: Object.fromEntries(new URLSearchParams(search)) };
}

function decode(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** The address of a view. */
export function link(view, { id, params = {} } = {}) {
  const given = Object.entries(params).filter(([, value]) => value !== undefined && value !== null && value !== "");
  const search = new URLSearchParams(given).toString();
  return `#/${view}${id ? `/${encodeURIComponent(id)}` : ""}${search && `?${search}`}`;
}

export const go = (view, to) => (location.hash = link(view, to));

/** Changes parameters of the present view, without a new entry in the history. */
export function refine(changes) {
  const { view, id, params } = parse(location.hash);
  history.replaceState(null, "", link(view, { id, params: { ...params, ...changes } }));
  dispatchEvent(new HashChangeEvent("hashchange"));
}

export function useRoute() {
  const [route, setRoute] = useState(() => parse(location.hash));
  useEffect(() => {
    const follow = () => setRoute(parse(location.hash));
    addEventListener("hashchange", follow);
    // The address may have changed between the first drawing and now.
    follow();
    return () => removeEventListener("hashchange", follow);
  }, []);
  return route;
}
