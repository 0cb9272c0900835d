// The chat page: talks to the chatbot through Privet, and shows beside it what
// the chatbot received. It keeps everything in memory; a reload forgets. Consent
// is asked for, remembered and sent by Privet's own script.

const setting = (name) => document.querySelector(`meta[name="${name}"]`).content;
const gateway = setting("privet-gateway");
const $ = (id) => document.getElementById(id);

const EXAMPLES = [
  ["Late order", "Hello, I'm Anna Kowalska. My order #10482 has not arrived. Please write to anna.kowalska@example.com or call +44 20 7946 0958."],
  ["Refund to my card", "Please put the money back on my card 4111 1111 1111 1111."],
  ["Refund by IBAN", "I would rather have the refund on my bank account, GB82 WEST 1234 5698 7654 32."],
  ["The app blocks me", "Hello, the app does not let me in from 203.0.113.24. What is wrong?"],
  ["What do you know about me?", "What do you know about me?"],
];

// A token as Privet writes it: its entity, then eight characters.
const TOKEN = /\[([A-Z][A-Z_]{1,24})_([0-9A-HJKMNP-TV-Z]{8})\]/g;
const ENTITIES = { PERSON: "name", EMAIL: "email", PHONE: "phone number", CREDIT_CARD: "card number", IBAN: "bank account", IP: "network address" };

// Letters only, so that it is nobody's number and travels as it is.
const page = Array.from(crypto.getRandomValues(new Uint8Array(10)), (b) => String.fromCharCode(97 + (b % 26))).join("");
const history = []; // the conversation as chat-completions messages
const known = new Map(); // value -> token, learnt by comparing the two sides
const seen = new Map(); // request number -> its two boxes on the chatbot's side
const waiting = []; // the person's bubbles whose arrival was not seen yet
let running = null; // AbortController of the reply that is being read
let unread = 0;

// --- consent ----------------------------------------------------------------

const privet = window.privet; // absent where the gateway does not answer

// What is answered shows at the top, and a first answer opens the chat.
function show() {
  const given = privet.answer()?.support;
  const state = given === undefined ? "none" : given ? "given" : "refused";
  $("consent").hidden = state !== "none";
  $("composer").hidden = state === "none";
  $("consent-state").dataset.state = state;
  $("consent-text").textContent = state === "none" ? "not asked yet" : state;
  $("withdraw").hidden = state !== "given";
  return state;
}

document.addEventListener("privet:consent", () => {
  if (withdrawing) return;
  if (show() === "given") {
    say("event", "You agreed to the purpose “support”. Write something with a name, an email address or a number in it, or tap an example.");
    $("message").focus();
  } else {
    say("event", "You declined. Here is a message sent anyway, to show what happens to it.");
    send(EXAMPLES[0][1]);
  }
});

let withdrawing = false;
$("withdraw").addEventListener("click", async () => {
  running?.abort();
  withdrawing = true;
  try {
    await privet.withdraw();
    show();
    say("event", "You withdrew your consent. What you write now stays here; try it.");
    $("message").focus();
  } catch {
    showFailure();
  } finally {
    withdrawing = false;
  }
});

$("choose").addEventListener("click", () => privet?.open());

function begin() {
  if (!privet) return showFailure();
  // Who reloads is somebody new, who has agreed to nothing.
  privet.configure({ subject: `demo-${crypto.randomUUID()}` });
  privet.forget();
  show();
  privet.open();
}

// --- the person's side --------------------------------------------------------

async function send(text) {
  history.push({ role: "user", content: text });
  const mine = say("bubble me", "");
  mine.append(...withValues(text));
  waiting.push({ bubble: mine, text });
  const reply = say("bubble bot", "");
  busy(new AbortController());
  flow("out");
  try {
    const response = await fetch(`${gateway}/v1/chat/completions`, {
      method: "POST",
      headers: {
        "Content-Type": "application/json",
      },
      body: JSON.stringify({ model: "corner-shop-1", stream: true, messages: history, metadata: { window: page } }),
      signal: running.signal,
    });
    if (response.ok) {
      flow("in");
      const answer = await readReply(response.body, reply);
      history.push({ role: "assistant", content: answer });
    } else {
      unsent(mine, reply);
      showRefusal(await response.text(), response);
    }
  } catch (error) {
    if (error.name === "AbortError") {
      if (reply.textContent) history.push({ role: "assistant", content: reply.dataset.text });
      else unsent(mine, reply);
    } else {
      unsent(mine, reply);
      showFailure();
    }
  } finally {
    flow("");
    busy(null);
  }
}

// The message did not arrive, so the next request must not carry it along.
function unsent(mine, reply) {
  reply.remove();
  history.pop();
  const at = waiting.findIndex((w) => w.bubble === mine);
  if (at >= 0) waiting.splice(at, 1);
}

