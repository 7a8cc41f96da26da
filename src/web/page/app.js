// The page: what the handset in the station says is so, shown; what the person here wants, asked for.

import { Line } from "/call.js";

const at = (id) => document.getElementById(id);
const BUTTONS = ["ring", "answer", "decline", "release", "mute", "switch", "hangup"];
const MISSED_MAX = 20;
const REASONS = {
  unreachable: "It is not reached.", lost: "The connection was lost.", "not-allowed": "Not allowed.", "no-answer": "Nobody answered.",
  "do-not-disturb": "They do not want to be disturbed.", declined: "They declined.", busy: "They are in another call.",
  "hung-up": "They hung up.", "hung-up-here": "", "declined-here": "", missed: "", cancelled: "They gave up.",
  "answered-by": "Somebody else answered.", "time-limit": "The call was as long as it may be.", "gave-way": "It made room for a call.",
};

let status = { state: "loading" };
let events = null;
let still = null;
let ringtone = null;
const line = new Line(at("far"), at("near"), (what) => { if (what === "again") follow(); render(); });

async function ask(path, body) {
  const answer = await fetch(path, { method: "POST", body });
  const text = await answer.text();
  if (answer.status === 401) { stranger(); return null; }
  if (!answer.ok) throw new Error(text);
  return text;
}

function notice(words) {
  at("notice").textContent = words ?? "";
  clearTimeout(notice.timer);
  if (words) notice.timer = setTimeout(() => notice(""), 6000);
}

async function act(action) {
  try { await ask("/api/act", action); } catch (error) { notice(error.message); }
}

// --- being let in

function invitation() {
  const found = /^#join=([\w-]{44})$/.exec(location.hash);
  return found ? found[1] : null;
}

function stranger() {
  events?.close();
  events = null;
  status = { state: invitation() ? "invited" : "stranger" };
  render();
}

at("join").addEventListener("submit", async (event) => {
  event.preventDefault();
  const body = JSON.stringify({ invitation: invitation(), name: at("name").value.trim() });
  try {
    const answer = await fetch("/api/join", { method: "POST", body });
    const text = await answer.text();
    if (!answer.ok) throw new Error(text);
    history.replaceState(null, "", "/");
    listen();
  } catch (error) { at("fault").textContent = error.message; }
});

// --- what happens

function listen() {
  events?.close();
  events = new EventSource("/api/events");
  events.onmessage = (event) => {
    const before = status;
    status = JSON.parse(event.data);
    changed(before);
  };
  events.onerror = async () => {
    if (events?.readyState !== EventSource.CLOSED) { status = { ...status, state: "away" }; render(); return; }
    // Refused, or the station is gone: which of them, a question tells.
    events = null;
    try {
      await ask("/api/act", "");
    } catch { /* known, but no such action: so it is there */ }
    if (status.state !== "stranger" && status.state !== "invited") {
      status = { state: "away" };
      render();
      setTimeout(() => { if (!events) listen(); }, 2000);
    }
  };
}

function changed(before) {
  if (before.state !== status.state) {
    if (before.state === "ringing") still = line.still() ?? still;
    if (status.state === "ringing") rung();
    else stopRinging();
    if (before.state === "ringing" && status.reason === "missed") keepMissed(before.peer);
    if (status.state === "ended" && REASONS[status.reason]) notice(REASONS[status.reason]);
  }
  if (status.door && status.door !== before.door) notice(status.door === "released" ? "The door is open." : "The door was not opened.");
  line.mute(status.muted);
  follow();
  render();
}

// Has the connection follow the call.
async function follow() {
  const wants = status.state === "talking" || status.state === "calling" || (status.state === "ringing" && status.preview);
  try {
    if (wants) await line.open();
    else if (line.connection && !["away", "loading"].includes(status.state)) line.close();
  } catch (error) { notice(error.message); }
  if (status.state === "talking" && !line.wanted && status.kind === "talk") await speak();
}

async function speak() {
  const problem = await line.speak();
  line.mute(status.muted);
  line.unmuteFar();
  at("fault").textContent = problem ?? "";
  render();
}

function rung() {
  still = null;
  if (!ringtone) ringtone = tone();
  if (document.hidden && "Notification" in window && Notification.permission === "granted") {
    navigator.serviceWorker?.ready.then((worker) =>
      worker.showNotification(`${status.peer} rings`, { tag: "ring", icon: "/icon.svg", requireInteraction: true }));
  }
  if (navigator.vibrate) navigator.vibrate([400, 200, 400]);
}

function stopRinging() {
  ringtone?.();
  ringtone = null;
  navigator.serviceWorker?.ready.then(async (worker) =>
    (await worker.getNotifications({ tag: "ring" })).forEach((notification) => notification.close()));
}

// Two notes, as at a door; nothing where the browser lets no sound out yet.
function tone() {
  const context = new AudioContext();
  const strike = () => [660, 528].forEach((hertz, place) => {
    const [note, volume, start] = [context.createOscillator(), context.createGain(), context.currentTime + place * 0.45];
    note.frequency.value = hertz;
    volume.gain.setValueAtTime(0.0001, start);
    volume.gain.exponentialRampToValueAtTime(0.3, start + 0.02);
    volume.gain.exponentialRampToValueAtTime(0.0001, start + 0.9);
    note.connect(volume).connect(context.destination);
    note.start(start);
    note.stop(start + 1);
  });
  strike();
  const timer = setInterval(strike, 3000);
  return () => { clearInterval(timer); context.close(); };
}

