// What a person finds out and asks for by themselves. The word of the session
// lives in this page alone and goes with it.
"use strict";
(() => {
  const base = "/.privet/me";
  const by = (id) => document.getElementById(id);
  // The texts of the page's language, which the page brings along.
  const texts = JSON.parse(by("texts").textContent);
  const text = (key, parts = {}) =>
    Object.entries(parts).reduce((said, [name, part]) => said.replace(`{${name}}`, () => part), texts[key]);
  // A word that the texts may know.
  const word_of = (kind, name) => texts[`${kind}_${name.replaceAll("-", "_")}`] || name;
  const day = (time) => new Date(time).toLocaleDateString(texts.lang);
  const tenant = new URLSearchParams(location.search).get("tenant") || undefined;
  let word = null;
  let question = null;
  let next = null;
  let restricted = false;
  let titles = new Map();

  const say = (text) => { by("status").textContent = text; };
  const fail = (text) => { by("error").textContent = text; };
  const show = (id) => {
    for (const section of document.querySelectorAll("main > section")) section.hidden = section.id !== id;
    const head = by(id).querySelector("h2");
    if (head && head.tabIndex === -1) head.focus();
  };

  async function call(method, path, body, headers = {}) {
    const sent = { ...headers };
    if (body !== undefined) sent["Content-Type"] = "application/json";
    if (word) sent.Authorization = `Bearer ${word}`;
    const reply = await fetch(base + path, {
      method, headers: sent, body: body === undefined ? undefined : JSON.stringify(body),
      credentials: "omit", cache: "no-store",
    });
    if (!reply.ok) {
      const problem = await reply.json().catch(() => ({}));
      if (reply.status === 401 && word) { word = null; start(); }
      const name = (problem.type || "").split(":").pop().replaceAll("-", "_");
      throw new Error(texts[`problem_${name}`] || texts.failed);
    }
    return reply;
  }

  // Runs what a person has asked for, and says how it went.
  function on(target, event, work) {
    target.addEventListener(event, async (happened) => {
      happened.preventDefault();
      fail(""); say("");
      const button = target.tagName === "FORM" ? target.querySelector("button") : target;
      button.disabled = true;
      try { await work(happened); } catch (error) { fail(error.message); } finally { button.disabled = false; }
    });
  }

  async function start() {
    show("who");
    const ways = await (await call("GET", "/ways")).json();
    by("ask").hidden = !ways.code;
    by("show").hidden = true;
    by("noway").hidden = ways.code;
    // A page of the site may hand over the token of the account: in the part of
    // the address that is sent to nobody.
    const token = new URLSearchParams(location.hash.slice(1)).get("token");
    if (token) {
      history.replaceState(null, "", location.pathname);
      const opened = await call("POST", "/session", { tenant }, { "Privet-Consent-Token": token });
      word = (await opened.json()).session;
      await load();
    }
  }

  on(by("ask"), "submit", async () => {
    const asked = await call("POST", "/code", { who: by("name").value, tenant });
    question = (await asked.json()).question;
    by("show").hidden = false;
    by("code").focus();
    say(text("code_asked"));
  });

  on(by("show"), "submit", async () => {
    const opened = await call("POST", "/session", { question, code: by("code").value });
    word = (await opened.json()).session;
    by("code").value = "";
    await load();
  });

  function cell(row, text, what) {
    const td = row.insertCell();
    td.textContent = text;
    if (what) td.dataset.what = what;
    return td;
  }

  function add(value) {
    const row = by("values").tBodies[0].insertRow();
    cell(row, texts[`e_${value.entity}`] || value.entity.toLowerCase().replaceAll("_", " "), text("what"));
    cell(row, value.value, text("value"));
    cell(row, value.token, text("seen"));
    cell(row, value.created ? day(value.created) : "", text("since"));
    cell(row, titles.get(value.purpose) || value.purpose || "", text("purpose"));
    const last = cell(row, "");
    if (!value.value) return;
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = text("correct");
    button.setAttribute("aria-label", `${text("correct")}: ${value.value}`);
    button.addEventListener("click", () => correct(value));
    last.append(button);
  }

  function correct(value) {
    const dialog = by("correct");
    by("value").value = value.value;
    dialog.returnValue = "";
    dialog.onclose = async () => {
      if (dialog.returnValue !== "yes") return;
      try {
        await call("POST", "/rectify", { token: value.token, value: by("value").value });
        await load();
        say(text("corrected"));
      } catch (error) { fail(error.message); }
    };
    dialog.showModal();
  }

  async function load() {
    const data = await (await call("GET", `/data?lang=${texts.lang}`)).json();
    titles = new Map(data.purposes.map((one) => [one.name, one.title]));
    by("values").tBodies[0].replaceChildren();
    fill(data);
    restricted = data.restricted;
    by("restricted").hidden = !restricted;
    by("restrict").textContent = text(restricted ? "lift" : "restrict");
    by("recipients").textContent = data.recipients
      .map((one) => one.region ? `${one.name} (${one.region})` : one.name).join(", ");
    by("purposes").replaceChildren(...data.purposes.map(purpose));
    by("cases").replaceChildren(...data.cases.map((one) => {
      const item = document.createElement("li");
      item.textContent = `${day(one.received)}: ${word_of("kind", one.kind)}, ${word_of("state", one.state)}`;
      return item;
    }));
    show("mine");
  }

  function fill(data) {
    data.values.forEach(add);
    next = data.next;
    by("more").hidden = !next;
    const is_empty = by("values").tBodies[0].rows.length === 0;
    by("none").hidden = !is_empty;
    by("values").hidden = is_empty;
  }

  function purpose(one) {
    const item = document.createElement("li");
    const basis = text("basis", { basis: word_of("basis", one.basis) });
    const state = one.withdrawn ? text("said_no") : one.given ? text("said_yes") : basis;
    item.append(`${one.title} (${state}) `);
    if (one.may_object && !one.withdrawn) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = text(one.basis === "consent" ? "withdraw" : "object");
      button.setAttribute("aria-label", `${button.textContent}: ${one.title}`);
      on(button, "click", async () => {
        await call("POST", "/object", { purposes: [one.name] });
        await load();
        say(text("not_used", { purpose: one.title }));
      });
      item.append(button);
    }
    return item;
  }

  on(by("more"), "click", async () => {
    fill(await (await call("GET", `/data?after=${encodeURIComponent(next)}`)).json());
  });

  for (const format of ["json", "csv"]) {
    on(by(format), "click", async () => {
      const file = await (await call("GET", `/export?format=${format}`)).blob();
      const link = document.createElement("a");
      link.href = URL.createObjectURL(file);
      link.download = `my-data.${format}`;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
      say(text("downloading"));
    });
  }

  on(by("restrict"), "click", async () => {
    await call("POST", "/restrict", { restricted: !restricted });
    await load();
    say(text(restricted ? "is_restricted" : "is_lifted"));
  });

  by("erase").addEventListener("click", () => {
    const dialog = by("sure");
    dialog.returnValue = "";
    dialog.onclose = async () => {
      if (dialog.returnValue !== "yes") return;
      try {
        const done = await (await call("POST", "/erase", {})).json();
        word = null;
        by("said").textContent = text("erased", { count: done.proof.counts.values });
        by("proof").value = done.proof.confirmation;
        show("over");
      } catch (error) { fail(error.message); }
    };
    dialog.showModal();
  });

  on(by("leave"), "click", async () => {
    await call("DELETE", "/session");
    word = null;
    await start();
    say(text("left"));
  });

  start().catch((error) => fail(error.message));
})();
