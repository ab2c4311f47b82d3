// Live news of lists, and actions in a dialog. Everything works without this file, by the same addresses.
"use strict";

// <div data-news="…" hidden>: the server says how many incidents have opened since; a link shows them.
for (const bar of document.querySelectorAll("[data-news]")) {
  let source, again;
  const rest = () => {
    window.clearTimeout(again);
    source?.close();
  };
  // a browser has six connections to the panel for all of its tabs: one that nobody looks at holds none, and hears what came
  // meanwhile when it is looked at again, for its address says since when
  const listen = () => {
    rest();
    if (document.hidden) return;
    source = new EventSource(bar.dataset.news);
    source.addEventListener("news", (event) => {
      bar.querySelector("[data-text]").textContent = event.data;
      bar.hidden = false;
    });
    // a stream that breaks off is opened again by the browser; one that was refused (too many are open) is not
    source.addEventListener("error", (event) => {
      if (event.target.readyState === EventSource.CLOSED) again = window.setTimeout(listen, 30000);
    });
  };
  listen();
  document.addEventListener("visibilitychange", listen);
  window.addEventListener("pagehide", rest);
}

// <a data-action href="…">: the page behind the link has a form in an element [data-form]; it is shown in a dialog.
const shown = document.createElement("dialog");

async function show(link) {
  const answer = await fetch(link.href, { headers: { Accept: "text/html" } });
  if (!answer.ok) throw new Error(answer.statusText);
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const form = page.querySelector("[data-form]");
  if (!form) throw new Error("no form");
  shown.replaceChildren(document.importNode(form, true));
  if (!shown.isConnected) document.body.append(shown);
  const heading = shown.querySelector("h1, h2");
  if (heading) {
    heading.id = "dialog-title";
    shown.setAttribute("aria-labelledby", heading.id);
  }
  shown.showModal();
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-action]");
  if (link && !event.ctrlKey && !event.metaKey && !event.shiftKey && event.button === 0) {
    event.preventDefault();
    show(link).catch(() => window.location.assign(link.href));
    return;
  }
  const closer = event.target.closest("dialog a[data-cancel]");
  if (closer) {
    event.preventDefault();
    shown.close();
  }
});

// A choice that changes what else the form shows sends it again without saving: <select data-again>.
document.addEventListener("change", (event) => {
  const button = event.target.closest("form")?.querySelector("button[data-again]");
  if (button && event.target.matches("[data-reload]")) event.target.form.requestSubmit(button);
});
