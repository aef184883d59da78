// Enhances the dashboard: keeps pages up to date, counts characters as the network does, asks for what a form lacks, and opens sign-ins in their
// own window. Without it every page works, and shows the state at loading.
"use strict";
(() => {
  const main = document.querySelector("main");
  if (!main) return;

  // Relative times. The server has the same words.
  const span = (seconds) => {
    const [d, h, m] = [Math.floor(seconds / 86400), Math.floor(seconds / 3600) % 24, Math.floor(seconds / 60) % 60];
    if (d >= 7) return `${d} days`;
    if (d) return `${d} d ${h} h`;
    if (h) return `${h} h ${m} min`;
    return m ? `${m} min` : `${seconds} s`;
  };
  const tick = () => {
    for (const time of document.querySelectorAll("time[data-from-now]")) {
      const left = Math.round((Date.parse(time.dateTime) - Date.now()) / 1000);
      // The next event is never shown as past.
      const seconds = time.dataset.fromNow === "next" ? Math.max(left, 0) : left;
      const text = seconds === 0 ? "now" : seconds < 0 ? `${span(-seconds)} ago` : `in ${span(seconds)}`;
      if (time.textContent !== text) time.textContent = text;
    }
  };
  setInterval(tick, 1000);
  tick();

  // Live parts are fetched again after an event, except those where the person has begun to type or has opened details, unless
  // the new page no longer has that field. The focus stays where it was.
  const begun = (part) => [...part.querySelectorAll("input:not([type=hidden]), textarea")].filter((field) => field.value !== field.defaultValue);
  const inUse = (part, fresh) => part.querySelector("details[open]") || begun(part).some((field) => fresh.querySelector(`#${field.id}`));
  const name = (element) => element.id || element.getAttribute("href") || element.textContent;
  const replace = (part, fresh) => {
    const focus = part.contains(document.activeElement) && name(document.activeElement);
    part.replaceWith(document.adoptNode(fresh));
    if (focus) [...fresh.querySelectorAll("a, button, input, textarea, summary")].find((element) => name(element) === focus)?.focus();
  };
  let leaving = false;
  addEventListener("beforeunload", () => { leaving = true; });
  addEventListener("pageshow", () => { leaving = false; });
  let asked = false;
  const refresh = async () => {
    asked = false;
    if (document.hidden) { asked = true; return; }
    let answer;
    try {
      answer = await fetch(location.href, { credentials: "same-origin" });
    } catch { return; }
    if (answer.status === 403 || answer.status === 404) {
      // Reloading would cancel the navigation that a form has just started.
      if (!leaving) location.reload();
      return;
    }
    if (!answer.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const part of document.querySelectorAll("[data-live]")) {
      const fresh = page.getElementById(part.id);
      if (fresh && fresh.innerHTML !== part.innerHTML && !inUse(part, fresh)) replace(part, fresh);
    }
    tick();
  };
  let timer = 0;
  let later = 0;
  // The counts of the whole flock lag by a second.
  const soon = () => {
    clearTimeout(timer);
    clearTimeout(later);
    timer = setTimeout(refresh, 250);
    later = setTimeout(refresh, 1500);
  };
  document.addEventListener("visibilitychange", () => { if (!document.hidden && asked) soon(); });
  const listen = () => {
    const events = new EventSource(main.dataset.events);
    events.addEventListener("news", soon);
    // Events between loading and connecting, or during a disconnect, were missed.
    events.addEventListener("open", soon);
    events.addEventListener("error", () => {
      if (events.readyState === EventSource.CLOSED) setTimeout(() => { soon(); listen(); }, 30000);
    });
  };
  if (main.dataset.events) listen();

  // The length of a text as its network counts it. Only the server knows the rules.
  for (const field of document.querySelectorAll("textarea[data-count]")) {
    const count = field.form.querySelector("output");
    let last = 0;
    const ask = async () => {
      const mine = ++last;
      const answer = await fetch(`${field.dataset.count}?${new URLSearchParams({ text: field.value })}`);
      if (!answer.ok || mine !== last) return;
      const { max, parts } = await answer.json();
      const one = ({ length, problem }) => `${length} of ${max}${problem ? `: ${problem}` : ""}`;
      const all = parts.length === 1 ? one(parts[0]) : parts.map((part, at) => `part ${at + 1}: ${one(part)}`).join(" · ");
      count.textContent = field.value.trim() ? all : `up to ${max}`;
      count.classList.toggle("bad", parts.some((part) => part.problem) && field.value.trim() !== "");
    };
    let wait = 0;
    field.addEventListener("input", () => { clearTimeout(wait); wait = setTimeout(ask, 150); });
  }

  // A picture needs a description, and a post without pictures a text. The server checks that too.
  const composer = document.querySelector("form.composer");
  if (composer) {
    const files = [...composer.querySelectorAll("input[type=file]")];
    const text = composer.querySelector("[name=text]");
    const demand = () => {
      for (const file of files) document.getElementById(file.dataset.describedBy).required = file.files.length > 0;
      const chosen = files.filter((file) => file.files.length);
      text.required = chosen.length === 0;
      // A server that ends the upload can't say why: the browser is still sending.
      const size = chosen.reduce((sum, file) => sum + file.files[0].size, 0);
      const problem = size > Number(composer.dataset.maxBytes) ? composer.dataset.tooLarge : "";
      for (const file of files) file.setCustomValidity(file === chosen.at(-1) ? problem : "");
    };
    composer.addEventListener("change", demand);
    demand();
  }

  // The reader chooses the zone of all times; the server reads the choice from the cookie.
  const zone = document.querySelector("[data-zone]");
  if (zone) {
    const choice = zone.querySelector("select");
    const browser = choice.querySelector("[data-browser]");
    browser.value = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
    browser.textContent += `, ${browser.value}`;
    const twin = [...choice.options].find((option) => option !== browser && option.value === browser.value);
    if (twin) {
      browser.selected = browser.selected || twin.selected;
      twin.remove();
    }
    zone.hidden = false;
    choice.addEventListener("change", () => {
      const { pathname, protocol } = new URL(zone.dataset.zone, location.href);
      const age = choice.value ? 31536000 : 0;
      document.cookie = `flockd-zone=${choice.value}; path=${pathname}; max-age=${age}; samesite=strict${protocol === "https:" ? "; secure" : ""}`;
      location.reload();
    });
  }

  // Leaving a page with unsaved text asks first.
  for (const field of document.querySelectorAll("textarea[data-guarded]")) {
    let leaves = false;
    field.form.addEventListener("submit", () => { leaves = true; });
    addEventListener("beforeunload", (event) => { if (!leaves && field.value !== field.defaultValue) event.preventDefault(); });
  }

  // A sign-in opens in its own window, or here if the browser blocks it. On return, that page notifies the other pages of this
  // origin, and only those.
  const channel = new BroadcastChannel("flockd-sign-in");
  const done = main.dataset.signedIn;
  if (done) {
    channel.postMessage(done);
    if (window.opener) {
      try { window.opener.postMessage({ flockdSignIn: done }, location.origin); } catch { /* The opener has navigated away. */ }
    }
    if (window.name === "flockd-sign-in") window.close();
    else location.replace(`sign-in/${done}`);
  }
  const heard = (ticket) => { if (main.dataset.ticket && main.dataset.ticket === ticket) refresh(); };
  channel.addEventListener("message", (event) => heard(event.data));
  addEventListener("message", (event) => {
    if (event.origin === location.origin && event.data) heard(event.data.flockdSignIn);
  });
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-popup]");
    if (!link) return;
    const popup = window.open(link.href, "flockd-sign-in", "popup,width=600,height=760");
    if (popup) event.preventDefault();
  });
})();