async function readReply(stream, bubble) {
  let answer = "";
  let rest = "";
  const decoder = new TextDecoderStream();
  for await (const part of pieces(stream.pipeThrough(decoder))) {
    rest += part;
    const lines = rest.split("\n");
    rest = lines.pop();
    for (const line of lines) {
      const data = line.startsWith("data: ") ? line.slice(6).trim() : "";
      if (!data || data === "[DONE]") continue;
      answer += JSON.parse(data).choices?.[0]?.delta?.content ?? "";
    }
    bubble.dataset.text = answer;
    bubble.replaceChildren(...formatted(answer));
    toEnd("you");
  }
  return answer;
}

// Streams are not async iterable in every browser.
async function* pieces(stream) {
  const reader = stream.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    yield value;
  }
}

function showRefusal(body, response) {
  let problem = {};
  try {
    problem = JSON.parse(body);
  } catch {
    // Not a problem document: the status says it all.
  }
  const consentMissing = String(problem.type).startsWith("urn:privet:problem:consent-");
  const purposes = (problem.missing ?? []).map((p) => `“${p}”`).join(", ");
  const box = document.createElement("section");
  box.className = "refused";
  box.append(
    element("h3", consentMissing ? "Privet kept this message here." : problem.title ?? "The message was not answered."),
    element(
      "p",
      consentMissing
        ? `You have not agreed to ${purposes || "its purpose"}, so nothing was forwarded. The chatbot does not know that you wrote.`
        : problem.detail ?? `The answer was ${response.status}.`,
    ),
  );
  if (consentMissing) {
    const change = element("button", "Choose again");
    change.type = "button";
    change.className = "button plain";
    change.addEventListener("click", () => privet.open());
    box.append(change);
  }
  const raw = document.createElement("details");
  const pretty = problem.type ? JSON.stringify(problem, null, 2) : body;
  raw.append(
    element("summary", "What Privet answered"),
    element("pre", `HTTP ${response.status}\nContent-Type: ${response.headers.get("Content-Type") ?? ""}\n\n${pretty}`),
  );
  box.append(raw);
  $("you-log").append(box);
  toEnd("you");
}

function showFailure() {
  const box = document.createElement("section");
  box.className = "refused";
  box.append(
    element("h3", "Privet does not answer."),
    element("p", `Is the demo still running? It was at ${gateway}. Your message was not sent.`),
  );
  $("you-log").append(box);
  toEnd("you");
}

function say(kind, text) {
  const line = element(kind === "event" ? "p" : "div", text);
  line.className = kind;
  $("you-log").append(line);
  toEnd("you");
  return line;
}

// Markdown as far as chatbots use it in a sentence: paragraphs, lists, bold.
function formatted(text) {
  const blocks = [];
  for (const line of text.split("\n")) {
    if (!line.trim()) continue;
    const item = line.match(/^[-*] (.*)$/);
    let target;
    if (item) {
      if (blocks.at(-1)?.tagName !== "UL") blocks.push(document.createElement("ul"));
      target = document.createElement("li");
      blocks.at(-1).append(target);
    } else {
      target = document.createElement("p");
      blocks.push(target);
    }
    (item ? item[1] : line).split("**").forEach((part, i) => {
      if (i % 2 === 0) target.append(...withValues(part));
      else {
        const bold = document.createElement("strong");
        bold.append(...withValues(part));
        target.append(bold);
      }
    });
  }
  return blocks;
}

// The text with every value that has a token marked.
function withValues(text) {
  if (known.size === 0) return [text];
  const values = [...known.keys()].sort((a, b) => b.length - a.length);
  const any = new RegExp(`(${values.map(literally).join("|")})`);
  return text.split(any).map((part) => {
    const token = known.get(part);
    return token ? labelled("mark", part, token) : part;
  });
}

// --- the chatbot's side -------------------------------------------------------

const feed = new EventSource("/seen");
feed.addEventListener("open", () => ($("feed-state").textContent = "live, word for word"));
feed.addEventListener("error", () => ($("feed-state").textContent = "not connected"));
feed.addEventListener("message", (message) => {
  const event = JSON.parse(message.data);
  if (event.type === "request") showRequest(event);
  if (event.type === "delta") showDelta(event);
  if (event.type === "done") seen.delete(event.id);
});

function showRequest({ id, window: from, text, head, body }) {
  $("empty").hidden = true;
  const mine = from === page;
  if (mine) learn(text);
  const received = seenBox(mine ? "Received" : "Received from another client");
  received.text.append(...withTokens(text));
  const raw = document.createElement("details");
  raw.append(element("summary", "The whole request, as it arrived"));
  const pre = document.createElement("pre");
  pre.append(`${head}\n`, ...withTokens(body));
  raw.append(pre);
  received.box.append(raw);
  const answer = seenBox("Answered");
  answer.box.classList.add("answer");
  seen.set(id, { text: "", into: answer.text });
  toEnd("chatbot");
  if (document.body.dataset.view === "you") {
    unread += 1;
    $("unread").textContent = unread;
    $("unread").hidden = false;
  }
}

