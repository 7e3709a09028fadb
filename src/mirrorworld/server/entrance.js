// What the sign-in page adds: a button for each provider, and one for passkeys where the browser
// has them. The page works without; nothing here is needed to enter.

const place = document.getElementById("ways");
const headers = { "X-Mirrorworld": "1", "Content-Type": "application/json" };

function add(label, act) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = label;
  button.style.marginTop = ".75rem";
  button.addEventListener("click", act);
  place.append(button);
}

function say(words) {
  let line = document.getElementById("said");
  if (!line) {
    line = document.createElement("p");
    line.id = "said";
    line.className = "error";
    line.setAttribute("role", "alert");
    place.append(line);
  }
  line.textContent = words;
}

async function ask(path, body) {
  const answer = await fetch(path, { method: "POST", headers, body: JSON.stringify(body ?? {}) });
  if (answer.status === 204) return null;
  const told = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(told.detail ?? `the server answered ${answer.status}`);
  return told;
}

async function byPasskey() {
  try {
    const options = await ask("/api/enter/passkey/options");
    const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(options);
    const credential = await navigator.credentials.get({ publicKey });
    await ask("/api/enter/passkey", credential.toJSON());
    location.assign("/");
  } catch (error) {
    say(error.message);
  }
}

const by = (way) => place.dataset.by.replace("{way}", way);
if (window.PublicKeyCredential?.parseRequestOptionsFromJSON) add(by(place.dataset.passkey), byPasskey);
const { providers } = await (await fetch("/api/enter/ways")).json();
for (const { name, label } of providers) {
  add(by(label), () => location.assign(`/api/enter/oidc/${encodeURIComponent(name)}`));
}
