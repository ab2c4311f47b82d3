// Small comforts. Everything works without this file.
"use strict";

// Times are GMT; the title of each says it in the reader's zone, by the browser where none is chosen in the profile.
for (const time of document.querySelectorAll('time[datetime][data-zone=""]')) {
  const moment = new Date(time.dateTime);
  if (!Number.isNaN(moment.valueOf())) {
    time.title = moment.toLocaleString(document.documentElement.lang, { dateStyle: "medium", timeStyle: "long" });
  }
}

// A dialog opens by a link to its own page: <a href="…" data-dialog="id">; without script the link is followed.
document.addEventListener("click", (event) => {
  const opener = event.target.closest("[data-dialog]");
  const dialog = opener && document.getElementById(opener.dataset.dialog);
  if (dialog) {
    event.preventDefault();
    dialog.showModal();
    return;
  }
  const closer = event.target.closest("[data-close]");
  if (closer && closer.closest("dialog")) {
    event.preventDefault();
    closer.closest("dialog").close();
  }
});

// The menus close when something else is clicked, or with Escape.
document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.self[open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const menu of document.querySelectorAll("details.self[open]")) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
});

// A form is sent once.
document.addEventListener("submit", (event) => {
  if (event.target.dataset.sent) {
    event.preventDefault();
  } else {
    event.target.dataset.sent = "1";
    window.addEventListener("pageshow", () => delete event.target.dataset.sent, { once: true });
  }
});

// <input type="password" data-reveal="Show">: a button beside it shows what is typed; it is sent, and kept, as a password.
for (const input of document.querySelectorAll("input[data-reveal]")) {
  const button = document.createElement("button");
  const whose = document.createElement("span");
  whose.className = "unseen";
  whose.textContent = ` ${input.labels[0].firstChild.textContent.trim()}`;
  button.type = "button";
  button.className = "button small";
  button.append(input.dataset.reveal, whose);
  const reveal = (shown) => {
    input.type = shown ? "text" : "password";
    button.setAttribute("aria-pressed", String(shown));
  };
  reveal(false);
  button.addEventListener("click", () => reveal(input.type === "password"));
  input.form.addEventListener("submit", () => reveal(false));
  input.after(button);
}

// <button data-copy="id">: puts the text of an element on the clipboard.
for (const button of document.querySelectorAll("[data-copy]")) {
  button.hidden = !navigator.clipboard;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).innerText);
    button.textContent = button.dataset.done || button.textContent;
  });
}
