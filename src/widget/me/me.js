// What a person finds out and asks for by themselves. The word of the session
// lives in this page alone and goes with it.
"use strict";
(() => {
  const base = "/.privet/me";
  const by = (id) => document.getElementById(id);
  let word = null;
  let question = null;
  let next = null;
  let restricted = false;

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
      throw new Error(problem.detail || problem.title || "It did not work. Please try again.");
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
      const opened = await call("POST", "/session", {}, { "Privet-Consent-Token": token });
      word = (await opened.json()).session;
      await load();
    }
  }

  on(by("ask"), "submit", async () => {
    const asked = await call("POST", "/code", { who: by("name").value });
    question = (await asked.json()).question;
    by("show").hidden = false;
    by("code").focus();
    say("A code was asked for.");
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
    cell(row, value.entity.toLowerCase().replaceAll("_", " "), "What");
    cell(row, value.value, "Value");
    cell(row, value.token, "The chatbot sees");
    cell(row, value.created ? new Date(value.created).toLocaleDateString() : "", "Since");
    const last = cell(row, "");
    if (!/^\[[A-Z_]+_[0-9A-Z]{8}\]$/.test(value.token)) return;
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = "Correct";
    button.setAttribute("aria-label", `Correct ${value.value}`);
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
        say("The value was corrected.");
      } catch (error) { fail(error.message); }
    };
    dialog.showModal();
  }

  async function load() {
    const data = await (await call("GET", "/data")).json();
    by("values").tBodies[0].replaceChildren();
    fill(data);
    restricted = data.restricted;
    by("restricted").hidden = !restricted;
    by("restrict").textContent = restricted ? "Lift the restriction" : "Restrict";
    by("recipients").textContent = data.recipients
      .map((one) => one.region ? `${one.name} (${one.region})` : one.name).join(", ");
    by("purposes").replaceChildren(...data.purposes.map(purpose));
    by("cases").replaceChildren(...data.cases.map((one) => {
      const item = document.createElement("li");
      item.textContent = `${new Date(one.received).toLocaleDateString()}: ${one.kind}, ${one.state}`;
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
    const state = one.withdrawn ? "you have said no" : one.given ? "you have said yes" : `basis: ${one.basis}`;
    item.append(`${one.name} (${state}) `);
    if (one.may_object && !one.withdrawn) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = one.basis === "consent" ? "Withdraw" : "Object";
      button.setAttribute("aria-label", `${button.textContent}: ${one.name}`);
      on(button, "click", async () => {
        await call("POST", "/object", { purposes: [one.name] });
        await load();
        say(`Your data is not used for ${one.name} any more.`);
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
      say("The file is on its way to your downloads.");
    });
  }

  on(by("restrict"), "click", async () => {
    await call("POST", "/restrict", { restricted: !restricted });
    await load();
    say(restricted ? "Your data is restricted from now on." : "The restriction is lifted.");
  });

  by("erase").addEventListener("click", () => {
    const dialog = by("sure");
    dialog.returnValue = "";
    dialog.onclose = async () => {
      if (dialog.returnValue !== "yes") return;
      try {
        const done = await (await call("POST", "/erase", {})).json();
        word = null;
        by("said").textContent = `Your data was erased: ${done.proof.counts.values} values.`;
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
    say("You have left.");
  });

  start().catch((error) => fail(error.message));
})();