// --- missed calls, with the picture of who rang; kept in this browser alone

function missed() {
  try { return JSON.parse(localStorage.getItem("missed")) ?? []; } catch { return []; }
}

function keepMissed(peer) {
  const all = [{ peer, at: Date.now(), still }, ...missed()].slice(0, MISSED_MAX);
  try { localStorage.setItem("missed", JSON.stringify(all)); } catch { /* no room for pictures: the call is seen as missed now */ }
  renderMissed();
}

function renderMissed() {
  const all = missed();
  at("missed").hidden = all.length === 0 || !["idle", "ended"].includes(status.state);
  at("missed-list").replaceChildren(...all.map(({ peer, at: when, still: picture }) => {
    const item = document.createElement("li");
    if (picture?.startsWith("data:image/jpeg;base64,")) {
      const image = document.createElement("img");
      image.alt = `Who stood at ${peer}`;
      image.src = picture;
      item.append(image);
    }
    item.append(`${peer}, ${new Date(when).toLocaleString([], { dateStyle: "short", timeStyle: "short" })}`);
    return item;
  }));
}

at("missed-clear").addEventListener("click", () => { localStorage.removeItem("missed"); renderMissed(); });

// --- what is seen

function title() {
  const peer = status.peer ?? status.station ?? "the station";
  switch (status.state) {
    case "loading": return ["visavis", "One moment."];
    case "away": return ["The station is not reached", "Trying again. Is this phone on the same network?"];
    case "stranger": return ["This browser is not known here", "Ask whoever keeps the station for an invitation: visavis web invite"];
    case "invited": return ["You are invited", ""];
    case "calling": return [`Calling ${peer}`, status.rings ? "It rings there." : "Looking for it."];
    case "ringing": return [`${peer} rings`, status.preview ? "" : "Answer to see who it is."];
    case "talking": return [status.kind === "monitor" ? `Watching ${peer}` : peer, status.held ? "On hold." : status.camera ?? ""];
    default: return [status.station ?? "visavis", status.here ? "Ready." : "The station is starting, or away."];
  }
}

function shownButtons() {
  const door = status.may_release ? ["release"] : [];
  switch (status.state) {
    case "idle": case "ended": return status.here ? ["ring", ...(status.release_without_call ? door : [])] : [];
    case "calling": return ["hangup"];
    case "ringing": return ["answer", "decline"];
    case "talking": return [...door, "mute", ...(line.hasOwnPicture() ? ["switch"] : []), "hangup"];
    default: return [];
  }
}

function render() {
  const body = document.body;
  body.dataset.state = status.state;
  const [words, detail] = title();
  at("title").textContent = words;
  at("detail").textContent = detail;
  document.title = status.state === "ringing" ? `${words} – visavis` : "visavis";
  const shown = shownButtons();
  BUTTONS.forEach((id) => { at(id).hidden = !shown.includes(id); });
  at("mute").setAttribute("aria-pressed", String(Boolean(status.muted)));
  at("mute").textContent = status.muted ? "Muted" : "Mute";
  at("join").hidden = status.state !== "invited";
  const sees = ["ringing", "talking"].includes(status.state) && line.hasPicture() && !status.camera;
  body.classList.toggle("picture", sees);
  body.classList.toggle("own", line.hasOwnPicture() && status.state === "talking");
  at("notify").hidden = !("Notification" in window) || Notification.permission !== "default" || ["stranger", "invited"].includes(status.state);
  if (status.state !== "talking") at("fault").textContent = status.state === "invited" ? at("fault").textContent : "";
  renderMissed();
}

at("far").addEventListener("resize", render);
setInterval(() => { if (status.state === "ringing") still = line.still() ?? still; }, 1000);

at("ring").addEventListener("click", () => { line.unmuteFar(); act("ring"); });
at("answer").addEventListener("click", () => { line.unmuteFar(); speak().catch(() => {}); act("answer"); });
at("decline").addEventListener("click", () => act("decline"));
at("hangup").addEventListener("click", () => act("hang-up"));
at("release").addEventListener("click", () => act("release"));
at("mute").addEventListener("click", () => act("mute"));
at("switch").addEventListener("click", () => line.turn().catch(() => notice("There is no other camera.")));
at("notify").addEventListener("click", async () => { await Notification.requestPermission(); render(); });
document.addEventListener("keydown", (event) => {
  if (event.target instanceof HTMLInputElement || event.ctrlKey || event.altKey || event.metaKey) return;
  const button = { a: "answer", d: "decline", h: "hangup", m: "mute", o: "release", c: "ring" }[event.key.toLowerCase()];
  if (button && !at(button).hidden) at(button).click();
});

if ("serviceWorker" in navigator) navigator.serviceWorker.register("/worker.js").catch(() => {});
render();
listen();
