import { render } from "preact";
import { useEffect, useState } from "preact/hooks";
import { logIn, type Api } from "./data/api";
import { takeKeyFromAddress } from "./data/credential";
import { wordsOf } from "./data/session";
import { App } from "./ui/app";
import { Login } from "./ui/login";
import "ol/ol.css";
import "./style/base.css";
import "./style/screen.css";
import "./style/panels.css";
import "./style/narrow.css";

// At once, before anything else may look at the address.
const keyOfAddress = takeKeyFromAddress();

function Root() {
  const [api, setApi] = useState<Api | null>(null);
  const [why, setWhy] = useState<string | null>(null);
  const [trying, setTrying] = useState(keyOfAddress !== null);
  useEffect(() => {
    if (keyOfAddress === null) return;
    logIn(keyOfAddress).then(
      (good) => {
        setApi(good);
        setTrying(false);
      },
      (error: unknown) => {
        setWhy(`The key of the address is not good: ${wordsOf(error)}.`);
        setTrying(false);
      },
    );
  }, []);
  if (trying) return <p class="starting">Opening the map…</p>;
  if (api === null) return <Login why={why} done={setApi} />;
  return (
    <App
      api={api}
      logOut={(reason) => {
        setWhy(reason);
        setApi(null);
      }}
    />
  );
}

const place = document.getElementById("app");
if (place !== null) {
  place.replaceChildren();
  render(<Root />, place);
}
// An address with a key that is opened in a page that is already here: the page begins anew with it.
window.addEventListener("hashchange", () => {
  if (new URLSearchParams(location.hash.slice(1)).has("key")) location.reload();
});
