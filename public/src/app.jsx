// The whole page: the door, or the frame with the view of the address.

import { Component } from "preact";
import { useCallback, useEffect, useState } from "preact/hooks";
import { Frame } from "./frame.jsx";
import { ErrorNotice } from "./parts/notice.jsx";
import { applyTheme, language } from "./preferences.js";
import { useRoute } from "./router.js";
import { forgetKey, keptKey, signIn } from "./session.js";
import { SignIn } from "./sign-in.jsx";
import { VIEWS, groupsOf } from "./views.jsx";
import { t, useLanguage } from "./words/index.js";

applyTheme();
useLanguage();

export function App() {
  const [session, setSession] = useState(null);
  const [reason, setReason] = useState(null);
  const [isOpening, setOpening] = useState(keptKey() !== null);
  const [tag, setTag] = useState(language());

  const signOut = useCallback((error = null) => {
    forgetKey();
    setSession(null);
    setReason(error);
  }, []);
  const changeLanguage = (chosen) => {
    useLanguage(chosen);
    setTag(chosen);
  };
  useEffect(() => {
    const key = keptKey();
    if (key === null) return;
    signIn(key, signOut)
      .then(setSession, (error) => (error.status === 401 ? signOut(error) : setReason(error)))
      .finally(() => setOpening(false));
  }, []);

  if (isOpening) return <p class="door loading" role="status">{t("loading")}</p>;
  if (!session) {
    const enter = (opened) => {
      setReason(null);
      setSession(opened);
    };
    return <SignIn key={tag} reason={reason} onSession={enter} onSignedOut={signOut} onLanguage={changeLanguage} />;
  }
  return <Signed key={tag} session={session} onSignOut={() => signOut()} onSignedOut={signOut} onLanguage={changeLanguage} />;
}

function Signed({ session, onSignedOut, ...rest }) {
  const route = useRoute();
  const groups = groupsOf(session);
  const names = groups.flatMap((group) => group.views);
  // Without a provider's key there is nothing to look at yet.
  const first = session.has_provider_keys === false && names.includes("start") ? "start" : names[0];
  const current = names.includes(route.view) ? route.view : first;
  const View = VIEWS[current];
  const id = route.view === current ? route.id : "";
  return (
    <Frame session={session} groups={groups} current={current} {...rest}>
      {/* Another id is another view: nothing of one request or key is shown, or can be changed, at the address of another. */}
      <Guard key={`${current}/${id}`}>
        <View session={session} onSignedOut={onSignedOut} id={id} params={route.view === current ? route.params : {}} />
      </Guard>
    </Frame>
  );
}

/** A fault in one view leaves the others usable. */
class Guard extends Component {
  state = { error: null };
  static getDerivedStateFromError(error) {
    return { error };
  }
  render({ children }, { error }) {
    return error ? <div class="view-body"><ErrorNotice error={error} onRetry={() => this.setState({ error: null })} /></div> : children;
  }
}
