// The views, by their names in the address, and who sees which. What a key may do is decided by the API: this is
// only what is offered.

import { Logs } from "./views/logs.jsx";
import { Models } from "./views/models.jsx";
import { Overview } from "./views/overview.jsx";
import { Alerts } from "./views/alerts.jsx";
import { Audit } from "./views/audit.jsx";
import { Config } from "./views/config.jsx";
import { Keys } from "./views/keys.jsx";
import { Live } from "./views/live.jsx";
import { Playground } from "./views/playground.jsx";
import { Requests } from "./views/requests.jsx";
import { Start } from "./views/start.jsx";
import { Usage } from "./views/usage.jsx";

export const VIEWS = {
  overview: Overview,
  requests: Requests,
  live: Live,
  keys: Keys,
  models: Models,
  playground: Playground,
  config: Config,
  logs: Logs,
  alerts: Alerts,
  audit: Audit,
  start: Start,
  usage: Usage,
};

const ADMIN = [
  { title: "", views: ["overview", "requests", "live"] },
  { title: "nav.manage", views: ["keys", "models", "playground"] },
  { title: "nav.operate", views: ["config", "logs", "alerts", "audit"] },
  { title: "nav.help", views: ["start"] },
];
const CALLER = [{ title: "", views: ["usage"] }];

/** The groups of views that a session is offered; the first view is shown first. */
export function groupsOf(session) {
  return session.kind === "caller" ? CALLER : ADMIN;
}
