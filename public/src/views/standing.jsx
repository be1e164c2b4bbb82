// What an operator should know now: alerts that are raised, and targets that are out.

import { useLoad } from "../parts/load.jsx";
import { ErrorNotice, Notice } from "../parts/notice.jsx";
import { link } from "../router.js";
import { named, t } from "../words/index.js";

export function Standing({ session }) {
  const alerts = useLoad((signal) => session.api.get("/alerts", { limit: 1 }, signal), []);
  const health = useLoad((signal) => session.api.get("/health", {}, signal), []);
  const raised = alerts.data?.raised ?? [];
  const out = health.data?.data ?? [];
  return (
    <>
      <ErrorNotice error={alerts.error ?? health.error} />
      {raised.length > 0 && (
        <Notice kind="warn" title={t("standing.alerts", { n: raised.length })}>
          {raised.slice(0, 3).map((alert) => [named("alert", alert.kind), alert.subject].filter(Boolean).join(": ")).join(" · ")} <a href={link("alerts")}>{t("view.alerts")}</a>
        </Notice>
      )}
      {out.length > 0 && (
        <Notice kind="warn" title={t("standing.out", { n: out.length })}>
          {out.slice(0, 3).map((state) => [state.provider, state.model].filter(Boolean).join("/")).join(" · ")} <a href={link("models")}>{t("view.models")}</a>
        </Notice>
      )}
    </>
  );
}
