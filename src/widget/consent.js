// Asks for consent and sends it with the requests of a page to its gateway.
//
//   <script src="https://gateway.example/.privet/consent.js" data-subject="visitor-7"></script>
//
// data-subject  the pseudonymous id of the person; without it one is made up and kept in this browser
// data-lang     the language of the notice; without it that of the page, then of the browser
// data-ask      "load" (ask at once), "manual" (ask by `privet.open()`, or when a request is refused),
//               or "page" (by `privet.open()` alone)
// data-button   "none" hides the button that opens the choices again
// data-paths    paths of the gateway that get the headers, separated by blanks; without it all
//
// Colours and the like: --privet-background, --privet-text, --privet-muted, --privet-accent,
// --privet-on-accent, --privet-border, --privet-radius, --privet-font.
(() => {
  "use strict";
  const script = document.currentScript;
  if (!script || window.privet) return;
  const options = { ...script.dataset };
  const own = new URL(".", script.src); // …/.privet/
  const base = new URL("..", own);
  const prefixes = (options.paths || "").split(/\s+/).filter(Boolean).map((path) => new URL(path.replace(/^\//, ""), base));
  const memory = new Map();
  const native = { fetch: window.fetch.bind(window) };
  let notice, dialog, button, opener, sign;

  // What is remembered, in this browser alone.
  const key = (name) => `privet:${base.href}:${name}`;
  const store = {
    read(name) {
      try {
        return JSON.parse(localStorage.getItem(key(name)));
      } catch {
        return memory.get(name) ?? null;
      }
    },
    write(name, value) {
      memory.set(name, value);
      try {
        if (value === null) localStorage.removeItem(key(name));
        else localStorage.setItem(key(name), JSON.stringify(value));
      } catch {
        // Without storage it is remembered as long as the page stands.
      }
    },
  };
  const answer = () => store.read("answer");

  function subject() {
    if (options.subject) return options.subject;
    let id = store.read("subject");
    if (!id) {
      const bytes = crypto.getRandomValues(new Uint8Array(16));
      id = "w-" + Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
      store.write("subject", id);
    }
    return id;
  }

  // Structured Fields (RFC 9651).
  const quoted = (text) => `"${text.replace(/["\\]/g, "\\$&")}"`;
  const spelled = (id) => (/^[A-Za-z0-9._:@/+-]{1,128}$/.test(id) ? id : quoted(id));

  function headers() {
    const said = answer();
    const all = { "Privet-Subject": spelled(subject()) };
    if (!said) return all;
    const members = Object.entries(said.purposes).map(([name, given]) => (given ? name : `${name}=?0`));
    if (said.policy) members.push(`policy=${quoted(said.policy)}`);
    members.push("method=click", `at=@${said.at}`);
    all["Privet-Consent"] = members.join(", ");
    if (said.token) {
      all["Privet-Consent-Token"] = said.token;
      delete all["Privet-Subject"];
    }
    return all;
  }

  // The headers go to the gateway alone.
  function isGateways(address) {
    let url;
    try {
      url = new URL(address, document.baseURI);
    } catch {
      return false;
    }
    const scheme = { "ws:": "http:", "wss:": "https:" }[url.protocol] || url.protocol;
    const within = (place) => {
      const path = place.pathname.replace(/\/$/, "");
      return url.pathname === path || url.pathname.startsWith(`${path}/`);
    };
    return scheme === base.protocol && url.host === base.host && within(base) && !within(own) && (!prefixes.length || prefixes.some(within));
  }

  function withQuery(address) {
    if (!isGateways(address)) return address;
    const url = new URL(address, document.baseURI);
    for (const [name, value] of Object.entries(headers())) {
      if (!url.searchParams.has(name.toLowerCase())) url.searchParams.set(name.toLowerCase(), value);
    }
    return url;
  }

  function isRefusal(status, type) {
    return status === 403 && /problem\+json/.test(type || "");
  }

  function refused(problem) {
    if (!/:consent-(required|stale)$/.test(problem?.type || "")) return;
    if (problem.type.endsWith("stale")) store.write("answer", null);
    if (options.ask !== "page") open();
  }

  window.fetch = async function fetch(input, init) {
    const address = input instanceof Request ? input.url : String(input);
    if (!isGateways(address)) return native.fetch(input, init);
    const request = new Headers(init?.headers ?? (input instanceof Request ? input.headers : undefined));
    for (const [name, value] of Object.entries(headers())) if (!request.has(name)) request.set(name, value);
    const reply = await native.fetch(input, { ...init, headers: request });
    if (isRefusal(reply.status, reply.headers.get("content-type"))) reply.clone().json().then(refused, () => {});
    return reply;
  };

  const { open: openRequest, send, setRequestHeader } = XMLHttpRequest.prototype;
  const asked = new WeakMap();
  XMLHttpRequest.prototype.open = function open(method, address, ...rest) {
    asked.set(this, { is: isGateways(address), set: new Set() });
    return openRequest.call(this, method, address, ...rest);
  };
  XMLHttpRequest.prototype.setRequestHeader = function (name, value) {
    asked.get(this)?.set.add(String(name).toLowerCase());
    return setRequestHeader.call(this, name, value);
  };
  XMLHttpRequest.prototype.send = function (body) {
    const about = asked.get(this);
    if (about?.is) {
      for (const [name, value] of Object.entries(headers())) if (!about.set.has(name.toLowerCase())) setRequestHeader.call(this, name, value);
      this.addEventListener("load", () => {
        if (!isRefusal(this.status, this.getResponseHeader("content-type"))) return;
        try {
          refused(this.responseType === "json" ? this.response : JSON.parse(this.responseText));
        } catch {
          // The page reads it by another type than text.
        }
      });
    }
    return send.call(this, body);
  };

  // Where a browser cannot set headers they stand in the address.
  for (const name of ["EventSource", "WebSocket"]) {
    const Native = window[name];
    if (!Native) continue;
    window[name] = class extends Native {
      constructor(address, ...rest) {
        super(withQuery(address), ...rest);
      }
    };
    Object.defineProperty(window[name], "name", { value: name });
  }

  // What is said to the gateway itself.
  async function tell(method, body, query = "", signed = null) {
    const token = signed || body?.token || answer()?.token;
    const head = { Accept: "application/json" };
    if (token) head["Privet-Consent-Token"] = token;
    else head["Privet-Subject"] = spelled(subject());
    if (body) head["Content-Type"] = "application/json";
    const { token: _, ...rest } = body ?? {};
    const reply = await native.fetch(new URL(`consent${query}`, own), { method, headers: head, body: body && JSON.stringify(rest) });
    const told = await reply.json().catch(() => ({}));
    if (!reply.ok) throw new Error(told.detail || told.title || `HTTP ${reply.status}`);
    return told;
  }

  async function give(purposes) {
    const said = { purposes, policy: notice.policy ?? null, at: Math.floor(Date.now() / 1000) };
    const statement = { ...said, method: "click", lang: notice.lang, channel: "widget" };
    if (sign) said.token = statement.token = await sign({ ...statement, subject: subject() });
    const told = await tell("POST", statement);
    store.write("answer", said);
    changed();
    return told;
  }

  // The token that gave is used up, or expired: a withdrawal is signed anew.
  async function withdraw(...purposes) {
    const query = purposes.length ? `?${purposes.map((name) => `purpose=${encodeURIComponent(name)}`).join("&")}` : "";
    const said = answer();
    const names = purposes.length ? purposes : Object.keys(said?.purposes ?? {});
    const statement = { purposes: Object.fromEntries(names.map((name) => [name, false])), policy: said?.policy ?? null, at: Math.floor(Date.now() / 1000) };
    const token = sign && (await sign({ ...statement, method: "click", channel: "widget", subject: subject() }));
    const told = await tell("DELETE", null, query, token);
    if (said) {
      for (const name of names) said.purposes[name] = false;
      said.at = Math.floor(Date.now() / 1000);
      // Who it is must be signed for what was not withdrawn, too.
      if (token) said.token = token;
      else delete said.token;
      store.write("answer", said);
    }
    changed();
    return told;
  }

  function changed() {
    const detail = answer();
    document.dispatchEvent(new CustomEvent("privet:consent", { detail: detail && { purposes: detail.purposes, policy: detail.policy } }));
  }

  // The words around the notice.
  const WORDS = {
    en: ["Your choice", "Accept all", "Decline all", "Save choice", "Withdraw everything", "Close", "My data", "Delete my data", "More about privacy", "Privacy choices", "I object", "It could not be saved.", "Saved.", "What changes:"],
    de: ["Ihre Wahl", "Allem zustimmen", "Alles ablehnen", "Auswahl speichern", "Alles widerrufen", "Schließen", "Meine Daten", "Meine Daten löschen", "Mehr zum Datenschutz", "Datenschutz-Auswahl", "Ich widerspreche", "Das konnte nicht gespeichert werden.", "Gespeichert.", "Was sich ändert:"],
    fr: ["Votre choix", "Tout accepter", "Tout refuser", "Enregistrer", "Tout retirer", "Fermer", "Mes données", "Effacer mes données", "En savoir plus", "Choix de confidentialité", "Je m’oppose", "L’enregistrement a échoué.", "Enregistré.", "Ce qui change :"],
    es: ["Su elección", "Aceptar todo", "Rechazar todo", "Guardar", "Retirar todo", "Cerrar", "Mis datos", "Borrar mis datos", "Más sobre la privacidad", "Opciones de privacidad", "Me opongo", "No se pudo guardar.", "Guardado.", "Lo que cambia:"],
    it: ["La tua scelta", "Accetta tutto", "Rifiuta tutto", "Salva", "Revoca tutto", "Chiudi", "I miei dati", "Cancella i miei dati", "Di più sulla privacy", "Scelte sulla privacy", "Mi oppongo", "Non è stato possibile salvare.", "Salvato.", "Che cosa cambia:"],
    nl: ["Uw keuze", "Alles toestaan", "Alles weigeren", "Keuze opslaan", "Alles intrekken", "Sluiten", "Mijn gegevens", "Mijn gegevens wissen", "Meer over privacy", "Privacykeuzes", "Ik maak bezwaar", "Opslaan is niet gelukt.", "Opgeslagen.", "Wat verandert:"],
    pl: ["Twój wybór", "Zgoda na wszystko", "Odrzuć wszystko", "Zapisz wybór", "Wycofaj wszystko", "Zamknij", "Moje dane", "Usuń moje dane", "Więcej o prywatności", "Wybór prywatności", "Sprzeciwiam się", "Nie udało się zapisać.", "Zapisano.", "Co się zmienia:"],
  };
  const NAMES = ["heading", "accept", "decline", "save", "withdraw", "close", "data", "erase", "more", "button", "object", "failed", "saved", "changes"];
  const wanted = () => options.lang || document.documentElement.lang || navigator.language || "en";
  function words() {
    const lang = (notice?.lang || wanted()).toLowerCase().split("-")[0];
    return Object.fromEntries(NAMES.map((name, nth) => [name, (WORDS[lang] || WORDS.en)[nth]]));
  }

  function make(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (typeof value === "function") element.addEventListener(name, value);
      else if (value === true) element.setAttribute(name, "");
      else if (value !== false && value != null) element.setAttribute(name, value);
    }
    element.append(...children.filter((child) => child != null));
    return element;
  }

  // A part of the page that its styles do not reach.
  function shadow(id) {
    const host = make("div", { id, "data-privet": "" });
    const root = host.attachShadow({ mode: "open" });
    const style = make("link", { rel: "stylesheet", href: new URL("consent.css", own) });
    const styled = new Promise((done) => ["load", "error"].forEach((event) => style.addEventListener(event, done)));
    root.append(style);
    document.body.append(host);
    return { host, root, styled };
  }

  function row(purpose, said, text) {
    const id = `privet-${purpose.name}`;
    const objects = purpose.may_object;
    const on = objects ? said?.purposes[purpose.name] === false : said?.purposes[purpose.name] === true;
    const input = make("input", { type: "checkbox", role: "switch", id, name: purpose.name, "aria-describedby": purpose.text ? `${id}-text` : null, disabled: purpose.objected_by_gpc });
    input.checked = on;
    input.dataset.objects = objects ? "1" : "";
    const title = objects ? `${purpose.title}: ${text.object}` : purpose.title;
    return make("div", { class: "purpose" },
      make("label", { for: id }, make("span", { class: "title" }, title), input),
      purpose.text && make("p", { id: `${id}-text` }, purpose.text));
  }

  function build(said) {
    const text = words();
    const paragraphs = (notice.text || "").split(/\n\s*\n/).filter(Boolean).map((part) => make("p", {}, part.replace(/\s*\n\s*/g, " ")));
    const asks = notice.purposes.filter((purpose) => purpose.asks || purpose.may_object);
    const status = make("p", { class: "status", role: "status" });
    const form = make("form", { method: "dialog" });
    const read = (all) => Object.fromEntries(Array.from(form.querySelectorAll("input"), (input) => {
      const on = all ?? input.checked;
      return [input.name, input.dataset.objects ? !(all === undefined ? on : !all) : on && !input.disabled];
    }));
    const act = (run, tells = false) => async (event) => {
      event.preventDefault();
      form.toggleAttribute("data-busy", true);
      try {
        const told = await run();
        const effects = (told.effects || []).map((effect) => effect.says);
        if (tells && effects.length) {
          status.textContent = `${text.saved} ${text.changes} ${[...new Set(effects)].join(" ")}`;
          form.toggleAttribute("data-busy", false);
          form.querySelectorAll("input").forEach((input) => (input.checked = input.dataset.objects ? answer()?.purposes[input.name] === false : answer()?.purposes[input.name] === true));
          status.focus();
        } else close();
      } catch (error) {
        status.textContent = `${text.failed} ${error.message}`;
        form.toggleAttribute("data-busy", false);
      }
    };
    const press = (name, run, kind = "button") => make("button", { type: kind, class: "action", "data-action": name, click: act(run) }, text[name]);
    form.append(
      make("h2", { id: "privet-title", tabindex: "-1" }, notice.title || text.heading),
      make("div", { id: "privet-text", class: "text", lang: notice.lang }, ...paragraphs),
      make("div", { class: "purposes", role: "group", "aria-labelledby": "privet-title" }, ...asks.map((purpose) => row(purpose, said, text))),
      make("div", { class: "actions" },
        press("decline", () => give(read(false))),
        press("save", () => give(read())),
        press("accept", () => give(read(true)))),
      make("p", { class: "more" },
        said && make("button", { type: "button", class: "link", "data-action": "withdraw", click: act(() => withdraw(), true) }, text.withdraw),
        make("a", { href: new URL("me", own) }, text.data),
        make("a", { href: new URL("me#delete", own) }, text.erase),
        notice.notice_url && make("a", { href: new URL(notice.notice_url, base) }, text.more)),
      status);
    status.tabIndex = -1;
    return make("dialog", { role: "dialog", "aria-modal": "true", "aria-labelledby": "privet-title", "aria-describedby": "privet-text", close: closed },
      make("button", { type: "button", class: "close", "aria-label": text.close, click: () => close() }, "×"), form);
  }

  async function load() {
    const query = new URLSearchParams({ lang: wanted() });
    const reply = await native.fetch(new URL(`notice?${query}`, own), { headers: { Accept: "application/json" } });
    if (!reply.ok) throw new Error(`HTTP ${reply.status}`);
    notice = await reply.json();
    const said = answer();
    if (said && (said.policy ?? null) !== (notice.policy ?? null)) store.write("answer", null);
  }

  async function open() {
    if (dialog) return;
    opener = document.activeElement;
    dialog = shadow("privet-consent");
    try {
      if (!notice) await load();
    } catch {
      dialog.host.remove();
      dialog = null;
      return;
    }
    const element = build(answer());
    dialog.root.append(element);
    await dialog.styled;
    element.showModal();
    element.querySelector("h2").focus();
  }

  function close() {
    dialog?.root.querySelector("dialog")?.close();
  }

  function closed() {
    dialog?.host.remove();
    dialog = null;
    if (opener?.isConnected && opener !== document.body) opener.focus();
    else button?.root.querySelector("button")?.focus();
  }

  async function start() {
    if (options.button !== "none") {
      button = shadow("privet-button");
      button.root.append(make("button", { type: "button", class: "again", "aria-haspopup": "dialog", click: () => open() }, words().button));
    }
    try {
      await load();
    } catch {
      return; // Without the gateway there is nothing to consent to.
    }
    const again = button?.root.querySelector("button");
    if (again) again.textContent = words().button;
    if (!answer() && !["manual", "page"].includes(options.ask)) await open();
  }

  window.privet = Object.freeze({
    open,
    close,
    give: async (purposes) => {
      if (!notice) await load();
      return give(purposes);
    },
    withdraw,
    headers,
    receipt: () => tell("GET"),
    answer: () => answer()?.purposes ?? null,
    /** Forgets the answer in this browser; what is on record stands. */
    forget() {
      store.write("answer", null);
    },
    subject,
    /** `subject`: the person's id. `sign`: makes a signed token of a statement, where the gateway asks for one. */
    configure(given) {
      if (given.subject) options.subject = given.subject;
      if (given.sign) sign = given.sign;
    },
  });
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
