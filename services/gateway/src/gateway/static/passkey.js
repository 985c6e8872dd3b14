// Passkeys: asks the browser what the form says, and sends its answer with the form.
// Without this script, or on a browser that knows no passkeys, the page says what to do instead.

const fromText = (text) =>
  Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (one) => one.charCodeAt(0));

const toText = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer)))
    .replace(/\+/g, "-")
    .replace(/\//g, "_")
    .replace(/=+$/, "");

const named = (list) => (list ?? []).map((one) => ({ ...one, id: fromText(one.id) }));

function asked(options) {
  const publicKey = { ...options, challenge: fromText(options.challenge) };
  if (options.user) {
    publicKey.user = { ...options.user, id: fromText(options.user.id) };
    publicKey.excludeCredentials = named(options.excludeCredentials);
  } else {
    publicKey.allowCredentials = named(options.allowCredentials);
  }
  return { publicKey };
}

function told(credential) {
  const { response } = credential;
  const parts = { clientDataJSON: toText(response.clientDataJSON) };
  if (response.attestationObject) {
    parts.attestationObject = toText(response.attestationObject);
    parts.transports = response.getTransports?.() ?? [];
  } else {
    parts.authenticatorData = toText(response.authenticatorData);
    parts.signature = toText(response.signature);
    if (response.userHandle) parts.userHandle = toText(response.userHandle);
  }
  return JSON.stringify({
    id: credential.id,
    rawId: toText(credential.rawId),
    type: credential.type,
    response: parts,
    clientExtensionResults: {},
  });
}

function prepare(form) {
  const button = form.querySelector("button");
  const problem = form.querySelector("[data-problem]");
  form.querySelector("[data-unsupported]").hidden = true;
  button.hidden = false;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    problem.hidden = true;
    button.disabled = true;
    try {
      const options = asked(JSON.parse(form.dataset.options));
      const isNew = form.dataset.passkey === "create";
      const credential = isNew
        ? await navigator.credentials.create(options)
        : await navigator.credentials.get(options);
      form.elements["reponse"].value = told(credential);
      form.submit();
    } catch {
      // Refused, too late, or none here: the person decides what to do.
      problem.hidden = false;
      button.disabled = false;
    }
  });
}

if (window.PublicKeyCredential) document.querySelectorAll("form[data-passkey]").forEach(prepare);