function showDelta({ id, text }) {
  const answer = seen.get(id);
  if (!answer) return;
  answer.text += text;
  answer.into.replaceChildren(...withTokens(answer.text));
  toEnd("chatbot");
}

// Lays what the person wrote beside what arrived: where the one has a token,
// the other has its value.
function learn(arrived) {
  const { bubble, text } = waiting.shift() ?? {};
  if (!bubble) return;
  const tokens = arrived.match(TOKEN) ?? [];
  const literals = arrived.split(TOKEN).filter((_, i) => i % 3 === 0); // between them: entity and code
  const values = text.match(new RegExp(`^${literals.map(literally).join("(.+?)")}$`, "s"))?.slice(1) ?? [];
  // What looked like a token before it left stands for nothing.
  const kept = values.map((value, i) => [value, tokens[i]]).filter(([value, token]) => value !== token);
  kept.forEach(([value, token]) => known.set(value, token));
  bubble.replaceChildren(...withValues(text));
  if (kept.length > 0) {
    const names = new Set(kept.map(([, token]) => ENTITIES[entityOf(token)] ?? "other data"));
    const note = element("p", `Kept from the chatbot: ${[...names].join(", ")}`);
    note.className = "note";
    bubble.after(note);
    toEnd("you");
  }
  $("kept").hidden = known.size === 0;
  $("kept-count").textContent = known.size;
}

function seenBox(title) {
  const box = document.createElement("article");
  box.className = "seen";
  const head = document.createElement("div");
  head.className = "seen-head";
  head.append(element("span", title));
  const text = document.createElement("div");
  text.className = "seen-text";
  box.append(head, text);
  $("chatbot-log").append(box);
  return { box, text };
}

function withTokens(text) {
  const out = [];
  let from = 0;
  for (const match of text.matchAll(TOKEN)) {
    out.push(text.slice(from, match.index), labelled("span", match[0], match[0]));
    from = match.index + match[0].length;
  }
  out.push(text.slice(from));
  return out;
}

// --- both sides ---------------------------------------------------------------

function labelled(tag, text, token) {
  const entity = entityOf(token);
  const node = element(tag, text);
  node.className = `${tag === "span" ? "token " : ""}e-${ENTITIES[entity] ? entity.toLowerCase().replaceAll("_", "-") : "other"}`;
  node.dataset.token = token;
  return node;
}

// Pointing at a value lights up its token, and the other way round.
for (const kind of ["pointerover", "pointerout"]) {
  document.addEventListener(kind, (event) => {
    const token = event.target.dataset?.token;
    if (!token) return;
    for (const node of document.querySelectorAll("[data-token]")) {
      node.classList.toggle("lit", kind === "pointerover" && node.dataset.token === token);
    }
  });
}

function entityOf(token) {
  return token.slice(1, token.lastIndexOf("_"));
}

// A pattern that matches the text and nothing else.
function literally(text) {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}

function element(tag, text) {
  const node = document.createElement(tag);
  node.textContent = text;
  return node;
}

function toEnd(side) {
  const scroll = $(`${side}-scroll`);
  scroll.scrollTop = scroll.scrollHeight;
}

function flow(direction) {
  $("hedge").dataset.flow = direction;
}

function busy(controller) {
  running = controller;
  $("you-log").setAttribute("aria-busy", String(Boolean(controller)));
  const button = $("send");
  button.toggleAttribute("data-busy", Boolean(controller));
  button.querySelector("span").textContent = controller ? "Stop" : "Send";
  for (const example of $("suggestions").children) example.disabled = Boolean(controller);
}

$("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  if (running) {
    running.abort();
    return;
  }
  const text = $("message").value.trim();
  if (!text) return;
  $("message").value = "";
  send(text);
});

$("message").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    if (!running) $("composer").requestSubmit();
  }
});

for (const [label, text] of EXAMPLES) {
  const example = element("button", label);
  example.type = "button";
  example.title = text;
  example.addEventListener("click", () => send(text));
  $("suggestions").append(example);
}

for (const button of document.querySelectorAll("[data-show]")) {
  button.addEventListener("click", () => {
    document.body.dataset.view = button.dataset.show;
    for (const other of document.querySelectorAll("[data-show]")) {
      other.setAttribute("aria-pressed", String(other === button));
    }
    if (button.dataset.show === "chatbot") {
      unread = 0;
      $("unread").hidden = true;
    }
    toEnd(button.dataset.show);
  });
}

$("curl").textContent = `curl -N ${gateway}/v1/chat/completions \\
  -H 'Content-Type: application/json' \\
  -H 'Privet-Consent: support' \\
  -d '{"stream": true, "messages": [{"role": "user", "content": "I am Anna Kowalska, write to anna.kowalska@example.com"}]}'`;

begin();
